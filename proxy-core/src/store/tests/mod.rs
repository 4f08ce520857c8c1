//! The store on both engines: what is in [`on_both`] holds for SQLite and for a real MariaDB.

mod mysql;
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
    Batch, DatabaseConfig, FoundKey, KeyCounts, MysqlConfig, Store, StoreConfig, StoreError,
    TlsMode,
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

    fn path(&self) -> PathBuf {
        self.folder.path().join("data").join("test.db")
    }

    async fn try_open(&self) -> Result<Store, StoreError> {
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
        Store::open(config, Clock::new(move || now.load(Ordering::Relaxed))).await
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
    }
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::from(*text)).collect()
}

fn record(at: Millis) -> RequestRecord {
    RequestRecord {
        at,
        surface: Surface::Openai,
        model: "gemini-2.5-flash".into(),
        key_id: None,
        failed_keys: Vec::new(),
        token_id: None,
        status: 200,
        stream: true,
        attempts: 1,
        latency_ms: 120,
        ttft_ms: Some(40),
        prompt_tokens: 10,
        output_tokens: 20,
        thought_tokens: 5,
        cached_tokens: 3,
        error: None,
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

on_both! {
    keys_come_back_after_a_restart_with_what_was_known_of_them
    the_same_key_is_one_key_and_a_deleted_one_can_come_back
    the_environment_decides_about_its_own_keys_and_tokens_only
    a_token_is_known_by_its_hash_until_it_is_deleted
    sessions_end_and_the_first_password_is_chosen_once
    requests_are_summed_by_quarter_and_by_key
    another_master_key_is_noticed_at_once
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
            .change_key(id, Some("two"), Some(false))
            .await
            .unwrap()
    );
    assert!(!store.change_key(999, Some("x"), None).await.unwrap());
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
    store.add_session([1; 32], now + 10).await.unwrap();
    assert_eq!(store.session_expiry([1; 32]).await.unwrap(), Some(now + 10));
    assert_eq!(store.session_expiry([2; 32]).await.unwrap(), None);
    store.extend_session([1; 32], now + 20).await.unwrap();
    world.now.fetch_add(19, Ordering::Relaxed);
    assert_eq!(store.session_expiry([1; 32]).await.unwrap(), Some(now + 20));
    world.now.fetch_add(1, Ordering::Relaxed);
    assert_eq!(store.session_expiry([1; 32]).await.unwrap(), None);
    store.add_session([3; 32], now + 100).await.unwrap();
    store.end_session([3; 32]).await.unwrap();
    assert_eq!(store.session_expiry([3; 32]).await.unwrap(), None);
}

async fn requests_are_summed_by_quarter_and_by_key(world: World) {
    const QUARTER: Millis = 15 * 60 * 1000;
    let store = world.open().await;
    let start = 1_700_000_000_000 / QUARTER * QUARTER;
    let mut failed = record(start + QUARTER);
    failed.status = 503;
    failed.error = Some("overloaded".into());
    failed.key_id = Some(2);
    failed.failed_keys = vec![1, 3, 3];
    let mut good = record(start);
    good.key_id = Some(1);
    let too_early = record(start - 1);
    // More than one statement's worth of rows.
    let mut requests = vec![failed, good.clone(), too_early];
    requests.resize(150, good);
    store
        .write(&Batch {
            requests,
            ..Batch::default()
        })
        .await
        .unwrap();

    let sums = store.sums_since(start).await.unwrap();
    assert_eq!(sums.len(), 2);
    assert_eq!(
        (sums[0].at, sums[0].requests, sums[0].errors),
        (start, 148, 0)
    );
    assert_eq!(
        (sums[0].prompt_tokens, sums[0].output_tokens),
        (1480, 148 * 25)
    );
    assert_eq!(
        (sums[1].at, sums[1].requests, sums[1].errors),
        (start + QUARTER, 1, 1)
    );
    let counts = store.key_counts_since(start).await.unwrap();
    let of = |requests, errors| KeyCounts { requests, errors };
    assert_eq!(counts[&1], of(149, 1));
    assert_eq!(counts[&2], of(1, 1));
    assert_eq!(counts[&3], of(2, 2));
    let errors = store.last_errors(10).await.unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].status, errors[0].error.as_str()),
        (503, "overloaded")
    );
    assert_eq!(
        (errors[0].surface, errors[0].key_id),
        (Surface::Openai, Some(2))
    );
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

async fn two_processes_may_start_at_once(world: World) {
    let (one, two) = tokio::join!(world.try_open(), world.try_open());
    let (one, two) = (one.unwrap(), two.unwrap());
    one.add_keys(&[key(KEY, "")]).await.unwrap();
    assert_eq!(two.keys().await.unwrap().len(), 1);
    two.ping().await.unwrap();
}
