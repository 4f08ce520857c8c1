//! Keys of Vertex AI's express mode, in every protocol.

use serde_json::{Value, json};

use crate::world::{Ground, KEYS, TOKEN, World, ask, events, json as body};

const EXPRESS: &str = "AQ.ExpressKeyNumber00000000000000000000000000000000001";

/// A server with these many ordinary keys and one of express mode, which Google's other API does
/// not take.
async fn ground(keys: usize) -> Ground {
    let ground = Ground::new(keys, |google| google.express_key(EXPRESS, "express"), &[]).await;
    ground.with_express(EXPRESS)
}

async fn post(world: &World, path: &str, request: &Value) -> Value {
    let request = world
        .http
        .post(world.url(path))
        .bearer_auth(TOKEN)
        .body(request.to_string());
    let response = request.send().await.unwrap();
    let status = response.status();
    let answer = body(response).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn paths(world: &World) -> Vec<String> {
    let seen = world.google.requests();
    seen.iter().map(|request| request.path.clone()).collect()
}

#[tokio::test]
async fn every_protocol_works_with_keys_of_express_mode_alone() {
    let world = ground(0).await.start().await;
    let turn = json!([{"role": "user", "content": "Hello."}]);
    let chat = json!({"model": "gemini-2.5-flash", "messages": turn});
    let answer = post(&world, "/v1/chat/completions", &chat).await;
    assert!(
        answer["choices"][0]["message"]["content"].is_string(),
        "{answer}"
    );
    let mut streamed = chat.clone();
    streamed["stream"] = json!(true);
    let text = world.chat(streamed).await.text().await.unwrap();
    assert_eq!(
        events(&text).last().map(String::as_str),
        Some("[DONE]"),
        "{text}"
    );
    let answer = post(
        &world,
        "/v1/responses",
        &json!({"model": "gemini-2.5-flash", "input": "Hello."}),
    )
    .await;
    assert_eq!(answer["status"], "completed");
    let message = json!({"model": "gemini-2.5-flash", "max_tokens": 99, "messages": turn});
    let answer = post(&world, "/v1/messages", &message).await;
    assert_eq!(answer["role"], "assistant");
    let counted = post(&world, "/v1/messages/count_tokens", &message).await;
    assert!(counted["input_tokens"].as_u64().unwrap() > 0);
    let embed = json!({"model": "gemini-embedding-001", "input": ["a", "b"], "dimensions": 8});
    let vectors = post(&world, "/v1/embeddings", &embed).await;
    assert_eq!(vectors["data"].as_array().unwrap().len(), 2, "{vectors}");
    assert_eq!(vectors["data"][1]["embedding"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn googles_own_protocol_works_with_them_too() {
    let world = ground(0).await.start().await;
    let native = async |path: &str, request: String| {
        let response = world.gemini(path, request).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    };
    // Without a role, which express mode wants and the Gemini API does not.
    let plain = r#"{"contents":[{"parts":[{"text":"Hello."}]}]}"#;
    for verb in [
        "generateContent",
        "streamGenerateContent?alt=sse",
        "countTokens",
    ] {
        for body in [plain.to_owned(), ask("Hello.")] {
            native(&format!("/v1beta/models/gemini-2.5-flash:{verb}"), body).await;
        }
    }
    let content = json!({"parts": [{"text": "a"}]});
    let one = json!({"content": content, "outputDimensionality": 4});
    let path = "/v1beta/models/gemini-embedding-001";
    let vector = native(&format!("{path}:embedContent"), one.to_string()).await;
    let vector: Value = serde_json::from_str(&vector).unwrap();
    assert_eq!(vector["embedding"]["values"].as_array().unwrap().len(), 4);
    let request = json!({"model": "models/gemini-embedding-001", "content": content});
    let batch = json!({"requests": [request, request, request]});
    let vectors = native(&format!("{path}:batchEmbedContents"), batch.to_string()).await;
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    assert_eq!(vectors["embeddings"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_kind_a_key_is_is_asked_once_and_remembered() {
    let ground = ground(0).await;
    let world = ground.start().await;
    let chat = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(world.chat(chat.clone()).await.status(), 200);
    let seen = paths(&world);
    assert_eq!(seen.len(), 3, "refused, asked, answered: {seen:?}");
    assert_eq!(world.chat(chat.clone()).await.status(), 200);
    assert_eq!(paths(&world).len(), 4);
    let keys: Value = world.admin("/api/keys").await;
    assert_eq!(keys[0]["express"], true, "{keys}");
    world.core.shutdown(std::time::Duration::from_secs(5)).await;

    let world = ground.start().await;
    assert_eq!(world.chat(chat).await.status(), 200);
    assert_eq!(paths(&world).len(), 5, "known after a restart");
}

#[tokio::test]
async fn a_check_tells_the_kinds_apart() {
    let world = ground(1).await.start().await;
    let keys: Value = world.admin("/api/keys").await;
    for key in keys.as_array().unwrap() {
        let path = format!("/api/keys/{}/check", key["id"]);
        let (status, checked) = world.ask_admin("POST", &path, None).await;
        assert_eq!((status, &checked["ok"]), (200, &json!(true)), "{checked}");
    }
    let keys: Value = world.admin("/api/keys").await;
    let kinds: Vec<bool> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["express"] == true)
        .collect();
    assert_eq!(
        kinds.iter().filter(|express| **express).count(),
        1,
        "{keys}"
    );
    // The list of models is asked for with the other one.
    for _ in 0..3 {
        let models: Value = body(
            world
                .http
                .get(world.url("/v1/models"))
                .bearer_auth(TOKEN)
                .send()
                .await
                .unwrap(),
        )
        .await;
        assert!(models["data"][0]["id"].is_string(), "{models}");
    }
}

#[tokio::test]
async fn a_key_that_nobody_takes_is_asked_about_once_and_no_gateways_key_at_all() {
    let world = ground(1).await.start().await;
    world
        .google
        .disable_key(KEYS[0], testkit::google::Refusal::Invalid);
    let chat = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "x"}]});
    for _ in 0..4 {
        assert_eq!(world.chat(chat.clone()).await.status(), 200);
    }
    let seen = world.google.requests();
    let asked = |key: &str| {
        let with = seen
            .iter()
            .filter(|request| request.key.as_deref() == Some(key));
        with.count()
    };
    assert_eq!(
        asked(KEYS[0]),
        2,
        "refused, asked about, and out of the rotation"
    );
    // BASE_URL is not Google's here, so without an address nobody is shown the key.
    let world = World::with_keys(1).await;
    world
        .google
        .disable_key(KEYS[0], testkit::google::Refusal::Invalid);
    assert_ne!(world.chat(chat).await.status(), 200);
    assert_eq!(world.google.requests().len(), 1);
}

#[tokio::test]
async fn express_keys_alone_list_what_this_version_knows() {
    let world = ground(0).await.start().await;
    let get = async |path: &str, header: (&str, &str)| {
        let request = world.http.get(world.url(path)).header(header.0, header.1);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), body(response).await)
    };
    let bearer = format!("Bearer {TOKEN}");
    let openai = ("authorization", &*bearer);
    let google = ("x-goog-api-key", TOKEN);
    for _ in 0..2 {
        let (status, models) = get("/v1/models", openai).await;
        assert_eq!(status, 200, "{models}");
        let all = models["data"].as_array().unwrap();
        assert!(
            all.iter().any(|model| model["id"] == "gemini-2.5-flash"),
            "{models}"
        );
        let (status, models) = get("/v1beta/models", google).await;
        assert_eq!(status, 200, "{models}");
        assert!(
            models["models"][0]["description"]
                .as_str()
                .unwrap()
                .contains("express")
        );
    }
    let (status, model) = get("/v1beta/models/gemini-2.5-flash", google).await;
    assert_eq!(
        (status, &model["name"]),
        (200, &json!("models/gemini-2.5-flash")),
        "{model}"
    );
    assert_ne!(get("/v1beta/models/gemini-0", google).await.0, 200);
    world.set(&[("FILTERED_MODELS", "gemini-2.5-flash")]);
    let (_, models) = get("/v1beta/models", google).await;
    assert!(
        !models.to_string().contains("models/gemini-2.5-flash\""),
        "{models}"
    );
    // With an ordinary key Google's own list counts.
    let world = ground(1).await.start().await;
    let response = world
        .http
        .get(world.url("/v1/models"))
        .bearer_auth(TOKEN)
        .send();
    let models = body(response.await.unwrap()).await;
    assert!(!models.to_string().contains("express"), "{models}");
}

#[tokio::test]
async fn what_they_cannot_do_is_not_blamed_on_the_network() {
    let world = ground(0).await.start().await;
    let film = json!({"instances": [{"prompt": "a cat"}]}).to_string();
    let path = "/v1beta/models/veo-3.1-generate-preview:predictLongRunning";
    let answer = world.gemini(path, film).await;
    assert_eq!(answer.status(), 503);
    let said = body(answer).await.to_string();
    assert!(
        said.contains("express mode") && !said.contains("network"),
        "{said}"
    );
}
