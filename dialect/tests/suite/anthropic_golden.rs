//! Golden files of Anthropic Messages over Gemini: requests in `tests/anthropic/requests/`,
//! Google's answers, which all protocols share, in `tests/answers/`.

use dialect::ModelMap;
use dialect::anthropic::models::{list, one};
use dialect::anthropic_to_gemini::{
    MessagesCall, MessagesStream, count_tokens_request, count_tokens_response, messages_request,
    messages_response,
};
use dialect::sse::Events;
use dialect::style::Style;

use crate::common::{STYLED, fixtures, json, pretty, snapshot, styles};

fn meta() -> dialect::ResponseMeta {
    dialect::ResponseMeta {
        id: "msg_golden".to_owned(),
        created: 0,
        style: Style::default(),
    }
}

fn call() -> MessagesCall {
    let body = br#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    messages_request(body, &ModelMap::default()).unwrap()
}

#[test]
fn requests() {
    for (name, body) in fixtures("anthropic/requests", "json") {
        let shown = match messages_request(&body, &ModelMap::default()) {
            Ok(call) => format!(
                "model: {} (asked for: {})\nstream: {}\n{}",
                call.model,
                call.requested_model,
                call.stream,
                pretty(&call.body)
            ),
            Err(invalid) => format!("400 {:?}\n{}", invalid.param, invalid.message),
        };
        snapshot("anthropic/requests", &name, &shown);
    }
}

#[test]
fn responses() {
    for (name, body) in fixtures("answers", "json") {
        let shown = match messages_response(&call(), &meta(), &body) {
            Ok(body) => pretty(&body),
            Err(malformed) => format!("malformed: {malformed}"),
        };
        snapshot("anthropic/responses", &name, &shown);
    }
}

#[test]
fn styles_of_answers() {
    for (suffix, style) in styles() {
        let meta = dialect::ResponseMeta { style, ..meta() };
        for (name, body) in fixtures("answers", "json") {
            if STYLED.contains(&&*name) {
                let body = messages_response(&call(), &meta, &body).unwrap();
                snapshot(
                    "anthropic/styles",
                    &format!("{name}.{suffix}"),
                    &pretty(&body),
                );
            }
        }
        for (name, body) in fixtures("answers", "sse") {
            if STYLED.contains(&&*name) {
                let name = format!("{name}.stream.{suffix}");
                snapshot("anthropic/styles", &name, &streamed(body, &meta));
            }
        }
    }
}

#[test]
fn streams() {
    for (name, body) in fixtures("answers", "sse") {
        let text = streamed(body, &meta());
        for event in text.split_terminator("\n\n") {
            let (name, data) = event.split_once('\n').unwrap();
            let name = name.strip_prefix("event: ").unwrap();
            assert_eq!(
                json(data.strip_prefix("data: ").unwrap().as_bytes())["type"],
                name
            );
        }
        snapshot("anthropic/streams", &name, &text);
    }
}

fn streamed(body: Vec<u8>, meta: &dialect::ResponseMeta) -> String {
    let mut events = Events::new(1 << 20);
    events.push(body.into());
    let mut stream = MessagesStream::new(&call(), meta);
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
                status: 503,
                message: other.map_or("cut off".to_owned(), |m| m.message),
                code: None,
                request_id: None,
            },
            &mut out,
        ),
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn counting_tokens() {
    let body = br#"{"model":"claude-opus-4-5","system":"S","messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#;
    let count = count_tokens_request(body, &ModelMap::default()).unwrap();
    assert_eq!(count.model, "gemini-3.8-flash");
    assert_eq!(
        String::from_utf8(count.body).unwrap(),
        r#"{"generateContentRequest":{"model":"models/gemini-3.8-flash","systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}]}}"#
    );
    let answer = count_tokens_response(
        br#"{"totalTokens":31,"promptTokensDetails":[{"modality":"TEXT","tokenCount":31}]}"#,
    );
    assert_eq!(answer.unwrap(), br#"{"input_tokens":31}"#);
    assert!(count_tokens_response(b"{}").is_err());
}

#[test]
fn which_gemini_answers_for_a_claude() {
    let map = ModelMap::default();
    for (name, model) in [
        ("claude-3-5-haiku-20241022", "gemini-3.5-flash-lite"),
        ("claude-haiku-4-5", "gemini-3.5-flash-lite"),
        ("claude-opus-4-1-20250805", "gemini-3.8-flash"),
        ("anthropic/claude-sonnet-4.5", "gemini-3.8-flash"),
        ("gemini-2.5-pro", "gemini-2.5-pro"),
    ] {
        assert_eq!(map.resolve(name), model, "{name}");
    }
    let own = |pattern: &str| ModelMap::new([(pattern.to_owned(), "hit".to_owned())]);
    for (pattern, name, hit) in [
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "abcd", false),
        ("a*b*c", "a-c-b-c", true),
        ("a*b*c", "acc", false),
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("*", "", true),
        ("aa*a", "aa", false),
    ] {
        assert_eq!(own(pattern).resolve(name) == "hit", hit, "{pattern} {name}");
    }
}

#[test]
fn models_in_anthropics_shape() {
    let page = dialect::gemini::models::Page::parse(
        br#"{"models":[{"name":"models/a","displayName":"A"},{"name":"models/b"}]}"#,
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(list(&page.models)).unwrap(),
        r#"{"data":[{"type":"model","id":"a","display_name":"A","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}"#
    );
    assert_eq!(
        String::from_utf8(one(&page.models[1])).unwrap(),
        r#"{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}"#
    );
    assert_eq!(
        String::from_utf8(list(&[])).unwrap(),
        r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
    );
}
