use serde_json::{Value, json};

use crate::world::{TOKEN, World, events, json as body};

#[tokio::test]
async fn a_chat_is_answered_in_openais_shape() {
    let world = World::with_keys(1).await;
    let response = world
        .chat(json!({
            "model": "gemini-2.5-flash",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Say hello to Grace."},
            ],
        }))
        .await;
    assert_eq!(response.status(), 200);
    let answer = body(response).await;
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(
        answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("Grace")
    );
    assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let sent: Value = serde_json::from_slice(&world.google.requests()[0].body).unwrap();
    assert_eq!(sent["systemInstruction"]["parts"][0]["text"], "Be brief.");
}

#[tokio::test]
async fn a_streamed_chat_has_one_id_one_finish_and_the_usage_that_was_asked_for() {
    let world = World::with_keys(1).await;
    let response = world
        .chat(json!({
            "model": "gemini-2.5-flash", "stream": true,
            "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "Say hello to Grace."}],
        }))
        .await;
    let text = response.text().await.unwrap();
    let mut chunks = events(&text);
    assert_eq!(chunks.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();
    let ids: std::collections::BTreeSet<_> =
        chunks.iter().map(|chunk| chunk["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    let finishes = chunks
        .iter()
        .filter(|chunk| chunk["choices"][0]["finish_reason"].is_string());
    assert_eq!(finishes.count(), 1);
    assert!(
        chunks.last().unwrap()["usage"]["total_tokens"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_used() {
    let world = World::with_keys(1).await;
    let tools = json!([{"type": "function", "function": {
        "name": "get_weather",
        "description": "The weather at a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }}]);
    let question = json!({"role": "user", "content": "Use get_weather for Paris."});
    let first = body(
        world
            .chat(json!({"model": "gemini-3.8-flash", "messages": [question], "tools": tools}))
            .await,
    )
    .await;
    assert_eq!(
        first["choices"][0]["finish_reason"], "tool_calls",
        "{first}"
    );
    let call = first["choices"][0]["message"].clone();
    let id = call["tool_calls"][0]["id"].clone();
    let second = world
        .chat(json!({
            "model": "gemini-3.8-flash", "tools": tools,
            "messages": [question, call, {"role": "tool", "tool_call_id": id, "content": "sunny"}],
        }))
        .await;
    assert_eq!(
        second.status(),
        200,
        "Google insists on the thought signature, which came back"
    );
    assert_eq!(body(second).await["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn models_are_listed_and_looked_up() {
    let world = World::with_keys(1).await;
    let get = async |path: &str| {
        let request = world.http.get(world.url(path)).bearer_auth(TOKEN);
        request.send().await.unwrap()
    };
    let list = body(get("/v1/models").await).await;
    let id = list["data"][0]["id"].as_str().unwrap();
    assert!(!id.starts_with("models/"));
    let one = body(get(&format!("/v1/models/{id}")).await).await;
    assert_eq!(one["id"], id);
    let none = get("/v1/models/gemini-0").await;
    assert_eq!(none.status(), 404);
    assert_eq!(body(none).await["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn several_answers_need_no_more_calls_at_once_than_are_allowed() {
    for bound in ["KEY_CONCURRENCY", "EGRESS_CONCURRENCY"] {
        let world = World::start(1, |google| google, &[(bound, "1")]).await;
        for stream in [false, true] {
            let response = world
                .chat(json!({
                    "model": "gemini-2.5-flash", "n": 3, "stream": stream,
                    "messages": [{"role": "user", "content": "hi"}],
                }))
                .await;
            assert_eq!(response.status(), 200, "{bound}");
            let said = response.text().await.unwrap();
            for index in 0..3 {
                assert!(said.contains(&format!("\"index\":{index}")), "{said}");
            }
            assert_eq!(said.trim_end().ends_with("[DONE]"), stream, "{said}");
        }
        assert_eq!(world.google.requests().len(), 6);
    }
}
