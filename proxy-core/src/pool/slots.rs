//! The projects of one model, in the order in which they are asked.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use contract::Millis;
use contract::admin::Tier;

use super::hints::Hints;
use super::lane::{Lane, Trial, Trouble};
use super::outcome::EgressEffect;
use super::roster::Roster;
use super::wait::Waiter;
use super::window::{Caps, Moment, Opening, SavedWindow, Used, Window};
use super::{Occupied, Strategy};

/// What a turn is divided by a weight of.
const STRIDE: u64 = 1 << 20;
/// How long a project is asked after all others when a call with it failed on its way: at first, and
/// at most.
const ASKED_LAST_MS: (Millis, Millis) = (10_000, 5 * 60_000);
/// What a project counts as that has an unknown number of requests left today: hundreds.
const PLENTY: u32 = 8;

#[derive(Default)]
pub(super) struct LaneState {
    /// The roster that `slots` belong to.
    pub(super) roster: Arc<Roster>,
    /// The limits that the user has set for this model.
    pub(super) caps: Caps,
    strategy: Strategy,
    /// One for each project of the roster.
    pub(super) slots: Vec<Slot>,
    /// Those that can be asked, in the order in which they are.
    pub(super) ready: BTreeSet<(Order, u32)>,
    /// Those that cannot, by when they can; also entries that hold no more.
    pub(super) waking: BinaryHeap<Reverse<(Millis, u32)>>,
    /// Those that are asked last, by until when; also entries that hold no more.
    failing: BTreeSet<(Millis, u32)>,
    pub(super) hints: Hints,
    /// The day for which `hints` were counted last.
    day_ends: Millis,
    /// The trials that are under way, by when the next may go; also some that are over.
    trials: VecDeque<(u32, Trial)>,
    turn: u64,
    numbers: u64,
    pub(super) trouble: Trouble,
    pub(super) queue: VecDeque<Waiter>,
    /// The lane is among those that are told when anything becomes free.
    pub(super) is_listed: bool,
}

/// Those last with which calls fail on their way; of the others the free ones first, then those
/// that have much left today, then by turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order(bool, u8, Reverse<u32>, u64);

impl Order {
    pub(super) fn is_paid(self) -> bool {
        self.1 > 0
    }
}

/// One project.
#[derive(Clone, Default)]
pub(super) struct Slot {
    pub(super) window: Window,
    pub(super) place: Place,
    turn: u64,
    /// The trial that is under way.
    trial: Option<Trial>,
    /// Calls that are under way.
    running: u64,
    /// How many calls in a row failed on their way to Google, and until when it is asked last for it.
    failed: (u32, Millis),
    /// The ticket of the one for whom it is kept free.
    pub(super) reserved: Option<u64>,
    pub(super) next_key: usize,
    /// It has changed since it was last kept, with these keys.
    changed: bool,
    used: Vec<i64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// In neither: no usable key, or a trial is under way.
    #[default]
    Out,
    Ready(Order),
    Waking(Millis),
}

impl LaneState {
    /// Goes by the rules of now.
    pub(super) fn go_by(&mut self, lane: &Lane) {
        let rules = lane.shared.rules.load();
        self.caps = rules.caps_of(&lane.model);
        self.strategy = rules.strategy;
    }

    /// Puts all where they belong now.
    pub(super) fn put_all(&mut self, at: Moment) {
        self.ready.clear();
        self.waking.clear();
        self.failing.clear();
        let places = (0..).zip(&self.slots);
        let mut trials: Vec<(u32, Trial)> = places
            .filter_map(|(place, slot)| Some((place, slot.trial?)))
            .collect();
        trials.sort_by_key(|(_, trial)| trial.until);
        self.trials = trials.into();
        for place in 0..self.slots.len() {
            if let Some(slot) = self.slots.get_mut(place) {
                slot.place = Place::Out;
            }
            self.put(u32::try_from(place).unwrap_or(u32::MAX), at);
        }
    }

    /// Looks anew at what all were told.
    pub(super) fn count_hints(&mut self, at: Moment) {
        self.day_ends = at.day_ends;
        self.hints = Hints::default();
        for slot in &self.slots {
            let told = slot.window.told(at.now);
            self.hints.change(Caps::default(), told);
        }
    }

    /// Moves those whose time has come.
    pub(super) fn wake(&mut self, at: Moment) {
        if self.day_ends != at.day_ends {
            self.count_hints(at);
            self.put_all(at);
        }
        while let Some((place, trial)) = self.trials.front().copied() {
            let slot = self.slots.get_mut(place as usize);
            let slot = slot.filter(|slot| slot.trial == Some(trial));
            if slot.is_some() && trial.until > at.now {
                break;
            }
            self.trials.pop_front();
            if let Some(slot) = slot {
                // It was not refused at once. Nobody waits for its answer.
                slot.trial = None;
                self.put(place, at);
            }
        }
        while let Some((until, place)) = self.failing.first().copied()
            && until <= at.now
        {
            self.failing.pop_first();
            self.put(place, at);
        }
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

    /// When the next may go to a project that has a trial under way; `None`: none has.
    pub(super) fn trial_until(&self) -> Option<Millis> {
        let is_on = |(place, trial): &&(u32, Trial)| {
            let slot = self.slots.get(*place as usize);
            slot.is_some_and(|slot| slot.trial == Some(*trial))
        };
        self.trials.iter().find(is_on).map(|(_, trial)| trial.until)
    }

    pub(super) fn is_waking(&self, place: u32, until: Millis) -> bool {
        let slot = self.slots.get(place as usize);
        slot.is_some_and(|slot| slot.place == Place::Waking(until))
    }

    /// When a request of so many tokens may be sent to a project.
    pub(super) fn opening(&mut self, place: u32, at: Moment, tokens: u64) -> Option<Opening> {
        let slot = self.slots.get_mut(place as usize)?;
        Some(slot.window.opening(at, &self.caps, tokens))
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
                let left = slot.window.left_today(&self.caps);
                (left.map_or(PLENTY, |left| left.max(1).ilog2()), slot.turn)
            }
            Strategy::Weighted => (0, slot.turn),
        };
        let tier = u8::from(project.tier == Tier::Paid);
        let (_, asked_last_until) = slot.failed;
        let fails = asked_last_until > at.now;
        if fails {
            self.failing.insert((asked_last_until, place));
        }
        slot.place = match slot.trial.is_some() {
            true => Place::Out,
            false if opening.until > at.now => Place::Waking(opening.until),
            false => Place::Ready(Order(fails, tier, Reverse(plenty), turn)),
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

    /// Takes a project out until something about it changes.
    pub(super) fn put_out(&mut self, place: u32) {
        if let Some(slot) = self.slots.get_mut(place as usize)
            && let Place::Ready(order) = slot.place
        {
            slot.place = Place::Out;
            self.ready.remove(&(order, place));
        }
    }

    /// Counts a request for a project, with this key. A project of which nobody knows whether it
    /// may be asked more is asked for one at a time.
    pub(super) fn take(&mut self, place: u32, at: Moment, key: i64, tokens: u64) -> u64 {
        self.numbers += 1;
        let project = self.roster.projects.get(place as usize);
        let weight = project.map_or(1, |project| u64::from(project.weight.max(1)));
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
            let is_doubted = slot.is_doubted(at, &self.caps, &self.hints);
            slot.window.send(at, self.numbers, key, tokens);
            slot.running += 1;
            slot.reserved = None;
            let is_trial = slot.window.is_on_trial() || is_doubted;
            if is_trial {
                let trial = Trial::new(self.numbers, at.now);
                slot.trial = Some(trial);
                self.trials.push_back((place, trial));
            }
            slot.touch(key);
        }
        self.put(place, at);
        self.numbers
    }

    /// Notes that a request has ended, however.
    pub(super) fn ended(&mut self, place: u32, number: u64) {
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.running = slot.running.saturating_sub(1);
            slot.trial = slot.trial.filter(|trial| trial.number != number);
        }
    }

    /// Notes that what a project was told may be something else than `before`.
    pub(super) fn learned(&mut self, place: u32, before: Caps, at: Moment) {
        if let Some(slot) = self.slots.get(place as usize) {
            self.hints.change(before, slot.window.told(at.now));
        }
    }

    /// What is known of a key's project.
    pub(super) fn window_of(&mut self, key: i64) -> Option<(&mut Window, &Caps)> {
        let place = self.roster.project_of(key)?;
        let slot = self.slots.get_mut(place as usize)?;
        Some((&mut slot.window, &self.caps))
    }

    /// Forgets what was held against a project, with the limits that it has met if `limits`.
    pub(super) fn forgive(&mut self, place: u32, at: Moment, limits: bool) {
        let project = self.roster.projects.get(place as usize);
        let keys: Vec<i64> = project
            .into_iter()
            .flat_map(|project| project.keys.iter().map(|key| key.id))
            .collect();
        let Some(slot) = self.slots.get_mut(place as usize) else {
            return;
        };
        let before = slot.window.told(at.now);
        slot.window.forgive();
        slot.failed = Default::default();
        if limits {
            slot.window.doubt_met_limits(at);
        }
        for key in keys {
            slot.touch(key);
        }
        slot.trial = None;
        self.learned(place, before, at);
        self.put(place, at);
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

    /// The keys that have something new to be kept since this was last asked.
    pub(super) fn take_changed(&mut self, into: &mut BTreeSet<i64>) {
        for (slot, project) in self.slots.iter_mut().zip(&self.roster.projects) {
            if std::mem::take(&mut slot.changed) {
                into.extend(project.keys.first().map(|key| key.id));
                into.extend(slot.used.drain(..));
            }
        }
    }

    /// What is to be kept with this key.
    pub(super) fn saved(&mut self, key: i64, model: &str, at: Moment) -> Option<SavedWindow> {
        let place = self.roster.project_of(key)? as usize;
        let first = self.roster.projects.get(place)?.keys.first()?.id;
        let slot = self.slots.get_mut(place)?;
        slot.window
            .saved((model, &self.caps), at, key, first == key)
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_blank(&mut self, at: Moment) -> bool {
        self.queue.is_empty()
            && self
                .slots
                .iter_mut()
                .all(|slot| slot.running == 0 && slot.window.is_blank(at))
    }
}

impl Slot {
    /// Notes that it has changed, by a request with this key.
    pub(super) fn touch(&mut self, key: i64) {
        self.changed = true;
        if !self.used.contains(&key) {
            self.used.push(key);
        }
    }

    /// Notes how a call ended, for the way that it took.
    pub(super) fn went(&mut self, now: Millis, egress: EgressEffect) {
        let (count, until) = self.failed;
        self.failed = match egress {
            EgressEffect::Good => Default::default(),
            // What was under way together failed once.
            EgressEffect::Blame if until <= now => {
                let (first, longest) = ASKED_LAST_MS;
                let pause = first.saturating_mul(1 << count.min(30)).min(longest);
                (count.saturating_add(1), now.saturating_add(pause))
            }
            EgressEffect::Blame | EgressEffect::Full | EgressEffect::None => self.failed,
        };
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// What one waits for who wants it, and not this key of it.
    pub(super) fn occupied(&self, ticket: Option<u64>) -> Option<Occupied> {
        match self.trial {
            Some(Trial { until, .. }) => Some(Occupied::Trial { until }),
            None if self.reserved.is_some() && self.reserved != ticket => Some(Occupied::Kept),
            None => None,
        }
    }

    /// Whether nobody knows whether it may be asked more.
    fn is_doubted(&mut self, at: Moment, caps: &Caps, hints: &Hints) -> bool {
        let used = self.window.used(at, caps);
        self.window.is_at_old_limit() || hints.doubt(used.limits, used.requests, used.today)
    }

    /// Whether a request that is not needed may be sent to it: it takes no part of a project's
    /// last, and answers no question that is open.
    pub(super) fn has_to_spare(&mut self, at: Moment, caps: &Caps, hints: &Hints) -> bool {
        !self.is_on_trial()
            && !self.window.is_on_trial()
            && !self.is_doubted(at, caps, hints)
            && self.window.has_half_of_its_day(caps)
    }

    /// The same project in another roster.
    pub(super) fn kept(self) -> Self {
        Self {
            place: Place::Out,
            reserved: None,
            ..self
        }
    }

    /// Adds this part of what was known of another project. A trial of that is left to itself: it
    /// might never be known here to end.
    pub(super) fn follows(&mut self, known: &Self, part: Window) {
        self.window.merge(part);
        self.turn = self.turn.max(known.turn);
        self.changed = true;
        self.used.extend(&known.used);
    }
}
