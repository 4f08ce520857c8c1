//! The SQLite engine: how the file is made, checked, migrated and connected to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use contract::Millis;
use contract::admin::BackupReason;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};

use super::StoreError;
use super::backup::{self, new_path};
use super::database::{Connections, Pools};
use super::error::Place;

/// The numbered changes that lead from an empty database to this version's.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often and how long one waits for having a file alone.
const ALONE_TRIES: u32 = 30;
const ALONE_PAUSE: Duration = Duration::from_millis(100);
/// Connections for the panel's reads; each is a thread with a page cache of its own.
const READERS: u32 = 2;

/// Opens the file, migrates it, and connects.
pub(super) async fn open(path: &Path, now: Millis) -> Result<Connections, StoreError> {
    let place = Arc::new(Place::Sqlite(path.to_path_buf()));
    prepare_file(path, &place)?;
    if let Found::Older = look_into(path, &place).await? {
        let copy = new_path(path, now, BackupReason::BeforeMigration);
        back_up(path, &copy, &place).await?;
        tracing::info!(copy = %copy.display(), "the database was backed up before its tables change");
    }
    connect(path, place).await
}

/// Connects to a file that was looked into, and migrates it.
pub(super) async fn connect(path: &Path, place: Arc<Place>) -> Result<Connections, StoreError> {
    let connections = attach(path, place).await?;
    if let Pools::Sqlite { writer, .. } = &connections.pools
        && let Err(error) = migrate(writer, &connections.place).await
    {
        connections.close().await;
        return Err(error);
    }
    Ok(connections)
}

/// Connects to a file as it is.
pub(super) async fn attach(path: &Path, place: Arc<Place>) -> Result<Connections, StoreError> {
    let failed = |error| StoreError::of(&place, error);
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

/// Copies a database to a new file, whole although this or another process may be writing to
/// it (<https://sqlite.org/lang_vacuum.html#vacuuminto>).
pub(super) async fn back_up(
    path: &Path,
    copy: &Path,
    place: &Arc<Place>,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(place, error);
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
    // Under another name until it is whole.
    let part = backup::part_of(copy);
    let copied = vacuum_into(&mut connection, &part).await;
    let closed = connection.close().await;
    copied.and(closed).map_err(failed)?;
    let put = backup::sync(&part).and_then(|()| std::fs::rename(&part, copy));
    put.map_err(|error| StoreError::failed(place, &error))
}

/// Copies the database to a new file that only this user may read.
async fn vacuum_into(
    connection: &mut sqlx::SqliteConnection,
    copy: &Path,
) -> Result<(), sqlx::Error> {
    // Made by us and empty, because SQLite would make it readable for others.
    backup::private_file(copy).map_err(sqlx::Error::Io)?;
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

/// Reads the whole file and says when it is damaged
/// (<https://sqlite.org/pragma.html#pragma_quick_check>).
pub(super) async fn check(path: &Path, place: &Arc<Place>) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(place, error);
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .map_err(failed)?;
    let said: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await;
    let closed = connection.close().await;
    match said {
        Ok(said) if said == "ok" => closed.map_err(failed),
        Ok(_) => Err(StoreError::Damaged(path.to_path_buf())),
        Err(error) => Err(failed(error)),
    }
}

/// Writes all there is into the file itself, so that nothing is left beside it. That needs
/// the file alone, so it fails as busy while any process has it open.
pub(super) async fn into_one_file(path: &Path, place: &Arc<Place>) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        // SQLite waits in some of the steps only.
        .busy_timeout(Duration::ZERO)
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Delete);
    let mut pauses = ALONE_TRIES;
    loop {
        match options.connect().await {
            Ok(connection) => {
                let closed = connection.close().await;
                return closed.map_err(|error| StoreError::of(place, error));
            }
            Err(error) => match StoreError::of(place, error) {
                StoreError::Busy(_) if pauses > 0 => pauses -= 1,
                error => return Err(error),
            },
        }
        tokio::time::sleep(ALONE_PAUSE).await;
    }
}

/// The number of the newest migration.
pub(super) fn newest_migration() -> i64 {
    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0)
}
