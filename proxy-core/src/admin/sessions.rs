//! Who has signed in.
//!
//! A session is known by a hash of its cookie and of `AUTH_TOKEN`, so that all end when that is
//! changed, on every server at once. They are kept in the store, and those seen lately in
//! memory as well: while the database is away they go on, and new ones begin in memory and are
//! written when it is back.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::Millis;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use vault::Secret;

use super::answer::Result;
use super::gate::{SignedIn, random};
use crate::Core;
use crate::store::{StoreError, StoredSession};

/// That a session was used is written at most this often.
const SEEN_EVERY_MS: Millis = 60_000;
/// How long the password that somebody gave holds for what needs it once more.
const CONFIRMED_MS: Millis = 10 * 60 * 1_000;
/// How many bytes of a session's hash name it.
const NAME_BYTES: usize = 12;

/// What a session is known by.
pub(super) type Hash = [u8; 32];

/// The sessions that are in memory.
#[derive(Default)]
pub(super) struct Sessions {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    seen: HashMap<Hash, Seen>,
    /// Ended while the database was away, where they may still be.
    ended: HashSet<Hash>,
    /// When the password was last given in them.
    confirmed: HashMap<Hash, Millis>,
}

#[derive(Clone)]
struct Seen {
    session: StoredSession,
    /// It is in the store, too.
    stored: bool,
    /// What is still to be checked of how it began.
    signed_in: SignedIn,
}

/// A session that is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Valid {
    pub hash: Hash,
    /// It lasts longer now, so the browser's cookie should as well.
    pub prolonged: bool,
}

/// Who signs in.
pub(super) struct Visitor {
    pub address: IpAddr,
    pub user_agent: String,
}

impl Sessions {
    /// Begins a session; gives the value of its cookie. It is new at every sign-in: a cookie
    /// that somebody else put into the browser beforehand is worth nothing.
    pub(super) async fn begin(
        &self,
        core: &Core,
        visitor: Visitor,
        signed_in: SignedIn,
    ) -> Result<Secret> {
        let cookie = random(32)?;
        let now = core.clock.now();
        let session = StoredSession {
            hash: digest(core, &cookie),
            created_at: now,
            expires_at: now.saturating_add(core.settings().session_ms()),
            last_seen_at: now,
            address: visitor.address.to_string(),
            user_agent: visitor.user_agent,
        };
        // What is still to be checked is checked before it is written.
        let stored = signed_in == SignedIn::default()
            && match core.store.add_session(&session).await {
                Ok(()) => true,
                Err(error) if error.may_pass() => false,
                Err(error) => return Err(error.into()),
            };
        let mut memory = self.memory.lock();
        memory.seen.retain(|_, seen| seen.session.expires_at > now);
        let seen = Seen {
            stored,
            signed_in,
            session,
        };
        memory.seen.insert(seen.session.hash, seen);
        Ok(cookie)
    }

    /// Notes that the password was given in a session, here and for the other servers on the
    /// same database, one of which may be asked next.
    pub(super) async fn confirmed(&self, core: &Core, hash: Hash) -> Result<()> {
        let now = core.clock.now();
        {
            let mut memory = self.memory.lock();
            memory.confirmed.retain(|_, at| holds(*at, now));
            memory.confirmed.insert(hash, now);
        }
        let since = now.saturating_sub(CONFIRMED_MS);
        match core.store.confirm_session(hash, now, since).await {
            Err(error) if !error.may_pass() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether the password was given in a session lately, be it to sign in.
    pub(super) async fn is_confirmed(&self, core: &Core, hash: Hash) -> Result<bool, StoreError> {
        let now = core.clock.now();
        {
            let memory = self.memory.lock();
            let began = memory.seen.get(&hash).map(|seen| seen.session.created_at);
            let given = memory.confirmed.get(&hash).copied();
            if began.max(given).is_some_and(|at| holds(at, now)) {
                return Ok(true);
            }
        }
        match core.store.confirmed_at(hash).await {
            Ok(at) => Ok(at.is_some_and(|at| holds(at, now))),
            Err(error) if error.may_pass() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the cookie is that of a session. Notes that it was used.
    pub(super) async fn check(&self, core: &Core, cookie: &Secret) -> Result<Option<Valid>> {
        let hash = digest(core, cookie);
        let now = core.clock.now();
        let session = match core.store.session(hash).await {
            Ok(Some(session)) => self.stored(core, session).await,
            Ok(None) => self.only_in_memory(core, hash, now).await?,
            Err(error) if error.may_pass() => self.remembered(hash, now).map(|seen| seen.session),
            Err(error) => return Err(error.into()),
        };
        let Some(session) = session else {
            return Ok(None);
        };
        if now.saturating_sub(session.last_seen_at) < SEEN_EVERY_MS {
            return Ok(Some(Valid {
                hash,
                prolonged: false,
            }));
        }
        let expires_at = now.saturating_add(core.settings().session_ms());
        match core.store.touch_session(hash, now, expires_at).await {
            Ok(()) => {}
            Err(error) if error.may_pass() => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(seen) = self.memory.lock().seen.get_mut(&hash) {
            seen.session.last_seen_at = now;
            seen.session.expires_at = expires_at;
        }
        Ok(Some(Valid {
            hash,
            prolonged: true,
        }))
    }

    /// A session that the store has: valid, unless it was ended while that was away.
    async fn stored(&self, core: &Core, session: StoredSession) -> Option<StoredSession> {
        let hash = session.hash;
        if self.memory.lock().ended.contains(&hash) {
            if core.store.end_session(hash).await.is_ok() {
                self.memory.lock().ended.remove(&hash);
            }
            return None;
        }
        let seen = Seen {
            session: session.clone(),
            stored: true,
            signed_in: SignedIn::default(),
        };
        self.memory.lock().seen.insert(hash, seen);
        Some(session)
    }

    /// A session that the store does not have: ended elsewhere, or begun while it was away.
    async fn only_in_memory(
        &self,
        core: &Core,
        hash: Hash,
        now: Millis,
    ) -> Result<Option<StoredSession>> {
        let Some(seen) = self.remembered(hash, now) else {
            return Ok(None);
        };
        if seen.stored || !is_vouched_for(core, &seen.signed_in).await? {
            self.memory.lock().seen.remove(&hash);
            return Ok(None);
        }
        match core.store.add_session(&seen.session).await {
            Ok(()) => {
                if let Some(seen) = self.memory.lock().seen.get_mut(&hash) {
                    seen.stored = true;
                }
            }
            Err(error) if error.may_pass() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Some(seen.session))
    }

    fn remembered(&self, hash: Hash, now: Millis) -> Option<Seen> {
        let memory = self.memory.lock();
        let seen = memory.seen.get(&hash)?;
        (seen.session.expires_at > now).then(|| seen.clone())
    }

    /// Ends the session of a cookie, if there is one.
    pub(super) async fn end_by_cookie(&self, core: &Core, cookie: &Secret) -> Result<()> {
        self.end(core, digest(core, cookie)).await.map(drop)
    }

    /// Ends a session; false when there is none.
    pub(super) async fn end(&self, core: &Core, hash: Hash) -> Result<bool> {
        let known = self.memory.lock().seen.remove(&hash).is_some();
        match core.store.end_session(hash).await {
            Ok(ended) => Ok(ended || known),
            Err(error) if error.may_pass() => {
                self.memory.lock().ended.insert(hash);
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends all sessions.
    pub(super) async fn end_all(&self, core: &Core) -> Result<()> {
        core.store.end_sessions().await?;
        self.forget_all_but(None);
        Ok(())
    }

    /// Forgets the sessions that were ended in the store.
    pub(super) fn forget_all_but(&self, except: Option<Hash>) {
        let mut memory = self.memory.lock();
        memory.seen.retain(|hash, _| Some(*hash) == except);
    }

    /// All sessions, the newest first. While the database is away, those in memory.
    pub(super) async fn list(&self, core: &Core) -> Result<Vec<StoredSession>> {
        match core.store.sessions().await {
            Ok(sessions) => Ok(sessions),
            Err(error) if error.may_pass() => {
                let now = core.clock.now();
                let memory = self.memory.lock();
                let alive = |seen: &&Seen| seen.session.expires_at > now;
                let seen = memory.seen.values().filter(alive);
                let mut sessions: Vec<_> = seen.map(|seen| seen.session.clone()).collect();
                sessions.sort_by_key(|session| std::cmp::Reverse(session.created_at));
                Ok(sessions)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether what somebody signed in with while the database was away signs in still.
async fn is_vouched_for(core: &Core, signed_in: &SignedIn) -> Result<bool> {
    if signed_in.without_factor && core.store.second_factor().await?.is_some() {
        return Ok(false);
    }
    Ok(match &signed_in.by_hash {
        Some(hash) => core.store.password_hash().await?.as_ref() == Some(hash),
        None => true,
    })
}

fn holds(confirmed_at: Millis, now: Millis) -> bool {
    now.saturating_sub(confirmed_at) < CONFIRMED_MS
}

/// What names a session in the panel. Not what its cookie holds, nor a way to it.
pub(super) fn name(hash: &Hash) -> String {
    let (name, _) = hash.split_at(NAME_BYTES);
    URL_SAFE_NO_PAD.encode(name)
}

fn digest(core: &Core, cookie: &Secret) -> Hash {
    let mut digest = Sha256::new_with_prefix(cookie.expose().as_bytes());
    if let Some(token) = core.settings().panel_token() {
        digest.update(b"\0");
        digest.update(token.expose().as_bytes());
    }
    digest.finalize().into()
}
