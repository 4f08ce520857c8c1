//! Keys, refusals and bad days.

use std::time::Duration;

use deployer::provider::{Provider as _, ProviderError};
use deployer::render::account;
use testkit::clock::Clock;
use testkit::cloud::{Fault, FaultRule};
use testkit::render::{KEY, ResetStyle};
use vault::Secret;

use super::{Cloud, desired};

#[tokio::test]
async fn an_account_tells_what_there_is_to_choose() {
    let cloud = Cloud::with(|builder| {
        (0..120).fold(builder, |builder, i| {
            builder.owner(format!("tea-{i}"), format!("Workspace {i}"))
        })
    })
    .await;
    let facts = cloud.render.probe().await.unwrap();
    assert_eq!(facts.name, "somebody@example.com");
    assert_eq!(facts.workspaces.len(), 120, "all pages");
    assert_eq!(facts.workspaces[119].name, "Workspace 119");
    assert_eq!(facts.plans[0].id, "free");
    assert_eq!(facts.regions[0].id, "singapore");
    assert!(!facts.has_databases);
}

#[tokio::test]
async fn a_key_is_refused_without_being_repeated() {
    let cloud = Cloud::new().await;
    cloud.fake.revoke_key(KEY);
    let refused = cloud.render.probe().await.unwrap_err();
    assert!(matches!(refused, ProviderError::Unauthorized(_)));
    let said = format!("the key {KEY} is not yours");
    cloud.fake.fault_next(Fault::Said(403, said));
    let refused = cloud.render.probe().await.unwrap_err();
    let clean = "the key *** is not yours".to_owned();
    assert_eq!(refused, ProviderError::Forbidden(clean));
    // a key that was copied with its line's end
    let copied = Secret::new(format!(" {KEY}\n"));
    cloud.fake.add_key(KEY);
    let render = account(copied, Some(&cloud.fake.base_url())).unwrap();
    render.probe().await.unwrap();
}

#[tokio::test]
async fn a_card_that_is_needed_is_told_in_renders_words() {
    let cloud = Cloud::new().await;
    let mut paid = desired("gb");
    paid.plan = Some("starter".to_owned());
    let refused = cloud.render.create(&paid).await.unwrap_err();
    let words = "Payment information is required to complete this request. To add a card, \
                 visit https://dashboard.render.com/billing";
    assert_eq!(refused, ProviderError::CardNeeded(words.to_owned()));
    cloud.fake.free_needs_card(true);
    let refused = cloud.render.create(&desired("gb")).await.unwrap_err();
    assert_eq!(refused, ProviderError::CardNeeded(words.to_owned()));
    let not_by_api = "free services cannot be created with the API";
    let rule = FaultRule::new(Fault::Said(400, not_by_api.to_owned()));
    cloud.fake.fault(rule.on("POST /v1/services"));
    let refused = cloud.render.create(&desired("gb")).await.unwrap_err();
    assert_eq!(refused, ProviderError::Refused(not_by_api.to_owned()));
}

#[tokio::test]
async fn a_pause_is_as_long_as_render_says_in_either_style() {
    for style in [ResetStyle::Seconds, ResetStyle::Epoch] {
        // A moment is compared with the answer's `Date`, which is the machine's.
        let cloud = Cloud::with(|builder| builder.reset_style(style).clock(Clock::System)).await;
        let pause = Fault::RateLimited(Duration::from_secs(1000));
        cloud.fake.fault_next(pause);
        let limited = cloud.render.probe().await.unwrap_err();
        let ProviderError::RateLimited { after, message } = limited else {
            panic!("{style:?}: {limited:?}");
        };
        assert!(
            (900..=1100).contains(&after.as_secs()),
            "{style:?}: {after:?}"
        );
        assert_eq!(message, "rate limit exceeded");
    }
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
        cloud.fake.fault(FaultRule::new(fault.clone()).times(2));
        let error = cloud.render.probe().await.unwrap_err();
        cloud.fake.clear_faults();
        assert!(
            matches!(error, ProviderError::Away(_)),
            "{fault:?}: {error:?}"
        );
        assert!(!error.to_string().contains('<'), "{error}");
    }
    for page in ["<html>Welcome</html>", "{\"email\": [\"hunter2\"]}", ""] {
        cloud.fake.fault_next(Fault::Page(200, page.to_owned()));
        let error = cloud.render.probe().await.unwrap_err();
        let ProviderError::Unexpected(what) = &error else {
            panic!("{page}: {error:?}");
        };
        assert!(what.starts_with("GET /users: "), "{what}");
        assert!(
            !what.contains("hunter2") && !what.contains("Welcome"),
            "{what}"
        );
    }
    cloud.fake.fault_next(Fault::Page(307, String::new()));
    let error = cloud.render.probe().await.unwrap_err();
    assert!(matches!(error, ProviderError::Unexpected(_)), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_a_bad_day() {
    let cloud = Cloud::new().await;
    let (address, render) = (cloud.fake.base_url(), cloud.render.clone());
    drop(cloud);
    let error = render.probe().await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Away(_)),
        "{address}: {error:?}"
    );
    assert!(error.to_string().contains("127.0.0.1 does not answer"));
}

#[tokio::test]
async fn ids_cannot_lead_elsewhere() {
    let cloud = Cloud::new().await;
    let id = cloud.render.create(&desired("gb")).await.unwrap().id;
    cloud.fake.clear_calls();
    let strange = format!("x/../../{id}");
    assert!(cloud.render.progress(&id, &strange).await.is_err());
    for seen in cloud.fake.calls() {
        assert!(
            seen.call
                .starts_with(&format!("GET /v1/services/{id}/deploys/x%2F"))
        );
    }
}
