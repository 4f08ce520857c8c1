//! Writes to the database what is remembered, beside the requests.
//!
//! Nobody waits for it. While the database is away or slow, what is to be remembered waits up to
//! [`MOST`] bytes, and then the oldest goes: that costs a client a conversation after a restart
//! and nothing before it. What is to be forgotten is never lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dialect::openai_to_gemini::responses::Kept;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Owner;
use crate::store::Store;

/// The most that waits to be remembered, in bytes.
const MOST: usize = 16 * 1024 * 1024;
/// The most notes in one transaction.
const BATCH: usize = 256;
/// How large a transaction may become before it takes no other note, in bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long the first note of a batch waits for others.
const GATHER: Duration = Duration::from_millis(300);
/// The pause after a failed write.
const PAUSE: Duration = Duration::from_secs(5);

/// Something that is to be written.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// An answer is kept for a token.
    Keep { token: i64, answer: Arc<Kept> },
    /// An answer is forgotten.
    Drop { id: String },
    /// A call of a token came with this signature.
    Signature {
        token: i64,
        call: String,
        signature: String,
    },
    /// What calls of a token came with is forgotten.
    Unsigned { token: i64, calls: Vec<String> },
    /// All that was remembered for a token is forgotten.
    Forget { token: i64 },
    /// A resource at Google is whose.
    Owns { name: String, owner: Owner },
    /// A resource at Google is deleted.
    Disowned { name: String },
}

impl Note {
    /// The token that it is about, if it names one.
    pub fn token(&self) -> Option<i64> {
        match self {
            Self::Keep { token, .. }
            | Self::Signature { token, .. }
            | Self::Unsigned { token, .. }
            | Self::Forget { token } => Some(*token),
            Self::Drop { .. } | Self::Owns { .. } | Self::Disowned { .. } => None,
        }
    }

    /// Whether something is to be remembered by it, and not forgotten.
    fn remembers(&self) -> bool {
        matches!(
            self,
            Self::Keep { .. } | Self::Signature { .. } | Self::Owns { .. }
        )
    }

    /// About how much memory it takes, in bytes.
    fn size(&self) -> usize {
        match self {
            Self::Keep { answer, .. } => answer.size(),
            Self::Signature {
                call, signature, ..
            } => call.len() + signature.len() + 64,
            Self::Drop { id } => id.len(),
            Self::Owns { name, .. } => name.len() + 64,
            Self::Disowned { name } => name.len(),
            Self::Unsigned { calls, .. } => calls.iter().map(String::len).sum(),
            Self::Forget { .. } => 0,
        }
    }

    /// Whether `other` need not be remembered because of it.
    fn undoes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Drop { id }, Self::Keep { answer, .. }) => answer.id() == id,
            (
                Self::Unsigned { token, calls },
                Self::Signature {
                    token: of, call, ..
                },
            ) => of == token && calls.contains(call),
            (Self::Disowned { name }, Self::Owns { name: of, .. }) => of == name,
            (Self::Forget { token }, _) => other.token() == Some(*token),
            _ => false,
        }
    }
}

/// Takes notes. One that leads nowhere throws them away.
#[derive(Clone, Default)]
pub(crate) struct Scribe(Option<Arc<Desk>>);

/// The notes that a [`Scribe`] took.
pub(crate) struct Notes(Arc<Desk>);

#[derive(Default)]
struct Desk {
    tray: Mutex<Tray>,
    news: Notify,
}

/// What waits to be written.
#[derive(Default)]
struct Tray {
    /// What is to be remembered, in the order of time.
    memories: VecDeque<Note>,
    /// How much that is, in bytes.
    bytes: usize,
    /// What is to be forgotten; nothing of it is among `memories` any more.
    deletions: VecDeque<Note>,
    /// How many memories there was no room for.
    lost: usize,
}

impl Tray {
    fn put(&mut self, note: Note) {
        match note.remembers() {
            true => {
                self.bytes += note.size();
                self.memories.push_back(note);
                self.bound();
            }
            false => {
                self.memories.retain(|memory| !note.undoes(memory));
                self.bytes = self.memories.iter().map(Note::size).sum();
                self.deletions.push_back(note);
            }
        }
    }

    fn bound(&mut self) {
        while self.bytes > MOST
            && let Some(oldest) = self.memories.pop_front()
        {
            self.bytes -= oldest.size();
            self.lost += 1;
        }
    }

    /// The next notes to be written in one transaction: deletions first, for what waits beside them
    /// is younger.
    fn take(&mut self) -> Vec<Note> {
        let room = self.deletions.len().min(BATCH);
        let (mut batch, mut bytes) = (self.deletions.drain(..room).collect::<Vec<_>>(), 0);
        while self.deletions.is_empty()
            && batch.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(memory) = self.memories.pop_front()
        {
            bytes += memory.size();
            batch.push(memory);
        }
        self.bytes -= bytes;
        batch
    }

    /// Puts back what could not be written.
    fn put_back(&mut self, batch: Vec<Note>) {
        // Those that came meanwhile are younger than all of the batch.
        let younger = self.deletions.len();
        for note in batch.into_iter().rev() {
            match note.remembers() {
                true => {
                    let mut deletions = self.deletions.iter().rev().take(younger);
                    if !deletions.any(|deletion| deletion.undoes(&note)) {
                        self.bytes += note.size();
                        self.memories.push_front(note);
                    }
                }
                false => self.deletions.push_front(note),
            }
        }
        self.bound();
    }
}

impl Scribe {
    /// One whose notes the second gives.
    pub fn new() -> (Self, Notes) {
        let desk = Arc::<Desk>::default();
        (Self(Some(desk.clone())), Notes(desk))
    }

    /// Takes a note.
    pub fn note(&self, note: Note) {
        if let Some(desk) = &self.0 {
            desk.tray.lock().put(note);
            desk.news.notify_one();
        }
    }
}

/// Writes notes until `stop`, and then those that are left.
pub(crate) async fn write(store: Store, notes: Notes, stop: CancellationToken) {
    let Notes(desk) = notes;
    while !stop.is_cancelled() {
        let _ = stop.run_until_cancelled(desk.news.notified()).await;
        let gathering = tokio::time::sleep(GATHER);
        let _ = stop.run_until_cancelled(gathering).await;
        while !write_all(&store, &desk).await && !stop.is_cancelled() {
            let rest = tokio::time::sleep(PAUSE);
            let _ = stop.run_until_cancelled(rest).await;
        }
    }
    write_all(&store, &desk).await;
}

/// Whether all was written. What was not stays.
async fn write_all(store: &Store, desk: &Desk) -> bool {
    loop {
        let (batch, lost) = {
            let mut tray = desk.tray.lock();
            (tray.take(), std::mem::take(&mut tray.lost))
        };
        if lost > 0 {
            tracing::warn!(
                lost,
                "the database is too slow or away: clients cannot go back to these answers after \
                 a restart"
            );
        }
        if batch.is_empty() {
            return true;
        }
        if let Err(error) = store.remember(&batch).await {
            tracing::debug!(%error, "what clients may go back to cannot be written now");
            desk.tray.lock().put_back(batch);
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(token: i64, call: &str, size: usize) -> Note {
        Note::Signature {
            token,
            call: call.to_owned(),
            signature: "A".repeat(size),
        }
    }

    fn calls(notes: &[Note]) -> Vec<&str> {
        let mut calls = Vec::new();
        for note in notes {
            calls.push(match note {
                Note::Signature { call, .. } => call.as_str(),
                Note::Forget { .. } => "forget",
                _ => "other",
            });
        }
        calls
    }

    #[test]
    fn the_oldest_memories_go_and_no_deletion_does() {
        let mut tray = Tray::default();
        tray.put(Note::Forget { token: 9 });
        for at in 0..20 {
            tray.put(signature(1, &at.to_string(), MOST / 10));
        }
        assert!(tray.bytes <= MOST);
        assert_eq!(tray.lost, 11);
        let first = tray.take();
        assert_eq!(calls(&first), ["forget", "11", "12", "13"]);
        // Those that came meanwhile are younger.
        for at in 20..23 {
            tray.put(signature(1, &at.to_string(), MOST / 10));
        }
        tray.put_back(first);
        assert!(tray.bytes <= MOST);
        assert_eq!(tray.lost, 14);
        assert_eq!(calls(&tray.take()), ["forget", "14", "15", "16"]);
    }

    #[test]
    fn what_comes_after_it_was_forgotten_stays() {
        let mut tray = Tray::default();
        tray.put(signature(1, "before", 10));
        tray.put(Note::Forget { token: 1 });
        tray.put(signature(1, "after", 10));
        let batch = tray.take();
        assert_eq!(calls(&batch), ["forget", "after"]);
        tray.put_back(batch);
        assert_eq!(calls(&tray.take()), ["forget", "after"]);
    }

    #[test]
    fn what_is_forgotten_is_not_written_before_or_after() {
        let mut tray = Tray::default();
        for (token, call) in [(1, "a"), (2, "b"), (1, "c")] {
            tray.put(signature(token, call, 10));
        }
        let under_way = tray.take();
        tray.put(signature(1, "d", 10));
        tray.put(Note::Forget { token: 1 });
        assert_eq!(tray.bytes, 0);
        tray.put_back(under_way);
        assert_eq!(calls(&tray.take()), ["forget", "b"]);
        assert_eq!(tray.bytes, 0);
    }
}
