//! What a request was given of the memory of thought signatures, and the way without.
//!
//! Google says of a signature that it does not take only that there is one, and never which. One
//! that was remembered here may be stale (it belongs to another project, or the client has changed
//! what was said), and must not end a conversation that would go on without it.

use bytes::Bytes;
use dialect::Signatures;
use parking_lot::Mutex;

use super::problem::Problem;
use super::trace::Trace;
use crate::memory::CallSignatures;

/// What one request was given.
#[derive(Default)]
pub(super) struct Recall {
    /// The names of what was found.
    found: Mutex<Vec<String>>,
    /// The client's body, while the request may be made anew from it.
    body: Option<Bytes>,
}

/// The memory as one request sees it.
pub(super) struct Recalled<'a> {
    memory: Option<&'a CallSignatures>,
    token: Option<i64>,
    recall: &'a Recall,
}

impl Signatures for Recalled<'_> {
    fn named(&self, name: &str) -> Option<String> {
        let signature = self.memory?.of(self.token).named(name)?;
        self.recall.found.lock().push(name.to_owned());
        Some(signature)
    }
}

impl Trace {
    /// What the client of the request may go back to.
    pub(super) fn signatures(&self) -> Recalled<'_> {
        Recalled {
            memory: self.core().map(|core| &core.signatures),
            token: self.token_id(),
            recall: self.recall(),
        }
    }

    /// Keeps the client's body if anything was remembered for it.
    pub(super) fn may_read_again(&mut self, body: &Bytes) {
        let recall = self.recall_mut();
        recall.body = (!recall.found.get_mut().is_empty()).then(|| body.clone());
    }

    /// Forgets what was remembered for the request, when that may be why it was refused. Gives the
    /// client's body, to read it once more.
    pub(super) fn forgets(&mut self, problem: Option<&Problem>) -> Option<Bytes> {
        let recall = self.recall_mut();
        let body = recall.body.take();
        let names = std::mem::take(recall.found.get_mut());
        let body = body.filter(|_| problem.is_some_and(Problem::is_about_signatures))?;
        tracing::info!(
            signatures = names.len(),
            "Google refused a thought signature, so the request is made without what was remembered"
        );
        if let (Some(core), Some(token)) = (self.core(), self.token_id()) {
            core.signatures.forget_named(token, names);
        }
        // It was not the key's fault.
        self.is_not_blamed();
        Some(body)
    }
}
