//! The request records: written in batches, with few statements each.

use std::collections::HashMap;

use contract::Millis;
use contract::admin::Surface;
use jiff::tz::TimeZone;

use super::database::{Connections, Tx, Value, query, query_built};
use super::{Store, StoreError};
use crate::pool::SavedKeyState;
use crate::record::RequestRecord;

/// The numbers of rows that one statement inserts. Any number of records is a few of them, and
/// each stays prepared: on a server far away what counts is how often it is asked.
const ROWS: [usize; 13] = [256, 128, 64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1];
/// The most text in one statement, in bytes; servers take no larger ones than 16 MiB at most.
const TEXT: usize = 1024 * 1024;
/// The most rows that [`set_by_id`] changes with one statement.
const ROWS_BY_ID: usize = 128;

/// The columns of a record, in the order in which they are bound.
const COLUMNS: &str = "request_id, at, surface, model, key_id, failed_keys, token_id, status, \
    stream, attempts, latency_ms, ttft_ms, prompt_tokens, output_tokens, thought_tokens, \
    cached_tokens, error, failed, remote, project, cost_micros, detail, tries";

/// The statement that inserts that many records.
fn insert(rows: usize) -> String {
    let marks = vec!["?"; COLUMNS.split(',').count()].join(", ");
    let values = vec![format!("({marks})"); rows].join(", ");
    format!("INSERT INTO requests ({COLUMNS}) VALUES {values}")
}

/// What one transaction of the recorder's writer holds.
pub(crate) struct Batch {
    /// Who writes it, and its number there: one that was committed, although the answer was
    /// lost, is not written twice.
    pub(crate) number: Option<(String, i64)>,
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) key_states: HashMap<i64, SavedKeyState>,
    /// Whose hours and days the sums are of.
    pub(crate) time_zone: TimeZone,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            number: None,
            requests: Vec::new(),
            key_states: HashMap::new(),
            time_zone: TimeZone::UTC,
        }
    }
}

impl Batch {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.key_states.is_empty()
    }
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
        if fresh {
            self.write_requests(&mut tx, &batch.requests).await?;
        }
        let mut states: Vec<(i64, Value)> = Vec::with_capacity(batch.key_states.len());
        for (id, state) in &batch.key_states {
            let text = serde_json::to_string(state)
                .map_err(|error| StoreError::failed(&self.inner.place, &error))?;
            states.extend(self.lasting_key(*id).map(|id| (id, text.into())));
        }
        set_by_id(&mut tx, "gemini_keys", "saved_state", states).await?;
        if fresh {
            // Last, because all servers on this database meet here: nobody waits long.
            self.add_sums(connections, &mut tx, &batch.requests, &batch.time_zone)
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
        let mut rest = requests;
        while let Some((requests, after)) = next_rows(rest) {
            rest = after;
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
                    .bind(request.error.is_some())
                    .bind(request.remote.as_deref())
                    .bind(request.project.as_deref())
                    .bind(request.cost_micros)
                    .bind(self.written_detail(request)?)
                    .bind(self.written_tries(request)?);
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
        let tokens_used = tokens_used.into_iter().map(|(id, at)| (id, at.into()));
        set_by_id(tx, "client_tokens", "last_used_at", tokens_used.collect()).await
    }

    fn written_detail(&self, request: &RequestRecord) -> Result<Option<String>, StoreError> {
        let Some(detail) = &request.detail else {
            return Ok(None);
        };
        serde_json::to_string(detail)
            .map(Some)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))
    }

    fn written_tries(&self, request: &RequestRecord) -> Result<Option<String>, StoreError> {
        if request.tries.is_empty() {
            return Ok(None);
        }
        let mut tries = request.tries.clone();
        for one in &mut tries {
            one.key = one.key.and_then(|id| self.lasting_key(id));
        }
        serde_json::to_string(&tries)
            .map(Some)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))
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

/// The rows of the next statement, and those after them: as many as are prepared at once, and
/// no more than [`TEXT`] unless it is one row. `None` at the end.
fn next_rows(rest: &[RequestRecord]) -> Option<(&[RequestRecord], &[RequestRecord])> {
    let mut text = 0;
    let fitting = rest
        .iter()
        .take_while(|request| {
            text += request.text_bytes();
            text <= TEXT
        })
        .count()
        .max(1);
    let length = ROWS.into_iter().find(|length| *length <= fitting)?;
    rest.split_at_checked(length)
}

/// Sets one column of several rows, each to its own value, with one statement for
/// [`ROWS_BY_ID`] rows. In the order of their numbers, so that two servers lock them in the
/// same order.
async fn set_by_id(
    tx: &mut Tx,
    table: &'static str,
    column: &'static str,
    mut values: Vec<(i64, Value)>,
) -> Result<(), StoreError> {
    values.sort_unstable_by_key(|(id, _)| *id);
    for chunk in values.chunks(ROWS_BY_ID) {
        // The last row fills the length up to a power of two: few statements are prepared.
        let length = chunk.len().next_power_of_two();
        let filled = || {
            chunk
                .iter()
                .chain(chunk.last().into_iter().cycle())
                .take(length)
        };
        let mut statement = query_built(format!(
            "UPDATE {table} SET {column} = CASE id {} ELSE {column} END WHERE id IN ({})",
            vec!["WHEN ? THEN ?"; length].join(" "),
            vec!["?"; length].join(", ")
        ));
        for (id, value) in filled() {
            statement = statement.bind(*id).bind(value.clone());
        }
        for (id, _) in filled() {
            statement = statement.bind(*id);
        }
        statement.execute(&mut *tx).await?;
    }
    Ok(())
}

fn joined(ids: &[i64]) -> Option<String> {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(","))
}

pub(super) fn surface_name(surface: Surface) -> &'static str {
    match surface {
        Surface::Openai => "openai",
        Surface::Gemini => "gemini",
        Surface::Anthropic => "anthropic",
    }
}

pub(super) fn surface_of(name: &str) -> Surface {
    match name {
        "openai" => Surface::Openai,
        "anthropic" => Surface::Anthropic,
        _ => Surface::Gemini,
    }
}
