use std::sync::atomic::AtomicI64;

use contract::admin::RejectReason;

use super::*;

/// 2026-11-22T12:00:00Z, 04:00 in California.
const NOON: Millis = 1_795_348_800_000;

fn pool(keys: usize) -> (Pool, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(NOON));
    let shown = time.clone();
    let pool = Pool::new(Clock::new(move || shown.load(Ordering::Relaxed)), |_, _| {});
    for id in 0..keys {
        pool.insert(NewKey {
            id: id.try_into().unwrap(),
            secret: Secret::new(format!("AIzaSyTestKeyNumber{id:020}")),
            enabled: true,
            saved: None,
        });
    }
    (pool, time)
}

fn ids(pool: &Pool, count: usize) -> Vec<i64> {
    (0..count)
        .map(|_| pool.pick("m", &[]).unwrap().id())
        .collect()
}

#[test]
fn keys_take_turns() {
    let (pool, _) = pool(3);
    assert_eq!(ids(&pool, 6), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_key_over_its_minute_rests_for_that_model_and_as_long_as_google_asks() {
    let (pool, time) = pool(2);
    let first = pool.pick("m", &[]).unwrap();
    let quota = Outcome::Quota {
        reason: CooldownReason::PerMinute,
        retry_after: Some(Duration::from_millis(26_412)),
    };
    pool.settle(&first, "m", quota, Some("slow down"));
    assert_eq!(
        ids(&pool, 3),
        [1, 1, 1],
        "only the other key is asked for m"
    );
    assert!((0..2).any(|_| pool.pick("other", &[]).unwrap().id() == 0));
    time.store(NOON + 26_411, Ordering::Relaxed);
    assert_eq!(ids(&pool, 2), [1, 1]);
    time.store(NOON + 26_412, Ordering::Relaxed);
    assert!(ids(&pool, 2).contains(&0));
}

#[test]
fn a_key_over_its_day_rests_until_midnight_in_california() {
    let (pool, _) = pool(1);
    let key = pool.pick("m", &[]).unwrap();
    let quota = Outcome::Quota {
        reason: CooldownReason::PerDay,
        retry_after: Some(Duration::from_secs(38)),
    };
    pool.settle(&key, "m", quota, None);
    let midnight: jiff::Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    assert_eq!(
        pool.pick("m", &[]).err(),
        Some(Unavailable::Resting {
            until: midnight.as_millisecond(),
            reason: CooldownReason::PerDay
        })
    );
}

#[test]
fn why_nothing_is_available_is_told_apart() {
    let (empty, _) = pool(0);
    assert_eq!(empty.pick("m", &[]).err(), Some(Unavailable::NoKeys));
    let (pool, _) = pool(2);
    assert_eq!(pool.pick("m", &[0, 1]).err(), Some(Unavailable::AllTried));
    for _ in 0..2 {
        let key = pool.pick("m", &[]).unwrap();
        pool.settle(&key, "m", Outcome::KeyRefused(RejectReason::Invalid), None);
    }
    assert_eq!(pool.pick("m", &[]).err(), Some(Unavailable::NoneUsable));
    assert_eq!(pool.summary().rejected, 2);
}

#[test]
fn mistakes_of_the_client_and_bad_days_of_google_cost_no_key_anything() {
    let (pool, _) = pool(1);
    for outcome in [
        Outcome::ClientFault,
        Outcome::Overloaded,
        Outcome::Unreachable,
        Outcome::Empty,
        Outcome::LocationRefused,
        Outcome::Forbidden,
        Outcome::TooSlow,
    ] {
        let key = pool.pick("m", &[]).unwrap();
        pool.settle(&key, "m", outcome, None);
        let status = pool.status(0).unwrap();
        assert_eq!(status.state, KeyState::Unchecked, "{outcome:?}");
        assert_eq!(status.cooldowns, [], "{outcome:?}");
    }
}

#[test]
fn an_answer_that_was_under_way_ends_neither_a_rest_nor_a_refusal() {
    let (pool, _) = pool(1);
    let early = pool.pick("m", &[]).unwrap();
    let late = pool.pick("m", &[]).unwrap();
    let quota = Outcome::Quota {
        reason: CooldownReason::PerDay,
        retry_after: None,
    };
    pool.settle(&late, "m", quota, None);
    pool.settle(&early, "m", Outcome::Answered, None);
    assert!(
        pool.pick("m", &[]).is_err(),
        "the day's quota is still used up"
    );
    pool.settle(&late, "m", Outcome::KeyRefused(RejectReason::Leaked), None);
    pool.settle(&early, "m", Outcome::Answered, None);
    assert_eq!(pool.summary().rejected, 1);
}

#[test]
fn a_key_that_rests_for_all_it_was_asked_for_is_shown_as_resting() {
    let (pool, time) = pool(1);
    let key = pool.pick("m", &[]).unwrap();
    let quota = Outcome::Quota {
        reason: CooldownReason::PerMinute,
        retry_after: Some(Duration::from_secs(30)),
    };
    pool.settle(&key, "m", quota, None);
    let until = NOON + 30_000;
    assert_eq!(pool.status(0).unwrap().state, KeyState::Cooling { until });
    assert_eq!(pool.summary().next_ready_at, Some(until));
    pool.settle(&key, "other", Outcome::Answered, None);
    assert_eq!(
        pool.status(0).unwrap().state,
        KeyState::Ready,
        "of use for another model"
    );
    time.store(until, Ordering::Relaxed);
    assert_eq!(pool.summary().ready, 1);
}

#[test]
fn what_was_learned_survives_a_restart() {
    let saved = Arc::new(Mutex::new(None));
    let keep = saved.clone();
    let clock = Clock::new(|| NOON);
    let before = Pool::new(clock.clone(), move |_, state| *keep.lock() = Some(state));
    let new = |saved| NewKey {
        id: 7,
        secret: "AIzaSyTestKeyNumber7".into(),
        enabled: true,
        saved,
    };
    before.insert(new(None));
    let key = before.pick("m", &[]).unwrap();
    let quota = Outcome::Quota {
        reason: CooldownReason::PerMinute,
        retry_after: None,
    };
    before.settle(&key, "m", quota, Some("slow down"));

    let text = serde_json::to_string(&saved.lock().take()).unwrap();
    let after = Pool::new(clock, |_, _| {});
    after.insert(new(serde_json::from_str(&text).unwrap()));
    let status = after.status(7).unwrap();
    assert_eq!(status.last_error.as_deref(), Some("slow down"));
    assert_eq!(status.cooldowns.len(), 1);
    assert!(after.pick("m", &[]).is_err());
}

#[test]
fn switching_a_key_on_forgives_it() {
    let (pool, _) = pool(1);
    let key = pool.pick("m", &[]).unwrap();
    pool.settle(
        &key,
        "m",
        Outcome::KeyRefused(RejectReason::Suspended),
        None,
    );
    pool.set_enabled(0, true);
    assert_eq!(pool.status(0).unwrap().state, KeyState::Unchecked);
    pool.set_enabled(0, false);
    assert_eq!(pool.pick("m", &[]).err(), Some(Unavailable::NoneUsable));
}
