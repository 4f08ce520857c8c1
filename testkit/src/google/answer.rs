//! What the fake answers: decided by the request alone, so the same question always gets
//! the same answer.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::check::{SIGNATURE_PREFIX, count};
use super::media;
use super::model::{Kind, Model};
use super::proto::{decode, get, int, list, text};
use super::sample;

/// An answer: what a model says, from which the whole body and the events of a stream are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Summaries of thoughts, shown only when the request wants them.
    pub thoughts: Vec<String>,
    /// Parts that are not thoughts, in order.
    pub parts: Vec<Value>,
    /// `finishReason`; `STOP` when empty.
    pub finish_reason: String,
    /// Further fields of the candidate, e.g. `groundingMetadata`.
    pub candidate: Map<String, Value>,
    /// Tokens of thought; by the length of the thoughts when `None`.
    pub thought_tokens: Option<u64>,
    /// When not empty, the events of the stream, word for word; a call that is not
    /// streamed gets the first. Everything else is then ignored.
    pub verbatim: Vec<Value>,
}

impl Answer {
    /// This text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            parts: vec![json!({ "text": text.into() })],
            ..Self::default()
        }
    }

    /// Calls of these functions, in parallel when there are several.
    #[must_use]
    pub fn calls(calls: &[(&str, Value)]) -> Self {
        let parts = calls
            .iter()
            .map(|(name, args)| json!({ "functionCall": { "name": name, "args": args } }))
            .collect();
        Self {
            parts,
            ..Self::default()
        }
    }

    /// These parts, e.g. text and pictures in turn.
    #[must_use]
    pub fn parts(parts: Vec<Value>) -> Self {
        Self {
            parts,
            ..Self::default()
        }
    }

    /// These events and nothing else, each a whole `GenerateContentResponse`.
    #[must_use]
    pub fn verbatim(events: Vec<Value>) -> Self {
        Self {
            verbatim: events,
            ..Self::default()
        }
    }

    /// Adds a thought.
    #[must_use]
    pub fn thought(mut self, thought: impl Into<String>) -> Self {
        self.thoughts.push(thought.into());
        self
    }

    /// Ends with this `finishReason`.
    #[must_use]
    pub fn finish(mut self, reason: impl Into<String>) -> Self {
        self.finish_reason = reason.into();
        self
    }
}

/// A small picture (PNG, 8 by 8 pixels) in base64.
pub const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAhklEQVR42g3JIQFFIQxA0Z/tBSDAAhCAALhrFmAx0NPTaDR6egE+x57fRzVKqE4NalJKGfX7yEYK2clBTlJJI1/cxhVu5w7u5CrXuC9O4wincwZncpRjnBe7sYXd2YM92co29otohBCdGMQklDDihTdc8I4PfOKKG/5iNZawOmuwJktZxvoD9PxwgTahMv8AAAAASUVORK5CYII=";

/// What the model says to this request.
pub(super) fn decide(model: &Model, body: &Value) -> Answer {
    let contents = list(body, "contents");
    let question = question(contents);
    let chinese = is_chinese(&question);
    if model.kind == Kind::Speech {
        return Answer {
            thought_tokens: Some(0),
            ..Answer::parts(vec![media::spoken(&question)])
        };
    }
    let mut answer = if let Some(answer) = looped(body, contents) {
        answer
    } else if let Some(answer) = after_tools(contents, chinese) {
        answer
    } else if let Some(answer) = calls(body, &question) {
        answer
    } else if let Some(answer) = structured(body, &question) {
        answer
    } else {
        talk(model, body, contents, &question, chinese)
    };
    let thinking = get(body, "generation_config").and_then(|config| get(config, "thinking_config"));
    let off = thinking.and_then(|thinking| int(thinking, "thinking_budget")) == Some(0);
    if model.thinks() && !off {
        let thought = if chinese {
            format!(
                "**理解问题**\n\n用户说：“{}”。我想一想怎样回答。\n\n",
                clip(&question)
            )
        } else {
            format!(
                "**Reading the question**\n\nThe user says \"{}\". I consider how to answer.\n\n",
                clip(&question)
            )
        };
        let second = if chinese {
            "**组织回答**\n\n内容已经清楚，现在作答。\n\n"
        } else {
            "**Settling the answer**\n\nThe matter is clear, so I answer now.\n\n"
        };
        answer.thoughts = vec![thought, second.to_owned()];
    } else {
        answer.thought_tokens = Some(0);
    }
    limit(&mut answer, get(body, "generation_config"));
    answer
}

/// The last text a user wrote.
fn question(contents: &[Value]) -> String {
    let last = contents.iter().rfind(|content| {
        text(content, "role") != "model"
            && list(content, "parts")
                .iter()
                .any(|part| get(part, "text").is_some())
    });
    let parts = last
        .map(|content| list(content, "parts"))
        .unwrap_or_default();
    let texts: Vec<&str> = parts
        .iter()
        .map(|part| text(part, "text"))
        .filter(|text| !text.is_empty())
        .collect();
    texts.join("\n")
}

/// Whether a person who wrote this reads Chinese.
fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3400}'..='\u{9fff}'))
}

/// The beginning of a text, for repeating it.
fn clip(text: &str) -> String {
    const MOST: usize = 400;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain(['…']).collect()
    }
}

/// The beginning of a line that makes the fake an agent's model: `@loop 20 f {"a": "{n}"} | g {}`
/// calls `f` and `g` in parallel in each of 20 steps, `{n}` being the step, and then says how
/// many results it saw.
const LOOP: &str = "@loop ";

/// The next step of a loop that the user asked for. Requests that do not declare its functions
/// are not part of it: agents ask for a title of the conversation, for example.
fn looped(body: &Value, contents: &[Value]) -> Option<Answer> {
    let said = contents.iter().enumerate().rev();
    let mut said = said.filter(|(_, content)| text(content, "role") != "model");
    let (at, line) = said.find_map(|(at, content)| {
        let mut lines = list(content, "parts")
            .iter()
            .flat_map(|part| text(part, "text").lines());
        Some((at, lines.find_map(|line| line.trim().strip_prefix(LOOP))?))
    })?;
    let (steps, calls) = line.split_once(' ')?;
    let steps: usize = steps.parse().ok()?;
    let since = &contents[at..];
    let done = since
        .iter()
        .filter(|content| count(content, "function_call") > 0)
        .count();
    let declared = |name: &str| {
        list(body, "tools")
            .iter()
            .flat_map(|tool| list(tool, "function_declarations"))
            .any(|function| text(function, "name") == name)
    };
    let calls = calls.replace("{n}", &done.to_string());
    let mut parts = Vec::new();
    let mut rest = Some(&*calls);
    while let Some(call) = rest {
        let (name, after) = call.trim_start().split_once(' ')?;
        if !declared(name) {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let args = values.next()?.ok()?;
        rest = after[values.byte_offset()..].trim_start().strip_prefix('|');
        parts.push(json!({ "functionCall": { "name": name, "args": args } }));
    }
    if done < steps {
        return Some(Answer::parts(parts));
    }
    let results: usize = since
        .iter()
        .map(|content| count(content, "function_response"))
        .sum();
    Some(Answer::text(format!(
        "The loop is over: {done} steps, {results} results."
    )))
}

fn after_tools(contents: &[Value], chinese: bool) -> Option<Answer> {
    let responses: Vec<&Value> = list(contents.last()?, "parts")
        .iter()
        .filter_map(|part| get(part, "function_response"))
        .collect();
    if responses.is_empty() {
        return None;
    }
    let said: Vec<String> = responses
        .iter()
        .map(|response| {
            let name = text(response, "name");
            let result = get(response, "response")
                .cloned()
                .unwrap_or_else(|| json!({}));
            if chinese {
                format!("工具 {name} 返回了 {result}。")
            } else {
                format!("The tool {name} answered {result}.")
            }
        })
        .collect();
    let (between, end) = if chinese {
        ("", "以上就是演示回答。")
    } else {
        (" ", " That is the demo's answer.")
    };
    Some(Answer::text(format!("{}{end}", said.join(between))))
}

/// Function calls, when the request forces them or the question names a function.
fn calls(body: &Value, question: &str) -> Option<Answer> {
    let config = get(body, "tool_config").and_then(|config| get(config, "function_calling_config"));
    let mode = config
        .map(|config| text(config, "mode").to_ascii_uppercase())
        .unwrap_or_default();
    if mode == "NONE" {
        return None;
    }
    let allowed = config
        .map(|config| list(config, "allowed_function_names"))
        .unwrap_or_default();
    let declared: Vec<&Value> = list(body, "tools")
        .iter()
        .flat_map(|tool| list(tool, "function_declarations"))
        .filter(|function| {
            allowed.is_empty()
                || allowed
                    .iter()
                    .any(|name| name.as_str() == Some(text(function, "name")))
        })
        .collect();
    let mut wanted: Vec<&Value> = declared
        .iter()
        .copied()
        .filter(|function| question.contains(text(function, "name")))
        .collect();
    if wanted.is_empty() && mode == "ANY" {
        wanted.extend(declared.first());
    }
    if wanted.is_empty() {
        return None;
    }
    let calls = wanted.iter().map(|function| {
        let schema =
            get(function, "parameters_json_schema").or_else(|| get(function, "parameters"));
        let args = schema.map_or_else(|| json!({}), |schema| sample::value(schema, "", question));
        json!({ "functionCall": { "name": text(function, "name"), "args": args } })
    });
    Some(Answer {
        parts: calls.collect(),
        ..Answer::default()
    })
}

/// JSON, when the request asks for it.
fn structured(body: &Value, question: &str) -> Option<Answer> {
    let config = get(body, "generation_config")?;
    let schema = [
        "response_schema",
        "response_json_schema",
        "_response_json_schema",
    ]
    .iter()
    .find_map(|name| get(config, name));
    match text(config, "response_mime_type") {
        "text/x.enum" => {
            let first = schema.map(|schema| sample::value(schema, "", question))?;
            Some(Answer::text(first.as_str().unwrap_or_default()))
        }
        "application/json" => {
            let value = schema.map_or_else(
                || json!({ "answer": question, "from": "fake Google" }),
                |schema| sample::value(schema, "", question),
            );
            Some(Answer::text(value.to_string()))
        }
        _ => None,
    }
}

fn talk(model: &Model, body: &Value, contents: &[Value], question: &str, chinese: bool) -> Answer {
    let id = &model.id;
    let mut said = if chinese {
        format!("你好！这是演示用的假 Google，以 {id} 的名义回答，背后没有真正的模型。")
    } else {
        format!(
            "Hello! This is the demo's fake Google, answering as {id}; there is no real model behind it."
        )
    };
    let asked = clip(question);
    match (asked.is_empty(), chinese) {
        (true, _) => {}
        (false, true) => said.push_str(&format!("你说的是：“{asked}”。")),
        (false, false) => said.push_str(&format!(" You said: \"{asked}\".")),
    }
    let last = contents
        .iter()
        .rfind(|content| text(content, "role") != "model");
    for part in last
        .map(|content| list(content, "parts"))
        .unwrap_or_default()
    {
        if let Some(blob) = get(part, "inline_data") {
            let (mime, size) = (
                text(blob, "mime_type"),
                decode(text(blob, "data")).map_or(0, |bytes| bytes.len()),
            );
            said.push_str(&if chinese {
                format!("收到一个附件：{mime}，{size} 字节。")
            } else {
                format!(" I received an attachment: {mime}, {size} bytes.")
            });
        }
        if let Some(file) = get(part, "file_data") {
            let uri = text(file, "file_uri");
            said.push_str(&if chinese {
                format!("收到一个文件：{uri}。")
            } else {
                format!(" I received a file: {uri}.")
            });
        }
    }
    let mut answer = Answer::text(said.clone());
    let modalities =
        get(body, "generation_config").map(|config| list(config, "response_modalities"));
    let wants = |name: &str| {
        modalities.is_some_and(|all| {
            all.iter()
                .any(|m| m.as_str().is_some_and(|m| m.eq_ignore_ascii_case(name)))
        })
    };
    let unsaid = modalities.is_none_or(<[Value]>::is_empty);
    if wants("IMAGE") || (model.kind == Kind::Image && unsaid) {
        if !unsaid && !wants("TEXT") {
            answer.parts.clear();
        }
        answer
            .parts
            .push(json!({ "inlineData": { "mimeType": "image/png", "data": PICTURE } }));
    }
    if list(body, "tools")
        .iter()
        .any(|tool| get(tool, "google_search").is_some())
    {
        answer
            .candidate
            .insert("groundingMetadata".to_owned(), grounding(&asked, &said));
    }
    answer
}

fn grounding(query: &str, said: &str) -> Value {
    json!({
        "searchEntryPoint": { "renderedContent": "<div>Google Search</div>" },
        "groundingChunks": [{
            "web": { "uri": "https://example.com/gemini-balance", "title": "example.com" },
        }],
        "groundingSupports": [{
            // Google counts bytes, not characters.
            "segment": { "startIndex": 0, "endIndex": said.len(), "text": said },
            "groundingChunkIndices": [0],
        }],
        "webSearchQueries": [query],
    })
}

/// Stop sequences and `maxOutputTokens`, which end an answer early.
fn limit(answer: &mut Answer, config: Option<&Value>) {
    let Some(config) = config else { return };
    let stops: Vec<&str> = list(config, "stop_sequences")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut left = int(config, "max_output_tokens")
        .and_then(|most| usize::try_from(most).ok())
        .filter(|most| *most > 0);
    for part in &mut answer.parts {
        let Some(Value::String(said)) = part.get_mut("text") else {
            continue;
        };
        if let Some(at) = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| said.find(stop))
            .min()
        {
            said.truncate(at);
        }
        if let Some(left) = &mut left {
            let most = *left * CHARS_PER_TOKEN;
            if said.chars().count() > most {
                *said = said.chars().take(most).collect();
                answer.finish_reason = "MAX_TOKENS".to_owned();
            }
            *left = left.saturating_sub(tokens(said) as usize);
        }
    }
}

/// The fake's rule for tokens: four characters each, rounded up.
pub const CHARS_PER_TOKEN: usize = 4;

/// Tokens of a text by the fake's rule.
#[must_use]
pub fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(CHARS_PER_TOKEN) as u64
}

/// What Google counts for a picture, whatever its size (up to 384 pixels a side).
const PICTURE_TOKENS: u64 = 258;

/// Tokens that a request puts in: text and media of contents and system instruction, and the declarations of tools.
pub(super) fn input_tokens(body: &Value) -> u64 {
    let of_content = |content: &Value| -> u64 {
        list(content, "parts")
            .iter()
            .map(|part| {
                let media = get(part, "inline_data").or_else(|| get(part, "file_data"));
                let call = get(part, "function_call").or_else(|| get(part, "function_response"));
                tokens(text(part, "text"))
                    + media.map_or(0, |_| PICTURE_TOKENS)
                    + call.map_or(0, |call| tokens(&call.to_string()))
            })
            .sum()
    };
    list(body, "contents").iter().map(of_content).sum::<u64>()
        + get(body, "system_instruction").map_or(0, of_content)
        + list(body, "tools")
            .iter()
            .map(|tool| tokens(&tool.to_string()))
            .sum::<u64>()
}

/// The thought signature that the fake gives for this content, and accepts again.
#[must_use]
pub fn thought_signature(content: &str) -> String {
    STANDARD.encode(format!("{SIGNATURE_PREFIX}{:016x}", hash(content)))
}

/// A number that depends on the text alone.
pub(super) fn hash(text: impl Hash) -> u64 {
    // `new()` has fixed keys, unlike the hasher of a `HashMap`.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A vector of this length and of unit norm that depends on the text alone.
pub(super) fn embedding(text: &str, length: usize) -> Vec<f64> {
    let mut state = hash(text) | 1;
    let mut values: Vec<f64> = (0..length)
        .map(|_| {
            // xorshift64*: small, and good enough for numbers nobody computes with.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
            bits as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect();
    let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    for value in &mut values {
        *value = (*value / norm * 1e8).round() / 1e8;
    }
    values
}
