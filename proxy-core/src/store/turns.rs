//! Whose turn it is: what one of several processes on the same database does at a time.
//!
//! A turn ends by itself, so that a process that has ended in the middle of one keeps the
//! others waiting for that long and no longer.
//!
//! Deliberately absent: a clock of the database. Servers whose clocks differ by more than a turn
//! is long may both have it.

use contract::Millis;

use super::database::{Tx, query};
use super::{Store, StoreError};

/// The longest turn. One that ends later was taken by a clock that is wrong, and counts as ended.
const LONGEST: Millis = 60 * 60 * 1000;

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
        let (holder_is, ends) = (format!("{name}_holder"), format!("{name}_ends"));
        let mut tx = self.db()?.begin_exclusive().await?;
        let other = counter(&mut tx, &holder_is).await? != Some(holder);
        let ends_at = counter(&mut tx, &ends).await?.unwrap_or(0);
        if other && ends_at > now && ends_at <= now.saturating_add(LONGEST) {
            return Ok(false);
        }
        set_counter(&mut tx, &holder_is, holder).await?;
        set_counter(&mut tx, &ends, until).await?;
        tx.commit().await?;
        Ok(true)
    }
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
