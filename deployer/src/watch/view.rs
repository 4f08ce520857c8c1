//! What the panel sees of a remote, with what depends on the others: hours that they share, and
//! what the user should do.

use contract::deploy::{KeepAliveState, ProviderKind, RemoteState, RemoteView, RemoteWarning};
use contract::{ApiError, ErrorCode, Millis};
use jiff::tz::TimeZone;

use super::hours::{
    Budget, HOUR, Sharer, budget, is_of_workspace, is_same_workspace, month_of, sleep_of, used,
    whole_hours,
};
use super::schedule::{Keep, can_be_kept, keep};
use crate::account::{Account, Spent};
use crate::deployer::Deployer;
use crate::document;
use crate::image;
use crate::record::Record;
use crate::wish::{Database, Wish};

/// Who does not sign in to ClawCloud's console for this long has all apps stopped (since
/// 2025-12-13).
const SIGN_IN: Millis = 30 * 24 * HOUR;
/// How long before it that is told of.
const SIGN_IN_SOON: Millis = 7 * 24 * HOUR;
/// How long before the end of a credential that is told of.
const CREDENTIAL_SOON: Millis = 7 * 24 * HOUR;

/// The number of those that are not here any more.
const NOBODY: i64 = 0;

/// What there is besides one remote, at one moment.
pub(crate) struct Around {
    pub now: Millis,
    pub zone: TimeZone,
    pub accounts: Vec<Account>,
    pub records: Vec<Record>,
    /// Those that somebody had for himself before `records` were read: what these say of a run was
    /// true then.
    pub active: Vec<i64>,
}

impl Deployer {
    /// Reads everything.
    pub(crate) async fn around(&self) -> Result<Around, ApiError> {
        let mut active: Vec<i64> = self.active().lock().keys().copied().collect();
        active.extend(self.claimed_elsewhere().await?);
        Ok(Around {
            active,
            now: self.clock().now(),
            zone: (self.host().zone)(),
            accounts: Account::all(self.store()).await?,
            records: document::all(self.store()).await?,
        })
    }

    /// What the panel sees of a remote.
    pub(crate) async fn view(&self, record: &Record) -> Result<RemoteView, ApiError> {
        Ok(self.view_among(record, &Box::pin(self.around()).await?))
    }

    /// The same, when everything was read.
    pub(crate) fn view_among(&self, record: &Record, around: &Around) -> RemoteView {
        RemoteView {
            id: record.id,
            name: record.name.clone(),
            provider: record.provider,
            url: record.url.clone(),
            console_url: record.console_url.clone(),
            wish: record.wish.as_ref().map(Wish::shown),
            state: match &record.state {
                // This program ended in the middle.
                RemoteState::Deploying
                    if !around.active.contains(&record.id) && !self.is_active(record.id) =>
                {
                    RemoteState::Interrupted { error: None }
                }
                state => state.clone(),
            },
            state_since: record.state_since,
            health: record.health.clone(),
            image: record.image.clone(),
            keep_alive: record.keep_alive.clone(),
            keep_alive_state: around.keep_alive_state(record),
            warnings: around.warnings(record),
            checked_at: record.checked_at,
        }
    }
}

impl Around {
    /// What is to be had of the hours that it shares; `None` where its plan has no limit.
    pub(crate) fn budget(&self, record: &Record) -> Option<Budget> {
        let sleep = sleep_of(record)?;
        let limit = sleep.hours?;
        let gone = self.spent(record).map(|spent| Sharer {
            id: NOBODY,
            used: spent.used,
            kept: None,
        });
        let sharers: Vec<Sharer> = self
            .records
            .iter()
            .filter(|other| other.id == record.id || is_same_workspace(other, record))
            .filter(|other| sleep_of(other).is_some_and(|sleep| sleep.hours.is_some()))
            .map(|other| Sharer {
                id: other.id,
                used: used(&other.awake, Some(sleep), self.now),
                kept: (other.keep_alive.enabled && can_be_kept(other))
                    .then_some(other.keep_alive.quiet),
            })
            .chain(gone)
            .collect();
        Some(budget(limit, sleep, &sharers, self.now, &self.zone))
    }

    /// What remotes that are not here any more have used up of a remote's hours this month.
    fn spent(&self, record: &Record) -> impl Iterator<Item = &Spent> {
        let account = record.wish.as_ref().and_then(|wish| wish.account);
        let accounts = self.accounts.iter();
        let spent = accounts
            .filter(move |one| Some(one.id) == account)
            .flat_map(|one| &one.spent);
        let month = month_of(self.now);
        spent.filter(move |spent| spent.month == month && is_of_workspace(spent, record))
    }

    /// Whether it is kept awake now.
    pub(crate) fn keep(&self, record: &Record) -> Keep {
        let is_paused = |budget: Budget| budget.paused.contains(&record.id);
        let paused = record.keep_alive.enabled && self.budget(record).is_some_and(is_paused);
        keep(record, paused, self.now, &self.zone)
    }

    pub(super) fn keep_alive_state(&self, record: &Record) -> Option<KeepAliveState> {
        let keep = self.keep(record);
        if keep == Keep::No {
            return None;
        }
        let budget = self.budget(record);
        let own = used(&record.awake, sleep_of(record), self.now);
        let hours_used = budget.as_ref().map_or(whole_hours(own), Budget::hours);
        Some(KeepAliveState {
            next_at: (keep == Keep::Awake).then(|| record.awake.next_at.unwrap_or(self.now)),
            last_ok_at: record.awake.last_ok_at,
            hours_used,
            hours_limit: budget.map(|budget| budget.limit),
            paused_by_budget: keep == Keep::Paused,
        })
    }

    /// What the user should do, most urgent first.
    pub(super) fn warnings(&self, record: &Record) -> Vec<RemoteWarning> {
        let account = record.wish.as_ref().and_then(|wish| wish.account);
        let account = account.map(|id| self.accounts.iter().find(|account| account.id == id));
        let cannot_be_used = account.and_then(|account| match account {
            Some(account) => account.problem.clone(),
            None => Some(ApiError::new(
                ErrorCode::NotFound,
                "Its account is not here any more. Add it again.",
            )),
        });
        let account = account.flatten();
        let short = record
            .keep_alive
            .enabled
            .then(|| self.budget(record))
            .flatten()
            .filter(Budget::is_short);
        let ends_at = account.and_then(|account| account.facts.expires_at);
        [
            cannot_be_used.map(|error| RemoteWarning::Account { error }),
            has_lost_keys(record).then_some(RemoteWarning::KeysLost),
            short.map(|budget| RemoteWarning::HoursRunOut {
                used: budget.hours(),
                limit: budget.limit,
            }),
            account
                .and_then(sign_in_by)
                .filter(|by| *by <= self.now.saturating_add(SIGN_IN_SOON))
                .map(|by| RemoteWarning::SignInDue { by }),
            ends_at
                .filter(|at| *at <= self.now.saturating_add(CREDENTIAL_SOON))
                .map(|at| RemoteWarning::CredentialEnds { at }),
            drifted(record).then_some(RemoteWarning::Drift),
            newer_image(record).map(|digest| RemoteWarning::NewerImage { digest }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Until when somebody has to sign in to the console.
fn sign_in_by(account: &Account) -> Option<Millis> {
    match account.credential.provider {
        ProviderKind::ClawCloud => account.signed_in_at?.checked_add(SIGN_IN),
        ProviderKind::Render | ProviderKind::Kubernetes | ProviderKind::Koyeb => None,
    }
}

/// Whether it has none of the keys that it should have, because nothing of it lasts.
pub(crate) fn has_lost_keys(record: &Record) -> bool {
    let should = |wish: &Wish| matches!(wish.database, Database::None) && !wish.keys.is_empty();
    let has_none = record.health.as_ref().and_then(|health| health.keys_total) == Some(0);
    has_none && record.wish.as_ref().is_some_and(should)
}

/// Whether it was last found not to be as this instance wants it.
fn drifted(record: &Record) -> bool {
    record.watched.drift.is_some_and(|drift| drift.differs)
}

/// The digest of a newer image under its tag.
fn newer_image(record: &Record) -> Option<String> {
    let newest = record.watched.newest.as_ref()?;
    let digest = newest.digest.as_ref()?;
    let wished = record.wish.as_ref().map(crate::remotes::image_of)?;
    let runs = image::parse(record.image.as_ref()?).ok()?;
    let runs = runs.digest()?;
    (newest.image == wished && runs != digest).then(|| digest.clone())
}
