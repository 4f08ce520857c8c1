//! The request records: written in batches, summed up for the panel.

use std::collections::HashMap;

use contract::Millis;
use contract::admin::Surface;

use super::database::{Connections, Tx, query, query_built};
use super::{Store, StoreError};
use crate::pool::SavedKeyState;
use crate::record::RequestRecord;

/// Sums are asked for in slots of this length: every time zone in use is a whole number of
/// quarters of an hour away from UTC, so a slot never lies across two local hours.
const SLOT_MS: Millis = 15 * 60 * 1000;

/// Rows in one statement.
const ROWS: usize = 50;

/// The columns of a record, in the order in which they are bound.
const COLUMNS: &str = "request_id, at, surface, model, key_id, failed_keys, token_id, status, \
    stream, attempts, latency_ms, ttft_ms, prompt_tokens, output_tokens, thought_tokens, \
    cached_tokens, error, failed";

/// The statement that inserts that many records. Only two lengths occur, so both stay
/// prepared.
fn insert(rows: usize) -> String {
    let marks = vec!["?"; COLUMNS.split(',').count()].join(", ");
    let values = vec![format!("({marks})"); rows].join(", ");
    format!("INSERT INTO requests ({COLUMNS}) VALUES {values}")
}

/// What one transaction of the recorder's writer holds.
#[derive(Default)]
pub(crate) struct Batch {
    /// Who writes it, and its number there: one that was committed, although the answer was
    /// lost, is not written twice.
    pub(crate) number: Option<(String, i64)>,
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
    /// Writes a batch in one transaction. What comes of it moves the state of the database.
    /// Refused while the environment's keys and tokens have no lasting numbers: a record would
    /// lose them.
    pub(crate) async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let connections = self.db()?;
        if self.is_unsettled() {
            return Err(StoreError::Away(self.inner.place.clone()));
        }
        let result = self.write_to(&connections, batch).await;
        self.note(&result);
        result
    }

    async fn write_to(&self, connections: &Connections, batch: &Batch) -> Result<(), StoreError> {
        let mut tx = connections.begin_records().await?;
        let fresh = match &batch.number {
            Some((writer, number)) => self.claim(&mut tx, writer, *number).await?,
            None => true,
        };
        if fresh && !batch.requests.is_empty() {
            self.write_requests(&mut tx, &batch.requests).await?;
        }
        // In the order of their numbers, so that two servers lock them in the same order.
        let mut states: Vec<_> = batch.key_states.iter().collect();
        states.sort_unstable_by_key(|(id, _)| **id);
        for (id, state) in states {
            let Some(id) = self.lasting_key(*id) else {
                continue;
            };
            let text = serde_json::to_string(state)
                .map_err(|error| StoreError::failed(&self.inner.place, &error))?;
            query("UPDATE gemini_keys SET saved_state = ? WHERE id = ?")
                .bind(text)
                .bind(id)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await
    }

    /// Notes that the writer's batch is being written; false when it was before.
    pub(super) async fn claim(
        &self,
        tx: &mut Tx,
        writer: &str,
        number: i64,
    ) -> Result<bool, StoreError> {
        let now = self.inner.clock.now();
        // Changed before it is looked at: this waits for the same batch's first try, whose
        // connection may be lost and whose transaction may still be going to end.
        let done = query(
            "UPDATE record_writers SET last_batch = ?, updated_at = ? \
             WHERE writer = ? AND last_batch < ?",
        )
        .bind(number)
        .bind(now)
        .bind(writer)
        .bind(number)
        .execute(&mut *tx)
        .await?;
        if done.rows > 0 {
            return Ok(true);
        }
        let row = query("SELECT last_batch FROM record_writers WHERE writer = ?")
            .bind(writer)
            .fetch_optional(&mut *tx)
            .await?;
        if row.is_some() {
            return Ok(false);
        }
        query("INSERT INTO record_writers (last_batch, updated_at, writer) VALUES (?, ?, ?)")
            .bind(number)
            .bind(now)
            .bind(writer)
            .execute(tx)
            .await?;
        Ok(true)
    }

    async fn write_requests(
        &self,
        tx: &mut Tx,
        requests: &[RequestRecord],
    ) -> Result<(), StoreError> {
        // Many rows to a statement cost a fraction of as many statements.
        let (chunks, rest) = requests.as_chunks::<ROWS>();
        let chunks = chunks.iter().map(|chunk| chunk.as_slice());
        for requests in chunks.chain(rest.chunks(1)) {
            let mut statement = query_built(insert(requests.len()));
            for request in requests {
                let failed_keys: Vec<i64> = request
                    .failed_keys
                    .iter()
                    .filter_map(|id| self.lasting_key(*id))
                    .collect();
                statement = statement
                    .bind(&*request.request_id)
                    .bind(request.at)
                    .bind(surface_name(request.surface))
                    .bind(&*request.model)
                    .bind(request.key_id.and_then(|id| self.lasting_key(id)))
                    .bind(joined(&failed_keys))
                    .bind(request.token_id.and_then(|id| self.lasting_token(id)))
                    .bind(request.status)
                    .bind(request.stream)
                    .bind(request.attempts)
                    .bind(request.latency_ms)
                    .bind(request.ttft_ms)
                    .bind(request.prompt_tokens)
                    .bind(request.output_tokens)
                    .bind(request.thought_tokens)
                    .bind(request.cached_tokens)
                    .bind(request.error.as_deref())
                    .bind(request.error.is_some());
            }
            statement.execute(&mut *tx).await?;
        }
        let mut tokens_used: HashMap<i64, Millis> = HashMap::new();
        for request in requests {
            if let Some(id) = request.token_id.and_then(|id| self.lasting_token(id)) {
                let at = tokens_used.entry(id).or_insert(request.at);
                *at = request.at.max(*at);
            }
        }
        let mut tokens_used: Vec<_> = tokens_used.into_iter().collect();
        tokens_used.sort_unstable();
        for (id, at) in tokens_used {
            query("UPDATE client_tokens SET last_used_at = ? WHERE id = ?")
                .bind(at)
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        Ok(())
    }

    /// Sums of everything since then, by quarters of an hour; quarters without a request are
    /// absent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sums_since(&self, since: Millis) -> Result<Vec<QuarterSums>, StoreError> {
        let rows = query(
            "SELECT at - at % ? AS slot, COUNT(*) AS requests, COUNT(error) AS errors, \
             CAST(SUM(prompt_tokens) AS SIGNED) AS prompt, \
             CAST(SUM(output_tokens + thought_tokens) AS SIGNED) AS output \
             FROM requests WHERE at >= ? GROUP BY slot ORDER BY slot",
        )
        .bind(SLOT_MS)
        .bind(since)
        .fetch_all(self.db()?.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(QuarterSums {
                    at: row.get("slot")?,
                    requests: row.number("requests")?,
                    errors: row.number("errors")?,
                    prompt_tokens: row.number("prompt")?,
                    output_tokens: row.number("output")?,
                })
            })
            .collect()
    }

    /// Attempts by key since then; a request that was tried on three keys counts for each.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key_counts_since(
        &self,
        since: Millis,
    ) -> Result<HashMap<i64, KeyCounts>, StoreError> {
        let mut counts: HashMap<i64, KeyCounts> = HashMap::new();
        let last_tried = query(
            "SELECT key_id, COUNT(*) AS requests, COUNT(error) AS errors FROM requests \
             WHERE at >= ? AND key_id IS NOT NULL GROUP BY key_id",
        )
        .bind(since)
        .fetch_all(self.db()?.read())
        .await?;
        for row in &last_tried {
            let count = counts.entry(row.get("key_id")?).or_default();
            count.requests += row.number::<u64>("requests")?;
            count.errors += row.number::<u64>("errors")?;
        }
        let tried_before = query(
            "SELECT failed_keys, COUNT(*) AS requests FROM requests \
             WHERE at >= ? AND failed_keys IS NOT NULL GROUP BY failed_keys",
        )
        .bind(since)
        .fetch_all(self.db()?.read())
        .await?;
        for row in &tried_before {
            let times: u64 = row.number("requests")?;
            let ids: String = row.get("failed_keys")?;
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
        let rows = query(
            "SELECT at, surface, model, status, error, key_id FROM requests \
             WHERE failed = 1 ORDER BY at DESC, id DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(self.db()?.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(FailedRequest {
                    at: row.get("at")?,
                    surface: surface_of(&row.get::<String>("surface")?),
                    model: row.get("model")?,
                    status: row.number("status")?,
                    error: row.get("error")?,
                    key_id: row.get("key_id")?,
                })
            })
            .collect()
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
