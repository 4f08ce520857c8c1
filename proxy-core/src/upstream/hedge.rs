//! One attempt, and, where that is slow, a second one beside it: for the time to the first token.
//!
//! Deliberately absent: which key may be asked twice, which the pool knows
//! ([`Pool::pick_beside`](crate::pool::Pool::pick_beside)), and what comes after both have
//! failed. The slower one is dropped, which closes its connection; what it has used of its
//! project's quota stays counted.

use std::sync::Arc;
use std::time::Duration;

use contract::Millis;

use super::attempt::Way;
use super::failure::Setback;
use super::{Answer, Call, Upstream};
use crate::Core;
use crate::pool::{Outcome, Picked, Retry, Settled, Want};
use crate::settings::Settings;
use crate::surface::trace::Trace;

/// What an attempt is made by.
pub(super) struct Bounds<'a> {
    pub(super) core: &'a Core,
    pub(super) settings: &'a Arc<Settings>,
    /// When the answer must have begun.
    pub(super) deadline: Millis,
    /// How many input tokens it has, estimated.
    pub(super) tokens: u64,
}

/// An attempt that failed.
pub(super) struct Failed {
    /// Its key, whose call is over.
    pub(super) key: Picked,
    pub(super) setback: Setback,
    pub(super) settled: Settled,
}

/// What came of an attempt, or of two at the same time.
#[derive(Default)]
pub(super) struct Round {
    /// Those that failed, in the order in which they did.
    pub(super) failed: Vec<Failed>,
    /// What was accepted, and the key of that.
    pub(super) answered: Option<(Picked, Answer)>,
}

type Tried = Result<(Picked, Answer), Failed>;

impl Round {
    fn add(&mut self, tried: Tried) {
        match tried {
            Ok(answered) => self.answered = Some(answered),
            Err(failed) => self.failed.push(failed),
        }
    }
}

impl From<Tried> for Round {
    fn from(tried: Tried) -> Self {
        let mut round = Self::default();
        round.add(tried);
        round
    }
}

impl Failed {
    /// Whether the same would come of every other attempt. That nothing came in time says nothing
    /// about one that has begun later.
    fn is_final(&self) -> bool {
        let outcome = self.setback.outcome;
        outcome.consequence().retry == Retry::No && outcome != Outcome::TooSlow
    }
}

/// The notes of two attempts at the same time. Dropping them, also because the client has gone,
/// makes them one.
struct Both<'a> {
    first: &'a mut Trace,
    second: Trace,
    second_accepted: bool,
}

impl Drop for Both<'_> {
    fn drop(&mut self) {
        self.first.takes_in(&mut self.second, self.second_accepted);
    }
}

impl Upstream {
    /// Makes an attempt with a key. When `beside` is given and nothing has come for as long as the
    /// settings say, a second one with what the pool gives for that.
    pub(super) async fn round(
        &self,
        bounds: &Bounds<'_>,
        call: &Call<'_>,
        key: Picked,
        beside: Option<Want<'_>>,
        trace: &mut Trace,
    ) -> Round {
        match beside {
            None => self.try_with(bounds, call, key, trace).await.into(),
            Some(want) => Box::pin(self.hedged(bounds, call, (key, want), trace)).await,
        }
    }

    async fn hedged(
        &self,
        bounds: &Bounds<'_>,
        call: &Call<'_>,
        (key, want): (Picked, Want<'_>),
        trace: &mut Trace,
    ) -> Round {
        let pool = &bounds.core.pool;
        let patience = Duration::from_millis(bounds.settings.hedge_after_ms.into());
        let mut both = Both {
            second: trace.branch(),
            first: trace,
            second_accepted: false,
        };
        let mut first = Box::pin(self.try_with(bounds, call, key, both.first));
        let other = tokio::select! {
            biased;
            tried = &mut first => return tried.into(),
            () = bounds.core.clock.sleep(patience) => pool.pick_beside(&want),
        };
        let Some(other) = other else {
            return first.await.into();
        };
        both.second.hedges();
        tracing::debug!(
            key = other.id(),
            key_masked = other.masked(),
            "the first attempt is slow, so a second is made beside it"
        );
        let mut second = Box::pin(self.try_with(bounds, call, other, &mut both.second));
        let mut round = Round::default();
        let is_first = tokio::select! {
            biased;
            tried = &mut first => {
                round.add(tried);
                true
            }
            tried = &mut second => {
                round.add(tried);
                false
            }
        };
        let is_over = round.answered.is_some() || round.failed.iter().any(Failed::is_final);
        match (is_first, is_over) {
            (true, true) => {
                drop(second);
                both.second.cancelled();
            }
            (true, false) => {
                round.add(second.await);
                both.second_accepted = round.answered.is_some();
            }
            (false, true) => {
                drop(first);
                both.first.cancelled();
                both.second_accepted = round.answered.is_some();
            }
            // It is none the worse for this.
            (false, false) => round.add(first.await),
        }
        round
    }

    /// Makes one attempt, and notes how it ends in `trace` and in the pool.
    async fn try_with(
        &self,
        bounds: &Bounds<'_>,
        call: &Call<'_>,
        key: Picked,
        trace: &mut Trace,
    ) -> Tried {
        let (core, settings) = (bounds.core, bounds.settings);
        trace.attempt(call, &key, &settings.base_url);
        let left = bounds.deadline.saturating_sub(core.clock.now());
        let left = Duration::from_millis(left.max(0).unsigned_abs());
        let attempt = self.attempt(core, settings, call, Way::Key(&key), trace);
        let result = match core.clock.within(left, attempt).await {
            Some(Err(setback)) => Err(setback.seen_with(call, bounds.tokens)),
            Some(answered) => answered,
            None => Err(Setback::overdue()),
        };
        let outcome = match &result {
            Ok(_) => Outcome::Answered,
            Err(setback) => setback.outcome,
        };
        core.metrics.attempted(outcome);
        trace.settled(outcome);
        let setback = match result {
            Ok(answer) => {
                core.pool.settle(&key, outcome, None, None);
                return Ok((key, answer));
            }
            Err(setback) => setback,
        };
        trace.failed(&setback.failure);
        tracing::debug!(
            key = key.id(),
            key_masked = key.masked(),
            outcome = outcome.name(),
            "an attempt failed"
        );
        let said = setback.failure.in_short();
        let project = setback.failure.project();
        let settled = core.pool.settle(&key, outcome, Some(&said), project);
        Err(Failed {
            // Whoever waits for this key need not wait for what comes next as well.
            key: key.without_call(),
            setback,
            settled,
        })
    }
}
