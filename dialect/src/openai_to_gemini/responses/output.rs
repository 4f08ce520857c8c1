//! What an answer is made of, as it is written. Fields and their nulls as in OpenAI's OpenAPI
//! description, `OutputItem`.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::gemini::Usage;
use crate::openai_to_gemini::wire::Citation;

/// One item of the output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Output {
    Reasoning {
        id: String,
        summary: Vec<Summary>,
        /// The signature of the call behind it, marked as Google's.
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    Message {
        id: String,
        status: Status,
        role: &'static str,
        /// At most one part.
        content: Vec<Content>,
        /// Of the text.
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<Extra>,
    },
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        arguments: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<Extra>,
    },
    CustomToolCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        input: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<Extra>,
    },
    ImageGenerationCall {
        id: String,
        status: Status,
        /// Base64.
        result: Option<String>,
        output_format: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<Extra>,
    },
    WebSearchCall {
        id: String,
        status: Status,
        action: Search,
    },
    CodeInterpreterCall {
        id: String,
        status: Status,
        code: String,
        /// Google does not tell where it runs code.
        container_id: &'static str,
        outputs: Option<Vec<Logs>>,
    },
}

/// What code printed.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Logs {
    Logs { logs: String },
}

impl Output {
    pub fn id(&self) -> &str {
        match self {
            Self::Reasoning { id, .. }
            | Self::Message { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. }
            | Self::ImageGenerationCall { id, .. }
            | Self::WebSearchCall { id, .. }
            | Self::CodeInterpreterCall { id, .. } => id,
        }
    }

    /// Says how it is with the item; reasoning says nothing of it.
    pub fn set_status(&mut self, now: Status) {
        match self {
            Self::Reasoning { .. } => {}
            Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::CustomToolCall { status, .. }
            | Self::ImageGenerationCall { status, .. }
            | Self::WebSearchCall { status, .. }
            | Self::CodeInterpreterCall { status, .. } => *status = now,
        }
    }
}

/// How it is with an item or with the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Summary {
    #[serde(rename = "summary_text")]
    Text { text: String },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    OutputText {
        text: String,
        annotations: Vec<Annotation>,
        logprobs: Vec<Box<RawValue>>,
    },
    Refusal {
        refusal: String,
    },
}

impl Content {
    pub fn empty_text() -> Self {
        Self::OutputText {
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

/// A source of the text.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Annotation {
    UrlCitation {
        start_index: usize,
        end_index: usize,
        url: String,
        title: String,
    },
}

impl From<Citation<'_>> for Annotation {
    fn from(citation: Citation<'_>) -> Self {
        Self::UrlCitation {
            start_index: citation.start_index,
            end_index: citation.end_index,
            url: citation.url.to_owned(),
            title: citation.title.to_owned(),
        }
    }
}

/// What was searched for, and what was found.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Search {
    Search {
        query: String,
        queries: Vec<String>,
        sources: Vec<Source>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source {
    Url { url: String },
}

/// Where chat has a signature, too.
#[derive(Debug, Serialize)]
pub(super) struct Extra {
    google: ExtraGoogle,
}

#[derive(Debug, Serialize)]
struct ExtraGoogle {
    thought_signature: String,
}

impl Extra {
    pub fn of(signature: Option<&str>) -> Option<Self> {
        signature.map(|signature| Self {
            google: ExtraGoogle {
                thought_signature: signature.to_owned(),
            },
        })
    }
}

#[derive(Serialize)]
pub(super) struct UsageOut {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    /// Google fills its caches by itself and counts nothing for it.
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached,
                cache_write_tokens: 0,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.thoughts,
            },
            total_tokens: usage.total,
        }
    }
}
