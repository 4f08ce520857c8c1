//! `/v1/files`, and files in requests.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use testkit::google::{Fault, Rule, Script};

use crate::world::{KEYS, TOKEN, World, json as body};

const OTHER_TOKEN: &str = "sk-test-other-client-token";

async fn world() -> World {
    let tokens = format!("{TOKEN},{OTHER_TOKEN}");
    World::start(3, |google| google, &[("ALLOWED_TOKENS", &tokens)]).await
}

async fn upload(world: &World, token: &str, name: &str) -> Value {
    let file = Part::bytes(b"%PDF-1.7 pages".to_vec()).file_name(name.to_owned());
    let form = Form::new().part("file", file).text("purpose", "user_data");
    let request = world.http.post(world.url("/v1/files"));
    let response = request
        .bearer_auth(token)
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    body(response).await
}

async fn ask(world: &World, token: &str, method: &str, path: &str) -> (u16, Value) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = world
        .http
        .request(method, world.url(path))
        .bearer_auth(token);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), body(response).await)
}

async fn chat_about(world: &World, ids: &[&Value]) -> reqwest::Response {
    let mut content = vec![json!({"type": "text", "text": "Read it."})];
    content.extend(
        ids.iter()
            .map(|id| json!({"type": "file", "file": {"file_id": id}})),
    );
    world
        .chat(json!({
            "model": "gemini-2.5-flash",
            "messages": [{"role": "user", "content": content}],
        }))
        .await
}

#[tokio::test]
async fn a_file_lives_from_its_upload_to_its_deletion() {
    let world = world().await;
    let file = upload(&world, TOKEN, "a.pdf").await;
    let id = file["id"].as_str().unwrap();
    assert!(id.starts_with("file-"), "{id}");
    assert_eq!(
        (&file["object"], &file["filename"]),
        (&json!("file"), &json!("a.pdf"))
    );
    assert_eq!(
        (&file["purpose"], &file["bytes"]),
        (&json!("user_data"), &json!(14))
    );
    assert_eq!(file["status"], "processed");
    let created = file["created_at"].as_i64().unwrap();
    assert_eq!(created, crate::world::NOON / 1000);
    assert_eq!(file["expires_at"].as_i64().unwrap(), created + 48 * 60 * 60);
    let sent = &world.google.requests()[0];
    assert_eq!(sent.path, "/upload/v1beta/files");

    let path = format!("/v1/files/{id}");
    assert_eq!(ask(&world, TOKEN, "GET", &path).await, (200, file.clone()));
    let (status, content) = ask(&world, TOKEN, "GET", &format!("{path}/content")).await;
    assert_eq!(status, 400);
    let message = content["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("Not allowed to download files of purpose: user_data"),
        "{message}"
    );

    let (status, deleted) = ask(&world, TOKEN, "DELETE", &path).await;
    assert_eq!(status, 200);
    assert_eq!(
        deleted,
        json!({"id": id, "object": "file", "deleted": true})
    );
    let (status, gone) = ask(&world, TOKEN, "GET", &path).await;
    assert_eq!(status, 404);
    assert!(
        gone["error"]["message"]
            .as_str()
            .unwrap()
            .contains("No such File object")
    );
}

#[tokio::test]
async fn the_list_is_the_tokens_own() {
    let world = world().await;
    let mut mine = Vec::new();
    for at in 0..3 {
        world.clock.advance(std::time::Duration::from_secs(60));
        mine.push(upload(&world, TOKEN, &format!("{at}.pdf")).await);
    }
    let other = upload(&world, OTHER_TOKEN, "other.pdf").await;
    mine.reverse();
    let (status, list) = ask(&world, TOKEN, "GET", "/v1/files").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&list["object"], &list["has_more"]),
        (&json!("list"), &json!(false))
    );
    assert_eq!(list["data"], json!(mine));
    let path = format!(
        "/v1/files?limit=1&after={}",
        mine[0]["id"].as_str().unwrap()
    );
    let (_, page) = ask(&world, TOKEN, "GET", &path).await;
    assert_eq!(page["data"], json!([mine[1]]));
    assert_eq!(page["has_more"], true);
    let (_, none) = ask(&world, TOKEN, "GET", "/v1/files?purpose=vision").await;
    assert_eq!(none["data"], json!([]));

    // Whoever learns the id of another's file does not learn that it exists.
    let path = format!("/v1/files/{}", other["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(&world, TOKEN, method, &path).await.0, 404);
    }
    assert_eq!(ask(&world, OTHER_TOKEN, "GET", &path).await.0, 200);

    // Nor can he have a model read it, nor have Google asked about what he makes up.
    let asked = world.google.requests().len();
    let own = mine[0]["id"].as_str().unwrap();
    let (name, seal) = own.rsplit_once('-').unwrap();
    let (_, name_of_other) = other["id"].as_str().unwrap().split_once("file-").unwrap();
    let (name_of_other, _) = name_of_other.rsplit_once('-').unwrap();
    let flipped = seal.replace(|letter| letter != 'a', "a");
    for id in [
        other["id"].clone(),
        json!(format!("file-{name_of_other}-{seal}")),
        json!(format!("{name}-{flipped}")),
        json!(format!("{name}x-{seal}")),
    ] {
        let response = chat_about(&world, &[&id]).await;
        assert_eq!(response.status(), 404, "{id}");
        let error = body(response).await["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("No such File object"), "{message}");
    }
    assert_eq!(world.google.requests().len(), asked);
}

#[tokio::test]
async fn a_request_with_files_goes_to_the_key_that_has_them() {
    let world = world().await;
    let (one, two) = (
        upload(&world, TOKEN, "1.pdf").await,
        upload(&world, TOKEN, "2.pdf").await,
    );
    let home = world.google.requests()[0].key.clone().unwrap();
    for _ in 0..4 {
        let response = chat_about(&world, &[&one["id"], &two["id"]]).await;
        assert_eq!(response.status(), 200);
        let seen = world.google.requests().pop().unwrap();
        assert_eq!(
            seen.key.as_ref(),
            Some(&home),
            "round robin would have gone on"
        );
        let part = &seen.json()["contents"][0]["parts"][1]["fileData"];
        assert!(
            part["fileUri"].as_str().unwrap().contains("/v1beta/files/"),
            "{part}"
        );
    }
    let responses = json!({"model": "gemini-2.5-flash", "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "Read it."}, {"type": "input_file", "file_id": one["id"]},
    ]}]});
    let messages = json!({"model": "gemini-2.5-flash", "max_tokens": 64, "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Read it."},
            {"type": "document", "source": {"type": "file", "file_id": one["id"]}},
        ]},
    ]});
    for (path, asked) in [
        ("/v1/responses", &responses),
        ("/v1/messages", &messages),
        ("/v1/messages/count_tokens", &messages),
    ] {
        let request = world.http.post(world.url(path)).bearer_auth(TOKEN);
        let response = request.body(asked.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(
            world.google.requests().pop().unwrap().key.as_ref(),
            Some(&home),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_file_whose_key_is_gone_is_named() {
    let world = world().await;
    let file = upload(&world, TOKEN, "1.pdf").await;
    let home = world.google.requests()[0].key.clone().unwrap();
    let id = world.key(&home).await.id;
    let (status, _) = world
        .ask_admin(
            "PATCH",
            &format!("/api/keys/{id}"),
            Some(json!({"enabled": false})),
        )
        .await;
    assert!(status < 300, "{status}");
    let response = chat_about(&world, &[&file["id"]]).await;
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("Upload the file again"),
        "{error}"
    );

    let moved = upload(&world, TOKEN, "2.pdf").await;
    let elsewhere = world.google.requests().pop().unwrap().key.unwrap();
    assert_ne!(elsewhere, home);
    assert!(KEYS.contains(&&*elsewhere));
    let response = chat_about(&world, &[&file["id"], &moved["id"]]).await;
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("different Gemini keys"),
        "{error}"
    );
}

#[tokio::test]
async fn mistakes_with_files_are_named() {
    let world = world().await;
    let send = async |form: Form| {
        let request = world.http.post(world.url("/v1/files")).bearer_auth(TOKEN);
        let response = request.multipart(form).send().await.unwrap();
        (
            response.status().as_u16(),
            body(response).await["error"].clone(),
        )
    };
    let file = |name: &'static str| Part::bytes(b"some bytes".to_vec()).file_name(name);
    for (form, param, says) in [
        (
            Form::new().text("purpose", "user_data"),
            "file",
            "`file` is missing",
        ),
        (
            Form::new().part("file", Part::bytes(vec![0, 159, 1]).file_name("a.bin")),
            "file",
            "cannot be told",
        ),
        (
            Form::new()
                .part("file", file("a.txt"))
                .text("purpose", "fun"),
            "purpose",
            "user_data",
        ),
        (
            Form::new()
                .part("file", file("a.txt"))
                .text("purpose", "batch"),
            "purpose",
            "not supported",
        ),
    ] {
        let (status, error) = send(form).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let (status, _) = ask(&world, TOKEN, "GET", "/v1/files/file-nonsense").await;
    assert_eq!(status, 404);
    let (status, error) = ask(&world, TOKEN, "GET", "/v1/files/file-1-doesnotexist").await;
    assert_eq!(status, 404, "{error}");
    let response = chat_about(&world, &[&json!("file_abc")]).await;
    assert_eq!(response.status(), 400);
    let request = world
        .http
        .get(world.url("/v1/files"))
        .header("x-goog-api-key", TOKEN);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let list = body(response).await;
    assert_eq!(list, json!({}), "Google's clients have Google's");
}

#[tokio::test]
async fn a_request_about_a_file_counts_for_its_key_and_has_a_deadline() {
    let settings = [
        ("POOL_LIMITS", r#"{"gemini-2.5-flash": "1/-/-"}"#),
        ("PATIENCE", "0"),
        ("DEADLINE", "1"),
    ];
    let world = World::start(3, |google| google, &settings).await;
    let file = upload(&world, TOKEN, "a.pdf").await;
    assert_eq!(chat_about(&world, &[&file["id"]]).await.status(), 200);
    let sent = world.google.requests().len();
    let refused = chat_about(&world, &[&file["id"]]).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let said = body(refused).await["error"]["message"].to_string();
    assert!(said.contains("requests of this minute"), "{said}");
    assert_eq!(world.google.requests().len(), sent, "it was not sent");
    world.clock.advance(std::time::Duration::from_secs(61));
    let stall = Rule::new(Fault::StallBeforeHeaders);
    world.google.script(Script::new().rule(stall));
    // Keys that nobody has tried yet are asked as well, but not this.
    let asked_again = || {
        let seen = world.google.requests();
        let mut since = seen.iter().skip(sent);
        since.any(|request| request.path.contains("generateContent"))
    };
    let passes = async {
        while !asked_again() {
            tokio::task::yield_now().await;
        }
        world.clock.advance(std::time::Duration::from_secs(1));
    };
    let asked = [&file["id"]];
    let (late, ()) = tokio::join!(chat_about(&world, &asked), passes);
    assert_eq!(late.status(), 504);
    let said = body(late).await["error"]["message"].to_string();
    assert!(said.contains("DEADLINE"), "{said}");
    world.google.release();
}

#[tokio::test]
async fn several_answers_about_a_file_find_it_as_one_does() {
    let world = world().await;
    let file = upload(&world, TOKEN, "1.pdf").await;
    let content = json!([
        {"type": "text", "text": "Read it."},
        {"type": "file", "file": {"file_id": file["id"]}},
    ]);
    for stream in [false, true] {
        let response = world
            .chat(json!({
                "model": "gemini-2.5-flash", "n": 2, "stream": stream,
                "messages": [{"role": "user", "content": content}],
            }))
            .await;
        assert_eq!(response.status(), 200);
        let said = response.text().await.unwrap();
        assert!(said.contains("\"index\":1"), "{said}");
    }
}

#[tokio::test]
async fn a_request_of_several_calls_does_not_wait_for_itself() {
    for bound in ["KEY_CONCURRENCY", "EGRESS_CONCURRENCY"] {
        let world = World::start(1, |google| google, &[(bound, "1"), ("PATIENCE", "0")]).await;
        let file = upload(&world, TOKEN, "1.pdf").await;
        let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
        // It is asked for first, and then deleted.
        assert_eq!(ask(&world, TOKEN, "DELETE", &path).await.0, 200, "{bound}");
        let texts: Vec<String> = (0..150).map(|number| format!("text {number}")).collect();
        let request = world.http.post(world.url("/v1/embeddings"));
        let asked = json!({"model": "gemini-embedding-001", "input": texts});
        let response = request
            .bearer_auth(TOKEN)
            .body(asked.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{bound}");
    }
}
