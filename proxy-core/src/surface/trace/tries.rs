//! The tries of a request: with which key, by which way, how each ended, and what is told of them.

use std::time::Duration;

use contract::admin::TryOutcome;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{Trace, first_chars, millis};
use crate::egress::{Route, Turn};
use crate::pool::{Outcome, Picked};
use crate::record::Try;
use crate::upstream::{Call, Failure, NextHop};

/// One for each try: the key's number and label, the way out, how it ended, how long it was waited
/// for and took.
const ATTEMPT_HEADER: HeaderName = HeaderName::from_static("x-gemini-balance-attempt");
/// The model that was asked because the one that was wanted had no key.
const MODEL_HEADER: HeaderName = HeaderName::from_static("x-gemini-balance-model");
/// The most tries that are kept of a request.
const MOST_TRIES: usize = 64;
/// A try that begins sooner has waited for nothing.
const AT_ONCE: Duration = Duration::from_millis(100);
/// What a label has that is written as `%` and two digits in a header.
const IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'"').add(b',').add(b'=');
/// The most characters that are kept of a project's name.
const PROJECT_CHARS: usize = 200;

/// One try, in time since the request came.
pub(super) struct Attempt {
    /// The key's number; absent when another instance chooses it.
    key: Option<i64>,
    /// The proxy that it goes through, without its credential.
    proxy: Option<Box<str>>,
    began: Duration,
    /// When it ended, and how.
    ended: Option<(Duration, Outcome)>,
}

impl Trace {
    /// Takes in what one of several calls has noted of its tries.
    pub fn join(&mut self, branch: &mut Self) {
        self.joined = true;
        let theirs = std::mem::replace(&mut branch.record.attempts, 0);
        self.record.attempts = self.record.attempts.saturating_add(theirs);
        self.record
            .failed_keys
            .append(&mut branch.record.failed_keys);
        self.record.key_id = branch.record.key_id.or(self.record.key_id);
        self.record.remote = branch.record.remote.take().or(self.record.remote.take());
        self.key = branch.key.clone().or(self.key.take());
        self.said = branch.said.take().or(self.said.take());
        if branch.fallback.is_some() {
            self.record.model = branch.record.model.clone();
        }
        self.fallback = branch.fallback.take().or(self.fallback.take());
        let room = MOST_TRIES.saturating_sub(self.attempts.len());
        self.attempts.extend(branch.attempts.drain(..).take(room));
    }

    /// Notes that the try under way is broken off, because one beside it was faster.
    pub fn cancelled(&mut self) {
        let (Some(core), Some(key)) = (&self.core, &self.key) else {
            return;
        };
        core.metrics.attempted(Outcome::Cancelled);
        core.pool.settle(key, Outcome::Cancelled, None, None);
        self.settled(Outcome::Cancelled);
        self.turn = None;
    }

    /// Takes in what was noted of a try that ran beside the one of these notes, and goes on with
    /// that one if it was `accepted`.
    pub fn takes_in(&mut self, beside: &mut Self, accepted: bool) {
        self.record.attempts = (self.record.attempts).saturating_add(beside.record.attempts);
        beside.record.attempts = 0;
        self.hedged |= beside.hedged;
        let ended = |trace: &Self| trace.attempts.get(trace.newest)?.ended;
        let failed = |trace: &Self| {
            let is_failure = |outcome| !matches!(outcome, Outcome::Answered | Outcome::Cancelled);
            let (at, outcome) = ended(trace)?;
            is_failure(outcome).then_some(at)
        };
        let (this, that) = (failed(self), failed(beside));
        let answers = matches!(ended(self), Some((_, Outcome::Answered)));
        if accepted {
            let before = self.record.key_id.filter(|_| this.is_some());
            self.record.failed_keys.extend(before);
            self.record.key_id = beside.record.key_id;
            self.record.prompt_tokens = beside.record.prompt_tokens;
            self.record.output_tokens = beside.record.output_tokens;
            self.record.thought_tokens = beside.record.thought_tokens;
            self.record.cached_tokens = beside.record.cached_tokens;
            self.record.project = None;
            self.key = beside.key.take();
            self.turn = beside.turn.take();
            self.spans.goes_on_with(&mut beside.spans);
            self.newest = self.attempts.len() + beside.newest;
        } else if that.is_some() && !answers && that > this {
            // Its failure is the last word so far.
            let before = self.record.key_id.filter(|_| this.is_some());
            self.record.failed_keys.extend(before);
            self.record.key_id = beside.record.key_id;
            self.record.project = beside.record.project.take();
            self.key = beside.key.take();
            self.said = beside.said.take();
        } else if that.is_some() {
            self.record.failed_keys.extend(beside.record.key_id);
        }
        let room = MOST_TRIES.saturating_sub(self.attempts.len());
        self.attempts.extend(beside.attempts.drain(..).take(room));
    }

    /// Notes that `key` is tried for `call`, at the address `base`.
    pub fn attempt(&mut self, call: &Call<'_>, key: &Picked, base: &str) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.failed_keys.extend(self.record.key_id);
        self.record.key_id = Some(key.id());
        self.record.project = None;
        self.key = Some(key.clone());
        self.record.remote = None;
        self.tries(Some(key.id()));
        if self.core.is_some() {
            self.spans.attempt(call, Some(key), base);
        }
    }

    /// Notes that `call` is sent through another instance, which chooses the key.
    pub fn attempt_through(&mut self, call: &Call<'_>, hop: &NextHop) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.remote = Some(hop.through().name.as_str().into());
        self.tries(None);
        if self.core.is_some() {
            self.spans.attempt(call, None, hop.base_url());
        }
    }

    /// Holds on to what the try was given of its way out, until the next one or the end.
    pub fn holds(&mut self, turn: Option<Turn>) {
        self.turn = turn;
    }

    fn tries(&mut self, key: Option<i64>) {
        self.newest = self.attempts.len();
        if self.core.is_some() && self.attempts.len() < MOST_TRIES {
            let began = self.elapsed();
            self.attempts.push(Attempt {
                key,
                proxy: None,
                began,
                ended: None,
            });
        }
    }

    /// Notes the way that the try takes.
    pub fn goes_by(&mut self, route: &Route) {
        if let (Route::Proxy(proxy), Some(last)) = (route, self.attempts.get_mut(self.newest)) {
            last.proxy = Some(proxy.shown().into());
        }
    }

    /// Notes why a try failed.
    pub fn failed(&mut self, failure: &Failure) {
        let status = match failure {
            Failure::Refused { status, .. } => Some(status.as_u16()),
            _ => None,
        };
        let project = failure.project();
        self.record.project = project.map(|project| first_chars(project, PROJECT_CHARS));
        self.said = Some((failure.in_short(), status));
    }

    /// Notes how the try ended. One that failed keeps its key no longer, so that the next may
    /// have it.
    pub fn settled(&mut self, outcome: Outcome) {
        if outcome != Outcome::Answered
            && let Some(key) = &mut self.key
        {
            if self.record.prompt_tokens > 0 {
                key.had_tokens(self.record.prompt_tokens.into());
            }
            *key = key.without_call();
        }
        self.spans.settled(outcome);
        let now = self.elapsed();
        if let Some(last) = self.attempts.get_mut(self.newest) {
            last.ended = Some((now, outcome));
        }
    }

    /// What the answer's headers tell: the model that was asked instead, and the tries.
    pub fn told(&self) -> HeaderMap {
        let mut told = HeaderMap::new();
        if let Some(model) = &self.fallback {
            told.insert(MODEL_HEADER, model.clone());
        }
        let told_of = self.attempts.iter().filter(|_| self.tells);
        for (attempt, one) in told_of.zip(self.tried(self.elapsed())) {
            let label = |key| {
                let core = self.core.as_ref();
                core.and_then(|core| core.store.label_of(key))
                    .map(|label| format!(" label={}", utf8_percent_encode(&label, IN_HEADERS)))
                    .unwrap_or_default()
            };
            let key = match one.key {
                Some(key) => format!("key={key}{}", label(key)),
                None => "remote".to_owned(),
            };
            let egress = one.proxy.as_deref().unwrap_or(Route::Direct.shown());
            let outcome = attempt.ended.map(|(_, outcome)| outcome.name());
            let text = format!(
                "{key} egress={egress} outcome={} waited_ms={} ms={}",
                outcome.unwrap_or("under_way"),
                one.waited_ms,
                one.took_ms,
            );
            if let Ok(text) = HeaderValue::from_str(&text) {
                told.append(ATTEMPT_HEADER, text);
            }
        }
        told
    }

    /// The tries as they are kept, at a time since the request came.
    pub(super) fn tried(&self, now: Duration) -> impl Iterator<Item = Try> {
        let mut before = Duration::ZERO;
        self.attempts.iter().map(move |attempt| {
            let ended = attempt.ended.map_or(now, |(at, _)| at);
            let waited = attempt.began.saturating_sub(before);
            // Two may have run at the same time.
            before = before.max(ended);
            Try {
                key: attempt.key,
                proxy: attempt.proxy.clone(),
                outcome: shown(attempt.ended.map(|(_, outcome)| outcome)),
                waited_ms: millis(waited),
                took_ms: millis(ended.saturating_sub(attempt.began)),
            }
        })
    }

    /// Whether there is something to tell of the tries besides the last one's key.
    pub(super) fn tries_tell(&self) -> bool {
        let is_plain = |attempt: &Attempt| {
            let answered = matches!(attempt.ended, Some((_, Outcome::Answered)));
            answered && attempt.proxy.is_none() && attempt.began < AT_ONCE
        };
        match &self.attempts[..] {
            [] => false,
            [only] => !is_plain(only),
            _ => true,
        }
    }

    /// Tells the pool of something that the key met after the answer had begun.
    pub fn settle(&mut self, outcome: Outcome, said: &str) {
        self.said = Some((said.to_owned(), None));
        if let (Some(core), Some(key)) = (&self.core, &self.key) {
            core.pool.settle(key, outcome, Some(said), None);
            self.spans.settled(outcome);
        }
        if let Some(last) = self.attempts.get_mut(self.newest) {
            let ended = last.ended.map_or(last.began, |(at, _)| at);
            last.ended = Some((ended, outcome));
        }
    }

    /// Notes that the key of the last try has not failed.
    pub(in crate::surface) fn is_not_blamed(&mut self) {
        self.record.key_id = None;
    }
}

/// How a try ended, to show; `None` when it has not ended.
fn shown(outcome: Option<Outcome>) -> TryOutcome {
    match outcome {
        None => TryOutcome::BrokenOff,
        Some(Outcome::Answered) => TryOutcome::Answered,
        Some(Outcome::Empty) => TryOutcome::Empty,
        Some(Outcome::ClientFault) => TryOutcome::ClientFault,
        Some(Outcome::Quota { .. }) => TryOutcome::Quota,
        Some(Outcome::PromptTooLarge { .. }) => TryOutcome::PromptTooLarge,
        Some(Outcome::KeyRefused(_)) => TryOutcome::KeyRefused,
        Some(Outcome::Forbidden) => TryOutcome::Forbidden,
        Some(Outcome::ProjectRefused { .. }) => TryOutcome::ProjectRefused,
        Some(Outcome::LocationRefused) => TryOutcome::LocationRefused,
        Some(Outcome::Overloaded) => TryOutcome::Overloaded,
        Some(Outcome::NoTurn) => TryOutcome::NoTurn,
        Some(Outcome::Unconnected | Outcome::Unreachable) => TryOutcome::Unreachable,
        Some(Outcome::NotGoogle) => TryOutcome::NotGoogle,
        Some(Outcome::Unreadable) => TryOutcome::Unreadable,
        Some(Outcome::TooSlow) => TryOutcome::TooSlow,
        Some(Outcome::Cancelled) => TryOutcome::Cancelled,
    }
}
