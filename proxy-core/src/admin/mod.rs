//! The admin API: what the panel asks of an instance.
//!
//! Handlers are registered together with their description, so `/api/openapi.json` cannot
//! miss one. `contract::admin` says what each path takes and gives.
//!
//! Who may call it: [`Access::Session`] wants the cookie of somebody who signed in and that
//! the request comes from the panel's own page (`guard.rs`); [`Access::Trusted`] is for the
//! desktop window, which calls the router from within the process.
//!
//! Deliberately absent: CORS, and secrets in answers. The one exception is a new client
//! token, which can be seen once.

mod account;
pub mod answer;
mod audit;
mod data;
mod doctor;
mod gate;
mod guard;
mod headers;
mod import;
mod keys;
mod overview;
mod pool;
mod requests;
mod sessions;
mod settings;
mod sign_in;
mod stats;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod totp;
mod transfer;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};
use contract::{ApiError, ErrorCode};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::answer::status_of;
pub use self::audit::Who;
pub(crate) use self::gate::{Gate, check_new_password, hash_password};
pub(crate) use self::guard::asks_loopback;
pub(crate) use self::headers::page as page_headers;
pub(crate) use self::overview::midnight;
pub use self::settings::env_value;

use self::answer::{Failure, Json};
use crate::Core;

/// Who may use a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever has signed in, over HTTP.
    Session,
    /// The process itself.
    Trusted,
}

/// What the handlers share.
#[derive(Clone)]
struct Admin {
    core: Arc<Core>,
    access: Access,
}

/// The cookie of a session, as the description names it.
const SESSION_SCHEME: &str = "session";

/// Everything below `/api`.
pub fn router(core: Arc<Core>, access: Access) -> Router {
    let extension = core.extension.get().map(|extension| {
        let routes = extension.routes.clone();
        (routes, extension.description.clone())
    });
    let admin = Admin { core, access };
    let (open, mut closed, mut description) = described();
    if let Some((routes, described)) = extension {
        description.merge(described);
        let routes = routes.layer(from_fn_with_state(admin.clone(), audit::tell_who));
        closed = closed.merge(routes.with_state(()));
    }
    let description = Arc::new(description);
    let open = open.route(
        "/api/openapi.json",
        get(move || {
            let description = description.clone();
            async move { Json(description) }
        }),
    );
    let closed = closed.route_layer(from_fn_with_state(admin.clone(), guard::session));
    open.merge(closed)
        .route("/api", any(unknown))
        .route("/api/{*rest}", any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(admin.clone(), guard::same_site))
        .layer(from_fn(headers::api))
        .with_state(admin)
}

/// The description of the API, as `/api/openapi.json` gives it.
pub fn openapi() -> OpenApi {
    described().2
}

/// The routes that need no session, those that do, and the description of both.
fn described() -> (Router<Admin>, Router<Admin>, OpenApi) {
    let (open, open_api) = OpenApiRouter::new()
        .routes(routes!(sign_in::state))
        .routes(routes!(sign_in::setup))
        .routes(routes!(sign_in::login))
        .split_for_parts();
    let (closed, closed_api) = OpenApiRouter::new()
        .routes(routes!(sign_in::logout))
        .routes(routes!(overview::overview))
        .routes(routes!(overview::today))
        .routes(routes!(overview::models))
        .routes(routes!(overview::connect))
        .routes(routes!(overview::test))
        .routes(routes!(doctor::examine))
        .routes(routes!(doctor::egress))
        .routes(routes!(keys::list))
        .routes(routes!(keys::import))
        .routes(routes!(keys::change, keys::delete))
        .routes(routes!(keys::restore))
        .routes(routes!(keys::replace))
        .routes(routes!(keys::check))
        .routes(routes!(pool::show))
        .routes(routes!(pool::clear))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::change, tokens::delete))
        .routes(routes!(data::show))
        .routes(routes!(data::agree_clear))
        .routes(routes!(data::back_up))
        .routes(routes!(data::restore))
        .routes(routes!(data::delete))
        .routes(routes!(stats::show))
        .routes(routes!(requests::list))
        .routes(routes!(requests::show))
        .routes(routes!(requests::delete))
        .routes(routes!(settings::list, settings::change))
        .routes(routes!(settings::env))
        .routes(routes!(transfer::export))
        .routes(routes!(transfer::import))
        .routes(routes!(audit::list))
        .routes(routes!(audit::undo))
        .routes(routes!(account::show))
        .routes(routes!(account::password))
        .routes(routes!(account::confirm))
        .routes(routes!(account::logout_everywhere))
        .routes(routes!(account::end_session))
        .routes(routes!(account::add_totp))
        .routes(routes!(account::confirm_totp))
        .routes(routes!(account::drop_totp))
        .split_for_parts();
    let info = InfoBuilder::new()
        .title("Gemini Balance: admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What the panel asks of an instance. Sign in with `POST /api/login`; the answer \
             sets the session cookie that the other calls need. Requests of a browser must \
             come from the instance's own page. Every error is an `ApiError`.",
        ))
        .build();
    let mut api = OpenApiBuilder::new().info(info).build();
    api.merge(open_api);
    api.merge(closed_api);
    let cookie = ApiKey::Cookie(ApiKeyValue::new(guard::COOKIE));
    api.components
        .get_or_insert_default()
        .add_security_scheme(SESSION_SCHEME, SecurityScheme::ApiKey(cookie));
    (open, closed, api)
}

async fn unknown() -> Failure {
    ApiError::new(
        ErrorCode::NotFound,
        "There is no such path in the admin API; /api/openapi.json lists all.",
    )
    .into()
}

async fn wrong_method() -> Failure {
    Failure::wrong_method()
}
