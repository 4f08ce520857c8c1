//! OpenAI's images, translated by [`dialect`].

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::Invalid;
use dialect::gemini::Peek;
use dialect::openai_to_gemini::{
    ImagesCall, Undrawn, image_edit_form, image_edit_request, images_request, images_response,
};
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};

use super::choices::succeeded;
use super::problem::Problem;
use super::trace::Trace;
use super::translated::{filled, unreadable, whole};
use super::{App, admit, answered_by, event_stream, form, json, read_body, refuse, turn_away};

/// POST `/v1/images/generations`.
pub(super) async fn generate(State(app): State<App>, request: Request) -> Response {
    answer(&app, request, Kind::Generation).await
}

/// POST `/v1/images/edits`: a form, or JSON with addresses.
pub(super) async fn edit(State(app): State<App>, request: Request) -> Response {
    answer(&app, request, Kind::Edit).await
}

#[derive(Clone, Copy)]
enum Kind {
    Generation,
    Edit,
}

async fn answer(app: &App, request: Request, kind: Kind) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Openai).await,
    };
    match attempt(app, &parts.headers, body, kind, &mut trace).await {
        Ok((body, stream)) => {
            trace.first_byte();
            trace.succeed();
            let response = match stream {
                true => event_stream(Body::from(body)),
                false => json(StatusCode::OK, body),
            };
            answered_by(&trace, response)
        }
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}

/// The answer, and whether it is a stream.
async fn attempt(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    kind: Kind,
    trace: &mut Trace,
) -> Result<(Vec<u8>, bool), Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let mut asked = read(app, headers, body, kind).await?;
    trace.asked(&asked.model, asked.stream)?;
    let body = std::mem::take(&mut asked.body);
    let body = Bytes::from(filled(app, body, &asked.fetch).await?);
    // One answer has one image.
    let calls = (0..asked.times).map(|_| {
        let (mut beside, body) = (trace.branch(), body.clone());
        let of = (&*asked.model, asked.uploads.as_ref());
        async move {
            let answer = whole(app, of, body, &mut beside).await;
            beside.call_is_over();
            (answer, beside)
        }
    });
    let mut answers = Vec::with_capacity(asked.times as usize);
    for (answer, mut beside) in join_all(calls).await {
        trace.join(&mut beside);
        answers.push(answer);
    }
    let answers: Vec<Bytes> = succeeded(answers)?;
    let created = app.core.clock.now() / 1000;
    let drawn = images_response(&asked, created, &answers).map_err(|undrawn| match undrawn {
        Undrawn::Malformed(error) => unreadable(&error),
        Undrawn::Refused(invalid) => invalid.into(),
    });
    let drawn = drawn?;
    trace.usage(&Peek {
        usage: drawn.usage,
        ..Peek::default()
    });
    Ok((drawn.body, asked.stream))
}

async fn read(
    app: &App,
    headers: &HeaderMap,
    body: Bytes,
    kind: Kind,
) -> Result<ImagesCall, Problem> {
    let asked: Result<ImagesCall, Invalid> = match kind {
        Kind::Generation => images_request(&body, &app.core.settings().model_map),
        Kind::Edit if form::is_form(headers) => {
            let form = form::read(headers, body).await?;
            image_edit_form(&form, &app.core.settings().model_map)
        }
        Kind::Edit => image_edit_request(&body, &app.core.settings().model_map),
    };
    Ok(asked?)
}
