//! Whose turn it is: what one of several processes on the same database does at a time.
//!
//! A turn ends by itself, so that a process that has ended in the middle of one keeps the
//! others waiting for that long and no longer.
//!
//! Deliberately absent: a clock of the database. Servers whose clocks differ by more than a turn
//! is long may both have it.

use std::collections::HashMap;

use contract::Millis;

use super::database::{Tx, query};
use super::{Store, StoreError};

/// The longest turn. One that ends later was taken by a clock that is wrong, and counts as ended.
const LONGEST: Millis = 60 * 60 * 1000;

/// What the counters of a turn are called, after its name.
const HOLDER: &str = "_holder";
const ENDS: &str = "_ends";

/// A turn that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its name.
    pub name: String,
    /// Who has it.
    pub holder: i64,
}

impl Store {
    /// Takes the turn of this name until that moment, or keeps it for longer; false while
    /// another holder has it. A holder is a random number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn take_turn(
        &self,
        name: &str,
        holder: i64,
        until: Millis,
    ) -> Result<bool, StoreError> {
        let now = self.inner.clock.now();
        let until = until.min(now.saturating_add(LONGEST));
        let (holder_is, ends) = (format!("{name}{HOLDER}"), format!("{name}{ENDS}"));
        let mut tx = self.db()?.begin_exclusive().await?;
        let other = counter(&mut tx, &holder_is).await? != Some(holder);
        let ends_at = counter(&mut tx, &ends).await?.unwrap_or(0);
        if other && goes_on(ends_at, now) {
            return Ok(false);
        }
        set_counter(&mut tx, &holder_is, holder).await?;
        set_counter(&mut tx, &ends, until).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends a turn that was taken until that moment, unless it was taken again since.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_turn(&self, name: &str, holder: i64, until: Millis) -> Result<(), StoreError> {
        let (holder_is, ends) = (format!("{name}{HOLDER}"), format!("{name}{ENDS}"));
        let mut tx = self.db()?.begin_exclusive().await?;
        if counter(&mut tx, &holder_is).await? == Some(holder)
            && counter(&mut tx, &ends).await? == Some(until)
        {
            for counter in [&holder_is, &ends] {
                query("DELETE FROM counters WHERE name = ?")
                    .bind(counter)
                    .execute(&mut tx)
                    .await?;
            }
        }
        tx.commit().await
    }

    /// The turns that somebody has, of those whose names begin so.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn turns(&self, prefix: &str) -> Result<Vec<Turn>, StoreError> {
        let now = self.inner.clock.now();
        let rows = query("SELECT name, value FROM counters WHERE SUBSTR(name, 1, ?) = ?")
            .bind(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX))
            .bind(prefix)
            .fetch_all(self.db()?.read())
            .await?;
        let mut counters = HashMap::with_capacity(rows.len());
        for row in &rows {
            counters.insert(row.get::<String>("name")?, row.get::<i64>("value")?);
        }
        let taken = |(counter, holder): (&String, &i64)| {
            let name = counter.strip_suffix(HOLDER)?;
            let ends_at = *counters.get(&format!("{name}{ENDS}"))?;
            goes_on(ends_at, now).then(|| Turn {
                name: name.to_owned(),
                holder: *holder,
            })
        };
        Ok(counters.iter().filter_map(taken).collect())
    }
}

/// Whether a turn that ends then goes on now.
fn goes_on(ends_at: Millis, now: Millis) -> bool {
    ends_at > now && ends_at <= now.saturating_add(LONGEST)
}

async fn counter(tx: &mut Tx, name: &str) -> Result<Option<i64>, StoreError> {
    let row = query("SELECT value FROM counters WHERE name = ?")
        .bind(name)
        .fetch_optional(tx)
        .await?;
    row.map(|row| row.get("value")).transpose()
}

async fn set_counter(tx: &mut Tx, name: &str, value: i64) -> Result<(), StoreError> {
    // Deleted first: MySQL says of a row that was equal already that none was changed.
    query("DELETE FROM counters WHERE name = ?")
        .bind(name)
        .execute(&mut *tx)
        .await?;
    query("INSERT INTO counters (name, value) VALUES (?, ?)")
        .bind(name)
        .bind(value)
        .execute(tx)
        .await
        .map(drop)
}
