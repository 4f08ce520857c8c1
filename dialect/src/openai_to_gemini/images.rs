//! OpenAI's `/v1/images/generations` and `/v1/images/edits` over `generateContent` of the models
//! that draw.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `prompt`, `image`, `image[]` | the parts of one turn, images first |
//! | `n` | so many calls: one gives one image |
//! | `size`, `quality` | `imageConfig` ([`crate::gemini::image`]) |
//! | `response_format` `url` | a data URL: there is nowhere to keep images |
//! | `moderation_blocked` | the reasons by which Google refuses to draw |
//! | `usage` | the sum of `usageMetadata` |
//!
//! `output_format`, `output_compression`, `style`, `moderation` and `input_fidelity` have no
//! counterpart; the answer says which format came. What the model says beside the image is the
//! `revised_prompt`, the only field for text.
//!
//! Deliberately absent: Imagen, which Google shut down on 2026-08-17
//! (<https://ai.google.dev/gemini-api/docs/deprecations>).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::request::file;
use crate::error::{Invalid, Malformed};
use crate::explanation::refused as refusal;
use crate::fetch::{self, Wanted, media_type};
use crate::file_id::{self, Uploads};
use crate::gemini::image::ImageConfig;
use crate::gemini::models::bare;
use crate::gemini::request::{Content, GenerationConfig, Part, Request, Role};
use crate::gemini::response::Response;
use crate::gemini::{FinishReason, Usage};
use crate::media;
use crate::model_map::{ModelMap, Work};
use crate::openai::form::Form;
use crate::openai::{chat, images as wire};
use crate::text::{Str, put_json, raw, to_json};

/// What draws when the client names no model, or one of OpenAI's that no row leads elsewhere.
const USUAL_MODEL: &str = "gemini-3.1-flash-image";
/// The most images that OpenAI draws for one request.
const MOST: u32 = 10;

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagesCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The body for `generateContent`.
    pub body: Vec<u8>,
    /// What has to be put into `body` first.
    pub fetch: Vec<Wanted>,
    /// The files that it names: only the key that they were uploaded with can answer.
    pub uploads: Option<Uploads>,
    /// How often to ask: each answer holds one image.
    pub times: u32,
    /// Whether the client wants events.
    pub stream: bool,
    is_edit: bool,
    as_url: bool,
    size: Option<String>,
    quality: Option<String>,
}

/// A translated answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The body for the client: JSON, or all events when a stream was asked for.
    pub body: Vec<u8>,
    /// Tokens as Google counted them; `None` when it did not.
    pub usage: Option<Usage>,
}

/// Why there is no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undrawn {
    /// Google's answer is not what its API says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The model did not draw, and why.
    #[error(transparent)]
    Refused(Invalid),
}

/// Parses the body of `/v1/images/generations` and translates it; `models` says which model draws
/// for a name. An error says what was wrong, and where.
pub fn images_request(body: &[u8], models: &ModelMap) -> Result<ImagesCall, Invalid> {
    let request: wire::Request<'_> = Invalid::parse(body)?;
    if request.images.is_some() {
        return Err(Invalid::new(
            "images",
            "`images` belongs to POST /v1/images/edits: send the request there.",
        ));
    }
    call(&request, Vec::new(), false, models)
}

/// Parses the body of `/v1/images/edits` that is JSON and translates it.
pub fn image_edit_request(body: &[u8], models: &ModelMap) -> Result<ImagesCall, Invalid> {
    let mut request: wire::Request<'_> = Invalid::parse(body)?;
    let mut images = Vec::new();
    for (at, image) in request
        .images
        .take()
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let path = format!("images[{at}]");
        images.push(match (image.image_url, image.file_id) {
            (Some(url), _) => {
                media::from_url(url.0.into_cow(), "image/png", &format!("{path}.image_url"))?
            }
            (None, file_id) => {
                let given = chat::File {
                    file_data: None,
                    file_id,
                    filename: None,
                };
                file(given, &path)?
            }
        });
    }
    no_mask(request.mask.is_some())?;
    call(&request, images, true, models)
}

/// Translates the form of `/v1/images/edits`.
pub fn image_edit_form(form: &Form, models: &ModelMap) -> Result<ImagesCall, Invalid> {
    let text = |name| form.text(name).map(Str::from);
    let request = wire::Request {
        model: text("model"),
        prompt: text("prompt"),
        n: form.number("n", "a whole number from 1")?,
        size: text("size"),
        quality: text("quality"),
        response_format: text("response_format"),
        background: text("background"),
        stream: form.flag("stream")?,
        images: None,
        mask: None,
    };
    no_mask(form.files("mask").next().is_some())?;
    let mut images = Vec::new();
    for image in form.files("image") {
        let declared = image.media_type.as_deref();
        let name = image.name.as_deref().unwrap_or_default();
        let kind = media_type(declared, name, &image.bytes).unwrap_or("image/png".into());
        if !kind.starts_with("image/") || image.bytes.is_empty() {
            return Err(Invalid::new(
                "image",
                format!("`image` must hold an image; the file \"{name}\" is {kind}, or empty."),
            ));
        }
        images.push(Part::inline(kind, STANDARD.encode(&image.bytes)));
    }
    call(&request, images, true, models)
}

fn no_mask(given: bool) -> Result<(), Invalid> {
    match given {
        false => Ok(()),
        true => Err(Invalid::new(
            "mask",
            "`mask` is not supported with Gemini: leave it out, and say in `prompt` what to \
             change and what to keep.",
        )
        .with_code("unsupported_parameter")),
    }
}

fn call(
    request: &wire::Request<'_>,
    images: Vec<Part<'_>>,
    is_edit: bool,
    models: &ModelMap,
) -> Result<ImagesCall, Invalid> {
    let model = model(request.model.as_deref().unwrap_or_default(), models)?;
    let Some(prompt) = request.prompt.as_deref().filter(|text| !text.is_empty()) else {
        return Err(Invalid::new(
            "prompt",
            "`prompt` is missing: say what to draw.",
        ));
    };
    if is_edit && images.is_empty() {
        return Err(Invalid::new(
            "image",
            "`image` is missing: send at least one image to edit, or ask \
             /v1/images/generations.",
        ));
    }
    let times = request.n.unwrap_or(1);
    if !(1..=MOST).contains(&times) {
        return Err(Invalid::new(
            "n",
            format!("`n` is {times}; it must be from 1 to {MOST}."),
        ));
    }
    let as_url = match request.response_format.as_deref() {
        None | Some("b64_json") => false,
        Some("url") => true,
        Some(other) => {
            return Err(Invalid::new(
                "response_format",
                format!("`response_format` is \"{other}\"; it must be b64_json or url."),
            ));
        }
    };
    if request.background.as_deref() == Some("transparent") {
        return Err(Invalid::new(
            "background",
            "`background` transparent is not supported with Gemini: leave it out.",
        )
        .with_code("unsupported_parameter"));
    }
    let (size, quality) = (request.size.as_deref(), request.quality.as_deref());
    let config = ImageConfig::of(&model, size, quality)?;
    let mut parts = images;
    parts.push(Part::text(prompt));
    let translated = Request {
        contents: vec![Content {
            role: Some(Role::User),
            parts,
        }],
        generation_config: GenerationConfig {
            // Without words the model could not say why it draws nothing.
            response_modalities: Some(Cow::Owned(raw(r#"["TEXT","IMAGE"]"#.to_owned()))),
            image_config: config.to_raw(),
            ..GenerationConfig::default()
        },
        ..Request::default()
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(ImagesCall {
        body: to_json(&translated, prompt.len()),
        fetch: fetch::wanted(&translated.contents),
        uploads: file_id::uploads(&translated.contents)?,
        model,
        times,
        stream: request.stream == Some(true),
        is_edit,
        as_url,
        // Only what OpenAI has a word for is repeated.
        size: owned(size.filter(|size| size.contains('x'))),
        quality: owned(quality),
    })
}

/// The model that draws.
fn model(requested: &str, models: &ModelMap) -> Result<String, Invalid> {
    let is_openais = ["gpt-image", "chatgpt-image", "dall-e"]
        .iter()
        .any(|name| requested.starts_with(name));
    let model = match models.worker(requested, Work::Draw)? {
        _ if requested.is_empty() => return Ok(USUAL_MODEL.to_owned()),
        Some(model) => model,
        None if is_openais => return Ok(USUAL_MODEL.to_owned()),
        None => bare(requested)?,
    };
    if model.starts_with("imagen") {
        return Err(Invalid::new(
            "model",
            format!(
                "The model '{model}' was shut down by Google in August 2026, like all of Imagen; \
                 use {USUAL_MODEL} or gemini-3-pro-image instead."
            ),
        )
        .with_code("model_not_found"));
    }
    Ok(model)
}

#[derive(Serialize)]
struct Body<'a> {
    created: i64,
    #[serde(flatten)]
    about: About<'a>,
    data: Vec<Image<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

/// What is said of all images.
#[derive(Clone, Copy, Serialize)]
struct About<'a> {
    background: &'static str,
    output_format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
}

#[derive(Serialize)]
struct Image<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revised_prompt: Option<&'a str>,
}

#[derive(Serialize)]
struct Completed<'a> {
    r#type: &'static str,
    created_at: i64,
    b64_json: &'a str,
    #[serde(flatten)]
    about: About<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Clone, Copy, Default, Serialize)]
struct UsageOut {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    total_tokens: u64,
}

#[derive(Clone, Copy, Default, Serialize)]
struct InputDetails {
    image_tokens: u64,
    text_tokens: u64,
}

/// One image of Google's.
struct Picture {
    kind: String,
    data: String,
    said: String,
}

/// Translates the answers to all times a call was made; `created` is in seconds since 1970.
/// When some of them hold no image, the others are the answer.
///
/// # Errors
/// When none holds an image: [`Undrawn::Refused`] says why.
pub fn images_response<B: AsRef<[u8]>>(
    call: &ImagesCall,
    created: i64,
    gemini_bodies: &[B],
) -> Result<Drawn, Undrawn> {
    let mut pictures = Vec::with_capacity(gemini_bodies.len());
    let mut why = None;
    let mut usage: Option<Usage> = None;
    let mut counted = UsageOut::default();
    for body in gemini_bodies {
        let body = body.as_ref();
        let answer = Response::parse(body)?;
        if let Some(tokens) = answer.usage_metadata.map(Usage::from) {
            let sum = usage.get_or_insert_default();
            sum.prompt += tokens.prompt;
            sum.output += tokens.output;
            sum.thoughts += tokens.thoughts;
            sum.cached += tokens.cached;
            sum.total += tokens.total;
            let images = image_tokens(body).min(tokens.prompt);
            counted.input_tokens += tokens.prompt;
            counted.input_tokens_details.image_tokens += images;
            counted.input_tokens_details.text_tokens += tokens.prompt - images;
            counted.output_tokens += tokens.output;
            counted.total_tokens += tokens.total;
        }
        match picture(answer) {
            Ok(picture) => pictures.push(picture),
            Err(invalid) => why = Some(invalid),
        }
    }
    let Some(first) = pictures.first() else {
        let none = || Invalid::new("prompt", "Google was not asked.");
        return Err(Undrawn::Refused(why.unwrap_or_else(none)));
    };
    let about = About {
        background: "opaque",
        output_format: first.kind.strip_prefix("image/").unwrap_or("png"),
        quality: call.quality.as_deref(),
        size: call.size.as_deref(),
    };
    let counted = usage.map(|_| counted);
    let body = match call.stream {
        true => events(call, created, &pictures, about, counted),
        false => whole(call, created, &pictures, about, counted),
    };
    Ok(Drawn { body, usage })
}

fn whole(
    call: &ImagesCall,
    created: i64,
    pictures: &[Picture],
    about: About<'_>,
    usage: Option<UsageOut>,
) -> Vec<u8> {
    let data = pictures.iter().map(|picture| {
        let said = picture.said.trim();
        Image {
            b64_json: (!call.as_url).then_some(&*picture.data),
            url: call
                .as_url
                .then(|| format!("data:{};base64,{}", picture.kind, picture.data)),
            revised_prompt: (!said.is_empty()).then_some(said),
        }
    });
    let body = Body {
        created,
        about,
        data: data.collect(),
        usage,
    };
    let size = pictures.iter().map(|picture| picture.data.len()).sum();
    to_json(&body, size)
}

/// All events: Google draws an image as a whole, so there are no partial ones.
fn events(
    call: &ImagesCall,
    created_at: i64,
    pictures: &[Picture],
    about: About<'_>,
    usage: Option<UsageOut>,
) -> Vec<u8> {
    let kind = match call.is_edit {
        true => "image_edit.completed",
        false => "image_generation.completed",
    };
    let mut out = Vec::new();
    for (at, picture) in pictures.iter().enumerate() {
        let event = Completed {
            r#type: kind,
            created_at,
            b64_json: &picture.data,
            about,
            // Once: it is the sum of all.
            usage: usage.filter(|_| at + 1 == pictures.len()),
        };
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        put_json(&mut out, &event);
        out.extend_from_slice(b"\n\n");
    }
    out
}

/// The image in an answer, or why there is none.
fn picture(answer: Response<'_>) -> Result<Picture, Invalid> {
    let feedback = answer.prompt_feedback.as_ref();
    let blocked = feedback.and_then(|feedback| {
        let reason = feedback.block_reason.as_deref()?;
        Some(refusal(reason, feedback.block_reason_message.as_deref()))
    });
    let Some(mut candidate) = answer.into_first_candidate() else {
        let why = blocked.unwrap_or_else(|| "Google gave no reason.".to_owned());
        return Err(undrawn(&why, true));
    };
    let mut said = String::new();
    let mut found = None;
    for part in candidate.take_parts() {
        // Drafts are thoughts, too.
        if part.thought == Some(true) {
            continue;
        }
        if let Some(text) = part.text {
            said.push_str(&text);
        }
        if let Some(blob) = part
            .inline_data
            .filter(|blob| blob.mime_type.starts_with("image/"))
        {
            found.get_or_insert((blob.mime_type.to_string(), blob.data.to_string()));
        }
    }
    match found {
        Some((kind, data)) => Ok(Picture { kind, data, said }),
        None if !said.trim().is_empty() => {
            let said: String = said.trim().chars().take(500).collect();
            Err(undrawn(&format!("The model said: {said}"), false))
        }
        None => {
            let reason = candidate.finish_reason.as_deref().unwrap_or("OTHER");
            let is_filter = FinishReason::of(reason).is_filter();
            let why = refusal(reason, candidate.finish_message.as_deref());
            Err(undrawn(&why, is_filter))
        }
    }
}

fn undrawn(why: &str, by_filter: bool) -> Invalid {
    let message = format!(
        "No image was drawn. {} Change the prompt, or name a model that draws.",
        match why.ends_with(['.', '!', '?', '。']) {
            true => why.to_owned(),
            false => format!("{why}."),
        }
    );
    let invalid = Invalid::new("prompt", message);
    match by_filter {
        true => invalid.with_code("moderation_blocked"),
        false => invalid,
    }
}

/// Of the input: tokens of images.
fn image_tokens(body: &[u8]) -> u64 {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Answer {
        usage_metadata: Counts,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Counts {
        prompt_tokens_details: Vec<Count>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Count {
        modality: String,
        token_count: u64,
    }
    let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
    let counts = answer.usage_metadata.prompt_tokens_details.into_iter();
    counts
        .filter(|count| count.modality == "IMAGE")
        .map(|count| count.token_count)
        .sum()
}
