//! OpenAI's wire types.

pub mod chat;
pub mod models;
pub mod responses;
