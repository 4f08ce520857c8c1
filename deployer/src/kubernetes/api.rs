//! Objects of one namespace, by the API server's REST.
//!
//! What comes out of here, errors included, never holds the kubeconfig's secrets.
//!
//! Deliberately absent: trying again, which whoever calls does, and watches, because a run asks
//! every few seconds anyway and may be broken off at any time.

use std::error::Error as _;
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroupList;
use kube::client::Body;
use kube::core::params::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::response::Status;
use kube::core::subresource::LogParams;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vault::Secret;

use super::kubeconfig::Access;
use crate::http::{cut, pause};
use crate::provider::{ProviderError, Result};
use crate::run::scrub;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 8 * 1024 * 1024;
/// The longest that one question may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Objects asked for with one page of a list.
const PAGE: u32 = 250;

/// A kind of objects, as paths name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind {
        group,
        version,
        kind,
        plural,
    }
}

pub(super) const SECRETS: Kind = kind("", "v1", "Secret", "secrets");
pub(super) const SERVICES: Kind = kind("", "v1", "Service", "services");
pub(super) const PODS: Kind = kind("", "v1", "Pod", "pods");
pub(super) const CLAIMS: Kind = kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
pub(super) const EVENTS: Kind = kind("", "v1", "Event", "events");
pub(super) const QUOTAS: Kind = kind("", "v1", "ResourceQuota", "resourcequotas");
pub(super) const ACCOUNTS: Kind = kind("", "v1", "ServiceAccount", "serviceaccounts");
pub(super) const DEPLOYMENTS: Kind = kind("apps", "v1", "Deployment", "deployments");
pub(super) const STATEFUL_SETS: Kind = kind("apps", "v1", "StatefulSet", "statefulsets");
pub(super) const REPLICA_SETS: Kind = kind("apps", "v1", "ReplicaSet", "replicasets");
pub(super) const INGRESSES: Kind = kind("networking.k8s.io", "v1", "Ingress", "ingresses");
pub(super) const ROLES: Kind = kind("rbac.authorization.k8s.io", "v1", "Role", "roles");
pub(super) const ROLE_BINDINGS: Kind = kind(
    "rbac.authorization.k8s.io",
    "v1",
    "RoleBinding",
    "rolebindings",
);
/// KubeBlocks' databases.
pub(super) const DATABASES: Kind = kind("apps.kubeblocks.io", "v1alpha1", "Cluster", "clusters");
/// What pods use, where a metrics server tells.
pub(super) const POD_METRICS: Kind = kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods");

impl Kind {
    /// `apps/v1`.
    pub fn api_version(self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// How an object is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    /// Who is said to write: fields belong to whoever last wrote them.
    pub manager: &'a str,
    /// Takes fields that belong to somebody else.
    pub force: bool,
    /// Everything but the writing, quotas included.
    pub dry: bool,
}

/// The namespace of an account, for one errand: its connections belong to the runtime that it
/// was made on.
pub(super) struct Namespace {
    client: kube::Client,
    pub name: String,
    host: String,
    secrets: Vec<Secret>,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
    #[serde(default)]
    metadata: ListMeta,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    rest: String,
}

impl Namespace {
    /// Sets up connections.
    ///
    /// # Errors
    /// When a certificate or a key of the kubeconfig cannot be read.
    pub async fn of(access: &Access) -> Result<Self> {
        // Another part of the process may have installed the same provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let unusable = |error: kube::Error| {
            let why = format!("This kubeconfig cannot be used: {error}.");
            ProviderError::Refused(cut(&scrub(why, &access.secrets)))
        };
        let config = access.config().await?;
        Ok(Self {
            client: kube::Client::try_from(config).map_err(unusable)?,
            name: access.namespace.clone(),
            host: access.host.clone(),
            secrets: access.secrets.clone(),
        })
    }

    /// The groups of resources that the cluster has.
    pub async fn groups(&self) -> Result<APIGroupList> {
        self.ask(get("/apis".to_owned())).await
    }

    /// Asks about the caller's own rights.
    pub async fn review(&self, verb: &str, kind: Kind, subresource: &str) -> Result<bool> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": self.name, "verb": verb,
                "group": kind.group, "resource": kind.plural, "subresource": subresource,
            } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = kube::core::Request::new(path)
            .create(&PostParams::default(), body(&review)?)
            .map_err(unexpected)?;
        let answer: Value = self.ask(request).await?;
        Ok(answer["status"]["allowed"] == true)
    }

    /// One object; `None` when there is none.
    pub async fn get<T: DeserializeOwned>(&self, kind: Kind, name: &str) -> Result<Option<T>> {
        let request = self.at(kind).get(name, &GetParams::default());
        match self.ask(request.map_err(unexpected)?).await {
            Err(ProviderError::NotFound(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// All objects that the selector of labels fits.
    pub async fn list<T: DeserializeOwned>(&self, kind: Kind, labels: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        if !labels.is_empty() {
            params = params.labels(labels);
        }
        loop {
            let request = self.at(kind).list(&params).map_err(unexpected)?;
            let page: List<T> = self.ask(request).await?;
            all.extend(page.items);
            match page.metadata.rest {
                rest if rest.is_empty() => return Ok(all),
                rest => params = params.continue_token(&rest),
            }
        }
    }

    /// Makes an object what `manifest` says, as far as it says anything (server-side apply).
    pub async fn apply(&self, kind: Kind, manifest: &Value, how: How<'_>) -> Result<Value> {
        let mut params = PatchParams::apply(how.manager);
        params.force = how.force;
        params.dry_run = how.dry;
        let request = self
            .at(kind)
            .patch(name_of(manifest), &params, &Patch::Apply(manifest));
        match self.ask(request.map_err(unexpected)?).await {
            Err(error) if how.dry && is_untriable(&error) => Ok(manifest.clone()),
            applied => applied,
        }
    }

    /// Changes what `change` names, whoever it belongs to. A strategic patch knows which items
    /// of a list are the same.
    pub async fn change(&self, kind: Kind, name: &str, change: &Patch<Value>) -> Result<()> {
        let params = PatchParams {
            field_manager: Some(super::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = self.at(kind).patch(name, &params, change);
        let _: Value = self.ask(request.map_err(unexpected)?).await?;
        Ok(())
    }

    /// Whether a strategic patch would be taken now: everything but the changing.
    pub async fn would_change(&self, kind: Kind, name: &str, change: Value) -> Result<()> {
        let params = PatchParams {
            dry_run: true,
            field_manager: Some(super::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = self
            .at(kind)
            .patch(name, &params, &Patch::Strategic(change));
        match self.ask::<Value>(request.map_err(unexpected)?).await {
            Err(error) if is_untriable(&error) => Ok(()),
            tried => tried.map(drop),
        }
    }

    /// Whether an object could be made now: everything but the making.
    pub async fn would_create(&self, kind: Kind, manifest: &Value) -> Result<()> {
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let request = self.at(kind).create(&params, body(manifest)?);
        match self.ask::<Value>(request.map_err(unexpected)?).await {
            Err(error) if is_untriable(&error) => Ok(()),
            tried => tried.map(drop),
        }
    }

    /// Has an object deleted, with what belongs to it. One that is gone is no error.
    pub async fn delete(&self, kind: Kind, name: &str) -> Result<()> {
        let request = self.at(kind).delete(name, &DeleteParams::background());
        match self.answer(request.map_err(unexpected)?).await {
            Err(ProviderError::NotFound(_)) => Ok(()),
            done => done.map(drop),
        }
    }

    /// What a pod has written.
    pub async fn log(&self, pod: &str, params: &LogParams) -> Result<String> {
        let request = self.at(PODS).logs(pod, params).map_err(unexpected)?;
        let said = self.answer(request).await?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    fn at(&self, kind: Kind) -> kube::core::Request {
        let root = match kind.group {
            "" => "/api",
            _ => "/apis",
        };
        let (version, place, plural) = (kind.api_version(), &self.name, kind.plural);
        kube::core::Request::new(format!("{root}/{version}/namespaces/{place}/{plural}"))
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let said = self.answer(request).await?;
        serde_json::from_slice(&said).map_err(|error| {
            // Not the error's own words: they quote values, and a value can be a password.
            let (line, column) = (error.line(), error.column());
            ProviderError::Unexpected(format!("{call}: line {line} column {column}"))
        })
    }

    /// The body of an answer that reports success.
    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Vec<u8>> {
        let answered = async {
            let request = request.map(Body::from);
            let sent = self.client.send(request).await;
            let (head, body) = sent.map_err(|error| self.away(&error))?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|error| {
                ProviderError::Away(self.clean(&format!("{} broke off: {error}", self.host)))
            })?;
            Ok((head, body.to_bytes().to_vec()))
        };
        let (head, body) = tokio::time::timeout(PATIENCE, answered)
            .await
            .map_err(|_| {
                let seconds = PATIENCE.as_secs();
                let host = &self.host;
                ProviderError::Away(format!("{host} does not answer within {seconds} s"))
            })??;
        match head.status.is_success() {
            true => Ok(body),
            false => Err(self.refusal(head.status, &head.headers, &body)),
        }
    }

    fn away(&self, error: &kube::Error) -> ProviderError {
        let mut text = format!("{} does not answer: {error}", self.host);
        let mut source = error.source();
        while let Some(cause) = source {
            let more = cause.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = cause.source();
        }
        ProviderError::Away(self.clean(&text))
    }

    fn clean(&self, text: &str) -> String {
        cut(&scrub(text.to_owned(), &self.secrets))
    }

    fn refusal(&self, code: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        use ProviderError as E;
        let status: Status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
            // Some answers are plain text.
            message: String::from_utf8_lossy(body).trim().to_owned(),
            ..Status::default()
        });
        let said = match status.message.as_str() {
            "" => format!("HTTP {code}"),
            message => self.clean(message),
        };
        let is_owned = status.details.as_ref().is_some_and(|details| {
            let mut causes = details.causes.iter();
            causes.any(|cause| cause.reason == "FieldManagerConflict")
        });
        match code.as_u16() {
            401 => E::Unauthorized(format!(
                "{said}. The kubeconfig has ended, or another was made since: download it again \
                 in the console"
            )),
            // In these words of the admission plugin; the code is that of missing rights.
            403 if said.contains("exceeded quota") || said.contains("failed quota") => {
                E::QuotaExceeded(in_arrears(said))
            }
            403 => E::Forbidden(said),
            404 => E::NotFound(said),
            409 if is_owned => E::ChangedThere(format!(
                "Somebody else has changed this app since: {said}. Undo that in the console \
                 and apply again, or deploy over it."
            )),
            409 if status.reason == "AlreadyExists" => E::Conflict(said),
            // Two wrote at the same moment.
            409 => E::Away(said),
            429 => E::RateLimited {
                after: pause(headers),
                message: said,
            },
            400 | 405 | 413 | 415 | 422 => E::Refused(said),
            500.. => E::Away(said),
            _ => E::Unexpected(said),
        }
    }
}

/// Sealos' and ClawCloud's lock of those in arrears is a quota of nothing.
fn in_arrears(said: String) -> String {
    match said.contains("debt-limit") {
        true => format!(
            "{said}. The account is in arrears: top it up in the console, then apply again."
        ),
        false => said,
    }
}

/// Whether nothing can be tried because an admission webhook of the cloud's takes no dry runs
/// (in the words of apiserver's `webhook/errors`). Then it is seen when it is written.
fn is_untriable(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Refused(said) if said.contains("does not support dry run"))
}

fn name_of(manifest: &Value) -> &str {
    manifest["metadata"]["name"].as_str().unwrap_or_default()
}

fn get(path: String) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::GET;
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    request
}

fn body(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| ProviderError::Unexpected(error.to_string()))
}

fn unexpected(error: kube::core::request::Error) -> ProviderError {
    ProviderError::Unexpected(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_takes_no_dry_runs_is_no_refusal() {
        let refused = |said: &str| ProviderError::Refused(said.to_owned());
        let webhook = "admission webhook \"vingress.sealos.io\" does not support dry run";
        assert!(is_untriable(&refused(webhook)));
        assert!(!is_untriable(&refused("spec.replicas: Invalid value: -1")));
        assert!(!is_untriable(&ProviderError::Forbidden(webhook.to_owned())));
    }

    #[test]
    fn arrears_are_told_from_other_quotas() {
        let debt = in_arrears("exceeded quota: debt-limit0, requested: pods=1".to_owned());
        assert!(debt.contains("in arrears"), "{debt}");
        let full = "exceeded quota: quota-ns-abc, requested: pods=1".to_owned();
        assert_eq!(in_arrears(full.clone()), full);
    }
}
