//! Accounts: which kubeconfigs are taken, and what a namespace tells.

use contract::deploy::ProviderKind;
use deployer::kubernetes::account;
use deployer::provider::{Provider as _, ProviderError};
use std::time::Duration;
use testkit::clock::VirtualClock;
use testkit::kubernetes::{Dialect, FakeKubernetes, Right};
use vault::Secret;

use super::{Cloud, NOW, PLACE, desired};

/// Why a kubeconfig is refused.
fn refused(text: &str) -> String {
    let taken = account(ProviderKind::Kubernetes, &Secret::from(text));
    let refused = taken.err().unwrap();
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
    refused.to_string()
}

#[tokio::test]
async fn kubeconfigs_that_would_do_harm_are_refused_with_the_way_out() {
    let cloud = Cloud::new().await;
    let good = cloud.fake.kubeconfig("abc");
    let token = good
        .lines()
        .find_map(|line| line.trim().strip_prefix("token: "));
    let token = token.unwrap();
    let in_place_of_token = |text: &str| good.replace(&format!("token: {token}"), text);
    let exec =
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/tmp/x]}";
    let server = format!("server: https://{}", cloud.fake.address());
    let authority = good
        .lines()
        .find(|line| line.contains("certificate-authority-data"))
        .unwrap();
    for (text, words) in [
        (in_place_of_token(exec), "exec"),
        (
            in_place_of_token("auth-provider: {name: oidc}"),
            "auth-provider",
        ),
        (in_place_of_token("tokenFile: /etc/passwd"), "--flatten"),
        (
            in_place_of_token("client-certificate: /a\n    client-key: /b"),
            "--flatten",
        ),
        (in_place_of_token("{}"), "neither a token"),
        (
            good.replace(authority, "    certificate-authority: /etc/ca.pem"),
            "--flatten",
        ),
        (
            good.replace(authority, "    insecure-skip-tls-verify: true"),
            "insecure-skip-tls-verify",
        ),
        (
            good.replace(
                &server,
                &format!("{server}\n    proxy-url: http://10.0.0.1:1"),
            ),
            "proxy-url",
        ),
        (
            good.replace(&server, "server: http://k8s.example.com"),
            "https only",
        ),
        (good.replace("    namespace: ns-abc\n", ""), "namespace"),
        (
            good.replace("current-context: abc@sealos", "current-context: other"),
            "current-context",
        ),
        (
            good.replace("- name: abc\n", "- name: somebody\n"),
            "no user abc",
        ),
        (
            good.replace("    cluster: sealos\n", "    cluster: x\n"),
            "no cluster x",
        ),
        ("rnd_abcdefg".to_owned(), "paste the whole text"),
        ("[1, 2".to_owned(), "paste the whole text"),
    ] {
        let why = refused(&text);
        assert!(why.contains(words), "{words}: {why}");
        assert!(!why.contains(token), "{why}");
    }
    // What is wrong with a context that is not in use does no harm.
    let more = format!("{good}- name: other\n  user: {{{exec}}}\n");
    assert!(account(ProviderKind::Kubernetes, &Secret::new(more)).is_ok());
}

#[tokio::test]
async fn an_account_tells_who_where_and_what_is_left() {
    let cloud =
        Cloud::with(|builder| builder.quota(PLACE, &[("limits.memory", "4Gi"), ("pods", "4")]))
            .await;
    cloud.kubernetes.create(&desired("gb")).await.unwrap();
    let facts = cloud.kubernetes.probe().await.unwrap();
    let host = cloud.fake.address();
    assert_eq!(facts.name, format!("ns-abc/abc @ {host}"));
    assert_eq!(facts.missing_rights, [""; 0]);
    assert_eq!(
        facts.domain.as_deref(),
        Some("ap-southeast-1.clawcloudrun.com")
    );
    assert!(facts.regions.is_empty(), "the domain tells the region");
    assert!(facts.has_databases && facts.has_volumes);
    assert_eq!(facts.plans[0].id, "small");
    assert_eq!(facts.expires_at, None);
    let quota = |name: &str| {
        let found = facts.quotas.iter().find(|quota| quota.name == name);
        let found = found.unwrap();
        (found.used.clone(), found.limit.clone())
    };
    assert_eq!(quota("pods"), ("1".to_owned(), "4".to_owned()));
    assert_eq!(
        quota("limits.memory"),
        ("256Mi".to_owned(), "4Gi".to_owned())
    );
}

#[tokio::test]
async fn clusters_without_a_domain_or_databases_say_so() {
    let claw = cluster(Dialect::ClawCloud).await;
    let facts = probe(&claw, ProviderKind::ClawCloud).await.unwrap();
    assert_eq!(facts.domain, None);
    let regions: Vec<_> = facts.regions.iter().map(|one| one.id.as_str()).collect();
    assert!(regions.contains(&"ap-southeast-1"), "{regions:?}");
    // The region that was chosen tells the domain.
    let provider = account(
        ProviderKind::ClawCloud,
        &Secret::new(claw.kubeconfig("abc")),
    )
    .unwrap();
    let unclear = provider.create(&desired("gb")).await.unwrap_err();
    assert!(
        unclear.to_string().contains("Choose the region"),
        "{unclear}"
    );
    let mut wish = desired("gb");
    wish.region = Some("us-west-1".to_owned());
    let made = provider.create(&wish).await.unwrap();
    assert_eq!(made.region.as_deref(), Some("us-west-1"));
    assert!(made.url.unwrap().ends_with(".us-west-1.clawcloudrun.com"));
    let console = made.console_url.unwrap();
    assert_eq!(console, "https://us-west-1.run.claw.cloud/");

    let plain = cluster(Dialect::Plain).await;
    let facts = probe(&plain, ProviderKind::Kubernetes).await.unwrap();
    assert!(!facts.has_databases && facts.regions.is_empty());
    let provider = account(
        ProviderKind::Kubernetes,
        &Secret::new(plain.kubeconfig("abc")),
    );
    let unclear = provider.unwrap().create(&desired("gb")).await.unwrap_err();
    assert!(
        unclear.to_string().contains("Ingress with a host"),
        "{unclear}"
    );
    assert_eq!(plain.names(PLACE), [""; 0]);
    let wrong = probe(&plain, ProviderKind::ClawCloud).await.unwrap_err();
    assert!(
        wrong.to_string().contains("Add it as Kubernetes"),
        "{wrong}"
    );
}

async fn cluster(dialect: Dialect) -> FakeKubernetes {
    FakeKubernetes::builder()
        .dialect(dialect)
        .owner("abc", PLACE)
        .start()
        .await
}

async fn probe(
    fake: &FakeKubernetes,
    kind: ProviderKind,
) -> Result<contract::deploy::AccountFacts, ProviderError> {
    let secret = Secret::new(fake.kubeconfig("abc"));
    account(kind, &secret).unwrap().probe().await
}

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let fake = FakeKubernetes::builder()
        .user("guest", PLACE, Right::Developer, None)
        .start()
        .await;
    let secret = Secret::new(fake.kubeconfig("guest"));
    let guest = account(ProviderKind::ClawCloud, &secret).unwrap();
    let facts = guest.probe().await.unwrap();
    for right in ["create deployments.apps", "patch secrets", "create pods"] {
        let is_told = facts.missing_rights.iter().any(|told| told == right);
        assert!(is_told, "{right}: {:?}", facts.missing_rights);
    }
    assert!(!facts.missing_rights.contains(&"list pods".to_owned()));
    assert!(!facts.has_databases && !facts.has_volumes);
    let mut wish = desired("gb");
    wish.region = Some("us-west-1".to_owned());
    let forbidden = guest.create(&wish).await.unwrap_err();
    assert!(
        matches!(forbidden, ProviderError::Forbidden(_)),
        "{forbidden:?}"
    );
}

#[tokio::test]
async fn a_token_tells_its_end_and_is_refused_after_it() {
    let clock = VirtualClock::at(NOW);
    let hour = Duration::from_secs(3600);
    let fake = FakeKubernetes::builder()
        .clock(&clock)
        .user("abc", PLACE, Right::Owner, Some(hour))
        .start()
        .await;
    let old = Secret::new(fake.kubeconfig("abc"));
    let provider = account(ProviderKind::ClawCloud, &old).unwrap();
    let facts = provider.probe().await.unwrap();
    assert_eq!(facts.expires_at, Some(NOW + 3_600_000));
    clock.advance(hour);
    let ended = provider.probe().await.unwrap_err();
    assert!(
        matches!(&ended, ProviderError::Unauthorized(why) if why.contains("download it again")),
        "{ended:?}"
    );
    let renewed = Secret::new(fake.rotate_token("abc"));
    let renewed = account(ProviderKind::ClawCloud, &renewed).unwrap();
    // It is the same account.
    assert_eq!(renewed.probe().await.unwrap().name, facts.name);
}

#[tokio::test]
async fn arrears_are_named_as_such() {
    let cloud = Cloud::new().await;
    cloud.fake.lock_for_debt(PLACE);
    let writes = cloud.writes();
    let refused = cloud.kubernetes.create(&desired("gb")).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::QuotaExceeded(why) if why.contains("in arrears")),
        "{refused:?}"
    );
    assert_eq!(cloud.writes(), writes, "something was made");
    cloud.fake.unlock(PLACE);
    cloud.kubernetes.create(&desired("gb")).await.unwrap();
}
