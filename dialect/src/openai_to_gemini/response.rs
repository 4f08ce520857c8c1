//! The whole answer: Gemini to OpenAI chat.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::request::ChatCall;
use super::speech::is_samples;
use super::spoken::Audio;
use super::wire::{
    Annotation, End, ExtraContent, Function, Image, LogprobsOut, ToolCall, UsageOut, call_id,
    citations, fingerprint, in_form,
};
use crate::ResponseMeta;
use crate::aside::{THINK, THOUGHT};
use crate::error::Malformed;
use crate::explanation;
use crate::gemini::Usage;
use crate::gemini::response::{Candidate, Part, Response};
use crate::gemini::sources::Sources;
use crate::signature::shown_id;
use crate::style::{Citations, Media, Style, Thoughts};
use crate::text::to_json;

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a str>,
    choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<LogprobsOut<'a>>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<String>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<Cow<'a, str>>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    /// The older form of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Audio<'a>>,
    /// Of the text, or of the `function_call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

/// A candidate's parts, sorted by what becomes of them.
#[derive(Default)]
struct Sorted {
    text: String,
    thoughts: String,
    /// The text ends inside thoughts.
    thinking: bool,
    /// The text holds something besides thoughts.
    said: bool,
    sources: Sources,
    /// The sources, when they are to stand behind the text.
    list: Option<String>,
    /// The ids of the calls that the client gets.
    call_ids: Vec<String>,
}

/// Translates a whole answer.
///
/// A refused prompt becomes a choice with a refusal and `content_filter`. An answer
/// without any candidate is [`Malformed`].
pub fn chat_response(
    call: &ChatCall,
    meta: &ResponseMeta,
    gemini_body: &[u8],
) -> Result<Vec<u8>, Malformed> {
    chat_response_spoken(call, meta, gemini_body, None)
}

/// The same for an answer in speech, whose samples ([`super::speech_heard`]) the caller has packed
/// as [`ChatCall::audio`] says.
pub fn chat_response_spoken(
    call: &ChatCall,
    meta: &ResponseMeta,
    gemini_body: &[u8],
    audio: Option<&[u8]>,
) -> Result<Vec<u8>, Malformed> {
    let response = Response::parse(gemini_body)?;
    let usage = response.usage_metadata.map(|u| Usage::from(u).into());
    let fingerprint = fingerprint(response.model_version.as_deref());
    let body = |choices| {
        to_json(
            &Body {
                id: &meta.id,
                object: "chat.completion",
                created: meta.created,
                model: &call.requested_model,
                system_fingerprint: fingerprint.as_deref(),
                choices,
                usage,
            },
            gemini_body.len(),
        )
    };
    let mut candidates = response.candidates.unwrap_or_default();
    if candidates.is_empty() {
        let feedback = response.prompt_feedback.unwrap_or_default();
        let Some(reason) = feedback.block_reason else {
            return Err(Malformed::new(
                "Google answered without any candidate and without saying why.",
            ));
        };
        let message = feedback.block_reason_message.as_deref();
        return Ok(body(vec![Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content: None,
                refusal: Some(explanation::refused(&reason, message)),
                reasoning_content: None,
                images: Vec::new(),
                tool_calls: Vec::new(),
                function_call: None,
                annotations: Vec::new(),
                audio: None,
                extra_content: None,
            },
            logprobs: None,
            finish_reason: "content_filter",
            native_finish_reason: Some(reason.to_string()),
        }]));
    }
    let parts: Vec<Vec<Part<'_>>> = candidates.iter_mut().map(Candidate::take_parts).collect();
    let mut sorted: Vec<Sorted> = parts
        .iter()
        .zip(0..)
        .map(|(parts, at)| sort(call, parts, meta, at))
        .collect();
    for (candidate, sorted) in candidates.iter().zip(&mut sorted) {
        if let Some(grounding) = &candidate.grounding_metadata {
            sorted.sources.learn(grounding);
        }
        if meta.style.citations == Citations::Text {
            sorted.list = sorted.sources.markdown();
        }
    }
    let choices = candidates.iter().zip(&parts).zip(&sorted).zip(0..);
    let mut choices: Vec<Choice<'_>> = choices
        .map(|(((candidate, parts), sorted), at)| {
            choice(call, meta.style, candidate, parts, sorted, at)
        })
        .collect();
    if let (Some(audio), Some(first)) = (audio, choices.first_mut()) {
        first.message.content = first.message.content.take().filter(|text| !text.is_empty());
        first.message.audio = Some(Audio::whole(meta, STANDARD.encode(audio).into()));
    }
    Ok(body(choices))
}

fn sort(call: &ChatCall, parts: &[Part<'_>], meta: &ResponseMeta, choice: u32) -> Sorted {
    let mut sorted = Sorted::default();
    for (at, part) in parts.iter().enumerate() {
        sorted.sources.part(part, at == 0);
        if let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) {
            match (part.thought == Some(true), meta.style.thoughts) {
                (false, _) => {
                    sorted.end_thoughts();
                    sorted.sources.said(text);
                    sorted.said = true;
                    sorted.text.push_str(text);
                }
                (true, Thoughts::Native) => sorted.thoughts.push_str(text),
                (true, Thoughts::Inline) => sorted.think(text),
                (true, Thoughts::Hidden) => {}
            }
        }
        let blob = part.inline_data.as_ref();
        let blob = blob.filter(|blob| call.audio.is_none() || !is_samples(&blob.mime_type));
        if let (Some(blob), Media::Markdown) = (blob, meta.style.media) {
            sorted.say(&blob.markdown());
        }
        if let Some(file) = &part.file_data {
            sorted.say(&file.file_uri);
        }
        if let Some(code) = &part.executable_code {
            sorted.say(&code.markdown());
        }
        if let Some(result) = &part.code_execution_result {
            sorted.say(&result.markdown());
        }
        if let Some(called) = &part.function_call {
            sorted.end_thoughts();
            if call.single_call && !sorted.call_ids.is_empty() {
                continue;
            }
            let at = u32::try_from(sorted.call_ids.len()).unwrap_or(u32::MAX);
            let id = call_id(called.id.as_deref(), &meta.id, choice, at);
            let signature = part.thought_signature.as_deref();
            sorted.call_ids.push(shown_id(id, signature, meta.style));
        }
    }
    sorted.end_thoughts();
    sorted
}

impl Sorted {
    /// What stands in the text and is not of it.
    fn say(&mut self, text: &str) {
        self.end_thoughts();
        self.said = true;
        self.put(text);
    }

    fn think(&mut self, text: &str) {
        if !std::mem::replace(&mut self.thinking, true) {
            self.put(THINK);
        }
        self.put(text);
    }

    fn end_thoughts(&mut self) {
        if std::mem::take(&mut self.thinking) {
            self.put(THOUGHT);
        }
    }

    fn put(&mut self, text: &str) {
        self.sources.told(text);
        self.text.push_str(text);
    }
}

fn choice<'a>(
    request: &'a ChatCall,
    style: Style,
    candidate: &'a Candidate<'a>,
    parts: &'a [Part<'a>],
    sorted: &'a Sorted,
    at: u32,
) -> Choice<'a> {
    let calls = parts
        .iter()
        .filter_map(|part| Some((part, part.function_call.as_ref()?)));
    let mut tool_calls: Vec<ToolCall<'a>> = calls
        .clone()
        .zip(&sorted.call_ids)
        .map(|((part, call), id)| {
            let signature = part.thought_signature.as_deref();
            ToolCall::of(id, request.special.back(call), signature)
        })
        .collect();
    let images: Vec<Image<'_>> = parts
        .iter()
        .filter_map(|part| {
            Some((
                part.inline_data.as_ref()?,
                part.thought_signature.as_deref(),
            ))
        })
        .filter(|(blob, _)| {
            let is_spoken = request.audio.is_some() && is_samples(&blob.mime_type);
            style.media == Media::Field && !is_spoken
        })
        .map(|(blob, signature)| Image::of(&blob.mime_type, &blob.data, signature))
        .collect();
    let mut signature = parts.iter().rev().find_map(Part::signature_of_text);
    let native = candidate.finish_reason.as_deref().unwrap_or("STOP");
    let end = End::of(
        native,
        candidate.finish_message.as_deref(),
        !tool_calls.is_empty(),
    );
    let nothing = !sorted.said && tool_calls.is_empty() && images.is_empty();
    let refusal = end.explanation.filter(|_| nothing);
    let mut function_call = None;
    if request.is_older
        && let Some(call) = tool_calls.pop()
    {
        function_call = call.into_function();
        let mut signed = calls.map(|(part, _)| part.thought_signature.as_deref());
        signature = signed.next().flatten();
    }
    let called = !tool_calls.is_empty() || function_call.is_some();
    let silent = sorted.text.is_empty() && (called || refusal.is_some());
    Choice {
        index: candidate.index.unwrap_or(at),
        message: Message {
            role: "assistant",
            content: (!silent).then(|| match &sorted.list {
                Some(list) => format!("{}{list}", sorted.text).into(),
                None => Cow::Borrowed(&*sorted.text),
            }),
            refusal,
            reasoning_content: (!sorted.thoughts.is_empty()).then_some(&*sorted.thoughts),
            images,
            tool_calls,
            function_call,
            annotations: citations(&sorted.sources, 0),
            audio: None,
            extra_content: ExtraContent::of(signature),
        },
        logprobs: candidate.logprobs_result.as_ref().map(LogprobsOut::of),
        finish_reason: in_form(end.finish_reason, request.is_older),
        native_finish_reason: end.native,
    }
}
