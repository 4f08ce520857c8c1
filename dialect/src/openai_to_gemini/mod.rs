//! OpenAI's `/v1/chat/completions` over Google's `generateContent`; `/v1/responses` is in
//! [`responses`].
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `system`, `developer`, anywhere | `systemInstruction` |
//! | `tool_calls` | `functionCall`, ids kept |
//! | `tool_calls[].extra_content.google.thought_signature` | `thoughtSignature` |
//! | `tool` messages | `functionResponse {output}`, in the order of the calls |
//! | `reasoning_content`, or `<think>` in the text ([`crate::style`]) | parts with `thought` (answers only) |
//! | Markdown with a data URL, or `message.images[]` as OpenRouter has it ([`crate::style`]) | `inlineData` (answers; either is read back) |
//! | `annotations[]` of `url_citation` | `groundingMetadata` |
//! | `choices[].native_finish_reason` | `finishReason`, where OpenAI has no word for it |
//! | `google`, `extra_body.google` | as Google documents it for its own OpenAI endpoint |

mod embeddings;
mod request;
mod response;
pub mod responses;
mod stream;
mod tools;
mod wire;

pub use embeddings::{
    Embedded, EmbeddingsCall, embeddings_request, embeddings_request_with, embeddings_response,
};
pub use request::{ChatCall, chat_request, chat_request_with};
pub use response::chat_response;
pub use stream::ChatStream;
pub(crate) use wire::call_id;
