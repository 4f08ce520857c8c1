//! `/v1/images/generations` and `/v1/images/edits`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use testkit::google::{Answer, Fault, PICTURE};

use crate::world::{TOKEN, World, events, json as body};

async fn ask(world: &World, path: &str, asked: Value) -> reqwest::Response {
    world
        .http
        .post(world.url(path))
        .bearer_auth(TOKEN)
        .header("content-type", "application/json")
        .body(asked.to_string())
        .send()
        .await
        .unwrap()
}

async fn generate(world: &World, asked: Value) -> reqwest::Response {
    ask(world, "/v1/images/generations", asked).await
}

async fn edit(world: &World, form: Form) -> reqwest::Response {
    let request = world.http.post(world.url("/v1/images/edits"));
    request
        .bearer_auth(TOKEN)
        .multipart(form)
        .send()
        .await
        .unwrap()
}

fn picture() -> Part {
    let bytes = STANDARD.decode(PICTURE).unwrap();
    Part::bytes(bytes).file_name("cat.png")
}

#[tokio::test]
async fn images_are_drawn_as_often_as_asked_for() {
    let world = World::with_keys(2).await;
    let response = generate(
        &world,
        json!({
            "model": "gemini-3-pro-image", "prompt": "A cat.", "n": 2,
            "size": "1536x1024", "quality": "high", "style": "vivid", "output_format": "png",
        }),
    )
    .await;
    assert_eq!(response.status(), 200);
    let answer = body(response).await;
    let data = answer["data"].as_array().unwrap();
    assert_eq!(data.len(), 2);
    for image in data {
        assert_eq!(image["b64_json"], PICTURE);
        assert!(image.get("url").is_none());
        assert!(image["revised_prompt"].as_str().unwrap().contains("A cat."));
    }
    assert_eq!(answer["output_format"], "png");
    assert_eq!(
        (&answer["size"], &answer["quality"]),
        (&json!("1536x1024"), &json!("high"))
    );
    assert_eq!(answer["created"], crate::world::NOON / 1000);
    let usage = &answer["usage"];
    assert!(usage["output_tokens"].as_u64().unwrap() > 2 * 1290);
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap()
    );
    let seen = world.google.requests();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].key, seen[1].key, "each with the next key");
    let config = &seen[0].json()["generationConfig"];
    assert_eq!(
        config["imageConfig"],
        json!({"aspectRatio": "3:2", "imageSize": "2K"})
    );
    assert_eq!(config["responseModalities"], json!(["TEXT", "IMAGE"]));
}

#[tokio::test]
async fn images_that_are_drawn_are_kept_when_another_is_not() {
    let world = World::with_keys(1).await;
    let asked = json!({"model": "gemini-3-pro-image", "prompt": "A cat.", "n": 3});
    world.google.fault_next(Fault::Status(400));
    let answer = body(generate(&world, asked.clone()).await).await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 2, "{answer}");
    for _ in 0..3 {
        world.google.fault_next(Fault::Status(400));
    }
    assert_eq!(generate(&world, asked).await.status(), 400);
}

#[tokio::test]
async fn openais_names_of_models_draw_too_and_urls_are_data_urls() {
    let world = World::with_keys(1).await;
    for model in [json!("dall-e-3"), json!("gpt-image-1"), Value::Null] {
        let asked = json!({"model": model, "prompt": "A cat.", "response_format": "url"});
        let answer = body(generate(&world, asked).await).await;
        let url = answer["data"][0]["url"].as_str().unwrap();
        assert_eq!(url, format!("data:image/png;base64,{PICTURE}"));
        assert!(answer["data"][0].get("b64_json").is_none());
    }
    let seen = world.google.requests();
    assert!(
        seen.iter()
            .all(|seen| seen.model.as_deref() == Some("gemini-3.1-flash-image"))
    );
}

#[tokio::test]
async fn images_are_edited_from_a_form_and_from_json() {
    let world = World::with_keys(1).await;
    let form = Form::new()
        .part("image[]", picture())
        .part(
            "image[]",
            picture().mime_str("application/octet-stream").unwrap(),
        )
        .text("model", "gemini-2.5-flash-image")
        .text("prompt", "Make it blue.")
        .text("size", "1024x1536")
        .text("n", "1");
    let response = edit(&world, form).await;
    assert_eq!(response.status(), 200);
    assert_eq!(body(response).await["data"][0]["b64_json"], PICTURE);
    let sent = world.google.requests()[0].json();
    let image = json!({"inlineData": {"mimeType": "image/png", "data": PICTURE}});
    assert_eq!(
        sent["contents"][0]["parts"],
        json!([image, image, {"text": "Make it blue."}])
    );
    assert_eq!(
        sent["generationConfig"]["imageConfig"],
        json!({"aspectRatio": "2:3"})
    );

    let data_url = format!("data:image/png;base64,{PICTURE}");
    let asked = json!({
        "model": "gemini-2.5-flash-image", "prompt": "Make it red.",
        "images": [{"image_url": data_url}],
    });
    assert_eq!(ask(&world, "/v1/images/edits", asked).await.status(), 200);
    let sent = world.google.requests()[1].json();
    assert_eq!(sent["contents"][0]["parts"][0], image);
}

#[tokio::test]
async fn a_stream_ends_with_the_whole_image() {
    let world = World::with_keys(1).await;
    let asked = json!({"prompt": "A cat.", "stream": true, "partial_images": 2});
    let response = generate(&world, asked).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/event-stream; charset=utf-8"
    );
    let text = response.text().await.unwrap();
    assert!(text.starts_with("event: image_generation.completed\n"));
    let event: Value = serde_json::from_str(&events(&text)[0]).unwrap();
    assert_eq!(event["type"], "image_generation.completed");
    assert_eq!(event["b64_json"], PICTURE);
    assert!(event["usage"]["total_tokens"].as_u64().unwrap() > 0);

    let form = Form::new()
        .part("image", picture())
        .text("prompt", "x")
        .text("stream", "true");
    let text = edit(&world, form).await.text().await.unwrap();
    assert!(text.starts_with("event: image_edit.completed\n"));
}

#[tokio::test]
async fn what_is_not_drawn_is_an_error_that_says_why() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::Blocked);
    let response = generate(&world, json!({"prompt": "Something bad."})).await;
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert_eq!(error["code"], "moderation_blocked");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("PROHIBITED_CONTENT"),
        "{error}"
    );

    world
        .google
        .fault_next(Fault::Finished("IMAGE_SAFETY".into()));
    let error = body(generate(&world, json!({"prompt": "x"})).await).await["error"].clone();
    assert_eq!(error["code"], "moderation_blocked");
    assert!(
        error["message"].as_str().unwrap().contains("IMAGE_SAFETY"),
        "{error}"
    );

    world.google.answer_next(Answer::text("I would rather not"));
    let error = body(generate(&world, json!({"prompt": "x"})).await).await["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("The model said: I would rather not."),
        "{message}"
    );
}

#[tokio::test]
async fn mistakes_are_named() {
    let world = World::with_keys(1).await;
    for (asked, param, says) in [
        (json!({}), "prompt", "`prompt` is missing"),
        (json!({"prompt": "x", "n": 0}), "n", "from 1 to 10"),
        (json!({"prompt": "x", "n": 11}), "n", "from 1 to 10"),
        (json!({"prompt": "x", "size": "huge"}), "size", "1024x1024"),
        (json!({"prompt": "x", "quality": "best"}), "quality", "hd"),
        (
            json!({"prompt": "x", "response_format": "gif"}),
            "response_format",
            "b64_json or url",
        ),
        (
            json!({"prompt": "x", "background": "transparent"}),
            "background",
            "leave it out",
        ),
        (
            json!({"prompt": "x", "model": "imagen-4.0-generate-001"}),
            "model",
            "shut down",
        ),
        (
            json!({"prompt": "x", "images": []}),
            "images",
            "/v1/images/edits",
        ),
    ] {
        let response = generate(&world, asked.clone()).await;
        assert_eq!(response.status(), 400, "{asked}");
        let error = body(response).await["error"].clone();
        assert_eq!(error["param"], param, "{asked}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let text = Part::text("Not an image.").file_name("a.txt");
    for (form, says) in [
        (Form::new().text("prompt", "x"), "`image` is missing"),
        (
            Form::new().text("prompt", "x").part("image", text),
            "text/plain",
        ),
        (
            Form::new()
                .text("prompt", "x")
                .part("image", picture())
                .part("mask", picture()),
            "`mask` is not supported",
        ),
        (
            Form::new().part("image", picture()).text("n", "two"),
            "`n` is \"two\"",
        ),
    ] {
        let response = edit(&world, form).await;
        assert_eq!(response.status(), 400);
        let error = body(response).await["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let broken = world
        .http
        .post(world.url("/v1/images/edits"))
        .bearer_auth(TOKEN)
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nno end");
    let response = broken.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("form is not valid"),
        "{error}"
    );
    assert!(world.google.requests().is_empty());
}

#[tokio::test]
async fn responses_draw_as_their_tool_says() {
    let world = World::with_keys(1).await;
    let asked = json!({
        "model": "gemini-3.1-flash-image", "input": "Draw a cat.",
        "tools": [{"type": "image_generation", "size": "1024x1536", "quality": "high"}],
    });
    let answer = body(ask(&world, "/v1/responses", asked).await).await;
    let output = answer["output"].as_array().unwrap();
    let image = output
        .iter()
        .find(|item| item["type"] == "image_generation_call")
        .unwrap();
    assert_eq!(image["result"], PICTURE);
    let config = &world.google.requests()[0].json()["generationConfig"];
    assert_eq!(
        config["imageConfig"],
        json!({"aspectRatio": "2:3", "imageSize": "2K"})
    );
}
