//! Plays a load, event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use contract::Millis;
use contract::admin::{KeyRules, RejectReason};

use super::super::day::next_midnight;
use super::super::tests::Made;
use super::super::{Asked, Outcome, Picked, Retry, Waiting, Want};
use super::google::{Project, Quota};
use super::load::{BEGIN, HELD, Load, Numbers, PATIENCE, TRAVELS};

/// Attempts of one request that count, as by default.
const ATTEMPTS: u32 = 3;
/// All attempts of one request.
const MOST_TRIES: u32 = 32;
/// How long a limit is believed that Google has told.
const BELIEVED: Millis = 7 * 24 * 3_600_000;

/// Who chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Pool,
    RoundRobin,
    CountingFailures,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Played {
    pub(super) served: usize,
    /// By the day on which Google counted them.
    pub(super) by_day: BTreeMap<Millis, u64>,
    /// Those of them that were sent when their patience was over, after a failure.
    pub(super) late: usize,
    /// Calls from the second day on.
    pub(super) calls: usize,
    /// Those of them that Google refused with 429.
    pub(super) refused: usize,
    /// Refusals for a limit that was known when the call left.
    pub(super) foreseeable: usize,
    waits: Vec<Millis>,
}

impl Played {
    /// How long this share of those that were answered waited at most.
    pub(super) fn wait(&self, share: f64) -> Millis {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let at = (waits.len() as f64 * share) as usize;
        waits.get(at).or(waits.last()).copied().unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// It comes, or is tried again.
    Ask,
    /// Its call arrives at Google.
    Arrives,
    /// It is known how the call goes.
    Ends,
    /// Its answer is complete.
    Complete,
    /// Its patience ends.
    GivesUp,
    /// Something opens for those that wait.
    Opens,
}

type Event = Reverse<(Millis, u64, What, usize)>;

/// One request while it is played.
#[derive(Default)]
struct Going {
    counted: u32,
    tries: u32,
    picked: Option<Picked>,
    /// Google has told how many tokens it had.
    is_told: bool,
    waiting: Option<Waiting>,
    project: usize,
    outcome: Option<Outcome>,
    rather_not: Vec<i64>,
    /// What was known to be sent to its project in the minute before it.
    tokens_before: u64,
    asked_at: Millis,
    sent_at: Millis,
    waited: Millis,
    over: bool,
}

pub(super) fn play(policy: Policy, quotas: &[Quota], load: &Load) -> Played {
    let made = Made::with(vec![KeyRules::default(); quotas.len()]);
    made.at(BEGIN);
    let mut world = World {
        policy,
        made,
        google: quotas.iter().map(|quota| Project::new(*quota)).collect(),
        load,
        any: Numbers::new(99),
        events: BinaryHeap::new(),
        number: 0,
        going: load.requests.iter().map(|_| Going::default()).collect(),
        queue: Vec::new(),
        opens_at: 0,
        next: 0,
        failures: vec![(0, 0); quotas.len()],
        told: vec![[None; 3]; quotas.len()],
        sent: vec![VecDeque::new(); quotas.len()],
        played: Played::default(),
    };
    for (at, request) in load.requests.iter().enumerate() {
        world.later(request.at, What::Ask, at);
    }
    while let Some(Reverse((now, _, what, at))) = world.events.pop() {
        world.made.at(now);
        world.happens(now, what, at);
        world.hand_out(now);
    }
    world.played
}

struct World<'a> {
    policy: Policy,
    made: Made,
    google: Vec<Project>,
    load: &'a Load,
    any: Numbers,
    events: BinaryHeap<Event>,
    number: u64,
    going: Vec<Going>,
    /// Who waits, in their order.
    queue: Vec<usize>,
    /// When something opens next, as far as that is noted.
    opens_at: Millis,
    /// Whose turn it is, without the pool.
    next: usize,
    /// How often each key failed, and in which hour.
    failures: Vec<(u32, Millis)>,
    /// When each project's limits were told last: requests and tokens a minute, requests a day.
    told: Vec<[Option<Millis>; 3]>,
    /// What was sent to each project in the last minute and not refused: when, and which request.
    sent: Vec<VecDeque<(Millis, usize)>>,
    played: Played,
}

impl World<'_> {
    fn later(&mut self, at: Millis, what: What, which: usize) {
        self.number += 1;
        self.events.push(Reverse((at, self.number, what, which)));
    }

    fn happens(&mut self, now: Millis, what: What, at: usize) {
        match what {
            What::Ask => self.ask(now, at),
            What::Arrives => self.arrives(now, at),
            What::Ends => self.ends(now, at),
            What::Complete => {
                self.going[at].is_told = true;
                if let Some(picked) = self.going[at].picked.take() {
                    picked.had_tokens(self.load.requests[at].tokens);
                }
            }
            What::GivesUp => {
                if self.going[at].waiting.take().is_some() {
                    self.going[at].over = true;
                    self.queue.retain(|other| *other != at);
                }
            }
            What::Opens => {}
        }
    }

    fn ask(&mut self, now: Millis, at: usize) {
        let request = self.load.requests[at];
        let going = &mut self.going[at];
        going.tries += 1;
        going.asked_at = now;
        if self.policy != Policy::Pool {
            let project = self.in_turn(now);
            self.going[at].project = project;
            return self.send(now, at);
        }
        let want = Want {
            rather_not: &going.rather_not,
            ..Want::any("m", request.estimate)
        };
        match self.made.pool.ask(&want, request.at + PATIENCE) {
            Ok(Asked::Now(picked)) => {
                self.going[at].picked = Some(picked);
                self.send(now, at);
            }
            Ok(Asked::Queued(waiting)) => {
                self.going[at].waiting = Some(waiting);
                self.queue.push(at);
                self.later(request.at + PATIENCE, What::GivesUp, at);
            }
            Err(_) => self.going[at].over = true,
        }
    }

    /// The next key without the pool.
    fn in_turn(&mut self, now: Millis) -> usize {
        let hour = now / 3_600_000;
        let count = self.google.len();
        for _ in 0..count {
            let project = self.next % count;
            self.next += 1;
            let (failures, of_hour) = self.failures[project];
            let is_good = self.policy == Policy::RoundRobin || failures < 3 || of_hour != hour;
            if is_good {
                return project;
            }
        }
        self.next += 1;
        self.next % count
    }

    fn send(&mut self, now: Millis, at: usize) {
        let travels = 20 + self.any.time(TRAVELS - 20);
        let going = &mut self.going[at];
        going.waited += now - going.asked_at;
        going.sent_at = now;
        if let Some(picked) = &going.picked {
            picked.sent();
            going.project = usize::try_from(picked.id()).unwrap();
        }
        let project = going.project;
        self.going[at].tokens_before = self.known_tokens(project, now);
        self.sent[project].push_back((now, at));
        self.later(now + travels, What::Arrives, at);
    }

    /// How many tokens were sent to a project in the last minute, by what is known.
    fn known_tokens(&mut self, project: usize, now: Millis) -> u64 {
        let sent = &mut self.sent[project];
        while sent.front().is_some_and(|(at, _)| at + 60_000 <= now) {
            sent.pop_front();
        }
        let tokens = sent.iter().map(|(_, at)| match self.going[*at].is_told {
            true => self.load.requests[*at].tokens,
            false => self.load.requests[*at].estimate,
        });
        tokens.sum()
    }

    fn arrives(&mut self, now: Millis, at: usize) {
        let request = self.load.requests[at];
        let project = self.going[at].project;
        let is_unlucky =
            self.load.one_overloaded_in > 0 && self.any.below(self.load.one_overloaded_in) == 0;
        let outcome = if project == 0 && now >= self.load.suspended_at {
            Outcome::KeyRefused(RejectReason::Suspended)
        } else if self.load.is_out(now) || is_unlucky {
            Outcome::Overloaded
        } else {
            match self.google[project].admit(now, request.tokens) {
                Ok(()) => {
                    *self
                        .played
                        .by_day
                        .entry(next_midnight(now).unwrap())
                        .or_default() += 1;
                    self.played.late += usize::from(now > request.at + HELD);
                    Outcome::Answered
                }
                Err(over) => over,
            }
        };
        if now >= BEGIN + 24 * 3_600_000 {
            self.played.calls += 1;
            self.played.refused += usize::from(matches!(outcome, Outcome::Quota { .. }));
        }
        let sent_at = self.going[at].sent_at;
        let is_known = |told: &Option<Millis>| {
            told.is_some_and(|told| told <= sent_at && sent_at - told < BELIEVED)
        };
        if let Outcome::Quota { limits, .. } = outcome {
            let [rpm, tpm, rpd] = &self.told[project];
            // That a request has more than was thought, nobody knows before.
            let fits = |limit: u32| {
                let limit = u64::from(limit);
                self.going[at].tokens_before + request.estimate.min(limit) <= limit
            };
            let is_known = (limits.rpm.is_some() && is_known(rpm))
                || (limits.tpm.is_some_and(|limit| !fits(limit)) && is_known(tpm))
                || (limits.rpd.is_some() && is_known(rpd));
            self.played.foreseeable += usize::from(is_known);
        }
        if outcome != Outcome::Answered {
            self.sent[project].retain(|(_, other)| *other != at);
        }
        self.going[at].outcome = Some(outcome);
        let takes = match outcome {
            Outcome::Answered => 800 + self.any.time(3_000),
            _ => 40 + self.any.time(60),
        };
        self.later(now + takes, What::Ends, at);
    }

    fn ends(&mut self, now: Millis, at: usize) {
        let outcome = self.going[at].outcome.take().unwrap();
        if let Outcome::Quota { limits, .. } = outcome {
            let [rpm, tpm, rpd] = &mut self.told[self.going[at].project];
            *rpm = limits.rpm.map(|_| now).or(*rpm);
            *tpm = limits.tpm.map(|_| now).or(*tpm);
            *rpd = limits.rpd.map(|_| now).or(*rpd);
        }
        let pause = match &self.going[at].picked {
            Some(picked) => self.made.settle(picked, outcome).pause,
            None => std::time::Duration::ZERO,
        };
        if outcome == Outcome::Answered {
            self.played.served += 1;
            let waited = self.going[at].waited;
            self.played.waits.push(waited);
            self.going[at].over = true;
            let streams = self.any.time(8_000);
            return self.later(now + streams, What::Complete, at);
        }
        let consequence = outcome.consequence();
        let going = &mut self.going[at];
        match self.policy {
            Policy::Pool => going.counted += u32::from(consequence.counts),
            Policy::RoundRobin | Policy::CountingFailures => {
                going.counted += 1;
                let hour = now / 3_600_000;
                let failures = &mut self.failures[going.project];
                *failures = match failures.1 == hour {
                    true => (failures.0 + 1, hour),
                    false => (1, hour),
                };
            }
        }
        if consequence.retry == Retry::AnyKey {
            going
                .rather_not
                .extend(going.picked.as_ref().map(Picked::id));
        }
        going.picked = None;
        if going.counted >= ATTEMPTS || going.tries >= MOST_TRIES {
            going.over = true;
            return;
        }
        let pause = i64::try_from(pause.as_millis()).unwrap();
        self.later(now + pause, What::Ask, at);
    }

    /// Sends those that were given a key, and notes when something opens for the others.
    fn hand_out(&mut self, now: Millis) {
        if self.queue.is_empty() {
            return;
        }
        let opens = self.made.pool.serve("m");
        let queue = std::mem::take(&mut self.queue);
        for at in queue {
            let given = self.going[at].waiting.as_mut().and_then(Waiting::take);
            match given {
                Some(picked) => {
                    self.going[at].waiting = None;
                    self.going[at].picked = Some(picked);
                    self.send(now, at);
                }
                None => self.queue.push(at),
            }
        }
        let opens = opens.map(|opens| opens.max(now + 1));
        if let Some(opens) = opens.filter(|opens| *opens != self.opens_at && !self.queue.is_empty())
        {
            self.opens_at = opens;
            self.later(opens, What::Opens, 0);
        }
    }
}
