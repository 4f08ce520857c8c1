//! Quotas and limits of a namespace.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use testkit::clock::VirtualClock;

use crate::{
    IMAGE, PLACE, START, client, cloud, condition, deploy, deployment, deployments, pods, refusal,
};

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": IMAGE}]},
    }))
    .unwrap()
}

#[tokio::test]
async fn a_quota_refuses_in_its_own_words() {
    let cloud = cloud(&VirtualClock::at(START))
        .quota(PLACE, &[("pods", "1")])
        .start()
        .await;
    let client = client(&cloud).await;
    let api = pods(&client);
    api.create(&PostParams::default(), &pod("x1"))
        .await
        .unwrap();
    let refused = refusal(
        api.create(&PostParams::default(), &pod("x2"))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "pods \"x2\" is forbidden: exceeded quota: quota-ns-abc, requested: pods=1, used: pods=1, \
         limited: pods=1"
    );
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let quota = cloud.object("resourcequotas", PLACE, "quota-ns-abc");
    assert_eq!(
        quota["status"],
        json!({"hard": {"pods": "1"}, "used": {"pods": "1"}})
    );
}

#[tokio::test]
async fn arrears_lock_a_namespace_which_shows_in_the_deployment() {
    let cloud = cloud(&VirtualClock::at(START)).start().await;
    let client = client(&cloud).await;
    deploy(&client, IMAGE).await;
    cloud.lock_for_debt(PLACE);
    // What runs goes on, and what is new does not come: neither is it an error of the apply.
    let params = PatchParams::apply("ourapp");
    let patch = Patch::Apply(deployment("ghcr.io/o/n:2"));
    deployments(&client)
        .patch("gbx", &params, &patch)
        .await
        .unwrap();
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(condition(&object, "ReplicaFailure"), "True/FailedCreate");
    assert_eq!(
        condition(&object, "Available"),
        "True/MinimumReplicasAvailable"
    );
    let messages = object["status"]["conditions"].to_string();
    assert!(
        messages.contains("is forbidden: exceeded quota: debt-limit0, requested: "),
        "{messages}"
    );
    let refused = refusal(
        pods(&client)
            .create(&PostParams::default(), &pod("x"))
            .await
            .unwrap_err(),
    );
    assert!(
        refused
            .message
            .contains("failed quota: debt-limit0: must specify limits.cpu for: c"),
        "{}",
        refused.message
    );
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), PLACE);
    let claim = serde_json::from_value(json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }));
    let refused = claims
        .create(&PostParams::default(), &claim.unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        refusal(refused).message,
        "persistentvolumeclaims \"data\" is forbidden: exceeded quota: debt-limit0, requested: \
         requests.storage=1Gi, used: requests.storage=0, limited: requests.storage=0"
    );
    cloud.unlock(PLACE);
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    assert_eq!(condition(&object, "ReplicaFailure"), "");
    assert_eq!(
        condition(&object, "Progressing"),
        "True/NewReplicaSetAvailable"
    );
}

#[tokio::test]
async fn limits_are_given_and_kept() {
    let range = json!({
        "default": {"cpu": "50m", "memory": "64Mi"},
        "defaultRequest": {"cpu": "5m"},
        "max": {"cpu": "2"},
    });
    let cloud = cloud(&VirtualClock::at(START))
        .limit_range(PLACE, range)
        .quota(PLACE, &[("limits.cpu", "16")])
        .start()
        .await;
    let client = client(&cloud).await;
    let made = pods(&client)
        .create(&PostParams::default(), &pod("x"))
        .await
        .unwrap();
    let resources = made.spec.unwrap().containers[0].resources.clone().unwrap();
    assert_eq!(resources.limits.unwrap()["memory"].0, "64Mi");
    assert_eq!(resources.requests.unwrap()["cpu"].0, "5m");
    let mut large = deployment(IMAGE);
    large["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = json!("4");
    let patch = Patch::Apply(large);
    deployments(&client)
        .patch("gbx", &PatchParams::apply("a"), &patch)
        .await
        .unwrap();
    let object = cloud.object("deployments.apps", PLACE, "gbx");
    let told = object["status"]["conditions"].to_string();
    assert!(
        told.contains("maximum cpu usage per Container is 2, but limit is 4"),
        "{told}"
    );
}
