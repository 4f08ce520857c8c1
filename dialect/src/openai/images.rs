//! The body of `/v1/images/generations`, and of `/v1/images/edits` where it is JSON, as we read
//! it. Source: OpenAI's OpenAPI description, `CreateImageRequest`, `CreateImageEditRequest`.

use serde::Deserialize;

use super::chat::Url;
use crate::text::Str;

/// The whole body.
#[derive(Debug, Default, Deserialize)]
pub struct Request<'a> {
    /// The model's name.
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    /// What to draw; required.
    #[serde(borrow, default)]
    pub prompt: Option<Str<'a>>,
    /// How many images.
    #[serde(default)]
    pub n: Option<u32>,
    /// `1024x1024`, `auto`.
    #[serde(borrow, default)]
    pub size: Option<Str<'a>>,
    /// `auto`, `low`, `medium`, `high`, `standard`, `hd`.
    #[serde(borrow, default)]
    pub quality: Option<Str<'a>>,
    /// `b64_json` or `url`.
    #[serde(borrow, default)]
    pub response_format: Option<Str<'a>>,
    /// `transparent`, `opaque`, `auto`.
    #[serde(borrow, default)]
    pub background: Option<Str<'a>>,
    /// Whether to stream.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Of an edit: the images to start from.
    #[serde(borrow, default)]
    pub images: Option<Vec<Image<'a>>>,
    /// Of an edit: what may be changed.
    #[serde(borrow, default)]
    pub mask: Option<Image<'a>>,
}

/// An image to start from: one of the two.
#[derive(Debug, Deserialize)]
pub struct Image<'a> {
    /// Its address.
    #[serde(borrow, default)]
    pub image_url: Option<Url<'a>>,
    /// The id of a file that was uploaded.
    #[serde(borrow, default)]
    pub file_id: Option<Str<'a>>,
}
