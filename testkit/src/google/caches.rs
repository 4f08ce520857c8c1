//! Cached contents: kept, prolonged, and put before what a model is asked.
//!
//! The methods: <https://ai.google.dev/api/caching>. The answers and refusals were probed at the
//! API on 2026-09-07 by somebody who published them word for word: the least size and its words,
//! the hour without a `ttl`, that an answer has none of what was cached, 403 for a cache that is
//! not (or no longer) there, and the 400 for `system_instruction`, `tools` or `tool_config`
//! beside a cache. The words for a free project's storage of 0 tokens and for another model are
//! those of error reports.

use serde_json::{Map, Value, json};

use super::World;
use super::answer::input_tokens;
use super::door;
use super::error::GoogleError;
use super::files;
use super::model::Model;
use super::proto::{get, list, text};
use super::reply::Reply;
use super::shelf::{Asked, Caller, Owned, Paging, time};

/// How long a cache lasts that nobody said more of, in milliseconds.
const USUAL_LIFE: i64 = 60 * 60 * 1000;

/// What a cache and a request cannot both have.
const FIXED: [&str; 3] = ["system_instruction", "tools", "tool_config"];

/// A cached content.
#[derive(Debug)]
pub(super) struct Cache {
    /// Without `models/`.
    model: String,
    display_name: String,
    /// `contents` and what is in [`FIXED`].
    body: Value,
    tokens: u64,
    /// In milliseconds since 1970.
    updated: i64,
}

/// The cache as Google describes it.
pub(super) fn show(cache: &Owned<Cache>) -> Value {
    json!({
        "name": cache.name,
        "model": format!("models/{}", cache.it.model),
        "createTime": time(cache.created),
        "updateTime": time(cache.it.updated),
        "expireTime": time(cache.expires.unwrap_or_default()),
        "displayName": cache.it.display_name,
        "usageMetadata": { "totalTokenCount": cache.it.tokens },
    })
}

fn forbidden() -> GoogleError {
    GoogleError {
        message: "CachedContent not found (or permission denied)".to_owned(),
        ..GoogleError::usual(403)
    }
}

const PAGING: Paging = Paging {
    request: "ListCachedContentsRequest",
    field: "cachedContents",
    usual: 100,
    most: 1000,
    coerces: true,
};

/// Answers one call about caches.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let (world, target) = (asked.world, asked.target);
    let now = world.clock.now();
    let (name, project) = (&target.resource, &asked.caller.project);
    let shown = match target.action {
        "cachedContents.create" => create(asked, now)?,
        "cachedContents.get" => {
            let inner = world.inner.lock();
            let cache = inner.caches.get(project, name, now);
            cache.map(show).ok_or_else(forbidden)?
        }
        "cachedContents.patch" => patch(asked, now)?,
        "cachedContents.delete" => {
            let removed = world.inner.lock().caches.remove(project, name, now);
            removed.ok_or_else(forbidden)?;
            json!({})
        }
        _ => {
            let inner = world.inner.lock();
            inner
                .caches
                .page(asked.caller, now, target, &PAGING, show)?
        }
    };
    Ok(Reply::Json(shown))
}

fn create(asked: &Asked<'_>, now: i64) -> Result<Value, GoogleError> {
    let world = asked.world;
    let body = door::message("cachedContents.create", asked.body)?;
    let id = text(&body, "model").trim_start_matches("models/");
    if id.is_empty() {
        return Err(GoogleError::invalid(
            "* CreateCachedContentRequest.cached_content.model: model is required\n",
        ));
    }
    let model = world.models.iter().find(|model| model.id == id);
    let Some(model) = model.filter(|model| model.supports("createCachedContent")) else {
        return Err(GoogleError::model_not_found(
            &asked.target.version,
            id,
            "createCachedContent",
        ));
    };
    let expires = expiry(&body, now)?.unwrap_or(now + USUAL_LIFE);
    let cached: Map<String, Value> = std::iter::once("contents")
        .chain(FIXED)
        .filter_map(|name| Some((name.to_owned(), get(&body, name)?.clone())))
        .collect();
    let cached = Value::Object(cached);
    files::check(world, &asked.caller.project, &cached)?;
    let tokens = input_tokens(&cached) + file_tokens(world, asked.caller, &cached, now);
    let least = least(model);
    if tokens < least {
        return Err(GoogleError::invalid(format!(
            "Cached content is too small. total_token_count={tokens}, min_total_token_count={least}"
        )));
    }
    let mut inner = world.inner.lock();
    let stored: u64 = inner
        .caches
        .all(now)
        .filter(|cache| cache.owner.project == asked.caller.project && cache.it.model == id)
        .map(|cache| cache.it.tokens)
        .sum();
    if let Some(limit) = inner.cached_storage.get(&asked.caller.project)
        && stored + tokens > *limit
    {
        return Err(GoogleError {
            message: format!(
                "TotalCachedContentStorageTokensPerModelFreeTier limit exceeded for model {id}: limit={limit}, \
                 requested={}",
                stored + tokens
            ),
            ..GoogleError::usual(429)
        });
    }
    let cache = Owned {
        name: format!("cachedContents/{}", inner.mint(40)),
        owner: asked.caller.clone(),
        created: now,
        expires: Some(expires),
        it: Cache {
            model: id.to_owned(),
            display_name: text(&body, "display_name").to_owned(),
            body: cached,
            tokens,
            updated: now,
        },
    };
    let shown = show(&cache);
    inner.caches.put(cache);
    Ok(shown)
}

fn patch(asked: &Asked<'_>, now: i64) -> Result<Value, GoogleError> {
    let body = door::message("cachedContents.create", asked.body)?;
    let mask = asked.target.parameter("updateMask", "update_mask");
    let named = mask.unwrap_or_default().split(',').map(str::trim);
    let given = body
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| &**name);
    let expiration = ["ttl", "expireTime", "expire_time", "name", "model", ""];
    if let Some(other) = named.chain(given).find(|name| !expiration.contains(name)) {
        return Err(GoogleError::invalid(format!(
            "* UpdateCachedContentRequest.update_mask: only expiration is updatable, not {other}.\n"
        )));
    }
    let Some(expires) = expiry(&body, now)? else {
        return Err(GoogleError::invalid(
            "* UpdateCachedContentRequest.cached_content.expiration: required oneof field 'expiration' must have one \
             initialized field\n",
        ));
    };
    let mut inner = asked.world.inner.lock();
    let (name, project) = (&asked.target.resource, &asked.caller.project);
    let cache = inner.caches.get_mut(project, name, now);
    let cache = cache.ok_or_else(forbidden)?;
    cache.expires = Some(expires);
    cache.it.updated = now;
    Ok(show(cache))
}

/// When a cache is to end, in milliseconds since 1970; `None` when it was not said.
fn expiry(body: &Value, now: i64) -> Result<Option<i64>, GoogleError> {
    let wrong = |field: &str, kind: &str, given: &str| {
        let described = format!(
            "Invalid value at 'cached_content.{field}' (type.googleapis.com/google.protobuf.{kind}), \"{given}\""
        );
        GoogleError::fields(&[(format!("cached_content.{field}"), described)])
    };
    let ends = match (text(body, "ttl"), text(body, "expire_time")) {
        ("", "") => return Ok(None),
        (ttl, "") => {
            let seconds = ttl.strip_suffix('s').and_then(|number| number.parse().ok());
            let seconds: f64 = seconds.ok_or_else(|| wrong("ttl", "Duration", ttl))?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it saturates, which is later than any test"
            )]
            let millis = (seconds * 1000.0) as i64;
            now.saturating_add(millis)
        }
        ("", at) => {
            let at: Result<jiff::Timestamp, _> = at.parse();
            at.map_err(|_| wrong("expire_time", "Timestamp", text(body, "expire_time")))?
                .as_millisecond()
        }
        _ => {
            return Err(GoogleError::fields(&[(
                "cached_content".to_owned(),
                "Invalid value at 'cached_content' (oneof), oneof field 'expiration' is already set. Cannot set \
                 'ttl'"
                    .to_owned(),
            )]));
        }
    };
    match ends > now {
        true => Ok(Some(ends)),
        false => Err(GoogleError::invalid(
            "The expiration of the cached content must be in the future.",
        )),
    }
}

/// The fewest tokens that are cached: 4096 by Google's table for the Pro models, 1024 for all
/// others (<https://ai.google.dev/gemini-api/docs/caching>).
fn least(model: &Model) -> u64 {
    match model.id.contains("-pro") {
        true => 4096,
        false => 1024,
    }
}

/// What texts in files come to beyond what every file counts for.
fn file_tokens(world: &World, caller: &Caller, body: &Value, now: i64) -> u64 {
    let inner = world.inner.lock();
    let parts = list(body, "contents")
        .iter()
        .flat_map(|content| list(content, "parts"));
    let names = parts.filter_map(|part| files::named(text(get(part, "file_data")?, "file_uri")));
    names
        .filter_map(|name| inner.files.get(&caller.project, name, now))
        .filter(|file| file.it.mime_type.starts_with("text/"))
        .map(|file| file.it.content.len() as u64 / 4)
        .sum()
}

/// What a model is asked by this request: what is cached comes before its contents. With it the
/// tokens that are cached, of which there are none when the request names no cache.
pub(super) fn with_cache(
    world: &World,
    caller: &Caller,
    model: &Model,
    body: &Value,
) -> Result<Option<(Value, u64)>, GoogleError> {
    let name = text(body, "cached_content");
    if name.is_empty() {
        return Ok(None);
    }
    let inner = world.inner.lock();
    let cache = inner
        .caches
        .get(&caller.project, name, world.clock.now())
        .ok_or_else(forbidden)?;
    if cache.it.model != model.id {
        return Err(GoogleError::invalid(format!(
            "Model used by GenerateContent request (models/{}) and CachedContent (models/{}) has to be the same.",
            model.id, cache.it.model
        )));
    }
    if FIXED.iter().any(|name| get(body, name).is_some()) {
        return Err(GoogleError::invalid(
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or \
             tool_config.\n\nProposed fix: move those values to CachedContent from GenerateContent request.",
        ));
    }
    let mut whole = body.clone();
    let contents = [&cache.it.body, body].map(|of| list(of, "contents").to_vec());
    whole["contents"] = Value::Array(contents.concat());
    for name in FIXED {
        if let Some(fixed) = get(&cache.it.body, name) {
            whole[name] = fixed.clone();
        }
    }
    Ok(Some((whole, cache.it.tokens)))
}
