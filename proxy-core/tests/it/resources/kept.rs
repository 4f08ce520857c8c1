//! What else is kept: caches, operations, batches, interactions.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::google::Fault;

use super::{GENERATE, OTHER_TOKEN, get, ground, maker, post, send};
use crate::world::{KEYS, TOKEN, World, ask, json as body};

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
