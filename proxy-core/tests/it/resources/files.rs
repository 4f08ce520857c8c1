//! Files: uploads, lists, downloads.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    GENERATE, OTHER_TOKEN, about, begin, get, ground, maker, piece, post, send, switch, upload,
};
use crate::world::{KEYS, TOKEN, ask, json as body};

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
    let shown: Value = world.admin("/api/pool").await;
    assert!(
        !shown.to_string().contains("\"files\""),
        "{shown}: no model"
    );
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
