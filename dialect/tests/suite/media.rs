//! What files are taken for, and the media in the text of a history.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use dialect::ModelMap;
use dialect::anthropic_to_gemini::messages_request;
use dialect::openai::form::{File, Form};
use dialect::openai_to_gemini::responses::responses_request;
use dialect::openai_to_gemini::{chat_request, upload_request};
use serde_json::{Value, json};

use crate::common::json;

fn kind(body: &[u8]) -> String {
    let body = json(body);
    let blob = &body["contents"][0]["parts"][0]["inlineData"];
    blob["mimeType"].as_str().unwrap().to_owned()
}

/// What becomes of a file in chat and in Responses, as base64 alone and behind each head.
fn kinds(name: Option<&str>, bytes: &[u8]) -> Vec<String> {
    let data = STANDARD.encode(bytes);
    let mut all = Vec::new();
    for head in [
        "",
        "data:application/octet-stream;base64,",
        "data:;base64,",
        "data:binary/octet-stream;base64,",
    ] {
        let data = format!("{head}{data}");
        let file = json!({"file_data": data, "filename": name});
        let content = json!([{"type": "file", "file": file}]);
        let chat = json!({
            "model": "gemini-3.8-flash", "messages": [{"role": "user", "content": content}],
        });
        let call = chat_request(chat.to_string().as_bytes()).unwrap();
        all.push(kind(&call.body));
        let content = json!([{"type": "input_file", "file_data": data, "filename": name}]);
        let responses = json!({
            "model": "gemini-3.8-flash", "input": [{"role": "user", "content": content}],
        });
        let call = responses_request(responses.to_string().as_bytes(), &()).unwrap();
        all.push(kind(&call.body));
    }
    all
}

#[test]
fn files_are_what_they_are_called_then_what_they_look_like() {
    let wave = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00";
    for (name, bytes, expected) in [
        (Some("main.rs"), &b"fn main() {}"[..], "text/plain"),
        (Some("a.PY"), b"print(1)\n", "text/plain"),
        (Some("x.log"), b"\x1b[31mred\x1b[0m\n", "text/plain"),
        (Some("c.yml"), b"a: 1", "text/plain"),
        (Some("d.toml"), b"a = 1", "text/plain"),
        (Some("notes.md"), b"# A", "text/markdown"),
        (
            Some("Makefile"),
            "all:\n\techo é\n".as_bytes(),
            "text/plain",
        ),
        (None, b"hello", "text/plain"),
        (None, b"\x00\x01\x02\x03", "application/pdf"),
        (None, b"\xff\xfe\xfa", "application/pdf"),
        (None, b"%PDF-1.7 \xff", "application/pdf"),
        (None, wave, "audio/wav"),
        (Some("a.wav"), wave, "audio/wav"),
        (None, b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (None, b"RIFF\x24\x00\x00\x00AVI LIST", "video/x-msvideo"),
        (None, b"\x89PNG\r\n\x1a\n", "image/png"),
        (Some("scan.pdf"), wave, "application/pdf"),
    ] {
        for kind in kinds(name, bytes) {
            assert_eq!(kind, expected, "{name:?} {bytes:?}");
        }
    }
}

#[test]
fn a_picture_that_says_nothing_is_no_text() {
    for (bytes, expected) in [
        (&b"hello"[..], "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
    ] {
        let url = format!("data:;base64,{}", STANDARD_NO_PAD.encode(bytes));
        let content = json!([{"type": "image_url", "image_url": {"url": url}}]);
        let chat = json!({
            "model": "gemini-3.8-flash", "messages": [{"role": "user", "content": content}],
        });
        let call = chat_request(chat.to_string().as_bytes()).unwrap();
        assert_eq!(kind(&call.body), expected);
    }
}

#[test]
fn a_documents_title_and_context_stand_before_it() {
    let document = json!({
        "type": "document", "title": "Report", "context": "From 2026.",
        "source": {"type": "text", "media_type": "text/plain", "data": "All is well."},
    });
    let body = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 9,
        "messages": [{"role": "user", "content": [document]}],
    });
    let call = messages_request(body.to_string().as_bytes(), &ModelMap::default()).unwrap();
    let texts = json!([{"text": "Report"}, {"text": "From 2026."}, {"text": "All is well."}]);
    assert_eq!(json(&call.body)["contents"][0]["parts"], texts);
}

/// What the model is said to have said.
fn said(text: &str) -> Value {
    let body = json!({
        "model": "gemini-3.8-flash",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": text},
            {"role": "user", "content": "b"},
        ],
    });
    let call = chat_request(body.to_string().as_bytes()).unwrap();
    json(&call.body)["contents"][1]["parts"].take()
}

#[test]
fn media_are_taken_out_of_a_history_and_what_is_none_stays() {
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    let link = "data:image/png;base64,iVBORw0KGgo=";
    for (text, parts) in [
        (
            format!("x ![a b]({link}) y"),
            json!([{"text": "x "}, image, {"text": " y"}]),
        ),
        (format!("[f]({link})"), json!([image])),
        (
            format!("](data:[x](data:image/png;base64,A ![i]({link})"),
            json!([{"text": "](data:[x](data:image/png;base64,A "}, image]),
        ),
    ] {
        assert_eq!(said(&text), parts, "{text}");
    }
    for text in [
        format!("i]({link})"),
        format!("![a\nb]({link})"),
        format!("![a]b]({link})"),
        "![a](data:image/png;base64,iV BO)".to_owned(),
        "![a](data:image/png;base64,iVBO".to_owned(),
        "![a](data:image/png,iVBO)".to_owned(),
    ] {
        assert_eq!(said(&text), json!([{"text": text}]));
    }
}

/// Where each link is looked for to the ends of the text, this takes longer than a test may.
#[test]
fn a_text_of_many_broken_links_is_read_once() {
    for broken in ["](data:", "[x](data:", "[x](data:image/png;base64,AAAA"] {
        let text = broken.repeat((4 << 20) / broken.len());
        assert_eq!(said(&text)[0]["text"], text);
    }
}

#[test]
fn source_code_can_be_uploaded_as_what_it_is() {
    for (name, bytes) in [
        ("main.rs", &b"fn main() {}"[..]),
        ("Dockerfile", b"FROM scratch"),
    ] {
        let file = File {
            field: "file".to_owned(),
            name: Some(name.to_owned()),
            media_type: Some("application/octet-stream".to_owned()),
            bytes: bytes.into(),
        };
        let form = Form {
            fields: vec![("purpose".to_owned(), "user_data".to_owned())],
            files: vec![file],
        };
        let call = upload_request(&form, "owner", "boundary").unwrap();
        let body = String::from_utf8(call.body).unwrap();
        assert!(body.contains("text/plain"), "{body}");
    }
}
