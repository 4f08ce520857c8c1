//! OpenAI's wire types.

pub mod audio;
pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod form;
pub mod images;
pub mod models;
pub mod responses;
