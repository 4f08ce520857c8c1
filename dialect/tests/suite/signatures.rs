//! Signatures come back to Google whatever a client loses of an answer.

use std::collections::HashMap;

use crate::common::{json, meta};
use dialect::anthropic_to_gemini::{messages_request_with, messages_response};
use dialect::openai_to_gemini::responses::{responses_request_with, responses_response};
use dialect::openai_to_gemini::{chat_request_with, chat_response};
use dialect::style::Style;
use dialect::{IdsOf, ModelMap, Reading, ResponseMeta, Signatures, SignedCalls};
use serde_json::{Value, json};

/// Two steps' worth: the first call is signed, as Google has it; the third has no id.
fn answer() -> Value {
    json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {"parts": [
        {"text": "I look.", "thought": true},
        {"functionCall": {"id": "fc1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "Zmly+/8="},
        {"functionCall": {"id": "fc2", "name": "f", "args": {"a": 2}}},
        {"functionCall": {"name": "f", "args": {"a": 3}}, "thoughtSignature": "dGhpcmQ="},
    ]}}]})
}

#[derive(Default)]
struct Known(HashMap<String, String>);

impl Signatures for Known {
    fn of_call(&self, id: &str) -> Option<String> {
        self.0.get(id).cloned()
    }
}

impl Known {
    fn of(ids: IdsOf, answer_id: &str) -> Self {
        let mut known = Self::default();
        SignedCalls::new(ids, answer_id).read(answer().to_string().as_bytes(), |id, signature| {
            known.0.insert(id, signature.to_owned());
        });
        assert_eq!(known.0.len(), 2);
        known
    }
}

fn in_id() -> ResponseMeta {
    let style = Style {
        signed_ids: true,
        ..Style::default()
    };
    ResponseMeta { style, ..meta() }
}

/// A protocol: asks with these earlier turns, and makes earlier turns of an answer that keep
/// nothing but the calls and their ids.
struct Protocol {
    ids: IdsOf,
    ask: fn(Vec<Value>, &dyn Signatures) -> Vec<u8>,
    answer: fn(&ResponseMeta) -> Vec<Value>,
}

const MODEL: &str = "gemini-3.8-flash";

fn reading<'a>(models: &'a ModelMap, signatures: &'a dyn Signatures) -> Reading<'a> {
    Reading { models, signatures }
}

const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        ids: IdsOf::Chat,
        ask: |mut turns, known| {
            turns.insert(0, json!({"role": "user", "content": "go"}));
            let body = json!({"model": MODEL, "messages": turns}).to_string();
            let models = ModelMap::default();
            chat_request_with(body.as_bytes(), &reading(&models, known))
                .unwrap()
                .body
        },
        answer: |meta| {
            let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "go"}]});
            let models = ModelMap::default();
            let call =
                chat_request_with(body.to_string().as_bytes(), &reading(&models, &())).unwrap();
            let whole = chat_response(&call, meta, answer().to_string().as_bytes()).unwrap();
            let calls = json(&whole)["choices"][0]["message"]["tool_calls"].clone();
            let kept = |call: &Value| json!({"id": call["id"], "type": "function", "function": call["function"]});
            let kept: Vec<Value> = calls.as_array().unwrap().iter().map(kept).collect();
            let results = kept
                .iter()
                .map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
            let mut turns = vec![json!({"role": "assistant", "tool_calls": kept.clone()})];
            turns.extend(results);
            turns
        },
    },
    Protocol {
        ids: IdsOf::Messages,
        ask: |mut turns, known| {
            turns.insert(0, json!({"role": "user", "content": "go"}));
            let body = json!({"model": MODEL, "max_tokens": 9, "messages": turns}).to_string();
            let models = ModelMap::default();
            messages_request_with(body.as_bytes(), &reading(&models, known))
                .unwrap()
                .body
        },
        answer: |meta| {
            let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "go"}]});
            let models = ModelMap::default();
            let call =
                messages_request_with(body.to_string().as_bytes(), &reading(&models, &())).unwrap();
            let whole = messages_response(&call, meta, answer().to_string().as_bytes()).unwrap();
            let content = json(&whole)["content"].clone();
            let calls = content.as_array().unwrap().iter();
            let calls: Vec<Value> = calls
                .filter(|block| block["type"] == "tool_use")
                .cloned()
                .collect();
            let result = |call: &Value| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"});
            let results: Vec<Value> = calls.iter().map(result).collect();
            vec![
                json!({"role": "assistant", "content": calls}),
                json!({"role": "user", "content": results}),
            ]
        },
    },
    Protocol {
        ids: IdsOf::Responses,
        ask: |mut turns, known| {
            turns.insert(0, json!({"role": "user", "content": "go"}));
            let body = json!({"model": MODEL, "input": turns}).to_string();
            let models = ModelMap::default();
            responses_request_with(body.as_bytes(), &(), &reading(&models, known))
                .unwrap()
                .body
        },
        answer: |meta| {
            let body = json!({"model": MODEL, "input": "go"}).to_string();
            let models = ModelMap::default();
            let call =
                responses_request_with(body.as_bytes(), &(), &reading(&models, &())).unwrap();
            let (whole, _) =
                responses_response(&call, meta, answer().to_string().as_bytes()).unwrap();
            let output = json(&whole)["output"].clone();
            let calls = output.as_array().unwrap().iter();
            let calls: Vec<&Value> = calls
                .filter(|item| item["type"] == "function_call")
                .collect();
            let kept = calls.iter().map(|call| {
                json!({
                    "type": "function_call", "call_id": call["call_id"], "name": "f",
                    "arguments": call["arguments"],
                })
            });
            let results = calls.iter().map(|call| {
                json!({
                    "type": "function_call_output", "call_id": call["call_id"], "output": "done",
                })
            });
            kept.chain(results).collect()
        },
    },
];

/// The calls' signatures, and whether each call has its result under the same id.
fn sent(body: &[u8]) -> Vec<Option<String>> {
    let sent = json(body);
    let parts = |role: &str| -> Vec<Value> {
        let contents = sent["contents"].as_array().unwrap().iter();
        let contents = contents.filter(|content| content["role"] == role);
        contents
            .flat_map(|content| content["parts"].as_array().unwrap().clone())
            .collect()
    };
    let calls = parts("model");
    let mut results = parts("user");
    results.retain(|part| part.get("functionResponse").is_some());
    let id = |part: &Value, kind: &str| part[kind]["id"].as_str().unwrap().to_owned();
    let called: Vec<String> = calls.iter().map(|c| id(c, "functionCall")).collect();
    let answered: Vec<String> = results.iter().map(|r| id(r, "functionResponse")).collect();
    assert_eq!(called, answered, "{sent:#}");
    assert_eq!(
        called[..2],
        ["fc1", "fc2"],
        "Google's ids are Google's again"
    );
    calls
        .iter()
        .map(|call| call["thoughtSignature"].as_str().map(str::to_owned))
        .collect()
}

fn signatures() -> Vec<Option<String>> {
    [Some("Zmly+/8="), None, Some("dGhpcmQ=")]
        .map(|signature| signature.map(str::to_owned))
        .to_vec()
}

#[test]
fn ids_alone_bring_signatures_back() {
    for Protocol { ask, answer, .. } in PROTOCOLS {
        assert_eq!(sent(&ask(answer(&in_id()), &())), signatures());
    }
}

#[test]
fn memory_alone_brings_signatures_back() {
    for Protocol { ids, ask, answer } in PROTOCOLS {
        let known = Known::of(ids, &meta().id);
        assert_eq!(sent(&ask(answer(&meta()), &known)), signatures());
    }
}

#[test]
fn only_the_first_call_of_a_foreign_step_gets_the_sentinel() {
    for Protocol { ask, answer, .. } in PROTOCOLS {
        let sentinel = dialect::gemini::FOREIGN_SIGNATURE.to_owned();
        let sent = sent(&ask(answer(&meta()), &()));
        assert_eq!(sent, [Some(sentinel), None, None]);
    }
}
