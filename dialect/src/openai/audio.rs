//! The body of `/v1/audio/speech`, as we read it. Source: OpenAI's OpenAPI description,
//! `CreateSpeechRequest`.

use serde::Deserialize;

use crate::text::Str;

/// The whole body.
#[derive(Debug, Default, Deserialize)]
pub struct Speech<'a> {
    /// The model's name.
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    /// What to say; required.
    #[serde(borrow, default)]
    pub input: Option<Str<'a>>,
    /// Whose voice.
    #[serde(borrow, default)]
    pub voice: Option<Voice<'a>>,
    /// How to say it.
    #[serde(borrow, default)]
    pub instructions: Option<Str<'a>>,
    /// `mp3`, `opus`, `aac`, `flac`, `wav`, `pcm`.
    #[serde(borrow, default)]
    pub response_format: Option<Str<'a>>,
    /// From 0.25 to 4; 1 is as usual.
    #[serde(default)]
    pub speed: Option<f64>,
    /// `audio` or `sse`.
    #[serde(borrow, default)]
    pub stream_format: Option<Str<'a>>,
}

/// A voice, by its name or its id.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Voice<'a> {
    /// A name.
    Name(#[serde(borrow)] Str<'a>),
    /// One that was made at OpenAI.
    Custom {
        /// Its id.
        #[serde(borrow)]
        id: Str<'a>,
    },
}
