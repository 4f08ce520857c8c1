//! The tables of the original program (`t_settings`, `t_file_records`): read and never written,
//! so that one can go back. What they mean is in `takeover.rs`; here is how they are read, and
//! how what was found comes into our tables in one transaction. Its log, which may be long, is
//! summed up later, see `original_log.rs`.
//!
//! Two markers say what is done, for secrets and for the rest: a server database without a
//! sealing key takes over no secret, and does so when the key comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::admin::{Actor, AuditAction, Origin, Sealing, SettingProblem, Takeover, Texts};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use vault::Secret;

use super::database::{Connections, Pools, Tx, Via, query};
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
pub(super) const SECRETS_DONE: &str = "takeover_secrets";
const REST_DONE: &str = "takeover_rest";

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
    pub(crate) files: u32,
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

/// What has been taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenOver {
    /// Keys, tokens and secret settings.
    pub(crate) secrets: bool,
    /// Everything else.
    pub(crate) rest: bool,
}

impl Store {
    /// What was taken over from the original program's database, if anything was.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn takeover(&self) -> Result<Option<Takeover>, StoreError> {
        report(self.db()?.read()).await
    }

    /// Which parts have been taken over.
    pub(crate) async fn taken_over(&self) -> Result<TakenOver, StoreError> {
        let db = self.db()?;
        Ok(TakenOver {
            secrets: panel_value(db.read(), SECRETS_DONE).await?.is_some(),
            rest: panel_value(db.read(), REST_DONE).await?.is_some(),
        })
    }

    /// Reads the original's tables, but not its log; `None` when there are none.
    pub(crate) async fn read_original(
        &self,
        source: &Source,
    ) -> Result<Option<Original>, StoreError> {
        match source {
            Source::Here => read(&*self.db()?).await,
            Source::File(path) => {
                let file = open_read_only(path).await?;
                let original = read(&file).await;
                file.close().await;
                original
            }
        }
    }

    /// Brings what was found into our tables, in one transaction, unless that was done before.
    /// Without a sealing key secrets are left out. Gives what has been taken over since. The
    /// log is left for [`Store::sum_up_original`].
    pub(crate) async fn take_over(
        &self,
        source: &Source,
        findings: &Findings,
        by: Actor,
    ) -> Result<TakenOver, StoreError> {
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
        let mut report = report(&mut tx).await?.unwrap_or_else(|| Takeover {
            at: self.inner.clock.now(),
            ..Takeover::default()
        });
        report.ignored = findings.ignored.clone();
        let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
        if now.secrets && !before.secrets {
            let put = self
                .put_keys(&mut tx, &findings.keys, Origin::Panel)
                .await?;
            report.keys = count(put.iter().filter(|(_, is_new)| *is_new).count());
            report.tokens = self.put_tokens(&mut tx, &findings.tokens).await?;
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
                        reason: Texts::new(
                            "面板已有自己的密码，予以保留",
                            "the panel has a password of its own, which stays",
                        ),
                    });
                }
            }
            report.files = findings.files;
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
        self.begin_log(&mut tx, source, before).await?;
        put_report(&mut tx, &report).await?;
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
}

/// What came of the takeover, if there was one.
pub(super) async fn report(via: impl Into<Via<'_>>) -> Result<Option<Takeover>, StoreError> {
    let json = panel_value(via, REPORT).await?;
    Ok(json.and_then(|json| serde_json::from_slice(&json).ok()))
}

/// Keeps what came of the takeover.
pub(super) async fn put_report(tx: &mut Tx, report: &Takeover) -> Result<(), StoreError> {
    // Numbers and texts can always be written.
    let json = serde_json::to_vec(report).unwrap_or_default();
    put_panel_value(tx, REPORT, json).await
}

/// Opens a file of the original, without the right to write it.
pub(super) async fn open_read_only(path: &Path) -> Result<Connections, StoreError> {
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

async fn read(from: &Connections) -> Result<Option<Original>, StoreError> {
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
    Ok(Some(original))
}

/// The names of all tables.
pub(super) async fn tables(from: &Connections) -> Result<Vec<String>, StoreError> {
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
