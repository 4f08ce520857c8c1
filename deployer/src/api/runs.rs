//! Plans, and runs of them.

use axum::Extension;
use axum::extract::State;
use contract::ApiError;
use contract::admin::AuditAction;
use contract::deploy::{ApplyWish, PlanView, RunView};
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Asked, Id, Json, Result};
use serde::Deserialize;

use super::Api;

/// What a run would do: the steps, what stays, what it costs.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/plan", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = PlanView),
    (status = 400, body = ApiError, description = "`invalid_input`: it has no account"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn plan(State(api): State<Api>, Id(id): Id) -> Result<Json<PlanView>> {
    Ok(Json(api.deployer.plan(id).await?))
}

/// Begins a run, or goes on with one that broke off. It goes on by itself; ask for it. Needs
/// the password once more, because keys go to the account.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/apply", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), request_body = ApplyWish, responses(
    (status = 200, body = RunView),
    (status = 400, body = ApiError, description = "`invalid_input`: it has no account"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 409, body = ApiError, description = "`changed`: one is under way; `name_taken`"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn apply(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
    Json(how): Json<ApplyWish>,
) -> Result<Json<RunView>> {
    who.has_confirmed(&api.core).await?;
    let run = api.deployer.apply(id, how).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::RemoteDeployed, name).await;
    Ok(Json(run))
}

/// From where on lines are wanted.
#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// The current or last run.
#[utoipa::path(get, path = "/api/deploy/remotes/{id}/run", tag = "deploy",
    security(("session" = [])),
    params(
    ("id" = i64, Path, description = "The remote's number"),
    ("after" = Option<u64>, Query, description = "Only lines after those of an earlier answer"),
    ), responses(
    (status = 200, body = RunView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    Id(id): Id,
    Asked(asked): Asked<After>,
) -> Result<Json<RunView>> {
    Ok(Json(api.deployer.run(id, asked.after).await?))
}

/// Stops a run. What was made stays, and another run goes on from there.
#[utoipa::path(post, path = "/api/deploy/remotes/{id}/cancel", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The remote's number")), responses(
    (status = 200, body = RunView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
) -> Result<Json<RunView>> {
    let run = api.deployer.cancel(id).await?;
    let name = api.deployer.remote(id).await?.name;
    who.tell(&api.core, AuditAction::RemoteChanged, name).await;
    Ok(Json(run))
}
