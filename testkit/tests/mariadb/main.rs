//! The real MariaDB and the wire before it, as the store's tests will use them.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "what helps a test may panic like a test"
)]

mod server;
mod wire;

use std::process::Command;

use testkit::mariadb::Access;

/// Runs SQL the way a client elsewhere would: by TCP, on this port, as `root`.
fn by_tcp(server: &Access, port: u16, more: &[&str], sql: &str) -> Result<String, String> {
    let output = Command::new("mariadb")
        .args(["--no-defaults", "--host=127.0.0.1", "--user=root"])
        .args(["--batch", "--skip-column-names", "--connect-timeout=5"])
        .arg(format!("--port={port}"))
        .args(more)
        .args(["--execute", sql])
        .env("MYSQL_PWD", server.password())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// The same in a thread of its own, while the test goes on.
async fn by_tcp_aside(server: &Access, port: u16, sql: &str) -> Result<String, String> {
    let (server, sql) = (server.clone(), sql.to_owned());
    tokio::task::spawn_blocking(move || by_tcp(&server, port, &[], &sql))
        .await
        .unwrap()
}
