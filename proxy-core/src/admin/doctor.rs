//! The check-up, and the ways out.

use axum::extract::State;
use contract::ApiError;
use contract::admin::{DoctorReport, EgressView};

use super::Admin;
use super::answer::{Json, Result};

/// Looks at everything between a client and Google. Costs no quota, and takes some seconds.
#[utoipa::path(post, path = "/api/doctor", tag = "doctor", security(("session" = [])), responses(
    (status = 200, body = DoctorReport),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn examine(State(admin): State<Admin>) -> Result<Json<DoctorReport>> {
    Ok(Json(Box::pin(admin.core.examine(None)).await))
}

/// The ways by which calls leave for Google, and how calls by each ended last.
#[utoipa::path(get, path = "/api/egress", tag = "doctor", security(("session" = [])), responses(
    (status = 200, body = Vec<EgressView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn egress(State(admin): State<Admin>) -> Result<Json<Vec<EgressView>>> {
    let core = &admin.core;
    let now = core.clock.monotonic();
    Ok(Json(core.egress.view(&core.settings(), now)))
}
