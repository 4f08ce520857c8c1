//! A MySQL beside the app, by KubeBlocks, which ClawCloud Run and Sealos have: in the form of
//! ClawCloud's Run-Template (`template-guidance.md`), so it is in the console, too.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{ACCOUNTS, DATABASES, How, Kind, Namespace, ROLE_BINDINGS, ROLES, SECRETS};
use super::dialect::Dialect;
use super::manifest::{MARK, database_name};
use super::model::{gib, is_ours};
use crate::provider::{ProviderError, Result};

/// What a database says of itself.
#[derive(Deserialize)]
pub(super) struct Cluster {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

impl Cluster {
    /// Whether it was made for an app of ours.
    pub fn is_ours(&self) -> bool {
        is_ours(&self.metadata)
    }

    /// GiB of its disk.
    pub fn gib(&self) -> Option<u32> {
        let claim = &self.spec["componentSpecs"][0]["volumeClaimTemplates"][0];
        gib(claim["spec"]["resources"]["requests"]["storage"].as_str()?)
    }
}

/// The kinds of objects that a database consists of, in the order in which they are deleted.
pub(super) const PARTS: [Kind; 4] = [DATABASES, ROLE_BINDINGS, ROLES, ACCOUNTS];

fn objects(app: &str, place: &str, dialect: &Dialect, size: u32) -> [(Kind, Value); 4] {
    let name = database_name(app);
    let mut labels = Map::new();
    for (label, value) in [
        ("app", app),
        (dialect.database_label, &*name),
        ("app.kubernetes.io/instance", &*name),
        (MARK, super::MANAGER),
    ] {
        labels.insert(label.to_owned(), json!(value));
    }
    let object = |kind: Kind| {
        json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": { "name": name, "namespace": place, "labels": labels },
        })
    };
    let mut role = object(ROLES);
    // The guidance has it so: KubeBlocks' programs in the pod look after it themselves.
    role["rules"] = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    let mut binding = object(ROLE_BINDINGS);
    binding["roleRef"] = json!({ "apiGroup": ROLES.group, "kind": ROLES.kind, "name": name });
    binding["subjects"] = json!([{ "kind": ACCOUNTS.kind, "name": name, "namespace": place }]);
    let mut cluster = object(DATABASES);
    let kept = &mut cluster["metadata"];
    kept["finalizers"] = json!(["cluster.kubeblocks.io/finalizer"]);
    kept["labels"]["clusterdefinition.kubeblocks.io/name"] = json!("apecloud-mysql");
    kept["labels"]["clusterversion.kubeblocks.io/name"] = json!("ac-mysql-8.0.30");
    cluster["spec"] = json!({
        "affinity": {
            "podAntiAffinity": "Preferred", "tenancy": "SharedNode",
            "nodeLabels": {}, "topologyKeys": [],
        },
        "clusterDefinitionRef": "apecloud-mysql",
        "clusterVersionRef": "ac-mysql-8.0.30",
        "componentSpecs": [{
            "componentDefRef": "mysql",
            "name": "mysql",
            "monitor": true,
            "replicas": 1,
            "serviceAccountName": name,
            "resources": {
                "limits": { "cpu": "500m", "memory": "512Mi" },
                "requests": { "cpu": "50m", "memory": "51Mi" },
            },
            "volumeClaimTemplates": [{
                "name": "data",
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": format!("{size}Gi") } },
                },
            }],
        }],
        // With its data, when it is deleted.
        "terminationPolicy": "Delete",
        "tolerations": [],
    });
    [
        (ACCOUNTS, object(ACCOUNTS)),
        (ROLES, role),
        (ROLE_BINDINGS, binding),
        (DATABASES, cluster),
    ]
}

/// Makes it; true when it can be used now.
pub(super) async fn create(
    place: &Namespace,
    app: &str,
    dialect: &Dialect,
    size: u32,
) -> Result<bool> {
    let name = database_name(app);
    let there: Option<Cluster> = place.get(DATABASES, &name).await?;
    if there.as_ref().is_some_and(|there| !there.is_ours()) {
        return Err(ProviderError::Conflict(format!(
            "There is a database {name} already that was not made here. Delete it in the \
             console, or choose another name for the app."
        )));
    }
    let parts = objects(app, &place.name, dialect, size);
    let how = How {
        manager: super::MANAGER,
        force: false,
        dry: true,
    };
    if there.is_none() {
        // What a quota refuses is refused before anything is made.
        for (kind, part) in &parts {
            place.apply(*kind, part, how).await?;
        }
        // The database itself comes last. Once it is there, it is its owner's: consoles
        // enlarge it and change its limits.
        for (kind, part) in &parts {
            place.apply(*kind, part, How { dry: false, ..how }).await?;
        }
    }
    let there: Option<Cluster> = place.get(DATABASES, &name).await?;
    match there.map(|there| there.status.phase).as_deref() {
        Some("Running") => {
            let secret = format!("{name}-conn-credential");
            Ok(place.get::<Value>(SECRETS, &secret).await?.is_some())
        }
        Some("Failed") => Err(ProviderError::Refused(format!(
            "The database {name} could not be started. Its page in the console says why; delete \
             it there, and apply again."
        ))),
        _ => Ok(false),
    }
}
