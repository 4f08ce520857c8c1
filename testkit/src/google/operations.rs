//! Long operations of models that film.
//!
//! `predictLongRunning` and what it comes to: <https://ai.google.dev/gemini-api/docs/video>. That
//! Google says 404 of an operation that is not there, or another project's, is what its
//! operations do everywhere; nobody has published it for these.

use serde_json::{Value, json};

use super::error::GoogleError;
use super::files;
use super::media;
use super::model::Model;
use super::proto::{list, text};
use super::reply::Reply;
use super::shelf::{Asked, Owned};
use super::work::Progress;

/// A film in the making.
#[derive(Debug)]
pub(super) struct Operation {
    prompt: String,
    progress: Progress,
    /// The file, when it is made.
    film: Option<String>,
}

/// The operation as Google shows it.
pub(super) fn show(operation: &Owned<Operation>) -> Value {
    let Some(film) = &operation.it.film else {
        return json!({ "name": operation.name });
    };
    json!({
        "name": operation.name,
        "done": true,
        "response": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse",
            "generateVideoResponse": {
                "generatedSamples": [{ "video": { "uri": files::download_uri(film) } }],
            },
        },
    })
}

/// Begins to film.
pub(super) fn begin(asked: &Asked<'_>, model: &Model, body: &Value) -> Value {
    let now = asked.world.clock.now();
    let mut inner = asked.world.inner.lock();
    let prompt = list(body, "instances")
        .first()
        .map(|one| text(one, "prompt"));
    let operation = Owned {
        name: format!("models/{}/operations/{}", model.id, inner.mint(12)),
        owner: asked.caller.clone(),
        created: now,
        expires: None,
        it: Operation {
            prompt: prompt.unwrap_or_default().to_owned(),
            progress: Progress::begin(inner.work, now),
            film: None,
        },
    };
    let shown = show(&operation);
    inner.operations.put(operation);
    shown
}

/// Answers a look at an operation.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let world = asked.world;
    let now = world.clock.now();
    let (name, project) = (&asked.target.resource, &asked.caller.project);
    let mut inner = world.inner.lock();
    let operation = inner.operations.get_mut(project, name, now);
    let operation = operation.ok_or_else(|| GoogleError::usual(404))?;
    if operation.it.film.is_none() && operation.it.progress.look(now) {
        let (owner, content) = (operation.owner.clone(), media::film(&operation.it.prompt));
        drop(inner);
        let film = files::generated(world, &owner, None, "video/mp4", content.into());
        inner = world.inner.lock();
        if let Some(operation) = inner.operations.get_mut(project, name, now) {
            operation.it.film = Some(film);
        }
    }
    let operation = inner.operations.get(project, name, now);
    operation
        .map(|operation| Reply::Json(show(operation)))
        .ok_or_else(|| GoogleError::usual(404))
}
