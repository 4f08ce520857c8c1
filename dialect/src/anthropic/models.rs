//! `/v1/models` in Anthropic's shape.

use serde::Serialize;

use crate::gemini::models::Model;
use crate::text::to_json;

#[derive(Serialize)]
struct List<'a> {
    data: Vec<Entry<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Entry<'a> {
    r#type: &'a str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'a str,
}

fn entry(model: &Model) -> Entry<'_> {
    Entry {
        r#type: "model",
        id: model.id(),
        display_name: if model.display_name.is_empty() {
            model.id()
        } else {
            &model.display_name
        },
        // Anthropic's description allows the epoch for an unknown date.
        created_at: "1970-01-01T00:00:00Z",
    }
}

/// The body of `GET /v1/models`, all models on one page.
pub fn list<'a>(models: impl IntoIterator<Item = &'a Model>) -> Vec<u8> {
    let data: Vec<Entry<'_>> = models.into_iter().map(entry).collect();
    to_json(
        &List {
            has_more: false,
            first_id: data.first().map(|entry| entry.id),
            last_id: data.last().map(|entry| entry.id),
            data,
        },
        0,
    )
}

/// The body of `GET /v1/models/{id}`.
pub fn one(model: &Model) -> Vec<u8> {
    to_json(&entry(model), 0)
}
