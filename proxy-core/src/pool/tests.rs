use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contract::admin::{CooldownReason, KeyRules, KeyState, RejectReason, Tier};
use parking_lot::Mutex;
use vault::Secret;

use super::*;

/// 2026-11-22T12:00:00Z, 04:00 in California.
const NOON: Millis = 1_795_348_800_000;
/// The next midnight there.
const MIDNIGHT: Millis = NOON + 20 * 3_600_000;

/// A pool whose time is moved by hand, and what it has asked to be kept.
pub(super) struct Made {
    pub(super) pool: Pool,
    time: Arc<AtomicI64>,
    kept: Arc<Mutex<HashMap<i64, SavedKeyState>>>,
}

impl Made {
    fn empty_at(now: Millis) -> Self {
        let time = Arc::new(AtomicI64::new(now));
        let kept = Arc::new(Mutex::new(HashMap::new()));
        let (shown, keeps) = (time.clone(), kept.clone());
        let clock = Clock::new(move || shown.load(Ordering::Relaxed));
        let pool = Pool::new(clock, Dice::seeded(7), move |id, state| {
            keeps.lock().insert(id, state);
        });
        Self { pool, time, kept }
    }

    pub(super) fn with(rules: impl IntoIterator<Item = KeyRules>) -> Self {
        let made = Self::empty_at(NOON);
        let keys = rules.into_iter().zip(0..);
        made.pool
            .insert(keys.map(|(rules, id)| new_key(id, rules, None)));
        made
    }

    fn insert(&self, id: i64, rules: KeyRules, saved: Option<SavedKeyState>) {
        self.pool.insert([new_key(id, rules, saved)]);
    }

    pub(super) fn at(&self, now: Millis) {
        self.time.store(now, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Millis {
        self.time.load(Ordering::Relaxed)
    }

    /// Picks for `model` and says that the call left.
    fn pick(&self, model: &str) -> Result<Picked, Unavailable> {
        self.pick_sized(model, 0)
    }

    pub(super) fn pick_sized(&self, model: &str, tokens: u64) -> Result<Picked, Unavailable> {
        let picked = self.pool.pick(&want(model, tokens))?;
        picked.sent();
        Ok(picked)
    }

    pub(super) fn settle(&self, picked: &Picked, outcome: Outcome) -> Settled {
        self.pool.settle(picked, outcome, Some("said"), None)
    }

    /// Calls `model` so often, each time with success, and gives the keys.
    fn answered(&self, model: &str, count: usize) -> Vec<i64> {
        (0..count)
            .map(|_| {
                let picked = self.pick(model).unwrap();
                self.settle(&picked, Outcome::Answered);
                picked.id()
            })
            .collect()
    }

    /// Restarts with what was kept.
    pub(super) fn restarted(&self, rules: &[KeyRules]) -> Self {
        self.pool.keep_used();
        let after = Self::empty_at(self.now());
        for (id, rules) in rules.iter().enumerate() {
            let id = id.try_into().unwrap();
            let text = serde_json::to_string(&self.pool.saved(id)).unwrap();
            after.insert(id, rules.clone(), serde_json::from_str(&text).unwrap());
        }
        after
    }
}

fn new_key(id: i64, rules: KeyRules, saved: Option<SavedKeyState>) -> NewKey {
    NewKey {
        id,
        secret: Secret::new(format!("AIzaSyTestKeyNumber{id:020}")),
        enabled: true,
        rules,
        saved,
    }
}

pub(super) fn want(model: &str, tokens: u64) -> Want<'_> {
    Want {
        model,
        tokens,
        never: &[],
        rather_not: &[],
        prefer: None,
    }
}

fn plain(keys: usize) -> Made {
    Made::with(vec![KeyRules::default(); keys])
}

fn quota(reason: CooldownReason, limits: Limits, retry_after: Option<Duration>) -> Outcome {
    Outcome::Quota {
        reason,
        limits,
        retry_after,
    }
}

fn over_minute(value: u32, seconds: u64) -> Outcome {
    let limits = Limits {
        rpm: Some(value),
        ..Limits::default()
    };
    let wait = Some(Duration::from_secs(seconds));
    quota(CooldownReason::PerMinute, limits, wait)
}

fn over_day(value: u32) -> Outcome {
    let limits = Limits {
        rpd: Some(value),
        ..Limits::default()
    };
    // What Google says of the time is not true with daily limits.
    let wait = Some(Duration::from_secs(38));
    quota(CooldownReason::PerDay, limits, wait)
}

fn rests_until(made: &Made, model: &str) -> Option<(Millis, CooldownReason)> {
    match made.pick(model) {
        Err(Unavailable::Resting { until, reason }) => Some((until, reason)),
        _ => None,
    }
}

#[test]
fn keys_take_turns() {
    assert_eq!(plain(3).answered("m", 6), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_key_over_its_minute_rests_for_that_model_and_as_long_as_google_asks() {
    let made = plain(2);
    let first = made.pick("m").unwrap();
    let wait = Some(Duration::from_millis(26_412));
    let over = quota(CooldownReason::PerMinute, Limits::default(), wait);
    made.settle(&first, over);
    assert_eq!(
        made.answered("m", 3),
        [1, 1, 1],
        "only the other key is asked for m"
    );
    assert!(made.answered("other", 2).contains(&0));
    made.at(NOON + 26_411);
    assert_eq!(made.answered("m", 2), [1, 1]);
    made.at(NOON + 26_412);
    assert!(made.answered("m", 2).contains(&0));
}

#[test]
fn a_key_over_its_day_rests_until_midnight_in_california() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_day(1));
    let expected = Some((MIDNIGHT, CooldownReason::PerDay));
    assert_eq!(rests_until(&made, "m"), expected);
}

#[test]
fn a_limit_that_was_learned_is_not_met_again() {
    let made = plain(1);
    made.answered("m", 10);
    let refused = made.pick("m").unwrap();
    made.settle(&refused, over_minute(10, 30));
    // The rest is over before the first of the ten has left the minute.
    made.at(NOON + 30_001);
    let (until, reason) = rests_until(&made, "m").unwrap();
    assert_eq!(reason, CooldownReason::PerMinute);
    assert!((NOON + 60_000..NOON + 61_000).contains(&until), "{until}");
    made.at(until);
    made.answered("m", 10);
    assert!(
        rests_until(&made, "m").is_some(),
        "the eleventh would be refused"
    );
}

#[test]
fn a_day_that_was_learned_is_counted_and_begins_anew() {
    let made = plain(1);
    made.answered("m", 3);
    let refused = made.pick("m").unwrap();
    made.settle(&refused, over_day(3));
    made.at(MIDNIGHT);
    made.answered("m", 3);
    let expected = Some((MIDNIGHT + 24 * 3_600_000, CooldownReason::PerDay));
    assert_eq!(rests_until(&made, "m"), expected);
}

#[test]
fn a_limit_is_forgotten_after_a_week_so_that_a_higher_one_is_noticed() {
    let made = plain(1);
    let refused = made.pick("m").unwrap();
    made.settle(&refused, over_day(1));
    made.at(MIDNIGHT);
    made.answered("m", 1);
    assert!(rests_until(&made, "m").is_some());
    made.at(NOON + 7 * 24 * 3_600_000 + 1);
    made.answered("m", 2);
}

#[test]
fn the_users_limits_go_before_those_that_were_learned() {
    let made = plain(1);
    let caps = Caps {
        rpd: Some(2),
        ..Caps::default()
    };
    made.pool.set_rules(Rules {
        caps: vec![("m*".to_owned(), caps)],
        ..Rules::default()
    });
    made.answered("m1", 2);
    assert_eq!(rests_until(&made, "m1").unwrap().1, CooldownReason::PerDay);
    made.answered("other", 3);
}

#[test]
fn a_large_prompt_goes_where_there_are_tokens_left() {
    let made = plain(2);
    for _ in 0..2 {
        let key = made.pick_sized("m", 1_000).unwrap();
        let limits = Limits {
            tpm: Some(10_000),
            ..Limits::default()
        };
        let wait = Some(Duration::from_secs(1));
        made.settle(&key, quota(CooldownReason::TokensPerMinute, limits, wait));
    }
    made.at(NOON + 2_000);
    let first = made.pick_sized("m", 8_000).unwrap();
    made.settle(&first, Outcome::Answered);
    let second = made.pick_sized("m", 500).unwrap();
    made.settle(&second, Outcome::Answered);
    assert_ne!(first.id(), second.id());
    // The first in turn has no room for it.
    let third = made.pick_sized("m", 9_000).unwrap();
    made.settle(&third, Outcome::Answered);
    assert_eq!(third.id(), second.id());
    let closed = made.pick_sized("m", 9_000).err().unwrap();
    assert!(
        matches!(
            closed,
            Unavailable::Resting {
                reason: CooldownReason::TokensPerMinute,
                ..
            }
        ),
        "{closed:?}"
    );
    // Google counted much less than was thought.
    first.had_tokens(100);
    assert_eq!(made.pick_sized("m", 9_000).unwrap().id(), first.id());
}

#[test]
fn keys_of_one_project_share_its_quota() {
    let of = |project: &str| KeyRules {
        project: Some(project.to_owned()),
        ..KeyRules::default()
    };
    let made = Made::with([of("a"), of("a"), of("b")]);
    let key = made.pick("m").unwrap();
    assert_eq!(key.id(), 0);
    made.settle(&key, over_day(1));
    assert_eq!(made.answered("m", 3), [2, 2, 2]);
    assert_eq!(made.pool.status(1).unwrap().cooldowns.len(), 1);
}

#[test]
fn google_tells_which_keys_share_a_project() {
    let made = plain(3);
    made.answered("m", 3);
    for (id, project) in [(0, "77"), (1, "77"), (2, "78")] {
        let key = made.pick("m").unwrap();
        assert_eq!(key.id(), id);
        made.pool
            .settle(&key, Outcome::Forbidden, Some("no"), Some(project));
    }
    assert_eq!(made.pool.status(1).unwrap().project.as_deref(), Some("77"));
    let key = made.pick("m").unwrap();
    made.settle(&key, over_day(2));
    assert_eq!(
        made.answered("m", 2),
        [2, 2],
        "the other key of 77 is not tried"
    );
}

#[test]
fn free_projects_go_first_and_one_is_drained_before_the_next() {
    let paid = KeyRules {
        tier: Tier::Paid,
        ..KeyRules::default()
    };
    let made = Made::with([paid, KeyRules::default(), KeyRules::default()]);
    assert_eq!(made.answered("m", 4), [1, 2, 1, 2]);
    made.pool.set_rules(Rules {
        strategy: Strategy::Drain,
        ..Rules::default()
    });
    assert_eq!(made.answered("m", 3), [1, 1, 1]);
    for _ in 0..2 {
        let key = made.pick("m").unwrap();
        made.settle(&key, over_day(9));
    }
    assert_eq!(
        made.answered("m", 2),
        [0, 0],
        "paid when nothing else is left"
    );
}

#[test]
fn weights_say_how_often() {
    let heavy = KeyRules {
        weight: 3,
        ..KeyRules::default()
    };
    let made = Made::with([heavy, KeyRules::default()]);
    made.pool.set_rules(Rules {
        strategy: Strategy::Weighted,
        ..Rules::default()
    });
    let used = made.answered("m", 400);
    let heavy = used.iter().filter(|id| **id == 0).count();
    assert!((298..=302).contains(&heavy), "{heavy}");
}

#[test]
fn a_key_is_asked_only_for_what_its_lists_allow() {
    let only = KeyRules {
        models: vec!["gemini-2.5-*".to_owned()],
        not_models: vec!["gemini-2.5-pro".to_owned()],
        ..KeyRules::default()
    };
    let made = Made::with([only]);
    made.answered("gemini-2.5-flash", 1);
    made.answered("", 1);
    for model in ["gemini-2.5-pro", "gemini-3-flash"] {
        assert_eq!(
            made.pick(model).err(),
            Some(Unavailable::NoneAllowed),
            "{model}"
        );
    }
}

#[test]
fn one_key_has_so_many_calls_under_way_and_no_more() {
    let made = plain(1);
    made.pool.set_rules(Rules {
        key_concurrency: 2,
        ..Rules::default()
    });
    let first = made.pick("m").unwrap();
    let second = made.pick("other").unwrap();
    assert_eq!(made.pick("m").err(), Some(Unavailable::Busy));
    made.settle(&first, Outcome::Answered);
    assert_eq!(
        made.pick("m").err(),
        Some(Unavailable::Busy),
        "its stream goes on"
    );
    drop(first);
    assert!(made.pick("m").is_ok());
    drop(second);
}

#[test]
fn after_a_rest_there_is_one_trial_and_no_flood() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    let over = quota(CooldownReason::PerMinute, Limits::default(), None);
    made.settle(&key, over);
    made.at(NOON + 60_000);
    let trial = made.pick("m").unwrap();
    assert_eq!(made.pick("m").err(), Some(Unavailable::Busy));
    drop(trial);
    let trial = made.pick("m").unwrap();
    assert_eq!(
        made.pick("m").err(),
        Some(Unavailable::Busy),
        "the client went away"
    );
    made.settle(&trial, Outcome::Answered);
    made.answered("m", 5);
}

#[test]
fn a_trial_under_way_is_waited_for_though_another_key_rests_until_midnight() {
    let made = plain(2);
    let (a, b) = (made.pick("m").unwrap(), made.pick("m").unwrap());
    let day = Limits {
        rpd: Some(1),
        ..Limits::default()
    };
    made.settle(&a, quota(CooldownReason::PerDay, day, None));
    let minute = Limits::default();
    made.settle(&b, quota(CooldownReason::PerMinute, minute, None));
    made.at(NOON + 60_000);
    let trial = made.pick("m").unwrap();
    assert_eq!(trial.id(), b.id());
    assert_eq!(made.pick("m").err(), Some(Unavailable::Busy));
    // One that goes away in the middle leaves no key behind that nobody may ask.
    made.pool.remove(b.id());
    drop(trial);
    assert!(matches!(
        made.pick("m").err(),
        Some(Unavailable::Resting { .. })
    ));
}

#[test]
fn why_nothing_is_available_is_told_apart() {
    assert_eq!(plain(0).pick("m").err(), Some(Unavailable::NoKeys));
    let made = plain(2);
    let tried = Want {
        never: &[0, 1],
        ..want("m", 0)
    };
    assert_eq!(made.pool.pick(&tried).err(), Some(Unavailable::AllTried));
    for _ in 0..2 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    assert_eq!(made.pick("m").err(), Some(Unavailable::NoneUsable));
    assert_eq!(made.pool.summary().rejected, 2);
}

#[test]
fn mistakes_of_the_client_and_bad_days_of_google_cost_no_key_anything() {
    for outcome in [
        Outcome::ClientFault,
        Outcome::Overloaded,
        Outcome::Unreachable,
        Outcome::Empty,
        Outcome::LocationRefused,
        Outcome::Forbidden,
        Outcome::TooSlow,
        Outcome::PromptTooLarge { limit: 10 },
    ] {
        let made = plain(1);
        let key = made.pick("m").unwrap();
        made.settle(&key, outcome);
        let status = made.pool.status(0).unwrap();
        assert_eq!(status.state, KeyState::Unchecked, "{outcome:?}");
        assert_eq!(status.cooldowns, [], "{outcome:?}");
    }
}

#[test]
fn what_google_refused_does_not_count_and_what_it_may_have_counted_does() {
    for (outcome, counted) in [
        (Outcome::Answered, 1),
        (Outcome::Empty, 1),
        (Outcome::TooSlow, 1),
        (Outcome::Unreachable, 1),
        (Outcome::ClientFault, 0),
        (Outcome::Overloaded, 0),
        (Outcome::Forbidden, 0),
        (over_minute(5, 1), 0),
        (Outcome::KeyRefused(RejectReason::Invalid), 0),
    ] {
        let made = plain(1);
        made.answered("m", 1);
        let key = made.pick("m").unwrap();
        made.settle(&key, outcome);
        let shown = made.pool.models();
        assert_eq!(shown[0].requests_today, 1 + counted, "{outcome:?}");
        assert_eq!(shown[0].requests_minute, 1 + counted, "{outcome:?}");
    }
}

#[test]
fn a_call_that_never_left_was_never_counted() {
    let made = plain(1);
    made.answered("m", 1);
    drop(made.pool.pick(&want("m", 10)).unwrap());
    assert_eq!(made.pool.models()[0].requests_today, 1);
    drop(made.pick("m").unwrap());
    assert_eq!(
        made.pool.models()[0].requests_today,
        2,
        "the client went away"
    );
}

#[test]
fn a_model_that_is_overloaded_again_and_again_is_left_alone_for_longer_each_time() {
    let made = plain(9);
    let mut last = Duration::ZERO;
    for round in 0..4 {
        let key = made.pick("m").unwrap();
        let pause = made.settle(&key, Outcome::Overloaded).pause;
        let most = Duration::from_millis(250 << round);
        assert!(pause >= most / 2 && pause <= most, "{pause:?}");
        assert!(pause >= last / 2);
        last = pause;
    }
    let key = made.pick("m").unwrap();
    made.settle(&key, Outcome::Overloaded);
    let Err(Unavailable::ModelBusy { until }) = made.pick("m") else {
        panic!("the model is still asked");
    };
    made.answered("other", 1);
    made.at(until);
    let trial = made.pick("m").unwrap();
    assert!(made.pick("m").is_err(), "one sees whether it is over");
    made.settle(&trial, Outcome::Answered);
    made.answered("m", 3);
}

#[test]
fn a_refusal_of_all_keys_at_once_is_no_keys_fault() {
    let made = plain(3);
    made.answered("m", 3);
    for _ in 0..3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    assert_eq!(made.pool.summary().rejected, 0);
    let Err(Unavailable::Outage { until }) = made.pick("m") else {
        panic!("Google is still asked");
    };
    made.at(until);
    let trial = made.pick("m").unwrap();
    assert!(made.pick("m").is_err(), "one sees whether it is over");
    made.settle(&trial, Outcome::KeyRefused(RejectReason::Invalid));
    let Err(Unavailable::Outage { until: later }) = made.pick("m") else {
        panic!("Google is still asked");
    };
    assert!(later - until > 60_000, "the pause grows");
    assert_eq!(made.pool.summary().rejected, 0);
    made.at(later);
    made.answered("m", 5);
}

#[test]
fn keys_that_never_worked_are_refused_one_by_one() {
    let made = plain(4);
    for _ in 0..4 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    assert_eq!(made.pool.summary().rejected, 4);
}

#[test]
fn an_answer_that_was_under_way_ends_neither_a_rest_nor_a_refusal() {
    let made = plain(1);
    let early = made.pick("m").unwrap();
    let late = made.pick("m").unwrap();
    made.settle(&late, over_day(1));
    made.settle(&early, Outcome::Answered);
    assert!(made.pick("m").is_err(), "the day's quota is still used up");
    made.settle(&late, Outcome::KeyRefused(RejectReason::Leaked));
    made.settle(&early, Outcome::Answered);
    assert_eq!(made.pool.summary().rejected, 1);
}

#[test]
fn a_key_that_rests_for_all_it_was_asked_for_is_shown_as_resting() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_minute(1, 30));
    let until = NOON + 30_000;
    assert_eq!(
        made.pool.status(0).unwrap().state,
        KeyState::Cooling { until }
    );
    assert_eq!(made.pool.summary().next_ready_at, Some(until));
    made.answered("other", 1);
    let state = made.pool.status(0).unwrap().state;
    assert_eq!(state, KeyState::Ready, "of use for another model");
    made.at(until);
    assert_eq!(made.pool.summary().ready, 1);
}

#[test]
fn what_a_model_can_still_do_today_is_shown() {
    let made = plain(2);
    for _ in 0..2 {
        let key = made.pick("m").unwrap();
        made.settle(&key, over_day(5));
    }
    made.at(MIDNIGHT);
    made.answered("m", 3);
    let shown = &made.pool.models()[0];
    assert_eq!((shown.ready, shown.projects), (2, 2));
    assert_eq!(shown.left_today, Some(7));
    assert_eq!(shown.left_minute, None, "nobody knows");
    made.answered("m", 7);
    let shown = &made.pool.models()[0];
    assert_eq!((shown.ready, shown.left_today), (0, Some(0)));
    assert_eq!(shown.next_ready_at, Some(MIDNIGHT + 24 * 3_600_000));
}

#[test]
fn what_was_learned_survives_a_restart() {
    let rules = [KeyRules::default()];
    let made = Made::with(rules.clone());
    made.answered("m", 2);
    let key = made.pick("m").unwrap();
    made.pool
        .settle(&key, over_minute(2, 30), Some("slow down"), Some("77"));
    assert!(made.kept.lock().contains_key(&0), "told at once");
    let after = made.restarted(&rules);
    let status = after.pool.status(0).unwrap();
    assert_eq!(status.last_error.as_deref(), Some("slow down"));
    assert_eq!(status.project.as_deref(), Some("77"));
    assert_eq!(status.cooldowns, made.pool.status(0).unwrap().cooldowns);
    assert_eq!(after.pool.models(), made.pool.models());
    for made in [&made, &after] {
        made.at(NOON + 30_000);
        assert!(rests_until(made, "m").is_some(), "the minute is still full");
    }
}

#[test]
fn a_cooldown_that_an_older_version_kept_holds() {
    let made = Made::empty_at(NOON);
    let text = format!(
        r#"{{"health":"ready","cooldowns":[{{"model":"m","until":{},"reason":"per_day"}}]}}"#,
        NOON + 5_000
    );
    made.insert(0, KeyRules::default(), serde_json::from_str(&text).unwrap());
    assert_eq!(
        rests_until(&made, "m"),
        Some((NOON + 5_000, CooldownReason::PerDay))
    );
}

#[test]
fn switching_a_key_on_forgives_it() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_day(1));
    made.settle(&key, Outcome::KeyRefused(RejectReason::Suspended));
    made.pool.set_enabled(0, true);
    assert_eq!(made.pool.status(0).unwrap().state, KeyState::Unchecked);
    assert!(made.pick("m").is_ok());
    made.pool.set_enabled(0, false);
    assert_eq!(made.pick("m").err(), Some(Unavailable::NoneUsable));
}

#[test]
fn keys_that_are_read_anew_keep_what_is_known_of_them() {
    let made = plain(2);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_day(1));
    let again = |shift: i64, rules: &KeyRules| {
        (0..2)
            .map(move |id| NewKey {
                id: id + shift,
                secret: Secret::new(format!("AIzaSyTestKeyNumber{id:020}")),
                enabled: true,
                rules: rules.clone(),
                saved: None,
            })
            .collect::<Vec<_>>()
    };
    let weighty = KeyRules {
        weight: 2,
        ..KeyRules::default()
    };
    for (shift, rules) in [
        (0, KeyRules::default()),
        (0, weighty.clone()),
        (100, weighty),
    ] {
        made.pool.replace(again(shift, &rules));
        assert_eq!(
            made.pool.status(shift).unwrap().cooldowns.len(),
            1,
            "{shift}"
        );
        assert_eq!(made.answered("m", 2), [shift + 1, shift + 1]);
    }
}

#[test]
fn those_who_wait_go_in_the_order_of_their_arrival() {
    let made = plain(1);
    let caps = Caps {
        rpm: Some(1),
        ..Caps::default()
    };
    made.pool.set_rules(Rules {
        caps: vec![("m".to_owned(), caps)],
        queue: 2,
        ..Rules::default()
    });
    let far = NOON + 600_000;
    made.answered("m", 1);
    let queued = || match made.pool.ask(&want("m", 0), far) {
        Ok(Asked::Queued(waiting)) => Some(waiting),
        _ => None,
    };
    let mut first = queued().unwrap();
    let mut second = queued().unwrap();
    assert!(queued().is_none(), "the queue is full");
    let opens = made.pool.serve("m").unwrap();
    made.at(opens);
    // Whoever comes now does not go first.
    assert!(made.pick("m").is_err());
    let picked = first.take().unwrap();
    picked.sent();
    assert!(second.take().is_none());
    drop((picked, first));
    let opens = made.pool.serve("m").unwrap();
    drop(second);
    assert_eq!(made.pool.serve("m"), None, "nobody waits any more");
    made.at(opens);
    made.answered("m", 1);
}

#[test]
fn nobody_waits_for_what_opens_too_late() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_minute(1, 45));
    drop(key);
    let in_time = |seconds: i64| {
        let asked = made.pool.ask(&want("m", 0), NOON + seconds * 1_000);
        matches!(asked, Ok(Asked::Queued(_)))
    };
    assert!(!in_time(45));
    assert!(in_time(46));
}

#[test]
fn what_nobody_takes_any_more_goes_to_the_next() {
    let made = plain(1);
    made.pool.set_rules(Rules {
        key_concurrency: 1,
        ..Rules::default()
    });
    let busy = made.pick("m").unwrap();
    let far = NOON + 600_000;
    let queued = || match made.pool.ask(&want("m", 0), far) {
        Ok(Asked::Queued(waiting)) => waiting,
        _ => panic!("it need not wait"),
    };
    let first = queued();
    let mut second = queued();
    drop(busy);
    // It was given the key, and goes away without having looked.
    drop(first);
    assert!(second.take().is_some());
    assert_eq!(
        made.pool.models()[0].requests_today,
        1,
        "what never left does not count"
    );
}

#[test]
fn a_conversation_stays_where_it_is_paid_for_or_where_the_client_wants_it() {
    let paid = KeyRules {
        tier: Tier::Paid,
        ..KeyRules::default()
    };
    let prefers = |made: &Made, key: i64, strongly: bool| {
        let want = Want {
            prefer: Some(Prefer { key, strongly }),
            ..want("m", 0)
        };
        let picked = made.pool.pick(&want).unwrap();
        picked.sent();
        made.settle(&picked, Outcome::Answered);
        picked.id()
    };
    let made = Made::with(vec![paid.clone(); 3]);
    made.answered("m", 3);
    assert_eq!(
        (0..3).map(|_| prefers(&made, 2, false)).collect::<Vec<_>>(),
        [2, 2, 2]
    );
    let made = Made::with([KeyRules::default(), KeyRules::default(), paid]);
    assert_eq!(prefers(&made, 1, false), 0, "free ones are spread");
    assert_eq!(
        prefers(&made, 2, false),
        1,
        "what is free goes before what is cached"
    );
    assert_eq!((prefers(&made, 1, true), prefers(&made, 1, true)), (1, 1));
    let key = made.pool.pick(&want("m", 0)).unwrap();
    made.settle(&key, over_day(1));
    assert_ne!(
        prefers(&made, key.id(), true),
        key.id(),
        "when it cannot, another does"
    );
}
