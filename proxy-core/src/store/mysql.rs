//! The MySQL engine: MySQL 8, MariaDB 10.6 and later, TiDB. How one connects, how the
//! database is made, checked and migrated.
//!
//! Deliberately absent: sessions with settings of their own beyond the time zone and the
//! character set that sqlx sets, because hosts put proxies in between that drop them.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, MySqlPool};
use vault::Secret;

use super::StoreError;
use super::database::{Connections, Pools};
use super::error::Place;

/// The numbered changes that lead from an empty database to this version's. The table that
/// counts them has a name of its own: a database may be shared with other programs.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../migrations/mysql");
    migrations.dangerous_set_table_name(MIGRATIONS_TABLE);
    // See `lock`.
    migrations.set_locking(false);
    migrations
});
const MIGRATIONS_TABLE: &str = "gemini_balance_migrations";

/// All tables of this program but [`MIGRATIONS_TABLE`], which is small. A database may have
/// others, of other programs.
const OWN: [&str; 17] = [
    "audit",
    "call_signatures",
    "client_tokens",
    "counters",
    "documents",
    "environment_seen",
    "express_keys",
    "gemini_keys",
    "kept_responses",
    "key_rules",
    "panel",
    "record_writers",
    "requests",
    "resource_owners",
    "sessions",
    "settings",
    "sums",
];

/// The statement that asks how large they are, as `bytes`.
pub(super) fn size_of_own() -> String {
    let names = OWN.map(|name| format!("'{name}'")).join(", ");
    format!(
        "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) AS bytes \
         FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name IN ({names})"
    )
}

/// Free servers allow few connections.
const CONNECTIONS: u32 = 5;
/// Below the five minutes after which balancers in front of hosted servers drop silently.
const IDLE: Duration = Duration::from_secs(240);
const LIFETIME: Duration = Duration::from_secs(300);
/// How long connecting may take; a database that sleeps when it is not used takes a while.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long one waits for a connection that is there already or soon. The panel waits for
/// this; no client does.
const POOL_PATIENCE: Duration = Duration::from_secs(4);
/// How long one waits for another process that is migrating, before one tries again later.
const LOCK_PATIENCE_SECONDS: i64 = 5;
/// How long the tables may take to be changed: a migration of large ones takes its time.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(600);

/// Where a MySQL server is and how one gets in.
#[derive(Clone, Debug)]
pub struct MysqlConfig {
    /// Host name or address; unused when there is a socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path of a unix socket.
    pub socket: Option<PathBuf>,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database; made when it is missing and the user may.
    pub database: String,
    /// Whether and how strictly the connection is encrypted.
    pub tls: TlsMode,
    /// The certificate authority of the server: a file, or the PEM text itself; the system's
    /// when absent.
    pub tls_ca: Option<String>,
}

/// Whether and how strictly a connection is encrypted
/// (<https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// When the server can, without checking who it is.
    #[default]
    Preferred,
    /// Always, without checking who it is.
    Required,
    /// Always, with a certificate of the authority.
    VerifyCa,
    /// Always, with a certificate of the authority that has the host's name.
    VerifyIdentity,
}

impl TlsMode {
    /// The mode of this name, e.g. `VERIFY_CA` or `verify_ca`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "disabled" => Self::Disabled,
            "preferred" => Self::Preferred,
            "required" => Self::Required,
            "verify_ca" => Self::VerifyCa,
            "verify_identity" => Self::VerifyIdentity,
            _ => return None,
        })
    }
}

impl MysqlConfig {
    pub(super) fn place(&self) -> Place {
        let server = match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.host, self.port),
        };
        Place::Mysql {
            server,
            database: self.database.clone(),
        }
    }

    fn tls(&self) -> MySqlSslMode {
        match self.tls {
            // A socket leaves the machine as little as a file does.
            _ if self.socket.is_some() => MySqlSslMode::Disabled,
            TlsMode::Preferred => MySqlSslMode::Preferred,
            TlsMode::Disabled => MySqlSslMode::Disabled,
            TlsMode::Required => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyIdentity => MySqlSslMode::VerifyIdentity,
        }
    }

    /// Whether the connection is surely encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        !matches!(self.tls(), MySqlSslMode::Disabled | MySqlSslMode::Preferred)
    }

    pub(super) fn options(&self) -> MySqlConnectOptions {
        let mut options = MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .ssl_mode(self.tls())
            // Their number would bury the rest of the log.
            .disable_statement_logging();
        if let Some(socket) = &self.socket {
            options = options.socket(socket);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        match self.tls_ca.as_deref() {
            Some(pem) if pem.contains("-----BEGIN") => {
                // Platforms put a text of several lines into a variable with `\n` in it.
                options.ssl_ca_from_pem(pem.replace("\\n", "\n").into_bytes())
            }
            Some(path) => options.ssl_ca(path),
            None => options,
        }
    }
}

/// Makes the database when it is missing, migrates it, and connects. Gives the server's
/// version, too.
pub(super) async fn open(config: &MysqlConfig) -> Result<(Connections, String), StoreError> {
    let place = Arc::new(config.place());
    let options = config.options().database(&config.database);
    let mut connection = match connect(&options, &place).await {
        Err(StoreError::NoDatabase { .. }) => {
            within(PATIENCE, &place, make_database(config, &place)).await?;
            connect(&options, &place).await?
        }
        result => result?,
    };
    let looked = async {
        let version: String = sqlx::query_scalar("SELECT VERSION()")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| StoreError::of(&place, error))?;
        lock(&mut connection, &place).await?;
        Ok((version, look_into(&mut connection, &place).await?))
    };
    let patience = PATIENCE + Duration::from_secs(LOCK_PATIENCE_SECONDS.unsigned_abs());
    let (version, found) = within(patience, &place, looked).await?;
    // What is there already must not be tried to be made: a server may be read-only.
    if found == Found::Older {
        let migrated = migrate(&mut connection, &place);
        within(MIGRATION_PATIENCE, &place, migrated).await?;
    }
    // A courtesy to the server; what was done stays done.
    let _ = connection.close().await;
    let pool: MySqlPool = MySqlPoolOptions::new()
        .max_connections(CONNECTIONS)
        .idle_timeout(Some(IDLE))
        .max_lifetime(Some(LIFETIME))
        .acquire_timeout(POOL_PATIENCE)
        .connect_lazy_with(options);
    let pools = Pools::Mysql(pool);
    Ok((Connections { pools, place }, version))
}

async fn connect(
    options: &MySqlConnectOptions,
    place: &Arc<Place>,
) -> Result<MySqlConnection, StoreError> {
    let connected = async {
        let connected = options.connect().await;
        connected.map_err(|error| StoreError::of(place, error))
    };
    within(PATIENCE, place, connected).await
}

/// Waits for a server as long as one may: a host that swallows packets would keep one waiting
/// for minutes, or for ever.
pub(super) async fn within<T>(
    patience: Duration,
    place: &Arc<Place>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unreachable {
            place: place.clone(),
            what: format!("no answer within {} seconds", patience.as_secs()),
        }),
    }
}

/// Connects once. Says why that fails, which a pool of connections does not: it tries again
/// and again and then has run out of time.
pub(super) async fn probe(config: &MysqlConfig) -> Result<(), StoreError> {
    let place = Arc::new(config.place());
    let options = config.options().database(&config.database);
    let connection = connect(&options, &place).await?;
    // A courtesy to the server.
    let _ = connection.close().await;
    Ok(())
}

/// `CREATE DATABASE`, where the user may.
async fn make_database(config: &MysqlConfig, place: &Arc<Place>) -> Result<(), StoreError> {
    let no_database = |error: sqlx::Error| StoreError::NoDatabase {
        place: place.clone(),
        what: error.to_string(),
    };
    let mut connection = config.options().connect().await.map_err(no_database)?;
    // A name cannot be bound; inside backticks only a backtick means anything.
    let name = config.database.replace('`', "``");
    let statement = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4");
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .map_err(no_database)?;
    let _ = connection.close().await;
    Ok(())
}

/// What is in a database before this program touches it.
pub(super) enum What {
    /// This version's tables.
    Current,
    /// An older version's.
    Older,
    /// Tables of a newer version.
    Newer,
    /// Tables of our names that are not ours.
    Foreign,
    /// Other tables or none: their names.
    Tables(Vec<String>),
}

/// What is in a database that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// This version's tables.
    Current,
    /// An older version's, or none.
    Older,
}

/// Looks what is there. A newer version's database, or one that has tables of our names without
/// being ours, is refused before anything is touched.
async fn look_into(
    connection: &mut MySqlConnection,
    place: &Arc<Place>,
) -> Result<Found, StoreError> {
    match what_is_in(connection, place).await? {
        What::Current => Ok(Found::Current),
        What::Older | What::Tables(_) => Ok(Found::Older),
        What::Newer => Err(StoreError::Newer(place.clone())),
        What::Foreign => Err(StoreError::Foreign(place.clone())),
    }
}

/// Looks at the tables of the database that is connected to.
pub(super) async fn what_is_in(
    connection: &mut MySqlConnection,
    place: &Arc<Place>,
) -> Result<What, StoreError> {
    let failed = |error| StoreError::of(place, error);
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CONVERT(table_name USING utf8mb4) AS name FROM information_schema.tables \
         WHERE table_schema = DATABASE()",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    if tables.iter().any(|name| name == MIGRATIONS_TABLE) {
        let applied: Vec<(i64, bool)> =
            sqlx::query_as("SELECT version, success FROM gemini_balance_migrations")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
        let newer = |(version, _): &(i64, bool)| !MIGRATIONS.version_exists(*version);
        if applied.iter().any(newer) {
            return Ok(What::Newer);
        }
        let done = |version| applied.contains(&(version, true));
        return Ok(match MIGRATIONS.iter().all(|one| done(one.version)) {
            true => What::Current,
            false => What::Older,
        });
    }
    Ok(
        match tables.iter().any(|name| OWN.contains(&name.as_str())) {
            true => What::Foreign,
            false => What::Tables(tables),
        },
    )
}

/// The server's number for an error, when it is the server's.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .map(sqlx::mysql::MySqlDatabaseError::number),
        _ => None,
    }
}

/// Makes processes that start at once look and migrate one after the other. The lock goes
/// with the connection. (sqlx has one of its own, which waits without end; MariaDB takes
/// that for not waiting at all.)
async fn lock(connection: &mut MySqlConnection, place: &Arc<Place>) -> Result<(), StoreError> {
    let got: Option<i64> =
        sqlx::query_scalar("SELECT GET_LOCK(CONCAT('gemini_balance/', MD5(DATABASE())), ?)")
            .bind(LOCK_PATIENCE_SECONDS)
            .fetch_one(connection)
            .await
            .map_err(|error| StoreError::of(place, error))?;
    match got {
        Some(1) => Ok(()),
        _ => Err(StoreError::Busy(place.clone())),
    }
}

/// All that is missing. MySQL cannot take changes of tables back, so a
/// migration that broke off is run again; its statements allow that.
async fn migrate(connection: &mut MySqlConnection, place: &Arc<Place>) -> Result<(), StoreError> {
    let mut result = MIGRATIONS.run_direct(None, connection, false).await;
    if let Err(MigrateError::Dirty(version)) = result {
        tracing::warn!(version, "a migration broke off; it is run again");
        sqlx::query("DELETE FROM gemini_balance_migrations WHERE success = FALSE")
            .execute(&mut *connection)
            .await
            .map_err(|error| StoreError::of(place, error))?;
        result = MIGRATIONS.run_direct(None, connection, false).await;
    }
    result.map_err(|error| match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            StoreError::Newer(place.clone())
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            StoreError::of(place, error)
        }
        other => StoreError::failed(place, &other),
    })
}

/// The number of the newest migration.
pub(super) fn newest_migration() -> i64 {
    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0)
}
