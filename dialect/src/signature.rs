//! Thought signatures: how they travel through other vendors' protocols.
//!
//! Gemini 3 wants the signature of a call back with the call. Clients lose what they do not know,
//! so it travels in three ways, of which the first that is left counts:
//!
//! 1. where the protocol has a place for sealed thoughts. Such places may hold other vendors'
//!    as well, which Google refuses together with the whole request; so ours are marked.
//! 2. in the call's id ([`signed_id`]), which every client returns;
//! 3. in the caller's memory ([`Signatures`]), by the call's id.

use std::borrow::Cow;

use crate::gemini::request::Part;
use crate::style::Style;
use crate::text::Str;

/// Signatures of calls, as the caller remembers them.
pub trait Signatures {
    /// The signature that came with the call of this id.
    fn of_call(&self, id: &str) -> Option<String>;
}

/// Nothing is remembered.
impl Signatures for () {
    fn of_call(&self, _: &str) -> Option<String> {
        None
    }
}

/// What stands between a call's id and its signature inside the id that a client gets. Ids have
/// letters, digits, `_` and `-` only in every protocol.
const IN_ID: &str = "__sig_";

/// The longest signature that goes into an id, in bytes. Clients keep ids in places that are
/// made for short ones; a longer signature travels in the other ways.
const LONGEST_IN_ID: usize = 2_048;

/// An id that holds the signature, too; `None` where it cannot be put into one.
pub(crate) fn signed_id(id: &str, signature: &str) -> Option<String> {
    let bare = signature.trim_end_matches('=');
    let is_standard = bare
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    if bare.is_empty() || !is_standard || bare.len() > LONGEST_IN_ID || id.contains(IN_ID) {
        return None;
    }
    let url_safe = bare.replace('+', "-").replace('/', "_");
    Some(format!("{id}{IN_ID}{url_safe}"))
}

/// A call's id as the client gets it.
pub(crate) fn shown_id(id: String, signature: Option<&str>, style: Style) -> String {
    let signature = signature.filter(|_| style.signed_ids);
    signature
        .and_then(|signature| signed_id(&id, signature))
        .unwrap_or(id)
}

/// The id without the signature that it holds, and that signature.
pub(crate) fn split_id(id: Cow<'_, str>) -> (Cow<'_, str>, Option<String>) {
    let Some(at) = id.find(IN_ID) else {
        return (id, None);
    };
    let mut signature = id[at + IN_ID.len()..].replace('-', "+").replace('_', "/");
    // Base64 comes in groups of four.
    while !signature.len().is_multiple_of(4) {
        signature.push('=');
    }
    let bare = match id {
        Cow::Borrowed(id) => Cow::Borrowed(&id[..at]),
        Cow::Owned(mut id) => {
            id.truncate(at);
            Cow::Owned(id)
        }
    };
    (bare, is_signature(&signature).then_some(signature))
}

/// Gives a call its own id and the signature that is left of it.
pub(crate) fn restore(call: &mut Part<'_>, memory: &dyn Signatures) {
    let Some(function) = &mut call.function_call else {
        return;
    };
    let Some(id) = function.id.take() else { return };
    let (id, within) = split_id(id);
    if call.thought_signature.is_none() {
        let found = within.or_else(|| memory.of_call(&id));
        call.thought_signature = found.map(Cow::Owned);
    }
    function.id = Some(id);
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_goes_into_an_id_and_comes_out_of_it() {
        for signature in ["AbC+/12=", "abcd", "x+x/", "AA=="] {
            let signed = signed_id("call_1", signature).unwrap();
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            assert!(signed.bytes().all(fits), "{signed}");
            let (id, found) = split_id(signed.into());
            assert_eq!((&*id, found.as_deref()), ("call_1", Some(signature)));
        }
        assert_eq!(split_id("call_1".into()), ("call_1".into(), None));
        assert_eq!(signed_id("call_1", "has-dash"), None, "another alphabet");
        assert_eq!(signed_id("call_1", &"A".repeat(4_096)), None, "too long");
        let twice = signed_id("call_1", "abcd").unwrap();
        assert_eq!(signed_id(&twice, "abcd"), None);
    }
}
