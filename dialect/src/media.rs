//! Media inside requests: data URLs, addresses that Google can read itself, media types.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memchr3, memmem};

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

/// How base64 of well-known files begins.
const BEGINNINGS: [(&str, &str); 6] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
    ("SUQz", "audio/mp3"),
];

/// The media type for a format (`wav`) or a file name (`a.pdf`).
pub(crate) fn type_of(format_or_name: &str) -> Option<&'static str> {
    let (_, extension) = format_or_name
        .rsplit_once('.')
        .unwrap_or(("", format_or_name));
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map(|(_, media_type)| *media_type)
}

fn sniff(base64: &str) -> Option<&'static str> {
    BEGINNINGS
        .iter()
        .find(|(beginning, _)| base64.starts_with(beginning))
        .map(|(_, media_type)| *media_type)
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
    let media_type = declared
        .filter(|t| !t.is_empty() && &**t != "application/octet-stream")
        .unwrap_or_else(|| sniff(&data).unwrap_or(fallback).into());
    Ok(Part::inline(accepted(media_type), data))
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
    if url
        .get(..5)
        .is_some_and(|s| s.eq_ignore_ascii_case("data:"))
    {
        return from_data_url(url, fallback, param);
    }
    if google_reads(&url) {
        return Ok(by_address(None, url));
    }
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
    let bracket = before.rfind('[')?;
    if before[bracket..].contains(['\n', ']']) {
        return None;
    }
    let start = match before[..bracket].ends_with('!') {
        true => bracket - 1,
        false => bracket,
    };
    let length = memchr(b')', after.as_bytes())?;
    let (kind, data) = after[..length].split_once(";base64,")?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if data.is_empty() || !data.bytes().all(is_base64) || !kind.contains('/') {
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
    let media_type = head.split(';').next().unwrap_or_default().to_owned();
    let declared = Some(Cow::Owned(media_type));
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
    inline(declared, STANDARD.encode(bytes).into(), "text/plain", param)
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
