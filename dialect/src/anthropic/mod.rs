//! Anthropic's wire types.

pub mod messages;
pub mod models;
