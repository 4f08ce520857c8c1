//! Wakes one that sleeps.

use std::collections::HashMap;
use std::time::Duration;

use contract::ApiError;
use contract::deploy::RemoteView;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::deployer::Deployer;
use crate::instance::Silence;
use crate::provider::ProviderState;
use crate::remotes::nowhere;

/// How long one may take to wake up. Render's free plan needs up to a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// The remotes that are being woken.
pub(crate) type Waking = Mutex<HashMap<i64, Attempt>>;

/// One attempt at waking, that others wait for.
#[derive(Clone, Default)]
pub(crate) struct Attempt {
    /// Cancelled when it ends, however.
    ended: CancellationToken,
    /// Cancelled before, unless who made it has gone in the middle.
    finished: CancellationToken,
}

/// Takes an attempt off the list, however it ends.
struct Listed<'a> {
    waking: &'a Waking,
    id: i64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        if let Some(attempt) = self.waking.lock().remove(&self.id) {
            attempt.ended.cancel();
        }
    }
}

impl Deployer {
    /// Asks one that sleeps until it answers, or a minute and a half has passed, and gives how it
    /// is then. Who asks for the same remote meanwhile waits for the same answer.
    ///
    /// # Errors
    /// When it is nowhere yet, or the database cannot be used.
    pub async fn wake(&self, id: i64) -> Result<RemoteView, ApiError> {
        loop {
            let (own, attempt) = {
                let mut waking = self.waking().lock();
                match waking.get(&id) {
                    Some(attempt) => (false, attempt.clone()),
                    None => (true, waking.entry(id).or_default().clone()),
                }
            };
            if own {
                let _listed = Listed {
                    waking: self.waking(),
                    id,
                };
                let woken = Box::pin(self.wake_alone(id)).await;
                attempt.finished.cancel();
                return woken;
            }
            attempt.ended.cancelled().await;
            if attempt.finished.is_cancelled() {
                return self.remote(id).await;
            }
        }
    }

    async fn wake_alone(&self, id: i64) -> Result<RemoteView, ApiError> {
        let url = self.record(id).await?.url.ok_or_else(nowhere)?;
        self.note_waking(id).await?;
        let instances = self.instances()?;
        let until = self.clock().monotonic() + PATIENCE;
        loop {
            match instances.knock(&url).await {
                // Waiting does not help.
                Ok(())
                | Err(Silence::InItsPlace(
                    ProviderState::Suspended
                    | ProviderState::Stopped(_)
                    | ProviderState::Failing(_),
                )) => break,
                Err(_) if self.clock().monotonic() >= until => break,
                Err(_) => self.host().pause.pause(PAUSE).await,
            }
        }
        self.refresh(id).await
    }
}
