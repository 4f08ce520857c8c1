use std::time::Duration;

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::json;
use testkit::clock::VirtualClock;
use testkit::google::{Cut, Empty, Exhaustion, Fault, Rule, Script};

use super::{
    Client, KEY, OTHER, ask, events, get, google, message, parts, post, post_as, read, said,
};

const CALL: &str = "gemini-2.5-flash:generateContent";
const STREAM: &str = "gemini-2.5-flash:streamGenerateContent?alt=sse";

#[tokio::test]
async fn faults_queue_up_for_the_next_calls() {
    let google = google().start().await;
    google.fault_next(Fault::Status(503));
    google.fault_next(Fault::Raw {
        status: 502,
        content_type: "text/html".to_owned(),
        body: "<p>bad".to_owned(),
    });
    assert_eq!(
        get(&google, "/v1beta/models").await.0,
        200,
        "the list of models is not a call of a model"
    );
    let (status, body) = post(&google, CALL, &ask("a")).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (503, &json!("UNAVAILABLE"))
    );
    assert_eq!(
        message(&body),
        "The model is overloaded. Please try again later."
    );
    assert_eq!(post(&google, CALL, &ask("a")).await, (502, json!("<p>bad")));
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 200);
}

#[tokio::test]
async fn faults_are_meant_for_keys_models_and_methods() {
    let google = google().start().await;
    google.fault_for_key(KEY, Fault::Status(500));
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 500);
    assert_eq!(get(&google, "/v1beta/models").await.0, 500);
    assert_eq!(post_as(&google, OTHER, CALL, &ask("a")).await.0, 200);
    google.clear_faults();
    let script = Script::new()
        .rule(Rule::new(Fault::Status(504)).model("gemini-2.5-pro"))
        .rule(Rule::new(Fault::Status(503)).action("countTokens").times(1));
    google.script(script);
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 200);
    assert_eq!(
        post(&google, "gemini-2.5-pro:generateContent", &ask("a"))
            .await
            .0,
        504
    );
    assert_eq!(
        post(&google, "gemini-2.5-flash:countTokens", &ask("a"))
            .await
            .0,
        503
    );
    assert_eq!(
        post(&google, "gemini-2.5-flash:countTokens", &ask("a"))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn each_form_of_429_has_its_details() {
    let google = google().start().await;
    let retry = Duration::from_nanos(38_922_534_355);
    let cases = [
        (
            Exhaustion::PerMinute { limit: 10, retry },
            "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            "10",
        ),
        (
            Exhaustion::PerDay { limit: 20, retry },
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "20",
        ),
        (
            Exhaustion::TokensPerMinute {
                limit: 250_000,
                retry,
            },
            "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            "250000",
        ),
        (
            Exhaustion::LimitZero,
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "",
        ),
        (Exhaustion::NoDetails, "", ""),
    ];
    for (exhaustion, id, value) in cases {
        google.fault_next(Fault::Exhausted(exhaustion));
        let (status, body) = post(&google, CALL, &ask("a")).await;
        assert_eq!(status, 429);
        let violation = &body["error"]["details"][0]["violations"][0];
        assert_eq!(violation["quotaId"].as_str().unwrap_or_default(), id);
        assert_eq!(violation["quotaValue"].as_str().unwrap_or_default(), value);
        let delay = body["error"]["details"][2]["retryDelay"]
            .as_str()
            .unwrap_or_default();
        match exhaustion {
            Exhaustion::LimitZero => {
                assert!(message(&body).contains("limit: 0, model: gemini-2.5-flash"))
            }
            Exhaustion::NoDetails => assert!(body["error"].get("details").is_none()),
            _ => assert_eq!(delay, "38.922534355s"),
        }
    }
}

#[tokio::test]
async fn answers_without_content_have_their_forms() {
    let google = google().start().await;
    for stream in [false, true] {
        let mut client = Client::connect(&google).await;
        let call = if stream { STREAM } else { CALL };
        let mut answer = async |fault| {
            google.fault_next(fault);
            let response = client.post(call, &ask("a")).await.unwrap();
            assert_eq!(response.status(), 200);
            let (text, error) = read(response.into_body()).await;
            assert!(error.is_none());
            if stream {
                events(&text)
            } else {
                serde_json::from_str(&text).into_iter().collect()
            }
        };
        assert!(answer(Fault::Empty(Empty::NoBody)).await.is_empty());
        let none = answer(Fault::Empty(Empty::NoCandidates)).await;
        assert!(
            none[0].get("candidates").is_none()
                && none[0]["usageMetadata"]["promptTokenCount"] == 1
        );
        let no_parts = answer(Fault::Empty(Empty::NoParts)).await;
        assert!(
            parts(&no_parts).is_empty() && no_parts[0]["candidates"][0]["finishReason"] == "STOP"
        );
        assert_eq!(
            parts(&answer(Fault::Empty(Empty::EmptyText)).await),
            [json!({ "text": "" })]
        );
        let thoughts = answer(Fault::ThoughtOnly).await;
        assert!(
            parts(&thoughts).iter().all(|part| part["thought"] == true)
                && said(&thoughts).is_empty()
        );
        let blocked = answer(Fault::Blocked).await;
        assert_eq!(
            blocked[0]["promptFeedback"]["blockReason"],
            "PROHIBITED_CONTENT"
        );
        let malformed = answer(Fault::Finished("MALFORMED_FUNCTION_CALL".to_owned())).await;
        assert_eq!(
            malformed[0]["candidates"][0]["finishReason"],
            "MALFORMED_FUNCTION_CALL"
        );
    }
}

#[tokio::test]
async fn a_stream_breaks_off_with_an_error_event() {
    let google = google().start().await;
    for (after, expected) in [(0, 0), (2, 2)] {
        google.fault_next(Fault::ErrorInStream { after, code: 503 });
        let mut client = Client::connect(&google).await;
        let response = client.post(STREAM, &ask("a")).await.unwrap();
        assert_eq!(response.status(), 200);
        let (text, error) = read(response.into_body()).await;
        assert!(error.is_none());
        let events = events(&text);
        assert_eq!(events.len(), expected + 1);
        assert_eq!(events[expected]["error"]["code"], 503);
    }
    google.fault_next(Fault::ErrorInStream {
        after: 1,
        code: 503,
    });
    assert_eq!(post(&google, CALL, &ask("a")).await.0, 503);
}

#[tokio::test]
async fn connections_are_cut_after_so_many_events() {
    let google = google().start().await;
    for cut in [Cut::Reset, Cut::Close, Cut::End] {
        for count in [0, 2] {
            google.fault_next(Fault::CutAfter { events: count, cut });
            let mut client = Client::connect(&google).await;
            let response = client.post(STREAM, &ask("a")).await.unwrap();
            assert_eq!(response.status(), 200);
            let (text, error) = read(response.into_body()).await;
            assert_eq!(error.is_some(), cut != Cut::End);
            let events = events(&text);
            assert_eq!(events.len(), count);
            assert!(
                events
                    .iter()
                    .all(|event| event["candidates"][0].get("finishReason").is_none())
            );
        }
    }
    google.fault_next(Fault::CutAfter {
        events: 0,
        cut: Cut::Close,
    });
    let mut client = Client::connect(&google).await;
    let response = client.post(CALL, &ask("a")).await.unwrap();
    let (text, error) = read(response.into_body()).await;
    assert!(error.is_some() && serde_json::from_str::<serde_json::Value>(&text).is_err());

    google.fault_next(Fault::CloseBeforeHeaders);
    assert!(
        Client::connect(&google)
            .await
            .post(CALL, &ask("a"))
            .await
            .is_err()
    );
    assert_eq!(
        google.counts().disconnects,
        0,
        "the fake's own breaks are not the client's"
    );
}

#[tokio::test]
async fn a_stalled_answer_goes_on_when_released() {
    let google = google().start().await;
    google.fault_next(Fault::StallAfter { events: 1 });
    let mut client = Client::connect(&google).await;
    let mut body = client.post(STREAM, &ask("a")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().now_or_never().is_none());
    google.release();
    let (rest, error) = read(body).await;
    assert!(error.is_none());
    assert_eq!(
        events(&rest).last().unwrap()["candidates"][0]["finishReason"],
        "STOP"
    );

    google.fault_next(Fault::StallBeforeHeaders);
    let request = ask("b");
    let mut answer = Box::pin(client.post(CALL, &request));
    assert!(answer.as_mut().now_or_never().is_none());
    assert!(google.wait_for_requests(2).await);
    assert!(answer.as_mut().now_or_never().is_none());
    assert_eq!(google.requests()[1].status, None);
    google.release();
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed() {
    let google = google().start().await;
    for (i, fault) in [
        Fault::StallAfter { events: 1 },
        Fault::StallAfter { events: 0 },
    ]
    .into_iter()
    .enumerate()
    {
        google.fault_next(fault);
        let mut client = Client::connect(&google).await;
        let response = client.post(STREAM, &ask("a")).await.unwrap();
        assert_eq!(response.status(), 200);
        drop((response, client));
        assert!(google.wait_for_disconnects(i + 1).await);
    }
    google.fault_next(Fault::StallBeforeHeaders);
    let mut client = Client::connect(&google).await;
    let request = ask("a");
    let mut answer = Box::pin(client.post(CALL, &request));
    assert!(answer.as_mut().now_or_never().is_none());
    assert!(google.wait_for_requests(3).await);
    drop(answer);
    drop(client);
    assert!(google.wait_for_disconnects(3).await);
}

#[tokio::test]
async fn latency_and_slow_drip_pass_on_the_fakes_clock() {
    let clock = VirtualClock::at(0);
    let google = google().clock(&clock).start().await;
    google.script(
        Script::new()
            .rule(Rule::new(Fault::Latency(Duration::from_secs(30))))
            .rule(Rule::new(Fault::SlowDrip(Duration::from_secs(5)))),
    );
    let mut client = Client::connect(&google).await;
    let request = ask("a");
    let mut answer = Box::pin(client.post(STREAM, &request));
    assert!(answer.as_mut().now_or_never().is_none());
    assert!(google.wait_for_requests(1).await);
    clock.advance(Duration::from_secs(30));
    let mut body = answer.await.unwrap().into_body();
    assert!(body.frame().now_or_never().is_none());
    clock.advance(Duration::from_secs(5));
    assert!(body.frame().await.unwrap().is_ok());
    clock.advance(Duration::from_secs(1000));
    let mut read = Box::pin(read(body));
    // Each event waits anew, so the clock moves until the stream has ended.
    let text = loop {
        if let Some((text, error)) = read.as_mut().now_or_never() {
            assert!(error.is_none());
            break text;
        }
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
    };
    assert_eq!(
        events(&text).last().unwrap()["candidates"][0]["finishReason"],
        "STOP"
    );
}

#[tokio::test]
async fn one_event_is_not_json() {
    let google = google().start().await;
    google.fault_next(Fault::Malformed { after: 1 });
    let mut client = Client::connect(&google).await;
    let (text, error) = read(client.post(STREAM, &ask("a")).await.unwrap().into_body()).await;
    assert!(error.is_none());
    let broken: Vec<bool> = text
        .split_terminator("\r\n\r\n")
        .map(|event| {
            serde_json::from_str::<serde_json::Value>(event.strip_prefix("data: ").unwrap())
                .is_err()
        })
        .collect();
    assert_eq!(broken.iter().filter(|broken| **broken).count(), 1);
    assert!(broken[1]);
}

#[tokio::test]
async fn a_dropped_fake_ends_its_connections() {
    let google = google().start().await;
    google.fault_next(Fault::StallAfter { events: 1 });
    let mut client = Client::connect(&google).await;
    let mut body = client.post(STREAM, &ask("a")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    let address = google.address();
    drop(google);
    assert!(read(body).await.1.is_some());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
