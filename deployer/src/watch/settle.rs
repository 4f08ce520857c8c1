//! What is known of a remote after it was asked. Pure, and the one place where looking at a
//! remote moves its state.

use contract::deploy::{RemoteHealth, RemoteState};
use contract::{ApiError, ErrorCode, Millis};

use super::hours::{saw, sleep_of};
use super::schedule::after_look;
use crate::instance::Silence;
use crate::provider::{Observed, ProviderState};
use crate::record::{Record, Run};

/// What was found out about a remote at one time.
pub(crate) struct Seen {
    /// What its provider says; `None` where it has none.
    pub provider: Option<Result<Option<Observed>, ApiError>>,
    /// What it says of itself; `None` when it was not asked.
    pub app: Option<Result<RemoteHealth, Silence>>,
}

/// Whether a run has the last word about its state: one that is under way, also in another
/// process, or one that broke off and is told of until it is gone on with.
fn is_held(record: &Record) -> bool {
    matches!(
        record.state,
        RemoteState::Deploying | RemoteState::Interrupted { .. } | RemoteState::Deleting
    )
}

/// What a run of it broke off in the middle of, at the provider.
fn broke_off(record: &Record) -> bool {
    let is_unfinished = |run: &Run| run.current().is_some();
    record.remote_id.is_some() && record.run.as_ref().is_some_and(is_unfinished)
}

/// Notes what was seen: its state once, and when it is looked at next.
pub(crate) fn settle(record: &mut Record, seen: Seen, now: Millis) {
    let judged = match judged(&seen) {
        Some(_) if broke_off(record) => Some(RemoteState::Interrupted { error: None }),
        judged => judged,
    };
    if judged.is_some() {
        record.checked_at = Some(now);
    }
    if let Some(is_awake) = judged.as_ref().and_then(|state| is_awake(state, &seen))
        && let Some(sleep) = sleep_of(record)
    {
        saw(&mut record.awake, sleep, now, is_awake);
    }
    if let Some(Ok(Some(there))) = seen.provider {
        record.url = there.url.or(record.url.take());
        record.console_url = there.console_url.or(record.console_url.take());
        record.image = there.image.or(record.image.take());
    }
    match seen.app {
        Some(Ok(health)) => record.health = Some(health),
        Some(Err(_)) => record.health = None,
        None if matches!(
            judged,
            Some(RemoteState::Running | RemoteState::Asleep) | None
        ) => {}
        None => record.health = None,
    }
    if let Some(judged) = judged.filter(|_| !is_held(record)) {
        record.became(judged, now);
    }
    after_look(record, now);
}

/// The state that was seen; `None` when nobody was asked.
fn judged(seen: &Seen) -> Option<RemoteState> {
    let answers = matches!(seen.app, Some(Ok(_)));
    let silent = match &seen.app {
        Some(Err(Silence::InItsPlace(state))) => Some(state_of(state)),
        Some(Err(Silence::Nobody(error))) => Some(match seen.provider {
            // The provider says that it runs, and it does not answer.
            Some(_) => RemoteState::Failing {
                error: error.clone(),
            },
            None => RemoteState::Unknown {
                error: error.clone(),
            },
        }),
        _ => None,
    };
    match &seen.provider {
        None if answers => Some(RemoteState::Running),
        None => silent,
        Some(Err(_)) if answers => Some(RemoteState::Running),
        Some(Err(error)) => Some(RemoteState::Unknown {
            error: error.clone(),
        }),
        Some(Ok(None)) => Some(RemoteState::Gone),
        Some(Ok(Some(there))) => Some(match (&there.state, silent) {
            (ProviderState::Running, Some(silent)) => silent,
            (state, _) => state_of(state),
        }),
    }
}

/// Whether it was seen awake or asleep; `None` when that is not known.
fn is_awake(state: &RemoteState, seen: &Seen) -> Option<bool> {
    match state {
        RemoteState::Unknown { .. } => None,
        RemoteState::Running | RemoteState::Failing { .. } | RemoteState::Interrupted { .. } => {
            let runs = |there: &Observed| there.state == ProviderState::Running;
            Some(match &seen.provider {
                Some(Ok(Some(there))) => runs(there),
                _ => matches!(seen.app, Some(Ok(_))),
            })
        }
        _ => Some(false),
    }
}

/// What a provider says of an app, as the panel has it.
fn state_of(state: &ProviderState) -> RemoteState {
    match state {
        ProviderState::Starting => RemoteState::Starting,
        ProviderState::Running => RemoteState::Running,
        ProviderState::Asleep => RemoteState::Asleep,
        ProviderState::Suspended => RemoteState::Suspended,
        ProviderState::Stopped(reason) => RemoteState::StoppedByProvider {
            reason: reason.clone(),
        },
        ProviderState::Failing(why) => RemoteState::Failing {
            error: ApiError::new(ErrorCode::Provider, why.clone()),
        },
        ProviderState::Partial => RemoteState::Failing {
            error: ApiError::new(
                ErrorCode::Provider,
                "Only parts of it are there. Apply again to make it whole, or delete it.",
            ),
        },
    }
}
