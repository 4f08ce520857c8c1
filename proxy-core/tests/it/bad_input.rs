use serde_json::json;

use crate::world::{World, ask, json as body};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

#[tokio::test]
async fn malformed_json_is_said_to_be_so() {
    let world = World::with_keys(1).await;
    let response = world
        .http
        .post(world.url("/v1/chat/completions"))
        .bearer_auth(crate::world::TOKEN)
        .body("{\"model\": ")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert_eq!(error["type"], "invalid_request_error");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("not valid JSON"),
        "{error}"
    );
    assert!(world.google.requests().is_empty());

    let native = world.gemini(GENERATE, "{\"contents\": ").await;
    assert_eq!(native.status(), 400);
    assert_eq!(body(native).await["error"]["status"], "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused_in_the_clients_protocol() {
    let world = World::with_keys(1).await;
    let post = |path: &str| world.http.post(world.url(path)).body(ask("hi"));
    let wrong = post("/v1/chat/completions")
        .bearer_auth("sk-wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    let error = body(wrong).await["error"].clone();
    assert_eq!(error["code"], "invalid_api_key");
    assert!(error["message"].as_str().unwrap().contains("Connect page"));
    let missing = post(GENERATE).send().await.unwrap();
    assert_eq!(missing.status(), 401);
    assert_eq!(body(missing).await["error"]["status"], "UNAUTHENTICATED");
    assert!(world.google.requests().is_empty());
}

#[tokio::test]
async fn without_keys_the_answer_says_where_to_add_one() {
    let world = World::with_keys(0).await;
    let response = world
        .chat(json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}))
        .await;
    assert_eq!(response.status(), 503);
    let message = body(response).await["error"]["message"].to_string();
    assert!(message.contains("no Gemini key yet"), "{message}");
}

#[tokio::test]
async fn an_unknown_model_is_said_to_be_so_and_costs_no_key_anything() {
    let world = World::with_keys(2).await;
    let response = world
        .chat(json!({"model": "gemini-0", "messages": [{"role": "user", "content": "hi"}]}))
        .await;
    assert_eq!(response.status(), 404);
    let error = body(response).await["error"].clone();
    assert_eq!(error["code"], "model_not_found");
    assert!(
        error["message"].as_str().unwrap().contains("gemini-0"),
        "{error}"
    );
    assert_eq!(world.google.requests().len(), 1);
    let native = world
        .gemini("/v1beta/models/gemini-0:generateContent", ask("hi"))
        .await;
    assert_eq!(native.status(), 404);
    assert_eq!(body(native).await["error"]["status"], "NOT_FOUND");
}

#[tokio::test]
async fn fifty_megabytes_are_refused_when_the_limit_is_lower_and_the_client_can_read_why() {
    let world = World::start(1, |google| google, &[("MAX_BODY_MB", "40")]).await;
    let response = world.gemini(GENERATE, vec![b' '; 50_000_000]).await;
    assert_eq!(response.status(), 413);
    let message = body(response).await["error"]["message"].to_string();
    assert!(
        message.contains("40 MB") && message.contains("MAX_BODY_MB"),
        "{message}"
    );
    assert!(world.google.requests().is_empty());
}

#[tokio::test]
async fn an_unknown_verb_or_path_is_named() {
    let world = World::with_keys(1).await;
    let verb = world
        .gemini("/v1beta/models/gemini-2.5-flash:dance", "{}")
        .await;
    assert_eq!(verb.status(), 404);
    assert!(
        body(verb).await["error"]["message"]
            .to_string()
            .contains("dance")
    );
    let path = world.gemini("/v1/chat/completion", "{}").await;
    assert_eq!(path.status(), 404);
    assert!(
        body(path).await["error"]["message"]
            .to_string()
            .contains("/v1/chat/completion")
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let world = World::with_keys(1).await;
    let port = world.core.socket().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let settings = proxy_core::settings::Settings::load(|name: &str| match name {
        "PORT" => Some(port.clone()),
        "DATA_DIR" => Some(dir.path().display().to_string()),
        _ => None,
    })
    .unwrap();
    let error = proxy_core::start(proxy_core::CoreConfig {
        settings,
        on_settings: None,
        master: vault::MasterKey::random().unwrap(),
        sealing: contract::admin::Sealing::SecretKey,
        clock: proxy_core::clock::Clock::system(),
        panel: None,
        extend: None,
    })
    .await
    .err()
    .unwrap();
    assert!(
        error
            .to_string()
            .contains(&format!("port {port} is in use")),
        "{error}"
    );
}

#[tokio::test]
async fn a_large_body_with_a_wrong_token_gets_to_read_why() {
    let world = World::with_keys(1).await;
    let request = world
        .http
        .post(world.url("/v1/chat/completions"))
        .bearer_auth("sk-wrong")
        .body(vec![b' '; 8_000_000]);
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_wrong_method_is_said_in_the_clients_protocol() {
    let world = World::with_keys(1).await;
    let response = world
        .http
        .get(world.url("/v1/chat/completions"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405);
    let message = body(response).await["error"]["message"].to_string();
    assert!(message.contains("GET"), "{message}");
}

#[tokio::test]
async fn web_pages_may_be_clients_but_not_of_the_admin_api() {
    let world = World::with_keys(1).await;
    let preflight = async |path: &str| {
        let request = world
            .http
            .request(reqwest::Method::OPTIONS, world.url(path))
            .header("origin", "https://chat.example")
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            );
        let response = request.send().await.unwrap();
        response
            .headers()
            .contains_key("access-control-allow-origin")
    };
    assert!(preflight("/v1/chat/completions").await);
    assert!(!preflight("/api/keys").await);
}
