//! What is written fits the vendors' published descriptions: our answers OpenAI's, our requests
//! Google's. The descriptions are in `tests/described/`, made by the script there.
//!
//! Anthropic's has no licence to keep a copy under: `e2e/sdk` holds our answers against the types
//! of its SDK, which are made from it.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use dialect::ModelMap;
use dialect::anthropic_to_gemini::messages_request;
use dialect::openai_to_gemini::responses::responses_request;
use dialect::openai_to_gemini::responses::{ResponsesStream, responses_response};
use dialect::openai_to_gemini::{ChatStream, chat_request, chat_response};
use dialect::sse::Events;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::common::{fixtures, json, meta};

/// Whose description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    OpenAi,
    Google,
}

fn described(vendor: Vendor) -> Value {
    match vendor {
        Vendor::OpenAi => json(include_bytes!("../described/openai.json")),
        Vendor::Google => json(include_bytes!("../described/google.json")),
    }
}

/// A schema's validator, compiled once for all tests.
fn validator(vendor: Vendor, schema: &'static str) -> &'static Validator {
    type Compiled = Mutex<HashMap<(Vendor, &'static str), &'static Validator>>;
    static COMPILED: LazyLock<Compiled> = LazyLock::new(Compiled::default);
    COMPILED
        .lock()
        .unwrap()
        .entry((vendor, schema))
        .or_insert_with(|| {
            let mut described = described(vendor);
            assert!(described["$defs"][schema].is_object(), "{schema}");
            described["$ref"] = json!(format!("#/$defs/{schema}"));
            Box::leak(Box::new(jsonschema::validator_for(&described).unwrap()))
        })
}

/// What of `value` is not as `vendor` describes it under this name.
fn wrong(vendor: Vendor, schema: &'static str, value: &Value) -> Vec<String> {
    let errors = validator(vendor, schema).iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .map(|text| text.chars().take(300).collect())
        .collect()
}

/// Asserts that `value` is what `vendor` describes under this name.
pub fn fits(vendor: Vendor, schema: &'static str, value: &Value) {
    let wrong = wrong(vendor, schema, value);
    assert!(wrong.is_empty(), "{schema}: {}", wrong.join("\n"));
}

/// The events of a stream, each fitting the description; of an error nothing is asked here.
pub fn events_fit(schema: &'static str, events: &str) {
    for event in events.split_terminator("\n\n") {
        let (_, data) = event.split_once("data: ").unwrap();
        if data == "[DONE]" {
            continue;
        }
        let event = json(data.as_bytes());
        if event.get("error").is_none() {
            fits(Vendor::OpenAi, kind_of(&event).unwrap_or(schema), &event);
        }
    }
}

/// The schema of an event that says its type: what does not fit it is told better than what fits
/// none of sixty.
fn kind_of(event: &Value) -> Option<&'static str> {
    static KINDS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let described = described(Vendor::OpenAi);
        let all = described["$defs"].as_object().unwrap().iter();
        all.filter_map(|(name, schema)| {
            let kind = &schema["properties"]["type"]["enum"][0];
            let kind = kind.as_str()?.to_owned();
            name.ends_with("Event").then(|| (kind, name.clone()))
        })
        .collect()
    });
    Some(KINDS.get(event["type"].as_str()?)?)
}

/// What a client's own JSON for Google is called in is the client's business.
const PASSED_ON: [&str; 2] = ["google_options", "google_options_nested"];

#[test]
fn requests() {
    let mut sent = Vec::new();
    for (name, body) in fixtures("openai/requests", "json") {
        sent.extend(chat_request(&body).map(|call| (name, call.body)));
    }
    for (name, body) in fixtures("openai_responses/requests", "json") {
        sent.extend(responses_request(&body, &()).map(|call| (name, call.body)));
    }
    for (name, body) in fixtures("anthropic/requests", "json") {
        let models = ModelMap::default();
        sent.extend(messages_request(&body, &models).map(|call| (name, call.body)));
    }
    assert!(sent.len() > 150, "{} requests", sent.len());
    let wrong: Vec<String> = sent
        .iter()
        .filter(|(name, _)| !PASSED_ON.contains(&&**name))
        .flat_map(|(name, body)| {
            let wrong = wrong(Vendor::Google, "GenerateContentRequest", &json(body));
            wrong.into_iter().map(move |what| format!("{name}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn answers() {
    let chat = chat_request(br#"{"model":"gemini-3.8-flash","messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true},"tools":[{"type":"web_search"}]}"#).unwrap();
    let responses = responses_request(br#"{"model":"gemini-3.8-flash","input":"hi","instructions":"Be brief.","tools":[{"type":"web_search"},{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}],"reasoning":{"effort":"low","summary":"auto"}}"#, &()).unwrap();
    let mut answered = 0;
    for (name, body) in fixtures("answers", "json") {
        println!("{name}");
        if let Ok(answer) = chat_response(&chat, &meta(), &body) {
            fits(
                Vendor::OpenAi,
                "CreateChatCompletionResponse",
                &json(&answer),
            );
            let (answer, _) = responses_response(&responses, &meta(), &body).unwrap();
            fits(Vendor::OpenAi, "Response", &json(&answer));
            answered += 1;
        }
    }
    assert!(answered > 20);
    for (name, body) in fixtures("answers", "sse") {
        println!("{name}");
        let mut events = Events::new(1 << 20);
        events.push(body.into());
        let (mut chunks, mut heard) = (Vec::new(), Vec::new());
        let mut chat = ChatStream::new(&chat, &meta());
        let mut responses = ResponsesStream::new(&responses, &meta());
        for event in &mut events {
            let event = event.unwrap();
            if chat.event(&event, &mut chunks).is_err() {
                break;
            }
            responses.event(&event, &mut heard).unwrap();
        }
        chat.finish(&mut chunks);
        responses.finish(&mut heard);
        events_fit(
            "CreateChatCompletionStreamResponse",
            std::str::from_utf8(&chunks).unwrap(),
        );
        events_fit("ResponseStreamEvent", std::str::from_utf8(&heard).unwrap());
    }
}
