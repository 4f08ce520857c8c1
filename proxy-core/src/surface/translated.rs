//! What the protocols that are translated have in common: the way from a client's body to
//! Google and back. Each protocol says how it is read and written ([`Protocol`]).

use arc_swap::Guard;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::fetch::{Wanted, fill};
use dialect::gemini::ApiStatus;
use dialect::{Invalid, Malformed, ResponseMeta, UpstreamFailure};
use http::{Method, StatusCode};

use super::problem::Problem;
use super::trace::Trace;
use super::{
    App, admit, answered_by, event_stream, files, json, read_body, refuse, relay, turn_away,
};
use crate::upstream::{Answer, Call, Expect, OpenStream, Relay, Translate, json_headers};

/// One request of a protocol that is translated, and the way back.
pub(super) trait Protocol: Sized {
    /// The protocol.
    const SURFACE: Surface;
    /// What the ids of its answers begin with.
    const ID: &'static str;
    /// Writes a streamed answer.
    type Stream: EventWriter;

    /// Reads a client's body. What was kept of the client's earlier requests is found by the
    /// token of `trace`.
    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid>;
    /// Google's id of the model.
    fn model(&self) -> &str;
    /// Whether the client wants a stream.
    fn wants_stream(&self) -> bool;
    /// What has to be put into the body for Google.
    fn wanted(&self) -> &[Wanted];
    /// The only key that can answer.
    fn key(&self) -> Option<i64>;
    /// The body for Google; can be taken once.
    fn take_body(&mut self) -> Vec<u8>;
    /// Writes a whole answer.
    fn whole(&self, meta: &ResponseMeta, answer: &[u8]) -> Result<Vec<u8>, Malformed>;
    /// Writes a stream.
    fn stream(&self, meta: &ResponseMeta) -> Self::Stream;
}

/// The state machine of a protocol's stream; `dialect` has one for each.
pub(super) trait EventWriter: Send + Unpin + 'static {
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed>;
    fn finish(&mut self, out: &mut Vec<u8>);
    fn abort(&mut self, failure: &UpstreamFailure, out: &mut Vec<u8>);
}

/// Answers one request.
pub(super) async fn answer<P: Protocol>(app: &App, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(app, &parts, P::SURFACE) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, P::SURFACE).await,
    };
    match attempt::<P>(app, body, &mut trace).await {
        Ok(Answered::Whole(body)) => {
            trace.first_byte();
            trace.succeed();
            answered_by(&trace, json(StatusCode::OK, body))
        }
        Ok(Answered::Stream(stream, writer)) => relay(trace, |trace| {
            event_stream(Body::new(Relay::new(stream, Written::new(writer), trace)))
        }),
        Err(problem) => refuse(trace, P::SURFACE, &problem),
    }
}

enum Answered<S> {
    Whole(Vec<u8>),
    Stream(OpenStream, Box<S>),
}

async fn attempt<P: Protocol>(
    app: &App,
    body: Body,
    trace: &mut Trace,
) -> Result<Answered<P::Stream>, Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let mut asked = P::read(&body, app, trace)?;
    drop(body);
    trace.asked(asked.model(), asked.wants_stream())?;
    let (verb, query, expect) = match asked.wants_stream() {
        true => ("streamGenerateContent", "alt=sse", Expect::Stream),
        false => ("generateContent", "", Expect::Content),
    };
    let body = asked.take_body();
    let body = filled(app, body, asked.wanted()).await?;
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{}:{verb}", asked.model()),
        query,
        model: asked.model(),
        headers: json_headers(),
        body: body.into(),
        expect,
    };
    let answer = call_with(app, &call, asked.key(), trace).await?;
    let meta = ResponseMeta {
        id: format!("{}{}", P::ID, random_id()?),
        created: app.core.clock.now() / 1000,
        style: trace.style(),
    };
    match answer {
        Answer::Stream(stream) => Ok(Answered::Stream(stream, Box::new(asked.stream(&meta)))),
        Answer::Whole(whole) => asked
            .whole(&meta, &whole.body)
            .map(Answered::Whole)
            .map_err(|error| unreadable(&error)),
    }
}

/// Makes a call: with `key` when only that one can answer, else with any.
pub(super) async fn call_with(
    app: &App,
    call: &Call<'_>,
    key: Option<i64>,
    trace: &mut Trace,
) -> Result<Answer, Problem> {
    let answer = match key {
        None => app.upstream.call(&app.core, call, trace).await,
        Some(key) => {
            if let Some(problem) = files::why_not(app, key) {
                return Err(problem);
            }
            app.upstream.call_with(&app.core, call, trace, key).await
        }
    };
    answer.map_err(|failure| Problem::of(failure, &app.core))
}

/// Asks a model once, for a whole answer.
pub(super) async fn whole(
    app: &App,
    (model, key): (&str, Option<i64>),
    body: Bytes,
    trace: &mut Trace,
) -> Result<Bytes, Problem> {
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{model}:generateContent"),
        query: "",
        model,
        headers: json_headers(),
        body,
        expect: Expect::Content,
    };
    match call_with(app, &call, key, trace).await? {
        Answer::Whole(whole) => Ok(whole.body),
        Answer::Stream(_) => Err(Problem::bug("a whole answer streamed")),
    }
}

/// A body with what a client named by address in it.
pub(super) async fn filled(
    app: &App,
    body: Vec<u8>,
    wanted: &[Wanted],
) -> Result<Vec<u8>, Problem> {
    if wanted.is_empty() {
        return Ok(body);
    }
    let settings = Guard::into_inner(app.core.settings());
    let found = app.upstream.media.fetch(&settings, wanted).await?;
    match found.is_empty() {
        true => Ok(body),
        false => fill(&body, &found).map_err(|_| Problem::bug("a body of ours cannot be read")),
    }
}

/// 128 random bits, in characters that ids may have.
pub(super) fn random_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::bug("the system gives no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Google's answer is not what its API says.
pub(super) fn unreadable(error: &Malformed) -> Problem {
    Problem::cut(&format!("Google's answer cannot be read: {error}"))
}

/// A stream of Gemini events in a protocol's own words.
pub(super) struct Written<S> {
    writer: Box<S>,
    gave_up: Option<String>,
}

impl<S: EventWriter> Written<S> {
    /// A stream that `writer` writes.
    pub fn new(writer: Box<S>) -> Self {
        Self {
            writer,
            gave_up: None,
        }
    }
}

impl<S: EventWriter> Translate for Written<S> {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = Vec::new();
        for event in events {
            if let Err(error) = self.writer.event(event, &mut out) {
                let failure = unreadable(&error).in_stream();
                self.writer.abort(&failure, &mut out);
                self.gave_up = Some(failure.message);
                break;
            }
        }
        out.into()
    }

    fn failed(&mut self, _event: Bytes, error: &ApiStatus) -> Bytes {
        let mut out = Vec::new();
        let failure = UpstreamFailure {
            status: error.code,
            message: error.message.clone(),
            code: Some(error.status.to_lowercase()),
        };
        self.writer.abort(&failure, &mut out);
        out.into()
    }

    fn gave_up(&mut self) -> Option<String> {
        self.gave_up.take()
    }

    fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.writer.finish(&mut out);
        out.into()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut out = Vec::new();
        self.writer.abort(&Problem::cut(why).in_stream(), &mut out);
        out.into()
    }
}

/// Lends a state machine of `dialect` the trait; the methods have the same names.
macro_rules! event_writer {
    ($machine:ty) => {
        impl super::translated::EventWriter for $machine {
            fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), dialect::Malformed> {
                <$machine>::event(self, data, out)
            }

            fn finish(&mut self, out: &mut Vec<u8>) {
                <$machine>::finish(self, out);
            }

            fn abort(&mut self, failure: &dialect::UpstreamFailure, out: &mut Vec<u8>) {
                <$machine>::abort(self, failure, out);
            }
        }
    };
}

pub(super) use event_writer;
