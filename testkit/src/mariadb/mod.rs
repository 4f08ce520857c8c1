//! A real MariaDB for tests, from the system's package, in a folder of its own.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::mariadb::{self, MariaDb};
//!
//! // A database on whatever server this run of the tests has.
//! let server = mariadb::shared().await;
//! let database = server.fresh_database().await;
//! // … point the code under test at server.host(), server.port(), database …
//!
//! // A server of one's own, to be stopped, killed, filled or made read-only.
//! let mut server = MariaDb::start().await;
//! server.kill();
//! server.start_again().await;
//! # }
//! ```
//!
//! SQL goes through the command line client, so that this crate needs no driver and
//! cannot share a mistake with the one under test.
//!
//! A start takes a second or two, and nextest gives every test a process of its own.
//! `cargo xtask test` therefore starts one server (the program `test-mariadb`) and names
//! it in [`VARIABLE`]; [`shared`] uses that one, or starts its own where there is none.
//! Tests share it by taking a fresh database each. Whatever changes the server needs a
//! [`MariaDb`] of its own, and the types say so: [`Shared`] cannot be stopped.
//!
//! A server never outlives its test: it ends with its value, and a guard beside it ends
//! it when the process of the test was killed.
//!
//! Everything here panics, with the server's own words, when it cannot do what it says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "it belongs to tests: what it cannot do fails the test"
)]

mod access;
mod process;
mod tls;

use std::ops::Deref;
use std::path::PathBuf;

use tempfile::TempDir;

pub use access::{Access, User};
use process::{Process, Programs};

/// The environment variable by which `cargo xtask test` tells tests of its server; its
/// value is [`Access::to_text`].
pub const VARIABLE: &str = "GB_TEST_MARIADB";

/// The server of this run of the tests: the one in [`VARIABLE`], or one started now.
pub async fn shared() -> Shared {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => Shared {
            access: Access::from_text(&text)
                .unwrap_or_else(|| panic!("{VARIABLE} is not what test-mariadb prints: {text}")),
            _own: None,
        },
        _ => {
            let own = MariaDb::start().await;
            Shared {
                access: own.access.clone(),
                _own: Some(own),
            }
        }
    }
}

/// A server that other tests may be using too.
#[derive(Debug)]
pub struct Shared {
    access: Access,
    _own: Option<MariaDb>,
}

impl Deref for Shared {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    tls: bool,
}

impl Builder {
    /// With TLS: a certificate for `localhost` and 127.0.0.1, signed by
    /// [`MariaDb::ca_pem`]. Connections without TLS are taken, too, as everywhere.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts it and returns when it answers.
    pub async fn start(self) -> MariaDb {
        MariaDb::with(self).await
    }
}

/// A server of one's own. It ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct MariaDb {
    access: Access,
    arguments: Vec<String>,
    programs: Programs,
    process: Option<Process>,
    ca_pem: Option<String>,
    // Last, because it must outlive the process.
    dir: TempDir,
}

impl Deref for MariaDb {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl MariaDb {
    /// A server as it comes, without TLS.
    pub async fn start() -> Self {
        Builder::default().start().await
    }

    /// A server with wishes.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    async fn with(wishes: Builder) -> Self {
        let programs = Programs::find();
        let dir = process::folder();
        let mut arguments = Vec::new();
        let ca_pem = wishes.tls.then(|| {
            let made = tls::write_to(dir.path());
            arguments.extend(made.arguments);
            made.ca_pem
        });
        let access = Access::new(dir.path().join("s"));
        programs.install(dir.path(), access.first_statements());
        let mut server = Self {
            access,
            arguments,
            programs,
            process: None,
            ca_pem,
            dir,
        };
        server.launch_on_some_port().await;
        server
    }

    /// Starts on a port nobody has. Between looking and taking, somebody may have come
    /// first; then another one is tried.
    async fn launch_on_some_port(&mut self) {
        let mut last = String::new();
        for _ in 0..20 {
            self.access.port = process::unused_port();
            match self.launch().await {
                Ok(()) => return,
                Err(words) if words.contains("Address already in use") => last = words,
                Err(words) => panic!("MariaDB did not start:\n{words}"),
            }
        }
        panic!("MariaDB found no free port:\n{last}");
    }

    async fn launch(&mut self) -> Result<(), String> {
        let process = self.programs.launch(
            self.dir.path(),
            &self.access.socket,
            self.access.port,
            &self.arguments,
        );
        self.process = Some(process.answering(&self.access.socket).await?);
        Ok(())
    }

    /// The certificate authority to trust, as PEM.
    ///
    /// # Panics
    /// When the server was not made with [`Builder::tls`].
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca_pem
            .as_deref()
            .expect("MariaDb::builder().tls() makes one")
    }

    /// The same as a file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join(tls::CA_FILE)
    }

    /// Shuts it down in an orderly way and returns when it is gone; does nothing when it
    /// is already.
    pub async fn stop(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        // The connection ends with the server, and the client may call that an error.
        let _ = self.access.try_execute("SHUTDOWN").await;
        process.ended().await;
    }

    /// SIGKILL, as a power cut would; does nothing when it is gone already.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port with the data it had, after [`Self::stop`] or
    /// [`Self::kill`], and returns when it answers.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "it is still running");
        self.launch()
            .await
            .unwrap_or_else(|words| panic!("MariaDB did not start again:\n{words}"));
    }

    /// Makes it refuse (error 1290) or take changes, as a replica before and after it is
    /// promoted. Returns when that holds.
    pub async fn set_read_only(&self, read_only: bool) {
        self.execute(&format!("SET GLOBAL read_only = {}", u8::from(read_only)))
            .await;
    }

    /// Makes it behave as on a disk that is full: its file cannot grow any more, and what
    /// is free in it is used up. Writing then fails with error 1114. What fits into pages
    /// that a table already has can still be written, as on a real full disk.
    ///
    /// # Panics
    /// When it is not running.
    pub async fn fill_up(&self) {
        self.execute("CREATE DATABASE ballast; CREATE TABLE ballast.stones (stone LONGBLOB)")
            .await;
        self.running().limit_files(&self.dir);
        for size in [1 << 20, 1 << 17, 1 << 14, 1 << 12] {
            let insert = format!("INSERT INTO ballast.stones VALUES (REPEAT('x', {size}))");
            loop {
                match self.try_execute(&insert).await {
                    Ok(_) => {}
                    Err(words) if words.contains("ERROR 1114") => break,
                    Err(words) => panic!("the ballast failed differently: {words}"),
                }
            }
        }
    }

    /// Takes back [`Self::fill_up`]: the disk has grown.
    ///
    /// # Panics
    /// When it is not running.
    pub async fn free_space(&self) {
        self.running().unlimit_files();
        self.execute("DROP DATABASE ballast").await;
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("it is running")
    }
}
