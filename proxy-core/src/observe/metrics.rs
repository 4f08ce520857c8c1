use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use contract::admin::Surface;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::pool::Outcome;
use crate::record::RequestRecord;

const REQUESTS: &str = "gemini_balance_requests_total";
const ATTEMPTS: &str = "gemini_balance_attempts_total";
const TOKENS: &str = "gemini_balance_tokens_total";
const RECORDS: &str = "gemini_balance_records_total";
const DURATION: &str = "gemini_balance_request_duration_seconds";
const FIRST_BYTE: &str = "gemini_balance_time_to_first_byte_seconds";
const RUNNING: &str = "gemini_balance_running_requests";
const KEYS: &str = "gemini_balance_keys";
const COOLDOWNS: &str = "gemini_balance_cooldowns";
const SPOOLED: &str = "gemini_balance_records_spooled";
const DATABASE: &str = "gemini_balance_database_up";
const BUILD: &str = "gemini_balance_build_info";
/// Prometheus' own name for it.
const STARTED: &str = "process_start_time_seconds";

/// What each means.
const HELP: [(&str, &str); 13] = [
    (
        REQUESTS,
        "Requests of clients that have ended, by protocol, model and HTTP status.",
    ),
    (ATTEMPTS, "Calls to Google, by how they ended."),
    (TOKENS, "Tokens as Google counted them, by kind."),
    (RECORDS, "Records of requests, by what became of them."),
    (
        DURATION,
        "From a request's arrival to the end of its answer, in seconds.",
    ),
    (
        FIRST_BYTE,
        "From a request's arrival to the first byte of its answer, in seconds.",
    ),
    (RUNNING, "Requests that are being answered now."),
    (KEYS, "Gemini keys, by state."),
    (COOLDOWNS, "Pairs of a key and a model that rest now."),
    (SPOOLED, "Records on disk that wait for the database."),
    (DATABASE, "1 while records can be written, else 0."),
    (BUILD, "1; the label says which version runs."),
    (STARTED, "When this process began to serve, in Unix time."),
];

/// Where the buckets of the histograms end, in seconds: a cached first token comes in
/// tenths, a long answer takes minutes.
const BUCKETS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0,
];

/// How often what the histograms were told is summed up; until then, each value takes memory.
const UPKEEP: Duration = Duration::from_secs(10);

/// The most models that have a label of their own. Clients can ask for any name, and each
/// new one would be kept for ever, here and in Prometheus.
const MOST_MODELS: usize = 100;
/// The label of all others.
const OTHER: &str = "other";

const SURFACES: [Surface; 3] = [Surface::Openai, Surface::Gemini, Surface::Anthropic];
/// What the status label can be. 499 is not one of "4xx": nothing was wrong with a request
/// whose client did not wait.
const STATUSES: [&str; 4] = ["2xx", "4xx", "499", "5xx"];
const KEY_STATES: [&str; 4] = ["ready", "cooling", "rejected", "disabled"];

/// The numbers of one core. Several cores can run in one process, so this is not the
/// process's global recorder: handles are made at start, and a request only adds to them.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    attempts: HashMap<&'static str, Counter>,
    tokens: [Counter; 4],
    duration: [Histogram; 3],
    first_byte: [Histogram; 3],
    running: Gauge,
    models: ArcSwap<HashMap<Box<str>, Arc<OfModel>>>,
    others: OfModel,
    read_only_when_asked: Snapshot,
}

/// What is counted of the requests for one model; made when it is first needed.
#[derive(Default)]
struct OfModel([[OnceLock<Counter>; STATUSES.len()]; SURFACES.len()]);

/// What is known elsewhere, and copied here when somebody reads.
struct Snapshot {
    keys: [Gauge; KEY_STATES.len()],
    cooldowns: Gauge,
    spooled: Gauge,
    database: Gauge,
    written: Counter,
    dropped: Counter,
}

/// How a request ended, for the numbers.
pub(crate) struct Ended<'a> {
    /// What is recorded of it.
    pub(crate) record: &'a RequestRecord,
    /// From arrival to end.
    pub(crate) took: Duration,
    /// From arrival to the first byte.
    pub(crate) first_byte: Option<Duration>,
}

impl Metrics {
    /// All numbers at zero. `started_at` is in milliseconds since 1970.
    pub(crate) fn new(started_at: contract::Millis) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            // It refuses only an empty list.
            .unwrap_or_default()
            .build_recorder();
        for (name, help) in HELP {
            // One table of descriptions serves all kinds.
            recorder.describe_gauge(name.into(), None, help.into());
        }
        let by_surface = |name| SURFACES.map(|surface| histogram(&recorder, name, surface));
        gauge(&recorder, STARTED, &[]).set(started_at as f64 / 1000.0);
        gauge(&recorder, BUILD, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        let of_key = |state| gauge(&recorder, KEYS, &[("state", state)]);
        let of_records = |result| counter(&recorder, RECORDS, &[("result", result)]);
        let read_only_when_asked = Snapshot {
            keys: KEY_STATES.map(of_key),
            cooldowns: gauge(&recorder, COOLDOWNS, &[]),
            spooled: gauge(&recorder, SPOOLED, &[]),
            database: gauge(&recorder, DATABASE, &[]),
            written: of_records("written"),
            dropped: of_records("dropped"),
        };
        let of_outcome = |name| (name, counter(&recorder, ATTEMPTS, &[("outcome", name)]));
        Self {
            attempts: Outcome::NAMES.map(of_outcome).into(),
            tokens: ["input", "output", "thought", "cached"]
                .map(|kind| counter(&recorder, TOKENS, &[("kind", kind)])),
            duration: by_surface(DURATION),
            first_byte: by_surface(FIRST_BYTE),
            running: gauge(&recorder, RUNNING, &[]),
            models: ArcSwap::default(),
            others: OfModel::default(),
            read_only_when_asked,
            recorder,
        }
    }

    /// Sums up what the histograms were told, from time to time, until `stop`.
    pub(crate) fn upkeep(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let handle = self.handle();
        async move {
            while stop
                .run_until_cancelled(tokio::time::sleep(UPKEEP))
                .await
                .is_some()
            {
                handle.run_upkeep();
            }
        }
    }

    /// A request has come.
    pub(crate) fn begun(&self) {
        self.running.increment(1.0);
    }

    /// A call to Google has ended.
    pub(crate) fn attempted(&self, outcome: Outcome) {
        if let Some(counter) = self.attempts.get(outcome.name()) {
            counter.increment(1);
        }
    }

    /// A request that had [begun](Self::begun) has ended.
    pub(crate) fn ended(&self, ended: &Ended<'_>) {
        let record = ended.record;
        self.running.decrement(1.0);
        self.count(record.surface, &record.model, record.status);
        let tokens = [
            record.prompt_tokens,
            record.output_tokens,
            record.thought_tokens,
            record.cached_tokens,
        ];
        for (counter, tokens) in self.tokens.iter().zip(tokens) {
            if tokens > 0 {
                counter.increment(u64::from(tokens));
            }
        }
        let surface = index(record.surface);
        self.duration[surface].record(ended.took);
        if let Some(first_byte) = ended.first_byte {
            self.first_byte[surface].record(first_byte);
        }
    }

    /// A request was refused before it was looked at: its token is not accepted.
    pub(crate) fn refused(&self, surface: Surface, status: u16) {
        self.count(surface, "", status);
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn render(&self, core: &Core) -> String {
        let now = &self.read_only_when_asked;
        let keys = core.pool.summary();
        // In the order of KEY_STATES.
        let keys = [keys.ready, keys.cooling, keys.rejected, keys.disabled];
        for (gauge, keys) in now.keys.iter().zip(keys) {
            gauge.set(f64::from(keys));
        }
        now.cooldowns.set(core.pool.cooldowns() as f64);
        now.spooled.set(core.recorder.spooled() as f64);
        now.database.set(match core.recorder.is_failing() {
            true => 0.0,
            false => 1.0,
        });
        now.written.absolute(core.recorder.written());
        now.dropped.absolute(core.recorder.dropped());
        self.handle().render()
    }

    fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }

    fn count(&self, surface: Surface, model: &str, status: u16) {
        let class = status_index(status);
        let cell = |of_model: &OfModel, label: &str| {
            let made = || {
                let labels = [
                    ("surface", surface_name(surface)),
                    ("model", label),
                    ("status", STATUSES[class]),
                ];
                counter(&self.recorder, REQUESTS, &labels)
            };
            of_model.0[index(surface)][class]
                .get_or_init(made)
                .increment(1);
        };
        let known = self.models.load();
        match known.get(model) {
            Some(of_model) => cell(of_model, model),
            None if status < 400 && !model.is_empty() && known.len() < MOST_MODELS => {
                drop(known);
                self.models.rcu(|known| {
                    let mut known = HashMap::clone(known);
                    if known.len() < MOST_MODELS {
                        known.entry(model.into()).or_default();
                    }
                    known
                });
                match self.models.load().get(model) {
                    Some(of_model) => cell(of_model, model),
                    None => cell(&self.others, OTHER),
                }
            }
            None => cell(&self.others, OTHER),
        }
    }
}

/// What a protocol is called in labels and log lines.
pub(crate) fn surface_name(surface: Surface) -> &'static str {
    match surface {
        Surface::Openai => "openai",
        Surface::Gemini => "gemini",
        Surface::Anthropic => "anthropic",
    }
}

/// Where a protocol is in [`SURFACES`].
fn index(surface: Surface) -> usize {
    match surface {
        Surface::Openai => 0,
        Surface::Gemini => 1,
        Surface::Anthropic => 2,
    }
}

/// Where a status is in [`STATUSES`].
fn status_index(status: u16) -> usize {
    match status {
        ..400 => 0,
        499 => 2,
        400..500 => 1,
        500.. => 3,
    }
}

/// The exporter looks at none of it.
const METADATA: Metadata<'static> = Metadata::new("gemini_balance", Level::INFO, None);

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let label = |(name, value): &(&'static str, &str)| Label::new(*name, (*value).to_owned());
    let labels: Vec<Label> = labels.iter().map(label).collect();
    Key::from_parts(name, labels)
}

fn counter(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &str)],
) -> Counter {
    recorder.register_counter(&key(name, labels), &METADATA)
}

fn gauge(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &str)],
) -> Gauge {
    recorder.register_gauge(&key(name, labels), &METADATA)
}

fn histogram(recorder: &PrometheusRecorder, name: &'static str, surface: Surface) -> Histogram {
    let labels = [("surface", surface_name(surface))];
    recorder.register_histogram(&key(name, &labels), &METADATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = metrics.handle().render();
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn only_models_that_answered_get_a_label_and_not_without_end() {
        let metrics = Metrics::new(0);
        metrics.count(Surface::Openai, "guessed\n\"name", 404);
        metrics.count(Surface::Openai, "real", 200);
        metrics.count(Surface::Openai, "real", 429);
        metrics.count(Surface::Gemini, "real", 499);
        assert_eq!(
            lines(&metrics, REQUESTS),
            [
                r#"gemini_balance_requests_total{surface="gemini",model="real",status="499"} 1"#,
                r#"gemini_balance_requests_total{surface="openai",model="other",status="4xx"} 1"#,
                r#"gemini_balance_requests_total{surface="openai",model="real",status="2xx"} 1"#,
                r#"gemini_balance_requests_total{surface="openai",model="real",status="4xx"} 1"#,
            ]
        );
        for number in 0..2 * MOST_MODELS {
            metrics.count(Surface::Openai, &format!("model-{number}"), 200);
        }
        // The models, "other" with 2xx and 4xx, and two more lines of "real".
        assert_eq!(lines(&metrics, REQUESTS).len(), MOST_MODELS + 4);
    }

    #[test]
    fn every_number_says_what_it_means() {
        let metrics = Metrics::new(1_795_348_800_000);
        metrics.count(Surface::Openai, "m", 200);
        let text = metrics.handle().render();
        for (name, help) in HELP {
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name}");
        }
        let typed = text.lines().filter(|line| line.starts_with("# TYPE"));
        assert_eq!(typed.count(), HELP.len(), "each is in the table");
        assert_eq!(lines(&metrics, STARTED), [format!("{STARTED} 1795348800")]);
    }
}
