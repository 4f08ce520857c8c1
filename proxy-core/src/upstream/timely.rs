//! Google's answer as it comes, given up when it is silent for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::clock::{Clock, Sleep};

/// The body of an answer, each piece within `TIME_OUT` of the one before.
///
/// One alarm serves many pieces: when it goes off it is set anew for what is left of the silence
/// there is then.
pub struct Timely {
    body: reqwest::Body,
    clock: Clock,
    most: Duration,
    /// Since when nothing has come, by the monotonic clock.
    silent_since: Option<Duration>,
    alarm: Option<Sleep>,
}

/// Nothing came for as long as the settings allow.
#[derive(Debug)]
pub(super) struct Silent;

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing came in time")
    }
}

impl std::error::Error for Silent {}

impl Timely {
    /// A body that may be silent for so long.
    pub(super) fn new(body: reqwest::Body, clock: &Clock, most: Duration) -> Self {
        Self {
            body,
            clock: clock.clone(),
            most,
            silent_since: None,
            alarm: None,
        }
    }
}

impl Body for Timely {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.silent_since = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let since = *this
            .silent_since
            .get_or_insert_with(|| this.clock.monotonic());
        loop {
            let alarm = this.alarm.get_or_insert_with(|| {
                let silent = this.clock.monotonic().saturating_sub(since);
                this.clock.sleep(this.most.saturating_sub(silent))
            });
            if alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.alarm = None;
            if this.clock.monotonic().saturating_sub(since) >= this.most {
                return Poll::Ready(Some(Err(Silent.into())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
