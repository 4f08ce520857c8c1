//! OpenAI's Responses API, translated by [`dialect`]; what clients want kept is in
//! [`crate::memory::kept`], what they do not wait for in [`background`].

mod background;

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
use super::translated::{EventWriter, Pace, Protocol, noticed, receive, reply};
use super::{App, admit_beside, json, refuse, turn_away};
use crate::Core;

pub(crate) use background::Background;

/// POST `/v1/responses`.
pub(super) async fn create(State(app): State<App>, request: Request) -> Response {
    let (asked, meta, trace) = match receive::<Asked>(&app, request).await {
        Ok(received) => received,
        Err(refused) => return *refused,
    };
    if !asked.call.background {
        return reply(&app, (asked, meta, trace)).await;
    }
    let notes = asked.call.notes.clone();
    noticed(background::begin(&app, asked, meta, trace), &notes)
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
    const IDS: Option<IdsOf> = Some(IdsOf::Responses);
    type Stream = KeptStream;

    fn read(body: &[u8], app: &App, trace: &Trace) -> Result<Self, Invalid> {
        let keeper = Keeper {
            core: app.core.clone(),
            token: trace.token_id(),
        };
        let memory = app.core.responses.of(keeper.token);
        let reading = Reading {
            models: &app.core.settings().model_map,
            signatures: &trace.signatures(),
        };
        let call = responses_request_with(body, &memory, &reading)?;
        Ok(Self { call, keeper })
    }

    fn model(&self) -> &str {
        &self.call.model
    }

    fn wants_stream(&self) -> bool {
        // Who comes back may follow it, however it was begun.
        self.call.stream || self.call.background
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
        self.keeper.keep(self.stream.take_kept());
    }
}

/// GET `/v1/responses/{id}`: the answer, or with `stream` its events, those to come included.
pub(super) async fn retrieve(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    #[derive(Deserialize)]
    struct Wanted {
        #[serde(default)]
        stream: bool,
        starting_after: Option<usize>,
    }
    let wanted = Query::<Wanted>::try_from_uri(request.uri());
    let mut trace = match let_in(&app, request).await {
        Ok(trace) => trace,
        Err(refused) => return *refused,
    };
    let job = app.core.background.of(trace.token_id(), &id);
    let answered = match (wanted, &job) {
        (Err(error), _) => Err(Problem::bad_request(format!(
            "The query is not acceptable: {error}."
        ))),
        (Ok(Query(wanted)), Some(job)) if wanted.stream => {
            let from = wanted
                .starting_after
                .map_or(0, |last| last.saturating_add(1));
            trace.first_byte();
            trace.succeed();
            return job.follow(from, Pace::of(&app.core.settings()));
        }
        (Ok(_), Some(job)) if job.is_running() => Ok(job.now()),
        // It may have been too large to be kept.
        (Ok(Query(wanted)), Some(job)) if !wanted.stream => {
            let kept = app.core.responses.get(trace.token_id(), &id);
            Ok(kept.map_or_else(|| job.now(), |kept| kept.response().to_vec()))
        }
        (Ok(Query(wanted)), _) => kept(&app, &trace, &id).and_then(|kept| match wanted.stream {
            false => Ok(kept.response().to_vec()),
            true => Err(Problem::bad_request(
                "The events of this response are gone: they are kept for ten minutes, and only of \
                 responses in the background. Leave `stream` out to get the response itself.",
            )),
        }),
    };
    told(trace, answered)
}

/// DELETE `/v1/responses/{id}`. What is under way ends.
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let trace = match let_in(&app, request).await {
        Ok(trace) => trace,
        Err(refused) => return *refused,
    };
    let job = app.core.background.of(trace.token_id(), &id);
    if let Some(job) = &job {
        app.core.background.delete(&id);
        job.cancel().await;
    }
    let known = match job {
        // Also what was promised of it is forgotten.
        Some(_) => {
            app.core.responses.drop_written(&id);
            Ok(())
        }
        None => kept(&app, &trace, &id).map(drop),
    };
    let answered = known.map(|()| {
        app.core.responses.delete(trace.token_id(), &id);
        let deleted = serde_json::json!({
            "id": id,
            "object": "response",
            "deleted": true,
        });
        deleted.to_string().into_bytes()
    });
    told(trace, answered)
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
    let trace = match let_in(&app, request).await {
        Ok(trace) => trace,
        Err(refused) => return *refused,
    };
    let answered = kept(&app, &trace, &id).and_then(|kept| {
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
    });
    told(trace, answered)
}

/// POST `/v1/responses/{id}/cancel`: ends what is under way in the background, and stops the call
/// to Google. Of one that has ended it changes nothing, as at OpenAI.
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let trace = match let_in(&app, request).await {
        Ok(trace) => trace,
        Err(refused) => return *refused,
    };
    let job = app.core.background.of(trace.token_id(), &id);
    if let Some(job) = &job {
        job.cancel().await;
    }
    let known = match (kept(&app, &trace, &id), job) {
        (Err(_), Some(job)) => return told(trace, Ok(job.now())),
        (known, _) => known,
    };
    let answered = known.and_then(|kept| match kept.was_in_background() {
        true => Ok(kept.response().to_vec()),
        false => Err(Problem::bad_request(
            "Cannot cancel a synchronous response.",
        )),
    });
    told(trace, answered)
}

/// Lets in a question about an answer.
async fn let_in(app: &App, request: Request) -> Result<Trace, Box<Response>> {
    let (parts, body) = request.into_parts();
    match admit_beside(app, &parts, Surface::Openai) {
        Ok(trace) => Ok(trace),
        Err(problem) => Err(Box::new(turn_away(body, &problem, Surface::Openai).await)),
    }
}

/// An answer that was kept.
fn kept(app: &App, trace: &Trace, id: &str) -> Result<Arc<Kept>, Problem> {
    app.core.responses.get(trace.token_id(), id).ok_or_else(|| {
        Problem::not_found(format!(
            "Response with id '{id}' not found. Responses are kept for the client token that \
             asked for them, and only for a while."
        ))
    })
}

/// Answers a question about an answer.
fn told(mut trace: Trace, answered: Result<Vec<u8>, Problem>) -> Response {
    match answered {
        Ok(body) => {
            trace.first_byte();
            trace.succeed();
            json(StatusCode::OK, body)
        }
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}
