//! Sums over requests by the hour, the day and the month: what the dashboard, the statistics and the
//! limits of tokens are read from. They stay when requests are deleted.
//!
//! They are added to in the transaction that writes the requests, so both tell the same.

use std::collections::{BTreeMap, HashMap};

use contract::Millis;
use contract::admin::Sums;
use jiff::tz::TimeZone;

use super::database::{Connections, Row, Statement, Tx, query, query_built};
use super::requests::surface_name;
use super::{Store, StoreError};
use crate::record::RequestRecord;
use crate::record::slots::{Period, Slots, Span};
use crate::surface::limits::DayCounts;

/// The most rows in one statement; each has [`VALUES`] values.
const ROWS: usize = 512;
/// The fewest. The number of rows is a power of two, so that few statements are prepared.
const FEWEST_ROWS: usize = 8;

/// The primary key.
const KEY: &str = "period, kind, at, name";
/// What is summed up, in the order of [`Tally::values`].
const COLUMNS: [&str; 10] = [
    "requests",
    "errors",
    "prompt_tokens",
    "output_tokens",
    "thought_tokens",
    "cached_tokens",
    "cost_micros",
    "latency_ms",
    "ttft_ms",
    "ttft_count",
];
const VALUES: usize = 4 + COLUMNS.len();

/// What a row is the sum of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SumKind {
    /// What counted towards a token's limits, by the day only: without the requests that the
    /// limits turned away.
    Admitted,
    /// Everything; the name is empty.
    All,
    /// Attempts with a key, by its number. Tokens and cost are those of the answer.
    Key,
    /// A model that Google knows, by its name.
    Model,
    /// An HTTP status.
    Status,
    /// A protocol.
    Surface,
    /// A client token, by its number.
    Token,
}

impl SumKind {
    /// As it is in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::All => "all",
            Self::Key => "key",
            Self::Model => "model",
            Self::Status => "status",
            Self::Surface => "surface",
            Self::Token => "token",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [
            Self::Admitted,
            Self::All,
            Self::Key,
            Self::Model,
            Self::Status,
            Self::Surface,
            Self::Token,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// As it is in the table.
pub(super) fn period_name(period: Period) -> &'static str {
    match period {
        Period::Day => "d",
        Period::Hour => "h",
        Period::Month => "m",
    }
}

/// The sums of one row. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests or attempts.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens, thoughts not included.
    pub output_tokens: u64,
    /// Tokens of thoughts.
    pub thought_tokens: u64,
    /// Input tokens from Google's cache.
    pub cached_tokens: u64,
    /// Millionths of a US dollar.
    pub cost_micros: u64,
    /// Times to the end of the answer.
    pub latency_ms: u64,
    /// Times to the first byte, as far as there was one.
    pub ttft_ms: u64,
    /// How many requests `ttft_ms` is the sum of.
    pub ttft_count: u64,
}

impl Tally {
    fn of_request(request: &RequestRecord) -> Self {
        Self {
            requests: 1,
            errors: request.error.is_some().into(),
            prompt_tokens: request.prompt_tokens.into(),
            output_tokens: request.output_tokens.into(),
            thought_tokens: request.thought_tokens.into(),
            cached_tokens: request.cached_tokens.into(),
            cost_micros: request.cost_micros.unwrap_or_default(),
            latency_ms: request.latency_ms.into(),
            ttft_ms: request.ttft_ms.unwrap_or_default().into(),
            ttft_count: request.ttft_ms.is_some().into(),
        }
    }

    /// A key that failed before another one was tried. It has the time of the whole request,
    /// so that a mean over attempts is one.
    fn of_failed_attempt(request: &RequestRecord) -> Self {
        Self {
            requests: 1,
            errors: 1,
            latency_ms: request.latency_ms.into(),
            ..Self::default()
        }
    }

    fn of_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            requests: row.number("requests")?,
            errors: row.number("errors")?,
            prompt_tokens: row.number("prompt_tokens")?,
            output_tokens: row.number("output_tokens")?,
            thought_tokens: row.number("thought_tokens")?,
            cached_tokens: row.number("cached_tokens")?,
            cost_micros: row.number("cost_micros")?,
            latency_ms: row.number("latency_ms")?,
            ttft_ms: row.number("ttft_ms")?,
            ttft_count: row.number("ttft_count")?,
        })
    }

    fn values(&self) -> [u64; COLUMNS.len()] {
        [
            self.requests,
            self.errors,
            self.prompt_tokens,
            self.output_tokens,
            self.thought_tokens,
            self.cached_tokens,
            self.cost_micros,
            self.latency_ms,
            self.ttft_ms,
            self.ttft_count,
        ]
    }

    /// Adds another one to it.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
        self.thought_tokens += other.thought_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cost_micros += other.cost_micros;
        self.latency_ms += other.latency_ms;
        self.ttft_ms += other.ttft_ms;
        self.ttft_count += other.ttft_count;
    }
}

impl From<Tally> for Sums {
    fn from(tally: Tally) -> Self {
        let mean = |sum: u64, count: u64| {
            let mean = sum.checked_div(count).unwrap_or_default();
            mean.try_into().unwrap_or(u32::MAX)
        };
        Self {
            requests: tally.requests,
            errors: tally.errors,
            prompt_tokens: tally.prompt_tokens,
            output_tokens: tally.output_tokens,
            thought_tokens: tally.thought_tokens,
            cached_tokens: tally.cached_tokens,
            cost_micros: tally.cost_micros,
            mean_latency_ms: mean(tally.latency_ms, tally.requests),
            mean_ttft_ms: mean(tally.ttft_ms, tally.ttft_count),
        }
    }
}

/// The rows of a batch by their primary key.
pub(super) type Rows = BTreeMap<(&'static str, &'static str, Millis, String), Tally>;

/// Sums by what they are of: a kind, and a number or a name.
pub type Totals = HashMap<(SumKind, String), Tally>;

impl Store {
    /// Adds requests to the sums.
    pub(super) async fn add_sums(
        &self,
        connections: &Connections,
        tx: &mut Tx,
        requests: &[RequestRecord],
        zone: &TimeZone,
    ) -> Result<(), StoreError> {
        Self::add_rows(connections, tx, self.rows_of(requests, zone)).await
    }

    /// Adds to rows of the sums, or makes them. They are in the order of the primary key:
    /// servers that share a database then wait for one another and never in a circle.
    pub(super) async fn add_rows(
        connections: &Connections,
        tx: &mut Tx,
        rows: Rows,
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = rows.into_iter().collect();
        for chunk in rows.chunks(ROWS) {
            let Some((last, _)) = chunk.last() else { break };
            let length = chunk.len().next_power_of_two().max(FEWEST_ROWS);
            let mut statement = upsert(connections, length);
            for (key, tally) in chunk {
                statement = bound(statement, key, tally);
            }
            // What is missing to the length adds nothing to the last row.
            for _ in chunk.len()..length {
                statement = bound(statement, last, &Tally::default());
            }
            statement.execute(&mut *tx).await?;
        }
        Ok(())
    }

    fn rows_of(&self, requests: &[RequestRecord], zone: &TimeZone) -> Rows {
        let mut rows = Rows::new();
        let mut slots = Slots::new(zone);
        for request in requests {
            let whole = Tally::of_request(request);
            let attempt = Tally::of_failed_attempt(request);
            for (period, at) in slots.of(request.at) {
                let mut add = |kind: SumKind, name: String, tally: &Tally| {
                    let key = (period_name(period), kind.name(), at, name);
                    rows.entry(key).or_default().add(tally);
                };
                add(SumKind::All, String::new(), &whole);
                if is_known_model(request) {
                    add(SumKind::Model, request.model.to_string(), &whole);
                }
                for id in request.failed_keys.iter().copied() {
                    if let Some(id) = self.lasting_key(id) {
                        add(SumKind::Key, id.to_string(), &attempt);
                    }
                }
                if let Some(id) = request.key_id.and_then(|id| self.lasting_key(id)) {
                    add(SumKind::Key, id.to_string(), &whole);
                }
                if let Some(id) = request.token_id.and_then(|id| self.lasting_token(id)) {
                    add(SumKind::Token, id.to_string(), &whole);
                    let admitted = request.attempts > 0 || request.error.is_none();
                    if admitted && period == Period::Day {
                        add(SumKind::Admitted, id.to_string(), &whole);
                    }
                }
                let surface = surface_name(request.surface);
                add(SumKind::Surface, surface.to_owned(), &whole);
                add(SumKind::Status, request.status.to_string(), &whole);
            }
        }
        rows
    }

    /// The hourly sums of everything since then, oldest first; hours without a request are
    /// absent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn hours_since(&self, since: Millis) -> Result<Vec<(Millis, Tally)>, StoreError> {
        self.curve(Period::Hour, SumKind::All, "", since).await
    }

    /// The sums of one name since then, oldest first; slots without a request are absent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn curve(
        &self,
        period: Period,
        kind: SumKind,
        name: &str,
        since: Millis,
    ) -> Result<Vec<(Millis, Tally)>, StoreError> {
        let columns = COLUMNS.join(", ");
        let rows = query_built(format!(
            "SELECT at, {columns} FROM sums \
             WHERE period = ? AND kind = ? AND at >= ? AND name = ? ORDER BY at"
        ))
        .bind(period_name(period))
        .bind(kind.name())
        .bind(since)
        .bind(name)
        .fetch_all(self.db()?.read())
        .await?;
        rows.iter()
            .map(|row| Ok((row.get("at")?, Tally::of_row(row)?)))
            .collect()
    }

    /// The sums over these spans, of every name of these kinds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn totals(&self, spans: &[Span], kinds: &[SumKind]) -> Result<Totals, StoreError> {
        let columns = COLUMNS.map(|column| format!("CAST(SUM({column}) AS SIGNED) AS {column}"));
        let columns = columns.join(", ");
        let marks = vec!["?"; kinds.len()].join(", ");
        let mut totals = Totals::new();
        for Span { period, from, to } in spans.iter().filter(|span| span.from < span.to) {
            let mut statement = query_built(format!(
                "SELECT kind, name, {columns} FROM sums WHERE period = ? AND kind IN ({marks}) \
                 AND at >= ? AND at < ? GROUP BY kind, name"
            ))
            .bind(period_name(*period));
            for kind in kinds {
                statement = statement.bind(kind.name());
            }
            let rows = statement
                .bind(*from)
                .bind(*to)
                .fetch_all(self.db()?.read())
                .await?;
            for row in &rows {
                let Some(kind) = SumKind::of(&row.get::<String>("kind")?) else {
                    continue;
                };
                let total = totals.entry((kind, row.get("name")?)).or_default();
                total.add(&Tally::of_row(row)?);
            }
        }
        Ok(totals)
    }

    /// Attempts by key since midnight; a request that was tried on three keys counts for each.
    /// By the hour, because a day that began in another time zone began at another moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key_counts(&self, midnight: Millis) -> Result<HashMap<i64, Tally>, StoreError> {
        self.by_id(Period::Hour, SumKind::Key, midnight).await
    }

    /// What was done with each token since midnight, which must be the beginning of a day.
    /// Requests that their token's limits turned away are left out: they count towards no limit.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token_counts(
        &self,
        midnight: Millis,
    ) -> Result<Vec<(i64, DayCounts)>, StoreError> {
        let counts = self.by_id(Period::Day, SumKind::Admitted, midnight).await?;
        let counts = counts.into_iter().map(|(id, tally)| {
            let counts = DayCounts {
                requests: tally.requests,
                errors: tally.errors,
                tokens: tally.prompt_tokens + tally.output_tokens + tally.thought_tokens,
            };
            (id, counts)
        });
        Ok(counts.collect())
    }

    async fn by_id(
        &self,
        period: Period,
        kind: SumKind,
        since: Millis,
    ) -> Result<HashMap<i64, Tally>, StoreError> {
        let span = Span {
            period,
            from: since,
            to: Millis::MAX,
        };
        let totals = self.totals(&[span], &[kind]).await?;
        let numbered = totals
            .into_iter()
            .filter_map(|((_, name), tally)| Some((name.parse().ok()?, tally)));
        Ok(numbered.collect())
    }

    /// Deletes the sums of a kind (`None`: of all) from before a moment.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(super) async fn delete_sums(
        &self,
        period: Period,
        kind: Option<SumKind>,
        before: Millis,
    ) -> Result<u64, StoreError> {
        let statement = match kind {
            Some(kind) => query("DELETE FROM sums WHERE period = ? AND kind = ? AND at < ?")
                .bind(period_name(period))
                .bind(kind.name()),
            None => query("DELETE FROM sums WHERE period = ? AND at < ?").bind(period_name(period)),
        };
        let done = statement.bind(before).execute(self.db()?.write()).await?;
        Ok(done.rows)
    }
}

/// A model's name is the client's text, and its rows stay for good: only one that Google did
/// not call unknown has any. A pool that rests has met the model before.
fn is_known_model(request: &RequestRecord) -> bool {
    let met = request.attempts > 0 || request.status == 429;
    !request.model.is_empty() && request.status != 404 && met
}

fn upsert(connections: &Connections, rows: usize) -> Statement {
    let marks = format!("({})", vec!["?"; VALUES].join(", "));
    query_built(format!(
        "INSERT INTO sums ({KEY}, {}) VALUES {}{}",
        COLUMNS.join(", "),
        vec![marks; rows].join(", "),
        connections.engine().on_conflict(KEY, &COLUMNS)
    ))
}

fn bound(
    statement: Statement,
    (period, kind, at, name): &(&'static str, &'static str, Millis, String),
    tally: &Tally,
) -> Statement {
    let mut statement = statement.bind(*period).bind(*kind).bind(*at).bind(name);
    for value in tally.values() {
        statement = statement.bind(value);
    }
    statement
}
