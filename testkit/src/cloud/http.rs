//! Calls and answers of the fake APIs.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::accept::connections;

/// The largest body of a call, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// The body of a response, its own or one that is passed on.
pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// The connection ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fake broke the connection on purpose")
    }
}

impl std::error::Error for Gone {}

/// A call, with its body read.
#[derive(Debug)]
pub(crate) struct Call {
    pub parts: Parts,
    pub body: Bytes,
    query: Vec<(String, String)>,
}

impl Call {
    /// Method and path: `POST /v1/services`.
    pub fn name(&self) -> String {
        format!("{} {}", self.parts.method, self.parts.uri.path())
    }

    /// The segments of the path, decoded, without the empty one in front.
    pub fn segments(&self) -> Vec<String> {
        let path = self.parts.uri.path();
        path.trim_start_matches('/')
            .split('/')
            .map(|segment| {
                percent_encoding::percent_decode_str(segment)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect()
    }

    /// The query as sent.
    pub fn raw_query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters(name).next()
    }

    /// All parameters of this name.
    pub fn parameters(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query
            .iter()
            .filter(move |(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// A header as text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The token of `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization").strip_prefix("Bearer ")
    }

    /// The body as JSON; `None` when it is not.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// An answer that is sent at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Answer {
    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        }
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self::page(status, "", Bytes::new())
    }

    /// Anything else; with an empty content type, none is said.
    pub fn page(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let mut response = Self::new(Full::new(answer.body).map_err(never).boxed_unsync());
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !answer.content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        }
        for (name, value) in answer.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

fn never(never: Infallible) -> hyper::Error {
    match never {}
}

/// Serves an API until it is dropped.
pub(crate) async fn serve<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Gone>> + Send + 'static,
{
    let handle = Arc::new(handle);
    connections(listener, |stream| {
        let handle = Arc::clone(&handle);
        serve_requests(stream, move |request| {
            let handle = Arc::clone(&handle);
            async move { Ok(handle(read(request).await?).await?.into()) }
        })
    })
    .await;
}

/// Serves one connection.
pub(crate) async fn serve_requests<H, F>(stream: TcpStream, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Send,
    F: Future<Output = Result<Response<Body>, Gone>> + Send,
{
    // An error is a client that went away, or a break on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(handle))
        .await;
}

/// Reads a call whole; one that is too large ends the connection.
async fn read(request: Request<Incoming>) -> Result<Call, Gone> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|_| Gone)?
        .to_bytes();
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    Ok(Call { parts, body, query })
}
