//! Ways to Google through proxies, and the check-up.

use std::net::SocketAddr;
use std::time::Duration;

use contract::admin::{
    DoctorReport, EgressView, EgressWay, FindingCode as Code, FindingState as State, KeyState,
    KeyView, RequestDetail, RequestPage, TryOutcome,
};
use testkit::google::{Fault, Refusal, Rule, Script};
use testkit::proxy::FakeProxy;

use crate::world::{Ground, KEYS, World, ask};

/// A name that only the proxies of these tests know.
const NAME: &str = "generativelanguage.googleapis.test";
const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

fn google_of(ground: &Ground) -> SocketAddr {
    let url = reqwest::Url::parse(&ground.google.base_url()).unwrap();
    url.socket_addrs(|| None).unwrap()[0]
}

/// Settings under which Google is where only proxies find it.
fn hidden(ground: Ground, proxies: &str) -> Ground {
    let base = format!("http://{NAME}/v1beta");
    ground.with(&[("BASE_URL", base.as_str()), ("PROXIES", proxies)])
}

async fn generates(world: &World) -> u16 {
    let answer = world.gemini(GENERATE, ask("hi")).await;
    answer.status().as_u16()
}

fn state(report: &DoctorReport, code: Code) -> Option<State> {
    let mut findings = report.findings.iter();
    findings
        .find(|found| found.code == code)
        .map(|found| found.state)
}

#[tokio::test]
async fn calls_go_through_the_proxy_which_looks_the_name_up() {
    let ground = Ground::new(1, |google| google, &[]).await;
    let google = google_of(&ground);
    let http = FakeProxy::knowing(&[(NAME, google)]).await;
    let socks = FakeProxy::guarded(&[(NAME, google)], "me", "tops3cret").await;
    for (proxy, written) in [
        (&http, format!("http://{}", http.address())),
        (&socks, format!("socks5://me:tops3cret@{}", socks.address())),
    ] {
        let world = hidden(ground.clone(), &written).start().await;
        assert_eq!(generates(&world).await, 200, "{written}");
        assert_eq!(proxy.asked(), [NAME]);
        let ways: Vec<EgressView> = world.admin("/api/egress").await;
        assert_eq!((ways.len(), ways[0].way), (1, EgressWay::Proxy));
        assert!(ways[0].health.ok_at.is_some() && ways[0].health.error.is_none());
        let keys: Vec<KeyView> = world.admin("/api/keys").await;
        assert_eq!(keys[0].egress.as_ref(), Some(&ways[0].address));
        assert!(!format!("{ways:?}").contains("tops3cret"), "{ways:?}");

        let report: DoctorReport = world.core.core().examine(None).await;
        for code in [
            Code::PortAnswers,
            Code::TokenThere,
            Code::ProxyListed,
            Code::NameByProxy,
            Code::GoogleAnswers,
            Code::KeyAccepted,
            Code::DatabaseReady,
            Code::SealingOn,
        ] {
            assert_eq!(
                state(&report, code),
                Some(State::Good),
                "{code:?}: {report:?}"
            );
        }
        assert!(!format!("{report:?}").contains("tops3cret"), "{report:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_fails_is_named_and_its_password_is_not() {
    let ground = Ground::new(1, |google| google, &[]).await;
    let guarded = FakeProxy::guarded(&[(NAME, google_of(&ground))], "me", "right").await;
    let wrong = format!("socks5://me:wr0ngs3cret@{}", guarded.address());
    let world = hidden(ground, &wrong).start().await;
    let answer = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 502);
    let said = answer.text().await.unwrap();
    let shown = format!("socks5h://{}", guarded.address());
    assert!(
        said.contains(&shown) && !said.contains("wr0ngs3cret"),
        "{said}"
    );
    let page: RequestPage = world.admin("/api/requests").await;
    let path = format!("/api/requests/{}", page.requests[0].id);
    let detail: RequestDetail = world.admin(&path).await;
    assert!(detail.tries.len() > 1, "{detail:?}");
    // Only clients are not told whose it is.
    let named = format!("socks5h://me@{}", guarded.address());
    for one in &detail.tries {
        let expected = (Some(&named), TryOutcome::Unreachable);
        assert_eq!((one.proxy.as_ref(), one.outcome), expected);
    }
    let ways: Vec<EgressView> = world.admin("/api/egress").await;
    assert!(ways[0].health.error.as_ref().unwrap().contains(&shown));
    let report = world.core.core().examine(None).await;
    assert_eq!(
        state(&report, Code::GoogleUnreachable),
        Some(State::Bad),
        "{report:?}"
    );
    assert_eq!(state(&report, Code::ClockUnknown), Some(State::Unknown));
    assert_eq!(state(&report, Code::KeyUnknown), Some(State::Unknown));
    assert_eq!(state(&report, Code::KeyRefused), None, "no key is blamed");
    assert!(!format!("{report:?}").contains("wr0ngs3cret"));
}

#[tokio::test]
async fn each_key_keeps_to_its_own_proxy_and_others_take_over() {
    let ground = Ground::new(3, |google| google, &[]).await;
    let google = google_of(&ground);
    let one = FakeProxy::knowing(&[(NAME, google)]).await;
    let two = FakeProxy::knowing(&[(NAME, google)]).await;
    let both = format!("http://{},socks5://{}", one.address(), two.address());
    let world = hidden(ground, &both).start().await;
    let keys: Vec<KeyView> = world.admin("/api/keys").await;
    for _ in 0..6 {
        assert_eq!(generates(&world).await, 200);
    }
    let first = keys
        .iter()
        .filter(|key| key.egress == Some(format!("http://{}", one.address())));
    assert_eq!(one.asked().is_empty(), first.count() == 0, "{keys:?}");
}

#[tokio::test]
async fn a_key_goes_through_the_proxy_that_was_chosen_for_it() {
    let ground = Ground::new(1, |google| google, &[]).await;
    let google = google_of(&ground);
    let proxies = [
        FakeProxy::knowing(&[(NAME, google)]).await,
        FakeProxy::knowing(&[(NAME, google)]).await,
    ];
    let shown = proxies
        .each_ref()
        .map(|proxy| format!("http://{}", proxy.address()));
    let world = hidden(ground, &shown.join(",")).start().await;
    let keys: Vec<KeyView> = world.admin("/api/keys").await;
    let path = format!("/api/keys/{}", keys[0].id);
    let choose = async |proxy: &str| {
        let rules = serde_json::json!({"rules": {"proxy": proxy}});
        world.ask_admin("PATCH", &path, Some(rules)).await
    };
    // Whichever it was bound to, it goes the way that is said now.
    for (at, proxy) in [(0, &shown[0]), (1, &shown[1]), (0, &shown[0])] {
        let (status, key) = choose(proxy).await;
        assert_eq!((status, &key["egress"]), (200, &serde_json::json!(proxy)));
        let before = proxies[1 - at].asked().len();
        assert_eq!(generates(&world).await, 200);
        assert!(!proxies[at].asked().is_empty());
        assert_eq!(proxies[1 - at].asked().len(), before);
    }
    let (status, said) = choose("http://127.0.0.1:9").await;
    assert_eq!(status, 400);
    assert!(
        said["message"].as_str().unwrap().contains("PROXIES"),
        "{said}"
    );
    // Nobody looks the name up for one that goes straight.
    assert_eq!(choose("direct").await.0, 200);
    assert_eq!(generates(&world).await, 502);
}

#[tokio::test]
async fn a_check_up_finds_what_is_missing() {
    let world = World::with_keys(0).await;
    let report = world.core.core().examine(Some("http://127.0.0.1:1")).await;
    assert_eq!(
        state(&report, Code::KeyNone),
        Some(State::Bad),
        "{report:?}"
    );
    assert_eq!(state(&report, Code::PortSilent), Some(State::Bad));
    assert_eq!(
        state(&report, Code::NameFound),
        None,
        "an address is no name"
    );
    // The server's time stands still, Google's fake tells the machine's.
    assert_eq!(state(&report, Code::GoogleAnswers), Some(State::Good));

    let world = World::with_keys(1).await;
    world.google.disable_key(KEYS[0], Refusal::Location);
    let report = world.core.core().examine(None).await;
    assert_eq!(
        state(&report, Code::GoogleRegion),
        Some(State::Bad),
        "{report:?}"
    );
}

/// A world of two proxies and three keys, two of which are bound to the first.
async fn two_of_three_on_the_first(settings: &[(&str, &str)]) -> (World, [FakeProxy; 2]) {
    // Which key has which proxy depends on the ports, which are any.
    loop {
        let ground = Ground::new(3, |google| google, settings).await;
        let names = [(NAME, google_of(&ground))];
        let proxies = [
            FakeProxy::knowing(&names).await,
            FakeProxy::knowing(&names).await,
        ];
        let both = format!(
            "http://{},http://{}",
            proxies[0].address(),
            proxies[1].address()
        );
        let world = hidden(ground, &both).start().await;
        if on(&world, &proxies[0]).await.len() == 2 {
            return (world, proxies);
        }
    }
}

/// The keys that are bound to a proxy.
async fn on(world: &World, proxy: &FakeProxy) -> Vec<&'static str> {
    let shown = format!("http://{}", proxy.address());
    let mut keys = Vec::new();
    for key in KEYS {
        if world.key(key).await.egress.as_ref() == Some(&shown) {
            keys.push(key);
        }
    }
    keys
}

#[tokio::test]
async fn when_a_way_is_closed_the_next_attempt_takes_another_and_no_key_is_blamed() {
    for dead in [true, false] {
        let (world, [first, second]) = two_of_three_on_the_first(&[("MAX_RETRIES", "2")]).await;
        let bound = on(&world, &first).await;
        let shown = format!("http://{}", first.address());
        match dead {
            true => drop(first),
            false => {
                let refused = |script: Script, key: &&str| {
                    script.rule(Rule::new(Fault::Refuse(Refusal::Location)).key(*key))
                };
                world
                    .google
                    .script(bound.iter().fold(Script::new(), refused));
            }
        }
        for _ in 0..3 {
            assert_eq!(generates(&world).await, 200, "dead: {dead}");
        }
        assert!(!second.asked().is_empty());
        for key in bound {
            let view = world.key(key).await;
            assert!(matches!(view.state, KeyState::Unchecked), "{view:?}");
            assert_eq!(view.cooldowns, [], "{view:?}");
        }
        let ways: Vec<EgressView> = world.admin("/api/egress").await;
        let way = ways.iter().find(|way| way.address == shown).unwrap();
        let why = way.health.error.as_deref().unwrap();
        let expected = if dead {
            "no connection"
        } else {
            "location is not supported"
        };
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test]
async fn where_there_is_no_other_way_a_country_that_google_does_not_serve_is_told_at_once() {
    let world = World::with_keys(3).await;
    let refused = Rule::new(Fault::Refuse(Refusal::Location));
    world.google.script(Script::new().rule(refused));
    assert_eq!(generates(&world).await, 400);
    assert_eq!(world.google.requests().len(), 1);
}

#[tokio::test]
async fn so_many_calls_leave_by_a_way_at_once_and_a_client_that_goes_makes_room() {
    const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    let world = World::start(2, |google| google, &[("EGRESS_CONCURRENCY", "1")]).await;
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let stalled = world.gemini(STREAM, ask("tell me a story")).await;
    assert_eq!(stalled.status(), 200);
    let mut next = Box::pin(generates(&world));
    for _ in 0..300 {
        assert!(futures_util::poll!(&mut next).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(world.google.requests().len(), 1, "the first is under way");
    drop(stalled);
    assert_eq!(next.await, 200);
    let many = futures_util::future::join_all((0..6).map(|_| generates(&world))).await;
    assert_eq!(many, [200; 6]);
}

#[tokio::test]
async fn a_call_waits_for_its_turn_no_longer_than_the_client_wants() {
    const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    let settings = [("EGRESS_CONCURRENCY", "1"), ("PATIENCE", "30")];
    let world = World::start(2, |google| google, &settings).await;
    let counted = async || {
        let pool: serde_json::Value = world.admin("/api/pool").await;
        pool["models"][0]["requests_today"].as_u64()
    };
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let stalled = world.gemini(STREAM, ask("tell me a story")).await;
    assert_eq!(stalled.status(), 200);
    for (header, patience) in [("x-other", 30), ("x-patience", 5)] {
        assert_eq!(counted().await, Some(1));
        let asked = world.http.post(world.url(GENERATE));
        let asked = asked.header("x-goog-api-key", crate::world::TOKEN);
        let asked = asked.header(header, patience).body(ask("hi")).send();
        let passes = async {
            while counted().await != Some(2) {
                tokio::task::yield_now().await;
            }
            world.clock.advance(Duration::from_secs(patience));
        };
        let (answer, ()) = tokio::join!(asked, passes);
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "1");
        let said = answer.text().await.unwrap();
        assert!(
            said.contains("EGRESS_CONCURRENCY") && said.contains("PATIENCE"),
            "{said}"
        );
        let page: RequestPage = world.admin("/api/requests").await;
        let path = format!("/api/requests/{}", page.requests[0].id);
        let detail: RequestDetail = world.admin(&path).await;
        let ends: Vec<_> = detail.tries.iter().map(|one| one.outcome).collect();
        assert_eq!(ends, [TryOutcome::NoTurn]);
    }
    assert_eq!(world.google.requests().len(), 1, "nothing else left");
    assert_eq!(counted().await, Some(1), "so nothing else was counted");
    let ways: Vec<EgressView> = world.admin("/api/egress").await;
    assert_eq!(ways[0].health.error, None, "the way is not to blame");
    drop(stalled);
    assert_eq!(generates(&world).await, 200);
}
