//! What there is: workspaces, services, and what is due on each of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::World;
use super::account::{Credential, Owner, month_of};
use super::container::{Container, FREE_SLEEP};
use super::deploy::Deploy;
use crate::cloud::edge::Edge;
use crate::cloud::{Ids, Login, rfc3339};

/// All that the fake knows.
#[derive(Debug)]
pub(super) struct State {
    pub ids: Ids,
    pub owners: Vec<Owner>,
    pub services: Vec<Service>,
    pub credentials: Vec<Credential>,
    /// Addresses of services that are no more; they go on answering that.
    pub ruins: Vec<Edge>,
    /// The first moment of the month whose hours are counted.
    month: i64,
}

/// A web service.
#[derive(Debug)]
pub(super) struct Service {
    pub id: String,
    pub owner: String,
    pub name: String,
    pub slug: String,
    /// In full form.
    pub image: String,
    pub credential: Option<String>,
    pub auto_deploy: String,
    pub plan: String,
    pub region: String,
    pub health_path: String,
    pub instances: u64,
    /// Further details, as they were given, with Render's defaults.
    pub details: Map<String, Value>,
    pub environment: Vec<(String, String)>,
    pub disk: Option<Disk>,
    pub created: i64,
    pub updated: i64,
    /// `user`, `billing`.
    pub suspenders: Vec<&'static str>,
    pub deploys: Vec<Deploy>,
    /// Oldest first.
    pub events: Vec<Value>,
    pub lines: Vec<LogLine>,
    pub edge: Edge,
    pub container: Container,
    /// The deploy that is in use.
    pub live: Option<String>,
    /// When the last request came from outside, or the container started.
    pub last_inbound: i64,
    /// Since when time of the free plan is counted.
    pub awake_since: Option<i64>,
    /// Requests and bytes by minute.
    pub traffic: BTreeMap<i64, (u64, u64)>,
}

/// A disk of a service.
#[derive(Debug)]
pub(super) struct Disk {
    pub id: String,
    pub name: String,
    pub mount_path: String,
    pub gigabytes: u64,
    pub folder: TempDir,
}

/// A line of a log.
#[derive(Clone, Debug)]
pub(super) struct LogLine {
    /// Nanoseconds since 1970-01-01T00:00:00Z; no two lines of a service have the same.
    pub at: i128,
    pub text: String,
    pub instance: Option<String>,
    pub level: &'static str,
    /// `app` or `build`.
    pub kind: &'static str,
}

impl State {
    pub fn new(owners: Vec<Owner>, now: i64) -> Self {
        Self {
            ids: Ids::default(),
            owners,
            services: Vec::new(),
            credentials: Vec::new(),
            ruins: Vec::new(),
            month: month_of(now),
        }
    }

    /// A new id, e.g. `srv-` and 20 letters.
    pub fn id(&mut self, kind: &str) -> String {
        format!("{kind}-{}", self.ids.letters(20))
    }

    pub fn position(&self, service: &str) -> Option<usize> {
        self.services.iter().position(|known| known.id == service)
    }

    pub fn service(&mut self, service: &str) -> Option<&mut Service> {
        self.services.iter_mut().find(|known| known.id == service)
    }

    /// Adds an event to a service.
    pub fn event(&mut self, service: usize, at: i64, kind: &str, details: Value) {
        let id = self.id("evt");
        if let Some(service) = self.services.get_mut(service) {
            service.events.push(json!({
                "id": id,
                "timestamp": rfc3339(at),
                "serviceId": service.id,
                "type": kind,
                "details": details,
            }));
        }
    }

    /// The login that a service pulls its image with.
    pub fn login(&self, service: &Service) -> Option<&Login> {
        let wanted = service.credential.as_deref()?;
        let known = self.credentials.iter().find(|known| known.id == wanted)?;
        Some(&known.login)
    }

    /// Lets happen what is due.
    pub async fn settle(&mut self, world: &World, now: i64) {
        self.turn_month(now);
        for service in 0..self.services.len() {
            self.advance(world, service, now).await;
            self.rest(service, now).await;
            self.revive(world, service, now).await;
            if let Some(service) = self.services.get_mut(service) {
                service.read_log();
            }
        }
        self.enforce_free_hours(world.free_hours, now).await;
    }

    /// Begins a new month's count, and lets go who was suspended for the old one.
    fn turn_month(&mut self, now: i64) {
        let month = month_of(now);
        if month == self.month {
            return;
        }
        self.month = month;
        for owner in &mut self.owners {
            owner.used = 0;
        }
        for service in &mut self.services {
            let before = service.suspenders.len();
            service
                .suspenders
                .retain(|suspender| *suspender != "billing");
            if service.suspenders.len() < before && service.live.is_some() {
                service.container = Container::Asleep;
            }
        }
    }

    /// Time on the free plan that a workspace has used this month, in milliseconds.
    pub fn free_millis(&self, owner: &str, now: i64) -> i64 {
        let closed = self.owners.iter().find(|known| known.id == owner);
        let open = self
            .services
            .iter()
            .filter(|service| service.owner == owner);
        let open: i64 = open.map(|service| service.awake(self.month, now)).sum();
        closed.map_or(0, |owner| owner.used) + open
    }

    /// Stops the count of a service whose container ended at this time.
    pub fn count_free_time(&mut self, service: usize, until: i64) {
        let Some(service) = self.services.get_mut(service) else {
            return;
        };
        let spent = service.awake(self.month, until);
        service.awake_since = None;
        if let Some(owner) = self
            .owners
            .iter_mut()
            .find(|owner| owner.id == service.owner)
        {
            owner.used += spent;
        }
    }

    /// Suspends a workspace's free services when its hours are used up.
    async fn enforce_free_hours(&mut self, hours: i64, now: i64) {
        let budget = hours * 3_600_000;
        let owners: Vec<String> = self.owners.iter().map(|owner| owner.id.clone()).collect();
        for owner in owners {
            if self.free_millis(&owner, now) < budget {
                continue;
            }
            for i in 0..self.services.len() {
                let due = self.services.get(i).is_some_and(|service| {
                    service.owner == owner
                        && service.plan == "free"
                        && !service.suspenders.contains(&"billing")
                });
                if due {
                    self.stop(i, now).await;
                    if let Some(service) = self.services.get_mut(i) {
                        service.suspenders.push("billing");
                    }
                    self.event(i, now, "suspender_added", json!({ "actor": "billing" }));
                }
            }
        }
    }
}

impl Service {
    /// How long it was awake on the free plan since the month began, in milliseconds.
    fn awake(&self, month: i64, now: i64) -> i64 {
        let Some(since) = self.awake_since else {
            return 0;
        };
        let sleeps_at = self.last_inbound + FREE_SLEEP;
        (now.min(sleeps_at) - since.max(month)).max(0)
    }

    /// Takes over what the container has printed since.
    pub fn read_log(&mut self) {
        let mut candidates: Vec<(String, Vec<crate::launch::Line>)> = Vec::new();
        let instances = self.container.instance_mut().into_iter().chain(
            self.deploys
                .iter_mut()
                .filter_map(|deploy| deploy.candidate.as_mut()),
        );
        for instance in instances {
            candidates.push((instance.id.clone(), instance.new_lines()));
        }
        for (instance, lines) in candidates {
            for line in lines {
                let level = level_of(&line.text);
                self.print(line.at, Some(instance.clone()), level, "app", line.text);
            }
        }
    }

    /// Adds a line to the log.
    pub fn print(
        &mut self,
        at: i64,
        instance: Option<String>,
        level: &'static str,
        kind: &'static str,
        text: String,
    ) {
        let last = self.lines.last().map_or(i128::MIN, |line| line.at);
        self.lines.push(LogLine {
            at: (i128::from(at) * 1_000_000).max(last.saturating_add(1)),
            text,
            instance,
            level,
            kind,
        });
    }

    /// Adds a line of Render's own to the log.
    pub fn say(&mut self, at: i64, text: impl Into<String>) {
        self.print(at, None, "info", "build", format!("==> {}", text.into()));
    }

    /// Whether it is suspended, and by whom.
    pub fn suspender(&self) -> Option<&'static str> {
        self.suspenders.first().copied()
    }
}

/// The level that a line seems to have.
fn level_of(text: &str) -> &'static str {
    [("ERROR", "error"), ("WARN", "warning"), ("DEBUG", "debug")]
        .into_iter()
        .find(|(mark, _)| text.contains(mark))
        .map_or("info", |(_, level)| level)
}
