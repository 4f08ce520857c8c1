use std::time::Duration;

use contract::admin::{CooldownReason, RejectReason};

use super::window::Measure;

/// How one upstream attempt ended. Every attempt ends in exactly one of these, and
/// [`Outcome::consequence`] alone decides what that means for key, window, model and client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx with what was asked for. Also a prompt that Google's filters blocked, an answer that
    /// they ended (SAFETY, RECITATION …), and one that ran into a limit: they are answers, and
    /// another key would get the same.
    Answered,
    /// 200 without any content: no candidate, no text, thoughts only, or a call of a function
    /// that Google could not read (`MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`).
    Empty,
    /// 400, 404, 413 …: the request itself is at fault.
    ClientFault,
    /// 429 for a limit.
    Quota {
        /// The longest of those that were met.
        reason: CooldownReason,
        /// What Google said of each limit that was met.
        limits: Limits,
        /// How long Google asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// 429 because this one request has more tokens than a whole minute allows its project.
    /// Another's may allow more.
    PromptTooLarge {
        /// How many tokens a minute allows.
        limit: u64,
        /// How long Google asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// The credential itself is refused.
    KeyRefused(RejectReason),
    /// 403 about something that this key's project may not use, e.g. a file; another's may.
    Forbidden,
    /// Google refuses the model to this key's project, whatever is asked of it, and perhaps to no
    /// other's.
    ProjectRefused {
        /// Google says why, and it does not end by itself: billing, country, a model that is closed
        /// to new users.
        lasting: bool,
    },
    /// Google does not serve the country this request left from.
    LocationRefused,
    /// 500, 503, 504, or a 429 that names no limit: the model is overloaded or broken for
    /// everybody.
    Overloaded,
    /// It did not leave: as many calls were under way by its way out as may be, for as long as it
    /// could wait.
    NoTurn,
    /// No connection was made, so Google has seen nothing.
    Unconnected,
    /// The connection broke after the request had begun to leave, and before any content.
    Unreachable,
    /// What answered is not Google: a firewall, a captive portal, or the page by which Google turns
    /// an address away.
    NotGoogle,
    /// 2xx with something that cannot be read, or is too large to.
    Unreadable,
    /// The request was sent, and nothing came for as long as the settings allow.
    TooSlow,
    /// It was broken off here, because another attempt that ran beside it was faster.
    Cancelled,
}

/// The limits that a 429 named, each with its value where Google told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Input tokens a minute.
    pub tpm: Option<u32>,
    /// Requests a day.
    pub rpd: Option<u32>,
}

impl Limits {
    /// Those that Google told the value of.
    pub(super) fn told(self) -> impl Iterator<Item = (Measure, u64)> {
        [
            (Measure::RequestsPerMinute, self.rpm),
            (Measure::TokensPerMinute, self.tpm),
            (Measure::RequestsPerDay, self.rpd),
        ]
        .into_iter()
        .filter_map(|(measure, value)| Some((measure, u64::from(value?))))
    }
}

/// What an [`Outcome`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// For the key that was used.
    pub key: KeyEffect,
    /// For what its project has used of the model.
    pub window: WindowEffect,
    /// For the model, whoever asks for it.
    pub model: ModelEffect,
    /// For the way that the call took to Google.
    pub egress: EgressEffect,
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
    /// Google takes it.
    Good,
    /// It takes no part any more until the user acts.
    Reject(RejectReason),
}

/// What an outcome does to the window of (project, model).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowEffect {
    /// The request has used quota.
    Spent,
    /// Google refused the request before it was counted.
    TakenBack,
    /// A limit was met: nothing is sent, or nothing of that size, until it is over.
    Rest,
}

/// What an outcome does to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelEffect {
    /// Nothing.
    None,
    /// It works.
    Works,
    /// It is left alone for a moment, for longer each time.
    BackOff,
}

/// What an outcome does to the way that the call took to Google.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressEffect {
    /// Nothing was learned about it.
    None,
    /// It leads there.
    Good,
    /// It has no room now, and nothing is wrong with it.
    Full,
    /// It is what failed, and not the key.
    Blame,
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
    /// Only with a key that takes another way to Google.
    OtherWay,
}

impl Outcome {
    /// What all of them are called in metrics and traces.
    pub const NAMES: [&str; 17] = [
        "answered",
        "empty",
        "client_fault",
        "quota",
        "prompt_too_large",
        "key_refused",
        "forbidden",
        "location_refused",
        "overloaded",
        "unreachable",
        "too_slow",
        "cancelled",
        "no_turn",
        "project_refused",
        "unconnected",
        "not_google",
        "unreadable",
    ];

    /// What it is called in metrics and traces: one of [`Outcome::NAMES`].
    pub fn name(self) -> &'static str {
        let at = match self {
            Self::Answered => 0,
            Self::Empty => 1,
            Self::ClientFault => 2,
            Self::Quota { .. } => 3,
            Self::PromptTooLarge { .. } => 4,
            Self::KeyRefused(_) => 5,
            Self::Forbidden => 6,
            Self::LocationRefused => 7,
            Self::Overloaded => 8,
            Self::Unreachable => 9,
            Self::TooSlow => 10,
            Self::Cancelled => 11,
            Self::NoTurn => 12,
            Self::ProjectRefused { .. } => 13,
            Self::Unconnected => 14,
            Self::NotGoogle => 15,
            Self::Unreadable => 16,
        };
        Self::NAMES[at]
    }

    /// The table.
    ///
    /// Google's documents do not say whether a refused request counts towards the day. Here it
    /// does not: if that is wrong, it costs one refusal a day, and the other way round it would
    /// cost answers.
    #[rustfmt::skip]
    pub fn consequence(self) -> Consequence {
        use {EgressEffect as Way, KeyEffect as Key, ModelEffect as Model, Retry as Again, WindowEffect as Window};
        let (key, window, model, egress, retry, counts) = match self {
            Self::Answered              => (Key::Good,           Window::Spent,     Model::Works,   Way::Good,  Again::No,       true),
            Self::Empty                 => (Key::None,           Window::Spent,     Model::None,    Way::Good,  Again::AnyKey,   true),
            Self::ClientFault           => (Key::None,           Window::TakenBack, Model::None,    Way::Good,  Again::No,       true),
            Self::Quota { .. }          => (Key::Good,           Window::Rest,      Model::None,    Way::Good,  Again::OtherKey, false),
            Self::PromptTooLarge { .. } => (Key::Good,           Window::Rest,      Model::None,    Way::Good,  Again::OtherKey, false),
            Self::KeyRefused(reason)    => (Key::Reject(reason), Window::TakenBack, Model::None,    Way::Good,  Again::OtherKey, false),
            Self::Forbidden             => (Key::None,           Window::TakenBack, Model::None,    Way::Good,  Again::OtherKey, true),
            Self::ProjectRefused { .. } => (Key::None,           Window::Rest,      Model::None,    Way::Good,  Again::OtherKey, false),
            Self::LocationRefused       => (Key::None,           Window::TakenBack, Model::None,    Way::Blame, Again::OtherWay, true),
            Self::Overloaded            => (Key::None,           Window::TakenBack, Model::BackOff, Way::Good,  Again::AnyKey,   true),
            Self::NoTurn                => (Key::None,           Window::TakenBack, Model::None,    Way::Full,  Again::OtherWay, true),
            Self::NotGoogle             => (Key::None,           Window::TakenBack, Model::None,    Way::Blame, Again::OtherWay, true),
            Self::Unconnected           => (Key::None,           Window::TakenBack, Model::None,    Way::Blame, Again::AnyKey,   true),
            // From here on, Google may have counted the request.
            Self::Unreachable           => (Key::None,           Window::Spent,     Model::None,    Way::Blame, Again::AnyKey,   true),
            Self::Unreadable            => (Key::None,           Window::Spent,     Model::None,    Way::Good,  Again::AnyKey,   true),
            // Google may have computed the answer, and counted it.
            Self::TooSlow               => (Key::None,           Window::Spent,     Model::None,    Way::None,  Again::No,       true),
            // So may it have here, and that it was slower says nothing about anybody.
            Self::Cancelled             => (Key::None,           Window::Spent,     Model::None,    Way::None,  Again::No,       true),
        };
        Consequence { key, window, model, egress, retry, counts }
    }
}
