//! What survives a restart: keys, client tokens, sessions, settings, request records.
//!
//! The only module that names `sqlx`. A statement is written once for both engines, see
//! [`database`].
//!
//! Nothing on the request path waits for this module: the pool and the client tokens are
//! read into memory at start ([`Store::load`]), and records arrive through
//! [`crate::record::Recorder`]. A MySQL server may be away, also at start: then
//! [`Store::db`] fails at once, what was last loaded stays in force, and
//! [`Store::tend`] connects again.
//!
//! Deliberately absent: secrets in clear, unless the user agreed to that (see [`seal`]).
//! Keys are sealed with the master key, tokens, session cookies and the password are hashed.

mod backfill;
mod backup;
mod database;
mod documents;
mod error;
mod express;
mod facts;
mod inspect;
mod keys;
mod loaded;
mod log;
mod memory;
mod mysql;
mod original;
mod original_log;
mod owners;
mod requests;
mod retention;
mod seal;
mod sessions;
mod settings;
mod sqlite;
mod state;
mod sums;
mod taken;
#[cfg(test)]
mod tests;
mod tokens;
mod turns;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use contract::Millis;
use contract::admin::{DatabaseState, Sealing};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use vault::{MasterKey, Secret};

use self::database::{Connections, Tx, Via, query};
use crate::clock::Clock;
pub use documents::Document;
pub use error::{Place, StoreError};
pub use facts::Facts;
pub use inspect::inspect;
pub use keys::{FoundKey, StoredKey};
pub use loaded::Loaded;
pub use log::Place as LogPlace;
pub use mysql::{MysqlConfig, TlsMode};
pub(crate) use original::{Findings, FoundSetting, Original, Source};
pub(crate) use requests::Batch;
pub use requests::FailedRequest;
pub use retention::Keep;
use seal::Seal;
pub use sessions::{StoredFactor, StoredSession};
pub(crate) use settings::{
    Change, Inverse, KeyChoice, KeyWas, Made, NewAudit, SettingsState, TokenChoice, TokenWas,
    names_of,
};
pub use settings::{FoundToken, SavedSetting, SavedSettings};
pub use state::Tended;
pub use sums::{SumKind, Tally, Totals};
pub use taken::{Author, TakenIn, ToTakeIn};
#[cfg(test)]
pub(crate) use tests::{rows_from_outside, run_from_outside};
pub use tokens::StoredToken;
pub(crate) use tokens::sha256;
pub use turns::Turn;

/// How long a start waits for a server to be connected to, looked into and migrated. Then one
/// goes on without it, and [`Store::tend`] goes on trying.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// Which database to use, and what seals the secrets in it.
pub struct StoreConfig {
    /// The database.
    pub database: DatabaseConfig,
    /// What seals the secrets; when `sealing` is [`Sealing::NotStored`], a key that is
    /// forgotten with the process.
    pub master: MasterKey,
    /// Where the master key comes from.
    pub sealing: Sealing,
    /// The folder for what is kept beside a database that may be away.
    pub data_dir: PathBuf,
}

/// A database.
pub enum DatabaseConfig {
    /// A file of our own; it and its folder are made when they do not exist.
    Sqlite(PathBuf),
    /// A server.
    Mysql(MysqlConfig),
}

/// The database. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: DatabaseConfig,
    place: Arc<Place>,
    data_dir: PathBuf,
    /// Absent as long as the database has never been reached, and while it is exchanged.
    connections: ArcSwapOption<Connections>,
    /// Held by whoever copies the file or exchanges it.
    exchange: tokio::sync::Mutex<()>,
    state: watch::Sender<DatabaseState>,
    /// Why it cannot be used, as was last said in the log.
    said: Mutex<String>,
    /// What the server calls itself; empty for SQLite, and when it was never reached.
    version: Mutex<String>,
    seal: ArcSwap<Seal>,
    clock: Clock,
    started_at: Millis,
    /// What was deleted before that is wiped.
    wiped: AtomicBool,
    /// The secrets of the environment, which are known without the database.
    environment: Mutex<Environment>,
    /// The database knows the keys and tokens of the environment.
    environment_written: AtomicBool,
    /// What was last read, for when the database is away.
    last: ArcSwapOption<Loaded>,
    /// The revision of the database that memory shows.
    revision: AtomicI64,
    /// Woken by every change that was made here.
    changed: Notify,
    /// Woken when the environment has been written to a database.
    settled: Notify,
}

/// The secrets of the environment by their numbers.
#[derive(Default)]
struct Environment {
    keys: HashMap<i64, Secret>,
    /// SHA-256. They are hashed for the pool of accepted tokens here and not in the
    /// database, see `client_tokens.hash`.
    tokens: HashMap<i64, [u8; 32]>,
    /// Numbers given while the database was away, and the ones they have since.
    renumbered_keys: HashMap<i64, i64>,
    renumbered_tokens: HashMap<i64, i64>,
    /// Numbers were given while the database was away, and it has not exchanged them yet.
    unsettled: bool,
}

impl Store {
    /// Opens the database, makes or migrates its tables, and wipes what was deleted in the
    /// last run. A server that cannot be reached is no error: see [`Store::state`].
    ///
    /// # Errors
    /// See [`StoreError`]; a database that cannot be used is left as it is.
    pub async fn open(config: StoreConfig, clock: Clock) -> Result<Self, StoreError> {
        let store = Self::unopened(config, clock);
        let connecting = Box::pin(store.connect());
        let connected = match store.is_mysql() {
            true => mysql::within(START_PATIENCE, &store.inner.place, connecting).await,
            false => connecting.await,
        };
        match connected {
            Ok(()) => Ok(store),
            Err(error) if store.is_mysql() && error.may_pass() => {
                store.note(&Err(error));
                Ok(store)
            }
            Err(error) => Err(error),
        }
    }

    /// The same for who works on the database and ends: a server has to be there.
    ///
    /// # Errors
    /// When the database cannot be used, or not be reached.
    pub async fn reach(config: StoreConfig, clock: Clock) -> Result<Self, StoreError> {
        let store = Self::open(config, clock).await?;
        store.ping().await?;
        Ok(store)
    }

    /// A store whose database has not been touched.
    pub(crate) fn unopened(config: StoreConfig, clock: Clock) -> Self {
        let StoreConfig {
            database,
            master,
            sealing,
            data_dir,
        } = config;
        let place = match &database {
            DatabaseConfig::Sqlite(path) => Place::Sqlite(path.clone()),
            DatabaseConfig::Mysql(config) => config.place(),
        };
        Self {
            inner: Arc::new(Inner {
                config: database,
                place: Arc::new(place),
                data_dir,
                connections: ArcSwapOption::empty(),
                exchange: tokio::sync::Mutex::default(),
                state: watch::Sender::new(DatabaseState::Ready),
                said: Mutex::default(),
                version: Mutex::default(),
                seal: ArcSwap::from_pointee(Seal::new(master, sealing)),
                started_at: clock.now(),
                wiped: AtomicBool::new(false),
                clock,
                environment: Mutex::default(),
                environment_written: AtomicBool::new(false),
                last: ArcSwapOption::empty(),
                revision: AtomicI64::new(-1),
                changed: Notify::new(),
                settled: Notify::new(),
            }),
        }
    }

    /// Opens, checks and migrates the database, and puts its connections in place.
    async fn connect(&self) -> Result<(), StoreError> {
        let connections = match &self.inner.config {
            DatabaseConfig::Sqlite(path) => sqlite::open(path, self.inner.clock.now()).await?,
            DatabaseConfig::Mysql(config) => {
                let (connections, version) = Box::pin(mysql::open(config)).await?;
                *self.inner.version.lock() = version;
                connections
            }
        };
        let connections = Arc::new(connections);
        match self.prepare(&connections).await {
            Ok(tidied) => {
                self.inner.connections.store(Some(connections));
                if tidied.is_err() {
                    self.note(&tidied);
                }
                Ok(())
            }
            Err(error) => {
                connections.close().await;
                Err(error)
            }
        }
    }

    /// The second result is that of what may wait: a server that can be read and takes nothing
    /// is good enough to serve from.
    async fn prepare(
        &self,
        connections: &Connections,
    ) -> Result<Result<(), StoreError>, StoreError> {
        self.check_seal(connections).await?;
        match self.tidy_up(connections).await {
            Err(error) if !(self.is_mysql() && error.is_read_only()) => Err(error),
            tidied => Ok(tidied),
        }
    }

    async fn tidy_up(&self, connections: &Connections) -> Result<(), StoreError> {
        if self.is_mysql() {
            // A change that changes no row is not refused by every server that is read-only.
            state::touch(connections.write()).await?;
        }
        self.wipe_deleted(connections).await?;
        self.look_for_unsummed(connections).await
    }

    /// Waits for running statements and closes the database. Later calls fail.
    pub async fn close(&self) {
        if let Some(connections) = self.inner.connections.swap(None) {
            connections.close().await;
        }
    }

    /// Whether the database is a server.
    pub fn is_mysql(&self) -> bool {
        matches!(self.inner.config, DatabaseConfig::Mysql(_))
    }

    /// Where the database is.
    pub fn place(&self) -> &Place {
        &self.inner.place
    }

    /// The folder for what is kept beside the database.
    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// A name for one that writes records in this run. Names of later runs sort behind it.
    pub fn new_writer_name(&self) -> String {
        let mut random = [0; 4];
        // Without random bytes two processes could take each other's batches for their own
        // only if they also started in the same millisecond.
        let _ = getrandom::fill(&mut random);
        let now = self.inner.clock.now();
        format!("{now:013}{:08x}", u32::from_ne_bytes(random))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What it says when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT 1 AS one FROM panel LIMIT 1")
            .fetch_optional(self.db()?.read())
            .await
            .map(drop)
    }

    /// What was deleted before this process started can no longer be restored: its secrets go,
    /// once. The rows stay, so that requests of then keep the names; of a token there is no
    /// secret, only a hash of random bits.
    async fn wipe_deleted(&self, connections: &Connections) -> Result<(), StoreError> {
        if self.inner.wiped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tx = connections.begin_exclusive().await?;
        query("UPDATE gemini_keys SET sealed = NULL, saved_state = NULL WHERE deleted_at <= ?")
            .bind(self.inner.started_at)
            .execute(&mut tx)
            .await?;
        query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(self.inner.clock.now())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        self.inner.wiped.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The connections. Fails at once while the database is known to be away, so that
    /// nobody waits for what will not come.
    fn db(&self) -> Result<Arc<Connections>, StoreError> {
        if let DatabaseState::Unreachable { .. } = &*self.inner.state.borrow() {
            return Err(StoreError::Away(self.inner.place.clone()));
        }
        self.inner
            .connections
            .load_full()
            .ok_or_else(|| StoreError::Closed(self.inner.place.clone()))
    }

    /// A transaction that may write and that no other change runs beside. Secrets are to be
    /// sealed within it: that the key is still the right one holds until its end.
    async fn begin(&self) -> Result<Tx, StoreError> {
        let mut tx = self.db()?.begin_exclusive().await?;
        self.refresh_seal(&mut tx).await?;
        Ok(tx)
    }

    /// Ends a transaction that changed keys, tokens or settings: by the revision all processes
    /// on the same database see that they have to read them anew. So does this one: whoever
    /// makes a change puts it into memory, but not into what is kept for when the database is
    /// away.
    async fn commit_change(&self, mut tx: Tx) -> Result<(), StoreError> {
        query("UPDATE counters SET value = value + 1 WHERE name = 'revision'")
            .execute(&mut tx)
            .await?;
        let result = tx.commit().await;
        // Also when no answer came: it may have been done.
        self.inner.changed.notify_one();
        result
    }

    /// The number of the newest migration that this version has.
    pub fn schema(&self) -> i64 {
        match self.inner.config {
            DatabaseConfig::Sqlite(_) => sqlite::newest_migration(),
            DatabaseConfig::Mysql(_) => mysql::newest_migration(),
        }
    }

    fn seal_failed(&self, error: vault::SealError) -> StoreError {
        let place = self.inner.place.clone();
        match error {
            vault::SealError::Refused => StoreError::OtherMasterKey(place),
            vault::SealError::NewerFormat => StoreError::Newer(place),
            vault::SealError::Random => StoreError::NoRandom,
        }
    }
}

impl Connections {
    /// For statements that only read.
    fn read(&self) -> Via<'_> {
        Via::Read(self)
    }

    /// For a single statement that writes and that nothing else depends on.
    fn write(&self) -> Via<'_> {
        Via::Write(self)
    }
}

/// The number of changes of keys, tokens and settings since the database was made.
async fn revision_in(via: impl Into<Via<'_>>) -> Result<i64, StoreError> {
    let row = query("SELECT value FROM counters WHERE name = 'revision'")
        .fetch_optional(via)
        .await?;
    row.map_or(Ok(0), |row| row.get("value"))
}
