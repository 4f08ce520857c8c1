//! Calls that go through another instance, which may sleep.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use contract::deploy::{RoutePresence, WhenAway};
use proxy_core::{NextHop, Through};
use tokio::task::JoinSet;

use crate::world::{TOKEN, World, ask, json};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
/// The token that the remote accepts.
const REMOTE_TOKEN: &str = "sk-of-the-remote";

/// A server with a key of its own, which accepts [`REMOTE_TOKEN`].
async fn remote() -> World {
    let settings = [("ALLOWED_TOKENS", REMOTE_TOKEN)];
    World::start(1, |google| google, &settings).await
}

fn hop(address: String, token: &str, when_away: WhenAway) -> NextHop {
    let through = Through {
        remote: 7,
        name: "far".to_owned(),
        address,
        token: token.into(),
        when_away,
        patience: Duration::from_secs(60),
    };
    NextHop::new(through).unwrap()
}

/// What a host puts before an app on a free plan: it answers itself while the app sleeps, and
/// lets it sleep until its health was asked for a number of times.
struct Edge {
    address: String,
    /// How often its health must still be asked for.
    sleeps: Arc<AtomicU32>,
    _task: JoinSet<()>,
}

impl Edge {
    async fn before(remote: &World, sleeps: u32) -> Self {
        let sleeps = Arc::new(AtomicU32::new(sleeps));
        let app = (remote.core.address(), remote.http.clone(), sleeps.clone());
        let router = Router::new().fallback(pass).with_state(app);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = tokio::net::TcpListener::bind(any).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            sleeps,
            _task: task,
        }
    }

    fn falls_asleep(&self, sleeps: u32) {
        self.sleeps.store(sleeps, Ordering::SeqCst);
    }
}

type App = (String, reqwest::Client, Arc<AtomicU32>);

async fn pass(State((app, http, sleeps)): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if sleeps.load(Ordering::SeqCst) > 0 {
        if parts.uri.path() == "/health" {
            sleeps.fetch_sub(1, Ordering::SeqCst);
        }
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "<html>Service waking up</html>",
        )
            .into_response();
    }
    let answer = http
        .request(parts.method, format!("{app}{}", parts.uri))
        .headers(parts.headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await
        .unwrap();
    let answer = axum::http::Response::from(answer);
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, Body::new(body))
}

#[tokio::test]
async fn calls_are_made_with_the_keys_of_the_remote() {
    let (here, there) = (World::with_keys(1).await, remote().await);
    let core = here.core.core();
    let address = there.core.address();
    core.send_through(Some(hop(address, REMOTE_TOKEN, WhenAway::Hold)));

    let answer = here.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 200);
    let chat = here
        .chat(serde_json::json!({
            "model": "gemini-2.5-flash", "stream": true,
            "messages": [{"role": "user", "content": "hi"}],
        }))
        .await;
    assert_eq!(chat.status(), 200);
    assert!(chat.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    assert_eq!(here.keys_used(), [""; 0]);
    assert_eq!(there.keys_used().len(), 2);
    let hop = core.next_hop().unwrap();
    assert_eq!(*hop.presence().borrow(), RoutePresence::Awake);

    core.send_through(None);
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(here.keys_used().len(), 1);
}

#[tokio::test]
async fn a_call_is_held_while_the_remote_wakes_up() {
    let (here, there) = (World::with_keys(1).await, remote().await);
    let edge = Edge::before(&there, 2).await;
    let hop = hop(edge.address.clone(), REMOTE_TOKEN, WhenAway::Hold);
    here.core.core().send_through(Some(hop));
    let calls = (0..4).map(|_| here.gemini(GENERATE, ask("hi")));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(there.keys_used().len(), 4);

    // It fell asleep although it was heard of lately: the attempt finds out.
    edge.falls_asleep(1);
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(there.keys_used().len(), 5);
    assert_eq!(here.keys_used(), [""; 0]);
}

#[tokio::test]
async fn a_call_is_made_with_a_key_from_here_while_the_remote_wakes_up() {
    let (here, there) = (World::with_keys(1).await, remote().await);
    let edge = Edge::before(&there, 2).await;
    let core = here.core.core();
    let hop = hop(edge.address.clone(), REMOTE_TOKEN, WhenAway::Local);
    core.send_through(Some(hop));
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(here.keys_used().len(), 1);
    let mut presence = core.next_hop().unwrap().presence();
    let awake = presence.wait_for(|presence| *presence == RoutePresence::Awake);
    awake.await.unwrap();
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!((here.keys_used().len(), there.keys_used().len()), (1, 1));

    // Its host has stopped it, which nobody knows before the attempt.
    edge.falls_asleep(1);
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!((here.keys_used().len(), there.keys_used().len()), (2, 1));
}

#[tokio::test]
async fn a_remote_that_does_not_wake_up_is_told_of() {
    let here = World::with_keys(1).await;
    // Nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let through = Through {
        patience: Duration::ZERO,
        ..hop(address, REMOTE_TOKEN, WhenAway::Hold).through().clone()
    };
    let hop = NextHop::new(through).unwrap();
    here.core.core().send_through(Some(hop));
    let answer = here.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 503);
    let said = json(answer).await;
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("'far' did not wake up"), "{message}");
    assert!(message.contains("Instances page"), "{message}");
    let hop = here.core.core().next_hop().unwrap();
    assert_eq!(*hop.presence().borrow(), RoutePresence::Away);
}

#[tokio::test]
async fn a_remote_that_accepts_another_token_only_is_told_of_or_passed_over() {
    let (here, there) = (World::with_keys(1).await, remote().await);
    let core = here.core.core();
    let address = there.core.address();
    core.send_through(Some(hop(address.clone(), "sk-wrong", WhenAway::Hold)));
    let answer = here.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 503);
    let said = answer.text().await.unwrap();
    assert!(
        said.contains("client token") && !said.contains("sk-wrong"),
        "{said}"
    );

    core.send_through(Some(hop(address, "sk-wrong", WhenAway::Local)));
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!(here.keys_used().len(), 1);
}

#[tokio::test]
async fn what_the_client_did_wrong_is_told_as_without_a_remote() {
    let (here, there) = (World::with_keys(1).await, remote().await);
    let wrong = r#"{"contents": "no list"}"#;
    let without = here.gemini(GENERATE, wrong).await;
    let address = there.core.address();
    let hop = hop(address, REMOTE_TOKEN, WhenAway::Local);
    here.core.core().send_through(Some(hop));
    let with = here.gemini(GENERATE, wrong).await;
    assert_eq!(
        (without.status(), with.status()),
        (400.try_into().unwrap(), without.status())
    );
    assert_eq!(json(without).await, json(with).await);
}

#[tokio::test]
async fn two_instances_that_send_through_each_other_do_not_go_on_for_ever() {
    let (here, there) = (World::with_keys(1).await, remote().await);
    let to_there = hop(there.core.address(), REMOTE_TOKEN, WhenAway::Hold);
    here.core.core().send_through(Some(to_there));
    let to_here = hop(here.core.address(), TOKEN, WhenAway::Hold);
    there.core.core().send_through(Some(to_here));
    assert_eq!(here.gemini(GENERATE, ask("hi")).await.status(), 200);
    assert_eq!((here.keys_used().len(), there.keys_used().len()), (0, 1));
}
