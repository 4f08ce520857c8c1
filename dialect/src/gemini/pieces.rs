//! Smoothing: one of Google's events as several smaller ones, for clients that show text as it
//! comes. Nothing is lost by it: the pieces add up to the event.

use memchr::memmem;
use serde_json::{Value, json};

/// The event as events of at most `characters` of text each; `None` when there is nothing to
/// cut. What is more than text stays whole, and all else that the event says comes last.
pub fn pieces(event: &[u8], characters: usize) -> Option<Vec<Vec<u8>>> {
    let characters = characters.max(1);
    // Arguments of calls must stay as they were written, and are not shown as they come.
    if event.len() < characters || memmem::find(event, b"\"functionCall\"").is_some() {
        return None;
    }
    let mut event: Value = serde_json::from_slice(event).ok()?;
    let candidates = event.get_mut("candidates")?.as_array_mut()?;
    let [candidate] = candidates.as_mut_slice() else {
        return None;
    };
    let index = candidate.get("index").cloned();
    let parts = candidate
        .pointer_mut("/content/parts")
        .and_then(Value::as_array_mut)?;
    let mut cut: Vec<Value> = Vec::with_capacity(parts.len());
    for part in parts.drain(..) {
        cut.extend(cut_part(part, characters));
    }
    let last = cut.pop()?;
    parts.push(last);
    if cut.is_empty() {
        return None;
    }
    let mut events: Vec<Vec<u8>> = Vec::with_capacity(cut.len() + 1);
    for part in cut {
        let mut candidate = json!({"content": {"role": "model", "parts": [part]}});
        if let Some(index) = &index {
            candidate["index"] = index.clone();
        }
        events.push(
            json!({ "candidates": [candidate] })
                .to_string()
                .into_bytes(),
        );
    }
    events.push(event.to_string().into_bytes());
    Some(events)
}

/// A part of text as several; what else it has stays with the last.
fn cut_part(mut part: Value, characters: usize) -> Vec<Value> {
    let Some(text) = part.get("text").and_then(Value::as_str).map(str::to_owned) else {
        return vec![part];
    };
    let thought = part.get("thought").cloned();
    let mut cut = Vec::new();
    let mut rest = &*text;
    while let Some((at, _)) = rest.char_indices().nth(characters) {
        let (piece, more) = rest.split_at(at);
        let mut piece = json!({ "text": piece });
        if let Some(thought) = &thought {
            piece["thought"] = thought.clone();
        }
        cut.push(piece);
        rest = more;
    }
    part["text"] = rest.into();
    cut.push(part);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_event() {
        let event = json!({
            "candidates": [{
                "content": {"role": "model", "parts": [
                    {"text": "ab天c\"d", "thought": true},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"text": "efgh😀", "thoughtSignature": "c2ln"},
                ]},
                "index": 0, "finishReason": "STOP",
            }],
            "usageMetadata": {"promptTokenCount": 1},
        });
        let cut = pieces(event.to_string().as_bytes(), 2).unwrap();
        let cut: Vec<Value> = cut
            .iter()
            .map(|event| serde_json::from_slice(event).unwrap())
            .collect();
        let parts: Vec<&Value> = cut
            .iter()
            .map(|event| &event["candidates"][0]["content"]["parts"][0])
            .collect();
        let said = |thought: bool| -> String {
            let parts = parts
                .iter()
                .filter(|part| part.get("thought").is_some() == thought);
            parts.filter_map(|part| part["text"].as_str()).collect()
        };
        assert_eq!((&*said(true), &*said(false)), ("ab天c\"d", "efgh😀"));
        assert_eq!(cut.len(), 3 + 1 + 3);
        let last = &cut.last().unwrap()["candidates"][0];
        assert_eq!(last["finishReason"], "STOP");
        assert_eq!(last["content"]["parts"][0]["thoughtSignature"], "c2ln");
        assert!(
            cut[..6]
                .iter()
                .all(|event| event.get("usageMetadata").is_none())
        );
    }

    #[test]
    fn what_needs_no_cut_stays_as_it_is() {
        for event in [
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"long text"},{"functionCall":{"name":"f","args":{"a":1.10}}}]}}]}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
            "not JSON at all, whatever it is",
        ] {
            assert_eq!(pieces(event.as_bytes(), 3), None, "{event}");
        }
    }
}
