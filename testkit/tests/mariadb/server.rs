use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use testkit::mariadb::{self, MariaDb};

use crate::by_tcp;

#[tokio::test]
async fn tests_share_a_server_by_fresh_databases() {
    let server = mariadb::shared().await;
    let one = server.fresh_database().await;
    let other = server.fresh_database().await;
    assert_ne!(one, other);
    server
        .execute(&format!("CREATE TABLE {one}.t (i INT)"))
        .await;
    let tables = server.execute(&format!("SHOW TABLES IN {other}")).await;
    assert_eq!(tables, "");

    // root comes in by TCP with the password, and not without.
    let port = server.port();
    assert_eq!(by_tcp(&server, port, &[], "SELECT 1").unwrap(), "1");
    let refused = by_tcp(&server, port, &["--password=wrong"], "SELECT 1").unwrap_err();
    assert!(refused.contains("ERROR 1045"), "{refused}");

    // A user of one database makes tables in it and no other database.
    let user = server.user_of(&one, "ALL").await;
    let login = [
        format!("--user={}", user.name),
        format!("--password={}", user.password),
    ];
    let login = [login[0].as_str(), login[1].as_str()];
    by_tcp(
        &server,
        port,
        &login,
        &format!("CREATE TABLE {one}.u (i INT)"),
    )
    .unwrap();
    let refused = by_tcp(
        &server,
        port,
        &login,
        &format!("CREATE DATABASE {}", server.unused_name()),
    )
    .unwrap_err();
    assert!(refused.contains("ERROR 1044"), "{refused}");
}

#[tokio::test]
async fn a_server_comes_back_on_its_port_with_its_data() {
    let mut server = MariaDb::start().await;
    let port = server.port();
    let run = |server: &MariaDb, sql: &str| by_tcp(server, port, &[], sql);
    run(
        &server,
        "CREATE DATABASE d; CREATE TABLE d.t (i INT); INSERT INTO d.t VALUES (1)",
    )
    .unwrap();
    server.stop().await;
    assert!(run(&server, "SELECT 1").unwrap_err().contains("2002"));
    server.start_again().await;
    run(&server, "INSERT INTO d.t VALUES (2)").unwrap();
    server.kill();
    assert!(run(&server, "SELECT 1").unwrap_err().contains("2002"));
    server.start_again().await;
    assert_eq!(run(&server, "SELECT COUNT(*) FROM d.t").unwrap(), "2");

    server.set_read_only(true).await;
    let refused = run(&server, "INSERT INTO d.t VALUES (3)").unwrap_err();
    assert!(refused.contains("ERROR 1290"), "{refused}");
    server.set_read_only(false).await;
    run(&server, "INSERT INTO d.t VALUES (3)").unwrap();
}

#[tokio::test]
async fn a_full_server_refuses_until_space_is_freed() {
    let server = MariaDb::start().await;
    server
        .execute("CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, b BLOB)")
        .await;
    server.fill_up().await;
    // A row fits here and there, into a page that is half used; a hundred do not.
    let rows = "INSERT INTO d.t (b) SELECT REPEAT('x', 8000) FROM seq_1_to_100";
    let refused = server.try_execute(&format!("USE d; {rows}")).await;
    assert!(
        refused.as_ref().is_err_and(|e| e.contains("ERROR 1114")),
        "{refused:?}"
    );
    server.free_space().await;
    server.execute(&format!("USE d; {rows}")).await;
    let count = server.execute("SELECT COUNT(*) FROM d.t").await;
    assert_eq!(count.trim(), "100");
}

#[tokio::test]
async fn tls_is_offered_with_a_certificate_of_the_authority() {
    let server = MariaDb::builder().tls().start().await;
    assert!(server.ca_pem().contains("BEGIN CERTIFICATE"));
    let ca = format!("--ssl-ca={}", server.ca_file().display());
    let cipher = by_tcp(
        &server,
        server.port(),
        &["--ssl", &ca, "--ssl-verify-server-cert"],
        "SHOW STATUS LIKE 'Ssl_cipher'",
    )
    .unwrap();
    assert!(cipher.contains("TLS_"), "{cipher}");
    let other = MariaDb::builder().tls().start().await;
    let ca = format!("--ssl-ca={}", other.ca_file().display());
    let refused = by_tcp(
        &server,
        server.port(),
        &["--ssl", &ca, "--ssl-verify-server-cert"],
        "SELECT 1",
    )
    .unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}

#[test]
fn the_program_ends_with_its_stdin_and_leaves_nothing() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_test-mariadb"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let socket = std::path::PathBuf::from(said["socket"].as_str().unwrap());
    assert!(socket.exists());
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_killed_program_takes_its_server_along() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_test-mariadb"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let socket = std::path::PathBuf::from(said["socket"].as_str().unwrap());
    let mut connection = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    // The server's own end closes the connection, or resets it.
    let _ = std::io::Read::read_to_end(&mut connection, &mut Vec::new());
    // It closes connections before it stops listening, so the rest is waited for (nextest ends
    // a test that waits for ever).
    while std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        std::thread::yield_now();
    }
}
