//! What is noted of a request while it runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::Millis;
use contract::admin::{Surface, TryOutcome};
use dialect::gemini::Peek;
use dialect::style::Style;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;

use super::AnsweredBy;
use super::limits::Admitted;
use super::problem::Problem;
use super::recall::Recall;
use crate::Core;
use crate::egress::{Route, Turn};
use crate::observe::spans::Spans;
use crate::observe::{Ended, RequestId, surface_name};
use crate::pool::{Outcome, Picked};
use crate::record::scrub::scrub;
use crate::record::{Detail, RequestRecord, Try, price};
use crate::settings::Settings;
use crate::upstream::{self, Call, Failure, HOP_HEADER, NextHop};

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
    /// Until when the call under way may wait for its turn to leave.
    waits_until: Millis,
    /// What the client says that the request belongs to.
    session: Option<HeaderValue>,
    /// The tries, of which the record keeps as many as [`MOST_TRIES`].
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
/// One for each try: the key's number, how it ended, how long it was waited for and took.
const ATTEMPT_HEADER: HeaderName = HeaderName::from_static("x-gemini-balance-attempt");
/// The model that was asked because the one that was wanted had no key.
const MODEL_HEADER: HeaderName = HeaderName::from_static("x-gemini-balance-model");
/// By which clients name a session: a common name, Claude Code's, Codex'.
const SESSION_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("session_id"),
];
/// How many seconds a client wants to wait for a key at most, which is never more than the
/// setting `PATIENCE` allows.
const PATIENCE_HEADER: HeaderName = HeaderName::from_static("x-patience");

/// The most tries that are kept of a request.
const MOST_TRIES: usize = 64;
/// A try that begins sooner has waited for nothing.
const AT_ONCE: Duration = Duration::from_millis(100);
/// The most characters that are kept of what a client calls itself.
const AGENT_CHARS: usize = 200;
/// The most characters that are kept of what Google said.
const MESSAGE_CHARS: usize = 4_000;
/// The most characters that are kept of a project's name.
const PROJECT_CHARS: usize = 200;
/// No secret that can be recognised is longer, in bytes.
const SECRET_BYTES: usize = 256;

/// One try, in time since the request came.
struct Attempt {
    /// The key's number; absent when another instance chooses it.
    key: Option<i64>,
    /// The proxy that it goes through, without its credential.
    proxy: Option<Box<str>>,
    began: Duration,
    /// When it ended, and how.
    ended: Option<(Duration, Outcome)>,
}

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
        Self {
            started: core.clock.monotonic(),
            core: Some(core.clone()),
            record,
            key: None,
            came_through: parts.headers.contains_key(HOP_HEADER),
            patience: patience_of(parts),
            waits_until: Millis::MAX,
            session: SESSION_HEADERS
                .iter()
                .find_map(|name| parts.headers.get(name).cloned()),
            attempts: Vec::new(),
            newest: 0,
            tells: parts.headers.contains_key(TRACE_HEADER),
            fallback: None,
            turn: None,
            agent: parts.headers.get(USER_AGENT).cloned(),
            body: None,
            said: None,
            first_byte: None,
            span: Span::current(),
            spans: Spans::begin(parts),
            admitted,
            ended: false,
            beside: false,
            joined: false,
            recall: Recall::default(),
        }
    }

    /// The notes of one of several calls that a request makes at once. [`Trace::join`] takes them
    /// in; they file nothing themselves.
    pub fn branch(&self) -> Self {
        let mut record = blank(self.record.surface, self.record.token_id);
        record.model = self.record.model.clone();
        Self {
            core: self.core.clone(),
            started: self.started,
            record,
            key: None,
            came_through: self.came_through,
            patience: self.patience,
            waits_until: self.waits_until,
            session: self.session.clone(),
            attempts: Vec::new(),
            newest: 0,
            tells: false,
            fallback: None,
            turn: None,
            agent: None,
            body: None,
            said: None,
            first_byte: None,
            span: self.span.clone(),
            spans: self.spans.beside(),
            admitted: self.admitted.as_ref().map(Admitted::beside),
            ended: false,
            beside: true,
            joined: false,
            recall: Recall::default(),
        }
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

    /// Takes in what one of several calls has noted of its tries.
    pub fn join(&mut self, branch: &mut Self) {
        self.joined = true;
        let theirs = std::mem::replace(&mut branch.record.attempts, 0);
        self.record.attempts = self.record.attempts.saturating_add(theirs);
        self.record
            .failed_keys
            .append(&mut branch.record.failed_keys);
        self.record.key_id = branch.record.key_id.or(self.record.key_id);
        self.record.remote = branch.record.remote.take().or(self.record.remote.take());
        self.key = branch.key.clone().or(self.key.take());
        self.said = branch.said.take().or(self.said.take());
        if branch.fallback.is_some() {
            self.record.model = branch.record.model.clone();
        }
        self.fallback = branch.fallback.take().or(self.fallback.take());
        let room = MOST_TRIES.saturating_sub(self.attempts.len());
        self.attempts.extend(branch.attempts.drain(..).take(room));
    }

    /// Whether these are the notes of a request as a whole, and not of one of its calls.
    pub fn is_whole(&self) -> bool {
        self.core.is_some() && !self.beside
    }

    /// Notes that the try under way is broken off, because one beside it was faster.
    pub fn cancelled(&mut self) {
        let (Some(core), Some(key)) = (&self.core, &self.key) else {
            return;
        };
        core.metrics.attempted(Outcome::Cancelled);
        core.pool.settle(key, Outcome::Cancelled, None, None);
        self.settled(Outcome::Cancelled);
        self.turn = None;
    }

    /// Takes in what was noted of a try that ran beside the one of these notes, and goes on with
    /// that one if it was `accepted`.
    pub fn takes_in(&mut self, beside: &mut Self, accepted: bool) {
        self.record.attempts = (self.record.attempts).saturating_add(beside.record.attempts);
        beside.record.attempts = 0;
        let failed = |trace: &Self| {
            let newest = trace.attempts.get(trace.newest);
            let (at, outcome) = newest?.ended?;
            let has_failed = !matches!(outcome, Outcome::Answered | Outcome::Cancelled);
            has_failed.then_some(at)
        };
        let (this, that) = (failed(self), failed(beside));
        if that > this {
            // It was the later of the two.
            self.said = beside.said.take().or(self.said.take());
            self.record.project = beside.record.project.take();
        }
        if accepted {
            let before = self.record.key_id.filter(|_| this.is_some());
            self.record.failed_keys.extend(before);
            self.record.key_id = beside.record.key_id;
            self.record.prompt_tokens = beside.record.prompt_tokens;
            self.record.output_tokens = beside.record.output_tokens;
            self.record.thought_tokens = beside.record.thought_tokens;
            self.record.cached_tokens = beside.record.cached_tokens;
            self.record.project = None;
            self.key = beside.key.take();
            self.turn = beside.turn.take();
            self.spans.goes_on_with(&mut beside.spans);
            self.newest = self.attempts.len() + beside.newest;
        } else if that.is_some() {
            self.record.failed_keys.extend(beside.record.key_id);
        }
        let room = MOST_TRIES.saturating_sub(self.attempts.len());
        self.attempts.extend(beside.attempts.drain(..).take(room));
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
        Self {
            core: None,
            started: Duration::ZERO,
            record: blank(Surface::Gemini, None),
            key: None,
            came_through: false,
            patience: None,
            waits_until: Millis::MAX,
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

    /// Notes that `key` is tried for `call`, at the address `base`.
    pub fn attempt(&mut self, call: &Call<'_>, key: &Picked, base: &str) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.failed_keys.extend(self.record.key_id);
        self.record.key_id = Some(key.id());
        self.record.project = None;
        self.key = Some(key.clone());
        self.record.remote = None;
        self.tries(Some(key.id()));
        if self.core.is_some() {
            self.spans.attempt(call, Some(key), base);
        }
    }

    /// Notes that `call` is sent through another instance, which chooses the key.
    pub fn attempt_through(&mut self, call: &Call<'_>, hop: &NextHop) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.remote = Some(hop.through().name.as_str().into());
        self.tries(None);
        if self.core.is_some() {
            self.spans.attempt(call, None, hop.base_url());
        }
    }

    /// Holds on to what the try was given of its way out, until the next one or the end.
    pub fn holds(&mut self, turn: Option<Turn>) {
        self.turn = turn;
    }

    fn tries(&mut self, key: Option<i64>) {
        self.newest = self.attempts.len();
        if self.core.is_some() && self.attempts.len() < MOST_TRIES {
            let began = self.elapsed();
            self.attempts.push(Attempt {
                key,
                proxy: None,
                began,
                ended: None,
            });
        }
    }

    /// Notes the way that the try takes.
    pub fn goes_by(&mut self, route: &Route) {
        if let (Route::Proxy(proxy), Some(last)) = (route, self.attempts.get_mut(self.newest)) {
            last.proxy = Some(proxy.shown().into());
        }
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

    /// Notes until when a call may wait for its turn to leave.
    pub fn may_wait_until(&mut self, until: Millis) {
        self.waits_until = until;
    }

    /// Until when the call under way may wait for its turn to leave.
    pub fn waits_until(&self) -> Millis {
        self.waits_until
    }

    /// Notes why a try failed.
    pub fn failed(&mut self, failure: &Failure) {
        let status = match failure {
            Failure::Refused { status, .. } => Some(status.as_u16()),
            _ => None,
        };
        let project = failure.project();
        self.record.project = project.map(|project| first_chars(project, PROJECT_CHARS));
        self.said = Some((failure.in_short(), status));
    }

    /// Notes how the try ended. One that failed keeps its key no longer, so that the next may
    /// have it.
    pub fn settled(&mut self, outcome: Outcome) {
        if outcome != Outcome::Answered
            && let Some(key) = &mut self.key
        {
            if self.record.prompt_tokens > 0 {
                key.had_tokens(self.record.prompt_tokens.into());
            }
            *key = key.without_call();
        }
        self.spans.settled(outcome);
        let now = self.elapsed();
        if let Some(last) = self.attempts.get_mut(self.newest) {
            last.ended = Some((now, outcome));
        }
    }

    /// Notes that another model is asked instead.
    pub fn falls_back(&mut self, model: &str) {
        self.record.model = model.into();
        self.fallback = HeaderValue::from_str(model).ok();
    }

    /// What the answer's headers tell: the model that was asked instead, and the tries.
    pub fn told(&self) -> HeaderMap {
        let mut told = HeaderMap::new();
        if let Some(model) = &self.fallback {
            told.insert(MODEL_HEADER, model.clone());
        }
        let told_of = self.attempts.iter().filter(|_| self.tells);
        for (attempt, one) in told_of.zip(self.tried(self.elapsed())) {
            let key = match one.key {
                Some(key) => format!("key={key}"),
                None => "remote".to_owned(),
            };
            let outcome = attempt.ended.map(|(_, outcome)| outcome.name());
            let text = format!(
                "{key} outcome={} waited_ms={} ms={}",
                outcome.unwrap_or("under_way"),
                one.waited_ms,
                one.took_ms,
            );
            if let Ok(text) = HeaderValue::from_str(&text) {
                told.append(ATTEMPT_HEADER, text);
            }
        }
        told
    }

    /// The tries as they are kept, at a time since the request came.
    fn tried(&self, now: Duration) -> impl Iterator<Item = Try> {
        let mut before = Duration::ZERO;
        self.attempts.iter().map(move |attempt| {
            let ended = attempt.ended.map_or(now, |(at, _)| at);
            let waited = attempt.began.saturating_sub(before);
            // Two may have run at the same time.
            before = before.max(ended);
            Try {
                key: attempt.key,
                proxy: attempt.proxy.clone(),
                outcome: shown(attempt.ended.map(|(_, outcome)| outcome)),
                waited_ms: millis(waited),
                took_ms: millis(ended.saturating_sub(attempt.began)),
            }
        })
    }

    /// Whether there is something to tell of the tries besides the last one's key.
    fn tries_tell(&self) -> bool {
        let is_plain = |attempt: &Attempt| {
            let answered = matches!(attempt.ended, Some((_, Outcome::Answered)));
            answered && attempt.proxy.is_none() && attempt.began < AT_ONCE
        };
        match &self.attempts[..] {
            [] => false,
            [only] => !is_plain(only),
            _ => true,
        }
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

    /// Tells the pool of something that the key met after the answer had begun.
    pub fn settle(&mut self, outcome: Outcome, said: &str) {
        self.said = Some((said.to_owned(), None));
        if let (Some(core), Some(key)) = (&self.core, &self.key) {
            core.pool.settle(key, outcome, Some(said), None);
            self.spans.settled(outcome);
        }
        if let Some(last) = self.attempts.get_mut(self.newest) {
            let ended = last.ended.map_or(last.began, |(at, _)| at);
            last.ended = Some((ended, outcome));
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

    /// Notes that the key of the last try has not failed.
    pub(super) fn is_not_blamed(&mut self) {
        self.record.key_id = None;
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

    fn elapsed(&self) -> Duration {
        let now = self.core.as_ref().map(|core| core.clock.monotonic());
        now.unwrap_or_default().saturating_sub(self.started)
    }

    /// What is kept of a failure besides the record itself.
    fn detail(&mut self, settings: &Settings) -> Detail {
        let headers = settings.custom_headers.secrets();
        let known = || {
            let key = self.key.as_ref().map(Picked::secret);
            key.into_iter()
                .chain(&settings.api_keys)
                .chain(&settings.allowed_tokens)
                .chain(&settings.auth_token)
                .chain(&headers)
        };
        let (message, upstream_status) = match &self.said {
            Some((said, status)) => (Some(scrub(said, known())), *status),
            None => (None, None),
        };
        let agent = self.agent.as_ref();
        let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let mut detail = Detail {
            upstream_message: message.map(|said| first_chars(&said, MESSAGE_CHARS)),
            upstream_status,
            user_agent: agent.map(|agent| first_chars(&agent, AGENT_CHARS)),
            ..Detail::default()
        };
        if let Some(body) = &self.body {
            let most = usize::try_from(settings.record_body_kb).map_or(0, |kb| kb * 1024);
            // What stands across the end must be seen whole to be recognised as a secret.
            let read = body.get(..most + SECRET_BYTES).unwrap_or(body);
            let mut text = scrub(&String::from_utf8_lossy(read), known());
            text.truncate(text.floor_char_boundary(most));
            detail.body = Some(text.into());
            detail.body_truncated = body.len() > most;
        }
        detail
    }

    /// The one line that is logged of a request. Texts of errors are left out: they can
    /// quote what was asked.
    fn log(&self) {
        let _entered = self.span.enter();
        let record = &self.record;
        tracing::info!(
            surface = surface_name(record.surface),
            model = &*record.model,
            token = record.token_id,
            key = self.key.as_ref().map(Picked::id),
            key_masked = self.key.as_ref().map(Picked::masked),
            remote = record.remote.as_deref(),
            status = record.status,
            stream = record.stream,
            attempts = record.attempts,
            input_tokens = record.prompt_tokens,
            output_tokens = record.output_tokens,
            thought_tokens = record.thought_tokens,
            cached_tokens = record.cached_tokens,
            first_byte_ms = record.ttft_ms,
            ms = record.latency_ms,
            "request finished"
        );
    }
}

/// Notes that a request was turned away because it has no token, or because one that is over
/// its limit goes on and on. It leaves no record: such requests can be sent without end.
pub(super) fn refused(core: &Core, surface: Surface, problem: &Problem) {
    let status = problem.status.as_u16();
    core.metrics.refused(surface, status);
    tracing::info!(
        surface = surface_name(surface),
        status,
        "request refused: no accepted client token, or one over its limit again and again"
    );
}

/// The first characters of a text, without control characters.
fn first_chars(text: &str, chars: usize) -> Box<str> {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(chars).collect::<String>().into()
}

/// The seconds in the header [`PATIENCE_HEADER`].
fn patience_of(parts: &Parts) -> Option<Duration> {
    let text = parts.headers.get(PATIENCE_HEADER)?.to_str().ok()?;
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// How a try ended, to show; `None` when it has not ended.
fn shown(outcome: Option<Outcome>) -> TryOutcome {
    match outcome {
        None => TryOutcome::BrokenOff,
        Some(Outcome::Answered) => TryOutcome::Answered,
        Some(Outcome::Empty) => TryOutcome::Empty,
        Some(Outcome::ClientFault) => TryOutcome::ClientFault,
        Some(Outcome::Quota { .. }) => TryOutcome::Quota,
        Some(Outcome::PromptTooLarge { .. }) => TryOutcome::PromptTooLarge,
        Some(Outcome::KeyRefused(_)) => TryOutcome::KeyRefused,
        Some(Outcome::Forbidden) => TryOutcome::Forbidden,
        Some(Outcome::LocationRefused) => TryOutcome::LocationRefused,
        Some(Outcome::Overloaded) => TryOutcome::Overloaded,
        Some(Outcome::NoTurn) => TryOutcome::NoTurn,
        Some(Outcome::Unreachable) => TryOutcome::Unreachable,
        Some(Outcome::TooSlow) => TryOutcome::TooSlow,
        Some(Outcome::Cancelled) => TryOutcome::Cancelled,
    }
}

/// In whole milliseconds.
fn millis(duration: Duration) -> u32 {
    duration.as_millis().try_into().unwrap_or(u32::MAX)
}

impl Drop for Trace {
    fn drop(&mut self) {
        let Some(core) = self.core.take() else { return };
        let counts = self.record.prompt_tokens > 0 && !self.joined;
        if let Some(key) = self.key.as_ref().filter(|_| counts) {
            key.had_tokens(self.record.prompt_tokens.into());
        }
        if self.beside {
            return;
        }
        let took = core.clock.monotonic().saturating_sub(self.started);
        self.record.at = core.clock.now();
        self.record.latency_ms = millis(took);
        self.record.ttft_ms = self.first_byte.map(millis);
        if !self.ended {
            self.record.status = CLIENT_GONE;
            self.record.error = Some("The client went away before the answer was complete.".into());
        }
        self.record.cost_micros = price::cost_micros(&self.record);
        if self.tries_tell() {
            self.record.tries = self.tried(took).collect();
        }
        if self.record.error.is_some() {
            let detail = self.detail(&core.settings());
            if detail != Detail::default() {
                self.record.detail = Some(detail.into());
            }
        }
        if let Some(admitted) = &self.admitted {
            let tokens = [
                self.record.prompt_tokens,
                self.record.output_tokens,
                self.record.thought_tokens,
            ];
            let tokens = tokens.into_iter().map(u64::from).sum();
            admitted.ended(tokens, self.record.error.is_some());
        }
        self.log();
        core.metrics.ended(&Ended {
            record: &self.record,
            took,
            first_byte: self.first_byte,
        });
        self.spans.end(&self.record);
        let record = std::mem::replace(&mut self.record, blank(Surface::Gemini, None));
        core.recorder.record(record);
    }
}

fn blank(surface: Surface, token_id: Option<i64>) -> RequestRecord {
    RequestRecord {
        token_id,
        status: CLIENT_GONE,
        ..RequestRecord::blank(surface)
    }
}
