//! Calls that are told in another form than `tool_calls` of functions: OpenAI's older
//! `function_call`, and custom tools, which take a text.

use dialect::openai_to_gemini::{ChatCall, ChatStream, chat_request, chat_response};
use serde_json::{Value, json};

use crate::common::{json, meta};
use crate::described::{Vendor, events_fit, fits};

/// A call and the end, as Google streams them.
fn google(name: &str, args: &Value) -> [Value; 2] {
    let call = json!({
        "functionCall": {"name": name, "args": args}, "thoughtSignature": "c2lnbmVkIGJ5IEdvb2dsZQ==",
    });
    let second = json!({"functionCall": {"name": name, "args": args}});
    let event = |parts: Value, reason: Value| json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}]});
    [
        event(json!([call, second]), Value::Null),
        event(json!([{"text": ""}]), json!("STOP")),
    ]
}

fn whole(call: &ChatCall, events: &[Value; 2]) -> Value {
    let mut all = events[0].clone();
    all["candidates"][0]["finishReason"] = json!("STOP");
    let answer = chat_response(call, &meta(), all.to_string().as_bytes()).unwrap();
    let answer = json(&answer);
    fits(Vendor::OpenAi, "CreateChatCompletionResponse", &answer);
    answer["choices"][0].clone()
}

fn streamed(call: &ChatCall, events: &[Value; 2]) -> (String, Vec<Value>) {
    let mut stream = ChatStream::new(call, &meta());
    let mut out = Vec::new();
    for event in events {
        let event = event.to_string();
        stream.event(event.as_bytes(), &mut out).unwrap();
    }
    stream.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    let chunks = out.split_terminator("\n\n");
    let chunks = chunks.filter_map(|chunk| {
        let data = chunk.strip_prefix("data: ").unwrap();
        (data != "[DONE]").then(|| json(data.as_bytes())["choices"][0].clone())
    });
    let chunks = chunks.collect();
    (out, chunks)
}

#[test]
fn a_client_of_functions_gets_a_function_call() {
    let body = json!({
        "model": "gemini-3.8-flash", "messages": [{"role": "user", "content": "hi"}],
        "functions": [{"name": "get weather"}], "function_call": "auto",
    });
    let call = chat_request(body.to_string().as_bytes()).unwrap();
    let asked = json(&call.body);
    let mode = &asked["toolConfig"]["functionCallingConfig"]["mode"];
    assert_eq!(mode, "AUTO");
    let name = asked["tools"][0]["functionDeclarations"][0]["name"].as_str();
    let events = google(name.unwrap(), &json!({"city": "Bern"}));
    let told = json!({"name": "get weather", "arguments": r#"{"city":"Bern"}"#});
    let signed = json!({"google": {"thought_signature": "c2lnbmVkIGJ5IEdvb2dsZQ=="}});

    let choice = whole(&call, &events);
    assert_eq!(choice["finish_reason"], "function_call");
    let message = &choice["message"];
    assert_eq!(message["function_call"], told);
    assert_eq!(
        (&message["content"], message.get("tool_calls")),
        (&Value::Null, None)
    );
    assert_eq!(message["extra_content"], signed);

    let (events, chunks) = streamed(&call, &events);
    events_fit("CreateChatCompletionStreamResponse", &events);
    let calls = chunks
        .iter()
        .filter(|chunk| chunk["delta"].get("function_call").is_some());
    let calls: Vec<&Value> = calls
        .map(|chunk| &chunk["delta"]["function_call"])
        .collect();
    assert_eq!(calls, [&told], "one, for there is room for one");
    let last = chunks.last().unwrap();
    assert_eq!(last["finish_reason"], "function_call");
    assert_eq!(last["delta"]["extra_content"], signed);
    assert!(!events.contains("tool_calls"));

    // And back.
    let mut body = body;
    let history = body["messages"].as_array_mut().unwrap();
    history.push(message.clone());
    history.push(json!({"role": "function", "name": "get weather", "content": "sunny"}));
    let again = chat_request(body.to_string().as_bytes()).unwrap();
    let contents = &json(&again.body)["contents"];
    let call = &contents[1]["parts"][0];
    assert_eq!(call["functionCall"]["args"], json!({"city": "Bern"}));
    assert_eq!(call["thoughtSignature"], "c2lnbmVkIGJ5IEdvb2dsZQ==");
    let result = &contents[2]["parts"][0]["functionResponse"];
    assert_eq!(result["response"], json!({"output": "sunny"}));
}

#[test]
fn the_call_of_a_custom_tool_comes_back_as_its_text() {
    let body = json!({
        "model": "gemini-3.8-flash", "messages": [{"role": "user", "content": "hi"}],
        "tools": [
            {"type": "custom", "custom": {"name": "apply patch"}},
            {"type": "function", "function": {"name": "f"}},
        ],
    });
    let call = chat_request(body.to_string().as_bytes()).unwrap();
    let asked = json(&call.body);
    let name = asked["tools"][0]["functionDeclarations"][0]["name"].as_str();
    let name = name.unwrap();
    let events = google(name, &json!({"input": "*** \"a\"\n"}));
    let told = json!({"name": "apply patch", "input": "*** \"a\"\n"});

    let choice = whole(&call, &events);
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(
        (&calls[0]["type"], &calls[0]["custom"]),
        (&json!("custom"), &told)
    );
    assert_eq!(calls[0].get("function"), None);

    let (_, chunks) = streamed(&call, &events);
    let first = &chunks[0]["delta"]["tool_calls"][0];
    assert_eq!(
        (&first["index"], &first["type"]),
        (&json!(0), &json!("custom"))
    );
    assert_eq!(first["custom"], told);

    // A function beside it is one still.
    let choice = whole(&call, &google("f", &json!({"a": 1})));
    let function = &choice["message"]["tool_calls"][0];
    assert_eq!(function["type"], "function");
    assert_eq!(function["function"]["arguments"], r#"{"a":1}"#);
}
