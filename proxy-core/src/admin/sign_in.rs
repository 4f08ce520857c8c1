//! Signing in and out.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use contract::ApiError;
use contract::admin::{AuditAction, InstanceState, LoginRequest, SetupRequest};
use http::{Extensions, HeaderMap, StatusCode};
use vault::Secret;

use super::answer::{Json, Result};
use super::audit::Who;
use super::gate::SignedIn;
use super::{Access, Admin, gate, guard};

/// What anyone may know before signing in.
#[utoipa::path(get, path = "/api/state", tag = "sign-in", responses(
    (status = 200, body = InstanceState),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn state(
    State(admin): State<Admin>,
    headers: HeaderMap,
) -> Result<Json<InstanceState>> {
    let trusted = admin.access == Access::Trusted;
    let mut csrf = None;
    if !trusted
        && let Some(cookie) = guard::cookie(&headers)
        && let sessions = &admin.core.gate.sessions
        && sessions.check(&admin.core, &cookie).await?.is_some()
    {
        csrf = Some(gate::csrf(&cookie));
    }
    Ok(Json(InstanceState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        setup_required: !trusted && admin.core.gate.setup_required(&admin.core).await?,
        signed_in: trusted || csrf.is_some(),
        csrf,
    }))
}

/// Chooses the first password, with the one-time code that the server printed at start.
#[utoipa::path(post, path = "/api/setup", tag = "sign-in", request_body = SetupRequest, responses(
    (status = 204, description = "Done; the session cookie is set."),
    (status = 400, body = ApiError, description = "`weak_password`, `invalid_input`"),
    (status = 403, body = ApiError, description = "`wrong_setup_code`, `foreign_origin`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn setup(
    State(admin): State<Admin>,
    extensions: Extensions,
    headers: HeaderMap,
    who: Who,
    Json(request): Json<SetupRequest>,
) -> Result<Response> {
    let from = guard::client(&admin.core, &extensions, &headers);
    let (code, password) = (Secret::new(request.code), Secret::new(request.password));
    admin
        .core
        .gate
        .set_up(&admin.core, from, &code, password)
        .await?;
    who.did(&admin.core, AuditAction::PasswordChanged, "", None)
        .await;
    let how = SignedIn::default();
    signed_in(&admin, &extensions, &headers, &who, how).await
}

/// Signs in with the panel's password or `AUTH_TOKEN`, and a code when a second factor is on.
#[utoipa::path(post, path = "/api/login", tag = "sign-in", request_body = LoginRequest, responses(
    (status = 204, description = "Done; the session cookie is set."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 403, body = ApiError, description = "`wrong_password`, `second_factor_needed`, \
        `wrong_second_factor`, `foreign_origin`"),
    (status = 409, body = ApiError, description = "`setup_required`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn login(
    State(admin): State<Admin>,
    extensions: Extensions,
    headers: HeaderMap,
    who: Who,
    Json(request): Json<LoginRequest>,
) -> Result<Response> {
    let from = guard::client(&admin.core, &extensions, &headers);
    let (password, code) = (Secret::new(request.password), request.code.map(Secret::new));
    let gate = &admin.core.gate;
    let how = gate.sign_in(&admin.core, from, password, code).await?;
    signed_in(&admin, &extensions, &headers, &who, how).await
}

/// Ends the session.
#[utoipa::path(post, path = "/api/logout", tag = "sign-in", security(("session" = [])), responses(
    (status = 204, description = "Done; the session cookie is taken back."),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn logout(State(admin): State<Admin>, headers: HeaderMap) -> Result<Response> {
    if let Some(cookie) = guard::cookie(&headers) {
        let sessions = &admin.core.gate.sessions;
        sessions.end_by_cookie(&admin.core, &cookie).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    guard::set_cookie(&mut response, &guard::no_cookie());
    Ok(response)
}

async fn signed_in(
    admin: &Admin,
    extensions: &Extensions,
    headers: &HeaderMap,
    who: &Who,
    how: SignedIn,
) -> Result<Response> {
    let (core, sessions) = (&admin.core, &admin.core.gate.sessions);
    if let Some(old) = guard::cookie(headers) {
        sessions.end_by_cookie(core, &old).await?;
    }
    let visitor = guard::visitor(&admin.core, extensions, headers);
    let cookie = sessions.begin(core, visitor, how).await?;
    who.did(core, AuditAction::SignedIn, "", None).await;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let cookie = guard::session_cookie(core, &cookie, guard::is_secure(headers));
    guard::set_cookie(&mut response, &cookie);
    Ok(response)
}
