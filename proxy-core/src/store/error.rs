use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::{ApiError, ErrorCode};

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a server.
    Mysql {
        /// Host and port, or the path of the socket.
        server: String,
        /// Its name there.
        database: String,
    },
}

impl Place {
    /// Which setting chooses another one.
    fn elsewhere(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "choose another folder with DATA_DIR",
            Self::Mysql { .. } => "choose another database with MYSQL_DATABASE",
        }
    }

    /// What makes it writable.
    fn writable(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "make it and its folder writable for the user that runs this program (a \
                 container needs a writable volume), or choose another folder with DATA_DIR"
            }
            Self::Mysql { .. } => {
                "the server is read-only at the moment (a replica, or its disk is nearly full). \
                 Make it writable, or point MYSQL_HOST to the one that is"
            }
        }
    }

    /// How one begins with an empty database.
    fn anew(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "move the database away",
            Self::Mysql { .. } => "choose an empty database with MYSQL_DATABASE",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "the database {}", path.display()),
            Self::Mysql { server, database } => write!(f, "the database {database} on {server}"),
        }
    }
}

/// Why the database cannot be used. Each says which one, and the way out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder of the file cannot be made.
    #[error(
        "cannot make the data folder {}: {what}. Choose another one with DATA_DIR", path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// The system does not let this user open the file.
    #[error(
        "no permission to use the database {}: make it and its folder readable and writable \
         for the user that runs this program, or choose another folder with DATA_DIR", .0.display()
    )]
    Denied(PathBuf),
    /// It cannot be written.
    #[error("{0} cannot be written: {way}", way = .0.writable())]
    ReadOnly(Arc<Place>),
    /// The file is no database, or a damaged one.
    #[error(
        "the database {} is damaged, or is another kind of file. It was left as it is: put a \
         backup in its place, or move it (with its -wal and -shm files) away to begin with an \
         empty one", .0.display()
    )]
    Damaged(PathBuf),
    /// Another program's database.
    #[error(
        "{0} belongs to another program, so it was left as it is. To go on, {way}",
        way = .0.elsewhere()
    )]
    Foreign(Arc<Place>),
    /// Made by a newer version of this program.
    #[error(
        "{0} was made by a newer version of Gemini Balance, so it was left as it is. Start \
         that version or a later one, or {way}", way = .0.elsewhere()
    )]
    Newer(Arc<Place>),
    /// The secrets in it were sealed with another master key.
    #[error(
        "the secrets in {0} are sealed with another master key. Start with the SECRET_KEY (or \
         the file master.key, or the keychain entry) that was used last: after \
         `gemini-balance rotate-key` the new one. If it is lost, {way} and enter your Gemini \
         keys again", way = .0.anew()
    )]
    OtherMasterKey(Arc<Place>),
    /// Another process holds the write lock.
    #[error(
        "{0} is held by another program. Stop the other Gemini Balance (or the backup) that \
         uses it and try again, or {way}", way = .0.elsewhere()
    )]
    Busy(Arc<Place>),
    /// No space left.
    #[error("there is no space left for {0}: free some, then it goes on")]
    Full(Arc<Place>),
    /// No connection.
    #[error(
        "{place} cannot be reached: {what}. Check MYSQL_HOST and MYSQL_PORT, that the server \
         runs and lets this machine in, and MYSQL_SSL_MODE when it is about TLS"
    )]
    Unreachable {
        /// The database.
        place: Arc<Place>,
        /// What the network said.
        what: String,
    },
    /// Known to be out of reach, so it was not asked.
    #[error(
        "{0} cannot be reached at the moment, so nothing can be looked up or changed there. It \
         is connected to again by itself; the Data page says what is wrong"
    )]
    Away(Arc<Place>),
    /// Not open at the moment.
    #[error("{0} is closed, or just being exchanged for a backup: try again in a moment")]
    Closed(Arc<Place>),
    /// The server does not let the user in.
    #[error(
        "{place} refuses the user: {what}. Check MYSQL_USER, MYSQL_PASSWORD and the user's rights"
    )]
    Refused {
        /// The database.
        place: Arc<Place>,
        /// What the server said.
        what: String,
    },
    /// The server has no such database, and it cannot be made.
    #[error(
        "{place} does not exist and cannot be made: {what}. Make it by hand (CREATE DATABASE), \
         or give the user the right to"
    )]
    NoDatabase {
        /// The database.
        place: Arc<Place>,
        /// What the server said.
        what: String,
    },
    /// There is no key to seal a secret with.
    #[error(
        "there is no key to seal secrets with, so none is stored: set SECRET_KEY and start \
         again, or agree in the panel to store secrets in clear"
    )]
    NoSealingKey,
    /// The thing to change came from the environment.
    #[error("{0}")]
    FromEnvironment(&'static str),
    /// A key that is to take another's place is a key of its own.
    #[error("{}", match is_deleted {
        true => "this key was here before and was deleted: add it as a new key, which brings it back \
                 with its number",
        false => "this key is in the pool already",
    })]
    KeyKnown {
        /// It was deleted.
        is_deleted: bool,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandom,
    /// The file with the master key cannot be used.
    #[error(transparent)]
    KeyFile(Arc<vault::KeyFileError>),
    /// The host of a server database backs it up.
    #[error("{0} is backed up by its host, not here: ask there for a copy, or use mariadb-dump")]
    NoBackups(Arc<Place>),
    /// There is no backup of that name.
    #[error("there is no backup named {0}; the list of backups has all names")]
    NoBackup(String),
    /// A backup that cannot be restored.
    #[error("the backup {name} cannot be restored: {what}. Nothing was changed")]
    BadBackup {
        /// Its name.
        name: String,
        /// What is wrong with it, and the way out.
        what: String,
    },
    /// Anything else.
    #[error("{place} failed: {what}")]
    Failed {
        /// The database.
        place: Arc<Place>,
        /// What it said.
        what: String,
    },
}

impl StoreError {
    /// What `error` means for the database at `place`.
    pub(super) fn of(place: &Arc<Place>, error: sqlx::Error) -> Self {
        match &**place {
            Place::Sqlite(path) => Self::of_sqlite(place, path, &error),
            Place::Mysql { .. } => Self::of_mysql(place, &error),
        }
    }

    fn of_sqlite(place: &Arc<Place>, path: &Path, error: &sqlx::Error) -> Self {
        let code = match error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        // The low byte is the primary result code (https://sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(place.clone()),
            Some(8) => Self::ReadOnly(place.clone()),
            Some(11 | 26) => Self::Damaged(path.to_path_buf()),
            Some(13) => Self::Full(place.clone()),
            Some(3 | 14 | 23) => Self::Denied(path.to_path_buf()),
            _ => Self::failed(place, error),
        }
    }

    fn of_mysql(place: &Arc<Place>, error: &sqlx::Error) -> Self {
        let place = place.clone();
        let number = super::mysql::number(error);
        let what = error.to_string();
        // https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
        match (number, error) {
            // ER_OPTION_PREVENTS_STATEMENT (--read-only), ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
            // ER_READ_ONLY_MODE
            (Some(1290 | 1792 | 1836), _) => Self::ReadOnly(place),
            // ER_RECORD_FILE_FULL, ER_DISK_FULL, ER_GET_ERRNO and ER_ERROR_ON_WRITE with "28
            // No space left on device"
            (Some(1114 | 1021), _) => Self::Full(place),
            (Some(1030 | 1026 | 3), _) if what.contains("28") => Self::Full(place),
            // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK; TiDB's ErrWriteConflict, which is about one
            // transaction and goes well when it is tried again
            (Some(1205 | 1213 | 9007), _) => Self::Busy(place),
            // ER_ACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR,
            // ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_MUST_CHANGE_PASSWORD…
            (Some(1044 | 1045 | 1142 | 1227 | 1698 | 1820), _) => Self::Refused { place, what },
            // ER_BINLOG_STMT_MODE_AND_ROW_ENGINE
            (Some(1665), _) => {
                let way = "on the server set binlog_format=ROW, or MIXED; STATEMENT cannot hold \
                           what depends on other changes at the same moment";
                let what = format!("{what} ({way})");
                Self::Failed { place, what }
            }
            // ER_BAD_DB_ERROR
            (Some(1049), _) => Self::NoDatabase { place, what },
            // ER_HOST_IS_BLOCKED
            (Some(1129), _) => {
                let way = "on the server run FLUSH HOSTS (mariadb-admin flush-hosts), which lets \
                           this machine in again";
                let what = format!("{what} ({way})");
                Self::Unreachable { place, what }
            }
            // ER_HOST_NOT_PRIVILEGED
            (Some(1130), _) => {
                let way = "on the server make the user for this machine's address, or for '%'; \
                           a hosted one has a list of addresses that may connect";
                let what = format!("{what} ({way})");
                Self::Unreachable { place, what }
            }
            // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED,
            // ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED, ER_NEW_ABORTING_CONNECTION;
            // ER_UNKNOWN_COM_ERROR, by which a node of a Galera cluster says that it has not
            // joined; ER_NET_READ_ERROR, ER_NET_READ_INTERRUPTED, ER_NET_ERROR_ON_WRITE,
            // ER_NET_WRITE_INTERRUPTED
            (Some(1040 | 1203 | 1226 | 1053 | 1927 | 1184 | 1047 | 1158..=1161), _)
            // TiDB: its parts do not reach one another, or it cannot tell whether a table is as
            // it was (https://docs.pingcap.com/tidb/stable/error-codes)
            | (Some(9001..=9006 | 8027), _) => Self::Unreachable { place, what },
            (
                None,
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => Self::Unreachable { place, what },
            _ => Self::Failed { place, what },
        }
    }

    pub(super) fn failed(place: &Arc<Place>, what: &impl ToString) -> Self {
        Self::Failed {
            place: place.clone(),
            what: what.to_string(),
        }
    }

    /// The same, said of a backup that was to be restored.
    pub(super) fn of_backup(self, name: &str) -> Self {
        let what = match self {
            Self::Damaged(_) => "it is damaged, or is another kind of file",
            Self::Foreign(_) => "it is not a database of Gemini Balance",
            Self::Newer(_) => {
                "it was made by a newer version of Gemini Balance; start that version or a later \
                 one"
            }
            Self::OtherMasterKey(_) => {
                "its keys were sealed with another master key; put back the SECRET_KEY (or the \
                 file master.key, or the keychain entry) that was used when it was made"
            }
            other => return other,
        };
        Self::BadBackup {
            name: name.to_owned(),
            what: what.to_owned(),
        }
    }

    /// Whether the database is out of reach, whatever one asks of it.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Refused { .. } | Self::NoDatabase { .. }
        )
    }

    /// Whether it answers but takes nothing.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly(_) | Self::Full(_) | Self::Denied(_))
    }

    /// Whether a later try may go well without anybody changing a setting of this program.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_outage()
            || self.is_read_only()
            || matches!(self, Self::Busy(_) | Self::Away(_) | Self::Closed(_))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::FromEnvironment(_)
            | StoreError::KeyKnown { .. }
            | StoreError::BadBackup { .. }
            | StoreError::NoBackups(_) => ErrorCode::InvalidInput,
            StoreError::NoBackup(_) => ErrorCode::NotFound,
            StoreError::NoSealingKey => ErrorCode::SealingKeyNeeded,
            _ => ErrorCode::Database,
        };
        Self::new(code, error.to_string())
    }
}
