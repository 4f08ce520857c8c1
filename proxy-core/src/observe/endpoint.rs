//! `/metrics`, and who may read it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq as _;

use crate::Core;

/// Prometheus' text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What proxies put into requests that they relay for others.
const RELAYED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// GET `/metrics`.
pub(crate) async fn metrics(State(core): State<Arc<Core>>, request: Request) -> Response {
    let token = core.settings().metrics_token.clone();
    let refusal = match &token {
        Some(token) => check_token(token, request.headers()),
        None => check_peer(&request),
    };
    if let Some(refusal) = refusal {
        return refusal;
    }
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, core.metrics.render(&core)).into_response()
}

/// With a token: whoever sends it.
fn check_token(token: &vault::Secret, headers: &HeaderMap) -> Option<Response> {
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, sent)| sent);
    let right = sent.is_some_and(|sent| bool::from(sent.ct_eq(token.expose().as_bytes())));
    match right {
        true => None,
        false => {
            let text = "Send METRICS_TOKEN: Authorization: Bearer <token>. In Prometheus that \
                        is `authorization: { credentials: <token> }`.\n";
            let ask = [(header::WWW_AUTHENTICATE, "Bearer")];
            Some((StatusCode::UNAUTHORIZED, ask, text).into_response())
        }
    }
}

/// Without a token: programs of this machine only. The connection says where a request comes
/// from, not a header; a proxy on this machine relays for others, and a web page that has
/// another host's name resolve to this machine names that host.
fn check_peer(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let here = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    // nginx asks in HTTP/1.0 unless it is told otherwise, and says nothing of itself.
    let relayed = request.version() == http::Version::HTTP_10
        || RELAYED.iter().any(|name| headers.contains_key(*name));
    if here && !relayed && crate::admin::asks_loopback(headers) {
        return None;
    }
    let text = "Without METRICS_TOKEN, only programs on this machine may read the metrics, at \
                http://127.0.0.1 and not through a proxy. To let others in, set METRICS_TOKEN \
                and have them send it: Authorization: Bearer <token>.\n";
    Some((StatusCode::FORBIDDEN, text).into_response())
}
