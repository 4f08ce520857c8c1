//! What is at a MySQL server, asked before an instance is sent there. Nothing is made,
//! changed or locked.
//!
//! Which rights a user has is found out by statements that cannot succeed: they name a table
//! that does not exist, and a server looks at the rights first. So nothing has to be read out
//! of `SHOW GRANTS`, which every server writes in its own way and which leaves out roles.

use std::sync::Arc;
use std::time::Duration;

use contract::deploy::{DatabaseReport, FoundDatabase};
use contract::{ApiError, ErrorCode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection};

use super::StoreError;
use super::mysql::{self, MysqlConfig, TlsMode, What};
use crate::clock::Clock;

/// How long a server may take to let somebody in, and as long again for all questions
/// together. One that sleeps when it is not used (TiDB Cloud, Aiven's free plan) takes its
/// time.
const PATIENCE: Duration = Duration::from_secs(15);

/// The server has no such database (`ER_BAD_DB_ERROR`).
const NO_DATABASE: u16 = 1049;
/// `ER_DBACCESS_DENIED_ERROR`, `ER_TABLEACCESS_DENIED_ERROR`, `ER_COLUMNACCESS_DENIED_ERROR`,
/// `ER_SPECIFIC_ACCESS_DENIED_ERROR`.
const DENIED: [u16; 4] = [1044, 1142, 1143, 1227];
/// `ER_OPTION_PREVENTS_STATEMENT`, `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`,
/// `ER_READ_ONLY_MODE`.
const READ_ONLY: [u16; 3] = [1290, 1792, 1836];

/// What an instance does with its database, each as a statement about a table that does not
/// exist; `{t}` is its name.
const RIGHTS: [(&str, &str); 7] = [
    ("CREATE", "CREATE TABLE {t} LIKE {t}_either"),
    ("ALTER", "ALTER TABLE {t} ADD COLUMN a INT"),
    ("INDEX", "CREATE INDEX i ON {t} (a)"),
    ("SELECT", "SELECT 1 FROM {t}"),
    ("INSERT", "INSERT INTO {t} VALUES (1)"),
    ("UPDATE", "UPDATE {t} SET a = 1 WHERE 1 = 0"),
    ("DELETE", "DELETE FROM {t} WHERE 1 = 0"),
];
/// The table that does not exist.
const NO_TABLE: &str = "gemini_balance_is_not_there";

/// Looks at a MySQL server from this machine. What is wrong is in the answer, with the way
/// out.
pub async fn inspect(config: &MysqlConfig, clock: &Clock) -> DatabaseReport {
    inspect_within(PATIENCE, config, clock).await
}

/// The same with another patience.
pub(super) async fn inspect_within(
    patience: Duration,
    config: &MysqlConfig,
    clock: &Clock,
) -> DatabaseReport {
    let mut report = DatabaseReport::default();
    let asked = match connect(patience, config, true).await {
        Ok(connection) => {
            report.exists = true;
            ask(patience, config, clock, connection, &mut report).await
        }
        Err(error) if mysql::number(&error) == Some(NO_DATABASE) => {
            match connect(patience, config, false).await {
                Ok(connection) => ask(patience, config, clock, connection, &mut report).await,
                Err(error) => Err(problem(config, &error)),
            }
        }
        Err(error) => Err(problem(config, &error)),
    };
    report.problem = asked.err();
    report.ok = report.problem.is_none();
    report
}

async fn connect(
    patience: Duration,
    config: &MysqlConfig,
    to_database: bool,
) -> sqlx::Result<MySqlConnection> {
    let mut options = config.options();
    if to_database {
        options = options.database(&config.database);
    }
    match tokio::time::timeout(patience, options.connect()).await {
        Ok(result) => result,
        Err(_) => Err(silent(patience)),
    }
}

fn silent(patience: Duration) -> sqlx::Error {
    let text = format!("no answer within {} seconds", patience.as_secs());
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
}

async fn ask(
    patience: Duration,
    config: &MysqlConfig,
    clock: &Clock,
    mut connection: MySqlConnection,
    report: &mut DatabaseReport,
) -> Result<(), ApiError> {
    let questions = questions(config, clock, &mut connection, report);
    let answered = match tokio::time::timeout(patience, questions).await {
        Ok(answered) => answered,
        Err(_) => Err(problem(config, &silent(patience))),
    };
    // A courtesy to the server.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
    answered
}

async fn questions(
    config: &MysqlConfig,
    clock: &Clock,
    connection: &mut MySqlConnection,
    report: &mut DatabaseReport,
) -> Result<(), ApiError> {
    let failed = |error: sqlx::Error| problem(config, &error);
    let version: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    report.version = Some(version);
    let begin = clock.monotonic();
    let _: i64 = sqlx::query_scalar("SELECT 1")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let took = clock.monotonic().saturating_sub(begin);
    report.latency_ms = Some(took.as_millis().try_into().unwrap_or(u64::MAX));
    report.encrypted = is_encrypted(connection).await.map_err(failed)?;
    report.verified =
        report.encrypted && matches!(config.tls, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
    if report.exists {
        report.used_bytes = used_bytes(connection).await.map_err(failed)?;
        report.found = Some(found(config, connection).await?);
    }
    let missing = missing_rights(config, connection).await?;
    report.may_create = !missing.contains(&"CREATE");
    if !report.exists && !report.may_create {
        return Err(ApiError::new(
            ErrorCode::Database,
            format!(
                "There is no database {} on {}, and {} may not make it. Make it there \
                 (CREATE DATABASE), or choose one that exists.",
                config.database, config.host, config.user
            ),
        ));
    }
    if !missing.is_empty() {
        return Err(ApiError::new(
            ErrorCode::Database,
            format!(
                "{user} lacks rights in the database {database}: {}. Run there, as an \
                 administrator: GRANT {} ON `{database}`.* TO the user {user}.",
                missing.join(", "),
                missing.join(", "),
                user = config.user,
                database = config.database,
            ),
        ));
    }
    Ok(())
}

/// Whether this connection is encrypted. (TiDB and MariaDB know the status variable, too.)
async fn is_encrypted(connection: &mut MySqlConnection) -> sqlx::Result<bool> {
    let row: Option<(String, String)> = sqlx::query_as("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some_and(|(_, cipher)| !cipher.is_empty()))
}

async fn used_bytes(connection: &mut MySqlConnection) -> sqlx::Result<Option<u64>> {
    let bytes: i64 = sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) \
         FROM information_schema.tables WHERE table_schema = DATABASE()",
    )
    .fetch_one(connection)
    .await?;
    Ok(bytes.try_into().ok())
}

async fn found(
    config: &MysqlConfig,
    connection: &mut MySqlConnection,
) -> Result<FoundDatabase, ApiError> {
    let place = Arc::new(config.place());
    let refused = |error: StoreError| ApiError::new(ErrorCode::Database, error.to_string());
    let what = mysql::what_is_in(connection, &place)
        .await
        .map_err(refused)?;
    match what {
        What::Current | What::Older => Ok(FoundDatabase::Ours),
        What::Newer => Ok(FoundDatabase::Newer),
        What::Tables(tables) if tables.is_empty() => Ok(FoundDatabase::Empty),
        What::Tables(tables) if tables.iter().any(|name| name == "t_settings") => {
            Ok(FoundDatabase::Original)
        }
        What::Tables(_) => Ok(FoundDatabase::Others),
        // An instance would leave it as it is and not start.
        What::Foreign => Err(ApiError::new(
            ErrorCode::Database,
            format!(
                "The database {} has tables of another program with the names that this one \
                 uses. Choose another database.",
                config.database
            ),
        )),
    }
}

/// Which of [`RIGHTS`] the user lacks in the database.
async fn missing_rights(
    config: &MysqlConfig,
    connection: &mut MySqlConnection,
) -> Result<Vec<&'static str>, ApiError> {
    // A name cannot be bound; inside backticks only a backtick means anything.
    let database = config.database.replace('`', "``");
    let mut missing = Vec::new();
    for (right, statement) in RIGHTS {
        // With a second name that is the first one's continuation, both are quoted.
        let statement = statement
            .replace("{t}_either", &format!("`{database}`.`{NO_TABLE}_either`"))
            .replace("{t}", &format!("`{database}`.`{NO_TABLE}`"));
        let error = match sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
        {
            // Somebody has made a table of that name, of which nothing can be concluded.
            Ok(_) => continue,
            Err(error) => error,
        };
        match mysql::number(&error) {
            Some(number) if DENIED.contains(&number) => missing.push(right),
            Some(number) if READ_ONLY.contains(&number) => return Err(problem(config, &error)),
            // As it should be: there is no such table or database.
            Some(_) => {}
            None => return Err(problem(config, &error)),
        }
    }
    Ok(missing)
}

/// What is wrong and what to do, in terms of the fields that were filled in.
fn problem(config: &MysqlConfig, error: &sqlx::Error) -> ApiError {
    let server = format!("{}:{}", config.host, config.port);
    let said = error.to_string();
    let text = match (mysql::number(error), error) {
        // ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR
        (Some(1045 | 1698), _) => format!(
            "{server} does not let {} in. Check user and password (TiDB Cloud's users have a \
             prefix), that the user may come from this machine, and whether it must use TLS.",
            config.user
        ),
        (Some(1044), _) => format!(
            "{} may not use the database {}. Choose another one, or give the user rights in it.",
            config.user, config.database
        ),
        // ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED
        (Some(1129 | 1130), _) => format!(
            "{server} does not let this machine in. Allow its address in the database's console."
        ),
        // ER_SECURE_TRANSPORT_REQUIRED; TiDB says the same with ER_UNKNOWN_ERROR.
        (Some(3159), _) => needs_tls(&server),
        (Some(_), _) if said.contains("insecure transport") => needs_tls(&server),
        (Some(number), _) if READ_ONLY.contains(&number) => format!(
            "{server} is read-only now: a replica, or its disk is nearly full. Use the one that \
             can be written, or free space."
        ),
        // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED
        (Some(1040 | 1203 | 1226), _) => format!(
            "{server} has no connection left. End programs that use it, or try again later."
        ),
        (None, sqlx::Error::Io(io)) => match io.kind() {
            std::io::ErrorKind::ConnectionRefused => format!(
                "Nothing listens on {server}. Check host and port (TiDB Cloud's is usually \
                 4000), and that the database is powered on."
            ),
            std::io::ErrorKind::TimedOut => format!(
                "{server} does not answer. Check host and port, that the database is powered on, \
                 and that it lets this machine in."
            ),
            _ if said.contains("lookup") || said.contains("resolve") => format!(
                "The host {} is not known. Check how it is written; it is a name without \
                 https:// and without a port.",
                config.host
            ),
            // What rustls refuses comes as a broken connection.
            _ if said.contains("peer certificate") => untrusted(&server),
            _ => format!("The connection to {server} broke off. Check host, port and TLS."),
        },
        (None, sqlx::Error::Tls(_)) if said.contains("does not support TLS") => format!(
            "{server} offers no TLS. Choose the mode PREFERRED or DISABLED, which is not safe \
             over the internet."
        ),
        (None, sqlx::Error::Tls(_) | sqlx::Error::Configuration(_)) => untrusted(&server),
        _ => format!("{server} cannot be used."),
    };
    ApiError::new(ErrorCode::Database, format!("{text} It said: {said}"))
}

fn untrusted(server: &str) -> String {
    format!(
        "The certificate of {server} is not accepted. Paste the certificate authority (PEM) \
         from the database's console, or choose the mode REQUIRED, which does not check who \
         the server is."
    )
}

fn needs_tls(server: &str) -> String {
    format!(
        "{server} wants an encrypted connection. Choose the mode VERIFY_IDENTITY (TiDB Cloud), \
         VERIFY_CA with the pasted certificate authority (Aiven), or REQUIRED."
    )
}
