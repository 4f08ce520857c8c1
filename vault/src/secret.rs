use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, Zeroizing};

/// A value that must not be seen: no `Serialize`, no `Display`, `Debug` prints `***`,
/// the memory is wiped on drop.
///
/// Reading it takes [`Secret::expose`], so every place that does is found by its name.
#[derive(Clone)]
pub struct Secret<T: Zeroize = String>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` into care.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Do not log it, format it into an error, or store it unsealed.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// The secret with its middle left out, for people to recognise it by:
    /// `AIza…x3Fq`. Short secrets show less, and under 12 characters nothing.
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        let shown = match chars.len() {
            0..=11 => return "…".to_owned(),
            12..=19 => 2,
            _ => 4,
        };
        let (head, tail) = (&chars[..shown], &chars[chars.len() - shown..]);
        head.iter().chain(&['…']).chain(tail).collect()
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret<String> {
    /// Takes the same time wherever the two differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret<String> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::from("AIzaSyVerySecretIndeed");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
    }

    #[test]
    fn masking_keeps_the_ends_of_long_secrets_only() {
        let masked = |text: &str| Secret::from(text).masked();
        assert_eq!(masked("AIzaSyA1234567890abcdefx3Fq"), "AIza…x3Fq");
        assert_eq!(masked("sk-1234567890"), "sk…90");
        assert_eq!(masked("hunter2"), "…");
        assert_eq!(masked("钥匙钥匙钥匙钥匙钥匙钥匙"), "钥匙…钥匙");
    }
}
