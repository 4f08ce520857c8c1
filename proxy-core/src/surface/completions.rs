//! OpenAI's legacy completions, translated by [`dialect`].

use axum::extract::{Request, State};
use axum::response::Response;
use contract::admin::Surface;
use dialect::fetch::Wanted;
use dialect::openai_to_gemini::{
    CompletionCall, CompletionStream, completion_request_with, completion_response,
};
use dialect::{IdsOf, Invalid, Malformed, Reading, ResponseMeta, Uploads};

use super::App;
use super::trace::Trace;
use super::translated::{Protocol, answer, event_writer};

/// POST `/v1/completions`.
pub(super) async fn complete(State(app): State<App>, request: Request) -> Response {
    answer::<CompletionCall>(&app, request).await
}

impl Protocol for CompletionCall {
    const SURFACE: Surface = Surface::Openai;
    const ID: &'static str = "cmpl-";
    const IDS: Option<IdsOf> = None;
    type Stream = CompletionStream;

    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid> {
        let reading = Reading {
            models: &app.core.settings().model_map,
            signatures: &trace.signatures(),
        };
        completion_request_with(body, &reading)
    }

    fn model(&self) -> &str {
        &self.chat.model
    }

    fn wants_stream(&self) -> bool {
        self.chat.stream
    }

    fn notes(&self) -> &[String] {
        &self.chat.notes
    }

    fn wanted(&self) -> &[Wanted] {
        &self.chat.fetch
    }

    fn uploads(&self) -> Option<&Uploads> {
        self.chat.uploads.as_ref()
    }

    fn choices(&self) -> u32 {
        self.choices()
    }

    fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chat.body)
    }

    fn take_more(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.more)
    }

    fn whole(&self, meta: &ResponseMeta, answer: &[u8]) -> Result<Vec<u8>, Malformed> {
        completion_response(self, meta, answer)
    }

    fn stream(&self, meta: &ResponseMeta) -> CompletionStream {
        CompletionStream::new(self, meta)
    }
}

event_writer!(CompletionStream);
