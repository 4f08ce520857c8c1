//! The panel's password and its sessions.

use contract::Millis;

use super::database::query;
use super::seal::{panel_value, put_panel_value};
use super::{Store, StoreError};

const PASSWORD: &str = "password";

impl Store {
    /// The hash of the panel's password (argon2id, PHC string), if one was chosen.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn password_hash(&self) -> Result<Option<String>, StoreError> {
        let value = panel_value(self.db()?.read(), PASSWORD).await?;
        Ok(value.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Keeps the hash of the first password; false when there is one already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_first_password(&self, hash: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if panel_value(&mut tx, PASSWORD).await?.is_some() {
            return Ok(false);
        }
        put_panel_value(&mut tx, PASSWORD, hash.as_bytes().to_vec()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Begins a session, known by the hash of its cookie; wipes those that have ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_session(&self, hash: [u8; 32], expires_at: Millis) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        let mut tx = self.begin().await?;
        query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(now)
            .execute(&mut tx)
            .await?;
        query("INSERT INTO sessions (hash, created_at, expires_at) VALUES (?, ?, ?)")
            .bind(hash.as_slice())
            .bind(now)
            .bind(expires_at)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// When the session ends; `None` when there is none or it has ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session_expiry(&self, hash: [u8; 32]) -> Result<Option<Millis>, StoreError> {
        let row = query("SELECT expires_at FROM sessions WHERE hash = ? AND expires_at > ?")
            .bind(hash.as_slice())
            .bind(self.inner.clock.now())
            .fetch_optional(self.db()?.read())
            .await?;
        row.map(|row| row.get("expires_at")).transpose()
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
        query("UPDATE sessions SET expires_at = ? WHERE hash = ?")
            .bind(expires_at)
            .bind(hash.as_slice())
            .execute(self.db()?.write())
            .await
            .map(drop)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        query("DELETE FROM sessions WHERE hash = ?")
            .bind(hash.as_slice())
            .execute(self.db()?.write())
            .await
            .map(drop)
    }
}
