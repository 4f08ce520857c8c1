//! Google's own protocol, forwarded: bodies pass untouched in both directions, so fields
//! this program has never heard of, and their order, survive.

mod fake;
pub(in crate::surface) mod live;
pub(in crate::surface) mod resources;

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use contract::admin::Surface;
use dialect::gemini::models::Page;
use dialect::gemini::{ApiStatus, with_endings};
use dialect::{Endings, ModelMap};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use memchr::memmem;
use serde_json::value::RawValue;

use super::problem::Problem;
use super::trace::Trace;
use super::{
    App, admit, answered_by, event_stream, files, json, read_body, refuse, relay, turn_away,
};
use crate::pool::COUNT_TOKENS;
use crate::upstream::{Answer, At, Call, Expect, Relay, Translate, Whole, passed_on};

/// The verbs that are forwarded, and what counts as an answer to each.
const VERBS: [(&str, Expect); 9] = [
    ("generateContent", Expect::Content),
    ("streamGenerateContent", Expect::Stream),
    (COUNT_TOKENS, Expect::Anything),
    ("embedContent", Expect::Anything),
    ("batchEmbedContents", Expect::Anything),
    ("predict", Expect::Anything),
    (LONG, Expect::Anything),
    (BATCH_GENERATE, Expect::Anything),
    (BATCH_EMBED, Expect::Anything),
];

/// The verbs whose answers name an operation, which is asked about later.
const LONG: &str = "predictLongRunning";
const BATCH_GENERATE: &str = "batchGenerateContent";
const BATCH_EMBED: &str = "asyncBatchEmbedContent";

/// The query parameters that are forwarded. Others are not Google's, are credentials in
/// another form (`access_token`), or change the answer into something else (`fields`,
/// `callback`). `alt` is ours to choose.
const PARAMETERS: [&str; 4] = ["pageSize", "pageToken", "prettyPrint", "quotaUser"];

/// POST `/v1beta/models/{model}:{verb}`.
pub(super) async fn generate(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Gemini) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Gemini).await,
    };
    let target = last_segment(&parts.uri);
    let Some((model, verb)) = target.rsplit_once(':') else {
        let problem = Problem::not_found(format!(
            "POST needs a verb, as in /v1beta/models/{target}:generateContent."
        ));
        return refuse(trace, Surface::Gemini, &problem);
    };
    if !is_model_id(model) {
        return refuse(trace, Surface::Gemini, &Problem::no_such_model(model));
    }
    // Endings of the name are ours; Google does not know them. No name leads elsewhere here.
    let named = ModelMap::new([]).read(model);
    let (model, endings) = match &named {
        Ok(named) => (&*named.model, named.endings),
        Err(_) => (model, Endings::default()),
    };
    let Some(&(_, expect)) = VERBS.iter().find(|(name, _)| *name == verb) else {
        let known = VERBS.map(|(name, _)| name).join(", ");
        let problem = Problem::not_found(format!(
            "The verb '{verb}' is not forwarded by this version; these are: {known}."
        ));
        return refuse(trace, Surface::Gemini, &problem);
    };
    let allowed = trace.asked(model, expect == Expect::Stream);
    // Read in any case: a client that is refused must have sent all to get to know why.
    let body = match read_body(&app, body)
        .await
        .and_then(|body| allowed.map(|()| body))
    {
        Ok(body) => body,
        Err(problem) => return refuse(trace, Surface::Gemini, &problem),
    };
    trace.sent(&body);
    let edited = match expect {
        Expect::Content | Expect::Stream if endings != Endings::default() => {
            with_endings(&body, model, endings)
        }
        _ => None,
    };
    let body = edited.map_or(body, Bytes::from);

    let asked = parts.uri.query().unwrap_or_default();
    let wants_array = expect == Expect::Stream && !asked.split('&').any(|pair| pair == "alt=sse");
    let mut query = passed_query(asked);
    if expect == Expect::Stream {
        // Upstream it is always events: they can be looked at one by one.
        query.push_str(if query.is_empty() {
            "alt=sse"
        } else {
            "&alt=sse"
        });
    }
    let faked = expect == Expect::Stream && app.core.settings().fake_streams;
    let (verb, query, expect) = match faked {
        true => ("generateContent", passed_query(asked), Expect::Content),
        false => (verb, query, expect),
    };
    // Google counts the counting of tokens, and batches, apart from the model's own quota.
    let counted_as = match verb {
        COUNT_TOKENS => Some(COUNT_TOKENS),
        BATCH_GENERATE | BATCH_EMBED => Some(resources::BATCHES),
        _ => None,
    };
    let at = match whom(&app, verb, &body, &trace).await {
        Ok(at) => at,
        Err(problem) => return refuse(trace, Surface::Gemini, &problem),
    };
    let area = match parts.uri.path().starts_with("/v1alpha/") {
        true => "/v1alpha",
        false => "",
    };
    let call = Call {
        method: Method::POST,
        path: &format!("{area}/models/{model}:{verb}"),
        query: &query,
        model,
        counted_as,
        headers: passed_on(&parts.headers),
        body,
        expect,
        at,
    };
    if faked {
        let (app, model) = (app.clone(), model.to_owned());
        let asked = Asked {
            path: call.path.to_owned(),
            query: query.clone(),
            model,
            headers: call.headers,
            body: call.body,
            at,
        };
        return fake::stream(app, asked, trace, wants_array).await;
    }
    match app.upstream.call(&app.core, &call, &mut trace).await {
        Ok(Answer::Whole(whole)) => {
            if matches!(verb, LONG | BATCH_GENERATE | BATCH_EMBED) {
                resources::told_of(&app, true, &whole.body, &trace).await;
            }
            forward(whole, trace)
        }
        Ok(Answer::Raw(_) | Answer::Live(_)) => {
            refuse(trace, Surface::Gemini, &Problem::bug("an answer came raw"))
        }
        Ok(Answer::Stream(stream)) => {
            trace.first_byte();
            relay(trace, |trace| match wants_array {
                true => {
                    let relay = Relay::new(stream, AsArray::default(), trace);
                    json(StatusCode::OK, Body::new(relay))
                }
                false => event_stream(Body::new(Relay::new(stream, AsIs::default(), trace))),
            })
        }
        Err(failure) => {
            let problem = Problem::of(failure, &app.core);
            refuse(trace, Surface::Gemini, &problem)
        }
    }
}

/// A call that outlasts the request that it came with.
struct Asked {
    path: String,
    query: String,
    model: String,
    headers: HeaderMap,
    body: Bytes,
    at: At,
}

/// Which key is asked: the one that has what the body refers to, or any that has room.
async fn whom(app: &App, verb: &str, body: &[u8], trace: &Trace) -> Result<At, Problem> {
    if let Some(at) = resources::place(app, body, trace).await? {
        return Ok(at);
    }
    Ok(match verb {
        LONG => At::Here,
        BATCH_GENERATE | BATCH_EMBED => At::Rather(files::home(app, trace)?),
        _ => At::Any,
    })
}

/// GET `/v1beta/models`, with its pages.
pub(super) async fn models(State(app): State<App>, request: Request) -> Response {
    get(&app, request, "/models".into(), without_hidden).await
}

/// GET `/v1beta/models/{model}`.
pub(super) async fn model(State(app): State<App>, request: Request) -> Response {
    let target = last_segment(request.uri());
    if !is_model_id(target) {
        return Problem::no_such_model(target).render(Surface::Gemini);
    }
    let path = format!("/models/{target}");
    get(&app, request, path.into(), |_, _| None).await
}

/// What of a query goes upstream.
fn passed_query(query: &str) -> String {
    only(query, &PARAMETERS)
}

/// What of a query has these names, as it was sent.
fn only(query: &str, names: &[&str]) -> String {
    let known = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        names.contains(&name)
    };
    query.split('&').filter(known).collect::<Vec<_>>().join("&")
}

/// The last segment of a path, as it was sent.
fn last_segment(uri: &http::Uri) -> &str {
    uri.path().rsplit('/').next().unwrap_or_default()
}

/// Whether a name can be put into a path as it is, and stays one segment of it.
fn is_model_id(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    !name.is_empty() && name.bytes().all(known) && !name.bytes().all(|byte| byte == b'.')
}

/// Sends a GET on to Google, and its answer back, as `edited` makes it (`None`: as it is).
async fn get(
    app: &App,
    request: Request,
    path: Cow<'static, str>,
    edited: impl FnOnce(&Trace, &[u8]) -> Option<Vec<u8>>,
) -> Response {
    let (parts, _) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Gemini) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Gemini),
    };
    if let Some(model) = path.strip_prefix("/models/")
        && let Err(problem) = trace.may_use(model)
    {
        return refuse(trace, Surface::Gemini, &problem);
    }
    let call = Call {
        method: Method::GET,
        path: &path,
        query: &passed_query(parts.uri.query().unwrap_or_default()),
        model: "",
        counted_as: None,
        headers: passed_on(&parts.headers),
        body: Bytes::new(),
        expect: Expect::Anything,
        at: At::Any,
    };
    match app.upstream.call(&app.core, &call, &mut trace).await {
        Ok(Answer::Whole(mut whole)) => {
            if let Some(body) = edited(&trace, &whole.body) {
                whole.body = body.into();
            }
            forward(whole, trace)
        }
        Ok(_) => refuse(trace, Surface::Gemini, &Problem::bug("a list streamed")),
        Err(failure) => match known(app, &path) {
            Some(body) => {
                let body = edited(&trace, &body).unwrap_or(body);
                trace.first_byte();
                trace.succeed();
                answered_by(&trace, json(StatusCode::OK, body))
            }
            None => {
                let problem = Problem::of(failure, &app.core);
                refuse(trace, Surface::Gemini, &problem)
            }
        },
    }
}

/// What this version knows of the models, when there are keys of Vertex AI's express mode only,
/// which tell nothing of them.
fn known(app: &App, path: &str) -> Option<Vec<u8>> {
    if !app.core.express.are_all(&app.core.pool) {
        return None;
    }
    let mut page = Page::known();
    match path.strip_prefix("/models/") {
        None => serde_json::to_vec(&page).ok(),
        Some(id) => {
            page.models.retain(|model| model.id() == id);
            serde_json::to_vec(page.models.first()?).ok()
        }
    }
}

/// A page of Google's list without the models that this client may not see; all else in it stays
/// as it was written. `None`: nothing is hidden, or it is not a list.
fn without_hidden(trace: &Trace, page: &[u8]) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    if !trace.hides_models() {
        return None;
    }
    let mut page: BTreeMap<&str, &RawValue> = serde_json::from_slice(page).ok()?;
    let models: Vec<&RawValue> = serde_json::from_str(page.get("models")?.get()).ok()?;
    let hidden = |model: &&RawValue| {
        serde_json::from_str(model.get()).is_ok_and(|Named { name }| {
            trace
                .may_use(name.strip_prefix("models/").unwrap_or(&name))
                .is_err()
        })
    };
    let shown: Vec<&RawValue> = models.into_iter().filter(|model| !hidden(model)).collect();
    let shown = serde_json::value::to_raw_value(&shown).ok()?;
    page.insert("models", &shown);
    serde_json::to_vec(&page).ok()
}

/// Gives the client what Google answered.
fn forward(whole: Whole, mut trace: Trace) -> Response {
    trace.first_byte();
    trace.succeed();
    let mut response = Response::new(Body::from(whole.body));
    let kind = whole.headers.get(header::CONTENT_TYPE).cloned();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        kind.unwrap_or(HeaderValue::from_static("application/json; charset=UTF-8")),
    );
    answered_by(&trace, response)
}

/// Events go through as they came, byte for byte, but whole: the beginning of an event waits
/// for its end, so that an error can always follow on a line of its own.
#[derive(Default)]
struct AsIs {
    /// What came after the last complete event.
    tail: BytesMut,
}

impl Translate for AsIs {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        self.tail.clear();
        let mut out = BytesMut::new();
        for event in events {
            out.put_slice(b"data: ");
            out.put_slice(event);
            out.put_slice(b"\r\n\r\n");
        }
        out.freeze()
    }

    fn chunk(&mut self, raw: Bytes, _events: &[Bytes]) -> Bytes {
        if self.tail.is_empty() {
            let end = end_of_last_event(&raw);
            self.tail.put_slice(&raw[end..]);
            return raw.slice(..end);
        }
        self.tail.put_slice(&raw);
        let end = end_of_last_event(&self.tail);
        self.tail.split_to(end).freeze()
    }

    fn last(&mut self, _event: Bytes) -> Bytes {
        self.tail.put_slice(b"\r\n\r\n");
        self.tail.split().freeze()
    }

    fn failed(&mut self, event: Bytes, _error: &ApiStatus) -> Bytes {
        self.events(&[event])
    }

    fn finish(&mut self) -> Bytes {
        self.tail.split().freeze()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        self.events(&[Problem::cut(why).body(Surface::Gemini).into()])
    }
}

/// Where the last empty line of a piece of a stream ends; 0 when there is none.
fn end_of_last_event(piece: &[u8]) -> usize {
    let after = |ending: &[u8]| memmem::rfind(piece, ending).map_or(0, |at| at + ending.len());
    after(b"\r\n\r\n").max(after(b"\n\n"))
}

/// Events become the elements of one JSON array, the form without `alt=sse`.
#[derive(Default)]
struct AsArray {
    begun: bool,
}

impl AsArray {
    fn element(&mut self, out: &mut BytesMut, element: &[u8]) {
        out.put_slice(if self.begun { b",\r\n" } else { b"[" });
        self.begun = true;
        out.put_slice(element);
    }
}

impl Translate for AsArray {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = BytesMut::new();
        for event in events {
            self.element(&mut out, event);
        }
        out.freeze()
    }

    fn failed(&mut self, event: Bytes, _error: &ApiStatus) -> Bytes {
        let mut out = BytesMut::new();
        self.element(&mut out, &event);
        out.put_slice(b"\r\n]");
        out.freeze()
    }

    fn finish(&mut self) -> Bytes {
        Bytes::from_static(if self.begun { b"\r\n]" } else { b"[]" })
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut out = BytesMut::new();
        self.element(&mut out, &Problem::cut(why).body(Surface::Gemini));
        out.put_slice(b"\r\n]");
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_sent_whole_wherever_it_was_cut() {
        let stream = b"data: {\"a\":1}\r\n\r\ndata: {\"b\":2}\r\n\r\n";
        for cut in 0..=stream.len() {
            let mut relay = AsIs::default();
            let first = relay.chunk(Bytes::copy_from_slice(&stream[..cut]), &[]);
            assert!(
                first.is_empty() || first.ends_with(b"\r\n\r\n"),
                "cut at {cut}"
            );
            let second = relay.chunk(Bytes::copy_from_slice(&stream[cut..]), &[]);
            assert_eq!([first, second].concat(), stream, "cut at {cut}");
        }
    }

    #[test]
    fn an_error_never_joins_half_an_event() {
        let mut relay = AsIs::default();
        let begun = relay.chunk(
            Bytes::from_static(b"data: {\"a\":1}\r\n\r\ndata: {\"b"),
            &[],
        );
        assert_eq!(begun, "data: {\"a\":1}\r\n\r\n");
        let end = relay.cut("Broken.");
        assert!(end.starts_with(b"data: {\"error\""), "{end:?}");
    }

    #[test]
    fn only_harmless_parameters_go_upstream() {
        let asked = "key=tok&pageSize=2&access_token=x&%6Bey=y&alt=proto&fields=a&pageToken=b%3D";
        assert_eq!(passed_query(asked), "pageSize=2&pageToken=b%3D");
        assert_eq!(passed_query(""), "");
    }

    #[test]
    fn a_model_is_one_segment_of_a_path() {
        for good in ["gemini-2.5-flash", "text_embedding.004", "m@001"] {
            assert!(is_model_id(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a%2F..", "a?b", "a:b", "模型"] {
            assert!(!is_model_id(bad), "{bad}");
        }
    }
}
