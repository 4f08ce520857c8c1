use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{MasterKey, Secret};

impl MasterKey {
    /// A keyed hash (HMAC-SHA-256) of `secret` for the purpose named by `context`: equal
    /// secrets are recognised by it without being opened, and whoever has it without the
    /// master key can test no guess.
    pub fn fingerprint(&self, context: &str, secret: &Secret) -> [u8; 32] {
        let mac = |key: &[u8], message: &[u8]| -> [u8; 32] {
            // HMAC takes a key of any length: a longer one is hashed first (RFC 2104 §2).
            Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(message).finalize().into_bytes().into())
                .unwrap_or_default()
        };
        // The context gets a key of its own, so that hashes of two purposes cannot be compared.
        let derived = zeroize::Zeroizing::new(mac(self.expose(), context.as_bytes()));
        mac(&*derived, secret.expose().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_are_recognised_with_the_same_key_and_context_only() {
        let (key, other) = (
            MasterKey::from_bytes([1; 32]),
            MasterKey::from_bytes([2; 32]),
        );
        let print = key.fingerprint("keys", &"AIzaOne".into());
        assert_eq!(print, key.fingerprint("keys", &"AIzaOne".into()));
        assert_ne!(print, key.fingerprint("keys", &"AIzaTwo".into()));
        assert_ne!(print, key.fingerprint("tokens", &"AIzaOne".into()));
        assert_ne!(print, other.fingerprint("keys", &"AIzaOne".into()));
        assert_ne!(print, [0; 32]);
    }
}
