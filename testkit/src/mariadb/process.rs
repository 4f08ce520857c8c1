//! The server as a process: finding the programs, starting, waiting until it answers,
//! and making sure that it ends.

use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::guard::Guard;

/// How often a start or an end is looked after, and how often at most: a minute, because
/// a machine may be compiling beside it.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 3_000;

/// Small and fast. Durability is against a killed process and not against a power cut, so
/// nothing waits for a disk. One file for all tables, in small steps: see
/// [`Process::limit_files`].
const SMALL: [&str; 4] = [
    "--innodb-log-file-size=10M",
    "--innodb-flush-method=nosync",
    "--innodb-file-per-table=0",
    "--innodb-autoextend-increment=1",
];
const QUICK: [&str; 8] = [
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--performance-schema=0",
    "--skip-log-bin",
    "--skip-name-resolve",
    // Every test of a run may have a pool or two on it.
    "--max-connections=500",
];

/// Starts the server. It outlives the signal for a file that is too large, which then is
/// an error like that of a full disk.
const START: &str = r#"trap '' XFSZ; exec "$@""#;

/// A folder with a name short enough for a unix socket in it (107 bytes).
pub(super) fn folder() -> TempDir {
    let usual = std::env::temp_dir();
    let parent = if usual.as_os_str().len() < 70 {
        usual
    } else {
        PathBuf::from("/tmp")
    };
    tempfile::Builder::new()
        .prefix("gb-mariadb-")
        .tempdir_in(parent)
        .expect("a temporary folder")
}

/// A port that nobody listens on, below the range (32768 and up) from which systems give
/// ports to those who ask for any: so no other test gets it while the server is stopped.
pub(super) fn unused_port() -> u16 {
    use std::hash::{BuildHasher as _, RandomState};
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let port = 10_000 + u16::try_from(random % 22_000).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// MariaDB's programs.
#[derive(Debug)]
pub(super) struct Programs {
    server: PathBuf,
    install: PathBuf,
}

impl Programs {
    pub(super) fn find() -> Self {
        Self {
            server: find("mariadbd"),
            install: find("mariadb-install-db"),
        }
    }

    /// Makes the system tables, and the file that runs at every start.
    pub(super) fn install(&self, folder: &Path, first_statements: String) {
        let mut command = Command::new(&self.install);
        command
            .arg("--no-defaults")
            .args(own_folders(folder))
            .env("TMPDIR", folder)
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(SMALL)
            .args(as_root(folder))
            .stdin(Stdio::null());
        let output = command.output().expect("mariadb-install-db was found");
        assert!(
            output.status.success(),
            "mariadb-install-db failed: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        // The server reads a statement a line, and none of ours has a line break in a text.
        let lines = first_statements.replace('\n', " ").replace(';', ";\n");
        fs::write(folder.join(FIRST_STATEMENTS), lines).expect("the folder is ours");
    }

    /// Starts the server, which will take a moment to answer.
    pub(super) fn launch(
        &self,
        folder: &Path,
        socket: &Path,
        port: u16,
        arguments: &[String],
    ) -> Process {
        let log = folder.join("log");
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the folder is ours");
        let errors = output.try_clone().expect("a second handle");
        let mut command = Command::new("sh");
        command
            .args(["-c", START, "sh"])
            .arg(&self.server)
            .arg("--no-defaults")
            .args(own_folders(folder))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--port={port}"))
            .args(SMALL)
            .args(QUICK)
            .args(as_root(folder))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let first = folder.join(FIRST_STATEMENTS);
        if first.exists() {
            command.arg(format!("--init-file={}", first.display()));
        }
        let child = command.spawn().expect("a shell");
        let guard = Guard::over(child.id(), Some(folder)).expect("a shell");
        Process {
            child,
            _guard: guard,
            log,
            first,
        }
    }
}

/// The file of the first start's statements.
const FIRST_STATEMENTS: &str = "first.sql";

/// Where a program is. Debian keeps servers off an ordinary user's PATH.
fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!(
                "there is no {name}: install MariaDB (Debian: apt-get install mariadb-server-core \
                 mariadb-client-core), or let `cargo xtask test` do it"
            )
        })
}

/// Where it keeps its files. Temporary ones, too: a server that starts removes those of
/// others that it finds.
fn own_folders(folder: &Path) -> [String; 2] {
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).expect("the folder is ours");
    [
        format!("--datadir={}", folder.join("data").display()),
        format!("--tmpdir={}", temporary.display()),
    ]
}

/// MariaDB runs as root only when told so.
fn as_root(folder: &Path) -> Option<&'static str> {
    let ours = fs::metadata(folder).expect("the folder is ours");
    (ours.uid() == 0).then_some("--user=root")
}

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    _guard: Guard,
    log: PathBuf,
    first: PathBuf,
}

impl Process {
    /// Waits until it greets a client.
    pub(super) async fn answering(mut self, socket: &Path) -> Result<Self, String> {
        for _ in 0..LOOKS {
            if greets(socket).is_ok() {
                // Accounts are made once; a restart keeps them.
                let _ = fs::remove_file(&self.first);
                return Ok(self);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}\n{}", self.last_words()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("it does not answer\n{}", self.last_words()))
    }

    /// Waits until it has ended by itself; kills it when it does not.
    pub(super) async fn ended(mut self) {
        for _ in 0..LOOKS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets no file of the server grow beyond the size that the one with all tables has
    /// now. Its log and the others are smaller, and do not grow.
    pub(super) fn limit_files(&self, folder: &TempDir) {
        let tables = fs::metadata(folder.path().join("data/ibdata1")).expect("InnoDB's file");
        self.set_limit(&format!("{}:unlimited", tables.len()));
    }

    /// Lets files grow again.
    pub(super) fn unlimit_files(&self) {
        self.set_limit("unlimited:unlimited");
    }

    fn set_limit(&self, limit: &str) {
        let status = Command::new("prlimit")
            .arg(format!("--pid={}", self.child.id()))
            .arg(format!("--fsize={limit}"))
            .status()
            .expect("`prlimit` is there; it belongs to util-linux");
        assert!(status.success(), "prlimit failed");
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or_default()
            .join("\n")
    }
}

/// Whether a server takes a connection and says its first byte.
fn greets(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.read_exact(&mut [0])
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
