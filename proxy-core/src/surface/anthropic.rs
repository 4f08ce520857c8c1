//! Anthropic's protocol, translated by [`dialect`].

use axum::extract::{Request, State};
use axum::response::Response;
use contract::admin::Surface;
use dialect::anthropic_to_gemini::{
    MessagesCall, MessagesStream, count_tokens_request, count_tokens_response,
    messages_request_with, messages_response,
};
use dialect::fetch::Wanted;
use dialect::{IdsOf, Invalid, Malformed, Reading, ResponseMeta, Uploads, anthropic};
use http::{Method, StatusCode};

use super::problem::Problem;
use super::trace::Trace;
use super::translated::{Protocol, answer, call_with, event_writer, filled, unreadable};
use super::{App, admit, json, models, read_body, refuse, turn_away};
use crate::pool::COUNT_TOKENS;
use crate::upstream::{Answer, At, Call, Expect, json_headers};

/// POST `/v1/messages`.
pub(super) async fn messages(State(app): State<App>, request: Request) -> Response {
    answer::<MessagesCall>(&app, request).await
}

impl Protocol for MessagesCall {
    const SURFACE: Surface = Surface::Anthropic;
    const ID: &'static str = "msg_";
    const IDS: Option<IdsOf> = Some(IdsOf::Messages);
    const BEAT: &'static [u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";
    type Stream = MessagesStream;

    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid> {
        let reading = Reading {
            models: &app.core.settings().model_map,
            signatures: &trace.signatures(),
        };
        messages_request_with(body, &reading)
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn wants_stream(&self) -> bool {
        self.stream
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn wanted(&self) -> &[Wanted] {
        &self.fetch
    }

    fn uploads(&self) -> Option<&Uploads> {
        self.uploads.as_ref()
    }

    fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    fn whole(&self, meta: &ResponseMeta, answer: &[u8]) -> Result<Vec<u8>, Malformed> {
        messages_response(self, meta, answer)
    }

    fn stream(&self, meta: &ResponseMeta) -> MessagesStream {
        MessagesStream::new(self, meta)
    }
}

event_writer!(MessagesStream);

/// POST `/v1/messages/count_tokens`.
pub(super) async fn count_tokens(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Anthropic) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Anthropic).await,
    };
    match count(&app, body, &mut trace).await {
        Ok(body) => {
            trace.first_byte();
            trace.succeed();
            json(StatusCode::OK, body)
        }
        Err(problem) => refuse(trace, Surface::Anthropic, &problem),
    }
}

async fn count(app: &App, body: axum::body::Body, trace: &mut Trace) -> Result<Vec<u8>, Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let asked = count_tokens_request(&body, &app.core.settings().model_map)?;
    trace.asked(&asked.model, false)?;
    let body = filled(app, asked.body, &asked.fetch).await?;
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{}:countTokens", asked.model),
        query: "",
        model: &asked.model,
        counted_as: Some(COUNT_TOKENS),
        headers: json_headers(),
        body: body.into(),
        expect: Expect::Anything,
        at: At::Any,
    };
    match call_with(app, &call, asked.uploads.as_ref(), trace).await? {
        Answer::Whole(whole) => {
            count_tokens_response(&whole.body).map_err(|error| unreadable(&error))
        }
        _ => Err(Problem::bug("a count streamed")),
    }
}

/// GET `/v1/models`.
pub(super) async fn models(State(app): State<App>, request: Request) -> Response {
    models::answer(&app, request, Surface::Anthropic, |models, _| {
        Some(anthropic::models::list(models))
    })
    .await
}

/// GET `/v1/models/{id}`.
pub(super) async fn model(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    models::answer(&app, request, Surface::Anthropic, |models, _| {
        Some(anthropic::models::one(models::find(models, &path)?))
    })
    .await
}
