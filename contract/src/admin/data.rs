//! The database, how secrets are kept in it, and its backups.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// What is known of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DataView {
    /// Which database.
    pub engine: Engine,
    /// Whether it can be used.
    pub state: DatabaseState,
    /// The number of the newest migration.
    pub schema: i64,
    /// Its size in bytes, as far as the database tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Rows in the request log (an estimate on MySQL).
    pub request_rows: u64,
    /// When the oldest request of the log ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_request: Option<Millis>,
    /// Records on disk that wait for the database.
    pub spooled_records: u64,
    /// Records lost since start because too many waited.
    pub dropped_records: u64,
    /// How secrets are kept.
    pub sealing: Sealing,
    /// What was taken over from the original program's database, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Takeover>,
    /// Backups can be made here (SQLite only; MySQL's belong to its host).
    pub backups_supported: bool,
    /// Backups, the newest first.
    pub backups: Vec<BackupView>,
}

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "engine", rename_all = "snake_case")]
pub enum Engine {
    /// A file beside the program.
    Sqlite {
        /// The file.
        path: String,
    },
    /// MySQL, MariaDB or TiDB.
    Mysql {
        /// Host and port, or the path of the socket.
        server: String,
        /// The database's name.
        database: String,
        /// What the server calls itself, e.g. `10.11.6-MariaDB`; empty when never reached.
        version: String,
        /// The connection is encrypted.
        tls: bool,
    },
}

/// The state machine of the connection to the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DatabaseState {
    /// It answers and can be written.
    Ready,
    /// It cannot be reached; requests are answered from memory, records wait on disk.
    Unreachable {
        /// Since when.
        since: Millis,
        /// What went wrong, and what to do.
        message: String,
    },
    /// It answers, but cannot be written (read-only, full); records wait on disk.
    ReadOnly {
        /// Since when.
        since: Millis,
        /// What went wrong, and what to do.
        message: String,
    },
}

/// How secrets are kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// Sealed with a key made from `SECRET_KEY`.
    SecretKey,
    /// Sealed with the key file in the data folder.
    KeyFile,
    /// Sealed with a key that the desktop app keeps in the OS keychain.
    Keychain,
    /// There is no key: secrets are not stored, only those of the environment work.
    NotStored,
    /// There is no key, and the user agreed to store secrets in clear.
    Clear,
}

/// What was taken over from the original program's database. It was left untouched there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Takeover {
    /// When.
    pub at: Millis,
    /// Gemini keys that were taken over.
    pub keys: u32,
    /// Client tokens that were taken over.
    pub tokens: u32,
    /// Settings that were taken over, by our names.
    pub settings: Vec<String>,
    /// The panel's token was taken over: the old password signs in.
    pub auth_token: bool,
    /// Uploaded files that were known.
    pub files: u32,
    /// Days of request log that were summed up.
    pub log_days: u32,
    /// Settings that mean nothing here, each with the reason.
    pub ignored: Vec<super::SettingProblem>,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupView {
    /// Its file's name in the folder of backups.
    pub name: String,
    /// When it was made.
    pub at: Millis,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Why it was made.
    pub reason: BackupReason,
}

/// Why a backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BackupReason {
    /// By schedule.
    Scheduled,
    /// By hand.
    Manual,
    /// Before the tables were changed by a newer version.
    BeforeMigration,
    /// Before another backup was restored.
    BeforeRestore,
}
