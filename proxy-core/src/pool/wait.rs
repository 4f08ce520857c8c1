//! Waiting for the first window that opens, in the order of arrival.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract::Millis;
use tokio::sync::{Notify, oneshot};

use super::Unavailable;
use super::lane::{Lane, Prefer, Want};
use super::lease::Picked;

/// After how long the first of a queue looks again, in milliseconds, when it is not known when a
/// key becomes free.
const LOOK_AGAIN_MS: Millis = 500;

/// A [`Want`] that outlives its request's borrowings.
#[derive(Clone, Debug)]
pub(super) struct OwnedWant {
    tokens: u64,
    never: Arc<[i64]>,
    rather_not: Arc<[i64]>,
    prefer: Option<Prefer>,
}

impl OwnedWant {
    pub(super) fn borrowed<'a>(&'a self, model: &'a str) -> Want<'a> {
        Want {
            model,
            tokens: self.tokens,
            never: &self.never,
            rather_not: &self.rather_not,
            prefer: self.prefer,
        }
    }
}

impl From<&Want<'_>> for OwnedWant {
    fn from(want: &Want<'_>) -> Self {
        Self {
            tokens: want.tokens,
            never: want.never.into(),
            rather_not: want.rather_not.into(),
            prefer: want.prefer,
        }
    }
}

/// One request in a lane's queue.
pub(super) struct Waiter {
    ticket: u64,
    pub(super) want: OwnedWant,
    /// How often one behind it went first.
    pub(super) overtaken: u32,
    give: oneshot::Sender<Picked>,
    look: Arc<Notify>,
}

impl Waiter {
    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        self.give.is_closed()
    }

    /// Has it look when it may go on.
    pub(super) fn look(&self) {
        self.look.notify_one();
    }

    /// Hands out what was chosen. Not under the lane's lock: what nobody takes goes back there.
    pub(super) fn give(given: Vec<(Self, Picked)>) {
        for (waiter, picked) in given {
            drop(waiter.give.send(picked));
        }
    }
}

/// A place in a lane's queue. Dropping it leaves the queue.
pub struct Waiting {
    lane: Arc<Lane>,
    ticket: u64,
    given: oneshot::Receiver<Picked>,
    look: Arc<Notify>,
    /// Why it waits.
    why: Unavailable,
}

/// What came of asking.
pub enum Asked {
    /// A key.
    Now(Picked),
    /// A place in the queue.
    Queued(Waiting),
}

impl Lane {
    /// Chooses for `want` now, or puts it into the queue when something opens by `deadline`.
    pub(super) fn ask(
        self: &Arc<Self>,
        want: &Want<'_>,
        deadline: Option<Millis>,
    ) -> Result<Asked, Unavailable> {
        static TICKETS: AtomicU64 = AtomicU64::new(0);
        let (given, asked) = self.with(|state, at| {
            let given = match state.queue.is_empty() {
                true => Vec::new(),
                // Those that wait come first.
                false => self.serve(state, at, false).given,
            };
            let asked = match self.choose(state, at, want) {
                Ok(picked) => Ok(Asked::Now(picked)),
                Err(closed) => {
                    let is_in_time = deadline.is_some_and(|deadline| {
                        closed
                            .why
                            .until()
                            .is_some_and(|until| until.unwrap_or(at.now) < deadline)
                    });
                    let most = self.shared.rules.load().queue;
                    if !is_in_time || state.queue.len() >= most {
                        Err(closed.why)
                    } else {
                        let (give, given) = oneshot::channel();
                        let look = Arc::new(Notify::new());
                        let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
                        state.queue.push_back(Waiter {
                            ticket,
                            want: want.into(),
                            overtaken: 0,
                            give,
                            look: look.clone(),
                        });
                        Ok(Asked::Queued(Waiting {
                            lane: self.clone(),
                            ticket,
                            given,
                            look,
                            why: closed.why,
                        }))
                    }
                }
            };
            (given, asked)
        });
        Waiter::give(given);
        asked
    }

    /// Serves the queue. Gives why the first of it cannot go on, if that is `ticket`.
    fn attend(self: &Arc<Self>, ticket: u64) -> Option<Unavailable> {
        let (served, is_first) = self.with(|state, at| {
            let served = self.serve(state, at, false);
            let first = state.queue.front();
            (served, first.is_some_and(|first| first.ticket == ticket))
        });
        Waiter::give(served.given);
        served.first.filter(|_| is_first)
    }

    /// Serves the queue as it is now. Gives when it is worth calling again by itself.
    pub(super) fn serve_now(self: &Arc<Self>) -> Option<Millis> {
        let served = self.with(|state, at| self.serve(state, at, false));
        Waiter::give(served.given);
        served.first?.until()?
    }
}

impl Waiting {
    /// What was given, if anything was.
    pub fn take(&mut self) -> Option<Picked> {
        self.given.try_recv().ok()
    }

    /// Waits until it is given a key.
    ///
    /// # Errors
    /// When nothing opens by `deadline`; says why.
    pub async fn until(mut self, deadline: Millis) -> Result<Picked, Unavailable> {
        let clock = self.lane.shared.clock.clone();
        let mut why = self.why;
        loop {
            let first = self.lane.attend(self.ticket);
            if let Some(picked) = self.take() {
                return Ok(picked);
            }
            let now = clock.now();
            let opens = match first {
                Some(reason) => {
                    why = reason;
                    match why.until() {
                        Some(until) => until.unwrap_or(deadline),
                        // Nothing will open by itself, e.g. the last key was refused.
                        None => return Err(why),
                    }
                }
                None => deadline,
            };
            if now >= deadline || opens > deadline {
                return Err(why);
            }
            // Keys also become free by calls of other models, which tell nobody here.
            let opens = match why {
                Unavailable::Busy => opens.min(now.saturating_add(LOOK_AGAIN_MS)),
                _ => opens,
            };
            let pause = Duration::from_millis(opens.saturating_sub(now).max(1).unsigned_abs());
            tokio::select! {
                biased;
                given = &mut self.given => return given.map_err(|_| why),
                () = self.look.notified() => {}
                () = clock.sleep(pause) => {}
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let given = self.lane.with(|state, at| {
            let before = state.queue.len();
            state.queue.retain(|waiter| waiter.ticket != self.ticket);
            match state.queue.len() < before {
                true => self.lane.serve(state, at, true).given,
                false => Vec::new(),
            }
        });
        Waiter::give(given);
    }
}
