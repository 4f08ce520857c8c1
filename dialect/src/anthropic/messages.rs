//! The body of `/v1/messages`, as we read it: known fields typed, unknown ones passed over.
//! Source: Anthropic's API reference, "Create a Message".

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::gemini::Effort;
use crate::text::Str;

/// The whole body.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// The model's name; required.
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    /// The conversation; required.
    #[serde(borrow, default)]
    pub messages: Option<Vec<Message<'a>>>,
    /// A conversation that the server holds, of which `messages` is only the end.
    #[serde(borrow, default)]
    pub thread: Option<&'a RawValue>,
    /// What the model is told before it.
    #[serde(borrow, default)]
    pub system: Content<'a>,
    /// The limit, thinking included.
    #[serde(default)]
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    #[serde(borrow, default)]
    pub stop_sequences: Option<Vec<Str<'a>>>,
    /// Whether to stream.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<Number>,
    /// Sampling among the k likeliest.
    #[serde(default)]
    pub top_k: Option<Number>,
    /// Functions and Anthropic's own tools.
    #[serde(borrow, default)]
    pub tools: Option<Vec<Tool<'a>>>,
    /// Which tool must be used.
    #[serde(borrow, default)]
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether and how much to think.
    #[serde(borrow, default)]
    pub thinking: Option<Thinking<'a>>,
    /// Effort and format.
    #[serde(borrow, default)]
    pub output_config: Option<OutputConfig<'a>>,
    /// The older place of `output_config.format`.
    #[serde(borrow, default)]
    pub output_format: Option<OutputFormat<'a>>,
}

/// One message.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Who speaks.
    #[serde(borrow)]
    pub role: Str<'a>,
    /// What is said.
    #[serde(borrow, default)]
    pub content: Content<'a>,
}

/// Content: text, or blocks.
#[derive(Debug, Default)]
pub enum Content<'a> {
    /// Absent, null, or an object (an error of Anthropic's own tools).
    #[default]
    None,
    /// Text.
    Text(Str<'a>),
    /// Blocks.
    Blocks(Vec<Block<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content blocks")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Content::None)
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Str::from(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Str::from(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Content::Text(Str::from(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Blocks)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content::None)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One block of content; which fields it has depends on its kind.
#[derive(Debug, Default, Deserialize)]
pub struct Block<'a> {
    /// Its kind.
    #[serde(borrow, default, rename = "type")]
    pub kind: Str<'a>,
    /// Of `text`.
    #[serde(borrow, default)]
    pub text: Option<Str<'a>>,
    /// Of `image` and `document`.
    #[serde(borrow, default)]
    pub source: Option<Source<'a>>,
    /// Of `document` and `search_result`.
    #[serde(borrow, default)]
    pub title: Option<Str<'a>>,
    /// Of `document`: what the model is to know of it.
    #[serde(borrow, default)]
    pub context: Option<Str<'a>>,
    /// Of `thinking`.
    #[serde(borrow, default)]
    pub signature: Option<Str<'a>>,
    /// Of `tool_use`.
    #[serde(borrow, default)]
    pub id: Option<Str<'a>>,
    /// Of `tool_use`.
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    /// Of `tool_use`: a JSON object.
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    /// Of `tool_result`.
    #[serde(borrow, default)]
    pub tool_use_id: Option<Str<'a>>,
    /// Of `tool_result` and `search_result`.
    #[serde(borrow, default)]
    pub content: Content<'a>,
    /// Of `tool_result`.
    #[serde(default)]
    pub is_error: Option<bool>,
}

/// Where an image or document is.
#[derive(Debug, Default)]
pub struct Source<'a> {
    /// `base64`, `url`, `text`, `content`, `file`.
    pub kind: Str<'a>,
    /// Of `base64` and `text`.
    pub media_type: Option<Str<'a>>,
    /// Of `base64` and `text`.
    pub data: Option<Str<'a>>,
    /// Of `url`; also a source that is only a string.
    pub url: Option<Str<'a>>,
    /// Of `file`.
    pub file_id: Option<Str<'a>>,
    /// Of `content`.
    pub content: Content<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Source<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object<'a> {
            #[serde(borrow, default, rename = "type")]
            kind: Str<'a>,
            #[serde(borrow, default)]
            media_type: Option<Str<'a>>,
            #[serde(borrow, default)]
            data: Option<Str<'a>>,
            #[serde(borrow, default)]
            url: Option<Str<'a>>,
            #[serde(borrow, default)]
            file_id: Option<Str<'a>>,
            #[serde(borrow, default)]
            content: Content<'a>,
        }
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Source<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `type`")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Source {
                    url: Some(Str::from(text)),
                    ..Source::default()
                })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Source {
                    url: Some(Str::from(text.to_owned())),
                    ..Source::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Source {
                    kind: object.kind,
                    media_type: object.media_type,
                    data: object.data,
                    url: object.url,
                    file_id: object.file_id,
                    content: object.content,
                })
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A tool.
#[derive(Debug, Deserialize)]
pub struct Tool<'a> {
    /// Absent or `custom` for a function; else one of Anthropic's own.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Str<'a>>,
    /// Its name.
    #[serde(borrow, default)]
    pub name: Str<'a>,
    /// What it does.
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    /// JSON Schema.
    #[serde(borrow, default)]
    pub input_schema: Option<&'a RawValue>,
}

/// Which tool must be used.
#[derive(Debug, Deserialize)]
pub struct ToolChoice<'a> {
    /// `auto`, `any`, `tool`, `none`.
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    /// Of `tool`.
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    /// At most one call at a time.
    #[serde(default)]
    pub disable_parallel_tool_use: Option<bool>,
}

/// Whether and how much to think.
#[derive(Debug, Deserialize)]
pub struct Thinking<'a> {
    /// `enabled`, `disabled`, `adaptive`.
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    /// Of `enabled`.
    #[serde(default)]
    pub budget_tokens: Option<i64>,
    /// `omitted` leaves the thoughts' text out.
    #[serde(borrow, default)]
    pub display: Option<Str<'a>>,
}

/// Effort and format.
#[derive(Debug, Deserialize)]
pub struct OutputConfig<'a> {
    /// How much of everything.
    #[serde(default)]
    pub effort: Option<Effort>,
    /// The output's format.
    #[serde(borrow, default)]
    pub format: Option<OutputFormat<'a>>,
}

/// The output's format.
#[derive(Debug, Deserialize)]
pub struct OutputFormat<'a> {
    /// `json_schema`.
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    /// JSON Schema.
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
}
