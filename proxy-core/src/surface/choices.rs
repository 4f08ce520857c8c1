//! Several answers to one request: one call of Google's for each, at the same time. Streams are
//! written by one writer as they come.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dialect::Uploads;
use dialect::gemini::{ApiStatus, Peek, Several};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use parking_lot::Mutex;

use super::App;
use super::problem::Problem;
use super::trace::Trace;
use super::translated::{EventWriter, Written, call_with};
use crate::upstream::{Answer, Call, OpenStream, Relay, Translate, Whole};

/// What Google said.
pub(super) enum Answered {
    /// One answer, whole.
    Whole(Whole),
    /// One answer, streamed.
    Stream(OpenStream),
    /// Streams.
    Several(Streams),
}

/// The streams of one request.
pub(super) struct Streams {
    /// Each with the notes of its call.
    each: Vec<(OpenStream, Trace)>,
    /// They are of other prompts, so none can be left out.
    all_needed: bool,
}

/// Makes a call so many times at once, with `more` bodies in turn. Whole answers become one. Those
/// that have failed are left out, and only when all have does the request fail; but where each body
/// is another prompt, every one needs its answer, and the first that fails fails all.
pub(super) async fn several(
    app: &App,
    (call, more, uploads): (&Call<'_>, &[Bytes], Option<&Uploads>),
    choices: u32,
    trace: &mut Trace,
) -> Result<Answered, Problem> {
    let each = (choices as usize / (more.len() + 1)).max(1);
    let calls = (0..choices as usize).map(|number| {
        let mut beside = trace.branch();
        let body = (number / each).checked_sub(1).and_then(|at| more.get(at));
        let body = body.unwrap_or(&call.body);
        let body = Several::asked(number % each, body).map_or_else(|| body.clone(), Bytes::from);
        let call = Call {
            body,
            ..call.again()
        };
        async move {
            let answer = call_with(app, &call, uploads, &mut beside).await;
            if !matches!(answer, Ok(Answer::Stream(_))) {
                beside.call_is_over();
            }
            (answer, beside)
        }
    });
    let mut answers = Vec::new();
    for (answer, mut beside) in join_all(calls).await {
        trace.join(&mut beside);
        answers.push(answer.map(|answer| (answer, beside)));
    }
    let mut streams = Vec::new();
    let mut wholes: Vec<Whole> = Vec::new();
    let answers = match more {
        [] => succeeded(answers)?,
        _ => answers.into_iter().collect::<Result<_, _>>()?,
    };
    for (answer, beside) in answers {
        match answer {
            Answer::Stream(stream) => streams.push((stream, beside)),
            Answer::Whole(whole) => wholes.push(whole),
            Answer::Raw(_) | Answer::Live(_) => return Err(Problem::bug("an answer came raw")),
        }
    }
    if wholes.is_empty() {
        return Ok(Answered::Several(Streams {
            each: streams,
            all_needed: !more.is_empty(),
        }));
    }
    let body: Bytes = Several::whole(wholes.iter().map(|whole| &*whole.body)).into();
    if let Ok(peek) = Peek::of(&body) {
        trace.usage(&peek);
    }
    let headers = HeaderMap::new();
    Ok(Answered::Whole(Whole { headers, body }))
}

/// The answers that there are; if there are none, why.
pub(super) fn succeeded<T>(
    answers: impl IntoIterator<Item = Result<T, Problem>>,
) -> Result<Vec<T>, Problem> {
    let mut all = Vec::new();
    let mut first = None;
    for answer in answers {
        match answer {
            Ok(answer) => all.push(answer),
            Err(problem) => first = first.or(Some(problem)),
        }
    }
    match first {
        Some(problem) if all.is_empty() => Err(problem),
        _ => Ok(all),
    }
}

/// What writes, and what it has been told.
struct Shared<S> {
    written: Written<S>,
    several: Several,
    /// How many streams have not ended.
    left: usize,
    /// One has ended as it should.
    answered: bool,
    /// None can be left out.
    all_needed: bool,
    /// The newest event that had counts.
    counts: Option<Peek>,
    /// The stream for the client has ended in an error, and why.
    failed: Option<(u16, String)>,
}

impl<S: EventWriter> Shared<S> {
    /// A stream has ended; with the last of them the client's ends.
    fn ended(&mut self) -> Bytes {
        self.left -= 1;
        match self.left {
            0 => self.written.finish(),
            _ => Bytes::new(),
        }
    }

    /// A stream has broken off: what to send all the same; `None` when there was no other.
    fn broke_off(&mut self) -> Option<Bytes> {
        let is_alone = self.left == 1 && !self.answered;
        (!is_alone && !self.all_needed).then(|| self.ended())
    }
}

/// One stream of several.
struct Choice<S> {
    shared: Arc<Mutex<Shared<S>>>,
    number: usize,
}

/// The streams as one that ends when each has ended. One that breaks off leaves the others alone:
/// its choice ends as one that was cut (`length`), and only when all have broken off, or none can be
/// left out, does the stream for the client end in an error, the last one's. `trace` files the
/// request.
pub(super) fn together<S: EventWriter>(
    streams: Streams,
    written: Written<S>,
    trace: Trace,
) -> Body {
    let shared = Arc::new(Mutex::new(Shared {
        written,
        several: Several::default(),
        left: streams.each.len(),
        answered: false,
        all_needed: streams.all_needed,
        counts: None,
        failed: None,
    }));
    let bodies = streams
        .each
        .into_iter()
        .enumerate()
        .map(|(number, (stream, beside))| {
            let choice = Choice {
                shared: shared.clone(),
                number,
            };
            Body::new(Relay::new(stream, choice, beside)).into_data_stream()
        });
    let all = stream::select_all(bodies);
    let state = Some((all, shared, trace));
    Body::from_stream(stream::unfold(state, async |state| {
        let (mut all, shared, mut trace) = state?;
        let chunk = all.next().await;
        let (counts, failed, is_complete) = {
            let mut shared = shared.lock();
            let is_complete = shared.left == 0;
            (shared.counts.take(), shared.failed.take(), is_complete)
        };
        if let Some(counts) = counts {
            trace.usage(&counts);
        }
        match (chunk, failed) {
            // The others are dropped: nothing may follow.
            (chunk, Some((status, why))) => {
                trace.fail(status, &why);
                Some((chunk.unwrap_or(Ok(Bytes::new())), None))
            }
            (Some(chunk), None) => {
                // The client has all, and may hang up before the end of the body.
                if is_complete {
                    trace.succeed();
                }
                Some((chunk, Some((all, shared, trace))))
            }
            (None, None) => {
                trace.succeed();
                None
            }
        }
    }))
}

impl<S: EventWriter> Translate for Choice<S> {
    fn events(&mut self, events: &[Bytes]) -> Bytes {
        let mut shared = self.shared.lock();
        let numbered: Vec<Bytes> = events
            .iter()
            .map(|event| shared.several.event(self.number, event).into())
            .collect();
        let counts = numbered
            .iter()
            .rev()
            .filter_map(|event| Peek::of(event).ok());
        if let Some(counts) = counts.into_iter().find(|peek| peek.usage.is_some()) {
            shared.counts = Some(counts);
        }
        shared.written.events(&numbered)
    }

    fn failed(&mut self, event: Bytes, error: &ApiStatus) -> Bytes {
        let mut shared = self.shared.lock();
        match shared.broke_off() {
            Some(rest) => rest,
            None => {
                shared.failed = Some((error.code, error.message.clone()));
                shared.written.failed(event, error)
            }
        }
    }

    fn gave_up(&mut self) -> Option<String> {
        let mut shared = self.shared.lock();
        let why = shared.written.gave_up()?;
        shared.failed = Some((502, why.clone()));
        Some(why)
    }

    fn finish(&mut self) -> Bytes {
        let mut shared = self.shared.lock();
        shared.answered = true;
        shared.ended()
    }

    fn cut(&mut self, why: &str) -> Bytes {
        let mut shared = self.shared.lock();
        match shared.broke_off() {
            Some(rest) => rest,
            None => {
                shared.failed = Some((502, why.to_owned()));
                shared.written.cut(why)
            }
        }
    }
}
