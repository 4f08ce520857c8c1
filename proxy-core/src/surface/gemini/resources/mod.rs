//! What Google keeps for a client: files, cached contents, operations, batches, interactions, file
//! search stores. Each belongs to the project of the key that made it, and no other key finds it, so
//! calls about one go to that key ([`owned`]); bodies pass untouched.
//!
//! Things of a client that are to be used together (files, caches, stores) are made with one key, its
//! home ([`crate::pool::Pool::home`]). What is used alone (operations, interactions) is made with
//! whichever key has room.

mod list;
mod owned;
mod raw;
mod target;
mod upload;

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::{Interaction, Peek, created, results};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, header};
use serde::Deserialize;

use self::raw::{Watch, passed};
use self::target::Target;
use super::super::auth::Style;
use super::super::problem::Problem;
use super::super::trace::Trace;
use super::super::{
    App, admit, admit_beside, files, read_body, refuse, style, turn_away, unknown_path,
};
use super::forward;
use crate::upstream::{Answer, At, Call, Expect, passed_on};

pub(in crate::surface) use owned::{at as whose, made, named_in, place};

/// What calls are counted as that no model's quota is used for.
const FILES: &str = "files";
/// Those whose quota is their own.
pub(super) const BATCHES: &str = "batches";

/// The longest answer that is looked into for names, in bytes. Those that have many are short.
const LONGEST_READ: usize = 8 * 1024 * 1024;

/// The query parameters that are forwarded, see [`super::PARAMETERS`].
const PARAMETERS: [&str; 20] = [
    "alt",
    "filter",
    "force",
    "include_input",
    "last_event_id",
    "orderBy",
    "pageSize",
    "page_size",
    "pageToken",
    "page_token",
    "prettyPrint",
    "quotaUser",
    "returnPartialSuccess",
    "stream",
    "updateMask",
    "update_mask",
    "uploadType",
    "upload_id",
    "upload_protocol",
    "upload_type",
];

/// Headers that say what is wanted of a resource.
const HEADERS: [HeaderName; 3] = [
    header::ACCEPT,
    header::RANGE,
    HeaderName::from_static("api-revision"),
];

/// Any method on `/v1beta/{collection}…`, and the like below `/v1alpha`, `/upload` and `/download`.
pub(in crate::surface) async fn resource(State(app): State<App>, request: Request) -> Response {
    let Some(target) = Target::of(request.uri().path()) else {
        return unknown_path(Surface::Gemini, request).await;
    };
    if target.uploads {
        return upload::upload(&app, target, request).await;
    }
    let (parts, body) = request.into_parts();
    // Whoever is at a limit must be able to fetch what was made, and to end what goes on.
    let is_list = parts.method == Method::GET && target.is_collection();
    let counts =
        is_list || !matches!(parts.method, Method::GET | Method::DELETE) && target.verb != "cancel";
    let admitted = match counts {
        true => admit(&app, &parts, Surface::Gemini),
        false => admit_beside(&app, &parts, Surface::Gemini),
    };
    let mut trace = match admitted {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Gemini).await,
    };
    let asked = ask(&app, (&parts, &target), body, &mut trace).await;
    match asked {
        Ok(Answer::Whole(whole)) => forward(whole, trace),
        Ok(Answer::Raw(raw)) => {
            // One that is looked at again has taken nothing more.
            let is_new = parts.method == Method::POST && target.is_collection();
            passed(raw, trace, is_new.then(|| Watch::new(app)))
        }
        Ok(Answer::Stream(_) | Answer::Live(_)) => {
            refuse(trace, Surface::Gemini, &Problem::bug("a file streamed"))
        }
        Err(problem) => refuse(trace, Surface::Gemini, &problem),
    }
}

/// The same below `/v1`, whose paths are OpenAI's unless the token is sent as Google's clients do.
pub(in crate::surface) async fn if_googles(app: State<App>, request: Request) -> Response {
    match style(&request) {
        Style::Google => resource(app, request).await,
        Style::Anthropic | Style::Bearer => unknown_path(Surface::Openai, request).await,
    }
}

/// What of a request says how it is to be made.
#[derive(Default, Deserialize)]
struct Asked<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    agent: Option<Cow<'a, str>>,
    #[serde(default)]
    stream: Option<bool>,
}

async fn ask(
    app: &App,
    (parts, target): (&Parts, &Target),
    body: Body,
    trace: &mut Trace,
) -> Result<Answer, Problem> {
    let known = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];
    let body = read_body(app, body).await?;
    if !known.contains(&parts.method) {
        return Err(Problem::wrong_method(format!(
            "{} takes no {} requests.",
            parts.uri.path(),
            parts.method
        )));
    }
    trace.sent(&body);
    let query = parts.uri.query().unwrap_or_default();
    if parts.method == Method::GET && target.is_collection() {
        let listed = list::list(app, (parts, target), trace).await;
        return listed.map(Answer::Whole);
    }
    let is_interaction = target.collection() == "interactions";
    let makes = parts.method == Method::POST && target.is_collection();
    let asked = match makes && matches!(target.collection(), "interactions" | "cachedContents") {
        true => Asked::read(&body, target.collection())?,
        false => Asked::default(),
    };
    let streams = match is_interaction && makes {
        true => asked.stream == Some(true),
        false => has(query, "stream", "true"),
    };
    let model = asked.model();
    if let Some(agent) = &asked.agent {
        trace.asked(agent, streams)?;
    }
    if !model.is_empty() {
        trace.asked(model, streams)?;
    }
    let downloads = target.verb == "download" || has(query, "alt", "media");
    let query = passed_query(query);
    let call = Call {
        method: parts.method.clone(),
        path: &target.path,
        query: &query,
        model,
        // The quota of an interaction is its model's.
        counted_as: (!is_interaction || !makes).then(|| bucket(target, makes)),
        headers: headers(&parts.headers),
        expect: match streams || downloads {
            true => Expect::Raw,
            false => Expect::Anything,
        },
        at: whom(app, target, &body, trace).await?,
        body: body.clone(),
    };
    let answer = app.upstream.call(&app.core, &call, trace).await;
    let answer = answer.map_err(|failure| Problem::of(failure, &app.core))?;
    if let Answer::Whole(whole) = &answer {
        note(app, (&call.method, target), &whole.body, trace).await;
    }
    Ok(answer)
}

/// What calls about a resource are counted as. Whoever may make no more of something must be able to
/// look at it, and to delete it.
fn bucket(target: &Target, makes: bool) -> &str {
    match target.collection() {
        "cachedContents" | BATCHES if !makes => FILES,
        collection => collection,
    }
}

impl<'a> Asked<'a> {
    /// Reads what decides about who may ask, and where.
    fn read(body: &'a [u8], collection: &str) -> Result<Self, Problem> {
        let read: Self = serde_json::from_slice(body).map_err(|error| {
            Problem::bad_request(format!(
                "The body cannot be read as JSON for {collection}: {error}. `model` is a name, and \
                 `stream` true or false."
            ))
        })?;
        let may_have_agent = collection == "interactions";
        match (&read.model, &read.agent) {
            (Some(_), _) => Ok(read),
            (None, Some(_)) if may_have_agent => Ok(read),
            (None, _) if may_have_agent => Err(Problem::bad_request(
                "The body names neither a `model` nor an `agent`. Name one of them.",
            )),
            (None, _) => Err(Problem::bad_request(
                "The body names no `model`, as in \"models/gemini-2.5-flash\". Add it.",
            )),
        }
    }

    fn model(&self) -> &str {
        let model = self.model.as_deref().or(self.agent.as_deref());
        let model = model.unwrap_or_default();
        model.strip_prefix("models/").unwrap_or(model)
    }
}

/// Which key is asked.
async fn whom(app: &App, target: &Target, body: &[u8], trace: &Trace) -> Result<At, Problem> {
    let mut names = target.names();
    names.extend(owned::named_in(body)?);
    if let Some(at) = owned::at(app, &names, trace).await? {
        return Ok(at);
    }
    Ok(match target.collection() {
        "interactions" => At::Here,
        "cachedContents" | BATCHES => At::Rather(files::home(app, trace)?),
        _ => At::Only(files::home(app, trace)?),
    })
}

/// Takes down what an answer says of what is whose, and what it took.
async fn note(app: &App, (method, target): (&Method, &Target), answer: &[u8], trace: &mut Trace) {
    if method == Method::DELETE {
        for name in target.names().into_iter().take(1) {
            app.core.owners.forget(&name);
        }
        return;
    }
    if target.collection() == "interactions" {
        if method == Method::POST && target.is_collection() {
            interaction(app, answer, trace);
        }
        return;
    }
    told_of(
        app,
        method == Method::POST && target.is_collection(),
        answer,
        trace,
    )
    .await;
}

/// Takes down what an answer names: what was made is whoever's who made it, whatever had that name
/// before; of the rest, what is nobody's yet.
pub(in crate::surface) async fn told_of(app: &App, is_new: bool, answer: &[u8], trace: &Trace) {
    if answer.len() > LONGEST_READ {
        return;
    }
    if let Some(name) = created(answer).filter(|_| is_new) {
        owned::made(app, &name, trace);
    }
    owned::mentioned(app, &results(answer), trace).await;
}

/// Takes down what an interaction says of itself, whole or in an event.
fn interaction(app: &App, said: &[u8], trace: &mut Trace) {
    let said = Interaction::of(said);
    if let Some(id) = said.id {
        owned::made(app, &format!("interactions/{id}"), trace);
    }
    if said.usage.is_some() {
        trace.usage(&Peek {
            usage: said.usage,
            ..Peek::default()
        });
    }
}

/// The headers that Google should see.
fn headers(given: &HeaderMap) -> HeaderMap {
    let mut passed = passed_on(given);
    for name in HEADERS {
        if let Some(value) = given.get(&name) {
            passed.insert(name, value.clone());
        }
    }
    passed
}

/// What of a query goes upstream.
fn passed_query(query: &str) -> String {
    super::only(query, &PARAMETERS)
}

/// Whether a query says this; Google's SDK for Python writes `True`.
fn has(query: &str, name: &str, value: &str) -> bool {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(known, is)| known == name && is.eq_ignore_ascii_case(value))
}

/// What a query says for a name, decoded.
fn parameter(query: &str, names: &[&str]) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| names.contains(name))?;
    let value = percent_encoding::percent_decode_str(value);
    value.decode_utf8().ok().map(Cow::into_owned)
}

/// What of an answer's headers a client gets.
fn told(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut told = HeaderMap::new();
    for name in names {
        if let Some(value) = headers.get(name) {
            told.insert(name.clone(), value.clone());
        }
    }
    told
}

/// Empty, for calls without one.
const NOTHING: Bytes = Bytes::new();
