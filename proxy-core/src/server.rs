//! Connections in, spread over workers that share nothing.
//!
//! Each worker is one thread with a runtime, an HTTP parser and upstream connections of
//! its own. A request therefore never wakes another thread, which is where most of the
//! time of a small proxied request goes with a work-stealing runtime (see bench/).

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::surface::{self, Side};
use crate::upstream::Upstream;
use crate::{Core, StartError, observe};

/// The most workers; a pool of Gemini keys never needs more.
const MOST_WORKERS: usize = 8;
/// How long a client may take to send a request's headers (slow-loris guard).
const HEADER_PATIENCE: Duration = Duration::from_secs(30);
/// How long to pause when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening server.
pub struct Server {
    stop: watch::Sender<Option<Duration>>,
    acceptors: Vec<tokio::task::JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

/// A connection on its way to a worker.
struct Arrival {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    side: Side,
}

/// Where to listen. Each address was claimed by [`bind`].
pub struct Listeners {
    /// For clients; for the panel, too, unless that has its own.
    pub clients: std::net::TcpListener,
    /// For the panel alone.
    pub panel: Option<std::net::TcpListener>,
}

/// Claims the address.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => StartError::PortTaken(address),
        // Windows says so of the ports it has set aside, for Hyper-V and others.
        std::io::ErrorKind::PermissionDenied if cfg!(windows) => StartError::PortTaken(address),
        _ => StartError::Listen(address, error),
    };
    // On macOS and Windows 127.0.0.1 can be claimed although another program listens on
    // the same port of all addresses, and one of the two would be deaf. Whoever answers
    // there has the port. (Linux refuses by itself.)
    let knock = Duration::from_millis(200);
    if cfg!(not(target_os = "linux"))
        && address.port() != 0
        && address.ip().is_loopback()
        && std::net::TcpStream::connect_timeout(&address, knock).is_ok()
    {
        return Err(StartError::PortTaken(address));
    }
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

impl Server {
    /// Starts the workers and accepts connections.
    ///
    /// # Errors
    /// When the system refuses a thread or a runtime.
    pub fn start(
        listeners: Listeners,
        core: &Arc<Core>,
        panel: Option<Router>,
    ) -> Result<Self, StartError> {
        let count = std::thread::available_parallelism()
            .map_or(1, std::num::NonZero::get)
            .min(MOST_WORKERS);
        let (stop, stopped) = watch::channel(None);
        let clients = match listeners.panel {
            None => (listeners.clients, Side::Both),
            Some(_) => (listeners.clients, Side::Clients),
        };
        let listening = [
            Some(clients),
            listeners.panel.map(|listener| (listener, Side::Panel)),
        ];
        let listening: Vec<_> = listening.into_iter().flatten().collect();
        let sides: Vec<Side> = listening.iter().map(|(_, side)| *side).collect();
        let mut workers = Vec::with_capacity(count);
        let mut doors = Vec::with_capacity(count);
        for number in 0..count {
            let (door, arrivals) = mpsc::unbounded_channel();
            let upstream = Upstream::new()?;
            let router = |side| surface::router(core, &upstream, panel.clone(), side);
            let routers: Vec<_> = sides.iter().map(|side| (*side, router(*side))).collect();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(StartError::Worker)?;
            let stopped = stopped.clone();
            let worker = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(work(routers, arrivals, stopped)))
                .map_err(StartError::Worker)?;
            workers.push(worker);
            doors.push(door);
        }
        let mut acceptors = Vec::with_capacity(listening.len());
        for (listener, side) in listening {
            let listener = TcpListener::from_std(listener).map_err(StartError::Worker)?;
            #[expect(
                clippy::disallowed_methods,
                reason = "the handle is kept and awaited by shutdown"
            )]
            let acceptor = tokio::spawn(accept(listener, side, doors.clone(), stopped.clone()));
            acceptors.push(acceptor);
        }
        Ok(Self {
            stop,
            acceptors,
            workers,
        })
    }

    /// Stops accepting, lets running requests end for at most `patience`, then cuts them.
    pub async fn shutdown(self, patience: Duration) {
        let Self {
            stop,
            acceptors,
            workers,
        } = self;
        // Nobody listens any more when everything has ended by itself.
        let _ = stop.send(Some(patience));
        for acceptor in acceptors {
            let _ = acceptor.await;
        }
        let joined = tokio::task::spawn_blocking(move || {
            for worker in workers {
                if worker.join().is_err() {
                    tracing::error!("a worker had stopped because of a bug");
                }
            }
        });
        let _ = joined.await;
    }
}

async fn accept(
    listener: TcpListener,
    side: Side,
    doors: Vec<mpsc::UnboundedSender<Arrival>>,
    mut stopped: watch::Receiver<Option<Duration>>,
) {
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                turn = (turn + 1) % doors.len();
                // A worker ends only when the server stops.
                let _ = doors[turn].send(Arrival { stream, peer, side });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn work(
    routers: Vec<(Side, Router)>,
    mut arrivals: mpsc::UnboundedReceiver<Arrival>,
    mut stopped: watch::Receiver<Option<Duration>>,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let patience = loop {
        tokio::select! {
            arrival = arrivals.recv() => {
                // The acceptors end first when the server stops; how long to wait was said
                // before that.
                let Some(Arrival { stream, peer, side }) = arrival else {
                    break stopped.borrow().unwrap_or_default();
                };
                let Ok(stream) = TcpStream::from_std(stream) else { continue };
                // Without this, small writes wait for acknowledgements (40 ms steps).
                let _ = stream.set_nodelay(true);
                let router = routers.iter().find(|(served, _)| *served == side);
                let Some((_, router)) = router.cloned() else { continue };
                let service = service_fn(move |request: Request<Incoming>| {
                    let mut request = request.map(Body::new);
                    if side != Side::Panel {
                        surface::forgive(&mut request);
                    }
                    request.extensions_mut().insert(ConnectInfo(peer));
                    observe::identified(router.clone(), request)
                });
                let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
                builder
                    .http1()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_PATIENCE);
                let connection = builder
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .into_owned();
                let connection = graceful.watch(connection);
                // How a connection ends matters to nobody: what was asked on it is recorded.
                connections.spawn(async move {
                    let _ = connection.await;
                });
            }
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break stopped.borrow().unwrap_or_default(),
        }
    };
    let _ = tokio::time::timeout(patience, graceful.shutdown()).await;
}
