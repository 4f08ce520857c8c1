//! Records and their sums, on both engines.

use std::collections::BTreeMap;

use contract::admin::{RequestQuery, RequestResult, TryOutcome, TryView};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::Keep;
use super::super::database::{query, query_built};
use super::*;
use crate::record::slots::{self, Period};
use crate::record::{Detail, Try};

on_both! {
    sums_tell_the_same_as_the_requests_whatever_the_batches
    each_tokens_last_use_is_kept_also_of_many_at_once
    pages_hold_every_request_that_is_asked_for_once
    requests_show_the_names_of_what_is_gone_and_their_details
    what_has_been_kept_long_enough_goes_and_its_sums_stay
    requests_from_before_there_were_sums_are_summed_up_once
}

/// A sum's key and its ten numbers.
type Table = BTreeMap<(String, String, Millis, String), Vec<i64>>;

const NUMBERS: [&str; 10] = [
    "requests",
    "errors",
    "prompt_tokens",
    "output_tokens",
    "thought_tokens",
    "cached_tokens",
    "cost_micros",
    "latency_ms",
    "ttft_ms",
    "ttft_count",
];

async fn table(store: &Store) -> Table {
    let rows = query("SELECT * FROM sums")
        .fetch_all(store.db().unwrap().read())
        .await
        .unwrap();
    let numbers = |row: &super::super::database::Row| {
        NUMBERS.iter().map(|name| row.get(name).unwrap()).collect()
    };
    rows.iter()
        .map(|row| {
            let key = (
                row.get("period").unwrap(),
                row.get("kind").unwrap(),
                row.get("at").unwrap(),
                row.get("name").unwrap(),
            );
            (key, numbers(row))
        })
        .collect()
}

/// What the table must hold, put together in the plainest way.
fn expected(requests: &[RequestRecord], zone: &TimeZone) -> Table {
    let mut table = Table::new();
    for request in requests {
        let failed = i64::from(request.error.is_some());
        let whole = vec![
            1,
            failed,
            request.prompt_tokens.into(),
            request.output_tokens.into(),
            request.thought_tokens.into(),
            request.cached_tokens.into(),
            request.cost_micros.unwrap_or(0).try_into().unwrap(),
            request.latency_ms.into(),
            request.ttft_ms.unwrap_or(0).into(),
            request.ttft_ms.is_some().into(),
        ];
        let attempt = vec![1, 1, 0, 0, 0, 0, 0, request.latency_ms.into(), 0, 0];
        let mut names: Vec<(&str, String, &[i64])> = vec![
            ("all", String::new(), &whole),
            ("status", request.status.to_string(), &whole),
            (
                "surface",
                format!("{:?}", request.surface).to_lowercase(),
                &whole,
            ),
        ];
        for id in &request.failed_keys {
            names.push(("key", id.to_string(), &attempt));
        }
        if let Some(id) = request.key_id {
            names.push(("key", id.to_string(), &whole));
        }
        if let Some(id) = request.token_id {
            names.push(("token", id.to_string(), &whole));
            if request.attempts > 0 || failed == 0 {
                names.push(("admitted", id.to_string(), &whole));
            }
        }
        let met = request.attempts > 0 || request.status == 429;
        if request.status != 404 && met {
            names.push(("model", request.model.to_string(), &whole));
        }
        for (letter, period) in [
            ("h", Period::Hour),
            ("d", Period::Day),
            ("m", Period::Month),
        ] {
            let at = slots::begin(period, request.at, zone);
            for (kind, name, numbers) in &names {
                if letter != "d" && *kind == "admitted" {
                    continue;
                }
                let key = (letter.to_owned(), (*kind).to_owned(), at, name.clone());
                let row = table.entry(key).or_insert_with(|| vec![0; 10]);
                row.iter_mut().zip(*numbers).for_each(|(sum, n)| *sum += n);
            }
        }
    }
    table
}

fn any_request() -> impl Strategy<Value = RequestRecord> {
    let what = (
        0..40_i64,
        prop::sample::select(vec![Surface::Openai, Surface::Gemini, Surface::Anthropic]),
        prop::sample::select(vec!["gemini-2.5-pro", "gemini-2.5-flash", "模型 ' \" %_"]),
        prop::option::of(1..4_i64),
        prop::collection::vec(1..4_i64, 0..3),
        prop::option::of(-2..3_i64),
    );
    let how = (
        prop::sample::select(vec![200_u16, 404, 429, 503]),
        0..4_u8,
        0..100_000_u32,
        prop::option::of(0..10_000_u32),
        any::<[u16; 4]>(),
        prop::option::of(0..1_000_000_u64),
    );
    (what, how).prop_map(|(what, how)| {
        let (hours, surface, model, key_id, failed_keys, token_id) = what;
        let (status, attempts, latency_ms, ttft_ms, tokens, cost_micros) = how;
        // Around the night in which Berlin puts its clocks back.
        let at = 1_792_864_800_000 + hours * 3_599_999;
        RequestRecord {
            at,
            model: model.into(),
            key_id,
            failed_keys,
            token_id,
            status,
            attempts,
            latency_ms,
            ttft_ms,
            prompt_tokens: tokens[0].into(),
            output_tokens: tokens[1].into(),
            thought_tokens: tokens[2].into(),
            cached_tokens: tokens[3].into(),
            error: (status != 200).then(|| "It failed.".into()),
            cost_micros,
            ..RequestRecord::blank(surface)
        }
    })
}

async fn sums_tell_the_same_as_the_requests_whatever_the_batches(world: World) {
    let store = world.open().await;
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let mut runner = TestRunner::deterministic();
    let some = prop::collection::vec(
        (prop::collection::vec(any_request(), 0..300), 1..4_usize),
        1..4,
    );
    let mut written = Vec::new();
    let mut number = 0;
    for _ in 0..6 {
        let batches = some.new_tree(&mut runner).unwrap().current();
        for (requests, times) in batches {
            number += 1;
            for _ in 0..times {
                let batch = Batch {
                    number: Some(("writer".to_owned(), number)),
                    requests: requests.clone(),
                    time_zone: zone.clone(),
                    ..Batch::default()
                };
                store.write(&batch).await.unwrap();
            }
            written.extend(requests);
        }
        let (there, expected) = (table(&store).await, expected(&written, &zone));
        // One row, not all of them, is what helps when they differ.
        for (key, numbers) in &expected {
            assert_eq!(there.get(key), Some(numbers), "{key:?}");
        }
        assert_eq!(there.len(), expected.len());
    }
    let rows = query("SELECT COUNT(*) AS rows_there FROM requests")
        .fetch_all(store.db().unwrap().read())
        .await
        .unwrap();
    let rows: i64 = rows[0].get("rows_there").unwrap();
    assert_eq!(rows, i64::try_from(written.len()).unwrap());

    // What is read from them.
    let day = slots::begin(Period::Day, 1_792_864_800_000 + 30 * 3_600_000, &zone);
    let of_day = |request: &&RequestRecord| request.at >= day;
    let hours = store.hours_since(day).await.unwrap();
    assert!(hours.is_sorted_by(|(a, _), (b, _)| a < b));
    let sum: u64 = hours.iter().map(|(_, sums)| sums.requests).sum();
    assert_eq!(
        usize::try_from(sum).unwrap(),
        written.iter().filter(of_day).count()
    );
    let keys = store.key_counts(day).await.unwrap();
    let tried = written.iter().filter(of_day).flat_map(|request| {
        let last = request.key_id.into_iter();
        last.chain(request.failed_keys.iter().copied())
    });
    let sum: u64 = keys.values().map(|key| key.requests).sum();
    assert_eq!(usize::try_from(sum).unwrap(), tried.count());
}

async fn requests_from_before_there_were_sums_are_summed_up_once(world: World) {
    let store = world.open().await;
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    assert!(!store.sum_up_requests(&zone).await.unwrap(), "nothing yet");
    let mut runner = TestRunner::deterministic();
    let many = prop::collection::vec(any_request(), 2_500..2_600);
    let mut requests = many.new_tree(&mut runner).unwrap().current();
    let write = async |store: &Store, requests: &[RequestRecord]| {
        let batch = Batch {
            requests: requests.to_vec(),
            time_zone: zone.clone(),
            ..Batch::default()
        };
        store.write(&batch).await.unwrap();
    };
    write(&store, &requests).await;
    // As a database of the first version is right after its migration.
    for statement in [
        "DELETE FROM sums",
        "DELETE FROM panel WHERE name = 'unsummed'",
    ] {
        let done = query(statement).execute(store.db().unwrap().write()).await;
        done.unwrap();
    }
    store.close().await;

    let store = world.open().await;
    let mut later = record(requests[0].at);
    later.request_id = "later".into();
    write(&store, &[later.clone()]).await;
    assert!(store.sum_up_requests(&zone).await.unwrap());
    store.close().await;
    // The next start goes on.
    let store = world.open().await;
    assert!(store.sum_up_requests(&zone).await.unwrap());
    assert!(!store.sum_up_requests(&zone).await.unwrap());
    requests.push(later);
    assert_eq!(table(&store).await, expected(&requests, &zone));
}

async fn each_tokens_last_use_is_kept_also_of_many_at_once(world: World) {
    let store = world.open().await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let secret = Secret::from(format!("sk-0123456789abcdefghij{n:03}").as_str());
        let rules = TokenRules::default();
        ids.push(store.add_token("t", &secret, &rules).await.unwrap().id);
    }
    let requests = (0..500).map(|n| RequestRecord {
        token_id: Some(ids[n % 37]),
        ..record(i64::try_from(n).unwrap())
    });
    let batch = Batch {
        requests: requests.collect(),
        ..Batch::default()
    };
    store.write(&batch).await.unwrap();
    let tokens = store.tokens().await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        let token = tokens.iter().find(|token| token.id == *id).unwrap();
        // The newest of each; the last three were not used.
        let newest = (0..500).rev().find(|request| request % 37 == n);
        let newest = newest.map(|request| i64::try_from(request).unwrap());
        assert_eq!(token.last_used_at, newest, "{n}");
    }
}

/// Requests of many kinds, one every second from 0 on.
fn mixed(count: i64) -> Vec<RequestRecord> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|at| {
            let mut request = any_request().new_tree(&mut runner).unwrap().current();
            // Some end in the same millisecond.
            request.at = at / 3 * 3000;
            request.request_id = format!("request-{at}").into();
            request.error = request.error.map(|_| match at % 5 {
                0 => "Quota of 100% is used_up!".into(),
                _ => "Overloaded.".into(),
            });
            request
        })
        .collect()
}

/// All pages of a query, by their request ids.
async fn all_pages(store: &Store, query: &RequestQuery, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = store.requests(query, after, limit).await.unwrap();
        found.extend(page.into_iter().map(|request| request.request_id));
        let Some(next) = next else { return found };
        assert!(after != Some(next), "it goes on");
        after = Some(next);
    }
}

async fn pages_hold_every_request_that_is_asked_for_once(world: World) {
    let store = world.open().await;
    let requests = mixed(400);
    for part in requests.chunks(170) {
        let batch = Batch {
            requests: part.to_vec(),
            ..Batch::default()
        };
        store.write(&batch).await.unwrap();
    }
    let q = RequestQuery::default;
    let failed = |request: &RequestRecord| request.error.is_some();
    let says = |request: &RequestRecord, text: &str| {
        request.error.as_deref().is_some_and(|e| e.contains(text))
    };
    type Wanted<'a> = Box<dyn Fn(&RequestRecord) -> bool + 'a>;
    let cases: Vec<(RequestQuery, Wanted<'_>)> = vec![
        (q(), Box::new(|_| true)),
        (
            RequestQuery {
                from: Some(30_000),
                to: Some(90_000),
                ..q()
            },
            Box::new(|r| (30_000..90_000).contains(&r.at)),
        ),
        (
            RequestQuery {
                token: Some(-1),
                ..q()
            },
            Box::new(|r| r.token_id == Some(-1)),
        ),
        (
            RequestQuery {
                key: Some(2),
                model: Some("模型 ' \" %_".to_owned()),
                ..q()
            },
            Box::new(|r| r.key_id == Some(2) && &*r.model == "模型 ' \" %_"),
        ),
        (
            RequestQuery {
                surface: Some(Surface::Anthropic),
                result: Some(RequestResult::Ok),
                ..q()
            },
            Box::new(|r| r.surface == Surface::Anthropic && !failed(r)),
        ),
        (
            RequestQuery {
                result: Some(RequestResult::Failed),
                status: Some(429),
                ..q()
            },
            Box::new(|r| r.status == 429),
        ),
        (
            RequestQuery {
                status: Some(200),
                ..q()
            },
            Box::new(|r| r.status == 200),
        ),
        (
            RequestQuery {
                search: Some("100% IS USED_UP!".to_owned()),
                ..q()
            },
            Box::new(|r| says(r, "100%")),
        ),
        (
            RequestQuery {
                search: Some("1003".to_owned()),
                ..q()
            },
            Box::new(|_| false),
        ),
        (
            RequestQuery {
                search: Some("request-17".to_owned()),
                ..q()
            },
            Box::new(|r| &*r.request_id == "request-17"),
        ),
        (
            RequestQuery {
                search: Some("overloaded".to_owned()),
                key: Some(1),
                ..q()
            },
            Box::new(|r| says(r, "Overloaded") && r.key_id == Some(1)),
        ),
    ];
    for (query, wanted) in cases {
        // Newest first; those of one moment by their number, which grows.
        let mut expected: Vec<(usize, &RequestRecord)> = requests.iter().enumerate().collect();
        expected.sort_by_key(|(number, request)| std::cmp::Reverse((request.at, *number)));
        let expected: Vec<String> = expected
            .into_iter()
            .filter(|(_, request)| wanted(request))
            .map(|(_, request)| request.request_id.to_string())
            .collect();
        for limit in [7, 200] {
            let found = all_pages(&store, &query, limit).await;
            assert_eq!(found, expected, "{query:?} by {limit}");
        }
    }
}

async fn requests_show_the_names_of_what_is_gone_and_their_details(world: World) {
    let store = world.open().await;
    let added = store.add_keys(&[key(KEY, "one"), key(OTHER, "")]).await;
    let keys: Vec<i64> = added.unwrap().into_iter().map(|k| k.unwrap().id).collect();
    let secret = Secret::from("sk-0123456789abcdefghij");
    let rules = TokenRules::default();
    let token = store.add_token("phone", &secret, &rules).await.unwrap();
    let detail = Detail {
        upstream_message: Some("Quota exceeded.".into()),
        upstream_status: Some(429),
        user_agent: Some("Cherry".into()),
        body: Some("{}".into()),
        body_truncated: true,
    };
    let request = RequestRecord {
        key_id: Some(keys[1]),
        failed_keys: vec![keys[0], 77],
        token_id: Some(token.id),
        remote: Some("far".into()),
        project: Some("1234".into()),
        cost_micros: Some(5),
        error: Some("No.".into()),
        detail: Some(detail.into()),
        tries: vec![
            Try {
                key: Some(keys[0]),
                proxy: Some("socks5://127.0.0.1:1080".into()),
                outcome: TryOutcome::Quota,
                waited_ms: 0,
                took_ms: 90,
            },
            Try {
                key: None,
                proxy: None,
                outcome: TryOutcome::BrokenOff,
                waited_ms: 2_000,
                took_ms: 5,
            },
        ],
        ..record(7)
    };
    let batch = Batch {
        requests: vec![request],
        ..Batch::default()
    };
    store.write(&batch).await.unwrap();
    store.delete_key(keys[0]).await.unwrap();
    store.delete_token(token.id).await.unwrap();
    store.close().await;

    let store = world.open().await;
    let (page, next) = store
        .requests(&RequestQuery::default(), None, 10)
        .await
        .unwrap();
    assert_eq!((page.len(), next), (1, None));
    let shown = store.request(page[0].id).await.unwrap().unwrap();
    assert_eq!(shown.request, page[0]);
    let name = |named: &Option<contract::admin::Named>| named.clone().unwrap().name;
    assert_eq!(name(&page[0].token), "phone");
    assert_eq!(name(&page[0].key), "", "the panel shows it masked");
    assert_eq!(page[0].remote.as_deref(), Some("far"));
    assert_eq!(page[0].project.as_deref(), Some("1234"));
    assert_eq!(page[0].cost_micros, Some(5));
    let failed: Vec<_> = shown
        .failed_keys
        .iter()
        .map(|key| (key.id, &*key.name))
        .collect();
    assert_eq!(failed, [(keys[0], "one"), (77, "")]);
    let first = &shown.tries[0];
    let key = first.key.as_ref().unwrap();
    assert_eq!((key.id, &*key.name), (keys[0], "one"));
    assert_eq!(first.proxy.as_deref(), Some("socks5://127.0.0.1:1080"));
    assert_eq!((first.outcome, first.took_ms), (TryOutcome::Quota, 90));
    let second = TryView {
        key: None,
        proxy: None,
        outcome: TryOutcome::BrokenOff,
        waited_ms: 2_000,
        took_ms: 5,
    };
    assert_eq!(shown.tries[1..], [second]);
    assert_eq!(shown.upstream_message.as_deref(), Some("Quota exceeded."));
    assert_eq!(shown.user_agent.as_deref(), Some("Cherry"));
    assert_eq!(
        (shown.body.as_deref(), shown.body_truncated),
        (Some("{}"), true)
    );
    assert_eq!(store.request(999).await.unwrap(), None);
    assert!(
        store.tokens().await.unwrap().is_empty(),
        "it lets nobody in"
    );
}

async fn what_has_been_kept_long_enough_goes_and_its_sums_stay(world: World) {
    const DAY: Millis = 86_400_000;
    let store = world.open().await;
    let now = world.now.load(Ordering::Relaxed);
    let aged = |days: i64, failed: bool| RequestRecord {
        key_id: Some(1),
        error: failed.then(|| "No.".into()),
        detail: failed.then(|| {
            Box::new(Detail {
                user_agent: Some("Cherry".into()),
                ..Detail::default()
            })
        }),
        ..record(now - days * DAY)
    };
    // More than one piece of everything.
    let mut requests = vec![aged(450, false), aged(150, true)];
    for _ in 0..2_500 {
        requests.extend([aged(40, true), aged(10, true), aged(1, true)]);
    }
    let batch = Batch {
        requests,
        ..Batch::default()
    };
    store.write(&batch).await.unwrap();
    let count = async |condition: &str| -> i64 {
        let rows = query_built(format!("SELECT COUNT(*) AS found FROM {condition}"))
            .fetch_all(store.db().unwrap().read())
            .await
            .unwrap();
        rows[0].get("found").unwrap()
    };
    let mut keep = Keep {
        request_days: 30,
        detail_days: 7,
        bytes: u64::MAX,
    };
    let mut until = 0;
    for _ in 0..2 {
        store.tidy(&keep, &mut until).await.unwrap();
        assert_eq!(until, now - 7 * DAY);
        assert_eq!(count("requests").await, 5_000);
        assert_eq!(count("requests WHERE detail IS NOT NULL").await, 2_500);
    }
    assert_eq!(count("sums WHERE period = 'd' AND kind = 'all'").await, 5);
    assert_eq!(count("sums WHERE period = 'd' AND kind = 'key'").await, 4);
    assert_eq!(count("sums WHERE period = 'h' AND kind = 'all'").await, 3);

    assert!(store.bytes().await.unwrap() > 100_000);
    keep.bytes = 1;
    store.tidy(&keep, &mut until).await.unwrap();
    let left = count("requests").await;
    assert!(left < 5_000, "{left}");
    let deleted = store.delete_requests(now, true).await.unwrap();
    assert_eq!(i64::try_from(deleted).unwrap(), left);
    assert_eq!(count("sums WHERE period = 'd' AND kind = 'all'").await, 5);
}
