//! Secrets at rest: the type of a secret, the master key and where it lives, sealing.
//!
//! One random [`MasterKey`] seals every secret in the database ([`MasterKey::seal`],
//! XChaCha20-Poly1305 with the row's identity as associated data), so there is one
//! keychain prompt however many keys there are, and no length limit of a keychain applies.
//!
//! Deliberately absent: a way to store anything in clear, and a global. A master key is
//! a value that its holder passes on.

#[cfg(feature = "keychain")]
pub mod desktop;
mod fingerprint;
mod key_file;
mod seal;
mod secret;

pub use key_file::{KEY_FILE_NAME, KeyFile, KeyFileError, create_private_folder};
pub use seal::{MasterKey, SealError};
pub use secret::Secret;
