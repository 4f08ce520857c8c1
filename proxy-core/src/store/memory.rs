//! What clients may go back to after a restart, see [`crate::memory`].

use std::collections::HashMap;

use contract::Millis;
use dialect::openai_to_gemini::responses::Kept;
use vault::Secret;

use super::database::{Tx, query};
use super::loaded::is_unnumbered;
use super::seal::kept_place;
use super::{Store, StoreError, owners};
use crate::memory::scribe::Note;

/// The most that answers may take, in bytes; the oldest go.
const ANSWERS: u64 = 32 * 1024 * 1024;
/// The most that the answers of one token may take, in bytes; its oldest go.
const ANSWERS_OF_A_TOKEN: u64 = 16 * 1024 * 1024;
/// The largest answer that is written, with its input, in bytes; larger ones are kept in
/// memory only.
const LARGEST: usize = 2 * 1024 * 1024;
/// How many signatures are kept; the oldest go.
const SIGNATURES: i64 = 20_000;
/// How many signatures of one token are kept; its oldest go.
const SIGNATURES_OF_A_TOKEN: i64 = 10_000;
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
                    drop_signature(&mut tx, *token, call).await?;
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
                Note::Unsigned { token, calls } => {
                    for call in calls {
                        drop_signature(&mut tx, *token, call).await?;
                    }
                }
                Note::Forget { token } => forget_all_of(&mut tx, *token).await?,
                Note::Owns { name, owner } => owners::put(&mut tx, name, owner, now).await?,
                Note::Disowned { name } => owners::drop_one(&mut tx, name).await?,
            }
        }
        bound(&mut tx, now).await?;
        if notes.iter().any(|note| matches!(note, Note::Owns { .. })) {
            owners::bound(&mut tx, now).await?;
        }
        tx.commit().await
    }

    async fn put_kept(
        &self,
        tx: &mut Tx,
        token: i64,
        answer: &Kept,
        now: Millis,
    ) -> Result<(), StoreError> {
        // Also what was promised of it before it had ended.
        drop_kept(tx, answer.id()).await?;
        if answer.size() > LARGEST {
            return Ok(());
        }
        let written = Secret::new(answer.written());
        let sealed = match self.seal(&kept_place(answer.id()), &written) {
            Err(StoreError::NoSealingKey) => return Ok(()),
            sealed => sealed?,
        };
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

/// Deletes all that is remembered for a token.
pub(super) async fn forget_all_of(tx: &mut Tx, token: i64) -> Result<(), StoreError> {
    query("DELETE FROM kept_responses WHERE token_id = ?")
        .bind(token)
        .execute(&mut *tx)
        .await?;
    query("DELETE FROM call_signatures WHERE token_id = ?")
        .bind(token)
        .execute(tx)
        .await
        .map(drop)
}

/// Deletes what is too old or too much.
async fn bound(tx: &mut Tx, now: Millis) -> Result<(), StoreError> {
    for old in [
        "DELETE FROM kept_responses WHERE at < ?",
        "DELETE FROM call_signatures WHERE at < ?",
    ] {
        query(old).bind(now - KEPT).execute(&mut *tx).await?;
    }
    bound_answers(tx).await?;
    bound_signatures(tx).await
}

async fn bound_answers(tx: &mut Tx) -> Result<(), StoreError> {
    let sums = query(
        "SELECT token_id, CAST(SUM(bytes) AS SIGNED) AS bytes FROM kept_responses \
         GROUP BY token_id",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut all = 0;
    let mut largest = 0;
    for row in &sums {
        let bytes = row.number::<u64>("bytes")?;
        all += bytes;
        largest = largest.max(bytes);
    }
    if all <= ANSWERS && largest <= ANSWERS_OF_A_TOKEN {
        return Ok(());
    }
    let rows = query("SELECT id, token_id, bytes FROM kept_responses ORDER BY at DESC, id DESC")
        .fetch_all(&mut *tx)
        .await?;
    let (mut sum, mut of_token) = (0, HashMap::<i64, u64>::new());
    for row in &rows {
        let bytes = row.number::<u64>("bytes")?;
        let own = of_token.entry(row.get("token_id")?).or_default();
        // Half a conversation is of no use: what is older than one that goes, goes, too.
        if *own + bytes > ANSWERS_OF_A_TOKEN {
            *own = ANSWERS_OF_A_TOKEN;
        } else if sum + bytes > ANSWERS {
            sum = ANSWERS;
        } else {
            sum += bytes;
            *own += bytes;
            continue;
        }
        drop_kept(tx, &row.get::<String>("id")?).await?;
    }
    Ok(())
}

async fn bound_signatures(tx: &mut Tx) -> Result<(), StoreError> {
    let counts = query("SELECT token_id, COUNT(*) AS n FROM call_signatures GROUP BY token_id")
        .fetch_all(&mut *tx)
        .await?;
    let mut all = 0;
    for row in &counts {
        let (token, count) = (row.get::<i64>("token_id")?, row.get::<i64>("n")?);
        all += count.min(SIGNATURES_OF_A_TOKEN);
        if count <= SIGNATURES_OF_A_TOKEN {
            continue;
        }
        let oldest = query(
            "SELECT call_id FROM call_signatures WHERE token_id = ? ORDER BY at, call_id LIMIT ?",
        )
        .bind(token)
        .bind(count - SIGNATURES_OF_A_TOKEN)
        .fetch_all(&mut *tx)
        .await?;
        for row in &oldest {
            drop_signature(tx, token, &row.get::<String>("call_id")?).await?;
        }
    }
    if all <= SIGNATURES {
        return Ok(());
    }
    let oldest = query(
        "SELECT token_id, call_id FROM call_signatures ORDER BY at, token_id, call_id LIMIT ?",
    )
    .bind(all - SIGNATURES)
    .fetch_all(&mut *tx)
    .await?;
    for row in &oldest {
        drop_signature(tx, row.get("token_id")?, &row.get::<String>("call_id")?).await?;
    }
    Ok(())
}

async fn drop_signature(tx: &mut Tx, token: i64, call: &str) -> Result<(), StoreError> {
    query("DELETE FROM call_signatures WHERE token_id = ? AND call_id = ?")
        .bind(token)
        .bind(call)
        .execute(tx)
        .await
        .map(drop)
}
