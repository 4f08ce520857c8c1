use serde_json::{Value, json};

use crate::world::{KEYS, TOKEN, World, events, json as body};

async fn create(world: &World, request: Value) -> reqwest::Response {
    let request = world
        .http
        .post(world.url("/v1/responses"))
        .bearer_auth(TOKEN)
        .body(request.to_string());
    request.send().await.unwrap()
}

async fn ask(world: &World, method: reqwest::Method, path: &str, token: &str) -> (u16, Value) {
    let request = world
        .http
        .request(method, world.url(path))
        .bearer_auth(token);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), body(response).await)
}

async fn get(world: &World, path: &str) -> (u16, Value) {
    ask(world, reqwest::Method::GET, path, TOKEN).await
}

fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"]
        .as_str()
        .unwrap()
}

/// What Google was asked last.
fn last_asked(world: &World) -> Value {
    serde_json::from_slice(&world.google.requests().pop().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_response_is_answered_in_openais_shape() {
    let world = World::with_keys(1).await;
    let request = json!({
        "model": "gemini-2.5-flash", "instructions": "Be brief.", "input": "Say hello to Grace.",
    });
    let answer = body(create(&world, request).await).await;
    assert_eq!(answer["object"], "response", "{answer}");
    assert_eq!(answer["status"], "completed");
    assert!(answer["id"].as_str().unwrap().starts_with("resp_"));
    assert!(text(&answer).contains("Grace"));
    assert!(answer["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let requests: Value = world.admin("/api/requests").await;
    let record = &requests["requests"][0];
    assert_eq!(
        [&record["surface"], &record["model"]],
        ["openai", "gemini-2.5-flash"],
        "{requests}"
    );
}

#[tokio::test]
async fn a_streamed_response_begins_and_completes_once() {
    let world = World::with_keys(1).await;
    let request =
        json!({"model": "gemini-2.5-flash", "input": "Say hello to Grace.", "stream": true});
    let text = create(&world, request).await.text().await.unwrap();
    let events: Vec<Value> = events(&text)
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["response.created", "response.in_progress"]);
    assert_eq!(kinds.last(), Some(&"response.completed"));
    let ends = kinds.iter().filter(|kind| **kind == "response.completed");
    assert_eq!(ends.count(), 1);
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    let told: String = deltas
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    let last = &events.last().unwrap()["response"];
    assert_eq!(told, self::text(last));
    let (status, kept) = get(
        &world,
        &format!("/v1/responses/{}", last["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!((status, &kept), (200, last), "kept as it was sent");
}

#[tokio::test]
async fn a_tool_loop_goes_on_from_the_previous_response() {
    let world = World::with_keys(1).await;
    let tools = json!([{
        "type": "function", "name": "get_weather", "description": "The weather at a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }]);
    let first = body(
        create(
            &world,
            json!({"model": "gemini-3.8-flash", "input": "Use get_weather for Paris.", "tools": tools}),
        )
        .await,
    )
    .await;
    let output = first["output"].as_array().unwrap();
    let call = output.iter().find(|item| item["type"] == "function_call");
    let call_id = &call.unwrap_or_else(|| panic!("{first}"))["call_id"];
    let second = create(
        &world,
        json!({
            "model": "gemini-3.8-flash", "tools": tools, "previous_response_id": first["id"],
            "input": [{"type": "function_call_output", "call_id": call_id, "output": "sunny"}],
        }),
    )
    .await;
    assert_eq!(
        second.status(),
        200,
        "Google insists on the thought signature"
    );
    let second = body(second).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let asked = last_asked(&world);
    assert_eq!(asked["contents"].as_array().unwrap().len(), 3, "{asked}");

    // The same with references to items, as the AI SDK sends them.
    let mut input = vec![json!({"role": "user", "content": "Use get_weather for Paris."})];
    let refer = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    input.extend(output.iter().map(refer));
    input.push(json!({"type": "function_call_output", "call_id": call_id, "output": "sunny"}));
    let request = json!({"model": "gemini-3.8-flash", "tools": tools, "input": input});
    assert_eq!(create(&world, request).await.status(), 200);
    assert_eq!(last_asked(&world)["contents"], asked["contents"]);
}

#[tokio::test]
async fn what_is_kept_can_be_read_and_deleted_by_its_own_token_only() {
    const OTHER: &str = "sk-test-another-client";
    let both = [TOKEN, OTHER].join(",");
    let world = World::start(1, |google| google, &[("ALLOWED_TOKENS", &*both)]).await;
    let request = json!({"model": "gemini-2.5-flash", "input": [
        {"role": "user", "content": "One."}, {"role": "user", "content": "Two."},
    ]});
    let made = body(create(&world, request).await).await;
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&world, &path).await, (200, made.clone()));
    let (_, items) = get(&world, &format!("{path}/input_items?limit=1&order=asc")).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "One.");
    assert_eq!(items["has_more"], true);
    for query in ["limit=0", "limit=x", "order=up", "after=msg_x"] {
        let (status, error) = get(&world, &format!("{path}/input_items?{query}")).await;
        assert_eq!(status, 400, "{query}: {error}");
    }
    let cancel = format!("{path}/cancel");
    let (status, error) = ask(&world, reqwest::Method::POST, &cancel, TOKEN).await;
    assert_eq!(status, 400);
    assert_eq!(
        error["error"]["message"],
        "Cannot cancel a synchronous response."
    );

    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let (status, error) = ask(&world, method, &path, OTHER).await;
        assert_eq!(status, 404, "{error}");
        assert_eq!(error["error"]["type"], "invalid_request_error");
    }
    let (status, deleted) = ask(&world, reqwest::Method::DELETE, &path, TOKEN).await;
    assert_eq!((status, &deleted["deleted"]), (200, &json!(true)));
    assert_eq!(get(&world, &path).await.0, 404);
    let again =
        json!({"model": "gemini-2.5-flash", "input": "a", "previous_response_id": made["id"]});
    let again = create(&world, again).await;
    assert_eq!(again.status(), 400);
    assert_eq!(
        body(again).await["error"]["code"],
        "previous_response_not_found"
    );
}

#[tokio::test]
async fn what_shall_not_be_stored_is_not() {
    let world = World::with_keys(1).await;
    let request = json!({"model": "gemini-2.5-flash", "input": "a", "store": false});
    let made = body(create(&world, request).await).await;
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&world, &path).await.0, 404);
}

#[tokio::test]
async fn what_only_openai_can_do_is_refused() {
    let world = World::with_keys(1).await;
    for (field, value) in [
        ("conversation", json!("conv_1")),
        ("tools", json!([{"type": "file_search"}])),
    ] {
        let mut request = json!({"model": "gemini-2.5-flash", "input": "a"});
        request[field] = value;
        let response = create(&world, request).await;
        assert_eq!(response.status(), 400, "{field}");
        let error = body(response).await["error"].clone();
        assert!(
            error["param"].as_str().unwrap().starts_with(field),
            "{error}"
        );
    }
    assert!(world.google.requests().is_empty());
    let unknown = create(&world, json!({"model": "gemini-0", "input": "a"})).await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(body(unknown).await["error"]["code"], "model_not_found");
    let filtered = [("FILTERED_MODELS", "gemini-2.5-pro")];
    world.set(&filtered);
    let filtered = create(&world, json!({"model": "gemini-2.5-pro", "input": "a"})).await;
    assert_eq!(filtered.status(), 404);
    assert_eq!(world.keys_used(), [KEYS[0]], "only for the unknown model");
}
