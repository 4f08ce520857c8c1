//! `/v1/audio/transcriptions` and `/v1/audio/translations`.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use testkit::google::{Answer, Fault};

use crate::world::{TOKEN, World, events, json as body};

async fn send(world: &World, path: &str, form: Form) -> reqwest::Response {
    let request = world.http.post(world.url(path));
    request
        .bearer_auth(TOKEN)
        .multipart(form)
        .send()
        .await
        .unwrap()
}

async fn transcribe(world: &World, fields: &[(&'static str, &'static str)]) -> reqwest::Response {
    send(world, "/v1/audio/transcriptions", form(fields)).await
}

fn form(fields: &[(&'static str, &'static str)]) -> Form {
    let audio = Part::bytes(b"ID3 some sound".to_vec()).file_name("a.mp3");
    let form = Form::new().part("file", audio).text("model", "whisper-1");
    fields
        .iter()
        .fold(form, |form, (name, value)| form.text(*name, *value))
}

/// What the model answers when it is asked for times.
fn timed() -> Answer {
    Answer::text(
        json!({"language": "english", "segments": [
            {"start": "00:00:00.250", "end": "00:01.5", "text": " One. "},
            {"start": "00:01:01", "end": "01:02:03.004", "text": "Two\n\nlines."},
            {"start": "0:30", "end": "0:20", "text": "Late."},
            {"start": "0:30", "end": "0:40", "text": ""},
        ]})
        .to_string(),
    )
}

#[tokio::test]
async fn a_recording_becomes_text() {
    let world = World::with_keys(1).await;
    world.google.answer_next(Answer::text("Hello there.\n"));
    let fields = [
        ("language", "en"),
        ("prompt", "Words: Zyx."),
        ("temperature", "0.5"),
    ];
    let response = transcribe(&world, &fields).await;
    assert_eq!(response.status(), 200);
    let answer = body(response).await;
    assert_eq!(answer["text"], "Hello there.");
    assert_eq!(answer["usage"]["type"], "tokens");
    assert!(answer["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let seen = &world.google.requests()[0];
    assert_eq!(seen.model.as_deref(), Some("gemini-3.5-flash-lite"));
    let sent = seen.json();
    let parts = &sent["contents"][0]["parts"];
    assert_eq!(parts[0]["inlineData"]["mimeType"], "audio/mp3");
    let told = parts[1]["text"].as_str().unwrap();
    assert!(told.contains("word for word") && told.contains("\"en\"") && told.contains("Zyx"));
    assert_eq!(sent["generationConfig"]["temperature"], 0.5);

    world.google.answer_next(Answer::text("Hello."));
    let response = send(
        &world,
        "/v1/audio/translations",
        form(&[("response_format", "text")]),
    )
    .await;
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    assert_eq!(response.text().await.unwrap(), "Hello.\n");
    let told = world.google.requests()[1].json().to_string();
    assert!(told.contains("into English"), "{told}");

    world.google.answer_next(Answer::text("[NO SPEECH]"));
    assert_eq!(body(transcribe(&world, &[]).await).await["text"], "");
}

#[tokio::test]
async fn subtitles_have_the_times_that_the_model_tells() {
    let world = World::with_keys(1).await;
    world.google.answer_next(timed());
    let srt = transcribe(&world, &[("response_format", "srt")])
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(
        srt,
        "1\n00:00:00,250 --> 00:00:01,500\nOne.\n\n\
         2\n00:01:01,000 --> 01:02:03,004\nTwo\nlines.\n\n\
         3\n00:01:01,000 --> 00:01:01,000\nLate.\n\n"
    );
    world.google.answer_next(timed());
    let response = transcribe(&world, &[("response_format", "vtt")]).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/vtt; charset=utf-8"
    );
    let vtt = response.text().await.unwrap();
    assert!(
        vtt.starts_with("WEBVTT\n\n00:00:00.250 --> 00:00:01.500\nOne.\n\n"),
        "{vtt}"
    );

    world.google.answer_next(timed());
    let fields = [
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "segment"),
    ];
    let answer = body(transcribe(&world, &fields).await).await;
    assert_eq!(answer["task"], "transcribe");
    assert_eq!(answer["language"], "english");
    assert_eq!(answer["text"], "One. Two\n\nlines. Late.");
    assert_eq!(answer["segments"][0]["start"], 0.25);
    assert_eq!(answer["segments"][1]["end"], 3723.004);
    let config = world.google.requests()[0].json()["generationConfig"].clone();
    assert_eq!(config["responseMimeType"], "application/json");
    assert!(config["responseJsonSchema"]["properties"]["segments"].is_object());

    world.google.answer_next(Answer::text("Sorry, no."));
    let response = transcribe(&world, &[("response_format", "srt")]).await;
    assert_eq!(response.status(), 502, "no subtitles are made up");
}

#[tokio::test]
async fn a_transcript_streams() {
    let world = World::with_keys(1).await;
    let said = "This is a longer text that comes in several pieces.";
    world.google.answer_next(Answer::text(said));
    let text = transcribe(&world, &[("stream", "true")])
        .await
        .text()
        .await
        .unwrap();
    let events: Vec<Value> = events(&text)
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let (last, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 1);
    let joined: String = deltas
        .iter()
        .map(|delta| delta["delta"].as_str().unwrap())
        .collect();
    assert_eq!(joined, said);
    assert_eq!(
        (&last["type"], &last["text"]),
        (&json!("transcript.text.done"), &json!(said))
    );

    world.google.answer_next(Answer::text("[NO SPEECH]"));
    let text = transcribe(&world, &[("stream", "true")])
        .await
        .text()
        .await
        .unwrap();
    assert!(
        !text.contains("delta") && text.contains("\"text\":\"\""),
        "{text}"
    );

    world.google.answer_next(Answer::text(said));
    world.google.fault_next(Fault::ErrorInStream {
        after: 1,
        code: 503,
    });
    let text = transcribe(&world, &[("stream", "true")])
        .await
        .text()
        .await
        .unwrap();
    assert!(
        text.contains("event: error\n") && !text.contains("transcript.text.done"),
        "{text}"
    );
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    let world = World::with_keys(1).await;
    for (fields, says) in [
        (
            [("response_format", "diarized_json")],
            "json, text, srt, verbose_json or vtt",
        ),
        (
            [("timestamp_granularities[]", "word")],
            "cannot tell when a word is said",
        ),
        ([("include[]", "logprobs")], "logprobs"),
        ([("temperature", "hot")], "a number"),
    ] {
        let response = transcribe(&world, &fields).await;
        assert_eq!(response.status(), 400, "{fields:?}");
        let error = body(response).await["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let stream = transcribe(&world, &[("stream", "true"), ("response_format", "srt")]).await;
    assert_eq!(stream.status(), 400);
    let text = Part::text("Not a sound.").file_name("a.txt");
    for (form, says) in [
        (Form::new().text("model", "whisper-1"), "`file` is missing"),
        (Form::new().part("file", text), "no audio"),
        (
            Form::new().part("file", Part::bytes(Vec::new()).file_name("a.mp3")),
            "is empty",
        ),
    ] {
        let response = send(&world, "/v1/audio/transcriptions", form).await;
        assert_eq!(response.status(), 400);
        let error = body(response).await["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let json = world
        .http
        .post(world.url("/v1/audio/transcriptions"))
        .bearer_auth(TOKEN);
    let json = json.header("content-type", "application/json").body("{}");
    let response = json.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("multipart/form-data"),
        "{error}"
    );
    assert!(world.google.requests().is_empty());

    world.google.fault_next(Fault::Blocked);
    let response = transcribe(&world, &[]).await;
    assert_eq!(response.status(), 400);
    assert_eq!(body(response).await["error"]["code"], "moderation_blocked");
}
