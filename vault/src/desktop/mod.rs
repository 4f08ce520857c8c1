//! The vault of a desktop: where its master key lives, and the way to open it.
//!
//! The key lives in the operating system's keychain. Where there is none, the user may
//! choose a passphrase instead; the key then lies in a file that only the passphrase
//! opens. Which of the two was chosen is written once, in `vault.json` beside the
//! database, with a check value that tells a wrong key before any row is opened.
//!
//! Deliberately absent: a change from one to the other on its own. A keychain that fails
//! tomorrow does not turn into a question for a passphrase that nobody ever set, and
//! never into data in clear.

mod keychain;
mod record;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use keychain::{Connect, Keychain};
use record::{Record, Source as Recorded};

use crate::{MasterKey, SealError, Secret};

/// The least number of characters a new passphrase must have.
pub const MIN_PASSPHRASE: usize = 8;

/// The vault of one data folder.
pub struct Vault {
    keychain: Keychain,
    record: PathBuf,
    /// Held while the keychain asks the user, so that callers at the same time cause one
    /// question, not several.
    opened: Mutex<Option<Opened>>,
}

/// An open vault.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The key that seals the data of this folder.
    pub key: MasterKey,
    /// What holds the key.
    pub source: Source,
}

/// What holds the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operating system's keychain.
    Keychain,
    /// A file that the user's passphrase opens.
    Passphrase,
}

/// A vault that did not open.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Closed {
    /// Why.
    #[source]
    pub error: OpenError,
    /// Whether a passphrase helps.
    pub passphrase: Passphrase,
}

/// Whether a passphrase can open a closed vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passphrase {
    /// One was chosen before; it opens the vault.
    Set,
    /// None exists, but one can be chosen now, because nothing is sealed yet.
    CanBeChosen,
    /// None exists, and data is sealed with a key from the keychain.
    NoUse,
}

/// Why a vault did not open. The messages say the way out; none holds a secret, nor the
/// `Debug` of anything of the keychain (it would show the entry).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No keychain answers.
    #[error("no keychain of the operating system answers ({0}). {way_out}", way_out = keychain::HOW_TO_GET_ONE)]
    KeychainMissing(String),
    /// The keychain is locked, or the user refused.
    #[error(
        "the keychain of the operating system is locked, or refused to hand out the key ({0}). Unlock it and try again"
    )]
    KeychainLocked(String),
    /// There is sealed data, but not the key it was sealed with.
    #[error(
        "the keychain does not hold the key that the data in {0} was sealed with. Restore the keychain from a backup, or move that folder away to begin anew with your Gemini keys at hand"
    )]
    MasterKeyLost(PathBuf),
    /// A passphrase was chosen before and has to be typed.
    #[error("this vault is opened by the passphrase you chose; type it")]
    PassphraseNeeded,
    /// Not the passphrase that was chosen.
    #[error(
        "this passphrase does not open the vault; check capitals and keyboard layout and try again"
    )]
    WrongPassphrase,
    /// The new passphrase is too short.
    #[error("a passphrase needs at least {MIN_PASSPHRASE} characters")]
    WeakPassphrase,
    /// `vault.json` cannot be read or written.
    #[error("cannot use {path}: {error}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What the system, or the reader of the file, said.
        error: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Vault {
    /// The vault of the data in `folder`, with `keychain` to hold its master key. Touches
    /// neither yet.
    pub fn new(folder: &Path, keychain: Keychain) -> Self {
        Self {
            keychain,
            record: folder.join("vault.json"),
            opened: Mutex::new(None),
        }
    }

    /// Opens the vault, or says what the user can do. `sealed_data`: the caller knows of
    /// data sealed in this folder (its database exists), so a new key would be of no use.
    ///
    /// A passphrase is used to open a vault that was made with one, and chosen as the
    /// vault's own while nothing is sealed yet. The call blocks, as long as the user takes
    /// to answer the keychain's question; call it off the thread of the window.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing has changed then; calling again is always right.
    pub fn open(&self, sealed_data: bool, passphrase: Option<&Secret>) -> Result<Opened, Closed> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let record = Record::read(&self.record).map_err(|error| Closed {
            error,
            passphrase: Passphrase::NoUse,
        })?;
        let (useful, result) = match (&record, passphrase) {
            (
                Some(Record {
                    source: Recorded::Passphrase(wrapped),
                    ..
                }),
                typed,
            ) => {
                let result = typed
                    .ok_or(OpenError::PassphraseNeeded)
                    .and_then(|typed| wrapped.open(typed))
                    .map(|key| Opened {
                        key,
                        source: Source::Passphrase,
                    });
                (Passphrase::Set, result)
            }
            (Some(record), _) => (Passphrase::NoUse, self.ask_keychain(Some(record), true)),
            (None, _) if sealed_data => (Passphrase::NoUse, self.ask_keychain(None, true)),
            (None, Some(chosen)) => (Passphrase::CanBeChosen, self.choose(chosen)),
            (None, None) => (Passphrase::CanBeChosen, self.ask_keychain(None, false)),
        };
        match result {
            Ok(new) => Ok(opened.insert(new).clone()),
            Err(error) => Err(Closed {
                error,
                passphrase: useful,
            }),
        }
    }

    /// The key in the keychain; a new one is put there only if no data needs an old one.
    fn ask_keychain(&self, record: Option<&Record>, data: bool) -> Result<Opened, OpenError> {
        let lost = || OpenError::MasterKeyLost(self.folder().to_owned());
        let key = match self.keychain.read()? {
            keychain::Found::Key(key) => key,
            keychain::Found::Nothing if !data => self.keychain.create()?,
            keychain::Found::Nothing | keychain::Found::NotAKey => return Err(lost()),
        };
        match record {
            Some(record) if !record.belongs_to(&key) => return Err(lost()),
            Some(_) => {}
            None => Record::for_keychain(&key)?.write(&self.record)?,
        }
        Ok(Opened {
            key,
            source: Source::Keychain,
        })
    }

    /// A new key, in a file that `passphrase` opens.
    fn choose(&self, passphrase: &Secret) -> Result<Opened, OpenError> {
        if passphrase.expose().chars().count() < MIN_PASSPHRASE {
            return Err(OpenError::WeakPassphrase);
        }
        let key = MasterKey::random()?;
        Record::for_passphrase(&key, passphrase)?.write(&self.record)?;
        Ok(Opened {
            key,
            source: Source::Passphrase,
        })
    }

    fn folder(&self) -> &Path {
        self.record.parent().unwrap_or(&self.record)
    }
}

#[cfg(test)]
mod tests;
