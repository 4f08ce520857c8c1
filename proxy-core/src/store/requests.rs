//! The request records: written in batches, summed up for the panel.

use std::collections::HashMap;
use std::sync::LazyLock;

use contract::Millis;
use contract::admin::Surface;
use sqlx::Row as _;

use super::{Store, StoreError};
use crate::pool::SavedKeyState;
use crate::record::RequestRecord;

/// Sums are asked for in slots of this length: every time zone in use is a whole number of
/// quarters of an hour away from UTC, so a slot never lies across two local hours.
const SLOT_MS: Millis = 15 * 60 * 1000;

/// Rows in one statement.
const ROWS: usize = 50;

static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(ROWS));

/// The statement that inserts that many records.
fn insert(rows: usize) -> String {
    const COLUMNS: &str = "at, surface, model, key_id, failed_keys, token_id, status, stream, \
        attempts, latency_ms, ttft_ms, prompt_tokens, output_tokens, thought_tokens, \
        cached_tokens, error";
    let marks = vec!["?"; COLUMNS.split(',').count()].join(", ");
    let values = vec![format!("({marks})"); rows].join(", ");
    format!("INSERT INTO requests ({COLUMNS}) VALUES {values}")
}

/// What one transaction of the recorder's writer holds.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) key_states: HashMap<i64, SavedKeyState>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.key_states.is_empty()
    }
}

/// Sums over a quarter of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarterSums {
    /// When the quarter began.
    pub at: Millis,
    /// Requests, failed ones included.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens, thoughts included.
    pub output_tokens: u64,
}

/// What happened with one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Attempts.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
}

/// One failed request as kept.
#[derive(Clone, Debug)]
pub struct FailedRequest {
    /// When it ended.
    pub at: Millis,
    /// The protocol the client spoke.
    pub surface: Surface,
    /// The model asked for.
    pub model: String,
    /// The status the client got.
    pub status: u16,
    /// What the client was told.
    pub error: String,
    /// The key last tried.
    pub key_id: Option<i64>,
}

impl Store {
    /// Writes a batch in one transaction.
    pub(crate) async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let failed = |error| self.failed(error);
        let mut tx = self.begin().await?;
        let mut tokens_used: HashMap<i64, Millis> = HashMap::new();
        for request in &batch.requests {
            if let Some(id) = request.token_id {
                let at = tokens_used.entry(id).or_insert(request.at);
                *at = request.at.max(*at);
            }
        }
        // Many rows to a statement cost a fraction of as many statements. Only two lengths
        // occur, so both stay prepared.
        let (chunks, rest) = batch.requests.as_chunks::<ROWS>();
        let rows = chunks
            .iter()
            .map(|chunk| (INSERT_MANY.as_str(), chunk.as_slice()));
        let rows = rows.chain(rest.chunks(1).map(|one| (INSERT_ONE.as_str(), one)));
        for (statement, requests) in rows {
            let mut query = sqlx::query(statement);
            for request in requests {
                query = query
                    .bind(request.at)
                    .bind(surface_name(request.surface))
                    .bind(&*request.model)
                    .bind(request.key_id)
                    .bind(joined(&request.failed_keys))
                    .bind(request.token_id)
                    .bind(request.status)
                    .bind(request.stream)
                    .bind(request.attempts)
                    .bind(request.latency_ms)
                    .bind(request.ttft_ms)
                    .bind(request.prompt_tokens)
                    .bind(request.output_tokens)
                    .bind(request.thought_tokens)
                    .bind(request.cached_tokens)
                    .bind(request.error.as_deref());
            }
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        for (id, at) in tokens_used {
            sqlx::query("UPDATE client_tokens SET last_used_at = ? WHERE id = ?")
                .bind(at)
                .bind(id)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        for (id, state) in &batch.key_states {
            let text = serde_json::to_string(state).map_err(|error| StoreError::Failed {
                path: self.inner.path.clone(),
                what: error.to_string(),
            })?;
            sqlx::query("UPDATE gemini_keys SET saved_state = ? WHERE id = ?")
                .bind(text)
                .bind(id)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        self.commit(tx).await
    }

    /// Sums of everything since then, by quarters of an hour; quarters without a request are
    /// absent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sums_since(&self, since: Millis) -> Result<Vec<QuarterSums>, StoreError> {
        let rows = sqlx::query(
            "SELECT at - at % ? AS slot, COUNT(*) AS requests, COUNT(error) AS errors, \
             SUM(prompt_tokens) AS prompt, SUM(output_tokens + thought_tokens) AS output \
             FROM requests WHERE at >= ? GROUP BY slot ORDER BY slot",
        )
        .bind(SLOT_MS)
        .bind(since)
        .fetch_all(&self.inner.reader)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(rows
            .iter()
            .map(|row| QuarterSums {
                at: row.get("slot"),
                requests: row.get::<i64, _>("requests").unsigned_abs(),
                errors: row.get::<i64, _>("errors").unsigned_abs(),
                prompt_tokens: row.get::<i64, _>("prompt").unsigned_abs(),
                output_tokens: row.get::<i64, _>("output").unsigned_abs(),
            })
            .collect())
    }

    /// Attempts by key since then; a request that was tried on three keys counts for each.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key_counts_since(
        &self,
        since: Millis,
    ) -> Result<HashMap<i64, KeyCounts>, StoreError> {
        let failed = |error| self.failed(error);
        let mut counts: HashMap<i64, KeyCounts> = HashMap::new();
        let last_tried = sqlx::query(
            "SELECT key_id, COUNT(*) AS requests, COUNT(error) AS errors FROM requests \
             WHERE at >= ? AND key_id IS NOT NULL GROUP BY key_id",
        )
        .bind(since)
        .fetch_all(&self.inner.reader)
        .await
        .map_err(failed)?;
        for row in &last_tried {
            let count = counts.entry(row.get("key_id")).or_default();
            count.requests += row.get::<i64, _>("requests").unsigned_abs();
            count.errors += row.get::<i64, _>("errors").unsigned_abs();
        }
        let tried_before = sqlx::query(
            "SELECT failed_keys, COUNT(*) AS requests FROM requests \
             WHERE at >= ? AND failed_keys IS NOT NULL GROUP BY failed_keys",
        )
        .bind(since)
        .fetch_all(&self.inner.reader)
        .await
        .map_err(failed)?;
        for row in &tried_before {
            let times = row.get::<i64, _>("requests").unsigned_abs();
            let ids: String = row.get("failed_keys");
            for id in ids.split(',').filter_map(|id| id.parse().ok()) {
                let count = counts.entry(id).or_default();
                count.requests += times;
                count.errors += times;
            }
        }
        Ok(counts)
    }

    /// The newest failed requests, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_errors(&self, limit: u32) -> Result<Vec<FailedRequest>, StoreError> {
        let rows = sqlx::query(
            "SELECT at, surface, model, status, error, key_id FROM requests \
             WHERE error IS NOT NULL ORDER BY at DESC, id DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&self.inner.reader)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(rows
            .iter()
            .map(|row| FailedRequest {
                at: row.get("at"),
                surface: surface_of(row.get("surface")),
                model: row.get("model"),
                status: row.get("status"),
                error: row.get("error"),
                key_id: row.get("key_id"),
            })
            .collect())
    }
}

fn joined(ids: &[i64]) -> Option<String> {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(","))
}

fn surface_name(surface: Surface) -> &'static str {
    match surface {
        Surface::Openai => "openai",
        Surface::Gemini => "gemini",
        Surface::Anthropic => "anthropic",
    }
}

fn surface_of(name: &str) -> Surface {
    match name {
        "openai" => Surface::Openai,
        "anthropic" => Surface::Anthropic,
        _ => Surface::Gemini,
    }
}
