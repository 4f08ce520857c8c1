//! OpenAI's `/v1/audio/speech` over `streamGenerateContent` of the models that speak.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `input` | the text of one part |
//! | `instructions`, `speed` | `speechMetadata.style`; before Gemini 3.8, words before the text |
//! | `voice` | `speechConfig`: OpenAI's names are mapped, Google's are taken as they are |
//! | audio | `inlineData` of `audio/L16`: 16 bits, little-endian in spite of the name, one channel |
//!
//! Deliberately absent: encoding. What comes is samples ([`Heard`]).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::error::{Invalid, Malformed};
use crate::explanation::refused as refusal;
use crate::gemini::models::bare;
use crate::gemini::response::Response;
use crate::gemini::{FinishReason, Usage};
use crate::model_map::{ModelMap, Work};
use crate::openai::audio::{Speech, Voice};
use crate::text::{put_json, to_json};

/// What speaks when the client names no model, or one of OpenAI's that no row leads elsewhere.
const USUAL_MODEL: &str = "gemini-3.8-flash-lite-tts";
/// What speaks for OpenAI's better one.
const BETTER_MODEL: &str = "gemini-3.8-flash-tts";
/// The most characters that OpenAI takes.
const MOST_CHARS: usize = 4096;
/// The rate when Google does not say, in samples a second.
const USUAL_RATE: u32 = 24_000;
/// Whose voice when the client does not say.
const USUAL_VOICE: &str = "Kore";

/// OpenAI's voices and those of Google that are most like them. What OpenAI says of its own:
/// <https://platform.openai.com/docs/guides/text-to-speech>; Google of its:
/// <https://ai.google.dev/gemini-api/docs/speech-generation#voices>.
const VOICES: [(&str, &str); 13] = [
    ("alloy", "Kore"),
    ("ash", "Orus"),
    ("ballad", "Algieba"),
    ("cedar", "Iapetus"),
    ("coral", "Leda"),
    ("echo", "Charon"),
    ("fable", "Sadachbia"),
    ("marin", "Callirrhoe"),
    ("nova", "Aoede"),
    ("onyx", "Algenib"),
    ("sage", "Sulafat"),
    ("shimmer", "Zephyr"),
    ("verse", "Puck"),
];

/// How the audio is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// MPEG audio, layer 3.
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// Samples behind a header.
    Wav,
    /// Samples alone.
    Pcm,
}

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The body for `streamGenerateContent`.
    pub body: Vec<u8>,
    /// How the client wants the audio.
    pub format: AudioFormat,
    /// Whether the audio comes in events.
    pub as_events: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    contents: [Content<'a>; 1],
    generation_config: Config<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    speech_metadata: Option<Metadata<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    style: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    response_modalities: [&'static str; 1],
    speech_config: SpeechConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SpeechConfig<'a> {
    voice_config: VoiceConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VoiceConfig<'a> {
    prebuilt_voice_config: Prebuilt<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Prebuilt<'a> {
    voice_name: &'a str,
}

/// Parses the body of `/v1/audio/speech` and translates it; `models` says which model speaks for a
/// name. An error says what was wrong, and where.
pub fn speech_request(body: &[u8], models: &ModelMap) -> Result<SpeechCall, Invalid> {
    let request: Speech<'_> = Invalid::parse(body)?;
    let model = model(request.model.as_deref().unwrap_or_default(), models)?;
    let Some(input) = request
        .input
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    else {
        return Err(Invalid::new(
            "input",
            "`input` is missing: send the text that is to be spoken.",
        ));
    };
    let length = input.chars().count();
    if length > MOST_CHARS {
        return Err(Invalid::new(
            "input",
            format!(
                "`input` has {length} characters; at most {MOST_CHARS} are spoken at once. Send \
                 it in pieces."
            ),
        ));
    }
    let format = format(request.response_format.as_deref())?;
    let as_events = match request.stream_format.as_deref() {
        None | Some("audio") => false,
        Some("sse") => true,
        Some(other) => {
            return Err(Invalid::new(
                "stream_format",
                format!("`stream_format` is \"{other}\"; it must be audio or sse."),
            ));
        }
    };
    let speed = request.speed.unwrap_or(1.0);
    if !(0.25..=4.0).contains(&speed) {
        return Err(Invalid::new(
            "speed",
            format!("`speed` is {speed}; it must be from 0.25 to 4."),
        ));
    }
    let voice = voice_of(request.voice.as_ref(), "voice")?;
    let style = style(request.instructions.as_deref().unwrap_or_default(), speed);
    // Older models read aloud what they are told, unless it is said so.
    let takes_style = !model.contains("2.5") && !model.contains("3.1");
    let told = match (takes_style, style.is_empty()) {
        (true, _) | (_, true) => None,
        (false, false) => Some(format!("{style}\n\nSay: {input}")),
    };
    let request = Request {
        contents: [Content {
            role: "user",
            parts: [Part {
                text: told.as_deref().unwrap_or(input),
                speech_metadata: (takes_style && !style.is_empty())
                    .then_some(Metadata { style: &style }),
            }],
        }],
        generation_config: Config {
            response_modalities: ["AUDIO"],
            speech_config: speech_config(voice),
        },
    };
    Ok(SpeechCall {
        body: to_json(&request, body.len()),
        model,
        format,
        as_events,
    })
}

fn model(requested: &str, models: &ModelMap) -> Result<String, Invalid> {
    if requested.is_empty() {
        return Ok(USUAL_MODEL.to_owned());
    }
    if let Some(model) = models.worker(requested, Work::Speak)? {
        return Ok(model);
    }
    Ok(match requested {
        "tts-1-hd" | "tts-1-hd-1106" => BETTER_MODEL.to_owned(),
        "tts-1" | "tts-1-1106" => USUAL_MODEL.to_owned(),
        name if name.starts_with("gpt-") && name.contains("tts") => USUAL_MODEL.to_owned(),
        name => bare(name)?,
    })
}

fn format(wanted: Option<&str>) -> Result<AudioFormat, Invalid> {
    Ok(match wanted.unwrap_or("mp3") {
        "mp3" => AudioFormat::Mp3,
        "opus" => AudioFormat::Opus,
        "wav" => AudioFormat::Wav,
        "pcm" => AudioFormat::Pcm,
        other => {
            return Err(Invalid::new(
                "response_format",
                format!("`response_format` is \"{other}\"; it must be mp3, opus, wav or pcm."),
            ));
        }
    })
}

/// `speechConfig` with this voice of Google's.
pub(super) fn speech_config(voice_name: &str) -> SpeechConfig<'_> {
    SpeechConfig {
        voice_config: VoiceConfig {
            prebuilt_voice_config: Prebuilt { voice_name },
        },
    }
}

/// Google's voice for the one that a client wants; `param` names the field.
pub(super) fn voice_of<'a>(wanted: Option<&'a Voice<'_>>, param: &str) -> Result<&'a str, Invalid> {
    match wanted {
        None => Ok(USUAL_VOICE),
        Some(Voice::Name(name)) => Ok(voice(name)),
        Some(Voice::Custom { .. }) => Err(Invalid::new(
            param,
            format!(
                "`{param}` is one that was made at OpenAI, which Gemini does not have: name one of \
                 OpenAI's voices (alloy) or of Google's (Kore)."
            ),
        )),
    }
}

/// Google's name of a voice. What is neither's is passed on: Google refuses it and says which
/// there are, and has new ones from time to time.
fn voice(name: &str) -> &str {
    VOICES
        .iter()
        .find(|(openais, _)| openais.eq_ignore_ascii_case(name))
        .map_or(name, |(_, googles)| googles)
}

/// How to say it, in words.
fn style(instructions: &str, speed: f64) -> String {
    let instructions = instructions.trim();
    match speed {
        1.0 => instructions.to_owned(),
        speed => format!("{instructions} Speak at {speed} times the usual speed.")
            .trim()
            .to_owned(),
    }
}

/// What one event of Google's holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Samples of 16 bits, little-endian, one channel; may end within a sample.
    pub samples: Vec<u8>,
    /// How many there are in a second.
    pub rate: u32,
    /// Tokens so far.
    pub usage: Option<Usage>,
    /// Why Google refuses to speak.
    pub refused: Option<String>,
}

/// Reads one event of the stream.
pub fn speech_heard(event: &[u8]) -> Result<Heard, Malformed> {
    let answer = Response::parse(event)?;
    let mut heard = Heard {
        usage: answer.usage_metadata.map(Usage::from),
        rate: USUAL_RATE,
        ..Heard::default()
    };
    if let Some(feedback) = &answer.prompt_feedback
        && let Some(reason) = feedback.block_reason.as_deref()
    {
        heard.refused = Some(refusal(reason, feedback.block_reason_message.as_deref()));
    }
    let Some(mut candidate) = answer.into_first_candidate() else {
        return Ok(heard);
    };
    for part in candidate.take_parts() {
        let Some(blob) = part.inline_data else {
            continue;
        };
        if !is_samples(&blob.mime_type) {
            return Err(Malformed::new(format!(
                "Google sent {} where samples were expected.",
                &*blob.mime_type
            )));
        }
        heard.rate = rate(&blob.mime_type).unwrap_or(USUAL_RATE);
        let samples = STANDARD
            .decode(&*blob.data)
            .map_err(|_| Malformed::new("Google's audio is not base64."))?;
        heard.samples.extend(samples);
    }
    if let Some(reason) = candidate.finish_reason.as_deref()
        && FinishReason::of(reason).is_filter()
    {
        let message = candidate.finish_message.as_deref();
        heard.refused = Some(refusal(reason, message));
    }
    Ok(heard)
}

/// Whether this is the media type of samples.
pub(super) fn is_samples(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    media_type.starts_with("audio/l16") || media_type.starts_with("audio/pcm")
}

/// `audio/L16;codec=pcm;rate=24000`
fn rate(media_type: &str) -> Option<u32> {
    media_type
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("rate="))
        .and_then(|rate| rate.parse().ok())
        .filter(|rate| *rate > 0)
}

/// Writes an event that carries audio.
pub fn speech_delta(audio: &[u8], out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Delta {
        r#type: &'static str,
        audio: String,
    }
    let delta = Delta {
        r#type: "speech.audio.delta",
        audio: STANDARD.encode(audio),
    };
    event(delta.r#type, &delta, out);
}

/// Writes the event at the end.
pub fn speech_done(usage: Option<Usage>, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Done {
        r#type: &'static str,
        usage: Counts,
    }
    #[derive(Serialize)]
    struct Counts {
        input_tokens: u64,
        output_tokens: u64,
        total_tokens: u64,
    }
    let usage = usage.unwrap_or_default();
    let done = Done {
        r#type: "speech.audio.done",
        usage: Counts {
            input_tokens: usage.prompt,
            output_tokens: usage.output,
            total_tokens: usage.total,
        },
    };
    event(done.r#type, &done, out);
}

/// One server-sent event.
pub(super) fn event<T: Serialize>(kind: &str, data: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    put_json(out, data);
    out.extend_from_slice(b"\n\n");
}
