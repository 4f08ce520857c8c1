//! What the program tells of its requests: spans for OpenTelemetry, and the log in JSON.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use serde_json::json;
use testkit::google::{FakeGoogle, Fault, Refusal};

const KEY: &str = "AIzaSyTestKeyNumber00000000000000000001";
const TOKEN: &str = "sk-test-client-token";
const PROMPT: &str = "the colour of my secret cat";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The real program. It is killed when the test fails.
struct Program {
    child: Child,
    /// Reads the log from the beginning: a full pipe would stop the program.
    log: Option<JoinHandle<String>>,
    address: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start(google: &FakeGoogle, environment: &[(&str, &str)]) -> Self {
        // For the test's own client; fails when it is installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
            .arg("serve")
            .env_clear()
            .env("DATA_DIR", folder.path())
            .env("PORT", "0")
            .env("BASE_URL", google.base_url())
            .env("API_KEYS", KEY)
            .env("ALLOWED_TOKENS", TOKEN)
            // So that what arrives has arrived by the flush at the end.
            .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || std::io::read_to_string(&mut log).unwrap());
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.strip_prefix("listening on ").unwrap().to_owned();
        Self {
            child,
            log: Some(log),
            address,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        }
    }

    /// A chat in OpenAI's protocol; gives the status and the id of the request.
    async fn chat(&self, token: &str, traceparent: Option<&str>) -> (u16, String) {
        let messages = json!([{ "role": "user", "content": PROMPT }]);
        let body = json!({ "model": "gemini-2.5-flash", "messages": messages });
        let mut request = self
            .http
            .post(format!("{}/v1/chat/completions", self.address))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let response = request.send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap();
        let answered = (response.status().as_u16(), id.to_owned());
        response.bytes().await.unwrap();
        answered
    }

    /// Asks the program to end, and gives its log when it has.
    async fn log(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let log = self.log.take().unwrap();
        let read = tokio::task::spawn_blocking(move || log.join().unwrap());
        let log = read.await.unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A collector for OpenTelemetry that answers with one status.
struct Collector {
    address: String,
    came: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Collector {
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the test's runtime; the core's TaskTracker is in another process"
    )]
    async fn start(status: StatusCode) -> Self {
        let came = Arc::<Mutex<Vec<_>>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        type Came = State<Arc<Mutex<Vec<(HeaderMap, Bytes)>>>>;
        let take = move |State(came): Came, headers: HeaderMap, body: Bytes| async move {
            came.lock().unwrap().push((headers, body));
            status
        };
        let router = Router::new()
            .route("/v1/traces", axum::routing::post(take))
            .with_state(came.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, came }
    }

    /// What came, with the headers of each.
    fn came(&self) -> Vec<(HeaderMap, Bytes)> {
        self.came.lock().unwrap().clone()
    }

    /// The resource's attributes and the spans of all that came.
    fn spans(&self) -> (Vec<KeyValue>, Vec<Span>) {
        let mut resource = Vec::new();
        let mut spans = Vec::new();
        for (_, body) in self.came() {
            let sent = ExportTraceServiceRequest::decode(body).unwrap();
            for of_resource in sent.resource_spans {
                resource = of_resource.resource.unwrap().attributes;
                let scopes = of_resource.scope_spans.into_iter();
                spans.extend(scopes.flat_map(|scope| scope.spans));
            }
        }
        spans.sort_by_key(|span| span.start_time_unix_nano);
        (resource, spans)
    }
}

/// An attribute as text.
fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|found| found.key == name)?;
    Some(match found.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name} is {other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn google() -> FakeGoogle {
    FakeGoogle::builder().key(KEY, "project").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chats_spans_reach_the_collector_below_the_clients_own() {
    let google = google().await;
    let collector = Collector::start(StatusCode::OK).await;
    let program = Program::start(
        &google,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=s3cr%20et"),
            ("OTEL_SERVICE_NAME", "my-proxy"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=test",
            ),
            // Of the requests without a sampled parent, none.
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0"),
            ("LOG_LEVEL", "trace"),
        ],
    );
    assert_eq!(program.chat(TOKEN, None).await.0, 200);
    google.fault_next(Fault::Status(503));
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let (status, id) = program.chat(TOKEN, Some(&parent)).await;
    assert_eq!(status, 200);
    // The same credential in the query, which is in no span.
    let native = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let streamed = program
        .http
        .post(format!("{}{native}?alt=sse&key={TOKEN}", program.address))
        .header("traceparent", &parent)
        .body(json!({ "contents": [{ "parts": [{ "text": PROMPT }] }] }).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(streamed.status(), 200);
    streamed.bytes().await.unwrap();
    let log = program.log().await;
    assert!(
        log.contains("are sent to OpenTelemetry's collector"),
        "{log}"
    );

    let (resource, spans) = collector.spans();
    let of_resource = |name| attribute(&resource, name);
    assert_eq!(of_resource("service.name").unwrap(), "my-proxy");
    assert_eq!(of_resource("deployment.environment.name").unwrap(), "test");
    assert!(of_resource("service.version").is_some());
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "POST /v1/chat/completions",
            "generate_content gemini-2.5-flash",
            "generate_content gemini-2.5-flash",
            "POST /v1beta/models/{target}",
            "generate_content gemini-2.5-flash",
        ]
    );
    let [chat, failed, answered, native, streamed] = spans.as_slice() else {
        panic!("{names:?}");
    };
    for span in &spans {
        assert_eq!(hex(&span.trace_id), TRACE, "{}", span.name);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    for request in [chat, native] {
        assert_eq!(hex(&request.parent_span_id), PARENT);
        assert_eq!(request.kind(), SpanKind::Server);
    }
    for (attempt, request) in [(failed, chat), (answered, chat), (streamed, native)] {
        assert_eq!(attempt.parent_span_id, request.span_id);
        assert_eq!(attempt.kind(), SpanKind::Client);
        let of = |name| attribute(&attempt.attributes, name);
        assert_eq!(of("gen_ai.provider.name").unwrap(), "gcp.gemini");
        assert_eq!(of("gen_ai.operation.name").unwrap(), "generate_content");
        assert_eq!(of("gen_ai.request.model").unwrap(), "gemini-2.5-flash");
        assert_eq!(of("server.address").unwrap(), "127.0.0.1");
    }
    let error = |span: &Span| attribute(&span.attributes, "error.type");
    assert_eq!(error(failed).unwrap(), "overloaded");
    assert_eq!(failed.status.clone().unwrap().code, 2);
    for span in [chat, answered, native, streamed] {
        assert_eq!(error(span), None, "{}", span.name);
    }
    for (name, expected) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/chat/completions"),
        ("url.path", "/v1/chat/completions"),
        ("http.response.status_code", "200"),
        ("gen_ai.request.model", "gemini-2.5-flash"),
        ("gemini_balance.request.id", &id),
        ("gemini_balance.surface", "openai"),
        ("gemini_balance.attempts", "2"),
    ] {
        let found = attribute(&chat.attributes, name);
        assert_eq!(found.as_deref(), Some(expected), "{name}");
    }
    for span in [chat, answered, native, streamed] {
        for name in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
            let tokens = attribute(&span.attributes, name).unwrap();
            assert!(tokens.parse::<u32>().unwrap() > 0, "{} {name}", span.name);
        }
    }
    assert_eq!(
        attribute(&failed.attributes, "gen_ai.usage.input_tokens"),
        None
    );

    let came = collector.came();
    for (headers, body) in &came {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(headers["x-collector-key"], "s3cr et");
        let sent = String::from_utf8_lossy(body);
        for secret in [KEY, TOKEN, PROMPT, "secret cat"] {
            assert!(!sent.contains(secret), "{sent}");
        }
    }
    for secret in [KEY, TOKEN, PROMPT, "s3cr"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_costs_no_answer_and_one_line() {
    let google = google().await;
    let collector = Collector::start(StatusCode::BAD_REQUEST).await;
    let program = Program::start(
        &google,
        &[
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                &format!("{}/v1/traces", collector.address),
            ),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ],
    );
    for _ in 0..3 {
        assert_eq!(program.chat(TOKEN, None).await.0, 200);
    }
    let log = program.log().await;
    assert_eq!(collector.came().len(), 6, "each span, once");
    let complaints = log.matches("BatchSpanProcessor.ExportError");
    assert_eq!(complaints.count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_address_that_is_none_it_serves_and_says_so() {
    let google = google().await;
    let program = Program::start(
        &google,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cr@[")],
    );
    assert_eq!(program.chat(TOKEN, None).await.0, 200);
    let log = program.log().await;
    assert!(log.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{log}");
    assert!(log.contains("no spans are sent"), "{log}");
    assert!(!log.contains("s3cr"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_in_json_parses_and_tells_whose_request_it_is_but_no_secret() {
    let google = google().await;
    let environment = [("LOG_FORMAT", "json"), ("LOG_LEVEL", "trace")];
    let program = Program::start(&google, &environment);
    let mut ids = Vec::new();
    let mut chat = async |token: &str, expected| {
        let (status, id) = program.chat(token, None).await;
        assert_eq!(status, expected);
        ids.push(id);
    };
    chat(TOKEN, 200).await;
    google.fault_next(Fault::Status(503));
    chat(TOKEN, 200).await;
    let wrong = "sk-somebody-guesses";
    chat(wrong, 401).await;
    google.disable_key(KEY, Refusal::Invalid);
    chat(TOKEN, 502).await;
    let log = program.log().await;

    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        for name in ["timestamp", "level", "target"] {
            assert!(line[name].is_string(), "{line}");
        }
    }
    let about = |id: &str| {
        let of = |line: &&serde_json::Value| line["span"]["request_id"] == id;
        lines.iter().filter(of).collect::<Vec<_>>()
    };
    for (id, status) in ids.iter().zip([200, 200, 401, 502]) {
        let about = about(id);
        let ended = about
            .iter()
            .filter(|line| line["fields"]["status"] == status);
        assert_eq!(ended.count(), 1, "{id}: {about:?}");
    }
    let finished = |line: &&serde_json::Value| line["fields"]["message"] == "request finished";
    assert_eq!(lines.iter().filter(finished).count(), 3);
    for secret in [KEY, TOKEN, PROMPT, wrong] {
        assert!(!log.contains(secret), "{log}");
    }
}
