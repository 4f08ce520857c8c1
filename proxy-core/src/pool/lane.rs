//! One model: which project is asked next.
//!
//! Projects that can be asked now are in an ordered set, those that cannot are in a heap by
//! the time at which they can again. A choice looks at the first of the set and never at those
//! in the heap, so what it costs does not depend on how many keys cool down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contract::Millis;
use contract::admin::CooldownReason;
use parking_lot::Mutex;

use super::find::Closed;
use super::lease::{LaneCall, Lease, Picked};
use super::outcome::{Limits, ModelEffect, Outcome, WindowEffect};
use super::roster::Key;
use super::slots::LaneState;
use super::window::{Moment, Opening, Window};
use super::{Dice, Occupied, Shared, Unavailable};
use crate::egress::BoundBy;

/// How often in a row a model may be overloaded before nothing is sent to it for a moment.
const GATED_AFTER: u32 = 5;
/// The pause after a model was overloaded; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long one call may take that sees whether something works again, before one more goes. A
/// refusal comes within a second; an answer that is not streamed may take minutes.
pub(super) const TRIAL_MS: Millis = 5_000;
/// How long a project rests that met a limit of which Google did not say the time.
const UNTOLD_REST_MS: Millis = 60_000;
/// How long one rests that met a limit of which Google said neither kind nor time: at first, and at
/// most. It may be a spending cap, which is there for the rest of the month.
const UNEXPLAINED_RESTS_MS: (Millis, Millis) = (60_000, 60 * 60_000);
/// How long one rests that Google refuses the model to: at first, and at most. A 403 has no code, so
/// the first may be about the one request.
const REFUSED_RESTS_MS: (Millis, Millis) = (60_000, 24 * 60 * 60_000);
/// How long one rests at least: Google was seen to say 0 seconds.
const LEAST_REST_MS: Millis = 1_000;

/// What a request needs.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// The model that it is about, without `models/`, which the keys' lists of models are asked
    /// for; empty: none.
    pub model: &'a str,
    /// What it is counted as where Google counts apart, e.g. the counting of tokens; `None`: as
    /// its model.
    pub counted_as: Option<&'a str>,
    /// How many input tokens it has, estimated.
    pub tokens: u64,
    /// Keys that must not be tried again.
    pub never: &'a [i64],
    /// Keys that are tried again only when there is no other.
    pub rather_not: &'a [i64],
    /// The key that answered the same conversation before, if its project can be asked.
    pub prefer: Option<Prefer>,
    /// The one key that will do, because what is asked about is its project's.
    pub only: Option<i64>,
    /// What else speaks against a key.
    pub judge: Option<&'a Judge>,
    /// The key with which the same call is under way already; see [`super::Pool::pick_beside`].
    pub beside: Option<i64>,
}

/// Says what speaks against a key. It is asked of those only that could be chosen.
#[derive(Clone)]
pub struct Judge(Arc<Judges>);

/// Judges by what decides by which way a key's calls go.
type Judges = dyn Fn(BoundBy<'_>) -> Verdict + Send + Sync;

/// Whether a key may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    May,
    /// When there is no other.
    RatherNot,
    /// It must not.
    Never,
}

impl Judge {
    /// One that goes by this.
    pub fn new(judges: impl Fn(BoundBy<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(judges))
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Judge")
    }
}

impl<'a> Want<'a> {
    /// What any key will do for.
    pub fn any(model: &'a str, tokens: u64) -> Self {
        Self {
            model,
            counted_as: None,
            tokens,
            never: &[],
            rather_not: &[],
            prefer: None,
            only: None,
            judge: None,
            beside: None,
        }
    }

    /// What it is counted as.
    pub(super) fn lane(&self) -> &'a str {
        self.counted_as.unwrap_or(self.model)
    }

    /// Whether it may be given this key.
    pub(super) fn verdict(&self, key: &Key) -> Verdict {
        let judged = || {
            let judge = self.judge.map(|judge| judge.0(key.bound_by()));
            judge.unwrap_or(Verdict::May)
        };
        match self.never.contains(&key.id) || self.beside == Some(key.id) {
            true => Verdict::Never,
            false => match judged() {
                Verdict::May if self.rather_not.contains(&key.id) => Verdict::RatherNot,
                judged => judged,
            },
        }
    }
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
    /// When it was last asked for.
    pub(super) asked_at: AtomicI64,
}

/// A model that is overloaded for everybody.
#[derive(Default)]
pub(super) struct Trouble {
    /// How often in a row. Calls that were under way together have met it together: they count once.
    failures: u32,
    until: Millis,
    /// The call that is under way to see whether it is over.
    trial: Option<Trial>,
}

/// A call that sees whether something works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// The number of the call.
    pub(super) number: u64,
    /// Until when no other goes.
    pub(super) until: Millis,
}

impl Trial {
    pub(super) fn new(number: u64, now: Millis) -> Self {
        Self {
            number,
            until: now + TRIAL_MS,
        }
    }
}

impl Lane {
    pub(super) fn new(model: &str, shared: &Arc<Shared>) -> Self {
        Self {
            model: model.into(),
            shared: shared.clone(),
            state: Mutex::default(),
            asked_at: AtomicI64::new(shared.clock.now()),
        }
    }

    /// Does something with what is known, brought up to date.
    pub(super) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut LaneState, Moment) -> T) -> T {
        let at = self.shared.now();
        let mut state = self.state.lock();
        let state = &mut *state;
        // Within the lock, so that it is never older than the one there was.
        let roster = self.shared.roster.load();
        if state.roster.generation != roster.generation {
            state.adopt(self, &roster, at);
        }
        state.wake(at);
        let result = act(state, at);
        if state.is_listed && state.queue.is_empty() {
            state.is_listed = false;
            self.shared.queues.leave(self);
        }
        result
    }

    /// Chooses for `want`, if anything can be asked for it now.
    pub(super) fn choose(
        self: &Arc<Self>,
        state: &mut LaneState,
        at: Moment,
        want: &Want<'_>,
        ticket: Option<u64>,
    ) -> Result<Picked, Closed> {
        let outage = |until| Closed::new(Unavailable::Outage { until });
        if let Some(until) = self.shared.blame.holds(at.now) {
            return Err(outage(until));
        }
        let is_trial = match state.trouble.gate(at.now) {
            Gate::Open => false,
            Gate::Trial => true,
            Gate::Shut(until) => return Err(Closed::new(Unavailable::ModelBusy { until })),
        };
        let (place, key) = state.find(self, at, want, ticket)?;
        // Another model's lane may have been faster.
        if !key.starts(self.shared.rules.load().key_concurrency) {
            return Err(Closed::new(Unavailable::Busy {
                with: Occupied::Calls,
                opens: None,
            }));
        }
        if let Err(until) = self.shared.blame.tries(at.now) {
            key.running.fetch_sub(1, Ordering::SeqCst);
            return Err(outage(until));
        }
        let number = state.take(place, at, key.id, want.tokens);
        if is_trial {
            state.trouble.trial = Some(Trial::new(number, at.now));
        }
        self.asked_at.store(at.now, Ordering::Relaxed);
        key.last_used_at.store(at.now, Ordering::Relaxed);
        let call = LaneCall {
            lane: self.clone(),
            number,
            tokens: want.tokens,
        };
        Ok(Picked::new(Lease::of_lane(key, call)))
    }

    /// Chooses for a call that goes beside another, if nobody is worse off for it.
    pub(super) fn choose_beside(self: &Arc<Self>, want: &Want<'_>) -> Option<Picked> {
        self.with(|state, at| {
            let is_calm = state.queue.is_empty()
                && state.trouble.failures == 0
                && !self.shared.blame.is_outage();
            match is_calm {
                true => self.choose(state, at, want, None).ok(),
                false => None,
            }
        })
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
        let has_ways = self.shared.rules.load().has_ways;
        let mut settled = Settled::default();
        self.serving(|state, at| {
            let consequence = outcome.consequence();
            match consequence.model {
                ModelEffect::None => {}
                ModelEffect::Works => state.trouble = Trouble::default(),
                ModelEffect::BackOff => {
                    settled.pause = state.trouble.failed(at.now, &self.shared.dice);
                }
            }
            state.trouble.ended(call.number);
            // Another key may be in its place.
            let Some(place) = state.roster.project_with(&lease.key) else {
                return;
            };
            if first {
                state.ended(place, call.number);
            }
            let key = lease.key.id;
            let Some(slot) = state.slots.get_mut(place as usize) else {
                return;
            };
            slot.touch(key);
            let before = slot.window.told(at.now);
            // What was under way longer says nothing about a limit's beginning.
            match consequence.window {
                WindowEffect::Spent if outcome == Outcome::Answered => {
                    slot.window.went_well(at.now)
                }
                WindowEffect::Spent => {}
                WindowEffect::TakenBack if first => slot.window.take_back(at, call.number, key),
                WindowEffect::TakenBack => {}
                WindowEffect::Rest => {
                    let was_today = slot.window.was_today(at, call.number);
                    if first {
                        slot.window.take_back(at, call.number, key);
                    }
                    settled.is_news = true;
                    slot.window.refused(at, outcome, (call.tokens, was_today));
                }
            }
            if has_ways {
                slot.went(at.now, consequence.egress);
            }
            if settled.is_news {
                state.learned(place, before, at);
            }
            state.put(place, at);
        });
        settled
    }

    /// A call leaves only now. Whether its window still has room for it, when it is counted anew.
    pub(super) fn leaves(self: &Arc<Self>, key: &Key, call: &LaneCall) -> bool {
        let mut fits = true;
        self.serving(|state, at| {
            let Some(place) = state.roster.project_with(key) else {
                return;
            };
            let caps = state.caps;
            if let Some(slot) = state.slots.get_mut(place as usize) {
                let call = (call.number, key.id, call.tokens);
                fits = slot.window.leaves(at, &caps, call);
                state.put(place, at);
            }
        });
        fits
    }

    /// Notes how many tokens a call really had.
    pub(super) fn correct(self: &Arc<Self>, key: &Key, number: u64, tokens: u64) {
        self.serving(|state, at| {
            let Some(place) = state.roster.project_with(key) else {
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
            state.trouble.ended(call.number);
            let Some(place) = state.roster.project_with(&lease.key) else {
                return;
            };
            state.ended(place, call.number);
            if let Some(slot) = state.slots.get_mut(place as usize).filter(|_| !sent) {
                slot.window.take_back(at, call.number, lease.key.id);
            }
            state.put(place, at);
        });
    }

    /// Forgets what was held against these keys' projects, with the limits that they have met if
    /// `limits`.
    pub(super) fn forgive(self: &Arc<Self>, keys: &[i64], limits: bool) {
        self.serving(|state, at| {
            state.trouble = Trouble::default();
            let places = keys.iter().filter_map(|key| state.roster.project_of(*key));
            let places: BTreeSet<u32> = places.collect();
            for place in places {
                state.forgive(place, at, limits);
            }
        });
    }
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
        } else if let Some(trial) = self.trial.filter(|trial| now < trial.until) {
            Gate::Shut(trial.until.min(now + millis(FIRST_PAUSE)))
        } else {
            Gate::Trial
        }
    }

    /// Notes that a call was refused. Gives how long it is to wait before the next.
    fn failed(&mut self, now: Millis, dice: &Dice) -> Duration {
        let is_new = now >= self.until;
        let before = self.failures.saturating_sub(u32::from(!is_new));
        let most = FIRST_PAUSE.saturating_mul(1 << before.min(16));
        let pause = dice.jittered(most.min(LONGEST_PAUSE));
        if is_new {
            self.failures += 1;
            self.until = now + millis(pause);
        }
        pause
    }

    /// Notes that a call has ended, however.
    fn ended(&mut self, number: u64) {
        self.trial = self.trial.filter(|trial| trial.number != number);
    }
}

impl Window {
    /// Notes that Google has refused a request of so many tokens because of a limit, or of what its
    /// project is. The longest wins: Google sends a short `RetryInfo` with daily limits, too, and it
    /// is not true there. `was_today`: it was sent since midnight.
    fn refused(&mut self, at: Moment, outcome: Outcome, (tokens, was_today): (u64, bool)) {
        let (reason, limits, retry_after) = match outcome {
            Outcome::Quota {
                reason,
                limits,
                retry_after,
            } => (reason, limits, retry_after),
            Outcome::PromptTooLarge { limit, retry_after } => {
                if self.refused_prompt(at, tokens, limit) {
                    return;
                }
                let reason = CooldownReason::TokensPerMinute;
                (reason, Limits::default(), retry_after)
            }
            Outcome::ProjectRefused { lasting } => {
                let reason = CooldownReason::ProjectRefused;
                let until = at.now + super::window::TIER_REST_MS;
                match lasting {
                    true => self.rest(Opening { until, reason }),
                    false => self.rest_longer_each_time(at.now, REFUSED_RESTS_MS, reason),
                }
                return;
            }
            _ => return,
        };
        for (measure, value) in limits.told() {
            self.learn(at, measure, value);
        }
        if reason == CooldownReason::Unexplained && retry_after.is_none() {
            return self.rest_longer_each_time(at.now, UNEXPLAINED_RESTS_MS, reason);
        }
        let asked = retry_after
            .map_or(UNTOLD_REST_MS, millis)
            .max(LEAST_REST_MS);
        let until = match reason {
            CooldownReason::PerDay if was_today && !at.is_young_day() => at.day_ends,
            // The day that is used up may be yesterday: the call is from then, or Google's day has
            // not begun yet. A trial will tell.
            CooldownReason::PerDay => {
                let asked = asked.max(UNTOLD_REST_MS);
                at.now.saturating_add(asked).min(at.day_ends)
            }
            CooldownReason::NotInTier | CooldownReason::ProjectRefused => {
                at.now + super::window::TIER_REST_MS
            }
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
