//! An answer in the background: its events so far, for clients that look at it now and then or
//! follow it.

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::ResponsesStream;
use super::call::ResponsesCall;
use super::kept::Kept;
use crate::ResponseMeta;

/// The events of an answer so far. Each has the number of its place.
#[derive(Debug, Default)]
pub struct Recorded {
    events: Vec<Bytes>,
    /// What has come of the next one.
    rest: Vec<u8>,
    bytes: usize,
    /// The answer as it was when it was ended from outside.
    ended: Option<Vec<u8>>,
}

/// How an answer in the background is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// The client wants it no more.
    Cancelled,
    /// It cannot go on, for this reason.
    Failed(&'a str),
}

impl Recorded {
    /// Begins to record the answer to `call`: it waits for its turn.
    pub fn queued(call: &ResponsesCall, meta: &ResponseMeta) -> Self {
        let mut recorded = Self::default();
        recorded.push(&ResponsesStream::queued(call, meta));
        recorded
    }

    /// Takes what the answer's stream wrote next, wherever it was cut.
    pub fn push(&mut self, written: &[u8]) {
        self.bytes += written.len();
        self.rest.extend_from_slice(written);
        let mut from = 0;
        while let Some(at) = memmem::find(&self.rest[from..], b"\n\n") {
            let end = from + at + 2;
            self.events
                .push(Bytes::copy_from_slice(&self.rest[from..end]));
            from = end;
        }
        self.rest.drain(..from);
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How much memory they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The events from this number on.
    pub fn from(&self, number: usize) -> &[Bytes] {
        self.events.get(number..).unwrap_or_default()
    }

    /// The answer as it is now.
    pub fn now(&self) -> Vec<u8> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        match self.events.iter().rev().find_map(last_response) {
            Some(response) => response.get().as_bytes().to_vec(),
            None => self.unfinished("in_progress", &Value::Null),
        }
    }

    /// Ends the answer from outside, and gives it. One that had its end keeps that.
    pub fn end(&mut self, how: Ended<'_>) -> Vec<u8> {
        let has_ended = |event: &Bytes| last_response(event).is_some();
        if self.ended.is_some() || self.events.iter().rev().any(has_ended) {
            return self.now();
        }
        let response = match how {
            Ended::Cancelled => self.unfinished("cancelled", &Value::Null),
            Ended::Failed(why) => {
                let error = json!({"code": "server_error", "message": why});
                let response = self.unfinished("failed", &error);
                let name = "response.failed";
                let number = self.events.len();
                let event = format!(
                    "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{number},\
                     \"response\":{}}}\n\n",
                    String::from_utf8_lossy(&response)
                );
                self.rest.clear();
                self.push(event.as_bytes());
                response
            }
        };
        self.ended = Some(response.clone());
        response
    }

    /// The answer with what is complete of it.
    fn unfinished(&self, status: &str, error: &Value) -> Vec<u8> {
        #[derive(Deserialize)]
        struct Begun {
            response: Map<String, Value>,
        }
        #[derive(Deserialize)]
        struct Done {
            item: Value,
        }
        let begun = self.events.first().and_then(read::<Begun>);
        let mut response = begun.map(|begun| begun.response).unwrap_or_default();
        let done = self
            .events
            .iter()
            .filter(|event| is(event, "response.output_item.done"));
        let output: Vec<Value> = done
            .filter_map(|event| Some(read::<Done>(event)?.item))
            .collect();
        let waits = !self
            .events
            .iter()
            .any(|event| is(event, "response.in_progress"));
        let status = match status {
            "in_progress" if waits => "queued",
            status => status,
        };
        response.insert("status".to_owned(), status.into());
        response.insert("error".to_owned(), error.clone());
        response.insert("output".to_owned(), output.into());
        Value::from(response).to_string().into_bytes()
    }
}

fn is(event: &Bytes, name: &str) -> bool {
    let rest = event.strip_prefix(b"event: ");
    let rest = rest.and_then(|rest| rest.strip_prefix(name.as_bytes()));
    rest.is_some_and(|rest| rest.starts_with(b"\n"))
}

fn read<'a, T: Deserialize<'a>>(event: &'a Bytes) -> Option<T> {
    let at = memmem::find(event, b"\ndata: ")?;
    serde_json::from_slice(event.get(at + 7..)?).ok()
}

/// The whole answer that an event ends it with.
fn last_response(event: &Bytes) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Last<'a> {
        #[serde(borrow)]
        response: &'a RawValue,
    }
    let ends = [
        "response.completed",
        "response.incomplete",
        "response.failed",
    ];
    let ends = ends.iter().any(|name| is(event, name));
    ends.then(|| read::<Last<'_>>(event))
        .flatten()
        .map(|last| last.response)
}

impl ResponsesCall {
    /// What is kept of an answer in the background until it has its end: that it broke off. So
    /// whoever asks after the process has ended gets to know it.
    pub fn broken_off(&self, meta: &ResponseMeta) -> Kept {
        let mut recorded = Recorded::queued(self, meta);
        let why = "The server was restarted while it answered in the background. Ask again.";
        let response = recorded.end(Ended::Failed(why));
        Kept::new(self, &meta.id, response)
    }
}
