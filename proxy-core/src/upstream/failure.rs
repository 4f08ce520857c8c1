//! What goes wrong with an attempt, and the words for it.

use axum::BoxError;
use bytes::Bytes;
use contract::admin::CooldownReason;
use dialect::gemini::ApiStatus;
use http::StatusCode;

use super::{Call, classify};
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
        said: Option<ApiStatus>,
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

/// How it is told that there was nobody to send a call to.
const UNCONNECTED: &str = "no connection to Google";

impl Setback {
    /// Whether Google may have done what was asked, though it has not said so.
    pub(super) fn may_be_done(&self) -> bool {
        let Failure::Unreachable(why) = &self.failure else {
            return false;
        };
        self.outcome == Outcome::Unreachable && !why.starts_with(UNCONNECTED)
    }

    /// The same, knowing how many tokens were sent: a limit of tokens that one request alone
    /// exceeds is met with every key.
    pub(super) fn seen_with(mut self, tokens: u64) -> Self {
        if let Outcome::Quota {
            reason: CooldownReason::TokensPerMinute,
            limits: Limits {
                tpm: Some(limit), ..
            },
            ..
        } = self.outcome
            && tokens > u64::from(limit)
        {
            let limit = limit.into();
            self.outcome = Outcome::PromptTooLarge { limit };
            if let Failure::Refused { outcome, .. } = &mut self.failure {
                *outcome = self.outcome;
            }
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
        Self {
            outcome: Outcome::Unreachable,
            failure: Failure::Unreachable("Google's answer is not what its API says".to_owned()),
        }
    }
}

impl Failure {
    /// The same for a call that is not made again, because it may be done.
    pub(super) fn may_be_done(mut self) -> Self {
        if let Self::Unreachable(why) = &mut self {
            why.push_str(
                "; Google may have done what was asked all the same, so look before you ask for \
                 it again",
            );
        }
        self
    }

    /// No key is left. After a limit was met the client needs to know when one is back; when all
    /// keys are refused, that; after anything else, what that was.
    pub(super) fn without_key(call: &Call<'_>, why: Unavailable, last: Option<Setback>) -> Self {
        match last {
            Some(setback)
                if !matches!(why, Unavailable::Outage { .. })
                    && (!matches!(setback.outcome, Outcome::Quota { .. })
                        || !matches!(why, Unavailable::Resting { .. })) =>
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
            Self::Refused { status, said, .. } => match said {
                Some(said) => format!("{}: {}", status.as_u16(), said.message),
                None => format!("{}", status.as_u16()),
            },
            Self::NoKey { why, .. } => format!("no key: {why:?}"),
            Self::NoTurn => "no room at the way out".to_owned(),
            Self::Empty => "Google answered without any content".to_owned(),
            Self::Unreachable(why) | Self::TooSlow(why) | Self::Remote(why) => why.clone(),
        }
    }
}

/// What an error answer of Google means.
pub(super) fn refused(status: StatusCode, body: Bytes) -> Setback {
    let said = ApiStatus::parse(&body);
    let outcome = classify::classify(status, said.as_ref());
    Setback {
        outcome,
        failure: Failure::Refused {
            status,
            body,
            said,
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
    let what = match error.is_connect() {
        true => UNCONNECTED,
        false => "the connection to Google broke",
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
        outcome: Outcome::Unreachable,
        failure: Failure::Unreachable(text),
    }
}

/// Says of a lost connection by which way it went.
pub(super) fn by_route(mut setback: Setback, route: &Route) -> Setback {
    if let (Route::Proxy(proxy), Failure::Unreachable(why)) = (route, &mut setback.failure) {
        *why = format!("{why} through the proxy {}", proxy.address());
    }
    setback
}
