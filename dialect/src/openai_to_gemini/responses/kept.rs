//! An answer that is kept, and what can be asked of it later.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::ResponsesCall;
use super::items::reference;
use crate::error::Invalid;
use crate::openai_to_gemini::wire::own_part;
use crate::text::{raw, to_json};

/// An answer that is kept, with what was asked.
#[derive(Debug)]
pub struct Kept {
    id: String,
    previous: Option<String>,
    input: Vec<Box<RawValue>>,
    response: Vec<u8>,
}

/// An answer as it is written down.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    id: Cow<'a, str>,
    previous: Option<Cow<'a, str>>,
    input: Cow<'a, [Box<RawValue>]>,
    response: Box<RawValue>,
}

/// Which of the input's items are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// At most how many.
    pub limit: usize,
    /// The newest first.
    pub newest_first: bool,
    /// Only those behind this one.
    pub after: Option<&'a str>,
}

impl Kept {
    pub(super) fn new(call: &ResponsesCall, id: &str, response: Vec<u8>) -> Self {
        Self {
            id: id.to_owned(),
            previous: call.previous.clone(),
            input: call.input.clone(),
            response,
        }
    }

    /// The same with another answer.
    pub fn with_response(&self, response: Vec<u8>) -> Self {
        Self {
            id: self.id.clone(),
            previous: self.previous.clone(),
            input: self.input.clone(),
            response,
        }
    }

    /// Whether the client did not wait for the answer.
    pub fn was_in_background(&self) -> bool {
        #[derive(Deserialize)]
        struct Told {
            #[serde(default)]
            background: bool,
        }
        serde_json::from_slice::<Told>(&self.response).is_ok_and(|told| told.background)
    }

    /// The answer's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The answer that this one went on from.
    pub fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// The answer as it was sent.
    pub fn response(&self) -> &[u8] {
        &self.response
    }

    /// All of it as text, for a place that outlasts the process; [`Kept::read`] reads it.
    pub fn written(&self) -> String {
        let response = String::from_utf8_lossy(&self.response).into_owned();
        let written = Written {
            id: Cow::Borrowed(&self.id),
            previous: self.previous.as_deref().map(Cow::Borrowed),
            input: Cow::Borrowed(&self.input),
            response: raw(response),
        };
        String::from_utf8(to_json(&written, self.size())).unwrap_or_default()
    }

    /// What [`Kept::written`] wrote; `None` when this is something else.
    pub fn read(written: &str) -> Option<Self> {
        let written: Written<'_> = serde_json::from_str(written).ok()?;
        Some(Self {
            id: written.id.into_owned(),
            previous: written.previous.map(Cow::into_owned),
            input: written.input.into_owned(),
            response: String::from(Box::<str>::from(written.response)).into_bytes(),
        })
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let input: usize = self.input.iter().map(|item| item.get().len() + 16).sum();
        self.id.len() + self.response.len() + input + 128
    }

    /// The id of the answer that an item belongs to.
    pub fn response_of(item: &str) -> Option<String> {
        let (_, rest) = item.split_once('_')?;
        let (own, _) = rest.rsplit_once('_')?;
        Some(format!("resp_{own}"))
    }

    /// What was said in this turn: the input, then the output.
    pub fn items(&self) -> Vec<Box<RawValue>> {
        let mut items = self.input.clone();
        items.extend(self.output());
        items
    }

    /// One item of the input or of the output.
    pub fn item(&self, id: &str) -> Option<Box<RawValue>> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let named = |item: &RawValue| {
            serde_json::from_str::<Named>(item.get()).is_ok_and(|named| named.id == id)
        };
        let output = self.output().into_iter().find(|item| named(item));
        output.or_else(|| {
            let found = (0..self.input.len()).find(|at| self.input_id(*at) == id)?;
            self.input.get(found).cloned()
        })
    }

    /// A page of the input's items, as `/v1/responses/{id}/input_items` answers.
    pub fn input_items(&self, page: Page<'_>) -> Result<Vec<u8>, Invalid> {
        let mut items: Vec<(String, Value)> = Vec::with_capacity(self.input.len());
        for (at, item) in self.input.iter().enumerate() {
            let id = self.input_id(at);
            if reference(item, "input")?.is_none() {
                items.push((id.clone(), completed(item, &id)));
            }
        }
        if page.newest_first {
            items.reverse();
        }
        if let Some(after) = page.after {
            let Some(at) = items.iter().position(|(id, _)| id == after) else {
                return Err(Invalid::new(
                    "after",
                    format!("`after` is \"{after}\", which is no item of this response's input."),
                ));
            };
            items.drain(..=at);
        }
        let has_more = items.len() > page.limit;
        items.truncate(page.limit);
        let id = |item: Option<&(String, Value)>| item.map(|(id, _)| id.clone());
        let (first, last) = (id(items.first()), id(items.last()));
        let data: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
        let list = serde_json::json!({
            "object": "list",
            "data": data,
            "first_id": first,
            "last_id": last,
            "has_more": has_more,
        });
        Ok(to_json(&list, 0))
    }

    fn output(&self) -> Vec<Box<RawValue>> {
        #[derive(Deserialize)]
        struct Body {
            output: Vec<Box<RawValue>>,
        }
        serde_json::from_slice::<Body>(&self.response)
            .map(|body| body.output)
            .unwrap_or_default()
    }

    /// The id of an item of the input: its own, or one made for it.
    fn input_id(&self, at: usize) -> String {
        #[derive(Deserialize)]
        struct Named {
            #[serde(default)]
            id: Option<String>,
        }
        let own = self.input.get(at);
        let own = own.and_then(|item| serde_json::from_str::<Named>(item.get()).ok()?.id);
        own.unwrap_or_else(|| format!("msg_{}_in{at}", own_part(&self.id)))
    }
}

/// An item of the input in the long form, whatever form it was sent in.
fn completed(item: &RawValue, id: &str) -> Value {
    let given: Map<String, Value> = serde_json::from_str(item.get()).unwrap_or_default();
    let mut item = Map::new();
    item.insert("id".to_owned(), id.into());
    item.insert("type".to_owned(), "message".into());
    item.insert("status".to_owned(), "completed".into());
    let kind = match given.get("role").and_then(Value::as_str) {
        Some("assistant") => "output_text",
        _ => "input_text",
    };
    for (field, value) in given {
        let value = match (&*field, value) {
            ("content", Value::String(text)) => {
                serde_json::json!([{ "type": kind, "text": text }])
            }
            (_, value) => value,
        };
        item.insert(field, value);
    }
    Value::Object(item)
}
