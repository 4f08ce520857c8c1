//! Wire types of the three protocols and the translations between them.
//!
//! Pure: no I/O, no clock, no randomness. What a translation needs from outside (an id for
//! the answer, the time it was made) is handed in.
//!
//! A surface uses one translation like this:
//!
//! 1. the client's body becomes a call: [`openai_to_gemini::chat_request`];
//! 2. the call's `body` goes to Google under the call's `model`;
//! 3. [`gemini::Peek`] says what came back without translating it: that is what retries
//!    are decided by;
//! 4. the answer becomes the client's: [`openai_to_gemini::chat_response`], or
//!    [`openai_to_gemini::ChatStream`] fed by [`sse::Events`];
//! 5. errors take the client's shape in [`error`].
//!
//! What a request names by address is fetched by the caller between 1 and 2: see [`fetch`].
//!
//! Deliberately absent: any memory of earlier conversations. That belongs to the caller.

pub mod anthropic;
pub mod anthropic_to_gemini;
mod aside;
pub mod error;
mod explanation;
pub mod fetch;
mod file_id;
pub mod gemini;
mod media;
mod model_map;
mod names;
pub mod openai;
pub mod openai_to_gemini;
mod signature;
mod signed;
pub mod sse;
pub mod style;
mod text;
mod together;
mod turns;

pub use error::{Invalid, Malformed, UpstreamFailure};
pub use file_id::{FileId, Uploads};
pub use model_map::{Amount, Endings, ModelMap, Named};
pub use signature::{SIGNATURE_MARK, Signatures};
pub use signed::{IdsOf, SignedParts};
pub use text::{Str, compact};

/// What only the caller knows about a request.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Which Gemini model answers for which name.
    pub models: &'a ModelMap,
    /// Signatures that clients lost.
    pub signatures: &'a dyn Signatures,
}

/// What only the caller knows about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseMeta {
    /// The answer's id, unique for each answer, e.g. `chatcmpl-…`; tool calls that Google
    /// gives no id get one made from it.
    pub id: String,
    /// When the answer was made, in seconds since 1970.
    pub created: i64,
    /// How thoughts and media reach the client.
    pub style: style::Style,
}
