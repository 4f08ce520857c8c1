//! Settings that change while the server runs.

use serde_json::json;
use testkit::google::{FakeGoogle, Fault};

use crate::world::{KEYS, TOKEN, World, ask, json};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

#[tokio::test]
async fn a_filtered_model_is_in_no_list_and_refused_in_every_protocol() {
    let world = World::with_keys(1).await;
    let names = async |path: &str, header: &str| {
        let request = world.http.get(world.url(path)).header(header, TOKEN);
        let request = match path.contains("beta") || header == "x-goog-api-key" {
            true => request,
            false => request.header("anthropic-version", "2023-06-01"),
        };
        request.send().await.unwrap().text().await.unwrap()
    };
    for (path, header) in [
        ("/v1beta/models", "x-goog-api-key"),
        ("/v1/models", "x-goog-api-key"),
        ("/v1/models", "x-api-key"),
    ] {
        let before = names(path, header).await;
        assert!(before.contains("gemini-2.5-flash\""), "{path}: {before}");
    }

    world.set(&[("FILTERED_MODELS", "models/gemini-2.5-flash")]);
    for (path, header) in [
        ("/v1beta/models", "x-goog-api-key"),
        ("/v1/models", "x-goog-api-key"),
        ("/v1/models", "x-api-key"),
    ] {
        let after = names(path, header).await;
        assert!(!after.contains("gemini-2.5-flash\""), "{path}: {after}");
        assert!(after.contains("gemini-2.5-pro"), "{path}: {after}");
    }
    let list = world.http.get(world.url("/v1/models")).bearer_auth(TOKEN);
    let list = list.send().await.unwrap().text().await.unwrap();
    assert!(!list.contains("gemini-2.5-flash\"") && list.contains("gemini-2.5-pro"));

    let asked_before = world.google.requests().len();
    let google = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(google.status(), 404);
    let google = json(google).await;
    assert_eq!(google["error"]["status"], "NOT_FOUND");
    let said = google["error"]["message"].as_str().unwrap();
    assert!(said.contains("FILTERED_MODELS"), "{said}");

    let turn = json!([{"role": "user", "content": "hi"}]);
    let openai = world
        .chat(json!({"model": "gemini-2.5-flash", "messages": turn}))
        .await;
    assert_eq!(openai.status(), 404);
    assert_eq!(json(openai).await["error"]["code"], "model_not_found");

    let anthropic = world.http.post(world.url("/v1/messages"));
    let body = json!({"model": "gemini-2.5-flash", "max_tokens": 9, "messages": turn});
    let anthropic = anthropic
        .header("x-api-key", TOKEN)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(anthropic.status(), 404);
    assert_eq!(json(anthropic).await["error"]["type"], "not_found_error");

    for path in [
        "/v1beta/models/gemini-2.5-flash",
        "/v1/models/gemini-2.5-flash",
    ] {
        let one = world
            .http
            .get(world.url(path))
            .header("x-goog-api-key", TOKEN);
        assert_eq!(one.send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(
        world.google.requests().len(),
        asked_before,
        "Google is not asked for what is refused here"
    );

    world.set(&[("FILTERED_MODELS", "")]);
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
}

#[tokio::test]
async fn address_headers_attempts_and_patience_hold_for_the_next_request() {
    let world = World::with_keys(2).await;
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);

    let elsewhere = FakeGoogle::builder()
        .key(KEYS[0], "p")
        .key(KEYS[1], "p")
        .start()
        .await;
    let base_url = elsewhere.base_url();
    world.set(&[
        ("BASE_URL", &base_url),
        (
            "CUSTOM_HEADERS",
            r#"{"X-Team": "blue", "X-Goog-Api-Client": "ours"}"#,
        ),
        ("MAX_RETRIES", "1"),
        ("TIME_OUT", "7"),
    ]);
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    let seen = elsewhere.requests();
    assert_eq!(seen.len(), 1, "the new address is used");
    assert_eq!(seen[0].header("x-team"), "blue");
    assert_eq!(seen[0].header("x-goog-api-client"), "ours");

    elsewhere.fault_next(Fault::Status(503));
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 503);
    assert_eq!(elsewhere.requests().len(), 2, "one attempt");

    elsewhere.fault_next(Fault::StallBeforeHeaders);
    let passes = async {
        assert!(elsewhere.wait_for_requests(3).await);
        world.clock.advance(std::time::Duration::from_secs(7));
    };
    let (slow, ()) = tokio::join!(world.gemini(GENERATE, ask("hi")), passes);
    assert_eq!(slow.status(), 504);
    let said = slow.text().await.unwrap();
    assert!(said.contains("TIME_OUT"), "{said}");
}
