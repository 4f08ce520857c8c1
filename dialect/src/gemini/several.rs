//! Several answers of Google's as one with several candidates: Gemini models give one answer a
//! call ("Multiple candidates is not enabled for this model"), and OpenAI's clients ask for `n`.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::fields::{Fields, fields, find, set, take, written};

/// The answers so far.
#[derive(Debug, Default)]
pub struct Several {
    /// The newest counts of each.
    counts: Vec<Map<String, Value>>,
}

const CANDIDATES: [&str; 2] = ["candidates", "candidates"];
const USAGE: [&str; 2] = ["usageMetadata", "usage_metadata"];
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
const SEED: [&str; 2] = ["seed", "seed"];
const FEEDBACK: [&str; 2] = ["promptFeedback", "prompt_feedback"];

impl Several {
    /// An event of the stream with this number, or its whole answer, as one of a stream that has
    /// all candidates. Its counts are the sum of what each has said last. What cannot be read
    /// stays as it is.
    pub fn event(&mut self, number: usize, event: &[u8]) -> Vec<u8> {
        match fields(event).and_then(|event| self.numbered(number, event)) {
            Some(event) => written(&event),
            None => event.to_vec(),
        }
    }

    /// The body of the call with this number, where it has to be another: the same seed would give
    /// the same answer.
    pub fn asked(number: usize, body: &[u8]) -> Option<Vec<u8>> {
        if number == 0 || memmem::find(body, b"\"seed\"").is_none() {
            return None;
        }
        let mut body = fields(body)?;
        let mut config = fields(body[find(&body, CONFIG)?].1.get().as_bytes())?;
        let seed: i32 = serde_json::from_str(config[find(&config, SEED)?].1.get()).ok()?;
        let seed = seed.wrapping_add(i32::try_from(number).ok()?);
        set(&mut config, SEED, &seed);
        let config = String::from_utf8(written(&config)).ok()?;
        set(&mut body, CONFIG, &RawValue::from_string(config).ok()?);
        Some(written(&body))
    }

    /// The whole answers as one.
    pub fn whole<'a>(answers: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut several = Self::default();
        let mut all = Fields::new();
        let mut candidates: Vec<Box<RawValue>> = Vec::new();
        for (number, answer) in answers.into_iter().enumerate() {
            let event = fields(&several.event(number, answer)).unwrap_or_default();
            for (name, value) in event {
                if name == CANDIDATES[0] {
                    let more: Vec<Box<RawValue>> =
                        serde_json::from_str(value.get()).unwrap_or_default();
                    candidates.extend(more);
                } else {
                    // What each says of itself is that of the last; the counts are of all.
                    all.retain(|(known, _)| *known != name);
                    all.push((name, value));
                }
            }
        }
        set(&mut all, CANDIDATES, &candidates);
        written(&all)
    }

    fn numbered(&mut self, number: usize, mut event: Fields) -> Option<Fields> {
        if let Some(counts) = take(&mut event, USAGE) {
            if self.counts.len() <= number {
                self.counts.resize_with(number + 1, Map::new);
            }
            self.counts[number] = serde_json::from_str(counts.get()).ok()?;
            event.push((USAGE[0].to_owned(), to_raw_value(&self.sum()).ok()?));
        }
        let given = find(&event, CANDIDATES).map(|at| event[at].1.clone());
        let given: Vec<Box<RawValue>> = match given {
            Some(given) => serde_json::from_str(given.get()).ok()?,
            None => Vec::new(),
        };
        let mut candidates = Vec::with_capacity(1);
        for candidate in &given {
            let mut candidate = fields(candidate.get().as_bytes())?;
            set(&mut candidate, ["index", "index"], &number);
            let candidate = String::from_utf8(written(&candidate)).ok()?;
            candidates.push(RawValue::from_string(candidate).ok()?);
        }
        // One that refused the prompt is a candidate without an answer: others may have one.
        if candidates.is_empty()
            && let Some(reason) = take(&mut event, FEEDBACK).and_then(|said| blocked(&said))
        {
            candidates.push(to_raw_value(&json!({"index": number, "finishReason": reason})).ok()?);
        }
        if !candidates.is_empty() {
            set(&mut event, CANDIDATES, &candidates);
        }
        Some(event)
    }

    /// The sum of all counts; lists of counts are joined.
    fn sum(&self) -> Map<String, Value> {
        let mut sum: Map<String, Value> = Map::new();
        for (name, value) in self.counts.iter().flatten() {
            let Some(known) = sum.get_mut(name) else {
                sum.insert(name.clone(), value.clone());
                continue;
            };
            match (known.as_u64(), value.as_u64(), &mut *known, value) {
                (Some(known_count), Some(count), known, _) => {
                    *known = known_count.saturating_add(count).into();
                }
                (_, _, Value::Array(known), Value::Array(more)) => {
                    known.extend(more.iter().cloned());
                }
                _ => {}
            }
        }
        sum
    }
}

fn blocked(feedback: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Feedback {
        block_reason: Option<String>,
    }
    serde_json::from_str::<Feedback>(feedback.get())
        .ok()?
        .block_reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::Peek;

    #[test]
    fn answers_become_candidates_and_their_counts_are_added() {
        let one = br#"{"candidates":[{"content":{"parts":[{"text":"1.10"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7,"promptTokensDetails":[{"modality":"IMAGE","tokenCount":3}]},"modelVersion":"m"}"#;
        let two = br#"{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":4,"totalTokenCount":9,"promptTokensDetails":[{"modality":"IMAGE","tokenCount":3}]}}"#;
        let three = br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#;
        let whole = Several::whole([&one[..], two, three]);
        let usage = Peek::of(&whole).unwrap().usage.unwrap();
        assert_eq!(
            (usage.prompt, usage.output, usage.total, usage.prompt_images),
            (15, 6, 21, 6)
        );
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let candidates = whole["candidates"].as_array().unwrap();
        let indexes: Vec<&Value> = candidates.iter().map(|one| &one["index"]).collect();
        assert_eq!(indexes, [0, 1, 2]);
        assert_eq!(candidates[2]["finishReason"], "SAFETY");
        assert_eq!(whole["modelVersion"], "m");
        assert_eq!(whole.get("promptFeedback"), None);
    }

    #[test]
    fn each_call_has_a_seed_of_its_own() {
        let body = br#"{"contents":[{"parts":[{"text":"seed"}]}],"generationConfig":{"temperature":0.10,"seed":7}}"#;
        assert_eq!(Several::asked(0, body), None);
        let second = Several::asked(2, body).unwrap();
        assert_eq!(
            String::from_utf8(second).unwrap(),
            r#"{"contents":[{"parts":[{"text":"seed"}]}],"generationConfig":{"temperature":0.10,"seed":9}}"#
        );
        let last = br#"{"generationConfig":{"seed":2147483647}}"#;
        let next = Several::asked(1, last).unwrap();
        assert!(next.ends_with(br#""seed":-2147483648}}"#));
        assert_eq!(Several::asked(1, br#"{"contents":[{"seed":1}]}"#), None);
    }

    #[test]
    fn the_newest_counts_of_each_stream_count() {
        let mut several = Several::default();
        let event = |tokens: u64| {
            let event = json!({"candidates": [{"index": 0}], "usageMetadata": {"candidatesTokenCount": tokens}});
            event.to_string().into_bytes()
        };
        let mut last = Vec::new();
        for (number, tokens) in [(1, 1), (0, 2), (1, 3), (0, 4)] {
            last = several.event(number, &event(tokens));
        }
        assert_eq!(Peek::of(&last).unwrap().usage.unwrap().output, 7);
        assert_eq!(several.event(0, b"no JSON"), b"no JSON");
    }
}
