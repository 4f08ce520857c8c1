//! The answer: Gemini to the Responses API. A whole answer is a stream whose events nobody
//! hears, so the two cannot differ.

use super::call::ResponsesCall;
use super::events::{Event, Events, Of, Part as PartOf, Place, Thought};
use super::kept::Kept;
use super::output::{
    Annotation, Content, Extra, Output, Search, Source, Status, Summary, UsageOut,
};
use super::tools::{Called, Given, Special};
use crate::ResponseMeta;
use crate::error::{Malformed, UpstreamFailure};
use crate::gemini::Usage;
use crate::gemini::response::{Blob, Candidate, Grounding, Part, Response};
use crate::openai_to_gemini::wire::{End, LogprobsOut, call_id, citations, own_part, refusal};
use crate::signature::marked;
use crate::style::{THINK, THOUGHT, Thoughts};
use crate::text::put_json;

/// Turns Gemini's events into those of the Responses API, in its order: `response.created`,
/// items one after the other, `response.completed` or `response.incomplete`.
#[derive(Debug)]
pub struct ResponsesStream {
    answer: String,
    /// The answer's fields that stay the same, as JSON without the braces.
    head: String,
    thoughts: Thoughts,
    special: Special,
    events: Events,
    begun: bool,
    output: Vec<Output>,
    /// The last item may still grow.
    open: bool,
    calls: u32,
    /// There is something besides thoughts.
    shown: bool,
    /// The text ends inside thoughts.
    thinking: bool,
    /// How much of the message's text is thoughts that stand before its own text, in bytes;
    /// unknown until there is some of that.
    lead: Option<usize>,
    /// How many messages have begun.
    messages: u32,
    found: Option<Found>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// Finished or aborted: nothing may follow.
    ended: bool,
    keep: Option<Keep>,
}

/// What is needed to keep the answer.
#[derive(Debug)]
struct Keep {
    call: ResponsesCall,
    /// The finished answer.
    response: Option<Vec<u8>>,
}

/// What Google's search found.
#[derive(Debug)]
struct Found {
    queries: Vec<String>,
    urls: Vec<String>,
    annotations: Vec<Annotation>,
}

/// What Google said of the end. Written at the end: calls may come after it.
#[derive(Debug)]
struct Finish {
    native: String,
    message: Option<String>,
    /// The prompt was refused, so there is no answer.
    refused: bool,
}

/// Translates a whole answer; `meta.id` should begin with `resp_`. The second is what the
/// client wants kept, if it does.
///
/// A refused prompt becomes a refusal and `incomplete`. An answer without any candidate is
/// [`Malformed`].
pub fn responses_response(
    call: &ResponsesCall,
    meta: &ResponseMeta,
    gemini_body: &[u8],
) -> Result<(Vec<u8>, Option<Kept>), Malformed> {
    let mut answer = ResponsesStream {
        events: Events::silent(),
        ..ResponsesStream::new(call, meta)
    };
    let mut nothing = Vec::new();
    answer.event(gemini_body, &mut nothing)?;
    if !answer.begun {
        return Err(Malformed::new(
            "Google answered without any candidate and without saying why.",
        ));
    }
    // A whole answer without a reason was not cut off.
    answer.finish.get_or_insert_with(|| Finish {
        native: "STOP".to_owned(),
        message: None,
        refused: false,
    });
    let response = answer.end(&mut nothing);
    let kept = answer.take_kept();
    Ok((response, kept))
}

impl ResponsesStream {
    /// A stream that answers `call`; `meta.id` should begin with `resp_`.
    pub fn new(call: &ResponsesCall, meta: &ResponseMeta) -> Self {
        let mut head = b"\"id\":".to_vec();
        put_json(&mut head, &meta.id);
        head.extend_from_slice(
            format!(
                ",\"object\":\"response\",\"created_at\":{},\"model\":",
                meta.created
            )
            .as_bytes(),
        );
        put_json(&mut head, &call.requested_model);
        head.push(b',');
        head.extend_from_slice(call.repeated.as_bytes());
        Self {
            answer: meta.id.clone(),
            head: String::from_utf8_lossy(&head).into_owned(),
            thoughts: meta.style.thoughts,
            special: call.special.clone(),
            events: Events::streamed(),
            begun: false,
            output: Vec::new(),
            open: false,
            calls: 0,
            shown: false,
            thinking: false,
            lead: None,
            messages: 0,
            found: None,
            finish: None,
            usage: None,
            ended: false,
            keep: call.store.then(|| Keep {
                call: call.clone(),
                response: None,
            }),
        }
    }

    /// Takes the data of one of Google's events and appends the events it makes.
    ///
    /// On an error nothing was appended; end the stream with [`ResponsesStream::abort`]. After
    /// the end of the stream nothing is appended any more, whatever is called.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.ended {
            return Ok(());
        }
        let mut response = Response::parse(data)?;
        if let Some(usage) = response.usage_metadata {
            self.usage = Some(usage.into());
        }
        if let Some(feedback) = &mut response.prompt_feedback
            && let Some(reason) = feedback.block_reason.take()
            && response.candidates.as_ref().is_none_or(Vec::is_empty)
        {
            self.begin(out);
            self.finish = Some(Finish {
                native: reason.to_string(),
                message: feedback.block_reason_message.take().map(|m| m.to_string()),
                refused: true,
            });
        }
        if let Some(candidate) = response.into_first_candidate() {
            self.begin(out);
            self.candidate(candidate, out);
        }
        Ok(())
    }

    /// The answer has its finish reason, so the stream may end here. A stream that ends while
    /// this is false was cut off: abort it.
    pub fn is_complete(&self) -> bool {
        self.finish.is_some()
    }

    /// Token counts as of the last event that had them.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Ends the stream. An answer that Google gave no reason for ends as if by the limit of
    /// tokens, because it was cut off.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.ended {
            self.begin(out);
            self.end(out);
        }
    }

    /// Ends the stream with `error`, which OpenAI's SDKs raise, and `response.failed`.
    pub fn abort(&mut self, failure: &UpstreamFailure, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.begin(out);
        self.ended = true;
        let code = match failure.status {
            429 => "rate_limit_exceeded",
            _ => "server_error",
        };
        let said = serde_json::json!({ "code": code, "message": failure.message });
        let detail = failure.code.as_deref().unwrap_or(code);
        let error = serde_json::json!({
            "type": crate::error::openai_type(failure.status),
            "code": detail,
            "message": failure.message,
            "param": null,
        });
        let fields = format!(
            "\"code\":{},\"message\":{},\"param\":null,\"error\":{error}",
            error["code"], error["message"]
        );
        self.events.put_raw("error", &[fields.as_bytes()], out);
        if self.open {
            self.set_status(Status::Incomplete);
        }
        let response = self.response(Status::Failed, &said.to_string(), "null");
        self.whole("response.failed", &response, out);
    }

    /// What the client wants kept, once the stream is finished.
    pub fn take_kept(&mut self) -> Option<Kept> {
        let keep = self.keep.take()?;
        Some(Kept::new(keep.call, &self.answer, keep.response?))
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let response = self.response(Status::InProgress, "null", "null");
        self.whole("response.created", &response, out);
        self.whole("response.in_progress", &response, out);
    }

    /// Ends the answer and gives it.
    fn end(&mut self, out: &mut Vec<u8>) -> Vec<u8> {
        self.ended = true;
        self.end_thoughts(out);
        let finish = self.finish.take();
        let (kind, explanation) = match &finish {
            Some(finish) if finish.refused => (
                "content_filter",
                Some(refusal(&finish.native, finish.message.as_deref())),
            ),
            Some(finish) => {
                let message = finish.message.as_deref();
                let end = End::of(&finish.native, message, self.calls > 0);
                (end.finish_reason, end.explanation)
            }
            None => ("length", None),
        };
        let incomplete = match kind {
            "length" => Some("max_output_tokens"),
            "content_filter" => Some("content_filter"),
            _ => None,
        };
        let status = match incomplete {
            None => Status::Completed,
            Some(_) => Status::Incomplete,
        };
        self.close(status, out);
        if !self.shown
            && let Some(explanation) = explanation
        {
            self.refuse(explanation, out);
        }
        if let Some(found) = self.found.take() {
            self.searched(found, out);
        }
        let details = match incomplete {
            None => "null".to_owned(),
            Some(reason) => format!("{{\"reason\":\"{reason}\"}}"),
        };
        let response = self.response(status, "null", &details);
        let name = match incomplete {
            None => "response.completed",
            Some(_) => "response.incomplete",
        };
        self.whole(name, &response, out);
        if let Some(keep) = &mut self.keep {
            keep.response = Some(response.clone());
        }
        response
    }

    /// The answer as it is now. `error` and `incomplete_details` are JSON.
    fn response(&self, status: Status, error: &str, incomplete_details: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.len() + 1024);
        out.push(b'{');
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(b",\"status\":");
        put_json(&mut out, &status);
        out.extend_from_slice(
            format!(",\"error\":{error},\"incomplete_details\":{incomplete_details},\"output\":")
                .as_bytes(),
        );
        put_json(&mut out, &self.output);
        out.extend_from_slice(b",\"usage\":");
        let usage = self.usage.filter(|_| status != Status::InProgress);
        put_json(&mut out, &usage.map(UsageOut::from));
        out.push(b'}');
        out
    }

    fn whole(&mut self, name: &str, response: &[u8], out: &mut Vec<u8>) {
        let field = [b"\"response\":", response].concat();
        self.events.put_raw(name, &[&field], out);
    }

    fn candidate(&mut self, mut candidate: Candidate<'_>, out: &mut Vec<u8>) {
        for part in candidate.take_parts() {
            self.part(&part, out);
        }
        if let Some(logprobs) = &candidate.logprobs_result
            && let Some(Content::OutputText { logprobs: all, .. }) = self.text_mut()
        {
            all.extend(LogprobsOut::of(logprobs).into_tokens());
        }
        if let Some(grounding) = &candidate.grounding_metadata {
            self.found = self.find(grounding);
        }
        if let Some(native) = candidate.finish_reason {
            self.finish = Some(Finish {
                native: native.to_string(),
                message: candidate.finish_message.map(|m| m.to_string()),
                refused: false,
            });
        }
    }

    fn part(&mut self, part: &Part<'_>, out: &mut Vec<u8>) {
        if let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) {
            match (part.thought == Some(true), self.thoughts) {
                (false, _) => self.say(text, out),
                (true, Thoughts::Native) => self.think(text, out),
                (true, Thoughts::Inline) => {
                    if !std::mem::replace(&mut self.thinking, true) {
                        self.put_text(THINK, out);
                    }
                    self.put_text(text, out);
                }
                (true, Thoughts::Hidden) => {}
            }
        }
        if let Some(blob) = &part.inline_data {
            match blob.mime_type.strip_prefix("image/") {
                Some(format) => {
                    self.image(blob, format, part.thought_signature.as_deref(), out);
                }
                None => self.say(&blob.markdown(), out),
            }
        }
        if let Some(file) = &part.file_data {
            self.say(&file.file_uri, out);
        }
        if let Some(code) = &part.executable_code {
            self.say(&code.markdown(), out);
        }
        if let Some(result) = &part.code_execution_result {
            self.say(&result.markdown(), out);
        }
        if part.function_call.is_some() {
            self.call(part, out);
        }
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
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.cite(out);
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
            _ => {}
        }
        let output_index = of.output_index;
        events.put(&Event::ItemDone { output_index, item }, out);
    }

    // --- text ---

    fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        self.end_thoughts(out);
        self.shown = true;
        self.open_message(out);
        if self.lead.is_none() {
            self.lead = match self.text_mut() {
                Some(Content::OutputText { text, .. }) => Some(text.len()),
                _ => None,
            };
        }
        self.put_text(text, out);
    }

    fn end_thoughts(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.thinking) {
            self.put_text(THOUGHT, out);
        }
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
                logprobs: [],
            };
            self.events.put(&event, out);
        }
    }

    /// Makes sure that a message with text is open.
    fn open_message(&mut self, out: &mut Vec<u8>) {
        if self.text_mut().is_some() {
            return;
        }
        self.message(Content::empty_text(), out);
    }

    fn message(&mut self, part: Content, out: &mut Vec<u8>) {
        self.lead = None;
        self.messages += 1;
        let message = Output::Message {
            id: self.item_id("msg"),
            status: Status::InProgress,
            role: "assistant",
            content: Vec::new(),
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

    fn refuse(&mut self, explanation: String, out: &mut Vec<u8>) {
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

    fn think(&mut self, more: &str, out: &mut Vec<u8>) {
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

    fn call(&mut self, part: &Part<'_>, out: &mut Vec<u8>) {
        let Some(call) = &part.function_call else {
            return;
        };
        self.end_thoughts(out);
        self.shown = true;
        let signature = part.thought_signature.as_deref();
        if let Some(signature) = signature {
            self.sign(signature, out);
        }
        let call_id = match call.id.as_deref() {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => call_id(&self.answer, 0, self.calls),
        };
        self.calls += 1;
        let Called {
            name,
            namespace,
            given,
        } = self.special.back(call);
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

    fn image(&mut self, blob: &Blob<'_>, format: &str, signature: Option<&str>, out: &mut Vec<u8>) {
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

    // --- search ---

    fn find(&mut self, grounding: &Grounding<'_>) -> Option<Found> {
        let lead = self.lead.unwrap_or_default();
        let messages = self.messages;
        let annotations = match self.text_mut() {
            // Google counts from the beginning of the answer.
            Some(Content::OutputText { text, .. }) if messages == 1 => {
                let (thoughts, text) = text.split_at(lead);
                citations(grounding, text, thoughts.chars().count())
            }
            _ => Vec::new(),
        };
        let chunks = grounding.grounding_chunks.iter().flatten();
        let urls: Vec<String> = chunks
            .filter_map(|chunk| Some(chunk.source()?.uri.as_deref()?.to_owned()))
            .collect();
        let queries = grounding.web_search_queries.iter().flatten();
        let queries: Vec<String> = queries.map(|query| query.to_string()).collect();
        (!urls.is_empty() || !queries.is_empty()).then_some(Found {
            queries,
            urls,
            annotations,
        })
    }

    /// Adds what was found to the text that is about to end.
    fn cite(&mut self, out: &mut Vec<u8>) {
        let Some(found) = &mut self.found else {
            return;
        };
        let new = std::mem::take(&mut found.annotations);
        if let Some(Content::OutputText { annotations, .. }) = match self.output.last_mut() {
            Some(Output::Message { content, .. }) => content.first_mut(),
            _ => None,
        } {
            *annotations = new;
        }
        if let Some((of, Output::Message { content, .. })) = last(&self.output)
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

    fn searched(&mut self, found: Found, out: &mut Vec<u8>) {
        let sources = found.urls.into_iter().map(|url| Source::Url { url });
        let item = Output::WebSearchCall {
            id: self.item_id("ws"),
            status: Status::InProgress,
            action: Search::Search {
                query: found.queries.first().cloned().unwrap_or_default(),
                queries: found.queries,
                sources: sources.collect(),
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
        Content::OutputText { text, .. } => Event::TextDone {
            at,
            text,
            logprobs: [],
        },
        Content::Refusal { refusal } => Event::RefusalDone { at, refusal },
    }
}
