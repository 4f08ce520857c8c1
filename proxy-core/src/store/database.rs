//! Two engines behind one way of asking.
//!
//! A statement is written once, in what SQLite, MySQL, MariaDB and TiDB have in common, and
//! run by [`query`]. What differs is here: the connections and the beginning of a
//! transaction. Numbers cross this border as `i64` only, because MySQL tells signed from
//! unsigned and SQLite does not.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    AssertSqlSafe, ColumnIndex, Decode, MySql, MySqlPool, Row as _, Sqlite, SqlitePool, Type,
};

use super::StoreError;
use super::error::Place;

/// How long a server may take for one statement. What the panel asks for takes a tenth of a
/// second, and a row that another process has locked is free again after much less than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Open connections, and where they lead, for errors.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) pools: Pools,
    pub(super) place: Arc<Place>,
}

#[derive(Clone)]
pub(super) enum Pools {
    /// SQLite has one writer at a time; a single connection makes them queue here instead of
    /// meeting `SQLITE_BUSY`.
    Sqlite {
        writer: SqlitePool,
        reader: SqlitePool,
    },
    Mysql(MySqlPool),
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Mysql,
}

impl Engine {
    /// What follows a table's name in a `SELECT` that is to use this index.
    pub(super) fn with_index(self, index: &'static str) -> String {
        match self {
            Self::Sqlite => format!(" INDEXED BY {index}"),
            Self::Mysql => format!(" FORCE INDEX ({index})"),
        }
    }

    /// The end of an `INSERT` into a table whose row may be there already: adds the new
    /// numbers of `columns` to it. `key` are the columns of the primary key.
    pub(super) fn on_conflict(self, key: &str, columns: &[&str]) -> String {
        let sums = |new: fn(&str) -> String| {
            let sums: Vec<String> = columns
                .iter()
                .map(|column| format!("{column} = {column} + {}", new(column)))
                .collect();
            sums.join(", ")
        };
        match self {
            // https://sqlite.org/lang_upsert.html; an unqualified column is the old value.
            Self::Sqlite => format!(
                " ON CONFLICT ({key}) DO UPDATE SET {}",
                sums(|column| format!("excluded.{column}"))
            ),
            // MySQL 8.0.20 calls VALUES() old, but MariaDB and TiDB have nothing else.
            Self::Mysql => format!(
                " ON DUPLICATE KEY UPDATE {}",
                sums(|column| format!("VALUES({column})"))
            ),
        }
    }
}

/// A transaction. Dropping it takes everything back.
pub(super) struct Tx {
    inner: TxInner,
    place: Arc<Place>,
}

enum TxInner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Mysql(sqlx::Transaction<'static, MySql>),
}

impl Connections {
    /// A transaction that may write and that no other change runs beside, in this process or
    /// in another: what it reads is still true when it writes.
    pub(super) async fn begin_exclusive(&self) -> Result<Tx, StoreError> {
        let mut tx = match &self.pools {
            Pools::Sqlite { .. } => self.begin("BEGIN IMMEDIATE").await?,
            Pools::Mysql(pool) => self.begin_current(pool).await?,
        };
        if let Pools::Mysql(pool) = &self.pools {
            // MySQL has no lock for a whole database that ends with the transaction, so all
            // changes lock the same row. It comes first: what is read later is read after it.
            let locked = query("SELECT value FROM counters WHERE name = 'revision' FOR UPDATE")
                .fetch_optional(&mut tx)
                .await;
            match locked {
                Err(StoreError::ReadOnly(why)) => {
                    drop(tx);
                    // TiDB has no such transactions
                    // (https://github.com/pingcap/tidb/issues/23818).
                    let reading = self.begin_reading(pool).await;
                    return reading.map_err(|_| StoreError::ReadOnly(why));
                }
                locked => locked?,
            };
        }
        Ok(tx)
    }

    /// A transaction on a server that is read-only and therefore lets nobody lock anything. What
    /// turns out to change nothing goes well in it; every write in it is refused, also when the
    /// server takes writes again meanwhile.
    async fn begin_reading(&self, pool: &MySqlPool) -> Result<Tx, StoreError> {
        let work = pool.begin_with("START TRANSACTION READ ONLY");
        Ok(Tx {
            inner: TxInner::Mysql(in_time(&self.place, work).await?),
            place: self.place.clone(),
        })
    }

    /// Which engine this is, for the few statements that differ.
    pub(super) fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Mysql(_) => Engine::Mysql,
        }
    }

    /// A transaction of the one task that writes records. Such rows are only added, so it
    /// keeps nobody waiting on MySQL.
    pub(super) async fn begin_records(&self) -> Result<Tx, StoreError> {
        self.begin("BEGIN IMMEDIATE").await
    }

    async fn begin(&self, sqlite: &'static str) -> Result<Tx, StoreError> {
        let work = async {
            match &self.pools {
                Pools::Sqlite { writer, .. } => {
                    writer.begin_with(sqlite).await.map(TxInner::Sqlite)
                }
                Pools::Mysql(pool) => pool.begin().await.map(TxInner::Mysql),
            }
        };
        Ok(Tx {
            inner: in_time(&self.place, work).await?,
            place: self.place.clone(),
        })
    }

    /// A transaction whose every statement sees what is committed by then. As servers begin one
    /// by themselves, it goes on seeing what was there at its beginning (TiDB) or at its first
    /// statement (MySQL, MariaDB), which was before it had the lock.
    async fn begin_current(&self, pool: &MySqlPool) -> Result<Tx, StoreError> {
        let work = async {
            let mut connection = pool.acquire().await?;
            // For the next transaction only
            // (https://dev.mysql.com/doc/refman/8.4/en/set-transaction.html).
            sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                .execute(&mut *connection)
                .await?;
            sqlx::Transaction::begin(connection, None).await
        };
        Ok(Tx {
            inner: TxInner::Mysql(in_time(&self.place, work).await?),
            place: self.place.clone(),
        })
    }

    /// Waits for running statements and closes all connections.
    pub(super) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Mysql(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let work = async {
            match self.inner {
                TxInner::Sqlite(tx) => tx.commit().await,
                TxInner::Mysql(tx) => tx.commit().await,
            }
        };
        in_time(&self.place, work).await
    }
}

/// Waits for a server as long as one may: a connection can die without a word, and then
/// the system would wait for minutes.
async fn in_time<T>(
    place: &Arc<Place>,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, StoreError> {
    let result = match **place {
        Place::Sqlite(_) => work.await,
        Place::Mysql { .. } => match tokio::time::timeout(PATIENCE, work).await {
            Ok(result) => result,
            Err(_) => {
                return Err(StoreError::Unreachable {
                    place: place.clone(),
                    what: format!("no answer within {} seconds", PATIENCE.as_secs()),
                });
            }
        },
    };
    result.map_err(|error| StoreError::of(place, error))
}

/// Where a statement runs.
pub(super) enum Via<'a> {
    /// Beside everything else. On SQLite it must not write.
    Read(&'a Connections),
    /// On its own, as one write.
    Write(&'a Connections),
    /// In a transaction.
    In(&'a mut Tx),
}

impl<'a> From<&'a mut Tx> for Via<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::In(tx)
    }
}

/// A value on its way into a statement.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Number(i64),
    Text(Cow<'static, str>),
    Bytes(Vec<u8>),
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        }
    )+};
}
numbers!(i64 u8 u16 u32 bool);

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number.try_into().unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement and its values.
pub(super) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement with `?` for every value.
pub(super) fn query(sql: &'static str) -> Statement {
    Statement {
        sql: Cow::Borrowed(sql),
        values: Vec::new(),
    }
}

/// The same for a text that was put together. Nothing that anybody typed may be in it:
/// values are bound.
pub(super) fn query_built(sql: String) -> Statement {
    Statement {
        sql: Cow::Owned(sql),
        values: Vec::new(),
    }
}

/// What a write did.
pub(super) struct Done {
    /// Rows that it met (on MySQL, too, those that had the new values already).
    pub(super) rows: u64,
    /// The number that the database gave to the last new row.
    pub(super) last_id: i64,
}

impl Statement {
    /// The value of the next `?`.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it.
    pub(super) async fn execute(self, via: impl Into<Via<'_>>) -> Result<Done, StoreError> {
        let via = via.into();
        let place = via.place();
        let work = async {
            match via {
                Via::Read(Connections {
                    pools: Pools::Sqlite { reader: pool, .. },
                    ..
                })
                | Via::Write(Connections {
                    pools: Pools::Sqlite { writer: pool, .. },
                    ..
                }) => self.sqlite().execute(pool).await.map(Done::from),
                Via::Read(Connections {
                    pools: Pools::Mysql(pool),
                    ..
                })
                | Via::Write(Connections {
                    pools: Pools::Mysql(pool),
                    ..
                }) => self.mysql().execute(pool).await.map(Done::from),
                Via::In(tx) => match &mut tx.inner {
                    TxInner::Sqlite(tx) => self.sqlite().execute(&mut **tx).await.map(Done::from),
                    TxInner::Mysql(tx) => self.mysql().execute(&mut **tx).await.map(Done::from),
                },
            }
        };
        in_time(&place, work).await
    }

    /// Runs it and gives all rows.
    pub(super) async fn fetch_all(self, via: impl Into<Via<'_>>) -> Result<Vec<Row>, StoreError> {
        let via = via.into();
        let place = via.place();
        let work = async {
            match via {
                Via::Read(Connections {
                    pools: Pools::Sqlite { reader: pool, .. },
                    ..
                })
                | Via::Write(Connections {
                    pools: Pools::Sqlite { writer: pool, .. },
                    ..
                }) => self.sqlite().fetch_all(pool).await.map(Rows::Sqlite),
                Via::Read(Connections {
                    pools: Pools::Mysql(pool),
                    ..
                })
                | Via::Write(Connections {
                    pools: Pools::Mysql(pool),
                    ..
                }) => self.mysql().fetch_all(pool).await.map(Rows::Mysql),
                Via::In(tx) => match &mut tx.inner {
                    TxInner::Sqlite(tx) => {
                        self.sqlite().fetch_all(&mut **tx).await.map(Rows::Sqlite)
                    }
                    TxInner::Mysql(tx) => self.mysql().fetch_all(&mut **tx).await.map(Rows::Mysql),
                },
            }
        };
        let rows = in_time(&place, work).await?;
        let row = |inner| Row {
            inner,
            place: place.clone(),
        };
        Ok(match rows {
            Rows::Sqlite(rows) => rows.into_iter().map(RowInner::Sqlite).map(row).collect(),
            Rows::Mysql(rows) => rows.into_iter().map(RowInner::Mysql).map(row).collect(),
        })
    }

    /// Runs it and gives its first row.
    pub(super) async fn fetch_optional(
        self,
        via: impl Into<Via<'_>>,
    ) -> Result<Option<Row>, StoreError> {
        // All statements that are asked this way give one row at most.
        Ok(self.fetch_all(via).await?.into_iter().next())
    }

    fn sqlite(&self) -> Query<'_, Sqlite, SqliteArguments> {
        let mut query = match &self.sql {
            Cow::Borrowed(sql) => sqlx::query(*sql),
            Cow::Owned(sql) => sqlx::query(AssertSqlSafe(sql.clone())),
        };
        for value in &self.values {
            query = match value {
                Value::Null => query.bind(None::<i64>),
                Value::Number(number) => query.bind(*number),
                Value::Text(text) => query.bind(&**text),
                Value::Bytes(bytes) => query.bind(bytes.as_slice()),
            };
        }
        query
    }

    fn mysql(&self) -> Query<'_, MySql, MySqlArguments> {
        let mut query = match &self.sql {
            Cow::Borrowed(sql) => sqlx::query(*sql),
            Cow::Owned(sql) => sqlx::query(AssertSqlSafe(sql.clone())),
        };
        for value in &self.values {
            query = match value {
                Value::Null => query.bind(None::<i64>),
                Value::Number(number) => query.bind(*number),
                Value::Text(text) => query.bind(&**text),
                Value::Bytes(bytes) => query.bind(bytes.as_slice()),
            };
        }
        query
    }
}

impl Via<'_> {
    fn place(&self) -> Arc<Place> {
        match self {
            Self::Read(connections) | Self::Write(connections) => connections.place.clone(),
            Self::In(tx) => tx.place.clone(),
        }
    }
}

impl From<sqlx::sqlite::SqliteQueryResult> for Done {
    fn from(done: sqlx::sqlite::SqliteQueryResult) -> Self {
        Self {
            rows: done.rows_affected(),
            last_id: done.last_insert_rowid(),
        }
    }
}

impl From<sqlx::mysql::MySqlQueryResult> for Done {
    fn from(done: sqlx::mysql::MySqlQueryResult) -> Self {
        Self {
            rows: done.rows_affected(),
            last_id: done.last_insert_id().try_into().unwrap_or(i64::MAX),
        }
    }
}

enum Rows {
    Sqlite(Vec<SqliteRow>),
    Mysql(Vec<MySqlRow>),
}

/// A row of an answer.
pub(super) struct Row {
    inner: RowInner,
    place: Arc<Place>,
}

enum RowInner {
    Sqlite(SqliteRow),
    Mysql(MySqlRow),
}

impl Row {
    /// A column as `i64`, `bool`, `String`, `Vec<u8>`, or an `Option` of these.
    pub(super) fn get<'r, T>(&'r self, column: &str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, MySql> + Type<MySql>,
        for<'a> &'a str: ColumnIndex<SqliteRow> + ColumnIndex<MySqlRow>,
    {
        match &self.inner {
            RowInner::Sqlite(row) => row.try_get(column),
            RowInner::Mysql(row) => row.try_get(column),
        }
        .map_err(|error| StoreError::of(&self.place, error))
    }

    /// A column with a whole number of another size; one that does not fit is 0, as nobody
    /// wrote it by this program.
    pub(super) fn number<T: TryFrom<i64> + Default>(&self, column: &str) -> Result<T, StoreError> {
        Ok(self.get::<i64>(column)?.try_into().unwrap_or_default())
    }
}
