//! Which keys are of Vertex AI's express mode, as Google said when it was asked.

use vault::Secret;

use super::database::query;
use super::loaded::is_unnumbered;
use super::{Store, StoreError};

impl Store {
    /// The numbers of those keys; also of some that are deleted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn express_keys(&self) -> Result<Vec<i64>, StoreError> {
        let rows = query("SELECT key_id FROM express_keys")
            .fetch_all(self.db()?.read())
            .await?;
        rows.iter().map(|row| row.get("key_id")).collect()
    }

    /// Keeps that the key with this number is one, unless another has come into its place. A key
    /// that has no lasting number yet is asked again.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn keep_express_key(
        &self,
        id: i64,
        secret: &Secret,
    ) -> Result<(), StoreError> {
        if is_unnumbered(id) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        query("DELETE FROM express_keys WHERE key_id = ?")
            .bind(id)
            .execute(&mut tx)
            .await?;
        query(
            "INSERT INTO express_keys (key_id) \
             SELECT id FROM gemini_keys WHERE id = ? AND fingerprint = ?",
        )
        .bind(id)
        .bind(self.fingerprint(secret).as_slice())
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }
}
