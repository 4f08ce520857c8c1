//! One attempt: where it goes, what lets it in there, and what of the answer is read before it is
//! accepted.

use bytes::Bytes;
use dialect::gemini::Peek;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use reqwest::Url;
use vault::Secret;

use super::failure::{Setback, by_route, lost, refused};
use super::timely::Timely;
use super::{Answer, Call, Expect, HOP_HEADER, NextHop, Raw, Upstream, Whole, live, stream};
use crate::Core;
use crate::egress::{BoundBy, NoTurn, Route};
use crate::pool::{EgressEffect, Outcome, Picked};
use crate::settings::Settings;
use crate::surface::trace::Trace;

/// The header that carries the key
/// (<https://ai.google.dev/gemini-api/docs/api-key>; both key shapes work in it).
const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");
/// The most that is read of an error's body.
const ERROR_BODY_LIMIT: usize = 256 * 1024;
/// The most that is read of an answer that is not streamed; images come inline.
const ANSWER_LIMIT: usize = 256 * 1024 * 1024;

/// How often a download is sent elsewhere.
const MOST_REDIRECTS: usize = 5;

/// Where an attempt goes, and what lets it in there.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
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

    /// What decides by which proxy it goes.
    fn bound_by(self) -> BoundBy<'a> {
        match self {
            Self::Key(key) | Self::Express(key) => key.bound_by(),
            Self::Through(hop) => BoundBy::credential(hop.token()),
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
    pub(super) fn scrub(self, settings: &Settings, body: Bytes) -> Bytes {
        match self {
            Self::Key(key) | Self::Express(key) => scrub(body, key.secret(), settings),
            Self::Through(hop) => scrub(body, hop.token(), settings),
        }
    }
}

impl Upstream {
    pub(super) async fn attempt_one(
        &self,
        core: &Core,
        settings: &Settings,
        call: &Call<'_>,
        way: Way<'_>,
        trace: &mut Trace,
    ) -> Result<Answer, Setback> {
        let base = way.base_url(settings);
        let route = (core.egress).route(settings, way.bound_by(), base, core.clock.monotonic());
        trace.goes_by(&route);
        // What an earlier try held is not waited for, and a check waits for nobody.
        trace.holds(None);
        let mut has_waited = false;
        if !trace.is_silent() {
            let came = core.clock.monotonic();
            let patience = trace.patience(settings.patience);
            let turn = core.egress.turn(settings, &route, (&core.clock, patience));
            let turn = turn.await.map_err(|NoTurn| Setback::no_turn())?;
            has_waited = turn.is_some() && core.clock.monotonic() > came;
            trace.holds(turn);
        }
        if let Way::Key(key) | Way::Express(key) = way {
            // Google counts it from now.
            if has_waited && !key.waited() {
                trace.holds(None);
                return Err(Setback::no_turn());
            }
            key.sent();
        }
        let result = self
            .exchange(core, settings, call, (way, &route), trace)
            .await;
        let now = core.clock.now();
        if result.is_err() {
            // Nobody waits for the pause before the next try as well.
            trace.holds(None);
        }
        match &result {
            Ok(_) => core.egress.noted(&route, now, Ok(())),
            // The remote's way to Google is not ours, and its host's pages are no portal's.
            Err(Setback {
                outcome: Outcome::LocationRefused | Outcome::NotGoogle,
                ..
            }) if matches!(way, Way::Through(_)) => {}
            Err(setback) => match setback.outcome.consequence().egress {
                EgressEffect::None | EgressEffect::Full => {}
                EgressEffect::Good => core.egress.noted(&route, now, Ok(())),
                EgressEffect::Blame => {
                    let why = setback.failure.in_short();
                    core.egress.noted(&route, now, Err(&why));
                }
            },
        }
        result
    }

    /// Sends a call and reads as much of the answer as is needed to accept it.
    async fn exchange(
        &self,
        core: &Core,
        settings: &Settings,
        call: &Call<'_>,
        (way, route): (Way<'_>, &Route),
        trace: &mut Trace,
    ) -> Result<Answer, Setback> {
        let asked = self.send(settings, call, way, route);
        let response = match core.clock.within(settings.timeout, asked).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => return Err(by_route(lost(error.into()), route)),
            None => return Err(Setback::too_slow()),
        };
        if call.expect == Expect::Live && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let begun = live::begin(response, call.body.clone(), |said| {
                way.scrub(settings, said)
            });
            let begun = core.clock.within(settings.timeout, begun).await;
            return match begun {
                Some(begun) => begun.map(Answer::Live),
                None => Err(Setback::too_slow()),
            };
        }
        let (head, body) = http::Response::from(response).into_parts();
        let body = Timely::new(body, &core.clock, settings.timeout);
        if !head.status.is_success() {
            let body = read_up_to(body, ERROR_BODY_LIMIT).await.unwrap_or_default();
            let setback = refused(head.status, way.scrub(settings, body));
            return Err(by_route(setback, route));
        }
        if call.expect != Expect::Raw && is_page(&head.headers) {
            return Err(by_route(Setback::not_google(head.status), route));
        }
        match call.expect {
            Expect::Stream => stream::open(body, (way, settings), trace)
                .await
                .map(Answer::Stream),
            // An answer to what asked for a WebSocket.
            Expect::Live => Err(Setback::malformed()),
            Expect::Raw => Ok(Answer::Raw(Raw {
                status: head.status,
                headers: head.headers,
                body,
            })),
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
        let client = match call.expect {
            Expect::Live => self.sockets_by(route)?,
            _ => self.by(route)?,
        };
        let base = way.base_url(settings);
        let address = address(base, call.path, call.query);
        let Ok(url) = Url::parse(&address) else {
            return client.get(&*address).send().await;
        };
        let mut request = reqwest::Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        *headers = call.headers.clone();
        way.sign(settings, headers);
        if call.expect == Expect::Live {
            live::ask_for_socket(headers);
        }
        if call.method != Method::GET {
            *request.body_mut() = Some(call.body.clone().into());
        }
        if call.expect != Expect::Raw || call.method != Method::GET {
            return client.execute(request).await;
        }
        // Only what is downloaded lies elsewhere at times.
        let mut redirects = 0;
        loop {
            let again = request.try_clone();
            let asked = request.url().clone();
            let response = client.execute(request).await?;
            let to = match again {
                Some(_) if redirects == MOST_REDIRECTS => None,
                Some(again) => target(&response, &asked).map(|to| (again, to)),
                None => None,
            };
            let Some((again, to)) = to else {
                return Ok(response);
            };
            request = again;
            if to.origin() != asked.origin() {
                // What lets one in here is nobody else's to see.
                let given = std::mem::take(request.headers_mut());
                for name in [http::header::ACCEPT, http::header::RANGE] {
                    if let Some(value) = given.get(&name) {
                        request.headers_mut().insert(name, value.clone());
                    }
                }
            }
            *request.url_mut() = to;
            redirects += 1;
        }
    }
}

/// Where an answer sends whoever asked `asked`: never from TLS to none.
fn target(response: &reqwest::Response, asked: &Url) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let to = response.headers().get(http::header::LOCATION)?;
    let to = asked.join(to.to_str().ok()?).ok()?;
    let is_safe = to.scheme() == "https" || to.origin() == asked.origin();
    is_safe.then_some(to)
}

/// Where a call goes. `https://host/v1beta` has its uploads at `https://host/upload/v1beta`, and
/// what is newer at `https://host/v1alpha`.
pub(super) fn address(base: &str, path: &str, query: &str) -> String {
    let mut address = String::with_capacity(base.len() + path.len() + query.len() + 10);
    let beside = |area: &str| path.strip_prefix(area).filter(|rest| rest.starts_with('/'));
    match base.rsplit_once('/') {
        Some((host, version)) if let Some(path) = beside("/upload") => {
            address.extend([host, "/upload/", version, path]);
        }
        Some((host, version)) if let Some(path) = beside("/download") => {
            address.extend([host, "/download/", version, path]);
        }
        Some((host, _)) if beside("/v1alpha").is_some() || beside("/ws").is_some() => {
            address.extend([host, path])
        }
        _ => address.extend([base, path]),
    }
    if !query.is_empty() {
        address.push('?');
        address.push_str(query);
    }
    address
}

/// Whether an answer is a page for people, which Google's API has none of: a captive portal's.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Whether an answer is worth giving to the client. A blocked prompt and a model that ran
/// into a limit are answers, and would be the same with another key; silence is not.
pub(super) fn answers(peek: &Peek) -> bool {
    const SILENCE: [&str; 3] = ["STOP", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"];
    peek.content
        || peek.blocked.is_some()
        || peek
            .finish
            .as_ref()
            .is_some_and(|finish| !SILENCE.contains(&finish.as_str()))
}

/// The next piece of an answer; `None` at its end.
async fn next_piece(body: &mut Timely) -> Result<Option<Bytes>, Setback> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(lost)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn read_up_to(mut body: Timely, limit: usize) -> Result<Bytes, Setback> {
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
            let why = format!("Google's answer is larger than {limit} bytes");
            return Err(Setback::unreadable(why));
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
