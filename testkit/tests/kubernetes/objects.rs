//! Making, reading, changing and deleting objects.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use kube::ResourceExt as _;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use serde_json::{Value, json};

use crate::{
    IMAGE, PLACE, deploy, deployment, deployments, pods, refusal, secret, secrets, service, started,
};

fn maps(client: &kube::Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), PLACE)
}

fn map(name: &str, labels: &Value) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "data": {"a": "1", "b": "2"},
    }))
    .unwrap()
}

#[tokio::test]
async fn objects_are_made_once_and_replaced_only_in_the_version_that_was_read() {
    let (cloud, _clock, client) = started().await;
    let api = maps(&client);
    let made = api
        .create(&PostParams::default(), &map("m", &json!({})))
        .await
        .unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let refused = api
        .create(&PostParams::default(), &map("m", &json!({})))
        .await
        .unwrap_err();
    let refused = refusal(refused);
    assert_eq!(refused.message, "configmaps \"m\" already exists");
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (409, "AlreadyExists")
    );

    let mut changed = made.clone();
    changed
        .data
        .as_mut()
        .unwrap()
        .insert("a".to_owned(), "3".to_owned());
    let changed = api
        .replace("m", &PostParams::default(), &changed)
        .await
        .unwrap();
    assert_ne!(changed.resource_version(), made.resource_version());
    let refused = refusal(
        api.replace("m", &PostParams::default(), &made)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "Operation cannot be fulfilled on configmaps \"m\": the object has been modified; please \
         apply your changes to the latest version and try again"
    );
    let refused = refusal(api.get("n").await.unwrap_err());
    assert_eq!(refused.message, "configmaps \"n\" not found");
    assert_eq!((refused.code, refused.reason.as_str()), (404, "NotFound"));
    let seen = cloud.requests();
    assert_eq!(seen.iter().filter(|request| request.is_write()).count(), 4);
    assert_eq!(seen.last().unwrap().status, Some(404));
}

#[tokio::test]
async fn every_kind_of_patch_patches() {
    let (_cloud, _clock, client) = started().await;
    let api = maps(&client);
    api.create(&PostParams::default(), &map("m", &json!({})))
        .await
        .unwrap();
    let params = PatchParams::default();
    let merge = Patch::Merge(json!({"data": {"a": null, "c": "3"}}));
    let merged = api.patch("m", &params, &merge).await.unwrap();
    assert_eq!(
        merged.data.unwrap().into_keys().collect::<Vec<_>>(),
        ["b", "c"]
    );
    let operations = serde_json::from_value(json!([
        {"op": "test", "path": "/data/b", "value": "2"},
        {"op": "replace", "path": "/data/b", "value": "4"},
    ]))
    .unwrap();
    let patched = api
        .patch("m", &params, &Patch::Json::<()>(operations))
        .await
        .unwrap();
    assert_eq!(patched.data.unwrap()["b"], "4");

    deploy(&client, IMAGE).await;
    let strategic = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [
        {"name": "gbx", "env": [
            {"name": "TZ", "$patch": "delete"},
            {"name": "NEW", "value": "1"},
        ]},
    ]}}}}));
    let patched = deployments(&client)
        .patch("gbx", &params, &strategic)
        .await
        .unwrap();
    let container = &patched.spec.template.spec.unwrap().containers[0];
    let names: Vec<&str> = container
        .env
        .as_ref()
        .unwrap()
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["AUTH_TOKEN", "NEW"]);
    assert_eq!(container.image.as_deref(), Some(IMAGE));
}

#[tokio::test]
async fn selectors_choose_and_long_lists_come_in_parts() {
    let (_cloud, _clock, client) = started().await;
    let api = maps(&client);
    for (name, labels) in [
        ("a", json!({"app": "x", "tier": "front"})),
        ("b", json!({"app": "x"})),
        ("c", json!({"app": "y"})),
    ] {
        api.create(&PostParams::default(), &map(name, &labels))
            .await
            .unwrap();
    }
    let names = async |params: &ListParams| -> Vec<String> {
        api.list(params)
            .await
            .unwrap()
            .items
            .iter()
            .map(|one| one.name_any())
            .collect()
    };
    let labels = |text: &str| ListParams::default().labels(text);
    assert_eq!(names(&labels("app=x")).await, ["a", "b"]);
    assert_eq!(names(&labels("app in (x, y),tier")).await, ["a"]);
    assert_eq!(names(&labels("app=x,!tier")).await, ["b"]);
    assert_eq!(names(&labels("app,app notin (x)")).await, ["c"]);
    assert_eq!(names(&labels("app,app!=x")).await, ["c"]);
    assert_eq!(
        names(&ListParams::default().fields("metadata.name=b")).await,
        ["b"]
    );
    let refused = api
        .list(&ListParams::default().fields("data.a=1"))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(refused).message,
        "field label not supported: data.a"
    );

    let first = api.list(&labels("app").limit(2)).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    let token = first.metadata.continue_.unwrap();
    let rest = api
        .list(&labels("app").limit(2).continue_token(&token))
        .await
        .unwrap();
    assert_eq!(rest.items[0].name_any(), "c");
    let short = api.list_metadata(&labels("app=y")).await.unwrap();
    assert_eq!(short.items[0].name_any(), "c");
}

#[tokio::test]
async fn wrong_objects_are_refused_with_every_cause() {
    let (_cloud, _clock, client) = started().await;
    let api = deployments(&client);
    let mut wrong = deployment("");
    wrong["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    let wrong: Deployment = serde_json::from_value(wrong).unwrap();
    let refused = refusal(
        api.create(&PostParams::default(), &wrong)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "Deployment.apps \"gbx\" is invalid: [spec.template.metadata.labels: Invalid value: \
         {\"app\":\"other\"}: `selector` does not match template `labels`, \
         spec.template.spec.containers[0].image: Required value]"
    );
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert_eq!(refused.details.unwrap().causes.len(), 2);

    deploy(&client, IMAGE).await;
    let mut moved = deployment(IMAGE);
    moved["spec"]["selector"]["matchLabels"] = json!({"app": "new"});
    moved["spec"]["template"]["metadata"]["labels"] = json!({"app": "new"});
    let params = PatchParams::apply("ourapp");
    let refused = refusal(
        api.patch("gbx", &params, &Patch::Apply(moved))
            .await
            .unwrap_err(),
    );
    assert!(
        refused.message.contains("spec.selector: Invalid value: ")
            && refused.message.ends_with("field is immutable"),
        "{}",
        refused.message
    );
    let mut named = service();
    named["metadata"]["name"] = json!("1-wrong");
    let named: Service = serde_json::from_value(named).unwrap();
    let services: Api<Service> = Api::namespaced(client.clone(), PLACE);
    let refused = refusal(
        services
            .create(&PostParams::default(), &named)
            .await
            .unwrap_err(),
    );
    assert!(refused.message.contains("a DNS-1035 label must consist of"));
}

#[tokio::test]
async fn owned_objects_go_with_their_owner_as_the_policy_says() {
    let (cloud, _clock, client) = started().await;
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), PLACE);
    let all = ListParams::default();
    let with = |policy| DeleteParams {
        propagation_policy: Some(policy),
        ..DeleteParams::default()
    };
    deploy(&client, IMAGE).await;
    assert_eq!(sets.list(&all).await.unwrap().items.len(), 1);
    let answer = deployments(&client)
        .delete("gbx", &DeleteParams::default())
        .await
        .unwrap();
    assert!(answer.right().unwrap().is_success());
    assert!(sets.list(&all).await.unwrap().items.is_empty());
    assert!(pods(&client).list(&all).await.unwrap().items.is_empty());

    deploy(&client, IMAGE).await;
    deployments(&client)
        .delete("gbx", &with(PropagationPolicy::Foreground))
        .await
        .unwrap();
    assert!(cloud.objects("deployments.apps", PLACE).is_empty());
    assert!(cloud.objects("pods", PLACE).is_empty());

    deploy(&client, IMAGE).await;
    deployments(&client)
        .delete("gbx", &with(PropagationPolicy::Orphan))
        .await
        .unwrap();
    assert!(cloud.objects("deployments.apps", PLACE).is_empty());
    assert_eq!(cloud.objects("pods", PLACE).len(), 1);
    // A Deployment that comes again does not take the orphans: theirs are another's labels.
    let orphans = sets.list(&all).await.unwrap().items;
    assert!(orphans[0].owner_references().is_empty());
}

#[tokio::test]
async fn deletions_can_be_tied_to_an_object_and_done_for_many() {
    let (cloud, _clock, client) = started().await;
    let api = maps(&client);
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &map(name, &json!({"app": "x"})))
            .await
            .unwrap();
    }
    let tied = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some("other".to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let refused = refusal(api.delete("a", &tied).await.unwrap_err());
    assert_eq!(refused.code, 409);
    assert!(
        refused
            .message
            .contains("Precondition failed: UID in precondition: other")
    );
    api.delete("a", &DeleteParams::default().dry_run())
        .await
        .unwrap();
    assert!(api.get_opt("a").await.unwrap().is_some());
    let chosen = ListParams::default().labels("app=x");
    api.delete_collection(&DeleteParams::default(), &chosen)
        .await
        .unwrap();
    let left: Vec<String> = cloud
        .objects("configmaps", PLACE)
        .iter()
        .map(|object| object["metadata"]["name"].to_string())
        .collect();
    assert_eq!(left, ["\"kube-root-ca.crt\""]);
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let (_cloud, _clock, client) = started().await;
    let api = maps(&client);
    let mut held = map("m", &json!({}));
    held.metadata.finalizers = Some(vec!["example.org/hold".to_owned()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    let waits = api
        .delete("m", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert!(waits.metadata.deletion_timestamp.is_some());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("m", &PatchParams::default(), &free)
        .await
        .unwrap();
    assert!(api.get_opt("m").await.unwrap().is_none());
}

#[tokio::test]
async fn what_the_server_adds_is_there() {
    let (_cloud, _clock, client) = started().await;
    let made: Secret = serde_json::from_value(secret("t")).unwrap();
    let made = secrets(&client)
        .create(&PostParams::default(), &made)
        .await
        .unwrap();
    assert_eq!(made.type_.as_deref(), Some("Opaque"));
    let services: Api<Service> = Api::namespaced(client.clone(), PLACE);
    let service: Service = serde_json::from_value(service()).unwrap();
    let service = services
        .create(&PostParams::default(), &service)
        .await
        .unwrap();
    let spec = service.spec.unwrap();
    assert!(spec.cluster_ip.unwrap().starts_with("10.96."));
    assert_eq!(spec.ports.unwrap()[0].protocol.as_deref(), Some("TCP"));
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), PLACE);
    let claim: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }))
    .unwrap();
    claims.create(&PostParams::default(), &claim).await.unwrap();
    let claim = claims.get("data").await.unwrap();
    assert_eq!(claim.status.unwrap().phase.as_deref(), Some("Bound"));
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"generateName": "one-"},
        "spec": {"containers": [{"name": "c", "image": "ghcr.io/o/n:latest"}]},
    }))
    .unwrap();
    let pod = pods(&client)
        .create(&PostParams::default(), &pod)
        .await
        .unwrap();
    assert_eq!(pod.name_any().len(), "one-".len() + 5);
    let container = &pod.spec.unwrap().containers[0];
    assert_eq!(container.image_pull_policy.as_deref(), Some("Always"));
}

#[tokio::test]
async fn workloads_have_a_scale() {
    let (cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let api = deployments(&client);
    let scale = api.get_scale("gbx").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(1));
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=gbx"));
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    api.patch_scale("gbx", &PatchParams::default(), &none)
        .await
        .unwrap();
    assert!(cloud.objects("pods", PLACE).is_empty());
}

#[tokio::test]
async fn a_volume_is_called_by_a_dns_label() {
    let (_cloud, _clock, client) = crate::started().await;
    let pod = |volume: &str| -> k8s_openapi::api::core::v1::Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "x"},
            "spec": {
                "containers": [{
                    "name": "c",
                    "image": crate::IMAGE,
                    "volumeMounts": [{"name": volume, "mountPath": "/data"}],
                }],
                "volumes": [{"name": volume, "emptyDir": {}}],
            },
        }))
        .unwrap()
    };
    let params = kube::api::PostParams::default();
    let pods = crate::pods(&client);
    let refused = pods.create(&params, &pod("vn-datavn-")).await;
    let refused = crate::refusal(refused.unwrap_err());
    assert_eq!(refused.code, 422);
    assert!(
        refused.message.contains("spec.volumes[0].name"),
        "{}",
        refused.message
    );
    pods.create(&params, &pod("vn-data")).await.unwrap();
}
