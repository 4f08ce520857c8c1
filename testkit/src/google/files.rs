//! The Files API: what is uploaded, what models make, and what each project sees of it.
//!
//! Names, fields and limits: <https://ai.google.dev/api/files>. That files of another project
//! answer as files that do not exist, with 403: many reports, e.g.
//! google-gemini/deprecated-generative-ai-python#692.
//!
//! Deliberately absent: files that are still `PROCESSING`, `files:register`, and the 20 GB that
//! a project may keep.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::World;
use super::error::GoogleError;
use super::proto::{get, list, text};
use super::reply::{Page, Reply};
use super::shelf::{Asked, Caller, Owned, Paging, time};
use super::upload::{self, Given};

/// Files last for two days, in milliseconds.
const LIFE: i64 = 48 * 60 * 60 * 1000;
const HOST: &str = "https://generativelanguage.googleapis.com/";
const URI: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// A file.
#[derive(Debug)]
pub(super) struct File {
    display_name: String,
    pub mime_type: String,
    pub content: Bytes,
    /// A model made it, so it can be downloaded; what was uploaded cannot.
    generated: bool,
}

/// The file as Google describes it.
pub(super) fn show(file: &Owned<File>) -> Value {
    let mut shown = json!({ "name": file.name });
    if !file.it.display_name.is_empty() {
        shown["displayName"] = json!(file.it.display_name);
    }
    shown["mimeType"] = json!(file.it.mime_type);
    shown["sizeBytes"] = json!(file.it.content.len().to_string());
    shown["createTime"] = json!(time(file.created));
    shown["updateTime"] = json!(time(file.created));
    shown["expirationTime"] = json!(time(file.expires.unwrap_or_default()));
    shown["sha256Hash"] = json!(STANDARD.encode(Sha256::digest(&file.it.content)));
    shown["uri"] = json!(format!("{URI}{}", file.name));
    if file.it.generated {
        shown["downloadUri"] = json!(download_uri(&file.name));
    }
    shown["state"] = json!("ACTIVE");
    shown["source"] = json!(match file.it.generated {
        true => "GENERATED",
        false => "UPLOADED",
    });
    shown
}

/// Where a file of this name is downloaded, as Google gives it.
pub(super) fn download_uri(name: &str) -> String {
    format!("{URI}{name}:download?alt=media")
}

/// What Google says of a file that is not this project's, whether it exists or not.
pub(super) fn forbidden(name: &str) -> GoogleError {
    let id = name.strip_prefix("files/").unwrap_or(name);
    GoogleError {
        message: format!("You do not have permission to access the File {id} or it may not exist."),
        ..GoogleError::usual(403)
    }
}

const PAGING: Paging = Paging {
    request: "ListFilesRequest",
    field: "files",
    usual: 10,
    most: 100,
    coerces: false,
};

/// Answers one call of the Files API.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let world = asked.world;
    let now = world.clock.now();
    let (name, project) = (&asked.target.resource, &asked.caller.project);
    match asked.target.action {
        "files.create" => match upload::begin(asked, "files.create")? {
            Given::Whole(about, mime_type, content) => {
                take(asked, &about, mime_type, content).map(Reply::Json)
            }
            Given::Begun(reply) => Ok(reply),
        },
        "files.get" => {
            let inner = world.inner.lock();
            let file = inner.files.get(project, name, now);
            file.map(|file| Reply::Json(show(file)))
                .ok_or_else(|| forbidden(name))
        }
        "files.download" => download(asked, now),
        "files.delete" => {
            let removed = world.inner.lock().files.remove(project, name, now);
            removed.map_or_else(|| Err(forbidden(name)), |_| Ok(Reply::Json(json!({}))))
        }
        _ => {
            let inner = world.inner.lock();
            let page = inner
                .files
                .page(asked.caller, now, asked.target, &PAGING, show);
            page.map(Reply::Json)
        }
    }
}

/// The content of a file that a model made. That uploaded files cannot be downloaded is in the
/// docs (`files.download` of googleapis/python-genai); Google's words for it are not published.
fn download(asked: &Asked<'_>, now: i64) -> Result<Reply, GoogleError> {
    let (world, target) = (asked.world, asked.target);
    let inner = world.inner.lock();
    let file = inner
        .files
        .get(&asked.caller.project, &target.resource, now)
        .ok_or_else(|| forbidden(&target.resource))?;
    if !file.it.generated {
        return Err(GoogleError::invalid(
            "Only generated files can be downloaded, uploaded files can't be downloaded.",
        ));
    }
    if target.parameter("alt", "$alt") != Some("media") {
        return Ok(Reply::Json(json!({})));
    }
    if inner.redirects && !target.is_download {
        let to = format!(
            "{}/download/{}/{}:download?alt=media",
            world.origin(),
            target.version,
            target.resource
        );
        let page = Page::new(302, "text/html; charset=UTF-8", "");
        return Ok(page.header("location", to).into());
    }
    let page = Page::new(200, file.it.mime_type.clone(), file.it.content.clone());
    Ok(page
        .header("content-disposition", "attachment")
        .header("x-goog-generation", "1")
        .into())
}

/// Refuses what cannot be a file's metadata.
pub(super) fn check_metadata(world: &World, file: &Value) -> Result<(), GoogleError> {
    if text(file, "display_name").chars().count() > 512 {
        return Err(GoogleError::invalid(
            "* CreateFileRequest.file.display_name: must be at most 512 characters.\n",
        ));
    }
    let name = text(file, "name");
    if name.is_empty() {
        return Ok(());
    }
    let id = name.strip_prefix("files/").unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = id.starts_with('-') || id.ends_with('-');
    if id.is_empty() || id.len() > 40 || edge || !id.chars().all(plain) {
        return Err(GoogleError::invalid(
            "* CreateFileRequest.file.name: The ID (name excluding the \"files/\" prefix) can contain up to 40 \
             characters that are lowercase alphanumeric or dashes (-). The ID cannot start or end with a dash (-).\n",
        ));
    }
    match world.inner.lock().files.has(name, world.clock.now()) {
        true => Err(GoogleError {
            status: "ALREADY_EXISTS",
            message: "Requested entity already exists".to_owned(),
            ..GoogleError::usual(409)
        }),
        false => Ok(()),
    }
}

/// Keeps what was uploaded, as its owner is answered.
pub(super) fn take(
    asked: &Asked<'_>,
    about: &Value,
    mime_type: String,
    content: Bytes,
) -> Result<Value, GoogleError> {
    let file = get(about, "file").cloned().unwrap_or_default();
    check_metadata(asked.world, &file)?;
    if content.is_empty() {
        return Err(GoogleError::invalid("The file is empty."));
    }
    let name = Some(text(&file, "name").to_owned()).filter(|name| !name.is_empty());
    let it = File {
        display_name: text(&file, "display_name").to_owned(),
        mime_type,
        content,
        generated: false,
    };
    Ok(json!({ "file": keep(asked.world, asked.caller, name, it) }))
}

/// Keeps what a model made, under a name of its own or this one; says which.
pub(super) fn generated(
    world: &World,
    owner: &Caller,
    name: Option<String>,
    mime_type: &str,
    content: Bytes,
) -> String {
    let it = File {
        display_name: String::new(),
        mime_type: mime_type.to_owned(),
        content,
        generated: true,
    };
    let shown = keep(world, owner, name, it);
    text(&shown, "name").to_owned()
}

fn keep(world: &World, owner: &Caller, name: Option<String>, it: File) -> Value {
    let now = world.clock.now();
    let mut inner = world.inner.lock();
    let name = name.unwrap_or_else(|| format!("files/{}", inner.mint(12)));
    let file = Owned {
        name,
        owner: owner.clone(),
        created: now,
        expires: Some(now + LIFE),
        it,
    };
    let shown = show(&file);
    inner.files.put(file);
    shown
}

/// The name of the file that an address leads to, in any of the forms that Google takes:
/// the file's `uri` in any version, and its bare name.
pub(super) fn named(uri: &str) -> Option<&str> {
    let path = match uri.strip_prefix(HOST) {
        Some(rest) => rest.split_once('/')?.1,
        None => uri,
    };
    // The address of what a model made may be the one that it is downloaded at.
    let path = path.split_once(':').map_or(path, |(name, _)| name);
    path.starts_with("files/").then_some(path)
}

/// Refuses files of other projects, and addresses that Google does not read, in a request
/// with contents and a system instruction.
pub(super) fn check(world: &World, project: &str, body: &Value) -> Result<(), GoogleError> {
    let contents = list(body, "contents").iter();
    for content in contents.chain(get(body, "system_instruction")) {
        check_content(world, project, content)?;
    }
    Ok(())
}

/// Refuses the same in one content.
pub(super) fn check_content(
    world: &World,
    project: &str,
    content: &Value,
) -> Result<(), GoogleError> {
    let parts = list(content, "parts").iter();
    let inner_parts = list(content, "parts").iter().flat_map(|part| {
        get(part, "function_response")
            .map(|response| list(response, "parts"))
            .unwrap_or_default()
    });
    parts
        .chain(inner_parts)
        .filter_map(|part| get(part, "file_data"))
        .try_for_each(|file| check_uri(world, project, text(file, "file_uri")))
}

/// Refuses the address of a file that is another project's, or that Google does not read.
pub(super) fn check_uri(world: &World, project: &str, uri: &str) -> Result<(), GoogleError> {
    if let Some(name) = named(uri) {
        let now = world.clock.now();
        return match world.inner.lock().files.get(project, name, now) {
            Some(_) => Ok(()),
            None => Err(forbidden(name)),
        };
    }
    if uri.starts_with("https://") || uri.starts_with("gs://") {
        return Ok(());
    }
    Err(GoogleError::invalid(format!(
        "Unsupported file URI type: {uri}. File URI must be a File API (i.e. \
         {URI}files/<file-id>), Youtube (i.e. https://www.youtube.com/watch?v=<video-id>), or HTTPS \
         (i.e. https://path/to/file.pdf)."
    )))
}
