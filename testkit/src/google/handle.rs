//! One call, from its head to its answer: who asks, for what, is it well-formed, is there
//! quota, does the script want something else.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::World;
use super::answer::{self, Answer, decide};
use super::caches;
use super::check;
use super::door;
use super::error::GoogleError;
use super::fault::{Empty, Fault, Verdict};
use super::files;
use super::lookup;
use super::model::Model;
use super::proto::{get, list, text};
use super::reply::{self, Completion, Form, Page, Reply};
use super::server::{Body, Presence, Reset, Severed, full, played};
use super::shelf::{Asked, Caller};
use super::target::{Target, not_found, unknown_parameters};
use super::upload;

/// Answers one request, from whatever connection it came.
pub(super) async fn respond<B>(
    world: Arc<World>,
    request: Request<B>,
    reset: Reset,
) -> Result<Response<Body>, Severed>
where
    B: http_body::Body<Data = Bytes>,
{
    let (parts, body) = request.into_parts();
    if let Some(response) = super::bench::respond(&world, &parts) {
        // The rest of the request must be read, or the connection could not be used again.
        let _ = body.collect().await;
        return Ok(response);
    }
    let mut presence = Presence::new(Arc::clone(&world));
    let target = Target::parse(&parts);
    let body = door::read_at_most(body, door::most(&world, target.as_ref())).await;
    let id = world.saw(&parts, body.as_ref());
    let mut verdict = Verdict::default();
    let form = target.as_ref().map_or(Form::Whole, |target| target.form);
    let reply = match &target {
        Some(target) => answer(&world, id, &parts, target, body, &mut verdict),
        None => Ok(Page::new(404, "text/html; charset=UTF-8", not_found(&parts)).into()),
    };
    // Whoever waits for the request now finds everything about it but its status.
    world.counts.send_modify(|counts| counts.received += 1);
    if !verdict.latency.is_zero() {
        world.clock.sleep(verdict.latency).await;
    }
    if verdict.fault == Some(Fault::StallBeforeHeaders) {
        world.stall().await;
    }
    let mut headers = Vec::new();
    let json = Form::Whole.content_type();
    let (status, content_type, body) = match reply {
        Ok(Reply::Json(value)) => (
            200,
            json.to_owned(),
            Err(Bytes::from(format!("{value:#}\n"))),
        ),
        Ok(Reply::Completion(whole)) => (
            200,
            json.to_owned(),
            reply::body(&whole, &verdict).ok_or(whole),
        ),
        Ok(Reply::Events(events)) => (
            200,
            form.content_type().to_owned(),
            Ok(reply::stream(form, &events, &verdict)),
        ),
        Ok(Reply::Page(page)) => {
            headers = page.headers;
            (page.status, page.content_type, Err(page.body))
        }
        Ok(Reply::Close) => {
            presence.served();
            return Err(Severed);
        }
        Err(error) => (
            error.code,
            json.to_owned(),
            Err(reply::error_body(form, &error)),
        ),
    };
    world.note(id, |seen| seen.status = Some(status));
    let body = match body {
        Ok(steps) => played(steps, Arc::clone(&world), presence, reset),
        Err(bytes) => {
            presence.served();
            full(bytes)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type =
        HeaderValue::from_str(&content_type).unwrap_or(HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static("fake-google"));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
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
        seen.key = door::credential(parts, &target.query, "").ok();
        seen.resource = Some(target.resource.clone()).filter(|name| name.contains('/'));
    });
    let caller = match target.upload() {
        Some(upload) => match upload::owner(world, upload) {
            Some(owner) => owner,
            None => return Ok(upload::unknown()),
        },
        None => door::admit(world, parts, target)?,
    };
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
        Some(model) => {
            let model = find_model(world, target, model)?;
            Some(called(world, &caller, target, model, read(target, &body)?)?)
        }
    };
    let model_id = target.model.as_deref();
    *verdict = world
        .inner
        .lock()
        .script
        .take(&caller.key, model_id, target.action);
    if let Some(reply) = fault(verdict, &caller, target) {
        return reply;
    }
    let asked = Asked {
        world,
        caller: &caller,
        parts,
        target,
        body: &body,
    };
    if let Some(upload) = target.upload() {
        return upload::go_on(&asked, upload);
    }
    match target.action.split('.').next() {
        Some("files") => return files::answer(&asked),
        Some("cachedContents") => return caches::answer(&asked),
        _ => {}
    }
    let Some(call) = call else {
        return lookup::list_models(world, target).map(Reply::Json);
    };
    let (model, body) = (&call.model, &call.body);
    match target.action {
        "get" => Ok(Reply::Json(model.to_json())),
        "countTokens" => Ok(Reply::Json(lookup::count_tokens(
            call.input_tokens,
            call.cached_tokens,
        ))),
        "predict" => {
            let embed = lookup::of_instance(body);
            let tokens = answer::input_tokens(&lookup::embedded(&embed));
            spend(world, &caller, model, tokens)?;
            Ok(Reply::Json(lookup::predict(model, &embed, tokens)))
        }
        "embedContent" | "batchEmbedContents" => {
            spend(
                world,
                &caller,
                model,
                answer::input_tokens(&lookup::embedded(body)),
            )?;
            Ok(Reply::Json(lookup::embed(model, target.action, body)))
        }
        _ => {
            spend(world, &caller, model, call.input_tokens)?;
            Ok(complete(world, &call, target.form, verdict))
        }
    }
}

/// A call of a model, as the model gets it.
struct Call {
    model: Model,
    body: Value,
    /// All of them, the cached ones too.
    input_tokens: u64,
    cached_tokens: u64,
}

/// Refuses what a model does not take, and puts what is cached before what it is asked.
fn called(
    world: &World,
    caller: &Caller,
    target: &Target,
    model: Model,
    body: Value,
) -> Result<Call, GoogleError> {
    let asked = lookup::counted(&body);
    let input_tokens = answer::input_tokens(asked);
    let has_contents = matches!(
        target.action,
        "generateContent" | "streamGenerateContent" | "countTokens"
    );
    let cache = match has_contents {
        true => caches::with_cache(world, caller, &model, asked)?,
        false => None,
    };
    if cache.is_some() {
        check::contents(asked)?;
    }
    let (body, cached_tokens) = cache.unwrap_or((body, 0));
    well_formed(target, &model, &body)?;
    files::check(world, &caller.project, lookup::counted(&body))?;
    Ok(Call {
        model,
        body,
        input_tokens: input_tokens + cached_tokens,
        cached_tokens,
    })
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
        (Some(model), "predict") if model.supports("embedContent") => Ok(model.clone()),
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
    match (target.express, target.action) {
        (_, "get") => Ok(Value::Null),
        (true, "predict") => door::json(body).map(Value::Object),
        // Its fields are those of a request, without what wraps one.
        (true, "countTokens") => door::message("generateContent", body),
        (_, action) => door::message(action, body),
    }
}

fn well_formed(target: &Target, model: &Model, body: &Value) -> Result<(), GoogleError> {
    if target.express {
        check::express(target.action, body)?;
    }
    match target.action {
        "generateContent" | "streamGenerateContent" => check::generate(model, body),
        "countTokens" => check::contents(lookup::counted(body)),
        "embedContent" | "batchEmbedContents" => {
            let requests = lookup::embed_requests(target.action, body);
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
            return Some(Ok(
                Page::new(*status, content_type.clone(), body.clone()).into()
            ));
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

fn complete(world: &World, call: &Call, form: Form, verdict: &Verdict) -> Reply {
    let scripted = world.inner.lock().answers.pop_front();
    let mut completion = Completion {
        model: &call.model,
        body: &call.body,
        answer: scripted.unwrap_or_else(|| decide(&call.model, &call.body)),
        input_tokens: call.input_tokens,
        cached_tokens: call.cached_tokens,
    };
    let bare =
        |completion: &Completion<'_>, response: Value| vec![completion.response(response, 0)];
    let candidate = |content: Value, reason: &str| json!({ "candidates": [{ "content": content, "finishReason": reason, "index": 0 }] });
    match &verdict.fault {
        Some(Fault::Empty(Empty::NoBody)) => {
            return Page::new(200, form.content_type(), Bytes::new()).into();
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
        Form::Whole => Reply::Completion(Bytes::from(format!("{:#}\n", completion.whole()))),
        Form::Sse | Form::Array => Reply::Events(completion.events()),
    }
}
