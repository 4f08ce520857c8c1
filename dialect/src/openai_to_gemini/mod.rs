//! OpenAI's `/v1/chat/completions` over Google's `generateContent`; `/v1/responses` is in
//! [`responses`].
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `system`, `developer`, anywhere | `systemInstruction` |
//! | `tool_calls` | `functionCall`, ids kept |
//! | `tool_calls[].extra_content.google.thought_signature` | `thoughtSignature` |
//! | `tools[]` of `custom` | functions that take one text |
//! | `functions`, `function_call` | as `tools`; the answer is in the same older form |
//! | `tool` messages | `functionResponse {output}`, in the order of the calls |
//! | `reasoning_content`, or `<think>` in the text ([`crate::style`]) | parts with `thought` (answers only) |
//! | Markdown with a data URL, or `message.images[]` as OpenRouter has it ([`crate::style`]) | `inlineData` (answers; either is read back) |
//! | `modalities` with `audio`; `audio` of an answer | `responseModalities`, `speechConfig`; `inlineData` of samples |
//! | `annotations[]` of `url_citation` | `groundingMetadata` |
//! | `choices[].native_finish_reason` | `finishReason`, where OpenAI has no word for it |
//! | `google`, `extra_body.google` | as Google documents it for its own OpenAI endpoint |

mod completions;
mod embeddings;
mod files;
mod images;
mod request;
mod response;
pub mod responses;
mod special;
mod speech;
mod spoken;
mod stream;
mod tools;
mod transcribe;
mod wire;

pub use completions::{
    CompletionCall, CompletionStream, completion_request, completion_request_with,
    completion_response,
};
pub use embeddings::{
    Embedded, EmbeddingsCall, embeddings_request, embeddings_request_with, embeddings_response,
};
pub use files::{FileOut, GoogleFile, GoogleFiles, Label, UploadCall, file_out, upload_request};
pub use images::{
    Drawn, ImagesCall, Undrawn, image_edit_form, image_edit_request, images_request,
    images_response,
};
pub use request::{ChatCall, chat_request, chat_request_with};
pub use response::{chat_response, chat_response_spoken};
pub use speech::{
    AudioFormat, Heard, SpeechCall, speech_delta, speech_done, speech_heard, speech_request,
};
pub use stream::ChatStream;
pub use transcribe::{
    Task, TranscribeCall, TranscribeStream, Transcript, Unheard, transcribe_request,
    transcribe_response,
};
pub(crate) use wire::call_id;
