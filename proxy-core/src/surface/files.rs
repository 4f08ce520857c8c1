//! OpenAI's files, kept by Google for two days, translated by [`dialect`].
//!
//! All files of a client token go to the same key as long as that key is usable ([`crate::pool::Pool::home`]),
//! so that they can be used together in one request, and so that the list needs to be asked of
//! one key only. Nothing is kept here: the id says the key and has a seal that shows whose it is, and
//! so does a file's label at Google, so a restart or another server on the same database changes
//! nothing.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use bytes::Bytes;
use contract::admin::{KeyState, Surface};
use dialect::FileId;
use dialect::openai_to_gemini::{FileOut, GoogleFile, GoogleFiles, file_out, upload_request};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use vault::Secret;

use super::gemini::resources::made;
use super::problem::Problem;
use super::trace::Trace;
use super::translated::{random_id, unreadable};
use super::{App, admit, answered_by, form, json, read_body, refuse, turn_away};
use crate::pool::Unavailable;
use crate::upstream::{Answer, At, Call, Expect, Failure};

/// What uploads and questions about files are counted as: Google has no quota for them that
/// belongs to a model.
const FILES: &str = "files";
/// The most pages of a key's files that are looked through.
const MOST_PAGES: usize = 50;

/// POST `/v1/files`.
pub(super) async fn upload(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Openai).await,
    };
    let uploaded = attempt_upload(&app, &parts.headers, body, &mut trace).await;
    respond(trace, uploaded)
}

/// GET `/v1/files`.
pub(super) async fn list(State(app): State<App>, request: Request) -> Response {
    #[derive(Deserialize)]
    struct Wanted {
        limit: Option<usize>,
        order: Option<String>,
        after: Option<String>,
        purpose: Option<String>,
    }
    let (parts, _) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Openai),
    };
    let listed = async {
        let Query(wanted) = Query::<Wanted>::try_from_uri(&parts.uri).map_err(|error| {
            Problem::bad_request(format!("The query is not acceptable: {error}."))
        })?;
        let limit = wanted.limit.unwrap_or(10_000);
        if !(1..=10_000).contains(&limit) {
            return Err(Problem::bad_request("`limit` must be from 1 to 10000."));
        }
        let mut files = all(&app, &mut trace).await?;
        files.retain(|file| {
            let purpose = wanted.purpose.as_deref();
            purpose.is_none_or(|purpose| purpose == file.purpose)
        });
        files.sort_by_key(|file| file.created_at);
        match wanted.order.as_deref() {
            None | Some("desc") => files.reverse(),
            Some("asc") => {}
            Some(_) => return Err(Problem::bad_request("`order` must be asc or desc.")),
        }
        if let Some(after) = wanted.after {
            let at = files.iter().position(|file| file.id == after);
            files.drain(..at.map_or(0, |at| at + 1));
        }
        let has_more = files.len() > limit;
        files.truncate(limit);
        let body = json!({
            "object": "list",
            "first_id": files.first().map(|file| &file.id),
            "last_id": files.last().map(|file| &file.id),
            "has_more": has_more,
            "data": files,
        });
        Ok(body.to_string().into_bytes())
    };
    let listed = listed.await;
    respond(trace, listed)
}

/// GET `/v1/files/{id}`.
pub(super) async fn retrieve(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    about(&app, &id, request, async |_, _, file| to_json(&file)).await
}

/// DELETE `/v1/files/{id}`.
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    about(&app, &id, request, async |app, trace, file| {
        let id: FileId = file.id.parse().map_err(|()| no_such_file(&file.id))?;
        ask(app, Method::DELETE, &id, trace).await?;
        app.core.owners.forget(&format!("files/{}", id.name));
        let deleted = json!({"id": file.id, "object": "file", "deleted": true});
        Ok(deleted.to_string().into_bytes())
    })
    .await
}

/// GET `/v1/files/{id}/content`. Google gives nothing back that was uploaded.
pub(super) async fn content(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    about(&app, &id, request, async |_, _, file| {
        Err(Problem::bad_request(format!(
            "Not allowed to download files of purpose: {}. Google keeps an uploaded file for its \
             models only; use your own copy.",
            file.purpose
        )))
    })
    .await
}

/// Whether the client of `trace` may use a file now. Google is not asked: that the id was made here
/// for this client is to be seen from its seal.
///
/// # Errors
/// When it is no file of the client's, or its key cannot be used.
pub(super) fn may_use(app: &App, id: &FileId, trace: &Trace) -> Result<(), Problem> {
    check_key(app, id.key, "this file", "Upload the file again.")?;
    match sealed(app, id.key, &id.name, trace) {
        Some(ours) if Secret::from(&*ours.seal) == Secret::from(&*id.seal) => Ok(()),
        _ => Err(no_such_file(&id.to_string())),
    }
}

/// Whether a key that something of a client's is at can be asked.
///
/// # Errors
/// When it is gone, or off; `what` says what the client has there, and `again` what to do then.
pub(super) fn check_key(app: &App, key: i64, what: &str, again: &str) -> Result<(), Problem> {
    let (why, problem): (_, fn(String) -> Problem) =
        match app.core.pool.status(key).map(|status| status.state) {
            None => ("no longer here", Problem::not_found),
            Some(KeyState::Disabled | KeyState::Rejected { .. }) => {
                ("switched off or refused by Google", Problem::bad_request)
            }
            Some(_) => return Ok(()),
        };
    Err(problem(format!(
        "The Gemini key that {what} was made with is {why}, and no other finds it. {again}"
    )))
}

/// What a client knows a file by that Google calls `name`, uploaded with `key`; `None` when it is
/// none. Nobody who does not hold the key can make it for another client.
fn sealed(app: &App, key: i64, name: &str, trace: &Trace) -> Option<FileId> {
    let name = name.strip_prefix("files/").unwrap_or(name);
    let picked = app.core.pool.pick_by_id(key)?;
    let mac = Hmac::<Sha256>::new_from_slice(picked.secret().expose().as_bytes()).ok()?;
    let mac = mac
        .chain_update("a file of ")
        .chain_update(owner(trace))
        .chain_update([0])
        .chain_update(name);
    let seal = mac.finalize().into_bytes();
    let seal: String = (seal.iter().take(8))
        .map(|byte| format!("{byte:02x}"))
        .collect();
    FileId::new(key, name, &seal)
}

/// A file as the client of `trace` is shown it.
fn shown(app: &App, key: i64, file: &GoogleFile, trace: &Trace) -> Option<FileOut> {
    file_out(&sealed(app, key, &file.name, trace)?, file, seconds)
}

async fn attempt_upload(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    trace: &mut Trace,
) -> Result<Vec<u8>, Problem> {
    const PROTOCOL: HeaderName = HeaderName::from_static("x-goog-upload-protocol");
    let body = read_body(app, body).await?;
    let form = form::read(headers, body).await?;
    let boundary = format!("gb{}", random_id()?);
    let asked = upload_request(&form, &owner(trace), &boundary)?;
    drop(form);
    let mut headers = HeaderMap::new();
    headers.insert(PROTOCOL, HeaderValue::from_static("multipart"));
    let kind = HeaderValue::from_str(&asked.content_type);
    let kind = kind.map_err(|_| Problem::bug("a boundary that no header can hold"))?;
    headers.insert(header::CONTENT_TYPE, kind);
    let key = home(app, trace)?;
    let call = Call {
        method: Method::POST,
        path: "/upload/files",
        query: "",
        model: "",
        counted_as: Some(FILES),
        headers,
        body: asked.body.into(),
        expect: Expect::Anything,
        at: At::Only(key),
    };
    let answer = app.upstream.call(&app.core, &call, trace).await;
    let file = GoogleFile::parse(&whole(app, answer)?).map_err(|error| unreadable(&error))?;
    // Google's clients may go on with it.
    made(app, &file.name, trace);
    let shown = shown(app, key, &file, trace);
    to_json(&shown.ok_or_else(|| Problem::cut("Google's answer about the file has no name."))?)
}

/// All files of the client's token that its key has.
async fn all(app: &App, trace: &mut Trace) -> Result<Vec<FileOut>, Problem> {
    let key = home(app, trace)?;
    let owner = owner(trace);
    let mut found = Vec::new();
    let mut query = "pageSize=100".to_owned();
    for _ in 0..MOST_PAGES {
        let call = Call {
            method: Method::GET,
            path: "/files",
            query: &query,
            model: "",
            counted_as: Some(FILES),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expect: Expect::Anything,
            at: At::Only(key),
        };
        let answer = app.upstream.call(&app.core, &call, trace).await;
        let page = GoogleFiles::parse(&whole(app, answer)?).map_err(|error| unreadable(&error))?;
        let mine = page.files.iter().filter(|file| is_of(file, &owner));
        found.extend(mine.filter_map(|file| shown(app, key, file, trace)));
        let Some(next) = page.next_page_token.filter(|next| !next.is_empty()) else {
            break;
        };
        let next = percent_encoding::utf8_percent_encode(&next, percent_encoding::NON_ALPHANUMERIC);
        query = format!("pageSize=100&pageToken={next}");
    }
    Ok(found)
}

/// Answers a question about one file of the client's.
async fn about(
    app: &App,
    id: &str,
    request: Request,
    answer: impl AsyncFnOnce(&App, &mut Trace, FileOut) -> Result<Vec<u8>, Problem>,
) -> Response {
    let (parts, _) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Openai),
    };
    let answered = match find(app, id, &mut trace).await {
        Ok(file) => answer(app, &mut trace, file).await,
        Err(problem) => Err(problem),
    };
    respond(trace, answered)
}

/// A file of the client's. One of another client is not told from one that does not exist.
async fn find(app: &App, id: &str, trace: &mut Trace) -> Result<FileOut, Problem> {
    let parsed: FileId = id.parse().map_err(|()| no_such_file(id))?;
    may_use(app, &parsed, trace)?;
    let body = ask(app, Method::GET, &parsed, trace).await?;
    let file = GoogleFile::parse(&body).map_err(|error| unreadable(&error))?;
    match is_of(&file, &owner(trace)) {
        true => file_out(&parsed, &file, seconds).ok_or_else(|| no_such_file(id)),
        false => Err(no_such_file(id)),
    }
}

/// Asks Google about one file.
async fn ask(app: &App, method: Method, id: &FileId, trace: &mut Trace) -> Result<Bytes, Problem> {
    let call = Call {
        method,
        path: &format!("/files/{}", id.name),
        query: "",
        model: "",
        counted_as: Some(FILES),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        expect: Expect::Anything,
        at: At::Only(id.key),
    };
    match app.upstream.call(&app.core, &call, trace).await {
        // What Google says of files that are gone as well as of those of others.
        Err(Failure::Refused {
            status: StatusCode::FORBIDDEN | StatusCode::NOT_FOUND,
            ..
        }) => Err(no_such_file(&id.to_string())),
        answer => whole(app, answer),
    }
}

fn no_such_file(id: &str) -> Problem {
    let shown: String = id.chars().take(100).collect();
    Problem::not_found(format!(
        "No such File object: {shown}. Files are kept for 48 hours, for the client token that \
         uploaded them."
    ))
}

fn whole(app: &App, answer: Result<Answer, Failure>) -> Result<Bytes, Problem> {
    match answer {
        Ok(Answer::Whole(whole)) => Ok(whole.body),
        Ok(_) => Err(Problem::bug("a file streamed")),
        Err(failure) => Err(Problem::of(failure, &app.core)),
    }
}

/// Whose files they are that a client uploads.
fn owner(trace: &Trace) -> String {
    trace.token_word().to_owned()
}

fn is_of(file: &GoogleFile, owner: &str) -> bool {
    file.label().is_some_and(|label| label.owner == owner)
}

/// The key that a client's files are at, and what else it is to use together with them.
///
/// # Errors
/// When no key can have files.
pub(super) fn home(app: &App, trace: &Trace) -> Result<i64, Problem> {
    // `new()` has fixed keys: every process finds the same.
    let mut hasher = DefaultHasher::new();
    trace.token_id().hash(&mut hasher);
    // Vertex AI's express mode has no files.
    let may = |key| !app.core.express.has(key);
    let home = app.core.pool.home(hasher.finish(), may);
    home.ok_or_else(|| {
        Problem::of(
            Failure::NoKey {
                why: Unavailable::NoneUsable,
                model: Box::default(),
            },
            &app.core,
        )
    })
}

/// Google's times (RFC 3339) in seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(time.as_second())
}

fn to_json(file: &FileOut) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(file).map_err(|_| Problem::bug("a file cannot be written as JSON"))
}

fn respond(mut trace: Trace, answered: Result<Vec<u8>, Problem>) -> Response {
    match answered {
        Ok(body) => {
            trace.first_byte();
            trace.succeed();
            answered_by(&trace, json(StatusCode::OK, body))
        }
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}
