//! The task that looks after the database: it connects to one that is away, reads what
//! another process has changed there, and keeps the snapshot for a start without it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tokio_util::sync::CancellationToken;
use vault::Secret;

use crate::Core;
use crate::settings::Settings;
use crate::store::{Loaded, Store, StoreError, Tended};
use crate::takeover;

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
    settings: &Settings,
) -> Result<Arc<Loaded>, StoreError> {
    match read(store, settings).await {
        Err(error) if store.is_mysql() && error.may_pass() => {
            Ok(store.load_offline(&settings.api_keys, &settings.allowed_tokens))
        }
        result => result,
    }
}

async fn read(store: &Store, settings: &Settings) -> Result<Arc<Loaded>, StoreError> {
    let unstored = takeover::at_start(store, settings).await?;
    let with = |own: &[Secret], unstored: Vec<Secret>| {
        let more = unstored.into_iter().filter(|one| !own.contains(one));
        own.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let keys = with(&settings.api_keys, unstored.keys);
    let tokens = with(&settings.allowed_tokens, unstored.tokens);
    store.sync_environment(&keys, &tokens).await?;
    store.load().await
}

/// Runs until `stop`.
pub(crate) async fn keep(core: Arc<Core>, stop: CancellationToken) {
    // At the start the environment has not reached a database that was away.
    let mut environment_written = core.store.revision() >= 0;
    let mut pause = EVERY;
    let mut rounds = 0;
    let mut said = String::new();
    core.store.write_snapshot(|id| core.pool.saved(id)).await;
    loop {
        tokio::select! {
            biased;
            // First, so that the snapshot has it also when it was the last thing before the end.
            () = core.store.changed() => {}
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match core.store.tend().await {
            Tended::Unchanged => EVERY,
            Tended::Changed => match reload(&core, &mut environment_written).await {
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
    }
}

async fn reload(core: &Core, environment_written: &mut bool) -> Result<(), StoreError> {
    let _changing = core.change.lock().await;
    let loaded = if *environment_written {
        core.store.load().await?
    } else {
        let settings = Guard::into_inner(core.settings());
        read(&core.store, &settings).await?
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
