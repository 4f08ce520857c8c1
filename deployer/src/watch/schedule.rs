//! When a remote is looked at and when it is kept awake. Pure: the time comes in.

use std::time::Duration;

use contract::Millis;
use contract::deploy::RemoteState;
use jiff::tz::TimeZone;

use super::hours::{HOUR, MINUTE, is_quiet, quiet_end};
use crate::record::Record;

/// Between two signs of life of one that is kept awake. The shortest sleep comes after 15 minutes.
const KNOCK: Millis = 10 * MINUTE;
/// By how much that is more or less, so that many remotes are not asked at once.
pub(crate) const JITTER: Millis = MINUTE;
/// The pause after one that was not answered, doubled each time up to [`KNOCK`].
const KNOCK_AGAIN: Millis = MINUTE;
/// The longest of the pauses while a remote is found not to work.
const LONGEST: Millis = 30 * MINUTE;
/// How often it is looked whether the hours last after all.
const BUDGET: Millis = 30 * MINUTE;
/// No plan reaches further than this. What seems to was made by a clock that was wrong.
const HORIZON: Millis = 2 * HOUR;

/// Whether a remote is kept awake now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It is not wished, or there is nothing to keep awake.
    No,
    /// These are hours in which it may sleep.
    Quiet,
    /// The hours of the month would not last.
    Paused,
    /// Yes.
    Awake,
}

/// What is to be asked now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// A sign of life, so that it stays awake.
    pub knock: bool,
    /// How it is.
    pub look: bool,
}

impl Due {
    /// Something is.
    pub(crate) fn any(self) -> bool {
        self.knock || self.look
    }
}

/// Whether a remote can be kept awake at all: it is somewhere, and not stopped.
pub(crate) fn can_be_kept(record: &Record) -> bool {
    record.url.is_some()
        && matches!(
            record.state,
            // What was there before a run that failed may be there still.
            RemoteState::Interrupted { .. }
                | RemoteState::Starting
                | RemoteState::Running
                | RemoteState::Asleep
                | RemoteState::Waking
                | RemoteState::Failing { .. }
                | RemoteState::Unknown { .. }
        )
}

/// Whether it is kept awake now; `paused`: its hours would not last.
pub(crate) fn keep(record: &Record, paused: bool, now: Millis, zone: &TimeZone) -> Keep {
    if !record.keep_alive.enabled || !can_be_kept(record) {
        Keep::No
    } else if is_quiet(record.keep_alive.quiet, now, zone) {
        Keep::Quiet
    } else if paused {
        Keep::Paused
    } else {
        Keep::Awake
    }
}

/// How long after a look the next one comes; `None` where there is nothing to look at, or a run
/// has the last word.
pub(crate) fn pace(record: &Record) -> Option<Millis> {
    let is_somewhere = match record.provider {
        Some(_) => record.remote_id.is_some() || record.url.is_some(),
        None => record.url.is_some(),
    };
    if !is_somewhere {
        return None;
    }
    Some(match &record.state {
        RemoteState::Draft | RemoteState::Deploying | RemoteState::Deleting => return None,
        RemoteState::Interrupted { .. } if record.remote_id.is_none() => return None,
        RemoteState::Interrupted { .. } => 5 * MINUTE,
        RemoteState::Starting | RemoteState::Waking => MINUTE,
        RemoteState::Running | RemoteState::Asleep => 5 * MINUTE,
        RemoteState::Suspended | RemoteState::StoppedByProvider { .. } => 15 * MINUTE,
        RemoteState::Failing { .. } | RemoteState::Unknown { .. } => {
            doubled(MINUTE, record.watched.failures.saturating_sub(1)).min(LONGEST)
        }
        RemoteState::Gone => HOUR,
    })
}

fn doubled(first: Millis, times: u32) -> Millis {
    first.saturating_mul(1 << times.min(16))
}

/// When it is looked at next.
pub(crate) fn look_at(record: &Record) -> Option<Millis> {
    let pace = pace(record)?;
    let last = record.checked_at.unwrap_or(0).max(record.state_since);
    Some(record.watched.next_at.unwrap_or(last.saturating_add(pace)))
}

/// What is to be asked now.
pub(crate) fn due(record: &Record, keep: Keep, now: Millis) -> Due {
    let is_due = |at: Millis| at <= now || at > now.saturating_add(HORIZON);
    Due {
        knock: keep == Keep::Awake && record.awake.next_at.is_none_or(is_due),
        look: look_at(record).is_some_and(is_due),
    }
}

/// When something is to be asked next, now or later; `None` as long as nothing changes.
pub(crate) fn next(record: &Record, keep: Keep, now: Millis, zone: &TimeZone) -> Option<Millis> {
    if due(record, keep, now).any() {
        return Some(now);
    }
    let knock = match keep {
        Keep::No => None,
        Keep::Awake => record.awake.next_at,
        Keep::Quiet => Some(quiet_end(record.keep_alive.quiet, now, zone)),
        Keep::Paused => Some(now.saturating_add(BUDGET)),
    };
    [look_at(record), knock].into_iter().flatten().min()
}

/// When a sign of life is asked for next; `jitter` is at most [`JITTER`], either way.
pub(crate) fn after_knock(record: &mut Record, answered: bool, now: Millis, jitter: Millis) {
    let awake = &mut record.awake;
    let pause = match answered {
        true => {
            awake.last_ok_at = Some(now);
            awake.failures = 0;
            KNOCK.saturating_add(jitter.clamp(-JITTER, JITTER))
        }
        false => {
            let pause = doubled(KNOCK_AGAIN, awake.failures).min(KNOCK);
            awake.failures = awake.failures.saturating_add(1);
            pause
        }
    };
    awake.next_at = Some(now.saturating_add(pause));
}

/// Notes when it is looked at next, after it was.
pub(crate) fn after_look(record: &mut Record, now: Millis) {
    let fails = matches!(
        record.state,
        RemoteState::Failing { .. } | RemoteState::Unknown { .. }
    );
    record.watched.failures = match fails {
        true => record.watched.failures.saturating_add(1),
        false => 0,
    };
    record.watched.next_at = pace(record).map(|pace| now.saturating_add(pace));
}

/// From now to a moment, within these bounds.
pub(crate) fn wait(now: Millis, until: Millis, least: Duration, most: Duration) -> Duration {
    let wait = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
    Duration::from_millis(wait).clamp(least, most)
}
