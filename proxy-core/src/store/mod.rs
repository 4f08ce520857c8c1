//! What survives a restart: keys, client tokens, sessions, request records.
//!
//! The only module that names `sqlx`. Statements keep to what SQLite and MySQL share (no
//! upsert, no `RETURNING`: a transaction looks before it writes), so that the second engine
//! is a second set of connections and of migrations and not a second set of queries.
//!
//! Nothing on the request path waits for this module: the pool and the client tokens are
//! read into memory at start, and records arrive through [`crate::record::Recorder`].
//!
//! Deliberately absent: secrets in clear. Keys are sealed with the master key, tokens,
//! session cookies and the password are hashed.

mod error;
mod keys;
mod requests;
mod sessions;
mod sqlite;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use vault::MasterKey;

use crate::clock::Clock;
pub use error::StoreError;
pub use keys::{FoundKey, StoredKey};
pub(crate) use requests::Batch;
pub use requests::{FailedRequest, KeyCounts, QuarterSums};
#[cfg(test)]
pub(crate) use tests::run_from_outside;
pub use tokens::StoredToken;

/// Which database to use.
pub enum StoreConfig {
    /// A file of our own; it and its folder are made when they do not exist.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What seals the secrets in it.
        master: MasterKey,
    },
}

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// SQLite has one writer at a time; a single connection makes them queue here instead
    /// of meeting `SQLITE_BUSY`.
    writer: sqlx::SqlitePool,
    reader: sqlx::SqlitePool,
    path: PathBuf,
    master: MasterKey,
    clock: Clock,
    /// SHA-256 of the tokens in `ALLOWED_TOKENS`, by number. They are hashed for the pool of
    /// accepted tokens here and not in the database, see `client_tokens.hash`.
    environment_tokens: Mutex<HashMap<i64, [u8; 32]>>,
}

impl Store {
    /// Opens the database, makes or migrates its tables, and wipes what was deleted in the
    /// last run.
    ///
    /// # Errors
    /// See [`StoreError`]; a database that cannot be used is left as it is.
    pub async fn open(config: StoreConfig, clock: Clock) -> Result<Self, StoreError> {
        let StoreConfig::Sqlite { path, master } = config;
        let sqlite::Connections { writer, reader } = sqlite::open(&path).await?;
        let store = Self {
            inner: Arc::new(Inner {
                writer,
                reader,
                path,
                master,
                clock,
                environment_tokens: Mutex::default(),
            }),
        };
        store.check_seal().await?;
        store.wipe_deleted().await?;
        Ok(store)
    }

    /// Waits for running statements and closes the file. Later calls fail.
    pub async fn close(&self) {
        self.inner.reader.close().await;
        self.inner.writer.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What it says when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM panel LIMIT 1")
            .fetch_optional(&self.inner.reader)
            .await
            .map(drop)
            .map_err(|error| self.failed(error))
    }

    /// Opens what was sealed at the very first start: another master key is noticed now and
    /// not at the first request.
    async fn check_seal(&self) -> Result<(), StoreError> {
        const NAME: &str = "seal_check";
        let mut tx = self.begin().await?;
        let sealed: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM panel WHERE name = ?")
            .bind(NAME)
            .fetch_optional(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        let identity = format!("panel/{NAME}");
        match sealed {
            Some(sealed) => {
                self.inner
                    .master
                    .open(&identity, &sealed)
                    .map_err(|error| self.seal_failed(error))?;
            }
            None => {
                let sealed = self
                    .inner
                    .master
                    .seal(&identity, &NAME.into())
                    .map_err(|error| self.seal_failed(error))?;
                sqlx::query("INSERT INTO panel (name, value) VALUES (?, ?)")
                    .bind(NAME)
                    .bind(sealed)
                    .execute(&mut *tx)
                    .await
                    .map_err(|error| self.failed(error))?;
            }
        }
        self.commit(tx).await
    }

    /// What was deleted in the last run can no longer be restored: its secrets go.
    async fn wipe_deleted(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for statement in [
            "UPDATE gemini_keys SET sealed = NULL, saved_state = NULL WHERE deleted_at IS NOT NULL",
            "DELETE FROM client_tokens WHERE deleted_at IS NOT NULL AND origin = 'panel'",
        ] {
            sqlx::query(statement)
                .execute(&mut *tx)
                .await
                .map_err(|error| self.failed(error))?;
        }
        sqlx::query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(self.inner.clock.now())
            .execute(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        self.commit(tx).await
    }

    /// A transaction that may write. It takes the write lock at once, so what it reads is
    /// still true when it writes.
    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
        self.inner
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| self.failed(error))
    }

    async fn commit(&self, tx: sqlx::Transaction<'static, sqlx::Sqlite>) -> Result<(), StoreError> {
        tx.commit().await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(&self.inner.path, error)
    }

    fn seal_failed(&self, error: vault::SealError) -> StoreError {
        let path = self.inner.path.clone();
        match error {
            vault::SealError::Refused => StoreError::OtherMasterKey(path),
            vault::SealError::NewerFormat => StoreError::Newer(path),
            vault::SealError::Random => StoreError::NoRandom,
        }
    }
}
