//! What the core keeps in memory of the database, and where it comes from when the database
//! is away: what was read last, else the snapshot of an earlier run, and the environment.
//!
//! The snapshot is one file in the data folder, sealed as a whole with the master key. It is
//! written for server databases only: SQLite's file is there or there is nothing to serve.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use contract::Millis;
use contract::admin::{DatabaseState, KeyRules, Origin, TokenRules};
use serde::{Deserialize, Serialize};
use vault::{MasterKey, Secret};

use super::keys::StoredKey;
use super::settings::{SavedSetting, SavedSettings};
use super::tokens::StoredToken;
use super::{Store, StoreError, revision_in};
use crate::pool::SavedKeyState;

/// The name of the snapshot's file in the data folder.
const FILE: &str = "snapshot.sealed";
/// What it is sealed for.
const PLACE: &str = "snapshot";
/// Numbers of keys and tokens of the environment that the database has not numbered yet
/// begin below this one. (Tokens of the environment have small negative numbers.)
const UNNUMBERED: i64 = -1_000_000_000;

/// Everything that answering requests needs of the database.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// All keys that are not deleted.
    pub keys: Vec<StoredKey>,
    /// All tokens that are not deleted, the environment's first.
    pub tokens: Vec<StoredToken>,
    /// What the panel saved.
    pub settings: SavedSettings,
    /// The numbers of the keys of Vertex AI's express mode, as far as that was found out; also
    /// of some that are deleted.
    pub(crate) express: Vec<i64>,
}

/// [`Loaded`] as it is in the file.
#[derive(Default, Serialize, Deserialize)]
struct Snapshot {
    keys: Vec<SnapshotKey>,
    tokens: Vec<SnapshotToken>,
    /// The panel's values, and when they were saved.
    #[serde(default)]
    settings: BTreeMap<String, (String, Millis)>,
}

#[derive(Serialize, Deserialize)]
struct SnapshotKey {
    id: i64,
    secret: String,
    label: String,
    origin: Origin,
    enabled: bool,
    added_at: Millis,
    #[serde(default)]
    rules: KeyRules,
    saved: Option<SavedKeyState>,
}

#[derive(Serialize, Deserialize)]
struct SnapshotToken {
    id: i64,
    name: String,
    masked: String,
    origin: Origin,
    created_at: Millis,
    last_used_at: Option<Millis>,
    rules: TokenRules,
    hash: [u8; 32],
}

impl Store {
    /// Reads everything, and keeps it for when the database is away.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(&self) -> Result<Arc<Loaded>, StoreError> {
        let connections = self.db()?;
        // Not only when something cannot be opened: there may be nothing to open yet.
        self.refresh_seal(connections.read()).await?;
        // The revision first: a change in between is then read once too often.
        let revision = revision_in(connections.read()).await?;
        let loaded = Arc::new(Loaded {
            keys: self.keys().await?,
            tokens: self.tokens().await?,
            settings: self.saved_settings().await?,
            express: self.express_keys().await.unwrap_or_else(|error| {
                // Then Google is asked again.
                tracing::debug!(%error, "the kinds of the keys are not known");
                Vec::new()
            }),
        });
        self.has_read(revision);
        self.inner.last.store(Some(loaded.clone()));
        Ok(loaded)
    }

    /// What the user calls a key, as it was read last; `None` without a label.
    pub(crate) fn label_of(&self, id: i64) -> Option<String> {
        let last = self.inner.last.load();
        let keys = last.as_ref().map(|last| &last.keys)?;
        let label = &keys.iter().find(|key| key.id == id)?.label;
        (!label.is_empty()).then(|| label.clone())
    }

    /// What there is without the database: what was read last, else the snapshot; and the
    /// environment, which decides about its own keys and tokens.
    pub fn load_offline(&self, keys: &[Secret], tokens: &[Secret]) -> Arc<Loaded> {
        if let Some(last) = self.inner.last.load_full() {
            return last;
        }
        let loaded = self.read_snapshot().unwrap_or_default();
        self.serve(loaded, keys, tokens)
    }

    /// What there is in a database that can be read and takes nothing; and the environment, of
    /// which it may not know all yet. As soon as it takes changes, everything is read anew.
    ///
    /// # Errors
    /// When it cannot be read either.
    pub(crate) async fn load_unwritable(
        &self,
        keys: &[Secret],
        tokens: &[Secret],
    ) -> Result<Arc<Loaded>, StoreError> {
        let known_keys = self.recognised_keys(keys).await?;
        let known_tokens = self.recognised_tokens(tokens).await?;
        {
            let mut environment = self.inner.environment.lock();
            environment.keys = known_keys.into_iter().collect();
            environment.tokens = known_tokens.into_iter().collect();
        }
        let loaded = Loaded::clone(&*self.load().await?);
        self.read_again();
        Ok(self.serve(loaded, keys, tokens))
    }

    /// Keeps what was read, with the environment, which decides about its own keys and tokens,
    /// as what there is until the database knows it.
    fn serve(&self, mut loaded: Loaded, keys: &[Secret], tokens: &[Secret]) -> Arc<Loaded> {
        self.inner.environment.lock().unsettled = true;
        let now = self.inner.clock.now();
        loaded
            .keys
            .retain(|key| key.origin == Origin::Panel || keys.contains(&key.secret));
        for (at, secret) in keys.iter().enumerate() {
            if loaded.keys.iter().any(|key| key.secret == *secret) {
                continue;
            }
            loaded.keys.push(StoredKey {
                id: unnumbered(at),
                secret: secret.clone(),
                label: String::new(),
                origin: Origin::Environment,
                enabled: true,
                added_at: now,
                rules: KeyRules::default(),
                saved: None,
            });
        }
        let hashes: Vec<[u8; 32]> = tokens.iter().map(super::tokens::sha256).collect();
        loaded
            .tokens
            .retain(|token| token.origin == Origin::Panel || hashes.contains(&token.hash));
        for (at, token) in tokens.iter().enumerate() {
            let hash = super::tokens::sha256(token);
            if loaded.tokens.iter().any(|known| known.hash == hash) {
                continue;
            }
            loaded.tokens.push(StoredToken {
                id: unnumbered(at),
                name: super::tokens::environment_name(at),
                masked: token.masked(),
                origin: Origin::Environment,
                created_at: now,
                last_used_at: None,
                rules: TokenRules::default(),
                hash,
            });
        }
        let loaded = Arc::new(loaded);
        self.inner.last.store(Some(loaded.clone()));
        loaded
    }

    /// Keeps what was last loaded for a start without the database. `saved` gives the newest
    /// state of a key. Does nothing for SQLite, and without a key to seal it with.
    pub async fn write_snapshot(&self, saved: impl Fn(i64) -> Option<SavedKeyState>) {
        let Some(last) = self.inner.last.load_full() else {
            return;
        };
        if !self.is_mysql() {
            return;
        }
        let snapshot = Snapshot {
            keys: last
                .keys
                .iter()
                .map(|key| SnapshotKey {
                    id: key.id,
                    secret: key.secret.expose().clone(),
                    label: key.label.clone(),
                    origin: key.origin,
                    enabled: key.enabled,
                    added_at: key.added_at,
                    rules: key.rules.clone(),
                    saved: saved(key.id).or_else(|| key.saved.clone()),
                })
                .collect(),
            tokens: last
                .tokens
                .iter()
                .map(|token| SnapshotToken {
                    id: token.id,
                    name: token.name.clone(),
                    masked: token.masked.clone(),
                    origin: token.origin,
                    created_at: token.created_at,
                    last_used_at: token.last_used_at,
                    rules: token.rules.clone(),
                    hash: token.hash,
                })
                .collect(),
            settings: last
                .settings
                .iter()
                .map(|(name, saved)| {
                    let value = saved.value.expose().clone();
                    (name.clone(), (value, saved.changed_at))
                })
                .collect(),
        };
        let Ok(text) = serde_json::to_string(&snapshot).map(Secret::new) else {
            return;
        };
        let sealed = match self.seal(PLACE, &text) {
            Ok(sealed) => sealed,
            // Without a key the environment alone has to do.
            Err(_) => return,
        };
        let path = self.snapshot_path();
        let written =
            tokio::task::spawn_blocking(move || crate::private_file::write(&path, &sealed));
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the snapshot for starts without the database cannot be written");
            }
            Err(error) => tracing::warn!(%error, "writing the snapshot broke off"),
        }
    }

    /// Seals the snapshot with another key, if there is one.
    pub(super) fn reseal_snapshot(&self, old: &MasterKey, new: &MasterKey) {
        let path = self.snapshot_path();
        let Ok(sealed) = std::fs::read(&path) else {
            return;
        };
        let resealed = old
            .open(PLACE, &sealed)
            .and_then(|text| new.seal(PLACE, &text));
        // One that cannot be opened is written anew by the server.
        let Ok(resealed) = resealed else { return };
        if let Err(error) = crate::private_file::write(&path, &resealed) {
            tracing::warn!(%error, "the snapshot for starts without the database cannot be written");
        }
    }

    fn read_snapshot(&self) -> Option<Loaded> {
        let path = self.snapshot_path();
        let sealed = match std::fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %path.display(), "the snapshot cannot be read");
                }
                return None;
            }
        };
        let text = self
            .unseal(PLACE, &sealed)
            .inspect_err(|error| tracing::warn!(%error, "the snapshot cannot be opened"))
            .ok()?;
        let snapshot: Snapshot = serde_json::from_str(text.expose())
            // What serde says may quote a secret.
            .inspect_err(|_| tracing::warn!("the snapshot is of another version"))
            .ok()?;
        Some(Loaded {
            keys: snapshot
                .keys
                .into_iter()
                .map(|key| StoredKey {
                    id: key.id,
                    secret: Secret::new(key.secret),
                    label: key.label,
                    origin: key.origin,
                    enabled: key.enabled,
                    added_at: key.added_at,
                    rules: key.rules,
                    saved: key.saved,
                })
                .collect(),
            tokens: snapshot
                .tokens
                .into_iter()
                .map(|token| StoredToken {
                    id: token.id,
                    name: token.name,
                    masked: token.masked,
                    origin: token.origin,
                    created_at: token.created_at,
                    last_used_at: token.last_used_at,
                    rules: token.rules,
                    hash: token.hash,
                })
                .collect(),
            settings: snapshot
                .settings
                .into_iter()
                .map(|(name, (value, changed_at))| {
                    let value = Secret::new(value);
                    (name, SavedSetting { value, changed_at })
                })
                .collect(),
            // Google is asked again.
            express: Vec::new(),
        })
    }

    /// What was read last, when the database is known to be away.
    pub(super) fn last_when_away(&self) -> Option<Arc<Loaded>> {
        match *self.inner.state.borrow() {
            DatabaseState::Unreachable { .. } => self.inner.last.load_full(),
            DatabaseState::Ready | DatabaseState::ReadOnly { .. } => None,
        }
    }

    /// Notes the numbers that the database has given to the keys and tokens of the
    /// environment, in their order.
    pub(super) fn number_environment(
        &self,
        keys: Vec<(i64, Secret)>,
        tokens: Vec<(i64, [u8; 32])>,
    ) {
        let last = self.inner.last.load_full().unwrap_or_default();
        let mut environment = self.inner.environment.lock();
        for (id, secret) in &keys {
            let was = last.keys.iter().find(|key| key.secret == *secret);
            // Any other number belongs to another row, e.g. of the database before a restore.
            if let Some(was) = was.filter(|was| is_unnumbered(was.id)) {
                environment.renumbered_keys.insert(was.id, *id);
            }
        }
        for (id, hash) in &tokens {
            let was = last.tokens.iter().find(|token| token.hash == *hash);
            if let Some(was) = was.filter(|was| is_unnumbered(was.id)) {
                environment.renumbered_tokens.insert(was.id, *id);
            }
        }
        environment.keys = keys.into_iter().collect();
        environment.tokens = tokens.into_iter().collect();
        self.inner
            .environment_written
            .store(true, Ordering::Relaxed);
        self.inner.settled.notify_one();
        if std::mem::take(&mut environment.unsettled) {
            drop(environment);
            // Records have waited for this.
            self.inner.state.send_modify(|_| {});
        }
    }

    /// Whether a record may name a key or a token by a number that is going to be exchanged.
    pub(super) fn is_unsettled(&self) -> bool {
        self.inner.environment.lock().unsettled
    }

    /// Whether this database knows the keys and tokens of the environment: not before it was
    /// reached, nor when a backup has taken its place.
    pub(crate) fn knows_environment(&self) -> bool {
        self.inner.environment_written.load(Ordering::Relaxed)
    }

    /// Returns when the environment has been written to a database: the first, or one that has
    /// taken another's place. One that nobody waited for is not forgotten.
    pub(crate) async fn settled(&self) {
        self.inner.settled.notified().await;
    }

    /// Another database has taken this one's place: everything has to be read.
    pub(super) fn was_exchanged(&self) {
        self.inner
            .environment_written
            .store(false, Ordering::Relaxed);
        self.read_again();
    }

    /// The number of a key in a record: one that was given while the database was away is
    /// exchanged for the lasting one, if there is one.
    pub(super) fn lasting_key(&self, id: i64) -> Option<i64> {
        let environment = self.inner.environment.lock();
        lasting(&environment.renumbered_keys, id)
    }

    /// The same for a token.
    pub(super) fn lasting_token(&self, id: i64) -> Option<i64> {
        let environment = self.inner.environment.lock();
        lasting(&environment.renumbered_tokens, id)
    }

    fn snapshot_path(&self) -> PathBuf {
        self.inner.data_dir.join(FILE)
    }
}

/// The number of an environment's key or token until the database gives it one.
fn unnumbered(at: usize) -> i64 {
    UNNUMBERED.saturating_sub(i64::try_from(at).unwrap_or_default())
}

/// Whether the number is one of [`unnumbered`].
pub(super) fn is_unnumbered(id: i64) -> bool {
    id <= UNNUMBERED
}

fn lasting(renumbered: &HashMap<i64, i64>, id: i64) -> Option<i64> {
    match renumbered.get(&id) {
        Some(lasting) => Some(*lasting),
        None => (!is_unnumbered(id)).then_some(id),
    }
}
