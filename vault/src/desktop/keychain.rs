use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

use super::OpenError;
use crate::MasterKey;

/// The entry's account. Its number is there for a later kind of key beside this one.
const ACCOUNT: &str = "master-key-v1";

/// What to do where there is no keychain; part of a message.
pub(super) const HOW_TO_GET_ONE: &str = if cfg!(target_os = "linux") {
    "Install and start a Secret Service (GNOME Keyring, KDE Wallet or KeePassXC), or choose a passphrase"
} else {
    "Sign in to a session of your own, or choose a passphrase"
};

/// How the keychain is reached. Called for each attempt, because a keychain that was
/// missing may have been started since.
pub type Connect = dyn Fn() -> Result<Arc<CredentialStore>, Error> + Send + Sync;

/// One entry of a keychain: the master key of one build of the app.
///
/// It holds its store itself; the library's global default store is never set. No
/// `Debug`: that of an entry can show the secret.
pub struct Keychain {
    connect: Box<Connect>,
    service: String,
}

/// What the keychain had.
pub(super) enum Found {
    /// The key.
    Key(MasterKey),
    /// No entry.
    Nothing,
    /// An entry, but not one of ours.
    NotAKey,
}

impl Keychain {
    /// The operating system's keychain: Secret Service, Keychain or Credential Manager.
    /// `service` names the build of the app (its bundle id and namespace), so that a
    /// development build shares no key with the one installed.
    pub fn of_this_system(service: impl Into<String>) -> Self {
        Self::reached_by(Box::new(system_store), service)
    }

    /// A keychain in memory, for tests of those who hold a vault.
    #[cfg(any(test, feature = "mock"))]
    pub fn in_memory() -> Self {
        let store = keyring_core::mock::Store::new();
        let connect = move || match &store {
            Ok(store) => Ok(store.clone() as Arc<CredentialStore>),
            Err(_) => Err(Error::NoDefaultStore),
        };
        Self::reached_by(Box::new(connect), "in memory")
    }

    /// A keychain that is not there, for tests of those who hold a vault.
    #[cfg(any(test, feature = "mock"))]
    pub fn missing() -> Self {
        let connect = || Err(Error::PlatformFailure("no keychain in this test".into()));
        Self::reached_by(Box::new(connect), "missing")
    }

    /// A keychain that `connect` reaches.
    pub fn reached_by(connect: Box<Connect>, service: impl Into<String>) -> Self {
        Self {
            connect,
            service: service.into(),
        }
    }

    /// The key as the keychain has it. May ask the user.
    pub(super) fn read(&self) -> Result<Found, OpenError> {
        let entry = self.entry()?;
        match entry.get_password().map(Zeroizing::new) {
            Ok(text) => Ok(decode(&text).map_or(Found::NotAKey, Found::Key)),
            Err(Error::NoEntry) => Ok(Found::Nothing),
            Err(Error::BadEncoding(bytes)) => {
                drop(Zeroizing::new(bytes));
                Ok(Found::NotAKey)
            }
            Err(error) => Err(explain(&error)),
        }
    }

    /// Puts a new key into the keychain, and takes it out again: a keychain that accepts
    /// a secret and forgets it must be found out before anything is sealed.
    pub(super) fn create(&self) -> Result<MasterKey, OpenError> {
        let key = MasterKey::random()?;
        let text = Zeroizing::new(STANDARD.encode(key.expose()));
        // Text, because KDE Wallet keeps only text.
        self.entry()?
            .set_password(&text)
            .map_err(|error| explain(&error))?;
        match self.read()? {
            Found::Key(kept) if kept.expose() == key.expose() => Ok(key),
            _ => Err(OpenError::KeychainMissing(
                "it forgets what it is given".to_owned(),
            )),
        }
    }

    fn entry(&self) -> Result<Entry, OpenError> {
        let store = (self.connect)().map_err(|error| OpenError::KeychainMissing(tell(&error)))?;
        store
            .build(&self.service, ACCOUNT, None)
            .map_err(|error| explain(&error))
    }
}

/// Which of our errors one of the keychain's is. One table, because it is all that this
/// module adds to the library.
fn explain(error: &Error) -> OpenError {
    match error {
        Error::NoStorageAccess(_) => OpenError::KeychainLocked(tell(error)),
        // macOS and Windows report a refusal (-128, -25293, -25308, …) as a failure of
        // the platform; their keychain is never missing. On Linux it is the provider
        // that went away, unless it says that the item is locked.
        Error::PlatformFailure(_) if cfg!(not(target_os = "linux")) => {
            OpenError::KeychainLocked(tell(error))
        }
        Error::PlatformFailure(cause) if cause.to_string().contains("Secret.Error.IsLocked") => {
            OpenError::KeychainLocked(tell(error))
        }
        _ => OpenError::KeychainMissing(tell(error)),
    }
}

/// The error in words. Only those of the kinds that hold no data of an entry.
fn tell(error: &Error) -> String {
    match error {
        Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => cause.to_string(),
        Error::NotSupportedByStore(what) => format!("it does not support this: {what}"),
        Error::TooLong(what, limit) => format!("its limit for {what} is {limit}"),
        Error::Ambiguous(_) => "it holds several entries of the same name".to_owned(),
        _ => "it answered something unexpected".to_owned(),
    }
}

fn decode(text: &str) -> Option<MasterKey> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
    Some(MasterKey::from_bytes(bytes.as_slice().try_into().ok()?))
}

#[cfg(target_os = "linux")]
fn system_store() -> Result<Arc<CredentialStore>, Error> {
    zbus_secret_service_keyring_store::Store::new().map(|store| store as Arc<CredentialStore>)
}

#[cfg(target_os = "macos")]
fn system_store() -> Result<Arc<CredentialStore>, Error> {
    apple_native_keyring_store::keychain::Store::new().map(|store| store as Arc<CredentialStore>)
}

#[cfg(target_os = "windows")]
fn system_store() -> Result<Arc<CredentialStore>, Error> {
    windows_native_keyring_store::Store::new().map(|store| store as Arc<CredentialStore>)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn system_store() -> Result<Arc<CredentialStore>, Error> {
    Err(Error::NotSupportedByStore(
        "no keychain is known for this system".to_owned(),
    ))
}
