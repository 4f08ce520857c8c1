//! Who gets in: the set-up code, the password, sessions.

use std::net::IpAddr;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::{ApiError, ErrorCode, Millis};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use vault::Secret;

use super::answer::{Failure, Result};
use super::throttle::Throttle;
use crate::Core;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// How long a session lasts after it was last used.
pub(super) const SESSION_MS: Millis = 7 * 24 * 60 * 60 * 1_000;
/// A session is prolonged at most this often: a write for every click would be too many.
const PROLONG_AFTER_MS: Millis = 24 * 60 * 60 * 1_000;
/// The shortest password, in characters.
const MIN_PASSWORD: usize = 8;
/// The longest password, in bytes: hashing must not be given megabytes.
const MAX_PASSWORD: usize = 1024;
/// Password hashes computed at once; each takes 19 MiB (argon2id's recommended parameters).
const HASHES_AT_ONCE: usize = 2;

/// What decides who gets in. One for all workers.
pub(crate) struct Gate {
    /// Present as long as nothing could sign anybody in.
    setup_code: Mutex<Option<Secret>>,
    throttle: Mutex<Throttle>,
    hashing: Semaphore,
}

impl Gate {
    /// Looks whether anybody can sign in; if not, makes the code of the set-up link.
    pub(crate) async fn open(settings: &Settings, store: &Store) -> Result<Self, StoreError> {
        let nobody = settings.panel_token().is_none()
            && match store.password_hash().await {
                Ok(hash) => hash.is_none(),
                // Nobody becomes the owner because the database happens to be away.
                Err(error) if error.may_pass() => false,
                Err(error) => return Err(error),
            };
        let setup_code = if nobody { Some(random(16)?) } else { None };
        Ok(Self {
            setup_code: Mutex::new(setup_code),
            throttle: Mutex::default(),
            hashing: Semaphore::new(HASHES_AT_ONCE),
        })
    }

    /// The code that chooses the first password, as long as there is none.
    pub(crate) fn setup_code(&self) -> Option<Secret> {
        self.setup_code.lock().clone()
    }

    pub(super) fn setup_required(&self) -> bool {
        self.setup_code.lock().is_some()
    }

    /// Chooses the first password.
    pub(super) async fn set_up(
        &self,
        core: &Core,
        from: IpAddr,
        code: &Secret,
        password: Secret,
    ) -> Result<()> {
        let wrong = || {
            Failure::new(
                ErrorCode::WrongSetupCode,
                "This set-up link was used already or is from an earlier start. The newest \
                 one is in the server's output.",
            )
        };
        self.guess(core, from)?;
        // Compared in constant time, see `Secret`.
        if self.setup_code().is_none_or(|right| right != *code) {
            return Err(wrong());
        }
        self.throttle.lock().right(from);
        if password.expose().chars().count() < MIN_PASSWORD {
            return Err(Failure::new(
                ErrorCode::WeakPassword,
                format!("The password needs at least {MIN_PASSWORD} characters."),
            ));
        }
        refuse_too_long(&password)?;
        let hash = self.hash(password).await?;
        if !core.store.set_first_password(&hash).await? {
            return Err(wrong());
        }
        *self.setup_code.lock() = None;
        Ok(())
    }

    /// Checks a password; `AUTH_TOKEN` counts as one.
    pub(super) async fn check(&self, core: &Core, from: IpAddr, password: Secret) -> Result<()> {
        if self.setup_required() {
            return Err(Failure::new(
                ErrorCode::SetupRequired,
                "No password exists yet. Open the set-up link that the server printed when it \
                 started, or start it with AUTH_TOKEN.",
            ));
        }
        refuse_too_long(&password)?;
        self.guess(core, from)?;
        let is_token = core.settings().panel_token() == Some(&password);
        let right = is_token
            || match core.store.password_hash().await? {
                Some(hash) => self.verify(password, hash).await?,
                None => false,
            };
        if !right {
            return Err(Failure::new(
                ErrorCode::WrongPassword,
                "That is neither the panel's password nor AUTH_TOKEN. Without AUTH_TOKEN, the \
                 first of ALLOWED_TOKENS signs in.",
            ));
        }
        self.throttle.lock().right(from);
        Ok(())
    }

    fn guess(&self, core: &Core, from: IpAddr) -> Result<()> {
        self.throttle
            .lock()
            .guess(from, core.clock.now())
            .map_err(|seconds| {
                let mut error = ApiError::new(
                    ErrorCode::TooManyAttempts,
                    format!("Too many wrong attempts. Try again in {seconds} seconds."),
                );
                error.retry_after_seconds = Some(seconds);
                error.into()
            })
    }

    async fn hash(&self, password: Secret) -> Result<String> {
        self.hashing(move || {
            Argon2::default()
                .hash_password(password.expose().as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|error| internal(format!("the password cannot be hashed: {error}")))
        })
        .await?
    }

    async fn verify(&self, password: Secret, hash: String) -> Result<bool> {
        self.hashing(move || {
            PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.expose().as_bytes(), &hash)
                    .is_ok()
            })
        })
        .await
    }

    /// Runs `work`, which takes a core for a tenth of a second, beside the answering threads.
    async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let permit = self.hashing.acquire().await;
        let done = tokio::task::spawn_blocking(work).await;
        drop(permit);
        done.map_err(|error| internal(format!("hashing a password failed: {error}")))
    }
}

/// Begins a session; gives the value of its cookie.
pub(super) async fn begin_session(core: &Core) -> Result<Secret> {
    let cookie = random(32)?;
    let expires_at = core.clock.now().saturating_add(SESSION_MS);
    core.store.add_session(digest(&cookie), expires_at).await?;
    Ok(cookie)
}

/// Whether the cookie is that of a session; `Some(true)` when the session was prolonged, so
/// that the cookie should be as well.
pub(super) async fn session(core: &Core, cookie: &Secret) -> Result<Option<bool>> {
    let hash = digest(cookie);
    let Some(expires_at) = core.store.session_expiry(hash).await? else {
        return Ok(None);
    };
    let full = core.clock.now().saturating_add(SESSION_MS);
    if full.saturating_sub(expires_at) < PROLONG_AFTER_MS {
        return Ok(Some(false));
    }
    core.store.extend_session(hash, full).await?;
    Ok(Some(true))
}

/// Ends a session.
pub(super) async fn end_session(core: &Core, cookie: &Secret) -> Result<()> {
    Ok(core.store.end_session(digest(cookie)).await?)
}

/// That many random bytes, as text that fits into a link and a cookie.
pub(super) fn random(bytes: usize) -> Result<Secret, StoreError> {
    let mut random = zeroize::Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random).map_err(|_| StoreError::NoRandom)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(&*random)))
}

fn digest(cookie: &Secret) -> [u8; 32] {
    Sha256::digest(cookie.expose().as_bytes()).into()
}

fn refuse_too_long(password: &Secret) -> Result<()> {
    if password.expose().len() > MAX_PASSWORD {
        return Err(Failure::invalid(format!(
            "A password has at most {MAX_PASSWORD} bytes."
        )));
    }
    Ok(())
}

fn internal(message: String) -> Failure {
    Failure::new(ErrorCode::Internal, message)
}
