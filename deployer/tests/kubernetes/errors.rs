//! What goes wrong: at the API, and in pods.

use std::time::Duration;

use contract::deploy::DeployProgress;
use deployer::provider::{Data, Desired, Power, Provider as _, ProviderError, ProviderState};
use testkit::kubernetes::{Fault, Image, Rule};

use super::{Cloud, IMAGE, PASSWORD, PLACE, desired, image};

#[tokio::test]
async fn every_refusal_of_the_api_has_its_error() {
    use ProviderError as E;
    let cloud = Cloud::new().await;
    let fails = async |fault: Fault| {
        cloud.fake.fault_next(fault);
        let failed = cloud.kubernetes.deploys("gb").await.unwrap_err();
        cloud.fake.clear_faults();
        failed
    };
    let limited = fails(Fault::TooManyRequests { retry_after: 7 }).await;
    let E::RateLimited { after, .. } = limited else {
        panic!("{limited:?}");
    };
    assert_eq!(after, Duration::from_secs(7));
    for code in [500, 503, 504] {
        let away = fails(Fault::Status(code)).await;
        assert!(matches!(away, E::Away(_)), "{code}: {away:?}");
    }
    assert!(matches!(
        fails(Fault::Status(401)).await,
        E::Unauthorized(_)
    ));
    assert!(matches!(fails(Fault::Status(422)).await, E::Refused(_)));
    let closed = fails(Fault::Close).await;
    assert!(matches!(closed, E::Away(_)), "{closed:?}");
    // Two wrote at the same moment: it passes.
    let rule = Rule::new(Fault::Conflict).verb("patch").times(1);
    cloud.fake.fault(rule);
    let raced = cloud.kubernetes.create(&desired("gb")).await.unwrap_err();
    assert!(matches!(raced, E::Away(_)), "{raced:?}");
    let missing = cloud.kubernetes.deploys("gb").await.unwrap_err();
    assert!(matches!(missing, E::NotFound(_)), "{missing:?}");
}

#[tokio::test]
async fn neither_token_nor_password_is_told_by_an_error() {
    let cloud = Cloud::new().await;
    let config = cloud.fake.kubeconfig("abc");
    let token = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("token: "));
    let token = token.unwrap().to_owned();
    let mut wish = desired("gb");
    wish.name = "Not A Name".to_owned();
    let refused = cloud.kubernetes.create(&wish).await.unwrap_err();
    let text = format!("{refused:?}");
    assert!(!text.contains(&token) && !text.contains(PASSWORD), "{text}");
    drop(cloud.fake);
    let away = cloud.kubernetes.probe().await.unwrap_err();
    assert!(away.may_pass(), "{away:?}");
    assert!(!format!("{away:?}").contains(&token));
}

#[tokio::test]
async fn quotas_refuse_before_anything_is_made() {
    for (quota, data) in [
        ([("pods", "0")], Data::Elsewhere),
        ([("limits.memory", "100Mi")], Data::Elsewhere),
        ([("services", "0")], Data::Elsewhere),
        ([("count/deployments.apps", "0")], Data::Elsewhere),
        ([("requests.storage", "1Gi")], Data::Volume { gib: 2 }),
    ] {
        let cloud = Cloud::with(|builder| builder.quota(PLACE, &quota)).await;
        let wish = Desired {
            data,
            ..desired("gb")
        };
        let refused = cloud.kubernetes.create(&wish).await.unwrap_err();
        assert!(
            matches!(refused, ProviderError::QuotaExceeded(_)),
            "{quota:?}: {refused:?}"
        );
        assert_eq!(cloud.writes(), 0, "{quota:?}");
        assert!(cloud.look("gb").await.is_none());
    }
}

#[tokio::test]
async fn a_deploy_that_needs_more_than_there_is_leaves_the_one_before() {
    let quota = [("limits.memory", "600Mi")];
    let cloud = Cloud::with(|builder| builder.quota(PLACE, &quota)).await;
    cloud.kubernetes.create(&desired("gb")).await.unwrap();
    let larger = Desired {
        plan: Some("medium".to_owned()),
        ..desired("gb")
    };
    let refused = cloud.kubernetes.deploy("gb", &larger).await.unwrap_err();
    assert!(
        matches!(refused, ProviderError::QuotaExceeded(_)),
        "{refused:?}"
    );
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.deploy.as_deref(), Some("1"));
    let unknown = Desired {
        plan: Some("huge".to_owned()),
        ..desired("gb")
    };
    let refused = cloud.kubernetes.change("gb", &unknown).await.unwrap_err();
    assert!(refused.to_string().contains("small, medium or large"));
}

#[tokio::test]
async fn an_image_that_crashes_fails_with_its_log_and_the_version_before_serves() {
    let crash = Image::Crashes {
        code: 3,
        log: "no such table\nbye".to_owned(),
    };
    let cloud = Cloud::with(|builder| builder.image(&image("2"), crash)).await;
    let first = cloud.kubernetes.create(&desired("gb")).await.unwrap();
    let first = first.deploy.unwrap();
    // Somebody has to see that it came to life.
    cloud.kubernetes.progress("gb", &first).await.unwrap();
    let bad = Desired {
        image: image("2"),
        ..desired("gb")
    };
    let second = cloud.kubernetes.deploy("gb", &bad).await.unwrap();
    let stands = async || cloud.kubernetes.progress("gb", &second).await.unwrap();
    let mut stood = stands().await;
    assert!(
        matches!(stood, DeployProgress::UnderWay { .. }),
        "{stood:?}"
    );
    for _ in 0..10 {
        cloud.clock.advance(Duration::from_secs(60));
        stood = stands().await;
        if matches!(stood, DeployProgress::Failed { .. }) {
            break;
        }
    }
    let DeployProgress::Failed { detail } = stood else {
        panic!("{stood:?}");
    };
    assert!(detail.contains("exit code 3"), "{detail}");
    let there = cloud.look("gb").await.unwrap();
    let ProviderState::Failing(why) = &there.state else {
        panic!("{:?}", there.state);
    };
    assert!(why.contains("still serves"), "{why}");
    let log = cloud.kubernetes.logs("gb", None).await.unwrap();
    let lines: Vec<_> = log.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["no such table", "bye"]);
    let events = cloud.kubernetes.events("gb").await.unwrap();
    assert!(events.iter().any(|event| event.is_problem), "{events:?}");

    let back = cloud.kubernetes.roll_back("gb", &first).await.unwrap();
    let live = cloud.kubernetes.progress("gb", &back).await.unwrap();
    assert_eq!(live, DeployProgress::Live);
    let deploys = cloud.kubernetes.deploys("gb").await.unwrap();
    let failed = deploys.iter().find(|one| one.id == second).unwrap();
    assert!(matches!(failed.state, DeployProgress::Failed { .. }));
    assert!(!failed.can_roll_back, "to what never ran");
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
}

#[tokio::test]
async fn an_image_that_is_missing_fails_when_its_time_is_over() {
    let cloud = Cloud::with(|builder| builder.image(&image("1"), Image::Missing)).await;
    let made = cloud.kubernetes.create(&desired("gb")).await.unwrap();
    assert_eq!(made.state, ProviderState::Starting);
    let deploy = made.deploy.unwrap();
    let stands = async || cloud.kubernetes.progress("gb", &deploy).await.unwrap();
    let stood = stands().await;
    assert!(
        matches!(&stood, DeployProgress::UnderWay { detail } if detail.contains("pulled")),
        "{stood:?}"
    );
    cloud.clock.advance(Duration::from_secs(601));
    let stood = stands().await;
    assert!(
        matches!(&stood, DeployProgress::Failed { detail } if detail.contains("pulled")),
        "{stood:?}"
    );
    let there = cloud.look("gb").await.unwrap();
    assert!(matches!(there.state, ProviderState::Failing(_)));
}

#[tokio::test]
async fn a_pod_that_takes_its_time_is_under_way() {
    let startup = Duration::from_secs(30);
    let cloud = Cloud::with(|builder| builder.image(IMAGE, Image::Simulated { startup })).await;
    let made = cloud.kubernetes.create(&desired("gb")).await.unwrap();
    assert_eq!(made.state, ProviderState::Starting);
    let deploy = made.deploy.unwrap();
    let stood = cloud.kubernetes.progress("gb", &deploy).await.unwrap();
    assert!(
        matches!(stood, DeployProgress::UnderWay { .. }),
        "{stood:?}"
    );
    cloud.clock.advance(startup);
    let stood = cloud.kubernetes.progress("gb", &deploy).await.unwrap();
    assert_eq!(stood, DeployProgress::Live);
}

#[tokio::test]
async fn a_pod_with_a_volume_that_never_got_ready_is_not_in_the_way() {
    let crash = Image::Crashes {
        code: 3,
        log: String::new(),
    };
    let cloud = Cloud::with(|builder| builder.image(&image("2"), crash)).await;
    let wish = Desired {
        data: Data::Volume { gib: 1 },
        ..desired("gb")
    };
    let first = cloud.kubernetes.create(&wish).await.unwrap();
    let first = first.deploy.unwrap();
    let bad = Desired {
        image: image("2"),
        ..wish.clone()
    };
    let live = async |deploy: &str| {
        let stands = cloud.kubernetes.progress("gb", deploy).await.unwrap();
        assert_eq!(stands, DeployProgress::Live);
    };
    live(&first).await;
    cloud.kubernetes.deploy("gb", &bad).await.unwrap();
    let pod = || cloud.fake.object("pods", PLACE, "gb-0")["metadata"]["uid"].clone();
    let stuck = pod();
    cloud.kubernetes.power("gb", Power::Restart).await.unwrap();
    assert_ne!(pod(), stuck, "not restarted");
    live(&cloud.kubernetes.roll_back("gb", &first).await.unwrap()).await;
    cloud.kubernetes.deploy("gb", &bad).await.unwrap();
    live(&cloud.kubernetes.deploy("gb", &wish).await.unwrap()).await;
}
