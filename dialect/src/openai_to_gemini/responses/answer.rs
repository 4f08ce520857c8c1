//! The answer: Gemini to the Responses API. A whole answer is a stream whose events nobody
//! hears, so the two cannot differ.

use super::call::ResponsesCall;
use super::events::Events;
use super::growing::Growing;
use super::kept::Kept;
use super::output::{Status, UsageOut};
use super::tools::Special;
use crate::ResponseMeta;
use crate::error::{Malformed, UpstreamFailure};
use crate::explanation;
use crate::gemini::Usage;
use crate::gemini::response::{Candidate, Part, Response};
use crate::openai_to_gemini::wire::End;
use crate::style::{Citations, Style, Thoughts};
use crate::text::put_json;

/// Turns Gemini's events into those of the Responses API, in its order: `response.created`,
/// items one after the other, `response.completed` or `response.incomplete`.
#[derive(Debug)]
pub struct ResponsesStream {
    answer: String,
    /// The answer's fields that stay the same, as JSON without the braces.
    head: String,
    style: Style,
    single_call: bool,
    special: Special,
    items: Growing,
    begun: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// Finished or aborted: nothing may follow.
    ended: bool,
    keep: Option<Keep>,
    /// The client does not wait: the first events, of the wait, are told already.
    background: bool,
}

/// What is needed to keep the answer.
#[derive(Debug)]
struct Keep {
    call: ResponsesCall,
    /// The finished answer.
    response: Option<Vec<u8>>,
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
        items: Growing::new(&meta.id, Events::silent()),
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
        let told = match call.background {
            true => 2,
            false => 0,
        };
        head.extend_from_slice(call.repeated.as_bytes());
        Self {
            answer: meta.id.clone(),
            head: String::from_utf8_lossy(&head).into_owned(),
            style: meta.style,
            single_call: call.single_call,
            special: call.special.clone(),
            items: Growing::new(&meta.id, Events::streamed(told)),
            begun: false,
            finish: None,
            usage: None,
            ended: false,
            keep: call.store.then(|| Keep {
                call: call.clone(),
                response: None,
            }),
            background: call.background,
        }
    }

    /// The first events of an answer in the background: it waits for its turn.
    pub(super) fn queued(call: &ResponsesCall, meta: &ResponseMeta) -> Vec<u8> {
        let mut waiting = Self {
            items: Growing::new(&meta.id, Events::streamed(0)),
            ..Self::new(call, meta)
        };
        let mut out = Vec::new();
        let response = waiting.response(Status::Queued, "null", "null");
        waiting.whole("response.created", &response, &mut out);
        waiting.whole("response.queued", &response, &mut out);
        out
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
        self.items
            .events
            .put_raw("error", &[fields.as_bytes()], out);
        self.items.break_off();
        let response = self.response(Status::Failed, &said.to_string(), "null");
        self.whole("response.failed", &response, out);
        // A client that comes back for it gets to know why there is no more.
        if let Some(keep) = self.keep.as_mut().filter(|_| self.background) {
            keep.response = Some(response);
        }
    }

    /// What the client wants kept, once the stream is finished.
    pub fn take_kept(&mut self) -> Option<Kept> {
        let keep = self.keep.take()?;
        Some(Kept::new(&keep.call, &self.answer, keep.response?))
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let response = self.response(Status::InProgress, "null", "null");
        if !self.background {
            self.whole("response.created", &response, out);
        }
        self.whole("response.in_progress", &response, out);
    }

    /// Ends the answer and gives it.
    fn end(&mut self, out: &mut Vec<u8>) -> Vec<u8> {
        self.ended = true;
        let finish = self.finish.take();
        let (kind, explanation) = match &finish {
            Some(finish) if finish.refused => (
                "content_filter",
                Some(explanation::refused(
                    &finish.native,
                    finish.message.as_deref(),
                )),
            ),
            Some(finish) => {
                let message = finish.message.as_deref();
                let end = End::of(&finish.native, message, self.items.calls > 0);
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
        let listed = self.style.citations == Citations::Text;
        self.items.end(status, listed, out);
        if !self.items.shown
            && let Some(explanation) = explanation
        {
            self.items.refuse(explanation, out);
        }
        self.items.searched(out);
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
        put_json(&mut out, &self.items.output);
        out.extend_from_slice(b",\"usage\":");
        let has_ended = !matches!(status, Status::InProgress | Status::Queued);
        let usage = self.usage.filter(|_| has_ended);
        put_json(&mut out, &usage.map(UsageOut::from));
        out.push(b'}');
        out
    }

    fn whole(&mut self, name: &str, response: &[u8], out: &mut Vec<u8>) {
        let field = [b"\"response\":", response].concat();
        self.items.events.put_raw(name, &[&field], out);
    }

    fn candidate(&mut self, mut candidate: Candidate<'_>, out: &mut Vec<u8>) {
        if let Some(logprobs) = &candidate.logprobs_result {
            self.items.expect_likelihoods(logprobs);
        }
        for (at, part) in candidate.take_parts().iter().enumerate() {
            self.items.sources.part(part, at == 0);
            self.part(part, out);
        }
        self.items.end_likelihoods();
        if let Some(grounding) = &candidate.grounding_metadata {
            self.items.sources.learn(grounding);
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
        let items = &mut self.items;
        let signature = part.thought_signature.as_deref();
        if let Some(text) = part.text.as_deref().filter(|text| !text.is_empty()) {
            match (part.thought == Some(true), self.style.thoughts) {
                (false, _) => items.say(text, out),
                (true, Thoughts::Native) => items.think(text, out),
                (true, Thoughts::Inline) => items.think_aloud(text, out),
                (true, Thoughts::Hidden) => {}
            }
        }
        if let Some(signature) = part.signature_of_text() {
            items.sign_text(signature);
        }
        if let Some(blob) = &part.inline_data {
            match blob.mime_type.strip_prefix("image/") {
                Some(format) => items.image(blob, format, signature, out),
                None => items.tell(&blob.markdown(), out),
            }
        }
        if let Some(file) = &part.file_data {
            items.tell(&file.file_uri, out);
        }
        if let Some(code) = &part.executable_code {
            items.run(code, out);
        }
        if let Some(result) = &part.code_execution_result {
            items.ran(result, out);
        }
        if let Some(call) = &part.function_call
            && !(self.single_call && items.calls > 0)
        {
            items.call(call, signature, (&self.special, self.style), out);
        }
    }
}
