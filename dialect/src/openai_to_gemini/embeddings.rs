//! OpenAI's `/v1/embeddings` over Google's `batchEmbedContents`.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | each text of `input` | a content of its own: several in one would share a vector |
//! | `dimensions` | `outputDimensionality` |
//! | `encoding_format` `float`, `base64` (of 32-bit numbers, little-endian) | `values` |
//! | `usage` | `usageMetadata`, which older models leave out: then 0 |
//!
//! OpenAI's vectors have the length 1, also with fewer dimensions. Those of Google that do not
//! (`gemini-embedding-001` with other than 3072 dimensions) are given it, as Google advises, so
//! that clients can go on comparing by the dot product.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::ModelMap;
use crate::error::{Invalid, Malformed};
use crate::gemini::Usage;
use crate::gemini::request::{Content, Part};
use crate::gemini::response::UsageMetadata;
use crate::openai::embeddings::{self as wire, Piece};
use crate::text::{Str, to_json};

/// The most that Google takes in one batch ("at most 100 requests can be in one batch").
const BATCH: usize = 100;

/// The most inputs that OpenAI takes.
const MOST_INPUTS: usize = 2048;

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingsCall {
    /// Google's id of the model, without `models/`; safe in a URL's path.
    pub model: String,
    /// The model's name as the client wrote it; answers repeat it.
    pub requested_model: String,
    /// The bodies for `batchEmbedContents`, to be sent one after the other.
    pub bodies: Vec<Vec<u8>>,
    /// How many vectors must come back.
    inputs: usize,
    base64: bool,
}

#[derive(Serialize)]
struct Batch<'a> {
    requests: &'a [One<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
}

/// Parses the body of `/v1/embeddings` and translates it, with the usual names. An error says
/// what was wrong, and where.
pub fn embeddings_request(body: &[u8]) -> Result<EmbeddingsCall, Invalid> {
    embeddings_request_with(body, &ModelMap::default())
}

/// Parses the body of `/v1/embeddings` and translates it; `models` says which model answers for
/// which name. An error says what was wrong, and where.
pub fn embeddings_request_with(body: &[u8], models: &ModelMap) -> Result<EmbeddingsCall, Invalid> {
    let request: wire::Request<'_> = Invalid::parse(body)?;
    let requested_model = match &request.model {
        Some(model) if !model.is_empty() => model.to_string(),
        _ => {
            return Err(Invalid::new(
                "model",
                "`model` is missing: name a model that embeds, e.g. gemini-embedding-001.",
            ));
        }
    };
    let model = models.read(&requested_model)?.model;
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            return Err(Invalid::new(
                "encoding_format",
                format!("`encoding_format` is \"{other}\"; it must be float or base64."),
            ));
        }
    };
    if request.dimensions == Some(0) {
        return Err(Invalid::new(
            "dimensions",
            "`dimensions` is 0; it must be at least 1, or left out.",
        ));
    }
    let input = request.input.map(|input| input.0).unwrap_or_default();
    if input.is_empty() || input.len() > MOST_INPUTS {
        return Err(Invalid::new(
            "input",
            format!(
                "`input` must be a text or a list of 1 to {MOST_INPUTS} texts; it has {}.",
                input.len()
            ),
        ));
    }
    let inputs = input.len();
    let path = format!("models/{model}");
    let mut requests = Vec::with_capacity(inputs);
    for (at, piece) in input.into_iter().enumerate() {
        requests.push(One {
            model: &path,
            content: Content {
                role: None,
                parts: vec![Part::text(text(piece, at)?.into_cow())],
            },
            output_dimensionality: request.dimensions,
        });
    }
    let batches = requests.chunks(BATCH);
    let bodies = batches
        .map(|requests| to_json(&Batch { requests }, body.len()))
        .collect();
    Ok(EmbeddingsCall {
        model,
        requested_model,
        bodies,
        inputs,
        base64,
    })
}

fn text(piece: Piece<'_>, at: usize) -> Result<Str<'_>, Invalid> {
    match piece {
        Piece::Text(text) if text.is_empty() => Err(Invalid::new(
            format!("input[{at}]"),
            format!("`input[{at}]` is empty; leave it out: there is nothing to embed."),
        )),
        Piece::Text(text) => Ok(text),
        Piece::Tokens => Err(Invalid::new(
            "input",
            "`input` holds tokens, numbers that only OpenAI's models can read; send the texts \
             themselves (in LangChain: check_embedding_ctx_length=False).",
        )),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    embeddings: Vec<Values>,
    #[serde(default)]
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Vec<f32>,
}

#[derive(Serialize)]
struct Body<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: UsageOut,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct UsageOut {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt,
            total_tokens: usage.total,
        }
    }
}

/// A translated answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// The body for the client.
    pub body: Vec<u8>,
    /// Tokens as Google counted them; `None` when it did not.
    pub usage: Option<Usage>,
}

/// Translates the answers to all bodies of a call, in their order. Another number of vectors
/// than of inputs is [`Malformed`]: a client could not tell which is whose.
pub fn embeddings_response<B: AsRef<[u8]>>(
    call: &EmbeddingsCall,
    gemini_bodies: &[B],
) -> Result<Embedded, Malformed> {
    let mut data = Vec::with_capacity(call.inputs);
    let mut usage: Option<Usage> = None;
    for body in gemini_bodies {
        let answer: Answer =
            serde_json::from_slice(body.as_ref()).map_err(|e| Malformed::json(&e))?;
        if let Some(counted) = answer.usage_metadata.map(Usage::from) {
            let sum = usage.get_or_insert_default();
            sum.prompt += counted.prompt;
            sum.total += counted.total;
        }
        for Values { values } in answer.embeddings {
            data.push(Embedding {
                object: "embedding",
                index: data.len(),
                embedding: vector(values, call.base64),
            });
        }
    }
    if data.len() != call.inputs {
        return Err(Malformed::new(format!(
            "Google answered with {} vectors for {} texts.",
            data.len(),
            call.inputs
        )));
    }
    let body = Body {
        object: "list",
        data,
        model: &call.requested_model,
        usage: usage.unwrap_or_default().into(),
    };
    Ok(Embedded {
        body: to_json(&body, 0),
        usage,
    })
}

fn vector(mut values: Vec<f32>, base64: bool) -> Vector {
    let square: f64 = values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = square.sqrt();
    if length > 0.0 && (length - 1.0).abs() > 1e-3 {
        #[expect(clippy::cast_possible_truncation, reason = "between -1 and 1")]
        for x in &mut values {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    match base64 {
        false => Vector::Floats(values),
        true => {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}
