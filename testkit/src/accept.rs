//! Where the fakes listen, and their accept loop.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A free port of this machine.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server. It stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Where it listens.
    pub address: SocketAddr,
    /// The accept loop; it owns the connections.
    _server: JoinSet<()>,
}

impl Listening {
    /// Listens at this address, and serves as `serve` does.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn open<F>(at: SocketAddr, serve: impl FnOnce(TcpListener) -> F) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        Ok(Self {
            address,
            _server: server,
        })
    }
}

/// What the builder of every fake has beside its `try_start`: the field `address` is where it
/// is to listen.
macro_rules! starts {
    ($builder:ident => $fake:ident) => {
        impl $builder {
            /// Listens here instead of on a free port of 127.0.0.1.
            #[must_use]
            pub const fn address(mut self, address: std::net::SocketAddr) -> Self {
                self.address = address;
                self
            }

            /// Starts to listen.
            ///
            /// # Panics
            /// When it cannot be started; on a free port of 127.0.0.1 that does not happen.
            pub async fn start(self) -> $fake {
                let started = self.try_start().await;
                started.expect(concat!("the ", stringify!($fake), " listens"))
            }
        }
    };
}
pub(crate) use starts;

/// Serves each connection as `each` does, until it is dropped, and ends them all then.
pub(crate) async fn connections<F>(listener: TcpListener, each: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    // Without it a stream's small events wait for each other: steps of 40 ms.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(each(stream));
                } else {
                    // Out of file descriptors, most likely: some must be closed first.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
