//! OpenAI's transcripts and translations of audio, translated by [`dialect`].

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use contract::admin::Surface;
use dialect::openai_to_gemini::{
    Task, TranscribeStream, Transcript, Unheard, transcribe_request, transcribe_response,
};
use http::{HeaderMap, HeaderValue, Method, header};

use super::problem::Problem;
use super::trace::Trace;
use super::translated::{Written, event_writer, unreadable};
use super::{App, admit, answered_by, event_stream, form, read_body, refuse, relay, turn_away};
use crate::upstream::{Answer, At, Call, Expect, OpenStream, Relay, json_headers};

/// POST `/v1/audio/transcriptions`.
pub(super) async fn transcribe(State(app): State<App>, request: Request) -> Response {
    answer(&app, request, Task::Transcribe).await
}

/// POST `/v1/audio/translations`.
pub(super) async fn translate(State(app): State<App>, request: Request) -> Response {
    answer(&app, request, Task::Translate).await
}

enum Answered {
    Whole(Transcript),
    Stream(OpenStream),
}

async fn answer(app: &App, request: Request, task: Task) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Openai).await,
    };
    match attempt(app, &parts.headers, body, task, &mut trace).await {
        Ok(Answered::Whole(transcript)) => {
            trace.first_byte();
            trace.succeed();
            let mut response = Response::new(Body::from(transcript.body));
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(transcript.media_type),
            );
            answered_by(&trace, response)
        }
        Ok(Answered::Stream(stream)) => relay(trace, |trace| {
            let written = Written::new(Box::new(TranscribeStream::new()));
            event_stream(Body::new(Relay::new(stream, written, trace)))
        }),
        Err(problem) => refuse(trace, Surface::Openai, &problem),
    }
}

async fn attempt(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    task: Task,
    trace: &mut Trace,
) -> Result<Answered, Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let form = form::read(headers, body).await?;
    let mut asked = transcribe_request(&form, task, &app.core.settings().model_map)?;
    drop(form);
    trace.asked(&asked.model, asked.stream)?;
    let (verb, query, expect) = match asked.stream {
        true => ("streamGenerateContent", "alt=sse", Expect::Stream),
        false => ("generateContent", "", Expect::Content),
    };
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{}:{verb}", asked.model),
        query,
        model: &asked.model,
        counted_as: None,
        headers: json_headers(),
        body: std::mem::take(&mut asked.body).into(),
        expect,
        at: At::Any,
    };
    let answer = app.upstream.call(&app.core, &call, trace).await;
    match answer.map_err(|failure| Problem::of(failure, &app.core))? {
        Answer::Stream(stream) => Ok(Answered::Stream(stream)),
        Answer::Raw(_) | Answer::Live(_) => Err(Problem::bug("an answer came raw")),
        Answer::Whole(whole) => transcribe_response(&asked, &whole.body)
            .map(Answered::Whole)
            .map_err(|unheard| match unheard {
                Unheard::Malformed(error) => unreadable(&error),
                Unheard::Refused(invalid) => invalid.into(),
            }),
    }
}

event_writer!(TranscribeStream);
