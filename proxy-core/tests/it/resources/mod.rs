//! What Google keeps for its clients: each thing is found by the key that made it, and by the client
//! that has it.

mod files;
mod kept;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::world::{Ground, TOKEN, World, json as body};

const OTHER_TOKEN: &str = "sk-test-other-client-token";

async fn ground() -> Ground {
    let tokens = format!("{TOKEN},{OTHER_TOKEN}");
    Ground::new(
        3,
        |google| google.upload_granularity(1),
        &[("ALLOWED_TOKENS", &tokens)],
    )
    .await
}

/// Asks in the style of Google's clients.
async fn send(
    world: &World,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Response {
    let mut request = world
        .http
        .request(method, world.url(path))
        .header("x-goog-api-key", token);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    request.send().await.unwrap()
}

async fn get(world: &World, token: &str, path: &str) -> (u16, Value) {
    let response = send(world, token, Method::GET, path, None).await;
    (response.status().as_u16(), body(response).await)
}

async fn post(world: &World, path: &str, asked: Value) -> (u16, Value) {
    let response = send(world, TOKEN, Method::POST, path, Some(asked)).await;
    (response.status().as_u16(), body(response).await)
}

/// Begins an upload and gives the address that it goes on at.
async fn begin(world: &World, token: &str, path: &str, length: usize) -> String {
    let response = world
        .http
        .post(world.url(path))
        .header("x-goog-api-key", token)
        .header("x-goog-upload-protocol", "resumable")
        .header("x-goog-upload-command", "start")
        .header("x-goog-upload-header-content-length", length)
        .header("x-goog-upload-header-content-type", "text/plain")
        .header("content-type", "application/json")
        .body(json!({"file": {"displayName": "notes"}}).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-goog-upload-status"], "active");
    let address = &response.headers()["x-goog-upload-url"];
    address.to_str().unwrap().to_owned()
}

/// Sends a piece, as clients do: without a credential.
async fn piece(world: &World, address: &str, command: &str, offset: usize, text: &str) -> Response {
    world
        .http
        .post(address)
        .header("x-goog-upload-command", command)
        .header("x-goog-upload-offset", offset)
        .body(text.to_owned())
        .send()
        .await
        .unwrap()
}

async fn upload(world: &World, token: &str) -> Value {
    let address = begin(world, token, "/upload/v1beta/files", 5).await;
    let response = piece(world, &address, "upload, finalize", 0, "hello").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-goog-upload-status"], "final");
    body(response).await["file"].take()
}

fn about(files: &[&Value]) -> Value {
    let mut parts = vec![json!({"text": "Read it."})];
    parts.extend(
        files
            .iter()
            .map(|file| json!({"fileData": {"fileUri": file["uri"], "mimeType": "text/plain"}})),
    );
    json!({"contents": [{"role": "user", "parts": parts}]})
}

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

/// The key that made something.
fn maker(world: &World, name: &Value) -> String {
    let all = world.google.resources(name.as_str().unwrap());
    all[0].key.clone()
}

/// The number of a key.
async fn id_of(world: &World, key: &str) -> i64 {
    world.key(key).await.id
}

async fn switch(world: &World, key: &str, on: bool) {
    let id = id_of(world, key).await;
    let path = format!("/api/keys/{id}");
    let (status, said) = world
        .ask_admin("PATCH", &path, Some(json!({ "enabled": on })))
        .await;
    assert!(status < 300, "{said}");
}
