//! The panel's password and its sessions.

use contract::Millis;

use super::{Store, StoreError};

const PASSWORD: &str = "password";

impl Store {
    /// The hash of the panel's password (argon2id, PHC string), if one was chosen.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn password_hash(&self) -> Result<Option<String>, StoreError> {
        let value: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM panel WHERE name = ?")
            .bind(PASSWORD)
            .fetch_optional(&self.inner.reader)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(value.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Keeps the hash of the first password; false when there is one already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_first_password(&self, hash: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let present: Option<i64> = sqlx::query_scalar("SELECT 1 FROM panel WHERE name = ?")
            .bind(PASSWORD)
            .fetch_optional(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        if present.is_some() {
            return Ok(false);
        }
        sqlx::query("INSERT INTO panel (name, value) VALUES (?, ?)")
            .bind(PASSWORD)
            .bind(hash.as_bytes())
            .execute(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        self.commit(tx).await?;
        Ok(true)
    }

    /// Begins a session, known by the hash of its cookie; wipes those that have ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_session(&self, hash: [u8; 32], expires_at: Millis) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        sqlx::query("INSERT INTO sessions (hash, created_at, expires_at) VALUES (?, ?, ?)")
            .bind(hash.to_vec())
            .bind(now)
            .bind(expires_at)
            .execute(&mut *tx)
            .await
            .map_err(|error| self.failed(error))?;
        self.commit(tx).await
    }

    /// When the session ends; `None` when there is none or it has ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session_expiry(&self, hash: [u8; 32]) -> Result<Option<Millis>, StoreError> {
        sqlx::query_scalar("SELECT expires_at FROM sessions WHERE hash = ? AND expires_at > ?")
            .bind(hash.to_vec())
            .bind(self.inner.clock.now())
            .fetch_optional(&self.inner.reader)
            .await
            .map_err(|error| self.failed(error))
    }

    /// Lets a session go on until then.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn extend_session(
        &self,
        hash: [u8; 32],
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET expires_at = ? WHERE hash = ?")
            .bind(expires_at)
            .bind(hash.to_vec())
            .execute(&self.inner.writer)
            .await
            .map(drop)
            .map_err(|error| self.failed(error))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE hash = ?")
            .bind(hash.to_vec())
            .execute(&self.inner.writer)
            .await
            .map(drop)
            .map_err(|error| self.failed(error))
    }
}
