//! The objects of an app as they should be, in the form in which App Launchpad writes and finds
//! them (`deployYaml2Json.ts` of labring/sealos): so the app is in the console, too.
//!
//! Secrets are written as `data`: with `stringData`, Kubernetes up to 1.20 notes the wrong
//! field as ours.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::api::{DEPLOYMENTS, INGRESSES, Kind, PODS, SECRETS, SERVICES, STATEFUL_SETS};
use super::dialect::{CLASS, Dialect, INGRESS_CLASS, PAUSED_CLASS};
use super::model::{Kept, Workload, base64_data};
use super::offer;
use crate::provider::{HEALTH_PATH, PORT, ProviderError, Result};
use crate::variables::DATA_DIR;

/// The label that says who made an object.
pub(super) const MARK: &str = "app.kubernetes.io/managed-by";
/// The label and annotation with the number of a deploy.
pub(super) const DEPLOY: &str = "gemini-balance/deploy";
/// The annotation with what a deploy runs.
pub(super) const RELEASE: &str = "gemini-balance/release";
/// The annotation with how a deploy came out.
pub(super) const OUTCOME: &str = "gemini-balance/outcome";
/// The annotation that changes with every restart.
pub(super) const RESTARTED: &str = "gemini-balance/restarted";
/// The volume with the data. App Launchpad calls a volume at /data so.
const VOLUME: &str = "vn-data";
/// The user of our image.
const USER: u32 = 65532;
/// The largest body that the ingress lets through: audio and images are sent as JSON.
const LARGEST_BODY: &str = "32m";
/// Seconds that a stream may be silent.
const LONGEST_SILENCE: &str = "600";

/// What the objects of an app are made of.
pub(super) struct App<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub dialect: &'static Dialect,
    pub kept: &'a Kept,
    /// The number of its deploy.
    pub number: u64,
    /// The program of the original, which needs other rights than ours.
    pub is_original: bool,
    /// GiB of its volume.
    pub volume: Option<u32>,
    /// The workload that is there, whose selector and container keep their names.
    pub there: Option<(Kind, &'a Workload)>,
    /// What its service is called.
    pub service: &'a str,
    /// Where it answers.
    pub way: &'a Way,
}

/// Where an app answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// What its ingress is called.
    pub ingress: String,
    /// Its host.
    pub host: String,
    /// The Secret with the host's certificate; `None`: without TLS.
    pub certificate: Option<String>,
    /// By which class its controller is found: as an annotation, or as a field.
    pub class: Class,
    /// Who gets a certificate for it, as an annotation.
    pub issuer: Option<(String, String)>,
}

/// How an ingress says whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// By the annotation that came first; consoles use it.
    Annotation(String),
    /// By `ingressClassName`.
    Field(String),
    /// By nothing: the cluster's default.
    Usual,
}

/// The Secret of a deploy.
pub(super) fn secret_name(app: &str, number: u64) -> String {
    format!("{app}-deploy-{number}")
}

/// The database beside an app.
pub(super) fn database_name(app: &str) -> String {
    format!("{app}-mysql")
}

/// `$` has a meaning in the values of a pod's variables (`$(NAME)`), and `$$` is a dollar.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// The same the other way round.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

impl App<'_> {
    fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert("app".to_owned(), json!(self.name));
        labels.insert(self.dialect.app_label.to_owned(), json!(self.name));
        labels.insert(MARK.to_owned(), json!(super::MANAGER));
        labels
    }

    fn metadata(&self, name: &str, annotations: Value) -> Value {
        json!({
            "name": name, "namespace": self.namespace,
            "labels": self.labels(), "annotations": annotations,
        })
    }

    fn object(&self, kind: Kind, name: &str, annotations: Value) -> Value {
        json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": self.metadata(name, annotations),
        })
    }

    /// The deploy as it is kept.
    pub fn secret(&self) -> Result<(Kind, Value)> {
        let release = serde_json::to_string(&self.kept.release)
            .map_err(|error| ProviderError::Unexpected(error.to_string()))?;
        let name = secret_name(self.name, self.number);
        let mut secret = self.object(SECRETS, &name, json!({ RELEASE: release }));
        secret["metadata"]["labels"][DEPLOY] = json!(self.number.to_string());
        secret["type"] = json!("Opaque");
        secret["data"] = base64_data(&self.kept.values);
        Ok((SECRETS, secret))
    }

    pub fn service(&self) -> (Kind, Value) {
        let mut service = self.object(SERVICES, self.service, json!({}));
        service["spec"] = json!({
            "ports": [{ "name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP" }],
            "selector": self.selector(),
        });
        (SERVICES, service)
    }

    pub fn ingress(&self, is_paused: bool) -> (Kind, Value) {
        let way = self.way;
        let mut annotations = json!({
            "nginx.ingress.kubernetes.io/proxy-body-size": LARGEST_BODY,
            "nginx.ingress.kubernetes.io/backend-protocol": "HTTP",
            "nginx.ingress.kubernetes.io/ssl-redirect": "false",
            "nginx.ingress.kubernetes.io/client-body-buffer-size": "64k",
            "nginx.ingress.kubernetes.io/proxy-buffer-size": "64k",
            "nginx.ingress.kubernetes.io/proxy-send-timeout": LONGEST_SILENCE,
            "nginx.ingress.kubernetes.io/proxy-read-timeout": LONGEST_SILENCE,
        });
        if let Class::Annotation(class) = &way.class {
            annotations[CLASS] = match is_paused {
                true => json!(PAUSED_CLASS),
                false => json!(class),
            };
        }
        if let Some((annotation, issuer)) = &way.issuer {
            annotations[annotation] = json!(issuer);
        }
        let mut ingress = self.object(INGRESSES, &way.ingress, annotations);
        if let Some(label) = self.dialect.domain_label {
            let front = way.host.split('.').next().unwrap_or_default();
            ingress["metadata"]["labels"][label] = json!(front);
        }
        let backend = json!({ "service": { "name": self.service, "port": { "number": PORT } } });
        ingress["spec"] = json!({
            "rules": [{
                "host": way.host,
                "http": { "paths": [{ "pathType": "Prefix", "path": "/", "backend": backend }] },
            }],
        });
        if let Class::Field(class) = &way.class {
            ingress["spec"]["ingressClassName"] = json!(class);
        }
        if let Some(certificate) = &way.certificate {
            ingress["spec"]["tls"] = json!([{ "hosts": [way.host], "secretName": certificate }]);
        }
        (INGRESSES, ingress)
    }

    /// What the pods are found by: never changed once they are there.
    fn selector(&self) -> BTreeMap<String, String> {
        self.there
            .and_then(|(_, there)| there.spec.selector.match_labels.clone())
            .unwrap_or_else(|| BTreeMap::from([("app".to_owned(), self.name.to_owned())]))
    }

    fn container_name(&self) -> &str {
        let there = self.there.and_then(|(_, there)| there.container());
        there.map_or(self.name, |container| container.name.as_str())
    }

    fn environment(&self) -> Vec<Value> {
        let secret = secret_name(self.name, self.number);
        let database = format!("{}-conn-credential", database_name(self.name));
        let from = |name: &str, secret: &str, key: &str| {
            let key = json!({ "name": secret, "key": key });
            json!({ "name": name, "valueFrom": { "secretKeyRef": key } })
        };
        let values = self.kept.values.iter();
        let mut all: Vec<Value> = values
            .map(
                |(name, value)| match self.kept.release.plain.contains(name) {
                    true => json!({ "name": name, "value": escaped(value.expose()) }),
                    false => from(name, &secret, name),
                },
            )
            .collect();
        let parts = self.kept.release.database.iter();
        all.extend(parts.map(|(name, key)| from(name, &database, key)));
        all
    }

    fn pod(&self) -> Result<Value> {
        let release = &self.kept.release;
        let probe = |more: Value| {
            let mut probe = json!({
                "httpGet": { "path": HEALTH_PATH, "port": PORT }, "timeoutSeconds": 5,
            });
            if let (Value::Object(probe), Value::Object(more)) = (&mut probe, more) {
                probe.extend(more);
            }
            probe
        };
        let resources = offer::resources(release.plan.as_deref(), self.is_original);
        let resources = resources.ok_or_else(|| {
            let plan = release.plan.as_deref().unwrap_or_default();
            ProviderError::Refused(format!(
                "There is no size {plan}. Choose small, medium or large."
            ))
        })?;
        let mut container = json!({
            "name": self.container_name(),
            "image": release.image,
            // It is named by its content, so what the node has is right.
            "imagePullPolicy": "IfNotPresent",
            "env": self.environment(),
            "ports": [{ "name": "http", "containerPort": PORT }],
            "resources": resources,
            // The original takes its time, and a first start makes tables.
            "startupProbe": probe(json!({ "periodSeconds": 2, "failureThreshold": 90 })),
            "readinessProbe": probe(json!({ "periodSeconds": 5, "failureThreshold": 3 })),
            "livenessProbe": probe(json!({ "periodSeconds": 30, "failureThreshold": 5 })),
        });
        let mut spec = json!({
            "automountServiceAccountToken": false,
            // Services of the namespace would make variables such as MYSQL_PORT.
            "enableServiceLinks": false,
        });
        // The original runs as root and writes beside its program.
        if !self.is_original {
            container["securityContext"] = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            });
            container["volumeMounts"] = json!([{ "name": VOLUME, "mountPath": DATA_DIR }]);
            spec["securityContext"] = json!({
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "seccompProfile": { "type": "RuntimeDefault" },
            });
            if self.volume.is_none() {
                spec["volumes"] = json!([{ "name": VOLUME, "emptyDir": { "sizeLimit": "1Gi" } }]);
            }
        }
        spec["containers"] = json!([container]);
        Ok(spec)
    }

    fn claim(&self, gib: u32) -> Value {
        json!({
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": format!("{gib}Gi") } },
        })
    }

    /// The Deployment, or the StatefulSet where there is a volume: SQLite must never be opened
    /// by two.
    ///
    /// How many replicas there are is left out: that is for whoever stops and starts it.
    pub fn workload(&self) -> Result<(Kind, Value)> {
        let kind = self.kind();
        let mut annotations = json!({ "originImageName": self.kept.release.image_tag });
        for name in self.dialect.replicas.into_iter().flatten() {
            annotations[name] = json!("1");
        }
        let mut workload = self.object(kind, self.name, annotations);
        let mut labels = self.labels();
        labels.extend(self.selector().into_iter().map(|(k, v)| (k, json!(v))));
        workload["spec"] = json!({
            // A deploy is kept as a Secret; these are of no further use.
            "revisionHistoryLimit": 1,
            "selector": { "matchLabels": self.selector() },
            "template": {
                "metadata": {
                    "labels": labels, "annotations": { DEPLOY: self.number.to_string() },
                },
                "spec": self.pod()?,
            },
        });
        let spec = &mut workload["spec"];
        match self.volume {
            None if kind == DEPLOYMENTS => {
                spec["strategy"] = json!({
                    "type": "RollingUpdate",
                    "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 },
                });
            }
            None => spec["serviceName"] = json!(self.governor()),
            Some(gib) => {
                spec["serviceName"] = json!(self.governor());
                spec["volumeClaimTemplates"] = json!([{
                    "metadata": {
                        "name": VOLUME,
                        "labels": self.labels(),
                        "annotations": { "path": DATA_DIR, "value": gib.to_string() },
                    },
                    "spec": self.claim(gib),
                }]);
            }
        }
        Ok((kind, workload))
    }

    /// The service that a StatefulSet names; it cannot be changed.
    fn governor(&self) -> &str {
        let there = self
            .there
            .and_then(|(_, there)| there.spec.service_name.as_deref());
        there.unwrap_or(self.service)
    }

    fn kind(&self) -> Kind {
        match (self.there, self.volume) {
            (Some((kind, _)), _) => kind,
            (None, Some(_)) => STATEFUL_SETS,
            (None, None) => DEPLOYMENTS,
        }
    }

    /// A pod as the cluster will make one, to ask whether it may.
    pub fn sample_pod(&self) -> Result<(Kind, Value)> {
        let mut pod = self.object(PODS, &format!("{}-check", self.name), json!({}));
        let mut spec = self.pod()?;
        if self.volume.is_some() {
            // Its claim is made together with it.
            spec["volumes"] = json!([{ "name": VOLUME, "emptyDir": {} }]);
        }
        pod["spec"] = spec;
        Ok((PODS, pod))
    }

    /// The workload as a strategic patch after which it has no variables but these.
    pub fn only_these_variables(workload: &Value) -> Value {
        let mut patch = workload.clone();
        let env = &mut patch["spec"]["template"]["spec"]["containers"][0]["env"];
        if let Value::Array(env) = env {
            env.insert(0, json!({ "$patch": "replace" }));
        }
        patch
    }

    /// The claim that the cluster will make, to ask whether it may.
    pub fn sample_claim(&self) -> Option<(Kind, Value)> {
        let gib = self.volume?;
        let kind = super::api::CLAIMS;
        let mut claim = self.object(kind, &format!("{VOLUME}-{}-0", self.name), json!({}));
        claim["spec"] = self.claim(gib);
        Some((kind, claim))
    }
}

/// The ingress class of consoles.
pub(super) fn console_class() -> Class {
    Class::Annotation(INGRESS_CLASS.to_owned())
}
