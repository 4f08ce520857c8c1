//! Whether the database can be used: one state machine ([`DatabaseState`]), moved by what
//! comes of using it.

use std::sync::atomic::Ordering;

use contract::admin::{DatabaseState, Engine};
use tokio::sync::watch;

use super::database::{Via, query};
use super::{DatabaseConfig, Place, Store, StoreError, mysql, revision_in};

/// What [`Store::tend`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// Memory shows what is in the database.
    Unchanged,
    /// Keys, tokens or settings have changed in the database, or it was reached for the
    /// first time: they have to be read.
    Changed,
    /// It is away.
    Away,
}

impl Store {
    /// Whether the database can be used.
    pub fn state(&self) -> DatabaseState {
        self.inner.state.borrow().clone()
    }

    /// The same, to wait for changes of. One is also told of when records can be written that
    /// could not for another reason.
    pub fn watch_state(&self) -> watch::Receiver<DatabaseState> {
        self.inner.state.subscribe()
    }

    /// Which database it is, for people.
    pub fn engine(&self) -> Engine {
        match (&self.inner.config, &*self.inner.place) {
            (DatabaseConfig::Mysql(config), Place::Mysql { server, database }) => Engine::Mysql {
                server: server.clone(),
                database: database.clone(),
                version: self.inner.version.lock().clone(),
                tls: config.is_encrypted(),
            },
            (_, place) => Engine::Sqlite {
                path: match place {
                    Place::Sqlite(path) => path.display().to_string(),
                    Place::Mysql { .. } => String::new(),
                },
            },
        }
    }

    /// Moves the state by what came of a use of the database. Only what concerns the whole
    /// database moves it: a mistake in one statement does not. As long as there are no
    /// connections, whatever stands in their way does.
    pub(crate) fn note(&self, result: &Result<(), StoreError>) {
        let now = self.inner.clock.now();
        let is_unconnected = self.inner.connections.load().is_none();
        self.inner.state.send_if_modified(|state| {
            let next = match result {
                Ok(()) => DatabaseState::Ready,
                // Said of one that is known to be away, or is being exchanged.
                Err(StoreError::Away(_) | StoreError::Closed(_)) => return false,
                Err(error) if error.is_outage() || is_unconnected => DatabaseState::Unreachable {
                    since: match *state {
                        DatabaseState::Unreachable { since, .. } => since,
                        _ => now,
                    },
                    message: error.to_string(),
                },
                Err(error) if error.is_read_only() => DatabaseState::ReadOnly {
                    since: match *state {
                        DatabaseState::ReadOnly { since, .. } => since,
                        _ => now,
                    },
                    message: error.to_string(),
                },
                Err(_) => return false,
            };
            if *state == next {
                return false;
            }
            match &next {
                DatabaseState::Ready => {
                    self.inner.said.lock().clear();
                    tracing::info!("the database can be used again");
                }
                // Every reason once: the last of them is what is to be mended.
                DatabaseState::Unreachable { message, .. }
                | DatabaseState::ReadOnly { message, .. } => {
                    if *self.inner.said.lock() != *message {
                        self.inner.said.lock().clone_from(message);
                        tracing::error!(
                            error = message,
                            "the database cannot be used; requests go on from memory"
                        );
                    }
                }
            }
            *state = next;
            true
        });
    }

    /// Looks after the database: connects when it is away, and notices what other processes
    /// changed. To be called every second or so; answers [`Tended::Changed`] once for every
    /// change.
    pub async fn tend(&self) -> Tended {
        match self.look().await {
            Ok(revision) => {
                let seen = self.inner.revision.swap(revision, Ordering::Relaxed);
                if seen == revision {
                    Tended::Unchanged
                } else {
                    Tended::Changed
                }
            }
            Err(_) => Tended::Away,
        }
    }

    /// Returns when a change was made through this store, which the next [`Store::tend`] then
    /// tells of. One that nobody waited for is not forgotten.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    async fn look(&self) -> Result<i64, StoreError> {
        let result = self.try_look().await;
        match &result {
            // Reading says nothing about writing.
            Ok(_) if matches!(self.state(), DatabaseState::ReadOnly { .. }) => {
                let written = self.try_write().await;
                self.note(&written);
            }
            Ok(_) => self.note(&Ok(())),
            Err(error) => self.note(&Err(error.clone())),
        }
        result
    }

    /// Asks the database itself, whatever its state is said to be.
    async fn try_look(&self) -> Result<i64, StoreError> {
        // A server that was never reached is connected to here, and a file that could not be
        // opened again after an exchange.
        let connections = match self.inner.connections.load_full() {
            Some(connections) => connections,
            None => {
                let Ok(_exchange) = self.inner.exchange.try_lock() else {
                    return self.db().map(|_| 0);
                };
                self.connect().await?;
                match self.inner.connections.load_full() {
                    Some(connections) => connections,
                    None => return self.db().map(|_| 0),
                }
            }
        };
        let DatabaseConfig::Mysql(config) = &self.inner.config else {
            return revision_in(connections.read()).await;
        };
        if matches!(self.state(), DatabaseState::Unreachable { .. }) {
            mysql::probe(config).await?;
        }
        match revision_in(connections.read()).await {
            Err(StoreError::Unreachable { .. }) => {
                mysql::probe(config).await?;
                match revision_in(connections.read()).await {
                    // The server answers and its old connections do not: a machine between has
                    // forgotten them. They would be waited for until the system gives them up.
                    Err(StoreError::Unreachable { .. }) => {
                        self.connect().await?;
                        match self.inner.connections.load_full() {
                            Some(connections) => revision_in(connections.read()).await,
                            None => self.db().map(|_| 0),
                        }
                    }
                    result => result,
                }
            }
            result => result,
        }
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        touch(self.db()?.write()).await
    }

    /// What was read from the database now shows this revision.
    pub(crate) fn has_read(&self, revision: i64) {
        self.inner.revision.store(revision, Ordering::Relaxed);
    }

    /// Lets the next [`Store::tend`] answer [`Tended::Changed`] once more.
    pub fn read_again(&self) {
        self.has_read(-1);
    }

    /// How many changes of keys, tokens and settings there have been, as far as memory shows.
    pub fn revision(&self) -> i64 {
        self.inner.revision.load(Ordering::Relaxed)
    }
}

/// Writes without changing anything, to see whether that can be done.
pub(super) async fn touch(via: Via<'_>) -> Result<(), StoreError> {
    query("UPDATE counters SET value = value WHERE name = 'revision'")
        .execute(via)
        .await
        .map(drop)
}
