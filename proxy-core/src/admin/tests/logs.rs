use contract::admin::{RecordsDeleted, RequestDetail, RequestPage, Stats, Surface, TokenCreated};
use serde_json::json;

use super::*;
use crate::record::RequestRecord;

const HOUR: Millis = 3_600_000;

fn record(at: Millis) -> RequestRecord {
    RequestRecord {
        at,
        model: "gemini-2.5-flash".into(),
        status: 200,
        attempts: 1,
        latency_ms: 30,
        ttft_ms: Some(10),
        prompt_tokens: 7,
        cost_micros: Some(2),
        ..RequestRecord::blank(Surface::Openai)
    }
}

/// A world with a token and with `count` requests of it, the last of which failed.
async fn with_requests(count: i64) -> (World, i64) {
    let world = Box::pin(World::signed_in(&[("API_KEYS", KEY)])).await;
    let token: TokenCreated = world.post("/api/tokens", json!({"name": "phone"})).await;
    let id = token.token.id;
    for number in 0..count {
        let failed = number == count - 1;
        core(&world).recorder.record(RequestRecord {
            key_id: Some(1),
            failed_keys: if failed { vec![1, 9] } else { Vec::new() },
            token_id: Some(id),
            error: failed.then(|| "Overloaded.".into()),
            status: if failed { 503 } else { 200 },
            ..record(NOON - (count - number) * HOUR)
        });
    }
    (world, id)
}

#[tokio::test]
async fn the_log_is_read_in_pages_with_names_and_details() {
    let (world, token) = with_requests(5).await;
    let first: RequestPage = world.get("/api/requests?limit=3").await;
    assert_eq!(first.requests.len(), 3);
    let newest = &first.requests[0];
    assert_eq!(newest.error.as_deref(), Some("Overloaded."));
    let name = |named: &Option<contract::admin::Named>| named.clone().unwrap().name;
    assert_eq!(name(&newest.key), "AIza…stuv");
    assert_eq!(name(&newest.token), "phone");
    let next = first.next.unwrap();
    let rest: RequestPage = world
        .get(&format!("/api/requests?limit=3&after={next}"))
        .await;
    assert_eq!((rest.requests.len(), rest.next), (2, None));

    let detail: RequestDetail = world.get(&format!("/api/requests/{}", newest.id)).await;
    assert_eq!(detail.request, *newest);
    let failed: Vec<&str> = detail.failed_keys.iter().map(|key| &*key.name).collect();
    assert_eq!(failed, ["AIza…stuv", "#9"]);
    let (status, _) = world.call(Method::GET, "/api/requests/999", None).await;
    assert_eq!(status, 404);

    let only: RequestPage = world
        .get(&format!(
            "/api/requests?token={token}&surface=openai&result=failed&status=503&key=1&search=over"
        ))
        .await;
    assert_eq!(only.requests.len(), 1);
    for wrong in [
        "limit=0",
        "limit=201",
        "after=x",
        "colour=red",
        "result=odd",
        "key=x",
    ] {
        let path = format!("/api/requests?{wrong}");
        let (status, said) = world.call(Method::GET, &path, None).await;
        assert_eq!(
            (status, &said["code"]),
            (400, &json!("invalid_input")),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_is_deleted_from_the_log_stays_in_the_statistics() {
    let (world, token) = with_requests(5).await;
    let delete = async |which: Value| {
        let deleted: RecordsDeleted = world.post("/api/requests/delete", which).await;
        deleted.deleted
    };
    assert_eq!(delete(json!({"failed_only": true})).await, 1);
    assert_eq!(delete(json!({"before": NOON - 3 * HOUR})).await, 2);
    assert_eq!(delete(json!({})).await, 2);
    let page: RequestPage = world.get("/api/requests").await;
    assert_eq!(page.requests, []);

    let stats: Stats = world.get("/api/stats").await;
    assert_eq!(
        (stats.points.len(), stats.time_zone.as_str()),
        (24, "Asia/Shanghai")
    );
    assert_eq!(stats.points[23].at, NOON);
    assert_eq!(stats.points[0].at, stats.since);
    let by_hour: Vec<u64> = stats.points[17..].iter().map(|p| p.sums.requests).collect();
    assert_eq!(by_hour, [0, 1, 1, 1, 1, 1, 0]);
    let total = stats.total;
    assert_eq!(
        (total.requests, total.errors, total.prompt_tokens),
        (5, 1, 35)
    );
    assert_eq!(
        (total.cost_micros, total.mean_latency_ms, total.mean_ttft_ms),
        (10, 30, 10)
    );
    let key = &stats.keys[0];
    assert_eq!((key.id, &*key.name), (Some(1), "AIza…stuv"));
    assert_eq!((key.sums.requests, key.sums.errors), (6, 2), "attempts");
    let row = &stats.tokens[0];
    assert_eq!(
        (row.id, &*row.name, row.sums.requests),
        (Some(token), "phone", 5)
    );
    assert_eq!(stats.models[0].name, "gemini-2.5-flash");
    assert_eq!(stats.surfaces[0].name, "openai");
    let statuses: Vec<_> = stats
        .statuses
        .iter()
        .map(|row| (&*row.name, row.sums.requests))
        .collect();
    assert_eq!(statuses, [("200", 4), ("503", 1)]);

    for (range, points) in [("week", 168), ("month", 30), ("year", 365)] {
        let stats: Stats = world.get(&format!("/api/stats?range={range}&key=1")).await;
        assert_eq!(stats.points.len(), points, "{range}");
        assert_eq!(stats.total.requests, 6, "{range}: the curve of the key");
        assert_eq!(
            stats.models[0].sums.requests, 5,
            "{range}: the lists of all"
        );
    }
    // What was summed up stays in sight when days begin at other moments.
    let view: contract::admin::SettingsView = world.get("/api/settings").await;
    let change = json!({"values": {"TZ": "America/New_York"}, "revision": view.revision});
    let (status, said) = world
        .call(Method::PATCH, "/api/settings", Some(change))
        .await;
    assert_eq!(status, 200, "{said}");
    for range in ["day", "week", "month", "year"] {
        let stats: Stats = world.get(&format!("/api/stats?range={range}&key=1")).await;
        let shown: u64 = stats.points.iter().map(|point| point.sums.requests).sum();
        assert_eq!(
            (shown, stats.time_zone.as_str()),
            (6, "America/New_York"),
            "{range}"
        );
    }
    let none: Stats = world.get("/api/stats?model=other").await;
    assert_eq!(none.total.requests, 0);
    for wrong in ["key=1&token=1", "range=decade", "colour=red"] {
        let (status, _) = world
            .call(Method::GET, &format!("/api/stats?{wrong}"), None)
            .await;
        assert_eq!(status, 400, "{wrong}");
    }
}
