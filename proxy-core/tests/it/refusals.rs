//! What Google refuses: what clients are told of it, and what else they get.

use serde_json::json;
use testkit::google::Fault;

use crate::world::{World, json as body};

fn hello() -> serde_json::Value {
    json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hello."}]})
}

#[tokio::test]
async fn what_google_refuses_is_told_with_its_reason_and_what_to_change() {
    let world = World::with_keys(1).await;
    let refuses = || {
        world.google.fault_next(Fault::Raw {
            status: 400,
            content_type: "application/json".into(),
            body: json!({"error": {
                "code": 400, "status": "INVALID_ARGUMENT",
                "message": "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
            }})
            .to_string(),
        });
    };
    refuses();
    let error = body(world.chat(hello()).await).await["error"].clone();
    assert_eq!(error["code"], "context_length_exceeded", "{error}");
    let said = error["message"].as_str().unwrap();
    assert!(
        said.starts_with("The input token count (1048577)"),
        "{said}"
    );
    assert!(said.contains("prompt is too long"), "{said}");
    world.google.fault_next(Fault::Status(400));
    let error = body(world.chat(hello()).await).await["error"].clone();
    assert_eq!(error["code"], "invalid_argument", "{error}");
    // Google's own clients get its words untouched, and the advice beside them.
    refuses();
    let ask = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let refused = world.gemini(path, ask.to_string()).await;
    let advice = refused.headers()["x-gemini-balance-notice"].clone();
    assert!(advice.to_str().unwrap().contains("prompt is too long"));
    let said = body(refused).await["error"]["message"].to_string();
    assert!(said.ends_with("(1048576).\""), "{said}");
}

#[tokio::test]
async fn of_several_choices_those_that_succeed_are_kept_and_none_is_like_another() {
    let world = World::with_keys(1).await;
    let mut request = hello();
    request["n"] = json!(3);
    request["seed"] = json!(41);
    for streams in [false, true] {
        request["stream"] = json!(streams);
        let before = world.google.requests().len();
        world.google.fault_next(Fault::Status(400));
        let answer = world.chat(request.clone()).await;
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        let choices = text.matches("\"finish_reason\":\"stop\"").count();
        assert_eq!(choices, 2, "{text}");
        assert!(
            text.contains("\"index\":1") && !text.contains("\"index\":2"),
            "{text}"
        );
        let requests = world.google.requests();
        let mut seeds: Vec<u64> = requests[before..]
            .iter()
            .map(|seen| seen.json()["generationConfig"]["seed"].as_u64().unwrap())
            .collect();
        seeds.sort_unstable();
        assert_eq!(seeds, [41, 42, 43]);
        // Only when none does, the request fails.
        for _ in 0..3 {
            world.google.fault_next(Fault::Status(400));
        }
        assert_eq!(world.chat(request.clone()).await.status(), 400);
    }
}
