use contract::admin::{CooldownReason, KeyState, RejectReason};
use testkit::google::{Empty, Fault, Quota, Refusal, Rule, Script};

use crate::world::{KEYS, NOON, World, ask, json};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

#[tokio::test]
async fn keys_take_turns() {
    let world = World::with_keys(3).await;
    for _ in 0..6 {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    let used = world.keys_used();
    let mut first = used[..3].to_vec();
    first.sort();
    let mut all = KEYS.map(str::to_owned).to_vec();
    all.sort();
    assert_eq!(first, all);
    assert_eq!(used[..3], used[3..]);
}

#[tokio::test]
async fn a_key_over_its_minute_is_left_alone_as_long_as_google_asks() {
    let world = World::start(
        2,
        |google| {
            google.project(
                "project-0",
                Quota {
                    rpm: Some(1),
                    ..Quota::UNLIMITED
                },
            )
        },
        &[],
    )
    .await;
    for _ in 0..6 {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    let tries = |world: &World| {
        world
            .keys_used()
            .iter()
            .filter(|key| *key == KEYS[0])
            .count()
    };
    assert_eq!(
        tries(&world),
        2,
        "one that was answered, one that met the limit"
    );
    world.clock.advance(std::time::Duration::from_secs(61));
    for _ in 0..2 {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    assert_eq!(
        tries(&world),
        3,
        "it is asked again when its minute is over"
    );
}

#[tokio::test]
async fn when_every_key_rests_the_client_learns_when_the_first_is_back() {
    let limit = Quota {
        rpm: Some(1),
        ..Quota::UNLIMITED
    };
    let world = World::start(
        2,
        |google| {
            google
                .project("project-0", limit)
                .project("project-1", limit)
        },
        &[],
    )
    .await;
    for _ in 0..2 {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    for _ in 0..2 {
        let response = world.gemini(GENERATE, ask("hi")).await;
        assert_eq!(response.status(), 429);
        let wait: u64 = response.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=61).contains(&wait), "waits {wait} s");
        let body = json(response).await;
        assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
        let delay = &body["error"]["details"][0]["retryDelay"];
        assert!(
            delay.as_str().unwrap().ends_with('s'),
            "what Google's SDKs wait by: {body}"
        );
        assert!(
            body["error"]["message"]
                .as_str()
                .unwrap()
                .contains("is back in")
        );
    }
    assert_eq!(
        world.google.requests().len(),
        4,
        "a resting key is not asked"
    );
}

#[tokio::test]
async fn a_daily_limit_is_believed_over_its_retry_info() {
    let limit = Quota {
        rpd: Some(1),
        ..Quota::UNLIMITED
    };
    let world = World::start(1, |google| google.project("project-0", limit), &[]).await;
    world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 429);
    let status = world.key(KEYS[0]).await;
    assert_eq!(status.cooldowns.len(), 1);
    assert_eq!(status.cooldowns[0].reason, CooldownReason::PerDay);
    // Noon UTC in November is 4:00 in California: 20 hours to midnight.
    assert_eq!(status.cooldowns[0].until, NOON + 20 * 3_600_000);
}

#[tokio::test]
async fn a_refused_key_is_taken_out_and_the_client_does_not_notice() {
    for (refusal, reason) in [
        (Refusal::Invalid, RejectReason::Invalid),
        (Refusal::Suspended, RejectReason::Suspended),
        (Refusal::Leaked, RejectReason::Leaked),
        (Refusal::ServiceDisabled, RejectReason::ServiceDisabled),
    ] {
        let world = World::with_keys(2).await;
        world.google.disable_key(KEYS[0], refusal);
        for _ in 0..4 {
            assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
        }
        let tries = world
            .keys_used()
            .iter()
            .filter(|key| *key == KEYS[0])
            .count();
        assert_eq!(tries, 1, "{reason:?}: asked once, then never again");
        let status = world.key(KEYS[0]).await;
        assert_eq!(status.state, KeyState::Rejected { reason });
        let said = status.last_error.unwrap();
        assert!(!said.contains(KEYS[0]), "the key is quoted: {said}");
    }
}

#[tokio::test]
async fn when_the_only_key_is_refused_the_answer_blames_the_key_and_hides_it() {
    let world = World::with_keys(1).await;
    world.google.disable_key(KEYS[0], Refusal::Suspended);
    let response = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(response.status(), 502);
    let body = response.text().await.unwrap();
    assert!(body.contains("Keys page"), "{body}");
    assert!(!body.contains(KEYS[0]), "{body}");
}

#[tokio::test]
async fn an_overloaded_model_costs_no_key_anything() {
    let world = World::with_keys(2).await;
    world.google.fault_next(Fault::Status(503));
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(world.google.requests().len(), 2);
    for key in &KEYS[..2] {
        let status = world.key(key).await;
        assert!(status.cooldowns.is_empty());
        assert!(matches!(
            status.state,
            KeyState::Ready | KeyState::Unchecked
        ));
    }
}

#[tokio::test]
async fn an_empty_or_thought_only_answer_is_asked_again() {
    for fault in [
        Fault::Empty(Empty::NoCandidates),
        Fault::Empty(Empty::NoParts),
        Fault::Empty(Empty::EmptyText),
        Fault::Empty(Empty::NoBody),
        Fault::ThoughtOnly,
        Fault::Finished("MALFORMED_FUNCTION_CALL".into()),
    ] {
        let world = World::with_keys(2).await;
        world.google.fault_next(fault);
        let response = world.gemini(GENERATE, ask("hi")).await;
        assert_eq!(response.status(), 200);
        let body = json(response).await;
        assert!(body["candidates"][0]["content"]["parts"][0]["text"].is_string());
        assert_eq!(world.google.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_clients_own_mistake_goes_back_as_google_said_it_and_is_not_retried() {
    let world = World::with_keys(3).await;
    let response = world
        .gemini(GENERATE, r#"{"contents":[{"partz":[]}]}"#)
        .await;
    assert_eq!(response.status(), 400);
    let body = json(response).await;
    assert!(body["error"]["message"].as_str().unwrap().contains("partz"));
    assert_eq!(world.google.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_dies_is_tried_again() {
    let world = World::with_keys(2).await;
    world.google.fault_next(Fault::CloseBeforeHeaders);
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(world.google.requests().len(), 2);
}

#[tokio::test]
async fn what_is_so_with_all_keys_is_not_put_down_to_a_key() {
    let world = World::with_keys(3).await;
    let closes = Rule::new(Fault::CloseBeforeHeaders);
    world.google.script(Script::new().rule(closes));
    let answer = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 502);
    let said = answer.text().await.unwrap();
    assert!(said.contains("it was the same with 3 keys"), "{said}");
}

#[tokio::test]
async fn keys_that_are_out_of_quota_cost_a_request_none_of_its_attempts() {
    let out = Quota {
        rpm: Some(0),
        ..Quota::UNLIMITED
    };
    let world = World::start(
        3,
        |google| google.project("project-0", out).project("project-1", out),
        &[("MAX_RETRIES", "1")],
    )
    .await;
    for _ in 0..3 {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    assert_eq!(
        world.google.requests().len(),
        5,
        "each of the two was asked once"
    );
}

#[tokio::test]
async fn a_key_that_met_an_overload_is_tried_again_when_the_others_are_out_of_quota() {
    let out = Quota {
        rpm: Some(0),
        ..Quota::UNLIMITED
    };
    let world = World::start(2, |google| google.project("project-1", out), &[]).await;
    // Whichever key comes first: the one with quota meets a 503 once.
    world.google.script(
        testkit::google::Script::default().rule(
            testkit::google::Rule::new(Fault::Status(503))
                .key(KEYS[0])
                .times(1),
        ),
    );
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
}

#[tokio::test]
async fn a_gateway_that_names_its_credential_is_not_quoted() {
    let world = World::with_keys(1).await;
    let headers = r#"{"x-gateway": "Basic gateway-credential"}"#;
    world.set(&[("CUSTOM_HEADERS", headers)]);
    let names_it = || Fault::Raw {
        status: 400,
        content_type: "application/json".to_owned(),
        body: r#"{"error": {"code": 400, "message": "Basic gateway-credential is over"}}"#
            .to_owned(),
    };
    let stream = GENERATE.replace(":generate", ":streamGenerate");
    for path in [GENERATE, &stream] {
        world.google.fault_next(names_it());
        let answer = world.gemini(path, ask("hi")).await;
        assert_eq!(answer.status(), 400, "{path}");
        let said = answer.text().await.unwrap();
        assert!(
            said.contains("is over") && !said.contains("credential"),
            "{said}"
        );
    }
    let keys: Vec<contract::admin::KeyView> = world.admin("/api/keys").await;
    let kept = serde_json::to_string(&keys).unwrap();
    assert!(!kept.contains("gateway-credential"), "{kept}");
}
