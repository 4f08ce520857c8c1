use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::admin::DatabaseState;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::spool::Spool;
use super::{RequestRecord, Shared};
use crate::pool::SavedKeyState;
use crate::store::{Batch, Store, StoreError};

/// The most records in one transaction.
const BATCH: usize = 500;
/// How long the first record of a batch waits for others.
const GATHER: Duration = Duration::from_millis(250);
/// The pause after a failed write; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After how long a write is no longer only waited for: what waits behind it goes to disk.
const LONG: Duration = Duration::from_secs(1);
/// How often the last write at shutdown is tried.
const LAST_TRIES: u32 = 3;
/// How often a batch is tried that a database refuses while it answers; then it is set
/// aside, so that it does not stand in the way of all others.
const REFUSALS: u32 = 8;

/// The one task that writes records, in order: what waits on disk first.
pub(super) struct Writer {
    store: Store,
    shared: Arc<Shared>,
    queued: mpsc::Receiver<RequestRecord>,
    flushes: mpsc::Receiver<oneshot::Sender<()>>,
    state: watch::Receiver<DatabaseState>,
    spool: Spool,
    /// Names this run of this process; sorts behind the names of earlier runs.
    name: String,
    /// The number of the newest batch.
    number: i64,
    /// Records that are in no batch yet.
    gathered: Vec<RequestRecord>,
    /// States of keys that have not been written.
    key_states: HashMap<i64, SavedKeyState>,
    /// How often the oldest batch was refused.
    refusals: u32,
}

/// Returns when the database is said to be ready since this was last looked at. It may be
/// ready all along and refuse a batch; that is no reason to try again at once.
async fn turned_ready(state: &mut watch::Receiver<DatabaseState>) {
    while state.changed().await.is_ok() {
        if *state.borrow_and_update() == DatabaseState::Ready {
            return;
        }
    }
    // The store has ended.
    std::future::pending().await
}

/// Why the writer stopped waiting.
enum Woken {
    /// Something may be there to write.
    Work,
    /// The database fails and records have come: they go to disk.
    Spool,
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
        spool: Spool,
        name: String,
    ) -> Self {
        shared.spooled.store(spool.records(), Ordering::Relaxed);
        Self {
            state: store.watch_state(),
            store,
            shared,
            queued,
            flushes,
            spool,
            name,
            number: 0,
            gathered: Vec::new(),
            key_states: HashMap::new(),
            refusals: 0,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = None;
        // What an earlier run left on disk is tried at once.
        let mut next_try = (self.spool.records() > 0).then(Instant::now);
        loop {
            let woken = match next_try {
                None => self.wait_for_work(&stop).await,
                Some(at) => self.wait_until(at, &stop).await,
            };
            let waiting = match woken {
                Woken::Stop => break,
                Woken::Flush(done) => Some(done),
                Woken::Work if next_try.is_some() => None,
                Woken::Work => self.gather(&stop).await,
                Woken::Spool => match self.gather(&stop).await {
                    Some(done) => Some(done),
                    None => {
                        self.put_aside().await;
                        continue;
                    }
                },
            };
            let failed = self.write_all().await;
            // Nobody waits any more: that is fine.
            let _ = waiting.map(|done| done.send(()));
            pause = failed.then(|| {
                pause.map_or(FIRST_PAUSE, |pause: Duration| {
                    (pause * 2).min(LONGEST_PAUSE)
                })
            });
            next_try = pause.map(|pause| Instant::now() + pause);
        }
        self.finish().await;
    }

    async fn wait_for_work(&mut self, stop: &CancellationToken) -> Woken {
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            Some(done) = self.flushes.recv() => Woken::Flush(done),
            Some(first) = self.queued.recv() => {
                self.gathered.push(first);
                Woken::Work
            }
            () = self.shared.key_state_changed.notified() => Woken::Work,
        }
    }

    /// After a failure. A flush, which somebody waits for, is tried at once, and so is a
    /// database that is back; records that come meanwhile go to disk.
    async fn wait_until(&mut self, at: Instant, stop: &CancellationToken) -> Woken {
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            Some(done) = self.flushes.recv() => Woken::Flush(done),
            () = tokio::time::sleep_until(at) => Woken::Work,
            () = turned_ready(&mut self.state) => Woken::Work,
            Some(first) = self.queued.recv() => {
                self.gathered.push(first);
                Woken::Spool
            }
        }
    }

    /// Waits a little for company. Gives whoever has begun to wait for everything to be
    /// written.
    async fn gather(&mut self, stop: &CancellationToken) -> Option<oneshot::Sender<()>> {
        let window = tokio::time::sleep(GATHER);
        tokio::pin!(window);
        while self.gathered.len() < BATCH {
            let room = BATCH - self.gathered.len();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = &mut window => break,
                Some(done) = self.flushes.recv() => return Some(done),
                count = self.queued.recv_many(&mut self.gathered, room) => {
                    if count == 0 {
                        break;
                    }
                }
            }
        }
        None
    }

    /// Writes all that is there now, batch by batch. True when that failed.
    async fn write_all(&mut self) -> bool {
        let result = self.try_write_all().await;
        let failed_before = self.shared.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Ok(()) => {
                if failed_before {
                    tracing::info!("records are written again");
                }
                false
            }
            Err(error) => {
                if !failed_before {
                    tracing::error!(
                        %error,
                        "records cannot be written; requests go on, records wait on disk"
                    );
                }
                self.put_aside().await;
                true
            }
        }
    }

    async fn try_write_all(&mut self) -> Result<(), StoreError> {
        loop {
            self.write_spooled().await?;
            self.take_queued();
            let more = self.gathered.len() == BATCH;
            let fresh = std::mem::take(&mut *self.shared.key_states.lock());
            self.key_states.extend(fresh);
            self.write_gathered().await?;
            if !more && self.spool.next().is_none() {
                return Ok(());
            }
        }
    }

    /// Writes what waits on disk.
    async fn write_spooled(&mut self) -> Result<(), StoreError> {
        while let Some(waiting) = self.spool.next() {
            let Some(requests) = self.spool.read(&waiting).await else {
                self.spool.set_aside().await;
                self.spool_changed();
                continue;
            };
            let batch = Batch {
                number: Some((waiting.writer.clone(), waiting.number)),
                requests,
                time_zone: TimeZone::clone(&self.shared.time_zone.load()),
                ..Batch::default()
            };
            let (result, _) = self.write(&batch, true).await;
            match result {
                Ok(()) => self.spool.done().await,
                Err(error) if error.may_pass() || self.refusals < REFUSALS => {
                    self.refusals += u32::from(!error.may_pass());
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(
                        path = %waiting.path.display(), %error,
                        "the database refuses records again and again; the file is set aside"
                    );
                    let lost = waiting.records;
                    self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
                    self.spool.set_aside().await;
                }
            }
            self.refusals = 0;
            self.spool_changed();
        }
        Ok(())
    }

    /// Writes a batch. When that takes long, it goes to disk meanwhile (unless it came from
    /// there), and what comes behind it, too: the queue is not to run over, and if the process
    /// ends suddenly, little is to be lost. Gives what came of it, and whether the batch is on
    /// disk.
    async fn write(&mut self, batch: &Batch, mut on_disk: bool) -> (Result<(), StoreError>, bool) {
        let store = self.store.clone();
        let writing = store.write(batch);
        tokio::pin!(writing);
        tokio::select! {
            result = &mut writing => return (result, on_disk),
            () = tokio::time::sleep(LONG) => {}
        }
        if let (false, Some((name, number))) = (on_disk, &batch.number) {
            on_disk = self.spool.put(name, *number, &batch.requests).await.is_ok();
            if !on_disk {
                // Behind it nothing may go to disk: it would be written first.
                return (writing.await, false);
            }
        }
        loop {
            self.put_aside().await;
            tokio::select! {
                result = &mut writing => return (result, on_disk),
                () = tokio::time::sleep(GATHER) => {}
            }
        }
    }

    /// Writes what was gathered as a batch, with nothing on disk before it. One that fails goes
    /// to disk under the number it
    /// was tried with: it may have been committed although no answer came.
    async fn write_gathered(&mut self) -> Result<(), StoreError> {
        let requests = std::mem::take(&mut self.gathered);
        let batch = Batch {
            number: (!requests.is_empty()).then(|| self.next_number()),
            requests,
            key_states: std::mem::take(&mut self.key_states),
            time_zone: TimeZone::clone(&self.shared.time_zone.load()),
        };
        if batch.is_empty() {
            return Ok(());
        }
        let (result, on_disk) = self.write(&batch, false).await;
        self.shared.bodies_left(&batch.requests);
        let written = u64::try_from(batch.requests.len()).unwrap_or(u64::MAX);
        match &result {
            Ok(()) => {
                self.shared.written.fetch_add(written, Ordering::Relaxed);
                if on_disk {
                    self.spool.done().await;
                    self.spool_changed();
                }
            }
            Err(_) => {
                self.key_states = batch.key_states;
                if let (false, Some((_, number))) = (on_disk, batch.number) {
                    self.put(number, &batch.requests).await;
                }
            }
        }
        result
    }

    fn next_number(&mut self) -> (String, i64) {
        self.number += 1;
        (self.name.clone(), self.number)
    }

    /// Puts all that is there now on disk, as batches that were not tried.
    async fn put_aside(&mut self) {
        loop {
            self.take_queued();
            if self.gathered.is_empty() {
                return;
            }
            let requests = std::mem::take(&mut self.gathered);
            let (_, number) = self.next_number();
            self.put(number, &requests).await;
            self.shared.bodies_left(&requests);
        }
    }

    /// Gathers what is queued, up to a batch.
    fn take_queued(&mut self) {
        while self.gathered.len() < BATCH
            && let Ok(record) = self.queued.try_recv()
        {
            self.gathered.push(record);
        }
    }

    async fn put(&mut self, number: i64, requests: &[RequestRecord]) {
        let name = self.name.clone();
        if let Err(error) = self.spool.put(&name, number, requests).await {
            let lost = u64::try_from(requests.len()).unwrap_or(u64::MAX);
            let before = self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
            if before == 0 {
                tracing::error!(%error, "records cannot be kept on disk either; they are dropped");
            }
        }
        self.spool_changed();
    }

    fn spool_changed(&self) {
        let waiting = self.spool.records();
        self.shared.spooled.store(waiting, Ordering::Relaxed);
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
        self.put_aside().await;
        let waiting = self.spool.records();
        tracing::warn!(waiting, "records wait on disk for the next start");
    }
}
