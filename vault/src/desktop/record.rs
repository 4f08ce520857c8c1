//! `vault.json`: what holds the master key of this folder, and how to tell the right one.

use std::io::Write as _;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::OpenError;
use crate::{MasterKey, SealError, Secret};

/// What the check value says when opened; it is no secret.
const CHECK: &str = "gemini-balance";
/// Where the check value belongs ([`MasterKey::seal`]).
const CHECK_IDENTITY: &str = "vault.json/check";
/// Where the wrapped key belongs.
const KEY_IDENTITY: &str = "vault.json/master-key";

/// The content of `vault.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    version: u8,
    /// What holds the key.
    #[serde(flatten)]
    pub(super) source: Source,
    /// [`CHECK`], sealed with the master key.
    check: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub(super) enum Source {
    Keychain,
    Passphrase(Wrapped),
}

/// A master key that a passphrase opens: sealed with a key that Argon2id makes of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Wrapped {
    cost: Cost,
    salt: String,
    key: String,
}

/// What Argon2id costs; kept in the file, so that it can rise later.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The second choice of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
const RFC_9106: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 4,
};
/// A file that asks for more than this was not written by us: 1 GiB, 100 passes.
const LIMIT: Cost = Cost {
    memory_kib: 1024 * 1024,
    passes: 100,
    lanes: 64,
};

impl Record {
    pub(super) fn for_keychain(key: &MasterKey) -> Result<Self, OpenError> {
        Self::new(Source::Keychain, key)
    }

    pub(super) fn for_passphrase(key: &MasterKey, passphrase: &Secret) -> Result<Self, OpenError> {
        Self::new(
            Source::Passphrase(Wrapped::new(key, passphrase, RFC_9106)?),
            key,
        )
    }

    fn new(source: Source, key: &MasterKey) -> Result<Self, OpenError> {
        let check = STANDARD.encode(key.seal(CHECK_IDENTITY, &CHECK.into())?);
        Ok(Self {
            version: 1,
            source,
            check,
        })
    }

    /// The data of this folder was sealed with `key`.
    pub(super) fn belongs_to(&self, key: &MasterKey) -> bool {
        STANDARD.decode(&self.check).is_ok_and(|sealed| {
            key.open(CHECK_IDENTITY, &sealed)
                .is_ok_and(|text| text == CHECK.into())
        })
    }

    /// The record at `path`, if there is one.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, OpenError> {
        let told = |error| OpenError::Record {
            path: path.to_owned(),
            error,
        };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error)),
        };
        let record: Self = serde_json::from_slice(&text).map_err(|error| told(error.into()))?;
        if record.version != 1 {
            return Err(told(std::io::Error::other(
                "it was written by a newer version of this program",
            )));
        }
        Ok(Some(record))
    }

    /// Writes the record, readable by this user only, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), OpenError> {
        self.try_write(path).map_err(|error| OpenError::Record {
            path: path.to_owned(),
            error,
        })
    }

    fn try_write(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // A temporary file of this kind has the mode 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

impl Wrapped {
    pub(super) fn new(key: &MasterKey, passphrase: &Secret, cost: Cost) -> Result<Self, OpenError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| SealError::Random)?;
        let text = Zeroizing::new(STANDARD.encode(key.expose()));
        let sealed = derive(passphrase, &salt, cost)?.seal(KEY_IDENTITY, &text.as_str().into())?;
        Ok(Self {
            cost,
            salt: STANDARD.encode(salt),
            key: STANDARD.encode(sealed),
        })
    }

    /// The key, if this is its passphrase.
    pub(super) fn open(&self, passphrase: &Secret) -> Result<MasterKey, OpenError> {
        let wrong = |_| OpenError::WrongPassphrase;
        let salt = STANDARD.decode(&self.salt).map_err(wrong)?;
        let sealed = STANDARD.decode(&self.key).map_err(wrong)?;
        let text = derive(passphrase, &salt, self.cost)?
            .open(KEY_IDENTITY, &sealed)
            .map_err(|_| OpenError::WrongPassphrase)?;
        let bytes = Zeroizing::new(STANDARD.decode(text.expose()).map_err(wrong)?);
        let bytes = bytes
            .as_slice()
            .try_into()
            .map_err(|_| OpenError::WrongPassphrase)?;
        Ok(MasterKey::from_bytes(bytes))
    }
}

fn derive(passphrase: &Secret, salt: &[u8], cost: Cost) -> Result<MasterKey, OpenError> {
    let refuse = |_| OpenError::Seal(SealError::Refused);
    if cost.memory_kib > LIMIT.memory_kib || cost.passes > LIMIT.passes || cost.lanes > LIMIT.lanes
    {
        return Err(OpenError::Seal(SealError::NewerFormat));
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refuse)?;
    let mut bytes = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), salt, bytes.as_mut_slice())
        .map_err(refuse)?;
    Ok(MasterKey::from_bytes(*bytes))
}
