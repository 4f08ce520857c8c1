//! How secrets are kept: sealed with the master key, or in clear after the user agreed.
//!
//! On a server database without a master key ([`Sealing::NotStored`]) no secret is written:
//! those of the environment are in memory, and new ones are refused. Who agrees to storing
//! them in clear gets a master key that is in the database itself ([`CLEAR_KEY`]), so there
//! is one way of writing and reading, and a real key that comes later seals everything anew.

use std::sync::Arc;

use contract::admin::Sealing;
use vault::{MasterKey, Secret};

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
}

/// Where sealed things are. `identity` is an expression for what each is sealed for.
struct Sealed {
    table: &'static str,
    key: &'static str,
    column: &'static str,
    identity: fn(&str) -> String,
}

/// Every column that holds sealed secrets.
const SEALED: [Sealed; 5] = [
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
        match (seal.sealing, clear, check) {
            // Agreed to earlier, in this process or in another.
            (Sealing::NotStored | Sealing::Clear, Some(master), _) => {
                let sealing = Sealing::Clear;
                self.inner.seal.store(Seal { master, sealing }.into());
            }
            (Sealing::NotStored, None, None) => {}
            // A key has come: what was in clear is sealed with it.
            (_, Some(clear), _) => {
                self.reseal(&mut tx, &clear, &seal.master).await?;
                query("DELETE FROM panel WHERE name = ?")
                    .bind(CLEAR_KEY)
                    .execute(&mut tx)
                    .await?;
                tracing::info!("the secrets that were stored in clear are sealed now");
            }
            (_, None, Some(sealed)) => {
                seal.master
                    .open(&panel_place(CHECK), &sealed)
                    .map_err(|error| self.seal_failed(error))?;
            }
            (_, None, None) => self.put_check(&mut tx, &seal.master).await?,
        }
        tx.commit().await
    }

    async fn put_check(&self, tx: &mut Tx, master: &MasterKey) -> Result<(), StoreError> {
        let sealed = master
            .seal(&panel_place(CHECK), &CHECK.into())
            .map_err(|error| self.seal_failed(error))?;
        put_panel_value(tx, CHECK, sealed).await
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
        self.commit_change(tx).await?;
        let sealing = Sealing::Clear;
        self.inner.seal.store(Seal { master, sealing }.into());
        Ok(())
    }

    /// Seals every secret with another master key, which is used from now on.
    ///
    /// # Errors
    /// When the database cannot be written; then the old key stays in use.
    pub async fn rotate_master(&self, new: MasterKey, sealing: Sealing) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = self.inner.seal.load_full();
        self.reseal(&mut tx, &old.master, &new).await?;
        self.commit_change(tx).await?;
        self.inner.seal.store(
            Seal {
                master: new,
                sealing,
            }
            .into(),
        );
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
                let secret = old
                    .open(&identity, &sealed)
                    .map_err(|error| self.seal_failed(error))?;
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
