//! One model: which project is asked next.
//!
//! Projects that can be asked now are in an ordered set, those that cannot are in a heap by
//! the time at which they can again. A choice looks at the first of the set and never at those
//! in the heap, so what it costs does not depend on how many keys cool down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::Millis;
use contract::admin::CooldownReason;
use parking_lot::Mutex;

use super::lease::{Lease, Picked};
use super::outcome::{ModelEffect, Outcome, WindowEffect};
use super::slots::{Closed, LaneState};
use super::wait::Waiter;
use super::window::{Moment, Opening, Window};
use super::{Shared, Unavailable};

/// How often in a row a model may be overloaded before nothing is sent to it for a moment.
const GATED_AFTER: u32 = 5;
/// The pause after a model was overloaded; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a project rests that met a limit of which Google said neither kind nor time.
const UNEXPLAINED_REST_MS: Millis = 60_000;
/// How long one rests at least: Google was seen to say 0 seconds.
const LEAST_REST_MS: Millis = 1_000;
/// How often one that waits is overtaken by others that need less, before all wait for it.
const MOST_OVERTAKEN: u32 = 16;
/// How many of those that wait are looked at when the first does not fit.
const MOST_LOOKED_AT: usize = 32;

/// What a request needs.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// The model, without `models/`, or another name where Google counts apart.
    pub model: &'a str,
    /// How many input tokens it has, estimated.
    pub tokens: u64,
    /// Keys that must not be tried again.
    pub never: &'a [i64],
    /// Keys that are tried again only when there is no other.
    pub rather_not: &'a [i64],
    /// The key that answered the same conversation before, if its project can be asked.
    pub prefer: Option<Prefer>,
}

/// A key that answered the same conversation before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefer {
    /// Its number.
    pub key: i64,
    /// Also when its project is free of charge, or another is.
    pub strongly: bool,
}

/// What an outcome came to, for the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How long to wait before the next attempt.
    pub pause: Duration,
    /// Something changed that is to be kept at once.
    pub(super) is_news: bool,
}

/// One model's projects.
pub(super) struct Lane {
    pub(super) model: Box<str>,
    pub(super) shared: Arc<Shared>,
    pub(super) state: Mutex<LaneState>,
}

/// A model that is overloaded for everybody.
#[derive(Default)]
pub(super) struct Trouble {
    /// How often in a row.
    failures: u32,
    until: Millis,
    /// One call is under way to see whether it is over.
    trial: bool,
}

impl Lane {
    pub(super) fn new(model: &str, shared: &Arc<Shared>) -> Self {
        Self {
            model: model.into(),
            shared: shared.clone(),
            state: Mutex::default(),
        }
    }

    /// Does something with what is known, brought up to date.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut LaneState, Moment) -> T) -> T {
        let at = self.shared.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        // Within the lock, so that it is never older than the one there was.
        let roster = self.shared.roster.load();
        if state.roster.generation != roster.generation {
            state.adopt(self, &roster, at);
        }
        state.wake(at);
        act(state, at)
    }

    /// Chooses for `want`, if anything can be asked for it now.
    pub(super) fn choose(
        self: &Arc<Self>,
        state: &mut LaneState,
        at: Moment,
        want: &Want<'_>,
    ) -> Result<Picked, Closed> {
        if let Some(until) = self.shared.blame.holds(at.now) {
            return Err(Closed::for_all(Unavailable::Outage { until }));
        }
        let is_trial = match state.trouble.gate(at.now) {
            Gate::Open => false,
            Gate::Trial => true,
            Gate::Shut(until) => return Err(Closed::for_all(Unavailable::ModelBusy { until })),
        };
        let (at_slot, key) = state.find(self, at, want)?;
        let number = state.take(at_slot, at, want.tokens);
        state.trouble.trial |= is_trial;
        self.shared.blame.tries(at.now);
        key.running.fetch_add(1, Ordering::Relaxed);
        key.last_used_at.store(at.now, Ordering::Relaxed);
        Ok(Picked::new(Lease::of_lane(
            key,
            self.clone(),
            number,
            is_trial,
        )))
    }

    /// Applies how a call ended.
    pub(super) fn settle(
        self: &Arc<Self>,
        lease: &Lease,
        outcome: Outcome,
        first: bool,
    ) -> Settled {
        let Some(call) = &lease.call else {
            return Settled::default();
        };
        let mut settled = Settled::default();
        self.serving(|state, at| {
            let consequence = outcome.consequence();
            match consequence.model {
                ModelEffect::None => {}
                ModelEffect::Works => state.trouble = Trouble::default(),
                ModelEffect::BackOff => {
                    let most = FIRST_PAUSE
                        .saturating_mul(1 << state.trouble.failures.min(16))
                        .min(LONGEST_PAUSE);
                    settled.pause = self.shared.dice.jittered(most);
                    state.trouble.failures += 1;
                    state.trouble.until = at.now + millis(settled.pause);
                }
            }
            if call.is_trial_of_model {
                state.trouble.trial = false;
            }
            let Some(place) = state.roster.project_of(lease.key.id) else {
                return;
            };
            let Some(slot) = state.slots.get_mut(place as usize) else {
                return;
            };
            slot.ended(call.number);
            slot.changed = true;
            // What was under way longer says nothing about a limit's beginning.
            match consequence.window {
                WindowEffect::Spent if outcome == Outcome::Answered => {
                    slot.window.went_well(at.now);
                }
                WindowEffect::Spent => {}
                WindowEffect::TakenBack if first => slot.window.take_back(at, call.number),
                WindowEffect::TakenBack => {}
                WindowEffect::Rest => {
                    if first {
                        slot.window.take_back(at, call.number);
                    }
                    settled.is_news = true;
                    slot.window.refused(at, outcome);
                }
            }
            if let Outcome::PromptTooLarge { limit } = outcome {
                settled.is_news = true;
                slot.window
                    .learn(at, super::window::Measure::TokensPerMinute, limit);
            }
            state.put(place, at);
        });
        settled
    }

    /// Notes how many tokens a call really had.
    pub(super) fn correct(self: &Arc<Self>, key: i64, number: u64, tokens: u64) {
        self.serving(|state, at| {
            let Some(place) = state.roster.project_of(key) else {
                return;
            };
            if let Some(slot) = state.slots.get_mut(place as usize) {
                slot.window.correct(number, tokens);
                state.put(place, at);
            }
        });
    }

    /// A call is over. One that was never settled leaves what it has used.
    pub(super) fn release(self: &Arc<Self>, lease: &Lease, unsettled: bool, sent: bool) {
        let Some(call) = &lease.call else { return };
        self.serving(|state, at| {
            if !unsettled {
                return;
            }
            if call.is_trial_of_model {
                state.trouble.trial = false;
            }
            let Some(place) = state.roster.project_of(lease.key.id) else {
                return;
            };
            if let Some(slot) = state.slots.get_mut(place as usize) {
                slot.ended(call.number);
                if !sent {
                    slot.window.take_back(at, call.number);
                }
                state.put(place, at);
            }
        });
    }

    /// Forgets what was held against these keys' projects.
    pub(super) fn forgive(self: &Arc<Self>, keys: &[i64]) {
        self.serving(|state, at| {
            state.trouble = Trouble::default();
            for key in keys {
                state.forgive(*key, at);
            }
        });
    }

    /// Changes something, and gives what that has made free to those that wait.
    fn serving(self: &Arc<Self>, change: impl FnOnce(&mut LaneState, Moment)) {
        let given = self.with(|state, at| {
            change(state, at);
            match state.queue.is_empty() {
                true => Vec::new(),
                false => self.serve(state, at, true).given,
            }
        });
        Waiter::give(given);
    }

    /// Chooses for those that wait, the first first. One that needs much is overtaken by
    /// others a few times, and then no more.
    pub(super) fn serve(self: &Arc<Self>, state: &mut LaneState, at: Moment, tell: bool) -> Served {
        let mut given = Vec::new();
        let mut first = None;
        let mut place = 0;
        while let Some(waiter) = state.queue.get(place) {
            if waiter.is_gone() {
                state.queue.remove(place);
                continue;
            }
            let want = waiter.want.clone();
            match self.choose(state, at, &want.borrowed(&self.model)) {
                Ok(picked) => {
                    if let Some(waiter) = state.queue.remove(place) {
                        given.push((waiter, picked));
                    }
                    for waiter in state.queue.iter_mut().take(place) {
                        waiter.overtaken += 1;
                    }
                }
                Err(closed) => {
                    if place == 0 {
                        first = Some(closed.why);
                    }
                    let waits_for_it = state
                        .queue
                        .get(place)
                        .is_some_and(|waiter| waiter.overtaken >= MOST_OVERTAKEN);
                    place += 1;
                    if !closed.by_size || waits_for_it || place >= MOST_LOOKED_AT {
                        break;
                    }
                }
            }
        }
        if let Some(next) = state.queue.front()
            && (tell || !given.is_empty())
        {
            next.look();
        }
        Served { given, first }
    }
}

/// What came of looking at those that wait.
pub(super) struct Served {
    pub(super) given: Vec<(Waiter, Picked)>,
    /// Why the one that is first now has to wait on.
    pub(super) first: Option<Unavailable>,
}

/// Whether a model in trouble may be asked.
enum Gate {
    Open,
    /// By one, to see.
    Trial,
    Shut(Millis),
}

impl Trouble {
    fn gate(&self, now: Millis) -> Gate {
        if self.failures < GATED_AFTER {
            Gate::Open
        } else if now < self.until {
            Gate::Shut(self.until)
        } else if self.trial {
            Gate::Shut(now + millis(FIRST_PAUSE))
        } else {
            Gate::Trial
        }
    }
}

impl Window {
    /// Notes that Google has refused a request because of a limit. The longest wins: Google
    /// sends a short `RetryInfo` with daily limits, too, and it is not true there.
    fn refused(&mut self, at: Moment, outcome: Outcome) {
        let Outcome::Quota {
            reason,
            limits,
            retry_after,
        } = outcome
        else {
            return;
        };
        for (measure, value) in limits.told() {
            self.learn(at, measure, value);
        }
        let asked = retry_after
            .map_or(UNEXPLAINED_REST_MS, millis)
            .max(LEAST_REST_MS);
        let until = match reason {
            CooldownReason::PerDay => at.day_ends,
            CooldownReason::NotInTier => at.now + super::window::TIER_REST_MS,
            CooldownReason::PerMinute
            | CooldownReason::TokensPerMinute
            | CooldownReason::Unexplained => at.now.saturating_add(asked),
        };
        self.rest(Opening { until, reason });
    }
}

pub(super) fn millis(duration: Duration) -> Millis {
    duration.as_millis().try_into().unwrap_or(Millis::MAX / 4)
}
