//! A Gemini API that behaves.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::clock::VirtualClock;
//! use testkit::google::{Fault, FakeGoogle, Quota};
//!
//! let clock = VirtualClock::at(1_790_000_000_000);
//! let google = FakeGoogle::builder()
//!     .clock(&clock)
//!     .project("p1", Quota { rpm: Some(10), ..Quota::UNLIMITED })
//!     .key("AIza-one", "p1")
//!     .start()
//!     .await;
//! google.fault_next(Fault::Status(503));
//! // … point the code under test at google.base_url() …
//! assert_eq!(google.requests().len(), 1);
//! # }
//! ```
//!
//! A call passes the stations in Google's order: credential, JSON, model, what the model
//! wants; then the script of faults; then the quota; then the answer, which depends on
//! the request alone unless [`FakeGoogle::answer_next`] said otherwise.
//!
//! What Google keeps for somebody (files …) belongs to the project of the key that made it,
//! and to other projects' keys it does not exist. [`FakeGoogle::resources`] lists it.
//!
//! Deliberately absent: Google's OpenAI-compatible paths, tuned models, and whatever is not
//! named here. They answer as a path that Google does not have.

mod answer;
mod batches;
mod bench;
mod builder;
mod caches;
mod calling;
mod check;
mod door;
mod error;
mod fault;
mod files;
mod handle;
mod interactions;
mod kept;
mod kept_messages;
mod live;
mod live_turns;
mod lookup;
mod media;
mod messages;
mod model;
mod operations;
mod proto;
mod quota;
mod reply;
mod sample;
mod server;
mod shelf;
mod steps;
mod stores;
mod target;
mod upload;
mod work;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

pub use answer::{Answer, CHARS_PER_TOKEN, PICTURE, thought_signature, tokens};
pub use builder::Builder;
pub use check::{SENTINELS, SIGNATURE_PREFIX};
pub use error::{GoogleError, Refusal};
pub use fault::{Cut, Empty, Exhaustion, Fault, Rule, Script};
pub use media::SPEECH_RATE;
pub use model::{Kind, Model, current as current_models};
pub use quota::{Limit, Quota, Usage, exhausted};
pub use server::{Body, Severed};
pub use shelf::Resource;
pub use work::Work;

use shelf::Shelf;

use crate::accept::{ANY_PORT, Listening};
use crate::clock::Clock;

/// A running fake. It stops, and breaks its connections, when it is dropped.
#[derive(Debug)]
pub struct FakeGoogle {
    world: Arc<World>,
    listening: Listening,
    /// Sessions, which outlive their connection's task, end when it is dropped.
    _alive: watch::Sender<()>,
}

/// A request as the fake received it.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Counts up from 0 over the life of the fake.
    pub id: u64,
    /// When it came, by the fake's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// HTTP method.
    pub method: Method,
    /// Path as sent, without the query.
    pub path: String,
    /// Query as sent, without the `?`; empty when there is none.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, byte for byte; empty when it was too large.
    pub body: Bytes,
    /// The key, when there was exactly one credential and it was a key.
    pub key: Option<String>,
    /// The project of the key, when the key was let in.
    pub project: Option<String>,
    /// The model in the path, without `models/`.
    pub model: Option<String>,
    /// What the path names, e.g. `files/abc` or `models/gemini-2.5-flash`.
    pub resource: Option<String>,
    /// `generateContent`, `models` (the list), `get`, `files.create` …; `None` for a path that is
    /// not Google's.
    pub action: Option<&'static str>,
    /// HTTP status of the answer; `None` while there is none.
    pub status: Option<u16>,
}

impl SeenRequest {
    /// The body as JSON; `null` when it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// How many requests came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that have arrived whole and were looked at.
    pub received: usize,
    /// Requests answered to the end, or broken off by a fault.
    pub answered: usize,
    /// Requests whose client went away before the end of the answer.
    pub disconnects: usize,
}

/// What all connections share.
#[derive(Debug)]
struct World {
    clock: Clock,
    models: Vec<Model>,
    max_body: usize,
    /// What chunks of uploads are multiples of, in bytes.
    granularity: usize,
    record: bool,
    /// Where it listens; set before anybody can ask.
    address: OnceLock<SocketAddr>,
    inner: Mutex<Inner>,
    counts: watch::Sender<Counts>,
    /// Counts the calls of `release`; whoever stalls waits for the next.
    released: watch::Sender<u64>,
    live: live::Live,
}

#[derive(Debug, Default)]
struct Inner {
    keys: HashMap<String, Key>,
    projects: HashMap<String, quota::Project>,
    script: Script,
    answers: VecDeque<Answer>,
    files: Shelf<files::File>,
    caches: Shelf<caches::Cache>,
    /// The tokens that a project may keep cached of one model, when there is a limit.
    cached_storage: HashMap<String, u64>,
    uploads: upload::Uploads,
    operations: Shelf<operations::Operation>,
    batches: Shelf<batches::Batch>,
    interactions: Shelf<interactions::Interaction>,
    stores: Shelf<stores::Store>,
    documents: Shelf<stores::Document>,
    /// The operations that bring documents in.
    imports: Shelf<stores::Operation>,
    /// What was said in Live sessions, by the handles to go on by.
    handles: Shelf<Vec<Value>>,
    /// The Live sessions that are set up and have not ended.
    live: Vec<Resource>,
    /// How long what is begun now takes.
    work: Work,
    /// Downloads of files go by way of a redirect.
    redirects: bool,
    /// How many names were made so far.
    minted: u64,
    seen: Vec<SeenRequest>,
    next_id: u64,
}

#[derive(Debug)]
struct Key {
    project: String,
    refusal: Option<Refusal>,
    /// Vertex AI's express mode takes it, and the Gemini API does not.
    express: bool,
}

impl Inner {
    /// A new name of so many letters and digits.
    fn mint(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        self.minted += 1;
        let mut word = 0;
        let letters = (0..length).map(|at| {
            if at % 8 == 0 {
                word = answer::hash((self.minted, at));
            }
            let letter = LETTERS[(word % 36) as usize];
            word /= 36;
            char::from(letter)
        });
        letters.collect()
    }
}

impl World {
    /// `http://127.0.0.1:PORT`.
    fn origin(&self) -> String {
        let address = self.address.get().copied().unwrap_or(ANY_PORT);
        format!("http://{address}")
    }

    /// Records a request and gives it a number.
    fn saw(&self, parts: &Parts, body: Option<&Bytes>) -> u64 {
        let mut inner = self.inner.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        if self.record {
            inner.seen.push(SeenRequest {
                id,
                at: self.clock.now(),
                method: parts.method.clone(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                headers: parts.headers.clone(),
                body: body.cloned().unwrap_or_default(),
                key: None,
                project: None,
                model: None,
                resource: None,
                action: None,
                status: None,
            });
        }
        id
    }

    /// Adds to what is known of a request.
    fn note(&self, id: u64, change: impl FnOnce(&mut SeenRequest)) {
        if self.record
            && let Some(seen) = self
                .inner
                .lock()
                .seen
                .iter_mut()
                .rfind(|seen| seen.id == id)
        {
            change(seen);
        }
    }

    /// Returns at the next `release`.
    async fn stall(&self) {
        let mut released = self.released.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = released.changed().await;
    }
}

impl FakeGoogle {
    /// A fake with the current models, no keys, and the machine's clock.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:PORT/v1beta`: the form of the setting `BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/v1beta", self.origin())
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Every request so far, oldest first (calls of the `bench-…` models excepted).
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.world.inner.lock().seen.clone()
    }

    /// Forgets the requests so far; the counts stay.
    pub fn clear_requests(&self) {
        self.world.inner.lock().seen.clear();
    }

    /// Counts since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.world.counts.borrow()
    }

    /// What a project has used of a model.
    #[must_use]
    pub fn usage(&self, project: &str, model: &str) -> Usage {
        let now = self.world.clock.now();
        self.world
            .inner
            .lock()
            .projects
            .entry(project.to_owned())
            .or_default()
            .usage(now, model)
    }

    /// Changes the quota of a project for every model that has none of its own.
    pub fn set_quota(&self, project: &str, quota: Quota) {
        self.world
            .inner
            .lock()
            .projects
            .entry(project.to_owned())
            .or_default()
            .quota = quota;
    }

    /// Changes the quota of a project for one model.
    pub fn set_model_quota(&self, project: &str, model: &str, quota: Quota) {
        let mut inner = self.world.inner.lock();
        inner
            .projects
            .entry(project.to_owned())
            .or_default()
            .per_model
            .insert(model.to_owned(), quota);
    }

    /// Adds a key to a project, or makes a key good again.
    pub fn add_key(&self, key: &str, project: &str) {
        let state = Key {
            project: project.to_owned(),
            refusal: None,
            express: false,
        };
        self.world.inner.lock().keys.insert(key.to_owned(), state);
    }

    /// Turns a key away from now on. A key that is in no project is unknown anyway.
    pub fn disable_key(&self, key: &str, refusal: Refusal) {
        if let Some(state) = self.world.inner.lock().keys.get_mut(key) {
            state.refusal = Some(refusal);
        }
    }

    /// Lets a key in again.
    pub fn enable_key(&self, key: &str) {
        if let Some(state) = self.world.inner.lock().keys.get_mut(key) {
            state.refusal = None;
        }
    }

    /// Adds the rules of a script behind those there are.
    pub fn script(&self, script: Script) {
        self.world.inner.lock().script.extend(script);
    }

    /// Adds a fault for the next call of a model. Several of these queue up.
    pub fn fault_next(&self, fault: Fault) {
        self.script(Script::new().rule(Rule::new(fault).times(1)));
    }

    /// Adds a fault for every call with this key, until [`Self::clear_faults`].
    pub fn fault_for_key(&self, key: &str, fault: Fault) {
        self.script(Script::new().rule(Rule::new(fault).key(key)));
    }

    /// Drops all faults. Who stalls still waits for [`Self::release`].
    pub fn clear_faults(&self) {
        self.world.inner.lock().script.clear();
    }

    /// Lets everything that stalls now go on.
    pub fn release(&self) {
        self.world.released.send_modify(|count| *count += 1);
    }

    /// Answers the next call that generates content with this. Several of these queue up.
    pub fn answer_next(&self, answer: Answer) {
        self.world.inner.lock().answers.push_back(answer);
    }

    /// Waits until so many requests in all have arrived; false when that takes longer than [`PATIENCE`].
    #[must_use = "false means that they did not come"]
    pub async fn wait_for_requests(&self, count: usize) -> bool {
        self.wait_for(|counts| counts.received >= count).await
    }

    /// Waits until so many clients in all have gone away before the end of their answer;
    /// false when that takes longer than [`PATIENCE`].
    #[must_use = "false means that they stayed"]
    pub async fn wait_for_disconnects(&self, count: usize) -> bool {
        self.wait_for(|counts| counts.disconnects >= count).await
    }

    /// Waits until the counts are as wanted; false when that takes longer than [`PATIENCE`].
    #[must_use = "false means that it did not happen"]
    pub async fn wait_for(&self, wanted: impl FnMut(&Counts) -> bool) -> bool {
        let mut counts = self.world.counts.subscribe();
        matches!(
            tokio::time::timeout(PATIENCE, counts.wait_for(wanted)).await,
            Ok(Ok(_))
        )
    }

    /// Answers a request in-process, without a connection.
    ///
    /// # Errors
    /// [`Severed`] when the script closes the connection instead of answering.
    pub async fn call<B>(&self, request: Request<B>) -> Result<Response<Body>, Severed>
    where
        B: http_body::Body<Data = Bytes>,
    {
        handle::respond(Arc::clone(&self.world), request, server::Reset::default()).await
    }
}

/// How long the waiting methods of [`FakeGoogle`] wait for what should take an instant.
pub const PATIENCE: Duration = Duration::from_secs(20);
