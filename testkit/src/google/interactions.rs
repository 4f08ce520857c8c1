//! The Interactions API: conversations that Google remembers.
//!
//! The methods, fields and events are those that googleapis/python-genai 3.4 sends and reads
//! (`_gaos/interactions.py`), and of <https://ai.google.dev/gemini-api/docs/interactions>. Its
//! errors have a shape of their own, `{"error":{"message","code"}}`: seen for 400
//! (`invalid_request`), and in the SDK's tests for 429 (`too_many_requests`). What it says of an
//! interaction that is not there is not published; this one says 404. Interactions are kept for
//! a day on the free tier, says the documentation.
//!
//! Deliberately absent: `requires_continuation`, environments, webhooks, and tools that run at
//! Google but for the search.

use bytes::Bytes;
use serde_json::{Value, json};

use super::World;
use super::answer::{Answer, decide, input_tokens, tokens};
use super::caches;
use super::calling::spend;
use super::error::GoogleError;
use super::files;
use super::model::{Kind, Model};
use super::proto::{get, list, text};
use super::reply::{Form, Page, Reply};
use super::shelf::{Asked, Owned, time};
use super::steps;
use super::stores;
use super::work::Progress;

/// How long an interaction is kept, in milliseconds: a day.
const LIFE: i64 = 24 * 60 * 60 * 1000;

/// An interaction that is kept.
#[derive(Debug)]
pub(super) struct Interaction {
    /// As it will be when it is done.
    done: Value,
    input: Value,
    /// The conversation as contents, the answer too.
    history: Vec<Value>,
    /// Works in the background; `None` when it does not (any more).
    progress: Option<Progress>,
}

impl Interaction {
    /// The interaction as it is now.
    fn shown(&self) -> Value {
        let mut shown = self.done.clone();
        if let (Some(_), Some(fields)) = (&self.progress, shown.as_object_mut()) {
            fields.retain(|name, _| !matches!(&**name, "steps" | "usage"));
            fields.insert("status".to_owned(), json!("in_progress"));
        }
        shown
    }
}

/// The interaction as Google shows it.
pub(super) fn show(interaction: &Owned<Interaction>) -> Value {
    interaction.it.shown()
}

/// The fields of a new interaction.
const FIELDS: [&str; 23] = [
    "model",
    "agent",
    "agent_config",
    "background",
    "cached_content",
    "continuation_token",
    "environment",
    "generation_config",
    "input",
    "labels",
    "previous_interaction_id",
    "response_format",
    "response_mime_type",
    "response_modalities",
    "safety_settings",
    "service_tier",
    "store",
    "stream",
    "system_instruction",
    "tools",
    "tool_choice",
    "webhook_config",
    "id",
];

/// The model that a new interaction is with, and how it is to be answered.
pub(super) fn asked_for(body: &[u8]) -> (Option<String>, Form) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let model = text(&body, "model").trim_start_matches("models/");
    let form = match get(&body, "stream") {
        Some(Value::Bool(true)) => Form::Steps,
        _ => Form::Whole,
    };
    ((!model.is_empty()).then(|| model.to_owned()), form)
}

fn not_found() -> GoogleError {
    GoogleError {
        message: "Interaction not found.".to_owned(),
        ..GoogleError::usual(404)
    }
}

/// Answers one call about interactions.
pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    let answered = match asked.target.action {
        "interactions.create" => create(asked),
        _ => look(asked),
    };
    answered.unwrap_or_else(|error| refuse(&error))
}

/// An error in this API's own shape.
fn refuse(error: &GoogleError) -> Reply {
    let body = json!({ "error": { "message": error.message, "code": code(error.code) } });
    Page::new(error.code, Form::Whole.content_type(), body.to_string()).into()
}

/// What this API calls an error of this HTTP status.
const fn code(status: u16) -> &'static str {
    match status {
        400 => "invalid_request",
        401 => "unauthenticated",
        403 => "permission_denied",
        404 => "not_found",
        429 => "too_many_requests",
        503 => "unavailable",
        _ => "internal",
    }
}

fn look(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let (world, target) = (asked.world, asked.target);
    let now = world.clock.now();
    let (name, project) = (&target.resource, &asked.caller.project);
    let mut inner = world.inner.lock();
    if target.action == "interactions.delete" {
        let removed = inner.interactions.remove(project, name, now);
        return removed
            .map(|_| Reply::Json(json!({})))
            .ok_or_else(not_found);
    }
    let found = inner.interactions.get_mut(project, name, now);
    let it = &mut found.ok_or_else(not_found)?.it;
    if target.action == "interactions.cancel" {
        if it.progress.take().is_none() {
            return Err(GoogleError::invalid(
                "Only an interaction that runs in the background can be cancelled.",
            ));
        }
        if let Some(fields) = it.done.as_object_mut() {
            fields.retain(|name, _| !matches!(&**name, "steps" | "usage"));
            fields.insert("status".to_owned(), json!("cancelled"));
        }
        return Ok(Reply::Json(it.shown()));
    }
    if target.flag("stream") {
        // Whoever listens stays until the end.
        it.progress = None;
        let mut events = events(&it.done, true);
        if let Some(last) = target.parameter("last_event_id", "last_event_id") {
            let at = events
                .iter()
                .position(|event| text(event, "event_id") == last);
            let at = at.ok_or_else(|| GoogleError::invalid("last_event_id: unknown event"))?;
            events.drain(..=at);
        }
        return Ok(Reply::Events(Form::Steps, events));
    }
    if it
        .progress
        .as_mut()
        .is_some_and(|progress| progress.look(now))
    {
        it.progress = None;
    }
    let mut shown = it.shown();
    if target.flag("include_input") {
        shown["input"] = it.input.clone();
    }
    Ok(Reply::Json(shown))
}

fn create(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let world = asked.world;
    let body: Value = serde_json::from_slice(asked.body)
        .map_err(|error| GoogleError::invalid(format!("The body is not JSON: {error}")))?;
    let fields = body.as_object().into_iter().flatten();
    if let Some((name, _)) = fields
        .into_iter()
        .find(|(name, _)| !FIELDS.contains(&name.as_str()))
    {
        return Err(GoogleError::invalid(format!("Unknown parameter '{name}'.")));
    }
    let is = |name: &str| get(&body, name) == Some(&Value::Bool(true));
    let stored = get(&body, "store") != Some(&Value::Bool(false));
    if is("background") && !stored {
        return Err(GoogleError::invalid("background=true requires store=true."));
    }
    let model = partner(world, &body)?;
    let now = world.clock.now();
    let mut history = before(asked, &body, now)?;
    let input = get(&body, "input").cloned().unwrap_or_default();
    let new = steps::contents(&input)?;
    for content in &new {
        files::check_content(world, &asked.caller.project, content)?;
    }
    stores::check(world, &asked.caller.project, list(&body, "tools"))?;
    history.extend(new);
    let mut request = Value::Object(steps::request(&body));
    request["contents"] = json!(history);
    let mut input_tokens = input_tokens(&request);
    let mut cached = 0;
    if let Some(name) = get(&body, "cached_content") {
        request["cached_content"] = name.clone();
        if let Some((whole, tokens)) = caches::with_cache(world, asked.caller, &model, &request)? {
            (request, cached) = (whole, tokens);
            input_tokens += tokens;
        }
    }
    if get(&body, "agent").is_none() {
        spend(world, asked.caller, &model, input_tokens)?;
    }
    let scripted = world.inner.lock().answers.pop_front();
    let said = scripted.unwrap_or_else(|| decide(&model, &request));
    let kept = keep(asked, &body, history, &said, (input_tokens, cached), stored);
    Ok(match is("stream") {
        true => Reply::Events(Form::Steps, events(&kept.done, stored)),
        false => Reply::Completion(Bytes::from(kept.shown().to_string())),
    })
}

/// Whom an interaction is with: a model, or an agent, which works in the background only.
fn partner(world: &World, body: &Value) -> Result<Model, GoogleError> {
    match (text(body, "model"), text(body, "agent")) {
        ("", "") => Err(GoogleError::invalid(
            "Either model or agent must be specified.",
        )),
        ("", agent) if !agent.starts_with("deep-research") => Err(GoogleError {
            message: format!("Agent '{agent}' not found."),
            ..GoogleError::usual(404)
        }),
        ("", _) if get(body, "background") != Some(&Value::Bool(true)) => Err(
            GoogleError::invalid("Agent interactions require background=true."),
        ),
        ("", agent) => Ok(Model {
            kind: Kind::Plain,
            ..Model::named(agent)
        }),
        (model, "") => {
            let id = model.trim_start_matches("models/");
            let mut models = world.models.iter();
            let found = models.find(|model| model.id == id && model.supports("generateContent"));
            found.cloned().ok_or_else(|| GoogleError {
                message: format!("Model '{id}' not found."),
                ..GoogleError::usual(404)
            })
        }
        _ => Err(GoogleError::invalid(
            "Only one of model and agent can be specified.",
        )),
    }
}

/// What was said before, in the interactions that this one goes on from.
fn before(asked: &Asked<'_>, body: &Value, now: i64) -> Result<Vec<Value>, GoogleError> {
    let previous = text(body, "previous_interaction_id");
    if previous.is_empty() {
        return Ok(Vec::new());
    }
    let inner = asked.world.inner.lock();
    let name = format!("interactions/{previous}");
    let found = inner
        .interactions
        .get(&asked.caller.project, &name, now)
        .ok_or_else(not_found)?;
    if found.it.progress.is_some() {
        return Err(GoogleError::invalid(
            "The previous interaction is still in progress.",
        ));
    }
    Ok(found.it.history.clone())
}

/// Makes the interaction, and keeps it if it is to be.
fn keep(
    asked: &Asked<'_>,
    body: &Value,
    mut history: Vec<Value>,
    said: &Answer,
    (input_tokens, cached): (u64, u64),
    stored: bool,
) -> Interaction {
    let world = asked.world;
    let now = world.clock.now();
    let config = get(body, "generation_config").cloned().unwrap_or_default();
    let steps = steps::steps(said, text(&config, "thinking_summaries") == "auto");
    let calls = steps
        .iter()
        .any(|step| text(step, "type") == "function_call");
    let status = match (calls, &*said.finish_reason) {
        (true, _) => "requires_action",
        (_, "MAX_TOKENS") => "incomplete",
        _ => "completed",
    };
    let mut inner = world.inner.lock();
    let id = format!("v1_{}", inner.mint(56));
    // Whole seconds, as this API writes its times.
    let at = time(now - now.rem_euclid(1000));
    let mut done = json!({
        "id": id,
        "status": status,
        "usage": usage(said, input_tokens, cached),
        "created": at,
        "updated": at,
        "service_tier": "standard",
        "steps": steps,
        "object": "interaction",
    });
    for name in ["model", "agent", "previous_interaction_id"] {
        if let Some(given) = get(body, name) {
            done[name] = given.clone();
        }
    }
    history.push(json!({ "role": "model", "parts": said.parts }));
    let in_background = get(body, "background") == Some(&Value::Bool(true));
    let made = || Interaction {
        done: done.clone(),
        input: get(body, "input").cloned().unwrap_or_default(),
        history: history.clone(),
        progress: in_background.then(|| Progress::begin(inner.work, now)),
    };
    let (kept, shown) = (made(), made());
    if stored {
        inner.interactions.put(Owned {
            name: format!("interactions/{id}"),
            owner: asked.caller.clone(),
            created: now,
            expires: Some(now + LIFE),
            it: kept,
        });
    }
    shown
}

fn usage(said: &Answer, input: u64, cached: u64) -> Value {
    let words = |parts: &[Value]| -> u64 {
        parts
            .iter()
            .map(|part| match part.get("text") {
                Some(Value::String(words)) => tokens(words),
                _ => tokens(&part.to_string()),
            })
            .sum()
    };
    let output = words(&said.parts);
    let thought = said
        .thought_tokens
        .unwrap_or_else(|| said.thoughts.iter().map(|thought| tokens(thought)).sum());
    json!({
        "total_tokens": input + output + thought,
        "total_input_tokens": input,
        "input_tokens_by_modality": [{ "modality": "text", "tokens": input }],
        "total_cached_tokens": cached,
        "total_output_tokens": output,
        "total_tool_use_tokens": 0,
        "total_thought_tokens": thought,
    })
}

/// The events of an interaction. Those of one that is kept can be gone on from.
fn events(done: &Value, stored: bool) -> Vec<Value> {
    let mut begun = json!({ "id": done["id"], "status": "in_progress", "object": "interaction" });
    let mut ended = done.clone();
    if let Some(fields) = ended.as_object_mut() {
        fields.remove("steps");
    }
    for name in ["model", "agent"] {
        if let Some(partner) = done.get(name) {
            begun[name] = partner.clone();
        }
    }
    let working = json!({
        "interaction_id": done["id"],
        "status": "in_progress",
        "event_type": "interaction.status_update",
    });
    let mut events = vec![
        json!({ "interaction": begun, "event_type": "interaction.created" }),
        working,
    ];
    events.extend(steps::events(list(done, "steps")));
    events.push(json!({ "interaction": ended, "event_type": "interaction.completed" }));
    if stored {
        for (at, event) in events.iter_mut().enumerate() {
            event["event_id"] = json!(format!("evt_{at}"));
        }
    }
    events
}
