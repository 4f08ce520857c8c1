//! What is there of an app, read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use vault::Secret;

use super::api::Kind;
use super::dialect::{CLASS, PAUSED_CLASS};
use super::manifest::{DEPLOY, RELEASE, unescaped};
use crate::provider::{Data, DatabasePart, Desired, Value};

/// A Deployment or a StatefulSet: what both have.
#[derive(Clone, Deserialize)]
pub(super) struct Workload {
    pub metadata: ObjectMeta,
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub replicas: Option<i64>,
    pub selector: LabelSelector,
    pub template: PodTemplateSpec,
    pub service_name: Option<String>,
    pub volume_claim_templates: Option<Vec<PersistentVolumeClaim>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub observed_generation: i64,
    pub replicas: i64,
    pub updated_replicas: i64,
    pub ready_replicas: i64,
    pub available_replicas: i64,
    pub current_revision: Option<String>,
    pub update_revision: Option<String>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

impl Workload {
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether it is meant to run.
    pub fn wants_pods(&self) -> bool {
        self.spec.replicas.unwrap_or(1) > 0
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        value(self.metadata.annotations.as_ref(), name)
    }

    pub fn is_ours(&self) -> bool {
        is_ours(&self.metadata)
    }

    /// The number of the deploy that it runs, or is about to.
    pub fn deploy(&self) -> Option<u64> {
        let template = self.spec.template.metadata.as_ref()?;
        value(template.annotations.as_ref(), DEPLOY)?.parse().ok()
    }

    /// The container with the app: called like it, as App Launchpad does; else the only one.
    pub fn container(&self) -> Option<&core::Container> {
        let containers = self.spec.template.spec.as_ref()?.containers.as_slice();
        let named = containers.iter().find(|one| one.name == self.name());
        match (named, containers) {
            (Some(named), _) => Some(named),
            (None, [only]) => Some(only),
            _ => None,
        }
    }

    /// The names of its variables.
    pub fn variables(&self) -> BTreeSet<String> {
        let env = self.container().and_then(|one| one.env.as_ref());
        env.into_iter()
            .flatten()
            .map(|one| one.name.clone())
            .collect()
    }

    /// The volume of a StatefulSet, in GiB.
    pub fn volume(&self) -> Option<u32> {
        let claim = self.spec.volume_claim_templates.as_ref()?.first()?;
        claimed(claim)
    }
}

/// GiB that a claim asks for.
pub(super) fn claimed(claim: &PersistentVolumeClaim) -> Option<u32> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    gib(&requests.get("storage")?.0)
}

/// An amount of storage in whole GiB; what is not written in them is rounded.
pub(super) fn gib(amount: &str) -> Option<u32> {
    let digits = amount.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit: u64 = match amount.get(digits.len()..)? {
        "Ti" => 1 << 40,
        "Gi" => 1 << 30,
        "Mi" => 1 << 20,
        "Ki" => 1 << 10,
        "T" => 1_000_000_000_000,
        "G" => 1_000_000_000,
        "M" => 1_000_000,
        "" => 1,
        _ => return None,
    };
    u32::try_from(number.checked_mul(unit)? >> 30).ok()
}

/// The value of a label or annotation.
pub(super) fn value<'a>(all: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    all?.get(name).map(String::as_str)
}

/// Whether an object carries our mark.
pub(super) fn is_ours(metadata: &ObjectMeta) -> bool {
    value(metadata.labels.as_ref(), super::manifest::MARK) == Some(super::MANAGER)
}

/// What a deploy runs, except the values of its variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Release {
    /// The image by its digest.
    pub image: String,
    /// The image as the user named it.
    pub image_tag: String,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The variables that everybody may see.
    pub plain: BTreeSet<String>,
    /// The variables that the database's own Secret holds, and under which key.
    pub database: BTreeMap<String, String>,
}

/// A deploy as it is kept: a Secret, so that one can go back to it with the variables that it
/// had, secret ones included.
#[derive(Clone)]
pub(super) struct Kept {
    pub release: Release,
    /// The values of its variables but the database's.
    pub values: BTreeMap<String, Secret>,
}

/// A deploy that was made.
#[derive(Clone)]
pub(super) struct Deploy {
    /// Counts up from 1.
    pub number: u64,
    pub secret: String,
    pub kept: Kept,
    /// `live` or `failed`, once that was seen.
    pub outcome: Option<String>,
    pub at: Option<i64>,
}

impl Kept {
    /// What is wished for.
    pub fn of(desired: &Desired) -> Self {
        let mut kept = Self {
            release: Release {
                image: desired.image.clone(),
                image_tag: desired.image_tag.clone(),
                plan: desired.plan.clone(),
                plain: BTreeSet::new(),
                database: BTreeMap::new(),
            },
            values: BTreeMap::new(),
        };
        for (name, value) in &desired.variables {
            match value {
                Value::Plain(text) => {
                    kept.release.plain.insert(name.clone());
                    kept.values
                        .insert(name.clone(), Secret::from(text.as_str()));
                }
                Value::Secret(secret) => {
                    kept.values.insert(name.clone(), secret.clone());
                }
                Value::FromDatabase(part) => {
                    let key = key_of(*part).to_owned();
                    kept.release.database.insert(name.clone(), key);
                }
            }
        }
        kept
    }

    /// What an app that is taken over ran with, as far as its variables can be read; `None` when
    /// it has none of those.
    pub fn before(found: &Found) -> Option<Self> {
        let (_, there) = found.workload.as_ref()?;
        let image = there.container()?.image.clone()?;
        let values = found.variables().into_iter();
        let values: BTreeMap<String, Secret> = values
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        (!values.is_empty()).then(|| Self {
            release: Release {
                image_tag: image.clone(),
                image,
                plan: None,
                plain: BTreeSet::new(),
                database: BTreeMap::new(),
            },
            values,
        })
    }

    /// The names of its variables.
    pub fn names(&self) -> BTreeSet<&String> {
        self.values
            .keys()
            .chain(self.release.database.keys())
            .collect()
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.release == other.release && self.values == other.values
    }
}

/// The key of a database's Secret, as KubeBlocks writes it.
fn key_of(part: DatabasePart) -> &'static str {
    match part {
        DatabasePart::Host => "host",
        DatabasePart::Port => "port",
        DatabasePart::User => "username",
        DatabasePart::Password => "password",
    }
}

impl Deploy {
    /// Reads a deploy; `None` when the Secret is none of one.
    pub fn read(secret: core::Secret) -> Option<Self> {
        let metadata = secret.metadata;
        let number = value(metadata.labels.as_ref(), DEPLOY)?.parse().ok()?;
        let release = value(metadata.annotations.as_ref(), RELEASE)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let values = secret.data.unwrap_or_default().into_iter();
        Some(Self {
            number,
            secret: metadata.name?,
            kept: Kept {
                release: serde_json::from_str(release).ok()?,
                values: values
                    .map(|(name, bytes)| (name, Secret::new(text(bytes.0))))
                    .collect(),
            },
            outcome: value(metadata.annotations.as_ref(), super::manifest::OUTCOME)
                .map(str::to_owned),
            at: metadata
                .creation_timestamp
                .map(|time| time.0.as_millisecond()),
        })
    }
}

/// What is there under a name.
#[derive(Default)]
pub(super) struct Found {
    pub workload: Option<(Kind, Workload)>,
    pub service: Option<core::Service>,
    pub ingress: Option<Ingress>,
    /// Newest first.
    pub deploys: Vec<Deploy>,
    /// GiB of the database that was made beside it.
    pub database: Option<u32>,
    /// Claims of its volume that were left behind.
    pub claims: usize,
}

impl Found {
    /// Whether something of ours is there.
    pub fn has_parts(&self) -> bool {
        let ours = |metadata: Option<&ObjectMeta>| metadata.is_some_and(is_ours);
        !self.deploys.is_empty()
            || self.database.is_some()
            || ours(self.service.as_ref().map(|one| &one.metadata))
            || ours(self.ingress.as_ref().map(|one| &one.metadata))
            || (self.workload.is_none() && self.claims > 0)
    }

    pub fn deploy(&self, number: u64) -> Option<&Deploy> {
        self.deploys.iter().find(|deploy| deploy.number == number)
    }

    /// The number that a deploy gets. One that was prepared and that nothing runs yet is it, so
    /// that asking twice does not make two.
    pub fn next(&self, kept: &Kept) -> u64 {
        let running = self
            .workload
            .as_ref()
            .and_then(|(_, workload)| workload.deploy());
        match self.deploys.first() {
            Some(last) if Some(last.number) != running && last.kept.is_same(kept) => last.number,
            Some(last) => last.number.max(running.unwrap_or(0)) + 1,
            None => running.unwrap_or(0) + 1,
        }
    }

    /// Where its data are.
    pub fn data(&self) -> Data {
        let volume = self
            .workload
            .as_ref()
            .and_then(|(_, workload)| workload.volume());
        match (volume, self.database) {
            (Some(gib), _) => Data::Volume { gib },
            (None, Some(gib)) => Data::InCluster { gib },
            (None, None) => Data::Elsewhere,
        }
    }

    /// The variables that the app is set to run with.
    pub fn variables(&self) -> BTreeMap<String, Option<Secret>> {
        let Some((_, workload)) = &self.workload else {
            return BTreeMap::new();
        };
        let env = workload.container().and_then(|one| one.env.as_ref());
        let read = |variable: &core::EnvVar| {
            let from = variable.value_from.as_ref();
            let from = from.and_then(|from| from.secret_key_ref.as_ref());
            match from {
                None if variable.value_from.is_some() => None,
                None => {
                    let text = variable.value.as_deref().unwrap_or_default();
                    Some(Secret::new(unescaped(text)))
                }
                Some(from) => {
                    let named = |deploy: &&Deploy| deploy.secret == from.name;
                    let deploy = self.deploys.iter().find(named)?;
                    deploy.kept.values.get(&from.key).cloned()
                }
            }
        };
        let env = env.into_iter().flatten();
        env.map(|variable| (variable.name.clone(), read(variable)))
            .collect()
    }

    /// The variables of the deploy in use that somebody has written in another form since: a
    /// text for a reference to a Secret, or the other way round.
    pub fn rewritten(&self) -> BTreeSet<String> {
        let workload = self.workload.as_ref().map(|(_, workload)| workload);
        let number = workload.and_then(Workload::deploy);
        let Some(deploy) = number.and_then(|number| self.deploy(number)) else {
            return BTreeSet::new();
        };
        let names = deploy.kept.names();
        let container = workload.and_then(Workload::container);
        let env = container.and_then(|one| one.env.as_ref()).into_iter();
        env.flatten()
            .filter(|variable| names.contains(&variable.name))
            .filter(|variable| {
                let is_plain = deploy.kept.release.plain.contains(&variable.name);
                is_plain == variable.value_from.is_some()
            })
            .map(|variable| variable.name.clone())
            .collect()
    }

    /// Whether the console has taken the ingress away from its controller.
    pub fn is_ingress_paused(&self) -> bool {
        let annotations = self
            .ingress
            .as_ref()
            .and_then(|one| one.metadata.annotations.as_ref());
        value(annotations, CLASS) == Some(PAUSED_CLASS)
    }
}

/// The number of the deploy that a pod belongs to.
pub(super) fn deploy_of(pod: &Pod) -> Option<u64> {
    value(pod.metadata.annotations.as_ref(), DEPLOY)?
        .parse()
        .ok()
}

/// Whether a name of a certificate is good for a host: it is it, or `*.` and its domain.
pub(super) fn covers(named: &str, host: &str) -> bool {
    let domain = host.split_once('.').map(|(_, domain)| domain);
    named == host || (domain.is_some() && named.strip_prefix("*.") == domain)
}

/// The host of an ingress, whether it answers with TLS, and the port where its load balancer
/// says one.
pub(super) fn address(ingress: &Ingress) -> Option<(String, String)> {
    let spec = ingress.spec.as_ref()?;
    let host = spec
        .rules
        .as_ref()?
        .iter()
        .find_map(|rule| rule.host.clone())?;
    let is_tls = spec.tls.iter().flatten().any(|tls| {
        let mut hosts = tls.hosts.iter().flatten();
        hosts.any(|named| covers(named, &host))
    });
    let (scheme, usual) = match is_tls {
        true => ("https", 443),
        false => ("http", 80),
    };
    let balancer = ingress
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let ports: Vec<i32> = balancer
        .and_then(|balancer| balancer.ingress.as_ref())
        .into_iter()
        .flatten()
        .flat_map(|one| one.ports.iter().flatten())
        .map(|port| port.port)
        .collect();
    let port = match ports.first() {
        Some(first) if !ports.contains(&usual) => format!(":{first}"),
        _ => String::new(),
    };
    Some((format!("{scheme}://{host}{port}"), host))
}

/// An object without its type, for a patch.
pub(super) fn base64_data(values: &BTreeMap<String, Secret>) -> Json {
    use base64::Engine as _;
    let encode = |secret: &Secret| base64::prelude::BASE64_STANDARD.encode(secret.expose());
    values
        .iter()
        .map(|(name, value)| (name.clone(), Json::from(encode(value))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_read_in_every_unit_and_never_wraps() {
        for (text, expected) in [
            ("3Gi", Some(3)),
            ("1Ti", Some(1024)),
            ("1024Mi", Some(1)),
            ("2147483648", Some(2)),
            ("5G", Some(4)),
            ("1.5Gi", None),
            ("99999999999Ti", None),
            ("Gi", None),
            ("", None),
        ] {
            assert_eq!(gib(text), expected, "{text}");
        }
    }
}
