//! What there is, and what becomes of it with time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{FREE_SLEEP, LOOKS, STOP_GRACE, World};
use crate::cloud::edge::Edge;
use crate::cloud::{Ids, Launch, Launched, is_healthy, normalise};
use crate::launch::{Line, Log};

#[derive(Debug, Default)]
pub(super) struct State {
    pub ids: Ids,
    pub organization: String,
    pub apps: Vec<App>,
    pub services: Vec<Service>,
}

#[derive(Debug)]
pub(super) struct App {
    pub id: String,
    pub name: String,
    pub created: i64,
    /// It is deleted with its last service.
    pub goes_when_empty: bool,
    pub edge: Edge,
}

#[derive(Debug)]
pub(super) struct Service {
    pub id: String,
    pub app: String,
    pub name: String,
    pub created: i64,
    pub updated: i64,
    pub is_paused: bool,
    pub deployments: Vec<Deployment>,
    pub container: Container,
    /// The deployment that is in use.
    pub active: Option<String>,
    pub last_inbound: i64,
    pub lines: Vec<(Line, &'static str)>,
}

#[derive(Debug)]
pub(super) struct Deployment {
    pub id: String,
    pub definition: Value,
    pub status: Status,
    pub created: i64,
    pub updated: i64,
    pub since: i64,
    pub looks: u32,
    /// What was said about it, and when.
    pub messages: Vec<(i64, String)>,
    pub candidate: Option<Instance>,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub id: String,
    pub created: i64,
    pub launched: Launched,
    pub log: Log,
    pub read: usize,
}

#[derive(Debug)]
pub(super) enum Container {
    Down,
    Up(Instance),
    Asleep,
    /// It will run then, in milliseconds since 1970-01-01T00:00:00Z.
    Waking(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
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
    pub const fn name(self) -> &'static str {
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

    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Pending | Self::Provisioning | Self::Starting)
    }
}

impl Deployment {
    pub fn new(id: String, definition: Value, now: i64) -> Self {
        Self {
            id,
            definition,
            status: Status::Pending,
            created: now,
            updated: now,
            since: now,
            looks: 0,
            messages: vec![(now, "Deployment created".to_owned())],
            candidate: None,
        }
    }

    pub fn enter(&mut self, status: Status, at: i64, message: impl Into<String>) {
        self.status = status;
        self.since = at;
        self.updated = at;
        self.messages.push((at, message.into()));
    }

    /// What was said about it, oldest first.
    pub fn said(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().map(|(_, message)| message.as_str())
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
    /// Adds a deployment; one that is under way is given up for it.
    pub fn deploy(&mut self, service: usize, definition: Value, now: i64) {
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
    pub async fn settle(&mut self, world: &World) {
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

    pub async fn stop(&mut self, service: usize) {
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
    pub async fn step(&mut self, world: &World, place: usize, now: i64, is_look: bool) -> bool {
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
