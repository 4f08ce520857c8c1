//! The Live API: a conversation over a WebSocket.
//!
//! The messages: <https://ai.google.dev/api/live>, and what googleapis/python-genai sends and
//! reads (`live.py`, `_live_converters.py`). Google's frames are binary, JSON all the same. What
//! it refuses it says in the frame that closes the connection, cut to the 123 bytes that fit:
//! 1007 for what is wrong with a request (a key that is not valid, a handle that is none), 1008
//! for what is not there («BidiGenerateContent session not found» of a handle whose session is
//! gone, «… is not supported for bidiGenerateContent»), 1011 for the rest; all of these were
//! seen in people's logs. Another project's handle is answered as one whose session is gone.
//!
//! Deliberately absent: ephemeral tokens (`BidiGenerateContentConstrained`), detection of
//! speech, interruptions, and the limits of a session's length.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::World;
use super::calling::spend;
use super::door;
use super::error::GoogleError;
use super::fault::{Cut, Fault, Verdict};
use super::live_turns::Talk;
use super::proto::{self, get, text};
use super::server::{Body, Presence, Reset, Severed, full};
use super::shelf::{Caller, Owned, Resource};

/// A handle is good for two hours (<https://ai.google.dev/gemini-api/docs/live-session>), in milliseconds.
const HANDLE_LIFE: i64 = 2 * 60 * 60 * 1000;

/// What every handle of the fake begins with.
const HANDLE: &str = "fake-session-";

/// What the frame that closes can say, in bytes.
const MOST_REASON: usize = 123;

/// Something that a test does to all sessions.
#[derive(Clone, Debug)]
pub(super) enum Push {
    /// Says that the session ends in so much time.
    GoAway(Duration),
    /// Closes with this code and reason.
    Close(u16, String),
}

/// What the fake knows of sessions.
#[derive(Debug)]
pub(super) struct Live {
    pub pushes: broadcast::Sender<Push>,
    /// Closed when the fake is dropped.
    pub alive: tokio::sync::watch::Receiver<()>,
}

/// The name of an API version, when this is the address of a session.
pub(super) fn version(parts: &Parts) -> Option<String> {
    let path = parts.uri.path().trim_start_matches('/');
    let name = path.strip_prefix("ws/google.ai.generativelanguage.")?;
    let version = name.strip_suffix(".GenerativeService.BidiGenerateContent")?;
    matches!(version, "v1" | "v1beta" | "v1alpha").then(|| version.to_owned())
}

/// Opens a session.
pub(super) async fn respond(
    world: Arc<World>,
    mut parts: Parts,
    version: String,
    reset: Reset,
) -> Result<Response<Body>, Severed> {
    let mut presence = Presence::new(Arc::clone(&world));
    let id = world.saw(&parts, None);
    let rpc =
        format!("google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent");
    let query: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let caller = door::admit_as(&world, &parts, &query, &rpc, false);
    world.note(id, |seen| {
        seen.action = Some("bidiGenerateContent");
        seen.key = door::credential(&parts, &query, &rpc).ok();
        seen.project = caller.as_ref().ok().map(|caller| caller.project.clone());
    });
    world.counts.send_modify(|counts| counts.received += 1);
    let verdict = match &caller {
        Ok(caller) => {
            let mut inner = world.inner.lock();
            inner.script.take(&caller.key, None, "bidiGenerateContent")
        }
        Err(_) => Verdict::default(),
    };
    if !verdict.latency.is_zero() {
        world.clock.sleep(verdict.latency).await;
    }
    match &verdict.fault {
        Some(Fault::StallBeforeHeaders) => world.stall().await,
        Some(Fault::CloseBeforeHeaders) => {
            presence.served();
            return Err(Severed);
        }
        _ => {}
    }
    let upgrade = WebSocketUpgrade::<axum::extract::ws::DefaultOnFailedUpgrade>::from_request_parts(
        &mut parts,
        &(),
    );
    let response = match upgrade.await {
        Err(refusal) => {
            presence.served();
            let response = refusal.into_response();
            world.note(id, |seen| seen.status = Some(response.status().as_u16()));
            response
        }
        Ok(upgrade) => {
            world.note(id, |seen| seen.status = Some(101));
            let shared = Arc::clone(&world);
            upgrade.on_upgrade(move |socket| async move {
                let session = Session {
                    pushes: shared.live.pushes.subscribe(),
                    world: shared,
                    socket,
                    seen: id,
                    version,
                    presence,
                    reset,
                    cut: None,
                };
                session.run(caller, verdict).await;
            })
        }
    };
    let (parts, _) = response.into_parts();
    Ok(Response::from_parts(parts, full(Bytes::new())))
}

/// A session with one client.
struct Session {
    world: Arc<World>,
    socket: WebSocket,
    pushes: broadcast::Receiver<Push>,
    /// The number of its request in the log.
    seen: u64,
    version: String,
    presence: Presence,
    reset: Reset,
    /// The connection breaks when so many messages more were sent.
    cut: Option<(usize, Cut)>,
}

/// Why a session ends.
enum End {
    /// The client closed or went away.
    Client,
    /// The fake closes with a code and a reason.
    Close(u16, String),
    /// The connection breaks, on purpose.
    Cut(Cut),
}

impl From<GoogleError> for End {
    fn from(error: GoogleError) -> Self {
        let code = match error.code {
            400 => 1007,
            401 | 403 | 404 => 1008,
            _ => 1011,
        };
        Self::Close(code, error.message)
    }
}

impl From<axum::Error> for End {
    fn from(_: axum::Error) -> Self {
        Self::Client
    }
}

/// What comes next.
enum Next {
    Said(Value),
    Pushed(Push),
}

impl Session {
    async fn run(mut self, caller: Result<Caller, GoogleError>, verdict: Verdict) {
        let end = match self.talk(caller, verdict).await {
            Ok(()) => End::Client,
            Err(end) => end,
        };
        match end {
            End::Client => {}
            End::Close(code, reason) => {
                let mut most = reason.len().min(MOST_REASON);
                while !reason.is_char_boundary(most) {
                    most -= 1;
                }
                let frame = CloseFrame {
                    code,
                    reason: reason[..most].into(),
                };
                self.presence.served();
                if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                    // Whoever closed first reads on until the other side has done so, too.
                    while let Some(Ok(_)) = self.receive().await {}
                }
            }
            End::Cut(cut) => {
                self.presence.served();
                self.reset.set(cut == Cut::Reset);
            }
        }
        let mut inner = self.world.inner.lock();
        inner.live.retain(|session| session.name != self.name());
    }

    fn name(&self) -> String {
        format!("liveSessions/{}", self.seen)
    }

    /// The next message, or nothing when the fake itself is gone.
    async fn receive(&mut self) -> Option<Result<Message, axum::Error>> {
        let mut alive = self.world.live.alive.clone();
        tokio::select! {
            message = self.socket.recv() => message,
            _ = alive.changed() => None,
        }
    }

    /// What the client says next, or a test does.
    async fn next(&mut self) -> Result<Next, End> {
        loop {
            let mut alive = self.world.live.alive.clone();
            let message = tokio::select! {
                message = self.socket.recv() => message,
                Ok(push) = self.pushes.recv() => return Ok(Next::Pushed(push)),
                _ = alive.changed() => None,
            };
            let bytes = match message.ok_or(End::Client)?? {
                Message::Text(words) => Bytes::from(words),
                Message::Binary(bytes) => bytes,
                Message::Close(_) => {
                    self.presence.served();
                    // Reading on sends the close that answers it.
                    while let Some(Ok(_)) = self.receive().await {}
                    return Err(End::Client);
                }
                Message::Ping(_) | Message::Pong(_) => continue,
            };
            let said = door::json(&bytes)?;
            let wrong = proto::violations("bidiGenerateContent", &said);
            if !wrong.is_empty() {
                return Err(GoogleError::fields(&wrong).into());
            }
            return Ok(Next::Said(Value::Object(said)));
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), End> {
        if let Some((left, cut)) = &mut self.cut {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Err(End::Cut(*cut)),
            }
        }
        let bytes = Bytes::from(message.to_string());
        Ok(self.socket.send(Message::Binary(bytes)).await?)
    }

    async fn pushed(&mut self, push: Push) -> Result<(), End> {
        match push {
            Push::GoAway(left) => {
                let left = format!("{}s", left.as_secs_f64());
                self.send(&json!({ "goAway": { "timeLeft": left } })).await
            }
            Push::Close(code, reason) => Err(End::Close(code, reason)),
        }
    }

    async fn talk(
        &mut self,
        caller: Result<Caller, GoogleError>,
        verdict: Verdict,
    ) -> Result<(), End> {
        let caller = caller?;
        self.strike(&caller, verdict, "")?;
        let setup = loop {
            match self.next().await? {
                Next::Said(said) => break said,
                Next::Pushed(push) => self.pushed(push).await?,
            }
        };
        let Some(setup) = get(&setup, "setup").cloned() else {
            return Err(
                GoogleError::invalid("setup must be the first message and only the first").into(),
            );
        };
        let mut talk = self.set_up(&caller, &setup)?;
        self.send(&json!({ "setupComplete": {} })).await?;
        loop {
            let said = match self.next().await? {
                Next::Said(said) => said,
                Next::Pushed(push) => {
                    self.pushed(push).await?;
                    continue;
                }
            };
            if get(&said, "setup").is_some() {
                return Err(GoogleError::invalid(
                    "setup must be the first message and only the first",
                )
                .into());
            }
            let scripted = || self.world.inner.lock().answers.pop_front();
            let replies = talk.hear(&self.world, &caller, &said, scripted)?;
            let answered = !replies.is_empty();
            for reply in &replies {
                self.send(reply).await?;
            }
            if answered && talk.resumes {
                let handle = self.keep(&caller, &talk);
                let update = json!({ "newHandle": handle, "resumable": true });
                self.send(&json!({ "sessionResumptionUpdate": update }))
                    .await?;
            }
        }
    }

    /// The faults that strike a session, at its start or from then on.
    fn strike(&mut self, caller: &Caller, verdict: Verdict, model: &str) -> Result<(), End> {
        let error = match verdict.fault {
            Some(Fault::Status(code)) => GoogleError::usual(code),
            Some(Fault::Error(error)) => error,
            Some(Fault::Refuse(refusal)) => refusal.error(&caller.key, &caller.project, ""),
            Some(Fault::Exhausted(exhaustion)) => exhaustion.error(model),
            Some(Fault::CutAfter { events, cut }) => {
                self.cut = Some((events, cut));
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(error.into())
    }

    fn set_up(&mut self, caller: &Caller, setup: &Value) -> Result<Talk, End> {
        let world = Arc::clone(&self.world);
        let id = text(setup, "model").trim_start_matches("models/");
        world.note(self.seen, |seen| seen.model = Some(id.to_owned()));
        let model = world.models.iter().find(|model| model.id == id);
        let model = model.filter(|model| model.supports("bidiGenerateContent"));
        let model = model.ok_or_else(|| {
            GoogleError::model_not_found(&self.version, id, "bidiGenerateContent")
        })?;
        let verdict = {
            let mut inner = world.inner.lock();
            inner
                .script
                .take(&caller.key, Some(id), "bidiGenerateContent")
        };
        self.strike(caller, verdict, id)?;
        spend(&world, caller, model, 0)?;
        let mut talk = Talk::new(&world, caller, model, setup)?;
        let resumption = get(setup, "session_resumption");
        talk.resumes = resumption.is_some();
        let handle = resumption.map(|resumption| text(resumption, "handle"));
        let now = world.clock.now();
        let mut inner = world.inner.lock();
        if let Some(handle) = handle.filter(|handle| !handle.is_empty()) {
            if !handle.starts_with(HANDLE) {
                return Err(End::Close(1007, "Invalid session handle".to_owned()));
            }
            let name = format!("liveHandles/{handle}");
            let Some(kept) = inner.handles.get(&caller.project, &name, now) else {
                let reason = "BidiGenerateContent session not found".to_owned();
                return Err(End::Close(1008, reason));
            };
            talk.contents.clone_from(&kept.it);
        }
        inner.live.push(Resource {
            name: self.name(),
            project: caller.project.clone(),
            key: caller.key.clone(),
            created: now,
            shown: setup.clone(),
        });
        Ok(talk)
    }

    /// Keeps what was said, and gives the handle by which it is found again.
    fn keep(&self, caller: &Caller, talk: &Talk) -> String {
        let now = self.world.clock.now();
        let mut inner = self.world.inner.lock();
        let handle = format!("{HANDLE}{}", inner.mint(48));
        inner.handles.put(Owned {
            name: format!("liveHandles/{handle}"),
            owner: caller.clone(),
            created: now,
            expires: Some(now + HANDLE_LIFE),
            it: talk.contents.clone(),
        });
        handle
    }
}
