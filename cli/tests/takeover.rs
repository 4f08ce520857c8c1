//! `gemini-balance takeover`, as a user types it. `original.db` was made by the statements
//! that the original makes its table with, and holds no secret of anybody.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod serving;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::serving::serve;

const KEY: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";

fn take_over(file: &Path, folder: &Path) -> (bool, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
        .arg("takeover")
        .arg(file)
        .env_clear()
        .env("DATA_DIR", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_original_is_taken_over_by_name_and_once() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let file = other.path().join("old.db");
    let (done, said) = take_over(&file, folder);
    assert!(!done && said.contains("default_db"), "{said}");
    std::fs::write(&file, "").unwrap();
    let (done, said) = take_over(&file, folder);
    assert!(!done && said.contains("t_settings"), "{said}");

    let original = include_bytes!("original.db");
    std::fs::write(&file, original).unwrap();
    let (done, said) = take_over(&file, folder);
    assert!(done, "{said}");
    for part in [
        "1 Gemini keys, 1 client tokens",
        "AUTH_TOKEN is the panel's password",
        "Settings: MAX_RETRIES, PROXIES.",
        "API_KEYS: number 2",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    for secret in ["a-secret", KEY, "the-old-token"] {
        assert!(!said.contains(secret), "{said}");
    }
    let (done, said) = take_over(&file, folder);
    assert!(!done && said.contains("done once"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), original);
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1);

    let running = serve(folder, None).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let signed_in = http
        .post(format!("{}/api/login", running.address()))
        .header("content-type", "application/json")
        .body(r#"{"password":"the-old-token"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(signed_in.status(), 204);
    running.shutdown(Duration::ZERO).await;
}
