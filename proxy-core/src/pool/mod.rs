//! Which key now.
//!
//! The pool holds every key with what is known of it. Choosing one is a single pass over
//! the keys, starting one further each time (round robin), without a lock that is held
//! for longer than a comparison. What an attempt's end means for a key is decided by
//! [`Outcome::consequence`] and applied by [`Pool::settle`]; nothing else changes a key
//! except the user.

mod health;
mod outcome;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use contract::Millis;
use contract::admin::{Cooldown, CooldownReason, KeyState, PoolSummary};
use http::HeaderValue;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vault::Secret;

pub use health::{Health, KeyEvent};
pub use outcome::{Consequence, KeyEffect, Outcome, Retry};

use crate::clock::Clock;

/// How long a key rests for a model after a 429 that says neither which limit nor how long.
const UNEXPLAINED_REST: Duration = Duration::from_secs(60);
/// How long a key rests for a model when a per-minute limit came without `RetryInfo`.
const MINUTE_REST: Duration = Duration::from_secs(60);
/// How long a key is not asked for a model that is not part of its tier.
const TIER_REST: Duration = Duration::from_secs(24 * 60 * 60);
/// The time zone whose midnight starts a new day of quota
/// (<https://ai.google.dev/gemini-api/docs/rate-limits>: "resets at midnight Pacific time").
const QUOTA_ZONE: &str = "America/Los_Angeles";
/// The most models of one key that are remembered as asked for.
const MOST_ASKED: usize = 64;

/// The keys and what is known of each.
pub struct Pool {
    keys: ArcSwap<Vec<Arc<Key>>>,
    next: AtomicUsize,
    clock: Clock,
    changed: Box<dyn Fn(i64, SavedKeyState) + Send + Sync>,
}

/// A key on its way into the pool.
#[derive(Debug)]
pub struct NewKey {
    /// Its number in the store.
    pub id: i64,
    /// The key itself.
    pub secret: Secret,
    /// Whether the user wants it used.
    pub enabled: bool,
    /// What was known of it when the process last ran.
    pub saved: Option<SavedKeyState>,
}

/// What is kept of a key's state over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedKeyState {
    /// What is known of the key itself.
    pub health: Health,
    /// The models it must not be asked for.
    #[serde(default)]
    pub cooldowns: Vec<Cooldown>,
    /// What Google said when it last failed, scrubbed.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// What to show of a key.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// Its state now.
    pub state: KeyState,
    /// The models it must not be asked for now.
    pub cooldowns: Vec<Cooldown>,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
    /// What Google said when it last failed, scrubbed.
    pub last_error: Option<String>,
}

/// A key that was chosen for an attempt.
#[derive(Clone)]
pub struct Picked(Arc<Key>);

/// Why no key can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no key at all.
    NoKeys,
    /// Every key is switched off or refused by Google.
    NoneUsable,
    /// Every usable key rests; the first is back at this time.
    Resting {
        /// When to try again.
        until: Millis,
        /// Which limit the one that is back first has met.
        reason: CooldownReason,
    },
    /// Every key was tried for this request already.
    AllTried,
}

struct Key {
    id: i64,
    secret: Secret,
    header: HeaderValue,
    masked: String,
    /// [`Health::is_usable`] of `knowledge`, readable without its lock.
    usable: AtomicBool,
    last_used_at: AtomicI64,
    /// How many models are in `knowledge.cooldowns`, readable without its lock.
    cooldowns: AtomicUsize,
    knowledge: Mutex<Knowledge>,
}

impl Key {
    /// `None` for one that no header can hold.
    fn new(new: NewKey) -> Option<Self> {
        let Ok(mut header) = HeaderValue::from_str(new.secret.expose()) else {
            // The import refuses such characters, so this is a key of a damaged row.
            tracing::warn!(
                id = new.id,
                "a key has characters no header can hold; it is left out"
            );
            return None;
        };
        header.set_sensitive(true);
        let saved = new.saved.unwrap_or_default();
        let mut health = saved.health;
        health = match (new.enabled, health) {
            (false, _) => Health::Disabled,
            (true, Health::Disabled) => Health::Unchecked,
            (true, other) => other,
        };
        let key = Self {
            id: new.id,
            masked: new.secret.masked(),
            secret: new.secret,
            header,
            usable: AtomicBool::new(true),
            last_used_at: AtomicI64::new(0),
            cooldowns: AtomicUsize::new(0),
            knowledge: Mutex::new(Knowledge {
                health,
                asked: saved
                    .cooldowns
                    .iter()
                    .map(|rest| rest.model.as_str().into())
                    .collect(),
                cooldowns: saved
                    .cooldowns
                    .into_iter()
                    .map(|rest| (rest.model.into(), (rest.until, rest.reason)))
                    .collect(),
                last_error: saved.last_error,
            }),
        };
        key.publish(&key.knowledge.lock());
        Some(key)
    }
}

#[derive(Default)]
struct Knowledge {
    health: Health,
    cooldowns: HashMap<Box<str>, (Millis, CooldownReason)>,
    /// The models it was asked for since start (and those it rested for before). When it
    /// rests for all of them, it is of no use now, and is shown so.
    asked: HashSet<Box<str>>,
    last_error: Option<String>,
}

impl Picked {
    /// Its number in the store.
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// The value of `x-goog-api-key`, marked as sensitive.
    pub fn header(&self) -> HeaderValue {
        self.0.header.clone()
    }

    /// How to show it.
    pub fn masked(&self) -> &str {
        &self.0.masked
    }

    /// The key itself, to scrub what Google says by.
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }
}

impl Pool {
    /// An empty pool. `changed` is told what to keep of a key over a restart; it must not block.
    pub fn new(clock: Clock, changed: impl Fn(i64, SavedKeyState) + Send + Sync + 'static) -> Self {
        Self {
            keys: ArcSwap::default(),
            next: AtomicUsize::new(0),
            clock,
            changed: Box::new(changed),
        }
    }

    /// The next key that can be asked for `model` now and is not in `tried`.
    ///
    /// # Errors
    /// When there is none; says why and until when.
    pub fn pick(&self, model: &str, tried: &[i64]) -> Result<Picked, Unavailable> {
        let keys = self.keys.load();
        if keys.is_empty() {
            return Err(Unavailable::NoKeys);
        }
        let now = self.clock.now();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut soonest: Option<(Millis, CooldownReason)> = None;
        let mut tried_one = false;
        for offset in 0..keys.len() {
            let key = &keys[start.wrapping_add(offset) % keys.len()];
            if !key.usable.load(Ordering::Relaxed) {
                continue;
            }
            if tried.contains(&key.id) {
                tried_one = true;
                continue;
            }
            match key.rests_until(model, now) {
                None => {
                    key.last_used_at.store(now, Ordering::Relaxed);
                    return Ok(Picked(key.clone()));
                }
                Some(rest) if soonest.is_none_or(|soonest| rest.0 < soonest.0) => {
                    soonest = Some(rest);
                }
                Some(_) => {}
            }
        }
        Err(match soonest {
            Some((until, reason)) => Unavailable::Resting { until, reason },
            None if tried_one => Unavailable::AllTried,
            None => Unavailable::NoneUsable,
        })
    }

    /// Chooses a certain key whatever is known of it, to check it.
    pub fn pick_by_id(&self, id: i64) -> Option<Picked> {
        self.find(id).map(Picked)
    }

    /// The number of the key where everything of `seed` is to be: always the same as long as that
    /// key is usable, and of all other seeds as few as can be move when a key comes or goes
    /// (rendezvous hashing). `None` when no key is usable that `may`.
    pub fn home(&self, seed: u64, may: impl Fn(i64) -> bool) -> Option<i64> {
        /// The finaliser of SplitMix64, which mixes all bits.
        fn mixed(mut x: u64) -> u64 {
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        }
        let keys = self.keys.load();
        let usable = keys.iter().filter(|key| key.usable.load(Ordering::Relaxed));
        let rank = |id: i64| mixed(seed ^ mixed(id.cast_unsigned().wrapping_add(1)));
        let ids = usable.map(|key| key.id).filter(|id| may(*id));
        ids.max_by_key(|id| (rank(*id), *id))
    }

    /// Applies the end of an attempt with `picked` for `model`. `said` is what Google
    /// said when it was not good, scrubbed.
    pub fn settle(&self, picked: &Picked, model: &str, outcome: Outcome, said: Option<&str>) {
        let key = &picked.0;
        match outcome.consequence().key {
            KeyEffect::None => {}
            // It forgets no cooldown: this answer may have been under way since before.
            KeyEffect::Good => {
                let mut knowledge = key.knowledge.lock();
                knowledge.remember(model);
                if knowledge.health == Health::Unchecked {
                    drop(knowledge);
                    self.change(key, |knowledge| {
                        knowledge.health = knowledge.health.after(KeyEvent::Succeeded);
                    });
                }
            }
            KeyEffect::Reject(reason) => self.change(key, |knowledge| {
                knowledge.health = knowledge.health.after(KeyEvent::Refused(reason));
                knowledge.last_error = said.map(str::to_owned);
            }),
            KeyEffect::RestForModel(reason, asked) => {
                let until = self.rest_until(reason, asked);
                self.change(key, |knowledge| {
                    knowledge.remember(model);
                    knowledge.cooldowns.insert(model.into(), (until, reason));
                    knowledge.last_error = said.map(str::to_owned);
                });
            }
        }
    }

    /// Forgets that Google refused a key, because a check went well. A key that the user
    /// switched off stays off.
    pub fn forgive(&self, picked: &Picked) {
        self.change(&picked.0, |knowledge| {
            if let Health::Rejected(_) = knowledge.health {
                knowledge.health = knowledge.health.after(KeyEvent::SwitchedOn);
            }
            knowledge.last_error = None;
        });
    }

    /// Adds a key, or replaces the one with the same id.
    pub fn insert(&self, new: NewKey) {
        let Some(key) = Key::new(new).map(Arc::new) else {
            return;
        };
        self.keys.rcu(|keys| {
            let mut keys: Vec<_> = keys
                .iter()
                .filter(|old| old.id != key.id)
                .cloned()
                .collect();
            keys.push(key.clone());
            keys
        });
    }

    /// Has exactly these keys from now on. One that is there already stays as it is, but for
    /// being switched on or off; one that has another number now keeps what is known of it.
    pub fn replace(&self, new: impl IntoIterator<Item = NewKey>) {
        let now = self.clock.now();
        let old = self.keys.load_full();
        let by_secret: HashMap<&str, &Arc<Key>> = old
            .iter()
            .map(|key| (key.secret.expose().as_str(), key))
            .collect();
        let mut switched = Vec::new();
        let keys: Vec<Arc<Key>> = new
            .into_iter()
            .filter_map(|mut new| {
                let (id, enabled) = (new.id, new.enabled);
                let known = by_secret.get(new.secret.expose().as_str());
                if let Some(known) = known {
                    let knowledge = known.knowledge.lock();
                    if (knowledge.health == Health::Disabled) == enabled {
                        switched.push((id, enabled));
                    }
                    if known.id == id {
                        drop(knowledge);
                        return Some(Arc::clone(known));
                    }
                    new.saved = Some(knowledge.saved_at(now));
                }
                Key::new(new).map(Arc::new)
            })
            .collect();
        self.keys.store(Arc::new(keys));
        for (id, enabled) in switched {
            self.set_enabled(id, enabled);
        }
    }

    /// What is to be kept of a key over a restart.
    pub fn saved(&self, id: i64) -> Option<SavedKeyState> {
        self.find(id)
            .map(|key| key.knowledge.lock().saved_at(self.clock.now()))
    }

    /// Takes a key out. Attempts that run with it end as they would.
    pub fn remove(&self, id: i64) {
        self.keys.rcu(|keys| {
            keys.iter()
                .filter(|key| key.id != id)
                .cloned()
                .collect::<Vec<_>>()
        });
    }

    /// Switches a key on, which forgets cooldowns and a refusal, or off.
    pub fn set_enabled(&self, id: i64, enabled: bool) {
        let Some(key) = self.find(id) else { return };
        self.change(&key, |knowledge| {
            if enabled {
                knowledge.health = knowledge.health.after(KeyEvent::SwitchedOn);
                knowledge.cooldowns.clear();
                knowledge.last_error = None;
            } else {
                knowledge.health = knowledge.health.after(KeyEvent::SwitchedOff);
            }
        });
    }

    /// What to show of a key.
    pub fn status(&self, id: i64) -> Option<KeyStatus> {
        let key = self.find(id)?;
        let now = self.clock.now();
        let knowledge = key.knowledge.lock();
        let last_used_at = key.last_used_at.load(Ordering::Relaxed);
        Some(KeyStatus {
            state: knowledge.seen_at(now),
            cooldowns: knowledge.cooldowns_at(now),
            last_used_at: (last_used_at > 0).then_some(last_used_at),
            last_error: knowledge.last_error.clone(),
        })
    }

    /// How many keys are in which state.
    pub fn summary(&self) -> PoolSummary {
        let now = self.clock.now();
        let mut summary = PoolSummary::default();
        let mut soonest: Option<Millis> = None;
        for key in self.keys.load().iter() {
            summary.total += 1;
            match key.knowledge.lock().seen_at(now) {
                KeyState::Unchecked | KeyState::Ready => summary.ready += 1,
                KeyState::Cooling { until } => {
                    summary.cooling += 1;
                    soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
                }
                KeyState::Rejected { .. } => summary.rejected += 1,
                KeyState::Disabled => summary.disabled += 1,
            }
        }
        summary.next_ready_at = soonest.filter(|_| summary.ready == 0);
        summary
    }

    /// How many pairs of a key and a model rest now.
    pub fn cooldowns(&self) -> usize {
        let now = self.clock.now();
        let keys = self.keys.load();
        keys.iter()
            .map(|key| key.knowledge.lock().cooldowns_at(now).len())
            .sum()
    }

    fn find(&self, id: i64) -> Option<Arc<Key>> {
        self.keys.load().iter().find(|key| key.id == id).cloned()
    }

    fn change(&self, key: &Key, edit: impl FnOnce(&mut Knowledge)) {
        let saved = {
            let mut knowledge = key.knowledge.lock();
            edit(&mut knowledge);
            let now = self.clock.now();
            knowledge.cooldowns.retain(|_, (until, _)| *until > now);
            key.publish(&knowledge);
            knowledge.saved_at(now)
        };
        (self.changed)(key.id, saved);
    }

    fn rest_until(&self, reason: CooldownReason, asked: Option<Duration>) -> Millis {
        let now = self.clock.now();
        let after = |duration: Duration| {
            now.saturating_add(duration.as_millis().try_into().unwrap_or(Millis::MAX))
        };
        match reason {
            // Google sends a short RetryInfo with daily quotas too; it is not true there.
            CooldownReason::PerDay => next_quota_day(now).unwrap_or_else(|| after(TIER_REST)),
            CooldownReason::NotInTier => after(TIER_REST),
            CooldownReason::PerMinute => after(asked.unwrap_or(MINUTE_REST)),
            CooldownReason::Unexplained => after(asked.unwrap_or(UNEXPLAINED_REST)),
        }
    }
}

/// The next midnight in [`QUOTA_ZONE`] after `now`.
fn next_quota_day(now: Millis) -> Option<Millis> {
    let zone = jiff::tz::TimeZone::get(QUOTA_ZONE).ok()?;
    let today = jiff::Timestamp::from_millisecond(now).ok()?.to_zoned(zone);
    let tomorrow = today.tomorrow().ok()?.start_of_day().ok()?;
    Some(tomorrow.timestamp().as_millisecond())
}

impl Key {
    /// Until when `model` must not be asked with this key, and which limit is in the way.
    fn rests_until(&self, model: &str, now: Millis) -> Option<(Millis, CooldownReason)> {
        if self.cooldowns.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let rest = self.knowledge.lock().cooldowns.get(model).copied();
        rest.filter(|(until, _)| *until > now)
    }

    fn publish(&self, knowledge: &Knowledge) {
        self.usable
            .store(knowledge.health.is_usable(), Ordering::Relaxed);
        self.cooldowns
            .store(knowledge.cooldowns.len(), Ordering::Relaxed);
    }
}

impl Knowledge {
    fn remember(&mut self, model: &str) {
        if self.asked.len() < MOST_ASKED && !self.asked.contains(model) {
            self.asked.insert(model.into());
        }
    }

    /// What to show at `now`.
    fn seen_at(&self, now: Millis) -> KeyState {
        match self.health {
            Health::Rejected(reason) => KeyState::Rejected { reason },
            Health::Disabled => KeyState::Disabled,
            Health::Unchecked | Health::Ready => {
                let rests = self.asked.iter().map(|model| {
                    let (until, _) = self.cooldowns.get(model)?;
                    (*until > now).then_some(*until)
                });
                let rests: Option<Vec<Millis>> = rests.collect();
                match (rests.and_then(|rests| rests.into_iter().min()), self.health) {
                    (Some(until), _) => KeyState::Cooling { until },
                    (None, Health::Unchecked) => KeyState::Unchecked,
                    (None, _) => KeyState::Ready,
                }
            }
        }
    }

    /// What is to be kept of it over a restart.
    fn saved_at(&self, now: Millis) -> SavedKeyState {
        SavedKeyState {
            health: self.health,
            cooldowns: self.cooldowns_at(now),
            last_error: self.last_error.clone(),
        }
    }

    fn cooldowns_at(&self, now: Millis) -> Vec<Cooldown> {
        let mut cooldowns: Vec<_> = self
            .cooldowns
            .iter()
            .filter(|(_, (until, _))| *until > now)
            .map(|(model, &(until, reason))| Cooldown {
                model: model.to_string(),
                until,
                reason,
            })
            .collect();
        cooldowns.sort_by(|a, b| a.model.cmp(&b.model));
        cooldowns
    }
}

#[cfg(test)]
mod tests;
