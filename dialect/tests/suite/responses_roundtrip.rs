//! What holds for every conversation: streamed and whole answers are equal, and an answer that
//! a client sends back arrives at Google as Google said it.

use dialect::openai_to_gemini::responses::{
    Ended, Memory, Recorded, ResponsesCall, ResponsesStream, responses_request, responses_response,
};
use dialect::sse::Events;
use proptest::prelude::*;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::common::{json, part, style};
use crate::described::{Vendor, events_fit, fits};

fn meta() -> dialect::ResponseMeta {
    dialect::ResponseMeta {
        id: "resp_1".to_owned(),
        ..crate::common::meta()
    }
}

fn send(body: &Value) -> ResponsesCall {
    responses_request(body.to_string().as_bytes(), &()).unwrap()
}

fn ask() -> ResponsesCall {
    send(&json!({"model": "gemini-3.8-flash", "input": "go"}))
}

fn whole(call: &ResponsesCall, meta: &dialect::ResponseMeta, answer: &Value) -> Value {
    json(
        &responses_response(call, meta, answer.to_string().as_bytes())
            .unwrap()
            .0,
    )
}

/// Adds up events as OpenAI's SDKs do, and checks their order. The first is what the deltas
/// give, the second what the last event says.
pub fn accumulate(events: &str) -> (Value, Value) {
    let mut output: Vec<Value> = Vec::new();
    let mut open: Option<usize> = None;
    let mut last = Value::Null;
    for (number, event) in events.split_terminator("\n\n").enumerate() {
        assert!(last.is_null(), "nothing comes after the end");
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let event = json(data.as_bytes());
        let kind = event["type"].as_str().unwrap();
        assert_eq!(name, format!("event: {kind}"));
        assert_eq!(event["sequence_number"], number);
        if number < 2 {
            let expected = ["response.created", "response.in_progress"];
            assert_eq!(kind, expected[number]);
            assert_eq!(event["response"]["status"], "in_progress");
            continue;
        }
        if matches!(kind, "response.completed" | "response.incomplete") {
            assert!(open.is_none());
            last = event["response"].clone();
            continue;
        }
        let at = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        if kind == "response.output_item.added" {
            assert!(open.is_none());
            assert_eq!(at, output.len());
            open = Some(at);
            output.push(event["item"].clone());
            continue;
        }
        assert_eq!(open, Some(at), "{kind}");
        let item = &mut output[at];
        if kind == "response.output_item.done" {
            open = None;
            let text = |item: &Value| item["content"][0]["text"].clone();
            assert_eq!(text(item), text(&event["item"]));
            for field in [
                "summary",
                "arguments",
                "input",
                "code",
                "id",
                "call_id",
                "name",
            ] {
                assert_eq!(item[field], event["item"][field], "{field}");
            }
            *item = event["item"].clone();
            continue;
        }
        assert_eq!(event["item_id"], item["id"]);
        let grow = |place: &mut Value| {
            let so_far = place.as_str().unwrap();
            *place = json!(format!("{so_far}{}", event["delta"].as_str().unwrap()));
        };
        match kind {
            "response.content_part.added" => {
                item["content"]
                    .as_array_mut()
                    .unwrap()
                    .push(event["part"].clone());
            }
            "response.output_text.delta" => {
                grow(&mut item["content"][0]["text"]);
                let more = event["logprobs"].as_array().into_iter().flatten();
                let tokens = item["content"][0]["logprobs"].as_array_mut().unwrap();
                tokens.extend(more.cloned());
            }
            "response.output_text.annotation.added" => {
                let all = item["content"][0]["annotations"].as_array_mut().unwrap();
                assert_eq!(event["annotation_index"], all.len());
                all.push(event["annotation"].clone());
            }
            "response.refusal.delta" => grow(&mut item["content"][0]["refusal"]),
            "response.reasoning_summary_part.added" => {
                item["summary"]
                    .as_array_mut()
                    .unwrap()
                    .push(event["part"].clone());
            }
            "response.reasoning_summary_text.delta" => grow(&mut item["summary"][0]["text"]),
            "response.function_call_arguments.delta" => grow(&mut item["arguments"]),
            "response.custom_tool_call_input.delta" => grow(&mut item["input"]),
            "response.code_interpreter_call_code.delta" => grow(&mut item["code"]),
            "response.code_interpreter_call_code.done" => assert_eq!(event["code"], item["code"]),
            "response.output_text.done" => assert_eq!(event["text"], item["content"][0]["text"]),
            "response.refusal.done" => assert_eq!(event["refusal"], item["content"][0]["refusal"]),
            "response.reasoning_summary_text.done" => {
                assert_eq!(event["text"], item["summary"][0]["text"]);
            }
            "response.content_part.done" => assert_eq!(event["part"], item["content"][0]),
            "response.reasoning_summary_part.done" => {
                assert_eq!(event["part"], item["summary"][0]);
            }
            "response.function_call_arguments.done" => {
                assert_eq!(event["arguments"], item["arguments"]);
            }
            "response.custom_tool_call_input.done" => assert_eq!(event["input"], item["input"]),
            other => assert!(
                other.starts_with("response.image_generation_call.")
                    || other.starts_with("response.web_search_call.")
                    || other.starts_with("response.code_interpreter_call."),
                "{other}"
            ),
        }
    }
    assert!(!last.is_null());
    (json!(output), last)
}

/// Parts in a form in which two conversations can be compared: text joined, thoughts left out.
fn shown(parts: &[Value]) -> Vec<Value> {
    let mut shown: Vec<Value> = Vec::new();
    for part in parts {
        if part.get("thought").is_some() {
            continue;
        }
        match (part["text"].as_str(), shown.last_mut()) {
            (Some(more), Some(Value::String(last))) => last.push_str(more),
            (Some(more), _) => shown.push(json!(more)),
            (None, _) => {
                let mut part = part.clone();
                if let Some(call) = part["functionCall"].as_object_mut() {
                    call.remove("id");
                } else {
                    part.as_object_mut().unwrap().remove("functionCall");
                }
                shown.push(part);
            }
        }
    }
    shown
}

fn model_parts(body: &[u8]) -> Vec<Value> {
    let sent = json(body);
    let contents = sent["contents"].as_array().unwrap();
    let model = contents.iter().filter(|content| content["role"] == "model");
    model
        .flat_map(|content| content["parts"].as_array().unwrap().clone())
        .collect()
}

/// One turn, kept.
struct Turn(Vec<Box<RawValue>>);

impl Memory for Turn {
    fn conversation(&self, response: &str) -> Option<Vec<Box<RawValue>>> {
        (response == "resp_1").then(|| self.0.clone())
    }

    fn item(&self, id: &str) -> Option<Box<RawValue>> {
        let mut items = self.0.iter();
        items
            .find(|item| json(item.get().as_bytes())["id"] == id)
            .cloned()
    }
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
        let answer = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}]});
        let expected = whole(&ask(), &meta, &answer);

        let mut wire = String::new();
        for parts in parts.chunks(per_event) {
            let event = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]});
            wire.push_str(&format!("data: {event}\r\n\r\n"));
        }
        wire.push_str(&format!("data: {}\r\n\r\n", json!({"candidates": [{"finishReason": reason, "index": 0}]})));
        let mut events = Events::new(1 << 20);
        let mut stream = ResponsesStream::new(&ask(), &meta);
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
        let (grown, last) = accumulate(std::str::from_utf8(&out).unwrap());
        prop_assert_eq!(&grown, &expected["output"]);
        prop_assert_eq!(&last, &expected);
        prop_assert_eq!(json(stream.take_kept().unwrap().response()), expected);
    }

    #[test]
    fn an_answer_sent_back_is_the_answer_google_gave(
        parts in prop::collection::vec(part(), 1..8),
        bare in any::<bool>(),
    ) {
        let answer = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
        let answer = whole(&ask(), &meta(), &answer);
        let mut items = vec![json!({"role": "user", "content": "go"})];
        for item in answer["output"].as_array().unwrap() {
            let mut item = item.clone();
            if bare && item["type"] == "function_call" {
                // A client that knows only the vendor's fields: the reasoning has the signature.
                item.as_object_mut().unwrap().remove("extra_content");
            }
            items.push(item);
        }
        let calls: Vec<Value> = answer["output"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["type"] == "function_call")
            .map(|item| json!({"type": "function_call_output", "call_id": item["call_id"], "output": "done"}))
            .collect();
        items.extend(calls.clone());
        items.push(json!({"role": "user", "content": "next"}));
        let call = send(&json!({"model": "gemini-2.5-flash", "input": items}));
        prop_assert_eq!(shown(&model_parts(&call.body)), shown(&parts));
        let sent = json(&call.body);
        let contents = sent["contents"].as_array().unwrap();
        let answered = contents
            .iter()
            .flat_map(|content| content["parts"].as_array().unwrap())
            .filter(|part| part.get("functionResponse").is_some())
            .count();
        prop_assert_eq!(answered, calls.len());
        for pair in contents.windows(2) {
            prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
        }

        // The same by reference to what was kept, whole or item by item.
        let said = items[..items.len() - calls.len() - 1].iter();
        let memory = Turn(said.map(|item| to_raw_value(item).unwrap()).collect());
        let new = &items[items.len() - calls.len() - 1..];
        let by_id = json!({"model": "gemini-2.5-flash", "previous_response_id": "resp_1", "input": new});
        let by_id = responses_request(by_id.to_string().as_bytes(), &memory).unwrap();
        prop_assert_eq!(&json(&by_id.body), &sent);
        let referred: Vec<Value> = items
            .iter()
            .map(|item| match item["id"].as_str() {
                Some(id) => json!({"type": "item_reference", "id": id}),
                None => item.clone(),
            })
            .collect();
        let referred = json!({"model": "gemini-2.5-flash", "input": referred});
        let referred = responses_request(referred.to_string().as_bytes(), &memory).unwrap();
        prop_assert_eq!(&json(&referred.body), &sent);
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = responses_request(&body, &());
        let _ = responses_response(&ask(), &meta(), &body);
        let _ = ResponsesStream::new(&ask(), &meta()).event(&body, &mut Vec::new());
    }

    #[test]
    fn no_item_makes_it_panic(
        kind in prop::sample::select(&[
            "message", "function_call", "function_call_output", "custom_tool_call", "reasoning",
            "custom_tool_call_output", "image_generation_call", "item_reference", "x",
        ][..]),
        field in prop::sample::select(&["content", "output", "arguments", "input", "id", "result", "tools"][..]),
        value in prop::sample::select(vec![
            json!(null), json!(""), json!("{"), json!([]), json!([[]]), json!({}), json!(-1.5e300),
            json!([{"type": "input_text"}]), json!([{"image_url": "data:,"}]),
        ]),
    ) {
        let item = json!({"type": kind, field: value, "role": "user", "name": "f"});
        let body = json!({"model": "gemini-3.8-flash", "input": [item]});
        let _ = responses_request(body.to_string().as_bytes(), &());
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
        let mut stream = ResponsesStream::new(&ask(), &meta());
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
        assert_eq!(stream.take_kept().is_none(), abort_first);
    }
}

#[test]
fn an_event_stays_on_one_line_however_the_request_was_written() {
    let body = json!({
        "model": "gemini-3.8-flash", "input": "go", "instructions": "a\n b",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    });
    let pretty = serde_json::to_vec_pretty(&body).unwrap();
    let call = responses_request(&pretty, &()).unwrap();
    let mut stream = ResponsesStream::new(&call, &meta());
    let mut out = Vec::new();
    stream.finish(&mut out);
    let (_, last) = accumulate(std::str::from_utf8(&out).unwrap());
    assert_eq!(last["tools"], body["tools"]);
    assert_eq!(last["instructions"], body["instructions"]);
}

#[test]
fn custom_tools_and_namespaces_come_back_as_they_were_declared() {
    let call = send(&json!({
        "model": "gemini-3.8-flash", "input": "go",
        "tools": [
            {"type": "custom", "name": "apply_patch"},
            {"type": "namespace", "name": "mcp__docs__", "tools": [{"type": "function", "name": "find it"}]},
        ],
    }));
    let names: Vec<String> = json(&call.body)["tools"][0]["functionDeclarations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|declared| declared["name"].as_str().unwrap().to_owned())
        .collect();
    let answer = json!({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": names[0], "args": {"input": "*** Begin\n\"x\" é"}}},
        {"functionCall": {"name": names[1], "args": {"q": 1}}},
        {"functionCall": {"name": names[0], "args": {"patch": "x"}}},
        {"functionCall": {"name": names[0]}},
    ]}, "finishReason": "STOP"}]});
    let expected = whole(&call, &meta(), &answer);
    let output = &expected["output"];
    assert_eq!(
        [&output[0]["type"], &output[0]["name"], &output[0]["input"]],
        ["custom_tool_call", "apply_patch", "*** Begin\n\"x\" é"]
    );
    assert_eq!(
        [
            &output[1]["namespace"],
            &output[1]["name"],
            &output[1]["arguments"]
        ],
        ["mcp__docs__", "find it", "{\"q\":1}"]
    );
    assert_eq!(output[2]["input"], "{\"patch\":\"x\"}", "nothing is lost");
    assert_eq!(output[3]["input"], "{}");
    let mut stream = ResponsesStream::new(&call, &meta());
    let mut out = Vec::new();
    stream
        .event(answer.to_string().as_bytes(), &mut out)
        .unwrap();
    stream.finish(&mut out);
    let (grown, last) = accumulate(std::str::from_utf8(&out).unwrap());
    assert_eq!(&grown, output);
    assert_eq!(last, expected);

    let mut input = vec![json!({"role": "user", "content": "go"})];
    input.extend(output.as_array().unwrap().clone());
    let back = send(&json!({"model": "gemini-2.5-flash", "input": input}));
    let sent = model_parts(&back.body);
    assert_eq!(
        sent[0]["functionCall"]["args"],
        json!({"input": "*** Begin\n\"x\" é"})
    );
    assert_eq!(sent[1]["functionCall"]["name"], json!(names[1]));
}

/// The events of an answer in the background, up to its end.
fn in_background(call: &ResponsesCall, parts: &[Value]) -> (Recorded, Vec<u8>, Value) {
    let recorded = Recorded::queued(call, &meta());
    let mut stream = ResponsesStream::new(call, &meta());
    let mut out = Vec::new();
    for part in parts {
        let event = json!({"candidates": [{"content": {"parts": [part]}}]});
        stream
            .event(event.to_string().as_bytes(), &mut out)
            .unwrap();
    }
    let end = json!({"candidates": [{"finishReason": "STOP"}]});
    stream.event(end.to_string().as_bytes(), &mut out).unwrap();
    stream.finish(&mut out);
    let kept = json(stream.take_kept().unwrap().response());
    (recorded, out, kept)
}

fn all_of(recorded: &Recorded) -> String {
    String::from_utf8(recorded.from(0).concat()).unwrap()
}

proptest! {
    #[test]
    fn an_answer_in_the_background_is_told_at_every_time(
        parts in prop::collection::vec(part(), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let call = send(&json!({"model": "gemini-3.8-flash", "input": "go", "background": true}));
        let (mut recorded, out, kept) = in_background(&call, &parts);
        let queued = json(&recorded.now());
        prop_assert_eq!(&queued["status"], "queued");
        fits(Vendor::OpenAi, "Response", &queued);
        let cut = cut.index(out.len());
        recorded.push(&out[..cut]);
        let now = json(&recorded.now());
        fits(Vendor::OpenAi, "Response", &now);
        let mut given_up = Recorded::queued(&call, &meta());
        given_up.push(&out[..cut]);
        let cancelled = json(&given_up.end(Ended::Cancelled));
        let ends = ["cancelled", "completed"];
        prop_assert!(ends.contains(&cancelled["status"].as_str().unwrap()), "{}", cancelled);
        fits(Vendor::OpenAi, "Response", &cancelled);
        prop_assert_eq!(json(&given_up.now()), cancelled);

        recorded.push(&out[cut..]);
        prop_assert_eq!(&json(&recorded.now()), &kept);
        prop_assert_eq!(recorded.from(recorded.len()).len(), 0);
        events_fit("ResponseStreamEvent", &all_of(&recorded));
        for (number, event) in all_of(&recorded).split_terminator("\n\n").enumerate() {
            let (_, data) = event.split_once("\ndata: ").unwrap();
            prop_assert_eq!(&json(data.as_bytes())["sequence_number"], number);
        }
        // One that has its end keeps it.
        prop_assert_eq!(&json(&recorded.end(Ended::Failed("late"))), &kept);
    }
}

#[test]
fn an_answer_that_cannot_go_on_ends_with_an_event() {
    let call = send(&json!({"model": "gemini-3.8-flash", "input": "go", "background": true}));
    let mut recorded = Recorded::queued(&call, &meta());
    recorded.push(b"event: response.in_pro");
    let failed = json(&recorded.end(Ended::Failed("No more.")));
    assert_eq!(failed["status"], "failed");
    assert_eq!(
        failed["error"],
        json!({"code": "server_error", "message": "No more."})
    );
    fits(Vendor::OpenAi, "Response", &failed);
    let events = all_of(&recorded);
    events_fit("ResponseStreamEvent", &events);
    assert!(
        events.contains("event: response.failed\ndata: "),
        "{events}"
    );
    assert_eq!(recorded.len(), 3);
    // What the next start finds of one that was under way.
    let broken_off = json(call.broken_off(&meta()).response());
    assert_eq!(broken_off["status"], "failed");
    fits(Vendor::OpenAi, "Response", &broken_off);
}
