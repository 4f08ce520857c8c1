//! What must hold whatever happens.

use std::collections::VecDeque;
use std::time::Duration;

use contract::Millis;
use contract::admin::{CooldownReason, KeyRules};
use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::day::next_midnight;
use super::tests::{Made, want};
use super::*;

/// Something that happens to a pool.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in milliseconds.
    Pass(i64),
    /// A request of so many tokens is sent, if one may be.
    Send(u64),
    /// The oldest call that is under way ends so.
    End(Outcome),
    /// The oldest call's client goes away.
    Leave,
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let limits = |rpm, tpm, rpd| Limits { rpm, tpm, rpd };
    let over = move |reason, limits, seconds| Outcome::Quota {
        reason,
        limits,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    prop_oneof![
        8 => Just(Outcome::Answered),
        1 => Just(Outcome::Empty),
        1 => Just(Outcome::ClientFault),
        1 => Just(Outcome::TooSlow),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::Unconnected),
        1 => any::<bool>().prop_map(|lasting| Outcome::ProjectRefused { lasting }),
        1 => (100..1_000_u64).prop_map(|limit| {
            Outcome::PromptTooLarge { limit, retry_after: None }
        }),
        1 => (1..5_u32, 0..40_u64).prop_map(move |(value, seconds)| {
            over(CooldownReason::PerMinute, limits(Some(value), None, None), seconds)
        }),
        1 => (100..2_000_u32, 0..40_u64).prop_map(move |(value, seconds)| {
            over(CooldownReason::TokensPerMinute, limits(None, Some(value), None), seconds)
        }),
        1 => (1..30_u32, 0..40_u64).prop_map(move |(value, seconds)| {
            over(CooldownReason::PerDay, limits(None, None, Some(value)), seconds)
        }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..20_000_i64).prop_map(Step::Pass),
        1 => (0..30_000_000_i64).prop_map(Step::Pass),
        8 => (0..1_500_u64).prop_map(Step::Send),
        8 => outcomes().prop_map(Step::End),
        1 => Just(Step::Leave),
    ];
    prop::collection::vec(step, 1..200)
}

/// What is known of one project, counted in the plainest way.
#[derive(Default)]
struct Book {
    /// When each request was sent, with its tokens; those that Google refused are not here.
    sent: Vec<(u64, Millis, u64)>,
    rpm: Option<(u64, Millis)>,
    tpm: Option<(u64, Millis)>,
    rpd: Option<(u64, Millis)>,
    rests_until: Millis,
}

impl Book {
    /// Learns from the end of a call that was sent then.
    fn learn(&mut self, sent_at: Millis, now: Millis, outcome: Outcome) {
        if let Outcome::PromptTooLarge { limit, .. } = outcome {
            self.tpm = Some((limit, now));
        }
        if let Outcome::ProjectRefused { .. } = outcome {
            self.rests_until = self.rests_until.max(now + 60_000);
        }
        let Outcome::Quota {
            reason,
            limits,
            retry_after,
        } = outcome
        else {
            return;
        };
        self.rpm = limits.rpm.map(|value| (value.into(), now)).or(self.rpm);
        self.tpm = limits.tpm.map(|value| (value.into(), now)).or(self.tpm);
        self.rpd = limits.rpd.map(|value| (value.into(), now)).or(self.rpd);
        let midnight = next_midnight(now).unwrap();
        let asked = i64::try_from(retry_after.unwrap().as_millis()).unwrap();
        let is_of = |time| next_midnight(time) == Some(midnight);
        let until = match reason {
            CooldownReason::PerDay if is_of(sent_at) && is_of(now - 15 * 60_000) => midnight,
            CooldownReason::PerDay => midnight.min(now + asked.max(60_000)),
            _ => now + asked,
        };
        self.rests_until = self.rests_until.max(until);
    }

    /// Checks a request that has just been sent.
    fn check(&self, now: Millis) -> Result<(), TestCaseError> {
        const WEEK: Millis = 7 * 24 * 3_600_000;
        let known = |limit: Option<(u64, Millis)>| {
            limit.and_then(|(value, at)| (now - at < WEEK).then_some(value))
        };
        prop_assert!(
            now >= self.rests_until,
            "it rests until {}",
            self.rests_until
        );
        let last: Vec<_> = self
            .sent
            .iter()
            .filter(|(_, at, _)| *at > now - 60_000)
            .collect();
        if let Some(limit) = known(self.rpm) {
            prop_assert!(
                last.len() as u64 <= limit,
                "{} of {limit} requests",
                last.len()
            );
        }
        if let Some(limit) = known(self.tpm) {
            let tokens: u64 = last.iter().map(|(_, _, tokens)| tokens).sum();
            // One alone may be larger: its size is an estimate.
            let is_alone = last.iter().filter(|(_, _, tokens)| *tokens > 0).count() == 1;
            prop_assert!(tokens <= limit || is_alone, "{tokens} of {limit} tokens");
        }
        if let Some(limit) = known(self.rpd) {
            let midnight = next_midnight(now);
            let today = self
                .sent
                .iter()
                .filter(|(_, at, _)| next_midnight(*at) == midnight);
            let today = today.count() as u64;
            prop_assert!(today <= limit, "{today} of {limit} requests today");
        }
        Ok(())
    }
}

/// Plays `steps` and checks each request that is sent.
fn play(made: &Made, steps: &[Step], projects: usize) -> Result<(), TestCaseError> {
    let mut books: Vec<Book> = (0..projects).map(|_| Book::default()).collect();
    let mut under_way: VecDeque<(Picked, u64, Millis)> = VecDeque::new();
    let mut number = 0;
    for step in steps {
        let now = made.now();
        match step {
            Step::Pass(time) => made.at(now + time),
            Step::Send(tokens) => {
                let Ok(picked) = made.pick_sized("m", *tokens) else {
                    continue;
                };
                number += 1;
                let book = &mut books[usize::try_from(picked.id()).unwrap() % projects];
                book.sent.push((number, now, *tokens));
                book.check(now)?;
                under_way.push_back((picked, number, now));
            }
            Step::End(outcome) => {
                let Some((picked, number, sent_at)) = under_way.pop_front() else {
                    continue;
                };
                made.settle(&picked, *outcome);
                let book = &mut books[usize::try_from(picked.id()).unwrap() % projects];
                if outcome.consequence().window != WindowEffect::Spent {
                    book.sent.retain(|(sent, ..)| *sent != number);
                }
                book.learn(sent_at, now, *outcome);
            }
            Step::Leave => drop(under_way.pop_front()),
        }
    }
    Ok(())
}

/// As many projects, of two keys each.
fn in_pairs(projects: usize) -> Vec<KeyRules> {
    let of = |key: usize| KeyRules {
        project: Some(format!("p{}", key % projects)),
        ..KeyRules::default()
    };
    (0..projects * 2).map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_is_exceeded_by_what_is_known(steps in steps(), projects in 1..4_usize) {
        play(&Made::with(in_pairs(projects)), &steps, projects)?;
    }

    #[test]
    fn a_restart_changes_nothing(before in steps(), projects in 1..4_usize) {
        let rules = in_pairs(projects);
        let made = Made::with(rules.clone());
        play(&made, &before, projects)?;
        let after = made.restarted(&rules);
        for (a, b) in made.pool.models().iter().zip(after.pool.models()) {
            prop_assert_eq!(a.ready, b.ready);
            prop_assert_eq!(a.requests_today, b.requests_today);
            prop_assert_eq!(a.left_today, b.left_today);
            prop_assert_eq!(a.next_ready_at, b.next_ready_at);
        }
        for id in 0..i64::try_from(rules.len()).unwrap() {
            let (a, b) = (made.pool.status(id).unwrap(), after.pool.status(id).unwrap());
            prop_assert_eq!(a.state, b.state);
            prop_assert_eq!(a.cooldowns, b.cooldowns);
            prop_assert_eq!(a.last_error, b.last_error);
            prop_assert_eq!(a.last_used_at, b.last_used_at);
        }
    }

    #[test]
    fn nobody_starves_however_many_come_later(
        sizes in prop::collection::vec(1..1_000_u64, 1..45),
        later in prop::collection::vec(0..300_u64, 1..20),
        rpm in 1..6_u64,
        projects in 1..4_usize,
    ) {
        let made = Made::with(vec![KeyRules::default(); projects]);
        let caps = Caps { rpm: Some(rpm), tpm: Some(1_000), rpd: None };
        made.pool.set_rules(Rules { caps: vec![("m".to_owned(), caps)], ..Rules::default() });
        let far = made.now() + 1_000_000_000;
        let mut waiting = Vec::new();
        for size in &sizes {
            match made.pool.ask(&want("m", *size), far).unwrap() {
                Asked::Now(picked) => picked.sent(),
                Asked::Queued(queued) => waiting.push(queued),
            }
        }
        // The first is overtaken so often, once a minute at worst; then each needs a minute.
        let rounds = (sizes.len() + 16 + 2) * 13;
        let mut later = later.iter().cycle();
        for _ in 0..rounds {
            made.at(made.now() + 5_000);
            waiting.retain_mut(|queued| match queued.take() {
                Some(picked) => {
                    picked.sent();
                    false
                }
                None => true,
            });
            if let Ok(picked) = made.pick_sized("m", *later.next().unwrap()) {
                made.settle(&picked, Outcome::Answered);
            }
            made.pool.serve("m");
        }
        prop_assert!(waiting.is_empty(), "{} of {} wait on", waiting.len(), sizes.len());
    }

    #[test]
    fn everybody_who_waits_is_served_and_equals_in_their_order(
        sizes in prop::collection::vec(0..1_000_u64, 1..60),
        rpm in 1..6_u64,
    ) {
        let made = Made::with(vec![KeyRules::default()]);
        let caps = Caps { rpm: Some(rpm), tpm: Some(1_000), rpd: None };
        made.pool.set_rules(Rules { caps: vec![("m".to_owned(), caps)], ..Rules::default() });
        let far = made.now() + 1_000_000_000;
        let mut waiting = Vec::new();
        let mut served: Vec<usize> = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            match made.pool.ask(&want("m", *size), far).unwrap() {
                Asked::Now(picked) => {
                    picked.sent();
                    served.push(at);
                }
                Asked::Queued(queued) => waiting.push((at, queued)),
            }
        }
        // Each needs a minute of its own at worst.
        for _ in 0..=sizes.len() {
            let opens = made.pool.serve("m");
            waiting.retain_mut(|(at, queued)| match queued.take() {
                Some(picked) => {
                    picked.sent();
                    served.push(*at);
                    false
                }
                None => true,
            });
            if let Some(opens) = opens {
                made.at(opens.max(made.now()));
            }
        }
        prop_assert!(waiting.is_empty(), "{} wait for ever", waiting.len());
        for (place, at) in served.iter().enumerate() {
            for later in &served[place..] {
                prop_assert!(sizes[*later] > sizes[*at] || later >= at, "{later} after {at}");
            }
        }
    }
}
