use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use contract::Millis;
use contract::admin::EgressHealth;
use parking_lot::Mutex;

/// How calls by a way ended last. A call that comes back costs no lock.
#[derive(Default)]
pub(super) struct Health {
    ok_at: AtomicI64,
    failed_at: AtomicI64,
    /// The last call did not come back.
    fails: AtomicBool,
    error: Mutex<Option<String>>,
}

impl Health {
    pub(super) fn noted(&self, now: Millis, came_back: Result<(), &str>) {
        match came_back {
            Ok(()) => {
                self.ok_at.store(now, Ordering::Relaxed);
                self.fails.store(false, Ordering::Relaxed);
            }
            Err(why) => {
                self.failed_at.store(now, Ordering::Relaxed);
                *self.error.lock() = Some(why.to_owned());
                self.fails.store(true, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn view(&self) -> EgressHealth {
        let at = |at: &AtomicI64| Some(at.load(Ordering::Relaxed)).filter(|at| *at > 0);
        let fails = self.fails.load(Ordering::Relaxed);
        EgressHealth {
            ok_at: at(&self.ok_at),
            failed_at: at(&self.failed_at),
            error: fails.then(|| self.error.lock().clone()).flatten(),
        }
    }
}
