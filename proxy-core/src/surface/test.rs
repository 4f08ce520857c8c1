//! One request from the panel, through the same routes a client uses.

use std::sync::Arc;

use axum::body::Body;
use contract::admin::{Surface, TestAnswer, TestRequest};
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{AnsweredBy, Internal, clients};
use crate::Core;
use crate::upstream::Upstream;

/// Where a protocol's test goes, what it sends, and where the text and the error message
/// are in what comes back (JSON pointers).
struct Shape {
    path: String,
    body: Value,
    text: &'static str,
}

/// The most that is read of the answer.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;
/// What is asked when the user asks nothing.
const GREETING: &str = "Say hello in one short sentence.";

/// Sends the request and waits for the whole answer.
pub(crate) async fn run(core: &Arc<Core>, upstream: &Upstream, test: &TestRequest) -> TestAnswer {
    let started = core.clock.monotonic();
    let shape = shape(test);
    let mut request = Request::new(Body::from(shape.body.to_string()));
    *request.method_mut() = Method::POST;
    request.extensions_mut().insert(Internal);
    let (status, body, by) = match shape.path.parse() {
        Ok(uri) => {
            *request.uri_mut() = uri;
            // The router's only error is `Infallible`.
            let response = match clients(core, upstream).oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let by = response.extensions().get::<AnsweredBy>().cloned();
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), ANSWER_LIMIT).await;
            (status, body.unwrap_or_default(), by)
        }
        Err(_) => {
            let said = json!({"error": {"message": "This is not the name of a model."}});
            (400, said.to_string().into(), None)
        }
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let at = if status < 400 {
        shape.text
    } else {
        "/error/message"
    };
    let text = body.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let latency = core.clock.monotonic().saturating_sub(started);
    TestAnswer {
        status,
        text: text.to_owned(),
        latency_ms: latency.as_millis().try_into().unwrap_or(u64::MAX),
        model: by.as_ref().map(|by| by.model.clone()),
        key: by.map(|by| by.key),
    }
}

fn shape(test: &TestRequest) -> Shape {
    let prompt = test.prompt.as_deref().unwrap_or(GREETING);
    let model = &test.model;
    let turn = json!([{"role": "user", "content": prompt}]);
    match test.surface {
        Surface::Openai => Shape {
            path: "/v1/chat/completions".into(),
            body: json!({"model": model, "messages": turn}),
            text: "/choices/0/message/content",
        },
        Surface::Anthropic => Shape {
            path: "/v1/messages".into(),
            body: json!({"model": model, "max_tokens": 1024, "messages": turn}),
            text: "/content/0/text",
        },
        Surface::Gemini => Shape {
            path: format!("/v1beta/models/{model}:generateContent"),
            body: json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]}),
            text: "/candidates/0/content/parts/0/text",
        },
    }
}
