//! What holds for every conversation: streamed and whole answers are equal, and an answer
//! that a client sends back arrives at Google as Google said it.

use dialect::anthropic_to_gemini::{
    MessagesCall, MessagesStream, messages_request, messages_response,
};
use dialect::style::Style;
use dialect::{ModelMap, ResponseMeta};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{json, part, style};

fn meta() -> ResponseMeta {
    ResponseMeta {
        id: "msg_1".to_owned(),
        created: 0,
        style: Style::default(),
    }
}

fn send(body: &Value) -> MessagesCall {
    messages_request(body.to_string().as_bytes(), &ModelMap::default()).unwrap()
}

fn ask() -> MessagesCall {
    send(&json!({"model": "claude-x", "messages": [{"role": "user", "content": "go"}]}))
}

/// Adds up events as Anthropic's SDKs do, and checks their order.
pub fn accumulate(events: &str) -> Value {
    let mut message = Value::Null;
    let mut open = false;
    let mut stopped = false;
    let mut arguments = String::new();
    for event in events.split_terminator("\n\n") {
        assert!(!stopped, "nothing comes after message_stop");
        let (_, data) = event.split_once("\ndata: ").unwrap();
        let event = json(data.as_bytes());
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert!(message.is_null());
                message = event["message"].clone();
            }
            "content_block_start" => {
                assert!(!open);
                open = true;
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], content.len());
                content.push(event["content_block"].clone());
                arguments.clear();
            }
            "content_block_delta" => {
                assert!(open);
                let block = message["content"]
                    .as_array_mut()
                    .unwrap()
                    .last_mut()
                    .unwrap();
                let delta = &event["delta"];
                let (field, more) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", &delta["text"]),
                    "thinking_delta" => ("thinking", &delta["thinking"]),
                    "signature_delta" => ("signature", &delta["signature"]),
                    "input_json_delta" => {
                        arguments.push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    "citations_delta" => {
                        if block["citations"].is_null() {
                            block["citations"] = json!([]);
                        }
                        let citations = block["citations"].as_array_mut().unwrap();
                        citations.push(delta["citation"].clone());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                let so_far = block[field].as_str().unwrap();
                block[field] = json!(format!("{so_far}{}", more.as_str().unwrap()));
            }
            "content_block_stop" => {
                assert!(open);
                open = false;
                let block = message["content"]
                    .as_array_mut()
                    .unwrap()
                    .last_mut()
                    .unwrap();
                if !arguments.is_empty() {
                    block["input"] = json(arguments.as_bytes());
                }
            }
            "message_delta" => {
                assert!(!open);
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => stopped = true,
            other => panic!("{other}"),
        }
    }
    assert!(stopped);
    message
}

proptest! {
    #[test]
    fn streamed_and_whole_answers_are_equal(
        parts in prop::collection::vec(part(), 1..8),
        per_event in 1_usize..4,
        reason in prop::sample::select(&["STOP", "MAX_TOKENS", "SAFETY", "OTHER"][..]),
        style in style(),
    ) {
        let meta = ResponseMeta { style, ..meta() };
        let usage = json!({"promptTokenCount": 5, "candidatesTokenCount": 2, "cachedContentTokenCount": 1});
        let whole = json!({
            "candidates": [{"content": {"parts": parts}, "finishReason": reason}],
            "usageMetadata": usage,
        });
        let whole = json(&messages_response(&ask(), &meta, whole.to_string().as_bytes()).unwrap());

        let mut stream = MessagesStream::new(&ask(), &meta);
        let mut out = Vec::new();
        for parts in parts.chunks(per_event) {
            let event = json!({"candidates": [{"content": {"parts": parts}}]});
            stream.event(event.to_string().as_bytes(), &mut out).unwrap();
        }
        prop_assert!(!stream.is_complete());
        let end = json!({"candidates": [{"finishReason": reason}], "usageMetadata": usage});
        stream.event(end.to_string().as_bytes(), &mut out).unwrap();
        prop_assert!(stream.is_complete());
        stream.finish(&mut out);
        prop_assert_eq!(accumulate(std::str::from_utf8(&out).unwrap()), whole);
    }

    #[test]
    fn an_answer_sent_back_is_the_answer_google_gave(parts in prop::collection::vec(part(), 1..8)) {
        let answer = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
        let answer = json(&messages_response(&ask(), &meta(), answer.to_string().as_bytes()).unwrap());
        let results: Vec<Value> = answer["content"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "done"}))
            .collect();
        let mut said = results.clone();
        said.push(json!({"type": "text", "text": "next"}));
        let call = send(&json!({"model": "gemini-2.5-flash", "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": said},
        ]}));
        let sent = json(&call.body);
        let contents = sent["contents"].as_array().unwrap();

        // Text, images, calls and signatures, in their order.
        let shown = |parts: &[Value]| -> Vec<Value> {
            let mut shown: Vec<Value> = Vec::new();
            let text = |shown: &mut Vec<Value>, more: &str| match shown.last_mut() {
                Some(Value::String(last)) => last.push_str(more),
                _ => shown.push(json!(more)),
            };
            for part in parts {
                if part.get("thought").is_some() {
                    continue;
                }
                if let Some(more) = part["text"].as_str() {
                    text(&mut shown, more);
                } else if let Some(data) = part["inlineData"]["data"].as_str() {
                    shown.push(json!({ "image": data }));
                } else {
                    let call = &part["functionCall"];
                    shown.push(json!({"args": call["args"], "signature": part["thoughtSignature"]}));
                }
            }
            shown
        };
        let model: Vec<Value> = contents
            .iter()
            .filter(|content| content["role"] == "model")
            .flat_map(|content| content["parts"].as_array().unwrap().clone())
            .collect();
        prop_assert_eq!(shown(&model), shown(&parts));
        let answered = contents
            .iter()
            .filter(|content| content["role"] == "user")
            .flat_map(|content| content["parts"].as_array().unwrap())
            .filter(|part| part.get("functionResponse").is_some())
            .count();
        prop_assert_eq!(answered, results.len());
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = messages_request(&body, &ModelMap::default());
        let _ = messages_response(&ask(), &meta(), &body);
        let _ = MessagesStream::new(&ask(), &meta()).event(&body, &mut Vec::new());
    }
}

#[test]
fn nothing_follows_the_end_of_a_stream() {
    let failure = dialect::UpstreamFailure {
        status: 529,
        message: "gone".to_owned(),
        code: None,
        request_id: None,
    };
    let event = br#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    for abort_first in [true, false] {
        let mut stream = MessagesStream::new(&ask(), &meta());
        let mut out = Vec::new();
        if abort_first {
            stream.abort(&failure, &mut out);
        } else {
            stream.finish(&mut out);
        }
        let length = out.len();
        assert!(length > 0);
        stream.event(event, &mut out).unwrap();
        stream.abort(&failure, &mut out);
        stream.finish(&mut out);
        assert_eq!(out.len(), length);
    }
}

#[test]
fn functions_with_names_that_google_refuses_keep_them_for_the_client() {
    let name = format!("mcp__{}__tool", "server".repeat(20));
    let call = send(&json!({
        "model": "claude-x",
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"name": name, "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": name},
    }));
    let sent = json(&call.body);
    let google = &sent["tools"][0]["functionDeclarations"][0]["name"];
    assert_eq!(google.as_str().unwrap().len(), 64);
    assert_eq!(
        sent["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"],
        json!([google])
    );
    let answer = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": google}}]}, "finishReason": "STOP"}]});
    let whole = json(&messages_response(&call, &meta(), answer.to_string().as_bytes()).unwrap());
    assert_eq!(whole["content"][0]["name"], json!(name));
    let mut stream = MessagesStream::new(&call, &meta());
    let mut out = Vec::new();
    stream
        .event(answer.to_string().as_bytes(), &mut out)
        .unwrap();
    stream.finish(&mut out);
    assert_eq!(
        accumulate(std::str::from_utf8(&out).unwrap())["content"],
        whole["content"]
    );
}
