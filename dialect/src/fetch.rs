//! Media that a request names by address, for the caller to fetch.
//!
//! A translation leaves such a part as `fileData` with the client's address in it, and says in
//! its call what has to be fetched ([`Wanted`]). The caller fetches, asks what was found what
//! it is ([`Wanted::found`]), and puts it in place of the addresses ([`fill`]).
//!
//! Deliberately absent: which addresses may be fetched, and how much of them. Whoever has the
//! network knows.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Invalid, Malformed};
use crate::gemini::request::{Content, Part};
use crate::media::{accepted, sniff, type_of_file, usual};
use crate::text::{Str, put_json};

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is: `http://…` or `https://…`, as the client wrote it.
    pub url: String,
    /// Where the client wrote it: `messages[0].content[1].image_url`.
    pub param: String,
    /// The media type when neither the server nor the content tells.
    pub(crate) fallback: &'static str,
}

/// Something that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    url: String,
    media_type: String,
    /// Base64.
    data: String,
}

impl Wanted {
    /// An error about this address; `what` completes "… cannot be used: ".
    pub fn refused(&self, what: impl std::fmt::Display) -> Invalid {
        let shown = crate::media::beginning(&self.url);
        let invalid = Invalid::new(
            &*self.param,
            format!(
                "The address in `{}` (\"{shown}\") cannot be used: {what}",
                self.param
            ),
        );
        match self.wants_image() {
            // OpenAI's word for it.
            true => invalid.with_code("invalid_image_url"),
            false => invalid,
        }
    }

    /// Says what was fetched: `declared` is the `Content-Type` that came with `bytes`.
    ///
    /// # Errors
    /// When it is nothing that a model can read, or a web page where an image was meant.
    pub fn found(&self, declared: Option<&str>, bytes: &[u8]) -> Result<Found, Invalid> {
        if bytes.is_empty() {
            return Err(self.refused("it holds nothing."));
        }
        let media_type = media_type(declared, path(&self.url), bytes)
            .unwrap_or_else(|| usual(self.fallback, bytes).to_owned());
        let kind = media_type.split('/').next().unwrap_or_default();
        let readable = match kind {
            "image" | "audio" | "video" => true,
            "text" => !self.wants_image(),
            _ => media_type == "application/pdf",
        };
        if !readable {
            let meant = match self.wants_image() {
                true => "the address of the image itself",
                false => "an image, audio, video, PDF or text",
            };
            return Err(self.refused(format_args!(
                "it answers with {media_type}, which is not what was meant; send {meant}."
            )));
        }
        Ok(Found {
            url: self.url.clone(),
            media_type,
            data: STANDARD.encode(bytes),
        })
    }

    fn wants_image(&self) -> bool {
        self.fallback.starts_with("image/")
    }
}

/// The media type of a file: what is seen in it, else what is `declared` of it, else what its
/// name says.
pub(crate) fn media_type(declared: Option<&str>, name: &str, bytes: &[u8]) -> Option<String> {
    let declared = declared
        .and_then(|kind| kind.split(';').next())
        .map(|kind| kind.trim().to_ascii_lowercase())
        .filter(|kind| !kind.is_empty() && !kind.ends_with("/octet-stream"));
    match (sniff(bytes), declared) {
        (Some(seen), _) => Some(seen.to_owned()),
        (None, Some(declared)) => Some(accepted(declared.into()).into_owned()),
        (None, None) => type_of_file(name).map(str::to_owned),
    }
}

/// The path of an address, without query and fragment: it may end in a file's name.
pub(crate) fn path(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let path = &url[..end];
    match path.splitn(4, '/').nth(3) {
        Some(_) => path,
        // A host's last label is no extension.
        None => "",
    }
}

/// What of a translated conversation has to be fetched, each address once.
pub(crate) fn wanted(contents: &[Content<'_>]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let parts = contents.iter().flat_map(|content| &content.parts);
    for fetch in parts.filter_map(|part| part.file_data.as_ref()?.fetch.as_deref()) {
        if !wanted.iter().any(|known| known.url == fetch.url) {
            wanted.push(fetch.clone());
        }
    }
    wanted
}

/// Why a body cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled {
    /// It is none that a translation made.
    Malformed(Malformed),
    /// Addresses stand in it so often that it would be larger than allowed.
    TooLarge,
}

/// The body of a call with what was found in place of the addresses. What is fetched once may
/// stand in several places; all of them together may have `most` bytes, in base64.
///
/// # Errors
/// When `body` is none that a translation made, or would be too large.
pub fn fill(body: &[u8], found: &[Found], most: usize) -> Result<Vec<u8>, Unfilled> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(borrow, default)]
        contents: Vec<Turn<'a>>,
        #[serde(borrow)]
        generate_content_request: Option<Box<Body<'a>>>,
    }
    #[derive(Deserialize)]
    struct Turn<'a> {
        #[serde(borrow, default)]
        parts: Vec<&'a RawValue>,
    }
    let request: Body<'_> =
        serde_json::from_slice(body).map_err(|e| Unfilled::Malformed(Malformed::json(&e)))?;
    let turns = match &request.generate_content_request {
        Some(inner) => &inner.contents,
        None => &request.contents,
    };
    let more: usize = found.iter().map(|found| found.data.len()).sum();
    let mut filled = Vec::with_capacity(body.len() + more);
    let (mut from, mut all) = (0, 0_usize);
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        let Some(found) = address(part).and_then(|url| found.iter().find(|f| f.url == *url)) else {
            continue;
        };
        all = all.saturating_add(found.data.len());
        if all > most {
            return Err(Unfilled::TooLarge);
        }
        let place = place(body, part.get());
        filled.extend_from_slice(&body[from..place.start]);
        put_json(&mut filled, &Part::inline(&*found.media_type, &*found.data));
        from = place.end;
    }
    filled.extend_from_slice(&body[from..]);
    Ok(filled)
}

/// The address in a part that has one.
fn address(part: &RawValue) -> Option<Str<'_>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        #[serde(borrow)]
        file_data: FileData<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct FileData<'a> {
        #[serde(borrow)]
        file_uri: Str<'a>,
    }
    // As the translation writes it; all other parts need not be looked into.
    if !part.get().starts_with("{\"fileData\"") {
        return None;
    }
    let part: Part<'_> = serde_json::from_str(part.get()).ok()?;
    Some(part.file_data.file_uri)
}

/// Where `piece`, which is a piece of `whole`, is in it.
fn place(whole: &[u8], piece: &str) -> Range<usize> {
    let start = piece.as_ptr().addr() - whole.as_ptr().addr();
    start..start + piece.len()
}
