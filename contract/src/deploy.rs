//! Remotes: instances on somebody else's machines, which this one puts there, watches, feeds
//! and moves.
//!
//! Every path is under `/api/deploy` and is there only where the host has a deployer (the
//! desktop app, and a server that is not itself a remote); elsewhere it answers 404, which the
//! panel takes for [`DeployState::available`] being false. Who may call is as for the rest of
//! the admin API.
//!
//! | method and path | request | answer |
//! |---|---|---|
//! | GET `/api/deploy` | | [`DeployState`] |
//! | GET `/api/deploy/accounts` | | [`Vec<AccountView>`] |
//! | POST `/api/deploy/accounts` | [`AccountNew`] | [`AccountView`]; checked before it is kept, and in place of the same account's earlier credential |
//! | POST `/api/deploy/accounts/{id}/check` | | [`AccountView`] |
//! | DELETE `/api/deploy/accounts/{id}` | | 204; refused while remotes use it |
//! | POST `/api/deploy/image` | [`ImageQuestion`] | [`ImageView`] |
//! | POST `/api/deploy/database` | [`DatabaseWish`] | [`DatabaseReport`] |
//! | GET `/api/deploy/remotes` | | [`Vec<RemoteView>`] |
//! | POST `/api/deploy/remotes` | [`RemoteWish`] | [`RemoteView`], in the state `draft` |
//! | POST `/api/deploy/remotes/add` | [`RemoteAdd`] | [`RemoteView`]; one that runs already |
//! | GET `/api/deploy/remotes/{id}` | | [`RemoteView`] |
//! | PUT `/api/deploy/remotes/{id}/wish` | [`RemoteWish`] | [`RemoteView`]; secrets that are absent stay |
//! | GET `/api/deploy/remotes/{id}/variables` | | [`Vec<VariableView>`], secrets masked |
//! | POST `/api/deploy/remotes/{id}/variables` | [`VariablesQuestion`] | [`VariablesText`], secrets in clear; wants the password again, refused over the bridge of the window |
//! | GET `/api/deploy/remotes/{id}/plan` | | [`PlanView`] |
//! | POST `/api/deploy/remotes/{id}/apply` | [`ApplyWish`] | [`RunView`]; goes on a run that broke off |
//! | GET `/api/deploy/remotes/{id}/run` | `after` in the query | [`RunView`] |
//! | POST `/api/deploy/remotes/{id}/cancel` | | [`RunView`] |
//! | POST `/api/deploy/remotes/{id}/access` | | [`RemoteAccess`], secrets in clear; wants the password again, refused over the bridge of the window |
//! | POST `/api/deploy/remotes/{id}/action` | [`RemoteAction`] | [`RemoteView`] |
//! | GET `/api/deploy/remotes/{id}/deploys` | | [`Vec<DeployView>`] |
//! | GET `/api/deploy/remotes/{id}/logs` | `cursor` in the query | [`LogPage`] |
//! | GET `/api/deploy/remotes/{id}/events` | | [`Vec<RemoteEvent>`] |
//! | GET `/api/deploy/remotes/{id}/usage` | | [`Usage`] |
//! | GET `/api/deploy/remotes/{id}/drift` | | [`DriftView`] |
//! | POST `/api/deploy/remotes/{id}/push` | [`PushWish`] | [`PushReport`] |
//! | POST `/api/deploy/remotes/{id}/take` | [`PushWish`] | [`PushReport`]; the other way round, removing nothing |
//! | POST `/api/deploy/remotes/{id}/rotate` | [`Rotation`] | [`RunView`] |
//! | PUT `/api/deploy/remotes/{id}/keep-alive` | [`KeepAlive`] | [`RemoteView`] |
//! | POST `/api/deploy/remotes/{id}/wake` | | [`RemoteView`]; patient |
//! | POST `/api/deploy/remotes/{id}/move` | [`RemoteWish`] | [`RemoteView`]: a draft elsewhere with everything of this one |
//! | GET `/api/deploy/route` | | [`RouteView`] |
//! | PUT `/api/deploy/route` | [`RouteWish`] | [`RouteView`] |
//! | any `/api/deploy/remotes/{id}/panel/api/…` | | what the remote's own admin API answers |

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::error::ApiError;

/// Whether this instance can deploy, and with what by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeployState {
    /// There is a deployer here.
    pub available: bool,
    /// The kinds of provider whose accounts it can use.
    pub providers: Vec<ProviderKind>,
    /// What can be done with remotes, beyond what every deployer can.
    pub features: Vec<DeployFeature>,
    /// The image that is deployed unless the user names another.
    pub default_image: String,
    /// Why nothing can be kept here (no sealing key), if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ApiError>,
}

/// What a deployer may be able to do with remotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeployFeature {
    /// Pass calls on to a remote's own admin API, so that its panel opens inside this one.
    Panel,
    /// Ask one that sleeps until it answers.
    Wake,
    /// Say where remote and this instance differ, push and take.
    Drift,
    /// Ask one regularly, so that it does not sleep.
    KeepAlive,
    /// Replace its secrets.
    Rotate,
    /// Put it elsewhere with everything.
    Move,
    /// Send this instance's requests through it.
    Route,
}

/// A kind of place with an account and an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// render.com, by its REST API.
    Render,
    /// ClawCloud Run (Kubernetes with labels of its own), by a kubeconfig.
    ClawCloud,
    /// Sealos or any other Kubernetes, by a kubeconfig.
    Kubernetes,
    /// koyeb.com, by its REST API.
    Koyeb,
}

/// An account to be added.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountNew {
    /// Whose.
    pub provider: ProviderKind,
    /// The API key, or the kubeconfig's text. A secret, typed in.
    pub secret: String,
    /// Another address of the API than the provider's own; for tests and compatible clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// An account, as it was last checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountView {
    /// Its number here.
    pub id: i64,
    /// Whose.
    pub provider: ProviderKind,
    /// What could be found out about it.
    pub facts: AccountFacts,
    /// When that was.
    pub checked_at: Millis,
    /// Why it cannot be used now, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ApiError>,
}

/// What a provider tells about an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountFacts {
    /// Whose it is, e.g. a mail address or a namespace.
    pub name: String,
    /// Workspaces to choose from; empty where there is no such thing.
    pub workspaces: Vec<Choice>,
    /// Regions to choose from; empty where the account is in one.
    pub regions: Vec<Choice>,
    /// Plans to choose from, the free one first.
    pub plans: Vec<Choice>,
    /// What the account may not do although it is needed, in the provider's words.
    pub missing_rights: Vec<String>,
    /// What is left of its quotas.
    pub quotas: Vec<Quota>,
    /// The host names that apps get end in this; where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// It can run a MySQL beside the app.
    pub has_databases: bool,
    /// It can keep a volume for SQLite.
    pub has_volumes: bool,
    /// When the credential ends, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
}

/// One of several to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Choice {
    /// What the provider's API calls it.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// A quota in the provider's own units, e.g. `limits.memory`: 512Mi of 4Gi.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quota {
    /// What it limits.
    pub name: String,
    /// How much is used.
    pub used: String,
    /// How much there is.
    pub limit: String,
}

/// What a remote should be. What the wizard collects, and what can be changed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteWish {
    /// What it is called here and at the provider: small letters, digits and `-`, at most 25.
    pub name: String,
    /// The account it runs on. Absent when only the variables are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<i64>,
    /// The workspace, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The region, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The plan, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The image, e.g. `ghcr.io/owner/name:tag`; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where its data are.
    pub database: DatabaseWish,
    /// The keys of this instance that it gets in `API_KEYS`.
    #[serde(default)]
    pub keys: Vec<i64>,
    /// Further settings, by the names of their variables; a value may be a secret.
    #[serde(default)]
    pub settings: Vec<VariableWish>,
    /// Its time zone (IANA), in `TZ`.
    pub time_zone: String,
    /// How it is kept awake.
    #[serde(default)]
    pub keep_alive: KeepAlive,
}

/// A variable that the user chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VariableWish {
    /// Its name, e.g. `MAX_RETRIES`.
    pub name: String,
    /// Its value; absent in an answer when it is a secret, and in a request when the one
    /// that is kept stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Where a remote's data are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DatabaseWish {
    /// Nowhere that lasts: after a restart it has what its variables say, its keys among them,
    /// and this instance sends it again what else was pushed when it next looks at it.
    None,
    /// SQLite on a volume of the host.
    Volume {
        /// Its size in GiB.
        gib: u32,
    },
    /// A MySQL that is made beside the app.
    InCluster {
        /// Its size in GiB.
        gib: u32,
    },
    /// A MySQL somewhere: Aiven, TiDB Cloud, one's own.
    Mysql(MysqlWish),
}

/// A MySQL server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MysqlWish {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password. A secret, typed in; absent in answers, and in a request when the one that
    /// is kept stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// `DISABLED`, `PREFERRED`, `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`.
    pub ssl_mode: String,
    /// The certificate authority as PEM; absent: the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_ca: Option<String>,
}

/// What was found at a MySQL server, asked from this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseReport {
    /// It can be used.
    pub ok: bool,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The connection is encrypted.
    pub encrypted: bool,
    /// Who the server is was checked, too.
    #[serde(default)]
    pub verified: bool,
    /// The database exists.
    pub exists: bool,
    /// Tables may be made in it; where it does not exist, it may be made.
    pub may_create: bool,
    /// Bytes used by the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// What is in it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundDatabase>,
    /// Milliseconds from here for one question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Why it cannot be used, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ApiError>,
}

/// What is in a database already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FoundDatabase {
    /// Nothing.
    Empty,
    /// Tables of other programs, which are left alone.
    Others,
    /// A database of this program: its password, keys and tokens go on.
    Ours,
    /// A database of a newer version than this one, which an image of that version can use.
    Newer,
    /// A database of the Python original: keys, tokens and settings are taken over.
    Original,
}

/// Which image is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImageQuestion {
    /// E.g. `ghcr.io/owner/name:tag`.
    pub image: String,
}

/// An image that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageView {
    /// Its full name, e.g. `ghcr.io/owner/name:latest`.
    pub reference: String,
    /// What its content is called, e.g. `sha256:…`; deploys use this.
    pub digest: String,
    /// Platforms it is for, e.g. `linux/amd64`.
    pub platforms: Vec<String>,
    /// Bytes to download for linux/amd64, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Which program it is, as far as its name tells.
    pub program: ImageProgram,
}

/// Which program is in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImageProgram {
    /// This one.
    Ours,
    /// The Python original: it knows only some of the variables, and no TLS to its database.
    Original,
}

/// A remote that runs already.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteAdd {
    /// What to call it.
    pub name: String,
    /// Its address, e.g. `https://name.onrender.com`.
    pub url: String,
    /// The panel's password or `AUTH_TOKEN`. A secret, typed in.
    pub password: String,
}

/// A remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoteView {
    /// Its number here.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// Whose account it runs on; absent for one that was added by its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKind>,
    /// Where it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its page in the provider's console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// What it should be, without secrets; absent for one that was added by its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<RemoteWish>,
    /// What is known of it.
    pub state: RemoteState,
    /// Since when.
    pub state_since: Millis,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<RemoteHealth>,
    /// The image that runs, with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How it is kept awake.
    pub keep_alive: KeepAlive,
    /// What keeping it awake does and costs now; absent when it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive_state: Option<KeepAliveState>,
    /// What the user should do, most urgent first.
    pub warnings: Vec<RemoteWarning>,
    /// When it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Millis>,
}

/// The state machine of a remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RemoteState {
    /// Not deployed yet.
    Draft,
    /// A run is under way.
    Deploying,
    /// A run broke off or failed; it can be gone on with.
    Interrupted {
        /// What was wrong and what to do; absent when this program ended in the middle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ApiError>,
    },
    /// The provider starts it.
    Starting,
    /// It answers.
    Running,
    /// It sleeps until somebody asks.
    Asleep,
    /// It was asked and wakes up.
    Waking,
    /// The user stopped it.
    Suspended,
    /// The provider stopped it: quota, credit, or no sign-in for too long.
    StoppedByProvider {
        /// Why, as far as it tells.
        reason: String,
    },
    /// The provider says that it runs, or that it fails to, and it does not answer properly.
    Failing {
        /// What was wrong and what to do.
        error: ApiError,
    },
    /// Neither provider nor instance could be asked.
    Unknown {
        /// What was wrong and what to do.
        error: ApiError,
    },
    /// Being deleted.
    Deleting,
    /// It does not exist at the provider any more.
    Gone,
}

/// What a remote says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoteHealth {
    /// Its version.
    pub version: String,
    /// When its process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Millis>,
    /// Milliseconds from here to an answer.
    pub latency_ms: u64,
    /// Keys that can be used now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_ready: Option<u32>,
    /// All its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_total: Option<u32>,
    /// Requests since its midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_today: Option<u64>,
    /// How many of those failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_today: Option<u64>,
    /// It could not be signed in to, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_problem: Option<ApiError>,
}

/// What the user should do about a remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RemoteWarning {
    /// The free hours of the month will not last.
    HoursRunOut {
        /// Hours used by all that is kept awake in the workspace, an estimate.
        used: u32,
        /// Hours a month.
        limit: u32,
    },
    /// Who does not sign in to the console for 30 days has all apps stopped.
    SignInDue {
        /// When the 30 days end.
        by: Millis,
    },
    /// Its keys, tokens or settings are not what this instance says.
    Drift,
    /// It has no keys, because it restarted without a database.
    KeysLost,
    /// A newer image is there.
    NewerImage {
        /// Its digest.
        digest: String,
    },
    /// The account cannot be used.
    Account {
        /// Why, and what to do.
        error: ApiError,
    },
    /// The credential of the account ends soon.
    CredentialEnds {
        /// When.
        at: Millis,
    },
}

/// How a remote is kept awake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeepAlive {
    /// It is asked every ten minutes, more or less.
    pub enabled: bool,
    /// Not between these hours of the local day, 0 to 23; may go over midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
}

/// Hours in which a remote may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The hour they begin at.
    pub from: u8,
    /// The hour they end at.
    pub to: u8,
}

/// What keeping awake does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeepAliveState {
    /// When it is asked next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Millis>,
    /// When it last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok_at: Option<Millis>,
    /// Hours it was awake this month, an estimate.
    pub hours_used: u32,
    /// Hours that its plan has a month; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours_limit: Option<u32>,
    /// It is not asked, because the hours would not last.
    pub paused_by_budget: bool,
}

/// A variable of a remote, as it will be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VariableView {
    /// Its name.
    pub name: String,
    /// Its value; of a secret its first and last characters.
    pub value: String,
    /// It is a secret.
    pub secret: bool,
    /// Where the value comes from.
    pub source: VariableSource,
}

/// Where the value of a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VariableSource {
    /// Random, made here.
    Generated,
    /// Keys of this instance.
    Keys,
    /// What the user chose.
    Chosen,
    /// What the image or the provider needs.
    Needed,
    /// The provider fills it in.
    Provider,
}

/// In which form variables are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VariablesFormat {
    /// `NAME="value"`, a line each; Render's "Add from .env" reads it, too.
    Env,
    /// `NAME=value`, a line each without quotes: the console of ClawCloud and Sealos.
    Lines,
    /// A JSON object.
    Json,
    /// A whole `compose.yaml`.
    Compose,
    /// A whole `render.yaml`.
    RenderYaml,
    /// A whole template for Sealos and ClawCloud.
    Template,
}

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VariablesQuestion {
    /// Its form.
    pub format: VariablesFormat,
}

/// Variables with their secrets, to be taken elsewhere.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VariablesText {
    /// The text. Holds secrets, which the user asked to see.
    pub text: String,
    /// What a file of it is called.
    pub file_name: String,
}

/// What client programs and people need to use a remote.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoteAccess {
    /// Its address, e.g. `https://name.onrender.com`.
    pub url: String,
    /// The client token that this instance made there. A secret, which the user asked to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What its panel is signed in to with (`AUTH_TOKEN`). A secret, which the user asked to
    /// see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView {
    /// The steps, in order; empty when everything is as it should be.
    pub steps: Vec<StepView>,
    /// What is there and stays as it is.
    pub stays: Vec<String>,
    /// What it costs a month.
    pub cost: Cost,
    /// An app of that name is there already and was not made here: it is changed only when
    /// the user says so ([`RemoteAction::Adopt`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<String>,
}

/// What a plan costs a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cost {
    /// Nothing, within the limits of the free plan.
    Free,
    /// About this much.
    About {
        /// Hundredths of a US dollar a month.
        cents: u32,
    },
    /// What the provider says.
    Unknown,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// What it does.
    pub kind: StepKind,
    /// What it does it to, e.g. a name or an image.
    pub subject: String,
    /// What changes, secrets masked.
    pub changes: Vec<Difference>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Looks whether the image exists for the platform, and pins its digest.
    CheckImage,
    /// Looks whether the database can be used.
    CheckDatabase,
    /// Makes a database beside the app.
    CreateDatabase,
    /// Makes the app.
    CreateApp,
    /// Sets variables of an app that is there.
    SetVariables,
    /// Changes plan, size or other things of an app that is there.
    ChangeApp,
    /// Has it run with what was set.
    Deploy,
    /// Waits until the provider says that it runs.
    WaitLive,
    /// Waits until it answers.
    WaitHealthy,
    /// Signs in with the password that was made.
    SignIn,
    /// Has its panel take the new password.
    ChangePassword,
    /// Has it accept the new client token.
    CreateToken,
    /// Sends one real request through a client token.
    TryRequest,
    /// Takes the secrets out of use that were replaced.
    RevokeOld,
}

/// A difference between two states of something that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// What is there; absent when nothing is. Of a secret its first and last characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What should be there; absent when nothing should. Of a secret its first and last
    /// characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A run of a plan, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Where it stands.
    pub state: RunState,
    /// Its steps.
    pub steps: Vec<StepRun>,
    /// What was said after the line that was asked for.
    pub lines: Vec<RunLine>,
    /// What to ask with for later lines.
    pub after: u64,
}

/// How a plan is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ApplyWish {
    /// What somebody else has changed of the app since is overwritten, see
    /// [`crate::ErrorCode::ChangedThere`].
    pub over: bool,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunState {
    /// There was none.
    None,
    /// Under way.
    Running,
    /// Every step is done.
    Done {
        /// Where it answers.
        url: String,
    },
    /// A step failed for good.
    Failed {
        /// What was wrong and what to do.
        error: ApiError,
    },
    /// The user stopped it.
    Cancelled,
    /// This program ended in the middle.
    BrokeOff,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepRun {
    /// What it does, and to what.
    pub step: StepView,
    /// Where it stands.
    pub state: StepState,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Millis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Millis>,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// Under way.
    Running,
    /// It failed and is tried again.
    Retrying {
        /// When.
        at: Millis,
        /// Why.
        error: ApiError,
    },
    /// Done.
    Done,
    /// Failed for good.
    Failed {
        /// What was wrong and what to do.
        error: ApiError,
    },
}

/// A line of a run or of a remote's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunLine {
    /// When.
    pub at: Millis,
    /// What, with every secret that is known here replaced by `***`.
    pub text: String,
}

/// What the user does with a remote that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum RemoteAction {
    /// Asks how it is, now.
    Refresh,
    /// Has its process start anew.
    Restart,
    /// Stops it.
    Suspend,
    /// Starts it again.
    Resume,
    /// Deploys an image, absent: the newest of its tag.
    Redeploy {
        /// The image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
    },
    /// Back to an earlier deploy.
    RollBack {
        /// Which, from [`DeployView::id`].
        deploy: String,
    },
    /// Takes an app for one's own that is there under this name.
    Adopt,
    /// Says that its owner has signed in to the provider's console, so that
    /// [`RemoteWarning::SignInDue`] rests for another 30 days.
    SignedIn,
    /// Tells where a draft answers that the user has put there by hand with the variables
    /// that were made for it. It is signed in to with its `AUTH_TOKEN`.
    Locate {
        /// Its address, e.g. `https://name.onrender.com`.
        url: String,
    },
    /// Deletes it at the provider and here.
    Delete {
        /// Its name, typed.
        name: String,
    },
    /// Forgets it here; at the provider it stays.
    Forget,
}

/// An earlier deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeployView {
    /// What the provider calls it.
    pub id: String,
    /// Its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where it stands.
    pub state: DeployProgress,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Millis>,
    /// One can go back to it.
    pub can_roll_back: bool,
}

/// Where a deploy stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeployProgress {
    /// Behind another one.
    Queued,
    /// Under way.
    UnderWay {
        /// What the provider calls it.
        detail: String,
    },
    /// In use.
    Live,
    /// Was in use.
    Replaced,
    /// Failed.
    Failed {
        /// Why, as far as the provider tells.
        detail: String,
    },
    /// Cancelled.
    Cancelled,
}

/// Lines of a remote's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogPage {
    /// Oldest first.
    pub lines: Vec<RunLine>,
    /// What to ask with for later lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Something that happened to a remote, in the provider's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoteEvent {
    /// When.
    pub at: Millis,
    /// What.
    pub text: String,
    /// It is bad news.
    pub is_problem: bool,
}

/// What a remote uses, as far as its provider tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Series of the last hours.
    pub series: Vec<UsageSeries>,
    /// What is left of quotas.
    pub quotas: Vec<Quota>,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageSeries {
    /// What it is of.
    pub kind: UsageKind,
    /// Moments and values; a value is in thousandths of the kind's unit.
    pub points: Vec<(Millis, i64)>,
}

/// What a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageKind {
    /// CPUs.
    Cpu,
    /// MiB.
    Memory,
    /// MiB sent.
    Bandwidth,
    /// Requests.
    Requests,
}

/// Where remote and this instance differ. Of one that was added by its address, nothing was ever
/// wished: its keys and tokens are compared with all that are in use here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DriftView {
    /// Keys, masked: `from` is there, `to` is here.
    pub keys: Vec<Difference>,
    /// Client tokens that were made in the panels, masked, or their limits.
    pub tokens: Vec<Difference>,
    /// Settings in force there that are not as wished.
    pub settings: Vec<Difference>,
    /// Variables at the provider.
    pub variables: Vec<Difference>,
    /// Image.
    pub image: Option<Difference>,
    /// What could not be compared, and why.
    pub problems: Vec<ApiError>,
}

/// What to push (what is only there is removed there) or to take (nothing is removed here).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PushWish {
    /// Keys.
    #[serde(default)]
    pub keys: bool,
    /// Client tokens.
    #[serde(default)]
    pub tokens: bool,
    /// Settings.
    #[serde(default)]
    pub settings: bool,
}

/// What was pushed or taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushReport {
    /// Things added.
    pub added: u32,
    /// Things changed.
    pub changed: u32,
    /// Things removed.
    pub removed: u32,
    /// Its provider takes variables with a deploy only: those there say the same after the next.
    #[serde(default)]
    pub variables_wait: bool,
    /// What could not be done, and why.
    pub problems: Vec<ApiError>,
}

/// A secret to replace, in the order in which nothing stops working.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rotation {
    /// The panel's `AUTH_TOKEN`: its panel takes the new one, then its variables.
    AuthToken,
    /// The client token that this instance made there: the new one is accepted first, the old
    /// one revoked last.
    ClientToken,
    /// The database's password, which was changed at the database.
    DatabasePassword {
        /// The new one. A secret, typed in.
        password: String,
    },
}

/// What requests of this instance's clients do when the remote that they go through sleeps or
/// is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WhenAway {
    /// Wait until it is awake.
    #[default]
    Hold,
    /// Be answered with the keys of this instance, while it is woken up.
    Local,
}

/// Through which remote the requests of this instance's clients should go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteWish {
    /// The remote; absent: straight to Google, with the keys of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<i64>,
    /// What they do when it is away.
    #[serde(default)]
    pub when_away: WhenAway,
}

/// Through which remote the requests of this instance's clients go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RouteView {
    /// The remote; absent: straight to Google.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<i64>,
    /// What they do when it is away.
    pub when_away: WhenAway,
    /// Whether it answers; absent without a remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<RoutePresence>,
    /// Why requests go straight to Google although a remote is wished for, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ApiError>,
}

/// What requests know of the remote that they go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoutePresence {
    /// Nothing: none has gone through it yet.
    Unknown,
    /// It answered.
    Awake,
    /// It is being woken up.
    Waking,
    /// It did not wake up.
    Away,
}
