//! What the pool gets out of a set of keys, and what a choice costs. Run by
//! `cargo xtask bench --only pool`, which says where the report goes.

mod google;
mod load;
mod play;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::ops::RangeBounds;
use std::time::Duration;

use contract::Millis;
use contract::admin::{CooldownReason, KeyRules};
use tokio::time::Instant;

use super::tests::{Made, want};
use super::*;
use google::Quota;
use load::{Load, Shape};
use play::{Played, Policy};

/// What Google gives for nothing, but for the requests a day.
const FREE: Quota = Quota {
    rpm: 10,
    tpm: 250_000,
    rpd: 0,
};
/// Days that are played: one more than a limit is believed that Google has told, so that all have
/// to be learned twice. What is wasted is counted from the second on.
const DAYS: i64 = 8;
/// Keys of the pool whose choices are measured, and how many of them cool down.
const KEYS: usize = 10_000;
const COOLING: usize = 9_900;
/// Choices that are measured, so many times.
const CHOICES: u32 = 200_000;
const RUNS: u32 = 3;
/// What one may take at most, with those that cool down.
const MOST: Duration = Duration::from_micros(2);

/// One pool and what comes to it.
struct Case {
    name: &'static str,
    projects: usize,
    /// Requests a day of each, in turn.
    rpd: &'static [u32],
    shape: Shape,
    /// Requests in proportion to all that the pool may send.
    share: f64,
    faults: bool,
}

const CASES: [Case; 9] = [
    case("1 project, 20 a day, steady", 1, &[20], Shape::Steady, 1.5),
    case(
        "1 project, 500 a day, bursts",
        1,
        &[500],
        Shape::Bursts,
        1.0,
    ),
    case(
        "5 projects, 20 to 500 a day, steady",
        5,
        &[20, 100, 250, 500],
        Shape::Steady,
        0.8,
    ),
    case(
        "5 projects, 20 to 500 a day, bursts",
        5,
        &[20, 100, 250, 500],
        Shape::Bursts,
        1.2,
    ),
    case(
        "20 projects, 250 a day, steady",
        20,
        &[250],
        Shape::Steady,
        1.1,
    ),
    case(
        "100 projects, 20 to 500 a day, bursts",
        100,
        &[20, 100, 250, 500],
        Shape::Bursts,
        1.0,
    ),
    case(
        "100 projects, 20 a day, bursts",
        100,
        &[20],
        Shape::Bursts,
        1.5,
    ),
    case(
        "500 projects, 20 to 500 a day, bursts",
        500,
        &[20, 100, 250, 500],
        Shape::Bursts,
        0.9,
    ),
    Case {
        faults: true,
        ..case(
            "20 projects, 100 a day, bursts; 503s, a minute's outages, a key suspended",
            20,
            &[100],
            Shape::Bursts,
            0.9,
        )
    },
];

const fn case(
    name: &'static str,
    projects: usize,
    rpd: &'static [u32],
    shape: Shape,
    share: f64,
) -> Case {
    Case {
        name,
        projects,
        rpd,
        shape,
        share,
        faults: false,
    }
}

impl Case {
    fn quotas(&self) -> Vec<Quota> {
        (0..self.projects)
            .map(|at| Quota {
                rpd: self.rpd[at % self.rpd.len()],
                ..FREE
            })
            .collect()
    }
}

/// How long one choice takes, its settling and its end included: on average, with so many
/// keys cooling down.
fn choice(keys: usize, cooling: usize) -> Duration {
    let made = Made::with(vec![KeyRules::default(); keys]);
    for _ in 0..cooling {
        let picked = made.pool.pick(&want("m", 0)).unwrap();
        let over = Outcome::Quota {
            reason: CooldownReason::PerDay,
            limits: Limits::default(),
            retry_after: None,
        };
        made.settle(&picked, over);
    }
    let begun = Instant::now();
    for _ in 0..CHOICES {
        black_box(made.pool.pick(&want("m", 500)).unwrap());
    }
    begun.elapsed() / CHOICES
}

/// What came of a case by one policy, and what could have.
struct Outlook {
    asked: usize,
    played: Played,
    /// At most, by day.
    bound: BTreeMap<Millis, u64>,
}

impl Outlook {
    fn of(case: &Case, policy: Policy, seed: u64) -> Self {
        let quotas = case.quotas();
        let load = Load::new(case.shape, &quotas, case.share, DAYS, case.faults, seed);
        Self {
            asked: load.requests.len(),
            played: play::play(policy, &quotas, &load),
            bound: load.bound(&quotas),
        }
    }

    /// What was served of what could have been, on these days, in percent.
    fn share(&self, days: impl RangeBounds<usize>) -> f64 {
        let is_in = |day: usize| days.contains(&day);
        let (mut served, mut bound) = (0, 0);
        for (day, (ends, most)) in self.bound.iter().enumerate() {
            let here = self.played.by_day.get(ends).copied().unwrap_or_default();
            assert!(self.played.late > 0 || here <= *most, "{here} of {most}");
            served += if is_in(day) { here } else { 0 };
            bound += if is_in(day) { *most } else { 0 };
        }
        100.0 * served as f64 / bound.max(1) as f64
    }

    /// What was wasted of all calls from the second day on, in percent.
    fn wasted(&self) -> f64 {
        100.0 * self.played.refused as f64 / self.played.calls.max(1) as f64
    }

    /// Fails when the pool does not do what it is to do.
    fn check(&self, case: &Case) {
        let (share, wasted, name) = (self.share(..), self.wasted(), case.name);
        assert_eq!(
            self.played.foreseeable, 0,
            "{name}: met a limit that was known"
        );
        assert!(
            wasted <= 0.5,
            "{name}: {wasted:.2} % of the calls are wasted"
        );
        assert!(
            case.faults || share >= 99.0,
            "{name}: {share:.2} % of what is possible"
        );
        assert!(
            case.faults || self.played.late == 0,
            "{name}: sent too late"
        );
    }
}

fn report() -> String {
    let mut text = String::from(
        "# What the pool gets out of its keys\n\n\
         Written by `cargo xtask bench --only pool`. The real pool on a clock that is moved by \
         hand, against a Google that counts as Google does (requests and tokens over the last \
         sixty seconds, requests since midnight in California, by when a request arrives there). \
         Eight days of load each; nothing is known at the beginning, and what was learned on the \
         first day is believed for a week, so that it has to be learned again on the last. A \
         request waits for a key for 30 seconds at most and is tried three times, as by default.\n\n\
         *Of the bound*: of what nobody can exceed who knows all arrivals and limits in advance, by \
         the day. (Whichever projects are set apart, they serve no more than their requests a \
         day, and the others no more than first come, first served on as many servers as they have \
         requests a minute, each busy for a minute; the least of these sums is the bound. \
         `proxy-core/src/pool/bench/load.rs` says why.) On the *first day* nobody can know which \
         project has how much, so that those with little are used up before they are needed most; \
         *then* are the other days. *Wasted*: calls that Google refused with 429, of all calls, \
         from the second day on; none of the pool's was for a number of requests or tokens that was \
         known to be the limit. *Wait*: the median and the 99th percentile of what those that were \
         answered waited for a key. Round robin takes the next key for each of three tries; \
         counting failures is that without keys that failed three times since the last full \
         hour.\n\n\
         The run fails when the pool serves less than 99 % of the bound in a case without faults, \
         wastes more than 0.5 % of its calls, or meets a limit that is known.\n\n\
         | pool and load | asked | served | of the bound | first day | then | wasted | wait p50 | p99 |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (seed, case) in CASES.iter().enumerate() {
        for (policy, name) in [
            (Policy::Pool, case.name),
            (Policy::RoundRobin, "· round robin"),
            (Policy::CountingFailures, "· counting failures"),
        ] {
            let result = Outlook::of(case, policy, seed as u64 + 1);
            if policy == Policy::Pool {
                result.check(case);
            }
            let seconds = |time: Millis| format!("{:.1} s", time as f64 / 1_000.0);
            writeln!(
                text,
                "| {name} | {} | {} | **{:.2} %** | {:.2} % | {:.2} % | {:.2} % | {} | {} |",
                result.asked,
                result.played.served,
                result.share(..),
                result.share(..1),
                result.share(1..),
                result.wasted(),
                seconds(result.played.wait(0.5)),
                seconds(result.played.wait(0.99)),
            )
            .unwrap();
        }
    }
    writeln!(
        text,
        "\n## What a choice costs\n\nChoosing, counting and letting go, on one core; the best of {RUNS} \
         runs of {CHOICES} choices each. The run fails at {} µs with {KEYS} keys of which {COOLING} \
         cool down.\n\n\
         | keys | cooling down | per choice |\n|--:|--:|--:|",
        MOST.as_micros()
    )
    .unwrap();
    for (keys, cooling) in [(10, 0), (100, 0), (KEYS, 0), (KEYS, COOLING)] {
        let runs = (0..RUNS).map(|_| choice(keys, cooling));
        let took = runs.min().unwrap();
        let is_measured = cooling > 0 && !cfg!(debug_assertions);
        assert!(!is_measured || took < MOST, "a choice takes {took:?}");
        writeln!(
            text,
            "| {keys} | {cooling} | {:.2} µs |",
            took.as_nanos() as f64 / 1_000.0
        )
        .unwrap();
    }
    text
}

#[test]
#[ignore = "a measurement: cargo xtask bench --only pool"]
fn pool_report() {
    let text = report();
    if let Ok(path) = std::env::var("GB_BENCH_POOL") {
        std::fs::write(path, &text).unwrap();
    }
    println!("{text}");
}

#[test]
fn the_pool_wastes_next_to_nothing_and_serves_next_to_all() {
    for (seed, case) in CASES.iter().enumerate() {
        // The larger ones take too long without optimisation.
        if case.projects <= 20 {
            Outlook::of(case, Policy::Pool, seed as u64 + 1).check(case);
        }
    }
}
