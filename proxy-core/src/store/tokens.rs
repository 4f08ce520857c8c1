//! The tokens that clients send.

use std::collections::{HashMap, HashSet};

use contract::Millis;
use contract::admin::{Origin, TokenRules};
use sha2::{Digest as _, Sha256};
use vault::Secret;

use super::database::{Row, Tx, query};
use super::keys::origin_of;
use super::memory::forget_all_of;
use super::{Store, StoreError};

/// What the environment's tokens are fingerprinted for.
const FINGERPRINT: &str = "client_tokens/fingerprint";
/// The shortest token that is recognised by its ends: of shorter ones too little is shown, so
/// that many look alike ([`Secret::masked`]).
const TELLING: usize = 20;

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
    /// What it may do.
    pub rules: TokenRules,
    /// SHA-256 of it.
    pub hash: [u8; 32],
}

impl Store {
    /// All tokens that are not deleted, the environment's first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        if let Some(last) = self.last_when_away() {
            return Ok(last.tokens.clone());
        }
        let rows = query(
            "SELECT id, name, masked, hash, origin, created_at, last_used_at, rules, deleted_at \
             FROM client_tokens WHERE deleted_at IS NULL OR origin = 'environment' \
             ORDER BY origin, ABS(id)",
        )
        .fetch_all(self.db()?.read())
        .await?;
        let of_environment = self.inner.environment.lock().tokens.clone();
        let mut tokens = Vec::with_capacity(rows.len());
        for row in &rows {
            // Another server, whose environment lacks it, has deleted it for itself.
            if self.is_here(row, false)? {
                tokens.extend(token_of(row, &of_environment)?);
            }
        }
        Ok(tokens)
    }

    /// Keeps a new token, which must be random: only its hash is kept.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_token(
        &self,
        name: &str,
        token: &Secret,
        rules: &TokenRules,
    ) -> Result<StoredToken, StoreError> {
        let masked = token.masked();
        let hash = sha256(token);
        let created_at = self.inner.clock.now();
        let mut tx = self.begin().await?;
        let done = query(
            "INSERT INTO client_tokens (name, hash, masked, origin, created_at, rules) \
             VALUES (?, ?, ?, 'panel', ?, ?)",
        )
        .bind(name)
        .bind(hash.as_slice())
        .bind(&masked)
        .bind(created_at)
        .bind(self.written(rules)?)
        .execute(&mut tx)
        .await?;
        self.commit_change(tx).await?;
        Ok(StoredToken {
            id: done.last_id,
            name: name.to_owned(),
            masked,
            origin: Origin::Panel,
            created_at,
            last_used_at: None,
            rules: rules.clone(),
            hash,
        })
    }

    /// Changes what a token is called or may do; what is `None` stays. False when there is no
    /// such token.
    ///
    /// # Errors
    /// When a token of the environment would get another name, or the database cannot be
    /// written.
    pub async fn change_token(
        &self,
        id: i64,
        name: Option<&str>,
        rules: Option<&TokenRules>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let row = query(
            "SELECT origin, name, rules FROM client_tokens \
             WHERE id = ? AND (deleted_at IS NULL OR ?)",
        )
        .bind(id)
        .bind(self.is_of_environment(id, false))
        .fetch_optional(&mut tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let origin = origin_of(&row.get::<String>("origin")?);
        let old_name: String = row.get("name")?;
        let name = name.unwrap_or(&old_name);
        if origin == Origin::Environment && name != old_name {
            return Err(StoreError::FromEnvironment(
                "This token comes from ALLOWED_TOKENS and is called by its place there; only \
                 its limits can be changed.",
            ));
        }
        let rules = match rules {
            Some(rules) => self.written(rules)?,
            None => row.get("rules")?,
        };
        query("UPDATE client_tokens SET name = ?, rules = ? WHERE id = ?")
            .bind(name)
            .bind(rules)
            .bind(id)
            .execute(&mut tx)
            .await?;
        self.commit_change(tx).await?;
        Ok(true)
    }

    /// SHA-256 of every token that was revoked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn revoked_tokens(&self) -> Result<HashSet<[u8; 32]>, StoreError> {
        let rows = query(
            "SELECT hash FROM client_tokens WHERE deleted_at IS NOT NULL AND origin = 'panel'",
        )
        .fetch_all(self.db()?.read())
        .await?;
        let mut hashes = HashSet::new();
        for row in &rows {
            hashes.extend(<[u8; 32]>::try_from(row.get::<Vec<u8>>("hash")?).ok());
        }
        Ok(hashes)
    }

    /// Rules as they are kept.
    fn written(&self, rules: &TokenRules) -> Result<String, StoreError> {
        serde_json::to_string(rules).map_err(|error| StoreError::failed(&self.inner.place, &error))
    }

    /// Deletes a token at once and for good. False when there is no such token.
    ///
    /// # Errors
    /// When it comes from the environment, or the database cannot be written.
    pub async fn delete_token(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let row =
            query("SELECT origin FROM client_tokens WHERE id = ? AND (deleted_at IS NULL OR ?)")
                .bind(id)
                .bind(self.is_of_environment(id, false))
                .fetch_optional(&mut tx)
                .await?;
        let origin: Option<String> = row.map(|row| row.get("origin")).transpose()?;
        match origin.as_deref().map(origin_of) {
            None => return Ok(false),
            Some(Origin::Environment) => {
                return Err(StoreError::FromEnvironment(
                    "This token comes from ALLOWED_TOKENS: remove it there and start again.",
                ));
            }
            Some(Origin::Panel) => {}
        }
        query("UPDATE client_tokens SET deleted_at = ? WHERE id = ?")
            .bind(self.inner.clock.now())
            .bind(id)
            .execute(&mut tx)
            .await?;
        self.commit_change(tx).await?;
        Ok(true)
    }

    /// Makes the environment's tokens exactly these; gives their numbers and SHA-256, in
    /// their order, and whether that changed anything.
    pub(super) async fn sync_tokens(
        &self,
        tx: &mut Tx,
        tokens: &[Secret],
    ) -> Result<(Vec<(i64, [u8; 32])>, bool), StoreError> {
        let now = self.inner.clock.now();
        let mut by_hash: HashMap<Vec<u8>, (i64, String)> = HashMap::new();
        let mut by_mask: HashMap<String, Vec<i64>> = HashMap::new();
        let mut alive = HashSet::new();
        let mut lowest = 0;
        let mut is_new = false;
        let rows = query(
            "SELECT id, hash, masked, deleted_at FROM client_tokens WHERE origin = 'environment'",
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let id: i64 = row.get("id")?;
            let masked: String = row.get("masked")?;
            lowest = lowest.min(id);
            by_hash.insert(row.get("hash")?, (id, masked.clone()));
            if row.get::<Option<Millis>>("deleted_at")?.is_none() {
                alive.insert(id);
                by_mask.entry(masked).or_default().push(id);
            }
        }
        let recognised: Vec<[u8; 32]> = (tokens.iter().enumerate())
            .map(|(at, token)| self.recognised_by(at, token))
            .collect();
        let mut taken: HashSet<i64> = (recognised.iter())
            .filter_map(|hash| by_hash.get(hash.as_slice()).map(|(id, _)| *id))
            .collect();
        let mut accepted: Vec<(i64, [u8; 32])> = Vec::with_capacity(tokens.len());
        for (at, (token, recognised)) in tokens.iter().zip(&recognised).enumerate() {
            let masked = token.masked();
            let known = by_hash.get(recognised.as_slice());
            let id = match known {
                Some((id, before)) => {
                    if !alive.contains(id) || *before != masked {
                        is_new = true;
                        query(
                            "UPDATE client_tokens SET deleted_at = NULL, masked = ? WHERE id = ?",
                        )
                        .bind(&masked)
                        .bind(*id)
                        .execute(&mut *tx)
                        .await?;
                    }
                    let says_nothing =
                        self.lasting_master().is_none() && token.expose().chars().count() < TELLING;
                    if *before != masked || says_nothing {
                        // Recognised by its place, and another one may stand there now.
                        forget_all_of(tx, *id).await?;
                    }
                    *id
                }
                None => {
                    is_new = true;
                    // By its ends, when another master key made the hash that is kept.
                    let alike = match token.expose().chars().count() < TELLING {
                        true => None,
                        false => by_mask.get(&masked).and_then(|ids| match ids[..] {
                            [id] if !taken.contains(&id) => Some(id),
                            _ => None,
                        }),
                    };
                    if let Some(id) = alike {
                        taken.insert(id);
                        query("UPDATE client_tokens SET hash = ? WHERE id = ?")
                            .bind(recognised.as_slice())
                            .bind(id)
                            .execute(&mut *tx)
                            .await?;
                        // Its limits and its name it keeps; what was said with it may be
                        // another's.
                        forget_all_of(tx, id).await?;
                        id
                    } else {
                        lowest -= 1;
                        query(
                            "INSERT INTO client_tokens \
                             (id, name, hash, masked, origin, created_at) \
                             VALUES (?, ?, ?, ?, 'environment', ?)",
                        )
                        .bind(lowest)
                        .bind(environment_name(at))
                        .bind(recognised.as_slice())
                        .bind(&masked)
                        .bind(now)
                        .execute(&mut *tx)
                        .await?;
                        lowest
                    }
                }
            };
            accepted.push((id, sha256(token)));
        }
        for gone in alive {
            if accepted.iter().any(|(id, _)| *id == gone) {
                continue;
            }
            query("UPDATE client_tokens SET deleted_at = ? WHERE id = ?")
                .bind(now)
                .bind(gone)
                .execute(&mut *tx)
                .await?;
            is_new = true;
        }
        Ok((accepted, is_new))
    }

    /// Which of these tokens have a row, by number, as [`Store::recognised_keys`].
    pub(super) async fn recognised_tokens(
        &self,
        tokens: &[Secret],
    ) -> Result<Vec<(i64, [u8; 32])>, StoreError> {
        let rows = query("SELECT id, hash FROM client_tokens WHERE origin = 'environment'")
            .fetch_all(self.db()?.read())
            .await?;
        let mut ids = HashMap::new();
        for row in &rows {
            ids.insert(row.get::<Vec<u8>>("hash")?, row.get("id")?);
        }
        let known = tokens.iter().enumerate().filter_map(|(at, token)| {
            let id = ids.get(self.recognised_by(at, token).as_slice())?;
            Some((*id, sha256(token)))
        });
        Ok(known.collect())
    }

    /// What a token of the environment is recognised by. A person chose it, so a plain hash
    /// of it could be guessed; without a lasting master key its place in the list has to do.
    fn recognised_by(&self, at: usize, token: &Secret) -> [u8; 32] {
        match self.lasting_master() {
            Some(seal) => seal.master.fingerprint(FINGERPRINT, token),
            None => Sha256::digest(format!("{FINGERPRINT}/{at}").as_bytes()).into(),
        }
    }
}

/// What a token of the environment is called.
pub(super) fn environment_name(at: usize) -> String {
    format!("ALLOWED_TOKENS {}", at + 1)
}

pub(crate) fn sha256(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose().as_bytes()).into()
}

/// `None` for a token of another process's environment, which cannot be accepted here.
fn token_of(
    row: &Row,
    of_environment: &HashMap<i64, [u8; 32]>,
) -> Result<Option<StoredToken>, StoreError> {
    let id: i64 = row.get("id")?;
    let origin = origin_of(&row.get::<String>("origin")?);
    let hash = match origin {
        Origin::Environment => of_environment.get(&id).copied(),
        Origin::Panel => row.get::<Vec<u8>>("hash")?.try_into().ok(),
    };
    let Some(hash) = hash else { return Ok(None) };
    let rules = row.get::<Option<String>>("rules")?;
    Ok(Some(StoredToken {
        id,
        name: row.get("name")?,
        masked: row.get("masked")?,
        origin,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
        // What cannot be read restricts no more than nothing, but it is said.
        rules: rules.map_or_else(TokenRules::default, |text| {
            serde_json::from_str(&text)
                .inspect_err(|error| tracing::error!(id, %error, "a token's rules are unreadable"))
                .unwrap_or_default()
        }),
        hash,
    }))
}
