//! Secrets of remotes, replaced.

use contract::ErrorCode;
use contract::admin::{KeyView, TokenCreated, TokenView};
use contract::deploy::{RemoteAccess, RemoteView, RunState, RunView, StepState};
use deployer::provider::ProviderError;
use reqwest::Method;
use serde_json::json;

use crate::cloud::Cloud;
use crate::remotes::REMOTES;
use crate::runs::{Sky, apply, ended, path};
use crate::truth::models;
use crate::world::{Ground, World};

async fn access(world: &World) -> (String, String, String) {
    let access: RemoteAccess = world.post(&path("access"), json!({})).await;
    (access.url, access.token.unwrap(), access.password.unwrap())
}

/// Replaces a secret, and waits for the end of it.
async fn rotate(world: &World, what: serde_json::Value) -> RunView {
    let _: RunView = world.post(&path("rotate"), what).await;
    ended(world).await
}

fn is_done(run: &RunView) {
    assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");
    assert!(run.steps.iter().all(|step| step.state == StepState::Done));
}

async fn signs_in(url: &str, password: &str) -> bool {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "password": password }).to_string();
    let answer = client
        .post(format!("{url}/api/login"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    answer.status() == 204
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_token_is_replaced_there_and_in_the_variables() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let (_, old, _) = access(&world).await;
    let run = rotate(&world, json!({"what": "client_token"})).await;
    is_done(&run);
    let (url, new, _) = access(&world).await;
    assert_ne!(old, new);
    assert_eq!(
        (models(&url, &new).await, models(&url, &old).await),
        (200, 401)
    );
    let there = sky.cloud.variable("one", "ALLOWED_TOKENS").unwrap();
    assert!(there.contains(&new) && !there.contains(&old));
    let text = serde_json::to_string(&run).unwrap();
    assert!(!text.contains(&new) && !text.contains(&old), "{text}");
    let audit = world.audit().await;
    assert!(audit.contains(&("remote_changed".to_owned(), "one".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_go_through_it_go_on_with_the_new_token() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let mine: TokenCreated = world.post("/api/tokens", json!({"name": "mine"})).await;
    let here = world.running.address();
    let route = json!({"remote": 1, "when_away": "hold"});
    let _: serde_json::Value = world.send(Method::PUT, "/api/deploy/route", route).await;
    let chat = async || {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({
            "model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hello."}],
        });
        let asked = client
            .post(format!("{here}/v1/chat/completions"))
            .bearer_auth(&mine.secret)
            .header("content-type", "application/json")
            .body(body.to_string());
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(chat().await, 200);
    let (_, old, _) = access(&world).await;
    is_done(&rotate(&world, json!({"what": "client_token"})).await);
    let (url, new, _) = access(&world).await;
    assert_eq!(
        (models(&url, &old).await, models(&url, &new).await),
        (401, 200)
    );
    assert_eq!(chat().await, 200, "with the new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_panels_password_is_replaced_and_goes_on_where_it_broke_off() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let (_, _, old) = access(&world).await;
    let refused = ProviderError::Refused("no changes today".to_owned());
    sky.cloud.fail("set_variables", refused);
    let run = rotate(&world, json!({"what": "auth_token"})).await;
    assert!(matches!(run.state, RunState::Failed { .. }), "{run:?}");
    // Its panel has taken the new one already, and this instance still gets in.
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert_eq!(keys.len(), 1);
    let made = sky.cloud.variable("one", "AUTH_TOKEN").unwrap();
    assert_eq!(made, old, "the variables say the old one");

    // Whether it is gone on with or asked for once more, the same new one is meant.
    is_done(&apply(&world).await);
    let (url, _, new) = access(&world).await;
    assert_ne!(old, new);
    assert!(signs_in(&url, &new).await && !signs_in(&url, &old).await);
    assert_eq!(sky.cloud.variable("one", "AUTH_TOKEN"), Some(new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_databases_password_is_tried_before_it_is_set() {
    let server = testkit::mariadb::shared().await;
    let database = server.fresh_database().await;
    let user = server.user_of(&database, "ALL PRIVILEGES").await;
    let sky = Sky::new().await;
    let mysql = json!({
        "kind": "mysql", "host": server.host(), "port": server.port(), "user": user.name,
        "password": user.password, "database": database, "ssl_mode": "PREFERRED",
    });
    let world = sky.deployed(|wish| wish["database"] = mysql).await;
    let new = |password: &str| json!({"what": "database_password", "password": password});
    let wrong = Some(new("not the password"));
    let (status, refused) = world.refused(Method::POST, &path("rotate"), wrong).await;
    assert_eq!((status, refused.code), (503, ErrorCode::Database));
    assert!(!refused.message.contains("not the password"), "{refused}");
    assert_eq!(sky.cloud.calls(), ["create"], "nothing was touched");

    let sql = format!(
        "ALTER USER '{}'@'%' IDENTIFIED BY 'changed there'",
        user.name
    );
    server.execute(&sql).await;
    is_done(&rotate(&world, new("changed there")).await);
    let there = sky.cloud.variable("one", "MYSQL_PASSWORD");
    assert_eq!(there.as_deref(), Some("changed there"));
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert_eq!(keys.len(), 1, "it runs on with its data");
    // It is what is kept from now on.
    let one: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    let wish = serde_json::to_value(one.wish).unwrap();
    let _: RemoteView = world.send(Method::PUT, &path("wish"), wish).await;
    let run = apply(&world).await;
    assert_eq!(run.steps, [], "all is as it should be");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_replaced_from_here_is_refused() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let none = json!({"what": "database_password", "password": "x"});
    let (status, refused) = world
        .refused(Method::POST, &path("rotate"), Some(none))
        .await;
    assert_eq!((status, refused.code), (400, ErrorCode::InvalidInput));
}

/// Its variables are not known, so its panel alone is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_one_that_was_added_are_replaced_in_its_panel() {
    let there = Ground::new(Cloud::new().providers()).start().await;
    let url = there.running.address();
    let world = Ground::new(Cloud::new().providers()).start().await;
    let add = json!({"name": "one", "url": url, "password": "correct horse"});
    let _: RemoteView = world.post(&format!("{REMOTES}/add"), add).await;

    is_done(&rotate(&world, json!({"what": "auth_token"})).await);
    assert!(!signs_in(&url, "correct horse").await);
    is_done(&rotate(&world, json!({"what": "client_token"})).await);
    let (_, first, password) = access(&world).await;
    assert!(signs_in(&url, &password).await);
    // Google is nowhere, but clients are let in.
    assert_ne!(models(&url, &first).await, 401);
    is_done(&rotate(&world, json!({"what": "client_token"})).await);
    let (_, second, _) = access(&world).await;
    assert_ne!(models(&url, &second).await, 401);
    assert_eq!(models(&url, &first).await, 401);
    let tokens: Vec<TokenView> = world.get(&path("panel/api/tokens")).await;
    assert_eq!(tokens.len(), 1, "{tokens:?}");
}
