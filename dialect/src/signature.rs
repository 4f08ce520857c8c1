//! Thought signatures: how they travel through other vendors' protocols.
//!
//! Gemini 3 wants the signature of a call back with the call, and likes to have those of texts and
//! images back. Clients lose what they do not know, so a signature travels in three ways, of which
//! the first that is left counts:
//!
//! 1. where the protocol has a place for sealed thoughts. Such places may hold other vendors'
//!    as well, which Google refuses together with the whole request; so ours are marked.
//! 2. in the call's id ([`signed_id`]), which every client returns;
//! 3. in the caller's memory ([`Signatures`]), by the call's id; those of texts and images by a
//!    hash of them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::gemini::request::Part;
use crate::style::Style;
use crate::text::Str;

/// What [`crate::SignedParts`] told of earlier answers, as the caller remembers it.
pub trait Signatures {
    /// What was told under this name: the id of a call, most often, and its signature.
    fn named(&self, name: &str) -> Option<String>;
}

/// Nothing is remembered.
impl Signatures for () {
    fn named(&self, _: &str) -> Option<String> {
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
        let found = within.or_else(|| memory.named(&id));
        call.thought_signature = found.map(Cow::Owned);
    }
    function.id = Some(id);
}

/// Gives what the model said the signature that came with it, unless it has one.
pub(crate) fn restore_said(part: &mut Part<'_>, memory: &dyn Signatures) {
    if part.thought_signature.is_some() {
        return;
    }
    if let Some(name) = name_of(part) {
        part.thought_signature = memory.named(&name).map(Cow::Owned);
    }
}

/// What Google's own tools did right before this part.
pub(crate) fn tools_before<'a>(part: &Part<'_>, memory: &dyn Signatures) -> Vec<Part<'a>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        tool_call: Option<Box<RawValue>>,
        tool_response: Option<Box<RawValue>>,
        thought_signature: Option<String>,
    }
    let told = name_of(part).and_then(|name| memory.named(&tools_key(&name)));
    let told: Option<Vec<Told>> = told.and_then(|told| serde_json::from_str(&told).ok());
    let part = |told: Told| Part {
        tool_call: told.tool_call.map(Cow::Owned),
        tool_response: told.tool_response.map(Cow::Owned),
        thought_signature: told.thought_signature.map(Cow::Owned),
        ..Part::default()
    };
    told.into_iter().flatten().map(part).collect()
}

/// Under which name a part's signature is remembered.
fn name_of(part: &Part<'_>) -> Option<String> {
    if let Some(call) = &part.function_call {
        return call.id.as_deref().map(str::to_owned);
    }
    let text = part.text.as_deref().filter(|text| !text.trim().is_empty());
    text.and_then(text_key)
        .or_else(|| part.inline_data.as_ref().map(|blob| data_key(&blob.data)))
}

/// The shortest text that is remembered, in bytes: a shorter one may well have been said in another
/// conversation, whose signature is not this one's.
const TELLING: usize = 64;

/// The name of a text. Clients trim texts. `None` for one that says too little.
pub(crate) fn text_key(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() >= TELLING).then(|| key("text", text))
}

/// The name of media, by their base64.
pub(crate) fn data_key(data: &str) -> String {
    key("data", data)
}

/// The name of what Google's own tools did before what is named so.
pub(crate) fn tools_key(name: &str) -> String {
    format!("tools_{name}")
}

/// How much of something large is hashed at a time: its beginning, middle and end tell it from
/// all others. Every request has the whole history, and images have millions of characters.
const HASHED: usize = 8 * 1024;

fn key(kind: &str, of: &str) -> String {
    let bytes = of.as_bytes();
    let mut hash = Sha256::new();
    hash.update(bytes.len().to_le_bytes());
    match bytes.len() > 4 * HASHED {
        false => hash.update(bytes),
        true => {
            let middle = bytes.len() / 2;
            for from in [0, middle, bytes.len() - HASHED] {
                hash.update(&bytes[from..from + HASHED]);
            }
        }
    }
    let mut key = format!("{kind}_");
    for byte in &hash.finalize()[..16] {
        key.push_str(&format!("{byte:02x}"));
    }
    key
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
