//! From an answer to bytes: the whole body, the events of a stream in both of Google's
//! forms, and what a fault makes of them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{Answer, hash, thought_signature, tokens};
use super::error::GoogleError;
use super::fault::{Cut, Fault, Verdict};
use super::media;
use super::model::Model;
use super::proto::{get, text};

/// How the client wants to read the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object.
    Whole,
    /// `streamGenerateContent?alt=sse`.
    Sse,
    /// `streamGenerateContent`: one JSON array, element by element.
    Array,
    /// The stream of an interaction: server-sent events with names, and an end of its own.
    Steps,
}

impl Form {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Sse | Self::Steps => "text/event-stream",
            Self::Whole | Self::Array => "application/json; charset=UTF-8",
        }
    }
}

/// One thing that a body does.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Send(Bytes),
    /// Lets what was sent leave as a packet of its own.
    Flush,
    Wait(Duration),
    /// Until released.
    Stall,
    Break(Cut),
}

/// What a call comes to.
pub(super) enum Reply {
    /// Something that no fault of bodies applies to.
    Json(Value),
    /// An answer as one body.
    Completion(Bytes),
    /// An answer as a stream.
    Events(Form, Vec<Value>),
    /// Bytes that are sent as they are.
    Page(Page),
    /// Nothing: the connection closes.
    Close,
}

/// An answer that is more, or less, than JSON.
pub(super) struct Page {
    pub status: u16,
    pub content_type: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Page {
    pub fn new(status: u16, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: content_type.into(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// With this header, in lower case.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Page> for Reply {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

/// What a model made of a request.
pub(super) struct Completion<'a> {
    pub model: &'a Model,
    pub body: &'a Value,
    pub answer: Answer,
    pub input_tokens: u64,
    /// How many of them were cached.
    pub cached_tokens: u64,
}

impl Completion<'_> {
    /// The answer as one body.
    pub fn whole(&self) -> Value {
        if let Some(first) = self.answer.verbatim.first() {
            return first.clone();
        }
        let mut parts = self.thoughts();
        parts.extend(self.signed_parts());
        if self.model.signs()
            && let Some(last) = parts.iter_mut().rfind(|part| part.get("thought").is_none())
            && last.get("text").is_some()
        {
            last["thoughtSignature"] = json!(thought_signature(text(last, "text")));
        }
        self.event(parts, true, self.output_tokens())
    }

    /// The answer as the events of a stream. What belongs together may come together:
    /// the first words with the last thought, calls that are made in parallel.
    pub fn events(&self) -> Vec<Value> {
        if !self.answer.verbatim.is_empty() {
            return self.answer.verbatim.clone();
        }
        let mut groups: Vec<Vec<Value>> = self
            .thoughts()
            .into_iter()
            .map(|thought| vec![thought])
            .collect();
        let mut said = String::new();
        for part in self.signed_parts() {
            if let Some(Value::String(words)) = part.get("text") {
                said.push_str(words);
                spread(words, &mut groups);
            } else if let Some(pieces) = media::pieces(&part) {
                groups.extend(pieces.into_iter().map(|piece| vec![piece]));
            } else if part.get("functionCall").is_some()
                && let Some(group) = groups
                    .last_mut()
                    .filter(|group| group[0].get("functionCall").is_some())
            {
                group.push(part);
            } else {
                groups.push(vec![part]);
            }
        }
        if self.model.signs() {
            // Gemini 3 ends with a part of no words, which carries the signature of a
            // text; after calls the end comes apart from them.
            let mut last = json!({ "text": "" });
            if !said.is_empty() {
                last["thoughtSignature"] = json!(thought_signature(&said));
            }
            groups.push(vec![last]);
        }
        if groups.is_empty() {
            groups.push(Vec::new());
        }
        let (count, output) = (groups.len() as u64, self.output_tokens());
        groups
            .into_iter()
            .zip(1..)
            .map(|(parts, i)| self.event(parts, i == count, output * i / count))
            .collect()
    }

    /// Thoughts, when they were asked for.
    fn thoughts(&self) -> Vec<Value> {
        let config =
            get(self.body, "generation_config").and_then(|config| get(config, "thinking_config"));
        let wanted =
            config.and_then(|config| get(config, "include_thoughts")) == Some(&Value::Bool(true));
        let thoughts = if wanted {
            self.answer.thoughts.as_slice()
        } else {
            &[]
        };
        thoughts
            .iter()
            .map(|thought| json!({ "text": thought, "thought": true }))
            .collect()
    }

    /// The parts; for Gemini 3 calls have an id, and the first of them is signed.
    fn signed_parts(&self) -> Vec<Value> {
        let mut parts = self.answer.parts.clone();
        if !self.model.signs() {
            return parts;
        }
        let mut first = true;
        for (i, part) in parts.iter_mut().enumerate() {
            let Some(call) = part.get_mut("functionCall") else {
                continue;
            };
            let id = hash((i, call.to_string()));
            if call.get("id").is_none() {
                call["id"] = json!(format!("{:08x}", id & 0xffff_ffff));
            }
            if std::mem::take(&mut first) && part.get("thoughtSignature").is_none() {
                part["thoughtSignature"] = json!(thought_signature(&id.to_string()));
            }
        }
        parts
    }

    fn event(&self, parts: Vec<Value>, last: bool, output_tokens: u64) -> Value {
        let mut candidate = Map::new();
        let mut content = json!({ "role": "model" });
        if !parts.is_empty() {
            content = json!({ "parts": parts, "role": "model" });
        }
        candidate.insert("content".to_owned(), content);
        if last {
            let reason = &self.answer.finish_reason;
            candidate.insert(
                "finishReason".to_owned(),
                json!(if reason.is_empty() { "STOP" } else { reason }),
            );
        }
        candidate.insert("index".to_owned(), json!(0));
        if last {
            candidate.extend(self.answer.candidate.clone());
        }
        self.response(json!({ "candidates": [candidate] }), output_tokens)
    }

    /// Adds what every response ends with.
    pub fn response(&self, mut response: Value, output_tokens: u64) -> Value {
        let thought_tokens = self.thought_tokens();
        let mut usage = json!({ "promptTokenCount": self.input_tokens });
        if output_tokens > 0 {
            usage["candidatesTokenCount"] = json!(output_tokens);
        }
        usage["totalTokenCount"] = json!(self.input_tokens + output_tokens + thought_tokens);
        if self.cached_tokens > 0 {
            usage["cachedContentTokenCount"] = json!(self.cached_tokens);
            usage["cacheTokensDetails"] =
                json!([{ "modality": "TEXT", "tokenCount": self.cached_tokens }]);
        }
        usage["promptTokensDetails"] =
            json!([{ "modality": "TEXT", "tokenCount": self.input_tokens }]);
        if thought_tokens > 0 {
            usage["thoughtsTokenCount"] = json!(thought_tokens);
        }
        response["usageMetadata"] = usage;
        response["modelVersion"] = json!(self.model.id);
        response["responseId"] = json!(format!(
            "fake{:016x}",
            hash((&self.model.id, self.body.to_string()))
        ));
        response
    }

    fn thought_tokens(&self) -> u64 {
        self.answer.thought_tokens.unwrap_or_else(|| {
            self.answer
                .thoughts
                .iter()
                .map(|thought| tokens(thought))
                .sum()
        })
    }

    fn output_tokens(&self) -> u64 {
        /// What Google counts for a picture of up to 1024 pixels a side that it drew.
        const DRAWN: u64 = 1290;
        let of = |part: &Value| match (part.get("text"), part.get("inlineData")) {
            (Some(Value::String(words)), _) => tokens(words),
            (_, Some(_)) => media::audio_tokens(part).unwrap_or(DRAWN),
            _ => tokens(&part.to_string()),
        };
        self.answer.parts.iter().map(of).sum()
    }
}

/// Spreads a text over groups of parts, so that there are several events and one of them has several parts.
fn spread(words: &str, groups: &mut Vec<Vec<Value>>) {
    let chars: Vec<char> = words.chars().collect();
    let size = chars.len().div_ceil(5).max(4);
    let mut pieces = chars
        .chunks(size)
        .map(|piece| json!({ "text": piece.iter().collect::<String>() }))
        .peekable();
    let Some(first) = pieces.next() else { return };
    match groups
        .last_mut()
        .filter(|group| group[0].get("thought").is_some())
    {
        Some(thought) => thought.push(first),
        None => groups.push(vec![first]),
    }
    if let Some(second) = pieces.next() {
        groups.push(std::iter::once(second).chain(pieces.next()).collect());
    }
    groups.extend(pieces.map(|piece| vec![piece]));
}

/// One event (or the whole body) as bytes; `index` is how many went before.
fn encode(form: Form, index: usize, event: &Value) -> Bytes {
    let bytes = match form {
        Form::Whole => format!("{event:#}\n"),
        Form::Sse => format!("data: {event}\r\n\r\n"),
        Form::Steps => format!("event: {}\ndata: {event}\n\n", text(event, "event_type")),
        Form::Array if index == 0 => format!("[{event:#}"),
        Form::Array => format!(",\r\n{event:#}"),
    };
    Bytes::from(bytes)
}

/// An error as the body of its own response; who asked for an array gets an array.
pub(super) fn error_body(form: Form, error: &GoogleError) -> Bytes {
    match form {
        Form::Array => Bytes::from(format!("[{:#}\n]\n", error.to_json())),
        Form::Whole | Form::Sse | Form::Steps => Bytes::from(format!("{:#}\n", error.to_json())),
    }
}

/// What a stream of these events does, with this fault.
pub(super) fn stream(form: Form, events: &[Value], verdict: &Verdict) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    // Whatever ends a stream early ends it before the event with the `finishReason`.
    let early = |after: usize| after.min(events.len().saturating_sub(1));
    let fault = verdict.fault.as_ref();
    let mut sent = 0;
    for (i, event) in events.iter().enumerate() {
        match fault {
            Some(Fault::ErrorInStream { after, code }) if early(*after) == i => {
                let error = GoogleError::usual(*code);
                let event = match form {
                    Form::Steps => json!({
                        "error": { "code": error.status.to_ascii_lowercase(), "message": error.message },
                        "event_type": "error",
                    }),
                    _ => error.to_json(),
                };
                steps.push_back(Step::Send(encode(form, sent, &event)));
                break;
            }
            Some(Fault::CutAfter { events, cut }) if early(*events) == i => {
                // What was sent before, be it only the headers, must have left.
                steps.extend([Step::Flush, Step::Break(*cut)]);
                return steps;
            }
            Some(Fault::StallAfter { events }) if early(*events) == i => {
                steps.push_back(Step::Stall)
            }
            Some(Fault::Malformed { after }) if early(*after) == i => {
                let broken = r#"{"candidates": [{"content": {"parts": [{"text": "#;
                let bytes = match form {
                    Form::Sse => format!("data: {broken}\r\n\r\n"),
                    Form::Steps => format!("event: step.delta\ndata: {broken}\n\n"),
                    _ if sent == 0 => format!("[{broken}"),
                    _ => format!(",\r\n{broken}"),
                };
                steps.extend([Step::Send(Bytes::from(bytes)), Step::Flush]);
                sent += 1;
            }
            _ => {}
        }
        if !verdict.drip.is_zero() {
            steps.push_back(Step::Wait(verdict.drip));
        }
        steps.extend([Step::Send(encode(form, sent, event)), Step::Flush]);
        sent += 1;
    }
    match form {
        Form::Array => steps.push_back(Step::Send(Bytes::from_static(b"\r\n]\r\n"))),
        Form::Steps => steps.push_back(Step::Send(Bytes::from_static(
            b"event: done\ndata: [DONE]\n\n",
        ))),
        Form::Whole | Form::Sse => {}
    }
    steps
}

/// What the sending of one whole body does, with this fault; `None` when it is simply sent.
pub(super) fn body(whole: &Bytes, verdict: &Verdict) -> Option<VecDeque<Step>> {
    let half = whole.len() / 2;
    let (head, tail) = (whole.slice(..half), whole.slice(half..));
    let steps = match verdict.fault {
        Some(Fault::CutAfter { cut, .. }) => vec![Step::Send(head), Step::Flush, Step::Break(cut)],
        Some(Fault::StallAfter { events: 0 }) => vec![Step::Stall, Step::Send(whole.clone())],
        Some(Fault::StallAfter { .. }) => {
            vec![Step::Send(head), Step::Flush, Step::Stall, Step::Send(tail)]
        }
        Some(Fault::Malformed { .. }) => vec![Step::Send(head)],
        _ if !verdict.drip.is_zero() => {
            let size = whole.len().div_ceil(4).max(1);
            let drip = verdict.drip;
            whole
                .chunks(size)
                .flat_map(|piece| {
                    [
                        Step::Wait(drip),
                        Step::Send(whole.slice_ref(piece)),
                        Step::Flush,
                    ]
                })
                .collect()
        }
        _ => return None,
    };
    Some(steps.into())
}
