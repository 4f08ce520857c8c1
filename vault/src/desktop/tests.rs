//! Every way a keychain can fail, on the library's mock store; and passphrases for real.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{CredentialStore, Error, mock};

use super::*;

const SERVICE: &str = "test.gemini-balance";

/// A computer: a data folder and a keychain that outlive the app's starts.
struct Computer {
    folder: tempfile::TempDir,
    store: Arc<mock::Store>,
}

impl Computer {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: mock::Store::new().unwrap(),
        }
    }

    /// A start of the app: a vault that remembers nothing of earlier ones.
    fn start(&self) -> Vault {
        let store = self.store.clone();
        let connect = Box::new(move || Ok(store.clone() as Arc<CredentialStore>));
        Vault::new(self.folder.path(), Keychain::reached_by(connect, SERVICE))
    }

    /// A start on a computer whose keychain does not answer at all.
    fn start_without_keychain(&self) -> Vault {
        let connect = Box::new(|| Err(Error::PlatformFailure("no D-Bus".into())));
        Vault::new(self.folder.path(), Keychain::reached_by(connect, SERVICE))
    }

    fn fail_next(&self, error: Error) {
        let entry = self.store.build(SERVICE, "master-key-v1", None).unwrap();
        let entry: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        entry.set_error(error);
    }

    fn forget(&self) {
        self.store
            .build(SERVICE, "master-key-v1", None)
            .unwrap()
            .delete_credential()
            .unwrap();
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("vault.json")
    }
}

/// What a system says beneath the library's error.
type Cause = Box<dyn std::error::Error + Send + Sync>;
/// How the library puts it.
type Failure = fn(Cause) -> Error;

fn kind(error: &OpenError) -> &'static str {
    match error {
        OpenError::KeychainMissing(_) => "missing",
        OpenError::KeychainLocked(_) => "locked",
        OpenError::MasterKeyLost(_) => "lost",
        OpenError::PassphraseNeeded => "needed",
        OpenError::WrongPassphrase => "wrong",
        OpenError::WeakPassphrase => "weak",
        OpenError::Record { .. } => "record",
        OpenError::Seal(_) => "seal",
    }
}

fn closed(result: Result<Opened, Closed>) -> (&'static str, Passphrase) {
    let closed = result.expect_err("the vault opened");
    (kind(&closed.error), closed.passphrase)
}

#[test]
fn the_first_start_makes_a_key_and_later_starts_find_it() {
    let computer = Computer::new();
    let first = computer.start().open(false, None).unwrap();
    assert_eq!(first.source, Source::Keychain);
    let second = computer.start().open(true, None).unwrap();
    assert_eq!(first.key.expose(), second.key.expose());
}

#[test]
fn each_failure_of_the_keychain_has_its_name_and_leaves_nothing_behind() {
    let boxed = || "injected".into();
    let locked_item = || "zbus error: org.freedesktop.Secret.Error.IsLocked".into();
    let failures: [(Failure, &str); 5] = [
        (Error::NoStorageAccess, "locked"),
        (
            Error::PlatformFailure,
            if cfg!(target_os = "linux") {
                "missing"
            } else {
                "locked"
            },
        ),
        (
            |_| Error::NotSupportedByStore("passwords".to_owned()),
            "missing",
        ),
        (|_| Error::TooLong("password".to_owned(), 8), "missing"),
        (|_| Error::Ambiguous(Vec::new()), "missing"),
    ];
    for (failure, expected) in failures {
        let computer = Computer::new();
        computer.fail_next(failure(boxed()));
        let vault = computer.start();
        assert_eq!(
            closed(vault.open(false, None)),
            (expected, Passphrase::CanBeChosen)
        );
        assert!(
            !computer.record().exists(),
            "a failed start decides nothing"
        );
        // The mock's error is used up, as if the user had unlocked the keychain.
        assert!(
            vault.open(false, None).is_ok(),
            "a second try after {expected}"
        );

        // Once data is sealed, a passphrase is no way in.
        computer.fail_next(failure(boxed()));
        assert_eq!(
            closed(computer.start().open(true, None)),
            (expected, Passphrase::NoUse)
        );
    }
    let computer = Computer::new();
    computer.fail_next(Error::PlatformFailure(locked_item()));
    assert_eq!(closed(computer.start().open(false, None)).0, "locked");
}

#[test]
fn without_a_keychain_nothing_opens_until_the_user_chooses() {
    let computer = Computer::new();
    let vault = computer.start_without_keychain();
    assert_eq!(
        closed(vault.open(false, None)),
        ("missing", Passphrase::CanBeChosen)
    );
    assert_eq!(
        closed(vault.open(false, Some(&"short".into()))),
        ("weak", Passphrase::CanBeChosen)
    );
    assert_eq!(
        std::fs::read_dir(computer.folder.path()).unwrap().count(),
        0
    );

    let chosen = vault.open(false, Some(&"correct horse".into())).unwrap();
    assert_eq!(chosen.source, Source::Passphrase);
}

#[test]
fn a_passphrase_opens_what_it_closed_and_no_other_does() {
    let computer = Computer::new();
    let passphrase = Secret::from("correct horse 钥匙");
    let first = computer
        .start_without_keychain()
        .open(false, Some(&passphrase))
        .unwrap();

    // The keychain is back; the vault is still the passphrase's.
    let vault = computer.start();
    assert_eq!(closed(vault.open(true, None)), ("needed", Passphrase::Set));
    assert_eq!(
        closed(vault.open(true, Some(&"correct horse".into()))),
        ("wrong", Passphrase::Set)
    );
    let again = vault.open(true, Some(&passphrase)).unwrap();
    assert_eq!(first.key.expose(), again.key.expose());
    assert_eq!(again.source, Source::Passphrase);

    let file = std::fs::read_to_string(computer.record()).unwrap();
    assert!(!file.contains("correct horse"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(computer.record())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_key_that_is_gone_or_another_is_not_replaced() {
    let computer = Computer::new();
    computer.start().open(false, None).unwrap();
    computer.forget();
    assert_eq!(
        closed(computer.start().open(false, None)),
        ("lost", Passphrase::NoUse)
    );

    // Another folder makes a new key in the same keychain: it is not this folder's.
    std::fs::rename(computer.record(), computer.folder.path().join("elsewhere")).unwrap();
    computer.start().open(false, None).unwrap();
    std::fs::rename(computer.folder.path().join("elsewhere"), computer.record()).unwrap();
    assert_eq!(
        closed(computer.start().open(true, None)),
        ("lost", Passphrase::NoUse)
    );
}

#[test]
fn an_entry_that_is_no_key_is_left_alone() {
    let computer = Computer::new();
    let entry = computer
        .store
        .build(SERVICE, "master-key-v1", None)
        .unwrap();
    entry.set_secret(b"\xff\xfe").unwrap();
    assert_eq!(closed(computer.start().open(false, None)).0, "lost");
    entry.set_password("c2hvcnQ=").unwrap();
    assert_eq!(closed(computer.start().open(false, None)).0, "lost");
    assert_eq!(entry.get_password().unwrap(), "c2hvcnQ=");
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_is_kept() {
    let computer = Computer::new();
    for content in ["", "{}", r#"{"version":2,"source":"keychain","check":""}"#] {
        std::fs::write(computer.record(), content).unwrap();
        assert_eq!(
            closed(computer.start().open(false, None)),
            ("record", Passphrase::NoUse)
        );
        assert_eq!(std::fs::read_to_string(computer.record()).unwrap(), content);
    }
    let absurd = r#"{"version":1,"source":"passphrase","check":"",
        "cost":{"memory_kib":4294967295,"passes":1,"lanes":1},"salt":"AAAAAAAAAAAAAAAAAAAAAA==","key":""}"#;
    std::fs::write(computer.record(), absurd).unwrap();
    assert_eq!(
        closed(computer.start().open(false, Some(&"correct horse".into()))).0,
        "seal"
    );
}

#[test]
fn callers_at_the_same_time_ask_the_keychain_once() {
    let computer = Computer::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let (store, counter) = (computer.store.clone(), asked.clone());
    computer.start().open(false, None).unwrap();
    let connect = Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(store.clone() as Arc<CredentialStore>)
    });
    let vault = Vault::new(
        computer.folder.path(),
        Keychain::reached_by(connect, SERVICE),
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| vault.open(true, None).unwrap());
        }
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn no_message_shows_what_an_entry_holds() {
    let computer = Computer::new();
    let entry = computer
        .store
        .build(SERVICE, "master-key-v1", None)
        .unwrap();
    entry.set_password("hunter2").unwrap();
    let other = computer.store.build(SERVICE, "other", None).unwrap();
    for error in [
        Error::Ambiguous(vec![entry, other]),
        Error::BadDataFormat(b"hunter2".to_vec(), "malformed".into()),
        Error::BadStoreFormat("hunter2".to_owned()),
        Error::Invalid("hunter2".to_owned(), "hunter2".to_owned()),
    ] {
        computer.fail_next(error);
        let closed = computer.start().open(false, None).unwrap_err();
        assert!(!format!("{closed} {closed:?}").contains("hunter2"));
    }
}
