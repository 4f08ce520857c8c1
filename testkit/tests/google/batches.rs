//! Batches.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use testkit::google::{FakeGoogle, Work};

use super::{KEY, OTHER, ask, call_as, exchange, google, message, post, post_as, said};

const BATCH: &str = "gemini-2.5-flash:batchGenerateContent";

fn inline(requests: &[Value]) -> Value {
    json!({ "batch": {
        "displayName": "A batch",
        "inputConfig": { "requests": { "requests": requests } },
    } })
}

fn one(text: &str) -> Value {
    inline(&[json!({ "request": ask(text), "metadata": { "key": "1" } })])
}

async fn call(
    google: &FakeGoogle,
    key: &str,
    method: &str,
    name: &Value,
    verb: &str,
) -> (u16, Value) {
    let path = format!("/v1beta/{}{verb}", name.as_str().unwrap());
    let body = if method == "POST" {
        json!({})
    } else {
        Value::Null
    };
    call_as(google, key, method, &path, &body).await
}

/// Uploads a file in one request.
async fn upload(google: &FakeGoogle, key: &str, content: &str) -> String {
    let body = format!(
        "--b\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--b\r\nContent-Type: application/jsonl\r\n\r\n{content}\r\n--b--"
    );
    let request = Request::post("/upload/v1beta/files")
        .header("x-goog-api-key", key)
        .header("x-goog-upload-protocol", "multipart")
        .header("content-type", "multipart/related; boundary=b")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let (status, made) = exchange(google, request).await;
    assert_eq!(status, 200, "{made}");
    made["file"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn inline_requests_are_answered_each_for_itself() {
    let google = google().key("AIza-sibling", "p1").start().await;
    let theirs = google.generate_file(OTHER, "text/plain", "x").unwrap();
    let mut about_file = ask("Read it.");
    about_file["contents"][0]["parts"][0] = json!({ "fileData": { "fileUri": theirs } });
    let batch = inline(&[
        json!({ "request": ask("hello"), "metadata": { "key": "a" } }),
        json!({ "request": about_file, "metadata": { "key": "b" } }),
        json!({ "request": { "contents": [] } }),
    ]);
    let (status, begun) = post(&google, BATCH, &batch).await;
    assert_eq!(status, 200);
    let name = &begun["name"];
    let about = &begun["metadata"];
    assert_eq!(
        (&about["name"], &about["model"]),
        (name, &json!("models/gemini-2.5-flash"))
    );
    assert_eq!(about["state"], "BATCH_STATE_PENDING");
    assert_eq!(about["displayName"], "A batch");
    assert_eq!(
        about["batchStats"],
        json!({ "requestCount": "3", "pendingRequestCount": "3" })
    );
    assert!(begun.get("done").is_none());

    let (_, running) = call(&google, "AIza-sibling", "GET", name, "").await;
    assert_eq!(running["metadata"]["state"], "BATCH_STATE_RUNNING");
    let (_, done) = call(&google, KEY, "GET", name, "").await;
    assert_eq!(
        (&done["done"], &done["metadata"]["state"]),
        (&json!(true), &json!("BATCH_STATE_SUCCEEDED"))
    );
    assert_eq!(
        done["metadata"]["batchStats"],
        json!({ "requestCount": "3", "successfulRequestCount": "1", "failedRequestCount": "2" })
    );
    let lines = &done["response"]["inlinedResponses"]["inlinedResponses"];
    assert_eq!(
        &done["metadata"]["output"]["inlinedResponses"]["inlinedResponses"],
        lines
    );
    assert_eq!(lines[0]["metadata"], json!({ "key": "a" }));
    assert!(said(&[lines[0]["response"].clone()]).contains("hello"));
    assert_eq!(lines[1]["error"]["code"], 7);
    assert_eq!(lines[1]["metadata"], json!({ "key": "b" }));
    assert_eq!(lines[2]["error"]["code"], 3);
    assert_eq!(call(&google, KEY, "GET", name, "").await.1, done);
}

#[tokio::test]
async fn a_file_of_requests_becomes_a_file_of_answers() {
    let google = google().start().await;
    google.set_work(Work {
        looks: 0,
        ..Work::default()
    });
    let lines = [
        json!({ "key": "r1", "request": ask("first") }),
        json!({ "key": "r2", "request": { "colour": 1 } }),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let file = upload(&google, KEY, &lines).await;
    let batch = json!({ "batch": { "input_config": { "file_name": file } } });
    let (status, refused) = post_as(&google, OTHER, BATCH, &batch).await;
    assert_eq!(status, 403);
    assert!(message(&refused).starts_with("You do not have permission to access the File"));
    let (_, begun) = post(&google, BATCH, &batch).await;
    assert_eq!(
        begun["metadata"]["inputConfig"],
        json!({ "fileName": file })
    );
    let (_, done) = call(&google, KEY, "GET", &begun["name"], "").await;
    let results = done["response"]["responsesFile"].as_str().unwrap();
    let id = begun["name"]
        .as_str()
        .unwrap()
        .trim_start_matches("batches/");
    assert_eq!(results, format!("files/batch-{id}"));
    assert_eq!(done["metadata"]["output"]["responsesFile"], results);
    let path = format!("/download/v1beta/{results}:download?alt=media");
    let (status, read) = call_as(&google, KEY, "GET", &path, &Value::Null).await;
    assert_eq!(status, 200);
    let read: Vec<Value> = read
        .as_str()
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(read[0]["key"], "r1");
    assert!(said(&[read[0]["response"].clone()]).contains("first"));
    assert_eq!(
        (&read[1]["key"], &read[1]["error"]["code"]),
        (&json!("r2"), &json!(3))
    );
    assert_eq!(
        call_as(&google, OTHER, "GET", &path, &Value::Null).await.0,
        403
    );
}

#[tokio::test]
async fn embeddings_come_in_batches_too() {
    let google = google().start().await;
    google.set_work(Work {
        looks: 0,
        ..Work::default()
    });
    let request = json!({ "content": { "parts": [{ "text": "a" }] }, "outputDimensionality": 4 });
    let batch = inline(&[json!({ "request": request })]);
    let (status, begun) = post(
        &google,
        "gemini-embedding-001:asyncBatchEmbedContent",
        &batch,
    )
    .await;
    assert_eq!(status, 200, "{begun}");
    let (_, done) = call(&google, KEY, "GET", &begun["name"], "").await;
    let lines = &done["response"]["inlinedResponses"]["inlinedResponses"];
    assert_eq!(
        lines[0]["response"]["embedding"]["values"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let wrong = "gemini-2.5-flash:asyncBatchEmbedContent";
    assert_eq!(post(&google, wrong, &batch).await.0, 404);
    assert_eq!(
        post(&google, "gemini-embedding-001:batchGenerateContent", &batch)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_batch_is_its_projects_own() {
    let google = google().start().await;
    let (_, first) = post(&google, BATCH, &one("a")).await;
    let (_, second) = post(&google, BATCH, &one("b")).await;
    let name = &first["name"];
    for (method, verb) in [("GET", ""), ("POST", ":cancel"), ("DELETE", "")] {
        let (status, gone) = call(&google, OTHER, method, name, verb).await;
        assert_eq!(
            (status, message(&gone)),
            (404, "Requested entity was not found.")
        );
    }
    let list = |key: &'static str| {
        call_as(
            &google,
            key,
            "GET",
            "/v1beta/batches?pageSize=1",
            &Value::Null,
        )
    };
    assert_eq!(list(OTHER).await.1, json!({}));
    let (_, page) = list(KEY).await;
    assert_eq!(page["operations"][0]["name"], second["name"]);
    assert!(page["nextPageToken"].is_string());

    assert_eq!(
        call(&google, KEY, "POST", name, ":cancel").await,
        (200, json!({}))
    );
    let (_, cancelled) = call(&google, KEY, "GET", name, "").await;
    assert_eq!(cancelled["metadata"]["state"], "BATCH_STATE_CANCELLED");
    assert_eq!(cancelled["error"]["code"], 1);
    assert_eq!(google.resources("batches/").len(), 2);
    assert_eq!(
        call(&google, KEY, "DELETE", name, "").await,
        (200, json!({}))
    );
    assert_eq!(call(&google, KEY, "GET", name, "").await.0, 404);
}

#[tokio::test]
async fn batches_of_nothing_are_refused() {
    let google = google().start().await;
    let file = upload(&google, KEY, "no JSON").await;
    let both = json!({ "batch": { "inputConfig": {
        "fileName": file, "requests": { "requests": [] },
    } } });
    for (body, why) in [
        (json!({}), "no requests"),
        (inline(&[]), "no requests"),
        (both, "oneof"),
        (
            json!({ "batch": { "inputConfig": { "fileName": file } } }),
            "Line 1 of",
        ),
        (
            json!({ "batch": { "colour": 1 } }),
            "Unknown name \"colour\" at 'batch'",
        ),
    ] {
        let (status, refused) = post(&google, BATCH, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(message(&refused).contains(why), "{refused}");
    }
}
