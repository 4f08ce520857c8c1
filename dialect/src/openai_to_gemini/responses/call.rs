//! The request: Responses API to Gemini.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memchr2;
use serde_json::value::RawValue;

use super::Memory;
use super::items::{Read, reference, split};
use super::tools::Special;
use crate::error::Invalid;
use crate::fetch::{self, Wanted as Fetch};
use crate::file_id::{self, Uploads};
use crate::gemini::request::{GenerationConfig, Request, ThinkingConfig};
use crate::gemini::{Effort, Thinking, thinking_taken};
use crate::openai::responses as wire;
use crate::openai_to_gemini::request::{output_format, output_limit};
use crate::openai_to_gemini::tools::{Wanted, tools};
use crate::text::{Str, compact, to_json};
use crate::together::reconcile;
use crate::turns::{Item, assemble};
use crate::{Endings, ModelMap, Named, Reading};

/// A translated request, with what the way back needs.
#[derive(Clone, Debug)]
pub struct ResponsesCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The model's name as the client wrote it; answers repeat it.
    pub requested_model: String,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// Whether the client wants the answer kept: see [`super::Kept`].
    pub store: bool,
    /// Whether the client comes back for the answer, instead of waiting for it.
    pub background: bool,
    /// The body for `generateContent` or `streamGenerateContent`.
    pub body: Vec<u8>,
    /// What of the request the model does not take, and what was done instead; for people.
    pub notes: Vec<String>,
    /// The client wants one call at a time.
    pub(super) single_call: bool,
    /// What has to be put into `body` first.
    pub fetch: Vec<Fetch>,
    /// The files that it names: only the key that they were uploaded with can answer.
    pub uploads: Option<Uploads>,
    /// The response that this one goes on from.
    pub(super) previous: Option<String>,
    /// The items of the input as they were written, when they are to be kept.
    pub(super) input: Vec<Box<RawValue>>,
    /// Fields that answers repeat, as JSON without the braces.
    pub(super) repeated: String,
    pub(super) special: Special,
}

/// Fields of the request that an answer repeats, and what it says when they were not sent.
const REPEATED: [(&str, &str); 20] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", r#""default""#),
    ("store", "true"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
    ("background", "false"),
];

/// Parses the body of `/v1/responses` and translates it, with the usual names; `memory` knows
/// what was said before. An error says what was wrong, and where.
pub fn responses_request(body: &[u8], memory: &dyn Memory) -> Result<ResponsesCall, Invalid> {
    let models = &ModelMap::default();
    let signatures = &();
    responses_request_with(body, memory, &Reading { models, signatures })
}

/// Parses the body of `/v1/responses` and translates it; `memory` knows what was said before.
/// An error says what was wrong, and where.
pub fn responses_request_with(
    body: &[u8],
    memory: &dyn Memory,
    reading: &Reading<'_>,
) -> Result<ResponsesCall, Invalid> {
    let mut request: wire::Request<'_> = Invalid::parse(body)?;
    let requested_model = match &request.model {
        Some(model) if !model.is_empty() => model.to_string(),
        _ => {
            return Err(Invalid::new(
                "model",
                "`model` is missing: name a Gemini model, e.g. one of GET /v1/models.",
            ));
        }
    };
    let Named { model, endings } = reading.models.read(&requested_model)?;
    supported(&request)?;
    let store = request.store.unwrap_or(true);
    let background = request.background.unwrap_or(false);
    let stream = request.stream.unwrap_or(false);
    let previous = request.previous_response_id.take().map(|id| id.to_string());
    let own = match request.input.take() {
        Some(input) => split(input)?,
        None => Vec::new(),
    };
    let input = match store {
        true => own.iter().map(|item| item.clone().into_owned()).collect(),
        false => Vec::new(),
    };
    let history = history(previous.as_deref(), own, memory)?;
    let mut special = Special::default();
    let single_call = request.parallel_tool_calls == Some(false);
    let named = (&*model, endings);
    let mut translated = translate(request, &history, named, (&mut special, reading))?;
    let notes = reconcile(&mut translated, &model);
    Ok(ResponsesCall {
        body: to_json(&translated, body.len()),
        fetch: fetch::wanted(&translated.contents),
        uploads: file_id::uploads(&translated.contents)?,
        model,
        requested_model,
        stream,
        store,
        background,
        notes,
        single_call,
        previous,
        input,
        repeated: repeated(body),
        special,
    })
}

/// Refuses what only OpenAI's own servers can do.
fn supported(request: &wire::Request<'_>) -> Result<(), Invalid> {
    let refused = |param: &'static str, message: &str| {
        Err(Invalid::new(param, message).with_code("unsupported_parameter"))
    };
    if request.background == Some(true) && request.store == Some(false) {
        return refused(
            "background",
            "`background` needs `store`: an answer that is not kept cannot be fetched later. Leave \
             `store` out, or set it to true.",
        );
    }
    if request.conversation.is_some() {
        return refused(
            "conversation",
            "`conversation` is not supported here: send the earlier items in `input`, or \
             `previous_response_id`.",
        );
    }
    if request.prompt.is_some() {
        return refused(
            "prompt",
            "`prompt` names a template at OpenAI, which Gemini cannot read: send its text in \
             `instructions` or `input`.",
        );
    }
    Ok(())
}

/// How much text items may have that a request names by their ids, in bytes.
const MOST_REMEMBERED: usize = 64 * 1024 * 1024;

/// The items of the whole conversation, each with its place for errors.
fn history<'a>(
    previous: Option<&str>,
    own: Vec<Cow<'a, RawValue>>,
    memory: &dyn Memory,
) -> Result<Vec<(String, Cow<'a, RawValue>)>, Invalid> {
    let mut history = Vec::with_capacity(own.len());
    if let Some(id) = previous {
        let Some(earlier) = memory.conversation(id) else {
            return Err(Invalid::new(
                "previous_response_id",
                format!(
                    "Previous response with id '{id}' not found. Responses are kept for a while \
                     only: send the whole conversation in `input` instead."
                ),
            )
            .with_code("previous_response_not_found"));
        };
        let place = |at| format!("previous_response_id.items[{at}]");
        let earlier = earlier.into_iter().map(Cow::Owned).enumerate();
        history.extend(earlier.map(|(at, item)| (place(at), item)));
    }
    let own = own.into_iter().enumerate();
    history.extend(own.map(|(at, item)| (format!("input[{at}]"), item)));
    // What one item of the memory has may be named again and again.
    let mut remembered = 0_usize;
    for (path, item) in &mut history {
        let Some(id) = reference(item, path)?.map(|id| id.to_string()) else {
            continue;
        };
        let Some(found) = memory.item(&id) else {
            return Err(Invalid::new(
                format!("{path}.id"),
                format!(
                    "Item with id '{id}' not found. Items are kept for a while only: send the item itself (most clients do when `store` is false)."
                ),
            ));
        };
        remembered = remembered.saturating_add(found.get().len());
        if remembered > MOST_REMEMBERED {
            return Err(Invalid::new(
                format!("{path}.id"),
                format!(
                    "The items that are named by their ids have more than {} MiB together. Name \
                     each once, or send the items themselves.",
                    MOST_REMEMBERED / (1024 * 1024)
                ),
            ));
        }
        *item = Cow::Owned(found);
    }
    Ok(history)
}

fn translate<'a>(
    mut request: wire::Request<'a>,
    history: &'a [(String, Cow<'a, RawValue>)],
    (model, endings): (&str, Endings),
    (special, reading): (&mut Special, &Reading<'_>),
) -> Result<Request<'a>, Invalid> {
    let google = request
        .google
        .take()
        .or_else(|| request.extra_body.take()?.into_google())
        .unwrap_or_default();
    let mut read = Read::default();
    let instructions = request.instructions.take().map(Str::into_cow);
    read.items.extend(instructions.map(Item::System));
    for (path, item) in history {
        read.item(item, path)?;
    }
    let turns = assemble(read.items, model, reading.signatures);
    if turns.contents.is_empty() {
        return Err(Invalid::new(
            "input",
            "`input` holds no content: send a text, or at least one item with text or media.",
        ));
    }
    let mut given = request.tools.take().unwrap_or_default();
    given.append(&mut read.tools);
    let wanted = Wanted {
        tools: special.declare(given, model)?,
        choice: request.tool_choice.take(),
        search: endings.search,
        own: google.tools,
        ..Wanted::default()
    };
    let (tools, tool_config) = tools(wanted, special)?;
    let (response_mime_type, response_json_schema) =
        match request.text.take().and_then(|text| text.format) {
            None => (None, None),
            Some(format) => output_format(&format.kind, format.schema, "text.format.type")?,
        };
    let logprobs = wants_logprobs(&request);
    let thinking_config = match google.thinking_config {
        Some(own) => thinking_taken(own.into(), model),
        None => thinking(request.reasoning.unwrap_or_default(), (model, endings)),
    };
    Ok(Request {
        system_instruction: turns.system,
        contents: turns.contents,
        tools,
        tool_config,
        safety_settings: google.safety_settings.map(Cow::Borrowed),
        generation_config: GenerationConfig {
            response_mime_type,
            response_json_schema,
            response_modalities: google.response_modalities.map(Cow::Borrowed),
            max_output_tokens: output_limit(request.max_output_tokens),
            temperature: request.temperature,
            top_p: request.top_p,
            response_logprobs: logprobs.then_some(true),
            logprobs: request.top_logprobs.filter(|top| *top > 0 && logprobs),
            thinking_config,
            image_config: match google.image_config {
                Some(own) => Some(Cow::Borrowed(own)),
                None => special.images.to_raw(),
            },
            speech_config: google.speech_config.map(Cow::Borrowed),
            media_resolution: google.media_resolution.map(Cow::Borrowed),
            ..GenerationConfig::default()
        },
        cached_content: google.cached_content.map(Str::into_cow),
    })
}

fn wants_logprobs(request: &wire::Request<'_>) -> bool {
    let mut include = request.include.iter().flatten();
    include.any(|wanted| &**wanted == "message.output_text.logprobs")
}

/// How much to think; thoughts come back only when a summary of them is asked for. The model's
/// name asks for both.
fn thinking(
    asked: wire::Reasoning<'_>,
    (model, endings): (&str, Endings),
) -> Option<ThinkingConfig<'static>> {
    let family = Thinking::of(model);
    let shown = asked.summary.or(asked.generate_summary).is_some();
    if let (None, Some(amount)) = (asked.effort, endings.thinking) {
        return amount.config(model);
    }
    match (asked.effort, shown) {
        (Some(effort), true) => family.for_effort(effort),
        (Some(effort), false) => family.for_effort(effort)?.without_thoughts(),
        (None, true) => family.for_effort(Effort::Auto),
        (None, false) => None,
    }
}

/// What answers repeat of a valid body.
fn repeated(body: &[u8]) -> String {
    let given: BTreeMap<Str<'_>, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
    let mut repeated = String::new();
    for (field, default) in REPEATED {
        if !repeated.is_empty() {
            repeated.push(',');
        }
        let value = given.get(&Str::from(field)).map(|value| value.get());
        let value = value.filter(|value| *value != "null").unwrap_or(default);
        // An event must stay on one line. Tools are long and most often are on one already.
        let line = match memchr2(b'\n', b'\r', value.as_bytes()) {
            None => Cow::Borrowed(value),
            Some(_) => compact(value),
        };
        repeated.push('"');
        repeated.push_str(field);
        repeated.push_str("\":");
        repeated.push_str(&line);
    }
    repeated
}
