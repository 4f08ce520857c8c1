//! Remotes: what they should be, what they are, and what is done with them.

use axum::Extension;
use axum::extract::State;
use contract::ApiError;
use contract::admin::AuditAction;
use contract::deploy::{
    DeployView, LogPage, RemoteAccess, RemoteAction, RemoteAdd, RemoteEvent, RemoteView,
    RemoteWish, Usage, VariableView, VariablesQuestion, VariablesText,
};
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Asked, Id, Json, Result};
use serde::Deserialize;

use super::Api;

/// All remotes, as they were last seen.
#[utoipa::path(get, path = "/api/deploy/remotes", tag = "deploy", security(("session" = [])),
    responses(
    (status = 200, body = Vec<RemoteView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<RemoteView>>> {
    Ok(Json(api.deployer.remotes().await?))
}

/// Makes a draft, with secrets of its own. Nothing is deployed yet.
#[utoipa::path(post, path = "/api/deploy/remotes", tag = "deploy", security(("session" = [])),
    request_body = RemoteWish, responses(
    (status = 200, body = RemoteView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: the account"),
    (status = 409, body = ApiError, description = "`name_taken`, `sealing_key_needed`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn create(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(wish): Json<RemoteWish>,
) -> Result<Json<RemoteView>> {
    let made = api.deployer.create_remote(wish).await?;
    who.tell(&api.core, AuditAction::RemoteChanged, &made.name)
        .await;
    Ok(Json(made))
}

/// Adds one that runs already, after signing in to it.
#[utoipa::path(post, path = "/api/deploy/remotes/add", tag = "deploy", security(("session" = [])),
    request_body = RemoteAdd, responses(
    (status = 200, body = RemoteView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `wrong_password`"),
    (status = 409, body = ApiError, description = "`name_taken`, `sealing_key_needed`"),
    (status = 502, body = ApiError, description = "`unreachable`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn add(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(add): Json<RemoteAdd>,
) -> Result<Json<RemoteView>> {
    let added = api.deployer.add_remote(add).await?;
    who.tell(&api.core, AuditAction::RemoteChanged, &added.name)
        .await;
    Ok(Json(added))
}

/// One remote, as it was last seen.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}", tag = "deploy", security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = RemoteView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(State(api): State<Api>, Id(id): Id) -> Result<Json<RemoteView>> {
    Ok(Json(api.deployer.remote(id).await?))
}

/// Changes what a remote should be. Secrets that are absent stay. What is there changes with
/// the next run.
#[utoipa::path(put, path = "/api/deploy/remotes/{id}/wish", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = RemoteWish, responses(
    (status = 200, body = RemoteView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 409, body = ApiError, description = "`name_taken`; `changed`: a run is under way"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn change_wish(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(wish): Json<RemoteWish>,
) -> Result<Json<RemoteView>> {
    let changed = api.deployer.change_wish(id, wish).await?;
    who.tell(&api.core, AuditAction::RemoteChanged, &changed.name)
        .await;
    Ok(Json(changed))
}

/// A remote's variables, secrets masked.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/variables", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = Vec<VariableView>),
    (status = 400, body = ApiError, description = "`invalid_input`: it was not made here"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn variables(
    State(api): State<Api>,
    Id(id): Id,
) -> Result<Json<Vec<VariableView>>> {
    Ok(Json(api.deployer.variables(id).await?))
}

/// A text with a remote's variables, secrets in clear. Needs the password once more.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/variables", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = VariablesQuestion, responses(
    (status = 200, body = VariablesText),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn variables_text(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(question): Json<VariablesQuestion>,
) -> Result<Json<VariablesText>> {
    who.has_confirmed(&api.core).await?;
    let text = api.deployer.variables_text(id, question.format).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::Exported, name).await;
    Ok(Json(text))
}

/// What a remote is used with, secrets in clear. Needs the password once more.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/access", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = RemoteAccess),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn access(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
) -> Result<Json<RemoteAccess>> {
    who.has_confirmed(&api.core).await?;
    let access = api.deployer.access(id).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::Exported, name).await;
    Ok(Json(access))
}

/// Does something with a remote: restart, stop, roll back, delete.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/action", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")),
    request_body = RemoteAction, responses(
    (status = 200, body = RemoteView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`; `password_again` to redeploy \
        and to locate, after which keys leave"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 409, body = ApiError, description = "`changed`: a run is under way"),
    (status = 502, body = ApiError,
        description = "`account_refused`, `card_needed`, `quota_exceeded`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn act(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(action): Json<RemoteAction>,
) -> Result<Json<RemoteView>> {
    let filed = match &action {
        RemoteAction::Refresh => None,
        RemoteAction::Delete { .. } | RemoteAction::Forget => Some(AuditAction::RemoteDeleted),
        RemoteAction::Redeploy { .. } => Some(AuditAction::RemoteDeployed),
        _ => Some(AuditAction::RemoteChanged),
    };
    if let RemoteAction::Redeploy { .. } | RemoteAction::Locate { .. } = &action {
        who.has_confirmed(&api.core).await?;
    }
    let done = api.deployer.act(id, action).await?;
    if let Some(filed) = filed {
        who.tell(&api.core, filed, &done.name).await;
    }
    Ok(Json(done))
}

/// Its latest deploys, newest first.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/deploys", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = Vec<DeployView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn deploys(State(api): State<Api>, Id(id): Id) -> Result<Json<Vec<DeployView>>> {
    Ok(Json(api.deployer.deploys(id).await?))
}

/// Where a page of the log begins.
#[derive(Deserialize)]
pub(super) struct After {
    cursor: Option<String>,
}

/// Lines of its log.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/logs", tag = "deploy",
    security(("session" = [])),
    params(
    ("id" = i64, Path, description = "The remote's number"),
    ("cursor" = Option<String>, Query, description = "Only lines after those of an earlier page"),
    ), responses(
    (status = 200, body = LogPage),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn logs(
    State(api): State<Api>,
    Id(id): Id,
    Asked(after): Asked<After>,
) -> Result<Json<LogPage>> {
    Ok(Json(api.deployer.logs(id, after.cursor.as_deref()).await?))
}

/// What happened to it lately, newest first.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/events", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = Vec<RemoteEvent>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn events(State(api): State<Api>, Id(id): Id) -> Result<Json<Vec<RemoteEvent>>> {
    Ok(Json(api.deployer.events(id).await?))
}

/// What it uses, as far as its provider tells.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/usage", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = Usage),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`: no such remote, or it is nowhere"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn usage(State(api): State<Api>, Id(id): Id) -> Result<Json<Usage>> {
    Ok(Json(api.deployer.usage(id).await?))
}
