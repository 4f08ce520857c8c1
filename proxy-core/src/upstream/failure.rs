//! What goes wrong with an attempt, and the words for it.

use axum::BoxError;
use bytes::Bytes;
use contract::admin::CooldownReason;
use dialect::gemini::ApiStatus;
use http::StatusCode;

use super::{At, Call, classify};
use crate::egress::Route;
use crate::pool::{Limits, Outcome, Unavailable};

/// Why a call has no answer. Surfaces say it in their protocol's words.
#[derive(Debug)]
pub enum Failure {
    /// Google answered with an error, after all tries that made sense.
    Refused {
        /// Google's HTTP status.
        status: StatusCode,
        /// Google's body, with the key scrubbed from it.
        body: Bytes,
        /// What the body says, where it says it in Google's way.
        said: Option<Box<ApiStatus>>,
        /// Whether the failure lies with our keys rather than with the request.
        outcome: Outcome,
    },
    /// No key could be tried.
    NoKey {
        /// Why.
        why: Unavailable,
        /// The model that was asked for.
        model: Box<str>,
    },
    /// Google answered 200 each time, but with nothing in it.
    Empty,
    /// As many calls are under way by the way out as may be.
    NoTurn,
    /// No connection, or it broke.
    Unreachable(String),
    /// Something else than Google answered.
    NotGoogle(String),
    /// Google's answer cannot be read.
    Unreadable(String),
    /// The keys that are left are of a kind that cannot do what is asked for.
    Unable,
    /// No answer in time.
    TooSlow(String),
    /// The instance that calls go through does not serve.
    Remote(String),
}

/// How one attempt failed, before it is known whether there will be another.
pub(super) struct Setback {
    pub(super) outcome: Outcome,
    pub(super) failure: Failure,
}

impl Setback {
    /// Whether Google may have done what was asked, though it has not said so.
    pub(super) fn may_be_done(&self) -> bool {
        matches!(self.outcome, Outcome::Unreachable | Outcome::Unreadable)
    }

    /// The same, knowing what was asked, with how many tokens: a limit of tokens that one request
    /// alone exceeds is not met again by waiting, and a 403 is about the project where the request
    /// names nothing that could be another's. Where calls about several models are counted together,
    /// what is said of one of them is nothing about the others.
    pub(super) fn seen_with(mut self, call: &Call<'_>, tokens: u64) -> Self {
        self.outcome = match self.outcome {
            Outcome::Quota {
                reason: CooldownReason::TokensPerMinute,
                limits: Limits {
                    tpm: Some(limit), ..
                },
                retry_after,
            } if tokens > u64::from(limit) => Outcome::PromptTooLarge {
                limit: limit.into(),
                retry_after,
            },
            Outcome::ProjectRefused { .. } if call.counted_as.is_some() => Outcome::Forbidden,
            Outcome::Forbidden
                if matches!(self.failure, Failure::Refused { .. })
                    && call.counted_as.is_none()
                    && !names_a_thing(call) =>
            {
                Outcome::ProjectRefused { lasting: false }
            }
            outcome => outcome,
        };
        if let Failure::Refused { outcome, .. } = &mut self.failure {
            *outcome = self.outcome;
        }
        self
    }

    /// It did not leave, as many calls were under way by its way out, or wait, as may.
    pub(super) fn no_turn() -> Self {
        Self {
            outcome: Outcome::NoTurn,
            failure: Failure::NoTurn,
        }
    }

    pub(super) fn overdue() -> Self {
        let what = "The answer did not begin in time (DEADLINE says how long that is)";
        Self {
            outcome: Outcome::TooSlow,
            failure: Failure::TooSlow(what.to_owned()),
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            outcome: Outcome::Empty,
            failure: Failure::Empty,
        }
    }

    pub(super) fn too_slow() -> Self {
        let what = "Google did not answer in time (TIME_OUT says how long that is)";
        Self {
            outcome: Outcome::TooSlow,
            failure: Failure::TooSlow(what.to_owned()),
        }
    }

    pub(super) fn malformed() -> Self {
        Self::unreadable("Google's answer is not what its API says")
    }

    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Unreadable,
            failure: Failure::Unreadable(why.into()),
        }
    }

    /// What answered with this status is not Google.
    pub(super) fn not_google(status: StatusCode) -> Self {
        let why = format!(
            "what answered with status {} is not Google",
            status.as_u16()
        );
        Self {
            outcome: Outcome::NotGoogle,
            failure: Failure::NotGoogle(why),
        }
    }

    /// The keys are of a kind that cannot do this.
    pub(super) fn unable() -> Self {
        Self {
            outcome: Outcome::Forbidden,
            failure: Failure::Unable,
        }
    }
}

/// Whether a call is about something that may be another project's, or that somebody else may have
/// closed: what one project keeps, or something by its address.
fn names_a_thing(call: &Call<'_>) -> bool {
    const ADDRESSED: [&[u8]; 5] = [
        b"fileUri",
        b"file_uri",
        b"\"uri\"",
        b"previous_interaction_id",
        b"previousInteractionId",
    ];
    matches!(call.at, At::Only(_))
        || ADDRESSED
            .iter()
            .any(|name| memchr::memmem::find(&call.body, name).is_some())
}

impl Failure {
    /// The same for a call that is not made again, because it may be done.
    pub(super) fn may_be_done(mut self) -> Self {
        if let Self::Unreachable(why) | Self::Unreadable(why) = &mut self {
            why.push_str(
                "; Google may have done what was asked all the same, so look before you ask for \
                 it again",
            );
        }
        self
    }

    /// No key is left. After a limit was met the client needs to know when one is back, which
    /// Google's own words do not say; when all keys are refused, that; after anything else, what that
    /// was.
    pub(super) fn without_key(call: &Call<'_>, why: Unavailable, last: Option<Setback>) -> Self {
        use CooldownReason::{NotInTier, ProjectRefused};
        let none_will_do = match why {
            Unavailable::Busy { .. } => false,
            Unavailable::Resting { reason, .. } => matches!(reason, NotInTier | ProjectRefused),
            _ => true,
        };
        match last {
            Some(setback)
                if !matches!(why, Unavailable::Outage { .. })
                    && match setback.outcome {
                        outcome if is_limit(outcome) => false,
                        Outcome::ProjectRefused { .. } => none_will_do,
                        _ => true,
                    } =>
            {
                setback.failure
            }
            _ => Self::NoKey {
                why,
                model: match why {
                    Unavailable::NoneAllowed => call.model.into(),
                    _ => call.counted_as.unwrap_or(call.model).into(),
                },
            },
        }
    }

    /// The same, saying that it was so with as many keys, if it was with several.
    pub(super) fn with_keys(mut self, count: usize) -> Self {
        if let Self::Unreachable(why) = &mut self
            && count > 1
        {
            why.push_str(&format!(
                "; it was the same with {count} keys, so no key is at fault"
            ));
        }
        self
    }

    /// The number of the key's project, where Google told it.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Refused { said, .. } => said.as_ref()?.project.as_deref(),
            _ => None,
        }
    }

    /// One line for logs and for the key's last error.
    pub fn in_short(&self) -> String {
        match self {
            Self::Refused {
                status,
                said,
                outcome,
                ..
            } => match said {
                Some(said) => {
                    let is_about_project = matches!(
                        outcome,
                        Outcome::ProjectRefused { .. } | Outcome::KeyRefused(_)
                    );
                    let help = said
                        .help
                        .as_deref()
                        .filter(|help| is_about_project && !said.message.contains(help));
                    let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
                    format!("{}: {}{help}", status.as_u16(), said.message)
                }
                None => format!("{}", status.as_u16()),
            },
            Self::NoKey { why, .. } => format!("no key: {why:?}"),
            Self::NoTurn => "no room at the way out".to_owned(),
            Self::Empty => "Google answered without any content".to_owned(),
            Self::Unable => "keys of Vertex AI's express mode cannot do this".to_owned(),
            Self::Unreachable(why)
            | Self::NotGoogle(why)
            | Self::Unreadable(why)
            | Self::TooSlow(why)
            | Self::Remote(why) => why.clone(),
        }
    }
}

/// Whether a limit was met, so that it matters when one is back.
pub(super) fn is_limit(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Quota { .. } | Outcome::PromptTooLarge { .. }
    )
}

/// What an error answer of Google means.
pub(super) fn refused(status: StatusCode, body: Bytes) -> Setback {
    if classify::is_not_googles(status, &body) {
        return Setback::not_google(status);
    }
    let said = ApiStatus::parse(&body);
    let outcome = classify::classify(status, said.as_ref());
    Setback {
        outcome,
        failure: Failure::Refused {
            status,
            body,
            said: said.map(Box::new),
            outcome,
        },
    }
}

/// What a lost connection means. The URL, which holds no key, is left out all the same.
pub(super) fn lost(error: BoxError) -> Setback {
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) if error.is_timeout() && !error.is_connect() => return Setback::too_slow(),
        Ok(error) => error,
        // The only other error there is: a piece of the answer did not come in time.
        Err(_) => return Setback::too_slow(),
    };
    let (outcome, what) = match error.is_connect() || error.is_builder() {
        true => (Outcome::Unconnected, "no connection to Google"),
        false => (Outcome::Unreachable, "the connection to Google broke"),
    };
    // The innermost cause is the one that tells: "connection refused", "no such host".
    let error = error.without_url();
    let mut text = what.to_owned();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{what} ({cause})");
        source = cause.source();
    }
    Setback {
        outcome,
        failure: Failure::Unreachable(text),
    }
}

/// Says of a lost connection by which way it went.
pub(super) fn by_route(mut setback: Setback, route: &Route) -> Setback {
    if let (Route::Proxy(proxy), Failure::Unreachable(why) | Failure::NotGoogle(why)) =
        (route, &mut setback.failure)
    {
        *why = format!("{why} through the proxy {}", proxy.address());
    }
    setback
}
