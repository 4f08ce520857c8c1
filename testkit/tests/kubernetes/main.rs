//! The fake Kubernetes as the real client crate sees it.

#![cfg(test)]

mod access;
mod apply;
mod faults;
mod objects;
mod pods;
mod quotas;
mod watches;
mod workloads;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::kubernetes::{Builder, FakeKubernetes, Image};

/// The namespace of the tests' user, `abc`.
pub const PLACE: &str = "ns-abc";

/// The image that there is.
pub const IMAGE: &str = "ghcr.io/o/n";

/// A fixed moment.
pub const START: i64 = 1_790_000_000_000;

/// A cloud with one user and one image, on a clock that stands.
pub fn cloud(clock: &VirtualClock) -> Builder {
    let startup = std::time::Duration::ZERO;
    FakeKubernetes::builder()
        .clock(clock)
        .owner("abc", PLACE)
        .image(IMAGE, Image::Simulated { startup })
}

/// A cloud of [`cloud`]'s, its clock, and its user's client.
pub async fn started() -> (FakeKubernetes, VirtualClock, Client) {
    let clock = VirtualClock::at(START);
    let cloud = cloud(&clock).start().await;
    let client = client(&cloud).await;
    (cloud, clock, client)
}

/// A client with the kubeconfig of the user `abc`.
pub async fn client(cloud: &FakeKubernetes) -> Client {
    client_of(&cloud.kubeconfig("abc")).await
}

/// A client with this kubeconfig.
pub async fn client_of(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    // Otherwise it tries 429, 503 and 504 again by itself, and no test would see them.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// The Deployments of [`PLACE`].
pub fn deployments(client: &Client) -> Api<Deployment> {
    Api::namespaced(client.clone(), PLACE)
}

/// The pods of [`PLACE`].
pub fn pods(client: &Client) -> Api<Pod> {
    Api::namespaced(client.clone(), PLACE)
}

/// The Secrets of [`PLACE`].
pub fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), PLACE)
}

/// A Deployment as App Launchpad writes it.
pub fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "gbx",
            "labels": {"run.claw.cloud/app-deploy-manager": "gbx", "app": "gbx"},
            "annotations": {
                "originImageName": image,
                "deploy.run.claw.cloud/minReplicas": "1",
                "deploy.run.claw.cloud/maxReplicas": "1",
            },
        },
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": {"app": "gbx"}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": {
                "metadata": {"labels": {"app": "gbx"}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "containers": [{
                        "name": "gbx",
                        "image": image,
                        "imagePullPolicy": "Always",
                        "env": [
                            {"name": "TZ", "value": "Asia/Shanghai"},
                            {
                                "name": "AUTH_TOKEN",
                                "valueFrom": {"secretKeyRef": {"name": "gbx-env", "key": "AUTH_TOKEN"}},
                            },
                        ],
                        "resources": {
                            "requests": {"cpu": "20m", "memory": "25Mi"},
                            "limits": {"cpu": "200m", "memory": "256Mi"},
                        },
                        "ports": [{"containerPort": 8000, "name": "abcdefghijkl"}],
                    }],
                },
            },
        },
    })
}

/// The Secret that the Deployment refers to.
pub fn secret(token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "gbx-env", "labels": {"app": "gbx"}},
        "stringData": {"AUTH_TOKEN": token},
    })
}

/// The Service before the Deployment.
pub fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "gbx-mnbvcxzasdfg", "labels": {"app": "gbx"}},
        "spec": {
            "ports": [{"port": 8000, "targetPort": 8000, "name": "abcdefghijkl"}],
            "selector": {"app": "gbx"},
        },
    })
}

/// The Ingress to the Service.
pub fn ingress() -> Value {
    let host = "qwertyuiopas.ap-southeast-1.clawcloudrun.com";
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "network-qwertyuiopas",
            "labels": {"run.claw.cloud/app-deploy-manager": "gbx"},
            "annotations": {
                "kubernetes.io/ingress.class": "nginx",
                "nginx.ingress.kubernetes.io/proxy-body-size": "32m",
            },
        },
        "spec": {
            "rules": [{
                "host": host,
                "http": {"paths": [{
                    "pathType": "Prefix",
                    "path": "/",
                    "backend": {"service": {"name": "gbx-mnbvcxzasdfg", "port": {"number": 8000}}},
                }]},
            }],
            "tls": [{"hosts": [host], "secretName": "wildcard-cert"}],
        },
    })
}

/// Applies the Secret and the Deployment, as our app would.
pub async fn deploy(client: &Client, image: &str) -> Deployment {
    let params = PatchParams::apply("ourapp");
    secrets(client)
        .patch("gbx-env", &params, &Patch::Apply(secret("t0ken")))
        .await
        .unwrap();
    deployments(client)
        .patch("gbx", &params, &Patch::Apply(deployment(image)))
        .await
        .unwrap()
}

/// The status that an error came with.
pub fn refusal(error: kube::Error) -> kube::core::Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("not an answer of the API: {other:?}"),
    }
}

/// `status/reason` of a condition, e.g. `True/MinimumReplicasAvailable`.
pub fn condition(object: &Value, which: &str) -> String {
    let found = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == which);
    found.map_or_else(String::new, |condition| {
        format!(
            "{}/{}",
            condition["status"].as_str().unwrap(),
            condition["reason"].as_str().unwrap_or_default()
        )
    })
}
