//! OpenAI's `/v1/responses` over Google's `generateContent`.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `instructions`, messages of `system` and `developer` | `systemInstruction` |
//! | `previous_response_id`, `item_reference` | what [`Memory`] has kept |
//! | `function_call`, `function_call_output` | `functionCall`, `functionResponse {output}`, ids kept |
//! | `custom_tool_call` and its `input` | `functionCall` with the argument `input` |
//! | tools in a `namespace` | functions named `namespace__tool` |
//! | `reasoning.summary` asked for, `reasoning` items given | parts with `thought` (answers only) |
//! | `encrypted_content` of the `reasoning` right before a call; `extra_content` of the call | `thoughtSignature` of that call |
//! | `image_generation_call` | `inlineData` of an image, read back |
//! | `code_interpreter_call` | `executableCode`, `codeExecutionResult` (answers; read back as text) |
//! | `annotations[]` of `url_citation`, `web_search_call` | `groundingMetadata` (answers only) |
//! | `incomplete` with `max_output_tokens` or `content_filter` | `finishReason` |
//!
//! `truncation`, `max_tool_calls`, `text.verbosity` and `metadata` have no counterpart
//! at Google; answers repeat them.

mod answer;
mod call;
mod events;
mod growing;
mod items;
mod kept;
mod output;
mod recorded;
mod tools;

pub use answer::{ResponsesStream, responses_response};
pub use call::{ResponsesCall, responses_request, responses_request_with};
pub use kept::{Kept, Page};
pub use recorded::{Ended, Recorded};

use serde_json::value::RawValue;

/// What was said before, as the caller keeps it.
pub trait Memory {
    /// The items of the conversation up to this response and with it, oldest first; `None`
    /// when it is not kept.
    fn conversation(&self, response: &str) -> Option<Vec<Box<RawValue>>>;

    /// One item of an earlier conversation.
    fn item(&self, id: &str) -> Option<Box<RawValue>>;
}

/// Nothing is remembered.
impl Memory for () {
    fn conversation(&self, _: &str) -> Option<Vec<Box<RawValue>>> {
        None
    }

    fn item(&self, _: &str) -> Option<Box<RawValue>> {
        None
    }
}
