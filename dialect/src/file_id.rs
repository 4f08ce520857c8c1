//! Ids of files that clients uploaded.

use std::fmt;
use std::str::FromStr;

use crate::error::Invalid;
use crate::gemini::request::Content;

/// Where Google has its files, whatever address it is asked at.
const URI: &str = "https://generativelanguage.googleapis.com/v1beta/files/";

/// A file as clients know it: `file-7-abc123`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The number of the key that it was uploaded with.
    pub key: i64,
    /// Google's name of it without `files/`; safe in a URL's path.
    pub name: String,
}

impl FileId {
    /// The file that Google calls `name` (with or without `files/`), uploaded with this key.
    pub fn new(key: i64, name: &str) -> Option<Self> {
        let name = name.strip_prefix("files/").unwrap_or(name);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (!name.is_empty() && name.len() <= 64 && name.bytes().all(fits)).then(|| Self {
            key,
            name: name.to_owned(),
        })
    }

    /// What Google is told in a request.
    pub fn uri(&self) -> String {
        format!("{URI}{}", self.name)
    }
}

impl FromStr for FileId {
    type Err = ();

    fn from_str(id: &str) -> Result<Self, ()> {
        let (key, name) = id
            .strip_prefix("file-")
            .and_then(|rest| rest.split_once('-'))
            .ok_or(())?;
        // A number below 0 is written with an `n`.
        let key = match key.strip_prefix('n') {
            Some(key) => key.parse().map(|key: i64| -key),
            None => key.parse(),
        };
        Self::new(key.map_err(drop)?, name).ok_or(())
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.key < 0 { "n" } else { "" };
        write!(f, "file-{sign}{}-{}", self.key.unsigned_abs(), self.name)
    }
}

/// The key that the files of a translated conversation belong to; `None` when there are none.
///
/// # Errors
/// When they belong to several, because no key finds them all.
pub(crate) fn owner(contents: &[Content<'_>]) -> Result<Option<i64>, Invalid> {
    let parts = contents.iter().flat_map(|content| &content.parts);
    let mut keys = parts.filter_map(|part| part.file_data.as_ref()?.key);
    let first = keys.next();
    match keys.all(|key| Some(key) == first) {
        true => Ok(first),
        false => Err(Invalid {
            message: "The request names files that were uploaded with different Gemini keys, none \
                      of which finds them all. Upload them again, one after the other."
                .to_owned(),
            param: None,
            code: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::FileId;

    #[test]
    fn an_id_leads_back_to_key_and_file() {
        for key in [7, 0, -1_000_000_001] {
            let id = FileId::new(key, "files/abc-12x").unwrap();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in [
            "",
            "file-",
            "file-7",
            "file-7-",
            "file-x-abc",
            "file-7-a/b",
            "file-7-..",
            "7-a",
        ] {
            assert!(wrong.parse::<FileId>().is_err(), "{wrong}");
        }
    }
}
