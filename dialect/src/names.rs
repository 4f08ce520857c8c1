//! Names of functions that Google takes, and the way back.
//!
//! Google wants a letter or `_` first, then letters, digits and `_.:-`, at most 64 in all.
//! OpenAI also takes a digit first, Anthropic up to 128 characters, and MCP servers call
//! their tools anything. A name that does not fit is changed the same way everywhere
//! (declarations, choice, history) and changed back in the answer.

use std::borrow::Cow;

use crate::gemini::request::FunctionDeclaration;

const MOST: usize = 64;

/// Declared names that had to be changed: Google's, then the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renamed(Vec<(String, String)>);

impl Renamed {
    /// The client's name for Google's.
    pub fn back<'a>(&'a self, name: &'a str) -> &'a str {
        self.0
            .iter()
            .find(|(google, _)| google == name)
            .map_or(name, |(_, client)| client)
    }

    /// Makes the names of `declarations` legal and keeps the first of each name: Google
    /// refuses the whole request over a duplicate.
    pub fn declare(&mut self, declarations: &mut Vec<FunctionDeclaration<'_>>) {
        for declaration in declarations.iter_mut() {
            if let Cow::Owned(changed) = legal(&declaration.name) {
                let client = std::mem::replace(&mut declaration.name, changed.clone().into());
                self.0.push((changed, client.into_owned()));
            }
        }
        let mut at = 0;
        while at < declarations.len() {
            let (before, rest) = declarations.split_at(at);
            if before.iter().any(|other| other.name == rest[0].name) {
                declarations.remove(at);
            } else {
                at += 1;
            }
        }
    }
}

/// `name` if Google takes it, else a name like it that Google takes. Different names stay
/// different, because a changed name ends in its hash.
pub(crate) fn legal(name: &str) -> Cow<'_, str> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let any = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    if name.len() <= MOST && name.starts_with(first) && name.chars().all(any) {
        return name.into();
    }
    let mut changed = String::with_capacity(MOST);
    if !name.starts_with(first) {
        changed.push('_');
    }
    let legal = name.chars().map(|c| if any(c) { c } else { '_' });
    changed.extend(legal);
    // Only ASCII is left, so any place is a boundary.
    changed.truncate(MOST - 9);
    changed.push_str(&format!("_{:08x}", hash(name)));
    changed.into()
}

/// As [`legal`], for a name that is handed on.
pub(crate) fn into_legal(name: Cow<'_, str>) -> Cow<'_, str> {
    match legal(&name) {
        Cow::Borrowed(_) => name,
        Cow::Owned(changed) => changed.into(),
    }
}

/// FNV-1a with 32 bits: must be the same in every version and on every machine, because
/// histories outlive both.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::legal;

    #[test]
    fn names_become_legal_and_stay_apart() {
        for same in ["f", "_x", "get-weather", "a.b:c_1", &"x".repeat(64)] {
            assert_eq!(legal(same), same);
        }
        for (given, expected) in [
            ("21st-magic", "_21st-magic_f5b43a5a"),
            ("mcp/tool name", "mcp_tool_name_"),
            ("天气", "___"),
            ("", "__811c9dc5"),
        ] {
            let changed = legal(given);
            assert!(
                changed.starts_with(&expected[..expected.len().min(10)]),
                "{changed}"
            );
            assert!(changed.len() <= 64);
            assert_eq!(legal(&changed), changed, "a legal name stays");
        }
        let long = |end: &str| format!("{}{end}", "a".repeat(70));
        assert_ne!(legal(&long("1")), legal(&long("2")));
        assert_eq!(legal(&long("1")).len(), 64);
        assert_ne!(legal("天"), legal("气"));
    }
}
