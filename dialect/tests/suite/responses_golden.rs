//! Golden files of OpenAI's Responses API over Gemini: requests in
//! `tests/openai_responses/requests/`, Google's answers, which all protocols share, in
//! `tests/answers/`.

use dialect::openai_to_gemini::responses::{
    Kept, Memory, Page, ResponsesCall, ResponsesStream, responses_request, responses_response,
};
use dialect::sse::Events;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json as value};

use crate::common::{STYLED, fixtures, json, pretty, snapshot, styles};

fn meta() -> dialect::ResponseMeta {
    dialect::ResponseMeta {
        id: "resp_golden".to_owned(),
        ..crate::common::meta()
    }
}

fn call() -> ResponsesCall {
    let body = value!({
        "model": "gemini-3.1-pro-preview",
        "input": "hi",
        "tools": [{"type": "web_search"}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "metadata": {"a": "b"},
        "store": false,
    });
    responses_request(body.to_string().as_bytes(), &()).unwrap()
}

/// One turn of an earlier conversation.
struct Earlier;

impl Memory for Earlier {
    fn conversation(&self, response: &str) -> Option<Vec<Box<RawValue>>> {
        let items = value!([
            {"role": "user", "content": "My name is Ada."},
            {"type": "message", "id": "msg_known_0", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Hello Ada.", "annotations": []}]},
        ]);
        let items = items.as_array().unwrap().iter();
        (response == "resp_known").then(|| items.map(|item| to_raw_value(item).unwrap()).collect())
    }

    fn item(&self, id: &str) -> Option<Box<RawValue>> {
        (id == "msg_known_0").then(|| self.conversation("resp_known").unwrap().pop().unwrap())
    }
}

#[test]
fn requests() {
    for (name, body) in fixtures("openai_responses/requests", "json") {
        let shown = match responses_request(&body, &Earlier) {
            Ok(call) => format!(
                "model: {} (asked for: {})\nstream: {}, store: {}\n{}",
                call.model,
                call.requested_model,
                call.stream,
                call.store,
                pretty(&call.body)
            ),
            Err(invalid) => format!(
                "400 {:?} {}\n{}",
                invalid.param,
                invalid.code.unwrap_or_default(),
                invalid.message
            ),
        };
        snapshot("openai_responses/requests", &name, &shown);
    }
}

#[test]
fn responses() {
    for (name, body) in fixtures("answers", "json") {
        let shown = match responses_response(&call(), &meta(), &body) {
            Ok((body, _)) => pretty(&body),
            Err(malformed) => format!("malformed: {malformed}"),
        };
        snapshot("openai_responses/responses", &name, &shown);
    }
}

#[test]
fn styles_of_answers() {
    for (suffix, style) in styles() {
        let meta = dialect::ResponseMeta { style, ..meta() };
        for (name, body) in fixtures("answers", "json") {
            if STYLED.contains(&&*name) {
                let (body, _) = responses_response(&call(), &meta, &body).unwrap();
                let name = format!("{name}.{suffix}");
                snapshot("openai_responses/styles", &name, &pretty(&body));
            }
        }
        for (name, body) in fixtures("answers", "sse") {
            if STYLED.contains(&&*name) {
                let name = format!("{name}.stream.{suffix}");
                snapshot("openai_responses/styles", &name, &streamed(body, &meta));
            }
        }
    }
}

#[test]
fn streams() {
    for (name, body) in fixtures("answers", "sse") {
        let text = streamed(body, &meta());
        for (number, event) in text.split_terminator("\n\n").enumerate() {
            let (name, data) = event.split_once('\n').unwrap();
            let data = json(data.strip_prefix("data: ").unwrap().as_bytes());
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            assert_eq!(data["sequence_number"], number);
        }
        snapshot("openai_responses/streams", &name, &text);
    }
}

fn streamed(body: Vec<u8>, meta: &dialect::ResponseMeta) -> String {
    let mut events = Events::new(1 << 20);
    events.push(body.into());
    let mut stream = ResponsesStream::new(&call(), meta);
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

/// A turn that was asked for with `input` and answered with a text.
fn kept(input: Value) -> Kept {
    let body = value!({"model": "gemini-2.5-flash", "input": input, "previous_response_id": null});
    let call = responses_request(body.to_string().as_bytes(), &()).unwrap();
    let answer =
        br#"{"candidates":[{"content":{"parts":[{"text":"Yes."}]},"finishReason":"STOP"}]}"#;
    responses_response(&call, &meta(), answer)
        .unwrap()
        .1
        .unwrap()
}

#[test]
fn what_is_kept_can_be_asked_for() {
    let kept = kept(value!([
        {"role": "user", "content": "One?"},
        {"type": "message", "id": "msg_mine", "role": "assistant", "content": "Two."},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]));
    assert_eq!(kept.id(), "resp_golden");
    assert_eq!(
        json(kept.response())["output"][0]["content"][0]["text"],
        "Yes."
    );
    assert_eq!(kept.items().len(), 4);
    assert!(kept.size() > kept.response().len());

    let own = kept.item("msg_golden_0").unwrap();
    assert_eq!(json(own.get().as_bytes())["role"], "assistant");
    assert_eq!(
        Kept::response_of("msg_golden_0").as_deref(),
        Some("resp_golden")
    );
    assert_eq!(
        Kept::response_of("msg_a_b_in2").as_deref(),
        Some("resp_a_b")
    );
    assert!(kept.item("msg_mine").is_some());
    assert!(kept.item("msg_golden_in0").is_some());
    assert!(kept.item("msg_golden_9").is_none());

    let page = |limit, newest_first, after| {
        let page = Page {
            limit,
            newest_first,
            after,
        };
        kept.input_items(page).map(|page| json(&page))
    };
    let all = page(20, false, None).unwrap();
    assert_eq!(
        all,
        value!({
            "object": "list",
            "data": [
                {"id": "msg_golden_in0", "type": "message", "status": "completed", "role": "user",
                 "content": [{"type": "input_text", "text": "One?"}]},
                {"id": "msg_mine", "type": "message", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": "Two."}]},
                {"id": "msg_golden_in2", "type": "function_call", "status": "completed",
                 "call_id": "c", "name": "f", "arguments": "{}"},
            ],
            "first_id": "msg_golden_in0",
            "last_id": "msg_golden_in2",
            "has_more": false,
        })
    );
    let newest = page(2, true, None).unwrap();
    assert_eq!(
        (&newest["first_id"], &newest["has_more"]),
        (&all["last_id"], &value!(true))
    );
    let rest = page(2, true, Some("msg_mine")).unwrap();
    assert_eq!(
        (&rest["data"], &rest["has_more"]),
        (&value!([all["data"][0]]), &value!(false))
    );
    assert_eq!(
        page(2, true, Some("msg_x")).unwrap_err().param.as_deref(),
        Some("after")
    );
}

#[test]
fn only_what_is_to_be_stored_is_kept() {
    let answer =
        br#"{"candidates":[{"content":{"parts":[{"text":"Yes."}]},"finishReason":"STOP"}]}"#;
    assert!(
        responses_response(&call(), &meta(), answer)
            .unwrap()
            .1
            .is_none()
    );
    let text = kept(value!("Hi"));
    assert_eq!(
        text.items()[0].get(),
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}"#
    );
}
