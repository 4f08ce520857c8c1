//! Writes to the database what is remembered, beside the requests.
//!
//! What is lost here costs a client a conversation after a restart and nothing before it. So
//! nobody waits: a full queue drops notes, and while the database is away only the newest wait.

use std::sync::Arc;
use std::time::Duration;

use dialect::openai_to_gemini::responses::Kept;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// The most notes that wait to be taken.
const QUEUED: usize = 1_024;
/// The most notes in one transaction.
const BATCH: usize = 256;
/// The most notes that wait for a database that is away.
const PENDING: usize = 2_048;
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
    /// All that was remembered for a token is forgotten.
    Forget { token: i64 },
}

impl Note {
    /// The token that it is about, if it names one.
    pub fn token(&self) -> Option<i64> {
        match self {
            Self::Keep { token, .. } | Self::Signature { token, .. } | Self::Forget { token } => {
                Some(*token)
            }
            Self::Drop { .. } => None,
        }
    }
}

/// Takes notes. One that leads nowhere throws them away.
#[derive(Clone, Default)]
pub(crate) struct Scribe(Option<mpsc::Sender<Note>>);

impl Scribe {
    /// One whose notes the second gives.
    pub fn new() -> (Self, mpsc::Receiver<Note>) {
        let (sender, notes) = mpsc::channel(QUEUED);
        (Self(Some(sender)), notes)
    }

    /// Takes a note, unless too many wait.
    pub fn note(&self, note: Note) {
        if let Some(sender) = &self.0
            && sender.try_send(note).is_err()
        {
            tracing::debug!("something to remember was dropped: the database is too slow");
        }
    }
}

/// Writes notes until `stop`, and then those that are left.
pub(crate) async fn write(store: Store, mut notes: mpsc::Receiver<Note>, stop: CancellationToken) {
    let mut pending: Vec<Note> = Vec::new();
    while !stop.is_cancelled() {
        if pending.is_empty() {
            match stop.run_until_cancelled(notes.recv()).await {
                Some(Some(note)) => pending.push(note),
                _ => break,
            }
        }
        let gathering = gather(&mut notes, &mut pending);
        let _ = stop
            .run_until_cancelled(tokio::time::timeout(GATHER, gathering))
            .await;
        if !write_all(&store, &mut pending).await {
            let rest = tokio::time::sleep(PAUSE);
            let _ = stop.run_until_cancelled(rest).await;
        }
    }
    while let Ok(note) = notes.try_recv() {
        pending.push(note);
    }
    write_all(&store, &mut pending).await;
}

async fn gather(notes: &mut mpsc::Receiver<Note>, pending: &mut Vec<Note>) {
    while pending.len() < BATCH {
        match notes.recv().await {
            Some(note) => pending.push(note),
            None => return,
        }
    }
}

/// Whether all was written. What was not stays, the oldest of too much excepted.
async fn write_all(store: &Store, pending: &mut Vec<Note>) -> bool {
    while !pending.is_empty() {
        let some = pending.len().min(BATCH);
        if let Err(error) = store.remember(&pending[..some]).await {
            tracing::debug!(%error, "what clients may go back to cannot be written now");
            let surplus = pending.len().saturating_sub(PENDING);
            pending.drain(..surplus);
            return false;
        }
        pending.drain(..some);
    }
    true
}
