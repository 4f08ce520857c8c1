//! Others who write to the same app: the console, the cloud, and a person with kubectl.

use contract::deploy::ProviderKind;
use deployer::provider::{
    Data, Desired, Power, Provider as _, ProviderError, ProviderState, Value,
};
use serde_json::json;
use testkit::kubernetes::{Dialect, Fault, Rule};

use super::{Cloud, PLACE, desired, image, value};

#[tokio::test]
async fn what_the_console_pauses_and_the_cloud_stops_is_told_apart_and_resumed() {
    for (kind, dialect) in [
        (ProviderKind::ClawCloud, Dialect::ClawCloud),
        (ProviderKind::Kubernetes, Dialect::Sealos),
    ] {
        let cloud = Cloud::of(kind, dialect, |builder| builder).await;
        let wish = desired("gb");
        cloud.kubernetes.create(&wish).await.unwrap();
        cloud.fake.pause_in_console(PLACE, "gb");
        let there = cloud.look("gb").await.unwrap();
        assert_eq!(there.state, ProviderState::Suspended);
        // It stays paused, and keeps its address.
        cloud.kubernetes.deploy("gb", &wish).await.unwrap();
        let there = cloud.look("gb").await.unwrap();
        assert_eq!(there.state, ProviderState::Suspended);
        cloud.kubernetes.power("gb", Power::Resume).await.unwrap();
        let there = cloud.look("gb").await.unwrap();
        assert_eq!(there.state, ProviderState::Running);
        let ingress = &cloud.made("ingresses.networking.k8s.io")[0];
        let class = &ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"];
        assert_eq!(class, "nginx");

        cloud.fake.stop_everything(PLACE);
        let there = cloud.look("gb").await.unwrap();
        let ProviderState::Stopped(why) = &there.state else {
            panic!("{:?}", there.state);
        };
        assert!(why.contains("resume"), "{why}");
        // A restart is no way around it.
        cloud.kubernetes.power("gb", Power::Restart).await.unwrap();
        let there = cloud.look("gb").await.unwrap();
        assert!(matches!(there.state, ProviderState::Stopped(_)));
        cloud.kubernetes.power("gb", Power::Resume).await.unwrap();
        let there = cloud.look("gb").await.unwrap();
        assert_eq!(there.state, ProviderState::Running);
        cloud.kubernetes.deploy("gb", &wish).await.unwrap();
    }
}

#[tokio::test]
async fn what_somebody_has_changed_is_a_conflict_and_not_overwritten() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    cloud.kubernetes.create(&wish).await.unwrap();
    cloud
        .fake
        .edit("deployments.apps", PLACE, "gb", |deployment| {
            let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
            container["resources"]["limits"]["memory"] = json!("1Gi");
        });
    let writes = cloud.writes();
    let conflict = cloud.kubernetes.deploy("gb", &wish).await.unwrap_err();
    assert!(
        matches!(&conflict, ProviderError::ChangedThere(why) if why.contains("memory")),
        "{conflict:?}"
    );
    assert_eq!(cloud.writes(), writes, "something was written before");
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.plan.as_deref(), Some("200m CPU, 1Gi"));
    // Unless that is what is wanted.
    let over = Desired { over: true, ..wish };
    cloud.kubernetes.deploy("gb", &over).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.plan.as_deref(), Some("small"));
}

#[tokio::test]
async fn variables_that_somebody_has_added_are_taken_away_with_the_next_deploy() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    cloud.kubernetes.create(&wish).await.unwrap();
    cloud
        .fake
        .edit("deployments.apps", PLACE, "gb", |deployment| {
            let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
            let env = container["env"].as_array_mut().unwrap();
            env.push(json!({ "name": "EXTRA", "value": "1" }));
        });
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(value(&there, "EXTRA"), Some("1"));
    let next = Desired {
        image: image("2"),
        ..wish.clone()
    };
    cloud.kubernetes.deploy("gb", &next).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert!(!there.variables.contains_key("EXTRA"));
    assert_eq!(there.variables.len(), wish.variables.len());
}

/// An app as App Launchpad writes it, with variables in clear.
fn from_console(cloud: &Cloud) {
    let labels = json!({ "run.claw.cloud/app-deploy-manager": "gb", "app": "gb" });
    cloud.fake.edit("deployments.apps", PLACE, "gb", |made| {
        made["metadata"]["labels"] = labels.clone();
        made["spec"] = json!({
            "replicas": 1,
            "selector": { "matchLabels": { "app": "gb" } },
            "template": {
                "metadata": { "labels": { "app": "gb" } },
                "spec": { "containers": [{
                    "name": "gb",
                    "image": image("1"),
                    "env": [
                        { "name": "AUTH_TOKEN", "value": "typed in the console" },
                        { "name": "BASE_URL", "value": "https://example.com" },
                    ],
                }] },
            },
        });
    });
    cloud.fake.edit("services", PLACE, "gb-console", |made| {
        made["metadata"]["labels"] = labels.clone();
        made["spec"] = json!({ "ports": [{ "port": 8000 }], "selector": { "app": "gb" } });
    });
    let domain = "ap-southeast-1.clawcloudrun.com";
    cloud.fake.edit(
        "ingresses.networking.k8s.io",
        PLACE,
        "network-console",
        |made| {
            let service = json!({ "name": "gb-console", "port": { "number": 8000 } });
            let path =
                json!({ "pathType": "Prefix", "path": "/", "backend": { "service": service } });
            made["metadata"]["labels"] = labels.clone();
            made["metadata"]["annotations"]["kubernetes.io/ingress.class"] = json!("nginx");
            let host = format!("console.{domain}");
            made["spec"] = json!({
                "rules": [{ "host": host, "http": { "paths": [path] } }],
                "tls": [{ "hosts": [host], "secretName": "wildcard-cert" }],
            });
        },
    );
}

#[tokio::test]
async fn an_app_of_the_console_is_not_touched_until_it_is_taken_over() {
    let cloud = Cloud::new().await;
    from_console(&cloud);
    let there = cloud.look("gb").await.unwrap();
    assert!(!there.is_ours);
    assert_eq!(value(&there, "AUTH_TOKEN"), Some("typed in the console"));
    let url = there.url.unwrap();
    assert!(url.contains("console.ap-southeast-1"), "{url}");
    let writes = cloud.writes();
    let taken = cloud.kubernetes.create(&desired("gb")).await.unwrap_err();
    assert!(matches!(taken, ProviderError::Conflict(_)), "{taken:?}");
    assert_eq!(cloud.writes(), writes);

    // Nor by its name alone, which somebody's app that is gone may have had.
    let (kubernetes, wish) = (&cloud.kubernetes, desired("gb"));
    for refused in [
        kubernetes.set_variables("gb", &wish).await,
        kubernetes.change("gb", &wish).await,
        kubernetes.deploy("gb", &wish).await.map(drop),
        kubernetes.power("gb", Power::Suspend).await,
        kubernetes.delete("gb").await,
        kubernetes.delete("gb@another").await,
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, ProviderError::Conflict(_)), "{refused:?}");
    }
    assert_eq!(cloud.writes(), writes);

    // Whoever deploys to the one that was seen has taken it over.
    kubernetes.deploy(&there.id, &wish).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert!(there.is_ours);
    assert_eq!(there.id, "gb");
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.url.as_deref(), Some(url.as_str()), "it has moved");
    let names: Vec<_> = there.variables.keys().cloned().collect();
    let wanted: Vec<_> = desired("gb").variables.into_keys().collect();
    assert_eq!(names, wanted);
    let deployment = cloud.fake.object("deployments.apps", PLACE, "gb");
    assert!(!deployment.to_string().contains("typed in the console"));
    assert_eq!(cloud.fake.objects("services", PLACE).len(), 1);

    // And further deploys are ordinary ones.
    let mut next = desired("gb");
    let more = Value::Plain("7".to_owned());
    next.variables.insert("MAX_RETRIES".to_owned(), more);
    cloud.kubernetes.deploy("gb", &next).await.unwrap();
    cloud.kubernetes.delete("gb").await.unwrap();
    assert_eq!(cloud.names(), [""; 0]);
}

#[tokio::test]
async fn another_app_whose_name_begins_alike_is_another() {
    let cloud = Cloud::new().await;
    for name in ["gb", "gb-two"] {
        cloud.kubernetes.create(&desired(name)).await.unwrap();
    }
    cloud.kubernetes.delete("gb").await.unwrap();
    assert!(cloud.look("gb").await.is_none());
    let there = cloud.look("gb-two").await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.data, Data::Elsewhere);
}

#[tokio::test]
async fn a_restart_leaves_as_many_as_the_user_has_scaled_it_to() {
    let cloud = Cloud::new().await;
    cloud.kubernetes.create(&desired("gb")).await.unwrap();
    cloud.fake.edit("deployments.apps", PLACE, "gb", |made| {
        made["spec"]["replicas"] = json!(3);
    });
    cloud.kubernetes.power("gb", Power::Restart).await.unwrap();
    let made = cloud.fake.object("deployments.apps", PLACE, "gb");
    assert_eq!(made["spec"]["replicas"], 3);
    assert_eq!(cloud.fake.objects("pods", PLACE).len(), 3);
}

#[tokio::test]
async fn where_a_password_would_go_in_clear_nothing_is_made() {
    let cloud = Cloud::of(ProviderKind::Kubernetes, Dialect::Plain, |builder| builder).await;
    let resource = "ingresses.networking.k8s.io";
    let with_tls = |tls: serde_json::Value| {
        cloud.fake.edit(resource, PLACE, "neighbour", |ingress| {
            ingress["metadata"]["annotations"] = json!({});
            ingress["spec"]["tls"] = tls;
        });
    };
    let of_the_neighbour =
        json!([{ "hosts": ["neighbour.apps.example.com"], "secretName": "its" }]);
    for tls in [json!([]), of_the_neighbour] {
        with_tls(tls);
        let writes = cloud.writes();
        let refused = cloud.kubernetes.create(&desired("gb")).await.unwrap_err();
        assert!(
            matches!(&refused, ProviderError::Refused(why) if why.contains("cert-manager")),
            "{refused:?}"
        );
        assert_eq!(cloud.writes(), writes, "something was made");
    }
    with_tls(json!([{ "hosts": ["*.apps.example.com"], "secretName": "shared" }]));
    let made = cloud.kubernetes.create(&desired("gb")).await.unwrap();
    assert!(made.url.unwrap().starts_with("https://"));
    let ingress = &cloud.made(resource)[0];
    assert_eq!(ingress["spec"]["tls"][0]["secretName"], "shared");
}

#[tokio::test]
async fn a_secret_variable_that_was_overwritten_in_the_console_is_named() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    cloud.kubernetes.create(&wish).await.unwrap();
    let edit = |change: &dyn Fn(&mut Vec<serde_json::Value>)| {
        cloud.fake.edit("deployments.apps", PLACE, "gb", |made| {
            let container = &mut made["spec"]["template"]["spec"]["containers"][0];
            change(container["env"].as_array_mut().unwrap());
        });
    };
    edit(&|env| {
        env.retain(|one| one["name"] != "AUTH_TOKEN");
        env.push(json!({ "name": "AUTH_TOKEN", "value": "typed in the console" }));
    });
    let writes = cloud.writes();
    let conflict = cloud.kubernetes.deploy("gb", &wish).await.unwrap_err();
    assert!(
        matches!(&conflict, ProviderError::ChangedThere(why) if why.contains("AUTH_TOKEN")),
        "{conflict:?}"
    );
    assert!(!conflict.to_string().contains("typed in the console"));
    assert_eq!(cloud.writes(), writes, "something was written before");
    let over = Desired {
        over: true,
        ..wish.clone()
    };
    cloud.kubernetes.deploy("gb", &over).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(super::PASSWORD));
    // As it says.
    edit(&|env| {
        env.retain(|one| one["name"] != "AUTH_TOKEN");
        env.push(json!({ "name": "AUTH_TOKEN", "value": "typed in the console" }));
    });
    edit(&|env| env.retain(|one| one["name"] != "AUTH_TOKEN"));
    cloud.kubernetes.deploy("gb", &wish).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(super::PASSWORD));
}

#[tokio::test]
async fn a_helm_release_of_the_same_name_is_left_alone() {
    let cloud = Cloud::of(ProviderKind::Kubernetes, Dialect::Plain, |builder| builder).await;
    let labels = json!({
        "app.kubernetes.io/instance": "gb", "app.kubernetes.io/managed-by": "Helm",
    });
    cloud.fake.edit("services", PLACE, "gb-postgres", |made| {
        made["metadata"]["labels"] = labels.clone();
        made["spec"] = json!({ "ports": [{ "port": 5432 }], "selector": { "app": "pg" } });
    });
    let before = cloud.fake.object("services", PLACE, "gb-postgres");
    cloud.kubernetes.create(&desired("gb")).await.unwrap();
    assert_eq!(cloud.fake.object("services", PLACE, "gb-postgres"), before);
    assert_eq!(cloud.made("services").len(), 1);
    cloud.kubernetes.delete("gb").await.unwrap();
    assert_eq!(cloud.fake.object("services", PLACE, "gb-postgres"), before);
}

#[tokio::test]
async fn what_an_app_ran_with_before_it_was_taken_over_is_not_lost() {
    let cloud = Cloud::new().await;
    from_console(&cloud);
    let id = cloud.look("gb").await.unwrap().id;
    let kubernetes = &cloud.kubernetes;

    // What the cluster refuses is refused before anything is taken away.
    let limit = [("limits.memory", "1Mi")];
    cloud.fake.edit("resourcequotas", PLACE, "tight", |quota| {
        quota["spec"] = json!({ "hard": { limit[0].0: limit[0].1 } });
    });
    let refused = kubernetes.deploy(&id, &desired("gb")).await.unwrap_err();
    assert!(
        matches!(refused, ProviderError::QuotaExceeded(_)),
        "{refused:?}"
    );
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(value(&there, "AUTH_TOKEN"), Some("typed in the console"));
    cloud.fake.delete("resourcequotas", PLACE, "tight");

    // It breaks off after they were taken away, and goes on.
    let rule = Rule::new(Fault::Status(503))
        .resource("deployments")
        .verb("patch");
    cloud.fake.fault(rule.skip(2).times(1));
    let lost = kubernetes.deploy(&id, &desired("gb")).await.unwrap_err();
    assert!(lost.may_pass(), "{lost:?}");
    let deploy = kubernetes.deploy(&id, &desired("gb")).await.unwrap();
    assert_eq!(deploy, "2");
    let deploys = kubernetes.deploys("gb").await.unwrap();
    let before = deploys.iter().find(|one| one.id == "1").unwrap();
    assert!(before.can_roll_back, "{before:?}");
    kubernetes.roll_back("gb", "1").await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(value(&there, "AUTH_TOKEN"), Some("typed in the console"));
    assert_eq!(there.variables.len(), 2);
}
