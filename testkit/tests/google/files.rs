//! The Files API.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use testkit::google::{FakeGoogle, Fault, Refusal, Rule, Script};

use super::{KEY, OTHER, call_as, exchange, google, message, post, post_as, with_sibling};

const CALL: &str = "gemini-2.5-flash:generateContent";

/// Status, headers and body of a command; without a key unless there is one.
async fn command(
    google: &FakeGoogle,
    uri: &str,
    key: Option<&str>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, HeaderMap, Bytes) {
    let mut request = Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(key) = key {
        request = request.header("x-goog-api-key", key);
    }
    let request = request
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let response = google.call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, body)
}

/// Begins an upload of so many bytes and gives its address.
async fn begin(google: &FakeGoogle, version: &str, file: &Value, length: usize) -> String {
    let headers = [
        ("x-goog-upload-protocol", "resumable"),
        ("x-goog-upload-command", "start"),
        ("x-goog-upload-header-content-length", &*length.to_string()),
        ("x-goog-upload-header-content-type", "text/plain"),
        ("x-goog-upload-file-name", "a.txt"),
        ("content-type", "application/json"),
    ];
    let about = json!({ "file": file }).to_string();
    let path = format!("/upload/{version}/files");
    let (status, headers, body) =
        command(google, &path, Some(KEY), &headers, about.as_bytes()).await;
    assert_eq!(status, 200, "{body:?}");
    assert!(body.is_empty());
    assert_eq!(headers["x-goog-upload-status"], "active");
    headers["x-goog-upload-url"].to_str().unwrap().to_owned()
}

/// A further command, without a key.
async fn go_on(
    google: &FakeGoogle,
    url: &str,
    commands: &str,
    offset: &str,
    body: &[u8],
) -> (u16, HeaderMap, Bytes) {
    let headers = [
        ("x-goog-upload-command", commands),
        ("x-goog-upload-offset", offset),
    ];
    command(google, url, None, &headers, body).await
}

/// Uploads a text as the usual key and gives the file.
async fn upload(google: &FakeGoogle, text: &str) -> Value {
    let url = begin(google, "v1beta", &json!({}), text.len()).await;
    let (status, _, body) = go_on(google, &url, "upload, finalize", "0", text.as_bytes()).await;
    assert_eq!(status, 200);
    serde_json::from_slice::<Value>(&body).unwrap()["file"].clone()
}

fn about_file(uri: &str) -> Value {
    json!({ "contents": [{ "role": "user", "parts": [
        { "text": "Read it." },
        { "fileData": { "fileUri": uri, "mimeType": "text/plain" } },
    ] }] })
}

#[tokio::test]
async fn an_upload_is_resumed_where_it_stands() {
    let google = google().upload_granularity(4).start().await;
    let file = json!({ "displayName": "A", "mimeType": "text/plain", "sizeBytes": 10 });
    let url = begin(&google, "v1beta", &file, 10).await;
    assert!(
        url.starts_with(&format!(
            "{}/upload/v1beta/files?upload_id=",
            google.origin()
        )),
        "{url}"
    );
    assert!(url.ends_with("&upload_protocol=resumable"));

    let (status, headers, body) = go_on(&google, &url, "upload", "0", b"0123").await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(headers["x-goog-upload-status"], "active");
    for (commands, offset, chunk, why) in [
        ("upload", "0", "4567", "Invalid X-Goog-Upload-Offset: 4"),
        ("upload", "8", "4567", "Invalid X-Goog-Upload-Offset: 4"),
        ("upload", "", "4567", "Invalid X-Goog-Upload-Offset: 4"),
        ("upload", "4", "456", "granularity"),
        ("upload, finalize", "4", "4567890", "More bytes"),
        ("upload, finalize", "4", "4567", "Fewer bytes"),
        ("start", "0", "", "Invalid upload command"),
    ] {
        let (status, headers, body) =
            go_on(&google, &url, commands, offset, chunk.as_bytes()).await;
        assert_eq!(status, 400, "{why}");
        assert_eq!(headers["x-goog-upload-status"], "active");
        assert!(String::from_utf8_lossy(&body).contains(why), "{body:?}");
        if why == "Fewer bytes" {
            break;
        }
    }
    let (status, headers, _) = go_on(&google, &url, "query", "", b"").await;
    assert_eq!(status, 200);
    assert_eq!(headers["x-goog-upload-size-received"], "8");
    let (status, headers, body) = go_on(&google, &url, "upload, finalize", "8", b"89").await;
    assert_eq!(status, 200);
    assert_eq!(headers["x-goog-upload-status"], "final");
    let made: Value = serde_json::from_slice(&body).unwrap();
    let file = &made["file"];
    assert_eq!(file["displayName"], "A");
    assert_eq!(file["sizeBytes"], "10");
    assert_eq!(file["mimeType"], "text/plain");
    assert_eq!(
        (&file["state"], &file["source"]),
        (&json!("ACTIVE"), &json!("UPLOADED"))
    );
    assert!(file.get("downloadUri").is_none());

    // It has ended, and is the key's that began it.
    let (status, headers, _) = go_on(&google, &url, "upload, finalize", "10", b"").await;
    assert_eq!(
        (status, headers["x-goog-upload-status"].as_bytes()),
        (400, &b"final"[..])
    );
    let resources = google.resources("files/");
    assert_eq!(resources.len(), 1);
    assert_eq!(
        (
            &*resources[0].key,
            &*resources[0].project,
            &resources[0].shown
        ),
        (KEY, "p1", file)
    );
    let log = google.requests();
    assert_eq!(
        (log[0].action, log[0].key.as_deref()),
        (Some("files.create"), Some(KEY))
    );
    let last = log.last().unwrap();
    assert_eq!(
        (last.action, last.key.as_deref()),
        (Some("files.create"), None)
    );
    assert_eq!(last.project.as_deref(), Some("p1"));
}

#[tokio::test]
async fn uploads_are_refused_as_a_whole() {
    let google = google().start().await;
    // Chunks are of 8 MiB unless the test says otherwise.
    let url = begin(&google, "v1", &json!({}), 10).await;
    assert_eq!(
        go_on(&google, &url, "upload", "0", b"01234567").await.0,
        400
    );
    let (status, headers, _) = go_on(&google, &url, "cancel", "", b"").await;
    assert_eq!(
        (status, headers["x-goog-upload-status"].as_bytes()),
        (200, &b"cancelled"[..])
    );
    assert_eq!(
        go_on(&google, &url, "upload, finalize", "0", b"0123456789")
            .await
            .0,
        400
    );
    let elsewhere = url.replace("upload_id=", "upload_id=x");
    assert_eq!(go_on(&google, &elsewhere, "query", "", b"").await.0, 404);

    let start = |body: &'static str, more: &'static [(&str, &str)]| {
        let mut headers = vec![("x-goog-upload-protocol", "resumable")];
        headers.extend_from_slice(more);
        let google = &google;
        async move {
            let (status, _, body) = command(
                google,
                "/upload/v1beta/files",
                Some(KEY),
                &headers,
                body.as_bytes(),
            )
            .await;
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        }
    };
    const START: (&str, &str) = ("x-goog-upload-command", "start");
    let (status, refused) = start(r#"{"file":{"colour":1}}"#, &[START]).await;
    assert_eq!(status, 400);
    assert!(message(&refused).contains("Unknown name \"colour\" at 'file'"));
    let (status, refused) = start("{}", &[("x-goog-upload-command", "upload")]).await;
    assert_eq!(status, 400);
    assert!(message(&refused).contains("Invalid upload command"));
    for name in ["x", "files/", "files/Abc", "files/-a", "files/a_b"] {
        let body: &'static str = Box::leak(json!({ "file": { "name": name } }).to_string().into());
        let (status, refused) = start(body, &[START]).await;
        assert_eq!(status, 400, "{name}");
        assert!(
            message(&refused).contains("lowercase alphanumeric"),
            "{refused}"
        );
    }
    let size = &[START, ("x-goog-upload-header-content-length", "9")];
    assert_eq!(start(r#"{"file":{"sizeBytes":"8"}}"#, size).await.0, 400);
    let (status, _, _) = command(
        &google,
        "/upload/v1beta/files",
        None,
        &[("x-goog-upload-protocol", "resumable"), START],
        b"{}",
    )
    .await;
    assert_eq!(status, 403);
    google.disable_key(KEY, Refusal::Invalid);
    assert_eq!(start("{}", &[START]).await.0, 400);
    assert!(google.resources("").is_empty());
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let google = google().start().await;
    let named = json!({ "name": "files/my-file-1" });
    let first = begin(&google, "v1beta", &named, 1).await;
    let second = begin(&google, "v1beta", &named, 1).await;
    let (status, _, made) = go_on(&google, &first, "upload, finalize", "0", b"x").await;
    assert_eq!(status, 200);
    let made: Value = serde_json::from_slice(&made).unwrap();
    assert_eq!(made["file"]["name"], "files/my-file-1");
    let (status, headers, _) = go_on(&google, &second, "upload, finalize", "0", b"x").await;
    assert_eq!(
        (status, headers["x-goog-upload-status"].as_bytes()),
        (409, &b"final"[..])
    );
}

#[tokio::test]
async fn faults_strike_uploads_too() {
    let google = google().start().await;
    let url = begin(&google, "v1beta", &json!({}), 1).await;
    google.script(
        Script::new().rule(
            Rule::new(Fault::Status(503))
                .action("files.create")
                .times(1),
        ),
    );
    assert_eq!(
        go_on(&google, &url, "upload, finalize", "0", b"x").await.0,
        503
    );
    // Nothing was lost by it.
    assert_eq!(
        go_on(&google, &url, "upload, finalize", "0", b"x").await.0,
        200
    );
}

#[tokio::test]
async fn a_file_is_its_projects_own() {
    let (google, clock) = with_sibling().await;
    let file = upload(&google, "words").await;
    let name = file["name"].as_str().unwrap();
    let path = format!("/v1beta/{name}");
    assert_eq!(
        call_as(&google, "AIza-sibling", "GET", &path, &Value::Null).await,
        (200, file.clone())
    );
    let denied = format!(
        "You do not have permission to access the File {} or it may not exist.",
        &name["files/".len()..]
    );
    for method in ["GET", "DELETE"] {
        let (status, refused) = call_as(&google, OTHER, method, &path, &Value::Null).await;
        assert_eq!((status, message(&refused)), (403, &*denied));
        assert_eq!(refused["error"]["status"], "PERMISSION_DENIED");
    }
    let (_, none) = call_as(&google, OTHER, "GET", "/v1beta/files", &Value::Null).await;
    assert_eq!(none, json!({}));

    // Whoever may not see it may not have it read either, wherever it is named.
    let uri = file["uri"].as_str().unwrap();
    for uri in [uri, name, &uri.replace("v1beta", "v1")] {
        let in_contents = about_file(uri);
        let mut in_system = super::ask("hello");
        in_system["systemInstruction"] = json!({ "parts": in_contents["contents"][0]["parts"] });
        let counted = json!({ "generateContentRequest": {
            "model": "models/gemini-2.5-flash", "contents": in_contents["contents"],
        } });
        for (call, body) in [
            (CALL, &in_contents),
            ("gemini-2.5-flash:streamGenerateContent", &in_contents),
            ("gemini-2.5-flash:countTokens", &in_contents),
            ("gemini-2.5-flash:countTokens", &counted),
            (CALL, &in_system),
        ] {
            assert_eq!(post(&google, call, body).await.0, 200, "{body}");
            let (status, refused) = post_as(&google, OTHER, call, body).await;
            let refused = if refused.is_array() {
                &refused[0]
            } else {
                &refused
            };
            assert_eq!((status, message(refused)), (403, &*denied), "{body}");
        }
    }
    // After two days it is gone for everybody.
    clock.advance(Duration::from_secs(48 * 60 * 60));
    assert_eq!(post(&google, CALL, &about_file(uri)).await.0, 403);
    assert_eq!(
        call_as(&google, KEY, "GET", &path, &Value::Null).await.0,
        403
    );
    assert!(google.resources("files/").is_empty());
}

#[tokio::test]
async fn files_come_in_pages_newest_first() {
    let google = google().start().await;
    let mut names = Vec::new();
    for text in ["a", "b", "c"] {
        names.push(upload(&google, text).await["name"].clone());
    }
    let list = |query: &str| {
        let path = format!("/v1beta/files{query}");
        let google = &google;
        async move { call_as(google, KEY, "GET", &path, &Value::Null).await }
    };
    let (_, first) = list("?pageSize=2").await;
    assert_eq!(first["files"][0]["name"], names[2]);
    let token = first["nextPageToken"].as_str().unwrap();
    let (_, second) = list(&format!("?pageSize=2&pageToken={token}")).await;
    assert_eq!(second["files"][0]["name"], names[0]);
    assert!(second.get("nextPageToken").is_none());
    assert_eq!(list("?pageSize=101").await.0, 400);
    assert_eq!(list("?pageToken=nonsense").await.0, 400);
}

#[tokio::test]
async fn what_a_model_made_is_downloaded() {
    let google = google().start().await;
    let name = google
        .generate_file(KEY, "video/mp4", &b"a film"[..])
        .unwrap();
    let path = format!("/v1beta/{name}:download?alt=media");
    let (_, file) = call_as(
        &google,
        KEY,
        "GET",
        &format!("/v1beta/{name}"),
        &Value::Null,
    )
    .await;
    assert_eq!(file["source"], "GENERATED");
    assert_eq!(
        file["downloadUri"],
        format!("https://generativelanguage.googleapis.com{path}")
    );
    assert_eq!(
        call_as(&google, KEY, "GET", &path, &Value::Null).await,
        (200, json!("a film"))
    );
    assert_eq!(
        call_as(&google, OTHER, "GET", &path, &Value::Null).await.0,
        403
    );
    let bare = path.strip_suffix("?alt=media").unwrap();
    assert_eq!(
        call_as(&google, KEY, "GET", bare, &Value::Null).await,
        (200, json!({}))
    );

    google.redirect_downloads(true);
    let request = Request::get(&path).header("x-goog-api-key", KEY);
    let response = google
        .call(request.body(Full::<Bytes>::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 302);
    let to = format!("{}/download{path}", google.origin());
    assert_eq!(response.headers()["location"], to);
    assert_eq!(
        call_as(&google, KEY, "GET", &to, &Value::Null).await,
        (200, json!("a film"))
    );
    assert_eq!(
        call_as(&google, OTHER, "GET", &to, &Value::Null).await.0,
        403
    );
    let no_key = Request::get(&to).body(Full::default()).unwrap();
    assert_eq!(exchange(&google, no_key).await.0, 403);

    let uploaded = upload(&google, "words").await;
    let path = format!(
        "/v1beta/{}:download?alt=media",
        uploaded["name"].as_str().unwrap()
    );
    let (status, refused) = call_as(&google, KEY, "GET", &path, &Value::Null).await;
    assert_eq!(status, 400);
    assert!(message(&refused).contains("uploaded files can't be downloaded"));
    assert!(
        google
            .generate_file("no such key", "video/mp4", &b""[..])
            .is_none()
    );
}
