//! The pages, a folder each.

pub mod connect;
pub mod dashboard;
pub mod keys;
pub mod sign_in;
