// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{ModelName, TestAnswer};
use contract::{ApiError, ErrorCode};
use yew::Callback;

use super::names::{NamesView, NamesViewProps};
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
        names: Vec::new(),
    }
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
        model: Some("gemini-3.8-flash".into()),
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

#[tokio::test(flavor = "current_thread")]
async fn names_are_shown_and_the_one_that_answered_is_named() {
    let row = |name: &str, model: &str| ModelName {
        name: name.into(),
        model: model.into(),
    };
    let view = |names, answer| NamesViewProps {
        names,
        name: "gpt-4o".into(),
        busy: false,
        answer,
        edit: "#/settings".into(),
        oninput: Callback::noop(),
        send: Callback::noop(),
    };
    let answer = TestAnswer {
        status: 200,
        text: "Hello".into(),
        latency_ms: 12,
        key: None,
        model: Some("gemini-2.5-flash".into()),
    };
    let names = vec![row("gpt-*", "gemini-2.5-flash-high")];
    let html = render::<NamesView>(view(names, Some(Ok(answer)))).await;
    assert!(html.contains("gpt-*") && html.contains("gemini-2.5-flash-high"));
    assert!(
        html.contains("class=\"gb-mono\">gemini-2.5-flash</span>"),
        "{html}"
    );
    let html = render::<NamesView>(view(Vec::new(), None)).await;
    assert!(html.contains("names-none"), "{html}");
}
