//! The events of a stream, as they are written. Names, fields and their order as in OpenAI's
//! OpenAPI description, `ResponseStreamEvent`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::output::{Annotation, Content, Output, Summary};
use crate::text::put_json;

/// An event about an item. Those that hold the whole answer are written by the answer itself.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Event<'a> {
    #[serde(rename = "response.output_item.added")]
    ItemAdded {
        output_index: usize,
        item: &'a Output,
    },
    #[serde(rename = "response.output_item.done")]
    ItemDone {
        output_index: usize,
        item: &'a Output,
    },
    #[serde(rename = "response.content_part.added")]
    PartAdded(Part<'a>),
    #[serde(rename = "response.content_part.done")]
    PartDone(Part<'a>),
    #[serde(rename = "response.output_text.delta")]
    TextDelta {
        #[serde(flatten)]
        at: Place<'a>,
        delta: &'a str,
        logprobs: &'a [Box<RawValue>],
    },
    #[serde(rename = "response.output_text.annotation.added")]
    Annotated {
        #[serde(flatten)]
        at: Place<'a>,
        annotation_index: usize,
        annotation: &'a Annotation,
    },
    #[serde(rename = "response.output_text.done")]
    TextDone {
        #[serde(flatten)]
        at: Place<'a>,
        text: &'a str,
        logprobs: &'a [Box<RawValue>],
    },
    #[serde(rename = "response.refusal.delta")]
    RefusalDelta {
        #[serde(flatten)]
        at: Place<'a>,
        delta: &'a str,
    },
    #[serde(rename = "response.refusal.done")]
    RefusalDone {
        #[serde(flatten)]
        at: Place<'a>,
        refusal: &'a str,
    },
    #[serde(rename = "response.reasoning_summary_part.added")]
    SummaryAdded {
        #[serde(flatten)]
        of: Thought<'a>,
        part: Summary,
    },
    #[serde(rename = "response.reasoning_summary_text.delta")]
    SummaryDelta {
        #[serde(flatten)]
        of: Thought<'a>,
        delta: &'a str,
    },
    #[serde(rename = "response.reasoning_summary_text.done")]
    SummaryTextDone {
        #[serde(flatten)]
        of: Thought<'a>,
        text: &'a str,
    },
    #[serde(rename = "response.reasoning_summary_part.done")]
    SummaryDone {
        #[serde(flatten)]
        of: Thought<'a>,
        part: &'a Summary,
    },
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta {
        #[serde(flatten)]
        of: Of<'a>,
        delta: &'a str,
    },
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone {
        #[serde(flatten)]
        of: Of<'a>,
        name: &'a str,
        arguments: &'a str,
    },
    #[serde(rename = "response.custom_tool_call_input.delta")]
    InputDelta {
        #[serde(flatten)]
        of: Of<'a>,
        delta: &'a str,
    },
    #[serde(rename = "response.custom_tool_call_input.done")]
    InputDone {
        #[serde(flatten)]
        of: Of<'a>,
        input: &'a str,
    },
    #[serde(rename = "response.image_generation_call.in_progress")]
    ImageInProgress(Of<'a>),
    #[serde(rename = "response.image_generation_call.generating")]
    ImageGenerating(Of<'a>),
    #[serde(rename = "response.image_generation_call.completed")]
    ImageCompleted(Of<'a>),
    #[serde(rename = "response.web_search_call.in_progress")]
    SearchInProgress(Of<'a>),
    #[serde(rename = "response.web_search_call.searching")]
    Searching(Of<'a>),
    #[serde(rename = "response.web_search_call.completed")]
    SearchCompleted(Of<'a>),
    #[serde(rename = "response.code_interpreter_call.in_progress")]
    CodeInProgress(Of<'a>),
    #[serde(rename = "response.code_interpreter_call_code.delta")]
    CodeDelta {
        #[serde(flatten)]
        of: Of<'a>,
        delta: &'a str,
    },
    #[serde(rename = "response.code_interpreter_call_code.done")]
    CodeDone {
        #[serde(flatten)]
        of: Of<'a>,
        code: &'a str,
    },
    #[serde(rename = "response.code_interpreter_call.interpreting")]
    Interpreting(Of<'a>),
    #[serde(rename = "response.code_interpreter_call.completed")]
    CodeCompleted(Of<'a>),
}

/// The item that an event is about.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Of<'a> {
    pub item_id: &'a str,
    pub output_index: usize,
}

/// The only part of a message.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Place<'a> {
    #[serde(flatten)]
    pub of: Of<'a>,
    pub content_index: usize,
}

/// The only part of a summary.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Thought<'a> {
    #[serde(flatten)]
    pub of: Of<'a>,
    pub summary_index: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Part<'a> {
    #[serde(flatten)]
    pub at: Place<'a>,
    pub part: &'a Content,
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::ItemAdded { .. } => "response.output_item.added",
            Self::ItemDone { .. } => "response.output_item.done",
            Self::PartAdded(_) => "response.content_part.added",
            Self::PartDone(_) => "response.content_part.done",
            Self::TextDelta { .. } => "response.output_text.delta",
            Self::Annotated { .. } => "response.output_text.annotation.added",
            Self::TextDone { .. } => "response.output_text.done",
            Self::RefusalDelta { .. } => "response.refusal.delta",
            Self::RefusalDone { .. } => "response.refusal.done",
            Self::SummaryAdded { .. } => "response.reasoning_summary_part.added",
            Self::SummaryDelta { .. } => "response.reasoning_summary_text.delta",
            Self::SummaryTextDone { .. } => "response.reasoning_summary_text.done",
            Self::SummaryDone { .. } => "response.reasoning_summary_part.done",
            Self::ArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::ArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::InputDelta { .. } => "response.custom_tool_call_input.delta",
            Self::InputDone { .. } => "response.custom_tool_call_input.done",
            Self::ImageInProgress(_) => "response.image_generation_call.in_progress",
            Self::ImageGenerating(_) => "response.image_generation_call.generating",
            Self::ImageCompleted(_) => "response.image_generation_call.completed",
            Self::SearchInProgress(_) => "response.web_search_call.in_progress",
            Self::Searching(_) => "response.web_search_call.searching",
            Self::SearchCompleted(_) => "response.web_search_call.completed",
            Self::CodeInProgress(_) => "response.code_interpreter_call.in_progress",
            Self::CodeDelta { .. } => "response.code_interpreter_call_code.delta",
            Self::CodeDone { .. } => "response.code_interpreter_call_code.done",
            Self::Interpreting(_) => "response.code_interpreter_call.interpreting",
            Self::CodeCompleted(_) => "response.code_interpreter_call.completed",
        }
    }
}

/// Writes events, each with its number.
#[derive(Debug)]
pub(super) struct Events {
    next: u64,
    /// Nothing is written: the answer is not streamed.
    silent: bool,
}

impl Events {
    /// The first has this number.
    pub fn streamed(first: u64) -> Self {
        Self {
            next: first,
            silent: false,
        }
    }

    pub fn silent() -> Self {
        Self {
            next: 0,
            silent: true,
        }
    }

    pub fn put(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Numbered<'a> {
            #[serde(flatten)]
            event: &'a Event<'a>,
            sequence_number: u64,
        }
        if self.silent {
            return;
        }
        begin(event.name(), out);
        let sequence_number = self.number();
        put_json(
            out,
            &Numbered {
                event,
                sequence_number,
            },
        );
        out.extend_from_slice(b"\n\n");
    }

    /// An event whose fields beside its name and number are JSON already.
    pub fn put_raw(&mut self, name: &str, fields: &[&[u8]], out: &mut Vec<u8>) {
        if self.silent {
            return;
        }
        begin(name, out);
        let number = self.number();
        out.extend_from_slice(
            format!("{{\"type\":\"{name}\",\"sequence_number\":{number}").as_bytes(),
        );
        for field in fields {
            out.push(b',');
            out.extend_from_slice(field);
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

fn begin(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}
