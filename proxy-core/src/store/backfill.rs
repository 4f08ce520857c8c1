//! Sums of requests from before there were sums: the first schema had none. They are made up for
//! once, after the start and beside everything else.
//!
//! Requests of then have no `request_id`, all later ones have, so what is missing in the sums is
//! known exactly. One transaction adds a piece and notes how far that went ([`UNSUMMED`]).

use contract::Millis;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::database::{Connections, Row, Tx, query};
use super::requests::surface_of;
use super::seal::{panel_value, put_panel_value};
use super::{Store, StoreError};
use crate::record::RequestRecord;

/// Which requests are in no sums yet, as JSON. Absent until it was looked.
const UNSUMMED: &str = "unsummed";
/// Requests that are summed up at once.
const PIECE: u32 = 2_000;

/// The requests from `after` to `until` that have no `request_id`, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unsummed {
    /// Not included.
    after: i64,
    /// Included.
    until: i64,
}

impl Store {
    /// Looks, once for every database, which requests are in no sums.
    pub(super) async fn look_for_unsummed(
        &self,
        connections: &Connections,
    ) -> Result<(), StoreError> {
        if panel_value(connections.read(), UNSUMMED).await?.is_some() {
            return Ok(());
        }
        let mut tx = connections.begin_exclusive().await?;
        if panel_value(&mut tx, UNSUMMED).await?.is_some() {
            return Ok(());
        }
        let row =
            query("SELECT COALESCE(MAX(id), 0) AS newest FROM requests WHERE request_id = ''")
                .fetch_optional(&mut tx)
                .await?;
        let until = row.map_or(Ok(0), |row| row.get("newest"))?;
        self.put_unsummed(&mut tx, Unsummed { after: 0, until })
            .await?;
        tx.commit().await
    }

    /// Adds the next of them to the sums, whose days begin at midnight of `zone`; false when none
    /// is left.
    ///
    /// # Errors
    /// When the database cannot be used; what is done by then is done, and the next call goes on
    /// from there.
    pub(crate) async fn sum_up_requests(&self, zone: &TimeZone) -> Result<bool, StoreError> {
        let db = self.db()?;
        let known = left(panel_value(db.read(), UNSUMMED).await?);
        if known.is_none_or(|left| left.after >= left.until) {
            return Ok(false);
        }
        let mut tx = self.begin().await?;
        // Another server may have been faster.
        let Some(left) = left(panel_value(&mut tx, UNSUMMED).await?) else {
            return Ok(false);
        };
        let rows = query(
            "SELECT id, at, surface, model, key_id, failed_keys, token_id, status, attempts, \
             latency_ms, ttft_ms, prompt_tokens, output_tokens, thought_tokens, cached_tokens, \
             failed, cost_micros FROM requests \
             WHERE request_id = '' AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        )
        .bind(left.after)
        .bind(left.until)
        .bind(PIECE)
        .fetch_all(&mut tx)
        .await?;
        let after = match rows.last() {
            Some(last) if rows.len() >= PIECE as usize => last.get("id")?,
            _ => left.until,
        };
        let requests: Result<Vec<_>, _> = rows.iter().map(request_of).collect();
        self.add_sums(&db, &mut tx, &requests?, zone).await?;
        self.put_unsummed(&mut tx, Unsummed { after, ..left })
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn put_unsummed(&self, tx: &mut Tx, left: Unsummed) -> Result<(), StoreError> {
        let json = serde_json::to_vec(&left)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))?;
        put_panel_value(tx, UNSUMMED, json).await
    }
}

fn left(json: Option<Vec<u8>>) -> Option<Unsummed> {
    serde_json::from_slice(&json?).ok()
}

/// As much of a request as its sums need.
fn request_of(row: &Row) -> Result<RequestRecord, StoreError> {
    let failed_keys: Option<String> = row.get("failed_keys")?;
    let failed_keys = failed_keys.unwrap_or_default();
    let ttft_ms: Option<i64> = row.get("ttft_ms")?;
    let cost_micros: Option<i64> = row.get("cost_micros")?;
    Ok(RequestRecord {
        at: row.get::<Millis>("at")?,
        model: row.get::<String>("model")?.into(),
        key_id: row.get("key_id")?,
        failed_keys: failed_keys
            .split(',')
            .filter_map(|id| id.parse().ok())
            .collect(),
        token_id: row.get("token_id")?,
        status: row.number("status")?,
        attempts: row.number("attempts")?,
        latency_ms: row.number("latency_ms")?,
        ttft_ms: ttft_ms.and_then(|ms| ms.try_into().ok()),
        prompt_tokens: row.number("prompt_tokens")?,
        output_tokens: row.number("output_tokens")?,
        thought_tokens: row.number("thought_tokens")?,
        cached_tokens: row.number("cached_tokens")?,
        // Only whether there was one is counted.
        error: row.get::<bool>("failed")?.then(Box::default),
        cost_micros: cost_micros.and_then(|micros| micros.try_into().ok()),
        ..RequestRecord::blank(surface_of(&row.get::<String>("surface")?))
    })
}
