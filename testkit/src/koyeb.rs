//! A Koyeb that behaves, as far as one web service from an image needs it.
//!
//! Shapes are those of Koyeb's published description (`public.swagger.json`, in the form of
//! its Go client).
//!
//! | faked | as |
//! |---|---|
//! | keys | bearer; 401 for all others |
//! | `GET /v1/account/profile`, `/v1/account/organization` | one user of one organization |
//! | `/v1/apps` (list, create, get, delete) | names are unique; each app has a domain of its own |
//! | `/v1/services` (list, create, get, put, patch, delete), `dry_run` | the definition is replaced, and makes a deployment; one free instance in all |
//! | `/v1/services/{id}/pause`, `resume`, `redeploy` | at once |
//! | `/v1/deployments` (list, get), `/{id}/cancel` | `PENDING` → `PROVISIONING` → `STARTING` → `HEALTHY`, `ERROR` or `UNHEALTHY`; the one before is `STOPPED` |
//! | `/v1/instances`, `/v1/streams/logs/query`, `/v1/deployment_events` | the container, its output, what happened |
//! | limits | 400 calls a minute, `x-ratelimit-*` |
//! | free instances | asleep after an hour without a request, awake a moment after one |
//! | faults | [`Fault`]s for the next call or calls of a kind |
//!
//! An app's domain is `127.0.0.1:PORT` and speaks HTTP, where Koyeb's is
//! `name-organization.koyeb.app` and speaks HTTPS.
//!
//! Not seen in recordings, and therefore guesses: the codes and words of errors.
//!
//! Deliberately absent: git, volumes, secrets, more than one region, other kinds of
//! services, `update_mask`.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::cloud::edge::{Edge, Passed, Route, Routed};
use crate::cloud::http::{Answer, Call, Gone, serve};
use crate::cloud::{
    Fault, FaultRule, Faults, Ids, Images, Launch, Launched, OnLive, SeenCall, any_image,
    is_healthy, normalise, rfc3339,
};
use crate::launch::{Line, Log};

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
    address: SocketAddr,
    /// The accept loop; it owns the connections.
    _server: JoinSet<()>,
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

#[derive(Debug, Default)]
struct State {
    ids: Ids,
    organization: String,
    apps: Vec<App>,
    services: Vec<Service>,
}

#[derive(Debug)]
struct App {
    id: String,
    name: String,
    created: i64,
    edge: Edge,
}

#[derive(Debug)]
struct Service {
    id: String,
    app: String,
    name: String,
    created: i64,
    updated: i64,
    is_paused: bool,
    deployments: Vec<Deployment>,
    container: Container,
    /// The deployment that is in use.
    active: Option<String>,
    last_inbound: i64,
    lines: Vec<(Line, &'static str)>,
}

#[derive(Debug)]
struct Deployment {
    id: String,
    definition: Value,
    status: Status,
    created: i64,
    updated: i64,
    since: i64,
    looks: u32,
    messages: Vec<String>,
    candidate: Option<Instance>,
}

#[derive(Debug)]
struct Instance {
    id: String,
    created: i64,
    launched: Launched,
    log: Log,
    read: usize,
}

#[derive(Debug)]
enum Container {
    Down,
    Up(Instance),
    Asleep,
    /// It will run then, in milliseconds since 1970-01-01T00:00:00Z.
    Waking(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Pending,
    Provisioning,
    Starting,
    Healthy,
    Unhealthy,
    Stopped,
    Canceled,
    Error,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Provisioning => "PROVISIONING",
            Self::Starting => "STARTING",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
            Self::Stopped => "STOPPED",
            Self::Canceled => "CANCELED",
            Self::Error => "ERROR",
        }
    }

    const fn is_under_way(self) -> bool {
        matches!(self, Self::Pending | Self::Provisioning | Self::Starting)
    }
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
        format!("http://{}", self.address)
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
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

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

    /// Listens here instead of on a free port of 127.0.0.1.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Starts to listen.
    ///
    /// # Panics
    /// When it cannot listen; on a free port of 127.0.0.1 that does not happen.
    #[expect(
        clippy::expect_used,
        reason = "a test without its fake cannot go on; everybody else uses try_start"
    )]
    pub async fn start(self) -> FakeKoyeb {
        self.try_start().await.expect("the fake Koyeb listens")
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn try_start(mut self) -> io::Result<FakeKoyeb> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
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
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&world);
        tasks.spawn(serve(listener, move |call| {
            respond(Arc::clone(&shared), call)
        }));
        Ok(FakeKoyeb {
            world,
            address,
            _server: tasks,
        })
    }
}

/// An error in Koyeb's form.
fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "status": status, "code": code, "message": message }),
    )
}

fn usual_error(status: u16) -> Answer {
    let (code, message) = match status {
        400 => ("invalid_argument", "Validation error"),
        401 => ("unauthenticated", "Token is not valid"),
        402 => ("payment_required", "Add a payment method to go on"),
        403 => ("permission_denied", "You may not do that"),
        404 => ("not_found", "Not Found"),
        409 => ("already_exists", "It exists already"),
        429 => ("too_many_requests", "Too many requests"),
        503 => ("unavailable", "Service unavailable"),
        _ => ("internal", "Internal error"),
    };
    error(status, code, message)
}

/// 400 about a field.
fn invalid(field: &str, description: &str) -> Answer {
    Answer::json(
        400,
        &json!({
            "status": 400,
            "code": "invalid_argument",
            "message": "Validation error",
            "fields": [{ "field": field, "description": description }],
        }),
    )
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

/// Where a call is dealt with.
struct Desk<'a> {
    world: &'a Arc<World>,
    call: &'a Call,
    now: i64,
    state: &'a mut State,
}

impl Desk<'_> {
    async fn answer(&mut self) -> Result<Answer, Answer> {
        let segments = self.call.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some(("v1", path)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
            // As app.koyeb.com does: the shell of its console for everything else.
            return Ok(Answer::page(
                200,
                "text/html",
                "<!doctype html><title>Koyeb</title>",
            ));
        };
        let organization = self.state.organization.clone();
        match (self.call.parts.method.as_str(), path) {
            ("GET", ["account", "profile"]) => {
                let user = json!({
                    "id": "00000000-0000-4000-a000-000000000001",
                    "email": "somebody@example.com",
                    "name": "Somebody",
                });
                Ok(Answer::json(200, &json!({ "user": user })))
            }
            ("GET", ["account", "organization"]) => {
                let organization =
                    json!({ "id": organization, "name": "somebody", "plan": "starter" });
                Ok(Answer::json(200, &json!({ "organization": organization })))
            }
            ("GET", ["apps"]) => {
                let apps = self
                    .state
                    .apps
                    .iter()
                    .filter(|app| self.wanted("name", &app.name));
                let apps = apps.map(|app| self.state.show_app(app)).collect();
                self.list("apps", apps)
            }
            ("POST", ["apps"]) => self.create_app().await,
            (method, ["apps", id]) => {
                let place = self
                    .state
                    .apps
                    .iter()
                    .position(|app| app.id == *id || app.name == *id)
                    .ok_or_else(|| usual_error(404))?;
                match method {
                    "GET" => {
                        let app = self.state.apps.get(place);
                        let app = app.map(|app| self.state.show_app(app));
                        Ok(Answer::json(200, &json!({ "app": app })))
                    }
                    "DELETE" => {
                        let app = self.state.apps.remove(place).id;
                        while let Some(place) =
                            self.state.services.iter().position(|it| it.app == app)
                        {
                            self.state.stop(place).await;
                            self.state.services.remove(place);
                        }
                        Ok(Answer::json(200, &json!({})))
                    }
                    _ => Err(usual_error(404)),
                }
            }
            ("GET", ["services"]) => {
                let services = self
                    .state
                    .services
                    .iter()
                    .filter(|it| self.wanted("app_id", &it.app) && self.wanted("name", &it.name))
                    .map(|service| self.state.show_service(service))
                    .collect();
                self.list("services", services)
            }
            ("POST", ["services"]) => self.create_service(),
            (method, ["services", id, rest @ ..]) => {
                let place = self
                    .state
                    .services
                    .iter()
                    .position(|service| service.id == *id)
                    .ok_or_else(|| usual_error(404))?;
                self.service(method, place, rest).await
            }
            ("GET", ["deployments"]) => {
                self.look().await;
                let deployments = self
                    .state
                    .services
                    .iter()
                    .filter(|it| {
                        self.wanted("service_id", &it.id) && self.wanted("app_id", &it.app)
                    })
                    .flat_map(|service| {
                        let newest_first = service.deployments.iter().rev();
                        newest_first.map(|it| self.state.show_deployment(service, it))
                    })
                    .collect();
                self.list("deployments", deployments)
            }
            (method, ["deployments", id, rest @ ..]) => self.deployment(method, id, rest).await,
            ("GET", ["instances"]) => {
                let instances = self
                    .state
                    .services
                    .iter()
                    .filter(|it| self.wanted("service_id", &it.id))
                    .filter_map(|service| match &service.container {
                        Container::Up(instance) => Some(json!({
                            "id": instance.id,
                            "service_id": service.id,
                            "app_id": service.app,
                            "deployment_id": service.active,
                            "status": "HEALTHY",
                            "created_at": rfc3339(instance.created),
                            "messages": ["Instance is healthy"],
                        })),
                        _ => None,
                    })
                    .collect();
                self.list("instances", instances)
            }
            ("GET", ["deployment_events"]) => self.events(),
            ("GET", ["streams", "logs", "query"]) => self.logs(),
            _ => Err(usual_error(404)),
        }
    }

    /// Whether a value passes a filter of the query.
    fn wanted(&self, name: &str, value: &str) -> bool {
        self.call
            .parameter(name)
            .is_none_or(|wanted| wanted == value)
    }

    /// A page of a list.
    fn list(&self, name: &str, items: Vec<Value>) -> Result<Answer, Answer> {
        let number = |name: &str, otherwise: usize| match self.call.parameter(name) {
            None => Ok(otherwise),
            Some(given) => given.parse().map_err(|_| invalid(name, "must be a number")),
        };
        let (limit, offset) = (number("limit", 10)?.clamp(1, 100), number("offset", 0)?);
        let count = items.len();
        let page: Vec<Value> = items.into_iter().skip(offset).take(limit).collect();
        let has_next = offset + page.len() < count;
        Ok(Answer::json(
            200,
            &json!({
                name: page, "limit": limit, "offset": offset, "count": count, "has_next": has_next,
            }),
        ))
    }

    fn body(&self) -> Result<Value, Answer> {
        self.call
            .json()
            .ok_or_else(|| invalid("", "the body is not JSON"))
    }

    /// Somebody looks at deployments.
    async fn look(&mut self) {
        if self.world.step.is_none() {
            for service in 0..self.state.services.len() {
                self.state.step(self.world, service, self.now, true).await;
            }
        }
    }

    async fn create_app(&mut self) -> Result<Answer, Answer> {
        let body = self.body()?;
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        check_name("name", name)?;
        if self.state.apps.iter().any(|app| app.name == name) {
            return Err(invalid("name", "already exists"));
        }
        let id = self.state.ids.uuid();
        let door = Door {
            world: Arc::downgrade(self.world),
            app: id.clone(),
        };
        let edge = Edge::open(|_| door).await.map_err(|_| usual_error(500))?;
        let app = App {
            id,
            name: name.to_owned(),
            created: self.now,
            edge,
        };
        let view = self.state.show_app(&app);
        self.state.apps.push(app);
        Ok(Answer::json(200, &json!({ "app": view })))
    }

    /// Checks a definition; gives its name.
    fn check(&self, definition: &Value, own: Option<&str>) -> Result<String, Answer> {
        let name = definition
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        check_name("definition.name", name)?;
        if definition.get("type").and_then(Value::as_str) != Some("WEB") {
            return Err(invalid("definition.type", "this fake has WEB only"));
        }
        for (field, path) in [
            ("definition.docker.image", "/docker/image"),
            ("definition.regions", "/regions/0"),
            ("definition.instance_types", "/instance_types/0/type"),
            ("definition.ports", "/ports/0/port"),
            ("definition.scalings", "/scalings/0/max"),
        ] {
            if definition.pointer(path).is_none() {
                return Err(invalid(field, "is required"));
            }
        }
        let is_free = |definition: &Value| {
            definition
                .pointer("/instance_types/0/type")
                .and_then(Value::as_str)
                == Some("free")
        };
        let mut others = self
            .state
            .services
            .iter()
            .filter(|it| Some(it.id.as_str()) != own);
        let another = others.any(|service| {
            let latest = service.deployments.last();
            latest.is_some_and(|latest| is_free(&latest.definition))
        });
        if is_free(definition) && another {
            return Err(error(
                403,
                "quota_exceeded",
                "Only one free instance is allowed for an organization",
            ));
        }
        Ok(name.to_owned())
    }

    fn create_service(&mut self) -> Result<Answer, Answer> {
        let body = self.body()?;
        let app = body
            .get("app_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !self.state.apps.iter().any(|known| known.id == app) {
            return Err(invalid("app_id", "does not exist"));
        }
        let definition = body.get("definition").cloned().unwrap_or_default();
        let name = self.check(&definition, None)?;
        let mut services = self.state.services.iter();
        if services.any(|it| it.app == app && it.name == name) {
            return Err(invalid("definition.name", "already exists"));
        }
        let mut service = Service {
            id: self.state.ids.uuid(),
            app: app.to_owned(),
            name,
            created: self.now,
            updated: self.now,
            is_paused: false,
            deployments: Vec::new(),
            container: Container::Down,
            active: None,
            last_inbound: self.now,
            lines: Vec::new(),
        };
        let id = self.state.ids.uuid();
        service
            .deployments
            .push(Deployment::new(id, definition, self.now));
        let view = self.state.show_service(&service);
        if self.call.parameter("dry_run") != Some("true") {
            self.state.services.push(service);
        }
        Ok(Answer::json(200, &json!({ "service": view })))
    }

    async fn service(
        &mut self,
        method: &str,
        place: usize,
        path: &[&str],
    ) -> Result<Answer, Answer> {
        let (id, latest) = {
            let service = self
                .state
                .services
                .get(place)
                .ok_or_else(|| usual_error(404))?;
            let latest = service.deployments.last();
            let latest = latest
                .map(|latest| latest.definition.clone())
                .unwrap_or_default();
            (service.id.clone(), latest)
        };
        match (method, path) {
            ("GET", []) => self.look().await,
            ("PUT" | "PATCH", []) => {
                let body = self.body()?;
                let definition = body.get("definition").cloned().unwrap_or_default();
                self.check(&definition, Some(&id))?;
                if self.call.parameter("dry_run") != Some("true") {
                    self.state.deploy(place, definition, self.now);
                }
            }
            ("DELETE", []) => {
                self.state.stop(place).await;
                self.state.services.remove(place);
                return Ok(Answer::json(200, &json!({})));
            }
            ("POST", ["pause"]) => {
                self.state.stop(place).await;
                if let Some(service) = self.state.services.get_mut(place) {
                    service.is_paused = true;
                }
                return Ok(Answer::json(200, &json!({})));
            }
            ("POST", ["resume"]) => {
                if let Some(service) = self.state.services.get_mut(place) {
                    service.is_paused = false;
                }
                self.state.deploy(place, latest, self.now);
                return Ok(Answer::json(200, &json!({})));
            }
            ("POST", ["redeploy"]) => {
                self.state.deploy(place, latest, self.now);
                let service = self.state.services.get(place);
                let view = service.and_then(|service| {
                    let latest = service.deployments.last()?;
                    Some(self.state.show_deployment(service, latest))
                });
                return Ok(Answer::json(200, &json!({ "deployment": view })));
            }
            _ => return Err(usual_error(404)),
        }
        let service = self.state.services.get(place);
        let view = service.map(|service| self.state.show_service(service));
        Ok(Answer::json(200, &json!({ "service": view })))
    }

    async fn deployment(
        &mut self,
        method: &str,
        id: &str,
        path: &[&str],
    ) -> Result<Answer, Answer> {
        if method == "GET" {
            self.look().await;
        }
        let has = |service: &Service| service.deployments.iter().position(|it| it.id == id);
        let found = self
            .state
            .services
            .iter()
            .enumerate()
            .find_map(|(place, service)| Some((place, has(service)?)));
        let (place, i) = found.ok_or_else(|| usual_error(404))?;
        match (method, path) {
            ("GET", []) => {
                let service = self.state.services.get(place);
                let view = service.and_then(|service| {
                    let deployment = service.deployments.get(i)?;
                    Some(self.state.show_deployment(service, deployment))
                });
                Ok(Answer::json(200, &json!({ "deployment": view })))
            }
            ("POST", ["cancel"]) => {
                let service = self.state.services.get_mut(place);
                let deployment = service.and_then(|service| service.deployments.get_mut(i));
                let deployment = deployment.filter(|it| it.status.is_under_way());
                let deployment = deployment.ok_or_else(|| invalid("id", "is not under way"))?;
                deployment.enter(Status::Canceled, self.now, "Deployment canceled");
                if let Some(candidate) = deployment.candidate.take() {
                    candidate.launched.stop(STOP_GRACE).await;
                }
                Ok(Answer::json(200, &json!({})))
            }
            _ => Err(usual_error(404)),
        }
    }

    fn events(&self) -> Result<Answer, Answer> {
        let events = self
            .state
            .services
            .iter()
            .flat_map(|service| service.deployments.iter().rev())
            .filter(|deployment| self.wanted("deployment_id", &deployment.id))
            .flat_map(|deployment| {
                let newest_first = deployment.messages.iter().enumerate().rev();
                newest_first.map(|(i, message)| {
                    json!({
                        "id": format!("{}-{i}", deployment.id),
                        "when": rfc3339(deployment.updated),
                        "organization_id": self.state.organization,
                        "deployment_id": deployment.id,
                        "type": "DEPLOYMENT_STATUS",
                        "message": message,
                        "metadata": {},
                    })
                })
            })
            .collect();
        self.list("events", events)
    }

    fn logs(&self) -> Result<Answer, Answer> {
        let id = self.call.parameter("service_id");
        let id = id.ok_or_else(|| invalid("service_id", "is required"))?;
        let service = self.state.services.iter().find(|it| it.id == id);
        let service = service.ok_or_else(|| usual_error(404))?;
        let time = |name: &str, otherwise: i64| match self.call.parameter(name) {
            None => Ok(otherwise),
            Some(given) => given
                .parse()
                .map(|time: jiff::Timestamp| time.as_millisecond())
                .map_err(|_| invalid(name, "must be a time in RFC 3339")),
        };
        let (start, end) = (
            time("start", self.now - 15 * 60_000)?,
            time("end", self.now)?,
        );
        let kind = self.call.parameter("type").unwrap_or("runtime");
        let limit = self.call.parameter("limit").and_then(|it| it.parse().ok());
        let limit: usize = limit.unwrap_or(100).clamp(1, 1000);
        let mut lines: Vec<&(Line, &str)> = service
            .lines
            .iter()
            .filter(|(line, it)| *it == kind && start <= line.at && line.at <= end)
            .collect();
        if self.call.parameter("order") == Some("desc") {
            lines.reverse();
        }
        let has_more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().map_or(start, |(line, _)| line.at);
        let data: Vec<Value> = lines
            .into_iter()
            .map(|(line, kind)| {
                json!({
                    "msg": line.text,
                    "created_at": rfc3339(line.at),
                    "labels": { "service_id": service.id, "type": kind },
                })
            })
            .collect();
        let pagination = json!({
            "has_more": has_more, "next_start": rfc3339(last), "next_end": rfc3339(end),
        });
        Ok(Answer::json(
            200,
            &json!({ "data": data, "pagination": pagination }),
        ))
    }
}

/// Names are of 3 to 63 small letters, digits and `-`.
fn check_name(field: &str, name: &str) -> Result<(), Answer> {
    let is_name = (3..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_name {
        Ok(())
    } else {
        Err(invalid(field, "must match ^[a-z][a-z0-9-]{2,62}$"))
    }
}

impl Deployment {
    fn new(id: String, definition: Value, now: i64) -> Self {
        Self {
            id,
            definition,
            status: Status::Pending,
            created: now,
            updated: now,
            since: now,
            looks: 0,
            messages: vec!["Deployment created".to_owned()],
            candidate: None,
        }
    }

    fn enter(&mut self, status: Status, at: i64, message: impl Into<String>) {
        self.status = status;
        self.since = at;
        self.updated = at;
        self.messages.push(message.into());
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.definition.pointer(path).and_then(Value::as_str)
    }

    /// The variables that are set to a value of their own.
    fn environment(&self) -> BTreeMap<String, String> {
        let variables = self.definition.get("env").and_then(Value::as_array);
        variables
            .into_iter()
            .flatten()
            .filter_map(|variable| {
                let key = variable.get("key")?.as_str()?;
                Some((key.to_owned(), variable.get("value")?.as_str()?.to_owned()))
            })
            .collect()
    }

    fn port(&self) -> u64 {
        let port = self.definition.pointer("/ports/0/port");
        port.and_then(Value::as_u64).unwrap_or(8000)
    }
}

impl State {
    fn show_app(&self, app: &App) -> Value {
        let url = app.edge.url();
        json!({
            "id": app.id,
            "name": app.name,
            "organization_id": self.organization,
            "created_at": rfc3339(app.created),
            "updated_at": rfc3339(app.created),
            "status": "HEALTHY",
            "domains": [{
                "id": app.id,
                "name": url.trim_start_matches("http://"),
                "type": "AUTOASSIGNED",
                "status": "ACTIVE",
                "app_id": app.id,
            }],
        })
    }

    fn show_service(&self, service: &Service) -> Value {
        let latest = service.deployments.last();
        let status = match latest.map(|latest| latest.status) {
            _ if service.is_paused => "PAUSED",
            Some(status) if status.is_under_way() => "STARTING",
            Some(Status::Healthy) => "HEALTHY",
            _ if service.active.is_some() => "DEGRADED",
            _ => "UNHEALTHY",
        };
        json!({
            "id": service.id,
            "name": service.name,
            "type": "WEB",
            "app_id": service.app,
            "organization_id": self.organization,
            "created_at": rfc3339(service.created),
            "updated_at": rfc3339(service.updated),
            "status": status,
            "messages": latest.and_then(|latest| latest.messages.last()).into_iter().collect::<Vec<_>>(),
            "version": service.deployments.len().to_string(),
            "active_deployment_id": service.active.as_deref().unwrap_or_default(),
            "latest_deployment_id": latest.map(|latest| latest.id.as_str()),
        })
    }

    fn show_deployment(&self, service: &Service, deployment: &Deployment) -> Value {
        json!({
            "id": deployment.id,
            "app_id": service.app,
            "service_id": service.id,
            "organization_id": self.organization,
            "created_at": rfc3339(deployment.created),
            "updated_at": rfc3339(deployment.updated),
            "status": deployment.status.name(),
            "messages": deployment.messages,
            "definition": deployment.definition,
        })
    }

    /// Adds a deployment; one that is under way is given up for it.
    fn deploy(&mut self, service: usize, definition: Value, now: i64) {
        let id = self.ids.uuid();
        let Some(service) = self.services.get_mut(service) else {
            return;
        };
        for earlier in &mut service.deployments {
            if earlier.status.is_under_way() {
                earlier.enter(Status::Canceled, now, "Superseded by a newer deployment");
            }
        }
        service.updated = now;
        service
            .deployments
            .push(Deployment::new(id, definition, now));
    }

    /// Lets happen what is due.
    async fn settle(&mut self, world: &World) {
        let now = world.clock.now();
        for i in 0..self.services.len() {
            if world.step.is_some() {
                while self.step(world, i, now, false).await {}
            }
            let Some(service) = self.services.get_mut(i) else {
                continue;
            };
            service.read_log();
            let is_free = service
                .deployments
                .last()
                .is_some_and(|it| it.text("/instance_types/0/type") == Some("free"));
            let idle = now - service.last_inbound >= FREE_SLEEP;
            match &service.container {
                Container::Up(_) if is_free && idle => {
                    self.stop(i).await;
                    if let Some(service) = self.services.get_mut(i) {
                        service.container = Container::Asleep;
                    }
                }
                Container::Up(instance) if instance.launched.ended().is_some() => {
                    service.container = Container::Asleep;
                }
                Container::Waking(at) if now >= *at => {
                    let id = self.ids.uuid();
                    let Some(service) = self.services.get_mut(i) else {
                        continue;
                    };
                    let active = service.active.clone().unwrap_or_default();
                    let launched = service.launch(world, &active, id, now).await;
                    service.container = launched.map_or(Container::Asleep, Container::Up);
                    service.last_inbound = now;
                }
                _ => {}
            }
        }
    }

    async fn stop(&mut self, service: usize) {
        let Some(service) = self.services.get_mut(service) else {
            return;
        };
        for deployment in &mut service.deployments {
            if let Some(candidate) = deployment.candidate.take() {
                candidate.launched.stop(STOP_GRACE).await;
            }
        }
        if let Container::Up(mut instance) =
            std::mem::replace(&mut service.container, Container::Down)
        {
            let mut lines = instance.new_lines();
            let (log, read) = (instance.log, instance.read);
            instance.launched.stop(STOP_GRACE).await;
            lines.extend(log.lines_after(read));
            service
                .lines
                .extend(lines.into_iter().map(|line| (line, "runtime")));
        }
    }

    /// Takes the deployment that is under way one step on, if that is due; true when so.
    async fn step(&mut self, world: &World, place: usize, now: i64, is_look: bool) -> bool {
        let instance = self.ids.uuid();
        let Some(service) = self.services.get_mut(place) else {
            return false;
        };
        let Some(i) = service
            .deployments
            .iter()
            .position(|it| it.status.is_under_way())
        else {
            return false;
        };
        let Some(deployment) = service.deployments.get_mut(i) else {
            return false;
        };
        let step = world.step.filter(|_| !is_look).unwrap_or_default();
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        let due = if is_look {
            now
        } else {
            deployment.since.saturating_add(step)
        };
        if due > now {
            return false;
        }
        match deployment.status {
            Status::Pending => {
                deployment.enter(Status::Provisioning, due, "Provisioning resources");
                return true;
            }
            Status::Provisioning => {
                let image = normalise(deployment.text("/docker/image").unwrap_or_default());
                match (world.images)(&image, None) {
                    Ok(_) => deployment.enter(Status::Starting, due, "Starting the instance"),
                    Err(error) => {
                        let why = format!("Failed to pull {image}: {error}");
                        deployment.enter(Status::Error, due, why);
                    }
                }
                return true;
            }
            _ => {}
        }
        if deployment.candidate.is_none() {
            let id = deployment.id.clone();
            match service.launch(world, &id, instance, now).await {
                Ok(instance) => {
                    if let Some(deployment) = service.deployments.get_mut(i) {
                        deployment.candidate = Some(instance);
                    }
                }
                Err(why) => {
                    if let Some(deployment) = service.deployments.get_mut(i) {
                        deployment.enter(Status::Error, due, why);
                    }
                    return true;
                }
            }
        }
        let Some(deployment) = service.deployments.get_mut(i) else {
            return false;
        };
        let path = deployment
            .text("/health_checks/0/http/path")
            .unwrap_or_default()
            .to_owned();
        let address = deployment
            .candidate
            .as_ref()
            .and_then(|it| it.launched.address());
        let sick = match address {
            Some(address) => is_healthy(address, &path).await.err(),
            None => None,
        };
        if let Some(sick) = sick {
            deployment.looks += 1;
            if deployment.looks <= LOOKS {
                deployment.since = now;
                return false;
            }
            deployment.enter(Status::Unhealthy, now, sick);
            if let Some(candidate) = deployment.candidate.take() {
                candidate.launched.stop(STOP_GRACE).await;
            }
            return true;
        }
        deployment.enter(Status::Healthy, due, "Deployment is healthy");
        let id = deployment.id.clone();
        let candidate = deployment.candidate.take();
        self.stop(place).await;
        if let Some(service) = self.services.get_mut(place) {
            for earlier in &mut service.deployments {
                if earlier.status == Status::Healthy && earlier.id != id {
                    earlier.enter(Status::Stopped, due, "Deployment stopped");
                }
            }
            service.active = Some(id);
            service.last_inbound = now;
            service.container = candidate.map_or(Container::Down, Container::Up);
        }
        true
    }
}

impl Instance {
    /// Its lines since the last time.
    fn new_lines(&mut self) -> Vec<Line> {
        let lines = self.log.lines_after(self.read);
        self.read += lines.len();
        lines
    }
}

impl Service {
    /// Takes over what the container has printed since.
    fn read_log(&mut self) {
        if let Container::Up(instance) = &mut self.container {
            let lines = instance.new_lines();
            self.lines
                .extend(lines.into_iter().map(|line| (line, "runtime")));
        }
    }

    /// Starts a container for a deployment.
    async fn launch(
        &mut self,
        world: &World,
        deployment: &str,
        instance: String,
        now: i64,
    ) -> Result<Instance, String> {
        let deployment = self.deployments.iter().find(|it| it.id == deployment);
        let deployment = deployment.ok_or_else(|| "There is no such deployment".to_owned())?;
        let mut environment = BTreeMap::from([
            ("PORT".to_owned(), deployment.port().to_string()),
            ("KOYEB_SERVICE_ID".to_owned(), self.id.clone()),
            ("KOYEB_INSTANCE_ID".to_owned(), instance.clone()),
        ]);
        environment.extend(deployment.environment());
        let log = Log::new(world.clock.clone());
        let image = normalise(deployment.text("/docker/image").unwrap_or_default());
        let launch = Launch {
            service: self.id.clone(),
            digest: (world.images)(&image, None).unwrap_or_default(),
            image,
            environment,
            data: None,
            log: log.clone(),
        };
        world.gate.lock().launches.push(launch.clone());
        let launched = match &world.on_live {
            Some(on_live) => on_live(launch).await,
            None => Ok(Launched::stand_in()),
        };
        match launched {
            Ok(launched) => Ok(Instance {
                id: instance,
                created: now,
                launched,
                log,
                read: 0,
            }),
            Err(error) => {
                let lines = log.lines().into_iter();
                self.lines.extend(lines.map(|line| (line, "runtime")));
                Err(error.to_string())
            }
        }
    }
}

/// An app's domain.
#[derive(Debug)]
struct Door {
    /// Not owned: the world owns the edge.
    world: Weak<World>,
    app: String,
}

impl Route for Door {
    async fn route(&self) -> Routed {
        let said =
            |status, said: &'static str| Routed::Answer(Answer::page(status, "text/plain", said));
        loop {
            let Some(world) = self.world.upgrade() else {
                return said(404, "no such app");
            };
            let now = world.clock.now();
            let mut state = world.state.lock().await;
            state.settle(&world).await;
            let Some(service) = state.services.iter_mut().find(|it| it.app == self.app) else {
                return said(404, "no active service");
            };
            let until = match &service.container {
                Container::Up(instance) => {
                    service.last_inbound = now;
                    return match instance.launched.address() {
                        Some(address) => Routed::To(address),
                        None => Routed::Answer(Answer::json(200, &json!({ "status": "healthy" }))),
                    };
                }
                Container::Down => return said(404, "no active service"),
                Container::Waking(until) => *until,
                Container::Asleep => {
                    let wake = i64::try_from(world.wake.as_millis()).unwrap_or(i64::MAX);
                    service.container = Container::Waking(now.saturating_add(wake));
                    now.saturating_add(wake)
                }
            };
            drop(state);
            let clock = world.clock.clone();
            drop(world);
            let wait = u64::try_from(until - now).unwrap_or_default();
            clock.sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn passed(&self, _: Passed) {}
}
