//! The pool through the real server: what each failure costs, and waiting for a window.

use std::time::Duration;

use contract::admin::{CooldownReason, KeyState};
use testkit::google::{Empty, Exhaustion, Fault, Quota, Refusal, Rule, Script};

use crate::world::{KEYS, TOKEN, World, ask, json};

const MODEL: &str = "gemini-2.5-flash";
const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

/// Asks in one of the three protocols.
async fn asks(world: &World, protocol: usize) -> reqwest::Response {
    match protocol {
        0 => world.gemini(GENERATE, ask("hi")).await,
        1 => {
            let body = serde_json::json!({
                "model": MODEL, "messages": [{"role": "user", "content": "hi"}],
            });
            world.chat(body).await
        }
        _ => {
            let body = serde_json::json!({
                "model": MODEL, "max_tokens": 100,
                "messages": [{"role": "user", "content": "hi"}],
            });
            let request = world.http.post(world.url("/v1/messages"));
            let request = request.header("x-api-key", TOKEN);
            let request = request.header("anthropic-version", "2023-06-01");
            let request = request.header("content-type", "application/json");
            request.body(body.to_string()).send().await.unwrap()
        }
    }
}

/// What becomes of the two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// They are as they were.
    Untouched,
    /// They rest for the model.
    Rest(CooldownReason),
    /// They are off.
    Off,
}

#[tokio::test]
async fn every_row_of_the_table_of_outcomes_in_every_protocol() {
    use CooldownReason as C;
    let retry = Duration::from_millis(12_345);
    let table = [
        (Fault::Status(400), 400, 1, Keys::Untouched),
        (Fault::Status(404), 404, 1, Keys::Untouched),
        (Fault::Status(403), 403, 2, Keys::Untouched),
        (Fault::Status(500), 500, 2, Keys::Untouched),
        (Fault::Status(503), 503, 2, Keys::Untouched),
        (Fault::Status(504), 504, 2, Keys::Untouched),
        (
            Fault::Exhausted(Exhaustion::NoDetails),
            429,
            2,
            Keys::Untouched,
        ),
        (
            Fault::Exhausted(Exhaustion::PerMinute { limit: 10, retry }),
            429,
            2,
            Keys::Rest(C::PerMinute),
        ),
        (
            Fault::Exhausted(Exhaustion::TokensPerMinute {
                limit: 250_000,
                retry,
            }),
            429,
            2,
            Keys::Rest(C::TokensPerMinute),
        ),
        // Less than this one request has: no other key would take it.
        (
            Fault::Exhausted(Exhaustion::TokensPerMinute { limit: 1, retry }),
            429,
            1,
            Keys::Untouched,
        ),
        (
            Fault::Exhausted(Exhaustion::PerDay {
                limit: 20,
                retry: Duration::ZERO,
            }),
            429,
            2,
            Keys::Rest(C::PerDay),
        ),
        (
            Fault::Exhausted(Exhaustion::LimitZero),
            429,
            2,
            Keys::Rest(C::NotInTier),
        ),
        (Fault::Refuse(Refusal::Invalid), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::Leaked), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::Location), 400, 1, Keys::Untouched),
        (Fault::Empty(Empty::NoParts), 502, 2, Keys::Untouched),
        (Fault::ThoughtOnly, 502, 2, Keys::Untouched),
        (
            Fault::Finished("MALFORMED_FUNCTION_CALL".into()),
            502,
            2,
            Keys::Untouched,
        ),
        (
            Fault::Finished("RECITATION".into()),
            200,
            1,
            Keys::Untouched,
        ),
        (Fault::CloseBeforeHeaders, 502, 2, Keys::Untouched),
    ];
    for (fault, status, tries, expected) in table {
        for protocol in 0..3 {
            let settings = [("MAX_RETRIES", "2"), ("PATIENCE", "0")];
            let world = World::start(2, |google| google, &settings).await;
            world
                .google
                .script(Script::new().rule(Rule::new(fault.clone())));
            let answer = asks(&world, protocol).await;
            let which = format!("{fault:?} in protocol {protocol}");
            assert_eq!(answer.status(), status, "{which}");
            assert_eq!(world.google.requests().len(), tries, "{which}");
            let said = answer.text().await.unwrap();
            for key in &KEYS[..2] {
                assert!(!said.contains(key), "{which}: {said}");
                let view = world.key(key).await;
                let reasons: Vec<_> = view.cooldowns.iter().map(|rest| rest.reason).collect();
                let found = match (view.state, reasons.first()) {
                    (KeyState::Rejected { .. }, _) => Keys::Off,
                    (_, Some(reason)) => Keys::Rest(*reason),
                    _ => Keys::Untouched,
                };
                assert_eq!(found, expected, "{which}");
            }
        }
    }
}

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
        }
    }
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
