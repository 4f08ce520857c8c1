//! Answers of the Responses API in the background: the client gets an id at once, and comes back
//! to look, to follow the events, or to cancel. They go on when the client is gone.
//!
//! Bounded in number, time and memory. They live in this process; what the database has of one
//! until it ends is that it broke off, which is what a client finds after a restart. Each is
//! asked for beside the requests, with the connections of the host, because workers end first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use contract::admin::Surface;
use dialect::ResponseMeta;
use dialect::openai_to_gemini::responses::{Ended, Kept, Recorded};
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::flow::Late;
use super::super::problem::Problem;
use super::super::trace::Trace;
use super::super::translated::{Pace, exchange};
use super::super::{App, AppParts, event_stream, json, refuse};
use super::Asked;
use crate::Core;

/// How many of one token may be under way.
const RUNNING_OF_A_TOKEN: usize = 32;
/// How many may be under way.
const RUNNING: usize = 256;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// How long the events of one that has ended can be followed.
const FOLLOWED: Duration = Duration::from_secs(10 * 60);
/// The most events of one, in bytes. An image is in three of them.
const LARGEST: usize = 64 * 1024 * 1024;
/// The most events of all, in bytes.
const MOST: usize = 256 * 1024 * 1024;

/// The answers in the background, by their ids.
#[derive(Default)]
pub(crate) struct Background {
    jobs: Mutex<HashMap<String, Arc<Job>>>,
}

/// One answer.
pub(super) struct Job {
    token: i64,
    recorded: Mutex<Recorded>,
    progress: watch::Sender<Progress>,
    cancel: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// How many events there are.
    events: usize,
    /// When it ended, in time of the clock.
    over: Option<Duration>,
}

impl Background {
    /// An answer of this token that is under way, or was until a while ago.
    pub(super) fn of(&self, token: Option<i64>, id: &str) -> Option<Arc<Job>> {
        let jobs = self.jobs.lock();
        jobs.get(id).filter(|job| Some(job.token) == token).cloned()
    }

    /// Ends what is under way for a token, and forgets it.
    pub(crate) fn forget(&self, token: i64) {
        self.jobs.lock().retain(|_, job| {
            let others = job.token != token;
            if !others {
                job.cancel.cancel();
            }
            others
        });
    }

    /// Whether one is under way, or was until a while ago.
    fn has(&self, id: &str) -> bool {
        self.jobs.lock().contains_key(id)
    }

    /// Forgets one.
    pub(super) fn delete(&self, id: &str) {
        self.jobs.lock().remove(id);
    }

    /// Takes one up, if there is room.
    fn begin(
        &self,
        token: i64,
        id: &str,
        recorded: Recorded,
        now: Duration,
    ) -> Result<Arc<Job>, Problem> {
        let mut jobs = self.jobs.lock();
        tidy(&mut jobs, now);
        let running = |of_token: bool| {
            let running = jobs.values().filter(|job| job.over().is_none());
            running
                .filter(|job| !of_token || job.token == token)
                .count()
        };
        if running(true) >= RUNNING_OF_A_TOKEN || running(false) >= RUNNING {
            return Err(Problem::too_many(format!(
                "Too many responses are under way in the background: at most \
                 {RUNNING_OF_A_TOKEN} of one client token and {RUNNING} in all. Wait until some \
                 have ended, or cancel them."
            )));
        }
        let (progress, _) = watch::channel(Progress {
            events: recorded.len(),
            over: None,
        });
        let job = Arc::new(Job {
            token,
            recorded: Mutex::new(recorded),
            progress,
            cancel: CancellationToken::new(),
        });
        jobs.insert(id.to_owned(), job.clone());
        Ok(job)
    }

    /// Whether there is room for what is recorded. What ended longest ago goes first.
    fn has_room(&self, now: Duration) -> bool {
        let mut jobs = self.jobs.lock();
        tidy(&mut jobs, now);
        loop {
            let bytes: usize = jobs.values().map(|job| job.recorded.lock().bytes()).sum();
            if bytes <= MOST {
                return true;
            }
            let ended = jobs.iter().filter_map(|(id, job)| Some((job.over()?, id)));
            let Some(oldest) = ended.min().map(|(_, id)| id.clone()) else {
                return false;
            };
            jobs.remove(&oldest);
        }
    }
}

/// Forgets the events of what ended a while ago.
fn tidy(jobs: &mut HashMap<String, Arc<Job>>, now: Duration) {
    jobs.retain(|_, job| {
        job.over()
            .is_none_or(|over| now.saturating_sub(over) < FOLLOWED)
    });
}

impl Job {
    /// When it ended.
    fn over(&self) -> Option<Duration> {
        self.progress.borrow().over
    }

    /// Whether it is still under way.
    pub(super) fn is_running(&self) -> bool {
        self.over().is_none()
    }

    /// The answer as it is now.
    pub(super) fn now(&self) -> Vec<u8> {
        self.recorded.lock().now()
    }

    /// Ends it, and waits until it has.
    pub(super) async fn cancel(&self) {
        self.cancel.cancel();
        let mut progress = self.progress.subscribe();
        // Fails when there is nobody left to tell, and then it has ended.
        let _ = progress.wait_for(|progress| progress.over.is_some()).await;
    }

    /// Records what was written; whether there is still room for more.
    fn push(&self, written: &[u8]) -> bool {
        let mut recorded = self.recorded.lock();
        recorded.push(written);
        let (events, bytes) = (recorded.len(), recorded.bytes());
        drop(recorded);
        self.progress
            .send_modify(|progress| progress.events = events);
        bytes <= LARGEST
    }

    fn end(&self, how: Ended<'_>) -> Vec<u8> {
        let mut recorded = self.recorded.lock();
        let response = recorded.end(how);
        let events = recorded.len();
        drop(recorded);
        self.progress
            .send_modify(|progress| progress.events = events);
        response
    }

    /// The events from this number on, those to come included.
    pub(super) fn follow(self: &Arc<Self>, from: usize, pace: Pace) -> Response {
        let state = (self.clone(), self.progress.subscribe(), from);
        let events = stream::unfold(state, async |(job, mut progress, next)| {
            loop {
                let Progress { events, over } = *progress.borrow_and_update();
                if next < events {
                    // One at a time: whoever reads slowly holds no copy of the rest.
                    let chunk = job.recorded.lock().from(next).first().cloned();
                    let chunk = chunk.unwrap_or_default();
                    let chunk = Ok::<_, std::convert::Infallible>(chunk);
                    return Some((chunk, (job, progress, next + 1)));
                }
                if over.is_some() || progress.changed().await.is_err() {
                    return None;
                }
            }
        });
        event_stream(pace.alive::<Asked>(Body::from_stream(events)))
    }
}

/// Says that a job is over, also when its task is dropped.
struct Over {
    job: Arc<Job>,
    core: Arc<Core>,
}

impl Drop for Over {
    fn drop(&mut self) {
        let now = self.core.clock.monotonic();
        self.job
            .progress
            .send_modify(|progress| progress.over = Some(now));
    }
}

/// Begins an answer in the background.
pub(super) fn begin(app: &App, asked: Asked, meta: ResponseMeta, trace: Trace) -> Response {
    let Some(token) = trace.token_id() else {
        let problem =
            Problem::bad_request("`background` needs a client token to keep the answer for.");
        return refuse(trace, Surface::Openai, &problem);
    };
    let core = &app.core;
    let recorded = Recorded::queued(&asked.call, &meta);
    let job = match core
        .background
        .begin(token, &meta.id, recorded, core.clock.monotonic())
    {
        Ok(job) => job,
        Err(problem) => return refuse(trace, Surface::Openai, &problem),
    };
    let broken_off = Arc::new(asked.call.broken_off(&meta));
    core.responses.promise(token, broken_off.clone());
    let follows = asked.call.stream;
    let own = App(Arc::new(AppParts {
        core: core.clone(),
        upstream: core.upstream.clone(),
    }));
    let response = match follows {
        true => job.follow(0, Pace::of(&core.settings())),
        false => json(StatusCode::OK, job.now()),
    };
    core.in_background(run(own, asked, (meta, trace), job, broken_off));
    response
}

async fn run(
    app: App,
    asked: Asked,
    (meta, trace): (ResponseMeta, Trace),
    job: Arc<Job>,
    broken_off: Arc<Kept>,
) {
    let core = app.core.clone();
    let meta_id = meta.id.clone();
    let _over = Over {
        job: job.clone(),
        core: core.clone(),
    };
    let answer = Box::pin(tokio::time::timeout(
        LONGEST,
        answer(app, asked, meta, trace, &job),
    ));
    let ended = match job.cancel.run_until_cancelled(answer).await {
        None => Ended::Cancelled,
        Some(Err(_)) => Ended::Failed("The answer took longer than an hour."),
        Some(Ok(false)) => Ended::Failed(
            "The answer is larger than can be kept in the background. Ask for it with \
             `background` left out.",
        ),
        // The stream has kept it.
        Some(Ok(true)) => return,
    };
    let response = job.end(ended);
    // Whoever has deleted it, or lost the token, wants nothing of it kept.
    if core.background.has(&meta_id) {
        let kept = broken_off.with_response(response);
        core.responses.keep(job.token, kept);
    }
}

/// Asks Google and records the answer; whether there was room for it.
async fn answer(app: App, asked: Asked, meta: ResponseMeta, trace: Trace, job: &Job) -> bool {
    let core = app.core.clone();
    let mut body = match exchange(app, asked, meta, trace).await.late() {
        Late::Whole(all) => return job.push(&all),
        Late::Flow(body) => body,
    };
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(written) = frame.into_data()
            && !(job.push(&written) && core.background.has_room(core.clock.monotonic()))
        {
            return false;
        }
    }
    true
}
