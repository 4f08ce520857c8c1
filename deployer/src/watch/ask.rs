//! Asks providers and instances how remotes are, and notes it.

use contract::deploy::{KeepAlive, PushWish, RemoteHealth, RemoteState, RemoteView};
use contract::{ApiError, ErrorCode, Millis};

use super::hours::{HOUR, sleep_of};
use super::schedule::{Due, Keep, after_knock, after_look};
use super::settle::{Seen, settle};
use super::view::has_lost_keys;
use vault::Secret;

use crate::account::Account;
use crate::deployer::Deployer;
use crate::document;
use crate::image::{self, Registry};
use crate::provider::{Observed, ProviderState};
use crate::record::{Drifted, Newest, Record};
use crate::remotes::{image_of, nowhere, target};
use crate::wish::{Wish, check_keep_alive};

/// How often a registry is asked for newer images.
const NEWEST: Millis = 6 * HOUR;
/// How lately requests went through a remote that may be asked how it is.
const USED: std::time::Duration = std::time::Duration::from_secs(5 * 60);
/// How often a remote is compared with what it should be.
const DRIFT: Millis = HOUR;
/// How often a provider is asked what an account may do.
const ACCOUNT: Millis = 6 * HOUR;

/// Whether an instance itself is asked how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Itself {
    /// Unless its provider says that it sleeps.
    Unless,
    /// Only where asking does not keep it from sleeping, or wake it up.
    IfHarmless,
}

impl Deployer {
    /// Says how a remote is kept awake, from now on.
    ///
    /// # Errors
    /// When the hours cannot be right, a run is under way, or it cannot be kept.
    pub async fn set_keep_alive(&self, id: i64, wish: KeepAlive) -> Result<RemoteView, ApiError> {
        check_keep_alive(&wish)?;
        let _changing = self.changing().await?;
        let mut record = self.still(id).await?;
        if let Some(known) = &mut record.wish {
            known.keep_alive = wish.clone();
        }
        record.keep_alive = wish;
        record.awake.next_at = None;
        record.awake.failures = 0;
        document::save(self.store(), &record).await?;
        self.stir();
        self.view(&record).await
    }

    /// Notes that the user has signed in to the console of a remote's account.
    pub(crate) async fn signed_in(&self, id: i64) -> Result<RemoteView, ApiError> {
        let record = self.record(id).await?;
        let account = record.wish.as_ref().and_then(|wish| wish.account);
        let account = account.ok_or_else(crate::remotes::not_ours)?;
        let now = self.clock().now();
        let _changing = self.changing().await?;
        let note = |account: &mut Account| {
            account.signed_in_at = Some(now);
            true
        };
        document::change::<Account>(self.store(), account, note).await?;
        self.view(&record).await
    }

    /// Asks the provider how the app is, and the app itself when it runs.
    pub(crate) async fn refresh(&self, id: i64) -> Result<RemoteView, ApiError> {
        let record = self.record(id).await?;
        let record = match self.is_active(id) {
            true => record,
            false => Box::pin(self.look(record, Itself::Unless)).await?,
        };
        self.view(&record).await
    }

    /// Does what is due for a remote that nobody asked for.
    pub(super) async fn attend(
        &self,
        record: Record,
        keep: Keep,
        due: Due,
        jitter: Millis,
    ) -> Result<(), ApiError> {
        let id = record.id;
        let mut looks = due.look;
        let mut record = record;
        if due.knock {
            let answered = Box::pin(self.keep_awake(&record, jitter)).await?;
            // How it is then, is found out at once.
            looks |= !answered || record.state != RemoteState::Running;
            record = self.record(id).await?;
        }
        if !looks || self.is_active(id) {
            return Ok(());
        }
        let itself = match keep {
            Keep::Awake => Itself::Unless,
            _ if self.is_in_use(id) => Itself::Unless,
            Keep::No | Keep::Quiet | Keep::Paused => Itself::IfHarmless,
        };
        let record = Box::pin(self.look(record, itself)).await?;
        if let RemoteState::Unknown { error } = &record.state
            && error.code == ErrorCode::AccountRefused
            && let Some(account) = record.wish.as_ref().and_then(|wish| wish.account)
        {
            self.check_account(account).await?;
        }
        let may_be_asked = itself == Itself::Unless || sleep_of(&record).is_none();
        if record.state == RemoteState::Running && may_be_asked {
            Box::pin(self.look_for_drift(&record)).await?;
        }
        Box::pin(self.look_for_newer(&record)).await
    }

    /// Compares a remote with what it should be now and then.
    async fn look_for_drift(&self, record: &Record) -> Result<(), ApiError> {
        let now = self.clock().now();
        let known = record.watched.drift;
        if known.is_some_and(|known| (0..DRIFT).contains(&(now - known.asked_at))) {
            return Ok(());
        }
        let differs = match Box::pin(self.has_drifted(record.id)).await {
            Ok(differs) => differs,
            Err(error) => {
                tracing::debug!(%error, remote = record.name, "a remote cannot be compared");
                known.is_some_and(|known| known.differs)
            }
        };
        let note = |record: &mut Record| {
            if record.watched.drift != known {
                // It was pushed to meanwhile.
                return false;
            }
            record.watched.drift = Some(Drifted {
                differs,
                asked_at: now,
            });
            true
        };
        self.note(record.id, note).await.map(drop)
    }

    /// Whether requests of this instance have just gone through it, so that it is awake anyway.
    fn is_in_use(&self, id: i64) -> bool {
        let hop = self.core().and_then(|core| core.next_hop());
        hop.is_some_and(|hop| hop.remote() == id && hop.answered_within(USED, self.clock().now()))
    }

    /// Asks for a sign of life. One that sleeps is shown as waking up meanwhile.
    async fn keep_awake(&self, record: &Record, jitter: Millis) -> Result<bool, ApiError> {
        let Some(url) = &record.url else {
            return Ok(false);
        };
        if record.state == RemoteState::Asleep {
            self.note_waking(record.id).await?;
        }
        let answered = self.instances()?.knock(url).await.is_ok();
        let now = self.clock().now();
        self.note(record.id, |record| {
            after_knock(record, answered, now, jitter);
            if let Some(sleep) = sleep_of(record)
                && answered
            {
                super::hours::saw(&mut record.awake, sleep, now, true);
            }
            true
        })
        .await?;
        Ok(answered)
    }

    /// Changes a record unless a run works on it, here or in another process. Gives what it is
    /// then.
    async fn note(
        &self,
        id: i64,
        change: impl FnOnce(&mut Record) -> bool + Send,
    ) -> Result<Record, ApiError> {
        let _changing = self.changing().await?;
        let is_active = self.is_active(id);
        let change = |record: &mut Record| {
            !is_active && record.state != RemoteState::Deploying && change(record)
        };
        let changed = document::change(self.store(), id, change).await?;
        match changed {
            Some(record) => Ok(record),
            None => self.record(id).await,
        }
    }

    /// Shows one that did not answer as waking up.
    pub(super) async fn note_waking(&self, id: i64) -> Result<(), ApiError> {
        let now = self.clock().now();
        let wakes = |record: &mut Record| {
            let may = matches!(
                record.state,
                RemoteState::Asleep | RemoteState::Failing { .. } | RemoteState::Unknown { .. }
            );
            if may {
                record.became(RemoteState::Waking, now);
            }
            may
        };
        self.note(id, wakes).await.map(drop)
    }

    /// Finds out how a remote is, and notes it once.
    async fn look(&self, record: Record, itself: Itself) -> Result<Record, ApiError> {
        let id = record.id;
        if record.provider.is_some() && record.remote_id.is_none() && record.url.is_none() {
            // It is nowhere yet.
            return Ok(record);
        }
        let began = self.clock().now();
        let mut seen = Box::pin(self.ask(&record, itself)).await;
        let mut has_all = true;
        if let Some(Ok(health)) = &mut seen.app {
            match Box::pin(self.fed(&record, health)).await {
                Ok(Some(fed)) => *health = fed,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, remote = record.name, "a remote cannot be given its keys");
                    has_all = false;
                }
            }
        }
        let now = self.clock().now();
        self.note(id, |record| {
            // Not after now: the clock may have been set back.
            if record
                .watched
                .began_at
                .is_some_and(|at| at > began && at <= now)
            {
                // Somebody has begun to look since, perhaps after having changed something.
                return false;
            }
            record.watched.began_at = Some(began);
            if let Some(Ok(health)) = &seen.app
                && has_all
                && health.keys_total.is_some_and(|keys| keys > 0)
            {
                record.watched.fed = health.started_at;
            }
            settle(record, seen, now);
            true
        })
        .await
    }

    async fn ask(&self, record: &Record, itself: Itself) -> Seen {
        let provider = match record.provider {
            None => None,
            Some(_) => match self.at(record).await {
                Ok(at) => {
                    let found = at.provider.observe(&target(record)).await;
                    Some(found.map_err(ApiError::from))
                }
                // It was put there by hand, and is asked itself.
                Err(_) if record.remote_id.is_none() => None,
                Err(error) => Some(Err(error)),
            },
        };
        let runs = |there: &Observed| there.state == ProviderState::Running;
        let (can_ask, url) = match &provider {
            Some(Ok(Some(there))) => (runs(there), there.url.clone().or(record.url.clone())),
            Some(Ok(None)) => (false, None),
            // Whether it sleeps is not known then.
            Some(Err(_)) => (sleep_of(record).is_none(), record.url.clone()),
            None => (true, record.url.clone()),
        };
        let is_harmless = itself == Itself::Unless || sleep_of(record).is_none();
        let app = match url.filter(|_| can_ask && is_harmless) {
            None => None,
            Some(url) => match self.instances() {
                Ok(instances) => {
                    let password = self.password_in_force(record, &url).await;
                    Some(instances.health(&url, &password, self.clock()).await)
                }
                Err(error) => Some(Err(crate::instance::Silence::Nobody(error))),
            },
        };
        Seen { provider, app }
    }

    /// What signs in to it. Where there is a choice the remote is asked; that it does not answer
    /// is found out by what follows.
    async fn password_in_force(&self, record: &Record, url: &str) -> Secret {
        if let [only] = record.passwords().as_slice() {
            return only.clone();
        }
        let found = self.password_of(record, url).await;
        found.unwrap_or_else(|_| record.secrets.auth_token.clone())
    }

    /// Sends one what it had that was started anew and of which nothing lasts: once for each
    /// start, so that keys that were deleted there stay deleted. Gives how it is then; `None`:
    /// nothing was to be sent.
    async fn fed(
        &self,
        record: &Record,
        health: &RemoteHealth,
    ) -> Result<Option<RemoteHealth>, ApiError> {
        let asked = Record {
            health: Some(health.clone()),
            ..record.clone()
        };
        let is_fed = health.started_at.is_some() && record.watched.fed == health.started_at;
        // Keys may be among its variables; what was pushed besides is not.
        let was_fed = record.fed != PushWish::default();
        let lacks = has_lost_keys(&asked) || was_fed;
        let (true, false, Some(url)) = (lacks, is_fed, &record.url) else {
            return Ok(None);
        };
        Box::pin(self.feed_now(record, url)).await.map(Some)
    }

    async fn feed_now(&self, record: &Record, url: &str) -> Result<RemoteHealth, ApiError> {
        let report = self.feed(record.id).await?;
        if let Some(problem) = report.problems.into_iter().next() {
            return Err(problem);
        }
        let password = self.password_in_force(record, url).await;
        let health = self.instances()?.health(url, &password, self.clock()).await;
        health.map_err(|_| nowhere())
    }

    /// Asks the registry now and then whether there is a newer image under the tag.
    async fn look_for_newer(&self, record: &Record) -> Result<(), ApiError> {
        let Some(image) = record.wish.as_ref().map(image_of) else {
            return Ok(());
        };
        let now = self.clock().now();
        let is_known = record.watched.newest.as_ref().is_some_and(|newest| {
            newest.image == image && (0..NEWEST).contains(&(now - newest.asked_at))
        });
        let moves = image::parse(&image).is_ok_and(|reference| reference.digest().is_none());
        if is_known || !moves || record.remote_id.is_none() {
            return Ok(());
        }
        let found = Registry::new()?.look(&image).await;
        let newest = Newest {
            digest: found.ok().map(|found| found.digest),
            image,
            asked_at: now,
        };
        let note = |record: &mut Record| {
            record.watched.newest = Some(newest);
            true
        };
        self.note(record.id, note).await.map(drop)
    }

    /// Asks providers anew what the accounts may do that remotes use.
    pub(super) async fn check_accounts(
        &self,
        accounts: &[Account],
        records: &[Record],
    ) -> Result<(), ApiError> {
        let now = self.clock().now();
        let is_used = |id: i64| {
            let uses = |wish: &Wish| wish.account == Some(id);
            let mut wishes = records.iter().filter_map(|record| record.wish.as_ref());
            wishes.any(uses)
        };
        for account in accounts {
            let is_fresh = (0..ACCOUNT).contains(&(now - account.checked_at));
            if !is_fresh && is_used(account.id) {
                Box::pin(self.check_account(account.id)).await?;
            }
        }
        Ok(())
    }

    /// Puts off what could not be done for a remote, so that it is not tried without a pause.
    pub(super) async fn put_off(&self, id: i64, due: Due) -> Result<(), ApiError> {
        let now = self.clock().now();
        let note = |record: &mut Record| {
            if due.knock {
                after_knock(record, false, now, 0);
            }
            after_look(record, now);
            true
        };
        self.note(id, note).await.map(drop)
    }
}
