//! How many input tokens a body has, before Google has counted them.

/// A text has one token in about four characters
/// (<https://ai.google.dev/gemini-api/docs/tokens>).
const BYTES_PER_TOKEN: u64 = 4;
/// What a picture counts (<https://ai.google.dev/gemini-api/docs/tokens>); of inline audio and
/// video only the base64 is known, and what Google counts corrects the estimate afterwards.
const TOKENS_PER_MEDIUM: u64 = 258;
/// A JSON string that is longer than this and has no space at its beginning holds media.
const MEDIUM_BYTES: usize = 2_048;
/// How much of a string is looked at for a space.
const LOOKED_AT: usize = 512;

/// An estimate of the input tokens of a JSON body, without parsing it.
pub fn estimate(body: &[u8]) -> u64 {
    if body.len() < MEDIUM_BYTES {
        return body.len() as u64 / BYTES_PER_TOKEN;
    }
    let mut text = body.len() as u64;
    let mut media = 0;
    let mut from = 0;
    for quote in memchr::memchr_iter(b'"', body) {
        let piece = body.get(from..quote).unwrap_or_default();
        from = quote + 1;
        if piece.len() < MEDIUM_BYTES {
            continue;
        }
        let start = piece.get(..LOOKED_AT).unwrap_or(piece);
        let is_medium = start
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_:;,.".contains(byte));
        if is_medium {
            text -= piece.len() as u64;
            media += 1;
        }
    }
    text / BYTES_PER_TOKEN + media * TOKENS_PER_MEDIUM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_not_counted_by_their_bytes() {
        let text = "word ".repeat(4_000);
        let picture = "iVBORw0KGgo".repeat(50_000);
        let plain = estimate(format!(r#"{{"text":"{text}"}}"#).as_bytes());
        assert!((4_900..5_100).contains(&plain), "{plain}");
        let both = format!(r#"{{"text":"{text}","inlineData":{{"data":"{picture}"}}}}"#);
        let both = estimate(both.as_bytes());
        assert!((plain + 250..plain + 300).contains(&both), "{both}");
        assert_eq!(estimate(b"{}"), 0);
    }
}
