//! How long the panel waits for the store when there are a million requests. Run by
//! `cargo xtask bench --only store`, which says where the report goes.

use std::fmt::Write as _;
use std::time::Duration;

use contract::admin::{RequestQuery, RequestResult};
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::super::{SumKind, Tally};
use super::*;
use crate::record::slots::{self, Period};

const DAY: Millis = 86_400_000;
/// Over how long the requests are spread.
const DAYS: i64 = 365;
/// Requests in one transaction.
const BATCH: i64 = 5_000;
/// How often each query is asked; the median and the worst are reported.
const TIMES: usize = 9;
const MODELS: [&str; 8] = [
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-3.1-pro-preview",
    "gemini-3.5-flash",
    "gemini-3.6-flash",
    "gemini-3.8-flash",
    "gemini-4-argon",
];

/// One request of many; the same every time.
fn request(number: i64, count: i64, end: Millis) -> RequestRecord {
    let mut state = number.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut any = move |below: u64| {
        state ^= state >> 31;
        state = state.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        i64::try_from((state >> 33) % below).unwrap()
    };
    let status = match any(100) {
        0 => 400,
        1 => 503,
        2..4 => 429,
        _ => 200,
    };
    let surface = [Surface::Openai, Surface::Gemini, Surface::Anthropic];
    RequestRecord {
        request_id: format!("0199c3b2-7d1e-7000-8000-{number:012x}").into(),
        at: end - (count - number) * (DAYS * DAY / count),
        model: MODELS[usize::try_from(any(8)).unwrap()].into(),
        key_id: Some(1 + any(100)),
        failed_keys: if any(20) == 0 {
            vec![1 + any(100)]
        } else {
            Vec::new()
        },
        token_id: Some(1 + any(20)),
        status,
        attempts: 1,
        cost_micros: Some(120),
        error: (status != 200).then(|| {
            "Google's answer was 429: You exceeded your current quota, please check your plan \
             and billing details. Please retry in 38.9s."
                .into()
        }),
        ..RequestRecord { at: 0, ..record(0) }
    }
    .on(surface[usize::try_from(any(3)).unwrap()])
}

impl RequestRecord {
    fn on(mut self, surface: Surface) -> Self {
        self.surface = surface;
        self
    }
}

/// The queries of one engine and how long they took.
struct Times(Vec<(String, Duration, Duration)>);

impl Times {
    async fn take<T>(&mut self, what: &str, ask: impl AsyncFn() -> Result<T, StoreError>) {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let begun = Instant::now();
            ask().await.unwrap();
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        self.0
            .push((what.to_owned(), times[TIMES / 2], times[TIMES - 1]));
    }
}

async fn measure(world: &World, count: i64) -> (Times, Duration, u64) {
    let store = world.open().await;
    let end = world.now.load(Ordering::Relaxed);
    let begun = Instant::now();
    for first in (0..count).step_by(usize::try_from(BATCH).unwrap()) {
        let batch = Batch {
            requests: (first..count.min(first + BATCH))
                .map(|number| request(number, count, end))
                .collect(),
            ..Batch::default()
        };
        store.write(&batch).await.unwrap();
    }
    let written = begun.elapsed();

    let mut times = Times(Vec::new());
    let zone = TimeZone::UTC;
    let midnight = slots::begin(Period::Day, end, &zone);
    times
        .take("dashboard: hours of today", async || {
            store.hours_since(midnight).await
        })
        .await;
    times
        .take("dashboard: last errors", async || {
            store.last_errors(10).await
        })
        .await;
    times
        .take("keys: attempts of today", async || {
            store.key_counts(midnight).await
        })
        .await;
    times
        .take("tokens: use of today", async || {
            store.token_counts(midnight).await
        })
        .await;
    const LISTED: [SumKind; 5] = [
        SumKind::Model,
        SumKind::Key,
        SumKind::Token,
        SumKind::Surface,
        SumKind::Status,
    ];
    for (name, period, slots) in [
        ("a day", Period::Hour, 24),
        ("a week", Period::Hour, 7 * 24),
        ("a month", Period::Day, 30),
        ("a year", Period::Day, 365),
    ] {
        let since = slots::last(period, slots, end, &zone)[0];
        let curve = async || store.curve(period, SumKind::All, "", since).await;
        times
            .take(&format!("statistics of {name}: curve"), curve)
            .await;
        let of_key = async || store.curve(period, SumKind::Key, "7", since).await;
        times
            .take(&format!("statistics of {name}: curve of a key"), of_key)
            .await;
        let spans = slots::spans(period, since, end, &zone);
        let lists = async || store.totals(&spans, &LISTED).await;
        times
            .take(&format!("statistics of {name}: lists"), lists)
            .await;
    }
    let q = RequestQuery::default;
    let model = Some("gemini-4-argon".to_owned());
    for (name, query) in [
        ("everything", q()),
        (
            "a span of time",
            RequestQuery {
                from: Some(end - 200 * DAY),
                to: Some(end - 199 * DAY),
                ..q()
            },
        ),
        (
            "a token",
            RequestQuery {
                token: Some(3),
                ..q()
            },
        ),
        (
            "a key",
            RequestQuery {
                key: Some(3),
                ..q()
            },
        ),
        (
            "a model",
            RequestQuery {
                model: model.clone(),
                ..q()
            },
        ),
        (
            "a protocol",
            RequestQuery {
                surface: Some(Surface::Anthropic),
                ..q()
            },
        ),
        (
            "failed",
            RequestQuery {
                result: Some(RequestResult::Failed),
                ..q()
            },
        ),
        (
            "gone well",
            RequestQuery {
                result: Some(RequestResult::Ok),
                ..q()
            },
        ),
        (
            "a status",
            RequestQuery {
                status: Some(503),
                ..q()
            },
        ),
        (
            "a status that never was",
            RequestQuery {
                status: Some(418),
                ..q()
            },
        ),
        (
            "a key and a model",
            RequestQuery {
                key: Some(3),
                model: model.clone(),
                ..q()
            },
        ),
        (
            "all filters",
            RequestQuery {
                key: Some(3),
                model,
                token: Some(3),
                status: Some(429),
                surface: Some(Surface::Gemini),
                result: Some(RequestResult::Failed),
                ..q()
            },
        ),
        (
            "a text in errors",
            RequestQuery {
                search: Some("quota".to_owned()),
                ..q()
            },
        ),
        (
            "a text that is nowhere",
            RequestQuery {
                search: Some("nowhere".to_owned()),
                ..q()
            },
        ),
        (
            "a request id",
            RequestQuery {
                search: Some(format!("0199c3b2-7d1e-7000-8000-{:012x}", count / 2)),
                ..q()
            },
        ),
    ] {
        let first = async || store.requests(&query, None, 50).await;
        times.take(&format!("requests, {name}"), first).await;
        let (_, next) = store.requests(&query, None, 50).await.unwrap();
        if next.is_some() {
            let middle = Some(crate::store::LogPlace {
                at: end - DAYS * DAY / 2,
                id: i64::MAX,
            });
            let later = async || store.requests(&query, middle, 50).await;
            times
                .take(&format!("requests, {name}: a page in the middle"), later)
                .await;
        }
    }
    times
        .take("one request", async || store.request(count / 2).await)
        .await;
    times
        .take("size of the database", async || store.bytes().await)
        .await;
    let bytes = store.bytes().await.unwrap();
    let all = slots::spans(Period::Day, 0, end, &zone);
    let totals = store.totals(&all, &[SumKind::All]).await.unwrap();
    let total: Tally = totals[&(SumKind::All, String::new())];
    assert_eq!(i64::try_from(total.requests).unwrap(), count);
    store.close().await;
    (times, written, bytes)
}

#[tokio::test]
#[ignore = "takes minutes and measures: cargo xtask bench --only store"]
async fn a_million_requests() {
    let count = std::env::var("GB_BENCH_REQUESTS").map_or(1_000_000, |text| text.parse().unwrap());
    let profile = std::env::var("GB_BENCH_PROFILE").unwrap_or_else(|_| "dev".to_owned());
    let mut text = format!(
        "# The store with {count} requests\n\n\
         Written by `cargo xtask bench --only store`; profile `{profile}`. {count} requests over \
         {DAYS} days, of 100 keys, 20 tokens and {} models. Each query was asked {TIMES} times, \
         one after the other, as the panel asks it; on SQLite it may take 50 ms, on MariaDB \
         100 ms.\n",
        MODELS.len()
    );
    for (engine, limit, world) in [
        ("SQLite", 50, World::new()),
        ("MariaDB", 100, World::on_mysql().await),
    ] {
        let (times, written, bytes) = measure(&world, count).await;
        let millis = |time: &Duration| time.as_secs_f64() * 1000.0;
        let late: Vec<_> = times
            .0
            .iter()
            .filter(|(_, median, _)| millis(median) > f64::from(limit))
            .collect();
        writeln!(
            text,
            "\n## {engine}\n\nWritten in {:.0} s, {:.0} requests a second; {} MB, {} bytes a \
             request. {} of {} queries take longer than {limit} ms.\n\n\
             | query | median, ms | worst, ms |\n|---|---:|---:|",
            written.as_secs_f64(),
            f64::from(i32::try_from(count).unwrap()) / written.as_secs_f64(),
            bytes / 1_000_000,
            bytes / count.unsigned_abs(),
            late.len(),
            times.0.len(),
        )
        .unwrap();
        for (what, median, worst) in &times.0 {
            writeln!(
                text,
                "| {what} | {:.1} | {:.1} |",
                millis(median),
                millis(worst)
            )
            .unwrap();
        }
        if let Ok(path) = std::env::var("GB_BENCH_STORE") {
            std::fs::write(path, &text).unwrap();
        }
    }
}
