//! File search stores.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use testkit::google::FakeGoogle;

use super::{KEY, OTHER, ask, call_as, google, message, post, post_as};

async fn call(
    google: &FakeGoogle,
    key: &str,
    method: &str,
    name: &str,
    body: &Value,
) -> (u16, Value) {
    call_as(google, key, method, &format!("/v1beta/{name}"), body).await
}

async fn get(google: &FakeGoogle, key: &str, name: &Value) -> (u16, Value) {
    call(google, key, "GET", name.as_str().unwrap(), &Value::Null).await
}

/// A new store of the usual key.
async fn store(google: &FakeGoogle) -> String {
    let body = json!({ "displayName": "My store!" });
    let (status, made) = call(google, KEY, "POST", "fileSearchStores", &body).await;
    assert_eq!(status, 200, "{made}");
    made["name"].as_str().unwrap().to_owned()
}

/// Uploads to a store in two commands; the operation.
async fn upload(google: &FakeGoogle, key: &str, store: &str, about: &Value) -> (u16, Value) {
    let send = |uri: String, headers: &[(&str, &str)], body: String| {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        google.call(request.body(Full::new(Bytes::from(body))).unwrap())
    };
    let start = [
        ("x-goog-api-key", key),
        ("x-goog-upload-protocol", "resumable"),
        ("x-goog-upload-command", "start"),
        ("x-goog-upload-header-content-type", "text/plain"),
    ];
    let path = format!("/upload/v1beta/{store}:uploadToFileSearchStore");
    let mut response = send(path, &start, about.to_string()).await.unwrap();
    if response.status() == 200 {
        let url = response.headers()["x-goog-upload-url"].to_str().unwrap();
        let go_on = [
            ("x-goog-upload-command", "upload, finalize"),
            ("x-goog-upload-offset", "0"),
        ];
        response = send(url.to_owned(), &go_on, "words".to_owned())
            .await
            .unwrap();
    }
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn documents_come_into_a_store() {
    let google = google().start().await;
    let store = store(&google).await;
    assert!(store.starts_with("fileSearchStores/my-store-"), "{store}");
    let (status, begun) = upload(&google, KEY, &store, &json!({ "displayName": "A" })).await;
    assert_eq!(status, 200);
    let name = begun["name"].as_str().unwrap();
    assert!(
        name.starts_with(&format!("{store}/upload/operations/")),
        "{name}"
    );
    assert_eq!(
        get(&google, KEY, &begun["name"]).await,
        (200, begun.clone())
    );
    let (_, pending) = get(&google, KEY, &json!(store)).await;
    assert_eq!(pending["pendingDocumentsCount"], "1");
    let (_, done) = get(&google, KEY, &begun["name"]).await;
    assert_eq!(done["done"], true);
    assert_eq!(done["response"]["parent"], store);
    let document = &done["response"]["documentName"];
    let (_, shown) = get(&google, KEY, document).await;
    assert_eq!(
        (&shown["displayName"], &shown["state"]),
        (&json!("A"), &json!("STATE_ACTIVE"))
    );
    assert_eq!(
        (&shown["sizeBytes"], &shown["mimeType"]),
        (&json!("5"), &json!("text/plain"))
    );

    let file = google
        .generate_file(KEY, "text/plain", "more words")
        .unwrap();
    let import = format!("{store}:importFile");
    let (_, begun) = call(&google, KEY, "POST", &import, &json!({ "fileName": file })).await;
    let name = begun["name"].as_str().unwrap();
    assert!(name.starts_with(&format!("{store}/operations/")), "{name}");
    let theirs = google.generate_file(OTHER, "text/plain", "x").unwrap();
    let (status, refused) = call(
        &google,
        KEY,
        "POST",
        &import,
        &json!({ "fileName": theirs }),
    )
    .await;
    assert_eq!(status, 403);
    assert!(message(&refused).contains("access the File"));

    let (_, list) = call(
        &google,
        KEY,
        "GET",
        &format!("{store}/documents?pageSize=1"),
        &Value::Null,
    )
    .await;
    assert_eq!(list["documents"].as_array().unwrap().len(), 1);
    assert!(list["nextPageToken"].is_string());
    let (status, refused) = call(&google, KEY, "DELETE", &store, &Value::Null).await;
    assert_eq!(
        (status, &refused["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
    let (status, _) = call(
        &google,
        KEY,
        "DELETE",
        &format!("{store}?force=True"),
        &Value::Null,
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(get(&google, KEY, document).await.0, 403);
    let left = google.resources("fileSearchStores/");
    assert!(
        left.iter()
            .all(|resource| resource.name.contains("/operations/")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_store_is_its_projects_own() {
    let google = google().start().await;
    let store = store(&google).await;
    let (_, begun) = upload(&google, KEY, &store, &json!({})).await;
    get(&google, KEY, &begun["name"]).await;
    let (_, done) = get(&google, KEY, &begun["name"]).await;
    let document = done["response"]["documentName"]
        .as_str()
        .unwrap()
        .to_owned();
    for (method, name) in [
        ("GET", store.clone()),
        ("DELETE", store.clone()),
        ("GET", begun["name"].as_str().unwrap().to_owned()),
        ("GET", format!("{store}/documents")),
        ("GET", document.clone()),
        ("DELETE", document),
        ("POST", format!("{store}:importFile")),
    ] {
        let (status, refused) = call(&google, OTHER, method, &name, &Value::Null).await;
        assert_eq!(status, 403, "{method} {name}");
        assert!(message(&refused).contains("permission to access the FileSearchStore"));
    }
    assert_eq!(upload(&google, OTHER, &store, &json!({})).await.0, 403);
    assert_eq!(
        call(&google, OTHER, "GET", "fileSearchStores", &Value::Null)
            .await
            .1,
        json!({})
    );
    let (_, mine) = call(&google, KEY, "GET", "fileSearchStores", &Value::Null).await;
    assert_eq!(mine["fileSearchStores"][0]["name"], store);

    // Nor is it searched for another project.
    let mut asked = ask("hello");
    asked["tools"] = json!([{ "fileSearch": { "fileSearchStoreNames": [store] } }]);
    let generate = "gemini-2.5-flash:generateContent";
    assert_eq!(post(&google, generate, &asked).await.0, 200);
    assert_eq!(post_as(&google, OTHER, generate, &asked).await.0, 403);
    let asked = json!({ "model": "gemini-3.8-flash", "input": "hello", "tools": [
        { "type": "file_search", "file_search_store_names": [store] },
    ] });
    assert_eq!(
        call(&google, KEY, "POST", "interactions", &asked).await.0,
        200
    );
    assert_eq!(
        call(&google, OTHER, "POST", "interactions", &asked).await.0,
        403
    );
}
