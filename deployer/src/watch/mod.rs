//! Keeps watch over remotes: looks how they are, keeps those awake that should be, and finds out
//! what the user should do.
//!
//! ```text
//! schedule (pure) ─► rounds: ask providers and instances ─► settle (pure) ─► the record
//! hours (pure)    ─┘
//! ```
//!
//! All times are in the records, so the task itself remembers nothing, and of several servers on
//! one database any may make a round. Which one does is settled by a turn of the store.
//!
//! Deliberately absent: asking an app that may sleep how it is, unless it is kept awake. That
//! would wake it up, or keep it from sleeping and use up the hours of its plan.

mod ask;
mod hours;
mod schedule;
mod settle;
#[cfg(test)]
mod tests;
mod view;
mod wake;

use std::time::Duration;

use contract::{ApiError, ErrorCode, Millis};
use futures_util::future::join_all;

use crate::deployer::Deployer;
use crate::record::Record;
pub(crate) use hours::keep_spent;
use schedule::{Due, JITTER};
use view::Around;
pub(crate) use wake::Waking;

/// Whose turn it is to make rounds.
const TURN: &str = "deployer_watch";
/// How long a turn is, in milliseconds: longer than a round.
const TURN_MS: Millis = 3 * 60 * 1000;
/// How long one remote may take in a round.
const PATIENCE: Duration = Duration::from_secs(150);
/// The shortest pause between two rounds.
const LEAST: Duration = Duration::from_secs(5);
/// The longest. Remotes may be added by another process.
const MOST: Duration = Duration::from_secs(300);
/// The pause while another server has the turn, or the database is away.
const OTHERS: Duration = Duration::from_secs(60);

impl Deployer {
    /// Begins to keep watch, until the host ends.
    pub(crate) fn keep_watch(&self) {
        let deployer = self.clone();
        let stop = self.host().stop.clone();
        let task = async move {
            // Dropped in the middle when the host ends: what was not noted is done again.
            stop.run_until_cancelled(Box::pin(deployer.rounds())).await;
        };
        self.host().tracker.spawn_on(task, &self.host().runtime);
    }

    async fn rounds(&self) {
        let mut was_away = false;
        loop {
            // Another process on the same database may have changed it.
            self.follow_route().await;
            let pause = match Box::pin(self.round()).await {
                Ok(pause) => {
                    was_away = false;
                    pause
                }
                Err(error) => {
                    if !was_away {
                        tracing::warn!(%error, "remotes are not watched for now; it is tried again");
                    }
                    was_away = true;
                    OTHERS
                }
            };
            tokio::select! {
                () = self.host().pause.pause(pause) => {}
                () = self.stirred() => {}
            }
        }
    }

    /// Does what is due, if it is this server's turn. Gives when to come again.
    async fn round(&self) -> Result<Duration, ApiError> {
        let around = self.around().await?;
        if due(&around).is_empty() {
            return Ok(pause(&around));
        }
        let until = around.now.saturating_add(TURN_MS);
        if !self.store().take_turn(TURN, self.holder(), until).await? {
            return Ok(OTHERS);
        }
        // Another server may have done it meanwhile.
        let around = self.around().await?;
        let all = due(&around).into_iter().map(|(record, due)| {
            let keep = around.keep(record);
            Box::pin(self.attend_in_time(record.clone(), keep, due))
        });
        join_all(all).await;
        self.check_accounts(&around.accounts, &around.records)
            .await?;
        Ok(pause(&self.around().await?))
    }

    async fn attend_in_time(&self, record: Record, keep: schedule::Keep, due: Due) {
        let (id, name) = (record.id, record.name.clone());
        let attended = Box::pin(self.attend(record, keep, due, jitter()));
        let error = match tokio::time::timeout(PATIENCE, attended).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} seconds", PATIENCE.as_secs()),
        };
        let noted = self.put_off(id, due).await;
        if noted
            .as_ref()
            .is_err_and(|error| error.code == ErrorCode::NotFound)
        {
            // It was forgotten meanwhile.
            return;
        }
        tracing::warn!(error, remote = name, "a remote could not be watched");
        if let Err(error) = noted {
            tracing::warn!(%error, remote = name, "nor could that be noted");
        }
    }
}

/// The remotes for which something is due.
fn due(around: &Around) -> Vec<(&Record, Due)> {
    let due = |record: &Record| schedule::due(record, around.keep(record), around.now);
    let all = around.records.iter().map(|record| (record, due(record)));
    all.filter(|(_, due)| due.any()).collect()
}

/// How long nothing is due.
fn pause(around: &Around) -> Duration {
    let next =
        |record: &Record| schedule::next(record, around.keep(record), around.now, &around.zone);
    match around.records.iter().filter_map(next).min() {
        Some(next) => schedule::wait(around.now, next, LEAST, MOST),
        None => MOST,
    }
}

/// A random number; 0 where the system gives none.
pub(crate) fn random() -> i64 {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random bytes");
    }
    i64::from_le_bytes(bytes)
}

fn jitter() -> Millis {
    random().rem_euclid(2 * JITTER + 1) - JITTER
}
