//! Answers of the Responses API that clients do not wait for.

use serde_json::{Value, json};
use testkit::google::{Answer, Fault};

use crate::world::{Ground, TOKEN, World, events, json as body};

/// The `background` of a request and the rest of it.
fn asked(more: &Value) -> Value {
    let mut request =
        json!({"model": "gemini-2.5-flash", "input": "Say hello.", "background": true});
    request
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    request
}

async fn post(world: &World, path: &str, request: &Value) -> reqwest::Response {
    let request = world
        .http
        .post(world.url(path))
        .bearer_auth(TOKEN)
        .body(request.to_string());
    request.send().await.unwrap()
}

async fn get(world: &World, path: &str) -> reqwest::Response {
    let request = world.http.get(world.url(path)).bearer_auth(TOKEN);
    request.send().await.unwrap()
}

/// Begins an answer; its path.
async fn begin(world: &World, more: &Value) -> (String, Value) {
    let response = post(world, "/v1/responses", &asked(more)).await;
    assert_eq!(response.status(), 200);
    let begun = body(response).await;
    assert_eq!(begun["background"], true, "{begun}");
    assert!(
        ["queued", "in_progress"].contains(&begun["status"].as_str().unwrap()),
        "{begun}"
    );
    (
        format!("/v1/responses/{}", begun["id"].as_str().unwrap()),
        begun,
    )
}

/// Lets Google answer, and looks at an answer until it is no more under way.
async fn ended(world: &World, path: &str) -> Value {
    loop {
        world.google.release();
        let now = body(get(world, path).await).await;
        if !["queued", "in_progress"].contains(&now["status"].as_str().unwrap()) {
            return now;
        }
    }
}

fn numbered(text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for event in events(text) {
        all.push(serde_json::from_str(&event).unwrap());
    }
    all
}

#[tokio::test]
async fn an_answer_comes_when_it_is_looked_at_later() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::StallBeforeHeaders);
    world.google.answer_next(Answer::text("Hello there."));
    let (path, begun) = begin(&world, &json!({})).await;
    assert_eq!(begun["output"], json!([]));
    let now = body(get(&world, &path).await).await;
    assert_eq!([&now["id"], &now["output"]], [&begun["id"], &json!([])]);
    // A stream may be begun later, and resumed.
    let mut stream = get(&world, &format!("{path}?stream=true")).await;
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: response.created\n"), "{first:?}");
    let done = ended(&world, &path).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["output"][0]["content"][0]["text"], "Hello there.");
    assert!(done["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let mut text = String::from_utf8_lossy(&first).into_owned();
    text.push_str(&stream.text().await.unwrap());
    let all = numbered(&text);
    let kinds: Vec<&str> = all
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[..3],
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
    assert_eq!(kinds.last(), Some(&"response.completed"));
    for (at, event) in all.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "{event}");
    }
    assert_eq!(all.last().unwrap()["response"], done);
    let rest = get(&world, &format!("{path}?stream=true&starting_after=2")).await;
    assert_eq!(numbered(&rest.text().await.unwrap()), all[3..]);
    // It can be gone on from, and cancelling changes nothing any more.
    let response = post(&world, &format!("{path}/cancel"), &json!({})).await;
    assert_eq!(
        (response.status().as_u16(), body(response).await),
        (200, done.clone())
    );
    let next =
        json!({"model": "gemini-2.5-flash", "input": "And?", "previous_response_id": done["id"]});
    assert_eq!(post(&world, "/v1/responses", &next).await.status(), 200);
}

#[tokio::test]
async fn a_client_that_follows_may_go_away() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let mut stream = post(&world, "/v1/responses", &asked(&json!({"stream": true}))).await;
    let first = stream.chunk().await.unwrap().unwrap();
    let first = numbered(std::str::from_utf8(&first).unwrap());
    let path = format!(
        "/v1/responses/{}",
        first[0]["response"]["id"].as_str().unwrap()
    );
    drop(stream);
    let done = ended(&world, &path).await;
    assert_eq!(done["status"], "completed", "{done}");
}

#[tokio::test]
async fn cancelling_stops_the_call_to_google() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let (path, begun) = begin(&world, &json!({})).await;
    while world.google.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let response = post(&world, &format!("{path}/cancel"), &json!({})).await;
    let cancelled = body(response).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(cancelled["id"], begun["id"]);
    assert_eq!(body(get(&world, &path).await).await, cancelled);
    // Google's side was never let go on: that the request is filed shows that it was dropped.
    loop {
        let records: Value = world.admin("/api/requests").await;
        let filed = records["requests"].as_array().unwrap();
        if let Some(record) = filed
            .iter()
            .find(|record| record["model"] == "gemini-2.5-flash")
        {
            assert_eq!(record["status"], 499, "{record}");
            break;
        }
    }
    let response = world.http.delete(world.url(&path)).bearer_auth(TOKEN);
    assert_eq!(response.send().await.unwrap().status(), 200);
    assert_eq!(get(&world, &path).await.status(), 404);
}

#[tokio::test]
async fn what_fails_says_so_when_it_is_looked_at() {
    let world = World::with_keys(1).await;
    let (path, _) = begin(&world, &json!({"model": "gemini-0"})).await;
    let failed = ended(&world, &path).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    let said = failed["error"]["message"].as_str().unwrap();
    assert!(said.contains("gemini-0"), "{failed}");
}

#[tokio::test]
async fn what_a_restart_ends_says_so_after_it() {
    let ground = Ground::new(1, |google| google, &[]).await;
    let world = ground.start().await;
    world.google.fault_next(Fault::StallBeforeHeaders);
    let (path, _) = begin(&world, &json!({})).await;
    world.core.shutdown(std::time::Duration::ZERO).await;
    let world = ground.start().await;
    let failed = body(get(&world, &path).await).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    let said = failed["error"]["message"].as_str().unwrap();
    assert!(said.contains("restarted"), "{failed}");
}

#[tokio::test]
async fn only_so_many_go_on_at_once_and_only_of_what_is_kept() {
    const OTHER: &str = "sk-test-another-client";
    let both = [TOKEN, OTHER].join(",");
    let world = World::start(1, |google| google, &[("ALLOWED_TOKENS", &*both)]).await;
    let response = post(&world, "/v1/responses", &asked(&json!({"store": false}))).await;
    assert_eq!(response.status(), 400);
    let error = body(response).await;
    assert_eq!(error["error"]["param"], "background", "{error}");

    for _ in 0..40 {
        world.google.fault_next(Fault::StallBeforeHeaders);
    }
    let mut first = None;
    for _ in 0..32 {
        let (path, _) = begin(&world, &json!({})).await;
        first.get_or_insert(path);
    }
    let response = post(&world, "/v1/responses", &asked(&json!({}))).await;
    assert_eq!(response.status(), 429);
    let error = body(response).await;
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("background"),
        "{error}"
    );
    // Another token neither sees them nor can end them.
    let path = first.unwrap();
    for (method, path) in [("GET", path.clone()), ("POST", format!("{path}/cancel"))] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = world
            .http
            .request(method, world.url(&path))
            .bearer_auth(OTHER);
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
    let cancelled = post(&world, &format!("{path}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status(), 200);
    begin(&world, &json!({})).await;
    // A response that was waited for can neither be cancelled nor followed.
    world.google.clear_faults();
    world.google.release();
    let plain = json!({"model": "gemini-2.5-flash", "input": "Hi."});
    let plain = body(post(&world, "/v1/responses", &plain).await).await;
    let path = format!("/v1/responses/{}", plain["id"].as_str().unwrap());
    assert_eq!(
        post(&world, &format!("{path}/cancel"), &json!({}))
            .await
            .status(),
        400
    );
    assert_eq!(
        get(&world, &format!("{path}?stream=true")).await.status(),
        400
    );
}

#[tokio::test]
async fn a_token_at_its_limit_can_look_at_what_it_asked_for_and_cancel_it() {
    let world = World::with_keys(1).await;
    let rules = json!({"name": "one at a time", "rules": {"concurrency": 1, "rpd": 1}});
    let (status, made) = world.ask_admin("POST", "/api/tokens", Some(rules)).await;
    assert_eq!(status, 200, "{made}");
    let token = made["secret"].as_str().unwrap();
    let send = async |method: reqwest::Method, path: &str, request: Option<Value>| {
        let asked = world.http.request(method, world.url(path));
        let asked = asked.bearer_auth(token);
        let asked = match request {
            Some(request) => asked.body(request.to_string()),
            None => asked,
        };
        let response = asked.send().await.unwrap();
        (response.status().as_u16(), body(response).await)
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    world.google.fault_next(Fault::StallBeforeHeaders);
    let asked = asked(&json!({}));
    let (status, begun) = send(post.clone(), "/v1/responses", Some(asked.clone())).await;
    assert_eq!(status, 200, "{begun}");
    let (status, _) = send(post.clone(), "/v1/responses", Some(asked)).await;
    assert_eq!(status, 429);
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    assert_eq!(send(get, &path, None).await.0, 200);
    let (status, ended) = send(post, &format!("{path}/cancel"), None).await;
    assert_eq!((status, &ended["status"]), (200, &json!("cancelled")));
}
