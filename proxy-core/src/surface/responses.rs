//! OpenAI's Responses API, translated by [`dialect`]; what clients want kept is in
//! [`crate::memory::kept`].

use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use contract::admin::Surface;
use dialect::fetch::Wanted;
use dialect::openai_to_gemini::responses::{
    Kept, Page, ResponsesCall, ResponsesStream, responses_request_with, responses_response,
};
use dialect::{IdsOf, Invalid, Malformed, Reading, ResponseMeta, Uploads, UpstreamFailure};
use http::StatusCode;
use serde::Deserialize;

use super::problem::Problem;
use super::trace::Trace;
use super::translated::{EventWriter, Protocol, answer};
use super::{App, admit, json, refuse, turn_away};
use crate::Core;

/// POST `/v1/responses`.
pub(super) async fn create(State(app): State<App>, request: Request) -> Response {
    answer::<Asked>(&app, request).await
}

/// A request, and who is to keep the answer.
struct Asked {
    call: ResponsesCall,
    keeper: Keeper,
}

/// Keeps answers for a token.
#[derive(Clone)]
struct Keeper {
    core: Arc<Core>,
    token: Option<i64>,
}

impl Keeper {
    fn keep(&self, kept: Option<Kept>) {
        if let (Some(token), Some(kept)) = (self.token, kept) {
            self.core.responses.keep(token, kept);
        }
    }
}

impl Protocol for Asked {
    const SURFACE: Surface = Surface::Openai;
    const ID: &'static str = "resp_";
    const IDS: IdsOf = IdsOf::Responses;
    type Stream = KeptStream;

    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid> {
        let keeper = Keeper {
            core: app.core.clone(),
            token: trace.token_id(),
        };
        let memory = app.core.responses.of(keeper.token);
        let reading = Reading {
            models: &app.core.settings().model_map,
            signatures: &app.core.signatures.of(keeper.token),
        };
        let call = responses_request_with(body, &memory, &reading)?;
        Ok(Self { call, keeper })
    }

    fn model(&self) -> &str {
        &self.call.model
    }

    fn wants_stream(&self) -> bool {
        self.call.stream
    }

    fn notes(&self) -> &[String] {
        &self.call.notes
    }

    fn wanted(&self) -> &[Wanted] {
        &self.call.fetch
    }

    fn uploads(&self) -> Option<&Uploads> {
        self.call.uploads.as_ref()
    }

    fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.call.body)
    }

    fn whole(&self, meta: &ResponseMeta, answer: &[u8]) -> Result<Vec<u8>, Malformed> {
        let (body, kept) = responses_response(&self.call, meta, answer)?;
        self.keeper.keep(kept);
        Ok(body)
    }

    fn stream(&self, meta: &ResponseMeta) -> KeptStream {
        KeptStream {
            stream: ResponsesStream::new(&self.call, meta),
            keeper: self.keeper.clone(),
        }
    }
}

/// A stream whose answer is kept when it is complete.
struct KeptStream {
    stream: ResponsesStream,
    keeper: Keeper,
}

impl EventWriter for KeptStream {
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.stream.event(data, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.stream.finish(out);
        // Before the client has the last event, so that it can go on from it at once.
        self.keeper.keep(self.stream.take_kept());
    }

    fn abort(&mut self, failure: &UpstreamFailure, out: &mut Vec<u8>) {
        self.stream.abort(failure, out);
    }
}

/// GET `/v1/responses/{id}`.
pub(super) async fn retrieve(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    about(&app, &id, request, |kept, _| Ok(kept.response().to_vec())).await
}

/// DELETE `/v1/responses/{id}`.
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    about(&app, &id, request, |kept, trace| {
        app.core.responses.delete(trace.token_id(), kept.id());
        let deleted = serde_json::json!({
            "id": kept.id(),
            "object": "response",
            "deleted": true,
        });
        Ok(deleted.to_string().into_bytes())
    })
    .await
}

/// GET `/v1/responses/{id}/input_items`.
pub(super) async fn input_items(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    #[derive(Deserialize)]
    struct Wanted {
        #[serde(default = "usual")]
        limit: usize,
        order: Option<String>,
        after: Option<String>,
    }
    /// OpenAI's.
    fn usual() -> usize {
        20
    }
    let wanted = Query::<Wanted>::try_from_uri(request.uri());
    about(&app, &id, request, |kept, _| {
        let Query(wanted) = wanted.map_err(|error| {
            Problem::bad_request(format!("The query is not acceptable: {error}."))
        })?;
        if !(1..=100).contains(&wanted.limit) {
            return Err(Problem::bad_request("`limit` must be from 1 to 100."));
        }
        let newest_first = match wanted.order.as_deref() {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => return Err(Problem::bad_request("`order` must be asc or desc.")),
        };
        let page = Page {
            limit: wanted.limit,
            newest_first,
            after: wanted.after.as_deref(),
        };
        Ok(kept.input_items(page)?)
    })
    .await
}

/// POST `/v1/responses/{id}/cancel`. There are no answers in the background, so nothing can be
/// cancelled; this is what OpenAI says of an answer that was not.
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    about(&app, &id, request, |_, _| {
        Err(Problem::bad_request(
            "Cannot cancel a synchronous response.",
        ))
    })
    .await
}

/// Answers a question about an answer that was kept.
async fn about(
    app: &App,
    id: &str,
    request: Request,
    answer: impl FnOnce(&Kept, &Trace) -> Result<Vec<u8>, Problem>,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Openai).await,
    };
    let answered = match app.core.responses.get(trace.token_id(), id) {
        Some(kept) => answer(&kept, &trace),
        None => Err(Problem::not_found(format!(
            "Response with id '{id}' not found. Responses are kept for the client token that \
             asked for them, and only for a while."
        ))),
    };
    match answered {
        Ok(body) => {
            trace.first_byte();
            trace.succeed();
            json(StatusCode::OK, body)
        }
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}
