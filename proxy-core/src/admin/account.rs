//! The account: password, sessions, second factor.
//!
//! There is one account. What weakens or locks it wants the password once more, so that a
//! browser left open is not enough.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use contract::admin::{
    Account, AuditAction, PasswordChange, PasswordConfirm, SessionView, TotpConfirm, TotpEnabled,
    TotpSetup,
};
use contract::{ApiError, ErrorCode};
use http::{Extensions, HeaderMap, StatusCode};
use vault::Secret;

use super::answer::{Failure, Json, Result};
use super::audit::Who;
use super::{Admin, guard, sessions};
use crate::Core;

/// How one signs in, and who is signed in.
#[utoipa::path(get, path = "/api/account", tag = "account", security(("session" = [])), responses(
    (status = 200, body = Account),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(
    State(admin): State<Admin>,
    extensions: Extensions,
) -> Result<Json<Account>> {
    let core = &admin.core;
    let current = guard::current(&extensions);
    let factor = core.gate.factor(core).await?.value.flatten();
    let sessions = core.gate.sessions.list(core).await?;
    Ok(Json(Account {
        has_password: core.gate.password_hash(core).await?.is_some(),
        has_auth_token: core.settings().panel_token().is_some(),
        second_factor: factor.is_some(),
        recovery_codes_left: factor.map_or(0, |factor| factor.recovery_codes),
        sessions: sessions
            .into_iter()
            .map(|session| SessionView {
                id: sessions::name(&session.hash),
                created_at: session.created_at,
                last_seen_at: session.last_seen_at,
                expires_at: session.expires_at,
                address: session.address,
                user_agent: session.user_agent,
                current: Some(session.hash) == current,
            })
            .collect(),
    }))
}

/// Chooses another password. Ends all other sessions.
#[utoipa::path(post, path = "/api/account/password", tag = "account", security(("session" = [])),
    request_body = PasswordChange, responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`weak_password`, `invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`wrong_password`, `foreign_origin`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn password(
    State(admin): State<Admin>,
    extensions: Extensions,
    headers: HeaderMap,
    who: Who,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode> {
    let (core, new) = (&admin.core, Secret::new(change.new));
    confirmed(core, &extensions, &headers, change.current).await?;
    let session = guard::current(&extensions);
    core.gate.change_password(core, new, session).await?;
    who.did(core, AuditAction::PasswordChanged, "", None).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the password once more. For ten minutes this session may then do what answers
/// `password_again`: export secrets, or choose another `AUTH_TOKEN`.
#[utoipa::path(post, path = "/api/account/confirm", tag = "account", security(("session" = [])),
    request_body = PasswordConfirm, responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`wrong_password`, `foreign_origin`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn confirm(
    State(admin): State<Admin>,
    extensions: Extensions,
    headers: HeaderMap,
    Json(confirm): Json<PasswordConfirm>,
) -> Result<StatusCode> {
    let core = &admin.core;
    confirmed(core, &extensions, &headers, confirm.password).await?;
    if let Some(session) = guard::current(&extensions) {
        core.gate.sessions.confirmed(core, session).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions, this one, too.
#[utoipa::path(post, path = "/api/account/logout-everywhere", tag = "account",
    security(("session" = [])), responses(
    (status = 204, description = "Done; the session cookie is taken back."),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn logout_everywhere(State(admin): State<Admin>, who: Who) -> Result<Response> {
    admin.core.gate.sessions.end_all(&admin.core).await?;
    who.did(&admin.core, AuditAction::SignedOutEverywhere, "", None)
        .await;
    let mut response = StatusCode::NO_CONTENT.into_response();
    guard::set_cookie(&mut response, &guard::no_cookie());
    Ok(response)
}

/// Ends one session.
#[utoipa::path(delete, path = "/api/account/sessions/{id}", tag = "account",
    security(("session" = [])),
    params(("id" = String, Path, description = "The session's name")), responses(
    (status = 204, description = "Done."),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn end_session(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let (core, sessions) = (&admin.core, &admin.core.gate.sessions);
    let list = sessions.list(core).await?;
    let named = list
        .iter()
        .find(|session| sessions::name(&session.hash) == id);
    if let Some(session) = named
        && sessions.end(core, session.hash).await?
    {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Failure::new(
        ErrorCode::NotFound,
        "There is no such session (any more).",
    ))
}

/// Begins to add an authenticator app. It is in force when its code has been confirmed.
#[utoipa::path(post, path = "/api/account/totp", tag = "account", security(("session" = [])),
    request_body = PasswordConfirm, responses(
    (status = 200, body = TotpSetup),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`wrong_password`, `foreign_origin`"),
    (status = 409, body = ApiError, description = "`sealing_key_needed`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn add_totp(
    State(admin): State<Admin>,
    extensions: Extensions,
    headers: HeaderMap,
    Json(confirm): Json<PasswordConfirm>,
) -> Result<Json<TotpSetup>> {
    let core = &admin.core;
    confirmed(core, &extensions, &headers, confirm.password).await?;
    let address = guard::address(&headers, None).unwrap_or_else(|| core.panel_address());
    let host = address
        .split_once("://")
        .map_or(&*address, |(_, host)| host);
    let new = core.gate.enrol(core, guard::current(&extensions), host)?;
    Ok(Json(TotpSetup {
        secret: new.secret.expose().clone(),
        link: new.link.expose().clone(),
        qr_svg: new.qr_svg.expose().clone(),
    }))
}

/// Puts the authenticator app in force. Ends all other sessions.
#[utoipa::path(post, path = "/api/account/totp/confirm", tag = "account",
    security(("session" = [])), request_body = TotpConfirm, responses(
    (status = 200, body = TotpEnabled),
    (status = 400, body = ApiError, description = "`invalid_input`: none is being added"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`wrong_second_factor`, `foreign_origin`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn confirm_totp(
    State(admin): State<Admin>,
    extensions: Extensions,
    who: Who,
    Json(confirm): Json<TotpConfirm>,
) -> Result<Json<TotpEnabled>> {
    let core = &admin.core;
    let (by, code) = (guard::current(&extensions), Secret::new(confirm.code));
    let codes = core.gate.confirm_enrolment(core, by, &code).await?;
    who.did(core, AuditAction::SecondFactorOn, "", None).await;
    Ok(Json(TotpEnabled {
        recovery_codes: codes.iter().map(|code| code.expose().clone()).collect(),
    }))
}

/// Switches the second factor off.
#[utoipa::path(post, path = "/api/account/totp/off", tag = "account", security(("session" = [])),
    request_body = PasswordConfirm, responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`wrong_password`, `foreign_origin`"),
    (status = 429, body = ApiError, description = "`too_many_attempts`",
        headers(("retry-after" = u64, description = "Seconds to wait"))),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn drop_totp(
    State(admin): State<Admin>,
    extensions: Extensions,
    headers: HeaderMap,
    who: Who,
    Json(confirm): Json<PasswordConfirm>,
) -> Result<StatusCode> {
    let core = &admin.core;
    confirmed(core, &extensions, &headers, confirm.password).await?;
    core.gate.drop_factor(core).await?;
    who.did(core, AuditAction::SecondFactorOff, "", None).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks the password that was given once more.
async fn confirmed(
    core: &Core,
    extensions: &Extensions,
    headers: &HeaderMap,
    password: String,
) -> Result<()> {
    let from = guard::client(core, extensions, headers);
    core.gate.confirm(core, from, Secret::new(password)).await?;
    Ok(())
}
