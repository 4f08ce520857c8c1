use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use testkit::google::{FakeGoogle, Model, Refusal, SENTINELS, thought_signature};

use super::{Client, KEY, OTHER, ask, exchange, get, google, message, post, post_as};

const CALL: &str = "gemini-2.5-flash:generateContent";
const CALL_3: &str = "gemini-3.8-flash:generateContent";

async fn with_headers(google: &FakeGoogle, query: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = Request::post(format!("/v1beta/models/{CALL}{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    exchange(
        google,
        request
            .body(Full::new(Bytes::from(ask("hi").to_string())))
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn a_call_needs_exactly_one_credential() {
    let google = google().start().await;
    let bearer = format!("Bearer {KEY}");

    let (status, body) = with_headers(&google, "", &[]).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    assert!(message(&body).starts_with("Method doesn't allow unregistered callers"));

    let twice: [(&str, &[(&str, &str)]); 4] = [
        ("", &[("x-goog-api-key", KEY), ("authorization", &bearer)]),
        (&format!("?key={KEY}"), &[("x-goog-api-key", KEY)]),
        (&format!("?key={KEY}"), &[("authorization", &bearer)]),
        ("", &[("x-goog-api-key", KEY), ("x-goog-api-key", OTHER)]),
    ];
    for (query, headers) in twice {
        let (status, body) = with_headers(&google, query, headers).await;
        assert_eq!(status, 400);
        assert_eq!(
            message(&body),
            "Multiple authentication credentials received. Please pass only one."
        );
    }

    let (status, body) = with_headers(&google, "", &[("authorization", &bearer)]).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    let info = &body["error"]["details"][0];
    assert_eq!(info["reason"], "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    assert_eq!(
        info["metadata"]["method"],
        "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent"
    );

    for (query, headers) in [
        ("", vec![("x-goog-api-key", KEY)]),
        (&format!("?key={OTHER}"), vec![]),
    ] {
        assert_eq!(with_headers(&google, query, &headers).await.0, 200);
    }
}

#[tokio::test]
async fn bad_keys_are_refused_in_googles_words() {
    let google = google().start().await;
    let (status, body) = post_as(&google, "AIza-unknown", CALL, &ask("hi")).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (400, &json!("INVALID_ARGUMENT"))
    );
    assert_eq!(
        message(&body),
        "API key not valid. Please pass a valid API key."
    );
    assert_eq!(body["error"]["details"][0]["reason"], "API_KEY_INVALID");
    assert_eq!(body["error"]["details"][0]["domain"], "googleapis.com");

    let cases = [
        (Refusal::Invalid, 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        (Refusal::Expired, 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        (
            Refusal::Suspended,
            403,
            "PERMISSION_DENIED",
            "CONSUMER_SUSPENDED",
        ),
        (Refusal::Leaked, 403, "PERMISSION_DENIED", ""),
        (
            Refusal::ServiceDisabled,
            403,
            "PERMISSION_DENIED",
            "SERVICE_DISABLED",
        ),
        (
            Refusal::ServiceBlocked,
            403,
            "PERMISSION_DENIED",
            "API_KEY_SERVICE_BLOCKED",
        ),
        (Refusal::Location, 400, "FAILED_PRECONDITION", ""),
        (
            Refusal::TokenTypeUnsupported,
            401,
            "UNAUTHENTICATED",
            "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        ),
    ];
    for (refusal, code, name, reason) in cases {
        google.disable_key(KEY, refusal);
        let (status, body) = post(&google, CALL, &ask("hi")).await;
        assert_eq!(
            (status, &body["error"]["code"], &body["error"]["status"]),
            (code, &json!(code), &json!(name))
        );
        assert_eq!(
            body["error"]["details"][0]["reason"]
                .as_str()
                .unwrap_or_default(),
            reason,
            "{refusal:?}"
        );
        // Google's message for a suspended key carries the key: whoever forwards it must redact it.
        assert_eq!(
            body.to_string().contains(KEY),
            refusal == Refusal::Suspended
        );
        assert_eq!(get(&google, "/v1beta/models").await.0, code);
        assert_eq!(post_as(&google, OTHER, CALL, &ask("hi")).await.0, 200);
    }
    google.enable_key(KEY);
    assert_eq!(post(&google, CALL, &ask("hi")).await.0, 200);
}

#[tokio::test]
async fn unknown_fields_and_wrong_types_are_named_with_their_path() {
    let google = google().start().await;
    let cases = [
        (
            json!({ "contents": [], "stream": true }),
            "",
            "Unknown name \"stream\": Cannot find field.",
        ),
        (
            json!({ "contents": [{ "parts": [{ "text": "a", "cache_control": {} }] }] }),
            "contents[0].parts[0]",
            "Unknown name \"cache_control\" at 'contents[0].parts[0]': Cannot find field.",
        ),
        (
            json!({ "generationConfig": { "streamOptions": {} } }),
            "generation_config",
            "Unknown name \"streamOptions\" at 'generation_config': Cannot find field.",
        ),
        (
            json!({ "tools": [{ "functionDeclarations": [{ "name": "f", "parameters": {
                "type": "object", "properties": { "a": { "type": "string" }, "b": { "type": ["string", "null"] } }
            } }] }] }),
            "tools[0].function_declarations[0].parameters.properties[1].value",
            "Unknown name \"type\" at 'tools[0].function_declarations[0].parameters.properties[1].value': Proto field \
             is not repeating, cannot start list.",
        ),
        (
            json!({ "contents": [{ "parts": [{ "text": 5 }] }] }),
            "contents[0].parts[0].text",
            "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 5",
        ),
        (
            json!({ "generationConfig": { "maxOutputTokens": "many" } }),
            "generation_config.max_output_tokens",
            "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), \"many\"",
        ),
        (
            json!({ "contents": [{ "parts": [{ "inlineData": { "mimeType": "image/png", "data": "%%" } }] }] }),
            "contents[0].parts[0].inline_data.data",
            "Base64 decoding failed for \"%%\"",
        ),
    ];
    for (body, field, complaint) in cases {
        let (status, answer) = post(&google, CALL, &body).await;
        assert_eq!(status, 400);
        assert!(message(&answer).contains(complaint), "{answer}");
        let violation = &answer["error"]["details"][0]["fieldViolations"][0];
        assert_eq!(violation["field"].as_str().unwrap_or_default(), field);
        assert!(
            violation["description"]
                .as_str()
                .unwrap()
                .contains(complaint)
        );
    }
}

#[tokio::test]
async fn protobufs_leniencies_are_kept() {
    let google = google().start().await;
    let body = json!({
        "system_instruction": { "parts": { "text": "Be brief." } },
        "contents": { "parts": [{ "text": "hi" }] },
        "generation_config": { "maxOutputTokens": "100", "temperature": 0, "topK": 5.0, "seed": null },
        "safetySettings": [{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF" }],
    });
    let (status, answer) = post(&google, CALL, &body).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn schema_keywords_are_refused_in_parameters_but_not_in_json_schema() {
    let google = google().start().await;
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": { "n": { "type": "integer", "exclusiveMinimum": 0 }, "k": { "const": "x" } },
        "additionalProperties": false,
    });
    let with = |field: &str| {
        let mut body = ask("hi");
        body["tools"] = json!([{ "functionDeclarations": [{ "name": "f", field: schema }] }]);
        body
    };
    let (status, answer) = post(&google, CALL, &with("parameters")).await;
    assert_eq!(status, 400);
    for keyword in [
        "$schema",
        "exclusiveMinimum",
        "const",
        "additionalProperties",
    ] {
        assert!(
            message(&answer).contains(&format!("Unknown name \"{keyword}\"")),
            "{answer}"
        );
    }
    assert_eq!(
        post(&google, CALL, &with("parametersJsonSchema")).await.0,
        200
    );

    let mut body = ask("hi");
    body["generationConfig"] =
        json!({ "responseMimeType": "application/json", "responseSchema": schema });
    assert_eq!(post(&google, CALL, &body).await.0, 400);
    body["generationConfig"] =
        json!({ "responseMimeType": "application/json", "responseJsonSchema": schema });
    assert_eq!(post(&google, CALL, &body).await.0, 200);
}

#[tokio::test]
async fn older_models_take_googles_own_schemas_only() {
    let google = FakeGoogle::builder()
        .key(KEY, "project")
        .models([Model::named("gemini-2.0-flash")])
        .start()
        .await;
    let old = "gemini-2.0-flash:generateContent";
    let schema = json!({ "type": "OBJECT", "properties": { "a": { "type": "STRING" } } });
    let function = |field: &str, schema: &Value| {
        asking(&json!({ "tools": [{ "functionDeclarations": [{ "name": "f", field: schema }] }] }))
    };
    assert_eq!(
        post(&google, old, &function("parameters", &schema)).await.0,
        200
    );
    let (status, answer) = post(&google, old, &function("parametersJsonSchema", &schema)).await;
    assert_eq!(status, 400);
    assert!(
        message(&answer).contains("JSON Schema is not enabled"),
        "{answer}"
    );
    let format = json!({ "generationConfig": { "responseMimeType": "application/json", "responseJsonSchema": schema } });
    assert_eq!(post(&google, old, &asking(&format)).await.0, 400);
    let wrong = |property: Value| json!({ "type": "OBJECT", "properties": { "a": property } });
    for (schema, complaint) in [
        (
            json!({ "type": "OBJECT" }),
            "parameters.properties: should be non-empty",
        ),
        (
            wrong(json!({ "description": "any" })),
            "properties[a].type: must be specified",
        ),
        (
            wrong(json!({ "type": "STRING", "format": "email" })),
            "only 'enum' and 'date-time' are supported for STRING type",
        ),
        (
            wrong(json!({ "type": "STRING", "enum": ["a", ""] })),
            "enum[1]: cannot be empty",
        ),
        (
            wrong(json!({ "type": "OBJECT", "properties": {} })),
            "should be non-empty",
        ),
        (
            wrong(json!({ "type": "ARRAY", "items": { "type": "OBJECT" } })),
            "properties[a].items.properties: should be non-empty",
        ),
    ] {
        let (status, answer) = post(&google, old, &function("parameters", &schema)).await;
        assert_eq!(status, 400, "{schema}");
        assert!(
            message(&answer).contains(complaint),
            "{complaint}: {answer}"
        );
    }
}

/// A request whose generation config or tools are these.
fn asking(extra: &Value) -> Value {
    let mut body = ask("hi");
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_model_says_what_it_does_not_take() {
    let google = google().start().await;
    let function = |parameters: Value| json!([{ "functionDeclarations": [{ "name": "f", "parameters": parameters }] }]);
    let thinking = |config: Value| json!({ "generationConfig": { "thinkingConfig": config } });
    let json_only = json!({ "responseMimeType": "application/json" });
    let (f25, p25, f38) = (CALL, "gemini-2.5-pro:generateContent", CALL_3);
    let cases = [
        (
            f25,
            json!({ "contents": [] }),
            "contents: contents is not specified",
        ),
        (
            f25,
            json!({ "contents": [{ "parts": [] }] }),
            "contents[0].parts: contents.parts must not be empty.",
        ),
        (
            f25,
            json!({ "contents": [{ "parts": [{}] }] }),
            "required oneof field 'data' must have one initialized field",
        ),
        (
            f25,
            json!({ "contents": [{ "role": "system", "parts": [{ "text": "a" }] }] }),
            "Please use a valid role: user, model.",
        ),
        (
            f25,
            json!({ "contents": [{ "role": "assistant", "parts": [{ "text": "a" }] }] }),
            "Please use a valid role: user, model.",
        ),
        (
            f25,
            json!({ "tools": function(json!({ "type": "ARRAY" })) }),
            "parameters.items: missing field.",
        ),
        (
            f25,
            json!({ "tools": function(json!({ "type": "OBJECT", "properties": {}, "required": ["a"] })) }),
            "parameters.required[0]: property is not defined",
        ),
        (
            f25,
            json!({ "tools": [{ "functionDeclarations": [{ "name": "no spaces" }] }] }),
            "Invalid function name.",
        ),
        (
            f25,
            json!({ "tools": [{ "functionDeclarations": [{ "name": "f" }, { "name": "f" }] }] }),
            "Duplicate function declaration found: f",
        ),
        (
            f25,
            json!({ "toolConfig": { "functionCallingConfig": { "mode": "AUTO" } } }),
            "Function calling config is set without function_declarations.",
        ),
        (
            f38,
            thinking(json!({ "thinkingBudget": 100, "thinkingLevel": "low" })),
            "You can only set only one of thinking budget and thinking level.",
        ),
        (
            f38,
            thinking(json!({ "thinkingLevel": "minimal" })),
            "MINIMAL is not supported",
        ),
        (
            f25,
            thinking(json!({ "thinkingLevel": "low" })),
            "Thinking level is not supported for this model.",
        ),
        (
            p25,
            thinking(json!({ "thinkingBudget": 0 })),
            "This model only works in thinking mode.",
        ),
        (
            f25,
            thinking(json!({ "thinkingBudget": 52_428 })),
            "The thinking budget (52428) is invalid.",
        ),
        (
            f25,
            json!({ "generationConfig": { "candidateCount": 2 } }),
            "Multiple candidates is not enabled",
        ),
        (
            f25,
            json!({ "generationConfig": { "temperature": 3 } }),
            "temperature must be in the range",
        ),
        (
            f25,
            json!({ "generationConfig": { "presencePenalty": 2 } }),
            "presence_penalty must be in the range [-2.0, 2.0).",
        ),
        (
            f25,
            json!({ "generationConfig": { "topK": 0 } }),
            "top_k must be positive",
        ),
        (
            f25,
            json!({ "generationConfig": { "stopSequences": ["1", "2", "3", "4", "5", "6"] } }),
            "must have at most 5 elements",
        ),
        (
            f38,
            json!({ "generationConfig": { "maxOutputTokens": 128_000 } }),
            "from 1 (inclusive) to 65537 (exclusive)",
        ),
        (
            f25,
            json!({ "generationConfig": json_only, "tools": [{ "googleSearch": {} }] }),
            "Tool use with a response mime type: 'application/json' is unsupported",
        ),
        (
            f25,
            json!({ "generationConfig": json_only, "tools": [{ "functionDeclarations": [{ "name": "f" }] }] }),
            "Function calling with a response mime type",
        ),
    ];
    for (call, extra, complaint) in cases {
        let (status, answer) = post(&google, call, &asking(&extra)).await;
        assert_eq!(
            (status, &answer["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{complaint}"
        );
        assert!(message(&answer).contains(complaint), "{answer}");
    }
    let fine = [
        (f25, thinking(json!({ "thinkingBudget": 0 }))),
        (
            f25,
            thinking(json!({ "thinkingBudget": -1, "includeThoughts": true })),
        ),
        (f38, thinking(json!({ "thinkingLevel": "low" }))),
        (
            f38,
            json!({ "generationConfig": json_only, "tools": [{ "googleSearch": {} }] }),
        ),
        (f38, thinking(json!({ "thinkingBudget": 1000 }))),
    ];
    for (call, extra) in fine {
        assert_eq!(post(&google, call, &asking(&extra)).await.0, 200, "{extra}");
    }
}

/// A conversation of turns: each a role and its parts.
fn turns(turns: &[(&str, Value)]) -> Value {
    json!({ "contents": turns.iter().map(|(role, parts)| json!({ "role": role, "parts": parts })).collect::<Vec<_>>() })
}

#[tokio::test]
async fn calls_and_responses_must_pair_up() {
    let google = google().start().await;
    let hi = || ("user", json!([{ "text": "hi" }]));
    let call = || {
        (
            "model",
            json!([{ "functionCall": { "name": "f", "args": {} } }]),
        )
    };
    let two = || {
        let call = json!({ "functionCall": { "name": "f", "args": {} } });
        ("model", json!([call, call]))
    };
    let response = || {
        (
            "user",
            json!([{ "functionResponse": { "name": "f", "response": { "ok": true } } }]),
        )
    };
    let cases = [
        (
            turns(&[call(), response()]),
            "function call turn comes immediately after a user turn",
        ),
        (
            turns(&[
                hi(),
                ("model", json!([{ "text": "well" }])),
                call(),
                response(),
            ]),
            "function call turn comes immediately after a user turn",
        ),
        (
            turns(&[hi(), response()]),
            "function response turn comes immediately after a function call turn",
        ),
        (
            turns(&[hi(), two(), response()]),
            "number of function response parts is equal to the number",
        ),
        (
            turns(&[hi(), call(), hi()]),
            "number of function response parts is equal to the number",
        ),
        (
            turns(&[hi(), call()]),
            "requests end with a user role or a function response",
        ),
    ];
    for (body, complaint) in cases {
        let (status, answer) = post(&google, CALL, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(message(&answer).contains(complaint), "{answer}");
    }
    assert_eq!(
        post(&google, CALL, &turns(&[hi(), call(), response()]))
            .await
            .0,
        200
    );
    assert_eq!(
        post(
            &google,
            CALL,
            &turns(&[hi(), call(), response(), call(), response()])
        )
        .await
        .0,
        200
    );
}

#[tokio::test]
async fn gemini_3_wants_its_signatures_back_in_the_current_turn() {
    let google = google().start().await;
    let hi = || ("user", json!([{ "text": "hi" }]));
    let call = |signature: Option<&str>| {
        let mut part = json!({ "functionCall": { "name": "look", "args": {} } });
        if let Some(signature) = signature {
            part["thoughtSignature"] = json!(signature);
        }
        ("model", json!([part]))
    };
    let response = || {
        (
            "user",
            json!([{ "functionResponse": { "name": "look", "response": {} } }]),
        )
    };

    let (status, answer) = post(&google, CALL_3, &turns(&[hi(), call(None), response()])).await;
    assert_eq!(status, 400);
    assert!(
        message(&answer)
            .starts_with("Function call is missing a thought_signature in functionCall parts.")
    );
    assert!(message(&answer).contains("function call `default_api:look` , position 2."));

    let (status, answer) = post(
        &google,
        CALL_3,
        &turns(&[hi(), call(Some("c29tZSBvdGhlcg==")), response()]),
    )
    .await;
    assert_eq!(
        (status, message(&answer)),
        (400, "Corrupted thought signature.")
    );

    let ours = thought_signature("anything");
    for good in [ours.as_str(), SENTINELS[0], SENTINELS[1]] {
        let (status, answer) = post(
            &google,
            CALL_3,
            &turns(&[hi(), call(Some(good)), response()]),
        )
        .await;
        assert_eq!(status, 200, "{answer}");
    }
    // Every step of the turn needs one; a turn that is over needs none; neither does 2.5.
    let steps = turns(&[hi(), call(Some(&ours)), response(), call(None), response()]);
    assert_eq!(post(&google, CALL_3, &steps).await.0, 400);
    let past = turns(&[
        hi(),
        call(None),
        response(),
        ("model", json!([{ "text": "so" }])),
        hi(),
    ]);
    assert_eq!(post(&google, CALL_3, &past).await.0, 200);
    assert_eq!(
        post(&google, CALL, &turns(&[hi(), call(None), response()]))
            .await
            .0,
        200
    );
    assert_eq!(
        post(
            &google,
            "gemini-3.1-flash-image:generateContent",
            &turns(&[hi(), call(None), response()])
        )
        .await
        .0,
        200
    );
}

#[tokio::test]
async fn unknown_models_paths_and_parameters_are_refused() {
    let google = google().start().await;
    let (status, answer) = post(&google, "gemini-1.5-flash:generateContent", &ask("hi")).await;
    assert_eq!(
        (status, &answer["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    assert!(message(&answer).starts_with(
        "models/gemini-1.5-flash is not found for API version v1beta, or is not supported for generateContent."
    ));
    assert_eq!(
        post(&google, "gemini-embedding-001:generateContent", &ask("hi"))
            .await
            .0,
        404
    );
    assert_eq!(get(&google, "/v1beta/models/nothing").await.0, 404);

    // A path that is not Google's gives a page, not JSON.
    for path in [
        "/",
        "/v1beta/chat/completions",
        "/v1beta/v1beta/models",
        "//v1beta/models",
        "/v3/models",
    ] {
        let (status, page) = get(&google, path).await;
        assert_eq!(status, 404);
        assert!(page.as_str().unwrap().starts_with("<!DOCTYPE html>"));
    }
    let (status, answer) = post(&google, &format!("{CALL}?token=x"), &ask("hi")).await;
    assert_eq!(status, 400);
    assert!(message(&answer).contains("Unknown name \"token\": Cannot bind query parameter."));
}

#[tokio::test]
async fn broken_and_oversized_bodies_are_refused() {
    let google = google().max_body(1000).start().await;
    let send = |body: String| {
        Request::post(format!("/v1beta/models/{CALL}"))
            .header("x-goog-api-key", KEY)
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    let (status, answer) = exchange(&google, send("{\"contents\": [".to_owned())).await;
    assert_eq!(status, 400);
    assert!(message(&answer).starts_with("Invalid JSON payload received."));
    let (status, answer) = exchange(&google, send(ask(&"x".repeat(1000)).to_string())).await;
    assert_eq!(status, 400);
    assert!(message(&answer).starts_with("Request payload size exceeds the limit: 1000 bytes."));
    // Over a connection the client gets to read that, and the connection stays good.
    let mut client = Client::connect(&google).await;
    let response = client
        .post(CALL, &ask(&"x".repeat(4_000_000)))
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    drop(response.into_body());
    assert_eq!(client.post(CALL, &ask("hi")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_error_to_a_stream_in_array_form_comes_in_an_array() {
    let google = google().start().await;
    let (status, answer) = post(
        &google,
        "gemini-2.5-flash:streamGenerateContent",
        &json!({ "contents": [] }),
    )
    .await;
    assert_eq!((status, &answer[0]["error"]["code"]), (400, &json!(400)));
    let (_, answer) = post(
        &google,
        "gemini-2.5-flash:streamGenerateContent?alt=sse",
        &json!({ "contents": [] }),
    )
    .await;
    assert_eq!(answer["error"]["code"], 400);
}
