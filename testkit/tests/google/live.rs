//! The Live API.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use serde_json::{Value, json};
use testkit::google::{Cut, FakeGoogle, Fault, Quota, Refusal, Rule, Script};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{KEY, OTHER, ask, get, google, with_sibling};

const PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";

/// A client of the Live API.
struct Live(WebSocketStream<TcpStream>);

impl Live {
    async fn connect(google: &FakeGoogle, path: &str, key: Option<&str>) -> Self {
        let url = format!("ws://{}{path}", google.address());
        let mut request: Request<()> = url.into_client_request().unwrap();
        if let Some(key) = key {
            let key = key.parse().unwrap();
            request.headers_mut().insert("x-goog-api-key", key);
        }
        let stream = TcpStream::connect(google.address()).await.unwrap();
        let (socket, response) = tokio_tungstenite::client_async(request, stream)
            .await
            .unwrap();
        assert_eq!(response.status(), 101);
        Self(socket)
    }

    async fn say(&mut self, message: &Value) {
        let message = Message::text(message.to_string());
        self.0.send(message).await.unwrap();
    }

    /// The next message, or the code and reason of the close; nothing is a connection that broke.
    async fn hear(&mut self) -> Result<Value, Option<(u16, String)>> {
        match self.0.next().await {
            // As Google's, they are binary.
            Some(Ok(Message::Binary(bytes))) => Ok(serde_json::from_slice(&bytes).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => {
                Err(Some((frame.code.into(), frame.reason.to_string())))
            }
            Some(Ok(other)) => Err(Some((0, format!("{other:?}")))),
            Some(Err(_)) | None => Err(None),
        }
    }

    /// Sets up a session that writes.
    async fn set_up(google: &FakeGoogle, key: &str, more: &Value) -> Self {
        let mut live = Self::connect(google, PATH, Some(key)).await;
        live.say(&setup(more)).await;
        assert_eq!(live.hear().await, Ok(json!({ "setupComplete": {} })));
        live
    }

    /// All messages until a turn is complete, that one included.
    async fn turn(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.hear().await.unwrap();
            let last = message["serverContent"]["turnComplete"] == true;
            all.push(message);
            if last {
                return all;
            }
        }
    }

    /// The close that must come next.
    async fn close(&mut self) -> (u16, String) {
        self.hear().await.unwrap_err().unwrap()
    }
}

fn setup(more: &Value) -> Value {
    let mut setup = json!({
        "model": "models/gemini-3.1-flash-live-preview",
        "generationConfig": { "responseModalities": ["TEXT"] },
    });
    setup
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "setup": setup })
}

fn turn(text: &str) -> Value {
    json!({ "clientContent": { "turns": ask(text)["contents"], "turnComplete": true } })
}

fn said(messages: &[Value]) -> String {
    messages
        .iter()
        .filter_map(|message| message["serverContent"]["modelTurn"]["parts"][0]["text"].as_str())
        .collect()
}

#[tokio::test]
async fn turns_are_answered() {
    let google = google().start().await;
    let mut live = Live::set_up(&google, KEY, &json!({})).await;
    live.say(&turn("hello there")).await;
    let answer = live.turn().await;
    assert!(said(&answer).contains("hello there"));
    let last = answer.last().unwrap();
    let usage = &last["usageMetadata"];
    assert_eq!(
        usage["totalTokenCount"].as_u64().unwrap(),
        usage["promptTokenCount"].as_u64().unwrap() + usage["responseTokenCount"].as_u64().unwrap()
    );
    let end = &answer[answer.len() - 2];
    assert_eq!(end["serverContent"], json!({ "generationComplete": true }));

    // A turn may come in pieces, or as it is typed.
    let mut piece = turn("and in pieces");
    piece["clientContent"]["turnComplete"] = json!(false);
    live.say(&piece).await;
    live.say(&json!({ "clientContent": { "turnComplete": true } }))
        .await;
    assert!(said(&live.turn().await).contains("and in pieces"));
    live.say(&json!({ "realtimeInput": { "text": "typed" } }))
        .await;
    assert!(said(&live.turn().await).contains("typed"));
    let sound = json!({ "data": STANDARD.encode([0; 640]), "mimeType": "audio/pcm;rate=16000" });
    live.say(&json!({ "realtimeInput": { "audio": sound } }))
        .await;
    live.say(&json!({ "realtimeInput": { "audioStreamEnd": true } }))
        .await;
    assert!(said(&live.turn().await).contains("640 bytes of sound"));

    let open = google.resources("liveSessions/");
    assert_eq!(
        (open.len(), &*open[0].key, &*open[0].project),
        (1, KEY, "p1")
    );
    let log = google.requests();
    assert_eq!(
        (log[0].action, log[0].key.as_deref(), log[0].status),
        (Some("bidiGenerateContent"), Some(KEY), Some(101))
    );
    assert_eq!(
        log[0].model.as_deref(),
        Some("gemini-3.1-flash-live-preview")
    );
    live.0.close(None).await.unwrap();
    let answered = live.0.next().await.unwrap().unwrap();
    assert!(answered.is_close(), "{answered:?}");
    assert!(live.0.next().await.is_none());
    assert!(google.wait_for(|counts| counts.answered == 1).await);
    assert_eq!(google.counts().disconnects, 0);
}

#[tokio::test]
async fn models_speak_and_call_functions() {
    let google = google().start().await;
    let more = json!({
        "generationConfig": { "responseModalities": ["AUDIO"] },
        "outputAudioTranscription": {},
        "tools": [{ "functionDeclarations": [{ "name": "get_time" }] }],
    });
    // The other version, and the key in the address.
    let path = PATH.replace("v1beta", "v1alpha");
    let mut live = Live::connect(&google, &format!("{path}?key={KEY}"), None).await;
    live.say(&setup(&more)).await;
    live.hear().await.unwrap();
    live.say(&turn("get_time please")).await;
    let answer = live.turn().await;
    let call = &answer[0]["toolCall"]["functionCalls"][0];
    assert_eq!(call["name"], "get_time");
    let response = json!({ "id": call["id"], "name": "get_time", "response": { "time": "12:00" } });
    live.say(&json!({ "toolResponse": { "functionResponses": [response] } }))
        .await;
    let answer = live.turn().await;
    let blob = &answer[0]["serverContent"]["modelTurn"]["parts"][0]["inlineData"];
    assert_eq!(blob["mimeType"], "audio/pcm;rate=24000");
    let words = answer[1]["serverContent"]["outputTranscription"]["text"].as_str();
    assert!(words.unwrap().contains("The tool get_time answered"));
}

#[tokio::test]
async fn a_session_is_gone_on_with_by_its_project() {
    let (google, clock) = with_sibling().await;
    let wanted = json!({ "sessionResumption": {} });
    let mut live = Live::set_up(&google, KEY, &wanted).await;
    live.say(&turn("hello")).await;
    live.turn().await;
    let update = live.hear().await.unwrap();
    assert_eq!(update["sessionResumptionUpdate"]["resumable"], true);
    let handle = update["sessionResumptionUpdate"]["newHandle"]
        .as_str()
        .unwrap();
    drop(live);

    let resume = |handle: &str| json!({ "sessionResumption": { "handle": handle } });
    let mut again = Live::set_up(&google, "AIza-sibling", &resume(handle)).await;
    again.say(&turn("more")).await;
    let tokens = again.turn().await.pop().unwrap()["usageMetadata"]["promptTokenCount"].clone();
    assert!(
        tokens.as_u64() > Some(10),
        "what was said before counts: {tokens}"
    );
    assert_eq!(google.resources("liveHandles/").len(), 2);

    for (key, handle, closed) in [
        (
            OTHER,
            handle,
            (1008, "BidiGenerateContent session not found"),
        ),
        (KEY, "nonsense", (1007, "Invalid session handle")),
        (
            KEY,
            "fake-session-x",
            (1008, "BidiGenerateContent session not found"),
        ),
    ] {
        let mut live = Live::connect(&google, PATH, Some(key)).await;
        live.say(&setup(&resume(handle))).await;
        let (code, reason) = live.close().await;
        assert_eq!((code, &*reason), closed);
    }
    clock.advance(Duration::from_secs(2 * 60 * 60));
    let mut late = Live::connect(&google, PATH, Some(KEY)).await;
    late.say(&setup(&resume(handle))).await;
    assert_eq!(late.close().await.0, 1008);
}

#[tokio::test]
async fn what_is_wrong_closes_the_session() {
    let google = google().start().await;
    let theirs = google.generate_file(OTHER, "image/png", "x").unwrap();
    let mut of_file = turn("x");
    of_file["clientContent"]["turns"][0]["parts"][0] =
        json!({ "fileData": { "fileUri": theirs, "mimeType": "image/png" } });
    for (messages, code, why) in [
        (vec![turn("hello")], 1007, "setup must be the first message"),
        (
            vec![setup(&json!({})), setup(&json!({}))],
            1007,
            "setup must be the first",
        ),
        (
            vec![json!({ "setup": { "colour": 1 } })],
            1007,
            "Unknown name \"colour\" at 'setup'",
        ),
        (vec![json!("words")], 1007, "Invalid JSON payload received"),
        (
            vec![setup(&json!({ "model": "models/gemini-2.5-flash" }))],
            1008,
            "models/gemini-2.5-flash is not found",
        ),
        (vec![setup(&json!({})), json!({})], 1007, "invalid argument"),
        (
            vec![setup(&json!({})), of_file],
            1008,
            "You do not have permission to access the File",
        ),
    ] {
        let mut live = Live::connect(&google, PATH, Some(KEY)).await;
        for message in &messages {
            live.say(message).await;
        }
        let mut heard = live.hear().await;
        if messages.len() == 2 {
            assert!(heard.is_ok());
            heard = live.hear().await;
        }
        let (got, reason) = heard.unwrap_err().unwrap();
        assert_eq!(got, code, "{reason}");
        assert!(reason.contains(why) && reason.len() <= 123, "{reason}");
    }
    let mut nobody = Live::connect(&google, PATH, None).await;
    assert_eq!(nobody.close().await.0, 1008);
    google.disable_key(KEY, Refusal::Invalid);
    let mut refused = Live::connect(&google, PATH, Some(KEY)).await;
    let why = "API key not valid. Please pass a valid API key.".to_owned();
    assert_eq!(refused.close().await, (1007, why));
    google.set_quota("p2", Quota::rpm(0));
    let mut poor = Live::connect(&google, PATH, Some(OTHER)).await;
    poor.say(&setup(&json!({}))).await;
    let (code, reason) = poor.close().await;
    assert_eq!(code, 1011);
    assert!(reason.starts_with("You exceeded your current quota"));
}

#[tokio::test]
async fn sessions_end_as_a_test_wants() {
    let google = google().start().await;
    let mut live = Live::set_up(&google, KEY, &json!({})).await;
    google.live_go_away(Duration::from_millis(9500));
    assert_eq!(
        live.hear().await,
        Ok(json!({ "goAway": { "timeLeft": "9.5s" } }))
    );
    live.say(&turn("still here?")).await;
    assert!(said(&live.turn().await).contains("still here?"));
    google.live_close(1011, "Deadline expired");
    assert_eq!(live.close().await, (1011, "Deadline expired".to_owned()));

    let cut = |after| Fault::CutAfter {
        events: after,
        cut: Cut::Close,
    };
    google.script(Script::new().rule(Rule::new(cut(2)).action("bidiGenerateContent").times(1)));
    let mut live = Live::set_up(&google, KEY, &json!({})).await;
    live.say(&turn("hello")).await;
    assert!(live.hear().await.is_ok());
    assert_eq!(live.hear().await, Err(None));

    google.fault_next(Fault::Status(503));
    let mut live = Live::connect(&google, PATH, Some(KEY)).await;
    live.say(&setup(&json!({}))).await;
    assert_eq!(live.close().await.0, 1011);

    let mut live = Live::set_up(&google, KEY, &json!({})).await;
    drop(google);
    assert_eq!(live.hear().await, Err(None));
}

#[tokio::test]
async fn it_is_a_web_socket_or_nothing() {
    let google = google().start().await;
    for version in ["v1", "v1alpha", "v1beta"] {
        assert_eq!(get(&google, &PATH.replace("v1beta", version)).await.0, 400);
    }
    assert_eq!(get(&google, &PATH.replace("v1beta", "v2")).await.0, 404);
    assert_eq!(google.counts().answered, 4);
}
