//! OpenAI's `/v1/audio/transcriptions` and `/v1/audio/translations` over `generateContent`: a
//! model is told to write down what it hears.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `file` | `inlineData`; a video's sound is heard, too |
//! | `prompt`, `language` | words in the instruction |
//! | `json`, `text` | text |
//! | `srt`, `vtt`, `verbose_json` | JSON of segments whose times the model tells, to the second or a little better |
//! | `usage` | `usageMetadata` |
//!
//! Refused, because nothing true could be answered: times of single words, likelihoods of
//! tokens, who speaks.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::speech::event;
use crate::error::{Invalid, Malformed};
use crate::explanation::refused as refusal;
use crate::fetch::media_type;
use crate::gemini::models::bare;
use crate::gemini::request::{Content, GenerationConfig, Part, Request, Role};
use crate::gemini::response::Response;
use crate::gemini::{Effort, FinishReason, Thinking, Usage};
use crate::model_map::{ModelMap, Work};
use crate::openai::form::Form;
use crate::text::{raw, to_json};

/// What listens for `whisper-1` and OpenAI's small models: one that free keys may use much of.
const USUAL_MODEL: &str = "gemini-3.5-flash-lite";
/// What listens for OpenAI's larger ones.
const BETTER_MODEL: &str = "gemini-3.8-flash";
/// What the model answers when nobody speaks. Nothing at all would look like a failure.
const SILENCE: &str = "[NO SPEECH]";

/// What is to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// What is said, in its language.
    Transcribe,
    /// What is said, in English.
    Translate,
}

/// How the transcript is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Verbose,
    Srt,
    Vtt,
}

impl Format {
    const fn has_times(self) -> bool {
        matches!(self, Self::Verbose | Self::Srt | Self::Vtt)
    }
}

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscribeCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The body for `generateContent` or `streamGenerateContent`.
    pub body: Vec<u8>,
    /// Whether the client wants a stream.
    pub stream: bool,
    format: Format,
    task: Task,
    language: Option<String>,
}

/// A transcript as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The body.
    pub body: Vec<u8>,
    /// Its media type.
    pub media_type: &'static str,
}

/// Why there is no transcript.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// Google's answer is not what its API says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Google refuses to write it down.
    #[error(transparent)]
    Refused(Invalid),
}

/// Translates the form of `/v1/audio/transcriptions` or `/v1/audio/translations`; `models` says
/// which model listens for a name. An error says what was wrong, and where.
pub fn transcribe_request(
    form: &Form,
    task: Task,
    models: &ModelMap,
) -> Result<TranscribeCall, Invalid> {
    let model = model(form.text("model").unwrap_or_default(), models)?;
    let format = format(form.text("response_format"))?;
    supported(form)?;
    let stream = form.flag("stream")? == Some(true);
    if stream && format.has_times() {
        return Err(Invalid::new(
            "stream",
            "`stream` goes with `response_format` json or text only.",
        ));
    }
    let temperature = form.number("temperature", "a number from 0 to 1")?;
    let language = form.text("language");
    let parts = vec![
        audio(form)?,
        Part::text(instruction(task, format, language, form.text("prompt"))),
    ];
    let thinking = Thinking::of(&model).for_effort(Effort::None);
    let (response_mime_type, response_json_schema) = match format.has_times() {
        false => (None, None),
        true => (
            Some("application/json".into()),
            Some(Cow::Owned(raw(SCHEMA.to_owned()))),
        ),
    };
    let request = Request {
        contents: vec![Content {
            role: Some(Role::User),
            parts,
        }],
        generation_config: GenerationConfig {
            temperature: temperature.and_then(Number::from_f64),
            thinking_config: thinking,
            response_mime_type,
            response_json_schema,
            ..GenerationConfig::default()
        },
        ..Request::default()
    };
    let size = form.files.iter().map(|file| file.bytes.len() * 4 / 3).sum();
    Ok(TranscribeCall {
        body: to_json(&request, size),
        model,
        stream,
        format,
        task,
        language: language.map(str::to_owned),
    })
}

fn model(requested: &str, models: &ModelMap) -> Result<String, Invalid> {
    if requested.is_empty() {
        return Ok(USUAL_MODEL.to_owned());
    }
    if let Some(model) = models.worker(requested, Work::Hear)? {
        return Ok(model);
    }
    Ok(match requested {
        name if name.starts_with("whisper") || name.contains("mini-transcribe") => {
            USUAL_MODEL.to_owned()
        }
        name if name.starts_with("gpt-") && name.contains("transcribe") => BETTER_MODEL.to_owned(),
        name => bare(name)?,
    })
}

fn format(wanted: Option<&str>) -> Result<Format, Invalid> {
    Ok(match wanted.unwrap_or("json") {
        "json" => Format::Json,
        "text" => Format::Text,
        "verbose_json" => Format::Verbose,
        "srt" => Format::Srt,
        "vtt" => Format::Vtt,
        other => {
            return Err(Invalid::new(
                "response_format",
                format!(
                    "`response_format` is \"{other}\"; it must be json, text, srt, verbose_json \
                     or vtt."
                ),
            ));
        }
    })
}

/// Refuses what no Gemini model can tell.
fn supported(form: &Form) -> Result<(), Invalid> {
    let refused = |param: &str, message: &str| {
        Err(Invalid::new(param, message).with_code("unsupported_parameter"))
    };
    if form
        .all("timestamp_granularities")
        .any(|granularity| granularity == "word")
    {
        return refused(
            "timestamp_granularities",
            "`timestamp_granularities` word is not supported with Gemini, which cannot tell when \
             a word is said: ask for segment, or leave it out.",
        );
    }
    if form.all("include").any(|wanted| wanted == "logprobs") {
        return refused(
            "include",
            "`include` logprobs is not supported for transcripts: leave it out.",
        );
    }
    Ok(())
}

fn audio(form: &Form) -> Result<Part<'static>, Invalid> {
    let Some(file) = form.files("file").next() else {
        return Err(Invalid::new(
            "file",
            "`file` is missing: send the audio as a file of a form.",
        ));
    };
    let name = file.name.as_deref().unwrap_or_default();
    if file.bytes.is_empty() {
        return Err(Invalid::new(
            "file",
            format!("The file \"{name}\" is empty."),
        ));
    }
    let kind = media_type(file.media_type.as_deref(), name, &file.bytes);
    match kind {
        Some(kind) if kind.starts_with("audio/") || kind.starts_with("video/") => {
            Ok(Part::inline(kind, STANDARD.encode(&file.bytes)))
        }
        kind => Err(Invalid::new(
            "file",
            format!(
                "The file \"{name}\" is {}, which is no audio; send mp3, wav, flac, ogg, m4a, \
                 aac, mp4 or webm, and name it so.",
                kind.as_deref().unwrap_or("of an unknown type")
            ),
        )),
    }
}

/// JSON that is asked for when times are.
const SCHEMA: &str = r#"{"type":"object","properties":{"language":{"type":"string","description":"The language that is spoken, in English and lower case."},"segments":{"type":"array","items":{"type":"object","properties":{"start":{"type":"string","description":"HH:MM:SS.mmm"},"end":{"type":"string","description":"HH:MM:SS.mmm"},"text":{"type":"string"}},"required":["start","end","text"]}}},"required":["language","segments"]}"#;

fn instruction(task: Task, format: Format, language: Option<&str>, prompt: Option<&str>) -> String {
    let mut told = String::from(match task {
        Task::Transcribe => {
            "Transcribe the speech in this recording word for word, in the language that is \
             spoken, with punctuation."
        }
        Task::Translate => {
            "Translate the speech in this recording into English, completely and faithfully."
        }
    });
    if let (Task::Transcribe, Some(language)) = (task, language) {
        let _ = write!(told, " The language is \"{language}\" (ISO 639).");
    }
    match format.has_times() {
        false => {
            let _ = write!(
                told,
                " Answer with the text alone: no introduction, no quotation marks, no names of \
                 speakers, no times. If nobody speaks, answer {SILENCE}."
            );
        }
        true => told.push_str(
            " Divide it into segments of one sentence or a few seconds, in order, each with the \
             times at which it begins and ends, counted from the beginning of the recording. If \
             nobody speaks, give no segments.",
        ),
    }
    if let Some(prompt) = prompt {
        let _ = write!(
            told,
            "\n\nFor spelling and style, here is what may have been said before, or words that \
             may occur; it is not part of the recording:\n{prompt}"
        );
    }
    told
}

// --- the way back ---

/// What the model is asked for when times are.
#[derive(Deserialize)]
struct Timed {
    #[serde(default)]
    language: String,
    #[serde(default)]
    segments: Vec<TimedSegment>,
}

#[derive(Deserialize)]
struct TimedSegment {
    start: String,
    end: String,
    text: String,
}

struct Segment {
    /// Milliseconds from the beginning.
    start: u64,
    end: u64,
    text: String,
}

/// Translates a whole answer.
pub fn transcribe_response(
    call: &TranscribeCall,
    gemini_body: &[u8],
) -> Result<Transcript, Unheard> {
    let (text, usage) = said(gemini_body)?;
    if !call.format.has_times() {
        let text = without_silence(&text);
        return Ok(match call.format {
            Format::Text => Transcript {
                body: format!("{text}\n").into_bytes(),
                media_type: "text/plain; charset=utf-8",
            },
            _ => Transcript {
                body: json_body(text, usage),
                media_type: "application/json; charset=utf-8",
            },
        });
    }
    let timed: Timed = serde_json::from_str(&text).map_err(|_| {
        Malformed::new("The model did not answer with the segments that it was asked for.")
    })?;
    let segments = segments(timed.segments)?;
    Ok(match call.format {
        Format::Srt => Transcript {
            body: subtitles(&segments, ',', true).into_bytes(),
            media_type: "application/x-subrip; charset=utf-8",
        },
        Format::Vtt => Transcript {
            body: format!("WEBVTT\n\n{}", subtitles(&segments, '.', false)).into_bytes(),
            media_type: "text/vtt; charset=utf-8",
        },
        _ => Transcript {
            body: verbose(call, &timed.language, &segments, usage),
            media_type: "application/json; charset=utf-8",
        },
    })
}

/// What the model said, without its thoughts.
fn said(gemini_body: &[u8]) -> Result<(String, Option<Usage>), Unheard> {
    let answer = Response::parse(gemini_body)?;
    let usage = answer.usage_metadata.map(Usage::from);
    let blocked = answer.prompt_feedback.as_ref().and_then(|feedback| {
        let reason = feedback.block_reason.as_deref()?;
        Some(refusal(reason, feedback.block_reason_message.as_deref()))
    });
    let refused = |why: String| Unheard::Refused(refused(&why));
    let Some(mut candidate) = answer.into_first_candidate() else {
        return Err(match blocked {
            Some(why) => refused(why),
            None => Malformed::new("Google answered without any candidate.").into(),
        });
    };
    let mut text = String::new();
    for part in candidate.take_parts() {
        if part.thought != Some(true) {
            text.push_str(part.text.as_deref().unwrap_or_default());
        }
    }
    match candidate.finish_reason.as_deref() {
        Some(reason) if FinishReason::of(reason).is_filter() => Err(refused(refusal(
            reason,
            candidate.finish_message.as_deref(),
        ))),
        Some("MAX_TOKENS") => Err(Unheard::Refused(Invalid::new(
            "file",
            "The transcript is longer than the model can write at once: send the recording in \
             pieces.",
        ))),
        _ => Ok((text, usage)),
    }
}

fn refused(why: &str) -> Invalid {
    Invalid::new("file", format!("{why} No transcript was written."))
        .with_code("moderation_blocked")
}

fn without_silence(text: &str) -> &str {
    match text.trim() {
        SILENCE => "",
        text => text,
    }
}

fn segments(timed: Vec<TimedSegment>) -> Result<Vec<Segment>, Malformed> {
    let mut segments: Vec<Segment> = Vec::with_capacity(timed.len());
    for segment in timed {
        let time = |text: &str| {
            milliseconds(text).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                Malformed::new(format!("The model told a time as \"{shown}\"."))
            })
        };
        // What is told out of order would be a subtitle that no player shows.
        let after = segments.last().map_or(0, |before| before.start);
        let start = time(&segment.start)?.max(after);
        segments.push(Segment {
            start,
            end: time(&segment.end)?.max(start),
            text: segment.text.trim().to_owned(),
        });
    }
    segments.retain(|segment| !segment.text.is_empty());
    Ok(segments)
}

/// `[[HH:]MM:]SS[.fff]` in milliseconds.
fn milliseconds(time: &str) -> Option<u64> {
    let mut whole = 0_u64;
    let mut fields = time.trim().split(':').peekable();
    let mut count = 0;
    while let Some(field) = fields.next() {
        count += 1;
        if count > 3 {
            return None;
        }
        let last = fields.peek().is_none();
        let (seconds, fraction) = match last {
            true => field.split_once(['.', ',']).unwrap_or((field, "")),
            false => (field, ""),
        };
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        whole = whole
            .checked_mul(60)?
            .checked_add(seconds.parse::<u32>().ok()?.into())?;
        if last {
            let thousandths = format!("{fraction:0<3}");
            return whole
                .checked_mul(1000)?
                .checked_add(thousandths.get(..3)?.parse().ok()?);
        }
    }
    None
}

/// The cues of SRT, which are numbered, and of WebVTT.
fn subtitles(segments: &[Segment], point: char, numbered: bool) -> String {
    let mut out = String::new();
    let time = |milliseconds: u64| {
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        format!(
            "{:02}:{:02}:{seconds:02}{point}{rest:03}",
            minutes / 60,
            minutes % 60
        )
    };
    for (number, segment) in segments.iter().enumerate() {
        if numbered {
            let _ = writeln!(out, "{}", number + 1);
        }
        // An empty line would end the cue.
        let text = segment.text.replace("\r\n", "\n").replace("\n\n", "\n");
        let (start, end) = (time(segment.start), time(segment.end));
        let _ = writeln!(out, "{start} --> {end}\n{text}\n");
    }
    out
}

#[derive(Serialize)]
struct UsageOut {
    r#type: &'static str,
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            r#type: "tokens",
            input_tokens: usage.prompt,
            output_tokens: usage.output,
            total_tokens: usage.total,
        }
    }
}

fn json_body(text: &str, usage: Option<Usage>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<UsageOut>,
    }
    let usage = usage.map(UsageOut::from);
    to_json(&Body { text, usage }, text.len())
}

fn verbose(
    call: &TranscribeCall,
    spoken: &str,
    segments: &[Segment],
    usage: Option<Usage>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        task: &'static str,
        language: &'a str,
        duration: f64,
        text: String,
        segments: Vec<Out<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<UsageOut>,
    }
    /// What OpenAI has besides comes from inside Whisper: 0 says nothing about any of it.
    #[derive(Serialize)]
    struct Out<'a> {
        id: usize,
        seek: u32,
        start: f64,
        end: f64,
        text: &'a str,
        tokens: [u32; 0],
        temperature: f32,
        avg_logprob: f32,
        compression_ratio: f32,
        no_speech_prob: f32,
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 ms are longer than any recording"
    )]
    let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
    let texts: Vec<&str> = segments.iter().map(|segment| &*segment.text).collect();
    let out = segments.iter().enumerate().map(|(id, segment)| Out {
        id,
        seek: 0,
        start: seconds(segment.start),
        end: seconds(segment.end),
        text: &segment.text,
        tokens: [],
        temperature: 0.0,
        avg_logprob: 0.0,
        compression_ratio: 0.0,
        no_speech_prob: 0.0,
    });
    let language = match (spoken.is_empty(), call.language.as_deref()) {
        (true, Some(language)) => language,
        _ => spoken,
    };
    let body = Body {
        task: match call.task {
            Task::Transcribe => "transcribe",
            Task::Translate => "translate",
        },
        language,
        // As far as anything was said: the length of the recording is not told.
        duration: segments.last().map_or(0.0, |last| seconds(last.end)),
        segments: out.collect(),
        text: texts.join(" "),
        usage: usage.map(UsageOut::from),
    };
    to_json(&body, 0)
}

/// The state machine of a stream: [`TranscribeStream::event`] for each of Google's events, then
/// [`TranscribeStream::finish`] or [`TranscribeStream::abort`].
#[derive(Debug, Default)]
pub struct TranscribeStream {
    text: String,
    usage: Option<Usage>,
    /// The text may still turn out to be [`SILENCE`].
    held: bool,
}

impl TranscribeStream {
    /// A stream that has not begun.
    pub fn new() -> Self {
        Self {
            held: true,
            ..Self::default()
        }
    }

    /// Reads one event and appends what the client is to be sent.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let answer = Response::parse(data)?;
        self.usage = answer.usage_metadata.map(Usage::from).or(self.usage);
        if let Some(feedback) = &answer.prompt_feedback
            && let Some(reason) = feedback.block_reason.as_deref()
        {
            return Err(Malformed::new(refusal(reason, None)));
        }
        let Some(mut candidate) = answer.into_first_candidate() else {
            return Ok(());
        };
        for part in candidate.take_parts() {
            let Some(text) = part.text.filter(|_| part.thought != Some(true)) else {
                continue;
            };
            self.text.push_str(&text);
            match self.held {
                true if SILENCE.starts_with(self.text.trim()) => {}
                true => {
                    self.held = false;
                    self.text = self.text.trim_start().to_owned();
                    delta(&self.text, out);
                }
                false => delta(&text, out),
            }
        }
        match candidate.finish_reason.as_deref() {
            Some(reason) if FinishReason::of(reason).is_filter() || reason == "MAX_TOKENS" => Err(
                Malformed::new(refusal(reason, candidate.finish_message.as_deref())),
            ),
            _ => Ok(()),
        }
    }

    /// Appends what ends a stream that is complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Done<'a> {
            r#type: &'static str,
            text: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            usage: Option<UsageOut>,
        }
        let text = without_silence(&self.text);
        if self.held && !text.is_empty() {
            delta(text, out);
        }
        let done = Done {
            r#type: "transcript.text.done",
            text,
            usage: self.usage.map(UsageOut::from),
        };
        event(done.r#type, &done, out);
    }

    /// Appends what ends a stream that broke off.
    pub fn abort(&mut self, failure: &crate::UpstreamFailure, out: &mut Vec<u8>) {
        let code = failure.code.as_deref();
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend(crate::error::openai(
            failure.status,
            &failure.message,
            None,
            code,
        ));
        out.extend_from_slice(b"\n\n");
    }
}

fn delta(text: &str, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Delta<'a> {
        r#type: &'static str,
        delta: &'a str,
    }
    let delta = Delta {
        r#type: "transcript.text.delta",
        delta: text,
    };
    event(delta.r#type, &delta, out);
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_are_read_however_a_model_writes_them() {
        for (time, expected) in [
            ("00:00:01.500", Some(1_500)),
            ("01:02:03,004", Some(3_723_004)),
            ("01:05", Some(65_000)),
            (" 7.25 ", Some(7_250)),
            ("0:00.123456", Some(123)),
            ("75:00", Some(4_500_000)),
            ("", None),
            ("1:2:3:4", None),
            ("1.5:2", None),
            ("00:-1", None),
            ("0:1.x", None),
            ("soon", None),
        ] {
            assert_eq!(milliseconds(time), expected, "{time}");
        }
    }
}
