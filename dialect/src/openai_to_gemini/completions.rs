//! OpenAI's legacy `/v1/completions` over Google's `generateContent`. A request becomes one of
//! chat ([`super::chat_request`]); only the way back is its own.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `prompt` | what the user says: a text, or a call for each of several |
//! | `suffix` | an instruction to write what is between |
//! | `echo` | the prompt before the answer, added here |
//! | `logprobs` | `logprobsResult` |
//! | (nothing) | no thinking, where it can be off: clients of this API set limits of a few tokens, and thoughts count |

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::request::{ChatCall, chat_request_with};
use super::wire::{End, UsageOut};
use crate::ResponseMeta;
use crate::error::{self, Invalid, Malformed, UpstreamFailure};
use crate::gemini::Usage;
use crate::gemini::response::{Candidate, Logprobs, Response, TokenLikelihood};
use crate::openai::completions::Request;
use crate::openai::embeddings::{Input, Piece};
use crate::text::{Str, put_json, to_json};
use crate::{ModelMap, Reading};

/// A translated request, with what the way back needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionCall {
    /// The same as chat, of the first prompt.
    pub chat: ChatCall,
    /// The bodies of further prompts, each for as many calls as the first.
    pub more: Vec<Vec<u8>>,
    /// The prompts, where answers begin with them.
    echoes: Vec<String>,
}

/// The most calls that one request may make. LangChain sends 20 prompts at a time.
const MOST_CALLS: usize = 64;

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: [Message; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(serialize_with = "effort")]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    google: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_body: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

/// None, unless the client wants some.
fn effort<S: Serializer>(effort: &Option<&RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    match effort {
        Some(effort) => effort.serialize(serializer),
        None => "none".serialize(serializer),
    }
}

/// Parses the body of `/v1/completions` and translates it. An error says what was wrong, and
/// where.
pub fn completion_request(body: &[u8]) -> Result<CompletionCall, Invalid> {
    let models = &ModelMap::default();
    let signatures = &();
    completion_request_with(body, &Reading { models, signatures })
}

/// The same by the names that the caller knows.
pub fn completion_request_with(
    body: &[u8],
    reading: &Reading<'_>,
) -> Result<CompletionCall, Invalid> {
    let request: Request<'_> = Invalid::parse(body)?;
    let prompts = prompts(request.prompt)?;
    let [first, more @ ..] = &*prompts else {
        return Err(no_prompt());
    };
    let n = request.n.unwrap_or(1);
    let choices = prompts.len().saturating_mul(n as usize);
    if choices > MOST_CALLS {
        return Err(Invalid::new(
            "prompt",
            format!(
                "`prompt` and `n` ask for {choices} answers; at most {MOST_CALLS} are given at \
                 once, because each is a call of its own to Gemini. Send fewer prompts at a time."
            ),
        ));
    }
    if request.best_of.is_some_and(|best_of| best_of > n) {
        return Err(Invalid::new(
            "best_of",
            "`best_of` is not supported with Gemini beyond `n`: leave it out.",
        )
        .with_code("unsupported_parameter"));
    }
    let suffix = request
        .suffix
        .as_deref()
        .filter(|suffix| !suffix.is_empty());
    let mut chat = Chat {
        model: request.model.as_deref().unwrap_or_default(),
        messages: [Message {
            role: "user",
            content: String::new(),
        }],
        n: request.n,
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs,
        stream: request.stream,
        stream_options: request.stream_options,
        max_tokens: request.max_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        seed: request.seed,
        stop: request.stop,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        reasoning_effort: request.reasoning_effort,
        google: request.google,
        extra_body: request.extra_body,
    };
    let mut translated = |prompt: &str| {
        chat.messages[0].content = match suffix {
            Some(suffix) => between(prompt, suffix),
            None => prompt.to_owned(),
        };
        chat_request_with(&to_json(&chat, prompt.len()), reading)
    };
    let more = more.iter().map(|prompt| Ok(translated(prompt)?.body));
    let more = more.collect::<Result<_, Invalid>>()?;
    let echoes = prompts.iter().filter(|_| request.echo == Some(true));
    Ok(CompletionCall {
        chat: translated(first)?,
        more,
        echoes: echoes.map(|prompt| prompt.to_string()).collect(),
    })
}

/// The texts to go on from.
fn prompts(given: Option<Input<'_>>) -> Result<Vec<Str<'_>>, Invalid> {
    let pieces = given.map(|input| input.0).unwrap_or_default();
    let mut prompts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Text(prompt) if prompt.is_empty() => return Err(no_prompt()),
            Piece::Text(prompt) => prompts.push(prompt),
            Piece::Tokens => {
                return Err(Invalid::new(
                    "prompt",
                    "`prompt` holds tokens, numbers that only OpenAI's models can read; send the \
                     text itself.",
                ));
            }
        }
    }
    Ok(prompts)
}

fn no_prompt() -> Invalid {
    Invalid::new(
        "prompt",
        "`prompt` is missing or empty: send the text to go on from.",
    )
}

/// Asks for what stands between two texts.
fn between(prompt: &str, suffix: &str) -> String {
    format!(
        "Write what belongs between the two texts, so that they become one. Answer with it alone, \
         without quotation marks or explanation.\n\n<before>{prompt}</before>\n\
         <after>{suffix}</after>"
    )
}

impl CompletionCall {
    /// How many answers: so many calls to Google.
    pub fn choices(&self) -> u32 {
        let prompts = u32::try_from(self.more.len()).unwrap_or(u32::MAX);
        self.chat.choices.saturating_mul(prompts.saturating_add(1))
    }

    /// What the choice begins with. Those of one prompt stand together, in the prompts' order.
    fn echo(&self, choice: u32) -> &str {
        let prompt = (choice / self.chat.choices.max(1)) as usize;
        self.echoes.get(prompt).map_or("", String::as_str)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: String,
    index: u32,
    logprobs: Option<Likelihoods<'a>>,
    finish_reason: Option<&'static str>,
}

/// Likelihoods as this API writes them: a list of each thing.
#[derive(Default, Serialize)]
struct Likelihoods<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    top_logprobs: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Where each token begins, in characters.
    text_offset: Vec<usize>,
}

impl<'a> Likelihoods<'a> {
    fn of(logprobs: &'a Logprobs<'a>, mut offset: usize) -> Self {
        let mut tops = logprobs.top_candidates.iter().flatten();
        let mut out = Self::default();
        for chosen in logprobs.chosen_candidates.iter().flatten() {
            let top = tops.next().and_then(|top| top.candidates.as_ref());
            let alternatives = top.into_iter().flatten();
            let pair = |token: &TokenLikelihood<'_>| {
                (token.token.to_string(), token.log_probability.into())
            };
            out.tokens.push(&chosen.token);
            out.token_logprobs.push(chosen.log_probability);
            out.top_logprobs.push(alternatives.map(pair).collect());
            out.text_offset.push(offset);
            offset += chosen.token.chars().count();
        }
        out
    }
}

/// What a candidate says: its parts without thoughts.
fn said(candidate: &mut Candidate<'_>) -> String {
    let mut text = String::new();
    for part in candidate.take_parts() {
        if part.thought == Some(true) {
            continue;
        }
        text.push_str(part.text.as_deref().unwrap_or_default());
        if let Some(blob) = &part.inline_data {
            text.push_str(&blob.markdown());
        }
    }
    text
}

/// Translates a whole answer. A refused prompt becomes a choice that ends with
/// `content_filter`; an answer without any candidate is [`Malformed`].
pub fn completion_response(
    call: &CompletionCall,
    meta: &ResponseMeta,
    gemini_body: &[u8],
) -> Result<Vec<u8>, Malformed> {
    let response = Response::parse(gemini_body)?;
    let usage = response.usage_metadata.map(|u| Usage::from(u).into());
    let mut candidates = response.candidates.unwrap_or_default();
    let texts: Vec<String> = candidates.iter_mut().map(said).collect();
    let mut choices = Vec::with_capacity(candidates.len());
    for ((candidate, text), at) in candidates.iter().zip(texts).zip(0..) {
        let native = candidate.finish_reason.as_deref().unwrap_or("STOP");
        let likely = candidate.logprobs_result.as_ref();
        let index = candidate.index.unwrap_or(at);
        let echo = call.echo(index);
        choices.push(Choice {
            text: format!("{echo}{text}"),
            index,
            logprobs: likely.map(|likely| Likelihoods::of(likely, echo.chars().count())),
            finish_reason: Some(End::of(native, None, false).finish_reason),
        });
    }
    if choices.is_empty() {
        let blocked = response
            .prompt_feedback
            .and_then(|feedback| feedback.block_reason);
        if blocked.is_none() {
            return Err(Malformed::new(
                "Google answered without any candidate and without saying why.",
            ));
        }
        choices.push(Choice {
            text: call.echo(0).to_owned(),
            index: 0,
            logprobs: None,
            finish_reason: Some("content_filter"),
        });
    }
    Ok(to_json(
        &whole(call, meta, &choices, usage),
        gemini_body.len(),
    ))
}

fn whole<'a>(
    call: &'a CompletionCall,
    meta: &'a ResponseMeta,
    choices: &'a [Choice<'a>],
    usage: Option<UsageOut>,
) -> Body<'a> {
    Body {
        id: &meta.id,
        object: "text_completion",
        created: meta.created,
        model: &call.chat.requested_model,
        choices,
        usage,
    }
}

/// Turns Gemini's events into chunks of this API; used as [`super::ChatStream`] is.
#[derive(Debug)]
pub struct CompletionStream {
    call: CompletionCall,
    meta: ResponseMeta,
    usage: Option<Usage>,
    /// How each choice that has been seen ended.
    choices: Vec<Seen>,
    ended: bool,
}

#[derive(Debug)]
struct Seen {
    index: u32,
    /// Characters so far, the prompt's included.
    length: usize,
    finish: Option<&'static str>,
}

impl CompletionStream {
    /// A stream that answers `call`.
    pub fn new(call: &CompletionCall, meta: &ResponseMeta) -> Self {
        Self {
            call: call.clone(),
            meta: meta.clone(),
            usage: None,
            choices: Vec::with_capacity(1),
            ended: false,
        }
    }

    /// Takes one of Google's events and appends the chunks it makes.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.ended {
            return Ok(());
        }
        let response = Response::parse(data)?;
        self.usage = response.usage_metadata.map(Usage::from).or(self.usage);
        let candidates = response.candidates.unwrap_or_default();
        let blocked = response
            .prompt_feedback
            .and_then(|feedback| feedback.block_reason);
        if candidates.is_empty() && blocked.is_some() {
            let at = self.seen(0, out);
            self.choices[at].finish = Some("content_filter");
        }
        for mut candidate in candidates {
            let at = self.seen(candidate.index.unwrap_or(0), out);
            let text = said(&mut candidate);
            let seen = &mut self.choices[at];
            let before = seen.length;
            seen.length += text.chars().count();
            if let Some(reason) = candidate.finish_reason.as_deref() {
                seen.finish = Some(End::of(reason, None, false).finish_reason);
            }
            let index = seen.index;
            let likely = candidate.logprobs_result.as_ref();
            if !text.is_empty() || likely.is_some() {
                let choice = Choice {
                    text,
                    index,
                    logprobs: likely.map(|likely| Likelihoods::of(likely, before)),
                    finish_reason: None,
                };
                self.chunk(&[choice], None, out);
            }
        }
        Ok(())
    }

    /// The place of a choice; the first time the prompt is echoed, if that is wanted.
    fn seen(&mut self, index: u32, out: &mut Vec<u8>) -> usize {
        if let Some(at) = self.choices.iter().position(|seen| seen.index == index) {
            return at;
        }
        let echo = self.call.echo(index).to_owned();
        self.choices.push(Seen {
            index,
            length: echo.chars().count(),
            finish: None,
        });
        if !echo.is_empty() {
            let choice = Choice {
                text: echo,
                index,
                logprobs: None,
                finish_reason: None,
            };
            self.chunk(&[choice], None, out);
        }
        self.choices.len() - 1
    }

    /// Ends the stream: a finish reason for each choice, token counts if asked for, `[DONE]`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for seen in &self.choices {
            let choice = Choice {
                text: String::new(),
                index: seen.index,
                logprobs: None,
                // One that Google gave no reason for was cut off.
                finish_reason: Some(seen.finish.unwrap_or("length")),
            };
            self.chunk(&[choice], None, out);
        }
        if self.call.chat.include_usage {
            self.chunk(&[], Some(self.usage.unwrap_or_default().into()), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Ends the stream with an error, without `[DONE]`.
    pub fn abort(&mut self, failure: &UpstreamFailure, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let code = failure.code.as_deref();
        out.extend_from_slice(b"data: ");
        out.extend(error::openai(failure.status, &failure.message, None, code));
        out.extend_from_slice(b"\n\n");
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<UsageOut>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        put_json(out, &whole(&self.call, &self.meta, choices, usage));
        out.extend_from_slice(b"\n\n");
    }
}
