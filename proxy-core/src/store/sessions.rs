//! Who may use the panel: its password, the second factor, and who has signed in.

use contract::Millis;
use vault::Secret;

use super::database::{Connections, Row, Tx, query, query_built};
use super::seal::{panel_place, panel_value, put_panel_value};
use super::{Store, StoreError};

/// The hash of the password (argon2id, PHC string).
pub(super) const PASSWORD: &str = "password";
/// The secret that the authenticator app knows as well, sealed.
const TOTP: &str = "totp";
/// The last step whose code was taken, in decimal.
const TOTP_USED: &str = "totp_used";
/// SHA-256 of each recovery code that is left, one after the other.
const RECOVERY: &str = "totp_recovery";
/// In which sessions the password was given lately: for each its hash and the time, big-endian.
const CONFIRMED: &str = "confirmed";
/// Keyed hash of the `AUTH_TOKEN` that the sessions began under.
pub(super) const TOKEN_SEEN: &str = "panel_token";
/// Everything of the table `panel` that decides who gets in.
const ACCESS: [&str; 5] = [PASSWORD, TOTP, TOTP_USED, RECOVERY, TOKEN_SEEN];

/// The setting that signs in as well.
const AUTH_TOKEN: &str = "AUTH_TOKEN";

/// How long a hash is, in bytes.
const HASH: usize = 32;
/// The longest address and browser name that are kept, in characters.
const ADDRESS_CHARS: usize = 60;
const USER_AGENT_CHARS: usize = 300;

/// One session of the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// What it is known by: a hash of its cookie.
    pub hash: [u8; HASH],
    /// When somebody signed in.
    pub created_at: Millis,
    /// When it ends unless it is used.
    pub expires_at: Millis,
    /// When it was last used, to within a minute.
    pub last_seen_at: Millis,
    /// The address it was begun from.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
}

/// The second factor, as kept.
#[derive(Clone, Debug)]
pub struct StoredFactor {
    /// What the authenticator app knows as well, in base32.
    pub secret: Secret,
    /// The last step whose code was taken.
    pub used: Option<i64>,
    /// How many recovery codes are left.
    pub recovery_codes: u32,
}

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

    /// Keeps the hash of another password and ends all sessions but `except`. With
    /// `drop_factor` the second factor goes as well.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing has changed.
    pub async fn change_password(
        &self,
        hash: &str,
        except: Option<[u8; HASH]>,
        drop_factor: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        put_panel_value(&mut tx, PASSWORD, hash.as_bytes().to_vec()).await?;
        end_all(&mut tx, except).await?;
        if drop_factor {
            delete_factor(&mut tx).await?;
        }
        tx.commit().await
    }

    /// Begins a session; wipes those that have ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_session(&self, session: &StoredSession) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(self.inner.clock.now())
            .execute(&mut tx)
            .await?;
        insert(&mut tx, session).await?;
        tx.commit().await
    }

    /// A session; `None` when there is none or it has ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(&self, hash: [u8; HASH]) -> Result<Option<StoredSession>, StoreError> {
        let row = query(
            "SELECT hash, created_at, expires_at, last_seen_at, address, user_agent \
             FROM sessions WHERE hash = ? AND expires_at > ?",
        )
        .bind(hash.as_slice())
        .bind(self.inner.clock.now())
        .fetch_optional(self.db()?.read())
        .await?;
        Ok(row.as_ref().map(session_of).transpose()?.flatten())
    }

    /// All sessions that have not ended, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions(&self) -> Result<Vec<StoredSession>, StoreError> {
        let rows = query(
            "SELECT hash, created_at, expires_at, last_seen_at, address, user_agent \
             FROM sessions WHERE expires_at > ? ORDER BY created_at DESC, hash",
        )
        .bind(self.inner.clock.now())
        .fetch_all(self.db()?.read())
        .await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            sessions.extend(session_of(row)?);
        }
        Ok(sessions)
    }

    /// Notes that a session was used, and lets it go on until then.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn touch_session(
        &self,
        hash: [u8; HASH],
        last_seen_at: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        query("UPDATE sessions SET last_seen_at = ?, expires_at = ? WHERE hash = ?")
            .bind(last_seen_at)
            .bind(expires_at)
            .bind(hash.as_slice())
            .execute(self.db()?.write())
            .await
            .map(drop)
    }

    /// Ends a session; false when there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, hash: [u8; HASH]) -> Result<bool, StoreError> {
        query("DELETE FROM sessions WHERE hash = ?")
            .bind(hash.as_slice())
            .execute(self.db()?.write())
            .await
            .map(|done| done.rows > 0)
    }

    /// Ends all sessions.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_sessions(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        end_all(&mut tx, None).await?;
        tx.commit().await
    }

    /// Ends all sessions when `AUTH_TOKEN` (`token`) is another one than they began under.
    /// Does nothing without a lasting master key: a hash that is not keyed would help to
    /// guess what a person chose. (The sessions' own hashes hold the token, too, so they are
    /// worth nothing either way; this clears the list.)
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_sessions_of_another(&self, token: Option<&Secret>) -> Result<(), StoreError> {
        let Some(seal) = self.lasting_master() else {
            return Ok(());
        };
        let none = Secret::from("");
        let seen = seal.master.fingerprint(TOKEN_SEEN, token.unwrap_or(&none));
        let before = panel_value(self.db()?.read(), TOKEN_SEEN).await?;
        if before.as_deref() == Some(seen.as_slice()) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        if before.is_some() {
            end_all(&mut tx, None).await?;
        }
        put_panel_value(&mut tx, TOKEN_SEEN, seen.to_vec()).await?;
        tx.commit().await
    }

    /// The second factor, if one is on.
    ///
    /// # Errors
    /// When the database cannot be read, or its secret cannot be opened.
    pub async fn second_factor(&self) -> Result<Option<StoredFactor>, StoreError> {
        let db = self.db()?;
        let Some(sealed) = panel_value(db.read(), TOTP).await? else {
            return Ok(None);
        };
        let place = panel_place(TOTP);
        let secret = match self.unseal(&place, &sealed) {
            Err(StoreError::OtherMasterKey(_)) if self.opens_after_all(db.read()).await? => {
                let sealed = panel_value(db.read(), TOTP).await?.unwrap_or_default();
                self.unseal(&place, &sealed)?
            }
            opened => opened?,
        };
        let used = panel_value(db.read(), TOTP_USED).await?;
        let recovery = panel_value(db.read(), RECOVERY).await?.unwrap_or_default();
        Ok(Some(StoredFactor {
            secret,
            used: used.and_then(number_of),
            recovery_codes: u32::try_from(recovery.len() / HASH).unwrap_or(u32::MAX),
        }))
    }

    /// Switches the second factor on, and ends all sessions but `except`: they began without
    /// it. `used` is the step of the code that proved it, `recovery` the hashes of the recovery
    /// codes.
    ///
    /// # Errors
    /// When the database cannot be written, or there is no key to seal the secret with.
    pub async fn set_second_factor(
        &self,
        secret: &Secret,
        used: i64,
        recovery: &[[u8; HASH]],
        except: Option<[u8; HASH]>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sealed = self.seal(&panel_place(TOTP), secret)?;
        put_panel_value(&mut tx, TOTP, sealed).await?;
        put_panel_value(&mut tx, TOTP_USED, used.to_string().into_bytes()).await?;
        put_panel_value(&mut tx, RECOVERY, recovery.concat()).await?;
        end_all(&mut tx, except).await?;
        tx.commit().await
    }

    /// Switches the second factor off.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_second_factor(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        delete_factor(&mut tx).await?;
        tx.commit().await
    }

    /// Takes the code of a step, which no one can use from then on; false when it, or a later
    /// one, was taken already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn take_step(&self, step: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let used = panel_value(&mut tx, TOTP_USED).await?.and_then(number_of);
        if used.is_some_and(|used| used >= step) {
            return Ok(false);
        }
        put_panel_value(&mut tx, TOTP_USED, step.to_string().into_bytes()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a recovery code by its hash; false when there is none such left.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn take_recovery_code(&self, hash: [u8; HASH]) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let mut left = panel_value(&mut tx, RECOVERY).await?.unwrap_or_default();
        let Some(at) = left.chunks_exact(HASH).position(|known| *known == hash) else {
            return Ok(false);
        };
        left.drain(at * HASH..(at + 1) * HASH);
        put_panel_value(&mut tx, RECOVERY, left).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Store {
    /// Notes that the password was given in a session, and forgets what was before `since`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn confirm_session(
        &self,
        hash: [u8; HASH],
        at: Millis,
        since: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let known = panel_value(&mut tx, CONFIRMED).await?.unwrap_or_default();
        let lately = confirmations(&known)
            .filter(|(other, at)| *other != hash && *at >= since)
            .chain([(hash, at)]);
        let lately = lately.flat_map(|(hash, at)| hash.into_iter().chain(at.to_be_bytes()));
        put_panel_value(&mut tx, CONFIRMED, lately.collect()).await?;
        tx.commit().await
    }

    /// When the password was last given in a session, as far as that is still known.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn confirmed_at(&self, hash: [u8; HASH]) -> Result<Option<Millis>, StoreError> {
        let known = panel_value(self.db()?.read(), CONFIRMED).await?;
        let known = known.unwrap_or_default();
        let found = confirmations(&known).find(|(other, _)| *other == hash);
        Ok(found.map(|(_, at)| at))
    }
}

fn confirmations(value: &[u8]) -> impl Iterator<Item = ([u8; HASH], Millis)> + '_ {
    let (each, _) = value.as_chunks::<{ HASH + 8 }>();
    each.iter().filter_map(|one| {
        let (hash, at) = one.split_first_chunk::<HASH>()?;
        Some((*hash, Millis::from_be_bytes(at.try_into().ok()?)))
    })
}

/// Puts into `to` who may sign in (also by an `AUTH_TOKEN` that the panel saved, or that the
/// environment has replaced since) and who has signed in to `from`. A database in which nobody
/// ever could sign in says nothing about who may.
pub(super) async fn carry_access(from: &Connections, to: &Connections) -> Result<(), StoreError> {
    let sessions = query(
        "SELECT hash, created_at, expires_at, last_seen_at, address, user_agent FROM sessions",
    )
    .fetch_all(from.read())
    .await?;
    let mut access = Vec::new();
    for name in ACCESS {
        if let Some(value) = panel_value(from.read(), name).await? {
            access.push((name, value));
        }
    }
    let saved = query("SELECT value, sealed, changed_at AS at FROM settings WHERE name = ?")
        .bind(AUTH_TOKEN)
        .fetch_optional(from.read())
        .await?;
    let seen = query("SELECT value, sealed, seen_at AS at FROM environment_seen WHERE name = ?")
        .bind(AUTH_TOKEN)
        .fetch_optional(from.read())
        .await?;
    let mut tx = to.begin_exclusive().await?;
    let has_password = access
        .iter()
        .any(|(name, _)| [PASSWORD, TOTP].contains(name));
    if has_password || saved.is_some() || seen.is_some() || !sessions.is_empty() {
        carry_token(&mut tx, "settings", "changed_at", saved).await?;
        carry_token(&mut tx, "environment_seen", "seen_at", seen).await?;
    }
    if has_password {
        for name in ACCESS {
            query("DELETE FROM panel WHERE name = ?")
                .bind(name)
                .execute(&mut tx)
                .await?;
        }
    }
    // The token that the sessions began under goes with them.
    for (name, value) in access {
        put_panel_value(&mut tx, name, value).await?;
    }
    end_all(&mut tx, None).await?;
    for row in &sessions {
        if let Some(session) = session_of(row)? {
            insert(&mut tx, &session).await?;
        }
    }
    tx.commit().await
}

/// Puts the panel's `AUTH_TOKEN`, or what was seen of the environment's, in the place of the
/// present one. Both databases are sealed with the same key.
async fn carry_token(
    tx: &mut Tx,
    table: &'static str,
    at: &'static str,
    row: Option<Row>,
) -> Result<(), StoreError> {
    query_built(format!("DELETE FROM {table} WHERE name = ?"))
        .bind(AUTH_TOKEN)
        .execute(&mut *tx)
        .await?;
    let Some(row) = row else { return Ok(()) };
    query_built(format!(
        "INSERT INTO {table} (name, value, sealed, {at}) VALUES (?, ?, ?, ?)"
    ))
    .bind(AUTH_TOKEN)
    .bind(row.get::<Option<String>>("value")?)
    .bind(row.get::<Option<Vec<u8>>>("sealed")?)
    .bind(row.get::<Millis>("at")?)
    .execute(tx)
    .await
    .map(drop)
}

/// Ends what sessions there are in a database that is about to take another's place.
pub(super) async fn end_all_in(connections: &Connections) -> Result<(), StoreError> {
    let mut tx = connections.begin_exclusive().await?;
    end_all(&mut tx, None).await?;
    tx.commit().await
}

async fn insert(tx: &mut Tx, session: &StoredSession) -> Result<(), StoreError> {
    query(
        "INSERT INTO sessions \
         (hash, created_at, expires_at, last_seen_at, address, user_agent) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(session.hash.as_slice())
    .bind(session.created_at)
    .bind(session.expires_at)
    .bind(session.last_seen_at)
    .bind(shortened(&session.address, ADDRESS_CHARS))
    .bind(shortened(&session.user_agent, USER_AGENT_CHARS))
    .execute(tx)
    .await
    .map(drop)
}

async fn end_all(tx: &mut Tx, except: Option<[u8; HASH]>) -> Result<(), StoreError> {
    query("DELETE FROM sessions WHERE hash <> ?")
        // No session has an empty hash.
        .bind(except.map(Vec::from).unwrap_or_default())
        .execute(tx)
        .await
        .map(drop)
}

async fn delete_factor(tx: &mut Tx) -> Result<(), StoreError> {
    query("DELETE FROM panel WHERE name IN (?, ?, ?)")
        .bind(TOTP)
        .bind(TOTP_USED)
        .bind(RECOVERY)
        .execute(tx)
        .await
        .map(drop)
}

fn number_of(text: Vec<u8>) -> Option<i64> {
    String::from_utf8(text).ok()?.parse().ok()
}

fn shortened(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

/// `None` for a row whose hash is none.
fn session_of(row: &Row) -> Result<Option<StoredSession>, StoreError> {
    let Ok(hash) = row.get::<Vec<u8>>("hash")?.try_into() else {
        return Ok(None);
    };
    Ok(Some(StoredSession {
        hash,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_seen_at: row.get("last_seen_at")?,
        address: row.get("address")?,
        user_agent: row.get("user_agent")?,
    }))
}
