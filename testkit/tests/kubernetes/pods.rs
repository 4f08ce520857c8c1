//! Pods that are processes of this machine.

use std::time::Duration;

use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, LogParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testkit::clock::{Clock, VirtualClock};
use testkit::kubernetes::{FakeKubernetes, Image, MySql};

use crate::faults::http;
use crate::{
    IMAGE, PLACE, START, client, cloud, deploy, deployment, deployments, ingress, pods, refusal,
    service,
};

fn program() -> Image {
    Image::Server(env!("CARGO_BIN_EXE_echo-server").into())
}

/// A cloud in which everything is deployed, the client, and the app's address.
async fn deployed(clock: impl Into<Clock>) -> (FakeKubernetes, kube::Client, String) {
    let mysql = MySql {
        address: Some(([127, 0, 0, 1], 4711).into()),
        ..MySql::default()
    };
    let cloud = cloud(&VirtualClock::at(START))
        .clock(clock)
        .image(IMAGE, program())
        .mysql(PLACE, mysql)
        .start()
        .await;
    let client = client(&cloud).await;
    let params = PatchParams::apply("ourapp");
    let services: Api<Service> = Api::namespaced(client.clone(), PLACE);
    let patch = Patch::Apply(service());
    services
        .patch("gbx-mnbvcxzasdfg", &params, &patch)
        .await
        .unwrap();
    let ingresses: Api<Ingress> = Api::namespaced(client.clone(), PLACE);
    let patch = Patch::Apply(ingress());
    ingresses
        .patch("network-qwertyuiopas", &params, &patch)
        .await
        .unwrap();
    deploy(&client, IMAGE).await;
    ready(&cloud).await;
    let url = cloud.url_of(PLACE, "network-qwertyuiopas").await;
    (cloud, client, url)
}

/// Waits until the newest version alone is ready.
async fn ready(cloud: &FakeKubernetes) {
    let done = cloud
        .wait_for("deployments.apps", PLACE, "gbx", |object| {
            let status = &object["status"];
            status["observedGeneration"] == object["metadata"]["generation"]
                && status["availableReplicas"] == 1
                && status["updatedReplicas"] == 1
                && status["replicas"] == 1
        })
        .await;
    assert!(done, "{}", cloud.object("deployments.apps", PLACE, "gbx"));
}

fn pod_name(cloud: &FakeKubernetes) -> String {
    let pods = cloud.objects("pods", PLACE);
    pods[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

async fn told(url: &str) -> Value {
    let text = http().get(url).send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

#[tokio::test]
async fn a_pod_is_a_process_with_its_environment_behind_the_edge() {
    let (cloud, client, url) = deployed(&VirtualClock::at(START)).await;
    let environment = told(&url).await;
    assert_eq!(environment["AUTH_TOKEN"], "t0ken");
    assert_eq!(environment["TZ"], "Asia/Shanghai");
    assert_eq!(environment["HOSTNAME"], pod_name(&cloud));
    assert_eq!(environment["KUBERNETES_SERVICE_PORT"], "443");
    assert_eq!(environment["GBX_MNBVCXZASDFG_SERVICE_PORT"], "8000");
    assert_eq!(environment["forwarded for"], "127.0.0.1");
    assert_eq!(environment["PATH"], Value::Null);
    let log = pods(&client)
        .logs(&pod_name(&cloud), &LogParams::default())
        .await
        .unwrap();
    assert!(
        log.contains(&format!("hello from {}", pod_name(&cloud))),
        "{log}"
    );
    let too_large = http()
        .post(&url)
        .body(vec![0; 33 << 20])
        .send()
        .await
        .unwrap();
    assert_eq!(too_large.status(), 413);
}

#[tokio::test]
async fn variables_come_from_maps_and_secrets_as_a_whole_too() {
    let (cloud, client, url) = deployed(&VirtualClock::at(START)).await;
    cloud.edit("configmaps", PLACE, "settings", |map| {
        map["data"] = json!({"LOG_LEVEL": "debug", "TZ": "UTC"});
    });
    let mut newer = deployment(IMAGE);
    let container = &mut newer["spec"]["template"]["spec"]["containers"][0];
    container["envFrom"] = json!([
        {"configMapRef": {"name": "settings"}},
        {"secretRef": {"name": "gbx-env"}, "prefix": "X_"},
        {"secretRef": {"name": "missing", "optional": true}},
    ]);
    let more = [
        json!({"name": "GREETING", "value": "in $(TZ)"}),
        json!({"name": "MYSQL_HOST", "value": "gbx-mysql-mysql.ns-abc.svc"}),
        json!({"name": "MYSQL_PORT", "value": "3306"}),
    ];
    container["env"].as_array_mut().unwrap().extend(more);
    container["readinessProbe"] = json!({"httpGet": {"path": "/health", "port": 8000}});
    let patch = Patch::Apply(newer);
    deployments(&client)
        .patch("gbx", &PatchParams::apply("ourapp"), &patch)
        .await
        .unwrap();
    ready(&cloud).await;
    let environment = told(&url).await;
    assert_eq!(environment["LOG_LEVEL"], "debug");
    assert_eq!(environment["TZ"], "Asia/Shanghai");
    assert_eq!(environment["X_AUTH_TOKEN"], "t0ken");
    assert_eq!(environment["GREETING"], "in Asia/Shanghai");
    // There is no network within the cluster: the real place of the database.
    assert_eq!(environment["MYSQL_HOST"], "127.0.0.1");
    assert_eq!(environment["MYSQL_PORT"], "4711");
}

#[tokio::test]
async fn a_probe_that_fails_keeps_the_old_pod() {
    let clock = VirtualClock::at(START);
    let (cloud, client, url) = deployed(&clock).await;
    let old = pod_name(&cloud);
    let mut wrong = deployment(IMAGE);
    wrong["spec"]["progressDeadlineSeconds"] = json!(60);
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"path": "/nowhere", "port": 8000}});
    let patch = Patch::Apply(wrong);
    deployments(&client)
        .patch("gbx", &PatchParams::apply("ourapp"), &patch)
        .await
        .unwrap();
    clock.advance(Duration::from_secs(60));
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        crate::condition(&object, "Progressing"),
        "False/ProgressDeadlineExceeded"
    );
    assert_eq!(told(&url).await["HOSTNAME"], old);
}

#[tokio::test]
async fn a_log_is_followed_to_its_end_which_is_the_processs() {
    let (cloud, client, _url) = deployed(&VirtualClock::at(START)).await;
    let name = pod_name(&cloud);
    let params = LogParams {
        follow: true,
        tail_lines: Some(1),
        timestamps: true,
        ..LogParams::default()
    };
    let mut lines = pods(&client)
        .log_stream(&name, &params)
        .await
        .unwrap()
        .lines();
    let first = lines.try_next().await.unwrap().unwrap();
    assert!(first.starts_with("2026-"), "{first}");
    assert!(first.ends_with(&format!("Z hello from {name}")), "{first}");
    let waits = pods(&client)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    assert!(waits.left().unwrap().metadata.deletion_timestamp.is_some());
    let last = lines.try_next().await.unwrap().unwrap();
    assert!(last.ends_with("asked to end"), "{last}");
    assert!(lines.try_next().await.unwrap().is_none());
    assert!(cloud.wait_for("pods", PLACE, &name, Value::is_null).await);
    // Its set makes another.
    ready(&cloud).await;
    assert_ne!(pod_name(&cloud), name);
    let since = LogParams {
        since_seconds: Some(0),
        container: Some("other".to_owned()),
        ..LogParams::default()
    };
    let refused = pods(&client)
        .logs(&pod_name(&cloud), &since)
        .await
        .unwrap_err();
    assert!(
        refusal(refused)
            .message
            .starts_with("container other is not valid for pod gbx-")
    );
}

#[tokio::test]
async fn old_lines_can_be_left_out() {
    let clock = VirtualClock::at(START);
    let (cloud, client, _url) = deployed(&clock).await;
    let name = pod_name(&cloud);
    clock.advance(Duration::from_secs(100));
    let since = |seconds| LogParams {
        since_seconds: Some(seconds),
        ..LogParams::default()
    };
    assert_eq!(pods(&client).logs(&name, &since(50)).await.unwrap(), "");
    let all = pods(&client).logs(&name, &since(101)).await.unwrap();
    assert_eq!(all.lines().count(), 2);
    let short = LogParams {
        limit_bytes: Some(9),
        ..LogParams::default()
    };
    assert_eq!(
        pods(&client).logs(&name, &short).await.unwrap(),
        "listening"
    );
}

#[tokio::test]
async fn a_process_that_dies_is_started_again() {
    let (cloud, client, url) = deployed(&VirtualClock::at(START)).await;
    let name = pod_name(&cloud);
    let _ = http().get(format!("{url}/crash")).send().await.unwrap();
    let again = cloud
        .wait_for("pods", PLACE, &name, |pod| {
            let container = &pod["status"]["containerStatuses"][0];
            container["restartCount"] == 1 && container["ready"] == true
        })
        .await;
    assert!(again);
    let container = &cloud.object("pods", PLACE, &name)["status"]["containerStatuses"][0];
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(told(&url).await["HOSTNAME"], name);
    let previous = LogParams {
        previous: true,
        ..LogParams::default()
    };
    assert!(
        pods(&client)
            .logs(&name, &previous)
            .await
            .unwrap()
            .contains("hello from")
    );
}

#[tokio::test]
async fn a_volume_outlives_its_pod() {
    let (cloud, client, url) = deployed(&VirtualClock::at(START)).await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), PLACE);
    let claim = serde_json::from_value(json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }));
    claims
        .create(&PostParams::default(), &claim.unwrap())
        .await
        .unwrap();
    let mut with = deployment(IMAGE);
    let spec = &mut with["spec"]["template"]["spec"];
    spec["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let more = json!({"name": "DATABASE_URL", "value": "/data/x.sqlite"});
    spec["containers"][0]["env"]
        .as_array_mut()
        .unwrap()
        .push(more);
    let params = PatchParams::apply("ourapp");
    let patch = Patch::Apply(&with);
    deployments(&client)
        .patch("gbx", &params, &patch)
        .await
        .unwrap();
    ready(&cloud).await;
    let first = told(&url).await;
    let folder = first["DATA_DIR"].as_str().unwrap().to_owned();
    assert_eq!(first["DATABASE_URL"], format!("{folder}/x.sqlite"));
    std::fs::write(format!("{folder}/x.sqlite"), "kept").unwrap();
    with["spec"]["template"]["metadata"]["labels"]["restartTime"] = json!("20261122190000");
    deployments(&client)
        .patch("gbx", &params, &Patch::Apply(&with))
        .await
        .unwrap();
    ready(&cloud).await;
    let second = told(&url).await;
    assert_ne!(second["HOSTNAME"], first["HOSTNAME"]);
    assert_eq!(
        std::fs::read_to_string(format!("{folder}/x.sqlite")).unwrap(),
        "kept"
    );
    assert_eq!(second["DATA_DIR"], folder);
}

#[tokio::test]
async fn it_works_by_the_machines_clock_too() {
    let (cloud, client, url) = deployed(Clock::System).await;
    assert_eq!(told(&url).await["AUTH_TOKEN"], "t0ken");
    deployments(&client)
        .delete("gbx", &DeleteParams::default())
        .await
        .unwrap();
    assert!(
        cloud
            .wait_for("deployments.apps", PLACE, "gbx", Value::is_null)
            .await
    );
    let none = async {
        while !cloud.objects("pods", PLACE).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(testkit::kubernetes::PATIENCE, none)
        .await
        .unwrap();
    assert_eq!(http().get(&url).send().await.unwrap().status(), 503);
}
