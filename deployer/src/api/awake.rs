//! Keeping remotes awake, and waking them.

use axum::Extension;
use axum::extract::State;
use contract::ApiError;
use contract::admin::AuditAction;
use contract::deploy::{KeepAlive, RemoteView};
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Id, Json, Result};

use super::Api;

/// Says how a remote is kept awake, from now on.
#[utoipa::path(put, path = "/api/deploy/remotes/{id}/keep-alive", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = KeepAlive, responses(
    (status = 200, body = RemoteView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 409, body = ApiError, description = "`changed`: a run is under way"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn set(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(wish): Json<KeepAlive>,
) -> Result<Json<RemoteView>> {
    let changed = api.deployer.set_keep_alive(id, wish).await?;
    who.tell(&api.core, AuditAction::RemoteChanged, &changed.name)
        .await;
    Ok(Json(changed))
}

/// Asks one that sleeps until it answers.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/wake", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = RemoteView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`, also when it is nowhere yet"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn wake(State(api): State<Api>, Id(id): Id) -> Result<Json<RemoteView>> {
    Ok(Json(api.deployer.wake(id).await?))
}
