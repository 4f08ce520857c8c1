//! The desktop without its window: a real core on a real port, and a keychain in memory.

use std::net::TcpListener;
use std::path::Path;

use contract::admin::TokenView;

use super::*;

/// The app in a folder of its own, on any free port.
fn desktop(folder: &Path, keychain: Keychain) -> Desktop {
    let environment = Environment::new(folder.to_owned(), |name| match name {
        "PORT" => Some("0".to_owned()),
        // Nothing listens there, so nothing leaves this computer.
        "BASE_URL" => Some("http://127.0.0.1:9/v1beta".to_owned()),
        _ => None,
    });
    Desktop::with_keychain(environment, "test", |_| keychain)
}

fn call(method: &str, path: &str, body: Option<serde_json::Value>) -> AdminCall {
    AdminCall {
        method: method.to_owned(),
        path: path.to_owned(),
        body,
    }
}

/// Every byte of every file in `folder`.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() {
            all_bytes(&path)
        } else {
            std::fs::read(path).unwrap()
        });
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_runs_as_soon_as_the_vault_is_open_and_keys_are_kept_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let desktop = desktop(folder.path(), Keychain::in_memory());
    assert_eq!(desktop.state().proxy, ProxyState::Stopped);
    assert_eq!(
        desktop
            .admin_call(call("GET", "/api/keys", None))
            .await
            .err()
            .unwrap()
            .code,
        ErrorCode::NotRunning
    );
    assert!(!desktop.environment.has_data());

    desktop.open(None).await.unwrap();
    assert_eq!(
        desktop.state().vault,
        VaultState::Open {
            source: MasterKeySource::Keychain
        }
    );
    assert!(desktop.address().unwrap().starts_with("http://127.0.0.1:"));
    assert!(
        desktop.environment.has_data(),
        "the core's database is where this shell looks for it"
    );

    let key = "AIzaSyTestTestTestTestTestTestTestTest1";
    let added = desktop
        .admin_call(call(
            "POST",
            "/api/keys/import",
            Some(serde_json::json!({ "text": key })),
        ))
        .await;
    assert_eq!(added.unwrap().status, 200);
    let token = desktop.own_token().await.unwrap();
    desktop.local.stop().await;
    assert_eq!(desktop.state().proxy, ProxyState::Stopped);

    let bytes = all_bytes(folder.path());
    assert!(!contains(&bytes, key), "the key lies in clear on the disk");
    assert!(
        !contains(&bytes, token.expose()),
        "the token lies in clear on the disk"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_token_is_made_once_and_again_when_it_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let desktop = desktop(folder.path(), Keychain::in_memory());
    desktop.open(None).await.unwrap();
    let tokens = async || -> Vec<TokenView> {
        let reply = desktop
            .admin_call(call("GET", "/api/tokens", None))
            .await
            .unwrap();
        serde_json::from_value(reply.body).unwrap()
    };
    let made = tokens().await;
    assert_eq!(made.len(), 1, "the app has a token from the first start on");
    let first = desktop.own_token().await.unwrap();
    assert_eq!(desktop.own_token().await.unwrap(), first);
    assert_eq!(tokens().await.len(), 1);

    desktop.delete_token(made[0].id, None).await.unwrap();
    assert_ne!(desktop.own_token().await.unwrap(), first);
    assert_eq!(tokens().await.len(), 1);
    desktop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_names_its_owner_and_the_next_one_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let desktop = desktop(folder.path(), Keychain::in_memory());
    desktop.prefs.change(|kept| kept.port = Some(port));
    desktop.open(None).await.unwrap();
    let ProxyState::PortTaken {
        port: wanted,
        owner,
        next_free,
    } = desktop.state().proxy
    else {
        panic!("{:?}", desktop.state().proxy);
    };
    assert_eq!(wanted, port);
    assert!(owner.unwrap().contains(&std::process::id().to_string()));

    desktop.use_port(next_free).await.unwrap();
    assert_eq!(
        desktop.address().unwrap(),
        format!("http://127.0.0.1:{next_free}")
    );
    assert_eq!(Prefs::read(folder.path()).get().port, Some(next_free));
    assert_eq!(
        desktop.use_port(0).await.unwrap_err().code,
        ErrorCode::InvalidInput
    );
    desktop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_keychain_the_window_is_told_why_and_a_passphrase_opens() {
    let folder = tempfile::tempdir().unwrap();
    let desktop = desktop(folder.path(), Keychain::missing());
    assert_eq!(
        desktop.open(None).await.unwrap_err().code,
        ErrorCode::KeychainMissing
    );
    let VaultState::Closed { error, passphrase } = desktop.state().vault else {
        panic!("the vault is not closed");
    };
    assert_eq!(error.code, ErrorCode::KeychainMissing);
    assert_eq!(passphrase, Passphrase::CanBeChosen);
    assert_eq!(
        desktop.start().await.unwrap_err().code,
        ErrorCode::KeychainMissing
    );
    assert_eq!(desktop.state().proxy, ProxyState::Stopped);

    assert_eq!(
        desktop.open(Some("short".into())).await.unwrap_err().code,
        ErrorCode::WeakPassword
    );
    desktop.open(Some("correct horse".into())).await.unwrap();
    assert_eq!(
        desktop.state().vault,
        VaultState::Open {
            source: MasterKeySource::Passphrase
        }
    );
    desktop.address().expect("it runs now");
    desktop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webview_gets_no_token_and_no_other_path() {
    let folder = tempfile::tempdir().unwrap();
    let desktop = desktop(folder.path(), Keychain::in_memory());
    desktop.open(None).await.unwrap();
    let name = || Some(serde_json::json!({ "name": "x" }));
    for (method, path) in [
        ("POST", "/api/tokens"),
        ("POST", "/api/tokens/"),
        ("POST", "/api/tokens?a=b"),
        ("POST", "/api/tokens#x"),
        ("POST", "/api/tokens/#x?y"),
        ("POST", "//api/tokens"),
        ("POST", "http://127.0.0.1/api/tokens"),
        ("POST", "/v1#/api/"),
        ("POST", "/api/%74okens"),
        ("POST", "/api/deploy/remotes/1/variables"),
        ("POST", "/api/deploy/remotes/1/access"),
        ("POST", "/api/deploy/remotes/1/panel/api/tokens"),
        ("POST", "/api/deploy/remotes/1/panel/api/tokens/?a=b"),
        ("POST", "/v1/chat/completions"),
        ("GET", "http://example.com/api/keys"),
        ("GET", "api/keys"),
        ("CONNECT", "/api/keys"),
        ("post", "/api/tokens"),
    ] {
        let refused = desktop.admin_call(call(method, path, name())).await.err();
        assert_eq!(
            refused.map(|error| error.code),
            Some(ErrorCode::InvalidInput),
            "{method} {path}"
        );
    }
    desktop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::new(folder.path().to_owned(), |name| {
        (name == "PORT").then(|| "eight thousand".to_owned())
    });
    let desktop = Desktop::with_keychain(environment, "test", |_| Keychain::in_memory());
    desktop.open(None).await.unwrap();
    let ProxyState::Failed { error } = desktop.state().proxy else {
        panic!("{:?}", desktop.state().proxy);
    };
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert!(error.message.contains("PORT"), "{}", error.message);
}

#[test]
fn no_answer_takes_a_secret_into_the_webview() {
    let mut answer = serde_json::json!({
        "secret": "sk-1",
        "token": { "id": 1, "secret": "sk-2" },
        "list": [{ "secret": "sk-3", "name": "x" }],
    });
    withhold_secrets(&mut answer);
    assert_eq!(
        answer,
        serde_json::json!({ "token": { "id": 1 }, "list": [{ "name": "x" }] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_build_finds_the_key_of_a_folder_under_its_first_name() {
    let folder = tempfile::tempdir().unwrap();
    let desktop = |build: &str, expected: &str| {
        let environment = Environment::new(folder.path().to_owned(), |name| {
            (name == "PORT").then(|| "0".to_owned())
        });
        Desktop::with_keychain(environment, build, |service| {
            assert_eq!(service, expected);
            Keychain::in_memory()
        })
    };
    // A vault that did not open gives the folder no name.
    let missing = Environment::new(folder.path().to_owned(), |_| None);
    let missing = Desktop::with_keychain(missing, "none", |_| Keychain::missing());
    missing.open(None).await.unwrap_err();

    let first = desktop("app.dev", "app.dev");
    first.open(None).await.unwrap();
    first.local.stop().await;
    desktop("app", "app.dev");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_kept_is_not_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let desktop = desktop(folder.path(), Keychain::in_memory());
    // A folder of that name, so that nothing can be written there.
    std::fs::create_dir_all(folder.path().join("prefs.json/x")).unwrap();
    desktop.open(None).await.unwrap();
    let error = desktop.own_token().await.err().unwrap();
    assert!(error.message.contains("prefs.json"), "{}", error.message);
    let reply = desktop.admin_call(call("GET", "/api/tokens", None)).await;
    let tokens: Vec<TokenView> = serde_json::from_value(reply.unwrap().body).unwrap();
    assert!(tokens.is_empty(), "{} tokens nobody can use", tokens.len());
    desktop.local.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_name_is_no_text_is_refused_instead_of_another_one_used() {
    use std::os::unix::ffi::OsStrExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join(std::ffi::OsStr::from_bytes(b"data\xff"));
    let desktop = desktop(&folder, Keychain::in_memory());
    desktop.open(None).await.unwrap();
    let ProxyState::Failed { error } = desktop.state().proxy else {
        panic!("{:?}", desktop.state().proxy);
    };
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert!(error.message.contains("GEMINI_BALANCE_DATA_DIR"), "{error}");
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn messages_are_sentences() {
    assert_eq!(
        sentence("no keychain (x). Install one"),
        "No keychain (x). Install one."
    );
    assert_eq!(sentence("Done."), "Done.");
    assert_eq!(sentence(""), "");
}

#[test]
fn what_tells_that_something_is_a_secret_passes_and_the_secret_does_not() {
    let mut answer = serde_json::json!({
        "settings": [{ "name": "AUTH_TOKEN", "secret": true }],
        "made": { "secret": "sk-1" },
    });
    withhold_secrets(&mut answer);
    assert_eq!(
        answer,
        serde_json::json!({
            "settings": [{ "name": "AUTH_TOKEN", "secret": true }],
            "made": {},
        })
    );
}
