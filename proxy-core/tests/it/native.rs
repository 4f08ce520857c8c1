use serde_json::Value;

use crate::world::{KEYS, TOKEN, World, ask, events, json};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";

#[tokio::test]
async fn the_body_reaches_google_byte_for_byte_with_exactly_one_credential() {
    let world = World::with_keys(1).await;
    let odd = "{\"contents\" : [ {\"parts\":[{\"text\":\"h\\u00e9\"}], \"role\":\"user\"} ],\n  \"generationConfig\":{\"topK\":3 , \"temperature\":0.10}}";
    let response = world
        .http
        .post(world.url(GENERATE) + "?key=" + TOKEN + "&prettyPrint=false")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("x-api-key", TOKEN)
        .header("cookie", "a=b")
        .body(odd)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let seen = world.google.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body, odd.as_bytes());
    assert_eq!(seen[0].query, "prettyPrint=false");
    assert_eq!(seen[0].headers["x-goog-api-key"], KEYS[0]);
    for private in ["authorization", "x-api-key", "cookie"] {
        assert!(
            !seen[0].headers.contains_key(private),
            "{private} went upstream"
        );
    }
}

#[tokio::test]
async fn googles_answer_comes_back_byte_for_byte() {
    let world = World::with_keys(1).await;
    let direct = world
        .http
        .post(format!(
            "{}/models/gemini-2.5-flash:generateContent",
            world.google.base_url()
        ))
        .header("x-goog-api-key", KEYS[0])
        .header("content-type", "application/json")
        .body(ask("hello"))
        .send()
        .await
        .unwrap();
    let kind = direct.headers()["content-type"].clone();
    let direct = direct.bytes().await.unwrap();
    let through = world.gemini(GENERATE, ask("hello")).await;
    assert_eq!(through.headers()["content-type"], kind);
    assert_eq!(through.bytes().await.unwrap(), direct);
}

#[tokio::test]
async fn every_style_of_credential_is_accepted_on_every_surface() {
    let world = World::with_keys(1).await;
    let turn = r#""messages":[{"role":"user","content":"hi"}]"#;
    let chat = format!(r#"{{"model":"gemini-2.5-flash",{turn}}}"#);
    let message = format!(r#"{{"model":"gemini-2.5-flash","max_tokens":9,{turn}}}"#);
    let posts = [
        (GENERATE, ask("hi")),
        (STREAM, ask("hi")),
        ("/v1/chat/completions", chat),
        ("/v1/messages", message),
    ];
    let requests = || {
        let gets = ["/v1beta/models", "/v1/models"].map(|path| (path, None));
        let posts = posts.iter().map(|(path, body)| (*path, Some(body.clone())));
        gets.into_iter().chain(posts)
    };
    for (path, body) in requests() {
        let request = |url: String| match &body {
            Some(body) => world.http.post(url).body(body.clone()),
            None => world.http.get(url),
        };
        for (name, value) in [
            ("authorization", format!("Bearer {TOKEN}")),
            ("x-goog-api-key", TOKEN.to_owned()),
            ("x-api-key", TOKEN.to_owned()),
        ] {
            let request = request(world.url(path)).header(name, value);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200, "{path} with {name}");
        }
        let response = request(world.url(path) + "?key=" + TOKEN)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{path} with ?key=");
    }
}

#[tokio::test]
async fn v1_models_answers_in_the_protocol_of_whoever_asks() {
    let world = World::with_keys(1).await;
    let get = async |name: &str, value: String| {
        let request = world.http.get(world.url("/v1/models")).header(name, value);
        json(request.send().await.unwrap()).await
    };
    let google = get("x-goog-api-key", TOKEN.to_owned()).await;
    assert!(
        google["models"][0]["name"]
            .as_str()
            .unwrap()
            .starts_with("models/")
    );
    let openai = get("authorization", format!("Bearer {TOKEN}")).await;
    assert_eq!(openai["object"], "list");
    assert_eq!(openai["data"][0]["object"], "model");
}

#[tokio::test]
async fn models_are_listed_page_by_page_and_one_by_one() {
    let world = World::with_keys(1).await;
    let get = async |path: &str| {
        let request = world
            .http
            .get(world.url(path))
            .header("x-goog-api-key", TOKEN);
        json(request.send().await.unwrap()).await
    };
    let page = get("/v1beta/models?pageSize=1").await;
    assert_eq!(page["models"].as_array().unwrap().len(), 1);
    let next = page["nextPageToken"].as_str().unwrap();
    let second = get(&format!("/v1beta/models?pageSize=1&pageToken={next}")).await;
    assert_ne!(page["models"][0]["name"], second["models"][0]["name"]);
    let one = get("/v1beta/models/gemini-2.5-flash").await;
    assert_eq!(one["name"], "models/gemini-2.5-flash");
}

#[tokio::test]
async fn tokens_are_counted_and_texts_embedded() {
    let world = World::with_keys(1).await;
    let count = world
        .gemini(
            "/v1beta/models/gemini-2.5-flash:countTokens",
            ask("how many?"),
        )
        .await;
    assert!(json(count).await["totalTokens"].as_u64().unwrap() > 0);
    let embed = world
        .gemini(
            "/v1beta/models/gemini-embedding-001:embedContent",
            r#"{"content":{"parts":[{"text":"hi"}]}}"#,
        )
        .await;
    assert!(
        !json(embed).await["embedding"]["values"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_stream_comes_as_events_or_as_one_array() {
    let world = World::with_keys(1).await;
    let sse = world
        .gemini(&format!("{STREAM}?alt=sse"), ask("count to three"))
        .await;
    assert!(
        sse.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let sse = sse.text().await.unwrap();
    let single: Vec<Value> = events(&sse)
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    assert!(single.len() > 1, "one event only: {sse}");

    let array = world.gemini(STREAM, ask("count to three")).await;
    assert!(
        array.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/json")
    );
    let array: Vec<Value> = serde_json::from_slice(&array.bytes().await.unwrap()).unwrap();
    let text = |chunks: &[Value]| {
        let part = |chunk: &Value| {
            chunk
                .pointer("/candidates/0/content/parts/0/text")
                .cloned()
                .unwrap_or_default()
        };
        chunks.iter().map(part).collect::<Vec<_>>()
    };
    assert_eq!(text(&array), text(&single));
}

#[tokio::test]
async fn googles_newest_clients_call_v1() {
    let world = World::with_keys(1).await;
    let response = world
        .gemini("/v1/models/gemini-2.5-flash:generateContent", ask("hello"))
        .await;
    assert_eq!(response.status(), 200);
}
