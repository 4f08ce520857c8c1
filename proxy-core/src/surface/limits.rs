//! What a client token may do: until when, how often, how much, and with which models.
//!
//! Everything is counted in memory, under a lock that is held for a few comparisons; nothing
//! here waits. The counts of the day are taken over from the store at start
//! ([`super::auth::ClientTokens::seed`]); those of the minute begin anew, which at worst gives
//! a client its minute twice.
//!
//! The minute slides: a request counts for the 60 seconds after it came, so that no client
//! gets twice its limit around a full minute. The day is the calendar's, in the server's time
//! zone. How many tokens an answer takes is known when it ends, so a request that begins
//! under the day's limit may end over it, and the next one is refused.
//!
//! Deliberately absent: counts that several servers on one database share. Each server counts
//! what it answers itself.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contract::Millis;
use contract::admin::{CitationStyle, MediaStyle, ThoughtStyle, TokenRules, TokenUsage};
use dialect::style::{Citations, Media, Style, Thoughts};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::pool::fits;

/// How long a request counts towards the limit of the minute.
const MINUTE: Duration = Duration::from_secs(60);
/// How many refusals of one token are filed in a minute. Anybody who has a token that is over
/// its limit can send requests without end, and the log is not theirs to fill.
const REFUSALS_FILED: u32 = 6;
/// When to come back while other requests of the same token are running: nobody knows, so
/// the shortest time that the protocols can say.
const SHORTLY: Duration = Duration::from_secs(1);

/// What stands in the way of a request whose token is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The token's time is over.
    Expired {
        /// Since when.
        at: Millis,
    },
    /// A number that was used up.
    UsedUp {
        /// Of what.
        kind: Kind,
        /// How much the token may.
        limit: u64,
        /// How long until it may again.
        wait: Duration,
    },
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests in any 60 seconds.
    RequestsPerMinute,
    /// Requests since midnight.
    RequestsPerDay,
    /// Tokens since midnight.
    TokensPerDay,
    /// Requests that are being answered.
    AtOnce,
}

/// What was done with a token on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// Requests that were let in.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Tokens, input and output together.
    pub tokens: u64,
}

/// A token that is accepted, with its rules and what was counted of it.
pub(super) struct Accepted {
    pub id: i64,
    pub name: String,
    rules: TokenRules,
    /// Outlives a change of the rules.
    pub used: Arc<Used>,
    /// What it is called where others can read it: made of its hash, because in other installations
    /// other tokens have the same number.
    pub(super) word: Box<str>,
}

/// A request that met a limit of its token.
pub(super) struct Turned {
    pub token: Arc<Accepted>,
    pub limit: Limit,
    /// It is told in the request log, and not only in the numbers.
    pub is_filed: bool,
}

/// What was counted of a token in this process.
#[derive(Default)]
pub(super) struct Used {
    /// When a request was last let in; 0 for never.
    last_at: AtomicI64,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    /// The day that `counts` belongs to.
    day: Range<Millis>,
    counts: DayCounts,
    /// When the requests of the last minute came, as the steady clock has it, the oldest
    /// first. Kept only for tokens with a limit of the minute, and never longer than that.
    recent: VecDeque<Duration>,
    running: u32,
    /// When the minute began whose refusals are counted, by the steady clock, and their number.
    refused: (Duration, u32),
}

impl Accepted {
    pub(super) fn new(id: i64, name: String, rules: TokenRules, used: Arc<Used>) -> Self {
        Self {
            id,
            name,
            rules,
            used,
            word: Box::default(),
        }
    }

    /// Lets a request in and counts it, or says what stands in its way; then nothing is
    /// counted, so that a client that asks too often is not kept out for longer by asking.
    pub(super) fn admit(
        self: Arc<Self>,
        clock: &Clock,
        zone: &TimeZone,
    ) -> Result<Admitted, Turned> {
        let now = clock.now();
        match self.count_in(now, clock, zone) {
            Some(limit) => {
                let is_filed = self.used.tally.lock().files(clock.monotonic());
                Err(Turned {
                    token: self,
                    limit,
                    is_filed,
                })
            }
            None => {
                self.used.last_at.store(now, Ordering::Relaxed);
                Ok(Admitted {
                    token: self,
                    counts: true,
                })
            }
        }
    }

    /// Lets in a question about what was asked for earlier, which counts for nothing: whoever is
    /// at a limit must be able to fetch, and to cancel, what is under way.
    pub(super) fn admit_beside(self: Arc<Self>, clock: &Clock) -> Option<Admitted> {
        let now = clock.now();
        let expired = self.rules.expires_at.is_some_and(|at| at <= now);
        (!expired).then(|| Admitted {
            token: self,
            counts: false,
        })
    }

    fn count_in(&self, now: Millis, clock: &Clock, zone: &TimeZone) -> Option<Limit> {
        let rules = &self.rules;
        if let Some(at) = rules.expires_at.filter(|at| *at <= now) {
            return Some(Limit::Expired { at });
        }
        let mut tally = self.used.tally.lock();
        tally.turn_to(now, zone);
        // The longest wait first: what opens only tomorrow is not answered with "in a second".
        let midnight = Duration::from_millis(tally.day.end.saturating_sub(now).unsigned_abs());
        let counts = tally.counts;
        let rpd = rules.rpd.map(u64::from);
        for (kind, limit, used, wait) in [
            (Kind::RequestsPerDay, rpd, counts.requests, midnight),
            (
                Kind::TokensPerDay,
                rules.tokens_per_day,
                counts.tokens,
                midnight,
            ),
            (
                Kind::AtOnce,
                rules.concurrency.map(u64::from),
                tally.running.into(),
                SHORTLY,
            ),
        ] {
            if let Some(limit) = limit.filter(|limit| used >= *limit) {
                return Some(Limit::UsedUp { kind, limit, wait });
            }
        }
        match rules.rpm {
            Some(limit) => {
                if let Some(wait) = tally.wait_for_minute(limit, clock.monotonic()) {
                    return Some(Limit::UsedUp {
                        kind: Kind::RequestsPerMinute,
                        limit: limit.into(),
                        wait,
                    });
                }
            }
            None => tally.recent.clear(),
        }
        tally.counts.requests += 1;
        tally.running += 1;
        None
    }
}

impl Tally {
    /// Begins a new day when there is one. Also when the clock was set back.
    fn turn_to(&mut self, now: Millis, zone: &TimeZone) {
        if !self.day.contains(&now) {
            self.day = day_of(now, zone);
            self.counts = DayCounts::default();
        }
    }

    /// Whether a refusal is one of the few that are filed.
    fn files(&mut self, steady: Duration) -> bool {
        if steady.saturating_sub(self.refused.0) >= MINUTE {
            self.refused = (steady, 0);
        }
        self.refused.1 = self.refused.1.saturating_add(1);
        self.refused.1 <= REFUSALS_FILED
    }

    /// Counts a request of this minute, or says how long to wait.
    fn wait_for_minute(&mut self, limit: u32, steady: Duration) -> Option<Duration> {
        while self
            .recent
            .front()
            .is_some_and(|came| *came + MINUTE <= steady)
        {
            self.recent.pop_front();
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(over) = self.recent.len().checked_sub(limit) else {
            self.recent.push_back(steady);
            return None;
        };
        // The limit may have been lowered meanwhile: then more than one must have gone.
        let blocking = self.recent.get(over).copied().unwrap_or(steady);
        Some((blocking + MINUTE).saturating_sub(steady))
    }
}

impl Used {
    pub(super) fn last_at(&self) -> Option<Millis> {
        let at = self.last_at.load(Ordering::Relaxed);
        (at > 0).then_some(at)
    }

    pub(super) fn seed(&self, now: Millis, zone: &TimeZone, counts: DayCounts) {
        let mut tally = self.tally.lock();
        tally.turn_to(now, zone);
        let own = tally.counts;
        tally.counts = DayCounts {
            requests: own.requests.max(counts.requests),
            errors: own.errors.max(counts.errors),
            tokens: own.tokens.max(counts.tokens),
        };
    }

    pub(super) fn usage(&self, now: Millis, zone: &TimeZone) -> TokenUsage {
        let mut tally = self.tally.lock();
        tally.turn_to(now, zone);
        TokenUsage {
            requests_today: tally.counts.requests,
            errors_today: tally.counts.errors,
            tokens_today: tally.counts.tokens,
            running: tally.running,
        }
    }
}

/// A request that a token let in. It counts as running until this is dropped.
pub struct Admitted {
    token: Arc<Accepted>,
    /// Whether it is the one that counts, and not one beside it.
    counts: bool,
}

impl Admitted {
    /// The same for one of several calls of the request, which counts for nothing.
    pub fn beside(&self) -> Self {
        Self {
            token: self.token.clone(),
            counts: false,
        }
    }

    /// The token's number.
    pub fn id(&self) -> i64 {
        self.token.id
    }

    /// What it is called where others can read it.
    pub fn word(&self) -> &str {
        &self.token.word
    }

    /// What the user calls the token.
    pub fn name(&self) -> &str {
        &self.token.name
    }

    /// The rules of the token as they were when the request came.
    pub fn rules(&self) -> &TokenRules {
        &self.token.rules
    }

    /// How thoughts, media and sources reach the token's clients.
    pub fn style(&self) -> Style {
        let rules = &self.token.rules;
        Style {
            thoughts: match rules.thoughts {
                ThoughtStyle::Native => Thoughts::Native,
                ThoughtStyle::Inline => Thoughts::Inline,
                ThoughtStyle::Hidden => Thoughts::Hidden,
            },
            media: match rules.media {
                MediaStyle::Markdown => Media::Markdown,
                MediaStyle::Field => Media::Field,
            },
            citations: match rules.citations {
                CitationStyle::Native => Citations::Native,
                CitationStyle::Text => Citations::Text,
            },
            ..Style::default()
        }
    }

    /// Whether the token may use a model, given without `models/`.
    pub fn may_use(&self, model: &str) -> bool {
        let allowed = &self.token.rules.models;
        allowed.is_empty() || allowed.iter().any(|pattern| fits(pattern, model))
    }

    /// Notes how the request ended: the tokens it took, and whether it failed.
    pub fn ended(&self, tokens: u64, failed: bool) {
        let mut tally = self.token.used.tally.lock();
        tally.counts.tokens = tally.counts.tokens.saturating_add(tokens);
        tally.counts.errors += u64::from(failed);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if !self.counts {
            return;
        }
        let mut tally = self.token.used.tally.lock();
        tally.running = tally.running.saturating_sub(1);
    }
}

impl std::fmt::Debug for Admitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Admitted").field(&self.token.id).finish()
    }
}

/// The calendar's day that holds a moment. A moment outside the years that the calendar knows
/// has a day of its own, so nothing is counted there.
fn day_of(now: Millis, zone: &TimeZone) -> Range<Millis> {
    let day = || {
        let today = Timestamp::from_millisecond(now)
            .ok()?
            .to_zoned(zone.clone())
            .start_of_day()
            .ok()?;
        let tomorrow = today.tomorrow().ok()?.start_of_day().ok()?;
        Some(today.timestamp().as_millisecond()..tomorrow.timestamp().as_millisecond())
    };
    day().unwrap_or(now..now.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::clock::VirtualClock;

    /// 2026-11-22 04:00 UTC, noon in Shanghai.
    const NOON: Millis = 1_795_320_000_000;
    const HOUR: Duration = Duration::from_secs(60 * 60);

    struct Token {
        accepted: Arc<Accepted>,
        clock: VirtualClock,
        zone: TimeZone,
    }

    impl Token {
        fn with(rules: TokenRules) -> Self {
            Self {
                accepted: Arc::new(Accepted::new(1, "phone".into(), rules, Arc::default())),
                clock: VirtualClock::at(NOON),
                zone: TimeZone::get("Asia/Shanghai").unwrap(),
            }
        }

        fn ask(&self) -> Result<Admitted, Limit> {
            let clock = self.clock.clone();
            let clock = Clock::new(move || clock.now());
            let admitted = self.accepted.clone().admit(&clock, &self.zone);
            admitted.map_err(|turned| turned.limit)
        }

        /// Asks and ends at once; how long to wait when refused.
        fn wait(&self) -> Option<Duration> {
            match self.ask() {
                Ok(_) => None,
                Err(Limit::UsedUp { wait, .. }) => Some(wait),
                Err(other) => panic!("{other:?}"),
            }
        }

        fn usage(&self) -> TokenUsage {
            self.accepted.used.usage(self.clock.now(), &self.zone)
        }
    }

    #[test]
    fn the_minute_slides_and_refused_requests_do_not_count() {
        let token = Token::with(TokenRules {
            rpm: Some(2),
            ..TokenRules::default()
        });
        let seconds = Duration::from_secs;
        assert_eq!(token.wait(), None);
        token.clock.advance(seconds(50));
        assert_eq!(token.wait(), None);
        for _ in 0..9 {
            assert_eq!(token.wait(), Some(seconds(10)), "the first is 50 s old");
        }
        token.clock.advance(seconds(10));
        assert_eq!(token.wait(), None, "the first has left the minute");
        assert_eq!(token.wait(), Some(seconds(50)), "the second has not");
        assert_eq!(token.usage().requests_today, 3);
    }

    #[test]
    fn a_lowered_limit_holds_for_what_was_asked_before() {
        let used = Arc::<Used>::default();
        let mut token = Token::with(TokenRules {
            rpm: Some(5),
            ..TokenRules::default()
        });
        token.accepted = Arc::new(Accepted::new(
            1,
            String::new(),
            token.accepted.rules.clone(),
            used.clone(),
        ));
        for _ in 0..5 {
            assert_eq!(token.wait(), None);
            token.clock.advance(Duration::from_secs(1));
        }
        let rules = TokenRules {
            rpm: Some(2),
            ..TokenRules::default()
        };
        token.accepted = Arc::new(Accepted::new(1, String::new(), rules, used));
        // They came at 0, 1, 2, 3, 4; now is 5. Two are left when the one of 3 has gone.
        assert_eq!(token.wait(), Some(Duration::from_secs(58)));
    }

    #[test]
    fn the_day_is_the_calendars_and_says_when_it_opens() {
        let token = Token::with(TokenRules {
            rpd: Some(1),
            ..TokenRules::default()
        });
        assert_eq!(token.wait(), None);
        assert_eq!(token.wait(), Some(12 * HOUR), "until midnight in Shanghai");
        token.clock.advance(12 * HOUR);
        assert_eq!(token.wait(), None);
        assert_eq!(token.usage().requests_today, 1);
    }

    #[test]
    fn tokens_are_counted_when_known_and_the_request_that_passes_the_limit_is_the_last() {
        let token = Token::with(TokenRules {
            tokens_per_day: Some(100),
            ..TokenRules::default()
        });
        let first = token.ask().unwrap();
        let second = token.ask().unwrap();
        first.ended(99, false);
        drop(first);
        second.ended(50, true);
        drop(second);
        assert_eq!(
            token.ask().unwrap_err(),
            Limit::UsedUp {
                kind: Kind::TokensPerDay,
                limit: 100,
                wait: 12 * HOUR
            }
        );
        let usage = token.usage();
        assert_eq!((usage.tokens_today, usage.errors_today), (149, 1));
    }

    #[test]
    fn a_request_runs_until_it_is_dropped() {
        let token = Token::with(TokenRules {
            concurrency: Some(1),
            ..TokenRules::default()
        });
        let running = token.ask().unwrap();
        assert_eq!(token.usage().running, 1);
        assert_eq!(token.wait(), Some(SHORTLY));
        drop(running);
        assert_eq!(token.wait(), None);
        assert_eq!(token.usage().running, 0);
    }

    #[test]
    fn an_expired_token_is_said_to_be_expired() {
        let token = Token::with(TokenRules {
            expires_at: Some(NOON + 1000),
            rpm: Some(1),
            ..TokenRules::default()
        });
        assert_eq!(token.wait(), None);
        token.clock.advance(Duration::from_secs(1));
        assert_eq!(
            token.ask().unwrap_err(),
            Limit::Expired { at: NOON + 1000 },
            "sooner than that its minute is used up"
        );
    }

    #[test]
    fn a_restart_opens_no_limit_of_the_day() {
        let token = Token::with(TokenRules {
            rpd: Some(10),
            ..TokenRules::default()
        });
        let before = DayCounts {
            requests: 9,
            errors: 2,
            tokens: 77,
        };
        token
            .accepted
            .used
            .seed(token.clock.now(), &token.zone, before);
        assert_eq!(token.wait(), None);
        assert_eq!(token.wait(), Some(12 * HOUR));
        let usage = token.usage();
        assert_eq!(
            (usage.requests_today, usage.errors_today, usage.tokens_today),
            (10, 2, 77)
        );
    }

    #[test]
    fn patterns_name_models() {
        let may = |models: &[&str], model| {
            let models = models.iter().map(|name| (*name).to_owned()).collect();
            let token = Token::with(TokenRules {
                models,
                ..TokenRules::default()
            });
            token.ask().unwrap().may_use(model)
        };
        assert!(may(&[], "anything"), "no list: all");
        let some = ["gemini-2.5-flash", "gemini-3*"];
        assert!(may(&some, "gemini-2.5-flash"));
        assert!(may(&some, "gemini-3.1-pro-preview"));
        assert!(!may(&some, "gemini-2.5-flash-lite"), "not only a beginning");
        assert!(!may(&some, "gemini-2.5-pro"));
        assert!(may(&["*"], "gemini-2.5-pro"));
    }
}
