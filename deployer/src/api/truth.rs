//! Remotes and this instance made alike: where they differ, one way and the other, secrets
//! replaced, and everything put elsewhere.

use axum::Extension;
use axum::extract::State;
use contract::ApiError;
use contract::admin::AuditAction;
use contract::deploy::{
    DriftView, PushReport, PushWish, RemoteView, RemoteWish, Rotation, RunView,
};
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Id, Json, Result};

use super::Api;

/// Where a remote and this instance differ, secrets masked. What could not be compared is among
/// the `problems`.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/drift", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = DriftView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn drift(State(api): State<Api>, Id(id): Id) -> Result<Json<DriftView>> {
    Ok(Json(Box::pin(api.deployer.drift(id)).await?))
}

/// Makes a remote like this instance. What is only there is removed there. Needs the password
/// once more: keys go to where somebody else may have had this instance add a remote.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/push", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = PushWish, responses(
    (status = 200, body = PushReport, description = "What could not be done is in `problems`."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`; \
        `wrong_password`: the remote's"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 409, body = ApiError, description = "`changed`: a run is under way"),
    (status = 502, body = ApiError, description = "`unreachable`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn push(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(what): Json<PushWish>,
) -> Result<Json<PushReport>> {
    who.has_confirmed(&api.core).await?;
    let report = Box::pin(api.deployer.push(id, what)).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::RemoteChanged, name).await;
    Ok(Json(report))
}

/// Takes over what a remote has: keys and tokens come here, which can be undone, and settings
/// into what is wished for it. Nothing is removed here.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/take", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = PushWish, responses(
    (status = 200, body = PushReport, description = "What could not be done is in `problems`."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `wrong_password`: the \
        remote's"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 409, body = ApiError, description = "`changed`: a run is under way; \
        `sealing_key_needed`"),
    (status = 502, body = ApiError, description = "`unreachable`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn take(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(what): Json<PushWish>,
) -> Result<Json<PushReport>> {
    let report = Box::pin(api.deployer.take(id, what, who.author())).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::RemoteChanged, name).await;
    Ok(Json(report))
}

/// Replaces a secret of a remote. It goes on by itself; ask for the run. Needs the password once
/// more.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/rotate", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = Rotation, responses(
    (status = 200, body = RunView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 409, body = ApiError, description = "`changed`: a run is under way"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`, `unreachable`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn rotate(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(rotation): Json<Rotation>,
) -> Result<Json<RunView>> {
    who.has_confirmed(&api.core).await?;
    let run = Box::pin(api.deployer.rotate(id, rotation)).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::RemoteChanged, name).await;
    Ok(Json(run))
}

/// Makes a draft elsewhere with everything of a remote: keys, settings, secrets. The old one
/// stays until it is deleted.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/move", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = RemoteWish, responses(
    (status = 200, body = RemoteView, description = "The draft."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: the remote, or the account"),
    (status = 409, body = ApiError, description = "`name_taken`, `sealing_key_needed`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn move_remote(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(wish): Json<RemoteWish>,
) -> Result<Json<RemoteView>> {
    let draft = api.deployer.move_remote(id, wish).await?;
    who.tell(&api.core, AuditAction::RemoteChanged, &draft.name)
        .await;
    Ok(Json(draft))
}
