//! The legacy `/v1/completions`.

use serde_json::{Value, json};
use testkit::google::{Answer, Fault};

use crate::world::{TOKEN, World, events, json as body};

async fn complete(world: &World, asked: Value) -> reqwest::Response {
    world
        .http
        .post(world.url("/v1/completions"))
        .bearer_auth(TOKEN)
        .header("content-type", "application/json")
        .body(asked.to_string())
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_prompt_is_gone_on_from() {
    let world = World::with_keys(1).await;
    world.google.answer_next(Answer::text(" there was a key."));
    let response = complete(
        &world,
        json!({
            "model": "gemini-2.5-flash", "prompt": "Once upon a time", "max_tokens": 64,
            "temperature": 0.2, "stop": "\n", "seed": 7, "echo": true,
        }),
    )
    .await;
    assert_eq!(response.status(), 200);
    let answer = body(response).await;
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(
        answer["choices"][0]["text"],
        "Once upon a time there was a key."
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["logprobs"], Value::Null);
    assert!(answer["usage"]["total_tokens"].as_u64().unwrap() > 0);
    let sent = world.google.requests()[0].json();
    assert_eq!(
        sent["contents"][0]["parts"],
        json!([{"text": "Once upon a time"}])
    );
    let config = &sent["generationConfig"];
    assert_eq!(config["maxOutputTokens"], 64);
    assert_eq!(config["stopSequences"], json!(["\n"]));
    assert_eq!(
        config["thinkingConfig"]["thinkingBudget"], 0,
        "thoughts would use up the limit"
    );
}

#[tokio::test]
async fn a_suffix_asks_for_what_is_between() {
    let world = World::with_keys(1).await;
    let asked = json!({"model": "gemini-2.5-flash", "prompt": ["def a("], "suffix": "return b"});
    assert_eq!(complete(&world, asked).await.status(), 200);
    let told = world.google.requests()[0].json()["contents"][0]["parts"][0]["text"].clone();
    let told = told.as_str().unwrap();
    assert!(
        told.contains("<before>def a(</before>\n<after>return b</after>"),
        "{told}"
    );
}

#[tokio::test]
async fn a_completion_streams() {
    let world = World::with_keys(1).await;
    world
        .google
        .answer_next(Answer::text("One, two, three, four, five, six."));
    let asked = json!({
        "model": "gemini-2.5-flash", "prompt": "Count: ", "stream": true, "echo": true,
        "stream_options": {"include_usage": true},
    });
    let text = complete(&world, asked.clone()).await.text().await.unwrap();
    let mut chunks = events(&text);
    assert_eq!(chunks.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|c| serde_json::from_str(c).unwrap())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(said, "Count: One, two, three, four, five, six.");
    let ends = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str());
    assert_eq!(ends.collect::<Vec<_>>(), ["stop"]);
    assert!(
        chunks.last().unwrap()["usage"]["total_tokens"]
            .as_u64()
            .unwrap()
            > 0
    );

    world.google.fault_next(Fault::ErrorInStream {
        after: 2,
        code: 503,
    });
    let text = complete(&world, asked).await.text().await.unwrap();
    assert!(
        text.contains("{\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );
}

#[tokio::test]
async fn a_refused_prompt_and_mistakes_are_told() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::Blocked);
    let asked = json!({"model": "gemini-2.5-flash", "prompt": "Something bad."});
    let answer = body(complete(&world, asked).await).await;
    assert_eq!(answer["choices"][0]["text"], "");
    assert_eq!(answer["choices"][0]["finish_reason"], "content_filter");
    for (asked, param, says) in [
        (json!({"prompt": "x"}), "model", "`model` is missing"),
        (json!({"model": "m"}), "prompt", "`prompt` is missing"),
        (
            json!({"model": "m", "prompt": ["a", "b"]}),
            "prompt",
            "a request for each",
        ),
        (json!({"model": "m", "prompt": [1, 2]}), "prompt", "tokens"),
        (
            json!({"model": "m", "prompt": "x", "best_of": 3}),
            "best_of",
            "leave it out",
        ),
    ] {
        let response = complete(&world, asked.clone()).await;
        assert_eq!(response.status(), 400, "{asked}");
        let error = body(response).await["error"].clone();
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
}
