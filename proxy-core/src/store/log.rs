//! The request log: one page of it, one request of it, and deleting from it.
//!
//! A page walks one index from newest to oldest and goes on where the one before ended, so its
//! cost does not grow with the log. Which index that is does not lie with the databases, which
//! guess: each filter has its own and [`Store::walk`] chooses among them. What no index narrows is
//! looked for in [`SCAN`] rows at a time: such a page may be short, or empty, and still have
//! a next one.

use std::collections::{BTreeSet, HashMap};

use contract::Millis;
use contract::admin::{Named, RequestDetail, RequestQuery, RequestResult, RequestView, TryView};
use serde::de::DeserializeOwned;

use super::database::{Row, Statement, Value, query, query_built};
use super::requests::{surface_name, surface_of};
use super::{Store, StoreError};
use crate::record::{Detail, Try};

/// How many rows of an index a page looks at, when other filters decide about each.
const SCAN: i64 = 4_000;
/// Rows that are deleted or changed in one go; others write in between.
const CHUNK: i64 = 2_000;

/// What a page shows of a request.
const COLUMNS: &str = "id, request_id, at, surface, model, token_id, key_id, remote, project, status, \
    stream, attempts, latency_ms, ttft_ms, prompt_tokens, output_tokens, thought_tokens, \
    cached_tokens, cost_micros, error";

/// A place in the log: requests come newest first, by time and then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the request ended.
    pub at: Millis,
    /// Its number.
    pub id: i64,
}

/// One filter: a column, its value, and the index that begins with it.
struct Filter {
    column: &'static str,
    value: Value,
    index: &'static str,
}

/// The index of all requests by time.
const BY_TIME: &str = "requests_at";

/// A `WHERE` clause that grows, and its values.
#[derive(Clone, Default)]
struct Where {
    sql: String,
    values: Vec<Value>,
}

impl Where {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    fn is(&mut self, filter: &Filter) {
        self.and(&format!("{} = ?", filter.column), [filter.value.clone()]);
    }

    fn bind_to(self, statement: Statement) -> Statement {
        self.values.into_iter().fold(statement, Statement::bind)
    }
}

/// The filters of a query, the one that leaves the fewest rows first, as far as one can say
/// without looking: most requests go well.
fn filters(query: &RequestQuery) -> Vec<Filter> {
    let filter = |column, index, value: Value| Filter {
        column,
        value,
        index,
    };
    let status = query
        .status
        .map(|status| filter("status", "requests_status", status.into()));
    let result = query.result.map(|result| {
        let failed = result == RequestResult::Failed;
        filter("failed", "requests_failed", failed.into())
    });
    let (rare_status, usual_status) = match query.status {
        Some(200) => (None, status),
        _ => (status, None),
    };
    let (failed, went_well) = match query.result {
        Some(RequestResult::Ok) => (None, result),
        _ => (result, None),
    };
    let key = query
        .key
        .map(|id| filter("key_id", "requests_key", id.into()));
    let token = query
        .token
        .map(|id| filter("token_id", "requests_token", id.into()));
    let model = query
        .model
        .as_deref()
        .map(|model| filter("model", "requests_model", model.into()));
    let surface = query
        .surface
        .map(|surface| filter("surface", "requests_surface", surface_name(surface).into()));
    [
        rare_status,
        failed,
        key,
        token,
        model,
        surface,
        usual_status,
        went_well,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A text to be found anywhere in another one, whatever the case, for `LIKE … ESCAPE '!'`.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl Store {
    /// The requests that a query asks for, newest first, and where to go on. `limit` is of
    /// requests; names of keys without a label are empty.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn requests(
        &self,
        query: &RequestQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<RequestView>, Option<Place>), StoreError> {
        let filters = filters(query);
        let Some(search) = query.search.as_deref() else {
            let (walked, others) = match filters.split_first() {
                Some((first, others)) => (Some(first), others),
                None => (None, &[][..]),
            };
            return self.walk(query, walked, others, None, after, limit).await;
        };
        // A request id is in one row, which need not have failed; a text is in errors.
        let by_id = Filter {
            column: "request_id",
            value: search.into(),
            index: "requests_request_id",
        };
        let named = self
            .walk(query, Some(&by_id), &filters, None, after, limit)
            .await?;
        if !named.0.is_empty() || query.result == Some(RequestResult::Ok) {
            return Ok(named);
        }
        let (failed, others): (Vec<_>, Vec<_>) = self::filters(&RequestQuery {
            result: Some(RequestResult::Failed),
            ..query.clone()
        })
        .into_iter()
        .partition(|filter| filter.column == "failed");
        self.walk(query, failed.first(), &others, Some(search), after, limit)
            .await
    }

    /// Goes along the index of `walked` and picks what the others and the text leave.
    async fn walk(
        &self,
        query: &RequestQuery,
        walked: Option<&Filter>,
        others: &[Filter],
        text: Option<&str>,
        after: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<RequestView>, Option<Place>), StoreError> {
        let connections = self.db()?;
        let index = walked.map_or(BY_TIME, |filter| filter.index);
        let hint = connections.engine().with_index(index);
        let mut range = Where::default();
        if let Some(filter) = walked {
            range.is(filter);
        }
        // One bound on each side: of two, a database may walk from the wider one.
        let from = query.from.unwrap_or(Millis::MIN);
        let newest = query.to.map_or(Millis::MAX, |to| to.saturating_sub(1));
        match after {
            Some(Place { at, id }) if at <= newest => {
                range.and(
                    "at <= ? AND (at < ? OR id < ?)",
                    [at, at, id].map(Value::from),
                );
            }
            _ => range.and("at <= ?", [newest.into()]),
        }
        let bounded = |mut range: Where, end: Option<Place>| {
            match end {
                Some(Place { at, id }) => {
                    range.and(
                        "at >= ? AND (at > ? OR id >= ?)",
                        [at, at, id].map(Value::from),
                    );
                }
                None => range.and("at >= ?", [from.into()]),
            }
            range
        };
        let mut end = None;
        if !others.is_empty() || text.is_some() {
            let whole = bounded(range.clone(), None);
            let statement = query_built(format!(
                "SELECT at, id FROM requests{hint}{} ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?",
                whole.sql
            ));
            let row = whole
                .bind_to(statement)
                .bind(SCAN - 1)
                .fetch_optional(connections.read())
                .await?;
            if let Some(row) = row {
                end = Some(Place {
                    at: row.get("at")?,
                    id: row.get("id")?,
                });
            }
        }
        let mut range = bounded(range, end);
        for filter in others {
            range.is(filter);
        }
        if let Some(text) = text {
            range.and("LOWER(error) LIKE ? ESCAPE '!'", [pattern(text).into()]);
        }
        let statement = query_built(format!(
            "SELECT {COLUMNS} FROM requests{hint}{} ORDER BY at DESC, id DESC LIMIT ?",
            range.sql
        ));
        let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let rows = range
            .bind_to(statement)
            .bind(one_more)
            .fetch_all(connections.read())
            .await?;
        let mut requests: Vec<RequestView> = rows
            .iter()
            .take(limit)
            .map(view)
            .collect::<Result<_, _>>()?;
        self.name(&mut requests).await?;
        let next = match requests.last() {
            Some(last) if rows.len() > limit => Some(Place {
                at: last.at,
                id: last.id,
            }),
            _ => end,
        };
        Ok((requests, next))
    }

    /// One request with everything that is known of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn request(&self, id: i64) -> Result<Option<RequestDetail>, StoreError> {
        let row = query_built(format!(
            "SELECT {COLUMNS}, failed_keys, detail, tries FROM requests WHERE id = ?"
        ))
        .bind(id)
        .fetch_optional(self.db()?.read())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut requests = [view(&row)?];
        self.name(&mut requests).await?;
        let failed: Option<String> = row.get("failed_keys")?;
        let failed: Vec<i64> = failed
            .iter()
            .flat_map(|ids| ids.split(','))
            .filter_map(|id| id.parse().ok())
            .collect();
        let detail: Detail = read(id, row.get("detail")?);
        let tries: Vec<Try> = read(id, row.get("tries")?);
        let ids = failed.iter().copied();
        let ids = ids.chain(tries.iter().filter_map(|one| one.key));
        let names = self.key_names(ids).await?;
        let [request] = requests;
        Ok(Some(RequestDetail {
            request,
            failed_keys: failed.into_iter().map(|id| named(id, &names)).collect(),
            tries: tries
                .into_iter()
                .map(|one| shown_try(one, &names))
                .collect(),
            upstream_message: detail.upstream_message.map(Into::into),
            user_agent: detail.user_agent.map(Into::into),
            body: detail.body.map(Into::into),
            body_truncated: detail.body_truncated,
        }))
    }

    /// Puts the names of keys and tokens in, and the projects of keys.
    async fn name(&self, requests: &mut [RequestView]) -> Result<(), StoreError> {
        let ids = |of: fn(&RequestView) -> &Option<Named>, requests: &[RequestView]| {
            let ids = requests
                .iter()
                .filter_map(move |request| of(request).as_ref());
            ids.map(|named| named.id).collect::<BTreeSet<i64>>()
        };
        let keys = self
            .key_names(ids(|request| &request.key, requests))
            .await?;
        let tokens = self
            .token_names(ids(|request| &request.token, requests))
            .await?;
        for request in requests {
            if let Some(key) = &mut request.key {
                *key = named(key.id, &keys);
            }
            if let Some(token) = &mut request.token {
                *token = named(token.id, &tokens);
            }
        }
        Ok(())
    }

    /// The labels of keys, deleted ones included; empty for a key without one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key_names(
        &self,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, String>, StoreError> {
        self.names("SELECT id, label AS name FROM gemini_keys", ids)
            .await
    }

    /// The names of client tokens, deleted ones included.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token_names(
        &self,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, String>, StoreError> {
        self.names("SELECT id, name FROM client_tokens", ids).await
    }

    async fn names(
        &self,
        select: &'static str,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, String>, StoreError> {
        let ids: Vec<i64> = ids.into_iter().collect();
        let Some(last) = ids.last() else {
            return Ok(HashMap::new());
        };
        // Filled up with the last one, so that few statements are prepared.
        let length = ids.len().next_power_of_two();
        let marks = vec!["?"; length].join(", ");
        let mut statement = query_built(format!("{select} WHERE id IN ({marks})"));
        for id in ids.iter().chain(std::iter::repeat(last)).take(length) {
            statement = statement.bind(*id);
        }
        let rows = statement.fetch_all(self.db()?.read()).await?;
        rows.iter()
            .map(|row| Ok((row.get("id")?, row.get("name")?)))
            .collect()
    }

    /// Deletes requests that ended before a moment, piece by piece; gives how many.
    ///
    /// # Errors
    /// When the database cannot be written; what was deleted by then stays deleted.
    pub async fn delete_requests(
        &self,
        before: Millis,
        failed_only: bool,
    ) -> Result<u64, StoreError> {
        let condition = if failed_only {
            "failed = 1 AND at < ?"
        } else {
            "at < ?"
        };
        let mut deleted = 0;
        loop {
            let connections = self.db()?;
            let chunk_end = query_built(format!(
                "SELECT at FROM requests WHERE {condition} ORDER BY at LIMIT 1 OFFSET ?"
            ))
            .bind(before)
            .bind(CHUNK - 1)
            .fetch_optional(connections.read())
            .await?;
            let chunk_end: Option<Millis> = chunk_end.map(|row| row.get("at")).transpose()?;
            // Those of one millisecond go together.
            let until = chunk_end.map_or(before, |at| before.min(at.saturating_add(1)));
            let done = query_built(format!("DELETE FROM requests WHERE {condition}"))
                .bind(until)
                .execute(connections.write())
                .await?;
            deleted += done.rows;
            if chunk_end.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// Takes the details from failed requests of a span of time, piece by piece.
    pub(super) async fn drop_details(
        &self,
        mut from: Millis,
        before: Millis,
    ) -> Result<(), StoreError> {
        loop {
            let connections = self.db()?;
            let chunk_end = query(
                "SELECT at FROM requests WHERE failed = 1 AND at >= ? AND at < ? \
                 ORDER BY at LIMIT 1 OFFSET ?",
            )
            .bind(from)
            .bind(before)
            .bind(CHUNK - 1)
            .fetch_optional(connections.read())
            .await?;
            let chunk_end: Option<Millis> = chunk_end.map(|row| row.get("at")).transpose()?;
            let until = chunk_end.map_or(before, |at| before.min(at.saturating_add(1)));
            query(
                "UPDATE requests SET detail = NULL \
                 WHERE failed = 1 AND at >= ? AND at < ? AND detail IS NOT NULL",
            )
            .bind(from)
            .bind(until)
            .execute(connections.write())
            .await?;
            if chunk_end.is_none() {
                return Ok(());
            }
            from = until;
        }
    }
}

/// What is kept of a request as JSON; nothing when it cannot be read.
fn read<T: DeserializeOwned + Default>(id: i64, text: Option<String>) -> T {
    let read = text.and_then(|text| {
        serde_json::from_str(&text)
            .inspect_err(|error| tracing::error!(id, %error, "a part of a record is unreadable"))
            .ok()
    });
    read.unwrap_or_default()
}

fn shown_try(one: Try, names: &HashMap<i64, String>) -> TryView {
    TryView {
        key: one.key.map(|id| named(id, names)),
        proxy: one.proxy.map(Into::into),
        outcome: one.outcome,
        waited_ms: one.waited_ms,
        took_ms: one.took_ms,
    }
}

fn named(id: i64, names: &HashMap<i64, String>) -> Named {
    Named {
        id,
        name: names.get(&id).cloned().unwrap_or_default(),
    }
}

/// A row of [`COLUMNS`], without names.
fn view(row: &Row) -> Result<RequestView, StoreError> {
    let unnamed = |id: Option<i64>| {
        id.map(|id| Named {
            id,
            name: String::new(),
        })
    };
    let small = |number: Option<i64>| number.and_then(|number| number.try_into().ok());
    let cost: Option<i64> = row.get("cost_micros")?;
    Ok(RequestView {
        id: row.get("id")?,
        request_id: row.get("request_id")?,
        at: row.get("at")?,
        surface: surface_of(&row.get::<String>("surface")?),
        model: row.get("model")?,
        token: unnamed(row.get("token_id")?),
        key: unnamed(row.get("key_id")?),
        remote: row.get("remote")?,
        project: row.get("project")?,
        status: row.number("status")?,
        stream: row.get::<i64>("stream")? != 0,
        attempts: row.number("attempts")?,
        latency_ms: row.number("latency_ms")?,
        ttft_ms: small(row.get("ttft_ms")?),
        prompt_tokens: row.number("prompt_tokens")?,
        output_tokens: row.number("output_tokens")?,
        thought_tokens: row.number("thought_tokens")?,
        cached_tokens: row.number("cached_tokens")?,
        cost_micros: cost.and_then(|cost| cost.try_into().ok()),
        error: row.get("error")?,
    })
}
