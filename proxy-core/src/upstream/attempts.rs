//! The attempt loop: one key after the other until there is an answer, or no sense in another
//! try.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use contract::Millis;

use super::attempt::Way;
use super::failure::{Failure, Setback};
use super::{Answer, At, Call, Expect, Upstream, conversation, express, hop};
use crate::Core;
use crate::egress::{Egress, Route};
use crate::pool::{
    EgressEffect, Judge, Outcome, Prefer, Retry, Unavailable, Verdict, Want, tokens,
};
use crate::settings::Settings;
use crate::surface::trace::Trace;

/// The most attempts for one request, those included that the settings do not count.
const MOST_TRIES: usize = 32;
/// The pause before the same key is tried again; doubled each time.
const SAME_KEY_PAUSE: Duration = Duration::from_millis(250);

/// On what terms keys are chosen for a call.
struct Terms<'a> {
    settings: &'a Arc<Settings>,
    /// How long one is waited for.
    patience: Duration,
}

impl Upstream {
    /// Makes `call` with one key after the other until there is an answer or no sense in
    /// another try. Notes each attempt in `trace` and in the pool.
    ///
    /// # Errors
    /// The last attempt's failure, or why no key could be tried.
    pub async fn call(
        &self,
        core: &Core,
        call: &Call<'_>,
        trace: &mut Trace,
    ) -> Result<Answer, Failure> {
        // One set of settings for all attempts; a change holds for the next request.
        let settings = Guard::into_inner(core.settings());
        if let Some(hop) = core
            .next_hop()
            .filter(|_| call.at == At::Any && !trace.came_through())
        {
            let through = Box::pin(hop::call(self, core, &hop, (call, &settings), trace));
            if let Some(ended) = through.await {
                return ended;
            }
        }
        let chain = match call.expect {
            Expect::Anything | Expect::Raw | Expect::Live => &[][..],
            Expect::Content | Expect::Stream => settings.model_fallbacks.of(call.model),
        };
        let chain: Vec<&str> = chain
            .iter()
            .map(String::as_str)
            .filter(|model| trace.may_use(model).is_ok())
            .collect();
        let patience = trace.patience(settings.patience);
        let (_, verb) = call.path.rsplit_once(':').unwrap_or_default();
        let mut model = call.model;
        let mut path = call.path.to_owned();
        for next in chain {
            // Nobody waits for a model that another stands in for.
            let asked = Call {
                model,
                path: &path,
                ..call.again()
            };
            let terms = Terms {
                settings: &settings,
                patience: Duration::ZERO,
            };
            let ended = Box::pin(self.with_keys(core, &asked, terms, trace)).await;
            if !matches!(ended, Err(Failure::NoKey { .. })) {
                return ended;
            }
            trace.falls_back(next);
            path = format!("/models/{next}:{verb}");
            model = next;
        }
        let asked = Call {
            model,
            path: &path,
            ..call.again()
        };
        let terms = Terms {
            settings: &settings,
            patience,
        };
        Box::pin(self.with_keys(core, &asked, terms, trace)).await
    }

    /// Makes `call` with one key after the other.
    async fn with_keys(
        &self,
        core: &Core,
        call: &Call<'_>,
        terms: Terms<'_>,
        trace: &mut Trace,
    ) -> Result<Answer, Failure> {
        let settings = terms.settings;
        // An earlier call of the same request keeps nothing from this one.
        trace.call_is_over();
        let started = core.clock.now();
        let deadline = match settings.deadline {
            Duration::ZERO => Millis::MAX,
            deadline => later(started, deadline),
        };
        let wait_until = later(started, terms.patience).min(deadline);
        let tokens = tokens::estimate(&call.body);
        let is_paid = core.pool.is_paid();
        let conversation = conversation::of(call, trace, &settings.affinity, is_paid);
        let prefer = match call.at {
            At::Rather(key) => Some(Prefer {
                key,
                strongly: true,
            }),
            _ => conversation.and_then(|conversation| {
                Some(Prefer {
                    key: core.pool.answered_before(conversation.id)?,
                    strongly: conversation.strongly,
                })
            }),
        };
        let only = match call.at {
            At::Only(key) => Some(key),
            At::Any | At::Here | At::Rather(_) => None,
        };
        // Keys that are tried again when there is no other, and those that are not.
        let (mut rather_not, mut never) = (Vec::new(), core.express.unable(call));
        let (mut ways, mut judge) = (FailedWays::default(), None);
        let mut last: Option<Setback> = None;
        // The keys with which Google could not be reached, one after the other.
        let mut unreached = Vec::new();
        let mut counted = 0;
        let mut pause = SAME_KEY_PAUSE;
        for _ in 0..MOST_TRIES {
            let want = Want {
                model: call.model,
                tokens,
                never: &never,
                rather_not: &rather_not,
                prefer,
                only,
                judge: judge.as_ref(),
            };
            let key = match core.pool.pick_by(&want, wait_until).await {
                Ok(key) => key,
                Err(Unavailable::AllTried) if last.is_none() => {
                    return Err(express::unable_failure());
                }
                Err(why) => return Err(Failure::without_key(call, why, last)),
            };
            if rather_not.contains(&key.id()) {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            trace.attempt(call, &key, &settings.base_url);
            let left = deadline.saturating_sub(core.clock.now());
            let left = Duration::from_millis(left.max(0).unsigned_abs());
            let attempt = self.attempt(core, settings, call, Way::Key(&key), trace);
            let result = match tokio::time::timeout(left, attempt).await {
                Ok(Err(setback)) => Err(setback.seen_with(tokens)),
                Ok(answered) => answered,
                Err(_) => Err(Setback::overdue()),
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
                    if let Some(conversation) = conversation {
                        core.pool.answers(conversation.id, &key);
                    }
                    return Ok(answer);
                }
                Err(setback) => setback,
            };
            let said = setback.failure.in_short();
            trace.failed(&setback.failure);
            tracing::debug!(
                key = key.id(),
                key_masked = key.masked(),
                outcome = setback.outcome.name(),
                "an attempt failed"
            );
            match outcome {
                Outcome::Unreachable if unreached.contains(&key.id()) => {}
                Outcome::Unreachable => unreached.push(key.id()),
                _ => unreached.clear(),
            }
            let project = setback.failure.project();
            let settled = core.pool.settle(&key, outcome, Some(&said), project);
            let consequence = outcome.consequence();
            counted += u32::from(consequence.counts);
            if consequence.retry == Retry::No
                || counted >= settings.max_attempts
                || later(core.clock.now(), settled.pause) >= deadline
            {
                return Err(setback.failure.with_keys(unreached.len()));
            }
            if consequence.egress == EgressEffect::Blame {
                if let Some(way) = Egress::of_list(settings, (key.secret(), key.proxy())) {
                    judge = Some(ways.failed(settings, way, consequence.retry));
                } else if consequence.retry == Retry::OtherWay {
                    return Err(setback.failure);
                }
            }
            match consequence.retry {
                Retry::AnyKey => rather_not.push(key.id()),
                Retry::OtherKey if consequence.counts => never.push(key.id()),
                // It cannot be chosen before that makes sense.
                Retry::OtherKey | Retry::OtherWay | Retry::No => {}
            }
            // Whoever waits for this key need not wait for the pause as well.
            drop(key);
            tokio::time::sleep(settled.pause).await;
            last = Some(setback);
        }
        Err(match last {
            Some(setback) => setback.failure,
            None => Failure::without_key(call, Unavailable::AllTried, None),
        })
    }
}

/// The proxies that have failed one request.
#[derive(Clone, Default)]
struct FailedWays {
    /// Those that are taken again when there is no other.
    rather_not: Vec<Route>,
    never: Vec<Route>,
}

impl FailedWays {
    /// Notes that one has failed. Gives what the pool is to choose other keys by.
    fn failed(&mut self, settings: &Arc<Settings>, way: Route, retry: Retry) -> Judge {
        match retry {
            Retry::OtherWay => self.never.push(way),
            _ => self.rather_not.push(way),
        }
        let (failed, settings) = (self.clone(), settings.clone());
        Judge::new(move |key| match Egress::of_list(&settings, key) {
            Some(way) if failed.never.contains(&way) => Verdict::Never,
            Some(way) if failed.rather_not.contains(&way) => Verdict::RatherNot,
            _ => Verdict::May,
        })
    }
}

/// The moment that much later.
fn later(now: Millis, time: Duration) -> Millis {
    now.saturating_add(time.as_millis().try_into().unwrap_or(Millis::MAX))
}
