// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{
    Named, RecordsDelete, RequestDetail, RequestView, StatsRow, Sums, Surface, TryOutcome, TryView,
};
use contract::{ApiError, ErrorCode};

use super::delete::{DeleteView, DeleteViewProps, Wish};
use super::detail::{DetailView, DetailViewProps};
use super::*;
use crate::testing::{in_chinese, render};
use crate::text::Zone;

/// 2027-01-15 08:00:00 UTC.
const AT: contract::Millis = 1_800_000_000_000;

const EVIL: &str = "<img src=x onerror=alert(1)>";

fn request(id: i64) -> RequestView {
    RequestView {
        id,
        request_id: format!("req-{id}"),
        at: AT,
        surface: Surface::Openai,
        model: "gemini-2.5-flash".into(),
        token: Some(Named {
            id: 3,
            name: "laptop".into(),
        }),
        key: Some(Named {
            id: 7,
            name: "AIza…x3Fq".into(),
        }),
        remote: None,
        project: None,
        status: 200,
        stream: true,
        attempts: 1,
        latency_ms: 3_249,
        ttft_ms: Some(812),
        prompt_tokens: 1_234,
        output_tokens: 567,
        thought_tokens: 300,
        cached_tokens: 1_000,
        cost_micros: Some(12_345),
        error: None,
    }
}

fn failed(id: i64) -> RequestView {
    RequestView {
        status: 429,
        attempts: 3,
        error: Some(format!("Quota exceeded {EVIL}")),
        cost_micros: None,
        ..request(id)
    }
}

fn props(requests: Vec<RequestView>, query: RequestQuery) -> RequestsViewProps {
    RequestsViewProps {
        page: LoadResult::default().after(Ok(RequestPage {
            requests,
            next: Some("c50".into()),
        })),
        query,
        known: Rc::new(Known::default()),
        open: None,
        say: Callback::noop(),
        toggle: Callback::noop(),
        changed: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_tells_who_what_how_long_and_how_much() {
    let html = render::<RequestsView>(props(vec![request(1)], RequestQuery::default())).await;
    for text in [
        "08:00:00",
        "2027-01-15",
        "gemini-2.5-flash",
        "OpenAI style",
        "laptop",
        "AIza…x3Fq",
        "1,234 → 567",
        "3.2 s",
        "first byte 812 ms",
        "$0.0123",
        "1,000 from the cache",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
    let html = in_chinese::<RequestsView>(props(vec![request(1)], RequestQuery::default())).await;
    assert!(
        html.contains("0.0123 美元") && html.contains("首字节 812 毫秒"),
        "{html}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn the_error_log_shows_what_went_wrong_as_text() {
    let query = RequestQuery {
        result: Some(RequestResult::Failed),
        ..RequestQuery::default()
    };
    let mut evil = failed(1);
    evil.model = EVIL.into();
    for named in [&mut evil.token, &mut evil.key].into_iter().flatten() {
        named.name = EVIL.into();
    }
    let html = render::<RequestsView>(props(vec![evil], query)).await;
    assert!(
        html.contains("Quota exceeded") && html.contains("3 attempts"),
        "{html}"
    );
    assert!(!html.contains("<img"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn filters_are_in_every_link_so_that_it_shows_the_same() {
    let query = RequestQuery {
        model: Some("a b".into()),
        key: Some(9),
        after: Some("c100".into()),
        ..RequestQuery::default()
    };
    let html = render::<RequestsView>(props(vec![request(1)], query)).await;
    assert!(
        html.contains("href=\"#/requests?key=9&amp;model=a+b&amp;result=failed\"")
            || html.contains("href=\"#/requests?key=9&model=a+b&result=failed\""),
        "the tab keeps the filters and begins at the first page: {html}"
    );
    assert!(html.contains("after=c50"), "older: {html}");
    assert!(html.contains("requests-newest"), "and back: {html}");
    assert!(
        html.contains("#9"),
        "a key that is gone is still the one chosen"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_page_says_why_it_is_empty() {
    let empty = |query| render::<RequestsView>(props(Vec::new(), query));
    assert!(
        empty(RequestQuery::default())
            .await
            .contains("No requests yet")
    );
    let errors = RequestQuery {
        result: Some(RequestResult::Failed),
        ..RequestQuery::default()
    };
    assert!(empty(errors.clone()).await.contains("No failed requests"));
    let filtered = RequestQuery {
        status: Some(418),
        ..errors
    };
    assert!(empty(filtered).await.contains("No request matches"));
}

#[tokio::test(flavor = "current_thread")]
async fn details_have_everything_that_is_known() {
    let mut request = failed(1);
    request.project = Some("my-project".into());
    request.remote = Some("gb-far".into());
    let detail = RequestDetail {
        request,
        failed_keys: vec![Named {
            id: 5,
            name: "second key".into(),
        }],
        tries: vec![TryView {
            key: Some(Named {
                id: 6,
                name: "third key".into(),
            }),
            proxy: Some(format!("http://127.0.0.1:7890{EVIL}")),
            outcome: TryOutcome::Overloaded,
            waited_ms: 1_500,
            took_ms: 300,
        }],
        upstream_message: Some(format!("RESOURCE_EXHAUSTED {EVIL}")),
        user_agent: Some(format!("CherryStudio {EVIL}")),
        body: Some(format!("{{\"x\": \"{EVIL}\"}}")),
        body_truncated: true,
    };
    let detail = LoadResult::default().after(Ok(detail));
    let html = render::<DetailView>(DetailViewProps { detail }).await;
    for text in [
        "req-1",
        "All keys were at their limit",
        "RESOURCE_EXHAUSTED",
        "my-project",
        "gb-far",
        "third key",
        "href=\"#/requests?key=6\"",
        "through http://127.0.0.1:7890",
        "the model was overloaded",
        "after waiting 1.5",
        "href=\"#/requests?token=3\"",
        "CherryStudio",
        "Only the beginning was kept",
        "the price of this model is not known",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
    assert!(!html.contains("<img"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn details_of_a_request_that_went_well_speak_of_no_error() {
    let detail = RequestDetail {
        request: request(1),
        failed_keys: vec![Named {
            id: 5,
            name: "second key".into(),
        }],
        tries: Vec::new(),
        upstream_message: None,
        user_agent: None,
        body: None,
        body_truncated: false,
    };
    let detail = LoadResult::default().after(Ok(detail));
    let html = render::<DetailView>(DetailViewProps { detail }).await;
    assert!(html.contains("second key") && html.contains("href=\"#/requests?key=5\""));
    assert!(
        !html.contains("What Google said") && !html.contains("Request body"),
        "{html}"
    );
    let gone = LoadResult::default().after(Err(ApiError::new(ErrorCode::NotFound, "gone")));
    let html = render::<DetailView>(DetailViewProps { detail: gone }).await;
    assert!(html.contains("gone"), "{html}");
}

#[test]
fn what_is_deleted_is_what_was_chosen() {
    // One place, eight hours ahead.
    let zone = Zone::new(|at| at + 8 * 3_600_000);
    let wish = |before: Option<&str>, failed_only| Wish {
        before: before.map(str::to_owned),
        failed_only,
    };
    let read = |wish: Wish| {
        wish.read(&zone).map(
            |RecordsDelete {
                 before,
                 failed_only,
             }| (before, failed_only),
        )
    };
    assert_eq!(read(wish(Some(""), false)), None, "no day is not every day");
    assert_eq!(read(wish(None, true)), Some((None, true)));
    assert_eq!(
        read(wish(Some("1970-01-02"), false)),
        Some((Some(16 * 3_600_000), false)),
        "the day begins by the clock of the person"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_deleted_before_a_day_was_chosen() {
    let html = render::<DeleteView>(DeleteViewProps {
        wish: Wish {
            before: Some(String::new()),
            failed_only: false,
        },
        ready: false,
        busy: false,
        error: None,
        onchange: Callback::noop(),
        confirm: Callback::noop(),
        onclose: Callback::noop(),
    })
    .await;
    let button = html.split("<button").find(|b| b.contains("delete-confirm"));
    assert!(button.unwrap_or_default().contains("disabled"), "{html}");
    assert!(html.contains("cannot be undone"));
}

#[test]
fn what_was_used_can_be_filtered_by_also_when_it_is_gone() {
    let row = |id, name: &str| StatsRow {
        id,
        name: name.into(),
        sums: Sums::default(),
    };
    let used = Stats {
        models: vec![row(None, "b"), row(None, ""), row(None, "a")],
        keys: vec![row(Some(1), "old name"), row(Some(2), "deleted key")],
        statuses: vec![row(None, "429"), row(None, "200"), row(None, "nonsense")],
        ..Stats::default()
    };
    let key: KeyView = serde_json::from_value(serde_json::json!({
        "id": 1, "label": "", "masked": "AIza…1", "origin": "panel",
        "state": {"state": "ready"}, "cooldowns": [], "requests_today": 0,
        "errors_today": 0, "added_at": 0,
    }))
    .unwrap();
    let known = Known::of(None, Some(&vec![key]), Some(&used));
    assert_eq!(
        known.keys,
        [(1, "AIza…1".to_owned()), (2, "deleted key".to_owned())]
    );
    assert_eq!(known.models, ["a", "b"]);
    assert_eq!(known.statuses, [200, 429]);
}

#[test]
fn a_link_in_the_panel_of_a_remote_stays_there() {
    let query = RequestQuery {
        key: Some(4),
        ..RequestQuery::default()
    };
    let host = crate::host::Host::BROWSER;
    assert_eq!(link(host, &query), "#/requests?key=4");
    assert_eq!(
        link(host.of_remote(3), &query),
        "#/instances/3/panel/requests?key=4"
    );
}
