//! Quotas through the real server: what is learned of them, and waiting for a window.

use std::time::Duration;

use contract::admin::{KeyState, KeyView, RequestDetail, RequestPage, TryOutcome};
use testkit::google::{Fault, GoogleError, Quota, Rule, Script};

use crate::world::{KEYS, TOKEN, World, ask, json};

const MODEL: &str = "gemini-2.5-flash";
const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

#[tokio::test]
async fn a_request_waits_for_the_first_window_that_opens() {
    let limit = Quota::rpm(1);
    let settings = [("PATIENCE", "120")];
    let world = World::start(1, |google| google.project("project-0", limit), &settings).await;
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    // The first is refused before it waits; the next knows the limit and waits at once.
    for calls in [3, 4] {
        let passes = async {
            while waiting(&world).await == 0 {
                tokio::task::yield_now().await;
            }
            world.clock.advance(Duration::from_secs(61));
        };
        let (answer, ()) = tokio::join!(world.gemini(GENERATE, ask("hi")), passes);
        assert_eq!(answer.status(), 200);
        assert_eq!(world.google.requests().len(), calls);
    }
}

/// How many requests wait for a key.
async fn waiting(world: &World) -> u64 {
    let pool: serde_json::Value = world.admin("/api/pool").await;
    let models = pool["models"].as_array().unwrap();
    models
        .iter()
        .map(|model| model["waiting"].as_u64().unwrap())
        .sum()
}

#[tokio::test]
async fn a_client_that_will_not_wait_learns_which_window_opens_when() {
    let limit = Quota::rpm(1);
    let settings = [("PATIENCE", "120")];
    let world = World::start(1, |google| google.project("project-0", limit), &settings).await;
    world.gemini(GENERATE, ask("hi")).await;
    let answer = world
        .http
        .post(world.url(GENERATE))
        .header("x-goog-api-key", TOKEN)
        .header("x-patience", "0.5")
        .body(ask("hi"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((59..=61).contains(&wait), "{wait}");
    let said = json(answer).await["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        said.contains(MODEL) && said.contains("requests of this minute"),
        "{said}"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue() {
    let limit = Quota::rpm(1);
    let settings = [("PATIENCE", "120")];
    let world = World::start(1, |google| google.project("project-0", limit), &settings).await;
    world.gemini(GENERATE, ask("hi")).await;
    let until_it_waits = async {
        while waiting(&world).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = world.gemini(GENERATE, ask("hi")) => panic!("it was answered"),
        () = until_it_waits => {}
    }
    while waiting(&world).await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_learned_of_limits_is_known_after_a_restart() {
    let limit = Quota::rpd(2);
    let ground = crate::world::Ground::new(
        1,
        |google| google.project("project-0", limit),
        &[("PATIENCE", "0")],
    )
    .await;
    let world = ground.start().await;
    for status in [200, 200, 429] {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), status);
    }
    world.core.shutdown(Duration::from_secs(5)).await;
    let world = ground.start().await;
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 429);
    assert_eq!(world.google.requests().len(), 3, "Google was not asked");
    world.clock.advance(Duration::from_secs(20 * 3600));
    for status in [200, 200, 429] {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), status);
    }
    assert_eq!(world.google.requests().len(), 5, "the limit was kept");
}

#[tokio::test]
async fn another_model_stands_in_and_the_answer_says_which() {
    let fallbacks = r#"{"gemini-2.5-flash": "gemini-2.5-pro, gemini-2.5-flash-lite"}"#;
    let settings = [("MODEL_FALLBACKS", fallbacks), ("PATIENCE", "0")];
    let quota = |google: testkit::google::Builder| {
        google
            .model_quota("project-0", MODEL, Quota::rpd(1))
            .model_quota("project-0", "gemini-2.5-pro", Quota::rpd(1))
    };
    let world = World::start(1, quota, &settings).await;
    let path = format!("/api/keys/{}", world.key(crate::world::KEYS[0]).await.id);
    let label = Some(serde_json::json!({"label": "my key"}));
    assert_eq!(world.ask_admin("PATCH", &path, label).await.0, 200);
    let asked = async || {
        let request = world.http.post(world.url(GENERATE));
        let request = request.header("x-goog-api-key", TOKEN);
        let request = request.header("x-gemini-balance-trace", "1");
        request.body(ask("hi")).send().await.unwrap()
    };
    for (model, tries) in [
        (None, vec!["answered"]),
        (Some("gemini-2.5-pro"), vec!["quota", "answered"]),
        (Some("gemini-2.5-flash-lite"), vec!["quota", "answered"]),
    ] {
        let answer = asked().await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers();
        let used = headers.get("x-gemini-balance-model");
        assert_eq!(used.map(|name| name.to_str().unwrap()), model);
        let told: Vec<&str> = headers
            .get_all("x-gemini-balance-attempt")
            .iter()
            .map(|told| told.to_str().unwrap())
            .collect();
        assert_eq!(told.len(), tries.len(), "{told:?}");
        for (told, outcome) in told.iter().zip(tries) {
            assert!(told.contains(&format!("outcome={outcome} ")), "{told}");
            assert!(told.contains(" label=my%20key egress=direct "), "{told}");
        }
    }
    // The record of the last of them keeps both calls; that of the first, which went well at once,
    // has nothing to tell.
    let page: RequestPage = world.admin("/api/requests").await;
    let kept = async |at: usize| -> Vec<TryOutcome> {
        let path = format!("/api/requests/{}", page.requests[at].id);
        let detail: RequestDetail = world.admin(&path).await;
        for one in &detail.tries {
            assert!(!one.key.as_ref().unwrap().name.is_empty(), "{one:?}");
        }
        detail.tries.iter().map(|one| one.outcome).collect()
    };
    assert_eq!(kept(0).await, [TryOutcome::Quota, TryOutcome::Answered]);
    assert_eq!(kept(2).await, []);
    let plain = world.gemini(GENERATE, ask("hi")).await;
    assert!(!plain.headers().contains_key("x-gemini-balance-attempt"));
}

#[tokio::test]
async fn a_session_stays_with_its_key_and_so_does_a_loop_of_tool_calls() {
    let world = World::with_keys(3).await;
    for _ in 0..4 {
        let request = world.http.post(world.url(GENERATE));
        let request = request.header("x-goog-api-key", TOKEN);
        let request = request.header("x-session-id", "s1");
        let answer = request.body(ask("hi")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let used = world.keys_used();
    assert!(used.iter().all(|key| *key == used[0]), "{used:?}");
}

#[tokio::test]
async fn with_one_call_at_a_time_another_attempt_does_not_wait_for_the_one_that_failed() {
    let settings = [("KEY_CONCURRENCY", "1"), ("PATIENCE", "0")];
    let world = World::start(1, |google| google, &settings).await;
    let once = Rule::new(Fault::Status(503)).times(1);
    world.google.script(Script::new().rule(once));
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(world.google.requests().len(), 2);
}

#[tokio::test]
async fn who_is_told_to_wait_for_a_trial_learns_so() {
    let limit = Quota::rpm(1);
    let settings = [("PATIENCE", "0")];
    let world = World::start(1, |google| google.project("project-0", limit), &settings).await;
    for status in [200, 429] {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), status);
    }
    world.clock.advance(Duration::from_secs(61));
    let slow = Fault::Latency(Duration::from_secs(30));
    world.google.script(Script::new().rule(Rule::new(slow)));
    let other = async {
        while world.google.requests().len() < 3 {
            tokio::task::yield_now().await;
        }
        let refused = world.gemini(GENERATE, ask("hi")).await;
        assert_eq!(refused.status(), 429);
        let wait = refused.headers()["retry-after"].to_str().unwrap();
        assert!((1..=5).contains(&wait.parse::<u64>().unwrap()), "{wait}");
        let said = json(refused).await["error"]["message"].to_string();
        assert!(said.contains("is under way to see"), "{said}");
        assert!(!said.contains("KEY_CONCURRENCY"), "{said}");
        world.clock.advance(Duration::from_secs(30));
    };
    let (trial, ()) = tokio::join!(world.gemini(GENERATE, ask("hi")), other);
    assert_eq!(trial.status(), 200);
}

#[tokio::test]
async fn a_keys_list_of_models_is_about_models_and_about_nothing_else() {
    let world = World::with_keys(1).await;
    let id = world.key(KEYS[0]).await.id;
    let rules = serde_json::json!({"rules": {"models": [MODEL]}});
    let path = format!("/api/keys/{id}");
    let (status, changed) = world.ask_admin("PATCH", &path, Some(rules)).await;
    assert_eq!(status, 200, "{changed}");
    let count = async |model: &str| {
        let asked = serde_json::json!({
            "model": model, "messages": [{"role": "user", "content": "hi"}],
        });
        let request = world.http.post(world.url("/v1/messages/count_tokens"));
        let answer = request.header("x-api-key", TOKEN).body(asked.to_string());
        let answer = answer.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(count(MODEL).await.0, 200);
    let (status, said) = count("gemini-2.5-pro").await;
    assert!(
        status == 503 && said.contains("for gemini-2.5-pro"),
        "{said}"
    );
    let native = "/v1beta/models/gemini-2.5-pro:countTokens";
    assert_eq!(world.gemini(native, ask("hi")).await.status(), 503);
    assert_eq!(count(MODEL).await.0, 200, "which was not the key's fault");
    let form = reqwest::multipart::Form::new()
        .part(
            "file",
            reqwest::multipart::Part::bytes(b"text".to_vec()).file_name("a.txt"),
        )
        .text("purpose", "user_data");
    let upload = world.http.post(world.url("/v1/files")).bearer_auth(TOKEN);
    assert_eq!(upload.multipart(form).send().await.unwrap().status(), 200);
    let caches = world.http.get(world.url("/v1beta/cachedContents"));
    let caches = caches.header("x-goog-api-key", TOKEN).send().await.unwrap();
    assert_eq!(caches.status(), 200);
}

#[tokio::test]
async fn what_is_refused_of_one_model_is_not_refused_of_what_is_counted_with_it() {
    let world = World::start(2, |google| google, &[]).await;
    let closed = GoogleError {
        message:
            "This model models/gemini-2.5-pro is no longer available to new users. Please update \
                  your code to use a newer model."
                .to_owned(),
        ..GoogleError::usual(404)
    };
    for fault in [Fault::Error(closed), Fault::Status(403)] {
        let refused = Rule::new(fault.clone()).model("gemini-2.5-pro");
        world.google.script(Script::new().rule(refused));
        let count = async |model: &str| {
            let path = format!("/v1beta/models/{model}:countTokens");
            world.gemini(&path, ask("hi")).await.status().as_u16()
        };
        assert!(matches!(count("gemini-2.5-pro").await, 403 | 404));
        assert_eq!(count(MODEL).await, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn keys_that_nobody_has_tried_are_checked_once() {
    let ground = crate::world::Ground::new(3, |google| google, &[]).await;
    let world = ground.start().await;
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(world.google.requests().len(), 1);
    // Clients have some time to show that a key works.
    world.clock.advance(Duration::from_secs(10));
    loop {
        let keys: Vec<KeyView> = world.admin("/api/keys").await;
        if keys.iter().all(|key| key.state == KeyState::Ready) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut used = world.keys_used();
    used.sort_unstable();
    assert_eq!(used, KEYS, "each once");
    world.core.shutdown(Duration::from_secs(5)).await;
    let world = ground.start().await;
    let keys: Vec<KeyView> = world.admin("/api/keys").await;
    assert!(keys.iter().all(|key| key.state == KeyState::Ready));
    assert!(keys.iter().any(|key| key.last_used_at.is_some()));
}
