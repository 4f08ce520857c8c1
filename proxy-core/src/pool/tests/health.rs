//! What outcomes mean for keys and models.

use super::*;

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
        Outcome::Cancelled,
        Outcome::NoTurn,
        Outcome::Unconnected,
        Outcome::NotGoogle,
        Outcome::Unreadable,
    ] {
        let made = plain(1);
        let key = made.pick("m").unwrap();
        made.settle(&key, outcome);
        let status = made.pool.status(0).unwrap();
        let is_fine = matches!(status.state, KeyState::Unchecked | KeyState::Ready);
        assert!(is_fine, "{outcome:?}: {:?}", status.state);
        assert_eq!(status.cooldowns, [], "{outcome:?}");
    }
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
        // Those of the same moment would count once.
        made.at(made.now() + i64::try_from(pause.as_millis()).unwrap());
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
fn switching_a_key_on_or_clearing_forgets_nothing_that_was_used() {
    let made = Made::with([of("a"), of("a")]);
    made.answered("m", 3);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_day(3));
    made.pool.set_enabled(0, true);
    let shown = &made.pool.models()[0];
    assert_eq!((shown.requests_today, shown.left_today), (3, Some(0)));
    assert!(made.pick("m").is_err(), "it has used up its three");
    // Who clears wants to know whether that still holds. One request sees.
    made.pool.clear_cooldowns(&[], None);
    assert_eq!(made.pool.models()[0].requests_today, 3);
    let trial = made.pick("m").unwrap();
    assert!(is_busy(made.pick("m").err()));
    made.settle(&trial, over_day(3));
    assert_eq!(
        rests_until(&made, "m"),
        Some((MIDNIGHT, CooldownReason::PerDay))
    );
    // The user's own limits hold in any case.
    made.pool.set_rules(capped(Caps {
        rpd: Some(3),
        ..Caps::default()
    }));
    made.pool.clear_cooldowns(&[], None);
    assert!(made.pick("m").is_err());
}

#[test]
fn a_limit_that_is_met_shows_that_google_takes_the_key() {
    let made = plain(3);
    made.answered("m", 3);
    for _ in 0..3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    let Err(Unavailable::Outage { until }) = made.pick("m") else {
        panic!("Google is still asked");
    };
    made.at(until);
    let trial = made.pick("m").unwrap();
    made.settle(&trial, over_day(1));
    made.answered("m", 2);
    let made = plain(1);
    let key = made.pick("m").unwrap();
    made.settle(&key, over_minute(1, 5));
    made.at(NOON + 60_000);
    assert_eq!(made.pool.status(0).unwrap().state, KeyState::Ready);
}

#[test]
fn after_a_refusal_of_all_one_call_sees_whether_it_is_over_whatever_its_model() {
    let made = plain(3);
    made.answered("m", 3);
    for _ in 0..3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    made.at(NOON + 60_000);
    let trial = made.pick("m").unwrap();
    assert!(matches!(
        made.pick("other").err(),
        Some(Unavailable::Outage { .. })
    ));
    // An outage that is over is not prolonged by a call that was about to see.
    made.settle(&trial, Outcome::Answered);
    made.answered("other", 2);
}

#[test]
fn many_refusals_in_a_row_are_no_keys_fault_though_others_were_not_tried() {
    let made = plain(30);
    made.answered("m", 30);
    for count in 1..=20 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
        let expected = if count < 20 { count } else { 0 };
        assert_eq!(made.pool.summary().rejected, expected);
    }
    assert!(matches!(
        made.pick("m").err(),
        Some(Unavailable::Outage { .. })
    ));
    // With something that goes well in between, each is refused for itself.
    let made = plain(30);
    made.answered("m", 30);
    for count in 1..=25 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
        assert_eq!(made.pool.summary().rejected, count);
        made.answered("other", 1);
    }
}

/// Has a model be overloaded so often in a row that only one call may see whether that is over.
fn overload(made: &Made) {
    for _ in 0..5 {
        made.settle(&made.pick("m").unwrap(), Outcome::Overloaded);
        // The longest pause.
        made.at(made.now() + 10_000);
    }
}

#[test]
fn many_calls_that_meet_one_wave_count_once() {
    let made = plain(10);
    let calls: Vec<Picked> = (0..10).map(|_| made.pick("m").unwrap()).collect();
    for call in &calls {
        let pause = made.settle(call, Outcome::Overloaded).pause;
        assert!(pause <= Duration::from_millis(250), "{pause:?}");
    }
    assert!(made.pick("m").is_ok(), "it was overloaded once");
    made.at(NOON + 1_000);
    // In a row they count, and then one sees whether it is over.
    overload(&made);
    let trial = made.pick("m").unwrap();
    assert!(made.pick("m").is_err());
    made.settle(&trial, Outcome::Answered);
    made.answered("m", 3);
}

#[test]
fn one_more_sees_whether_a_model_works_again_when_the_first_takes_long() {
    let made = plain(2);
    overload(&made);
    let slow = made.pick("m").unwrap();
    let begun = made.now();
    made.at(begun + 4_999);
    assert!(made.pick("m").is_err(), "one at a time");
    made.at(begun + 5_000);
    let second = made.pick("m").unwrap();
    drop(slow);
    assert!(made.pick("m").is_err(), "the second is still under way");
    made.settle(&second, Outcome::Answered);
    made.answered("m", 3);
}

#[test]
fn the_keys_of_one_suspended_project_are_refused_and_not_taken_for_all_of_google() {
    let made = Made::with(vec![of("one"); 3]);
    made.answered("m", 3);
    for count in 1..=3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Suspended));
        assert_eq!(made.pool.summary().rejected, count);
    }
    assert_eq!(made.pick("m").err(), Some(Unavailable::NoneUsable));
}

#[test]
fn keys_that_google_has_found_in_public_are_refused_each_for_itself() {
    let made = plain(3);
    made.answered("m", 3);
    for count in 1..=3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Leaked));
        assert_eq!(made.pool.summary().rejected, count);
    }
}

#[test]
fn what_a_check_says_is_about_its_key_though_all_are_refused() {
    let made = plain(3);
    made.answered("m", 3);
    for _ in 0..3 {
        let key = made.pick("m").unwrap();
        made.settle(&key, Outcome::KeyRefused(RejectReason::Invalid));
    }
    assert!(made.pool.is_outage());
    let checked = made.pool.pick_by_id(1).unwrap();
    made.settle(&checked, Outcome::KeyRefused(RejectReason::Suspended));
    let reason = RejectReason::Suspended;
    assert_eq!(
        made.pool.status(1).unwrap().state,
        KeyState::Rejected { reason }
    );
    assert_eq!(made.pool.summary().rejected, 1);
}

#[test]
fn a_key_whose_calls_fail_on_their_way_is_asked_after_the_others_for_a_while() {
    for outcome in [
        Outcome::Unconnected,
        Outcome::Unreachable,
        Outcome::LocationRefused,
        Outcome::NotGoogle,
    ] {
        let paid = KeyRules {
            tier: Tier::Paid,
            ..KeyRules::default()
        };
        let made = Made::with([KeyRules::default(), paid]);
        // By one way for all, a failure says nothing of a project.
        let failing = made.pick("m").unwrap();
        made.settle(&failing, outcome);
        assert_eq!(made.answered("m", 1), [0], "{outcome:?}");
        made.pool.set_rules(Rules {
            has_ways: true,
            ..Rules::default()
        });
        let failing = made.pick("m").unwrap();
        assert_eq!(failing.id(), 0, "it is free");
        made.settle(&failing, outcome);
        assert_eq!(made.answered("m", 3), [1, 1, 1], "{outcome:?}");
        made.at(NOON + 10_000);
        let again = made.pick("m").unwrap();
        assert_eq!(again.id(), 0, "{outcome:?}");
        made.settle(&again, outcome);
        made.at(NOON + 20_001);
        assert_eq!(made.answered("m", 2), [1, 1], "for longer each time");
        made.at(NOON + 30_000);
        assert_eq!(made.answered("m", 3), [0, 0, 0], "{outcome:?}");
    }
}
