//! The body of `/v1/chat/completions`, as we read it: known fields typed, unknown ones
//! passed over. Source: OpenAI's OpenAPI description, `CreateChatCompletionRequest`; marked
//! where a field is from elsewhere.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use super::audio::Voice;
use crate::gemini::Effort;
use crate::signature::is_signature;
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
    /// Whether to stream.
    #[serde(default)]
    pub stream: Option<bool>,
    /// About the stream.
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
    /// The older name of the limit.
    #[serde(default)]
    pub max_tokens: Option<i64>,
    /// The limit, reasoning included.
    #[serde(default)]
    pub max_completion_tokens: Option<i64>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<Number>,
    /// Not OpenAI's, but sent by many clients.
    #[serde(default)]
    pub top_k: Option<Number>,
    /// How many choices.
    #[serde(default)]
    pub n: Option<u32>,
    /// Texts that end the answer.
    #[serde(borrow, default)]
    pub stop: Option<OneOrMany<'a>>,
    /// Seed of the sampling.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Penalty for tokens present.
    #[serde(default)]
    pub presence_penalty: Option<Number>,
    /// Penalty for frequent tokens.
    #[serde(default)]
    pub frequency_penalty: Option<Number>,
    /// Whether to tell likelihoods.
    #[serde(default)]
    pub logprobs: Option<bool>,
    /// Of how many alternatives.
    #[serde(default)]
    pub top_logprobs: Option<u32>,
    /// Functions and built-in tools.
    #[serde(borrow, default)]
    pub tools: Option<Vec<Tool<'a>>>,
    /// Which tool must be called.
    #[serde(borrow, default)]
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether several tools may be called at once; yes unless told otherwise.
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    /// The older form of `tools`.
    #[serde(borrow, default)]
    pub functions: Option<Vec<Function<'a>>>,
    /// The older form of `tool_choice`.
    #[serde(borrow, default)]
    pub function_call: Option<ToolChoice<'a>>,
    /// The output's format.
    #[serde(borrow, default)]
    pub response_format: Option<ResponseFormat<'a>>,
    /// `text`, `audio`, `image`.
    #[serde(borrow, default)]
    pub modalities: Option<Vec<Str<'a>>>,
    /// How an answer is spoken.
    #[serde(borrow, default)]
    pub audio: Option<Audio<'a>>,
    /// How much to think.
    #[serde(default)]
    pub reasoning_effort: Option<Effort>,
    /// OpenRouter's form of the same.
    #[serde(default)]
    pub reasoning: Option<Reasoning>,
    /// Asks for a web search.
    #[serde(borrow, default)]
    pub web_search_options: Option<&'a RawValue>,
    /// Google's own options: what the SDKs make of `extra_body={"google": …}`.
    #[serde(borrow, default)]
    pub google: Option<Google<'a>>,
    /// The same one or two levels deeper, as Google documents it.
    #[serde(borrow, default)]
    pub extra_body: Option<ExtraBody<'a>>,
}

/// How an answer is spoken.
#[derive(Debug, Default, Deserialize)]
pub struct Audio<'a> {
    /// Whose voice.
    #[serde(borrow, default)]
    pub voice: Option<Voice<'a>>,
    /// `wav`, `aac`, `mp3`, `flac`, `opus`, `pcm16`.
    #[serde(borrow, default)]
    pub format: Option<Str<'a>>,
}

/// About the stream.
#[derive(Debug, Deserialize)]
pub struct StreamOptions {
    /// Whether token counts come at the end.
    #[serde(default)]
    pub include_usage: Option<bool>,
}

/// OpenRouter's `reasoning`.
#[derive(Debug, Deserialize)]
pub struct Reasoning {
    /// How much.
    #[serde(default)]
    pub effort: Option<Effort>,
    /// How much, in tokens.
    #[serde(default)]
    pub max_tokens: Option<i64>,
    /// Whether at all.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whether thoughts stay out of the answer.
    #[serde(default)]
    pub exclude: Option<bool>,
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
    /// Of role `function`: the function. Of role `user`: who of several speaks.
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    /// Calls that the model made.
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    /// Of role `tool`: the call that is answered.
    #[serde(borrow, default)]
    pub tool_call_id: Option<Str<'a>>,
    /// The older form of `tool_calls`.
    #[serde(borrow, default)]
    pub function_call: Option<CalledFunction<'a>>,
    /// Why the model refused.
    #[serde(borrow, default)]
    pub refusal: Option<Str<'a>>,
    /// OpenRouter's: images that the model made.
    #[serde(borrow, default)]
    pub images: Option<Vec<Part<'a>>>,
    /// Google's: holds the thought signature of the text.
    #[serde(borrow, default)]
    pub extra_content: Option<ExtraContent<'a>>,
}

/// A message's content.
#[derive(Debug, Default)]
pub enum Content<'a> {
    /// Absent or null.
    #[default]
    None,
    /// Text.
    Text(Str<'a>),
    /// Parts.
    Parts(Vec<Part<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content parts")
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
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One part of a message.
#[derive(Debug, Default, Deserialize)]
pub struct Part<'a> {
    /// Its kind.
    #[serde(borrow, default, rename = "type")]
    pub kind: Str<'a>,
    /// Of `text`.
    #[serde(borrow, default)]
    pub text: Option<Str<'a>>,
    /// Of `refusal`.
    #[serde(borrow, default)]
    pub refusal: Option<Str<'a>>,
    /// Of `image_url`.
    #[serde(borrow, default)]
    pub image_url: Option<Url<'a>>,
    /// Of `video_url`, as some clients send it.
    #[serde(borrow, default)]
    pub video_url: Option<Url<'a>>,
    /// Of `input_audio`.
    #[serde(borrow, default)]
    pub input_audio: Option<Media<'a>>,
    /// Of `input_video`, as some clients send it.
    #[serde(borrow, default)]
    pub input_video: Option<Media<'a>>,
    /// Of `file`.
    #[serde(borrow, default)]
    pub file: Option<File<'a>>,
    /// Google's: holds the thought signature of an image that the model made.
    #[serde(borrow, default)]
    pub extra_content: Option<ExtraContent<'a>>,
}

/// An address, bare or in an object.
#[derive(Debug)]
pub struct Url<'a>(pub Str<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Url<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object<'a> {
            #[serde(borrow)]
            url: Str<'a>,
        }
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Url<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `url`")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Url(Str::from(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Url(Str::from(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Object::deserialize(MapAccessDeserializer::new(map)).map(|object| Url(object.url))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Audio or video in the body.
#[derive(Debug, Deserialize)]
pub struct Media<'a> {
    /// Base64.
    #[serde(borrow)]
    pub data: Str<'a>,
    /// `wav`, `mp3`, …
    #[serde(borrow, default)]
    pub format: Option<Str<'a>>,
}

/// A file.
#[derive(Debug, Deserialize)]
pub struct File<'a> {
    /// A data URL, or bare base64.
    #[serde(borrow, default)]
    pub file_data: Option<Str<'a>>,
    /// An uploaded file.
    #[serde(borrow, default)]
    pub file_id: Option<Str<'a>>,
    /// Its name; tells the media type when the data does not.
    #[serde(borrow, default)]
    pub filename: Option<Str<'a>>,
}

/// A call that the model made.
#[derive(Debug, Deserialize)]
pub struct ToolCall<'a> {
    /// Its id.
    #[serde(borrow, default)]
    pub id: Option<Str<'a>>,
    /// The function and its arguments.
    #[serde(borrow, default)]
    pub function: Option<CalledFunction<'a>>,
    /// The custom tool and its input.
    #[serde(borrow, default)]
    pub custom: Option<CalledCustom<'a>>,
    /// Google's: holds the thought signature.
    #[serde(borrow, default)]
    pub extra_content: Option<ExtraContent<'a>>,
}

/// A function and its arguments.
#[derive(Debug, Deserialize)]
pub struct CalledFunction<'a> {
    /// The function.
    #[serde(borrow)]
    pub name: Str<'a>,
    /// JSON in a string; some clients send the object itself.
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
}

/// A custom tool and what it was given.
#[derive(Debug, Deserialize)]
pub struct CalledCustom<'a> {
    /// The tool.
    #[serde(borrow)]
    pub name: Str<'a>,
    /// A text.
    #[serde(borrow, default)]
    pub input: Str<'a>,
}

/// `extra_content`, as Google's own OpenAI endpoint has it.
#[derive(Debug, Deserialize)]
pub struct ExtraContent<'a> {
    /// Google's part.
    #[serde(borrow, default)]
    pub google: Option<GoogleContent<'a>>,
}

impl<'a> ExtraContent<'a> {
    /// The signature, when it can be one.
    pub(crate) fn into_signature(self) -> Option<Cow<'a, str>> {
        let signature = self.google?.thought_signature?;
        is_signature(&signature).then(|| signature.into_cow())
    }
}

/// Google's part of `extra_content`.
#[derive(Debug, Deserialize)]
pub struct GoogleContent<'a> {
    /// The model's sealed thoughts.
    #[serde(borrow, default)]
    pub thought_signature: Option<Str<'a>>,
}

/// A tool.
#[derive(Debug, Default, Deserialize)]
pub struct Tool<'a> {
    /// `function`, `custom`, or a built-in one.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Str<'a>>,
    /// Of `function`.
    #[serde(borrow, default)]
    pub function: Option<Function<'a>>,
    /// Of `custom`.
    #[serde(borrow, default)]
    pub custom: Option<Custom<'a>>,
    /// Of `function` and `custom` in the flat form of the Responses API.
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    /// The same.
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    /// The same.
    #[serde(borrow, default)]
    pub parameters: Option<&'a RawValue>,
}

/// A function that the model may call.
#[derive(Debug, Deserialize)]
pub struct Function<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Str<'a>,
    /// What it does.
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    /// JSON Schema.
    #[serde(borrow, default)]
    pub parameters: Option<&'a RawValue>,
}

/// A tool that takes a text.
#[derive(Debug, Deserialize)]
pub struct Custom<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Str<'a>,
    /// What it does.
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    /// What its input looks like.
    #[serde(borrow, default)]
    pub format: Option<CustomFormat<'a>>,
}

/// What the input of a custom tool looks like, as chat has it.
#[derive(Debug, Deserialize)]
pub struct CustomFormat<'a> {
    /// Of `grammar`; a plain text has none.
    #[serde(borrow, default)]
    pub grammar: Option<Grammar<'a>>,
}

/// What the input of a custom tool looks like.
#[derive(Debug, Default, Deserialize)]
pub struct Grammar<'a> {
    /// `lark` or `regex`.
    #[serde(borrow, default)]
    pub syntax: Option<Str<'a>>,
    /// The grammar.
    #[serde(borrow, default)]
    pub definition: Option<Str<'a>>,
}

/// Which tool must be called.
#[derive(Debug)]
pub enum ToolChoice<'a> {
    /// `none`, `auto`, `required`.
    Mode(Str<'a>),
    /// One function, or one custom tool.
    Function(Str<'a>),
    /// One of several.
    Allowed {
        /// Whether one must be called.
        required: bool,
        /// Which.
        names: Vec<Str<'a>>,
    },
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Str<'a>,
}

#[derive(Deserialize)]
struct AllowedTool<'a> {
    #[serde(borrow, default, alias = "custom")]
    function: Option<Named<'a>>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct AllowedTools<'a> {
    #[serde(borrow, default)]
    mode: Option<Str<'a>>,
    #[serde(borrow, default)]
    tools: Vec<AllowedTool<'a>>,
}

#[derive(Deserialize)]
struct ChoiceObject<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow, default, alias = "custom")]
    function: Option<Named<'a>>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    allowed_tools: Option<AllowedTools<'a>>,
    /// Of `allowed_tools` in the flat form of the Responses API.
    #[serde(borrow, default)]
    mode: Option<Str<'a>>,
    /// The same.
    #[serde(borrow, default)]
    tools: Option<Vec<AllowedTool<'a>>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ToolChoice<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = ToolChoice<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"auto\", \"required\" or an object naming functions")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(ToolChoice::Mode(Str::from(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ToolChoice::Mode(Str::from(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = ChoiceObject::deserialize(MapAccessDeserializer::new(map))?;
                let flat = object.tools.map(|tools| AllowedTools {
                    mode: object.mode,
                    tools,
                });
                if let Some(allowed) = object.allowed_tools.or(flat) {
                    return Ok(ToolChoice::Allowed {
                        required: allowed.mode.as_deref() == Some("required"),
                        names: allowed
                            .tools
                            .into_iter()
                            .filter_map(|tool| tool.function.map(|f| f.name).or(tool.name))
                            .collect(),
                    });
                }
                let named = object.function.map(|f| f.name).or(object.name);
                match (named, object.kind) {
                    (Some(name), _) => Ok(ToolChoice::Function(name)),
                    (None, Some(kind)) => Ok(ToolChoice::Mode(kind)),
                    (None, None) => Err(A::Error::custom("names neither a function nor a mode")),
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The output's format.
#[derive(Debug, Deserialize)]
pub struct ResponseFormat<'a> {
    /// `text`, `json_object`, `json_schema`.
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    /// Of `json_schema`.
    #[serde(borrow, default)]
    pub json_schema: Option<JsonSchema<'a>>,
}

/// A schema and its name.
#[derive(Debug, Deserialize)]
pub struct JsonSchema<'a> {
    /// JSON Schema.
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
}

/// A string or a list of them.
#[derive(Debug, Default)]
pub struct OneOrMany<'a>(pub Vec<Str<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = OneOrMany<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![Str::from(text)]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![Str::from(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Google's own options. Both spellings are taken; JSON passes through.
#[derive(Debug, Default, Deserialize)]
pub struct Google<'a> {
    /// How much to think.
    #[serde(borrow, default, alias = "thinkingConfig")]
    pub thinking_config: Option<ThinkingConfig<'a>>,
    /// `cachedContents/…`
    #[serde(borrow, default, alias = "cachedContent")]
    pub cached_content: Option<Str<'a>>,
    /// Thresholds of Google's filters.
    #[serde(borrow, default, alias = "safetySettings")]
    pub safety_settings: Option<&'a RawValue>,
    /// Further tools, e.g. `[{"google_search": {}}]`.
    #[serde(borrow, default)]
    pub tools: Option<Vec<&'a RawValue>>,
    /// `["TEXT", "IMAGE"]`
    #[serde(borrow, default, alias = "responseModalities")]
    pub response_modalities: Option<&'a RawValue>,
    /// Size and shape of images.
    #[serde(borrow, default, alias = "imageConfig")]
    pub image_config: Option<&'a RawValue>,
    /// Voices.
    #[serde(borrow, default, alias = "speechConfig")]
    pub speech_config: Option<&'a RawValue>,
    /// How finely images are looked at.
    #[serde(borrow, default, alias = "mediaResolution")]
    pub media_resolution: Option<&'a RawValue>,
}

/// Google's `thinking_config`.
#[derive(Debug, Default, Deserialize)]
pub struct ThinkingConfig<'a> {
    /// Whether thoughts are sent back as text.
    #[serde(default, alias = "includeThoughts")]
    pub include_thoughts: Option<bool>,
    /// Tokens.
    #[serde(default, alias = "thinkingBudget")]
    pub thinking_budget: Option<i64>,
    /// Level.
    #[serde(borrow, default, alias = "thinkingLevel")]
    pub thinking_level: Option<Str<'a>>,
}

/// `extra_body`, when a client sends it literally.
#[derive(Debug, Default, Deserialize)]
pub struct ExtraBody<'a> {
    /// Google's options.
    #[serde(borrow, default)]
    pub google: Option<Google<'a>>,
    /// One level deeper.
    #[serde(borrow, default)]
    pub extra_body: Option<Box<ExtraBody<'a>>>,
}

impl<'a> ExtraBody<'a> {
    /// Google's options at whatever depth they are.
    pub fn into_google(self) -> Option<Google<'a>> {
        self.google.or_else(|| self.extra_body?.into_google())
    }
}
