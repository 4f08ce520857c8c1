//! OpenAI's speech: what Google says as samples, packed as the client wants it and sent as it
//! comes.
//!
//! Audio has no place for an error, so an answer that breaks off ends with the connection: a
//! client can tell it from one that is complete.

mod pack;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::{ApiStatus, Usage};
use dialect::openai_to_gemini::{
    AudioFormat, Heard, SpeechCall, speech_delta, speech_done, speech_heard, speech_request,
};
use dialect::{Invalid, Malformed, error};
use http::{Method, header};
use http_body::Frame;

use self::pack::{Packer, content_type};
use super::problem::Problem;
use super::trace::Trace;
use super::translated::unreadable;
use super::{App, admit, event_stream, read_body, refuse, relay, turn_away};
use crate::upstream::{Answer, At, Call, Expect, OpenStream, Relay, Translate, json_headers};

/// POST `/v1/audio/speech`.
pub(super) async fn speak(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut trace = match admit(&app, &parts, Surface::Openai) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Openai).await,
    };
    let (asked, stream) = match attempt(&app, body, &mut trace).await {
        Ok(open) => open,
        Err(problem) => return refuse(trace, Surface::Openai, &problem),
    };
    let broken = Arc::new(AtomicBool::new(false));
    let speaker = Speaker {
        packer: Packer::new(asked.format),
        as_events: asked.as_events,
        usage: None,
        gave_up: None,
        broken: broken.clone(),
    };
    relay(trace, |trace| {
        let body = Body::new(Breaking {
            relay: Relay::new(stream, speaker, trace),
            broken,
        });
        match asked.as_events {
            true => event_stream(body),
            false => {
                let mut response = Response::new(body);
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, content_type(asked.format));
                response
            }
        }
    })
}

/// All that was said, packed.
pub(super) fn packed(heard: &Heard, format: AudioFormat) -> Result<Vec<u8>, Malformed> {
    let mut packer = Packer::new(format);
    let packed = packer.push(&heard.samples, heard.rate);
    let mut packed = packed.map_err(|error| Malformed {
        message: error.to_string(),
    })?;
    packed.append(&mut packer.finish());
    Ok(packed)
}

async fn attempt(
    app: &App,
    body: Body,
    trace: &mut Trace,
) -> Result<(SpeechCall, OpenStream), Problem> {
    let body = read_body(app, body).await?;
    trace.sent(&body);
    let mut asked = speech_request(&body, &app.core.settings().model_map)?;
    trace.asked(&asked.model, true)?;
    let call = Call {
        method: Method::POST,
        path: &format!("/models/{}:streamGenerateContent", asked.model),
        query: "alt=sse",
        model: &asked.model,
        counted_as: None,
        headers: json_headers(),
        body: std::mem::take(&mut asked.body).into(),
        expect: Expect::Stream,
        at: At::Any,
    };
    let answer = app.upstream.call(&app.core, &call, trace).await;
    let stream = match answer.map_err(|failure| Problem::of(failure, &app.core))? {
        Answer::Stream(stream) => stream,
        _ => return Err(Problem::bug("a stream came whole")),
    };
    // As long as nothing was sent, a refusal can still be told as an error.
    for event in stream.seen() {
        let heard = speech_heard(&event).map_err(|error| unreadable(&error))?;
        if !heard.samples.is_empty() {
            break;
        }
        if let Some(why) = heard.refused {
            return Err(refused(why).into());
        }
    }
    Ok((asked, stream))
}

/// Google does not want to say this.
fn refused(why: String) -> Invalid {
    Invalid {
        message: format!("{why} Change `input`."),
        param: Some("input".to_owned()),
        code: Some("moderation_blocked"),
    }
}

/// Packs the samples of Google's events.
struct Speaker {
    packer: Packer,
    as_events: bool,
    usage: Option<Usage>,
    gave_up: Option<String>,
    /// Set when audio that is not complete has no way to say so.
    broken: Arc<AtomicBool>,
}

impl Speaker {
    fn send(&self, audio: &[u8], out: &mut Vec<u8>) {
        match (audio.is_empty(), self.as_events) {
            (true, _) => {}
            (false, true) => speech_delta(audio, out),
            (false, false) => out.extend_from_slice(audio),
        }
    }

    /// Ends an answer that is not complete.
    fn fail(&self, status: u16, message: &str, out: &mut Vec<u8>) {
        if !self.as_events {
            self.broken.store(true, Ordering::Relaxed);
            return;
        }
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend(error::openai(status, message, None, None));
        out.extend_from_slice(b"\n\n");
    }

    fn hear(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        let heard = speech_heard(event).map_err(|error| unreadable(&error))?;
        self.usage = heard.usage.or(self.usage);
        if !heard.samples.is_empty() {
            let audio = self.packer.push(&heard.samples, heard.rate);
            let audio = audio.map_err(|error| Problem::bad_request(error.to_string()))?;
            self.send(&audio, out);
        }
        match heard.refused {
            Some(why) => Err(refused(why).into()),
            None => Ok(()),
        }
    }
}

impl Translate for Speaker {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut out = Vec::new();
        for event in events {
            if let Err(problem) = self.hear(event, &mut out) {
                self.fail(problem.status.as_u16(), &problem.message, &mut out);
                self.gave_up = Some(problem.message);
                break;
            }
        }
        out.into()
    }

    fn failed(&mut self, _event: Bytes, error: &ApiStatus) -> Bytes {
        let mut out = Vec::new();
        self.fail(error.code, &error.message, &mut out);
        out.into()
    }

    fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        let rest = self.packer.finish();
        self.send(&rest, &mut out);
        if self.as_events {
            speech_done(self.usage, &mut out);
        }
        out.into()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut out = Vec::new();
        let problem = Problem::cut(why);
        self.fail(problem.status.as_u16(), &problem.message, &mut out);
        out.into()
    }

    fn gave_up(&mut self) -> Option<String> {
        self.gave_up.take()
    }
}

/// A stream that ends as an error when it is not complete.
struct Breaking {
    relay: Relay<Speaker>,
    broken: Arc<AtomicBool>,
}

impl http_body::Body for Breaking {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(Pin::new(&mut self.relay).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            None if self.broken.swap(false, Ordering::Relaxed) => {
                Some(Err(io::Error::other("the audio is not complete")))
            }
            None => None,
        })
    }
}
