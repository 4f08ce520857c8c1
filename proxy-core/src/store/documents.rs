//! Texts that are kept as a whole under a name, sealed: what the deployer knows of accounts
//! and remotes.
//!
//! Deliberately absent: a second version. Who does not hold a document alone changes it with
//! [`Store::change_document`], which loses nothing of what another process does meanwhile.

use vault::Secret;

use super::database::query;
use super::seal::document_place;
use super::{Store, StoreError};

/// A document with its name.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name, e.g. `remote/3`.
    pub name: String,
    /// What it holds.
    pub text: Secret,
}

impl Store {
    /// All documents whose names begin with `prefix`, by name. One that cannot be opened (a
    /// damaged row) is left out with a line in the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn documents(&self, prefix: &str) -> Result<Vec<Document>, StoreError> {
        let (mut found, damaged) = self.open_documents(prefix).await?;
        if damaged && self.opens_after_all(self.db()?.read()).await? {
            found = self.open_documents(prefix).await?.0;
        }
        Ok(found)
    }

    /// The names of all documents that begin with `prefix`, also of those that cannot be opened.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn document_names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let rows = query("SELECT name FROM documents WHERE SUBSTR(name, 1, ?) = ? ORDER BY name")
            .bind(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX))
            .bind(prefix)
            .fetch_all(self.db()?.read())
            .await?;
        rows.iter().map(|row| row.get("name")).collect()
    }

    async fn open_documents(&self, prefix: &str) -> Result<(Vec<Document>, bool), StoreError> {
        let rows =
            query("SELECT name, sealed FROM documents WHERE SUBSTR(name, 1, ?) = ? ORDER BY name")
                .bind(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX))
                .bind(prefix)
                .fetch_all(self.db()?.read())
                .await?;
        let mut found = Vec::with_capacity(rows.len());
        let mut damaged = false;
        for row in &rows {
            let name: String = row.get("name")?;
            let sealed: Vec<u8> = row.get("sealed")?;
            match self.unseal(&document_place(&name), &sealed) {
                Ok(text) => found.push(Document { name, text }),
                Err(StoreError::OtherMasterKey(_)) => {
                    damaged = true;
                    tracing::error!(name, "a document cannot be opened; it is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok((found, damaged))
    }

    /// Keeps a document in the place of the one of that name.
    ///
    /// # Errors
    /// When there is no sealing key, or the database cannot be written.
    pub async fn save_document(&self, name: &str, text: &Secret) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sealed = self.seal(&document_place(name), text)?;
        query("DELETE FROM documents WHERE name = ?")
            .bind(name)
            .execute(&mut tx)
            .await?;
        query("INSERT INTO documents (name, sealed, changed_at) VALUES (?, ?, ?)")
            .bind(name)
            .bind(sealed)
            .bind(self.inner.clock.now())
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Has a document become what `change` makes of it, if anything, with no other change in
    /// between, also of another process. Nothing happens when there is none of that name.
    ///
    /// # Errors
    /// When it cannot be opened, or the database cannot be written.
    pub async fn change_document(
        &self,
        name: &str,
        change: impl FnOnce(&Secret) -> Option<Secret> + Send,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = query("SELECT sealed FROM documents WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut tx)
            .await?;
        let Some(row) = row else { return Ok(()) };
        let sealed: Vec<u8> = row.get("sealed")?;
        let text = self.unseal(&document_place(name), &sealed)?;
        let Some(text) = change(&text) else {
            return Ok(());
        };
        let sealed = self.seal(&document_place(name), &text)?;
        query("UPDATE documents SET sealed = ?, changed_at = ? WHERE name = ?")
            .bind(sealed)
            .bind(self.inner.clock.now())
            .bind(name)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Forgets a document. Nothing happens when there is none of that name.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_document(&self, name: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        query("DELETE FROM documents WHERE name = ?")
            .bind(name)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}
