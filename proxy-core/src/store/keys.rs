//! The Gemini keys: sealed, numbered, deleted with a way back.

use std::collections::{HashMap, HashSet};

use contract::Millis;
use contract::admin::{KeyRules, Origin};
use sha2::{Digest as _, Sha256};
use vault::Secret;

use super::database::{Row, Tx, query, query_built};
use super::seal::key_place;
use super::{Store, StoreError};
use crate::pool::{NewKey, SavedKeyState};

/// What the keys' fingerprints are made for.
pub(super) const FINGERPRINT: &str = "gemini_keys/fingerprint";

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
    /// What the user has chosen about it besides.
    pub rules: KeyRules,
    /// What was known of it when its state was last written.
    pub saved: Option<SavedKeyState>,
}

/// A key that somebody wants to add.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// The key itself.
    pub secret: Secret,
    /// What to call it; may be empty.
    pub label: String,
    /// What the user has chosen about it besides.
    pub rules: KeyRules,
}

impl From<StoredKey> for NewKey {
    fn from(key: StoredKey) -> Self {
        Self {
            id: key.id,
            secret: key.secret,
            enabled: key.enabled,
            rules: key.rules,
            saved: key.saved,
        }
    }
}

/// Rows in one statement.
const ROWS: usize = 50;

/// The row of a key that may have been deleted.
struct KeyRow {
    id: i64,
    deleted: bool,
}

// Of the environment's, deleted ones as well: a server that has others has deleted them, which
// holds for itself (`Store::is_here`).
const COLUMNS_OF_LIVE_KEYS: &str = "SELECT id, identity, sealed, label, origin, enabled, saved_state, added_at, \
     deleted_at, (SELECT rules FROM key_rules WHERE key_id = gemini_keys.id) AS rules \
     FROM gemini_keys WHERE origin = 'environment' \
     OR (deleted_at IS NULL AND sealed IS NOT NULL) ORDER BY id";
const COLUMNS_OF_ONE_KEY: &str = "SELECT id, identity, sealed, label, origin, enabled, saved_state, added_at, \
     deleted_at, (SELECT rules FROM key_rules WHERE key_id = gemini_keys.id) AS rules \
     FROM gemini_keys WHERE id = ? AND (origin = 'environment' \
     OR (deleted_at IS NULL AND sealed IS NOT NULL))";

impl Store {
    /// All keys that are not deleted, oldest first. One that cannot be opened (a damaged
    /// row) is left out with a line in the log: the others must still serve.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        if let Some(last) = self.last_when_away() {
            return Ok(last.keys.clone());
        }
        let mut keys = self.open_keys().await?;
        if keys.iter().any(Option::is_none) && self.opens_after_all(self.db()?.read()).await? {
            keys = self.open_keys().await?;
        }
        Ok(keys.into_iter().flatten().collect())
    }

    async fn open_keys(&self) -> Result<Vec<Option<StoredKey>>, StoreError> {
        let rows = query(COLUMNS_OF_LIVE_KEYS)
            .fetch_all(self.db()?.read())
            .await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            if self.is_here(row, true)? {
                keys.push(self.key_of(row)?);
            }
        }
        Ok(keys)
    }

    /// Whether a row is not deleted, or is of this process's environment, which decides about
    /// its own keys (`is_key`) and tokens. What another server on the same database has in its
    /// environment is not here; a process that never told of its own (a command) sees all.
    pub(super) fn is_here(&self, row: &Row, is_key: bool) -> Result<bool, StoreError> {
        let id: i64 = row.get("id")?;
        if self.is_of_environment(id, is_key) {
            return Ok(true);
        }
        let origin = origin_of(&row.get::<String>("origin")?);
        let is_anothers = origin == Origin::Environment && self.knows_environment();
        Ok(row.get::<Option<Millis>>("deleted_at")?.is_none() && !is_anothers)
    }

    /// Whether a key (or a token) is in this process's environment.
    pub(super) fn is_of_environment(&self, id: i64, is_key: bool) -> bool {
        let environment = self.inner.environment.lock();
        match is_key {
            true => environment.keys.contains_key(&id),
            false => environment.tokens.contains_key(&id),
        }
    }

    /// One key, unless it does not exist or is deleted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key(&self, id: i64) -> Result<Option<StoredKey>, StoreError> {
        match self.open_key(id).await? {
            None => Ok(None),
            Some(Some(key)) => Ok(Some(key)),
            Some(None) => match self.opens_after_all(self.db()?.read()).await? {
                true => Ok(self.open_key(id).await?.flatten()),
                false => Ok(None),
            },
        }
    }

    async fn open_key(&self, id: i64) -> Result<Option<Option<StoredKey>>, StoreError> {
        let row = query(COLUMNS_OF_ONE_KEY)
            .bind(id)
            .fetch_optional(self.db()?.read())
            .await?;
        match row {
            Some(row) if self.is_here(&row, true)? => self.key_of(&row).map(Some),
            _ => Ok(None),
        }
    }

    /// For each secret whether there is a key (not deleted) that equals it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known_keys(&self, found: &[FoundKey]) -> Result<Vec<bool>, StoreError> {
        let known = self.keys().await?;
        Ok(found
            .iter()
            .map(|key| known.iter().any(|known| known.secret == key.secret))
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
        let put = self.put_keys(&mut tx, found, Origin::Panel).await?;
        self.commit_change(tx).await?;
        let added = put.into_iter().zip(found).map(|((id, new), key)| {
            new.then(|| NewKey {
                id,
                secret: key.secret.clone(),
                enabled: true,
                rules: KeyRules::default(),
                saved: None,
            })
        });
        Ok(added.collect())
    }

    /// The same within a larger change; gives the numbers of those that are new.
    pub(super) async fn put_found_keys(
        &self,
        tx: &mut Tx,
        found: &[(FoundKey, bool)],
    ) -> Result<Vec<i64>, StoreError> {
        let keys: Vec<FoundKey> = found.iter().map(|(key, _)| key.clone()).collect();
        let put = self.put_keys(tx, &keys, Origin::Panel).await?;
        let mut new_ids = Vec::new();
        for ((id, new), (key, enabled)) in put.into_iter().zip(found) {
            if !new {
                continue;
            }
            new_ids.push(id);
            self.put_rules(tx, id, &key.rules).await?;
            if !enabled {
                query("UPDATE gemini_keys SET enabled = 0 WHERE id = ?")
                    .bind(id)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        Ok(new_ids)
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
        rules: Option<&KeyRules>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let done = query(
            "UPDATE gemini_keys SET label = COALESCE(?, label), enabled = COALESCE(?, enabled) \
             WHERE id = ? AND (deleted_at IS NULL OR ?)",
        )
        .bind(label)
        .bind(enabled)
        .bind(id)
        .bind(self.is_of_environment(id, true))
        .execute(&mut tx)
        .await?;
        if let Some(rules) = rules.filter(|_| done.rows > 0) {
            self.put_rules(&mut tx, id, rules).await?;
        }
        self.commit_change(tx).await?;
        Ok(done.rows > 0)
    }

    /// Keeps what the user has chosen about a key, within a larger change.
    pub(super) async fn put_rules(
        &self,
        tx: &mut Tx,
        id: i64,
        rules: &KeyRules,
    ) -> Result<(), StoreError> {
        query("DELETE FROM key_rules WHERE key_id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        if *rules == KeyRules::default() {
            return Ok(());
        }
        let text = serde_json::to_string(rules)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))?;
        query("INSERT INTO key_rules (key_id, rules) VALUES (?, ?)")
            .bind(id)
            .bind(text)
            .execute(tx)
            .await
            .map(drop)
    }

    /// Puts another secret in a key's place, which keeps its number, label, rules and statistics; what
    /// was known of the old one is forgotten. `None` when there is no such key.
    ///
    /// # Errors
    /// When it comes from the environment, the new one is or was here already, or the database
    /// cannot be written.
    pub async fn replace_key(
        &self,
        id: i64,
        secret: &Secret,
    ) -> Result<Option<StoredKey>, StoreError> {
        if self.is_of_environment(id, true) {
            return Err(StoreError::FromEnvironment(
                "This key comes from API_KEYS: put the new one in its place there and start again.",
            ));
        }
        let mut tx = self.begin().await?;
        let rows = self.key_rows(&mut tx).await?;
        let fingerprint = self.fingerprint(secret);
        if let Some(row) = rows.get(fingerprint.as_slice()) {
            return Err(StoreError::KeyKnown {
                is_deleted: row.deleted,
            });
        }
        let identity = random_identity().map_err(|error| self.seal_failed(error))?;
        let sealed = self.seal_key(&identity, secret, Origin::Panel)?;
        let done = query(
            "UPDATE gemini_keys SET identity = ?, sealed = ?, fingerprint = ?, saved_state = NULL \
             WHERE id = ? AND deleted_at IS NULL AND origin = 'panel'",
        )
        .bind(identity)
        .bind(sealed)
        .bind(fingerprint.as_slice())
        .bind(id)
        .execute(&mut tx)
        .await?;
        query("DELETE FROM express_keys WHERE key_id = ?")
            .bind(id)
            .execute(&mut tx)
            .await?;
        self.commit_change(tx).await?;
        match done.rows {
            0 => Ok(None),
            _ => self.key(id).await,
        }
    }

    /// Deletes a key so that [`Store::restore_key`] can bring it back until the next start.
    /// False when there is no such key.
    ///
    /// # Errors
    /// When it comes from the environment, or the database cannot be written.
    pub async fn delete_key(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let row =
            query("SELECT origin FROM gemini_keys WHERE id = ? AND (deleted_at IS NULL OR ?)")
                .bind(id)
                .bind(self.is_of_environment(id, true))
                .fetch_optional(&mut tx)
                .await?;
        let origin: Option<String> = row.map(|row| row.get("origin")).transpose()?;
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
        query("UPDATE gemini_keys SET deleted_at = ? WHERE id = ?")
            .bind(self.inner.clock.now())
            .bind(id)
            .execute(&mut tx)
            .await?;
        self.commit_change(tx).await?;
        Ok(true)
    }

    /// Brings back a key deleted since the last start; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn restore_key(&self, id: i64) -> Result<Option<StoredKey>, StoreError> {
        let mut tx = self.begin().await?;
        let done = query(
            "UPDATE gemini_keys SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL \
             AND sealed IS NOT NULL AND origin = 'panel'",
        )
        .bind(id)
        .execute(&mut tx)
        .await?;
        self.commit_change(tx).await?;
        match done.rows {
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
        let found: Vec<FoundKey> = keys
            .iter()
            .map(|secret| FoundKey {
                secret: secret.clone(),
                label: String::new(),
                rules: KeyRules::default(),
            })
            .collect();
        let ids = self.put_keys(&mut tx, &found, Origin::Environment).await?;
        let mut is_new = ids.iter().any(|(_, is_new)| *is_new);
        let kept: HashSet<i64> = ids.iter().map(|(id, _)| *id).collect();
        let of_environment =
            query("SELECT id FROM gemini_keys WHERE origin = 'environment' AND deleted_at IS NULL")
                .fetch_all(&mut tx)
                .await?;
        for row in of_environment {
            let id: i64 = row.get("id")?;
            if kept.contains(&id) {
                continue;
            }
            query("UPDATE gemini_keys SET deleted_at = ? WHERE id = ?")
                .bind(self.inner.clock.now())
                .bind(id)
                .execute(&mut tx)
                .await?;
            is_new = true;
        }
        let (accepted, new_tokens) = self.sync_tokens(&mut tx, tokens).await?;
        // Most starts change nothing, which a server that is read-only takes as well.
        match is_new || new_tokens {
            true => self.commit_change(tx).await?,
            false => tx.commit().await?,
        }
        self.number_environment(
            ids.iter()
                .map(|(id, _)| *id)
                .zip(keys.iter().cloned())
                .collect(),
            accepted,
        );
        Ok(())
    }

    /// Which of these keys have a row, by number: what [`Store::sync_environment`] would find,
    /// of a database that takes nothing.
    pub(super) async fn recognised_keys(
        &self,
        keys: &[Secret],
    ) -> Result<Vec<(i64, Secret)>, StoreError> {
        let rows = query("SELECT id, fingerprint FROM gemini_keys")
            .fetch_all(self.db()?.read())
            .await?;
        let mut ids = HashMap::new();
        for row in &rows {
            ids.insert(row.get::<Vec<u8>>("fingerprint")?, row.get("id")?);
        }
        let id = |key: &Secret| ids.get(self.fingerprint(key).as_slice()).copied();
        let known = keys.iter().filter_map(|key| Some((id(key)?, key.clone())));
        Ok(known.collect())
    }

    /// Makes sure that all of these are there; one that was deleted comes back under its old
    /// number. Gives for each its number and whether it is new (or back).
    pub(super) async fn put_keys(
        &self,
        tx: &mut Tx,
        found: &[FoundKey],
        origin: Origin,
    ) -> Result<Vec<(i64, bool)>, StoreError> {
        let before = self.key_rows(tx).await?;
        let mut fresh = Vec::new();
        let mut put = HashSet::new();
        for key in found {
            let fingerprint = self.fingerprint(&key.secret);
            match before.get(fingerprint.as_slice()) {
                Some(KeyRow { deleted: false, .. }) => {}
                Some(row) if origin == Origin::Panel && self.is_of_environment(row.id, true) => {}
                // The same key twice in one text.
                _ if !put.insert(fingerprint) => {}
                Some(row) => self.revive_key(tx, row.id, key, origin).await?,
                None => fresh.push(key),
            }
        }
        for chunk in fresh.chunks(ROWS) {
            self.insert_keys(tx, chunk, origin).await?;
        }
        let after = if fresh.is_empty() {
            before
        } else {
            self.key_rows(tx).await?
        };
        Ok(found
            .iter()
            .filter_map(|key| {
                let fingerprint = self.fingerprint(&key.secret);
                let row = after.get(fingerprint.as_slice())?;
                Some((row.id, put.remove(&fingerprint)))
            })
            .collect())
    }

    /// Every key there is or was, by its fingerprint.
    async fn key_rows(&self, tx: &mut Tx) -> Result<HashMap<Vec<u8>, KeyRow>, StoreError> {
        let rows = query(
            "SELECT id, fingerprint, deleted_at, sealed IS NULL AS wiped, origin FROM gemini_keys",
        )
        .fetch_all(tx)
        .await?;
        rows.iter()
            .map(|row| {
                let deleted = row.get::<Option<Millis>>("deleted_at")?.is_some();
                // A key of the environment need not be stored.
                let wiped =
                    row.get("wiped")? && origin_of(&row.get::<String>("origin")?) == Origin::Panel;
                let known = KeyRow {
                    id: row.get("id")?,
                    deleted: deleted || wiped,
                };
                Ok((row.get("fingerprint")?, known))
            })
            .collect()
    }

    /// The numbers of all keys that are not deleted, by their fingerprints.
    pub(super) async fn key_ids(&self, tx: &mut Tx) -> Result<HashMap<[u8; 32], i64>, StoreError> {
        let rows = self.key_rows(tx).await?;
        let alive = rows.into_iter().filter(|(_, row)| !row.deleted);
        Ok(alive
            .filter_map(|(fingerprint, row)| Some((fingerprint.try_into().ok()?, row.id)))
            .collect())
    }

    async fn insert_keys(
        &self,
        tx: &mut Tx,
        keys: &[&FoundKey],
        origin: Origin,
    ) -> Result<(), StoreError> {
        let rows = vec!["(?, ?, ?, ?, ?, 1, ?)"; keys.len()].join(", ");
        let mut insert = query_built(format!(
            "INSERT INTO gemini_keys (identity, sealed, fingerprint, label, origin, enabled, added_at) \
             VALUES {rows}"
        ));
        for key in keys {
            let identity = random_identity().map_err(|error| self.seal_failed(error))?;
            let sealed = self.seal_key(&identity, &key.secret, origin)?;
            insert = insert
                .bind(identity)
                .bind(sealed)
                .bind(self.fingerprint(&key.secret).as_slice())
                .bind(&key.label)
                .bind(origin_name(origin))
                .bind(self.inner.clock.now());
        }
        insert.execute(tx).await.map(drop)
    }

    /// A deleted key comes back as if new, but with its number and, unless it gets another,
    /// its label. The rules of one of the environment are kept: a server that has others there deletes
    /// it, and this one has it all the same.
    async fn revive_key(
        &self,
        tx: &mut Tx,
        id: i64,
        key: &FoundKey,
        origin: Origin,
    ) -> Result<(), StoreError> {
        let identity = random_identity().map_err(|error| self.seal_failed(error))?;
        let sealed = self.seal_key(&identity, &key.secret, origin)?;
        query(
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
        .execute(&mut *tx)
        .await?;
        match origin {
            Origin::Panel => self.put_rules(tx, id, &key.rules).await,
            Origin::Environment => Ok(()),
        }
    }

    /// `None` for a key of the environment when nothing can be sealed: it is in memory.
    fn seal_key(
        &self,
        identity: &str,
        secret: &Secret,
        origin: Origin,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.seal(&key_place(identity), secret) {
            Err(StoreError::NoSealingKey) if origin == Origin::Environment => Ok(None),
            sealed => sealed.map(Some),
        }
    }

    /// What an equal key is recognised by. Keyed, so that it tells nothing to who has only
    /// the database; without a lasting master key a plain hash, which a key of Google's has
    /// enough random characters for.
    pub(super) fn fingerprint(&self, secret: &Secret) -> [u8; 32] {
        match self.lasting_master() {
            Some(seal) => seal.master.fingerprint(FINGERPRINT, secret),
            None => Sha256::new()
                .chain_update(FINGERPRINT)
                .chain_update(secret.expose())
                .finalize()
                .into(),
        }
    }

    /// `None` for one that cannot be opened.
    fn key_of(&self, row: &Row) -> Result<Option<StoredKey>, StoreError> {
        let id: i64 = row.get("id")?;
        let identity: String = row.get("identity")?;
        let secret = match row.get::<Option<Vec<u8>>>("sealed")? {
            Some(sealed) => match self.unseal(&key_place(&identity), &sealed) {
                Ok(secret) => secret,
                Err(error) => {
                    tracing::error!(id, %error, "a saved key cannot be opened; it is left out");
                    return Ok(None);
                }
            },
            None => match self.inner.environment.lock().keys.get(&id) {
                Some(secret) => secret.clone(),
                None => return Ok(None),
            },
        };
        let saved = row.get::<Option<String>>("saved_state")?.and_then(|text| {
            // A state that an older version wrote in another way is worth no more than none.
            serde_json::from_str(&text)
                .inspect_err(
                    |error| tracing::warn!(id, %error, "a key's saved state is unreadable"),
                )
                .ok()
        });
        Ok(Some(StoredKey {
            id,
            secret,
            label: row.get("label")?,
            origin: origin_of(&row.get::<String>("origin")?),
            enabled: row.get("enabled")?,
            added_at: row.get("added_at")?,
            rules: rules_of(row)?,
            saved,
        }))
    }
}

/// The rules in a row; those of a newer version that cannot be read are as if there were none.
pub(super) fn rules_of(row: &Row) -> Result<KeyRules, StoreError> {
    let text: Option<String> = row.get("rules")?;
    Ok(text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
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
