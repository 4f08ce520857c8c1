//! Thought signatures: how they travel through protocols that have a place of their own for
//! sealed thoughts.
//!
//! Such places may hold other vendors' sealed thoughts as well, which Google refuses together
//! with the whole request; so ours are marked.

use std::borrow::Cow;

use crate::text::Str;

/// What Anthropic's `signature` and OpenAI's `encrypted_content` begin with when a Gemini
/// model made them.
pub const SIGNATURE_MARK: &str = "gemini:";

/// Google's signature, marked as such.
pub(crate) fn marked(signature: &str) -> String {
    format!("{SIGNATURE_MARK}{signature}")
}

/// Google's signature, when a Gemini model made it.
pub(crate) fn unmarked(sealed: Str<'_>) -> Option<Cow<'_, str>> {
    let rest = match sealed.into_cow() {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(SIGNATURE_MARK)?),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix(SIGNATURE_MARK)?.to_owned()),
    };
    is_signature(&rest).then_some(rest)
}

/// Whether this can be one of Google's signatures: base64 in either alphabet. Anything else
/// would be refused with the whole request.
pub(crate) fn is_signature(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(fits)
}
