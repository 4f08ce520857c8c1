//! What a gateway must know of an answer without translating it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::status::{ApiStatus, WireError};
use crate::error::Malformed;
use crate::text::Str;

/// What one answer, or one event of a stream, holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// Something for the client: text that is no thought, a function call, media, code.
    pub content: bool,
    /// Thoughts, and nothing else.
    pub thought_only: bool,
    /// Why the first finished candidate ended.
    pub finish: Option<FinishReason>,
    /// Token counts so far.
    pub usage: Option<Usage>,
    /// The prompt was refused: `promptFeedback.blockReason`, e.g. `PROHIBITED_CONTENT`.
    pub blocked: Option<String>,
    /// An error object in place of an answer, as comes inside streams.
    pub error: Option<ApiStatus>,
}

/// Why a candidate ended, as Google names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishReason(pub Cow<'static, str>);

impl FinishReason {
    /// The names Google documents; one of these costs no allocation.
    const KNOWN: [&'static str; 21] = [
        "STOP",
        "MAX_TOKENS",
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MALFORMED_FUNCTION_CALL",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_OTHER",
        "NO_IMAGE",
        "IMAGE_RECITATION",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "ESCALATION",
        "FINISH_REASON_UNSPECIFIED",
    ];

    /// The reason named so.
    pub fn of(name: &str) -> Self {
        match Self::KNOWN.iter().find(|known| **known == name) {
            Some(known) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(name.to_owned())),
        }
    }

    /// As Google writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Google's own filters ended the answer; another key would not change that.
    pub fn is_filter(&self) -> bool {
        matches!(
            self.as_str(),
            "SAFETY"
                | "RECITATION"
                | "LANGUAGE"
                | "BLOCKLIST"
                | "PROHIBITED_CONTENT"
                | "SPII"
                | "IMAGE_SAFETY"
                | "IMAGE_PROHIBITED_CONTENT"
                | "IMAGE_RECITATION"
                | "ESCALATION"
        )
    }
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input, cached tokens and results of Google's own tools included.
    pub prompt: u64,
    /// Output, thoughts included.
    pub output: u64,
    /// Of the output: thoughts.
    pub thoughts: u64,
    /// Of the input: taken from a cache.
    pub cached: u64,
    /// As Google sums it up.
    pub total: u64,
    /// Of the input: audio.
    pub prompt_audio: u64,
    /// Of the input: images and video.
    pub prompt_images: u64,
    /// Of the output: audio.
    pub output_audio: u64,
    /// Of the output: images.
    pub output_images: u64,
}

/// `usageMetadata` as it comes; absent counts are 0.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UsageMetadata {
    prompt_token_count: u64,
    tool_use_prompt_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
    cached_content_token_count: u64,
    total_token_count: u64,
    prompt_tokens_details: Modalities,
    candidates_tokens_details: Modalities,
}

/// Tokens by what they stand for. Read into two numbers: the list itself is not kept.
#[derive(Clone, Copy, Debug, Default)]
struct Modalities {
    audio: u64,
    images: u64,
}

impl<'de> Deserialize<'de> for Modalities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Count<'a> {
            #[serde(borrow, default)]
            modality: Str<'a>,
            #[serde(default)]
            token_count: u64,
        }
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = Modalities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of modalities and token counts")
            }

            fn visit_unit<E: Error>(self) -> Result<Modalities, E> {
                Ok(Modalities::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Modalities, A::Error> {
                let mut sum = Modalities::default();
                while let Some(count) = seq.next_element::<Count<'de>>()? {
                    match &*count.modality {
                        "AUDIO" => sum.audio += count.token_count,
                        "IMAGE" | "VIDEO" => sum.images += count.token_count,
                        _ => {}
                    }
                }
                Ok(sum)
            }
        }
        deserializer.deserialize_any(Counts)
    }
}

impl From<UsageMetadata> for Usage {
    fn from(wire: UsageMetadata) -> Self {
        let prompt = wire.prompt_token_count + wire.tool_use_prompt_token_count;
        let output = wire.candidates_token_count + wire.thoughts_token_count;
        Self {
            prompt,
            output,
            thoughts: wire.thoughts_token_count,
            cached: wire.cached_content_token_count,
            total: wire.total_token_count.max(prompt + output),
            prompt_audio: wire.prompt_tokens_details.audio,
            prompt_images: wire.prompt_tokens_details.images,
            output_audio: wire.candidates_tokens_details.audio,
            output_images: wire.candidates_tokens_details.images,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, default)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(default)]
    usage_metadata: Option<UsageMetadata>,
    #[serde(borrow, default)]
    error: Option<WireError<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    content: Option<Content>,
    #[serde(borrow, default)]
    finish_reason: Option<Str<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow, default)]
    block_reason: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Option<Vec<Part>>,
}

/// One part of an answer, as far as it matters whether it is content.
#[derive(Clone, Copy, Default)]
struct Part {
    text: bool,
    thought: bool,
    /// It holds something besides text: media, a call, code, or what Google will invent.
    other: bool,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "camelCase")]
        enum Field {
            Text,
            Thought,
            // These say something about a part and are nothing by themselves.
            ThoughtSignature,
            VideoMetadata,
            PartMetadata,
            MediaResolution,
            #[serde(other)]
            Other,
        }
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part of an answer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
                let mut part = Part::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Text => part.text = map.next_value::<HasText>()?.0,
                        Field::Thought => {
                            part.thought = map.next_value::<Option<bool>>()?.unwrap_or(false);
                        }
                        Field::Other => {
                            part.other |= map.next_value::<Option<IgnoredAny>>()?.is_some();
                        }
                        Field::ThoughtSignature
                        | Field::VideoMetadata
                        | Field::PartMetadata
                        | Field::MediaResolution => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(part)
            }
        }
        deserializer.deserialize_map(Look)
    }
}

/// Whether a string has any characters.
#[derive(Clone, Copy, Default)]
struct HasText(bool);

impl<'de> Deserialize<'de> for HasText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl Visitor<'_> for Look {
            type Value = HasText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or null")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HasText, E> {
                Ok(HasText(!text.is_empty()))
            }

            fn visit_unit<E: Error>(self) -> Result<HasText, E> {
                Ok(HasText(false))
            }
        }
        deserializer.deserialize_any(Look)
    }
}

impl Part {
    fn is_content(self) -> bool {
        self.other || (self.text && !self.thought)
    }

    fn is_thought(self) -> bool {
        self.text && self.thought
    }
}

impl Peek {
    /// Looks at a whole answer or at one event of a stream.
    pub fn of(data: &[u8]) -> Result<Self, Malformed> {
        let answer: Answer<'_> = serde_json::from_slice(data).map_err(|e| Malformed::json(&e))?;
        let mut peek = Self {
            usage: answer.usage_metadata.map(Usage::from),
            blocked: answer
                .prompt_feedback
                .and_then(|feedback| feedback.block_reason)
                .map(|reason| reason.into_cow().into_owned()),
            error: answer.error.map(ApiStatus::from),
            ..Self::default()
        };
        let mut thought = false;
        for candidate in answer.candidates.unwrap_or_default() {
            if peek.finish.is_none() {
                peek.finish = candidate.finish_reason.map(|name| FinishReason::of(&name));
            }
            for part in candidate.content.and_then(|c| c.parts).unwrap_or_default() {
                peek.content |= part.is_content();
                thought |= part.is_thought();
            }
        }
        peek.thought_only = thought && !peek.content;
        Ok(peek)
    }
}
