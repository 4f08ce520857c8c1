//! Signatures come back to Google whatever a client loses of an answer.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::common::{json, meta, part, style};
use dialect::anthropic_to_gemini::{messages_request_with, messages_response};
use dialect::openai_to_gemini::responses::{responses_request_with, responses_response};
use dialect::openai_to_gemini::{chat_request_with, chat_response};
use dialect::style::{Citations, Style, Thoughts};
use dialect::{IdsOf, ModelMap, Reading, ResponseMeta, Signatures, SignedParts};
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
    fn named(&self, id: &str) -> Option<String> {
        self.0.get(id).cloned()
    }
}

impl Known {
    /// What was remembered of the answer.
    fn of(ids: IdsOf, meta: &ResponseMeta, answer: &Value) -> Self {
        let mut known = Self::default();
        let mut keep = |name: String, signature: &str| {
            known.0.insert(name, signature.to_owned());
        };
        let mut parts = SignedParts::new(ids, meta, MODEL);
        parts.read(answer.to_string().as_bytes(), &mut keep);
        parts.finish(&mut keep);
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
        let known = Known::of(ids, &meta(), &self::answer());
        assert_eq!(known.0.len(), 2);
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

// --- texts, images, and Google's own tools ---

/// One turn of each protocol: what a client keeps of Google's answer and sends back, and what
/// Google then gets of the model's turn.
fn sent_back(
    protocol: IdsOf,
    answer: &Value,
    meta: &ResponseMeta,
    known: &dyn Signatures,
    keep: fn(Value) -> Value,
) -> Vec<Value> {
    let models = ModelMap::default();
    let reading = reading(&models, known);
    let answer = answer.to_string();
    let go = json!({"role": "user", "content": "go"});
    let body = match protocol {
        IdsOf::Chat => {
            let body = json!({"model": MODEL, "messages": [go]}).to_string();
            let call = chat_request_with(body.as_bytes(), &reading).unwrap();
            let whole = json(&chat_response(&call, meta, answer.as_bytes()).unwrap());
            let message = keep(whole["choices"][0]["message"].clone());
            let mut messages = vec![go, message.clone()];
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"}));
            }
            messages.push(json!({"role": "user", "content": "on"}));
            let body = json!({"model": MODEL, "messages": messages}).to_string();
            chat_request_with(body.as_bytes(), &reading).unwrap().body
        }
        IdsOf::Responses => {
            let body = json!({"model": MODEL, "input": [go]}).to_string();
            let call = responses_request_with(body.as_bytes(), &(), &reading).unwrap();
            let (whole, _) = responses_response(&call, meta, answer.as_bytes()).unwrap();
            let output = json(&whole)["output"].as_array().unwrap().clone();
            let mut input = vec![go];
            for item in output {
                let item = keep(item);
                let result = (item["type"] == "function_call").then(|| json!({"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}));
                input.push(item);
                input.extend(result);
            }
            input.push(json!({"role": "user", "content": "on"}));
            let body = json!({"model": MODEL, "input": input}).to_string();
            responses_request_with(body.as_bytes(), &(), &reading)
                .unwrap()
                .body
        }
        IdsOf::Messages => {
            let body = json!({"model": MODEL, "max_tokens": 9, "messages": [go]}).to_string();
            let call = messages_request_with(body.as_bytes(), &reading).unwrap();
            let whole = messages_response(&call, meta, answer.as_bytes()).unwrap();
            let content = keep(json(&whole)["content"].clone());
            let results = content.as_array().unwrap().iter();
            let mut results: Vec<Value> = results
                .filter(|block| block["type"] == "tool_use")
                .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}))
                .collect();
            results.push(json!({"type": "text", "text": "on"}));
            let messages = [
                go,
                json!({"role": "assistant", "content": content}),
                json!({"role": "user", "content": results}),
            ];
            let body = json!({"model": MODEL, "max_tokens": 9, "messages": messages}).to_string();
            messages_request_with(body.as_bytes(), &reading)
                .unwrap()
                .body
        }
    };
    let sent = json(&body);
    let contents = sent["contents"].as_array().unwrap().iter();
    contents
        .filter(|content| content["role"] == "model")
        .flat_map(|content| content["parts"].as_array().unwrap().clone())
        .collect()
}

/// What a client leaves that knows the vendor's fields only, and trims.
fn forgetful(mut kept: Value) -> Value {
    match &mut kept {
        Value::Array(all) => all.iter_mut().for_each(|one| *one = forgetful(one.take())),
        Value::Object(fields) => {
            fields.remove("extra_content");
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name == "text" || name == "content" => {
                        *text = format!("{}\n", text.trim());
                    }
                    value => *value = forgetful(value.take()),
                }
            }
        }
        _ => {}
    }
    kept
}

fn faithful(kept: Value) -> Value {
    kept
}

const PROTOCOL: [IdsOf; 3] = [IdsOf::Chat, IdsOf::Responses, IdsOf::Messages];

/// Texts and media, each with its signature.
fn signed(parts: &[Value]) -> Vec<(String, Option<&str>)> {
    let parts = parts.iter().filter(|part| part["thought"] != true);
    parts
        .filter_map(|part| {
            let text = part["text"].as_str().map(|text| text.trim().to_owned());
            let said = text.or_else(|| Some(part["inlineData"]["data"].as_str()?.to_owned()))?;
            Some((said, part["thoughtSignature"].as_str()))
        })
        .collect()
}

fn picture() -> Value {
    json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [
        {"text": "Thinking.", "thought": true},
        {"text": "Here is the picture that you have asked for, as far as I understood"},
        {"text": " it: "},
        {"text": "", "thoughtSignature": "dGV4dA=="},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}, "thoughtSignature": "aW1hZ2U="},
        {"text": "Well, what do you think of it? Shall it be lighter, darker, or larger?", "thoughtSignature": "bGFzdA=="},
    ]}}]})
}

#[test]
fn texts_and_images_get_their_signatures_from_memory() {
    for protocol in PROTOCOL {
        let known = Known::of(protocol, &meta(), &picture());
        let sent = sent_back(protocol, &picture(), &meta(), &known, forgetful);
        let expected = [
            (
                "Here is the picture that you have asked for, as far as I understood it:"
                    .to_owned(),
                Some("dGV4dA=="),
            ),
            ("iVBORw0KGgo=".to_owned(), Some("aW1hZ2U=")),
            (
                "Well, what do you think of it? Shall it be lighter, darker, or larger?".to_owned(),
                Some("bGFzdA=="),
            ),
        ];
        assert_eq!(signed(&sent), expected, "{protocol:?}");
        // Another token's client, say.
        let sent = sent_back(protocol, &picture(), &meta(), &(), forgetful);
        assert!(
            signed(&sent)
                .iter()
                .all(|(_, signature)| signature.is_none())
        );
    }
}

#[test]
fn texts_and_images_keep_their_signatures_where_the_protocol_has_a_place() {
    let style = Style {
        media: dialect::style::Media::Field,
        ..Style::default()
    };
    let meta = ResponseMeta { style, ..meta() };
    let sent = sent_back(IdsOf::Chat, &picture(), &meta, &(), faithful);
    let expected = [
        ("Here is the picture that you have asked for, as far as I understood it: Well, what do you think of it? Shall it be lighter, darker, or larger?".to_owned(), Some("bGFzdA==")),
        ("iVBORw0KGgo=".to_owned(), Some("aW1hZ2U=")),
    ];
    assert_eq!(signed(&sent), expected);
    let sent = sent_back(IdsOf::Responses, &picture(), &meta, &(), faithful);
    let expected = [
        (
            "Here is the picture that you have asked for, as far as I understood it:".to_owned(),
            Some("dGV4dA=="),
        ),
        ("iVBORw0KGgo=".to_owned(), Some("aW1hZ2U=")),
        (
            "Well, what do you think of it? Shall it be lighter, darker, or larger?".to_owned(),
            Some("bGFzdA=="),
        ),
    ];
    assert_eq!(signed(&sent), expected);
}

#[test]
fn what_stands_beside_the_models_words_does_not_come_back_as_them() {
    let own = "It rains in Bern, and it will go on raining until the end of the week.";
    let answer = json!({"candidates": [{
        "finishReason": "STOP",
        "content": {"parts": [{"text": "Let me see.", "thought": true}, {"text": own, "thoughtSignature": "dGV4dA=="}]},
        "groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}]},
    }]});
    let style = Style {
        thoughts: Thoughts::Inline,
        citations: Citations::Text,
        ..Style::default()
    };
    let meta = ResponseMeta { style, ..meta() };
    for protocol in PROTOCOL {
        let known = Known::of(protocol, &meta, &answer);
        let sent = sent_back(protocol, &answer, &meta, &known, forgetful);
        let expected = [(own.to_owned(), Some("dGV4dA=="))];
        assert_eq!(signed(&sent), expected, "{protocol:?}");
    }
}

#[test]
fn a_short_text_is_not_taken_for_another_conversations() {
    let answer = json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [
        {"text": "OK.", "thoughtSignature": "dGV4dA=="},
    ]}}]});
    for protocol in PROTOCOL {
        let known = Known::of(protocol, &meta(), &answer);
        let sent = sent_back(protocol, &answer, &meta(), &known, forgetful);
        assert_eq!(signed(&sent), [("OK.".to_owned(), None)], "{protocol:?}");
    }
}

#[test]
fn what_googles_own_tools_did_comes_back_before_what_came_of_it() {
    let search = json!({"toolCall": {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}}, "thoughtSignature": "Y2FsbA=="});
    let found = json!({"toolResponse": {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "response": {"n": 1.10}}, "thoughtSignature": "cmVz"});
    let call =
        json!({"functionCall": {"id": "fc1", "name": "f", "args": {}}, "thoughtSignature": "ZnVu"});
    let text = json!({"text": "Done, and all of it was found where it was expected to be found, I think."});
    let answer = |parts: &[&Value]| json!({"candidates": [{"finishReason": "STOP", "content": {"parts": parts}}]});
    for protocol in PROTOCOL {
        for parts in [
            vec![&search, &found, &call],
            vec![&search, &found, &text],
            vec![&text, &search, &found, &call],
        ] {
            let answer = answer(&parts);
            let known = Known::of(protocol, &meta(), &answer);
            let sent = sent_back(protocol, &answer, &meta(), &known, forgetful);
            let mut sent: Vec<Value> = sent
                .into_iter()
                .map(|mut part| {
                    if let Some(text) = part["text"].as_str() {
                        part["text"] = json!(text.trim());
                    }
                    part
                })
                .collect();
            sent.retain(|part| part["text"] != "");
            let expected: Vec<Value> = parts.into_iter().cloned().collect();
            assert_eq!(sent, expected, "{protocol:?}");
        }
    }
}

#[test]
fn why_an_answer_was_cut_is_not_sent_back_as_the_models_words() {
    let cut = json!({"candidates": [{"finishReason": "SAFETY", "finishMessage": "No."}]});
    let refused = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    for protocol in PROTOCOL {
        for answer in [&cut, &refused] {
            let sent = sent_back(protocol, answer, &meta(), &(), faithful);
            assert_eq!(sent, Vec::<Value>::new(), "{protocol:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_remembered_of_a_stream_is_what_is_remembered_of_the_whole(
        parts in prop::collection::vec((part(), prop::option::of("[A-Za-z0-9]{8}")), 1..8),
        style in style(),
    ) {
        let parts: Vec<Value> = parts
            .into_iter()
            .map(|(mut part, signature)| {
                if let (Some(signature), None) = (signature, part.get("thought")) {
                    part["thoughtSignature"] = json!(signature);
                }
                part
            })
            .collect();
        let answer = |parts: &[Value]| json!({"candidates": [{"content": {"parts": parts}}]});
        let meta = ResponseMeta { style, ..meta() };
        for protocol in PROTOCOL {
            let whole = Known::of(protocol, &meta, &answer(&parts));
            let mut streamed = Known::default();
            let mut keep = |name: String, signature: &str| {
                streamed.0.insert(name, signature.to_owned());
            };
            let mut signed = SignedParts::new(protocol, &meta, MODEL);
            for part in parts.chunks(1) {
                signed.read(answer(part).to_string().as_bytes(), &mut keep);
            }
            signed.finish(&mut keep);
            prop_assert_eq!(&streamed.0, &whole.0);
            // And all of it is found again.
            let sent = sent_back(protocol, &answer(&parts), &meta, &whole, forgetful);
            let found: Vec<&str> = sent.iter().filter_map(|part| part["thoughtSignature"].as_str()).collect();
            for signature in whole.0.values() {
                prop_assert!(found.contains(&&**signature), "{} is lost: {:?}", signature, sent);
            }
        }
    }
}
