//! Sending requests through a remote.

use contract::admin::{RequestPage, TokenView};
use contract::deploy::{RemoteView, RoutePresence, RouteView, WhenAway};
use contract::{ApiError, ErrorCode};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::google::FakeGoogle;

use crate::cloud::Cloud;
use crate::world::{Ground, World};

const KEY: &str = "AIzaSyTestKeyNumber00000000000000000001";
const CLIENT: &str = "sk-client-of-this-instance";

/// A Google, and an instance elsewhere that has a key for it.
async fn elsewhere() -> (FakeGoogle, World) {
    let google = FakeGoogle::builder().key(KEY, "project").start().await;
    let settings = [("API_KEYS", KEY), ("BASE_URL", &google.base_url())];
    let ground = Ground::new(Cloud::new().providers()).with(&settings);
    (google, ground.start().await)
}

/// An instance without keys that lets a client in.
fn here() -> Ground {
    Ground::new(Cloud::new().providers()).with(&[("ALLOWED_TOKENS", CLIENT)])
}

async fn add(world: &World, name: &str, there: &World) -> RemoteView {
    let add = json!({
        "name": name, "url": there.running.panel_address(), "password": crate::world::PASSWORD,
    });
    world.post("/api/deploy/remotes/add", add).await
}

async fn ask(world: &World) -> u16 {
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/v1/chat/completions", world.running.address()))
        .bearer_auth(CLIENT)
        .header("content-type", "application/json")
        .body(
            json!({
                "model": "gemini-2.5-flash",
                "messages": [{"role": "user", "content": "hi"}],
            })
            .to_string(),
        )
        .send()
        .await
        .unwrap();
    answer.status().as_u16()
}

async fn set(world: &World, wish: Value) -> RouteView {
    world.send(Method::PUT, "/api/deploy/route", wish).await
}

#[tokio::test]
async fn requests_go_through_a_remote_until_it_is_forgotten() {
    let (google, there) = elsewhere().await;
    let ground = here();
    let world = ground.start().await;
    let remote = add(&world, "far", &there).await;
    assert_eq!(ask(&world).await, 503, "there is no key here");

    let route = set(&world, json!({"remote": remote.id, "when_away": "hold"})).await;
    assert_eq!(route.presence, Some(RoutePresence::Unknown));
    assert_eq!(ask(&world).await, 200);
    assert_eq!(google.requests().last().unwrap().key.as_deref(), Some(KEY));
    let route: RouteView = world.get("/api/deploy/route").await;
    assert_eq!(route.presence, Some(RoutePresence::Awake));
    let log = loop {
        let log: RequestPage = world.get("/api/requests").await;
        if log.requests.len() == 2 {
            break log;
        }
    };
    assert_eq!(log.requests[0].remote.as_deref(), Some("far"));
    assert_eq!(log.requests[0].key, None);
    assert_eq!(log.requests[1].remote, None, "that one went nowhere");
    let tokens: Vec<TokenView> = there.get("/api/tokens").await;
    assert_eq!(
        tokens.len(),
        1,
        "one was made for this instance: {tokens:?}"
    );

    // Once more, and after a restart, with the same token.
    let route = set(&world, json!({"remote": remote.id, "when_away": "local"})).await;
    assert_eq!(route.when_away, WhenAway::Local);
    world.stop().await;
    let world = ground.start().await;
    let held = json!({"remote": remote.id, "when_away": "hold"});
    set(&world, held).await;
    assert_eq!(ask(&world).await, 200);
    let tokens: Vec<TokenView> = there.get("/api/tokens").await;
    assert_eq!(tokens.len(), 1);

    let action = format!("/api/deploy/remotes/{}/action", remote.id);
    let _: RemoteView = world.post(&action, json!({"action": "forget"})).await;
    let route: RouteView = world.get("/api/deploy/route").await;
    assert_eq!(route.remote, None);
    assert_eq!(ask(&world).await, 503);
    let audit = world.audit().await;
    assert!(
        audit.contains(&("route_changed".into(), "far".into())),
        "{audit:?}"
    );
    let written = ground.written();
    let token = b"sk-";
    let stored = |text: &[u8]| written.windows(text.len()).any(|part| part == text);
    assert!(!stored(token) || !stored(CLIENT.as_bytes()));
}

#[tokio::test]
async fn what_cannot_be_a_route_is_refused() {
    let (_google, there) = elsewhere().await;
    let world = here().start().await;
    let refused = async |wish: Value| -> (u16, ApiError) {
        world
            .refused(Method::PUT, "/api/deploy/route", Some(wish))
            .await
    };
    let (status, error) = refused(json!({"remote": 9})).await;
    assert_eq!((status, error.code), (404, ErrorCode::NotFound));

    let remote = add(&world, "far", &there).await;
    there.stop().await;
    let (status, error) = refused(json!({"remote": remote.id})).await;
    assert_eq!((status, error.code), (502, ErrorCode::Unreachable));
    let route: RouteView = world.get("/api/deploy/route").await;
    assert_eq!(route.remote, None, "what was refused is not kept");
}
