//! Strings that stay in the body they were parsed from, and writing of JSON.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON string, borrowed from the body wherever it has no escapes.
///
/// serde borrows a bare `Cow<str>` field but never one inside an `Option` or a `Vec`;
/// this type borrows everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str<'a>(pub Cow<'a, str>);

impl<'a> Str<'a> {
    /// The string with the longest life it can have.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Appends `value` as JSON.
pub(crate) fn put_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // A Vec takes every write and our types have string keys only, so this cannot fail.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// `json`, which must be valid, to be passed through.
pub(crate) fn raw(json: String) -> Box<RawValue> {
    let raw = RawValue::from_string(json);
    debug_assert!(raw.is_ok(), "{raw:?}");
    raw.unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// `{}`
pub(crate) fn empty_object() -> Box<RawValue> {
    raw("{}".to_owned())
}

/// `value` as JSON of about `size` bytes.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 512);
    put_json(&mut out, value);
    out
}

/// Valid JSON without the whitespace between its tokens.
pub fn compact(json: &str) -> Cow<'_, str> {
    let mut in_string = false;
    let mut escaped = false;
    // Whether the character belongs to a token.
    let mut keep = move |c: char| {
        if in_string {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            in_string = !ends;
            return true;
        }
        in_string = c == '"';
        !matches!(c, ' ' | '\n' | '\r' | '\t')
    };
    let mut scan = keep;
    if json.chars().all(&mut scan) {
        return json.into();
    }
    json.chars().filter(|c| keep(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn compacting_leaves_strings_and_numbers_alone() {
        let cases = [
            ("{}", "{}"),
            (
                "{\n  \"a b\": [1.10, 2],\r\n\t\"c\": \" x \\\" y \"\n}",
                "{\"a b\":[1.10,2],\"c\":\" x \\\" y \"}",
            ),
            (
                "{\"back\": \"\\\\\", \"b\" : 1}",
                "{\"back\":\"\\\\\",\"b\":1}",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(compact(given), expected);
        }
        assert!(matches!(
            compact("{\"a\":\" \"}"),
            std::borrow::Cow::Borrowed(_)
        ));
    }
}
