//! The attempt loop: one key after the other until there is an answer, or no sense in another
//! try.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use contract::Millis;
use contract::admin::CooldownReason;
use http::Method;

use super::failure::{Failure, Setback, is_limit};
use super::hedge::{Bounds, Failed};
use super::{Answer, At, Call, Expect, Upstream, conversation, hop};
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
    /// When the answer must have begun.
    deadline: Millis,
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
        let patience = trace.patience(settings.patience);
        let deadline = match settings.deadline {
            Duration::ZERO => Millis::MAX,
            // What a client sends in pieces takes its time, and is answered when it is there.
            most if matches!(call.expect, Expect::Anything | Expect::Raw) => {
                later(core.clock.now(), most)
            }
            most => later(core.clock.now(), most.saturating_sub(trace.elapsed())),
        };
        if let Some(hop) = core
            .next_hop()
            .filter(|_| call.at == At::Any && !trace.came_through())
        {
            let left = time_until(deadline, core.clock.now());
            let through = Box::pin(hop::call(self, core, &hop, (call, &settings), trace));
            match core.clock.within(left, through).await {
                Some(Some(ended)) => return ended,
                Some(None) => {}
                None => return Err(Setback::overdue().failure),
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
                deadline,
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
            deadline,
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
        let (settings, deadline) = (terms.settings, terms.deadline);
        // An earlier call of the same request keeps nothing from this one.
        trace.call_is_over();
        let wait_until = later(core.clock.now(), terms.patience).min(deadline);
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
        let any = Want {
            only,
            counted_as: call.counted_as,
            ..Want::any(call.model, tokens)
        };
        let mut course = Course::new(core.express.unable(call));
        for tries in 0..MOST_TRIES {
            let want = Want {
                never: &course.never,
                rather_not: &course.rather_not,
                prefer,
                judge: course.judge.as_ref(),
                ..any
            };
            let key = match core.pool.pick_by(&want, wait_until).await {
                Ok(key) => key,
                Err(Unavailable::AllTried) if course.last.is_none() => {
                    return Err(Setback::unable().failure);
                }
                Err(why) => return Err(Failure::without_key(call, why, course.last)),
            };
            if course.rather_not.contains(&key.id()) {
                tokio::time::sleep(course.pause).await;
                course.pause *= 2;
            }
            let is_hedged = tries == 0 && trace.may_hedge() && may_hedge(settings, call, &want);
            let beside = is_hedged.then_some(Want {
                prefer: None,
                beside: Some(key.id()),
                ..want
            });
            let bounds = Bounds {
                core,
                settings,
                deadline,
                tokens,
            };
            let round = self.round(&bounds, call, key, beside, trace).await;
            if let Some((key, answer)) = round.answered {
                if let Some(conversation) = conversation {
                    core.pool.answers(conversation.id, &key);
                }
                return Ok(answer);
            }
            let mut pause = Duration::ZERO;
            for failed in round.failed {
                if is_once(call) && failed.setback.may_be_done() {
                    return Err(failed.setback.failure.may_be_done());
                }
                pause = pause.max(failed.settled.pause);
                let has_time = |pause| later(core.clock.now(), pause) < deadline;
                if let Some(setback) = course.failed(settings, failed, has_time) {
                    return Err(ended(core, call, &any, setback));
                }
            }
            tokio::time::sleep(pause).await;
        }
        Err(match course.last {
            Some(setback) => ended(core, call, &any, setback),
            None => Failure::without_key(call, Unavailable::AllTried, None),
        })
    }
}

/// What a call ends in after its last attempt. Of a limit, Google's own words say neither truly when
/// it is over nor what other keys may.
fn ended(core: &Core, call: &Call<'_>, any: &Want<'_>, setback: Setback) -> Failure {
    let reason = match setback.outcome {
        Outcome::Quota { reason, .. } => reason,
        _ => CooldownReason::TokensPerMinute,
    };
    match is_limit(setback.outcome) {
        true => Failure::NoKey {
            why: core.pool.opens(any, reason),
            model: call.model.into(),
        },
        false => setback.failure,
    }
}

/// Whether a call makes, changes or deletes something that stays, so that doing it twice is not the
/// same as doing it once: a film is paid for, a piece of an upload fits only once.
fn is_once(call: &Call<'_>) -> bool {
    call.at != At::Any
        && call.method != Method::GET
        && matches!(call.expect, Expect::Anything | Expect::Raw)
}

/// Whether a call may be made twice at the same time: a generation that any key can answer, where
/// the settings say so and hold no calls back, and no conversation is to stay where it is.
fn may_hedge(settings: &Settings, call: &Call<'_>, want: &Want<'_>) -> bool {
    settings.hedge_after_ms > 0
        && settings.max_attempts > 1
        && settings.egress_concurrency == 0
        && settings.egress_gap_ms == 0
        && matches!(call.expect, Expect::Content | Expect::Stream)
        && call.at == At::Any
        && !want.prefer.is_some_and(|prefer| prefer.strongly)
}

/// What the attempts of one request have come to so far.
struct Course {
    /// Keys that are tried again when there is no other.
    rather_not: Vec<i64>,
    /// Those that are not.
    never: Vec<i64>,
    ways: FailedWays,
    judge: Option<Judge>,
    last: Option<Setback>,
    /// The keys with which Google could not be reached, one after the other.
    unreached: Vec<i64>,
    /// How many attempts the settings count.
    counted: u32,
    /// How long is waited before the same key is tried again.
    pause: Duration,
}

impl Course {
    fn new(never: Vec<i64>) -> Self {
        Self {
            rather_not: Vec::new(),
            never,
            ways: FailedWays::default(),
            judge: None,
            last: None,
            unreached: Vec::new(),
            counted: 0,
            pause: SAME_KEY_PAUSE,
        }
    }

    /// Notes an attempt that failed. Gives the one that the request ends with, when there is no sense
    /// in another, for which there must be time after the pause.
    fn failed(
        &mut self,
        settings: &Arc<Settings>,
        failed: Failed,
        has_time: impl FnOnce(Duration) -> bool,
    ) -> Option<Setback> {
        let Failed {
            key,
            mut setback,
            settled,
        } = failed;
        match setback.outcome {
            Outcome::Unconnected | Outcome::Unreachable => {
                if !self.unreached.contains(&key.id()) {
                    self.unreached.push(key.id());
                }
            }
            _ => self.unreached.clear(),
        }
        let consequence = setback.outcome.consequence();
        self.counted += u32::from(consequence.counts);
        if consequence.retry == Retry::No
            || self.counted >= settings.max_attempts
            || !has_time(settled.pause)
        {
            setback.failure = setback.failure.with_keys(self.unreached.len());
            return Some(setback);
        }
        let has_no_turn = setback.outcome == Outcome::NoTurn;
        if matches!(consequence.egress, EgressEffect::Blame | EgressEffect::Full) {
            if let Some(way) = Egress::of_list(settings, key.bound_by()) {
                self.judge = Some(self.ways.failed(settings, way, consequence.retry));
            } else if consequence.retry == Retry::OtherWay {
                // What came of a call that was made says more than that none could be made again.
                let last = self.last.take().filter(|_| has_no_turn);
                return Some(last.unwrap_or(setback));
            }
        }
        match consequence.retry {
            Retry::AnyKey => self.rather_not.push(key.id()),
            Retry::OtherKey if consequence.counts => self.never.push(key.id()),
            // It cannot be chosen before that makes sense.
            Retry::OtherKey | Retry::OtherWay | Retry::No => {}
        }
        if !has_no_turn || self.last.is_none() {
            self.last = Some(setback);
        }
        None
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

/// How long it is until then.
fn time_until(then: Millis, now: Millis) -> Duration {
    Duration::from_millis(then.saturating_sub(now).max(0).unsigned_abs())
}

/// The moment that much later.
fn later(now: Millis, time: Duration) -> Millis {
    now.saturating_add(time.as_millis().try_into().unwrap_or(Millis::MAX))
}
