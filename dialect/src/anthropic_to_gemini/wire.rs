//! Anthropic's answer, as we write it: pieces that whole answers and streams share.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::explanation;
use crate::gemini::sources::{Cited, Sources};
use crate::gemini::{FinishReason, Usage};

/// A block of content; in a stream, as it starts.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Citation<'a>>,
    },
    Thinking {
        thinking: Cow<'a, str>,
        signature: Cow<'a, str>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, RawValue>,
    },
    ServerToolUse {
        id: Cow<'a, str>,
        name: &'static str,
        input: Query<'a>,
    },
    WebSearchToolResult {
        tool_use_id: Cow<'a, str>,
        content: Vec<Found<'a>>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Query<'a> {
    query: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Found<'a> {
    r#type: &'static str,
    url: &'a str,
    title: &'a str,
    encrypted_content: &'static str,
    page_age: Option<()>,
}

/// Words of the text, and a source of them. Anthropic's own search quotes the source here, of
/// which Google tells nothing but the address.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Citation<'a> {
    r#type: &'static str,
    cited_text: Cow<'a, str>,
    url: Cow<'a, str>,
    title: Cow<'a, str>,
    encrypted_index: &'static str,
}

/// What the last text says of its sources; of the words of others it cannot.
pub(super) fn citations(sources: &Sources) -> impl Iterator<Item = Citation<'_>> {
    let is_last = |cited: &Cited<'_>| cited.to.message == sources.end().message;
    sources.cited().filter(is_last).map(|cited| Citation {
        r#type: "web_search_result_location",
        cited_text: cited.words.into(),
        url: (&*cited.source.url).into(),
        title: (&*cited.source.title).into(),
        encrypted_index: "",
    })
}

/// What Google's search did, as Anthropic's own search would tell it.
pub(super) fn searched<'a>(sources: &'a Sources, answer: &str) -> Option<[Block<'a>; 2]> {
    let content: Vec<Found<'a>> = sources
        .found()
        .iter()
        .map(|source| Found {
            r#type: "web_search_result",
            url: &source.url,
            title: &source.title,
            encrypted_content: "",
            page_age: None,
        })
        .collect();
    if content.is_empty() {
        return None;
    }
    let id = format!("srvtoolu_{}", own(answer));
    Some([
        Block::ServerToolUse {
            id: id.clone().into(),
            name: "web_search",
            input: Query {
                query: sources.queries().join("; ").into(),
            },
        },
        Block::WebSearchToolResult {
            tool_use_id: id.into(),
            content,
        },
    ])
}

/// The answer's own part of its id.
fn own(answer: &str) -> &str {
    answer.strip_prefix("msg_").unwrap_or(answer)
}

/// The call's id, or one made for it: unique as the answer's id is. Anthropic's ids have
/// letters, digits, `_` and `-` only, and clients check that.
pub(crate) fn call_id(given: Option<&str>, answer: &str, number: u32) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match given {
        Some(id) if !id.is_empty() && id.chars().all(fits) => id.to_owned(),
        _ => format!("toolu_{}_{number}", own(answer)),
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct UsageOut {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ServerToolUse {
    web_search_requests: usize,
    /// Google does not count what it reads by an address.
    web_fetch_requests: usize,
}

impl UsageOut {
    /// With what Google searched for.
    pub fn with_searches(mut self, sources: &Sources) -> Self {
        let searches = match sources.found() {
            [] => sources.queries().len(),
            // Google does not always tell what it searched for.
            _ => sources.queries().len().max(1),
        };
        self.server_tool_use = (searches > 0).then_some(ServerToolUse {
            web_search_requests: searches,
            web_fetch_requests: 0,
        });
        self
    }
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            // Anthropic counts cached tokens apart.
            input_tokens: usage.prompt.saturating_sub(usage.cached),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.output,
            server_tool_use: None,
        }
    }
}

/// How an answer ended.
pub(super) struct End {
    pub stop_reason: &'static str,
    /// What to tell when there is nothing else to show.
    pub explanation: Option<String>,
}

impl End {
    /// `native` is Google's `finishReason`.
    pub fn of(native: &str, message: Option<&str>, called: bool) -> Self {
        let clean = |stop_reason| Self {
            stop_reason,
            explanation: None,
        };
        let explained = |stop_reason| Self {
            stop_reason,
            explanation: Some(explanation::ended(native, message, called)),
        };
        match native {
            "STOP" if called => clean("tool_use"),
            "STOP" => clean("end_turn"),
            "MAX_TOKENS" => clean("max_tokens"),
            _ if FinishReason::of(native).is_filter() => explained("refusal"),
            _ if called => explained("tool_use"),
            _ => explained("end_turn"),
        }
    }

    /// A refused prompt.
    pub fn refused(reason: &str, message: Option<&str>) -> Self {
        Self {
            stop_reason: "refusal",
            explanation: Some(explanation::refused(reason, message)),
        }
    }
}
