use std::time::Duration;

use contract::admin::{CooldownReason, RejectReason};

/// How one upstream attempt ended. Every attempt ends in exactly one of these, and
/// [`Outcome::consequence`] alone decides what that means for key, model and client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx with what was asked for.
    Answered,
    /// 200 without any content: no candidate, no text, or thoughts only.
    Empty,
    /// 400, 404, 413 …: the request itself is at fault.
    ClientFault,
    /// 429 for a limit that returns within minutes.
    Quota {
        /// Which limit.
        reason: CooldownReason,
        /// How long Google asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// The credential itself is refused.
    KeyRefused(RejectReason),
    /// 403 about something that this key's project may not use; another's may.
    Forbidden,
    /// Google does not serve the country this request left from.
    LocationRefused,
    /// 500, 503 or 504: the model is overloaded or broken for everybody.
    Overloaded,
    /// No connection, or it broke before any content.
    Unreachable,
    /// The request was sent, and nothing came for as long as the settings allow.
    TooSlow,
}

/// What an [`Outcome`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// For the key that was used.
    pub key: KeyEffect,
    /// For the request.
    pub retry: Retry,
    /// Whether the attempt counts against the number of attempts that the settings allow.
    /// One that takes its key out of the rotation does not: it was answered at once, and
    /// cannot repeat itself.
    pub counts: bool,
}

/// What an outcome does to the key that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEffect {
    /// Nothing was learned about it.
    None,
    /// It works.
    Good,
    /// It must not be asked for this model for a while.
    RestForModel(CooldownReason, Option<Duration>),
    /// It takes no part any more until the user acts.
    Reject(RejectReason),
}

/// Whether the request may be tried again before the client sees a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the same thing would happen, or it already went well.
    No,
    /// Only with another key.
    OtherKey,
    /// With another key if there is one, else with the same after a pause.
    AnyKey,
}

impl Outcome {
    /// What all of them are called in metrics and traces.
    pub const NAMES: [&str; 10] = [
        "answered",
        "empty",
        "client_fault",
        "quota",
        "key_refused",
        "forbidden",
        "location_refused",
        "overloaded",
        "unreachable",
        "too_slow",
    ];

    /// What it is called in metrics and traces: one of [`Outcome::NAMES`].
    pub fn name(self) -> &'static str {
        let at = match self {
            Self::Answered => 0,
            Self::Empty => 1,
            Self::ClientFault => 2,
            Self::Quota { .. } => 3,
            Self::KeyRefused(_) => 4,
            Self::Forbidden => 5,
            Self::LocationRefused => 6,
            Self::Overloaded => 7,
            Self::Unreachable => 8,
            Self::TooSlow => 9,
        };
        Self::NAMES[at]
    }

    /// The table.
    pub fn consequence(self) -> Consequence {
        use {KeyEffect as Key, Retry as Again};
        let (key, retry) = match self {
            Self::Answered => (Key::Good, Again::No),
            Self::Empty => (Key::None, Again::AnyKey),
            Self::ClientFault => (Key::None, Again::No),
            Self::Quota {
                reason,
                retry_after,
            } => (Key::RestForModel(reason, retry_after), Again::OtherKey),
            Self::KeyRefused(reason) => (Key::Reject(reason), Again::OtherKey),
            Self::Forbidden => (Key::None, Again::OtherKey),
            Self::LocationRefused => (Key::None, Again::No),
            Self::Overloaded => (Key::None, Again::AnyKey),
            Self::Unreachable => (Key::None, Again::AnyKey),
            // Google may have computed the answer, and counted it.
            Self::TooSlow => (Key::None, Again::No),
        };
        Consequence {
            key,
            retry,
            counts: !matches!(key, Key::RestForModel(..) | Key::Reject(_)),
        }
    }
}
