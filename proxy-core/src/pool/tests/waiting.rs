//! Waiting for a key.

use super::*;

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
fn one_that_needs_much_is_overtaken_a_few_times_and_then_no_more() {
    for keys in [1, 2] {
        let made = plain(keys);
        made.pool.set_rules(capped(Caps {
            tpm: Some(1_000),
            ..Caps::default()
        }));
        for _ in 0..keys {
            made.settle(&made.pick_sized("m", 900).unwrap(), Outcome::Answered);
        }
        let mut large = queued(&made, &want("m", 1_000));
        let mut overtaken = 0;
        let mut elsewhere = 0;
        let served = (0..600).find(|_| {
            made.at(made.now() + 1_000);
            if large.take().is_some() {
                return true;
            }
            // Somebody comes each second who needs next to nothing.
            if let Ok(picked) = made.pick_sized("m", 10) {
                made.settle(&picked, Outcome::Answered);
                match overtaken < 16 {
                    true => overtaken += 1,
                    false => elsewhere += 1,
                }
            }
            made.pool.serve("m");
            false
        });
        assert!(served.is_some_and(|seconds| seconds < 130), "{served:?}");
        // One project is kept free for it, not all.
        assert_eq!(elsewhere > 0, keys == 2, "{elsewhere}");
    }
}

#[test]
fn a_key_that_becomes_free_by_a_call_of_another_model_is_given_at_once() {
    let made = plain(1);
    made.pool.set_rules(one_at_a_time());
    let other = made.pick("other").unwrap();
    let mut waiting = queued(&made, &want("m", 0));
    made.settle(&other, Outcome::Answered);
    assert!(waiting.take().is_none());
    drop(other);
    assert!(waiting.take().is_some());
}

#[test]
fn nobody_waits_longer_when_keys_come_or_are_switched_on_or_rules_change() {
    let full = || {
        let made = plain(2);
        made.pool.set_enabled(1, false);
        made.pool.set_rules(capped(Caps {
            rpm: Some(1),
            ..Caps::default()
        }));
        made.answered("m", 1);
        let waiting = queued(&made, &want("m", 0));
        (made, waiting)
    };
    let (made, mut waiting) = full();
    made.insert(2, KeyRules::default(), None);
    assert_eq!(waiting.take().map(|picked| picked.id()), Some(2));
    let (made, mut waiting) = full();
    made.pool.set_enabled(1, true);
    assert_eq!(waiting.take().map(|picked| picked.id()), Some(1));
    let (made, mut waiting) = full();
    made.pool.set_rules(Rules::default());
    assert_eq!(waiting.take().map(|picked| picked.id()), Some(0));
}

#[test]
fn nobody_waits_longer_when_an_outage_is_over() {
    let made = plain(3);
    made.answered("m", 3);
    let early = made.pick("other").unwrap();
    for _ in 0..3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    let mut waiting = queued(&made, &want("m", 0));
    made.settle(&early, Outcome::Answered);
    assert!(waiting.take().is_some());
}

#[test]
fn nobody_is_given_a_key_that_was_refused_just_now() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(
        &key,
        quota(CooldownReason::PerMinute, Limits::default(), None),
    );
    made.at(NOON + 60_000);
    let trial = made.pick("m").unwrap();
    let mut waiting = queued(&made, &want("m", 0));
    made.settle(&trial, Outcome::KeyRefused(RejectReason::Suspended));
    assert!(waiting.take().is_none());
}

#[tokio::test]
async fn who_waits_in_vain_is_told_at_once_whichever_model_it_waits_for() {
    let made = plain(1);
    made.pool.set_rules(one_at_a_time());
    let other = made.pick("other").unwrap();
    let waiting = queued(&made, &want("m", 0));
    let waits = waiting.until(made.now() + 100_000_000);
    let refused = async {
        tokio::task::yield_now().await;
        made.settle(&other, Outcome::KeyRefused(RejectReason::Suspended));
    };
    let (given, ()) = tokio::join!(waits, refused);
    assert_eq!(given.err(), Some(Unavailable::NoneUsable));
}

#[test]
fn one_that_may_not_have_what_is_free_lets_others_have_it() {
    let made = plain(2);
    made.pool.set_rules(one_at_a_time());
    let (first, second) = (made.pick("m").unwrap(), made.pick("m").unwrap());
    let never = [first.id()];
    let tried = Want {
        never: &never,
        ..want("m", 0)
    };
    let mut picky = queued(&made, &tried);
    let mut other = queued(&made, &want("m", 0));
    drop(first);
    assert!(picky.take().is_none());
    let given = other.take().unwrap();
    assert_eq!(given.id(), never[0]);
    drop(second);
    assert!(picky.take().is_some());
}

#[test]
fn who_needs_much_looks_again_when_anything_opens() {
    // The first to open has no room for it then; the second has.
    let made = plain(2);
    made.pool.set_rules(capped(Caps {
        tpm: Some(1_000),
        rpm: Some(2),
        rpd: None,
    }));
    made.settle(&made.pick_sized("m", 10).unwrap(), Outcome::Answered);
    made.at(NOON + 1_000);
    made.settle(&made.pick_sized("m", 10).unwrap(), Outcome::Answered);
    made.at(NOON + 30_000);
    made.settle(&made.pick_sized("m", 900).unwrap(), Outcome::Answered);
    made.settle(&made.pick_sized("m", 20).unwrap(), Outcome::Answered);
    let mut large = queued(&made, &want("m", 950));
    for _ in 0..3 {
        if let Some(opens) = made.pool.serve("m") {
            made.at(opens);
        }
    }
    assert!(large.take().is_some());
    assert!(made.now() < NOON + 62_000, "{}", made.now() - NOON);
}

#[test]
fn what_is_under_way_is_waited_for_though_all_else_rests_for_longer() {
    let made = plain(2);
    let (a, b) = (made.pick("m").unwrap(), made.pick("m").unwrap());
    made.settle(&a, over_day(1));
    made.settle(
        &b,
        quota(CooldownReason::PerMinute, Limits::default(), None),
    );
    made.at(NOON + 60_000);
    let trial = made.pick("m").unwrap();
    let asked = made.pool.ask(&want("m", 0), made.now() + 30_000);
    let Ok(Asked::Queued(mut waiting)) = asked else {
        panic!("it does not wait");
    };
    made.settle(&trial, Outcome::Answered);
    assert!(waiting.take().is_some());
    drop(waiting);
    assert!(made.pool.ask(&want("m", 0), made.now()).is_ok());
}

#[test]
fn the_first_looks_again_when_one_comes_for_whom_something_opens_sooner() {
    let slept = Arc::new(Mutex::new(Vec::new()));
    let notes = slept.clone();
    let clock = Clock::new(|| NOON).sleeping(move |time| {
        notes.lock().push(time.as_secs());
        std::future::pending()
    });
    let pool = Pool::new(clock, Dice::seeded(7), |_, _| ());
    pool.insert((0..2).map(|id| new_key(id, KeyRules::default(), None)));
    for seconds in [60, 5] {
        let key = pool.pick(&want("m", 0)).unwrap();
        pool.settle(&key, over_minute(9, seconds), None, None);
    }
    let queued = |only| {
        let want = Want {
            only,
            ..want("m", 0)
        };
        match pool.ask(&want, NOON + 100_000) {
            Ok(Asked::Queued(waiting)) => Box::pin(waiting.until(NOON + 100_000)),
            _ => panic!("it does not wait"),
        }
    };
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut first = queued(Some(0));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let _second = queued(None);
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert_eq!(*slept.lock(), [60, 5]);
}

#[test]
fn however_many_wait_for_one_key_others_have_what_is_free() {
    let made = plain(2);
    made.pool.set_rules(one_at_a_time());
    let (first, second) = (made.pick("m").unwrap(), made.pick("m").unwrap());
    made.settle(&first, over_minute(1, 50));
    let of_first = Want {
        only: Some(first.id()),
        ..want("m", 0)
    };
    drop(first);
    let waiting: Vec<Waiting> = (0..40).map(|_| queued(&made, &of_first)).collect();
    let mut other = queued(&made, &want("m", 0));
    let id = second.id();
    drop(second);
    assert_eq!(other.take().map(|picked| picked.id()), Some(id));
    drop(waiting);
}

#[test]
fn one_behind_many_that_need_more_has_what_they_have_no_use_for() {
    let made = plain(1);
    made.pool.set_rules(capped(Caps {
        tpm: Some(1_000),
        ..Caps::default()
    }));
    made.settle(&made.pick_sized("m", 600).unwrap(), Outcome::Answered);
    made.at(NOON + 10_000);
    made.settle(&made.pick_sized("m", 350).unwrap(), Outcome::Answered);
    let mut large: Vec<Waiting> = (0..100)
        .map(|more| queued(&made, &want("m", 500 + more)))
        .collect();
    let mut small = queued(&made, &want("m", 100));
    made.at(NOON + 61_000);
    made.pool.serve("m");
    let (first, there_is_room) = (large[0].take().unwrap(), small.take().unwrap());
    assert!(large[1].take().is_none());
    drop((first, there_is_room));
}
