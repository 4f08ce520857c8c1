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
            json!({"model": "m", "prompt": ["a", ""]}),
            "prompt",
            "missing or empty",
        ),
        (json!({"model": "m", "prompt": []}), "prompt", "missing"),
        (
            json!({"model": "m", "prompt": vec!["a"; 33], "n": 2}),
            "prompt",
            "66 answers",
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

/// As LangChain sends them.
#[tokio::test]
async fn each_of_several_prompts_has_its_choices() {
    let world = World::with_keys(2).await;
    let prompts = ["One apple", "Two pears", "Three plums"];
    let asked = |stream: bool| {
        json!({
            "model": "gemini-2.5-flash", "prompt": prompts, "n": 2, "echo": true, "stream": stream,
        })
    };
    let answer = body(complete(&world, asked(false)).await).await;
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 6);
    for (at, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], at);
        let text = choice["text"].as_str().unwrap();
        let (echo, said) = text.split_at(prompts[at / 2].len());
        assert_eq!(echo, prompts[at / 2]);
        assert!(said.contains(echo), "the fake repeats its question: {said}");
    }
    assert_eq!(world.google.requests().len(), 6);

    let text = complete(&world, asked(true)).await.text().await.unwrap();
    let mut chunks = events(&text);
    assert_eq!(chunks.pop().as_deref(), Some("[DONE]"));
    let mut said = vec![String::new(); 6];
    let mut ended = [0; 6];
    for chunk in &chunks {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        let choice = &chunk["choices"][0];
        let at = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        said[at].push_str(choice["text"].as_str().unwrap());
        ended[at] += u32::from(choice["finish_reason"] == "stop");
    }
    assert_eq!(ended, [1; 6]);
    for (choice, said) in choices.iter().zip(&said) {
        assert_eq!(choice["text"], **said);
    }

    // Nothing can stand in the place of a prompt that has no answer.
    world.google.fault_next(Fault::Status(400));
    assert_eq!(complete(&world, asked(false)).await.status(), 400);
}
