//! The database: its state, how secrets are kept in it, its backups.
//!
//! What is known without the database is shown while it is away, too.

use axum::extract::State;
use contract::admin::{AuditAction, BackupReason, BackupView, DataView};
use contract::{ApiError, ErrorCode};
use http::StatusCode;

use super::Admin;
use super::answer::{Failure, Json, Name, Result};
use super::audit::Who;
use crate::store::StoreError;

/// What is known of the database, and its backups.
#[utoipa::path(get, path = "/api/data", tag = "data", security(("session" = [])), responses(
    (status = 200, body = DataView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(State(admin): State<Admin>) -> Result<Json<DataView>> {
    let core = &admin.core;
    let facts = unless_away(core.store.facts().await)?;
    let takeover = unless_away(core.store.takeover().await)?;
    Ok(Json(DataView {
        engine: core.store.engine(),
        state: core.store.state(),
        schema: core.store.schema(),
        size_bytes: facts.size_bytes,
        request_rows: facts.request_rows,
        oldest_request: facts.oldest_request,
        spooled_records: core.recorder.spooled(),
        dropped_records: core.recorder.dropped(),
        sealing: core.store.sealing(),
        takeover,
        backups_supported: !core.store.is_mysql(),
        backups: core.store.backups()?,
    }))
}

/// Agrees to storing secrets in clear, where there is no key to seal them with. A key that
/// comes later seals them.
#[utoipa::path(post, path = "/api/data/agree-clear", tag = "data", security(("session" = [])),
    responses(
    (status = 204, description = "Done, or there is a key."),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn agree_clear(State(admin): State<Admin>, who: Who) -> Result<StatusCode> {
    let core = &admin.core;
    let _changing = core.change.lock().await;
    core.store.agree_to_clear().await?;
    who.did(core, AuditAction::ClearStorageAgreed, "", None)
        .await;
    Ok(StatusCode::NO_CONTENT)
}

/// Backs the database up.
#[utoipa::path(post, path = "/api/data/backups", tag = "data", security(("session" = [])),
    responses(
    (status = 200, body = BackupView),
    (status = 400, body = ApiError, description = "`invalid_input`: a server's host backs it up"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn back_up(State(admin): State<Admin>) -> Result<Json<BackupView>> {
    let store = admin.core.store.clone();
    let made = finished(
        &admin,
        async move { store.back_up(BackupReason::Manual).await },
    );
    Ok(Json(made.await?))
}

/// Goes back to a backup while requests go on. The present database is backed up first; who
/// may sign in and has signed in stays.
#[utoipa::path(post, path = "/api/data/backups/{name}/restore", tag = "data",
    security(("session" = [])), params(("name" = String, Path, description = "The backup's name")),
    responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`: it cannot be restored"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn restore(
    State(admin): State<Admin>,
    who: Who,
    Name(name): Name,
) -> Result<StatusCode> {
    let core = admin.core.clone();
    let work = async move {
        core.restore(&name).await?;
        // Into the database that is there now.
        who.did(&core, AuditAction::BackupRestored, name, None)
            .await;
        Ok(())
    };
    finished(&admin, work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a backup for good.
#[utoipa::path(delete, path = "/api/data/backups/{name}", tag = "data",
    security(("session" = [])), params(("name" = String, Path, description = "The backup's name")),
    responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`: a server's host backs it up"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn delete(State(admin): State<Admin>, Name(name): Name) -> Result<StatusCode> {
    admin.core.store.delete_backup(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was read; nothing while the database is away.
fn unless_away<T: Default>(read: Result<T, StoreError>) -> Result<T> {
    match read {
        Err(error) if error.may_pass() => Ok(T::default()),
        read => Ok(read?),
    }
}

/// What `work` comes to. It goes on when the browser does not wait for it.
async fn finished<T: Send + 'static>(
    admin: &Admin,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T> {
    match admin.core.tracker.spawn(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Failure::new(
            ErrorCode::Internal,
            format!("This broke off: {error}"),
        )),
    }
}
