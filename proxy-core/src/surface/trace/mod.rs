//! What is noted of a request while it runs.

mod filed;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::admin::Surface;
use dialect::gemini::Peek;
use dialect::style::Style;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use tracing::Span;

pub(super) use self::filed::refused;

use self::filed::{first_chars, millis};
use self::tries::Attempt;
use super::AnsweredBy;
use super::limits::Admitted;
use super::problem::Problem;
use super::recall::Recall;
use crate::Core;
use crate::egress::Turn;
use crate::observe::RequestId;
use crate::observe::spans::Spans;
use crate::pool::Picked;
use crate::record::RequestRecord;
use crate::upstream::{self, HOP_HEADER};

/// The notes of one request. Dropping them files exactly one record, so a request that
/// the client abandons, or whose handler fails, is counted as well.
pub struct Trace {
    core: Option<Arc<Core>>,
    started: Duration,
    record: RequestRecord,
    /// The key last tried, to show.
    key: Option<Picked>,
    /// Another instance sent the request.
    came_through: bool,
    /// How long the client wants to wait for a key at most.
    patience: Option<Duration>,
    /// A second attempt was made beside the first: at most once for a request.
    hedged: bool,
    /// What the client says that the request belongs to.
    session: Option<HeaderValue>,
    /// The tries, as many as are kept.
    attempts: Vec<Attempt>,
    /// Which of them is the newest, but for one beside it that was not accepted.
    newest: usize,
    /// The client wants to be told of each try.
    tells: bool,
    /// The model that was asked instead of the one that the client wanted.
    fallback: Option<HeaderValue>,
    /// What the try under way holds of its way out.
    turn: Option<Turn>,
    /// What the client called itself.
    agent: Option<HeaderValue>,
    /// The client's body, when bodies are recorded.
    body: Option<Bytes>,
    /// What Google said when the last try failed, and its status.
    said: Option<(String, Option<u16>)>,
    /// When the client got its first byte, since `started`.
    first_byte: Option<Duration>,
    /// The log's span: what is said after the handler has returned belongs to it, too.
    span: Span,
    spans: Spans,
    /// What let the request in; until it is dropped, the request counts as running.
    admitted: Option<Admitted>,
    ended: bool,
    /// They are of one call among others of a request, which files them.
    beside: bool,
    /// The calls have told their keys of their tokens themselves.
    joined: bool,
    recall: Recall,
}

/// The status that is filed when the client went away before the answer was complete
/// (nginx's "client closed request").
const CLIENT_GONE: u16 = 499;

/// With this header, whatever its value, a client asks to be told of each try.
const TRACE_HEADER: HeaderName = HeaderName::from_static("x-gemini-balance-trace");
/// By which clients name a session: a common name, Claude Code's, Codex'.
const SESSION_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("session_id"),
];
/// How many seconds a client wants to wait for a key at most, which is never more than the
/// setting `PATIENCE` allows.
const PATIENCE_HEADER: HeaderName = HeaderName::from_static("x-patience");

impl Trace {
    /// Starts the notes of a request: a client's that a token let in, or the panel's own.
    pub fn start(
        core: &Arc<Core>,
        surface: Surface,
        admitted: Option<Admitted>,
        parts: &Parts,
    ) -> Self {
        core.metrics.begun();
        let mut record = blank(surface, admitted.as_ref().map(Admitted::id));
        record.request_id = match parts.extensions.get::<RequestId>() {
            Some(id) => id.as_str().into(),
            // A request from within the process.
            None => RequestId::new().as_str().into(),
        };
        let mut trace = Self::new(Some(core.clone()), core.clock.monotonic(), record);
        trace.came_through = parts.headers.contains_key(HOP_HEADER);
        trace.patience = patience_of(parts);
        trace.session = SESSION_HEADERS
            .iter()
            .find_map(|name| parts.headers.get(name).cloned());
        trace.tells = parts.headers.contains_key(TRACE_HEADER);
        trace.agent = parts.headers.get(USER_AGENT).cloned();
        trace.span = Span::current();
        trace.spans = Spans::begin(parts);
        trace.admitted = admitted;
        trace
    }

    /// The notes of one of several calls that a request makes at once. [`Trace::join`] takes them
    /// in; they file nothing themselves.
    pub fn branch(&self) -> Self {
        let mut record = blank(self.record.surface, self.record.token_id);
        record.model = self.record.model.clone();
        let mut branch = Self::new(self.core.clone(), self.started, record);
        branch.came_through = self.came_through;
        branch.patience = self.patience;
        branch.session = self.session.clone();
        branch.span = self.span.clone();
        branch.spans = self.spans.beside();
        branch.admitted = self.admitted.as_ref().map(Admitted::beside);
        branch.beside = true;
        branch
    }

    /// Whether nobody files these notes, as they are not of a client's request.
    pub fn is_silent(&self) -> bool {
        self.core.is_none()
    }

    /// Notes that the call is over, though the request goes on: others may have its key and its way
    /// out.
    pub fn call_is_over(&mut self) {
        self.turn = None;
        if let Some(key) = &mut self.key {
            if self.record.prompt_tokens > 0 {
                key.had_tokens(self.record.prompt_tokens.into());
            }
            *key = key.without_call();
        }
    }

    /// Whether an attempt may be made beside another: these are the notes of a request as a whole, and
    /// not of one of its calls, and it was not done before.
    pub fn may_hedge(&self) -> bool {
        self.core.is_some() && !self.beside && !self.hedged
    }

    /// Notes that it is done.
    pub fn hedges(&mut self) {
        self.hedged = true;
    }

    /// The notes of a request that met a limit of its token.
    pub fn turned_away(
        core: &Arc<Core>,
        surface: Surface,
        token_id: i64,
        why: &Problem,
        parts: &Parts,
    ) {
        let mut trace = Self::start(core, surface, None, parts);
        trace.record.token_id = Some(token_id);
        trace.fail(why.status.as_u16(), &why.message);
    }

    /// Notes that nobody files, for calls that are not a client's.
    pub fn silent() -> Self {
        Self::new(None, Duration::ZERO, blank(Surface::Gemini, None))
    }

    /// Notes in which nothing is yet.
    fn new(core: Option<Arc<Core>>, started: Duration, record: RequestRecord) -> Self {
        Self {
            core,
            started,
            record,
            key: None,
            came_through: false,
            patience: None,
            hedged: false,
            session: None,
            attempts: Vec::new(),
            newest: 0,
            tells: false,
            fallback: None,
            turn: None,
            agent: None,
            body: None,
            said: None,
            first_byte: None,
            span: Span::none(),
            spans: Spans::none(),
            admitted: None,
            ended: false,
            beside: false,
            joined: false,
            recall: Recall::default(),
        }
    }

    /// Notes what was asked for.
    ///
    /// # Errors
    /// When this client may not use this model.
    pub fn asked(&mut self, model: &str, stream: bool) -> Result<(), Problem> {
        self.record.model = model.into();
        self.record.stream = stream;
        self.may_use(model)
    }

    /// Notes what the client sent, when the settings say that bodies are recorded.
    pub fn sent(&mut self, body: &Bytes) {
        let core = self.core.as_ref();
        if core.is_some_and(|core| core.settings().record_bodies) {
            self.body = Some(body.clone());
        }
    }

    /// Whether this client may use this model: by the settings and by its token.
    ///
    /// # Errors
    /// When it may not.
    pub fn may_use(&self, model: &str) -> Result<(), Problem> {
        match (&self.admitted, &self.core) {
            (_, Some(core)) if core.settings().filters(model) => Err(Problem::filtered(model)),
            (Some(admitted), _) if !admitted.may_use(model) => {
                Err(Problem::forbidden_model(model, admitted))
            }
            _ => Ok(()),
        }
    }

    /// What the request is called.
    pub fn request_id(&self) -> &str {
        &self.record.request_id
    }

    /// The number of the client's token; `None` for what comes from within the process.
    pub fn token_id(&self) -> Option<i64> {
        self.record.token_id
    }

    /// The number of the key that is tried, or has answered; `None` when another instance chose it.
    pub fn key_id(&self) -> Option<i64> {
        self.record.key_id
    }

    /// What the client's token is called where others can read it.
    pub fn token_word(&self) -> &str {
        self.admitted.as_ref().map_or("panel", Admitted::word)
    }

    /// How thoughts and media reach the clients of the token.
    pub fn style(&self) -> Style {
        self.admitted
            .as_ref()
            .map(Admitted::style)
            .unwrap_or_default()
    }

    /// Whether there may be models that this client may not use.
    pub fn hides_models(&self) -> bool {
        let core = self.core.as_ref();
        let admitted = self.admitted.as_ref();
        core.is_some_and(|core| !core.settings().filtered_models.is_empty())
            || admitted.is_some_and(|admitted| !admitted.rules().models.is_empty())
    }

    /// Whether another instance sent the request, so that it is not sent on to a third.
    pub fn came_through(&self) -> bool {
        self.came_through
    }

    /// What the client says that the request belongs to.
    pub fn session(&self) -> Option<&[u8]> {
        self.session.as_ref().map(HeaderValue::as_bytes)
    }

    /// How long to wait for a key: as the settings say, or less where the client wants that.
    pub fn patience(&self, most: Duration) -> Duration {
        self.patience.map_or(most, |patience| patience.min(most))
    }

    /// Notes that another model is asked instead.
    pub fn falls_back(&mut self, model: &str) {
        self.record.model = model.into();
        self.fallback = HeaderValue::from_str(model).ok();
    }

    /// Notes tokens as Google counted them; later numbers replace earlier ones.
    pub fn usage(&mut self, peek: &Peek) {
        let Some(usage) = peek.usage else { return };
        let count = |tokens: u64| tokens.try_into().unwrap_or(u32::MAX);
        self.record.prompt_tokens = count(usage.prompt);
        self.record.output_tokens = count(usage.output.saturating_sub(usage.thoughts));
        self.record.thought_tokens = count(usage.thoughts);
        self.record.cached_tokens = count(usage.cached);
    }

    /// Notes that the client gets its first byte now.
    pub fn first_byte(&mut self) {
        self.first_byte = Some(self.elapsed());
    }

    /// Notes that the request ends in an error.
    pub fn fail(&mut self, status: u16, message: &str) {
        self.record.status = status;
        self.record.error = Some(message.into());
        self.ended = true;
    }

    /// Notes that the request ends well.
    pub fn succeed(&mut self) {
        if !self.ended {
            self.record.status = 200;
            self.ended = true;
        }
    }

    /// Takes what let the last try in out of what was said in a stream.
    pub fn scrub(&self, said: Bytes) -> Bytes {
        match (&self.key, &self.core) {
            (Some(key), Some(core)) => upstream::scrub(said, key.secret(), &core.settings()),
            _ => said,
        }
    }

    pub(super) fn core(&self) -> Option<&Core> {
        self.core.as_deref()
    }

    pub(super) fn recall(&self) -> &Recall {
        &self.recall
    }

    pub(super) fn recall_mut(&mut self) -> &mut Recall {
        &mut self.recall
    }

    /// The span that lines about this request belong to.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The key last tried and the model, when the request comes from the panel and not from a
    /// client, whom they do not concern.
    pub(super) fn answered_by(&self) -> Option<AnsweredBy> {
        if self.record.token_id.is_some() {
            return None;
        }
        Some(AnsweredBy {
            key: self.key.as_ref()?.masked().to_owned(),
            model: self.record.model.to_string(),
        })
    }

    /// How long ago the request came; nothing, for notes that are of no request.
    pub fn elapsed(&self) -> Duration {
        let now = self.core.as_ref().map(|core| core.clock.monotonic());
        now.unwrap_or_default().saturating_sub(self.started)
    }
}

/// The seconds in the header [`PATIENCE_HEADER`].
fn patience_of(parts: &Parts) -> Option<Duration> {
    let text = parts.headers.get(PATIENCE_HEADER)?.to_str().ok()?;
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

fn blank(surface: Surface, token_id: Option<i64>) -> RequestRecord {
    RequestRecord {
        token_id,
        status: CLIENT_GONE,
        ..RequestRecord::blank(surface)
    }
}
