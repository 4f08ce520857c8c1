use contract::ErrorCode;
use contract::deploy::{AccountView, DeployState};
use reqwest::Method;
use serde_json::json;

use crate::cloud::{Cloud, KEY};
use crate::world::Ground;

const ACCOUNTS: &str = "/api/deploy/accounts";

fn of_render(secret: &str) -> serde_json::Value {
    json!({ "provider": "render", "secret": secret })
}

#[tokio::test]
async fn an_account_is_checked_kept_sealed_and_forgotten() {
    let cloud = Cloud::new();
    let ground = Ground::new(cloud.providers());
    let world = ground.start().await;
    let (status, refused) = world
        .refused(
            Method::POST,
            ACCOUNTS,
            Some(of_render("rnd_not_the_key_at_all")),
        )
        .await;
    assert_eq!((status, refused.code), (502, ErrorCode::AccountRefused));
    assert!(!refused.message.contains("rnd_"), "{refused}");
    assert!(world.get::<Vec<AccountView>>(ACCOUNTS).await.is_empty());

    let padded = format!("  {KEY}\n");
    let added: AccountView = world.post(ACCOUNTS, of_render(&padded)).await;
    assert_eq!((added.id, added.facts.name.as_str()), (1, "me@example.com"));
    assert_eq!(added.checked_at, ground.clock.now());
    world.stop().await;
    let written = ground.written();
    assert!(
        !written
            .windows(KEY.len())
            .any(|piece| piece == KEY.as_bytes())
    );

    let world = ground.start().await;
    assert_eq!(world.get::<Vec<AccountView>>(ACCOUNTS).await, [added]);
    let path = format!("{ACCOUNTS}/1");
    let (status, _) = world.call(Method::DELETE, &path, None).await;
    assert_eq!(status, 204);
    let (status, gone) = world.refused(Method::DELETE, &path, None).await;
    assert_eq!((status, gone.code), (404, ErrorCode::NotFound));
    let expected = [
        ("account_removed", "me@example.com"),
        ("account_added", "me@example.com"),
    ];
    let audit = world.audit().await;
    let audit: Vec<_> = audit
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(audit, expected);
}

#[tokio::test]
async fn a_new_key_of_the_same_account_takes_the_place_of_the_old_one() {
    let cloud = Cloud::new();
    let world = Ground::new(cloud.providers()).start().await;
    let first: AccountView = world.post(ACCOUNTS, of_render(KEY)).await;
    cloud.accept("rnd_a_second_key_of_the_account");
    let second: AccountView = world
        .post(ACCOUNTS, of_render("rnd_a_second_key_of_the_account"))
        .await;
    assert_eq!(second.id, first.id);
    assert_eq!(world.get::<Vec<AccountView>>(ACCOUNTS).await.len(), 1);
}

#[tokio::test]
async fn a_check_tells_what_is_wrong_and_keeps_what_was_known() {
    let cloud = Cloud::new();
    let ground = Ground::new(cloud.providers());
    let world = ground.start().await;
    let added: AccountView = world.post(ACCOUNTS, of_render(KEY)).await;
    cloud.refuse_all();
    ground.clock.advance(std::time::Duration::from_secs(60));
    let path = format!("{ACCOUNTS}/{}/check", added.id);
    let checked: AccountView = world.post(&path, json!({})).await;
    assert_eq!(checked.facts, added.facts);
    assert_eq!(checked.checked_at, ground.clock.now());
    assert_eq!(checked.problem.unwrap().code, ErrorCode::AccountRefused);
    cloud.accept(KEY);
    let checked: AccountView = world.post(&path, json!({})).await;
    assert_eq!(checked.problem, None);
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused_before_anybody_is_asked() {
    let cloud = Cloud::new();
    let world = Ground::new(cloud.providers()).start().await;
    for (new, expected) in [
        (of_render("   "), "is empty"),
        (
            json!({"provider": "claw_cloud", "secret": ""}),
            "kubeconfig",
        ),
        (of_render(&"x".repeat(300_000)), "too long"),
        (
            json!({"provider": "render", "secret": "x", "api": "ftp://x"}),
            "https://",
        ),
        (
            json!({"provider": "render", "secret": "x", "api": "https://u:p@x"}),
            "no user",
        ),
        (json!({"provider": "render"}), "openapi.json"),
        (json!({"provider": "heroku", "secret": "x"}), "openapi.json"),
    ] {
        let (status, said) = world.refused(Method::POST, ACCOUNTS, Some(new)).await;
        assert_eq!((status, said.code), (400, ErrorCode::InvalidInput));
        assert!(said.message.contains(expected), "{said}");
    }
    assert_eq!(cloud.probes(), 0);
}

#[tokio::test]
async fn without_a_sealing_key_nothing_is_taken() {
    let cloud = Cloud::new();
    let ground = Ground::new(cloud.providers()).without_sealing_key();
    let world = ground.start().await;
    let state: DeployState = world.get("/api/deploy").await;
    assert!(state.available && !state.default_image.is_empty());
    assert_eq!(state.problem.unwrap().code, ErrorCode::SealingKeyNeeded);
    let (status, refused) = world
        .refused(Method::POST, ACCOUNTS, Some(of_render(KEY)))
        .await;
    assert_eq!((status, refused.code), (409, ErrorCode::SealingKeyNeeded));
    assert_eq!(cloud.probes(), 0, "a key is not sent anywhere in vain");
}

#[tokio::test]
async fn an_instance_without_a_deployer_has_none_of_its_routes() {
    let ground = Ground::new(Cloud::new().providers()).with(&[("DEPLOYER", "false")]);
    let world = ground.start().await;
    for path in ["/api/deploy", ACCOUNTS] {
        let (status, refused) = world.refused(Method::GET, path, None).await;
        assert_eq!((status, refused.code), (404, ErrorCode::NotFound));
    }
}
