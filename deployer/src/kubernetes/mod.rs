//! ClawCloud Run, Sealos and any other Kubernetes, by a kubeconfig: one namespace, in which an
//! app is a Deployment (a StatefulSet where it has a volume), a Service, an Ingress, and a
//! Secret for each deploy.
//!
//! What is not obvious:
//!
//! - Objects are applied on the server under a field manager of ours: what others have set
//!   stays, and what they have changed of ours is a conflict that is told. How many replicas
//!   there are belongs to another manager, because pausing is no deploy.
//! - Deploys have no place in Kubernetes that holds secrets, too. Each one is a Secret with its
//!   variables and what else it ran; going back makes a new deploy of it.
//! - "Available" does not say that a deploy succeeded: the pods before stay available.
//! - A workload comes last and goes first. What is there without one are parts, of an attempt
//!   that broke off or of an app that was deleted in the console.
//! - An app is known by its name as long as it carries our mark, and by name and UID otherwise.
//! - Nothing outside of the namespace is looked at: users of consoles may not.
//!
//! Deliberately absent: `exec` and `auth-provider` of kubeconfigs, autoscaling, domains of
//! one's own, private images, growing of volumes, and watches.

mod api;
mod database;
mod dialect;
mod id;
mod kubeconfig;
mod manifest;
mod model;
mod offer;
mod probe;
mod put;
mod state;
mod watch;

use async_trait::async_trait;
use contract::deploy::{
    AccountFacts, Cost, DeployProgress, DeployView, LogPage, ProviderKind, RemoteEvent, Usage,
};
use k8s_openapi::api::core::v1::Pod;
use kube::core::params::Patch;
use oci_spec::distribution::Reference;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use vault::Secret;

use crate::provider::{
    Data, Desired, Observed, Power, Provider, ProviderError, ProviderState, Result, Target,
};
use api::{
    CLAIMS, DEPLOYMENTS, How, INGRESSES, Kind, Namespace, PODS, SECRETS, SERVICES, STATEFUL_SETS,
};
use dialect::{CLASS, Dialect, INGRESS_CLASS, PAUSED_CLASS};
use id::{id_of, is_meant, name_of};
use kubeconfig::Access;
use manifest::{OUTCOME, RESTARTED};
use model::{Found, Kept, Workload, value};
use put::{Stage, Wanted, domain, find, put, read};

/// Who writes what makes up an app, and our mark.
const MANAGER: &str = "gemini-balance";
/// Who writes whether it runs.
const POWER: &str = "gemini-balance-power";
/// What consoles write into the annotation of a paused app.
const PAUSED: &str = r#"{"target":"","value":""}"#;
/// How a deploy came out, as its Secret says it.
const LIVE: &str = "live";
const FAILED: &str = "failed";

/// A namespace, by a kubeconfig.
pub struct Kubernetes {
    access: Access,
    kind: ProviderKind,
    cloud: OnceCell<Cloud>,
}

/// What kind of cluster it is.
#[derive(Clone, Debug)]
struct Cloud {
    dialect: &'static Dialect,
    /// KubeBlocks is there, in the version that is spoken here.
    has_databases: bool,
    /// There is a metrics server.
    is_measured: bool,
}

#[derive(Deserialize)]
struct Named {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
}

/// An account by the text of its kubeconfig.
///
/// # Errors
/// When it is none, or would start a program, read files of this machine, or not check who the
/// server is.
pub fn account(kind: ProviderKind, kubeconfig: &Secret) -> Result<Kubernetes> {
    Ok(Kubernetes {
        access: Access::read(kubeconfig)?,
        kind,
        cloud: OnceCell::new(),
    })
}

/// The labels of everything with an app's name.
fn by_app(name: &str) -> String {
    format!("app={name}")
}

/// The labels of everything that was made for an app.
fn ours(name: &str) -> String {
    format!("app={name},{}={MANAGER}", manifest::MARK)
}

#[async_trait]
impl Provider for Kubernetes {
    async fn probe(&self) -> Result<AccountFacts> {
        let (place, cloud) = self.reach().await?;
        probe::facts(&place, &self.access, cloud).await
    }

    async fn observe(&self, target: &Target) -> Result<Option<Observed>> {
        let name = target.id.as_deref().map_or(&*target.name, name_of);
        if name.is_empty() {
            return Ok(None);
        }
        let (place, cloud) = self.reach().await?;
        let found = find(&place, cloud, name).await?;
        look(&place, cloud, name, &found).await
    }

    async fn create_database(&self, desired: &Desired) -> Result<bool> {
        let (place, cloud) = self.reach().await?;
        match desired.data {
            Data::InCluster { gib } if cloud.has_databases => {
                database::create(&place, &desired.name, cloud.dialect, gib).await
            }
            _ => Err(ProviderError::Refused(
                "This cluster has no databases of KubeBlocks. Choose a volume, a MySQL elsewhere, \
                 or no database."
                    .to_owned(),
            )),
        }
    }

    async fn create(&self, desired: &Desired) -> Result<Observed> {
        let (place, cloud) = self.reach().await?;
        let name = desired.name.as_str();
        let found = find(&place, cloud, name).await?;
        match &found.workload {
            Some((_, there)) if !there.is_ours() => {
                return Err(ProviderError::Conflict(format!(
                    "The name {name} is taken in this namespace, by an app that was not made \
                     here. Choose another name, or take the app over."
                )));
            }
            Some(_) => {}
            None => {
                self.put(&place, cloud, &found, desired, Stage::Run).await?;
            }
        }
        let found = find(&place, cloud, name).await?;
        let made = look(&place, cloud, name, &found).await?;
        made.ok_or_else(|| gone(name))
    }

    async fn set_variables(&self, id: &str, desired: &Desired) -> Result<()> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        self.put(&place, cloud, &found, desired, Stage::Prepare)
            .await?;
        Ok(())
    }

    fn keeps_variables(&self) -> bool {
        false
    }

    async fn change(&self, id: &str, desired: &Desired) -> Result<()> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        self.put(&place, cloud, &found, desired, Stage::Try).await?;
        Ok(())
    }

    async fn deploy(&self, id: &str, desired: &Desired) -> Result<String> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        let number = self.put(&place, cloud, &found, desired, Stage::Run).await?;
        Ok(number.to_string())
    }

    async fn progress(&self, id: &str, deploy: &str) -> Result<DeployProgress> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        let number = numbered(deploy)?;
        stand(&place, name_of(id), &found, number).await
    }

    async fn deploys(&self, id: &str) -> Result<Vec<DeployView>> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        let current = current(&found);
        let mut all = Vec::new();
        for deploy in &found.deploys {
            // One that was prepared and is not in use yet is none.
            if current < Some(deploy.number) {
                continue;
            }
            let state = stand(&place, name_of(id), &found, deploy.number).await?;
            all.push(DeployView {
                id: deploy.number.to_string(),
                image: Some(whole(&deploy.kept.release.image)),
                at: deploy.at,
                can_roll_back: state == DeployProgress::Replaced,
                state,
            });
        }
        Ok(all)
    }

    async fn roll_back(&self, id: &str, deploy: &str) -> Result<String> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        let number = numbered(deploy)?;
        let earlier = found.deploy(number).ok_or_else(|| {
            ProviderError::NotFound(format!("The deploy {deploy} is not kept any more."))
        })?;
        let wanted = Wanted {
            name: name_of(id),
            region: None,
            kept: &earlier.kept,
            over: false,
            volume: found
                .workload
                .as_ref()
                .and_then(|(_, there)| there.volume()),
        };
        let made = put(&place, &self.access, cloud, &found, &wanted, Stage::Run).await?;
        Ok(made.to_string())
    }

    async fn power(&self, id: &str, power: Power) -> Result<()> {
        let (place, cloud) = self.reach().await?;
        let found = self.there(&place, cloud, id).await?;
        let Some((kind, there)) = &found.workload else {
            return Err(gone(name_of(id)));
        };
        let pause = cloud.dialect.pause;
        let is_paused = !there.wants_pods() && there.annotation(pause).is_some();
        match power {
            Power::Restart => {
                let restart = there.metadata.generation.unwrap_or_default() + 1;
                switch(&place, *kind, there, pause, is_paused, Some(restart)).await?;
                if *kind == STATEFUL_SETS {
                    let restarted = restart.to_string();
                    put::unblock(&place, there.name(), |pod| {
                        let annotations = pod.metadata.annotations.as_ref();
                        value(annotations, RESTARTED) == Some(restarted.as_str())
                    })
                    .await?;
                }
            }
            Power::Suspend => {
                switch(&place, *kind, there, pause, true, None).await?;
                route(&place, cloud, &found, true).await?;
            }
            Power::Resume => {
                route(&place, cloud, &found, false).await?;
                switch(&place, *kind, there, pause, false, None).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<()> {
        let (place, cloud) = self.reach().await?;
        let name = name_of(id);
        let mut workloads = Vec::new();
        for kind in [DEPLOYMENTS, STATEFUL_SETS] {
            if let Some(there) = place.get::<Workload>(kind, name).await? {
                is_meant(&there, id)?;
                workloads.push(kind);
            }
        }
        for kind in workloads {
            place.delete(kind, name).await?;
        }
        // A console deletes by its label, too. Without one, labels are anybody's.
        let labelled = match cloud.dialect.domain_label {
            Some(_) => format!("{}={name}", cloud.dialect.app_label),
            None => ours(name),
        };
        for kind in [INGRESSES, SERVICES] {
            clear(&place, kind, &labelled).await?;
        }
        for kind in [SECRETS, CLAIMS] {
            clear(&place, kind, &ours(name)).await?;
        }
        if cloud.has_databases {
            for kind in database::PARTS {
                clear(&place, kind, &ours(name)).await?;
            }
        }
        Ok(())
    }

    /// A cursor is the pod and the moment of the last line.
    async fn logs(&self, id: &str, cursor: Option<&str>) -> Result<LogPage> {
        let (place, _) = self.reach().await?;
        watch::logs(&place, name_of(id), cursor).await
    }

    async fn events(&self, id: &str) -> Result<Vec<RemoteEvent>> {
        let (place, _) = self.reach().await?;
        watch::events(&place, name_of(id)).await
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        let (place, cloud) = self.reach().await?;
        watch::usage(&place, name_of(id), cloud.is_measured).await
    }

    /// Consoles bill by the minute, at prices of their region.
    fn cost(&self, _: &Desired) -> Cost {
        Cost::Unknown
    }
}

impl Kubernetes {
    /// The namespace, and what kind of cluster it is in.
    async fn reach(&self) -> Result<(Namespace, &Cloud)> {
        let place = Namespace::of(&self.access).await?;
        let cloud = self.cloud.get_or_try_init(|| self.discover(&place)).await?;
        Ok((place, cloud))
    }

    async fn discover(&self, place: &Namespace) -> Result<Cloud> {
        let groups = place.groups().await?.groups;
        let has = |kind: Kind| {
            let group = groups.iter().find(|group| group.name == kind.group);
            let versions = group.into_iter().flat_map(|group| &group.versions);
            versions
                .into_iter()
                .any(|version| version.version == kind.version)
        };
        let dialect = dialect::spoken(groups.iter().map(|group| group.name.as_str()));
        let dialect = match self.kind {
            ProviderKind::ClawCloud if *dialect == dialect::PLAIN => {
                return Err(ProviderError::Refused(
                    "This kubeconfig leads to a Kubernetes that is not ClawCloud Run's. Add it \
                     as Kubernetes instead."
                        .to_owned(),
                ));
            }
            // A fork that kept the names of Sealos in its API.
            ProviderKind::ClawCloud => &dialect::CLAW_CLOUD,
            _ => dialect,
        };
        tracing::debug!(
            cluster = dialect.name,
            "found out what kind of cluster it is"
        );
        Ok(Cloud {
            dialect,
            has_databases: has(api::DATABASES),
            is_measured: has(api::POD_METRICS),
        })
    }

    /// What is there of an app that must be, and must be the one that is meant.
    async fn there(&self, place: &Namespace, cloud: &Cloud, id: &str) -> Result<Found> {
        let found = find(place, cloud, name_of(id)).await?;
        match &found.workload {
            Some((_, there)) => is_meant(there, id)?,
            None => return Err(gone(name_of(id))),
        }
        Ok(found)
    }

    async fn put(
        &self,
        place: &Namespace,
        cloud: &Cloud,
        found: &Found,
        desired: &Desired,
        stage: Stage,
    ) -> Result<u64> {
        let there = found.workload.as_ref();
        if there.is_some_and(|(_, there)| there.is_ours()) && !holds(found.data(), desired.data) {
            return Err(ProviderError::Refused(
                "Where an app keeps its data cannot be changed while it is there. Make a new one \
                 under another name, then delete this one."
                    .to_owned(),
            ));
        }
        let region = found.ingress.as_ref().and_then(model::address);
        let region = region.and_then(|(_, host)| dialect::region_of(&host));
        if let (Some(is), Some(wanted)) = (region, desired.region.as_deref())
            && is != wanted
        {
            return Err(ProviderError::Refused(format!(
                "The account is in {is}, not in {wanted}. Each region has a kubeconfig of its own."
            )));
        }
        let kept = Kept::of(desired);
        let wanted = Wanted {
            name: &desired.name,
            region: desired.region.as_deref(),
            kept: &kept,
            over: desired.over,
            volume: match desired.data {
                // As it is: a set keeps the volume that it was made with.
                Data::Volume { gib } => there.and_then(|(_, there)| there.volume()).or(Some(gib)),
                Data::Elsewhere | Data::InCluster { .. } => None,
            },
        };
        put(place, &self.access, cloud, found, &wanted, stage).await
    }
}

/// Whether what is there for an app's data is what is wished for. It may be larger: consoles
/// enlarge volumes and databases.
fn holds(there: Data, wished: Data) -> bool {
    match (there, wished) {
        (Data::Elsewhere, Data::Elsewhere) => true,
        (Data::Volume { gib: is }, Data::Volume { gib })
        | (Data::InCluster { gib: is }, Data::InCluster { gib }) => is >= gib,
        _ => false,
    }
}

fn gone(name: &str) -> ProviderError {
    ProviderError::NotFound(format!(
        "There is no app {name} in the namespace (any more)."
    ))
}

fn numbered(deploy: &str) -> Result<u64> {
    let no_such = |_| ProviderError::NotFound(format!("There is no deploy {deploy}."));
    deploy.parse().map_err(no_such)
}

/// The number of the deploy that is in use or on its way.
fn current(found: &Found) -> Option<u64> {
    found
        .workload
        .as_ref()
        .and_then(|(_, there)| there.deploy())
}

/// All about what was found; `None` when that is nothing.
async fn look(
    place: &Namespace,
    cloud: &Cloud,
    name: &str,
    found: &Found,
) -> Result<Option<Observed>> {
    let way = found.ingress.as_ref().and_then(model::address);
    let (url, host) = way.unzip();
    let mut observed = Observed {
        id: name.to_owned(),
        name: name.to_owned(),
        is_ours: true,
        console_url: host
            .as_deref()
            .and_then(|host| dialect::console(cloud.dialect, host)),
        region: host
            .as_deref()
            .and_then(dialect::region_of)
            .map(str::to_owned),
        url,
        image: None,
        variables: found.variables(),
        plan: None,
        data: found.data(),
        state: ProviderState::Partial,
        deploy: current(found).map(|number| number.to_string()),
    };
    let Some((kind, there)) = &found.workload else {
        return Ok(found.has_parts().then_some(observed));
    };
    let container = there.container();
    observed.id = id_of(there);
    observed.is_ours = there.is_ours();
    observed.image = container.and_then(|one| one.image.as_deref()).map(whole);
    observed.plan = container
        .and_then(|one| one.resources.as_ref())
        .and_then(offer::plan_of);
    let pods: Vec<Pod> = place.list(PODS, &by_app(name)).await?;
    observed.state = state::state(cloud.dialect, *kind, there, &pods);
    Ok(Some(observed))
}

/// Where a deploy stands. What comes of it is noted at its Secret as soon as it is seen, for
/// later there is nothing to see it by.
async fn stand(
    place: &Namespace,
    name: &str,
    found: &Found,
    number: u64,
) -> Result<DeployProgress> {
    let deploy = found.deploy(number);
    if let Some((kind, there)) = &found.workload
        && there.deploy() == Some(number)
    {
        let pods: Vec<Pod> = place.list(PODS, &by_app(name)).await?;
        let stands = state::progress(*kind, there, &pods);
        let outcome = match &stands {
            DeployProgress::Live if there.wants_pods() => Some(LIVE),
            DeployProgress::Failed { .. } => Some(FAILED),
            _ => None,
        };
        if let (Some(outcome), Some(deploy)) = (outcome, deploy)
            && deploy.outcome.as_deref() != Some(outcome)
        {
            let note = json!({ "metadata": { "annotations": { OUTCOME: outcome } } });
            place
                .change(SECRETS, &deploy.secret, &Patch::Merge(note))
                .await?;
        }
        return Ok(stands);
    }
    let deploy = deploy.ok_or_else(|| {
        ProviderError::NotFound(format!("The deploy {number} is not kept any more."))
    })?;
    Ok(match deploy.outcome.as_deref() {
        Some(LIVE) => DeployProgress::Replaced,
        Some(_) => DeployProgress::Failed {
            detail: "it did not start".to_owned(),
        },
        None => DeployProgress::Cancelled,
    })
}

/// Says whether a workload runs. Forced, because it is for the user to say, and consoles and
/// clouds say it as well.
async fn switch(
    place: &Namespace,
    kind: Kind,
    there: &Workload,
    pause: &str,
    is_paused: bool,
    restart: Option<i64>,
) -> Result<()> {
    let template = there.spec.template.metadata.as_ref();
    let before = template.and_then(|template| value(template.annotations.as_ref(), RESTARTED));
    let restarted = restart
        .map(|restart| restart.to_string())
        .or(before.map(str::to_owned));
    // A restart of what the cloud has stopped is none, and of several are as many.
    let replicas = match restart {
        Some(_) => there.spec.replicas.unwrap_or(1),
        None => i64::from(!is_paused),
    };
    let mut manifest = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": { "name": there.name(), "annotations": {} },
        "spec": { "replicas": replicas },
    });
    if is_paused {
        manifest["metadata"]["annotations"][pause] = json!(PAUSED);
    }
    if let Some(restarted) = restarted {
        let annotations = json!({ RESTARTED: restarted });
        manifest["spec"]["template"] = json!({ "metadata": { "annotations": annotations } });
    }
    let how = How {
        manager: POWER,
        force: true,
        dry: false,
    };
    let now: Workload = read(place.apply(kind, &manifest, how).await?)?;
    if !is_paused && now.annotation(pause).is_some() {
        // The console's own, which stays unless it is taken away.
        let change = json!({ "metadata": { "annotations": { pause: Value::Null } } });
        place
            .change(kind, there.name(), &Patch::Merge(change))
            .await?;
    }
    Ok(())
}

/// Takes the ingress from its controller or gives it back, as consoles do when they pause.
async fn route(place: &Namespace, cloud: &Cloud, found: &Found, is_paused: bool) -> Result<()> {
    let Some(ingress) = found
        .ingress
        .as_ref()
        .filter(|_| cloud.dialect.domain_label.is_some())
    else {
        return Ok(());
    };
    let class = match is_paused {
        true => PAUSED_CLASS,
        false => INGRESS_CLASS,
    };
    let manifest = json!({
        "apiVersion": INGRESSES.api_version(), "kind": INGRESSES.kind,
        "metadata": { "name": ingress.metadata.name, "annotations": { CLASS: class } },
    });
    let how = How {
        manager: POWER,
        force: true,
        dry: false,
    };
    place.apply(INGRESSES, &manifest, how).await?;
    Ok(())
}

/// Deletes all objects of a kind with these labels.
async fn clear(place: &Namespace, kind: Kind, labels: &str) -> Result<()> {
    let all: Vec<Named> = match place.list(kind, labels).await {
        // Who may not see them has not made any.
        Err(ProviderError::Forbidden(_)) => Vec::new(),
        all => all?,
    };
    for one in all {
        let name = one.metadata.name.unwrap_or_default();
        place.delete(kind, &name).await?;
    }
    Ok(())
}

/// An image's name in full. What is no name is left for the cluster to refuse.
fn whole(image: &str) -> String {
    let reference: Option<Reference> = image.parse().ok();
    reference.map_or_else(|| image.to_owned(), |reference| reference.whole())
}
