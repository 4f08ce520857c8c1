// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{PoolSummary, RequestError, Surface, Today, Warning};
use contract::{ApiError, ErrorCode};

use super::*;
use crate::testing::{in_chinese, render};

const NOW: Millis = 1_800_000_000_000;

fn overview() -> Overview {
    Overview {
        version: "0.1.0".into(),
        started_at: NOW - 7_200_000,
        now: NOW,
        address: "http://127.0.0.1:8000".into(),
        pool: PoolSummary {
            total: 3,
            ready: 2,
            cooling: 1,
            ..PoolSummary::default()
        },
        today: Today {
            time_zone: "Asia/Shanghai".into(),
            requests: 1_234,
            errors: 5,
            requests_by_hour: vec![1; 24],
            errors_by_hour: vec![0; 24],
            ..Today::default()
        },
        last_errors: Vec::new(),
        warnings: Vec::new(),
    }
}

async fn shown(overview: LoadResult<Overview>) -> String {
    render::<DashboardView>(DashboardViewProps { overview, now: NOW }).await
}

#[tokio::test(flavor = "current_thread")]
async fn says_how_many_keys_can_answer() {
    let html = shown(LoadResult::default().after(Ok(overview()))).await;
    assert!(html.contains("of 3"), "{html}");
    assert!(html.contains("keys can answer now"));
    assert!(html.contains("1,234"));
    assert!(
        !html.contains("next-ready"),
        "no countdown while a key is ready"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn counts_down_to_the_next_key_when_none_is_ready() {
    let mut dry = overview();
    dry.pool.ready = 0;
    dry.pool.next_ready_at = Some(NOW + 95_000);
    let html = shown(LoadResult::default().after(Ok(dry))).await;
    assert!(
        html.contains("The next one is ready in 1 min 35 s"),
        "{html}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn keeps_the_last_numbers_beside_an_error() {
    let failed = LoadResult::default()
        .after(Ok(overview()))
        .after(Err(ApiError::new(
            ErrorCode::Unreachable,
            "connection refused",
        )));
    let html = shown(failed).await;
    assert!(html.contains("Gemini Balance cannot be reached"));
    assert!(html.contains("connection refused"), "the detail is beneath");
    assert!(html.contains("1,234"), "the last numbers stay");
}

#[tokio::test(flavor = "current_thread")]
async fn escapes_what_google_said_and_explains_the_status() {
    let mut failing = overview();
    failing.last_errors.push(RequestError {
        at: NOW - 60_000,
        surface: Surface::Openai,
        model: "gemini-2.5-flash".into(),
        status: 429,
        message: "<b>quota</b>".into(),
        key: Some("AIza…x3Fq".into()),
    });
    let html = shown(LoadResult::default().after(Ok(failing))).await;
    assert!(
        html.contains("&lt;b>quota&lt;/b>") || html.contains("&lt;b&gt;quota"),
        "{html}"
    );
    assert!(html.contains("All keys were at their limit"));
}

#[tokio::test(flavor = "current_thread")]
async fn warnings_lead_to_where_they_are_mended() {
    let mut empty = overview();
    empty.warnings = vec![Warning::NoKeys, Warning::NoTokens];
    let html = in_chinese::<DashboardView>(DashboardViewProps {
        overview: LoadResult::default().after(Ok(empty)),
        now: NOW,
    })
    .await;
    assert!(html.contains("添加第一个 Gemini 密钥"), "{html}");
    assert!(html.contains("href=\"#/keys\"") && html.contains("href=\"#/connect\""));
}
