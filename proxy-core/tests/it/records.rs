use contract::admin::Overview;
use testkit::google::{Cut, Fault};

use crate::world::{World, ask};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

#[tokio::test]
async fn every_request_leaves_exactly_one_record() {
    let world = World::with_keys(2).await;
    world
        .gemini(GENERATE, ask("hi"))
        .await
        .text()
        .await
        .unwrap();
    world.gemini(STREAM, ask("hi")).await.text().await.unwrap();
    world
        .gemini("/v1beta/models/gemini-0:generateContent", ask("hi"))
        .await
        .text()
        .await
        .unwrap();
    world.google.fault_next(Fault::CutAfter {
        events: 1,
        cut: Cut::Reset,
    });
    world
        .gemini(STREAM, ask("tell me a story"))
        .await
        .text()
        .await
        .unwrap();

    let overview: Overview = world.admin("/api/overview").await;
    let today = overview.today;
    assert_eq!(today.requests, 4);
    assert_eq!(
        today.errors, 2,
        "the unknown model and the stream that was cut"
    );
    assert!(today.prompt_tokens > 0 && today.output_tokens > 0);
    let errors = overview.last_errors;
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].status, 502);
    assert_eq!(errors[1].status, 404);
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_as_such_and_tries_that_failed_are_counted_by_key() {
    let world = World::with_keys(2).await;
    world.google.fault_next(Fault::Status(503));
    world
        .gemini(GENERATE, ask("hi"))
        .await
        .text()
        .await
        .unwrap();
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let mut response = world.gemini(STREAM, ask("tell me a story")).await;
    response.chunk().await.unwrap();
    drop(response);
    assert!(world.google.wait_for_disconnects(1).await);

    let overview: Overview = world.admin("/api/overview").await;
    assert_eq!(overview.today.requests, 2);
    assert_eq!(overview.last_errors[0].status, 499);
    let mut failed = 0;
    for key in &crate::world::KEYS[..2] {
        failed += world.key(key).await.errors_today;
    }
    assert_eq!(failed, 2, "the 503 and the answer nobody waited for");
}
