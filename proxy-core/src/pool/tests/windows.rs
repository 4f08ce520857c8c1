//! Limits, rests and trials.

use super::*;

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
fn a_day_that_is_over_here_and_not_yet_at_google_costs_a_minute_and_no_day() {
    const MINUTE: Millis = 60_000;
    // This machine's clock is five seconds ahead, or Google is late: at midnight all that are used
    // up are asked, and Google still counts the day before.
    let made = plain(2);
    for _ in 0..2 {
        let key = made.pick("m").unwrap();
        made.settle(&key, over_day(1));
    }
    made.at(MIDNIGHT);
    for _ in 0..2 {
        let key = made.pick("m").unwrap();
        made.settle(&key, over_day(1));
    }
    let expected = Some((MIDNIGHT + MINUTE, CooldownReason::PerDay));
    assert_eq!(rests_until(&made, "m"), expected);
    made.at(MIDNIGHT + MINUTE);
    let trial = made.pick("m").unwrap();
    made.settle(&trial, Outcome::Answered);
    // One that others have used up since says so again, and rests when the day is old enough.
    let key = made.pick("m").unwrap();
    made.at(MIDNIGHT + 16 * MINUTE);
    made.settle(&key, over_day(20));
    let expected = Some((MIDNIGHT + 24 * 60 * MINUTE, CooldownReason::PerDay));
    assert_eq!(rests_until(&made, "m"), expected);
}

#[test]
fn a_day_that_was_over_for_a_call_of_yesterday_is_over_no_more() {
    let made = plain(1);
    made.at(MIDNIGHT - 1_000);
    let late = made.pick("m").unwrap();
    // Its refusal took long.
    let now = MIDNIGHT + 20 * 60_000;
    made.at(now);
    made.settle(&late, over_day(20));
    let expected = Some((now + 60_000, CooldownReason::PerDay));
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
fn after_a_rest_there_is_one_trial_and_no_flood() {
    let made = plain(1);
    let key = made.pick("m").unwrap();
    let over = quota(CooldownReason::PerMinute, Limits::default(), None);
    made.settle(&key, over);
    made.at(NOON + 60_000);
    let trial = made.pick("m").unwrap();
    assert!(is_busy(made.pick("m").err()));
    drop(trial);
    let trial = made.pick("m").unwrap();
    assert!(is_busy(made.pick("m").err()), "the client went away");
    made.settle(&trial, Outcome::Answered);
    made.answered("m", 5);
}

#[test]
fn nobody_waits_for_the_whole_answer_of_a_trial() {
    let made = plain(2);
    let (a, b) = (made.pick("m").unwrap(), made.pick("m").unwrap());
    made.settle(&a, over_day(20));
    made.settle(&b, over_minute(10, 30));
    made.at(NOON + 60_000);
    let slow = made.pick("m").unwrap();
    assert_eq!(slow.id(), b.id());
    let until = made.now() + 5_000;
    let day = Opening {
        until: MIDNIGHT,
        reason: CooldownReason::PerDay,
    };
    let expected = Unavailable::Busy {
        with: Occupied::Trial { until },
        opens: Some(day),
    };
    assert_eq!(
        made.pick("m").err(),
        Some(expected),
        "and it says what rests"
    );
    let of_that = Want {
        only: Some(b.id()),
        ..want("m", 0)
    };
    let expected = Unavailable::Busy {
        with: Occupied::Trial { until },
        opens: None,
    };
    assert_eq!(made.pool.pick(&of_that).err(), Some(expected));
    let mut waiting = queued(&made, &want("m", 0));
    assert_eq!(made.pool.serve("m"), Some(until));
    // It was not refused so far: one more goes, and one only.
    made.at(until);
    made.pool.serve("m");
    let second = waiting.take().unwrap();
    assert!(is_busy(made.pick("m").err()));
    // The first ends late, and says nothing of whether the second has ended.
    drop(slow);
    assert!(is_busy(made.pick("m").err()));
    made.settle(&second, Outcome::Answered);
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
    assert!(is_busy(made.pick("m").err()));
    // One that goes away in the middle leaves no key behind that nobody may ask.
    made.pool.remove(b.id());
    drop(trial);
    assert!(matches!(
        made.pick("m").err(),
        Some(Unavailable::Resting { .. })
    ));
}

#[test]
fn what_google_refused_does_not_count_and_what_it_may_have_counted_does() {
    for (outcome, counted) in [
        (Outcome::Answered, 1),
        (Outcome::Empty, 1),
        (Outcome::TooSlow, 1),
        (Outcome::Cancelled, 1),
        (Outcome::NoTurn, 0),
        (Outcome::Unconnected, 0),
        (Outcome::Unreachable, 1),
        (Outcome::NotGoogle, 0),
        (Outcome::Unreadable, 1),
        (Outcome::ProjectRefused { lasting: false }, 0),
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
fn a_call_that_waited_too_long_for_its_turn_does_not_leave_when_its_room_is_taken() {
    let made = plain(1);
    made.pool.set_rules(capped(Caps {
        rpm: Some(1),
        ..Caps::default()
    }));
    made.at(NOON);
    let waits = made.pool.pick(&want("m", 10)).unwrap();
    made.at(NOON + 61_000);
    let other = made.pool.pick(&want("m", 10)).unwrap();
    other.sent();
    made.settle(&other, Outcome::Answered);
    made.at(NOON + 62_000);
    assert!(!waits.waited(), "two would be sent in a minute");
    made.settle(&waits, Outcome::NoTurn);
    assert_eq!(made.pool.models()[0].requests_today, 1);
}

#[test]
fn a_call_that_waits_for_its_turn_counts_from_when_it_leaves() {
    let made = plain(1);
    made.pool.set_rules(capped(Caps {
        rpm: Some(1),
        ..Caps::default()
    }));
    let leaves = MIDNIGHT + 30_000;
    made.at(MIDNIGHT - 20_000);
    let key = made.pool.pick(&want("m", 10)).unwrap();
    made.at(leaves);
    assert!(key.waited());
    key.sent();
    made.settle(&key, Outcome::Answered);
    made.at(leaves + 50_000);
    let until = leaves + 60_250;
    let reason = CooldownReason::PerMinute;
    assert_eq!(
        made.pick("m").err(),
        Some(Unavailable::Resting { until, reason })
    );
    assert_eq!(made.pool.models()[0].requests_today, 1);
    made.at(until);
    assert!(made.pick("m").is_ok());
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
    assert_eq!(state, KeyState::Limited, "of use for another model");
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
fn what_one_project_may_is_found_out_of_the_others_one_request_at_a_time() {
    let made = plain(2);
    made.answered("m", 4);
    let first = made.pick("m").unwrap();
    made.settle(&first, over_day(2));
    // The other has been asked as often; whether it may be more is seen by one.
    let trial = made.pick("m").unwrap();
    assert_ne!(trial.id(), first.id());
    assert!(is_busy(made.pick("m").err()));
    made.settle(&trial, Outcome::Answered);
    let both = (made.pick("m").unwrap(), made.pick("m").unwrap());
    assert_eq!(both.0.id(), both.1.id(), "it may");
}

#[test]
fn a_limit_that_is_too_old_to_be_believed_is_seen_to_by_one_request() {
    let made = plain(1);
    made.settle(&made.pick("m").unwrap(), over_day(1));
    made.at(NOON + 8 * 24 * 3_600_000);
    made.answered("m", 1);
    let trial = made.pick("m").unwrap();
    assert!(is_busy(made.pick("m").err()));
    made.settle(&trial, Outcome::Answered);
    let _both = (made.pick("m").unwrap(), made.pick("m").unwrap());
}

fn too_large(limit: u64) -> Outcome {
    Outcome::PromptTooLarge {
        limit,
        retry_after: Some(Duration::from_secs(38)),
    }
}

#[test]
fn a_prompt_that_is_too_large_for_one_project_goes_to_another_and_not_there_again() {
    let rules = vec![KeyRules::default(); 2];
    let mut made = Made::with(rules.clone());
    let small = made.pick_sized("m", 300).unwrap();
    made.settle(&small, too_large(250));
    let large = 1 - small.id();
    for restarted in [false, true] {
        if restarted {
            made = made.restarted(&rules);
        }
        for _ in 0..3 {
            let key = made.pick_sized("m", 300).unwrap();
            assert_eq!(key.id(), large);
            made.settle(&key, Outcome::Answered);
        }
        let status = made.pool.status(small.id()).unwrap();
        assert_eq!(status.cooldowns, [], "it is of use for others");
    }
    // Nothing else was sent in that minute, so it is its size.
    made.at(made.now() + 61_000);
    let key = made.pick_sized("m", 1_300).unwrap();
    made.settle(&key, too_large(1_000));
    let any = want("m", 1_300);
    let none = Unavailable::TooLarge { limit: 1_000 };
    assert_eq!(made.pick_sized("m", 1_300).err(), Some(none));
    // Waiting does not help.
    let asked = made.pool.ask(&any, made.now() + 600_000);
    assert_eq!(asked.err(), Some(none));
    let opens = made.pool.opens(&any, CooldownReason::TokensPerMinute);
    assert_eq!(opens, none);
    let only = Want {
        only: Some(small.id()),
        ..want("m", 300)
    };
    let limit = 250;
    let none = Some(Unavailable::TooLarge { limit });
    assert_eq!(made.pool.pick(&only).err(), none);
    // Who clears wants to know.
    made.pool.clear_cooldowns(&[], None);
    let key = made.pick_sized("m", 1_300).unwrap();
    made.settle(&key, too_large(1_000));
    made.at(NOON + 8 * 24 * 3_600_000);
    assert!(made.pick_sized("m", 1_300).is_ok(), "it may be more by now");
}

#[test]
fn a_prompt_that_google_has_refused_is_not_sent_again_whatever_the_user_says_of_the_limit() {
    let made = plain(1);
    made.pool.set_rules(capped(Caps {
        tpm: Some(2_000),
        ..Caps::default()
    }));
    let key = made.pick_sized("m", 300).unwrap();
    made.settle(&key, too_large(250));
    assert!(made.pick_sized("m", 300).is_err());
    assert!(
        made.pick_sized("m", 299).is_ok(),
        "the user may know better"
    );
}

#[test]
fn one_denied_project_does_not_hide_when_the_others_are_back() {
    let made = plain(2);
    let denied = made.pick("m").unwrap();
    made.settle(&denied, Outcome::ProjectRefused { lasting: false });
    let other = made.pick("m").unwrap();
    made.settle(&other, over_day(1));
    let (until, reason) = (MIDNIGHT, CooldownReason::PerDay);
    assert_eq!(
        made.pick("m").err(),
        Some(Unavailable::Resting { until, reason })
    );
    // It is asked again all the same when its time has come.
    made.at(NOON + 60_000);
    assert_eq!(made.pick("m").unwrap().id(), denied.id());
}

#[test]
fn a_prompt_that_was_refused_together_with_others_is_tried_alone() {
    let made = plain(1);
    let other = made.pick_sized("m", 200).unwrap();
    made.settle(&other, Outcome::Answered);
    let close = made.pick_sized("m", 260).unwrap();
    made.settle(&close, too_large(250));
    let reason = CooldownReason::TokensPerMinute;
    assert_eq!(rests_until(&made, "m"), Some((NOON + 38_000, reason)));
    made.at(NOON + 61_000);
    let alone = made.pick_sized("m", 260).unwrap();
    made.settle(&alone, too_large(250));
    let limit = 250;
    let none = Some(Unavailable::TooLarge { limit });
    assert_eq!(made.pick_sized("m", 260).err(), none);
}

#[test]
fn one_that_rests_is_waited_for_though_others_are_too_small() {
    let made = plain(40);
    for _ in 0..39 {
        let key = made.pick_sized("m", 300).unwrap();
        made.settle(&key, too_large(250));
    }
    let large = made.pick_sized("m", 300).unwrap();
    made.settle(&large, over_minute(5, 30));
    let why = made.pick_sized("m", 300).err();
    let (until, reason) = (NOON + 30_000, CooldownReason::PerMinute);
    assert_eq!(why, Some(Unavailable::Resting { until, reason }));
    made.at(until);
    assert_eq!(made.pick_sized("m", 300).unwrap().id(), large.id());
}

#[test]
fn a_project_that_is_refused_again_rests_for_longer_each_time_and_for_its_own_reason() {
    let minute = 60_000;
    let unexplained = || quota(CooldownReason::Unexplained, Limits::default(), None);
    for (outcome, reason, longest) in [
        (unexplained(), CooldownReason::Unexplained, 60 * minute),
        (
            Outcome::ProjectRefused { lasting: false },
            CooldownReason::ProjectRefused,
            24 * 60 * minute,
        ),
    ] {
        let rules = [KeyRules::default()];
        let mut made = plain(1);
        let mut expected = minute;
        for _ in 0..14 {
            let key = made.pick("m").unwrap();
            made.settle(&key, outcome);
            made.settle(&key, outcome);
            let (until, told) = rests_until(&made, "m").unwrap();
            assert_eq!((until - made.now(), told), (expected, reason));
            let said = made.pool.status(0).unwrap().last_error;
            assert_eq!(said.as_deref(), Some("said"));
            made.at(until);
            made = made.restarted(&rules);
            expected = (expected * 2).min(longest);
        }
        assert!(made.answered("other", 1) == [0], "only the model is");
        made.answered("m", 1);
        let key = made.pick("m").unwrap();
        made.settle(&key, outcome);
        let (until, _) = rests_until(&made, "m").unwrap();
        assert_eq!(until - made.now(), minute, "it was good in between");
    }
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(&key, Outcome::ProjectRefused { lasting: true });
    let expected = (NOON + 24 * 60 * minute, CooldownReason::ProjectRefused);
    assert_eq!(rests_until(&made, "m"), Some(expected));
}
