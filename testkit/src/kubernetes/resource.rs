//! Which resources there are: one table, from which discovery, routing and the checks of
//! bodies come.

use k8s_openapi::api::{apps, autoscaling, core, networking, rbac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Dialect;

/// Reads an object as its type and writes it again: what the type does not have is then
/// missing.
type RoundTrip = fn(&Value) -> Result<Value, serde_json::Error>;

/// A resource.
#[derive(Debug)]
pub(super) struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    short: &'static [&'static str],
    pub namespaced: bool,
    /// `spec` and `status` are apart: an ordinary write leaves `status` as it is.
    pub status: bool,
    pub scale: bool,
    /// `None` for custom resources that keep unknown fields.
    pub round_trip: Option<RoundTrip>,
    /// Which clouds have it.
    offered: Offered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offered {
    Everywhere,
    By(Dialect),
    /// By those with databases of KubeBlocks and certificates of cert-manager.
    ByClouds,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.plural == other.plural && self.group == other.group
    }
}

impl Kind {
    /// `deployments.apps`, as messages name it.
    pub fn id(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether `metadata.generation` counts the changes of the rest.
    pub fn has_generation(&self) -> bool {
        matches!(
            self.plural,
            "deployments" | "statefulsets" | "replicasets" | "ingresses" | "clusters"
        )
    }

    fn is_offered(&self, dialect: Dialect) -> bool {
        match self.offered {
            Offered::Everywhere => true,
            Offered::By(one) => one == dialect,
            Offered::ByClouds => dialect != Dialect::Plain,
        }
    }
}

fn typed<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(T::deserialize(object)?)
}

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    round_trip: Option<RoundTrip>,
) -> Kind {
    Kind {
        group,
        version,
        kind,
        plural,
        short,
        namespaced: true,
        status: false,
        scale: false,
        round_trip,
        offered: Offered::Everywhere,
    }
}

impl Kind {
    const fn with_status(self) -> Self {
        Self {
            status: true,
            ..self
        }
    }

    const fn with_scale(self) -> Self {
        Self {
            scale: true,
            ..self
        }
    }

    const fn of_cluster(self) -> Self {
        Self {
            namespaced: false,
            ..self
        }
    }

    const fn offered(self, offered: Offered) -> Self {
        Self { offered, ..self }
    }
}

const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

static KINDS: [Kind; 25] = [
    kind(
        "",
        "v1",
        "Namespace",
        "namespaces",
        &["ns"],
        Some(typed::<core::v1::Namespace>),
    )
    .of_cluster()
    .with_status(),
    kind(
        "",
        "v1",
        "Node",
        "nodes",
        &["no"],
        Some(typed::<core::v1::Node>),
    )
    .of_cluster()
    .with_status(),
    kind(
        "",
        "v1",
        "Pod",
        "pods",
        &["po"],
        Some(typed::<core::v1::Pod>),
    )
    .with_status(),
    kind(
        "",
        "v1",
        "Service",
        "services",
        &["svc"],
        Some(typed::<core::v1::Service>),
    )
    .with_status(),
    kind(
        "",
        "v1",
        "Secret",
        "secrets",
        &[],
        Some(typed::<core::v1::Secret>),
    ),
    kind(
        "",
        "v1",
        "ConfigMap",
        "configmaps",
        &["cm"],
        Some(typed::<core::v1::ConfigMap>),
    ),
    kind(
        "",
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        &["pvc"],
        Some(typed::<core::v1::PersistentVolumeClaim>),
    )
    .with_status(),
    kind(
        "",
        "v1",
        "Event",
        "events",
        &["ev"],
        Some(typed::<core::v1::Event>),
    ),
    kind(
        "",
        "v1",
        "ResourceQuota",
        "resourcequotas",
        &["quota"],
        Some(typed::<core::v1::ResourceQuota>),
    )
    .with_status(),
    kind(
        "",
        "v1",
        "LimitRange",
        "limitranges",
        &["limits"],
        Some(typed::<core::v1::LimitRange>),
    ),
    kind(
        "",
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        &["sa"],
        Some(typed::<core::v1::ServiceAccount>),
    ),
    kind(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        &["deploy"],
        Some(typed::<apps::v1::Deployment>),
    )
    .with_status()
    .with_scale(),
    kind(
        "apps",
        "v1",
        "StatefulSet",
        "statefulsets",
        &["sts"],
        Some(typed::<apps::v1::StatefulSet>),
    )
    .with_status()
    .with_scale(),
    kind(
        "apps",
        "v1",
        "ReplicaSet",
        "replicasets",
        &["rs"],
        Some(typed::<apps::v1::ReplicaSet>),
    )
    .with_status()
    .with_scale(),
    kind(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        &["hpa"],
        Some(typed::<autoscaling::v2::HorizontalPodAutoscaler>),
    )
    .with_status(),
    kind(
        NETWORKING,
        "v1",
        "Ingress",
        "ingresses",
        &["ing"],
        Some(typed::<networking::v1::Ingress>),
    )
    .with_status(),
    kind(
        RBAC,
        "v1",
        "Role",
        "roles",
        &[],
        Some(typed::<rbac::v1::Role>),
    ),
    kind(
        RBAC,
        "v1",
        "RoleBinding",
        "rolebindings",
        &[],
        Some(typed::<rbac::v1::RoleBinding>),
    ),
    kind(
        "apps.kubeblocks.io",
        "v1alpha1",
        "Cluster",
        "clusters",
        &[],
        None,
    )
    .with_status()
    .offered(Offered::ByClouds),
    kind("cert-manager.io", "v1", "Issuer", "issuers", &[], None)
        .with_status()
        .offered(Offered::ByClouds),
    kind(
        "cert-manager.io",
        "v1",
        "Certificate",
        "certificates",
        &["cert"],
        None,
    )
    .with_status()
    .offered(Offered::ByClouds),
    kind("app.claw.cloud", "v1", "App", "apps", &[], None).offered(Offered::By(Dialect::ClawCloud)),
    kind("app.claw.cloud", "v1", "Template", "templates", &[], None)
        .offered(Offered::By(Dialect::ClawCloud)),
    kind("app.sealos.io", "v1", "App", "apps", &[], None).offered(Offered::By(Dialect::Sealos)),
    kind("app.sealos.io", "v1", "Template", "templates", &[], None)
        .offered(Offered::By(Dialect::Sealos)),
];

/// Groups whose resources are questions and not objects.
const QUESTIONS: [(&str, &str, &str); 3] = [
    (
        "authentication.k8s.io",
        "SelfSubjectReview",
        "selfsubjectreviews",
    ),
    (
        "authorization.k8s.io",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
    ),
    (
        "authorization.k8s.io",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
    ),
];

/// The resources that a cloud has.
pub(super) fn offered(dialect: Dialect) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| kind.is_offered(dialect))
}

/// The resource at `/apis/{group}/{version}/{plural}`.
pub(super) fn find(
    dialect: Dialect,
    group: &str,
    version: &str,
    plural: &str,
) -> Option<&'static Kind> {
    offered(dialect)
        .find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural))
}

/// The resource of this name in whatever version, e.g. `pods` or `deployments.apps`.
pub(super) fn by_id(id: &str) -> Option<&'static Kind> {
    let (plural, group) = id.split_once('.').unwrap_or((id, ""));
    KINDS
        .iter()
        .find(|kind| kind.plural == plural && kind.group == group)
}

/// The resource that an object says it is.
pub(super) fn of_object(api_version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|one| one.kind == kind && one.api_version() == api_version)
}

/// `GET /api`.
pub(super) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// The groups with their versions, in the server's order.
fn groups(dialect: Dialect) -> Vec<(&'static str, &'static str)> {
    let mut groups = Vec::new();
    let objects = offered(dialect).map(|kind| (kind.group, kind.version));
    let questions = QUESTIONS.iter().map(|(group, ..)| (*group, "v1"));
    for group in objects.chain(questions) {
        if !group.0.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// `GET /apis`.
pub(super) fn group_list(dialect: Dialect) -> Value {
    let groups: Vec<Value> = groups(dialect)
        .into_iter()
        .map(|(group, version)| group_object(group, version))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_object(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// `GET /apis/{group}`.
pub(super) fn group(dialect: Dialect, name: &str) -> Option<Value> {
    let (group, version) = groups(dialect)
        .into_iter()
        .find(|(group, _)| *group == name)?;
    let mut object = group_object(group, version);
    object["kind"] = json!("APIGroup");
    object["apiVersion"] = json!("v1");
    Some(object)
}

/// `GET /api/v1` and `GET /apis/{group}/{version}`.
pub(super) fn resource_list(dialect: Dialect, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in offered(dialect).filter(|kind| (kind.group, kind.version) == (group, version)) {
        let mut verbs = vec![
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ];
        if kind.plural == "namespaces" {
            verbs.retain(|verb| *verb != "deletecollection");
        }
        let singular = kind.kind.to_lowercase();
        let mut entry = json!({
            "name": kind.plural,
            "singularName": singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": verbs,
        });
        if !kind.short.is_empty() {
            entry["shortNames"] = json!(kind.short);
        }
        resources.push(entry);
        let sub = |name: &str, of: &str, verbs: Value| {
            json!({
                "name": format!("{}/{name}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": of,
                "verbs": verbs,
            })
        };
        if kind.status {
            resources.push(sub("status", kind.kind, json!(["get", "patch", "update"])));
        }
        if kind.scale {
            let mut scale = sub("scale", "Scale", json!(["get", "patch", "update"]));
            scale["group"] = json!("autoscaling");
            scale["version"] = json!("v1");
            resources.push(scale);
        }
        if kind.plural == "pods" {
            resources.push(sub("log", "Pod", json!(["get"])));
        }
    }
    for (of_group, kind, plural) in QUESTIONS {
        if (of_group, "v1") == (group, version) {
            resources.push(json!({
                "name": plural,
                "singularName": kind.to_lowercase(),
                "namespaced": false,
                "kind": kind,
                "verbs": ["create"],
            }));
        }
    }
    if resources.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }))
}

/// `GET /api` and `GET /apis` for those who want everything at once.
pub(super) fn aggregated(dialect: Dialect, core: bool) -> Value {
    let groups = if core {
        vec![("", "v1")]
    } else {
        groups(dialect)
    };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, version)| {
            let list = resource_list(dialect, group, version).unwrap_or_default();
            let mut resources: Vec<Value> = Vec::new();
            for one in list["resources"].as_array().into_iter().flatten() {
                let (name, sub) = match one["name"].as_str().and_then(|it| it.split_once('/')) {
                    Some((_, sub)) => (sub, true),
                    None => (one["name"].as_str().unwrap_or_default(), false),
                };
                let kind = json!({
                    "group": one["group"].as_str().unwrap_or(group),
                    "version": one["version"].as_str().unwrap_or(version),
                    "kind": one["kind"],
                });
                if sub {
                    let entry =
                        json!({"subresource": name, "responseKind": kind, "verbs": one["verbs"]});
                    if let Some(of) = resources.last_mut() {
                        let mut all = of["subresources"].as_array().cloned().unwrap_or_default();
                        all.push(entry);
                        of["subresources"] = json!(all);
                    }
                    continue;
                }
                let scope = if one["namespaced"] == true {
                    "Namespaced"
                } else {
                    "Cluster"
                };
                resources.push(json!({
                    "resource": name,
                    "responseKind": kind,
                    "scope": scope,
                    "singularResource": one["singularName"],
                    "verbs": one["verbs"],
                    "shortNames": one["shortNames"].as_array().cloned().unwrap_or_default(),
                }));
            }
            json!({
                "metadata": {"name": group, "creationTimestamp": null},
                "versions": [
                    {"version": version, "resources": resources, "freshness": "Current"},
                ],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

/// The fields that the type of this object does not have, e.g. `spec.replica`.
///
/// # Errors
/// When a field has the wrong type.
pub(super) fn unknown_fields(kind: &Kind, object: &Value) -> Result<Vec<String>, String> {
    let Some(round_trip) = kind.round_trip else {
        return Ok(Vec::new());
    };
    let known = round_trip(object).map_err(|error| error.to_string())?;
    let mut unknown = Vec::new();
    compare(object, &known, "", &mut unknown);
    Ok(unknown)
}

fn compare(given: &Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                if value.is_null() {
                    continue;
                }
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                // managedFields[].fieldsV1 is opaque, and times are written in another way.
                match known.get(name) {
                    Some(known) => compare(value, known, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (i, (given, known)) in given.iter().zip(known).enumerate() {
                compare(given, known, &format!("{path}[{i}]"), unknown);
            }
        }
        _ => {}
    }
}
