//! What holds for every conversation: streamed and whole answers are equal, and an answer
//! that a client sends back arrives at Google as Google said it.

use std::collections::BTreeMap;

use crate::common::{json, meta, part, style};
use dialect::openai_to_gemini::{ChatStream, chat_request, chat_response};
use dialect::sse::Events;
use dialect::style::{Media, Style};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Adds up chunks as OpenAI's SDKs do.
fn accumulate(chunks: &[u8]) -> BTreeMap<u64, Value> {
    let mut choices: BTreeMap<u64, Value> = BTreeMap::new();
    for event in std::str::from_utf8(chunks)
        .unwrap()
        .split_terminator("\n\n")
    {
        let data = event.strip_prefix("data: ").unwrap();
        if data == "[DONE]" {
            continue;
        }
        let chunk = json(data.as_bytes());
        for choice in chunk["choices"].as_array().unwrap() {
            let whole = choices
                .entry(choice["index"].as_u64().unwrap())
                .or_insert_with(|| json!({"roles": 0, "content": "", "reasoning_content": "", "images": [], "tool_calls": [], "finish_reason": []}));
            let delta = &choice["delta"];
            if delta.get("role").is_some() {
                whole["roles"] = json!(whole["roles"].as_u64().unwrap() + 1);
            }
            for field in ["content", "reasoning_content"] {
                if let Some(text) = delta[field].as_str() {
                    whole[field] = json!(format!("{}{text}", whole[field].as_str().unwrap()));
                }
            }
            for image in delta["images"].as_array().into_iter().flatten() {
                whole["images"].as_array_mut().unwrap().push(image.clone());
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let calls = whole["tool_calls"].as_array_mut().unwrap();
                assert_eq!(call["index"], json!(calls.len()), "one delta for each call");
                let mut call = call.clone();
                call.as_object_mut().unwrap().remove("index");
                calls.push(call);
            }
            if !choice["finish_reason"].is_null() {
                whole["finish_reason"]
                    .as_array_mut()
                    .unwrap()
                    .push(choice["finish_reason"].clone());
            }
        }
    }
    choices
}

fn ask(stream: bool) -> dialect::openai_to_gemini::ChatCall {
    let body = json!({"model": "gemini-3.8-flash", "stream": stream, "messages": [{"role": "user", "content": "go"}]});
    chat_request(body.to_string().as_bytes()).unwrap()
}

proptest! {
    #[test]
    fn streamed_and_whole_answers_are_equal(
        parts in prop::collection::vec(part(), 1..8),
        per_event in 1_usize..4,
        reason in prop::sample::select(&["STOP", "MAX_TOKENS", "SAFETY", "OTHER"][..]),
        cut in any::<prop::sample::Index>(),
        style in style(),
    ) {
        let meta = dialect::ResponseMeta { style, ..meta() };
        let whole = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}]});
        let whole = json(&chat_response(&ask(false), &meta, whole.to_string().as_bytes()).unwrap());

        let mut wire = String::new();
        for parts in parts.chunks(per_event) {
            let event = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]});
            wire.push_str(&format!("data: {event}\r\n\r\n"));
        }
        wire.push_str(&format!("data: {}\r\n\r\n", json!({"candidates": [{"finishReason": reason, "index": 0}]})));
        let mut events = Events::new(1 << 20);
        let mut stream = ChatStream::new(&ask(true), &meta);
        let mut out = Vec::new();
        let cut = cut.index(wire.len());
        for piece in [&wire.as_bytes()[..cut], &wire.as_bytes()[cut..]] {
            events.push(bytes::Bytes::copy_from_slice(piece));
            for event in &mut events {
                stream.event(&event.unwrap(), &mut out).unwrap();
            }
        }
        prop_assert!(stream.is_complete());
        stream.finish(&mut out);

        let streamed = &accumulate(&out)[&0];
        let message = &whole["choices"][0]["message"];
        prop_assert_eq!(&streamed["roles"], &json!(1));
        prop_assert_eq!(streamed["content"].as_str().unwrap(), message["content"].as_str().unwrap_or(""));
        prop_assert_eq!(streamed["reasoning_content"].as_str().unwrap(), message["reasoning_content"].as_str().unwrap_or(""));
        for list in ["images", "tool_calls"] {
            let expected = message.get(list).cloned().unwrap_or(json!([]));
            prop_assert_eq!(&streamed[list], &expected);
        }
        prop_assert_eq!(&streamed["finish_reason"], &json!([whole["choices"][0]["finish_reason"]]));
    }

    #[test]
    fn an_answer_sent_back_is_the_answer_google_gave(
        parts in prop::collection::vec(part(), 1..8),
        media in prop::sample::select(vec![Media::Markdown, Media::Field]),
    ) {
        let style = Style { media, ..Style::default() };
        let meta = dialect::ResponseMeta { style, ..meta() };
        let answer = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
        let answer = json(&chat_response(&ask(false), &meta, answer.to_string().as_bytes()).unwrap());
        let message = answer["choices"][0]["message"].clone();
        let mut messages = vec![json!({"role": "user", "content": "go"}), message.clone()];
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
        }
        messages.push(json!({"role": "user", "content": "next"}));
        // On a model that wants no signatures nothing may be added either.
        let body = json!({"model": "gemini-2.5-flash", "messages": messages});
        let call = chat_request(body.to_string().as_bytes()).unwrap();
        let sent = json(&call.body);
        let contents = sent["contents"].as_array().unwrap();

        let of = |kind: &str, parts: &[Value]| -> Vec<Value> {
            parts.iter().filter_map(|part| part.get(kind).cloned()).collect()
        };
        let model: Vec<Value> = contents
            .iter()
            .filter(|content| content["role"] == "model")
            .flat_map(|content| content["parts"].as_array().unwrap().clone())
            .collect();
        let text = |parts: &[Value]| -> String {
            parts
                .iter()
                .filter(|part| part.get("thought").is_none())
                .filter_map(|part| part["text"].as_str())
                .collect()
        };
        prop_assert_eq!(text(&model), text(&parts));
        prop_assert_eq!(of("inlineData", &model), of("inlineData", &parts));
        let (mut ours, theirs) = (of("functionCall", &model), of("functionCall", &parts));
        for (ours, theirs) in ours.iter_mut().zip(&theirs) {
            if theirs.get("id").is_none() {
                ours.as_object_mut().unwrap().remove("id");
            }
        }
        prop_assert_eq!(&ours, &theirs);
        let signatures = |parts: &[Value]| -> Vec<Option<String>> {
            parts
                .iter()
                .filter(|part| part.get("functionCall").is_some())
                .map(|part| part["thoughtSignature"].as_str().map(str::to_owned))
                .collect()
        };
        prop_assert_eq!(signatures(&model), signatures(&parts));

        // Each call is answered once, in order, right behind.
        let results: Vec<Value> = contents
            .iter()
            .filter(|content| content["role"] == "user")
            .flat_map(|content| of("functionResponse", content["parts"].as_array().unwrap()))
            .collect();
        prop_assert_eq!(results.len(), theirs.len());
        for pair in contents.windows(2) {
            prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
        }
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = chat_request(&body);
        let _ = chat_response(&ask(false), &meta(), &body);
        let _ = dialect::gemini::Peek::of(&body);
        let _ = dialect::gemini::ApiStatus::parse(&body);
        let _ = ChatStream::new(&ask(true), &meta()).event(&body, &mut Vec::new());
    }
}

#[test]
fn nothing_follows_the_end_of_a_stream() {
    let failure = dialect::UpstreamFailure {
        status: 503,
        message: "gone".to_owned(),
        code: None,
        request_id: None,
    };
    let event = br#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    for abort_first in [true, false] {
        let mut stream = ChatStream::new(&ask(true), &meta());
        let mut out = Vec::new();
        if abort_first {
            stream.abort(&failure, &mut out);
        } else {
            stream.finish(&mut out);
        }
        let length = out.len();
        assert!(length > 0);
        stream.event(event, &mut out).unwrap();
        stream.event(b"not json", &mut out).unwrap();
        stream.abort(&failure, &mut out);
        stream.finish(&mut out);
        assert_eq!(out.len(), length);
    }
}

#[test]
fn what_only_looks_like_media_stays_text() {
    for said in [
        "[a](data:text/plain,hello)",
        "![a](data:image/png;base64,AA AA)",
        "![a](data:image/png;base64,AAAA",
        "![a\nb](data:image/png;base64,AAAA)",
        "](data:",
        "see ](data:image/png;base64,AAAA)",
    ] {
        let body = json!({"model": "gemini-2.5-flash", "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": said},
            {"role": "user", "content": "next"},
        ]});
        let call = chat_request(body.to_string().as_bytes()).unwrap();
        let parts = json(&call.body)["contents"][1]["parts"].clone();
        assert_eq!(parts, json!([{ "text": said }]));
    }
    let said = "a\n![image](data:image/png;base64,AAAA) [audio/wav](data:audio/wav;base64,BBBB)!";
    let body = json!({"model": "gemini-2.5-flash", "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "next"},
    ]});
    let call = chat_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(
        json(&call.body)["contents"][1]["parts"],
        json!([
            {"text": "a\n"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"text": " "},
            {"inlineData": {"mimeType": "audio/wav", "data": "BBBB"}},
            {"text": "!"},
        ])
    );
}

#[test]
fn functions_with_names_that_google_refuses_keep_them_for_the_client() {
    let long = "x".repeat(80);
    for name in ["21st-magic", "mcp/tool", "天气", &long] {
        let call = |extra: Value| {
            let mut body = json!({
                "model": "gemini-3.8-flash",
                "tools": [{"type": "function", "function": {"name": name}}, {"type": "function", "function": {"name": "ok"}}],
                "tool_choice": {"type": "function", "function": {"name": name}},
                "messages": [{"role": "user", "content": "go"}],
            });
            body["messages"]
                .as_array_mut()
                .unwrap()
                .extend(extra.as_array().unwrap().clone());
            chat_request(body.to_string().as_bytes()).unwrap()
        };
        let first = call(json!([]));
        let sent = json(&first.body);
        let google = sent["tools"][0]["functionDeclarations"][0]["name"].clone();
        assert_ne!(google, name);
        assert_eq!(
            sent["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"],
            json!([google])
        );

        let answer = json!({"candidates": [{"content": {"parts": [
            {"functionCall": {"name": google, "args": {}}},
            {"functionCall": {"name": "ok", "args": {}}},
        ]}, "finishReason": "STOP"}]});
        let whole = json(&chat_response(&first, &meta(), answer.to_string().as_bytes()).unwrap());
        let message = &whole["choices"][0]["message"];
        assert_eq!(message["tool_calls"][0]["function"]["name"], name);
        assert_eq!(message["tool_calls"][1]["function"]["name"], "ok");
        let mut stream = ChatStream::new(&first, &meta());
        let mut out = Vec::new();
        stream
            .event(answer.to_string().as_bytes(), &mut out)
            .unwrap();
        assert_eq!(accumulate(&out)[&0]["tool_calls"], message["tool_calls"]);

        let back = call(json!([message]));
        let sent = json(&back.body);
        assert_eq!(
            sent["contents"][1]["parts"][0]["functionCall"]["name"],
            google
        );
        assert_eq!(
            sent["contents"][2]["parts"][0]["functionResponse"]["name"],
            google
        );
    }
}
