//! What the model families can do. The one table of it.
//!
//! Sources: ai.google.dev "Thinking" (budgets of 2.5, levels of 3.x), "OpenAI compatibility" (what
//! `reasoning_effort` means) and "Structured output" (JSON Schema since Gemini 2.5; 2.0 and older
//! take Google's own schemas); read for this table in November 2026. Vertex AI takes JSON Schema
//! of the same models (`FunctionDeclaration` of its REST reference).

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;

use super::request::ThinkingConfig;

/// How a family is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// It does not think, or cannot be told.
    No,
    /// `thinkingBudget`, in tokens.
    Budget {
        /// The least it accepts besides 0.
        min: i64,
        /// The most.
        max: i64,
        /// Whether 0 switches it off.
        can_be_off: bool,
    },
    /// `thinkingLevel`, one of these, least first. It cannot be switched off.
    Levels(&'static [Level]),
}

/// A `thinkingLevel`, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As good as none.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

impl Level {
    /// As Google writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What clients call it: OpenAI's `reasoning_effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Off, or as little as the model can.
    #[serde(alias = "off", alias = "disabled")]
    None,
    /// As good as none.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// All the model can.
    #[serde(alias = "max")]
    Xhigh,
    /// As the model likes.
    #[serde(alias = "default", alias = "dynamic")]
    Auto,
}

impl Effort {
    /// The effort that Google's `thinkingLevel` says; what is no level leaves it to the model.
    fn of_level(level: &str) -> Option<Self> {
        if level.is_empty() {
            return None;
        }
        let level = level.to_ascii_lowercase();
        let level: StrDeserializer<'_, serde::de::value::Error> =
            level.as_str().into_deserializer();
        Some(Self::deserialize(level).unwrap_or(Self::Auto))
    }
}

const LOW_HIGH: Thinking = Thinking::Levels(&[Level::Low, Level::High]);
const LOW_UP: Thinking = Thinking::Levels(&[Level::Low, Level::Medium, Level::High]);
const MINIMAL_UP: Thinking =
    Thinking::Levels(&[Level::Minimal, Level::Low, Level::Medium, Level::High]);
const FLASH_25: Thinking = Thinking::Budget {
    min: 1,
    max: 24_576,
    can_be_off: true,
};

/// In which language a family takes schemas, of functions and of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schemas {
    /// JSON Schema: `parametersJsonSchema`, `responseJsonSchema`.
    Json,
    /// Google's own: `parameters`, `responseSchema`.
    Own,
}
use Schemas::{Json, Own};

/// The most tokens of one answer, thoughts included, of the usual family, of one that draws, of one
/// that speaks, and of one from before 2.5.
const USUAL: u64 = 65_536;
const DRAWN: u64 = 32_768;
const SPOKEN: u64 = 16_384;
const OLD: u64 = 8_192;

/// What a family's names begin with, how it thinks, its language of schemas, and the most tokens
/// that it answers with.
type Family = (&'static str, Thinking, Schemas, u64);

/// The first whose beginning fits a name counts. A model of no family here is taken for a new one.
const FAMILIES: [Family; 31] = [
    ("gemini-2.5-flash-image", Thinking::No, Json, DRAWN),
    ("gemini-2.5-flash-preview-tts", Thinking::No, Json, SPOKEN),
    ("gemini-2.5-pro-preview-tts", Thinking::No, Json, SPOKEN),
    (
        "gemini-2.5-flash-lite",
        Thinking::Budget {
            min: 512,
            max: 24_576,
            can_be_off: true,
        },
        Json,
        USUAL,
    ),
    ("gemini-2.5-flash", FLASH_25, Json, USUAL),
    (
        "gemini-2.5-pro",
        Thinking::Budget {
            min: 128,
            max: 32_768,
            can_be_off: false,
        },
        Json,
        USUAL,
    ),
    ("gemini-robotics-er-1.5", FLASH_25, Json, USUAL),
    ("gemini-1", Thinking::No, Own, OLD),
    ("gemini-2.0", Thinking::No, Own, OLD),
    ("gemini-2", Thinking::No, Own, USUAL),
    ("gemini-3-pro-image", Thinking::No, Json, DRAWN),
    ("gemini-3.1-flash-image", Thinking::No, Json, DRAWN),
    ("gemini-3-pro", LOW_HIGH, Json, USUAL),
    ("gemini-3.1-pro", LOW_UP, Json, USUAL),
    ("gemini-3-flash", MINIMAL_UP, Json, USUAL),
    ("gemini-3.1-flash-tts", Thinking::No, Json, SPOKEN),
    ("gemini-3.1-flash", MINIMAL_UP, Json, USUAL),
    ("gemini-3.5-flash", MINIMAL_UP, Json, USUAL),
    ("gemini-3.6-flash", MINIMAL_UP, Json, USUAL),
    ("gemini-3.8-flash-tts", LOW_UP, Json, SPOKEN),
    ("gemini-3.8-flash-lite-tts", LOW_UP, Json, SPOKEN),
    // 3.7, 3.8 and whatever comes: every model since 3.1 takes these three.
    ("gemini-3", LOW_UP, Json, USUAL),
    ("gemini-4", LOW_UP, Json, USUAL),
    ("gemini-5", LOW_UP, Json, USUAL),
    ("gemini-flash", LOW_UP, Json, USUAL),
    ("gemini-pro-latest", LOW_UP, Json, USUAL),
    ("gemini-exp", Thinking::No, Own, OLD),
    ("gemma-2", Thinking::No, Own, OLD),
    ("gemma-3", Thinking::No, Own, OLD),
    ("gemma", Thinking::No, Own, USUAL),
    ("learnlm", Thinking::No, Own, OLD),
];

fn family(model: &str) -> Option<&'static Family> {
    let mut families = FAMILIES.iter();
    families.find(|(beginning, ..)| model.starts_with(beginning))
}

impl Thinking {
    /// What the model named so understands; `model` is bare, without `models/`.
    pub fn of(model: &str) -> Self {
        family(model).map_or(Self::No, |(_, thinking, ..)| *thinking)
    }

    /// The nearest legal setting for an effort; `None` when there is nothing to set.
    pub fn for_effort(self, effort: Effort) -> Option<ThinkingConfig<'static>> {
        let tokens = match effort {
            Effort::Auto => return self.show(),
            Effort::None => 0,
            Effort::Minimal | Effort::Low => 1_024,
            Effort::Medium => 8_192,
            Effort::High => 24_576,
            Effort::Xhigh => i64::MAX,
        };
        match self {
            Self::No => None,
            Self::Budget { .. } => self.for_budget(tokens),
            Self::Levels(levels) => {
                let wanted = match effort {
                    Effort::None | Effort::Minimal => Level::Minimal,
                    Effort::Low => Level::Low,
                    Effort::Medium => Level::Medium,
                    Effort::High | Effort::Xhigh | Effort::Auto => Level::High,
                };
                Self::level(levels, wanted, effort > Effort::Minimal)
            }
        }
    }

    /// The nearest legal setting for a number of tokens; below 0 leaves it to the model.
    pub fn for_budget(self, tokens: i64) -> Option<ThinkingConfig<'static>> {
        match self {
            Self::No => None,
            _ if tokens < 0 => self.show(),
            Self::Budget {
                min,
                max,
                can_be_off,
            } => {
                let off = tokens == 0;
                Some(ThinkingConfig {
                    thinking_budget: Some(if off && can_be_off {
                        0
                    } else {
                        tokens.clamp(min, max)
                    }),
                    include_thoughts: (!off).then_some(true),
                    thinking_level: None,
                })
            }
            Self::Levels(levels) => {
                // The inverse of the table that efforts go by.
                let wanted = match tokens {
                    0 => Level::Minimal,
                    1..=4_096 => Level::Low,
                    4_097..=16_384 => Level::Medium,
                    _ => Level::High,
                };
                Self::level(levels, wanted, tokens > 0)
            }
        }
    }

    /// Thoughts shown, their amount left to the model.
    fn show(self) -> Option<ThinkingConfig<'static>> {
        (self != Self::No).then_some(ThinkingConfig {
            include_thoughts: Some(true),
            ..ThinkingConfig::default()
        })
    }

    /// The wanted level or the next one up that exists.
    fn level(
        levels: &[Level],
        wanted: Level,
        include_thoughts: bool,
    ) -> Option<ThinkingConfig<'static>> {
        let level = levels
            .iter()
            .find(|level| **level >= wanted)
            .or(levels.last())?;
        Some(ThinkingConfig {
            include_thoughts: include_thoughts.then_some(true),
            thinking_budget: None,
            thinking_level: Some(level.as_str().into()),
        })
    }
}

/// The most tokens of one answer of the model, thoughts included; of one that is not known, the
/// most that any gives. Vendors' models give more, and their clients ask for it.
pub fn most_output_tokens(model: &str) -> u64 {
    family(model).map_or(USUAL, |(.., most)| *most)
}

/// Families that think by Google's own levels `minimal` and `high`.
const OWN_LEVELS: [&str; 2] = ["gemini-3.1-flash-image", "gemma-4"];

/// What a client says of thinking in Google's own words, as near as the model takes it; `None`
/// when nothing is left to say. Whether thoughts are shown stays as it was said. What is said to a
/// model of no known family goes on as it is.
pub fn thinking_taken<'a>(own: ThinkingConfig<'a>, model: &str) -> Option<ThinkingConfig<'a>> {
    let Some((_, thinking, ..)) = family(model) else {
        return Some(own);
    };
    // They take two of the levels, and no efforts of other vendors are said to them.
    if OWN_LEVELS.iter().any(|own| model.starts_with(own)) {
        return Some(own);
    }
    let level = own.thinking_level.as_deref().and_then(Effort::of_level);
    let amount = match thinking {
        Thinking::No => None,
        Thinking::Budget { .. } => match (own.thinking_budget, level) {
            (Some(tokens), _) if tokens < 0 => Some(ThinkingConfig {
                thinking_budget: Some(-1),
                ..ThinkingConfig::default()
            }),
            (Some(tokens), _) => thinking.for_budget(tokens),
            (None, Some(effort)) => thinking.for_effort(effort),
            (None, None) => None,
        },
        Thinking::Levels(_) => match (level, own.thinking_budget) {
            (Some(Effort::Auto), _) | (None, None) => None,
            (Some(effort), _) => thinking.for_effort(effort),
            (None, Some(tokens)) => thinking.for_budget(tokens),
        },
    };
    let amount = amount.unwrap_or_default();
    // The models that draw think when they like, since Gemini 3, and show it.
    let can_show = *thinking != Thinking::No || signs_texts(model);
    let is_off = amount.thinking_budget == Some(0);
    let taken = ThinkingConfig {
        // Google refuses to show thoughts that are switched off.
        include_thoughts: own
            .include_thoughts
            .filter(|shown| can_show && !(is_off && *shown)),
        ..amount
    };
    (taken != ThinkingConfig::default()).then_some(taken)
}

/// Whether the model refuses a function call in its history that lacks a thought signature.
/// Gemini 3 began with that.
pub fn needs_signatures(model: &str) -> bool {
    matches!(Thinking::of(model), Thinking::Levels(_))
}

/// Whether the model signs texts and images, too, and does better when it gets these signatures
/// back (docs: "Thought signatures"). Gemini 3 began with that; for its image models it is how
/// they go on with an image.
pub fn signs_texts(model: &str) -> bool {
    let is_older = ["gemini-1", "gemini-2"]
        .iter()
        .any(|old| model.starts_with(old));
    model.starts_with("gemini-") && !is_older
}

/// Whether the model takes JSON Schema, of functions and of answers.
pub fn takes_json_schema(model: &str) -> bool {
    family(model).is_none_or(|(_, _, schemas, _)| *schemas == Json)
}

/// Whether the model can be told what a `systemInstruction` says. Gemma 3 answers "Developer
/// instruction is not enabled" with 400, and takes it as the user's words.
pub fn takes_system(model: &str) -> bool {
    !model.starts_with("gemma-3")
}

/// Whether the model speaks, and does nothing else: it reads out what it is sent.
pub fn speaks(model: &str) -> bool {
    model.contains("-tts")
}
