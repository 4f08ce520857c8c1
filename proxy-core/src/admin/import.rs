//! Finding keys in whatever was pasted.
//!
//! Lines, commas, JSON of any depth, CSV, `.env` files, Markdown, URLs with `?key=`, full-width
//! punctuation: text is cut into pieces, and each piece is judged for itself. No prefix makes
//! a key and none that is unknown unmakes one, because Google has changed the shape before
//! (`AIza…`, then `AQ.…`); what is refused is what certainly is something else.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use contract::admin::{KeyRules, NotAKey, RejectedPiece};
use serde_json::Value;
use vault::Secret;

use crate::store::FoundKey;

/// No key is shorter, in characters.
const SHORTEST: usize = 20;
/// No key is longer, in characters.
const LONGEST: usize = 200;
/// The longest label, in characters.
pub(super) const LABEL_CHARS: usize = 100;

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Different keys, in the order found.
    pub(super) found: Vec<FoundKey>,
    /// Keys that came again.
    pub(super) repeated: Vec<Secret>,
    /// Pieces that look like an attempt at a key.
    pub(super) rejected: Vec<RejectedPiece>,
}

/// What one piece of text is.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Key,
    Rejected(NotAKey),
    /// A word, a number, a name: nothing to do with keys.
    Other,
}

/// Finds the keys in `text`.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parser = Parser::default();
    match serde_json::from_str::<Value>(text.trim()) {
        Ok(json @ (Value::Array(_) | Value::Object(_))) => parser.json(&json, "", text),
        _ => parser.text(text),
    }
    parser.parsed
}

#[derive(Default)]
struct Parser {
    parsed: Parsed,
    seen: HashSet<String>,
}

impl Parser {
    fn key(&mut self, key: &str, label: String) {
        if self.seen.insert(key.to_owned()) {
            self.parsed.found.push(FoundKey {
                secret: key.into(),
                label,
                rules: KeyRules::default(),
            });
        } else {
            self.parsed.repeated.push(key.into());
        }
    }

    fn reject(&mut self, line: usize, piece: &str, reason: NotAKey) {
        self.parsed.rejected.push(RejectedPiece {
            line: line.try_into().unwrap_or(u32::MAX),
            masked: Secret::from(piece).masked(),
            reason,
        });
    }

    /// Walks through JSON. `name` is the label that the place suggests.
    fn json(&mut self, json: &Value, name: &str, source: &str) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.json(item, name, source)),
            Value::Object(members) => {
                let own = members
                    .iter()
                    .find(|(member, _)| is_label_header(member))
                    .and_then(|(_, value)| value.as_str());
                for (member, value) in members {
                    if is_label_header(member) {
                        continue;
                    }
                    let name = own.unwrap_or_else(|| match label_of(member).is_empty() {
                        true => name,
                        false => member,
                    });
                    self.json(value, name, source);
                }
            }
            Value::String(text) => {
                // The place of the value in what was pasted, as far as it can be told.
                let before = source.find(text.as_str()).unwrap_or(0);
                let line = 1 + source[..before].matches('\n').count();
                let label = label_of(name);
                for (at, piece) in pieces(text).into_iter().enumerate() {
                    let alone = at == 0 && piece.len() == text.trim().len();
                    match judge(piece, alone) {
                        Piece::Key => self.key(piece, label.clone()),
                        Piece::Rejected(reason) => self.reject(line, piece, reason),
                        Piece::Other => {}
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        let text = to_ascii_punctuation(text);
        let mut header: Option<Header> = None;
        for (at, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            // What somebody commented out is not wanted.
            if trimmed.is_empty() || trimmed.starts_with('#') || trimmed.starts_with("//") {
                continue;
            }
            let judged: Vec<(&str, Piece)> = pieces(line)
                .into_iter()
                .map(|piece| {
                    let bare = trimmed.trim_matches(|c| ",;\"'`".contains(c));
                    (piece, judge(piece, piece == bare))
                })
                .collect();
            let keys: Vec<&str> = judged
                .iter()
                .filter(|(_, verdict)| *verdict == Piece::Key)
                .map(|(piece, _)| *piece)
                .collect();
            if keys.is_empty() && header.is_none() {
                header = Header::of(line);
            }
            let label = match keys.as_slice() {
                [key] => match header.as_ref().and_then(|header| header.label(line)) {
                    Some(label) => label,
                    None => label_beside(line, key),
                },
                _ => String::new(),
            };
            for (piece, verdict) in judged {
                match verdict {
                    Piece::Key => self.key(piece, label.clone()),
                    Piece::Rejected(reason) => self.reject(at + 1, piece, reason),
                    Piece::Other => {}
                }
            }
        }
    }
}

/// The first line of a CSV: which column is the label.
struct Header {
    separator: char,
    label: Option<usize>,
}

impl Header {
    fn of(line: &str) -> Option<Self> {
        let separator = ['\t', ',', ';', '|']
            .into_iter()
            .find(|c| line.contains(*c))?;
        let names: Vec<&str> = cells(line, separator).collect();
        let column = |is: fn(&str) -> bool| names.iter().position(|name| is(name));
        column(is_key_header)?;
        Some(Self {
            separator,
            label: column(is_label_header),
        })
    }

    fn label(&self, line: &str) -> Option<String> {
        cells(line, self.separator).nth(self.label?).map(label_of)
    }
}

fn cells(line: &str, separator: char) -> impl Iterator<Item = &str> {
    line.split(separator)
        .map(|cell| cell.trim_matches(is_quote_or_space))
}

fn is_quote_or_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`')
}

fn is_key_header(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    let name = name.replace([' ', '-'], "_");
    matches!(
        name.as_str(),
        "key"
            | "keys"
            | "api_key"
            | "apikey"
            | "api_keys"
            | "gemini_key"
            | "gemini_api_key"
            | "secret"
            | "token"
            | "value"
            | "密钥"
            | "密匙"
            | "令牌"
    )
}

fn is_label_header(name: &str) -> bool {
    matches!(
        name.trim().to_lowercase().as_str(),
        "label"
            | "name"
            | "note"
            | "notes"
            | "remark"
            | "comment"
            | "title"
            | "account"
            | "email"
            | "名称"
            | "备注"
            | "标签"
            | "账号"
            | "帐号"
            | "邮箱"
    )
}

/// The label that stands beside the only key of a line: `work: AIza…`, `AIza…, work`,
/// `AIza… # work`.
fn label_beside(line: &str, key: &str) -> String {
    let Some((before, after)) = line.split_once(key) else {
        return String::new();
    };
    let strong = |c: char| matches!(c, ',' | ';' | '|' | '\t');
    // A name and a separator directly before it.
    let own = before.trim_end_matches(is_quote_or_space);
    if let Some(name) = own.strip_suffix([':', '=']) {
        let name = name.rsplit(strong).next().unwrap_or(name);
        let label = label_of(name);
        if !label.is_empty() && !name.contains("://") && !name.contains('?') {
            return label;
        }
    }
    // Another column. Dumps of accounts (`mail----password----key`) hold secrets in others
    // than the first.
    let columns: Vec<&str> = line
        .split(strong)
        .flat_map(|cell| cell.split("----"))
        .collect();
    if (2..=6).contains(&columns.len())
        && let Some(label) = columns
            .iter()
            .filter(|column| !column.contains(key))
            .map(|column| label_of(column.trim_matches(is_quote_or_space)))
            .find(|label| !label.is_empty())
    {
        return label;
    }
    // A comment, or a single word that is all there is besides the key.
    let after = after.trim_start_matches(is_quote_or_space);
    if let Some(comment) = after.strip_prefix('#').or_else(|| after.strip_prefix("//")) {
        return label_of(comment);
    }
    match (before.trim(), after.trim()) {
        (word, "") | ("", word) if !word.contains(char::is_whitespace) => label_of(word),
        _ => String::new(),
    }
}

/// A label from a piece of text; empty when that is no name: a number, a bullet, the name of
/// a variable, an address.
fn label_of(text: &str) -> String {
    let text = text.trim_matches(|c: char| {
        is_quote_or_space(c)
            || matches!(c, '[' | ']' | '{' | '}' | '(' | ')' | '*' | '-' | ':' | '=')
    });
    let text = text.strip_prefix("export ").unwrap_or(text);
    let names_a_variable = {
        let lower = text.to_lowercase().replace([' ', '-'], "_");
        is_key_header(text)
            || (!lower.contains(char::is_whitespace)
                && (lower.ends_with("_key") || lower.ends_with("_keys")))
    };
    let is_number = text
        .chars()
        .all(|c| c.is_ascii_digit() || c.is_ascii_punctuation() || c.is_whitespace());
    if is_number || names_a_variable || text.contains("://") || text.contains(char::is_control) {
        return String::new();
    }
    // What could be a secret of any kind must not become a label, which is shown.
    if pieces(text)
        .iter()
        .any(|piece| judge(piece, true) != Piece::Other)
    {
        return String::new();
    }
    text.chars().take(LABEL_CHARS).collect()
}

/// Full-width punctuation as its ASCII counterpart; everything else stays.
fn to_ascii_punctuation(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '“' | '”' | '＂' | '「' | '」' | '『' | '』' => '"',
            '‘' | '’' | '＇' => '\'',
            '、' => ',',
            '。' => ' ',
            '【' => '[',
            '】' => ']',
            '\u{3000}' | '\u{a0}' | '\u{200b}' | '\u{feff}' => ' ',
            // The block of full-width ASCII (Unicode, Halfwidth and Fullwidth Forms).
            '！'..='～' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            c => c,
        })
        .collect()
}

/// The pieces of a text that could be keys: cut at white space, punctuation that no key has,
/// and letters of other scripts.
fn pieces(text: &str) -> Vec<&str> {
    let separates = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                ',' | ';' | ':' | '=' | '"' | '\'' | '`' | '[' | ']' | '{' | '}' | '(' | ')' | '<'
                    | '>' | '|' | '?' | '&' | '#' | '/' | '\\'
            )
            // What masks a key stays in it, so that the piece is refused and not cut up.
            || (!c.is_ascii() && !matches!(c, '…' | '•' | '·' | '●'))
    };
    text.split(separates)
        .flat_map(|piece| piece.split("----"))
        .map(|piece| {
            piece
                .trim_end_matches(['.', '!', '*', '~'])
                .trim_start_matches(['*', '~', '.'])
        })
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Judges one piece; `alone` says that nothing else stands in its line.
fn judge(piece: &str, alone: bool) -> Piece {
    /// Beginnings of other vendors' keys, and of Google's that are no API keys.
    const OTHERS: [&str; 18] = [
        "sk-",
        "sk_",
        "gsk_",
        "xai-",
        "hf_",
        "ghp_",
        "gho_",
        "github_pat_",
        "glpat-",
        "AKIA",
        "pplx-",
        "r8_",
        "nvapi-",
        "xoxb-",
        "tgp_",
        "fw_",
        "GOCSPX-",
        "jina_",
    ];
    let length = piece.chars().count();
    let gemini = piece.starts_with("AIza") || piece.starts_with("AQ.");
    let plain = piece
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let has = |is: fn(&u8) -> bool| piece.as_bytes().iter().any(is);
    let digit = has(u8::is_ascii_digit);
    let mixed = digit && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let jwt = piece.starts_with("eyJ") && length >= SHORTEST && mixed;
    if piece.starts_with("ya29.") || jwt {
        return Piece::Rejected(NotAKey::ShortLivedToken);
    }
    if OTHERS.iter().any(|prefix| piece.starts_with(prefix)) && length >= 12 && digit {
        return Piece::Rejected(NotAKey::OtherVendor);
    }
    if !plain || piece.contains("..") {
        let attempt = gemini || (length >= SHORTEST && mixed && !piece.contains('@'));
        return if attempt {
            Piece::Rejected(NotAKey::BadCharacters)
        } else {
            Piece::Other
        };
    }
    // A file or host name has its dots elsewhere than `AQ.…`; a model's name is lower case.
    let random = gemini || mixed || (alone && digit && !is_known_name(piece));
    match length {
        _ if !random => Piece::Other,
        ..SHORTEST if gemini || (alone && mixed && length >= 12) => {
            Piece::Rejected(NotAKey::TooShort)
        }
        ..SHORTEST => Piece::Other,
        SHORTEST..=LONGEST => Piece::Key,
        _ => Piece::Rejected(NotAKey::TooLong),
    }
}

/// Names with digits that may stand alone in a line: models, numbers of projects, hosts.
fn is_known_name(piece: &str) -> bool {
    let is_uuid = piece.len() == 36
        && piece.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    is_uuid
        || ["gemini-", "gemma-", "models-", "gen-lang-client-"]
            .iter()
            .any(|prefix| piece.starts_with(prefix))
        || piece.bytes().all(|byte| !byte.is_ascii_alphabetic())
        || [
            ".com", ".net", ".org", ".dev", ".app", ".json", ".txt", ".csv",
        ]
        .iter()
        .any(|suffix| piece.ends_with(suffix))
}
