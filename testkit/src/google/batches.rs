//! Batches: many requests in one, answered when there is time.
//!
//! The methods: <https://ai.google.dev/api/batch-api>. What a batch looks like while it waits,
//! works and is done was published word for word by several who used it, as were the names of
//! the files of results and the lines in them.
//!
//! Deliberately absent: batches that fail as a whole or expire, and notice by webhook.

use serde_json::{Value, json};

use super::World;
use super::calling;
use super::error::GoogleError;
use super::files;
use super::model::Model;
use super::proto::{self, get, list, text};
use super::reply::Reply;
use super::shelf::{Asked, Caller, Owned, Paging, time};
use super::work::Progress;

/// The package of Google's that its batches name their types by.
const TYPES: &str = "type.googleapis.com/google.ai.generativelanguage.v1main.";

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    model: Model,
    display_name: String,
    /// The method that each request is for.
    action: &'static str,
    /// Each with what it is told apart by: `metadata` inline, `key` in a file.
    requests: Vec<(Value, Value)>,
    /// The file that they came from.
    file: Option<String>,
    progress: Progress,
    state: State,
    /// In milliseconds since 1970.
    updated: i64,
}

#[derive(Debug)]
enum State {
    Pending,
    Running,
    /// With the output, and how many of the requests failed.
    Succeeded(Value, usize),
    Cancelled,
}

/// The batch as Google shows it, an operation.
pub(super) fn show(batch: &Owned<Batch>) -> Value {
    let it = &batch.it;
    let kind = match it.action {
        "embedContent" => "EmbedContentBatch",
        _ => "GenerateContentBatch",
    };
    let mut about = json!({
        "@type": format!("{TYPES}{kind}"),
        "model": format!("models/{}", it.model.id),
        "displayName": it.display_name,
    });
    if let Some(file) = &it.file {
        about["inputConfig"] = json!({ "fileName": file });
    }
    let count = it.requests.len();
    let mut stats = json!({ "requestCount": count.to_string() });
    let state = match &it.state {
        State::Pending => "PENDING",
        State::Running => "RUNNING",
        State::Succeeded(..) => "SUCCEEDED",
        State::Cancelled => "CANCELLED",
    };
    match &it.state {
        State::Pending | State::Running => {
            stats["pendingRequestCount"] = json!(count.to_string());
        }
        State::Succeeded(output, failed) => {
            about["output"] = output.clone();
            // A zero is left out of protobuf's JSON.
            if count > *failed {
                stats["successfulRequestCount"] = json!((count - failed).to_string());
            }
            if *failed > 0 {
                stats["failedRequestCount"] = json!(failed.to_string());
            }
        }
        State::Cancelled => {}
    }
    about["createTime"] = json!(time(batch.created));
    if matches!(it.state, State::Succeeded(..) | State::Cancelled) {
        about["endTime"] = json!(time(it.updated));
    }
    about["updateTime"] = json!(time(it.updated));
    about["batchStats"] = stats;
    about["state"] = json!(format!("BATCH_STATE_{state}"));
    about["name"] = json!(batch.name);
    let mut shown = json!({ "name": batch.name, "metadata": about });
    match &it.state {
        State::Succeeded(output, _) => {
            shown["done"] = json!(true);
            let mut response = json!({ "@type": format!("{TYPES}{kind}Output") });
            if let (Some(response), Some(output)) = (response.as_object_mut(), output.as_object()) {
                response.extend(output.clone());
            }
            shown["response"] = response;
        }
        State::Cancelled => {
            shown["done"] = json!(true);
            let error = GoogleError::usual(499);
            shown["error"] = json!({ "code": error.grpc_code(), "message": error.message });
        }
        State::Pending | State::Running => {}
    }
    shown
}

/// Takes a batch on.
pub(super) fn create(asked: &Asked<'_>, model: &Model, body: &Value) -> Result<Value, GoogleError> {
    let world = asked.world;
    let now = world.clock.now();
    let batch = get(body, "batch").cloned().unwrap_or_default();
    let input = get(&batch, "input_config").cloned().unwrap_or_default();
    let file = Some(text(&input, "file_name").to_owned()).filter(|name| !name.is_empty());
    let inline = get(&input, "requests");
    let requests = match (&file, inline) {
        (Some(_), Some(_)) => {
            return Err(GoogleError::fields(&[(
                "batch.input_config".to_owned(),
                "Invalid value at 'batch.input_config' (oneof), oneof field 'source' is already set. Cannot set \
                 'requests'"
                    .to_owned(),
            )]));
        }
        (Some(name), None) => in_file(world, asked.caller, name, now)?,
        (None, Some(inline)) => {
            let requests = list(inline, "requests").iter();
            let apart = |one: &Value| get(one, "metadata").cloned().unwrap_or_default();
            let request = |one: &Value| get(one, "request").cloned().unwrap_or_default();
            requests.map(|one| (apart(one), request(one))).collect()
        }
        (None, None) => Vec::new(),
    };
    if requests.is_empty() {
        return Err(GoogleError::invalid(
            "* BatchGenerateContentRequest.batch.input_config: no requests are specified\n",
        ));
    }
    let mut inner = world.inner.lock();
    let batch = Owned {
        name: format!("batches/{}", inner.mint(36)),
        owner: asked.caller.clone(),
        created: now,
        expires: None,
        it: Batch {
            model: model.clone(),
            display_name: text(&batch, "display_name").to_owned(),
            action: match asked.target.action {
                "asyncBatchEmbedContent" => "embedContent",
                _ => "generateContent",
            },
            requests,
            file,
            progress: Progress::begin(inner.work, now),
            state: State::Pending,
            updated: now,
        },
    };
    let shown = show(&batch);
    inner.batches.put(batch);
    Ok(shown)
}

/// The requests in a file: a line each, with a key.
fn in_file(
    world: &World,
    caller: &Caller,
    name: &str,
    now: i64,
) -> Result<Vec<(Value, Value)>, GoogleError> {
    let inner = world.inner.lock();
    let file = inner.files.get(&caller.project, name, now);
    let file = file.ok_or_else(|| files::forbidden(name))?;
    let content = String::from_utf8_lossy(&file.it.content);
    let lines = content.lines().filter(|line| !line.trim().is_empty());
    let read = |(at, line): (usize, &str)| {
        let line: Value = serde_json::from_str(line).map_err(|error| {
            GoogleError::invalid(format!("Line {} of {name} is not JSON: {error}", at + 1))
        })?;
        let request = get(&line, "request").cloned().unwrap_or_default();
        Ok((get(&line, "key").cloned().unwrap_or_default(), request))
    };
    lines.enumerate().map(read).collect()
}

const PAGING: Paging = Paging {
    request: "ListOperationsRequest",
    field: "operations",
    usual: 100,
    most: 1000,
    coerces: true,
};

/// Answers one call about batches.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let (world, target) = (asked.world, asked.target);
    let now = world.clock.now();
    let (name, project) = (&target.resource, &asked.caller.project);
    let gone = || GoogleError::usual(404);
    let mut inner = world.inner.lock();
    let shown = match target.action {
        "batches.list" => inner
            .batches
            .page(asked.caller, now, target, &PAGING, show)?,
        "batches.delete" => {
            inner.batches.remove(project, name, now).ok_or_else(gone)?;
            json!({})
        }
        "batches.cancel" => {
            let batch = inner.batches.get_mut(project, name, now);
            let batch = batch.ok_or_else(gone)?;
            if matches!(batch.it.state, State::Pending | State::Running) {
                batch.it.state = State::Cancelled;
                batch.it.updated = now;
            }
            json!({})
        }
        _ => {
            let batch = inner.batches.get_mut(project, name, now);
            let batch = batch.ok_or_else(gone)?;
            let works = matches!(batch.it.state, State::Pending | State::Running);
            if works && batch.it.progress.look(now) {
                let it = &batch.it;
                let (owner, model, action) = (batch.owner.clone(), it.model.clone(), it.action);
                let (requests, from_file) = (it.requests.clone(), it.file.is_some());
                drop(inner);
                let lines = run(world, &owner, &model, action, requests, from_file);
                let failed = lines.iter().filter(|line| line.get("error").is_some());
                let failed = failed.count();
                let output = match from_file {
                    true => json!({ "responsesFile": keep(world, &owner, name, &lines) }),
                    false => json!({ "inlinedResponses": { "inlinedResponses": lines } }),
                };
                inner = world.inner.lock();
                if let Some(batch) = inner.batches.get_mut(project, name, now) {
                    batch.it.state = State::Succeeded(output, failed);
                    batch.it.updated = now;
                }
            } else if works {
                batch.it.state = State::Running;
                batch.it.updated = now;
            }
            show(inner.batches.get(project, name, now).ok_or_else(gone)?)
        }
    };
    Ok(Reply::Json(shown))
}

/// What the requests come to, each for itself.
fn run(
    world: &World,
    owner: &Caller,
    model: &Model,
    action: &str,
    requests: Vec<(Value, Value)>,
    from_file: bool,
) -> Vec<Value> {
    let answered = |(apart, request): (Value, Value)| {
        let wrong = request.as_object().map(|it| proto::violations(action, it));
        let answer = match wrong {
            Some(wrong) if wrong.is_empty() => {
                calling::in_batch(world, owner, action, model, request)
            }
            wrong => Err(GoogleError::fields(&wrong.unwrap_or_default())),
        };
        let mut line = match answer {
            Ok(answer) => json!({ "response": answer }),
            Err(error) => {
                json!({ "error": { "code": error.grpc_code(), "message": error.message } })
            }
        };
        if !apart.is_null() {
            line[if from_file { "key" } else { "metadata" }] = apart;
        }
        line
    };
    requests.into_iter().map(answered).collect()
}

/// Writes the results into a file, named after the batch.
fn keep(world: &World, owner: &Caller, batch: &str, lines: &[Value]) -> String {
    let name = format!("files/batch-{}", batch.trim_start_matches("batches/"));
    let content: String = lines.iter().map(|line| format!("{line}\n")).collect();
    files::generated(world, owner, Some(name), "application/json", content.into())
}
