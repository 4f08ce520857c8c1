//! Where the program's log goes, and the spans of its requests when a collector for
//! OpenTelemetry is named.
//!
//! The log is lines on the standard error output. Spans are sent only when
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set; without
//! them their call sites are off, and a request makes none. The standard's variables are read
//! by OpenTelemetry's own crates, so they are no settings of ours. Deliberately absent: logs
//! and numbers over OTLP (a collector reads both where they are), and gRPC.

use std::collections::HashMap;
use std::error::Error;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use parking_lot::Mutex;
use proxy_core::clock::Clock;
use proxy_core::observe::spans::TARGET;
use proxy_core::settings::{OnSettings, Settings};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, dynamic_filter_fn};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, reload};

/// How long the end of the program waits for the last spans to be sent.
pub(crate) const FLUSH: Duration = Duration::from_secs(3);

/// How long sending one batch of spans may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the same trouble with the collector is logged.
const SELDOM: Duration = Duration::from_secs(300);

/// What spans and our own crate are called when nothing else is set.
const NAME: &str = "gemini-balance";

/// The variables that name a collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// The log, and where spans go.
pub(crate) struct Log {
    /// Makes the log follow `LOG_LEVEL`.
    pub(crate) follow: OnSettings,
    spans: Option<SdkTracerProvider>,
}

impl Log {
    /// Sends the spans that have not been sent, for [`FLUSH`] at most.
    pub(crate) fn end(self) {
        let unsent = self.spans.map(|spans| spans.shutdown_with_timeout(FLUSH));
        if let Some(Err(error)) = unsent {
            tracing::warn!("the last spans did not reach the collector: {error}");
        }
    }
}

/// Starts the log, and the sending of spans when the environment asks for it.
pub(crate) fn start(settings: &Settings, clock: &Clock) -> Log {
    // What is said of the variables comes before there is a log.
    let early = lines(settings).with_filter(filter(settings));
    let early = tracing_subscriber::registry().with(early);
    let spans = tracing::subscriber::with_default(early, spans);

    let (wanted, level) = reload::Layer::new(filter(settings));
    // A filter of each layer, since the spans are for one and the lines for the other.
    let log = lines(settings)
        .with_filter(wanted)
        .with_filter(seldom(clock));
    let sent = spans.as_ref().map(|spans| {
        tracing_opentelemetry::layer()
            .with_tracer(spans.tracer(NAME))
            // They tell of the program's source, not of the request.
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(Targets::new().with_target(TARGET, Level::INFO))
    });
    tracing_subscriber::registry().with(log).with(sent).init();
    if spans.is_some() {
        tracing::info!("the spans of requests are sent to OpenTelemetry's collector");
    }
    Log {
        follow: Arc::new(move |settings| {
            // Fails only when the log has ended, with the program.
            let _ = level.reload(filter(settings));
        }),
        spans,
    }
}

/// Lines on the standard error output, in the form of `LOG_FORMAT`.
fn lines<S>(settings: &Settings) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    match settings.log_format.as_str() {
        "json" => fmt::layer().json().with_writer(std::io::stderr).boxed(),
        _ => fmt::layer()
            .with_writer(std::io::stderr)
            // Colours are for eyes; a file or a platform's log shows their codes.
            .with_ansi(std::io::stderr().is_terminal())
            .boxed(),
    }
}

/// What is logged. memory_serve names every embedded file at start, the pool of connections
/// speaks of each that a database which is away has lost, and the spans are the collector's.
fn filter(settings: &Settings) -> EnvFilter {
    let level = &settings.log_level;
    EnvFilter::new(format!(
        "{level},memory_serve=warn,sqlx_core=warn,{TARGET}=off"
    ))
}

/// Lets each complaint of OpenTelemetry's crates through once in [`SELDOM`]: a collector that
/// is away costs each batch of spans, and would fill the log.
fn seldom<S: Subscriber>(clock: &Clock) -> impl Filter<S> + Send + Sync + use<S> {
    let clock = clock.clone();
    let said = Mutex::new(HashMap::new());
    let complains = |metadata: &Metadata<'_>| {
        metadata.target().starts_with("opentelemetry") && *metadata.level() <= Level::WARN
    };
    dynamic_filter_fn(move |metadata, _| {
        if !complains(metadata) {
            return true;
        }
        let now = clock.monotonic();
        let mut said = said.lock();
        let last = said.get(&metadata.callsite());
        let due = last.is_none_or(|last| now.saturating_sub(*last) >= SELDOM);
        if due {
            said.insert(metadata.callsite(), now);
        }
        due
    })
    .with_callsite_filter(move |metadata| match complains(metadata) {
        true => Interest::sometimes(),
        false => Interest::always(),
    })
    .with_max_level_hint(LevelFilter::TRACE)
}

/// What sends spans, when the environment names a collector. With variables that cannot be
/// right, requests are answered all the same, and the log says why there are no spans.
fn spans() -> Option<SdkTracerProvider> {
    if !asked_for(|name| std::env::var(name).ok()) {
        return None;
    }
    global::set_text_map_propagator(TraceContextPropagator::new());
    match exporter() {
        Ok(exporter) => {
            let provider = SdkTracerProvider::builder()
                .with_resource(resource())
                .with_batch_exporter(exporter)
                .build();
            Some(provider)
        }
        Err(error) => {
            let error = without_addresses(error.to_string());
            tracing::error!(
                "no spans are sent to OpenTelemetry's collector: {error}. Correct the \
                 variables that begin with OTEL_EXPORTER_OTLP_, and start again"
            );
            None
        }
    }
}

/// Whether the environment asks for spans.
fn asked_for(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, value: &str| {
        variable(name).is_some_and(|given| given.trim().eq_ignore_ascii_case(value))
    };
    let given = |name: &str| variable(name).is_some_and(|given| !given.trim().is_empty());
    let named = given("OTEL_EXPORTER_OTLP_ENDPOINT") || given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    named && !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none")
}

/// An error's text without the collector's address, which can hold a password.
fn without_addresses(mut error: String) -> String {
    for name in ENDPOINTS {
        let address = std::env::var(name).unwrap_or_default();
        if !address.trim().is_empty() {
            error = error.replace(address.trim(), "…");
        }
    }
    error
}

/// What sends batches of spans to the collector.
fn exporter() -> Result<SpanExporter, Box<dyn Error>> {
    // reqwest is built without a provider. Fails when one is installed, which is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The exporter runs on a thread of its own, without a runtime. It follows no redirect:
    // OTEL_EXPORTER_OTLP_HEADERS can hold a credential, which is for the named host.
    let http = reqwest::blocking::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(SpanExporter::builder()
        .with_http()
        .with_http_client(http)
        .build()?)
}

/// What the spans are of: by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, else by our own
/// name.
fn resource() -> Resource {
    let found = Resource::builder().build();
    let name = found.get(&"service.name".into());
    let named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let mut builder = Resource::builder();
    if !named {
        builder = builder.with_service_name(NAME);
    }
    if found.get(&"service.version".into()).is_none() {
        let version = env!("CARGO_PKG_VERSION");
        builder = builder.with_attribute(opentelemetry::KeyValue::new("service.version", version));
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn spans_are_sent_only_when_a_collector_is_named_and_nothing_forbids_it() {
        const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        const OWN: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/t");
        for (environment, expected) in [
            (&[][..], false),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], false),
            (&[("OTEL_SERVICE_NAME", "proxy")], false),
            (&[GENERAL], true),
            (&[OWN], true),
            (&[OWN, ("OTEL_SDK_DISABLED", "false")], true),
            (&[OWN, ("OTEL_SDK_DISABLED", "True")], false),
            (&[GENERAL, ("OTEL_TRACES_EXPORTER", "none")], false),
            (&[GENERAL, ("OTEL_TRACES_EXPORTER", "otlp")], true),
        ] {
            let asked = asked_for(|name| {
                let found = environment.iter().find(|(given, _)| *given == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            assert_eq!(asked, expected, "{environment:?}");
        }
    }

    /// Counts the lines that reach it.
    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Counted {
        fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn trouble_with_the_collector_does_not_flood_the_log() {
        let now = Arc::new(AtomicI64::new(0));
        let shown = now.clone();
        let clock = Clock::new(move || shown.load(Ordering::Relaxed));
        let counted = Counted::default();
        let log = counted.clone().with_filter(seldom(&clock));
        let subscriber = tracing_subscriber::registry().with(log);
        tracing::subscriber::with_default(subscriber, || {
            let lines = || counted.0.swap(0, Ordering::Relaxed);
            let complain = || tracing::error!(target: "opentelemetry_sdk", "no collector");
            for _ in 0..100 {
                complain();
            }
            assert_eq!(lines(), 1);
            tracing::warn!(target: "opentelemetry-otlp", "something else");
            assert_eq!(lines(), 1);
            now.store(300_000, Ordering::Relaxed);
            complain();
            complain();
            assert_eq!(lines(), 1, "again after five minutes");
            for _ in 0..100 {
                tracing::error!("ours");
                tracing::debug!(target: "opentelemetry_sdk", "what the user asked to see");
            }
            assert_eq!(lines(), 200);
        });
    }

    #[test]
    fn without_a_collector_nothing_is_made_of_a_request() {
        let settings = Settings::load(|name| match name {
            "LOG_LEVEL" => Some("trace".to_owned()),
            "DATA_DIR" => Some("/unused".to_owned()),
            _ => None,
        });
        let settings = settings.unwrap_or_else(|errors| panic!("{errors:?}"));
        let log = lines(&settings).with_filter(filter(&settings));
        let subscriber = tracing_subscriber::registry().with(log);
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::error_span!("request").is_disabled());
            assert!(tracing::error_span!(target: TARGET, "request").is_disabled());
        });
    }
}
