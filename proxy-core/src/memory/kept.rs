//! Answers of the Responses API that clients want kept: for `previous_response_id`, for
//! references to items, and to be read again.
//!
//! Bounded: what was used longest ago goes first. A client that gets to know that an answer is
//! gone sends the conversation instead, as it must at OpenAI, too, when the vendor has deleted
//! it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dialect::openai_to_gemini::responses::{Kept, Memory};
use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::Scribe;
use super::scribe::Note;

/// The most that is kept for one token, in bytes.
const MOST_OF_A_TOKEN: usize = 16 * 1024 * 1024;
/// The most that is kept in all, in bytes.
const MOST: usize = 64 * 1024 * 1024;
/// The most turns of a conversation that are gone back.
const MOST_TURNS: usize = 10_000;

/// The answers that are kept, each for the token that asked for it.
#[derive(Default)]
pub(crate) struct KeptResponses {
    shelf: Mutex<Shelf>,
    scribe: Scribe,
}

#[derive(Default)]
struct Shelf {
    by_token: HashMap<i64, Answers>,
    /// Answers by when they were last used.
    by_use: BTreeMap<u64, (i64, Arc<Kept>)>,
    uses: u64,
    bytes: usize,
}

/// The answers of one token.
#[derive(Default)]
struct Answers {
    /// By id, with when each was last used.
    by_id: HashMap<String, u64>,
    bytes: usize,
}

/// What a token's clients may go back to.
pub(crate) struct Remembered<'a> {
    kept: &'a KeptResponses,
    token: Option<i64>,
}

impl KeptResponses {
    /// An empty shelf whose news `scribe` gets.
    pub fn new(scribe: Scribe) -> Self {
        Self {
            scribe,
            ..Self::default()
        }
    }

    /// Keeps an answer for `token`.
    pub fn keep(&self, token: i64, answer: Kept) {
        let answer = Arc::new(answer);
        self.put(token, answer.clone());
        self.scribe.note(Note::Keep { token, answer });
    }

    /// Writes down what the next start finds of an answer that is under way, unless it is kept
    /// before.
    pub fn promise(&self, token: i64, answer: Arc<Kept>) {
        self.scribe.note(Note::Keep { token, answer });
    }

    /// Puts in what was kept earlier.
    pub fn recall(&self, token: i64, answer: Kept) {
        self.put(token, Arc::new(answer));
    }

    fn put(&self, token: i64, answer: Arc<Kept>) {
        let mut shelf = self.shelf.lock();
        shelf.remove(token, answer.id());
        shelf.put(token, answer);
        while shelf.bytes > MOST {
            let Some((token, oldest)) = shelf.by_use.values().next().cloned() else {
                break;
            };
            shelf.remove(token, oldest.id());
        }
        while shelf.bytes_of(token) > MOST_OF_A_TOKEN {
            let mut own = shelf.by_use.values().filter(|(of, _)| *of == token);
            let Some((_, oldest)) = own.next().cloned() else {
                break;
            };
            shelf.remove(token, oldest.id());
        }
    }

    /// An answer that was kept for `token`.
    pub fn get(&self, token: Option<i64>, id: &str) -> Option<Arc<Kept>> {
        let token = token?;
        let mut shelf = self.shelf.lock();
        // Used now, so it goes last.
        let answer = shelf.remove(token, id)?;
        shelf.put(token, answer.clone());
        Some(answer)
    }

    /// Forgets an answer; whether there was one.
    pub fn delete(&self, token: Option<i64>, id: &str) -> bool {
        let known = token.is_some_and(|token| self.shelf.lock().remove(token, id).is_some());
        if known {
            self.scribe.note(Note::Drop { id: id.to_owned() });
        }
        known
    }

    /// Forgets what was written of an answer that is not kept in memory.
    pub fn drop_written(&self, id: &str) {
        self.scribe.note(Note::Drop { id: id.to_owned() });
    }

    /// Forgets all answers of a token, in memory.
    pub fn forget(&self, token: i64) {
        let mut shelf = self.shelf.lock();
        let ids = shelf.by_token.get(&token).map(|answers| {
            let ids = answers.by_id.keys().cloned();
            ids.collect::<Vec<_>>()
        });
        for id in ids.unwrap_or_default() {
            shelf.remove(token, &id);
        }
    }

    /// What the clients of `token` may go back to.
    pub fn of(&self, token: Option<i64>) -> Remembered<'_> {
        Remembered { kept: self, token }
    }
}

impl Shelf {
    fn bytes_of(&self, token: i64) -> usize {
        self.by_token.get(&token).map_or(0, |answers| answers.bytes)
    }

    fn put(&mut self, token: i64, answer: Arc<Kept>) {
        let (id, size) = (answer.id().to_owned(), answer.size());
        self.uses += 1;
        self.bytes += size;
        let answers = self.by_token.entry(token).or_default();
        answers.bytes += size;
        answers.by_id.insert(id, self.uses);
        self.by_use.insert(self.uses, (token, answer));
    }

    fn remove(&mut self, token: i64, id: &str) -> Option<Arc<Kept>> {
        let answers = self.by_token.get_mut(&token)?;
        let used = answers.by_id.remove(id)?;
        let (_, answer) = self.by_use.remove(&used)?;
        answers.bytes -= answer.size();
        self.bytes -= answer.size();
        if answers.by_id.is_empty() {
            self.by_token.remove(&token);
        }
        Some(answer)
    }
}

impl Memory for Remembered<'_> {
    fn conversation(&self, response: &str) -> Option<Vec<Box<RawValue>>> {
        let mut turns = vec![self.kept.get(self.token, response)?];
        while let Some(previous) = turns.last().and_then(|turn| turn.previous()) {
            if turns.len() == MOST_TURNS {
                return None;
            }
            let turn = self.kept.get(self.token, previous)?;
            turns.push(turn);
        }
        Some(turns.iter().rev().flat_map(|turn| turn.items()).collect())
    }

    fn item(&self, id: &str) -> Option<Box<RawValue>> {
        let response = Kept::response_of(id)?;
        self.kept.get(self.token, &response)?.item(id)
    }
}

#[cfg(test)]
mod tests {
    use dialect::ResponseMeta;
    use dialect::openai_to_gemini::responses::{responses_request, responses_response};
    use dialect::style::Style;
    use serde_json::json;

    use super::*;

    /// An answer of about `size` bytes.
    fn answer(id: &str, previous: Option<&str>, size: usize, memory: &dyn Memory) -> Kept {
        let body = json!({
            "model": "gemini-2.5-flash",
            "input": format!("{id}{}", "x".repeat(size)),
            "previous_response_id": previous,
        });
        let call = responses_request(body.to_string().as_bytes(), memory).unwrap();
        let meta = ResponseMeta {
            id: format!("resp_{id}"),
            created: 0,
            style: Style::default(),
        };
        let said =
            json!({"candidates": [{"content": {"parts": [{"text": id}]}, "finishReason": "STOP"}]});
        let (_, kept) = responses_response(&call, &meta, said.to_string().as_bytes()).unwrap();
        kept.unwrap()
    }

    #[test]
    fn a_conversation_belongs_to_the_token_that_had_it() {
        let kept = KeptResponses::default();
        kept.keep(1, answer("a", None, 0, &()));
        kept.keep(1, answer("b", Some("resp_a"), 0, &kept.of(Some(1))));
        assert_eq!(kept.of(Some(1)).conversation("resp_b").unwrap().len(), 4);
        assert!(kept.of(Some(1)).item("msg_a_0").is_some());
        for other in [Some(2), None] {
            assert!(kept.of(other).conversation("resp_b").is_none());
            assert!(kept.of(other).item("msg_a_0").is_none());
            assert!(kept.get(other, "resp_a").is_none());
            assert!(!kept.delete(other, "resp_a"));
        }
        assert!(kept.delete(Some(1), "resp_a"));
        assert!(
            kept.of(Some(1)).conversation("resp_b").is_none(),
            "half a conversation would be another one"
        );
        kept.forget(1);
        assert!(kept.get(Some(1), "resp_b").is_none());
        assert_eq!(kept.shelf.lock().bytes, 0);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        const MIB: usize = 1024 * 1024;
        let kept = KeptResponses::default();
        let has = |token: i64, id: &str| {
            let shelf = kept.shelf.lock();
            let answers = shelf.by_token.get(&token);
            answers.is_some_and(|answers| answers.by_id.contains_key(&format!("resp_{id}")))
        };
        kept.keep(1, answer("a", None, 5 * MIB, &()));
        kept.keep(1, answer("b", None, 5 * MIB, &()));
        kept.keep(2, answer("c", None, 5 * MIB, &()));
        assert!(kept.get(Some(1), "resp_a").is_some());
        kept.keep(1, answer("d", None, 5 * MIB, &()));
        kept.keep(1, answer("e", None, 5 * MIB, &()));
        let left = ["a", "b", "d", "e"].map(|id| has(1, id));
        assert_eq!(left, [true, false, true, true]);
        assert!(has(2, "c"), "another token's");
        // More than there is room for is not kept at all.
        kept.keep(3, answer("f", None, 17 * MIB, &()));
        assert!(!has(3, "f"));
        for token in 10..16 {
            kept.keep(token, answer("g", None, 12 * MIB, &()));
        }
        assert!(kept.shelf.lock().bytes <= MOST);
        assert!(!has(2, "c"));
        assert!(has(15, "g"));
    }
}
