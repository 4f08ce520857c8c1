//! What a token's rules do to its clients, over HTTP.

use contract::admin::{TokenCreated, TokenView};
use serde_json::json;

use super::*;

/// A client with a token.
struct Client<'a> {
    world: &'a World,
    http: reqwest::Client,
    token: String,
    id: i64,
}

impl<'a> Client<'a> {
    async fn with(world: &'a World, rules: Value) -> Self {
        if world.get::<Vec<Value>>("/api/keys").await.is_empty() {
            let _: Value = world.post("/api/keys/import", json!({ "text": KEY })).await;
        }
        let made: TokenCreated = world
            .post("/api/tokens", json!({"name": "phone", "rules": rules}))
            .await;
        Self {
            world,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: made.secret,
            id: made.token.id,
        }
    }

    async fn send(&self, path: &str, body: Value) -> reqwest::Response {
        self.http
            .post(format!("{}{path}", self.world.running.address()))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    async fn chat(&self, model: &str) -> (u16, Value) {
        let turn = json!([{"role": "user", "content": "hi"}]);
        let response = self
            .send(
                "/v1/chat/completions",
                json!({"model": model, "messages": turn}),
            )
            .await;
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let response = self
            .http
            .get(format!("{}{path}", self.world.running.address()))
            .header("x-goog-api-key", &self.token)
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn view(&self) -> TokenView {
        let tokens: Vec<TokenView> = self.world.get("/api/tokens").await;
        tokens
            .into_iter()
            .find(|token| token.id == self.id)
            .unwrap()
    }
}

const MODEL: &str = "gemini-2.5-flash";

#[tokio::test]
async fn a_client_over_its_limit_is_told_which_and_when_in_its_own_protocol() {
    let world = World::signed_in(&[]).await;
    let client = Client::with(&world, json!({"rpm": 1})).await;
    assert_eq!(client.chat(MODEL).await.0, 200);
    world.advance(Duration::from_secs(20));
    for (path, message, kind) in [
        ("/v1/chat/completions", "/error/message", "/error/code"),
        ("/v1/messages", "/error/message", "/error/type"),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/error/message",
            "/error/status",
        ),
    ] {
        let response = client.send(path, json!({})).await;
        assert_eq!(response.status(), 429, "{path}");
        assert_eq!(response.headers()["retry-after"], "40", "{path}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let said = body.pointer(message).unwrap().as_str().unwrap();
        assert!(
            said.contains("'phone' is limited to 1 requests in 60 seconds"),
            "{said}"
        );
        assert!(said.contains("40 seconds"), "{said}");
        assert!(body.pointer(kind).unwrap().is_string(), "{body}");
    }
    world.advance(Duration::from_secs(40));
    assert_eq!(client.chat(MODEL).await.0, 200);
    let usage = client.view().await.usage;
    assert_eq!(
        (usage.requests_today, usage.errors_today, usage.running),
        (2, 0, 0)
    );
    assert!(usage.tokens_today > 0);
}

#[tokio::test]
async fn the_limits_of_the_day_survive_a_restart_and_open_at_midnight() {
    let mut world = World::signed_in(&[]).await;
    let client = Client::with(&world, json!({"rpd": 2})).await;
    let (token, id) = (client.token.clone(), client.id);
    assert_eq!(client.chat(MODEL).await.0, 200);
    assert_eq!(client.chat(MODEL).await.0, 200);
    assert_eq!(client.chat(MODEL).await.0, 429);
    drop(client);
    world.restart(&[("AUTH_TOKEN", PASSWORD)]).await;
    let client = Client {
        world: &world,
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        token,
        id,
    };
    let (status, body) = client.chat(MODEL).await;
    assert_eq!(status, 429);
    let said = body["error"]["message"].as_str().unwrap();
    assert!(said.contains("2 requests a day"), "{said}");
    assert!(said.contains("at midnight (Asia/Shanghai)"), "{said}");
    world.advance(Duration::from_secs(12 * 60 * 60));
    assert_eq!(client.chat(MODEL).await.0, 200);
}

#[tokio::test]
async fn a_stream_runs_until_its_end_or_until_the_client_goes_away() {
    let world = World::signed_in(&[]).await;
    let client = Client::with(&world, json!({"concurrency": 1})).await;
    let turn = json!([{"role": "user", "content": "hi"}]);
    let ask = json!({"model": MODEL, "stream": true, "messages": turn});
    let stream = client.send("/v1/chat/completions", ask.clone()).await;
    assert_eq!(stream.status(), 200);
    drop(stream.bytes().await.unwrap());
    // What is dropped is noticed by the server in its own time.
    let free = async || {
        while client.view().await.usage.running > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), free())
        .await
        .unwrap();
    let abandoned = client.send("/v1/chat/completions", ask).await;
    assert_eq!(abandoned.status(), 200);
    drop(abandoned);
    tokio::time::timeout(Duration::from_secs(20), free())
        .await
        .unwrap();
    assert_eq!(client.chat(MODEL).await.0, 200);
}

#[tokio::test]
async fn other_models_are_refused_and_not_listed() {
    let world = World::signed_in(&[]).await;
    let client = Client::with(&world, json!({"models": ["models/gemini-2.5-flash*"]})).await;
    assert_eq!(client.chat(MODEL).await.0, 200);
    let (status, body) = client.chat("gemini-2.5-pro").await;
    assert_eq!(status, 403);
    let said = body["error"]["message"].as_str().unwrap();
    assert!(
        said.contains("gemini-2.5-pro") && said.contains("gemini-2.5-flash*"),
        "{said}"
    );
    let native = client
        .send("/v1beta/models/gemini-2.5-pro:generateContent", json!({}))
        .await;
    assert_eq!(native.status(), 403);
    for (path, model, status) in [
        ("/v1/responses", "gemini-2.5-pro", 403),
        ("/v1/responses", MODEL, 200),
        ("/v1/embeddings", "gemini-embedding-001", 403),
    ] {
        let sent = client.send(path, json!({"model": model, "input": "hi"}));
        assert_eq!(sent.await.status(), status, "{path} {model}");
    }

    let all = Client::with(&world, json!({})).await;
    for (path, list) in [("/v1beta/models", "models"), ("/v1/models", "models")] {
        let ids = |listed: Value| -> Vec<String> {
            let listed = listed[list].as_array().unwrap().clone();
            let name = |model: &Value| model["name"].as_str().unwrap().to_owned();
            listed.iter().map(name).collect()
        };
        let some = ids(client.get(path).await);
        assert!(!some.is_empty(), "{path}");
        assert!(
            some.iter()
                .all(|id| id.starts_with("models/gemini-2.5-flash")),
            "{some:?}"
        );
        assert!(ids(all.get(path).await).len() > some.len(), "{path}");
    }
}

#[tokio::test]
async fn rules_change_at_once_and_nonsense_is_refused() {
    let world = World::signed_in(&[("ALLOWED_TOKENS", "sk-of-the-environment")]).await;
    let client = Client::with(&world, json!({})).await;
    let path = format!("/api/tokens/{}", client.id);
    let patch = async |path: &str, patch: Value| world.call(Method::PATCH, path, Some(patch)).await;
    let (status, changed) = patch(&path, json!({"rules": {"expires_at": NOON + 1}})).await;
    assert_eq!(status, 200);
    assert_eq!(changed["expires_at"], NOON + 1);
    assert_eq!(client.chat(MODEL).await.0, 200);
    world.advance(Duration::from_secs(1));
    let (status, body) = client.chat(MODEL).await;
    assert_eq!(status, 401);
    let said = body["error"]["message"].as_str().unwrap();
    assert!(said.contains("expired on 2026-11-22 at 12:00"), "{said}");
    assert_eq!(
        patch(&path, json!({"name": "desk", "rules": {}})).await.0,
        200
    );
    assert_eq!(client.chat(MODEL).await.0, 200);
    assert_eq!(client.view().await.name, "desk");

    for rules in [
        json!({"rpm": 0}),
        json!({"rpm": -1}),
        json!({"tokens_per_day": 1_u64 << 60}),
        json!({"models": [""]}),
        json!({"models": ["a b"]}),
        json!({"models": ["a*b"]}),
        json!({"models": vec!["a"; 201]}),
    ] {
        let (status, _) = patch(&path, json!({ "rules": rules })).await;
        assert_eq!(status, 400, "{rules}");
    }
    let (status, of_environment) = patch("/api/tokens/-1", json!({"rules": {"rpd": 5}})).await;
    assert_eq!((status, &of_environment["rpd"]), (200, &json!(5)));
    assert_eq!(
        patch("/api/tokens/-1", json!({"name": "mine"})).await.0,
        400
    );
    assert_eq!(patch("/api/tokens/99", json!({})).await.0, 404);
}

#[tokio::test]
async fn the_panel_can_have_a_port_of_its_own() {
    // Free a moment ago; nothing else here asks for a port by number.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let own = port.to_string();
    let world = World::new(&[("AUTH_TOKEN", PASSWORD), ("ADMIN_PORT", &own)]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (clients, panel) = (world.running.address(), world.running.panel_address());
    assert!(panel.ends_with(&format!(":{port}")) && clients != panel);
    let status = async |address: &str, path: &str| {
        let response = http.get(format!("{address}{path}")).send().await.unwrap();
        response.status().as_u16()
    };
    for (path, at_clients, at_panel) in [
        ("/health", 200, 200),
        ("/api/state", 404, 200),
        ("/", 404, 200),
        ("/v1/models", 401, 404),
    ] {
        assert_eq!(status(&clients, path).await, at_clients, "{path}");
        assert_eq!(status(&panel, path).await, at_panel, "{path}");
    }
    let misled = http.post(format!("{panel}/v1/chat/completions"));
    let said = misled.send().await.unwrap().text().await.unwrap();
    let right = world.running.socket().port().to_string();
    assert!(said.contains(&right), "{said}");
    world.running.shutdown(Duration::ZERO).await;
}

/// A token that is over its limit must not push everybody else out of the request log.
#[tokio::test]
async fn only_a_few_refusals_of_a_token_are_filed_in_a_minute() {
    let world = World::signed_in(&[]).await;
    let client = Client::with(&world, json!({"rpd": 1})).await;
    assert_eq!(client.chat(MODEL).await.0, 200);
    for minute in 1..=2 {
        for _ in 0..20 {
            assert_eq!(client.chat(MODEL).await.0, 429);
        }
        core(&world).recorder.flush().await;
        let page: contract::admin::RequestPage = world.get("/api/requests?result=failed").await;
        assert_eq!(page.requests.len(), 6 * minute);
        world.advance(Duration::from_secs(60));
    }
}
