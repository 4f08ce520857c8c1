//! What the vendors' clients do, as far as a conversation needs it: they ask with what was said
//! so far, put an answer together again, keep it, and run the functions that it calls.

use bytes::Bytes;
use dialect::anthropic_to_gemini::{
    MessagesCall, MessagesStream, messages_request, messages_response,
};
use dialect::gemini::Peek;
use dialect::openai_to_gemini::responses::{
    ResponsesCall, ResponsesStream, responses_request, responses_response,
};
use dialect::openai_to_gemini::{ChatCall, ChatStream, chat_request, chat_response};
use dialect::sse::Events;
use dialect::style::Style;
use dialect::{Invalid, Malformed, ModelMap, ResponseMeta, UpstreamFailure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::common::json;
use crate::{anthropic_roundtrip, responses_roundtrip};

/// A conversation in no protocol's words: what a user and the user's functions say, and what
/// Google answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What it shows.
    pub about: String,
    #[serde(default = "newest")]
    pub model: String,
    #[serde(default)]
    pub system: Option<String>,
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// `auto`, `none`, `required` or the name of a function.
    #[serde(default)]
    pub choice: Option<String>,
    /// Google's search is on.
    #[serde(default)]
    pub search: bool,
    /// JSON Schema of the answer.
    #[serde(default)]
    pub answer_schema: Option<Value>,
    pub turns: Vec<Turn>,
}

fn newest() -> String {
    "gemini-3.8-flash".to_owned()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema.
    #[serde(default)]
    pub parameters: Option<Value>,
}

/// What is said to the model, and the events of its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What the functions gave that the last answer called.
    #[serde(default)]
    pub results: Vec<Outcome>,
    #[serde(default)]
    pub user: Vec<Said>,
    pub google: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Of which call, counted from 0.
    pub of: usize,
    pub text: String,
    #[serde(default)]
    pub failed: bool,
    /// A picture that came with it: base64 of a PNG.
    #[serde(default)]
    pub png: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Said {
    Text(String),
    Png {
        /// Base64.
        png: String,
    },
    Pdf {
        /// Base64.
        pdf: String,
    },
}

/// A call that a client is to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

/// A client of one protocol.
pub trait Client {
    const NAME: &'static str;
    /// What OpenAI's description calls an answer and an event.
    const DESCRIBED: Option<(&'static str, &'static str)>;
    type Call;

    /// The body of a request for the next answer.
    fn body(script: &Script, history: &[Value]) -> Value;
    fn call(body: &[u8]) -> Result<Self::Call, Invalid>;
    /// Google's body.
    fn sent(call: &Self::Call) -> &[u8];
    /// A whole answer to `turn`.
    fn whole(call: &Self::Call, turn: usize, answer: &[u8]) -> Result<Value, Malformed>;
    /// The events for an answer that arrives in these pieces.
    fn streamed(call: &Self::Call, turn: usize, pieces: &[&[u8]]) -> Vec<u8>;
    /// Asserts that a client that adds up these events has `whole`.
    fn adds_up_to(events: &str, whole: &Value);
    /// What of the answer is not a repetition of the request.
    fn news(answer: &Value) -> Value;
    /// Keeps the answer.
    fn keep(answer: &Value, history: &mut Vec<Value>);
    /// What the answer calls.
    fn calls(answer: &Value) -> Vec<Called>;
    /// Keeps what is said next.
    fn say(turn: &Turn, calls: &[Called], history: &mut Vec<Value>);
}

fn meta(kind: &str, turn: usize) -> ResponseMeta {
    ResponseMeta {
        id: format!("{kind}t{turn}"),
        created: 1_800_000_000,
        style: Style::default(),
    }
}

/// Feeds a stream as the surfaces do.
macro_rules! feed {
    ($stream:expr, $pieces:expr) => {{
        let mut stream = $stream;
        let mut events = Events::new(1 << 22);
        let mut out = Vec::new();
        let mut failed = None;
        'pieces: for piece in $pieces {
            events.push(Bytes::copy_from_slice(piece));
            for event in &mut events {
                let event = event.unwrap();
                failed = Peek::of(&event)
                    .unwrap()
                    .error
                    .map(|said| UpstreamFailure::from(&said));
                if failed.is_some() {
                    break 'pieces;
                }
                stream.event(&event, &mut out).unwrap();
            }
        }
        match failed {
            Some(failure) => stream.abort(&failure, &mut out),
            None if stream.is_complete() => stream.finish(&mut out),
            None => stream.abort(&cut_off(), &mut out),
        }
        out
    }};
}

fn cut_off() -> UpstreamFailure {
    UpstreamFailure {
        status: 502,
        message: "The connection to Google broke.".to_owned(),
        code: None,
        request_id: None,
    }
}

// --- OpenAI chat ---

pub struct Chat;

impl Client for Chat {
    const NAME: &'static str = "chat";
    const DESCRIBED: Option<(&'static str, &'static str)> = Some((
        "CreateChatCompletionResponse",
        "CreateChatCompletionStreamResponse",
    ));
    type Call = ChatCall;

    fn body(script: &Script, history: &[Value]) -> Value {
        let mut messages = Vec::new();
        messages.extend(
            script
                .system
                .iter()
                .map(|text| json!({"role": "system", "content": text})),
        );
        messages.extend(history.iter().cloned());
        let mut body = json!({
            "model": script.model, "messages": messages, "max_completion_tokens": 4096,
            "stream_options": {"include_usage": true},
        });
        let mut tools: Vec<Value> = script
            .tools
            .iter()
            .map(|tool| json!({"type": "function", "function": declared(tool, "parameters")}))
            .collect();
        if script.search {
            tools.push(json!({"type": "web_search"}));
        }
        if !tools.is_empty() {
            body["tools"] = json!(tools);
        }
        match script.choice.as_deref() {
            None => {}
            Some(mode @ ("auto" | "none" | "required")) => body["tool_choice"] = json!(mode),
            Some(name) => {
                body["tool_choice"] = json!({"type": "function", "function": {"name": name}});
            }
        }
        if let Some(schema) = &script.answer_schema {
            body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}});
        }
        body
    }

    fn call(body: &[u8]) -> Result<ChatCall, Invalid> {
        chat_request(body)
    }

    fn sent(call: &ChatCall) -> &[u8] {
        &call.body
    }

    fn whole(call: &ChatCall, turn: usize, answer: &[u8]) -> Result<Value, Malformed> {
        Ok(json(&chat_response(
            call,
            &meta("chatcmpl-", turn),
            answer,
        )?))
    }

    fn streamed(call: &ChatCall, turn: usize, pieces: &[&[u8]]) -> Vec<u8> {
        feed!(ChatStream::new(call, &meta("chatcmpl-", turn)), pieces)
    }

    fn adds_up_to(events: &str, whole: &Value) {
        let mut message = Map::new();
        let mut end = Map::new();
        let mut usage = Value::Null;
        let mut done = false;
        for event in events.split_terminator("\n\n") {
            assert!(!done, "nothing comes after [DONE]");
            let data = event.strip_prefix("data: ").unwrap();
            if data == "[DONE]" {
                done = true;
                continue;
            }
            let chunk = json(data.as_bytes());
            assert_eq!(chunk["object"], "chat.completion.chunk");
            for same in ["id", "created", "model"] {
                assert_eq!(chunk[same], whole[same], "{same}");
            }
            if !chunk["usage"].is_null() {
                assert_eq!(chunk["choices"], json!([]), "as OpenAI has it");
                usage = chunk["usage"].clone();
            }
            for choice in chunk["choices"].as_array().unwrap() {
                assert!(end.is_empty(), "nothing comes after a finish reason");
                add_delta(&mut message, choice["delta"].as_object().unwrap());
                if let Some(logprobs) = choice["logprobs"]["content"].as_array() {
                    let so_far = message.entry("logprobs").or_insert(json!([]));
                    so_far.as_array_mut().unwrap().extend(logprobs.clone());
                }
                if choice["finish_reason"].is_string() {
                    for field in ["finish_reason", "native_finish_reason"] {
                        end.insert(field.to_owned(), choice[field].clone());
                    }
                }
            }
        }
        assert!(done);
        let choice = &whole["choices"][0];
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
        for field in ["role", "content", "refusal", "reasoning_content"] {
            let expected = text(choice["message"].get(field));
            assert_eq!(text(message.get(field)), expected, "{field}");
        }
        for list in ["tool_calls", "images", "annotations"] {
            let expected = choice["message"].get(list).cloned().unwrap_or(json!([]));
            let found = message.get(list).cloned().unwrap_or(json!([]));
            assert_eq!(found, expected, "{list}");
        }
        let extra = "extra_content";
        assert_eq!(message.get(extra), choice["message"].get(extra));
        assert_eq!(
            message.get("logprobs").cloned().unwrap_or_default(),
            choice["logprobs"]["content"]
        );
        for field in ["finish_reason", "native_finish_reason"] {
            assert_eq!(end[field], choice[field], "{field}");
        }
        if whole["usage"].is_object() {
            assert_eq!(usage, whole["usage"]);
        }
    }

    fn news(answer: &Value) -> Value {
        json!({"choices": answer["choices"], "usage": answer["usage"]})
    }

    fn keep(answer: &Value, history: &mut Vec<Value>) {
        history.push(answer["choices"][0]["message"].clone());
    }

    fn calls(answer: &Value) -> Vec<Called> {
        let calls = answer["choices"][0]["message"]["tool_calls"].as_array();
        calls
            .into_iter()
            .flatten()
            .map(|call| Called {
                id: call["id"].as_str().unwrap().to_owned(),
                name: call["function"]["name"].as_str().unwrap().to_owned(),
                arguments: json(call["function"]["arguments"].as_str().unwrap().as_bytes()),
            })
            .collect()
    }

    fn say(turn: &Turn, calls: &[Called], history: &mut Vec<Value>) {
        for outcome in &turn.results {
            let content = match &outcome.png {
                None => json!(outcome.text),
                Some(png) => json!([
                    {"type": "text", "text": outcome.text},
                    {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{png}")}},
                ]),
            };
            history.push(
                json!({"role": "tool", "tool_call_id": calls[outcome.of].id, "content": content}),
            );
        }
        if !turn.user.is_empty() {
            let parts = turn.user.iter().map(|said| match said {
                Said::Text(text) => json!({"type": "text", "text": text}),
                Said::Png { png } => json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{png}")}}),
                Said::Pdf { pdf } => json!({"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{pdf}")}}),
            });
            let parts: Vec<Value> = parts.collect();
            history.push(json!({"role": "user", "content": parts}));
        }
    }
}

/// Adds a delta as OpenAI's SDKs do: texts grow, calls grow by their index.
fn add_delta(message: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (field, more) in delta {
        match (&**field, more) {
            (_, Value::Null) => {}
            ("tool_calls", more) => {
                let calls = message.entry("tool_calls").or_insert(json!([]));
                let calls = calls.as_array_mut().unwrap();
                for call in more.as_array().unwrap() {
                    let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                    let mut call = call.clone();
                    call.as_object_mut().unwrap().remove("index");
                    match calls.get_mut(at) {
                        None => {
                            assert_eq!(at, calls.len(), "calls begin in order");
                            calls.push(call);
                        }
                        Some(known) => {
                            let arguments = &mut known["function"]["arguments"];
                            let more = call["function"]["arguments"].as_str().unwrap_or("");
                            *arguments = json!(format!("{}{more}", arguments.as_str().unwrap()));
                        }
                    }
                }
            }
            (_, Value::Array(more)) => {
                let list = message.entry(field).or_insert(json!([]));
                list.as_array_mut().unwrap().extend(more.clone());
            }
            // Python's SDK joins the texts of two.
            ("role" | "extra_content", more) => {
                assert!(message.insert(field.clone(), more.clone()).is_none());
            }
            (_, more) => {
                let text = message.entry(field).or_insert(json!(""));
                *text = json!(format!(
                    "{}{}",
                    text.as_str().unwrap(),
                    more.as_str().unwrap()
                ));
            }
        }
    }
}

fn declared(tool: &Tool, schema: &str) -> Value {
    let mut declared = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        declared["description"] = json!(description);
    }
    if let Some(parameters) = &tool.parameters {
        declared[schema] = parameters.clone();
    }
    declared
}

// --- OpenAI Responses ---

pub struct Responses;

impl Client for Responses {
    const NAME: &'static str = "responses";
    const DESCRIBED: Option<(&'static str, &'static str)> =
        Some(("Response", "ResponseStreamEvent"));
    type Call = ResponsesCall;

    fn body(script: &Script, history: &[Value]) -> Value {
        let mut body = json!({
            "model": script.model, "input": history, "store": false,
            "include": ["reasoning.encrypted_content"], "max_output_tokens": 4096,
        });
        if let Some(system) = &script.system {
            body["instructions"] = json!(system);
        }
        let mut tools: Vec<Value> = script
            .tools
            .iter()
            .map(|tool| {
                let mut declared = declared(tool, "parameters");
                declared["type"] = json!("function");
                // OpenAI's description asks for both.
                let declared = declared.as_object_mut().unwrap();
                declared.entry("parameters").or_insert(Value::Null);
                declared.insert("strict".to_owned(), json!(false));
                json!(declared)
            })
            .collect();
        if script.search {
            tools.push(json!({"type": "web_search"}));
        }
        if !tools.is_empty() {
            body["tools"] = json!(tools);
        }
        match script.choice.as_deref() {
            None => {}
            Some(mode @ ("auto" | "none" | "required")) => body["tool_choice"] = json!(mode),
            Some(name) => body["tool_choice"] = json!({"type": "function", "name": name}),
        }
        if let Some(schema) = &script.answer_schema {
            body["text"] = json!({"format": {"type": "json_schema", "name": "answer", "strict": true, "schema": schema}});
        }
        body
    }

    fn call(body: &[u8]) -> Result<ResponsesCall, Invalid> {
        responses_request(body, &())
    }

    fn sent(call: &ResponsesCall) -> &[u8] {
        &call.body
    }

    fn whole(call: &ResponsesCall, turn: usize, answer: &[u8]) -> Result<Value, Malformed> {
        Ok(json(
            &responses_response(call, &meta("resp_", turn), answer)?.0,
        ))
    }

    fn streamed(call: &ResponsesCall, turn: usize, pieces: &[&[u8]]) -> Vec<u8> {
        feed!(ResponsesStream::new(call, &meta("resp_", turn)), pieces)
    }

    fn adds_up_to(events: &str, whole: &Value) {
        let (grown, last) = responses_roundtrip::accumulate(events);
        assert_eq!(grown, whole["output"]);
        assert_eq!(&last, whole);
    }

    fn news(answer: &Value) -> Value {
        let mut news = json!({});
        for field in ["status", "error", "incomplete_details", "output", "usage"] {
            news[field] = answer[field].clone();
        }
        news
    }

    fn keep(answer: &Value, history: &mut Vec<Value>) {
        history.extend(answer["output"].as_array().unwrap().iter().cloned());
    }

    fn calls(answer: &Value) -> Vec<Called> {
        let items = answer["output"].as_array().unwrap().iter();
        items
            .filter(|item| item["type"] == "function_call")
            .map(|item| Called {
                id: item["call_id"].as_str().unwrap().to_owned(),
                name: item["name"].as_str().unwrap().to_owned(),
                arguments: json(item["arguments"].as_str().unwrap().as_bytes()),
            })
            .collect()
    }

    fn say(turn: &Turn, calls: &[Called], history: &mut Vec<Value>) {
        for outcome in &turn.results {
            let output = match &outcome.png {
                None => json!(outcome.text),
                Some(png) => json!([
                    {"type": "input_text", "text": outcome.text},
                    {"type": "input_image", "image_url": format!("data:image/png;base64,{png}")},
                ]),
            };
            history.push(json!({"type": "function_call_output", "call_id": calls[outcome.of].id, "output": output}));
        }
        if !turn.user.is_empty() {
            let parts = turn.user.iter().map(|said| match said {
                Said::Text(text) => json!({"type": "input_text", "text": text}),
                Said::Png { png } => json!({"type": "input_image", "image_url": format!("data:image/png;base64,{png}")}),
                Said::Pdf { pdf } => json!({"type": "input_file", "filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{pdf}")}),
            });
            let parts: Vec<Value> = parts.collect();
            history.push(json!({"role": "user", "content": parts}));
        }
    }
}

// --- Anthropic ---

pub struct Messages;

impl Client for Messages {
    const NAME: &'static str = "messages";
    const DESCRIBED: Option<(&'static str, &'static str)> = None;
    type Call = MessagesCall;

    fn body(script: &Script, history: &[Value]) -> Value {
        let mut body = json!({"model": script.model, "max_tokens": 4096, "messages": history});
        if let Some(system) = &script.system {
            body["system"] =
                json!([{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]);
        }
        let mut tools: Vec<Value> = script
            .tools
            .iter()
            .map(|tool| declared(tool, "input_schema"))
            .collect();
        if script.search {
            tools.push(json!({"type": "web_search_20250305", "name": "web_search"}));
        }
        if !tools.is_empty() {
            body["tools"] = json!(tools);
        }
        match script.choice.as_deref() {
            None => {}
            Some("required") => body["tool_choice"] = json!({"type": "any"}),
            Some(mode @ ("auto" | "none")) => body["tool_choice"] = json!({"type": mode}),
            Some(name) => body["tool_choice"] = json!({"type": "tool", "name": name}),
        }
        if let Some(schema) = &script.answer_schema {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
        }
        body
    }

    fn call(body: &[u8]) -> Result<MessagesCall, Invalid> {
        messages_request(body, &ModelMap::default())
    }

    fn sent(call: &MessagesCall) -> &[u8] {
        &call.body
    }

    fn whole(call: &MessagesCall, turn: usize, answer: &[u8]) -> Result<Value, Malformed> {
        Ok(json(&messages_response(call, &meta("msg_", turn), answer)?))
    }

    fn streamed(call: &MessagesCall, turn: usize, pieces: &[&[u8]]) -> Vec<u8> {
        feed!(MessagesStream::new(call, &meta("msg_", turn)), pieces)
    }

    fn adds_up_to(events: &str, whole: &Value) {
        assert_eq!(&anthropic_roundtrip::accumulate(events), whole);
    }

    fn news(answer: &Value) -> Value {
        let mut news = json!({});
        for field in ["content", "stop_reason", "stop_sequence", "usage"] {
            news[field] = answer[field].clone();
        }
        news
    }

    fn keep(answer: &Value, history: &mut Vec<Value>) {
        history.push(json!({"role": "assistant", "content": answer["content"]}));
    }

    fn calls(answer: &Value) -> Vec<Called> {
        let blocks = answer["content"].as_array().unwrap().iter();
        blocks
            .filter(|block| block["type"] == "tool_use")
            .map(|block| Called {
                id: block["id"].as_str().unwrap().to_owned(),
                name: block["name"].as_str().unwrap().to_owned(),
                arguments: block["input"].clone(),
            })
            .collect()
    }

    fn say(turn: &Turn, calls: &[Called], history: &mut Vec<Value>) {
        let source =
            |kind: &str, data: &str| json!({"type": "base64", "media_type": kind, "data": data});
        let mut blocks = Vec::new();
        for outcome in &turn.results {
            let content = match &outcome.png {
                None => json!(outcome.text),
                Some(png) => json!([
                    {"type": "text", "text": outcome.text},
                    {"type": "image", "source": source("image/png", png)},
                ]),
            };
            let mut block = json!({"type": "tool_result", "tool_use_id": calls[outcome.of].id, "content": content});
            if outcome.failed {
                block["is_error"] = json!(true);
            }
            blocks.push(block);
        }
        blocks.extend(turn.user.iter().map(|said| match said {
            Said::Text(text) => json!({"type": "text", "text": text}),
            Said::Png { png } => json!({"type": "image", "source": source("image/png", png)}),
            Said::Pdf { pdf } => {
                json!({"type": "document", "source": source("application/pdf", pdf)})
            }
        }));
        history.push(json!({"role": "user", "content": blocks}));
    }
}
