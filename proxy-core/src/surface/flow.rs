//! How a stream flows to the client: with signs of life while nothing else comes, and slowed
//! down where the settings say so.
//!
//! Proxies between here and the client close connections that are silent for half a minute or
//! two, and models think for longer. So after a while the answer begins with a sign of life; from
//! then on what goes wrong is told inside the stream, because the status has been sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use memchr::memmem;
use tokio::time::{Instant, Sleep, sleep};

/// What comes of a call that the client waits for inside a stream.
pub(super) enum Late {
    /// The answer as it comes.
    Flow(Body),
    /// All there is to say, an error included.
    Whole(Bytes),
}

/// A call that is still under way.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Late> + Send>>;

/// An event stream with signs of life.
pub(super) struct Beating {
    state: State,
    beat: &'static [u8],
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

enum State {
    Waiting(Waiting),
    Flowing(Body),
    Last(Bytes),
    Over,
}

impl Beating {
    /// For a call that is under way; the first sign of life comes at once.
    pub(super) fn waiting(call: Waiting, beat: &'static [u8], every: Duration) -> Self {
        Self {
            state: State::Waiting(call),
            beat,
            every,
            timer: Box::pin(sleep(Duration::ZERO)),
        }
    }

    /// For an answer that has begun.
    pub(super) fn flowing(answer: Body, beat: &'static [u8], every: Duration) -> Self {
        Self {
            state: State::Flowing(answer),
            beat,
            every,
            timer: Box::pin(sleep(every)),
        }
    }

    fn rest(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.every);
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

impl HttpBody for Beating {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Waiting(call) => match call.as_mut().poll(context) {
                    Poll::Ready(Late::Flow(answer)) => this.state = State::Flowing(answer),
                    Poll::Ready(Late::Whole(all)) => this.state = State::Last(all),
                    Poll::Pending => break,
                },
                State::Flowing(answer) => match Pin::new(answer).poll_frame(context) {
                    Poll::Ready(Some(frame)) => {
                        this.rest();
                        return Poll::Ready(Some(frame));
                    }
                    Poll::Ready(None) => this.state = State::Over,
                    Poll::Pending => break,
                },
                State::Last(all) => {
                    let all = std::mem::take(all);
                    this.state = State::Over;
                    return Poll::Ready(Some(Ok(Frame::data(all))));
                }
                State::Over => return Poll::Ready(None),
            }
        }
        if this.timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.rest();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(this.beat)))))
    }
}

/// The most events that wait to be sent slowly.
const BACKLOG: usize = 4_096;
/// From how many events on that wait the pauses become shorter, so that a fast model is not
/// held back for long.
const COMFORTABLE: u32 = 50;

/// An event stream whose events go out one by one.
pub(super) struct Paced {
    answer: Body,
    over: bool,
    events: VecDeque<Bytes>,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Paced {
    /// With this pause between two events.
    pub(super) fn new(answer: Body, pause: Duration) -> Self {
        Self {
            answer,
            over: false,
            events: VecDeque::new(),
            pause,
            timer: Box::pin(sleep(Duration::ZERO)),
        }
    }

    /// Takes over what has come.
    fn fill(&mut self, context: &mut Context<'_>) -> Option<axum::Error> {
        while !self.over && self.events.len() < BACKLOG {
            match Pin::new(&mut self.answer).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.cut(data);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Some(error),
                Poll::Ready(None) => self.over = true,
                Poll::Pending => break,
            }
        }
        None
    }

    /// Cuts at the ends of events.
    fn cut(&mut self, mut data: Bytes) {
        while let Some(at) = memmem::find(&data, b"\n\n") {
            self.events.push_back(data.split_to(at + 2));
        }
        if !data.is_empty() {
            self.events.push_back(data);
        }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let this = &mut *self;
        if let Some(error) = this.fill(context) {
            return Poll::Ready(Some(Err(error)));
        }
        if this.events.is_empty() {
            return match this.over {
                true => Poll::Ready(None),
                false => Poll::Pending,
            };
        }
        if this.timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let Some(event) = this.events.pop_front() else {
            return Poll::Pending;
        };
        let waiting = u32::try_from(this.events.len()).unwrap_or(u32::MAX);
        let pause = match waiting > COMFORTABLE {
            true => this.pause * COMFORTABLE / waiting,
            false => this.pause,
        };
        this.timer.as_mut().reset(Instant::now() + pause);
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn all(body: impl HttpBody<Data = Bytes, Error = axum::Error>) -> Vec<Bytes> {
        let mut body = std::pin::pin!(body);
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn signs_of_life_come_until_the_answer_does() {
        let (answer, waiting) = tokio::sync::oneshot::channel();
        let call: Waiting = Box::pin(async { Late::Whole(waiting.await.unwrap()) });
        let mut body = Beating::waiting(call, b": beat\n\n", MOMENT);
        for _ in 0..3 {
            let beat = body.frame().await.unwrap().unwrap();
            assert_eq!(beat.into_data().unwrap(), ": beat\n\n");
        }
        answer.send(Bytes::from_static(b"answer")).unwrap();
        let frames = all(body).await;
        assert_eq!(frames.last().unwrap(), "answer");
        assert!(!frames[..frames.len() - 1].contains(&Bytes::from_static(b"answer")));
    }

    #[tokio::test]
    async fn a_stream_that_flows_needs_none() {
        let answer = Body::from("data: a\n\ndata: b\n\n");
        let body = Beating::flowing(answer, b": beat\n\n", Duration::from_secs(600));
        assert_eq!(all(body).await.concat(), b"data: a\n\ndata: b\n\n");
    }

    #[tokio::test]
    async fn slowed_events_are_all_there_one_by_one_and_in_order() {
        let text: String = (0..300).map(|n| format!("data: {n}\n\n")).collect();
        let frames = all(Paced::new(Body::from(text.clone()), MOMENT)).await;
        assert_eq!(frames.len(), 300);
        assert_eq!(frames.concat(), text.as_bytes());
    }
}
