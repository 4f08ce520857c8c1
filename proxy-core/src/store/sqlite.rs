//! The SQLite engine: how the file is made, checked, migrated and connected to.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};

use super::StoreError;

/// The numbered changes that lead from an empty database to this version's.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for the panel's reads; each is a thread with a page cache of its own.
const READERS: u32 = 2;

/// One connection that writes and a few that read.
pub(super) struct Connections {
    pub(super) writer: SqlitePool,
    pub(super) reader: SqlitePool,
}

/// Opens the file, migrates it, and connects.
pub(super) async fn open(path: &Path) -> Result<Connections, StoreError> {
    let failed = |error| StoreError::of(path, error);
    prepare_file(path)?;
    refuse_foreign(path).await?;

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
    migrate(&writer, path).await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(Some(Duration::from_secs(60)))
        .test_before_acquire(false)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Connections { writer, reader })
}

/// Makes the folder (0700) and the file (0600) where they do not exist, and says what the
/// system has against using them: SQLite only says that it cannot open the file.
fn prepare_file(path: &Path) -> Result<(), StoreError> {
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
    options.open(path).map(drop).map_err(|error| {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => StoreError::Denied(path),
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(path),
            std::io::ErrorKind::IsADirectory => StoreError::Damaged(path),
            std::io::ErrorKind::StorageFull => StoreError::Full(path),
            _ => StoreError::Failed {
                path,
                what: error.to_string(),
            },
        }
    })
}

/// Looks into the file without the right to write it: a newer version's or another
/// program's database is refused before anything is touched.
async fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(path, error);
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
        Ok(())
    } else if !tables.iter().any(|name| name == "_sqlx_migrations") {
        Err(StoreError::Foreign(path.to_path_buf()))
    } else {
        let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations")
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
        if applied
            .iter()
            .any(|version| !MIGRATIONS.version_exists(*version))
        {
            Err(StoreError::Newer(path.to_path_buf()))
        } else {
            Ok(())
        }
    };
    connection.close().await.map_err(failed)?;
    verdict
}

/// All that is missing in one transaction, which holds the write lock from its beginning:
/// of two processes that start at once, the second finds nothing left to do.
async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(path, error);
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    MIGRATIONS
        .run_direct(None, &mut *tx, false)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                StoreError::Newer(path.to_path_buf())
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                failed(error)
            }
            other => StoreError::Failed {
                path: path.to_path_buf(),
                what: other.to_string(),
            },
        })?;
    tx.commit().await.map_err(failed)
}
