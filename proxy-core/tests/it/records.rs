use contract::admin::{Overview, RequestDetail, RequestPage};
use testkit::google::{Cut, Fault, Refusal};

use crate::world::{KEYS, TOKEN, World, ask};

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

#[tokio::test]
async fn a_failure_is_kept_with_its_details_and_without_secrets() {
    let newest = async |world: &World| {
        let page: RequestPage = world.admin("/api/requests").await;
        let path = format!("/api/requests/{}", page.requests[0].id);
        world.admin::<RequestDetail>(&path).await
    };
    let world = World::with_keys(1).await;
    world
        .gemini(GENERATE, ask("hi"))
        .await
        .text()
        .await
        .unwrap();
    let good = newest(&world).await;
    assert!(good.request.cost_micros.is_some_and(|cost| cost > 0));
    assert_eq!(
        (good.user_agent, good.body),
        (None, None),
        "only failures have details"
    );

    world.google.disable_key(KEYS[0], Refusal::Suspended);
    // A gateway's credential, which it may name when it refuses it.
    const GATEWAY: &str = "gateway-credential";
    let headers = format!(r#"{{"x-gateway": "Basic {GATEWAY}", "x-room": "room-number-101"}}"#);
    world.set(&[
        ("RECORD_BODIES", "true"),
        ("RECORD_BODY_KB", "1"),
        ("CUSTOM_HEADERS", &headers),
    ]);
    let secrets = format!(
        "my key is {} and {TOKEN}; {GATEWAY} room-number-101 ",
        KEYS[1]
    );
    let body = ask(&format!("{secrets}{}", "x".repeat(4000)));
    let request = world.http.post(world.url(GENERATE));
    let response = request
        .header("x-goog-api-key", TOKEN)
        .header("content-type", "application/json")
        .header("user-agent", format!("Cherry\tStudio {}", "y".repeat(500)))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 502);
    response.text().await.unwrap();
    let failed = newest(&world).await;
    let project = failed.request.project.as_deref();
    assert_eq!(project, Some("project-0"));
    let said = failed.upstream_message.as_deref().unwrap();
    assert!(said.contains("has been suspended"), "{said}");
    let agent = failed.user_agent.as_deref().unwrap();
    assert!(
        agent.starts_with("CherryStudio yy") && agent.len() == 200,
        "{agent}"
    );
    let kept = failed.body.as_deref().unwrap();
    assert!(
        kept.contains("my key is AIza…0002 and ") && failed.body_truncated,
        "{kept}"
    );
    assert!(kept.len() <= 1024);
    let all = serde_json::to_string(&failed).unwrap();
    for secret in [KEYS[0], KEYS[1], TOKEN, GATEWAY, "room-number-101"] {
        assert!(!all.contains(secret), "{all}");
    }

    world.set(&[("RECORD_BODIES", "false")]);
    world
        .gemini(GENERATE, ask("hi"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(newest(&world).await.body, None);
}
