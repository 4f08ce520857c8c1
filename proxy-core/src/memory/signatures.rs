//! Thought signatures by the calls that they came with.
//!
//! Bounded by throwing away whole generations: when the young one is full, it becomes the old
//! one, and what was old and not asked for meanwhile is gone. So nothing has to be ordered.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Scribe;
use super::scribe::Note;

/// The most that one of the two generations holds, in bytes.
const GENERATION: usize = 16 * 1024 * 1024;
/// The longest signature that is remembered, in bytes; a larger one is no signature.
const LONGEST: usize = 512 * 1024;
/// The longest id of a call that is remembered, in bytes; Google's and ours are shorter.
pub(crate) const LONGEST_ID: usize = 100;

/// Whose call, and its id.
type Call = (i64, Box<str>);

/// Signatures of calls, each for the token whose request it answered.
#[derive(Default)]
pub(crate) struct CallSignatures {
    generations: Mutex<Generations>,
    scribe: Scribe,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Call, Box<str>>,
    old: HashMap<Call, Box<str>>,
    /// How much the young one holds.
    bytes: usize,
}

/// What a token's clients may go back to.
pub(crate) struct Signed<'a> {
    signatures: &'a CallSignatures,
    token: Option<i64>,
}

impl CallSignatures {
    /// An empty memory whose news `scribe` gets.
    pub fn new(scribe: Scribe) -> Self {
        Self {
            scribe,
            ..Self::default()
        }
    }

    /// Remembers the signature of a call that `token` got. The panel's own requests have no
    /// token and go on nowhere.
    pub fn remember(&self, token: Option<i64>, call: String, signature: &str) {
        let Some(token) = token else { return };
        if call.len() > LONGEST_ID || signature.len() > LONGEST {
            return;
        }
        self.recall(token, call.clone(), signature.to_owned());
        self.scribe.note(Note::Signature {
            token,
            call,
            signature: signature.to_owned(),
        });
    }

    /// Puts in what was remembered earlier.
    pub fn recall(&self, token: i64, call: String, signature: String) {
        let mut generations = self.generations.lock();
        generations.put((token, call.into()), signature.into());
    }

    /// What the clients of `token` may go back to.
    pub fn of(&self, token: Option<i64>) -> Signed<'_> {
        Signed {
            signatures: self,
            token,
        }
    }

    /// Forgets what a token was told under these names.
    pub fn forget_named(&self, token: i64, names: Vec<String>) {
        {
            let mut generations = self.generations.lock();
            for name in &names {
                let call = (token, name.as_str().into());
                generations.young.remove(&call);
                generations.old.remove(&call);
            }
        }
        self.scribe.note(Note::Unsigned {
            token,
            calls: names,
        });
    }

    /// Forgets all signatures of a token.
    pub fn forget(&self, token: i64) {
        let mut generations = self.generations.lock();
        generations.young.retain(|(of, _), _| *of != token);
        generations.old.retain(|(of, _), _| *of != token);
    }
}

impl Generations {
    fn put(&mut self, call: Call, signature: Box<str>) {
        self.bytes += call.1.len() + signature.len() + 64;
        self.young.insert(call, signature);
        if self.bytes > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }

    fn get(&mut self, call: Call) -> Option<String> {
        if let Some(signature) = self.young.get(&call) {
            return Some(signature.to_string());
        }
        // Asked for, so it stays.
        let signature = self.old.remove(&call)?;
        let found = signature.to_string();
        self.put(call, signature);
        Some(found)
    }
}

impl dialect::Signatures for Signed<'_> {
    fn named(&self, id: &str) -> Option<String> {
        if id.len() > LONGEST_ID {
            return None;
        }
        let call = (self.token?, id.into());
        self.signatures.generations.lock().get(call)
    }
}

#[cfg(test)]
mod tests {
    use dialect::Signatures as _;

    use super::*;

    #[test]
    fn signatures_belong_to_a_token_and_the_least_used_go() {
        let known = CallSignatures::default();
        let large = "A".repeat(400 * 1024);
        known.remember(Some(1), "first".to_owned(), "c2ln");
        known.remember(Some(1), "unused".to_owned(), "c2ln");
        for round in 0..120 {
            known.remember(Some(2), format!("call{round}"), &large);
            assert_eq!(known.of(Some(1)).named("first").as_deref(), Some("c2ln"));
        }
        assert_eq!(known.of(Some(1)).named("unused"), None);
        assert_eq!(known.of(Some(2)).named("first"), None, "another token's");
        assert_eq!(known.of(None).named("first"), None);
        assert!(known.of(Some(2)).named("call119").is_some());
        assert!(known.generations.lock().bytes <= GENERATION);
        known.forget_named(1, vec!["first".to_owned()]);
        assert_eq!(known.of(Some(1)).named("first"), None);
        known.forget(2);
        assert_eq!(known.of(Some(2)).named("call119"), None);
    }

    #[test]
    fn what_is_no_signature_of_a_call_is_not_remembered() {
        let known = CallSignatures::default();
        let long_id = "x".repeat(LONGEST_ID + 1);
        known.remember(Some(1), long_id.clone(), "c2ln");
        known.remember(None, "call".to_owned(), "c2ln");
        known.remember(Some(1), "call".to_owned(), &"A".repeat(LONGEST + 1));
        assert_eq!(known.of(Some(1)).named(&long_id), None);
        assert_eq!(known.of(Some(1)).named("call"), None);
    }
}
