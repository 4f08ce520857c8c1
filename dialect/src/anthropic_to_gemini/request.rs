//! The request: Anthropic Messages to Gemini.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::client_tools::declaration;
use crate::anthropic::messages::{self as wire, Block, Content};
use crate::error::{Invalid, Malformed};
use crate::fetch::{self, Wanted};
use crate::file_id::{self, Uploads};
use crate::gemini::request::{
    CallingMode, Empty, FunctionCall, FunctionCalling, FunctionDeclaration, GenerationConfig, Part,
    Request, ThinkingConfig, Tool, ToolConfig,
};
use crate::gemini::{Effort, Thinking};
use crate::media;
use crate::names::{Renamed, into_legal, legal};
use crate::signature;
use crate::text::{Str, to_json};
use crate::together::reconcile;
use crate::turns::{Item, ToolResult, arguments, assemble, text_and_media};
use crate::{Endings, ModelMap, Named, Reading};

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The model's name as the client wrote it; answers repeat it.
    pub requested_model: String,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// The body for `generateContent` or `streamGenerateContent`.
    pub body: Vec<u8>,
    /// What of the request the model does not take, and what was done instead; for people.
    pub notes: Vec<String>,
    /// The client wants one call at a time.
    pub(super) single_call: bool,
    /// What has to be put into `body` first.
    pub fetch: Vec<Wanted>,
    /// The files that it names: only the key that they were uploaded with can answer.
    pub uploads: Option<Uploads>,
    /// Functions that Google knows by another name.
    pub(super) renamed: Renamed,
}

/// A translated question for the number of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The body for `countTokens`.
    pub body: Vec<u8>,
    /// What has to be put into `body` first.
    pub fetch: Vec<Wanted>,
    /// The files that it names: only the key that they were uploaded with can answer.
    pub uploads: Option<Uploads>,
}

/// Parses the body of `/v1/messages` and translates it, with no memory; `models` says which
/// Gemini model answers for a Claude. An error says what was wrong, and where.
pub fn messages_request(body: &[u8], models: &ModelMap) -> Result<MessagesCall, Invalid> {
    let signatures = &();
    messages_request_with(body, &Reading { models, signatures })
}

/// Parses the body of `/v1/messages` and translates it. An error says what was wrong, and where.
pub fn messages_request_with(body: &[u8], reading: &Reading<'_>) -> Result<MessagesCall, Invalid> {
    let parsed = parse(body, reading)?;
    Ok(MessagesCall {
        body: to_json(&parsed.request, body.len()),
        fetch: fetch::wanted(&parsed.request.contents),
        uploads: file_id::uploads(&parsed.request.contents)?,
        model: parsed.model,
        requested_model: parsed.requested,
        stream: parsed.stream,
        notes: parsed.notes,
        single_call: parsed.single_call,
        renamed: parsed.renamed,
    })
}

/// Parses the body of `/v1/messages/count_tokens` and translates it.
pub fn count_tokens_request(body: &[u8], models: &ModelMap) -> Result<CountCall, Invalid> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Count<'a> {
        generate_content_request: Named<'a>,
    }
    #[derive(Serialize)]
    struct Named<'a> {
        model: String,
        #[serde(flatten)]
        request: Request<'a>,
    }
    let signatures = &();
    let Parsed { model, request, .. } = parse(body, &Reading { models, signatures })?;
    let fetch = fetch::wanted(&request.contents);
    let uploads = file_id::uploads(&request.contents)?;
    let count = Count {
        generate_content_request: Named {
            model: format!("models/{model}"),
            request,
        },
    };
    Ok(CountCall {
        body: to_json(&count, body.len()),
        fetch,
        model,
        uploads,
    })
}

/// Translates the answer of `countTokens`.
pub fn count_tokens_response(gemini_body: &[u8]) -> Result<Vec<u8>, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Counted {
        total_tokens: u64,
    }
    #[derive(Serialize)]
    struct Count {
        input_tokens: u64,
    }
    let counted: Counted = serde_json::from_slice(gemini_body).map_err(|e| Malformed::json(&e))?;
    let count = Count {
        input_tokens: counted.total_tokens,
    };
    Ok(to_json(&count, 0))
}

/// A request that was read.
struct Parsed<'a> {
    /// The model's name as the client wrote it.
    requested: String,
    /// Google's name of it.
    model: String,
    stream: bool,
    request: Request<'a>,
    renamed: Renamed,
    notes: Vec<String>,
    single_call: bool,
}

fn parse<'a>(body: &'a [u8], reading: &Reading<'_>) -> Result<Parsed<'a>, Invalid> {
    let request: wire::Request<'a> = Invalid::parse(body)?;
    let requested = match &request.model {
        Some(model) if !model.is_empty() => model.to_string(),
        _ => {
            return Err(Invalid::new(
                "model",
                "`model` is missing: name a Claude or Gemini model.",
            ));
        }
    };
    let Named { model, endings } = reading.models.read(&requested)?;
    let stream = request.stream.unwrap_or(false);
    let choice = request.tool_choice.as_ref();
    let single_call = choice.is_some_and(|c| c.disable_parallel_tool_use == Some(true));
    let (mut request, renamed) = translate(request, (&model, endings), reading)?;
    let notes = reconcile(&mut request, &model);
    Ok(Parsed {
        requested,
        model,
        stream,
        request,
        renamed,
        notes,
        single_call,
    })
}

fn translate<'a>(
    mut request: wire::Request<'a>,
    (model, endings): (&str, Endings),
    reading: &Reading<'_>,
) -> Result<(Request<'a>, Renamed), Invalid> {
    if request.thread.is_some() {
        return Err(Invalid::new(
            "thread",
            "`thread` names a conversation that Anthropic's servers hold, and there is no such \
             place here: leave it out and send the whole conversation in `messages`.",
        )
        .with_code(crate::error::UNTHREADED));
    }
    let Some(messages) = request.messages.take() else {
        return Err(Invalid::new(
            "messages",
            "`messages` is missing: send a list with at least one message.",
        ));
    };
    let mut items = Vec::with_capacity(messages.len() + 4);
    system(std::mem::take(&mut request.system), &mut items, "system")?;
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}].content");
        match &*message.role {
            "user" => user(message.content, &mut items, &path)?,
            "assistant" => assistant(message.content, &mut items, &path)?,
            "system" => system(message.content, &mut items, &path)?,
            other => {
                let param = format!("messages[{at}].role");
                let text = format!("`{param}` is \"{other}\"; it must be user or assistant.");
                return Err(Invalid::new(param, text));
            }
        }
    }
    let turns = assemble(items, model, reading.signatures);
    if turns.contents.is_empty() {
        return Err(Invalid::new(
            "messages",
            "`messages` holds no content: send at least one message with text or media.",
        ));
    }
    let (tools, tool_config, renamed) = tools(&mut request, endings.search)?;
    let translated = Request {
        system_instruction: turns.system,
        contents: turns.contents,
        tools,
        tool_config,
        generation_config: generation_config(request, (model, endings))?,
        ..Request::default()
    };
    Ok((translated, renamed))
}

// --- messages ---

fn system<'a>(content: Content<'a>, items: &mut Vec<Item<'a>>, path: &str) -> Result<(), Invalid> {
    let mut push = |text: Str<'a>| {
        // Claude Code's first block changes with each request and would spoil Google's
        // cache; it is for Anthropic's accounting only.
        if !text.starts_with("x-anthropic-billing-header") {
            items.push(Item::System(text.into_cow()));
        }
    };
    match content {
        Content::None => {}
        Content::Text(text) => push(text),
        Content::Blocks(blocks) => {
            for (n, block) in blocks.into_iter().enumerate() {
                let Some(text) = block.text else {
                    let param = format!("{path}[{n}]");
                    let message = format!("`{param}` must be a block of type text.");
                    return Err(Invalid::new(param, message));
                };
                push(text);
            }
        }
    }
    Ok(())
}

fn user<'a>(content: Content<'a>, items: &mut Vec<Item<'a>>, path: &str) -> Result<(), Invalid> {
    let blocks = match content {
        Content::None => return Ok(()),
        Content::Text(text) => {
            if !text.is_empty() {
                items.push(Item::User(Part::text(text.into_cow())));
            }
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    for (n, mut block) in blocks.into_iter().enumerate() {
        let path = format!("{path}[{n}]");
        if &*block.kind == "tool_result" {
            let content = std::mem::take(&mut block.content);
            let (text, media) = result(content, &format!("{path}.content"))?;
            items.push(Item::Result(ToolResult {
                id: block.tool_use_id.map(Str::into_cow),
                name: None,
                text,
                failed: block.is_error == Some(true),
                media,
            }));
        } else {
            let parts = parts(block, &path)?;
            items.extend(parts.into_iter().map(Item::User));
        }
    }
    Ok(())
}

fn assistant<'a>(
    content: Content<'a>,
    items: &mut Vec<Item<'a>>,
    path: &str,
) -> Result<(), Invalid> {
    let blocks = match content {
        Content::None => return Ok(()),
        Content::Text(text) => {
            if !text.is_empty() {
                items.push(Item::Model(Part::text(text.into_cow())));
            }
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    // The signature of the thinking right before a call belongs to the call.
    let mut signature: Option<Cow<'a, str>> = None;
    for (n, block) in blocks.into_iter().enumerate() {
        let path = format!("{path}[{n}]");
        match &*block.kind {
            "thinking" => signature = block.signature.and_then(signature::unmarked),
            "tool_use" => {
                let Some(name) = block.name else {
                    let message = format!("`{path}` is a tool_use without `name`.");
                    return Err(Invalid::new(path, message));
                };
                items.push(Item::Model(Part {
                    function_call: Some(FunctionCall {
                        id: block.id.filter(|id| !id.is_empty()).map(Str::into_cow),
                        name: into_legal(name.into_cow()),
                        args: arguments(block.input),
                    }),
                    thought_signature: signature.take(),
                    ..Part::default()
                }));
            }
            _ => {
                let parts = parts(block, &path)?;
                items.extend(parts.into_iter().map(Item::Model));
            }
        }
    }
    Ok(())
}

/// A tool's result: its text, and media that came with it.
fn result<'a>(content: Content<'a>, path: &str) -> Result<(Cow<'a, str>, Vec<Part<'a>>), Invalid> {
    let blocks = match content {
        Content::None => return Ok(("".into(), Vec::new())),
        Content::Text(text) => return Ok((text.into_cow(), Vec::new())),
        Content::Blocks(blocks) => blocks,
    };
    let mut found = Vec::with_capacity(blocks.len());
    for (n, block) in blocks.into_iter().enumerate() {
        // How Claude Code names tools that it loads later.
        if &*block.kind != "tool_reference" {
            found.extend(parts(block, &format!("{path}[{n}]"))?);
        }
    }
    Ok(text_and_media(found))
}

/// The parts of a block that either side can say.
fn parts<'a>(block: Block<'a>, path: &str) -> Result<Vec<Part<'a>>, Invalid> {
    if let Some(text) = block.text {
        let part = (!text.is_empty()).then(|| Part::text(text.into_cow()));
        return Ok(part.into_iter().collect());
    }
    match (&*block.kind, block.source) {
        ("image", Some(source)) => self::source(source, "image/png", path),
        ("document", Some(source)) => {
            let about = [block.title, block.context].into_iter().flatten();
            let about = about.filter(|text| !text.is_empty());
            let mut parts: Vec<_> = about.map(|text| Part::text(text.into_cow())).collect();
            parts.extend(self::source(source, "application/pdf", path)?);
            Ok(parts)
        }
        ("search_result", source) => {
            let about = [block.title, source.and_then(|source| source.url)];
            let mut parts: Vec<Part<'a>> = about
                .into_iter()
                .flatten()
                .map(|text| Part::text(text.into_cow()))
                .collect();
            parts.extend(nested(block.content, path)?);
            Ok(parts)
        }
        // Thoughts need not be returned to Google; what Anthropic's own tools did was told
        // in the text.
        (
            "thinking" | "redacted_thinking" | "server_tool_use" | "mcp_tool_use"
            | "container_upload" | "compaction",
            _,
        ) => Ok(Vec::new()),
        (kind, _) if kind.ends_with("_tool_result") => Ok(Vec::new()),
        (kind, _) => Err(Invalid::new(
            path,
            format!(
                "`{path}` is of type \"{kind}\", or lacks that type's fields; send text, image, \
                 document, tool_use or tool_result."
            ),
        )),
    }
}

fn nested<'a>(content: Content<'a>, path: &str) -> Result<Vec<Part<'a>>, Invalid> {
    let mut all = Vec::new();
    match content {
        Content::None => {}
        Content::Text(text) => all.push(Part::text(text.into_cow())),
        Content::Blocks(blocks) => {
            for (n, block) in blocks.into_iter().enumerate() {
                all.extend(parts(block, &format!("{path}.content[{n}]"))?);
            }
        }
    }
    Ok(all)
}

fn source<'a>(
    source: wire::Source<'a>,
    fallback: &'static str,
    path: &str,
) -> Result<Vec<Part<'a>>, Invalid> {
    let param = format!("{path}.source");
    if &*source.kind == "content" {
        return nested(source.content, &param);
    }
    if let Some(id) = source.file_id.as_deref().and_then(|id| id.parse().ok()) {
        return Ok(vec![media::uploaded(None, &id)]);
    }
    let part = match (&*source.kind, source.data, source.url, source.file_id) {
        ("text", Some(text), ..) => Part::text(text.into_cow()),
        (_, Some(data), ..) => {
            let declared = source.media_type.map(Str::into_cow);
            media::inline(
                declared,
                data.into_cow(),
                fallback,
                &format!("{param}.data"),
            )?
        }
        (_, None, Some(url), _) => {
            media::from_url(url.into_cow(), fallback, &format!("{param}.url"))?
        }
        (_, None, None, Some(id)) if id.starts_with("files/") => media::by_address(
            None,
            format!("https://generativelanguage.googleapis.com/v1beta/{}", &*id).into(),
        ),
        _ => {
            let message = format!(
                "`{param}` cannot be used here; send {{\"type\": \"base64\", \"media_type\": …, \
                 \"data\": …}}."
            );
            return Err(Invalid::new(param, message));
        }
    };
    Ok(vec![part])
}

// --- tools ---

/// Google's `tools` and `toolConfig`, and the functions that are called otherwise there.
type Tools<'a> = (Vec<Tool<'a>>, Option<ToolConfig<'a>>, Renamed);

fn tools<'a>(request: &mut wire::Request<'a>, search: bool) -> Result<Tools<'a>, Invalid> {
    let mut declarations = Vec::new();
    let mut tools = Vec::new();
    let mut googles = Vec::new();
    for (at, tool) in request.tools.take().into_iter().flatten().enumerate() {
        let kind = tool.kind.as_deref().unwrap_or("custom");
        if kind == "custom" {
            declarations.push(FunctionDeclaration {
                name: tool.name.into_cow(),
                description: tool
                    .description
                    .filter(|text| !text.is_empty())
                    .map(Str::into_cow),
                parameters_json_schema: tool
                    .input_schema
                    .filter(|schema| schema.get().starts_with('{') && schema.get() != "{}")
                    .map(Cow::Borrowed),
                parameters: None,
            });
        } else if let Some(own) = google_tool(kind) {
            tools.push(own);
            googles.push(tool.name);
        } else if let Some(known) = declaration(kind, tool.name.clone().into_cow()) {
            declarations.push(known);
        } else if !kind.starts_with("tool_search_tool_") {
            // Searching for tools is not needed: all of them are declared.
            return Err(Invalid::new(
                format!("tools[{at}].type"),
                format!(
                    "`tools[{at}]` is Anthropic's own tool \"{kind}\", which Gemini does not \
                     have; declare it as a custom tool with `input_schema`."
                ),
            ));
        }
    }
    let is_search = |tool: &Tool<'_>| matches!(tool, Tool::GoogleSearch(_));
    if search && !tools.iter().any(is_search) {
        tools.push(Tool::GoogleSearch(Empty {}));
    }
    let choice = request.tool_choice.take();
    // Google refuses a calling mode without declarations.
    if declarations.is_empty() {
        return Ok((tools, None, Renamed::default()));
    }
    let mut renamed = Renamed::default();
    renamed.declare(&mut declarations);
    let config = choice
        .map(|choice| calling(choice, &declarations, &googles))
        .transpose()?;
    tools.insert(0, Tool::FunctionDeclarations(declarations));
    Ok((tools, config, renamed))
}

/// Google's tool that does what Anthropic's own of this type does.
fn google_tool(kind: &str) -> Option<Tool<'static>> {
    let is = |beginning| kind.starts_with(beginning);
    match () {
        () if is("web_search_") => Some(Tool::GoogleSearch(Empty {})),
        () if is("web_fetch_") => Some(Tool::UrlContext(Empty {})),
        () if is("code_execution_") => Some(Tool::CodeExecution(Empty {})),
        () => None,
    }
}

fn calling<'a>(
    choice: wire::ToolChoice<'a>,
    declarations: &[FunctionDeclaration<'a>],
    googles: &[Str<'a>],
) -> Result<ToolConfig<'a>, Invalid> {
    let (mode, allowed_function_names) = match (&*choice.kind, choice.name) {
        ("auto", _) => (CallingMode::Auto, Vec::new()),
        ("any", _) => (CallingMode::Any, Vec::new()),
        ("none", _) => (CallingMode::None, Vec::new()),
        ("tool", Some(name)) if declarations.iter().any(|d| d.name == legal(&name)) => {
            (CallingMode::Any, vec![into_legal(name.into_cow())])
        }
        // Google cannot be made to use a tool of its own, only kept from using others.
        ("tool", Some(name)) if googles.iter().any(|own| **own == *name) => {
            (CallingMode::None, Vec::new())
        }
        ("tool", _) => {
            return Err(Invalid::new(
                "tool_choice.name",
                "`tool_choice.name` must be one of `tools`.",
            ));
        }
        (other, _) => {
            return Err(Invalid::new(
                "tool_choice.type",
                format!("`tool_choice.type` is \"{other}\"; it must be auto, any, tool or none."),
            ));
        }
    };
    Ok(ToolConfig::from(FunctionCalling {
        mode,
        allowed_function_names,
    }))
}

// --- generation ---

fn generation_config<'a>(
    mut request: wire::Request<'a>,
    (model, endings): (&str, Endings),
) -> Result<GenerationConfig<'a>, Invalid> {
    let effort = request
        .output_config
        .as_ref()
        .and_then(|config| config.effort);
    let thinking_config = thinking(request.thinking.take(), effort, (model, endings))?;
    let format = request
        .output_config
        .and_then(|config| config.format)
        .or(request.output_format);
    let schema = match format {
        None => None,
        Some(format) if &*format.kind == "json_schema" => format.schema,
        Some(format) => {
            return Err(Invalid::new(
                "output_config.format.type",
                format!(
                    "`output_config.format.type` is \"{}\"; it must be json_schema.",
                    &*format.kind
                ),
            ));
        }
    };
    Ok(GenerationConfig {
        stop_sequences: request
            .stop_sequences
            .into_iter()
            .flatten()
            .map(Str::into_cow)
            .collect(),
        response_mime_type: schema.map(|_| "application/json".into()),
        response_json_schema: schema.map(Cow::Borrowed),
        max_output_tokens: request.max_tokens.filter(|limit| *limit > 0),
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        thinking_config,
        ..GenerationConfig::default()
    })
}

fn thinking(
    asked: Option<wire::Thinking<'_>>,
    effort: Option<Effort>,
    (model, endings): (&str, Endings),
) -> Result<Option<ThinkingConfig<'static>>, Invalid> {
    let family = Thinking::of(model);
    if let (None, None, Some(amount)) = (&asked, effort, endings.thinking) {
        return Ok(amount.config(model));
    }
    let Some(asked) = asked else {
        // Without `thinking` no thoughts are shown; effort counts all the same.
        let config = effort.and_then(|effort| family.for_effort(effort));
        return Ok(config.and_then(ThinkingConfig::without_thoughts));
    };
    let config = match (&*asked.kind, asked.budget_tokens) {
        ("disabled", _) => family.for_effort(Effort::None),
        ("enabled", Some(budget)) => family.for_budget(budget),
        ("enabled" | "adaptive", _) => family.for_effort(effort.unwrap_or(Effort::Auto)),
        (other, _) => {
            return Err(Invalid::new(
                "thinking.type",
                format!(
                    "`thinking.type` is \"{other}\"; it must be enabled, disabled or adaptive."
                ),
            ));
        }
    };
    if asked.display.as_deref() == Some("omitted") {
        return Ok(config.and_then(ThinkingConfig::without_thoughts));
    }
    Ok(config)
}
