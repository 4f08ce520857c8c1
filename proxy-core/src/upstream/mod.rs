//! The way to Google: attempts, what their end means, and streams.
//!
//! [`Upstream::call`] runs the attempt loop: choose a key, send, decide the
//! [`Outcome`](crate::pool::Outcome), and
//! start again with another key as long as the table allows and the client has seen
//! nothing. Exactly one credential goes upstream, in the `x-goog-api-key` header, so it
//! appears in no URL. Redirects are followed for downloads only, and a key goes to no other host.

mod attempt;
mod attempts;
mod check;
mod classify;
mod conversation;
mod express;
mod failure;
mod hedge;
mod hop;
mod live;
mod stream;
mod timely;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;

pub(crate) use attempt::scrub;
pub(crate) use express::ExpressKeys;
pub use failure::Failure;
pub(crate) use hop::HOP_HEADER;
pub use hop::{NextHop, Through};
pub(crate) use live::LARGEST_MESSAGE;
pub use live::LiveSession;
pub use stream::{OpenStream, Relay, Translate};
pub use timely::Timely;

use crate::StartError;
use crate::egress::Route;
use crate::fetch::Fetcher;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most proxies that connections are kept for.
const MOST_PROXIED: usize = 256;

/// Connections to Google. Each worker has its own, so that no connection is shared between
/// threads. They outlive every change of settings: what can be changed is given with each
/// request.
#[derive(Clone)]
pub struct Upstream {
    client: reqwest::Client,
    /// Fetches what clients name by address, from anywhere but Google.
    pub(crate) media: Arc<Fetcher>,
    /// Those through proxies, by [`crate::egress::Proxy::connection`].
    proxied: Arc<Mutex<HashMap<u64, reqwest::Client>>>,
    /// Those that become WebSockets, by the same; `None`: straight.
    sockets: Arc<Mutex<HashMap<Option<u64>, reqwest::Client>>>,
}

/// One call to be made, with whatever key.
pub struct Call<'a> {
    /// As the client asked.
    pub method: Method,
    /// The path below the base URL, e.g. `/models/gemini-2.5-flash:generateContent`. What Google
    /// has beside the base URL is named by its beginning: `/upload`, `/download`, `/v1alpha`.
    pub path: &'a str,
    /// The query to pass on, without a credential; may be empty.
    pub query: &'a str,
    /// The model that it is about, without `models/`, which the keys' lists of models are asked
    /// for; empty: none.
    pub model: &'a str,
    /// What it is counted as where Google counts apart, e.g. the counting of tokens; `None`: as
    /// its model.
    pub counted_as: Option<&'a str>,
    /// The client's headers that Google should see.
    pub headers: HeaderMap,
    /// The body; cloning it copies nothing.
    pub body: Bytes,
    /// What counts as an answer.
    pub expect: Expect,
    /// Which key makes it.
    pub at: At,
}

/// Which key makes a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// Any, or another instance where calls go through one.
    #[default]
    Any,
    /// Any of this instance: what comes of the call is to be found by it again.
    Here,
    /// This one as long as it can, or else any of this instance.
    Rather(i64),
    /// This one only: the call is about something that belongs to its project, which no other
    /// finds.
    Only(i64),
}

impl Call<'_> {
    /// The same once more; that copies no body.
    pub(crate) fn again(&self) -> Call<'_> {
        Call {
            method: self.method.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            ..*self
        }
    }
}

/// What counts as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Any 2xx.
    Anything,
    /// A 2xx whose body is a generation that holds something.
    Content,
    /// A 2xx whose body is a stream of generations, the first of which hold something.
    Stream,
    /// Any 2xx, whose body is passed on as it comes.
    Raw,
    /// A WebSocket, on which something has come in answer to the body.
    Live,
}

/// What an accepted attempt gave.
pub enum Answer {
    /// The whole body.
    Whole(Whole),
    /// A stream whose beginning has been seen to hold content.
    Stream(OpenStream),
    /// A body that comes yet.
    Raw(Raw),
    /// A session that has begun.
    Live(LiveSession),
}

/// An answer whose body is passed on as it comes.
pub struct Raw {
    /// Google's status: 200, or 206 where a part was asked for.
    pub status: StatusCode,
    /// Google's headers.
    pub headers: HeaderMap,
    /// The body, each piece within `TIME_OUT`.
    pub body: Timely,
}

/// A whole answer.
pub struct Whole {
    /// Google's headers.
    pub headers: HeaderMap,
    /// The body, untouched.
    pub body: Bytes,
}

impl Upstream {
    /// Sets up connections.
    ///
    /// # Errors
    /// When the TLS set-up of the system cannot be read.
    pub fn new() -> Result<Self, StartError> {
        // Another part of the process may have installed the same provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            client(None, Speaks::Any).map_err(|error| StartError::Upstream(error.to_string()))?;
        Ok(Self {
            client,
            media: Arc::default(),
            proxied: Arc::default(),
            sockets: Arc::default(),
        })
    }

    /// The connections by a way. Those through a proxy are made when it is first needed.
    pub(crate) fn by(&self, route: &Route) -> reqwest::Result<reqwest::Client> {
        let Route::Proxy(proxy) = route else {
            return Ok(self.client.clone());
        };
        known_or_new(&self.proxied, proxy.connection(), || {
            client(Some(proxy.for_client()?), Speaks::Any)
        })
    }

    /// The connections by a way that can become WebSockets, which only those of HTTP/1.1 can (RFC
    /// 8441 is not Google's).
    fn sockets_by(&self, route: &Route) -> reqwest::Result<reqwest::Client> {
        let (connection, proxy) = match route {
            Route::Proxy(proxy) => (Some(proxy.connection()), Some(proxy)),
            Route::Direct => (None, None),
        };
        known_or_new(&self.sockets, connection, || {
            let proxy = proxy.map(|proxy| proxy.for_client()).transpose()?;
            client(proxy, Speaks::Http1)
        })
    }
}

/// Those of a proxy, made when they are first needed.
fn known_or_new<K: Eq + std::hash::Hash>(
    known: &Mutex<HashMap<K, reqwest::Client>>,
    id: K,
    new: impl FnOnce() -> reqwest::Result<reqwest::Client>,
) -> reqwest::Result<reqwest::Client> {
    let mut known = known.lock();
    if let Some(client) = known.get(&id) {
        return Ok(client.clone());
    }
    let client = new()?;
    if known.len() >= MOST_PROXIED {
        // Of proxies that were changed again and again; those in use are made anew.
        known.clear();
    }
    known.insert(id, client.clone());
    Ok(client)
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// What the other side likes best.
    Any,
    /// Version 1.1.
    Http1,
}

/// Connections, through a proxy or straight.
fn client(proxy: Option<reqwest::Proxy>, speaks: Speaks) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        // The system's proxy is never baked in: `crate::egress` says which one is used.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(90));
    let builder = match speaks {
        Speaks::Any => builder,
        Speaks::Http1 => builder.http1_only(),
    };
    match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    }
    .build()
}

/// The client's headers that Google should see; everything else stays here.
pub fn passed_on(headers: &HeaderMap) -> HeaderMap {
    const PASSED: [HeaderName; 3] = [
        http::header::CONTENT_TYPE,
        http::header::CONTENT_ENCODING,
        HeaderName::from_static("x-goog-api-client"),
    ];
    let mut passed = HeaderMap::with_capacity(PASSED.len() + 1);
    for name in PASSED {
        if let Some(value) = headers.get(&name) {
            passed.insert(name, value.clone());
        }
    }
    passed
}

/// The headers of a JSON body of our own.
pub fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )])
}
