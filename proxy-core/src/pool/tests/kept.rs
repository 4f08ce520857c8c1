//! What is known of projects, over changes of the keys and restarts.

use super::*;

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
    let used_at = made.pool.status(0).unwrap().last_used_at;
    assert_eq!(used_at, Some(NOON));
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
        assert_eq!(made.pool.status(shift).unwrap().last_used_at, used_at);
        assert_eq!(made.answered("m", 2), [shift + 1, shift + 1]);
    }
}

/// How often `m` was asked for today.
fn today(made: &Made) -> u64 {
    let models = made.pool.models();
    models.iter().map(|model| model.requests_today).sum()
}

#[test]
fn requests_follow_their_keys_and_count_once() {
    let made = Made::with([of("a"), of("a"), of("a")]);
    made.answered("m", 6);
    assert_eq!(today(&made), 6);
    for (id, project, left) in [(1, "77", 2), (0, "77", 4), (2, "78", 2)] {
        let key = made.pool.pick(&Want {
            only: Some(id),
            ..want("m", 0)
        });
        made.pool
            .settle(&key.unwrap(), Outcome::Forbidden, Some("no"), Some(project));
        assert_eq!(today(&made), 6, "after {id}");
        made.pool.set_rules(capped(Caps {
            rpd: Some(left),
            ..Caps::default()
        }));
        let want = Want {
            only: Some(id),
            ..want("m", 0)
        };
        let asked = made.pool.pick(&want);
        assert!(asked.is_err(), "{id} has asked {left} times");
        made.pool.set_rules(Rules::default());
    }
}

#[test]
fn a_key_that_comes_back_counts_once() {
    let made = Made::with([of("a"), of("a")]);
    made.answered("m", 4);
    made.pool.keep_used();
    made.pool.remove(0);
    made.answered("m", 1);
    assert_eq!(
        today(&made),
        5,
        "what a key has asked that is gone counts on"
    );
    let saved = made.kept.lock().get(&0).cloned();
    made.insert(0, of("a"), saved);
    assert_eq!(today(&made), 5);
    // Its place at the head of the project was another's meanwhile.
    made.pool.keep_used();
    let after = made.restarted(&[of("a"), of("a")]);
    assert_eq!(today(&after), 5);
}

#[test]
fn keys_that_are_numbered_anew_count_once() {
    let made = Made::with([of("a"), of("a")]);
    made.answered("m", 4);
    let numbered = [(0, 100), (1, 1)].map(|(old, id)| NewKey {
        id,
        ..new_key(old, of("a"), None)
    });
    made.pool.replace(numbered);
    assert_eq!(today(&made), 4);
}

#[test]
fn with_limits_of_the_user_the_last_minute_survives_a_restart_too() {
    let rules = capped(Caps {
        rpm: Some(2),
        ..Caps::default()
    });
    let made = plain(1);
    made.pool.set_rules(rules.clone());
    made.answered("m", 2);
    let after = made.restarted(&[KeyRules::default()]);
    after.pool.set_rules(rules);
    assert!(rests_until(&after, "m").is_some());
}

#[test]
fn what_counts_no_more_is_forgotten() {
    let made = plain(1);
    for number in 0..300 {
        made.answered(&format!("m{number}"), 1);
    }
    made.settle(&made.pick("m0").unwrap(), over_day(1));
    let windows = |made: &Made| made.pool.saved(0).unwrap().windows.len();
    assert_eq!(windows(&made), 300);
    made.at(MIDNIGHT);
    made.pool.keep_used();
    assert_eq!(made.pool.lanes.load().len(), 1, "the limit is known on");
    assert_eq!(windows(&made), 1);
    let kept = made.pool.saved(0);
    made.at(MIDNIGHT + 8 * 24 * 3_600_000);
    made.pool.keep_used();
    assert_eq!(made.pool.lanes.load().len(), 0);
    assert_eq!(windows(&made), 0);
    // Neither is what was kept of it brought back.
    let after = Made::empty_at(made.now());
    after.insert(0, KeyRules::default(), kept);
    assert_eq!(after.pool.lanes.load().len(), 0);
    assert_eq!(windows(&after), 0);
}

#[test]
fn however_many_models_are_asked_for_so_many_are_kept_apart() {
    let made = plain(1);
    for number in 0..3_000 {
        made.at(made.now() + 1);
        made.answered(&format!("m{number}"), 1);
    }
    assert!(made.pool.lanes.load().len() <= 1_024);
    let models = made.pool.models();
    assert!(models.iter().any(|model| model.model == "m2999"));
}

/// Puts another key in the place of the first, as the panel does or as what was read anew.
fn exchanged(made: &Made, by_panel: bool) {
    let saved = made.pool.saved(0);
    let another = NewKey {
        secret: Secret::new("AIzaSyAnotherKeyInTheFirstOnesPlace0000".to_owned()),
        ..new_key(0, KeyRules::default(), saved)
    };
    match by_panel {
        true => made.pool.exchange(another),
        false => {
            let keys = [another, new_key(1, KeyRules::default(), None)];
            assert_eq!(made.pool.replace(keys), [0]);
        }
    }
}

fn only(made: &Made, id: i64) -> Result<Picked, Unavailable> {
    let want = Want {
        only: Some(id),
        ..want("m", 0)
    };
    let picked = made.pool.pick(&want)?;
    picked.sent();
    Ok(picked)
}

#[test]
fn a_key_that_comes_into_anothers_place_takes_nothing_over() {
    let as_new = |made: &Made, when: &str| {
        let status = made.pool.status(0).unwrap();
        assert_eq!(status.state, KeyState::Unchecked, "{when}");
        assert_eq!(status.cooldowns, [], "{when}");
        assert_eq!((status.last_error, status.project), (None, None), "{when}");
    };
    for by_panel in [true, false] {
        let made = plain(2);
        let (a, b) = (only(&made, 0).unwrap(), only(&made, 0).unwrap());
        let (late, later) = (only(&made, 0).unwrap(), only(&made, 0).unwrap());
        let unsettled = only(&made, 0).unwrap();
        let refused = Outcome::KeyRefused(RejectReason::Invalid);
        made.settle(&a, over_day(1));
        made.pool.settle(&b, refused, Some("no"), Some("77"));
        assert!(made.kept.lock().contains_key(&0));
        exchanged(&made, by_panel);
        as_new(&made, "at once");
        assert_eq!(today(&made), 0);
        if by_panel {
            let kept = made.kept.lock().get(&0).cloned();
            assert_eq!(kept, Some(SavedKeyState::default()), "over the old one's");
        }
        made.kept.lock().clear();
        // What is said of the old one now is not about this one.
        late.had_tokens(7);
        made.settle(&late, over_day(1));
        made.pool.settle(&later, refused, Some("no"), Some("77"));
        drop((a, b, late, later, unsettled));
        as_new(&made, "later");
        assert!(made.kept.lock().is_empty());
        let key = only(&made, 0).unwrap();
        made.settle(&key, Outcome::Answered);
        assert_eq!(made.pool.status(0).unwrap().state, KeyState::Ready);
        assert_eq!(today(&made), 1);
        made.pool.keep_used();
        let kept = made.kept.lock().get(&0).cloned().unwrap();
        assert_eq!((kept.health, kept.windows.len()), (Health::Ready, 1));
        assert_eq!(kept.windows[0].today, 1);
    }
}

#[test]
fn what_an_exchanged_key_has_asked_stays_with_its_project() {
    let made = Made::with([of("a"), of("a")]);
    made.answered("m", 4);
    made.pool.exchange(NewKey {
        secret: Secret::new("AIzaSyAnotherKeyInTheSecondOnesPlace000".to_owned()),
        ..new_key(1, of("a"), None)
    });
    assert_eq!(today(&made), 4);
    let key = only(&made, 1).unwrap();
    made.pool
        .settle(&key, Outcome::Forbidden, Some("no"), Some("78"));
    assert_eq!(today(&made), 4);
    made.pool.set_rules(capped(Caps {
        rpd: Some(4),
        ..Caps::default()
    }));
    assert!(only(&made, 0).is_err());
    assert!(only(&made, 1).is_ok(), "it has asked nothing");
}

#[test]
fn keys_that_change_their_numbers_keep_what_each_has_asked() {
    let made = plain(2);
    assert_eq!(made.answered("m", 3), [0, 1, 0]);
    let swapped = [(0, 1), (1, 0)].map(|(old, id)| NewKey {
        id,
        ..new_key(old, KeyRules::default(), None)
    });
    made.pool.replace(swapped);
    made.pool.set_rules(capped(Caps {
        rpd: Some(2),
        ..Caps::default()
    }));
    assert!(only(&made, 1).is_err());
    assert!(only(&made, 0).is_ok());
}
