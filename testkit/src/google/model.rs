//! The models that the fake knows, and what each can do.

use serde_json::{Value, json};

/// What sets one model apart from another, as far as the fake's behaviour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers text at once.
    Plain,
    /// Gemini 2.5: thinks within a budget of tokens.
    Budget {
        /// Smallest budget other than 0 and -1.
        least: i64,
        /// Largest budget.
        most: i64,
        /// Whether a budget of 0 turns thinking off.
        can_stop: bool,
    },
    /// Gemini 3: thinks at a level, and wants its thought signatures back.
    Level,
    /// Draws; wants no signatures back.
    Image,
    /// Reads aloud.
    Speech,
    /// Turns text into vectors.
    Embedding,
    /// Draws by `predict` (Imagen).
    Draw,
    /// Makes films by `predictLongRunning` (Veo).
    Film,
    /// Talks over a WebSocket only.
    Live,
}

/// A model as `models.get` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Without `models/`.
    pub id: String,
    /// As a person reads it.
    pub display_name: String,
    /// Tokens it takes.
    pub input_tokens: u64,
    /// Tokens it gives.
    pub output_tokens: u64,
    /// Its behaviour.
    pub kind: Kind,
}

/// Name, display name, input limit, output limit, behaviour. The generations that are
/// alive in autumn 2026 by Google's page of deprecations.
const CURRENT: &[(&str, &str, u64, u64, Kind)] = &[
    (
        "gemini-3.8-flash",
        "Gemini 3.8 Flash",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-3.7-flash",
        "Gemini 3.7 Flash",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-3.5-flash",
        "Gemini 3.5 Flash",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-3.5-flash-lite",
        "Gemini 3.5 Flash-Lite",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-3.1-pro-preview",
        "Gemini 3.1 Pro Preview",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-3.1-flash-lite",
        "Gemini 3.1 Flash-Lite",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-3-flash-preview",
        "Gemini 3 Flash Preview",
        1_048_576,
        65_536,
        Kind::Level,
    ),
    (
        "gemini-2.5-pro",
        "Gemini 2.5 Pro",
        1_048_576,
        65_536,
        Kind::Budget {
            least: 128,
            most: 32_768,
            can_stop: false,
        },
    ),
    (
        "gemini-2.5-flash",
        "Gemini 2.5 Flash",
        1_048_576,
        65_536,
        Kind::Budget {
            least: 1,
            most: 24_576,
            can_stop: true,
        },
    ),
    (
        "gemini-2.5-flash-lite",
        "Gemini 2.5 Flash-Lite",
        1_048_576,
        65_536,
        Kind::Budget {
            least: 512,
            most: 24_576,
            can_stop: true,
        },
    ),
    (
        "gemini-3-pro-image",
        "Gemini 3 Pro Image",
        65_536,
        32_768,
        Kind::Image,
    ),
    (
        "gemini-3.1-flash-image",
        "Gemini 3.1 Flash Image",
        65_536,
        32_768,
        Kind::Image,
    ),
    (
        "gemini-2.5-flash-image",
        "Gemini 2.5 Flash Image",
        32_768,
        32_768,
        Kind::Image,
    ),
    (
        "gemini-3.8-flash-tts",
        "Gemini 3.8 Flash TTS",
        8_192,
        16_384,
        Kind::Speech,
    ),
    (
        "gemini-3.8-flash-lite-tts",
        "Gemini 3.8 Flash-Lite TTS",
        8_192,
        16_384,
        Kind::Speech,
    ),
    (
        "gemini-2.5-flash-preview-tts",
        "Gemini 2.5 Flash Preview TTS",
        8_192,
        16_384,
        Kind::Speech,
    ),
    ("gemma-3-27b-it", "Gemma 3 27B", 131_072, 8_192, Kind::Plain),
    (
        "gemini-embedding-001",
        "Gemini Embedding 001",
        2_048,
        1,
        Kind::Embedding,
    ),
    (
        "gemini-embedding-2",
        "Gemini Embedding 2",
        8_192,
        1,
        Kind::Embedding,
    ),
    (
        "gemini-3.1-flash-live-preview",
        "Gemini 3.1 Flash Live Preview",
        131_072,
        65_536,
        Kind::Live,
    ),
    (
        "imagen-4.0-generate-001",
        "Imagen 4",
        480,
        8_192,
        Kind::Draw,
    ),
    (
        "veo-3.1-generate-preview",
        "Veo 3.1",
        480,
        8_192,
        Kind::Film,
    ),
];

/// The models the fake offers unless told otherwise.
#[must_use]
pub fn current() -> Vec<Model> {
    CURRENT
        .iter()
        .map(
            |(id, display_name, input_tokens, output_tokens, kind)| Model {
                id: (*id).to_owned(),
                display_name: (*display_name).to_owned(),
                input_tokens: *input_tokens,
                output_tokens: *output_tokens,
                kind: *kind,
            },
        )
        .collect()
}

impl Model {
    /// A model of this name; what it can do is read from the name, as for the current ones.
    #[must_use]
    pub fn named(id: impl Into<String>) -> Self {
        let id = id.into();
        if let Some(known) = current().into_iter().find(|model| model.id == id) {
            return known;
        }
        let kind = if id.contains("embedding") {
            Kind::Embedding
        } else if id.starts_with("imagen-") {
            Kind::Draw
        } else if id.starts_with("veo-") {
            Kind::Film
        } else if id.contains("-live") || id.contains("native-audio") {
            Kind::Live
        } else if id.contains("image") {
            Kind::Image
        } else if id.contains("-tts") {
            Kind::Speech
        } else if id.starts_with("gemini-3") || id.starts_with("gemini-4") {
            Kind::Level
        } else if id.starts_with("gemini-2.5") {
            Kind::Budget {
                least: 1,
                most: 24_576,
                can_stop: true,
            }
        } else {
            Kind::Plain
        };
        let is_old = ["gemini-1", "gemini-2.0", "gemma"]
            .iter()
            .any(|old| id.starts_with(old));
        let output_tokens = match kind {
            Kind::Image => 32_768,
            Kind::Speech => 16_384,
            _ if is_old => 8_192,
            _ => 65_536,
        };
        Self {
            display_name: id.clone(),
            id,
            input_tokens: 1_048_576,
            output_tokens,
            kind,
        }
    }

    /// Whether the model can do this (`generateContent` …).
    #[must_use]
    pub fn supports(&self, action: &str) -> bool {
        self.methods().contains(&action)
            || (action == "streamGenerateContent" && self.supports("generateContent"))
    }

    /// Whether its function calls must come back with their thought signatures.
    #[must_use]
    pub const fn signs(&self) -> bool {
        matches!(self.kind, Kind::Level)
    }

    /// Whether it takes JSON Schema (`parametersJsonSchema`, `responseJsonSchema`). Gemini has
    /// since 2.5; older models and Gemma take Google's own language of schemas.
    #[must_use]
    pub fn takes_json_schema(&self) -> bool {
        !["gemini-1", "gemini-2.0", "gemma"]
            .iter()
            .any(|old| self.id.starts_with(old))
    }

    /// Whether it thinks before it answers.
    #[must_use]
    pub const fn thinks(&self) -> bool {
        matches!(self.kind, Kind::Level | Kind::Budget { .. })
    }

    const fn methods(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Embedding => &[
                "embedContent",
                "batchEmbedContents",
                "countTokens",
                "asyncBatchEmbedContent",
            ],
            Kind::Draw => &["predict"],
            Kind::Film => &["predictLongRunning"],
            Kind::Live => &["countTokens", "bidiGenerateContent"],
            _ => &[
                "generateContent",
                "countTokens",
                "createCachedContent",
                "batchGenerateContent",
            ],
        }
    }

    /// The model as Google describes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut shown = json!({
            "name": format!("models/{}", self.id),
            "version": "001",
            "displayName": self.display_name,
            "description": format!("{} (answered by a fake Google)", self.display_name),
            "inputTokenLimit": self.input_tokens,
            "outputTokenLimit": self.output_tokens,
            "supportedGenerationMethods": self.methods(),
        });
        if !matches!(self.kind, Kind::Embedding | Kind::Draw | Kind::Film) {
            shown["temperature"] = json!(1);
            shown["topP"] = json!(0.95);
            shown["topK"] = json!(64);
            shown["maxTemperature"] = json!(2);
        }
        if self.thinks() {
            shown["thinking"] = json!(true);
        }
        shown
    }
}
