//! The spans of a request for OpenTelemetry: one for the request, one for each call to
//! Google, with the attributes of the semantic conventions for HTTP and for generative AI.
//!
//! They have a target of their own, [`TARGET`], so that the host's log leaves them out and
//! its tracer takes nothing else. Without a tracer their call sites are off, and making one
//! costs a comparison. Deliberately absent: what is said in a request or an answer, and the
//! query, which can hold a credential.

use axum::extract::MatchedPath;
use http::HeaderMap;
use http::request::Parts;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use reqwest::Url;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::metrics::surface_name;
use crate::pool::{Outcome, Picked};
use crate::record::RequestRecord;
use crate::upstream::{Call, Expect};

/// The target of the spans that are meant for OpenTelemetry and not for the log.
pub const TARGET: &str = "gemini_balance::span";

/// <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-attributes-registry/>
const PROVIDER: &str = "gcp.gemini";

/// The spans of one request. Dropping them ends them.
pub(crate) struct Spans {
    request: Span,
    /// The newest call to Google.
    attempt: Span,
}

impl Spans {
    /// Spans of a request that nobody watches.
    pub(crate) fn none() -> Self {
        Self {
            request: Span::none(),
            attempt: Span::none(),
        }
    }

    /// Those of one of several calls of the same request.
    pub(crate) fn beside(&self) -> Self {
        Self {
            request: self.request.clone(),
            attempt: Span::none(),
        }
    }

    /// Goes on with the call of another of the request's calls as the newest.
    pub(crate) fn goes_on_with(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.attempt, &mut other.attempt);
    }

    /// Begins the span of a request, below the client's own when it names one
    /// (`traceparent`).
    pub(crate) fn begin(parts: &Parts) -> Self {
        let request = tracing::info_span!(
            target: TARGET,
            parent: None,
            "request",
            otel.name = %route(parts),
            otel.kind = "server",
        );
        if !request.is_disabled() {
            let parent = global::get_text_map_propagator(|propagator| {
                propagator.extract(&Headers(&parts.headers))
            });
            // It fails only for a span that has begun to be sent, and this one is new.
            let _ = request.set_parent(parent);
            request.set_attribute("http.request.method", parts.method.to_string());
            request.set_attribute("url.path", parts.uri.path().to_owned());
            if let Some(route) = parts.extensions.get::<MatchedPath>() {
                request.set_attribute("http.route", route.as_str().to_owned());
            }
        }
        Self {
            request,
            attempt: Span::none(),
        }
    }

    /// Begins the span of a call with `key`, or through another instance, at the address
    /// `base`.
    pub(crate) fn attempt(&mut self, call: &Call<'_>, key: Option<&Picked>, base: &str) {
        let span = tracing::info_span!(
            target: TARGET,
            parent: &self.request,
            "attempt",
            otel.name = %call_name(call),
            otel.kind = "client",
        );
        if !span.is_disabled() {
            span.set_attribute("gen_ai.provider.name", PROVIDER);
            if let Some(operation) = operation(call) {
                span.set_attribute("gen_ai.operation.name", operation);
                span.set_attribute("gen_ai.request.model", call.model.to_owned());
            }
            if let Some(host) = Url::parse(base).ok().as_ref().and_then(Url::host_str) {
                span.set_attribute("server.address", host.to_owned());
            }
            if let Some(key) = key {
                span.set_attribute("gemini_balance.key.id", key.id());
                span.set_attribute("gemini_balance.key.masked", key.masked().to_owned());
            }
        }
        self.attempt = span;
    }

    /// Notes how the newest call to Google ended.
    pub(crate) fn settled(&self, outcome: Outcome) {
        match outcome {
            _ if self.attempt.is_disabled() => {}
            Outcome::Answered => {}
            // Nothing failed, so it is no error.
            Outcome::Cancelled => {
                let attribute = "gemini_balance.cancelled";
                self.attempt.set_attribute(attribute, true);
            }
            _ => fail(&self.attempt, outcome.name()),
        }
    }

    /// Notes what is known of the request at its end.
    pub(crate) fn end(&self, record: &RequestRecord) {
        if self.request.is_disabled() {
            return;
        }
        for span in [&self.request, &self.attempt] {
            for (name, tokens) in [
                ("gen_ai.usage.input_tokens", record.prompt_tokens),
                (
                    "gen_ai.usage.output_tokens",
                    // By the convention, thoughts are output.
                    record.output_tokens.saturating_add(record.thought_tokens),
                ),
                ("gen_ai.usage.cache_read.input_tokens", record.cached_tokens),
            ] {
                if tokens > 0 {
                    span.set_attribute(name, i64::from(tokens));
                }
            }
        }
        let span = &self.request;
        span.set_attribute("gemini_balance.request.id", record.request_id.to_string());
        span.set_attribute("gemini_balance.surface", surface_name(record.surface));
        span.set_attribute("gemini_balance.attempts", i64::from(record.attempts));
        if let Some(token) = record.token_id {
            span.set_attribute("gemini_balance.token.id", token);
        }
        if !record.model.is_empty() {
            span.set_attribute("gen_ai.request.model", record.model.to_string());
        }
        span.set_attribute("http.response.status_code", i64::from(record.status));
        // By the convention, what the client did wrong is no error of the server's.
        if record.status >= 500 {
            fail(span, &record.status.to_string());
        }
    }
}

/// Marks a span as failed. What was said is not told: it may quote the request.
fn fail(span: &Span, kind: &str) {
    span.set_attribute("error.type", kind.to_owned());
    span.set_status(opentelemetry::trace::Status::error(kind.to_owned()));
}

/// What the span of a request is called: method and route, which are few.
fn route(parts: &Parts) -> String {
    let path = parts.extensions.get::<MatchedPath>();
    match path {
        Some(path) => format!("{} {}", parts.method, path.as_str()),
        None => parts.method.to_string(),
    }
}

/// What generative AI calls it.
fn operation(call: &Call<'_>) -> Option<&'static str> {
    match call.expect {
        Expect::Content | Expect::Stream => Some("generate_content"),
        Expect::Raw | Expect::Live => None,
        Expect::Anything => {
            let verb = call.path.rsplit(':').next().unwrap_or_default();
            verb.to_ascii_lowercase()
                .contains("embed")
                .then_some("embeddings")
        }
    }
}

/// What the span of a call to Google is called.
fn call_name(call: &Call<'_>) -> String {
    match operation(call) {
        Some(operation) => format!("{operation} {}", call.model),
        None => format!("{} {}", call.method, call.path),
    }
}

/// A request's headers, as OpenTelemetry reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
