//! OpenAI's `/v1/files` over Google's Files API.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `id` | `name`, and the key that it belongs to ([`FileId`]) |
//! | `filename`, `purpose` and whose it is | `displayName` ([`Label`]) |
//! | `bytes`, `created_at`, `expires_at` | `sizeBytes`, `createTime`, `expirationTime` |
//! | `status` `uploaded`, `processed`, `error` | `state` `PROCESSING`, `ACTIVE`, `FAILED` |
//!
//! A file belongs to the project of the key that it was uploaded with, and no other key sees it.
//! So its id says the key's number, and whoever uses the file is led there by it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, Malformed};
use crate::fetch::media_type;
use crate::file_id::FileId;
use crate::media::as_text;
use crate::openai::form::Form;
use crate::text::to_json;

/// What divides a label; no file's name keeps it.
const DIVIDER: char = '|';
/// What a label of ours begins with.
const MARK: &str = "gb1";
/// The most that Google takes as a display name, in characters.
const LABEL_CHARS: usize = 512;

/// What Google keeps of a file for us, in its display name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Whose it is: a word that says nothing to others.
    pub owner: String,
    /// What it is for.
    pub purpose: String,
    /// The file's name.
    pub filename: String,
}

impl Label {
    /// What a display name says; `None` for a file that was not uploaded here.
    fn parse(label: &str) -> Option<Self> {
        let mut pieces = label.splitn(4, DIVIDER);
        (pieces.next()? == MARK).then_some(())?;
        Some(Self {
            owner: pieces.next()?.to_owned(),
            purpose: pieces.next()?.to_owned(),
            filename: pieces.next()?.to_owned(),
        })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!("{MARK}|{}|{}|", self.owner, self.purpose);
        let left = LABEL_CHARS.saturating_sub(head.chars().count());
        let name: String = self.filename.chars().take(left).collect();
        write!(f, "{head}{name}")
    }
}

/// A translated upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadCall {
    /// The body for Google's upload, `multipart/related`.
    pub body: Vec<u8>,
    /// Its `Content-Type`.
    pub content_type: String,
}

/// The purposes that OpenAI knows for files that a client uploads.
const PURPOSES: [&str; 7] = [
    "assistants",
    "batch",
    "fine-tune",
    "vision",
    "user_data",
    "evals",
    "messages",
];

/// Translates the form of an upload. `owner` says whose it is; `boundary` must be a word that
/// nobody can guess.
pub fn upload_request(form: &Form, owner: &str, boundary: &str) -> Result<UploadCall, Invalid> {
    let Some(file) = form.files("file").next() else {
        return Err(Invalid::new(
            "file",
            "`file` is missing: send it as a file of a form.",
        ));
    };
    let purpose = form.text("purpose").unwrap_or("user_data");
    if !PURPOSES.contains(&purpose) {
        return Err(Invalid::new(
            "purpose",
            format!("`purpose` is \"{purpose}\"; use user_data for files that a model reads."),
        ));
    }
    if matches!(purpose, "batch" | "fine-tune" | "evals") {
        return Err(Invalid::new(
            "purpose",
            format!(
                "`purpose` {purpose} is not supported with Gemini; use user_data for files that \
                 a model reads."
            ),
        )
        .with_code("unsupported_parameter"));
    }
    let filename = file.name.as_deref().unwrap_or("file");
    if file.bytes.is_empty() {
        return Err(Invalid::new(
            "file",
            format!("The file \"{filename}\" is empty."),
        ));
    }
    let kind = media_type(file.media_type.as_deref(), filename, &file.bytes)
        .or_else(|| as_text(&file.bytes).map(str::to_owned))
        .filter(|kind| is_media_type(kind))
        .ok_or_else(|| {
            Invalid::new(
                "file",
                format!(
                    "What the file \"{filename}\" is cannot be told: give it a name that ends in \
                     its type, e.g. .pdf."
                ),
            )
        })?;
    let label = Label {
        owner: owner.to_owned(),
        purpose: purpose.to_owned(),
        filename: filename.to_owned(),
    };
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct About {
        file: Named,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        display_name: String,
        mime_type: String,
    }
    let about = About {
        file: Named {
            display_name: label.to_string(),
            mime_type: kind.clone(),
        },
    };
    let mut body = Vec::with_capacity(file.bytes.len() + 1024);
    body.extend_from_slice(
        format!("--{boundary}\r\nContent-Type: application/json; charset=utf-8\r\n\r\n").as_bytes(),
    );
    body.extend(to_json(&about, 256));
    body.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n").as_bytes());
    body.extend_from_slice(&file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(UploadCall {
        body,
        content_type: format!("multipart/related; boundary={boundary}"),
    })
}

/// Whether it can stand in a header of ours.
fn is_media_type(kind: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte);
    kind.contains('/') && kind.bytes().all(word)
}

/// One of Google's files.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoogleFile {
    /// Google's name of it: `files/` and an id.
    pub name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    size_bytes: String,
    #[serde(default)]
    create_time: String,
    #[serde(default)]
    expiration_time: String,
    #[serde(default)]
    state: String,
}

/// A page of Google's files.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoogleFiles {
    /// The files of this page.
    #[serde(default)]
    pub files: Vec<GoogleFile>,
    /// Where the next page begins; absent on the last.
    #[serde(default)]
    pub next_page_token: Option<String>,
}

impl GoogleFiles {
    /// Parses a page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(body).map_err(|e| Malformed::json(&e))
    }
}

impl GoogleFile {
    /// Parses one: bare, or inside `file` as an upload answers.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Uploaded { file: GoogleFile },
            Bare(GoogleFile),
        }
        match serde_json::from_slice(body).map_err(|e| Malformed::json(&e))? {
            Either::Uploaded { file } | Either::Bare(file) => Ok(file),
        }
    }

    /// What the label of a file that was uploaded here says.
    pub fn label(&self) -> Option<Label> {
        Label::parse(&self.display_name)
    }
}

/// A file as OpenAI writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileOut {
    /// Its id.
    pub id: String,
    object: &'static str,
    bytes: u64,
    /// In seconds since 1970.
    pub created_at: i64,
    expires_at: Option<i64>,
    filename: String,
    /// What it is for.
    pub purpose: String,
    status: &'static str,
    status_details: Option<&'static str>,
}

/// Writes a file that clients know by `id`; `seconds` reads Google's times as seconds since 1970.
/// `None` for one that was not uploaded here.
pub fn file_out(
    id: &FileId,
    file: &GoogleFile,
    seconds: impl Fn(&str) -> Option<i64>,
) -> Option<FileOut> {
    let label = file.label()?;
    let (status, status_details) = match file.state.as_str() {
        "PROCESSING" => ("uploaded", None),
        "FAILED" => ("error", Some("Google could not read the file.")),
        _ => ("processed", None),
    };
    Some(FileOut {
        id: id.to_string(),
        object: "file",
        bytes: file.size_bytes.parse().unwrap_or_default(),
        created_at: seconds(&file.create_time).unwrap_or_default(),
        expires_at: seconds(&file.expiration_time),
        filename: label.filename,
        purpose: label.purpose,
        status,
        status_details,
    })
}

#[cfg(test)]
mod tests {
    use super::Label;

    #[test]
    fn a_label_keeps_what_it_was_made_of() {
        let label = Label {
            owner: "x1".into(),
            purpose: "user_data".into(),
            filename: "a|b 文.pdf".into(),
        };
        assert_eq!(Label::parse(&label.to_string()), Some(label));
        assert_eq!(Label::parse("My own file"), None);
        let long = Label {
            owner: "x1".into(),
            purpose: "user_data".into(),
            filename: "n".repeat(600),
        };
        assert_eq!(long.to_string().chars().count(), 512);
    }
}
