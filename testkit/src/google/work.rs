//! What takes its time: operations, batches, interactions in the background.

use std::time::Duration;

/// How long it takes until something is done. Both must be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// How often somebody looks and finds it not yet done.
    pub looks: usize,
    /// How much of the fake's own time it takes.
    pub time: Duration,
}

impl Default for Work {
    /// Whoever looks for the second time finds it done.
    fn default() -> Self {
        Self {
            looks: 1,
            time: Duration::ZERO,
        }
    }
}

/// How far one thing is.
#[derive(Debug)]
pub(super) struct Progress {
    looks: usize,
    /// In milliseconds since 1970.
    ready: i64,
}

impl Progress {
    /// It begins now.
    pub fn begin(work: Work, now: i64) -> Self {
        let takes = i64::try_from(work.time.as_millis()).unwrap_or(i64::MAX);
        Self {
            looks: work.looks,
            ready: now.saturating_add(takes),
        }
    }

    /// Somebody looks: whether he finds it done.
    pub fn look(&mut self, now: i64) -> bool {
        let done = self.looks == 0 && now >= self.ready;
        self.looks = self.looks.saturating_sub(1);
        done
    }
}
