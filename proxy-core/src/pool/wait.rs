//! Waiting for the first window that opens, in the order of arrival.
//!
//! Who waits is looked after by whatever changes something (a call that ends, a key that is
//! added), and by the first of each queue, which keeps the time for all of it. One that needs
//! more than there is anywhere is overtaken by others a few times; then a project is kept free
//! for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use contract::Millis;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::Unavailable;
use super::find::Closed;
use super::lane::{Judge, Lane, Prefer, Want};
use super::lease::Picked;
use super::slots::LaneState;
use super::window::Moment;

/// How often one that waits is overtaken by others, before a project is kept free for it.
const MOST_OVERTAKEN: u32 = 16;
/// For how many of those that wait and do not fit it is looked for what opens first. Of the others
/// only those are looked at that may fit where none before them did, which are few.
const MOST_SOUGHT_FOR: usize = 32;
/// How many are looked at in all.
const MOST_LOOKED_AT: usize = 512;

/// A [`Want`] that outlives its request's borrowings.
#[derive(Clone, Debug)]
pub(super) struct OwnedWant {
    /// The model that it is about, where it is counted as something else.
    about: Option<Arc<str>>,
    tokens: u64,
    never: Arc<[i64]>,
    rather_not: Arc<[i64]>,
    prefer: Option<Prefer>,
    only: Option<i64>,
    judge: Option<Judge>,
}

impl OwnedWant {
    /// The want itself, in the lane of that name.
    fn borrowed<'a>(&'a self, lane: &'a str) -> Want<'a> {
        Want {
            model: self.about.as_deref().unwrap_or(lane),
            counted_as: self.about.is_some().then_some(lane),
            tokens: self.tokens,
            never: &self.never,
            rather_not: &self.rather_not,
            prefer: self.prefer,
            only: self.only,
            judge: self.judge.as_ref(),
            // Whoever goes beside another never waits.
            beside: None,
        }
    }

    /// Whether any key would do for it that may be asked for its model.
    fn takes_any(&self) -> bool {
        self.only.is_none() && self.never.is_empty() && self.judge.is_none()
    }

    /// Whether it finds nothing where `other` has found nothing for which any key would do.
    fn is_no_easier_than(&self, other: &Self) -> bool {
        self.tokens >= other.tokens && self.about == other.about && self.only.is_none()
    }

    /// Whether this key could have been given to it.
    fn may_have(&self, key: i64) -> bool {
        self.only.is_none_or(|only| only == key) && !self.never.contains(&key)
    }
}

impl From<&Want<'_>> for OwnedWant {
    fn from(want: &Want<'_>) -> Self {
        Self {
            about: want.counted_as.map(|_| want.model.into()),
            tokens: want.tokens,
            never: want.never.into(),
            rather_not: want.rather_not.into(),
            prefer: want.prefer,
            only: want.only,
            judge: want.judge.cloned(),
        }
    }
}

/// The lanes in which somebody waits, to be told of what is no single model's: a key that has
/// one call less under way, or an outage that is over.
#[derive(Default)]
pub(super) struct Queues {
    /// How many there are, to know of none without the lock.
    count: AtomicUsize,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

impl Queues {
    fn enter(&self, lane: &Arc<Lane>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.lanes.lock().push(lane.clone());
    }

    pub(super) fn leave(&self, lane: &Arc<Lane>) {
        self.lanes.lock().retain(|other| !Arc::ptr_eq(other, lane));
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    /// Has all look that wait. Not to be called under a lane's lock.
    pub(super) fn look(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let lanes = self.lanes.lock().clone();
        for lane in lanes {
            lane.serving(|_, _| ());
        }
    }
}

/// One request in a lane's queue.
pub(super) struct Waiter {
    ticket: u64,
    want: OwnedWant,
    /// How often one behind it went first.
    overtaken: u32,
    /// The project that is kept free for it.
    pub(super) reserved: Option<u32>,
    give: oneshot::Sender<Picked>,
    look: Arc<Notify>,
}

impl Waiter {
    /// Whether nobody waits any more.
    fn is_gone(&self) -> bool {
        self.give.is_closed()
    }

    /// Hands out what was chosen. Not under the lane's lock: what nobody takes goes back there.
    fn give(given: Vec<(Self, Picked)>) {
        for (waiter, picked) in given {
            drop(waiter.give.send(picked));
        }
    }
}

/// What came of looking at those that wait.
struct Served {
    given: Vec<(Waiter, Picked)>,
    /// Why the one that is first now has to wait on.
    first: Option<Unavailable>,
    /// When it is worth looking again by itself.
    next: Option<Millis>,
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
            let closed = match self.choose(state, at, want, None) {
                Ok(picked) => {
                    state.overtake(picked.id(), usize::MAX);
                    return (given, Ok(Asked::Now(picked)));
                }
                Err(closed) => closed,
            };
            let most = self.shared.rules.load().queue;
            if !deadline.is_some_and(|deadline| closed.opens_by(at.now, deadline))
                || state.queue.len() >= most
            {
                return (given, Err(closed.why));
            }
            if !state.is_listed {
                state.is_listed = true;
                self.shared.queues.enter(self);
            }
            // What became free just before that has told nobody here.
            if matches!(closed.why, Unavailable::Busy { .. })
                && let Ok(picked) = self.choose(state, at, want, None)
            {
                return (given, Ok(Asked::Now(picked)));
            }
            // Something may open for it sooner than the first of the queue looks again.
            if let Some(front) = state.queue.front() {
                front.look.notify_one();
            }
            let (give, gets) = oneshot::channel();
            let look = Arc::new(Notify::new());
            let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
            state.queue.push_back(Waiter {
                ticket,
                want: want.into(),
                overtaken: 0,
                reserved: None,
                give,
                look: look.clone(),
            });
            let waiting = Waiting {
                lane: self.clone(),
                ticket,
                given: gets,
                look,
                why: closed.why,
            };
            (given, Ok(Asked::Queued(waiting)))
        });
        Waiter::give(given);
        asked
    }

    /// Changes something, and gives what that has made free to those that wait.
    pub(super) fn serving(self: &Arc<Self>, change: impl FnOnce(&mut LaneState, Moment)) {
        let given = self.with(|state, at| {
            change(state, at);
            match state.queue.is_empty() {
                true => Vec::new(),
                false => self.serve(state, at, true).given,
            }
        });
        Waiter::give(given);
    }

    /// Chooses for those that wait, the first first. What the first has no use for goes to others.
    fn serve(self: &Arc<Self>, state: &mut LaneState, at: Moment, tell: bool) -> Served {
        let mut given = Vec::new();
        let (mut first, mut next) = (None, None::<Millis>);
        let (mut place, mut looked_at) = (0, 0);
        // The least of those that any key would have done for, and that found none.
        let mut least: Option<OwnedWant> = None;
        while let Some(waiter) = state.queue.get(place) {
            let (ticket, reserved) = (waiter.ticket, waiter.reserved);
            if waiter.is_gone() {
                state.queue.remove(place);
                state.reserve(reserved, None, ticket);
                continue;
            }
            let is_due = waiter.overtaken >= MOST_OVERTAKEN && looked_at < MOST_SOUGHT_FOR;
            let finds_none = |least: &OwnedWant| waiter.want.is_no_easier_than(least);
            if reserved.is_none() && !is_due && least.as_ref().is_some_and(finds_none) {
                place += 1;
                continue;
            }
            let want = waiter.want.clone();
            match self.choose(state, at, &want.borrowed(&self.model), Some(ticket)) {
                Ok(picked) => {
                    state.reserve(reserved, None, ticket);
                    state.overtake(picked.id(), place);
                    if let Some(waiter) = state.queue.remove(place) {
                        given.push((waiter, picked));
                    }
                }
                Err(closed) => {
                    if place == 0 {
                        first = Some(closed.why);
                    }
                    next = [next, closed.look_at].into_iter().flatten().min();
                    if let Some(waiter) = state.queue.get_mut(place)
                        && waiter.overtaken >= MOST_OVERTAKEN
                    {
                        waiter.reserved = closed.soonest;
                        state.reserve(reserved, closed.soonest, ticket);
                    }
                    if reserved.is_some() && reserved != closed.soonest {
                        // What was kept free is anybody's now.
                        least = None;
                    } else if want.takes_any()
                        && !least
                            .as_ref()
                            .is_some_and(|least| want.is_no_easier_than(least))
                    {
                        least = Some(want);
                    }
                    place += 1;
                    looked_at += 1;
                    if !closed.others_may || looked_at >= MOST_LOOKED_AT {
                        break;
                    }
                }
            }
        }
        if let Some(front) = state.queue.front()
            && (tell || !given.is_empty())
        {
            front.look.notify_one();
        }
        Served { given, first, next }
    }

    /// Serves the queue. When `ticket` is the first of it, gives why it cannot go on, and when it
    /// is to look again.
    fn attend(self: &Arc<Self>, ticket: u64) -> Option<(Unavailable, Option<Millis>)> {
        let (served, is_first) = self.with(|state, at| {
            let served = self.serve(state, at, false);
            let first = state.queue.front();
            (served, first.is_some_and(|first| first.ticket == ticket))
        });
        Waiter::give(served.given);
        let why = served.first.filter(|_| is_first)?;
        Some((why, served.next))
    }

    /// Serves the queue as it is now. Gives when it is worth calling again by itself.
    pub(super) fn serve_now(self: &Arc<Self>) -> Option<Millis> {
        let served = self.with(|state, at| self.serve(state, at, false));
        Waiter::give(served.given);
        served.next
    }
}

impl LaneState {
    /// Notes that a key went to one that came after the first `count` of the queue.
    fn overtake(&mut self, key: i64, count: usize) {
        for waiter in self.queue.iter_mut().take(count) {
            waiter.overtaken += u32::from(waiter.want.may_have(key));
        }
    }
}

impl Closed {
    /// Whether it is worth waiting from now until then.
    fn opens_by(&self, now: Millis, deadline: Millis) -> bool {
        match self.why.until() {
            None => false,
            // What is under way may end at any time.
            Some(None) => now < deadline,
            Some(Some(until)) => self.look_at.unwrap_or(until) < deadline,
        }
    }
}

impl Waiting {
    /// Why it waits.
    pub(super) fn why(&self) -> Unavailable {
        self.why
    }

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
            let mut opens = deadline;
            if let Some((reason, next)) = first {
                why = reason;
                opens = match why.until() {
                    // Nothing will open by itself, e.g. the last key was refused.
                    None => return Err(why),
                    Some(None) => next.map_or(deadline, |next| next.min(deadline)),
                    Some(Some(_)) => next.unwrap_or(deadline),
                };
            }
            if now >= deadline || opens > deadline {
                return Err(why);
            }
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
            let mut queue = state.queue.iter();
            let Some(place) = queue.position(|waiter| waiter.ticket == self.ticket) else {
                return Vec::new();
            };
            if let Some(waiter) = state.queue.remove(place) {
                state.reserve(waiter.reserved, None, waiter.ticket);
            }
            self.lane.serve(state, at, true).given
        });
        Waiter::give(given);
    }
}
