use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{RequestRecord, Shared};
use crate::store::{Batch, Store};

/// The most records in one transaction.
const BATCH: usize = 500;
/// How long the first record of a batch waits for others.
const GATHER: Duration = Duration::from_millis(250);
/// The pause after a failed write; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the last write at shutdown is tried.
const LAST_TRIES: u32 = 3;

/// The one task that writes records.
pub(super) struct Writer {
    store: Store,
    shared: Arc<Shared>,
    queued: mpsc::Receiver<RequestRecord>,
    flushes: mpsc::Receiver<oneshot::Sender<()>>,
    /// What is being written; stays here until it has been.
    batch: Batch,
}

/// Why the writer stopped waiting.
enum Woken {
    /// Something may be there to write.
    Work,
    /// Somebody waits for everything to be written.
    Flush(oneshot::Sender<()>),
    /// The core stops.
    Stop,
}

impl Writer {
    pub(super) fn new(
        store: Store,
        shared: Arc<Shared>,
        queued: mpsc::Receiver<RequestRecord>,
        flushes: mpsc::Receiver<oneshot::Sender<()>>,
    ) -> Self {
        Self {
            store,
            shared,
            queued,
            flushes,
            batch: Batch::default(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = None;
        loop {
            let woken = match pause {
                None => self.wait_for_work(&stop).await,
                Some(pause) => self.wait_out(pause, &stop).await,
            };
            pause = match woken {
                Woken::Stop => break,
                Woken::Work => self.gather(&stop).await,
                Woken::Flush(done) => {
                    let pause = self.write_all().await;
                    // Nobody waits any more: that is fine.
                    let _ = done.send(());
                    pause
                }
            }
            .then(|| {
                pause.map_or(FIRST_PAUSE, |pause: Duration| {
                    (pause * 2).min(LONGEST_PAUSE)
                })
            });
        }
        self.finish().await;
    }

    async fn wait_for_work(&mut self, stop: &CancellationToken) -> Woken {
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            Some(done) = self.flushes.recv() => Woken::Flush(done),
            Some(first) = self.queued.recv() => {
                self.batch.requests.push(first);
                Woken::Work
            }
            () = self.shared.key_state_changed.notified() => Woken::Work,
        }
    }

    /// After a failure. A flush, which somebody waits for, is tried at once.
    async fn wait_out(&mut self, pause: Duration, stop: &CancellationToken) -> Woken {
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            Some(done) = self.flushes.recv() => Woken::Flush(done),
            () = tokio::time::sleep(pause) => Woken::Work,
        }
    }

    /// Waits a little for company, then writes one batch. True when that failed.
    async fn gather(&mut self, stop: &CancellationToken) -> bool {
        let window = tokio::time::sleep(GATHER);
        tokio::pin!(window);
        let mut waiting = None;
        while waiting.is_none() && self.batch.requests.len() < BATCH {
            let room = BATCH - self.batch.requests.len();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = &mut window => break,
                Some(done) = self.flushes.recv() => waiting = Some(done),
                count = self.queued.recv_many(&mut self.batch.requests, room) => {
                    if count == 0 {
                        break;
                    }
                }
            }
        }
        match waiting {
            None => self.write().await,
            Some(done) => {
                let failed = self.write_all().await;
                let _ = done.send(());
                failed
            }
        }
    }

    /// Writes all that is there now, batch by batch. True when that failed.
    async fn write_all(&mut self) -> bool {
        loop {
            while self.batch.requests.len() < BATCH
                && let Ok(record) = self.queued.try_recv()
            {
                self.batch.requests.push(record);
            }
            let more = self.batch.requests.len() == BATCH;
            if self.write().await {
                return true;
            }
            if !more {
                return false;
            }
        }
    }

    /// Writes the batch. True when that failed; it stays in hand then.
    async fn write(&mut self) -> bool {
        let fresh = std::mem::take(&mut *self.shared.key_states.lock());
        self.batch.key_states.extend(fresh);
        if self.batch.is_empty() {
            return false;
        }
        let result = self.store.write(&self.batch).await;
        let failed = result.is_err();
        let failed_before = self.shared.failing.swap(failed, Ordering::Relaxed);
        match result {
            Ok(()) => {
                self.batch.requests.clear();
                self.batch.key_states.clear();
                if failed_before {
                    tracing::info!("records are written again");
                }
            }
            Err(error) if !failed_before => {
                tracing::error!(%error, "records cannot be written; requests go on, and it is tried again");
            }
            Err(_) => {}
        }
        failed
    }

    /// The last writes before the end. Records that come later are counted as dropped.
    async fn finish(mut self) {
        self.queued.close();
        self.flushes.close();
        for _ in 0..LAST_TRIES {
            if !self.write_all().await {
                return;
            }
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        let lost = self.batch.requests.len() + self.queued.len();
        tracing::error!(lost, "the last records could not be written");
    }
}
