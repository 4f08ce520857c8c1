//! What becomes of a request's notes: one record, one line in the log, and numbers.

use std::time::Duration;

use contract::admin::Surface;

use super::{CLIENT_GONE, Trace, blank};
use crate::Core;
use crate::observe::{Ended, surface_name};
use crate::pool::Picked;
use crate::record::scrub::scrub;
use crate::record::{Detail, price};
use crate::settings::Settings;
use crate::surface::problem::Problem;

/// The most characters that are kept of what a client calls itself.
const AGENT_CHARS: usize = 200;
/// The most characters that are kept of what Google said.
const MESSAGE_CHARS: usize = 4_000;
/// No secret that can be recognised is longer, in bytes.
const SECRET_BYTES: usize = 256;

impl Trace {
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

/// Notes that a request was turned away because it has no token, or because one that is over
/// its limit goes on and on. It leaves no record: such requests can be sent without end.
pub(in crate::surface) fn refused(core: &Core, surface: Surface, problem: &Problem) {
    let status = problem.status.as_u16();
    core.metrics.refused(surface, status);
    tracing::info!(
        surface = surface_name(surface),
        status,
        "request refused: no accepted client token, or one over its limit again and again"
    );
}

/// The first characters of a text, without control characters.
pub(super) fn first_chars(text: &str, chars: usize) -> Box<str> {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(chars).collect::<String>().into()
}

/// In whole milliseconds.
pub(super) fn millis(duration: Duration) -> u32 {
    duration.as_millis().try_into().unwrap_or(u32::MAX)
}
