//! The MariaDB that all tests of a run share, as a program of its own.
//!
//! It prints how to reach the server as one line on stdout, for the variable
//! `GB_TEST_MARIADB`, and serves until its stdin is closed or it is stopped.

#[cfg(target_os = "linux")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    use std::io::{Read as _, Write as _};

    let server = testkit::mariadb::MariaDb::start().await;
    writeln!(std::io::stdout(), "{}", server.to_text())?;
    let (tell, closed) = tokio::sync::oneshot::channel();
    // Not the runtime's thread: it would be waited for at the end.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = tell.send(());
    });
    tokio::select! {
        _ = closed => Ok(()),
        stopped = tokio::signal::ctrl_c() => stopped,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::io::Result<()> {
    Err(std::io::Error::other(
        "MariaDB is started for tests on Linux only",
    ))
}
