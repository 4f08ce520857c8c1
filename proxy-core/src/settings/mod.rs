//! Every setting, declared once.
//!
//! [`DECLARATIONS`] (in `table.rs`) is the one place that knows a setting's name, type,
//! range and texts. Parsing and validation follow from it here; the command line builds its
//! flags from it, and the panel its page.
//!
//! Deliberately absent: reading the environment. [`Settings::load`] is given a function that
//! answers for a name, so flags, environment and tests all come the same way.

mod database;
mod live;
pub mod original;
mod parse;
mod resolve;
mod table;
#[cfg(test)]
mod tests;

use contract::admin::{Applies, SettingGroup, SettingKind, Texts};

pub(crate) use live::Live;
pub use live::OnSettings;
pub use parse::{CustomHeaders, SettingError};
pub(crate) use parse::{list_items, refuse_placeholder};
pub(crate) use resolve::declaration;
pub use table::{DECLARATIONS, Settings};

/// One setting, as declared.
#[derive(Debug)]
pub struct Declaration {
    /// The name of its environment variable, e.g. `PORT`.
    pub name: &'static str,
    /// Its flag on the command line, without the dashes, e.g. `port`.
    pub flag: &'static str,
    /// Where it is shown.
    pub group: SettingGroup,
    /// What it holds.
    pub kind: Kind,
    /// The value when it is not set, written as in the environment; empty means none.
    pub default: &'static str,
    /// When a change takes effect.
    pub applies: Applies,
    /// It is needed before the database is open, so only the environment or a flag sets it.
    pub environment_only: bool,
    /// Its value must not be shown.
    pub secret: bool,
    /// A short name for people.
    pub title: Text,
    /// What it does, in one or two sentences.
    pub help: Text,
}

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Several texts: a JSON list, or separated by commas, semicolons or lines.
    List,
    /// A whole number from the first to the second, both included.
    Integer(u32, u32),
    /// An `http` or `https` address.
    Url,
    /// The IP address of one of this machine's interfaces.
    Ip,
    /// `true` or `false`.
    Boolean,
    /// A folder.
    Folder,
    /// A file, or its content.
    File,
    /// A JSON object of names and texts.
    Map,
    /// The IANA name of a time zone.
    TimeZone,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A text in the languages of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Simplified Chinese.
    pub zh: &'static str,
    /// English.
    pub en: &'static str,
}

impl Kind {
    /// What is accepted, to complete "expected is …" and “请填写…”.
    pub fn accepted(self) -> Texts {
        match self {
            Self::Text => Texts::new("文本", "a text"),
            Self::List => Texts::new(
                "列表：[\"a\",\"b\"]，或用逗号、分号、换行分隔",
                "a list: [\"a\",\"b\"], or separated by commas, semicolons or lines",
            ),
            Self::Integer(from, to) => Texts::new(
                format!("{from} 至 {to} 之间的整数"),
                format!("a whole number from {from} to {to}"),
            ),
            Self::Url => Texts::new(
                "以 https:// 或 http:// 开头的地址，不含用户名、查询参数和片段",
                "an address that begins with https:// or http://, without user, query or fragment",
            ),
            Self::Ip => Texts::new(
                "IP 地址：127.0.0.1 仅限本机，0.0.0.0 或 :: 为全部网络",
                "an IP address: 127.0.0.1 for this machine only, 0.0.0.0 or :: for every network \
                 it is in",
            ),
            Self::Boolean => Texts::new("true 或 false", "true or false"),
            Self::Folder => Texts::new("目录路径", "the path of a folder"),
            Self::File => Texts::new(
                "文件路径或文件内容（PEM）",
                "the path of a file, or its content (PEM)",
            ),
            Self::Map => Texts::new(
                "JSON 对象，例如 {\"名称\":\"值\"}",
                "a JSON object of names and texts, e.g. {\"name\":\"value\"}",
            ),
            Self::TimeZone => Texts::new(
                "时区的 IANA 名称，例如 Asia/Shanghai",
                "the IANA name of a time zone, e.g. Asia/Shanghai",
            ),
            Self::Choice(words) => Texts::new(
                format!("其中之一：{}", words.join("、")),
                format!("one of {}", words.join(", ")),
            ),
        }
    }
}

impl From<Kind> for SettingKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::List => Self::List,
            Kind::Integer(min, max) => Self::Integer { min, max },
            Kind::Boolean => Self::Boolean,
            Kind::Url => Self::Url,
            Kind::Ip => Self::Ip,
            Kind::Folder => Self::Folder,
            Kind::File => Self::File,
            Kind::TimeZone => Self::TimeZone,
            Kind::Choice(words) => Self::Choice {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
            },
            Kind::Map => Self::Map,
        }
    }
}

impl From<Text> for Texts {
    fn from(text: Text) -> Self {
        Self {
            zh: text.zh.to_owned(),
            en: text.en.to_owned(),
        }
    }
}
