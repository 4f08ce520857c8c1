//! Through which remote the requests of this instance's clients go.

use axum::Extension;
use axum::extract::State;
use contract::ApiError;
use contract::admin::AuditAction;
use contract::deploy::{RouteView, RouteWish};
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Json, Result};

use super::Api;

/// Through which remote requests go, and whether it answers.
#[utoipa::path(get, path = "/api/deploy/route", tag = "deploy", security(("session" = [])),
    responses(
    (status = 200, body = RouteView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(State(api): State<Api>) -> Result<Json<RouteView>> {
    Ok(Json(api.deployer.route().await?))
}

/// Sends requests through another remote, or straight to Google. A remote that does not let
/// clients of this instance in yet is asked for a token first.
#[utoipa::path(put, path = "/api/deploy/route", tag = "deploy", security(("session" = [])),
    request_body = RouteWish, responses(
    (status = 200, body = RouteView),
    (status = 400, body = ApiError, description = "`invalid_input`: it makes no client token"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 409, body = ApiError, description = "`changed`: a run is under way"),
    (status = 502, body = ApiError, description = "`unreachable`, `upstream`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn set(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(wish): Json<RouteWish>,
) -> Result<Json<RouteView>> {
    let route = api.deployer.set_route(wish).await?;
    let through = match route.remote {
        Some(remote) => api.deployer.remote(remote).await?.name,
        None => String::new(),
    };
    who.tell(&api.core, AuditAction::RouteChanged, through)
        .await;
    Ok(Json(route))
}
