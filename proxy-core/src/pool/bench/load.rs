//! What comes to the pool, and what nobody could get more out of.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use contract::Millis;

use super::super::day::next_midnight;
use super::google::Quota;

/// 2026-11-20T08:00:00Z, midnight in California.
pub(super) const BEGIN: Millis = 1_795_161_600_000;
const HOUR: Millis = 3_600_000;
/// How long a request waits for a key.
pub(super) const PATIENCE: Millis = 30_000;
/// How long a call travels to Google at most.
pub(super) const TRAVELS: Millis = 120;
/// How long after its arrival a request may be counted by Google.
pub(super) const HELD: Millis = PATIENCE + TRAVELS;

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// At any time, day and night.
    Steady,
    /// In working hours, many at once.
    Bursts,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) at: Millis,
    pub(super) tokens: u64,
    /// What is thought that it has.
    pub(super) estimate: u64,
}

/// Requests by when they come, and what goes wrong meanwhile.
pub(super) struct Load {
    pub(super) requests: Vec<Request>,
    /// From when to when Google answers nobody.
    pub(super) outages: Vec<(Millis, Millis)>,
    /// When the first key is suspended.
    pub(super) suspended_at: Millis,
    /// Of how many calls one meets a 503; 0: none.
    pub(super) one_overloaded_in: u64,
}

/// A sequence that looks random (xorshift64*).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % most.max(1)
    }

    pub(super) fn time(&mut self, most: Millis) -> Millis {
        i64::try_from(self.below(most.unsigned_abs())).unwrap()
    }
}

impl Load {
    pub(super) fn new(
        shape: Shape,
        quotas: &[Quota],
        share: f64,
        days: i64,
        faults: bool,
        seed: u64,
    ) -> Self {
        let mut any = Numbers::new(seed);
        let a_day: u64 = quotas.iter().map(|quota| u64::from(quota.rpd)).sum();
        let a_day = (a_day as f64 * share) as u64;
        // Requests that come together: what the pool can take in a minute, more or less.
        let together = (quotas.len() as u64 * u64::from(quotas[0].rpm)).clamp(4, 400);
        let mut times = Vec::new();
        for day in 0..days {
            let midnight = BEGIN + day * 24 * HOUR;
            let mut left = a_day;
            while left > 0 {
                let (count, from) = match shape {
                    Shape::Steady => (1, midnight + any.time(24 * HOUR)),
                    Shape::Bursts => {
                        let count = 1 + any.below(together);
                        (count.min(left), midnight + 9 * HOUR + any.time(10 * HOUR))
                    }
                };
                for _ in 0..count {
                    times.push(from + any.time(10_000));
                }
                left -= count;
            }
        }
        times.sort_unstable();
        let requests = times
            .into_iter()
            .map(|at| {
                let tokens = match any.below(20) {
                    0 => 20_000 + any.below(40_000),
                    _ => 200 + any.below(6_000),
                };
                // From three quarters to five quarters of what it is.
                let estimate = tokens * (75 + any.below(50)) / 100;
                Request {
                    at,
                    tokens,
                    estimate,
                }
            })
            .collect();
        let outages = match faults {
            true => (0..days * 4)
                .map(|_| {
                    let from = BEGIN + any.time(days * 24 * HOUR);
                    (from, from + 60_000)
                })
                .collect(),
            false => Vec::new(),
        };
        Self {
            requests,
            outages,
            suspended_at: match faults {
                true => BEGIN + 30 * HOUR,
                false => Millis::MAX,
            },
            one_overloaded_in: if faults { 50 } else { 0 },
        }
    }

    pub(super) fn is_out(&self, now: Millis) -> bool {
        self.outages
            .iter()
            .any(|(from, to)| (*from..*to).contains(&now))
    }

    /// How many could be served at most, by the day on which Google counts them.
    ///
    /// Of any plan that knows everything in advance: whichever projects are set apart, on one day
    /// these serve no more than their requests a day, and the others no more than
    /// [`Load::served_by`] so many servers without a limit for the day. The least of those sums
    /// bounds the plan, and it is enough to set apart those with the fewest requests a day: all
    /// projects have the same requests a minute, so any others would give a larger sum. Tokens do
    /// not count, nor does what has to be learned, nor that a request near midnight is served on
    /// one of two days only; each of these can only lower what is possible.
    pub(super) fn bound(&self, quotas: &[Quota]) -> BTreeMap<Millis, u64> {
        let mut by_day: Vec<Quota> = quotas.to_vec();
        by_day.sort_by_key(|quota| quota.rpd);
        let mut bound = BTreeMap::new();
        let mut begins = BEGIN;
        while self
            .requests
            .last()
            .is_some_and(|last| begins <= last.at + HELD)
        {
            let ends = next_midnight(begins).unwrap();
            let mut least = u64::MAX;
            for apart in 0..=by_day.len() {
                let differs = apart == 0
                    || apart == by_day.len()
                    || by_day[apart - 1].rpd != by_day[apart].rpd;
                if differs {
                    let (apart, others) = by_day.split_at(apart);
                    let pot: u64 = apart.iter().map(|quota| u64::from(quota.rpd)).sum();
                    let servers = others.iter().map(|quota| u64::from(quota.rpm)).sum();
                    least = least.min(pot + self.served_by(servers, begins, ends));
                }
            }
            bound.insert(ends, least);
            begins = ends;
        }
        bound
    }

    /// How many so many servers could begin to serve within a day, each of which is busy for a
    /// minute: as a project is that may be asked so many times in any sixty seconds.
    ///
    /// All are busy for the same time, and whoever came first has to be served first, so that
    /// first come, first served is best: by induction, the k-th that it serves came no later than
    /// the k-th of any other plan (that one is still there to be chosen), and begins no later.
    fn served_by(&self, servers: u64, begins: Millis, ends: Millis) -> u64 {
        let mut free: BinaryHeap<Reverse<Millis>> = (0..servers).map(|_| Reverse(begins)).collect();
        let mut served = 0;
        for request in &self.requests {
            let Some(Reverse(from)) = free.peek().copied() else {
                break;
            };
            let mut start = request.at.max(from);
            while let Some((_, to)) = self.outages.iter().find(|(a, b)| (*a..*b).contains(&start)) {
                start = *to;
            }
            if start > request.at + HELD || start >= ends {
                continue;
            }
            served += 1;
            free.pop();
            free.push(Reverse(start + 60_000));
        }
        served
    }
}
