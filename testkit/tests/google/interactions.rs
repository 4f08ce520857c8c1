//! The Interactions API.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::google::{Answer, FakeGoogle, Fault, Quota, Work};

use super::{KEY, OTHER, call_as, google};

const MODEL: &str = "gemini-3.8-flash";

async fn create_as(google: &FakeGoogle, key: &str, body: &Value) -> (u16, Value) {
    call_as(google, key, "POST", "/v1beta/interactions", body).await
}

async fn create(google: &FakeGoogle, body: &Value) -> Value {
    let (status, made) = create_as(google, KEY, body).await;
    assert_eq!(status, 200, "{made}");
    made
}

async fn call(
    google: &FakeGoogle,
    key: &str,
    method: &str,
    id: &Value,
    rest: &str,
) -> (u16, Value) {
    let path = format!("/v1beta/interactions/{}{rest}", id.as_str().unwrap());
    call_as(google, key, method, &path, &Value::Null).await
}

fn refused(body: &Value) -> (&str, &str) {
    let error = &body["error"];
    (
        error["code"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
    )
}

/// The names and data of a stream's events, without its end.
fn events(stream: &Value) -> Vec<Value> {
    let stream = stream.as_str().unwrap();
    let stream = stream
        .strip_suffix("event: done\ndata: [DONE]\n\n")
        .unwrap();
    stream
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["event_type"].as_str());
            data
        })
        .collect()
}

fn said(steps: &Value) -> String {
    let outputs = steps.as_array().unwrap().iter();
    outputs
        .filter(|step| step["type"] == "model_output")
        .flat_map(|step| step["content"].as_array().unwrap())
        .filter_map(|content| content["text"].as_str())
        .collect()
}

#[tokio::test]
async fn an_answer_comes_in_steps() {
    let google = google().start().await;
    let made = create(
        &google,
        &json!({ "model": MODEL, "input": "What is Rust?", "generation_config": { "thinking_summaries": "auto" } }),
    )
    .await;
    assert!(made["id"].as_str().unwrap().starts_with("v1_"));
    assert_eq!(
        (&made["status"], &made["object"]),
        (&json!("completed"), &json!("interaction"))
    );
    assert_eq!(made["model"], MODEL);
    let steps = made["steps"].as_array().unwrap();
    assert_eq!(steps[0]["type"], "thought");
    assert!(steps[0]["signature"].is_string() && steps[0]["summary"][0]["text"].is_string());
    assert!(said(&made["steps"]).contains("What is Rust?"));
    let usage = &made["usage"];
    let sum = [
        "total_input_tokens",
        "total_output_tokens",
        "total_thought_tokens",
    ];
    let sum: u64 = sum.iter().map(|name| usage[*name].as_u64().unwrap()).sum();
    assert_eq!(usage["total_tokens"], sum);
    assert_eq!(google.requests()[0].model.as_deref(), Some(MODEL));

    let (status, got) = call(&google, KEY, "GET", &made["id"], "?include_input=true").await;
    assert_eq!((status, &got["input"]), (200, &json!("What is Rust?")));
    assert_eq!(got["steps"], made["steps"]);
}

#[tokio::test]
async fn functions_are_called_and_the_conversation_goes_on() {
    let google = google().key("AIza-sibling", "p1").start().await;
    let tools = json!([{ "type": "function", "name": "get_weather", "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
    } }]);
    let asked = json!({ "model": MODEL, "input": "get_weather please", "tools": tools });
    let made = create(&google, &asked).await;
    assert_eq!(made["status"], "requires_action");
    let call = made["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("get_weather"))
    );
    assert_eq!(call["arguments"], json!({ "city": "Paris" }));

    let result = json!({ "model": MODEL, "previous_interaction_id": made["id"], "input": [{
        "type": "function_result", "call_id": call["id"], "name": "get_weather", "result": { "degrees": 21 },
    }] });
    let (status, then) = create_as(&google, "AIza-sibling", &result).await;
    assert_eq!(status, 200);
    assert_eq!(then["previous_interaction_id"], made["id"]);
    assert!(said(&then["steps"]).contains("The tool get_weather answered {\"degrees\":21}."));
    assert!(
        then["usage"]["total_input_tokens"].as_u64()
            > made["usage"]["total_output_tokens"].as_u64()
    );

    // Another project's conversation is none.
    let (status, gone) = create_as(&google, OTHER, &result).await;
    assert_eq!((status, refused(&gone).0), (404, "not_found"));

    // The same without anything kept: the whole history goes along.
    let history = json!([
        { "type": "user_input", "content": [{ "type": "text", "text": "get_weather please" }] },
        call,
        result["input"][0],
    ]);
    let made = create(
        &google,
        &json!({ "model": MODEL, "input": history, "store": false }),
    )
    .await;
    assert!(said(&made["steps"]).contains("The tool get_weather answered"));
}

#[tokio::test]
async fn a_stream_tells_of_its_steps() {
    let google = google().start().await;
    google.answer_next(
        Answer::text("Twelve little words, which come in more than one piece.").thought("Hm."),
    );
    let asked = json!({ "model": MODEL, "input": "hi", "stream": true });
    let (status, stream) = create_as(&google, KEY, &asked).await;
    assert_eq!(status, 200);
    let all = events(&stream);
    let kinds: Vec<&str> = all
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[..4],
        [
            "interaction.created",
            "interaction.status_update",
            "step.start",
            "step.delta"
        ]
    );
    assert_eq!(kinds.last(), Some(&"interaction.completed"));
    assert_eq!(all[3]["delta"]["type"], "thought_signature");
    let said: String = all
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str())
        .collect();
    assert_eq!(
        said,
        "Twelve little words, which come in more than one piece."
    );
    let last = &all.last().unwrap()["interaction"];
    assert_eq!(last["status"], "completed");
    assert!(last["usage"]["total_tokens"].is_u64() && last.get("steps").is_none());

    // It can be listened to again, from any event on.
    let id = &all[0]["interaction"]["id"];
    let (_, again) = call(&google, KEY, "GET", id, "?stream=true").await;
    assert_eq!(events(&again), all);
    let rest = format!(
        "?stream=true&last_event_id={}",
        all[3]["event_id"].as_str().unwrap()
    );
    let (_, rest) = call(&google, KEY, "GET", id, &rest).await;
    assert_eq!(events(&rest), all[4..]);
    let (status, _) = call(&google, KEY, "GET", id, "?stream=true&last_event_id=x").await;
    assert_eq!(status, 400);

    google.fault_next(Fault::ErrorInStream {
        after: 2,
        code: 503,
    });
    let (_, broken) = create_as(&google, KEY, &asked).await;
    let all = events(&broken);
    assert_eq!((all.len(), &all[2]["event_type"]), (3, &json!("error")));
    assert_eq!(all[2]["error"]["code"], "unavailable");
}

#[tokio::test]
async fn what_runs_in_the_background_is_waited_for_or_cancelled() {
    let google = google().start().await;
    google.set_work(Work {
        looks: 1,
        ..Work::default()
    });
    let asked = json!({ "model": MODEL, "input": "hi", "background": true });
    let made = create(&google, &asked).await;
    assert_eq!(made["status"], "in_progress");
    assert!(made.get("steps").is_none() && made.get("usage").is_none());
    let on = json!({ "model": MODEL, "input": "more", "previous_interaction_id": made["id"] });
    assert_eq!(create_as(&google, KEY, &on).await.0, 400);
    assert_eq!(
        call(&google, KEY, "GET", &made["id"], "").await.1["status"],
        "in_progress"
    );
    let (_, done) = call(&google, KEY, "GET", &made["id"], "").await;
    assert_eq!(done["status"], "completed");
    assert_eq!(create_as(&google, KEY, &on).await.0, 200);
    assert_eq!(
        call(&google, KEY, "POST", &made["id"], "/cancel").await.0,
        400
    );

    let agent =
        json!({ "agent": "deep-research-preview-04-2026", "input": "hi", "background": true });
    let made = create(&google, &agent).await;
    assert_eq!(
        call(&google, OTHER, "POST", &made["id"], "/cancel").await.0,
        404
    );
    let (status, cancelled) = call(&google, KEY, "POST", &made["id"], "/cancel").await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert_eq!(
        call(&google, KEY, "GET", &made["id"], "").await.1["status"],
        "cancelled"
    );
}

#[tokio::test]
async fn an_interaction_is_its_projects_own_for_a_day() {
    let clock = VirtualClock::at(1_790_000_000_000);
    let google = google().clock(&clock).start().await;
    let made = create(&google, &json!({ "model": MODEL, "input": "hi" })).await;
    assert_eq!(made["created"], "2026-09-21T14:13:20Z");
    for (method, rest) in [
        ("GET", ""),
        ("GET", "?stream=true"),
        ("DELETE", ""),
        ("POST", "/cancel"),
    ] {
        let (status, gone) = call(&google, OTHER, method, &made["id"], rest).await;
        assert_eq!(
            (status, refused(&gone)),
            (404, ("not_found", "Interaction not found."))
        );
    }
    let kept = google.resources("interactions/");
    assert_eq!((kept.len(), &*kept[0].key), (1, KEY));
    clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(call(&google, KEY, "GET", &made["id"], "").await.0, 404);

    let made = create(&google, &json!({ "model": MODEL, "input": "hi" })).await;
    assert_eq!(
        call(&google, KEY, "DELETE", &made["id"], "").await,
        (200, json!({}))
    );
    assert_eq!(call(&google, KEY, "DELETE", &made["id"], "").await.0, 404);
    let made = create(
        &google,
        &json!({ "model": MODEL, "input": "hi", "store": false }),
    )
    .await;
    assert_eq!(call(&google, KEY, "GET", &made["id"], "").await.0, 404);
}

#[tokio::test]
async fn mistakes_are_named_in_its_own_shape() {
    let google = google().start().await;
    let theirs = google.generate_file(OTHER, "image/png", "x").unwrap();
    for (body, status, code, why) in [
        (
            json!({ "input": "hi" }),
            400,
            "invalid_request",
            "Either model or agent",
        ),
        (
            json!({ "model": MODEL, "agent": "a", "input": "hi" }),
            400,
            "invalid_request",
            "Only one of",
        ),
        (
            json!({ "model": MODEL }),
            400,
            "invalid_request",
            "input: is required",
        ),
        (
            json!({ "model": MODEL, "input": "hi", "colour": 1 }),
            400,
            "invalid_request",
            "Unknown parameter 'colour'",
        ),
        (
            json!({ "model": "gemini-none", "input": "hi" }),
            404,
            "not_found",
            "Model 'gemini-none'",
        ),
        (
            json!({ "model": MODEL, "input": [{ "role": "user", "content": "hi" }] }),
            400,
            "invalid_request",
            "legacy",
        ),
        (
            json!({ "model": MODEL, "input": [{ "type": "colour" }] }),
            400,
            "invalid_request",
            "unknown type",
        ),
        (
            json!({ "model": MODEL, "input": { "type": "image" } }),
            400,
            "invalid_request",
            "either data or a uri",
        ),
        (
            json!({ "model": MODEL, "input": "hi", "background": true, "store": false }),
            400,
            "invalid_request",
            "store=true",
        ),
        (
            json!({ "agent": "deep-research-x", "input": "hi" }),
            400,
            "invalid_request",
            "background=true",
        ),
        (
            json!({ "agent": "nobody", "input": "hi" }),
            404,
            "not_found",
            "Agent 'nobody'",
        ),
        (
            json!({ "model": MODEL, "input": [{ "type": "image", "uri": theirs }] }),
            403,
            "permission_denied",
            "You do not have permission to access the File",
        ),
        (
            json!({ "model": MODEL, "input": "hi", "cached_content": "cachedContents/x" }),
            403,
            "permission_denied",
            "CachedContent not found",
        ),
    ] {
        let (got, answer) = create_as(&google, KEY, &body).await;
        assert_eq!(got, status, "{body}");
        let (named, message) = refused(&answer);
        assert_eq!(named, code);
        assert!(message.contains(why), "{message}");
    }
    google.set_quota("p1", Quota::rpm(0));
    let (status, answer) = create_as(&google, KEY, &json!({ "model": MODEL, "input": "hi" })).await;
    assert_eq!((status, refused(&answer).0), (429, "too_many_requests"));
}
