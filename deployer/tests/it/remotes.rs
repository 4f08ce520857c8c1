//! Remotes as they are kept, without a run.

use contract::ErrorCode;
use contract::deploy::{
    AccountView, Cost, PlanView, RemoteState, RemoteView, StepKind, VariableView, VariablesText,
};
use deployer::provider::ProviderError;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cloud::{Cloud, KEY};
use crate::world::{Ground, World};

pub const REMOTES: &str = "/api/deploy/remotes";

/// A wish for `name`, with a MySQL whose password is a secret.
pub fn wish(name: &str) -> Value {
    json!({
        "name": name, "account": 1, "workspace": "tea-1", "region": "singapore", "plan": "free",
        // Nobody answers there, and nobody need.
        "image": "127.0.0.1:1/owner/gemini-balance:latest",
        "database": {
            "kind": "mysql", "host": "127.0.0.1", "port": 3306, "user": "u",
            "password": "the database's password", "database": "gb", "ssl_mode": "PREFERRED",
        },
        "settings": [{"name": "MAX_RETRIES", "value": "5"}],
        "time_zone": "Asia/Shanghai",
    })
}

/// A server with an account of the cloud.
pub async fn with_account(ground: &Ground) -> World {
    let world = ground.start().await;
    let account = json!({ "provider": "render", "secret": KEY });
    let _: AccountView = world.post("/api/deploy/accounts", account).await;
    world
}

#[tokio::test]
async fn a_draft_keeps_its_secrets_and_shows_none() {
    let ground = Ground::new(Cloud::new().providers());
    let world = with_account(&ground).await;
    let draft: RemoteView = world.post(REMOTES, wish("one")).await;
    assert_eq!((draft.id, draft.state.clone()), (1, RemoteState::Draft));
    let shown = serde_json::to_value(&draft).unwrap();
    assert!(!shown.to_string().contains("the database's password"));
    let variables: Vec<VariableView> = world.get(&format!("{REMOTES}/1/variables")).await;
    let named = |name: &str| variables.iter().find(|one| one.name == name).unwrap();
    assert_eq!(named("MAX_RETRIES").value, "5");
    assert!(named("AUTH_TOKEN").secret && named("MYSQL_PASSWORD").secret);
    assert!(!variables.iter().any(|one| one.value.contains("password")));

    // What was shown and is sent back changes no secret.
    let mut again = shown["wish"].clone();
    again["plan"] = json!("starter");
    let path = format!("{REMOTES}/1/wish");
    let changed: RemoteView = world.send(Method::PUT, &path, again).await;
    assert_eq!(changed.wish.unwrap().plan.as_deref(), Some("starter"));
    world.stop().await;

    let world = ground.start().await;
    let question = json!({ "format": "env" });
    let path = format!("{REMOTES}/1/variables");
    let text: VariablesText = world.post(&path, question).await;
    assert!(
        text.text.contains("the database's password"),
        "{}",
        text.text
    );
    let audit = world.audit().await;
    assert_eq!(audit[0], ("exported".to_owned(), "one".to_owned()));
}

#[tokio::test]
async fn secrets_in_clear_want_the_password_again() {
    let ground = Ground::new(Cloud::new().providers());
    let world = with_account(&ground).await;
    let _: RemoteView = world.post(REMOTES, wish("one")).await;
    // It was given at sign-in, ten minutes ago and more.
    ground.clock.advance(std::time::Duration::from_secs(3600));
    for (path, body) in [
        ("variables", json!({"format": "env"})),
        ("access", json!({})),
    ] {
        let path = format!("{REMOTES}/1/{path}");
        let (status, refused) = world.refused(Method::POST, &path, Some(body)).await;
        assert_eq!((status, refused.code), (403, ErrorCode::PasswordAgain));
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let cloud = Cloud::new();
    let ground = Ground::new(cloud.providers());
    let world = with_account(&ground).await;
    let _: RemoteView = world.post(REMOTES, wish("one")).await;
    let (status, taken) = world
        .refused(Method::POST, REMOTES, Some(wish("one")))
        .await;
    assert_eq!((status, taken.code), (409, ErrorCode::NameTaken));
    let mut nowhere = wish("two");
    nowhere["account"] = json!(7);
    let (status, unknown) = world.refused(Method::POST, REMOTES, Some(nowhere)).await;
    assert_eq!((status, unknown.code), (404, ErrorCode::NotFound));
    let (status, used) = world
        .refused(Method::DELETE, "/api/deploy/accounts/1", None)
        .await;
    assert_eq!((status, used.code), (400, ErrorCode::InvalidInput));
    assert!(used.message.contains("one"), "{used}");

    for path in ["deploys", "logs", "events", "usage"] {
        let path = format!("{REMOTES}/1/{path}");
        let (status, nowhere) = world.refused(Method::GET, &path, None).await;
        assert_eq!((status, nowhere.code), (404, ErrorCode::NotFound), "{path}");
    }

    let add = json!({"name": "x", "url": "http://127.0.0.1:1/panel", "password": "secret"});
    let path = format!("{REMOTES}/add");
    let (status, refused) = world.refused(Method::POST, &path, Some(add)).await;
    assert_eq!((status, refused.code), (400, ErrorCode::InvalidInput));
    let add = json!({"name": "x", "url": "http://127.0.0.1:1", "password": "secret"});
    let (status, refused) = world.refused(Method::POST, &path, Some(add)).await;
    assert_eq!((status, refused.code), (502, ErrorCode::Unreachable));
    assert!(!refused.message.contains("secret"), "{refused}");
    assert!(cloud.calls().is_empty(), "nothing was made anywhere");
}

#[tokio::test]
async fn one_that_runs_is_added_after_signing_in_to_it() {
    let remote = Ground::new(Cloud::new().providers()).start().await;
    let ground = Ground::new(Cloud::new().providers());
    let world = ground.start().await;
    let path = format!("{REMOTES}/add");
    let mut add = json!({
        "name": "elsewhere", "url": remote.running.address(), "password": "wrong horse",
    });
    let (status, refused) = world.refused(Method::POST, &path, Some(add.clone())).await;
    assert_eq!((status, refused.code), (403, ErrorCode::WrongPassword));
    add["password"] = json!("correct horse");
    let added: RemoteView = world.post(&path, add).await;
    assert_eq!((added.provider, added.state), (None, RemoteState::Running));
    assert_eq!(added.url, Some(remote.running.address()));
    // What it should be is not known here.
    let (status, refused) = world
        .refused(Method::GET, &format!("{REMOTES}/1/plan"), None)
        .await;
    assert_eq!((status, refused.code), (400, ErrorCode::InvalidInput));
    let forgotten: RemoteView = world
        .post(&format!("{REMOTES}/1/action"), json!({"action": "forget"}))
        .await;
    assert_eq!(forgotten.name, "elsewhere");
    assert!(world.get::<Vec<RemoteView>>(REMOTES).await.is_empty());
    assert_eq!(remote.get::<Value>("/health").await["status"], "ok");
}

#[tokio::test]
async fn deleting_wants_the_name_typed() {
    let cloud = Cloud::new();
    let ground = Ground::new(cloud.providers());
    let world = with_account(&ground).await;
    let _: RemoteView = world.post(REMOTES, wish("one")).await;
    let path = format!("{REMOTES}/1/action");
    let wrong = json!({"action": "delete", "name": "on"});
    let (status, refused) = world.refused(Method::POST, &path, Some(wrong)).await;
    assert_eq!((status, refused.code), (400, ErrorCode::InvalidInput));
    let right = json!({"action": "delete", "name": "one"});
    let gone: RemoteView = world.post(&path, right).await;
    assert_eq!(gone.state, RemoteState::Gone);
    assert!(world.get::<Vec<RemoteView>>(REMOTES).await.is_empty());
    assert!(cloud.calls().is_empty(), "nothing of it was anywhere");
}

#[tokio::test]
async fn a_plan_says_what_would_be_made_and_makes_nothing() {
    let cloud = Cloud::new();
    let ground = Ground::new(cloud.providers());
    let world = with_account(&ground).await;
    let _: RemoteView = world.post(REMOTES, wish("one")).await;
    let path = format!("{REMOTES}/1/plan");
    let plan: PlanView = world.get(&path).await;
    let kinds: Vec<StepKind> = plan.steps.iter().map(|step| step.kind).collect();
    assert!(kinds.contains(&StepKind::CheckDatabase), "{kinds:?}");
    assert!(kinds.contains(&StepKind::CreateApp), "{kinds:?}");
    assert_eq!(
        (plan.cost.clone(), plan.foreign.clone()),
        (Cost::Free, None)
    );
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("the database's password"), "{text}");

    // Somebody else's app of that name is not touched.
    cloud.put_foreign("one");
    let plan: PlanView = world.get(&path).await;
    assert_eq!(plan.foreign.as_deref(), Some("one"));
    let adopt = json!({"action": "adopt"});
    let _: RemoteView = world.post(&format!("{REMOTES}/1/action"), adopt).await;
    let plan: PlanView = world.get(&path).await;
    assert_eq!(plan.foreign, None);

    cloud.fail(
        "observe",
        ProviderError::Away("the cloud is away".to_owned()),
    );
    let (status, away) = world.refused(Method::GET, &path, None).await;
    assert_eq!((status, away.code), (502, ErrorCode::Provider));
    assert!(away.message.contains("the cloud is away"), "{away}");
    assert_eq!(cloud.apps(), ["one"]);
    assert!(cloud.calls().is_empty(), "nothing was made");
}
