//! The program is killed (SIGKILL) in the middle of a burst and started again: nothing is
//! damaged, no change that was answered is lost, and no record that had been due.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod person;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::google::FakeGoogle;
use testkit::mariadb;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::person::{Panel, http};

const TOKEN: &str = "sk-the-token-of-the-client";
const PASSWORD: &str = "the token of the panel";
const KEY: &str = "AIzaSyTestKeyNumber00000000000000000001";

/// How many clients ask at once, each without a pause.
const CLIENTS: u64 = 8;
/// How many records are in the database, and how many answers come after that, when the
/// program is killed.
const RECORDED: u64 = 1000;
const MORE: u64 = 200;
/// A record is written within a quarter of a second after the answer, as users are told; how
/// long that takes is up to the machine, which may be compiling beside it.
const DUE: Duration = Duration::from_millis(250);
const WRITING: Duration = Duration::from_millis(1750);
/// How often one looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The program, running.
struct Program {
    child: Child,
    address: String,
    // Open, or its next line on stdout would end it.
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it and returns when it listens.
    fn start(environment: &[(&str, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
            .arg("serve")
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        Self {
            child,
            address: address.unwrap_or_else(|| panic!("{line:?}")).to_owned(),
            _stdout: stdout,
        }
    }
}

impl Drop for Program {
    /// SIGKILL.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What clients and the panel were answered until the program was killed.
#[derive(Default)]
struct Acknowledged {
    /// Requests by their id, with when the answer was there.
    requests: HashMap<String, Instant>,
    /// Tokens by their number.
    tokens: HashMap<i64, String>,
    /// How often the key was given another name.
    labels: u64,
}

/// Asks until nobody answers any more.
async fn client(address: String, first: u64, answers: Arc<AtomicU64>) -> Vec<(String, Instant)> {
    let http = http();
    let mut answered = Vec::new();
    for number in (first..).step_by(1_000_000) {
        let id = format!("question-{number}");
        let answer = http
            .post(format!(
                "{address}/v1beta/models/gemini-2.5-flash:generateContent"
            ))
            .header("x-goog-api-key", TOKEN)
            .header("x-request-id", &id)
            .header("content-type", "application/json")
            .body(r#"{"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}"#)
            .send()
            .await;
        let Ok(answer) = answer else { break };
        let status = answer.status();
        let Ok(text) = answer.text().await else { break };
        assert_eq!(status, 200, "{text}");
        answered.push((id, Instant::now()));
        answers.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

/// Changes keys and tokens until nobody answers any more.
async fn change(panel: &Panel, address: &str, acknowledged: &mut Acknowledged) {
    loop {
        let next = acknowledged.labels + 1;
        let label = json!({ "label": format!("label {next}") });
        let name = json!({ "name": format!("token {next}") });
        let labelled = panel.ask(address, "PATCH", "/api/keys/1", Some(label));
        if labelled.await.is_none() {
            return;
        }
        acknowledged.labels = next;
        let Some(created) = panel.ask(address, "POST", "/api/tokens", Some(name)).await else {
            return;
        };
        acknowledged.tokens.insert(
            created["token"]["id"].as_i64().unwrap(),
            created["secret"].as_str().unwrap().to_owned(),
        );
    }
}

/// The database, looked at without our code.
enum Database {
    Sqlite(tempfile::TempDir),
    MariaDb(Box<mariadb::Shared>, String),
}

impl Database {
    async fn execute(&self, sql: &str) -> String {
        match self {
            Self::Sqlite(folder) => sqlite(folder.path(), sql),
            Self::MariaDb(server, name) => server.execute(&format!("USE {name}; {sql}")).await,
        }
    }

    async fn assert_whole(&self) {
        match self {
            Self::Sqlite(_) => assert_eq!(self.execute("PRAGMA integrity_check").await, "ok\n"),
            Self::MariaDb(_, name) => {
                let tables = format!(
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = '{name}'"
                );
                let tables = self.execute(&tables).await;
                let tables: Vec<&str> = tables.lines().collect();
                assert!(tables.contains(&"requests"), "{tables:?}");
                let check = format!("CHECK TABLE {} EXTENDED", tables.join(", "));
                let said = self.execute(&check).await;
                assert!(said.lines().all(|line| line.ends_with("\tOK")), "{said}");
            }
        }
    }

    /// How many records there are.
    async fn count(&self) -> u64 {
        let count = self.execute("SELECT COUNT(*) FROM requests;").await;
        count.trim().parse().unwrap()
    }

    /// How many records each request has.
    async fn records(&self) -> HashMap<String, u64> {
        let counts = "SELECT request_id, COUNT(*) FROM requests GROUP BY request_id;";
        let rows = self.execute(counts).await;
        let row = |row: &str| {
            let (id, count) = row.split_once('\t').unwrap();
            (id.to_owned(), count.parse().unwrap())
        };
        rows.lines().map(row).collect()
    }
}

fn sqlite(folder: &Path, sql: &str) -> String {
    let file = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "db"))
        .unwrap();
    let output = Command::new("sqlite3")
        .args(["-batch", "-separator", "\t", "-cmd", ".timeout 10000"])
        .arg(file)
        .arg(sql)
        .output()
        .unwrap_or_else(|error| panic!("sqlite3 (Debian's package of that name): {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{sql}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Kills it twice, the second time with what the first has left.
async fn kill_in_a_burst(database: &Database, data_dir: &Path, more: &[(&str, String)]) {
    let google = FakeGoogle::builder().key(KEY, "project").start().await;
    let mut environment = vec![
        ("DATA_DIR", data_dir.display().to_string()),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", "0".to_owned()),
        ("BASE_URL", google.base_url()),
        ("API_KEYS", KEY.to_owned()),
        ("ALLOWED_TOKENS", TOKEN.to_owned()),
        ("AUTH_TOKEN", PASSWORD.to_owned()),
        ("LOG_LEVEL", "warn".to_owned()),
    ];
    environment.extend_from_slice(more);
    let mut program = Program::start(&environment);
    let panel = Panel::enter(
        &program.address,
        "/api/login",
        json!({ "password": PASSWORD }),
    )
    .await;
    let mut acknowledged = Acknowledged::default();
    for round in 1..=2 {
        let answers = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let first = round * CLIENTS + number;
            clients.spawn(client(program.address.clone(), first, answers.clone()));
        }
        let address = program.address.clone();
        let killed = async {
            let before = database.count().await;
            while database.count().await < before + RECORDED {
                tokio::time::sleep(PAUSE).await;
            }
            let enough = answers.load(Ordering::Relaxed) + MORE;
            while answers.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(PAUSE).await;
            }
            let killed = Instant::now();
            drop(program);
            killed
        };
        let (killed, ()) = tokio::join!(killed, change(&panel, &address, &mut acknowledged));
        while let Some(answered) = clients.join_next().await {
            acknowledged.requests.extend(answered.unwrap());
        }

        program = Program::start(&environment);
        database.assert_whole().await;
        assert_records(database, &acknowledged, killed).await;
        assert_changes(&panel, &program.address, &acknowledged).await;
        // What is missing now is missing for good.
        let records = database.records().await;
        acknowledged
            .requests
            .retain(|id, _| records.contains_key(id));
    }
}

async fn assert_records(database: &Database, acknowledged: &Acknowledged, killed: Instant) {
    let records = database.records().await;
    let twice: Vec<_> = records.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let missing: Vec<Duration> = acknowledged
        .requests
        .iter()
        .filter(|(id, _)| !records.contains_key(*id))
        .map(|(_, answered)| killed.saturating_duration_since(*answered))
        .collect();
    let oldest = missing.iter().max().copied().unwrap_or_default();
    assert!(
        oldest <= DUE + WRITING,
        "of {} answers {} have no record; the oldest was {oldest:?} old",
        acknowledged.requests.len(),
        missing.len(),
    );
}

async fn assert_changes(panel: &Panel, address: &str, acknowledged: &Acknowledged) {
    let keys = panel.ask(address, "GET", "/api/keys", None).await.unwrap();
    let label = keys[0]["label"].as_str().unwrap();
    let number: u64 = label.strip_prefix("label ").unwrap().parse().unwrap();
    assert!(acknowledged.labels > 0);
    // The next one may have been done, too, and the answer lost.
    let next = acknowledged.labels + 1;
    assert!([next - 1, next].contains(&number), "{label}, {next}");
    for (id, secret) in &acknowledged.tokens {
        let url = format!("{address}/v1/models");
        let answer = http().get(url).bearer_auth(secret).send().await;
        assert_eq!(answer.unwrap().status(), 200, "token {id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn killed_in_a_burst_it_goes_on_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_owned();
    kill_in_a_burst(&Database::Sqlite(folder), &data_dir, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn killed_in_a_burst_it_goes_on_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = mariadb::shared().await;
    let name = server.fresh_database().await;
    let environment = [
        ("MYSQL_HOST", server.host().to_owned()),
        ("MYSQL_PORT", server.port().to_string()),
        ("MYSQL_USER", server.user().to_owned()),
        ("MYSQL_PASSWORD", server.password().to_owned()),
        ("MYSQL_DATABASE", name.clone()),
        ("SECRET_KEY", "a long enough passphrase".to_owned()),
    ];
    let database = Database::MariaDb(Box::new(server), name);
    kill_in_a_burst(&database, folder.path(), &environment).await;
}
