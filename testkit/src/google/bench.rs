//! The shortest way to an answer, for benchmarks: bytes made once, nothing recorded.
//!
//! The model `bench-small` answers one small body, `bench-stream-N` a stream of N small
//! events. They are not listed, need a valid key like any other, and have no quota.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::request::Parts;
use http::{HeaderValue, Response};
use serde_json::{Value, json};

use super::World;
use super::reply::Form;
use super::server::{self, Body, Presence, full};

static SMALL: LazyLock<Bytes> = LazyLock::new(|| {
    Bytes::from(event("Hello from the benchmark.", Some((4, 7)), "bench-small").to_string())
});

/// A stream longer than this is not a benchmark of small events any more.
const MOST: usize = 10_000;

/// The answer, if this is a call for a benchmark with a good key in `x-goog-api-key`.
pub(super) fn respond(world: &Arc<World>, parts: &Parts) -> Option<Response<Body>> {
    let call = parts.uri.path().strip_prefix("/v1")?;
    let call = call
        .strip_prefix("beta")
        .unwrap_or(call)
        .strip_prefix("/models/bench-")?;
    let key = parts.headers.get("x-goog-api-key")?.to_str().ok()?;
    let good = |key: &super::Key| key.refusal.is_none();
    if !world.inner.lock().keys.get(key).is_some_and(good) {
        return None;
    }
    let (body, kind) = if call == "small:generateContent" {
        (full(SMALL.clone()), Form::Whole.content_type())
    } else {
        let count = call
            .strip_prefix("stream-")?
            .strip_suffix(":streamGenerateContent")?;
        if parts.uri.query() != Some("alt=sse") {
            return None;
        }
        let count: usize = count.parse().ok()?;
        (
            streamed(world, count.clamp(1, MOST)),
            Form::Sse.content_type(),
        )
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(SERVER, HeaderValue::from_static("fake-google"));
    Some(response)
}

fn streamed(world: &Arc<World>, count: usize) -> Body {
    static EVENT: LazyLock<Bytes> =
        LazyLock::new(|| sse(&event("Hello there. ", None, "bench-stream")));
    let last = sse(&event(
        "The end.",
        Some((4, count as u64 * 3)),
        "bench-stream",
    ));
    let mut steps = VecDeque::with_capacity(count * 2);
    for i in 1..=count {
        let bytes = if i == count {
            last.clone()
        } else {
            EVENT.clone()
        };
        // Each event leaves on its own, as a model's do.
        steps.extend([super::reply::Step::Send(bytes), super::reply::Step::Flush]);
    }
    server::played(
        steps,
        Arc::clone(world),
        Presence::new(Arc::clone(world)),
        server::Reset::default(),
    )
}

fn sse(event: &Value) -> Bytes {
    Bytes::from(format!("data: {event}\r\n\r\n"))
}

/// An event; the last has a finish reason, and input and output tokens.
fn event(text: &str, last: Option<(u64, u64)>, model: &str) -> Value {
    let mut candidate = json!({ "content": { "parts": [{ "text": text }], "role": "model" } });
    if last.is_some() {
        candidate["finishReason"] = json!("STOP");
    }
    candidate["index"] = json!(0);
    let (input, output) = last.unwrap_or((4, 1));
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": input,
            "candidatesTokenCount": output,
            "totalTokenCount": input + output,
        },
        "modelVersion": model,
        "responseId": "fakebench",
    })
}
