//! What clients are told when there is no answer to show. It stands where the model's words would
//! stand, because few clients show anything else; and it is known again when a client sends it
//! back, so that the model never reads it as what it said.

use crate::gemini::FinishReason;

/// How explanations begin.
const REFUSED: &str = "Google refused this prompt";
const FILTERED: &str = "Google's filters ended the answer";
const ENDED: &str = "Gemini ended the answer";
const INCOMPLETE: &str = "Gemini ended the answer without completing it";

/// Why there is no answer, when the prompt was refused.
pub(crate) fn refused(reason: &str, message: Option<&str>) -> String {
    explained(REFUSED, reason, message)
}

/// Why there is nothing more; `native` is Google's `finishReason`, and none of those that end an
/// answer as it should.
pub(crate) fn ended(native: &str, message: Option<&str>, called: bool) -> String {
    let what = match called {
        _ if FinishReason::of(native).is_filter() => FILTERED,
        true => ENDED,
        false => INCOMPLETE,
    };
    explained(what, native, message)
}

fn explained(what: &str, reason: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{what} ({reason}): {message}"),
        None => format!("{what} ({reason})."),
    }
}

/// Whether this is one of them.
pub(crate) fn is_explanation(text: &str) -> bool {
    let begins = |what: &str| {
        let rest = text.trim().strip_prefix(what);
        // Google's reasons are in capitals.
        let reason = rest.and_then(|rest| rest.strip_prefix(" ("));
        let (reason, after) = reason
            .and_then(|rest| rest.split_once(')'))
            .unwrap_or_default();
        let is_reason = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        !reason.is_empty()
            && reason.bytes().all(is_reason)
            && (after == "." || after.starts_with(": "))
    };
    [REFUSED, FILTERED, ENDED, INCOMPLETE]
        .into_iter()
        .any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_known_again_and_nothing_else_is() {
        for text in [
            refused("PROHIBITED_CONTENT", None),
            refused("OTHER", Some("No.")),
            ended("SAFETY", None, false),
            ended("SOMETHING_NEW", Some("It (really) ended"), false),
            ended("MALFORMED_FUNCTION_CALL", None, true),
        ] {
            assert!(is_explanation(&text), "{text}");
            assert!(is_explanation(&format!("{text}\n")), "{text}");
        }
        for text in [
            "",
            "Google refused this prompt",
            "Google refused this prompt (why?).",
            "Gemini ended the answer (SAFETY) and I say more",
            "I said: Google refused this prompt (OTHER).",
        ] {
            assert!(!is_explanation(text), "{text}");
        }
    }
}
