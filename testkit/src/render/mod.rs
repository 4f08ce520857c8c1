//! A Render that behaves: its REST API, its edge, and services that can really run.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::clock::VirtualClock;
//! use testkit::cloud::{Fault, FaultRule};
//! use testkit::render::FakeRender;
//!
//! let clock = VirtualClock::at(1_790_000_000_000);
//! let render = FakeRender::builder().clock(&clock).start().await;
//! render.fault(FaultRule::new(Fault::CutAfter).on("POST /v1/services").times(1));
//! // … point the code under test at render.base_url(), with the key render.key() …
//! assert_eq!(render.calls().len(), 1);
//! # }
//! ```
//!
//! | faked | as |
//! |---|---|
//! | keys | bearer; 401 for all others |
//! | `GET /users`, `/owners`, `/owners/{id}` | one user with any number of workspaces |
//! | `/services` CRUD | web services from images; names unique in a workspace (409); names of images normalised; slug with a random suffix; `openPorts` null until one is open |
//! | `/services/{id}/env-vars` and `/{key}` | get (20 to a page unless asked otherwise), replace all, put, delete, `generateValue`; nothing takes effect before the next deploy |
//! | `/services/{id}/deploys`, `/{id}/cancel`, `/rollback` | created → queued → `build_in_progress` → `update_in_progress` → live or failed; 202 without a body behind one that is under way, and only the latest waits |
//! | suspend, resume, restart, scale, instances | resume makes a deploy, as Render's trigger `service_resumed` says |
//! | `/services/{id}/events`, `/logs`, `/metrics/…` | what happened; the container's own output; counted requests and bytes, steady CPU and memory |
//! | `/registrycredentials` CRUD | used to pull private images; tokens never come back |
//! | limits | 20 new services an hour, 10 a minute per service, 30 other changes and 400 reads a minute; `Ratelimit-*` with seconds or an epoch |
//! | 402 | paid plans without a card; free ones, too, on demand |
//! | the edge | each service has an address of its own: its container's answers, or `x-render-routing` `no-server`, `no-deploy`, `suspend-by-user`, `suspend-by-billing`, `no-render-subdomain` |
//! | the free plan | asleep after 15 minutes without a request, slow to wake, 750 hours a month for a workspace, no disk |
//! | faults | [`Fault`]s for the next call or calls of a kind |
//!
//! Not seen in recordings, and therefore guesses: the words of most errors, units of
//! metrics, and what follows `suspend-` in the header.
//!
//! Deliberately absent: git builds, other kinds of services, `/logs/subscribe`
//! (WebSocket), WebSockets at the edge, blueprints, projects and environments, custom domains.

mod account;
mod api;
mod container;
mod deploy;
mod limit;
mod service;
mod view;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::accept::{ANY_PORT, Listening, starts};
use crate::clock::Clock;
use crate::cloud::http::{Answer, Call, Gone, serve};
use crate::cloud::{
    Fault, FaultRule, Faults, Images, Launch, OnLive, SeenCall, any_image, rfc3339,
};
pub use account::FREE_HOURS;
use account::Owner;
pub use container::{FREE_SLEEP, STOP_GRACE};
pub use limit::ResetStyle;
use service::State;

/// The key that a [`FakeRender`] accepts unless it is given others.
pub const KEY: &str = "rnd_DemoKey0000000000000000000000";
/// The workspace that a [`FakeRender`] has unless it is given others.
pub const OWNER: &str = "tea-demo000000000000000a";

/// How fast deploys go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each step takes its time on the fake's clock.
    Timed {
        /// In `created`.
        created: Duration,
        /// In `queued`, when nothing else is under way.
        queued: Duration,
        /// In `build_in_progress`: the image is pulled.
        build: Duration,
        /// In `update_in_progress`, before the container is started.
        update: Duration,
    },
    /// One step for each `GET` of the service's deploys, whatever the time.
    PerGet,
}

impl Default for Pace {
    /// About what an image of 30 MB takes.
    fn default() -> Self {
        Self::Timed {
            created: Duration::from_secs(1),
            queued: Duration::from_secs(2),
            build: Duration::from_secs(20),
            update: Duration::from_secs(15),
        }
    }
}

impl Pace {
    /// The same time for each step.
    #[must_use]
    pub const fn every(step: Duration) -> Self {
        Self::Timed {
            created: step,
            queued: step,
            build: step,
            update: step,
        }
    }
}

/// A running fake. It stops, and its containers with it, when it is dropped.
#[derive(Debug)]
pub struct FakeRender {
    world: Arc<World>,
    listening: Listening,
}

/// What all connections share.
struct World {
    clock: Clock,
    pace: Pace,
    wake: Duration,
    free_hours: i64,
    health_patience: Duration,
    images: Images,
    on_live: Option<OnLive>,
    reset: ResetStyle,
    limits: bool,
    /// Decides and counts before a call reaches the state.
    gate: Mutex<Gate>,
    /// Held over awaits: calls happen one after the other.
    state: tokio::sync::Mutex<State>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Gate {
    keys: HashSet<String>,
    faults: Faults,
    limits: limit::Limits,
    free_needs_card: bool,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<SeenCall>,
    launches: Vec<Launch>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("clock", &self.clock)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl FakeRender {
    /// A fake with one workspace and one key, in which every image exists.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:PORT/v1`, in the place of `https://api.render.com/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.listening.address)
    }

    /// The calls so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<SeenCall> {
        self.world.seen.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.world.seen.lock().calls.clear();
    }

    /// The containers started so far, oldest first.
    #[must_use]
    pub fn launches(&self) -> Vec<Launch> {
        self.world.seen.lock().launches.clone()
    }

    /// Adds a fault for the next call. Several of these queue up.
    pub fn fault_next(&self, fault: Fault) {
        self.fault(FaultRule::new(fault).times(1));
    }

    /// Adds a rule for faults behind those there are. Paths begin with `/v1`.
    pub fn fault(&self, rule: FaultRule) {
        self.world.gate.lock().faults.add(rule);
    }

    /// Drops all faults.
    pub fn clear_faults(&self) {
        self.world.gate.lock().faults.clear();
    }

    /// Accepts this key from now on.
    pub fn add_key(&self, key: &str) {
        self.world.gate.lock().keys.insert(key.to_owned());
    }

    /// Refuses this key from now on.
    pub fn revoke_key(&self, key: &str) {
        self.world.gate.lock().keys.remove(key);
    }

    /// Wants a card for free services, too (or no longer).
    pub fn free_needs_card(&self, needed: bool) {
        self.world.gate.lock().free_needs_card = needed;
    }

    /// Gives a workspace a card.
    pub async fn add_card(&self, owner: &str) {
        let mut state = self.world.state.lock().await;
        if let Some(owner) = state.owners.iter_mut().find(|known| known.id == owner) {
            owner.has_card = true;
        }
    }

    /// How much of [`FREE_HOURS`] a workspace has used this month.
    pub async fn free_time(&self, owner: &str) -> Duration {
        let mut state = self.world.state.lock().await;
        let now = self.world.clock.now();
        state.settle(&self.world, now).await;
        let millis = state.free_millis(owner, now);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    /// Lets happen what is due by the clock: deploys go on, services fall asleep. Every call
    /// and every request at the edge does so, too.
    pub async fn settle(&self) {
        let mut state = self.world.state.lock().await;
        state.settle(&self.world, self.world.clock.now()).await;
    }

    /// Whether a service's container runs: not while it sleeps, is suspended or has failed.
    pub async fn is_up(&self, service: &str) -> bool {
        let mut state = self.world.state.lock().await;
        state.settle(&self.world, self.world.clock.now()).await;
        state
            .services
            .iter()
            .any(|known| known.id == service && known.container.is_up())
    }
}

/// What a [`FakeRender`] is made of.
pub struct Builder {
    clock: Clock,
    pace: Pace,
    wake: Duration,
    free_hours: i64,
    health_patience: Duration,
    images: Images,
    on_live: Option<OnLive>,
    reset: ResetStyle,
    limits: bool,
    keys: HashSet<String>,
    owners: Vec<Owner>,
    address: SocketAddr,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            pace: Pace::default(),
            wake: Duration::from_secs(50),
            free_hours: FREE_HOURS,
            health_patience: Duration::from_secs(15 * 60),
            images: any_image(),
            on_live: None,
            reset: ResetStyle::Seconds,
            limits: true,
            keys: HashSet::new(),
            owners: Vec::new(),
            address: ANY_PORT,
        }
    }
}

starts!(Builder => FakeRender);

impl Builder {
    /// Takes the time from this clock. The default is the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// How fast deploys go on.
    #[must_use]
    pub const fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// How long a sleeping service takes to wake, on the fake's clock. The default is 50 s.
    #[must_use]
    pub const fn wake(mut self, wake: Duration) -> Self {
        self.wake = wake;
        self
    }

    /// Hours a month of the free plan for each workspace. The default is [`FREE_HOURS`].
    #[must_use]
    pub const fn free_hours(mut self, hours: i64) -> Self {
        self.free_hours = hours;
        self
    }

    /// How long a deploy waits for its health check, on the fake's clock. The default is
    /// 15 minutes. With [`Pace::PerGet`] it waits for five more looks instead.
    #[must_use]
    pub const fn health_patience(mut self, patience: Duration) -> Self {
        self.health_patience = patience;
        self
    }

    /// Which images there are. The default is all.
    #[must_use]
    pub fn images(mut self, images: Images) -> Self {
        self.images = images;
        self
    }

    /// Starts containers so. Without, they are stand-ins: the edge answers 200 in their place.
    #[must_use]
    pub fn on_live(mut self, on_live: OnLive) -> Self {
        self.on_live = Some(on_live);
        self
    }

    /// What `Ratelimit-Reset` means.
    #[must_use]
    pub const fn reset_style(mut self, reset: ResetStyle) -> Self {
        self.reset = reset;
        self
    }

    /// Lets everybody call as often as they like.
    #[must_use]
    pub const fn without_limits(mut self) -> Self {
        self.limits = false;
        self
    }

    /// Accepts this key, and [`KEY`] no longer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.insert(key.into());
        self
    }

    /// Adds a workspace with this id (`tea-…` or `usr-…`) and name; [`OWNER`] is then not made.
    #[must_use]
    pub fn owner(mut self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.owners.push(Owner::new(id.into(), name.into()));
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn try_start(mut self) -> io::Result<FakeRender> {
        if self.keys.is_empty() {
            self.keys.insert(KEY.to_owned());
        }
        if self.owners.is_empty() {
            let owner = Owner::new(OWNER.to_owned(), "My Workspace".to_owned());
            self.owners.push(owner);
        }
        let world = Arc::new(World {
            state: tokio::sync::Mutex::new(State::new(self.owners, self.clock.now())),
            clock: self.clock,
            pace: self.pace,
            wake: self.wake,
            free_hours: self.free_hours,
            health_patience: self.health_patience,
            images: self.images,
            on_live: self.on_live,
            reset: self.reset,
            limits: self.limits,
            gate: Mutex::new(Gate {
                keys: self.keys,
                ..Gate::default()
            }),
            seen: Mutex::default(),
        });
        let shared = Arc::clone(&world);
        let listening = Listening::open(self.address, |listener| {
            serve(listener, move |call| respond(Arc::clone(&shared), call))
        })
        .await?;
        Ok(FakeRender { world, listening })
    }
}

/// Answers one call, and remembers it.
async fn respond(world: Arc<World>, call: Call) -> Result<Answer, Gone> {
    let at = world.clock.now();
    let verdict = world.gate.lock().faults.take(&call.name());
    if !verdict.slow.is_zero() {
        world.clock.sleep(verdict.slow).await;
    }
    let answer = match &verdict.fault {
        Some(Fault::CutBefore) => return Err(Gone),
        Some(Fault::Status(status)) => view::error(*status, view::usual_message(*status)),
        Some(Fault::Said(status, message)) => view::error(*status, message),
        Some(Fault::Page(status, page)) => Answer::page(*status, "text/html", page.clone()),
        Some(Fault::RateLimited(after)) => {
            world
                .gate
                .lock()
                .limits
                .refusal(world.reset, world.clock.now(), *after)
        }
        Some(Fault::CutAfter | Fault::Slow(_)) | None => api::answer(&world, &call).await,
    };
    let answer = answer.header("render-request-id", rfc3339(at));
    world.seen.lock().calls.push(SeenCall {
        at,
        call: call.name(),
        query: call.raw_query().to_owned(),
        body: call.json().unwrap_or_default(),
        status: answer.status,
        answer: serde_json::from_slice(&answer.body).unwrap_or_default(),
    });
    match verdict.fault {
        Some(Fault::CutAfter) => Err(Gone),
        _ => Ok(answer),
    }
}
