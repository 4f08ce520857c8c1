use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use vault::Secret;

use super::lane::Lane;
use super::roster::Key;
use crate::egress::BoundBy;

/// A key that was chosen for an attempt. As long as a clone of it lives, its call counts as
/// under way.
#[derive(Clone)]
pub struct Picked(Arc<Lease>);

/// What a [`Picked`] holds on to.
pub(super) struct Lease {
    pub(super) key: Arc<Key>,
    /// `None` for a key that was not chosen, but asked for by its number.
    pub(super) call: Option<LaneCall>,
    sent: AtomicBool,
    settled: AtomicBool,
}

/// What was counted for a call.
pub(super) struct LaneCall {
    pub(super) lane: Arc<Lane>,
    /// What the window knows it by.
    pub(super) number: u64,
    /// How many input tokens it has, estimated.
    pub(super) tokens: u64,
}

impl Lease {
    pub(super) fn of_lane(key: Arc<Key>, call: LaneCall) -> Self {
        Self {
            key,
            call: Some(call),
            sent: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        }
    }

    pub(super) fn of_key(key: Arc<Key>) -> Self {
        Self {
            key,
            call: None,
            sent: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        }
    }

    /// Notes that it is settled; true the first time.
    pub(super) fn settles(&self) -> bool {
        !self.settled.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            self.key.running.fetch_sub(1, Ordering::SeqCst);
            let unsettled = !*self.settled.get_mut();
            let sent = *self.sent.get_mut();
            let lane = call.lane.clone();
            lane.release(self, unsettled, sent);
            // It may be what one waits for who wants another model.
            if lane.shared.rules.load().key_concurrency > 0 {
                lane.shared.queues.look();
            }
        }
    }
}

impl Picked {
    pub(super) fn new(lease: Lease) -> Self {
        Self(Arc::new(lease))
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.0
    }

    /// Its number in the store.
    pub fn id(&self) -> i64 {
        self.0.key.id
    }

    /// The value of `x-goog-api-key`, marked as sensitive.
    pub fn header(&self) -> HeaderValue {
        self.0.key.header.clone()
    }

    /// The same key, to show and to scrub by, when the call with it is over.
    #[must_use]
    pub fn without_call(&self) -> Self {
        Self::new(Lease::of_key(self.0.key.clone()))
    }

    /// How to show it.
    pub fn masked(&self) -> &str {
        &self.0.key.masked
    }

    /// The key itself, to scrub what Google says by.
    pub fn secret(&self) -> &Secret {
        &self.0.key.secret
    }

    /// What decides by which proxy its calls go.
    pub fn bound_by(&self) -> BoundBy<'_> {
        self.0.key.bound_by()
    }

    /// Notes that the call leaves: from now on it counts, however it ends.
    pub fn sent(&self) {
        self.0.sent.store(true, Ordering::Relaxed);
    }

    /// Notes that the call leaves only now and not when the key was chosen, so that its window
    /// counts it from now. Whether it may leave: while it waited, others may have taken its room.
    pub fn waited(&self) -> bool {
        let call = self.0.call.as_ref();
        call.is_none_or(|call| call.lane.leaves(&self.0.key, call))
    }

    /// Notes how many input tokens Google counted.
    pub fn had_tokens(&self, tokens: u64) {
        if let Some(call) = &self.0.call {
            call.lane.correct(&self.0.key, call.number, tokens);
        }
    }
}
