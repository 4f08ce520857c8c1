//! The tokens that clients send.

use axum::extract::State;
use contract::admin::{TokenCreate, TokenCreated, TokenRules, TokenUsage, TokenView};
use contract::{ApiError, ErrorCode};
use http::StatusCode;
use vault::Secret;

use super::answer::{Failure, Id, Json, Result};
use super::{Admin, gate};
use crate::Core;
use crate::store::StoredToken;
use crate::surface::auth::TokenEntry;

/// The longest name, in characters.
const NAME_CHARS: usize = 100;

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
    Json(request): Json<TokenCreate>,
) -> Result<Json<TokenCreated>> {
    let core = &admin.core;
    let name = request.name.trim();
    let fits = (1..=NAME_CHARS).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "The name of a token has 1 to {NAME_CHARS} characters and no line breaks."
        )));
    }
    // The prefix is the one that clients of OpenAI expect; some check it.
    let secret = Secret::new(format!("sk-{}", gate::random(32)?.expose()));
    let _changing = core.change.lock().await;
    let stored = core.store.add_token(name, &secret).await?;
    let accepted = core.store.token_hashes().await?;
    core.tokens
        .replace(accepted.into_iter().map(TokenEntry::from));
    Ok(Json(TokenCreated {
        token: view(core, stored),
        secret: secret.expose().clone(),
    }))
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
pub(super) async fn delete(State(admin): State<Admin>, Id(id): Id) -> Result<StatusCode> {
    let core = &admin.core;
    let _changing = core.change.lock().await;
    // In memory first: whatever happens to the database next, it is not accepted any more.
    // Those of the environment, whose numbers are negative, are not deleted here.
    if id > 0 {
        core.tokens.remove(id);
    }
    if !core.store.delete_token(id).await? {
        return Err(Failure::new(ErrorCode::NotFound, "There is no such token."));
    }
    let accepted = core.store.token_hashes().await?;
    core.tokens
        .replace(accepted.into_iter().map(TokenEntry::from));
    Ok(StatusCode::NO_CONTENT)
}

fn view(core: &Core, token: StoredToken) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        masked: token.masked,
        origin: token.origin,
        created_at: token.created_at,
        last_used_at: core.tokens.last_used(token.id).max(token.last_used_at),
        rules: TokenRules::default(),
        usage: TokenUsage::default(),
    }
}
