//! `gemini-balance health`, which is the image's health check.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod serving;

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;

use crate::serving::serve;

fn health(environment: &[(&str, &str)]) -> Output {
    // Windows opens no socket without it.
    let system = std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root));
    Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
        .arg("health")
        .env_clear()
        .envs(system)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// It ended with 1, and said this among other things.
#[track_caller]
fn assert_says(output: &Output, text: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(text), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_keys_is_healthy_at_every_address_it_listens_on() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path(), None).await;
    let address = running.address();
    let address: SocketAddr = address.trim_start_matches("http://").parse().unwrap();
    let port = address.port().to_string();
    for host in ["127.0.0.1", "0.0.0.0", "localhost"] {
        let output = health(&[("HOST", host), ("PORT", &port)]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{host}");
    }
}

#[test]
fn without_a_server_it_says_where_it_looked() {
    // Bound and not listening for long: nobody is there afterwards.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = health(&[("PORT", &port.to_string())]);
    assert_says(
        &output,
        &format!("http://127.0.0.1:{port}/health does not answer"),
    );
    assert_says(&output, "set HOST and PORT in the environment");
}

#[test]
fn another_program_at_the_port_is_not_taken_for_the_server() {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 1024]).unwrap();
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .unwrap();
    });
    assert_says(
        &health(&[("PORT", &port.to_string())]),
        "another program listens there",
    );
    other.join().unwrap();
}

#[test]
fn a_port_that_the_system_chose_cannot_be_asked() {
    assert_says(&health(&[("PORT", "0")]), "PORT is 0");
}
