//! The request: OpenAI chat to Gemini.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::special::{Special, input_arguments};
use super::speech::AudioFormat;
use super::spoken;
use super::tools::{Wanted, tools};
use crate::error::Invalid;
use crate::fetch::{self, Wanted as Fetch};
use crate::file_id::{self, Uploads};
use crate::gemini::request::{
    FunctionCall, GenerationConfig, Part, Raw, Request, ThinkingConfig, Tool,
};
use crate::gemini::{Effort, Thinking, thinking_taken};
use crate::media;
use crate::names::into_legal;
use crate::openai::chat;
use crate::text::{Str, to_json};
use crate::together::reconcile;
use crate::turns::{Item, ToolResult, arguments, assemble, text_and_media};
use crate::{Endings, ModelMap, Named, Reading};

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The model's name as the client wrote it; answers repeat it.
    pub requested_model: String,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// Whether a stream ends with token counts.
    pub include_usage: bool,
    /// How many choices: so many calls, since Gemini gives one answer a call. [`crate::gemini::Several`]
    /// makes one answer of theirs.
    pub choices: u32,
    /// The body for `generateContent` or `streamGenerateContent`.
    pub body: Vec<u8>,
    /// What of the request the model does not take, and what was done instead; for people.
    pub notes: Vec<String>,
    /// What has to be put into `body` first.
    pub fetch: Vec<Fetch>,
    /// The files that it names: only the key that they were uploaded with can answer.
    pub uploads: Option<Uploads>,
    /// A search tool is on, so citations may come that point into the text.
    pub(super) grounded: bool,
    /// The answer is audio, packed like this.
    pub audio: Option<AudioFormat>,
    /// The client wants one call at a time.
    pub(super) single_call: bool,
    /// Functions that are called otherwise by the client.
    pub(super) special: Special,
    /// The client knows one `function_call`, the older form of `tool_calls`.
    pub(super) is_older: bool,
}

/// The most choices of one request.
const MOST_CHOICES: u32 = 8;

/// Parses an OpenAI chat body and translates it, with the usual names and no memory. An error
/// says what was wrong, and where.
pub fn chat_request(body: &[u8]) -> Result<ChatCall, Invalid> {
    let models = &ModelMap::default();
    let signatures = &();
    chat_request_with(body, &Reading { models, signatures })
}

/// Parses an OpenAI chat body and translates it. An error says what was wrong, and where.
pub fn chat_request_with(body: &[u8], reading: &Reading<'_>) -> Result<ChatCall, Invalid> {
    let request: chat::Request<'_> = Invalid::parse(body)?;
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
    let stream = request.stream.unwrap_or(false);
    let include_usage = request
        .stream_options
        .as_ref()
        .and_then(|options| options.include_usage)
        .unwrap_or(false);
    let mut tools = request.tools.iter().flatten();
    let is_function = |tool: &chat::Tool<'_>| {
        tool.function.is_some() || matches!(tool.kind.as_deref(), Some("function" | "custom"))
    };
    let is_older = has_any(request.functions.as_ref()) && !tools.any(is_function);
    let single_call = is_older || request.parallel_tool_calls == Some(false);
    let choices = request.n.unwrap_or(1);
    if !(1..=MOST_CHOICES).contains(&choices) {
        return Err(Invalid::new(
            "n",
            format!(
                "`n` is {choices}; it must be from 1 to {MOST_CHOICES}: each choice is a call of \
                 its own to Gemini."
            ),
        ));
    }
    let audio = spoken::format(&request, &model)?;
    let mut special = Special::default();
    let named = (&*model, endings);
    let mut translated = translate(request, named, (&mut special, reading))?;
    let notes = reconcile(&mut translated, &model);
    let grounded = translated
        .tools
        .iter()
        .any(|tool| !matches!(tool, Tool::FunctionDeclarations(_) | Tool::CodeExecution(_)));
    Ok(ChatCall {
        body: to_json(&translated, body.len()),
        fetch: fetch::wanted(&translated.contents),
        uploads: file_id::uploads(&translated.contents)?,
        model,
        requested_model,
        stream,
        choices,
        include_usage,
        notes,
        grounded,
        audio,
        single_call,
        special,
        is_older,
    })
}

fn has_any<T>(given: Option<&Vec<T>>) -> bool {
    given.is_some_and(|given| !given.is_empty())
}

fn translate<'a>(
    mut request: chat::Request<'a>,
    (model, endings): (&str, Endings),
    (special, reading): (&mut Special, &Reading<'_>),
) -> Result<Request<'a>, Invalid> {
    let google = request
        .google
        .take()
        .or_else(|| request.extra_body.take()?.into_google())
        .unwrap_or_default();
    let Some(messages) = request.messages.take() else {
        return Err(Invalid::new(
            "messages",
            "`messages` is missing: send a list with at least one message.",
        ));
    };
    let turns = assemble(items(messages)?, model, reading.signatures);
    if turns.contents.is_empty() {
        return Err(Invalid::new(
            "messages",
            "`messages` holds no content: send at least one message with text or media.",
        ));
    }
    let wanted = Wanted {
        tools: request.tools.take().unwrap_or_default(),
        functions: request.functions.take().unwrap_or_default(),
        search: request.web_search_options.is_some() || endings.search,
        choice: request.tool_choice.take().or(request.function_call.take()),
        own: google.tools,
    };
    let (tools, tool_config) = tools(wanted, special)?;
    let generation_config = generation_config(
        &mut request,
        (model, endings),
        GoogleConfig {
            thinking: google.thinking_config,
            response_modalities: google.response_modalities,
            image_config: google.image_config,
            speech_config: google.speech_config,
            media_resolution: google.media_resolution,
        },
    )?;
    Ok(Request {
        system_instruction: turns.system,
        contents: turns.contents,
        tools,
        tool_config,
        safety_settings: google.safety_settings.map(Cow::Borrowed),
        generation_config,
        cached_content: google.cached_content.map(Str::into_cow),
    })
}

// --- messages ---

fn items(messages: Vec<chat::Message<'_>>) -> Result<Vec<Item<'_>>, Invalid> {
    let mut items = Vec::with_capacity(messages.len() + 2);
    for (at, mut message) in messages.into_iter().enumerate() {
        match &*message.role {
            "system" | "developer" => {
                for text in texts(message.content, at)? {
                    items.push(Item::System(text));
                }
            }
            "user" => {
                let mut said = parts(message.content, at)?;
                if let Some(name) = message.name.filter(|name| !name.trim().is_empty()) {
                    named(&name, &mut said);
                }
                items.extend(said.into_iter().map(Item::User));
            }
            "assistant" | "model" => assistant(message, at, &mut items)?,
            "tool" | "function" => {
                let (text, media) = result(std::mem::take(&mut message.content), at)?;
                items.push(Item::Result(ToolResult {
                    id: message.tool_call_id.map(Str::into_cow),
                    name: message.name.map(|name| into_legal(name.into_cow())),
                    text,
                    failed: false,
                    media,
                }));
            }
            other => {
                let param = format!("messages[{at}].role");
                let message = format!(
                    "`{param}` is \"{other}\"; it must be one of system, developer, user, \
                     assistant, tool, function."
                );
                return Err(Invalid::new(param, message));
            }
        }
    }
    Ok(items)
}

/// Says who of several users speaks, as a play does: Google has no place for names.
fn named(name: &str, said: &mut Vec<Part<'_>>) {
    match said.first_mut() {
        None => {}
        Some(Part {
            text: Some(text), ..
        }) => *text = format!("{name}: {text}").into(),
        Some(_) => said.insert(0, Part::text(format!("{name}:"))),
    }
}

fn assistant<'a>(
    mut message: chat::Message<'a>,
    at: usize,
    items: &mut Vec<Item<'a>>,
) -> Result<(), Invalid> {
    let mut said = parts(std::mem::take(&mut message.content), at)?;
    // Of the call, where the message has room for one only; else of the text.
    let extra = message.extra_content.take();
    let mut signature = extra.and_then(chat::ExtraContent::into_signature);
    let last = said.iter_mut().rfind(|part| part.text.is_some());
    if let (None, Some(last)) = (&message.function_call, last) {
        last.thought_signature = signature.take();
    }
    items.extend(said.into_iter().map(Item::Model));
    if let Some(refusal) = message.refusal.filter(|text| !text.is_empty()) {
        items.push(Item::Model(Part::text(refusal.into_cow())));
    }
    for (n, image) in message.images.into_iter().flatten().enumerate() {
        if let Some(url) = image.image_url {
            let param = format!("messages[{at}].images[{n}].image_url");
            let part = media::from_url(url.0.into_cow(), "image/png", &param)?;
            let extra = image.extra_content;
            items.push(Item::Model(Part {
                thought_signature: extra.and_then(chat::ExtraContent::into_signature),
                ..part
            }));
        }
    }
    for (n, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let extra = call.extra_content;
        let signature = extra.and_then(chat::ExtraContent::into_signature);
        let (name, args) = match (call.function, call.custom) {
            (Some(function), _) => (function.name, arguments(function.arguments)),
            (None, Some(custom)) => (custom.name, Cow::Owned(input_arguments(&custom.input))),
            (None, None) => {
                let param = format!("messages[{at}].tool_calls[{n}]");
                let message = format!("`{param}` is a call without `function` or `custom`.");
                return Err(Invalid::new(param, message));
            }
        };
        items.push(Item::Model(called(call.id, (name, args), signature)));
    }
    if let Some(function) = message.function_call {
        let called_so = (function.name, arguments(function.arguments));
        items.push(Item::Model(called(None, called_so, signature)));
    }
    Ok(())
}

fn called<'a>(
    id: Option<Str<'a>>,
    (name, args): (Str<'a>, Raw<'a>),
    signature: Option<Cow<'a, str>>,
) -> Part<'a> {
    Part {
        function_call: Some(FunctionCall {
            id: id.filter(|id| !id.is_empty()).map(Str::into_cow),
            name: into_legal(name.into_cow()),
            args,
        }),
        thought_signature: signature,
        ..Part::default()
    }
}

fn texts(content: chat::Content<'_>, at: usize) -> Result<Vec<Cow<'_, str>>, Invalid> {
    Ok(match content {
        chat::Content::None => Vec::new(),
        chat::Content::Text(text) => vec![text.into_cow()],
        chat::Content::Parts(parts) => {
            let mut texts = Vec::with_capacity(parts.len());
            for (n, part) in parts.into_iter().enumerate() {
                let Some(text) = part.text else {
                    let param = format!("messages[{at}].content[{n}]");
                    let message = format!("`{param}` must be a part of type text.");
                    return Err(Invalid::new(param, message));
                };
                texts.push(text.into_cow());
            }
            texts
        }
    })
}

/// A tool's result: its text, and media that came with it.
fn result(content: chat::Content<'_>, at: usize) -> Result<(Cow<'_, str>, Vec<Part<'_>>), Invalid> {
    if let chat::Content::Text(text) = content {
        return Ok((text.into_cow(), Vec::new()));
    }
    Ok(text_and_media(parts(content, at)?))
}

/// The parts of a message, empty texts left out.
fn parts(content: chat::Content<'_>, at: usize) -> Result<Vec<Part<'_>>, Invalid> {
    match content {
        chat::Content::None => Ok(Vec::new()),
        chat::Content::Text(text) if text.is_empty() => Ok(Vec::new()),
        chat::Content::Text(text) => Ok(vec![Part::text(text.into_cow())]),
        chat::Content::Parts(given) => {
            let mut parts = Vec::with_capacity(given.len());
            for (n, part) in given.into_iter().enumerate() {
                parts.extend(self::part(
                    part,
                    &format_args!("messages[{at}].content[{n}]"),
                )?);
            }
            Ok(parts)
        }
    }
}

fn part<'a>(
    part: chat::Part<'a>,
    path: &std::fmt::Arguments<'_>,
) -> Result<Option<Part<'a>>, Invalid> {
    let chat::Part {
        kind,
        text,
        refusal,
        image_url,
        video_url,
        input_audio,
        input_video,
        file,
        extra_content: _,
    } = part;
    if let Some(text) = text.or(refusal) {
        return Ok((!text.is_empty()).then(|| Part::text(text.into_cow())));
    }
    if let Some(url) = image_url {
        let param = format!("{path}.image_url");
        return media::from_url(url.0.into_cow(), "image/png", &param).map(Some);
    }
    if let Some(url) = video_url {
        let param = format!("{path}.video_url");
        return media::from_url(url.0.into_cow(), "video/mp4", &param).map(Some);
    }
    if let Some(audio) = input_audio {
        return by_format(audio, "audio/wav", &format!("{path}.input_audio")).map(Some);
    }
    if let Some(video) = input_video {
        return by_format(video, "video/mp4", &format!("{path}.input_video")).map(Some);
    }
    if let Some(file) = file {
        return self::file(file, &format!("{path}.file")).map(Some);
    }
    // Other vendors' thoughts, returned: Google has no use for them.
    if matches!(&*kind, "thinking" | "redacted_thinking" | "reasoning") {
        return Ok(None);
    }
    let kind = if kind.is_empty() { "(none)" } else { &*kind };
    Err(Invalid::new(
        path.to_string(),
        format!(
            "`{path}` is of type {kind}, or lacks that type's field; send text, image_url, \
             input_audio or file."
        ),
    ))
}

pub(super) fn by_format<'a>(
    media: chat::Media<'a>,
    fallback: &'static str,
    param: &str,
) -> Result<Part<'a>, Invalid> {
    if media::is_address(&media.data) {
        return media::from_url(media.data.into_cow(), fallback, param);
    }
    let declared = media.format.map(|format| match media::type_of(&format) {
        Some(known) => Cow::Borrowed(known),
        // `audio` of `audio/wav`, then the client's own word.
        None => {
            let (kind, _) = fallback.split_once('/').unwrap_or((fallback, ""));
            Cow::Owned(format!("{kind}/{}", &*format))
        }
    });
    media::inline(declared, media.data.into_cow(), fallback, param)
}

pub(super) fn file<'a>(file: chat::File<'a>, param: &str) -> Result<Part<'a>, Invalid> {
    let name = file.filename.as_deref();
    if let Some(data) = file.file_data {
        return media::of_file(data.into_cow(), name, &format!("{param}.file_data"));
    }
    let by_name = name.and_then(media::type_of_file);
    if let Some(id) = file.file_id {
        if let Ok(id) = id.parse() {
            return Ok(media::uploaded(by_name, &id));
        }
        let uri = if media::google_reads(&id) {
            id.into_cow()
        } else if id.starts_with("files/") {
            format!("https://generativelanguage.googleapis.com/v1beta/{}", &*id).into()
        } else {
            return Err(Invalid::new(
                format!("{param}.file_id"),
                format!(
                    "`{param}.file_id` is no file that was uploaded here (file-…) or to Google's \
                     Files API (files/…); send the content in `file_data` instead."
                ),
            ));
        };
        return Ok(media::by_address(by_name, uri));
    }
    Err(Invalid::new(
        param,
        format!("`{param}` needs `file_data` or `file_id`."),
    ))
}

// --- generation ---

/// What goes into the generation config from Google's own options.
struct GoogleConfig<'a> {
    thinking: Option<chat::ThinkingConfig<'a>>,
    response_modalities: Option<&'a RawValue>,
    image_config: Option<&'a RawValue>,
    speech_config: Option<&'a RawValue>,
    media_resolution: Option<&'a RawValue>,
}

fn generation_config<'a>(
    request: &mut chat::Request<'a>,
    (model, endings): (&str, Endings),
    google: GoogleConfig<'a>,
) -> Result<GenerationConfig<'a>, Invalid> {
    let (response_mime_type, response_json_schema) = match request.response_format.take() {
        None => (None, None),
        Some(format) => response_format(format)?,
    };
    let stop = request.stop.take().unwrap_or_default().0.into_iter();
    Ok(GenerationConfig {
        stop_sequences: stop.map(Str::into_cow).collect(),
        response_mime_type,
        response_json_schema,
        response_schema: None,
        response_modalities: match google.response_modalities {
            Some(own) => Some(Cow::Borrowed(own)),
            None => modalities(request.modalities.take()),
        },
        max_output_tokens: output_limit(request.max_completion_tokens.or(request.max_tokens)),
        temperature: request.temperature.take(),
        top_p: request.top_p.take(),
        top_k: request.top_k.take(),
        // Google's seed has 32 bits; folding keeps "same seed, same answer".
        #[expect(clippy::cast_possible_truncation, reason = "folded on purpose")]
        seed: request
            .seed
            .map(|seed| i32::try_from(seed).unwrap_or((seed ^ (seed >> 32)) as i32)),
        presence_penalty: request.presence_penalty.take(),
        frequency_penalty: request.frequency_penalty.take(),
        response_logprobs: request.logprobs.filter(|on| *on),
        logprobs: request
            .top_logprobs
            .filter(|top| *top > 0 && request.logprobs == Some(true)),
        thinking_config: thinking(request, (model, endings), google.thinking),
        image_config: google.image_config.map(Cow::Borrowed),
        speech_config: match google.speech_config {
            Some(own) => Some(Cow::Borrowed(own)),
            None => spoken::voice(request, model)?,
        },
        media_resolution: google.media_resolution.map(Cow::Borrowed),
    })
}

/// A limit of tokens. Some clients send 0 or -1 for "no limit".
pub(super) fn output_limit(given: Option<i64>) -> Option<u64> {
    given.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)
}

pub(super) type Format<'a> = (Option<Cow<'a, str>>, Option<Raw<'a>>);

fn response_format(format: chat::ResponseFormat<'_>) -> Result<Format<'_>, Invalid> {
    let schema = format.json_schema.and_then(|given| given.schema);
    output_format(&format.kind, schema, "response_format.type")
}

/// The media type and the schema of the answer; `param` names the field that holds `kind`.
pub(super) fn output_format<'a>(
    kind: &str,
    schema: Option<&'a RawValue>,
    param: &str,
) -> Result<Format<'a>, Invalid> {
    const JSON: Option<Cow<'static, str>> = Some(Cow::Borrowed("application/json"));
    match kind {
        "text" => Ok((None, None)),
        "json_object" => Ok((JSON, None)),
        "json_schema" => Ok((JSON, schema.map(Cow::Borrowed))),
        other => Err(Invalid::new(
            param,
            format!("`{param}` is \"{other}\"; it must be text, json_object or json_schema."),
        )),
    }
}

/// Text alone is what every model does anyway.
fn modalities(wanted: Option<Vec<Str<'_>>>) -> Option<Raw<'_>> {
    let upper: Vec<String> = wanted?.iter().map(|m| m.to_ascii_uppercase()).collect();
    if upper.iter().all(|modality| modality == "TEXT") {
        return None;
    }
    serde_json::value::to_raw_value(&upper).ok().map(Cow::Owned)
}

/// Google's own options; else what the client called it in a field or in the model's
/// name, made legal.
fn thinking<'a>(
    request: &chat::Request<'_>,
    (model, endings): (&str, Endings),
    own: Option<chat::ThinkingConfig<'a>>,
) -> Option<ThinkingConfig<'a>> {
    if let Some(own) = own {
        return thinking_taken(own.into(), model);
    }
    let family = Thinking::of(model);
    let openrouter = request.reasoning.as_ref();
    let config = match (request.reasoning_effort, openrouter) {
        (Some(effort), _) => family.for_effort(effort),
        (None, Some(reasoning)) => match (reasoning.max_tokens, reasoning.effort) {
            _ if reasoning.enabled == Some(false) => family.for_effort(Effort::None),
            (Some(tokens), _) => family.for_budget(tokens),
            (None, Some(effort)) => family.for_effort(effort),
            (None, None) => family.for_effort(Effort::Auto),
        },
        (None, None) => endings.thinking.and_then(|amount| amount.config(model)),
    }?;
    if openrouter.is_some_and(|reasoning| reasoning.exclude == Some(true)) {
        return config.without_thoughts();
    }
    Some(config)
}

impl<'a> From<chat::ThinkingConfig<'a>> for ThinkingConfig<'a> {
    fn from(own: chat::ThinkingConfig<'a>) -> Self {
        Self {
            include_thoughts: own.include_thoughts,
            thinking_budget: own.thinking_budget,
            thinking_level: own.thinking_level.map(Str::into_cow),
        }
    }
}
