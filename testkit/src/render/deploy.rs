//! Deploys: the state machine, and what moves it.

use serde_json::{Value, json};

use super::container::{Container, Instance};
use super::service::State;
use super::{Pace, World};
use crate::cloud::{ImageError, is_healthy};

/// Where a deploy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    Queued,
    Building,
    Updating,
    Live,
    Deactivated,
    BuildFailed,
    UpdateFailed,
    Canceled,
}

impl Status {
    /// Render's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Queued => "queued",
            Self::Building => "build_in_progress",
            Self::Updating => "update_in_progress",
            Self::Live => "live",
            Self::Deactivated => "deactivated",
            Self::BuildFailed => "build_failed",
            Self::UpdateFailed => "update_failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether it has yet to end.
    pub const fn is_under_way(self) -> bool {
        matches!(
            self,
            Self::Created | Self::Queued | Self::Building | Self::Updating
        )
    }

    /// Whether it was in use, now or once.
    pub const fn has_been_live(self) -> bool {
        matches!(self, Self::Live | Self::Deactivated)
    }
}

/// A deploy.
#[derive(Debug)]
pub(super) struct Deploy {
    pub id: String,
    pub trigger: &'static str,
    /// In full form.
    pub image: String,
    pub digest: Option<String>,
    pub status: Status,
    pub created: i64,
    pub started: Option<i64>,
    pub updated: i64,
    pub finished: Option<i64>,
    /// What the container gets; taken when the deploy leaves the queue.
    pub environment: Vec<(String, String)>,
    /// When the status was entered.
    since: i64,
    /// The container before it is in use.
    pub candidate: Option<Instance>,
    /// How often its health was looked at in vain.
    looks: u32,
}

impl Deploy {
    pub fn new(id: String, trigger: &'static str, image: String, now: i64) -> Self {
        Self {
            id,
            trigger,
            image,
            digest: None,
            status: Status::Created,
            created: now,
            started: None,
            updated: now,
            finished: None,
            environment: Vec::new(),
            since: now,
            candidate: None,
            looks: 0,
        }
    }

    fn enter(&mut self, status: Status, at: i64) {
        self.status = status;
        self.since = at;
        self.updated = at;
        if !status.is_under_way() && self.finished.is_none() {
            self.finished = Some(at);
        }
    }
}

/// What makes deploys go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drive {
    /// Time, up to now.
    Until(i64),
    /// A look, now.
    Look(i64),
}

/// After so many looks at a container that is not healthy, [`Pace::PerGet`] gives up.
const LOOKS: u32 = 5;

impl State {
    /// Adds a deploy. It waits when another is under way; true when so.
    pub fn add_deploy(
        &mut self,
        service: usize,
        trigger: &'static str,
        image: String,
        now: i64,
    ) -> Option<(String, bool)> {
        let id = self.id("dep");
        let known = self.services.get_mut(service)?;
        let mut deploy = Deploy::new(id.clone(), trigger, image, now);
        let waits = known
            .deploys
            .iter()
            .any(|deploy| deploy.status.is_under_way());
        if waits {
            deploy.enter(Status::Queued, now);
            // Only the latest waits: the ones before it would be superseded at once.
            let mut under_way = known
                .deploys
                .iter_mut()
                .filter(|deploy| deploy.status.is_under_way());
            under_way.next();
            for superseded in under_way {
                superseded.enter(Status::Canceled, now);
            }
        }
        known.deploys.push(deploy);
        known.updated = now;
        Some((id, waits))
    }

    /// Lets the deploys of a service go on by the clock.
    pub async fn advance(&mut self, world: &World, service: usize, now: i64) {
        if world.pace != Pace::PerGet {
            while self.step(world, service, Drive::Until(now)).await {}
        }
    }

    /// Somebody looks at the deploys of a service.
    pub async fn look(&mut self, world: &World, service: usize, now: i64) {
        if world.pace == Pace::PerGet {
            self.step(world, service, Drive::Look(now)).await;
        }
    }

    /// Takes the oldest deploy that is under way one step on, if that is due; true when so.
    async fn step(&mut self, world: &World, service: usize, drive: Drive) -> bool {
        let Some(known) = self.services.get_mut(service) else {
            return false;
        };
        let Some(i) = known
            .deploys
            .iter()
            .position(|deploy| deploy.status.is_under_way())
        else {
            return false;
        };
        // The deploy before it has just ended, when it has waited.
        let free_since = known
            .deploys
            .iter()
            .take(i)
            .filter_map(|before| before.finished)
            .max()
            .unwrap_or(i64::MIN);
        let Some(deploy) = known.deploys.get_mut(i) else {
            return false;
        };
        let at = match (drive, world.pace) {
            (Drive::Look(now), _) | (Drive::Until(now), Pace::PerGet) => now,
            (
                Drive::Until(now),
                Pace::Timed {
                    created,
                    queued,
                    build,
                    update,
                },
            ) => {
                let step = match deploy.status {
                    Status::Created => created,
                    Status::Queued => queued,
                    Status::Building => build,
                    _ => update,
                };
                let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
                let due = deploy.since.max(free_since).saturating_add(step);
                if due > now {
                    return false;
                }
                due
            }
        };
        match deploy.status {
            Status::Created => deploy.enter(Status::Queued, at),
            Status::Queued => self.begin(service, i, at),
            Status::Building => self.build(world, service, i, at),
            _ => return self.update(world, service, i, at, drive).await,
        }
        true
    }

    /// The deploy leaves the queue.
    fn begin(&mut self, service: usize, i: usize, at: i64) {
        let Some(known) = self.services.get_mut(service) else {
            return;
        };
        let environment = known.environment.clone();
        let Some(deploy) = known.deploys.get_mut(i) else {
            return;
        };
        deploy.environment = environment;
        deploy.started = Some(at);
        deploy.enter(Status::Building, at);
        let (id, trigger, is_first) = (deploy.id.clone(), deploy.trigger, i == 0);
        let image = deploy.image.clone();
        known.say(at, format!("Pulling image {image}"));
        let trigger = json!({
            "firstBuild": is_first,
            "envUpdated": false,
            "manual": trigger == "api" && !is_first,
            "deployedByRender": false,
            "clearCache": false,
            "rollback": trigger == "rollback",
        });
        let details = json!({ "deployId": id, "trigger": trigger });
        self.event(service, at, "deploy_started", details);
    }

    /// The image is there or not.
    fn build(&mut self, world: &World, service: usize, i: usize, at: i64) {
        let Some(known) = self.services.get(service) else {
            return;
        };
        let Some(image) = known.deploys.get(i).map(|deploy| deploy.image.clone()) else {
            return;
        };
        let pulled = (world.images)(&image, self.login(known));
        match pulled {
            Ok(digest) => {
                if let Some(known) = self.services.get_mut(service) {
                    if let Some(deploy) = known.deploys.get_mut(i) {
                        deploy.digest = Some(digest);
                        deploy.enter(Status::Updating, at);
                    }
                    known.say(at, "Deploying...");
                }
            }
            Err(error) => self.pull_failed(service, i, at, &image, error),
        }
    }

    fn pull_failed(&mut self, service: usize, i: usize, at: i64, image: &str, error: ImageError) {
        let message = format!("failed to pull {image}: {error}");
        if let Some(known) = self.services.get_mut(service) {
            known.say(at, format!("Error: {message}"));
        }
        let details = json!({ "message": message, "imageURL": image });
        self.event(service, at, "image_pull_failed", details);
        self.deploy_failed(
            service,
            i,
            at,
            Status::BuildFailed,
            json!({ "evicted": false }),
        );
    }

    /// The container is started, and comes into use when it is healthy.
    async fn update(
        &mut self,
        world: &World,
        service: usize,
        i: usize,
        at: i64,
        drive: Drive,
    ) -> bool {
        let suffix = self.ids.letters(5);
        let now = match drive {
            Drive::Until(now) | Drive::Look(now) => now,
        };
        let Some(known) = self.services.get_mut(service) else {
            return false;
        };
        let Some(deploy) = known.deploys.get(i) else {
            return false;
        };
        if deploy.candidate.is_none() {
            let instance = format!("{}-{suffix}", known.id);
            match known.launch(world, &deploy.id.clone(), instance, now).await {
                Ok(instance) => {
                    if let Some(deploy) = known.deploys.get_mut(i) {
                        deploy.candidate = Some(instance);
                    }
                }
                Err(failure) => {
                    let instance = format!("{}-{suffix}", known.id);
                    known.say(at, format!("Exited early: {}", failure.said));
                    let details = json!({ "instanceID": instance, "reason": failure.reason });
                    self.event(service, at, "server_failed", details);
                    self.deploy_failed(service, i, at, Status::UpdateFailed, failure.reason);
                    return true;
                }
            }
        }
        let Some(deploy) = known.deploys.get_mut(i) else {
            return false;
        };
        let address = deploy.candidate.as_ref().and_then(Instance::address);
        let sick = match address {
            Some(address) => is_healthy(address, &known.health_path).await.err(),
            None => None,
        };
        let Some(sick) = sick else {
            self.go_live(service, i, at, now).await;
            return true;
        };
        deploy.looks += 1;
        let patience = i64::try_from(world.health_patience.as_millis()).unwrap_or(i64::MAX);
        let given_up = match world.pace {
            Pace::PerGet => deploy.looks > LOOKS,
            Pace::Timed { .. } => now - at >= patience,
        };
        if !given_up {
            return false;
        }
        let candidate = deploy.candidate.take();
        known.say(now, format!("Timed out: {sick}"));
        let id = candidate.as_ref().map(|instance| instance.id.clone());
        if let Some(candidate) = candidate {
            candidate.stop().await;
        }
        let reason = json!({ "evicted": false, "unhealthy": sick });
        let details = json!({ "instanceID": id, "reason": reason });
        self.event(service, now, "server_failed", details);
        self.deploy_failed(service, i, now, Status::UpdateFailed, reason);
        true
    }

    /// The new container takes the place of the old.
    async fn go_live(&mut self, service: usize, i: usize, at: i64, now: i64) {
        self.stop(service, now).await;
        let Some(known) = self.services.get_mut(service) else {
            return;
        };
        for earlier in &mut known.deploys {
            if earlier.status == Status::Live {
                earlier.enter(Status::Deactivated, at);
            }
        }
        let Some(deploy) = known.deploys.get_mut(i) else {
            return;
        };
        deploy.enter(Status::Live, at);
        let id = deploy.id.clone();
        let container = deploy
            .candidate
            .take()
            .map_or(Container::Down, Container::Up);
        known.live = Some(id.clone());
        known.went_up(container, now);
        known.say(at, "Your service is live");
        self.event(service, at, "server_available", json!({}));
        self.deploy_ended(service, at, &id, "succeeded", json!({}));
    }

    fn deploy_failed(&mut self, service: usize, i: usize, at: i64, status: Status, reason: Value) {
        let deploy = self
            .services
            .get_mut(service)
            .and_then(|known| known.deploys.get_mut(i));
        if let Some(deploy) = deploy {
            deploy.enter(status, at);
            let id = deploy.id.clone();
            self.deploy_ended(service, at, &id, "failed", json!({ "failure": reason }));
        }
    }

    fn deploy_ended(&mut self, service: usize, at: i64, id: &str, how: &str, reason: Value) {
        let status = match how {
            "succeeded" => 2,
            "failed" => 3,
            _ => 4,
        };
        let details =
            json!({ "deployId": id, "status": status, "deployStatus": how, "reason": reason });
        self.event(service, at, "deploy_ended", details);
    }

    /// Cancels a deploy; false when it is not under way.
    pub async fn cancel(&mut self, service: usize, id: &str, now: i64) -> bool {
        let deploy = self.services.get_mut(service).and_then(|known| {
            known
                .deploys
                .iter_mut()
                .find(|deploy| deploy.id == id && deploy.status.is_under_way())
        });
        let Some(deploy) = deploy else {
            return false;
        };
        deploy.enter(Status::Canceled, now);
        if let Some(candidate) = deploy.candidate.take() {
            candidate.stop().await;
        }
        self.deploy_ended(service, now, id, "canceled", json!({}));
        true
    }
}
