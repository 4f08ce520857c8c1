use serde_json::{Value, json};
use testkit::google::Fault;

use crate::world::{TOKEN, World, events, json as body};

async fn messages(world: &World, path: &str, request: Value) -> reqwest::Response {
    world
        .http
        .post(world.url(path))
        .header("x-api-key", TOKEN)
        .header("anthropic-version", "2023-06-01")
        .body(request.to_string())
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_message_is_answered_in_anthropics_shape() {
    let world = World::with_keys(1).await;
    let request = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 256, "system": "Be brief.",
        "messages": [{"role": "user", "content": "Say hello to Grace."}],
    });
    let answer = body(messages(&world, "/v1/messages", request).await).await;
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["stop_reason"], "end_turn");
    assert_eq!(
        answer["model"], "claude-sonnet-4-5",
        "as the client asked for it"
    );
    assert!(
        answer["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("Grace")
    );
    assert!(answer["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let asked = &world.google.requests()[0];
    assert!(asked.model.as_deref().unwrap().starts_with("gemini-"));
}

#[tokio::test]
async fn a_streamed_message_begins_and_stops_once() {
    let world = World::with_keys(1).await;
    let request = json!({
        "model": "gemini-2.5-flash", "max_tokens": 256, "stream": true,
        "messages": [{"role": "user", "content": "Say hello to Grace."}],
    });
    let text = messages(&world, "/v1/messages", request)
        .await
        .text()
        .await
        .unwrap();
    let kinds: Vec<String> = events(&text)
        .iter()
        .map(|event| serde_json::from_str::<Value>(event).unwrap()["type"].to_string())
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("\"message_start\""));
    assert_eq!(kinds.last().map(String::as_str), Some("\"message_stop\""));
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == "\"message_delta\"")
            .count(),
        1
    );
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed_for_anthropics_clients() {
    let world = World::with_keys(1).await;
    let request =
        json!({"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "hi"}]});
    let count = body(messages(&world, "/v1/messages/count_tokens", request).await).await;
    assert!(count["input_tokens"].as_u64().unwrap() > 0);
    let list = world
        .http
        .get(world.url("/v1/models"))
        .header("x-api-key", TOKEN)
        .header("anthropic-version", "2023-06-01");
    let list = body(list.send().await.unwrap()).await;
    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!(list["has_more"], false);
}

#[tokio::test]
async fn errors_have_anthropics_shape() {
    let world = World::with_keys(0).await;
    let request = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let response = messages(&world, "/v1/messages", request).await;
    assert_eq!(response.status(), 503);
    let error = body(response).await;
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "overloaded_error");
    let malformed = messages(&world, "/v1/messages", json!({"model": 3})).await;
    assert_eq!(malformed.status(), 400);
    assert_eq!(
        body(malformed).await["error"]["type"],
        "invalid_request_error"
    );
}

/// The request's id, which the answer's headers have alike.
fn request_id(response: &reqwest::Response) -> String {
    let headers = response.headers();
    let id = headers["request-id"].to_str().unwrap();
    assert_eq!(headers["x-request-id"], id);
    id.to_owned()
}

#[tokio::test]
async fn the_requests_id_is_where_anthropics_clients_look_for_it() {
    let world = World::with_keys(1).await;
    let mut request = json!({"model": "gemini-2.5-flash", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    request_id(&messages(&world, "/v1/messages", request.clone()).await);
    // Refused by Google, not understood, let in by nobody, in vain.
    world.google.fault_next(Fault::Status(400));
    let refused = messages(&world, "/v1/messages", request.clone()).await;
    let malformed = messages(&world, "/v1/messages", json!({"model": 3})).await;
    let stranger = world.http.post(world.url("/v1/messages"));
    let stranger = stranger.header("x-api-key", "nobody").send().await.unwrap();
    let nowhere = messages(&world, "/v1/nowhere", json!({})).await;
    for response in [refused, malformed, stranger, nowhere] {
        let id = request_id(&response);
        let error = body(response).await;
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["request_id"], id, "{error}");
    }
    // In a stream.
    request["stream"] = json!(true);
    world.google.fault_next(Fault::ErrorInStream {
        after: 1,
        code: 503,
    });
    let response = messages(&world, "/v1/messages", request).await;
    let id = request_id(&response);
    let text = response.text().await.unwrap();
    let last: Value = serde_json::from_str(events(&text).last().unwrap()).unwrap();
    assert_eq!(last["type"], "error", "{text}");
    assert_eq!(last["request_id"], id, "{text}");
    assert_eq!(last["error"]["details"]["error_code"], "unavailable");
    // Others keep theirs.
    let hello =
        json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]});
    let chat = world.chat(hello).await;
    assert!(chat.headers().get("request-id").is_none());
}
