//! What every request to the admin API must pass.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::cookie::CookieJar;
use contract::ErrorCode;
use contract::admin::CSRF_HEADER;
use http::uri::Authority;
use http::{Extensions, HeaderMap, HeaderValue, Method, header};
use subtle::ConstantTimeEq as _;
use vault::Secret;

use super::answer::{Failure, Result, is_json, not_json};
use super::sessions::{Hash, Visitor};
use super::{Access, Admin, gate};
use crate::Core;

/// The name of the session's cookie.
pub(super) const COOKIE: &str = "gb_session";

/// Lets through what comes from the panel's own page, or from no page at all.
///
/// A page of another site can make a browser send requests here, and by DNS rebinding under
/// a host name of its own. Browsers say where a request comes from (`Origin`, `Sec-Fetch-Site`,
/// and `Host` for what was asked for), and a page cannot change any of them.
///
/// An instance that listens on this machine only has no other names than the machine's own, so
/// a rebound name is refused. One that listens to the network has names that nobody told it
/// (the router's, the provider's, a proxy's). There a rebound name is as good as any, and worth
/// nothing: browsers keep cookies by host name, so the page has no session, and what needs
/// none gives away no more than to anybody who can reach the port.
pub(super) async fn same_site(
    State(admin): State<Admin>,
    request: Request,
    next: Next,
) -> Response {
    if admin.access == Access::Session
        && let Err(failure) = check_site(&admin, &request)
    {
        return failure.into_response();
    }
    if has_body(&request) && !is_json(request.headers()) {
        return not_json().into_response();
    }
    next.run(request).await
}

fn check_site(admin: &Admin, request: &Request) -> Result<()> {
    let headers = request.headers();
    let foreign = |message: &str| Err(Failure::new(ErrorCode::ForeignOrigin, message));
    let Some(host) = authority(headers, header::HOST.as_str()) else {
        return foreign("The request does not say which host it is for (Host header).");
    };
    let loopback_only = admin.core.settings().host.is_loopback();
    if loopback_only && !is_loopback(&host) {
        return foreign(
            "This instance listens on this machine only, so its panel opens at \
             http://localhost or http://127.0.0.1. To reach it under another name, start it \
             with HOST=0.0.0.0.",
        );
    }
    // Also said with what has no Origin, such as an image's request.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| ![&b"same-origin"[..], b"none"].contains(&site)) {
        return foreign(
            "The browser says that another site's page sent this request. The panel's own page \
             has to.",
        );
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, authority)| authority);
    // Behind a proxy that rewrites Host. Another site's page cannot send this header without
    // a CORS permission, which nobody gets here.
    let forwarded = (!loopback_only)
        .then(|| authority(headers, "x-forwarded-host"))
        .flatten();
    let same = origin.is_some_and(|origin| {
        origin.eq_ignore_ascii_case(host.as_str())
            || forwarded.is_some_and(|host| origin.eq_ignore_ascii_case(host.as_str()))
    });
    if same {
        Ok(())
    } else {
        foreign(
            "The request comes from another site than the panel's. If there is a reverse proxy \
             in front of this instance, it must pass on the Host header.",
        )
    }
}

/// A host with its port, as a header gives it.
fn authority(headers: &HeaderMap, name: &str) -> Option<Authority> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Whether a request names this machine as its host. One that names another came from a
/// browser whose page had that name resolve to this machine (DNS rebinding).
pub(crate) fn asks_loopback(headers: &HeaderMap) -> bool {
    authority(headers, header::HOST.as_str()).is_some_and(|host| is_loopback(&host))
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn has_body(request: &Request) -> bool {
    let headers = request.headers();
    !matches!(*request.method(), Method::GET | Method::HEAD)
        && (headers.contains_key(header::TRANSFER_ENCODING)
            || headers
                .get(header::CONTENT_LENGTH)
                .is_some_and(|length| length != "0"))
}

/// Lets through who has signed in.
pub(super) async fn session(
    State(admin): State<Admin>,
    mut request: Request,
    next: Next,
) -> Response {
    if admin.access == Access::Trusted {
        return next.run(request).await;
    }
    let not_signed_in = || {
        Failure::new(
            ErrorCode::NotSignedIn,
            "There is no session, or it has ended. Sign in again.",
        )
    };
    let Some(cookie) = cookie(request.headers()) else {
        return not_signed_in().into_response();
    };
    let valid = match admin.core.gate.sessions.check(&admin.core, &cookie).await {
        Ok(Some(valid)) => valid,
        Ok(None) => return not_signed_in().into_response(),
        Err(failure) => return failure.into_response(),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD)
        && !carries_csrf(request.headers(), &cookie)
    {
        return Failure::new(
            ErrorCode::ForeignOrigin,
            format!(
                "A change needs the header {CSRF_HEADER} with the value that GET /api/state gives \
                 for this session. Load the panel again; a program reads it after signing in."
            ),
        )
        .into_response();
    }
    let secure = is_secure(request.headers());
    request.extensions_mut().insert(Session(valid.hash));
    let mut response = next.run(request).await;
    // The answer to a log-out takes the cookie away; that must stand.
    if valid.prolonged && !response.headers().contains_key(header::SET_COOKIE) {
        set_cookie(&mut response, &session_cookie(&admin.core, &cookie, secure));
    }
    response
}

/// Whether a request proves that it comes from a page that could read an answer of ours.
fn carries_csrf(headers: &HeaderMap, cookie: &Secret) -> bool {
    let right = gate::csrf(cookie);
    headers
        .get(CSRF_HEADER)
        .is_some_and(|given| !right.is_empty() && given.as_bytes().ct_eq(right.as_bytes()).into())
}

/// The session's cookie of a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<Secret> {
    CookieJar::from_headers(headers)
        .get(COOKIE)
        .map(|cookie| cookie.value().into())
}

/// The `Set-Cookie` of a session: no script can read it, no other site's page sends it.
pub(super) fn session_cookie(core: &Core, value: &Secret, secure: bool) -> String {
    let seconds = core.settings().session_ms() / 1_000;
    let secure = if secure { "; Secure" } else { "" };
    let value = value.expose();
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The `Set-Cookie` that makes a browser forget the session.
pub(super) fn no_cookie() -> String {
    format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
}

pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Whether the browser reached us by https, through a proxy that ends it.
pub(super) fn is_secure(headers: &HeaderMap) -> bool {
    headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(',').next())
        .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// Where the browser reached us, without a path; `None` when it does not say. With `port`, the
/// same host's address at that port, which is spoken to without TLS as far as we know.
pub(super) fn address(headers: &HeaderMap, port: Option<u16>) -> Option<String> {
    let host = authority(headers, "x-forwarded-host").or_else(|| authority(headers, "host"))?;
    Some(match port {
        Some(port) => format!("http://{}:{port}", host.host()),
        None if is_secure(headers) => format!("https://{host}"),
        None => format!("http://{host}"),
    })
}

/// On a request: the session it belongs to.
#[derive(Clone, Copy)]
struct Session(Hash);

/// The session of a request; absent for the desktop window.
pub(super) fn current(extensions: &Extensions) -> Option<Hash> {
    extensions.get::<Session>().map(|session| session.0)
}

/// Who asks, as the list of sessions tells it.
pub(super) fn visitor(core: &Core, extensions: &Extensions, headers: &HeaderMap) -> Visitor {
    let user_agent = headers.get(header::USER_AGENT);
    Visitor {
        address: client(core, extensions, headers),
        user_agent: user_agent
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
    }
}

/// Who asks. Behind a proxy that is believed (`TRUST_FORWARDED_FOR`), what that proxy says: it
/// puts the address it was asked from at the end.
pub(super) fn client(core: &Core, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| {
            info.0.ip().to_canonical()
        });
    let forwarded = || {
        let chain = headers.get_all("x-forwarded-for").iter().next_back()?;
        chain.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    if core.settings().believes(peer) {
        forwarded().unwrap_or(peer)
    } else {
        peer
    }
}
