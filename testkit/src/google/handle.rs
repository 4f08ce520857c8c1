//! One call, from its head to its answer: who asks, for what, is it well-formed, is there
//! quota, does the script want something else.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, SERVER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use super::World;
use super::answer::{self, Answer, decide};
use super::check;
use super::error::{GoogleError, Refusal};
use super::fault::{Empty, Fault, Verdict};
use super::model::Model;
use super::proto::{self, get, int, list, text};
use super::reply::{self, Completion, Form};
use super::server::{Body, Presence, Reset, Severed, full, played};

/// A method of the API: its name in the path (or the fake's name for it), and its full name without the version.
const METHODS: &[(&str, &str)] = &[
    ("models", "ModelService.ListModels"),
    ("get", "ModelService.GetModel"),
    ("generateContent", "GenerativeService.GenerateContent"),
    (
        "streamGenerateContent",
        "GenerativeService.StreamGenerateContent",
    ),
    ("countTokens", "GenerativeService.CountTokens"),
    ("embedContent", "GenerativeService.EmbedContent"),
    ("batchEmbedContents", "GenerativeService.BatchEmbedContents"),
];

/// Parameters that every method takes beside its own fields.
const SYSTEM_PARAMETERS: &[&str] = &[
    "key",
    "alt",
    "$alt",
    "access_token",
    "oauth_token",
    "prettyPrint",
    "$prettyPrint",
    "fields",
    "$fields",
    "quotaUser",
    "callback",
    "$.xgafv",
    "uploadType",
    "upload_protocol",
];

/// What a call asks for.
struct Target {
    version: String,
    action: &'static str,
    rpc: &'static str,
    model: Option<String>,
    form: Form,
    query: Vec<(String, String)>,
}

impl Target {
    /// `None` is a path that the API does not have.
    fn parse(parts: &Parts) -> Option<Self> {
        let query: Vec<(String, String)> = parts
            .uri
            .query()
            .map(|query| {
                form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect()
            })
            .unwrap_or_default();
        let path = percent_encoding::percent_decode_str(parts.uri.path())
            .decode_utf8()
            .ok()?;
        let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
        if !matches!(version, "v1" | "v1beta" | "v1alpha") {
            return None;
        }
        let (method, model) = match (&parts.method, rest) {
            (&Method::GET, "models") => ("models", None),
            (&Method::GET, rest) => ("get", Some(rest.strip_prefix("models/")?)),
            (&Method::POST, rest) => {
                let (model, action) = rest.strip_prefix("models/")?.rsplit_once(':')?;
                (action, Some(model))
            }
            _ => return None,
        };
        let (action, rpc) = METHODS.iter().find(|(action, _)| *action == method)?;
        let sse = query
            .iter()
            .any(|(name, value)| matches!(name.as_str(), "alt" | "$alt") && value == "sse");
        let form = match (*action, sse) {
            ("streamGenerateContent", true) => Form::Sse,
            ("streamGenerateContent", false) => Form::Array,
            _ => Form::Whole,
        };
        Some(Self {
            version: version.to_owned(),
            action,
            rpc,
            model: model.map(str::to_owned),
            form,
            query,
        })
    }

    fn rpc(&self) -> String {
        format!("google.ai.generativelanguage.{}.{}", self.version, self.rpc)
    }

    /// A parameter of the query, in either spelling.
    fn parameter(&self, camel: &str, snake: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == camel || name == snake)
            .map(|(_, value)| value.as_str())
    }
}

/// What a call comes to.
enum Reply {
    Json(Value),
    Completion {
        whole: Bytes,
    },
    Events(Vec<Value>),
    Bytes {
        status: u16,
        content_type: String,
        body: Bytes,
    },
    Close,
}

/// A call that was let in.
struct Caller {
    key: String,
    project: String,
}

pub(super) async fn respond<B>(
    world: Arc<World>,
    request: Request<B>,
    reset: Reset,
) -> Result<Response<Body>, Severed>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    if let Some(response) = super::bench::respond(&world, &parts) {
        // The rest of the request must be read, or the connection could not be used again.
        let _ = body.collect().await;
        return Ok(response);
    }
    let target = Target::parse(&parts);
    let mut presence = Presence::new(Arc::clone(&world));
    let body = Limited::new(body, world.max_body)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .ok();
    let id = world.saw(&parts, body.as_ref());
    let Some(target) = target else {
        presence.served();
        return Ok(finish(
            &world,
            id,
            StatusCode::NOT_FOUND,
            "text/html; charset=UTF-8",
            full(not_found(&parts)),
        ));
    };
    let form = target.form;
    let mut verdict = Verdict::default();
    let reply = answer(&world, id, &parts, &target, body, &mut verdict);
    if !verdict.latency.is_zero() {
        world.clock.sleep(verdict.latency).await;
    }
    if verdict.fault == Some(Fault::StallBeforeHeaders) {
        world.stall().await;
    }
    let (status, kind, steps) = match reply {
        Ok(Reply::Json(value)) => (
            StatusCode::OK,
            Form::Whole.content_type(),
            Err(Bytes::from(format!("{value:#}\n"))),
        ),
        Ok(Reply::Completion { whole }) => {
            let steps = reply::body(&whole, &verdict).ok_or(whole);
            (StatusCode::OK, Form::Whole.content_type(), steps)
        }
        Ok(Reply::Events(events)) => (
            StatusCode::OK,
            form.content_type(),
            Ok(reply::stream(form, &events, &verdict)),
        ),
        Ok(Reply::Bytes {
            status,
            content_type,
            body,
        }) => {
            presence.served();
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(finish(&world, id, status, &content_type, full(body)));
        }
        Ok(Reply::Close) => {
            presence.served();
            return Err(Severed);
        }
        Err(error) => (
            error.http_status(),
            Form::Whole.content_type(),
            Err(reply::error_body(form, &error)),
        ),
    };
    let body = match steps {
        Ok(steps) => played(steps, Arc::clone(&world), presence, reset),
        Err(bytes) => {
            presence.served();
            full(bytes)
        }
    };
    Ok(finish(&world, id, status, kind, body))
}

fn finish(
    world: &World,
    id: u64,
    status: StatusCode,
    content_type: &str,
    body: Body,
) -> Response<Body> {
    world.note(id, |seen| seen.status = Some(status.as_u16()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type =
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static("fake-google"));
    response
}

/// Google's answer to a path it does not have is a page, not JSON.
fn not_found(parts: &Parts) -> Bytes {
    let path = parts.uri.path().replace('&', "&amp;").replace('<', "&lt;");
    Bytes::from(format!(
        "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n<p><b>404.</b> <ins>That's an \
         error.</ins>\n<p>The requested URL <code>{path}</code> was not found on this server.\n"
    ))
}

/// The one credential of a call.
pub(super) fn credential(
    parts: &Parts,
    query: &[(String, String)],
    rpc: &str,
) -> Result<String, GoogleError> {
    let keys = parts
        .headers
        .get_all("x-goog-api-key")
        .iter()
        .map(|value| value.to_str().unwrap_or_default().to_owned());
    let in_query = query
        .iter()
        .filter(|(name, _)| name == "key")
        .map(|(_, value)| value.clone());
    let mut keys: Vec<String> = keys.chain(in_query).filter(|key| !key.is_empty()).collect();
    let tokens = parts.headers.get_all(AUTHORIZATION).iter().count()
        + query
            .iter()
            .filter(|(name, _)| matches!(name.as_str(), "access_token" | "oauth_token"))
            .count();
    match (keys.len(), tokens) {
        (0, 0) => Err(GoogleError::no_credential()),
        (1, 0) => Ok(keys.remove(0)),
        (0, 1) => Err(GoogleError::token_type_unsupported(rpc)),
        _ => Err(GoogleError::several_credentials()),
    }
}

fn admit(world: &World, parts: &Parts, target: &Target) -> Result<Caller, GoogleError> {
    let rpc = target.rpc();
    let key = credential(parts, &target.query, &rpc)?;
    let inner = world.inner.lock();
    match inner.keys.get(&key) {
        None => Err(Refusal::Invalid.error(&key, "", &rpc)),
        Some(state) => match state.refusal {
            Some(refusal) => Err(refusal.error(&key, &state.project, &rpc)),
            None => Ok(Caller {
                project: state.project.clone(),
                key,
            }),
        },
    }
}

/// Everything that is decided before the first byte. The order is Google's: credentials,
/// the JSON, the model, what the model wants; then the script's faults, then the quota.
fn answer(
    world: &World,
    id: u64,
    parts: &Parts,
    target: &Target,
    body: Option<Bytes>,
    verdict: &mut Verdict,
) -> Result<Reply, GoogleError> {
    world.note(id, |seen| {
        seen.action = Some(target.action);
        seen.model.clone_from(&target.model);
        seen.key = credential(parts, &target.query, "").ok();
    });
    let caller = admit(world, parts, target)?;
    world.note(id, |seen| seen.project = Some(caller.project.clone()));
    unknown_parameters(target)?;
    let Some(body) = body else {
        return Err(GoogleError::invalid(format!(
            "Request payload size exceeds the limit: {} bytes. Please use the File API for larger requests.",
            world.max_body
        )));
    };
    let call = match target.model.as_deref() {
        None => None,
        Some(model) => Some((find_model(world, target, model)?, read(target, &body)?)),
    };
    if let Some((model, body)) = &call {
        well_formed(target, model, body)?;
    }
    let model_id = target.model.as_deref();
    *verdict = world
        .inner
        .lock()
        .script
        .take(&caller.key, model_id, target.action);
    if let Some(reply) = fault(verdict, &caller, target) {
        return reply;
    }
    let Some((model, body)) = call else {
        return list_models(world, target);
    };
    match target.action {
        "get" => Ok(Reply::Json(model.to_json())),
        "countTokens" => Ok(count_tokens(&body)),
        "embedContent" | "batchEmbedContents" => {
            spend(
                world,
                &caller,
                &model,
                answer::input_tokens(&embedded(&body)),
            )?;
            Ok(embed(&model, target.action, &body))
        }
        _ => {
            let input_tokens = answer::input_tokens(&body);
            spend(world, &caller, &model, input_tokens)?;
            Ok(complete(
                world,
                &model,
                &body,
                target.form,
                input_tokens,
                verdict,
            ))
        }
    }
}

fn unknown_parameters(target: &Target) -> Result<(), GoogleError> {
    let own: &[&str] = if target.action == "models" {
        &["pageSize", "pageToken", "page_size", "page_token"]
    } else {
        &[]
    };
    let unknown: Vec<(String, String)> = target
        .query
        .iter()
        .filter(|(name, _)| !SYSTEM_PARAMETERS.contains(&name.as_str()) && !own.contains(&name.as_str()))
        .map(|(name, _)| {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' \
                 could not be found in request message."
            );
            (String::new(), message)
        })
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(GoogleError::fields(&unknown))
    }
}

fn find_model(world: &World, target: &Target, id: &str) -> Result<Model, GoogleError> {
    let model = world.models.iter().find(|model| model.id == id);
    match (model, target.action) {
        (Some(model), "get") => Ok(model.clone()),
        (None, "get") => Err(GoogleError {
            message: format!(
                "Model is not found: models/{id} for api version {}",
                target.version
            ),
            ..GoogleError::usual(404)
        }),
        (Some(model), action) if model.supports(action) => Ok(model.clone()),
        (_, "streamGenerateContent") => Err(GoogleError::model_not_found(
            &target.version,
            id,
            "generateContent",
        )),
        (_, action) => Err(GoogleError::model_not_found(&target.version, id, action)),
    }
}

fn read(target: &Target, body: &Bytes) -> Result<Value, GoogleError> {
    if target.action == "get" {
        return Ok(Value::Null);
    }
    // No body at all is an empty message to protobuf.
    let body = if body.is_empty() { &b"{}"[..] } else { body };
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let described = format!(
            "Invalid JSON payload received. {}",
            capital(&error.to_string())
        );
        GoogleError::fields(&[(String::new(), described)])
    })?;
    let Some(object) = value.as_object() else {
        return Err(GoogleError::fields(&[(
            String::new(),
            "Invalid JSON payload received. Root element must be a message.".to_owned(),
        )]));
    };
    let wrong = proto::violations(target.action, object);
    if wrong.is_empty() {
        Ok(value)
    } else {
        Err(GoogleError::fields(&wrong))
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn well_formed(target: &Target, model: &Model, body: &Value) -> Result<(), GoogleError> {
    match target.action {
        "generateContent" | "streamGenerateContent" => check::generate(model, body),
        "countTokens" => check::contents(counted(body)),
        "embedContent" | "batchEmbedContents" => {
            let requests = embed_requests(target.action, body);
            if requests.is_empty() {
                return Err(GoogleError::invalid(
                    "* BatchEmbedContentsRequest.requests: requests is not specified\n".to_owned(),
                ));
            }
            for request in requests {
                let parts = get(request, "content")
                    .map(|content| list(content, "parts"))
                    .unwrap_or_default();
                if parts.is_empty() {
                    return Err(GoogleError::invalid(
                        "* EmbedContentRequest.content: content is not specified\n",
                    ));
                }
                let named = text(request, "model");
                if target.action == "batchEmbedContents"
                    && named.trim_start_matches("models/") != model.id
                {
                    return Err(GoogleError::invalid(
                        "* BatchEmbedContentsRequest.requests[].model: must match the model of the batch\n",
                    ));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The faults that stand in place of an answer, whatever was asked.
fn fault(
    verdict: &Verdict,
    caller: &Caller,
    target: &Target,
) -> Option<Result<Reply, GoogleError>> {
    let model = target.model.as_deref().unwrap_or_default();
    let error = match verdict.fault.as_ref()? {
        Fault::Status(code) => GoogleError::usual(*code),
        Fault::Error(error) => error.clone(),
        Fault::Refuse(refusal) => refusal.error(&caller.key, &caller.project, &target.rpc()),
        Fault::Exhausted(exhaustion) => exhaustion.error(model),
        Fault::ErrorInStream { code, .. } if target.form == Form::Whole => {
            GoogleError::usual(*code)
        }
        Fault::Raw {
            status,
            content_type,
            body,
        } => {
            return Some(Ok(Reply::Bytes {
                status: *status,
                content_type: content_type.clone(),
                body: Bytes::from(body.clone()),
            }));
        }
        Fault::CloseBeforeHeaders => return Some(Ok(Reply::Close)),
        _ => return None,
    };
    Some(Err(error))
}

fn spend(world: &World, caller: &Caller, model: &Model, tokens: u64) -> Result<(), GoogleError> {
    let now = world.clock.now();
    world
        .inner
        .lock()
        .projects
        .entry(caller.project.clone())
        .or_default()
        .admit(now, &model.id, tokens)
}

fn complete(
    world: &World,
    model: &Model,
    body: &Value,
    form: Form,
    input_tokens: u64,
    verdict: &Verdict,
) -> Reply {
    let scripted = world.inner.lock().answers.pop_front();
    let mut completion = Completion {
        model,
        body,
        answer: scripted.unwrap_or_else(|| decide(model, body)),
        input_tokens,
    };
    let bare =
        |completion: &Completion<'_>, response: Value| vec![completion.response(response, 0)];
    let candidate = |content: Value, reason: &str| json!({ "candidates": [{ "content": content, "finishReason": reason, "index": 0 }] });
    match &verdict.fault {
        Some(Fault::Empty(Empty::NoBody)) => {
            let content_type = form.content_type().to_owned();
            return Reply::Bytes {
                status: 200,
                content_type,
                body: Bytes::new(),
            };
        }
        Some(Fault::Empty(empty)) => {
            let response = match empty {
                Empty::NoCandidates | Empty::NoBody => json!({}),
                Empty::NoParts => candidate(json!({ "role": "model" }), "STOP"),
                Empty::EmptyText => candidate(
                    json!({ "parts": [{ "text": "" }], "role": "model" }),
                    "STOP",
                ),
            };
            completion.answer = Answer::verbatim(bare(&completion, response));
        }
        Some(Fault::Blocked) => {
            let response = json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" } });
            completion.answer = Answer::verbatim(bare(&completion, response));
        }
        Some(Fault::Finished(reason)) => {
            completion.answer = Answer::verbatim(bare(
                &completion,
                candidate(json!({ "role": "model" }), reason),
            ));
        }
        Some(Fault::ThoughtOnly) => {
            let thought = json!({ "text": "**Thinking**\n\nI think, and then say nothing.\n\n", "thought": true });
            let content = json!({ "parts": [thought], "role": "model" });
            completion.answer = Answer::verbatim(bare(&completion, candidate(content, "STOP")));
        }
        _ => {}
    }
    match form {
        Form::Whole => Reply::Completion {
            whole: Bytes::from(format!("{:#}\n", completion.whole())),
        },
        Form::Sse | Form::Array => Reply::Events(completion.events()),
    }
}

fn list_models(world: &World, target: &Target) -> Result<Reply, GoogleError> {
    const USUAL: usize = 50;
    const MOST: usize = 1000;
    let size = match target
        .parameter("pageSize", "page_size")
        .map(str::parse::<i32>)
    {
        None | Some(Ok(0)) => USUAL,
        Some(Ok(size)) if size > 0 => usize::try_from(size).unwrap_or(MOST).min(MOST),
        Some(_) => {
            return Err(GoogleError::invalid(
                "* ListModelsRequest.page_size: page_size must be positive.\n",
            ));
        }
    };
    let start = match target
        .parameter("pageToken", "page_token")
        .filter(|token| !token.is_empty())
    {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|start| start.parse().ok())
            .filter(|start| *start < world.models.len())
            .ok_or_else(|| GoogleError::invalid("Invalid page token."))?,
    };
    let end = (start + size).min(world.models.len());
    let mut page = json!({ "models": world.models[start..end].iter().map(Model::to_json).collect::<Vec<_>>() });
    if end < world.models.len() {
        page["nextPageToken"] = json!(format!("page-{end}"));
    }
    Ok(Reply::Json(page))
}

/// The request whose tokens are counted: bare contents, or a whole request inside.
fn counted(body: &Value) -> &Value {
    get(body, "generate_content_request").unwrap_or(body)
}

fn count_tokens(body: &Value) -> Reply {
    let tokens = answer::input_tokens(counted(body));
    Reply::Json(json!({
        "totalTokens": tokens,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens }],
    }))
}

fn embed_requests<'a>(action: &str, body: &'a Value) -> &'a [Value] {
    if action == "embedContent" {
        std::slice::from_ref(body)
    } else {
        list(body, "requests")
    }
}

/// The contents to embed, in the shape in which tokens are counted.
fn embedded(body: &Value) -> Value {
    let of = |request: &Value| get(request, "content").cloned().unwrap_or_default();
    let contents: Vec<Value> = match list(body, "requests") {
        [] => vec![of(body)],
        requests => requests.iter().map(of).collect(),
    };
    json!({ "contents": contents })
}

fn embed(model: &Model, action: &str, body: &Value) -> Reply {
    /// `gemini-embedding-001` gives so many numbers unless told otherwise.
    const USUAL: usize = 3072;
    let vector = |request: &Value| {
        let content = get(request, "content").cloned().unwrap_or_default();
        let said: Vec<&str> = list(&content, "parts")
            .iter()
            .map(|part| text(part, "text"))
            .collect();
        let length = int(request, "output_dimensionality")
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(USUAL);
        let length = length.clamp(1, USUAL);
        json!({ "values": answer::embedding(&format!("{}\n{}", model.id, said.join("\n")), length) })
    };
    let requests = embed_requests(action, body);
    Reply::Json(match (action, requests) {
        ("embedContent", [request]) => json!({ "embedding": vector(request) }),
        _ => json!({ "embeddings": requests.iter().map(vector).collect::<Vec<_>>() }),
    })
}
