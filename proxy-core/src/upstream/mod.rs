//! The way to Google: attempts, what their end means, and streams.
//!
//! [`Upstream::call`] runs the attempt loop: choose a key, send, decide the [`Outcome`], and
//! start again with another key as long as the table allows and the client has seen
//! nothing. Exactly one credential goes upstream, in the `x-goog-api-key` header, so it
//! appears in no URL. Redirects are not followed: a key must not travel elsewhere.

mod classify;
mod conversation;
mod express;
mod hop;
mod owned;
mod stream;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use axum::BoxError;
use bytes::Bytes;
use contract::Millis;
use contract::admin::CooldownReason;
use dialect::gemini::{ApiStatus, Peek};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use reqwest::Url;
use tower_http::timeout::TimeoutBody;
use vault::Secret;

pub(crate) use express::ExpressKeys;
pub(crate) use hop::HOP_HEADER;
pub use hop::{NextHop, Through};
pub use stream::{OpenStream, Relay, Translate};

use crate::egress::Route;
use crate::fetch::Fetcher;
use crate::pool::{Limits, Outcome, Picked, Prefer, Retry, Unavailable, Want, tokens};
use crate::settings::Settings;
use crate::surface::trace::Trace;
use crate::{Core, KeyChecked, StartError};

/// The header that carries the key
/// (<https://ai.google.dev/gemini-api/docs/api-key>; both key shapes work in it).
const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");
/// The most that is read of an error's body.
const ERROR_BODY_LIMIT: usize = 256 * 1024;
/// The most that is read of an answer that is not streamed; images come inline.
const ANSWER_LIMIT: usize = 256 * 1024 * 1024;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most attempts for one request, those included that the settings do not count.
const MOST_TRIES: usize = 32;
/// The most proxies that connections are kept for.
const MOST_PROXIED: usize = 256;
/// The pause before the same key is tried again; doubled each time.
const SAME_KEY_PAUSE: Duration = Duration::from_millis(250);

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

/// Google's answer as it comes, each piece within `TIME_OUT`. Boxed, because its clock
/// must not move.
type Incoming = Pin<Box<TimeoutBody<reqwest::Body>>>;

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

/// Why a call has no answer. Surfaces say it in their protocol's words.
#[derive(Debug)]
pub enum Failure {
    /// Google answered with an error, after all tries that made sense.
    Refused {
        /// Google's HTTP status.
        status: StatusCode,
        /// Google's body, with the key scrubbed from it.
        body: Bytes,
        /// What the body says, where it says it in Google's way.
        said: Option<ApiStatus>,
        /// Whether the failure lies with our keys rather than with the request.
        outcome: Outcome,
    },
    /// No key could be tried.
    NoKey {
        /// Why.
        why: Unavailable,
        /// The model that was asked for.
        model: Box<str>,
    },
    /// Google answered 200 each time, but with nothing in it.
    Empty,
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer in time.
    TooSlow(String),
    /// The instance that calls go through does not serve.
    Remote(String),
}

/// Where an attempt goes, and what lets it in there.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// To Google, with a key.
    Key(&'a Picked),
    /// To Vertex AI's express mode, with a key of it.
    Express(&'a Picked),
    /// To another instance, with a client token.
    Through(&'a NextHop),
}

impl<'a> Way<'a> {
    fn base_url(self, settings: &'a Settings) -> &'a str {
        match self {
            Self::Key(_) => &settings.base_url,
            Self::Express(_) => &settings.vertex_base_url,
            Self::Through(hop) => hop.base_url(),
        }
    }

    /// What lets one in.
    fn credential(self) -> &'a Secret {
        match self {
            Self::Key(key) | Self::Express(key) => key.secret(),
            Self::Through(hop) => hop.token(),
        }
    }

    /// Adds what only this way needs to the headers of a call.
    fn sign(self, settings: &Settings, headers: &mut HeaderMap) {
        match self {
            Self::Key(key) | Self::Express(key) => {
                for (name, value) in settings.custom_headers.headers() {
                    headers.insert(name.clone(), value.clone());
                }
                headers.insert(KEY_HEADER, key.header());
            }
            Self::Through(hop) => {
                headers.insert(KEY_HEADER, hop.header());
                headers.insert(HOP_HEADER, HeaderValue::from_static("1"));
            }
        }
    }

    /// Takes what lets one in out of what the other side says: Google's error texts quote the
    /// whole key (`CONSUMER_SUSPENDED` does, see gateways.md §6), a gateway's its credential.
    fn scrub(self, settings: &Settings, body: Bytes) -> Bytes {
        match self {
            Self::Key(key) | Self::Express(key) => scrub(body, key.secret(), settings),
            Self::Through(hop) => scrub(body, hop.token(), settings),
        }
    }
}

/// How one attempt failed, before it is known whether there will be another.
struct Setback {
    outcome: Outcome,
    failure: Failure,
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

    /// Makes `call` with one key after the other until there is an answer or no sense in
    /// another try. Notes each attempt in `trace` and in the pool.
    ///
    /// # Errors
    /// The last attempt's failure, or why no key could be tried.
    pub async fn call(
        &self,
        core: &Core,
        call: &Call<'_>,
        trace: &mut Trace,
    ) -> Result<Answer, Failure> {
        // One set of settings for all attempts; a change holds for the next request.
        let settings = Guard::into_inner(core.settings());
        if let Some(hop) = core.next_hop().filter(|_| !trace.came_through()) {
            let through = Box::pin(hop::call(self, core, &hop, (call, &settings), trace));
            if let Some(ended) = through.await {
                return ended;
            }
        }
        let chain = match call.expect {
            Expect::Anything => &[][..],
            Expect::Content | Expect::Stream => settings.model_fallbacks.of(call.model),
        };
        let chain: Vec<&str> = chain
            .iter()
            .map(String::as_str)
            .filter(|model| trace.may_use(model).is_ok())
            .collect();
        let patience = trace.patience(settings.patience);
        let (_, verb) = call.path.rsplit_once(':').unwrap_or_default();
        let mut model = call.model;
        let mut path = call.path.to_owned();
        for next in chain {
            // Nobody waits for a model that another stands in for.
            let asked = Call {
                model,
                path: &path,
                ..call.again()
            };
            let ended = self.with_keys(core, &asked, (&settings, Duration::ZERO), trace);
            let ended = Box::pin(ended).await;
            if !matches!(ended, Err(Failure::NoKey { .. })) {
                return ended;
            }
            trace.falls_back(next);
            path = format!("/models/{next}:{verb}");
            model = next;
        }
        let asked = Call {
            model,
            path: &path,
            ..call.again()
        };
        Box::pin(self.with_keys(core, &asked, (&settings, patience), trace)).await
    }

    /// Makes `call` with one key after the other, waiting for the first for `patience`.
    async fn with_keys(
        &self,
        core: &Core,
        call: &Call<'_>,
        (settings, patience): (&Settings, Duration),
        trace: &mut Trace,
    ) -> Result<Answer, Failure> {
        let started = core.clock.now();
        let deadline = match settings.deadline {
            Duration::ZERO => Millis::MAX,
            deadline => later(started, deadline),
        };
        let wait_until = later(started, patience).min(deadline);
        let tokens = tokens::estimate(&call.body);
        let is_paid = core.pool.is_paid();
        let conversation = conversation::of(call, trace, &settings.affinity, is_paid);
        let prefer = conversation.and_then(|conversation| {
            Some(Prefer {
                key: core.pool.answered_before(conversation.id)?,
                strongly: conversation.strongly,
            })
        });
        // Keys that are tried again when there is no other, and those that are not.
        let (mut rather_not, mut never) = (Vec::new(), core.express.unable(call));
        let mut last: Option<Setback> = None;
        let mut counted = 0;
        let mut pause = SAME_KEY_PAUSE;
        for _ in 0..MOST_TRIES {
            let want = Want {
                model: call.model,
                tokens,
                never: &never,
                rather_not: &rather_not,
                prefer,
            };
            let key = match core.pool.pick_by(&want, wait_until).await {
                Ok(key) => key,
                Err(Unavailable::AllTried) if last.is_none() => {
                    return Err(express::unable_failure());
                }
                Err(why) => return Err(Failure::without_key(call, why, last)),
            };
            if rather_not.contains(&key.id()) {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            key.sent();
            trace.attempt(call, &key, &settings.base_url);
            let left = deadline.saturating_sub(core.clock.now());
            let left = Duration::from_millis(left.max(0).unsigned_abs());
            let attempt = self.attempt(core, settings, call, Way::Key(&key), trace);
            let result = match tokio::time::timeout(left, attempt).await {
                Ok(Err(setback)) => Err(setback.seen_with(tokens)),
                Ok(answered) => answered,
                Err(_) => Err(Setback::overdue()),
            };
            let outcome = match &result {
                Ok(_) => Outcome::Answered,
                Err(setback) => setback.outcome,
            };
            core.metrics.attempted(outcome);
            trace.settled(outcome);
            let setback = match result {
                Ok(answer) => {
                    core.pool.settle(&key, outcome, None, None);
                    if let Some(conversation) = conversation {
                        core.pool.answers(conversation.id, &key);
                    }
                    return Ok(answer);
                }
                Err(setback) => setback,
            };
            let said = setback.failure.in_short();
            trace.failed(&setback.failure);
            tracing::debug!(
                key = key.id(),
                key_masked = key.masked(),
                outcome = setback.outcome.name(),
                "an attempt failed"
            );
            let project = setback.failure.project();
            let settled = core.pool.settle(&key, outcome, Some(&said), project);
            let consequence = outcome.consequence();
            counted += u32::from(consequence.counts);
            if consequence.retry == Retry::No
                || counted >= settings.max_attempts
                || later(core.clock.now(), settled.pause) >= deadline
            {
                return Err(setback.failure);
            }
            match consequence.retry {
                Retry::AnyKey => rather_not.push(key.id()),
                Retry::OtherKey if consequence.counts => never.push(key.id()),
                // It cannot be chosen before that makes sense.
                Retry::OtherKey | Retry::No => {}
            }
            // Whoever waits for this key need not wait for the pause as well.
            drop(key);
            tokio::time::sleep(settled.pause).await;
            last = Some(setback);
        }
        Err(match last {
            Some(setback) => setback.failure,
            None => Failure::without_key(call, Unavailable::AllTried, None),
        })
    }

    /// Asks Google for its models with `key`, and notes what that says about it.
    pub async fn check(&self, core: &Core, key: &Picked) -> KeyChecked {
        let call = Call {
            method: Method::GET,
            path: "/models",
            query: "pageSize=1",
            model: "",
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expect: Expect::Anything,
        };
        let started = core.clock.monotonic();
        let settings = Guard::into_inner(core.settings());
        // Express mode has no list of models.
        let known = core.express.has(key.id());
        let result = match known {
            true => self.ask_express(core, &settings, key).await,
            false => {
                let way = Way::Key(key);
                self.attempt(core, &settings, &call, way, &mut Trace::silent())
                    .await
            }
        };
        let latency = core.clock.monotonic().saturating_sub(started);
        let turned_out = !known && core.express.has(key.id());
        let (outcome, message) = match result {
            Ok(_) => (Outcome::Answered, String::new()),
            Err(_) if turned_out => (Outcome::Answered, String::new()),
            Err(setback) => (setback.outcome, setback.failure.in_short()),
        };
        core.metrics.attempted(outcome);
        if outcome == Outcome::Answered {
            // A refusal that is over is forgiven; a key that is off stays off.
            core.pool.forgive(key);
        }
        core.pool.settle(key, outcome, Some(&message), None);
        KeyChecked {
            ok: outcome == Outcome::Answered,
            answered: !matches!(
                outcome,
                Outcome::Unreachable | Outcome::TooSlow | Outcome::Overloaded
            ),
            message,
            latency,
        }
    }

    /// Whether Google does not serve the region that this key's calls come from, asked by counting
    /// tokens. What else it may refuse is not told.
    pub async fn is_refused_here(&self, core: &Core, key: &Picked, model: &str) -> bool {
        let path = format!("/models/{model}:countTokens");
        let call = Call {
            method: Method::POST,
            path: &path,
            query: "",
            model,
            headers: json_headers(),
            body: Bytes::from_static(br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#),
            expect: Expect::Anything,
        };
        let settings = Guard::into_inner(core.settings());
        let mut trace = Trace::silent();
        let asked = self.attempt(core, &settings, &call, Way::Key(key), &mut trace);
        let refused = asked.await.err().map(|setback| setback.outcome);
        refused == Some(Outcome::LocationRefused)
    }

    async fn attempt_one(
        &self,
        core: &Core,
        settings: &Settings,
        call: &Call<'_>,
        way: Way<'_>,
        trace: &mut Trace,
    ) -> Result<Answer, Setback> {
        let base = way.base_url(settings);
        let route = (core.egress).route(settings, way.credential(), base, core.clock.monotonic());
        let asked = self.send(settings, call, way, &route);
        let response = match tokio::time::timeout(settings.timeout, asked).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let setback = by_route(lost(error.into()), &route);
                let why = setback.failure.in_short();
                core.egress.noted(&route, core.clock.now(), Err(&why));
                return Err(setback);
            }
            Err(_) => return Err(Setback::too_slow()),
        };
        core.egress.noted(&route, core.clock.now(), Ok(()));
        let (head, body) = http::Response::from(response).into_parts();
        let body: Incoming = Box::pin(TimeoutBody::new(settings.timeout, body));
        if !head.status.is_success() {
            let body = read_up_to(body, ERROR_BODY_LIMIT).await.unwrap_or_default();
            return Err(refused(head.status, way.scrub(settings, body)));
        }
        match call.expect {
            Expect::Stream => stream::open(body, (way, settings), trace)
                .await
                .map(Answer::Stream),
            expect => {
                let headers = head.headers;
                let body = read_up_to(body, ANSWER_LIMIT).await?;
                if expect == Expect::Content {
                    let peek = Peek::of(&body).unwrap_or_default();
                    trace.usage(&peek);
                    if !answers(&peek) {
                        return Err(Setback::empty());
                    }
                }
                Ok(Answer::Whole(Whole { headers, body }))
            }
        }
    }

    async fn send(
        &self,
        settings: &Settings,
        call: &Call<'_>,
        way: Way<'_>,
        route: &Route,
    ) -> reqwest::Result<reqwest::Response> {
        let client = self.by(route)?;
        let base = way.base_url(settings);
        let mut address =
            String::with_capacity(base.len() + call.path.len() + call.query.len() + 1);
        // `https://host/v1beta` has its uploads at `https://host/upload/v1beta`.
        match (call.path.strip_prefix("/upload"), base.rsplit_once('/')) {
            (Some(path), Some((host, version))) => {
                address.extend([host, "/upload/", version, path]);
            }
            _ => address.extend([base, call.path]),
        }
        if !call.query.is_empty() {
            address.push('?');
            address.push_str(call.query);
        }
        let Ok(url) = Url::parse(&address) else {
            return client.get(&*address).send().await;
        };
        let mut request = reqwest::Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        *headers = call.headers.clone();
        way.sign(settings, headers);
        if call.method != Method::GET {
            *request.body_mut() = Some(call.body.clone().into());
        }
        client.execute(request).await
    }
}

impl Setback {
    /// The same, knowing how many tokens were sent: a limit of tokens that one request alone
    /// exceeds is met with every key.
    fn seen_with(mut self, tokens: u64) -> Self {
        if let Outcome::Quota {
            reason: CooldownReason::TokensPerMinute,
            limits: Limits {
                tpm: Some(limit), ..
            },
            ..
        } = self.outcome
            && tokens > u64::from(limit)
        {
            let limit = limit.into();
            self.outcome = Outcome::PromptTooLarge { limit };
            if let Failure::Refused { outcome, .. } = &mut self.failure {
                *outcome = self.outcome;
            }
        }
        self
    }

    fn overdue() -> Self {
        let what = "The answer did not begin in time (DEADLINE says how long that is)";
        Self {
            outcome: Outcome::TooSlow,
            failure: Failure::TooSlow(what.to_owned()),
        }
    }

    fn empty() -> Self {
        Self {
            outcome: Outcome::Empty,
            failure: Failure::Empty,
        }
    }

    fn too_slow() -> Self {
        let what = "Google did not answer in time (TIME_OUT says how long that is)";
        Self {
            outcome: Outcome::TooSlow,
            failure: Failure::TooSlow(what.to_owned()),
        }
    }

    fn malformed() -> Self {
        Self {
            outcome: Outcome::Unreachable,
            failure: Failure::Unreachable("Google's answer is not what its API says".to_owned()),
        }
    }
}

/// Whether an answer is worth giving to the client. A blocked prompt and a model that ran
/// into a limit are answers, and would be the same with another key; silence is not.
fn answers(peek: &Peek) -> bool {
    const SILENCE: [&str; 3] = ["STOP", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"];
    peek.content
        || peek.blocked.is_some()
        || peek
            .finish
            .as_ref()
            .is_some_and(|finish| !SILENCE.contains(&finish.as_str()))
}

impl Failure {
    /// No key is left. After a limit was met the client needs to know when one is back; after
    /// anything else, what that was.
    fn without_key(call: &Call<'_>, why: Unavailable, last: Option<Setback>) -> Self {
        match last {
            Some(setback)
                if !matches!(setback.outcome, Outcome::Quota { .. })
                    || !matches!(why, Unavailable::Resting { .. }) =>
            {
                setback.failure
            }
            _ => Self::NoKey {
                why,
                model: call.model.into(),
            },
        }
    }

    /// The number of the key's project, where Google told it.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Refused { said, .. } => said.as_ref()?.project.as_deref(),
            _ => None,
        }
    }

    /// One line for logs and for the key's last error.
    pub fn in_short(&self) -> String {
        match self {
            Self::Refused { status, said, .. } => match said {
                Some(said) => format!("{}: {}", status.as_u16(), said.message),
                None => format!("{}", status.as_u16()),
            },
            Self::NoKey { why, .. } => format!("no key: {why:?}"),
            Self::Empty => "Google answered without any content".to_owned(),
            Self::Unreachable(why) | Self::TooSlow(why) | Self::Remote(why) => why.clone(),
        }
    }
}

/// The moment that much later.
fn later(now: Millis, time: Duration) -> Millis {
    now.saturating_add(time.as_millis().try_into().unwrap_or(Millis::MAX))
}

/// What an error answer of Google means.
fn refused(status: StatusCode, body: Bytes) -> Setback {
    let said = ApiStatus::parse(&body);
    let outcome = classify::classify(status, said.as_ref());
    Setback {
        outcome,
        failure: Failure::Refused {
            status,
            body,
            said,
            outcome,
        },
    }
}

/// What a lost connection means. The URL, which holds no key, is left out all the same.
fn lost(error: BoxError) -> Setback {
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) if error.is_timeout() && !error.is_connect() => return Setback::too_slow(),
        Ok(error) => error,
        // The only other error there is: a piece of the answer did not come in time.
        Err(_) => return Setback::too_slow(),
    };
    let what = match error.is_connect() {
        true => "no connection to Google",
        false => "the connection to Google broke",
    };
    // The innermost cause is the one that tells: "connection refused", "no such host".
    let error = error.without_url();
    let mut text = what.to_owned();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{what} ({cause})");
        source = cause.source();
    }
    Setback {
        outcome: Outcome::Unreachable,
        failure: Failure::Unreachable(text),
    }
}

/// Says of a lost connection by which way it went.
fn by_route(mut setback: Setback, route: &Route) -> Setback {
    if let (Route::Proxy(proxy), Failure::Unreachable(why)) = (route, &mut setback.failure) {
        *why = format!("{why} through the proxy {}", proxy.shown());
    }
    setback
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

/// The next piece of an answer; `None` at its end.
async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Setback> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(lost)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn read_up_to(mut body: Incoming, limit: usize) -> Result<Bytes, Setback> {
    let Some(first) = next_piece(&mut body).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next_piece(&mut body).await? else {
        return Ok(first);
    };
    let mut whole = Vec::with_capacity(first.len() + second.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(more) = next_piece(&mut body).await? {
        if whole.len() + more.len() > limit {
            return Err(Setback {
                outcome: Outcome::Unreachable,
                failure: Failure::Unreachable(format!(
                    "Google's answer is larger than {limit} bytes"
                )),
            });
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole.into())
}

/// Takes `secret`, and those of `CUSTOM_HEADERS`, out of what was said.
pub(crate) fn scrub(body: Bytes, secret: &Secret, settings: &Settings) -> Bytes {
    let headers = settings.custom_headers.secrets();
    let mut body = body;
    for secret in headers.iter().chain([secret]) {
        let text = secret.expose();
        if !text.is_empty() && memchr::memmem::find(&body, text.as_bytes()).is_some() {
            let said = String::from_utf8_lossy(&body);
            body = said.replace(text.as_str(), &secret.masked()).into();
        }
    }
    body
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
