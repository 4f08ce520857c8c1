//! Which calls of an answer came with a thought signature, by the ids that clients get: what the
//! caller is to remember ([`crate::Signatures`]).
//!
//! Apart from the translations, which write a client's answer and nothing else. Numbers calls as
//! they do.

use memchr::memmem;

use crate::gemini::response::{Candidate, Response};
use crate::{anthropic_to_gemini, openai_to_gemini};

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

/// The signed calls of one answer, read from Google's events or from the whole.
#[derive(Debug)]
pub struct SignedCalls {
    ids: IdsOf,
    answer: String,
    /// How many calls each choice has had.
    counts: Vec<(u32, u32)>,
}

impl SignedCalls {
    /// Those of the answer with this id ([`crate::ResponseMeta::id`]).
    pub fn new(ids: IdsOf, answer: &str) -> Self {
        Self {
            ids,
            answer: answer.to_owned(),
            counts: Vec::new(),
        }
    }

    /// Reads one of Google's events, or a whole answer, and names each signed call with its
    /// signature. What cannot be read names none.
    pub fn read(&mut self, data: &[u8], mut found: impl FnMut(String, &str)) {
        if memmem::find(data, b"\"functionCall\"").is_none() {
            return;
        }
        let Ok(response) = Response::parse(data) else {
            return;
        };
        for (candidate, at) in response.candidates.into_iter().flatten().zip(0..) {
            self.candidate(candidate, at, &mut found);
        }
    }

    fn candidate(
        &mut self,
        mut candidate: Candidate<'_>,
        at: u32,
        found: &mut impl FnMut(String, &str),
    ) {
        let choice = candidate.index.unwrap_or(at);
        if choice != 0 && self.ids != IdsOf::Chat {
            return;
        }
        for part in candidate.take_parts() {
            let Some(call) = &part.function_call else {
                continue;
            };
            let number = self.next(choice);
            if let Some(signature) = part.thought_signature.as_deref() {
                let (given, answer) = (call.id.as_deref(), &*self.answer);
                let id = match self.ids {
                    IdsOf::Messages => anthropic_to_gemini::call_id(given, answer, number),
                    IdsOf::Chat | IdsOf::Responses => {
                        openai_to_gemini::call_id(given, answer, choice, number)
                    }
                };
                found(id, signature);
            }
        }
    }

    /// The number of the next call of a choice.
    fn next(&mut self, choice: u32) -> u32 {
        let known = self.counts.iter_mut().find(|(known, _)| *known == choice);
        match known {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                self.counts.push((choice, 1));
                0
            }
        }
    }
}
