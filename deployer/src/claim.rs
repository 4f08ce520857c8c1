//! Who has a remote for itself: one task of one process at a time.
//!
//! Within this process a list tells, and between processes a turn of the store. Who holds a claim
//! keeps the turn while its work goes on ([`Claim::hold`]); a process that ends in the middle
//! keeps others waiting for [`TURN_MS`] and no longer. Who changes something without a claim holds
//! [`Changing`] for the moment that takes, without which no claim begins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contract::{ApiError, ErrorCode, Millis};
use parking_lot::Mutex;
use proxy_core::store::StoreError;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::deployer::Deployer;
use crate::record::Record;

/// How long a turn is, in milliseconds, unless it is taken again.
const TURN_MS: Millis = 60 * 1000;
/// How often it is taken again.
const AGAIN: Duration = Duration::from_secs(15);
/// What the names of the turns begin with, before the remote's number.
const TURNS: &str = "run/";
/// The turn of who changes a document.
const CHANGE: &str = "change";
/// How long that turn is, in milliseconds: nobody is asked anything meanwhile, the database
/// excepted.
const CHANGE_MS: Millis = 15 * 1000;
/// How often one that another process has is asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The remotes that tasks of this process have for themselves, with what stops each.
pub(crate) type Active = Mutex<HashMap<i64, CancellationToken>>;

/// A remote that nobody else changes. Ends when it is dropped.
pub(crate) struct Claim {
    deployer: Deployer,
    id: i64,
    /// Cancelled when the user stops the work.
    pub cancel: CancellationToken,
    /// Until when the turn was taken.
    until: AtomicI64,
}

/// Nobody else, in any process, reads, changes and saves a document. Ends when it is dropped.
pub(crate) struct Changing {
    deployer: Deployer,
    until: OwnedMutexGuard<Millis>,
}

impl Deployer {
    /// To be held while a document is read, changed and saved, so that no change is lost.
    ///
    /// # Errors
    /// When another process does not come to an end with it, or the database cannot be used.
    pub(crate) async fn changing(&self) -> Result<Changing, ApiError> {
        let mut until = self.change().clone().lock_owned().await;
        let waited_for =
            tokio::time::timeout(Duration::from_millis(2 * CHANGE_MS.unsigned_abs()), async {
                loop {
                    // Never the same as the last: that one's end may still be on its way.
                    let ends = (self.clock().now() + CHANGE_MS).max(*until + 1);
                    if self.store().take_turn(CHANGE, self.holder(), ends).await? {
                        *until = ends;
                        return Ok::<_, StoreError>(());
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            });
        waited_for.await.map_err(|_| elsewhere())??;
        Ok(Changing {
            deployer: self.clone(),
            until,
        })
    }

    /// Has a remote for itself.
    ///
    /// # Errors
    /// When another task or process has it, there is none of that number, or the database cannot
    /// be used.
    pub(crate) async fn claim(&self, id: i64) -> Result<(Claim, Record), ApiError> {
        // Who has found it unclaimed may be about to save it.
        let _changing = self.changing().await?;
        let cancel = CancellationToken::new();
        match self.active().lock().entry(id) {
            Entry::Occupied(_) => return Err(under_way()),
            Entry::Vacant(free) => free.insert(cancel.clone()),
        };
        let claim = Claim {
            deployer: self.clone(),
            id,
            cancel,
            until: AtomicI64::new(0),
        };
        if !claim.keep().await? {
            return Err(elsewhere());
        }
        let record = self.record(id).await?;
        Ok((claim, record))
    }

    /// The record of a remote that nobody has for itself.
    pub(crate) async fn still(&self, id: i64) -> Result<Record, ApiError> {
        if self.is_active(id) {
            return Err(under_way());
        }
        if self.claimed_elsewhere().await?.contains(&id) {
            return Err(elsewhere());
        }
        self.record(id).await
    }

    /// Whether a task of this process has it for itself.
    pub(crate) fn is_active(&self, id: i64) -> bool {
        self.active().lock().contains_key(&id)
    }

    /// The remotes that other processes have for themselves.
    pub(crate) async fn claimed_elsewhere(&self) -> Result<Vec<i64>, StoreError> {
        let turns = self.store().turns(TURNS).await?;
        let of_others = turns.iter().filter(|turn| turn.holder != self.holder());
        let number = |name: &str| name.strip_prefix(TURNS)?.parse().ok();
        Ok(of_others.filter_map(|turn| number(&turn.name)).collect())
    }
}

fn under_way() -> ApiError {
    ApiError::new(
        ErrorCode::Busy,
        "A run of it is under way. Wait for its end, or stop it first.",
    )
}

pub(crate) fn elsewhere() -> ApiError {
    ApiError::new(
        ErrorCode::Busy,
        "Another process of this program is working on it, or has ended in the middle of that. \
         Wait for it, or try again in a minute.",
    )
}

impl Claim {
    fn turn(&self) -> String {
        format!("{TURNS}{}", self.id)
    }

    /// Takes the turn, again; false when another process has it.
    pub async fn keep(&self) -> Result<bool, StoreError> {
        let until = self.deployer.clock().now().saturating_add(TURN_MS);
        let store = self.deployer.store();
        let has = store
            .take_turn(&self.turn(), self.deployer.holder(), until)
            .await?;
        if has {
            self.until.store(until, Ordering::Relaxed);
        }
        Ok(has)
    }

    /// Does something while nobody else changes the remote. `None` when it was broken off, because
    /// another process has taken it over meanwhile: this one was suspended, or its clock set.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let kept = async {
            loop {
                // First now: what came before may have taken its time.
                match self.keep().await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        tracing::warn!(%error, "a remote's turn could not be kept; it is tried again");
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            done = work => Some(done),
            () = kept => None,
        }
    }
}

impl Claim {
    /// Gives it back to all processes at once. One that is only dropped is given back to this
    /// process at once, and to others a little later.
    pub async fn end(self) {
        let until = self.until.swap(0, Ordering::Relaxed);
        ended(&self.deployer, &self.turn(), until).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.deployer.active().lock().remove(&self.id);
        let until = self.until.load(Ordering::Relaxed);
        if until > 0 {
            end_soon(&self.deployer, self.turn(), until);
        }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        end_soon(&self.deployer, CHANGE.to_owned(), *self.until);
    }
}

fn end_soon(deployer: &Deployer, turn: String, until: Millis) {
    let host = deployer.host();
    let deployer = deployer.clone();
    let end = async move { ended(&deployer, &turn, until).await };
    host.tracker.spawn_on(end, &host.runtime);
}

async fn ended(deployer: &Deployer, turn: &str, until: Millis) {
    let (store, holder) = (deployer.store(), deployer.holder());
    if let Err(error) = store.end_turn(turn, holder, until).await {
        tracing::debug!(%error, "a turn ends by itself");
    }
}
