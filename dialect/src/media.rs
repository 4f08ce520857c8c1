//! Media inside requests: data URLs, addresses that Google can read itself, media types.

use std::borrow::Cow;

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine, alphabet};
use memchr::{memchr, memchr3, memmem, memrchr3};

use crate::error::Invalid;
use crate::fetch::{self, Wanted};
use crate::file_id::FileId;
use crate::gemini::request::{FileData, Part};

/// Formats, extensions and the media types that Google documents for them.
const TYPES: [(&str, &str); 36] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("mpga", "audio/mp3"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("aac", "audio/aac"),
    ("aiff", "audio/aiff"),
    ("m4a", "audio/mp4"),
    ("pcm16", "audio/pcm"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("mov", "video/quicktime"),
    ("avi", "video/x-msvideo"),
    ("webm", "video/webm"),
    ("wmv", "video/wmv"),
    ("flv", "video/x-flv"),
    ("3gp", "video/3gpp"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("css", "text/css"),
    ("xml", "text/xml"),
    ("rtf", "text/rtf"),
    ("json", "text/plain"),
    ("yaml", "text/plain"),
];

/// Extensions of source code and of other text that Google has no media type for.
const TEXTS: [&str; 78] = [
    "asm",
    "astro",
    "bash",
    "bat",
    "bib",
    "c",
    "cc",
    "cfg",
    "cjs",
    "clj",
    "cmake",
    "conf",
    "cpp",
    "cs",
    "cts",
    "cu",
    "cxx",
    "dart",
    "diff",
    "env",
    "erl",
    "ex",
    "exs",
    "fs",
    "go",
    "gradle",
    "graphql",
    "h",
    "hpp",
    "hs",
    "ini",
    "ipynb",
    "java",
    "jl",
    "js",
    "jsonc",
    "jsonl",
    "jsx",
    "kt",
    "kts",
    "less",
    "log",
    "lua",
    "m",
    "mjs",
    "mm",
    "mts",
    "ndjson",
    "nim",
    "patch",
    "php",
    "pl",
    "pm",
    "properties",
    "proto",
    "ps1",
    "py",
    "pyi",
    "r",
    "rb",
    "rs",
    "rst",
    "sass",
    "scala",
    "scss",
    "sh",
    "sql",
    "srt",
    "svelte",
    "swift",
    "tex",
    "toml",
    "ts",
    "tsv",
    "tsx",
    "vue",
    "yml",
    "zig",
];

/// What a file is taken for that tells nothing of itself.
const PDF: &str = "application/pdf";
/// What text is that has no media type of its own at Google.
const TEXT: &str = "text/plain";

/// The media type for a format (`wav`) or a file name (`a.pdf`).
pub(crate) fn type_of(format_or_name: &str) -> Option<&'static str> {
    let extension = extension(format_or_name);
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map(|(_, media_type)| *media_type)
}

/// As [`type_of`], for the name of a file, which may be one of source code.
pub(crate) fn type_of_file(name: &str) -> Option<&'static str> {
    type_of(name).or_else(|| {
        let extension = extension(name);
        let mut texts = TEXTS.iter();
        let is_text = texts.any(|known| known.eq_ignore_ascii_case(extension));
        is_text.then_some(TEXT)
    })
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.')
        .map_or(name, |(_, extension)| extension)
}

/// What the first bytes of well-known files say.
pub(crate) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let at = |from: usize, expected: &[u8]| {
        bytes
            .get(from..from + expected.len())
            .is_some_and(|found| found == expected)
    };
    let begins = |expected| at(0, expected);
    Some(match () {
        () if begins(b"\x89PNG\r\n\x1a\n") => "image/png",
        () if begins(b"\xff\xd8\xff") => "image/jpeg",
        () if begins(b"GIF8") => "image/gif",
        () if begins(b"%PDF-") => PDF,
        () if begins(b"RIFF") && at(8, b"WEBP") => "image/webp",
        () if begins(b"RIFF") && at(8, b"WAVE") => "audio/wav",
        () if begins(b"RIFF") && at(8, b"AVI ") => "video/x-msvideo",
        () if begins(b"ID3") => "audio/mp3",
        () if begins(b"fLaC") => "audio/flac",
        () if begins(b"OggS") => "audio/ogg",
        () => return None,
    })
}

/// How much base64 [`sniff`] looks at, in characters.
const LOOKED_AT: usize = 16;

/// Reads base64 that may end anywhere: it is the beginning of some, or has no padding.
const BEGINNING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn sniff_base64(data: &str) -> Option<&'static str> {
    let beginning = data.as_bytes().get(..LOOKED_AT).unwrap_or(data.as_bytes());
    sniff(&BEGINNING.decode(beginning).ok()?)
}

/// What a file is whose name and content say nothing: text, if it reads as such, else `fallback`.
/// Only where files of all kinds are meant: no picture is text.
pub(crate) fn usual(fallback: &'static str, bytes: &[u8]) -> &'static str {
    let text = (fallback == PDF).then(|| as_text(bytes));
    text.flatten().unwrap_or(fallback)
}

/// The media type of text, if the content reads as such.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&'static str> {
    // Escapes colour the logs of many programs.
    let is_layout = |c: char| matches!(c, '\t' | '\n' | '\x0c' | '\r' | '\x1b');
    let text = std::str::from_utf8(bytes).ok()?;
    let is_binary = text.contains(|c: char| c.is_control() && !is_layout(c));
    (!is_binary).then_some(TEXT)
}

/// Mends media types that Google refuses although it takes the content.
pub(crate) fn accepted(media_type: Cow<'_, str>) -> Cow<'_, str> {
    match &*media_type {
        "image/jpg" => "image/jpeg".into(),
        "application/json"
        | "application/xml"
        | "application/yaml"
        | "application/x-yaml"
        | "application/toml"
        | "application/javascript"
        | "application/x-javascript"
        | "application/typescript"
        | "application/x-sh"
        | "application/sql" => "text/plain".into(),
        _ => media_type,
    }
}

/// A part from base64 whose media type is `declared`, or else what the content looks like,
/// or else `fallback`.
pub(crate) fn inline<'a>(
    declared: Option<Cow<'a, str>>,
    data: Cow<'a, str>,
    fallback: &'static str,
    param: &str,
) -> Result<Part<'a>, Invalid> {
    let data = clean(data);
    if data.is_empty() {
        return Err(Invalid::new(param, format!("`{param}` holds no data.")));
    }
    let media_type = declared.filter(|kind| says_something(kind));
    let media_type = media_type.unwrap_or_else(|| {
        let seen = sniff_base64(&data).or_else(|| {
            let bytes = (fallback == PDF).then(|| BEGINNING.decode(data.as_bytes()));
            Some(usual(fallback, &bytes?.ok()?))
        });
        seen.unwrap_or(fallback).into()
    });
    Ok(Part::inline(accepted(media_type), data))
}

fn says_something(media_type: &str) -> bool {
    !media_type.is_empty() && !media_type.ends_with("/octet-stream")
}

/// A part from a file of any kind: its base64 or an address, and its name, if it has one. What
/// the name says counts more than what the content looks like.
pub(crate) fn of_file<'a>(
    data: Cow<'a, str>,
    name: Option<&str>,
    param: &str,
) -> Result<Part<'a>, Invalid> {
    let named = name.and_then(type_of_file);
    match is_address(&data) {
        true => from_url_named(data, named, PDF, param),
        false => inline(named.map(Cow::Borrowed), data, PDF, param),
    }
}

/// Base64 without the line breaks that some encoders put in, which Google refuses.
fn clean(data: Cow<'_, str>) -> Cow<'_, str> {
    if memchr3(b'\n', b'\r', b' ', data.as_bytes()).is_none() {
        return data;
    }
    data.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

/// A part from an address: a data URL, one that Google reads itself, or one to be fetched.
pub(crate) fn from_url<'a>(
    url: Cow<'a, str>,
    fallback: &'static str,
    param: &str,
) -> Result<Part<'a>, Invalid> {
    from_url_named(url, None, fallback, param)
}

/// The same, with what a name beside the address says.
pub(crate) fn from_url_named<'a>(
    url: Cow<'a, str>,
    named: Option<&'static str>,
    fallback: &'static str,
    param: &str,
) -> Result<Part<'a>, Invalid> {
    if url
        .get(..5)
        .is_some_and(|s| s.eq_ignore_ascii_case("data:"))
    {
        return from_data_url(url, named, fallback, param);
    }
    if google_reads(&url) {
        return Ok(by_address(None, url));
    }
    let fallback = named.unwrap_or(fallback);
    let is_web = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|given| given.eq_ignore_ascii_case(scheme))
    };
    if is_web("https://") || is_web("http://") {
        let wanted = Wanted {
            url: url.clone().into_owned(),
            param: param.to_owned(),
            fallback,
        };
        // What Google is told when it is to fetch by itself.
        let guess = type_of(fetch::path(&url)).unwrap_or(fallback);
        return Ok(Part {
            file_data: Some(FileData {
                mime_type: Some(guess.into()),
                file_uri: url,
                fetch: Some(Box::new(wanted)),
                upload: None,
            }),
            ..Part::default()
        });
    }
    let beginning = beginning(&url);
    Err(Invalid::new(
        param,
        format!(
            "`{param}` is no address that can be fetched (\"{beginning}\"); send one that begins \
             with https://, or a data: URL, i.e. data:image/png;base64,…"
        ),
    ))
}

/// Whether a field that may hold base64 holds an address instead.
pub(crate) fn is_address(data: &str) -> bool {
    ["data:", "https://", "http://"]
        .iter()
        .any(|beginning| data.starts_with(beginning))
}

/// A part that Google reads itself.
pub(crate) fn by_address<'a>(media_type: Option<&'static str>, uri: Cow<'a, str>) -> Part<'a> {
    Part {
        file_data: Some(FileData {
            mime_type: media_type.map(Cow::Borrowed),
            file_uri: uri,
            fetch: None,
            upload: None,
        }),
        ..Part::default()
    }
}

/// A part that was uploaded before.
pub(crate) fn uploaded<'a>(media_type: Option<&'static str>, id: &FileId) -> Part<'a> {
    let mut part = by_address(media_type, id.uri().into());
    if let Some(file) = &mut part.file_data {
        file.upload = Some(id.clone());
    }
    part
}

/// As much of an address as an error shows: no credential, and nothing after the path, which may
/// hold one.
pub(crate) fn beginning(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.chars().take(40).collect();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
        .chars()
        .take(40)
        .collect()
}

/// Takes apart what the model said earlier, as a client sends it back: media that were put into
/// the text as Markdown become media again. As text they would be millions of characters that
/// the model cannot read.
pub(crate) fn from_markdown(text: Cow<'_, str>) -> Vec<Part<'_>> {
    match text {
        text if memmem::find(text.as_bytes(), DATA_LINK).is_none() => vec![Part::text(text)],
        Cow::Borrowed(text) => taken_apart(text),
        Cow::Owned(text) => taken_apart(&text).into_iter().map(owned).collect(),
    }
}

/// What every such Markdown has.
const DATA_LINK: &[u8] = b"](data:";

fn taken_apart(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = memmem::find(&rest.as_bytes()[from..], DATA_LINK).map(|at| from + at) {
        let Some((start, part, end)) = markdown_at(rest, at) else {
            from = at + 1;
            continue;
        };
        if start > 0 {
            parts.push(Part::text(&rest[..start]));
        }
        parts.push(part);
        rest = &rest[end..];
        from = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::text(rest));
    }
    parts
}

/// A part of text or of media that borrows nothing.
fn owned<'a>(part: Part<'_>) -> Part<'a> {
    match part.inline_data {
        Some(blob) => Part::inline(blob.mime_type.into_owned(), blob.data.into_owned()),
        None => Part::text(part.text.unwrap_or_default().into_owned()),
    }
}

/// The media whose `](data:` is at `at`: where its Markdown begins, what it is, where it ends.
fn markdown_at(text: &str, at: usize) -> Option<(usize, Part<'_>, usize)> {
    let (before, after) = (&text[..at], &text[at + DATA_LINK.len()..]);
    // Both ends are looked for no further than to the neighbouring links, so a text of many that
    // are none is not looked through again for each.
    let bracket = memrchr3(b'[', b'\n', b']', before.as_bytes())?;
    if before.as_bytes()[bracket] != b'[' {
        return None;
    }
    let start = match before[..bracket].ends_with('!') {
        true => bracket - 1,
        false => bracket,
    };
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let is_part = |byte: &u8| is_base64(byte) || b"-._;,\"".contains(byte);
    let length = after.bytes().position(|byte| !is_part(&byte))?;
    let (kind, data) = after[..length].split_once(";base64,")?;
    let is_link = after.as_bytes()[length] == b')' && data.bytes().all(|byte| is_base64(&byte));
    if data.is_empty() || !is_link || !kind.contains('/') {
        return None;
    }
    let end = at + DATA_LINK.len() + length + 1;
    Some((start, Part::inline(accepted(kind.into()), data), end))
}

/// Whether Google takes the address as `fileUri`: its own files, YouTube, Cloud Storage.
pub(crate) fn google_reads(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else {
        return url.starts_with("gs://");
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match host {
        "generativelanguage.googleapis.com" => path.contains("files/"),
        "www.youtube.com" | "youtube.com" | "m.youtube.com" | "youtu.be" => true,
        _ => false,
    }
}

/// `data:[type][;parameters][;base64],data`
fn from_data_url<'a>(
    url: Cow<'a, str>,
    named: Option<&'static str>,
    fallback: &'static str,
    param: &str,
) -> Result<Part<'a>, Invalid> {
    let Some(comma) = url.find(',') else {
        return Err(Invalid::new(
            param,
            format!("`{param}` is a data: URL without a comma; send data:image/png;base64,…"),
        ));
    };
    let head = url[5..comma].to_ascii_lowercase();
    let media_type = head.split(';').next().unwrap_or_default();
    let declared = match says_something(media_type) {
        true => Some(Cow::Owned(media_type.to_owned())),
        false => named.map(Cow::Borrowed),
    };
    if head.ends_with(";base64") {
        let data = match url {
            Cow::Borrowed(url) => Cow::Borrowed(&url[comma + 1..]),
            Cow::Owned(url) => Cow::Owned(url[comma + 1..].to_owned()),
        };
        // A URL may have its `+`, `/` and `=` escaped.
        let data = match memchr(b'%', data.as_bytes()) {
            None => data,
            Some(_) => String::from_utf8_lossy(&percent_decoded(&data))
                .into_owned()
                .into(),
        };
        return inline(declared, data, fallback, param);
    }
    let bytes = percent_decoded(&url[comma + 1..]);
    inline(declared, STANDARD.encode(bytes).into(), TEXT, param)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    out
}
