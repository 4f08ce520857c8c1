//! Whose Google's resources are, see [`crate::memory`]. Their names are kept as hashes: that of a
//! session is all that it takes to go on with it.

use std::collections::HashMap;

use contract::Millis;
use sha2::{Digest as _, Sha256};

use super::database::{Tx, query, query_built};
use super::loaded::is_unnumbered;
use super::{Store, StoreError};
use crate::memory::Owner;

/// How many are kept; the oldest go.
const MOST: i64 = 50_000;
/// How many of one client are kept; its oldest go.
const MOST_OF_A_CLIENT: i64 = 10_000;
/// How long one is kept after it was last made known, unless Google keeps it without end. Google
/// keeps interactions for 55 days (<https://ai.google.dev/gemini-api/docs/interactions>), files for
/// two.
const KEPT: Millis = 60 * 24 * 60 * 60 * 1_000;

const DAY: Millis = 24 * 60 * 60 * 1_000;

/// A resource that is somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownOwner {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// It was not made known today, so that one who uses it should do that.
    pub is_old: bool,
}

/// What a name is found by.
fn id_of(name: &str) -> String {
    let hash = Sha256::digest(name.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The collection that a resource is in.
fn kind_of(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

impl Store {
    /// Whose the resources of these names are; those that are not known are left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn resource_owners(
        &self,
        names: &[&str],
    ) -> Result<Vec<KnownOwner>, StoreError> {
        let by_id: HashMap<String, &str> = names.iter().map(|name| (id_of(name), *name)).collect();
        if by_id.is_empty() {
            return Ok(Vec::new());
        }
        let places = vec!["?"; by_id.len()].join(", ");
        let mut statement = query_built(format!(
            "SELECT id, owner, key_id, at FROM resource_owners WHERE id IN ({places})"
        ));
        for id in by_id.keys() {
            statement = statement.bind(id);
        }
        let rows = statement.fetch_all(self.db()?.read()).await?;
        let now = self.inner.clock.now();
        let mut owners = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: String = row.get("id")?;
            let client: String = row.get("owner")?;
            let owner = Owner {
                client: client.into(),
                key: row.get("key_id")?,
            };
            let at: Millis = row.get("at")?;
            if let Some(name) = by_id.get(&id) {
                owners.push(KnownOwner {
                    name: (*name).to_owned(),
                    owner,
                    is_old: now.saturating_sub(at) > DAY,
                });
            }
        }
        Ok(owners)
    }

    /// The numbers of the keys that a client has resources of a collection at.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn resource_keys(
        &self,
        client: &str,
        collection: &str,
    ) -> Result<Vec<i64>, StoreError> {
        let rows = query(
            "SELECT DISTINCT key_id FROM resource_owners WHERE owner = ? AND kind = ? \
             ORDER BY key_id",
        )
        .bind(client)
        .bind(collection)
        .fetch_all(self.db()?.read())
        .await?;
        rows.iter().map(|row| row.get("key_id")).collect()
    }
}

/// Writes whose a resource is.
pub(super) async fn put(
    tx: &mut Tx,
    name: &str,
    owner: &Owner,
    now: Millis,
) -> Result<(), StoreError> {
    // The number that it has after the next start is another one.
    if is_unnumbered(owner.key) {
        return Ok(());
    }
    drop_one(tx, name).await?;
    query("INSERT INTO resource_owners (id, owner, kind, key_id, at) VALUES (?, ?, ?, ?, ?)")
        .bind(id_of(name))
        .bind(&*owner.client)
        .bind(kind_of(name))
        .bind(owner.key)
        .bind(now)
        .execute(tx)
        .await
        .map(drop)
}

/// Deletes what is known of a resource.
pub(super) async fn drop_one(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    drop_id(tx, &id_of(name)).await
}

async fn drop_id(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM resource_owners WHERE id = ?")
        .bind(id)
        .execute(tx)
        .await
        .map(drop)
}

/// Deletes what is too old or too much.
pub(super) async fn bound(tx: &mut Tx, now: Millis) -> Result<(), StoreError> {
    query(
        "DELETE FROM resource_owners WHERE at < ? \
         AND kind NOT IN ('corpora', 'fileSearchStores', 'tunedModels')",
    )
    .bind(now - KEPT)
    .execute(&mut *tx)
    .await?;
    let counts = query("SELECT owner, COUNT(*) AS n FROM resource_owners GROUP BY owner")
        .fetch_all(&mut *tx)
        .await?;
    let mut all = 0;
    for row in &counts {
        let (owner, count) = (row.get::<String>("owner")?, row.get::<i64>("n")?);
        all += count.min(MOST_OF_A_CLIENT);
        if count <= MOST_OF_A_CLIENT {
            continue;
        }
        let oldest =
            query("SELECT id FROM resource_owners WHERE owner = ? ORDER BY at, id LIMIT ?")
                .bind(owner)
                .bind(count - MOST_OF_A_CLIENT)
                .fetch_all(&mut *tx)
                .await?;
        for row in &oldest {
            drop_id(tx, &row.get::<String>("id")?).await?;
        }
    }
    if all <= MOST {
        return Ok(());
    }
    let oldest = query("SELECT id FROM resource_owners ORDER BY at, id LIMIT ?")
        .bind(all - MOST)
        .fetch_all(&mut *tx)
        .await?;
    for row in &oldest {
        drop_id(tx, &row.get::<String>("id")?).await?;
    }
    Ok(())
}
