//! How much there is in the database, for the panel.

use std::path::Path;

use contract::Millis;

use super::database::{query, query_built};
use super::{DatabaseConfig, Store, StoreError, mysql};

/// How much there is in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its size in bytes, as far as it tells.
    pub size_bytes: Option<u64>,
    /// Rows of the request log; an estimate of the server's on MySQL.
    pub request_rows: u64,
    /// When the oldest of them ended.
    pub oldest_request: Option<Millis>,
}

impl Store {
    /// How much there is in the database. Its size on disk is known without asking it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        let db = self.db()?;
        let oldest = query("SELECT MIN(at) AS oldest FROM requests")
            .fetch_optional(db.read())
            .await?;
        let oldest = oldest.map(|row| row.get("oldest")).transpose()?.flatten();
        let (size_bytes, rows) = match &self.inner.config {
            DatabaseConfig::Sqlite(path) => {
                let counted = query("SELECT COUNT(*) AS found FROM requests")
                    .fetch_optional(db.read())
                    .await?;
                (size_of(path), counted)
            }
            DatabaseConfig::Mysql(_) => {
                // What `DATABASE_LIMIT_MB` is compared with.
                let size = query_built(mysql::size_of_own())
                    .fetch_optional(db.read())
                    .await?;
                let size = size.map(|row| row.number("bytes")).transpose()?;
                let estimate = query(
                    "SELECT CAST(COALESCE(MAX(table_rows), 0) AS SIGNED) AS found \
                     FROM information_schema.tables \
                     WHERE table_schema = DATABASE() AND table_name = 'requests'",
                )
                .fetch_optional(db.read())
                .await?;
                (size, estimate)
            }
        };
        let request_rows = rows.map(|row| row.number("found")).transpose()?;
        Ok(Facts {
            size_bytes,
            request_rows: request_rows.unwrap_or_default(),
            oldest_request: oldest,
        })
    }
}

/// The file and what of it waits in its log.
fn size_of(path: &Path) -> Option<u64> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let size = std::fs::metadata(path).ok()?.len();
    let waiting = std::fs::metadata(wal).map_or(0, |wal| wal.len());
    Some(size.saturating_add(waiting))
}
