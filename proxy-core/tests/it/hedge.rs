//! A slow first attempt and a second one beside it (`HEDGE_AFTER_MS`).

use std::time::Duration;

use contract::admin::{KeyState, RequestDetail, RequestPage, TryOutcome};
use serde_json::{Value, json};
use testkit::google::{Fault, Rule, Script};

use crate::world::{TOKEN, World, ask, events, json as json_of};

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
const EMBED: &str = "/v1beta/models/gemini-embedding-001:embedContent";
/// After how long the second attempt is made.
const AFTER: Duration = Duration::from_secs(2);
const HEDGED: (&str, &str) = ("HEDGE_AFTER_MS", "2000");

/// A world of so many keys, and those keys in the order in which they will be asked. Each has
/// answered once.
async fn world(keys: usize, settings: &[(&str, &str)]) -> (World, Vec<String>) {
    let world = World::start(keys, |google| google, settings).await;
    for _ in 0..keys {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    let used = world.keys_used();
    world.google.clear_requests();
    (world, used)
}

impl World {
    /// Has calls with a key end so.
    fn with_key(&self, key: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut script = Script::new();
        for fault in faults {
            script = script.rule(Rule::new(fault).key(key));
        }
        self.google.script(script);
    }

    /// Lets time pass until the second attempt is with Google; the request is under way.
    async fn until_hedged(&self) {
        self.until_asked(1).await;
        self.clock.advance(AFTER);
        self.until_asked(2).await;
    }

    async fn until_asked(&self, times: usize) {
        while self.google.requests().len() < times {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many attempts have ended so.
    async fn until_ended(&self, outcome: &str, count: u32) {
        while self.ended(outcome).await != count {
            tokio::task::yield_now().await;
        }
    }

    async fn ended(&self, outcome: &str) -> u32 {
        let said = self.http.get(self.url("/metrics")).send().await.unwrap();
        let said = said.text().await.unwrap();
        let name = format!("gemini_balance_attempts_total{{outcome=\"{outcome}\"}} ");
        let value = said.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// The newest record.
    async fn newest(&self) -> RequestDetail {
        let page: RequestPage = self.admin("/api/requests").await;
        let path = format!("/api/requests/{}", page.requests[0].id);
        self.admin(&path).await
    }

    async fn counted(&self) -> u64 {
        let pool: Value = self.admin("/api/pool").await;
        let models = pool["models"].as_array().unwrap();
        let today = models.iter().map(|model| model["requests_today"].as_u64());
        today.map(Option::unwrap).sum()
    }

    async fn is_unblamed(&self, key: &str) -> bool {
        let view = self.key(key).await;
        view.state == KeyState::Ready && view.cooldowns.is_empty() && view.last_error.is_none()
    }
}

fn outcomes(detail: &RequestDetail) -> Vec<TryOutcome> {
    detail.tries.iter().map(|one| one.outcome).collect()
}

/// The text of a whole answer, or of a stream that is complete; more than one answer is none.
fn text(path: &str, said: &str) -> String {
    let events = match path {
        GENERATE => vec![said.to_owned()],
        _ => events(said),
    };
    let events: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let finished = events
        .iter()
        .filter(|event| event["candidates"][0]["finishReason"].is_string());
    assert_eq!(finished.count(), 1, "{said}");
    let parts = events
        .iter()
        .map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str());
    parts.map(Option::unwrap_or_default).collect()
}

#[tokio::test]
async fn another_key_answers_when_the_first_is_slow() {
    for (path, slow) in [
        (GENERATE, Fault::StallBeforeHeaders),
        (STREAM, Fault::StallBeforeHeaders),
        (STREAM, Fault::StallAfter { events: 0 }),
    ] {
        let (world, keys) = world(2, &[HEDGED]).await;
        let before = text(path, &{
            let answer = world.gemini(path, ask("hi")).await;
            answer.text().await.unwrap()
        });
        let (first, other) = (&keys[1], &keys[0]);
        world.google.clear_requests();
        world.with_key(first, [slow]);
        let (answer, ()) = tokio::join!(world.gemini(path, ask("hi")), world.until_hedged());
        assert_eq!(answer.status(), 200);
        assert_eq!(text(path, &answer.text().await.unwrap()), before);
        assert_eq!(world.keys_used(), [first.clone(), other.clone()]);
        assert!(world.google.wait_for_disconnects(1).await);
        let newest = world.newest().await;
        assert_eq!(
            outcomes(&newest),
            [TryOutcome::Cancelled, TryOutcome::Answered]
        );
        let tried: Vec<_> = newest.tries.iter().map(|one| one.key.as_ref()).collect();
        assert_ne!(tried[0], tried[1]);
        assert_eq!(newest.request.attempts, 2);
        assert_eq!(newest.request.key.as_ref(), tried[1], "whose answer it was");
        assert!(newest.failed_keys.is_empty(), "no key is blamed");
        assert_eq!(world.ended("cancelled").await, 1);
        assert_eq!(world.counted().await, 5, "Google may have counted both");
        for key in &keys {
            assert!(world.is_unblamed(key).await);
        }
    }
}

#[tokio::test]
async fn the_first_may_be_faster_all_the_same() {
    for path in [GENERATE, STREAM] {
        let (world, keys) = world(2, &[HEDGED]).await;
        world.with_key(&keys[0], [Fault::Latency(AFTER * 2)]);
        world.with_key(&keys[1], [Fault::StallBeforeHeaders]);
        let passes = async {
            world.until_hedged().await;
            world.clock.advance(AFTER);
        };
        let (answer, ()) = tokio::join!(world.gemini(path, ask("hi")), passes);
        assert_eq!(answer.status(), 200);
        text(path, &answer.text().await.unwrap());
        assert!(world.google.wait_for_disconnects(1).await);
        let newest = world.newest().await;
        assert_eq!(
            outcomes(&newest),
            [TryOutcome::Answered, TryOutcome::Cancelled]
        );
        assert_eq!(newest.request.key, newest.tries[0].key);
        assert_eq!(world.counted().await, 4);
    }
}

#[tokio::test]
async fn when_the_first_fails_the_second_goes_on_and_counts_as_the_next_attempt() {
    let (world, keys) = world(3, &[HEDGED]).await;
    let fails = [Fault::Latency(AFTER * 2), Fault::Status(503)];
    world.with_key(&keys[0], fails);
    world.with_key(&keys[1], [Fault::StallBeforeHeaders]);
    let passes = async {
        world.until_hedged().await;
        world.clock.advance(AFTER);
        world.until_ended("overloaded", 1).await;
        world.google.release();
    };
    let (answer, ()) = tokio::join!(world.gemini(STREAM, ask("hi")), passes);
    assert_eq!(answer.status(), 200);
    text(STREAM, &answer.text().await.unwrap());
    assert_eq!(world.keys_used(), keys[..2], "no third was asked");
    let newest = world.newest().await;
    assert_eq!(
        outcomes(&newest),
        [TryOutcome::Overloaded, TryOutcome::Answered]
    );
    assert_eq!(newest.request.key, newest.tries[1].key);
    assert_eq!(newest.failed_keys.len(), 1);
}

#[tokio::test]
async fn when_both_fail_others_are_asked() {
    for first_fails_first in [true, false] {
        let (world, keys) = world(3, &[HEDGED]).await;
        let late = Fault::Latency(AFTER * 2);
        world.with_key(&keys[0], [late.clone(), Fault::Status(503)]);
        match first_fails_first {
            true => world.with_key(&keys[1], [late, Fault::Status(500)]),
            false => world.with_key(&keys[1], [Fault::Status(500)]),
        }
        let passes = async {
            world.until_hedged().await;
            if first_fails_first {
                world.clock.advance(AFTER);
            }
            world.until_ended("overloaded", 1).await;
            world.clock.advance(AFTER);
        };
        let (answer, ()) = tokio::join!(world.gemini(GENERATE, ask("hi")), passes);
        assert_eq!(answer.status(), 200, "first: {first_fails_first}");
        assert_eq!(world.keys_used(), keys, "each was asked once");
        let newest = world.newest().await;
        assert_eq!(
            outcomes(&newest),
            [
                TryOutcome::Overloaded,
                TryOutcome::Overloaded,
                TryOutcome::Answered
            ]
        );
        assert_eq!(newest.failed_keys.len(), 2);
        assert_eq!(newest.request.attempts, 3);
    }
}

#[tokio::test]
async fn what_every_key_would_say_ends_both() {
    let (world, keys) = world(2, &[HEDGED]).await;
    let refuses = [Fault::Latency(AFTER * 2), Fault::Status(400)];
    world.with_key(&keys[0], refuses);
    world.with_key(&keys[1], [Fault::StallBeforeHeaders]);
    let passes = async {
        world.until_hedged().await;
        world.clock.advance(AFTER);
    };
    let (answer, ()) = tokio::join!(world.gemini(GENERATE, ask("hi")), passes);
    assert_eq!(answer.status(), 400);
    assert!(world.google.wait_for_disconnects(1).await);
    assert_eq!(
        outcomes(&world.newest().await),
        [TryOutcome::ClientFault, TryOutcome::Cancelled]
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_both() {
    let (world, _) = world(2, &[HEDGED]).await;
    let stalls = Rule::new(Fault::StallBeforeHeaders);
    world.google.script(Script::new().rule(stalls));
    tokio::select! {
        _ = world.gemini(STREAM, ask("hi")) => panic!("it was answered"),
        () = world.until_hedged() => {}
    }
    assert!(world.google.wait_for_disconnects(2).await);
    let newest = loop {
        let newest = world.newest().await;
        if newest.request.status == 499 {
            break newest;
        }
    };
    assert_eq!(
        outcomes(&newest),
        [TryOutcome::BrokenOff, TryOutcome::BrokenOff]
    );
    assert_eq!(world.counted().await, 4);
}

#[tokio::test]
async fn where_it_is_not_wanted_or_not_possible_nothing_is_asked_twice() {
    let chat = json!({
        "model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}],
    });
    let embed = json!({"content": {"parts": [{"text": "hi"}]}});
    for (why, keys, settings, path, body) in [
        ("it is off by default", 2, vec![], GENERATE, ask("hi")),
        ("there is one key", 1, vec![HEDGED], GENERATE, ask("hi")),
        (
            "one attempt is all",
            2,
            vec![HEDGED, ("MAX_RETRIES", "1")],
            GENERATE,
            ask("hi"),
        ),
        (
            "calls are held back",
            2,
            vec![HEDGED, ("EGRESS_CONCURRENCY", "9")],
            GENERATE,
            ask("hi"),
        ),
        (
            "it is no generation",
            2,
            vec![HEDGED],
            EMBED,
            embed.to_string(),
        ),
    ] {
        let (world, _) = world(keys, &settings).await;
        let stalls = Rule::new(Fault::StallBeforeHeaders);
        world.google.script(Script::new().rule(stalls));
        let passes = async {
            world.until_asked(1).await;
            world.clock.advance(AFTER * 2);
            // It would have been asked twice by now, as this goes the same way.
            world.ended("answered").await;
            world.google.release();
        };
        let (answer, ()) = tokio::join!(world.gemini(path, body), passes);
        assert_eq!(answer.status(), 200, "{why}");
        assert_eq!(world.google.requests().len(), 1, "{why}");
    }
    // Several answers at once, and a session that has its key.
    let (world, _) = world(3, &[HEDGED]).await;
    let several = json!({"n": 2, "model": chat["model"], "messages": chat["messages"]});
    let in_session = || {
        let asked = world.http.post(world.url(GENERATE));
        let asked = asked.header("x-goog-api-key", TOKEN);
        asked.header("x-session-id", "s1").body(ask("hi")).send()
    };
    assert_eq!(in_session().await.unwrap().status(), 200);
    world.google.clear_requests();
    let stalls = Rule::new(Fault::StallBeforeHeaders);
    world.google.script(Script::new().rule(stalls));
    let passes = async {
        world.until_asked(3).await;
        world.clock.advance(AFTER * 2);
        world.ended("answered").await;
        world.google.release();
    };
    let (two, one, ()) = tokio::join!(world.chat(several), in_session(), passes);
    assert_eq!(one.unwrap().status(), 200);
    assert_eq!(json_of(two).await["choices"].as_array().unwrap().len(), 2);
    assert_eq!(world.google.requests().len(), 3);
}
