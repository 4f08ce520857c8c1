//! The body of `generateContent`, as we write it. Absent fields are left out: nothing is
//! sent that the client did not ask for.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::fetch::Wanted;
use crate::file_id::FileId;

/// JSON that passes through as it was written.
pub type Raw<'a> = Cow<'a, RawValue>;

/// The whole body.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// What the model is told before the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<Content<'a>>,
    /// The conversation.
    pub contents: Vec<Content<'a>>,
    /// Function declarations and built-in tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    /// Whether and which functions must be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig<'a>>,
    /// The client's own, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_settings: Option<Raw<'a>>,
    /// Sampling, limits, output format, thinking.
    #[serde(skip_serializing_if = "GenerationConfig::is_empty")]
    pub generation_config: GenerationConfig<'a>,
    /// The name of cached content, `cachedContents/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_content: Option<Cow<'a, str>>,
}

/// One turn.
#[derive(Debug, Serialize)]
pub struct Content<'a> {
    /// Who speaks; absent in a system instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What is said.
    pub parts: Vec<Part<'a>>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The client, and the results of its tools.
    User,
    /// The model.
    Model,
}

/// One part of a turn: exactly one of its kinds is set.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part<'a> {
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    /// The text is a thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// Media in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<Blob<'a>>,
    /// Media by address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<FileData<'a>>,
    /// A call that the model made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCall<'a>>,
    /// What the call gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_response: Option<FunctionResponse<'a>>,
    /// What one of Google's own tools was called with, as Google told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call: Option<Raw<'a>>,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_response: Option<Raw<'a>>,
    /// The model's sealed thoughts, to be returned on the very part they came on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<Cow<'a, str>>,
}

impl<'a> Part<'a> {
    /// A part of text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// A part of media.
    pub fn inline(mime_type: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> Self {
        Self {
            inline_data: Some(Blob {
                mime_type: mime_type.into(),
                data: data.into(),
            }),
            ..Self::default()
        }
    }
}

/// Media in the body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blob<'a> {
    /// IANA media type.
    pub mime_type: Cow<'a, str>,
    /// Base64.
    pub data: Cow<'a, str>,
}

/// Media by address.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileData<'a> {
    /// IANA media type, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<Cow<'a, str>>,
    /// A file of Google's Files API, a YouTube address, or one that is still to be fetched.
    pub file_uri: Cow<'a, str>,
    /// Set when it is to be fetched before the body goes to Google.
    #[serde(skip)]
    pub(crate) fetch: Option<Box<Wanted>>,
    /// What it is known by, when a client has uploaded it here.
    #[serde(skip)]
    pub(crate) upload: Option<FileId>,
}

/// A call that the model made.
#[derive(Debug, Serialize)]
pub struct FunctionCall<'a> {
    /// The call's id, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// The function.
    pub name: Cow<'a, str>,
    /// A JSON object.
    pub args: Raw<'a>,
}

/// What a call gave.
#[derive(Debug, Serialize)]
pub struct FunctionResponse<'a> {
    /// The call's id, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// The function.
    pub name: Cow<'a, str>,
    /// Its result.
    pub response: ResultText<'a>,
}

/// A result as text under the key that Google documents for it.
///
/// Never parsed into JSON, even if it is some: Google keeps numbers of a `Struct` as
/// doubles, which would change long ids.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultText<'a> {
    /// What the function returned.
    Output(Cow<'a, str>),
    /// Why it failed.
    Error(Cow<'a, str>),
}

/// One entry of `tools`: exactly one of its kinds is set, or it is the client's own JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tool<'a> {
    /// The client's functions.
    FunctionDeclarations(Vec<FunctionDeclaration<'a>>),
    /// Google Search.
    GoogleSearch(Empty),
    /// Reading of addresses in the prompt.
    UrlContext(Empty),
    /// Python, run by Google.
    CodeExecution(Empty),
    /// Passed through.
    #[serde(untagged)]
    Own(Raw<'a>),
}

/// `{}`
#[derive(Debug, Serialize)]
pub struct Empty {}

/// A function the model may call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionDeclaration<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    /// Its parameters as JSON Schema, untouched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_json_schema: Option<Raw<'a>>,
    /// Its parameters in Google's own, smaller language of schemas, for models that take no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Raw<'a>>,
}

/// Whether and which functions must be called.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolConfig<'a> {
    /// About functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_calling_config: Option<FunctionCalling<'a>>,
    /// Google's own tools may be used beside functions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_server_side_tool_invocations: bool,
}

impl<'a> From<FunctionCalling<'a>> for ToolConfig<'a> {
    fn from(calling: FunctionCalling<'a>) -> Self {
        Self {
            function_calling_config: Some(calling),
            include_server_side_tool_invocations: false,
        }
    }
}

/// Whether and which functions must be called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionCalling<'a> {
    /// Whether.
    pub mode: CallingMode,
    /// Which; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_function_names: Vec<Cow<'a, str>>,
}

/// Whether functions must be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CallingMode {
    /// The model decides.
    Auto,
    /// It must call one.
    Any,
    /// It must not.
    None,
}

/// Sampling, limits, output format, thinking.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationConfig<'a> {
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<Cow<'a, str>>,
    /// `application/json` for JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_type: Option<Cow<'a, str>>,
    /// JSON Schema of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json_schema: Option<Raw<'a>>,
    /// The same in Google's own language of schemas, for models that take no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Raw<'a>>,
    /// `TEXT`, `IMAGE`, `AUDIO`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_modalities: Option<Raw<'a>>,
    /// Thoughts included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Number>,
    /// Sampling among the k likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<Number>,
    /// Seed of the sampling; 32 bits at Google.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i32>,
    /// Penalty for tokens present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<Number>,
    /// Penalty for frequent tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<Number>,
    /// Whether to tell likelihoods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_logprobs: Option<bool>,
    /// Of how many alternatives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    /// How much to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_config: Option<ThinkingConfig<'a>>,
    /// Size and shape of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_config: Option<Raw<'a>>,
    /// Voices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_config: Option<Raw<'a>>,
    /// How finely images are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_resolution: Option<Raw<'a>>,
}

impl GenerationConfig<'_> {
    fn is_empty(&self) -> bool {
        let Self {
            stop_sequences,
            response_mime_type,
            response_json_schema,
            response_schema,
            response_modalities,
            max_output_tokens,
            temperature,
            top_p,
            top_k,
            seed,
            presence_penalty,
            frequency_penalty,
            response_logprobs,
            logprobs,
            thinking_config,
            image_config,
            speech_config,
            media_resolution,
        } = self;
        stop_sequences.is_empty()
            && response_mime_type.is_none()
            && response_json_schema.is_none()
            && response_schema.is_none()
            && response_modalities.is_none()
            && max_output_tokens.is_none()
            && temperature.is_none()
            && top_p.is_none()
            && top_k.is_none()
            && seed.is_none()
            && presence_penalty.is_none()
            && frequency_penalty.is_none()
            && response_logprobs.is_none()
            && logprobs.is_none()
            && thinking_config.is_none()
            && image_config.is_none()
            && speech_config.is_none()
            && media_resolution.is_none()
    }
}

/// How much to think: a budget or a level, never both (Google refuses that).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThinkingConfig<'a> {
    /// Whether thoughts are sent back as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_thoughts: Option<bool>,
    /// Tokens; 0 is off, -1 leaves it to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<i64>,
    /// `minimal`, `low`, `medium`, `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<Cow<'a, str>>,
}

impl ThinkingConfig<'_> {
    /// The same without thoughts in the answer; `None` when nothing is left to say.
    pub fn without_thoughts(self) -> Option<Self> {
        let silent = Self {
            include_thoughts: None,
            ..self
        };
        (silent != Self::default()).then_some(silent)
    }
}
