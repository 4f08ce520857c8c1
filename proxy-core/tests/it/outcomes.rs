//! The table of outcomes through the real server: what each failure costs keys, requests and
//! clients, in every protocol, whole and streamed.

use std::time::Duration;

use contract::admin::{CooldownReason, KeyState};
use serde_json::{Value, json};
use testkit::google::{Empty, Exhaustion, Fault, GoogleError, Quota, Refusal, Rule, Script};

use crate::world::{KEYS, TOKEN, World, ask, json as body_of};

const MODEL: &str = "gemini-2.5-flash";
/// How long Google may be silent.
const TIME_OUT: Duration = Duration::from_secs(300);

/// What a client speaks.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Gemini,
    Chat,
    Responses,
    Anthropic,
}

/// Asks in one of the protocols.
async fn asks(world: &World, protocol: Protocol, stream: bool) -> reqwest::Response {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let (path, body): (String, Value) = match protocol {
        Protocol::Gemini => {
            let verb = match stream {
                true => "streamGenerateContent?alt=sse",
                false => "generateContent",
            };
            let path = format!("/v1beta/models/{MODEL}:{verb}");
            (
                path,
                json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            )
        }
        Protocol::Chat => {
            let body = json!({"model": MODEL, "messages": messages, "stream": stream});
            ("/v1/chat/completions".into(), body)
        }
        Protocol::Responses => {
            let body = json!({"model": MODEL, "input": "hi", "stream": stream});
            ("/v1/responses".into(), body)
        }
        Protocol::Anthropic => {
            let body = json!({
                "model": MODEL, "max_tokens": 100, "messages": messages, "stream": stream,
            });
            ("/v1/messages".into(), body)
        }
    };
    let request = world.http.post(world.url(&path));
    let request = match protocol {
        Protocol::Gemini => request.header("x-goog-api-key", TOKEN),
        Protocol::Anthropic => request
            .header("x-api-key", TOKEN)
            .header("anthropic-version", "2023-06-01"),
        Protocol::Chat | Protocol::Responses => request.bearer_auth(TOKEN),
    };
    let request = request.header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

/// What becomes of the two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// They are as they were.
    Untouched,
    /// They rest for the model.
    Rest(CooldownReason),
    /// They are off.
    Off,
}

/// What Google says of a project that is out of money.
const SPENT: &str = "Your project has exceeded its monthly spending cap. Please go to AI Studio.";
/// What it says of one in a country without a free tier.
const NO_FREE_TIER: &str = "Gemini API free tier is not available in your country. Please enable \
                            billing on your project in Google AI Studio.";
const PAID_ONLY: &str = "Imagen API is only accessible to billed users at this time.";
/// What it says of a model to projects that came later.
const CLOSED: &str = "This model models/gemini-2.5-flash is no longer available to new users. Please \
                      update your code to use a newer model.";
const DENIED: &str = "Your project has been denied access. Please contact support.";

/// An error of Google's in these words, without details.
fn says(code: u16, message: &str) -> Fault {
    let status = match message {
        NO_FREE_TIER => "FAILED_PRECONDITION",
        _ => GoogleError::usual(code).status,
    };
    Fault::Error(GoogleError {
        status,
        message: message.to_owned(),
        ..GoogleError::usual(code)
    })
}

/// What something between here and Google says.
fn page(status: u16) -> Fault {
    Fault::Raw {
        status,
        content_type: "text/html; charset=UTF-8".into(),
        body: "<html><title>Blocked</title></html>".into(),
    }
}

/// Each failure, the status that the client gets, how often Google is asked, and what becomes of
/// the keys.
fn table() -> Vec<(Fault, u16, usize, Keys)> {
    use CooldownReason as C;
    let retry = Duration::from_millis(12_345);
    vec![
        (Fault::Status(400), 400, 1, Keys::Untouched),
        (Fault::Status(404), 404, 1, Keys::Untouched),
        (Fault::Status(413), 413, 1, Keys::Untouched),
        (Fault::Status(403), 403, 2, Keys::Rest(C::ProjectRefused)),
        (Fault::Status(500), 500, 2, Keys::Untouched),
        (Fault::Status(503), 503, 2, Keys::Untouched),
        (Fault::Status(504), 504, 2, Keys::Untouched),
        (
            Fault::Exhausted(Exhaustion::NoDetails),
            429,
            2,
            Keys::Untouched,
        ),
        (
            Fault::Exhausted(Exhaustion::PerMinute { limit: 10, retry }),
            429,
            2,
            Keys::Rest(C::PerMinute),
        ),
        (
            Fault::Exhausted(Exhaustion::TokensPerMinute {
                limit: 250_000,
                retry,
            }),
            429,
            2,
            Keys::Rest(C::TokensPerMinute),
        ),
        // Less than this one request has, which another project may take.
        (
            Fault::Exhausted(Exhaustion::TokensPerMinute { limit: 1, retry }),
            413,
            2,
            Keys::Untouched,
        ),
        (
            Fault::Exhausted(Exhaustion::PerDay {
                limit: 20,
                retry: Duration::ZERO,
            }),
            429,
            2,
            Keys::Rest(C::PerDay),
        ),
        (
            Fault::Exhausted(Exhaustion::LimitZero),
            429,
            2,
            Keys::Rest(C::NotInTier),
        ),
        (says(429, SPENT), 429, 2, Keys::Rest(C::Unexplained)),
        (
            says(400, NO_FREE_TIER),
            400,
            2,
            Keys::Rest(C::ProjectRefused),
        ),
        (says(400, PAID_ONLY), 400, 2, Keys::Rest(C::ProjectRefused)),
        (says(404, CLOSED), 404, 2, Keys::Rest(C::ProjectRefused)),
        (page(302), 502, 1, Keys::Untouched),
        (page(401), 502, 1, Keys::Untouched),
        (page(403), 502, 1, Keys::Untouched),
        (page(407), 502, 1, Keys::Untouched),
        (page(429), 502, 1, Keys::Untouched),
        (page(200), 502, 1, Keys::Untouched),
        (Fault::Refuse(Refusal::Invalid), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::Expired), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::Suspended), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::Leaked), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::ServiceDisabled), 502, 2, Keys::Off),
        (Fault::Refuse(Refusal::ServiceBlocked), 502, 2, Keys::Off),
        (
            Fault::Refuse(Refusal::TokenTypeUnsupported),
            502,
            2,
            Keys::Off,
        ),
        (Fault::Refuse(Refusal::Location), 400, 1, Keys::Untouched),
        (Fault::Empty(Empty::NoCandidates), 502, 2, Keys::Untouched),
        (Fault::Empty(Empty::NoParts), 502, 2, Keys::Untouched),
        (Fault::ThoughtOnly, 502, 2, Keys::Untouched),
        (
            Fault::Finished("MALFORMED_FUNCTION_CALL".into()),
            502,
            2,
            Keys::Untouched,
        ),
        (
            Fault::Finished("RECITATION".into()),
            200,
            1,
            Keys::Untouched,
        ),
        (Fault::Blocked, 200, 1, Keys::Untouched),
        (Fault::CloseBeforeHeaders, 502, 2, Keys::Untouched),
        (Fault::StallBeforeHeaders, 504, 1, Keys::Untouched),
        (Fault::StallAfter { events: 0 }, 504, 1, Keys::Untouched),
    ]
}

/// Asks, and lets time pass when Google falls silent.
async fn asks_in_time(
    (world, fault): (&World, &Fault),
    protocol: Protocol,
    stream: bool,
) -> reqwest::Response {
    let passes = async {
        if !matches!(fault, Fault::StallBeforeHeaders | Fault::StallAfter { .. }) {
            std::future::pending::<()>().await;
        }
        assert!(world.google.wait_for_requests(1).await);
        loop {
            world.clock.advance(TIME_OUT);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = asks(world, protocol, stream) => answer,
        () = passes => unreachable!("it goes on for ever"),
    }
}

async fn every_row(protocol: Protocol, stream: bool) {
    for (fault, status, tries, expected) in table() {
        let settings = [("MAX_RETRIES", "2"), ("PATIENCE", "0")];
        let world = World::start(2, |google| google, &settings).await;
        world
            .google
            .script(Script::new().rule(Rule::new(fault.clone())));
        let answer = asks_in_time((&world, &fault), protocol, stream).await;
        let which = format!("{fault:?} in {protocol:?}, streamed: {stream}");
        assert_eq!(answer.status(), status, "{which}");
        let said = answer.text().await.unwrap();
        assert_eq!(world.google.requests().len(), tries, "{which}");
        for key in &KEYS[..2] {
            assert!(!said.contains(key), "{which}: {said}");
            let view = world.key(key).await;
            let reasons: Vec<_> = view.cooldowns.iter().map(|rest| rest.reason).collect();
            let found = match (view.state, reasons.first()) {
                (KeyState::Rejected { .. }, _) => Keys::Off,
                (_, Some(reason)) => Keys::Rest(*reason),
                _ => Keys::Untouched,
            };
            assert_eq!(found, expected, "{which}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_in_gemini() {
    every_row(Protocol::Gemini, false).await;
}

#[tokio::test]
async fn a_streamed_answer_in_gemini() {
    every_row(Protocol::Gemini, true).await;
}

#[tokio::test]
async fn a_whole_answer_in_chat() {
    every_row(Protocol::Chat, false).await;
}

#[tokio::test]
async fn a_streamed_answer_in_chat() {
    every_row(Protocol::Chat, true).await;
}

#[tokio::test]
async fn a_whole_answer_in_responses() {
    every_row(Protocol::Responses, false).await;
}

#[tokio::test]
async fn a_streamed_answer_in_responses() {
    every_row(Protocol::Responses, true).await;
}

#[tokio::test]
async fn a_whole_answer_in_anthropic() {
    every_row(Protocol::Anthropic, false).await;
}

#[tokio::test]
async fn a_streamed_answer_in_anthropic() {
    every_row(Protocol::Anthropic, true).await;
}

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

/// A world of two keys, of which the first is free and the second is paid for.
async fn free_and_paid(settings: &[(&str, &str)]) -> World {
    let world = World::start(2, |google| google, settings).await;
    let path = format!("/api/keys/{}", world.key(KEYS[1]).await.id);
    let rules = Some(json!({"rules": {"tier": "paid"}}));
    let (status, said) = world.ask_admin("PATCH", &path, rules).await;
    assert_eq!(status, 200, "{said}");
    world
}

fn struck(world: &World, key: &str, fault: Fault) {
    let rule = Rule::new(fault).key(key).action("generateContent");
    world.google.script(Script::new().rule(rule));
}

#[tokio::test]
async fn what_is_refused_to_a_free_project_is_answered_by_one_that_is_paid_for() {
    for fault in [
        says(400, NO_FREE_TIER),
        says(400, PAID_ONLY),
        says(404, CLOSED),
        says(403, DENIED),
        says(429, SPENT),
        Fault::Exhausted(Exhaustion::TokensPerMinute {
            limit: 1,
            retry: Duration::from_secs(38),
        }),
    ] {
        let world = free_and_paid(&[("MAX_RETRIES", "1")]).await;
        struck(&world, KEYS[0], fault.clone());
        for _ in 0..3 {
            let answer = world.gemini(GENERATE, ask("Hello, how are you?")).await;
            assert_eq!(answer.status(), 200, "{fault:?}");
        }
        let expected = [KEYS[0], KEYS[1], KEYS[1], KEYS[1]];
        assert_eq!(world.keys_used(), expected, "{fault:?}");
    }
}

#[tokio::test]
async fn what_google_says_to_a_denied_project_is_shown_with_its_link() {
    let world = World::start(2, |google| google, &[("PATIENCE", "0")]).await;
    let url = "https://support.google.com/appeal";
    let denied = GoogleError {
        message: DENIED.to_owned(),
        details: vec![json!({
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": "Appeal", "url": url}],
        })],
        ..GoogleError::usual(403)
    };
    world.google.fault_next(Fault::Error(denied));
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    let refused = world.keys_used().remove(0);
    let view = world.key(&refused).await;
    let said = view.last_error.unwrap();
    assert!(said.contains(DENIED) && said.contains(url), "{said}");
    // While all rest for it, the client is told so, and not to come back in a moment.
    let both = Rule::new(says(403, DENIED));
    world.google.script(Script::new().rule(both));
    let answer = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(body_of(answer).await["error"]["message"], DENIED);
    let answer = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("retry-after"));
    let said = body_of(answer).await.to_string();
    assert!(said.contains("Keys page"), "{said}");
    assert_eq!(world.google.requests().len(), 3);
}

#[tokio::test]
async fn a_403_that_may_be_about_what_is_named_is_held_against_no_project() {
    let world = World::with_keys(2).await;
    let video = json!({"contents": [{"role": "user", "parts": [
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=private"}}, {"text": "?"},
    ]}]});
    let private = Rule::new(Fault::Status(403));
    world.google.script(Script::new().rule(private));
    let answer = world.gemini(GENERATE, video.to_string()).await;
    assert_eq!(answer.status(), 403);
    for key in &KEYS[..2] {
        assert_eq!(world.key(key).await.cooldowns, []);
    }
}

#[tokio::test]
async fn a_prompt_that_no_project_takes_is_told_so_without_a_time() {
    let world = World::start(2, |google| google, &[("PATIENCE", "30")]).await;
    let limit = Exhaustion::TokensPerMinute {
        limit: 2,
        retry: Duration::from_secs(38),
    };
    let both = Rule::new(Fault::Exhausted(limit));
    world.google.script(Script::new().rule(both));
    for asked in [2, 2] {
        let answer = asks(&world, Protocol::Chat, false).await;
        assert_eq!(answer.status(), 413);
        assert!(!answer.headers().contains_key("retry-after"));
        let said = body_of(answer).await;
        assert_eq!(said["error"]["code"], "context_length_exceeded", "{said}");
        assert_eq!(world.google.requests().len(), asked, "it is not sent again");
    }
}

#[tokio::test]
async fn calls_that_never_left_use_up_nothing() {
    let settings = [
        ("PROXIES", "http://127.0.0.1:1"),
        ("POOL_LIMITS", r#"{"*": "2/-/4"}"#),
        ("MAX_RETRIES", "1"),
        ("PATIENCE", "0"),
    ];
    let world = World::start(1, |google| google, &settings).await;
    for _ in 0..6 {
        let answer = world.gemini(GENERATE, ask("hi")).await;
        assert_eq!(answer.status(), 502, "and not 429");
    }
    world.set(&[("PROXIES", "")]);
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
}

#[tokio::test]
async fn a_page_in_the_place_of_google_is_blamed_on_the_way_and_no_way_is_taken_twice() {
    let world = World::with_keys(2).await;
    world
        .google
        .script(Script::new().rule(Rule::new(page(401))));
    let answer = world.gemini(GENERATE, ask("hi")).await;
    assert_eq!(answer.status(), 502);
    let said = body_of(answer).await.to_string();
    assert!(said.contains("is not Google"), "{said}");
    let ways: Value = world.admin("/api/egress").await;
    let why = ways[0]["health"]["error"].as_str().unwrap();
    assert!(why.contains("401"), "{why}");
    world.google.clear_faults();
    assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
}

#[tokio::test]
async fn after_a_limit_the_client_is_told_what_the_pool_knows_and_not_what_google_says() {
    let world = World::start(2, |google| google, &[("PATIENCE", "0")]).await;
    let minute = Exhaustion::PerMinute {
        limit: 5,
        retry: Duration::from_secs(1),
    };
    let once = Rule::new(Fault::Exhausted(minute)).key(KEYS[1]);
    let once = once.action("generateContent").times(1);
    world.google.script(Script::new().rule(once));
    while !world.keys_used().iter().any(|key| key == KEYS[1]) {
        assert_eq!(world.gemini(GENERATE, ask("hi")).await.status(), 200);
    }
    world.clock.advance(Duration::from_secs(2));
    let day = Exhaustion::PerDay {
        limit: 20,
        retry: Duration::from_secs(38),
    };
    struck(&world, KEYS[0], Fault::Exhausted(day));
    struck(&world, KEYS[1], Fault::StallBeforeHeaders);
    let before = world.google.requests().len();
    // While one sees whether the second key may be asked again, another meets the first one's day.
    let meets = async {
        assert!(world.google.wait_for_requests(before + 1).await);
        let refused = world.gemini(GENERATE, ask("hi")).await;
        world.google.release();
        refused
    };
    let (trial, refused) = tokio::join!(world.gemini(GENERATE, ask("hi")), meets);
    assert_eq!(trial.status(), 200);
    assert_eq!(world.keys_used()[before..], [KEYS[1], KEYS[0]]);
    assert_eq!(refused.status(), 429);
    let said = refused.text().await.unwrap();
    assert!(!said.contains("38"), "{said}");
}

#[tokio::test]
async fn the_deadline_is_the_requests_and_not_each_models() {
    let settings = [
        ("DEADLINE", "10"),
        (
            "MODEL_FALLBACKS",
            r#"{"gemini-2.5-flash": "gemini-2.5-pro"}"#,
        ),
    ];
    let google =
        |google: testkit::google::Builder| google.model_quota("project-0", MODEL, Quota::rpd(0));
    let world = World::start(1, google, &settings).await;
    let stalls = Rule::new(Fault::StallBeforeHeaders);
    world.google.script(Script::new().rule(stalls));
    let passes = async {
        assert!(world.google.wait_for_requests(1).await);
        world.clock.advance(Duration::from_secs(8));
        world.google.release();
        assert!(world.google.wait_for_requests(2).await);
        world.clock.advance(Duration::from_secs(3));
    };
    let (answer, ()) = tokio::join!(world.gemini(GENERATE, ask("hi")), passes);
    assert_eq!(answer.status(), 504);
}
