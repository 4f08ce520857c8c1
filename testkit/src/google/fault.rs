//! Faults on demand, for a key, a model, or the next call.

use std::time::Duration;

use super::error::{GoogleError, Refusal};
use super::quota::{self, Limit};

/// Something that goes wrong, in the place of (or on top of) the ordinary answer.
///
/// Faults that say "event" apply to streams; a call that is not streamed has one event,
/// its body. In a Live session every message of the fake's is one, `setupComplete` the first.
/// The faults of content (`Empty`, `ThoughtOnly`, `Blocked`, `Finished`) are for calls that
/// generate content; interactions and Live sessions pass them by.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Waits before it answers as usual. It is the fake's own clock that passes: with a
    /// virtual clock somebody must advance it. Combines with other faults.
    Latency(Duration),
    /// Waits before each event, on the fake's own clock. Combines with other faults.
    SlowDrip(Duration),
    /// Google's usual error of this HTTP status (503 "The model is overloaded…").
    Status(u16),
    /// This error.
    Error(GoogleError),
    /// What Google says to a key it turns away.
    Refuse(Refusal),
    /// 429 with these details.
    Exhausted(Exhaustion),
    /// A body that is not Google's, e.g. the HTML page of a proxy in between.
    Raw {
        /// HTTP status.
        status: u16,
        /// `content-type` of the body.
        content_type: String,
        /// The body.
        body: String,
    },
    /// 200 without content, in one of the forms seen.
    Empty(Empty),
    /// 200 with thoughts, `STOP`, and not one word of answer.
    ThoughtOnly,
    /// 200 with `promptFeedback.blockReason`: refused for its content, so not an empty answer.
    Blocked,
    /// 200 whose only candidate ended with this `finishReason` and no content, e.g. `MALFORMED_FUNCTION_CALL`.
    Finished(String),
    /// The stream breaks off with Google's error as its last event.
    ErrorInStream {
        /// How many events of the answer come first; 0 is before any content.
        after: usize,
        /// HTTP status that the error names, e.g. 503. The response itself was 200.
        code: u16,
    },
    /// The connection ends after this many events.
    CutAfter {
        /// How many events come first.
        events: usize,
        /// How it ends.
        cut: Cut,
    },
    /// Sends nothing more after this many events until [`FakeGoogle::release`](super::FakeGoogle::release).
    StallAfter {
        /// How many events come first; with 0 the client gets the headers and no event.
        events: usize,
    },
    /// Does not even send headers until [`FakeGoogle::release`](super::FakeGoogle::release).
    StallBeforeHeaders,
    /// Closes the connection instead of answering.
    CloseBeforeHeaders,
    /// One event after this many is not valid JSON; the rest follows as usual.
    Malformed {
        /// How many events come first.
        after: usize,
    },
}

/// How a connection ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// TCP reset.
    Reset,
    /// The connection closes without the end that HTTP requires.
    Close,
    /// HTTP ends properly, but the answer has no `finishReason`: what a dying backend behind a proxy looks like.
    End,
}

/// The forms of an answer without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// `candidates` is missing.
    NoCandidates,
    /// A candidate with `finishReason: STOP` and no `parts`.
    NoParts,
    /// A candidate whose only part is the text "".
    EmptyText,
    /// HTTP 200 and a body of no bytes at all.
    NoBody,
}

/// The forms of 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhaustion {
    /// Requests a minute, with an honest `RetryInfo`.
    PerMinute {
        /// `quotaValue`.
        limit: u64,
        /// `retryDelay`, with its fraction of a second.
        retry: Duration,
    },
    /// Input tokens a minute.
    TokensPerMinute {
        /// `quotaValue`.
        limit: u64,
        /// `retryDelay`, with its fraction of a second.
        retry: Duration,
    },
    /// Requests a day, with the `RetryInfo` that Google gives, which is wrong.
    PerDay {
        /// `quotaValue`.
        limit: u64,
        /// `retryDelay`; 0 s and 38 s were seen where hours would be right.
        retry: Duration,
    },
    /// `limit: 0`: the model is not in this project's tier and never will be by waiting.
    LimitZero,
    /// No details at all: capacity, not quota.
    NoDetails,
}

impl Exhaustion {
    /// The 429 for this model.
    #[must_use]
    pub fn error(self, model: &str) -> GoogleError {
        match self {
            Self::PerMinute { limit, retry } => {
                quota::exhausted(model, &[(Limit::RequestsPerMinute, limit)], retry)
            }
            Self::TokensPerMinute { limit, retry } => {
                quota::exhausted(model, &[(Limit::TokensPerMinute, limit)], retry)
            }
            Self::PerDay { limit, retry } => {
                quota::exhausted(model, &[(Limit::RequestsPerDay, limit)], retry)
            }
            Self::LimitZero => quota::exhausted(
                model,
                &[
                    (Limit::RequestsPerDay, 0),
                    (Limit::RequestsPerMinute, 0),
                    (Limit::TokensPerMinute, 0),
                ],
                Duration::from_nanos(11_665_902_715),
            ),
            Self::NoDetails => GoogleError::usual(429),
        }
    }
}

/// A fault and the calls it is meant for. Without conditions it is meant for every call
/// that is made on a model (not for the list of models).
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    key: Option<String>,
    model: Option<String>,
    action: Option<String>,
    times: Option<usize>,
}

impl Rule {
    /// This fault on every call.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault,
            key: None,
            model: None,
            action: None,
            times: None,
        }
    }

    /// Only for calls with this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only for calls of this model (without `models/`).
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Only for calls of this method, e.g. `streamGenerateContent`, or `models` for the list of
    /// models. Methods of what is kept have its collection's name before theirs: `files.create`
    /// (every command of an upload), `cachedContents.get`, `operations.get`, `batches.cancel`,
    /// `interactions.create`; a Live session is `bidiGenerateContent`.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only so many times.
    #[must_use]
    pub const fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    fn matches(&self, key: &str, model: Option<&str>, action: &str) -> bool {
        let wanted = |wanted: &Option<String>, given: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == given)
        };
        self.times != Some(0)
            && wanted(&self.key, key)
            && wanted(&self.model, model.unwrap_or_default())
            && if self.key.is_none() && self.action.is_none() {
                model.is_some()
            } else {
                wanted(&self.action, action)
            }
    }
}

/// Rules in their order: of those that match a call, the first decides.
#[derive(Clone, Debug, Default)]
pub struct Script {
    rules: Vec<Rule>,
}

/// What the script says about one call.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub latency: Duration,
    pub drip: Duration,
    pub fault: Option<Fault>,
}

impl Script {
    /// No rules.
    #[must_use]
    pub const fn new() -> Self {
        Self { rules: Vec::new() }
    }

    /// Adds a rule after the ones there are.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.rules.extend(other.rules);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Looks a call up and uses up the rules that applied. Delays add to the one fault found.
    pub(super) fn take(&mut self, key: &str, model: Option<&str>, action: &str) -> Verdict {
        let mut verdict = Verdict::default();
        if self.rules.is_empty() {
            return verdict;
        }
        for rule in &mut self.rules {
            if !rule.matches(key, model, action) {
                continue;
            }
            match &rule.fault {
                Fault::Latency(wait) => verdict.latency += *wait,
                Fault::SlowDrip(wait) => verdict.drip += *wait,
                _ if verdict.fault.is_some() => continue,
                fault => verdict.fault = Some(fault.clone()),
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
        }
        self.rules.retain(|rule| rule.times != Some(0));
        verdict
    }
}
