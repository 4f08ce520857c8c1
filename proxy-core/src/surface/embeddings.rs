//! OpenAI's embeddings, translated by [`dialect`].

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::Peek;
use dialect::openai_to_gemini::{embeddings_request_with, embeddings_response};
use http::{Method, StatusCode};

use super::problem::Problem;
use super::trace::Trace;
use super::translated::unreadable;
use super::{App, admit, answered_by, json, read_body, refuse, turn_away};
use crate::upstream::{Answer, At, Call, Expect, json_headers};

/// POST `/v1/embeddings`.
pub(super) async fn embed(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Openai).await,
    };
    match attempt(&app, body, &mut trace).await {
        Ok(body) => {
            trace.first_byte();
            trace.succeed();
            answered_by(&trace, json(StatusCode::OK, body))
        }
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}

async fn attempt(app: &App, body: Body, trace: &mut Trace) -> Result<Vec<u8>, Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let mut asked = embeddings_request_with(&body, &app.core.settings().model_map)?;
    drop(body);
    trace.asked(&asked.model, false)?;
    let path = format!("/models/{}:batchEmbedContents", asked.model);
    let mut answers: Vec<Bytes> = Vec::with_capacity(asked.bodies.len());
    for body in std::mem::take(&mut asked.bodies) {
        let call = Call {
            method: Method::POST,
            path: &path,
            query: "",
            model: &asked.model,
            counted_as: None,
            headers: json_headers(),
            body: body.into(),
            expect: Expect::Anything,
            at: At::Any,
        };
        match app.upstream.call(&app.core, &call, trace).await {
            Ok(Answer::Whole(whole)) => answers.push(whole.body),
            Ok(_) => return Err(Problem::bug("embeddings streamed")),
            Err(failure) => return Err(Problem::of(failure, &app.core)),
        }
    }
    let embedded = embeddings_response(&asked, &answers).map_err(|error| unreadable(&error))?;
    trace.usage(&Peek {
        usage: embedded.usage,
        ..Peek::default()
    });
    Ok(embedded.body)
}
