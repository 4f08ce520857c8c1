//! A failure that all keys show at once is Google's or the network's, and no key is blamed.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use contract::Millis;
use contract::admin::RejectReason;
use parking_lot::Mutex;

/// Within which time refusals belong together.
const TOGETHER_MS: Millis = 60_000;
/// How many keys that worked must be refused together.
const LEAST: usize = 3;
/// How long nothing is tried then; doubled each time up to [`LONGEST_PAUSE_MS`].
const FIRST_PAUSE_MS: Millis = 60_000;
const LONGEST_PAUSE_MS: Millis = 60 * 60 * 1_000;
/// How long one call may take to see whether it is over, before another is tried.
const TRIAL_MS: Millis = 30_000;

/// Who was refused lately.
#[derive(Debug, Default)]
pub(super) struct Blame {
    /// When something may be tried again; 0: there is no such failure.
    held_until: AtomicI64,
    /// Somebody was refused since anything last went well.
    is_suspect: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Keys that worked and were refused since anything last went well.
    refused: Vec<i64>,
    since: Millis,
    pause: Millis,
}

impl Blame {
    /// Until when nothing is tried.
    pub(super) fn holds(&self, now: Millis) -> Option<Millis> {
        let until = self.held_until.load(Ordering::Relaxed);
        (until > now).then_some(until)
    }

    /// A call is tried: while all are refused, only one at a time.
    pub(super) fn tries(&self, now: Millis) {
        if self.held_until.load(Ordering::Relaxed) > 0 {
            self.held_until.store(now + TRIAL_MS, Ordering::Relaxed);
        }
    }

    /// Something went well.
    pub(super) fn went_well(&self) {
        if !self.is_suspect.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut inner = self.inner.lock();
        inner.refused.clear();
        inner.pause = 0;
        self.held_until.store(0, Ordering::Relaxed);
    }

    /// Whether all are refused at once, so that another refusal says nothing.
    pub(super) fn prolong(&self, now: Millis) -> bool {
        if self.held_until.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.is_suspect.store(true, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        inner.pause = (inner.pause * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        self.held_until.store(now + inner.pause, Ordering::Relaxed);
        true
    }

    /// A key that worked was refused. When none is left, and they went together, gives those
    /// that are not to blame.
    pub(super) fn refused(
        &self,
        now: Millis,
        key: i64,
        reason: RejectReason,
        none_left: impl FnOnce() -> bool,
    ) -> Vec<i64> {
        self.is_suspect.store(true, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        if now.saturating_sub(inner.since) > TOGETHER_MS {
            inner.refused.clear();
        }
        if inner.refused.is_empty() {
            inner.since = now;
        }
        inner.refused.push(key);
        if inner.refused.len() < LEAST || !none_left() {
            return Vec::new();
        }
        inner.pause = FIRST_PAUSE_MS;
        self.held_until.store(now + inner.pause, Ordering::Relaxed);
        tracing::error!(
            keys = inner.refused.len(),
            ?reason,
            "Google refuses every key at once; no key is blamed, and one is tried from time to time"
        );
        std::mem::take(&mut inner.refused)
    }
}
