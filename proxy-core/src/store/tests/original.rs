//! The original's database, built as its own schema does, becomes ours.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::admin::{Origin, Sealing, Takeover};
use jiff::tz::TimeZone;
use vault::Secret;

use super::super::database::query;
use super::{KEY, OTHER, World, all_bytes, contains, run_from_outside};
use crate::clock::Clock;
use crate::settings::Settings;
use crate::settings::original::ORIGINAL;
use crate::store::Store;
use crate::takeover::{Unstored, at_start, sum_up_log};
use crate::{CoreConfig, start};

/// The panel's password there, and a client token.
const AUTH: &str = "old-auth-token";
const FRIEND: &str = "sk-of-a-friend";
const OF_ENVIRONMENT: &str = "sk-in-both-places";

/// What SQLAlchemy makes of the original's models; `AUTO` is what differs between engines.
const TABLES: &str = "
CREATE TABLE t_settings (id INTEGER NOT NULL AUTO, `key` VARCHAR(100) NOT NULL, value TEXT,
  description VARCHAR(255), created_at DATETIME, updated_at DATETIME, PRIMARY KEY (id),
  UNIQUE (`key`));
CREATE TABLE t_error_logs (id INTEGER NOT NULL AUTO, gemini_key VARCHAR(100),
  model_name VARCHAR(100), error_type VARCHAR(50), error_log TEXT, error_code INTEGER,
  request_msg JSON, request_time DATETIME, PRIMARY KEY (id));
CREATE TABLE t_request_log (id INTEGER NOT NULL AUTO, request_time DATETIME,
  model_name VARCHAR(100), api_key VARCHAR(100), is_success BOOLEAN NOT NULL,
  status_code INTEGER, latency_ms INTEGER, PRIMARY KEY (id));
CREATE TABLE t_file_records (id INTEGER NOT NULL AUTO, name VARCHAR(255) NOT NULL,
  display_name VARCHAR(255), mime_type VARCHAR(100) NOT NULL, size_bytes BIGINT NOT NULL,
  sha256_hash VARCHAR(255), state VARCHAR(10) NOT NULL, create_time DATETIME NOT NULL,
  update_time DATETIME NOT NULL, expiration_time DATETIME NOT NULL, uri VARCHAR(500) NOT NULL,
  api_key VARCHAR(100) NOT NULL, upload_url TEXT, user_token VARCHAR(100), upload_completed DATETIME,
  PRIMARY KEY (id), UNIQUE (name));";

/// Rows as its versions have left them, good ones and others.
fn settings_rows() -> Vec<(&'static str, String)> {
    let rows = [
        (
            "API_KEYS",
            format!(r#"["{KEY}", "your_api_key_1", "{OTHER}", "请在此处输入 API 密钥", "{KEY}"]"#),
        ),
        (
            "ALLOWED_TOKENS",
            format!("{FRIEND}, your_token_1,{OF_ENVIRONMENT}"),
        ),
        ("AUTH_TOKEN", AUTH.to_owned()),
        ("BASE_URL", "https://gateway.example/v1beta".to_owned()),
        (
            "CUSTOM_HEADERS",
            "{'X-Gateway': 'a-secret-header'}".to_owned(),
        ),
        ("MAX_RETRIES", "7".to_owned()),
        ("TIME_OUT", "300".to_owned()),
        ("LOG_LEVEL", "WARNING".to_owned()),
        ("ERROR_LOG_RECORD_REQUEST_BODY", "True".to_owned()),
        ("AUTO_DELETE_REQUEST_LOGS_DAYS", "99999".to_owned()),
        ("AUTO_DELETE_ERROR_LOGS_DAYS", "NaN".to_owned()),
        (
            "FILTERED_MODELS",
            r#"["gemini-pro-vision", "chat-bison-001"]"#.to_owned(),
        ),
        ("TEST_MODEL", "<img src=x onerror=alert(1)>".to_owned()),
        ("VERTEX_API_KEYS", r#"["AQ.a-vertex-key"]"#.to_owned()),
        ("PAID_KEY", String::new()),
        (
            "PROXIES",
            r#"["http://user:a-proxy-password@proxy:1"]"#.to_owned(),
        ),
        ("SAFETY_SETTINGS", "[]".to_owned()),
        ("MYSQL_PASSWORD", "a-database-password".to_owned()),
        ("SOMETHING_ELSE", "typed into PUT /api/config".to_owned()),
    ];
    rows.into()
}

/// Values that no answer, report or log may show.
/// A key of Vertex AI's express mode, which is a key like the others.
const VERTEX: &str = "AQ.a-vertex-key";
const SECRETS: [&str; 7] = [
    KEY,
    AUTH,
    FRIEND,
    "a-secret-header",
    VERTEX,
    "a-proxy-password",
    "a-database-password",
];

impl World {
    /// Runs statements on the original's database.
    async fn original(&self, sql: &str) {
        match &self.mysql {
            Some((server, config)) => {
                let sql = sql.replace(" AUTO,", " AUTO_INCREMENT,");
                let database = &config.database;
                server
                    .execute(&format!("USE `{database}`; SET NAMES utf8mb4; {sql}"))
                    .await;
            }
            None => {
                let sql: &'static str = sql.replace(" AUTO,", ",").leak();
                run_from_outside(&self.folder.path().join("default_db"), sql).await;
            }
        }
    }

    async fn build_original(&self, changes: &[(&str, &str)]) {
        if let Some((server, config)) = &self.mysql {
            // The default of the MySQL 8 that the original is deployed with.
            let database = &config.database;
            server
                .execute(&format!(
                    "ALTER DATABASE `{database}` CHARACTER SET utf8mb4"
                ))
                .await;
        }
        self.original(TABLES).await;
        for (name, value) in settings_rows() {
            let changed = changes.iter().find(|(other, _)| *other == name);
            let value = changed.map_or(value.as_str(), |(_, value)| value);
            let value = value.replace('\'', "''");
            self.original(&format!(
                "INSERT INTO t_settings (`key`, value) VALUES ('{name}', '{value}')"
            ))
            .await;
        }
        self.original(&format!(
            "INSERT INTO t_settings (`key`, value) VALUES ('OSS_REGION', NULL);
             INSERT INTO t_request_log
               (request_time, model_name, api_key, is_success, status_code, latency_ms) VALUES
               ('2026-11-20 09:15:00', 'gemini-2.5-pro', '{KEY}', 1, 200, 1000),
               ('2026-11-20 09:59:59', 'gemini-2.5-pro', '{KEY}', 0, 429, 50),
               ('2026-11-20 10:00:00', '<b>', '{OTHER}', 1, NULL, NULL),
               ('2026-11-21 00:00:00', NULL, 'AIzaSyDeletedLongAgo', 1, 200, 30),
               (NULL, 'gemini-2.5-pro', NULL, 1, 200, 30);
             INSERT INTO t_file_records (name, mime_type, size_bytes, state, create_time,
               update_time, expiration_time, uri, api_key) VALUES
               ('files/1', 'image/png', 1, 'ACTIVE', '2026-11-20 09:00:00', '2026-11-20 09:00:00',
                '2026-11-22 09:00:00', 'https://x', '{KEY}');"
        ))
        .await;
        if self.mysql.is_none() {
            // SQLite lets texts into columns of numbers, and the original puts them there.
            self.original(
                "INSERT INTO t_request_log
                   (request_time, model_name, api_key, is_success, status_code, latency_ms) VALUES
                   ('2026-11-20 11:00:00.123456', 'm', 'k', 0, 'All connection attempts failed', 'x'),
                   ('yesterday', 'm', 'k', 0, 500, 1)",
            )
            .await;
        }
    }

    /// What must not change.
    async fn fingerprint(&self) -> Vec<u8> {
        match &self.mysql {
            Some((server, config)) => {
                let database = &config.database;
                let tables = [
                    "t_settings",
                    "t_error_logs",
                    "t_request_log",
                    "t_file_records",
                ];
                let tables = tables
                    .map(|table| format!("`{database}`.{table}"))
                    .join(", ");
                server
                    .execute(&format!("CHECKSUM TABLE {tables}"))
                    .await
                    .into_bytes()
            }
            None => std::fs::read(self.folder.path().join("default_db")).unwrap(),
        }
    }

    fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let folder = self.folder.path().display().to_string();
        let mut all = BTreeMap::from([
            ("DATA_DIR", folder),
            ("TZ", "Asia/Shanghai".to_owned()),
            ("PORT", "0".to_owned()),
        ]);
        if let Some((_, config)) = &self.mysql {
            all.insert("MYSQL_HOST", config.host.clone());
            all.insert("MYSQL_PORT", config.port.to_string());
            all.insert("MYSQL_USER", config.user.clone());
            let password = config.password.as_ref().unwrap();
            all.insert("MYSQL_PASSWORD", password.expose().clone());
            all.insert("MYSQL_DATABASE", config.database.clone());
        }
        for (name, value) in more {
            all.insert(name, (*value).to_owned());
        }
        Settings::load(|name| all.get(name).cloned()).unwrap()
    }
}

async fn table(store: &Store, sql: &'static str) -> Vec<String> {
    let rows = query(sql)
        .fetch_all(store.db().unwrap().read())
        .await
        .unwrap();
    rows.iter().map(|row| row.get("r").unwrap()).collect()
}

async fn sums(store: &Store) -> Vec<String> {
    table(
        store,
        "SELECT REPLACE(REPLACE(REPLACE(REPLACE(REPLACE('P K A N R', 'P', period), 'K', kind), \
         'A', CAST(at AS CHAR)), 'N', name), 'R', CAST(requests * 10000000 + errors * 100000 + \
         latency_ms AS CHAR)) AS r FROM sums ORDER BY period, kind, at, name",
    )
    .await
}

/// Sums up the log to its end; gives in how many pieces.
async fn sum_up(store: &Store, settings: &Settings) -> u32 {
    let mut pieces = 0;
    while sum_up_log(store, settings, &settings.time_zone)
        .await
        .unwrap()
    {
        pieces += 1;
    }
    pieces
}

fn shown(report: &Takeover) -> String {
    serde_json::to_string(report).unwrap()
}

on_both! {
    everything_that_means_something_here_appears_once_and_theirs_stays
    the_old_password_signs_in_and_a_new_auth_token_too
    an_example_signs_nobody_in_and_a_password_that_is_there_stays
    what_was_changed_here_afterwards_stays_changed
    a_long_log_is_summed_up_in_pieces_and_once
    the_log_is_of_its_own_time_zone
    what_nobody_chose_there_is_not_taken_for_a_choice
}

async fn everything_that_means_something_here_appears_once_and_theirs_stays(world: World) {
    world.build_original(&[]).await;
    let before = world.fingerprint().await;
    let settings = world.settings(&[
        ("ALLOWED_TOKENS", OF_ENVIRONMENT),
        ("MAX_RETRIES", "5"),
        ("API_KEYS", KEY),
    ]);
    let store = world.open().await;
    assert!(store.takeover().await.unwrap().is_none());
    let unstored = at_start(&store, &settings).await.unwrap();
    assert!(unstored.keys.is_empty() && unstored.tokens.is_empty());
    store
        .sync_environment(&settings.api_keys, &settings.allowed_tokens)
        .await
        .unwrap();

    let report = store.takeover().await.unwrap().unwrap();
    assert_eq!((report.keys, report.tokens, report.files), (3, 2, 1));
    assert!(report.auth_token);
    assert_eq!(report.log_days, 0);
    assert!(sums(&store).await.is_empty(), "the log comes later");
    assert_eq!(sum_up(&store, &settings).await, 1);
    let report = store.takeover().await.unwrap().unwrap();
    assert_eq!(report.log_days, 2);
    assert_eq!(
        report.settings,
        [
            "BASE_URL",
            "CUSTOM_HEADERS",
            "MAX_RETRIES",
            "LOG_LEVEL",
            "RECORD_BODIES",
            "FILTERED_MODELS",
            "PROXIES"
        ]
    );
    let ignored: Vec<&str> = report.ignored.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        ignored,
        [
            "API_KEYS",
            "API_KEYS",
            "ALLOWED_TOKENS",
            "AUTO_DELETE_REQUEST_LOGS_DAYS",
            "TEST_MODEL",
            "MYSQL_PASSWORD",
            "SOMETHING_ELSE",
        ]
    );
    assert!(
        report.ignored[0].reason.en.contains("number 2"),
        "{report:?}"
    );
    assert!(report.ignored.iter().all(|one| !one.reason.en.is_empty()));
    let text = shown(&report);
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}");
    }

    let keys = store.keys().await.unwrap();
    let found: Vec<_> = keys
        .iter()
        .map(|key| (key.secret.clone(), key.origin))
        .collect();
    assert_eq!(
        found,
        [KEY, OTHER, VERTEX].map(|key| (key.into(), Origin::Panel))
    );
    let tokens = store.tokens().await.unwrap();
    let names: Vec<&str> = tokens.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ALLOWED_TOKENS 1",
            "ALLOWED_TOKENS 1 (original)",
            "AUTH_TOKEN (original)"
        ]
    );
    assert_eq!(tokens[1].hash, super::super::tokens::sha256(&FRIEND.into()));
    let values = table(
        &store,
        "SELECT COALESCE(value, 'sealed') AS r FROM settings ORDER BY name",
    );
    assert_eq!(
        values.await,
        [
            "https://gateway.example/v1beta",
            "sealed",
            r#"["gemini-pro-vision", "chat-bison-001"]"#,
            "warn",
            "7",
            "sealed",
            "True"
        ]
    );
    let seen = table(&store, "SELECT value AS r FROM environment_seen").await;
    assert_eq!(seen, ["5"], "what the environment says is older");
    let audit = table(&store, "SELECT action AS r FROM audit").await;
    assert_eq!(audit, ["taken_over"]);

    // 2026-11-20 09:00 in Shanghai is 01:00 UTC.
    let hour = 1_795_136_400_000_i64;
    let day = hour - 9 * 3_600_000;
    let sums = sums(&store).await;
    let has = |line: String| assert!(sums.contains(&line), "{line} is not in {sums:#?}");
    has(format!("h all {hour}  20101050"));
    has(format!("h model {hour} gemini-2.5-pro 20101050"));
    has(format!("h status {hour} 429 10100050"));
    has(format!("h key {hour} {} 20101050", keys[0].id));
    has(format!("h model {} <b> 10000000", hour + 3_600_000));
    has(format!("d all {}  10000030", day + 86_400_000));
    let today = match world.mysql {
        Some(_) => format!("d all {day}  30101050"),
        None => format!("d all {day}  40201050"),
    };
    has(today);
    // 2026-11-01 00:00 in Shanghai.
    let month = day - 19 * 86_400_000;
    has(match world.mysql {
        Some(_) => format!("m all {month}  40101080"),
        None => format!("m all {month}  50201080"),
    });
    assert!(!sums.iter().any(|line| line.contains("connection")));

    // A second start finds nothing to do, whoever makes it.
    at_start(&store, &settings).await.unwrap();
    store.close().await;
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    assert_eq!(sum_up(&store, &settings).await, 0);
    assert_eq!(store.takeover().await.unwrap(), Some(report));
    assert_eq!(self::sums(&store).await, sums);
    assert_eq!(world.fingerprint().await, before, "theirs is as it was");
}

async fn the_old_password_signs_in_and_a_new_auth_token_too(world: World) {
    world.build_original(&[]).await;
    let before = world.fingerprint().await;
    for (environment, signs_in) in [
        (None, [AUTH].as_slice()),
        (Some("a-new-auth-token"), &[AUTH, "a-new-auth-token"]),
    ] {
        let given: Vec<_> = environment
            .map(|token| ("AUTH_TOKEN", token))
            .into_iter()
            .collect();
        let running = start(CoreConfig {
            settings: world.settings(&given),
            on_settings: None,
            master: world.master.clone(),
            sealing: Sealing::SecretKey,
            clock: Clock::system(),
            panel: None,
            extend: None,
        })
        .await
        .unwrap();
        assert!(
            running.core().setup_code().is_none(),
            "somebody can sign in"
        );
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let sign_in = async |password: &str| {
            let request = http
                .post(format!("{}/api/login", running.address()))
                .header("content-type", "application/json")
                .body(format!("{{\"password\":\"{password}\"}}"));
            request.send().await.unwrap().status().as_u16()
        };
        for password in signs_in {
            assert_eq!(sign_in(password).await, 204, "{password}");
        }
        assert_eq!(sign_in("another").await, 403);
        assert!(running.core().store.takeover().await.unwrap().is_some());
        // It lets clients in as well, and so does each of the tokens.
        for (token, status) in [(AUTH, true), (FRIEND, true), ("your_token_1", false)] {
            let request = http
                .get(format!("{}/v1/models", running.address()))
                .bearer_auth(token);
            let answered = request.send().await.unwrap().status().as_u16();
            assert_eq!(answered != 401, status, "{token}: {answered}");
        }
        running.shutdown(Duration::ZERO).await;
    }
    assert_eq!(world.fingerprint().await, before);
}

async fn an_example_signs_nobody_in_and_a_password_that_is_there_stays(world: World) {
    world
        .build_original(&[
            ("AUTH_TOKEN", ""),
            ("ALLOWED_TOKENS", r#"["your_token_1"]"#),
        ])
        .await;
    let settings = world.settings(&[]);
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    let report = store.takeover().await.unwrap().unwrap();
    assert!(!report.auth_token);
    assert!(report.ignored.iter().any(|one| one.name == "AUTH_TOKEN"));
    assert_eq!(store.password_hash().await.unwrap(), None);
    assert!(store.tokens().await.unwrap().is_empty());

    // As on an instance that was used before the original's database came.
    store
        .run("DELETE FROM panel WHERE name LIKE 'takeover%'")
        .await;
    assert!(store.set_first_password("a hash").await.unwrap());
    world
        .original(&format!(
            "UPDATE t_settings SET value = '{AUTH}' WHERE `key` = 'AUTH_TOKEN'"
        ))
        .await;
    at_start(&store, &settings).await.unwrap();
    let report = store.takeover().await.unwrap().unwrap();
    assert!(!report.auth_token);
    assert_eq!((report.keys, report.tokens), (0, 1), "keys were there");
    assert_eq!(
        store.password_hash().await.unwrap().as_deref(),
        Some("a hash")
    );
}

async fn what_was_changed_here_afterwards_stays_changed(world: World) {
    world.build_original(&[]).await;
    let settings = world.settings(&[]);
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    let id = store.keys().await.unwrap()[0].id;
    store.delete_key(id).await.unwrap();
    let token = store.tokens().await.unwrap()[0].id;
    store.delete_token(token).await.unwrap();
    store
        .run("UPDATE settings SET value = '2' WHERE name = 'MAX_RETRIES'")
        .await;
    world
        .original("UPDATE t_settings SET value = '9' WHERE `key` = 'MAX_RETRIES'")
        .await;
    store.close().await;
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 2);
    let left = store.tokens().await.unwrap();
    assert!(!left.iter().any(|left| left.id == token));
    let value = table(
        &store,
        "SELECT value AS r FROM settings WHERE name = 'MAX_RETRIES'",
    );
    assert_eq!(value.await, ["2"]);
}

async fn a_long_log_is_summed_up_in_pieces_and_once(world: World) {
    world.build_original(&[]).await;
    const COLUMNS: &str = "request_time, model_name, api_key, is_success, status_code, latency_ms";
    for _ in 0..11 {
        world
            .original(&format!(
                "INSERT INTO t_request_log ({COLUMNS}) SELECT {COLUMNS} FROM t_request_log"
            ))
            .await;
    }
    let settings = world.settings(&[]);
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    let piece = async |store: &Store| sum_up_log(store, &settings, &settings.time_zone).await;
    assert!(piece(&store).await.unwrap());
    let first = sums(&store).await;
    store.close().await;
    // The next start goes on.
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    assert_eq!(sum_up(&store, &settings).await, 2);
    assert_ne!(sums(&store).await, first);
    let all = "SELECT CAST(SUM(requests) AS CHAR) AS r FROM sums WHERE kind = 'K' AND period = 'P'";
    let rows = if world.mysql.is_some() { 4 } else { 5 };
    for period in ["h", "d", "m"] {
        for (kind, of) in [("all", rows), ("key", 3), ("status", 3)] {
            let sql = all
                .replace('K', kind)
                .replace("'P'", &format!("'{period}'"));
            let found = table(&store, sql.leak()).await;
            assert_eq!(found, [(of * 2048).to_string()], "{period} {kind}");
        }
    }
    assert_eq!(store.takeover().await.unwrap().unwrap().log_days, 2);
}

/// The original's clock is its container's.
async fn the_log_is_of_its_own_time_zone(world: World) {
    world.build_original(&[]).await;
    let settings = world.settings(&[("TZ", "")]);
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    let ours = TimeZone::get("America/St_Johns").unwrap();
    while sum_up_log(&store, &settings, &ours).await.unwrap() {}
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let sums = sums(&store).await;
    let has = |line: String| assert!(sums.contains(&line), "{line} is not in {sums:#?}");
    // 09:15 in Shanghai is 21:45 of the day before in St. John's, half an hour beside the clock
    // of most others; 09:59 is another hour there.
    has(format!("h all {}  10001000", at("2026-11-20T00:30:00Z")));
    has(format!("h all {}  20100050", at("2026-11-20T01:30:00Z")));
    has(format!(
        "d model {} gemini-2.5-pro 20101050",
        at("2026-11-19T03:30:00Z")
    ));
    has(format!(
        "m model {} gemini-2.5-pro 20101050",
        at("2026-11-01T02:30:00Z")
    ));
}

/// The original writes all it knows back to its table, defaults included.
async fn what_nobody_chose_there_is_not_taken_for_a_choice(world: World) {
    world.build_original(&[]).await;
    world.original("DELETE FROM t_settings").await;
    let chosen = [
        ("TIMEZONE", "Europe/Berlin"),
        ("AUTO_DELETE_ERROR_LOGS_DAYS", "30"),
        ("MAX_RETRIES", "5"),
        // Our default, while the environment here says something else.
        ("ADMIN_SESSION_EXPIRE", "604800"),
        ("SHOW_SEARCH_LINK", "False"),
    ];
    for setting in ORIGINAL {
        let name = setting.name;
        let value = match chosen.iter().find(|(chosen, _)| *chosen == name) {
            Some((_, value)) => (*value).to_owned(),
            // As Python writes them.
            None => match setting.default {
                "true" => "True".to_owned(),
                list if list.starts_with('[') => list.replace(',', ", "),
                other => other.to_owned(),
            },
        };
        world
            .original(&format!(
                "INSERT INTO t_settings (`key`, value) VALUES ('{name}', '{value}')"
            ))
            .await;
    }
    let store = world.open().await;
    let settings = world.settings(&[
        ("MAX_RETRIES", "5"),
        ("SESSION_HOURS", "12"),
        ("TIME_OUT", "60"),
        ("REQUEST_LOG_DAYS", "90"),
    ]);
    at_start(&store, &settings).await.unwrap();
    let report = store.takeover().await.unwrap().unwrap();
    assert_eq!(report.settings, ["ERROR_DETAIL_DAYS", "SESSION_HOURS"]);
    let ignored: Vec<&str> = report.ignored.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(ignored, ["SHOW_SEARCH_LINK", "TIMEZONE"]);
    assert!(report.ignored[1].reason.en.contains("TZ"));
    let saved = store.saved_settings().await.unwrap();
    assert_eq!(saved["SESSION_HOURS"].value, "168".into());
    assert_eq!(saved["ERROR_DETAIL_DAYS"].value, "30".into());
    assert_eq!(saved.len(), 2);
}

impl Store {
    async fn run(&self, statement: &'static str) {
        let done = query(statement).execute(self.db().unwrap().write()).await;
        done.map(drop).unwrap();
    }
}

#[tokio::test]
async fn without_a_sealing_key_secrets_are_served_and_not_stored_until_one_comes() {
    let mut world = World::on_mysql().await;
    world.build_original(&[]).await;
    let before = world.fingerprint().await;
    world.sealing = Sealing::NotStored;
    let settings = world.settings(&[("API_KEYS", KEY)]);
    for start in 1..=2 {
        let store = world.open().await;
        let Unstored { keys, tokens } = at_start(&store, &settings).await.unwrap();
        assert_eq!(keys, [Secret::from(KEY), OTHER.into(), VERTEX.into()]);
        let all_tokens = [FRIEND, OF_ENVIRONMENT, AUTH].map(Secret::from);
        assert_eq!(tokens, all_tokens);
        let all = [settings.api_keys.clone(), keys].concat();
        store.sync_environment(&all, &tokens).await.unwrap();
        let served = store.load().await.unwrap();
        assert_eq!((served.keys.len(), served.tokens.len()), (3, 3), "{start}");
        assert_eq!(sum_up(&store, &settings).await, u32::from(start == 1));
        let report = store.takeover().await.unwrap().unwrap();
        assert_eq!((report.keys, report.tokens, report.log_days), (3, 3, 2));
        assert!(report.ignored.iter().any(|one| one.name == "SECRET_KEY"));
        assert!(!report.settings.iter().any(|name| name == "CUSTOM_HEADERS"));
        let sealed = "SELECT 'x' AS r FROM gemini_keys WHERE sealed IS NOT NULL";
        assert!(table(&store, sealed).await.is_empty());
        store.close().await;
    }
    let (server, config) = world.mysql.as_ref().unwrap();
    let ours = server
        .execute(&format!(
            "USE `{}`; SELECT HEX(value) FROM panel; SELECT HEX(hash) FROM client_tokens; \
             SELECT * FROM settings; SELECT * FROM environment_seen; SELECT * FROM audit",
            config.database
        ))
        .await;
    for secret in SECRETS {
        let hash = super::super::tokens::sha256(&secret.into());
        let hex: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        assert!(!ours.contains(secret) && !ours.contains(&hex), "{secret}");
    }

    world.sealing = Sealing::SecretKey;
    let store = world.open().await;
    let all = |sums: Vec<String>| -> Vec<String> {
        let mut lines = sums;
        lines.retain(|line| !line.contains(" key "));
        lines
    };
    let counted = sums(&store).await;
    assert!(!counted.is_empty() && !counted.iter().any(|line| line.contains(" key ")));
    let unstored = at_start(&store, &settings).await.unwrap();
    assert!(unstored.keys.is_empty() && unstored.tokens.is_empty());
    store
        .sync_environment(&settings.api_keys, &[])
        .await
        .unwrap();
    let keys = store.keys().await.unwrap();
    let origins: Vec<Origin> = keys.iter().map(|key| key.origin).collect();
    assert_eq!(origins, [Origin::Panel; 3]);
    assert_eq!(store.tokens().await.unwrap().len(), 3);
    assert_eq!(sum_up(&store, &settings).await, 1);
    let now = sums(&store).await;
    assert!(now.iter().any(|line| line.contains(" key ")));
    assert_eq!(all(now), counted, "nothing is counted twice");
    let report = store.takeover().await.unwrap().unwrap();
    assert!(report.settings.iter().any(|name| name == "CUSTOM_HEADERS"));
    assert!(report.auth_token);
    assert!(!report.ignored.iter().any(|one| one.name == "SECRET_KEY"));
    assert_eq!(world.fingerprint().await, before);
}

#[tokio::test]
async fn two_servers_that_start_at_once_take_over_once() {
    let world = World::on_mysql().await;
    world.build_original(&[]).await;
    let settings = world.settings(&[]);
    let (one, two) = (world.open().await, world.open().await);
    let (first, second) = tokio::join!(at_start(&one, &settings), at_start(&two, &settings));
    first.unwrap();
    second.unwrap();
    assert_eq!(one.keys().await.unwrap().len(), 3);
    let audit = table(&one, "SELECT action AS r FROM audit").await;
    assert_eq!(audit, ["taken_over"]);
    tokio::join!(sum_up(&one, &settings), sum_up(&two, &settings));
    let twice = "SELECT name AS r FROM sums WHERE kind = 'all' AND period = 'd' AND requests > 3";
    assert!(table(&two, twice).await.is_empty());
    assert_eq!(sums(&two).await, sums(&one).await);
    assert!(!sums(&two).await.is_empty());
}

#[tokio::test]
async fn a_log_that_cannot_be_read_delays_nothing() {
    use sqlx::{ConnectOptions as _, Executor as _};

    let world = World::on_mysql().await;
    world.build_original(&[]).await;
    // As with a table that is read for minutes: nobody gets past the lock.
    let (_, config) = world.mysql.as_ref().unwrap();
    let options = config.options().database(&config.database);
    let mut other = options.connect().await.unwrap();
    other
        .execute("LOCK TABLES t_request_log WRITE")
        .await
        .unwrap();
    let settings = world.settings(&[]);
    let store = world.open().await;
    at_start(&store, &settings).await.unwrap();
    assert_eq!(store.keys().await.unwrap().len(), 3);
    other.execute("UNLOCK TABLES").await.unwrap();
    assert_eq!(sum_up(&store, &settings).await, 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_of_the_original_stops_nothing() {
    let world = World::new();
    let settings = world.settings(&[]);
    let store = world.open().await;
    let path = world.folder.path().join("default_db");
    std::fs::write(&path, "a text").unwrap();
    at_start(&store, &settings).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    run_from_outside(&path, "CREATE TABLE notes (id INTEGER)").await;
    at_start(&store, &settings).await.unwrap();
    assert!(store.takeover().await.unwrap().is_none());

    // When the right one comes, it is not too late. Nothing of it is in clear in ours.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(world.folder.path().join("data")).ok();
    world.build_original(&[]).await;
    std::fs::rename(&path, world.folder.path().join("data/default_db")).unwrap();
    at_start(&store, &settings).await.unwrap();
    assert_eq!(store.takeover().await.unwrap().unwrap().keys, 3);
    store.close().await;
    std::fs::remove_file(world.folder.path().join("data/default_db")).unwrap();
    let ours = all_bytes(world.path().parent().unwrap());
    for secret in SECRETS {
        assert!(!contains(&ours, secret), "{secret}");
    }
}
