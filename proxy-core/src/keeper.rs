//! The task that looks after the database: it connects to one that is away, reads what
//! another process has changed there, keeps the snapshot for a start without it, and makes
//! the backups that are due. Beside it, the one that deletes what has been kept long enough, and
//! the one that makes up for sums that are missing.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use contract::Millis;
use contract::admin::DatabaseState;
use tokio_util::sync::CancellationToken;
use vault::Secret;

use crate::Core;
use crate::backups::Schedule;
use crate::settings::Settings;
use crate::store::{Keep, Loaded, Store, StoreError, Tended};
use crate::{reset, takeover};

/// How often a database that answers is asked for changes.
const EVERY: Duration = Duration::from_secs(1);
/// The longest pause between two tries to reach one that does not.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause between two tries to make up for missing sums, which nothing waits for.
const LONGEST_PAUSE_OF_SUMS: Duration = Duration::from_secs(600);
/// How often old records are deleted, in milliseconds.
const TIDY_EVERY_MS: Millis = 10 * 60 * 1000;
/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often what was used of quotas is kept, in milliseconds: so much is forgotten at most when
/// the process ends suddenly.
const USED_EVERY_MS: Millis = 5_000;
/// How often the snapshot is written, in rounds of [`EVERY`], for what the pool has learned.
const SNAPSHOT_ROUNDS: u32 = 60;

/// What the core starts with. Without the database that is the last run's snapshot and the
/// environment.
///
/// # Errors
/// When the database is there but cannot be used.
pub(crate) async fn first_load(
    store: &Store,
    environment: &Settings,
) -> Result<Arc<Loaded>, StoreError> {
    let (keys, tokens) = (&environment.api_keys, &environment.allowed_tokens);
    let found = match read(store, environment).await {
        Err(error) if store.is_mysql() && error.is_read_only() => {
            store.note(&Err(error));
            store.load_unwritable(keys, tokens).await
        }
        found => found,
    };
    match found {
        Err(error) if store.is_mysql() && error.may_pass() => Ok(store.load_offline(keys, tokens)),
        result => result,
    }
}

async fn read(store: &Store, environment: &Settings) -> Result<Arc<Loaded>, StoreError> {
    let unstored = takeover::at_start(store, environment).await?;
    store.settle_environment(environment).await?;
    let with = |own: &[Secret], unstored: Vec<Secret>| {
        let more = unstored.into_iter().filter(|one| !own.contains(one));
        own.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let keys = with(&environment.api_keys, unstored.keys);
    let tokens = with(&environment.allowed_tokens, unstored.tokens);
    store.sync_environment(&keys, &tokens).await?;
    if environment.reset_second_factor {
        reset::drop_second_factor(store).await;
    }
    store.load().await
}

/// Runs until `stop`.
pub(crate) async fn keep(core: Arc<Core>, stop: CancellationToken) {
    let mut schedule = Schedule::new(core.clock.now());
    let mut pause = EVERY;
    let mut rounds = 0;
    let mut said = String::new();
    core.store.write_snapshot(|id| core.pool.saved(id)).await;
    let mut kept_at = core.clock.now();
    loop {
        tokio::select! {
            biased;
            // First, so that the snapshot has it also when it was the last thing before the end.
            () = core.store.changed() => {}
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let now = core.clock.now();
        if !(0..USED_EVERY_MS).contains(&(now - kept_at)) {
            kept_at = now;
            core.pool.keep_used();
        }
        pause = match core.store.tend().await {
            Tended::Unchanged => EVERY,
            Tended::Changed => match reload(&core).await {
                Ok(()) => {
                    rounds = SNAPSHOT_ROUNDS;
                    said.clear();
                    EVERY
                }
                Err(error) => {
                    core.store.read_again();
                    // Once: it may last until the server is started anew.
                    let error = error.to_string();
                    if said != error {
                        tracing::warn!(
                            error,
                            "what changed in the database cannot be read; it is tried again"
                        );
                        said = error;
                    }
                    (pause * 2).min(LONGEST_PAUSE)
                }
            },
            Tended::Away => (pause * 2).min(LONGEST_PAUSE),
        };
        rounds += 1;
        if rounds > SNAPSHOT_ROUNDS {
            rounds = 0;
            core.store.write_snapshot(|id| core.pool.saved(id)).await;
        }
        let settings = Guard::into_inner(core.settings());
        let backed_up = schedule.run(
            &core.store,
            core.clock.now(),
            settings.backup_every_hours,
            settings.backup_keep,
        );
        // Half a copy is worth nothing, and the end does not wait for a large one.
        tokio::select! {
            () = stop.cancelled() => return,
            () = backed_up => {}
        }
    }
}

/// Deletes what need not be kept, until `stop`. Every [`TIDY_EVERY_MS`] by the clock, which
/// is looked at more often: a machine that slept catches up.
pub(crate) async fn tidy(core: Arc<Core>, stop: CancellationToken) {
    let mut details_until = 0;
    let mut next = core.clock.now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = core.clock.now();
        if now < next || core.store.state() != DatabaseState::Ready {
            continue;
        }
        next = now + TIDY_EVERY_MS;
        let keep = keep_by(&core.settings());
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = core.store.tidy(&keep, &mut details_until) => done,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "old records cannot be deleted; it is tried again");
        }
    }
}

/// Makes up for sums that are missing (of requests from before there were sums, of the
/// original's log), piece by piece and beside everything else, whenever a database is used for
/// the first time; until `stop`.
pub(crate) async fn make_up(core: Arc<Core>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = core.store.settled() => {}
        }
        let mut pause = EVERY;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = make_up_all(&core) => done,
            };
            let Err(error) = done else { break };
            if pause == EVERY {
                tracing::warn!(%error, "older sums are still missing; it is tried again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE_OF_SUMS);
        }
    }
}

async fn make_up_all(core: &Core) -> Result<(), StoreError> {
    // It may be changed meanwhile.
    let zone = || core.settings().time_zone.clone();
    let mut counted = false;
    while core.store.sum_up_requests(&zone()).await? {
        counted = true;
    }
    if counted {
        core.seed_tokens().await;
    }
    while takeover::sum_up_log(&core.store, &core.environment, &zone()).await? {}
    Ok(())
}

fn keep_by(settings: &Settings) -> Keep {
    Keep {
        request_days: settings.request_log_days,
        detail_days: settings.error_detail_days,
        bytes: settings.database_limit_bytes(),
    }
}

async fn reload(core: &Core) -> Result<(), StoreError> {
    let _changing = core.change.lock().await;
    read_anew(core).await
}

/// Puts into memory what is in the database now. To be called while [`Core::change`] is held.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn read_anew(core: &Core) -> Result<(), StoreError> {
    // The environment has not reached a database that was away at the start, nor one that
    // was a backup a moment ago.
    let is_new = !core.store.knows_environment();
    let loaded = match is_new {
        true => read(&core.store, &core.environment).await?,
        false => core.store.load().await?,
    };
    core.show(&loaded);
    if is_new {
        core.end_sessions_of_another_token().await?;
        core.gate
            .look_for_owner(&core.settings(), &core.store)
            .await?;
        core.seed_tokens().await;
    }
    Ok(())
}
