//! Backups of the SQLite database, of a core that runs and of one that does not: by schedule,
//! by hand, and going back to one.
//!
//! How a copy is made and takes the database's place is in [`crate::store`].

use std::path::Path;

use contract::Millis;
use contract::admin::{BackupReason, BackupView, Sealing};
use vault::MasterKey;

use crate::Core;
use crate::clock::Clock;
use crate::keeper;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

const HOUR_MS: Millis = 60 * 60 * 1_000;
/// How long after the start the very first scheduled backup is made: by then there is
/// something in the database. It is also the pause after one that failed.
const FIRST_MS: Millis = 10 * 60 * 1_000;

/// When the next scheduled backup is due. The last one is known from the folder, so a restart
/// makes no other.
#[derive(Debug)]
pub(crate) struct Schedule {
    started_at: Millis,
    last: Last,
    /// Not tried before then, because it failed.
    not_before: Millis,
}

#[derive(Debug)]
enum Last {
    /// Nobody has looked yet.
    Unknown,
    /// There is none.
    Never,
    At(Millis),
}

impl Schedule {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            started_at: now,
            last: Last::Unknown,
            not_before: now,
        }
    }

    /// Makes a backup if one is due, and deletes the oldest of more than `keep`.
    pub(crate) async fn run(&mut self, store: &Store, now: Millis, every_hours: u32, keep: u32) {
        if every_hours == 0 || store.is_mysql() || now < self.not_before {
            return;
        }
        if let Err(error) = self.try_run(store, now, every_hours, keep).await {
            tracing::warn!(%error, "the scheduled backup failed; it is tried again in ten minutes");
            self.not_before = now.saturating_add(FIRST_MS);
        }
    }

    async fn try_run(
        &mut self,
        store: &Store,
        now: Millis,
        every_hours: u32,
        keep: u32,
    ) -> Result<(), StoreError> {
        if let Last::Unknown = self.last {
            let newest = store
                .backups()?
                .into_iter()
                .find(|backup| backup.reason == BackupReason::Scheduled);
            self.last = newest.map_or(Last::Never, |backup| Last::At(backup.at));
        }
        let due = match self.last {
            Last::Unknown | Last::Never => now.saturating_sub(self.started_at) >= FIRST_MS,
            // A clock that was set back makes none wait for years.
            Last::At(at) => {
                !(0..HOUR_MS.saturating_mul(every_hours.into())).contains(&now.saturating_sub(at))
            }
        };
        if !due {
            return Ok(());
        }
        store.back_up(BackupReason::Scheduled).await?;
        self.last = Last::At(now);
        store.keep_backups(keep)
    }
}

impl Core {
    /// Puts a backup of the list in the database's place, see [`Store::restore`], and all that
    /// is in it into memory. Requests go on meanwhile, and what is to be recorded of them
    /// waits.
    ///
    /// # Errors
    /// As there; then nothing has changed. When only reading what is there now fails, that is
    /// tried again until it succeeds.
    pub async fn restore(&self, name: &str) -> Result<(), StoreError> {
        // Nothing is changed in the database that goes.
        let _changing = self.change.lock().await;
        // What happened until now belongs there.
        self.recorder.flush().await;
        self.store.restore(name).await?;
        let read = keeper::read_anew(self).await;
        if read.is_err() {
            self.store.read_again();
        }
        read
    }
}

/// The backups of an instance that need not be running.
pub struct Backups {
    store: Store,
}

impl Backups {
    /// Finds the database that the settings name. It is not opened: one goes back to a backup
    /// because that may be impossible.
    pub fn new(settings: &Settings, master: MasterKey, sealing: Sealing, clock: Clock) -> Self {
        Self {
            store: Store::unopened(settings.store(master, sealing), clock),
        }
    }

    /// All backups, the newest first.
    ///
    /// # Errors
    /// When the database is a server's, or their folder cannot be read.
    pub fn list(&self) -> Result<Vec<BackupView>, StoreError> {
        if self.store.is_mysql() {
            return Err(StoreError::NoBackups(self.store.place().clone().into()));
        }
        self.store.backups()
    }

    /// Copies the database as it is now, whether a server uses it or not.
    ///
    /// # Errors
    /// When it is a server's, does not exist, cannot be read, or there is no room for the
    /// copy.
    pub async fn make(&self) -> Result<BackupView, StoreError> {
        self.store.back_up(BackupReason::Manual).await
    }

    /// Puts a backup, or any other copy of a database file, in the database's place: the
    /// backup of that name, else the file of that path.
    ///
    /// # Errors
    /// When the backup cannot be used, or a process has the database open. Then nothing has
    /// changed.
    pub async fn restore(&self, name_or_file: &str) -> Result<(), StoreError> {
        let restored = match self.store.restore(name_or_file).await {
            Err(StoreError::NoBackup(_)) if Path::new(name_or_file).is_file() => {
                self.store.restore_file(Path::new(name_or_file)).await
            }
            other => other,
        };
        self.store.close().await;
        restored
    }
}
