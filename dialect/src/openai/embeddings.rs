//! The body of `/v1/embeddings`, as we read it. Source: OpenAI's OpenAPI description,
//! `CreateEmbeddingRequest`.

use std::fmt;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::text::Str;

/// The whole body.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// The model's name; required.
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    /// What to embed; required.
    #[serde(borrow, default)]
    pub input: Option<Input<'a>>,
    /// How many numbers each vector has.
    #[serde(default)]
    pub dimensions: Option<u32>,
    /// `float` or `base64`.
    #[serde(borrow, default)]
    pub encoding_format: Option<Str<'a>>,
}

/// What to embed.
#[derive(Debug)]
pub struct Input<'a>(pub Vec<Piece<'a>>);

/// One thing to embed.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A text.
    Text(Str<'a>),
    /// Numbers of OpenAI's tokeniser, or lists of them.
    Tokens,
}

impl<'de: 'a, 'a> Deserialize<'de> for Input<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Input<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Input(vec![Piece::Text(Str::from(text))]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Input(vec![Piece::Text(Str::from(text.to_owned()))]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Input)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Piece<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Piece<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Piece::Text(Str::from(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Piece::Text(Str::from(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Piece::Tokens)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<u64>()?.is_some() {}
                Ok(Piece::Tokens)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
