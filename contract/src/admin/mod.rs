//! The admin API: what the panel asks of an instance, and what it answers.
//!
//! Every path is under `/api`. Changes need a session (cookie), the session's CSRF token in
//! the header [`CSRF_HEADER`] (from [`InstanceState::csrf`]), and a JSON body where there is one.
//!
//! | method and path | request | answer |
//! |---|---|---|
//! | GET `/api/state` (open) | | [`InstanceState`] |
//! | POST `/api/setup` (open) | [`SetupRequest`] | 204 and a session cookie |
//! | POST `/api/login` (open) | [`LoginRequest`] | 204 and a session cookie |
//! | POST `/api/logout` | | 204 |
//! | GET `/api/overview` | | [`Overview`] |
//! | GET `/api/keys` | | [`Vec<KeyView>`] |
//! | POST `/api/keys/import` | [`ImportRequest`] | [`ImportReport`] |
//! | PATCH `/api/keys/{id}` | [`KeyPatch`] | [`KeyView`] |
//! | DELETE `/api/keys/{id}` | | 204; can be undone until the next start |
//! | POST `/api/keys/{id}/replace` | [`KeyReplace`] | [`KeyView`] |
//! | POST `/api/keys/{id}/restore` | | [`KeyView`] |
//! | POST `/api/keys/{id}/check` | | [`KeyCheck`] |
//! | GET `/api/egress` | | [`Vec<EgressView>`] |
//! | POST `/api/doctor` | | [`DoctorReport`]; some seconds |
//! | GET `/api/pool` | | [`PoolView`] |
//! | POST `/api/pool/clear` | [`ClearCooldowns`] | 204 |
//! | GET `/api/tokens` | | [`Vec<TokenView>`] |
//! | POST `/api/tokens` | [`TokenCreate`] | [`TokenCreated`] |
//! | PATCH `/api/tokens/{id}` | [`TokenPatch`] | [`TokenView`] |
//! | DELETE `/api/tokens/{id}` | | 204 |
//! | GET `/api/settings` | | [`SettingsView`] |
//! | PATCH `/api/settings` | [`SettingsChange`] | [`SettingsReport`]; 200 also when there are problems |
//! | GET `/api/settings/env` | | [`EnvFile`] |
//! | POST `/api/transfer/export` | [`ExportRequest`] | [`ExportFile`] |
//! | POST `/api/transfer/import` | [`TransferRequest`] | [`TransferReport`] |
//! | GET `/api/audit` | `before` and `limit` in the query | [`AuditPage`] |
//! | POST `/api/audit/{id}/undo` | | 204 |
//! | GET `/api/account` | | [`Account`] |
//! | POST `/api/account/password` | [`PasswordChange`] | 204 |
//! | POST `/api/account/confirm` | [`PasswordConfirm`] | 204; for a while, what answers `password_again` goes |
//! | POST `/api/account/logout-everywhere` | | 204; ends this session, too |
//! | DELETE `/api/account/sessions/{id}` | | 204 |
//! | POST `/api/account/totp` | [`PasswordConfirm`] | [`TotpSetup`] |
//! | POST `/api/account/totp/confirm` | [`TotpConfirm`] | [`TotpEnabled`] |
//! | POST `/api/account/totp/off` | [`PasswordConfirm`] | 204 |
//! | GET `/api/data` | | [`DataView`] |
//! | POST `/api/data/agree-clear` | | 204 |
//! | POST `/api/data/backups` | | [`BackupView`] |
//! | POST `/api/data/backups/{name}/restore` | | 204; requests go on meanwhile |
//! | DELETE `/api/data/backups/{name}` | | 204 |
//! | GET `/api/stats/today` | | [`Today`] |
//! | GET `/api/stats` | [`StatsQuery`] in the query | [`Stats`] |
//! | GET `/api/requests` | [`RequestQuery`] in the query | [`RequestPage`] |
//! | GET `/api/requests/{id}` | | [`RequestDetail`] |
//! | POST `/api/requests/delete` | [`RecordsDelete`] | [`RecordsDeleted`] |
//! | GET `/api/models` | | [`Vec<ModelView>`] |
//! | GET `/api/connect` | | [`ConnectInfo`] |
//! | POST `/api/test` | [`TestRequest`] | [`TestAnswer`] |
//! | GET `/api/openapi.json` (open) | | the OpenAPI description |

mod account;
mod data;
mod doctor;
mod logs;
mod settings;

pub use account::{
    Account, PasswordChange, PasswordConfirm, SessionView, TotpConfirm, TotpEnabled, TotpSetup,
};
pub use data::{BackupReason, BackupView, DataView, DatabaseState, Engine, Sealing, Takeover};
pub use doctor::{
    DoctorReport, EgressHealth, EgressView, EgressWay, Finding, FindingCode, FindingState,
};
pub use logs::{
    Named, RecordsDelete, RecordsDeleted, RequestDetail, RequestPage, RequestQuery, RequestResult,
    RequestView, Stats, StatsPoint, StatsQuery, StatsRange, StatsRow, Sums, TryOutcome, TryView,
};
pub use settings::{
    Actor, Applies, AuditAction, AuditEntry, AuditPage, EnvFile, ExportFile, ExportRequest,
    Provenance, SettingConflict, SettingDiff, SettingGroup, SettingKind, SettingProblem,
    SettingView, SettingsChange, SettingsReport, SettingsView, Texts, TransferFormat,
    TransferReport, TransferRequest,
};

use serde::{Deserialize, Serialize};

use crate::Millis;

/// The header that carries a session's CSRF token with every change.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What anyone may know before signing in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceState {
    /// The version of the server, e.g. `0.1.0`.
    pub version: String,
    /// No password exists yet: the panel shows the set-up page.
    pub setup_required: bool,
    /// The request carried a valid session.
    pub signed_in: bool,
    /// What changes must carry in [`CSRF_HEADER`]; present when signed in. A page of another
    /// site cannot read it, and it is worth nothing without the session's cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
}

/// The first password, with the one-time code that the server printed at start.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// The code from the set-up link.
    pub code: String,
    /// The password to use from now on; at least 8 characters. A secret, typed in.
    pub password: String,
}

/// Signing in to the panel.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The panel's password or `AUTH_TOKEN`. A secret, typed in.
    pub password: String,
    /// The code of the authenticator app, or a recovery code, when a second factor is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The dashboard, in one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// The version of the server.
    pub version: String,
    /// When this process started to serve.
    pub started_at: Millis,
    /// The server's clock when it answered, to show differences by.
    pub now: Millis,
    /// Where clients reach this instance, without a path, e.g. `http://127.0.0.1:8000`.
    pub address: String,
    /// What the keys can do now.
    pub pool: PoolSummary,
    /// What happened since midnight in the server's time zone.
    pub today: Today,
    /// The newest failed requests, newest first; at most 10.
    pub last_errors: Vec<RequestError>,
    /// What the user should mend, most urgent first.
    pub warnings: Vec<Warning>,
}

/// How many keys are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolSummary {
    /// All keys, disabled ones included.
    pub total: u32,
    /// Keys that can answer now.
    pub ready: u32,
    /// Keys that rest until a known time.
    pub cooling: u32,
    /// Keys that Google refuses.
    pub rejected: u32,
    /// Keys that the user switched off.
    pub disabled: u32,
    /// When nothing is ready: when the first key will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ready_at: Option<Millis>,
}

/// Counts since midnight in the server's time zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Today {
    /// When the day began.
    pub since: Millis,
    /// IANA name of the time zone, e.g. `Asia/Shanghai`.
    pub time_zone: String,
    /// Requests answered, failed ones included.
    pub requests: u64,
    /// Requests that ended in an error.
    pub errors: u64,
    /// Input tokens as Google counted them.
    pub prompt_tokens: u64,
    /// Output tokens, thoughts included.
    pub output_tokens: u64,
    /// Requests per hour of the day, 24 values, hour 0 first.
    pub requests_by_hour: Vec<u64>,
    /// Failed requests per hour of the day, 24 values.
    pub errors_by_hour: Vec<u64>,
    /// Requests since start whose record was dropped because the writer could not keep up.
    pub dropped_records: u64,
}

/// One failed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestError {
    /// When it ended.
    pub at: Millis,
    /// The protocol the client spoke.
    pub surface: Surface,
    /// The model asked for; empty when the request did not get that far.
    pub model: String,
    /// The HTTP status the client got.
    pub status: u16,
    /// What the client was told, scrubbed of secrets.
    pub message: String,
    /// The key last tried, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A state of the instance that asks for action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// There is no key at all: nothing can be answered.
    NoKeys,
    /// There are keys, but none can answer now.
    NoKeyReady,
    /// No client token exists, so no client can use this instance.
    NoTokens,
    /// The database cannot be reached; requests are answered from memory, records wait.
    DatabaseUnreachable,
    /// Records cannot be written; requests go on.
    DatabaseFailing,
    /// There is no sealing key, so secrets entered in the panel are not stored.
    NoSealingKey,
    /// Secrets are in the database in clear.
    StoredInClear,
    /// A saved setting takes effect at the next start.
    RestartNeeded,
    /// At least one key begins with `AIza`, a shape that Google is switching off.
    LegacyKeys,
}

/// The protocols a client can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// OpenAI: `/v1/...`
    Openai,
    /// Google's own: `/v1beta/...`
    Gemini,
    /// Anthropic: `/v1/messages`
    Anthropic,
}

/// One key of the pool, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyView {
    /// Its number in this instance.
    pub id: i64,
    /// What the user calls it; may be empty.
    pub label: String,
    /// The key with its middle left out, e.g. `AIza…x3Fq`.
    pub masked: String,
    /// Where it came from.
    pub origin: Origin,
    /// It is of Vertex AI's express mode; known once Google has been asked.
    #[serde(default)]
    pub express: bool,
    /// What it can do now.
    pub state: KeyState,
    /// Models this key must not be asked for at the moment.
    pub cooldowns: Vec<Cooldown>,
    /// Attempts on this key since midnight in the server's time zone.
    pub requests_today: u64,
    /// Those of them that failed.
    pub errors_today: u64,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Millis>,
    /// What Google said when it last failed, scrubbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was added.
    pub added_at: Millis,
    /// What the user has chosen about it.
    #[serde(default)]
    pub rules: KeyRules,
    /// The number of its Google project, where Google told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The proxy that it always goes through, without a password; absent where none are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<String>,
}

/// Where a key or a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Entered in the panel or the app.
    Panel,
    /// From `API_KEYS` or `ALLOWED_TOKENS`; can be changed only there.
    Environment,
}

/// The state machine of one key. Every screen shows this, never a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum KeyState {
    /// Not used yet, so nobody knows; it takes part in the rotation.
    Unchecked,
    /// The last attempt that said something about the key itself went well.
    Ready,
    /// It works, and rests for some of the models that it was asked for.
    Limited,
    /// It rests for every model it was asked for; the first of them is free again then.
    Cooling {
        /// When it takes part again.
        until: Millis,
    },
    /// Google refuses it; it takes no part until it is checked with success or enabled again.
    Rejected {
        /// Why.
        reason: RejectReason,
    },
    /// The user switched it off.
    Disabled,
}

/// Why Google refuses a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// `API_KEY_INVALID`: mistyped, deleted or expired.
    Invalid,
    /// `CONSUMER_SUSPENDED`: Google suspended the project.
    Suspended,
    /// Reported as leaked: Google has blocked it for good.
    Leaked,
    /// `SERVICE_DISABLED`: the Generative Language API is off in its project.
    ServiceDisabled,
    /// Any other refusal of the credential (401, 403).
    Refused,
}

/// A model that a key must not be asked for until a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cooldown {
    /// The model's name, without `models/`.
    pub model: String,
    /// When it may be asked again.
    pub until: Millis,
    /// Which limit was met.
    pub reason: CooldownReason,
}

/// Which limit was met, or what else keeps a project from being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CooldownReason {
    /// Requests a minute.
    PerMinute,
    /// Input tokens a minute.
    TokensPerMinute,
    /// The day's quota; it returns at midnight Pacific time.
    PerDay,
    /// The model is not part of this key's tier (`limit: 0`).
    NotInTier,
    /// No limit: Google refuses the model to this key's project, whatever is asked of it. What it
    /// said is the key's last error.
    ProjectRefused,
    /// A limit that is none of these.
    Unexplained,
}

/// What the pool can still do, by model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolView {
    /// Each model that was asked for today, by name.
    pub models: Vec<PoolModel>,
}

/// What the pool can still do of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolModel {
    /// The model, without `models/`.
    pub model: String,
    /// Projects that can be asked for it now.
    pub ready: u32,
    /// Projects that have a usable key.
    pub projects: u32,
    /// When the first is back, when none is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ready_at: Option<Millis>,
    /// Requests in the last minute.
    pub requests_minute: u64,
    /// Input tokens in the last minute.
    pub tokens_minute: u64,
    /// Requests since midnight in California, where Google's day begins.
    pub requests_today: u64,
    /// How many requests can be sent within this minute; absent when a limit is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_minute: Option<u64>,
    /// How many are left today; absent when a limit is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_today: Option<u64>,
    /// How many requests wait for a key.
    pub waiting: u32,
}

/// Which cooldowns to forget, with all that is known of the quotas behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ClearCooldowns {
    /// Of these keys; of all when it is empty.
    pub keys: Vec<i64>,
    /// Of this model; of all when it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A key that takes another's place.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyReplace {
    /// The new key, and nothing else.
    pub key: String,
}

/// What the user has chosen about a key, besides its label and whether it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct KeyRules {
    /// Keys with the same name here belong to one Google project and share its quota. Absent:
    /// a project of its own, until Google tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whether its project pays.
    pub tier: Tier,
    /// How often it is used in proportion to others, where the pool goes by weight; 1 to 100.
    pub weight: u32,
    /// Models it may be asked for; `*` at the end of a name stands for anything. Empty means all.
    pub models: Vec<String>,
    /// Models it must not be asked for.
    pub not_models: Vec<String>,
    /// The proxy of the list `PROXIES` that it goes through, as that is shown (without a
    /// password), or `direct`. Absent, or no longer in the list: the program chooses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

impl Default for KeyRules {
    fn default() -> Self {
        Self {
            project: None,
            tier: Tier::Free,
            weight: 1,
            models: Vec::new(),
            not_models: Vec::new(),
            proxy: None,
        }
    }
}

/// Whether a project pays. Free ones are asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// It does not.
    #[default]
    Free,
    /// It does.
    Paid,
}

/// Text that contains keys: lines, commas, JSON, CSV, a `.env` line, anything.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// What the user pasted. Holds secrets, typed in.
    pub text: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// Keys that are new, masked, in the order found.
    pub added: Vec<String>,
    /// Keys that were there already or came twice, masked.
    pub duplicates: Vec<String>,
    /// Pieces of the text that look like an attempt at a key but cannot be one.
    pub rejected: Vec<RejectedPiece>,
}

/// A piece of pasted text that cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedPiece {
    /// Line of the text, counted from 1.
    pub line: u32,
    /// The piece, masked like a key.
    pub masked: String,
    /// Why it cannot be one.
    pub reason: NotAKey,
}

/// Why a piece of text cannot be a Gemini key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotAKey {
    /// Shorter than 20 characters.
    TooShort,
    /// Longer than 200 characters.
    TooLong,
    /// An OAuth access token (`ya29.…`) or a JWT (`eyJ…`): these expire within the hour.
    ShortLivedToken,
    /// A key of another vendor (`sk-…`, `gsk_…`, …).
    OtherVendor,
    /// Has characters that no key has.
    BadCharacters,
}

/// A change to one key; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    /// The new label; at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Switch it on (which also forgets cooldowns and a refusal) or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// All rules anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<KeyRules>,
}

/// What Google said when a key was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyCheck {
    /// The key after the check.
    pub key: KeyView,
    /// Google lists its models for this key.
    pub ok: bool,
    /// What Google said when it did not, scrubbed.
    pub message: String,
    /// How long Google took, in milliseconds.
    pub latency_ms: u64,
}

/// A client token, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Its number in this instance; negative for tokens of the environment.
    pub id: i64,
    /// What the user calls it.
    pub name: String,
    /// Its first and last characters.
    pub masked: String,
    /// Where it came from.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Millis,
    /// When a client last used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Millis>,
    /// What it may do.
    #[serde(flatten)]
    pub rules: TokenRules,
    /// What was done with it.
    pub usage: TokenUsage,
}

/// What a client token may do, and in which style its clients are answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TokenRules {
    /// From then on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// Requests a day (of the server's time zone).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpd: Option<u32>,
    /// Tokens a day, input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Models it may use; `*` at the end of a name stands for anything. Empty means all.
    pub models: Vec<String>,
    /// How thoughts reach its clients.
    pub thoughts: ThoughtStyle,
    /// How generated media reach its clients.
    pub media: MediaStyle,
    /// How the sources of a search reach OpenAI's and Anthropic's clients.
    pub citations: CitationStyle,
}

/// How the sources of a search reach clients of OpenAI's and Anthropic's protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CitationStyle {
    /// Where the protocol has a place for them (`annotations`, `web_search_tool_result`).
    #[default]
    Native,
    /// As a list of links behind the text, too, which every client shows.
    Text,
}

/// How a model's thoughts reach clients of OpenAI's and Anthropic's protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ThoughtStyle {
    /// Where the protocol has a place for them (`reasoning_content`, thinking blocks).
    #[default]
    Native,
    /// In the text, between `<think>` and `</think>`.
    Inline,
    /// Not at all.
    Hidden,
}

/// How generated media reach clients of OpenAI's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MediaStyle {
    /// As markdown in the text, which every client shows.
    #[default]
    Markdown,
    /// In `message.images`, beside the text.
    Field,
}

/// What was done with a client token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenUsage {
    /// Requests since midnight in the server's time zone.
    pub requests_today: u64,
    /// Those of them that failed.
    pub errors_today: u64,
    /// Tokens since then, input and output together.
    pub tokens_today: u64,
    /// Requests that are being answered now.
    pub running: u32,
}

/// A change to one client token; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenPatch {
    /// What to call it; 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All rules anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<TokenRules>,
}

/// A wish for a new client token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// What to call it; 1 to 100 characters.
    pub name: String,
    /// What it may do; everything when absent.
    #[serde(default)]
    pub rules: TokenRules,
}

/// A new client token. The only moment at which it can be seen.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenCreated {
    /// How it will be shown from now on.
    pub token: TokenView,
    /// The token itself. A secret: shown once, never stored in clear.
    pub secret: String,
}

/// One model that the pool can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelView {
    /// Its id, without `models/`.
    pub id: String,
    /// Google's name for people.
    pub display_name: String,
    /// It answers `generateContent`.
    pub generates: bool,
}

/// Where clients find this instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectInfo {
    /// Base URL by protocol; a protocol that this version does not speak is absent.
    pub endpoints: Vec<Endpoint>,
    /// A model that every key can use, for examples and the test request.
    pub example_model: String,
    /// Which Gemini model answers for another vendor's name, the most specific first.
    #[serde(default)]
    pub names: Vec<ModelName>,
}

/// A row of the table of names (`MODEL_MAP`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelName {
    /// What clients send; `*` stands for anything.
    pub name: String,
    /// The Gemini model that answers, with the endings that it is asked with.
    pub model: String,
}

/// One protocol's base URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Endpoint {
    /// The protocol.
    pub surface: Surface,
    /// What a client's "base URL" field wants.
    pub base_url: String,
}

/// One real request through the pool, asked for by the panel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// The protocol to try.
    pub surface: Surface,
    /// The model to ask.
    pub model: String,
    /// What to ask; a short greeting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// What came back from the test request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestAnswer {
    /// A client would have got this HTTP status.
    pub status: u16,
    /// The model's text, or the error message.
    pub text: String,
    /// From request to the end of the answer, in milliseconds.
    pub latency_ms: u64,
    /// The key that answered (or was last tried), masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The Gemini model that was asked, which may have another name than the one given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}
