use contract::admin::Overview;
use testkit::google::{Fault, Refusal};

use crate::world::{KEYS, TOKEN, World, ask};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

impl World {
    /// The value of one line of `/metrics`.
    async fn metric(&self, line: &str) -> Option<f64> {
        let response = self.http.get(self.url("/metrics")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let value = text
            .lines()
            .find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_clients_own_is_kept_when_it_is_plain() {
    let world = World::with_keys(1).await;
    for path in ["/v1/models", "/api/state", "/health", "/v1/nothing"] {
        let ask = |id: &'static str| {
            let request = world.http.get(world.url(path)).bearer_auth(TOKEN);
            async move { request.header("x-request-id", id).send().await.unwrap() }
        };
        let kept = ask("my-own.id").await;
        assert_eq!(kept.headers()["x-request-id"], "my-own.id", "{path}");
        let made = ask("<script>alert(1)</script>").await;
        assert_eq!(made.headers().get_all("x-request-id").iter().count(), 1);
        let made = made.headers()["x-request-id"].to_str().unwrap();
        assert!(made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    }
    assert!(
        world
            .google
            .requests()
            .iter()
            .all(|seen| !format!("{seen:?}").contains("my-own.id")),
        "Google is not told of it"
    );
}

#[tokio::test]
async fn the_metrics_tell_what_happened() {
    let world = World::with_keys(2).await;
    world.google.fault_next(Fault::Status(503));
    let answer = world.gemini(GENERATE, ask("hi")).await;
    answer.text().await.unwrap();
    let guessed = "/v1beta/models/no-such-model:generateContent";
    world.gemini(guessed, ask("hi")).await.text().await.unwrap();
    let stranger = world
        .http
        .get(world.url("/v1/models"))
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status(), 401);
    // Reading the overview writes what is queued.
    let _: Overview = world.admin("/api/overview").await;

    for (line, value) in [
        (
            r#"gemini_balance_requests_total{surface="gemini",model="gemini-2.5-flash",status="2xx"}"#,
            1.0,
        ),
        (
            r#"gemini_balance_requests_total{surface="gemini",model="other",status="4xx"}"#,
            1.0,
        ),
        (
            r#"gemini_balance_requests_total{surface="openai",model="other",status="4xx"}"#,
            1.0,
        ),
        (
            r#"gemini_balance_attempts_total{outcome="overloaded"}"#,
            1.0,
        ),
        (r#"gemini_balance_attempts_total{outcome="answered"}"#, 1.0),
        (
            r#"gemini_balance_attempts_total{outcome="client_fault"}"#,
            1.0,
        ),
        (r#"gemini_balance_keys{state="ready"}"#, 2.0),
        (
            r#"gemini_balance_request_duration_seconds_count{surface="gemini"}"#,
            2.0,
        ),
        (
            r#"gemini_balance_time_to_first_byte_seconds_count{surface="gemini"}"#,
            1.0,
        ),
        ("gemini_balance_running_requests", 0.0),
        (r#"gemini_balance_records_total{result="written"}"#, 2.0),
        ("gemini_balance_database_up", 1.0),
    ] {
        assert_eq!(world.metric(line).await, Some(value), "{line}");
    }
    let tokens = r#"gemini_balance_tokens_total{kind="input"}"#;
    assert!(world.metric(tokens).await.unwrap() > 0.0);
}

#[tokio::test]
async fn without_a_token_only_this_machine_reads_the_metrics_and_no_proxy_relays_them() {
    let world = World::with_keys(1).await;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("host", "rebound.example"),
    ] {
        let asked = world.http.get(world.url("/metrics")).header(name, value);
        let refused = asked.send().await.unwrap();
        assert_eq!(refused.status(), 403, "{name}");
        let said = refused.text().await.unwrap();
        assert!(said.contains("set METRICS_TOKEN"), "{said}");
    }
}

#[tokio::test]
async fn with_a_token_whoever_sends_it_reads_the_metrics_and_nobody_else() {
    let token = "a-token-for-prometheus";
    let world = World::start(1, |google| google, &[("METRICS_TOKEN", token)]).await;
    let get = || world.http.get(world.url("/metrics"));
    for request in [
        get(),
        get().bearer_auth(TOKEN),
        get().bearer_auth("a-token-for-prometheuS"),
        get().header("authorization", token),
    ] {
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    }
    let far = get()
        .header("x-forwarded-for", "192.0.2.1")
        .bearer_auth(token);
    let let_in = far.send().await.unwrap();
    assert_eq!(let_in.status(), 200);
    assert!(
        let_in.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
}

/// The dashboard that `docs/observability.md` tells to import.
const DASHBOARD: &str = include_str!("../../../docs/grafana/gemini-balance.json");

/// What in an expression is neither a metric nor a label.
const PROMQL: [&str; 14] = [
    "sum",
    "min",
    "rate",
    "increase",
    "histogram_quantile",
    "topk",
    "count",
    "by",
    "time",
    "or",
    "vector",
    "label_values",
    "job",
    "instance",
];

/// Each selector of an expression: the metric, and the labels that it asks for.
fn selectors(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    let mut rest = expression;
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || "[{(\"".contains(c)) {
        rest = &rest[start..];
        if let Some(range) = rest.strip_prefix('[') {
            rest = range.split_once(']').unwrap().1;
            continue;
        }
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            rest = &rest[1..];
            continue;
        }
        let end = rest.find(|c| !named(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if name == "by" {
            rest = rest.split_once(')').unwrap().1;
        } else if !PROMQL.contains(&name) {
            let mut labels = Vec::new();
            if let Some(asked) = rest.strip_prefix('{') {
                let (asked, after) = asked.split_once('}').unwrap();
                labels = asked.split(',').collect();
                rest = after;
            }
            found.push((name, labels));
        }
    }
    found
}

/// Every text under `name` in a JSON value.
fn texts<'a>(value: &'a serde_json::Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (field, value) in fields {
                if let (true, Some(text)) = (field == name, value.as_str()) {
                    found.push(text);
                }
                texts(value, name, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_asks_for_each_number_that_there_is_and_for_no_other() {
    let world = World::with_keys(1).await;
    world
        .gemini(GENERATE, ask("hi"))
        .await
        .text()
        .await
        .unwrap();
    let refused = world.http.get(world.url("/v1/models")).send().await;
    assert_eq!(refused.unwrap().status(), 401);
    world.google.disable_key(KEYS[0], Refusal::Invalid);
    let failed = world.gemini(GENERATE, ask("hi")).await;
    assert!(failed.status().is_server_error());
    failed.text().await.unwrap();
    let metrics = world.http.get(world.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let lines: Vec<_> = metrics
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let lines_of = |name: &str| -> Vec<&str> {
        let of = |line: &&&str| line.split(['{', ' ']).next() == Some(name);
        lines.iter().filter(of).copied().collect()
    };

    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() > 20, "{expressions:?}");
    texts(&dashboard, "query", &mut expressions);
    expressions.retain(|expression| *expression != "prometheus");
    let mut asked = std::collections::BTreeSet::new();
    for expression in expressions {
        let grouped = expression
            .split_once("by (")
            .map_or("", |(_, grouped)| grouped);
        let grouped = grouped.split_once(')').map_or("", |(grouped, _)| grouped);
        for (name, labels) in selectors(expression) {
            let given = lines_of(name);
            assert!(!given.is_empty(), "{name} in {expression}");
            asked.insert(name.to_owned());
            for label in labels {
                let (label, value) = label.split_once('=').unwrap();
                // Prometheus adds these two.
                if ["job", "instance"].contains(&label) {
                    continue;
                }
                let values = value.trim_start_matches('~').trim_matches('"').split('|');
                let shown = |value| format!("{label}=\"{value}\"");
                let mut shown = values.map(shown);
                assert!(
                    shown.any(|shown| given.iter().any(|line| line.contains(&shown))),
                    "{label}={value} in {expression}"
                );
            }
            for label in grouped.split(", ").filter(|label| !label.is_empty()) {
                let label = format!("{label}=\"");
                let told = given.iter().any(|line| line.contains(&label));
                assert!(told, "{label} in {expression}");
            }
        }
    }
    for line in metrics.lines() {
        let Some(typed) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = typed.split_once(' ').unwrap();
        let shown = match kind {
            "histogram" => asked.contains(&format!("{name}_bucket")),
            _ => asked.contains(name),
        };
        assert!(shown, "no panel shows {name}");
    }
}
