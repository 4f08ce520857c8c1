//! The way to Google: attempts, what their end means, and streams.
//!
//! [`Upstream::call`] runs the attempt loop: choose a key, send, decide the
//! [`Outcome`](crate::pool::Outcome), and
//! start again with another key as long as the table allows and the client has seen
//! nothing. Exactly one credential goes upstream, in the `x-goog-api-key` header, so it
//! appears in no URL. Redirects are not followed: a key must not travel elsewhere.

mod attempt;
mod attempts;
mod check;
mod classify;
mod conversation;
mod express;
mod failure;
mod hedge;
mod hop;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;

pub(crate) use attempt::scrub;
pub(crate) use express::ExpressKeys;
pub use failure::Failure;
pub(crate) use hop::HOP_HEADER;
pub use hop::{NextHop, Through};
pub use stream::{OpenStream, Relay, Translate};

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
    /// Those through proxies, by [`crate::egress::Proxy::id`].
    proxied: Arc<Mutex<HashMap<u64, reqwest::Client>>>,
}

/// One call to be made, with whatever key.
pub struct Call<'a> {
    /// GET or POST.
    pub method: Method,
    /// The path below the base URL, e.g. `/models/gemini-2.5-flash:generateContent`. Below
    /// `/upload/` it is where Google has its uploads: beside the base URL, not in it.
    pub path: &'a str,
    /// The query to pass on, without a credential; may be empty.
    pub query: &'a str,
    /// What cooldowns are counted by: the model, without `models/`, or another name where
    /// Google counts apart.
    pub model: &'a str,
    /// The client's headers that Google should see.
    pub headers: HeaderMap,
    /// The body; cloning it copies nothing.
    pub body: Bytes,
    /// What counts as an answer.
    pub expect: Expect,
}

impl Call<'_> {
    /// The same once more; that copies no body.
    fn again(&self) -> Call<'_> {
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
}

/// What an accepted attempt gave.
pub enum Answer {
    /// The whole body.
    Whole(Whole),
    /// A stream whose beginning has been seen to hold content.
    Stream(OpenStream),
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
        let client = client(None).map_err(|error| StartError::Upstream(error.to_string()))?;
        Ok(Self {
            client,
            media: Arc::default(),
            proxied: Arc::default(),
        })
    }

    /// The connections by a way. Those through a proxy are made when it is first needed.
    pub(crate) fn by(&self, route: &Route) -> reqwest::Result<reqwest::Client> {
        let Route::Proxy(proxy) = route else {
            return Ok(self.client.clone());
        };
        let mut proxied = self.proxied.lock();
        if let Some(known) = proxied.get(&proxy.id()) {
            return Ok(known.clone());
        }
        let new = client(Some(proxy.for_client()?))?;
        if proxied.len() >= MOST_PROXIED {
            // Of proxies that were changed again and again; those in use are made anew.
            proxied.clear();
        }
        proxied.insert(proxy.id(), new.clone());
        Ok(new)
    }
}

/// Connections, through a proxy or straight.
fn client(proxy: Option<reqwest::Proxy>) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        // The system's proxy is never baked in: `crate::egress` says which one is used.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(90));
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
