//! Who may do what, and what there is at all.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview};
use k8s_openapi::api::core::v1::{Namespace, Node, Secret};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{Discovery, Scope};
use serde_json::json;
use testkit::clock::VirtualClock;
use testkit::kubernetes::{Dialect, FakeKubernetes, Right};

use crate::{
    PLACE, START, client, client_of, cloud, deployments, refusal, secret, secrets, started,
};

#[tokio::test]
async fn discovery_shows_the_dialect() {
    for (dialect, group) in [
        (Dialect::ClawCloud, "app.claw.cloud"),
        (Dialect::Sealos, "app.sealos.io"),
    ] {
        let cloud = cloud(&VirtualClock::at(START))
            .dialect(dialect)
            .start()
            .await;
        let client = client(&cloud).await;
        assert_eq!(client.apiserver_version().await.unwrap().major, "1");
        let found = Discovery::new(client).run().await.unwrap();
        assert!(found.has_group(group));
        assert_eq!(
            found.has_group("app.claw.cloud"),
            dialect == Dialect::ClawCloud
        );
        let cluster = GroupVersionKind::gvk("apps.kubeblocks.io", "v1alpha1", "Cluster");
        let (resource, capabilities) = found.resolve_gvk(&cluster).unwrap();
        assert_eq!(resource.plural, "clusters");
        assert_eq!(capabilities.scope, Scope::Namespaced);
        let deployment = GroupVersionKind::gvk("apps", "v1", "Deployment");
        let (_, capabilities) = found.resolve_gvk(&deployment).unwrap();
        let subresources: Vec<&str> = capabilities
            .subresources
            .iter()
            .map(|(it, _)| it.plural.as_str())
            .collect();
        assert_eq!(subresources, ["status", "scale"]);
    }
    let short = cloud(&VirtualClock::at(START)).start().await;
    let found = Discovery::new(client(&short).await)
        .run_aggregated()
        .await
        .unwrap();
    assert!(found.has_group("app.claw.cloud"));
    let deployment = GroupVersionKind::gvk("apps", "v1", "Deployment");
    let (resource, capabilities) = found.resolve_gvk(&deployment).unwrap();
    assert_eq!(
        (resource.plural.as_str(), capabilities.subresources.len()),
        ("deployments", 2)
    );
    let plain = cloud(&VirtualClock::at(START))
        .dialect(Dialect::Plain)
        .start()
        .await;
    let groups = client(&plain).await.list_api_groups().await.unwrap().groups;
    assert!(
        groups
            .iter()
            .all(|group| !group.name.contains("kubeblocks"))
    );
}

#[tokio::test]
async fn an_owner_has_a_namespace_and_nothing_else() {
    let (_cloud, _clock, client) = started().await;
    assert_eq!(client.default_namespace(), PLACE);
    assert!(
        deployments(&client)
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let user = "User \"system:serviceaccount:user-system:abc\"";

    let nodes: Api<Node> = Api::all(client.clone());
    let refused = refusal(nodes.list(&ListParams::default()).await.unwrap_err());
    assert_eq!(
        refused.message,
        format!(
            "nodes is forbidden: {user} cannot list resource \"nodes\" in API group \"\" at the \
             cluster scope"
        )
    );
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let elsewhere: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(client.clone(), "ns-other");
    let refused = refusal(elsewhere.get("x").await.unwrap_err());
    assert_eq!(
        refused.message,
        format!(
            "deployments.apps \"x\" is forbidden: {user} cannot get resource \"deployments\" in \
             API group \"apps\" in the namespace \"ns-other\""
        )
    );
    let own: Api<Namespace> = Api::all(client.clone());
    assert_eq!(own.get(PLACE).await.unwrap().metadata.name.unwrap(), PLACE);
    refusal(own.list(&ListParams::default()).await.unwrap_err());
}

#[tokio::test]
async fn rights_can_be_asked_for() {
    let clock = VirtualClock::at(START);
    let cloud = cloud(&clock)
        .user("dev", PLACE, Right::Developer, None)
        .start()
        .await;
    let owner = client(&cloud).await;
    let developer = client_of(&cloud.kubeconfig("dev")).await;
    let may =
        async |client: &kube::Client, verb: &str, group: &str, resource: &str, place: &str| {
            let review: SelfSubjectAccessReview = serde_json::from_value(json!({
                "spec": {"resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource, "namespace": place,
                }},
            }))
            .unwrap();
            let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
            let review = api.create(&PostParams::default(), &review).await.unwrap();
            review.status.unwrap().allowed
        };
    for resource in ["deployments", "ingresses", "secrets"] {
        assert!(may(&owner, "create", "apps", resource, PLACE).await);
        assert!(!may(&developer, "create", "apps", resource, PLACE).await);
        assert!(may(&developer, "watch", "apps", resource, PLACE).await);
    }
    assert!(!may(&owner, "list", "", "nodes", "").await);
    assert!(!may(&owner, "get", "", "pods", "default").await);

    let rules: SelfSubjectRulesReview =
        serde_json::from_value(json!({"spec": {"namespace": PLACE}})).unwrap();
    let api: Api<SelfSubjectRulesReview> = Api::all(owner.clone());
    let rules = api
        .create(&PostParams::default(), &rules)
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(rules.resource_rules[0].verbs, ["*"]);
    let api: Api<SelfSubjectReview> = Api::all(owner);
    let me = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .unwrap();
    assert_eq!(
        me.status.unwrap().user_info.unwrap().username.unwrap(),
        "system:serviceaccount:user-system:abc"
    );
    let refused: Secret = serde_json::from_value(secret("t")).unwrap();
    let refused = secrets(&developer)
        .create(&PostParams::default(), &refused)
        .await;
    assert_eq!(refusal(refused.unwrap_err()).code, 403);
}

#[tokio::test]
async fn tokens_end() {
    let clock = VirtualClock::at(START);
    let cloud = FakeKubernetes::builder()
        .clock(&clock)
        .user("abc", PLACE, Right::Owner, Some(Duration::from_secs(3600)))
        .start()
        .await;
    let first = client(&cloud).await;
    deployments(&first)
        .list(&ListParams::default())
        .await
        .unwrap();
    clock.advance(Duration::from_secs(3600));
    let refused = refusal(
        deployments(&first)
            .list(&ListParams::default())
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (401, "Unauthorized")
    );
    let second = client_of(&cloud.rotate_token("abc")).await;
    deployments(&second)
        .list(&ListParams::default())
        .await
        .unwrap();
    let third = client_of(&cloud.rotate_token("abc")).await;
    assert_eq!(
        refusal(deployments(&second).get("x").await.unwrap_err()).code,
        401
    );
    assert_eq!(
        refusal(deployments(&third).get("x").await.unwrap_err()).code,
        404
    );
}

#[tokio::test]
async fn what_there_is_not_is_a_path_that_there_is_not() {
    let (_cloud, _clock, client) = started().await;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("batch", "v1", "Job"));
    let jobs: Api<DynamicObject> = Api::namespaced_with(client, PLACE, &kind);
    let refused = refusal(jobs.list(&ListParams::default()).await.unwrap_err());
    assert_eq!(refused.code, 404);
    assert!(
        refused.message.contains("404 page not found"),
        "{refused:?}"
    );
}
