//! What clients that lose things, or that know other names, get all the same.

use contract::admin::{RequestDetail, RequestPage, TryOutcome};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use testkit::google::{Answer, Fault, Quota};

use crate::world::{Ground, TOKEN, World, json as body};

/// What Google was asked last, and the model.
fn last_asked(world: &World) -> (Value, String) {
    let seen = world.google.requests().pop().unwrap();
    (seen.json(), seen.model.unwrap_or_default())
}

async fn post(world: &World, path: &str, request: &Value) -> reqwest::Response {
    let request = world
        .http
        .post(world.url(path))
        .bearer_auth(TOKEN)
        .header("anthropic-version", "2023-06-01")
        .body(request.to_string());
    request.send().await.unwrap()
}

fn hello(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello."}]})
}

#[tokio::test]
async fn names_of_other_vendors_lead_to_the_models_of_the_table() {
    let world = World::with_keys(1).await;
    for (name, model) in [
        ("gpt-4o", "gemini-3.8-flash"),
        ("o3-mini", "gemini-3.8-flash"),
        ("claude-haiku-4-5", "gemini-3.5-flash-lite"),
        ("gemini-2.5-flash", "gemini-2.5-flash"),
    ] {
        let answer = body(world.chat(hello(name)).await).await;
        assert_eq!(answer["model"], name, "answers repeat the name: {answer}");
        assert_eq!(last_asked(&world).1, model);
        let request = json!({"model": name, "input": "Hello."});
        assert_eq!(post(&world, "/v1/responses", &request).await.status(), 200);
        assert_eq!(last_asked(&world).1, model);
    }
    world.set(&[("MODEL_MAP", r#"{"gpt-*": "gemini-2.5-flash-search"}"#)]);
    assert_eq!(world.chat(hello("gpt-4o-high")).await.status(), 200);
    let (asked, model) = last_asked(&world);
    assert_eq!(model, "gemini-2.5-flash");
    assert_eq!(asked["tools"], json!([{"googleSearch": {}}]));
    let thinking = &asked["generationConfig"]["thinkingConfig"];
    assert_eq!(thinking["thinkingBudget"], 24_576);
    // A Claude has no row any more, so Google is asked for it and does not know it.
    assert_eq!(world.chat(hello("claude-opus-4-5")).await.status(), 404);
}

#[tokio::test]
async fn the_connect_page_shows_the_table_and_who_answered() {
    let world = World::start(
        1,
        |google| google,
        &[("MODEL_MAP", r#"{"gpt-*": "gemini-2.5-flash-low"}"#)],
    )
    .await;
    let info: Value = world.admin("/api/connect").await;
    assert_eq!(
        info["names"],
        json!([{"name": "gpt-*", "model": "gemini-2.5-flash-low"}])
    );
    let test = json!({"surface": "openai", "model": "gpt-5"});
    let (status, answer) = world.ask_admin("POST", "/api/test", Some(test)).await;
    assert_eq!((status, &answer["status"]), (200, &json!(200)), "{answer}");
    assert_eq!(answer["model"], "gemini-2.5-flash");
}

fn tools() -> Value {
    json!([{"type": "function", "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }}])
}

/// A call of a chat and the signature that Google gave with it.
async fn called(world: &World) -> (Value, String) {
    let request = json!({
        "model": "gemini-3.8-flash", "tools": tools(),
        "messages": [{"role": "user", "content": "Use get_weather for Paris."}],
    });
    let answer = body(world.chat(request).await).await;
    let mut call = answer["choices"][0]["message"]["tool_calls"][0].clone();
    let extra = call.as_object_mut().unwrap().remove("extra_content");
    let signature = extra.unwrap()["google"]["thought_signature"].clone();
    (call, signature.as_str().unwrap().to_owned())
}

/// The signature that goes to Google when a client sends back this call and its result.
async fn signature_sent(world: &World, call: &Value) -> Value {
    let request = json!({
        "model": "gemini-3.8-flash", "tools": tools(),
        "messages": [
            {"role": "user", "content": "Use get_weather for Paris."},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
        ],
    });
    assert_eq!(world.chat(request).await.status(), 200);
    let asked = last_asked(world).0;
    let parts = &asked["contents"][1]["parts"];
    let result = &asked["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!(result["id"], parts[0]["functionCall"]["id"], "{asked}");
    assert!(!result["id"].as_str().unwrap_or_default().contains("__sig_"));
    parts[0]["thoughtSignature"].clone()
}

#[tokio::test]
async fn a_client_that_keeps_nothing_but_ids_loses_no_signature() {
    let ground = Ground::new(1, |google| google, &[("SIGNATURES_IN_IDS", "true")]).await;
    let world = ground.start().await;
    let (call, signature) = called(&world).await;
    assert!(call["id"].as_str().unwrap().contains("__sig_"));
    assert_eq!(signature_sent(&world, &call).await, signature);
    // Another server knows nothing of it but the id.
    let other = ground.clone().elsewhere().start().await;
    assert_eq!(signature_sent(&other, &call).await, signature);
}

#[tokio::test]
async fn a_remembered_signature_that_google_does_not_take_breaks_no_conversation() {
    for said in [
        "Thought signature is not valid.",
        "Function call is missing a thought_signature in functionCall parts.",
    ] {
        let world = World::start(2, |google| google, &[]).await;
        let refuses = || {
            world.google.fault_next(Fault::Raw {
                status: 400,
                content_type: "application/json".into(),
                body: json!({"error": {
                    "code": 400, "message": said, "status": "INVALID_ARGUMENT",
                }})
                .to_string(),
            });
        };
        let (call, signature) = called(&world).await;
        assert_eq!(signature_sent(&world, &call).await, signature);
        let before = world.google.requests().len();
        refuses();
        let sentinel = dialect::gemini::FOREIGN_SIGNATURE;
        assert_eq!(signature_sent(&world, &call).await, sentinel, "{said}");
        assert_eq!(world.google.requests().len(), before + 2);
        let page: RequestPage = world.admin("/api/requests").await;
        let path = format!("/api/requests/{}", page.requests[0].id);
        let detail: RequestDetail = world.admin(&path).await;
        let ends: Vec<_> = detail.tries.iter().map(|one| one.outcome).collect();
        assert_eq!(ends, [TryOutcome::ClientFault, TryOutcome::Answered]);
        assert!(detail.failed_keys.is_empty(), "no key is at fault");
        // It was forgotten, so that the next turn costs no call more.
        assert_eq!(signature_sent(&world, &call).await, sentinel);
        assert_eq!(world.google.requests().len(), before + 3);
        // What nothing was remembered for is refused at once.
        refuses();
        let request = json!({
            "model": "gemini-3.8-flash", "messages": [{"role": "user", "content": "Hello."}],
        });
        assert_eq!(world.chat(request).await.status(), 400);
        assert_eq!(world.google.requests().len(), before + 4);
    }
}

#[tokio::test]
async fn signatures_outlast_a_restart() {
    let ground = Ground::new(1, |google| google, &[]).await;
    let world = ground.start().await;
    let (call, signature) = called(&world).await;
    // OpenAI refuses longer ones, and a client may go on there.
    assert!(call["id"].as_str().unwrap().len() <= 40, "{call}");
    assert_eq!(signature_sent(&world, &call).await, signature);
    world.core.shutdown(std::time::Duration::from_secs(5)).await;
    let world = ground.start().await;
    assert_eq!(signature_sent(&world, &call).await, signature);
    // What nobody has seen is another vendor's, and gets the sentinel.
    let foreign = json!({"id": "call_foreign", "type": "function", "function": call["function"]});
    let sentinel = signature_sent(&world, &foreign).await;
    assert_eq!(sentinel, dialect::gemini::FOREIGN_SIGNATURE);
}

#[tokio::test]
async fn answers_of_the_responses_api_outlast_a_restart() {
    let ground = Ground::new(1, |google| google, &[]).await;
    let world = ground.start().await;
    let create = async |world: &World, input: &str, previous: Option<&str>| {
        let request = json!({
            "model": "gemini-2.5-flash", "input": input, "previous_response_id": previous,
        });
        body(post(world, "/v1/responses", &request).await).await
    };
    let first = create(&world, "My name is Grace.", None).await;
    let first = first["id"].as_str().unwrap().to_owned();
    let gone = create(&world, "Forget this.", None).await;
    let gone = gone["id"].as_str().unwrap().to_owned();
    let delete = world
        .http
        .delete(world.url(&format!("/v1/responses/{gone}")));
    assert_eq!(
        delete.bearer_auth(TOKEN).send().await.unwrap().status(),
        200
    );
    world.core.shutdown(std::time::Duration::from_secs(5)).await;

    let world = ground.start().await;
    let second = create(&world, "What is my name?", Some(&first)).await;
    assert_eq!(second["status"], "completed", "{second}");
    let asked = last_asked(&world).0;
    assert_eq!(
        asked["contents"][0]["parts"][0]["text"],
        "My name is Grace."
    );
    assert_eq!(asked["contents"].as_array().unwrap().len(), 3);
    let none = create(&world, "And now?", Some(&gone)).await;
    assert_eq!(none["error"]["code"], "previous_response_not_found");
}

#[tokio::test]
async fn what_an_older_model_does_not_take_together_is_told() {
    let world = World::with_keys(1).await;
    let mut request = json!({
        "model": "gemini-2.5-flash", "tools": tools(),
        "messages": [{"role": "user", "content": "Hello."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        "web_search_options": {},
    });
    let response = world.chat(request.clone()).await;
    assert_eq!(response.status(), 200);
    let notices: Vec<&str> = response
        .headers()
        .get_all("x-gemini-balance-notice")
        .iter()
        .map(|notice| notice.to_str().unwrap())
        .collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].contains("search") && notices[1].contains("output format"));
    let asked = last_asked(&world).0;
    assert_eq!(asked["tools"].as_array().unwrap().len(), 1);
    let told = asked["systemInstruction"]["parts"][0]["text"]
        .as_str()
        .unwrap();
    assert!(told.contains(r#"{"type":"object"}"#), "{told}");

    request["model"] = json!("gemini-3.8-flash");
    let response = world.chat(request).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("x-gemini-balance-notice"));
    let asked = last_asked(&world).0;
    assert_eq!(
        asked["generationConfig"]["responseMimeType"],
        "application/json"
    );
    assert_eq!(
        asked["toolConfig"]["includeServerSideToolInvocations"],
        true
    );
}

#[tokio::test]
async fn a_client_that_wants_one_call_at_a_time_gets_one() {
    let world = World::with_keys(1).await;
    let two = || {
        Answer::calls(&[
            ("get_weather", json!({"city": "Paris"})),
            ("get_weather", json!({"city": "Rome"})),
        ])
    };
    let chat = |stream: bool| {
        json!({
            "model": "gemini-2.5-flash", "tools": tools(), "parallel_tool_calls": false,
            "messages": [{"role": "user", "content": "Weather?"}], "stream": stream,
        })
    };
    world.google.answer_next(two());
    let answer = body(world.chat(chat(false)).await).await;
    let calls = answer["choices"][0]["message"]["tool_calls"].as_array();
    assert_eq!(calls.unwrap().len(), 1, "{answer}");
    world.google.answer_next(two());
    let text = world.chat(chat(true)).await.text().await.unwrap();
    assert!(text.contains("Paris") && !text.contains("Rome"), "{text}");

    let tool = json!({"name": "get_weather", "input_schema": {"type": "object"}});
    world.google.answer_next(two());
    let request = json!({
        "model": "gemini-2.5-flash", "max_tokens": 100, "tools": [tool],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "messages": [{"role": "user", "content": "Weather?"}],
    });
    let text = post(&world, "/v1/messages", &request)
        .await
        .text()
        .await
        .unwrap();
    assert!(text.contains("Paris") && !text.contains("Rome"), "{text}");

    let tool = json!({"type": "function", "name": "get_weather", "parameters": {"type": "object"}});
    world.google.answer_next(two());
    let request = json!({
        "model": "gemini-2.5-flash", "input": "Weather?", "tools": [tool],
        "parallel_tool_calls": false,
    });
    let answer = body(post(&world, "/v1/responses", &request).await).await;
    let calls = answer["output"].as_array().unwrap().iter();
    let calls = calls.filter(|item| item["type"] == "function_call");
    assert_eq!(calls.count(), 1, "{answer}");
}

/// The text of a chat's stream, and how many pieces it came in.
fn streamed(text: &str) -> (String, usize) {
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let chunks = crate::world::events(text);
    let said: Vec<String> = chunks
        .iter()
        .filter_map(|chunk| serde_json::from_str::<Value>(chunk).ok())
        .filter_map(|chunk| {
            let text = chunk["choices"][0]["delta"]["content"].as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        })
        .collect();
    (said.concat(), said.len())
}

#[tokio::test]
async fn a_fake_stream_is_the_whole_answer_with_thoughts_and_calls() {
    let world = World::start(1, |google| google, &[("FAKE_STREAM_ENABLED", "true")]).await;
    let answer = Answer {
        thoughts: vec!["I think.".to_owned()],
        parts: vec![
            json!({"text": "Looking."}),
            json!({"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}}),
        ],
        ..Answer::default()
    };
    world.google.answer_next(answer);
    let request = json!({
        "model": "gemini-2.5-flash-high", "stream": true, "tools": tools(),
        "messages": [{"role": "user", "content": "Weather?"}],
    });
    let response = world.chat(request).await;
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let text = response.text().await.unwrap();
    assert_eq!(world.google.requests()[0].action, Some("generateContent"));
    for expected in ["I think.", "Looking.", "Paris", "tool_calls", "[DONE]"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    // What fails at once fails as it would without a stream.
    let request = json!({"model": "gemini-0", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(world.chat(request).await.status(), 404);
}

#[tokio::test]
async fn signs_of_life_come_while_google_is_silent() {
    let settings = [("STREAM_HEARTBEAT_SECONDS", "1")];
    for fake in ["true", "false"] {
        let world = World::start(1, |google| google, &settings).await;
        world.set(&[("FAKE_STREAM_ENABLED", fake)]);
        world.google.fault_next(Fault::StallBeforeHeaders);
        let mut request = hello("gemini-2.5-flash");
        request["stream"] = json!(true);
        let mut response = world.chat(request.clone()).await;
        assert_eq!(response.status(), 200);
        let first = response.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b": "), "{first:?}");
        world.google.release();
        let mut text = String::from_utf8_lossy(&first).into_owned();
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(streamed(&text).0.contains("Hello"), "{text}");

        // In Anthropic's protocol it is its own event, and an error comes as an event, too.
        world.google.fault_next(Fault::StallBeforeHeaders);
        world.google.set_quota("project-0", Quota::rpd(1));
        let request = json!({
            "model": "gemini-2.5-flash", "max_tokens": 9, "stream": true,
            "messages": [{"role": "user", "content": "Hello."}],
        });
        let mut response = post(&world, "/v1/messages", &request).await;
        let first = response.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b"event: ping\n"), "{first:?}");
        world.google.release();
        let rest = response.text().await.unwrap();
        assert!(rest.contains("event: error\n"), "{rest}");
        assert!(rest.contains("rate_limit_error"), "{rest}");
        assert!(!rest.contains("message_stop"), "{rest}");
    }
}

#[tokio::test]
async fn smooth_streams_come_in_small_pieces_and_lose_nothing() {
    let said = "Grüße, 世界! ".repeat(12);
    let world = World::with_keys(1).await;
    let mut request = hello("gemini-2.5-flash");
    request["stream"] = json!(true);
    world.google.answer_next(Answer::text(said.clone()));
    let (plain, few) = streamed(&world.chat(request.clone()).await.text().await.unwrap());
    world.set(&[
        ("STREAM_OPTIMIZER_ENABLED", "true"),
        ("STREAM_CHUNK_SIZE", "3"),
        ("STREAM_DELAY_MS", "1"),
    ]);
    world.google.answer_next(Answer::text(said.clone()));
    let (smooth, many) = streamed(&world.chat(request).await.text().await.unwrap());
    assert_eq!((&plain, &smooth), (&said, &said));
    assert!(
        many > few && many >= said.chars().count() / 3,
        "{many} {few}"
    );
}

#[tokio::test]
async fn several_choices_are_as_many_calls_at_once() {
    let world = World::with_keys(2).await;
    let mut request = hello("gemini-2.5-flash");
    request["n"] = json!(3);
    for said in ["one", "two", "three"] {
        world.google.answer_next(Answer::text(said));
    }
    let answer = body(world.chat(request.clone()).await).await;
    let choices = answer["choices"].as_array().unwrap();
    let mut said: Vec<&str> = choices
        .iter()
        .map(|choice| choice["message"]["content"].as_str().unwrap())
        .collect();
    said.sort_unstable();
    assert_eq!(said, ["one", "three", "two"], "{answer}");
    let indexes: Vec<&Value> = choices.iter().map(|choice| &choice["index"]).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!(world.google.requests().len(), 3);
    let usage = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    let single = body(world.chat(hello("gemini-2.5-flash")).await).await;
    assert_eq!(usage(&answer), 3 * usage(&single), "{answer}");
    let records: Value = world.admin("/api/requests").await;
    assert_eq!(
        records["requests"].as_array().unwrap().len(),
        2,
        "{records}"
    );
    let record = &records["requests"][1];
    assert_eq!(record["attempts"], 3, "{record}");
    assert_eq!(record["prompt_tokens"], usage(&answer), "{record}");

    // Streamed, each with its index, and one end.
    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    for said in ["one", "two", "three"] {
        world.google.answer_next(Answer::text(said));
    }
    let text = world.chat(request.clone()).await.text().await.unwrap();
    let chunks = crate::world::events(&text);
    assert_eq!(
        chunks.iter().filter(|chunk| **chunk == "[DONE]").count(),
        1,
        "{text}"
    );
    assert_eq!(chunks.last().map(String::as_str), Some("[DONE]"));
    let mut said = [String::new(), String::new(), String::new()];
    let mut ends = 0;
    let mut counted = 0;
    for chunk in &chunks[..chunks.len() - 1] {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        if let Some(tokens) = chunk["usage"]["prompt_tokens"].as_u64() {
            counted = tokens;
        }
        for choice in chunk["choices"].as_array().unwrap() {
            let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
            said[index].push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            ends += usize::from(choice["finish_reason"].is_string());
        }
    }
    said.sort_unstable();
    assert_eq!(said, ["one", "three", "two"], "{text}");
    assert_eq!((ends, counted), (3, 3 * usage(&single)), "{text}");

    // One that breaks off leaves the others alone, and says that it was cut.
    let breaks_off = || {
        world.google.fault_next(Fault::CutAfter {
            events: 1,
            cut: testkit::google::Cut::End,
        });
    };
    breaks_off();
    let text = world.chat(request.clone()).await.text().await.unwrap();
    let ended = |reason: &str| {
        text.matches(&format!("\"finish_reason\":\"{reason}\""))
            .count()
    };
    assert_eq!((ended("length"), ended("stop")), (1, 2), "{text}");
    assert!(
        text.contains("[DONE]") && !text.contains("\"error\""),
        "{text}"
    );
    // When all do, the stream ends in the protocol's form.
    for _ in 0..3 {
        breaks_off();
    }
    let text = world.chat(request.clone()).await.text().await.unwrap();
    assert!(
        text.contains("\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );
    request["n"] = json!(9);
    let response = world.chat(request).await;
    assert_eq!(response.status(), 400);
    assert_eq!(body(response).await["error"]["param"], "n");
}

#[tokio::test]
async fn googles_own_streams_can_be_fake_too() {
    let settings = [
        ("STREAM_HEARTBEAT_SECONDS", "1"),
        ("FAKE_STREAM_ENABLED", "true"),
    ];
    let world = World::start(1, |google| google, &settings).await;
    let path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let hello = || crate::world::ask("Say hello.");
    for query in ["?alt=sse", ""] {
        world.google.answer_next(Answer::text("Hello there."));
        let response = world.gemini(&format!("{path}{query}"), hello()).await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let answer: Value = match query {
            "" => serde_json::from_str::<Value>(&text).unwrap()[0].clone(),
            _ => serde_json::from_str(&crate::world::events(&text)[0]).unwrap(),
        };
        assert_eq!(
            answer["candidates"][0]["content"]["parts"][0]["text"],
            "Hello there."
        );
        assert_eq!(last_asked_action(&world), Some("generateContent"));
    }
    // A sign of life is an event that every SDK takes and none shows.
    world.google.fault_next(Fault::StallBeforeHeaders);
    let mut response = world.gemini(&format!("{path}?alt=sse"), hello()).await;
    assert_eq!(response.status(), 200);
    let first = response.chunk().await.unwrap().unwrap();
    let beat = crate::world::events(std::str::from_utf8(&first).unwrap());
    let beat: Value = serde_json::from_str(&beat[0]).unwrap();
    let part = &beat["candidates"][0]["content"]["parts"][0];
    assert_eq!(part, &json!({"text": " ", "thought": true}));
    world.google.release();
    let rest = response.text().await.unwrap();
    assert!(rest.contains("\"STOP\""), "{rest}");
    // What fails at once fails with its status, what fails late says so in the stream.
    let unknown = world.gemini(
        "/v1beta/models/gemini-0:streamGenerateContent?alt=sse",
        hello(),
    );
    assert_eq!(unknown.await.status(), 404);
    world.google.fault_next(Fault::StallBeforeHeaders);
    world.google.set_quota("project-0", Quota::rpd(1));
    let mut response = world.gemini(&format!("{path}?alt=sse"), hello()).await;
    let _ = response.chunk().await.unwrap().unwrap();
    world.google.release();
    let rest = response.text().await.unwrap();
    assert!(rest.contains("RESOURCE_EXHAUSTED"), "{rest}");
}

fn last_asked_action(world: &World) -> Option<&'static str> {
    world.google.requests().pop().unwrap().action
}

#[tokio::test]
async fn a_named_user_is_told_from_others() {
    let world = World::with_keys(1).await;
    let request = json!({"model": "gemini-2.5-flash", "messages": [
        {"role": "user", "name": "Ada", "content": "Hi."},
        {"role": "user", "name": "Bo", "content": [{"type": "text", "text": "Ho."}]},
        {"role": "user", "content": "Who spoke?"},
    ]});
    assert_eq!(world.chat(request).await.status(), 200);
    let (asked, _) = last_asked(&world);
    let parts = asked["contents"][0]["parts"].as_array().unwrap().iter();
    let said: Vec<&str> = parts.map(|part| part["text"].as_str().unwrap()).collect();
    assert_eq!(said, ["Ada: Hi.", "Bo: Ho.", "Who spoke?"]);
}

#[tokio::test]
async fn a_signed_text_goes_back_signed_whatever_the_client_keeps() {
    let world = World::with_keys(1).await;
    for stream in [false, true] {
        // The fake signs the last text, as Gemini 3 does.
        let said = format!(
            "Hello, you. This is long enough to be told from what was said elsewhere. {stream}"
        );
        world.google.answer_next(Answer::parts(vec![
            json!({"text": "Hello, "}),
            json!({"text": said.strip_prefix("Hello, ")}),
        ]));
        let mut request = json!({
            "model": "gemini-3.8-flash", "max_tokens": 99, "stream": stream,
            "messages": [{"role": "user", "content": "Hello."}],
        });
        let response = post(&world, "/v1/messages", &request).await;
        assert_eq!(response.status(), 200);
        response.text().await.unwrap();
        request["messages"] = json!([
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": said},
            {"role": "user", "content": "Go on."},
        ]);
        request["stream"] = json!(false);
        assert_eq!(post(&world, "/v1/messages", &request).await.status(), 200);
        let (asked, _) = last_asked(&world);
        let part = &asked["contents"][1]["parts"][0];
        assert!(part["thoughtSignature"].is_string(), "{asked}");
        // What Google never said is not signed.
        request["messages"][1]["content"] = json!("Something else.".repeat(9));
        assert_eq!(post(&world, "/v1/messages", &request).await.status(), 200);
        let (asked, _) = last_asked(&world);
        let part = &asked["contents"][1]["parts"][0];
        assert_eq!(part.get("thoughtSignature"), None, "{asked}");
    }
}

#[tokio::test]
async fn an_older_model_gets_schemas_that_it_takes() {
    let models = ["gemini-2.0-flash", "gemini-2.5-flash"].map(testkit::google::Model::named);
    let world = World::start(1, |google| google.models(models), &[]).await;
    let request = json!({
        "model": "gemini-2.0-flash", "messages": [{"role": "user", "content": "Hi."}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {
            "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
            "properties": {
                "mail": {"type": "string", "format": "email"},
                "node": {"$ref": "#/$defs/N"},
                "any": {},
                "pick": {"oneOf": [{"const": 1}, {"enum": ["a", ""]}, {"type": "null"}]},
            },
            "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
            "additionalProperties": false,
        }}}],
    });
    let response = world.chat(request).await;
    let status = response.status();
    assert_eq!(status, 200, "{}", response.text().await.unwrap());
}

/// Each is refused by Google, here the strict fake, when it goes there as it is.
#[tokio::test]
async fn what_other_vendors_take_is_no_error() {
    let world = World::with_keys(1).await;
    let google = |config: Value| json!({"extra_body": {"google": {"thinking_config": config}}});
    for (model, more) in [
        (
            "gemini-2.5-flash-search",
            json!({"response_format": {"type": "json_object"}}),
        ),
        (
            "gemini-2.5-flash",
            json!({"stop": ["a", "b", "c", "d", "e", "f", "g", "h", "i"]}),
        ),
        ("gemini-2.5-flash", json!({"max_tokens": 128_000})),
        ("gemini-3-pro-image", json!({"max_tokens": 65_536})),
        ("gemma-3-27b-it", json!({"max_tokens": 65_536})),
        (
            "gemini-2.5-flash",
            google(json!({"thinking_budget": 32_768})),
        ),
        ("gemini-2.5-pro", google(json!({"thinking_budget": 0}))),
        ("gemini-2.5-pro", google(json!({"thinking_level": "high"}))),
        (
            "gemini-3.8-flash",
            google(json!({"thinking_level": "minimal", "thinking_budget": 9})),
        ),
        ("gemma-3-27b-it", google(json!({"thinking_budget": 9}))),
        (
            "gemini-3.8-flash",
            json!({"presence_penalty": 2.0, "frequency_penalty": 2.0, "top_k": 0}),
        ),
    ] {
        let mut request = json!({
            "model": model, "messages": [{"role": "user", "content": "Hello."}],
        });
        let request_fields = request.as_object_mut().unwrap();
        request_fields.extend(more.as_object().unwrap().clone());
        let response = world.chat(request).await;
        assert_eq!(response.status(), 200, "{model} {more}");
    }
    let request = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 128_000, "top_k": 0,
        "messages": [{"role": "user", "content": "Hello."}],
        "stop_sequences": ["a", "b", "c", "d", "e", "f"],
    });
    let response = post(&world, "/v1/messages", &request).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-gemini-balance-notice"));
}

#[tokio::test]
async fn the_table_leads_images_speech_and_transcripts_too() {
    let world = World::with_keys(1).await;
    world.set(&[(
        "MODEL_MAP",
        r#"{"gpt-*": "gemini-3.8-flash", "gpt-image*": "gemini-3-pro-image", "tts-1": "gemini-2.5-flash-preview-tts", "whisper*": "gemini-2.5-flash"}"#,
    )]);
    let speech = json!({"voice": "alloy", "input": "Hello."});
    for (path, name, mut request, model) in [
        (
            "/v1/images/generations",
            "gpt-image-1",
            json!({"prompt": "A cat."}),
            "gemini-3-pro-image",
        ),
        (
            "/v1/images/generations",
            "dall-e-3",
            json!({"prompt": "A cat."}),
            "gemini-3.1-flash-image",
        ),
        (
            "/v1/audio/speech",
            "tts-1",
            speech.clone(),
            "gemini-2.5-flash-preview-tts",
        ),
        (
            "/v1/audio/speech",
            "gpt-4o-mini-tts",
            speech,
            "gemini-3.8-flash-lite-tts",
        ),
    ] {
        request["model"] = json!(name);
        let response = post(&world, path, &request).await;
        assert_eq!(response.status(), 200, "{name}");
        response.bytes().await.unwrap();
        assert_eq!(last_asked(&world).1, model);
    }
    let audio = Part::bytes(b"ID3 some sound".to_vec()).file_name("a.mp3");
    let form = Form::new().part("file", audio).text("model", "whisper-1");
    let url = world.url("/v1/audio/transcriptions");
    let request = world.http.post(url).bearer_auth(TOKEN).multipart(form);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(last_asked(&world).1, "gemini-2.5-flash");
}

#[tokio::test]
async fn tools_that_anthropics_clients_run_are_known_to_every_model() {
    let world = World::with_keys(1).await;
    for model in ["claude-sonnet-4-5", "gemini-2.5-flash", "gemma-3-27b-it"] {
        let request = json!({
            "model": model, "max_tokens": 100,
            "messages": [{"role": "user", "content": "Call bash."}],
            "tools": [
                {"type": "bash_20250124", "name": "bash"},
                {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
                {"type": "memory_20250818", "name": "memory"},
            ],
            "tool_choice": {"type": "tool", "name": "bash"},
        });
        let response = post(&world, "/v1/messages", &request).await;
        assert_eq!(response.status(), 200, "{model}");
        let answer = body(response).await;
        let blocks = answer["content"].as_array().unwrap();
        assert!(
            blocks.iter().any(|block| block["name"] == "bash"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn clients_of_the_older_functions_are_answered_in_their_form() {
    let world = World::with_keys(1).await;
    let request = |stream: bool| {
        json!({
            "model": "gemini-3.8-flash", "stream": stream,
            "messages": [{"role": "user", "content": "What is the weather?"}],
            "functions": [{"name": "weather", "parameters": {"type": "object", "properties": {}}}],
            "function_call": {"name": "weather"},
        })
    };
    let answer = body(world.chat(request(false)).await).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call", "{answer}");
    assert_eq!(choice["message"]["function_call"]["name"], "weather");
    let text = world.chat(request(true)).await.text().await.unwrap();
    assert!(
        text.contains(r#""function_call":{"name":"weather""#),
        "{text}"
    );
    assert!(
        text.contains(r#""finish_reason":"function_call""#),
        "{text}"
    );
    assert!(!text.contains("tool_calls"));
}
