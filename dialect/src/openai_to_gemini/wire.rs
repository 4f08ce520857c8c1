//! OpenAI's answer, as we write it: pieces that whole answers and streams share. Fields and
//! their nulls as in OpenAI's OpenAPI description.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::special::{Called, Given};
use crate::explanation;
use crate::gemini::Usage;
use crate::gemini::response::{Logprobs, TokenLikelihood};
use crate::gemini::sources::{Cited, Source, Sources};

#[derive(Serialize)]
pub(super) struct ToolCall<'a> {
    /// In streams only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    id: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<Custom<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

impl<'a> ToolCall<'a> {
    /// The call of a function or of a custom tool.
    pub fn of(id: &'a str, called: Called<'a>, signature: Option<&'a str>) -> Self {
        let name = called.name;
        let (r#type, function, custom) = match called.given {
            Given::Arguments(arguments) => ("function", Some(Function { name, arguments }), None),
            Given::Input(input) => ("custom", None, Some(Custom { name, input })),
        };
        Self {
            index: None,
            id,
            r#type,
            function,
            custom,
            extra_content: ExtraContent::of(signature),
        }
    }

    /// The older form of it.
    pub fn into_function(self) -> Option<Function<'a>> {
        self.function
    }
}

/// OpenAI's word for what answers: Google's version of the model. It changes when the answers to
/// the same seed may.
pub(super) fn fingerprint(model_version: Option<&str>) -> Option<String> {
    let version = model_version.filter(|version| !version.is_empty());
    version.map(|version| format!("fp_{version}"))
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    name: &'a str,
    arguments: Cow<'a, str>,
}

#[derive(Serialize)]
struct Custom<'a> {
    name: &'a str,
    input: String,
}

#[derive(Serialize)]
pub(super) struct ExtraContent<'a> {
    google: GoogleContent<'a>,
}

#[derive(Serialize)]
struct GoogleContent<'a> {
    thought_signature: &'a str,
}

impl<'a> ExtraContent<'a> {
    pub fn of(signature: Option<&'a str>) -> Option<Self> {
        signature.map(|thought_signature| Self {
            google: GoogleContent { thought_signature },
        })
    }
}

/// OpenRouter's form of an image in an answer.
#[derive(Serialize)]
pub(super) struct Image<'a> {
    r#type: &'static str,
    image_url: ImageUrl,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

impl<'a> Image<'a> {
    pub fn of(mime_type: &str, data: &str, signature: Option<&'a str>) -> Self {
        Self {
            r#type: "image_url",
            image_url: ImageUrl {
                url: format!("data:{mime_type};base64,{data}"),
            },
            extra_content: ExtraContent::of(signature),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Annotation<'a> {
    r#type: &'static str,
    url_citation: Citation<'a>,
}

/// A place in the text, and the source that it is from.
#[derive(Debug, Serialize)]
pub(super) struct Citation<'a> {
    /// In characters of the text.
    pub start_index: usize,
    /// In characters of the text.
    pub end_index: usize,
    pub url: &'a str,
    pub title: &'a str,
}

impl<'a> From<Citation<'a>> for Annotation<'a> {
    fn from(url_citation: Citation<'a>) -> Self {
        Self {
            r#type: "url_citation",
            url_citation,
        }
    }
}

/// Citations in the client's last message: of words in it where they stand, of all else at its
/// end.
pub(super) fn citations<'a, T: From<Citation<'a>>>(
    sources: &'a Sources,
    first_message: usize,
) -> Vec<T> {
    let end = sources.end();
    let cite = |source: &'a Source, start_index, end_index| {
        T::from(Citation {
            start_index,
            end_index,
            url: &source.url,
            title: &source.title,
        })
    };
    let of_these = |cited: &Cited<'_>| cited.to.message >= first_message;
    let cited = sources.cited().filter(of_these).map(
        |Cited {
             source, from, to, ..
         }| {
            match (from.message == end.message, to.message == end.message) {
                (true, true) => cite(source, from.at, to.at),
                // It begins in an earlier one.
                (false, true) => cite(source, 0, to.at),
                _ => cite(source, end.at, end.at),
            }
        },
    );
    let rest = sources.uncited().filter(|_| first_message == 0);
    cited
        .chain(rest.map(|source| cite(source, end.at, end.at)))
        .collect()
}

#[derive(Serialize)]
pub(super) struct LogprobsOut<'a> {
    content: Vec<TokenOut<'a>>,
    refusal: Option<()>,
}

impl LogprobsOut<'_> {
    /// The tokens, each as JSON.
    pub fn into_tokens(self) -> impl Iterator<Item = Box<RawValue>> {
        let json = |token: &TokenOut<'_>| serde_json::value::to_raw_value(token).ok();
        self.content
            .into_iter()
            .filter_map(move |token| json(&token))
    }
}

#[derive(Serialize)]
struct TokenOut<'a> {
    #[serde(flatten)]
    token: Likelihood<'a>,
    top_logprobs: Vec<Likelihood<'a>>,
}

#[derive(Serialize)]
struct Likelihood<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

impl<'a> LogprobsOut<'a> {
    pub fn of(logprobs: &'a Logprobs<'a>) -> Self {
        let likelihood = |token: &'a TokenLikelihood<'a>| Likelihood {
            token: &token.token,
            logprob: token.log_probability,
            bytes: token.token.as_bytes(),
        };
        let mut tops = logprobs.top_candidates.iter().flatten();
        Self {
            content: logprobs
                .chosen_candidates
                .iter()
                .flatten()
                .map(|token| TokenOut {
                    token: likelihood(token),
                    top_logprobs: tops
                        .next()
                        .and_then(|top| top.candidates.as_ref())
                        .map(|top| top.iter().map(likelihood).collect())
                        .unwrap_or_default(),
                })
                .collect(),
            refusal: None,
        }
    }
}

#[derive(Serialize)]
pub(super) struct UsageOut {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    audio_tokens: u64,
    /// Not OpenAI's in chat, but in its image API.
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt,
            completion_tokens: usage.output,
            total_tokens: usage.total,
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached,
                audio_tokens: usage.prompt_audio,
                image_tokens: usage.prompt_images,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.thoughts,
                audio_tokens: usage.output_audio,
                image_tokens: usage.output_images,
            },
        }
    }
}

/// How a choice ended.
pub(super) struct End {
    pub finish_reason: &'static str,
    /// Google's word, where OpenAI's does not say it.
    pub native: Option<String>,
    /// What to tell when there is nothing else to show.
    pub explanation: Option<String>,
}

impl End {
    /// `native` is Google's `finishReason`.
    pub fn of(native: &str, message: Option<&str>, called: bool) -> Self {
        let clean = |finish_reason| Self {
            finish_reason,
            native: None,
            explanation: None,
        };
        let explained = |finish_reason| Self {
            finish_reason,
            native: Some(native.to_owned()),
            explanation: Some(explanation::ended(native, message, called)),
        };
        match native {
            "STOP" if called => clean("tool_calls"),
            "STOP" => clean("stop"),
            "MAX_TOKENS" => clean("length"),
            _ if crate::gemini::FinishReason::of(native).is_filter() => explained("content_filter"),
            _ if called => explained("tool_calls"),
            _ => explained("stop"),
        }
    }
}

/// OpenAI's finish reason; of a call in the older form that form's.
pub(super) fn in_form(finish_reason: &'static str, is_older: bool) -> &'static str {
    match (finish_reason, is_older) {
        ("tool_calls", true) => "function_call",
        _ => finish_reason,
    }
}

/// What is an answer's own of its id.
pub(super) fn own_part(answer: &str) -> &str {
    ["chatcmpl-", "resp_"]
        .iter()
        .find_map(|kind| answer.strip_prefix(kind))
        .unwrap_or(answer)
}

/// A call's id: Google's, or one made for it, unique as the answer's id is.
pub(crate) fn call_id(given: Option<&str>, answer: &str, choice: u32, call: u32) -> String {
    match given {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => format!("call_{}_{choice}_{call}", own_part(answer)),
    }
}
