//! Answers that are passed on as they come: downloads, and the events of interactions.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use dialect::sse::Events;
use http::{HeaderMap, HeaderName, header};
use http_body::Frame;
use memchr::memmem;

use super::super::super::trace::Trace;
use super::super::super::{App, relay};
use super::{interaction, told};
use crate::upstream::{Raw, Timely};

/// The longest event that is looked into; a longer one is passed on unread.
const LONGEST_EVENT: usize = 64 * 1024 * 1024;
/// What of an answer's headers says how its body is to be read.
const HEADERS: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_DISPOSITION,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
];

/// Gives the client an answer as it comes.
pub(super) fn passed(raw: Raw, trace: Trace, watch: Option<Watch>) -> Response {
    let headers: HeaderMap = told(&raw.headers, &HEADERS);
    let status = raw.status;
    let mut response = relay(trace, |trace| {
        Response::new(Body::new(Passing {
            left: http_body::Body::size_hint(&raw.body).exact(),
            body: raw.body,
            trace,
            watch,
        }))
    });
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
        .headers_mut()
        .insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response
}

/// Reads along in the events of an interaction: its id comes first, what it took comes last.
pub(super) struct Watch {
    app: App,
    events: Events,
}

impl Watch {
    pub fn new(app: App) -> Self {
        Self {
            app,
            events: Events::new(LONGEST_EVENT),
        }
    }

    fn see(&mut self, piece: &Bytes, trace: &mut Trace) {
        self.events.push(piece.clone());
        for event in self.events.by_ref().map_while(Result::ok) {
            if memmem::find(&event, b"\"interaction\"").is_some() {
                interaction(&self.app, &event, trace);
            }
        }
    }
}

/// The body; dropping it, which hyper does when the client goes away, closes Google's.
struct Passing {
    body: Timely,
    trace: Trace,
    watch: Option<Watch>,
    /// How many bytes are to come, where that was said: nobody asks for more after the last.
    left: Option<u64>,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            None => this.trace.succeed(),
            Some(Err(_)) => this
                .trace
                .fail(502, "Google's answer broke off before it was complete."),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    if let Some(watch) = &mut this.watch {
                        watch.see(data, &mut this.trace);
                    }
                    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    this.left = this.left.map(|left| left.saturating_sub(length));
                    if this.left == Some(0) {
                        this.trace.succeed();
                    }
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
