//! Ids of files that clients uploaded.

use std::fmt;
use std::str::FromStr;

use crate::error::Invalid;
use crate::gemini::request::Content;

/// Where Google has its files, whatever address it is asked at.
const URI: &str = "https://generativelanguage.googleapis.com/v1beta/files/";

/// A file as clients know it: `file-7-abc123-0f1e2d3c4b5a6978`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The number of the key that it was uploaded with.
    pub key: i64,
    /// Google's name of it without `files/`; safe in a URL's path.
    pub name: String,
    /// What shows whose it is: letters and digits that only this program can write.
    pub seal: String,
}

/// The files that a conversation names, of which there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploads {
    /// The number of the key that all were uploaded with.
    pub key: i64,
    /// Which they are. Whether the client may use them is for the caller to tell.
    pub files: Vec<FileId>,
}

impl FileId {
    /// The file that Google calls `name` (with or without `files/`), uploaded with this key.
    pub fn new(key: i64, name: &str, seal: &str) -> Option<Self> {
        let name = name.strip_prefix("files/").unwrap_or(name);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = !name.is_empty() && name.len() <= 64 && name.bytes().all(fits);
        let is_seal = !seal.is_empty()
            && seal.len() <= 64
            && seal.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_name && is_seal).then(|| Self {
            key,
            name: name.to_owned(),
            seal: seal.to_owned(),
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
        let (name, seal) = name.rsplit_once('-').ok_or(())?;
        Self::new(key.map_err(drop)?, name, seal).ok_or(())
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.key < 0 { "n" } else { "" };
        let Self { key, name, seal } = self;
        write!(f, "file-{sign}{}-{name}-{seal}", key.unsigned_abs())
    }
}

/// The files that a translated conversation names; `None` when there are none.
///
/// # Errors
/// When they belong to several, because no key finds them all.
pub(crate) fn uploads(contents: &[Content<'_>]) -> Result<Option<Uploads>, Invalid> {
    let parts = contents.iter().flat_map(|content| &content.parts);
    let files = parts.filter_map(|part| part.file_data.as_ref()?.upload.clone());
    let files: Vec<FileId> = files.collect();
    let Some(key) = files.first().map(|file| file.key) else {
        return Ok(None);
    };
    match files.iter().all(|file| file.key == key) {
        true => Ok(Some(Uploads { key, files })),
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
            let id = FileId::new(key, "files/abc-12x", "0f1e").unwrap();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in [
            "",
            "file-",
            "file-7",
            "file-7-",
            "file-x-abc",
            "file-7-abc",
            "file-7-abc-",
            "file-7--0f1e",
            "file-7-a/b-0f1e",
            "file-7-..-0f1e",
            "file-7-abc-0f/e",
            "7-a",
        ] {
            assert!(wrong.parse::<FileId>().is_err(), "{wrong}");
        }
    }
}
