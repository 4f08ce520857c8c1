//! What one project may still ask of one model: pure arithmetic on a moment that is handed in.
//!
//! Google counts requests and input tokens over the last sixty seconds and requests since
//! midnight in California, for each project and model
//! (<https://ai.google.dev/gemini-api/docs/rate-limits>). A [`Window`] counts the same from
//! here, knows the limits that Google has told or the user has set, and says when something
//! fits. It is the one place that changes what is known of a quota.

use std::collections::VecDeque;

use contract::Millis;
use contract::admin::CooldownReason;
use serde::{Deserialize, Serialize};

/// Over which time Google counts a minute's limits.
const MINUTE_MS: Millis = 60_000;
/// How much longer a request counts here than there: it left earlier than it arrived, and two
/// may travel for different times.
const MARGIN_MS: Millis = 250;
/// How long a limit that Google told is believed. One that was raised since would never be
/// noticed otherwise; one that still holds costs a single refusal to learn again.
const LIMIT_KEPT_MS: Millis = 7 * 24 * 60 * 60 * 1_000;
/// How long nothing is asked for that has a limit of nothing.
pub(super) const TIER_REST_MS: Millis = 24 * 60 * 60 * 1_000;
/// For how long after a rest it counts that there was one, so that the next is longer.
const REFUSALS_KEPT_MS: Millis = 24 * 60 * 60 * 1_000;
/// What a prompt opens that is too large for its project: that does not change by itself.
pub(super) const NEVER: Millis = Millis::MAX;
/// How many requests of the last minute are told apart; beyond it they are counted together.
const MOST_SENT: usize = 4_096;

/// When it is, and when the day of quota ends. Both in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Millis,
    /// The next midnight in California.
    pub day_ends: Millis,
}

/// What Google counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Requests a minute.
    RequestsPerMinute,
    /// Input tokens a minute.
    TokensPerMinute,
    /// Requests a day.
    RequestsPerDay,
}

/// Limits that somebody has set by hand; `None` leaves it to what Google tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Input tokens a minute.
    pub tpm: Option<u64>,
    /// Requests a day.
    pub rpd: Option<u64>,
}

/// A limit that Google has told, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// How much is allowed.
    pub value: u64,
    /// When Google said so.
    pub learned_at: Millis,
}

/// The limits that Google has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<Limit>,
    /// Input tokens a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<Limit>,
    /// Requests a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpd: Option<Limit>,
    /// The size from which on a prompt, as it is estimated here, was more than a minute's tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Limit>,
}

/// Until when nothing is sent, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// When it may be asked again.
    pub until: Millis,
    /// What is in the way until then.
    pub reason: CooldownReason,
}

/// What one project has asked of one model, and what it may.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The requests of the last minute, the oldest first.
    sent: VecDeque<Sent>,
    /// How many requests `sent` are.
    requests: u64,
    /// How many tokens `sent` are.
    tokens: u64,
    /// The end of the day that `today` counts.
    day_ends: Millis,
    /// Requests since the last midnight in California.
    today: u64,
    /// The same by key, because it is a key that turns out to belong to another project.
    by_key: Vec<(i64, u64)>,
    /// The number of the first request of that day: one that is taken back after midnight was
    /// never among those of the new day.
    day_began: Option<u64>,
    learned: Learned,
    /// What Google has asked for.
    rest: Option<Opening>,
    /// Nothing went well since the last rest: the next request is a trial.
    unproven: bool,
    /// How many rests whose length Google did not say came in a row.
    refusals: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sent {
    /// Names it, to correct it or take it back.
    number: u64,
    /// The key that it was sent with.
    key: i64,
    at: Millis,
    requests: u64,
    tokens: u64,
}

/// A [`Window`] as it is kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedWindow {
    /// The model, without `models/`.
    pub model: String,
    /// The end of the day that `today` counts.
    pub day_ends: Millis,
    /// Requests of that day with this key.
    pub today: u64,
    /// When its requests of the last minute were sent, and how many tokens they had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<(Millis, u64, u64)>,
    /// The limits that Google has told.
    pub learned: Learned,
    /// What Google has asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Opening>,
    /// Nothing went well since the last rest.
    pub unproven: bool,
    /// How many rests whose length Google did not say came in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub refusals: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What is used and what is allowed, to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests in the last minute.
    pub requests: u64,
    /// Input tokens in the last minute.
    pub tokens: u64,
    /// Requests since midnight in California.
    pub today: u64,
    /// The limits in force.
    pub limits: Caps,
}

impl Window {
    /// When a request of so many tokens may be sent: now, or later for that reason. One that
    /// is larger than a whole minute's tokens fits when nothing else was sent, because its
    /// size is only an estimate; once Google has refused one of that size, [`NEVER`].
    pub fn opening(&mut self, at: Moment, caps: &Caps, tokens: u64) -> Opening {
        self.forget(at);
        let limits = self.limits(at.now, caps);
        let mut opening = Opening {
            until: at.now,
            reason: CooldownReason::Unexplained,
        };
        let mut shut = |until: Millis, reason| {
            if until > opening.until {
                opening = Opening { until, reason };
            }
        };
        if let Some(rest) = self.rest {
            shut(rest.until, rest.reason);
        }
        if [limits.rpm, limits.tpm, limits.rpd].contains(&Some(0)) {
            shut(at.now + TIER_REST_MS, CooldownReason::NotInTier);
            return opening;
        }
        if limits.rpd.is_some_and(|limit| self.today >= limit) {
            shut(at.day_ends, CooldownReason::PerDay);
        }
        if let Some(limit) = limits.rpm {
            let surplus = (self.requests + 1).saturating_sub(limit);
            let leaves = self.left_by(|sent| sent.requests, surplus);
            shut(leaves, CooldownReason::PerMinute);
        }
        if let Some(limit) = limits.tpm {
            let refused = believed(self.learned.prompt, at.now);
            // Google has refused it, whatever somebody else says of the limit.
            let told = believed(self.learned.tpm, at.now);
            let lowest = told.map_or(limit, |told| told.min(limit));
            if tokens > lowest && refused.is_some_and(|size| tokens >= size) {
                shut(NEVER, CooldownReason::TokensPerMinute);
            }
            let surplus = (self.tokens + tokens.min(limit)).saturating_sub(limit);
            let leaves = self.left_by(|sent| sent.tokens, surplus);
            shut(leaves, CooldownReason::TokensPerMinute);
        }
        opening
    }

    /// Notes that a request is sent with this key.
    pub fn send(&mut self, at: Moment, number: u64, key: i64, tokens: u64) {
        self.forget(at);
        self.today += 1;
        match self.by_key.iter_mut().find(|(known, _)| *known == key) {
            Some((_, today)) => *today += 1,
            None => self.by_key.push((key, 1)),
        }
        self.day_began.get_or_insert(number);
        self.requests += 1;
        self.tokens += tokens;
        let is_full = self.sent.len() >= MOST_SENT;
        match self.sent.back_mut().filter(|_| is_full) {
            Some(last) => {
                *last = Sent {
                    number,
                    key,
                    at: at.now,
                    requests: last.requests + 1,
                    tokens: last.tokens + tokens,
                };
            }
            None => self.sent.push_back(Sent {
                number,
                key,
                at: at.now,
                requests: 1,
                tokens,
            }),
        }
    }

    /// Notes that a request leaves only now: it had to wait after it was counted. Whether there is
    /// still room for it: others may have come meanwhile.
    pub fn leaves(
        &mut self,
        at: Moment,
        caps: &Caps,
        (number, key, tokens): (u64, i64, u64),
    ) -> bool {
        self.take_back(at, number, key);
        let fits = self.opening(at, caps, tokens).until <= at.now;
        self.send(at, number, key, tokens);
        fits
    }

    /// Notes how many tokens a request really had.
    pub fn correct(&mut self, number: u64, tokens: u64) {
        let found = self.sent.iter_mut().rfind(|sent| sent.number == number);
        if let Some(sent) = found.filter(|sent| sent.requests == 1) {
            self.tokens = self.tokens - sent.tokens + tokens;
            sent.tokens = tokens;
        }
    }

    /// Whether a request was sent since midnight.
    pub fn was_today(&mut self, at: Moment, number: u64) -> bool {
        self.forget(at);
        self.day_began.is_some_and(|first| number >= first)
    }

    /// Takes back a request with this key that Google has not counted.
    pub fn take_back(&mut self, at: Moment, number: u64, key: i64) {
        if self.was_today(at, number)
            && let Some((_, today)) = self.by_key.iter_mut().find(|(known, _)| *known == key)
            && *today > 0
        {
            *today -= 1;
            self.today -= 1;
        }
        let found = self.sent.iter().rposition(|sent| sent.number == number);
        let Some((place, sent)) = found.and_then(|place| Some((place, *self.sent.get(place)?)))
        else {
            return;
        };
        if sent.requests == 1 {
            self.sent.remove(place);
            self.requests -= 1;
            self.tokens -= sent.tokens;
        }
    }

    /// Notes a limit that Google has told.
    pub fn learn(&mut self, at: Moment, measure: Measure, value: u64) {
        let limit = Some(Limit {
            value,
            learned_at: at.now,
        });
        match measure {
            Measure::RequestsPerMinute => self.learned.rpm = limit,
            Measure::TokensPerMinute => self.learned.tpm = limit,
            Measure::RequestsPerDay => self.learned.rpd = limit,
        }
    }

    /// Notes that Google has refused a prompt of so many tokens, by the estimate here, because a
    /// minute allows only `limit`. Whether that is for its size alone: when anything else was sent in
    /// the last minute, it may have been for all of it. (An estimate can be twice what it should be.)
    pub fn refused_prompt(&mut self, at: Moment, tokens: u64, limit: u64) -> bool {
        self.forget(at);
        self.learn(at, Measure::TokensPerMinute, limit);
        let is_alone = self.tokens == 0 || tokens > limit.saturating_mul(3);
        if is_alone {
            let known = believed(self.learned.prompt, at.now);
            self.learned.prompt = Some(Limit {
                value: known.map_or(tokens, |known| known.min(tokens)),
                learned_at: at.now,
            });
        }
        is_alone
    }

    /// Sends nothing for a time that Google did not say: `first`, and twice as long each time it
    /// refuses again, up to `longest`.
    pub fn rest_longer_each_time(
        &mut self,
        now: Millis,
        (first, longest): (Millis, Millis),
        reason: CooldownReason,
    ) {
        // What was under way together is one refusal.
        if self.rest.is_none_or(|rest| rest.until <= now) {
            self.refusals = self.refusals.saturating_add(1);
        }
        let doubled = 1 << self.refusals.saturating_sub(1).min(30);
        let pause = first.saturating_mul(doubled).min(longest);
        let until = now.saturating_add(pause);
        self.rest(Opening { until, reason });
    }

    /// Sends nothing until then, and after that one request to see.
    pub fn rest(&mut self, rest: Opening) {
        if self.rest.is_none_or(|before| before.until < rest.until) {
            self.rest = Some(rest);
        }
        self.unproven = true;
    }

    /// Notes that a request went well. It ends no rest: it may have been under way before.
    pub fn went_well(&mut self, now: Millis) {
        if self.rest.is_none_or(|rest| rest.until <= now) {
            self.rest = None;
            self.unproven = false;
            self.refusals = 0;
        }
    }

    /// Whether only one request may be under way.
    pub fn is_on_trial(&self) -> bool {
        self.unproven
    }

    /// Forgets what Google has asked for, because somebody knows better. What was sent stays
    /// counted, and what was told is still believed.
    pub fn forgive(&mut self) {
        self.rest = None;
        self.unproven = false;
        self.refusals = 0;
    }

    /// Forgets the limits that Google told and that are met now, and the size of prompts that it has
    /// refused, because somebody wants to know whether they still hold: the next request is a trial.
    pub fn doubt_met_limits(&mut self, at: Moment) {
        self.forget(at);
        let limits = [
            (&mut self.learned.rpm, self.requests),
            (&mut self.learned.tpm, self.tokens),
            (&mut self.learned.rpd, self.today),
        ];
        for (limit, used) in limits {
            if limit.take_if(|limit| limit.value <= used).is_some() {
                self.unproven = true;
            }
        }
        self.unproven |= self.learned.prompt.take().is_some();
    }

    /// Whether nothing that is known of it counts any more.
    pub fn is_blank(&mut self, at: Moment) -> bool {
        self.forget(at);
        self.sent.is_empty()
            && self.today == 0
            && self.refusals == 0
            && self.rest.is_none_or(|rest| rest.until <= at.now)
            && self.limits(at.now, &Caps::default()) == Caps::default()
    }

    /// Whether the model was asked for today, or rests.
    pub fn was_asked(&self) -> bool {
        self.today > 0 || self.rest.is_some()
    }

    /// What is used and what is allowed.
    pub fn used(&mut self, at: Moment, caps: &Caps) -> Used {
        self.forget(at);
        Used {
            requests: self.requests,
            tokens: self.tokens,
            today: self.today,
            limits: self.limits(at.now, caps),
        }
    }

    /// What is known of these keys' requests, with what is known of their project.
    pub fn part(&self, has: impl Fn(i64) -> bool) -> Self {
        let mut part = self.clone();
        part.sent.retain(|sent| has(sent.key));
        part.by_key.retain(|(key, _)| has(*key));
        part.add_up();
        part
    }

    /// Adds what is known of another: both turned out to be the same project. What both know of
    /// a key's requests is counted once.
    pub fn merge(&mut self, other: Self) {
        let newer = |a: Option<Limit>, b: Option<Limit>| match (a, b) {
            (Some(a), Some(b)) if b.learned_at > a.learned_at => Some(b),
            (a, b) => a.or(b),
        };
        let known: Vec<i64> = self.sent.iter().map(|sent| sent.key).collect();
        let new = other.sent.into_iter();
        let new = new.filter(|sent| !known.contains(&sent.key));
        let mut sent: Vec<Sent> = self.sent.drain(..).chain(new).collect();
        sent.sort_by_key(|sent| sent.at);
        self.sent = sent.into();
        match self.day_ends.cmp(&other.day_ends) {
            std::cmp::Ordering::Equal => {
                for (key, today) in other.by_key {
                    match self.by_key.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, known)) => *known = today.max(*known),
                        None => self.by_key.push((key, today)),
                    }
                }
                let both = [self.day_began, other.day_began].into_iter().flatten();
                self.day_began = both.min();
            }
            std::cmp::Ordering::Less => {
                (self.day_ends, self.by_key) = (other.day_ends, other.by_key);
                self.day_began = other.day_began;
            }
            std::cmp::Ordering::Greater => {}
        }
        self.add_up();
        self.learned = Learned {
            rpm: newer(self.learned.rpm, other.learned.rpm),
            tpm: newer(self.learned.tpm, other.learned.tpm),
            rpd: newer(self.learned.rpd, other.learned.rpd),
            prompt: newer(self.learned.prompt, other.learned.prompt),
        };
        if let Some(rest) = other.rest {
            self.rest(rest);
        }
        self.unproven |= other.unproven;
        self.refusals = self.refusals.max(other.refusals);
    }

    /// Calls each key as `now` says.
    pub fn rename(&mut self, now: impl Fn(i64) -> i64) {
        for sent in &mut self.sent {
            sent.key = now(sent.key);
        }
        for (key, today) in std::mem::take(&mut self.by_key) {
            let key = now(key);
            match self.by_key.iter_mut().find(|(known, _)| *known == key) {
                Some((_, sum)) => *sum += today,
                None => self.by_key.push((key, today)),
            }
        }
    }

    fn add_up(&mut self) {
        self.requests = self.sent.iter().map(|sent| sent.requests).sum();
        self.tokens = self.sent.iter().map(|sent| sent.tokens).sum();
        self.today = self.by_key.iter().map(|(_, today)| today).sum();
    }

    /// What is to be kept with a key over a restart: its own requests and, with the first key of
    /// a project, what is known of that. `None`: nothing.
    pub fn saved(
        &mut self,
        (model, caps): (&str, &Caps),
        at: Moment,
        key: i64,
        is_first: bool,
    ) -> Option<SavedWindow> {
        if self.is_blank(at) {
            return None;
        }
        let of_key = self.by_key.iter().find(|(known, _)| *known == key);
        let today = of_key.map_or(0, |(_, today)| *today);
        // Without limits, nobody will ask what was sent in the last minute.
        let limits = self.limits(at.now, caps);
        let is_counted = limits.rpm.is_some() || limits.tpm.is_some();
        let sent = self.sent.iter();
        let sent: Vec<_> = sent
            .filter(|sent| is_counted && sent.key == key)
            .map(|sent| (sent.at, sent.requests, sent.tokens))
            .collect();
        if !is_first && today == 0 && sent.is_empty() {
            return None;
        }
        Some(SavedWindow {
            model: model.to_owned(),
            day_ends: self.day_ends,
            today,
            sent,
            learned: if is_first {
                self.learned
            } else {
                Learned::default()
            },
            rest: self.rest.filter(|_| is_first),
            unproven: self.unproven && is_first,
            refusals: if is_first { self.refusals } else { 0 },
        })
    }

    /// What was kept of one with this key.
    pub fn restored(saved: SavedWindow, key: i64) -> Self {
        let sent = saved.sent.into_iter();
        let sent = sent.map(|(at, requests, tokens)| Sent {
            number: u64::MAX,
            key,
            at,
            requests,
            tokens,
        });
        let mut window = Self {
            sent: sent.collect(),
            day_ends: saved.day_ends,
            by_key: Vec::from_iter((saved.today > 0).then_some((key, saved.today))),
            learned: saved.learned,
            rest: saved.rest,
            unproven: saved.unproven,
            refusals: saved.refusals,
            ..Self::default()
        };
        window.add_up();
        window
    }

    /// The limits that Google has told lately.
    pub fn told(&self, now: Millis) -> Caps {
        self.limits(now, &Caps::default())
    }

    /// How many requests are left today, by what was known last: a limit that is not believed any
    /// more is a good guess all the same. Only after [`Window::opening`].
    pub fn left_today(&self, caps: &Caps) -> Option<u64> {
        let told = self.learned.rpd.map(|limit| limit.value);
        let limit = caps.rpd.or(told)?;
        Some(limit.saturating_sub(self.today))
    }

    /// Whether no more than half of the requests of a day are used, as far as a limit is known.
    /// Only after [`Window::opening`].
    pub fn has_half_of_its_day(&self, caps: &Caps) -> bool {
        let told = self.learned.rpd.map(|limit| limit.value);
        let limit = caps.rpd.or(told);
        limit.is_none_or(|limit| self.today.saturating_mul(2) <= limit)
    }

    /// Whether one of the limits in which Google is not believed any more would be met now.
    pub fn is_at_old_limit(&self) -> bool {
        let is = |limit: Option<Limit>, used: u64| limit.is_some_and(|limit| limit.value == used);
        is(self.learned.rpm, self.requests) || is(self.learned.rpd, self.today)
    }

    /// The limits in force: the user's, else what Google has told lately.
    pub fn limits(&self, now: Millis, caps: &Caps) -> Caps {
        let told = |limit: Option<Limit>| believed(limit, now);
        Caps {
            rpm: caps.rpm.or_else(|| told(self.learned.rpm)),
            tpm: caps.tpm.or_else(|| told(self.learned.tpm)),
            rpd: caps.rpd.or_else(|| told(self.learned.rpd)),
        }
    }

    /// Drops what no longer counts.
    fn forget(&mut self, at: Moment) {
        if self
            .rest
            .is_none_or(|rest| rest.until + REFUSALS_KEPT_MS <= at.now)
        {
            self.refusals = 0;
        }
        while let Some(first) = self.sent.front()
            && first.at + MINUTE_MS + MARGIN_MS <= at.now
        {
            self.requests -= first.requests;
            self.tokens -= first.tokens;
            self.sent.pop_front();
        }
        if self.day_ends != at.day_ends {
            self.day_ends = at.day_ends;
            self.today = 0;
            self.by_key.clear();
            self.day_began = None;
        }
    }

    /// When so much of what `part` counts has left the last minute; 0 for nothing.
    fn left_by(&self, part: impl Fn(&Sent) -> u64, surplus: u64) -> Millis {
        let mut left = 0;
        self.sent
            .iter()
            .find(|sent| {
                left += part(sent);
                left >= surplus
            })
            .filter(|_| surplus > 0)
            .map_or(0, |sent| sent.at + MINUTE_MS + MARGIN_MS)
    }
}

/// What Google has told lately.
fn believed(limit: Option<Limit>, now: Millis) -> Option<u64> {
    limit
        .filter(|limit| now.saturating_sub(limit.learned_at) < LIMIT_KEPT_MS)
        .map(|limit| limit.value)
}
