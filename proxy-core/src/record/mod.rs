//! The books: one record for each request, on its way to the store.
//!
//! Nothing on the request path waits for the database. [`Recorder::record`] puts a record
//! into a bounded queue or, when that is full, counts it as dropped; one task writes what is
//! queued, many records to a transaction. While the database is away they wait on disk, up to
//! [`spool::SPOOL_BYTES`], also over a restart, and are written later in order. What is to be kept of a key's state is not queued:
//! only its newest state matters, so it waits in a map and cannot be dropped.

pub mod price;
pub mod scrub;
pub mod slots;
mod spool;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use contract::Millis;
use contract::admin::{Surface, TryOutcome};
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::pool::SavedKeyState;
use crate::store::Store;
use spool::Spool;

/// How many records may wait; at 2,000 requests a second, four seconds' worth.
const QUEUE: usize = 8192;
/// The most characters of an error's text that are kept.
const ERROR_CHARS: usize = 1000;
/// The most characters of a model's name that are kept: it is the client's text, and a column
/// of the database has a width.
const MODEL_CHARS: usize = 200;

/// About how much text one of a record's calls is, in bytes.
const TRY_BYTES: usize = 160;

/// How much text of recorded bodies may wait at once, in bytes; beyond it a record comes
/// without its body.
const BODIES: usize = 32 * 1024 * 1024;

/// What is kept of one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestRecord {
    /// What it is called in the answer's `x-request-id` and in the log. Absent from what
    /// earlier versions left on disk.
    #[serde(default)]
    pub request_id: Box<str>,
    /// When it ended.
    pub at: Millis,
    /// The protocol the client spoke.
    pub surface: Surface,
    /// The model asked for, without `models/`; empty when the request did not get that far.
    pub model: Box<str>,
    /// The key that answered or was last tried.
    pub key_id: Option<i64>,
    /// Keys that were tried before it and failed, in order.
    pub failed_keys: Vec<i64>,
    /// The client's token.
    pub token_id: Option<i64>,
    /// The HTTP status the client got.
    pub status: u16,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// How many calls to Google it took.
    pub attempts: u8,
    /// From the request's arrival to the end of the answer, in milliseconds.
    pub latency_ms: u32,
    /// From the request's arrival to the first byte of the answer, in milliseconds.
    pub ttft_ms: Option<u32>,
    /// Input tokens as Google counted them.
    pub prompt_tokens: u32,
    /// Output tokens, thoughts not included.
    pub output_tokens: u32,
    /// Tokens of thoughts.
    pub thought_tokens: u32,
    /// Input tokens that came from Google's cache; part of `prompt_tokens`.
    pub cached_tokens: u32,
    /// What the client was told when it went wrong, scrubbed of secrets. Its presence is
    /// what makes a request count as failed.
    pub error: Option<Box<str>>,
    /// The remote that it went through, which chose a key of its own.
    #[serde(default)]
    pub remote: Option<Box<str>>,
    /// The Google project of the key, when Google told it.
    #[serde(default)]
    pub project: Option<Box<str>>,
    /// What it would have cost on the paid tier, in millionths of a US dollar; absent when the
    /// price is not known.
    #[serde(default)]
    pub cost_micros: Option<u64>,
    /// More about one that failed.
    #[serde(default)]
    pub detail: Option<Box<Detail>>,
    /// Each call, in order; none for one whose only call went well, straight and at once.
    #[serde(default)]
    pub tries: Vec<Try>,
}

/// One call for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// The key; absent when another instance chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<i64>,
    /// The proxy that it went through, without its credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Box<str>>,
    /// How it ended.
    pub outcome: TryOutcome,
    /// How long a key, or the pause before it, was waited for, in milliseconds.
    #[serde(rename = "waited")]
    pub waited_ms: u32,
    /// How long it took until it failed or its answer began, in milliseconds.
    #[serde(rename = "took")]
    pub took_ms: u32,
}

/// What is kept of a failed request for as long as `ERROR_DETAIL_DAYS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// What Google said, scrubbed of secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_message: Option<Box<str>>,
    /// Google's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// What the client called itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Box<str>>,
    /// The client's body, when bodies are recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<str>>,
    /// Only the beginning of the body is kept.
    pub body_truncated: bool,
}

impl Detail {
    /// How much text it holds, in bytes.
    fn text_bytes(&self) -> usize {
        [&self.upstream_message, &self.user_agent, &self.body]
            .into_iter()
            .flatten()
            .map(|text| text.len())
            .sum()
    }
}

impl RequestRecord {
    /// How much text it holds that may be long, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        let detail = self.detail.as_ref().map_or(0, |detail| detail.text_bytes());
        let error = self.error.as_ref().map_or(0, |error| error.len());
        self.model.len() + error + detail + self.tries.len() * TRY_BYTES
    }

    /// One of which nothing is known yet.
    pub fn blank(surface: Surface) -> Self {
        Self {
            request_id: Box::default(),
            at: 0,
            surface,
            model: Box::default(),
            key_id: None,
            failed_keys: Vec::new(),
            token_id: None,
            status: 0,
            stream: false,
            attempts: 0,
            latency_ms: 0,
            ttft_ms: None,
            prompt_tokens: 0,
            output_tokens: 0,
            thought_tokens: 0,
            cached_tokens: 0,
            error: None,
            remote: None,
            project: None,
            cost_micros: None,
            detail: None,
            tries: Vec::new(),
        }
    }
}

/// Takes records without ever waiting. Clones share one queue.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    queue: mpsc::Sender<RequestRecord>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
}

struct Shared {
    /// Records that found no room.
    dropped: AtomicU64,
    /// The text of bodies that wait, in bytes.
    bodies: AtomicUsize,
    /// Records that were written by this process, those of earlier runs not included.
    written: AtomicU64,
    /// Records that wait on disk.
    spooled: AtomicU64,
    /// The last attempt to write failed.
    failing: AtomicBool,
    /// Whose hours and days the sums are of.
    time_zone: ArcSwap<TimeZone>,
    /// The newest state of each key that has changed since the last write.
    key_states: Mutex<HashMap<i64, SavedKeyState>>,
    key_state_changed: Notify,
}

impl Recorder {
    /// Starts the writing task on `tracker`. It ends when `stop` is cancelled, after a last
    /// write of all that is queued; what cannot be written then waits on disk, too. Sums are
    /// of the hours and days of `time_zone`.
    pub fn start(
        store: Store,
        time_zone: TimeZone,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self::start_with(store, time_zone, tracker, stop, spool::SPOOL_BYTES)
    }

    /// From now on sums are of the hours and days of `time_zone`. What was summed up before
    /// stays as it is.
    pub fn set_time_zone(&self, time_zone: TimeZone) {
        self.shared.time_zone.store(Arc::new(time_zone));
    }

    fn start_with(
        store: Store,
        time_zone: TimeZone,
        tracker: &TaskTracker,
        stop: CancellationToken,
        spool_bytes: u64,
    ) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        let (flushes, flush_requests) = mpsc::channel(16);
        let shared = Arc::new(Shared {
            dropped: AtomicU64::new(0),
            bodies: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            spooled: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            time_zone: ArcSwap::from_pointee(time_zone),
            key_states: Mutex::default(),
            key_state_changed: Notify::new(),
        });
        let spool = Spool::open(store.data_dir().join("spool"), spool_bytes);
        let name = store.new_writer_name();
        let writer =
            writer::Writer::new(store, shared.clone(), queued, flush_requests, spool, name);
        tracker.spawn(writer.run(stop));
        Self {
            shared,
            queue,
            flushes,
        }
    }

    /// Queues a record, or counts it as dropped when the queue is full.
    pub fn record(&self, mut record: RequestRecord) {
        if let Some(error) = &mut record.error {
            cut(error, ERROR_CHARS);
        }
        cut(&mut record.model, MODEL_CHARS);
        self.shared.admit_body(&mut record);
        if let Err(refused) = self.queue.try_send(record) {
            let record = refused.into_inner();
            self.shared.bodies_left(std::slice::from_ref(&record));
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes what to keep of a key over a restart.
    pub fn key_state(&self, id: i64, saved: SavedKeyState) {
        self.shared.key_states.lock().insert(id, saved);
        self.shared.key_state_changed.notify_one();
    }

    /// Waits until everything noted before this call is written, or one attempt to write it
    /// has failed.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            // An error means that the writer has ended, after writing everything.
            let _ = written.await;
        }
    }

    /// How many records have been written since start.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// How many records wait on disk for the database.
    pub fn spooled(&self) -> u64 {
        self.shared.spooled.load(Ordering::Relaxed)
    }

    /// How many records were dropped since start because there was no room for them.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Whether records cannot be written at the moment.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Counts a body that begins to wait, or takes it away when there are enough.
    fn admit_body(&self, record: &mut RequestRecord) {
        let Some(detail) = &mut record.detail else {
            return;
        };
        let length = detail.body.as_ref().map_or(0, |body| body.len());
        if self.bodies.fetch_add(length, Ordering::Relaxed) + length > BODIES && length > 0 {
            self.bodies.fetch_sub(length, Ordering::Relaxed);
            detail.body = None;
            detail.body_truncated = true;
        }
    }

    /// These records wait in memory no more.
    fn bodies_left(&self, records: &[RequestRecord]) {
        let details = records.iter().filter_map(|record| record.detail.as_ref());
        let bodies = details.filter_map(|detail| detail.body.as_ref());
        let length = bodies.map(|body| body.len()).sum();
        self.bodies.fetch_sub(length, Ordering::Relaxed);
    }
}

/// Leaves the first `chars` characters.
pub(crate) fn cut(text: &mut Box<str>, chars: usize) {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        *text = text[..end].into();
    }
}
