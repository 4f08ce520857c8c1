use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use contract::admin::{CooldownReason, Surface};
use contract::{ApiError, ErrorCode, Millis};
use dialect::{Invalid, UpstreamFailure, error};
use http::{HeaderValue, StatusCode, header};

use super::json;
use super::limits::{Admitted, Kind, Limit};
use super::translated::NOTICE;
use crate::Core;
use crate::pool::{Occupied, Outcome, Unavailable};
use crate::settings::Settings;
use crate::upstream::Failure;

/// An error on its way to a client, before it is put into the client's protocol.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What was wrong and what to do, in English. Never holds a secret.
    pub message: String,
    /// Which part of the request is at fault, as the protocol names it.
    pub param: Option<String>,
    /// The protocol's own word for this error where the status alone does not give it.
    pub code: Option<Cow<'static, str>>,
    /// When another try makes sense.
    pub retry_after: Option<Duration>,
    /// What Google said. In a box, so that what can fail does not return much more than this.
    google: Option<Box<Said>>,
}

/// An error of Google's.
#[derive(Clone, Debug)]
struct Said {
    /// Its body; Google's own clients get it as it is.
    body: Bytes,
    /// What to change, which the message says behind Google's own words.
    advice: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: None,
            retry_after: None,
            google: None,
        }
    }

    /// The token is missing or wrong.
    pub fn unauthorized(presented: bool) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            if presented {
                "This client token is not accepted here. Copy one from the Connect page of \
                 Gemini Balance; it is not a Google API key."
            } else {
                "No client token was sent. Put one from the Connect page of Gemini Balance \
                 into the client's API key field."
            },
        );
        problem.code = Some("invalid_api_key".into());
        problem
    }

    /// The request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The path, or what it names, does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The path exists, but not for this method.
    pub fn wrong_method(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    /// Google does not list this model.
    pub fn no_such_model(model: &str) -> Self {
        let mut problem = Self::not_found(format!(
            "The model '{model}' does not exist. GET /v1/models lists those that do."
        ));
        problem.code = Some("model_not_found".into());
        problem.param = Some("model".into());
        problem
    }

    /// The token may not use this model.
    pub fn forbidden_model(model: &str, admitted: &Admitted) -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            format!(
                "The client token '{}' may not use the model '{model}'. It may use: {}. Ask for \
                 one of these, or have the token changed on the Tokens page of Gemini Balance.",
                admitted.name(),
                admitted.rules().models.join(", ")
            ),
        );
        problem.code = Some("model_not_allowed".into());
        problem.param = Some("model".into());
        problem
    }

    /// `FILTERED_MODELS` names this model.
    pub fn filtered(model: &str) -> Self {
        let mut problem = Self::not_found(format!(
            "The model '{model}' is filtered by this server's settings (FILTERED_MODELS). \
             GET /v1/models lists those that can be used."
        ));
        problem.code = Some("model_not_found".into());
        problem.param = Some("model".into());
        problem
    }

    /// A limit of the token `name` stands in the way.
    pub fn limited(name: &str, limit: Limit, settings: &Settings) -> Self {
        let (kind, limit, wait) = match limit {
            Limit::Expired { at } => {
                let at = jiff::Timestamp::from_millisecond(at)
                    .map(|at| at.to_zoned(settings.time_zone.clone()));
                let at = at.map_or_else(
                    |_| String::new(),
                    |at| at.strftime(" on %F at %R %Z").to_string(),
                );
                let mut problem = Self::new(
                    StatusCode::UNAUTHORIZED,
                    format!(
                        "The client token '{name}' expired{at}. Use another one, or have its \
                         time extended on the Tokens page of Gemini Balance."
                    ),
                );
                problem.code = Some("invalid_api_key".into());
                return problem;
            }
            Limit::UsedUp { kind, limit, wait } => (kind, limit, wait),
        };
        let midnight = || format!(", at midnight ({})", settings.time_zone_name());
        let (what, opens) = match kind {
            Kind::RequestsPerMinute => ("requests in 60 seconds", String::new()),
            Kind::RequestsPerDay => ("requests a day", midnight()),
            Kind::TokensPerDay => ("tokens a day", midnight()),
            Kind::AtOnce => (
                "requests at the same time",
                ", or when one has ended".to_owned(),
            ),
        };
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "The client token '{name}' is limited to {limit} {what}. It may go on in {} \
                 seconds{opens}.",
                seconds(wait)
            ),
        );
        problem.code = Some("rate_limit_exceeded".into());
        problem.retry_after = Some(wait);
        problem
    }

    /// Something that this server needs is away.
    pub fn away(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// So many are not possible at once.
    pub fn too_many(message: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, message);
        problem.code = Some("rate_limit_exceeded".into());
        problem
    }

    /// The body is larger than the settings allow.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "The request is larger than {} MB, the most this server takes. Send less, or \
                 raise MAX_BODY_MB.",
                limit / (1024 * 1024)
            ),
        )
    }

    /// Google's answer broke off or cannot be read.
    pub fn cut(why: &str) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            format!("{why} The answer so far is incomplete; please ask again."),
        )
    }

    /// Something that cannot happen did.
    pub fn bug(what: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("A bug in Gemini Balance: {what}. Please report it."),
        )
    }

    /// What a failed call means for the client.
    pub fn of(failure: Failure, core: &Core) -> Self {
        match failure {
            Failure::Refused {
                status,
                body,
                said,
                outcome,
            } => {
                let code = said.as_ref().and_then(|said| said.word(status.as_u16()));
                let said_or_status = said.as_ref().map_or_else(
                    || format!("Google answered with status {}.", status.as_u16()),
                    |said| said.advised(status.as_u16()),
                );
                if let Outcome::KeyRefused(_) = outcome {
                    // The client's token is fine; saying 400 or 403 would tell it otherwise.
                    let said_or_status = said.map_or(said_or_status, |said| said.message);
                    let mut problem = Self::new(
                        StatusCode::BAD_GATEWAY,
                        format!(
                            "Google refuses the Gemini key that was tried last: {said_or_status} \
                             See the Keys page of Gemini Balance."
                        ),
                    );
                    problem.code = code.map(Cow::Owned);
                    return problem;
                }
                let mut problem = Self::new(status, said_or_status);
                problem.retry_after = said.as_ref().and_then(|said| said.retry_after);
                problem.code = code.map(Cow::Owned);
                problem.google = Some(Box::new(Said {
                    body,
                    advice: said.as_ref().and_then(|said| said.advice(status.as_u16())),
                }));
                problem
            }
            Failure::NoKey { why, model } => Self::unavailable(why, &model, core),
            Failure::Empty => Self::new(
                StatusCode::BAD_GATEWAY,
                "Google answered several times without any content. Ask again, or change the \
                 question.",
            ),
            Failure::NoTurn => {
                let mut problem = Self::too_many(
                    "As many requests leave here as may at the same time (EGRESS_CONCURRENCY, \
                     EGRESS_GAP_MS), and it was not this one's turn within the time that it may \
                     wait (PATIENCE, or the header x-patience). Ask again in a moment.",
                );
                problem.retry_after = Some(Duration::from_secs(1));
                problem
            }
            Failure::TooSlow(why) => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{why}. It may be busy; ask again, or ask for a shorter answer."),
            ),
            Failure::Remote(why) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "{why} This instance sends its requests through it: see the Instances page \
                     of Gemini Balance, where they can also be answered with the keys here."
                ),
            ),
            Failure::Unreachable(why) => Self::new(
                StatusCode::BAD_GATEWAY,
                format!(
                    "Google cannot be reached: {why}. The Check-up page of Gemini Balance says \
                     what is wrong on the way; often a proxy is needed."
                ),
            ),
            Failure::NotGoogle(why) => Self::new(
                StatusCode::BAD_GATEWAY,
                format!(
                    "Google cannot be reached: {why}, but something on the way there, or Google's \
                     page for addresses that it takes for a robot's. Check the proxy and the network \
                     (a log-in page, a firewall), then ask again."
                ),
            ),
            Failure::Unreadable(why) => {
                Self::new(StatusCode::BAD_GATEWAY, format!("{why}. Please ask again."))
            }
            Failure::Unable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Keys of Vertex AI's express mode cannot do this (they list no models, for one); add \
                 a key of the Gemini API on the Keys page of Gemini Balance, or name a model and ask \
                 it.",
            ),
        }
    }

    fn unavailable(why: Unavailable, model: &str, core: &Core) -> Self {
        let of_model = match model {
            "" => String::new(),
            model => format!(" for {model}"),
        };
        let (status, message) = match why {
            Unavailable::NoKeys => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Gemini Balance has no Gemini key yet. Add one on its Keys page.".to_owned(),
            ),
            Unavailable::NoneUsable | Unavailable::AllTried => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Every Gemini key is switched off or refused by Google. See the Keys page of \
                 Gemini Balance for each key's reason."
                    .to_owned(),
            ),
            Unavailable::NoneAllowed => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "No Gemini key may be used{of_model}: the keys' lists of models on the Keys \
                     page of Gemini Balance exclude it."
                ),
            ),
            Unavailable::Busy { with, opens } => {
                let what = match with {
                    Occupied::Calls => {
                        "is busy with as many requests as it may have at the same time \
                         (KEY_CONCURRENCY). Ask again in a moment."
                    }
                    Occupied::Trial { .. } => {
                        "has met a limit before, and one request is under way to see whether that \
                         is over. Ask again in a moment."
                    }
                    Occupied::Kept => {
                        "is kept free for a larger request that has waited for longer. Ask again in a \
                         moment."
                    }
                };
                let others = opens.map_or(String::new(), |opens| {
                    let seconds = seconds(wait_until(opens.until, core));
                    let which = used_up(opens.reason);
                    format!(" Of the others, the first {which} and is back in {seconds} seconds.")
                });
                let that = match opens {
                    Some(_) => " that does not rest",
                    None => "",
                };
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    format!("Every Gemini key{that}{of_model} {what}{others}"),
                )
            }
            Unavailable::ModelBusy { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "Google is overloaded{of_model}: it has refused several requests in a row, \
                     whichever key was used. Ask again in a moment, or use another model."
                ),
            ),
            Unavailable::Outage { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Google refuses one Gemini key after the other. That is hardly the keys' fault, so \
                 they stay on and one is tried from time to time. See the Keys page of Gemini Balance \
                 for what Google says."
                    .to_owned(),
            ),
            Unavailable::TooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "The prompt has more than {limit} tokens, the most that Google takes in a minute \
                     from the project of any Gemini key here{of_model}. Waiting does not help: send \
                     less, or add a key whose project has a higher limit."
                ),
            ),
            Unavailable::Resting {
                reason: CooldownReason::ProjectRefused,
                ..
            } => (
                StatusCode::FORBIDDEN,
                format!(
                    "Google refuses the projects of the Gemini keys here{of_model}. See the Keys page \
                     of Gemini Balance for what it says of each; when that is mended, the keys' \
                     cooldowns can be cleared there."
                ),
            ),
            Unavailable::Resting { until, reason } => {
                let which = used_up(reason);
                let wait = wait_until(until, core);
                let seconds = seconds(wait);
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    format!(
                        "Every Gemini key{of_model} {which}. The first is back in {seconds} seconds."
                    ),
                )
            }
        };
        let mut problem = Self::new(status, message);
        if status == StatusCode::TOO_MANY_REQUESTS {
            problem.code = Some("rate_limit_exceeded".into());
        }
        if let Unavailable::TooLarge { .. } = why {
            problem.code = Some("context_length_exceeded".into());
        }
        let may_pass = why.until().filter(|_| status != StatusCode::FORBIDDEN);
        problem.retry_after = may_pass.map(|_| {
            let at = why.retry_at();
            at.map_or(Duration::from_secs(1), |at| wait_until(at, core))
        });
        problem
    }

    /// Whether Google refused a thought signature, or misses one. It has no code for that.
    pub fn is_about_signatures(&self) -> bool {
        let said = self.message.to_ascii_lowercase();
        let names_one = ["thought signature", "thought_signature", "thoughtsignature"];
        self.status == StatusCode::BAD_REQUEST
            && self.google.is_some()
            && names_one.iter().any(|name| said.contains(name))
    }

    /// The body in a protocol's own shape.
    pub fn body(&self, surface: Surface) -> Vec<u8> {
        if let (Surface::Gemini, Some(google)) = (surface, &self.google) {
            return google.body.to_vec();
        }
        let status = self.status.as_u16();
        let code = self.code.as_deref();
        match surface {
            Surface::Openai => error::openai(status, &self.message, self.param.as_deref(), code),
            Surface::Gemini => error::gemini(status, &self.message, None, self.retry_after),
            Surface::Anthropic => error::anthropic_with(status, &self.message, code, None),
        }
    }

    /// The same, for a stream that has begun.
    pub fn in_stream(self) -> UpstreamFailure {
        UpstreamFailure {
            status: self.status.as_u16(),
            message: self.message,
            code: self.code.map(Cow::into_owned),
            request_id: None,
        }
    }

    /// The whole answer.
    pub fn render(&self, surface: Surface) -> Response {
        let mut response = json(self.status, Body::from(self.body(surface)));
        if let Some(wait) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        match surface {
            Surface::Openai => {}
            Surface::Anthropic => {
                response.extensions_mut().insert(Unnumbered(self.clone()));
            }
            // Google's own words stay as they are.
            Surface::Gemini => {
                if let Some(advice) = self.google.as_ref().and_then(|said| said.advice) {
                    let advice = HeaderValue::from_static(advice);
                    response.headers_mut().insert(NOTICE, advice);
                }
            }
        }
        response
    }
}

/// On a response in Anthropic's protocol: the error that it tells of, whose body is to name the
/// request's id, too.
#[derive(Clone)]
pub(super) struct Unnumbered(Problem);

impl Unnumbered {
    /// The body with the request's id.
    pub fn numbered(&self, request_id: &str) -> Vec<u8> {
        let Problem { message, code, .. } = &self.0;
        let status = self.0.status.as_u16();
        error::anthropic_with(status, message, code.as_deref(), Some(request_id))
    }
}

/// What a key has met, after its name.
fn used_up(reason: CooldownReason) -> &'static str {
    match reason {
        CooldownReason::PerMinute => "has used up its requests of this minute",
        CooldownReason::TokensPerMinute => {
            "has too few tokens left in this minute for a prompt of this size"
        }
        CooldownReason::PerDay => {
            "has used up its requests of today (days begin at midnight Pacific time)"
        }
        CooldownReason::NotInTier => "has no quota for this model at all",
        CooldownReason::ProjectRefused => "is of a project that Google refuses this model",
        CooldownReason::Unexplained => "was told by Google to slow down",
    }
}

/// How long it is until then; a second at least.
fn wait_until(until: Millis, core: &Core) -> Duration {
    let wait = until.saturating_sub(core.clock.now()).max(1000);
    Duration::from_millis(wait.unsigned_abs())
}

/// RFC 9110 §10.2.3: whole seconds; rounded up, so that waiting is enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let mut problem = Self::bad_request(invalid.message);
        problem.param = invalid.param;
        problem.code = invalid.code.map(Cow::Borrowed);
        problem
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                ErrorCode::NoKeyAvailable
            }
            _ => ErrorCode::Upstream,
        };
        Self::new(code, problem.message)
    }
}
