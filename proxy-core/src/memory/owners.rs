//! Whose Google's resources are: files, cached contents, operations, interactions and the like
//! belong to one project, which only the key that made them reaches, and to the client that asked
//! for them.
//!
//! Bounded as [`super::signatures`] are, by generations. What is not in memory any more, or was
//! made by another server, is found in the database.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Scribe;
use super::scribe::Note;
use crate::store::Store;

/// The most that one of the two generations holds.
const GENERATION: usize = 10_000;

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
    /// asked only for what is not in memory; while it is away, that is nobody's.
    pub async fn find(&self, store: &Store, names: &[&str]) -> HashMap<String, Owner> {
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
            return found;
        }
        match store.resource_owners(&missing).await {
            Ok(owners) => {
                let mut generations = self.generations.lock();
                for (name, owner) in owners {
                    generations.put(name.as_str().into(), owner.clone());
                    found.insert(name, owner);
                }
            }
            Err(error) => tracing::warn!(%error, "the owners of resources cannot be read"),
        }
        found
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
