//! What other vendors take and Google refuses: numbers, lists and combinations beyond what a model
//! has. Each is asked in every protocol that has it.

use dialect::ModelMap;
use dialect::anthropic_to_gemini::messages_request;
use dialect::openai_to_gemini::chat_request;
use dialect::openai_to_gemini::responses::responses_request;
use serde_json::{Map, Value, json};

use crate::common::json;

/// What Google is asked, and what the client is told of that.
pub struct Asked {
    pub body: Value,
    pub notes: Vec<String>,
}

impl Asked {
    fn config(&self, field: &str) -> &Value {
        &self.body["generationConfig"][field]
    }
}

fn with(mut body: Value, more: Value) -> Vec<u8> {
    let more: Map<String, Value> = serde_json::from_value(more).unwrap();
    body.as_object_mut().unwrap().extend(more);
    body.to_string().into_bytes()
}

pub fn chat(model: &str, more: Value) -> Asked {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = with(json!({"model": model, "messages": messages}), more);
    let call = chat_request(&body).unwrap();
    Asked {
        body: json(&call.body),
        notes: call.notes,
    }
}

fn responses(model: &str, more: Value) -> Asked {
    let body = with(json!({"model": model, "input": "hi"}), more);
    let call = responses_request(&body, &()).unwrap();
    Asked {
        body: json(&call.body),
        notes: call.notes,
    }
}

fn messages(model: &str, more: Value) -> Asked {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": model, "max_tokens": 100, "messages": messages});
    let call = messages_request(&with(body, more), &ModelMap::default()).unwrap();
    Asked {
        body: json(&call.body),
        notes: call.notes,
    }
}

#[test]
fn a_format_beside_googles_own_tools_goes_into_the_instructions_of_older_models() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let chat_format =
        json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let asked = |model: &str| {
        let search = format!("{model}-search");
        [
            chat(&search, json!({"response_format": {"type": "json_object"}})),
            chat(
                model,
                json!({"response_format": chat_format, "web_search_options": {}}),
            ),
            chat(
                model,
                json!({
                    "response_format": chat_format,
                    "google": {"tools": [{"google_maps": {}}]},
                }),
            ),
            responses(
                model,
                json!({
                    "text": {"format": {"type": "json_schema", "name": "x", "schema": schema}},
                    "tools": [{"type": "url_context"}],
                }),
            ),
            messages(
                model,
                json!({
                    "output_config": {"format": {"type": "json_schema", "schema": schema}},
                    "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
                }),
            ),
        ]
    };
    for asked in asked("gemini-2.5-flash") {
        let body = &asked.body;
        assert_eq!(asked.config("responseMimeType"), &Value::Null, "{body}");
        assert_eq!(asked.config("responseJsonSchema"), &Value::Null, "{body}");
        let told = body["systemInstruction"]["parts"][0]["text"].as_str();
        assert!(told.is_some_and(|told| told.starts_with("Your answer must be nothing but JSON")));
        assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
        assert_eq!(asked.notes.len(), 1, "{:?}", asked.notes);
        assert!(asked.notes[0].contains("together with Google's own tools"));
    }
    for asked in asked("gemini-3.8-flash") {
        assert_eq!(asked.config("responseMimeType"), "application/json");
        assert!(asked.notes.is_empty() && asked.body["systemInstruction"].is_null());
    }
}

#[test]
fn of_many_stop_sequences_the_first_five_different_ones_are_kept() {
    // As Continue sends them for its completions.
    let many = json!(["a", "b", "a", "", "c", "d", "e", "f", "g"]);
    for asked in [
        chat("gemini-3.8-flash", json!({"stop": many})),
        messages("gemini-3.8-flash", json!({"stop_sequences": many})),
    ] {
        let kept = json!(["a", "b", "c", "d", "e"]);
        assert_eq!(asked.config("stopSequences"), &kept);
        assert_eq!(
            asked.notes,
            ["Gemini takes 5 stop sequences; of 7 the first 5 were kept"]
        );
    }
    let five = json!(["a", "b", "c", "d", "e", "a"]);
    let asked = chat("gemini-3.8-flash", json!({"stop": five}));
    assert!(asked.notes.is_empty());
}

#[test]
fn a_limit_beyond_what_the_model_gives_is_what_it_gives() {
    for (model, most) in [
        ("gemini-3.8-flash", 65_536),
        ("gemini-2.5-pro", 65_536),
        ("gemini-2.5-flash-image", 32_768),
        ("gemini-3-pro-image", 32_768),
        ("gemini-2.0-flash", 8_192),
        ("gemma-3-27b-it", 8_192),
        ("gemini-9-unheard-of", 65_536),
    ] {
        for asked in [
            chat(model, json!({"max_tokens": 128_000})),
            chat(model, json!({"max_completion_tokens": 128_000})),
            responses(model, json!({"max_output_tokens": 128_000})),
            messages(model, json!({"max_tokens": 128_000})),
        ] {
            assert_eq!(asked.config("maxOutputTokens"), most, "{model}");
        }
        let asked = chat(model, json!({"max_tokens": 100}));
        assert_eq!(asked.config("maxOutputTokens"), 100, "{model}");
    }
}

#[test]
fn thinking_in_googles_words_is_clamped_too() {
    for (model, given, taken) in [
        // Beyond the range, and what the model does not know.
        (
            "gemini-2.5-flash",
            json!({"thinking_budget": 32_768}),
            json!({"thinkingBudget": 24_576}),
        ),
        (
            "gemini-2.5-pro",
            json!({"thinking_budget": 0}),
            json!({"thinkingBudget": 128}),
        ),
        (
            "gemini-2.5-flash-lite",
            json!({"thinking_budget": 100}),
            json!({"thinkingBudget": 512}),
        ),
        (
            "gemini-2.5-flash",
            json!({"thinking_level": "low"}),
            json!({"thinkingBudget": 1_024}),
        ),
        (
            "gemini-2.5-pro",
            json!({"thinking_level": "high", "thinking_budget": 2_048, "include_thoughts": true}),
            json!({"thinkingBudget": 2_048, "includeThoughts": true}),
        ),
        (
            "gemini-3.8-flash",
            json!({"thinking_level": "MINIMAL", "thinking_budget": 2_048}),
            json!({"thinkingLevel": "low"}),
        ),
        (
            "gemini-3.8-flash",
            json!({"thinking_budget": 30_000, "include_thoughts": true}),
            json!({"thinkingLevel": "high", "includeThoughts": true}),
        ),
        (
            "gemini-2.0-flash",
            json!({"thinking_budget": 1_024, "include_thoughts": true}),
            Value::Null,
        ),
        (
            "gemini-2.5-flash",
            json!({"thinking_budget": 0, "include_thoughts": true}),
            json!({"thinkingBudget": 0}),
        ),
        // What is left to the model, and what the model takes.
        (
            "gemini-2.5-pro",
            json!({"thinking_budget": -1}),
            json!({"thinkingBudget": -1}),
        ),
        (
            "gemini-3.8-flash",
            json!({"thinking_budget": -1}),
            Value::Null,
        ),
        (
            "gemini-3.8-flash",
            json!({"include_thoughts": false}),
            json!({"includeThoughts": false}),
        ),
        (
            "gemini-3-pro-image",
            json!({"include_thoughts": true}),
            json!({"includeThoughts": true}),
        ),
        // These take two of Google's levels, and no efforts.
        (
            "gemma-4-31b-it",
            json!({"thinking_level": "minimal", "include_thoughts": true}),
            json!({"thinkingLevel": "minimal", "includeThoughts": true}),
        ),
        (
            "gemini-3.1-flash-image-preview",
            json!({"thinking_level": "high"}),
            json!({"thinkingLevel": "high"}),
        ),
        (
            "gemini-9-unheard-of",
            json!({"thinking_level": "utmost"}),
            json!({"thinkingLevel": "utmost"}),
        ),
    ] {
        let google = json!({"thinking_config": given});
        for asked in [
            chat(model, json!({"google": google})),
            chat(model, json!({"extra_body": {"google": google}})),
            responses(model, json!({"google": google})),
        ] {
            assert_eq!(asked.config("thinkingConfig"), &taken, "{model} {given}");
        }
    }
}

#[test]
fn sampling_is_taken_to_googles_ranges() {
    let penalties = |given: f64| json!({"presence_penalty": given, "frequency_penalty": given});
    for (given, sent) in [
        (2.0, json!(1.99)),
        (-2.0, json!(-2.0)),
        (1.5, json!(1.5)),
        (0.0, Value::Null),
    ] {
        let asked = chat("gemini-3.8-flash", penalties(given));
        assert_eq!(asked.config("presencePenalty"), &sent);
        assert_eq!(asked.config("frequencyPenalty"), &sent);
    }
    for (given, sent) in [(0, Value::Null), (-1, Value::Null), (40, json!(40))] {
        for asked in [
            chat("gemini-3.8-flash", json!({"top_k": given})),
            messages("gemini-3.8-flash", json!({"top_k": given})),
        ] {
            assert_eq!(asked.config("topK"), &sent);
        }
    }
}
