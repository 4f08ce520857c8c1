//! Chat that is answered in speech.

use dialect::openai_to_gemini::{
    AudioFormat, ChatCall, ChatStream, chat_request, chat_response_spoken, speech_heard,
};
use serde_json::{Value, json};

use crate::common::{json, meta};

fn asked(stream: bool) -> ChatCall {
    let body = json!({
        "model": "gemini-3.8-flash-tts", "stream": stream, "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": if stream { "pcm16" } else { "mp3" }},
        "messages": [{"role": "user", "content": "Hello."}],
    });
    chat_request(body.to_string().as_bytes()).unwrap()
}

fn event(data: &str, end: Option<&str>) -> Vec<u8> {
    let blob = json!({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": data}});
    let mut candidate = json!({"content": {"role": "model", "parts": [blob]}, "index": 0});
    if let Some(end) = end {
        candidate["finishReason"] = json!(end);
    }
    json!({"candidates": [candidate]}).to_string().into_bytes()
}

#[test]
fn a_whole_answer_has_its_audio_beside_the_text() {
    let call = asked(false);
    assert_eq!(call.audio, Some(AudioFormat::Mp3));
    let answer = event("AAEC", Some("STOP"));
    assert_eq!(speech_heard(&answer).unwrap().samples, [0, 1, 2]);
    let answer = json(&chat_response_spoken(&call, &meta(), &answer, Some(b"packed")).unwrap());
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(
        choice["message"]["audio"],
        json!({"id": "audio_golden", "data": "cGFja2Vk", "transcript": "", "expires_at": 1_800_003_600})
    );
}

#[test]
fn a_stream_has_its_samples_as_they_come() {
    let mut stream = ChatStream::new(&asked(true), &meta());
    let mut out = Vec::new();
    for (data, end) in [("AAEC", None), ("AwQF", Some("STOP"))] {
        stream.event(&event(data, end), &mut out).unwrap();
    }
    stream.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let audio: Vec<Value> = text
        .split_terminator("\n\n")
        .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .filter_map(|chunk: Value| chunk["choices"][0]["delta"].get("audio").cloned())
        .collect();
    let expected = [
        json!({"id": "audio_golden", "data": "AAEC"}),
        json!({"data": "AwQF"}),
        json!({"transcript": "", "expires_at": 1_800_003_600}),
    ];
    assert_eq!(audio, expected);
    assert!(!text.contains("](data:"), "{text}");
    assert!(text.contains("\"finish_reason\":\"stop\"") && text.ends_with("[DONE]\n\n"));
}
