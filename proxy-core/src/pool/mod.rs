//! Which key now.
//!
//! Quota is counted by Google for each project and model, so that is what the pool counts, too:
//! a [`Window`] for each says what still fits, before anything is sent. All that
//! is known of a model is behind one lock of its own ([`lane`]), which is held for a choice and
//! never while somebody waits. What an attempt's end means is decided by
//! [`Outcome::consequence`] and applied by [`Pool::settle`]; nothing else changes a key or a
//! window except the user.
//!
//! Deliberately absent: knowing anything of HTTP, and a clock or randomness of its own.

mod adopt;
mod affinity;
mod blame;
mod day;
mod dice;
mod find;
mod health;
mod hints;
mod lane;
mod lease;
mod outcome;
mod roster;
mod shown;
mod slots;
pub mod tokens;
mod wait;
mod window;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use contract::Millis;
use contract::admin::{CooldownReason, RejectReason};
use dialect::gemini::COLLECTIONS;

pub use dice::Dice;
pub use health::{Health, KeyEvent};
pub use lane::{Judge, Prefer, Settled, Verdict, Want};
pub use lease::Picked;
pub use outcome::{
    Consequence, EgressEffect, KeyEffect, Limits, ModelEffect, Outcome, Retry, WindowEffect,
};
pub use roster::{NewKey, SavedKeyState};
pub use shown::KeyStatus;
pub use wait::{Asked, Waiting};
pub use window::{Caps, Opening, SavedWindow, Used};

use crate::clock::Clock;
use affinity::Affinity;
use blame::Blame;
use day::Day;
use lane::Lane;
use lease::Lease;
use roster::{Key, Roster};
use wait::Queues;
use window::{Moment, Window};

/// How many models are kept apart before those of which nothing is known are dropped: a name
/// that a client made up is a model, too, until Google has refused it.
const MOST_BLANK_LANES: usize = 256;
/// How many models are kept apart at all; beyond it, those asked for least lately are forgotten.
const MOST_LANES: usize = 1_024;

/// What the counting of tokens is counted as, for which Google has a quota apart from the model's.
pub(crate) const COUNT_TOKENS: &str = "countTokens";

/// The keys and what is known of each.
pub struct Pool {
    shared: Arc<Shared>,
    lanes: ArcSwap<HashMap<Box<str>, Arc<Lane>>>,
    affinity: Affinity,
    /// The end of the day on which it was last looked for what can be forgotten.
    tidied: AtomicI64,
    changed: Box<dyn Fn(i64, SavedKeyState) + Send + Sync>,
}

/// What all models' lanes share.
struct Shared {
    roster: ArcSwap<Roster>,
    rules: ArcSwap<Rules>,
    clock: Clock,
    day: Day,
    dice: Dice,
    blame: Blame,
    queues: Queues,
}

/// In which order projects are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The one that was asked longest ago.
    #[default]
    Spread,
    /// One after the other: the next when the first has nothing left.
    Drain,
    /// As often as their keys' weights say.
    Weighted,
}

/// What the settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// In which order projects are asked.
    pub strategy: Strategy,
    /// Limits by model, instead of those that Google tells; the first pattern that fits holds.
    pub caps: Vec<(String, Caps)>,
    /// How many calls one key may have under way; 0: any number.
    pub key_concurrency: u32,
    /// How many requests may wait for one model.
    pub queue: usize,
    /// Keys are bound to ways out, so that a call that fails on its way says something of its project,
    /// and not of all.
    pub has_ways: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            caps: Vec::new(),
            key_concurrency: 0,
            queue: 200,
            has_ways: false,
        }
    }
}

impl Rules {
    fn caps_of(&self, model: &str) -> Caps {
        // What is no model fits no pattern of models; whoever names it means it.
        let found = self.caps.iter().find(|(pattern, _)| match is_model(model) {
            true => fits(pattern, model),
            false => pattern == model,
        });
        found.map(|(_, caps)| *caps).unwrap_or_default()
    }
}

/// Whether what calls are counted as is a model, and not what Google keeps or counts for all of them.
pub(crate) fn is_model(counted_as: &str) -> bool {
    !(counted_as.is_empty() || counted_as == COUNT_TOKENS || COLLECTIONS.contains(&counted_as))
}

/// Whether a model fits a pattern: a name, or its beginning and `*`.
pub(crate) fn fits(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => model.starts_with(beginning),
        None => model == pattern,
    }
}

/// Why no key can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no key at all.
    NoKeys,
    /// Every key is switched off or refused by Google.
    NoneUsable,
    /// No key may be asked for this model.
    NoneAllowed,
    /// Every usable key rests; the first is back at this time.
    Resting {
        /// When to try again.
        until: Millis,
        /// Which limit the one that is back first has met.
        reason: CooldownReason,
    },
    /// Every usable key that does not rest has something under way.
    Busy {
        /// What that is.
        with: Occupied,
        /// What else opens first, if anything rests.
        opens: Option<Opening>,
    },
    /// The model is overloaded; it is left alone for a moment.
    ModelBusy {
        /// When to try again.
        until: Millis,
    },
    /// Google refuses all keys at once, so none of them is to blame.
    Outage {
        /// When to try again.
        until: Millis,
    },
    /// Every key was tried for this request already.
    AllTried,
    /// Every usable key's project has fewer input tokens a minute than this one request: Google has
    /// refused one of that size.
    TooLarge {
        /// The most that one of them has.
        limit: u64,
    },
}

/// What keeps those from a key that could be asked otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupied {
    /// As many calls as it may have.
    Calls,
    /// One call, which sees whether a limit that the key has met is over.
    Trial {
        /// When the next goes, if that one has not ended by then.
        until: Millis,
    },
    /// It is kept free for a request that waits for longer.
    Kept,
}

impl Unavailable {
    /// When that changes by itself: `None` never, `Some(None)` at a time that is not known.
    pub fn until(self) -> Option<Option<Millis>> {
        match self {
            Self::NoKeys
            | Self::NoneUsable
            | Self::NoneAllowed
            | Self::AllTried
            | Self::TooLarge { .. } => None,
            Self::Resting { until, .. } | Self::ModelBusy { until } | Self::Outage { until } => {
                Some(Some(until))
            }
            Self::Busy { .. } => Some(None),
        }
    }

    /// When another try makes sense by what is known; it may sooner when something ends.
    pub fn retry_at(self) -> Option<Millis> {
        match self {
            Self::Busy {
                with: Occupied::Trial { until },
                ..
            } => Some(until),
            other => other.until().flatten(),
        }
    }
}

impl Shared {
    fn now(&self) -> Moment {
        self.day.at(self.clock.now())
    }
}

impl Pool {
    /// An empty pool. `changed` is told what to keep of a key over a restart; it must not block.
    pub fn new(
        clock: Clock,
        dice: Dice,
        changed: impl Fn(i64, SavedKeyState) + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                roster: ArcSwap::default(),
                rules: ArcSwap::default(),
                clock,
                day: Day::default(),
                dice,
                blame: Blame::default(),
                queues: Queues::default(),
            }),
            lanes: ArcSwap::default(),
            affinity: Affinity::default(),
            tidied: AtomicI64::default(),
            changed: Box::new(changed),
        }
    }

    /// Goes by other rules from now on.
    pub fn set_rules(&self, rules: Rules) {
        if **self.shared.rules.load() != rules {
            self.shared.rules.store(Arc::new(rules));
            self.rearrange(|keys| keys);
        }
    }

    /// Chooses a key for `want` now.
    ///
    /// # Errors
    /// When none can be asked; says why and until when.
    pub fn pick(&self, want: &Want<'_>) -> Result<Picked, Unavailable> {
        match self.lane(want.lane()).ask(want, None)? {
            Asked::Now(picked) => Ok(picked),
            // Without a deadline nobody is queued.
            Asked::Queued(waiting) => Err(waiting.why()),
        }
    }

    /// Chooses a key for `want` now, or gives it a place in the queue when one is going to be
    /// free by `deadline`.
    ///
    /// # Errors
    /// When none is; says why and until when.
    pub fn ask(&self, want: &Want<'_>, deadline: Millis) -> Result<Asked, Unavailable> {
        self.lane(want.lane()).ask(want, Some(deadline))
    }

    /// Chooses a key for `want`, waiting for it until `deadline`.
    ///
    /// # Errors
    /// When none is free by then; says why and until when.
    pub async fn pick_by(&self, want: &Want<'_>, deadline: Millis) -> Result<Picked, Unavailable> {
        match self.ask(want, deadline)? {
            Asked::Now(picked) => Ok(picked),
            Asked::Queued(waiting) => waiting.until(deadline).await,
        }
    }

    /// Chooses a key for a call that is under way with another (`want.beside`) and slow, so that it
    /// may be made twice: of another project, if one can be had. Only of one that has it to
    /// spare: it can be asked now, at least half of its day is left, nothing about it is doubted,
    /// and it is not paid for where the other is free. None while anybody waits for a key of
    /// the model, or the model or Google is in trouble.
    pub fn pick_beside(&self, want: &Want<'_>) -> Option<Picked> {
        self.lane(want.lane()).choose_beside(want)
    }

    /// Why a request that has met a limit, for this reason, has to wait, and until when; for one that
    /// is not tried again.
    pub fn opens(&self, want: &Want<'_>, reason: CooldownReason) -> Unavailable {
        match self.pick(want) {
            Err(why) => why,
            // It goes back unused.
            Ok(_) => Unavailable::Resting {
                until: self.shared.clock.now(),
                reason,
            },
        }
    }

    /// Gives what has opened for a model since to those that wait; for who keeps the time
    /// himself. Gives when to call again, if anybody waits on.
    pub fn serve(&self, model: &str) -> Option<Millis> {
        self.lane(model).serve_now()
    }

    /// Whether Google refuses all keys at once, as far as is known.
    pub fn is_outage(&self) -> bool {
        self.shared.blame.is_outage()
    }

    /// Whether any project is paid for.
    pub fn is_paid(&self) -> bool {
        self.shared.roster.load().is_paid
    }

    /// The key that answered a conversation last, if that is not long ago.
    pub fn answered_before(&self, conversation: u64) -> Option<i64> {
        let now = self.shared.clock.now();
        self.affinity.find(now, conversation)
    }

    /// Notes which key has answered a conversation.
    pub fn answers(&self, conversation: u64, picked: &Picked) {
        let now = self.shared.clock.now();
        self.affinity.keep(now, conversation, picked.id());
    }

    /// Chooses a certain key whatever is known of it, to check it; nothing is counted for that.
    pub fn pick_by_id(&self, id: i64) -> Option<Picked> {
        let key = self.shared.roster.load().key(id)?.clone();
        Some(Picked::new(Lease::of_key(key)))
    }

    /// The number of the key where everything of `seed` is to be: always the same as long as that
    /// key is usable, and of all other seeds as few as can be move when a key comes or goes
    /// (rendezvous hashing). One that is meant for certain models only is it when there is no
    /// other: what is there is to be used with any. `None` when no key is usable that `may`.
    pub fn home(&self, seed: u64, may: impl Fn(i64) -> bool) -> Option<i64> {
        /// The finaliser of SplitMix64, which mixes all bits.
        fn mixed(mut x: u64) -> u64 {
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        }
        let roster = self.shared.roster.load();
        let usable = roster.keys.iter().filter(|key| key.is_usable());
        let rank = |id: i64| mixed(seed ^ mixed(id.cast_unsigned().wrapping_add(1)));
        let usable = usable.filter(|key| may(key.id));
        let ranked = usable.map(|key| (key.rules.models.is_empty(), rank(key.id), key.id));
        ranked.max().map(|(.., id)| id)
    }

    /// Applies the end of an attempt with `picked`. `said` is what Google said when it was not
    /// good, scrubbed; `project` the number of the key's project where Google told it.
    pub fn settle(
        &self,
        picked: &Picked,
        outcome: Outcome,
        said: Option<&str>,
        project: Option<&str>,
    ) -> Settled {
        let lease = picked.lease();
        let key = &lease.key;
        let first = lease.settles();
        // What Google says of a key says nothing of another that has its number by now.
        let is_exchanged = self.shared.roster.load().has_other(key);
        if let Some(project) = project.filter(|_| !is_exchanged) {
            self.belongs_to(key, project);
        }
        // Before those that wait are given what this makes free.
        let is_news = self.judge(key, outcome, lease.call.is_none());
        let settled = match &lease.call {
            Some(call) => call.lane.settle(lease, outcome, first),
            None => Settled::default(),
        };
        // A check has no window to keep it in, but what it was told is what the user wants to know.
        let is_told = matches!(outcome, Outcome::ProjectRefused { .. });
        let is_news = is_news || settled.is_news || is_told;
        if let Some(said) = said.filter(|_| is_news && outcome != Outcome::Answered) {
            key.knowledge.lock().last_error = Some(said.to_owned());
        }
        if is_news {
            self.keep(key);
        }
        if settled.is_news {
            // What is known of a project is kept with its first key.
            let roster = self.shared.roster.load();
            let place = roster.project_of(key.id).map(|place| place as usize);
            let project = place.and_then(|place| roster.projects.get(place));
            let first = project.and_then(|project| project.keys.first());
            if let Some(first) = first.filter(|first| first.id != key.id) {
                self.keep(first);
            }
        }
        settled
    }

    /// Applies what an outcome says of the key itself; true when that is to be kept. What a check
    /// says is about its key, whatever happens to others.
    fn judge(&self, key: &Arc<Key>, outcome: Outcome, is_check: bool) -> bool {
        match outcome.consequence().key {
            KeyEffect::None => false,
            KeyEffect::Good => {
                if self.shared.blame.went_well() {
                    self.shared.queues.look();
                }
                let is_new = key.knowledge.lock().health == Health::Unchecked;
                if is_new {
                    key.learn(|known| known.health = known.health.after(KeyEvent::Succeeded));
                }
                is_new
            }
            KeyEffect::Reject(_) if self.shared.roster.load().has_other(key) => false,
            KeyEffect::Reject(reason) => {
                let now = self.shared.clock.now();
                // Google has found that one in public: no outage says so.
                let is_certain = is_check || reason == RejectReason::Leaked;
                if is_certain || !self.shared.blame.prolong(now) {
                    let worked = key.knowledge.lock().health == Health::Ready;
                    key.learn(|known| known.health = known.health.after(KeyEvent::Refused(reason)));
                    if worked && !is_certain {
                        let roster = self.shared.roster.load();
                        let none_left = || !roster.keys.iter().any(|key| key.is_usable());
                        let projects = |keys: &[i64]| roster.count_projects(keys);
                        let refused = (key.id, reason);
                        let innocent = self.shared.blame.refused(now, refused, projects, none_left);
                        self.acquit(&innocent);
                    }
                }
                // Whoever waits for it in vain is to know.
                self.shared.queues.look();
                true
            }
        }
    }

    /// Forgets that Google refused a key, because a check went well. A key that the user
    /// switched off stays off.
    pub fn forgive(&self, picked: &Picked) {
        let key = &picked.lease().key;
        let is_back = key.learn(|known| {
            if let Health::Rejected(_) = known.health {
                known.health = known.health.after(KeyEvent::SwitchedOn);
            }
            known.last_error = None;
        });
        self.keep(key);
        if is_back {
            self.rearrange(|keys| keys);
        }
    }

    /// Forgets the cooldowns of these keys' projects (of all when there are none), for one model
    /// or for all. What they have used stays counted; where a limit is met that Google told, one
    /// request sees whether it still holds.
    pub fn clear_cooldowns(&self, ids: &[i64], model: Option<&str>) {
        let roster = self.shared.roster.load();
        let ids: Vec<i64> = match ids.is_empty() {
            true => roster.keys.iter().map(|key| key.id).collect(),
            false => ids.to_vec(),
        };
        self.forgive_projects(&ids, model, true);
    }

    /// Forgets the rests of these keys' projects, and the limits that they have met if `limits`.
    fn forgive_projects(&self, ids: &[i64], model: Option<&str>, limits: bool) {
        let roster = self.shared.roster.load();
        for lane in self.lanes.load().values() {
            if model.is_some_and(|model| *lane.model != *model) {
                continue;
            }
            lane.forgive(ids, limits);
        }
        for key in ids.iter().filter_map(|id| roster.key(*id)) {
            self.keep(key);
        }
    }

    /// Adds keys, or replaces those with the same ids.
    pub fn insert(&self, new: impl IntoIterator<Item = NewKey>) {
        let fresh: Vec<Arc<Key>> = new.into_iter().filter_map(Key::new).map(Arc::new).collect();
        let ids: BTreeSet<i64> = fresh.iter().map(|key| key.id).collect();
        self.rearrange(|mut keys| {
            keys.retain(|old| !ids.contains(&old.id));
            keys.extend(fresh.iter().cloned());
            keys
        });
        self.open_lanes(&fresh);
    }

    /// Puts another key in the place of the one with its number, of which nothing is taken over.
    pub fn exchange(&self, new: NewKey) {
        let id = new.id;
        let key = Key::new(NewKey { saved: None, ..new }).map(Arc::new);
        self.rearrange(|mut keys| {
            let place = keys.iter().position(|old| old.id == id);
            match (place.and_then(|place| keys.get_mut(place)), &key) {
                (Some(old), Some(key)) => *old = key.clone(),
                (None, Some(key)) => keys.push(key.clone()),
                (_, None) => keys.retain(|old| old.id != id),
            }
            keys
        });
        if let Some(key) = key {
            // Over what is on its way to be kept of the old one.
            self.keep(&key);
        }
    }

    /// Whether this key is there under its number: another may have come into its place.
    pub fn has(&self, picked: &Picked) -> bool {
        self.shared.roster.load().has(&picked.lease().key)
    }

    /// Has exactly these keys from now on. One that is there already stays as it is, but for
    /// being switched on or off; one that has another number or other rules now keeps what is
    /// known of it. Gives the numbers under which there is another key than before, of which
    /// nothing is taken over.
    pub fn replace(&self, new: impl IntoIterator<Item = NewKey>) -> Vec<i64> {
        let old = self.shared.roster.load_full();
        let by_secret: HashMap<&str, &Arc<Key>> = old
            .keys
            .iter()
            .map(|key| (key.secret.expose().as_str(), key))
            .collect();
        let (mut switched, mut exchanged) = (Vec::new(), Vec::new());
        let keys: Vec<Arc<Key>> = new
            .into_iter()
            .filter_map(|mut new| {
                let (id, enabled) = (new.id, new.enabled);
                let is_other = |old: &Arc<Key>| old.secret != new.secret;
                if old.key(id).is_some_and(is_other) {
                    exchanged.push(id);
                    // What is kept with its number may be about the old one: another server
                    // exchanged it while this one was still asking with that.
                    new.saved = None;
                }
                if let Some(known) = by_secret.get(new.secret.expose().as_str()) {
                    let is_off = known.knowledge.lock().health == Health::Disabled;
                    if is_off == enabled {
                        switched.push((id, enabled));
                    }
                    if known.id == id && known.rules == new.rules {
                        return Some(Arc::clone(known));
                    }
                    let mut saved = self.saved_of(known);
                    // What lanes know of it follows its number.
                    saved.windows.clone_from(&known.knowledge.lock().windows);
                    new.saved = Some(saved);
                    let was = Some(known.id).filter(|was| *was != id);
                    return Key::new(new).map(|key| Arc::new(key.renumbered(was)));
                }
                Key::new(new).map(Arc::new)
            })
            .collect();
        let is_same = keys.len() == old.keys.len()
            && keys.iter().zip(&old.keys).all(|(a, b)| Arc::ptr_eq(a, b));
        if !is_same {
            self.open_lanes(&keys);
            self.rearrange(move |_| keys.clone());
        }
        for (id, enabled) in switched {
            self.set_enabled(id, enabled);
        }
        exchanged
    }

    /// Takes a key out.
    pub fn remove(&self, id: i64) {
        if let Some(key) = self.find(id) {
            // It may come back.
            self.keep(&key);
        }
        self.rearrange(|mut keys| {
            keys.retain(|key| key.id != id);
            keys
        });
    }

    /// Switches a key on, which also forgives what was held against it, or off.
    pub fn set_enabled(&self, id: i64, enabled: bool) {
        let Some(key) = self.find(id) else { return };
        key.learn(|known| {
            let event = match enabled {
                true => KeyEvent::SwitchedOn,
                false => KeyEvent::SwitchedOff,
            };
            known.health = known.health.after(event);
            if enabled {
                known.last_error = None;
            }
        });
        match enabled {
            // What its project has used, and what Google said of that, is as it was.
            true => self.forgive_projects(&[id], None, false),
            false => self.keep(&key),
        }
        self.rearrange(|keys| keys);
    }

    /// What is to be kept of a key over a restart.
    pub fn saved(&self, id: i64) -> Option<SavedKeyState> {
        self.find(id).map(|key| self.saved_of(&key))
    }

    /// Tells of what was used since this was last called; refusals and rests are told at once.
    pub fn keep_used(&self) {
        let mut changed = BTreeSet::new();
        for lane in self.lanes.load().values() {
            lane.with(|state, _| state.take_changed(&mut changed));
        }
        for key in changed.into_iter().filter_map(|id| self.find(id)) {
            self.keep(&key);
        }
        let day_ends = self.shared.now().day_ends;
        if self.tidied.swap(day_ends, Ordering::Relaxed) != day_ends {
            self.lanes.rcu(|lanes| {
                let mut lanes = HashMap::clone(lanes);
                lanes.retain(|_, lane| !lane.with(|state, at| state.is_blank(at)));
                lanes
            });
        }
    }

    fn find(&self, id: i64) -> Option<Arc<Key>> {
        self.shared.roster.load().key(id).cloned()
    }

    /// The lane of a model, which is made when it is first asked for.
    fn lane(&self, model: &str) -> Arc<Lane> {
        if let Some(lane) = self.lanes.load().get(model) {
            return lane.clone();
        }
        self.lanes.rcu(|lanes| {
            let mut lanes = HashMap::clone(lanes);
            if lanes.len() >= MOST_BLANK_LANES {
                lanes.retain(|_, lane| !lane.with(|state, at| state.is_blank(at)));
            }
            if lanes.len() >= MOST_LANES {
                let asked_at = |lane: &Lane| lane.asked_at.load(Ordering::Relaxed);
                let mut asked: Vec<Millis> = lanes.values().map(|lane| asked_at(lane)).collect();
                asked.sort_unstable();
                let oldest = asked.get(MOST_LANES / 4).copied().unwrap_or_default();
                lanes.retain(|_, lane| {
                    asked_at(lane) > oldest || !lane.state.lock().queue.is_empty()
                });
            }
            lanes
                .entry(model.into())
                .or_insert_with(|| Arc::new(Lane::new(model, &self.shared)));
            lanes
        });
        match self.lanes.load().get(model) {
            Some(lane) => lane.clone(),
            // Dropped again at once, by many others that are new.
            None => Arc::new(Lane::new(model, &self.shared)),
        }
    }

    /// Opens the lanes of which something was kept that still counts.
    fn open_lanes(&self, keys: &[Arc<Key>]) {
        let at = self.shared.now();
        let models: BTreeSet<String> = keys
            .iter()
            .flat_map(|key| {
                let mut known = key.knowledge.lock();
                known.windows.retain(|saved| {
                    let mut window = Window::restored(saved.clone(), key.id);
                    !window.is_blank(at)
                });
                let models = known.windows.iter().map(|saved| saved.model.clone());
                models.collect::<Vec<_>>()
            })
            .collect();
        for model in models {
            self.lane(&model);
        }
    }

    /// Makes the roster anew, with what `edit` makes of the keys.
    fn rearrange(&self, edit: impl Fn(Vec<Arc<Key>>) -> Vec<Arc<Key>>) {
        self.shared
            .roster
            .rcu(|roster| Roster::new(roster.generation + 1, edit(roster.keys.clone())));
        self.shared.queues.look();
    }

    /// Google has told which project a key belongs to.
    fn belongs_to(&self, key: &Arc<Key>, project: &str) {
        let mut is_news = false;
        key.learn(|known| {
            is_news = known.project.as_deref() != Some(project);
            if is_news {
                known.project = Some(project.to_owned());
            }
        });
        if !is_news {
            return;
        }
        // As long as each key has a project of its own, the number alone changes nothing.
        if !self.shared.roster.load().is_alone(key.id, project) {
            self.rearrange(|keys| keys);
        }
        self.keep(key);
    }

    /// Takes back that these were refused.
    fn acquit(&self, ids: &[i64]) {
        for key in ids.iter().filter_map(|id| self.find(*id)) {
            key.learn(|known| known.health = known.health.after(KeyEvent::Acquitted));
            self.keep(&key);
        }
        if !ids.is_empty() {
            self.rearrange(|keys| keys);
        }
    }

    fn keep(&self, key: &Key) {
        if self.shared.roster.load().has_other(key) {
            return;
        }
        (self.changed)(key.id, self.saved_of(key));
        // It may have been exchanged in between, and what was kept of the new one overwritten.
        let now = self.find(key.id).filter(|now| !now.is(key));
        if let Some(now) = now {
            (self.changed)(now.id, self.saved_of(&now));
        }
    }

    fn saved_of(&self, key: &Key) -> SavedKeyState {
        let mut windows: Vec<SavedWindow> = Vec::new();
        for lane in self.lanes.load().values() {
            windows.extend(lane.with(|state, at| state.saved(key.id, &lane.model, at)));
        }
        windows.sort_by(|a, b| a.model.cmp(&b.model));
        let knowledge = key.knowledge.lock();
        windows.extend(knowledge.windows.iter().cloned());
        SavedKeyState {
            health: knowledge.health,
            cooldowns: Vec::new(),
            last_error: knowledge.last_error.clone(),
            project: knowledge.project.clone(),
            last_used_at: roster::last_used(key),
            egress: key.bound_to(),
            windows,
        }
    }
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
