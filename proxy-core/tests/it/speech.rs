//! `/v1/audio/speech`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::google::{Cut, Fault};

use crate::world::{TOKEN, World, events, json as body};

async fn speak(world: &World, asked: Value) -> reqwest::Response {
    world
        .http
        .post(world.url("/v1/audio/speech"))
        .bearer_auth(TOKEN)
        .header("content-type", "application/json")
        .body(asked.to_string())
        .send()
        .await
        .unwrap()
}

/// The samples that the fake says for a text: a hundredth of a second for each character.
const fn bytes_for(text: &str) -> usize {
    text.len() * 240 * 2
}

#[tokio::test]
async fn every_format_holds_what_was_said() {
    const TEXT: &str = "The quick brown fox jumps over the lazy dog.";
    let world = World::with_keys(1).await;
    let asked = |format: &str| json!({"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": format});
    let pcm = speak(&world, asked("pcm")).await;
    assert_eq!(pcm.headers()["content-type"], "audio/pcm");
    let pcm = pcm.bytes().await.unwrap();
    assert_eq!(pcm.len(), bytes_for(TEXT));

    let wav = speak(&world, asked("wav")).await;
    assert_eq!(wav.headers()["content-type"], "audio/wav");
    let wav = wav.bytes().await.unwrap();
    assert_eq!(&wav[..4], b"RIFF");
    assert_eq!(&wav[44..], &pcm[..]);

    for (format, kind, begins) in [
        ("mp3", "audio/mpeg", &b"\xff\xf3"[..]),
        ("opus", "audio/ogg", b"OggS"),
    ] {
        let response = speak(&world, asked(format)).await;
        assert_eq!(response.headers()["content-type"], kind);
        let file = response.bytes().await.unwrap();
        assert!(file.starts_with(begins), "{format}: {:?}", &file[..4]);
        assert!(
            file.len() < pcm.len() / 2 && file.len() > 500,
            "{format}: {}",
            file.len()
        );
    }
    let mp3 = speak(
        &world,
        json!({"model": "tts-1", "voice": "alloy", "input": TEXT}),
    )
    .await;
    assert_eq!(
        mp3.headers()["content-type"],
        "audio/mpeg",
        "mp3 unless told otherwise"
    );
}

#[tokio::test]
async fn voices_and_styles_are_told_as_each_model_takes_them() {
    let world = World::with_keys(1).await;
    for (model, voice, googles) in [
        ("gpt-4o-mini-tts", "onyx", "Algenib"),
        ("tts-1-hd", "Nova", "Aoede"),
        ("gemini-3.8-flash-tts", "puck", "puck"),
        ("gemini-2.5-flash-preview-tts", "Zephyr", "Zephyr"),
    ] {
        let asked = json!({
            "model": model, "voice": voice, "input": "Hello.",
            "instructions": "Whisper.", "speed": 1.5,
        });
        assert_eq!(speak(&world, asked).await.status(), 200, "{model}");
        let sent = world.google.requests().last().unwrap().json();
        let config = &sent["generationConfig"];
        assert_eq!(config["responseModalities"], json!(["AUDIO"]));
        assert_eq!(
            config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"],
            googles
        );
        let part = &sent["contents"][0]["parts"][0];
        let style = "Whisper. Speak at 1.5 times the usual speed.";
        match model.contains("2.5") {
            false => assert_eq!(
                part,
                &json!({"text": "Hello.", "speechMetadata": {"style": style}})
            ),
            true => assert_eq!(part, &json!({"text": format!("{style}\n\nSay: Hello.")})),
        }
    }
    let models: Vec<_> = world
        .google
        .requests()
        .into_iter()
        .filter_map(|r| r.model)
        .collect();
    assert_eq!(
        models[..2],
        ["gemini-3.8-flash-lite-tts", "gemini-3.8-flash-tts"]
    );
}

#[tokio::test]
async fn audio_comes_in_events_when_asked_for() {
    const TEXT: &str = "Half a minute of nothing in particular, please.";
    let world = World::with_keys(1).await;
    let asked = json!({
        "model": "tts-1", "voice": "coral", "input": TEXT,
        "response_format": "pcm", "stream_format": "sse",
    });
    let text = speak(&world, asked).await.text().await.unwrap();
    let events: Vec<Value> = events(&text)
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let (last, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 2, "as it comes");
    let heard: usize = deltas
        .iter()
        .map(|delta| {
            assert_eq!(delta["type"], "speech.audio.delta");
            STANDARD
                .decode(delta["audio"].as_str().unwrap())
                .unwrap()
                .len()
        })
        .sum();
    assert_eq!(heard, bytes_for(TEXT));
    assert_eq!(last["type"], "speech.audio.done");
    assert!(last["usage"]["output_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn audio_that_breaks_off_does_not_end_as_if_it_were_complete() {
    let world = World::with_keys(1).await;
    let asked = json!({
        "model": "tts-1", "voice": "alloy", "response_format": "pcm",
        "input": "This will be cut off somewhere in the middle.",
    });
    world.google.fault_next(Fault::CutAfter {
        events: 2,
        cut: Cut::Reset,
    });
    let response = speak(&world, asked.clone()).await;
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());

    let mut with_events = asked;
    with_events["stream_format"] = json!("sse");
    world.google.fault_next(Fault::ErrorInStream {
        after: 2,
        code: 503,
    });
    let response = speak(&world, with_events).await;
    let mut text = String::new();
    let mut response = response;
    while let Ok(Some(piece)) = response.chunk().await {
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(text.contains("event: error\ndata: {\"error\""), "{text}");
    assert!(!text.contains("speech.audio.done"));
}

#[tokio::test]
async fn what_cannot_be_spoken_is_an_error() {
    let world = World::with_keys(1).await;
    let long = "x".repeat(4097);
    for (asked, param, says) in [
        (json!({"model": "tts-1"}), "input", "`input` is missing"),
        (json!({"input": long}), "input", "4097 characters"),
        (
            json!({"input": "x", "response_format": "aac"}),
            "response_format",
            "mp3, opus, wav or pcm",
        ),
        (json!({"input": "x", "speed": 9}), "speed", "0.25 to 4"),
        (
            json!({"input": "x", "voice": {"id": "voice_1"}}),
            "voice",
            "made at OpenAI",
        ),
        (
            json!({"input": "x", "stream_format": "ndjson"}),
            "stream_format",
            "audio or sse",
        ),
    ] {
        let response = speak(&world, asked.clone()).await;
        assert_eq!(response.status(), 400, "{asked}");
        let error = body(response).await["error"].clone();
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let response = speak(&world, json!({"input": "x", "voice": "nobody"})).await;
    assert_eq!(response.status(), 400);
    let error = body(response).await["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("Voice name nobody"),
        "{error}"
    );

    world.google.fault_next(Fault::Blocked);
    let response = speak(&world, json!({"input": "Something bad."})).await;
    assert_eq!(response.status(), 400);
    assert_eq!(body(response).await["error"]["code"], "moderation_blocked");
}

#[tokio::test]
async fn chat_is_answered_in_speech() {
    const TEXT: &str = "Good morning.";
    let world = World::with_keys(1).await;
    let asked = |format: &str, stream: bool| {
        json!({
            "model": "gemini-3.8-flash-tts", "stream": stream,
            "modalities": ["text", "audio"], "audio": {"voice": "onyx", "format": format},
            "messages": [{"role": "user", "content": TEXT}],
        })
    };
    for (format, begins) in [
        ("wav", &b"RIFF"[..]),
        ("mp3", b"\xff\xf3"),
        ("opus", b"OggS"),
    ] {
        let answer = body(world.chat(asked(format, false)).await).await;
        let audio = &answer["choices"][0]["message"]["audio"];
        let data = STANDARD.decode(audio["data"].as_str().unwrap()).unwrap();
        assert!(data.starts_with(begins), "{format}: {answer}");
        assert!(
            audio["id"].as_str().unwrap().starts_with("audio_"),
            "{audio}"
        );
        assert!(audio["expires_at"].as_i64().unwrap() > answer["created"].as_i64().unwrap());
    }
    let sent = world.google.requests().pop().unwrap().json();
    let config = &sent["generationConfig"];
    assert_eq!(config["responseModalities"], json!(["AUDIO"]));
    let voice = &config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"];
    assert_eq!(voice, "Algenib");

    let text = world.chat(asked("pcm16", true)).await.text().await.unwrap();
    let samples: usize = events(&text)
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|chunk| {
            let data = &chunk["choices"][0]["delta"]["audio"]["data"];
            Some(STANDARD.decode(data.as_str()?).unwrap().len())
        })
        .sum();
    assert_eq!(samples, bytes_for(TEXT), "{text}");
    // A model that does not speak is not asked to.
    let mut other = asked("wav", false);
    other["model"] = json!("gemini-2.5-flash");
    let before = world.google.requests().len();
    let refused = world.chat(other).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(body(refused).await["error"]["param"], "modalities");
    assert_eq!(world.google.requests().len(), before);
}
