//! Settings: what they are, where each value comes from, and how they are changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Millis;

/// All settings, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// Every setting there is.
    pub settings: Vec<SettingView>,
    /// Grows with every change; a change names the one it was made on.
    pub revision: i64,
}

/// One setting: its declaration and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingView {
    /// The name of its environment variable, e.g. `MAX_RETRIES`.
    pub name: String,
    /// Where it is shown.
    pub group: SettingGroup,
    /// What it holds.
    pub kind: SettingKind,
    /// A short name for people.
    pub title: Texts,
    /// What it does, in one or two sentences.
    pub help: Texts,
    /// The value when nobody sets one, written as in the environment; empty means none.
    pub default: String,
    /// The value that is saved or given, written as in the environment. Absent for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Somebody set it, i.e. its value is not the default. The only thing told of a secret.
    pub is_set: bool,
    /// Its value must not be shown; typing a new one is possible.
    pub secret: bool,
    /// Where the value comes from.
    pub provenance: Provenance,
    /// When a change takes effect.
    pub applies: Applies,
    /// It is needed before the database is open, so only the environment or a flag sets it.
    pub environment_only: bool,
    /// A change has been saved that takes effect at the next start.
    pub pending_restart: bool,
    /// Two places set it, and one of them lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<SettingConflict>,
}

/// The same text in the languages of the panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Texts {
    /// Simplified Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Texts {
    /// The text in both.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }
}

/// A text of an instance that knows English only, or of a report that it kept, stands for both.
fn in_one_or_both<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Both(Texts),
        One(String),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Both(texts) => texts,
        Either::One(text) => Texts::new(text.clone(), text),
    })
}

/// Groups of settings, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SettingGroup {
    /// Keys, tokens and passwords given by the environment.
    Access,
    /// The way to Google.
    Upstream,
    /// What is done to requests and answers of models.
    Models,
    /// Address, port and limits of this server.
    Server,
    /// The database and its backups.
    Data,
    /// Logs, metrics and how long they are kept.
    Logging,
}

/// What a setting holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SettingKind {
    /// Any text.
    Text,
    /// Several texts: a JSON list, or separated by commas, semicolons or lines.
    List,
    /// A whole number in a range, both ends included.
    Integer {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// `true` or `false`.
    Boolean,
    /// An `http` or `https` address.
    Url,
    /// An IP address.
    Ip,
    /// A folder on the server.
    Folder,
    /// A file on the server, or its content.
    File,
    /// The IANA name of a time zone.
    TimeZone,
    /// One of these words.
    Choice {
        /// What may be chosen.
        words: Vec<String>,
    },
    /// A JSON object of names and values.
    Map,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Provenance {
    /// Nobody set it.
    Default,
    /// An environment variable or a flag of the command line.
    Environment,
    /// Saved in the panel (or imported, or taken over from the original program).
    Panel {
        /// When.
        at: Millis,
    },
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Applies {
    /// At once.
    Live,
    /// At the next start.
    Restart,
}

/// Two places set a setting; the newer one wins. (An environment value is newer when it
/// differs from the one seen at the last start.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SettingConflict {
    /// The environment has another value, which is older than the one saved in the panel.
    EnvironmentIgnored {
        /// What the environment says; absent for a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<String>,
    },
    /// The panel's value was replaced because the environment changed after it.
    PanelReplaced {
        /// When.
        at: Millis,
        /// What the panel had saved; absent for a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        panel: Option<String>,
    },
}

/// A change of settings; nothing of it is saved unless all of it is acceptable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// By name: the new value written as in the environment, or null to forget the panel's
    /// value (what the environment or the default says then holds). May hold secrets.
    pub values: BTreeMap<String, Option<String>>,
    /// The revision on which the change was made.
    pub revision: i64,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a change did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsReport {
    /// What is different; a value that is given but equal is absent.
    pub changes: Vec<SettingDiff>,
    /// Why nothing was (or would be) saved; empty when all is acceptable.
    pub problems: Vec<SettingProblem>,
    /// The revision after the change.
    pub revision: i64,
    /// The entry of the audit log by which it can be undone; absent when nothing was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_id: Option<i64>,
}

/// One setting before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingDiff {
    /// The setting.
    pub name: String,
    /// Effective value before; absent for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Effective value after; absent for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The values are not shown.
    pub secret: bool,
    /// When it takes effect.
    pub applies: Applies,
}

/// A value that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingProblem {
    /// The setting.
    pub name: String,
    /// What is wrong, and what is accepted.
    #[serde(deserialize_with = "in_one_or_both")]
    pub reason: Texts,
}

/// The settings as lines of a `.env` file. Secrets are named, not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvFile {
    /// The file's content.
    pub text: String,
}

/// A wish for a file with the whole configuration.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Encrypts the file (age format) and thereby lets secrets in; without it the file is
    /// plain JSON without secrets. A secret, typed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

/// A file with the whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportFile {
    /// What to call it, e.g. `gemini-balance-2026-11-25.age`.
    pub file_name: String,
    /// Its content: JSON, or an armoured age file.
    pub text: String,
}

/// A configuration to take in: our export (plain or encrypted), a `.env` file, or the
/// original program's `.env`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// The file's content. May hold secrets.
    pub text: String,
    /// What opens an encrypted file. A secret, typed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an import did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferReport {
    /// What the file turned out to be.
    pub format: TransferFormat,
    /// Settings that become different.
    pub settings: Vec<SettingDiff>,
    /// Gemini keys that are new, masked.
    pub keys_added: Vec<String>,
    /// Gemini keys that are there already, masked.
    pub keys_known: Vec<String>,
    /// Names of client tokens that are new.
    pub tokens_added: Vec<String>,
    /// Names of client tokens that are there already.
    pub tokens_known: Vec<String>,
    /// Names in the file that mean nothing here, each with the reason.
    pub ignored: Vec<SettingProblem>,
    /// Why nothing was (or would be) saved; empty when all is acceptable.
    pub problems: Vec<SettingProblem>,
    /// The entry of the audit log by which it can be undone; absent when nothing was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_id: Option<i64>,
}

/// What a file to import turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TransferFormat {
    /// Our export, plain.
    Json,
    /// Our export, encrypted.
    Encrypted,
    /// Lines of `NAME=value`.
    Env,
}

/// A page of the audit log, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// At most `limit` entries.
    pub entries: Vec<AuditEntry>,
    /// What to send as `before` for older ones; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// One change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Millis,
    /// Through what the change came.
    pub actor: Actor,
    /// The address it came from, when it came over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What was done.
    pub action: AuditAction,
    /// What it was done to: a key (masked), a token's name, a setting's name; may be empty.
    pub subject: String,
    /// Settings before and after; secrets only as changed.
    pub changes: Vec<SettingDiff>,
    /// Undoing it is possible.
    pub undoable: bool,
}

/// Through what a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The panel in a browser, signed in.
    Panel,
    /// The desktop window.
    Desktop,
    /// The command line.
    CommandLine,
    /// The environment was changed before a start.
    Environment,
    /// The program itself, e.g. a scheduled backup.
    Program,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Settings were changed.
    SettingsChanged,
    /// A configuration was imported.
    Imported,
    /// The original program's database was taken over.
    TakenOver,
    /// A change was undone.
    Undone,
    /// Gemini keys were added.
    KeysAdded,
    /// A Gemini key was changed (label, on, off).
    KeyChanged,
    /// A Gemini key took another's place.
    KeyReplaced,
    /// A Gemini key was deleted.
    KeyDeleted,
    /// A deleted Gemini key came back.
    KeyRestored,
    /// A client token was made.
    TokenCreated,
    /// A client token's limits were changed.
    TokenChanged,
    /// A client token was revoked.
    TokenRevoked,
    /// Somebody signed in.
    SignedIn,
    /// All sessions were ended.
    SignedOutEverywhere,
    /// The password was changed.
    PasswordChanged,
    /// The second factor was switched on.
    SecondFactorOn,
    /// The second factor was switched off.
    SecondFactorOff,
    /// The configuration was exported.
    Exported,
    /// A backup was restored.
    BackupRestored,
    /// The sealing key was replaced.
    SealingKeyRotated,
    /// Storing secrets in clear was agreed to.
    ClearStorageAgreed,
    /// Records were deleted by hand.
    RecordsDeleted,
    /// An account with a cloud provider was added.
    AccountAdded,
    /// An account with a cloud provider was removed.
    AccountRemoved,
    /// A remote was deployed, or a run of it was begun.
    RemoteDeployed,
    /// A remote was changed: restarted, stopped, rolled back, pushed to.
    RemoteChanged,
    /// A remote was deleted, or forgotten.
    RemoteDeleted,
    /// Requests were sent through another remote, or straight to Google again.
    RouteChanged,
}
