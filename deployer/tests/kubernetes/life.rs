//! From the making of an app to its end.

use contract::deploy::{Cost, DeployProgress, ProviderKind};
use deployer::provider::{
    Data, Desired, Power, Provider as _, ProviderError, ProviderState, Value,
};
use serde_json::json;
use testkit::kubernetes::Dialect;

use super::{Cloud, NOW, PASSWORD, PLACE, desired, image, value};

/// One whole life. It is the same on every cluster.
async fn lives(cloud: &Cloud) {
    let (kubernetes, wish) = (&cloud.kubernetes, desired("gb"));
    assert!(cloud.look("gb").await.is_none());

    // made
    let made = kubernetes.create(&wish).await.unwrap();
    assert_eq!((made.id.as_str(), made.is_ours), ("gb", true));
    let first = made.deploy.clone().unwrap();
    let live = kubernetes.progress("gb", &first).await.unwrap();
    assert_eq!(live, DeployProgress::Live);
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(there.plan.as_deref(), Some("small"));
    assert_eq!(there.data, Data::Elsewhere);
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(PASSWORD));
    assert_eq!(value(&there, "MOTTO"), Some("$(PORT) costs $5"));
    assert_eq!(there.variables.len(), wish.variables.len());
    assert!(!format!("{made:?}").contains(PASSWORD));
    let url = there.url.unwrap();

    // changed and deployed
    let mut next = Desired {
        image: image("2"),
        plan: Some("medium".to_owned()),
        ..wish.clone()
    };
    let more = Value::Plain("7".to_owned());
    next.variables.insert("MAX_RETRIES".to_owned(), more);
    next.variables.remove("AUTH_TOKEN");
    kubernetes.set_variables("gb", &next).await.unwrap();
    kubernetes.change("gb", &next).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(
        there.deploy.as_deref(),
        Some(first.as_str()),
        "not deployed"
    );
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(PASSWORD));
    let second = kubernetes.deploy("gb", &next).await.unwrap();
    assert_ne!(second, first);
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.deploy.as_deref(), Some(second.as_str()));
    assert_eq!(there.image.as_deref(), Some(image("2").as_str()));
    assert_eq!(there.plan.as_deref(), Some("medium"));
    assert_eq!(value(&there, "MAX_RETRIES"), Some("7"));
    assert_eq!(value(&there, "AUTH_TOKEN"), None);
    assert_eq!(there.url.as_deref(), Some(url.as_str()), "it has moved");
    let live = kubernetes.progress("gb", &second).await.unwrap();
    assert_eq!(live, DeployProgress::Live);

    // rolled back, with the variables that it had then
    let before = kubernetes.deploys("gb").await.unwrap();
    let known: Vec<_> = before
        .iter()
        .map(|one| (&*one.id, one.can_roll_back))
        .collect();
    assert_eq!(known, [(&*second, false), (&*first, true)]);
    assert_eq!(before[1].state, DeployProgress::Replaced);
    assert_eq!(before[1].image.as_deref(), Some(image("1").as_str()));
    assert_eq!(before[1].at, Some(NOW));
    let third = kubernetes.roll_back("gb", &first).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.deploy.as_deref(), Some(third.as_str()));
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(PASSWORD));

    // stopped, started, restarted
    for _ in 0..2 {
        kubernetes.power("gb", Power::Suspend).await.unwrap();
    }
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Suspended);
    assert_eq!(cloud.fake.objects("pods", PLACE).len(), 0);
    let fourth = kubernetes.deploy("gb", &next).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Suspended, "a deploy starts it");
    kubernetes.power("gb", Power::Resume).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.deploy.as_deref(), Some(fourth.as_str()));
    let pod = || cloud.fake.objects("pods", PLACE)[0]["metadata"]["uid"].clone();
    let before = pod();
    kubernetes.power("gb", Power::Restart).await.unwrap();
    assert_ne!(pod(), before, "the same process");
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.deploy.as_deref(), Some(fourth.as_str()));

    // watched
    let events = kubernetes.events("gb").await.unwrap();
    assert!(events.is_sorted_by(|a, b| a.at >= b.at));
    for text in ["Scaled up", "Started container"] {
        let is_told = events.iter().any(|event| event.text.contains(text));
        assert!(is_told, "{text}: {events:?}");
    }
    assert!(events.iter().all(|event| !event.is_problem), "{events:?}");
    assert_eq!(kubernetes.cost(&wish), Cost::Unknown);

    // gone
    kubernetes.delete("gb").await.unwrap();
    kubernetes.delete("gb").await.unwrap();
    assert!(cloud.look("gb").await.is_none());
    assert_eq!(cloud.names(), [""; 0]);
    let gone = kubernetes.deploy("gb", &wish).await.unwrap_err();
    assert!(matches!(gone, ProviderError::NotFound(_)), "{gone:?}");
}

#[tokio::test]
async fn an_app_lives_on_clawcloud() {
    lives(&Cloud::new().await).await;
}

#[tokio::test]
async fn an_app_lives_on_sealos() {
    lives(&Cloud::of(ProviderKind::Kubernetes, Dialect::Sealos, |builder| builder).await).await;
}

#[tokio::test]
async fn an_app_lives_on_any_kubernetes() {
    let cloud = Cloud::of(ProviderKind::Kubernetes, Dialect::Plain, |builder| builder).await;
    lives(&cloud).await;
    // As its neighbours do it.
    cloud.kubernetes.create(&desired("gb")).await.unwrap();
    let ingress = &cloud.made("ingresses.networking.k8s.io")[0];
    assert_eq!(ingress["spec"]["ingressClassName"], "nginx");
    assert_eq!(ingress["spec"]["tls"][0]["secretName"], "gb-tls");
    let issuer = &ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"];
    assert_eq!(issuer, "acme");
    let url = cloud.look("gb").await.unwrap().url.unwrap();
    assert!(url.ends_with(".apps.example.com"), "{url}");
}

#[tokio::test]
async fn the_objects_are_what_the_console_looks_for_and_a_careful_admin_wants() {
    for (kind, dialect, prefix) in [
        (
            ProviderKind::ClawCloud,
            Dialect::ClawCloud,
            "run.claw.cloud",
        ),
        (ProviderKind::Kubernetes, Dialect::Sealos, "cloud.sealos.io"),
    ] {
        let cloud = Cloud::of(kind, dialect, |builder| builder).await;
        cloud.kubernetes.create(&desired("gb")).await.unwrap();
        let one = |resource| {
            let all = cloud.made(resource);
            assert_eq!(all.len(), 1, "{resource}");
            let object = all.into_iter().next().unwrap();
            let label = format!("{prefix}/app-deploy-manager");
            assert_eq!(object["metadata"]["labels"][label], "gb", "{resource}");
            object
        };
        let deployment = one("deployments.apps");
        let annotations = &deployment["metadata"]["annotations"];
        assert_eq!(annotations[format!("deploy.{prefix}/minReplicas")], "1");
        assert_eq!(
            annotations["originImageName"],
            "ghcr.io/owner/gemini-balance:latest"
        );
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let container = &pod["containers"][0];
        assert_eq!(container["name"], "gb");
        assert_eq!(container["image"], *image("1"));
        let rights = &container["securityContext"];
        assert_eq!(rights["readOnlyRootFilesystem"], true);
        assert_eq!(rights["capabilities"]["drop"], json!(["ALL"]));
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert_eq!(container[probe]["httpGet"]["path"], "/health", "{probe}");
        }
        assert_eq!(container["resources"]["limits"]["memory"], "256Mi");
        // No secret but in Secrets.
        assert!(!deployment.to_string().contains(PASSWORD));

        let ingress = one("ingresses.networking.k8s.io");
        let annotations = &ingress["metadata"]["annotations"];
        assert_eq!(annotations["kubernetes.io/ingress.class"], "nginx");
        let rule = &ingress["spec"]["rules"][0];
        let host = rule["host"].as_str().unwrap();
        let front = host.split('.').next().unwrap();
        let label = format!("{prefix}/app-deploy-manager-domain");
        assert_eq!(ingress["metadata"]["labels"][label], front);
        assert_eq!(ingress["metadata"]["name"], *format!("network-{front}"));
        assert_eq!(ingress["spec"]["tls"][0]["secretName"], "wildcard-cert");
        let service = one("services");
        let backend = &rule["http"]["paths"][0]["backend"]["service"];
        assert_eq!(backend["name"], service["metadata"]["name"]);
        assert_eq!(service["spec"]["ports"][0]["port"], 8000);
        assert_eq!(one("secrets")["type"], "Opaque");
    }
}

#[tokio::test]
async fn the_originals_program_gets_the_rights_it_needs() {
    let original = "ghcr.io/snailyp/gemini-balance";
    let startup = std::time::Duration::ZERO;
    let image = testkit::kubernetes::Image::Simulated { startup };
    let cloud = Cloud::with(|builder| builder.image(original, image)).await;
    let wish = Desired {
        image: format!("{original}@sha256:{}", "3".repeat(64)),
        image_tag: format!("{original}:latest"),
        ..desired("gb")
    };
    cloud.kubernetes.create(&wish).await.unwrap();
    let pod = cloud.made("deployments.apps")[0]["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0];
    assert!(container["securityContext"].is_null(), "{container}");
    assert!(container["volumeMounts"].is_null(), "{container}");
    assert_eq!(container["resources"]["limits"]["memory"], "512Mi");
}

#[tokio::test]
async fn only_so_many_deploys_are_kept() {
    let cloud = Cloud::new().await;
    let mut wish = desired("gb");
    cloud.kubernetes.create(&wish).await.unwrap();
    for round in 0..9 {
        let value = Value::Plain(round.to_string());
        wish.variables.insert("MAX_RETRIES".to_owned(), value);
        let deploy = cloud.kubernetes.deploy("gb", &wish).await.unwrap();
        let live = cloud.kubernetes.progress("gb", &deploy).await.unwrap();
        assert_eq!(live, DeployProgress::Live);
    }
    let deploys = cloud.kubernetes.deploys("gb").await.unwrap();
    let ids: Vec<_> = deploys.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["10", "9", "8", "7", "6", "5"]);
    let last = deploys.last().unwrap();
    assert!(last.can_roll_back);
    let forgotten = cloud.kubernetes.roll_back("gb", "1").await.unwrap_err();
    assert!(matches!(forgotten, ProviderError::NotFound(_)));
    cloud.kubernetes.roll_back("gb", &last.id).await.unwrap();
}

#[tokio::test]
async fn a_volume_is_kept_over_deploys_and_goes_with_the_app() {
    let cloud = Cloud::new().await;
    let wish = Desired {
        data: Data::Volume { gib: 2 },
        ..desired("gb")
    };
    let made = cloud.kubernetes.create(&wish).await.unwrap();
    assert_eq!(made.data, Data::Volume { gib: 2 });
    let set = &cloud.made("statefulsets.apps")[0];
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/data");
    let claims = || cloud.fake.objects("persistentvolumeclaims", PLACE);
    let claim = claims()[0]["metadata"]["uid"].clone();
    assert_eq!(
        claims()[0]["spec"]["resources"]["requests"]["storage"],
        "2Gi"
    );

    let next = Desired {
        image: image("2"),
        ..wish.clone()
    };
    let deploy = cloud.kubernetes.deploy("gb", &next).await.unwrap();
    let live = cloud.kubernetes.progress("gb", &deploy).await.unwrap();
    assert_eq!(live, DeployProgress::Live);
    assert_eq!(claims()[0]["metadata"]["uid"], claim, "another volume");
    let back = made.deploy.unwrap();
    cloud.kubernetes.roll_back("gb", &back).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(there.data, Data::Volume { gib: 2 });
    cloud.kubernetes.power("gb", Power::Suspend).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Suspended);
    cloud.kubernetes.power("gb", Power::Resume).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Running);

    let larger = Desired {
        data: Data::Volume { gib: 3 },
        ..next
    };
    let refused = cloud.kubernetes.change("gb", &larger).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
    // One that is larger than was wished for is fine, and stays so.
    let smaller = Desired {
        data: Data::Volume { gib: 1 },
        ..wish
    };
    cloud.kubernetes.deploy("gb", &smaller).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.data, Data::Volume { gib: 2 });
    cloud.kubernetes.delete("gb").await.unwrap();
    assert_eq!(cloud.names(), [""; 0]);
}

#[tokio::test]
async fn an_app_is_made_again_over_the_volume_that_was_left_though_there_is_room_for_no_second() {
    let quota = [("requests.storage", "2Gi"), ("persistentvolumeclaims", "1")];
    let cloud = Cloud::with(|builder| builder.quota(PLACE, &quota)).await;
    let wish = Desired {
        data: Data::Volume { gib: 2 },
        ..desired("gb")
    };
    cloud.kubernetes.create(&wish).await.unwrap();
    let claims = || cloud.fake.objects("persistentvolumeclaims", PLACE);
    assert_eq!(claims()[0]["metadata"]["name"], "vn-data-gb-0");
    let claim = claims()[0]["metadata"]["uid"].clone();
    cloud.fake.delete("statefulsets.apps", PLACE, "gb");
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Partial);

    let again = cloud.kubernetes.create(&wish).await.unwrap();
    assert_eq!(again.state, ProviderState::Running);
    assert_eq!(claims().len(), 1);
    assert_eq!(claims()[0]["metadata"]["uid"], claim, "another volume");
}
