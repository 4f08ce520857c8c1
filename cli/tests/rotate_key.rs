//! `gemini-balance rotate-key`, as a user types it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::store::{FoundKey, Store, StoreError};

const KEY: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
const FIRST: &str = "the first passphrase";
const SECOND: &str = "the second passphrase";

fn run(arguments: &[&str], folder: &Path, set: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
        .args(arguments)
        .env_clear()
        .env("DATA_DIR", folder)
        .envs(set.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn open(folder: &Path, secret_key: Option<&str>) -> Result<Store, StoreError> {
    let folder = folder.display().to_string();
    let settings = Settings::load(|name| match name {
        "DATA_DIR" => Some(folder.clone()),
        "SECRET_KEY" => secret_key.map(str::to_owned),
        _ => None,
    })
    .unwrap();
    let (master, sealing) = settings.sealing_key().unwrap();
    Store::open(settings.store(master, sealing), Clock::system()).await
}

async fn add_key(store: &Store) {
    let key = FoundKey {
        secret: KEY.into(),
        label: String::new(),
        rules: contract::admin::KeyRules::default(),
    };
    store.add_keys(&[key]).await.unwrap();
}

#[tokio::test]
async fn a_new_key_file_is_made_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = open(folder, None).await.unwrap();
    add_key(&server).await;
    let file = || std::fs::read(folder.join("master.key")).unwrap();
    let before = file();
    let done = run(&["rotate-key"], folder, &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("master.key"), "{}", said(&done));
    assert_ne!(file(), before);
    assert!(!folder.join("master.key.new").exists());
    assert_eq!(server.keys().await.unwrap()[0].secret, KEY.into());
    server.close().await;
    let store = open(folder, None).await.unwrap();
    assert_eq!(store.keys().await.unwrap()[0].secret, KEY.into());
    store.close().await;

    // From the file to a variable.
    let done = run(&["rotate-key"], folder, &[("NEW_SECRET_KEY", FIRST)]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(open(folder, None).await.is_err());
    assert!(open(folder, Some(FIRST)).await.is_ok());
}

#[tokio::test]
async fn another_secret_key_comes_from_the_environment_or_a_file_and_never_shows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let store = open(folder, Some(FIRST)).await.unwrap();
    add_key(&store).await;
    store.close().await;
    let rotate = |present: &str, more: &[(&str, &str)], arguments: &[&str]| {
        let set = [&[("SECRET_KEY", present)], more].concat();
        run(&[&["rotate-key"], arguments].concat(), folder, &set)
    };
    let short = rotate(FIRST, &[("NEW_SECRET_KEY", "hunter2")], &[]);
    assert!(!short.status.success() && said(&short).contains("16 characters"));
    let same = rotate(FIRST, &[("NEW_SECRET_KEY", FIRST)], &[]);
    assert!(!same.status.success() && said(&same).contains("present one"));
    let nothing = rotate(FIRST, &[], &[]);
    assert!(!nothing.status.success() && said(&nothing).contains("NEW_SECRET_KEY"));
    let wrong = rotate(SECOND, &[("NEW_SECRET_KEY", "yet another passphrase")], &[]);
    assert!(!wrong.status.success() && said(&wrong).contains("SECRET_KEY"));
    assert!(
        open(folder, Some(FIRST)).await.is_ok(),
        "nothing was changed"
    );

    let done = rotate(FIRST, &[("NEW_SECRET_KEY", SECOND)], &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("Change the variable SECRET_KEY"));
    assert!(open(folder, Some(FIRST)).await.is_err());

    let file = folder.join("new");
    std::fs::write(&file, format!("{FIRST}\r\n")).unwrap();
    let path = file.display().to_string();
    let done = rotate(SECOND, &[], &["--new-secret-key-file", &path]);
    assert!(done.status.success(), "{}", said(&done));
    for output in [short, same, nothing, wrong, done] {
        assert!(!said(&output).contains("passphrase\n") && !said(&output).contains("hunter2"));
        assert!(!said(&output).contains(SECOND) && !said(&output).contains(FIRST));
    }
    let store = open(folder, Some(FIRST)).await.unwrap();
    assert_eq!(store.keys().await.unwrap()[0].secret, KEY.into());
}
