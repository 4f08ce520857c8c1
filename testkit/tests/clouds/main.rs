//! The fake clouds, seen from outside.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what helps a test may panic like a test"
)]

mod koyeb;
mod oracle;
mod program;
mod registry;
mod render;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// 2026-09-21T14:13:20Z.
const NOW: i64 = 1_790_000_000_000;

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// A request over a connection of its own; `None` when that breaks.
async fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Option<Reply> {
    let (authority, _) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let stream = TcpStream::connect(authority).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let path = url.strip_prefix(&format!("http://{authority}")).unwrap();
    let mut request = Request::builder()
        .method(method.parse::<Method>().unwrap())
        .uri(path)
        .header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    let request = request.body(Full::new(body)).unwrap();
    let (parts, body) = sender.send_request(request).await.ok()?.into_parts();
    Some(Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        bytes: body.collect().await.ok()?.to_bytes(),
    })
}
