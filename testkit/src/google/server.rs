//! Connections: accepting them, playing bodies, breaking them on purpose, and noticing
//! when the client does.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{IoSlice, Result as IoResult};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::World;
use super::fault::Cut;
use super::handle::respond;
use super::reply::Step;
use crate::accept::connections;

/// The body of an answer.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Severed>>;

/// The connection was broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Severed;

impl fmt::Display for Severed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fake Google broke the connection, as its script demands")
    }
}

impl std::error::Error for Severed {}

/// Serves connections until it is dropped, and ends them all then.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>) {
    connections(listener, |stream| {
        serve_connection(stream, Arc::clone(&world))
    })
    .await;
}

async fn serve_connection(stream: TcpStream, world: Arc<World>) {
    let reset = Reset::default();
    let io = TokioIo::new(Connection {
        stream,
        reset: reset.clone(),
    });
    let service = service_fn(move |request| respond(Arc::clone(&world), request, reset.clone()));
    // An error is a client that went away, or a break that a script demanded.
    let _ = http1::Builder::new()
        .serve_connection(io, service)
        .with_upgrades()
        .await;
}

/// Whether a connection is to end with a TCP reset.
#[derive(Clone, Debug, Default)]
pub(super) struct Reset(Arc<AtomicBool>);

impl Reset {
    /// Says how the connection is to end.
    pub fn set(&self, with_reset: bool) {
        self.0.store(with_reset, Ordering::Relaxed);
    }
}

/// A connection that ends with a TCP reset if so marked.
struct Connection {
    stream: TcpStream,
    reset: Reset,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

/// Somebody is waiting for an answer. Dropped before [`Presence::served`], it counts as a
/// client that went away.
pub(super) struct Presence {
    world: Arc<World>,
    served: bool,
}

impl Presence {
    pub fn new(world: Arc<World>) -> Self {
        Self {
            world,
            served: false,
        }
    }

    pub fn served(&mut self) {
        if !std::mem::replace(&mut self.served, true) {
            self.world.counts.send_modify(|counts| counts.answered += 1);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if !self.served {
            self.world
                .counts
                .send_modify(|counts| counts.disconnects += 1);
        }
    }
}

/// A body that is sent at once.
pub(super) fn full(bytes: Bytes) -> Body {
    Either::Left(Full::new(bytes))
}

/// A body that is played step by step.
pub(super) fn played(
    steps: VecDeque<Step>,
    world: Arc<World>,
    presence: Presence,
    reset: Reset,
) -> Body {
    let player = Player {
        steps,
        world,
        presence,
        reset,
    };
    Either::Right(StreamBody::new(stream::unfold(player, Player::next)).boxed_unsync())
}

struct Player {
    steps: VecDeque<Step>,
    world: Arc<World>,
    presence: Presence,
    reset: Reset,
}

impl Player {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Severed>, Self)> {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Send(bytes) => {
                    // hyper need not ask again after the last byte, so this is the end.
                    if self.steps.iter().all(|step| *step == Step::Flush) {
                        self.presence.served();
                    }
                    return Some((Ok(Frame::data(bytes)), self));
                }
                Step::Flush => pending_once().await,
                Step::Wait(duration) => self.world.clock.sleep(duration).await,
                Step::Stall => self.world.stall().await,
                Step::Break(Cut::End) => break,
                Step::Break(cut) => {
                    self.reset.set(cut == Cut::Reset);
                    self.steps.clear();
                    self.presence.served();
                    return Some((Err(Severed), self));
                }
            }
        }
        self.presence.served();
        None
    }
}

/// Is pending once and woken at once: hyper then writes out what it has. Cheaper than
/// tokio's `yield_now`, which also asks the kernel for news each time.
async fn pending_once() {
    let mut again = true;
    poll_fn(|cx| {
        if std::mem::take(&mut again) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
