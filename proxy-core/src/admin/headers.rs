//! What browsers are told with everything that the panel's side of the server sends.
//!
//! The panel's page brings a content security policy of its own; whatever has none, the
//! admin API's JSON above all, is told to load and run nothing. Deliberately absent: CORS.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

use super::guard;

/// For what is no page: nothing is loaded, run, framed or sent.
const NOTHING: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// For a year, no plain HTTP. Only this host: its neighbours are not ours.
const HTTPS_ONLY: &str = "max-age=31536000";

/// On every answer. Frames and windows of other sites get no hold of the panel, no other site
/// embeds what it sends, and the panel asks for no device of the user's.
const ALWAYS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), \
         serial=(), usb=()",
    ),
];

/// Puts them on the answers of the panel's files.
pub(crate) async fn page(request: Request, next: Next) -> Response {
    let secure = guard::is_secure(request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NOTHING));
    if secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(HTTPS_ONLY),
        );
    }
    response
}

/// Puts them on the answers of the admin API, which no cache keeps.
pub(super) async fn api(request: Request, next: Next) -> Response {
    let mut response = page(request, next).await;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
