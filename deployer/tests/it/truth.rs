//! Remotes and the instance that deployed them, made alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contract::ErrorCode;
use contract::admin::{
    AuditPage, KeyState, KeyView, Origin, SettingsView, TokenCreated, TokenView,
};
use contract::deploy::{
    Difference, DriftView, ImageProgram, PushReport, RemoteAccess, RemoteState, RemoteView,
    RemoteWish, RunState, RunView, VariablesText,
};
use deployer::provider::ProviderError;
use deployer::{Deployer, Host, Providers};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::wire::{Cut, Wire};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cloud::Cloud;
use crate::remotes::{REMOTES, with_account};
use crate::runs::{GEMINI, Sky, apply, ended, path};
use crate::world::{Ground, PASSWORD, World};

const SECOND: &str = "AIzaSySecond67890abcdefghijklmnop-2nd";
const ONLY_THERE: &str = "AIzaSyOnlyThere890abcdefghijklmn-there";

/// A change in the panel of `one`: another key, a token, a setting.
async fn change_there(world: &World) -> TokenCreated {
    let keys = json!({ "text": ONLY_THERE });
    let _: Value = world.post(&path("panel/api/keys/import"), keys).await;
    set_there(world, "MAX_RETRIES", "7").await;
    let name = json!({"name": "made there"});
    world.post(&path("panel/api/tokens"), name).await
}

async fn set_there(world: &World, name: &str, value: &str) {
    let there: SettingsView = world.get(&path("panel/api/settings")).await;
    let change = json!({"values": {name: value}, "revision": there.revision});
    let settings = path("panel/api/settings");
    let report: Value = world.send(Method::PATCH, &settings, change).await;
    assert_eq!(report["problems"], json!([]), "{report}");
}

/// Another key and a token here; the key and a setting are wished for `one`.
async fn change_here(world: &World) -> TokenCreated {
    let keys = json!({ "text": SECOND });
    let _: Value = world.post("/api/keys/import", keys).await;
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    let keys: Vec<i64> = keys.iter().map(|key| key.id).collect();
    change_wish(world, |wish| {
        wish["keys"] = json!(keys);
        wish["settings"] = json!([{"name": "MAX_RETRIES", "value": "5"}]);
    })
    .await;
    world
        .post("/api/tokens", json!({"name": "phone", "rules": {"rpm": 9}}))
        .await
}

async fn change_wish(world: &World, change: impl FnOnce(&mut Value)) {
    let mut wish = serde_json::to_value(wish(world).await).unwrap();
    change(&mut wish);
    let _: RemoteView = world.send(Method::PUT, &path("wish"), wish).await;
}

async fn wish(world: &World) -> RemoteWish {
    let one: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    one.wish.unwrap()
}

async fn drift(world: &World) -> DriftView {
    world.get(&path("drift")).await
}

async fn url(world: &World) -> String {
    let one: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    one.url.unwrap()
}

/// What a client gets that asks for the models.
pub async fn models(url: &str, token: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(format!("{url}/v1/models")).bearer_auth(token);
    asked.send().await.unwrap().status().as_u16()
}

fn sides(differences: &[Difference]) -> Vec<(bool, bool)> {
    let sides = differences.iter();
    sides
        .map(|one| (one.from.is_some(), one.to.is_some()))
        .collect()
}

/// What hosts have, besides the routes.
pub fn deployer(sky: &Sky, world: &World) -> Deployer {
    deployer_with(world, sky.cloud.providers())
}

fn deployer_with(world: &World, providers: Providers) -> Deployer {
    let core = world.running.core();
    Deployer::new(Host {
        store: core.store().clone(),
        clock: core.clock().clone(),
        tracker: TaskTracker::new(),
        stop: CancellationToken::new(),
        runtime: tokio::runtime::Handle::current(),
        providers,
        pause: std::sync::Arc::new(deployer::run::RealTime),
        zone: std::sync::Arc::new(|| jiff::tz::TimeZone::UTC),
        core: std::sync::Arc::downgrade(core),
    })
}

fn everything() -> Value {
    json!({"keys": true, "tokens": true, "settings": true})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_makes_a_remote_like_this_instance_at_once_and_for_its_next_start() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    assert_eq!(drift(&world).await, DriftView::default());
    let theirs = change_there(&world).await;
    let ours = change_here(&world).await;

    let seen = drift(&world).await;
    assert_eq!(
        sides(&seen.keys),
        [(false, true), (true, false)],
        "{seen:?}"
    );
    assert_eq!(
        sides(&seen.tokens),
        [(false, true), (true, false)],
        "{seen:?}"
    );
    let names: Vec<&str> = seen.tokens.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["phone", "made there"]);
    let setting = Difference {
        name: "MAX_RETRIES".to_owned(),
        from: Some("7".to_owned()),
        to: Some("5".to_owned()),
    };
    assert_eq!(seen.settings, [setting]);
    let names: Vec<&str> = seen.variables.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["API_KEYS", "MAX_RETRIES"], "not deployed yet");
    assert_eq!(
        (seen.image.as_ref(), seen.problems.len()),
        (None, 0),
        "{seen:?}"
    );
    let text = serde_json::to_string(&seen).unwrap();
    for secret in [GEMINI, SECOND, ONLY_THERE, &theirs.secret, &ours.secret] {
        assert!(!text.contains(secret), "{text}");
    }
    let deployer = deployer(&sky, &world);
    assert!(deployer.has_drifted(1).await.unwrap());

    let done: PushReport = world.post(&path("push"), everything()).await;
    let expected = PushReport {
        added: 2,
        changed: 1,
        removed: 2,
        ..PushReport::default()
    };
    assert_eq!(done, expected);
    assert_eq!(drift(&world).await, DriftView::default());
    assert!(!deployer.has_drifted(1).await.unwrap());
    assert_eq!(
        sky.cloud.calls(),
        ["create", "set_variables"],
        "no new deploy"
    );
    let at = url(&world).await;
    assert_eq!(
        models(&at, &ours.secret).await,
        200,
        "accepted there as here"
    );
    assert_eq!(models(&at, &theirs.secret).await, 401);
    let audit = world.audit().await;
    assert_eq!(audit[0], ("remote_changed".to_owned(), "one".to_owned()));

    // Its process starts anew and has lost everything but its variables.
    let restart = json!({"action": "restart"});
    let _: RemoteView = world.post(&path("action"), restart).await;
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert_eq!(keys.len(), 2);
    let seen = drift(&world).await;
    assert_eq!(sides(&seen.tokens), [(false, true)], "{seen:?}");
    assert_eq!((seen.keys.len(), seen.settings.len()), (0, 0), "{seen:?}");
    let fed = deployer.feed(1).await.unwrap();
    assert_eq!((fed.added, fed.problems.len()), (1, 0), "{fed:?}");
    assert_eq!(models(&url(&world).await, &ours.secret).await, 200);
    assert_eq!(drift(&world).await, DriftView::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_variables_come_with_a_deploy_only_a_push_says_that_they_wait() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    change_there(&world).await;
    change_here(&world).await;
    sky.cloud.take_variables_with_deploys();
    let done: PushReport = world.post(&path("push"), everything()).await;
    assert!(done.variables_wait && done.problems.is_empty(), "{done:?}");
    assert_eq!(sky.cloud.calls(), ["create"], "nothing is prepared in vain");
    let seen = drift(&world).await;
    assert_eq!((seen.keys.len(), seen.settings.len()), (0, 0), "{seen:?}");
    let names: Vec<&str> = seen.variables.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["API_KEYS", "MAX_RETRIES"], "{seen:?}");
    let again: PushReport = world.post(&path("push"), everything()).await;
    assert!(again.variables_wait, "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_its_variables_is_switched_off_when_it_is_no_longer_wished() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    let is_off = |key: &KeyView| key.state == KeyState::Disabled;
    assert!(!is_off(&keys[0]));
    let wished = wish(&world).await.keys;
    change_wish(&world, |wish| wish["keys"] = json!([])).await;
    let done: PushReport = world.post(&path("push"), json!({"keys": true})).await;
    assert_eq!((done.removed, done.problems.len()), (1, 0), "{done:?}");
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert!(is_off(&keys[0]));
    assert_eq!(sky.cloud.variable("one", "API_KEYS").as_deref(), Some("[]"));
    assert_eq!(drift(&world).await, DriftView::default());
    // Wished for again, it is switched on.
    change_wish(&world, |wish| wish["keys"] = json!(wished)).await;
    let done: PushReport = world.post(&path("push"), json!({"keys": true})).await;
    assert_eq!(done.changed, 1, "{done:?}");
    assert_eq!(drift(&world).await, DriftView::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_taken_and_nothing_here_is_lost() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let theirs = change_there(&world).await;
    let ours = change_here(&world).await;
    let done: PushReport = world.post(&path("take"), everything()).await;
    assert_eq!((done.added, done.removed), (2, 0), "{done:?}");
    assert_eq!(done.problems, []);
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    assert_eq!(keys.len(), 3);
    let wished = wish(&world).await;
    assert_eq!(wished.keys.len(), 3, "it has them all");
    assert_eq!(wished.settings[0].value.as_deref(), Some("7"));
    let tokens: Vec<TokenView> = world.get("/api/tokens").await;
    let names: Vec<&str> = tokens.iter().map(|token| token.name.as_str()).collect();
    assert!(
        names.contains(&"phone") && names.contains(&"made there"),
        "{names:?}"
    );
    assert!(
        tokens
            .iter()
            .any(|token| token.masked == theirs.token.masked)
    );
    // What is only here can still be pushed.
    let seen = drift(&world).await;
    assert_eq!(sides(&seen.keys), [(false, true)], "{seen:?}");
    assert_eq!(seen.tokens.len(), 1, "{seen:?}");
    assert_eq!(seen.tokens[0].name, ours.token.name);
    assert!(seen.settings.is_empty(), "{seen:?}");

    let page: AuditPage = world.get("/api/audit").await;
    let entry = page
        .entries
        .iter()
        .find(|entry| entry.undoable && entry.subject == "one");
    let undo = format!("/api/audit/{}/undo", entry.unwrap().id);
    let (status, said) = world.call(Method::POST, &undo, Some(json!({}))).await;
    assert_eq!(status, 204, "{said}");
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    assert_eq!(keys.len(), 2, "taken back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_a_token_are_compared_and_go_both_ways() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let ours = change_here(&world).await;
    let _: PushReport = world.post(&path("push"), everything()).await;
    let there: Vec<TokenView> = world.get(&path("panel/api/tokens")).await;
    let phone = there.iter().find(|token| token.name == "phone").unwrap();
    assert_eq!(phone.rules.rpm, Some(9));
    let patch = json!({"name": "tablet", "rules": {"rpm": 3}});
    let token = path(&format!("panel/api/tokens/{}", phone.id));
    let _: TokenView = world.send(Method::PATCH, &token, patch).await;
    let seen = drift(&world).await;
    assert_eq!(seen.tokens.len(), 1, "{seen:?}");
    assert!(
        seen.tokens[0].from.as_ref().unwrap().contains("rpm 3"),
        "{seen:?}"
    );
    let done: PushReport = world.post(&path("take"), json!({"tokens": true})).await;
    assert_eq!((done.added, done.changed), (0, 1), "{done:?}");
    let here: Vec<TokenView> = world.get("/api/tokens").await;
    let tablet = here.iter().find(|token| token.id == ours.token.id).unwrap();
    assert_eq!(
        (tablet.name.as_str(), tablet.rules.rpm),
        ("tablet", Some(3))
    );
    assert_eq!(drift(&world).await, DriftView::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_compared_is_said() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    // Somebody was in the cloud's console.
    sky.cloud.set_variable("one", "MAX_RETRIES", "2");
    let seen = drift(&world).await;
    let names: Vec<&str> = seen.variables.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["MAX_RETRIES"], "{seen:?}");
    let suspend = json!({"action": "suspend"});
    let suspended: RemoteView = world.post(&path("action"), suspend).await;
    assert_eq!(suspended.state, RemoteState::Suspended);
    let seen = drift(&world).await;
    assert_eq!(seen.variables.len(), 1, "the provider can still be asked");
    assert_eq!(seen.problems.len(), 1, "{seen:?}");
    assert_eq!(seen.problems[0].code, ErrorCode::Unreachable);
    let (status, away) = world
        .refused(Method::POST, &path("push"), Some(everything()))
        .await;
    assert_eq!((status, away.code), (502, ErrorCode::Unreachable));
    sky.cloud.refuse_all();
    assert_eq!(drift(&world).await.problems.len(), 2);

    let ground = Ground::new(Cloud::new().providers());
    let world = with_account(&ground).await;
    let _: RemoteView = world.post(REMOTES, crate::remotes::wish("one")).await;
    let (status, nowhere) = world.refused(Method::GET, &path("drift"), None).await;
    assert_eq!((status, nowhere.code), (404, ErrorCode::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_keys_that_look_alike_none_is_removed() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    // First and last characters are those of the key that it should have.
    let twin = "AIzaSyTwin34567890abcdefghijklmnopqrstuv";
    let keys = json!({ "text": twin });
    let _: Value = world.post(&path("panel/api/keys/import"), keys).await;
    let seen = drift(&world).await;
    assert_eq!((seen.keys.len(), seen.problems.len()), (0, 1), "{seen:?}");
    let done: PushReport = world.post(&path("push"), json!({"keys": true})).await;
    assert_eq!((done.removed, done.problems.len()), (0, 1), "{done:?}");
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert_eq!(keys.len(), 2);
}

/// One that was added by its address has no wish: keys and tokens are those in use here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_added_is_compared_with_all_keys_and_tokens_of_this_instance() {
    let there = Ground::new(Cloud::new().providers()).start().await;
    let ground = Ground::new(Cloud::new().providers()).with(&[("API_KEYS", GEMINI)]);
    let world = ground.start().await;
    let add = json!({
        "name": "one", "url": there.running.address(), "password": "correct horse",
    });
    let _: RemoteView = world.post(&format!("{REMOTES}/add"), add).await;
    let seen = drift(&world).await;
    assert_eq!(sides(&seen.keys), [(false, true)], "{seen:?}");
    assert_eq!(
        (seen.settings.len(), seen.problems.len()),
        (0, 0),
        "{seen:?}"
    );
    // Keys leave only when whoever sits there knows the password.
    ground.clock.advance(std::time::Duration::from_secs(3600));
    let (status, again) = world
        .refused(Method::POST, &path("push"), Some(everything()))
        .await;
    assert_eq!((status, again.code), (403, ErrorCode::PasswordAgain));
    assert!(there.get::<Vec<KeyView>>("/api/keys").await.is_empty());
    let password = json!({"password": "correct horse"});
    let confirm = "/api/account/confirm";
    let (status, _) = world.call(Method::POST, confirm, Some(password)).await;
    assert_eq!(status, 204);
    let done: PushReport = world.post(&path("push"), everything()).await;
    assert_eq!((done.added, done.problems.len()), (1, 0), "{done:?}");
    let keys: Vec<KeyView> = there.get("/api/keys").await;
    assert_eq!(keys.len(), 1);
    assert_eq!(drift(&world).await, DriftView::default());
}

/// It may be somebody else's server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comparing_with_one_that_was_added_sends_it_no_key() {
    let there = Ground::new(Cloud::new().providers()).start().await;
    let wire = Wire::to(there.running.socket()).await;
    let ground = Ground::new(Cloud::new().providers()).with(&[("API_KEYS", GEMINI)]);
    let world = ground.start().await;
    let url = format!("http://{}", wire.address());
    let add = json!({"name": "one", "url": url, "password": "correct horse"});
    let _: RemoteView = world.post(&format!("{REMOTES}/add"), add).await;
    wire.cut_on(GEMINI, Cut::BeforeServer);
    let seen = drift(&world).await;
    assert_eq!((seen.keys.len(), seen.problems.len()), (1, 0), "{seen:?}");
    assert_eq!(wire.counts().struck, 0, "the key was on the wire");
    let lost: PushReport = world.post(&path("push"), json!({"keys": true})).await;
    assert_eq!((lost.added, lost.problems.len()), (0, 1), "{lost:?}");
    assert_eq!(wire.counts().struck, 1, "a push sends it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_put_elsewhere_in_one_action() {
    let sky = Sky::new().await;
    let world = sky
        .deployed(|wish| {
            wish["settings"] = json!([{"name": "METRICS_TOKEN", "value": "a token for Prometheus"}])
        })
        .await;
    let mut elsewhere = serde_json::to_value(wish(&world).await).unwrap();
    elsewhere["region"] = json!("frankfurt");
    let draft: RemoteView = world.post(&path("move"), elsewhere).await;
    assert_eq!((draft.id, draft.name.as_str()), (2, "one-2"));
    assert_eq!(draft.state, RemoteState::Draft);

    let text = async |id: i64| -> Value {
        let path = format!("{REMOTES}/{id}/variables");
        let text: VariablesText = world.post(&path, json!({"format": "json"})).await;
        serde_json::from_str(&text.text).unwrap()
    };
    let (mut old, mut new) = (text(1).await, text(2).await);
    for all in [&mut old, &mut new] {
        all.as_object_mut().unwrap().remove("GEMINI_BALANCE_REMOTE");
    }
    assert_eq!(old, new, "with the very secrets");
    assert_eq!(new["METRICS_TOKEN"], "a token for Prometheus");

    let _: Value = world.post(&format!("{REMOTES}/2/apply"), json!({})).await;
    loop {
        let moved: RemoteView = world.get(&format!("{REMOTES}/2")).await;
        if moved.state == RemoteState::Running {
            break;
        }
        assert_eq!(moved.state, RemoteState::Deploying, "{moved:?}");
    }
    assert_eq!(sky.cloud.apps(), ["one", "one-2"]);
    let access = |id: i64| format!("{REMOTES}/{id}/access");
    let old: RemoteAccess = world.post(&access(1), json!({})).await;
    let new: RemoteAccess = world.post(&access(2), json!({})).await;
    assert_ne!(old.url, new.url);
    assert_eq!(models(&new.url, &old.token.unwrap()).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_never_given_twice_even_if_its_document_cannot_be_read() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    let store = world.running.core().store();
    for name in ["remote/7", "account/4"] {
        let text = "{\"of\": \"a newer version\"}".into();
        store.save_document(name, &text).await.unwrap();
    }
    let draft: RemoteView = world.post(REMOTES, sky.wish(&world).await).await;
    assert_eq!(draft.id, 8);
    let documents = store.documents("remote/").await.unwrap();
    assert_eq!(documents.len(), 2, "the other is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_original_only_the_variables_are_compared() {
    let sky = Sky::new().await;
    let image = sky.registry.reference("snailyp/gemini-balance", "latest");
    let reference = deployer::image::parse(&image).unwrap();
    assert_eq!(deployer::image::program(&reference), ImageProgram::Original);
    let world = sky.deployed(|wish| wish["image"] = json!(image)).await;
    change_here(&world).await;
    let seen = drift(&world).await;
    assert_eq!(seen.problems.len(), 1, "{seen:?}");
    assert_eq!(seen.variables.len(), 1, "{seen:?}");
    let done: PushReport = world.post(&path("push"), everything()).await;
    assert_eq!(done.problems.len(), 1, "{done:?}");
    assert!(
        drift(&world).await.variables.is_empty(),
        "they have followed"
    );
    apply(&world).await;
}

/// One that was added at this address, with the password of its panel.
async fn added(at: &str, password: &str) -> World {
    let ground = Ground::new(Cloud::new().providers()).with(&[("API_KEYS", GEMINI)]);
    let world = ground.start().await;
    let add = json!({"name": "one", "url": at, "password": password});
    let _: RemoteView = world.post(&format!("{REMOTES}/add"), add).await;
    world
}

async fn password(world: &World) -> String {
    let access: RemoteAccess = world.post(&path("access"), json!({})).await;
    access.password.unwrap()
}

/// What signing in there answers.
async fn signs_in(url: &str, password: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client
        .post(format!("{url}/api/login"))
        .header("content-type", "application/json")
        .body(json!({ "password": password }).to_string());
    asked.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_added_and_keeps_nothing_is_let_in_to_after_its_restart() {
    let there = Ground::new(Cloud::new().providers()).start().await;
    let socket = there.running.socket();
    let world = added(&there.running.address(), PASSWORD).await;
    let new = json!({"what": "auth_token"});
    let _: Value = world.post(&path("rotate"), new.clone()).await;
    let first = password(&world).await;
    assert_ne!(first, PASSWORD);
    // It has lost all but its environment.
    there.stop().await;
    let port = socket.port().to_string();
    let again = Ground::new(Cloud::new().providers()).with(&[("PORT", port.as_str())]);
    let there = again.start().await;
    assert_eq!(there.running.socket(), socket);
    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert_eq!(keys.len(), 0);
    // What holds there is replaced, whichever it is.
    let _: Value = world.post(&path("rotate"), new).await;
    let second = password(&world).await;
    let url = there.running.address();
    assert_eq!(signs_in(&url, &second).await, 204);
    assert_eq!(signs_in(&url, PASSWORD).await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_whose_replacement_broke_off_in_the_middle_is_replaced_wholly() {
    let there = Ground::new(Cloud::new().providers()).start().await;
    let chosen = "chosen in its panel";
    let change = json!({"current": PASSWORD, "new": chosen});
    let (status, said) = there
        .call(Method::POST, "/api/account/password", Some(change))
        .await;
    assert!(status < 300, "{said}");
    let wire = Wire::to(there.running.socket()).await;
    let world = added(&format!("http://{}", wire.address()), chosen).await;
    // Its AUTH_TOKEN is the new one by then.
    wire.cut_on("POST /api/account/password", Cut::BeforeServer);
    let new = || Some(json!({"what": "auth_token"}));
    let (status, away) = world.refused(Method::POST, &path("rotate"), new()).await;
    assert_eq!((status, away.code), (502, ErrorCode::Unreachable));
    assert_eq!(wire.counts().struck, 1);
    let (status, said) = world.call(Method::POST, &path("rotate"), new()).await;
    assert_eq!(status, 200, "{said}");
    let url = there.running.address();
    assert_eq!(signs_in(&url, &password(&world).await).await, 204);
    assert_eq!(signs_in(&url, chosen).await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_removed_when_adding_fails() {
    let there = Ground::new(Cloud::new().providers()).start().await;
    let keys = json!({ "text": ONLY_THERE });
    let _: Value = there.post("/api/keys/import", keys).await;
    let name = json!({"name": "made there"});
    let theirs: TokenCreated = there.post("/api/tokens", name).await;
    let wire = Wire::to(there.running.socket()).await;
    let world = added(&format!("http://{}", wire.address()), PASSWORD).await;
    let _: TokenCreated = world.post("/api/tokens", json!({"name": "phone"})).await;

    wire.cut_on(GEMINI, Cut::BeforeServer);
    let lost: PushReport = world.post(&path("push"), json!({"keys": true})).await;
    assert_eq!((lost.removed, lost.problems.len()), (0, 1), "{lost:?}");
    let keys: Vec<KeyView> = there.get("/api/keys").await;
    assert_eq!(keys.len(), 1, "it can still serve");
    let done: PushReport = world.post(&path("push"), json!({"keys": true})).await;
    assert_eq!((done.added, done.removed), (1, 1), "{done:?}");

    wire.cut_on("\"dry_run\":false", Cut::BeforeServer);
    let lost: PushReport = world.post(&path("push"), json!({"tokens": true})).await;
    assert_eq!((lost.removed, lost.problems.len()), (0, 1), "{lost:?}");
    let tokens: Vec<TokenView> = there.get("/api/tokens").await;
    assert_eq!(tokens[0].masked, theirs.token.masked);
    let done: PushReport = world.post(&path("push"), json!({"tokens": true})).await;
    assert_eq!((done.added, done.removed), (1, 1), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_token_that_is_being_replaced_is_left_alone() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let fail = || {
        let refused = ProviderError::Refused("no changes today".to_owned());
        sky.cloud.fail("set_variables", refused);
    };
    let new = json!({"what": "client_token"});
    fail();
    let _: RunView = world.post(&path("rotate"), new.clone()).await;
    let run = ended(&world).await;
    assert!(matches!(run.state, RunState::Failed { .. }), "{run:?}");
    let of_panel = async || -> Vec<TokenView> {
        let mut all: Vec<TokenView> = world.get(&path("panel/api/tokens")).await;
        all.retain(|token| token.origin == Origin::Panel);
        all
    };
    let pending = of_panel().await;
    assert_eq!(pending.len(), 1);
    assert_eq!(drift(&world).await.tokens, []);
    // Asked for once more it is the same one, also while no run knows of it.
    let away = ProviderError::Away("502".to_owned());
    sky.cloud.fail("observe", away);
    let again = Some(new.clone());
    world.refused(Method::POST, &path("rotate"), again).await;
    assert_eq!(drift(&world).await.tokens, []);
    let done: PushReport = world.post(&path("push"), json!({"tokens": true})).await;
    assert_eq!((done.removed, done.problems.len()), (0, 0), "{done:?}");
    assert_eq!(of_panel().await.len(), 1);

    // Somebody revokes it in its panel.
    let token = path(&format!("panel/api/tokens/{}", pending[0].id));
    let (status, said) = world.call(Method::DELETE, &token, None).await;
    assert!(status < 300, "{said}");
    let _: RunView = world.post(&path("rotate"), new).await;
    let run = ended(&world).await;
    let RunState::Failed { error } = &run.state else {
        panic!("{run:?}");
    };
    assert!(error.message.contains("Another one"), "{error}");
    apply(&world).await;
    let access: RemoteAccess = world.post(&path("access"), json!({})).await;
    assert_eq!(models(&access.url, &access.token.unwrap()).await, 200);
}

/// A run keeps a record of its own while it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_stays_known_although_a_run_began_meanwhile() {
    let sky = Sky::new().await;
    let world = Arc::new(sky.deployed(|_| ()).await);
    let ours: TokenCreated = world.post("/api/tokens", json!({"name": "phone"})).await;
    sky.cloud.hold();
    let (providers, began) = (sky.cloud.providers(), Arc::new(AtomicBool::new(false)));
    let (beginner, has_begun) = (world.clone(), began.clone());
    // The provider is asked for when the panel there has been told everything.
    let push = deployer_with(
        &world,
        Arc::new(move |credential| {
            if !has_begun.swap(true, Ordering::SeqCst) {
                let again = json!({"action": "redeploy"});
                let begin = async {
                    let _: RemoteView = beginner.post(&path("action"), again).await;
                };
                tokio::task::block_in_place(|| Handle::current().block_on(begin));
            }
            providers(credential)
        }),
    );
    let what = contract::deploy::PushWish {
        keys: true,
        tokens: true,
        settings: false,
    };
    let done = push.push(1, what).await.unwrap();
    assert_eq!(done.added, 1, "{done:?}");
    assert!(began.load(Ordering::SeqCst));
    sky.cloud.release();
    let run = ended(&world).await;
    assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");
    // The new process knows the variables only.
    assert_eq!(models(&url(&world).await, &ours.secret).await, 401);
    deployer(&sky, &world).feed(1).await.unwrap();
    assert_eq!(models(&url(&world).await, &ours.secret).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_processes_change_at_once_is_not_lost() {
    let sky = Sky::new().await;
    let world = sky.deployed(|_| ()).await;
    let wish = wish(&world).await;
    // Each knows of the other only what the database says.
    let processes = [deployer(&sky, &world), deployer(&sky, &world)];
    let drafts = (0..12).map(|at| {
        let wish = RemoteWish {
            name: format!("draft-{at}"),
            ..wish.clone()
        };
        let process = processes[at % 2].clone();
        async move { process.create_remote(wish).await.unwrap().id }
    });
    let mut ids = futures_util::future::join_all(drafts).await;
    ids.sort_unstable();
    assert_eq!(ids, (2..14).collect::<Vec<_>>());
    let all = processes[0].remotes().await.unwrap();
    assert_eq!(all.len(), 13);
}
