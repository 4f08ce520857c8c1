use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use zeroize::Zeroizing;

use crate::Secret;

/// The version byte that begins everything sealed here, so that a later format can be told apart.
const FORMAT: u8 = 1;
/// Length of an XChaCha20 nonce: long enough to be random (RFC draft-irtf-cfrg-xchacha).
const NONCE: usize = 24;

/// The key that seals every secret of one database. 32 random bytes, wiped on drop.
#[derive(Clone)]
pub struct MasterKey(Secret<[u8; 32]>);

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// Wrong master key, wrong row, or changed data: the three look the same on purpose.
    #[error("this was sealed with another master key, or was changed since")]
    Refused,
    /// Sealed by a newer version of this program.
    #[error("this was sealed by a newer version of the program")]
    NewerFormat,
}

impl MasterKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn random() -> Result<Self, SealError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| SealError::Random)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key with exactly these bytes, e.g. as read from the keychain.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes, to hand to the keychain and to nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Seals `secret` for the place named by `identity` (e.g. `gemini_keys/<random id>`);
    /// it opens only there, so rows cannot be swapped.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn seal(&self, identity: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let sealed = self
            .cipher()
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: secret.expose().as_bytes(),
                    aad: identity.as_bytes(),
                },
            )
            .map_err(|_| SealError::Refused)?;
        Ok([&[FORMAT], nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`MasterKey::seal`] made for the same `identity`.
    ///
    /// # Errors
    /// When the key, the identity or the data are not the ones it was sealed with.
    pub fn open(&self, identity: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let (format, rest) = sealed.split_first().ok_or(SealError::Refused)?;
        if *format != FORMAT {
            return Err(SealError::NewerFormat);
        }
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE>()
            .ok_or(SealError::Refused)?;
        let clear = self
            .cipher()
            .decrypt(
                &(*nonce).into(),
                Payload {
                    msg: ciphertext,
                    aad: identity.as_bytes(),
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::Refused)?;
        std::str::from_utf8(&clear)
            .map(Secret::from)
            .map_err(|_| SealError::Refused)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_own_place_only() {
        let key = MasterKey::random().unwrap();
        let sealed = key.seal("gemini_keys/1", &"AIzaSecret".into()).unwrap();
        assert_eq!(
            key.open("gemini_keys/1", &sealed).unwrap(),
            "AIzaSecret".into()
        );
        assert_eq!(key.open("gemini_keys/2", &sealed), Err(SealError::Refused));
        let other = MasterKey::random().unwrap();
        assert_eq!(
            other.open("gemini_keys/1", &sealed),
            Err(SealError::Refused)
        );
        assert!(!sealed.windows(4).any(|piece| piece == b"AIza"));
    }

    #[test]
    fn damaged_data_is_refused() {
        let key = MasterKey::random().unwrap();
        let sealed = key.seal("row", &"secret".into()).unwrap();
        for at in 1..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(key.open("row", &damaged), Err(SealError::Refused));
            assert_eq!(key.open("row", &sealed[..at]), Err(SealError::Refused));
        }
        assert_eq!(key.open("row", &[2, 0]), Err(SealError::NewerFormat));
        assert_eq!(key.open("row", &[]), Err(SealError::Refused));
    }
}
