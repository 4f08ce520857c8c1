//! Uploads of Google's clients: in one request, or in pieces to an address that the first answer
//! gives (<https://ai.google.dev/api/files#method:-media.upload>).
//!
//! That address is Google's, where a client of ours has nothing to say; it is given one of ours
//! instead. At Google such an address needs no key, and clients send none, so ours lets one in by
//! itself: it says the key that the upload goes to and the token that began it, with a seal that only
//! whoever holds that key can make, for this one upload.

use axum::extract::Request;
use axum::response::Response;
use contract::Millis;
use contract::admin::Surface;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use sha2::Sha256;
use vault::Secret;

use super::super::super::address::asked_for;
use super::super::super::problem::Problem;
use super::super::super::trace::Trace;
use super::super::super::{App, admit, admit_of, files, read_body, refuse, turn_away};
use super::super::forward;
use super::target::Target;
use super::{FILES, headers, owned, parameter, passed_query, told, told_of};
use crate::upstream::{Answer, At, Call, Expect, Whole};

/// By which our addresses of uploads let one in.
const PASS: &str = "gb_upload";
/// For how long they do, in milliseconds: Google's own are good for days.
const GOOD_FOR: Millis = 2 * 24 * 60 * 60 * 1_000;
const UPLOAD_URL: HeaderName = HeaderName::from_static("x-goog-upload-url");
/// What a client tells of a piece.
const ASKED: [HeaderName; 8] = [
    HeaderName::from_static("x-goog-upload-protocol"),
    HeaderName::from_static("x-goog-upload-command"),
    HeaderName::from_static("x-goog-upload-offset"),
    HeaderName::from_static("x-goog-upload-file-name"),
    HeaderName::from_static("x-goog-upload-header-content-length"),
    HeaderName::from_static("x-goog-upload-header-content-type"),
    HeaderName::from_static("x-goog-upload-content-type"),
    HeaderName::from_static("x-goog-upload-chunk-granularity"),
];
/// What Google tells of it.
const TOLD: [HeaderName; 4] = [
    HeaderName::from_static("x-goog-upload-status"),
    HeaderName::from_static("x-goog-upload-size-received"),
    HeaderName::from_static("x-goog-upload-chunk-granularity"),
    HeaderName::from_static("x-goog-upload-header-content-type"),
];

/// Any request below `/upload`.
pub(super) async fn upload(app: &App, target: Target, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let pass = parameter(query, &[PASS]);
    let admitted = match &pass {
        None => admit(app, &parts, Surface::Gemini).map(|trace| (trace, None)),
        Some(pass) => match read_pass(pass) {
            None => Err(no_upload()),
            // It counts for nothing: what it began has counted.
            Some(pass) => match admit_of(app, &parts, Surface::Gemini, pass.token) {
                Some(trace)
                    if goes_on(&parts.headers) && pass.holds(app, &target, query, &trace) =>
                {
                    Ok((trace, Some(pass.key)))
                }
                _ => Err(no_upload()),
            },
        },
    };
    let (mut trace, key) = match admitted {
        Ok(admitted) => admitted,
        Err(problem) => return turn_away(body, &problem, Surface::Gemini).await,
    };
    let sent = async {
        let body = read_body(app, body).await?;
        if !matches!(parts.method, Method::POST | Method::PUT) {
            return Err(Problem::wrong_method(format!(
                "{} takes no {} requests.",
                parts.uri.path(),
                parts.method
            )));
        }
        let key = match key {
            Some(key) => {
                files::check_key(app, key, "this upload", "Begin it again.")?;
                key
            }
            None => match owned::at(app, &target.names(), &trace).await? {
                Some(At::Only(key)) => key,
                _ => files::home(app, &trace)?,
            },
        };
        let mut headers = headers(&parts.headers);
        headers.extend(told(&parts.headers, &ASKED));
        let call = Call {
            method: parts.method.clone(),
            path: &target.path,
            query: &passed_query(query),
            model: "",
            counted_as: Some(FILES),
            headers,
            body,
            expect: Expect::Anything,
            at: At::Only(key),
        };
        match app.upstream.call(&app.core, &call, &mut trace).await {
            Ok(Answer::Whole(whole)) => Ok((whole, key)),
            Ok(_) => Err(Problem::bug("an upload streamed")),
            Err(failure) => Err(Problem::of(failure, &app.core)),
        }
    };
    let answered = match sent.await {
        Ok((whole, key)) => {
            let here = (&target, parts.uri.path(), &parts.headers);
            ours(app, here, &whole, key, &trace).map(|headers| (whole, headers))
        }
        Err(problem) => Err(problem),
    };
    match answered {
        Ok((whole, headers)) => {
            told_of(app, true, &whole.body, &trace).await;
            let mut response = forward(whole, trace);
            response.headers_mut().extend(headers);
            response
        }
        Err(problem) => refuse(trace, Surface::Gemini, &problem),
    }
}

/// What the client is told of an upload, with an address of ours in place of Google's.
fn ours(
    app: &App,
    (target, path, asked): (&Target, &str, &HeaderMap),
    whole: &Whole,
    key: i64,
    trace: &Trace,
) -> Result<HeaderMap, Problem> {
    let mut headers = told(&whole.headers, &TOLD);
    let Some(theirs) = whole.headers.get(&UPLOAD_URL) else {
        return Ok(headers);
    };
    let unreadable =
        || Problem::cut("Google's answer to the beginning of an upload has no address.");
    let theirs = theirs.to_str().map_err(|_| unreadable())?;
    let theirs = Url::parse(theirs).map_err(|_| unreadable())?;
    let query = passed_query(theirs.query().unwrap_or_default());
    let mut pass = Pass {
        key,
        token: trace.token_id().unwrap_or_default(),
        until: app.core.clock.now().saturating_add(GOOD_FOR),
        seal: String::new(),
    };
    pass.seal = pass
        .sealed(app, target, &query, trace)
        .ok_or_else(unreadable)?;
    let here = asked_for(asked);
    let Pass {
        key,
        token,
        until,
        seal,
    } = pass;
    let address = format!("{here}{path}?{query}&{PASS}={key}.{token}.{until}.{seal}");
    let address = HeaderValue::from_str(&address).map_err(|_| unreadable())?;
    headers.insert(UPLOAD_URL, address);
    Ok(headers)
}

/// Whether this is a piece, and begins nothing.
fn goes_on(headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let begins = says("x-goog-upload-command").is_some_and(|command| {
        let mut commands = command.split(',').map(str::trim);
        commands.any(|command| command.eq_ignore_ascii_case("start"))
    });
    let protocol = says("x-goog-upload-protocol").unwrap_or("resumable");
    !begins && protocol.eq_ignore_ascii_case("resumable")
}

/// What lets one go on with an upload.
struct Pass {
    key: i64,
    token: i64,
    /// In milliseconds since 1970.
    until: Millis,
    seal: String,
}

fn read_pass(pass: &str) -> Option<Pass> {
    let mut parts = pass.splitn(4, '.');
    Some(Pass {
        key: parts.next()?.parse().ok()?,
        token: parts.next()?.parse().ok()?,
        until: parts.next()?.parse().ok()?,
        seal: parts.next()?.to_owned(),
    })
}

impl Pass {
    /// Whether it is good for this.
    fn holds(&self, app: &App, target: &Target, query: &str, trace: &Trace) -> bool {
        let names = query
            .split('&')
            .filter(|pair| pair.starts_with("upload_id="));
        let expected = self.sealed(app, target, query, trace);
        names.count() == 1
            && app.core.clock.now() <= self.until
            && expected.is_some_and(|seal| Secret::from(&*seal) == Secret::from(&*self.seal))
    }

    /// What shows that the upload was begun with this key by the client of `trace`; `None` when the
    /// key is not here, or `query` names no upload.
    fn sealed(&self, app: &App, target: &Target, query: &str, trace: &Trace) -> Option<String> {
        let upload = parameter(query, &["upload_id"])?;
        let picked = app.core.pool.pick_by_id(self.key)?;
        let mac = Hmac::<Sha256>::new_from_slice(picked.secret().expose().as_bytes()).ok()?;
        let mac = mac
            .chain_update("an upload of ")
            .chain_update(trace.token_word())
            .chain_update([0])
            .chain_update(&target.path)
            .chain_update([0])
            .chain_update(self.until.to_be_bytes())
            .chain_update(upload);
        let seal = mac.finalize().into_bytes();
        Some(seal.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn no_upload() -> Problem {
    Problem::bad_request(
        "This is the address of no upload that goes on. Begin the upload again: send \
         X-Goog-Upload-Command: start, and use the address of the answer as it is.",
    )
}
