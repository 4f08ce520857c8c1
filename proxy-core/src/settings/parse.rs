use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use contract::admin::Texts;
use dialect::ModelMap;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::tz::TimeZone;
use vault::Secret;

use super::{Declaration, Kind, Text};
use crate::egress::Proxies;
use crate::pool::Caps;

/// A value that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The setting, by the name of its variable.
    pub name: &'static str,
    /// What was found; `None` when it must not be shown.
    pub found: Option<String>,
    /// What is wrong with it, and what is accepted.
    pub reason: Texts,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(
                f,
                "{}={found} is not acceptable: {}",
                self.name, self.reason.en
            ),
            None => write!(
                f,
                "{} is not acceptable (its value is not shown): {}",
                self.name, self.reason.en
            ),
        }
    }
}

impl std::error::Error for SettingError {}

/// A demand on a text, or on each text of a list, beyond its type.
pub(super) type Rule = fn(&str) -> Result<(), Text>;

/// A setting and the text found for it.
pub(super) struct Found<'a> {
    declaration: &'a Declaration,
    text: String,
    is_given: bool,
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
            .filter(|text| !text.is_empty());
        Self {
            declaration,
            is_given: text.is_some(),
            text: text.unwrap_or_else(|| declaration.default.to_owned()),
            rules,
        }
    }

    /// The text, unless it is the default because nobody set any.
    pub(super) fn given(&self) -> Option<&str> {
        self.is_given.then_some(self.text.as_str())
    }

    fn check(&self, text: &str) -> Result<(), SettingError> {
        self.rules
            .iter()
            .try_for_each(|rule| rule(text))
            .map_err(|reason| self.refused(reason))
    }

    fn refused(&self, reason: impl Into<Texts>) -> SettingError {
        SettingError {
            name: self.declaration.name,
            found: (!self.declaration.secret).then(|| self.text.clone()),
            reason: reason.into(),
        }
    }

    fn wrong_kind(&self) -> SettingError {
        let accepted = self.declaration.kind.accepted();
        self.refused(Texts::new(
            format!("请填写{}", accepted.zh),
            format!("expected is {}", accepted.en),
        ))
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
                let (number, accepted) = (at + 1, found.declaration.kind.accepted());
                return Err(found.refused(Texts::new(
                    format!(
                        "列表第 {number} 项含有空格或非 ASCII 字符；请填写{}",
                        accepted.zh
                    ),
                    format!(
                        "number {number} of the list has a space or a character that is not \
                         ASCII; expected is {}",
                        accepted.en
                    ),
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

impl Value for Vec<String> {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        let mut values = Self::new();
        for item in list_items(&found.text) {
            found.check(&item)?;
            if !values.contains(&item) {
                values.push(item);
            }
        }
        Ok(values)
    }
}

impl Value for bool {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        // The words that the original program takes, too.
        match found.text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(found.wrong_kind()),
        }
    }
}

/// Headers that are added to what goes to Google. Some gateways want a credential in one,
/// so `Debug` shows names only.
#[derive(Clone, Default)]
pub struct CustomHeaders(HeaderMap);

impl CustomHeaders {
    /// The headers; each is there once.
    pub fn headers(&self) -> &HeaderMap {
        &self.0
    }

    /// What must not be shown: the values, and of `Bearer …` and the like the credential alone,
    /// too. The whole comes before its part.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let values = self.0.values().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| {
                let part = value.split_whitespace().last();
                [Some(value), part.filter(|part| *part != value)]
            })
            .flatten()
            .map(Secret::from)
            .collect()
    }
}

impl fmt::Debug for CustomHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Value for CustomHeaders {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        /// Those that belong to the connection, and the one that carries the Gemini key.
        const OURS: [HeaderName; 10] = [
            header::HOST,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::TRANSFER_ENCODING,
            header::ACCEPT_ENCODING,
            header::TE,
            header::UPGRADE,
            HeaderName::from_static("x-goog-api-key"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in map_items(&found.text).ok_or_else(|| found.wrong_kind())? {
            let refused = |zh: &str, en: &str| {
                found.refused(Texts::new(
                    format!("请求头 {name:?} {zh}"),
                    format!("the header {name:?} {en}"),
                ))
            };
            let parsed: HeaderName = name.parse().map_err(|_| {
                refused(
                    "不是有效的名称：只能用字母、数字和连字符",
                    "is not the name of a header: letters, digits and hyphens",
                )
            })?;
            if OURS.contains(&parsed) {
                return Err(refused(
                    "由 Gemini Balance 自己设置，请删去",
                    "is set by Gemini Balance itself; leave it out",
                ));
            }
            let mut value = HeaderValue::from_str(&value).map_err(|_| {
                refused(
                    "的值含有请求头不允许的字符",
                    "has a value with characters that a header cannot hold",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(parsed, value);
        }
        Ok(Self(headers))
    }
}

impl Value for Proxies {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        Self::of(&list_items(&found.text)).map_err(|(number, why)| {
            found.refused(Texts::new(
                format!(
                    "列表第 {number} 项{}；请填写 http://127.0.0.1:7890 或 \
                     socks5://user:password@host:1080 这样的地址，或者 direct",
                    why.zh
                ),
                format!(
                    "number {number} of the list {}; expected are addresses like \
                     http://127.0.0.1:7890 or socks5://user:password@host:1080, or direct",
                    why.en
                ),
            ))
        })
    }
}

impl Value for ModelMap {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        let rows = map_items(&found.text).ok_or_else(|| found.wrong_kind())?;
        for (pattern, model) in &rows {
            let refused = |zh: &str, en: &str| {
                found.refused(Texts::new(
                    format!("{pattern:?} 这一行{zh}"),
                    format!("the row {pattern:?} {en}"),
                ))
            };
            if pattern.is_empty() {
                return Err(refused(
                    "没有名称：请写客户端发送的模型名，可以含 *",
                    "has no name: write the name that clients send, or * in it",
                ));
            }
            // With a name that stays a name: `-search` alone is none.
            let named = Self::new([]).read(model);
            if model.is_empty() || model.contains('*') || named.is_err() {
                return Err(refused(
                    "没有指向 Gemini 模型名，例如 gemini-3.8-flash",
                    "does not lead to the name of a Gemini model, e.g. gemini-3.8-flash",
                ));
            }
        }
        Ok(Self::new(rows))
    }
}

/// Limits by model, the more exact names first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelLimits(pub Vec<(String, Caps)>);

impl Value for ModelLimits {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        let mut limits = Vec::new();
        for (model, text) in map_items(&found.text).ok_or_else(|| found.wrong_kind())? {
            let parts: Option<Vec<Option<u64>>> = text
                .split('/')
                .map(|part| match part.trim() {
                    "-" | "" => Some(None),
                    number => number.parse().ok().map(Some),
                })
                .collect();
            let Some([rpm, tpm, rpd]) = parts.as_deref() else {
                return Err(found.refused(Texts::new(
                    format!(
                        "{model:?} 的限额不是 10/250000/20 这样的三个数字（或 -）：每分钟请求数、\
                         每分钟 Token 数、每日请求数"
                    ),
                    format!(
                        "the limits of {model:?} are not three numbers (or -) like 10/250000/20: \
                         requests a minute, tokens a minute, requests a day"
                    ),
                )));
            };
            let caps = Caps {
                rpm: *rpm,
                tpm: *tpm,
                rpd: *rpd,
            };
            limits.push((model.trim_start_matches("models/").to_owned(), caps));
        }
        // A name before a pattern, a longer pattern before a shorter one.
        limits.sort_by_key(|(model, _)| (model.ends_with('*'), std::cmp::Reverse(model.len())));
        Ok(Self(limits))
    }
}

/// Which models stand in for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFallbacks(BTreeMap<String, Vec<String>>);

impl ModelFallbacks {
    /// Those that stand in for `model`, the best first.
    pub fn of(&self, model: &str) -> &[String] {
        self.0.get(model).map_or(&[], Vec::as_slice)
    }
}

impl Value for ModelFallbacks {
    fn parse(found: &Found<'_>) -> Result<Self, SettingError> {
        let plain = |name: &str| name.trim().trim_start_matches("models/").to_owned();
        let mut chains = BTreeMap::new();
        for (model, text) in map_items(&found.text).ok_or_else(|| found.wrong_kind())? {
            let chain: Vec<String> = text.split(',').map(plain).collect();
            for name in chain.iter().chain([&model]) {
                model_name(name).map_err(|reason| found.refused(reason))?;
            }
            chains.insert(plain(&model), chain);
        }
        Ok(Self(chains))
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
                // MySQL's own tools write VERIFY-CA or VERIFY_CA.
                let word = found.text.to_ascii_lowercase().replace('-', "_");
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

/// The pairs of a JSON object of plain values; also one in single quotes, as Python prints
/// it.
fn map_items(text: &str) -> Option<BTreeMap<String, String>> {
    if text.is_empty() {
        return Some(BTreeMap::new());
    }
    let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&text.replace('\'', "\"")))
        .ok()?;
    object
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                plain @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                    plain.to_string()
                }
                _ => return None,
            };
            Some((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// The items of a list in any of the ways in which people write one: JSON, commas,
/// semicolons, lines; also JSON with a mistake in it, which must not stop a deployment.
pub(crate) fn list_items(text: &str) -> Vec<String> {
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
pub(crate) fn refuse_placeholder(text: &str) -> Result<(), Text> {
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
        return Err(Text {
            zh: "这仍是示例中的值，人人都知道；请换成您自己的",
            en: "it is still the value of an example, which everybody knows; put your own in its \
                 place",
        });
    }
    Ok(())
}

/// The name of a model, as lists show it.
pub(super) fn model_name(text: &str) -> Result<(), Text> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
    if text.chars().all(fits) {
        return Ok(());
    }
    Err(Text {
        zh: "请填写模型名，例如 gemini-2.5-flash",
        en: "expected is the name of a model, e.g. gemini-2.5-flash",
    })
}
