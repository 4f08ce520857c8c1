//! The Gemini keys.

use std::collections::HashMap;

use axum::extract::State;
use contract::admin::{
    AuditAction, ImportReport, ImportRequest, KeyCheck, KeyPatch, KeyReplace, KeyRules, KeyState,
    KeyView, RejectReason,
};
use contract::{ApiError, ErrorCode};
use http::StatusCode;

use super::answer::{Failure, Id, Json, Result};
use super::audit::Who;
use super::{Admin, import, overview};
use crate::Core;
use crate::store::{Inverse, KeyChoice, KeyWas, StoredKey, Tally};

/// All keys, oldest first.
#[utoipa::path(get, path = "/api/keys", tag = "keys", security(("session" = [])), responses(
    (status = 200, body = Vec<KeyView>),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Vec<KeyView>>> {
    let core = &admin.core;
    let counts = counts_of_today(core).await?;
    let keys = core.store.keys().await?;
    Ok(Json(
        keys.into_iter()
            .map(|key| view(core, key, &counts))
            .collect(),
    ))
}

/// Adds the keys found in any text, or says which it would add.
#[utoipa::path(post, path = "/api/keys/import", tag = "keys", security(("session" = [])),
    request_body = ImportRequest, responses(
    (status = 200, body = ImportReport),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn import(
    State(admin): State<Admin>,
    who: Who,
    Json(request): Json<ImportRequest>,
) -> Result<Json<ImportReport>> {
    let core = &admin.core;
    // The text holds secrets: it is wiped when this function ends.
    let text = zeroize::Zeroizing::new(request.text);
    let parsed = import::parse(&text);
    let mut report = ImportReport {
        rejected: parsed.rejected,
        ..ImportReport::default()
    };
    let is_new: Vec<bool> = if request.dry_run {
        let known = core.store.known_keys(&parsed.found).await?;
        known.into_iter().map(|known| !known).collect()
    } else {
        let _changing = core.change.lock().await;
        let added = core.store.add_keys(&parsed.found).await?;
        let mut inverse = Inverse::default();
        let mut masked = Vec::new();
        let mut is_new = Vec::with_capacity(added.len());
        for new in &added {
            is_new.push(new.is_some());
            let Some(key) = new else { continue };
            inverse.keys_added.push(key.id);
            masked.push(key.secret.masked());
        }
        let added: Vec<_> = added.into_iter().flatten().collect();
        let ids: Vec<i64> = added.iter().map(|key| key.id).collect();
        core.pool.insert(added);
        core.checks.ask(ids);
        if !masked.is_empty() {
            let subject = masked.join(", ");
            who.did(core, AuditAction::KeysAdded, subject, Some(inverse))
                .await;
        }
        is_new
    };
    for (key, is_new) in parsed.found.iter().zip(is_new) {
        let list = if is_new {
            &mut report.added
        } else {
            &mut report.duplicates
        };
        list.push(key.secret.masked());
    }
    report
        .duplicates
        .extend(parsed.repeated.iter().map(vault::Secret::masked));
    Ok(Json(report))
}

/// Changes the label of a key, or switches it on or off.
#[utoipa::path(patch, path = "/api/keys/{id}", tag = "keys", security(("session" = [])),
    params(("id" = i64, Path, description = "The key's number")),
    request_body = KeyPatch, responses(
    (status = 200, body = KeyView),
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
    Json(patch): Json<KeyPatch>,
) -> Result<Json<KeyView>> {
    let core = &admin.core;
    let label = patch.label.as_deref().map(str::trim);
    if label.is_some_and(|label| {
        label.chars().count() > import::LABEL_CHARS || label.chars().any(char::is_control)
    }) {
        return Err(Failure::invalid(format!(
            "A label has at most {} characters and no line breaks.",
            import::LABEL_CHARS
        )));
    }
    let rules = patch
        .rules
        .map(|rules| checked_rules(core, rules))
        .transpose()?;
    let _changing = core.change.lock().await;
    let before = core.store.key(id).await?.ok_or_else(no_such_key)?;
    let done = core
        .store
        .change_key(id, label, patch.enabled, rules.as_ref())
        .await?;
    if !done {
        return Err(no_such_key());
    }
    // Traces tell the label, which is read from memory.
    if rules.is_some() || label.is_some() {
        core.show_changed().await?;
    }
    if let Some(enabled) = patch.enabled {
        core.pool.set_enabled(id, enabled);
    }
    let subject = before.secret.masked();
    let was = KeyChoice {
        label: before.label,
        enabled: before.enabled,
        rules: before.rules,
    };
    let became = KeyChoice {
        label: label.unwrap_or(&was.label).to_owned(),
        enabled: patch.enabled.unwrap_or(was.enabled),
        rules: rules.unwrap_or_else(|| was.rules.clone()),
    };
    let inverse = Inverse {
        keys: vec![KeyWas {
            id,
            was,
            became: Some(became),
        }],
        ..Inverse::default()
    };
    who.did(core, AuditAction::KeyChanged, subject, Some(inverse))
        .await;
    one(core, id).await.map(Json)
}

/// Puts another key in a key's place, which keeps its name, rules and statistics. The new one is
/// checked at once.
#[utoipa::path(post, path = "/api/keys/{id}/replace", tag = "keys", security(("session" = [])),
    params(("id" = i64, Path, description = "The key's number")),
    request_body = KeyReplace, responses(
    (status = 200, body = KeyView),
    (status = 400, body = ApiError, description = "`invalid_input`: no key, one that is here already, or the old one comes from the environment"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn replace(
    State(admin): State<Admin>,
    who: Who,
    Id(id): Id,
    Json(request): Json<KeyReplace>,
) -> Result<Json<KeyView>> {
    let core = &admin.core;
    let text = zeroize::Zeroizing::new(request.key);
    let [new] = <[_; 1]>::try_from(import::parse(&text).found).map_err(|found| {
        Failure::invalid(match found.len() {
            0 => "This is no Gemini key. One looks like AQ.Ab8RN6… or AIzaSy….",
            _ => "There is more than one key in this text. Only one can take a key's place.",
        })
    })?;
    let _changing = core.change.lock().await;
    let before = core.store.key(id).await?.ok_or_else(no_such_key)?;
    let key = core.store.replace_key(id, &new.secret).await?;
    let key = key.ok_or_else(no_such_key)?;
    let subject = format!("{} → {}", before.secret.masked(), key.secret.masked());
    core.pool.exchange(key.into());
    core.express.remove(id);
    core.checks.ask([id]);
    who.did(core, AuditAction::KeyReplaced, subject, None).await;
    one(core, id).await.map(Json)
}

/// Deletes a key. Until the next start it can be restored.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", security(("session" = [])),
    params(("id" = i64, Path, description = "The key's number")), responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`: it comes from the environment"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn delete(State(admin): State<Admin>, who: Who, Id(id): Id) -> Result<StatusCode> {
    let core = &admin.core;
    // What the pool learned last is written first, so that a restored key still knows it.
    core.recorder.flush().await;
    let _changing = core.change.lock().await;
    let key = core.store.key(id).await?.ok_or_else(no_such_key)?;
    if !core.store.delete_key(id).await? {
        return Err(no_such_key());
    }
    core.pool.remove(id);
    let inverse = Inverse {
        keys_deleted: vec![id],
        ..Inverse::default()
    };
    let subject = key.secret.masked();
    who.did(core, AuditAction::KeyDeleted, subject, Some(inverse))
        .await;
    Ok(StatusCode::NO_CONTENT)
}

/// Brings back a key that was deleted since the last start.
#[utoipa::path(post, path = "/api/keys/{id}/restore", tag = "keys", security(("session" = [])),
    params(("id" = i64, Path, description = "The key's number")), responses(
    (status = 200, body = KeyView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn restore(
    State(admin): State<Admin>,
    who: Who,
    Id(id): Id,
) -> Result<Json<KeyView>> {
    let core = &admin.core;
    let _changing = core.change.lock().await;
    let Some(key) = core.store.restore_key(id).await? else {
        return Err(no_such_key());
    };
    let subject = key.secret.masked();
    core.pool.insert([key.into()]);
    let inverse = Inverse {
        keys_added: vec![id],
        ..Inverse::default()
    };
    who.did(core, AuditAction::KeyRestored, subject, Some(inverse))
        .await;
    one(core, id).await.map(Json)
}

/// Asks Google for its models with this key, which costs none of its quota.
#[utoipa::path(post, path = "/api/keys/{id}/check", tag = "keys", security(("session" = [])),
    params(("id" = i64, Path, description = "The key's number")), responses(
    (status = 200, body = KeyCheck, description = "Google was asked; `ok` says what it thinks."),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn check(State(admin): State<Admin>, Id(id): Id) -> Result<Json<KeyCheck>> {
    let core = &admin.core;
    let checked = core.check_key(id).await?;
    Ok(Json(KeyCheck {
        key: one(core, id).await?,
        ok: checked.ok,
        message: checked.message,
        latency_ms: checked.latency.as_millis().try_into().unwrap_or(u64::MAX),
    }))
}

async fn one(core: &Core, id: i64) -> Result<KeyView> {
    let counts = counts_of_today(core).await?;
    let key = core.store.key(id).await?.ok_or_else(no_such_key)?;
    Ok(view(core, key, &counts))
}

async fn counts_of_today(core: &Core) -> Result<HashMap<i64, Tally>> {
    if overview::is_away(core) {
        return Ok(HashMap::new());
    }
    core.recorder.flush().await;
    Ok(core.store.key_counts(overview::midnight(core)).await?)
}

fn view(core: &Core, key: StoredKey, counts: &HashMap<i64, Tally>) -> KeyView {
    let counts = counts.get(&key.id).copied().unwrap_or_default();
    let status = core.pool.status(key.id);
    let (state, cooldowns, last_used_at, last_error, project) = match status {
        Some(status) => (
            status.state,
            status.cooldowns,
            status.last_used_at,
            status.last_error,
            status.project,
        ),
        // The pool leaves out what no header can hold.
        None => {
            let reason = RejectReason::Invalid;
            (KeyState::Rejected { reason }, Vec::new(), None, None, None)
        }
    };
    let settings = core.settings();
    let is_bound = !settings.proxies.routes().is_empty();
    let picked = core.pool.pick_by_id(key.id).filter(|_| is_bound);
    let egress = picked.map(|picked| {
        let (base, now) = (&settings.base_url, core.clock.monotonic());
        let route = (core.egress).route(&settings, picked.bound_by(), base, now);
        route.shown().to_owned()
    });
    KeyView {
        id: key.id,
        label: key.label,
        masked: key.secret.masked(),
        origin: key.origin,
        express: core.express.has(key.id),
        state,
        cooldowns,
        requests_today: counts.requests,
        errors_today: counts.errors,
        last_used_at,
        last_error,
        added_at: key.added_at,
        rules: key.rules,
        project,
        egress,
    }
}

/// The rules with names trimmed.
fn checked_rules(core: &Core, mut rules: KeyRules) -> Result<KeyRules> {
    const PROJECT_CHARS: usize = 100;
    const MODELS: usize = 100;
    rules.project = rules
        .project
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    let too_long =
        |name: &String| name.chars().count() > PROJECT_CHARS || name.chars().any(char::is_control);
    if rules.project.as_ref().is_some_and(too_long) {
        return Err(Failure::invalid(format!(
            "The name of a project has at most {PROJECT_CHARS} characters and no line breaks."
        )));
    }
    rules.proxy = rules.proxy.filter(|proxy| !proxy.trim().is_empty());
    if let Some(proxy) = rules.proxy.as_deref().filter(|proxy| *proxy != "direct") {
        let settings = core.settings();
        if !settings
            .proxies
            .routes()
            .iter()
            .any(|listed| listed.is_called(proxy))
        {
            return Err(Failure::invalid(
                "This proxy is not in the list PROXIES. Add it there first, or choose `direct`.",
            ));
        }
    }
    if !(1..=100).contains(&rules.weight) {
        return Err(Failure::invalid("A weight is a number from 1 to 100."));
    }
    for models in [&mut rules.models, &mut rules.not_models] {
        for name in models.iter_mut() {
            let plain = name.trim().trim_start_matches("models/");
            *name = plain.to_owned();
        }
        models.retain(|name| !name.is_empty());
        if models.len() > MODELS || models.iter().any(too_long) {
            return Err(Failure::invalid(format!(
                "A list of models has at most {MODELS} names of at most {PROJECT_CHARS} characters."
            )));
        }
    }
    Ok(rules)
}

fn no_such_key() -> Failure {
    Failure::new(ErrorCode::NotFound, "There is no such key.")
}
