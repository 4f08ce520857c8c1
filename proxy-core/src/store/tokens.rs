//! The tokens that clients send.

use std::collections::{HashMap, HashSet};

use contract::Millis;
use contract::admin::Origin;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use vault::Secret;

use super::keys::origin_of;
use super::{Store, StoreError};

/// What the environment's tokens are fingerprinted for.
const FINGERPRINT: &str = "client_tokens/fingerprint";

/// One token as it is kept: only to be recognised, not to be read.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// Its number; negative for tokens of the environment.
    pub id: i64,
    /// What the user calls it.
    pub name: String,
    /// Its first and last characters.
    pub masked: String,
    /// Where it came from.
    pub origin: Origin,
    /// When it was made, or first seen in the environment.
    pub created_at: Millis,
    /// When a client last used it, as far as records have been written.
    pub last_used_at: Option<Millis>,
}

impl Store {
    /// All tokens that are not deleted, the environment's first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, masked, origin, created_at, last_used_at FROM client_tokens \
             WHERE deleted_at IS NULL ORDER BY origin, ABS(id)",
        )
        .fetch_all(&self.inner.reader)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(rows.iter().map(token_of).collect())
    }

    /// Number and SHA-256 of every accepted token.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token_hashes(&self) -> Result<Vec<(i64, [u8; 32])>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, hash FROM client_tokens WHERE deleted_at IS NULL AND origin = 'panel'",
        )
        .fetch_all(&self.inner.reader)
        .await
        .map_err(|error| self.failed(error))?;
        let of_panel = rows.iter().filter_map(|row| {
            let hash: Vec<u8> = row.get("hash");
            Some((row.get("id"), hash.try_into().ok()?))
        });
        let of_environment = self.inner.environment_tokens.lock().clone();
        Ok(of_environment.into_iter().chain(of_panel).collect())
    }

    /// Keeps a new token, which must be random: only its hash is kept.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_token(&self, name: &str, token: &Secret) -> Result<StoredToken, StoreError> {
        let masked = token.masked();
        let created_at = self.inner.clock.now();
        let done = sqlx::query(
            "INSERT INTO client_tokens (name, hash, masked, origin, created_at) \
             VALUES (?, ?, ?, 'panel', ?)",
        )
        .bind(name)
        .bind(sha256(token).to_vec())
        .bind(&masked)
        .bind(created_at)
        .execute(&self.inner.writer)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(StoredToken {
            id: done.last_insert_rowid(),
            name: name.to_owned(),
            masked,
            origin: Origin::Panel,
            created_at,
            last_used_at: None,
        })
    }

    /// Deletes a token at once and for good. False when there is no such token.
    ///
    /// # Errors
    /// When it comes from the environment, or the database cannot be written.
    pub async fn delete_token(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let origin: Option<String> = sqlx::query_scalar(
            "SELECT origin FROM client_tokens WHERE id = ? AND deleted_at IS NULL",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(|error| self.failed(error))?;
        match origin.as_deref().map(origin_of) {
            None => return Ok(false),
            Some(Origin::Environment) => {
                return Err(StoreError::FromEnvironment(
                    "This token comes from ALLOWED_TOKENS: remove it there and start again.",
                ));
            }
            Some(Origin::Panel) => {}
        }
        sqlx::query("UPDATE client_tokens SET deleted_at = ? WHERE id = ?")
            .bind(self.inner.clock.now())
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        self.commit(tx).await?;
        Ok(true)
    }

    /// Makes the environment's tokens exactly these; gives their numbers and SHA-256.
    pub(super) async fn sync_tokens(
        &self,
        tx: &mut sqlx::SqliteConnection,
        tokens: &[Secret],
    ) -> Result<HashMap<i64, [u8; 32]>, StoreError> {
        let failed = |error| self.failed(error);
        let now = self.inner.clock.now();
        let mut accepted = HashMap::new();
        for (at, token) in tokens.iter().enumerate() {
            let fingerprint = self.inner.master.fingerprint(FINGERPRINT, token).to_vec();
            let known: Option<i64> =
                sqlx::query_scalar("SELECT id FROM client_tokens WHERE hash = ?")
                    .bind(&fingerprint)
                    .fetch_optional(&mut *tx)
                    .await
                    .map_err(failed)?;
            let id = match known {
                Some(id) => {
                    sqlx::query("UPDATE client_tokens SET deleted_at = NULL WHERE id = ?")
                        .bind(id)
                        .execute(&mut *tx)
                        .await
                        .map_err(failed)?;
                    id
                }
                None => {
                    let lowest: i64 =
                        sqlx::query_scalar("SELECT COALESCE(MIN(id), 0) FROM client_tokens")
                            .fetch_one(&mut *tx)
                            .await
                            .map_err(failed)?;
                    let id = lowest.min(0) - 1;
                    sqlx::query(
                        "INSERT INTO client_tokens (id, name, hash, masked, origin, created_at) \
                         VALUES (?, ?, ?, ?, 'environment', ?)",
                    )
                    .bind(id)
                    .bind(format!("ALLOWED_TOKENS {}", at + 1))
                    .bind(fingerprint)
                    .bind(token.masked())
                    .bind(now)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    id
                }
            };
            accepted.insert(id, sha256(token));
        }
        let of_environment: HashSet<i64> = sqlx::query_scalar(
            "SELECT id FROM client_tokens WHERE origin = 'environment' AND deleted_at IS NULL",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?
        .into_iter()
        .collect();
        for gone in of_environment {
            if accepted.contains_key(&gone) {
                continue;
            }
            sqlx::query("UPDATE client_tokens SET deleted_at = ? WHERE id = ?")
                .bind(now)
                .bind(gone)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        Ok(accepted)
    }
}

fn sha256(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose().as_bytes()).into()
}

fn token_of(row: &SqliteRow) -> StoredToken {
    StoredToken {
        id: row.get("id"),
        name: row.get("name"),
        masked: row.get("masked"),
        origin: origin_of(row.get("origin")),
        created_at: row.get("created_at"),
        last_used_at: row.get("last_used_at"),
    }
}
