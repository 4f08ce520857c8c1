//! Records and their sums, on both engines.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::database::query;
use super::*;
use crate::record::slots::{self, Period};

on_both! {
    sums_tell_the_same_as_the_requests_whatever_the_batches
    each_tokens_last_use_is_kept_also_of_many_at_once
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
        for (letter, period) in [("h", Period::Hour), ("d", Period::Day)] {
            let at = slots::begin(period, request.at, zone);
            for (kind, name, numbers) in &names {
                if (letter, *kind) == ("h", "admitted") {
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
