//! Records that wait on disk for a database that is away.
//!
//! One file a batch, named so that their order by name is the order of writing. The name
//! holds who made it and its number there, by which the store recognises one that it has
//! already; so a file may be written again after a crash, and nothing comes twice.
//!
//! Deliberately absent: sealing. A record holds no secret; what it may hold of a prompt is
//! what the user switched on, and only this user can read the files.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::RequestRecord;

/// The most that waits on disk; about 200,000 records without bodies. Beyond it records are
/// dropped and counted.
pub(super) const SPOOL_BYTES: u64 = 64 * 1024 * 1024;

/// The folder of waiting batches.
pub(super) struct Spool {
    folder: PathBuf,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    bytes: u64,
    limit: u64,
}

/// One file.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) path: PathBuf,
    /// Who made the batch.
    pub(super) writer: String,
    /// Its number there.
    pub(super) number: i64,
    /// How many records it holds.
    pub(super) records: u64,
    bytes: u64,
}

impl Spool {
    /// Finds what earlier runs left.
    pub(super) fn open(folder: PathBuf, limit: u64) -> Self {
        let mut waiting: Vec<Waiting> = match std::fs::read_dir(&folder) {
            Ok(entries) => entries
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let bytes = entry.metadata().ok()?.len();
                    Waiting::of_name(entry.path(), bytes)
                })
                .collect(),
            // Usually there is none.
            Err(_) => Vec::new(),
        };
        waiting.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self {
            folder,
            bytes: waiting.iter().map(|one| one.bytes).sum(),
            waiting: waiting.into(),
            limit,
        }
    }

    /// How many records wait.
    pub(super) fn records(&self) -> u64 {
        self.waiting.iter().map(|one| one.records).sum()
    }

    /// The batch to write next.
    pub(super) fn next(&self) -> Option<Waiting> {
        self.waiting.front().cloned()
    }

    /// Puts a batch at the end.
    ///
    /// # Errors
    /// When there is no room, on the disk or by [`SPOOL_BYTES`].
    pub(super) async fn put(
        &mut self,
        writer: &str,
        number: i64,
        requests: &[RequestRecord],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(requests)?;
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.bytes.saturating_add(bytes) > self.limit {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "enough records wait on disk",
            ));
        }
        let records = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        let path = self
            .folder
            .join(format!("{writer}-{number:012}-{records}.json"));
        let target = path.clone();
        blocking(move || crate::private_file::write(&target, &text)).await?;
        self.bytes += bytes;
        self.waiting.push_back(Waiting {
            path,
            writer: writer.to_owned(),
            number,
            records,
            bytes,
        });
        Ok(())
    }

    /// Reads a batch. `None` when another process on the same folder was faster, or when it
    /// is none of ours; such a file is set aside.
    pub(super) async fn read(&self, waiting: &Waiting) -> Option<Vec<RequestRecord>> {
        let path = waiting.path.clone();
        let text = blocking(move || std::fs::read(&path)).await.ok()?;
        match serde_json::from_slice(&text) {
            Ok(requests) => Some(requests),
            Err(error) => {
                tracing::error!(
                    path = %waiting.path.display(), %error,
                    "records that waited on disk cannot be read; the file is set aside"
                );
                None
            }
        }
    }

    /// Takes away the file of a batch that has been written.
    pub(super) async fn done(&mut self) {
        self.pop(|path| std::fs::remove_file(path)).await;
    }

    /// Puts a file aside that stands in the way of all others, under a name that is not
    /// looked at again.
    pub(super) async fn set_aside(&mut self) {
        self.pop(|path| std::fs::rename(path, path.with_extension("bad")))
            .await;
    }

    async fn pop(&mut self, what: fn(&Path) -> io::Result<()>) {
        let Some(waiting) = self.waiting.pop_front() else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        // One that stays is recognised by its number when it is written again.
        let _ = blocking(move || what(&waiting.path)).await;
    }
}

impl Waiting {
    fn of_name(path: PathBuf, bytes: u64) -> Option<Self> {
        if path.extension()? != "json" {
            return None;
        }
        let mut parts = path.file_stem()?.to_str()?.rsplitn(3, '-');
        let records = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok()?;
        let writer = parts.next()?.to_owned();
        Some(Self {
            path,
            writer,
            number,
            records,
            bytes,
        })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
