use contract::admin::BackupReason;
use sqlx::ConnectOptions as _;

use super::*;
use crate::backups::Schedule;

const HOUR: Millis = 60 * 60 * 1_000;

fn folder(world: &World) -> PathBuf {
    world.path().with_file_name("backups")
}

fn names(store: &Store) -> Vec<String> {
    let backups = store.backups().unwrap();
    backups.into_iter().map(|backup| backup.name).collect()
}

async fn count(path: &Path) -> usize {
    let rows = rows_from_outside(path, "SELECT CAST(COUNT(*) AS TEXT) FROM requests").await;
    rows[0].parse().unwrap()
}

fn requests(count: usize) -> Batch {
    Batch {
        requests: vec![record(1); count],
        ..Batch::default()
    }
}

fn session(now: Millis, hash: u8) -> StoredSession {
    StoredSession {
        hash: [hash; 32],
        created_at: now,
        expires_at: now + HOUR,
        last_seen_at: now,
        address: String::new(),
        user_agent: String::new(),
    }
}

#[tokio::test]
async fn a_backup_of_a_database_that_is_being_written_is_whole() {
    const BATCH: usize = 100;
    let world = World::new();
    let store = world.open().await;
    let written = std::sync::atomic::AtomicBool::new(false);
    let writing = async {
        for _ in 0..40 {
            store.write(&requests(BATCH)).await.unwrap();
        }
        written.store(true, Ordering::Relaxed);
    };
    let copying = async {
        let mut copies = Vec::new();
        while !written.load(Ordering::Relaxed) {
            copies.push(store.back_up(BackupReason::Manual).await.unwrap());
        }
        copies
    };
    let ((), copies) = tokio::join!(writing, copying);
    assert!(!copies.is_empty());
    for copy in &copies {
        let path = folder(&world).join(&copy.name);
        assert_eq!(
            rows_from_outside(&path, "PRAGMA integrity_check").await,
            ["ok"]
        );
        assert_eq!(count(&path).await % BATCH, 0, "half a transaction");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    assert_eq!(names(&store).len(), copies.len(), "every one has a name");
}

#[tokio::test]
async fn scheduled_backups_are_made_when_due_and_only_so_many_are_kept() {
    let world = World::new();
    let store = world.open().await;
    let by_hand = store.back_up(BackupReason::Manual).await.unwrap();
    let begin = world.now.load(Ordering::Relaxed);
    let made = async |schedule: &mut Schedule, now: Millis, every| {
        world.now.store(now, Ordering::Relaxed);
        let before = names(&store);
        schedule.run(&store, now, every, 2).await;
        names(&store).iter().any(|name| !before.contains(name))
    };
    let mut schedule = Schedule::new(begin);
    assert!(
        !made(&mut schedule, begin, 24).await,
        "nothing is in it yet"
    );
    let first = begin + HOUR;
    assert!(!made(&mut schedule, first, 0).await, "switched off");
    assert!(made(&mut schedule, first, 24).await);
    assert!(!made(&mut schedule, first + 24 * HOUR - 1, 24).await);
    // A restart is no reason for another one, and makes up for one that was missed.
    let mut schedule = Schedule::new(first + 24 * HOUR - 1);
    assert!(!made(&mut schedule, first + 24 * HOUR - 1, 24).await);
    assert!(made(&mut schedule, first + 24 * HOUR, 24).await);
    assert!(made(&mut schedule, first + 48 * HOUR, 24).await);

    let backups = store.backups().unwrap();
    let reasons: Vec<_> = backups.iter().map(|backup| backup.reason).collect();
    let (scheduled, manual) = (BackupReason::Scheduled, BackupReason::Manual);
    assert_eq!(reasons, [scheduled, scheduled, manual]);
    assert_eq!(
        (backups[0].at, backups[1].at),
        (first + 48 * HOUR, first + 24 * HOUR)
    );
    assert_eq!(backups[2], by_hand);

    // One that fails is tried again later, not every second.
    std::fs::remove_dir_all(folder(&world)).unwrap();
    std::fs::write(folder(&world), "in the way").unwrap();
    let now = first + 72 * HOUR;
    schedule.run(&store, now, 24, 2).await;
    std::fs::remove_file(folder(&world)).unwrap();
    assert!(!made(&mut schedule, now + 1, 24).await);
    assert!(made(&mut schedule, now + HOUR, 24).await);
}

#[tokio::test]
async fn going_back_brings_back_what_was_there_but_not_who_may_sign_in() {
    let world = World::new();
    let store = world.open().await;
    let now = world.now.load(Ordering::Relaxed);
    store.add_keys(&[key(KEY, "then")]).await.unwrap();
    store.set_first_password("known to a thief").await.unwrap();
    store.add_session(&session(now, 1)).await.unwrap();
    store.add_session(&session(now, 2)).await.unwrap();
    store.write(&requests(3)).await.unwrap();
    let then = store.back_up(BackupReason::Manual).await.unwrap();

    let id = store.keys().await.unwrap()[0].id;
    store.delete_key(id).await.unwrap();
    store.add_keys(&[key(OTHER, "later")]).await.unwrap();
    store.write(&requests(2)).await.unwrap();
    store
        .change_password("new", Some([2; 32]), false)
        .await
        .unwrap();
    store.add_session(&session(now, 3)).await.unwrap();
    let _ = store.tend().await;
    assert_eq!(store.tend().await, Tended::Unchanged);

    store.restore(&then.name).await.unwrap();
    let labels = async || -> Vec<String> {
        let keys = store.keys().await.unwrap();
        keys.into_iter().map(|key| key.label).collect()
    };
    assert_eq!(labels().await, ["then"]);
    assert_eq!(store.facts().await.unwrap().request_rows, 3);
    assert_eq!(store.password_hash().await.unwrap().unwrap(), "new");
    let mut sessions: Vec<u8> = store
        .sessions()
        .await
        .unwrap()
        .iter()
        .map(|s| s.hash[0])
        .collect();
    sessions.sort_unstable();
    assert_eq!(sessions, [2, 3], "who had been signed out stays out");
    assert_eq!(store.tend().await, Tended::Changed, "memory has to follow");
    assert!(!store.knows_environment());

    // The way back.
    let before = store.backups().unwrap();
    let before = before
        .iter()
        .find(|backup| backup.reason == BackupReason::BeforeRestore)
        .unwrap();
    store.restore(&before.name).await.unwrap();
    assert_eq!(labels().await, ["later"]);
    assert_eq!(store.facts().await.unwrap().request_rows, 5);
    store.add_keys(&[key(KEY, "again")]).await.unwrap();
    store.close().await;
    assert!(!world.path().with_file_name("restoring").exists());
    world.open().await.ping().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_anything_is_touched() {
    let world = World::new();
    let store = world.open().await;
    let keys: Vec<FoundKey> = (0..200)
        .map(|n| key(&format!("{KEY}{n:04}"), "x"))
        .collect();
    store.add_keys(&keys).await.unwrap();
    let good = store.back_up(BackupReason::Manual).await.unwrap();
    let good = std::fs::read(folder(&world).join(good.name)).unwrap();

    let file = world.folder.path().join("copy.db");
    let other_key = World {
        master: MasterKey::from_bytes([8; 32]),
        ..World::new()
    };
    other_key.open().await.close().await;
    let mut damaged = good.clone();
    let half = damaged.len() / 2;
    damaged[4096..half].fill(0xa5);
    let cases = [
        (damaged, "damaged"),
        (b"no database, but long enough. ".repeat(40), "damaged"),
        (Vec::new(), "not a database of Gemini Balance"),
        (std::fs::read(other_key.path()).unwrap(), "SECRET_KEY"),
        (good.clone(), "newer version"),
        (good, "not a database of Gemini Balance"),
    ];
    let names_before = names(&store);
    for (at, (bytes, why)) in cases.into_iter().enumerate() {
        std::fs::write(&file, bytes).unwrap();
        match at {
            4 => {
                run_from_outside(
                    &file,
                    "INSERT INTO _sqlx_migrations \
                     (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'from the future', 1, x'00', 0)",
                )
                .await;
            }
            5 => run_from_outside(&file, "DROP TABLE _sqlx_migrations").await,
            _ => {}
        }
        let before = std::fs::read(&file).unwrap();
        let said = store.restore_file(&file).await.unwrap_err().to_string();
        assert!(
            said.contains(why) && said.contains("copy.db"),
            "{why}: {said}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), before, "{why}");
    }
    let said = store.restore_file(Path::new("/nowhere")).await.unwrap_err();
    assert!(said.to_string().contains("cannot be copied"), "{said}");
    assert_eq!(
        store.keys().await.unwrap().len(),
        200,
        "it was never closed"
    );
    assert_eq!(names(&store), names_before);
    assert!(!world.path().with_file_name("restoring").exists());
}

#[tokio::test]
async fn a_database_that_another_process_uses_is_not_exchanged() {
    let world = World::new();
    let store = world.open().await;
    let other = world.open().await;
    store.add_keys(&[key(KEY, "")]).await.unwrap();
    let backup = store.back_up(BackupReason::Manual).await.unwrap();
    store.add_keys(&[key(OTHER, "")]).await.unwrap();
    let said = store.restore(&backup.name).await.unwrap_err();
    assert!(matches!(said, StoreError::Busy(_)), "{said}");
    assert_eq!(store.keys().await.unwrap().len(), 2, "it is open again");
    assert_eq!(names(&store), std::slice::from_ref(&backup.name));
    other.ping().await.unwrap();
    other.close().await;
    store.restore(&backup.name).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_damaged_database_is_kept_and_left_behind() {
    let world = World::new();
    let store = world.open().await;
    store.add_keys(&[key(KEY, "")]).await.unwrap();
    let backup = store.back_up(BackupReason::Manual).await.unwrap();
    store.close().await;
    let rubbish = b"this was a database once, before the disk failed. ".repeat(40);
    world.put(&rubbish);

    let store = world.unopened();
    store.restore(&backup.name).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 1);
    let kept = store.backups().unwrap();
    let kept = kept
        .iter()
        .find(|backup| backup.reason == BackupReason::BeforeRestore)
        .unwrap();
    assert_eq!(
        std::fs::read(folder(&world).join(&kept.name)).unwrap(),
        rubbish
    );
    store.close().await;

    // Nothing there at all, as on a new machine.
    std::fs::remove_file(world.path()).unwrap();
    let store = world.unopened();
    store.restore(&backup.name).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_whole_backups_have_names_and_no_name_leads_elsewhere() {
    let world = World::new();
    let store = world.open().await;
    let made = store.back_up(BackupReason::Manual).await.unwrap();
    assert_eq!(made.name, "test-20231114T221320000Z-manual.db");
    assert_eq!(store.backups().unwrap(), std::slice::from_ref(&made));
    // The second of the same millisecond has a name of its own.
    let second = store.back_up(BackupReason::Manual).await.unwrap();
    assert_ne!(second.name, made.name);
    store.delete_backup(&second.name).unwrap();

    let abandoned = folder(&world).join("test-20231110T221320000Z-manual.db.part");
    let running = folder(&world).join("test-20231114T221310000Z-manual.db.part");
    let mut others = vec![
        "notes.txt".to_owned(),
        "other-20231114T221320000Z-manual.db".to_owned(),
        "test-20231114T221320000Z-because.db".to_owned(),
        "test-20231314T221320000Z-manual.db".to_owned(),
        "test-20231114T221320000-manual.db".to_owned(),
        "test-20231114T221320+01Z-manual.db".to_owned(),
        "test-2023111\u{e9}T21320000Z-manual.db".to_owned(),
    ];
    for name in &others {
        std::fs::write(folder(&world).join(name), "x").unwrap();
    }
    std::fs::write(&abandoned, "x").unwrap();
    std::fs::write(&running, "x").unwrap();
    #[cfg(unix)]
    {
        let link = "test-20231114T221329000Z-manual.db".to_owned();
        std::os::unix::fs::symlink(world.path(), folder(&world).join(&link)).unwrap();
        others.push(link);
    }
    assert_eq!(names(&store), std::slice::from_ref(&made.name));
    let inside = format!("../backups/{}", made.name);
    others.extend(["", ".", "..", "../test.db", "/etc/passwd", &inside].map(str::to_owned));
    for name in &others {
        for said in [store.delete_backup(name), store.restore(name).await] {
            let said = said.unwrap_err();
            assert!(matches!(said, StoreError::NoBackup(_)), "{name}: {said}");
        }
    }
    assert!(world.path().exists());
    store.back_up(BackupReason::Scheduled).await.unwrap();
    assert!(!abandoned.exists() && running.exists());
}

#[tokio::test]
async fn an_older_versions_database_is_backed_up_before_its_tables_change() {
    let world = World::new();
    std::fs::create_dir_all(world.path().parent().unwrap()).unwrap();
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(world.path())
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    let migrations = sqlx::migrate!("../migrations/sqlite");
    migrations
        .run_direct(Some(1), &mut connection, false)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    world
        .tamper(
            "INSERT INTO panel (name, value) VALUES ('password', CAST('old' AS BLOB)); \
             INSERT INTO sessions (hash, created_at, expires_at) VALUES (x'01', 1, 2)",
        )
        .await;
    let store = world.open().await;
    assert_eq!(store.password_hash().await.unwrap().unwrap(), "old");
    let backups = store.backups().unwrap();
    assert_eq!(backups.len(), 1);
    assert_eq!(backups[0].reason, BackupReason::BeforeMigration);
    let copy = folder(&world).join(&backups[0].name);
    let applied = "SELECT CAST(MAX(version) AS TEXT) FROM _sqlx_migrations";
    assert_eq!(rows_from_outside(&copy, applied).await, ["1"]);

    // It can be gone back to: then it is migrated once more.
    store.add_keys(&[key(KEY, "")]).await.unwrap();
    store.restore(&backups[0].name).await.unwrap();
    assert!(store.keys().await.unwrap().is_empty());
    store.close().await;
    world.open().await.close().await;
    assert_eq!(
        names(&store).len(),
        2,
        "one before the change, one before going back"
    );
}

#[tokio::test]
async fn numbers_of_the_database_before_say_nothing_about_the_restored_one() {
    let other = World::new();
    let store = other.open().await;
    store.sync_environment(&secrets(&[KEY]), &[]).await.unwrap();
    let backup = store.back_up(BackupReason::Manual).await.unwrap();
    let backup = folder(&other).join(backup.name);

    let world = World::new();
    let store = world.open().await;
    store.add_keys(&[key(OTHER, "")]).await.unwrap();
    store.sync_environment(&secrets(&[KEY]), &[]).await.unwrap();
    store.load().await.unwrap();
    store.restore_file(&backup).await.unwrap();
    store.sync_environment(&secrets(&[KEY]), &[]).await.unwrap();
    let added = store.add_keys(&[key(OTHER, "")]).await.unwrap();
    let id = added[0].as_ref().unwrap().id;
    assert_eq!(id, 2, "the number that the other key had before");
    let mut of_it = record(1);
    of_it.key_id = Some(id);
    let batch = Batch {
        requests: vec![of_it],
        ..Batch::default()
    };
    store.write(&batch).await.unwrap();
    let counts = store.key_counts(0).await.unwrap();
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&id]);
}

#[tokio::test]
async fn a_restore_brings_back_no_token_of_the_panel() {
    let world = World::new();
    let store = world.open().await;
    let run = async |statement| {
        let db = store.db().unwrap();
        let run = crate::store::database::query(statement);
        run.execute(db.write()).await.unwrap();
    };
    let holds = async || {
        let saved = store.saved_settings().await.unwrap();
        let value = saved.get("AUTH_TOKEN").map(|saved| saved.value.clone());
        let path = world.path();
        let seen = rows_from_outside(&path, "SELECT value FROM environment_seen ORDER BY name");
        (value, seen.await)
    };
    run("INSERT INTO settings (name, value, changed_at) VALUES ('AUTH_TOKEN', 'old', 1)").await;
    run(
        "INSERT INTO environment_seen (name, value, seen_at) VALUES \
         ('AUTH_TOKEN', 'old', 1), ('TIME_OUT', '7', 1)",
    )
    .await;
    let then = store.back_up(BackupReason::Manual).await.unwrap();

    // Another one was saved since, because somebody knew the old one.
    run("UPDATE settings SET value = 'new'").await;
    run("UPDATE environment_seen SET value = 'new' WHERE name = 'AUTH_TOKEN'").await;
    store.restore(&then.name).await.unwrap();
    let both = vec!["new".to_owned(), "7".to_owned()];
    assert_eq!(holds().await, (Some("new".into()), both));

    // It was given up for a password.
    run("DELETE FROM settings").await;
    run("DELETE FROM environment_seen WHERE name = 'AUTH_TOKEN'").await;
    assert!(store.set_first_password("a hash").await.unwrap());
    store.restore(&then.name).await.unwrap();
    assert_eq!(holds().await, (None, vec!["7".to_owned()]));
}
