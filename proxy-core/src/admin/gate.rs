//! Who gets in: the set-up code, the password, the second factor.
//!
//! Sessions, which begin here, are in `sessions.rs`; how long a guesser waits in
//! `throttle.rs`. While the database is away `AUTH_TOKEN` signs in, and what was last read of
//! password and second factor holds.

use std::net::{IpAddr, Ipv4Addr};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::admin::CSRF_HEADER;
use contract::{ApiError, ErrorCode, Millis};
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use sha2::Sha256;
use tokio::sync::{Semaphore, watch};
use vault::Secret;

use super::answer::{Failure, Result};
use super::sessions::{Hash, Sessions};
use super::throttle::Throttle;
use super::totp;
use crate::Core;
use crate::settings::Settings;
use crate::store::{Store, StoreError, StoredFactor};

/// The shortest password, in characters.
const MIN_PASSWORD: usize = 8;
/// The longest password, in bytes: hashing must not be given megabytes.
const MAX_PASSWORD: usize = 1024;
/// Password hashes computed at once; each takes 19 MiB (argon2id's recommended parameters).
const HASHES_AT_ONCE: usize = 2;
/// How long a new authenticator app may take to prove itself.
const ENROLMENT_MS: Millis = 10 * 60 * 1_000;
/// Wrong codes of the second factor count together, wherever they come from: whoever tries
/// them has the password, and six digits are few.
const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What decides who gets in. One for all workers.
pub(crate) struct Gate {
    /// Present as long as nothing could sign anybody in.
    setup_code: watch::Sender<Option<Secret>>,
    throttle: Mutex<Throttle>,
    /// Counts wrong codes of the second factor.
    codes: Mutex<Throttle>,
    hashing: Semaphore,
    known: Mutex<Known>,
    /// A new authenticator app that has yet to prove itself.
    enrolment: Mutex<Option<Enrolment>>,
    pub(super) sessions: Sessions,
}

/// What was last read, for when the database is away; `None` when it never was.
#[derive(Default)]
struct Known {
    password: Option<Option<String>>,
    factor: Option<Option<StoredFactor>>,
}

struct Enrolment {
    secret: Secret,
    /// The session that asked for it; absent for the desktop window.
    by: Option<Hash>,
    until: Millis,
}

/// What was read, now or when the database last answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read<T> {
    pub value: T,
    /// It was read now.
    pub fresh: bool,
}

/// How somebody signed in: what is still to be checked when the database is back, because
/// another server may have changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SignedIn {
    /// No second factor was asked for, because none was on when the database last answered,
    /// or because it never did.
    pub without_factor: bool,
    /// The password was right by this hash, which was not read now.
    pub by_hash: Option<String>,
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
        match store.end_sessions_of_another(settings.panel_token()).await {
            Ok(()) => {}
            // Then they are worth nothing either: their hashes hold the token.
            Err(error) if error.may_pass() => {}
            Err(error) => return Err(error),
        }
        let setup_code = if nobody { Some(random(16)?) } else { None };
        Ok(Self {
            setup_code: watch::Sender::new(setup_code),
            throttle: Mutex::default(),
            codes: Mutex::default(),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            known: Mutex::default(),
            enrolment: Mutex::default(),
            sessions: Sessions::default(),
        })
    }

    /// The code that chooses the first password, as long as there is none.
    pub(crate) fn setup_code(&self) -> Option<Secret> {
        self.setup_code.borrow().clone()
    }

    /// Told when there is another code, or none any more.
    pub(crate) fn setup_codes(&self) -> watch::Receiver<Option<Secret>> {
        self.setup_code.subscribe()
    }

    /// Looks once more whether anybody can sign in, when a database that was away at the start
    /// is there: one that is new wants somebody to set it up.
    pub(crate) async fn look_for_owner(
        &self,
        settings: &Settings,
        store: &Store,
    ) -> Result<(), StoreError> {
        if settings.panel_token().is_none() && store.password_hash().await?.is_none() {
            let code = random(16)?;
            self.setup_code.send_if_modified(|known| {
                let missing = known.is_none();
                if missing {
                    *known = Some(code);
                }
                missing
            });
        }
        Ok(())
    }

    /// Whether there is still no password. The command line may have set one meanwhile, which
    /// ends the set-up link.
    pub(super) async fn setup_required(&self, core: &Core) -> Result<bool> {
        if self.setup_code().is_none() {
            return Ok(false);
        }
        let chosen = self.password_hash(core).await?.is_some();
        if chosen {
            self.setup_code.send_replace(None);
        }
        Ok(!chosen)
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
        let hash = self.hash(password).await?;
        if !core.store.set_first_password(&hash).await? {
            return Err(wrong());
        }
        self.setup_code.send_replace(None);
        Ok(())
    }

    /// Checks what somebody signs in with.
    pub(super) async fn sign_in(
        &self,
        core: &Core,
        from: IpAddr,
        password: Secret,
        code: Option<Secret>,
    ) -> Result<SignedIn> {
        let by_hash = self.check_password(core, from, password).await?;
        let factor = self.factor(core).await?;
        if let Some(Some(factor)) = &factor.value {
            let Some(code) = code.filter(|code| !code.expose().trim().is_empty()) else {
                // It was no wrong guess, nor does it excuse earlier ones.
                self.throttle.lock().take_back(from);
                return Err(Failure::new(
                    ErrorCode::SecondFactorNeeded,
                    "The password is right. Signing in needs the code of the authenticator app \
                     as well, or a recovery code.",
                ));
            };
            self.guess_code(core)?;
            if !self.take_code(core, factor, &code).await? {
                return Err(wrong_code());
            }
            self.codes.lock().right(EVERYBODY);
        }
        self.throttle.lock().right(from);
        Ok(SignedIn {
            without_factor: !factor.fresh && !matches!(factor.value, Some(Some(_))),
            by_hash,
        })
    }

    /// Checks the password once more, before a step that needs it.
    pub(super) async fn confirm(&self, core: &Core, from: IpAddr, password: Secret) -> Result<()> {
        let _ = self.check_password(core, from, password).await?;
        self.throttle.lock().right(from);
        Ok(())
    }

    /// Checks a password; `AUTH_TOKEN` counts as one. The guess stays counted. Gives the hash
    /// that it was right by, when that was not read now.
    async fn check_password(
        &self,
        core: &Core,
        from: IpAddr,
        password: Secret,
    ) -> Result<Option<String>> {
        if self.setup_required(core).await? {
            return Err(Failure::new(
                ErrorCode::SetupRequired,
                "No password exists yet. Open the set-up link that the server printed when it \
                 started, or start it with AUTH_TOKEN.",
            ));
        }
        refuse_too_long(&password)?;
        self.guess(core, from)?;
        if core.settings().panel_token() == Some(&password) {
            return Ok(None);
        }
        let read = self.read_password(core).await?;
        if let Some(hash) = read.value
            && self.verify(password, hash.clone()).await?
        {
            return Ok((!read.fresh).then_some(hash));
        }
        Err(Failure::new(
            ErrorCode::WrongPassword,
            "That is neither the panel's password nor AUTH_TOKEN. Without AUTH_TOKEN, the first \
             of ALLOWED_TOKENS signs in.",
        ))
    }

    /// The hash of the panel's password, if one was chosen.
    pub(super) async fn password_hash(&self, core: &Core) -> Result<Option<String>> {
        Ok(self.read_password(core).await?.value)
    }

    async fn read_password(&self, core: &Core) -> Result<Read<Option<String>>> {
        let read = core.store.password_hash().await;
        let mut known = self.known.lock();
        match (read, &known.password) {
            (Ok(value), _) => {
                known.password = Some(value.clone());
                Ok(Read { value, fresh: true })
            }
            (Err(error), Some(last)) if error.may_pass() => Ok(Read {
                value: last.clone(),
                fresh: false,
            }),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The second factor, if it is on; `None` when nobody can know.
    pub(super) async fn factor(&self, core: &Core) -> Result<Read<Option<Option<StoredFactor>>>> {
        let read = core.store.second_factor().await;
        let mut known = self.known.lock();
        match read {
            Ok(mut factor) => {
                // Codes that were used while the database could not note it stay used.
                if let (Some(new), Some(Some(old))) = (&mut factor, &known.factor)
                    && new.secret == old.secret
                {
                    new.used = new.used.max(old.used);
                }
                known.factor = Some(factor.clone());
                Ok(Read {
                    value: Some(factor),
                    fresh: true,
                })
            }
            Err(error) if error.may_pass() => Ok(Read {
                value: known.factor.clone(),
                fresh: false,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Chooses another password and ends all other sessions.
    pub(super) async fn change_password(
        &self,
        core: &Core,
        new: Secret,
        session: Option<Hash>,
    ) -> Result<()> {
        let hash = self.hash(new).await?;
        core.store.change_password(&hash, session, false).await?;
        self.known.lock().password = Some(Some(hash));
        self.sessions.forget_all_but(session);
        Ok(())
    }

    /// Begins to add an authenticator app; gives what it needs. Nothing is in force yet.
    pub(super) fn enrol(
        &self,
        core: &Core,
        by: Option<Hash>,
        account: &str,
    ) -> Result<totp::Enrolment> {
        if core.store.sealing() == contract::admin::Sealing::NotStored {
            return Err(StoreError::NoSealingKey.into());
        }
        let new = totp::enrol(account)
            .ok_or_else(|| internal("the second factor cannot be made".to_owned()))?;
        *self.enrolment.lock() = Some(Enrolment {
            secret: new.secret.clone(),
            by,
            until: core.clock.now().saturating_add(ENROLMENT_MS),
        });
        Ok(new)
    }

    /// Puts the new authenticator app in force, if `code` is its; gives the recovery codes and
    /// ends all other sessions.
    pub(super) async fn confirm_enrolment(
        &self,
        core: &Core,
        by: Option<Hash>,
        code: &Secret,
    ) -> Result<Vec<Secret>> {
        let now = core.clock.now();
        let secret = match &*self.enrolment.lock() {
            Some(pending) if pending.by == by && pending.until > now => pending.secret.clone(),
            _ => {
                return Err(Failure::invalid(
                    "No authenticator app is being added, or it took longer than ten minutes: \
                     begin again.",
                ));
            }
        };
        self.guess_code(core)?;
        let Some(step) = totp::check(&secret, code.expose(), now, None) else {
            return Err(wrong_code());
        };
        self.codes.lock().right(EVERYBODY);
        let codes = totp::recovery_codes()
            .ok_or_else(|| internal("no recovery codes can be made".to_owned()))?;
        let hashes: Vec<_> = codes
            .iter()
            .map(|code| totp::recovery_hash(code.expose()))
            .collect();
        core.store
            .set_second_factor(&secret, step, &hashes, by)
            .await?;
        *self.enrolment.lock() = None;
        self.sessions.forget_all_but(by);
        // What is known without the database must know of it, too.
        self.factor(core).await?;
        Ok(codes)
    }

    /// Switches the second factor off.
    pub(super) async fn drop_factor(&self, core: &Core) -> Result<()> {
        core.store.delete_second_factor().await?;
        self.known.lock().factor = Some(None);
        Ok(())
    }

    /// Whether `code` is one of the app's or a recovery code; it is used up then.
    async fn take_code(&self, core: &Core, factor: &StoredFactor, code: &Secret) -> Result<bool> {
        let now = core.clock.now();
        let Some(step) = totp::check(&factor.secret, code.expose(), now, factor.used) else {
            if !totp::is_recovery_code(code.expose()) {
                return Ok(false);
            }
            let hash = totp::recovery_hash(code.expose());
            return Ok(core.store.take_recovery_code(hash).await?);
        };
        match core.store.take_step(step).await {
            Ok(taken) => Ok(taken),
            Err(error) if error.may_pass() => {
                let mut known = self.known.lock();
                let Some(Some(factor)) = &mut known.factor else {
                    return Ok(false);
                };
                let fresh = factor.used.is_none_or(|used| step > used);
                factor.used = factor.used.max(Some(step));
                Ok(fresh)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn guess_code(&self, core: &Core) -> Result<()> {
        too_many(self.codes.lock().guess(EVERYBODY, core.clock.now()))
    }

    fn guess(&self, core: &Core, from: IpAddr) -> Result<()> {
        too_many(self.throttle.lock().guess(from, core.clock.now()))
    }

    /// The hash of a new password, unless that is too short or too long.
    async fn hash(&self, password: Secret) -> Result<String> {
        check_new_password(&password)?;
        self.hashing(move || hash_password(&password))
            .await?
            .map_err(internal)
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

fn too_many(guessed: Result<(), u64>) -> Result<()> {
    guessed.map_err(|seconds| {
        let mut error = ApiError::new(
            ErrorCode::TooManyAttempts,
            format!("Too many wrong attempts. Try again in {seconds} seconds."),
        );
        error.retry_after_seconds = Some(seconds);
        error.into()
    })
}

fn wrong_code() -> Failure {
    Failure::new(
        ErrorCode::WrongSecondFactor,
        "That code is not right, or was used already. Wait for the next one of the authenticator \
         app (its clock must be right), or use a recovery code.",
    )
}

/// Whether a password can be chosen.
pub(crate) fn check_new_password(password: &Secret) -> Result<(), ApiError> {
    if password.expose().chars().count() < MIN_PASSWORD {
        return Err(ApiError::new(
            ErrorCode::WeakPassword,
            format!("The password needs at least {MIN_PASSWORD} characters."),
        ));
    }
    if password.expose().len() > MAX_PASSWORD {
        return Err(too_long());
    }
    Ok(())
}

/// The argon2id hash of a password. Takes a core for a tenth of a second.
pub(crate) fn hash_password(password: &Secret) -> Result<String, String> {
    Argon2::default()
        .hash_password(password.expose().as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| format!("the password cannot be hashed: {error}"))
}

/// That many random bytes, as text that fits into a link and a cookie.
pub(super) fn random(bytes: usize) -> Result<Secret, StoreError> {
    let mut random = zeroize::Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random).map_err(|_| StoreError::NoRandom)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(&*random)))
}

/// What the changes of a session must carry besides its cookie: known to whoever can read an
/// answer of ours, and of no use without the cookie that it is made from. Nothing has to be
/// kept for it, so it holds on every server that knows the session.
pub(super) fn csrf(cookie: &Secret) -> String {
    // HMAC takes a key of any length (RFC 2104 §2), so there is always a digest.
    Hmac::<Sha256>::new_from_slice(cookie.expose().as_bytes())
        .map(|mac| mac.chain_update(CSRF_HEADER).finalize().into_bytes())
        .map(|digest| URL_SAFE_NO_PAD.encode(digest))
        .unwrap_or_default()
}

fn refuse_too_long(password: &Secret) -> Result<()> {
    if password.expose().len() > MAX_PASSWORD {
        return Err(too_long().into());
    }
    Ok(())
}

fn too_long() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidInput,
        format!("A password has at most {MAX_PASSWORD} bytes."),
    )
}

fn internal(message: String) -> Failure {
    Failure::new(ErrorCode::Internal, message)
}
