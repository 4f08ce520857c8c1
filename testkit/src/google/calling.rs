//! Calls of models: what they want, what they may cost, what the model makes of them.

use bytes::Bytes;
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
use super::media;
use super::model::Model;
use super::proto::{get, list, text};
use super::reply::{Completion, Form, Page, Reply};
use super::shelf::Caller;
use super::target::Target;

/// A call of a model, as the model gets it.
pub(super) struct Call {
    pub model: Model,
    pub body: Value,
    /// All of them, the cached ones too.
    pub input_tokens: u64,
    pub cached_tokens: u64,
}

/// Refuses what a model does not take, and puts what is cached before what it is asked.
pub(super) fn called(
    world: &World,
    caller: &Caller,
    (action, express): (&str, bool),
    model: Model,
    body: Value,
) -> Result<Call, GoogleError> {
    let asked = lookup::counted(&body);
    let input_tokens = answer::input_tokens(asked);
    let has_contents = matches!(
        action,
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
    well_formed(action, express, &model, &body)?;
    files::check(world, &caller.project, lookup::counted(&body))?;
    let instances = list(&body, "instances").iter();
    let films = instances.filter_map(|one| get(one, "video").filter(|_| !express));
    for uri in films
        .map(|film| text(film, "uri"))
        .filter(|uri| !uri.is_empty())
    {
        files::check_uri(world, &caller.project, uri)?;
    }
    Ok(Call {
        model,
        body,
        input_tokens: input_tokens + cached_tokens,
        cached_tokens,
    })
}

pub(super) fn find_model(world: &World, target: &Target, id: &str) -> Result<Model, GoogleError> {
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
        (Some(model), "predict") if target.express && model.supports("embedContent") => {
            Ok(model.clone())
        }
        (Some(model), action) if model.supports(action) => Ok(model.clone()),
        (_, "streamGenerateContent") => Err(GoogleError::model_not_found(
            &target.version,
            id,
            "generateContent",
        )),
        (_, action) => Err(GoogleError::model_not_found(&target.version, id, action)),
    }
}

pub(super) fn read(target: &Target, body: &Bytes) -> Result<Value, GoogleError> {
    match (target.express, target.action) {
        (_, "get") => Ok(Value::Null),
        (true, "predict") => door::json(body).map(Value::Object),
        // Its fields are those of a request, without what wraps one.
        (true, "countTokens") => door::message("generateContent", body),
        (_, action) => door::message(action, body),
    }
}

fn well_formed(
    action: &str,
    express: bool,
    model: &Model,
    body: &Value,
) -> Result<(), GoogleError> {
    if express {
        check::express(action, body)?;
    }
    match action {
        "generateContent" | "streamGenerateContent" => check::generate(model, body),
        "countTokens" => check::contents(lookup::counted(body)),
        "embedContent" | "batchEmbedContents" => {
            let requests = lookup::embed_requests(action, body);
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
                if action == "batchEmbedContents" && named.trim_start_matches("models/") != model.id
                {
                    return Err(GoogleError::invalid(
                        "* BatchEmbedContentsRequest.requests[].model: must match the model of the batch\n",
                    ));
                }
            }
            Ok(())
        }
        "predict" if !express => media::check_prediction(model, body),
        "predictLongRunning" => media::check_prediction(model, body),
        _ => Ok(()),
    }
}

pub(super) fn spend(
    world: &World,
    caller: &Caller,
    model: &Model,
    tokens: u64,
) -> Result<(), GoogleError> {
    let now = world.clock.now();
    world
        .inner
        .lock()
        .projects
        .entry(caller.project.clone())
        .or_default()
        .admit(now, &model.id, tokens)
}

pub(super) fn complete(world: &World, call: &Call, form: Form, verdict: &Verdict) -> Reply {
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
        form => Reply::Events(form, completion.events()),
    }
}

/// The whole answer of a model to a request of a batch, which counts against no quota and is
/// struck by no fault.
pub(super) fn in_batch(
    world: &World,
    caller: &Caller,
    action: &str,
    model: &Model,
    body: Value,
) -> Result<Value, GoogleError> {
    let call = called(world, caller, (action, false), model.clone(), body)?;
    if action == "embedContent" {
        return Ok(lookup::embed(&call.model, action, &call.body));
    }
    let completion = Completion {
        model: &call.model,
        body: &call.body,
        answer: decide(&call.model, &call.body),
        input_tokens: call.input_tokens,
        cached_tokens: call.cached_tokens,
    };
    Ok(completion.whole())
}
