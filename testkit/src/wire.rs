//! The network before a server, for when it fails: a relay that a test cuts, closes and
//! stalls.
//!
//! ```no_run
//! # async fn example(server: std::net::SocketAddr) {
//! use testkit::wire::{Cut, Wire};
//!
//! let wire = Wire::to(server).await;
//! // … point the code under test at wire.address() …
//! wire.cut(); // every connection, now
//! wire.cut_on("COMMIT", Cut::AfterAnswer); // done, but the client never hears of it
//! wire.refuse().await; // as if nobody listened
//! wire.stall(); // connections stand, and nothing comes through
//! wire.heal().await;
//! # }
//! ```
//!
//! Deliberately absent: any knowledge of a protocol. [`Wire::cut_on`] looks for bytes, so
//! it sees nothing within TLS.

#![expect(
    clippy::expect_used,
    reason = "it belongs to tests: what it cannot do fails the test"
)]

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// When the connections are cut that [`Wire::cut_on`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees the bytes.
    BeforeServer,
    /// The server has answered, and the client never sees that.
    AfterAnswer,
    /// Nothing is cut: it stalls, with the bytes on their way, until it is healed.
    Stall,
}

/// How the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    Stalled,
    Refusing,
}

/// What the wire has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: usize,
    /// Connections that stand now.
    pub open: usize,
    /// Times that [`Wire::cut_on`] has struck.
    pub struck: usize,
}

/// A relay in front of a server. Its address stays the same whatever happens; it and its
/// connections end when it is dropped.
#[derive(Debug)]
pub struct Wire {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// The accept loop; it owns the connections.
    _relay: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: watch::Sender<State>,
    /// Counts the cuts; a connection ends when it changes.
    cuts: watch::Sender<u64>,
    trap: Mutex<Option<(Vec<u8>, Cut)>>,
    counts: watch::Sender<Counts>,
    /// Whether the port is listened on; follows `state`.
    listening: watch::Sender<bool>,
}

impl Wire {
    /// A whole wire to this server, which need not be there yet.
    pub async fn to(server: SocketAddr) -> Self {
        // Bound and never listening, so that the port stays ours while nobody listens.
        let reserved = socket(0).expect("a free port");
        let address = reserved.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            server,
            state: watch::Sender::new(State::Whole),
            cuts: watch::Sender::new(0),
            trap: Mutex::default(),
            counts: watch::Sender::default(),
            listening: watch::Sender::new(false),
        });
        let mut relay = JoinSet::new();
        relay.spawn(accept(reserved, address.port(), Arc::clone(&shared)));
        let wire = Self {
            shared,
            address,
            _relay: relay,
        };
        wire.until_listening(true).await;
        wire
    }

    /// A whole wire to this port of this machine.
    pub async fn to_port(port: u16) -> Self {
        Self::to((Ipv4Addr::LOCALHOST, port).into()).await
    }

    /// Where the code under test connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Self::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts every connection with a TCP reset; new ones are taken.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Cuts every connection once a client sends these bytes, once. Bytes are found
    /// within what comes in one piece, as a statement does.
    pub fn cut_on(&self, bytes: impl AsRef<[u8]>, when: Cut) {
        *self.shared.trap.lock() = Some((bytes.as_ref().to_vec(), when));
    }

    /// Cuts every connection and refuses new ones, as when the server's machine is up
    /// and the server is not. Returns when that holds.
    pub async fn refuse(&self) {
        self.shared.state.send_replace(State::Refusing);
        self.shared.cut();
        self.until_listening(false).await;
    }

    /// Lets connections stand, and new ones be made, but nothing through, as when a
    /// machine between has gone.
    pub fn stall(&self) {
        self.shared.state.send_replace(State::Stalled);
    }

    /// Is a whole wire again. What was held back by [`Self::stall`] goes through.
    pub async fn heal(&self) {
        self.shared.state.send_replace(State::Whole);
        self.until_listening(true).await;
    }

    /// What it has seen so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Returns when what it has seen is as wanted.
    pub async fn wait_for(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        *counts
            .wait_for(wanted)
            .await
            .expect("the sender lives in self")
    }

    async fn until_listening(&self, wanted: bool) {
        let mut listening = self.shared.listening.subscribe();
        listening
            .wait_for(|listening| *listening == wanted)
            .await
            .expect("the sender lives in self");
    }
}

impl Shared {
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether the trap is for these bytes; it is then used up.
    fn trapped(&self, bytes: &[u8]) -> Option<Cut> {
        let mut trap = self.trap.lock();
        let (wanted, when) = trap.as_ref()?;
        let when = *when;
        bytes
            .windows(wanted.len().max(1))
            .any(|window| window == wanted.as_slice())
            .then(|| {
                *trap = None;
                when
            })
    }

    fn strike(&self) {
        self.counts.send_modify(|counts| counts.struck += 1);
        self.cut();
    }
}

/// A socket of this machine on a port that several sockets of ours may have.
fn socket(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket)
}

/// Takes connections while the wire is there.
async fn accept(_reserved: TcpSocket, port: u16, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut state = shared.state.subscribe();
    loop {
        let listener = socket(port)
            .and_then(|socket| socket.listen(128))
            .expect("the port is reserved");
        shared.listening.send_replace(true);
        loop {
            tokio::select! {
                _ = state.wait_for(|state| *state == State::Refusing) => break,
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    connections.spawn(relay(client, Arc::clone(&shared)));
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        shared.listening.send_replace(false);
        let _ = state.wait_for(|state| *state != State::Refusing).await;
    }
}

/// Keeps the count of connections that stand.
struct Standing(Arc<Shared>);

impl Standing {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.counts.send_modify(|counts| {
            counts.accepted += 1;
            counts.open += 1;
        });
        Self(Arc::clone(shared))
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.open -= 1);
    }
}

/// One connection.
async fn relay(client: TcpStream, shared: Arc<Shared>) {
    let _standing = Standing::new(&shared);
    let mut cuts = shared.cuts.subscribe();
    let mut server = None;
    tokio::select! {
        () = carry(&client, &mut server, &shared) => {}
        _ = cuts.changed() => {
            for stream in std::iter::once(&client).chain(&server) {
                let _ = stream.set_zero_linger();
            }
        }
    }
}

/// Connects and carries both ways until one side ends. The server's end is the caller's,
/// so that it is still there to be cut.
async fn carry(client: &TcpStream, server: &mut Option<TcpStream>, shared: &Shared) {
    whole(shared).await;
    let Ok(stream) = TcpStream::connect(shared.server).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = stream.set_nodelay(true);
    let server = &*server.insert(stream);
    let answer_is_lost = AtomicBool::new(false);
    let up = pump(client, server, shared, |bytes| {
        match shared.trapped(bytes) {
            None => false,
            Some(Cut::BeforeServer) => true,
            Some(Cut::Stall) => {
                shared.counts.send_modify(|counts| counts.struck += 1);
                shared.state.send_replace(State::Stalled);
                false
            }
            Some(Cut::AfterAnswer) => {
                answer_is_lost.store(true, Ordering::Relaxed);
                false
            }
        }
    });
    let down = pump(server, client, shared, |_| {
        answer_is_lost.load(Ordering::Relaxed)
    });
    tokio::select! {
        _ = up => {}
        _ = down => {}
    }
}

/// Returns when the wire lets bytes through.
async fn whole(shared: &Shared) {
    let mut state = shared.state.subscribe();
    let _ = state.wait_for(|state| *state == State::Whole).await;
}

/// Carries one way until an end. A piece for which `lose` is true gets lost, and every
/// connection with it.
async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    shared: &Shared,
    lose: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        from.readable().await?;
        let count = match from.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let mut piece = buffer.get(..count).unwrap_or_default();
        whole(shared).await;
        if lose(piece) {
            shared.strike();
            // Until this connection is cut with the others.
            return pending().await;
        }
        whole(shared).await;
        while !piece.is_empty() {
            to.writable().await?;
            match to.try_write(piece) {
                Ok(count) => piece = piece.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
