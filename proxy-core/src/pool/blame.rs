//! A failure that all keys show at once is Google's or the network's, and no key is blamed.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use contract::Millis;
use contract::admin::RejectReason;
use parking_lot::Mutex;

/// Within which time refusals belong together.
const TOGETHER_MS: Millis = 60_000;
/// Keys of how many projects that worked must be refused together when no other is left: what Google
/// has against one project, it has against all its keys.
const LEAST: usize = 3;
/// Of how many it must be in a row, with nothing that went well in between, when others are left: more
/// than one person's keys that are taken away together.
const LEAST_IN_A_ROW: usize = 20;
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

    /// Whether all are refused at once, as far as is known.
    pub(super) fn is_outage(&self) -> bool {
        self.held_until.load(Ordering::Relaxed) > 0
    }

    /// A call is tried: while all are refused, only one at a time.
    ///
    /// # Errors
    /// When another is tried already; gives until when.
    pub(super) fn tries(&self, now: Millis) -> Result<(), Millis> {
        let tried = |until| (until > 0 && until <= now).then_some(now + TRIAL_MS);
        let order = Ordering::Relaxed;
        match self.held_until.fetch_update(order, order, tried) {
            Err(until) if until > now => Err(until),
            // There is no outage, or this is the one call that sees whether it is over.
            _ => Ok(()),
        }
    }

    /// Google has taken a key; true when that ends an outage.
    pub(super) fn went_well(&self) -> bool {
        if !self.is_suspect.swap(false, Ordering::Relaxed) {
            return false;
        }
        let mut inner = self.inner.lock();
        inner.refused.clear();
        inner.pause = 0;
        self.held_until.swap(0, Ordering::Relaxed) > 0
    }

    /// Whether all are refused at once, so that another refusal says nothing.
    pub(super) fn prolong(&self, now: Millis) -> bool {
        let mut inner = self.inner.lock();
        if self.held_until.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.is_suspect.store(true, Ordering::Relaxed);
        inner.pause = (inner.pause * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        self.held_until.store(now + inner.pause, Ordering::Relaxed);
        true
    }

    /// A key that worked was refused. When none is left, or many went one after the other, gives
    /// those that are not to blame. `projects` says to how many projects keys belong.
    pub(super) fn refused(
        &self,
        now: Millis,
        (key, reason): (i64, RejectReason),
        projects: impl FnOnce(&[i64]) -> usize,
        none_left: impl FnOnce() -> bool,
    ) -> Vec<i64> {
        let mut inner = self.inner.lock();
        self.is_suspect.store(true, Ordering::Relaxed);
        if now.saturating_sub(inner.since) > TOGETHER_MS {
            inner.refused.clear();
        }
        if inner.refused.is_empty() {
            inner.since = now;
        }
        inner.refused.push(key);
        let count = projects(&inner.refused);
        if count < LEAST || (count < LEAST_IN_A_ROW && !none_left()) {
            return Vec::new();
        }
        inner.pause = FIRST_PAUSE_MS;
        self.held_until.store(now + inner.pause, Ordering::Relaxed);
        tracing::error!(
            projects = count,
            ?reason,
            "Google refuses one key after the other; none is blamed, and one is tried from time to time"
        );
        std::mem::take(&mut inner.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_sees_whether_it_is_over_and_nobody_is_held_when_it_is() {
        let blame = Blame::default();
        assert_eq!(blame.tries(0), Ok(()));
        for key in 0..3 {
            let refused = (key, RejectReason::Invalid);
            let innocent = blame.refused(0, refused, <[i64]>::len, || key == 2);
            assert_eq!(innocent.len(), if key == 2 { 3 } else { 0 });
        }
        let until = blame.holds(0).unwrap();
        assert_eq!(blame.tries(until), Ok(()));
        // Another that has looked before, and comes a moment later.
        assert_eq!(blame.tries(until), Err(until + TRIAL_MS));
        assert!(blame.went_well());
        assert!(!blame.went_well(), "it was over");
        // One that was about to try when it was found to be over holds nobody.
        assert_eq!(blame.tries(until), Ok(()));
        assert_eq!(blame.holds(until), None);
        assert!(!blame.prolong(until));
    }
}
