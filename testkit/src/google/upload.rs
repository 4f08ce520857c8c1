//! Uploads: in one request (`multipart`), and in as many as it takes (`resumable`).
//!
//! The resumable protocol is the one that all of Google's uploads speak. Its headers are those
//! of <https://ai.google.dev/gemini-api/docs/files> and of the uploaders of
//! googleapis/python-genai (`_api_client.py`) and js-genai; `query`, `cancel`, and that all
//! chunks but the last must be whole multiples of the granularity, are told by
//! <https://developers.google.com/photos/library/guides/resumable-uploads>. Google's words for
//! what it refuses in an upload are not published.
//!
//! Deliberately absent: `raw` uploads, and uploads that expire.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::Value;

use super::World;
use super::door;
use super::error::GoogleError;
use super::files;
use super::proto::{get, int, text};
use super::reply::{Form, Page, Reply};
use super::shelf::{Asked, Caller};

/// What all chunks but the last are multiples of, in bytes, at the Gemini API.
pub(super) const GRANULARITY: usize = 8 * 1024 * 1024;

const STATUS: &str = "x-goog-upload-status";

/// The uploads that have begun, by their ids.
pub(super) type Uploads = HashMap<String, Upload>;

/// A resumable upload.
#[derive(Debug)]
pub(super) struct Upload {
    owner: Caller,
    /// The metadata that its first command brought.
    about: Value,
    mime_type: String,
    /// Its length in bytes, when that was told.
    length: Option<usize>,
    received: BytesMut,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Active,
    Final,
    Cancelled,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Final => "final",
            Self::Cancelled => "cancelled",
        }
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    let value = parts.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Whose upload this is. Its address is a secret of its own: no key goes along.
pub(super) fn owner(world: &World, id: &str) -> Option<Caller> {
    let inner = world.inner.lock();
    inner.uploads.get(id).map(|upload| upload.owner.clone())
}

/// The answer to a command for an upload that does not exist.
pub(super) fn unknown() -> Reply {
    Page::new(404, "text/plain; charset=utf-8", "Not Found").into()
}

/// What is to be uploaded, whole or only begun.
pub(super) enum Given {
    /// Metadata (of the whole request), type and content.
    Whole(Value, String, Bytes),
    /// The first command of a resumable upload was taken.
    Begun(Reply),
}

/// Reads the first request of an upload; `action` says what its metadata may be.
pub(super) fn begin(asked: &Asked<'_>, action: &str) -> Result<Given, GoogleError> {
    let parts = asked.parts;
    match header(parts, "x-goog-upload-protocol") {
        "multipart" => {
            let (about, mime_type, content) = multipart(parts, asked.body)?;
            let about = door::message(action, &about)?;
            Ok(Given::Whole(about, mime_type, content))
        }
        "resumable" => start(asked, action).map(Given::Begun),
        _ => Err(GoogleError::invalid(
            "Upload protocol is not supported by the fake.",
        )),
    }
}

fn start(asked: &Asked<'_>, action: &str) -> Result<Reply, GoogleError> {
    let (world, parts) = (asked.world, asked.parts);
    let command = header(parts, "x-goog-upload-command");
    if !command.eq_ignore_ascii_case("start") {
        return Err(GoogleError::invalid(format!(
            "Invalid upload command: {command:?}; a resumable upload begins with start."
        )));
    }
    let about = door::message(action, asked.body)?;
    let length = header(parts, "x-goog-upload-header-content-length");
    let length = match length.parse() {
        Ok(length) => Some(length),
        Err(_) if length.is_empty() => None,
        Err(_) => {
            return Err(GoogleError::invalid(
                "X-Goog-Upload-Header-Content-Length is not a number.",
            ));
        }
    };
    let file = get(&about, "file").cloned().unwrap_or_default();
    let told = int(&file, "size_bytes").and_then(|size| usize::try_from(size).ok());
    if let (Some(told), Some(length)) = (told, length)
        && told != length
    {
        return Err(GoogleError::invalid(
            "The size of the file does not match X-Goog-Upload-Header-Content-Length.",
        ));
    }
    let mime_type = [
        header(parts, "x-goog-upload-header-content-type"),
        text(&file, "mime_type"),
        text(&about, "mime_type"),
    ]
    .into_iter()
    .find(|kind| !kind.is_empty())
    .unwrap_or("application/octet-stream")
    .to_owned();
    // What cannot become a file is refused before it is sent.
    files::check_metadata(world, &file)?;
    let mut inner = world.inner.lock();
    let id = inner.mint(72);
    inner.uploads.insert(
        id.clone(),
        Upload {
            owner: asked.caller.clone(),
            about,
            mime_type,
            length,
            received: BytesMut::new(),
            state: State::Active,
        },
    );
    let url = format!(
        "{}{}?upload_id={id}&upload_protocol=resumable",
        world.origin(),
        parts.uri.path()
    );
    Ok(Page::new(200, "text/plain; charset=utf-8", "")
        .header(STATUS, "active")
        .header("x-goog-upload-url", url.clone())
        .header("x-goog-upload-control-url", url)
        .header(
            "x-goog-upload-chunk-granularity",
            world.granularity.to_string(),
        )
        .into())
}

/// A further command of a resumable upload.
pub(super) fn go_on(asked: &Asked<'_>, id: &str) -> Result<Reply, GoogleError> {
    let mut inner = asked.world.inner.lock();
    let Some(upload) = inner.uploads.get_mut(id) else {
        return Ok(unknown());
    };
    let commands = header(asked.parts, "x-goog-upload-command").to_ascii_lowercase();
    let commands: Vec<&str> = commands.split(',').map(str::trim).collect();
    let plain = |upload: &Upload| {
        let page = Page::new(200, "text/plain; charset=utf-8", "");
        page.header(STATUS, upload.state.name())
    };
    match (&*commands, &upload.state) {
        (["query"], State::Active) => {
            let received = upload.received.len().to_string();
            let page = plain(upload).header("x-goog-upload-size-received", received);
            return Ok(page.into());
        }
        (["query"], _) => return Ok(plain(upload).into()),
        (["cancel"], State::Active | State::Cancelled) => {
            upload.state = State::Cancelled;
            upload.received = BytesMut::new();
            return Ok(plain(upload).into());
        }
        (["upload"] | ["upload", "finalize"] | ["finalize"], State::Active) => {}
        (_, State::Active) => return Ok(refuse(upload, "Invalid upload command.")),
        _ => return Ok(refuse(upload, "The upload has already ended.")),
    }
    let last = commands.contains(&"finalize");
    if commands.contains(&"upload") {
        let offset: Option<usize> = header(asked.parts, "x-goog-upload-offset").parse().ok();
        if offset != Some(upload.received.len()) {
            let words = format!(
                "Invalid X-Goog-Upload-Offset: {} bytes have been received.",
                upload.received.len()
            );
            return Ok(refuse(upload, &words));
        }
        let sum = upload.received.len() + asked.body.len();
        if upload.length.is_some_and(|length| sum > length) {
            return Ok(refuse(upload, "More bytes than were announced."));
        }
        if !last && !asked.body.len().is_multiple_of(asked.world.granularity) {
            return Ok(refuse(
                upload,
                "The size of a chunk that is not the last must be a multiple of the granularity.",
            ));
        }
        upload.received.extend_from_slice(asked.body);
    }
    if !last {
        return Ok(plain(upload).into());
    }
    if upload
        .length
        .is_some_and(|length| length != upload.received.len())
    {
        return Ok(refuse(upload, "Fewer bytes than were announced."));
    }
    upload.state = State::Final;
    let (about, mime_type) = (upload.about.clone(), upload.mime_type.clone());
    let content = std::mem::take(&mut upload.received).freeze();
    drop(inner);
    let (status, body) = match files::take(asked, &about, mime_type, content) {
        Ok(made) => (200, format!("{made:#}\n")),
        Err(error) => (error.code, format!("{:#}\n", error.to_json())),
    };
    Ok(Page::new(status, Form::Whole.content_type(), body)
        .header(STATUS, "final")
        .into())
}

/// A command that changed nothing.
fn refuse(upload: &Upload, words: &str) -> Reply {
    let body = format!("{:#}\n", GoogleError::invalid(words).to_json());
    Page::new(400, Form::Whole.content_type(), body)
        .header(STATUS, upload.state.name())
        .into()
}

/// Metadata, type and content of an upload in one request.
fn multipart(parts: &Parts, body: &Bytes) -> Result<(Bytes, String, Bytes), GoogleError> {
    let boundary = header(parts, CONTENT_TYPE.as_str())
        .strip_prefix("multipart/related; boundary=")
        .ok_or_else(|| GoogleError::invalid("Missing boundary in multipart request."))?;
    let [(_, about), (kind, content)] = &pieces(body, boundary)[..] else {
        return Err(GoogleError::invalid(
            "Multipart request must have two parts.",
        ));
    };
    if kind.is_empty() {
        return Err(GoogleError::invalid("The file has no type."));
    }
    Ok((body.slice_ref(about), kind.clone(), body.slice_ref(content)))
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
