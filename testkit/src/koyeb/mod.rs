//! A Koyeb that behaves, as far as one web service from an image needs it.
//!
//! Shapes are those of Koyeb's published description (`public.swagger.json`, in the form of
//! its Go client).
//!
//! | faked | as |
//! |---|---|
//! | keys | bearer; 401 for all others |
//! | `GET /v1/account/profile`, `/v1/account/organization` | one user of one organization |
//! | `/v1/apps` (list, create, get, delete) | names are unique; each app has a domain of its own; deleted only when it is empty, or with its last service if it was made so |
//! | `/v1/services` (list, create, get, put, patch, delete), `dry_run` | the definition is replaced, and makes a deployment; one free instance in all |
//! | `/v1/services/{id}/pause`, `resume`, `redeploy` | at once |
//! | `/v1/deployments` (list, get), `/{id}/cancel` | `PENDING` → `PROVISIONING` → `STARTING` → `HEALTHY`, `ERROR` or `UNHEALTHY`; the one before is `STOPPED` |
//! | `/v1/instances`, `/v1/streams/logs/query`, `/v1/streams/metrics`, `/v1/deployment_events` | the container, its output, what it uses, what happened |
//! | limits | 400 calls a minute, `x-ratelimit-*` |
//! | free instances | asleep after an hour without a request, awake a moment after one |
//! | faults | [`Fault`]s for the next call or calls of a kind |
//!
//! An app's domain is `127.0.0.1:PORT` and speaks HTTP, where Koyeb's is
//! `name-organization.koyeb.app` and speaks HTTPS.
//!
//! Codes of errors are those of the description. Not seen in recordings, and therefore guesses:
//! their words, what is answered when the free instance is used up, and that the deployments of
//! a paused service are `STOPPED`.

mod api;
mod door;
mod state;
mod view;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use api::Desk;
use state::State;
use view::{error, usual_error};

use crate::accept::{ANY_PORT, Listening, starts};
use crate::clock::Clock;
use crate::cloud::http::{Answer, Call, Gone, serve};
use crate::cloud::{Fault, FaultRule, Faults, Images, Launch, OnLive, SeenCall, any_image};

/// The key that a [`FakeKoyeb`] accepts unless it is given others.
pub const KEY: &str = "koyeb-demo-key-00000000000000000000000000000000000000000000000000000";

/// How long a free instance stays awake without a request, in milliseconds (koyeb.com/docs:
/// free instances scale down to zero after one hour).
pub const FREE_SLEEP: i64 = 60 * 60 * 1000;

/// How long a container has to end by itself, by the machine's clock.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// Calls a minute.
const LIMIT: u32 = 400;
/// After so many looks at a deployment that is not healthy, it has failed.
const LOOKS: u32 = 5;

/// A running fake. It stops, and its containers with it, when it is dropped.
#[derive(Debug)]
pub struct FakeKoyeb {
    world: Arc<World>,
    listening: Listening,
}

/// What all connections share.
struct World {
    clock: Clock,
    /// How long each step of a deployment takes; `None` for one step with each look.
    step: Option<Duration>,
    wake: Duration,
    images: Images,
    on_live: Option<OnLive>,
    gate: Mutex<Gate>,
    /// Held over awaits: calls happen one after the other.
    state: tokio::sync::Mutex<State>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Gate {
    keys: HashSet<String>,
    faults: Faults,
    calls: Vec<SeenCall>,
    launches: Vec<Launch>,
    /// When the window of calls began, and how many there were.
    window: (i64, u32),
}

impl FakeKoyeb {
    /// A fake with one key, in which every image exists.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:PORT`, in the place of `https://app.koyeb.com`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// The calls so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<SeenCall> {
        self.world.gate.lock().calls.clone()
    }

    /// The containers started so far, oldest first.
    #[must_use]
    pub fn launches(&self) -> Vec<Launch> {
        self.world.gate.lock().launches.clone()
    }

    /// Adds a rule for faults behind those there are. Paths begin with `/v1`.
    pub fn fault(&self, rule: FaultRule) {
        self.world.gate.lock().faults.add(rule);
    }

    /// Adds a fault for the next call. Several of these queue up.
    pub fn fault_next(&self, fault: Fault) {
        self.fault(FaultRule::new(fault).times(1));
    }

    /// Refuses this key from now on.
    pub fn revoke_key(&self, key: &str) {
        self.world.gate.lock().keys.remove(key);
    }

    /// Lets happen what is due by the clock. Every call and every request at an app's domain
    /// does so, too.
    pub async fn settle(&self) {
        let mut state = self.world.state.lock().await;
        state.settle(&self.world).await;
    }
}

/// What a [`FakeKoyeb`] is made of.
pub struct Builder {
    clock: Clock,
    step: Option<Duration>,
    wake: Duration,
    images: Images,
    on_live: Option<OnLive>,
    keys: HashSet<String>,
    address: SocketAddr,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            step: Some(Duration::from_secs(5)),
            wake: Duration::from_secs(3),
            images: any_image(),
            on_live: None,
            keys: HashSet::new(),
            address: ANY_PORT,
        }
    }
}

starts!(Builder => FakeKoyeb);

impl Builder {
    /// Takes the time from this clock. The default is the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// How long each step of a deployment takes, on the fake's clock. The default is 5 s.
    #[must_use]
    pub const fn step(mut self, step: Duration) -> Self {
        self.step = Some(step);
        self
    }

    /// Goes one step on with each `GET` of deployments or of the service.
    #[must_use]
    pub const fn step_per_get(mut self) -> Self {
        self.step = None;
        self
    }

    /// How long a sleeping instance takes to wake, on the fake's clock. The default is 3 s.
    #[must_use]
    pub const fn wake(mut self, wake: Duration) -> Self {
        self.wake = wake;
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

    /// Accepts this key, and [`KEY`] no longer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.insert(key.into());
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn try_start(mut self) -> io::Result<FakeKoyeb> {
        if self.keys.is_empty() {
            self.keys.insert(KEY.to_owned());
        }
        let mut state = State::default();
        state.organization = state.ids.uuid();
        let world = Arc::new(World {
            clock: self.clock,
            step: self.step,
            wake: self.wake,
            images: self.images,
            on_live: self.on_live,
            gate: Mutex::new(Gate {
                keys: self.keys,
                ..Gate::default()
            }),
            state: tokio::sync::Mutex::new(state),
        });
        let shared = Arc::clone(&world);
        let listening = Listening::open(self.address, |listener| {
            serve(listener, move |call| respond(Arc::clone(&shared), call))
        })
        .await?;
        Ok(FakeKoyeb { world, listening })
    }
}

async fn respond(world: Arc<World>, call: Call) -> Result<Answer, Gone> {
    let at = world.clock.now();
    let verdict = world.gate.lock().faults.take(&call.name());
    if !verdict.slow.is_zero() {
        world.clock.sleep(verdict.slow).await;
    }
    let answer = match &verdict.fault {
        Some(Fault::CutBefore) => return Err(Gone),
        Some(Fault::Status(status)) => usual_error(*status),
        Some(Fault::Said(status, message)) => error(*status, "invalid_argument", message),
        Some(Fault::Page(status, page)) => Answer::page(*status, "text/html", page.clone()),
        Some(Fault::RateLimited(after)) => limited(
            usual_error(429),
            0,
            i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        ),
        Some(Fault::CutAfter | Fault::Slow(_)) | None => admit(&world, &call).await,
    };
    world.gate.lock().calls.push(SeenCall {
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

/// Adds the headers about the limit; the reset is in seconds.
fn limited(answer: Answer, remaining: u32, reset: i64) -> Answer {
    answer
        .header("x-ratelimit-limit", format!("{LIMIT}, {LIMIT};w=60"))
        .header("x-ratelimit-remaining", remaining.to_string())
        .header("x-ratelimit-reset", reset.to_string())
}

async fn admit(world: &Arc<World>, call: &Call) -> Answer {
    let now = world.clock.now();
    let (calls, reset) = {
        let mut gate = world.gate.lock();
        if !call.bearer().is_some_and(|key| gate.keys.contains(key)) {
            return usual_error(401);
        }
        if now - gate.window.0 >= 60_000 {
            gate.window = (now, 0);
        }
        gate.window.1 = gate.window.1.saturating_add(1);
        (gate.window.1, (gate.window.0 + 60_000 - now + 999) / 1000)
    };
    let answer = if calls > LIMIT {
        usual_error(429)
    } else {
        let mut state = world.state.lock().await;
        state.settle(world).await;
        let mut desk = Desk {
            world,
            call,
            now,
            state: &mut state,
        };
        desk.answer().await.unwrap_or_else(|error| error)
    };
    limited(answer, LIMIT.saturating_sub(calls), reset)
}
