//! What of an answer came with a thought signature, by names that are found again when a client
//! sends the answer back: what the caller is to remember ([`crate::Signatures`]).
//!
//! Calls are named by the ids that clients get; texts and media have none, and are named by what
//! they are. What Google's own tools did beside functions has no place in any other protocol, and
//! is named by what came after it.
//!
//! Apart from the translations, which write a client's answer and nothing else. Numbers calls and
//! divides texts as they do.

use memchr::memmem;

use crate::aside::{THINK, THOUGHT, own_words};
use crate::gemini::response::{Candidate, Part, Response};
use crate::gemini::signs_texts;
use crate::signature::{data_key, text_key, tools_key};
use crate::style::{Media, Style, Thoughts};
use crate::{ResponseMeta, anthropic_to_gemini, openai_to_gemini};

/// Whose ids are given to calls that have none of Google's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdsOf {
    /// OpenAI's chat.
    Chat,
    /// OpenAI's Responses API.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

/// The signed parts of one answer, read from Google's events or from the whole.
#[derive(Debug)]
pub struct SignedParts {
    ids: IdsOf,
    answer: String,
    style: Style,
    /// The model signs more than calls.
    texts: bool,
    choices: Vec<Choice>,
}

/// What is known of a choice so far.
#[derive(Debug, Default)]
struct Choice {
    index: u32,
    calls: u32,
    /// The text since the last part that ends a text for the client.
    text: String,
    /// Its signature.
    signature: Option<String>,
    /// The text ends inside thoughts.
    thinking: bool,
    /// What Google's own tools did, each part as JSON.
    tools: Vec<String>,
    /// There was text before that.
    tools_after_text: bool,
}

impl SignedParts {
    /// Those of the answer with this meta, which `model` gives.
    pub fn new(ids: IdsOf, meta: &ResponseMeta, model: &str) -> Self {
        Self {
            ids,
            answer: meta.id.clone(),
            style: meta.style,
            texts: signs_texts(model),
            choices: Vec::new(),
        }
    }

    /// Reads one of Google's events, or a whole answer, and tells what is to be remembered under
    /// which name. What cannot be read tells nothing.
    pub fn read(&mut self, data: &[u8], mut found: impl FnMut(String, &str)) {
        if !self.texts && memmem::find(data, b"\"functionCall\"").is_none() {
            return;
        }
        let Ok(response) = Response::parse(data) else {
            return;
        };
        for (candidate, at) in response.candidates.into_iter().flatten().zip(0..) {
            self.candidate(candidate, at, &mut found);
        }
    }

    /// Tells what is left to tell at the end of the answer.
    pub fn finish(&mut self, mut found: impl FnMut(String, &str)) {
        for mut choice in std::mem::take(&mut self.choices) {
            choice.tools_after_text = false;
            choice.end_text(&mut found);
        }
    }

    fn candidate(
        &mut self,
        mut candidate: Candidate<'_>,
        at: u32,
        found: &mut impl FnMut(String, &str),
    ) {
        let index = candidate.index.unwrap_or(at);
        if index != 0 && self.ids != IdsOf::Chat {
            return;
        }
        let known = self.choices.iter().position(|known| known.index == index);
        let at = known.unwrap_or_else(|| {
            self.choices.push(Choice {
                index,
                ..Choice::default()
            });
            self.choices.len() - 1
        });
        for part in candidate.take_parts() {
            if self.texts {
                self.said(at, &part, found);
            }
            self.called(at, &part, found);
        }
    }

    fn called(&mut self, at: usize, part: &Part<'_>, found: &mut impl FnMut(String, &str)) {
        let Some(call) = &part.function_call else {
            return;
        };
        let choice = &mut self.choices[at];
        let number = choice.calls;
        choice.calls += 1;
        let (given, answer) = (call.id.as_deref(), &*self.answer);
        let id = match self.ids {
            IdsOf::Messages => anthropic_to_gemini::call_id(given, answer, number),
            IdsOf::Chat | IdsOf::Responses => {
                openai_to_gemini::call_id(given, answer, choice.index, number)
            }
        };
        if choice.text.is_empty() || choice.tools_after_text {
            choice.end_tools(&id, found);
        }
        if let Some(signature) = part.thought_signature.as_deref() {
            found(id, signature);
        }
    }

    /// Reads all but calls.
    fn said(&mut self, at: usize, part: &Part<'_>, found: &mut impl FnMut(String, &str)) {
        let (ids, style) = (self.ids, self.style);
        let choice = &mut self.choices[at];
        let signature = part.thought_signature.as_deref();
        if let Some(tool) = part.own_tool() {
            choice.tools_after_text |= choice.tools.is_empty() && !choice.text.is_empty();
            choice.tools.push(tool);
            return;
        }
        if let Some(text) = &part.text {
            match (part.thought == Some(true), style.thoughts) {
                (false, _) => {
                    choice.say(text);
                    if let Some(signature) = signature {
                        choice.signature = Some(signature.to_owned());
                    }
                }
                (true, Thoughts::Hidden) => {}
                (true, Thoughts::Native) if ids == IdsOf::Chat => {}
                (true, Thoughts::Native) => choice.end_text(found),
                (true, Thoughts::Inline) => {
                    if !text.is_empty() && !std::mem::replace(&mut choice.thinking, true) {
                        choice.text.push_str(THINK);
                    }
                    choice.text.push_str(text);
                }
            }
        }
        if let Some(blob) = &part.inline_data {
            if ids != IdsOf::Chat || style.media == Media::Markdown {
                choice.end_text(found);
            }
            if let Some(signature) = signature {
                found(data_key(&blob.data), signature);
            }
        }
        if let Some(file) = &part.file_data {
            choice.say(&file.file_uri);
        }
        match (ids, &part.executable_code, &part.code_execution_result) {
            (_, None, None) => {}
            (IdsOf::Responses, ..) => choice.end_text(found),
            (_, Some(code), _) => choice.say(&code.markdown()),
            (_, None, Some(result)) => choice.say(&result.markdown()),
        }
        if part.function_call.is_some() {
            choice.end_thoughts();
            if ids != IdsOf::Chat {
                choice.end_text(found);
            }
        }
    }
}

impl Choice {
    fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.end_thoughts();
            self.text.push_str(text);
        }
    }

    fn end_thoughts(&mut self) {
        if std::mem::take(&mut self.thinking) {
            self.text.push_str(THOUGHT);
        }
    }

    fn end_text(&mut self, found: &mut impl FnMut(String, &str)) {
        self.end_thoughts();
        let text = std::mem::take(&mut self.text);
        let signature = self.signature.take();
        if text.trim().is_empty() {
            return;
        }
        // What was done before a text that is too short goes with what comes next.
        let Some(key) = text_key(&own_words(text.into())) else {
            return;
        };
        if !self.tools_after_text {
            self.end_tools(&key, found);
        }
        if let Some(signature) = signature {
            found(key, &signature);
        }
    }

    fn end_tools(&mut self, before: &str, found: &mut impl FnMut(String, &str)) {
        self.tools_after_text = false;
        if !self.tools.is_empty() {
            let all = format!("[{}]", std::mem::take(&mut self.tools).join(","));
            found(tools_key(before), &all);
        }
    }
}
