//! Backups of the SQLite file: copies beside it, and going back to one while requests go on.
//!
//! All that is known of a backup is in its file's name, so a list needs no database, and
//! nothing is lost with one. A copy gets that name when it is whole.
//!
//! A backup takes the database's place in this order: it is copied into a folder of its own,
//! checked and migrated there; the connections are closed; the present database is backed up;
//! the copy is renamed. Until then nothing has changed, and a crash at any moment leaves the
//! old file or the new one. Who may sign in is no part of it: a password that was changed
//! because somebody else knew it does not come back, and whoever goes back stays signed in.
//!
//! Deliberately absent: backups of a server's database, which belong to its host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::Millis;
use contract::admin::{BackupReason, BackupView};

use super::error::Place;
use super::sessions::{carry_access, end_all_in};
use super::sqlite::{self, Found};
use super::{DatabaseConfig, Store, StoreError};

/// The folder of backups, beside the database.
const FOLDER: &str = "backups";
/// The folder in which one is made ready to take the database's place.
const READY: &str = "restoring";
/// How the files are called.
const REASONS: [(BackupReason, &str); 4] = [
    (BackupReason::Scheduled, "scheduled"),
    (BackupReason::Manual, "manual"),
    (BackupReason::BeforeMigration, "before-migration"),
    (BackupReason::BeforeRestore, "before-restore"),
];
/// What SQLite keeps beside a file.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The end of a name as long as the copy is not whole.
const PART: &str = ".part";
/// How old half a copy is that nobody works on any more.
const PART_MS: Millis = 24 * 60 * 60 * 1_000;

impl Store {
    /// The file of this database.
    fn file(&self) -> Result<&Path, StoreError> {
        match &self.inner.config {
            DatabaseConfig::Sqlite(path) => Ok(path),
            DatabaseConfig::Mysql(_) => Err(StoreError::NoBackups(self.inner.place.clone())),
        }
    }

    /// All backups, the newest first. None of a server's database.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn backups(&self) -> Result<Vec<BackupView>, StoreError> {
        match &self.inner.config {
            DatabaseConfig::Sqlite(path) => list(path),
            DatabaseConfig::Mysql(_) => Ok(Vec::new()),
        }
    }

    /// Copies the database as it is now, whoever is writing to it.
    ///
    /// # Errors
    /// When it is a server's, cannot be read, or there is no room for the copy.
    pub async fn back_up(&self, reason: BackupReason) -> Result<BackupView, StoreError> {
        let path = self.file()?;
        let _exchange = self.inner.exchange.lock().await;
        self.copy(path, reason).await
    }

    async fn copy(&self, path: &Path, reason: BackupReason) -> Result<BackupView, StoreError> {
        let place = &self.inner.place;
        if let Found::Nothing = sqlite::look_into(path, place).await? {
            return Err(StoreError::Foreign(place.clone()));
        }
        let now = self.inner.clock.now();
        drop_parts(path, now);
        let copy = new_path(path, now, reason);
        sqlite::back_up(path, &copy, place).await?;
        view(path, &copy).ok_or_else(|| StoreError::failed(place, &"the copy cannot be read"))
    }

    /// Deletes a backup.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be deleted.
    pub fn delete_backup(&self, name: &str) -> Result<(), StoreError> {
        fs::remove_file(self.backup(name)?)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))
    }

    /// Deletes the oldest of the scheduled backups until `keep` are left. Others are kept
    /// until somebody deletes them.
    ///
    /// # Errors
    /// When the list cannot be read, or one cannot be deleted.
    pub fn keep_backups(&self, keep: u32) -> Result<(), StoreError> {
        let scheduled = self
            .backups()?
            .into_iter()
            .filter(|backup| backup.reason == BackupReason::Scheduled);
        for old in scheduled.skip(keep.try_into().unwrap_or(usize::MAX)) {
            self.delete_backup(&old.name)?;
        }
        Ok(())
    }

    /// The file of a backup. Only what the list shows has a name, so none leads elsewhere.
    fn backup(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.file()?;
        let known = list(path)?.into_iter().any(|backup| backup.name == name);
        match known {
            true => Ok(folder(path).join(name)),
            false => Err(StoreError::NoBackup(name.to_owned())),
        }
    }

    /// Puts a backup of the list in the database's place, see [`Store::restore_file`].
    ///
    /// # Errors
    /// As there, and when there is none of that name.
    pub async fn restore(&self, name: &str) -> Result<(), StoreError> {
        let file = self.backup(name)?;
        self.restore_from(&file, name).await
    }

    /// Puts a copy of a database file in the database's place. The present one is backed up;
    /// whoever may sign in and has signed in there still may and is. Meanwhile the database
    /// is closed; afterwards everything has to be read from it anew.
    ///
    /// # Errors
    /// When the backup is damaged, of another program or a newer version, or sealed with
    /// another master key; when the present database cannot be backed up, or another process
    /// has it open. Then nothing has changed.
    pub async fn restore_file(&self, file: &Path) -> Result<(), StoreError> {
        self.restore_from(file, &file.display().to_string()).await
    }

    async fn restore_from(&self, file: &Path, name: &str) -> Result<(), StoreError> {
        let path = self.file()?;
        let _exchange = self.inner.exchange.lock().await;
        let ready = Ready::new(path, &self.inner.place)?;
        self.make_ready(file, name, &ready)
            .await
            .map_err(|error| error.of_backup(name))?;
        // Closed before the copy is made: what is written later goes into the other database.
        let was_open = match self.inner.connections.swap(None) {
            Some(connections) => {
                connections.close().await;
                true
            }
            None => false,
        };
        let exchanged = match self.keep_present(path).await {
            Ok(kept) => self.exchange(path, &ready, &kept).await.inspect_err(|_| {
                if let Kept::Copy(copy) = &kept {
                    let _ = fs::remove_file(copy);
                }
            }),
            Err(error) => Err(error),
        };
        if exchanged.is_ok() {
            self.was_exchanged();
        }
        let opened = match was_open || exchanged.is_ok() {
            true => self.connect().await,
            false => Ok(()),
        };
        exchanged.and(opened)
    }

    /// Copies a backup and makes of it what could be opened: checked, of this version, sealed
    /// with the master key in use, and without sessions.
    async fn make_ready(&self, file: &Path, name: &str, ready: &Ready) -> Result<(), StoreError> {
        let (draft, place) = (&ready.draft, &ready.place);
        let (from, to) = (file.to_path_buf(), draft.clone());
        let copied = tokio::task::spawn_blocking(move || copy_private(&from, &to)).await;
        match copied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(StoreError::BadBackup {
                    name: name.to_owned(),
                    what: format!("it cannot be copied ({error})"),
                });
            }
            Err(error) => return Err(StoreError::failed(place, &error)),
        }
        if let Found::Nothing = sqlite::look_into(draft, place).await? {
            return Err(StoreError::Foreign(place.clone()));
        }
        sqlite::check(draft, place).await?;
        let connections = sqlite::connect(draft, place.clone()).await?;
        let checked = match self.check_foreign_seal(&connections).await {
            Ok(()) => end_all_in(&connections).await,
            Err(error) => Err(error),
        };
        connections.close().await;
        checked
    }

    /// Backs the present database up. A damaged one is what one goes back from, so it is
    /// copied as it is.
    async fn keep_present(&self, path: &Path) -> Result<Kept, StoreError> {
        let reason = BackupReason::BeforeRestore;
        match fs::metadata(path) {
            Ok(file) if file.len() > 0 => {}
            _ => return Ok(Kept::Nothing),
        }
        match self.copy(path, reason).await {
            Ok(backup) => Ok(Kept::Copy(folder(path).join(backup.name))),
            Err(StoreError::Damaged(_)) => {
                let copy = new_path(path, self.inner.clock.now(), reason);
                let from = path.to_path_buf();
                let copied = tokio::task::spawn_blocking(move || {
                    vault::create_private_folder(&folder(&from))?;
                    copy_private(&from, &copy)
                });
                match copied.await {
                    Ok(Ok(())) => Ok(Kept::Damaged),
                    Ok(Err(error)) => Err(StoreError::failed(&self.inner.place, &error)),
                    Err(error) => Err(StoreError::failed(&self.inner.place, &error)),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn exchange(&self, path: &Path, ready: &Ready, kept: &Kept) -> Result<(), StoreError> {
        let place = &self.inner.place;
        let failed = |error: io::Error| StoreError::failed(place, &error);
        match kept {
            Kept::Copy(_) => {
                if let Err(error) = self.carry_access(path, ready).await {
                    tracing::warn!(
                        %error,
                        "who has signed in cannot be carried over: sign in with the backup's \
                         password"
                    );
                }
                sqlite::into_one_file(&ready.draft, &ready.place).await?;
                sqlite::into_one_file(path, place).await?;
            }
            Kept::Damaged | Kept::Nothing => {
                sqlite::into_one_file(&ready.draft, &ready.place).await?;
                // Left by another file; SQLite would take them for the new one's.
                for beside in BESIDE {
                    match fs::remove_file(sibling(path, beside)) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(failed(error));
                        }
                        _ => {}
                    }
                }
            }
        }
        sync(&ready.draft).map_err(failed)?;
        fs::rename(&ready.draft, path).map_err(failed)?;
        sync_folder(path);
        Ok(())
    }

    async fn carry_access(&self, path: &Path, ready: &Ready) -> Result<(), StoreError> {
        let draft = sqlite::attach(&ready.draft, ready.place.clone()).await?;
        let present = sqlite::attach(path, self.inner.place.clone()).await;
        let carried = match &present {
            Ok(present) => carry_access(present, &draft).await,
            Err(error) => Err(error.clone()),
        };
        if let Ok(present) = present {
            present.close().await;
        }
        draft.close().await;
        carried
    }
}

/// What became of the present database.
enum Kept {
    /// There is a backup of it.
    Copy(PathBuf),
    /// It was copied as it is.
    Damaged,
    /// There was none.
    Nothing,
}

/// A folder beside the database in which a backup is made ready; it goes with this value.
struct Ready {
    folder: PathBuf,
    draft: PathBuf,
    place: Arc<Place>,
}

impl Ready {
    fn new(path: &Path, place: &Arc<Place>) -> Result<Self, StoreError> {
        let folder = path.with_file_name(READY);
        // Left by a process that was killed.
        let _ = fs::remove_dir_all(&folder);
        vault::create_private_folder(&folder).map_err(|error| StoreError::failed(place, &error))?;
        let draft = folder.join("draft.db");
        Ok(Self {
            folder,
            place: Arc::new(Place::Sqlite(draft.clone())),
            draft,
        })
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder(path: &Path) -> PathBuf {
    path.with_file_name(FOLDER)
}

/// The beginning of the names of this database's backups.
fn stem(path: &Path) -> &str {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or("database")
}

/// The moment in a name: UTC to the millisecond, in an order that sorts.
fn stamp(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y%m%dT%H%M%S%3fZ")
        .to_string()
}

/// The path of a new backup: `backups/<name>-<UTC>-<reason>.db` beside the database. A name
/// that is taken is not given again.
pub(super) fn new_path(path: &Path, now: Millis, reason: BackupReason) -> PathBuf {
    let reason = REASONS
        .iter()
        .find_map(|(one, name)| (*one == reason).then_some(*name))
        .unwrap_or_default();
    let mut at = now;
    loop {
        let name = format!("{}-{}-{reason}.db", stem(path), stamp(at));
        let copy = folder(path).join(name);
        if !copy.exists() && !part_of(&copy).exists() {
            return copy;
        }
        at = at.saturating_add(1);
    }
}

/// When and why a backup of that name was made; `None` for every other file.
fn parse(path: &Path, name: &str) -> Option<(Millis, BackupReason)> {
    let rest = name.strip_prefix(stem(path))?.strip_prefix('-')?;
    let (at, reason) = rest.strip_suffix(".db")?.split_once('-')?;
    let reason = REASONS
        .iter()
        .find_map(|(one, name)| (*name == reason).then_some(*one))?;
    let (seconds, millis) = at.strip_suffix('Z')?.split_at_checked(15)?;
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", seconds)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .ok()?
        .timestamp()
        .as_millisecond()
        .checked_add(millis.parse().ok()?)?;
    (stamp(moment) == at).then_some((moment, reason))
}

fn view(path: &Path, copy: &Path) -> Option<BackupView> {
    let name = copy.file_name()?.to_str()?;
    let (at, reason) = parse(path, name)?;
    let file = fs::symlink_metadata(copy).ok()?;
    file.is_file().then(|| BackupView {
        name: name.to_owned(),
        at,
        size_bytes: file.len(),
        reason,
    })
}

fn list(path: &Path) -> Result<Vec<BackupView>, StoreError> {
    let folder = folder(path);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(StoreError::Folder {
                path: folder,
                what: error.to_string(),
            });
        }
    };
    let mut backups: Vec<_> = entries
        .flatten()
        .filter_map(|entry| view(path, &entry.path()))
        .collect();
    backups.sort_by(|one, other| (other.at, &other.name).cmp(&(one.at, &one.name)));
    Ok(backups)
}

/// What a copy is called until it is whole.
pub(super) fn part_of(copy: &Path) -> PathBuf {
    sibling(copy, PART)
}

/// Removes what copies that broke off have left.
fn drop_parts(path: &Path, now: Millis) {
    let Ok(entries) = fs::read_dir(folder(path)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let whole = name.to_str().and_then(|name| name.strip_suffix(PART));
        let made = whole.and_then(|name| parse(path, name));
        if made.is_some_and(|(at, _)| now.saturating_sub(at) > PART_MS) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn sibling(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A new, empty file that only this user may read.
pub(super) fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Copies a database file, and what of it waits in its log.
fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut fs::File::open(from)?, &mut private_file(to)?)?;
    match fs::File::open(sibling(from, "-wal")) {
        Ok(mut wal) => io::copy(&mut wal, &mut private_file(&sibling(to, "-wal"))?).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until the file is on the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.sync_all()
}

/// The same for the name of a file. Not every system can, and none needs it to be whole.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent() {
        let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
}
