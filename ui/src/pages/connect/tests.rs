use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::admin::TestAnswer;
use contract::{ApiError, ErrorCode};
use yew::Callback;

use super::cherry::cherry_link;
use super::snippets::snippets;
use super::test_request::{TestView, TestViewProps};
use super::*;
use crate::load::LoadResult;
use crate::testing::render;

fn info(surfaces: &[(Surface, &str)]) -> ConnectInfo {
    ConnectInfo {
        endpoints: surfaces
            .iter()
            .map(|(surface, url)| Endpoint {
                surface: *surface,
                base_url: (*url).into(),
            })
            .collect(),
        example_model: "gemini-2.5-flash".into(),
    }
}

/// What Cherry Studio's current handler does with the raw query before it decodes:
/// `+` and `/` to `_` and `-`, percent-decoding, and the characters back.
fn cherry_decodes(link: &str) -> serde_json::Value {
    let data = link.split("data=").nth(1).unwrap();
    let data = data.replace('+', "_").replace('/', "-");
    let data = data
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=");
    let data = data.replace('_', "+").replace('-', "/");
    serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap()
}

#[test]
fn a_chinese_name_survives_the_way_into_cherry_studio() {
    // This name brings `+` and `/` into base64, on which base64url breaks there.
    let name = "本地 Gemini 均衡器～？";
    let link = cherry_link(name, "http://127.0.0.1:8000/v1", "gb-tok>en?~");
    assert!(link.starts_with("cherrystudio://providers/api-keys?v=1&data="));
    let data = link.split("data=").nth(1).unwrap();
    assert!(
        data.contains("%2B") || data.contains("%2F"),
        "no proof without them: {data}"
    );
    assert!(!data.contains(['+', '/', '=', '_', '-']), "{data}");
    let payload = cherry_decodes(&link);
    assert_eq!(payload["name"], name);
    assert_eq!(payload["apiKey"], "gb-tok>en?~");
    assert_eq!(payload["baseUrl"], "http://127.0.0.1:8000/v1");
    assert_eq!(payload["type"], "openai");
}

#[test]
fn two_instances_do_not_overwrite_one_another_in_cherry_studio() {
    let local = cherry_decodes(&cherry_link("x", "http://127.0.0.1:8000/v1", "t"));
    let remote = cherry_decodes(&cherry_link("x", "https://gb.example.com/v1", "t"));
    assert_eq!(local["id"], "gemini-balance-127-0-0-1-8000");
    assert_eq!(remote["id"], "gemini-balance-gb-example-com");
}

#[test]
fn quotes_and_brackets_are_kept_out_of_the_name() {
    let payload = cherry_decodes(&cherry_link("Bob's (local)", "http://h/v1", "t"));
    assert_eq!(payload["name"], "Bobs local");
}

#[test]
fn only_protocols_that_the_instance_speaks_have_examples() {
    let openai = info(&[(Surface::Openai, "http://h:1/v1")]);
    let ids: Vec<_> = snippets(&openai, "T").iter().map(|s| s.id).collect();
    assert_eq!(ids, ["openai-python", "curl"]);
    let both = info(&[
        (Surface::Openai, "http://h:1/v1"),
        (Surface::Gemini, "http://h:1/v1beta"),
    ]);
    let all = snippets(&both, "T");
    let genai = all.iter().find(|s| s.id == "google-genai").unwrap();
    assert!(
        genai.code.contains("base_url=\"http://h:1\""),
        "{}",
        genai.code
    );
    assert!(all.iter().all(|s| s.code.contains('T')));
}

fn test_view(answer: Option<Result<TestAnswer, ApiError>>) -> TestViewProps {
    TestViewProps {
        info: info(&[(Surface::Openai, "http://h:1/v1")]),
        models: LoadResult::default(),
        surface: Surface::Openai,
        model: "gemini-2.5-flash".into(),
        busy: false,
        answer,
        onsurface: Callback::noop(),
        onmodel: Callback::noop(),
        send: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_test_shows_answer_time_and_key() {
    let answer = TestAnswer {
        status: 200,
        text: "Hello <you>".into(),
        latency_ms: 1_812,
        key: Some("AQ.A…x3Fq".into()),
    };
    let html = render::<TestView>(test_view(Some(Ok(answer)))).await;
    assert!(html.contains("It works"), "{html}");
    assert!(html.contains("1,812 ms") && html.contains("AQ.A…x3Fq"));
    assert!(!html.contains("<you>"), "the answer is escaped");
    assert!(
        html.contains("gemini-2.5-flash"),
        "the example can be chosen without a list"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_test_without_keys_leads_to_the_keys() {
    let error = ApiError::new(ErrorCode::NoKeyAvailable, "The pool is empty.");
    let html = render::<TestView>(test_view(Some(Err(error)))).await;
    assert!(html.contains("No key can answer at the moment"));
    assert!(html.contains("The pool is empty."));
}
