//! Streams: held until they are worth sending, then relayed as they come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use dialect::gemini::{ApiStatus, Peek};
use dialect::sse::Events;
use http::StatusCode;
use http_body::{Body, Frame};

use super::attempt::{Way, answers};
use super::classify;
use super::failure::{Setback, lost, refused};
use super::timely::Timely;
use crate::settings::Settings;
use crate::surface::trace::Trace;

/// The most that one event may hold: an inline image of 4K is about 30 MB in base64.
const EVENT_LIMIT: usize = 64 * 1024 * 1024;
/// The most that is held back while nothing but thoughts has come.
const HELD_LIMIT: usize = 1024 * 1024;
/// How long thoughts are held back at most. Without this bound a client would see nothing
/// while a model thinks for minutes; with it, an answer of thoughts only is noticed (and
/// tried again) when it comes quickly, which is how such answers come.
const HOLD_THOUGHTS: Duration = Duration::from_secs(3);

/// A stream that has shown content, with what came so far.
pub struct OpenStream {
    held: VecDeque<Bytes>,
    rest: Timely,
}

impl OpenStream {
    /// The events that have come whole so far, for a look before anything is sent.
    pub fn seen(&self) -> Vec<Bytes> {
        let mut events = Events::new(EVENT_LIMIT);
        for chunk in &self.held {
            events.push(chunk.clone());
        }
        events.by_ref().map_while(Result::ok).collect()
    }
}

/// What a surface makes of a stream of Gemini events.
pub trait Translate: Send + Unpin + 'static {
    /// What to send for these events (their `data:` payloads).
    fn events(&mut self, events: &[Bytes]) -> Bytes;
    /// What to send for `raw`, the bytes that completed `events`.
    fn chunk(&mut self, _raw: Bytes, events: &[Bytes]) -> Bytes {
        self.events(events)
    }
    /// What to send for an event at the very end that lacked its empty line.
    fn last(&mut self, event: Bytes) -> Bytes {
        self.events(&[event])
    }
    /// What to send for an event that is an error of Google's; nothing follows it.
    fn failed(&mut self, event: Bytes, error: &ApiStatus) -> Bytes;
    /// What to send after the last event of a stream that is complete.
    fn finish(&mut self) -> Bytes;
    /// What to send when the stream ends before it is complete, saying so.
    fn cut(&mut self, why: &str) -> Bytes;
    /// Why nothing more will be sent, when the events could not be made sense of.
    fn gave_up(&mut self) -> Option<String> {
        None
    }
}

/// Waits until the stream holds content. Until then, nothing was sent to the client and
/// everything that goes wrong can be tried again.
pub(super) async fn open(
    mut rest: Timely,
    (way, settings): (Way<'_>, &Settings),
    trace: &mut Trace,
) -> Result<OpenStream, Setback> {
    let mut held = VecDeque::new();
    let mut held_bytes = 0;
    let mut events = Events::new(EVENT_LIMIT);
    let mut thoughts_seen = false;
    let mut patience = Box::pin(tokio::time::sleep(HOLD_THOUGHTS));
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut rest).poll_frame(context));
        let chunk = tokio::select! {
            biased;
            frame = frame => match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(lost(error)),
                // The stream ended without having held anything, except perhaps an event
                // that lacks its empty line.
                None => match events.finish().map(|event| Peek::of(&event)) {
                    Some(Ok(peek)) if answers(&peek) => break,
                    _ => return Err(Setback::empty()),
                },
            },
            () = &mut patience, if thoughts_seen => break,
        };
        held_bytes += chunk.len();
        events.push(chunk.clone());
        held.push_back(chunk);
        let mut worth_sending = held_bytes > HELD_LIMIT;
        for event in events.by_ref() {
            let Ok(event) = event else {
                // Larger than any event can be: let the client decide.
                worth_sending = true;
                break;
            };
            let Ok(peek) = Peek::of(&event) else {
                // Not JSON: whatever it is, it is no answer.
                return Err(Setback::malformed());
            };
            trace.usage(&peek);
            if let Some(error) = peek.error {
                return Err(refused(status_of(&error), way.scrub(settings, event)));
            }
            thoughts_seen |= peek.thought_only;
            worth_sending |= answers(&peek);
        }
        if worth_sending {
            break;
        }
    }
    Ok(OpenStream { held, rest })
}

/// The HTTP status that an error inside a stream would have had.
fn status_of(error: &ApiStatus) -> StatusCode {
    StatusCode::from_u16(error.code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// What an event turned out to be.
enum Seen {
    Answer,
    Error(ApiStatus),
    Unreadable,
}

/// The body that carries a stream to the client.
///
/// It reads from Google only as fast as the client takes (one chunk at a time), and
/// dropping it, which hyper does when the client goes away, closes Google's stream.
pub struct Relay<T> {
    stream: OpenStream,
    events: Events,
    ready: Vec<Bytes>,
    translate: T,
    trace: Trace,
    complete: bool,
    over: bool,
}

impl<T: Translate> Relay<T> {
    /// Relays `stream` through `translate` and ends `trace` when it ends.
    pub fn new(stream: OpenStream, translate: T, trace: Trace) -> Self {
        Self {
            stream,
            events: Events::new(EVENT_LIMIT),
            ready: Vec::new(),
            translate,
            trace,
            complete: false,
            over: false,
        }
    }

    fn next_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if let Some(chunk) = self.stream.held.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        loop {
            match ready!(Pin::new(&mut self.stream.rest).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Notes what an event says about the answer as a whole.
    fn observe(&mut self, event: &Bytes) -> Seen {
        let Ok(peek) = Peek::of(event) else {
            return Seen::Unreadable;
        };
        self.trace.usage(&peek);
        self.complete |= peek.finish.is_some() || peek.blocked.is_some();
        match peek.error {
            None => Seen::Answer,
            Some(error) => Seen::Error(error),
        }
    }

    /// What to send for a piece of Google's stream.
    fn pass(&mut self, raw: Bytes) -> Bytes {
        self.events.push(raw.clone());
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        while let Some(event) = self.events.next() {
            let wrong = match event {
                Ok(event) => match self.observe(&event) {
                    Seen::Answer => {
                        ready.push(event);
                        continue;
                    }
                    Seen::Error(error) => {
                        self.over = true;
                        let event = self.trace.scrub(event);
                        let error = ApiStatus::parse(&event).unwrap_or(error);
                        let outcome = classify::classify(status_of(&error), Some(&error));
                        self.trace.settle(outcome, &error.message);
                        self.trace.fail(error.code, &error.message);
                        let before = self.translate.events(&ready);
                        return [before, self.translate.failed(event, &error)]
                            .concat()
                            .into();
                    }
                    Seen::Unreadable => "Google sent an event that cannot be read.".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            let before = self.translate.events(&ready);
            return [before, self.end(Some(wrong))].concat().into();
        }
        let out = self.translate.chunk(raw, &ready);
        self.ready = ready;
        if let Some(why) = self.translate.gave_up() {
            self.over = true;
            self.trace.fail(502, &why);
        }
        out
    }

    /// What to send at the end of Google's stream, `broken` or closed in good order.
    fn end(&mut self, broken: Option<String>) -> Bytes {
        self.over = true;
        let rest = match broken {
            None => self.events.finish(),
            Some(_) => None,
        };
        let last = match rest {
            Some(event) if matches!(self.observe(&event), Seen::Answer) => {
                self.translate.last(event)
            }
            _ => Bytes::new(),
        };
        let end = match broken {
            None if self.complete => {
                self.trace.succeed();
                self.translate.finish()
            }
            broken => {
                let why = broken.unwrap_or_else(|| {
                    "Google closed the stream before the answer was complete.".to_owned()
                });
                self.trace.fail(502, &why);
                self.translate.cut(&why)
            }
        };
        match last.is_empty() {
            true => end,
            false => [last, end].concat().into(),
        }
    }
}

impl<T> Drop for Relay<T> {
    fn drop(&mut self) {
        // Many clients hang up on the finish reason without waiting for the end.
        if self.complete && !self.over {
            self.trace.succeed();
        }
    }
}

impl<T: Translate> Body for Relay<T> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let span = this.trace.span().clone();
        let _entered = span.enter();
        while !this.over {
            let out = match ready!(this.next_chunk(context)) {
                Some(Ok(chunk)) => this.pass(chunk),
                Some(Err(error)) => this.end(Some(lost(error).failure.in_short())),
                None => this.end(None),
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
        Poll::Ready(None)
    }
}
