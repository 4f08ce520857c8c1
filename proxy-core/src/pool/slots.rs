//! The projects of one model, in the order in which they are asked.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use contract::Millis;
use contract::admin::Tier;

use super::lane::{Lane, Trouble, Want};
use super::roster::{Key, Project, Roster};
use super::wait::Waiter;
use super::window::{Caps, Moment, Opening, SavedWindow, Used, Window};
use super::{Strategy, Unavailable};

/// What a turn is divided by a weight of.
const STRIDE: u64 = 1 << 20;
/// What a project counts as that has an unknown number of requests left today: hundreds.
const PLENTY: u32 = 8;

#[derive(Default)]
pub(super) struct LaneState {
    /// The roster that `slots` belong to.
    pub(super) roster: Arc<Roster>,
    /// The limits that the user has set for this model.
    caps: Caps,
    strategy: Strategy,
    /// One for each project of the roster.
    pub(super) slots: Vec<Slot>,
    /// Those that can be asked, in the order in which they are.
    ready: BTreeSet<(Order, u32)>,
    /// Those that cannot, by when they can; also entries that hold no more.
    waking: BinaryHeap<Reverse<(Millis, u32)>>,
    turn: u64,
    numbers: u64,
    pub(super) trouble: Trouble,
    pub(super) queue: VecDeque<Waiter>,
}

/// The free ones first, then those that have much left today, then by turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Order(u8, Reverse<u32>, u64);

/// One project.
#[derive(Clone, Default)]
pub(super) struct Slot {
    pub(super) window: Window,
    place: Place,
    turn: u64,
    /// The number of the trial that is under way.
    pub(super) trial: Option<u64>,
    next_key: usize,
    /// It has changed since it was last kept.
    pub(super) changed: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// In neither: no usable key, or a trial is under way.
    #[default]
    Out,
    Ready(Order),
    Waking(Millis),
}

/// What of a project cannot be asked.
enum Chosen {
    Key(Arc<Key>),
    /// Its keys were tried, and may be again if there is no other.
    RatherNot(Arc<Key>),
    /// Its keys have as many calls under way as the settings allow.
    Busy,
    /// Its keys were tried.
    Tried,
    /// It has no usable key for this model.
    None,
}

/// Why nothing was chosen.
pub(super) struct Closed {
    pub(super) why: Unavailable,
    /// Something smaller may fit.
    pub(super) by_size: bool,
}

impl Closed {
    pub(super) fn for_all(why: Unavailable) -> Self {
        Self {
            why,
            by_size: false,
        }
    }
}

impl LaneState {
    /// Takes over another roster: what a project has used follows its keys.
    pub(super) fn adopt(&mut self, lane: &Lane, roster: &Arc<Roster>, at: Moment) {
        let old = std::mem::replace(&mut self.roster, roster.clone());
        let before = std::mem::take(&mut self.slots);
        let rules = lane.shared.rules.load();
        self.caps = rules.caps_of(&lane.model);
        self.strategy = rules.strategy;
        self.ready.clear();
        self.waking.clear();
        for project in &roster.projects {
            let mut slot = Slot::default();
            let mut places: Vec<u32> = project
                .keys
                .iter()
                .filter_map(|key| old.project_of(key.id))
                .collect();
            places.sort_unstable();
            places.dedup();
            for known in places
                .iter()
                .filter_map(|place| before.get(*place as usize))
            {
                slot.window.merge(known.window.clone());
                slot.turn = slot.turn.max(known.turn);
                slot.changed |= known.changed || places.len() > 1;
            }
            // One that was tried with keys that are elsewhere now would never be known to end.
            if let [place] = *places {
                let ids = |project: &Project| -> Vec<i64> {
                    project.keys.iter().map(|key| key.id).collect()
                };
                let was = old.projects.get(place as usize);
                let is_same = was.is_some_and(|was| ids(was) == ids(project));
                let known = before.get(place as usize).filter(|_| is_same);
                slot.trial = known.and_then(|known| known.trial);
            }
            for key in &project.keys {
                for saved in key.take_saved(&lane.model) {
                    slot.window.merge(Window::restored(saved));
                }
            }
            self.slots.push(slot);
        }
        for place in 0..self.slots.len() {
            self.put(u32::try_from(place).unwrap_or(u32::MAX), at);
        }
    }

    /// Moves those whose time has come.
    pub(super) fn wake(&mut self, at: Moment) {
        while let Some(Reverse((until, place))) = self.waking.peek().copied() {
            let holds = self.is_waking(place, until);
            if holds && until > at.now {
                return;
            }
            self.waking.pop();
            if holds {
                self.put(place, at);
            }
        }
    }

    fn is_waking(&self, place: u32, until: Millis) -> bool {
        let slot = self.slots.get(place as usize);
        slot.is_some_and(|slot| slot.place == Place::Waking(until))
    }

    /// Puts a project where it belongs now.
    pub(super) fn put(&mut self, place: u32, at: Moment) {
        let (Some(slot), Some(project)) = (
            self.slots.get_mut(place as usize),
            self.roster.projects.get(place as usize),
        ) else {
            return;
        };
        let before = slot.place;
        let opening = slot.window.opening(at, &self.caps, 0);
        // Who has little left is kept for when many are needed at once. Halves are told apart,
        // not single requests, so that a key that has rested is not asked all at once.
        let (plenty, turn) = match self.strategy {
            Strategy::Drain => (0, 0),
            Strategy::Spread => {
                let left = slot.window.left_today(at, &self.caps);
                (left.map_or(PLENTY, |left| left.max(1).ilog2()), slot.turn)
            }
            Strategy::Weighted => (0, slot.turn),
        };
        let tier = u8::from(project.tier == Tier::Paid);
        slot.place = match slot.trial.is_some() {
            true => Place::Out,
            false if opening.until > at.now => Place::Waking(opening.until),
            false => Place::Ready(Order(tier, Reverse(plenty), turn)),
        };
        if slot.place == before {
            return;
        }
        if let Place::Ready(order) = before {
            self.ready.remove(&(order, place));
        }
        match slot.place {
            Place::Ready(order) => {
                self.ready.insert((order, place));
            }
            Place::Waking(until) => self.waking.push(Reverse((until, place))),
            Place::Out => {}
        }
    }

    /// The project and the key for `want`.
    pub(super) fn find(
        &mut self,
        lane: &Lane,
        at: Moment,
        want: &Want<'_>,
    ) -> Result<(u32, Arc<Key>), Closed> {
        let most_running = lane.shared.rules.load().key_concurrency;
        let roster = self.roster.clone();
        let mut soonest: Option<Opening> = None;
        let (mut busy, mut tried) = (false, false);
        let mut spare = None;
        let mut out = Vec::new();
        let preferred = want.prefer.and_then(|prefer| {
            let place = roster.project_of(prefer.key)?;
            let Place::Ready(Order(tier, ..)) = self.slots.get(place as usize)?.place else {
                return None;
            };
            // What is free goes before what is cached.
            let (Order(first, ..), _) = self.ready.first()?;
            let is_paid = tier > 0 && tier == *first;
            (prefer.strongly || is_paid).then_some(place)
        });
        let in_turn = self.ready.iter().map(|(_, place)| *place);
        for place in preferred.into_iter().chain(in_turn) {
            let (Some(slot), Some(project)) = (
                self.slots.get_mut(place as usize),
                roster.projects.get(place as usize),
            ) else {
                continue;
            };
            let opening = slot.window.opening(at, &self.caps, want.tokens);
            if opening.until > at.now {
                soonest = earlier(soonest, opening);
                continue;
            }
            match slot.key_for(project, want, most_running) {
                Chosen::Key(key) => {
                    spare = Some((place, key));
                    break;
                }
                Chosen::RatherNot(key) if spare.is_none() => spare = Some((place, key)),
                Chosen::RatherNot(_) => {}
                Chosen::Busy => busy = true,
                Chosen::Tried => tried = true,
                Chosen::None => out.push(place),
            }
        }
        for place in out {
            if let Some(slot) = self.slots.get_mut(place as usize)
                && let Place::Ready(order) = slot.place
            {
                slot.place = Place::Out;
                self.ready.remove(&(order, place));
            }
        }
        if let Some(found) = spare {
            return Ok(found);
        }
        let by_size = soonest.is_some();
        // What is in the heap is closed for all; nothing there holds no more, see `wake`.
        if let Some(Reverse((_, place))) = self.waking.peek()
            && let Some(slot) = self.slots.get_mut(*place as usize)
        {
            soonest = earlier(soonest, slot.window.opening(at, &self.caps, want.tokens));
        }
        let on_trial = || self.slots.iter().any(|slot| slot.trial.is_some());
        let why = match soonest {
            _ if roster.keys.is_empty() => Unavailable::NoKeys,
            // What is under way ends sooner than most windows open.
            _ if busy || on_trial() => Unavailable::Busy,
            Some(Opening { until, reason }) => Unavailable::Resting { until, reason },
            None if tried => Unavailable::AllTried,
            None if roster.keys.iter().any(|key| key.is_usable()) => Unavailable::NoneAllowed,
            None => Unavailable::NoneUsable,
        };
        Err(Closed { why, by_size })
    }

    /// Counts a request for a project.
    pub(super) fn take(&mut self, place: u32, at: Moment, tokens: u64) -> u64 {
        self.numbers += 1;
        let weight = self
            .roster
            .projects
            .get(place as usize)
            .map_or(1, |project| u64::from(project.weight.max(1)));
        if let Some(slot) = self.slots.get_mut(place as usize) {
            match self.strategy {
                Strategy::Spread | Strategy::Drain => {
                    self.turn += 1;
                    slot.turn = self.turn;
                }
                // One that was not there for a while has no arrears.
                Strategy::Weighted => {
                    self.turn = self.turn.max(slot.turn);
                    slot.turn = self.turn + STRIDE / weight;
                }
            }
            slot.window.send(at, self.numbers, tokens);
            slot.trial = slot.window.is_on_trial().then_some(self.numbers);
            slot.changed = true;
        }
        self.put(place, at);
        self.numbers
    }

    /// What is known of a key's project.
    pub(super) fn window_of(&mut self, key: i64) -> Option<(&mut Window, &Caps)> {
        let place = self.roster.project_of(key)?;
        let slot = self.slots.get_mut(place as usize)?;
        Some((&mut slot.window, &self.caps))
    }

    /// Forgets what was held against a key's project.
    pub(super) fn forgive(&mut self, key: i64, at: Moment) {
        if let Some((window, _)) = self.window_of(key) {
            window.forgive();
        }
        if let Some(place) = self.roster.project_of(key) {
            if let Some(slot) = self.slots.get_mut(place as usize) {
                slot.changed = true;
                slot.trial = None;
            }
            self.put(place, at);
        }
    }

    /// Calls `see` with each project, its opening, whether it was asked today, and its use.
    pub(super) fn look_at_all(
        &mut self,
        at: Moment,
        mut see: impl FnMut(usize, Opening, bool, Used),
    ) {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            let opening = slot.window.opening(at, &self.caps, 0);
            let used = slot.window.used(at, &self.caps);
            see(place, opening, slot.window.was_asked(), used);
        }
    }

    /// The first keys of the projects that have changed since this was last asked.
    pub(super) fn take_changed(&mut self, into: &mut BTreeSet<i64>) {
        for (slot, project) in self.slots.iter_mut().zip(&self.roster.projects) {
            if std::mem::take(&mut slot.changed)
                && let Some(key) = project.keys.first()
            {
                into.insert(key.id);
            }
        }
    }

    /// What is to be kept with this key: that of its project, with the first of its keys.
    pub(super) fn saved(&self, key: i64, model: &str) -> Option<SavedWindow> {
        let place = self.roster.project_of(key)? as usize;
        let first = self.roster.projects.get(place)?.keys.first()?;
        let slot = self.slots.get(place).filter(|_| first.id == key)?;
        slot.window.saved(model)
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_blank(&self) -> bool {
        self.queue.is_empty() && self.slots.iter().all(|slot| slot.window.is_blank())
    }
}

impl Slot {
    /// Notes that a request has ended, however.
    pub(super) fn ended(&mut self, number: u64) {
        self.trial = self.trial.filter(|trial| *trial != number);
    }

    /// The next of the project's keys that can be asked.
    fn key_for(&mut self, project: &Project, want: &Want<'_>, most_running: u32) -> Chosen {
        let mut worst = Chosen::None;
        let keys = &project.keys;
        for offset in 0..keys.len() {
            let at = (self.next_key + offset) % keys.len();
            let Some(key) = keys.get(at) else { continue };
            if !key.is_usable() || !key.may_be_asked_for(want.model) {
                continue;
            }
            if want.never.contains(&key.id) {
                if let Chosen::None = worst {
                    worst = Chosen::Tried;
                }
            } else if most_running > 0 && key.running.load(Ordering::Relaxed) >= most_running {
                if !matches!(worst, Chosen::RatherNot(_)) {
                    worst = Chosen::Busy;
                }
            } else if want.rather_not.contains(&key.id) {
                worst = Chosen::RatherNot(key.clone());
            } else {
                self.next_key = at + 1;
                return Chosen::Key(key.clone());
            }
        }
        worst
    }
}

fn earlier(soonest: Option<Opening>, opening: Opening) -> Option<Opening> {
    match soonest {
        Some(soonest) if soonest.until <= opening.until => Some(soonest),
        _ => Some(opening),
    }
}
