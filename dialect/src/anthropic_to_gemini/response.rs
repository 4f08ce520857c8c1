//! The whole answer: Gemini to Anthropic Messages.

use std::borrow::Cow;

use serde::Serialize;

use super::request::MessagesCall;
use super::wire::{Block, End, UsageOut, call_id, citations, searched};
use crate::ResponseMeta;
use crate::aside::{THINK, THOUGHT};
use crate::error::Malformed;
use crate::gemini::Usage;
use crate::gemini::response::{Part, Response};
use crate::gemini::sources::Sources;
use crate::signature::{marked, shown_id};
use crate::style::{Citations, Thoughts};
use crate::text::to_json;

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    /// Never: Google says `STOP` of an answer that ended by itself as of one that a text ended, and
    /// leaves that text out. Which it was cannot be told, and is not guessed.
    stop_sequence: Option<()>,
    usage: UsageOut,
}

/// Translates a whole answer; `meta.id` should begin with `msg_`.
///
/// A refused prompt becomes an answer that says so with the stop reason `refusal`. An
/// answer without any candidate is [`Malformed`].
pub fn messages_response(
    call: &MessagesCall,
    meta: &ResponseMeta,
    gemini_body: &[u8],
) -> Result<Vec<u8>, Malformed> {
    let mut response = Response::parse(gemini_body)?;
    let usage = response.usage_metadata.map(Usage::from).unwrap_or_default();
    let body = |content, stop_reason, sources: &Sources| {
        to_json(
            &Body {
                id: &meta.id,
                r#type: "message",
                role: "assistant",
                model: &call.requested_model,
                content,
                stop_reason,
                stop_sequence: None,
                usage: UsageOut::from(usage).with_searches(sources),
            },
            gemini_body.len(),
        )
    };
    let feedback = response.prompt_feedback.take().unwrap_or_default();
    let Some(mut candidate) = response.into_first_candidate() else {
        let Some(reason) = feedback.block_reason else {
            return Err(Malformed::new(
                "Google answered without any candidate and without saying why.",
            ));
        };
        let end = End::refused(&reason, feedback.block_reason_message.as_deref());
        let text = end.explanation.unwrap_or_default().into();
        let citations = Vec::new();
        let content = vec![Block::Text { text, citations }];
        return Ok(body(content, end.stop_reason, &Sources::default()));
    };
    let parts = candidate.take_parts();
    let mut sources = Sources::default();
    let mut blocks = Blocks::default();
    for (at, part) in parts.iter().enumerate() {
        sources.part(part, at == 0);
        if let Some(text) = part.text.as_deref().filter(|_| part.thought != Some(true)) {
            if !matches!(blocks.list.last(), Some(Block::Text { .. })) {
                sources.next_message();
            }
            sources.said(text);
        }
        blocks.add(part, call, meta);
    }
    blocks.end_thoughts();
    if let Some(grounding) = &candidate.grounding_metadata {
        sources.learn(grounding);
    }
    if let Some(Block::Text { citations, .. }) = blocks.list.last_mut() {
        citations.extend(self::citations(&sources));
    }
    let searched = searched(&sources, &meta.id);
    blocks.list.extend(searched.into_iter().flatten());
    if meta.style.citations == Citations::Text
        && let Some(list) = sources.markdown()
    {
        blocks.text(list.into());
    }
    let native = candidate.finish_reason.as_deref().unwrap_or("STOP");
    let message = candidate.finish_message.as_deref();
    let end = End::of(native, message, blocks.calls > 0);
    if !blocks.shown
        && let Some(text) = end.explanation
    {
        blocks.text(text.into());
    }
    Ok(body(blocks.list, end.stop_reason, &sources))
}

#[derive(Default)]
struct Blocks<'a> {
    list: Vec<Block<'a>>,
    calls: u32,
    /// There is something besides thoughts.
    shown: bool,
    /// The last text ends inside thoughts.
    thinking: bool,
}

impl<'a> Blocks<'a> {
    fn add(&mut self, part: &'a Part<'a>, request: &'a MessagesCall, meta: &ResponseMeta) {
        if let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) {
            match (part.thought == Some(true), meta.style.thoughts) {
                (false, _) => self.text(text.into()),
                (true, Thoughts::Native) => self.thinking(text),
                (true, Thoughts::Inline) => {
                    if !std::mem::replace(&mut self.thinking, true) {
                        self.put(THINK.into());
                    }
                    self.put(text.into());
                }
                (true, Thoughts::Hidden) => {}
            }
        }
        if let Some(blob) = &part.inline_data {
            self.text(blob.markdown().into());
        }
        if let Some(file) = &part.file_data {
            self.text((&*file.file_uri).into());
        }
        if let Some(code) = &part.executable_code {
            self.text(code.markdown().into());
        }
        if let Some(result) = &part.code_execution_result {
            self.text(result.markdown().into());
        }
        if let Some(call) = &part.function_call {
            self.end_thoughts();
            if request.single_call && self.calls > 0 {
                return;
            }
            let signature = part.thought_signature.as_deref();
            if let Some(given) = signature {
                self.sign(given);
            }
            self.shown = true;
            let id = call_id(call.id.as_deref(), &meta.id, self.calls);
            self.list.push(Block::ToolUse {
                id: shown_id(id, signature, meta.style).into(),
                name: request.renamed.back(&call.name).into(),
                input: call.args_json(),
            });
            self.calls += 1;
        }
    }

    fn text(&mut self, more: Cow<'a, str>) {
        self.end_thoughts();
        self.shown = true;
        self.put(more);
    }

    fn end_thoughts(&mut self) {
        if std::mem::take(&mut self.thinking) {
            self.put(THOUGHT.into());
        }
    }

    fn put(&mut self, more: Cow<'a, str>) {
        match self.list.last_mut() {
            Some(Block::Text { text, .. }) => text.to_mut().push_str(&more),
            _ => self.list.push(Block::Text {
                text: more,
                citations: Vec::new(),
            }),
        }
    }

    fn thinking(&mut self, more: &'a str) {
        match self.list.last_mut() {
            Some(Block::Thinking { thinking, .. }) => thinking.to_mut().push_str(more),
            _ => self.list.push(Block::Thinking {
                thinking: more.into(),
                signature: "".into(),
            }),
        }
    }

    /// Puts a signature where the client will return it: on the thinking right before the
    /// call, an empty one if need be (as Anthropic has it with `display: omitted`).
    fn sign(&mut self, given: &str) {
        match self.list.last_mut() {
            Some(Block::Thinking { signature, .. }) => *signature = marked(given).into(),
            _ => self.list.push(Block::Thinking {
                thinking: "".into(),
                signature: marked(given).into(),
            }),
        }
    }
}
