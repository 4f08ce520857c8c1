//! The Live API: sessions over a WebSocket, begun with a key that has room and taken up again with
//! the one that had them.

use std::time::Duration;

use contract::admin::KeyState;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use testkit::google::Refusal;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::world::{KEYS, TOKEN, World, ask};

const OTHER_TOKEN: &str = "sk-test-other-client-token";
const MODEL: &str = "models/gemini-3.1-flash-live-preview";

async fn world() -> World {
    let tokens = format!("{TOKEN},{OTHER_TOKEN}");
    World::start(3, |google| google, &[("ALLOWED_TOKENS", &tokens)]).await
}

fn path(version: &str) -> String {
    format!("/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent")
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn try_connect(world: &World, token: &str, path: &str) -> Result<Self, Error> {
        let address = world.core.address();
        let host = address.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{host}{path}").into_client_request().unwrap();
        let token = token.parse().unwrap();
        request.headers_mut().insert("x-goog-api-key", token);
        let stream = TcpStream::connect(host).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self(socket))
    }

    async fn connect(world: &World) -> Self {
        let path = path("v1beta");
        Self::try_connect(world, TOKEN, &path).await.unwrap()
    }

    async fn say(&mut self, message: Value) {
        let message = Message::text(message.to_string());
        self.0.send(message).await.unwrap();
    }

    /// What comes next: a message, or the code and the reason of the end.
    async fn hear(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(serde_json::from_slice(&bytes).unwrap());
                }
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(said)))) => {
                    return Err((said.code.into(), said.reason.to_string()));
                }
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn begin(world: &World, resumption: Option<&str>) -> Self {
        let mut client = Self::connect(world).await;
        client.say(setup(resumption)).await;
        assert_eq!(client.hear().await, Ok(json!({"setupComplete": {}})));
        client
    }

    /// Says something, and hears all until the turn is over.
    async fn turn(&mut self, text: &str) -> Vec<Value> {
        let said = json!({"clientContent": {
            "turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": true,
        }});
        self.say(said).await;
        let mut heard = Vec::new();
        loop {
            let message = self.hear().await.unwrap();
            let is_last = message["serverContent"]["turnComplete"] == true;
            heard.push(message);
            if is_last {
                return heard;
            }
        }
    }
}

fn setup(handle: Option<&str>) -> Value {
    let resumption = match handle {
        Some(handle) => json!({ "handle": handle }),
        None => json!({}),
    };
    json!({"setup": {
        "model": MODEL,
        "generationConfig": {"responseModalities": ["TEXT"]},
        "sessionResumption": resumption,
    }})
}

/// By what a session can be taken up again.
fn handle_in(heard: &[Value]) -> Option<String> {
    let mut handles = heard
        .iter()
        .filter_map(|message| message["sessionResumptionUpdate"]["newHandle"].as_str());
    handles.next().map(str::to_owned)
}

/// The same, which may be told in a turn or after it.
async fn handle_of(client: &mut Client, heard: &[Value]) -> String {
    if let Some(handle) = handle_in(heard) {
        return handle;
    }
    loop {
        let message = client.hear().await.unwrap();
        if let Some(handle) = handle_in(&[message]) {
            return handle;
        }
    }
}

#[tokio::test]
async fn a_session_goes_through_both_ways_and_is_taken_up_with_its_key() {
    let world = world().await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        world.google.clear_requests();
        let mut client = Client::begin(&world, None).await;
        let heard = client.turn("Hello, are you there?").await;
        let text: String = heard
            .iter()
            .filter_map(|message| {
                message["serverContent"]["modelTurn"]["parts"][0]["text"].as_str()
            })
            .collect();
        assert!(text.contains("are you there"), "{text}");
        let handle = handle_of(&mut client, &heard).await;
        drop(client);
        let key = world.keys_used().pop().unwrap();
        for _ in 0..2 {
            world.google.clear_requests();
            let client = Client::begin(&world, Some(&handle)).await;
            drop(client);
            assert_eq!(world.keys_used(), [&*key]);
        }
        keys.push(key);
        // Another client cannot take it up.
        let mut other = Client::try_connect(&world, OTHER_TOKEN, &path("v1beta"))
            .await
            .unwrap();
        other.say(setup(Some(&handle))).await;
        let (code, reason) = other.hear().await.unwrap_err();
        assert_eq!(code, 1008);
        assert!(reason.contains("this client token"), "{reason}");
    }
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() > 1, "each began where there was room");
}

#[tokio::test]
async fn what_a_session_took_is_recorded_when_it_ends() {
    let world = world().await;
    let mut client = Client::begin(&world, None).await;
    client.turn("Hello.").await;
    client.turn("And hello again.").await;
    client.0.close(None).await.unwrap();
    while client.0.next().await.is_some() {}
    let record = loop {
        let records: Value = world.admin("/api/requests?limit=10").await;
        let all = records["requests"].as_array().unwrap();
        if let Some(record) = all.first() {
            break record.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(record["status"], 200, "{record}");
    assert_eq!(record["model"], MODEL.strip_prefix("models/").unwrap());
    assert!(record["output_tokens"].as_u64().unwrap() > 0, "{record}");
    assert!(record["prompt_tokens"].as_u64().unwrap() > 0, "{record}");
}

#[tokio::test]
async fn a_key_that_google_closes_on_is_followed_by_another() {
    let world = world().await;
    world.google.disable_key(KEYS[0], Refusal::Invalid);
    world.google.disable_key(KEYS[1], Refusal::Leaked);
    for _ in 0..4 {
        let mut client = Client::begin(&world, None).await;
        client.turn("Hello.").await;
    }
    assert!(matches!(world.key(KEYS[2]).await.state, KeyState::Ready));
    for key in [KEYS[0], KEYS[1]] {
        let state = world.key(key).await.state;
        assert!(matches!(state, KeyState::Rejected { .. }), "{state:?}");
    }
}

#[tokio::test]
async fn what_google_says_while_closing_reaches_the_client() {
    let world = world().await;
    let mut client = Client::begin(&world, None).await;
    world.google.live_go_away(Duration::from_secs(10));
    let said = client.hear().await.unwrap();
    assert!(said.get("goAway").is_some(), "{said}");
    world
        .google
        .live_close(1011, "The service is currently unavailable.");
    let ended = client.hear().await.unwrap_err();
    assert_eq!(
        ended,
        (1011, "The service is currently unavailable.".to_owned())
    );
}

#[tokio::test]
async fn mistakes_are_named_and_cost_no_key() {
    let world = world().await;
    for first in [json!({"clientContent": {}}), json!({"setup": {}}), json!(1)] {
        let mut client = Client::connect(&world).await;
        client.say(first).await;
        let (code, reason) = client.hear().await.unwrap_err();
        assert_eq!(code, 1008);
        assert!(reason.contains("must be a `setup`"), "{reason}");
    }
    assert_eq!(world.google.requests().len(), 0);

    let mut client = Client::connect(&world).await;
    client
        .say(json!({"setup": {"model": "models/does-not-exist"}}))
        .await;
    let (code, reason) = client.hear().await.unwrap_err();
    assert_eq!(code, 1008);
    assert!(reason.contains("not found"), "{reason}");
    assert_eq!(world.keys_used().len(), 1, "no other key knows it either");

    for (token, path, status) in [
        ("sk-unknown", path("v1beta"), 401),
        (TOKEN, "/ws/nonsense".to_owned(), 404),
    ] {
        match Client::try_connect(&world, token, &path).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status, "{path}"),
            other => panic!("{:?}", other.err()),
        }
    }
    let request = world.http.get(world.url(&path("v1beta")));
    let response = request
        .header("x-goog-api-key", TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    // And all is well for others.
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    assert_eq!(world.gemini(path, ask("Hello.")).await.status(), 200);
}

#[tokio::test]
async fn a_session_ends_when_the_client_goes_and_when_the_server_does() {
    let world = world().await;
    let client = Client::begin(&world, None).await;
    drop(client);
    let closed = world.google.wait_for(|counts| counts.answered == 1);
    assert!(closed.await, "Google's side is closed, too");
    let mut client = Client::begin(&world, None).await;
    let ends = world.core.shutdown(Duration::from_secs(5));
    let (heard, _) = tokio::join!(client.hear(), ends);
    let (code, reason) = heard.unwrap_err();
    assert_eq!(code, 1001);
    assert!(reason.contains("Connect again"), "{reason}");
}
