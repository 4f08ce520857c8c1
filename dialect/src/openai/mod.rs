//! OpenAI's wire types.

pub mod chat;
pub mod embeddings;
pub mod models;
pub mod responses;
