//! Models that draw and speak: what they refuse, and what they say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::PICTURE;
use super::error::GoogleError;
use super::model::{Kind, Model};
use super::proto::{get, int, list, text};

/// Samples a second of what a model says.
pub const SPEECH_RATE: u32 = 24_000;

/// <https://ai.google.dev/gemini-api/docs/speech-generation#voices>
const VOICES: [&str; 30] = [
    "Achernar",
    "Achird",
    "Algenib",
    "Algieba",
    "Alnilam",
    "Aoede",
    "Autonoe",
    "Callirrhoe",
    "Charon",
    "Despina",
    "Enceladus",
    "Erinome",
    "Fenrir",
    "Gacrux",
    "Iapetus",
    "Kore",
    "Laomedeia",
    "Leda",
    "Orus",
    "Puck",
    "Pulcherrima",
    "Rasalgethi",
    "Sadachbia",
    "Sadaltager",
    "Schedar",
    "Sulafat",
    "Umbriel",
    "Vindemiatrix",
    "Zephyr",
    "Zubenelgenubi",
];

const RATIOS: [&str; 10] = [
    "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9",
];

/// Refuses what a model cannot give, and how it cannot give it.
pub(super) fn check(model: &Model, body: &Value) -> Result<(), GoogleError> {
    let config = get(body, "generation_config");
    let wanted: Vec<String> = config
        .map(|config| list(config, "response_modalities"))
        .unwrap_or_default()
        .iter()
        .filter_map(|modality| modality.as_str().map(str::to_ascii_uppercase))
        .collect();
    modalities(model, &wanted)?;
    if let Some(config) = config {
        if let Some(image) = get(config, "image_config") {
            image_config(model, image)?;
        }
        if let Some(speech) = get(config, "speech_config") {
            speech_config(speech)?;
        }
    }
    let styled = list(body, "contents").iter().any(|content| {
        let parts = list(content, "parts");
        parts
            .iter()
            .any(|part| get(part, "speech_metadata").is_some())
    });
    if styled && !(model.kind == Kind::Speech && model.id.starts_with("gemini-3.8")) {
        return Err(GoogleError::invalid(format!(
            "Speech metadata is not supported for models/{}",
            model.id
        )));
    }
    if model.kind == Kind::Speech && get(body, "system_instruction").is_some() {
        return Err(GoogleError::invalid(format!(
            "Developer instruction is not enabled for models/{}",
            model.id
        )));
    }
    Ok(())
}

fn modalities(model: &Model, wanted: &[String]) -> Result<(), GoogleError> {
    let accepted: &[&str] = match model.kind {
        Kind::Image => &["TEXT, IMAGE", "IMAGE", "TEXT"],
        Kind::Speech => &["AUDIO"],
        _ => &["TEXT"],
    };
    let mut sorted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    // In the order in which Google lists them.
    sorted.sort_by_key(|name| {
        ["TEXT", "IMAGE", "AUDIO"]
            .iter()
            .position(|known| known == name)
    });
    let fits = match (wanted.is_empty(), model.kind) {
        // Models that speak must be told to; all others do what they do.
        (true, kind) => kind != Kind::Speech,
        (false, _) => accepted.contains(&&*sorted.join(", ")),
    };
    if fits {
        return Ok(());
    }
    let asked = match wanted.is_empty() {
        true => "TEXT".to_owned(),
        false => sorted.join(", "),
    };
    let accepted: String = accepted.iter().map(|one| format!("* {one}\n")).collect();
    Err(GoogleError::invalid(format!(
        "The requested combination of response modalities ({asked}) is not supported by the model. models/{} accepts \
         the following combination of response modalities:\n{accepted}",
        model.id
    )))
}

fn image_config(model: &Model, config: &Value) -> Result<(), GoogleError> {
    if model.kind != Kind::Image {
        return Err(GoogleError::invalid(
            "Image generation config is not supported for this model.",
        ));
    }
    let ratio = text(config, "aspect_ratio");
    if !ratio.is_empty() && !RATIOS.contains(&ratio) {
        return Err(GoogleError::invalid(format!(
            "* GenerateContentRequest.generation_config.image_config.aspect_ratio: aspect_ratio must be one of {}.\n",
            RATIOS.join(", ")
        )));
    }
    let size = text(config, "image_size");
    if !size.is_empty() && (model.id.starts_with("gemini-2") || !["1K", "2K", "4K"].contains(&size))
    {
        return Err(GoogleError::invalid(format!(
            "* GenerateContentRequest.generation_config.image_config.image_size: image_size {size} is not supported by \
             models/{}.\n",
            model.id
        )));
    }
    Ok(())
}

fn speech_config(config: &Value) -> Result<(), GoogleError> {
    let voice = get(config, "voice_config")
        .and_then(|voice| get(voice, "prebuilt_voice_config"))
        .map(|prebuilt| text(prebuilt, "voice_name"));
    match voice {
        Some(name) if !VOICES.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
            Err(GoogleError::invalid(format!(
                "Voice name {name} is not supported. Allowed voice names are: {}",
                VOICES.join(", ").to_ascii_lowercase()
            )))
        }
        _ => Ok(()),
    }
}

/// A text as a tone: a hundredth of a second for each character.
pub(super) fn spoken(said: &str) -> Value {
    let samples = SPEECH_RATE / 100 * u32::try_from(said.chars().count()).unwrap_or(1).max(1);
    let bytes: Vec<u8> = (0..samples)
        .flat_map(|at| {
            let angle = f64::from(at) * 440.0 * std::f64::consts::TAU / f64::from(SPEECH_RATE);
            #[expect(clippy::cast_possible_truncation, reason = "between -8000 and 8000")]
            let sample = (angle.sin() * 8000.0) as i16;
            sample.to_le_bytes()
        })
        .collect();
    blob(&bytes)
}

fn blob(samples: &[u8]) -> Value {
    json!({ "inlineData": {
        "mimeType": format!("audio/L16;codec=pcm;rate={SPEECH_RATE}"),
        "data": STANDARD.encode(samples),
    } })
}

/// How a stream brings what is said: in pieces of a tenth of a second.
pub(super) fn pieces(part: &Value) -> Option<Vec<Value>> {
    let samples = samples(part)?;
    Some(samples.chunks(SPEECH_RATE as usize / 5).map(blob).collect())
}

/// The tokens of what is said: 25 a second.
pub(super) fn audio_tokens(part: &Value) -> Option<u64> {
    let samples = samples(part)?.len() as u64 / 2;
    Some((samples * 25).div_ceil(SPEECH_RATE.into()))
}

fn samples(part: &Value) -> Option<Vec<u8>> {
    let blob = part.get("inlineData")?;
    if !text(blob, "mimeType").starts_with("audio/L16") {
        return None;
    }
    STANDARD.decode(text(blob, "data")).ok()
}

/// Refuses what models that draw or film do not take in a prediction. The shapes are those of
/// <https://ai.google.dev/gemini-api/docs/imagen> and <https://ai.google.dev/gemini-api/docs/video>.
pub(super) fn check_prediction(model: &Model, body: &Value) -> Result<(), GoogleError> {
    let [instance] = list(body, "instances") else {
        return Err(GoogleError::invalid(
            "Only one instance is supported for this model.",
        ));
    };
    let has = |name: &str| get(instance, name).is_some();
    if text(instance, "prompt").is_empty() && !(has("image") || has("video")) {
        return Err(GoogleError::invalid("The prompt is empty."));
    }
    let most = if model.kind == Kind::Film { 1 } else { 4 };
    match samples_wanted(body) {
        wanted if (1..=most).contains(&wanted) => Ok(()),
        wanted => Err(GoogleError::invalid(format!(
            "sampleCount {wanted} is not supported; it must be between 1 and {most}."
        ))),
    }
}

fn samples_wanted(body: &Value) -> i64 {
    get(body, "parameters")
        .and_then(|parameters| int(parameters, "sample_count"))
        .unwrap_or(1)
}

/// What a model that only draws predicts.
pub(super) fn drawn(body: &Value) -> Value {
    let picture = json!({ "mimeType": "image/png", "bytesBase64Encoded": PICTURE });
    let pictures: Vec<Value> = (0..samples_wanted(body)).map(|_| picture.clone()).collect();
    json!({ "predictions": pictures })
}

/// The bytes of a film about this: no film, but no two prompts have the same.
pub(super) fn film(prompt: &str) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    bytes.extend_from_slice(prompt.as_bytes());
    bytes
}
