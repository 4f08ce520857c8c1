//! Films and pictures that are predicted.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::google::{FakeGoogle, PICTURE, Quota, Work};

use super::{KEY, OTHER, call_as, google, message, post, post_as, with_sibling};

const FILM: &str = "veo-3.1-generate-preview:predictLongRunning";

fn prompt(text: &str) -> Value {
    json!({ "instances": [{ "prompt": text }] })
}

async fn look(google: &FakeGoogle, key: &str, name: &Value) -> (u16, Value) {
    let path = format!("/v1beta/{}", name.as_str().unwrap());
    call_as(google, key, "GET", &path, &Value::Null).await
}

#[tokio::test]
async fn a_film_takes_its_time_and_is_then_downloaded() {
    let (google, clock) = with_sibling().await;
    google.set_work(Work {
        looks: 1,
        time: Duration::from_secs(60),
    });
    let (status, begun) = post(&google, FILM, &prompt("A cat")).await;
    assert_eq!(status, 200);
    let name = &begun["name"];
    assert!(
        name.as_str()
            .unwrap()
            .starts_with("models/veo-3.1-generate-preview/operations/")
    );
    assert_eq!(begun, json!({ "name": name }));
    assert_eq!(look(&google, KEY, name).await, (200, begun.clone()));
    // It was looked at often enough, but the time is not over.
    assert_eq!(look(&google, KEY, name).await, (200, begun.clone()));
    clock.advance(Duration::from_secs(60));
    let (_, done) = look(&google, "AIza-sibling", name).await;
    assert_eq!(done["done"], true);
    let uri = done["response"]["generateVideoResponse"]["generatedSamples"][0]["video"]["uri"]
        .as_str()
        .unwrap();
    let path = uri
        .strip_prefix("https://generativelanguage.googleapis.com")
        .unwrap();
    assert!(path.ends_with(":download?alt=media"), "{path}");
    let (status, film) = call_as(&google, KEY, "GET", path, &Value::Null).await;
    assert_eq!(status, 200);
    assert!(film.as_str().unwrap().contains("A cat"));
    assert_eq!(
        call_as(&google, OTHER, "GET", path, &Value::Null).await.0,
        403
    );
    // Looking again makes no further film.
    assert_eq!(look(&google, KEY, name).await, (200, done.clone()));
    assert_eq!(google.resources("files/").len(), 1);
    assert_eq!(google.resources("files/")[0].key, KEY);

    let longer = json!({ "instances": [{ "prompt": "More", "video": { "uri": uri } }] });
    assert_eq!(post(&google, FILM, &longer).await.0, 200);
    assert_eq!(post_as(&google, OTHER, FILM, &longer).await.0, 403);
}

#[tokio::test]
async fn an_operation_is_its_projects_own() {
    let google = google().start().await;
    let (_, begun) = post(&google, FILM, &prompt("A cat")).await;
    let (status, gone) = look(&google, OTHER, &begun["name"]).await;
    assert_eq!(
        (status, &gone["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    assert_eq!(message(&gone), "Requested entity was not found.");
    let list = |key: &'static str| {
        let path = "/v1beta/models/veo-3.1-generate-preview/operations";
        call_as(&google, key, "GET", path, &Value::Null)
    };
    assert_eq!(list(KEY).await.1["operations"], json!([begun]));
    assert_eq!(list(OTHER).await.1, json!({}));
    let kept = google.resources("models/");
    assert_eq!((kept.len(), &*kept[0].project), (1, "p1"));
    assert_eq!(
        google.requests()[0].model.as_deref(),
        Some("veo-3.1-generate-preview")
    );
}

#[tokio::test]
async fn predictions_are_refused_and_counted() {
    let google = google().start().await;
    let many = json!({ "instances": [{ "prompt": "a" }, { "prompt": "b" }] });
    let five = json!({ "instances": [{ "prompt": "a" }], "parameters": { "sampleCount": 5 } });
    const DRAW: &str = "imagen-4.0-generate-001:predict";
    for (call, body, status) in [
        (DRAW, &many, 400),
        (DRAW, &five, 400),
        (DRAW, &prompt(""), 400),
        (DRAW, &json!({ "prompt": "a" }), 400),
        (FILM, &json!({}), 400),
        ("gemini-2.5-flash:predict", &prompt("a"), 404),
        ("gemini-embedding-001:predict", &prompt("a"), 404),
        (
            "imagen-4.0-generate-001:generateContent",
            &super::ask("a"),
            404,
        ),
        ("gemini-2.5-flash:predictLongRunning", &prompt("a"), 404),
    ] {
        assert_eq!(post(&google, call, body).await.0, status, "{call} {body}");
    }
    let two = json!({ "instances": [{ "prompt": "a" }], "parameters": { "sampleCount": 2 } });
    let (status, drawn) = post(&google, DRAW, &two).await;
    assert_eq!(status, 200);
    let picture = json!({ "mimeType": "image/png", "bytesBase64Encoded": PICTURE });
    assert_eq!(drawn, json!({ "predictions": [picture, picture] }));

    google.set_quota("p1", Quota::rpm(1));
    assert_eq!(post(&google, FILM, &prompt("a")).await.0, 200);
    assert_eq!(post(&google, FILM, &prompt("a")).await.0, 429);
}
