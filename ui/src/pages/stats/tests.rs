// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{Stats as Data, StatsPoint, Sums};

use super::curve::bars;
use super::*;
use crate::testing::{in_chinese, render};
use crate::text::Zone;

/// 2027-01-15 00:00:00 UTC.
const SINCE: contract::Millis = 1_799_971_200_000;
const HOUR: contract::Millis = 3_600_000;
const DAY: contract::Millis = 24 * HOUR;

fn sums(requests: u64, errors: u64) -> Sums {
    Sums {
        requests,
        errors,
        prompt_tokens: requests * 1_000,
        output_tokens: requests * 10,
        thought_tokens: requests,
        cost_micros: requests * 1_000,
        mean_latency_ms: 1_500,
        ..Sums::default()
    }
}

fn row(id: Option<i64>, name: &str) -> StatsRow {
    StatsRow {
        id,
        name: name.into(),
        sums: sums(100, 3),
    }
}

fn points(n: i64, step: contract::Millis) -> Vec<StatsPoint> {
    (0..n)
        .map(|i| StatsPoint {
            at: SINCE + i * step,
            sums: sums(10, 1),
        })
        .collect()
}

fn data() -> Data {
    Data {
        since: SINCE,
        time_zone: "UTC".into(),
        points: points(24, HOUR),
        total: sums(12_345, 6),
        models: vec![row(None, "gemini-2.5-flash"), row(None, "")],
        keys: vec![row(Some(7), "first key")],
        tokens: vec![row(Some(3), "laptop"), row(None, "")],
        surfaces: vec![row(None, "anthropic")],
        statuses: vec![row(None, "429")],
    }
}

fn props(stats: Data, query: StatsQuery) -> StatsViewProps {
    StatsViewProps {
        stats: LoadResult::default().after(Ok(stats)),
        query,
        say: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn sums_and_rows_are_told_in_the_language_of_the_reader() {
    let html = render::<StatsView>(props(data(), StatsQuery::default())).await;
    for text in [
        "12,345",
        "12,345,000",
        "$12.34",
        "1.5 s",
        "The last 24 hours",
        "gemini-2.5-flash",
        "Anthropic style",
        "3.0%",
        "no model",
        "no token",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
    let html = in_chinese::<StatsView>(props(data(), StatsQuery::default())).await;
    assert!(
        html.contains("12.34 美元") && html.contains("最近 24 小时"),
        "{html}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn rows_lead_to_their_requests_of_the_same_time() {
    let html = render::<StatsView>(props(data(), StatsQuery::default())).await;
    for query in [
        "model=gemini-2.5-flash",
        "key=7",
        "token=3",
        "surface=anthropic",
        "status=429",
    ] {
        let link = html
            .split("href=\"")
            .find(|rest| rest.split('"').next().unwrap_or_default().contains(query));
        let link = link.unwrap_or_default();
        assert!(
            link.starts_with("#/requests?from=1799971200000&"),
            "{query}: {link}"
        );
    }
    assert!(
        !html.contains("stats-model-1\""),
        "what has no name leads nowhere"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_narrowed_curve_says_to_what_and_marks_the_row() {
    let query = StatsQuery {
        key: Some(7),
        ..StatsQuery::default()
    };
    let html = render::<StatsView>(props(data(), query)).await;
    let only = html.split("stats-only").nth(1).unwrap_or_default();
    assert!(only.contains("first key"), "{html}");
    assert!(only.contains("stats-everything"));
    assert_eq!(html.matches("gb-sums__here").count(), 1, "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn names_are_text_and_nothing_else() {
    let evil = "<img src=x onerror=alert(1)>";
    let mut stats = data();
    stats.models = vec![row(None, evil)];
    stats.keys = vec![row(Some(7), evil)];
    stats.tokens = vec![row(Some(3), evil)];
    stats.surfaces = vec![row(None, evil)];
    stats.statuses = vec![row(None, evil)];
    let query = StatsQuery {
        model: Some(evil.into()),
        ..StatsQuery::default()
    };
    let html = render::<StatsView>(props(stats, query)).await;
    assert!(!html.contains("<img"), "{html}");
}

#[test]
fn points_are_named_by_the_clock_of_the_server() {
    let shanghai = Zone::new(|at| at + 8 * HOUR);
    let mut stats = data();
    let day = bars(&stats, StatsRange::Day, Measure::Requests, &shanghai);
    assert_eq!(day[0].name, "2027-01-15 08:00");
    assert_eq!((day[0].lower, day[0].upper), (9, 1));
    let ticks: Vec<_> = day.iter().filter_map(|bar| bar.tick.as_deref()).collect();
    assert_eq!(ticks, ["12:00", "18:00", "00:00", "06:00"]);

    stats.points = points(7 * 24, HOUR);
    let week = bars(&stats, StatsRange::Week, Measure::Tokens, &shanghai);
    assert_eq!((week[0].lower, week[0].upper), (10_000, 110));
    let ticks = week.iter().filter(|bar| bar.tick.is_some()).count();
    assert_eq!(ticks, 7, "one a day");

    stats.points = points(365, DAY);
    let year = bars(&stats, StatsRange::Year, Measure::Cost, &shanghai);
    assert_eq!((year[0].lower, year[0].upper), (10_000, 0));
    let ticks: Vec<_> = year.iter().filter_map(|bar| bar.tick.as_deref()).collect();
    assert_eq!(ticks, ["2027-04", "2027-07", "2027-10", "2028-01"]);
}
