//! Whole conversations in all three protocols: the scripts in `tests/conversations/` and made-up
//! ones. A client of each protocol holds the conversation with Google's answers; beside each
//! script is what went to Google and what came to the client, a golden file for each protocol.
//!
//! What must hold for every one of them is asserted here, so that a golden file can be accepted
//! only where it does: see [`play`].

use std::fmt::Write as _;
use std::panic::catch_unwind;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::clients::{
    Called, Chat, Client, Messages, Outcome, Responses, Said, Script, Tool, Turn,
};
use crate::common::{fixtures, json, part, snapshot};
use crate::described::{Vendor, events_fit, fits};

/// What Google says to unsigned calls of other vendors' models: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
const SENTINELS: [&str; 2] = [
    "context_engineering_is_the_way_to_go",
    "skip_thought_signature_validator",
];

/// What was said in one protocol.
struct Played {
    /// For human eyes.
    shown: String,
    /// Google's bodies, one for each turn.
    sent: Vec<Value>,
}

/// Holds the conversation in one protocol. Google's events arrive cut at `cuts` (in bytes,
/// repeated over the whole stream).
///
/// For each turn: the streamed answer adds up to the whole one; where the bytes are cut changes
/// nothing; what Google said goes back to it as it was said, and what was sent once is sent
/// again unchanged, as its caches want it; each call is answered exactly once, right behind it;
/// roles alternate.
fn play<C: Client>(script: &Script, cuts: &[usize]) -> Played {
    let mut history: Vec<Value> = Vec::new();
    let mut calls: Vec<Called> = Vec::new();
    let mut shown = format!("{}\n", script.about);
    let mut sent: Vec<Value> = Vec::new();
    let mut answers: Vec<Value> = Vec::new();
    for (number, turn) in script.turns.iter().enumerate() {
        C::say(turn, &calls, &mut history);
        let body = C::body(script, &history);
        let call = match C::call(body.to_string().as_bytes()) {
            Ok(call) => call,
            Err(invalid) => panic!("{}: {invalid:?}", C::NAME),
        };
        let google = json(C::sent(&call));
        writeln!(shown, "\n── turn {} → Google", number + 1).unwrap();
        show_request(&google, sent.last(), &mut shown);
        check_history(&google, &sent, &answers);
        fits(Vendor::Google, "GenerateContentRequest", &google);
        sent.push(google);

        let wire = on_the_wire(&turn.google);
        let whole = merged(&turn.google);
        let out = C::streamed(&call, number, &[&wire]);
        for pieces in [
            pieces(&wire, cuts),
            wire.chunks(1).collect(),
            wire.chunks(7).collect(),
        ] {
            let cut = C::streamed(&call, number, &pieces);
            assert!(
                cut == out,
                "{}: where it is cut makes a difference",
                C::NAME
            );
        }
        let events = std::str::from_utf8(&out).unwrap();
        let answer = whole.map_err(|e| e.to_string()).and_then(|whole| {
            C::whole(&call, number, whole.to_string().as_bytes())
                .map(|answer| (whole, answer))
                .map_err(|e| e.message)
        });
        writeln!(shown, "── turn {} → client", number + 1).unwrap();
        match answer {
            Ok((whole, answer)) => {
                C::adds_up_to(events, &answer);
                if let Some((answers, chunks)) = C::DESCRIBED {
                    fits(Vendor::OpenAi, answers, &answer);
                    events_fit(chunks, events);
                }
                calls = C::calls(&answer);
                check_calls(&calls, &whole, script);
                let news = serde_json::to_string_pretty(&C::news(&answer)).unwrap();
                writeln!(shown, "{news}").unwrap();
                C::keep(&answer, &mut history);
                answers.push(whole);
            }
            Err(why) => {
                // What came before the error stays; then the stream says that it failed.
                assert!(events.contains("error"), "{events}");
                writeln!(shown, "whole: {why}\nstreamed:\n{}", events.trim_end()).unwrap();
                assert_eq!(
                    number + 1,
                    script.turns.len(),
                    "an error ends a conversation"
                );
            }
        }
    }
    Played { shown, sent }
}

/// Google's events as they come.
fn on_the_wire(events: &[Value]) -> Vec<u8> {
    let mut wire = String::new();
    for event in events {
        write!(wire, "data: {event}\r\n\r\n").unwrap();
    }
    wire.into_bytes()
}

fn pieces<'a>(wire: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = wire;
    let mut pieces = Vec::new();
    for length in cuts.iter().cycle().take(10_000) {
        let (piece, more) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        pieces.push(piece);
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    pieces.push(rest);
    pieces
}

/// The whole answer that Google would have given for these events; `Err` when they do not say
/// that they are all.
fn merged(events: &[Value]) -> Result<Value, &'static str> {
    let mut whole = json!({});
    let mut all: Option<Value> = None;
    for event in events {
        if event.get("error").is_some() {
            return Ok(event.clone());
        }
        for (field, value) in event.as_object().unwrap() {
            if field != "candidates" {
                whole[field] = value.clone();
            }
        }
        let Some(candidate) = event.get("candidates").and_then(|all| all.get(0)) else {
            continue;
        };
        let all = all.get_or_insert_with(|| json!({"content": {"role": "model", "parts": []}}));
        for (field, value) in candidate.as_object().unwrap() {
            match &**field {
                "content" => extend(&mut all["content"]["parts"], &value["parts"]),
                "logprobsResult" => {
                    for list in ["chosenCandidates", "topCandidates"] {
                        extend(&mut all[field][list], &value[list]);
                    }
                }
                // Told in pieces, or again and again with more in it.
                "groundingMetadata" => {
                    for (field, value) in value.as_object().unwrap() {
                        all["groundingMetadata"][field] = value.clone();
                    }
                }
                _ => all[field] = value.clone(),
            }
        }
    }
    let blocked = whole["promptFeedback"]["blockReason"].is_string();
    let ended = all
        .as_ref()
        .is_some_and(|all| all["finishReason"].is_string());
    if let Some(all) = all {
        whole["candidates"] = json!([all]);
    }
    (ended || blocked).then_some(whole).ok_or("cut off")
}

fn extend(list: &mut Value, more: &Value) {
    if list.is_null() {
        *list = json!([]);
    }
    let more = more.as_array().into_iter().flatten();
    list.as_array_mut().unwrap().extend(more.cloned());
}

fn contents(sent: &Value) -> &[Value] {
    sent["contents"].as_array().unwrap()
}

fn parts(content: &Value) -> &[Value] {
    content["parts"].as_array().unwrap()
}

/// The request without its contents, when there was none before; then what is new of those.
fn show_request(google: &Value, before: Option<&Value>, shown: &mut String) {
    let mut rest = google.clone();
    let new = rest
        .as_object_mut()
        .unwrap()
        .shift_remove("contents")
        .unwrap();
    let known = match before {
        None => {
            writeln!(shown, "{}", serde_json::to_string_pretty(&rest).unwrap()).unwrap();
            0
        }
        Some(before) => contents(before)
            .iter()
            .zip(contents(google))
            .take_while(|(old, new)| old == new)
            .count(),
    };
    for content in &new.as_array().unwrap()[known..] {
        writeln!(shown, "{}:", content["role"].as_str().unwrap()).unwrap();
        for part in parts(content) {
            writeln!(shown, "  {part}").unwrap();
        }
    }
}

/// A part in a form that two conversations can be compared by.
#[derive(Debug, Default, PartialEq)]
struct Gist {
    role: String,
    /// Texts joined: protocols divide them differently.
    text: String,
    media: Vec<Value>,
    /// Name, arguments, signature.
    calls: Vec<(Value, Value, Option<String>)>,
    /// Name, result.
    results: Vec<(Value, String)>,
}

fn gist(content: &Value) -> Gist {
    let mut gist = Gist {
        role: content["role"].as_str().unwrap_or("model").to_owned(),
        ..Gist::default()
    };
    for part in content["parts"].as_array().into_iter().flatten() {
        if part["thought"] == true {
            continue;
        }
        if let Some(text) = part["text"].as_str() {
            gist.text.push_str(text);
        }
        for media in ["inlineData", "fileData"] {
            gist.media.extend(part.get(media).cloned());
        }
        if let Some(call) = part.get("functionCall") {
            let signature = part["thoughtSignature"].as_str().map(str::to_owned);
            let args = call.get("args").cloned().unwrap_or(json!({}));
            gist.calls.push((call["name"].clone(), args, signature));
        }
        if let Some(result) = part.get("functionResponse") {
            let response = &result["response"];
            let text = response["output"].as_str().or(response["error"].as_str());
            gist.results
                .push((result["name"].clone(), text.unwrap().to_owned()));
        }
    }
    gist
}

/// What holds for every request to Google after these requests and answers.
fn check_history(google: &Value, sent: &[Value], answers: &[Value]) {
    let all = contents(google);
    for pair in all.windows(2) {
        assert_ne!(pair[0]["role"], pair[1]["role"], "roles alternate");
        let ids = |content: &Value, kind: &str| -> Vec<(Value, Value)> {
            let found = parts(content).iter().filter_map(|part| part.get(kind));
            found
                .map(|it| (it["id"].clone(), it["name"].clone()))
                .collect()
        };
        assert_eq!(
            ids(&pair[0], "functionCall"),
            ids(&pair[1], "functionResponse"),
            "each call is answered once, right behind it"
        );
    }
    assert_eq!(all.last().unwrap()["role"], "user");
    let (Some(before), Some(answer)) = (sent.last(), answers.last()) else {
        return;
    };
    let answer = &answer["candidates"][0]["content"];
    let mut expected = gist(answer);
    let known = contents(before).len();
    // An answer with nothing in it leaves no trace, or a word about why.
    let empty = expected.text.is_empty() && expected.media.is_empty() && expected.calls.is_empty();
    let kept = known - usize::from(all.len() <= known);
    assert_eq!(
        all[..kept],
        contents(before)[..kept],
        "the beginning stays as it was"
    );
    if empty {
        return;
    }
    let mut found = gist(&all[known]);
    for ((.., found), (.., expected)) in found.calls.iter_mut().zip(&expected.calls) {
        if expected.is_none() && found.as_ref().is_some_and(|it| SENTINELS.contains(&&**it)) {
            *found = None;
        }
    }
    let own_tools = answer.to_string();
    if own_tools.contains("\"executableCode\"") || own_tools.contains("\"fileData\"") {
        // These become text.
        expected.text.clone_from(&found.text);
        expected.media.clear();
    }
    assert_eq!(found, expected, "what Google said goes back as it was said");
}

/// The client is told to run what Google called, under the names that it declared.
fn check_calls(calls: &[Called], whole: &Value, script: &Script) {
    let given = gist(&whole["candidates"][0]["content"]).calls;
    assert_eq!(calls.len(), given.len());
    for (at, (call, (_, args, _))) in calls.iter().zip(&given).enumerate() {
        assert_eq!(&call.arguments, args);
        let known =
            script.tools.is_empty() || script.tools.iter().any(|tool| tool.name == call.name);
        assert!(known, "{} was not declared", call.name);
        let twice = calls[..at].iter().any(|other| other.id == call.id);
        assert!(!twice, "two calls have the id {}", call.id);
    }
}

/// What the protocols say alike: everything but ids, and how texts are divided.
fn common(sent: &Value) -> (Vec<Gist>, String, Value) {
    let system = gist(&sent["systemInstruction"]).text;
    let mut rest = sent.clone();
    let fields = rest.as_object_mut().unwrap();
    for field in ["contents", "systemInstruction"] {
        fields.shift_remove(field);
    }
    (contents(sent).iter().map(gist).collect(), system, rest)
}

/// Holds the conversation in all protocols and compares what Google was sent.
fn play_all(script: &Script, cuts: &[usize]) -> [(&'static str, String); 3] {
    let chat = play::<Chat>(script, cuts);
    let responses = play::<Responses>(script, cuts);
    let messages = play::<Messages>(script, cuts);
    for (name, other) in [("responses", &responses), ("messages", &messages)] {
        for (number, (ours, theirs)) in chat.sent.iter().zip(&other.sent).enumerate() {
            let turn = number + 1;
            assert_eq!(
                common(ours),
                common(theirs),
                "chat and {name} differ in turn {turn}"
            );
        }
    }
    [
        (Chat::NAME, chat.shown),
        (Responses::NAME, responses.shown),
        (Messages::NAME, messages.shown),
    ]
}

#[test]
fn scripts() {
    let scripts = fixtures("conversations", "json");
    assert!(scripts.len() >= 60, "{} conversations", scripts.len());
    let mut wrong = Vec::new();
    for (name, script) in scripts {
        let script: Script = match serde_json::from_slice(&script) {
            Ok(script) => script,
            Err(wrong) => panic!("{name}: {wrong}"),
        };
        let played = catch_unwind(|| {
            for (protocol, shown) in play_all(&script, &[1, 50, 3]) {
                snapshot("conversations", &format!("{name}.{protocol}"), &shown);
            }
        });
        if played.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "see above: {}", wrong.join(", "));
}

/// An answer of Google's in some events, with its end in the last or behind it.
fn answer() -> impl Strategy<Value = Vec<Value>> {
    (prop::collection::vec(part(), 1..7), 1_usize..4, any::<bool>()).prop_map(
        |(mut parts, per_event, end_apart)| {
            // As Google has it: an id for each call, or for none of them.
            for (at, part) in parts.iter_mut().enumerate() {
                if part["functionCall"]["id"].is_string() {
                    part["functionCall"]["id"] = json!(format!("id{at}"));
                }
            }
            let usage = json!({"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13});
            let mut events: Vec<Value> = parts
                .chunks(per_event)
                .map(|parts| json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]}))
                .collect();
            if end_apart {
                events.push(json!({"candidates": [{"index": 0}]}));
            }
            let last = events.last_mut().unwrap();
            last["candidates"][0]["finishReason"] = json!("STOP");
            last["usageMetadata"] = usage;
            events
        },
    )
}

/// Conversations of up to five turns whose calls are answered in any order.
fn script() -> impl Strategy<Value = Script> {
    let texts = prop::collection::vec("[a-z é天😀\"\\\\\n]{0,9}x", 8);
    let model = prop::sample::select(vec![
        "gemini-2.5-flash",
        "gemini-3.8-flash",
        "gemini-3.1-pro-preview",
    ]);
    let turn = (answer(), texts, any::<prop::sample::Index>(), any::<bool>());
    (
        model,
        prop::collection::vec(turn, 1..6),
        prop::option::of("[a-z]{1,9}"),
    )
        .prop_map(|(model, drawn, system)| {
            let mut turns = Vec::new();
            let mut open = 0;
            for (google, texts, turned, says) in drawn {
                let mut results: Vec<Outcome> = (0..open)
                    .map(|of| Outcome {
                        of,
                        text: texts[of % texts.len()].clone(),
                        failed: false,
                        png: None,
                    })
                    .collect();
                if !results.is_empty() {
                    let places = results.len();
                    results.rotate_left(turned.index(places));
                }
                let user = match says || results.is_empty() {
                    true => vec![Said::Text(texts[0].clone())],
                    false => Vec::new(),
                };
                open = google
                    .iter()
                    .flat_map(|event| event["candidates"][0]["content"]["parts"].as_array())
                    .flatten()
                    .filter(|part| part.get("functionCall").is_some())
                    .count();
                turns.push(Turn {
                    results,
                    user,
                    google,
                });
            }
            Script {
                about: String::new(),
                model: model.to_owned(),
                system,
                tools: vec![Tool {
                    name: "f".to_owned(),
                    description: None,
                    parameters: Some(json!({"type": "object"})),
                }],
                choice: None,
                search: false,
                answer_schema: None,
                turns,
            }
        })
}

proptest! {
    // Each is many answers, and each answer is cut in many places.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn made_up(script in script(), cuts in prop::collection::vec(1_usize..40, 1..5)) {
        play_all(&script, &cuts);
    }
}
