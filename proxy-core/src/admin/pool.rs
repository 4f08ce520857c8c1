//! What the pool can still do, and forgetting what is held against keys.

use axum::extract::State;
use contract::ApiError;
use contract::admin::{ClearCooldowns, PoolView};
use http::StatusCode;

use super::Admin;
use super::answer::{Json, Result};

/// What the pool can still do, by model.
#[utoipa::path(get, path = "/api/pool", tag = "keys", security(("session" = [])), responses(
    (status = 200, body = PoolView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn show(State(admin): State<Admin>) -> Json<PoolView> {
    Json(PoolView {
        models: admin.core.pool.models(),
    })
}

/// Forgets cooldowns, so that the keys are asked again at once.
#[utoipa::path(post, path = "/api/pool/clear", tag = "keys", security(("session" = [])),
    request_body = ClearCooldowns, responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn clear(
    State(admin): State<Admin>,
    Json(which): Json<ClearCooldowns>,
) -> Result<StatusCode> {
    let pool = &admin.core.pool;
    pool.clear_cooldowns(&which.keys, which.model.as_deref());
    Ok(StatusCode::NO_CONTENT)
}
