//! What clients may go back to after a restart, see [`crate::memory`].

use contract::Millis;
use dialect::openai_to_gemini::responses::Kept;
use vault::Secret;

use super::database::{Tx, query};
use super::loaded::is_unnumbered;
use super::seal::kept_place;
use super::{Store, StoreError};
use crate::memory::scribe::Note;

/// The most that answers may take, in bytes; the oldest go.
const ANSWERS: u64 = 32 * 1024 * 1024;
/// The largest answer that is written, with its input, in bytes; larger ones are kept in
/// memory only.
const LARGEST: usize = 2 * 1024 * 1024;
/// How many signatures are kept; the oldest go.
const SIGNATURES: i64 = 20_000;
/// How long anything is kept. OpenAI keeps answers for 30 days.
const KEPT: Millis = 30 * 24 * 60 * 60 * 1_000;

/// A signature that was remembered.
pub(crate) struct KnownSignature {
    pub token: i64,
    pub call: String,
    pub signature: String,
}

impl Store {
    /// Writes what is remembered or forgotten, in this order, in one transaction. Answers are
    /// left out where nothing can be sealed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn remember(&self, notes: &[Note]) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        let mut tx = self.begin().await?;
        for note in notes {
            // The number that a token has after the next start is another one.
            if note.token().is_some_and(is_unnumbered) {
                continue;
            }
            match note {
                Note::Keep { token, answer } => self.put_kept(&mut tx, *token, answer, now).await?,
                Note::Drop { id } => drop_kept(&mut tx, id).await?,
                Note::Signature {
                    token,
                    call,
                    signature,
                } => {
                    query("DELETE FROM call_signatures WHERE token_id = ? AND call_id = ?")
                        .bind(*token)
                        .bind(call)
                        .execute(&mut tx)
                        .await?;
                    query(
                        "INSERT INTO call_signatures (token_id, call_id, signature, at) \
                         VALUES (?, ?, ?, ?)",
                    )
                    .bind(*token)
                    .bind(call)
                    .bind(signature)
                    .bind(now)
                    .execute(&mut tx)
                    .await?;
                }
                Note::Forget { token } => {
                    query("DELETE FROM kept_responses WHERE token_id = ?")
                        .bind(*token)
                        .execute(&mut tx)
                        .await?;
                    query("DELETE FROM call_signatures WHERE token_id = ?")
                        .bind(*token)
                        .execute(&mut tx)
                        .await?;
                }
            }
        }
        bound(&mut tx, now).await?;
        tx.commit().await
    }

    async fn put_kept(
        &self,
        tx: &mut Tx,
        token: i64,
        answer: &Kept,
        now: Millis,
    ) -> Result<(), StoreError> {
        if answer.size() > LARGEST {
            return Ok(());
        }
        let written = Secret::new(answer.written());
        let sealed = match self.seal(&kept_place(answer.id()), &written) {
            Err(StoreError::NoSealingKey) => return Ok(()),
            sealed => sealed?,
        };
        drop_kept(tx, answer.id()).await?;
        let bytes = i64::try_from(sealed.len()).unwrap_or(i64::MAX);
        query("INSERT INTO kept_responses (id, token_id, bytes, at, sealed) VALUES (?, ?, ?, ?, ?)")
            .bind(answer.id())
            .bind(token)
            .bind(bytes)
            .bind(now)
            .bind(sealed)
            .execute(tx)
            .await
            .map(drop)
    }

    /// The answers that were kept, each with its token, the oldest first. One that cannot be
    /// read is left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn kept_responses(&self) -> Result<Vec<(i64, Kept)>, StoreError> {
        let rows = query("SELECT id, token_id, sealed FROM kept_responses ORDER BY at")
            .fetch_all(self.db()?.read())
            .await?;
        let mut kept = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: String = row.get("id")?;
            let sealed: Vec<u8> = row.get("sealed")?;
            let opened = self.unseal(&kept_place(&id), &sealed).ok();
            if let Some(answer) = opened.and_then(|text| Kept::read(text.expose())) {
                kept.push((row.get("token_id")?, answer));
            }
        }
        Ok(kept)
    }

    /// The signatures that were remembered, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn call_signatures(&self) -> Result<Vec<KnownSignature>, StoreError> {
        let rows = query("SELECT token_id, call_id, signature FROM call_signatures ORDER BY at")
            .fetch_all(self.db()?.read())
            .await?;
        let known = |row: &super::database::Row| {
            Ok(KnownSignature {
                token: row.get("token_id")?,
                call: row.get("call_id")?,
                signature: row.get("signature")?,
            })
        };
        rows.iter().map(known).collect()
    }
}

async fn drop_kept(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM kept_responses WHERE id = ?")
        .bind(id)
        .execute(tx)
        .await
        .map(drop)
}

/// Deletes what is too old or too much.
async fn bound(tx: &mut Tx, now: Millis) -> Result<(), StoreError> {
    let mut answers_from = now - KEPT;
    let rows = query("SELECT bytes, at FROM kept_responses ORDER BY at DESC")
        .fetch_all(&mut *tx)
        .await?;
    let mut sum = 0;
    for row in &rows {
        sum += row.number::<u64>("bytes")?;
        if sum > ANSWERS {
            answers_from = answers_from.max(row.get::<Millis>("at")?.saturating_add(1));
            break;
        }
    }
    query("DELETE FROM kept_responses WHERE at < ?")
        .bind(answers_from)
        .execute(&mut *tx)
        .await?;
    let newest = query("SELECT at FROM call_signatures ORDER BY at DESC LIMIT 1 OFFSET ?")
        .bind(SIGNATURES)
        .fetch_optional(&mut *tx)
        .await?;
    let surplus: Millis = newest.map(|row| row.get("at")).transpose()?.unwrap_or(0);
    query("DELETE FROM call_signatures WHERE at < ? OR at <= ?")
        .bind(now - KEPT)
        .bind(surplus)
        .execute(tx)
        .await
        .map(drop)
}
