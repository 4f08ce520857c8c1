//! What is noted of a request while it runs.

use std::sync::Arc;
use std::time::Duration;

use contract::admin::Surface;
use dialect::gemini::Peek;
use dialect::style::Style;

use super::limits::Admitted;
use super::problem::Problem;
use crate::Core;
use crate::pool::{Outcome, Picked};
use crate::record::RequestRecord;

/// The notes of one request. Dropping them files exactly one record, so a request that
/// the client abandons, or whose handler fails, is counted as well.
pub struct Trace {
    core: Option<Arc<Core>>,
    started: Duration,
    record: RequestRecord,
    /// The key last tried, to show.
    key: Option<Picked>,
    /// What let the request in; until it is dropped, the request counts as running.
    admitted: Option<Admitted>,
    ended: bool,
}

/// The status that is filed when the client went away before the answer was complete
/// (nginx's "client closed request").
const CLIENT_GONE: u16 = 499;

impl Trace {
    /// Starts the notes of a request: a client's that a token let in, or the panel's own.
    pub fn start(core: &Arc<Core>, surface: Surface, admitted: Option<Admitted>) -> Self {
        Self {
            started: core.clock.monotonic(),
            core: Some(core.clone()),
            record: blank(surface, admitted.as_ref().map(Admitted::id)),
            key: None,
            admitted,
            ended: false,
        }
    }

    /// The notes of a request that met a limit of its token.
    pub fn turned_away(core: &Arc<Core>, surface: Surface, token_id: i64, why: &Problem) {
        let mut trace = Self::start(core, surface, None);
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
            admitted: None,
            ended: false,
        }
    }

    /// Notes what was asked for.
    ///
    /// # Errors
    /// When the token may not use this model.
    pub fn asked(&mut self, model: &str, stream: bool) -> Result<(), Problem> {
        self.record.model = model.into();
        self.record.stream = stream;
        self.may_use(model)
    }

    /// Whether the token may use this model.
    ///
    /// # Errors
    /// When it may not.
    pub fn may_use(&self, model: &str) -> Result<(), Problem> {
        match &self.admitted {
            Some(admitted) if !admitted.may_use(model) => {
                Err(Problem::forbidden_model(model, admitted))
            }
            _ => Ok(()),
        }
    }

    /// How thoughts and media reach the clients of the token.
    pub fn style(&self) -> Style {
        self.admitted
            .as_ref()
            .map(Admitted::style)
            .unwrap_or_default()
    }

    /// Whether the token may use some models only.
    pub fn has_model_list(&self) -> bool {
        let admitted = self.admitted.as_ref();
        admitted.is_some_and(|admitted| !admitted.rules().models.is_empty())
    }

    /// Notes that `key` is tried.
    pub fn attempt(&mut self, key: &Picked) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.failed_keys.extend(self.record.key_id);
        self.record.key_id = Some(key.id());
        self.key = Some(key.clone());
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
        self.record.ttft_ms = Some(self.elapsed_ms());
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

    /// The key last tried.
    pub fn key(&self) -> Option<&Picked> {
        self.key.as_ref()
    }

    /// Tells the pool of something that the key met after the answer had begun.
    pub fn settle(&self, outcome: Outcome, said: &str) {
        if let (Some(core), Some(key)) = (&self.core, &self.key) {
            core.pool
                .settle(key, &self.record.model, outcome, Some(said));
        }
    }

    /// The key last tried, masked, when the request comes from the panel and not from a
    /// client, whom it does not concern.
    pub fn key_for_panel(&self) -> Option<&str> {
        match self.record.token_id {
            None => self.key.as_ref().map(Picked::masked),
            Some(_) => None,
        }
    }

    fn elapsed_ms(&self) -> u32 {
        let Some(core) = &self.core else { return 0 };
        let elapsed = core.clock.monotonic().saturating_sub(self.started);
        elapsed.as_millis().try_into().unwrap_or(u32::MAX)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let Some(core) = self.core.take() else { return };
        let mut record = std::mem::replace(&mut self.record, blank(Surface::Gemini, None));
        let elapsed = core.clock.monotonic().saturating_sub(self.started);
        record.at = core.clock.now();
        record.latency_ms = elapsed.as_millis().try_into().unwrap_or(u32::MAX);
        if !self.ended {
            record.status = CLIENT_GONE;
            record.error = Some("The client went away before the answer was complete.".into());
        }
        if let Some(admitted) = &self.admitted {
            let tokens = [
                record.prompt_tokens,
                record.output_tokens,
                record.thought_tokens,
            ];
            let tokens = tokens.into_iter().map(u64::from).sum();
            admitted.ended(tokens, record.error.is_some());
        }
        core.recorder.record(record);
    }
}

fn blank(surface: Surface, token_id: Option<i64>) -> RequestRecord {
    RequestRecord {
        at: 0,
        surface,
        model: Box::default(),
        key_id: None,
        failed_keys: Vec::new(),
        token_id,
        status: CLIENT_GONE,
        stream: false,
        attempts: 0,
        latency_ms: 0,
        ttft_ms: None,
        prompt_tokens: 0,
        output_tokens: 0,
        thought_tokens: 0,
        cached_tokens: 0,
        error: None,
    }
}
