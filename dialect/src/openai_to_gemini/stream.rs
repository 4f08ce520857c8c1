//! The stream: Gemini's events to OpenAI's chunks.

use serde::Serialize;

use super::request::ChatCall;
use super::special::Special;
use super::speech::is_samples;
use super::spoken::{Audio, expiry};
use super::wire::{
    Annotation, End, ExtraContent, Function, Image, LogprobsOut, ToolCall, UsageOut, call_id,
    citations, fingerprint, in_form,
};
use crate::ResponseMeta;
use crate::aside::{THINK, THOUGHT};
use crate::error::{self, Malformed, UpstreamFailure};
use crate::explanation;
use crate::gemini::Usage;
use crate::gemini::response::{Candidate, Part, Response};
use crate::gemini::sources::Sources;
use crate::signature::shown_id;
use crate::style::{Citations, Media, Style, Thoughts};
use crate::text::put_json;

/// Turns Gemini's events into OpenAI's chunks. Each part of an event becomes one chunk, in
/// its order, so nothing is lost or swapped.
#[derive(Debug)]
pub struct ChatStream {
    /// `data: {"id":…,"choices":[`, the same for every chunk.
    prefix: Vec<u8>,
    /// What answers is told in the prefix.
    fingerprinted: bool,
    answer: String,
    style: Style,
    include_usage: bool,
    grounded: bool,
    /// Samples are the answer, and expire then.
    spoken_until: Option<i64>,
    /// There were samples.
    spoken: bool,
    single_call: bool,
    special: Special,
    is_older: bool,
    choices: Vec<ChoiceState>,
    usage: Option<Usage>,
    /// Finished or aborted: nothing may follow.
    ended: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u32,
    /// The first delta, which says the role, has been sent.
    begun: bool,
    calls: u32,
    /// Something besides thoughts has been sent.
    shown: bool,
    /// The prompt was refused; `finish` has the reason.
    refused: bool,
    /// Google's reason and message. Written at the end: Google sends calls and counts
    /// after a reason, too.
    finish: Option<(String, Option<String>)>,
    /// Gathered only where Google may search.
    sources: Sources,
    /// The signature of the text, or of the call in the older form.
    signature: Option<String>,
    /// The text ends inside thoughts.
    thinking: bool,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[Image<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
    /// The older form of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Audio<'a>>,
    /// Of the text, or of the `function_call`. In the last delta only: clients that add up what they do not know would make
    /// one of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

/// One entry of `choices`.
#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<LogprobsOut<'a>>,
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
}

/// What a chunk goes on with.
const CHOICES: &[u8] = b",\"choices\":[";

impl ChatStream {
    /// A stream that answers `call`. All its chunks carry `meta`.
    pub fn new(call: &ChatCall, meta: &ResponseMeta) -> Self {
        let mut prefix = b"data: ".to_vec();
        put_json(
            &mut prefix,
            &Head {
                id: &meta.id,
                object: "chat.completion.chunk",
                created: meta.created,
                model: &call.requested_model,
            },
        );
        prefix.pop(); // the closing brace: `choices` follows
        prefix.extend_from_slice(CHOICES);
        Self {
            prefix,
            fingerprinted: false,
            answer: meta.id.clone(),
            style: meta.style,
            include_usage: call.include_usage,
            grounded: call.grounded,
            spoken_until: call.audio.map(|_| expiry(meta)),
            spoken: false,
            single_call: call.single_call,
            special: call.special.clone(),
            is_older: call.is_older,
            choices: Vec::with_capacity(1),
            usage: None,
            ended: false,
        }
    }

    /// Takes the data of one of Google's events and appends the chunks it makes.
    ///
    /// On an error nothing was appended; end the stream with [`ChatStream::abort`]. After the
    /// end of the stream nothing is appended any more, whatever is called.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.ended {
            return Ok(());
        }
        let response = Response::parse(data)?;
        if let Some(usage) = response.usage_metadata {
            self.usage = Some(usage.into());
        }
        if let Some(fingerprint) = fingerprint(response.model_version.as_deref())
            && !std::mem::replace(&mut self.fingerprinted, true)
        {
            self.prefix.truncate(self.prefix.len() - CHOICES.len());
            self.prefix.extend_from_slice(b",\"system_fingerprint\":");
            put_json(&mut self.prefix, &fingerprint);
            self.prefix.extend_from_slice(CHOICES);
        }
        let candidates = response.candidates.unwrap_or_default();
        if candidates.is_empty()
            && let Some(feedback) = response.prompt_feedback
            && let Some(reason) = feedback.block_reason
        {
            self.refused(&reason, feedback.block_reason_message.as_deref(), out);
        }
        for candidate in candidates {
            self.candidate(candidate, out);
        }
        Ok(())
    }

    /// Every choice seen so far has its finish reason, so the stream may end here. A stream
    /// that ends while this is false was cut off: abort it.
    pub fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// Token counts as of the last event that had them.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Ends the stream: a finish reason for each choice, token counts if asked for,
    /// `[DONE]`. A choice that Google gave no reason for ends with `length`, because it was
    /// cut off.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.choices.is_empty() {
            self.state(0);
        }
        for at in 0..self.choices.len() {
            self.end(at, out);
        }
        if self.include_usage {
            out.extend_from_slice(&self.prefix);
            out.extend_from_slice(b"],\"usage\":");
            put_json(out, &UsageOut::from(self.usage.unwrap_or_default()));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Ends the stream with an error, in the shape that OpenAI's SDKs raise. No `[DONE]`:
    /// nothing may take this for a complete answer.
    pub fn abort(&mut self, failure: &UpstreamFailure, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error::openai(
            failure.status,
            &failure.message,
            None,
            failure.code.as_deref(),
        ));
        out.extend_from_slice(b"\n\n");
    }

    /// The place of the choice numbered `index`, made if it is new.
    fn state(&mut self, index: u32) -> usize {
        let known = self.choices.iter().position(|choice| choice.index == index);
        known.unwrap_or_else(|| {
            self.choices.push(ChoiceState {
                index,
                ..ChoiceState::default()
            });
            self.choices.len() - 1
        })
    }

    fn refused(&mut self, reason: &str, message: Option<&str>, out: &mut Vec<u8>) {
        let at = self.state(0);
        let text = explanation::refused(reason, message);
        self.put(
            at,
            Delta {
                refusal: Some(&text),
                ..Delta::default()
            },
            out,
        );
        let choice = &mut self.choices[at];
        choice.shown = true;
        choice.refused = true;
        choice.finish = Some((reason.to_owned(), None));
    }

    fn candidate(&mut self, mut candidate: Candidate<'_>, out: &mut Vec<u8>) {
        let at = self.state(candidate.index.unwrap_or(0));
        for (number, part) in candidate.take_parts().iter().enumerate() {
            if self.grounded {
                self.choices[at].sources.part(part, number == 0);
            }
            self.part(at, part, out);
        }
        if let Some(logprobs) = &candidate.logprobs_result {
            let logprobs = Some(LogprobsOut::of(logprobs));
            self.put_with(at, Delta::default(), logprobs, out);
        }
        if let Some(grounding) = &candidate.grounding_metadata {
            self.choices[at].sources.learn(grounding);
        }
        if let Some(reason) = candidate.finish_reason {
            let message = candidate.finish_message.map(|m| m.to_string());
            self.choices[at].finish = Some((reason.to_string(), message));
        }
    }

    fn part(&mut self, at: usize, part: &Part<'_>, out: &mut Vec<u8>) {
        let is_called = self.is_older && self.choices[at].calls > 0;
        if let Some(signature) = part.signature_of_text().filter(|_| !is_called) {
            self.choices[at].signature = Some(signature.to_owned());
        }
        if let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) {
            match (part.thought == Some(true), self.style.thoughts) {
                (false, _) => self.say(at, text, out),
                (true, Thoughts::Native) => {
                    let delta = Delta {
                        reasoning_content: Some(text),
                        ..Delta::default()
                    };
                    self.put(at, delta, out);
                }
                (true, Thoughts::Inline) => {
                    if !std::mem::replace(&mut self.choices[at].thinking, true) {
                        self.thoughts(at, THINK, out);
                    }
                    self.thoughts(at, text, out);
                }
                (true, Thoughts::Hidden) => {}
            }
        }
        match (&part.inline_data, self.style.media) {
            (Some(blob), _) if self.spoken_until.is_some() && is_samples(&blob.mime_type) => {
                self.choices[at].shown = true;
                let first = !std::mem::replace(&mut self.spoken, true);
                let audio = Audio::piece(&self.answer, &blob.data, first);
                let delta = Delta {
                    audio: Some(audio),
                    ..Delta::default()
                };
                self.put(at, delta, out);
            }
            (Some(blob), Media::Markdown) => self.text(at, &blob.markdown(), out),
            (Some(blob), Media::Field) => {
                self.choices[at].shown = true;
                let delta = Delta {
                    images: Some([Image::of(
                        &blob.mime_type,
                        &blob.data,
                        part.thought_signature.as_deref(),
                    )]),
                    ..Delta::default()
                };
                self.put(at, delta, out);
            }
            (None, _) => {}
        }
        if let Some(file) = &part.file_data {
            self.text(at, &file.file_uri, out);
        }
        if let Some(code) = &part.executable_code {
            self.text(at, &code.markdown(), out);
        }
        if let Some(result) = &part.code_execution_result {
            self.text(at, &result.markdown(), out);
        }
        if let Some(call) = &part.function_call {
            self.end_thoughts(at, out);
            if self.single_call && self.choices[at].calls > 0 {
                return;
            }
            let choice = &mut self.choices[at];
            choice.shown = true;
            let number = choice.calls;
            choice.calls += 1;
            let id = call_id(call.id.as_deref(), &self.answer, choice.index, number);
            let id = shown_id(id, part.thought_signature.as_deref(), self.style);
            let signature = part.thought_signature.as_deref();
            if self.is_older {
                choice.signature = signature.map(str::to_owned);
            }
            let special = std::mem::take(&mut self.special);
            let mut told = ToolCall::of(&id, special.back(call), signature);
            told.index = Some(number);
            let delta = match self.is_older {
                true => Delta {
                    function_call: told.into_function(),
                    ..Delta::default()
                },
                false => Delta {
                    tool_calls: Some([told]),
                    ..Delta::default()
                },
            };
            self.put(at, delta, out);
            self.special = special;
        }
    }

    fn end_thoughts(&mut self, at: usize, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.choices[at].thinking) {
            self.thoughts(at, THOUGHT, out);
        }
    }

    /// Thoughts inside the text.
    fn thoughts(&mut self, at: usize, text: &str, out: &mut Vec<u8>) {
        if self.grounded {
            self.choices[at].sources.told(text);
        }
        self.content(at, text, out);
    }

    /// What the model says.
    fn say(&mut self, at: usize, text: &str, out: &mut Vec<u8>) {
        self.end_thoughts(at, out);
        if self.grounded {
            self.choices[at].sources.said(text);
        }
        self.choices[at].shown = true;
        self.content(at, text, out);
    }

    /// What stands in the text and is not of it.
    fn text(&mut self, at: usize, text: &str, out: &mut Vec<u8>) {
        self.end_thoughts(at, out);
        if self.grounded {
            self.choices[at].sources.told(text);
        }
        self.choices[at].shown = true;
        self.content(at, text, out);
    }

    fn content(&mut self, at: usize, text: &str, out: &mut Vec<u8>) {
        let delta = Delta {
            content: Some(text),
            ..Delta::default()
        };
        self.put(at, delta, out);
    }

    fn put(&mut self, at: usize, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.put_with(at, delta, None, out);
    }

    fn put_with(
        &mut self,
        at: usize,
        mut delta: Delta<'_>,
        logprobs: Option<LogprobsOut<'_>>,
        out: &mut Vec<u8>,
    ) {
        let choice = &mut self.choices[at];
        if !choice.begun {
            choice.begun = true;
            delta.role = Some("assistant");
            let calls = delta.tool_calls.is_some() || delta.function_call.is_some();
            if delta.content.is_none() && delta.refusal.is_none() && !calls {
                delta.content = Some("");
            }
        }
        let entry = Choice {
            index: choice.index,
            delta,
            logprobs,
            finish_reason: None,
            native_finish_reason: None,
        };
        self.chunk(&entry, out);
    }

    fn end(&mut self, at: usize, out: &mut Vec<u8>) {
        self.end_thoughts(at, out);
        self.cite(at, out);
        if let Some(until) = self
            .spoken_until
            .filter(|_| std::mem::take(&mut self.spoken))
        {
            let delta = Delta {
                audio: Some(Audio::end(until)),
                ..Delta::default()
            };
            self.put(at, delta, out);
        }
        let choice = &mut self.choices[at];
        let end = match choice.finish.take() {
            Some((native, _)) if choice.refused => End {
                finish_reason: "content_filter",
                native: Some(native),
                explanation: None,
            },
            Some((native, message)) => End::of(&native, message.as_deref(), choice.calls > 0),
            None => End::of("MAX_TOKENS", None, false),
        };
        let signature = choice.signature.take();
        let mut delta = Delta {
            extra_content: ExtraContent::of(signature.as_deref()),
            ..Delta::default()
        };
        if !choice.begun {
            choice.begun = true;
            delta.role = Some("assistant");
            delta.content = Some("");
        }
        if !choice.shown {
            delta.refusal = end.explanation.as_deref();
        }
        let entry = Choice {
            index: choice.index,
            delta,
            logprobs: None,
            finish_reason: Some(in_form(end.finish_reason, self.is_older)),
            native_finish_reason: end.native.as_deref(),
        };
        self.chunk(&entry, out);
    }

    /// Tells of the sources.
    fn cite(&mut self, at: usize, out: &mut Vec<u8>) {
        let sources = std::mem::take(&mut self.choices[at].sources);
        let annotations: Vec<Annotation<'_>> = citations(&sources, 0);
        if !annotations.is_empty() {
            let delta = Delta {
                annotations,
                ..Delta::default()
            };
            self.put(at, delta, out);
        }
        if self.style.citations == Citations::Text
            && let Some(list) = sources.markdown()
        {
            self.text(at, &list, out);
        }
    }

    fn chunk(&self, entry: &Choice<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        put_json(out, entry);
        out.extend_from_slice(b"]}\n\n");
    }
}
