//! How secrets are kept: sealed with the master key, or in clear after the user agreed.
//!
//! On a server database without a master key ([`Sealing::NotStored`]) no secret is written:
//! those of the environment are in memory, and new ones are refused. Who agrees to storing
//! them in clear gets a master key that is in the database itself ([`CLEAR_KEY`]), so there
//! is one way of writing and reading, and a real key that comes later seals everything anew.
//!
//! The key can be replaced while servers run ([`Store::rotate_key_file`],
//! [`Store::rotate_secret_key`]). The transaction that seals everything anew is the only point
//! of no return. Every other change looks, in its own transaction, whether the check is still
//! the one it knows ([`Store::refresh_seal`]), so nothing sealed with an old key is ever
//! written after a new one; and what cannot be opened is first looked at in that light.

use std::sync::Arc;

use contract::admin::{Actor, AuditAction, Sealing};
use vault::{KeyFile, KeyFileError, MasterKey, Secret};

use super::database::{Connections, Tx, Via, query, query_built};
use super::{Store, StoreError};

/// Sealed at the very first start with a master key.
const CHECK: &str = "seal_check";
/// The master key of a database whose user agreed to storing secrets in clear.
const CLEAR_KEY: &str = "clear_key";

/// What seals secrets now.
pub(super) struct Seal {
    pub(super) master: MasterKey,
    pub(super) sealing: Sealing,
    /// What the database has at [`CHECK`], as far as is known here.
    check: Option<Vec<u8>>,
    /// The database was sealed anew with a key that is not known here.
    is_stale: bool,
}

impl Seal {
    /// Of what one starts with; the database has not been asked yet.
    pub(super) fn new(master: MasterKey, sealing: Sealing) -> Self {
        Self {
            master,
            sealing,
            check: None,
            is_stale: false,
        }
    }

    fn checked(master: MasterKey, sealing: Sealing, check: Vec<u8>) -> Self {
        Self {
            check: Some(check),
            ..Self::new(master, sealing)
        }
    }

    fn opens(&self, check: &[u8]) -> bool {
        self.master.open(&panel_place(CHECK), check).is_ok()
    }
}

/// What [`Store::refresh_seal`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refreshed {
    /// The key is the one that was known.
    Same,
    /// Another key has been put in use here.
    Another,
}

/// Where sealed things are. `identity` is an expression for what each is sealed for.
struct Sealed {
    table: &'static str,
    key: &'static str,
    column: &'static str,
    identity: fn(&str) -> String,
}

/// Every column that holds sealed secrets.
const SEALED: [Sealed; 7] = [
    Sealed {
        table: "gemini_keys",
        key: "identity",
        column: "sealed",
        identity: key_place,
    },
    Sealed {
        table: "settings",
        key: "name",
        column: "sealed",
        identity: setting_place,
    },
    Sealed {
        table: "environment_seen",
        key: "name",
        column: "sealed",
        identity: seen_place,
    },
    Sealed {
        table: "audit",
        key: "id",
        column: "inverse",
        identity: audit_place,
    },
    Sealed {
        table: "documents",
        key: "name",
        column: "sealed",
        identity: document_place,
    },
    Sealed {
        table: "kept_responses",
        key: "id",
        column: "sealed",
        identity: kept_place,
    },
    Sealed {
        table: "panel",
        key: "name",
        column: "value",
        identity: panel_place,
    },
];

/// What of the table `panel` is sealed.
pub(super) const SEALED_PANEL: [&str; 2] = [CHECK, "totp"];

pub(super) fn key_place(identity: &str) -> String {
    format!("gemini_keys/{identity}")
}

pub(super) fn setting_place(name: &str) -> String {
    format!("settings/{name}")
}

pub(super) fn seen_place(name: &str) -> String {
    format!("environment_seen/{name}")
}

/// The same for all entries: their numbers are not known when they are sealed.
pub(super) fn audit_place(_: &str) -> String {
    "audit/inverse".to_owned()
}

pub(super) fn document_place(name: &str) -> String {
    format!("documents/{name}")
}

pub(super) fn kept_place(id: &str) -> String {
    format!("kept_responses/{id}")
}

pub(super) fn panel_place(name: &str) -> String {
    format!("panel/{name}")
}

impl Store {
    /// How secrets are kept.
    pub fn sealing(&self) -> Sealing {
        self.inner.seal.load().sealing
    }

    /// The master key, unless it is one that is forgotten with the process.
    pub(super) fn lasting_master(&self) -> Option<Arc<Seal>> {
        let seal = self.inner.seal.load_full();
        (seal.sealing != Sealing::NotStored).then_some(seal)
    }

    /// Seals a secret for its place.
    pub(super) fn seal(&self, place: &str, secret: &Secret) -> Result<Vec<u8>, StoreError> {
        let seal = self.inner.seal.load();
        if seal.sealing == Sealing::NotStored {
            return Err(StoreError::NoSealingKey);
        }
        if seal.is_stale {
            return Err(StoreError::OtherMasterKey(self.inner.place.clone()));
        }
        seal.master
            .seal(place, secret)
            .map_err(|error| self.seal_failed(error))
    }

    /// Opens what [`Store::seal`] made for the same place.
    pub(super) fn unseal(&self, place: &str, sealed: &[u8]) -> Result<Secret, StoreError> {
        self.inner
            .seal
            .load()
            .master
            .open(place, sealed)
            .map_err(|error| self.seal_failed(error))
    }

    /// Opens what was sealed at the very first start: another master key is noticed now and
    /// not at the first request. Settles which key is used.
    pub(super) async fn check_seal(&self, connections: &Connections) -> Result<(), StoreError> {
        let mut tx = connections.begin_exclusive().await?;
        let clear = panel_value(&mut tx, CLEAR_KEY).await?;
        let check = panel_value(&mut tx, CHECK).await?;
        let seal = self.inner.seal.load_full();
        let clear = clear
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(MasterKey::from_bytes);
        let settled = match (seal.sealing, clear, check) {
            // Agreed to earlier, in this process or in another.
            (Sealing::NotStored | Sealing::Clear, Some(master), check) => Some(Seal {
                check,
                ..Seal::new(master, Sealing::Clear)
            }),
            (Sealing::NotStored, None, None) => None,
            // A key has come: what was in clear is sealed with it.
            (_, Some(clear), _) => {
                self.reseal(&mut tx, &clear, &seal.master).await?;
                query("DELETE FROM panel WHERE name = ?")
                    .bind(CLEAR_KEY)
                    .execute(&mut tx)
                    .await?;
                tracing::info!("the secrets that were stored in clear are sealed now");
                let check = panel_value(&mut tx, CHECK).await?;
                Some(Seal {
                    check,
                    ..Seal::new(seal.master.clone(), seal.sealing)
                })
            }
            (_, None, Some(check)) => {
                let master = match seal.opens(&check) {
                    true => seal.master.clone(),
                    false => self
                        .key_of_rotation(&check)
                        .ok_or_else(|| StoreError::OtherMasterKey(self.inner.place.clone()))?,
                };
                // A rotation holds this transaction's lock from before it writes the new key's
                // file until it has sealed with it. So a file that is here now is either the
                // one in use, or was left by a rotation that did not get that far. (The lock of
                // a backup's copy says nothing.)
                if connections.place == self.inner.place {
                    self.tidy_key_files(seal.sealing, &master)?;
                }
                Some(Seal::checked(master, seal.sealing, check))
            }
            (_, None, None) => {
                let check = self.put_check(&mut tx, &seal.master).await?;
                Some(Seal::checked(seal.master.clone(), seal.sealing, check))
            }
        };
        tx.commit().await?;
        if let Some(settled) = settled {
            self.inner.seal.store(settled.into());
        }
        Ok(())
    }

    /// Whether a database that is to take this one's place is sealed with the key in use.
    /// Unlike [`Store::check_seal`] it settles nothing: nobody uses that database yet.
    pub(super) async fn check_foreign_seal(
        &self,
        connections: &Connections,
    ) -> Result<(), StoreError> {
        // What is in clear there is sealed as soon as it is in use.
        if panel_value(connections.read(), CLEAR_KEY).await?.is_some() {
            return Ok(());
        }
        let check = panel_value(connections.read(), CHECK).await?;
        match check.is_none_or(|check| self.inner.seal.load().opens(&check)) {
            true => Ok(()),
            false => Err(StoreError::OtherMasterKey(self.inner.place.clone())),
        }
    }

    /// Looks whether the database is still sealed with the key that is known here, and puts
    /// the new one in use where it can be found: in the key file, or beside it. Otherwise
    /// nothing is sealed any more until a new start ([`Store::seal`] refuses). Where secrets
    /// were not stored, finds that another server's user has agreed to storing them in clear.
    pub(super) async fn refresh_seal(
        &self,
        via: impl Into<Via<'_>>,
    ) -> Result<Refreshed, StoreError> {
        let seal = self.inner.seal.load_full();
        let rows = query("SELECT name, value FROM panel WHERE name IN (?, ?)")
            .bind(CHECK)
            .bind(CLEAR_KEY)
            .fetch_all(via)
            .await?;
        let (mut check, mut clear) = (None, None);
        for row in &rows {
            let value: Vec<u8> = row.get("value")?;
            match row.get::<String>("name")?.as_str() {
                CHECK => check = Some(value),
                _ => clear = <[u8; 32]>::try_from(value).ok().map(MasterKey::from_bytes),
            }
        }
        if seal.sealing == Sealing::NotStored {
            let Some(master) = clear else {
                return Ok(Refreshed::Same);
            };
            tracing::info!("secrets are stored in clear from now on: that was agreed to elsewhere");
            let agreed = Seal {
                check,
                ..Seal::new(master, Sealing::Clear)
            };
            self.inner.seal.store(agreed.into());
            return Ok(Refreshed::Another);
        }
        let Some(check) = check.filter(|check| seal.check.as_ref() != Some(check)) else {
            return Ok(Refreshed::Same);
        };
        if seal.opens(&check) {
            let same = Seal::checked(seal.master.clone(), seal.sealing, check);
            self.inner.seal.store(same.into());
            return Ok(Refreshed::Same);
        }
        if let Some(master) = self.key_of_rotation(&check) {
            tracing::info!("the sealing key was replaced; the new key file is in use");
            let new = Seal::checked(master, seal.sealing, check);
            self.inner.seal.store(new.into());
            return Ok(Refreshed::Another);
        }
        if !seal.is_stale {
            let error = StoreError::OtherMasterKey(self.inner.place.clone());
            tracing::error!(
                %error,
                "the sealing key was replaced; requests go on, but nothing secret can be saved \
                 until this server is started with the new one"
            );
            let stale = Seal {
                check: seal.check.clone(),
                is_stale: true,
                ..Seal::new(seal.master.clone(), seal.sealing)
            };
            self.inner.seal.store(stale.into());
        }
        Ok(Refreshed::Same)
    }

    /// Called when something cannot be opened: true when another key is in use since, so that
    /// reading once more helps.
    ///
    /// # Errors
    /// When the database was sealed anew with a key that is not known here.
    pub(super) async fn opens_after_all(&self, via: Via<'_>) -> Result<bool, StoreError> {
        let refreshed = self.refresh_seal(via).await?;
        if self.inner.seal.load().is_stale {
            return Err(StoreError::OtherMasterKey(self.inner.place.clone()));
        }
        Ok(refreshed == Refreshed::Another)
    }

    /// The key file; only where the key comes from there.
    fn key_file(&self) -> Option<KeyFile> {
        let seal = self.inner.seal.load();
        (seal.sealing == Sealing::KeyFile).then(|| KeyFile::in_folder(&self.inner.data_dir))
    }

    /// The key in the key file or beside it that opens the check.
    fn key_of_rotation(&self, check: &[u8]) -> Option<MasterKey> {
        let file = self.key_file()?;
        [file.clone(), file.replacement()].iter().find_map(|file| {
            let master = file
                .load()
                .inspect_err(|error| tracing::warn!(%error, "a key file cannot be read"))
                .ok()??;
            Seal::new(master.clone(), Sealing::KeyFile)
                .opens(check)
                .then_some(master)
        })
    }

    /// Leaves one key file, the one with `master`.
    fn tidy_key_files(&self, sealing: Sealing, master: &MasterKey) -> Result<(), StoreError> {
        if sealing != Sealing::KeyFile {
            return Ok(());
        }
        let file = KeyFile::in_folder(&self.inner.data_dir);
        let beside = file.replacement();
        // One that is damaged is of no rotation that got anywhere.
        let Ok(Some(new)) = beside.load() else {
            return Ok(());
        };
        if new.expose() == master.expose() {
            file.replace()?;
            tracing::info!("the new key file of a rotation that broke off is in its place");
        } else {
            beside.remove()?;
        }
        Ok(())
    }

    async fn put_check(&self, tx: &mut Tx, master: &MasterKey) -> Result<Vec<u8>, StoreError> {
        let sealed = master
            .seal(&panel_place(CHECK), &CHECK.into())
            .map_err(|error| self.seal_failed(error))?;
        put_panel_value(tx, CHECK, sealed.clone()).await?;
        Ok(sealed)
    }

    /// From now on secrets are stored in clear. Nothing happens when there is a key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn agree_to_clear(&self) -> Result<(), StoreError> {
        if self.sealing() != Sealing::NotStored {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let master = match panel_value(&mut tx, CLEAR_KEY).await? {
            Some(bytes) => <[u8; 32]>::try_from(bytes).ok().map(MasterKey::from_bytes),
            None => None,
        };
        let master = match master {
            Some(master) => master,
            None => {
                let master = MasterKey::random().map_err(|error| self.seal_failed(error))?;
                put_panel_value(&mut tx, CLEAR_KEY, master.expose().to_vec()).await?;
                self.put_check(&mut tx, &master).await?;
                master
            }
        };
        let check = panel_value(&mut tx, CHECK).await?;
        self.commit_change(tx).await?;
        let seal = Seal {
            check,
            ..Seal::new(master, Sealing::Clear)
        };
        self.inner.seal.store(seal.into());
        Ok(())
    }

    /// Makes a new key file and seals every secret with it. A crash at any point leaves a
    /// database that the next start opens: the new key is on the disk, beside the old one,
    /// before anything is sealed with it.
    ///
    /// # Errors
    /// When the secrets are not sealed with the key file, or it or the database cannot be
    /// written; then the old key stays in use.
    pub async fn rotate_key_file(&self) -> Result<(), StoreError> {
        let file = self.key_file().ok_or(StoreError::NoSealingKey)?;
        let new = MasterKey::random().map_err(|error| self.seal_failed(error))?;
        let mut tx = self.begin().await?;
        // The new key's place may hold the one in use, after a rotation that broke off.
        self.tidy_key_files(Sealing::KeyFile, &self.inner.seal.load().master)?;
        file.replacement().save(&new)?;
        let check = match self.seal_anew(&mut tx, &new).await {
            Ok(check) => check,
            Err(error) => {
                // Nothing was sealed with it. When the lock went with the connection, what
                // lies there may be another rotation's.
                if !error.is_outage() {
                    let _ = file.replacement().remove();
                }
                return Err(error);
            }
        };
        // From here on it is not known whether it is needed until the database has said so.
        self.finish_rotation(tx, new.clone(), Sealing::KeyFile, check)
            .await?;
        file.replace()?;
        match file.load()? {
            Some(found) if found.expose() == new.expose() => {}
            // Whatever happened to the file: without this key the secrets are lost.
            _ => file.save(&new)?,
        }
        Ok(())
    }

    /// Seals every secret with the key that another `SECRET_KEY` stands for.
    ///
    /// # Errors
    /// When secrets are not stored, or stored in clear, or the database cannot be written;
    /// then the old key stays in use.
    pub async fn rotate_secret_key(&self, new: MasterKey) -> Result<(), StoreError> {
        if matches!(self.sealing(), Sealing::NotStored | Sealing::Clear) {
            return Err(StoreError::NoSealingKey);
        }
        let mut tx = self.begin().await?;
        let check = self.seal_anew(&mut tx, &new).await?;
        self.finish_rotation(tx, new, Sealing::SecretKey, check)
            .await
    }

    /// Seals everything in the database with `new`; gives the new check.
    async fn seal_anew(&self, tx: &mut Tx, new: &MasterKey) -> Result<Vec<u8>, StoreError> {
        let old = self.inner.seal.load_full();
        if old.is_stale {
            return Err(StoreError::OtherMasterKey(self.inner.place.clone()));
        }
        self.reseal(tx, &old.master, new).await?;
        // A hash that the old key made; the next start makes it anew instead of taking
        // AUTH_TOKEN for another one.
        query("DELETE FROM panel WHERE name = ?")
            .bind(super::sessions::TOKEN_SEEN)
            .execute(&mut *tx)
            .await?;
        let entry =
            super::settings::NewAudit::plain(Actor::CommandLine, AuditAction::SealingKeyRotated);
        self.put_audit(tx, &entry).await?;
        self.put_check(tx, new).await
    }

    async fn finish_rotation(
        &self,
        tx: Tx,
        new: MasterKey,
        sealing: Sealing,
        check: Vec<u8>,
    ) -> Result<(), StoreError> {
        let old = self.inner.seal.load_full();
        self.commit_change(tx).await?;
        self.reseal_snapshot(&old.master, &new);
        let seal = Seal::checked(new, sealing, check);
        self.inner.seal.store(seal.into());
        Ok(())
    }

    async fn reseal(
        &self,
        tx: &mut Tx,
        old: &MasterKey,
        new: &MasterKey,
    ) -> Result<(), StoreError> {
        for place in SEALED {
            let Sealed {
                table,
                key,
                column,
                identity,
            } = place;
            let rows = query_built(format!(
                "SELECT {key} AS k, {column} AS s FROM {table} WHERE {column} IS NOT NULL"
            ))
            .fetch_all(&mut *tx)
            .await?;
            for row in rows {
                let (name, id) = match table {
                    "audit" => (String::new(), Some(row.get::<i64>("k")?)),
                    _ => (row.get::<String>("k")?, None),
                };
                if table == "panel" && !SEALED_PANEL.contains(&name.as_str()) {
                    continue;
                }
                let identity = identity(&name);
                let sealed: Vec<u8> = row.get("s")?;
                let secret = match old.open(&identity, &sealed) {
                    Ok(secret) => secret,
                    Err(vault::SealError::Refused) => {
                        // It was lost before, and must not keep the others from a new key.
                        tracing::error!(table, "a row cannot be opened; it is left as it is");
                        continue;
                    }
                    Err(error) => return Err(self.seal_failed(error)),
                };
                let sealed = new
                    .seal(&identity, &secret)
                    .map_err(|error| self.seal_failed(error))?;
                let update =
                    query_built(format!("UPDATE {table} SET {column} = ? WHERE {key} = ?"))
                        .bind(sealed);
                match id {
                    Some(id) => update.bind(id),
                    None => update.bind(&name),
                }
                .execute(&mut *tx)
                .await?;
                if table == "gemini_keys" {
                    query("UPDATE gemini_keys SET fingerprint = ? WHERE identity = ?")
                        .bind(
                            new.fingerprint(super::keys::FINGERPRINT, &secret)
                                .as_slice(),
                        )
                        .bind(&name)
                        .execute(&mut *tx)
                        .await?;
                }
            }
        }
        Ok(())
    }
}

impl From<KeyFileError> for StoreError {
    fn from(error: KeyFileError) -> Self {
        Self::KeyFile(Arc::new(error))
    }
}

/// A single fact about this instance.
pub(super) async fn panel_value(
    via: impl Into<Via<'_>>,
    name: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = query("SELECT value FROM panel WHERE name = ?")
        .bind(name)
        .fetch_optional(via)
        .await?;
    row.map(|row| row.get("value")).transpose()
}

/// Keeps a single fact about this instance in place of an earlier one.
pub(super) async fn put_panel_value(
    tx: &mut Tx,
    name: &str,
    value: Vec<u8>,
) -> Result<(), StoreError> {
    query("DELETE FROM panel WHERE name = ?")
        .bind(name)
        .execute(&mut *tx)
        .await?;
    query("INSERT INTO panel (name, value) VALUES (?, ?)")
        .bind(name)
        .bind(value)
        .execute(&mut *tx)
        .await
        .map(drop)
}
