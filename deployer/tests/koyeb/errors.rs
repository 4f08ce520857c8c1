//! Tokens, refusals and bad days.

use std::time::Duration;

use deployer::koyeb::account;
use deployer::provider::{Provider as _, ProviderError, Value};
use testkit::cloud::{Fault, FaultRule};
use testkit::koyeb::KEY;
use vault::Secret;

use super::{Cloud, desired};

#[tokio::test]
async fn an_account_tells_what_there_is_to_choose() {
    let cloud = Cloud::new().await;
    let facts = cloud.koyeb.probe().await.unwrap();
    assert_eq!(facts.name, "somebody@example.com (somebody)");
    assert!(facts.workspaces.is_empty());
    assert_eq!(facts.plans[0].id, "free");
    assert_eq!(facts.regions[0].id, "fra");
    assert!(!facts.has_databases && !facts.has_volumes);
    // a token that is the organization's own
    let rule = FaultRule::new(Fault::Status(403)).on("GET /v1/account/profile");
    cloud.fake.fault(rule);
    let facts = cloud.koyeb.probe().await.unwrap();
    assert_eq!(facts.name, "somebody");
}

#[tokio::test]
async fn a_token_is_refused_without_being_repeated() {
    let cloud = Cloud::new().await;
    let said = format!("the token {KEY} is not yours");
    cloud.fake.fault_next(Fault::Said(403, said));
    let refused = cloud.koyeb.probe().await.unwrap_err();
    let clean = "the token *** is not yours".to_owned();
    assert_eq!(refused, ProviderError::Forbidden(clean));
    let copied = Secret::new(format!(" {KEY}\n"));
    let koyeb = account(copied, Some(&cloud.fake.base_url())).unwrap();
    koyeb.probe().await.unwrap();
    cloud.fake.revoke_key(KEY);
    let refused = cloud.koyeb.probe().await.unwrap_err();
    assert!(matches!(refused, ProviderError::Unauthorized(_)));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field() {
    let cloud = Cloud::new().await;
    let mut wish = desired("gemini");
    wish.image = String::new();
    let refused = cloud.koyeb.create(&wish).await.unwrap_err();
    let ProviderError::Refused(said) = &refused else {
        panic!("{refused:?}");
    };
    assert!(said.contains("definition.docker.image"), "{said}");
    let template = Value::Plain("{{ secret.OTHER }}".to_owned());
    wish.variables.insert("SOME_TEXT".to_owned(), template);
    let refused = cloud.koyeb.create(&wish).await.unwrap_err();
    assert!(refused.to_string().contains("SOME_TEXT"), "{refused}");
}

#[tokio::test]
async fn a_card_that_is_needed_and_a_pause_that_is_wanted_are_told() {
    let cloud = Cloud::new().await;
    let rule = FaultRule::new(Fault::Status(402)).on("POST /v1/services");
    cloud.fake.fault(rule.times(1));
    let refused = cloud.koyeb.create(&desired("gemini")).await.unwrap_err();
    assert!(matches!(refused, ProviderError::CardNeeded(_)));
    let pause = Fault::RateLimited(Duration::from_secs(42));
    cloud.fake.fault_next(pause);
    let limited = cloud.koyeb.probe().await.unwrap_err();
    let ProviderError::RateLimited { after, .. } = limited else {
        panic!("{limited:?}");
    };
    assert_eq!(after, Duration::from_secs(42));
}

#[tokio::test]
async fn bad_days_pass_and_nonsense_does_not() {
    let cloud = Cloud::new().await;
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Page(502, "<html>Bad Gateway</html>".to_owned()),
        Fault::CutBefore,
    ] {
        // Twice: the client itself may try a broken connection again.
        let rule = FaultRule::new(fault.clone()).on("GET /v1/account/organization");
        cloud.fake.fault(rule.times(2));
        let error = cloud.koyeb.probe().await.unwrap_err();
        assert!(
            matches!(error, ProviderError::Away(_)),
            "{fault:?}: {error:?}"
        );
        assert!(!error.to_string().contains('<'), "{error}");
        // What is left of the rule, if anything, is used up.
        let _ = cloud.koyeb.probe().await;
    }
    for page in ["<html>Koyeb</html>", "{\"organization\": \"hunter2\"}", ""] {
        cloud.fake.fault_next(Fault::Page(200, page.to_owned()));
        let error = cloud.koyeb.probe().await.unwrap_err();
        let ProviderError::Unexpected(what) = &error else {
            panic!("{page}: {error:?}");
        };
        assert!(what.starts_with("GET /v1/account/organization: "), "{what}");
        assert!(!what.contains("hunter2") && !what.contains("<"), "{what}");
    }
}

#[tokio::test]
async fn ids_cannot_lead_elsewhere() {
    let cloud = Cloud::new().await;
    let id = cloud.koyeb.create(&desired("gemini")).await.unwrap().id;
    let before = cloud.fake.calls().len();
    let strange = format!("x/../../services/{id}");
    assert!(cloud.koyeb.progress(&id, &strange).await.is_err());
    for seen in cloud.fake.calls().iter().skip(before) {
        let is_one_segment = seen.call.starts_with("GET /v1/deployments/x%2F");
        assert!(is_one_segment, "{}", seen.call);
    }
}

#[tokio::test]
async fn a_service_that_is_being_deleted_is_none_and_its_name_is_not_free_yet() {
    let cloud = Cloud::new().await;
    let made = cloud.koyeb.create(&desired("gemini")).await.unwrap();
    let id = &made.id;
    let service =
        format!(r#"{{ "id": "{id}", "name": "gemini", "app_id": "a", "status": "DELETING" }}"#);
    let one = Fault::Page(200, format!(r#"{{ "service": {service} }}"#));
    let all = Fault::Page(200, format!(r#"{{ "services": [{service}] }}"#));
    cloud
        .fake
        .fault(FaultRule::new(one).on(format!("GET /v1/services/{id}")));
    assert!(cloud.look(id).await.is_none());
    cloud.fake.fault(FaultRule::new(all).on("GET /v1/services"));
    assert!(
        cloud
            .koyeb
            .observe(&super::named("gemini"))
            .await
            .unwrap()
            .is_none()
    );
    let services = cloud.done("POST /v1/services");
    let early = cloud.koyeb.create(&desired("gemini")).await.unwrap_err();
    assert!(matches!(early, ProviderError::Away(_)), "{early:?}");
    assert_eq!(cloud.done("POST /v1/services"), services);
}
