//! The accept loop of every fake.

use std::future::Future;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

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
