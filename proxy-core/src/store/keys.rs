//! The Gemini keys: sealed, numbered, deleted with a way back.

use contract::Millis;
use contract::admin::Origin;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use vault::Secret;

use super::{Store, StoreError};
use crate::pool::{NewKey, SavedKeyState};

/// What the keys' fingerprints are made for.
const FINGERPRINT: &str = "gemini_keys/fingerprint";

/// One key as it is kept, without what the pool knows of it.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its number; never given to another key.
    pub id: i64,
    /// The key itself.
    pub secret: Secret,
    /// What the user calls it; may be empty.
    pub label: String,
    /// Where it came from.
    pub origin: Origin,
    /// Whether the user wants it used.
    pub enabled: bool,
    /// When it was added.
    pub added_at: Millis,
    saved: Option<SavedKeyState>,
}

/// A key that somebody wants to add.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// The key itself.
    pub secret: Secret,
    /// What to call it; may be empty.
    pub label: String,
}

impl From<StoredKey> for NewKey {
    fn from(key: StoredKey) -> Self {
        Self {
            id: key.id,
            secret: key.secret,
            enabled: key.enabled,
            saved: key.saved,
        }
    }
}

/// The row of a key that may have been deleted.
struct Found {
    id: i64,
    deleted: bool,
}

const COLUMNS_OF_LIVE_KEYS: &str = "SELECT id, identity, sealed, label, origin, enabled, saved_state, added_at \
     FROM gemini_keys WHERE deleted_at IS NULL AND sealed IS NOT NULL ORDER BY id";
const COLUMNS_OF_ONE_KEY: &str = "SELECT id, identity, sealed, label, origin, enabled, saved_state, added_at \
     FROM gemini_keys WHERE id = ? AND deleted_at IS NULL AND sealed IS NOT NULL";

impl Store {
    /// All keys that are not deleted, oldest first. One that cannot be opened (a damaged
    /// row) is left out with a line in the log: the others must still serve.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows = sqlx::query(COLUMNS_OF_LIVE_KEYS)
            .fetch_all(&self.inner.reader)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(rows.iter().filter_map(|row| self.key_of(row)).collect())
    }

    /// What the pool starts with.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys_for_pool(&self) -> Result<Vec<NewKey>, StoreError> {
        Ok(self.keys().await?.into_iter().map(NewKey::from).collect())
    }

    /// One key, unless it does not exist or is deleted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key(&self, id: i64) -> Result<Option<StoredKey>, StoreError> {
        let row = sqlx::query(COLUMNS_OF_ONE_KEY)
            .bind(id)
            .fetch_optional(&self.inner.reader)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(row.and_then(|row| self.key_of(&row)))
    }

    /// For each secret whether there is a key (not deleted) that equals it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known_keys(&self, found: &[FoundKey]) -> Result<Vec<bool>, StoreError> {
        let known: std::collections::HashSet<Vec<u8>> = sqlx::query_scalar(
            "SELECT fingerprint FROM gemini_keys WHERE deleted_at IS NULL AND sealed IS NOT NULL",
        )
        .fetch_all(&self.inner.reader)
        .await
        .map_err(|error| self.failed(error))?
        .into_iter()
        .collect();
        Ok(found
            .iter()
            .map(|key| known.contains(self.fingerprint(&key.secret).as_slice()))
            .collect())
    }

    /// Adds those that are not there yet, in one transaction; a key that was deleted comes
    /// back under its old number. Gives, in the order of `found`, what the pool needs for a
    /// new one and `None` for one that was there.
    ///
    /// # Errors
    /// When the database cannot be written; then none is added.
    pub async fn add_keys(&self, found: &[FoundKey]) -> Result<Vec<Option<NewKey>>, StoreError> {
        let mut tx = self.begin().await?;
        let mut added = Vec::with_capacity(found.len());
        for key in found {
            let id = match self.find_key(&mut tx, &key.secret).await? {
                Some(Found { deleted: false, .. }) => None,
                Some(Found { id, deleted: true }) => {
                    self.revive_key(&mut tx, id, key, Origin::Panel).await?;
                    Some(id)
                }
                None => Some(self.insert_key(&mut tx, key, Origin::Panel).await?),
            };
            added.push(id.map(|id| NewKey {
                id,
                secret: key.secret.clone(),
                enabled: true,
                saved: None,
            }));
        }
        self.commit(tx).await?;
        Ok(added)
    }

    /// Changes what the user chooses about a key; `None` stays as it is. False when there is
    /// no such key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn change_key(
        &self,
        id: i64,
        label: Option<&str>,
        enabled: Option<bool>,
    ) -> Result<bool, StoreError> {
        sqlx::query(
            "UPDATE gemini_keys SET label = COALESCE(?, label), enabled = COALESCE(?, enabled) \
             WHERE id = ? AND deleted_at IS NULL",
        )
        .bind(label)
        .bind(enabled)
        .bind(id)
        .execute(&self.inner.writer)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(|error| self.failed(error))
    }

    /// Deletes a key so that [`Store::restore_key`] can bring it back until the next start.
    /// False when there is no such key.
    ///
    /// # Errors
    /// When it comes from the environment, or the database cannot be written.
    pub async fn delete_key(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let origin: Option<String> = sqlx::query_scalar(
            "SELECT origin FROM gemini_keys WHERE id = ? AND deleted_at IS NULL",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(|error| self.failed(error))?;
        match origin.as_deref().map(origin_of) {
            None => return Ok(false),
            Some(Origin::Environment) => {
                return Err(StoreError::FromEnvironment(
                    "This key comes from API_KEYS, so it would be back at the next start: \
                     remove it there, or switch it off here.",
                ));
            }
            Some(Origin::Panel) => {}
        }
        sqlx::query("UPDATE gemini_keys SET deleted_at = ? WHERE id = ?")
            .bind(self.inner.clock.now())
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        self.commit(tx).await?;
        Ok(true)
    }

    /// Brings back a key deleted since the last start; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn restore_key(&self, id: i64) -> Result<Option<StoredKey>, StoreError> {
        let done = sqlx::query(
            "UPDATE gemini_keys SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL \
             AND sealed IS NOT NULL AND origin = 'panel'",
        )
        .bind(id)
        .execute(&self.inner.writer)
        .await
        .map_err(|error| self.failed(error))?;
        match done.rows_affected() {
            0 => Ok(None),
            _ => self.key(id).await,
        }
    }

    /// Makes the keys and tokens of the environment exactly these. One that is no longer
    /// there is deleted, one that is in the panel as well stays the panel's.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing has changed.
    pub async fn sync_environment(
        &self,
        keys: &[Secret],
        tokens: &[Secret],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let mut kept = Vec::with_capacity(keys.len());
        for secret in keys {
            let key = FoundKey {
                secret: secret.clone(),
                label: String::new(),
            };
            kept.push(match self.find_key(&mut tx, secret).await? {
                Some(Found { id, deleted }) => {
                    if deleted {
                        self.revive_key(&mut tx, id, &key, Origin::Environment)
                            .await?;
                    }
                    id
                }
                None => self.insert_key(&mut tx, &key, Origin::Environment).await?,
            });
        }
        let of_environment: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM gemini_keys WHERE origin = 'environment' AND deleted_at IS NULL",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(|error| self.failed(error))?;
        for gone in of_environment.into_iter().filter(|id| !kept.contains(id)) {
            sqlx::query("UPDATE gemini_keys SET deleted_at = ? WHERE id = ?")
                .bind(self.inner.clock.now())
                .bind(gone)
                .execute(&mut *tx)
                .await
                .map_err(|error| self.failed(error))?;
        }
        let accepted = self.sync_tokens(&mut tx, tokens).await?;
        self.commit(tx).await?;
        *self.inner.environment_tokens.lock() = accepted;
        Ok(())
    }

    async fn find_key(
        &self,
        tx: &mut sqlx::SqliteConnection,
        secret: &Secret,
    ) -> Result<Option<Found>, StoreError> {
        let row = sqlx::query(
            "SELECT id, deleted_at, sealed IS NULL AS wiped FROM gemini_keys WHERE fingerprint = ?",
        )
        .bind(self.fingerprint(secret).to_vec())
        .fetch_optional(tx)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(row.map(|row| Found {
            id: row.get("id"),
            deleted: row.get::<Option<Millis>, _>("deleted_at").is_some() || row.get("wiped"),
        }))
    }

    async fn insert_key(
        &self,
        tx: &mut sqlx::SqliteConnection,
        key: &FoundKey,
        origin: Origin,
    ) -> Result<i64, StoreError> {
        let identity = random_identity().map_err(|error| self.seal_failed(error))?;
        let sealed = self.seal_key(&identity, &key.secret)?;
        sqlx::query(
            "INSERT INTO gemini_keys (identity, sealed, fingerprint, label, origin, enabled, added_at) \
             VALUES (?, ?, ?, ?, ?, 1, ?)",
        )
        .bind(identity)
        .bind(sealed)
        .bind(self.fingerprint(&key.secret).to_vec())
        .bind(&key.label)
        .bind(origin_name(origin))
        .bind(self.inner.clock.now())
        .execute(tx)
        .await
        .map(|done| done.last_insert_rowid())
        .map_err(|error| self.failed(error))
    }

    /// A deleted key comes back as if new, but with its number and, unless it gets another,
    /// its label.
    async fn revive_key(
        &self,
        tx: &mut sqlx::SqliteConnection,
        id: i64,
        key: &FoundKey,
        origin: Origin,
    ) -> Result<(), StoreError> {
        let identity = random_identity().map_err(|error| self.seal_failed(error))?;
        let sealed = self.seal_key(&identity, &key.secret)?;
        sqlx::query(
            "UPDATE gemini_keys SET identity = ?, sealed = ?, origin = ?, enabled = 1, \
             saved_state = NULL, added_at = ?, deleted_at = NULL, \
             label = CASE WHEN ? = '' THEN label ELSE ? END WHERE id = ?",
        )
        .bind(identity)
        .bind(sealed)
        .bind(origin_name(origin))
        .bind(self.inner.clock.now())
        .bind(&key.label)
        .bind(&key.label)
        .bind(id)
        .execute(tx)
        .await
        .map(drop)
        .map_err(|error| self.failed(error))
    }

    fn seal_key(&self, identity: &str, secret: &Secret) -> Result<Vec<u8>, StoreError> {
        self.inner
            .master
            .seal(&place(identity), secret)
            .map_err(|error| self.seal_failed(error))
    }

    fn fingerprint(&self, secret: &Secret) -> [u8; 32] {
        self.inner.master.fingerprint(FINGERPRINT, secret)
    }

    fn key_of(&self, row: &SqliteRow) -> Option<StoredKey> {
        let id: i64 = row.get("id");
        let identity: String = row.get("identity");
        let sealed: Vec<u8> = row.get("sealed");
        let secret = match self.inner.master.open(&place(&identity), &sealed) {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!(id, %error, "a saved key cannot be opened; it is left out");
                return None;
            }
        };
        let saved = row
            .get::<Option<String>, _>("saved_state")
            .and_then(|text| {
                // A state that an older version wrote in another way is worth no more than none.
                serde_json::from_str(&text)
                    .inspect_err(
                        |error| tracing::warn!(id, %error, "a key's saved state is unreadable"),
                    )
                    .ok()
            });
        Some(StoredKey {
            id,
            secret,
            label: row.get("label"),
            origin: origin_of(row.get("origin")),
            enabled: row.get("enabled"),
            added_at: row.get("added_at"),
            saved,
        })
    }
}

/// What a key is sealed for.
fn place(identity: &str) -> String {
    format!("gemini_keys/{identity}")
}

fn random_identity() -> Result<String, vault::SealError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| vault::SealError::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

pub(super) fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Panel => "panel",
        Origin::Environment => "environment",
    }
}

pub(super) fn origin_of(name: &str) -> Origin {
    match name {
        "environment" => Origin::Environment,
        _ => Origin::Panel,
    }
}
