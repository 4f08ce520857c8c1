use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use vault::Secret;

use super::{Declaration, Kind};

/// A value that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The setting, by the name of its variable.
    pub name: &'static str,
    /// What was found; `None` when it must not be shown.
    pub found: Option<String>,
    /// What is wrong with it, and what is accepted.
    pub reason: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(
                f,
                "{}={found} is not acceptable: {}",
                self.name, self.reason
            ),
            None => write!(
                f,
                "{} is not acceptable (its value is not shown): {}",
                self.name, self.reason
            ),
        }
    }
}

impl std::error::Error for SettingError {}

/// A demand on a text, or on each text of a list, beyond its type.
pub(super) type Rule = fn(&str) -> Result<(), String>;

/// A setting and the text found for it.
pub(super) struct Found<'a> {
    declaration: &'a Declaration,
    text: String,
    rules: &'a [Rule],
}

impl<'a> Found<'a> {
    /// An empty value means the default: platforms set empty variables for untouched fields.
    pub(super) fn new(
        declaration: &'a Declaration,
        text: Option<String>,
        rules: &'a [Rule],
    ) -> Self {
        let text = text
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| declaration.default.to_owned());
        Self {
            declaration,
            text,
            rules,
        }
    }

    fn check(&self, text: &str) -> Result<(), SettingError> {
        self.rules
            .iter()
            .try_for_each(|rule| rule(text))
            .map_err(|reason| self.refused(reason))
    }

    fn refused(&self, reason: String) -> SettingError {
        SettingError {
            name: self.declaration.name,
            found: (!self.declaration.secret).then(|| self.text.clone()),
            reason,
        }
    }

    fn wrong_kind(&self) -> SettingError {
        self.refused(format!("expected is {}", self.declaration.kind.accepted()))
    }

    fn integer(&self) -> Result<u32, SettingError> {
        let Kind::Integer(from, to) = self.declaration.kind else {
            return Err(self.wrong_kind());
        };
        match self.text.parse() {
            Ok(number) if (from..=to).contains(&number) => Ok(number),
            _ => Err(self.wrong_kind()),
        }
    }
}

/// A type that a setting can have.
pub(super) trait Value: Sized {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError>;
}

impl Value for Vec<Secret> {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        let mut values: Self = Vec::new();
        for (at, item) in list_items(&found.text).into_iter().enumerate() {
            // Whatever is sent in a header must be visible ASCII (RFC 9110 §5.5).
            if !item.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(found.refused(format!(
                    "number {} of the list has a space or a character that is not ASCII; \
                     expected is {}",
                    at + 1,
                    found.declaration.kind.accepted()
                )));
            }
            found.check(&item)?;
            let secret = Secret::new(item);
            if !values.contains(&secret) {
                values.push(secret);
            }
        }
        Ok(values)
    }
}

impl Value for Option<Secret> {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        found.check(&found.text)?;
        Ok((!found.text.is_empty()).then(|| Secret::new(found.text.clone())))
    }
}

impl Value for String {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        found.check(&found.text)?;
        match found.declaration.kind {
            Kind::Url => {
                let url = reqwest::Url::parse(&found.text).map_err(|_| found.wrong_kind())?;
                let plain = matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none();
                if !plain {
                    return Err(found.wrong_kind());
                }
                Ok(url.as_str().trim_end_matches('/').to_owned())
            }
            Kind::Choice(words) => {
                let word = found.text.to_ascii_lowercase();
                if words.contains(&word.as_str()) {
                    Ok(word)
                } else {
                    Err(found.wrong_kind())
                }
            }
            _ => Ok(found.text.clone()),
        }
    }
}

impl Value for IpAddr {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        // The one name that everybody writes here.
        let text = match found.text.as_str() {
            "localhost" => "127.0.0.1",
            other => other.trim_start_matches('[').trim_end_matches(']'),
        };
        text.parse().map_err(|_| found.wrong_kind())
    }
}

impl Value for u16 {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        Self::try_from(found.integer()?).map_err(|_| found.wrong_kind())
    }
}

impl Value for u32 {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        found.integer()
    }
}

impl Value for Duration {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        Ok(Self::from_secs(found.integer()?.into()))
    }
}

impl Value for PathBuf {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        if found.text.is_empty() {
            return Err(found.wrong_kind());
        }
        Ok(found.text.clone().into())
    }
}

impl Value for TimeZone {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        if found.text.is_empty() {
            return Ok(Self::try_system().unwrap_or(Self::UTC));
        }
        // POSIX allows a colon before the name in TZ.
        Self::get(found.text.trim_start_matches(':')).map_err(|_| found.wrong_kind())
    }
}

/// The items of a list in any of the ways in which people write one: JSON, commas,
/// semicolons, lines; also JSON with a mistake in it, which must not stop a deployment.
fn list_items(text: &str) -> Vec<String> {
    let clean = |items: Vec<String>| -> Vec<String> {
        items
            .iter()
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    };
    if let Ok(items) = serde_json::from_str::<Vec<String>>(text) {
        return clean(items);
    }
    let quotes_and_brackets =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '[' | ']' | '“' | '”' | '‘' | '’');
    clean(
        text.split([',', ';', '\n', '\r', '，', '；', '、'])
            .map(|item| item.trim_matches(quotes_and_brackets).to_owned())
            .collect(),
    )
}

/// The values of example files, which everybody knows: one that was left in place would let
/// anybody in, or be no key at all.
pub(super) fn refuse_placeholder(text: &str) -> Result<(), String> {
    const KNOWN: [&str; 10] = [
        "sk-123456",
        "sk-1234567890",
        "123456",
        "12345678",
        "password",
        "changeme",
        "change-me",
        "admin",
        "sk-xxx",
        "token",
    ];
    let lower = text.to_ascii_lowercase();
    let looks_like_one = lower.starts_with("your_")
        || lower.starts_with("your-")
        || lower.starts_with('<')
        || lower.contains("xxxxxxxx");
    if looks_like_one || KNOWN.contains(&lower.as_str()) {
        return Err(
            "it is still the value of an example, which everybody knows; put your own in its place"
                .to_owned(),
        );
    }
    Ok(())
}
