//! The fake Google, seen from outside.

#![expect(
    clippy::unwrap_used,
    reason = "what helps a test may panic like a test"
)]

mod answers;
mod batches;
mod caches;
mod faults;
mod files;
mod interactions;
mod live;
mod operations;
mod program;
mod quotas;
mod refusals;
mod stores;
mod streams;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::google::{Builder, FakeGoogle};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const KEY: &str = "AIzaSyTest000000000000000000000000000001";
const OTHER: &str = "AQ.Test0000000000000000000000000000000002";

/// A builder with a key in each of Google's shapes, in projects of their own.
fn google() -> Builder {
    FakeGoogle::builder().key(KEY, "p1").key(OTHER, "p2")
}

/// The same with a second key in the first one's project, on a clock that is moved by hand.
async fn with_sibling() -> (FakeGoogle, VirtualClock) {
    let clock = VirtualClock::at(1_790_000_000_000);
    let google = google().key("AIza-sibling", "p1").clock(&clock);
    (google.start().await, clock)
}

/// A request with a user's one text.
fn ask(text: &str) -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] })
}

/// `POST /v1beta/models/{call}` with this key, in-process.
async fn post_as(google: &FakeGoogle, key: &str, call: &str, body: &Value) -> (u16, Value) {
    let request = Request::post(format!("/v1beta/models/{call}"))
        .header("x-goog-api-key", key)
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    exchange(google, request).await
}

/// `POST /v1beta/models/{call}` with the usual key, in-process.
async fn post(google: &FakeGoogle, call: &str, body: &Value) -> (u16, Value) {
    post_as(google, KEY, call, body).await
}

/// `GET {path}` with the usual key, in-process.
async fn get(google: &FakeGoogle, path: &str) -> (u16, Value) {
    exchange(
        google,
        Request::get(path)
            .header("x-goog-api-key", KEY)
            .body(Full::default())
            .unwrap(),
    )
    .await
}

/// Any call with JSON (`null` is no body) and this key, in-process.
async fn call_as(
    google: &FakeGoogle,
    key: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let bytes = match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-goog-api-key", key)
        .body(Full::new(bytes))
        .unwrap();
    exchange(google, request).await
}

/// Status and JSON body (or the body as a JSON string) of an in-process call.
async fn exchange(google: &FakeGoogle, request: Request<Full<Bytes>>) -> (u16, Value) {
    let response = google.call(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
    (status, value)
}

/// The message of an error body.
fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().unwrap_or_default()
}

/// A real connection; dropping it is a client that goes away.
struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    _connection: JoinSet<()>,
}

impl Client {
    async fn connect(google: &FakeGoogle) -> Self {
        let stream = TcpStream::connect(google.address()).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Its errors are seen by whoever reads the body.
            let _ = connection.await;
        });
        Self {
            sender,
            _connection: tasks,
        }
    }

    async fn post(&mut self, call: &str, body: &Value) -> hyper::Result<Response<Incoming>> {
        let request = Request::post(format!("/v1beta/models/{call}"))
            .header("host", "generativelanguage.googleapis.com")
            .header("x-goog-api-key", KEY)
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        self.sender.send_request(request).await
    }
}

/// All that can be read of a body, and the error that ended it.
async fn read(mut body: Incoming) -> (String, Option<hyper::Error>) {
    let mut text = Vec::new();
    let mut error = None;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend_from_slice(frame.data_ref().unwrap()),
            Err(e) => {
                error = Some(e);
                break;
            }
        }
    }
    (String::from_utf8(text).unwrap(), error)
}

/// The events of a stream in the SSE form.
fn events(text: &str) -> Vec<Value> {
    text.split_terminator("\r\n\r\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

/// All text in events or bodies that is not thought.
fn said(events: &[Value]) -> String {
    parts(events)
        .iter()
        .filter(|part| part["thought"] != true)
        .filter_map(|part| part["text"].as_str())
        .collect()
}

/// All parts of the first candidates.
fn parts(events: &[Value]) -> Vec<Value> {
    events
        .iter()
        .filter_map(|event| event["candidates"][0]["content"]["parts"].as_array())
        .flatten()
        .cloned()
        .collect()
}
