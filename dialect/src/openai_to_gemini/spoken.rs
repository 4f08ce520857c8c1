//! Chat that is answered in speech: `modalities` and `audio` of the request, `audio` of the answer.
//!
//! Of Gemini's models those speak that do nothing else ([`speaks`]): they read out what they are
//! given. No other gives audio here, so others are not asked for it.
//!
//! Deliberately absent: encoding. Whole answers get their audio packed by the caller; streams are
//! of samples, as OpenAI's are.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::speech::{AudioFormat, speech_config, voice_of};
use super::wire::own_part;
use crate::ResponseMeta;
use crate::error::Invalid;
use crate::gemini::request::Raw;
use crate::gemini::speaks;
use crate::openai::chat;
use crate::text::Str;

/// For how long the client may name the audio by its id, as OpenAI has it, in seconds. Nothing is
/// kept of it here.
const LIFE: i64 = 60 * 60;

/// How the client wants the audio, if it does and `model` can.
pub(super) fn format(
    request: &chat::Request<'_>,
    model: &str,
) -> Result<Option<AudioFormat>, Invalid> {
    let is_audio = |modality: &Str<'_>| modality.eq_ignore_ascii_case("audio");
    let wants = request.modalities.iter().flatten().any(is_audio);
    match (wants, speaks(model)) {
        (true, true) => {}
        (true, false) => {
            return Err(Invalid::new(
                "modalities",
                format!(
                    "`modalities` asks for audio, which {model} does not give: leave it out, or \
                     ask a model that speaks, i.e. gemini-3.8-flash-tts, which reads out what it \
                     is sent."
                ),
            ));
        }
        (false, _) => return Ok(None),
    }
    let streams = request.stream == Some(true);
    let usual = if streams { "pcm16" } else { "wav" };
    let given = request
        .audio
        .as_ref()
        .and_then(|audio| audio.format.as_deref());
    let format = match given.unwrap_or(usual) {
        "wav" => AudioFormat::Wav,
        "mp3" => AudioFormat::Mp3,
        "opus" => AudioFormat::Opus,
        "pcm16" => AudioFormat::Pcm,
        other => {
            return Err(Invalid::new(
                "audio.format",
                format!("`audio.format` is \"{other}\"; it must be wav, mp3, opus or pcm16."),
            ));
        }
    };
    if streams && format != AudioFormat::Pcm {
        return Err(Invalid::new(
            "audio.format",
            "`audio.format` must be pcm16 in a stream: ask for that, or without `stream`.",
        ));
    }
    if request.n.unwrap_or(1) > 1 {
        return Err(Invalid::new(
            "n",
            "`n` must be 1 where the answer is audio.",
        ));
    }
    Ok(Some(format))
}

/// Whose voice, where the client says it.
pub(super) fn voice<'a>(
    request: &chat::Request<'_>,
    model: &str,
) -> Result<Option<Raw<'a>>, Invalid> {
    let Some(audio) = request.audio.as_ref().filter(|_| speaks(model)) else {
        return Ok(None);
    };
    let config = speech_config(voice_of(audio.voice.as_ref(), "audio.voice")?);
    Ok(to_raw_value(&config).ok().map(Cow::Owned))
}

/// The audio of an answer; in a stream, what comes of it.
#[derive(Default, Serialize)]
pub(super) struct Audio<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<&'static str>,
    /// In seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl<'a> Audio<'a> {
    /// All of it. Google writes no transcript.
    pub fn whole(meta: &ResponseMeta, data: Cow<'a, str>) -> Self {
        Self {
            id: Some(id(&meta.id)),
            data: Some(data),
            transcript: Some(""),
            expires_at: Some(expiry(meta)),
        }
    }

    /// A piece of a stream. Clients join what they get twice, so the id comes but once.
    pub fn piece(answer: &str, data: &'a str, first: bool) -> Self {
        Self {
            id: first.then(|| id(answer)),
            data: Some(data.into()),
            ..Self::default()
        }
    }

    /// What ends a stream.
    pub fn end(expires_at: i64) -> Self {
        Self {
            transcript: Some(""),
            expires_at: Some(expires_at),
            ..Self::default()
        }
    }
}

/// When the audio of an answer expires.
pub(super) fn expiry(meta: &ResponseMeta) -> i64 {
    meta.created + LIFE
}

fn id(answer: &str) -> String {
    format!("audio_{}", own_part(answer))
}
