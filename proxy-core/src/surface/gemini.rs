//! Google's own protocol, forwarded: bodies pass untouched in both directions, so fields
//! this program has never heard of, and their order, survive.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use contract::admin::Surface;
use dialect::gemini::ApiStatus;
use http::{HeaderValue, Method, StatusCode, header};

use super::problem::Problem;
use super::trace::Trace;
use super::{App, admit, answered_by, auth, event_stream, json, read_body, refuse, relay};
use crate::upstream::{Answer, Call, Expect, Relay, Translate, Whole, passed_on};

/// The verbs that are forwarded, and what counts as an answer to each.
const VERBS: [(&str, Expect); 5] = [
    ("generateContent", Expect::Content),
    ("streamGenerateContent", Expect::Stream),
    ("countTokens", Expect::Anything),
    ("embedContent", Expect::Anything),
    ("batchEmbedContents", Expect::Anything),
];

/// POST `/v1beta/models/{model}:{verb}`.
pub(super) async fn generate(
    State(app): State<App>,
    Path(target): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Gemini) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Gemini),
    };
    let Some((model, verb)) = target.rsplit_once(':') else {
        let problem = Problem::not_found(format!(
            "POST needs a verb, as in /v1beta/models/{target}:generateContent."
        ));
        return refuse(trace, Surface::Gemini, &problem);
    };
    if !is_model_id(model) {
        return refuse(trace, Surface::Gemini, &Problem::no_such_model(model));
    }
    let Some(&(_, expect)) = VERBS.iter().find(|(name, _)| *name == verb) else {
        let known = VERBS.map(|(name, _)| name).join(", ");
        let problem = Problem::not_found(format!(
            "The verb '{verb}' is not forwarded by this version; these are: {known}."
        ));
        return refuse(trace, Surface::Gemini, &problem);
    };
    trace.asked(model, expect == Expect::Stream);
    let body = match read_body(&app, body).await {
        Ok(body) => body,
        Err(problem) => return refuse(trace, Surface::Gemini, &problem),
    };

    let asked = parts.uri.query().unwrap_or_default();
    let wants_array = expect == Expect::Stream && !asked.split('&').any(|pair| pair == "alt=sse");
    let mut query = auth::without_key(asked);
    if wants_array {
        // Upstream it is always events: they can be looked at one by one.
        let others: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.starts_with("alt="))
            .collect();
        query = others.join("&");
        query.push_str(if query.is_empty() {
            "alt=sse"
        } else {
            "&alt=sse"
        });
    }
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{model}:{verb}"),
        query: &query,
        model,
        headers: passed_on(&parts.headers),
        body,
        expect,
    };
    match app.upstream.call(&app.core, &call, &mut trace).await {
        Ok(Answer::Whole(whole)) => forward(whole, trace),
        Ok(Answer::Stream(stream)) => {
            trace.first_byte();
            relay(trace, |trace| match wants_array {
                true => {
                    let relay = Relay::new(stream, AsArray::default(), trace);
                    json(StatusCode::OK, Body::new(relay))
                }
                false => event_stream(Body::new(Relay::new(stream, AsIs, trace))),
            })
        }
        Err(failure) => {
            let problem = Problem::of(failure, &app.core);
            refuse(trace, Surface::Gemini, &problem)
        }
    }
}

/// GET `/v1beta/models`, with its pages.
pub(super) async fn models(State(app): State<App>, request: Request) -> Response {
    get(&app, request, "/models".into()).await
}

/// GET `/v1beta/models/{model}`.
pub(super) async fn model(
    State(app): State<App>,
    Path(target): Path<String>,
    request: Request,
) -> Response {
    if !is_model_id(&target) {
        return Problem::no_such_model(&target).render(Surface::Gemini);
    }
    get(&app, request, format!("/models/{target}").into()).await
}

/// Whether a name can be put into a path as it is, and stays one segment of it.
fn is_model_id(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    !name.is_empty() && name.bytes().all(known) && !name.bytes().all(|byte| byte == b'.')
}

async fn get(app: &App, request: Request, path: Cow<'static, str>) -> Response {
    let (parts, _) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Gemini) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Gemini),
    };
    let call = Call {
        method: Method::GET,
        path: &path,
        query: &auth::without_key(parts.uri.query().unwrap_or_default()),
        model: "",
        headers: passed_on(&parts.headers),
        body: Bytes::new(),
        expect: Expect::Anything,
    };
    match app.upstream.call(&app.core, &call, &mut trace).await {
        Ok(Answer::Whole(whole)) => forward(whole, trace),
        Ok(Answer::Stream(_)) => refuse(trace, Surface::Gemini, &Problem::bug("a list streamed")),
        Err(failure) => {
            let problem = Problem::of(failure, &app.core);
            refuse(trace, Surface::Gemini, &problem)
        }
    }
}

/// Gives the client what Google answered.
fn forward(whole: Whole, mut trace: Trace) -> Response {
    trace.first_byte();
    trace.succeed();
    let mut response = Response::new(Body::from(whole.body));
    let kind = whole.headers.get(header::CONTENT_TYPE).cloned();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        kind.unwrap_or(HeaderValue::from_static("application/json; charset=UTF-8")),
    );
    answered_by(&trace, response)
}

/// Events go through as they came.
struct AsIs;

impl Translate for AsIs {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = BytesMut::new();
        for event in events {
            out.put_slice(b"data: ");
            out.put_slice(event);
            out.put_slice(b"\r\n\r\n");
        }
        out.freeze()
    }

    fn chunk(&mut self, raw: Bytes, _events: &[Bytes]) -> Bytes {
        raw
    }

    fn last(&mut self, _event: Bytes) -> Bytes {
        // Its bytes went out already; only its end is missing.
        Bytes::from_static(b"\r\n\r\n")
    }

    fn failed(&mut self, event: Bytes, _error: &ApiStatus) -> Bytes {
        self.events(&[event])
    }

    fn finish(&mut self) -> Bytes {
        Bytes::new()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        // An event that was cut in the middle is ended first.
        let error = Problem::cut(why).body(Surface::Gemini);
        [b"\r\n\r\ndata: ".as_slice(), &error, b"\r\n\r\n"]
            .concat()
            .into()
    }
}

/// Events become the elements of one JSON array, the form without `alt=sse`.
#[derive(Default)]
struct AsArray {
    begun: bool,
}

impl AsArray {
    fn element(&mut self, out: &mut BytesMut, element: &[u8]) {
        out.put_slice(if self.begun { b",\r\n" } else { b"[" });
        self.begun = true;
        out.put_slice(element);
    }
}

impl Translate for AsArray {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = BytesMut::new();
        for event in events {
            self.element(&mut out, event);
        }
        out.freeze()
    }

    fn failed(&mut self, event: Bytes, _error: &ApiStatus) -> Bytes {
        let mut out = BytesMut::new();
        self.element(&mut out, &event);
        out.put_slice(b"\r\n]");
        out.freeze()
    }

    fn finish(&mut self) -> Bytes {
        Bytes::from_static(if self.begun { b"\r\n]" } else { b"[]" })
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut out = BytesMut::new();
        self.element(&mut out, &Problem::cut(why).body(Surface::Gemini));
        out.put_slice(b"\r\n]");
        out.freeze()
    }
}
