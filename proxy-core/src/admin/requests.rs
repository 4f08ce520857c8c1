//! The request log and the error log.

use axum::extract::State;
use contract::admin::{
    AuditAction, Named, RecordsDelete, RecordsDeleted, RequestDetail, RequestPage, RequestQuery,
};
use contract::{ApiError, ErrorCode};

use super::answer::{Asked, Failure, Id, Json, Result};
use super::audit::Who;
use super::{Admin, overview};
use crate::Core;
use crate::store::LogPlace;

/// How many requests a page has that does not say how many.
const PAGE: u32 = 50;
/// The most it can have.
const LARGEST_PAGE: u32 = 200;
/// The longest text that is searched for, in characters.
const SEARCH_CHARS: usize = 200;

/// A page of the request log, newest first. What is asked for by more than one filter may come
/// in short pages; `next` says whether there is more.
#[utoipa::path(get, path = "/api/requests", tag = "requests", security(("session" = [])),
    params(RequestQuery), responses(
    (status = 200, body = RequestPage),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Asked(mut query): Asked<RequestQuery>,
) -> Result<Json<RequestPage>> {
    let core = &admin.core;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Failure::invalid(format!(
            "limit is a whole number from 1 to {LARGEST_PAGE}."
        )));
    }
    let search = query.search.take().map(|text| text.trim().to_owned());
    query.search = search.filter(|text| !text.is_empty());
    let searched = query.search.as_deref().unwrap_or_default();
    if searched.chars().count() > SEARCH_CHARS {
        return Err(Failure::invalid(format!(
            "The text to search for has at most {SEARCH_CHARS} characters."
        )));
    }
    let after = query.after.as_deref().map(place).transpose()?;
    flush(core).await;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut requests, next) = core.store.requests(&query, after, limit).await?;
    for request in &mut requests {
        request.key.iter_mut().for_each(|key| name_key(core, key));
    }
    Ok(Json(RequestPage {
        requests,
        next: next.map(|LogPlace { at, id }| format!("{at}.{id}")),
    }))
}

/// One request with everything that is known of it.
#[utoipa::path(get, path = "/api/requests/{id}", tag = "requests", security(("session" = [])),
    params(("id" = i64, Path, description = "The request's number")), responses(
    (status = 200, body = RequestDetail),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(State(admin): State<Admin>, Id(id): Id) -> Result<Json<RequestDetail>> {
    let core = &admin.core;
    let Some(mut detail) = core.store.request(id).await? else {
        return Err(Failure::new(
            ErrorCode::NotFound,
            "There is no such request in the log; it may have been deleted.",
        ));
    };
    let tried = (detail.tries.iter_mut()).filter_map(|one| one.key.as_mut());
    let keys = detail.request.key.iter_mut();
    let keys = keys.chain(&mut detail.failed_keys).chain(tried);
    keys.for_each(|key| name_key(core, key));
    Ok(Json(detail))
}

/// Deletes requests from the log. The statistics keep their sums.
#[utoipa::path(post, path = "/api/requests/delete", tag = "requests", security(("session" = [])),
    request_body = RecordsDelete, responses(
    (status = 200, body = RecordsDeleted),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn delete(
    State(admin): State<Admin>,
    who: Who,
    Json(which): Json<RecordsDelete>,
) -> Result<Json<RecordsDeleted>> {
    let core = &admin.core;
    flush(core).await;
    // What comes while this runs stays.
    let now = core.clock.now().saturating_add(1);
    let before = which.before.unwrap_or(now);
    let deleted = core
        .store
        .delete_requests(before, which.failed_only)
        .await?;
    who.did(core, AuditAction::RecordsDeleted, "", None).await;
    Ok(Json(RecordsDeleted { deleted }))
}

/// What `next` of the page before said.
fn place(text: &str) -> Result<LogPlace> {
    let place = text.split_once('.').and_then(|(at, id)| {
        Some(LogPlace {
            at: at.parse().ok()?,
            id: id.parse().ok()?,
        })
    });
    place.ok_or_else(|| Failure::invalid("after is what the page before gave as next."))
}

/// A key without a label is shown masked; one that is gone, by its number.
pub(super) fn name_key(core: &Core, key: &mut Named) {
    if key.name.is_empty() {
        let known = core.pool.pick_by_id(key.id);
        key.name = known.map_or_else(|| format!("#{}", key.id), |known| known.masked().to_owned());
    }
}

/// Writes what was recorded before this moment, so that it is shown.
pub(super) async fn flush(core: &Core) {
    if !overview::is_away(core) {
        core.recorder.flush().await;
    }
}
