//! What a gateway must know of an answer of the Interactions API
//! (<https://ai.google.dev/gemini-api/docs/interactions>): its id, by which the client goes on with
//! it, and what it took.

use std::borrow::Cow;

use serde::Deserialize;

use super::Usage;

/// An interaction, whole or as an event of its stream says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interaction {
    /// By which it is named; `None` where it is not kept (`store: false`).
    pub id: Option<String>,
    /// What it took, so far.
    pub usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    /// In the events `interaction.created` and `interaction.completed`.
    #[serde(borrow, default)]
    interaction: Option<Box<Self>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    total_input_tokens: u64,
    total_output_tokens: u64,
    total_thought_tokens: u64,
    total_cached_tokens: u64,
    total_tool_use_tokens: u64,
    total_tokens: u64,
}

impl Interaction {
    /// Reads an answer, or the data of an event; empty for anything else.
    pub fn of(json: &[u8]) -> Self {
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(json) else {
            return Self::default();
        };
        let wire = match wire.interaction {
            Some(inner) => *inner,
            None => wire,
        };
        Self {
            id: wire.id.filter(|id| !id.is_empty()).map(Cow::into_owned),
            usage: wire.usage.map(|usage| Usage {
                prompt: usage.total_input_tokens + usage.total_tool_use_tokens,
                // Here the output is without the thoughts.
                output: usage.total_output_tokens + usage.total_thought_tokens,
                thoughts: usage.total_thought_tokens,
                cached: usage.total_cached_tokens,
                total: usage.total_tokens,
                ..Usage::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_and_events_are_read() {
        let usage = r#"{"total_input_tokens":7,"total_output_tokens":20,"total_thought_tokens":22,"total_tokens":49}"#;
        for json in [
            format!(r#"{{"id":"v1_a","status":"completed","usage":{usage}}}"#),
            format!(
                r#"{{"event_type":"interaction.completed","interaction":{{"id":"v1_a","usage":{usage}}}}}"#
            ),
        ] {
            let read = Interaction::of(json.as_bytes());
            assert_eq!(read.id.as_deref(), Some("v1_a"));
            let usage = read.usage.unwrap();
            assert_eq!(
                (usage.prompt, usage.output, usage.thoughts, usage.total),
                (7, 42, 22, 49)
            );
        }
        for json in [
            "",
            "[]",
            r#"{"event_type":"step.delta","delta":{}}"#,
            r#"{"id":""}"#,
        ] {
            assert_eq!(Interaction::of(json.as_bytes()), Interaction::default());
        }
    }
}
