//! Streams of Google's own protocol that are made of whole answers (`FAKE_STREAM_ENABLED`), with
//! signs of life while Google thinks.
//!
//! A sign of life is a thought that is a space: Google's SDK for Python takes a comment of an event
//! stream for broken JSON, the older one for JavaScript fails at a line too many, and both leave a
//! turn out of the history in which a part is empty.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::compact;
use http::{Method, StatusCode};

use super::super::flow::{Beating, Late};
use super::super::problem::Problem;
use super::super::trace::Trace;
use super::super::{App, answered_by, event_stream, json, refuse};
use super::Asked;
use crate::upstream::{Answer, Call, Expect};

const BEAT: &[u8] = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" \",\"thought\":true}],\"role\":\"model\"},\"index\":0}]}\r\n\r\n";

/// Answers with a stream of one event, or with an array of it.
pub(super) async fn stream(
    app: App,
    asked: Asked,
    mut trace: Trace,
    wants_array: bool,
) -> Response {
    let every = app.core.settings().stream_heartbeat;
    if wants_array || every.is_zero() {
        return match ask(&app, &asked, &mut trace).await {
            Ok(answer) => whole(answer, trace, wants_array),
            Err(problem) => refuse(trace, Surface::Gemini, &problem),
        };
    }
    let mut asking = Box::pin(async move {
        let answer = ask(&app, &asked, &mut trace).await;
        (answer, trace)
    });
    match tokio::time::timeout(every, &mut asking).await {
        Ok((Ok(answer), trace)) => whole(answer, trace, false),
        Ok((Err(problem), trace)) => refuse(trace, Surface::Gemini, &problem),
        Err(_) => {
            let late = Box::pin(async move {
                let (answer, mut trace) = asking.await;
                trace.first_byte();
                Late::Whole(match answer {
                    Ok(answer) => {
                        trace.succeed();
                        event(&answer)
                    }
                    Err(problem) => {
                        trace.fail(problem.status.as_u16(), &problem.message);
                        event(&problem.body(Surface::Gemini))
                    }
                })
            });
            event_stream(Body::new(Beating::waiting(late, BEAT, every)))
        }
    }
}

fn whole(answer: Bytes, mut trace: Trace, wants_array: bool) -> Response {
    trace.first_byte();
    trace.succeed();
    let response = match wants_array {
        true => json(StatusCode::OK, [b"[", &*answer, b"]"].concat()),
        false => event_stream(event(&answer).into()),
    };
    answered_by(&trace, response)
}

async fn ask(app: &App, asked: &Asked, trace: &mut Trace) -> Result<Bytes, Problem> {
    let call = Call {
        method: Method::POST,
        path: &asked.path,
        query: &asked.query,
        model: &asked.model,
        counted_as: None,
        headers: asked.headers.clone(),
        body: asked.body.clone(),
        expect: Expect::Content,
        at: asked.at,
    };
    match app.upstream.call(&app.core, &call, trace).await {
        Ok(Answer::Whole(whole)) => Ok(whole.body),
        Ok(_) => Err(Problem::bug("a whole answer streamed")),
        Err(failure) => Err(Problem::of(failure, &app.core)),
    }
}

/// JSON as an event, which is one line.
fn event(body: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(body);
    format!("data: {}\r\n\r\n", compact(&text)).into()
}
