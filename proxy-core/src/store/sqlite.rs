//! The SQLite engine: how the file is made, checked, migrated and connected to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contract::Millis;
use contract::admin::BackupReason;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};

use super::StoreError;
use super::database::{Connections, Pools};
use super::error::Place;

/// The numbered changes that lead from an empty database to this version's.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for the panel's reads; each is a thread with a page cache of its own.
const READERS: u32 = 2;

/// Opens the file, migrates it, and connects.
pub(super) async fn open(path: &Path, now: Millis) -> Result<Connections, StoreError> {
    let place = Arc::new(Place::Sqlite(path.to_path_buf()));
    let failed = |error| StoreError::of(&place, error);
    prepare_file(path, &place)?;
    if let Found::Older = look_into(path, &place).await? {
        back_up(path, now, &place).await?;
    }

    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // Readers do not wait for the writer (https://sqlite.org/wal.html).
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode this survives a killed process; a power cut may lose the last moments,
        // never the file (https://sqlite.org/pragma.html#pragma_synchronous).
        .synchronous(SqliteSynchronous::Normal);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await
        .map_err(failed)?;
    migrate(&writer, &place).await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(Some(Duration::from_secs(60)))
        .test_before_acquire(false)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    let pools = Pools::Sqlite { writer, reader };
    Ok(Connections { pools, place })
}

/// Makes the folder (0700) and the file (0600) where they do not exist, and says what the
/// system has against using them: SQLite only says that it cannot open the file.
fn prepare_file(path: &Path, place: &Arc<Place>) -> Result<(), StoreError> {
    if let Some(folder) = path.parent() {
        vault::create_private_folder(folder).map_err(|error| StoreError::Folder {
            path: folder.to_path_buf(),
            what: error.to_string(),
        })?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(drop)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => StoreError::Denied(path.to_path_buf()),
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(place.clone()),
            std::io::ErrorKind::IsADirectory => StoreError::Damaged(path.to_path_buf()),
            std::io::ErrorKind::StorageFull => StoreError::Full(place.clone()),
            _ => StoreError::failed(place, &error),
        })
}

/// What a file holds.
pub(super) enum Found {
    /// No table.
    Nothing,
    /// This version's tables.
    Current,
    /// An older version's.
    Older,
}

/// Looks into the file without the right to write it: a newer version's or another
/// program's database is refused before anything is touched.
pub(super) async fn look_into(path: &Path, place: &Arc<Place>) -> Result<Found, StoreError> {
    let failed = |error| StoreError::of(place, error);
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
        .connect()
        .await
        .map_err(failed)?;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
    let verdict = if tables.is_empty() {
        Ok(Found::Nothing)
    } else if !tables.iter().any(|name| name == "_sqlx_migrations") {
        Err(StoreError::Foreign(place.clone()))
    } else {
        let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations")
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
        if applied
            .iter()
            .any(|version| !MIGRATIONS.version_exists(*version))
        {
            Err(StoreError::Newer(place.clone()))
        } else if MIGRATIONS.iter().all(|one| applied.contains(&one.version)) {
            Ok(Found::Current)
        } else {
            Ok(Found::Older)
        }
    };
    connection.close().await.map_err(failed)?;
    verdict
}

/// All that is missing in one transaction, which holds the write lock from its beginning:
/// of two processes that start at once, the second finds nothing left to do.
async fn migrate(writer: &SqlitePool, place: &Arc<Place>) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(place, error);
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    MIGRATIONS
        .run_direct(None, &mut *tx, false)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                StoreError::Newer(place.clone())
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                failed(error)
            }
            other => StoreError::failed(place, &other),
        })?;
    tx.commit().await.map_err(failed)
}

/// A copy of a file that is about to be migrated, whole although another process may be
/// writing to it (<https://sqlite.org/lang_vacuum.html#vacuuminto>).
async fn back_up(path: &Path, now: Millis, place: &Arc<Place>) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(place, error);
    let copy = backup_path(path, now, BackupReason::BeforeMigration);
    if let Some(folder) = copy.parent() {
        vault::create_private_folder(folder).map_err(|error| StoreError::Folder {
            path: folder.to_path_buf(),
            what: error.to_string(),
        })?;
    }
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .connect()
        .await
        .map_err(failed)?;
    vacuum_into(&mut connection, &copy).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    tracing::info!(copy = %copy.display(), "the database was backed up before its tables change");
    Ok(())
}

/// Copies the database to a new file that only this user may read.
pub(super) async fn vacuum_into(
    connection: &mut sqlx::SqliteConnection,
    copy: &Path,
) -> Result<(), sqlx::Error> {
    // Made by us and empty, because SQLite would make it readable for others.
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(copy).map_err(sqlx::Error::Io)?;
    sqlx::query("VACUUM INTO ?")
        .bind(copy.display().to_string())
        .execute(connection)
        .await
        .inspect_err(|_| {
            // Half a copy is none.
            let _ = std::fs::remove_file(copy);
        })
        .map(drop)
}

/// Where a backup of the database goes: `backups/<name>-<UTC>-<reason>.db` beside it.
pub(super) fn backup_path(path: &Path, now: Millis, reason: BackupReason) -> PathBuf {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("database");
    let at = jiff::Timestamp::from_millisecond(now)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y%m%dT%H%M%S%3fZ");
    let reason = match reason {
        BackupReason::Scheduled => "scheduled",
        BackupReason::Manual => "manual",
        BackupReason::BeforeMigration => "before-migration",
        BackupReason::BeforeRestore => "before-restore",
    };
    path.with_file_name("backups")
        .join(format!("{stem}-{at}-{reason}.db"))
}

/// The number of the newest migration.
pub(super) fn newest_migration() -> i64 {
    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0)
}
