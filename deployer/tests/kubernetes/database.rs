//! A MySQL of KubeBlocks beside the app.

use std::time::Duration;

use contract::deploy::{DeployProgress, ProviderKind};
use deployer::provider::{
    Data, DatabasePart, Desired, Provider as _, ProviderError, ProviderState, Value,
};
use serde_json::json;
use testkit::kubernetes::Dialect;

use super::{Cloud, PLACE, desired};

fn with_database() -> Desired {
    let mut wish = Desired {
        data: Data::InCluster { gib: 3 },
        ..desired("gb")
    };
    for (name, part) in [
        ("MYSQL_HOST", DatabasePart::Host),
        ("MYSQL_PORT", DatabasePart::Port),
        ("MYSQL_USER", DatabasePart::User),
        ("MYSQL_PASSWORD", DatabasePart::Password),
    ] {
        wish.variables
            .insert(name.to_owned(), Value::FromDatabase(part));
    }
    wish
}

#[tokio::test]
async fn a_database_is_made_once_awaited_and_used() {
    for (kind, dialect, label) in [
        (
            ProviderKind::ClawCloud,
            Dialect::ClawCloud,
            "clawcloud-db-provider-cr",
        ),
        (
            ProviderKind::Kubernetes,
            Dialect::Sealos,
            "sealos-db-provider-cr",
        ),
    ] {
        let minute = Duration::from_secs(60);
        let cloud = Cloud::of(kind, dialect, |builder| builder.database_delay(minute)).await;
        let (kubernetes, wish) = (&cloud.kubernetes, with_database());
        // Without it, the app is not made.
        let early = kubernetes.create(&wish).await.unwrap_err();
        assert!(matches!(early, ProviderError::NotFound(_)), "{early:?}");
        for _ in 0..2 {
            assert!(!kubernetes.create_database(&wish).await.unwrap());
        }
        let databases = cloud.fake.objects("clusters.apps.kubeblocks.io", PLACE);
        assert_eq!(databases.len(), 1);
        assert_eq!(databases[0]["metadata"]["labels"][label], "gb-mysql");
        // Until the app is there, too, these are parts.
        let there = cloud.look("gb").await.unwrap();
        assert_eq!(there.state, ProviderState::Partial);
        assert_eq!(there.data, Data::InCluster { gib: 3 });
        cloud.clock.advance(minute);
        assert!(kubernetes.create_database(&wish).await.unwrap());

        let made = kubernetes.create(&wish).await.unwrap();
        assert_eq!(made.data, Data::InCluster { gib: 3 });
        assert_eq!(
            made.variables["MYSQL_PASSWORD"], None,
            "it is not ours to tell"
        );
        let deploy = made.deploy.unwrap();
        let live = kubernetes.progress("gb", &deploy).await.unwrap();
        assert_eq!(live, DeployProgress::Live);
        let deployment = &cloud.made("deployments.apps")[0];
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let env = container["env"].as_array().unwrap();
        let host = env.iter().find(|one| one["name"] == "MYSQL_HOST").unwrap();
        let key = json!({ "name": "gb-mysql-conn-credential", "key": "host" });
        assert_eq!(host["valueFrom"]["secretKeyRef"], key);
        kubernetes.roll_back("gb", &deploy).await.unwrap();
        let there = cloud.look("gb").await.unwrap();
        assert_eq!(there.state, ProviderState::Running);

        kubernetes.delete("gb").await.unwrap();
        assert_eq!(cloud.names(), [""; 0], "with its data");
        assert!(cloud.fake.objects("secrets", PLACE).is_empty());
    }
}

#[tokio::test]
async fn a_database_that_was_begun_goes_with_the_app_that_never_came() {
    let cloud = Cloud::new().await;
    let wish = with_database();
    cloud.kubernetes.create_database(&wish).await.unwrap();
    cloud.kubernetes.delete("gb").await.unwrap();
    assert!(cloud.look("gb").await.is_none());
    assert_eq!(cloud.names(), [""; 0]);
}

#[tokio::test]
async fn a_database_that_does_not_fit_is_refused_before_anything_is_made() {
    let quota = [("count/roles.rbac.authorization.k8s.io", "0")];
    let cloud = Cloud::with(|builder| builder.quota(PLACE, &quota)).await;
    let refused = cloud.kubernetes.create_database(&with_database()).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, ProviderError::QuotaExceeded(_)),
        "{refused:?}"
    );
    assert_eq!(cloud.writes(), 0);
}

#[tokio::test]
async fn somebody_elses_database_of_that_name_is_left_alone() {
    let cloud = Cloud::new().await;
    let resource = "clusters.apps.kubeblocks.io";
    cloud.fake.edit(resource, PLACE, "gb-mysql", |made| {
        made["spec"] = json!({ "componentSpecs": [{ "name": "mysql" }] });
    });
    let taken = cloud.kubernetes.create_database(&with_database()).await;
    let taken = taken.unwrap_err();
    assert!(matches!(taken, ProviderError::Conflict(_)), "{taken:?}");
    assert!(cloud.look("gb").await.is_none());
    cloud.kubernetes.delete("gb").await.unwrap();
    assert!(!cloud.fake.object(resource, PLACE, "gb-mysql").is_null());
}

#[tokio::test]
async fn a_cluster_without_kubeblocks_says_what_else_there_is() {
    let cloud = Cloud::of(ProviderKind::Kubernetes, Dialect::Plain, |builder| builder).await;
    let refused = cloud.kubernetes.create_database(&with_database()).await;
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("volume"), "{refused}");
}

#[tokio::test]
async fn a_database_that_was_enlarged_in_the_console_stays_so() {
    let cloud = Cloud::new().await;
    let (kubernetes, wish) = (&cloud.kubernetes, with_database());
    kubernetes.create_database(&wish).await.unwrap();
    kubernetes.create(&wish).await.unwrap();
    let resource = "clusters.apps.kubeblocks.io";
    cloud.fake.edit(resource, PLACE, "gb-mysql", |made| {
        let claim = &mut made["spec"]["componentSpecs"][0]["volumeClaimTemplates"][0];
        claim["spec"]["resources"]["requests"]["storage"] = json!("10Gi");
    });
    assert!(kubernetes.create_database(&wish).await.unwrap());
    kubernetes.deploy("gb", &wish).await.unwrap();
    let there = cloud.look("gb").await.unwrap();
    assert_eq!(there.data, Data::InCluster { gib: 10 });
    assert_eq!(there.state, ProviderState::Running);
}
