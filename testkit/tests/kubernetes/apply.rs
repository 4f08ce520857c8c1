//! Server-side apply.

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{IMAGE, deploy, deployment, deployments, refusal, secret, secrets, started};

fn data(values: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": values})
}

#[tokio::test]
async fn two_managers_of_one_field_conflict_in_the_servers_words() {
    let (_cloud, _clock, client) = started().await;
    let api = secrets(&client);
    let ours = PatchParams::apply("ourapp");
    let theirs = PatchParams::apply("console");
    let first = data(&json!({"A": "MQ==", "B": "Mg=="}));
    api.patch("s", &ours, &Patch::Apply(&first)).await.unwrap();

    let same = data(&json!({"A": "MQ=="}));
    api.patch("s", &theirs, &Patch::Apply(&same)).await.unwrap();
    let other = data(&json!({"A": "Mw=="}));
    let refused = refusal(
        api.patch("s", &theirs, &Patch::Apply(&other))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"ourapp\": .data.A"
    );
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let cause = &refused.details.unwrap().causes[0];
    assert_eq!(cause.reason, "FieldManagerConflict");
    assert_eq!(cause.field, ".data.A");

    let both = data(&json!({"A": "Mw==", "B": "Mw=="}));
    let refused = refusal(
        api.patch("s", &theirs, &Patch::Apply(&both))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "Apply failed with 2 conflicts: conflicts with \"ourapp\":\n- .data.A\n- .data.B"
    );
    let forced = api
        .patch("s", &theirs.clone().force(), &Patch::Apply(&both))
        .await
        .unwrap();
    assert_eq!(forced.data.unwrap()["A"].0, b"3");
    // What was taken is lost to us.
    let refused = refusal(
        api.patch("s", &ours, &Patch::Apply(&first))
            .await
            .unwrap_err(),
    );
    assert!(
        refused.message.contains("conflicts with \"console\""),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn what_is_not_applied_any_more_goes_unless_others_have_it() {
    let (_cloud, _clock, client) = started().await;
    let api = secrets(&client);
    let ours = PatchParams::apply("ourapp");
    let first = data(&json!({"A": "MQ==", "B": "Mg==", "C": "Mw=="}));
    api.patch("s", &ours, &Patch::Apply(&first)).await.unwrap();
    let shared = data(&json!({"C": "Mw=="}));
    api.patch("s", &PatchParams::apply("console"), &Patch::Apply(&shared))
        .await
        .unwrap();
    let after = api
        .patch("s", &ours, &Patch::Apply(data(&json!({"A": "MQ=="}))))
        .await
        .unwrap();
    let keys: Vec<String> = after.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["A", "C"]);
}

#[tokio::test]
async fn items_of_lists_are_merged_by_their_keys() {
    let (cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let api = deployments(&client);
    let more = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gbx"},
        "spec": {"template": {"spec": {"containers": [
            {"name": "gbx", "env": [{"name": "EXTRA", "value": "1"}]},
        ]}}},
    });
    let params = PatchParams::apply("kubectl");
    api.patch("gbx", &params, &Patch::Apply(&more))
        .await
        .unwrap();
    let object = cloud.object("deployments.apps", crate::PLACE, "gbx");
    let container = &object["spec"]["template"]["spec"]["containers"][0];
    let names: Vec<&Value> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["TZ", "AUTH_TOKEN", "EXTRA"]);
    assert_eq!(container["image"], IMAGE);

    let mut wrong = more.clone();
    wrong["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "TZ", "value": "UTC"}]);
    let refused = refusal(
        api.patch("gbx", &params, &Patch::Apply(&wrong))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"ourapp\": \
         .spec.template.spec.containers[name=\"gbx\"].env[name=\"TZ\"].value"
    );
    // Our apply leaves the item of others, and an item of ours that we drop goes.
    let mut less = deployment(IMAGE);
    less["spec"]["template"]["spec"]["containers"][0]["env"] = json!([]);
    api.patch("gbx", &PatchParams::apply("ourapp"), &Patch::Apply(&less))
        .await
        .unwrap();
    let object = cloud.object("deployments.apps", crate::PLACE, "gbx");
    let env = &object["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(*env, json!([{"name": "EXTRA", "value": "1"}]));
}

#[tokio::test]
async fn an_apply_that_changes_nothing_makes_no_new_version() {
    let (_cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let api = deployments(&client);
    let before = api.get("gbx").await.unwrap();
    let params = PatchParams::apply("ourapp");
    let after = api
        .patch("gbx", &params, &Patch::Apply(deployment(IMAGE)))
        .await
        .unwrap();
    assert_eq!(before.resource_version(), after.resource_version());
    assert_eq!(before.metadata.generation, after.metadata.generation);
    let managers: Vec<(String, String)> = after
        .managed_fields()
        .iter()
        .map(|one| (one.manager.clone().unwrap(), one.operation.clone().unwrap()))
        .collect();
    assert_eq!(managers[0], ("ourapp".to_owned(), "Apply".to_owned()));
    assert!(managers.contains(&("kube-controller-manager".to_owned(), "Update".to_owned())));
}

#[tokio::test]
async fn a_dry_run_shows_and_does_nothing() {
    let (cloud, _clock, client) = started().await;
    let api = deployments(&client);
    let dry = PatchParams::apply("ourapp").dry_run();
    let shown = api
        .patch("gbx", &dry, &Patch::Apply(deployment(IMAGE)))
        .await
        .unwrap();
    assert_eq!(shown.spec.progress_deadline_seconds, Some(600));
    assert_eq!(shown.metadata.generation, Some(1));
    assert!(cloud.names(crate::PLACE).is_empty());
    assert!(api.get_opt("gbx").await.unwrap().is_none());

    deploy(&client, IMAGE).await;
    let before = api.get("gbx").await.unwrap().resource_version();
    let changed = deployment("ghcr.io/o/n:2");
    let shown = api
        .patch("gbx", &dry, &Patch::Apply(&changed))
        .await
        .unwrap();
    assert_eq!(shown.metadata.generation, Some(2));
    assert_eq!(api.get("gbx").await.unwrap().resource_version(), before);
}

#[tokio::test]
async fn a_field_that_no_type_has_is_refused_with_its_path() {
    let (_cloud, _clock, client) = started().await;
    let mut wrong = deployment(IMAGE);
    wrong["spec"]["template"]["spec"]["containers"][0]["envs"] = json!([]);
    let params = PatchParams::apply("ourapp");
    let refused = refusal(
        deployments(&client)
            .patch("gbx", &params, &Patch::Apply(&wrong))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        refused.message,
        "failed to create typed patch object (ns-abc/gbx; apps/v1, Kind=Deployment): \
         .spec.template.spec.containers[name=\"gbx\"].envs: field not declared in schema"
    );
    let mut wrong = deployment(IMAGE);
    wrong["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!(8000);
    let refused = refusal(
        deployments(&client)
            .patch("gbx", &params, &Patch::Apply(&wrong))
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.code, 400);
    assert!(
        refused
            .message
            .starts_with("Deployment in version \"v1\" cannot be handled as a Deployment: ")
    );
}

#[tokio::test]
async fn text_of_a_secret_is_owned_as_text_and_kept_as_data() {
    let (_cloud, _clock, client) = started().await;
    let api = secrets(&client);
    let params = PatchParams::apply("ourapp");
    let made = api
        .patch("gbx-env", &params, &Patch::Apply(secret("a")))
        .await
        .unwrap();
    assert_eq!(made.string_data, None);
    assert_eq!(made.data.unwrap()["AUTH_TOKEN"].0, b"a");
    let refused = api
        .patch(
            "gbx-env",
            &PatchParams::apply("other"),
            &Patch::Apply(secret("b")),
        )
        .await
        .unwrap_err();
    assert_eq!(
        refusal(refused).message,
        "Apply failed with 1 conflict: conflict with \"ourapp\": .stringData.AUTH_TOKEN"
    );
}

#[tokio::test]
async fn ordinary_writers_are_named_with_their_version() {
    let (_cloud, _clock, client) = started().await;
    let api = secrets(&client);
    let made = serde_json::from_value(data(&json!({"A": "MQ=="}))).unwrap();
    let params = PostParams {
        field_manager: Some("editor".to_owned()),
        ..PostParams::default()
    };
    api.create(&params, &made).await.unwrap();
    let refused = api
        .patch(
            "s",
            &PatchParams::apply("ourapp"),
            &Patch::Apply(data(&json!({"A": "Mg=="}))),
        )
        .await
        .unwrap_err();
    assert_eq!(
        refusal(refused).message,
        "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.A"
    );
}

#[tokio::test]
async fn the_owners_of_fields_are_written_as_the_server_does() {
    let (cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let object = cloud.object("deployments.apps", crate::PLACE, "gbx");
    let entry = &object["metadata"]["managedFields"][0];
    assert_eq!(entry["manager"], "ourapp");
    assert_eq!(entry["apiVersion"], "apps/v1");
    assert_eq!(entry["time"], "2026-09-21T14:13:20Z");
    let fields = &entry["fieldsV1"];
    assert_eq!(
        fields["f:metadata"]["f:labels"],
        json!({"f:app": {}, "f:run.claw.cloud/app-deploy-manager": {}})
    );
    assert_eq!(fields["f:spec"]["f:selector"], json!({}));
    let containers = &fields["f:spec"]["f:template"]["f:spec"]["f:containers"];
    let container = &containers["k:{\"name\":\"gbx\"}"];
    assert_eq!(container["."], json!({}));
    assert_eq!(
        container["f:ports"],
        json!({"k:{\"containerPort\":8000,\"protocol\":\"TCP\"}": {
            ".": {}, "f:containerPort": {}, "f:name": {},
        }})
    );
    assert_eq!(
        container["f:env"]["k:{\"name\":\"AUTH_TOKEN\"}"],
        json!({".": {}, "f:name": {}, "f:valueFrom": {"f:secretKeyRef": {}}})
    );
    let status = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["subresource"] == "status")
        .unwrap();
    assert_eq!(status["manager"], "kube-controller-manager");
    assert!(status["fieldsV1"]["f:status"]["f:conditions"].is_object());
}
