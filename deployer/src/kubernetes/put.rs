//! Finds what is there of an app, and makes it what it should be.

use contract::deploy::ImageProgram;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::params::Patch;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{
    CLAIMS, DATABASES, DEPLOYMENTS, How, INGRESSES, Kind, Namespace, PODS, SECRETS, SERVICES,
    STATEFUL_SETS,
};
use super::database::Cluster;
use super::dialect::{self, CLASS, Dialect, PAUSED_CLASS};
use super::kubeconfig::Access;
use super::manifest::{App, Class, OUTCOME, Way, console_class, database_name};
use super::model::{Deploy, Found, Kept, Workload, deploy_of, is_ours, value};
use super::{Cloud, LIVE, MANAGER, by_app, ours};
use crate::provider::{ProviderError, Result};

/// So many deploys are kept to go back to, besides the one in use.
const KEPT: usize = 5;
/// How long the first part of a host is, as in App Launchpad.
const LETTERS: usize = 12;
/// The annotations by which cert-manager is asked for a certificate.
const ISSUERS: [&str; 2] = ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer"];

/// How far it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Only asked whether it may be.
    Try,
    /// The variables are put there, and nothing runs with them yet.
    Prepare,
    /// Everything.
    Run,
}

/// What an app should be.
pub(super) struct Wanted<'a> {
    pub name: &'a str,
    pub region: Option<&'a str>,
    pub kept: &'a Kept,
    /// GiB of its volume.
    pub volume: Option<u32>,
    /// What others have changed of it is overwritten.
    pub over: bool,
}

#[derive(Deserialize)]
struct Named {
    metadata: ObjectMeta,
}

/// What is there under this name.
pub(super) async fn find(place: &Namespace, cloud: &Cloud, name: &str) -> Result<Found> {
    let mut found = Found::default();
    for kind in [DEPLOYMENTS, STATEFUL_SETS] {
        let workload: Option<Workload> = place.get(kind, name).await?;
        if let Some(workload) = workload {
            found.workload = Some((kind, workload));
            break;
        }
    }
    let is_foreign = |(_, there): &(Kind, Workload)| !there.is_ours();
    // Without a console the label is that of every Helm release: only our mark tells, unless
    // it is one that is to be taken over.
    let labelled = match cloud.dialect.domain_label {
        None if !found.workload.as_ref().is_some_and(is_foreign) => ours(name),
        _ => format!("{}={name}", cloud.dialect.app_label),
    };
    let services: Vec<core::Service> = place.list(SERVICES, &labelled).await?;
    found.service = services.into_iter().next();
    let ingresses: Vec<Ingress> = place.list(INGRESSES, &labelled).await?;
    found.ingress = ingresses.into_iter().next();
    let secrets: Vec<core::Secret> = place.list(SECRETS, &ours(name)).await?;
    found.deploys = secrets.into_iter().filter_map(Deploy::read).collect();
    found
        .deploys
        .sort_by_key(|deploy| std::cmp::Reverse(deploy.number));
    if cloud.has_databases {
        let database: Option<Cluster> = place.get(DATABASES, &database_name(name)).await?;
        let database = database.filter(Cluster::is_ours);
        found.database = database.map(|database| database.gib().unwrap_or_default());
    }
    if found.workload.is_none() {
        let claims: Vec<Named> = match place.list(CLAIMS, &by_app(name)).await {
            // Who may not see volumes has none.
            Err(ProviderError::Forbidden(_)) => Vec::new(),
            claims => claims?,
        };
        let claims = claims.iter().filter(|claim| is_ours(&claim.metadata));
        found.claims = claims.count();
    }
    Ok(found)
}

/// What hosts of apps end in: as other apps of the namespace have it, or as the API's host
/// tells.
pub(super) async fn domain(
    place: &Namespace,
    access: &Access,
    dialect: &Dialect,
) -> Result<Option<String>> {
    let neighbour = neighbour(place, dialect).await?;
    let told = neighbour.and_then(|(_, host)| Some(host.split_once('.')?.1.to_owned()));
    Ok(told.or_else(|| dialect::domain_by_api(dialect, &access.host)))
}

/// An ingress of the namespace with a host of the cluster's own domain. Consoles also write
/// ingresses for domains of the user's own; theirs alone carry the host's first part as label.
async fn neighbour(place: &Namespace, dialect: &Dialect) -> Result<Option<(Ingress, String)>> {
    let all: Vec<Ingress> = place.list(INGRESSES, "").await?;
    Ok(all.into_iter().find_map(|ingress| {
        let label = dialect
            .domain_label
            .map(|label| value(ingress.metadata.labels.as_ref(), label));
        let fits = |host: &str| {
            let Some((front, rest)) = host.split_once('.') else {
                return false;
            };
            let is_own = match label {
                Some(label) => label == Some(front),
                None => front != "*",
            };
            is_own && rest.contains('.')
        };
        let rules = ingress.spec.as_ref()?.rules.as_ref()?;
        let host = rules
            .iter()
            .find_map(|rule| rule.host.clone().filter(|host| fits(host)))?;
        Some((ingress, host))
    }))
}

/// By which class an ingress is found.
fn class_of(ingress: &Ingress) -> Class {
    let field = ingress
        .spec
        .as_ref()
        .and_then(|spec| spec.ingress_class_name.clone());
    match (value(ingress.metadata.annotations.as_ref(), CLASS), field) {
        (Some(PAUSED_CLASS), _) => console_class(),
        (Some(class), _) => Class::Annotation(class.to_owned()),
        (None, Some(class)) => Class::Field(class),
        (None, None) => Class::Usual,
    }
}

fn issuer_of(ingress: &Ingress) -> Option<(String, String)> {
    ISSUERS.into_iter().find_map(|annotation| {
        let issuer = value(ingress.metadata.annotations.as_ref(), annotation)?;
        Some((annotation.to_owned(), issuer.to_owned()))
    })
}

fn certificate_of(ingress: &Ingress, host: &str) -> Option<String> {
    let tls = ingress.spec.as_ref()?.tls.as_ref()?;
    let covers = |hosts: &Vec<String>| hosts.iter().any(|named| super::model::covers(named, host));
    tls.iter()
        .find(|tls| tls.hosts.as_ref().is_some_and(covers))
        .and_then(|tls| tls.secret_name.clone())
}

/// Refuses to have the password and the keys go over the net in clear. Nobody listens between
/// a machine and itself.
fn only_safe(way: Way) -> Result<Way> {
    let is_here = way.host == "localhost" || way.host.ends_with(".localhost");
    match way.certificate.is_some() || is_here {
        true => Ok(way),
        false => Err(ProviderError::Refused(format!(
            "Without TLS, the password and the keys would go to {} in clear. Set up TLS for its \
             Ingress: have cert-manager make certificates and name its issuer in an Ingress of \
             this namespace (cert-manager.io/cluster-issuer), or give one that has a \
             certificate for all hosts of its domain (spec.tls with *.domain). Then apply again.",
            way.host
        ))),
    }
}

/// Where an app answers: there where it does, else at a host that nobody can guess.
async fn way(
    place: &Namespace,
    access: &Access,
    cloud: &Cloud,
    found: &Found,
    wanted: &Wanted<'_>,
) -> Result<Way> {
    let dialect = cloud.dialect;
    if let Some(there) = &found.ingress {
        let host = super::model::address(there).map(|(_, host)| host);
        let host = host.ok_or_else(|| {
            let name = there.metadata.name.as_deref().unwrap_or_default();
            ProviderError::Refused(format!(
                "The ingress {name} has no host. Delete it, and apply again."
            ))
        })?;
        return Ok(Way {
            ingress: there.metadata.name.clone().unwrap_or_default(),
            certificate: certificate_of(there, &host),
            class: class_of(there),
            issuer: issuer_of(there),
            host,
        });
    }
    let letters = letters()?;
    let ingress = format!("network-{letters}");
    let neighbour = neighbour(place, dialect).await?;
    let domain = neighbour
        .as_ref()
        .and_then(|(_, host)| Some(host.split_once('.')?.1.to_owned()))
        .or_else(|| dialect::domain_by_api(dialect, &access.host))
        .or_else(|| dialect::domain_of(dialect, wanted.region?));
    let domain = domain.ok_or_else(|| no_domain(dialect))?;
    let host = format!("{letters}.{domain}");
    Ok(match (dialect.certificate, neighbour) {
        (Some(certificate), _) => Way {
            ingress,
            host,
            certificate: Some(certificate.to_owned()),
            class: console_class(),
            issuer: None,
        },
        // As it is done here.
        (None, Some((there, _))) => {
            let issuer = issuer_of(&there);
            Way {
                ingress,
                // One that is for the neighbour's host only is no good here.
                certificate: match &issuer {
                    Some(_) => Some(format!("{}-tls", wanted.name)),
                    None => certificate_of(&there, &host),
                },
                host,
                class: class_of(&there),
                issuer,
            }
        }
        (None, None) => return Err(no_domain(dialect)),
    })
}

fn no_domain(dialect: &Dialect) -> ProviderError {
    ProviderError::Refused(match *dialect == dialect::CLAW_CLOUD {
        true => "Nothing tells which region the account is in. Choose the region.".to_owned(),
        false => "Nothing tells under which domain apps are reached here. Make an Ingress with a \
                  host in this namespace (an app with a public address in the console will do), \
                  and apply again: the new app gets a host beside it."
            .to_owned(),
    })
}

/// Twelve random letters.
fn letters() -> Result<String> {
    let mut bytes = [0_u8; LETTERS * 8];
    getrandom::fill(&mut bytes)
        .map_err(|_| ProviderError::Unexpected("the system gives no random bytes".to_owned()))?;
    // Bytes from 26 * 9 on would make the first letters likelier; so many spare ones do.
    let even = bytes.into_iter().filter(|byte| *byte < 234);
    let letters = even.map(|byte| char::from(b'a' + byte % 26));
    Ok(letters.take(LETTERS).collect())
}

/// Makes an app what is wanted. Gives the number of its deploy.
///
/// Everything is tried first, a pod and a claim included, so that quotas and limits refuse
/// before anything is made. The workload comes last: what is there without it is a part.
pub(super) async fn put(
    place: &Namespace,
    access: &Access,
    cloud: &Cloud,
    found: &Found,
    wanted: &Wanted<'_>,
    stage: Stage,
) -> Result<u64> {
    let there = found.workload.as_ref().map(|(kind, there)| (*kind, there));
    let adopts = there.is_some_and(|(_, there)| !there.is_ours());
    if adopts && there.is_some_and(|(kind, _)| kind != DEPLOYMENTS) {
        return Err(ProviderError::Refused(
            "An app with a volume that was not made here cannot be taken over. Make a new one, \
             and import its data in the panel."
                .to_owned(),
        ));
    }
    if there.is_some_and(|(_, there)| there.container().is_none()) {
        return Err(ProviderError::Refused(
            "It has several containers, none of them called like the app.".to_owned(),
        ));
    }
    let mut rewritten = found.rewritten();
    rewritten.retain(|name| wanted.kept.names().contains(name));
    if !rewritten.is_empty() && !wanted.over {
        let names: Vec<String> = rewritten.into_iter().collect();
        return Err(ProviderError::ChangedThere(format!(
            "Somebody else has changed these variables of the app since: {}. Delete them there \
             (in the console), set here what they are to be, and apply again, or deploy over it.",
            names.join(", ")
        )));
    }
    if !wanted.kept.release.database.is_empty() && found.database.is_none() {
        return Err(ProviderError::NotFound(
            "The database that belongs to it is not there (any more). Plan anew.".to_owned(),
        ));
    }
    let way = only_safe(way(place, access, cloud, found, wanted).await?)?;
    let front = way.host.split('.').next().unwrap_or_default();
    let service = found
        .service
        .as_ref()
        .and_then(|service| service.metadata.name.clone())
        .unwrap_or_else(|| format!("{}-{front}", wanted.name));
    // What it ran with is kept as a deploy, too: its variables are taken away below.
    let before = adopts.then(|| Kept::before(found)).flatten();
    let kept_as = before.as_ref().map(|before| {
        let same = found.deploys.iter().find(|one| one.kept.is_same(before));
        same.map_or_else(|| found.next(before), |same| same.number)
    });
    let number = found.next(wanted.kept);
    let number = match kept_as {
        Some(kept_as) if kept_as == number => number + 1,
        _ => number,
    };
    let image = crate::image::parse(&wanted.kept.release.image_tag)
        .map_err(|error| ProviderError::Refused(error.message))?;
    let app = App {
        name: wanted.name,
        namespace: &place.name,
        dialect: cloud.dialect,
        kept: wanted.kept,
        number,
        is_original: crate::image::program(&image) == ImageProgram::Original,
        volume: wanted.volume,
        there,
        service: &service,
        way: &way,
    };
    let (secret, workload) = (app.secret()?, app.workload()?);
    let earlier = match (&before, kept_as) {
        (Some(kept), Some(number)) => {
            let earlier = App {
                kept,
                number,
                ..app
            };
            let mut secret = earlier.secret()?;
            if there.is_some_and(|(_, there)| there.status.ready_replicas > 0) {
                secret.1["metadata"]["annotations"][OUTCOME] = json!(LIVE);
            }
            Some(secret)
        }
        _ => None,
    };
    let ways = [app.service(), app.ingress(found.is_ingress_paused())];
    let dry = How {
        manager: MANAGER,
        // The user takes over what somebody else has made, or has changed.
        force: adopts || wanted.over,
        dry: true,
    };
    let apply = async |(kind, manifest): &(Kind, Value), how: How<'_>| {
        place.apply(*kind, manifest, how).await
    };
    for one in earlier.iter().chain([&secret]) {
        apply(one, dry).await?;
    }
    for one in &ways {
        apply(one, dry).await?;
    }
    let mut foreign = match there {
        // A value beside a reference is refused, so those that are in the way go first.
        Some((kind, there)) if adopts || !rewritten.is_empty() => {
            let change = App::only_these_variables(&workload.1);
            place.would_change(kind, there.name(), change).await?;
            let mut all = there.variables();
            all.retain(|name| {
                adopts || rewritten.contains(name) || !wanted.kept.names().contains(name)
            });
            all
        }
        _ => {
            let merged: Workload = read(apply(&workload, dry).await?)?;
            let mut all = merged.variables();
            all.retain(|name| !wanted.kept.names().contains(name));
            all
        }
    };
    // A StatefulSet's pod makes room before the next one comes.
    let has_room =
        there.is_some_and(|(kind, there)| kind == STATEFUL_SETS && there.status.replicas > 0);
    if !has_room {
        let (kind, pod) = app.sample_pod()?;
        place.would_create(kind, &pod).await?;
    }
    if let Some((kind, claim)) = app.sample_claim().filter(|_| there.is_none()) {
        let name = claim["metadata"]["name"].as_str().unwrap_or_default();
        // One that an app of this name left behind is taken up again, and is in the quota
        // already. Who may not see volumes has left none.
        let left: Option<Named> = match place.get(kind, name).await {
            Err(ProviderError::Forbidden(_)) => None,
            left => left?,
        };
        if left.is_none() {
            place.would_create(kind, &claim).await?;
        }
    }
    if stage == Stage::Try {
        return Ok(number);
    }
    let real = How { dry: false, ..dry };
    for one in earlier.iter().chain([&secret]) {
        apply(one, real).await?;
    }
    if stage == Stage::Prepare {
        return Ok(number);
    }
    for one in &ways {
        apply(one, real).await?;
    }
    if let Some((kind, there)) = there.filter(|_| !foreign.is_empty()) {
        strip(place, kind, there, &std::mem::take(&mut foreign)).await?;
    }
    apply(&workload, real).await?;
    if workload.0 == STATEFUL_SETS {
        unblock(place, wanted.name, |pod| deploy_of(pod) == Some(number)).await?;
    }
    prune(place, found, number).await?;
    Ok(number)
}

/// Deletes the pod of a StatefulSet that is of before and never got ready. The controller would
/// wait for it for ever before it makes the next one (kubernetes/kubernetes#67250).
pub(super) async fn unblock(
    place: &Namespace,
    name: &str,
    is_current: impl Fn(&core::Pod) -> bool,
) -> Result<()> {
    let pod_name = format!("{name}-0");
    let pod: Option<core::Pod> = place.get(PODS, &pod_name).await?;
    let is_ready = |pod: &core::Pod| {
        let status = pod.status.as_ref();
        let mut conditions = status
            .and_then(|status| status.conditions.as_ref())
            .into_iter();
        conditions.any(|all| {
            let mut all = all.iter();
            all.any(|one| one.type_ == "Ready" && one.status == "True")
        })
    };
    match pod {
        Some(pod) if !is_ready(&pod) && !is_current(&pod) => place.delete(PODS, &pod_name).await,
        _ => Ok(()),
    }
}

/// Takes variables away that somebody else has set: applying leaves alone what it does not name.
async fn strip(
    place: &Namespace,
    kind: Kind,
    there: &Workload,
    names: &std::collections::BTreeSet<String>,
) -> Result<()> {
    let env: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": name, "$patch": "delete" }))
        .collect();
    let container = there.container().map(|container| container.name.as_str());
    let containers = json!([{ "name": container, "env": env }]);
    let change = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    place
        .change(kind, there.name(), &Patch::Strategic(change))
        .await
}

/// Deletes the deploys that are too old to go back to.
async fn prune(place: &Namespace, found: &Found, number: u64) -> Result<()> {
    let before = found
        .workload
        .as_ref()
        .and_then(|(_, there)| there.deploy());
    let old = found
        .deploys
        .iter()
        .filter(|deploy| deploy.number != number && Some(deploy.number) != before);
    for deploy in old.skip(KEPT - 1) {
        place.delete(SECRETS, &deploy.secret).await?;
    }
    Ok(())
}

pub(super) fn read<T: serde::de::DeserializeOwned>(object: Value) -> Result<T> {
    // Not the error's own words: they quote values, and a value can be a password.
    serde_json::from_value(object)
        .map_err(|_| ProviderError::Unexpected("an object of another form".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_twelve_letters_that_differ() {
        let (a, b) = (letters().unwrap(), letters().unwrap());
        for one in [&a, &b] {
            assert_eq!(one.len(), LETTERS);
            assert!(one.bytes().all(|byte| byte.is_ascii_lowercase()), "{one}");
        }
        assert_ne!(a, b);
    }
}
