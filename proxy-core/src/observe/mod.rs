//! What is told of requests while they run: an id for each, log lines, numbers for
//! Prometheus and spans for OpenTelemetry.
//!
//! All of it is told through handles that were made at start or through `tracing`, so that a
//! request allocates nothing for what nobody listens to. Deliberately absent: prompts,
//! answers and secrets, in every form; and the choice of where logs and spans go, which is
//! the host's.

mod endpoint;
mod metrics;
mod request_id;
pub mod spans;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use tower::Service as _;
use tracing::Instrument as _;

pub(crate) use endpoint::metrics;
pub(crate) use metrics::{Ended, Metrics, surface_name};
pub(crate) use request_id::RequestId;

/// Answers a request under its id: the answer carries it, and so does every line that is
/// logged meanwhile.
pub(crate) async fn identified(
    mut router: Router,
    mut request: Request<Body>,
) -> Result<Response, Infallible> {
    let id = RequestId::of(request.headers());
    // The level of the worst that can be said in it, so that no line lacks it.
    let span = tracing::error_span!("request", request_id = id.as_str());
    request.extensions_mut().insert(id.clone());
    let mut response = router.call(request).instrument(span).await?;
    response
        .headers_mut()
        .insert(request_id::HEADER, id.into_header());
    Ok(response)
}
