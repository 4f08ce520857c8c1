//! The database fails while traffic flows: no client notices, and when it is back there is
//! exactly one record of every answered request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use contract::admin::{KeyView, Overview, TokenCreated, TokenView, Warning};
use serde_json::json;
use testkit::mariadb::{Access, MariaDb};
use testkit::wire::{Cut, Wire};
use tokio::task::JoinSet;

use crate::world::{Ground, KEYS, NOON, TOKEN, World, ask};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

/// How many clients ask at once, and the pause of each between two questions: enough for
/// several batches of records during every fault, and no more.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// Clients that ask without end. Question number n calls itself `question-n`, by which its
/// record is found.
struct Traffic {
    asked: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Traffic {
    fn on(world: &World) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let answered = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (asked, answered, stop) = (asked.clone(), answered.clone(), stop.clone());
            let (http, address) = (world.http.clone(), world.core.address());
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = 1 + asked.fetch_add(1, Ordering::Relaxed);
                    let path = if number.is_multiple_of(3) {
                        STREAM
                    } else {
                        GENERATE
                    };
                    let answer = http
                        .post(format!("{address}{path}"))
                        .header("x-goog-api-key", TOKEN)
                        .header("content-type", "application/json")
                        .header("x-request-id", format!("question-{number}"))
                        .body(ask("hi"))
                        .send()
                        .await
                        .unwrap();
                    let status = answer.status();
                    let text = answer.text().await.unwrap();
                    assert_eq!(status, 200, "question {number}: {text}");
                    assert!(text.contains("\"STOP\""), "question {number}: {text}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self {
            asked,
            answered,
            stop,
            clients,
        }
    }

    /// Returns when so many more have been answered.
    async fn more(&mut self, count: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + count;
        while self.answered.load(Ordering::Relaxed) < wanted {
            // Only ends when something was wrong.
            if let Some(ended) = self.clients.try_join_next() {
                ended.unwrap();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets everybody finish; answers how many questions there were.
    async fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let asked = self.asked.load(Ordering::Relaxed);
        assert_eq!(self.answered.load(Ordering::Relaxed), asked);
        asked
    }
}

/// What `/ready` says of the database; it is served whatever happens to it.
async fn said(world: &World) -> String {
    let answer = world.http.get(world.url("/ready")).send().await.unwrap();
    let status = answer.status();
    let body = crate::world::json(answer).await;
    assert_eq!(status, 200, "{body}");
    body["database"].as_str().unwrap().to_owned()
}

/// Returns when `/ready` says one of these of the database; nextest ends a test that waits
/// for ever.
async fn until_said(world: &World, wanted: &[&str]) {
    let mut last = String::new();
    loop {
        let now = said(world).await;
        if wanted.contains(&now.as_str()) {
            return;
        }
        if now != last {
            println!("waiting for {wanted:?}, the database is {now}");
            last = now;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns when the panel shows so many requests.
async fn until_recorded(world: &World, wanted: u64) {
    loop {
        let overview: Overview = world.admin("/api/overview").await;
        if overview.today.requests == wanted {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn warnings(world: &World) -> Vec<Warning> {
    let overview: Overview = world.admin("/api/overview").await;
    overview.warnings
}

/// Ends the server, and compares its records with the questions 1 to `asked`.
async fn assert_one_record_each(world: World, server: &Access, database: &str, asked: usize) {
    let overview: Overview = world.admin("/api/overview").await;
    assert_eq!(overview.today.dropped_records, 0);
    world.core.shutdown(Duration::from_secs(10)).await;
    let rows = server
        .execute(&format!(
            "SELECT request_id, COUNT(*) FROM {database}.requests GROUP BY request_id"
        ))
        .await;
    let counts: BTreeMap<&str, usize> = rows
        .lines()
        .map(|row| {
            let (id, count) = row.split_once('\t').unwrap();
            (id, count.parse().unwrap())
        })
        .collect();
    let wrong: Vec<(String, usize)> = (1..=asked)
        .map(|number| {
            let id = format!("question-{number}");
            let count = counts.get(id.as_str()).copied().unwrap_or(0);
            (id, count)
        })
        .filter(|(_, count)| *count != 1)
        .collect();
    assert!(wrong.is_empty(), "of {asked}, (id, records): {wrong:?}");
    assert_eq!(counts.len(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_goes_away_while_traffic_flows_costs_no_answer_and_no_record() {
    let mut server = MariaDb::start().await;
    let wire = Wire::to_port(server.port()).await;
    let database = server.fresh_database().await;
    let ground = Ground::new(3, |google| google, &[]).await;
    let world = ground
        .on_mysql(&server, wire.port(), &database)
        .start()
        .await;
    let mut traffic = Traffic::on(&world);
    traffic.more(50).await;
    assert_eq!(said(&world).await, "ok");

    println!("shut down");
    server.stop().await;
    until_said(&world, &["unreachable"]).await;
    assert!(
        warnings(&world)
            .await
            .contains(&Warning::DatabaseUnreachable)
    );
    traffic.more(100).await;
    server.start_again().await;
    until_said(&world, &["ok"]).await;
    traffic.more(50).await;

    println!("killed");
    server.kill();
    until_said(&world, &["unreachable"]).await;
    traffic.more(100).await;
    server.start_again().await;
    until_said(&world, &["ok"]).await;
    traffic.more(50).await;

    println!("the network refuses");
    wire.refuse().await;
    until_said(&world, &["unreachable"]).await;
    traffic.more(100).await;
    wire.heal().await;
    until_said(&world, &["ok"]).await;

    let asked = traffic.end().await;
    assert_one_record_each(world, &server, &database, asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_takes_nothing_while_traffic_flows_costs_no_answer_and_no_record() {
    let server = MariaDb::start().await;
    let database = server.fresh_database().await;
    let ground = Ground::new(3, |google| google, &[]).await;
    let world = ground
        .on_mysql(&server, server.port(), &database)
        .start()
        .await;
    let mut traffic = Traffic::on(&world);
    traffic.more(50).await;

    println!("read-only");
    server.set_read_only(true).await;
    until_said(&world, &["read_only"]).await;
    assert!(warnings(&world).await.contains(&Warning::DatabaseFailing));
    traffic.more(100).await;
    server.set_read_only(false).await;
    until_said(&world, &["ok"]).await;
    traffic.more(50).await;

    println!("full");
    server.fill_up().await;
    until_said(&world, &["read_only"]).await;
    assert!(warnings(&world).await.contains(&Warning::DatabaseFailing));
    traffic.more(100).await;
    server.free_space().await;
    until_said(&world, &["ok"]).await;
    traffic.more(50).await;

    let asked = traffic.end().await;
    assert_one_record_each(world, &server, &database, asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_that_break_in_the_middle_of_a_query_cost_no_answer_and_no_record() {
    let server = testkit::mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    let database = server.fresh_database().await;
    let ground = Ground::new(3, |google| google, &[]).await;
    let world = ground
        .on_mysql(&server, wire.port(), &database)
        .start()
        .await;
    let mut traffic = Traffic::on(&world);

    // A record that may have been committed or not must not be lost and not come twice.
    for (round, (what, when)) in [
        ("COMMIT", Cut::BeforeServer),
        ("COMMIT", Cut::AfterAnswer),
        ("gemini-2.5-flash", Cut::BeforeServer),
        ("gemini-2.5-flash", Cut::AfterAnswer),
    ]
    .into_iter()
    .enumerate()
    {
        traffic.more(20).await;
        println!("cut at {what}, {when:?}");
        wire.cut_on(what, when);
        wire.wait_for(|counts| counts.struck > round).await;
    }
    for _ in 0..10 {
        traffic.more(7).await;
        wire.cut();
    }
    until_said(&world, &["ok"]).await;

    let asked = traffic.end().await;
    assert_one_record_each(world, &server, &database, asked).await;
}

/// Nothing comes through and nothing breaks: the worst of all, because nobody says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_falls_silent_while_traffic_flows_costs_no_answer_and_no_record() {
    let server = testkit::mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    let database = server.fresh_database().await;
    let ground = Ground::new(3, |google| google, &[]).await;
    let world = ground
        .on_mysql(&server, wire.port(), &database)
        .start()
        .await;
    let mut traffic = Traffic::on(&world);
    traffic.more(50).await;

    println!("between two statements");
    wire.stall();
    until_said(&world, &["unreachable"]).await;
    traffic.more(50).await;
    wire.heal().await;
    until_said(&world, &["ok"]).await;

    // What was on its way arrives much later, when the same records have been sent again or
    // are about to be.
    println!("within one");
    wire.cut_on("COMMIT", Cut::Stall);
    wire.wait_for(|counts| counts.struck == 1).await;
    until_said(&world, &["unreachable"]).await;
    traffic.more(50).await;
    wire.heal().await;
    until_said(&world, &["ok"]).await;

    let asked = traffic.end().await;
    assert_one_record_each(world, &server, &database, asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_the_database_a_start_serves_from_the_environment_and_the_last_snapshot() {
    let server = testkit::mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    let database = server.fresh_database().await;
    let ground = Ground::new(1, |google| google, &[]).await;
    let ground = ground.on_mysql(&server, wire.port(), &database);

    // Nothing but the environment.
    wire.refuse().await;
    let world = ground.start().await;
    assert_eq!(said(&world).await, "unreachable");
    assert!(
        warnings(&world)
            .await
            .contains(&Warning::DatabaseUnreachable)
    );
    let answer = world.gemini(GENERATE, ask("xxxx")).await;
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap();
    // A change would have no place to be kept in, and says so.
    let import = json!({"text": KEYS[1], "dry_run": false});
    let (status, body) = world
        .ask_admin("POST", "/api/keys/import", Some(import.clone()))
        .await;
    assert_eq!((status, &body["code"]), (503, &json!("database")), "{body}");
    // It comes while the server runs: what happened before is recorded, and changes can be
    // made.
    wire.heal().await;
    until_said(&world, &["ok"]).await;
    until_recorded(&world, 1).await;
    let (status, _) = world
        .ask_admin("POST", "/api/keys/import", Some(import))
        .await;
    assert_eq!(status, 200);
    let create = json!({"name": "laptop"});
    let (status, body) = world.ask_admin("POST", "/api/tokens", Some(create)).await;
    assert_eq!(status, 200);
    let created: TokenCreated = serde_json::from_value(body).unwrap();
    let keys: Vec<KeyView> = world.admin("/api/keys").await;
    let counts: Vec<_> = keys
        .iter()
        .map(|key| (key.id, key.requests_today))
        .collect();
    assert_eq!(counts, [(1, 1), (2, 0)], "under the number it has since");
    let tokens: Vec<TokenView> = world.admin("/api/tokens").await;
    let used: Vec<_> = tokens
        .iter()
        .map(|token| (token.id, token.last_used_at))
        .collect();
    assert_eq!(used, [(-1, Some(NOON)), (1, None)]);
    world.core.shutdown(Duration::from_secs(10)).await;

    // The key and the token of the panel are in the snapshot; the environment has changed
    // meanwhile and has no key any more.
    wire.refuse().await;
    let world = ground.with(&[("API_KEYS", "")]).start().await;
    assert_eq!(said(&world).await, "unreachable");
    let asked_before = world.google.requests().len();
    for token in [TOKEN, &created.secret] {
        let answer = world
            .http
            .post(world.url(GENERATE))
            .header("x-goog-api-key", token)
            .header("content-type", "application/json")
            .body(ask("xxxxxxxx"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap();
    }
    assert_eq!(world.keys_used()[asked_before..], [KEYS[1], KEYS[1]]);
    let shown: Vec<KeyView> = world.admin("/api/keys").await;
    assert_eq!(shown.len(), 1, "the panel shows what serves");
    wire.heal().await;
    until_recorded(&world, 3).await;
    assert_eq!(said(&world).await, "ok");
    world.core.shutdown(Duration::from_secs(10)).await;
}

/// Whoever starts the server before its database, as compose files do, gets the set-up link
/// when the database turns out to be new.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_database_that_comes_after_the_start_wants_somebody_to_set_it_up() {
    let server = testkit::mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    let database = server.fresh_database().await;
    let ground = Ground::new(1, |google| google, &[("ALLOWED_TOKENS", "")]).await;
    let ground = ground.on_mysql(&server, wire.port(), &database);
    wire.refuse().await;
    let world = ground.start().await;
    let core = world.core.core().clone();
    assert!(
        core.setup_code().is_none(),
        "nobody becomes the owner meanwhile"
    );
    let mut codes = core.setup_codes();
    wire.heal().await;
    codes.changed().await.unwrap();
    let code = core.setup_code().unwrap();
    let body = json!({"code": code.expose(), "password": "a good password"});
    let answer = world
        .http
        .post(world.url("/api/setup"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
    assert!(core.setup_code().is_none());
}

/// A replica, or a server whose disk is nearly full: it can be read. A server that starts then,
/// without the last run's snapshot, serves what is in it, and the environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_start_on_a_database_that_takes_nothing_serves_what_is_in_it() {
    let server = MariaDb::start().await;
    let database = server.fresh_database().await;
    let ground = Ground::new(1, |google| google, &[]).await;
    let ground = ground.on_mysql(&server, server.port(), &database);
    let world = ground.start().await;
    let import = json!({"text": KEYS[1], "dry_run": false});
    let (status, _) = world
        .ask_admin("POST", "/api/keys/import", Some(import))
        .await;
    assert_eq!(status, 200);
    let create = json!({"name": "laptop"});
    let (_, body) = world.ask_admin("POST", "/api/tokens", Some(create)).await;
    let created: TokenCreated = serde_json::from_value(body).unwrap();
    world.core.shutdown(Duration::from_secs(10)).await;
    server.set_read_only(true).await;

    let everybody = async |world: &World, tokens: &[&str]| {
        for token in tokens {
            let asked = world
                .http
                .post(world.url(GENERATE))
                .header("x-goog-api-key", *token)
                .header("content-type", "application/json")
                .body(ask("xxxx"));
            let answer = asked.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{token}");
            answer.text().await.unwrap();
        }
    };
    // As it was.
    let world = ground.clone().elsewhere().start().await;
    assert_eq!(said(&world).await, "read_only");
    let keys: Vec<KeyView> = world.admin("/api/keys").await;
    assert_eq!(keys.len(), 2);
    everybody(&world, &[TOKEN, &created.secret]).await;
    world.core.shutdown(Duration::ZERO).await;

    // With another environment, which the database cannot be told.
    let other = [("API_KEYS", KEYS[2]), ("ALLOWED_TOKENS", "sk-another-one")];
    let world = ground.elsewhere().with(&other).start().await;
    assert_eq!(said(&world).await, "read_only");
    let overview: Overview = world.admin("/api/overview").await;
    assert_eq!(overview.pool.total, 2, "the panel's, and its own");
    everybody(&world, &["sk-another-one", &created.secret]).await;
    server.set_read_only(false).await;
    until_said(&world, &["ok"]).await;
    until_recorded(&world, 2).await;
    let keys: Vec<KeyView> = world.admin("/api/keys").await;
    let shown: Vec<_> = keys.iter().map(|key| key.masked.clone()).collect();
    let expected = [KEYS[1], KEYS[2]].map(|key| vault::Secret::from(key).masked());
    assert_eq!(shown, expected);
    world.core.shutdown(Duration::from_secs(10)).await;
}
