use serde_json::{Value, json};

use crate::world::{TOKEN, World, ask, json as body};

#[tokio::test]
async fn addresses_that_people_get_wrong_are_answered() {
    let world = World::with_keys(1).await;
    let chat =
        json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]});
    for path in [
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/hf/v1/chat/completions",
        "/v1beta/openai/chat/completions",
        "/api/v1/chat/completions",
        "//v1//chat/completions/",
        "/v1/chat/completions/chat/completions",
    ] {
        let request = world.http.post(world.url(path)).bearer_auth(TOKEN);
        let response = request.body(chat.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(body(response).await["object"], "chat.completion", "{path}");
    }
    for path in [
        "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
        "/vertex-express/v1beta/models/gemini-2.5-flash:generateContent",
        "/models/gemini-2.5-flash:generateContent",
    ] {
        let response = world.gemini(path, ask("hi")).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(body(response).await["candidates"].is_array(), "{path}");
    }
    let path = format!("/gemini/v1beta/models?key={TOKEN}");
    let models = world.http.get(world.url(&path)).send().await.unwrap();
    assert!(body(models).await["models"].is_array(), "the query stays");
}

#[tokio::test]
async fn a_wrong_path_names_the_right_base_url_in_the_clients_protocol() {
    let world = World::with_keys(1).await;
    let post = |path: &str| world.http.post(world.url(path)).body("{}");
    let openai = post("/v1/engines").bearer_auth(TOKEN).send().await.unwrap();
    let google = post("/v1/engines")
        .header("x-goog-api-key", TOKEN)
        .send()
        .await
        .unwrap();
    let anthropic = post("/v1/messages/batches")
        .header("x-api-key", TOKEN)
        .send()
        .await
        .unwrap();
    let message = |error: &Value| error["error"]["message"].as_str().unwrap().to_owned();
    let base = world.url("/v1");
    for (response, field, value) in [
        (openai, "type", json!("invalid_request_error")),
        (google, "status", json!("NOT_FOUND")),
        (anthropic, "type", json!("not_found_error")),
    ] {
        assert_eq!(response.status(), 404);
        let error = body(response).await;
        assert_eq!(error["error"][field], value, "{error}");
        assert!(message(&error).contains(&base), "{error}");
    }
    let admin = world
        .http
        .get(world.url("/api/models"))
        .send()
        .await
        .unwrap();
    assert_eq!(admin.headers()["content-type"], "application/json");
    assert_eq!(
        body(admin).await["code"],
        "not_signed_in",
        "the admin API's own answer"
    );
}
