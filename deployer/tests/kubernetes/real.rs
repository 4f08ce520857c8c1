//! A real API server, where there is one: `GB_TEST_KUBECONFIG` names a file with a kubeconfig
//! whose user owns its namespace. Nothing need run there: what is tried is whether the server
//! takes what is written, and whether nothing is left of it.

use contract::deploy::{DeployProgress, ProviderKind};
use deployer::kubernetes::account;
use deployer::provider::{Data, Desired, Power, Provider as _, ProviderError, ProviderState};
use vault::Secret;

use super::{desired, image, target};

#[tokio::test]
#[ignore = "needs a real cluster: set GB_TEST_KUBECONFIG to the path of a kubeconfig whose user \
            owns its namespace, in which some Ingress has a host, and run it with --ignored"]
async fn a_real_server_takes_what_is_written() {
    let path = std::env::var("GB_TEST_KUBECONFIG")
        .expect("GB_TEST_KUBECONFIG names a file with a kubeconfig");
    let kubeconfig = Secret::new(std::fs::read_to_string(path).unwrap());
    let cluster = account(ProviderKind::Kubernetes, &kubeconfig).unwrap();
    let facts = cluster.probe().await.unwrap();
    assert_eq!(facts.missing_rights, [""; 0]);
    for data in [Data::Elsewhere, Data::Volume { gib: 1 }] {
        let wish = Desired {
            data,
            ..desired("gb-real-test")
        };
        let made = cluster.create(&wish).await.unwrap();
        assert!(made.is_ours && made.url.is_some());
        assert_eq!(made.data, data);
        assert_eq!(made.variables.len(), wish.variables.len());
        let again = cluster.create(&wish).await.unwrap();
        assert_eq!(again.deploy, made.deploy);
        let next = Desired {
            image: image("2"),
            ..wish.clone()
        };
        cluster.set_variables(&made.id, &next).await.unwrap();
        let deploy = cluster.deploy(&made.id, &next).await.unwrap();
        assert_ne!(Some(&deploy), made.deploy.as_ref());
        let stands = cluster.progress(&made.id, &deploy).await.unwrap();
        assert!(!matches!(stands, DeployProgress::Replaced), "{stands:?}");
        cluster.power(&made.id, Power::Suspend).await.unwrap();
        let there = cluster.observe(&target(&made.id)).await.unwrap().unwrap();
        assert_eq!(there.state, ProviderState::Suspended);
        cluster.power(&made.id, Power::Resume).await.unwrap();
        cluster.power(&made.id, Power::Restart).await.unwrap();
        cluster.roll_back(&made.id, "1").await.unwrap();
        cluster.logs(&made.id, None).await.unwrap();
        cluster.events(&made.id).await.unwrap();
        cluster.usage(&made.id).await.unwrap();
        cluster.delete(&made.id).await.unwrap();
        let gone = cluster.deploy(&made.id, &wish).await.unwrap_err();
        assert!(matches!(gone, ProviderError::NotFound(_)), "{gone:?}");
    }
}
