//! Google's `generateContent`: what we send, what comes back, and what a gateway must know
//! of an answer without translating it.

mod advice;
mod endings;
mod express;
mod family;
mod fields;
pub(crate) mod image;
mod interaction;
pub mod models;
mod named;
mod peek;
mod pieces;
pub mod request;
pub mod response;
pub(crate) mod schema;
mod several;
pub(crate) mod sources;
mod status;

pub use endings::with_endings;
pub use express::{Express, embeddings, express};
pub use family::{
    Effort, Level, Thinking, most_output_tokens, needs_signatures, signs_texts, speaks,
    takes_json_schema, takes_system, thinking_taken,
};
pub use interaction::Interaction;
pub use named::{COLLECTIONS, created, references, resource_name, results};
pub use peek::{FinishReason, Peek, Usage};
pub use pieces::pieces;
pub use several::Several;
pub use status::{ApiStatus, Violation};

/// What Google accepts in place of a thought signature for a call that a Gemini model did
/// not make (docs: "Thought signatures", FAQ).
pub const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";
