//! ClawCloud Run, Sealos and plain Kubernetes, against a fake that refuses what an API server
//! refuses.

#![expect(
    clippy::unwrap_used,
    reason = "what helps a test may panic like a test"
)]

mod account;
mod database;
mod errors;
mod life;
mod others;
mod real;
mod twice;

use std::collections::BTreeMap;
use std::time::Duration;

use contract::deploy::ProviderKind;
use deployer::kubernetes::{Kubernetes, account};
use deployer::provider::{Data, Desired, MARK, Observed, Provider as _, Target, Value};
use serde_json::{Value as Json, json};
use testkit::clock::VirtualClock;
use testkit::kubernetes::{Builder, Dialect, FakeKubernetes, Image};
use vault::Secret;

/// 2026-09-21T14:13:20Z.
const NOW: i64 = 1_790_000_000_000;
/// The namespace of the account, whose user is `abc`.
const PLACE: &str = "ns-abc";
const IMAGE: &str = "ghcr.io/owner/gemini-balance";
const PASSWORD: &str = "a password that nobody may see";

/// A cloud, its clock, and an account there.
struct Cloud {
    fake: FakeKubernetes,
    clock: VirtualClock,
    kubernetes: Kubernetes,
}

impl Cloud {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    /// ClawCloud, where another app of the namespace tells the domain.
    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(ProviderKind::ClawCloud, Dialect::ClawCloud, change).await
    }

    async fn of(
        kind: ProviderKind,
        dialect: Dialect,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let clock = VirtualClock::at(NOW);
        let builder = FakeKubernetes::builder()
            .clock(&clock)
            .dialect(dialect)
            .owner("abc", PLACE)
            .image(
                IMAGE,
                Image::Simulated {
                    startup: Duration::ZERO,
                },
            );
        let fake = change(builder).start().await;
        let domain = match dialect {
            Dialect::ClawCloud => "ap-southeast-1.clawcloudrun.com",
            Dialect::Sealos => "usw.sealos.io",
            Dialect::Plain => "apps.example.com",
        };
        neighbour(&fake, dialect, domain);
        let kubernetes = account(kind, &Secret::new(fake.kubeconfig("abc"))).unwrap();
        Self {
            fake,
            clock,
            kubernetes,
        }
    }

    async fn look(&self, name: &str) -> Option<Observed> {
        self.kubernetes.observe(&target(name)).await.unwrap()
    }

    /// Everything that was made, what the cloud itself has made apart.
    fn names(&self) -> Vec<String> {
        self.fake.names(PLACE)
    }

    /// The objects of a kind that were made for an app.
    fn made(&self, resource: &str) -> Vec<Json> {
        let mut objects = self.fake.objects(resource, PLACE);
        objects.retain(|object| {
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "gemini-balance"
        });
        objects
    }

    /// How often something was really written.
    fn writes(&self) -> usize {
        let requests = self.fake.requests();
        requests.iter().filter(|seen| seen.is_write()).count()
    }
}

/// An app of somebody else's in the same namespace.
fn neighbour(fake: &FakeKubernetes, dialect: Dialect, domain: &str) {
    let host = format!("neighbour.{domain}");
    let label = format!("{}/app-deploy-manager-domain", dialect.labels());
    fake.edit(
        "ingresses.networking.k8s.io",
        PLACE,
        "neighbour",
        |ingress| {
            let service = json!({ "name": "neighbour", "port": { "number": 80 } });
            let path =
                json!({ "pathType": "Prefix", "path": "/", "backend": { "service": service } });
            ingress["metadata"]["labels"][label] = json!("neighbour");
            ingress["spec"] = json!({ "rules": [{ "host": host, "http": { "paths": [path] } }] });
            if dialect == Dialect::Plain {
                ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] =
                    json!("acme");
                ingress["spec"]["ingressClassName"] = json!("nginx");
                ingress["spec"]["tls"] = json!([{ "hosts": [host], "secretName": "its-own" }]);
            }
        },
    );
}

fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        ..Target::default()
    }
}

/// An image by its digest, which is this digit again and again.
fn image(digit: &str) -> String {
    format!("{IMAGE}@sha256:{}", digit.repeat(64))
}

fn desired(name: &str) -> Desired {
    let plain = |text: &str| Value::Plain(text.to_owned());
    Desired {
        name: name.to_owned(),
        workspace: None,
        region: None,
        plan: None,
        image: image("1"),
        image_tag: format!("{IMAGE}:latest"),
        variables: BTreeMap::from([
            ("PORT".to_owned(), plain("8000")),
            ("MOTTO".to_owned(), plain("$(PORT) costs $5")),
            (MARK.to_owned(), plain(name)),
            (
                "AUTH_TOKEN".to_owned(),
                Value::Secret(Secret::from(PASSWORD)),
            ),
        ]),
        data: Data::Elsewhere,
        over: false,
    }
}

/// The value of a variable that is there.
fn value<'a>(there: &'a Observed, name: &str) -> Option<&'a str> {
    let value = there.variables.get(name)?.as_ref()?;
    Some(value.expose().as_str())
}
