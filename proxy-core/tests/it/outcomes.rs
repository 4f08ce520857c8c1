//! The table of outcomes through the real server: what each failure costs keys, requests and
//! clients, in every protocol, whole and streamed.

use std::time::Duration;

use contract::admin::{CooldownReason, KeyState};
use serde_json::{Value, json};
use testkit::google::{Empty, Exhaustion, Fault, Refusal, Rule, Script};

use crate::world::{KEYS, TOKEN, World};

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

/// Each failure, the status that the client gets, how often Google is asked, and what becomes of
/// the keys.
fn table() -> Vec<(Fault, u16, usize, Keys)> {
    use CooldownReason as C;
    let retry = Duration::from_millis(12_345);
    vec![
        (Fault::Status(400), 400, 1, Keys::Untouched),
        (Fault::Status(404), 404, 1, Keys::Untouched),
        (Fault::Status(413), 413, 1, Keys::Untouched),
        (Fault::Status(403), 403, 2, Keys::Untouched),
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
        // Less than this one request has: no other key would take it.
        (
            Fault::Exhausted(Exhaustion::TokensPerMinute { limit: 1, retry }),
            429,
            1,
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
