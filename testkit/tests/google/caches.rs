//! Cached contents.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::google::FakeGoogle;

use super::{KEY, OTHER, ask, call_as, google, message, parts, post, post_as, said, with_sibling};

const MODEL: &str = "models/gemini-2.5-flash";
const CALL: &str = "gemini-2.5-flash:generateContent";
const NOT_FOUND: &str = "CachedContent not found (or permission denied)";

/// Contents of so many tokens by the fake's rule.
fn contents(tokens: usize) -> Value {
    json!([{ "role": "user", "parts": [{ "text": "word".repeat(tokens) }] }])
}

async fn create(google: &FakeGoogle, body: &Value) -> (u16, Value) {
    call_as(google, KEY, "POST", "/v1beta/cachedContents", body).await
}

/// A cache of 2000 tokens, as the usual key's.
async fn cache(google: &FakeGoogle, more: &Value) -> Value {
    let mut body = json!({ "model": MODEL, "contents": contents(2000) });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (status, cache) = create(google, &body).await;
    assert_eq!(status, 200, "{cache}");
    cache
}

fn with(name: &Value, more: &Value) -> Value {
    let mut body = ask("What is it about?");
    body["cachedContent"] = name.clone();
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn what_is_cached_comes_before_what_is_asked() {
    let google = google().start().await;
    let tools = json!({
        "tools": [{ "functionDeclarations": [{ "name": "read_file" }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY" } },
        "displayName": "A book",
    });
    let made = cache(&google, &tools).await;
    assert_eq!(made["model"], MODEL);
    assert_eq!(made["displayName"], "A book");
    assert!(made.get("contents").is_none() && made.get("tools").is_none());
    let tokens = made["usageMetadata"]["totalTokenCount"].as_u64().unwrap();
    assert!(tokens > 2000, "{tokens}");

    let (status, answer) = post(&google, CALL, &with(&made["name"], &json!({}))).await;
    assert_eq!(status, 200);
    let usage = &answer["usageMetadata"];
    assert_eq!(usage["cachedContentTokenCount"], tokens);
    assert_eq!(usage["cacheTokensDetails"][0]["tokenCount"], tokens);
    assert_eq!(usage["promptTokenCount"], tokens + 5);
    assert_eq!(parts(&[answer])[0]["functionCall"]["name"], "read_file");

    let counted = json!({ "generateContentRequest": {
        "model": MODEL, "cachedContent": made["name"], "contents": ask("word")["contents"],
    } });
    let (_, counted) = post(&google, "gemini-2.5-flash:countTokens", &counted).await;
    assert_eq!(counted["totalTokens"], tokens + 1);
    assert_eq!(counted["cachedContentTokenCount"], tokens);

    for more in [
        json!({ "systemInstruction": { "parts": [{ "text": "Be brief." }] } }),
        json!({ "tools": tools["tools"] }),
        json!({ "toolConfig": tools["toolConfig"] }),
    ] {
        let (status, refused) = post(&google, CALL, &with(&made["name"], &more)).await;
        assert_eq!(status, 400);
        assert_eq!(
            message(&refused),
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or \
             tool_config.\n\nProposed fix: move those values to CachedContent from GenerateContent request."
        );
    }
    let other = "gemini-3.8-flash:streamGenerateContent?alt=sse";
    let (status, refused) = post(&google, other, &with(&made["name"], &json!({}))).await;
    assert_eq!(status, 400);
    assert_eq!(
        message(&refused),
        "Model used by GenerateContent request (models/gemini-3.8-flash) and CachedContent \
         (models/gemini-2.5-flash) has to be the same."
    );
    let empty = json!({ "cachedContent": made["name"] });
    assert_eq!(post(&google, CALL, &empty).await.0, 400);
}

#[tokio::test]
async fn a_cache_is_its_projects_own_and_ends() {
    let (google, clock) = with_sibling().await;
    let made = cache(&google, &json!({})).await;
    let path = format!("/v1beta/{}", made["name"].as_str().unwrap());
    let get = |key: &'static str| call_as(&google, key, "GET", &path, &Value::Null);
    assert_eq!(get("AIza-sibling").await, (200, made.clone()));
    let asked = with(&made["name"], &json!({}));
    let (status, answer) = post_as(&google, "AIza-sibling", CALL, &asked).await;
    assert_eq!(status, 200);
    assert!(!said(&[answer]).is_empty());

    let (status, refused) = get(OTHER).await;
    assert_eq!((status, message(&refused)), (403, NOT_FOUND));
    let ttl = json!({ "ttl": "7200s" });
    for (method, body) in [("PATCH", &ttl), ("DELETE", &Value::Null)] {
        let (status, refused) = call_as(&google, OTHER, method, &path, body).await;
        assert_eq!((status, message(&refused)), (403, NOT_FOUND));
    }
    let (status, refused) = post_as(&google, OTHER, CALL, &asked).await;
    assert_eq!((status, message(&refused)), (403, NOT_FOUND));
    let (_, none) = call_as(
        &google,
        OTHER,
        "GET",
        "/v1beta/cachedContents",
        &Value::Null,
    )
    .await;
    assert_eq!(none, json!({}));
    assert_eq!(google.resources("cachedContents/")[0].key, KEY);

    // It lasts an hour, unless somebody prolongs it.
    clock.advance(Duration::from_secs(3599));
    let (status, longer) = call_as(&google, KEY, "PATCH", &path, &ttl).await;
    assert_eq!(status, 200);
    assert_ne!(longer["expireTime"], made["expireTime"]);
    clock.advance(Duration::from_secs(7199));
    assert_eq!(get(KEY).await, (200, longer));
    clock.advance(Duration::from_secs(1));
    assert_eq!(get(KEY).await.0, 403);
    assert_eq!(post(&google, CALL, &asked).await.0, 403);
    assert!(google.resources("").is_empty());
}

#[tokio::test]
async fn only_the_end_of_a_cache_is_changed() {
    let clock = VirtualClock::at(1_790_000_000_000);
    let google = google().clock(&clock).start().await;
    let made = cache(&google, &json!({ "ttl": "60s" })).await;
    assert_eq!(made["expireTime"], "2026-09-21T14:14:20Z");
    let path = format!("/v1beta/{}", made["name"].as_str().unwrap());
    let at = json!({ "expireTime": "2026-09-22T00:00:00Z" });
    let (status, moved) = call_as(
        &google,
        KEY,
        "PATCH",
        &format!("{path}?updateMask=expireTime"),
        &at,
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(moved["expireTime"], at["expireTime"]);
    for (query, body, why) in [
        (
            "?updateMask=displayName",
            json!({ "ttl": "60s" }),
            "only expiration is updatable",
        ),
        (
            "",
            json!({ "displayName": "x" }),
            "only expiration is updatable",
        ),
        ("", json!({}), "expiration"),
        ("", json!({ "ttl": "an hour" }), "google.protobuf.Duration"),
        (
            "",
            json!({ "expireTime": "soon" }),
            "google.protobuf.Timestamp",
        ),
        (
            "",
            json!({ "ttl": "1s", "expireTime": "2026-09-22T00:00:00Z" }),
            "oneof",
        ),
        ("", json!({ "ttl": "-5s" }), "in the future"),
        ("", json!({ "life": "1s" }), "Unknown name \"life\""),
    ] {
        let path = format!("{path}{query}");
        let (status, refused) = call_as(&google, KEY, "PATCH", &path, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(message(&refused).contains(why), "{refused}");
    }
    let (status, none) = call_as(&google, KEY, "DELETE", &path, &Value::Null).await;
    assert_eq!((status, none), (200, json!({})));
    assert_eq!(
        call_as(&google, KEY, "DELETE", &path, &Value::Null).await.0,
        403
    );
}

#[tokio::test]
async fn what_cannot_be_cached_is_refused() {
    let google = google().start().await;
    let of = |model: &str, tokens: usize| json!({ "model": model, "contents": contents(tokens) });
    let (status, refused) = create(&google, &of(MODEL, 1023)).await;
    assert_eq!(status, 400);
    assert_eq!(
        message(&refused),
        "Cached content is too small. total_token_count=1023, min_total_token_count=1024"
    );
    assert_eq!(create(&google, &of(MODEL, 1024)).await.0, 200);
    assert_eq!(
        create(&google, &of("models/gemini-2.5-pro", 4095)).await.0,
        400
    );
    let (_, refused) = create(&google, &json!({ "model": MODEL })).await;
    assert!(message(&refused).contains("total_token_count=0"));
    let (status, refused) = create(&google, &of("models/gemini-embedding-001", 2000)).await;
    assert_eq!(status, 404);
    assert!(message(&refused).contains("is not supported for createCachedContent"));
    assert_eq!(
        create(&google, &json!({ "contents": contents(2000) }))
            .await
            .0,
        400
    );

    // Files in it are another project's, or count.
    let file = google
        .generate_file(OTHER, "text/plain", "word".repeat(3000))
        .unwrap();
    let about = |name: &str| {
        let part = json!({ "fileData": { "fileUri": name, "mimeType": "text/plain" } });
        json!({ "model": MODEL, "contents": [{ "role": "user", "parts": [part] }] })
    };
    let (status, refused) = create(&google, &about(&file)).await;
    assert_eq!(status, 403);
    assert!(message(&refused).starts_with("You do not have permission to access the File"));
    let file = google
        .generate_file(KEY, "text/plain", "word".repeat(3000))
        .unwrap();
    assert_eq!(create(&google, &about(&file)).await.0, 200);
}

#[tokio::test]
async fn a_free_project_stores_nothing() {
    let google = google().start().await;
    google.set_cached_storage("p1", Some(0));
    let body = json!({ "model": MODEL, "contents": contents(2316) });
    let (status, refused) = create(&google, &body).await;
    assert_eq!(status, 429);
    assert_eq!(refused["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(
        message(&refused),
        "TotalCachedContentStorageTokensPerModelFreeTier limit exceeded for model gemini-2.5-flash: limit=0, \
         requested=2316"
    );
    google.set_cached_storage("p1", Some(2400));
    assert_eq!(create(&google, &body).await.0, 200);
    assert_eq!(create(&google, &body).await.0, 429);
    google.set_cached_storage("p1", None);
    assert_eq!(create(&google, &body).await.0, 200);
}

#[tokio::test]
async fn caches_come_in_pages() {
    let google = google().start().await;
    let first = cache(&google, &json!({})).await;
    let second = cache(&google, &json!({})).await;
    let list = |query: &str| {
        let path = format!("/v1beta/cachedContents{query}");
        let google = &google;
        async move { call_as(google, KEY, "GET", &path, &Value::Null).await }
    };
    let (_, page) = list("?pageSize=1").await;
    assert_eq!(page["cachedContents"], json!([second]));
    let token = page["nextPageToken"].as_str().unwrap();
    let (_, page) = list(&format!("?pageSize=1&pageToken={token}")).await;
    assert_eq!(page, json!({ "cachedContents": [first] }));
    assert_eq!(list("?pageSize=5000").await.0, 200);
}
