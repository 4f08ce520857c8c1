//! The steps of an interaction: from what is put in to contents, from a model's answer to
//! steps, and from those to the events of a stream.
//!
//! The shapes are those of googleapis/python-genai 3.4 (`_gaos/types/interactions`) and of the
//! streams that <https://ai.google.dev/gemini-api/docs/streaming> shows.

use serde_json::{Map, Value, json};

use super::answer::{Answer, hash, thought_signature};
use super::error::GoogleError;
use super::proto::{get, list, text};

/// What Google answers to the shapes of before May 2026
/// (allenhutchison/gemini-cli-deep-research#73).
const LEGACY: &str = "The legacy Interactions API schema is no longer supported. Please upgrade your client SDK to \
                      Python >= 2.0.0 or JavaScript/TypeScript >= 2.0.0 to adopt the new 'steps' schema. For details \
                      and migration examples, see: \
                      https://ai.google.dev/gemini-api/docs/interactions-breaking-changes-may-2026";

/// The input of an interaction as contents.
pub(super) fn contents(input: &Value) -> Result<Vec<Value>, GoogleError> {
    let items = match input {
        Value::String(words) => {
            return Ok(vec![
                json!({ "role": "user", "parts": [{ "text": words }] }),
            ]);
        }
        Value::Array(items) => items.as_slice(),
        Value::Object(_) => std::slice::from_ref(input),
        _ => &[],
    };
    if items.is_empty() {
        return Err(GoogleError::invalid("input: is required"));
    }
    if items.iter().any(|item| item.get("role").is_some()) {
        return Err(GoogleError::invalid(LEGACY));
    }
    let is_content = |item: &Value| CONTENTS.contains(&text(item, "type"));
    if items.iter().all(is_content) {
        let parts = items.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        return Ok(vec![json!({ "role": "user", "parts": parts })]);
    }
    let mut contents: Vec<Value> = Vec::new();
    for step in items {
        let (role, parts) = step_parts(step)?;
        match contents.last_mut() {
            // What one side does in several steps is one turn.
            Some(last) if text(last, "role") == role => {
                if let Some(Value::Array(all)) = last.get_mut("parts") {
                    all.extend(parts);
                }
            }
            _ if parts.is_empty() => {}
            _ => contents.push(json!({ "role": role, "parts": parts })),
        }
    }
    Ok(contents)
}

/// The types of a content.
const CONTENTS: [&str; 5] = ["text", "image", "audio", "document", "video"];

fn step_parts(step: &Value) -> Result<(&'static str, Vec<Value>), GoogleError> {
    let inner =
        || -> Result<Vec<Value>, GoogleError> { list(step, "content").iter().map(part).collect() };
    Ok(match text(step, "type") {
        "user_input" => ("user", inner()?),
        "model_output" => ("model", inner()?),
        "thought" => ("model", Vec::new()),
        "function_call" => {
            let args = get(step, "arguments").cloned().unwrap_or(json!({}));
            let call = json!({ "id": text(step, "id"), "name": text(step, "name"), "args": args });
            ("model", vec![json!({ "functionCall": call })])
        }
        "function_result" => {
            let result = match get(step, "result") {
                Some(Value::Object(result)) => Value::Object(result.clone()),
                other => json!({ "result": other }),
            };
            let name = text(step, "name");
            let response = json!({ "id": text(step, "call_id"), "name": name, "response": result });
            ("user", vec![json!({ "functionResponse": response })])
        }
        other => {
            return Err(GoogleError::invalid(format!(
                "input: unknown type {other:?} of a step"
            )));
        }
    })
}

fn part(content: &Value) -> Result<Value, GoogleError> {
    let kind = text(content, "type");
    let mime_type = text(content, "mime_type");
    match (kind, get(content, "uri"), get(content, "data")) {
        ("text", ..) => Ok(json!({ "text": text(content, "text") })),
        (kind, Some(uri), None) if CONTENTS.contains(&kind) => {
            Ok(json!({ "fileData": { "fileUri": uri, "mimeType": mime_type } }))
        }
        (kind, None, Some(data)) if CONTENTS.contains(&kind) => {
            Ok(json!({ "inlineData": { "data": data, "mimeType": mime_type } }))
        }
        (kind, ..) if CONTENTS.contains(&kind) => Err(GoogleError::invalid(format!(
            "input: a content of type {kind} has either data or a uri"
        ))),
        _ => Err(GoogleError::invalid(format!(
            "input: unknown type {kind:?} of a content"
        ))),
    }
}

/// The request to generate that an interaction comes to, without its contents.
pub(super) fn request(body: &Value) -> Map<String, Value> {
    let mut request = Map::new();
    let mut set = |name: &str, value: Value| request.insert(name.to_owned(), value);
    if let Some(said) = get(body, "system_instruction") {
        set("system_instruction", json!({ "parts": [{ "text": said }] }));
    }
    let tools = list(body, "tools").iter().map(|tool| {
        let kind = text(tool, "type");
        if kind != "function" {
            return json!({ kind: {} });
        }
        let parameters = get(tool, "parameters").cloned().unwrap_or(json!({}));
        json!({ "function_declarations": [{
            "name": text(tool, "name"),
            "parameters_json_schema": parameters,
        }] })
    });
    let tools: Vec<Value> = tools.collect();
    if !tools.is_empty() {
        set("tools", json!(tools));
    }
    let mut config = json!({});
    for name in ["max_output_tokens", "stop_sequences"] {
        if let Some(given) = get(body, "generation_config").and_then(|config| get(config, name)) {
            config[name] = given.clone();
        }
    }
    let schema = list(body, "response_format")
        .iter()
        .find_map(|format| get(format, "schema"));
    if let Some(schema) = schema {
        config["response_mime_type"] = json!("application/json");
        config["response_json_schema"] = schema.clone();
    }
    set("generation_config", config);
    request
}

/// The steps of an answer. Summaries of thoughts are in them if somebody wants them.
pub(super) fn steps(answer: &Answer, summaries: bool) -> Vec<Value> {
    let mut steps = Vec::new();
    if !answer.thoughts.is_empty() {
        let thoughts = answer.thoughts.concat();
        let mut thought = json!({ "type": "thought", "signature": thought_signature(&thoughts) });
        if summaries {
            let summary = answer.thoughts.iter();
            let summary = summary.map(|said| json!({ "type": "text", "text": said }));
            thought["summary"] = summary.collect();
        }
        steps.push(thought);
    }
    let mut said: Vec<Value> = Vec::new();
    for (i, part) in answer.parts.iter().enumerate() {
        if let Some(words) = part.get("text") {
            said.push(json!({ "type": "text", "text": words }));
        } else if let Some(blob) = part.get("inlineData") {
            let mime_type = text(blob, "mimeType");
            let kind = mime_type.split('/').next().unwrap_or_default();
            said.push(json!({ "type": kind, "mime_type": mime_type, "data": blob["data"] }));
        } else if let Some(call) = part.get("functionCall") {
            steps.push(json!({
                "type": "function_call",
                "id": format!("{:08x}", hash((i, call.to_string())) & 0xffff_ffff),
                "name": call["name"],
                "arguments": call["args"],
            }));
        }
    }
    if !said.is_empty() {
        steps.push(json!({ "type": "model_output", "content": said }));
    }
    steps
}

/// The events that bring these steps: each begins, grows and ends.
pub(super) fn events(steps: &[Value]) -> Vec<Value> {
    let mut events = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let kind = text(step, "type");
        let mut begun = json!({ "type": kind });
        let mut deltas: Vec<Value> = Vec::new();
        match kind {
            "thought" => {
                let summary = list(step, "summary").iter();
                deltas.extend(
                    summary.map(|said| json!({ "content": said, "type": "thought_summary" })),
                );
                deltas.push(json!({ "signature": step["signature"], "type": "thought_signature" }));
            }
            "function_call" => {
                begun["id"] = step["id"].clone();
                begun["name"] = step["name"].clone();
                begun["arguments"] = json!({});
                let arguments = step["arguments"].to_string();
                deltas.push(json!({ "arguments": arguments, "type": "arguments_delta" }));
            }
            _ => {
                for content in list(step, "content") {
                    match text(content, "type") {
                        "text" => deltas.extend(
                            words(text(content, "text"))
                                .map(|said| json!({ "text": said, "type": "text" })),
                        ),
                        _ => deltas.push(content.clone()),
                    }
                }
            }
        }
        events.push(json!({ "index": index, "step": begun, "event_type": "step.start" }));
        events.extend(
            deltas
                .into_iter()
                .map(|delta| json!({ "index": index, "delta": delta, "event_type": "step.delta" })),
        );
        events.push(json!({ "index": index, "event_type": "step.stop" }));
    }
    events
}

/// A text in some pieces.
fn words(said: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = said.chars().collect();
    let size = chars.len().div_ceil(4).max(4);
    let pieces: Vec<String> = chars
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect();
    pieces.into_iter()
}
