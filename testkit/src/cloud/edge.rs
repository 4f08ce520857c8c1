//! A service's own address: the edge of a cloud, which passes requests on to the container
//! or says why it does not.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::http::{Answer, Body, Gone, serve_requests};
use crate::accept::connections;

/// What is to become of a request at the edge.
pub(crate) enum Routed {
    /// It goes to the container that listens here.
    To(SocketAddr),
    /// The edge answers it.
    Answer(Answer),
}

/// A request that has been answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// Bytes of the answer's body, as far as known when it began.
    pub bytes: u64,
}

/// A service behind an edge.
pub(crate) trait Route: Send + Sync + 'static {
    /// Decides about a request, and may take its time.
    fn route(&self) -> impl Future<Output = Routed> + Send;
    /// Hears of a request that has been answered.
    fn passed(&self, passed: Passed) -> impl Future<Output = ()> + Send;
}

/// A service's address. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct Edge {
    address: SocketAddr,
    /// The accept loop; it owns the connections.
    _server: JoinSet<()>,
}

/// Connections to containers, each driven by a task.
type Driven = Arc<Mutex<JoinSet<()>>>;

impl Edge {
    /// Opens an address on a free port of 127.0.0.1.
    pub async fn open<R: Route>(make: impl FnOnce(SocketAddr) -> R) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let route = Arc::new(make(address));
        let driven = Driven::default();
        let mut server = JoinSet::new();
        server.spawn(async move {
            connections(listener, |stream| {
                let (route, driven) = (Arc::clone(&route), Arc::clone(&driven));
                serve_requests(stream, move |request| {
                    answer(Arc::clone(&route), Arc::clone(&driven), request)
                })
            })
            .await;
        });
        Ok(Self {
            address,
            _server: server,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn answer<R: Route>(
    route: Arc<R>,
    driven: Driven,
    request: Request<Incoming>,
) -> Result<Response<Body>, Gone> {
    let is_head = request.method() == Method::HEAD;
    let response = match route.route().await {
        Routed::To(address) => pass(address, request, &driven).await,
        Routed::Answer(answer) => answer.into(),
    };
    let bytes = response
        .headers()
        .get("content-length")
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .filter(|_| !is_head)
        .unwrap_or_default();
    route.passed(Passed { bytes }).await;
    Ok(response)
}

/// How long a container may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Passes a request to a container and its answer back, as a stream.
async fn pass(
    address: SocketAddr,
    mut request: Request<Incoming>,
    driven: &Driven,
) -> Response<Body> {
    let bad_gateway = || Answer::page(502, "text/html", "Bad Gateway").into();
    let Ok(Ok(stream)) = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await else {
        return bad_gateway();
    };
    let Ok((mut sender, connection)) = http1::handshake(TokioIo::new(stream)).await else {
        return bad_gateway();
    };
    {
        let mut driven = driven.lock();
        while driven.try_join_next().is_some() {}
        driven.spawn(async move {
            let _ = connection.await;
        });
    }
    let headers = request.headers_mut();
    headers.remove("connection");
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    match sender.send_request(request).await {
        Ok(response) => response.map(|body| body.boxed_unsync()),
        Err(_) => bad_gateway(),
    }
}
