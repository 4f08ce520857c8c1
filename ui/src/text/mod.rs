//! Everything a person reads, in English and Simplified Chinese.
//!
//! The texts are in `ui/locales/*.toml`, both languages side by side. A text of an enum
//! of the contract is found by the variant's name on the wire, so a new variant needs a
//! text and no code; the tests below fail until it has one.

mod format;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt::Display;

use contract::admin::Texts;
use contract::{ApiError, ErrorCode};
use serde::Serialize;
use yew::AttrValue;

pub use format::{ago, cost, date_time, duration, latency, number, percent, size};
pub use zone::Zone;

/// A language of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

impl Lang {
    /// The BCP 47 code, which is also the name in `ui/locales`.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// The short code that the desktop shell knows.
    pub fn short(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// Its name for its own speakers.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Zh => "中文",
        }
    }

    /// The language to start in: the stored choice, else what the browser prefers.
    pub fn choose(stored: Option<&str>, reported: Option<&str>) -> Self {
        let wanted = stored.or(reported).unwrap_or_default();
        if wanted.to_ascii_lowercase().starts_with("zh") {
            Self::Zh
        } else {
            Self::En
        }
    }

    /// The text named `key`.
    pub fn t(self, key: &str) -> AttrValue {
        AttrValue::from(rust_i18n::t!(key, locale = self.code()).into_owned())
    }

    /// The text named `key` with `%{name}` replaced.
    pub fn f(self, key: &str, values: &[(&str, &dyn Display)]) -> AttrValue {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let texts: Vec<String> = values.iter().map(|(_, value)| value.to_string()).collect();
        rust_i18n::replace_patterns(&self.t(key), &names, &texts).into()
    }

    /// The text named `key.one` or `key.other` with `%{n}` replaced by a count.
    pub fn n(self, key: &str, n: u64) -> AttrValue {
        let form = if n == 1 { "one" } else { "other" };
        self.f(&format!("{key}.{form}"), &[("n", &number(n))])
    }

    /// The text of this language, of a text that came in both.
    pub fn pick(self, texts: &Texts) -> AttrValue {
        match self {
            Self::En => texts.en.clone().into(),
            Self::Zh => texts.zh.clone().into(),
        }
    }

    /// The text of one variant of an enum of the contract, e.g. `keys.reject.suspended`.
    pub fn of(self, table: &str, variant: &impl Serialize) -> AttrValue {
        self.t(&format!("{table}.{}", wire_name(variant)))
    }

    /// What went wrong, in a few words.
    pub fn error_title(self, code: ErrorCode) -> AttrValue {
        self.t(&format!("error.{}.title", wire_name(&code)))
    }

    /// What to do about it.
    pub fn error_hint(self, error: &ApiError) -> AttrValue {
        let key = format!("error.{}.hint", wire_name(&error.code));
        let seconds = error.retry_after_seconds.unwrap_or(60);
        let wait = i64::try_from(seconds).unwrap_or(60).saturating_mul(1000);
        self.f(&key, &[("wait", &duration(self, wait))])
    }
}

/// The names of the tags by which the contract's enums with fields tell their variant.
const TAGS: [&str; 4] = ["state", "from", "kind", "engine"];

/// The name of a variant on the wire, e.g. `wrong_password`; of an enum with fields,
/// the name in its tag.
pub fn wire_name(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(fields)) => TAGS
            .iter()
            .find_map(|tag| fields.get(*tag))
            .and_then(|name| name.as_str())
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}
