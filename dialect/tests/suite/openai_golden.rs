//! Golden files of OpenAI chat over Gemini: requests in `tests/openai/requests/`, Google's
//! answers, which all protocols share, in `tests/answers/`; beside them what each
//! becomes. `cargo insta review` shows and accepts changes.

use crate::common::{STYLED, fixtures, json, meta, pretty, snapshot, styles};
use dialect::openai_to_gemini::{ChatCall, ChatStream, chat_request, chat_response};
use dialect::sse::Events;

fn call(stream: bool) -> ChatCall {
    let body = serde_json::json!({
        "model": "gemini-3.1-pro-preview",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
        "stream_options": {"include_usage": true},
        "tools": [{"type": "web_search"}],
    });
    chat_request(body.to_string().as_bytes()).unwrap()
}

#[test]
fn requests() {
    for (name, body) in fixtures("openai/requests", "json") {
        let shown = match chat_request(&body) {
            Ok(call) => format!(
                "model: {} (asked for: {})\nstream: {}, usage: {}\n{}",
                call.model,
                call.requested_model,
                call.stream,
                call.include_usage,
                pretty(&call.body)
            ),
            Err(invalid) => format!("400 {:?}\n{}", invalid.param, invalid.message),
        };
        snapshot("openai/requests", &name, &shown);
    }
}

#[test]
fn responses() {
    for (name, body) in fixtures("answers", "json") {
        let shown = match chat_response(&call(false), &meta(), &body) {
            Ok(body) => pretty(&body),
            Err(malformed) => format!("malformed: {malformed}"),
        };
        snapshot("openai/responses", &name, &shown);
    }
}

#[test]
fn styles_of_answers() {
    for (suffix, style) in styles() {
        let meta = dialect::ResponseMeta { style, ..meta() };
        for (name, body) in fixtures("answers", "json") {
            if STYLED.contains(&&*name) {
                let body = chat_response(&call(false), &meta, &body).unwrap();
                snapshot("openai/styles", &format!("{name}.{suffix}"), &pretty(&body));
            }
        }
        for (name, body) in fixtures("answers", "sse") {
            if STYLED.contains(&&*name) {
                let name = format!("{name}.stream.{suffix}");
                snapshot("openai/styles", &name, &streamed(body, &meta));
            }
        }
    }
}

#[test]
fn streams() {
    for (name, body) in fixtures("answers", "sse") {
        let text = streamed(body, &meta());
        for event in text.split_terminator("\n\n") {
            let data = event.strip_prefix("data: ").unwrap();
            assert!(data == "[DONE]" || json(data.as_bytes()).is_object());
        }
        snapshot("openai/streams", &name, &text);
    }
}

fn streamed(body: Vec<u8>, meta: &dialect::ResponseMeta) -> String {
    let mut events = Events::new(1 << 20);
    events.push(body.into());
    let mut stream = ChatStream::new(&call(true), meta);
    let mut out = Vec::new();
    let mut failed = None;
    for event in &mut events {
        if let Err(malformed) = stream.event(&event.unwrap(), &mut out) {
            failed = Some(malformed);
            break;
        }
    }
    match failed {
        None if stream.is_complete() => stream.finish(&mut out),
        other => stream.abort(
            &dialect::UpstreamFailure {
                status: 502,
                message: other.map_or("cut off".to_owned(), |m| m.message),
                code: None,
                request_id: None,
            },
            &mut out,
        ),
    }
    String::from_utf8(out).unwrap()
}
