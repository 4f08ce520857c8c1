//! The tokens that clients send.

use axum::extract::State;
use contract::admin::{AuditAction, TokenCreate, TokenCreated, TokenPatch, TokenRules, TokenView};
use contract::{ApiError, ErrorCode};
use http::StatusCode;
use vault::Secret;

use super::answer::{Failure, Id, Json, Result};
use super::audit::Who;
use super::{Admin, gate};
use crate::Core;
use crate::store::{Inverse, StoredToken, TokenChoice, TokenWas};

/// The longest name, in characters.
const NAME_CHARS: usize = 100;
/// The most models that a token's list has.
const MODELS: usize = 200;
/// The highest limit.
const MOST: u64 = 1 << 53;

/// All client tokens, the environment's first.
#[utoipa::path(get, path = "/api/tokens", tag = "tokens", security(("session" = [])), responses(
    (status = 200, body = Vec<TokenView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Vec<TokenView>>> {
    let tokens = admin.core.store.tokens().await?;
    let view = |token| view(&admin.core, token);
    Ok(Json(tokens.into_iter().map(view).collect()))
}

/// Makes a client token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/tokens", tag = "tokens", security(("session" = [])),
    request_body = TokenCreate, responses(
    (status = 200, body = TokenCreated),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn create(
    State(admin): State<Admin>,
    who: Who,
    Json(request): Json<TokenCreate>,
) -> Result<Json<TokenCreated>> {
    let core = &admin.core;
    let name = request.name.trim();
    check_name(name)?;
    let rules = checked(request.rules)?;
    // The prefix is the one that clients of OpenAI expect; some check it.
    let secret = Secret::new(format!("sk-{}", gate::random(32)?.expose()));
    let _changing = core.change.lock().await;
    let stored = core.store.add_token(name, &secret, &rules).await?;
    core.show_tokens(&core.store.tokens().await?);
    let inverse = Inverse {
        tokens_added: vec![stored.id],
        ..Inverse::default()
    };
    who.did(core, AuditAction::TokenCreated, name, Some(inverse))
        .await;
    Ok(Json(TokenCreated {
        token: view(core, stored),
        secret: secret.expose().clone(),
    }))
}

/// Changes what a client token is called or may do. Those of the environment keep their name.
#[utoipa::path(patch, path = "/api/tokens/{id}", tag = "tokens", security(("session" = [])),
    params(("id" = i64, Path, description = "The token's number")), request_body = TokenPatch,
    responses(
    (status = 200, body = TokenView),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn change(
    State(admin): State<Admin>,
    who: Who,
    Id(id): Id,
    Json(patch): Json<TokenPatch>,
) -> Result<Json<TokenView>> {
    let core = &admin.core;
    let name = patch.name.as_deref().map(str::trim);
    name.map(check_name).transpose()?;
    let rules = patch.rules.map(checked).transpose()?;
    let no_such_token = || Failure::new(ErrorCode::NotFound, "There is no such token.");
    let _changing = core.change.lock().await;
    let before = core.store.tokens().await?;
    if !core.store.change_token(id, name, rules.as_ref()).await? {
        return Err(no_such_token());
    }
    let tokens = core.store.tokens().await?;
    core.show_tokens(&tokens);
    if let Some(was) = before.into_iter().find(|token| token.id == id) {
        let subject = was.name.clone();
        let was = TokenChoice {
            name: was.name,
            rules: was.rules,
        };
        let became = TokenChoice {
            name: name.unwrap_or(&was.name).to_owned(),
            rules: rules.unwrap_or_else(|| was.rules.clone()),
        };
        let inverse = Inverse {
            tokens: vec![TokenWas {
                id,
                was,
                became: Some(became),
            }],
            ..Inverse::default()
        };
        who.did(core, AuditAction::TokenChanged, subject, Some(inverse))
            .await;
    }
    let changed = tokens.into_iter().find(|token| token.id == id);
    Ok(Json(view(core, changed.ok_or_else(no_such_token)?)))
}

/// Revokes a client token at once and for good.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "tokens", security(("session" = [])),
    params(("id" = i64, Path, description = "The token's number")), responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`: it comes from the environment"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn delete(State(admin): State<Admin>, who: Who, Id(id): Id) -> Result<StatusCode> {
    let core = &admin.core;
    let _changing = core.change.lock().await;
    // In memory first: whatever happens to the database next, it is not accepted any more.
    // Those of the environment, whose numbers are negative, are not deleted here.
    if id > 0 {
        core.tokens.remove(id);
        core.forget(id);
    }
    let known = core.store.tokens().await;
    if !core.store.delete_token(id).await? {
        return Err(Failure::new(ErrorCode::NotFound, "There is no such token."));
    }
    core.show_tokens(&core.store.tokens().await?);
    let revoked = known.into_iter().flatten().find(|token| token.id == id);
    let subject = revoked.map_or_else(String::new, |token| token.name);
    who.did(core, AuditAction::TokenRevoked, subject, None)
        .await;
    Ok(StatusCode::NO_CONTENT)
}

fn check_name(name: &str) -> Result<()> {
    let fits = (1..=NAME_CHARS).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "The name of a token has 1 to {NAME_CHARS} characters and no line breaks."
        )));
    }
    Ok(())
}

/// Rules that make sense; models are named as the API names them, without `models/`.
fn checked(mut rules: TokenRules) -> Result<TokenRules> {
    for (what, limit) in [
        ("rpm", rules.rpm.map(u64::from)),
        ("rpd", rules.rpd.map(u64::from)),
        ("tokens_per_day", rules.tokens_per_day),
        ("concurrency", rules.concurrency.map(u64::from)),
    ] {
        // Up to what both databases and JSON keep exactly.
        if limit.is_some_and(|limit| limit == 0 || limit > MOST) {
            return Err(Failure::invalid(format!(
                "The limit {what} is a whole number from 1. Leave it out for no limit; revoke \
                 the token to let nothing through."
            )));
        }
    }
    if rules.models.len() > MODELS {
        return Err(Failure::invalid(format!(
            "A token has at most {MODELS} models; * at the end of a name stands for anything."
        )));
    }
    for model in &mut rules.models {
        let name = model.trim();
        let name = name.strip_prefix("models/").unwrap_or(name);
        let plain = name.strip_suffix('*').unwrap_or(name);
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
        if name.is_empty() || name.len() > NAME_CHARS || !plain.chars().all(known) {
            return Err(Failure::invalid(
                "A model is written as in GET /v1/models, e.g. gemini-2.5-flash, or as its \
                 beginning followed by *, e.g. gemini-2.5-*.",
            ));
        }
        *model = name.to_owned();
    }
    Ok(rules)
}

fn view(core: &Core, token: StoredToken) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        masked: token.masked,
        origin: token.origin,
        created_at: token.created_at,
        last_used_at: core.tokens.last_used(token.id).max(token.last_used_at),
        usage: core.tokens.usage(token.id, core.clock.now()),
        rules: token.rules,
    }
}
