//! The dashboard, the statistics of today, and what clients need to know.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use contract::admin::{
    ConnectInfo, DatabaseState, Endpoint, ModelName, ModelView, Overview, RequestError, Sealing,
    Surface, TestAnswer, TestRequest, Today, Warning,
};
use contract::{ApiError, Millis};
use http::HeaderMap;
use jiff::Timestamp;

use super::answer::{Failure, Json, Result};
use super::{Access, Admin, guard};
use crate::Core;
use crate::record::slots::{self, Period};
use crate::store::StoredKey;

/// How many failed requests the dashboard shows.
const LAST_ERRORS: u32 = 10;
/// How long the list of models may take before the page goes without an example of it.
const MODELS_PATIENCE: Duration = Duration::from_secs(3);
/// The example when Google's list is not to be had: the alias that Google keeps pointing at
/// its current Flash model (<https://ai.google.dev/gemini-api/docs/models>).
const FALLBACK_MODEL: &str = "gemini-flash-latest";
/// The longest question of a test request, in characters.
const PROMPT_CHARS: usize = 4_000;

/// The dashboard, in one answer.
#[utoipa::path(get, path = "/api/overview", tag = "overview", security(("session" = [])), responses(
    (status = 200, body = Overview),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn overview(
    State(admin): State<Admin>,
    headers: HeaderMap,
) -> Result<Json<Overview>> {
    let core = &admin.core;
    let today = sums_of_today(core).await?;
    let keys = core.store.keys().await?;
    let masked: HashMap<i64, String> = keys
        .iter()
        .map(|key| (key.id, key.secret.masked()))
        .collect();
    let last_errors = match is_away(core) {
        true => Vec::new(),
        false => core.store.last_errors(LAST_ERRORS).await?,
    };
    let last_errors = last_errors
        .into_iter()
        .map(|failed| RequestError {
            at: failed.at,
            surface: failed.surface,
            model: failed.model,
            status: failed.status,
            message: failed.error,
            key: failed.key_id.and_then(|id| masked.get(&id).cloned()),
        })
        .collect();
    Ok(Json(Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: core.started_at,
        now: core.clock.now(),
        address: address(&admin, &headers),
        pool: core.pool.summary(),
        today,
        last_errors,
        warnings: warnings(core, &keys).await?,
    }))
}

/// The sums since midnight in the server's time zone.
#[utoipa::path(get, path = "/api/stats/today", tag = "overview", security(("session" = [])), responses(
    (status = 200, body = Today),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn today(State(admin): State<Admin>) -> Result<Json<Today>> {
    sums_of_today(&admin.core).await.map(Json)
}

/// The models that Google lists for the next key.
#[utoipa::path(get, path = "/api/models", tag = "connect", security(("session" = [])), responses(
    (status = 200, body = Vec<ModelView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 502, body = ApiError, description = "`upstream`"),
    (status = 503, body = ApiError, description = "`no_key_available`"),
))]
pub(super) async fn models(State(admin): State<Admin>) -> Result<Json<Vec<ModelView>>> {
    Ok(Json(admin.core.models().await?))
}

/// Where clients find this instance.
#[utoipa::path(get, path = "/api/connect", tag = "connect", security(("session" = [])), responses(
    (status = 200, body = ConnectInfo),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn connect(State(admin): State<Admin>, headers: HeaderMap) -> Json<ConnectInfo> {
    let address = address(&admin, &headers);
    // What follows the address in a client's "base URL" field. OpenAI's SDKs want the
    // version in it, those of Google and Anthropic put it in themselves.
    let endpoints = [
        (Surface::Openai, "/v1"),
        (Surface::Gemini, ""),
        (Surface::Anthropic, ""),
    ]
    .map(|(surface, path)| Endpoint {
        surface,
        base_url: format!("{address}{path}"),
    })
    .into();
    let listed = tokio::time::timeout(MODELS_PATIENCE, admin.core.models()).await;
    let settings = admin.core.settings();
    let chosen = settings.test_model.clone();
    let names = settings.model_map.rows().map(|(name, model)| ModelName {
        name: name.to_owned(),
        model: model.to_owned(),
    });
    let names = names.collect();
    let example_model = match &listed {
        _ if !chosen.is_empty() => &chosen,
        Ok(Ok(models)) => example(models),
        _ => FALLBACK_MODEL,
    };
    Json(ConnectInfo {
        endpoints,
        example_model: example_model.to_owned(),
        names,
    })
}

/// Sends one real request through the pool, as a client would.
#[utoipa::path(post, path = "/api/test", tag = "connect", security(("session" = [])),
    request_body = TestRequest, responses(
    (status = 200, body = TestAnswer, description = "The request was sent; `status` says how it ended."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
))]
pub(super) async fn test(
    State(admin): State<Admin>,
    Json(request): Json<TestRequest>,
) -> Result<Json<TestAnswer>> {
    if request.model.trim().is_empty() {
        return Err(Failure::invalid("The test needs the name of a model."));
    }
    let prompt = request.prompt.as_deref().unwrap_or_default();
    if prompt.chars().count() > PROMPT_CHARS {
        return Err(Failure::invalid(format!(
            "The question of a test has at most {PROMPT_CHARS} characters."
        )));
    }
    Ok(Json(admin.core.test(&request).await))
}

/// The address as the one who asks knows it: a browser may be far away, behind proxies.
fn address(admin: &Admin, headers: &HeaderMap) -> String {
    match admin.access {
        Access::Session => guard::address(headers, admin.core.port_beside_panel()),
        Access::Trusted => None,
    }
    .unwrap_or_else(|| admin.core.address())
}

/// Most keys can use a Flash model; among several the first that is not for a special use.
fn example(models: &[ModelView]) -> &str {
    let special = [
        "image",
        "tts",
        "live",
        "audio",
        "embedding",
        "preview",
        "exp",
    ];
    let usual =
        |model: &&ModelView| model.generates && !special.iter().any(|word| model.id.contains(word));
    models
        .iter()
        .filter(usual)
        .find(|model| model.id.contains("flash"))
        .or_else(|| models.iter().find(usual))
        .map_or(FALLBACK_MODEL, |model| model.id.as_str())
}

/// What the user should mend, most urgent first.
async fn warnings(core: &Core, keys: &[StoredKey]) -> Result<Vec<Warning>> {
    let pool = core.pool.summary();
    let no_tokens = core.store.tokens().await?.is_empty();
    let legacy = |key: &StoredKey| key.enabled && key.secret.expose().starts_with("AIza");
    let away = is_away(core);
    let all = [
        (pool.total == 0, Warning::NoKeys),
        (pool.total > 0 && pool.ready == 0, Warning::NoKeyReady),
        (no_tokens, Warning::NoTokens),
        (away, Warning::DatabaseUnreachable),
        (
            !away && core.recorder.is_failing(),
            Warning::DatabaseFailing,
        ),
        (
            core.store.sealing() == Sealing::NotStored,
            Warning::NoSealingKey,
        ),
        (
            core.store.sealing() == Sealing::Clear,
            Warning::StoredInClear,
        ),
        (keys.iter().any(legacy), Warning::LegacyKeys),
    ];
    Ok(all
        .into_iter()
        .filter_map(|(holds, warning)| holds.then_some(warning))
        .collect())
}

/// Whether the database is away: the panel then shows what is in memory, without sums.
pub(super) fn is_away(core: &Core) -> bool {
    matches!(core.store.state(), DatabaseState::Unreachable { .. })
}

/// When the current day began in the server's time zone.
pub(crate) fn midnight(core: &Core) -> Millis {
    let zone = core.settings().time_zone.clone();
    slots::begin(Period::Day, core.clock.now(), &zone)
}

/// A moment in the server's time zone; `None` outside the years that the calendar knows.
fn local(core: &Core, at: Millis) -> Option<jiff::Zoned> {
    let at = Timestamp::from_millisecond(at).ok()?;
    Some(at.to_zoned(core.settings().time_zone.clone()))
}

async fn sums_of_today(core: &Core) -> Result<Today> {
    if !is_away(core) {
        core.recorder.flush().await;
    }
    let since = midnight(core);
    let mut today = Today {
        since,
        time_zone: core.settings().time_zone_name().to_owned(),
        requests_by_hour: vec![0; 24],
        errors_by_hour: vec![0; 24],
        dropped_records: core.recorder.dropped(),
        ..Today::default()
    };
    let hours = match is_away(core) {
        true => Vec::new(),
        false => core.store.hours_since(since).await?,
    };
    for (at, sums) in hours {
        today.requests += sums.requests;
        today.errors += sums.errors;
        today.prompt_tokens += sums.prompt_tokens;
        today.output_tokens += sums.output_tokens + sums.thought_tokens;
        // Not the difference to midnight: an hour is missing or comes twice when clocks change.
        let hour = local(core, at).and_then(|at| usize::try_from(at.hour()).ok());
        if let Some(hour) = hour
            && let (Some(requests), Some(errors)) = (
                today.requests_by_hour.get_mut(hour),
                today.errors_by_hour.get_mut(hour),
            )
        {
            *requests += sums.requests;
            *errors += sums.errors;
        }
    }
    Ok(today)
}
