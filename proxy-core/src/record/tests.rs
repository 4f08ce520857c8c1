use contract::admin::{Sealing, Surface};
use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vault::MasterKey;

use super::{ERROR_CHARS, QUEUE, Recorder, RequestRecord};
use crate::clock::Clock;
use crate::pool::SavedKeyState;
use crate::store::{DatabaseConfig, FoundKey, Store, StoreConfig};

/// A recorder on a database of its own.
struct World {
    folder: TempDir,
    store: Store,
    recorder: Recorder,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    async fn on(folder: TempDir) -> Self {
        let store = open(&folder).await;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let recorder = Recorder::start(store.clone(), TimeZone::UTC, &tracker, stop.clone());
        Self {
            folder,
            store,
            recorder,
            tracker,
            stop,
        }
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    async fn written(&self) -> u64 {
        let sums = self.store.hours_since(0).await.unwrap();
        sums.iter().map(|(_, sums)| sums.requests).sum()
    }
}

async fn open(folder: &TempDir) -> Store {
    let config = StoreConfig {
        database: DatabaseConfig::Sqlite(folder.path().join("test.db")),
        master: MasterKey::from_bytes([7; 32]),
        sealing: Sealing::SecretKey,
        data_dir: folder.path().to_path_buf(),
    };
    Store::open(config, Clock::new(|| 1)).await.unwrap()
}

fn record() -> RequestRecord {
    RequestRecord {
        at: 1,
        model: "gemini-2.5-pro".into(),
        key_id: Some(1),
        status: 200,
        attempts: 1,
        latency_ms: 1,
        prompt_tokens: 1,
        output_tokens: 1,
        ..RequestRecord::blank(Surface::Gemini)
    }
}

#[tokio::test]
async fn what_was_recorded_is_there_after_a_flush() {
    let world = World::new().await;
    for _ in 0..1234 {
        world.recorder.record(record());
    }
    world.recorder.flush().await;
    assert_eq!(world.written().await, 1234);
    assert_eq!(world.recorder.dropped(), 0);
    world.recorder.flush().await;
    assert_eq!(world.written().await, 1234, "nothing is written twice");
}

#[tokio::test]
async fn what_is_queued_is_written_before_the_end() {
    let world = World::new().await;
    for _ in 0..3000 {
        world.recorder.record(record());
    }
    world.end().await;
    assert_eq!(world.written().await, 3000);
    world.recorder.record(record());
    assert_eq!(world.recorder.dropped(), 1, "after the end it is counted");
    world.recorder.flush().await;
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_does_not_wait() {
    let world = World::new().await;
    // On this single-threaded runtime the writer does not run before the first await.
    for _ in 0..QUEUE + 7 {
        world.recorder.record(record());
    }
    assert_eq!(world.recorder.dropped(), 7);
    world.recorder.flush().await;
    assert_eq!(world.written().await, u64::try_from(QUEUE).unwrap());
}

#[tokio::test]
async fn a_failing_database_is_reported_and_nothing_is_lost_when_it_is_back() {
    let world = World::new().await;
    tamper(&world.folder, "ALTER TABLE requests RENAME TO away").await;
    world.recorder.record(record());
    world.recorder.flush().await;
    assert!(world.recorder.is_failing());
    world.recorder.record(record());
    world.recorder.flush().await;
    tamper(&world.folder, "ALTER TABLE away RENAME TO requests").await;
    world.recorder.flush().await;
    assert!(!world.recorder.is_failing());
    assert_eq!(world.written().await, 2);
    assert_eq!(world.recorder.dropped(), 0);
}

#[tokio::test]
async fn what_cannot_be_written_waits_on_disk_for_the_next_start_in_order_and_once() {
    let world = World::new().await;
    tamper(&world.folder, "ALTER TABLE requests RENAME TO away").await;
    // Several batches, of which the first was tried and the others were not.
    for number in 0..1200 {
        let mut record = record();
        record.model = format!("{number}").into();
        world.recorder.record(record);
    }
    world.end().await;
    assert_eq!(world.recorder.spooled(), 1200);
    assert_eq!(world.recorder.dropped(), 0);
    let spool = world.folder.path().join("spool");
    let files = || std::fs::read_dir(&spool).unwrap().count();
    assert!(files() > 1);
    #[cfg(unix)]
    for entry in std::fs::read_dir(&spool).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    tamper(&world.folder, "ALTER TABLE away RENAME TO requests").await;

    let again = World::on(world.folder).await;
    // As if the process had died between a commit and the removal of the file.
    let first = std::fs::read_dir(&spool).unwrap().next().unwrap().unwrap();
    let copy = std::fs::read(first.path()).unwrap();
    again.recorder.record(record());
    again.recorder.flush().await;
    assert_eq!((again.written().await, files()), (1201, 0));
    let order = rows(&again.folder, "SELECT model FROM requests ORDER BY id").await;
    let expected: Vec<String> = (0..1200).map(|number| number.to_string()).collect();
    assert_eq!(order[..1200], expected);
    again.end().await;
    std::fs::write(first.path(), copy).unwrap();
    let third = World::on(again.folder).await;
    third.recorder.flush().await;
    assert_eq!((third.written().await, files()), (1201, 0), "not twice");
}

#[tokio::test]
async fn what_waits_on_disk_is_bounded_and_what_is_beyond_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    tamper(&folder, "ALTER TABLE requests RENAME TO away").await;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let one = u64::try_from(serde_json::to_vec(&[record()]).unwrap().len()).unwrap();
    // Room for three batches of one record.
    let recorder = Recorder::start_with(
        store,
        TimeZone::UTC,
        &tracker,
        stop.clone(),
        3 * one + one / 2,
    );
    for _ in 0..5 {
        recorder.record(record());
        recorder.flush().await;
    }
    assert_eq!((recorder.spooled(), recorder.dropped()), (3, 2));
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn a_batch_that_the_database_refuses_for_ever_does_not_hold_up_the_others() {
    let world = World::new().await;
    tamper(
        &world.folder,
        "CREATE TRIGGER no BEFORE INSERT ON requests WHEN NEW.model = 'bad' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    let mut bad = record();
    bad.model = "bad".into();
    world.recorder.record(bad);
    world.recorder.flush().await;
    world.recorder.record(record());
    for _ in 0..20 {
        world.recorder.flush().await;
    }
    assert_eq!((world.written().await, world.recorder.dropped()), (1, 1));
    assert!(!world.recorder.is_failing());
}

#[tokio::test]
async fn of_a_keys_states_the_newest_is_kept() {
    let world = World::new().await;
    let key = FoundKey {
        secret: "AIzaSyA1234567890abcdefghijklmnopqrstuv".into(),
        label: String::new(),
        rules: contract::admin::KeyRules::default(),
    };
    let added = world.store.add_keys(&[key]).await.unwrap();
    let id = added[0].as_ref().unwrap().id;
    for said in ["first", "second", "third"] {
        let saved = SavedKeyState {
            last_error: Some(said.to_owned()),
            ..SavedKeyState::default()
        };
        world.recorder.key_state(id, saved);
    }
    world.end().await;
    let saved = world.store.keys().await.unwrap().remove(0).saved;
    assert_eq!(saved.unwrap().last_error.as_deref(), Some("third"));
}

#[tokio::test]
async fn long_errors_are_cut_between_characters() {
    let world = World::new().await;
    let mut failed = record();
    failed.error = Some("错".repeat(5000).into());
    world.recorder.record(failed);
    world.recorder.flush().await;
    let errors = world.store.last_errors(1).await.unwrap();
    assert_eq!(errors[0].error.chars().count(), ERROR_CHARS);
}

/// Runs a statement on the database from outside.
async fn tamper(folder: &TempDir, statement: &'static str) {
    crate::store::run_from_outside(&folder.path().join("test.db"), statement).await;
}

/// The only column of a query's rows, read from outside.
async fn rows(folder: &TempDir, query: &'static str) -> Vec<String> {
    crate::store::rows_from_outside(&folder.path().join("test.db"), query).await
}
