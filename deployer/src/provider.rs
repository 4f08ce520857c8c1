//! What a cloud can do for us, the same for all of them.
//!
//! A provider knows its API and nothing of wishes, journals or screens. Every call can be
//! made again: it looks before it makes, and takes what is there for done. Adding a cloud is
//! one module that implements [`Provider`], and a fake of it in `testkit`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use contract::deploy::{
    AccountFacts, Cost, DeployProgress, DeployView, LogPage, RemoteEvent, Usage,
};
use contract::{ApiError, ErrorCode};
use vault::Secret;

/// The port that the container listens on, wherever the provider lets us choose.
pub const PORT: u16 = 8000;
/// What answers 200 as soon as the process serves, without a session.
pub const HEALTH_PATH: &str = "/health";
/// The variable by which an app is known as ours where a provider has no place for a mark.
pub const MARK: &str = "GEMINI_BALANCE_REMOTE";

/// An account on a cloud.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Who the account is, what it may do and what is left of its quotas.
    async fn probe(&self) -> Result<AccountFacts>;

    /// What is there under this name; `None` when nothing is.
    async fn observe(&self, target: &Target) -> Result<Option<Observed>>;

    /// Makes a database beside the app, for [`Data::InCluster`], and waits for nothing: true
    /// when it can be used now.
    async fn create_database(&self, desired: &Desired) -> Result<bool>;

    /// Makes the app with its variables. Where the provider starts it at once, the deploy's id
    /// is in [`Observed::deploy`]. Of [`ProviderState::Partial`] it makes the rest.
    async fn create(&self, desired: &Desired) -> Result<Observed>;

    /// Makes the app's variables exactly these. Takes effect with the next deploy, which
    /// sends them again where not [`Provider::keeps_variables`].
    async fn set_variables(&self, id: &str, desired: &Desired) -> Result<()>;

    /// Whether variables that were set stay with the app without a deploy, so that its next
    /// process begins with them.
    fn keeps_variables(&self) -> bool;

    /// Changes plan, size and the like. Takes effect with the next deploy.
    async fn change(&self, id: &str, desired: &Desired) -> Result<()>;

    /// Has the app run with what was set, from [`Desired::image`]. Gives the deploy's id.
    async fn deploy(&self, id: &str, desired: &Desired) -> Result<String>;

    /// Where a deploy stands.
    async fn progress(&self, id: &str, deploy: &str) -> Result<DeployProgress>;

    /// The latest deploys, newest first.
    async fn deploys(&self, id: &str) -> Result<Vec<DeployView>>;

    /// Back to an earlier deploy. Gives the id of the deploy that does it.
    async fn roll_back(&self, id: &str, deploy: &str) -> Result<String>;

    /// Stops, starts or restarts the app.
    async fn power(&self, id: &str, power: Power) -> Result<()>;

    /// Deletes the app and what was made for it, the data included.
    async fn delete(&self, id: &str) -> Result<()>;

    /// Lines of the app's log after `cursor`, or the latest.
    async fn logs(&self, id: &str, cursor: Option<&str>) -> Result<LogPage>;

    /// What happened to the app lately, newest first.
    async fn events(&self, id: &str) -> Result<Vec<RemoteEvent>>;

    /// What the app uses.
    async fn usage(&self, id: &str) -> Result<Usage>;

    /// What it would cost a month.
    fn cost(&self, desired: &Desired) -> Cost;
}

/// Which app is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its workspace, where the provider has such a thing.
    pub workspace: Option<String>,
    /// What the provider calls it, once it is known.
    pub id: Option<String>,
}

/// What an app should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Its name: small letters, digits and `-`, beginning with a letter, at most 25.
    pub name: String,
    /// Its workspace.
    pub workspace: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Its plan.
    pub plan: Option<String>,
    /// Its image by digest, e.g. `ghcr.io/owner/name@sha256:…`.
    pub image: String,
    /// Its image as the user named it, e.g. `ghcr.io/owner/name:latest`.
    pub image_tag: String,
    /// All variables that are set, by name.
    pub variables: BTreeMap<String, Value>,
    /// Where its data are.
    pub data: Data,
    /// What others have changed of it is overwritten.
    pub over: bool,
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One that may be seen.
    Plain(String),
    /// One that may not.
    Secret(Secret),
    /// What the database that was made beside the app says.
    FromDatabase(DatabasePart),
}

impl Value {
    /// What the variable is set to; `None` when only the database knows.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Secret(secret) => Some(secret.expose()),
            Self::FromDatabase(_) => None,
        }
    }
}

/// A part of what is needed to reach a database that was made beside the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabasePart {
    /// Its host.
    Host,
    /// Its port.
    Port,
    /// Its user.
    User,
    /// Its password.
    Password,
}

/// Where an app's data are, as far as the provider is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// Not with the provider.
    #[default]
    Elsewhere,
    /// On a volume that is mounted at `/data`.
    Volume {
        /// GiB.
        gib: u32,
    },
    /// In a MySQL beside the app.
    InCluster {
        /// GiB.
        gib: u32,
    },
}

/// What is there.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What the provider calls it; needed for all other calls.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It carries our mark, so it was made by this program. (Render and Koyeb have no
    /// place for a mark: there, that [`MARK`] is set.)
    pub is_ours: bool,
    /// Where it answers.
    pub url: Option<String>,
    /// Its page in the console.
    pub console_url: Option<String>,
    /// Its image, in full form (`docker.io/library/…`), by tag or by digest.
    pub image: Option<String>,
    /// Its variables; `None` where the provider does not tell a value.
    pub variables: BTreeMap<String, Option<Secret>>,
    /// Its region.
    pub region: Option<String>,
    /// Its plan.
    pub plan: Option<String>,
    /// Where its data are.
    pub data: Data,
    /// What the provider says of it.
    pub state: ProviderState,
    /// The deploy that is in use or on its way.
    pub deploy: Option<String>,
}

/// What a provider says of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderState {
    /// On its way.
    Starting,
    /// In use. A free plan may sleep without saying so.
    Running,
    /// It sleeps until somebody asks it, where the provider tells.
    Asleep,
    /// Stopped by the user.
    Suspended,
    /// Stopped by the provider, and why as far as it tells.
    Stopped(String),
    /// It fails, and why as far as it tells.
    Failing(String),
    /// Only parts of it are there, of an attempt that broke off: [`Provider::create`] makes the
    /// rest, [`Provider::delete`] takes them away.
    Partial,
}

/// Stopping and starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// A new process, the same deploy.
    Restart,
    /// No process.
    Suspend,
    /// A process again.
    Resume,
}

/// What calls of a provider end in.
pub type Result<T, E = ProviderError> = std::result::Result<T, E>;

/// Why a provider did not do what it was asked. Messages hold the provider's own words, with
/// the account's secret scrubbed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The key or kubeconfig is not accepted, or has ended.
    #[error("the provider does not accept the key: {0}")]
    Unauthorized(String),
    /// The account may not do that.
    #[error("the account may not do that: {0}")]
    Forbidden(String),
    /// A payment card is needed.
    #[error("{0}")]
    CardNeeded(String),
    /// A quota or credit is used up.
    #[error("{0}")]
    QuotaExceeded(String),
    /// What was addressed does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken by something that is not ours.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else has changed what was set from here, see [`Desired::over`].
    #[error("{0}")]
    ChangedThere(String),
    /// The request's content is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// Too many calls; again after this long.
    #[error("the provider wants a pause of {} s: {message}", .after.as_secs())]
    RateLimited {
        /// How long to wait.
        after: Duration,
        /// What it said.
        message: String,
    },
    /// It failed for a moment: 5xx, or no connection.
    #[error("{0}")]
    Away(String),
    /// It answered something that is not understood.
    #[error("the provider's answer was not understood: {0}")]
    Unexpected(String),
}

impl ProviderError {
    /// Whether the same call may succeed later without anybody's doing.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Away(_))
    }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        use ProviderError as E;
        let code = match &error {
            E::Unauthorized(_) | E::Forbidden(_) => ErrorCode::AccountRefused,
            E::CardNeeded(_) => ErrorCode::CardNeeded,
            E::QuotaExceeded(_) => ErrorCode::QuotaExceeded,
            E::NotFound(_) => ErrorCode::NotFound,
            E::Conflict(_) => ErrorCode::NameTaken,
            E::ChangedThere(_) => ErrorCode::ChangedThere,
            E::Refused(_) | E::RateLimited { .. } | E::Away(_) | E::Unexpected(_) => {
                ErrorCode::Provider
            }
        };
        Self::new(code, error.to_string())
    }
}
