//! OpenAI's protocol, translated by [`dialect`].

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::ApiStatus;
use dialect::openai_to_gemini::{self, ChatStream};
use dialect::{ResponseMeta, UpstreamFailure, openai};
use http::{Method, StatusCode};

use super::problem::Problem;
use super::trace::Trace;
use super::{App, admit, answered_by, event_stream, json, read_body, refuse, relay};
use crate::upstream::{Answer, Call, Expect, Relay, Translate, json_headers};

/// POST `/v1/chat/completions`.
pub(super) async fn chat(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Openai),
    };
    match answer_chat(&app, body, &mut trace).await {
        Ok(Chat::Whole(body)) => {
            trace.first_byte();
            trace.succeed();
            answered_by(&trace, json(StatusCode::OK, body))
        }
        Ok(Chat::Stream(stream, chat)) => {
            trace.first_byte();
            let chat = AsChunks(chat);
            relay(trace, |trace| {
                event_stream(Body::new(Relay::new(stream, chat, trace)))
            })
        }
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}

enum Chat {
    Whole(Vec<u8>),
    Stream(crate::upstream::OpenStream, Box<ChatStream>),
}

async fn answer_chat(app: &App, body: Body, trace: &mut Trace) -> Result<Chat, Problem> {
    let body = read_body(app, body).await?;
    let mut chat = openai_to_gemini::chat_request(&body)?;
    drop(body);
    trace.asked(&chat.model, chat.stream);
    let (verb, query, expect) = match chat.stream {
        true => ("streamGenerateContent", "alt=sse", Expect::Stream),
        false => ("generateContent", "", Expect::Content),
    };
    let translated = std::mem::take(&mut chat.body);
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{}:{verb}", chat.model),
        query,
        model: &chat.model,
        headers: json_headers(),
        body: translated.into(),
        expect,
    };
    let answer = app
        .upstream
        .call(&app.core, &call, trace)
        .await
        .map_err(|failure| Problem::of(failure, &app.core))?;
    let meta = ResponseMeta {
        id: completion_id()?,
        created: app.core.clock.now() / 1000,
    };
    match answer {
        Answer::Stream(stream) => {
            let chat = ChatStream::new(&chat, &meta);
            Ok(Chat::Stream(stream, Box::new(chat)))
        }
        Answer::Whole(whole) => openai_to_gemini::chat_response(&chat, &meta, &whole.body)
            .map(Chat::Whole)
            .map_err(|error| Problem::cut(&format!("Google's answer cannot be read: {error}"))),
    }
}

/// A stream of Gemini events as one of OpenAI's chunks.
struct AsChunks(Box<ChatStream>);

impl Translate for AsChunks {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = Vec::new();
        for event in events {
            if let Err(error) = self.0.event(event, &mut out) {
                let why = format!("Google's answer cannot be read: {error}");
                self.0.abort(&Problem::cut(&why).in_stream(), &mut out);
            }
        }
        out.into()
    }

    fn failed(&mut self, _event: Bytes, error: &ApiStatus) -> Bytes {
        let mut out = Vec::new();
        let failure = UpstreamFailure {
            status: error.code,
            message: error.message.clone(),
            code: Some(error.status.to_lowercase()),
        };
        self.0.abort(&failure, &mut out);
        out.into()
    }

    fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.0.finish(&mut out);
        out.into()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut out = Vec::new();
        self.0.abort(&Problem::cut(why).in_stream(), &mut out);
        out.into()
    }
}

/// GET `/v1/models`.
pub(super) async fn models(State(app): State<App>, request: Request) -> Response {
    list(&app, request, None).await
}

/// GET `/v1/models/{id}`.
pub(super) async fn model(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    list(&app, request, Some(&id)).await
}

async fn list(app: &App, request: Request, wanted: Option<&str>) -> Response {
    let (parts, _) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return problem.render(Surface::Openai),
    };
    let models = match app.core.list_models(&app.upstream).await {
        Ok(models) => models,
        Err(problem) => return refuse(trace, Surface::Openai, &problem),
    };
    let created = app.core.started_at / 1000;
    let body = match wanted {
        None => openai::models::list(models.iter(), created),
        Some(id) => {
            let bare = id.strip_prefix("models/").unwrap_or(id);
            let Some(model) = models.iter().find(|model| model.id() == bare) else {
                return refuse(trace, Surface::Openai, &Problem::no_such_model(bare));
            };
            openai::models::one(model, created)
        }
    };
    trace.first_byte();
    trace.succeed();
    json(StatusCode::OK, body)
}

/// An id for an answer, as OpenAI's look: 29 random characters would be theirs, 22 carry
/// the same 128 bits and more.
fn completion_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::bug("the system gives no random bytes"))?;
    Ok(format!("chatcmpl-{}", URL_SAFE_NO_PAD.encode(bytes)))
}
