//! The items of an answer as they grow, each change told by an event.

use serde_json::value::RawValue;

use super::events::{Event, Events, Of, Part as PartOf, Place, Thought};
use super::output::{Annotation, Content, Extra, Logs, Output, Search, Source, Status, Summary};
use super::tools::{Called, Given, Special};
use crate::aside::{THINK, THOUGHT};
use crate::gemini::response::{Blob, Code, CodeResult, FunctionCall, Logprobs};
use crate::gemini::sources::{self, Sources};
use crate::openai_to_gemini::wire::{LogprobsOut, call_id, citations, own_part};
use crate::signature::{marked, shown_id};
use crate::style::Style;

/// The items so far. At most the last one is open, i.e. may still grow; what begins another
/// one closes it.
#[derive(Debug)]
pub(super) struct Growing {
    /// The answer's id.
    answer: String,
    pub events: Events,
    pub output: Vec<Output>,
    open: bool,
    /// How many calls there are.
    pub calls: u32,
    /// There is something besides thoughts.
    pub shown: bool,
    /// The text ends inside thoughts.
    thinking: bool,
    pub sources: Sources,
    /// Messages before this one have said where their words are from.
    cited_before: usize,
    /// Likelihoods of text that is still to come.
    likelihoods: Vec<Box<RawValue>>,
}

impl Growing {
    /// No items yet of the answer with this id.
    pub fn new(answer: &str, events: Events) -> Self {
        Self {
            answer: answer.to_owned(),
            events,
            output: Vec::new(),
            open: false,
            calls: 0,
            shown: false,
            thinking: false,
            sources: Sources::default(),
            cited_before: 0,
            likelihoods: Vec::new(),
        }
    }

    /// Ends the last item with the answer, which the sources stand behind: in the text itself, too,
    /// if they are to be `listed` there.
    pub fn end(&mut self, status: Status, listed: bool, out: &mut Vec<u8>) {
        self.end_thoughts(out);
        let mut annotations: Vec<Annotation> = citations(&self.sources, self.cited_before);
        if listed && let Some(list) = self.sources.markdown() {
            let goes_on = self.text_mut().is_some();
            self.tell(&list, out);
            if !goes_on {
                annotations = citations(&self.sources, self.cited_before);
            }
        }
        match self.text_mut().is_some() {
            true => self.cite(annotations, out),
            false => self.cite_last(annotations),
        }
        self.close(status, out);
    }

    /// Says what an open item is left as when the answer breaks off, which no event tells.
    pub fn break_off(&mut self) {
        if self.open {
            self.set_status(Status::Incomplete);
        }
    }

    /// Likelihoods of the text that comes next.
    pub fn expect_likelihoods(&mut self, logprobs: &Logprobs<'_>) {
        self.likelihoods = LogprobsOut::of(logprobs).into_tokens().collect();
    }

    /// Likelihoods that came without text are those of the text before.
    pub fn end_likelihoods(&mut self) {
        let rest = std::mem::take(&mut self.likelihoods);
        if let Some(Content::OutputText { logprobs, .. }) = self.text_mut() {
            logprobs.extend(rest);
        }
    }

    /// Thoughts that go into the text.
    pub fn think_aloud(&mut self, text: &str, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.thinking, true) {
            self.put_aside(THINK, out);
        }
        self.put_aside(text, out);
    }

    // --- items ---

    /// An id for the next item.
    fn item_id(&self, kind: &str) -> String {
        format!("{kind}_{}_{}", own_part(&self.answer), self.output.len())
    }

    /// Adds an item; it is the last, and open.
    fn add(&mut self, item: Output, out: &mut Vec<u8>) {
        self.close(Status::Completed, out);
        self.output.push(item);
        self.open = true;
        if let Some((of, item)) = last(&self.output) {
            let output_index = of.output_index;
            self.events
                .put(&Event::ItemAdded { output_index, item }, out);
        }
    }

    fn set_status(&mut self, status: Status) {
        if let Some(item) = self.output.last_mut() {
            item.set_status(status);
        }
    }

    /// Ends the open item, if there is one.
    fn close(&mut self, status: Status, out: &mut Vec<u8>) {
        if !self.open {
            return;
        }
        self.cite_what_is_known(out);
        self.open = false;
        self.set_status(status);
        let Some((of, item)) = last(&self.output) else {
            return;
        };
        let events = &mut self.events;
        match item {
            Output::Message { content, .. } => {
                for part in content {
                    let at = place(of);
                    events.put(&done(at, part), out);
                    events.put(&Event::PartDone(PartOf { at, part }), out);
                }
            }
            Output::Reasoning { summary, .. } => {
                for part in summary {
                    let of = thought(of);
                    let Summary::Text { text } = part;
                    events.put(&Event::SummaryTextDone { of, text }, out);
                    events.put(&Event::SummaryDone { of, part }, out);
                }
            }
            Output::CodeInterpreterCall { .. } => events.put(&Event::CodeCompleted(of), out),
            _ => {}
        }
        let output_index = of.output_index;
        events.put(&Event::ItemDone { output_index, item }, out);
    }

    // --- text ---

    /// What the model says.
    pub fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        self.end_thoughts(out);
        self.shown = true;
        self.open_message(out);
        self.sources.said(text);
        self.put_text(text, out);
    }

    /// What stands in the text and is not of it.
    pub fn tell(&mut self, text: &str, out: &mut Vec<u8>) {
        self.end_thoughts(out);
        self.shown = true;
        self.put_aside(text, out);
    }

    fn end_thoughts(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.thinking) {
            self.put_aside(THOUGHT, out);
        }
    }

    fn put_aside(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open_message(out);
        self.sources.told(text);
        self.put_text(text, out);
    }

    fn put_text(&mut self, more: &str, out: &mut Vec<u8>) {
        self.open_message(out);
        if let Some(Content::OutputText { text, .. }) = self.text_mut() {
            text.push_str(more);
        }
        if let Some((of, _)) = last(&self.output) {
            let event = Event::TextDelta {
                at: place(of),
                delta: more,
                logprobs: &self.likelihoods,
            };
            self.events.put(&event, out);
        }
        self.end_likelihoods();
    }

    /// Makes sure that a message with text is open.
    fn open_message(&mut self, out: &mut Vec<u8>) {
        if self.text_mut().is_some() {
            return;
        }
        self.message(Content::empty_text(), out);
    }

    /// The signature of the text so far.
    pub fn sign_text(&mut self, signature: &str) {
        if let Some(Output::Message { extra_content, .. }) = self.output.last_mut()
            && self.open
        {
            *extra_content = Extra::of(Some(signature));
        }
    }

    fn message(&mut self, part: Content, out: &mut Vec<u8>) {
        self.sources.next_message();
        let message = Output::Message {
            id: self.item_id("msg"),
            status: Status::InProgress,
            role: "assistant",
            content: Vec::new(),
            extra_content: None,
        };
        self.add(message, out);
        if let Some((of, _)) = last(&self.output) {
            let at = place(of);
            self.events
                .put(&Event::PartAdded(PartOf { at, part: &part }), out);
        }
        if let Some(Output::Message { content, .. }) = self.output.last_mut() {
            content.push(part);
        }
    }

    /// The part that text goes into, if a message is open.
    fn text_mut(&mut self) -> Option<&mut Content> {
        match self.output.last_mut() {
            Some(Output::Message { content, .. }) if self.open => content.first_mut(),
            _ => None,
        }
    }

    /// Says why there is no answer.
    pub fn refuse(&mut self, explanation: String, out: &mut Vec<u8>) {
        let empty = Content::Refusal {
            refusal: String::new(),
        };
        self.message(empty, out);
        if let Some((of, _)) = last(&self.output) {
            let at = place(of);
            let delta = &explanation;
            self.events.put(&Event::RefusalDelta { at, delta }, out);
        }
        if let Some(Content::Refusal { refusal }) = self.text_mut() {
            *refusal = explanation;
        }
        self.close(Status::Completed, out);
    }

    // --- thoughts ---

    /// Thoughts that go into a reasoning item.
    pub fn think(&mut self, more: &str, out: &mut Vec<u8>) {
        let is_open = self.open && matches!(self.output.last(), Some(Output::Reasoning { .. }));
        if !is_open {
            self.reasoning(out);
            if let Some((of, _)) = last(&self.output) {
                let event = Event::SummaryAdded {
                    of: thought(of),
                    part: Summary::Text {
                        text: String::new(),
                    },
                };
                self.events.put(&event, out);
            }
            if let Some(Output::Reasoning { summary, .. }) = self.output.last_mut() {
                summary.push(Summary::Text {
                    text: String::new(),
                });
            }
        }
        if let Some(Output::Reasoning { summary, .. }) = self.output.last_mut()
            && let Some(Summary::Text { text }) = summary.last_mut()
        {
            text.push_str(more);
        }
        if let Some((of, _)) = last(&self.output) {
            let (of, delta) = (thought(of), more);
            self.events.put(&Event::SummaryDelta { of, delta }, out);
        }
    }

    fn reasoning(&mut self, out: &mut Vec<u8>) {
        let item = Output::Reasoning {
            id: self.item_id("rs"),
            summary: Vec::new(),
            encrypted_content: None,
        };
        self.add(item, out);
    }

    /// Puts a call's signature where clients return it: on the reasoning right before the
    /// call, an empty one if need be.
    fn sign(&mut self, signature: &str, out: &mut Vec<u8>) {
        let is_open = self.open && matches!(self.output.last(), Some(Output::Reasoning { .. }));
        if !is_open {
            self.reasoning(out);
        }
        if let Some(Output::Reasoning {
            encrypted_content, ..
        }) = self.output.last_mut()
        {
            *encrypted_content = Some(marked(signature));
        }
    }

    // --- calls and media ---

    /// A call, and the signature that came with it.
    pub fn call(
        &mut self,
        call: &FunctionCall<'_>,
        signature: Option<&str>,
        (special, style): (&Special, Style),
        out: &mut Vec<u8>,
    ) {
        self.end_thoughts(out);
        self.shown = true;
        if let Some(signature) = signature {
            self.sign(signature, out);
        }
        let call_id = call_id(call.id.as_deref(), &self.answer, 0, self.calls);
        let call_id = shown_id(call_id, signature, style);
        self.calls += 1;
        let Called {
            name,
            namespace,
            given,
        } = special.back(call);
        let name = name.to_owned();
        let namespace = namespace.map(str::to_owned);
        let extra_content = Extra::of(signature);
        let status = Status::InProgress;
        let item = match &given {
            Given::Arguments(_) => Output::FunctionCall {
                id: self.item_id("fc"),
                status,
                call_id,
                name,
                namespace,
                arguments: String::new(),
                extra_content,
            },
            Given::Input(_) => Output::CustomToolCall {
                id: self.item_id("ctc"),
                status,
                call_id,
                name,
                namespace,
                input: String::new(),
                extra_content,
            },
        };
        let given = match given {
            Given::Arguments(json) => json.into_owned(),
            Given::Input(text) => text,
        };
        self.add(item, out);
        self.fill(given, out);
        self.close(Status::Completed, out);
    }

    /// Gives the open call what Google called it with.
    fn fill(&mut self, given: String, out: &mut Vec<u8>) {
        if let Some(
            Output::FunctionCall {
                arguments: place, ..
            }
            | Output::CustomToolCall { input: place, .. },
        ) = self.output.last_mut()
        {
            *place = given;
        }
        match last(&self.output) {
            Some((
                of,
                Output::FunctionCall {
                    name, arguments, ..
                },
            )) => {
                let delta = arguments;
                self.events.put(&Event::ArgumentsDelta { of, delta }, out);
                let event = Event::ArgumentsDone {
                    of,
                    name,
                    arguments,
                };
                self.events.put(&event, out);
            }
            Some((of, Output::CustomToolCall { input, .. })) => {
                let delta = input;
                self.events.put(&Event::InputDelta { of, delta }, out);
                self.events.put(&Event::InputDone { of, input }, out);
            }
            _ => {}
        }
    }

    /// An image of this format, and the signature that came with it.
    pub fn image(
        &mut self,
        blob: &Blob<'_>,
        format: &str,
        signature: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        self.end_thoughts(out);
        self.shown = true;
        let item = Output::ImageGenerationCall {
            id: self.item_id("ig"),
            status: Status::InProgress,
            result: None,
            output_format: format.to_owned(),
            extra_content: Extra::of(signature),
        };
        self.add(item, out);
        if let Some((of, _)) = last(&self.output) {
            self.events.put(&Event::ImageInProgress(of), out);
            self.events.put(&Event::ImageGenerating(of), out);
            self.events.put(&Event::ImageCompleted(of), out);
        }
        if let Some(Output::ImageGenerationCall { result, .. }) = self.output.last_mut() {
            *result = Some(blob.data.to_string());
        }
        self.close(Status::Completed, out);
    }

    // --- code ---

    /// Code that Google runs; its result goes into the same item.
    pub fn run(&mut self, code: &Code<'_>, out: &mut Vec<u8>) {
        self.end_thoughts(out);
        self.shown = true;
        let item = Output::CodeInterpreterCall {
            id: self.item_id("ci"),
            status: Status::InProgress,
            code: String::new(),
            container_id: "",
            outputs: None,
        };
        self.add(item, out);
        if let Some(Output::CodeInterpreterCall { code: place, .. }) = self.output.last_mut() {
            *place = code.code.to_string();
        }
        if let Some((of, Output::CodeInterpreterCall { code, .. })) = last(&self.output) {
            let events = &mut self.events;
            events.put(&Event::CodeInProgress(of), out);
            events.put(&Event::CodeDelta { of, delta: code }, out);
            events.put(&Event::CodeDone { of, code }, out);
            events.put(&Event::Interpreting(of), out);
        }
    }

    /// What came of the code that ran last. Without any it is text.
    pub fn ran(&mut self, result: &CodeResult<'_>, out: &mut Vec<u8>) {
        match self.output.last_mut() {
            Some(Output::CodeInterpreterCall { outputs, .. }) if self.open => {
                let logs = result.logs();
                *outputs = Some(vec![Logs::Logs { logs }]);
                self.close(Status::Completed, out);
            }
            _ => self.tell(&result.markdown(), out),
        }
    }

    // --- search ---

    /// Adds the sources to the text that is about to end.
    /// Says where the open text is from, if that is known before the answer ends and was not said.
    fn cite_what_is_known(&mut self, out: &mut Vec<u8>) {
        let is_cited = |content: &mut Content| matches!(content, Content::OutputText { annotations, .. } if !annotations.is_empty());
        if self.text_mut().is_some_and(|text| !is_cited(text)) {
            let known = citations(&self.sources, self.cited_before);
            if !known.is_empty() {
                self.cite(known, out);
                self.cited_before = self.sources.end().message + 1;
            }
        }
    }

    /// Says where the last text is from that has ended; no event can tell that any more, but the
    /// whole answer does.
    fn cite_last(&mut self, new: Vec<Annotation>) {
        let text = self.output.iter_mut().rev().find_map(|item| match item {
            Output::Message { content, .. } => content.first_mut(),
            _ => None,
        });
        if let Some(Content::OutputText { annotations, .. }) = text
            && annotations.is_empty()
        {
            *annotations = new;
        }
    }

    fn cite(&mut self, new: Vec<Annotation>, out: &mut Vec<u8>) {
        if let Some(Content::OutputText { annotations, .. }) = self.text_mut() {
            *annotations = new;
        }
        if let Some((of, Output::Message { content, .. })) = last(&self.output)
            && self.open
            && let Some(Content::OutputText { annotations, .. }) = content.first()
        {
            for (annotation_index, annotation) in annotations.iter().enumerate() {
                let event = Event::Annotated {
                    at: place(of),
                    annotation_index,
                    annotation,
                };
                self.events.put(&event, out);
            }
        }
    }

    /// Tells of the search, if there was one.
    pub fn searched(&mut self, out: &mut Vec<u8>) {
        let (queries, found) = (self.sources.queries(), self.sources.found());
        if queries.is_empty() && found.is_empty() {
            return;
        }
        let url = |source: &sources::Source| Source::Url {
            url: source.url.clone(),
        };
        let item = Output::WebSearchCall {
            id: self.item_id("ws"),
            status: Status::InProgress,
            action: Search::Search {
                query: queries.first().cloned().unwrap_or_default(),
                queries: queries.to_vec(),
                sources: found.iter().map(url).collect(),
            },
        };
        self.add(item, out);
        if let Some((of, _)) = last(&self.output) {
            self.events.put(&Event::SearchInProgress(of), out);
            self.events.put(&Event::Searching(of), out);
            self.events.put(&Event::SearchCompleted(of), out);
        }
        self.close(Status::Completed, out);
    }
}

/// The last item, and how events name it.
fn last(output: &[Output]) -> Option<(Of<'_>, &Output)> {
    let item = output.last()?;
    let of = Of {
        item_id: item.id(),
        output_index: output.len() - 1,
    };
    Some((of, item))
}

fn place(of: Of<'_>) -> Place<'_> {
    Place {
        of,
        content_index: 0,
    }
}

fn thought(of: Of<'_>) -> Thought<'_> {
    Thought {
        of,
        summary_index: 0,
    }
}

fn done<'a>(at: Place<'a>, part: &'a Content) -> Event<'a> {
    match part {
        Content::OutputText { text, logprobs, .. } => Event::TextDone { at, text, logprobs },
        Content::Refusal { refusal } => Event::RefusalDone { at, refusal },
    }
}
