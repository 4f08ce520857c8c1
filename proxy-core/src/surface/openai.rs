//! OpenAI's protocol, translated by [`dialect`].

use axum::extract::{Request, State};
use axum::response::Response;
use contract::admin::Surface;
use dialect::fetch::Wanted;
use dialect::openai_to_gemini::{
    ChatCall, ChatStream, chat_request_with, chat_response, chat_response_spoken, speech_heard,
};
use dialect::{IdsOf, Invalid, Malformed, Reading, ResponseMeta, Uploads, openai};

use super::speech::packed;
use super::trace::Trace;
use super::translated::{Protocol, answer, event_writer};
use super::{App, models};

/// POST `/v1/chat/completions`.
pub(super) async fn chat(State(app): State<App>, request: Request) -> Response {
    answer::<ChatCall>(&app, request).await
}

impl Protocol for ChatCall {
    const SURFACE: Surface = Surface::Openai;
    const ID: &'static str = "chatcmpl-";
    const IDS: Option<IdsOf> = Some(IdsOf::Chat);
    type Stream = ChatStream;

    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid> {
        let reading = Reading {
            models: &app.core.settings().model_map,
            signatures: &trace.signatures(),
        };
        chat_request_with(body, &reading)
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

    fn choices(&self) -> u32 {
        self.choices
    }

    fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    fn whole(&self, meta: &ResponseMeta, answer: &[u8]) -> Result<Vec<u8>, Malformed> {
        let Some(format) = self.audio else {
            return chat_response(self, meta, answer);
        };
        let heard = speech_heard(answer)?;
        if heard.samples.is_empty() {
            return chat_response(self, meta, answer);
        }
        let audio = packed(&heard, format)?;
        chat_response_spoken(self, meta, answer, Some(&audio))
    }

    fn stream(&self, meta: &ResponseMeta) -> ChatStream {
        ChatStream::new(self, meta)
    }
}

event_writer!(ChatStream);

/// GET `/v1/models`.
pub(super) async fn models(State(app): State<App>, request: Request) -> Response {
    models::answer(&app, request, Surface::Openai, |models, created| {
        Some(openai::models::list(models, created))
    })
    .await
}

/// GET `/v1/models/{id}`.
pub(super) async fn model(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    models::answer(&app, request, Surface::Openai, |models, created| {
        let model = models::find(models, &path)?;
        Some(openai::models::one(model, created))
    })
    .await
}
