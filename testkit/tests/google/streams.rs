use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use testkit::google::FakeGoogle;

use super::{Client, KEY, ask, events, google, parts, post, read, said};

async fn stream(google: &FakeGoogle, model: &str, body: &Value) -> Vec<Value> {
    let mut client = Client::connect(google).await;
    let response = client
        .post(&format!("{model}:streamGenerateContent?alt=sse"), body)
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (text, error) = read(response.into_body()).await;
    assert!(error.is_none() && text.ends_with("\r\n\r\n"));
    events(&text)
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let google = google().start().await;
    for model in ["gemini-2.5-flash", "gemini-3.8-flash", "gemma-3-27b-it"] {
        for question in ["How are you?", "你好吗？请讲一个故事。"] {
            let events = stream(&google, model, &ask(question)).await;
            let (_, whole) =
                post(&google, &format!("{model}:generateContent"), &ask(question)).await;
            assert_eq!(said(&events), said(std::slice::from_ref(&whole)));
            assert!(said(&events).contains(question));
            let (last, before) = events.split_last().unwrap();
            assert!(before.len() >= 3);
            assert_eq!(last["candidates"][0]["finishReason"], "STOP");
            assert!(
                before
                    .iter()
                    .all(|event| event["candidates"][0].get("finishReason").is_none())
            );
            assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
            assert!(
                events
                    .iter()
                    .any(|event| parts(std::slice::from_ref(event)).len() > 1),
                "several parts in one event"
            );
        }
    }
}

#[tokio::test]
async fn thoughts_come_first_and_gemini_3_signs_the_end() {
    let google = google().start().await;
    let mut body = ask("Why?");
    body["generationConfig"] = json!({ "thinkingConfig": { "includeThoughts": true } });
    let events = stream(&google, "gemini-3.8-flash", &body).await;
    let all = parts(&events);
    let thoughts = all
        .iter()
        .take_while(|part| part["thought"] == true)
        .count();
    assert!(
        thoughts > 0
            && all
                .iter()
                .skip(thoughts)
                .all(|part| part.get("thought").is_none())
    );
    assert!(all.last().unwrap()["thoughtSignature"].is_string());
    assert!(events.iter().any(|event| {
        let parts = parts(std::slice::from_ref(event));
        parts.iter().any(|p| p["thought"] == true)
            && parts.iter().any(|p| p.get("thought").is_none())
    }));
    assert!(
        events.last().unwrap()["usageMetadata"]["thoughtsTokenCount"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn without_alt_sse_it_is_one_array_that_comes_in_pieces() {
    let google = google().start().await;
    let request = Request::post("/v1/models/gemini-2.5-flash:streamGenerateContent")
        .header("x-goog-api-key", KEY)
        .body(Full::new(Bytes::from(ask("hi").to_string())))
        .unwrap();
    let response = google.call(request).await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/json; charset=UTF-8"
    );
    let mut body = response.into_body();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.push(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap());
    }
    assert!(pieces[0].starts_with("[{") && pieces[1].starts_with(",\r\n{"));
    let all: Vec<Value> = serde_json::from_str(&pieces.concat()).unwrap();
    assert_eq!(all.len(), pieces.len() - 1);
    assert_eq!(
        said(&all),
        said(&stream(&google, "gemini-2.5-flash", &ask("hi")).await)
    );
}

#[tokio::test]
async fn the_benchmark_models_answer_exactly_so_much_and_are_not_recorded() {
    let google = google().start().await;
    assert_eq!(
        stream(&google, "bench-stream-20", &json!({})).await.len(),
        20
    );
    let (status, body) = post(&google, "bench-small:generateContent", &json!({})).await;
    assert_eq!(
        (status, &body["candidates"][0]["finishReason"]),
        (200, &json!("STOP"))
    );
    assert!(google.requests().is_empty());
    assert_eq!(
        super::post_as(
            &google,
            "AIza-unknown",
            "bench-small:generateContent",
            &json!({})
        )
        .await
        .0,
        400
    );
}
