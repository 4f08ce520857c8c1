//! What Google keeps for its clients: each thing is found by the key that made it, and by the client
//! that has it.

use std::io::Write as _;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::google::Fault;

use crate::world::{Ground, KEYS, TOKEN, World, ask, json as body};

const OTHER_TOKEN: &str = "sk-test-other-client-token";

async fn ground() -> Ground {
    let tokens = format!("{TOKEN},{OTHER_TOKEN}");
    Ground::new(
        3,
        |google| google.upload_granularity(1),
        &[("ALLOWED_TOKENS", &tokens)],
    )
    .await
}

/// Asks in the style of Google's clients.
async fn send(
    world: &World,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Response {
    let mut request = world
        .http
        .request(method, world.url(path))
        .header("x-goog-api-key", token);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    request.send().await.unwrap()
}

async fn get(world: &World, token: &str, path: &str) -> (u16, Value) {
    let response = send(world, token, Method::GET, path, None).await;
    (response.status().as_u16(), body(response).await)
}

async fn post(world: &World, path: &str, asked: Value) -> (u16, Value) {
    let response = send(world, TOKEN, Method::POST, path, Some(asked)).await;
    (response.status().as_u16(), body(response).await)
}

/// Begins an upload and gives the address that it goes on at.
async fn begin(world: &World, token: &str, path: &str, length: usize) -> String {
    let response = world
        .http
        .post(world.url(path))
        .header("x-goog-api-key", token)
        .header("x-goog-upload-protocol", "resumable")
        .header("x-goog-upload-command", "start")
        .header("x-goog-upload-header-content-length", length)
        .header("x-goog-upload-header-content-type", "text/plain")
        .header("content-type", "application/json")
        .body(json!({"file": {"displayName": "notes"}}).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-goog-upload-status"], "active");
    let address = &response.headers()["x-goog-upload-url"];
    address.to_str().unwrap().to_owned()
}

/// Sends a piece, as clients do: without a credential.
async fn piece(world: &World, address: &str, command: &str, offset: usize, text: &str) -> Response {
    world
        .http
        .post(address)
        .header("x-goog-upload-command", command)
        .header("x-goog-upload-offset", offset)
        .body(text.to_owned())
        .send()
        .await
        .unwrap()
}

async fn upload(world: &World, token: &str) -> Value {
    let address = begin(world, token, "/upload/v1beta/files", 5).await;
    let response = piece(world, &address, "upload, finalize", 0, "hello").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-goog-upload-status"], "final");
    body(response).await["file"].take()
}

fn about(files: &[&Value]) -> Value {
    let mut parts = vec![json!({"text": "Read it."})];
    parts.extend(
        files
            .iter()
            .map(|file| json!({"fileData": {"fileUri": file["uri"], "mimeType": "text/plain"}})),
    );
    json!({"contents": [{"role": "user", "parts": parts}]})
}

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

/// The key that made something.
fn maker(world: &World, name: &Value) -> String {
    let all = world.google.resources(name.as_str().unwrap());
    all[0].key.clone()
}

/// The number of a key.
async fn id_of(world: &World, key: &str) -> i64 {
    world.key(key).await.id
}

async fn switch(world: &World, key: &str, on: bool) {
    let id = id_of(world, key).await;
    let path = format!("/api/keys/{id}");
    let (status, said) = world
        .ask_admin("PATCH", &path, Some(json!({ "enabled": on })))
        .await;
    assert!(status < 300, "{said}");
}

#[tokio::test]
async fn an_upload_goes_on_at_an_address_of_ours_and_its_file_is_used_with_its_key() {
    let ground = ground().await;
    let world = ground.start().await;
    for version in ["v1", "v1beta"] {
        let path = format!("/upload/{version}/files");
        let address = begin(&world, TOKEN, &path, 10).await;
        assert!(
            address.starts_with(&format!("{}/upload/{version}/files?", world.core.address())),
            "{address}"
        );
        for key in KEYS {
            assert!(!address.contains(key), "{address}");
        }
        assert!(!address.contains(TOKEN));
        let first = piece(&world, &address, "upload", 0, "hello").await;
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()["x-goog-upload-status"], "active");
        let wrong = piece(&world, &address, "upload", 9, "!").await;
        assert_eq!(wrong.status(), 400);
        let asked = piece(&world, &address, "query", 0, "").await;
        assert_eq!(asked.headers()["x-goog-upload-size-received"], "5");
        let last = piece(&world, &address, "upload, finalize", 5, "world").await;
        assert_eq!(last.headers()["x-goog-upload-status"], "final");
        let file = body(last).await["file"].take();
        let name = file["name"].as_str().unwrap();
        assert_eq!(file["sizeBytes"], "10");

        let (status, got) = get(&world, TOKEN, &format!("/{version}/{name}")).await;
        assert_eq!((status, &got["name"]), (200, &file["name"]));
        world.google.clear_requests();
        for _ in 0..6 {
            let (status, answer) = post(&world, GENERATE, about(&[&file])).await;
            assert_eq!(status, 200, "{answer}");
        }
        let made_by = maker(&world, &file["name"]);
        assert_eq!(world.keys_used(), vec![made_by; 6]);
    }
    // After a restart nothing is different.
    let (_, list) = get(&world, TOKEN, "/v1/files").await;
    let files = list["files"].as_array().unwrap().clone();
    assert_eq!(files.len(), 2);
    drop(world);
    let world = ground.start().await;
    let (status, answer) = post(&world, GENERATE, about(&[&files[0], &files[1]])).await;
    assert_eq!(status, 200, "{answer}");
    let name = files[0]["name"].as_str().unwrap();
    let path = format!("/v1/{name}");
    let response = send(&world, TOKEN, Method::DELETE, &path, None).await;
    assert_eq!(response.status(), 200);
    let (_, list) = get(&world, TOKEN, "/v1/files").await;
    assert_eq!(list["files"].as_array().unwrap().len(), 1);
    assert_eq!(get(&world, TOKEN, &path).await.0, 403);
}

#[tokio::test]
async fn what_one_client_has_is_not_there_for_another() {
    let world = ground().await.start().await;
    let file = upload(&world, TOKEN).await;
    let path = format!("/v1beta/{}", file["name"].as_str().unwrap());
    let (_, list) = get(&world, OTHER_TOKEN, "/v1beta/files").await;
    assert_eq!(list, json!({}));
    world.google.clear_requests();
    let (status, error) = get(&world, OTHER_TOKEN, &path).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let response = send(&world, OTHER_TOKEN, Method::DELETE, &path, None).await;
    assert_eq!(response.status(), 404);
    let asked = Some(about(&[&file]));
    let response = send(&world, OTHER_TOKEN, Method::POST, GENERATE, asked).await;
    assert_eq!(response.status(), 404);
    assert_eq!(world.google.requests().len(), 0, "Google was not asked");

    // An address of an upload is good for that one.
    let address = begin(&world, TOKEN, "/upload/v1beta/files", 5).await;
    let other = begin(&world, OTHER_TOKEN, "/upload/v1beta/files", 5).await;
    let (before, pass) = address.split_once("&gb_upload=").unwrap();
    let (others, _) = other.split_once("&gb_upload=").unwrap();
    let (key, _) = pass.split_once('.').unwrap();
    world.google.clear_requests();
    for wrong in [
        format!("{others}&gb_upload={pass}"),
        format!("{before}&gb_upload={key}.1.9999999999999.00"),
        format!("{before}&upload_id=x&gb_upload={pass}"),
        address.replace("/files?", "/fileSearchStores/s:uploadToFileSearchStore?"),
        format!("{before}&gb_upload=nonsense"),
        address.replace("upload_id=", "upload_id=x"),
    ] {
        let response = piece(&world, &wrong, "upload, finalize", 0, "hello").await;
        assert_eq!(response.status(), 400, "{wrong}");
        let error = body(response).await;
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("Begin the upload again"), "{message}");
    }
    // Without either, nobody is let in.
    let response = piece(&world, before, "upload, finalize", 0, "hello").await;
    assert_eq!(response.status(), 401);
    assert_eq!(world.google.requests().len(), 0);
    let response = piece(&world, &address, "upload, finalize", 0, "hello").await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_list_has_what_is_at_all_keys() {
    let world = ground().await.start().await;
    let mut files = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..2 {
        files.push(upload(&world, TOKEN).await);
        files.push(upload(&world, TOKEN).await);
        let key = maker(&world, &files[files.len() - 1]["name"]);
        // Others of the key's that are none of this client's are not shown, nor are they a page.
        for _ in 0..3 {
            assert!(
                world
                    .google
                    .generate_file(&key, "video/mp4", "video")
                    .is_some()
            );
        }
        switch(&world, &key, false).await;
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);
    // The other key finds nothing of it, and says so.
    let (status, error) = post(&world, GENERATE, about(&[&files[0]])).await;
    assert_eq!(status, 400);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("switched off"), "{message}");
    for key in &keys {
        switch(&world, key, true).await;
    }
    let (status, error) = post(&world, GENERATE, about(&[&files[0], &files[3]])).await;
    assert_eq!(status, 400);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("different Gemini keys"), "{message}");

    let (_, list) = get(&world, TOKEN, "/v1beta/files?pageSize=100").await;
    assert_eq!(list["files"].as_array().unwrap().len(), 4);
    assert_eq!(list.get("nextPageToken"), None);
    let mut seen = Vec::new();
    let mut path = "/v1beta/files?pageSize=1".to_owned();
    loop {
        let (status, list) = get(&world, TOKEN, &path).await;
        assert_eq!(status, 200, "{list}");
        let page = list["files"].as_array().unwrap();
        assert_eq!(page.len(), 1, "an empty page makes clients stumble");
        seen.push(page[0]["name"].as_str().unwrap().to_owned());
        let Some(next) = list["nextPageToken"].as_str() else {
            break;
        };
        path = format!("/v1beta/files?pageSize=1&pageToken={next}");
    }
    let mut all: Vec<&str> = files
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    all.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, all);
    let (status, _) = get(&world, TOKEN, "/v1beta/files?pageToken=nonsense").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_a_model_made_is_downloaded_as_it_comes() {
    let world = ground().await.start().await;
    // The client's things are where this one goes.
    let file = upload(&world, TOKEN).await;
    let key = maker(&world, &file["name"]);
    let video = "video".repeat(100_000);
    let name = world
        .google
        .generate_file(&key, "video/mp4", video.clone())
        .unwrap();
    for redirects in [false, true] {
        world.google.redirect_downloads(redirects);
        for path in [
            format!("/v1beta/{name}:download?alt=media"),
            format!("/v1/{name}:download?alt=media"),
            format!("/download/v1beta/{name}:download?alt=media"),
        ] {
            let response = send(&world, TOKEN, Method::GET, &path, None).await;
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()["content-type"], "video/mp4");
            assert_eq!(response.text().await.unwrap(), video);
        }
    }
    let path = format!(
        "/v1beta/{}:download?alt=media",
        file["name"].as_str().unwrap()
    );
    let (status, _) = get(&world, TOKEN, &path).await;
    assert_eq!(status, 400, "uploads cannot be downloaded");
}

#[tokio::test]
async fn what_openai_s_clients_upload_is_there_for_google_s() {
    let world = ground().await.start().await;
    let form = reqwest::multipart::Form::new()
        .part(
            "file",
            reqwest::multipart::Part::bytes(b"%PDF-1.7".to_vec()).file_name("a.pdf"),
        )
        .text("purpose", "user_data");
    let request = world.http.post(world.url("/v1/files")).bearer_auth(TOKEN);
    let response = request.multipart(form).send().await.unwrap();
    let id = body(response).await["id"].as_str().unwrap().to_owned();
    let (_, list) = get(&world, TOKEN, "/v1beta/files").await;
    let file = &list["files"][0];
    let (status, answer) = post(&world, GENERATE, about(&[file])).await;
    assert_eq!(status, 200, "{answer}");
    let request = world.http.delete(world.url(&format!("/v1/files/{id}")));
    let response = request.bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (_, list) = get(&world, TOKEN, "/v1beta/files").await;
    assert_eq!(list, json!({}));
}

#[tokio::test]
async fn what_only_looks_like_a_file_ties_nothing_to_a_key() {
    let world = ground().await.start().await;
    for text in ["files/abc", "Read src/files/abc and cachedContents/x."] {
        let response = world.gemini(GENERATE, ask(text)).await;
        assert_eq!(response.status(), 200);
    }
    let call = json!({"contents": [
        {"role": "user", "parts": [{"text": "Go."}]},
        {"role": "model", "parts": [{"functionCall": {"name": "read", "args": {"uri": "files/a"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "read", "response": {"uri": "files/a"}}}]},
    ]});
    let (status, answer) = post(&world, GENERATE, call).await;
    assert_eq!(status, 200, "{answer}");
    let mut used = world.keys_used();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 3, "each went where it was least");
}

#[tokio::test]
async fn a_wrong_path_says_what_is_right() {
    let world = ground().await.start().await;
    for path in [
        "/v1beta/nonsense",
        "/v1beta/cachedContents/%2e%2e",
        "/upload/v2/files",
    ] {
        let (status, error) = get(&world, TOKEN, path).await;
        assert_eq!(status, 404, "{path}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("base URL"), "{message}");
    }
    let (status, _) = get(&world, "sk-unknown", "/v1beta/cachedContents").await;
    assert_eq!(status, 401);
    // Where OpenAI has other things, OpenAI's clients are told so.
    let request = world.http.get(world.url("/v1/batches")).bearer_auth(TOKEN);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(world.google.requests().len(), 0);
}

/// A prompt that is long enough to be cached.
fn long() -> Value {
    let text = "All work and no play makes Jack a dull boy. ".repeat(400);
    json!([{"role": "user", "parts": [{"text": text}]}])
}

#[tokio::test]
async fn a_cache_is_used_in_every_protocol_with_the_key_that_has_it() {
    let world = ground().await.start().await;
    let (status, cache) = post(
        &world,
        "/v1beta/cachedContents",
        json!({"model": "models/gemini-2.5-flash", "contents": long(), "ttl": "600s"}),
    )
    .await;
    assert_eq!(status, 200, "{cache}");
    let name = cache["name"].as_str().unwrap();
    let key = maker(&world, &cache["name"]);
    let path = format!("/v1/{name}");
    assert_eq!(get(&world, TOKEN, &path).await.0, 200);
    assert_eq!(get(&world, OTHER_TOKEN, &path).await.0, 404);
    let response = send(
        &world,
        TOKEN,
        Method::PATCH,
        &format!("{path}?updateMask=ttl"),
        Some(json!({"ttl": "1200s"})),
    )
    .await;
    assert_eq!(response.status(), 200);
    let (_, list) = get(&world, TOKEN, "/v1beta/cachedContents").await;
    assert_eq!(list["cachedContents"][0]["name"], cache["name"]);

    world.google.clear_requests();
    for round in 0..4 {
        let mut asked: Value = serde_json::from_str(&ask("And then?")).unwrap();
        asked["cachedContent"] = cache["name"].clone();
        let verb = ["generateContent", "streamGenerateContent?alt=sse"][round % 2];
        let path = format!("/v1beta/models/gemini-2.5-flash:{verb}");
        let response = world.gemini(&path, asked.to_string()).await;
        assert_eq!(response.status(), 200);
        assert!(
            response
                .text()
                .await
                .unwrap()
                .contains("cachedContentTokenCount")
        );
        let chat = world
            .chat(json!({
                "model": "gemini-2.5-flash",
                "messages": [{"role": "user", "content": "And then?"}],
                "extra_body": {"google": {"cached_content": name}},
                "stream": round % 2 == 1,
            }))
            .await;
        assert_eq!(chat.status(), 200, "{}", chat.text().await.unwrap());
        chat.text().await.unwrap();
    }
    assert_eq!(world.keys_used(), vec![key; 8]);
    let chat = world
        .http
        .post(world.url("/v1/chat/completions"))
        .bearer_auth(OTHER_TOKEN)
        .header("content-type", "application/json")
        .body(
            json!({
                "model": "gemini-2.5-flash",
                "messages": [{"role": "user", "content": "And then?"}],
                "extra_body": {"google": {"cached_content": name}},
            })
            .to_string(),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(chat.status(), 404);
    assert_eq!(
        send(&world, TOKEN, Method::DELETE, &path, None)
            .await
            .status(),
        200
    );
    assert_eq!(get(&world, TOKEN, "/v1/cachedContents").await.1, json!({}));
}

#[tokio::test]
async fn a_cache_is_made_where_there_is_room_for_one() {
    let world = ground().await.start().await;
    // As on the free tier, of all projects but one.
    for project in ["project-0", "project-1"] {
        world.google.set_cached_storage(project, Some(0));
    }
    let asked = json!({"model": "models/gemini-2.5-flash", "contents": long()});
    let (status, cache) = post(&world, "/v1beta/cachedContents", asked.clone()).await;
    assert_eq!(status, 200, "{cache}");
    assert_eq!(maker(&world, &cache["name"]), KEYS[2]);
    let mut about_it: Value = serde_json::from_str(&ask("And then?")).unwrap();
    about_it["cachedContent"] = cache["name"].clone();
    let (status, answer) = post(&world, GENERATE, about_it).await;
    assert_eq!(status, 200, "{answer}");
    world.google.clear_requests();
    let (status, _) = post(&world, "/v1beta/cachedContents", asked).await;
    assert_eq!(status, 200);
    assert_eq!(world.keys_used(), [KEYS[2]], "it was learned who has none");
    // The models of those are as good as before.
    for _ in 0..3 {
        assert_eq!(world.gemini(GENERATE, ask("Hello.")).await.status(), 200);
    }
    let wrong = json!({"model": "models/gemini-2.5-flash", "contents": []});
    let (status, error) = post(&world, "/v1beta/cachedContents", wrong).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (400, &json!("INVALID_ARGUMENT"))
    );
}

#[tokio::test]
async fn an_operation_is_asked_about_with_the_key_that_began_it() {
    let ground = ground().await;
    let mut world = ground.start().await;
    let mut keys = Vec::new();
    for round in 0..3 {
        let path = "/v1beta/models/veo-3.1-generate-preview:predictLongRunning";
        let asked = json!({"instances": [{"prompt": "A cat."}], "parameters": {}});
        let (status, begun) = post(&world, path, asked).await;
        assert_eq!(status, 200, "{begun}");
        keys.push(maker(&world, &begun["name"]));
        let path = format!("/v1beta/{}", begun["name"].as_str().unwrap());
        assert_eq!(get(&world, OTHER_TOKEN, &path).await.0, 404);
        if round == 1 {
            drop(world);
            world = ground.start().await;
        }
        let (status, waits) = get(&world, TOKEN, &path).await;
        assert_eq!((status, waits.get("done")), (200, None));
        let (_, done) = get(&world, TOKEN, &path).await;
        assert_eq!(done["done"], true);
        let sample = &done["response"]["generateVideoResponse"]["generatedSamples"][0];
        let uri = sample["video"]["uri"].as_str().unwrap();
        let (_, file) = uri.split_once("/v1beta/").unwrap();
        let path = format!("/v1beta/{file}");
        let response = send(&world, TOKEN, Method::GET, &path, None).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "video/mp4");
        let theirs = send(&world, OTHER_TOKEN, Method::GET, &path, None).await;
        assert_eq!(theirs.status(), 404);
    }
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() > 1, "each was begun where there was room");
}

#[tokio::test]
async fn a_batch_is_found_again_with_its_results() {
    let world = ground().await.start().await;
    let asked = json!({"batch": {"displayName": "two", "inputConfig": {"requests": {"requests": [
        {"request": {"contents": [{"role": "user", "parts": [{"text": "One?"}]}]}, "metadata": {"key": "1"}},
        {"request": {"contents": [{"role": "user", "parts": [{"text": "Two?"}]}]}, "metadata": {"key": "2"}},
    ]}}}});
    let path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent";
    let (status, begun) = post(&world, path, asked).await;
    assert_eq!(status, 200, "{begun}");
    let path = format!("/v1beta/{}", begun["name"].as_str().unwrap());
    let (_, list) = get(&world, TOKEN, "/v1beta/batches").await;
    assert_eq!(list["operations"][0]["name"], begun["name"]);
    assert_eq!(
        get(&world, OTHER_TOKEN, "/v1beta/batches").await.1,
        json!({})
    );
    assert_eq!(get(&world, OTHER_TOKEN, &path).await.0, 404);
    let done = loop {
        let (status, batch) = get(&world, TOKEN, &path).await;
        assert_eq!(status, 200, "{batch}");
        if batch["done"] == true {
            break batch;
        }
    };
    assert!(done.to_string().contains("Two?"), "{done}");
    assert_eq!(
        send(&world, TOKEN, Method::DELETE, &path, None)
            .await
            .status(),
        200
    );
}

async fn interact(world: &World, asked: Value) -> Value {
    let (status, said) = post(world, "/v1beta/interactions", asked).await;
    assert_eq!(status, 200, "{said}");
    said
}

#[tokio::test]
async fn a_conversation_of_interactions_stays_where_it_began() {
    let ground = ground().await;
    let mut world = ground.start().await;
    let mut keys = Vec::new();
    for round in 0..3 {
        let first = interact(
            &world,
            json!({"model": "gemini-3.8-flash", "input": "My name is Ada."}),
        )
        .await;
        let id = first["id"].as_str().unwrap().to_owned();
        keys.push(maker(&world, &json!(format!("interactions/{id}"))));
        if round == 1 {
            drop(world);
            world = ground.start().await;
        }
        world.google.clear_requests();
        // Streamed, whose id comes in its first event.
        let asked = json!({
            "model": "gemini-3.8-flash", "input": "And who am I?",
            "previous_interaction_id": id, "stream": true,
        });
        let response = send(&world, TOKEN, Method::POST, "/v1/interactions", Some(asked)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let events = response.text().await.unwrap();
        assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
        let (_, rest) = events.split_once("\"id\":\"").unwrap();
        let (second, _) = rest.split_once('"').unwrap();
        let path = format!("/v1beta/interactions/{second}");
        let (status, got) = get(&world, TOKEN, &path).await;
        assert_eq!((status, &got["status"]), (200, &json!("completed")));
        let path = format!("{path}?stream=true");
        let again = send(&world, TOKEN, Method::GET, &path, None).await;
        assert_eq!(again.headers()["content-type"], "text/event-stream");
        assert!(
            again
                .text()
                .await
                .unwrap()
                .contains("interaction.completed")
        );
        assert_eq!(world.keys_used(), vec![keys[round].clone(); 3]);

        let other = json!({
            "model": "gemini-3.8-flash", "input": "Who?", "previous_interaction_id": second,
        });
        let path = "/v1beta/interactions";
        let response = send(&world, OTHER_TOKEN, Method::POST, path, Some(other)).await;
        assert_eq!(response.status(), 404);
        let path = format!("/v1beta/interactions/{second}");
        let deleted = send(&world, TOKEN, Method::DELETE, &path, None).await;
        assert_eq!(deleted.status(), 200);
    }
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() > 1, "each began where there was room");
    let record: Value = world.admin("/api/requests?limit=100").await;
    let record = record.to_string();
    assert!(record.contains("gemini-3.8-flash"), "{record}");
}

#[tokio::test]
async fn an_interaction_in_the_background_is_cancelled() {
    let world = ground().await.start().await;
    let asked = json!({"model": "gemini-3.8-flash", "input": "Think.", "background": true});
    let begun = interact(&world, asked).await;
    assert_eq!(begun["status"], "in_progress");
    let path = format!(
        "/v1beta/interactions/{}/cancel",
        begun["id"].as_str().unwrap()
    );
    let (status, ended) = post(&world, &path, json!({})).await;
    assert_eq!((status, &ended["status"]), (200, &json!("cancelled")));
}

#[tokio::test]
async fn a_complete_download_is_recorded_as_one() {
    let world = ground().await.start().await;
    let file = upload(&world, TOKEN).await;
    let key = maker(&world, &file["name"]);
    let name = world
        .google
        .generate_file(&key, "video/mp4", "video".repeat(10_000))
        .unwrap();
    let path = format!("/v1beta/{name}:download?alt=media");
    let response = send(&world, TOKEN, Method::GET, &path, None).await;
    assert_eq!(response.text().await.unwrap().len(), 50_000);
    let records = loop {
        let records: Value = world.admin("/api/requests?limit=10").await;
        let all = records["requests"].as_array().unwrap().clone();
        // Beginning, piece, download.
        if all.len() == 3 {
            break all;
        }
        tokio::task::yield_now().await;
    };
    for record in records {
        assert_eq!(record["status"], 200, "{record}");
    }
}

#[tokio::test]
async fn what_is_written_in_another_way_is_read_all_the_same() {
    let world = ground().await.start().await;
    let file = upload(&world, TOKEN).await;
    let uri = file["uri"].as_str().unwrap().replace('/', r"\/");
    let asked = format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"Read."}},{{"fileData":{{"fileUri":"{uri}","mimeType":"text/plain"}}}}]}}]}}"#
    );
    world.google.clear_requests();
    for _ in 0..3 {
        assert_eq!(world.gemini(GENERATE, asked.clone()).await.status(), 200);
    }
    assert_eq!(world.keys_used(), vec![maker(&world, &file["name"]); 3]);
    let ask_as_other = |asked: Vec<u8>, encoding: Option<&'static str>| {
        let mut request = world
            .http
            .post(world.url(GENERATE))
            .header("x-goog-api-key", OTHER_TOKEN)
            .header("content-type", "application/json");
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.body(asked).send()
    };
    world.google.clear_requests();
    let response = ask_as_other(asked.clone().into_bytes(), None)
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
    // Google's own reader takes such; ours does not know what is in it.
    let loose = asked.replace('"', "'").into_bytes();
    let response = ask_as_other(loose, None).await.unwrap();
    assert_eq!(response.status(), 400);
    let mut packed = Vec::new();
    flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast())
        .write_all(asked.as_bytes())
        .unwrap();
    let response = ask_as_other(packed, Some("gzip")).await.unwrap();
    assert_eq!(response.status(), 404, "it was read");
    let response = ask_as_other(asked.into_bytes(), Some("br")).await.unwrap();
    assert_eq!(response.status(), 415);
    assert_eq!(world.google.requests().len(), 0);
    for wrong in [
        json!({"model": "gemini-3.8-flash", "stream": "true", "input": "Hi."}),
        json!({"input": "Hi."}),
    ] {
        let (status, _) = post(&world, "/v1beta/interactions", wrong).await;
        assert_eq!(status, 400);
    }
    assert_eq!(world.google.requests().len(), 0);
}

#[tokio::test]
async fn a_file_and_a_cache_of_another_client_s_do_not_go_together() {
    let world = ground().await.start().await;
    let asked = json!({"model": "models/gemini-2.5-flash", "contents": long()});
    let (_, cache) = post(&world, "/v1beta/cachedContents", asked).await;
    let form = reqwest::multipart::Form::new()
        .part(
            "file",
            reqwest::multipart::Part::bytes(b"%PDF-1.7".to_vec()).file_name("a.pdf"),
        )
        .text("purpose", "user_data");
    let request = world.http.post(world.url("/v1/files"));
    let request = request.bearer_auth(OTHER_TOKEN).multipart(form);
    let id = body(request.send().await.unwrap()).await["id"].take();
    let chat = json!({
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Read."}, {"type": "file", "file": {"file_id": id}},
        ]}],
        "extra_body": {"google": {"cached_content": cache["name"]}},
    });
    let request = world.http.post(world.url("/v1/chat/completions"));
    let response = request
        .bearer_auth(OTHER_TOKEN)
        .header("content-type", "application/json")
        .body(chat.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn what_may_be_done_already_is_not_asked_for_again() {
    let world = ground().await.start().await;
    let film = "/v1beta/models/veo-3.1-generate-preview:predictLongRunning";
    let asked = json!({"instances": [{"prompt": "A cat."}], "parameters": {}});
    world.google.fault_next(Fault::CloseBeforeHeaders);
    let (status, error) = post(&world, film, asked.clone()).await;
    assert_eq!(status, 502);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("may have done"), "{message}");
    assert_eq!(world.google.requests().len(), 1);
    // A refusal is none.
    world.google.fault_next(Fault::Status(503));
    assert_eq!(post(&world, film, asked).await.0, 200);
    // What is only said is asked for again.
    world.google.fault_next(Fault::CloseBeforeHeaders);
    assert_eq!(world.gemini(GENERATE, ask("Hello.")).await.status(), 200);
}
