//! The task that looks after the database: it connects to one that is away, reads what
//! another process has changed there, and keeps the snapshot for a start without it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::settings::Settings;
use crate::store::{Loaded, Store, StoreError, Tended};

/// How often a database that answers is asked for changes.
const EVERY: Duration = Duration::from_secs(1);
/// The longest pause between two tries to reach one that does not.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
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
    match read(store, environment).await {
        Err(error) if store.is_mysql() && error.may_pass() => {
            Ok(store.load_offline(&environment.api_keys, &environment.allowed_tokens))
        }
        result => result,
    }
}

async fn read(store: &Store, environment: &Settings) -> Result<Arc<Loaded>, StoreError> {
    store.settle_environment(environment).await?;
    store
        .sync_environment(&environment.api_keys, &environment.allowed_tokens)
        .await?;
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

async fn reload(core: &Core, environment_written: &mut bool) -> Result<(), StoreError> {
    let _changing = core.change.lock().await;
    let loaded = if *environment_written {
        core.store.load().await?
    } else {
        read(&core.store, &core.environment).await?
    };
    core.show(&loaded);
    if !std::mem::replace(environment_written, true) {
        core.end_sessions_of_another_token().await?;
        core.seed_tokens().await;
    }
    Ok(())
}
