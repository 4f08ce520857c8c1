//! The answer of `generateContent`, as we read it. Unknown fields are passed over.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use super::peek::UsageMetadata;
use crate::error::Malformed;
use crate::text::{Str, compact, empty_object};

/// A whole answer, or one event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response<'a> {
    #[serde(borrow, default)]
    pub candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, default)]
    pub prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(default)]
    pub usage_metadata: Option<UsageMetadata>,
    /// Which version of the model answers.
    #[serde(borrow, default)]
    pub model_version: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub error: Option<InnerError<'a>>,
}

impl<'a> Response<'a> {
    /// Parses an answer; an error object in its place is an error here too.
    pub fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let response: Self = serde_json::from_slice(data).map_err(|e| Malformed::json(&e))?;
        match response.error {
            None => Ok(response),
            Some(error) => Err(Malformed::new(format!(
                "Google sent an error in place of an answer: {}",
                error.message.as_deref().unwrap_or("no message")
            ))),
        }
    }
}

impl<'a> Response<'a> {
    /// The candidate for protocols that know only one.
    pub fn into_first_candidate(self) -> Option<Candidate<'a>> {
        self.candidates?
            .into_iter()
            .find(|candidate| candidate.index.unwrap_or(0) == 0)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct InnerError<'a> {
    #[serde(borrow, default)]
    pub message: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptFeedback<'a> {
    #[serde(borrow, default)]
    pub block_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub block_reason_message: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate<'a> {
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub finish_message: Option<Str<'a>>,
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(borrow, default)]
    pub grounding_metadata: Option<Grounding<'a>>,
    #[serde(borrow, default)]
    pub logprobs_result: Option<Logprobs<'a>>,
}

impl<'a> Candidate<'a> {
    /// Its parts, none if it has none.
    pub fn take_parts(&mut self) -> Vec<Part<'a>> {
        self.content
            .take()
            .and_then(|content| content.parts)
            .unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Content<'a> {
    #[serde(borrow, default)]
    pub parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part<'a> {
    #[serde(borrow, default)]
    pub text: Option<Str<'a>>,
    #[serde(default)]
    pub thought: Option<bool>,
    #[serde(borrow, default)]
    pub thought_signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub inline_data: Option<Blob<'a>>,
    #[serde(borrow, default)]
    pub file_data: Option<FileData<'a>>,
    #[serde(borrow, default)]
    pub function_call: Option<FunctionCall<'a>>,
    #[serde(borrow, default)]
    pub executable_code: Option<Code<'a>>,
    #[serde(borrow, default)]
    pub code_execution_result: Option<CodeResult<'a>>,
    /// What Google's own tools were called with, where functions are used beside them.
    #[serde(borrow, default)]
    pub tool_call: Option<&'a RawValue>,
    /// What they gave.
    #[serde(borrow, default)]
    pub tool_response: Option<&'a RawValue>,
}

impl Part<'_> {
    /// The signature of what the part says.
    pub fn signature_of_text(&self) -> Option<&str> {
        let says = self.text.is_some() && self.thought != Some(true);
        self.thought_signature.as_deref().filter(|_| says)
    }

    /// The part as JSON when it tells what Google's own tools did.
    pub fn own_tool(&self) -> Option<String> {
        let (name, value) = match (self.tool_call, self.tool_response) {
            (Some(call), _) => ("toolCall", call),
            (None, Some(response)) => ("toolResponse", response),
            (None, None) => return None,
        };
        let signature = match &self.thought_signature {
            Some(signature) => format!(
                ",\"thoughtSignature\":{}",
                serde_json::Value::from(&**signature)
            ),
            None => String::new(),
        };
        Some(format!(
            "{{\"{name}\":{}{signature}}}",
            compact(value.get())
        ))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob<'a> {
    #[serde(borrow, default)]
    pub mime_type: Str<'a>,
    #[serde(borrow, default)]
    pub data: Str<'a>,
}

impl Blob<'_> {
    /// As Markdown, for text to have it. [`crate::media::from_markdown`] reads it back.
    pub fn markdown(&self) -> String {
        let (kind, data) = (&*self.mime_type, &*self.data);
        match kind.starts_with("image/") {
            true => format!("![image](data:{kind};base64,{data})"),
            false => format!("[{kind}](data:{kind};base64,{data})"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileData<'a> {
    #[serde(borrow, default)]
    pub file_uri: Str<'a>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FunctionCall<'a> {
    #[serde(borrow, default)]
    pub id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub name: Str<'a>,
    #[serde(borrow, default)]
    pub args: Option<&'a RawValue>,
}

impl<'a> FunctionCall<'a> {
    /// The arguments as JSON text; `{}` when Google left them out. Numbers stay as written,
    /// but the indentation of Google's whole answers goes.
    pub fn args(&self) -> Cow<'a, str> {
        match self.args.map(RawValue::get) {
            None | Some("null") => "{}".into(),
            Some(args) => compact(args),
        }
    }

    /// The arguments as JSON.
    pub fn args_json(&self) -> Cow<'a, RawValue> {
        match self.args {
            Some(args) if args.get() != "null" => Cow::Borrowed(args),
            _ => Cow::Owned(empty_object()),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Code<'a> {
    #[serde(borrow, default)]
    pub language: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub code: Str<'a>,
}

impl Code<'_> {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let language = match self.language.as_deref() {
            None | Some("LANGUAGE_UNSPECIFIED") => String::new(),
            Some(language) => language.to_ascii_lowercase(),
        };
        fenced(&language, self.code.trim_end_matches('\n'))
    }
}

/// A block of code in Markdown. More backticks stand around it than it has in a row, else one of
/// those would end the block.
pub(crate) fn fenced(language: &str, code: &str) -> String {
    let runs = code.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or_default().max(2) + 1);
    format!("\n{fence}{language}\n{code}\n{fence}\n")
}

#[derive(Debug, Deserialize)]
pub(crate) struct CodeResult<'a> {
    #[serde(borrow, default)]
    pub outcome: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub output: Option<Str<'a>>,
}

impl CodeResult<'_> {
    /// What was printed; a failure is named.
    pub fn logs(&self) -> String {
        let output = self.output.as_deref().unwrap_or("").trim_end_matches('\n');
        match self.outcome.as_deref() {
            None | Some("OUTCOME_OK") => output.to_owned(),
            Some(outcome) => format!("{outcome}\n{output}"),
        }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        fenced("", &self.logs())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grounding<'a> {
    #[serde(borrow, default)]
    pub web_search_queries: Option<Vec<Str<'a>>>,
    #[serde(borrow, default)]
    pub grounding_chunks: Option<Vec<GroundingChunk<'a>>>,
    #[serde(borrow, default)]
    pub grounding_supports: Option<Vec<GroundingSupport<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroundingChunk<'a> {
    #[serde(borrow, default)]
    pub web: Option<Web<'a>>,
    #[serde(borrow, default)]
    pub maps: Option<Web<'a>>,
    #[serde(borrow, default)]
    pub retrieved_context: Option<Web<'a>>,
}

impl<'a> GroundingChunk<'a> {
    /// The source, of whichever kind.
    pub fn source(&self) -> Option<&Web<'a>> {
        self.web
            .as_ref()
            .or(self.maps.as_ref())
            .or(self.retrieved_context.as_ref())
            .filter(|web| web.uri.is_some())
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Web<'a> {
    #[serde(borrow, default)]
    pub uri: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub title: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroundingSupport<'a> {
    #[serde(borrow, default)]
    pub segment: Option<Segment<'a>>,
    #[serde(default)]
    pub grounding_chunk_indices: Option<Vec<usize>>,
}

/// A piece of one of the answer's parts, in bytes of its UTF-8.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Segment<'a> {
    /// The part's number, from 0. Often left out where it is another.
    #[serde(default)]
    pub part_index: Option<usize>,
    #[serde(default)]
    pub start_index: usize,
    #[serde(default)]
    pub end_index: usize,
    /// The words themselves.
    #[serde(borrow, default)]
    pub text: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Logprobs<'a> {
    #[serde(borrow, default)]
    pub chosen_candidates: Option<Vec<TokenLikelihood<'a>>>,
    #[serde(borrow, default)]
    pub top_candidates: Option<Vec<TopTokens<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TopTokens<'a> {
    #[serde(borrow, default)]
    pub candidates: Option<Vec<TokenLikelihood<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenLikelihood<'a> {
    #[serde(borrow, default)]
    pub token: Str<'a>,
    #[serde(default)]
    pub log_probability: f64,
}
