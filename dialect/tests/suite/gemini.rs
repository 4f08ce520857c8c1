//! What a gateway learns of Google's answers without translating them.

use std::time::Duration;

use dialect::gemini::models::{Model, Page};
use dialect::gemini::{ApiStatus, Effort, Peek, Thinking, Usage, needs_signatures};

fn peek(json: &str) -> Peek {
    Peek::of(json.as_bytes()).unwrap()
}

#[test]
fn real_content_is_told_from_silence() {
    let with = |parts: &str| {
        peek(&format!(
            r#"{{"candidates":[{{"content":{{"parts":{parts}}}}}]}}"#
        ))
    };
    for (parts, content, thought_only) in [
        (r#"[{"text":"a"}]"#, true, false),
        (r#"[{"text":""}]"#, false, false),
        (r#"[{"text":null}]"#, false, false),
        (r#"[]"#, false, false),
        (r#"null"#, false, false),
        (r#"[{"text":"a","thought":true}]"#, false, true),
        (r#"[{"text":"","thought":true}]"#, false, false),
        (r#"[{"text":"a","thought":false}]"#, true, false),
        (r#"[{"text":"a","thought":true},{"text":"b"}]"#, true, false),
        (r#"[{"text":"","thoughtSignature":"x"}]"#, false, false),
        (
            r#"[{"functionCall":{"name":"f","args":{"a":[1]}}}]"#,
            true,
            false,
        ),
        (
            r#"[{"functionCall":{"name":"f"},"thought":true}]"#,
            true,
            false,
        ),
        (
            r#"[{"inlineData":{"mimeType":"image/png","data":"AA"}}]"#,
            true,
            false,
        ),
        (r#"[{"fileData":{"fileUri":"x"}}]"#, true, false),
        (r#"[{"executableCode":{"code":"x"}}]"#, true, false),
        (r#"[{"somethingNew":{"a":1}}]"#, true, false),
        (r#"[{"thoughtSignature":"c2ln"}]"#, false, false),
        (r#"[{"text":"","thoughtSignature":"c2ln"}]"#, false, false),
        (
            r#"[{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}]"#,
            true,
            false,
        ),
    ] {
        let seen = with(parts);
        assert_eq!(
            (seen.content, seen.thought_only),
            (content, thought_only),
            "{parts}"
        );
    }
}

#[test]
fn endings_and_counts() {
    let seen = peek(
        r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}],
            "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2,"thoughtsTokenCount":3,
            "cachedContentTokenCount":4,"totalTokenCount":15,"promptTokensDetails":[{"modality":"TEXT"}]},
            "modelVersion":"x","responseId":"y"}"#,
    );
    assert_eq!(seen.finish.unwrap().as_str(), "MALFORMED_FUNCTION_CALL");
    let usage = Usage {
        prompt: 10,
        output: 5,
        thoughts: 3,
        cached: 4,
        total: 15,
        ..Usage::default()
    };
    assert_eq!(seen.usage, Some(usage));

    assert_eq!(
        peek(r#"{"usageMetadata":{"promptTokenCount":7}}"#)
            .usage
            .unwrap()
            .total,
        7
    );
    assert_eq!(peek("{}"), Peek::default());
    let odd = peek(r#"{"candidates":[{"finishReason":"A_NEW_ONE"}]}"#)
        .finish
        .unwrap();
    assert_eq!((odd.as_str(), odd.is_filter()), ("A_NEW_ONE", false));
    assert!(
        peek(r#"{"candidates":[{"finishReason":"SAFETY"}]}"#)
            .finish
            .unwrap()
            .is_filter()
    );
}

#[test]
fn refusals_and_errors_inside_a_stream() {
    let blocked = peek(r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#);
    assert_eq!(blocked.blocked.as_deref(), Some("PROHIBITED_CONTENT"));
    assert!(!blocked.content);
    // Feedback without a reason comes with good answers, too.
    assert_eq!(
        peek(r#"{"promptFeedback":{"safetyRatings":[]}}"#).blocked,
        None
    );

    let error = peek(r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#)
        .error
        .unwrap();
    assert_eq!(
        (error.code, &*error.status, &*error.message),
        (503, "UNAVAILABLE", "overloaded")
    );

    assert!(Peek::of(b"<html>").is_err());
    assert!(Peek::of(br#"{"candidates":[{"#).is_err());
    assert!(Peek::of(b"").is_err());
}

const QUOTA: &str = r#"{"error":{"code":429,"message":"You exceeded your current quota…\nPlease retry in 38.922534355s.","status":"RESOURCE_EXHAUSTED","details":[
 {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
  {"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests","quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaDimensions":{"location":"global","model":"gemini-2.5-flash"},"quotaValue":"20"},
  {"quotaMetric":"m2","quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier"}]},
 {"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"d","url":"u"}]},
 {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38.922534355s"}]}}"#;

#[test]
fn a_quota_error_in_full() {
    let status = ApiStatus::parse(QUOTA.as_bytes()).unwrap();
    assert_eq!((status.code, &*status.status), (429, "RESOURCE_EXHAUSTED"));
    assert_eq!(status.retry_after, Some(Duration::new(38, 922_534_355)));
    assert_eq!(status.help.as_deref(), Some("u"));
    let [day, minute] = &status.violations[..] else {
        panic!("{:?}", status.violations)
    };
    assert_eq!(
        day.quota_id,
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    );
    assert_eq!(
        (day.quota_value, day.model.as_deref()),
        (Some(20), Some("gemini-2.5-flash"))
    );
    assert_eq!((minute.quota_value, minute.model.as_deref()), (None, None));

    // Google wraps errors of `streamGenerateContent` without `alt=sse` in a list.
    let wrapped = format!(" [{QUOTA}\n]");
    assert_eq!(ApiStatus::parse(wrapped.as_bytes()).unwrap(), status);
}

#[test]
fn errors_of_other_kinds() {
    let of = |json: &str| ApiStatus::parse(json.as_bytes());
    let key = of(
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT",
        "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com","metadata":{"service":"generativelanguage.googleapis.com"}},
        {"@type":"type.googleapis.com/google.rpc.LocalizedMessage","locale":"en-US","message":"x"}]}}"#,
    );
    assert_eq!(key.unwrap().reason.as_deref(), Some("API_KEY_INVALID"));

    let words = of(r#"{"error":{"code":"invalid_request","message":"no"}}"#).unwrap();
    assert_eq!((words.code, &*words.status), (0, "invalid_request"));

    let zero =
        of(r#"{"error":{"code":429,"details":[{"violations":[{"quotaId":"q","quotaValue":0}]}]}}"#);
    assert_eq!(zero.unwrap().violations[0].quota_value, Some(0));

    // A limit that only the metadata names, and one that is named better as well.
    const NAMED: &str = r#"{"reason":"RATE_LIMIT_EXCEEDED","metadata":{"quota_limit":"q2",
        "quota_limit_value":"15","quota_metric":"m","consumer":"projects/7"}}"#;
    let named = of(&format!(
        r#"{{"error":{{"code":429,"details":[{NAMED}]}}}}"#
    ))
    .unwrap();
    assert_eq!(named.project.as_deref(), Some("7"));
    let [only] = &named.violations[..] else {
        panic!("{:?}", named.violations)
    };
    assert_eq!(
        (&*only.quota_id, only.quota_value, &*only.quota_metric),
        ("q2", Some(15), "m")
    );
    let better = format!(
        r#"{{"error":{{"code":429,"details":[{NAMED},{{"violations":[{{"quotaId":"q"}}]}}]}}}}"#
    );
    let better = of(&better).unwrap().violations;
    assert_eq!((better.len(), &*better[0].quota_id), (1, "q"));

    for (message, delay) in [
        ("Please retry in 5.2s.", Some(Duration::from_millis(5200))),
        (
            "Please retry in 432.5ms.",
            Some(Duration::from_micros(432_500)),
        ),
        ("Please retry in a while", None),
        ("Please retry in -5s.", None),
    ] {
        let status = of(&format!(
            r#"{{"error":{{"code":429,"message":"{message}"}}}}"#
        ))
        .unwrap();
        assert_eq!(status.retry_after, delay, "{message}");
    }
    // What Google said in RetryInfo counts more than its prose.
    let both = of(r#"{"error":{"message":"retry in 5s.","details":[{"retryDelay":"0s"}]}}"#);
    assert_eq!(both.unwrap().retry_after, Some(Duration::ZERO));

    for other in [
        "",
        "<html>502</html>",
        "{}",
        "[]",
        r#"{"error":"text"}"#,
        "null",
        r#"{"error":{"details":"#,
    ] {
        assert_eq!(of(other), None, "{other}");
    }
}

#[test]
fn thinking_is_set_only_to_what_the_model_takes() {
    let shown = |model: &str, effort: Effort| match Thinking::of(model).for_effort(effort) {
        None => "-".to_owned(),
        Some(config) => match (config.thinking_budget, config.thinking_level) {
            (Some(budget), None) => budget.to_string(),
            (None, Some(level)) => level.into_owned(),
            (None, None) => "auto".to_owned(),
            (Some(_), Some(_)) => panic!("Google refuses both"),
        },
    };
    let efforts = [
        Effort::None,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::Xhigh,
        Effort::Auto,
    ];
    let table: String = [
        "gemini-2.5-pro",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite-preview-06-17",
        "gemini-2.5-flash-image",
        "gemini-2.0-flash",
        "gemini-3-pro-preview",
        "gemini-3.1-pro-preview",
        "gemini-3-flash-preview",
        "gemini-3.5-flash-lite",
        "gemini-3.8-flash",
        "gemini-4-argon",
        "gemini-flash-latest",
        "gemma-3-27b-it",
        "learnlm-2.0",
    ]
    .iter()
    .map(|model| {
        let row: Vec<_> = efforts.iter().map(|effort| shown(model, *effort)).collect();
        format!("{model}: {}\n", row.join(" "))
    })
    .collect();
    insta::assert_snapshot!(table, @r"
    gemini-2.5-pro: 128 1024 1024 8192 24576 32768 auto
    gemini-2.5-flash: 0 1024 1024 8192 24576 24576 auto
    gemini-2.5-flash-lite-preview-06-17: 0 1024 1024 8192 24576 24576 auto
    gemini-2.5-flash-image: - - - - - - -
    gemini-2.0-flash: - - - - - - -
    gemini-3-pro-preview: low low low high high high auto
    gemini-3.1-pro-preview: low low low medium high high auto
    gemini-3-flash-preview: minimal minimal low medium high high auto
    gemini-3.5-flash-lite: minimal minimal low medium high high auto
    gemini-3.8-flash: low low low medium high high auto
    gemini-4-argon: low low low medium high high auto
    gemini-flash-latest: low low low medium high high auto
    gemma-3-27b-it: - - - - - - -
    learnlm-2.0: - - - - - - -
    ");
}

#[test]
fn budgets_are_clamped() {
    let budget = |model: &str, tokens| {
        Thinking::of(model)
            .for_budget(tokens)
            .and_then(|c| c.thinking_budget)
    };
    assert_eq!(budget("gemini-2.5-pro", 0), Some(128));
    assert_eq!(budget("gemini-2.5-pro", 1_000_000), Some(32_768));
    assert_eq!(budget("gemini-2.5-flash", 32_768), Some(24_576));
    assert_eq!(budget("gemini-2.5-flash-lite", 100), Some(512));
    assert_eq!(budget("gemini-2.5-flash-lite", 0), Some(0));
    assert_eq!(budget("gemini-2.5-flash", -1), None);
    let level = |tokens| {
        Thinking::of("gemini-3.8-flash")
            .for_budget(tokens)
            .unwrap()
            .thinking_level
            .unwrap()
    };
    assert_eq!(
        (level(0), level(1024), level(8192), level(31_999)),
        ("low".into(), "low".into(), "medium".into(), "high".into())
    );
}

#[test]
fn signatures_are_needed_from_gemini_3_on() {
    for (model, needed) in [
        ("gemini-2.5-pro", false),
        ("gemini-2.0-flash", false),
        ("gemini-3-pro-preview", true),
        ("gemini-3.8-flash", true),
        ("gemini-flash-latest", true),
        ("gemma-3-27b-it", false),
    ] {
        assert_eq!(needs_signatures(model), needed, "{model}");
    }
}

#[test]
fn models_become_openais_list() {
    let page = Page::parse(
        br#"{"models":[{"name":"models/gemini-2.5-flash","version":"001","displayName":"Gemini 2.5 Flash","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"],"temperature":1},
        {"name":"models/gemini-embedding-001","supportedGenerationMethods":["embedContent"]}],"nextPageToken":"p2"}"#,
    )
    .unwrap();
    assert_eq!(page.next_page_token.as_deref(), Some("p2"));
    assert!(page.models[0].generates() && !page.models[1].generates());
    let list =
        String::from_utf8(dialect::openai::models::list(&page.models, 1_700_000_000)).unwrap();
    assert_eq!(
        list,
        r#"{"object":"list","data":[{"id":"gemini-2.5-flash","object":"model","created":1700000000,"owned_by":"google"},{"id":"gemini-embedding-001","object":"model","created":1700000000,"owned_by":"google"}]}"#
    );
    let model = Model::parse(br#"{"name":"models/x"}"#).unwrap();
    let one = String::from_utf8(dialect::openai::models::one(&model, 0)).unwrap();
    assert_eq!(
        one,
        r#"{"id":"x","object":"model","created":0,"owned_by":"google"}"#
    );
    assert_eq!(Page::parse(b"{}").unwrap(), Page::default());
    assert!(Page::parse(b"[]").is_err() || Page::parse(b"[]").unwrap().models.is_empty());
    assert!(Model::parse(b"{}").is_err());
}
