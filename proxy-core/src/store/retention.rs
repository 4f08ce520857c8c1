//! What is deleted when it has been kept long enough, or when the database is too large.

use contract::Millis;

use super::database::{Engine, query, query_built};
use super::sums::SumKind;
use super::{Store, StoreError, mysql};
use crate::record::slots::Period;

const DAY_MS: Millis = 24 * 60 * 60 * 1000;
/// How long sums by the hour are kept; nothing shows older ones.
const HOURS_KEPT: Millis = 100 * DAY_MS;
/// How long the daily sums of single keys are kept: there can be thousands of keys.
const KEY_DAYS_KEPT: Millis = 400 * DAY_MS;
/// How long it is remembered which batches a writer has written. What waits on a disk for
/// longer is not recognised any more.
const WRITERS_KEPT: Millis = 90 * DAY_MS;

/// A database that is too large loses this part of its requests at once, the oldest.
const PART: u64 = 20;
/// Down to this many hundredths of its limit.
const DOWN_TO: u64 = 95;
/// How many parts at once SQLite may lose, whose size is known exactly. A server tells its
/// size late, so one part goes and the next round looks again.
const PARTS: u32 = 40;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Days that requests stay.
    pub request_days: u32,
    /// Days that the details of failed requests stay.
    pub detail_days: u32,
    /// What the database may grow to, in bytes.
    pub bytes: u64,
}

impl Store {
    /// Deletes what need not be kept, in small pieces. `details_until` is up to when details
    /// have gone already; it is moved forward.
    ///
    /// # Errors
    /// When the database cannot be written; what is done by then is done.
    pub async fn tidy(&self, keep: &Keep, details_until: &mut Millis) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        let days = |days: u32| now - Millis::from(days) * DAY_MS;
        self.delete_requests(days(keep.request_days), false).await?;
        let details = days(keep.detail_days);
        self.drop_details(*details_until, details).await?;
        *details_until = details;
        self.delete_sums(Period::Hour, None, now - HOURS_KEPT)
            .await?;
        for kind in [SumKind::Key, SumKind::Admitted] {
            self.delete_sums(Period::Day, Some(kind), now - KEY_DAYS_KEPT)
                .await?;
        }
        query("DELETE FROM record_writers WHERE updated_at < ?")
            .bind(now - WRITERS_KEPT)
            .execute(self.db()?.write())
            .await?;
        self.shrink(keep.bytes).await
    }

    /// Deletes the oldest requests of a database that is larger than `limit`.
    async fn shrink(&self, limit: u64) -> Result<(), StoreError> {
        let parts = match self.db()?.engine() {
            Engine::Sqlite => PARTS,
            Engine::Mysql => 1,
        };
        let mut goal = limit;
        for _ in 0..parts {
            if self.bytes().await? <= goal {
                break;
            }
            goal = limit / 100 * DOWN_TO;
            let connections = self.db()?;
            let row = query("SELECT COUNT(*) AS requests FROM requests")
                .fetch_optional(connections.read())
                .await?;
            let requests: u64 = row
                .map(|row| row.number("requests"))
                .transpose()?
                .unwrap_or(0);
            let row = query("SELECT at FROM requests ORDER BY at LIMIT 1 OFFSET ?")
                .bind(requests / PART)
                .fetch_optional(connections.read())
                .await?;
            let Some(row) = row else { break };
            let until: Millis = row.get("at")?;
            let deleted = self.delete_requests(until.saturating_add(1), false).await?;
            tracing::warn!(
                deleted,
                "the database is larger than DATABASE_LIMIT_MB; the oldest requests were deleted"
            );
        }
        Ok(())
    }

    /// How large the database is, in bytes, without what is free in it and without the tables
    /// of other programs, whose size no deletion here would change.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn bytes(&self) -> Result<u64, StoreError> {
        let connections = self.db()?;
        let row = match connections.engine() {
            Engine::Sqlite => {
                query(
                    "SELECT (page_count - freelist_count) * page_size AS bytes \
                     FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
                )
                .fetch_optional(connections.read())
                .await?
            }
            Engine::Mysql => {
                // Only MySQL 8 knows the variable, by which it looks instead of remembering
                // for a day; MariaDB does not read the comment.
                let mut tx = connections.begin_records().await?;
                query("SET /*!80000 information_schema_stats_expiry = 0, */ @looked = 1")
                    .execute(&mut tx)
                    .await?;
                let row = query_built(mysql::size_of_own())
                    .fetch_optional(&mut tx)
                    .await?;
                tx.commit().await?;
                row
            }
        };
        row.map_or(Ok(0), |row| row.number("bytes"))
    }
}
