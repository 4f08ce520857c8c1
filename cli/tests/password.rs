//! `gemini-balance password` beside a running server.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod serving;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use proxy_core::Running;

use crate::serving::serve;

const TOKEN: &str = "the token of the environment";

fn reset(folder: &Path, typed: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
        .arg("password")
        .env_clear()
        .env("DATA_DIR", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// Signs in; gives the status and the cookie.
async fn sign_in(running: &Running, password: &str) -> (u16, String) {
    let response = http()
        .post(format!("{}/api/login", running.address()))
        .header("content-type", "application/json")
        .body(format!("{{\"password\":\"{password}\"}}"))
        .send()
        .await
        .unwrap();
    let cookie = response.headers().get("set-cookie");
    let cookie = cookie.map_or("", |cookie| cookie.to_str().unwrap());
    let value = cookie.split(';').next().unwrap_or_default().to_owned();
    (response.status().as_u16(), value)
}

async fn account(running: &Running, cookie: &str) -> u16 {
    let url = format!("{}/api/account", running.address());
    let request = http().get(url).header("cookie", cookie);
    request.send().await.unwrap().status().as_u16()
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_taken_at_once_and_ends_the_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path(), Some(TOKEN)).await;
    let (status, cookie) = sign_in(&running, TOKEN).await;
    assert_eq!((status, account(&running, &cookie).await), (204, 200));

    let refused = reset(folder.path(), "short\n");
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("at least 8 characters"), "{said}");
    assert!(!said.contains("short"), "{said}");
    assert_eq!(account(&running, &cookie).await, 200);
    assert!(!reset(folder.path(), "").status.success());

    let done = reset(folder.path(), "correct horse battery\r\n");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert_eq!(account(&running, &cookie).await, 401);
    assert_eq!(sign_in(&running, "correct horse battery").await.0, 204);
    assert_eq!(sign_in(&running, TOKEN).await.0, 204, "still");
    running.shutdown(Duration::ZERO).await;

    // On a container: another AUTH_TOKEN, and the old one is nothing.
    let running = serve(folder.path(), Some("another token")).await;
    assert_eq!(sign_in(&running, TOKEN).await.0, 403);
    assert_eq!(sign_in(&running, "another token").await.0, 204);
    running.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stands_in_for_the_set_up_link() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path(), Some("")).await;
    assert!(running.core().setup_code().is_some());
    assert!(reset(folder.path(), "correct horse").status.success());
    assert_eq!(sign_in(&running, "correct horse").await.0, 204);
    assert!(running.core().setup_code().is_none(), "the link is over");
    running.shutdown(Duration::ZERO).await;
}
