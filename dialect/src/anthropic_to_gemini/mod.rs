//! Anthropic's `/v1/messages` over Google's `generateContent`.
//!
//! | Anthropic | Gemini |
//! |---|---|
//! | `system`, and messages of that role | `systemInstruction` |
//! | `tool_use`, `tool_result` | `functionCall`, `functionResponse {output}` or `{error}`, ids kept |
//! | `thinking`, or `<think>` in the text ([`crate::style`]) | parts with `thought` (answers only) |
//! | `signature` of the `thinking` right before a `tool_use` | `thoughtSignature` of that call |
//! | `bash_20…`, `text_editor_20…`, `memory_20…` | functions with their schemas |
//! | `web_search_20…`, `web_fetch_20…`, `code_execution_20…` | `googleSearch`, `urlContext`, `codeExecution` |
//! | `citations`, `server_tool_use` and `web_search_tool_result` | `groundingMetadata` (answers only) |
//! | media in answers, which Anthropic does not have: Markdown with a data URL, read back | `inlineData` |
//!
//! A signature that Anthropic's own models made would be refused by Google, so ours are
//! marked: [`crate::SIGNATURE_MARK`].

mod client_tools;
mod request;
mod response;
mod stream;
mod wire;

pub use request::{
    CountCall, MessagesCall, count_tokens_request, count_tokens_response, messages_request,
    messages_request_with,
};
pub use response::messages_response;
pub use stream::MessagesStream;
pub(crate) use wire::call_id;
