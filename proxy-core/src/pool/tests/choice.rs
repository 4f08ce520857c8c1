//! Which key is chosen.

use super::*;

#[test]
fn keys_take_turns() {
    assert_eq!(plain(3).answered("m", 6), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn keys_of_one_project_share_its_quota() {
    let made = Made::with([of("a"), of("a"), of("b")]);
    let key = made.pick("m").unwrap();
    assert_eq!(key.id(), 0);
    made.settle(&key, over_day(1));
    assert_eq!(made.answered("m", 3), [2, 2, 2]);
    assert_eq!(made.pool.status(1).unwrap().cooldowns.len(), 1);
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
fn lists_are_asked_for_the_model_and_not_for_what_a_call_is_counted_as() {
    let only = |models: &[&str], not_models: &[&str]| KeyRules {
        models: models.iter().map(|name| (*name).to_owned()).collect(),
        not_models: not_models.iter().map(|name| (*name).to_owned()).collect(),
        ..KeyRules::default()
    };
    let made = Made::with([only(&["flash"], &[]), only(&[], &["pro"])]);
    // Neither does a limit of every model hold for what is none.
    let caps = Caps {
        rpd: Some(0),
        ..Caps::default()
    };
    made.pool.set_rules(Rules {
        caps: vec![("*".to_owned(), caps)],
        ..Rules::default()
    });
    let ask = |model, counted_as| {
        let want = Want {
            counted_as: Some(counted_as),
            ..want(model, 0)
        };
        let picked = made.pool.pick(&want)?;
        picked.sent();
        made.settle(&picked, Outcome::Answered);
        Ok(picked.id())
    };
    assert_eq!(ask("pro", COUNT_TOKENS), Err(Unavailable::NoneAllowed));
    let both = [ask("flash", COUNT_TOKENS), ask("flash", COUNT_TOKENS)];
    assert_eq!(both, [Ok(0), Ok(1)], "though another model was asked for");
    assert_eq!(ask("lite", COUNT_TOKENS), Ok(1));
    assert_eq!([ask("", "files"), ask("", "files")], [Ok(0), Ok(1)]);
    // They stand in nobody's way, so they are not shown among the models.
    assert_eq!(made.pool.models(), []);
    assert!(rests_until(&made, "flash").is_some());
    // What is uploaded is to be used with any model.
    for seed in 0..20 {
        assert_eq!(made.pool.home(seed, |_| true), Some(1));
    }
    assert_eq!(made.pool.home(0, |id| id == 0), Some(0));
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
    assert!(is_busy(made.pick("m").err()));
    made.settle(&first, Outcome::Answered);
    assert!(is_busy(made.pick("m").err()), "its stream goes on");
    drop(first);
    assert!(made.pick("m").is_ok());
    drop(second);
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

#[test]
fn what_is_one_keys_goes_to_that_key_and_counts_as_anything_else_does() {
    let made = plain(2);
    made.pool.set_rules(Rules {
        key_concurrency: 1,
        ..capped(Caps {
            rpm: Some(2),
            ..Caps::default()
        })
    });
    let want = Want {
        only: Some(1),
        ..want("m", 0)
    };
    let first = made.pool.pick(&want).unwrap();
    first.sent();
    assert!(is_busy(made.pool.pick(&want).err()));
    made.settle(&first, Outcome::Answered);
    drop(first);
    made.settle(&made.pool.pick(&want).unwrap(), Outcome::Answered);
    let closed = made.pool.pick(&want).err().unwrap();
    assert!(matches!(closed, Unavailable::Resting { .. }), "{closed:?}");
    assert_eq!(made.answered("m", 2), [0, 0], "the other key is free");
    // Who waits for that key keeps nobody from the other.
    let mut waiting = queued(&made, &want);
    made.at(NOON + 61_000);
    assert_eq!(made.answered("m", 1), [0]);
    assert_eq!(waiting.take().map(|picked| picked.id()), Some(1));
    made.pool.set_enabled(1, false);
    assert_eq!(made.pool.pick(&want).err(), Some(Unavailable::NoneUsable));
    made.pool.remove(1);
    assert_eq!(made.pool.pick(&want).err(), Some(Unavailable::NoneUsable));
}

#[test]
fn who_rests_and_would_not_do_anyway_is_not_waited_for() {
    let behind = |proxy: &str| KeyRules {
        proxy: Some(proxy.to_owned()),
        ..KeyRules::default()
    };
    let judge = Judge::new(|by| match by.chosen {
        Some("bad") => Verdict::Never,
        _ => Verdict::May,
    });
    let judged = Want {
        judge: Some(&judge),
        ..want("m", 0)
    };
    let made = Made::with([behind("bad"), behind("bad"), behind("good")]);
    let keys: Vec<Picked> = (0..3).map(|_| made.pick("m").unwrap()).collect();
    made.settle(&keys[0], over_minute(1, 30));
    made.settle(&keys[2], over_minute(1, 50));
    let until = NOON + 50_000;
    let resting = |why| matches!(why, Some(Unavailable::Resting { until: at, .. }) if at == until);
    assert!(resting(made.pool.pick(&judged).err()));
    made.pool.remove(2);
    assert_eq!(made.pool.pick(&judged).err(), Some(Unavailable::AllTried));
    // What was passed over is there for others, and wakes in time.
    let key = made.pick("m").unwrap();
    made.settle(&key, over_day(1));
    assert_eq!(made.pool.pick(&judged).err(), Some(Unavailable::AllTried));
    made.at(NOON + 31_000);
    assert!(made.pick("m").is_ok());
}

/// Keys of these rules; the first is asked, and another is wanted beside it.
fn beside(made: &Made) -> Option<i64> {
    let first = made.pick("m").unwrap();
    let want = Want {
        beside: Some(first.id()),
        ..want("m", 0)
    };
    let picked = made.pool.pick_beside(&want);
    let id = picked.as_ref().map(Picked::id);
    for picked in [Some(first), picked].into_iter().flatten() {
        made.settle(&picked, Outcome::Cancelled);
    }
    id
}

#[test]
fn a_call_is_made_twice_with_another_project_if_there_is_one_else_with_another_key() {
    assert_eq!(beside(&plain(1)), None, "there is one key");
    assert_eq!(beside(&Made::with([of("a"), of("a"), of("b")])), Some(2));
    let made = Made::with([of("a"), of("a")]);
    assert_eq!(beside(&made), Some(1));
    let shown = made.pool.models();
    assert_eq!(shown[0].requests_today, 2, "both count");
}

#[test]
fn a_call_is_made_twice_only_with_what_a_project_has_to_spare() {
    let caps = Caps {
        rpd: Some(4),
        ..Caps::default()
    };
    let made = plain(2);
    made.pool.set_rules(capped(caps));
    for other in [Some(1), Some(1), Some(1), None] {
        assert_eq!(beside(&made), other);
    }
    // What is paid for does not stand in for what is free.
    let paid = KeyRules {
        tier: Tier::Paid,
        ..KeyRules::default()
    };
    let made = Made::with([KeyRules::default(), paid.clone()]);
    assert_eq!(beside(&made), None);
    assert_eq!(beside(&Made::with([paid.clone(), paid])), Some(1));
    // One that comes back from a rest is seen by one request, which somebody needs.
    let made = plain(2);
    let rests = made.pick("m").unwrap();
    made.settle(&rests, over_minute(5, 30));
    assert_eq!(beside(&made), None, "it rests");
    made.at(NOON + 60_000);
    let besides = || {
        let never = [rests.id()];
        let first = made.pool.pick(&Want {
            never: &never,
            ..want("m", 0)
        });
        let twice = Want {
            beside: Some(first.unwrap().id()),
            ..want("m", 0)
        };
        made.pool.pick_beside(&twice).map(|picked| picked.id())
    };
    assert_eq!(besides(), None, "nobody knows whether it works again");
    assert_eq!(made.answered("m", 1), [rests.id()]);
    assert_eq!(besides(), Some(rests.id()));
}

#[test]
fn no_call_is_made_twice_while_others_wait_or_the_model_is_in_trouble() {
    let made = plain(3);
    let busy = made.pick("m").unwrap();
    made.settle(&busy, Outcome::Overloaded);
    assert_eq!(beside(&made), None, "it is overloaded");
    made.answered("m", 1);
    assert!(beside(&made).is_some());

    let made = plain(2);
    made.pool.set_rules(one_at_a_time());
    let (one, two) = (made.pick("m").unwrap(), made.pick("m").unwrap());
    let only = Want {
        only: Some(one.id()),
        ..want("m", 0)
    };
    let waits = queued(&made, &only);
    drop(two);
    let twice = Want {
        beside: Some(one.id()),
        ..want("m", 0)
    };
    assert!(made.pool.pick_beside(&twice).is_none(), "one waits");
    drop(waits);
    assert!(made.pool.pick_beside(&twice).is_some());
}
