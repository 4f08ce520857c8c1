//! What the panel saved, what the environment said at the last start, and who changed what.
//!
//! The newer of the two wins: an environment value that differs from the one seen at the
//! last start is newer than what the panel saved, which is then forgotten; one that is as it
//! was is older. [`Store::settle_environment`] decides it once, at the start.
//!
//! Deliberately absent: what a value means; `settings` declares and checks them.

use std::collections::BTreeMap;

use contract::Millis;
use contract::admin::{
    Actor, AuditAction, AuditEntry, AuditPage, KeyRules, SettingDiff, TokenRules,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault::Secret;

use super::database::{Row, Tx, Via, query};
use super::keys::{FoundKey, rules_of};
use super::seal::{audit_place, seen_place, setting_place};
use super::{Store, StoreError};
use crate::settings::{DECLARATIONS, Declaration, Settings};

/// What the panel saved, by the setting's name.
pub type SavedSettings = BTreeMap<String, SavedSetting>;

/// A value that the panel saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSetting {
    /// The value, written as in the environment; empty: the default holds. Few are secret,
    /// all are treated so.
    pub value: Secret,
    /// When it was saved.
    pub changed_at: Millis,
}

/// Everything about settings that is in the database.
pub(crate) struct SettingsState {
    pub(crate) saved: SavedSettings,
    /// Values of the panel that the environment replaced, and has not changed since.
    pub(crate) replaced: BTreeMap<String, Replaced>,
    /// Grows with every change of a setting.
    pub(crate) revision: i64,
}

/// A value of the panel that the environment replaced.
pub(crate) struct Replaced {
    pub(crate) at: Millis,
    /// Absent for a secret.
    pub(crate) panel: Option<String>,
}

/// An entry for the audit log.
pub(crate) struct NewAudit {
    pub(crate) actor: Actor,
    pub(crate) address: Option<String>,
    pub(crate) action: AuditAction,
    pub(crate) subject: String,
    pub(crate) changes: Vec<SettingDiff>,
    /// The way back, if there is one.
    pub(crate) inverse: Option<Inverse>,
}

impl NewAudit {
    /// An entry without details and without a way back.
    pub(crate) fn plain(actor: Actor, action: AuditAction) -> Self {
        Self {
            actor,
            address: None,
            action,
            subject: String::new(),
            changes: Vec::new(),
            inverse: None,
        }
    }
}

/// What takes a change back. Holds secrets, so it is kept sealed only.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Inverse {
    /// Values of the panel by name.
    pub(crate) settings: BTreeMap<String, SettingWas>,
    /// Keys that were added, and are to be deleted.
    pub(crate) keys_added: Vec<i64>,
    /// Keys that were deleted, and are to come back.
    pub(crate) keys_deleted: Vec<i64>,
    /// What the user had chosen about keys.
    pub(crate) keys: Vec<KeyWas>,
    /// Tokens that were added, and are to be revoked.
    pub(crate) tokens_added: Vec<i64>,
    /// What tokens were called and might do.
    pub(crate) tokens: Vec<TokenWas>,
}

/// The panel's value of a setting before and after a change; `None`: it had none.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SettingWas {
    pub(crate) was: Option<String>,
    pub(crate) became: Option<String>,
}

/// What the user had chosen about a key, and chose then.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyWas {
    pub(crate) id: i64,
    #[serde(flatten)]
    pub(crate) was: KeyChoice,
    /// Absent in an entry of an older version.
    #[serde(default)]
    pub(crate) became: Option<KeyChoice>,
}

/// What the user chooses about a key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyChoice {
    pub(crate) label: String,
    pub(crate) enabled: bool,
    /// Absent in an entry of an older version.
    #[serde(default)]
    pub(crate) rules: KeyRules,
}

/// What a token was called and might do, and since then.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenWas {
    pub(crate) id: i64,
    #[serde(flatten)]
    pub(crate) was: TokenChoice,
    /// Absent in an entry of an older version.
    #[serde(default)]
    pub(crate) became: Option<TokenChoice>,
}

/// What a token is called and may do.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenChoice {
    pub(crate) name: String,
    pub(crate) rules: TokenRules,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It was made, and the audit log has this entry.
    Entry(i64),
    /// Nothing has changed: settings are not as was expected any more.
    Unexpected,
    /// Nothing has changed: this was changed again after what was to be taken back.
    Overtaken(String),
    /// Nothing has changed: a key that was to come back is there no more.
    Wiped,
}

impl Made {
    /// The number of its entry, if it was made.
    pub(crate) fn entry(self) -> Option<i64> {
        match self {
            Self::Entry(id) => Some(id),
            Self::Unexpected | Self::Overtaken(_) | Self::Wiped => None,
        }
    }
}

/// A client token that was made elsewhere.
pub struct FoundToken {
    /// What to call it.
    pub name: String,
    /// Its first and last characters.
    pub masked: String,
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// What it may do.
    pub rules: TokenRules,
}

/// A change of the configuration, made as a whole or not at all.
#[derive(Default)]
pub(crate) struct Change {
    /// By declared name the panel's new value, or `None` to forget it.
    pub(crate) settings: BTreeMap<&'static str, Option<Secret>>,
    /// Keys to add, each with whether it is switched on; those that are there stay as they
    /// are.
    pub(crate) keys: Vec<(FoundKey, bool)>,
    /// Tokens to add; likewise.
    pub(crate) tokens: Vec<FoundToken>,
    /// The entry of the audit log that this takes back, and what it says about keys and
    /// tokens.
    pub(crate) undo: Option<(i64, Inverse)>,
}

/// Numbers in the table `counters`.
const SETTINGS_REVISION: &str = "settings";
/// How many entries the audit log keeps.
const AUDIT_KEPT: i64 = 10_000;
/// How many entries of the environment's are looked through for replaced values.
const REPLACED_LOOKED_AT: i64 = 100;

impl Store {
    /// What the panel saved. While the database is away, what was last read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn saved_settings(&self) -> Result<SavedSettings, StoreError> {
        if let Some(last) = self.last_when_away() {
            return Ok(last.settings.clone());
        }
        self.saved_in(self.db()?.read()).await
    }

    /// Everything about settings that is in the database.
    pub(crate) async fn settings_state(&self) -> Result<SettingsState, StoreError> {
        if let Some(last) = self.last_when_away() {
            return Ok(SettingsState {
                saved: last.settings.clone(),
                replaced: BTreeMap::new(),
                revision: 0,
            });
        }
        let db = self.db()?;
        // The revision first: a change in between is then refused rather than lost.
        let revision = settings_revision(db.read()).await?;
        let saved = self.saved_in(db.read()).await?;
        let mut seen_at = BTreeMap::new();
        for row in query("SELECT name, seen_at FROM environment_seen")
            .fetch_all(db.read())
            .await?
        {
            seen_at.insert(row.get::<String>("name")?, row.get::<Millis>("seen_at")?);
        }
        let mut replaced = BTreeMap::new();
        for row in query(
            "SELECT at, changes FROM audit WHERE actor = 'environment' \
             ORDER BY at DESC, id DESC LIMIT ?",
        )
        .bind(REPLACED_LOOKED_AT)
        .fetch_all(db.read())
        .await?
        {
            let at: Millis = row.get("at")?;
            let diffs: Vec<SettingDiff> =
                serde_json::from_str(&row.get::<String>("changes")?).unwrap_or_default();
            for diff in diffs {
                if seen_at.get(&diff.name) == Some(&at) {
                    let panel = diff.before;
                    replaced.entry(diff.name).or_insert(Replaced { at, panel });
                }
            }
        }
        Ok(SettingsState {
            saved,
            replaced,
            revision,
        })
    }

    /// Compares the environment with the one of the last start: where it says something new,
    /// the panel's value is forgotten, which the audit log notes.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing has changed.
    pub(crate) async fn settle_environment(
        &self,
        environment: &Settings,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let saved = self.saved_in(&mut tx).await?;
        let seen = self.seen_in(&mut tx).await?;
        let now = self.inner.clock.now();
        let mut changes = Vec::new();
        let mut inverse = Inverse::default();
        let mut is_new = false;
        for declaration in DECLARATIONS.iter().filter(|one| !one.environment_only) {
            let name = declaration.name;
            let given = environment.given(name);
            if given == seen.get(name) {
                continue;
            }
            is_new = true;
            self.put_seen(&mut tx, declaration, given, now).await?;
            let (Some(given), Some(panel)) = (given, saved.get(name)) else {
                continue;
            };
            forget_setting(&mut tx, name).await?;
            if panel.value == *given {
                continue;
            }
            let shown = |value: &Secret| (!declaration.secret).then(|| value.expose().clone());
            changes.push(SettingDiff {
                name: name.to_owned(),
                before: shown(&panel.value),
                after: shown(given),
                secret: declaration.secret,
                applies: declaration.applies,
            });
            let was = SettingWas {
                was: Some(panel.value.expose().clone()),
                became: None,
            };
            inverse.settings.insert(name.to_owned(), was);
        }
        if !is_new {
            return Ok(());
        }
        if !changes.is_empty() {
            let entry = NewAudit {
                actor: Actor::Environment,
                address: None,
                action: AuditAction::SettingsChanged,
                subject: names_of(&changes),
                changes,
                inverse: Some(inverse),
            };
            self.put_audit_at(&mut tx, &entry, now).await?;
        }
        advance_settings(&mut tx).await?;
        self.commit_change(tx).await
    }

    /// Makes a change of the configuration, with its entry in the audit log, whose way back
    /// is added here, unless settings are not at `expected` any more.
    ///
    /// # Errors
    /// When the database cannot be written, or a secret cannot be sealed; then nothing has
    /// changed.
    pub(crate) async fn change(
        &self,
        environment: &Settings,
        change: &Change,
        expected: i64,
        mut entry: NewAudit,
    ) -> Result<Made, StoreError> {
        let mut tx = self.begin().await?;
        if settings_revision(&mut tx).await? != expected {
            return Ok(Made::Unexpected);
        }
        let now = self.inner.clock.now();
        let mut back = Inverse::default();
        if let Some((id, inverse)) = &change.undo {
            // Once taken back, it cannot be taken back again; this entry can.
            query("UPDATE audit SET inverse = NULL WHERE id = ?")
                .bind(*id)
                .execute(&mut tx)
                .await?;
            if let Some(refused) = self.take_back(&mut tx, inverse, &mut back).await? {
                return Ok(refused);
            }
        }
        let saved = self.saved_in(&mut tx).await?;
        for (name, value) in &change.settings {
            let Some(declaration) = DECLARATIONS.iter().find(|one| one.name == *name) else {
                continue;
            };
            let text = |value: &Secret| value.expose().clone();
            let was = SettingWas {
                was: saved.get(*name).map(|saved| text(&saved.value)),
                became: value.as_ref().map(text),
            };
            back.settings.insert((*name).to_owned(), was);
            match value {
                Some(value) => {
                    self.put_setting(&mut tx, declaration, value, now).await?;
                    // Now this value is the newer one, whatever was known of the environment.
                    let given = environment.given(name);
                    self.put_seen(&mut tx, declaration, given, now).await?;
                }
                None => forget_setting(&mut tx, name).await?,
            }
        }
        let put = self.put_found_keys(&mut tx, &change.keys).await?;
        back.keys_added.extend(put);
        for token in &change.tokens {
            back.tokens_added
                .extend(self.put_token(&mut tx, token).await?);
        }
        entry.inverse = (back != Inverse::default()).then_some(back);
        let id = self.put_audit(&mut tx, &entry).await?;
        advance_settings(&mut tx).await?;
        self.commit_change(tx).await?;
        Ok(Made::Entry(id))
    }

    /// What the inverse says about keys and tokens; `back` takes that back again. Gives why that
    /// cannot be, if so.
    async fn take_back(
        &self,
        tx: &mut Tx,
        inverse: &Inverse,
        back: &mut Inverse,
    ) -> Result<Option<Made>, StoreError> {
        let now = self.inner.clock.now();
        for id in &inverse.keys_added {
            let done = query(
                "UPDATE gemini_keys SET deleted_at = ? \
                 WHERE id = ? AND deleted_at IS NULL AND origin = 'panel'",
            )
            .bind(now)
            .bind(*id)
            .execute(&mut *tx)
            .await?;
            back.keys_deleted.extend((done.rows > 0).then_some(*id));
        }
        for id in &inverse.keys_deleted {
            let wiped = query(
                "SELECT id FROM gemini_keys WHERE id = ? AND deleted_at IS NOT NULL \
                 AND sealed IS NULL AND origin = 'panel'",
            )
            .bind(*id)
            .fetch_optional(&mut *tx)
            .await?;
            if wiped.is_some() {
                return Ok(Some(Made::Wiped));
            }
            let done = query(
                "UPDATE gemini_keys SET deleted_at = NULL WHERE id = ? \
                 AND deleted_at IS NOT NULL AND sealed IS NOT NULL AND origin = 'panel'",
            )
            .bind(*id)
            .execute(&mut *tx)
            .await?;
            back.keys_added.extend((done.rows > 0).then_some(*id));
        }
        for key in &inverse.keys {
            let row = query(
                "SELECT id, label, origin, enabled, deleted_at, \
                 (SELECT rules FROM key_rules WHERE key_id = gemini_keys.id) AS rules \
                 FROM gemini_keys WHERE id = ?",
            )
            .bind(key.id)
            .fetch_optional(&mut *tx)
            .await?;
            let now = match row {
                Some(row) if self.is_here(&row, true)? => Some(KeyChoice {
                    label: row.get("label")?,
                    enabled: row.get("enabled")?,
                    rules: rules_of(&row)?,
                }),
                _ => None,
            };
            if key.became.is_some() && key.became != now {
                return Ok(Some(Made::Overtaken(format!("Key #{}", key.id))));
            }
            let Some(now) = now else { continue };
            back.keys.push(KeyWas {
                id: key.id,
                was: now,
                became: Some(key.was.clone()),
            });
            query("UPDATE gemini_keys SET label = ?, enabled = ? WHERE id = ?")
                .bind(&key.was.label)
                .bind(key.was.enabled)
                .bind(key.id)
                .execute(&mut *tx)
                .await?;
            self.put_rules(tx, key.id, &key.was.rules).await?;
        }
        for id in &inverse.tokens_added {
            // One that nobody ever used leaves no trace: it may be imported once more.
            let unused = query(
                "DELETE FROM client_tokens \
                 WHERE id = ? AND last_used_at IS NULL AND origin = 'panel'",
            );
            unused.bind(*id).execute(&mut *tx).await?;
            query(
                "UPDATE client_tokens SET deleted_at = ? \
                 WHERE id = ? AND deleted_at IS NULL AND origin = 'panel'",
            )
            .bind(now)
            .bind(*id)
            .execute(&mut *tx)
            .await?;
        }
        for token in &inverse.tokens {
            let row =
                query("SELECT id, name, origin, rules, deleted_at FROM client_tokens WHERE id = ?")
                    .bind(token.id)
                    .fetch_optional(&mut *tx)
                    .await?;
            let now = match row {
                Some(row) if self.is_here(&row, false)? => {
                    let rules = row.get::<Option<String>>("rules")?;
                    Some(TokenChoice {
                        name: row.get("name")?,
                        rules: rules
                            .and_then(|text| serde_json::from_str(&text).ok())
                            .unwrap_or_default(),
                    })
                }
                _ => None,
            };
            if token.became.is_some() && token.became != now {
                let name = token.was.name.clone();
                return Ok(Some(Made::Overtaken(name)));
            }
            let Some(now) = now else { continue };
            back.tokens.push(TokenWas {
                id: token.id,
                was: now,
                became: Some(token.was.clone()),
            });
            query("UPDATE client_tokens SET name = ?, rules = ? WHERE id = ?")
                .bind(&token.was.name)
                .bind(self.json(&token.was.rules)?)
                .bind(token.id)
                .execute(&mut *tx)
                .await?;
        }
        Ok(None)
    }

    /// Adds a token unless it is or was there: a revoked one stays revoked. Gives its number when
    /// it is new.
    pub(super) async fn put_token(
        &self,
        tx: &mut Tx,
        token: &FoundToken,
    ) -> Result<Option<i64>, StoreError> {
        let known = query("SELECT id FROM client_tokens WHERE hash = ?")
            .bind(token.hash.as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        if known.is_some() {
            return Ok(None);
        }
        let done = query(
            "INSERT INTO client_tokens (name, hash, masked, origin, created_at, rules) \
             VALUES (?, ?, ?, 'panel', ?, ?)",
        )
        .bind(&token.name)
        .bind(token.hash.as_slice())
        .bind(&token.masked)
        .bind(self.inner.clock.now())
        .bind(self.json(&token.rules)?)
        .execute(tx)
        .await?;
        Ok(Some(done.last_id))
    }

    async fn saved_in(&self, via: impl Into<Via<'_>>) -> Result<SavedSettings, StoreError> {
        let rows = query("SELECT name, value, sealed, changed_at FROM settings")
            .fetch_all(via)
            .await?;
        let mut saved = SavedSettings::new();
        for row in &rows {
            let name: String = row.get("name")?;
            let Some(value) = self.value_of(row, &setting_place(&name))? else {
                continue;
            };
            let changed_at = row.get("changed_at")?;
            saved.insert(name, SavedSetting { value, changed_at });
        }
        Ok(saved)
    }

    async fn seen_in(&self, tx: &mut Tx) -> Result<BTreeMap<String, Secret>, StoreError> {
        let rows = query("SELECT name, value, sealed FROM environment_seen")
            .fetch_all(tx)
            .await?;
        let mut seen = BTreeMap::new();
        for row in &rows {
            let name: String = row.get("name")?;
            if let Some(value) = self.value_of(row, &seen_place(&name))? {
                seen.insert(name, value);
            }
        }
        Ok(seen)
    }

    /// `None`, with a line in the log, for one that cannot be opened: the others hold.
    fn value_of(&self, row: &Row, place: &str) -> Result<Option<Secret>, StoreError> {
        if let Some(value) = row.get::<Option<String>>("value")? {
            return Ok(Some(Secret::new(value)));
        }
        let Some(sealed) = row.get::<Option<Vec<u8>>>("sealed")? else {
            return Ok(None);
        };
        Ok(self
            .unseal(place, &sealed)
            .inspect_err(|error| {
                tracing::error!(place, %error, "a saved setting cannot be opened; it is left out");
            })
            .ok())
    }

    /// Keeps the panel's value of a setting.
    pub(super) async fn put_setting(
        &self,
        tx: &mut Tx,
        declaration: &Declaration,
        value: &Secret,
        at: Millis,
    ) -> Result<(), StoreError> {
        let name = declaration.name;
        let sealed = match declaration.secret {
            true => Some(self.seal(&setting_place(name), value)?),
            false => None,
        };
        forget_setting(&mut *tx, name).await?;
        query("INSERT INTO settings (name, value, sealed, changed_at) VALUES (?, ?, ?, ?)")
            .bind(name)
            .bind((!declaration.secret).then(|| value.expose().clone()))
            .bind(sealed)
            .bind(at)
            .execute(tx)
            .await
            .map(drop)
    }

    /// Notes what the environment says. When nothing can be sealed, a secret is not noted.
    pub(super) async fn put_seen(
        &self,
        tx: &mut Tx,
        declaration: &Declaration,
        given: Option<&Secret>,
        at: Millis,
    ) -> Result<(), StoreError> {
        let name = declaration.name;
        query("DELETE FROM environment_seen WHERE name = ?")
            .bind(name)
            .execute(&mut *tx)
            .await?;
        let Some(given) = given else { return Ok(()) };
        let sealed = match declaration.secret {
            true => match self.seal(&seen_place(name), given) {
                Ok(sealed) => Some(sealed),
                Err(StoreError::NoSealingKey) => return Ok(()),
                Err(error) => return Err(error),
            },
            false => None,
        };
        query("INSERT INTO environment_seen (name, value, sealed, seen_at) VALUES (?, ?, ?, ?)")
            .bind(name)
            .bind((!declaration.secret).then(|| given.expose().clone()))
            .bind(sealed)
            .bind(at)
            .execute(tx)
            .await
            .map(drop)
    }

    /// Files what was done, without a way back, for who works on the database beside a server.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn tell(
        &self,
        by: Actor,
        action: AuditAction,
        subject: impl Into<String>,
    ) -> Result<(), StoreError> {
        let mut entry = NewAudit::plain(by, action);
        entry.subject = subject.into();
        self.file_audit(&entry).await.map(drop)
    }

    /// Files an entry on its own; gives its number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn file_audit(&self, entry: &NewAudit) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let id = self.put_audit(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Files an entry together with what it is about; gives its number.
    pub(super) async fn put_audit(&self, tx: &mut Tx, entry: &NewAudit) -> Result<i64, StoreError> {
        let now = self.inner.clock.now();
        self.put_audit_at(tx, entry, now).await
    }

    async fn put_audit_at(
        &self,
        tx: &mut Tx,
        entry: &NewAudit,
        at: Millis,
    ) -> Result<i64, StoreError> {
        let inverse = match &entry.inverse {
            None => None,
            Some(inverse) => match self.seal(&audit_place(""), &Secret::new(self.json(inverse)?)) {
                Ok(sealed) => Some(sealed),
                // Then there is no way back, which is better than none forward.
                Err(StoreError::NoSealingKey) => None,
                Err(error) => return Err(error),
            },
        };
        let done = query(
            "INSERT INTO audit (at, actor, address, action, subject, changes, inverse) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(at)
        .bind(word(entry.actor))
        .bind(entry.address.clone())
        .bind(word(entry.action))
        .bind(entry.subject.chars().take(200).collect::<String>())
        .bind(self.json(&entry.changes)?)
        .bind(inverse)
        .execute(&mut *tx)
        .await?;
        // By how many there are: numbers have gaps, and TiDB's jump by thousands and are in the
        // order of time within one of its servers only.
        let oldest_gone =
            query("SELECT id, at FROM audit ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?")
                .bind(AUDIT_KEPT)
                .fetch_optional(&mut *tx)
                .await?;
        if let Some(row) = oldest_gone {
            let at: Millis = row.get("at")?;
            query("DELETE FROM audit WHERE at < ? OR (at = ? AND id <= ?)")
                .bind(at)
                .bind(at)
                .bind(row.get::<i64>("id")?)
                .execute(tx)
                .await?;
        }
        Ok(done.last_id)
    }

    /// The newest entries older than `before`, newest first.
    pub(crate) async fn audit(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let db = self.db()?;
        let before = before.unwrap_or(i64::MAX);
        let entry = query("SELECT at FROM audit WHERE id = ?")
            .bind(before)
            .fetch_optional(db.read())
            .await?;
        // One that has been deleted meanwhile stands where its number does.
        let below = match entry {
            Some(_) => i64::MAX,
            None => before,
        };
        let at = entry.map_or(Ok(Millis::MAX), |row| row.get("at"))?;
        let rows = query(
            "SELECT id, at, actor, address, action, subject, changes, \
             inverse IS NOT NULL AS undoable FROM audit \
             WHERE (at < ? OR (at = ? AND id < ?)) AND id < ? \
             ORDER BY at DESC, id DESC LIMIT ?",
        )
        .bind(at)
        .bind(at)
        .bind(before)
        .bind(below)
        .bind(limit.saturating_add(1))
        .fetch_all(db.read())
        .await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut entries = Vec::with_capacity(rows.len().min(limit));
        for row in rows.iter().take(limit) {
            entries.extend(entry_of(row)?);
        }
        let next = match rows.len() > limit {
            true => rows.get(limit.saturating_sub(1)).map(|row| row.get("id")),
            false => None,
        };
        Ok(AuditPage {
            entries,
            next: next.transpose()?,
        })
    }

    /// The way back of an entry; `None` when there is no such entry, `Some(None)` when it
    /// has no way back.
    pub(crate) async fn inverse(&self, id: i64) -> Result<Option<Option<Inverse>>, StoreError> {
        let row = query("SELECT inverse FROM audit WHERE id = ?")
            .bind(id)
            .fetch_optional(self.db()?.read())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(sealed) = row.get::<Option<Vec<u8>>>("inverse")? else {
            return Ok(Some(None));
        };
        let text = self.unseal(&audit_place(""), &sealed)?;
        // What serde says may quote a secret.
        Ok(Some(serde_json::from_str(text.expose()).ok()))
    }

    pub(super) fn json(&self, value: &impl Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| StoreError::failed(&self.inner.place, &error))
    }
}

/// The names of what changes, for an entry's subject.
pub(crate) fn names_of(changes: &[SettingDiff]) -> String {
    let names: Vec<&str> = changes.iter().map(|diff| diff.name.as_str()).collect();
    names.join(", ")
}

async fn forget_setting(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    query("DELETE FROM settings WHERE name = ?")
        .bind(name)
        .execute(tx)
        .await
        .map(drop)
}

async fn settings_revision(via: impl Into<Via<'_>>) -> Result<i64, StoreError> {
    let row = query("SELECT value FROM counters WHERE name = ?")
        .bind(SETTINGS_REVISION)
        .fetch_optional(via)
        .await?;
    row.map_or(Ok(0), |row| row.get("value"))
}

/// Lets who has read the settings see that there are newer ones.
pub(super) async fn advance_settings(tx: &mut Tx) -> Result<(), StoreError> {
    let done = query("UPDATE counters SET value = value + 1 WHERE name = ?")
        .bind(SETTINGS_REVISION)
        .execute(&mut *tx)
        .await?;
    if done.rows == 0 {
        query("INSERT INTO counters (name, value) VALUES (?, 1)")
            .bind(SETTINGS_REVISION)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// The word of a plain enum, as it is on the wire.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn of_word<T: DeserializeOwned>(word: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word)).ok()
}

/// `None` for an entry of a newer version.
fn entry_of(row: &Row) -> Result<Option<AuditEntry>, StoreError> {
    let actor: Option<Actor> = of_word(row.get("actor")?);
    let action: Option<AuditAction> = of_word(row.get("action")?);
    let (Some(actor), Some(action)) = (actor, action) else {
        return Ok(None);
    };
    Ok(Some(AuditEntry {
        id: row.get("id")?,
        at: row.get("at")?,
        actor,
        address: row.get("address")?,
        action,
        subject: row.get("subject")?,
        changes: serde_json::from_str(&row.get::<String>("changes")?).unwrap_or_default(),
        undoable: row.get("undoable")?,
    }))
}
