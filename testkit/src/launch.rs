//! The real server, started as a cloud starts it: with an environment, and nothing else.
//!
//! ```no_run
//! # async fn example() -> Result<(), testkit::launch::LaunchError> {
//! use testkit::clock::Clock;
//! use testkit::launch::{Log, Server, server_binary};
//!
//! let log = Log::new(Clock::System);
//! let binary = server_binary().expect("GB_SERVER_BIN names the program");
//! let server = Server::new(binary)
//!     .variable("ALLOWED_TOKENS", "sk-one")
//!     .log(&log)
//!     .start()
//!     .await?;
//! // … ask http://{server.address()} …
//! server.terminate(std::time::Duration::from_secs(30)).await;
//! assert!(log.lines().iter().any(|line| line.text.starts_with("listening on ")));
//! # Ok(())
//! # }
//! ```
//!
//! A container has its ports and folders to itself and the machine of a test does not, so
//! `HOST`, `PORT` and `DATA_DIR` are the launcher's: a free port of 127.0.0.1, and a folder
//! that ends with the server unless [`Server::data`] names one that lasts, as a volume does.
//!
//! Deliberately absent: building the program. `GB_SERVER_BIN` names it; a test of the
//! package that makes it knows it as `CARGO_BIN_EXE_gemini-balance`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
#[cfg(unix)]
use crate::guard::Guard;

/// How long a server may take to listen. A machine may be compiling beside it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first line on stdout, before the address.
const ANNOUNCEMENT: &str = "listening on http://";

/// The program that `GB_SERVER_BIN` names.
#[must_use]
pub fn server_binary() -> Option<PathBuf> {
    std::env::var_os("GB_SERVER_BIN")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// A server that is to be started.
#[derive(Clone)]
pub struct Server {
    binary: PathBuf,
    environment: BTreeMap<String, String>,
    data: Option<PathBuf>,
    log: Log,
    patience: Duration,
}

impl fmt::Debug for Server {
    /// Names of variables only: values can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("binary", &self.binary)
            .field("environment", &self.environment.keys())
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// This program with an empty environment.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            environment: BTreeMap::new(),
            data: None,
            log: Log::new(Clock::System),
            patience: PATIENCE,
        }
    }

    /// Sets a variable of its environment. `HOST`, `PORT` and `DATA_DIR` have no effect.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets several variables, as [`Self::variable`] does.
    #[must_use]
    pub fn variables<N: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// Keeps its data here, beyond its end.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Writes what it prints here.
    #[must_use]
    pub fn log(mut self, log: &Log) -> Self {
        self.log = log.clone();
        self
    }

    /// Waits this long, by the machine's clock, until it listens. The default is [`PATIENCE`].
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it, and returns when it listens.
    ///
    /// # Errors
    /// When there is no such program, it ends before it listens, or takes longer than the
    /// patience; it is killed then.
    pub async fn start(self) -> Result<Running, LaunchError> {
        let own = match self.data {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("gb-server-")
                    .tempdir()
                    .map_err(|error| LaunchError::NotStarted(self.binary.clone(), error))?,
            ),
        };
        let folder = self
            .data
            .as_deref()
            .or(own.as_ref().map(TempDir::path))
            .unwrap_or(Path::new(""));
        let mut child = Command::new(&self.binary)
            .arg("serve")
            .env_clear()
            .envs(&self.environment)
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("DATA_DIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| LaunchError::NotStarted(self.binary.clone(), error))?;
        #[cfg(unix)]
        let guard = child
            .id()
            .map(|pid| Guard::over(pid, own.as_ref().map(TempDir::path)))
            .transpose()
            .map_err(|error| LaunchError::NotStarted(PathBuf::from("sh"), error))?;
        let (listening, mut listens) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(read(
                stdout,
                Output::Stdout,
                self.log.clone(),
                Some(listening),
            ));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(read(stderr, Output::Stderr, self.log.clone(), None));
        }
        let (orders, ordered) = mpsc::unbounded_channel();
        let (end, ended) = watch::channel(None);
        let process = Process {
            child,
            #[cfg(unix)]
            _guard: guard,
            _folder: own,
        };
        tasks.spawn(keep(process, readers, ordered, end));
        let mut running = Running {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log: self.log,
            orders,
            ended,
            _tasks: tasks,
        };
        let mut exit = running.ended.clone();
        tokio::select! {
            // What is borrowed goes back before anything else is waited for: tasks that
            // start a server move between threads.
            heard = async { listens.wait_for(Option::is_some).await.ok().and_then(|it| *it) } => {
                if let Some(address) = heard {
                    running.address = address;
                    return Ok(running);
                }
                // Its output ended: so does it.
                Err(LaunchError::ended(running.ended().await, &running.log))
            }
            status = async { exit.wait_for(Option::is_some).await.ok().and_then(|it| *it) } => {
                Err(LaunchError::ended(status, &running.log))
            }
            () = tokio::time::sleep(self.patience) => {
                Err(LaunchError::Silent(self.patience, running.log.tail()))
            }
        }
    }
}

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    log: Log,
    orders: mpsc::UnboundedSender<Order>,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// The task that owns the process.
    _tasks: JoinSet<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it printed so far.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// Its exit status, when it has ended by itself or otherwise.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Returns when it has ended; `None` when the machine cannot tell its status.
    pub async fn ended(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    /// Asks it to end (SIGTERM), kills it when it has not after `grace` of the machine's
    /// time, and gives its exit status.
    pub async fn terminate(self, grace: Duration) -> Option<ExitStatus> {
        let _ = self.orders.send(Order::Terminate);
        match tokio::time::timeout(grace, self.ended()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }

    /// Kills it (SIGKILL), and gives its exit status.
    pub async fn kill(self) -> Option<ExitStatus> {
        let _ = self.orders.send(Order::Kill);
        self.ended().await
    }
}

/// What the task that owns the process is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    Terminate,
    Kill,
}

/// The process, whoever watches over it, and the folder that goes with it.
#[derive(Debug)]
struct Process {
    child: Child,
    #[cfg(unix)]
    _guard: Option<Guard>,
    _folder: Option<TempDir>,
}

impl Drop for Process {
    /// A process that is killed ends at once; until then it could still write to its folder.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        for _ in 0..1_000 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Owns the process until it has ended and all its output is read.
async fn keep(
    mut process: Process,
    mut readers: JoinSet<()>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    ended: watch::Sender<Option<ExitStatus>>,
) {
    let status = loop {
        tokio::select! {
            status = process.child.wait() => break status.ok(),
            Some(order) = orders.recv() => match order {
                // Not reaped yet, so the number is still this process's.
                Order::Terminate => terminate(&mut process.child),
                Order::Kill => {
                    let _ = process.child.start_kill();
                }
            }
        }
    };
    while readers.join_next().await.is_some() {}
    drop(process);
    ended.send_replace(status);
}

#[cfg(unix)]
fn terminate(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) {
    let _ = child.start_kill();
}

/// Reads lines into the log, and hears where the server listens.
async fn read(
    from: impl AsyncRead + Unpin,
    output: Output,
    log: Log,
    listening: Option<watch::Sender<Option<SocketAddr>>>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let address = text
            .strip_prefix(ANNOUNCEMENT)
            .and_then(|address| address.trim().parse().ok());
        log.push(output, text);
        if let (Some(listening), Some(address)) = (&listening, address) {
            listening.send_replace(Some(address));
        }
    }
}

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a server printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it came, by the log's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// Where it was printed.
    pub output: Output,
    /// The line, without its end.
    pub text: String,
}

/// What a server, or one after the other, has printed. Clones share the lines.
#[derive(Clone, Debug)]
pub struct Log {
    clock: Clock,
    lines: Arc<Mutex<Vec<Line>>>,
    count: watch::Sender<usize>,
}

impl Log {
    /// An empty log, whose lines get their times from this clock.
    #[must_use]
    pub fn new(clock: impl Into<Clock>) -> Self {
        Self {
            clock: clock.into(),
            lines: Arc::default(),
            count: watch::Sender::new(0),
        }
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().clone()
    }

    /// The lines after the first `count`.
    #[must_use]
    pub fn lines_after(&self, count: usize) -> Vec<Line> {
        self.lines.lock().get(count..).unwrap_or_default().to_vec()
    }

    /// Returns when there are more lines than this.
    pub async fn more_than(&self, count: usize) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self
            .count
            .subscribe()
            .wait_for(|there_are| *there_are > count)
            .await;
    }

    /// Adds a line, as if a server had printed it.
    pub fn push(&self, output: Output, text: impl Into<String>) {
        let line = Line {
            at: self.clock.now(),
            output,
            text: text.into(),
        };
        let count = {
            let mut lines = self.lines.lock();
            lines.push(line);
            lines.len()
        };
        self.count.send_replace(count);
    }

    /// The last lines, for an error.
    fn tail(&self) -> String {
        let lines = self.lines.lock();
        let last = lines.get(lines.len().saturating_sub(20)..);
        let texts: Vec<&str> = last
            .unwrap_or_default()
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        texts.join("\n")
    }
}

/// Why a server does not run.
#[derive(Debug)]
pub enum LaunchError {
    /// The program could not be started.
    NotStarted(PathBuf, io::Error),
    /// It ended before it listened: its status, as far as known, and its last lines.
    Ended(Option<ExitStatus>, String),
    /// It did not listen in this time; its last lines.
    Silent(Duration, String),
}

impl LaunchError {
    fn ended(status: Option<ExitStatus>, log: &Log) -> Self {
        Self::Ended(status, log.tail())
    }

    /// The exit code with which it ended before it listened.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Ended(status, _) => status.and_then(|status| status.code()),
            Self::NotStarted(..) | Self::Silent(..) => None,
        }
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(binary, error) => write!(
                f,
                "{} cannot be started ({error}); GB_SERVER_BIN is to name the built gemini-balance",
                binary.display()
            ),
            Self::Ended(status, said) => match status {
                Some(status) => write!(f, "the server ended with {status}:\n{said}"),
                None => write!(f, "the server ended:\n{said}"),
            },
            Self::Silent(patience, said) => write!(
                f,
                "the server did not listen within {} s:\n{said}",
                patience.as_secs()
            ),
        }
    }
}

impl std::error::Error for LaunchError {}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::{LaunchError, Log, Output, Server};
    use crate::clock::VirtualClock;

    /// A program that does what a server does as far as a launcher can tell.
    fn program(script: &str) -> (TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    /// Announces itself, and ends with 7 when asked to.
    const OBEDIENT: &str = "
        trap 'echo ending >&2; exit 7' TERM
        echo \"listening on http://$HOST:4711\"
        echo \"data in $DATA_DIR, token $TOKEN, port $PORT, home <$HOME>\"
        while :; do /bin/sleep 0.01; done";

    #[tokio::test]
    async fn it_runs_with_its_environment_until_it_is_asked_to_end() {
        let (_folder, binary) = program(OBEDIENT);
        let log = Log::new(VirtualClock::at(5));
        let server = Server::new(binary)
            .variable("TOKEN", "t")
            .variable("PORT", "8000")
            .data("/tmp")
            .log(&log)
            .start()
            .await
            .unwrap();
        assert_eq!(server.address().to_string(), "127.0.0.1:4711");
        log.more_than(1).await;
        assert_eq!(log.lines()[1].at, 5);
        assert_eq!(
            log.lines()[1].text,
            "data in /tmp, token t, port 0, home <>"
        );
        assert_eq!(server.status(), None);
        let status = server.terminate(Duration::from_secs(30)).await.unwrap();
        assert_eq!(status.code(), Some(7));
        let last = log.lines().pop().unwrap();
        assert_eq!(
            (last.output, last.text.as_str()),
            (Output::Stderr, "ending")
        );
    }

    #[tokio::test]
    async fn its_own_folder_goes_with_it_and_a_deaf_server_is_killed() {
        let (_folder, binary) = program(
            "trap '' TERM
             echo \"$DATA_DIR\"; echo 'listening on http://127.0.0.1:1'
             while :; do /bin/sleep 0.01; done",
        );
        let server = Server::new(binary).start().await.unwrap();
        let data = std::path::PathBuf::from(&server.log().lines()[0].text);
        assert!(data.is_dir());
        let status = server.terminate(Duration::from_millis(20)).await.unwrap();
        assert_eq!(status.code(), None, "{status}");
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn one_that_ends_says_why() {
        let (_folder, binary) = program("echo 'MYSQL_HOST: who?' >&2; exit 3");
        let error = Server::new(binary).start().await.unwrap_err();
        assert_eq!(error.exit_code(), Some(3));
        assert!(error.to_string().contains("MYSQL_HOST: who?"), "{error}");
        let missing = Server::new("/nowhere/server").start().await.unwrap_err();
        assert!(missing.to_string().contains("GB_SERVER_BIN"), "{missing}");
        let (_folder, binary) = program("echo hello; exec /bin/sleep 100");
        let server = Server::new(binary).patience(Duration::from_millis(300));
        let error = server.start().await.unwrap_err();
        assert!(matches!(error, LaunchError::Silent(..)), "{error}");
    }
}
