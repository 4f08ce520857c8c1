//! What is asked before anything is deployed.

use axum::extract::State;
use contract::ApiError;
use contract::deploy::{DatabaseReport, DatabaseWish, DeployState, ImageQuestion, ImageView};
use proxy_core::admin::answer::{Json, Result};

use super::Api;

/// Whether this instance can deploy, and with what by default.
#[utoipa::path(get, path = "/api/deploy", tag = "deploy", security(("session" = [])), responses(
    (status = 200, body = DeployState),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn state(State(api): State<Api>) -> Json<DeployState> {
    Json(api.deployer.state())
}

/// Looks at a MySQL server from here. What is wrong with it is in the answer.
#[utoipa::path(post, path = "/api/deploy/database", tag = "deploy", security(("session" = [])),
    request_body = DatabaseWish, responses(
    (status = 200, body = DatabaseReport),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn database(
    State(api): State<Api>,
    Json(wish): Json<DatabaseWish>,
) -> Result<Json<DatabaseReport>> {
    Ok(Json(api.deployer.inspect_database(wish).await?))
}

/// Looks an image up in its registry: whether it can be deployed, and what its name stands for.
#[utoipa::path(post, path = "/api/deploy/image", tag = "deploy", security(("session" = [])),
    request_body = ImageQuestion, responses(
    (status = 200, body = ImageView),
    (status = 400, body = ApiError, description = "`image_refused`, `invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 502, body = ApiError, description = "`unreachable`"),
))]
pub(super) async fn image(
    State(api): State<Api>,
    Json(question): Json<ImageQuestion>,
) -> Result<Json<ImageView>> {
    Ok(Json(api.deployer.inspect_image(question).await?))
}
