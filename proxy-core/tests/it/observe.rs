use contract::admin::Overview;
use testkit::google::Fault;

use crate::world::{TOKEN, World, ask};

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
