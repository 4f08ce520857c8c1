//! The Live API: one WebSocket to the client, one to Google, and messages that pass untouched
//! (<https://ai.google.dev/api/live>).
//!
//! The client's first message names the model, so that a key is chosen that has room for it; or a
//! session of before, which only the key that had it can take up again.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::Response;
use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::{Peek, Usage};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Method};
use memchr::memmem;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::{Message as Theirs, protocol::CloseFrame as TheirClose};
use tokio_util::sync::CancellationToken;

use super::super::problem::Problem;
use super::super::trace::Trace;
use super::super::{App, admit, turn_away};
use super::is_model_id;
use super::resources::{made, named_in, whose};
use crate::upstream::{Answer, At, Call, Expect, LARGEST_MESSAGE, LiveSession, passed_on};

/// How long the client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long either side may take to hear that it is over.
const GOODBYE: Duration = Duration::from_secs(5);
/// What the addresses of sessions begin with, below `/ws/`.
const SERVICE: &str = "google.ai.generativelanguage.";
/// The methods that are forwarded. Tokens of a session (`…Constrained`) are not: they are Google's
/// to check, and lead around this program.
const METHODS: [&str; 2] = ["BidiGenerateContent", "BidiGenerateMusic"];
/// Close codes of RFC 6455 §7.4.1.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const INTERNAL: u16 = 1011;
/// The longest reason that a close frame can hold, in bytes.
const LONGEST_REASON: usize = 123;

/// GET `/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}`.
pub(in crate::surface) async fn live(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let trace = match admit(&app, &parts, Surface::Gemini) {
        Ok(trace) => trace,
        Err(problem) => return turn_away(body, &problem, Surface::Gemini).await,
    };
    let Some(path) = path_of(parts.uri.path()) else {
        let problem = Problem::not_found(format!(
            "{} is no address of the Live API. Google's clients make it themselves from the base \
             URL; this version forwards {}.",
            parts.uri.path(),
            METHODS.join(" and ")
        ));
        return super::super::refuse(trace, Surface::Gemini, &problem);
    };
    let headers = passed_on(&parts.headers);
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(LARGEST_MESSAGE)
            .max_frame_size(LARGEST_MESSAGE)
            .on_upgrade(move |client| async move {
                let mut client = client;
                let (leaving, _listed) = app.core.session();
                let session = Session {
                    app: &app,
                    trace,
                    usage: Usage::default(),
                };
                let (code, reason) = session.run(&mut client, (&path, headers), &leaving).await;
                let _ = client
                    .send(Message::Close(Some(close(code, &reason))))
                    .await;
                // Until the client has said that it has heard.
                let goodbye = async { while let Some(Ok(_)) = client.next().await {} };
                let _ = tokio::time::timeout(Duration::from_secs(5), goodbye).await;
            }),
        Err(error) => {
            let problem = Problem::bad_request(format!(
                "This is an address of the Live API, which is asked by WebSocket: {error}"
            ));
            super::super::refuse(trace, Surface::Gemini, &problem)
        }
    }
}

/// The path as the upstream takes it; `None` for one that is not forwarded.
fn path_of(path: &str) -> Option<String> {
    let called = path.trim_start_matches('/').strip_prefix("ws/")?;
    let (version, method) = called
        .strip_prefix(SERVICE)?
        .split_once(".GenerativeService.")?;
    let is_known = matches!(version, "v1" | "v1beta" | "v1alpha") && METHODS.contains(&method);
    is_known.then(|| format!("/ws/{SERVICE}{version}.GenerativeService.{method}"))
}

/// A close frame, whose reason is as long as it may be.
fn close(code: u16, reason: &str) -> CloseFrame {
    let end = reason.floor_char_boundary(LONGEST_REASON);
    CloseFrame {
        code,
        reason: reason.get(..end).unwrap_or_default().into(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct First<'a> {
    #[serde(borrow)]
    setup: Option<Setup<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Setup<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "session_resumption", rename = "sessionResumption")]
    resumption: Option<Resumption<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resumption<'a> {
    #[serde(borrow)]
    handle: Option<Cow<'a, str>>,
}

/// What of a message of Google's concerns this program.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Said<'a> {
    #[serde(borrow)]
    session_resumption_update: Option<Update<'a>>,
    usage_metadata: Option<Counts>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Update<'a> {
    #[serde(borrow)]
    new_handle: Option<Cow<'a, str>>,
}

/// What a turn took.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts {
    prompt_token_count: u64,
    response_token_count: u64,
    thoughts_token_count: u64,
    cached_content_token_count: u64,
    total_token_count: u64,
}

/// What a side of the session did.
enum Turn {
    /// It is over: how, and why.
    Over(u16, String),
    /// It goes on.
    On,
}

/// Why a session has not begun.
enum Unbegun {
    /// The client went away.
    Gone,
    Refused(Problem),
}

impl From<Problem> for Unbegun {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// A session under way.
struct Session<'a> {
    app: &'a App,
    trace: Trace,
    usage: Usage,
}

impl Session<'_> {
    /// Passes messages until one side closes. Gives how the client's is to be closed.
    async fn run(
        mut self,
        client: &mut WebSocket,
        (path, headers): (&str, HeaderMap),
        leaving: &CancellationToken,
    ) -> (u16, String) {
        let begun = tokio::select! {
            begun = self.begin(client, path, headers) => begun,
            () = leaving.cancelled() => return self.leave(),
        };
        let mut session = match begun {
            Ok(session) => session,
            Err(Unbegun::Gone) => return (NORMAL, String::new()),
            Err(Unbegun::Refused(problem)) => {
                let code = match problem.status.is_client_error() {
                    true => POLICY,
                    false => INTERNAL,
                };
                self.trace.fail(problem.status.as_u16(), &problem.message);
                return (code, problem.message);
            }
        };
        self.trace.first_byte();
        self.hear(&session.first);
        let first = std::mem::replace(&mut session.first, Theirs::Text("".into()));
        if let Some(message) = to_client(first)
            && !self.gives(client.send(message)).await
        {
            return (NORMAL, String::new());
        }
        loop {
            let turn = tokio::select! {
                () = leaving.cancelled() => {
                    let (code, reason) = self.leave();
                    Turn::Over(code, reason)
                }
                said = client.next() => self.client_said(said, &mut session).await,
                said = session.socket.next() => self.google_said(said, client).await,
            };
            if let Turn::Over(code, reason) = turn {
                let goodbye = (*session.socket).close(None);
                let _ = tokio::time::timeout(GOODBYE, goodbye).await;
                return (code, reason);
            }
        }
    }

    /// Reads what the client wants, and begins it with a key that can.
    async fn begin(
        &mut self,
        client: &mut WebSocket,
        path: &str,
        headers: HeaderMap,
    ) -> Result<LiveSession, Unbegun> {
        let setup = match tokio::time::timeout(PATIENCE, first(client)).await {
            Ok(Some(setup)) => setup,
            Ok(None) => return Err(Unbegun::Gone),
            Err(_) => {
                return Err(Unbegun::Refused(Problem::bad_request(
                    "No first message came within a minute. Send `setup`, as Google's clients do.",
                )));
            }
        };
        Ok(self.open(setup, path, headers).await?)
    }

    /// Begins what the client's first message asks for.
    async fn open(
        &mut self,
        setup: Bytes,
        path: &str,
        headers: HeaderMap,
    ) -> Result<LiveSession, Problem> {
        if std::str::from_utf8(&setup).is_err() {
            return Err(Problem::bad_request("The first message is not UTF-8."));
        }
        let asked: First<'_> = serde_json::from_slice(&setup).unwrap_or_default();
        let asked = asked.setup.unwrap_or_default();
        let Some(model) = asked.model else {
            return Err(Problem::bad_request(
                "The first message must be a `setup` that names a `model`.",
            ));
        };
        let model = model.strip_prefix("models/").unwrap_or(&model);
        if !is_model_id(model) {
            return Err(Problem::no_such_model(model));
        }
        self.trace.asked(model, true)?;
        let handle = asked.resumption.and_then(|asked| asked.handle);
        let mut names = named_in(&setup)?;
        // First, so that it decides where nobody knows any more whose it is.
        names.splice(0..0, handle.map(|handle| session_name(&handle)));
        let at = whose(self.app, &names, &self.trace).await?;
        let call = Call {
            method: Method::GET,
            path,
            query: "",
            model,
            counted_as: None,
            headers,
            body: setup.clone(),
            expect: Expect::Live,
            at: at.unwrap_or(At::Here),
        };
        let answer = self
            .app
            .upstream
            .call(&self.app.core, &call, &mut self.trace);
        match answer.await {
            Ok(Answer::Live(session)) => Ok(session),
            Ok(_) => Err(Problem::bug("a session came as an answer")),
            Err(failure) => Err(Problem::of(failure, &self.app.core)),
        }
    }

    async fn client_said(
        &mut self,
        said: Option<Result<Message, axum::Error>>,
        session: &mut LiveSession,
    ) -> Turn {
        let message = match said {
            Some(Ok(Message::Text(text))) => {
                let text = Bytes::from(text);
                match tokio_tungstenite::tungstenite::Utf8Bytes::try_from(text) {
                    Ok(text) => Theirs::Text(text),
                    Err(_) => return Turn::On,
                }
            }
            Some(Ok(Message::Binary(bytes))) => Theirs::Binary(bytes),
            // Pings are answered by the library on either side.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Turn::On,
            Some(Ok(Message::Close(_))) | None => {
                self.trace.succeed();
                return Turn::Over(NORMAL, String::new());
            }
            Some(Err(_)) => return Turn::Over(NORMAL, String::new()),
        };
        if let Err(problem) = self.may_say(&message).await {
            self.trace.fail(problem.status.as_u16(), &problem.message);
            return Turn::Over(POLICY, problem.message);
        }
        match self.gives(session.socket.send(message)).await {
            true => Turn::On,
            false => self.broken(),
        }
    }

    async fn google_said(
        &mut self,
        said: Option<Result<Theirs, tokio_tungstenite::tungstenite::Error>>,
        client: &mut WebSocket,
    ) -> Turn {
        match said {
            Some(Ok(Theirs::Close(said))) => {
                let said = said.unwrap_or(TheirClose {
                    code: NORMAL.into(),
                    reason: "".into(),
                });
                let (code, reason) = (u16::from(said.code), said.reason.as_str());
                let reason = self.trace.scrub(Bytes::copy_from_slice(reason.as_bytes()));
                let reason = String::from_utf8_lossy(&reason).into_owned();
                match code {
                    NORMAL | GOING_AWAY => self.trace.succeed(),
                    _ => self
                        .trace
                        .fail(502, &format!("Google closed the session: {reason}")),
                }
                Turn::Over(code, reason)
            }
            Some(Ok(message)) => {
                self.hear(&message);
                let Some(message) = to_client(message) else {
                    return Turn::On;
                };
                match self.gives(client.send(message)).await {
                    true => Turn::On,
                    false => Turn::Over(NORMAL, String::new()),
                }
            }
            Some(Err(_)) | None => self.broken(),
        }
    }

    /// Whether a message could be given to a side: one that takes none for as long as an answer may
    /// take has gone.
    async fn gives<E>(&self, sending: impl Future<Output = Result<(), E>>) -> bool {
        let patience = self.app.core.settings().timeout;
        let sent = self.app.core.clock.within(patience, sending).await;
        matches!(sent, Some(Ok(())))
    }

    /// Whether the client has what a message of its refers to.
    async fn may_say(&self, message: &Theirs) -> Result<(), Problem> {
        let said: &[u8] = match message {
            Theirs::Text(text) => text.as_bytes(),
            Theirs::Binary(bytes) => bytes,
            _ => return Ok(()),
        };
        let names = named_in(said)?;
        whose(self.app, &names, &self.trace).await.map(drop)
    }

    /// Ends because the server does.
    fn leave(&mut self) -> (u16, String) {
        self.trace.succeed();
        let why = "This server is being stopped. Connect again.";
        (GOING_AWAY, why.to_owned())
    }

    fn broken(&mut self) -> Turn {
        let why = "The connection to Google broke. Connect again.";
        self.trace.fail(502, why);
        Turn::Over(INTERNAL, why.to_owned())
    }

    /// Takes down what Google says of the session itself: by what it can be taken up again, and what
    /// it took.
    fn hear(&mut self, message: &Theirs) {
        let said: &[u8] = match message {
            Theirs::Text(text) => text.as_bytes(),
            Theirs::Binary(bytes) => bytes,
            _ => return,
        };
        let has = |sign: &str| memmem::find(said, sign.as_bytes()).is_some();
        if !has("newHandle") && !has("usageMetadata") {
            return;
        }
        let said: Said<'_> = serde_json::from_slice(said).unwrap_or_default();
        let update = said.session_resumption_update.unwrap_or_default();
        if let Some(handle) = update.new_handle.filter(|handle| !handle.is_empty()) {
            made(self.app, &session_name(&handle), &self.trace);
        }
        if let Some(counts) = said.usage_metadata {
            self.usage.prompt += counts.prompt_token_count;
            self.usage.output += counts.response_token_count + counts.thoughts_token_count;
            self.usage.thoughts += counts.thoughts_token_count;
            self.usage.cached += counts.cached_content_token_count;
            self.usage.total += counts.total_token_count;
            self.trace.usage(&Peek {
                usage: Some(self.usage),
                ..Peek::default()
            });
        }
    }
}

/// What a session is remembered by.
fn session_name(handle: &str) -> String {
    format!("sessions/{handle}")
}

/// The client's first message; `None` when there is none.
async fn first(client: &mut WebSocket) -> Option<Bytes> {
    loop {
        match client.next().await?.ok()? {
            Message::Text(text) => return Some(Bytes::from(text)),
            Message::Binary(bytes) => return Some(bytes),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return None,
        }
    }
}

/// A message of Google's as it goes to the client; `None` for those of the connection itself.
fn to_client(message: Theirs) -> Option<Message> {
    match message {
        Theirs::Text(text) => {
            let text = axum::extract::ws::Utf8Bytes::try_from(Bytes::from(text)).ok()?;
            Some(Message::Text(text))
        }
        Theirs::Binary(bytes) => Some(Message::Binary(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_live_api_is_a_session() {
        for version in ["v1", "v1beta", "v1alpha"] {
            let path = format!(
                "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
            );
            assert_eq!(path_of(&path).as_deref(), Some(&*path));
            assert_eq!(path_of(&format!("/{path}")).as_deref(), Some(&*path));
        }
        for path in [
            "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContentConstrained",
            "/ws/google.ai.generativelanguage.v1/..GenerativeService.BidiGenerateContent",
            "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent",
            "/ws/",
        ] {
            assert_eq!(path_of(path), None, "{path}");
        }
    }

    #[test]
    fn a_reason_ends_between_characters() {
        let frame = close(POLICY, &"钥".repeat(100));
        assert_eq!(frame.reason.len(), 123);
        assert_eq!(close(NORMAL, "").reason.as_str(), "");
    }
}
