//! Whose Google's resources are: files, cached contents, operations, interactions and the like
//! belong to one project, which only the key that made them reaches, and to the client that asked
//! for them.
//!
//! Bounded as [`super::signatures`] are, by generations. What is not in memory any more, or was
//! made by another server, is found in the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Scribe;
use super::scribe::Note;
use crate::store::Store;

/// The most that one of the two generations holds.
const GENERATION: usize = 10_000;
/// How long the database may take to answer a request that waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The database does not answer.
#[derive(Debug)]
pub(crate) struct Unknown;

/// Whose something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// What the client's token is called where others can read it.
    pub client: Arc<str>,
    /// The number of the key that reaches it.
    pub key: i64,
}

/// The owners of Google's resources, by name.
#[derive(Default)]
pub(crate) struct Owners {
    generations: Mutex<Generations>,
    scribe: Scribe,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Owner>,
    old: HashMap<Box<str>, Owner>,
}

impl Owners {
    /// An empty memory whose news `scribe` gets.
    pub fn new(scribe: Scribe) -> Self {
        Self {
            scribe,
            ..Self::default()
        }
    }

    /// Remembers whose the resource of this name is.
    pub fn remember(&self, name: &str, owner: Owner) {
        let is_known = {
            let mut generations = self.generations.lock();
            let is_known = generations.get(name).as_ref() == Some(&owner);
            generations.put(name.into(), owner.clone());
            is_known
        };
        if !is_known {
            self.scribe.note(Note::Owns {
                name: name.to_owned(),
                owner,
            });
        }
    }

    /// Forgets a resource that is deleted.
    pub fn forget(&self, name: &str) {
        {
            let mut generations = self.generations.lock();
            generations.young.remove(name);
            generations.old.remove(name);
        }
        self.scribe.note(Note::Disowned {
            name: name.to_owned(),
        });
    }

    /// The keys that a client has resources of a collection at: those in memory, and those that the
    /// database knows as long as it answers. In no order, each perhaps several times.
    pub async fn keys(&self, store: &Store, client: &str, collection: &str) -> Vec<i64> {
        let mut keys = match store.resource_keys(client, collection).await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "the keys of resources cannot be read");
                Vec::new()
            }
        };
        let is_of = |name: &str| {
            let rest = name.strip_prefix(collection);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let generations = self.generations.lock();
        let all = generations.young.iter().chain(&generations.old);
        let own = all.filter(|(name, owner)| *owner.client == *client && is_of(name));
        keys.extend(own.map(|(_, owner)| owner.key));
        keys
    }

    /// Whose the resources of these names are, each that is known with its name. The database is
    /// asked only for what is not in memory.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn find(
        &self,
        store: &Store,
        names: &[&str],
    ) -> Result<HashMap<String, Owner>, Unknown> {
        let mut found = HashMap::with_capacity(names.len());
        let mut missing = Vec::new();
        {
            let mut generations = self.generations.lock();
            for name in names {
                match generations.get(name) {
                    Some(owner) => {
                        found.insert((*name).to_owned(), owner);
                    }
                    None => missing.push(*name),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let owners = tokio::time::timeout(PATIENCE, store.resource_owners(&missing)).await;
        let owners = match owners {
            Ok(Ok(owners)) => owners,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the owners of resources cannot be read");
                return Err(Unknown);
            }
            Err(_) => {
                tracing::warn!("the database takes too long to tell the owners of resources");
                return Err(Unknown);
            }
        };
        let mut generations = self.generations.lock();
        for known in owners {
            generations.put(known.name.as_str().into(), known.owner.clone());
            if known.is_old {
                self.scribe.note(Note::Owns {
                    name: known.name.clone(),
                    owner: known.owner.clone(),
                });
            }
            found.insert(known.name, known.owner);
        }
        Ok(found)
    }
}

impl Generations {
    fn put(&mut self, name: Box<str>, owner: Owner) {
        self.young.insert(name, owner);
        if self.young.len() > GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn get(&mut self, name: &str) -> Option<Owner> {
        if let Some(owner) = self.young.get(name) {
            return Some(owner.clone());
        }
        // Asked for, so it stays.
        let (name, owner) = self.old.remove_entry(name)?;
        let found = owner.clone();
        self.put(name, owner);
        Some(found)
    }
}
