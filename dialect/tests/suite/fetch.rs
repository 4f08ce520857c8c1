//! Media by address: what has to be fetched, and what becomes of it.

use dialect::ModelMap;
use dialect::anthropic_to_gemini::{count_tokens_request, messages_request};
use dialect::fetch::{Unfilled, fill};
use dialect::openai_to_gemini::chat_request;
use dialect::openai_to_gemini::responses::responses_request;
use serde_json::{Value, json as value};

use crate::common::json;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn chat(parts: Value) -> Vec<u8> {
    let body = value!({
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": parts}],
    });
    body.to_string().into_bytes()
}

fn image(url: &str) -> Value {
    value!({"type": "image_url", "image_url": {"url": url}})
}

/// What fetched media may have together.
const MOST: usize = 1024 * 1024;

#[test]
fn every_protocol_names_what_has_to_be_fetched_and_where_it_stands() {
    let url = "https://example.com/cat?size=1";
    let call = chat_request(&chat(value!([{"type": "text", "text": "x"}, image(url)]))).unwrap();
    assert_eq!(call.fetch.len(), 1);
    assert_eq!(call.fetch[0].url, url);
    assert_eq!(call.fetch[0].param, "messages[0].content[1].image_url");

    let body = value!({"model": "gemini-2.5-flash", "input": [
        {"role": "user", "content": [{"type": "input_file", "file_url": url}]},
    ]});
    let call = responses_request(body.to_string().as_bytes(), &()).unwrap();
    assert_eq!(call.fetch[0].param, "input[0].content[0].file_url");

    let body = value!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]},
    ]});
    let body = body.to_string();
    let call = messages_request(body.as_bytes(), &ModelMap::default()).unwrap();
    assert_eq!(call.fetch[0].param, "messages[0].content[0].source.url");
    let count = count_tokens_request(body.as_bytes(), &ModelMap::default()).unwrap();
    assert_eq!(count.fetch, call.fetch);
    let found = count.fetch[0].found(None, PNG).unwrap();
    let filled = json(&fill(&count.body, &[found], MOST).unwrap());
    let part = &filled["generateContentRequest"]["contents"][0]["parts"][0];
    assert_eq!(part["inlineData"]["mimeType"], "image/png");
}

#[test]
fn what_google_reads_itself_is_not_fetched() {
    for url in [
        "https://www.youtube.com/watch?v=9hE5-98ZeCg",
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "data:image/png;base64,iVBORw0KGgo=",
    ] {
        let call = chat_request(&chat(value!([image(url)]))).unwrap();
        assert!(call.fetch.is_empty(), "{url}");
    }
}

#[test]
fn what_was_found_takes_the_place_of_its_address_and_all_else_stays() {
    let (cat, dog) = ("https://example.com/cat", "http://example.com/a\"dog\u{e9}");
    let says = format!("{{\"fileData\":{{\"fileUri\":\"{cat}\"}}}}");
    let parts = value!([
        image(cat), {"type": "text", "text": says}, image(dog), image(cat),
        image("https://youtu.be/x"),
    ]);
    let call = chat_request(&chat(parts)).unwrap();
    assert_eq!(call.fetch.len(), 2, "each address once");
    let found = [
        call.fetch[0].found(Some("image/jpg"), b"a").unwrap(),
        call.fetch[1].found(Some("text/html"), PNG).unwrap(),
    ];
    let filled = json(&fill(&call.body, &found, MOST).unwrap());
    let mut expected = json(&call.body);
    let parts = &mut expected["contents"][0]["parts"];
    let cat = value!({"inlineData": {"mimeType": "image/jpeg", "data": "YQ=="}});
    parts[0] = cat.clone();
    parts[2] = value!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgpyZXN0"}});
    parts[3] = cat;
    assert_eq!(filled, expected);
    assert_eq!(parts_of(&filled)[1]["text"], says);
    // "YQ==" twice, and the picture once.
    assert!(fill(&call.body, &found, 24).is_ok());
    assert_eq!(fill(&call.body, &found, 23), Err(Unfilled::TooLarge));
}

#[test]
fn an_error_shows_no_credential_of_an_address() {
    let call = chat_request(&chat(value!([image("http://a.example/x?key=s3cret")]))).unwrap();
    let refused = call.fetch[0].refused("it is gone.");
    assert!(
        refused.message.contains("http://a.example/x"),
        "{refused:?}"
    );
    assert!(!refused.message.contains("s3cret"), "{refused:?}");
    let part = image("https://me:s3cret@a.example/x");
    if let Err(refused) = chat_request(&chat(value!([part]))) {
        assert!(!refused.message.contains("s3cret"), "{refused:?}");
    }
}

fn parts_of(body: &Value) -> &Vec<Value> {
    body["contents"][0]["parts"].as_array().unwrap()
}

#[test]
fn the_media_type_is_seen_or_told_or_guessed() {
    let kind = |part: Value, declared: Option<&str>, bytes: &[u8]| {
        let call = chat_request(&chat(value!([part]))).unwrap();
        let found = call.fetch[0].found(declared, bytes)?;
        let filled = json(&fill(&call.body, &[found], MOST).unwrap());
        let kind = &parts_of(&filled)[0]["inlineData"]["mimeType"];
        Ok::<_, dialect::Invalid>(kind.as_str().unwrap().to_owned())
    };
    let file = |url: &str| value!({"type": "file", "file": {"file_data": url}});
    let audio =
        |url: &str| value!({"type": "input_audio", "input_audio": {"data": url, "format": "mp3"}});
    for (part, declared, bytes, expected) in [
        (
            image("https://a.example/b.webp"),
            None,
            &b"?"[..],
            "image/webp",
        ),
        (image("https://a.example"), None, b"?", "image/png"),
        (
            image("https://a.example/b"),
            Some("image/heic; q=1"),
            b"?",
            "image/heic",
        ),
        (
            image("https://a.example/b"),
            Some("application/octet-stream"),
            b"\xff\xd8\xff\xe0",
            "image/jpeg",
        ),
        (
            image("https://a.example/b.png"),
            Some("application/pdf"),
            b"%PDF-1.7",
            "application/pdf",
        ),
        (
            image("https://a.example/b.png"),
            Some("binary/octet-stream"),
            b"RIFF....WAVEfmt ",
            "audio/wav",
        ),
        (
            file("https://a.example/b.csv?x=y.pdf"),
            None,
            b"a,b",
            "text/csv",
        ),
        (
            file("https://a.example/b"),
            Some("TEXT/HTML; charset=utf-8"),
            b"<p>",
            "text/html",
        ),
        (
            file("https://a.example/b"),
            Some("application/json"),
            b"{}",
            "text/plain",
        ),
        (
            audio("http://a.example/b"),
            Some("audio/mpeg"),
            b"\xff\xfb",
            "audio/mpeg",
        ),
    ] {
        assert_eq!(kind(part, declared, bytes).as_deref(), Ok(expected));
    }
    let page = kind(image("https://a.example/b"), Some("text/html"), b"<html>").unwrap_err();
    assert!(
        page.message.contains("answers with text/html"),
        "{}",
        page.message
    );
    assert!(
        page.message.contains("the image itself"),
        "{}",
        page.message
    );
    assert_eq!(page.code, Some("invalid_image_url"));
    let zip = kind(file("https://a.example/b"), Some("application/zip"), b"PK").unwrap_err();
    assert!(zip.message.contains("application/zip"), "{}", zip.message);
    let nothing = kind(image("https://a.example/b"), None, b"").unwrap_err();
    assert!(
        nothing.message.contains("holds nothing"),
        "{}",
        nothing.message
    );
}
