//! What the pool gets out of a set of keys, and what a choice costs. Run by
//! `cargo xtask bench --only pool`, which says where the report goes.

mod google;
mod load;
mod play;

use std::fmt::Write as _;
use std::hint::black_box;
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
/// Days that are played. What is wasted is counted from the second on: then the limits are known.
const DAYS: i64 = 3;
/// Keys of the pool whose choices are measured, and how many of them cool down.
const KEYS: usize = 10_000;
const COOLING: usize = 9_900;
/// Choices that are measured.
const CHOICES: u32 = 200_000;

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

fn report() -> String {
    let mut text = String::from(
        "# What the pool gets out of its keys\n\n\
         Written by `cargo xtask bench --only pool`. The real pool on a clock that is moved by \
         hand, against a Google that counts as Google does (requests and tokens over the last \
         sixty seconds, requests since midnight in California, by when a request arrives there). \
         Three days of load each; nothing is known at the beginning. A request waits for a key \
         for 30 seconds at most and is tried three times, as by default.\n\n\
         *Bound*: what nobody can exceed who knows all arrivals and limits in advance (no better is \
         known than: whichever projects are set apart, these serve no more than their requests a \
         day, and the others no more than their requests a minute allow). *Wasted*: \
         calls that Google refused with 429, of all calls, from the second day on. *Wait*: the \
         median and the 99th percentile of what those that were answered waited for a key. Round \
         robin takes the next key for each of three tries; counting failures is that without keys \
         that failed three times since the last full hour.\n\n\
         | pool and load | | served | of the bound | wasted | wait p50 | p99 |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for (seed, case) in CASES.iter().enumerate() {
        let quotas = case.quotas();
        let load = Load::new(
            case.shape,
            &quotas,
            case.share,
            DAYS,
            case.faults,
            seed as u64 + 1,
        );
        let bound = load.bound(&quotas);
        for (policy, name) in [
            (Policy::Pool, case.name),
            (Policy::RoundRobin, "· round robin"),
            (Policy::CountingFailures, "· counting failures"),
        ] {
            let played = play::play(policy, &quotas, &load);
            let Played {
                served,
                calls,
                refused,
                ..
            } = played;
            let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
            let seconds = |time: Millis| format!("{:.1} s", time as f64 / 1_000.0);
            writeln!(
                text,
                "| {name} | {} asked | {served} | **{:.2} %** | {:.2} % | {} | {} |",
                load.requests.len(),
                share(served, bound),
                share(refused, calls),
                seconds(played.wait(0.5)),
                seconds(played.wait(0.99)),
            )
            .unwrap();
        }
    }
    writeln!(
        text,
        "\n## What a choice costs\n\nChoosing, counting and letting go, on one core:\n\n\
         | keys | cooling down | per choice |\n|--:|--:|--:|"
    )
    .unwrap();
    for (keys, cooling) in [(10, 0), (100, 0), (KEYS, 0), (KEYS, COOLING)] {
        let took = choice(keys, cooling);
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
    let case = case("", 3, &[20, 40], Shape::Bursts, 1.2);
    let quotas = case.quotas();
    let load = Load::new(case.shape, &quotas, case.share, 2, false, 1);
    let played = play::play(Policy::Pool, &quotas, &load);
    let bound = load.bound(&quotas);
    assert!(
        played.served * 100 >= bound * 98,
        "{} of {bound}",
        played.served
    );
    assert_eq!(played.refused, 0, "the limits are known on the second day");
}
