use std::time::Duration;

use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::google::{FakeGoogle, Quota, Usage};

use super::{KEY, OTHER, ask, google, message, post, post_as};

const CALL: &str = "gemini-2.5-flash:generateContent";

/// 2026-03-07T18:00:00Z: ten in the morning in California, the day before its clocks go forward.
const START: i64 = 1_772_906_400_000;

fn detail<'a>(body: &'a Value, kind: &str) -> &'a Value {
    let details = body["error"]["details"].as_array().unwrap();
    details
        .iter()
        .find(|d| d["@type"] == format!("type.googleapis.com/google.rpc.{kind}"))
        .unwrap()
}

async fn limited(quota: Quota) -> (FakeGoogle, VirtualClock) {
    let clock = VirtualClock::at(START);
    (
        google().clock(&clock).project("p1", quota).start().await,
        clock,
    )
}

#[tokio::test]
async fn requests_a_minute_are_limited_and_the_advice_is_honest() {
    let (google, clock) = limited(Quota::rpm(2)).await;
    assert_eq!(post(&google, CALL, &ask("one")).await.0, 200);
    clock.advance(Duration::from_millis(33_588));
    assert_eq!(post(&google, CALL, &ask("two")).await.0, 200);

    let (status, body) = post(&google, CALL, &ask("three")).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (429, &json!("RESOURCE_EXHAUSTED"))
    );
    assert!(message(&body).starts_with("You exceeded your current quota"));
    assert!(message(&body).contains(
        "* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, \
         limit: 2, model: gemini-2.5-flash"
    ));
    assert!(message(&body).ends_with("Please retry in 26.412s."));
    assert_eq!(detail(&body, "RetryInfo")["retryDelay"], "26.412s");
    assert_eq!(
        detail(&body, "QuotaFailure")["violations"],
        json!([{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
            "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            "quotaDimensions": { "location": "global", "model": "gemini-2.5-flash" },
            "quotaValue": "2",
        }])
    );
    assert!(detail(&body, "Help")["links"][0]["url"].is_string());

    clock.advance(Duration::from_millis(26_411));
    assert_eq!(post(&google, CALL, &ask("too early")).await.0, 429);
    clock.advance(Duration::from_millis(1));
    assert_eq!(post(&google, CALL, &ask("in time")).await.0, 200);
}

#[tokio::test]
async fn quotas_belong_to_projects_and_models_not_to_keys() {
    let clock = VirtualClock::at(START);
    let google = google()
        .clock(&clock)
        .key("AIza-sibling", "p1")
        .project("p1", Quota::rpm(1))
        .model_quota("p1", "gemini-2.5-pro", Quota::rpd(0))
        .start()
        .await;
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 200);
    assert_eq!(
        post_as(&google, "AIza-sibling", CALL, &ask("a")).await.0,
        429
    );
    assert_eq!(post_as(&google, OTHER, CALL, &ask("a")).await.0, 200);
    assert_eq!(
        post(&google, "gemini-3.8-flash:generateContent", &ask("a"))
            .await
            .0,
        200
    );

    let (status, body) = post(&google, "gemini-2.5-pro:generateContent", &ask("a")).await;
    assert_eq!(status, 429);
    assert!(message(&body).contains("limit: 0, model: gemini-2.5-pro"));
    google.set_model_quota("p1", "gemini-2.5-pro", Quota::UNLIMITED);
    assert_eq!(
        post(&google, "gemini-2.5-pro:generateContent", &ask("a"))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn input_tokens_a_minute_are_limited() {
    let (google, clock) = limited(Quota::tpm(100)).await;
    assert_eq!(post(&google, CALL, &ask(&"x".repeat(320))).await.0, 200);
    clock.advance(Duration::from_secs(10));
    assert_eq!(post(&google, CALL, &ask(&"x".repeat(40))).await.0, 200);
    let (status, body) = post(&google, CALL, &ask(&"x".repeat(80))).await;
    assert_eq!(status, 429);
    let violation = &detail(&body, "QuotaFailure")["violations"][0];
    assert_eq!(
        violation["quotaId"],
        "GenerateContentInputTokensPerModelPerMinute-FreeTier"
    );
    assert_eq!(violation["quotaValue"], "100");
    assert_eq!(detail(&body, "RetryInfo")["retryDelay"], "50s");
    assert_eq!(post(&google, CALL, &ask(&"x".repeat(40))).await.0, 200);
    clock.advance(Duration::from_secs(50));
    assert_eq!(post(&google, CALL, &ask(&"x".repeat(80))).await.0, 200);
}

#[tokio::test]
async fn a_day_ends_at_midnight_in_california() {
    let (google, clock) = limited(Quota::rpd(1)).await;
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 200);
    let (status, body) = post(&google, CALL, &ask("a")).await;
    assert_eq!(status, 429);
    let violation = &detail(&body, "QuotaFailure")["violations"][0];
    assert_eq!(
        violation["quotaId"],
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    );
    // Google's advice is wrong here: nothing but midnight helps, fourteen hours ahead.
    let advice = detail(&body, "RetryInfo")["retryDelay"]
        .as_str()
        .unwrap()
        .trim_end_matches('s');
    assert!(advice.parse::<f64>().unwrap() <= 60.0);

    clock.advance(Duration::from_secs(14 * 3600 - 1));
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 429);
    clock.advance(Duration::from_secs(1));
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 200);
    // That day has 23 hours, for California's clocks go forward.
    clock.advance(Duration::from_secs(23 * 3600 - 1));
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 429);
    clock.advance(Duration::from_secs(1));
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 200);
}

#[tokio::test]
async fn several_limits_are_reported_at_once_and_refusals_cost_nothing() {
    let (google, _clock) = limited(Quota {
        rpm: Some(1),
        tpm: Some(10),
        rpd: Some(1),
    })
    .await;
    assert_eq!(post(&google, CALL, &ask(&"x".repeat(40))).await.0, 200);
    let (_, body) = post(&google, CALL, &ask("xxxx")).await;
    assert_eq!(
        detail(&body, "QuotaFailure")["violations"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(post(&google, CALL, &json!({ "contents": [] })).await.0, 400);
    let used = Usage {
        requests_last_minute: 1,
        tokens_last_minute: 10,
        requests_today: 1,
    };
    assert_eq!(google.usage("p1", "gemini-2.5-flash"), used);
    assert_eq!(
        post_as(&google, KEY, "gemini-2.5-flash:countTokens", &ask("a"))
            .await
            .0,
        200
    );
}
