mod choice;
mod health;
mod kept;
mod waiting;
mod windows;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contract::admin::{CooldownReason, KeyRules, KeyState, RejectReason, Tier};
use parking_lot::Mutex;
use vault::Secret;

use super::*;

/// 2026-11-22T12:00:00Z, 04:00 in California.
const NOON: Millis = 1_795_348_800_000;
/// The next midnight there.
const MIDNIGHT: Millis = NOON + 20 * 3_600_000;

/// A pool whose time is moved by hand, and what it has asked to be kept.
pub(super) struct Made {
    pub(super) pool: Pool,
    time: Arc<AtomicI64>,
    kept: Arc<Mutex<HashMap<i64, SavedKeyState>>>,
}

impl Made {
    fn empty_at(now: Millis) -> Self {
        let time = Arc::new(AtomicI64::new(now));
        let kept = Arc::new(Mutex::new(HashMap::new()));
        let (shown, keeps) = (time.clone(), kept.clone());
        let clock = Clock::new(move || shown.load(Ordering::Relaxed));
        let pool = Pool::new(clock, Dice::seeded(7), move |id, state| {
            keeps.lock().insert(id, state);
        });
        Self { pool, time, kept }
    }

    pub(super) fn with(rules: impl IntoIterator<Item = KeyRules>) -> Self {
        let made = Self::empty_at(NOON);
        let keys = rules.into_iter().zip(0..);
        made.pool
            .insert(keys.map(|(rules, id)| new_key(id, rules, None)));
        made
    }

    fn insert(&self, id: i64, rules: KeyRules, saved: Option<SavedKeyState>) {
        self.pool.insert([new_key(id, rules, saved)]);
    }

    pub(super) fn at(&self, now: Millis) {
        self.time.store(now, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Millis {
        self.time.load(Ordering::Relaxed)
    }

    /// Picks for `model` and says that the call left.
    fn pick(&self, model: &str) -> Result<Picked, Unavailable> {
        self.pick_sized(model, 0)
    }

    pub(super) fn pick_sized(&self, model: &str, tokens: u64) -> Result<Picked, Unavailable> {
        let picked = self.pool.pick(&want(model, tokens))?;
        picked.sent();
        Ok(picked)
    }

    pub(super) fn settle(&self, picked: &Picked, outcome: Outcome) -> Settled {
        self.pool.settle(picked, outcome, Some("said"), None)
    }

    /// Calls `model` so often, each time with success, and gives the keys.
    fn answered(&self, model: &str, count: usize) -> Vec<i64> {
        (0..count)
            .map(|_| {
                let picked = self.pick(model).unwrap();
                self.settle(&picked, Outcome::Answered);
                picked.id()
            })
            .collect()
    }

    /// Restarts with what was kept.
    pub(super) fn restarted(&self, rules: &[KeyRules]) -> Self {
        self.pool.keep_used();
        let after = Self::empty_at(self.now());
        for (id, rules) in rules.iter().enumerate() {
            let id = id.try_into().unwrap();
            let text = serde_json::to_string(&self.pool.saved(id)).unwrap();
            after.insert(id, rules.clone(), serde_json::from_str(&text).unwrap());
        }
        after
    }
}

fn new_key(id: i64, rules: KeyRules, saved: Option<SavedKeyState>) -> NewKey {
    NewKey {
        id,
        secret: Secret::new(format!("AIzaSyTestKeyNumber{id:020}")),
        enabled: true,
        rules,
        saved,
    }
}

pub(super) fn want(model: &str, tokens: u64) -> Want<'_> {
    Want::any(model, tokens)
}

/// A place in the queue, for somebody who has all the time.
fn queued(made: &Made, want: &Want<'_>) -> Waiting {
    match made.pool.ask(want, made.now() + 100_000_000) {
        Ok(Asked::Queued(waiting)) => waiting,
        Ok(Asked::Now(picked)) => panic!("it need not wait for {}", picked.id()),
        Err(why) => panic!("it may not wait: {why:?}"),
    }
}

/// Rules with these limits for the model `m`.
fn capped(caps: Caps) -> Rules {
    Rules {
        caps: vec![("m".to_owned(), caps)],
        ..Rules::default()
    }
}

/// Rules under which one key has one call under way.
fn one_at_a_time() -> Rules {
    Rules {
        key_concurrency: 1,
        ..Rules::default()
    }
}

/// A key of the group with this name.
fn of(project: &str) -> KeyRules {
    KeyRules {
        project: Some(project.to_owned()),
        ..KeyRules::default()
    }
}

fn plain(keys: usize) -> Made {
    Made::with(vec![KeyRules::default(); keys])
}

fn quota(reason: CooldownReason, limits: Limits, retry_after: Option<Duration>) -> Outcome {
    Outcome::Quota {
        reason,
        limits,
        retry_after,
    }
}

fn over_minute(value: u32, seconds: u64) -> Outcome {
    let limits = Limits {
        rpm: Some(value),
        ..Limits::default()
    };
    let wait = Some(Duration::from_secs(seconds));
    quota(CooldownReason::PerMinute, limits, wait)
}

fn over_day(value: u32) -> Outcome {
    let limits = Limits {
        rpd: Some(value),
        ..Limits::default()
    };
    // What Google says of the time is not true with daily limits.
    let wait = Some(Duration::from_secs(38));
    quota(CooldownReason::PerDay, limits, wait)
}

/// Whether what could be asked has something under way.
fn is_busy(why: Option<Unavailable>) -> bool {
    matches!(why, Some(Unavailable::Busy { .. }))
}

fn rests_until(made: &Made, model: &str) -> Option<(Millis, CooldownReason)> {
    match made.pick(model) {
        Err(Unavailable::Resting { until, reason }) => Some((until, reason)),
        _ => None,
    }
}
