//! Takes secrets out of texts that are kept.

use vault::Secret;

/// How Google's keys of both shapes and most client tokens begin.
const BEGINNINGS: [&str; 3] = ["AIza", "AQ.", "sk-"];
/// How many characters after such a beginning make it a secret.
const LEAST: usize = 20;
/// Shorter ones are left: taking them out would tear texts apart and hide nothing.
const SHORTEST_KNOWN: usize = 8;

/// The text without the secrets that are known, and without what looks like one.
pub fn scrub<'a>(text: &str, known: impl IntoIterator<Item = &'a Secret>) -> String {
    let mut text = text.to_owned();
    for secret in known {
        let value = secret.expose().as_str();
        if value.len() >= SHORTEST_KNOWN && text.contains(value) {
            text = text.replace(value, &secret.masked());
        }
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((at, beginning)) = next_beginning(rest) {
        let (before, found) = rest.split_at(at);
        let length = found
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
            .unwrap_or(found.len());
        let (word, after) = found.split_at(length);
        clean.push_str(before);
        if word.len() >= beginning.len() + LEAST {
            clean.push_str(&Secret::from(word).masked());
        } else {
            clean.push_str(word);
        }
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Where the next word begins that may be a secret.
fn next_beginning(text: &str) -> Option<(usize, &'static str)> {
    BEGINNINGS
        .into_iter()
        .filter_map(|beginning| Some((text.find(beginning)?, beginning)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_and_what_looks_like_one_are_masked() {
        let known = [Secret::from("correct horse battery"), Secret::from("短")];
        let text = "短 correct horse battery, key=AIzaSyA1234567890abcdefghijklmnopqrstuv&x, \
                    \"AQ.Ab8RN6KabcdefghIJKLmnop0123456789-_xyz\" sk-0123456789012345678901, \
                    sk-short AIza";
        assert_eq!(
            scrub(text, &known),
            "短 corr…tery, key=AIza…stuv&x, \"AQ.A…_xyz\" sk-0…8901, sk-short AIza"
        );
        assert_eq!(scrub("", &known), "");
    }
}
