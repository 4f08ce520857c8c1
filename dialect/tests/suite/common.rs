//! Reading of fixtures, writing of snapshots.

use std::fs;
use std::path::{Path, PathBuf};

use dialect::style::{Citations, Media, Style, Thoughts};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the tests answer with.
pub fn meta() -> dialect::ResponseMeta {
    dialect::ResponseMeta {
        id: "chatcmpl-golden".to_owned(),
        created: 1_800_000_000,
        style: Style::default(),
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// All files of a folder with this extension, by name, sorted.
pub fn fixtures(name: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixtures in {name}");
    found
}

/// Compares with the golden file beside the fixture.
pub fn snapshot(name: &str, stem: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder(name));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(stem.to_owned(), shown));
}

/// Parses JSON that must be valid.
pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// JSON for human eyes.
pub fn pretty(bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&json(bytes)).unwrap()
}

/// Every style, with a name for its golden files.
pub fn styles() -> Vec<(&'static str, Style)> {
    let style = |thoughts, media| Style {
        thoughts,
        media,
        ..Style::default()
    };
    let sources_and_ids = Style {
        citations: Citations::Text,
        signed_ids: true,
        ..Style::default()
    };
    vec![
        ("sources_and_ids", sources_and_ids),
        ("native_markdown", style(Thoughts::Native, Media::Markdown)),
        ("inline_markdown", style(Thoughts::Inline, Media::Markdown)),
        ("hidden_field", style(Thoughts::Hidden, Media::Field)),
    ]
}

/// Any style.
pub fn style() -> impl Strategy<Value = Style> {
    let thoughts = [Thoughts::Native, Thoughts::Inline, Thoughts::Hidden];
    let media = [Media::Markdown, Media::Field];
    let citations = [Citations::Native, Citations::Text];
    let select = (
        prop::sample::select(thoughts.to_vec()),
        prop::sample::select(media.to_vec()),
        prop::sample::select(citations.to_vec()),
        prop::bool::ANY,
    );
    select.prop_map(|(thoughts, media, citations, signed_ids)| Style {
        thoughts,
        media,
        citations,
        signed_ids,
    })
}

/// The answers whose thoughts and media the styles' golden files show.
pub const STYLED: [&str; 5] = [
    "grounded_thoughts",
    "image_and_code",
    "multi_parts_everything",
    "thought_text_calls_then_stop",
    "thoughts_then_answer",
];

/// One part of a model's answer, as Google sends it.
pub fn part() -> impl Strategy<Value = Value> {
    let text = "[a-zé😀\"\\\\\n ]{1,12}";
    let args = prop_oneof![
        Just(json!({})),
        ("[a-z]{1,4}", "[a-zü\"\\\\ ]{0,8}").prop_map(|(k, v)| json!({k: [v, 1.5, null]})),
    ];
    prop_oneof![
        text.prop_map(|text| json!({"text": text})),
        text.prop_map(|text| json!({"text": text, "thought": true})),
        "[A-Za-z0-9+/]{4}"
            .prop_map(|data| json!({"inlineData": {"mimeType": "image/png", "data": data}})),
        (
            args,
            prop::option::of("[a-z]{3}"),
            prop::option::of("[A-Za-z0-9]{8}")
        )
            .prop_map(|(args, id, signature)| {
                let mut part = json!({"functionCall": {"name": "f", "args": args}});
                if let Some(id) = id {
                    part["functionCall"]["id"] = json!(id);
                }
                if let Some(signature) = signature {
                    part["thoughtSignature"] = json!(signature);
                }
                part
            }),
    ]
}
