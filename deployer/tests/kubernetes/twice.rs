//! Everything that may be asked twice, after an answer was lost or a program ended.

use deployer::provider::{Data, Desired, Provider as _, ProviderState};
use testkit::kubernetes::{Fault, Rule};

use super::{Cloud, PLACE, desired, image};

/// How many objects there are of each kind that an app is made of.
fn counts(cloud: &Cloud) -> [usize; 5] {
    [
        "deployments.apps",
        "services",
        "ingresses.networking.k8s.io",
        "secrets",
        "pods",
    ]
    .map(|resource| cloud.made(resource).len())
}

#[tokio::test]
async fn making_it_breaks_off_at_every_write_and_nothing_is_made_twice() {
    let mut broke_off = 0;
    loop {
        let cloud = Cloud::new().await;
        let wish = desired("gb");
        // Not the tries: those write nothing.
        let dry = 4;
        let rule = Rule::new(Fault::LoseAnswer).verb("patch");
        cloud.fake.fault(rule.skip(dry + broke_off).times(1));
        match cloud.kubernetes.create(&wish).await {
            Err(lost) => {
                assert!(lost.may_pass(), "{lost:?}");
                let there = cloud.look("gb").await.unwrap();
                assert!(there.is_ours);
                let again = cloud.kubernetes.create(&wish).await.unwrap();
                assert_eq!(again.state, ProviderState::Running);
                assert_eq!(again.deploy.as_deref(), Some("1"));
                assert_eq!(counts(&cloud), [1, 1, 1, 1, 1], "after write {broke_off}");
            }
            Ok(_) => break,
        }
        broke_off += 1;
    }
    assert_eq!(broke_off, 4, "Secret, Service, Ingress, Deployment");
}

#[tokio::test]
async fn what_an_attempt_left_is_seen_as_parts_and_taken_away_whole() {
    let cloud = Cloud::new().await;
    let wish = Desired {
        data: Data::Volume { gib: 1 },
        ..desired("gb")
    };
    let rule = Rule::new(Fault::Status(503))
        .resource("statefulsets")
        .verb("patch");
    // The try of it passes.
    cloud.fake.fault(rule.skip(1));
    let lost = cloud.kubernetes.create(&wish).await.unwrap_err();
    assert!(lost.may_pass(), "{lost:?}");
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.state, ProviderState::Partial);
    assert!(there.is_ours && there.deploy.is_none());
    cloud.kubernetes.delete("gb").await.unwrap();
    assert!(cloud.look("gb").await.is_none());
    assert_eq!(cloud.names(), [""; 0]);
}

#[tokio::test]
async fn a_deploy_whose_answer_was_lost_is_found() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    cloud.kubernetes.create(&wish).await.unwrap();
    let next = Desired {
        image: image("2"),
        ..wish
    };
    let rule = Rule::new(Fault::LoseAnswer)
        .resource("secrets")
        .verb("patch");
    cloud.fake.fault(rule.skip(1).times(1));
    let lost = cloud.kubernetes.deploy("gb", &next).await.unwrap_err();
    assert!(lost.may_pass(), "{lost:?}");
    let deploy = cloud.kubernetes.deploy("gb", &next).await.unwrap();
    assert_eq!(deploy, "2");
    assert_eq!(counts(&cloud), [1, 1, 1, 2, 1]);

    // Wished for once more, it is another one: the user wants new processes.
    let again = cloud.kubernetes.deploy("gb", &next).await.unwrap();
    assert_eq!(again, "3");
    assert_eq!(cloud.fake.objects("pods", PLACE).len(), 1);
}

#[tokio::test]
async fn what_was_prepared_is_taken_up_by_its_deploy() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    cloud.kubernetes.create(&wish).await.unwrap();
    let next = Desired {
        image: image("2"),
        ..wish
    };
    for _ in 0..3 {
        cloud.kubernetes.set_variables("gb", &next).await.unwrap();
    }
    assert_eq!(cloud.made("secrets").len(), 2);
    assert_eq!(cloud.kubernetes.deploys("gb").await.unwrap().len(), 1);
    assert_eq!(cloud.kubernetes.deploy("gb", &next).await.unwrap(), "2");
    assert_eq!(cloud.made("secrets").len(), 2);
}

#[tokio::test]
async fn deleting_breaks_off_and_goes_on() {
    let mut broke_off = 0;
    loop {
        let cloud = Cloud::new().await;
        cloud.kubernetes.create(&desired("gb")).await.unwrap();
        let rule = Rule::new(Fault::Status(500)).verb("delete");
        cloud.fake.fault(rule.skip(broke_off).times(1));
        let first = cloud.kubernetes.delete("gb").await;
        let had_trouble = first.is_err();
        if had_trouble {
            cloud.kubernetes.delete("gb").await.unwrap();
        }
        assert_eq!(cloud.names(), [""; 0], "after deletion {broke_off}");
        if !had_trouble {
            break;
        }
        broke_off += 1;
    }
    assert!(broke_off >= 4, "{broke_off}");
}
