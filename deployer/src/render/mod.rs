//! Render (<https://render.com>), by its REST API (<https://api-docs.render.com>): a web
//! service that runs a ready image.
//!
//! What is not obvious:
//!
//! - Names are unique in a workspace, and that is all that keeps a service from being made
//!   twice: there are no idempotency keys and no labels.
//! - Changes of variables, plan and image do nothing before the next deploy. So that resuming
//!   and restarts run what was deployed last, the service's image is set before each deploy.
//! - A deploy behind another one is accepted without a word (202), and found in the list.
//! - A free service sleeps without the API saying so.
//!
//! Deliberately absent: git builds, private images, scaling, custom domains, and looking on
//! by WebSocket.

mod offer;
mod say;
mod wire;

use std::collections::BTreeMap;

use async_trait::async_trait;
use contract::deploy::{
    AccountFacts, Choice, Cost, DeployProgress, DeployView, LogPage, Quota, RemoteEvent, RunLine,
    Usage, UsageKind, UsageSeries,
};
use jiff::{SignedDuration, Timestamp};
use oci_spec::distribution::Reference;
use reqwest::Method;
use vault::Secret;

use crate::http::{Http, millis, thousandths};
use crate::image::whole;
use crate::provider::{
    Data, Desired, HEALTH_PATH, MARK, Observed, Power, Provider, ProviderError, ProviderState,
    Result, Target,
};
use wire::{Deploy, DeployItem, Event, EventItem, Service};

/// Where Render's API is.
const API: &str = "https://api.render.com/v1";
/// Where SQLite lies, by [`Data::Volume`].
const MOUNT_PATH: &str = "/data";
/// How many deploys, events and lines of a log are asked for at once: the most there are.
const MANY: &str = "100";
/// How many deploys say what is going on.
const SOME: &str = "20";
/// How many pages of a log are read for one question.
const LOG_PAGES: usize = 5;
/// How far back a service's use is looked at.
const USAGE_SPAN: SignedDuration = SignedDuration::from_hours(6);
/// Seconds between two points of a series.
const USAGE_STEP: &str = "300";
const MIB: f64 = 1024.0 * 1024.0;

/// An account on Render.
#[derive(Clone, Debug)]
pub struct Render {
    http: Http,
}

/// An account on Render by its API key (`rnd_…`), at Render's address or at another one of
/// the API, as `RENDER_HOST` is for Render's own command line.
///
/// # Errors
/// When the address cannot be one, or the key is empty or holds impossible characters.
pub fn account(credential: Secret, api: Option<&str>) -> Result<Render> {
    let http = Http::new(api.unwrap_or(API), &credential)?;
    Ok(Render { http })
}

#[async_trait]
impl Provider for Render {
    async fn probe(&self) -> Result<AccountFacts> {
        let user: wire::User = self.http.get(&["users"], &[]).await?;
        let workspaces = self.owners().await?;
        let name = [user.email, user.name];
        let name = name.into_iter().flatten().find(|name| !name.is_empty());
        Ok(AccountFacts {
            name: name.unwrap_or_default(),
            workspaces,
            regions: offer::regions(),
            plans: offer::plans(),
            domain: Some("onrender.com".to_owned()),
            // On paid plans; the free one is refused with a reason.
            has_volumes: true,
            ..AccountFacts::default()
        })
    }

    async fn observe(&self, target: &Target) -> Result<Option<Observed>> {
        let known = match target.id.as_deref() {
            None => None,
            Some(id) => match self.service(id).await {
                Err(ProviderError::NotFound(_)) => None,
                found => Some(found?),
            },
        };
        let found = match known {
            Some(service) => Some(service),
            None if target.name.is_empty() => None,
            None => self.find(&target.name, target.workspace.as_deref()).await?,
        };
        match found {
            Some(service) => self.look(service).await,
            None => Ok(None),
        }
    }

    async fn create_database(&self, _: &Desired) -> Result<bool> {
        Err(no_database())
    }

    async fn create(&self, desired: &Desired) -> Result<Observed> {
        let plan = desired.plan.as_deref().unwrap_or(offer::FREE);
        let disk = match desired.data {
            Data::Elsewhere => None,
            Data::InCluster { .. } => return Err(no_database()),
            Data::Volume { .. } if plan == offer::FREE => {
                return Err(ProviderError::Refused(
                    "Render has no disks on the free plan. Choose a paid plan, a MySQL \
                     elsewhere, or no database."
                        .to_owned(),
                ));
            }
            Data::Volume { gib } => Some(wire::NewDisk {
                name: "data",
                mount_path: MOUNT_PATH,
                gigabytes: gib,
            }),
        };
        let variables = variables(desired)?;
        let owner = match &desired.workspace {
            Some(owner) => owner.clone(),
            None => self.only_owner().await?,
        };
        if let Some(there) = self.find(&desired.name, Some(&owner)).await?
            && let Some(there) = self.look(there).await?
        {
            return match there.is_ours {
                true => Ok(there),
                false => Err(ProviderError::Conflict(format!(
                    "The name {} is taken in this workspace, by a service that was not made \
                     here. Choose another name, or take the service over.",
                    desired.name
                ))),
            };
        }
        let image = whole(&desired.image);
        let wish = wire::NewService {
            kind: "web_service",
            name: &desired.name,
            owner_id: &owner,
            auto_deploy: "no",
            image: wire::Image {
                owner_id: &owner,
                image_path: &image,
                registry_credential_id: None,
            },
            env_vars: variables,
            service_details: wire::NewDetails {
                runtime: "image",
                plan,
                region: desired.region.as_deref(),
                health_check_path: HEALTH_PATH,
                num_instances: 1,
                disk,
            },
        };
        let made: Option<wire::Created> =
            self.http.send(Method::POST, &["services"], &wish).await?;
        let made = made.ok_or_else(|| nothing("POST /services"))?;
        let told = wish
            .env_vars
            .iter()
            .map(|one| (one.key.to_owned(), Some(Secret::from(one.value))))
            .collect();
        let mut there = observed(&made.service, told);
        there.deploy = made.deploy_id;
        there.state = say::suspension(&made.service).unwrap_or(ProviderState::Starting);
        Ok(there)
    }

    async fn set_variables(&self, id: &str, desired: &Desired) -> Result<()> {
        let variables = variables(desired)?;
        let path = ["services", id, "env-vars"];
        // The answer lists them all, which nobody needs.
        let _: Option<serde::de::IgnoredAny> =
            self.http.send(Method::PUT, &path, &variables).await?;
        Ok(())
    }

    fn keeps_variables(&self) -> bool {
        true
    }

    async fn change(&self, id: &str, desired: &Desired) -> Result<()> {
        let service = self.service(id).await?;
        let there = observed(&service, BTreeMap::new());
        if let (Some(wanted), Some(is)) = (&desired.region, &there.region)
            && wanted != is
        {
            return Err(ProviderError::Refused(format!(
                "Render cannot move a service from {is} to {wanted}. Make a new one there \
                 under another name, then delete this one."
            )));
        }
        if desired.data != there.data {
            return Err(ProviderError::Refused(
                "Disks of a service are added and changed in Render's dashboard only.".to_owned(),
            ));
        }
        let change = wire::Change {
            image: None,
            service_details: Some(wire::ChangedDetails {
                plan: desired
                    .plan
                    .as_deref()
                    .filter(|plan| Some(*plan) != there.plan.as_deref()),
                health_check_path: HEALTH_PATH,
            }),
        };
        let _: Option<serde::de::IgnoredAny> = self
            .http
            .send(Method::PATCH, &["services", id], &change)
            .await?;
        Ok(())
    }

    async fn deploy(&self, id: &str, desired: &Desired) -> Result<String> {
        let image = whole(&desired.image);
        self.set_image(id, &image).await?;
        let wish = wire::NewDeploy { image_url: &image };
        let path = ["services", id, "deploys"];
        let made: Option<Deploy> = self.http.send(Method::POST, &path, &wish).await?;
        match made {
            Some(made) => Ok(made.id),
            None => self.queued(id).await,
        }
    }

    async fn progress(&self, id: &str, deploy: &str) -> Result<DeployProgress> {
        let path = ["services", id, "deploys", deploy];
        let deploy: Deploy = self.http.get(&path, &[]).await?;
        Ok(match progress(&deploy) {
            DeployProgress::Failed { detail } => DeployProgress::Failed {
                detail: self.explained(id, &deploy.id, detail).await,
            },
            other => other,
        })
    }

    async fn deploys(&self, id: &str) -> Result<Vec<DeployView>> {
        let deploys = self.latest_deploys(id, MANY).await?;
        let view = |deploy: Deploy| {
            let state = progress(&deploy);
            DeployView {
                image: image(&deploy),
                at: deploy.created_at.as_deref().and_then(millis),
                can_roll_back: state == DeployProgress::Replaced,
                state,
                id: deploy.id,
            }
        };
        Ok(deploys.into_iter().map(view).collect())
    }

    async fn roll_back(&self, id: &str, deploy: &str) -> Result<String> {
        let path = ["services", id, "deploys", deploy];
        let earlier: Deploy = self.http.get(&path, &[]).await?;
        if let Some(image) = image(&earlier) {
            self.set_image(id, &image).await?;
        }
        let wish = wire::Rollback { deploy_id: deploy };
        let path = ["services", id, "rollback"];
        let made: Option<Deploy> = self.http.send(Method::POST, &path, &wish).await?;
        match made {
            Some(made) => Ok(made.id),
            None => self.queued(id).await,
        }
    }

    async fn power(&self, id: &str, power: Power) -> Result<()> {
        let is_stopped = |service: &Service| say::suspension(service).is_some();
        let call = match power {
            Power::Restart => "restart",
            Power::Suspend if is_stopped(&self.service(id).await?) => return Ok(()),
            Power::Suspend => "suspend",
            Power::Resume if !is_stopped(&self.service(id).await?) => return Ok(()),
            Power::Resume => "resume",
        };
        self.http.act(Method::POST, &["services", id, call]).await
    }

    async fn delete(&self, id: &str) -> Result<()> {
        match self.http.act(Method::DELETE, &["services", id]).await {
            Err(ProviderError::NotFound(_)) => Ok(()),
            done => done,
        }
    }

    /// A cursor is the workspace and the moment after the last line, `tea-…@2026-…Z`.
    async fn logs(&self, id: &str, cursor: Option<&str>) -> Result<LogPage> {
        let Some((owner, from)) = cursor.and_then(|cursor| cursor.split_once('@')) else {
            let owner = self.service(id).await?.owner_id;
            let query = [
                ("ownerId", owner.as_str()),
                ("resource", id),
                ("direction", "backward"),
                ("limit", MANY),
            ];
            let page: wire::Logs = self.http.get(&["logs"], &query).await?;
            let mut lines = page.logs.unwrap_or_default();
            lines.reverse();
            return Ok(LogPage {
                cursor: lines.last().and_then(|last| cursor_after(&owner, last)),
                lines: lines.iter().filter_map(line).collect(),
            });
        };
        let mut all = LogPage {
            lines: Vec::new(),
            cursor: cursor.map(str::to_owned),
        };
        let mut from = from.to_owned();
        for _ in 0..LOG_PAGES {
            let query = [
                ("ownerId", owner),
                ("resource", id),
                ("direction", "forward"),
                ("limit", MANY),
                ("startTime", &from),
            ];
            let page: wire::Logs = self.http.get(&["logs"], &query).await?;
            let lines = page.logs.unwrap_or_default();
            if let Some(next) = lines.last().and_then(|last| cursor_after(owner, last)) {
                all.cursor = Some(next);
            }
            all.lines.extend(lines.iter().filter_map(line));
            match page.next_start_time {
                Some(next) if page.has_more == Some(true) && next != from => from = next,
                _ => break,
            }
        }
        Ok(all)
    }

    async fn events(&self, id: &str) -> Result<Vec<RemoteEvent>> {
        let mut events: Vec<RemoteEvent> = self
            .latest_events(id)
            .await?
            .iter()
            .filter_map(|event| {
                let (text, is_problem) = say::event(event);
                Some(RemoteEvent {
                    at: millis(event.timestamp.as_deref()?)?,
                    text,
                    is_problem,
                })
            })
            .collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        Ok(events)
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        // The first answer also tells Render's time; there is no other clock here.
        let limit = self.metric("memory-limit", id, &[]).await?;
        let last = limit
            .iter()
            .flat_map(|series| series.values.iter().flatten());
        let last = last.max_by(|a, b| a.timestamp.cmp(&b.timestamp));
        let from = last
            .and_then(|point| point.timestamp.parse::<Timestamp>().ok())
            .and_then(|now| now.checked_sub(USAGE_SPAN).ok())
            .map(|from| from.to_string());
        let since: Vec<(&str, &str)> = from
            .iter()
            .map(|from| ("startTime", from.as_str()))
            .collect();
        let mut stepped = since.clone();
        stepped.push(("resolutionSeconds", USAGE_STEP));
        let mut usage = Usage::default();
        for (name, kind, query) in [
            ("cpu", UsageKind::Cpu, &stepped),
            ("memory", UsageKind::Memory, &stepped),
            ("bandwidth", UsageKind::Bandwidth, &since),
            ("http-requests", UsageKind::Requests, &stepped),
        ] {
            let points = points(kind, &self.metric(name, id, query).await?);
            if !points.is_empty() {
                usage.series.push(UsageSeries { kind, points });
            }
        }
        let limit = points(UsageKind::Memory, &limit).last().copied();
        let used = usage
            .series
            .iter()
            .find(|series| series.kind == UsageKind::Memory)
            .and_then(|series| series.points.last().copied());
        if let (Some((_, limit)), Some((_, used))) = (limit, used) {
            let mib = |thousandths: i64| format!("{} MiB", thousandths / 1000);
            usage.quotas.push(Quota {
                name: "memory".to_owned(),
                used: mib(used),
                limit: mib(limit),
            });
        }
        Ok(usage)
    }

    fn cost(&self, desired: &Desired) -> Cost {
        offer::cost(desired)
    }
}

impl Render {
    async fn owners(&self) -> Result<Vec<Choice>> {
        let owners: Vec<wire::OwnerItem> = self.http.list(&["owners"], &[]).await?;
        let choice = |item: wire::OwnerItem| Choice {
            name: item.owner.name.unwrap_or_else(|| item.owner.id.clone()),
            id: item.owner.id,
        };
        Ok(owners.into_iter().map(choice).collect())
    }

    /// The workspace, where there is nothing to choose.
    async fn only_owner(&self) -> Result<String> {
        let mut owners = self.owners().await?;
        match (owners.pop(), owners.is_empty()) {
            (Some(only), true) => Ok(only.id),
            (None, _) => Err(ProviderError::Forbidden(
                "the key leads to no workspace".to_owned(),
            )),
            _ => Err(ProviderError::Refused(
                "The account has several workspaces. Choose one.".to_owned(),
            )),
        }
    }

    async fn service(&self, id: &str) -> Result<Service> {
        self.http.get(&["services", id], &[]).await
    }

    /// The service of exactly this name. Of every kind, since all share their names.
    async fn find(&self, name: &str, owner: Option<&str>) -> Result<Option<Service>> {
        let mut query = vec![("name", name)];
        if let Some(owner) = owner {
            query.push(("ownerId", owner));
        }
        let found: Vec<wire::ServiceItem> = self.http.list(&["services"], &query).await?;
        let mut found = found
            .into_iter()
            .map(|item| item.service)
            .filter(|service| {
                service.name == name && owner.is_none_or(|owner| service.owner_id == owner)
            });
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(ProviderError::Refused(format!(
                "Several workspaces have a service {name}. Choose the workspace."
            ))),
            (first, None) => Ok(first),
        }
    }

    /// All about a service; `None` when it goes meanwhile.
    async fn look(&self, service: Service) -> Result<Option<Observed>> {
        let path = ["services", &service.id, "env-vars"];
        let variables: Vec<wire::VariableItem> = match self.http.list(&path, &[]).await {
            Err(ProviderError::NotFound(_)) => return Ok(None),
            variables => variables?,
        };
        let deploys = match self.latest_deploys(&service.id, SOME).await {
            Err(ProviderError::NotFound(_)) => return Ok(None),
            deploys => deploys?,
        };
        let variables = variables
            .into_iter()
            .map(|item| (item.env_var.key, item.env_var.value.map(Secret::new)))
            .collect();
        let mut there = observed(&service, variables);
        let newest = deploys.first();
        let coming = deploys
            .iter()
            .find(|deploy| say::is_under_way(&progress(deploy)));
        let live = deploys
            .iter()
            .find(|deploy| progress(deploy) == DeployProgress::Live);
        if let Some(in_use) = coming.or(live) {
            there.deploy = Some(in_use.id.clone());
            there.image = image(in_use).or(there.image);
        }
        // Nothing runs while a service is resumed, although a deploy is called live.
        let is_resumed = |deploy: &Deploy| deploy.trigger.as_deref() == Some("service_resumed");
        there.state = match (say::suspension(&service), coming, live, newest) {
            (Some(stopped), ..) => stopped,
            (None, Some(coming), Some(_), _) if !is_resumed(coming) => ProviderState::Running,
            (None, Some(_), ..) => ProviderState::Starting,
            (None, None, Some(_), _) => ProviderState::Running,
            (None, None, None, Some(newest)) => ProviderState::Failing(match progress(newest) {
                DeployProgress::Failed { detail } => {
                    self.explained(&service.id, &newest.id, detail).await
                }
                _ => "its last deploy was cancelled".to_owned(),
            }),
            (None, None, None, None) => {
                ProviderState::Failing("nothing was ever deployed".to_owned())
            }
        };
        let may_sleep = there.plan.as_deref() == Some(offer::FREE) && coming.is_none();
        if may_sleep && there.state == ProviderState::Running && !self.is_up(&service.id).await {
            there.state = ProviderState::Asleep;
        }
        Ok(Some(there))
    }

    /// Whether a service has an instance. Asking for the list wakes nothing up. Taken for granted
    /// when Render does not say.
    async fn is_up(&self, id: &str) -> bool {
        let path = ["services", id, "instances"];
        let instances: Result<Vec<serde::de::IgnoredAny>> = self.http.get(&path, &[]).await;
        !instances.is_ok_and(|instances| instances.is_empty())
    }

    /// Newest first.
    async fn latest_deploys(&self, id: &str, limit: &str) -> Result<Vec<Deploy>> {
        let path = ["services", id, "deploys"];
        let deploys: Vec<DeployItem> = self.http.get(&path, &[("limit", limit)]).await?;
        Ok(deploys.into_iter().map(|item| item.deploy).collect())
    }

    /// Newest first.
    async fn latest_events(&self, id: &str) -> Result<Vec<Event>> {
        let path = ["services", id, "events"];
        let events: Vec<EventItem> = self.http.get(&path, &[("limit", MANY)]).await?;
        Ok(events.into_iter().map(|item| item.event).collect())
    }

    /// The deploy that was accepted without a word: the newest that has yet to end.
    async fn queued(&self, id: &str) -> Result<String> {
        let deploys = self.latest_deploys(id, SOME).await?;
        let queued = deploys
            .into_iter()
            .find(|deploy| say::is_under_way(&progress(deploy)));
        queued.map(|deploy| deploy.id).ok_or_else(|| {
            ProviderError::Away("Render accepted the deploy, but does not list it yet".to_owned())
        })
    }

    /// A failure's status with its reason, as far as the events tell.
    async fn explained(&self, id: &str, deploy: &str, status: String) -> String {
        // The failure itself is worth telling when its reason cannot be read.
        let events = self.latest_events(id).await.unwrap_or_default();
        match say::deploy_failure(&events, deploy) {
            Some(why) => format!("{why} ({status})"),
            None => status,
        }
    }

    /// Makes this the image that the service runs unless a deploy says otherwise.
    async fn set_image(&self, id: &str, image: &str) -> Result<()> {
        let service = self.service(id).await?;
        let is = service.image_path.as_deref().map(whole);
        if is.as_deref() == Some(image) {
            return Ok(());
        }
        // It is lost unless it is sent again, and belongs to one registry.
        let registry = |image: &str| {
            let image: Option<Reference> = image.parse().ok();
            image.map(|image| image.registry().to_owned())
        };
        let is_same = is.as_deref().and_then(registry) == registry(image);
        let credential = service.registry_credential.filter(|_| is_same);
        let change = wire::Change {
            image: Some(wire::Image {
                owner_id: &service.owner_id,
                image_path: image,
                registry_credential_id: credential.as_ref().map(|known| known.id.as_str()),
            }),
            service_details: None,
        };
        let _: Option<serde::de::IgnoredAny> = self
            .http
            .send(Method::PATCH, &["services", id], &change)
            .await?;
        Ok(())
    }

    async fn metric(
        &self,
        name: &str,
        id: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<wire::Series>> {
        let mut query = query.to_vec();
        query.push(("resource", id));
        self.http.get(&["metrics", name], &query).await
    }
}

/// What a service says of itself, without its deploys.
fn observed(service: &Service, variables: BTreeMap<String, Option<Secret>>) -> Observed {
    let details = service.service_details.as_ref();
    let disk = details.and_then(|details| details.disk.as_ref());
    Observed {
        id: service.id.clone(),
        name: service.name.clone(),
        is_ours: variables.contains_key(MARK),
        url: details.and_then(|details| details.url.clone()),
        console_url: service.dashboard_url.clone(),
        image: service.image_path.as_deref().map(whole),
        variables,
        region: details.and_then(|details| details.region.clone()),
        plan: details.and_then(|details| details.plan.clone()),
        data: disk.map_or(Data::Elsewhere, |disk| Data::Volume {
            gib: disk.gigabytes.unwrap_or_default(),
        }),
        state: ProviderState::Starting,
        deploy: None,
    }
}

fn progress(deploy: &Deploy) -> DeployProgress {
    say::progress(deploy.status.as_deref().unwrap_or("unknown"))
}

/// A deploy's image by its digest, where that is known.
fn image(deploy: &Deploy) -> Option<String> {
    let image = deploy.image.as_ref()?;
    let name = image.reference.as_deref()?;
    let Ok(reference) = name.parse::<Reference>() else {
        return Some(name.to_owned());
    };
    let sha = image
        .sha
        .as_deref()
        .filter(|_| reference.digest().is_none());
    Some(match sha {
        Some(sha) => reference.clone_with_digest(sha.to_owned()).whole(),
        None => reference.whole(),
    })
}

fn variables(desired: &Desired) -> Result<Vec<wire::Variable<'_>>> {
    desired
        .variables
        .iter()
        .map(|(name, value)| {
            let value = value.text().ok_or_else(no_database)?;
            Ok(wire::Variable { key: name, value })
        })
        .collect()
}

fn line(line: &wire::Line) -> Option<RunLine> {
    Some(RunLine {
        at: millis(&line.timestamp)?,
        text: line.message.clone().unwrap_or_default(),
    })
}

/// Both ends of a window belong to it, so the next one begins a nanosecond later.
fn cursor_after(owner: &str, line: &wire::Line) -> Option<String> {
    let at: Timestamp = line.timestamp.parse().ok()?;
    let next = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
    Some(format!("{owner}@{next}"))
}

/// The sum of all series (one for each instance), oldest first.
fn points(kind: UsageKind, series: &[wire::Series]) -> Vec<(i64, i64)> {
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    for series in series {
        let unit = series.unit.as_deref().unwrap_or_default();
        let factor = match kind {
            UsageKind::Cpu | UsageKind::Requests => 1.0,
            // In what unit is not described; recordings say bytes for memory.
            UsageKind::Memory | UsageKind::Bandwidth => match unit.to_ascii_lowercase().as_str() {
                "mb" | "megabytes" => 1.0,
                "gb" | "gigabytes" => 1024.0,
                "kb" | "kilobytes" => 1.0 / 1024.0,
                _ => 1.0 / MIB,
            },
        };
        for point in series.values.iter().flatten() {
            if let (Some(at), Some(value)) = (millis(&point.timestamp), point.value) {
                *sums.entry(at).or_default() += value * factor;
            }
        }
    }
    thousandths(sums)
}

fn no_database() -> ProviderError {
    ProviderError::Refused(
        "Render has no MySQL. Choose one elsewhere (Aiven, TiDB Cloud, your own), or no database."
            .to_owned(),
    )
}

fn nothing(call: &str) -> ProviderError {
    ProviderError::Unexpected(format!("{call}: nothing"))
}
