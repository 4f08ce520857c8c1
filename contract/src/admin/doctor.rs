//! The ways out to Google, and what a check-up finds.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// A way by which calls leave for Google.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EgressView {
    /// Which kind.
    pub way: EgressWay,
    /// The proxy without its password, e.g. `socks5h://user@host:1080`, or `direct`.
    pub address: String,
    /// It is this program itself, so it is not used.
    pub is_this_program: bool,
    /// How calls by it ended last.
    pub health: EgressHealth,
}

/// The kinds of way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EgressWay {
    /// Straight.
    Direct,
    /// Through the system's proxy.
    System,
    /// Through a proxy that the user has listed.
    Proxy,
}

/// How calls by a way ended last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EgressHealth {
    /// When one last came back, whatever it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok_at: Option<Millis>,
    /// When one last did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Millis>,
    /// Why the last one did not; absent when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a check-up found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DoctorReport {
    /// When it was made.
    pub at: Millis,
    /// One thing each, in the order in which a request meets them.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// What came of it. The panel has a text for each in both languages: what it means, and what
    /// to do about it.
    pub code: FindingCode,
    /// How it is.
    pub state: FindingState,
    /// What it is about, e.g. a proxy's address; empty when the code says it all.
    pub subject: String,
    /// Facts in English: numbers, addresses, what somebody said. Never holds a secret.
    pub detail: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// As it should be.
    Good,
    /// It works, and something should be done.
    Warning,
    /// It does not work.
    Bad,
    /// It could not be looked at.
    Unknown,
}

/// What a check-up can find. The names begin with what was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// Google's name leads to addresses.
    NameFound,
    /// It leads nowhere.
    NameNotFound,
    /// It leads to an address that cannot be Google's.
    NameWrong,
    /// The proxy looks it up.
    NameByProxy,
    /// No proxy is used, and the system has none.
    ProxyNone,
    /// The system's proxy is used.
    ProxySystem,
    /// The system has a proxy, which is not followed.
    ProxyIgnored,
    /// Proxies that the user has listed are used.
    ProxyListed,
    /// A proxy is this program itself.
    ProxyIsOurs,
    /// Google answers by this way.
    GoogleAnswers,
    /// There is no connection by this way.
    GoogleUnreachable,
    /// Something answers that is not Google, or TLS is broken open.
    GoogleStrange,
    /// Google does not serve the region that this way leads out in.
    GoogleRegion,
    /// The clock is right.
    ClockRight,
    /// The clock is wrong.
    ClockWrong,
    /// Nobody told the time.
    ClockUnknown,
    /// A key is accepted.
    KeyAccepted,
    /// A key is refused.
    KeyRefused,
    /// Google could not be asked about a key.
    KeyUnknown,
    /// There is no key.
    KeyNone,
    /// There are keys, and none may be used.
    KeyNoneUsable,
    /// There is a client token.
    TokenThere,
    /// There is no client token, so no client is let in.
    TokenNone,
    /// Whether there is one could not be looked up.
    TokenUnknown,
    /// Clients reach the address.
    PortAnswers,
    /// Nobody answers at the address.
    PortSilent,
    /// Another program answers there.
    PortForeign,
    /// The database can be used.
    DatabaseReady,
    /// It cannot be used now.
    DatabaseAway,
    /// Secrets are sealed.
    SealingOn,
    /// They are kept in clear.
    SealingOff,
    /// They cannot be kept at all.
    SecretsNotStored,
}
