//! The task that looks after the database: it connects to one that is away, reads what
//! another process has changed there, and keeps the snapshot for a start without it. Beside
//! it, the one that deletes what has been kept long enough.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use contract::Millis;
use contract::admin::DatabaseState;
use tokio_util::sync::CancellationToken;
use vault::Secret;

use crate::Core;
use crate::settings::Settings;
use crate::store::{Keep, Loaded, Store, StoreError, Tended};

/// How often a database that answers is asked for changes.
const EVERY: Duration = Duration::from_secs(1);
/// The longest pause between two tries to reach one that does not.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often old records are deleted, in milliseconds.
const TIDY_EVERY_MS: Millis = 10 * 60 * 1000;
/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often the snapshot is written, in rounds of [`EVERY`], for what the pool has learned.
const SNAPSHOT_ROUNDS: u32 = 60;

/// What the core starts with. Without the database that is the last run's snapshot and the
/// environment.
///
/// # Errors
/// When the database is there but cannot be used.
pub(crate) async fn first_load(
    store: &Store,
    keys: &[Secret],
    tokens: &[Secret],
) -> Result<Arc<Loaded>, StoreError> {
    match read(store, keys, tokens).await {
        Err(error) if store.is_mysql() && error.may_pass() => Ok(store.load_offline(keys, tokens)),
        result => result,
    }
}

async fn read(
    store: &Store,
    keys: &[Secret],
    tokens: &[Secret],
) -> Result<Arc<Loaded>, StoreError> {
    store.sync_environment(keys, tokens).await?;
    store.load().await
}

/// Runs until `stop`.
pub(crate) async fn keep(core: Arc<Core>, stop: CancellationToken) {
    // At the start the environment has not reached a database that was away.
    let mut environment_written = core.store.revision() >= 0;
    let mut pause = EVERY;
    let mut rounds = 0;
    core.store.write_snapshot(|id| core.pool.saved(id)).await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match core.store.tend().await {
            Tended::Unchanged => EVERY,
            Tended::Changed => {
                match reload(&core, &mut environment_written).await {
                    Ok(()) => rounds = SNAPSHOT_ROUNDS,
                    Err(error) => {
                        tracing::warn!(%error, "what changed in the database cannot be read; it is tried again");
                        core.store.read_again();
                    }
                }
                EVERY
            }
            Tended::Away => (pause * 2).min(LONGEST_PAUSE),
        };
        rounds += 1;
        if rounds > SNAPSHOT_ROUNDS {
            rounds = 0;
            core.store.write_snapshot(|id| core.pool.saved(id)).await;
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

fn keep_by(settings: &Settings) -> Keep {
    Keep {
        request_days: settings.request_log_days,
        detail_days: settings.error_detail_days,
        bytes: settings.database_limit_bytes(),
    }
}

async fn reload(core: &Core, environment_written: &mut bool) -> Result<(), StoreError> {
    let _changing = core.change.lock().await;
    let loaded = if *environment_written {
        core.store.load().await?
    } else {
        let settings = Guard::into_inner(core.settings());
        read(&core.store, &settings.api_keys, &settings.allowed_tokens).await?
    };
    core.show(&loaded);
    if !std::mem::replace(environment_written, true) {
        let settings = Guard::into_inner(core.settings());
        core.store
            .end_sessions_of_another(settings.panel_token())
            .await?;
        core.seed_tokens().await;
    }
    Ok(())
}
