use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::{TOKEN, World, json as body};

async fn embed(world: &World, request: Value) -> reqwest::Response {
    let request = world
        .http
        .post(world.url("/v1/embeddings"))
        .bearer_auth(TOKEN)
        .body(request.to_string());
    request.send().await.unwrap()
}

#[tokio::test]
async fn texts_are_embedded_each_for_itself() {
    let world = World::with_keys(1).await;
    let request =
        json!({"model": "gemini-embedding-001", "input": ["one", "two"], "dimensions": 16});
    let answer = body(embed(&world, request.clone()).await).await;
    let data = answer["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(data.len(), 2);
    let floats = |at: usize| -> Vec<f64> {
        let numbers = data[at]["embedding"].as_array().unwrap().iter();
        numbers.map(|x| x.as_f64().unwrap()).collect()
    };
    assert_eq!(floats(0).len(), 16);
    assert_ne!(floats(0), floats(1));
    let length: f64 = floats(0).iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-3, "{length}");

    let mut encoded = request;
    encoded["encoding_format"] = json!("base64");
    let encoded = body(embed(&world, encoded).await).await;
    let bytes = STANDARD
        .decode(encoded["data"][1]["embedding"].as_str().unwrap())
        .unwrap();
    let numbers = bytes.as_chunks::<4>().0.iter();
    let decoded: Vec<f32> = numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "they were of this size")]
    let sent: Vec<f32> = floats(1).iter().map(|x| *x as f32).collect();
    assert_eq!(decoded, sent);
}

#[tokio::test]
async fn more_texts_than_google_takes_at_once_are_embedded_all_the_same() {
    let world = World::with_keys(1).await;
    let texts: Vec<String> = (0..120).map(|n| format!("text {n}")).collect();
    let request = json!({"model": "gemini-embedding-001", "input": texts, "dimensions": 4});
    let answer = body(embed(&world, request).await).await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 120);
    assert_eq!(answer["data"][119]["index"], 119);
    assert_eq!(world.google.requests().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused() {
    let world = World::with_keys(1).await;
    let tokens = embed(
        &world,
        json!({"model": "gemini-embedding-001", "input": [[1, 2]]}),
    )
    .await;
    assert_eq!(tokens.status(), 400);
    let error = body(tokens).await["error"].clone();
    assert_eq!(error["param"], "input");
    assert!(world.google.requests().is_empty());
    let chat = embed(&world, json!({"model": "gemini-2.5-flash", "input": "a"})).await;
    assert_eq!(chat.status(), 404, "a model that does not embed");
}
