//! The body of the legacy `/v1/completions`, as we read it. Source: OpenAI's OpenAPI
//! description, `CreateCompletionRequest`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::embeddings::Input;
use crate::text::Str;

/// The whole body. What chat has under the same name is handed on as it was written.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// The model's name; required.
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    /// The text to go on from; required.
    #[serde(borrow, default)]
    pub prompt: Option<Input<'a>>,
    /// What comes behind the text that is asked for.
    #[serde(borrow, default)]
    pub suffix: Option<Str<'a>>,
    /// Whether the answer begins with the prompt.
    #[serde(default)]
    pub echo: Option<bool>,
    /// Of how many answers the best ones are given.
    #[serde(default)]
    pub best_of: Option<u32>,
    /// How many answers.
    #[serde(default)]
    pub n: Option<u32>,
    /// Of how many alternatives to tell likelihoods.
    #[serde(default)]
    pub logprobs: Option<u32>,
    /// Whether to stream.
    #[serde(borrow, default)]
    pub stream: Option<&'a RawValue>,
    /// About the stream.
    #[serde(borrow, default)]
    pub stream_options: Option<&'a RawValue>,
    /// The limit.
    #[serde(borrow, default)]
    pub max_tokens: Option<&'a RawValue>,
    /// Sampling temperature.
    #[serde(borrow, default)]
    pub temperature: Option<&'a RawValue>,
    /// Nucleus sampling.
    #[serde(borrow, default)]
    pub top_p: Option<&'a RawValue>,
    /// Seed of the sampling.
    #[serde(borrow, default)]
    pub seed: Option<&'a RawValue>,
    /// Texts that end the answer.
    #[serde(borrow, default)]
    pub stop: Option<&'a RawValue>,
    /// Penalty for tokens present.
    #[serde(borrow, default)]
    pub presence_penalty: Option<&'a RawValue>,
    /// Penalty for frequent tokens.
    #[serde(borrow, default)]
    pub frequency_penalty: Option<&'a RawValue>,
    /// How much to think, which OpenAI's has not.
    #[serde(borrow, default)]
    pub reasoning_effort: Option<&'a RawValue>,
    /// Google's own options, as in chat.
    #[serde(borrow, default)]
    pub google: Option<&'a RawValue>,
    /// The same, deeper.
    #[serde(borrow, default)]
    pub extra_body: Option<&'a RawValue>,
}
