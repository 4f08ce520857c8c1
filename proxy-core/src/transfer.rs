//! The file that holds a whole configuration: JSON, or the same in an armoured age file, which
//! any age program opens, too.
//!
//! Deliberately absent: what of it may be taken in, and whether it is written with secrets;
//! that is up to who reads and writes it.

use std::collections::BTreeMap;

use age::secrecy::SecretString;
use contract::admin::{KeyRules, TokenRules};
use contract::{ApiError, ErrorCode, Millis};
use serde::{Deserialize, Serialize};
use vault::Secret;
use zeroize::Zeroizing;

use crate::store::sha256;

/// The version of the file's form.
const VERSION: u32 = 1;
/// How an armoured age file begins.
pub(crate) const AGE: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// scrypt's cost: 2^15 takes 32 MiB and about a tenth of a second.
const WORK: u8 = 15;
/// The highest cost of a file that is opened, which takes 256 MiB: what age's own program
/// makes.
const MOST_WORK: u8 = 18;

/// The file's content. May hold secrets.
#[derive(Serialize, Deserialize)]
pub struct Content {
    /// Says what kind of file this is, and in which version.
    pub gemini_balance: u32,
    /// When it was written.
    pub exported_at: Millis,
    /// By name, written as in the environment.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Gemini keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyContent>,
    /// Client tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenContent>,
}

/// A Gemini key in a file.
#[derive(Serialize, Deserialize)]
pub struct KeyContent {
    /// The key itself.
    pub key: String,
    /// What the user calls it.
    #[serde(default)]
    pub label: String,
    /// It is switched on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What the user has chosen about it besides.
    #[serde(default)]
    pub rules: KeyRules,
}

/// A client token in a file.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenContent {
    /// What the user calls it.
    pub name: String,
    /// Its first and last characters.
    pub masked: String,
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// What it may do.
    #[serde(default)]
    pub rules: TokenRules,
}

fn yes() -> bool {
    true
}

impl Default for Content {
    fn default() -> Self {
        Self {
            gemini_balance: VERSION,
            exported_at: 0,
            settings: BTreeMap::new(),
            keys: Vec::new(),
            tokens: Vec::new(),
        }
    }
}

impl Content {
    /// The text of a file that is not encrypted.
    ///
    /// # Errors
    /// Not with what can be in it.
    pub fn text(&self) -> Result<Zeroizing<String>, ApiError> {
        let text = serde_json::to_string_pretty(self);
        text.map(Zeroizing::new).map_err(|error| internal(&error))
    }

    /// What the text of a file that is not encrypted holds.
    ///
    /// # Errors
    /// When it is no such file, or one of a newer version.
    pub fn read(text: &str) -> Result<Self, ApiError> {
        // What serde says may quote a secret.
        let content: Self = serde_json::from_str(text).map_err(|error| {
            invalid(format!(
                "The file is no export of Gemini Balance, or is damaged (line {}, column {}).",
                error.line(),
                error.column()
            ))
        })?;
        if content.gemini_balance > VERSION {
            return Err(invalid(
                "The file was exported by a newer version of Gemini Balance. Update this one, \
                 then import it.",
            ));
        }
        Ok(content)
    }
}

impl TokenContent {
    /// A token of this name, with nothing of it but what recognises it.
    pub fn of(name: &str, token: &Secret, rules: TokenRules) -> Self {
        Self {
            name: name.to_owned(),
            masked: token.masked(),
            hash: hex(&sha256(token)),
            rules,
        }
    }
}

pub(crate) async fn encrypted(
    text: Zeroizing<String>,
    passphrase: Secret,
) -> Result<String, ApiError> {
    let work = move || {
        let mut recipient =
            age::scrypt::Recipient::new(SecretString::from(passphrase.expose().clone()));
        recipient.set_work_factor(WORK);
        age::encrypt_and_armor(&recipient, text.as_bytes())
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| internal(&error))?
        .map_err(|error| internal(&error))
}

/// What an encrypted file holds, as text.
///
/// # Errors
/// When the passphrase is wrong, or the file cannot be opened.
pub async fn decrypted(text: String, passphrase: Secret) -> Result<Zeroizing<String>, ApiError> {
    let work = move || {
        let mut identity =
            age::scrypt::Identity::new(SecretString::from(passphrase.expose().clone()));
        identity.set_max_work_factor(MOST_WORK);
        age::decrypt(&identity, text.trim().as_bytes())
    };
    let done = tokio::task::spawn_blocking(work).await;
    let bytes = done.map_err(|error| internal(&error))?.map_err(|error| {
        use age::DecryptError::{DecryptionFailed, ExcessiveWork, KeyDecryptionFailed};
        match error {
            // What fails later, in the content, is of another kind.
            DecryptionFailed | KeyDecryptionFailed => ApiError::new(
                ErrorCode::WrongPassphrase,
                "That passphrase does not open the file. It is the one that was typed when the \
                 file was exported.",
            ),
            ExcessiveWork { .. } => invalid(
                "The file was encrypted with so high a cost that opening it would stop this \
                 server. Export it again, or encrypt it anew with age.",
            ),
            _ => invalid(
                "The file is damaged, or was encrypted for a key rather than by a passphrase.",
            ),
        }
    })?;
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|_| invalid("The encrypted file holds no text."))
}

fn internal(error: &impl std::fmt::Display) -> ApiError {
    ApiError::new(
        ErrorCode::Internal,
        format!("The file could not be made or read: {error}"),
    )
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidInput, message)
}

/// A hash as a file has it, in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that a file has in hexadecimal; `None` when it is none.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
