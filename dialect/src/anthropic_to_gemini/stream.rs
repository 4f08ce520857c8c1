//! The stream: Gemini's events to Anthropic's.

use std::borrow::Cow;

use serde::Serialize;

use super::request::MessagesCall;
use super::wire::{Block, Citation, End, UsageOut, call_id, citations, searched};
use crate::ResponseMeta;
use crate::aside::{THINK, THOUGHT};
use crate::error::{self, Malformed, UpstreamFailure};
use crate::gemini::Usage;
use crate::gemini::response::{Candidate, Part, Response};
use crate::gemini::sources::Sources;
use crate::names::Renamed;
use crate::signature::{marked, shown_id};
use crate::style::{Citations, Style, Thoughts};
use crate::text::{empty_object, put_json};

/// Turns Gemini's events into Anthropic's, in Anthropic's order: `message_start`, blocks one
/// after the other, `message_delta`, `message_stop`.
#[derive(Debug)]
pub struct MessagesStream {
    answer: String,
    style: Style,
    model: String,
    single_call: bool,
    renamed: Renamed,
    begun: bool,
    open: Open,
    /// The number of the next block.
    index: u32,
    calls: u32,
    /// Something besides thoughts has been sent.
    shown: bool,
    /// The text ends inside thoughts.
    thinking: bool,
    sources: Sources,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// Finished or aborted: nothing may follow.
    ended: bool,
}

/// What Google said of the end. Written at the end: calls may come after it.
#[derive(Debug)]
struct Finish {
    native: String,
    message: Option<String>,
    /// The prompt was refused, so there is no answer.
    refused: bool,
}

/// The block that may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        message: Message<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block<'a>,
    },
    ContentBlockDelta {
        index: u32,
        delta: Delta<'a>,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: MessageEnd,
        usage: UsageOut,
    },
    MessageStop,
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<()>,
    stop_sequence: Option<()>,
    usage: UsageOut,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citations { citation: Citation<'a> },
}

#[derive(Serialize)]
struct MessageEnd {
    stop_reason: &'static str,
    stop_sequence: Option<()>,
}

fn put(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.name().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    put_json(out, event);
    out.extend_from_slice(b"\n\n");
}

impl MessagesStream {
    /// A stream that answers `call`; `meta.id` should begin with `msg_`.
    pub fn new(call: &MessagesCall, meta: &ResponseMeta) -> Self {
        Self {
            answer: meta.id.clone(),
            style: meta.style,
            model: call.requested_model.clone(),
            single_call: call.single_call,
            renamed: call.renamed.clone(),
            begun: false,
            open: Open::None,
            index: 0,
            calls: 0,
            shown: false,
            thinking: false,
            sources: Sources::default(),
            finish: None,
            usage: None,
            ended: false,
        }
    }

    /// Takes the data of one of Google's events and appends the events it makes.
    ///
    /// On an error nothing was appended; end the stream with [`MessagesStream::abort`]. After the
    /// end of the stream nothing is appended any more, whatever is called.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.ended {
            return Ok(());
        }
        let mut response = Response::parse(data)?;
        if let Some(usage) = response.usage_metadata {
            self.usage = Some(usage.into());
        }
        if let Some(feedback) = &mut response.prompt_feedback
            && let Some(reason) = feedback.block_reason.take()
            && response.candidates.as_ref().is_none_or(Vec::is_empty)
        {
            self.finish = Some(Finish {
                native: reason.to_string(),
                message: feedback.block_reason_message.take().map(|m| m.to_string()),
                refused: true,
            });
        }
        if let Some(candidate) = response.into_first_candidate() {
            self.begin(out);
            self.candidate(candidate, out);
        }
        Ok(())
    }

    /// The answer has its finish reason, so the stream may end here. A stream that ends
    /// while this is false was cut off: abort it.
    pub fn is_complete(&self) -> bool {
        self.finish.is_some()
    }

    /// Token counts as of the last event that had them.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Ends the stream. An answer that Google gave no reason for ends with `max_tokens`,
    /// because it was cut off.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.begin(out);
        let end = match self.finish.take() {
            Some(finish) if finish.refused => {
                End::refused(&finish.native, finish.message.as_deref())
            }
            Some(finish) => End::of(&finish.native, finish.message.as_deref(), self.calls > 0),
            None => End::of("MAX_TOKENS", None, false),
        };
        self.end_thoughts(out);
        let sources = std::mem::take(&mut self.sources);
        self.tell_sources(&sources, out);
        if !self.shown
            && let Some(text) = end.explanation
        {
            self.text(&text, out);
        }
        self.close(out);
        put(
            &Event::MessageDelta {
                delta: MessageEnd {
                    stop_reason: end.stop_reason,
                    stop_sequence: None,
                },
                usage: UsageOut::from(self.usage.unwrap_or_default()).with_searches(&sources),
            },
            out,
        );
        put(&Event::MessageStop, out);
    }

    /// Tells what Google's search found: of the text that is open what it is from; then the
    /// search itself, which stands before the text where Anthropic searched, but Google says it at
    /// the end only.
    fn tell_sources(&mut self, sources: &Sources, out: &mut Vec<u8>) {
        if self.open == Open::Text {
            for citation in citations(sources) {
                self.delta(Delta::Citations { citation }, out);
            }
        }
        for block in searched(sources, &self.answer).into_iter().flatten() {
            self.close(out);
            self.start(block, out);
            self.stop(out);
        }
        if self.style.citations == Citations::Text
            && let Some(list) = sources.markdown()
        {
            self.text(&list, out);
        }
    }

    /// Ends the stream with Anthropic's `error` event. No `message_stop`: nothing may take
    /// this for a complete answer.
    pub fn abort(&mut self, failure: &UpstreamFailure, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error::anthropic_with(
            failure.status,
            &failure.message,
            failure.code.as_deref(),
            failure.request_id.as_deref(),
        ));
        out.extend_from_slice(b"\n\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            return;
        }
        self.begun = true;
        put(
            &Event::MessageStart {
                message: Message {
                    id: &self.answer,
                    r#type: "message",
                    role: "assistant",
                    model: &self.model,
                    content: [],
                    stop_reason: None,
                    stop_sequence: None,
                    usage: self.usage.unwrap_or_default().into(),
                },
            },
            out,
        );
    }

    fn candidate(&mut self, mut candidate: Candidate<'_>, out: &mut Vec<u8>) {
        for (at, part) in candidate.take_parts().iter().enumerate() {
            self.sources.part(part, at == 0);
            if let Some(text) = part.text.as_deref().filter(|_| part.thought != Some(true)) {
                if self.open != Open::Text {
                    self.sources.next_message();
                }
                self.sources.said(text);
            }
            self.part(part, out);
        }
        if let Some(grounding) = &candidate.grounding_metadata {
            self.sources.learn(grounding);
        }
        if let Some(native) = candidate.finish_reason {
            self.finish = Some(Finish {
                native: native.to_string(),
                message: candidate.finish_message.map(|m| m.to_string()),
                refused: false,
            });
        }
    }

    fn part(&mut self, part: &Part<'_>, out: &mut Vec<u8>) {
        if let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) {
            match (part.thought == Some(true), self.style.thoughts) {
                (false, _) => self.text(text, out),
                (true, Thoughts::Native) => {
                    self.grow(Open::Thinking, out);
                    self.delta(Delta::Thinking { thinking: text }, out);
                }
                (true, Thoughts::Inline) => {
                    if !std::mem::replace(&mut self.thinking, true) {
                        self.put_text(THINK, out);
                    }
                    self.put_text(text, out);
                }
                (true, Thoughts::Hidden) => {}
            }
        }
        if let Some(blob) = &part.inline_data {
            self.text(&blob.markdown(), out);
        }
        if let Some(file) = &part.file_data {
            self.text(&file.file_uri, out);
        }
        if let Some(code) = &part.executable_code {
            self.text(&code.markdown(), out);
        }
        if let Some(result) = &part.code_execution_result {
            self.text(&result.markdown(), out);
        }
        if let Some(call) = &part.function_call {
            self.end_thoughts(out);
            if self.single_call && self.calls > 0 {
                return;
            }
            if let Some(signature) = part.thought_signature.as_deref() {
                self.grow(Open::Thinking, out);
                let signature = &marked(signature);
                self.delta(Delta::Signature { signature }, out);
            }
            self.close(out);
            self.shown = true;
            let id = call_id(call.id.as_deref(), &self.answer, self.calls);
            let id = shown_id(id, part.thought_signature.as_deref(), self.style);
            let block = Block::ToolUse {
                id: id.into(),
                name: Cow::Owned(self.renamed.back(&call.name).to_owned()),
                // Anthropic's streams start every call with an empty object.
                input: Cow::Owned(empty_object()),
            };
            self.start(block, out);
            let partial_json = &call.args();
            self.delta(Delta::InputJson { partial_json }, out);
            self.stop(out);
            self.calls += 1;
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.end_thoughts(out);
        self.shown = true;
        self.put_text(text, out);
    }

    fn end_thoughts(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.thinking) {
            self.put_text(THOUGHT, out);
        }
    }

    fn put_text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.grow(Open::Text, out);
        self.delta(Delta::Text { text }, out);
    }

    /// Makes sure that a block of this kind is open.
    fn grow(&mut self, kind: Open, out: &mut Vec<u8>) {
        if self.open == kind {
            return;
        }
        self.close(out);
        let block = if kind == Open::Thinking {
            Block::Thinking {
                thinking: "".into(),
                signature: "".into(),
            }
        } else {
            Block::Text {
                text: "".into(),
                citations: Vec::new(),
            }
        };
        self.start(block, out);
        self.open = kind;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::None {
            self.open = Open::None;
            self.stop(out);
        }
    }

    fn start(&mut self, content_block: Block<'_>, out: &mut Vec<u8>) {
        let index = self.index;
        put(
            &Event::ContentBlockStart {
                index,
                content_block,
            },
            out,
        );
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let index = self.index;
        put(&Event::ContentBlockDelta { index, delta }, out);
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        put(&Event::ContentBlockStop { index: self.index }, out);
        self.index += 1;
    }
}
