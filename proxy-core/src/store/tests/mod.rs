//! The store on both engines: what is in [`on_both`] holds for SQLite and for a real MariaDB.

mod backup;
mod bench;
mod inspect;
mod mysql;
mod records;
mod settings;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use contract::Millis;
use contract::admin::{Origin, Sealing, Surface, TokenRules};
use tempfile::TempDir;
use testkit::mariadb::{Access, Shared};
use vault::{MasterKey, Secret};

use super::{
    Batch, DatabaseConfig, FoundKey, MysqlConfig, Store, StoreConfig, StoreError, StoredSession,
    Tended, TlsMode,
};
use crate::clock::Clock;
use crate::pool::SavedKeyState;
use crate::record::RequestRecord;

const KEY: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
const OTHER: &str = "AQ.Ab8RN6KabcdefghIJKLmnop0123456789-_xyz";
const TOKEN: &str = "sk-a-token-of-the-environment";

/// A database, its master key and the time.
struct World {
    folder: TempDir,
    master: MasterKey,
    sealing: Sealing,
    now: Arc<AtomicI64>,
    /// Absent for SQLite.
    mysql: Option<(Shared, MysqlConfig)>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            master: MasterKey::from_bytes([7; 32]),
            sealing: Sealing::SecretKey,
            now: Arc::new(AtomicI64::new(1_700_000_000_000)),
            mysql: None,
        }
    }

    /// An empty database on a real MariaDB.
    async fn on_mysql() -> Self {
        let server = testkit::mariadb::shared().await;
        let config = mysql_config(&server, server.fresh_database().await);
        Self {
            mysql: Some((server, config)),
            ..Self::new()
        }
    }

    /// Lets so many milliseconds pass.
    fn later(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data").join("test.db")
    }

    fn config(&self) -> (StoreConfig, Clock) {
        let now = self.now.clone();
        let config = StoreConfig {
            database: match &self.mysql {
                Some((_, config)) => DatabaseConfig::Mysql(config.clone()),
                None => DatabaseConfig::Sqlite(self.path()),
            },
            master: self.master.clone(),
            sealing: self.sealing,
            data_dir: self.folder.path().to_path_buf(),
        };
        (config, Clock::new(move || now.load(Ordering::Relaxed)))
    }

    async fn try_open(&self) -> Result<Store, StoreError> {
        let (config, clock) = self.config();
        Store::open(config, clock).await
    }

    /// The store of a database that may not be one.
    fn unopened(&self) -> Store {
        let (config, clock) = self.config();
        Store::unopened(config, clock)
    }

    async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    /// The message of the error with which the database is refused.
    async fn refusal(&self) -> String {
        match self.try_open().await {
            Ok(_) => panic!("the database was opened"),
            Err(error) => error.to_string(),
        }
    }

    /// A file in the database's place.
    fn put(&self, content: &[u8]) {
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        std::fs::write(self.path(), content).unwrap();
    }

    async fn tamper(&self, statements: &'static str) {
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        run_from_outside(&self.path(), statements).await;
    }
}

fn mysql_config(server: &Access, database: String) -> MysqlConfig {
    MysqlConfig {
        host: server.host().to_owned(),
        port: server.port(),
        socket: None,
        user: server.user().to_owned(),
        password: Some(server.password().into()),
        database,
        tls: TlsMode::Preferred,
        tls_ca: None,
    }
}

/// Runs statements on a SQLite database as another program would.
pub(crate) async fn run_from_outside(path: &Path, statements: &'static str) {
    use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    connection.execute(statements).await.unwrap();
    connection.close().await.unwrap();
}

/// The only column of a query's rows, as another program would read them.
pub(crate) async fn rows_from_outside(path: &Path, query: &'static str) -> Vec<String> {
    use sqlx::{ConnectOptions as _, Connection as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query_scalar(query).fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    rows.unwrap()
}

fn key(secret: &str, label: &str) -> FoundKey {
    FoundKey {
        secret: secret.into(),
        label: label.to_owned(),
        rules: contract::admin::KeyRules::default(),
    }
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::from(*text)).collect()
}

fn record(at: Millis) -> RequestRecord {
    RequestRecord {
        at,
        model: "gemini-2.5-flash".into(),
        status: 200,
        stream: true,
        attempts: 1,
        latency_ms: 120,
        ttft_ms: Some(40),
        prompt_tokens: 10,
        output_tokens: 20,
        thought_tokens: 5,
        cached_tokens: 3,
        ..RequestRecord::blank(Surface::Openai)
    }
}

fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|piece| piece == text.as_bytes())
}

/// Runs each of these on both engines.
macro_rules! on_both {
    ($($name:ident)+) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::World::new()).await;
                }
            )+
        }
        mod on_mariadb {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::World::on_mysql().await).await;
                }
            )+
        }
    };
}

use on_both;

// Behind the macro that they use.
mod documents;
mod memory;
mod original;
mod owners;
mod rotation;
mod taken;

on_both! {
    keys_come_back_after_a_restart_with_what_was_known_of_them
    the_same_key_is_one_key_and_a_deleted_one_can_come_back
    the_environment_decides_about_its_own_keys_and_tokens_only
    a_token_is_known_by_its_hash_until_it_is_deleted
    sessions_end_and_the_first_password_is_chosen_once
    each_code_of_the_second_factor_is_taken_once
    a_tokens_rules_and_its_day_are_kept
    another_master_key_is_noticed_at_once
    the_audit_log_is_in_the_order_of_time_whatever_its_numbers
    two_processes_may_start_at_once
}

async fn keys_come_back_after_a_restart_with_what_was_known_of_them(world: World) {
    let store = world.open().await;
    let added = store
        .add_keys(&[key(KEY, "one"), key(OTHER, "")])
        .await
        .unwrap();
    let id = added[0].as_ref().unwrap().id;
    assert!(
        store
            .change_key(id, Some("two"), Some(false), None)
            .await
            .unwrap()
    );
    assert!(!store.change_key(999, Some("x"), None, None).await.unwrap());
    let saved = SavedKeyState {
        last_error: Some("429: slow down".to_owned()),
        ..SavedKeyState::default()
    };
    let batch = Batch {
        key_states: [(id, saved.clone())].into(),
        ..Batch::default()
    };
    store.write(&batch).await.unwrap();
    store.close().await;

    let store = world.open().await;
    let pool = store.keys().await.unwrap();
    assert_eq!(pool.len(), 2);
    assert_eq!(pool[0].secret, KEY.into());
    assert!(!pool[0].enabled && pool[1].enabled);
    assert_eq!(pool[0].saved, Some(saved));
    let keys = store.keys().await.unwrap();
    assert_eq!(
        (keys[0].label.as_str(), keys[0].origin),
        ("two", Origin::Panel)
    );
}

async fn the_same_key_is_one_key_and_a_deleted_one_can_come_back(world: World) {
    let store = world.open().await;
    let added = store
        .add_keys(&[key(KEY, "one"), key(KEY, "again")])
        .await
        .unwrap();
    let id = added[0].as_ref().unwrap().id;
    assert!(added[1].is_none());
    let rules = contract::admin::KeyRules {
        weight: 7,
        ..contract::admin::KeyRules::default()
    };
    assert!(
        store
            .change_key(id, None, None, Some(&rules))
            .await
            .unwrap()
    );
    assert_eq!(
        store
            .known_keys(&[key(KEY, ""), key(OTHER, "")])
            .await
            .unwrap(),
        [true, false]
    );

    assert!(store.delete_key(id).await.unwrap());
    assert!(!store.delete_key(id).await.unwrap());
    assert!(store.keys().await.unwrap().is_empty());
    assert!(store.key(id).await.unwrap().is_none());
    let restored = store.restore_key(id).await.unwrap().unwrap();
    assert_eq!((restored.id, restored.label.as_str()), (id, "one"));
    assert!(
        store.restore_key(id).await.unwrap().is_none(),
        "it is not deleted any more"
    );

    store.delete_key(id).await.unwrap();
    store.close().await;
    let store = world.open().await;
    assert!(
        store.restore_key(id).await.unwrap().is_none(),
        "wiped at the start"
    );
    assert_eq!(store.known_keys(&[key(KEY, "")]).await.unwrap(), [false]);
    let again = store.add_keys(&[key(KEY, "")]).await.unwrap();
    // What the pool is told of it now is what it reads the next time.
    let new = again[0].as_ref().unwrap();
    assert_eq!(new.rules, store.keys().await.unwrap()[0].rules);
    assert_eq!(
        again[0].as_ref().unwrap().id,
        id,
        "its number, for its statistics"
    );
    assert_eq!(store.keys().await.unwrap()[0].label, "one");
}

async fn the_environment_decides_about_its_own_keys_and_tokens_only(world: World) {
    let store = world.open().await;
    store.add_keys(&[key(KEY, "mine")]).await.unwrap();
    store
        .sync_environment(&secrets(&[KEY, OTHER]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    let origins = |keys: Vec<super::StoredKey>| -> Vec<Origin> {
        keys.into_iter().map(|key| key.origin).collect()
    };
    let keys = store.keys().await.unwrap();
    let of_environment = keys[1].id;
    assert_eq!(origins(keys), [Origin::Panel, Origin::Environment]);
    let refused = store.delete_key(of_environment).await.unwrap_err();
    assert!(refused.to_string().contains("API_KEYS"), "{refused}");
    let tokens = store.tokens().await.unwrap();
    assert_eq!((tokens[0].id, tokens[0].origin), (-1, Origin::Environment));
    assert!(
        store
            .delete_token(-1)
            .await
            .unwrap_err()
            .to_string()
            .contains("ALLOWED_TOKENS")
    );

    store.sync_environment(&[], &[]).await.unwrap();
    assert_eq!(origins(store.keys().await.unwrap()), [Origin::Panel]);
    assert!(store.tokens().await.unwrap().is_empty());
    store
        .sync_environment(&secrets(&[OTHER]), &secrets(&["sk-new", TOKEN]))
        .await
        .unwrap();
    assert_eq!(
        store.keys().await.unwrap()[1].id,
        of_environment,
        "the same key as before"
    );
    let mut ids: Vec<i64> = store
        .tokens()
        .await
        .unwrap()
        .iter()
        .map(|token| token.id)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [-2, -1]);
}

async fn a_token_is_known_by_its_hash_until_it_is_deleted(world: World) {
    let store = world.open().await;
    let token = Secret::from("sk-0123456789abcdefghij");
    let stored = store
        .add_token("laptop", &token, &TokenRules::default())
        .await
        .unwrap();
    assert!(stored.id > 0);
    assert_eq!(stored.masked, "sk-0…ghij");
    let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        token.expose(),
    ))
    .into();
    assert_eq!(store.tokens().await.unwrap()[0].hash, hash);
    let mut used = record(99);
    used.token_id = Some(stored.id);
    let requests = vec![used];
    store
        .write(&Batch {
            requests,
            ..Batch::default()
        })
        .await
        .unwrap();
    assert_eq!(store.tokens().await.unwrap()[0].last_used_at, Some(99));
    assert!(store.delete_token(stored.id).await.unwrap());
    assert!(!store.delete_token(stored.id).await.unwrap());
    assert!(store.tokens().await.unwrap().is_empty());
}

async fn sessions_end_and_the_first_password_is_chosen_once(world: World) {
    let store = world.open().await;
    assert_eq!(store.password_hash().await.unwrap(), None);
    assert!(store.set_first_password("hash one").await.unwrap());
    assert!(!store.set_first_password("hash two").await.unwrap());
    assert_eq!(
        store.password_hash().await.unwrap().as_deref(),
        Some("hash one")
    );

    let now = world.now.load(Ordering::Relaxed);
    let session = |hash, expires_at| StoredSession {
        hash,
        created_at: now,
        expires_at,
        last_seen_at: now,
        address: "203.0.113.9".into(),
        user_agent: "Firefox".into(),
    };
    let first = session([1; 32], now + 10);
    store.add_session(&first).await.unwrap();
    assert_eq!(store.session([1; 32]).await.unwrap(), Some(first));
    assert_eq!(store.session([2; 32]).await.unwrap(), None);
    store
        .touch_session([1; 32], now + 5, now + 20)
        .await
        .unwrap();
    world.now.fetch_add(19, Ordering::Relaxed);
    let touched = store.session([1; 32]).await.unwrap().unwrap();
    assert_eq!(
        (touched.last_seen_at, touched.expires_at),
        (now + 5, now + 20)
    );
    world.now.fetch_add(1, Ordering::Relaxed);
    assert_eq!(store.session([1; 32]).await.unwrap(), None);
    let mut long = session([3; 32], now + 100);
    long.user_agent = format!("a\r\nb{}", "x".repeat(1000));
    store.add_session(&long).await.unwrap();
    let kept = store.sessions().await.unwrap();
    assert_eq!(kept.len(), 1, "the one that has ended is not listed");
    assert_eq!(kept[0].user_agent, format!("ab{}", "x".repeat(298)));
    assert!(store.end_session([3; 32]).await.unwrap());
    assert!(!store.end_session([3; 32]).await.unwrap());

    // What ends all sessions, and what spares one.
    for hash in [4, 5] {
        store
            .add_session(&session([hash; 32], now + 100))
            .await
            .unwrap();
    }
    store
        .change_password("hash two", Some([4; 32]), false)
        .await
        .unwrap();
    assert_eq!(
        store.password_hash().await.unwrap().as_deref(),
        Some("hash two")
    );
    let left =
        |sessions: Vec<StoredSession>| sessions.iter().map(|s| s.hash[0]).collect::<Vec<_>>();
    assert_eq!(left(store.sessions().await.unwrap()), [4]);
    let token = |text: &str| Secret::from(text);
    for (seen, sessions) in [("one", vec![4]), ("one", vec![4]), ("two", vec![])] {
        store
            .end_sessions_of_another(Some(&token(seen)))
            .await
            .unwrap();
        assert_eq!(left(store.sessions().await.unwrap()), sessions, "{seen}");
    }
}

async fn each_code_of_the_second_factor_is_taken_once(world: World) {
    let store = world.open().await;
    assert!(store.second_factor().await.unwrap().is_none());
    let secret = Secret::from("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP");
    store
        .set_second_factor(&secret, 100, &[[1; 32], [2; 32], [3; 32]], None)
        .await
        .unwrap();
    store.close().await;

    let store = world.open().await;
    let factor = store.second_factor().await.unwrap().unwrap();
    assert_eq!(factor.secret, secret);
    assert_eq!((factor.used, factor.recovery_codes), (Some(100), 3));
    for (step, taken) in [(100, false), (99, false), (101, true), (101, false)] {
        assert_eq!(store.take_step(step).await.unwrap(), taken, "{step}");
    }
    for (code, taken) in [(2, true), (2, false), (9, false), (3, true)] {
        let hash = [code; 32];
        assert_eq!(
            store.take_recovery_code(hash).await.unwrap(),
            taken,
            "{code}"
        );
    }
    let factor = store.second_factor().await.unwrap().unwrap();
    assert_eq!((factor.used, factor.recovery_codes), (Some(101), 1));

    store.change_password("new", None, false).await.unwrap();
    assert!(store.second_factor().await.unwrap().is_some());
    store.change_password("new", None, true).await.unwrap();
    assert!(store.second_factor().await.unwrap().is_none());
    assert!(!store.take_recovery_code([1; 32]).await.unwrap());
}

async fn a_tokens_rules_and_its_day_are_kept(world: World) {
    let store = world.open().await;
    let of_environment = secrets(&[TOKEN]);
    store.sync_environment(&[], &of_environment).await.unwrap();
    let rules = TokenRules {
        rpm: Some(3),
        models: vec!["gemini-2.5-*".into()],
        ..TokenRules::default()
    };
    let secret = Secret::from("sk-0123456789abcdefghij");
    let made = store.add_token("phone", &secret, &rules).await.unwrap();
    store.load().await.unwrap();
    let revision = store.revision();
    let changed = store.change_token(made.id, Some("desk"), None).await;
    assert!(changed.unwrap());
    assert!(store.change_token(-1, None, Some(&rules)).await.unwrap());
    assert!(!store.change_token(77, None, Some(&rules)).await.unwrap());
    store.load().await.unwrap();
    assert_eq!(store.revision(), revision + 2, "other servers notice");
    let refused = store.change_token(-1, Some("mine"), None).await;
    assert!(refused.unwrap_err().to_string().contains("ALLOWED_TOKENS"));
    let tokens = store.tokens().await.unwrap();
    assert_eq!(
        (&*tokens[0].name, &tokens[0].rules),
        ("ALLOWED_TOKENS 1", &rules)
    );
    assert_eq!((&*tokens[1].name, &tokens[1].rules), ("desk", &rules));

    let mut failed = record(100);
    failed.error = Some("overloaded".into());
    let mut turned_away = failed.clone();
    turned_away.attempts = 0;
    let yesterday = record(-1);
    let mut requests = vec![failed, turned_away, yesterday, record(101)];
    for request in &mut requests {
        request.token_id = Some(made.id);
    }
    let batch = Batch {
        requests,
        ..Batch::default()
    };
    store.write(&batch).await.unwrap();
    let counts = store.token_counts(0).await.unwrap();
    assert_eq!(counts.len(), 1);
    let (id, counts) = counts[0];
    assert_eq!((id, counts.requests, counts.errors), (made.id, 2, 1));
    assert!(counts.tokens > 0);
}

async fn another_master_key_is_noticed_at_once(mut world: World) {
    world.open().await.close().await;
    world.master = MasterKey::from_bytes([8; 32]);
    let said = world.refusal().await;
    assert!(
        said.contains("SECRET_KEY") && said.contains("database"),
        "{said}"
    );
}

async fn the_audit_log_is_in_the_order_of_time_whatever_its_numbers(world: World) {
    let store = world.open().await;
    let entry = || super::NewAudit {
        actor: contract::admin::Actor::Panel,
        address: None,
        action: contract::admin::AuditAction::SettingsChanged,
        subject: String::new(),
        changes: Vec::new(),
        inverse: None,
    };
    let first = store.file_audit(&entry()).await.unwrap();
    // As TiDB numbers what comes by another of its servers, an hour before.
    let jumped = super::database::query(
        "INSERT INTO audit (id, at, actor, action, subject, changes) \
         VALUES (60000, ?, 'panel', 'settings_changed', '', '[]')",
    );
    jumped
        .bind(world.now.load(Ordering::Relaxed) - 3_600_000)
        .execute(store.db().unwrap().write())
        .await
        .unwrap();
    let last = store.file_audit(&entry()).await.unwrap();
    assert!(last > 60_000);
    let ids = |page: contract::admin::AuditPage| -> Vec<i64> {
        page.entries.iter().map(|entry| entry.id).collect()
    };
    let all = store.audit(None, 10).await.unwrap();
    assert_eq!(ids(all), [last, first, 60_000]);
    let page = store.audit(None, 1).await.unwrap();
    assert_eq!(page.next, Some(last));
    let page = store.audit(page.next, 1).await.unwrap();
    assert_eq!((page.next, ids(page)), (Some(first), vec![first]));
    let page = store.audit(Some(first), 10).await.unwrap();
    assert_eq!((page.next, ids(page)), (None, vec![60_000]));
}

async fn two_processes_may_start_at_once(world: World) {
    let (one, two) = tokio::join!(world.try_open(), world.try_open());
    let (one, two) = (one.unwrap(), two.unwrap());
    one.add_keys(&[key(KEY, "")]).await.unwrap();
    assert_eq!(two.keys().await.unwrap().len(), 1);
    two.ping().await.unwrap();
}
