//! The surfaces: what clients speak to.
//!
//! A surface reads a request, asks [`crate::upstream`] for an answer and puts it into the
//! client's protocol. It decides neither which key is used nor what a failure means for
//! one. Every error leaves in the protocol of the surface ([`Problem`]).

mod address;
mod anthropic;
pub mod auth;
mod choices;
mod completions;
mod embeddings;
mod files;
mod flow;
mod form;
mod gemini;
mod images;
pub(crate) mod limits;
mod models;
mod openai;
pub(crate) mod problem;
mod recall;
mod responses;
mod speech;
pub mod test;
pub mod trace;
mod transcribe;
mod translated;

pub(crate) use address::forgive;
pub(crate) use models::list as list_all_models;
pub(crate) use responses::Background;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use contract::admin::{DatabaseState, PoolSummary, Surface};
use dialect::gemini::COLLECTIONS;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use tower::ServiceExt as _;
use tower_http::cors::{self, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;

use self::address::speaks;
use self::auth::{Refused, Style};
use self::limits::Admitted;
use self::problem::{Problem, Unnumbered};
use self::trace::Trace;
use crate::Core;
use crate::admin::{self, Access};
use crate::observe::{self, RequestId};
use crate::upstream::Upstream;

/// What a worker's handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<AppParts>);

pub(crate) struct AppParts {
    pub core: Arc<Core>,
    pub upstream: Upstream,
}

impl std::ops::Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

/// Marks a request that comes from within the process and needs no token.
#[derive(Clone, Copy)]
pub(crate) struct Internal;

/// On a response to the panel: who answered.
#[derive(Clone)]
pub(crate) struct AnsweredBy {
    /// The key that answered or was last tried, masked.
    pub key: String,
    /// The Gemini model that was asked.
    pub model: String,
}

/// What a port serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Clients, the admin API and the panel.
    Both,
    /// Clients only: the panel has a port of its own.
    Clients,
    /// The admin API and the panel only.
    Panel,
}

/// Every route of one port. Health is on all of them.
pub(crate) fn router(
    core: &Arc<Core>,
    upstream: &Upstream,
    panel: Option<Router>,
    side: Side,
) -> Router {
    let mut router = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready).with_state(core.clone()))
        .route("/metrics", get(observe::metrics).with_state(core.clone()));
    if side != Side::Panel {
        router = router.merge(clients(core, upstream));
    }
    if side == Side::Clients {
        let router = router.fallback(async |request: Request| {
            let surface = speaks(request.uri().path()).unwrap_or(Surface::Openai);
            unknown_path(surface, request).await
        });
        return router.layer(from_fn(number));
    }
    let clients_port = core.port_beside_panel();
    let panel = panel
        .unwrap_or_else(|| Router::new().fallback(no_panel))
        .layer(from_fn(admin::page_headers));
    router
        .merge(admin::router(core.clone(), Access::Session))
        .fallback(async move |request: Request| {
            let is_page = matches!(*request.method(), Method::GET | Method::HEAD);
            match (speaks(request.uri().path()), clients_port) {
                (Some(surface), Some(port)) => other_port(surface, port, request).await,
                (Some(surface), None) => unknown_path(surface, request).await,
                (None, _) if is_page => panel.oneshot(request).await.into_response(),
                // Most clients that have a wrong address are OpenAI's.
                (None, Some(port)) => other_port(Surface::Openai, port, request).await,
                (None, None) => unknown_path(Surface::Openai, request).await,
            }
        })
        .layer(from_fn(number))
}

/// Names the request's id where Anthropic's clients look for it: in a header of their own, and in
/// errors.
async fn number(request: Request, next: Next) -> Response {
    let is_anthropics = speaks(request.uri().path()) == Some(Surface::Anthropic)
        || style(&request) == Style::Anthropic;
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let Some(id) = id else { return response };
    let problem = response.extensions_mut().remove::<Unnumbered>();
    if let Some(problem) = &problem {
        *response.body_mut() = problem.numbered(id.as_str()).into();
    }
    if is_anthropics || problem.is_some() {
        response
            .headers_mut()
            .insert("request-id", id.into_header());
    }
    response
}

/// The routes that clients use.
pub(crate) fn clients(core: &Arc<Core>, upstream: &Upstream) -> Router {
    let app = App(Arc::new(AppParts {
        core: core.clone(),
        upstream: upstream.clone(),
    }));
    Router::new()
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/responses", post(responses::create))
        .route(
            "/v1/responses/{id}",
            get(responses::retrieve).delete(responses::delete),
        )
        .route(
            "/v1/responses/{id}/input_items",
            get(responses::input_items),
        )
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/embeddings", post(embeddings::embed))
        .merge(
            Router::new()
                .route("/v1/files", get(files::list).post(files::upload))
                .route("/v1/files/{id}", get(files::retrieve).delete(files::delete))
                .route("/v1/files/{id}/content", get(files::content))
                .route_layer(from_fn_with_state(app.clone(), files_of_google)),
        )
        .merge(resources())
        .route("/ws/{*path}", get(gemini::live::live))
        .route("/v1/audio/speech", post(speech::speak))
        .route("/v1/audio/transcriptions", post(transcribe::transcribe))
        .route("/v1/audio/translations", post(transcribe::translate))
        .route("/v1/images/generations", post(images::generate))
        .route("/v1/images/edits", post(images::edit))
        .route("/v1/messages", post(anthropic::messages))
        .route("/v1/messages/count_tokens", post(anthropic::count_tokens))
        .route("/v1/models", get(list_models))
        .route("/v1/models/{target}", get(one_model).post(gemini::generate))
        .route("/v1beta/models", get(gemini::models))
        .route(
            "/v1beta/models/{target}",
            get(gemini::model).post(gemini::generate),
        )
        .route("/v1alpha/models", get(gemini::models))
        .route(
            "/v1alpha/models/{target}",
            get(gemini::model).post(gemini::generate),
        )
        .method_not_allowed_fallback(wrong_method)
        // Web pages may be clients: what lets them in is the token, which a foreign page
        // does not have. The admin API has a cookie, and therefore no CORS.
        .layer(
            CorsLayer::new()
                .allow_origin(cors::Any)
                .allow_methods(cors::Any)
                .allow_headers(cors::Any)
                .expose_headers(cors::Any)
                .max_age(Duration::from_secs(24 * 60 * 60)),
        )
        // What is in a body decides where it goes, so nobody passes it on unread.
        .layer(RequestDecompressionLayer::new())
        .with_state(app)
}

/// What Google keeps for clients, below each version that its clients name.
fn resources() -> Router<App> {
    let mut router = Router::new()
        .route(
            "/upload/{version}/{*path}",
            any(gemini::resources::resource),
        )
        .route(
            "/download/{version}/{*path}",
            any(gemini::resources::resource),
        );
    for version in ["v1", "v1beta", "v1alpha"] {
        router = router.route(
            &format!("/{version}/models/{{model}}/operations/{{*rest}}"),
            any(gemini::resources::resource),
        );
        // `/v1/files` has OpenAI's routes, and `/v1beta/files` means it.
        for collection in COLLECTIONS.iter().filter(|name| **name != "files") {
            let handler = match version {
                "v1" => any(gemini::resources::if_googles),
                _ => any(gemini::resources::resource),
            };
            let path = format!("/{version}/{collection}");
            router = router
                .route(&path, handler.clone())
                .route(&format!("{path}/{{*rest}}"), handler);
        }
    }
    router
}

/// `/v1/models` belongs to OpenAI's clients, to Anthropic's and to Google's newest
/// (google-genai 3 calls `/v1`); the way the token is sent tells them apart.
async fn list_models(app: State<App>, request: Request) -> Response {
    match style(&request) {
        Style::Google => gemini::models(app, request).await,
        Style::Anthropic => anthropic::models(app, request).await,
        Style::Bearer => openai::models(app, request).await,
    }
}

async fn one_model(app: State<App>, request: Request) -> Response {
    match style(&request) {
        Style::Google => gemini::model(app, request).await,
        Style::Anthropic => anthropic::model(app, request).await,
        Style::Bearer => openai::model(app, request).await,
    }
}

/// `/v1/files` is OpenAI's here, unless the token is sent as Google's clients do.
async fn files_of_google(app: State<App>, request: Request, next: Next) -> Response {
    match style(&request) {
        Style::Google => gemini::resources::resource(app, request).await,
        Style::Anthropic | Style::Bearer => next.run(request).await,
    }
}

/// Whose client this is. Anthropic's send their version even when the token is a bearer's.
fn style(request: &Request) -> Style {
    if request.headers().contains_key("anthropic-version") {
        return Style::Anthropic;
    }
    auth::presented(request.headers(), request.uri().query())
        .map_or(Style::Bearer, |(_, style)| style)
}

/// Lets a request in, or says why not.
fn admit(app: &App, parts: &Parts, surface: Surface) -> Result<Trace, Problem> {
    let_in(app, parts, surface, |token| {
        app.core.tokens.admit(token, &app.core.clock)
    })
}

/// Lets in a question about what was asked for earlier, which counts for nothing: whoever is at a
/// limit must be able to fetch, and to cancel, what is under way.
fn admit_beside(app: &App, parts: &Parts, surface: Surface) -> Result<Trace, Problem> {
    let_in(app, parts, surface, |token| {
        app.core.tokens.admit_beside(token, &app.core.clock)
    })
}

/// Lets in what the token with this number has begun; `None` when it is not accepted any more.
fn admit_of(app: &App, parts: &Parts, surface: Surface, token: i64) -> Option<Trace> {
    let admitted = app.core.tokens.admit_of(token, &app.core.clock)?;
    Some(Trace::start(&app.core, surface, Some(admitted), parts))
}

fn let_in(
    app: &App,
    parts: &Parts,
    surface: Surface,
    admit: impl FnOnce(&str) -> Result<Admitted, Refused>,
) -> Result<Trace, Problem> {
    if parts.extensions.get::<Internal>().is_some() {
        return Ok(Trace::start(&app.core, surface, None, parts));
    }
    let Some((token, _)) = auth::presented(&parts.headers, parts.uri.query()) else {
        let problem = Problem::unauthorized(false);
        trace::refused(&app.core, surface, &problem);
        return Err(problem);
    };
    match admit(&token) {
        Ok(admitted) => Ok(Trace::start(&app.core, surface, Some(admitted), parts)),
        Err(Refused::Unknown) => {
            let problem = Problem::unauthorized(true);
            trace::refused(&app.core, surface, &problem);
            Err(problem)
        }
        Err(Refused::Limit {
            id,
            name,
            limit,
            is_filed,
        }) => {
            let problem = Problem::limited(&name, limit, &app.core.settings());
            match is_filed {
                true => Trace::turned_away(&app.core, surface, id, &problem, parts),
                false => trace::refused(&app.core, surface, &problem),
            }
            Err(problem)
        }
    }
}

/// Reads a request's body, up to the limit of the settings. What is beyond it is thrown
/// away, so that the client gets to read why instead of finding the connection closed.
async fn read_body(app: &App, mut body: Body) -> Result<Bytes, Problem> {
    let limit = app.core.settings().max_body_bytes();
    let mut whole: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::bad_request(
                "The request broke off before its body was complete.",
            ));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length > limit {
            drop(whole);
            discard(body).await;
            return Err(Problem::too_large(limit));
        }
        whole.push(data);
    }
    Ok(match whole.len() {
        1 => whole.swap_remove(0),
        _ => whole.concat().into(),
    })
}

/// Reads a body to its end and keeps nothing of it, up to a bound in size and in time.
async fn discard(body: Body) {
    const MOST: usize = 1 << 30;
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut body = Limited::new(body, MOST);
    let _ = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(_)) = body.frame().await {}
    })
    .await;
}

/// Refuses a request whose body nobody has read.
async fn turn_away(body: Body, problem: &Problem, surface: Surface) -> Response {
    discard(body).await;
    problem.render(surface)
}

/// A JSON answer.
fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// An answer that is an event stream. The last header keeps nginx from buffering it.
fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Notes on a response who answered, for the panel's test request.
fn answered_by(trace: &Trace, mut response: Response) -> Response {
    response.headers_mut().extend(trace.told());
    if let Some(by) = trace.answered_by() {
        response.extensions_mut().insert(by);
    }
    response
}

/// An answer that goes on; `body` takes the notes along.
fn relay(mut trace: Trace, body: impl FnOnce(Trace) -> Response) -> Response {
    trace.first_byte();
    let by = trace.answered_by();
    let told = trace.told();
    let mut response = body(trace);
    response.headers_mut().extend(told);
    if let Some(by) = by {
        response.extensions_mut().insert(by);
    }
    response
}

/// Ends a request with `problem`: notes it, and says it in the surface's protocol.
fn refuse(mut trace: Trace, surface: Surface, problem: &Problem) -> Response {
    trace.fail(problem.status.as_u16(), &problem.message);
    answered_by(&trace, problem.render(surface))
}

/// Says that a path does not exist, and which base URL would be right. How the token was sent
/// tells more of the client's protocol than a path that is wrong.
async fn unknown_path(surface: Surface, request: Request) -> Response {
    let surface = match style(&request) {
        Style::Google => Surface::Gemini,
        Style::Anthropic => Surface::Anthropic,
        Style::Bearer => surface,
    };
    let here = address::asked_for(request.headers());
    let problem = Problem::not_found(format!(
        "{} {} does not exist here. OpenAI clients use the base URL {here}/v1; Google's and \
         Anthropic's use {here} (they add the path themselves).",
        request.method(),
        request.uri().path()
    ));
    turn_away(request.into_body(), &problem, surface).await
}

/// A client came to the port that is the panel's alone.
async fn other_port(surface: Surface, port: u16, request: Request) -> Response {
    let problem = Problem::not_found(format!(
        "This port serves the panel only (ADMIN_PORT). Clients use the same host with port {port}."
    ));
    turn_away(request.into_body(), &problem, surface).await
}

async fn wrong_method(request: Request) -> Response {
    let surface = speaks(request.uri().path()).unwrap_or(Surface::Openai);
    let problem = Problem::wrong_method(format!(
        "{} takes no {} requests.",
        request.uri().path(),
        request.method()
    ));
    turn_away(request.into_body(), &problem, surface).await
}

async fn no_panel() -> Response {
    const PAGE: &str = include_str!("no_panel.html");
    let mut response = Response::new(Body::from(PAGE));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// What `/health` answers; monitors and `gemini-balance health` compare with it.
pub const HEALTHY: &str = r#"{"status":"ok"}"#;

/// The process answers. Says nothing about keys or database: see `/ready`.
async fn health() -> Response {
    json(StatusCode::OK, HEALTHY)
}

/// Whether a request would be answered now, i.e. a key is ready. A database that is away is
/// told and changes nothing about that: a host must not end a server that answers.
async fn ready(State(core): State<Arc<Core>>) -> Response {
    let PoolSummary { total, ready, .. } = core.pool.summary();
    let status = match ready > 0 {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let database = match core.store.state() {
        DatabaseState::Unreachable { .. } => "unreachable",
        DatabaseState::ReadOnly { .. } => "read_only",
        DatabaseState::Ready if core.recorder.is_failing() => "failing",
        DatabaseState::Ready => "ok",
    };
    let body = serde_json::json!({
        "ready": status == StatusCode::OK,
        "keys": { "total": total, "ready": ready },
        "database": database,
    });
    json(status, body.to_string())
}
