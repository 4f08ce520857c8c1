//! One call, from its head to its answer: who asks, for what, is it well-formed, is there
//! quota, does the script want something else.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;

use super::World;
use super::answer;
use super::batches;
use super::caches;
use super::calling::{called, complete, find_model, read, spend};
use super::door;
use super::error::GoogleError;
use super::fault::{Fault, Verdict};
use super::files;
use super::interactions;
use super::lookup;
use super::media;
use super::operations;
use super::reply::{self, Form, Page, Reply};
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
        Ok(Reply::Events(form, events)) => (
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
            let how = (target.action, target.express);
            Some(called(world, &caller, how, model, read(target, &body)?)?)
        }
    };
    let (named, form) = match target.action {
        "interactions.create" => interactions::asked_for(&body),
        _ => (target.model.clone(), target.form),
    };
    let model_id = named.as_deref();
    if named.is_some() {
        world.note(id, |seen| seen.model.clone_from(&named));
    }
    *verdict = world
        .inner
        .lock()
        .script
        .take(&caller.key, model_id, target.action);
    if let Some(reply) = fault(verdict, &caller, target, (model_id, form)) {
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
        Some("operations") => return operations::answer(&asked),
        Some("batches") => return batches::answer(&asked),
        Some("interactions") => return Ok(interactions::answer(&asked)),
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
        "predict" if target.express => {
            let embed = lookup::of_instance(body);
            let tokens = answer::input_tokens(&lookup::embedded(&embed));
            spend(world, &caller, model, tokens)?;
            Ok(Reply::Json(lookup::predict(model, &embed, tokens)))
        }
        "predict" => {
            spend(world, &caller, model, call.input_tokens)?;
            Ok(Reply::Json(media::drawn(body)))
        }
        "predictLongRunning" => {
            spend(world, &caller, model, call.input_tokens)?;
            Ok(Reply::Json(operations::begin(&asked, model, body)))
        }
        "batchGenerateContent" | "asyncBatchEmbedContent" => {
            batches::create(&asked, model, body).map(Reply::Json)
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

/// The faults that stand in place of an answer, whatever was asked.
fn fault(
    verdict: &Verdict,
    caller: &Caller,
    target: &Target,
    (model, form): (Option<&str>, Form),
) -> Option<Result<Reply, GoogleError>> {
    let model = model.unwrap_or_default();
    let error = match verdict.fault.as_ref()? {
        Fault::Status(code) => GoogleError::usual(*code),
        Fault::Error(error) => error.clone(),
        Fault::Refuse(refusal) => refusal.error(&caller.key, &caller.project, &target.rpc()),
        Fault::Exhausted(exhaustion) => exhaustion.error(model),
        Fault::ErrorInStream { code, .. } if form == Form::Whole => GoogleError::usual(*code),
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
