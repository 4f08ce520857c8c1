//! Containers: started, asleep, awake again, crashed, stopped; and the edge before them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use serde_json::{Value, json};

use super::World;
use super::service::{Service, State};
use crate::cloud::edge::{Passed, Route, Routed};
use crate::cloud::http::Answer;
use crate::cloud::{Launch, Launched};
use crate::launch::{LaunchError, Line, Log};

/// How long a free service stays awake without a request, in milliseconds (15 minutes:
/// render.com/docs/free).
pub const FREE_SLEEP: i64 = 15 * 60 * 1000;
/// How long a container has to end by itself, by the machine's clock.
pub const STOP_GRACE: Duration = Duration::from_secs(30);
/// How long a crashed container stays down, in milliseconds.
const RESTART_AFTER: i64 = 10_000;

/// A container of a service.
#[derive(Debug)]
pub(super) enum Container {
    /// There is none.
    Down,
    /// It runs.
    Up(Instance),
    /// A request would wake it.
    Asleep,
    /// It will run then, in milliseconds since 1970-01-01T00:00:00Z.
    Waking(i64),
    /// It has ended by itself and is started again then.
    Crashed(i64),
}

impl Container {
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    pub const fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Up(instance) => Some(instance),
            _ => None,
        }
    }

    pub const fn instance_mut(&mut self) -> Option<&mut Instance> {
        match self {
            Self::Up(instance) => Some(instance),
            _ => None,
        }
    }
}

/// A container that runs.
#[derive(Debug)]
pub(super) struct Instance {
    /// The service's id and five letters.
    pub id: String,
    pub created: i64,
    launched: Launched,
    log: Log,
    read: usize,
}

impl Instance {
    /// Where it listens; `None` for a stand-in.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.launched.address()
    }

    /// Its lines since the last time.
    pub fn new_lines(&mut self) -> Vec<Line> {
        let lines = self.log.lines_after(self.read);
        self.read += lines.len();
        lines
    }

    /// Ends it, and gives its last lines.
    pub async fn stop(mut self) -> Vec<Line> {
        let before = self.new_lines();
        let (log, read) = (self.log, self.read);
        self.launched.stop(STOP_GRACE).await;
        before.into_iter().chain(log.lines_after(read)).collect()
    }
}

/// Why a container did not start.
#[derive(Debug)]
pub(super) struct Failure {
    /// As in Render's events.
    pub reason: Value,
    /// For the log.
    pub said: String,
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        let reason = match (&error, error.exit_code()) {
            (LaunchError::Silent(patience, _), _) => json!({
                "evicted": false,
                "timedOutSeconds": patience.as_secs(),
                "timedOutReason": "Port scan timeout reached, no open ports detected.",
            }),
            (_, Some(0)) => json!({ "evicted": false, "earlyExit": true }),
            (_, code) => json!({ "evicted": false, "nonZeroExit": code.unwrap_or(1) }),
        };
        Self {
            reason,
            said: error.to_string(),
        }
    }
}

impl Service {
    /// Starts a container for a deploy.
    pub async fn launch(
        &mut self,
        world: &World,
        deploy: &str,
        instance: String,
        now: i64,
    ) -> Result<Instance, Failure> {
        let deploy = self.deploys.iter().find(|known| known.id == deploy);
        let mut environment: BTreeMap<String, String> = [
            ("PORT", "10000"),
            ("RENDER", "true"),
            ("RENDER_SERVICE_TYPE", "web"),
            ("RENDER_SERVICE_ID", &self.id),
            ("RENDER_SERVICE_NAME", &self.slug),
            ("RENDER_INSTANCE_ID", &instance),
            ("RENDER_EXTERNAL_URL", &self.edge.url()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        environment.extend(
            deploy
                .iter()
                .flat_map(|deploy| deploy.environment.iter().cloned()),
        );
        let log = Log::new(world.clock.clone());
        let launch = Launch {
            service: self.id.clone(),
            image: deploy
                .map(|deploy| deploy.image.clone())
                .unwrap_or_default(),
            digest: deploy
                .and_then(|deploy| deploy.digest.clone())
                .unwrap_or_default(),
            environment,
            data: self.disk.as_ref().map(|disk| disk.folder.path().to_owned()),
            log: log.clone(),
        };
        world.seen.lock().launches.push(launch.clone());
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
                for line in log.lines() {
                    self.print(line.at, Some(instance.clone()), "error", "app", line.text);
                }
                Err(error.into())
            }
        }
    }

    /// A container has come into use.
    pub fn went_up(&mut self, container: Container, now: i64) {
        self.container = container;
        self.last_inbound = now;
        self.awake_since = (self.plan == "free").then_some(now);
    }

    /// A request comes from outside.
    fn knock(&mut self, now: i64, wake: Duration) -> Knock {
        if let Some(suspender) = self.suspender() {
            return Knock::answer(503, &format!("suspend-by-{suspender}"), "Service Suspended");
        }
        if self.details.get("renderSubdomainPolicy") == Some(&json!("disabled")) {
            return Knock::answer(404, "no-render-subdomain", "Not Found");
        }
        match &mut self.container {
            Container::Up(instance) => {
                self.last_inbound = now;
                self.traffic.entry(now.div_euclid(60_000)).or_default().0 += 1;
                Knock::Routed(instance.address().map_or_else(stand_in, Routed::To))
            }
            Container::Asleep => {
                let wake = i64::try_from(wake.as_millis()).unwrap_or(i64::MAX);
                let until = now.saturating_add(wake);
                self.container = Container::Waking(until);
                Knock::Wait(until)
            }
            Container::Waking(until) => Knock::Wait(*until),
            Container::Crashed(_) => Knock::Routed(Routed::Answer(Answer::page(
                502,
                "text/html",
                "Bad Gateway",
            ))),
            Container::Down => {
                let pending = self
                    .deploys
                    .iter()
                    .all(|deploy| deploy.status.is_under_way());
                if pending {
                    Knock::answer(404, "no-server", "Not Found")
                } else {
                    Knock::answer(502, "no-deploy", "Bad Gateway")
                }
            }
        }
    }
}

/// What an application without a program answers.
fn stand_in() -> Routed {
    Routed::Answer(Answer::json(200, &json!({ "status": "healthy" })))
}

/// What becomes of a request at the edge.
enum Knock {
    Routed(Routed),
    /// Until then, in milliseconds since 1970-01-01T00:00:00Z.
    Wait(i64),
}

impl Knock {
    fn answer(status: u16, routing: &str, said: &'static str) -> Self {
        let answer = Answer::page(status, "text/html", said).header("x-render-routing", routing);
        Self::Routed(Routed::Answer(answer))
    }
}

impl State {
    /// Ends a service's container, if there is one, and the count of its free hours.
    pub async fn stop(&mut self, service: usize, now: i64) {
        self.count_free_time(service, now);
        let Some(known) = self.services.get_mut(service) else {
            return;
        };
        if let Container::Up(instance) = std::mem::replace(&mut known.container, Container::Down) {
            let id = instance.id.clone();
            for line in instance.stop().await {
                known.print(line.at, Some(id.clone()), "info", "app", line.text);
            }
        }
    }

    /// A free service without requests falls asleep.
    pub async fn rest(&mut self, service: usize, now: i64) {
        let sleeps = self.services.get(service).is_some_and(|known| {
            known.plan == "free"
                && known.container.is_up()
                && now - known.last_inbound >= FREE_SLEEP
        });
        if sleeps {
            self.stop(service, now).await;
            if let Some(known) = self.services.get_mut(service) {
                known.container = Container::Asleep;
            }
        }
    }

    /// Notices a container that has ended, and starts what is to be started now.
    pub async fn revive(&mut self, world: &World, service: usize, now: i64) {
        let Some(known) = self.services.get_mut(service) else {
            return;
        };
        known.read_log();
        let ended = known.container.instance().and_then(|instance| {
            let code = instance.launched.ended()?;
            Some((instance.id.clone(), code))
        });
        if let Some((instance, code)) = ended {
            let reason = match code {
                0 => json!({ "evicted": false, "earlyExit": true }),
                code => json!({ "evicted": false, "nonZeroExit": code }),
            };
            known.container = Container::Crashed(now + RESTART_AFTER);
            self.count_free_time(service, now);
            let details = json!({ "instanceID": instance, "reason": reason });
            self.event(service, now, "server_failed", details);
            return;
        }
        let due = match known.container {
            Container::Waking(at) | Container::Crashed(at) => now >= at,
            _ => false,
        };
        if due {
            self.start(world, service, now).await;
        }
    }

    /// Starts the container of the deploy that is in use; again later, when it fails.
    pub async fn start(&mut self, world: &World, service: usize, now: i64) {
        let suffix = self.ids.letters(5);
        let Some(known) = self.services.get_mut(service) else {
            return;
        };
        let Some(live) = known.live.clone() else {
            return;
        };
        let instance = format!("{}-{suffix}", known.id);
        match known.launch(world, &live, instance.clone(), now).await {
            Ok(instance) => known.went_up(Container::Up(instance), now),
            Err(failure) => {
                known.container = Container::Crashed(now + RESTART_AFTER);
                let details = json!({ "instanceID": instance, "reason": failure.reason });
                self.event(service, now, "server_failed", details);
            }
        }
    }
}

/// A service's address.
#[derive(Debug)]
pub(super) struct Door {
    /// Not owned: the world owns the edge.
    pub world: Weak<World>,
    pub service: String,
}

impl Route for Door {
    async fn route(&self) -> Routed {
        let no_server = || {
            let answer = Answer::page(404, "text/plain", "Not Found");
            Routed::Answer(answer.header("x-render-routing", "no-server"))
        };
        loop {
            let Some(world) = self.world.upgrade() else {
                return no_server();
            };
            let now = world.clock.now();
            let mut state = world.state.lock().await;
            state.settle(&world, now).await;
            let until = match state.service(&self.service) {
                None => return no_server(),
                Some(service) => match service.knock(now, world.wake) {
                    Knock::Routed(routed) => return routed,
                    Knock::Wait(until) => until,
                },
            };
            drop(state);
            let clock = world.clock.clone();
            drop(world);
            let wait = u64::try_from(until - now).unwrap_or_default();
            clock.sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn passed(&self, passed: Passed) {
        let Some(world) = self.world.upgrade() else {
            return;
        };
        let minute = world.clock.now().div_euclid(60_000);
        let mut state = world.state.lock().await;
        if let Some(service) = state.service(&self.service) {
            service.traffic.entry(minute).or_default().1 += passed.bytes;
        }
    }
}
