//! `/v1/models` in OpenAI's shape.

use serde::Serialize;

use crate::gemini::models::Model;
use crate::text::to_json;

#[derive(Serialize)]
struct List<'a> {
    object: &'a str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    owned_by: &'a str,
}

fn entry(model: &Model, created: i64) -> Entry<'_> {
    Entry {
        id: model.id(),
        object: "model",
        created,
        owned_by: "google",
    }
}

/// The body of `GET /v1/models`. Google does not tell when a model was made, so `created`
/// (seconds since 1970) is the caller's choice.
pub fn list<'a>(models: impl IntoIterator<Item = &'a Model>, created: i64) -> Vec<u8> {
    to_json(
        &List {
            object: "list",
            data: models
                .into_iter()
                .map(|model| entry(model, created))
                .collect(),
        },
        0,
    )
}

/// The body of `GET /v1/models/{id}`.
pub fn one(model: &Model, created: i64) -> Vec<u8> {
    to_json(&entry(model, created), 0)
}
