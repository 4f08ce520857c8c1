//! OpenAI's embeddings over Gemini.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dialect::openai_to_gemini::{EmbeddingsCall, embeddings_request, embeddings_response};
use serde_json::{Value, json};

use crate::common::json;

fn ask(extra: Value) -> Result<EmbeddingsCall, dialect::Invalid> {
    let mut body = json!({"model": "gemini-embedding-001"});
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    embeddings_request(body.to_string().as_bytes())
}

#[test]
fn each_text_is_a_content_of_its_own() {
    let call = ask(json!({"input": ["a", "ü\n\"b\""], "dimensions": 8, "user": "u"})).unwrap();
    assert_eq!(call.model, "gemini-embedding-001");
    let [body] = &call.bodies[..] else {
        panic!("{:?}", call.bodies)
    };
    let one = |text: &str| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8});
    assert_eq!(json(body), json!({"requests": [one("a"), one("ü\n\"b\"")]}));

    let single = ask(json!({"input": "a"})).unwrap();
    assert_eq!(
        json(&single.bodies[0]),
        json!({"requests": [{"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}}]})
    );
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    for (extra, param) in [
        (json!({}), "input"),
        (json!({"input": null}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": ""}), "input[0]"),
        (json!({"input": ["a", ""]}), "input[1]"),
        (json!({"input": [1, 2, 3]}), "input"),
        (json!({"input": [[1, 2], [3]]}), "input"),
        (json!({"input": [{"a": 1}]}), "input[0]"),
        (json!({"input": vec!["a"; 2049]}), "input"),
        (
            json!({"input": "a", "encoding_format": "hex"}),
            "encoding_format",
        ),
        (json!({"input": "a", "dimensions": 0}), "dimensions"),
        (json!({"input": "a", "dimensions": -1}), "dimensions"),
        (json!({"input": "a", "model": ""}), "model"),
    ] {
        let invalid = ask(extra.clone()).unwrap_err();
        assert_eq!(invalid.param.as_deref(), Some(param), "{extra}: {invalid}");
    }
    let tokens = ask(json!({"input": [[1, 2]]})).unwrap_err();
    assert!(tokens.message.contains("send the texts"), "{tokens}");
}

#[test]
fn more_than_a_batch_is_sent_in_several_and_put_together_again() {
    let texts: Vec<String> = (0..250).map(|n| n.to_string()).collect();
    let call = ask(json!({"input": texts})).unwrap();
    let sizes: Vec<usize> = call
        .bodies
        .iter()
        .map(|body| json(body)["requests"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [100, 100, 50]);
    let answers: Vec<String> = sizes
        .iter()
        .map(|size| {
            json!({"embeddings": vec![json!({"values": [0.6, 0.8]}); *size], "usageMetadata": {"promptTokenCount": size}}).to_string()
        })
        .collect();
    let answer = json(&embeddings_response(&call, &answers).unwrap().body);
    let data = answer["data"].as_array().unwrap();
    assert_eq!(data.len(), 250);
    assert_eq!(
        data[249],
        json!({"object": "embedding", "index": 249, "embedding": [0.6, 0.8]})
    );
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 250, "total_tokens": 250})
    );
    let lost = embeddings_response(&call, &answers[..2]).unwrap_err();
    assert_eq!(
        lost.message,
        "Google answered with 200 vectors for 250 texts."
    );
}

#[test]
fn vectors_have_the_length_one_in_either_encoding() {
    let answer = br#"{"embeddings":[{"values":[3, -4]},{"values":[0, 0]}]}"#;
    let floats = ask(json!({"input": ["a", "b"]})).unwrap();
    let body = embeddings_response(&floats, &[answer]).unwrap().body;
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,-0.8]},{"object":"embedding","index":1,"embedding":[0.0,0.0]}],"model":"gemini-embedding-001","usage":{"prompt_tokens":0,"total_tokens":0}}"#
    );
    let base64 = ask(json!({"input": ["a", "b"], "encoding_format": "base64"})).unwrap();
    let body = json(&embeddings_response(&base64, &[answer]).unwrap().body);
    let bytes = STANDARD
        .decode(body["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    assert_eq!(
        bytes,
        [0.6_f32.to_le_bytes(), (-0.8_f32).to_le_bytes()].concat()
    );
    // What has it already is not touched.
    let body = embeddings_response(
        &floats,
        &[br#"{"embeddings":[{"values":[0.6004, 0.8]},{"values":[1]}]}"#],
    );
    assert_eq!(
        json(&body.unwrap().body)["data"][0]["embedding"],
        json!([0.6004, 0.8])
    );
    assert!(embeddings_response(&floats, &[b"{"]).is_err());
}
