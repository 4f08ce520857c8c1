use http::{HeaderMap, HeaderName, HeaderValue};

/// Where a client sends its id of a request, and finds it in the answer.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of a client's id that are kept: as many as the column holds.
const LONGEST: usize = 64;

/// What one request is called in the answer, the log and the records.
///
/// tower-http's layer for this keeps whatever a client sends. Here an id ends up in logs, in
/// the database and on the panel's pages, so one that is long or holds anything but letters,
/// digits and `-_.:` is replaced.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client gave, else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get(HEADER) {
            Some(given) if is_plain(given.as_bytes()) => Self(given.clone()),
            _ => Self::new(),
        }
    }

    /// 128 random bits in hexadecimal digits.
    pub(crate) fn new() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut random = [0; 16];
        // Without random bytes nothing else works either; ids that are equal harm nobody.
        let _ = getrandom::fill(&mut random);
        let mut text = [b'0'; 32];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(random) {
            *pair = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("unknown")))
    }

    pub(crate) fn as_str(&self) -> &str {
        // Both ways to make one allow only ASCII.
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }
}

fn is_plain(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(given: &[u8]) -> String {
        let given = HeaderValue::from_bytes(given).unwrap();
        let headers = HeaderMap::from_iter([(HEADER, given)]);
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_clients_own_id_is_kept_when_it_is_short_and_plain() {
        let uuid = "7f1d0b1e-9c1c-4f0e-8c53-0d7f8e1f5a11";
        for given in [uuid, "1-67891233-abcdef012345678912345678", "a", "x:y_z.1"] {
            assert_eq!(id_for(given.as_bytes()), given);
        }
        assert_eq!(id_for(&[b'a'; LONGEST]).len(), LONGEST);
    }

    #[test]
    fn any_other_id_is_replaced() {
        let long = [b'a'; LONGEST + 1];
        let odd: [&[u8]; 6] = [
            b"",
            b"two words",
            b"<script>",
            b"a\tb",
            "标识".as_bytes(),
            &long,
        ];
        for given in odd {
            let id = id_for(given);
            assert_eq!(id.len(), 32, "{given:?} became {id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
        assert_ne!(id_for(b""), id_for(b""), "each has its own");
    }
}
