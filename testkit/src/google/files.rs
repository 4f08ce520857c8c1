//! The Files API: uploads in one request (`multipart`), the list, and what each project sees.
//!
//! Deliberately absent: resumable uploads, and files that models make.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::World;
use super::answer::hash;
use super::error::GoogleError;
use super::proto::{get, list, text};
use super::target::Target;

/// Files last for two days.
const LIFE: SignedDuration = SignedDuration::from_hours(48);
const URI: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// A file that was uploaded.
#[derive(Debug)]
pub(super) struct File {
    /// `files/abc`
    name: String,
    project: String,
    display_name: String,
    mime_type: String,
    size: usize,
    sha256: String,
    /// In milliseconds since 1970.
    created: i64,
}

impl File {
    fn to_json(&self) -> Value {
        let time = |at: Timestamp| at.to_string();
        let created = Timestamp::from_millisecond(self.created).unwrap_or_default();
        let expires = created.checked_add(LIFE).unwrap_or(created);
        json!({
            "name": self.name,
            "displayName": self.display_name,
            "mimeType": self.mime_type,
            "sizeBytes": self.size.to_string(),
            "createTime": time(created),
            "updateTime": time(created),
            "expirationTime": time(expires),
            "sha256Hash": self.sha256,
            "uri": format!("{URI}{}", self.name),
            "state": "ACTIVE",
            "source": "UPLOADED",
        })
    }

    fn lives_at(&self, now: i64) -> bool {
        now < self.created + LIFE.as_millis() as i64
    }
}

/// What Google says of a file that is not this project's, whether it exists or not.
fn forbidden(name: &str) -> GoogleError {
    let id = name.strip_prefix("files/").unwrap_or(name);
    GoogleError {
        message: format!("You do not have permission to access the File {id} or it may not exist."),
        ..GoogleError::usual(403)
    }
}

/// Answers one call of the Files API.
pub(super) fn answer(
    world: &World,
    project: &str,
    parts: &Parts,
    target: &Target,
    body: &Bytes,
) -> Result<Value, GoogleError> {
    let now = world.clock.now();
    let name = format!("files/{}", target.file.as_deref().unwrap_or_default());
    let mut inner = world.inner.lock();
    inner.files.retain(|file| file.lives_at(now));
    let at = |files: &[File]| {
        let mine = |file: &File| file.name == name && file.project == project;
        files.iter().position(mine).ok_or_else(|| forbidden(&name))
    };
    match target.action {
        "files.create" => {
            let id = hash((inner.next_id, body.len()));
            let file = upload(parts, body, project, now, id)?;
            let shown = json!({ "file": file.to_json() });
            inner.files.push(file);
            Ok(shown)
        }
        "files.get" => at(&inner.files).map(|at| inner.files[at].to_json()),
        "files.delete" => {
            let at = at(&inner.files)?;
            inner.files.remove(at);
            Ok(json!({}))
        }
        _ => {
            let size = target.parameter("pageSize", "page_size");
            let size: usize = size.and_then(|size| size.parse().ok()).unwrap_or(10);
            if size > 100 {
                return Err(GoogleError::invalid(
                    "* ListFilesRequest.page_size: page_size must be at most 100.\n",
                ));
            }
            let from = target.parameter("pageToken", "page_token");
            let from = from.and_then(|token| token.strip_prefix("page-")?.parse().ok());
            let from: usize = from.unwrap_or(0);
            // The newest first.
            let mine: Vec<&File> = inner
                .files
                .iter()
                .rev()
                .filter(|file| file.project == project)
                .collect();
            let page: Vec<Value> = mine
                .iter()
                .skip(from)
                .take(size)
                .map(|f| f.to_json())
                .collect();
            let mut answer = json!({});
            if !page.is_empty() {
                answer["files"] = json!(page);
            }
            if from + size < mine.len() {
                answer["nextPageToken"] = json!(format!("page-{}", from + size));
            }
            Ok(answer)
        }
    }
}

fn upload(
    parts: &Parts,
    body: &Bytes,
    project: &str,
    created: i64,
    id: u64,
) -> Result<File, GoogleError> {
    let header = |name: &str| {
        let value = parts.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if header("x-goog-upload-protocol") != "multipart" {
        return Err(GoogleError::invalid(
            "Upload protocol is not supported by the fake.",
        ));
    }
    let boundary = header(CONTENT_TYPE.as_str())
        .strip_prefix("multipart/related; boundary=")
        .ok_or_else(|| GoogleError::invalid("Missing boundary in multipart request."))?;
    let [about, (kind, content)] = &pieces(body, boundary)[..] else {
        return Err(GoogleError::invalid(
            "Multipart request must have two parts.",
        ));
    };
    let about: Value = serde_json::from_slice(about.1)
        .map_err(|_| GoogleError::invalid("The metadata of the upload is not JSON."))?;
    let file = get(&about, "file").cloned().unwrap_or_default();
    let display_name = text(&file, "display_name");
    if display_name.chars().count() > 512 {
        return Err(GoogleError::invalid(
            "* CreateFileRequest.file.display_name: must be at most 512 characters.\n",
        ));
    }
    if kind.is_empty() || content.is_empty() {
        return Err(GoogleError::invalid("The file is empty or has no type."));
    }
    Ok(File {
        name: format!("files/{id:012x}"),
        project: project.to_owned(),
        display_name: display_name.to_owned(),
        mime_type: kind.clone(),
        size: content.len(),
        sha256: STANDARD.encode(Sha256::digest(content)),
        created,
    })
}

/// The parts of a multipart body: their types and contents.
fn pieces<'a>(body: &'a [u8], boundary: &str) -> Vec<(String, &'a [u8])> {
    let find = |from: usize, wanted: &[u8]| {
        body.get(from..)?
            .windows(wanted.len())
            .position(|window| window == wanted)
            .map(|at| from + at)
    };
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let mut from = match find(0, mark.as_bytes()) {
        Some(at) => at + mark.len(),
        None => return found,
    };
    let end_mark = format!("\r\n{mark}");
    while let (Some(head), Some(end)) = (find(from, b"\r\n\r\n"), find(from, end_mark.as_bytes())) {
        let headers = String::from_utf8_lossy(&body[from..head]);
        let kind = headers
            .lines()
            .find_map(|line| line.strip_prefix("Content-Type: "))
            .unwrap_or_default();
        found.push((kind.to_owned(), &body[(head + 4).min(end)..end]));
        from = end + end_mark.len();
    }
    found
}

/// Refuses files of other projects, and addresses that Google does not read.
pub(super) fn check(world: &World, project: &str, body: &Value) -> Result<(), GoogleError> {
    let now = world.clock.now();
    let inner = world.inner.lock();
    for content in list(body, "contents") {
        for part in list(content, "parts") {
            let Some(uri) = get(part, "file_data").map(|file| text(file, "file_uri")) else {
                continue;
            };
            if let Some(name) = uri.strip_prefix(URI) {
                let mine = |file: &File| {
                    file.name == name && file.project == project && file.lives_at(now)
                };
                if !inner.files.iter().any(mine) {
                    return Err(forbidden(name));
                }
            } else if !uri.starts_with("https://") && !uri.starts_with("gs://") {
                return Err(GoogleError::invalid(format!(
                    "Unsupported file URI type: {uri}. File URI must be a File API (i.e. \
                     {URI}files/<file-id>), Youtube (i.e. https://www.youtube.com/watch?v=<video-id>), or HTTPS \
                     (i.e. https://path/to/file.pdf)."
                )));
            }
        }
    }
    Ok(())
}
