//! What the protocols that are translated have in common: the way from a client's body to
//! Google and back. Each protocol says how it is read and written ([`Protocol`]).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::fetch::{Unfilled, Wanted, fill};
use dialect::gemini::{ApiStatus, pieces};
use dialect::style::Style;
use dialect::{IdsOf, Invalid, Malformed, ResponseMeta, SignedParts, Uploads, UpstreamFailure};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::choices::{Answered, several, together};
use super::flow::{Beating, Late, Paced};
use super::gemini::resources;
use super::problem::Problem;
use super::trace::Trace;
use super::{
    App, admit, answered_by, event_stream, files, json, read_body, refuse, relay, turn_away,
};
use crate::Core;
use crate::settings::Settings;
use crate::upstream::{Answer, At, Call, Expect, Relay, Translate, json_headers};

/// One request of a protocol that is translated, and the way back.
pub(super) trait Protocol: Sized + Send + 'static {
    /// The protocol.
    const SURFACE: Surface;
    /// What the ids of its answers begin with.
    const ID: &'static str;
    /// Whose ids its calls get; none where clients never send an answer back.
    const IDS: Option<IdsOf>;
    /// A sign of life inside a stream: a comment, which every reader of events passes over.
    const BEAT: &'static [u8] = b": still working\n\n";
    /// Writes a streamed answer.
    type Stream: EventWriter;

    /// Reads a client's body. What was kept of the client's earlier requests is found by the
    /// token of `trace`.
    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid>;
    /// Google's id of the model.
    fn model(&self) -> &str;
    /// Whether the client wants a stream.
    fn wants_stream(&self) -> bool;
    /// What of the request the model does not take, and what was done instead.
    fn notes(&self) -> &[String];
    /// What has to be put into the body for Google.
    fn wanted(&self) -> &[Wanted];
    /// The files that it names: only the key that they were uploaded with can answer.
    fn uploads(&self) -> Option<&Uploads>;
    /// How many answers the client wants at once.
    fn choices(&self) -> u32 {
        1
    }
    /// The body for Google; can be taken once.
    fn take_body(&mut self) -> Vec<u8>;
    /// The bodies of further questions, which are text alone; can be taken once. All of them have
    /// as many of the choices, one after the other.
    fn take_more(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }
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

/// A request that was let in and read: what is asked, of which answer, and the notes of it.
pub(super) type Received<P> = (P, ResponseMeta, Trace);

/// Answers one request.
pub(super) async fn answer<P: Protocol>(app: &App, request: Request) -> Response {
    match receive::<P>(app, request).await {
        Ok(received) => reply(app, received).await,
        Err(refused) => *refused,
    }
}

/// Lets a request in and reads it; else says why not.
pub(super) async fn receive<P: Protocol>(
    app: &App,
    request: Request,
) -> Result<Received<P>, Box<Response>> {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(app, &parts, P::SURFACE) {
        Ok(trace) => trace,
        Err(problem) => return Err(Box::new(turn_away(body, &problem, P::SURFACE).await)),
    };
    match read::<P>(app, body, &mut trace).await {
        Ok((asked, meta)) => Ok((asked, meta, trace)),
        Err(problem) => Err(Box::new(refuse(trace, P::SURFACE, &problem))),
    }
}

/// Answers what was received.
pub(super) async fn reply<P: Protocol>(app: &App, (asked, meta, trace): Received<P>) -> Response {
    let notes = asked.notes().to_vec();
    let pace = Pace::of(&app.core.settings());
    let streams = asked.wants_stream();
    let mut exchange = Box::pin(exchange(app.clone(), asked, meta, trace));
    let response = if streams && !pace.every.is_zero() {
        match tokio::time::timeout(pace.every, &mut exchange).await {
            Ok(exchanged) => exchanged.respond(pace),
            Err(_) => {
                let late = Box::pin(async move { exchange.await.late() });
                let beating = Beating::waiting(late, P::BEAT, pace.every);
                event_stream(pace.slow(Body::new(beating)))
            }
        }
    } else {
        exchange.await.respond(pace)
    };
    noticed(response, &notes)
}

/// With what the model does not take of the request.
pub(super) fn noticed(mut response: Response, notes: &[String]) -> Response {
    for note in notes {
        if let Ok(note) = HeaderValue::from_str(note) {
            response.headers_mut().append(NOTICE, note);
        }
    }
    response
}

/// Tells of what the model does not take of a request, and what was done instead or is to be.
pub(super) const NOTICE: HeaderName = HeaderName::from_static("x-gemini-balance-notice");

/// How streams flow, by the settings.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// After how much silence there is a sign of life; zero: never.
    every: Duration,
    /// The pause between two pieces of text; none: they go out as they come.
    pause: Option<Duration>,
}

impl Pace {
    pub fn of(settings: &Settings) -> Self {
        let pause = Duration::from_millis(settings.stream_delay_ms.into());
        Self {
            every: settings.stream_heartbeat,
            pause: settings.smooth_streams.then_some(pause),
        }
    }

    /// With signs of life while nothing else comes.
    pub fn alive<P: Protocol>(self, body: Body) -> Body {
        match self.every.is_zero() {
            true => body,
            false => Body::new(Beating::flowing(body, P::BEAT, self.every)),
        }
    }

    fn slow(self, body: Body) -> Body {
        match self.pause {
            Some(pause) => Body::new(Paced::new(body, pause)),
            None => body,
        }
    }
}

/// Reads and translates a request. The answer's id is chosen here, so that also an answer that
/// fails late has one.
async fn read<P: Protocol>(
    app: &App,
    body: Body,
    trace: &mut Trace,
) -> Result<(P, ResponseMeta), Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let asked = P::read(&body, app, trace)?;
    trace.may_read_again(&body);
    drop(body);
    trace.asked(asked.model(), asked.wants_stream())?;
    let meta = ResponseMeta {
        id: format!("{}{}", P::ID, random_id()?),
        created: app.core.clock.now() / 1000,
        style: Style {
            signed_ids: app.core.settings().signatures_in_ids,
            ..trace.style()
        },
    };
    Ok((asked, meta))
}

/// A request and what Google said to it.
pub(super) struct Exchanged<P: Protocol> {
    app: App,
    asked: P,
    meta: ResponseMeta,
    trace: Trace,
    answer: Result<Answered, Problem>,
}

pub(super) async fn exchange<P: Protocol>(
    app: App,
    mut asked: P,
    meta: ResponseMeta,
    mut trace: Trace,
) -> Exchanged<P> {
    let answer = ask(&app, &mut asked, &mut trace).await;
    Exchanged {
        app,
        asked,
        meta,
        trace,
        answer,
    }
}

/// Asks Google, and once more without what was remembered of thought signatures if it is that
/// which Google does not take.
async fn ask<P: Protocol>(
    app: &App,
    asked: &mut P,
    trace: &mut Trace,
) -> Result<Answered, Problem> {
    let answered = ask_as_read(app, asked, trace).await;
    let Some(body) = trace.forgets(answered.as_ref().err()) else {
        return answered;
    };
    *asked = P::read(&body, app, trace)?;
    ask_as_read(app, asked, trace).await
}

/// Asks Google, as often as the client wants answers.
async fn ask_as_read<P: Protocol>(
    app: &App,
    asked: &mut P,
    trace: &mut Trace,
) -> Result<Answered, Problem> {
    let settings = app.core.settings();
    // Where only so many calls may be under way, none is held open for others to begin.
    let is_bounded = settings.key_concurrency > 0 || settings.egress_concurrency > 0;
    let streams =
        asked.wants_stream() && !settings.fake_streams && (asked.choices() <= 1 || !is_bounded);
    drop(settings);
    let (verb, query, expect) = match streams {
        true => ("streamGenerateContent", "alt=sse", Expect::Stream),
        false => ("generateContent", "", Expect::Content),
    };
    // What is taken is not counted any more.
    let choices = asked.choices();
    let (body, more) = (asked.take_body(), asked.take_more());
    let body = filled(app, body, asked.wanted()).await?;
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{}:{verb}", asked.model()),
        query,
        model: asked.model(),
        counted_as: None,
        headers: json_headers(),
        body: body.into(),
        expect,
        at: At::Any,
    };
    if choices <= 1 {
        return match call_with(app, &call, asked.uploads(), trace).await? {
            Answer::Whole(whole) => Ok(Answered::Whole(whole)),
            Answer::Stream(stream) => Ok(Answered::Stream(stream)),
            Answer::Raw(_) | Answer::Live(_) => Err(Problem::bug("an answer came raw")),
        };
    }
    let more: Vec<Bytes> = more.into_iter().map(Bytes::from).collect();
    several(app, (&call, &more, asked.uploads()), choices, trace).await
}

impl<P: Protocol> Exchanged<P> {
    /// The answer to a client that has nothing yet.
    fn respond(mut self, pace: Pace) -> Response {
        let mut written = self.writer();
        let whole = match self.answer {
            Err(problem) => return refuse(self.trace, P::SURFACE, &problem),
            Ok(Answered::Several(streams)) => {
                return relay(self.trace, |trace| {
                    let body = together(streams, written, trace);
                    event_stream(pace.slow(pace.alive::<P>(body)))
                });
            }
            Ok(Answered::Stream(stream)) => {
                return relay(self.trace, |trace| {
                    let body = Body::new(Relay::new(stream, written, trace));
                    event_stream(pace.slow(pace.alive::<P>(body)))
                });
            }
            Ok(Answered::Whole(whole)) => whole,
        };
        if self.asked.wants_stream() {
            let events = written.all(whole.body, &mut self.trace);
            return answered_by(&self.trace, event_stream(pace.slow(events.into())));
        }
        if let Some(signed) = &mut written.signed {
            signed.read(&whole.body);
            signed.finish();
        }
        match self.asked.whole(&self.meta, &whole.body) {
            Ok(body) => {
                self.trace.first_byte();
                self.trace.succeed();
                answered_by(&self.trace, json(StatusCode::OK, body))
            }
            Err(error) => refuse(self.trace, P::SURFACE, &unreadable(&error)),
        }
    }

    /// The answer inside a stream that has begun.
    pub(super) fn late(mut self) -> Late {
        let mut written = self.writer();
        match self.answer {
            Err(problem) => {
                self.trace.fail(problem.status.as_u16(), &problem.message);
                let mut out = Vec::new();
                written.abort(problem.in_stream(), &mut out);
                Late::Whole(out.into())
            }
            Ok(Answered::Several(streams)) => {
                self.trace.first_byte();
                Late::Flow(together(streams, written, self.trace))
            }
            Ok(Answered::Stream(stream)) => {
                self.trace.first_byte();
                Late::Flow(Body::new(Relay::new(stream, written, self.trace)))
            }
            Ok(Answered::Whole(whole)) => Late::Whole(written.all(whole.body, &mut self.trace)),
        }
    }

    fn writer(&self) -> Written<P::Stream> {
        let settings = self.app.core.settings();
        let pieces = usize::try_from(settings.stream_chunk_size).unwrap_or(usize::MAX);
        Written {
            writer: Box::new(self.asked.stream(&self.meta)),
            signed: P::IDS.map(|ids| Signed {
                parts: SignedParts::new(ids, &self.meta, self.asked.model()),
                core: self.app.core.clone(),
                token: self.trace.token_id(),
            }),
            pieces: settings.smooth_streams.then_some(pieces),
            gave_up: None,
            request_id: Some(self.trace.request_id().into()),
        }
    }
}

/// Remembers the signatures of an answer for the client that may lose them.
struct Signed {
    parts: SignedParts,
    core: Arc<Core>,
    token: Option<i64>,
}

impl Signed {
    fn read(&mut self, event: &[u8]) {
        let (core, token) = (&self.core, self.token);
        self.parts.read(event, |name, signature| {
            core.signatures.remember(token, name, signature);
        });
    }

    fn finish(&mut self) {
        let (core, token) = (&self.core, self.token);
        self.parts.finish(|name, signature| {
            core.signatures.remember(token, name, signature);
        });
    }
}

/// Makes a call: with the key of the files and cached contents that it names, or, when it names none,
/// with any.
pub(super) async fn call_with(
    app: &App,
    call: &Call<'_>,
    uploads: Option<&Uploads>,
    trace: &mut Trace,
) -> Result<Answer, Problem> {
    for file in uploads.iter().flat_map(|uploads| &uploads.files) {
        files::may_use(app, file, trace)?;
    }
    // The files are in the body by now, and a cache may be, too.
    let place = resources::place(app, &call.body, trace).await?;
    let at = match uploads {
        None => place.unwrap_or_default(),
        Some(Uploads { key, .. }) if place.is_none_or(|place| place == At::Only(*key)) => {
            At::Only(*key)
        }
        Some(_) => {
            return Err(Problem::bad_request(
                "The files and the cached content that this names were made with different Gemini \
                 keys, and no key reaches both. Make one of them again.",
            ));
        }
    };
    let call = Call { at, ..call.again() };
    let answer = app.upstream.call(&app.core, &call, trace).await;
    answer.map_err(|failure| Problem::of(failure, &app.core))
}

/// Asks a model once, for a whole answer.
pub(super) async fn whole(
    app: &App,
    (model, uploads): (&str, Option<&Uploads>),
    body: Bytes,
    trace: &mut Trace,
) -> Result<Bytes, Problem> {
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{model}:generateContent"),
        query: "",
        model,
        counted_as: None,
        headers: json_headers(),
        body,
        expect: Expect::Content,
        at: At::Any,
    };
    match call_with(app, &call, uploads, trace).await? {
        Answer::Whole(whole) => Ok(whole.body),
        _ => Err(Problem::bug("a whole answer streamed")),
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
        false => {
            let most = settings.media_url_bytes().div_ceil(3) * 4 + 4 * found.len();
            fill(&body, &found, most).map_err(|why| match (why, wanted.first()) {
                (Unfilled::TooLarge, Some(first)) => Problem::from(first.refused(format_args!(
                    "everything that is fetched for one request may have {} MB together, counted \
                     as often as it is named (MEDIA_URL_MB); name it once, or upload it as a file.",
                    settings.media_url_mb
                ))),
                _ => Problem::bug("a body of ours cannot be read"),
            })
        }
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
    signed: Option<Signed>,
    /// Text is written in pieces of so many characters.
    pieces: Option<usize>,
    gave_up: Option<String>,
    /// Errors name it where the protocol does.
    request_id: Option<String>,
}

impl<S: EventWriter> Written<S> {
    /// A whole answer as a stream.
    fn all(&mut self, answer: Bytes, trace: &mut Trace) -> Bytes {
        trace.first_byte();
        let events = self.events(&[answer]);
        if let Some(why) = self.gave_up() {
            trace.fail(502, &why);
            return events;
        }
        trace.succeed();
        [events, self.finish()].concat().into()
    }

    fn abort(&mut self, mut failure: UpstreamFailure, out: &mut Vec<u8>) {
        failure.request_id.clone_from(&self.request_id);
        self.writer.abort(&failure, out);
    }

    /// A stream that `writer` writes, without calls, as it comes.
    pub fn new(writer: Box<S>) -> Self {
        Self {
            writer,
            signed: None,
            pieces: None,
            gave_up: None,
            request_id: None,
        }
    }
}

impl<S: EventWriter> Translate for Written<S> {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = Vec::new();
        for event in events {
            if let Some(signed) = &mut self.signed {
                signed.read(event);
            }
            let cut = self.pieces.and_then(|most| pieces(event, most));
            let written = match cut {
                None => self.writer.event(event, &mut out),
                Some(cut) => cut
                    .iter()
                    .try_for_each(|event| self.writer.event(event, &mut out)),
            };
            if let Err(error) = written {
                let failure = unreadable(&error).in_stream();
                self.gave_up = Some(failure.message.clone());
                self.abort(failure, &mut out);
                break;
            }
        }
        out.into()
    }

    fn failed(&mut self, _event: Bytes, error: &ApiStatus) -> Bytes {
        let mut out = Vec::new();
        self.abort(error.into(), &mut out);
        out.into()
    }

    fn gave_up(&mut self) -> Option<String> {
        self.gave_up.take()
    }

    fn finish(&mut self) -> Bytes {
        if let Some(signed) = &mut self.signed {
            signed.finish();
        }
        let mut out = Vec::new();
        self.writer.finish(&mut out);
        out.into()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut out = Vec::new();
        self.abort(Problem::cut(why).in_stream(), &mut out);
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
