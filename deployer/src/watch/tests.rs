use contract::deploy::{
    DatabaseWish, KeepAlive, ProviderKind, QuietHours, RemoteHealth, RemoteState, RemoteWarning,
    RemoteWish,
};
use contract::{ApiError, ErrorCode, Millis};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::hours::{
    HOUR, MINUTE, Sharer, Sleep, budget, is_quiet, month_of, quiet_end, saw, sleep_of, used,
};
use super::schedule::{Keep, after_knock, after_look, due, keep, next};
use super::settle::{Seen, settle};
use super::view::Around;
use crate::account::{Account, Credential};
use crate::instance::Silence;
use crate::provider::{Data, Observed, ProviderState};
use crate::record::{Awake, Newest, Record, Run, Secrets, Watched};
use crate::wish::Wish;

/// 2026-11-22T12:00:00Z.
const NOON: Millis = 1_795_348_800_000;
/// 2026-12-01T00:00:00Z.
const DECEMBER: Millis = 1_796_083_200_000;
const RENDER: Sleep = Sleep {
    after: 15 * MINUTE,
    hours: Some(750),
};

fn wish(plan: &str) -> Wish {
    let wish = RemoteWish {
        name: "one".to_owned(),
        account: Some(1),
        workspace: None,
        region: None,
        plan: Some(plan.to_owned()),
        image: Some("ghcr.io/o/n:latest".to_owned()),
        database: DatabaseWish::None,
        keys: vec![1],
        settings: Vec::new(),
        time_zone: "UTC".to_owned(),
        keep_alive: KeepAlive::default(),
    };
    Wish::checked(wish, None).unwrap()
}

/// One on the free plan of Render that runs.
fn record(id: i64) -> Record {
    Record {
        id,
        name: format!("remote-{id}"),
        provider: Some(ProviderKind::Render),
        wish: Some(wish("free")),
        secrets: Secrets::known("password".into()),
        remote_id: Some(format!("srv-{id}")),
        url: Some("https://one.onrender.com".to_owned()),
        console_url: None,
        image: None,
        adopted: false,
        state: RemoteState::Running,
        state_since: NOON,
        health: None,
        checked_at: Some(NOON),
        keep_alive: KeepAlive::default(),
        awake: Awake::default(),
        watched: Watched::default(),
        fed: contract::deploy::PushWish::default(),
        next: crate::record::Next::default(),
        run: None,
    }
}

fn kept(id: i64) -> Record {
    Record {
        keep_alive: KeepAlive {
            enabled: true,
            quiet: None,
        },
        ..record(id)
    }
}

fn account() -> Account {
    Account {
        id: 1,
        credential: Credential {
            provider: ProviderKind::Render,
            secret: "rnd_key".into(),
            api: None,
        },
        facts: contract::deploy::AccountFacts::default(),
        checked_at: NOON,
        signed_in_at: Some(NOON),
        spent: Vec::new(),
        problem: None,
    }
}

fn around(records: Vec<Record>) -> Around {
    Around {
        active: Vec::new(),
        now: NOON,
        zone: TimeZone::UTC,
        accounts: vec![account()],
        records,
    }
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn error() -> ApiError {
    ApiError::new(ErrorCode::Unreachable, "nobody there")
}

fn there(state: ProviderState) -> Observed {
    Observed {
        id: "srv-1".to_owned(),
        name: "one".to_owned(),
        is_ours: true,
        url: None,
        console_url: None,
        image: None,
        variables: std::collections::BTreeMap::new(),
        region: None,
        plan: None,
        data: Data::Elsewhere,
        state,
        deploy: None,
    }
}

fn health(keys: u32) -> RemoteHealth {
    RemoteHealth {
        version: "1".to_owned(),
        started_at: Some(1),
        latency_ms: 1,
        keys_ready: Some(keys),
        keys_total: Some(keys),
        requests_today: None,
        errors_today: None,
        sign_in_problem: None,
    }
}

fn by_provider(state: ProviderState) -> Seen {
    Seen {
        provider: Some(Ok(Some(there(state)))),
        app: None,
    }
}

fn silent() -> Seen {
    Seen {
        app: Some(Err(Silence::Nobody(error()))),
        ..by_provider(ProviderState::Running)
    }
}

#[test]
fn what_provider_and_instance_say_makes_one_state() {
    let failing = |message: &str| RemoteState::Failing {
        error: ApiError::new(ErrorCode::Provider, message),
    };
    let unknown = RemoteState::Unknown { error: error() };
    let answers = || Some(Ok(health(1)));
    for (provider, app, expected) in [
        (Some(Ok(None)), None, RemoteState::Gone),
        (Some(Err(error())), None, unknown.clone()),
        (Some(Err(error())), answers(), RemoteState::Running),
        (None, answers(), RemoteState::Running),
        (None, Some(Err(Silence::Nobody(error()))), unknown),
        (
            None,
            Some(Err(Silence::InItsPlace(ProviderState::Suspended))),
            RemoteState::Suspended,
        ),
        (
            Some(Ok(Some(there(ProviderState::Running)))),
            Some(Err(Silence::InItsPlace(ProviderState::Failing("x".into())))),
            failing("x"),
        ),
        (
            Some(Ok(Some(there(ProviderState::Asleep)))),
            None,
            RemoteState::Asleep,
        ),
        (
            Some(Ok(Some(there(ProviderState::Stopped("debt".into()))))),
            None,
            RemoteState::StoppedByProvider {
                reason: "debt".to_owned(),
            },
        ),
    ] {
        let mut record = Record {
            state: RemoteState::Starting,
            ..record(1)
        };
        settle(&mut record, Seen { provider, app }, NOON + MINUTE);
        assert_eq!(record.state, expected);
        assert_eq!(record.state_since, NOON + MINUTE);
    }
}

#[test]
fn one_that_goes_on_failing_has_failed_since_the_first_time() {
    let mut record = record(1);
    for minute in [1, 2, 3] {
        settle(&mut record, silent(), NOON + minute * MINUTE);
    }
    assert_eq!(record.state, RemoteState::Failing { error: error() });
    assert_eq!(record.state_since, NOON + MINUTE);
    assert_eq!(record.checked_at, Some(NOON + 3 * MINUTE));
    // Asked with growing pauses.
    assert_eq!(record.watched.next_at, Some(NOON + (3 + 4) * MINUTE));
}

#[test]
fn a_run_that_broke_off_is_not_hidden_by_looking() {
    use contract::deploy::{StepKind, StepView};
    let step = StepView {
        kind: StepKind::Deploy,
        subject: "one".to_owned(),
        changes: Vec::new(),
    };
    for (state, expected) in [
        (RemoteState::Deploying, RemoteState::Deploying),
        // As an earlier version left it.
        (
            RemoteState::Running,
            RemoteState::Interrupted { error: None },
        ),
    ] {
        let mut record = Record {
            state,
            run: Some(Run::new(vec![step.clone()])),
            ..record(1)
        };
        settle(&mut record, by_provider(ProviderState::Running), NOON);
        assert_eq!(record.state, expected);
    }
}

#[test]
fn who_was_not_asked_stays_as_it_was() {
    let mut record = Record {
        health: Some(health(1)),
        ..record(1)
    };
    let nobody = Seen {
        provider: None,
        app: None,
    };
    settle(&mut record, nobody, NOON + HOUR);
    assert_eq!(record.checked_at, Some(NOON));
    settle(&mut record, by_provider(ProviderState::Asleep), NOON + HOUR);
    assert!(record.health.is_some(), "what it said before it slept");
    settle(
        &mut record,
        by_provider(ProviderState::Suspended),
        NOON + HOUR,
    );
    assert!(record.health.is_none());
}

#[test]
fn plans_and_addresses_tell_who_sleeps() {
    assert_eq!(sleep_of(&record(1)), Some(RENDER));
    let paid = Record {
        wish: Some(wish("starter")),
        ..record(1)
    };
    assert_eq!(sleep_of(&paid), None);
    let added = |url: &str| Record {
        provider: None,
        wish: None,
        url: Some(url.to_owned()),
        ..record(1)
    };
    let sleeps = sleep_of(&added("https://one.onrender.com")).unwrap();
    assert_eq!((sleeps.after, sleeps.hours), (15 * MINUTE, None));
    assert_eq!(sleep_of(&added("https://onrender.com.example")), None);
}

#[test]
fn time_awake_is_counted_between_looks_and_by_the_month() {
    let mut awake = Awake::default();
    saw(&mut awake, RENDER, NOON, true);
    saw(&mut awake, RENDER, NOON + 10 * MINUTE, true);
    assert_eq!(used(&awake, Some(RENDER), NOON + 10 * MINUTE), 10 * MINUTE);
    // Nobody asked: it slept after a quarter of an hour.
    saw(&mut awake, RENDER, NOON + 5 * HOUR, false);
    assert_eq!(used(&awake, Some(RENDER), NOON + 5 * HOUR), 25 * MINUTE);
    saw(&mut awake, RENDER, DECEMBER - 5 * MINUTE, true);
    saw(&mut awake, RENDER, DECEMBER + 5 * MINUTE, true);
    assert_eq!(
        used(&awake, Some(RENDER), DECEMBER + 5 * MINUTE),
        5 * MINUTE,
        "only what is of the new month"
    );
    assert_eq!(month_of(DECEMBER - 1), 1_793_491_200_000);
}

#[test]
fn one_that_is_always_awake_never_has_to_sleep_and_the_second_does() {
    for hour in 0..31 * 24 {
        let now = DECEMBER + hour * HOUR;
        let sharer = |id, used| Sharer {
            id,
            used,
            kept: Some(None),
        };
        let alone = [sharer(1, hour * HOUR)];
        assert!(!budget(750, RENDER, &alone, now, &TimeZone::UTC).is_short());
        let both = [sharer(1, hour * HOUR), sharer(2, 0)];
        let both = budget(750, RENDER, &both, now, &TimeZone::UTC);
        let only_at_the_end: &[i64] = if hour < 743 { &[2] } else { &[] };
        assert_eq!(both.paused, only_at_the_end, "after {hour} hours");
    }
}

#[test]
fn quiet_hours_are_those_of_the_local_day() {
    let night = Some(QuietHours { from: 23, to: 7 });
    // 20:00 in Shanghai, 07:00 in New York.
    assert!(!is_quiet(night, NOON, &zone("Asia/Shanghai")));
    assert!(!is_quiet(night, NOON, &zone("America/New_York")));
    assert!(is_quiet(night, NOON - 1, &zone("America/New_York")));
    let end = quiet_end(night, NOON + 4 * HOUR, &zone("Asia/Shanghai"));
    assert_eq!(end, NOON + 11 * HOUR, "07:00 in Shanghai");
}

#[test]
fn the_watch_does_not_touch_a_run_and_rests_while_there_is_nothing() {
    let rests = |record: &Record| {
        let keep = keep(record, false, NOON, &TimeZone::UTC);
        let is_due = due(record, keep, NOON + HOUR).any();
        assert_eq!(is_due, next(record, keep, NOON, &TimeZone::UTC).is_some());
        !is_due
    };
    for state in [RemoteState::Deploying, RemoteState::Draft] {
        let record = Record { state, ..kept(1) };
        assert!(rests(&record), "{:?}", record.state);
    }
    // What ran before a run that broke off may run still.
    let broken = Record {
        state: RemoteState::Interrupted { error: None },
        ..kept(1)
    };
    assert!(!rests(&broken));
    let nowhere = Record {
        remote_id: None,
        url: None,
        ..broken
    };
    assert!(rests(&nowhere));
}

#[test]
fn keeping_awake_tells_what_it_does_and_costs() {
    let mut one = kept(1);
    assert!(
        around(vec![record(1)])
            .keep_alive_state(&record(1))
            .is_none()
    );
    after_knock(&mut one, true, NOON, 0);
    one.awake.month = month_of(NOON);
    one.awake.used = 100 * HOUR;
    let mut two = record(2);
    two.awake = Awake {
        next_at: None,
        ..one.awake
    };
    let state = around(vec![one.clone(), two])
        .keep_alive_state(&one)
        .unwrap();
    assert_eq!(
        (state.hours_used, state.hours_limit),
        (200, Some(750)),
        "both are of the same workspace"
    );
    // What was deleted has used up what it has used up, in that month.
    let mut around_one = around(vec![one.clone()]);
    let mut gone = one.clone();
    gone.awake.used = 20 * HOUR;
    let account = &mut around_one.accounts[0];
    assert!(super::keep_spent(account, &gone, NOON) && super::keep_spent(account, &gone, NOON));
    let hours = |around: &Around| around.keep_alive_state(&one).unwrap().hours_used;
    assert_eq!(hours(&around_one), 140);
    around_one.accounts[0].spent[0].month -= 31 * 24 * HOUR;
    assert_eq!(hours(&around_one), 100);
    assert_eq!(state.next_at, Some(NOON + 10 * MINUTE));
    assert_eq!(state.last_ok_at, Some(NOON));
    one.keep_alive.quiet = Some(QuietHours { from: 12, to: 13 });
    let state = around(vec![one.clone()]).keep_alive_state(&one).unwrap();
    assert_eq!(state.next_at, None);
    one.awake.used = 745 * HOUR;
    one.keep_alive.quiet = None;
    let state = around(vec![one.clone()]).keep_alive_state(&one).unwrap();
    assert!(state.paused_by_budget && state.next_at.is_none());
}

#[test]
fn the_most_urgent_warning_comes_first() {
    let mut record = kept(1);
    assert_eq!(around(vec![record.clone()]).warnings(&record), []);
    record.health = Some(health(0));
    record.awake.month = month_of(NOON);
    record.awake.used = 749 * HOUR;
    record.image = Some(
        "ghcr.io/o/n@sha256:1111111111111111111111111111111111111111111111111111111111111111"
            .to_owned(),
    );
    record.watched.newest = Some(Newest {
        image: "ghcr.io/o/n:latest".to_owned(),
        digest: Some("sha256:2".to_owned()),
        asked_at: NOON,
    });
    let mut around = around(vec![record.clone()]);
    let account = around.accounts.first_mut().unwrap();
    account.problem = Some(error());
    account.credential.provider = ProviderKind::ClawCloud;
    account.signed_in_at = Some(NOON - 24 * 24 * HOUR);
    account.facts.expires_at = Some(NOON + HOUR);
    assert_eq!(
        around.warnings(&record),
        [
            RemoteWarning::Account { error: error() },
            RemoteWarning::KeysLost,
            RemoteWarning::HoursRunOut {
                used: 749,
                limit: 750
            },
            RemoteWarning::SignInDue {
                by: NOON + 6 * 24 * HOUR
            },
            RemoteWarning::CredentialEnds { at: NOON + HOUR },
            RemoteWarning::NewerImage {
                digest: "sha256:2".to_owned()
            },
        ]
    );
    around.accounts.clear();
    let without = around.warnings(&record);
    assert!(
        matches!(&without[0], RemoteWarning::Account { error } if error.code == ErrorCode::NotFound)
    );
}

fn quiet() -> impl Strategy<Value = Option<QuietHours>> {
    proptest::option::of((0_u8..24, 0_u8..24))
        .prop_map(|hours| hours.map(|(from, to)| QuietHours { from, to }))
}

fn zones() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("UTC"),
        Just("Asia/Shanghai"),
        Just("Asia/Kolkata"),
        Just("America/New_York")
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The last days of a month, with fewer hours than all want: they are never used up, and
    /// nobody is kept awake in quiet hours.
    #[test]
    fn the_hours_last_until_the_month_ends(
        quiets in proptest::collection::vec(quiet(), 1..4),
        zone_name in zones(),
        limit in 6_u32..150,
        days in 1_i64..4,
    ) {
        let zone = zone(zone_name);
        let mut awake = vec![Awake::default(); quiets.len()];
        let mut awake_until = vec![0; quiets.len()];
        let mut truth = 0;
        let mut now = DECEMBER - days * 24 * HOUR;
        while now < DECEMBER {
            let sharers: Vec<Sharer> = (0..quiets.len())
                .map(|at| Sharer {
                    id: at as i64,
                    used: used(&awake[at], Some(RENDER), now),
                    kept: Some(quiets[at]),
                })
                .collect();
            let budget = budget(limit, RENDER, &sharers, now, &zone);
            for at in 0..quiets.len() {
                let is_kept =
                    !is_quiet(quiets[at], now, &zone) && !budget.paused.contains(&(at as i64));
                if is_kept {
                    awake_until[at] = now + 15 * MINUTE;
                }
                saw(&mut awake[at], RENDER, now, awake_until[at] > now);
                let step_end = (now + 10 * MINUTE).min(DECEMBER);
                truth += (awake_until[at].min(step_end) - now).max(0);
            }
            now += 10 * MINUTE;
        }
        prop_assert!(truth <= i64::from(limit) * HOUR, "{} h", truth / HOUR);
    }

    #[test]
    fn one_that_answers_is_asked_before_it_falls_asleep_and_never_twice_at_once(
        answers in proptest::collection::vec((any::<bool>(), -5 * MINUTE..5 * MINUTE), 1..200),
    ) {
        let mut record = kept(1);
        let mut now = NOON;
        for (answered, jitter) in answers {
            after_knock(&mut record, answered, now, jitter);
            let next = record.awake.next_at.unwrap();
            let gap = next - now;
            prop_assert!((MINUTE..=11 * MINUTE).contains(&gap));
            prop_assert!(!answered || gap >= 9 * MINUTE);
            prop_assert!(!due(&record, Keep::Awake, next - 1).knock);
            prop_assert!(due(&record, Keep::Awake, next).knock);
            now = next;
        }
    }

    /// What was done is not due again at once, whatever the clock does, and something comes
    /// next.
    #[test]
    fn nothing_is_due_again_at_once(
        state in prop_oneof![
            Just(RemoteState::Running),
            Just(RemoteState::Asleep),
            Just(RemoteState::Waking),
            Just(RemoteState::Starting),
            Just(RemoteState::Gone),
            Just(RemoteState::Suspended),
            Just(RemoteState::Failing { error: error() }),
            Just(RemoteState::Unknown { error: error() }),
        ],
        quiet in quiet(),
        zone_name in zones(),
        failures in 0_u32..200,
        stored in proptest::option::of(any::<i64>()),
        now in 0..4 * NOON,
        paused in any::<bool>(),
    ) {
        let zone = zone(zone_name);
        let mut record = Record { state, ..kept(1) };
        record.keep_alive.quiet = quiet;
        record.watched.failures = failures;
        record.watched.next_at = stored;
        record.awake.next_at = stored;
        let keep = keep(&record, paused, now, &zone);
        let is_due = due(&record, keep, now);
        prop_assert_eq!(next(&record, keep, now, &zone) == Some(now), is_due.any());
        if is_due.knock {
            after_knock(&mut record, false, now, 0);
        }
        after_look(&mut record, now);
        prop_assert!(!due(&record, keep, now).any());
        let coming = next(&record, keep, now, &zone).unwrap();
        prop_assert!(coming > now && coming <= now + 25 * HOUR);
    }

    #[test]
    fn quiet_hours_end(quiet in quiet(), zone_name in zones(), now in 0..2 * NOON) {
        let zone = zone(zone_name);
        let end = quiet_end(quiet, now, &zone);
        prop_assert!(!is_quiet(quiet, end, &zone));
        prop_assert!(end == now || is_quiet(quiet, now, &zone));
    }
}
