//! What controllers make of objects, by a clock that is moved.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::kubernetes::Image;

use crate::{
    IMAGE, PLACE, START, client, cloud, condition, deploy, deployment, deployments, ingress,
    service, started,
};

async fn apply(client: &kube::Client, object: Value) {
    let params = PatchParams::apply("ourapp");
    let patch = Patch::Apply(object);
    deployments(client)
        .patch("gbx", &params, &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_deployment_becomes_a_pod_that_is_ready() {
    let clock = VirtualClock::at(START);
    let startup = Duration::from_secs(20);
    let cloud = cloud(&clock)
        .image(IMAGE, Image::Simulated { startup })
        .start()
        .await;
    let client = client(&cloud).await;
    deploy(&client, "ghcr.io/o/n:1").await;
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        condition(&object, "Available"),
        "False/MinimumReplicasUnavailable"
    );
    assert!(condition(&object, "Progressing").starts_with("True/"));
    assert_eq!(object["status"]["unavailableReplicas"], 1);
    clock.advance(startup);
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        condition(&object, "Available"),
        "True/MinimumReplicasAvailable"
    );
    assert_eq!(
        condition(&object, "Progressing"),
        "True/NewReplicaSetAvailable"
    );
    let mut status = object["status"].clone();
    status.as_object_mut().unwrap().remove("conditions");
    assert_eq!(
        status,
        json!({
            "availableReplicas": 1, "observedGeneration": 1, "readyReplicas": 1, "replicas": 1,
            "updatedReplicas": 1,
        })
    );
    assert_eq!(
        object["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
    let pod = &cloud.objects("pods", PLACE)[0];
    assert_eq!(condition(pod, "Ready"), "True/");
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
    let image = pod["status"]["containerStatuses"][0]["imageID"]
        .as_str()
        .unwrap();
    assert!(
        image.starts_with("ghcr.io/o/n:1@sha256:") && image.len() > 80,
        "{image}"
    );
    let events: Api<Event> = Api::namespaced(client, PLACE);
    let of = ListParams::default().fields("involvedObject.kind=Deployment");
    let events = events.list(&of).await.unwrap().items;
    let message = events[0].message.as_deref().unwrap();
    assert!(
        message.starts_with("Scaled up replica set gbx-"),
        "{message}"
    );
    assert!(message.ends_with(" from 0 to 1"), "{message}");
}

#[tokio::test]
async fn an_unknown_image_runs_into_the_deadline_while_the_old_pod_serves() {
    let (cloud, clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let mut wrong = deployment("ghcr.io/o/typo:1");
    wrong["spec"]["progressDeadlineSeconds"] = json!(60);
    apply(&client, wrong).await;
    let waiting = |cloud: &testkit::kubernetes::FakeKubernetes| -> Vec<String> {
        let pods = cloud.objects("pods", PLACE);
        let reason = |pod: &Value| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone()
        };
        pods.iter()
            .filter_map(|pod| reason(pod).as_str().map(str::to_owned))
            .collect()
    };
    assert_eq!(waiting(&cloud), ["ErrImagePull"]);
    clock.advance(Duration::from_secs(59));
    assert_eq!(waiting(&cloud), ["ImagePullBackOff"]);
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert!(
        condition(&object, "Progressing").starts_with("True/"),
        "{object}"
    );
    clock.advance(Duration::from_secs(1));
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        condition(&object, "Available"),
        "True/MinimumReplicasAvailable"
    );
    assert_eq!(
        condition(&object, "Progressing"),
        "False/ProgressDeadlineExceeded"
    );
    assert_eq!(object["status"]["observedGeneration"], 2);
    assert_eq!(cloud.objects("pods", PLACE).len(), 2);

    // Back to the first template: its old set becomes revision 3, and the new pod goes.
    apply(&client, deployment(IMAGE)).await;
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        condition(&object, "Progressing"),
        "True/NewReplicaSetAvailable"
    );
    assert_eq!(
        object["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
    assert_eq!(cloud.objects("pods", PLACE).len(), 1);
}

#[tokio::test]
async fn a_rollout_keeps_to_its_strategy() {
    let clock = VirtualClock::at(START);
    let startup = Duration::from_secs(20);
    let cloud = cloud(&clock)
        .image(IMAGE, Image::Simulated { startup })
        .start()
        .await;
    let client = client(&cloud).await;
    deploy(&client, IMAGE).await;
    clock.advance(startup);
    let images = || -> Vec<String> {
        let pods = cloud.objects("pods", PLACE);
        let image = |pod: &Value| pod["spec"]["containers"][0]["image"].clone();
        let mut all: Vec<String> = pods
            .iter()
            .map(|pod| image(pod).as_str().unwrap().to_owned())
            .collect();
        all.sort();
        all
    };
    // One more while the new one starts, and none less.
    apply(&client, deployment("ghcr.io/o/n:1")).await;
    assert_eq!(images(), [IMAGE, "ghcr.io/o/n:1"]);
    clock.advance(startup);
    assert_eq!(images(), ["ghcr.io/o/n:1"]);
    // Nothing between, as a volume for one pod demands.
    let mut alone = deployment("ghcr.io/o/n:2");
    alone["spec"]["strategy"] = json!({"type": "Recreate"});
    apply(&client, alone).await;
    assert_eq!(images(), ["ghcr.io/o/n:2"]);
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        condition(&object, "Available"),
        "False/MinimumReplicasUnavailable"
    );
    clock.advance(startup);
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(
        condition(&object, "Progressing"),
        "True/NewReplicaSetAvailable"
    );
}

#[tokio::test]
async fn old_sets_are_kept_as_long_as_the_limit_says() {
    let (cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    for tag in 1..6 {
        apply(&client, deployment(&format!("{IMAGE}:{tag}"))).await;
    }
    assert_eq!(cloud.objects("replicasets.apps", PLACE).len(), 1 + 3);
    assert_eq!(cloud.objects("pods", PLACE).len(), 1);
}

#[tokio::test]
async fn what_crashes_backs_off() {
    let (cloud, clock, client) = started().await;
    let log = "MYSQL_HOST: who?".to_owned();
    cloud.set_image("ghcr.io/o/crash", Image::Crashes { code: 3, log });
    deploy(&client, "ghcr.io/o/crash").await;
    let status = || cloud.objects("pods", PLACE)[0]["status"]["containerStatuses"][0].clone();
    assert_eq!(status()["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(status()["lastState"]["terminated"]["exitCode"], 3);
    let before = status()["restartCount"].as_i64().unwrap();
    clock.advance(Duration::from_secs(9));
    assert_eq!(status()["restartCount"], before);
    clock.advance(Duration::from_secs(1));
    assert_eq!(status()["restartCount"], before + 1);
    let name = cloud.objects("pods", PLACE)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let previous = kube::api::LogParams {
        previous: true,
        ..kube::api::LogParams::default()
    };
    let log = crate::pods(&client).logs(&name, &previous).await.unwrap();
    assert_eq!(log, "MYSQL_HOST: who?\n");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_waited_for() {
    let (cloud, _clock, client) = started().await;
    apply(&client, deployment(IMAGE)).await;
    let waiting = || {
        cloud.objects("pods", PLACE)[0]["status"]["containerStatuses"][0]["state"]["waiting"]
            .clone()
    };
    assert_eq!(
        waiting(),
        json!({"reason": "CreateContainerConfigError", "message": "secret \"gbx-env\" not found"})
    );
    deploy(&client, IMAGE).await;
    assert_eq!(waiting(), Value::Null);
}

#[tokio::test]
async fn the_platform_stops_and_the_console_pauses() {
    let (cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let ingresses: Api<k8s_openapi::api::networking::v1::Ingress> =
        Api::namespaced(client.clone(), PLACE);
    let made = serde_json::from_value(ingress()).unwrap();
    ingresses
        .create(&PostParams::default(), &made)
        .await
        .unwrap();
    cloud.stop_everything(PLACE);
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(object["spec"]["replicas"], 0);
    assert!(cloud.objects("pods", PLACE).is_empty());
    assert_eq!(
        condition(&object, "Available"),
        "True/MinimumReplicasAvailable"
    );
    // Whoever applies again without force learns who did it.
    let refused = deployments(&client)
        .patch(
            "gbx",
            &PatchParams::apply("ourapp"),
            &Patch::Apply(deployment(IMAGE)),
        )
        .await
        .unwrap_err();
    let refused = crate::refusal(refused).message;
    assert!(
        refused.contains("\"sealos-controller\" using apps/v1: .spec.replicas"),
        "{refused}"
    );

    cloud.pause_in_console(PLACE, "gbx");
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(
        annotations["deploy.run.claw.cloud/pause"],
        "{\"target\":\"\",\"value\":\"\"}"
    );
    let object = cloud.object("ingresses.networking.k8s.io", PLACE, "network-qwertyuiopas");
    assert_eq!(
        object["metadata"]["annotations"]["kubernetes.io/ingress.class"],
        "pause"
    );
}

#[tokio::test]
async fn a_stateful_set_has_its_claim_which_stays() {
    let (cloud, _clock, client) = started().await;
    let sets: Api<k8s_openapi::api::apps::v1::StatefulSet> = Api::namespaced(client.clone(), PLACE);
    let set = json!({
        "metadata": {"name": "gbx"},
        "spec": {
            "replicas": 1,
            "serviceName": "gbx",
            "selector": {"matchLabels": {"app": "gbx"}},
            "template": {
                "metadata": {"labels": {"app": "gbx"}},
                "spec": {"containers": [{
                    "name": "gbx",
                    "image": IMAGE,
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }]},
            },
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }],
        },
    });
    let set = serde_json::from_value(set).unwrap();
    sets.create(&PostParams::default(), &set).await.unwrap();
    let claim = cloud.object("persistentvolumeclaims", PLACE, "data-gbx-0");
    assert_eq!(claim["status"]["phase"], "Bound");
    let set = cloud.object("statefulsets.apps", PLACE, "gbx");
    assert_eq!(set["status"]["readyReplicas"], 1, "{set}");
    let uid = cloud.object("pods", PLACE, "gbx-0")["metadata"]["uid"].clone();
    let newer = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [
        {"name": "gbx", "image": "ghcr.io/o/n:2"},
    ]}}}}));
    sets.patch("gbx", &PatchParams::default(), &newer)
        .await
        .unwrap();
    let pod = cloud.object("pods", PLACE, "gbx-0");
    assert_ne!(pod["metadata"]["uid"], uid);
    assert_eq!(pod["spec"]["containers"][0]["image"], "ghcr.io/o/n:2");

    // One that never gets ready is waited for, whatever comes after it.
    for image in ["ghcr.io/nobody/missing:1", "ghcr.io/o/n:2"] {
        let newer = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [
            {"name": "gbx", "image": image},
        ]}}}}));
        sets.patch("gbx", &PatchParams::default(), &newer)
            .await
            .unwrap();
    }
    let pod = cloud.object("pods", PLACE, "gbx-0");
    let image = &pod["spec"]["containers"][0]["image"];
    assert_eq!(image, "ghcr.io/nobody/missing:1");
    crate::pods(&client)
        .delete("gbx-0", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let pod = cloud.object("pods", PLACE, "gbx-0");
    assert_eq!(pod["spec"]["containers"][0]["image"], "ghcr.io/o/n:2");
    sets.delete("gbx", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    assert!(cloud.objects("pods", PLACE).is_empty());
    assert_eq!(cloud.names(PLACE), ["persistentvolumeclaims/data-gbx-0"]);
}

#[tokio::test]
async fn a_database_is_created_and_brings_its_credentials() {
    let clock = VirtualClock::at(START);
    let cloud = cloud(&clock)
        .database_delay(Duration::from_secs(90))
        .start()
        .await;
    let client = client(&cloud).await;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apps.kubeblocks.io",
        "v1alpha1",
        "Cluster",
    ));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), PLACE, &kind);
    let database = json!({
        "apiVersion": "apps.kubeblocks.io/v1alpha1",
        "kind": "Cluster",
        "metadata": {
            "name": "gbx-mysql",
            "finalizers": ["cluster.kubeblocks.io/finalizer"],
            "labels": {"clawcloud-db-provider-cr": "gbx-mysql"},
        },
        "spec": {
            "clusterDefinitionRef": "apecloud-mysql",
            "componentSpecs": [{
                "name": "mysql",
                "replicas": 1,
                "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}},
                "volumeClaimTemplates": [{
                    "name": "data",
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "3Gi"}},
                    },
                }],
            }],
            "terminationPolicy": "Delete",
        },
    });
    let params = PatchParams::apply("ourapp");
    api.patch("gbx-mysql", &params, &Patch::Apply(database))
        .await
        .unwrap();
    let phase = || {
        cloud.object("clusters.apps.kubeblocks.io", PLACE, "gbx-mysql")["status"]["phase"].clone()
    };
    assert_eq!(phase(), "Creating");
    clock.advance(Duration::from_secs(90));
    assert_eq!(phase(), "Running");
    let secrets: Api<Secret> = Api::namespaced(client.clone(), PLACE);
    let data = secrets
        .get("gbx-mysql-conn-credential")
        .await
        .unwrap()
        .data
        .unwrap();
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    assert_eq!(keys, ["endpoint", "host", "password", "port", "username"]);
    assert_eq!(data["host"].0, b"gbx-mysql-mysql.ns-abc.svc");
    assert_eq!(cloud.objects("persistentvolumeclaims", PLACE).len(), 1);
    api.delete("gbx-mysql", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    assert!(cloud.names(PLACE).is_empty(), "{:?}", cloud.names(PLACE));
    assert!(cloud.objects("persistentvolumeclaims", PLACE).is_empty());
    assert!(cloud.objects("secrets", PLACE).is_empty());
}

#[tokio::test]
async fn an_ingress_takes_its_time_and_says_what_is_missing() {
    let clock = VirtualClock::at(START);
    let delay = Duration::from_secs(150);
    let cloud = cloud(&clock).ingress_delay(delay).start().await;
    let client = client(&cloud).await;
    let url = cloud.url_of(PLACE, "network-qwertyuiopas").await;
    let http = crate::faults::http();
    let get = async || {
        let answer = http.get(&url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let params = PatchParams::apply("ourapp");
    let ingresses: Api<k8s_openapi::api::networking::v1::Ingress> =
        Api::namespaced(client.clone(), PLACE);
    let patch = Patch::Apply(ingress());
    ingresses
        .patch("network-qwertyuiopas", &params, &patch)
        .await
        .unwrap();
    assert_eq!(get().await, (404, String::new()));
    clock.advance(delay);
    assert_eq!(get().await, (503, "no healthy upstream".to_owned()));
    let services: Api<k8s_openapi::api::core::v1::Service> = Api::namespaced(client.clone(), PLACE);
    let patch = Patch::Apply(service());
    services
        .patch("gbx-mnbvcxzasdfg", &params, &patch)
        .await
        .unwrap();
    deploy(&client, IMAGE).await;
    let (status, text) = get().await;
    assert_eq!(status, 200);
    assert!(text.ends_with("is simulated"), "{text}");
    let by_host = http
        .get(cloud.edge())
        .header("host", "qwertyuiopas.ap-southeast-1.clawcloudrun.com")
        .send()
        .await
        .unwrap();
    assert_eq!(by_host.status(), 200);
    assert_eq!(http.get(cloud.edge()).send().await.unwrap().status(), 404);
    let object = cloud.object("ingresses.networking.k8s.io", PLACE, "network-qwertyuiopas");
    assert!(object["status"]["loadBalancer"]["ingress"][0]["ip"].is_string());
}

#[tokio::test]
async fn controllers_can_be_made_to_wait() {
    let clock = VirtualClock::at(START);
    let cloud = cloud(&clock).on_demand().start().await;
    let client = client(&cloud).await;
    deploy(&client, IMAGE).await;
    assert!(cloud.objects("pods", PLACE).is_empty());
    assert_eq!(
        cloud.object("deployments.apps", PLACE, "gbx")["status"],
        json!({})
    );
    cloud.reconcile();
    assert_eq!(cloud.objects("pods", PLACE).len(), 1);
}
