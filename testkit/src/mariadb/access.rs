//! How a server is reached, and what can be asked of it without changing it for others.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// The account the harness itself uses, by the socket. It is not `root`, because it must
/// be able to write while the server is read-only.
const KEEPER: &str = "testkit";

/// Where a server is, and who may in.
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) port: u16,
    pub(super) socket: PathBuf,
    password: String,
}

/// An account.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl Access {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            port: 0,
            socket,
            password: unique("pw"),
        }
    }

    /// The statements of the very first start: accounts with passwords and no others.
    pub(super) fn first_statements(&self) -> String {
        let password = &self.password;
        format!(
            "SET sql_log_bin = 0;
             DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';
             FLUSH PRIVILEGES;
             CREATE USER {KEEPER}@localhost IDENTIFIED BY '{password}';
             GRANT ALL ON *.* TO {KEEPER}@localhost WITH GRANT OPTION;
             CREATE USER root@localhost IDENTIFIED BY '{password}';
             GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION;
             REVOKE SUPER, READ ONLY ADMIN ON *.* FROM root@localhost;
             CREATE USER root@'%' IDENTIFIED BY '{password}';
             GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
             REVOKE SUPER, READ ONLY ADMIN ON *.* FROM root@'%';
             "
        )
    }

    /// All of this as one line, for [`super::VARIABLE`].
    #[must_use]
    pub fn to_text(&self) -> String {
        json!({"port": self.port, "socket": self.socket, "password": self.password}).to_string()
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            port: value["port"].as_u64()?.try_into().ok()?,
            socket: value["socket"].as_str()?.into(),
            password: value["password"].as_str()?.to_owned(),
        })
    }

    /// `127.0.0.1`, the only address it listens on.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Its TCP port; the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `root`, which may everything except write while the server is read-only: MariaDB
    /// lets administrators, and then no test would see a refusal.
    #[must_use]
    pub fn user(&self) -> &'static str {
        "root"
    }

    /// The password of [`Self::user`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Makes an empty database that nobody else has, and returns its name.
    pub async fn fresh_database(&self) -> String {
        let name = unique("gb");
        self.execute(&format!("CREATE DATABASE {name}")).await;
        name
    }

    /// A name no database has yet, e.g. to see one created.
    #[must_use]
    pub fn unused_name(&self) -> String {
        unique("gb")
    }

    /// Makes an account with these privileges (`ALL`, or e.g. `SELECT, INSERT`) on this
    /// database and none elsewhere: it cannot create another database.
    pub async fn user_of(&self, database: &str, privileges: &str) -> User {
        let user = User {
            name: unique("u"),
            password: unique("pw"),
        };
        let User { name, password } = &user;
        self.execute(&format!(
            "CREATE USER {name}@'%' IDENTIFIED BY '{password}';
             GRANT {privileges} ON {database}.* TO {name}@'%'"
        ))
        .await;
        user
    }

    /// Runs statements as an administrator and returns the rows: a line each, columns
    /// apart by tabs.
    ///
    /// # Panics
    /// When a statement fails.
    pub async fn execute(&self, sql: &str) -> String {
        self.try_execute(sql)
            .await
            .unwrap_or_else(|words| panic!("{sql}\n{words}"))
    }

    /// The same, where failing is no surprise.
    ///
    /// # Errors
    /// The client's words, e.g. `ERROR 1114 (HY000) at line 1: The table 'x' is full`.
    pub async fn try_execute(&self, sql: &str) -> Result<String, String> {
        let mut client = Command::new("mariadb");
        client
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.socket.display()))
            .arg(format!("--user={KEEPER}"))
            .args(["--batch", "--skip-column-names", "--raw"])
            .env("MYSQL_PWD", &self.password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let sql = sql.to_owned();
        // Waiting for it must not stop the runtime that the code under test runs on.
        tokio::task::spawn_blocking(move || {
            let mut child = client
                .spawn()
                .expect("`mariadb` is there; Debian's package is mariadb-client-core");
            if let Some(mut stdin) = child.stdin.take() {
                // It may be gone already, and says why on stderr.
                let _ = stdin.write_all(sql.as_bytes());
            }
            let output = child.wait_with_output().expect("it was started");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() {
                Ok(text(&output.stdout))
            } else {
                Err(text(&output.stderr))
            }
        })
        .await
        .expect("it does not panic")
    }
}

/// A name that is used once, also among the processes of a run of tests.
fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Seeded anew by the operating system each time.
    let random = RandomState::new().hash_one((std::process::id(), count));
    format!("{prefix}_{random:016x}")
}
