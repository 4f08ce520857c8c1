//! The body of `/v1/responses`, as we read it: known fields typed, unknown ones passed over.
//! Source: OpenAI's OpenAPI description, `CreateResponse`; marked where a field is from
//! elsewhere.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::chat::{ExtraBody, ExtraContent, Google, Grammar, Media, ToolChoice, Url};
use crate::gemini::Effort;
use crate::text::Str;

/// The whole body.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// The model's name; required.
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    /// A text, or a list of [`Item`]s, which are read one by one.
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    /// What the model is told before the conversation; of this request only.
    #[serde(borrow, default)]
    pub instructions: Option<Str<'a>>,
    /// The response that this one goes on from.
    #[serde(borrow, default)]
    pub previous_response_id: Option<Str<'a>>,
    /// A conversation kept by OpenAI.
    #[serde(borrow, default)]
    pub conversation: Option<&'a RawValue>,
    /// A prompt kept by OpenAI.
    #[serde(borrow, default)]
    pub prompt: Option<&'a RawValue>,
    /// Whether to answer later.
    #[serde(default)]
    pub background: Option<bool>,
    /// Whether to keep the answer; yes unless told otherwise.
    #[serde(default)]
    pub store: Option<bool>,
    /// Whether to stream.
    #[serde(default)]
    pub stream: Option<bool>,
    /// What else to tell, e.g. `message.output_text.logprobs`.
    #[serde(borrow, default)]
    pub include: Option<Vec<Str<'a>>>,
    /// The limit, reasoning included.
    #[serde(default)]
    pub max_output_tokens: Option<i64>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<Number>,
    /// Of how many alternatives to tell likelihoods.
    #[serde(default)]
    pub top_logprobs: Option<u32>,
    /// Functions and built-in tools.
    #[serde(borrow, default)]
    pub tools: Option<Vec<Tool<'a>>>,
    /// Which tool must be called.
    #[serde(borrow, default)]
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether several tools may be called at once; yes unless told otherwise.
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    /// How much to think, and whether to show it.
    #[serde(borrow, default)]
    pub reasoning: Option<Reasoning<'a>>,
    /// The output's format.
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    /// Google's own options, as in [`super::chat::Request`].
    #[serde(borrow, default)]
    pub google: Option<Google<'a>>,
    /// The same one or two levels deeper.
    #[serde(borrow, default)]
    pub extra_body: Option<ExtraBody<'a>>,
}

/// How much to think, and whether to show it.
#[derive(Debug, Default, Deserialize)]
pub struct Reasoning<'a> {
    /// How much.
    #[serde(default)]
    pub effort: Option<Effort>,
    /// `auto`, `concise`, `detailed`: thoughts are shown. Gemini has one kind of summary.
    #[serde(borrow, default)]
    pub summary: Option<Str<'a>>,
    /// The older name of `summary`.
    #[serde(borrow, default)]
    pub generate_summary: Option<Str<'a>>,
}

/// About the text of the answer.
#[derive(Debug, Default, Deserialize)]
pub struct Text<'a> {
    /// Its format.
    #[serde(borrow, default)]
    pub format: Option<Format<'a>>,
}

/// The output's format.
#[derive(Debug, Deserialize)]
pub struct Format<'a> {
    /// `text`, `json_object`, `json_schema`.
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    /// Of `json_schema`: JSON Schema.
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
}

/// A tool.
#[derive(Debug, Deserialize)]
pub struct Tool<'a> {
    /// `function`, `custom`, `namespace`, or a built-in one.
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    /// Of `function`, `custom` and `namespace`.
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    /// The same.
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    /// Of `function`: JSON Schema.
    #[serde(borrow, default)]
    pub parameters: Option<&'a RawValue>,
    /// Of `custom`: what its input looks like.
    #[serde(borrow, default)]
    pub format: Option<Grammar<'a>>,
    /// Of `namespace`: the tools in it.
    #[serde(borrow, default)]
    pub tools: Option<Vec<Tool<'a>>>,
    /// Of `image_generation`: `1024x1024`, `auto`.
    #[serde(borrow, default)]
    pub size: Option<Str<'a>>,
    /// The same: `low`, `medium`, `high`, `auto`.
    #[serde(borrow, default)]
    pub quality: Option<Str<'a>>,
}

/// One item of the input; which fields it has depends on its kind.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    /// Its kind; absent for a message.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Str<'a>>,
    /// Its id.
    #[serde(borrow, default)]
    pub id: Option<Str<'a>>,
    /// Of a message: who speaks.
    #[serde(borrow, default)]
    pub role: Option<Str<'a>>,
    /// Of a message: a text or a list of [`Part`]s.
    #[serde(borrow, default)]
    pub content: Option<&'a RawValue>,
    /// Of calls and their results: what links them.
    #[serde(borrow, default)]
    pub call_id: Option<Str<'a>>,
    /// Of calls: the function.
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    /// Of calls: the namespace that the function is in.
    #[serde(borrow, default)]
    pub namespace: Option<Str<'a>>,
    /// Of `function_call`: JSON in a string.
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    /// Of `custom_tool_call`.
    #[serde(borrow, default)]
    pub input: Option<Str<'a>>,
    /// Of results: a text or a list of [`Part`]s.
    #[serde(borrow, default)]
    pub output: Option<&'a RawValue>,
    /// Of `reasoning`.
    #[serde(borrow, default)]
    pub encrypted_content: Option<Str<'a>>,
    /// Of `image_generation_call`: base64.
    #[serde(borrow, default)]
    pub result: Option<Str<'a>>,
    /// Of `image_generation_call`: `png`, `jpeg`, `webp`.
    #[serde(borrow, default)]
    pub output_format: Option<Str<'a>>,
    /// Of `code_interpreter_call`: what was run.
    #[serde(borrow, default)]
    pub code: Option<Str<'a>>,
    /// Of `code_interpreter_call`: what came of it.
    #[serde(borrow, default)]
    pub outputs: Option<Vec<CodeOutput<'a>>>,
    /// Of `additional_tools`, which Codex sends.
    #[serde(borrow, default)]
    pub tools: Option<Vec<Tool<'a>>>,
    /// Google's: holds the thought signature.
    #[serde(borrow, default)]
    pub extra_content: Option<ExtraContent<'a>>,
}

/// What came of code: text that it printed, or an image elsewhere.
#[derive(Debug, Deserialize)]
pub struct CodeOutput<'a> {
    /// Of `logs`.
    #[serde(borrow, default)]
    pub logs: Option<Str<'a>>,
}

/// One part of a message or of a result.
#[derive(Debug, Deserialize)]
pub struct Part<'a> {
    /// Its kind.
    #[serde(borrow, default, rename = "type")]
    pub kind: Str<'a>,
    /// Of `input_text`, `output_text` and their like.
    #[serde(borrow, default)]
    pub text: Option<Str<'a>>,
    /// Of `refusal`.
    #[serde(borrow, default)]
    pub refusal: Option<Str<'a>>,
    /// Of `input_image`.
    #[serde(borrow, default)]
    pub image_url: Option<Url<'a>>,
    /// Of `input_audio`, as chat has it.
    #[serde(borrow, default)]
    pub input_audio: Option<Media<'a>>,
    /// Of `input_file`: a data URL, or bare base64.
    #[serde(borrow, default)]
    pub file_data: Option<Str<'a>>,
    /// Of `input_file`: an address.
    #[serde(borrow, default)]
    pub file_url: Option<Str<'a>>,
    /// Of `input_file` and `input_image`: an uploaded file.
    #[serde(borrow, default)]
    pub file_id: Option<Str<'a>>,
    /// Of `input_file`.
    #[serde(borrow, default)]
    pub filename: Option<Str<'a>>,
}
