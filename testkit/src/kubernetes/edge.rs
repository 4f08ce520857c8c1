//! The cloud's edge: takes HTTP for every host of the ingresses and sends it to a pod that
//! is ready. Who speaks TLS gets it, with a certificate for [`super::Builder::domain`].
//!
//! A process listens on this machine only and takes no other name than its own, so `Host`
//! and `Origin` name it by its address; what was asked for is in `X-Forwarded-Host`.
//!
//! Deliberately absent: WebSocket.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::World;
use super::controllers::is_reachable;
use super::kubelet::ready_pods;
use super::resource;
use super::store::{self, uid};

type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, hyper::Error>>;

/// The first byte of a TLS connection: a handshake record.
const HANDSHAKE: u8 = 0x16;

/// nginx's limit of a body unless the ingress says another, in bytes.
const USUAL_BODY: u64 = 1024 * 1024;

/// Asks for a listener of an ingress's own.
type Wanted = ((String, String), oneshot::Sender<io::Result<SocketAddr>>);

/// The way to the task that has the listeners.
#[derive(Debug)]
pub(super) struct Edge {
    wanted: mpsc::UnboundedSender<Wanted>,
}

impl Edge {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Wanted>) {
        let (wanted, listeners) = mpsc::unbounded_channel();
        (Self { wanted }, listeners)
    }

    /// The address that is this ingress's alone.
    pub async fn address_of(&self, namespace: &str, ingress: &str) -> io::Result<SocketAddr> {
        let (answer, answered) = oneshot::channel();
        let key = (namespace.to_owned(), ingress.to_owned());
        let gone = || io::Error::other("the fake has stopped");
        self.wanted.send((key, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Serves all hosts at one address, and single ingresses at their own.
pub(super) async fn serve(
    all: TcpListener,
    mut wanted: mpsc::UnboundedReceiver<Wanted>,
    tls: TlsAcceptor,
    world: Arc<World>,
) {
    let mut listeners = JoinSet::new();
    let mut own: HashMap<(String, String), SocketAddr> = HashMap::new();
    listeners.spawn(listen(all, None, tls.clone(), Arc::clone(&world)));
    while let Some((key, answer)) = wanted.recv().await {
        let address = match own.get(&key) {
            Some(address) => Ok(*address),
            None => match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
                Ok(listener) => {
                    let address = listener.local_addr();
                    if let Ok(address) = &address {
                        own.insert(key.clone(), *address);
                        let (tls, world) = (tls.clone(), Arc::clone(&world));
                        listeners.spawn(listen(listener, Some(key), tls, world));
                    }
                    address
                }
                Err(error) => Err(error),
            },
        };
        let _ = answer.send(address);
    }
}

async fn listen(
    listener: TcpListener,
    only: Option<(String, String)>,
    tls: TlsAcceptor,
    world: Arc<World>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                let _ = stream.set_nodelay(true);
                let (world, only, tls) = (Arc::clone(&world), only.clone(), tls.clone());
                connections.spawn(async move {
                    let mut first = [0];
                    let is_tls = matches!(stream.peek(&mut first).await, Ok(1))
                        && first == [HANDSHAKE];
                    let service = service_fn(move |request| {
                        route(Arc::clone(&world), only.clone(), peer, request)
                    });
                    // An error is a client that went away or does not trust it, or a pod.
                    if is_tls {
                        if let Ok(stream) = tls.accept(stream).await {
                            let stream = TokioIo::new(stream);
                            let _ = http1::Builder::new().serve_connection(stream, service).await;
                        }
                    } else {
                        let stream = TokioIo::new(stream);
                        let _ = http1::Builder::new().serve_connection(stream, service).await;
                    }
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Where a request goes.
enum Way {
    /// No ingress that the edge knows.
    Nowhere,
    /// An ingress, and no pod that is ready.
    NoPod,
    /// A pod that only pretends to run.
    Simulated(String),
    TooLarge,
    To(SocketAddr),
}

fn way(
    world: &World,
    only: Option<&(String, String)>,
    host: &str,
    request: &Request<Incoming>,
) -> Way {
    world.settle();
    let inner = world.inner.lock();
    let cluster = &inner.cluster;
    let (Some(ingresses), Some(services)) = (
        resource::by_id("ingresses.networking.k8s.io"),
        resource::by_id("services"),
    ) else {
        return Way::Nowhere;
    };
    let host = host.split(':').next().unwrap_or(host);
    for ingress in cluster.store.list(ingresses, "") {
        let named = only.is_some_and(|(namespace, name)| {
            store::namespace(&ingress) == namespace && store::name(&ingress) == name
        });
        if (only.is_some() && !named) || !is_reachable(cluster, &ingress) {
            continue;
        }
        for rule in ingress["spec"]["rules"].as_array().into_iter().flatten() {
            if !named && rule["host"].as_str() != Some(host) {
                continue;
            }
            let Some(backend) = backend(rule, request.uri().path()) else {
                continue;
            };
            if is_too_large(&ingress, request) {
                return Way::TooLarge;
            }
            let called = backend["name"].as_str().unwrap_or_default();
            let Some(service) = cluster
                .store
                .get(services, store::namespace(&ingress), called)
            else {
                return Way::NoPod;
            };
            let listens = service["spec"]["ports"].as_array().is_some_and(|ports| {
                ports.iter().any(|port| {
                    port["port"] == backend["port"]["number"]
                        || (port["name"].is_string() && port["name"] == backend["port"]["name"])
                })
            });
            let pods = ready_pods(cluster, service);
            let Some(pod) = pods.first().filter(|_| listens) else {
                return Way::NoPod;
            };
            let address = cluster.runs.get(uid(pod)).and_then(|run| run.address);
            return address.map_or_else(|| Way::Simulated(store::name(pod).to_owned()), Way::To);
        }
    }
    Way::Nowhere
}

/// The service of the longest path that fits.
fn backend<'a>(rule: &'a Value, path: &str) -> Option<&'a Value> {
    rule["http"]["paths"]
        .as_array()?
        .iter()
        .filter(|entry| {
            let prefix = entry["path"].as_str().unwrap_or("/");
            match entry["pathType"].as_str() {
                Some("Exact") => path == prefix,
                _ => {
                    let bare = prefix.trim_end_matches('/');
                    path.strip_prefix(bare)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                }
            }
        })
        .max_by_key(|entry| entry["path"].as_str().unwrap_or("/").len())
        .map(|entry| &entry["backend"]["service"])
}

/// Whether nginx would not take the body.
fn is_too_large(ingress: &Value, request: &Request<Incoming>) -> bool {
    let limit = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
        .as_str()
        .and_then(|text| {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = match text.get(digits.len()..)? {
                "k" | "K" => 1 << 10,
                "m" | "M" => 1 << 20,
                "g" | "G" => 1 << 30,
                _ => 1,
            };
            digits.parse::<u64>().ok()?.checked_mul(unit)
        })
        .unwrap_or(USUAL_BODY);
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Zero is no limit.
    limit > 0 && length.is_some_and(|length| length > limit)
}

async fn route(
    world: Arc<World>,
    only: Option<(String, String)>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    Ok(match way(&world, only.as_ref(), &host, &request) {
        // So Envoy, which stands before ClawCloud's ingresses, says it.
        Way::Nowhere => said(StatusCode::NOT_FOUND, ""),
        Way::NoPod => said(StatusCode::SERVICE_UNAVAILABLE, "no healthy upstream"),
        Way::TooLarge => said(
            StatusCode::PAYLOAD_TOO_LARGE,
            "<html><head><title>413 Request Entity Too Large</title></head></html>",
        ),
        Way::Simulated(pod) => said(StatusCode::OK, &format!("{pod} is simulated")),
        Way::To(address) => {
            let headers = request.headers_mut();
            let is_own = headers
                .get(ORIGIN)
                .and_then(|origin| origin.to_str().ok()?.split_once("://"))
                .is_some_and(|(_, from)| from == host);
            let own = is_own.then(|| (ORIGIN, format!("http://{address}")));
            for (name, value) in [
                (
                    HeaderName::from_static("x-forwarded-for"),
                    peer.ip().to_string(),
                ),
                (HeaderName::from_static("x-real-ip"), peer.ip().to_string()),
                (HeaderName::from_static("x-forwarded-host"), host),
                (
                    HeaderName::from_static("x-forwarded-proto"),
                    "https".to_owned(),
                ),
                (HOST, address.to_string()),
            ]
            .into_iter()
            .chain(own)
            {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
            match ask(address, request).await {
                Ok(answer) => {
                    let (mut parts, body) = answer.into_parts();
                    parts.headers.remove(CONNECTION);
                    parts.headers.remove(TRANSFER_ENCODING);
                    Response::from_parts(parts, Either::Right(body.boxed_unsync()))
                }
                Err(_) => said(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "upstream connect error or disconnect/reset before headers",
                ),
            }
        }
    })
}

fn said(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(text.to_owned()))));
    *response.status_mut() = status;
    response
}

/// Sends a request over a connection of its own.
pub(super) async fn ask<B>(
    address: SocketAddr,
    request: Request<B>,
) -> Result<Response<UnsyncBoxBody<Bytes, hyper::Error>>, Box<dyn Error + Send + Sync>>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = TcpStream::connect(address).await?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    let mut carrying = JoinSet::new();
    carrying.spawn(connection);
    let answer = sender.send_request(request).await?;
    // The connection lives as long as the answer's body, which therefore owns it.
    Ok(answer.map(|body| {
        body.map_frame(move |frame| {
            let _ = &carrying;
            frame
        })
        .boxed_unsync()
    }))
}
