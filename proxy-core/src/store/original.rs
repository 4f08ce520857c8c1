//! The tables of the original program (`t_settings`, `t_request_log`, `t_file_records`): read
//! and never written, so that one can go back. What they mean is in `takeover.rs`; here is
//! how they are read, and how what was found comes into our tables in one transaction.
//!
//! Two markers say what is done, for secrets and for the rest: a server database without a
//! sealing key takes over no secret, and does so when the key comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::Millis;
use contract::admin::{Actor, AuditAction, Origin, Sealing, SettingProblem, Takeover};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use vault::Secret;

use super::database::{Connections, Pools, Row, Tx, query, query_built};
use super::error::Place;
use super::seal::{panel_value, put_panel_value};
use super::sessions::PASSWORD;
use super::settings::{NewAudit, advance_settings};
use super::tokens::sha256;
use super::{FoundKey, Store, StoreError};
use crate::settings::declaration;

/// The report, as JSON.
const REPORT: &str = "takeover";
/// When the secrets were taken over, and when the rest was, in decimal.
const SECRETS_DONE: &str = "takeover_secrets";
const REST_DONE: &str = "takeover_rest";

/// Rows in one statement.
const ROWS: usize = 100;
/// The longest name of a sum, in characters.
const NAME_CHARS: usize = 200;

/// Where the original's tables are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In our database, beside our tables.
    Here,
    /// In a SQLite file of their own.
    File(PathBuf),
}

/// What is in the original's tables.
#[derive(Default)]
pub(crate) struct Original {
    /// `t_settings`: names and values; `None` for a value that is no text. Many are secrets.
    pub(crate) settings: Vec<(String, Option<Secret>)>,
    /// Rows of `t_file_records`.
    pub(crate) files: u32,
    /// `t_request_log`, summed up.
    pub(crate) sums: Vec<OriginalSum>,
}

/// What a sum of the request log is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SumOf {
    All,
    Model,
    Key,
    Status,
}

/// What was logged in one hour.
pub(crate) struct OriginalSum {
    pub(crate) of: SumOf,
    /// `2026-11-25 13`, in the time zone that the original ran in.
    pub(crate) hour: String,
    /// The model, the whole key, or the status.
    pub(crate) name: Secret,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) latency_ms: u64,
}

/// What of it comes into our tables.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) keys: Vec<FoundKey>,
    /// Client tokens and what to call them.
    pub(crate) tokens: Vec<(String, Secret)>,
    /// Hash of the panel's password (argon2id, PHC string).
    pub(crate) password_hash: Option<String>,
    pub(crate) settings: Vec<FoundSetting>,
    pub(crate) sums: Vec<FoundSum>,
    pub(crate) files: u32,
    pub(crate) log_days: u32,
    pub(crate) ignored: Vec<SettingProblem>,
}

/// A setting by our name and in our writing.
pub(crate) struct FoundSetting {
    pub(crate) name: &'static str,
    pub(crate) text: Secret,
    pub(crate) is_secret: bool,
    /// What the environment says now: it is older than the original's value, which held.
    pub(crate) environment: Option<Secret>,
}

/// A row of `sums`.
pub(crate) struct FoundSum {
    /// `h` or `d`.
    pub(crate) period: &'static str,
    pub(crate) of: SumOf,
    pub(crate) at: Millis,
    pub(crate) name: Secret,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) latency_ms: u64,
}

/// What has been taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenOver {
    /// Keys, tokens and secret settings.
    pub(crate) secrets: bool,
    /// Everything else.
    pub(crate) rest: bool,
}

impl SumOf {
    fn kind(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Model => "model",
            Self::Key => "key",
            Self::Status => "status",
        }
    }

    /// The expression that groups the original's rows.
    fn column(self) -> &'static str {
        match self {
            Self::All => "''",
            Self::Model => "CAST(model_name AS CHAR)",
            Self::Key => "CAST(api_key AS CHAR)",
            // SQLite lets texts into it, and the original puts them there.
            Self::Status => "CAST(status_code AS CHAR)",
        }
    }
}

impl Store {
    /// What was taken over from the original program's database, if anything was.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn takeover(&self) -> Result<Option<Takeover>, StoreError> {
        let report = panel_value(self.db()?.read(), REPORT).await?;
        Ok(report.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    /// Which parts have been taken over.
    pub(crate) async fn taken_over(&self) -> Result<TakenOver, StoreError> {
        let db = self.db()?;
        Ok(TakenOver {
            secrets: panel_value(db.read(), SECRETS_DONE).await?.is_some(),
            rest: panel_value(db.read(), REST_DONE).await?.is_some(),
        })
    }

    /// Reads the original's tables; `None` when there are none. Of the log only if `with_log`.
    pub(crate) async fn read_original(
        &self,
        source: &Source,
        with_log: bool,
    ) -> Result<Option<Original>, StoreError> {
        match source {
            Source::Here => read(&*self.db()?, with_log).await,
            Source::File(path) => {
                let file = open_read_only(path).await?;
                let original = read(&file, with_log).await;
                file.close().await;
                original
            }
        }
    }

    /// Brings what was found into our tables, in one transaction, unless that was done before.
    /// Without a sealing key secrets are left out. Gives what has been taken over since.
    pub(crate) async fn take_over(
        &self,
        findings: &Findings,
        by: Actor,
    ) -> Result<TakenOver, StoreError> {
        let connections = self.db()?;
        let mut tx = self.begin().await?;
        let before = TakenOver {
            secrets: panel_value(&mut tx, SECRETS_DONE).await?.is_some(),
            rest: panel_value(&mut tx, REST_DONE).await?.is_some(),
        };
        let now = TakenOver {
            secrets: before.secrets || self.sealing() != Sealing::NotStored,
            rest: true,
        };
        if now == before {
            return Ok(now);
        }
        let mut report: Takeover = match panel_value(&mut tx, REPORT).await? {
            Some(json) => serde_json::from_slice(&json).unwrap_or_default(),
            None => Takeover {
                at: self.inner.clock.now(),
                ..Takeover::default()
            },
        };
        report.ignored = findings.ignored.clone();
        let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
        if now.secrets && !before.secrets {
            let put = self
                .put_keys(&mut tx, &findings.keys, Origin::Panel)
                .await?;
            report.keys = count(put.iter().filter(|(_, is_new)| *is_new).count());
            report.tokens = self.put_tokens(&mut tx, &findings.tokens).await?;
            self.put_sums(&connections, &mut tx, &findings.sums, true)
                .await?;
            self.mark(&mut tx, SECRETS_DONE).await?;
        } else if !now.secrets {
            // They are read from the original's tables at every start.
            report.keys = count(findings.keys.len());
            report.tokens = count(findings.tokens.len());
        }
        if !before.rest {
            if let Some(hash) = &findings.password_hash {
                report.auth_token = panel_value(&mut tx, PASSWORD).await?.is_none();
                if report.auth_token {
                    put_panel_value(&mut tx, PASSWORD, hash.as_bytes().to_vec()).await?;
                } else {
                    report.ignored.push(SettingProblem {
                        name: "AUTH_TOKEN".into(),
                        reason: "the panel has a password of its own, which stays".into(),
                    });
                }
            }
            self.put_sums(&connections, &mut tx, &findings.sums, false)
                .await?;
            report.files = findings.files;
            report.log_days = findings.log_days;
            self.mark(&mut tx, REST_DONE).await?;
        }
        for setting in &findings.settings {
            let is_due = match setting.is_secret {
                true => now.secrets && !before.secrets,
                false => !before.rest,
            };
            if is_due && self.take_setting(&mut tx, setting).await? {
                report.settings.push(setting.name.to_owned());
            }
        }
        let json = serde_json::to_vec(&report)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))?;
        put_panel_value(&mut tx, REPORT, json).await?;
        self.put_audit(&mut tx, &NewAudit::plain(by, AuditAction::TakenOver))
            .await?;
        self.commit_change(tx).await?;
        Ok(now)
    }

    async fn mark(&self, tx: &mut Tx, marker: &str) -> Result<(), StoreError> {
        let now = self.inner.clock.now().to_string();
        put_panel_value(tx, marker, now.into_bytes()).await
    }

    /// Adds those that are not there; gives how many that were. A person chose them, so who
    /// has the database could guess a weak one by its hash, as in the original's tables,
    /// where they are in clear.
    async fn put_tokens(
        &self,
        tx: &mut Tx,
        tokens: &[(String, Secret)],
    ) -> Result<u32, StoreError> {
        let mut added = 0;
        for (name, token) in tokens {
            let hash = sha256(token);
            let known = query("SELECT id FROM client_tokens WHERE hash = ?")
                .bind(hash.as_slice())
                .fetch_optional(&mut *tx)
                .await?;
            if known.is_some() {
                query(
                    "UPDATE client_tokens SET deleted_at = NULL WHERE hash = ? \
                     AND origin = 'panel'",
                )
                .bind(hash.as_slice())
                .execute(&mut *tx)
                .await?;
                continue;
            }
            query(
                "INSERT INTO client_tokens (name, hash, masked, origin, created_at) \
                 VALUES (?, ?, ?, 'panel', ?)",
            )
            .bind(name)
            .bind(hash.as_slice())
            .bind(token.masked())
            .bind(self.inner.clock.now())
            .execute(&mut *tx)
            .await?;
            added += 1;
        }
        Ok(added)
    }

    /// Saves a setting as the panel does, unless the panel has saved it; false then. What the
    /// environment says becomes known, so that it does not count as newer.
    async fn take_setting(&self, tx: &mut Tx, setting: &FoundSetting) -> Result<bool, StoreError> {
        let known = query("SELECT name FROM settings WHERE name = ?")
            .bind(setting.name)
            .fetch_optional(&mut *tx)
            .await?;
        let (None, Some(declaration)) = (known, declaration(setting.name)) else {
            return Ok(false);
        };
        let now = self.inner.clock.now();
        self.put_setting(tx, declaration, &setting.text, now)
            .await?;
        if let Some(environment) = &setting.environment {
            self.put_seen(tx, declaration, Some(environment), now)
                .await?;
        }
        advance_settings(tx).await?;
        Ok(true)
    }

    /// Adds to the sums: those of keys, or all others. A key that is not known is left out.
    async fn put_sums(
        &self,
        connections: &Connections,
        tx: &mut Tx,
        sums: &[FoundSum],
        of_keys: bool,
    ) -> Result<(), StoreError> {
        let sums: Vec<&FoundSum> = sums
            .iter()
            .filter(|sum| (sum.of == SumOf::Key) == of_keys)
            .collect();
        let ids = match of_keys {
            true => self.key_ids(tx).await?,
            false => std::collections::HashMap::new(),
        };
        let rows: Vec<(String, &FoundSum)> = sums
            .into_iter()
            .filter_map(|sum| {
                let name = match sum.of {
                    SumOf::Key => ids.get(&self.fingerprint(&sum.name))?.to_string(),
                    _ => sum.name.expose().chars().take(NAME_CHARS).collect(),
                };
                Some((name, sum))
            })
            .collect();
        for chunk in rows.chunks(ROWS) {
            let marks = vec!["(?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, ?, 0, 0)"; chunk.len()].join(", ");
            let added = connections.engine().on_conflict(
                "period, kind, at, name",
                &["requests", "errors", "latency_ms"],
            );
            let mut insert = query_built(format!(
                "INSERT INTO sums (period, kind, at, name, requests, errors, prompt_tokens, \
                 output_tokens, thought_tokens, cached_tokens, cost_micros, latency_ms, ttft_ms, \
                 ttft_count) VALUES {marks} {added}"
            ));
            for (name, sum) in chunk {
                insert = insert
                    .bind(sum.period)
                    .bind(sum.of.kind())
                    .bind(sum.at)
                    .bind(name)
                    .bind(sum.requests)
                    .bind(sum.errors)
                    .bind(sum.latency_ms);
            }
            insert.execute(&mut *tx).await?;
        }
        Ok(())
    }
}

async fn open_read_only(path: &Path) -> Result<Connections, StoreError> {
    let place = Arc::new(Place::Sqlite(path.to_path_buf()));
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(std::time::Duration::from_secs(5));
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(|error| StoreError::of(&place, error))?;
    let pools = Pools::Sqlite {
        writer: pool.clone(),
        reader: pool,
    };
    Ok(Connections { pools, place })
}

async fn read(from: &Connections, with_log: bool) -> Result<Option<Original>, StoreError> {
    let tables = tables(from).await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if !has("t_settings") {
        return Ok(None);
    }
    let rows = query(
        "SELECT CAST(`key` AS CHAR) AS k, CAST(`value` AS CHAR) AS v FROM t_settings ORDER BY id",
    )
    .fetch_all(from.read())
    .await?;
    let mut original = Original::default();
    for row in &rows {
        let Ok(Some(name)) = row.get::<Option<String>>("k") else {
            continue;
        };
        let value = match row.get::<Option<String>>("v") {
            Ok(text) => Some(Secret::new(text.unwrap_or_default())),
            Err(_) => None,
        };
        original.settings.push((name, value));
    }
    if has("t_file_records") {
        let row = query("SELECT COUNT(*) AS c FROM t_file_records")
            .fetch_optional(from.read())
            .await?;
        original.files = row.map_or(Ok(0), |row| row.number("c"))?;
    }
    if with_log && has("t_request_log") {
        for of in [SumOf::All, SumOf::Model, SumOf::Key, SumOf::Status] {
            let rows = query_built(format!(
                "SELECT SUBSTR(CAST(request_time AS CHAR), 1, 13) AS h, {} AS n, COUNT(*) AS c, \
                 CAST(SUM(CASE WHEN is_success THEN 0 ELSE 1 END) AS SIGNED INTEGER) AS e, \
                 CAST(SUM(COALESCE(latency_ms, 0)) AS SIGNED INTEGER) AS l \
                 FROM t_request_log GROUP BY h, n",
                of.column()
            ))
            .fetch_all(from.read())
            .await?;
            original
                .sums
                .extend(rows.iter().filter_map(|row| sum_of(of, row)));
        }
    }
    Ok(Some(original))
}

/// `None` for a row without a time or a name that can be read.
fn sum_of(of: SumOf, row: &Row) -> Option<OriginalSum> {
    Some(OriginalSum {
        of,
        hour: row.get::<Option<String>>("h").ok()??,
        name: Secret::new(row.get::<Option<String>>("n").ok()??),
        requests: row.number("c").ok()?,
        errors: row.number("e").ok()?,
        latency_ms: row.number("l").ok()?,
    })
}

async fn tables(from: &Connections) -> Result<Vec<String>, StoreError> {
    let names = match from.pools {
        Pools::Sqlite { .. } => query("SELECT name AS t FROM sqlite_master WHERE type = 'table'"),
        Pools::Mysql(_) => query(
            "SELECT CONVERT(table_name USING utf8mb4) AS t FROM information_schema.tables \
             WHERE table_schema = DATABASE()",
        ),
    };
    let rows = names.fetch_all(from.read()).await?;
    rows.iter().map(|row| row.get("t")).collect()
}
