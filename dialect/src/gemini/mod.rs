//! Google's `generateContent`: what we send, what comes back, and what a gateway must know
//! of an answer without translating it.

mod family;
pub(crate) mod image;
pub mod models;
mod peek;
pub mod request;
pub mod response;
mod status;

pub use family::{Effort, Level, Thinking, needs_signatures, takes_system};
pub use peek::{FinishReason, Peek, Usage};
pub use status::{ApiStatus, Violation};

/// What Google accepts in place of a thought signature for a call that a Gemini model did
/// not make (docs: "Thought signatures", FAQ).
pub const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";
