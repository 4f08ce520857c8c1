//! Accounts with cloud providers.

use axum::Extension;
use axum::extract::State;
use contract::ApiError;
use contract::admin::AuditAction;
use contract::deploy::{AccountNew, AccountView};
use http::StatusCode;
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Id, Json, Result};

use super::Api;

/// All accounts, as they were last checked.
#[utoipa::path(get, path = "/api/deploy/accounts", tag = "deploy", security(("session" = [])),
    responses(
    (status = 200, body = Vec<AccountView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<AccountView>>> {
    Ok(Json(api.deployer.accounts().await?))
}

/// Adds an account, after asking its provider. One that is there already gets the new
/// credential.
#[utoipa::path(post, path = "/api/deploy/accounts", tag = "deploy", security(("session" = [])),
    request_body = AccountNew, responses(
    (status = 200, body = AccountView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 409, body = ApiError, description = "`sealing_key_needed`"),
    (status = 502, body = ApiError, description = "`account_refused`, `provider`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn add(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(new): Json<AccountNew>,
) -> Result<Json<AccountView>> {
    let added = api.deployer.add_account(new).await?;
    who.tell(&api.core, AuditAction::AccountAdded, &added.facts.name)
        .await;
    Ok(Json(added))
}

/// Asks the account's provider anew.
#[utoipa::path(post, path = "/api/deploy/accounts/{id}/check", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The account's number")), responses(
    (status = 200, body = AccountView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn check(State(api): State<Api>, Id(id): Id) -> Result<Json<AccountView>> {
    Ok(Json(api.deployer.check_account(id).await?))
}

/// Forgets an account that no remote uses. At the provider nothing changes.
#[utoipa::path(delete, path = "/api/deploy/accounts/{id}", tag = "deploy",
    security(("session" = [])),
    params(("id" = i64, Path, description = "The account's number")), responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`: remotes use it"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn remove(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Id(id): Id,
) -> Result<StatusCode> {
    let name = api.deployer.remove_account(id).await?;
    who.tell(&api.core, AuditAction::AccountRemoved, name).await;
    Ok(StatusCode::NO_CONTENT)
}
