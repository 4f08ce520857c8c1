//! Vertex AI in express mode: Google's models behind another door, with keys of its own. Speaks
//! almost the same: what differs is here, so that a call of the Gemini API can be made with
//! either kind of key.
//!
//! | Gemini API | express mode |
//! |---|---|
//! | `generateContent`, `streamGenerateContent` | the same; each turn must name its `role` |
//! | `countTokens {generateContentRequest}` | `countTokens` with the request's fields themselves |
//! | `embedContent`, `batchEmbedContents` | `predict`, one call for each text |
//! | `models` | nothing |
//!
//! Sources: Google Cloud's "Vertex AI in express mode REST API reference" (paths, generation,
//! counting) and "Text embeddings API" (`predict`, whose `gemini-embedding-001` takes one text a
//! call); read in November 2026.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fields::{Fields, fields, find, take, written};
use crate::error::Malformed;
use crate::text::{Str, raw, to_json};

/// How a call of the Gemini API is made in express mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Express {
    /// As it is.
    Same,
    /// With another body.
    Body(Vec<u8>),
    /// As several calls of `predict`, whose answers [`embeddings`] puts together.
    Predict(Vec<Vec<u8>>),
    /// Not at all.
    Never,
}

/// How a call is made whose path ends in `verb` (empty: the list of models).
pub fn express(verb: &str, body: &[u8]) -> Express {
    let body = match verb {
        "generateContent" | "streamGenerateContent" => fields(body).and_then(with_roles),
        "countTokens" => fields(body).and_then(counted),
        "embedContent" | "batchEmbedContents" => {
            // What cannot be read is Google's to refuse.
            return predictions(verb, body).map_or(Express::Same, Express::Predict);
        }
        _ => return Express::Never,
    };
    body.map_or(Express::Same, Express::Body)
}

/// The body with a role in each turn; `None` when there is one already.
fn with_roles(mut body: Fields) -> Option<Vec<u8>> {
    let at = find(&body, ["contents", "contents"])?;
    let turns: Vec<&RawValue> = serde_json::from_str(body[at].1.get()).ok()?;
    let mut changed = false;
    let turns: Vec<Cow<'_, RawValue>> = turns
        .into_iter()
        .map(|turn| {
            let own = fields(turn.get().as_bytes());
            match own.filter(|own| find(own, ["role", "role"]).is_none()) {
                None => Cow::Borrowed(turn),
                Some(mut own) => {
                    changed = true;
                    own.insert(0, ("role".to_owned(), raw("\"user\"".to_owned())));
                    let turn = String::from_utf8_lossy(&written(&own)).into_owned();
                    Cow::Owned(raw(turn))
                }
            }
        })
        .collect();
    let turns = serde_json::value::to_raw_value(&turns).ok()?;
    body[at].1 = turns;
    changed.then(|| written(&body))
}

/// The body of `countTokens` without what wraps it.
fn counted(mut body: Fields) -> Option<Vec<u8>> {
    const WRAPPED: [&str; 2] = ["generateContentRequest", "generate_content_request"];
    let Some(inner) = take(&mut body, WRAPPED) else {
        return with_roles(body);
    };
    let mut inner = fields(inner.get().as_bytes())?;
    // Names the model as the Gemini API does; here the path does.
    take(&mut inner, ["model", "model"]);
    for unknown in [
        ["toolConfig", "tool_config"],
        ["safetySettings", "safety_settings"],
        ["cachedContent", "cached_content"],
    ] {
        take(&mut inner, unknown);
    }
    let plain = written(&inner);
    Some(with_roles(inner).unwrap_or(plain))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embed<'a> {
    #[serde(borrow)]
    content: Content<'a>,
    #[serde(borrow, default, alias = "task_type")]
    task_type: Option<Str<'a>>,
    #[serde(borrow, default)]
    title: Option<Str<'a>>,
    #[serde(default, alias = "output_dimensionality")]
    output_dimensionality: Option<u32>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Str<'a>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    requests: Vec<Embed<'a>>,
}

#[derive(Serialize)]
struct Predict<'a> {
    instances: [Instance<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
}

#[derive(Serialize)]
struct Instance<'a> {
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<Str<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    output_dimensionality: u32,
}

fn predictions(verb: &str, body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let requests = match verb {
        "embedContent" => vec![serde_json::from_slice(body).ok()?],
        _ => serde_json::from_slice::<Batch<'_>>(body).ok()?.requests,
    };
    let bodies = requests.into_iter().map(|request| {
        let Embed {
            content,
            task_type,
            title,
            output_dimensionality,
        } = request;
        let mut texts = content.parts.into_iter().map(|part| part.text.into_cow());
        let mut text = texts.next().unwrap_or_default();
        for more in texts {
            let joined = text.to_mut();
            joined.push('\n');
            joined.push_str(&more);
        }
        let predict = Predict {
            instances: [Instance {
                content: text,
                task_type,
                title,
            }],
            parameters: output_dimensionality.map(|output_dimensionality| Parameters {
                output_dimensionality,
            }),
        };
        to_json(&predict, 0)
    });
    Some(bodies.collect())
}

/// The answer of `embedContent` or `batchEmbedContents` made of those of `predict`.
///
/// # Errors
/// When they are not what `predict` answers.
pub fn embeddings<B: AsRef<[u8]>>(verb: &str, answers: &[B]) -> Result<Vec<u8>, Malformed> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        predictions: Vec<Prediction<'a>>,
    }
    #[derive(Deserialize)]
    struct Prediction<'a> {
        #[serde(borrow)]
        embeddings: Embeddings<'a>,
    }
    #[derive(Deserialize)]
    struct Embeddings<'a> {
        #[serde(borrow)]
        values: &'a RawValue,
        #[serde(default)]
        statistics: Statistics,
    }
    #[derive(Default, Deserialize)]
    struct Statistics {
        /// Comes as `4.0`, too.
        #[serde(default)]
        token_count: f64,
    }
    let mut values: Vec<&RawValue> = Vec::with_capacity(answers.len());
    let mut tokens = 0.0;
    for answer in answers {
        let answer: Answer<'_> =
            serde_json::from_slice(answer.as_ref()).map_err(|error| Malformed::json(&error))?;
        for Prediction { embeddings } in answer.predictions {
            values.push(embeddings.values);
            tokens += embeddings.statistics.token_count;
        }
    }
    if values.len() != answers.len() {
        return Err(Malformed::new("Google gave another number of vectors."));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of tokens"
    )]
    let tokens = tokens as u64;
    let one = |values: &&RawValue| serde_json::json!({ "values": values });
    let mut body = match (verb, values.first()) {
        ("embedContent", Some(first)) => serde_json::json!({ "embedding": one(first) }),
        _ => {
            let all: Vec<serde_json::Value> = values.iter().map(one).collect();
            serde_json::json!({ "embeddings": all })
        }
    };
    body["usageMetadata"] = serde_json::json!({ "promptTokenCount": tokens });
    Ok(to_json(&body, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(verb: &str, given: &str) -> String {
        match express(verb, given.as_bytes()) {
            Express::Same => given.to_owned(),
            Express::Body(body) => String::from_utf8(body).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn turns_get_roles_and_all_else_stays() {
        for (given, expected) in [
            (
                r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[]}],"x":1.10}"#,
                r#"{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[]}],"x":1.10}"#,
            ),
            (
                r#"{"contents": [{"role": "user"}]}"#,
                r#"{"contents": [{"role": "user"}]}"#,
            ),
            ("no JSON", "no JSON"),
        ] {
            assert_eq!(body("generateContent", given), expected);
            assert_eq!(body("streamGenerateContent", given), expected);
        }
    }

    #[test]
    fn counting_takes_the_fields_themselves() {
        let given = r#"{"generateContentRequest":{"model":"models/m","systemInstruction":{"parts":[]},"contents":[{"parts":[]}],"toolConfig":{}}}"#;
        assert_eq!(
            body("countTokens", given),
            r#"{"systemInstruction":{"parts":[]},"contents":[{"role":"user","parts":[]}]}"#
        );
        let bare = r#"{"contents":[{"role":"user","parts":[]}]}"#;
        assert_eq!(body("countTokens", bare), bare);
    }

    #[test]
    fn each_text_is_a_prediction_of_its_own() {
        let given = br#"{"requests":[
            {"model":"models/m","content":{"parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":3},
            {"model":"models/m","content":{"parts":[{"text":"c"}]},"taskType":"RETRIEVAL_QUERY"}
        ]}"#;
        let Express::Predict(calls) = express("batchEmbedContents", given) else {
            panic!("no predictions");
        };
        let calls: Vec<&str> = calls
            .iter()
            .map(|call| std::str::from_utf8(call).unwrap())
            .collect();
        assert_eq!(
            calls,
            [
                r#"{"instances":[{"content":"a\nb"}],"parameters":{"outputDimensionality":3}}"#,
                r#"{"instances":[{"content":"c","task_type":"RETRIEVAL_QUERY"}]}"#,
            ]
        );
        let answers = [
            r#"{"predictions":[{"embeddings":{"values":[0.1,0.25],"statistics":{"truncated":false,"token_count":2}}}]}"#,
            r#"{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":1.0}}}]}"#,
        ];
        let batch = embeddings("batchEmbedContents", &answers).unwrap();
        assert_eq!(
            String::from_utf8(batch).unwrap(),
            r#"{"embeddings":[{"values":[0.1,0.25]},{"values":[1]}],"usageMetadata":{"promptTokenCount":3}}"#
        );
        let one = embeddings("embedContent", &answers[..1]).unwrap();
        assert_eq!(
            String::from_utf8(one).unwrap(),
            r#"{"embedding":{"values":[0.1,0.25]},"usageMetadata":{"promptTokenCount":2}}"#
        );
        assert!(embeddings("embedContent", &["{}"]).is_err());
        assert_eq!(express("embedContent", b"[]"), Express::Same);
        assert_eq!(express("", b""), Express::Never);
    }
}
