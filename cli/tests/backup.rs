//! `gemini-balance backup`, `backups` and `restore`, beside a running server and without one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod serving;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use proxy_core::Running;

use crate::serving::serve;

const TOKEN: &str = "the token of the environment";

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
        .args(args)
        .env_clear()
        .env("DATA_DIR", folder)
        .output()
        .unwrap()
}

/// What a command prints; it succeeds.
fn said(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command says when it refuses.
fn refused(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The names of the panel's client tokens.
async fn tokens(running: &Running, add: Option<&str>) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("{}/api/{path}", running.address());
    let login = http
        .post(url("login"))
        .header("content-type", "application/json")
        .body(format!("{{\"password\":\"{TOKEN}\"}}"));
    let login = login.send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    if let Some(name) = add {
        let state = http.get(url("state")).header("cookie", &cookie);
        let state = state.send().await.unwrap().text().await.unwrap();
        let csrf = state.split("\"csrf\":\"").nth(1).unwrap();
        let made = http
            .post(url("tokens"))
            .header("cookie", &cookie)
            .header("x-csrf-token", csrf.split('"').next().unwrap())
            .header("content-type", "application/json")
            .body(format!("{{\"name\":\"{name}\"}}"));
        assert_eq!(made.send().await.unwrap().status(), 200);
    }
    let list = http.get(url("tokens")).header("cookie", &cookie);
    list.send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_beside_a_server_and_gone_back_to_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let nothing = refused(folder, &["backup"]);
    assert!(nothing.contains("gemini-balance.db"), "{nothing}");
    assert!(!folder.join("gemini-balance.db").exists());
    assert_eq!(said(folder, &["backups"]), "");

    let running = serve(folder, Some(TOKEN)).await;
    tokens(&running, Some("then")).await;
    let path = said(folder, &["backup"]);
    let path = path.trim();
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    assert!(
        Path::new(path).is_file() && name.ends_with("-manual.db"),
        "{path}"
    );
    let listed = said(folder, &["backups"]);
    assert!(
        listed.starts_with(name) && listed.contains("by hand"),
        "{listed}"
    );
    assert!(tokens(&running, Some("later")).await.contains("later"));

    let busy = refused(folder, &["restore", name]);
    assert!(
        busy.contains("nothing was changed") && busy.contains("panel"),
        "{busy}"
    );
    assert_eq!(said(folder, &["backups"]).lines().count(), 1);
    assert!(tokens(&running, None).await.contains("later"));
    running.shutdown(Duration::ZERO).await;

    let unknown = refused(folder, &["restore", "no-such-backup"]);
    assert!(unknown.contains("no-such-backup"), "{unknown}");
    let done = said(folder, &["restore", name]);
    assert!(done.contains(name), "{done}");
    let listed = said(folder, &["backups"]);
    assert!(
        listed.contains("before another one was restored"),
        "{listed}"
    );

    // A copy that somebody kept elsewhere, on a machine that has nothing but the master key.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(
        folder.join("master.key"),
        elsewhere.path().join("master.key"),
    )
    .unwrap();
    said(elsewhere.path(), &["restore", path]);
    for folder in [folder, elsewhere.path()] {
        let running = serve(folder, Some(TOKEN)).await;
        let shown = tokens(&running, None).await;
        assert!(
            shown.contains("then") && !shown.contains("later"),
            "{shown}"
        );
        running.shutdown(Duration::ZERO).await;
    }
}
