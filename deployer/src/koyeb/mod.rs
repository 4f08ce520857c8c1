//! Koyeb (<https://www.koyeb.com>), by its REST API (<https://api.koyeb.com>): an app with
//! one web service that runs a ready image.
//!
//! What is not obvious:
//!
//! - Nothing is kept that is not deployed: a service *is* the definition of its latest
//!   deployment, and whoever changes that deploys. So variables and plan are only checked
//!   (`dry_run`) when they are set, and go with the deploy that follows.
//! - What the definition holds beside our fields is the user's, and stays.
//! - An app is only the place of its services. Ours is made to go with its last one; one that
//!   was left empty by an attempt that broke off is used again.
//! - To restart and to roll back is to deploy again what was.
//! - A free instance sleeps; its deployment says so, its service does not.
//!
//! Deliberately absent: git builds, private images, volumes, Koyeb's own secrets, several
//! regions, scaling, custom domains.

mod definition;
mod offer;
mod say;
mod wire;

use std::collections::BTreeMap;

use async_trait::async_trait;
use contract::deploy::{
    AccountFacts, Cost, DeployProgress, DeployView, LogPage, RemoteEvent, RunLine, Usage,
    UsageKind, UsageSeries,
};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use vault::Secret;

use crate::http::{Http, millis};
use crate::image::whole;
use crate::provider::{
    Data, Desired, MARK, Observed, Power, Provider, ProviderError, ProviderState, Result, Target,
};
use wire::{App, Deployment, Page as _, Service};

/// Where Koyeb's API is.
const API: &str = "https://app.koyeb.com";
/// Where a service's page in the console is.
const CONSOLE: &str = "https://app.koyeb.com/services/";
/// How long the name of an app may be (koyeb/terraform-provider-koyeb, `resource_koyeb_app`).
const NAME: std::ops::RangeInclusive<usize> = 3..=23;
/// How many items are asked for at once: the most there are.
const MANY: usize = 100;
/// Lists longer than so many pages are taken for a mistake.
const MOST_PAGES: usize = 100;
/// How many deployments say what is going on.
const SOME: &str = "20";
/// The events of how many deployments are shown.
const EVENTFUL: usize = 5;
/// How many pages of a log are read for one question.
const LOG_PAGES: usize = 5;
const MIB: f64 = 1024.0 * 1024.0;

/// An account on Koyeb, which is one organization.
#[derive(Clone, Debug)]
pub struct Koyeb {
    http: Http,
}

/// An account on Koyeb by its API token, at Koyeb's address or at another one of the API, as
/// `--url` is for Koyeb's own command line.
///
/// # Errors
/// When the address cannot be one, or the token is empty or holds impossible characters.
pub fn account(credential: Secret, api: Option<&str>) -> Result<Koyeb> {
    let http = Http::new(api.unwrap_or(API), &credential)?;
    Ok(Koyeb { http })
}

#[async_trait]
impl Provider for Koyeb {
    async fn probe(&self) -> Result<AccountFacts> {
        let path = ["v1", "account", "organization"];
        let organization: wire::OrganizationReply = self.http.get(&path, &[]).await?;
        // A token can be one of the organization, which has no person behind it.
        let path = ["v1", "account", "profile"];
        let person: Option<wire::UserReply> = self.http.get(&path, &[]).await.ok();
        let organization = organization.organization.name.unwrap_or_default();
        let name = match person.and_then(|person| person.user.email) {
            Some(email) => format!("{email} ({organization})"),
            None => organization,
        };
        Ok(AccountFacts {
            name,
            regions: offer::regions(),
            plans: offer::plans(),
            domain: Some("koyeb.app".to_owned()),
            ..AccountFacts::default()
        })
    }

    async fn observe(&self, target: &Target) -> Result<Option<Observed>> {
        let known = match target.id.as_deref() {
            None => None,
            Some(id) => self.service(id).await?,
        };
        let found = match known {
            Some(service) => Some(service),
            None if target.name.is_empty() => None,
            None => match self.find_app(&target.name).await? {
                Some(app) => self.find_service(&app.id, &target.name).await?,
                None => None,
            },
        };
        match found.filter(|service| !say::is_leaving(service)) {
            Some(service) => self.look(service).await,
            None => Ok(None),
        }
    }

    async fn create_database(&self, _: &Desired) -> Result<bool> {
        Err(definition::no_database())
    }

    async fn create(&self, desired: &Desired) -> Result<Observed> {
        if !NAME.contains(&desired.name.len()) {
            return Err(ProviderError::Refused(format!(
                "Koyeb takes names of {} to {} characters. Choose another one.",
                NAME.start(),
                NAME.end()
            )));
        }
        let definition = definition::new(desired)?;
        let (app, is_new) = match self.find_app(&desired.name).await? {
            Some(app) => {
                let there = self.any_service(&app.id).await?;
                // Its name is free, and its app gone, only when it is.
                if there.as_ref().is_some_and(say::is_leaving) {
                    return Err(ProviderError::Away(format!(
                        "Koyeb is still deleting the app {} that was there before.",
                        desired.name
                    )));
                }
                if let Some(there) = there
                    && let Some(there) = self.look(there).await?
                {
                    return match there.is_ours {
                        true => Ok(there),
                        false => Err(ProviderError::Conflict(format!(
                            "The name {} is taken in this organization, by an app that was not \
                             made here. Choose another name, or take it over.",
                            desired.name
                        ))),
                    };
                }
                (app, false)
            }
            None => (self.create_app(&desired.name).await?, true),
        };
        let wish = json!({ "app_id": app.id, "definition": definition });
        let made: Result<wire::ServiceReply> = self
            .sent(Method::POST, &["v1", "services"], &[], &wish)
            .await;
        let service = match made {
            Ok(made) => made.service,
            Err(error) => {
                if is_new && !error.may_pass() {
                    // Nothing is left behind; the reason matters more than this.
                    let path = ["v1", "apps", &app.id];
                    let _ = self.http.act(Method::DELETE, &path).await;
                }
                return Err(error);
            }
        };
        let mut there = self.shown(&service, &app, &definition);
        there.deploy = service.latest_deployment_id;
        Ok(there)
    }

    /// Has Koyeb check them; they go with the next deploy.
    async fn set_variables(&self, id: &str, desired: &Desired) -> Result<()> {
        self.put(id, desired, &[("dry_run", "true")])
            .await
            .map(drop)
    }

    fn keeps_variables(&self) -> bool {
        false
    }

    /// Has Koyeb check it; it goes with the next deploy.
    async fn change(&self, id: &str, desired: &Desired) -> Result<()> {
        self.put(id, desired, &[("dry_run", "true")])
            .await
            .map(drop)
    }

    async fn deploy(&self, id: &str, desired: &Desired) -> Result<String> {
        let service = self.put(id, desired, &[]).await?;
        latest(service)
    }

    async fn progress(&self, _: &str, deploy: &str) -> Result<DeployProgress> {
        let path = ["v1", "deployments", deploy];
        let found: wire::DeploymentReply = self.http.get(&path, &[]).await?;
        Ok(say::progress(&found.deployment))
    }

    async fn deploys(&self, id: &str) -> Result<Vec<DeployView>> {
        let deployments = self.deployments(id, &MANY.to_string()).await?;
        let view = |deployment: Deployment| {
            let state = say::progress(&deployment);
            DeployView {
                image: definition::image(&deployment.definition),
                at: deployment.created_at.as_deref().and_then(millis),
                can_roll_back: state == DeployProgress::Replaced,
                state,
                id: deployment.id,
            }
        };
        Ok(deployments.into_iter().map(view).collect())
    }

    async fn roll_back(&self, id: &str, deploy: &str) -> Result<String> {
        let path = ["v1", "deployments", deploy];
        let earlier: wire::DeploymentReply = self.http.get(&path, &[]).await?;
        let wish = json!({ "definition": earlier.deployment.definition });
        latest(self.replace(id, &wish, &[]).await?)
    }

    async fn power(&self, id: &str, power: Power) -> Result<()> {
        let service = self.there(id).await?;
        let is_paused = say::is_paused(&service);
        let call = match power {
            Power::Suspend if is_paused => return Ok(()),
            Power::Resume if !is_paused => return Ok(()),
            Power::Suspend => "pause",
            Power::Resume => "resume",
            Power::Restart => {
                let deployments = self.deployments(id, SOME).await?;
                let Some(in_use) = in_use(&deployments) else {
                    return Err(ProviderError::Refused(
                        "Nothing of it runs that could be restarted. Deploy it again.".to_owned(),
                    ));
                };
                let wish = json!({ "definition": in_use.definition });
                return self.replace(id, &wish, &[]).await.map(drop);
            }
        };
        let path = ["v1", "services", id, call];
        self.http.act(Method::POST, &path).await
    }

    async fn delete(&self, id: &str) -> Result<()> {
        let path = ["v1", "services", id];
        match self.http.act(Method::DELETE, &path).await {
            Err(ProviderError::NotFound(_)) => Ok(()),
            done => done,
        }
    }

    /// A cursor is the moment after the last line.
    async fn logs(&self, id: &str, cursor: Option<&str>) -> Result<LogPage> {
        let Some(cursor) = cursor else {
            let query = [
                ("type", "runtime"),
                ("service_id", id),
                ("order", "desc"),
                ("limit", "100"),
            ];
            let page: wire::Logs = self.http.get(&LOGS, &query).await?;
            let mut lines = page.data.unwrap_or_default();
            lines.reverse();
            return Ok(LogPage {
                cursor: lines.last().and_then(cursor_after),
                lines: lines.iter().filter_map(line).collect(),
            });
        };
        let mut all = LogPage {
            lines: Vec::new(),
            cursor: Some(cursor.to_owned()),
        };
        for _ in 0..LOG_PAGES {
            let from = all.cursor.clone().unwrap_or_default();
            let query = [
                ("type", "runtime"),
                ("service_id", id),
                ("order", "asc"),
                ("limit", "1000"),
                ("start", &from),
            ];
            let page: wire::Logs = self.http.get(&LOGS, &query).await?;
            let lines = page.data.unwrap_or_default();
            all.lines.extend(lines.iter().filter_map(line));
            match lines.last().and_then(cursor_after) {
                Some(next) if next != from => all.cursor = Some(next),
                _ => break,
            }
            if page.pagination.and_then(|it| it.has_more) != Some(true) {
                break;
            }
        }
        Ok(all)
    }

    async fn events(&self, id: &str) -> Result<Vec<RemoteEvent>> {
        let deployments = self.deployments(id, SOME).await?;
        let mut events = Vec::new();
        for deployment in deployments.iter().take(EVENTFUL) {
            let query = [("deployment_id", deployment.id.as_str())];
            let found: Vec<wire::Event> = self
                .list::<wire::Events>(&["v1", "deployment_events"], &query)
                .await?;
            events.extend(found.iter().filter_map(say::event));
        }
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        Ok(events)
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        let mut usage = Usage::default();
        for (name, kind) in [
            ("CPU_TOTAL_PERCENT", UsageKind::Cpu),
            ("MEM_RSS", UsageKind::Memory),
            ("PUBLIC_DATA_TRANSFER_OUT", UsageKind::Bandwidth),
        ] {
            let query = [("service_id", id), ("name", name)];
            let path = ["v1", "streams", "metrics"];
            let found: wire::Metrics = self.http.get(&path, &query).await?;
            let points = points(kind, &found.metrics.unwrap_or_default());
            if !points.is_empty() {
                usage.series.push(UsageSeries { kind, points });
            }
        }
        Ok(usage)
    }

    fn cost(&self, desired: &Desired) -> Cost {
        offer::cost(desired)
    }
}

const LOGS: [&str; 4] = ["v1", "streams", "logs", "query"];

impl Koyeb {
    /// All items of a list.
    async fn list<P: wire::Page + DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<P::Item>> {
        let mut all = Vec::new();
        let limit = MANY.to_string();
        for _ in 0..MOST_PAGES {
            let offset = all.len().to_string();
            let mut query = query.to_vec();
            query.extend([("limit", limit.as_str()), ("offset", offset.as_str())]);
            let page: P = self.http.get(path, &query).await?;
            let items = page.items();
            let is_last = items.len() < MANY;
            all.extend(items);
            if is_last {
                return Ok(all);
            }
        }
        Err(ProviderError::Unexpected(format!(
            "GET /{}: the list does not end",
            path.join("/")
        )))
    }

    /// Sends something that is answered; a quota that is used up is told as one.
    async fn sent<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        let answer = self.http.send_with(method, path, query, body).await;
        answer
            .map_err(say::refusal)?
            .ok_or_else(|| ProviderError::Unexpected(format!("/{}: nothing", path.join("/"))))
    }

    async fn find_app(&self, name: &str) -> Result<Option<App>> {
        let apps: Vec<App> = self
            .list::<wire::Apps>(&["v1", "apps"], &[("name", name)])
            .await?;
        Ok(apps.into_iter().find(|app| app.name == name))
    }

    async fn create_app(&self, name: &str) -> Result<App> {
        let wish = json!({ "name": name, "life_cycle": { "delete_when_empty": true } });
        let path = ["v1", "apps"];
        let made: wire::AppReply = self.sent(Method::POST, &path, &[], &wish).await?;
        Ok(made.app)
    }

    async fn services(&self, app: &str) -> Result<Vec<Service>> {
        let services: Vec<Service> = self
            .list::<wire::Services>(&["v1", "services"], &[("app_id", app)])
            .await?;
        let there = services.into_iter().filter(|it| !say::is_deleted(it));
        Ok(there.collect())
    }

    async fn find_service(&self, app: &str, name: &str) -> Result<Option<Service>> {
        let services = self.services(app).await?;
        Ok(services.into_iter().find(|service| service.name == name))
    }

    /// The first service of an app, whatever it is called.
    async fn any_service(&self, app: &str) -> Result<Option<Service>> {
        Ok(self.services(app).await?.into_iter().next())
    }

    /// A service; `None` when it is not there any more.
    async fn service(&self, id: &str) -> Result<Option<Service>> {
        match self.there(id).await {
            Ok(service) if say::is_deleted(&service) => Ok(None),
            Ok(service) => Ok(Some(service)),
            Err(ProviderError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn there(&self, id: &str) -> Result<Service> {
        let found: wire::ServiceReply = self.http.get(&["v1", "services", id], &[]).await?;
        Ok(found.service)
    }

    /// Newest first, without those that were only saved and never deployed.
    async fn deployments(&self, service: &str, limit: &str) -> Result<Vec<Deployment>> {
        let query = [("service_id", service), ("limit", limit)];
        let page: wire::Deployments = self.http.get(&["v1", "deployments"], &query).await?;
        let deployments = page.items().into_iter();
        Ok(deployments.filter(|it| !say::is_stashed(it)).collect())
    }

    /// All about a service; `None` when it goes meanwhile.
    async fn look(&self, service: Service) -> Result<Option<Observed>> {
        let deployments = match self.deployments(&service.id, SOME).await {
            Err(ProviderError::NotFound(_)) => return Ok(None),
            deployments => deployments?,
        };
        let app: wire::AppReply = match self.http.get(&["v1", "apps", &service.app_id], &[]).await {
            Err(ProviderError::NotFound(_)) => return Ok(None),
            app => app?,
        };
        let in_use = in_use(&deployments);
        let shown = in_use.or(deployments.first());
        let nothing = Json::Null;
        let definition = shown.map_or(&nothing, |it| &it.definition);
        let mut there = self.shown(&service, &app.app, definition);
        there.deploy = in_use.map(|it| it.id.clone());
        there.state = say::state(&service, &deployments);
        Ok(Some(there))
    }

    /// A service with this definition, which starts.
    fn shown(&self, service: &Service, app: &App, definition: &Json) -> Observed {
        let variables = definition::variables(definition);
        let domains = app.domains.iter().flatten();
        let domain = domains.filter_map(|domain| domain.name.as_deref()).next();
        Observed {
            id: service.id.clone(),
            name: service.name.clone(),
            is_ours: variables.contains_key(MARK),
            // Apps speak as the API does: by TLS, unless all of it is on this machine.
            url: domain.map(|domain| format!("{}://{domain}", self.http.scheme())),
            console_url: Some(format!("{CONSOLE}{}", service.id)),
            image: definition::image(definition).map(|image| whole(&image)),
            variables,
            region: definition::region(definition),
            plan: definition::plan(definition),
            data: Data::Elsewhere,
            state: ProviderState::Starting,
            deploy: None,
        }
    }

    /// Sends what the service is to be.
    async fn put(&self, id: &str, desired: &Desired, query: &[(&str, &str)]) -> Result<Service> {
        let deployments = self.deployments(id, SOME).await?;
        let base = in_use(&deployments).or(deployments.first());
        let definition = match base {
            Some(base) => definition::changed(&base.definition, desired)?,
            None => definition::new(desired)?,
        };
        let wish = json!({ "definition": definition });
        self.replace(id, &wish, query).await
    }

    async fn replace(&self, id: &str, wish: &Json, query: &[(&str, &str)]) -> Result<Service> {
        let path = ["v1", "services", id];
        let done: wire::ServiceReply = self.sent(Method::PUT, &path, query, wish).await?;
        Ok(done.service)
    }
}

/// The deployment that is on its way, else the one that serves.
fn in_use(newest_first: &[Deployment]) -> Option<&Deployment> {
    let mut deployments = newest_first.iter();
    let coming = deployments.find(|it| say::is_under_way(&say::progress(it)));
    let mut deployments = newest_first.iter();
    coming.or_else(|| deployments.find(|it| say::progress(it) == DeployProgress::Live))
}

/// The deployment that a change has led to.
fn latest(service: Service) -> Result<String> {
    let missing = || ProviderError::Unexpected("the service has no latest deployment".to_owned());
    service.latest_deployment_id.ok_or_else(missing)
}

fn line(line: &wire::Line) -> Option<RunLine> {
    Some(RunLine {
        at: millis(&line.created_at)?,
        text: line.msg.clone().unwrap_or_default(),
    })
}

/// Both ends of a window belong to it, so the next one begins a nanosecond later.
fn cursor_after(line: &wire::Line) -> Option<String> {
    let at: Timestamp = line.created_at.parse().ok()?;
    let next = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
    Some(next.to_string())
}

/// The sum of all series (one for each instance), oldest first. Units are not described:
/// Koyeb's own control panel takes CPU for a percentage and memory for bytes.
fn points(kind: UsageKind, series: &[wire::Series]) -> Vec<(i64, i64)> {
    let factor = match kind {
        UsageKind::Cpu => 0.01,
        UsageKind::Memory | UsageKind::Bandwidth => 1.0 / MIB,
        UsageKind::Requests => 1.0,
    };
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    for sample in series.iter().flat_map(|it| it.samples.iter().flatten()) {
        let at = sample.timestamp.as_deref().and_then(millis);
        if let (Some(at), Some(value)) = (at, sample.value) {
            *sums.entry(at).or_default() += value * factor;
        }
    }
    crate::http::thousandths(sums)
}
