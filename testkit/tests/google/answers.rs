use base64::Engine as _;
use serde_json::{Value, json};
use testkit::google::{Answer, PICTURE};

use super::{KEY, OTHER, ask, get, google, parts, post, said};

const CALL: &str = "gemini-2.5-flash:generateContent";
const CALL_3: &str = "gemini-3.8-flash:generateContent";

fn with(text: &str, extra: &Value) -> Value {
    let mut body = ask(text);
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    body
}

fn weather() -> Value {
    json!([{ "functionDeclarations": [
        { "name": "get_weather", "parameters": {
            "type": "OBJECT",
            "properties": { "city": { "type": "STRING" }, "days": { "type": "INTEGER", "minimum": 3 }, "note": { "type": "STRING" } },
            "required": ["city", "days"],
        } },
        { "name": "get_time", "parametersJsonSchema": {
            "type": "object",
            "properties": { "zone": { "$ref": "#/$defs/zone" } },
            "required": ["zone"],
            "$defs": { "zone": { "enum": ["UTC", "PST"] } },
        } },
    ] }])
}

#[tokio::test]
async fn a_text_is_repeated_in_its_language() {
    let google = google().start().await;
    let (_, english) = post(&google, CALL, &ask("What is Rust?")).await;
    assert!(said(std::slice::from_ref(&english)).contains("You said: \"What is Rust?\""));
    let (_, chinese) = post(&google, CALL, &ask("什么是 Rust？")).await;
    assert!(said(std::slice::from_ref(&chinese)).contains("你说的是：“什么是 Rust？”"));
    assert_eq!(post(&google, CALL, &ask("What is Rust?")).await.1, english);
    let usage = &english["usageMetadata"];
    let sum = [
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    ];
    assert_eq!(
        usage["totalTokenCount"],
        sum.iter()
            .map(|name| usage[*name].as_u64().unwrap())
            .sum::<u64>()
    );
}

#[tokio::test]
async fn functions_that_are_named_are_called_with_fitting_arguments() {
    let google = google().start().await;
    let (_, answer) = post(
        &google,
        CALL_3,
        &with(
            "Use get_weather and get_time",
            &json!({ "tools": weather() }),
        ),
    )
    .await;
    let all = parts(&[answer]);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["functionCall"]["name"], "get_weather");
    assert_eq!(
        all[0]["functionCall"]["args"],
        json!({ "city": "Paris", "days": 3 })
    );
    assert_eq!(all[1]["functionCall"]["args"], json!({ "zone": "UTC" }));
    assert!(all[0]["thoughtSignature"].is_string() && all[1].get("thoughtSignature").is_none());
    assert_ne!(all[0]["functionCall"]["id"], all[1]["functionCall"]["id"]);

    // The loop closes: the calls go back as they came, with their responses.
    let body = json!({ "tools": weather(), "contents": [
        { "role": "user", "parts": [{ "text": "Use get_weather and get_time" }] },
        { "role": "model", "parts": all },
        { "role": "user", "parts": [
            { "functionResponse": { "name": "get_weather", "response": { "degrees": 21 } } },
            { "functionResponse": { "name": "get_time", "response": { "time": "12:00" } } },
        ] },
    ] });
    let (status, answer) = post(&google, CALL_3, &body).await;
    assert_eq!(status, 200);
    assert!(said(&[answer]).contains("The tool get_weather answered {\"degrees\":21}."));
}

#[tokio::test]
async fn an_agent_is_led_through_a_loop() {
    let google = google().start().await;
    let line =
        r#"@loop 3 get_weather {"city": "c{n}", "days": {n}} | get_time {"zone": "{n} | UTC"}"#;
    let mut contents = vec![json!({ "role": "user", "parts": [
        { "text": "A reminder." },
        { "text": format!("Do this:\n  {line}\nPlease.") },
    ] })];
    for step in 0..3 {
        let body = json!({ "tools": weather(), "contents": contents });
        let (_, answer) = post(&google, CALL_3, &body).await;
        let all = parts(&[answer]);
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0]["functionCall"]["args"],
            json!({ "city": format!("c{step}"), "days": step })
        );
        assert_eq!(
            all[1]["functionCall"]["args"],
            json!({ "zone": format!("{step} | UTC") })
        );
        let results: Vec<Value> = all
            .iter()
            .map(|part| json!({ "functionResponse": { "name": part["functionCall"]["name"], "response": { "output": line } } }))
            .collect();
        contents.push(json!({ "role": "model", "parts": all }));
        contents.push(json!({ "role": "user", "parts": results }));
    }
    let body = json!({ "tools": weather(), "contents": contents });
    let (_, answer) = post(&google, CALL_3, &body).await;
    assert_eq!(said(&[answer]), "The loop is over: 3 steps, 6 results.");

    // Whoever asks for something else about the conversation gets no call.
    let (_, title) = post(&google, CALL_3, &ask(&format!("A title for this:\n{line}"))).await;
    assert!(said(&[title]).starts_with("Hello!"));
}

#[tokio::test]
async fn the_mode_of_function_calling_is_obeyed() {
    let google = google().start().await;
    let mode = |mode: &str| json!({ "tools": weather(), "toolConfig": { "functionCallingConfig": { "mode": mode } } });
    let (_, any) = post(&google, CALL, &with("hello", &mode("ANY"))).await;
    assert_eq!(parts(&[any])[0]["functionCall"]["name"], "get_weather");
    let (_, none) = post(&google, CALL, &with("get_weather please", &mode("NONE"))).await;
    assert!(!said(&[none]).is_empty());
    let (_, auto) = post(&google, CALL, &with("hello", &mode("AUTO"))).await;
    assert!(!said(&[auto]).is_empty());
    let mut one = mode("ANY");
    one["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] = json!(["get_time"]);
    let (_, allowed) = post(&google, CALL, &with("hello", &one)).await;
    assert_eq!(parts(&[allowed])[0]["functionCall"]["name"], "get_time");
}

#[tokio::test]
async fn json_fits_its_schema() {
    let google = google().start().await;
    let schema = json!({ "type": "OBJECT", "properties": {
        "title": { "type": "STRING", "maxLength": 5 },
        "tags": { "type": "ARRAY", "items": { "type": "STRING", "enum": ["a", "b"] }, "minItems": 2 },
        "ok": { "type": "BOOLEAN" },
    }, "required": ["title", "tags", "ok"] });
    let config = json!({ "generationConfig": { "responseMimeType": "application/json", "responseSchema": schema } });
    let (_, answer) = post(&google, CALL, &with("Give me a title", &config)).await;
    let value: Value = serde_json::from_str(&said(&[answer])).unwrap();
    assert_eq!(
        value,
        json!({ "title": "Give ", "tags": ["a", "a"], "ok": true })
    );
}

#[tokio::test]
async fn pictures_come_and_go() {
    let google = google().start().await;
    let (_, drawn) = post(
        &google,
        "gemini-3.1-flash-image:generateContent",
        &ask("Draw"),
    )
    .await;
    let all = parts(&[drawn]);
    assert!(all[0]["text"].is_string());
    assert_eq!(all[1]["inlineData"]["mimeType"], "image/png");
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(PICTURE)
        .unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));

    let body = json!({ "contents": [{ "parts": [
        { "text": "What is this?" }, { "inlineData": { "mimeType": "image/png", "data": PICTURE } },
    ] }] });
    let (_, seen) = post(&google, CALL, &body).await;
    assert!(said(&[seen]).contains(&format!("image/png, {} bytes", bytes.len())));
}

#[tokio::test]
async fn search_and_limits_show_in_the_answer() {
    let google = google().start().await;
    let (_, found) = post(
        &google,
        CALL,
        &with("news", &json!({ "tools": [{ "googleSearch": {} }] })),
    )
    .await;
    let grounding = &found["candidates"][0]["groundingMetadata"];
    assert_eq!(grounding["webSearchQueries"], json!(["news"]));
    assert!(grounding["groundingChunks"][0]["web"]["uri"].is_string());

    let (_, short) = post(
        &google,
        CALL,
        &with(
            "hi",
            &json!({ "generationConfig": { "maxOutputTokens": 2 } }),
        ),
    )
    .await;
    assert_eq!(short["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(said(&[short]), "Hello! T");
    let stop = json!({ "generationConfig": { "stopSequences": ["the demo"] } });
    assert_eq!(
        said(&[post(&google, CALL, &with("hi", &stop)).await.1]),
        "Hello! This is "
    );
}

#[tokio::test]
async fn tests_can_demand_an_answer() {
    let google = google().start().await;
    google.answer_next(Answer::text("as told").finish("SAFETY"));
    google.answer_next(Answer::calls(&[("f", json!({ "x": 1 }))]));
    google.answer_next(Answer::verbatim(vec![json!({ "anything": true })]));
    let (_, told) = post(&google, CALL, &ask("a")).await;
    assert_eq!(
        (
            said(std::slice::from_ref(&told)).as_str(),
            &told["candidates"][0]["finishReason"]
        ),
        ("as told", &json!("SAFETY"))
    );
    let (_, called) = post(&google, CALL, &ask("a")).await;
    assert_eq!(
        parts(&[called])[0]["functionCall"],
        json!({ "name": "f", "args": { "x": 1 } })
    );
    assert_eq!(
        post(&google, CALL, &ask("a")).await.1,
        json!({ "anything": true })
    );
    assert!(said(&[post(&google, CALL, &ask("a")).await.1]).contains("fake Google"));
}

#[tokio::test]
async fn models_come_in_pages() {
    let google = google().start().await;
    let (_, all) = get(&google, "/v1/models").await;
    let all = all["models"].as_array().unwrap().clone();
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let (status, page) = get(
            &google,
            &format!("/v1beta/models?pageSize=4&pageToken={token}"),
        )
        .await;
        assert_eq!(status, 200);
        paged.extend(page["models"].as_array().unwrap().clone());
        match page["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert!(all.len() > 8);
    assert_eq!(paged, all);
    assert_eq!(
        get(&google, "/v1beta/models?pageToken=nonsense").await.0,
        400
    );
    let (_, one) = get(&google, "/v1beta/models/gemini-2.5-flash").await;
    assert_eq!(one["name"], "models/gemini-2.5-flash");
    assert!(all.contains(&one));
}

#[tokio::test]
async fn tokens_are_counted_and_texts_embedded() {
    let google = google().start().await;
    let (_, count) = post(&google, "gemini-2.5-flash:countTokens", &ask("12345678")).await;
    assert_eq!(count["totalTokens"], 2);
    let inner = json!({ "generateContentRequest": { "model": "models/gemini-2.5-flash", "contents": ask("1234")["contents"] } });
    assert_eq!(
        post(&google, "gemini-2.5-flash:countTokens", &inner)
            .await
            .1["totalTokens"],
        1
    );

    let content = json!({ "parts": [{ "text": "hello" }] });
    let (_, one) = post(
        &google,
        "gemini-embedding-001:embedContent",
        &json!({ "content": content }),
    )
    .await;
    let values = one["embedding"]["values"].as_array().unwrap();
    assert_eq!(values.len(), 3072);
    let norm: f64 = values.iter().map(|v| v.as_f64().unwrap().powi(2)).sum();
    assert!((norm - 1.0).abs() < 1e-4);
    let request = json!({ "model": "models/gemini-embedding-001", "content": content, "outputDimensionality": 8 });
    let (_, two) = post(
        &google,
        "gemini-embedding-001:batchEmbedContents",
        &json!({ "requests": [request, request] }),
    )
    .await;
    assert_eq!(two["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(two["embeddings"][1]["values"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn every_request_is_kept_for_assertions() {
    let google = google().start().await;
    post(&google, CALL, &ask("a")).await;
    super::post_as(&google, OTHER, "gemini-2.5-pro:countTokens", &ask("b")).await;
    get(&google, "/nowhere?x=1").await;
    let seen = google.requests();
    assert_eq!(
        seen.iter()
            .map(|seen| seen.status.unwrap())
            .collect::<Vec<_>>(),
        [200, 200, 404]
    );
    assert_eq!(seen[0].json(), ask("a"));
    assert_eq!(
        (seen[0].key.as_deref(), seen[0].project.as_deref()),
        (Some(KEY), Some("p1"))
    );
    assert_eq!(
        (seen[1].model.as_deref(), seen[1].action),
        (Some("gemini-2.5-pro"), Some("countTokens"))
    );
    assert_eq!(
        (
            seen[2].path.as_str(),
            seen[2].query.as_str(),
            seen[2].action
        ),
        ("/nowhere", "x=1", None)
    );
    assert_eq!(seen[1].header("x-goog-api-key"), OTHER);
    assert_eq!(google.counts().answered, 3);
}
