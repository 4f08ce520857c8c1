//! The search for a project that a request fits in.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use contract::Millis;
use contract::admin::{CooldownReason, Tier};

use super::lane::{Lane, Verdict, Want};
use super::roster::{Key, Project};
use super::slots::{LaneState, Place, Slot};
use super::window::{Moment, NEVER, Opening};
use super::{Occupied, Unavailable};

/// How many projects that rest are passed over that would not do anyway; the next counts as one
/// that would. As many that have nothing to spare are looked at.
const MOST_PASSED: usize = 32;

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
    /// When it is worth looking again; `None`: when something ends, which tells those that wait.
    pub(super) look_at: Option<Millis>,
    /// Another may find something all the same.
    pub(super) others_may: bool,
    /// The project that has room for it first, of those that only have too little.
    pub(super) soonest: Option<u32>,
}

impl Closed {
    pub(super) fn new(why: Unavailable) -> Self {
        Self {
            why,
            look_at: why.retry_at(),
            others_may: false,
            soonest: None,
        }
    }
}

impl LaneState {
    /// The project and the key for `want`, of the one with this ticket if it waits.
    pub(super) fn find(
        &mut self,
        lane: &Lane,
        at: Moment,
        want: &Want<'_>,
        ticket: Option<u64>,
    ) -> Result<(u32, Arc<Key>), Closed> {
        let most_running = lane.shared.rules.load().key_concurrency;
        if let Some(only) = want.only {
            let found = self.find_only(only, most_running, at, want, ticket);
            return found.map_err(|why| Closed {
                others_may: true,
                ..Closed::new(why)
            });
        }
        let roster = self.roster.clone();
        let mut soonest: Option<(Opening, u32)> = None;
        let (mut busy, mut kept, mut tried) = (false, false, false);
        // The most tokens that any of those has a minute that it is too large for.
        let mut too_large: Option<u64> = None;
        let mut spare = None;
        let mut out = Vec::new();
        let preferred = want.prefer.and_then(|prefer| {
            let place = roster.project_of(prefer.key)?;
            let Place::Ready(order) = self.slots.get(place as usize)?.place else {
                return None;
            };
            // What is free goes before what is cached.
            let (first, _) = self.ready.first()?;
            let is_paid = order.is_paid() && first.is_paid();
            (prefer.strongly || is_paid).then_some(place)
        });
        // The project that is asked already, where the call is one that is made twice.
        let first = want.beside.and_then(|key| roster.project_of(key));
        let mut scarce = 0;
        let ready = std::mem::take(&mut self.ready);
        let in_turn = ready.iter().map(|(_, place)| *place);
        for place in preferred.into_iter().chain(in_turn) {
            let Some(opening) = self.opening(place, at, want.tokens) else {
                continue;
            };
            let (Some(slot), Some(project)) = (
                self.slots.get_mut(place as usize),
                roster.projects.get(place as usize),
            ) else {
                continue;
            };
            if slot.occupied(ticket).is_some() {
                kept = true;
                continue;
            }
            if want.beside.is_some() {
                let is_paid = |place: Option<u32>| {
                    let project = place.and_then(|place| roster.projects.get(place as usize));
                    project.is_some_and(|project| project.tier == Tier::Paid)
                };
                let is_dearer = is_paid(Some(place)) && !is_paid(first);
                if is_dearer || !slot.has_to_spare(at, &self.caps, &self.hints) {
                    scarce += 1;
                    if scarce >= MOST_PASSED {
                        break;
                    }
                    continue;
                }
            }
            let is_open = opening.until <= at.now;
            match slot.key_for(project, want, most_running, is_open) {
                // Others may want it, where calls about several models are counted together.
                Chosen::None if !super::is_model(&lane.model) && project.is_usable() => {}
                Chosen::None => out.push(place),
                Chosen::Tried => tried = true,
                _ if opening.until == NEVER => {
                    too_large = too_large.max(slot.window.limits(at.now, &self.caps).tpm);
                }
                _ if !is_open => soonest = earlier(soonest, (opening, place)),
                Chosen::Key(key) if first == Some(place) => {
                    spare = spare.or(Some((place, key)));
                }
                Chosen::Key(key) => {
                    spare = Some((place, key));
                    break;
                }
                Chosen::RatherNot(key) if spare.is_none() => spare = Some((place, key)),
                Chosen::RatherNot(_) => {}
                Chosen::Busy => busy = true,
            }
        }
        self.ready = ready;
        for place in out {
            self.put_out(place);
        }
        if let Some(found) = spare {
            return Ok(found);
        }
        let others_may = soonest.is_some()
            || tried
            || kept
            || too_large.is_some()
            || !super::is_model(&lane.model);
        let by_size = soonest.map(|(_, place)| place);
        let mut look_at = soonest.map(|(opening, _)| opening.until);
        // What is in the heap is closed for all, and for this one the first that will do counts.
        let mut passed = Vec::new();
        // The first of those that Google refuses the model. Others open by themselves.
        let mut refused: Option<(Opening, u32)> = None;
        while let Some(Reverse((until, place))) = self.waking.peek().copied() {
            let holds = self.is_waking(place, until);
            let (slot, project) = (
                self.slots.get_mut(place as usize).filter(|_| holds),
                roster.projects.get(place as usize),
            );
            let (Some(slot), Some(project)) = (slot, project) else {
                self.waking.pop();
                continue;
            };
            let opening = slot.window.opening(at, &self.caps, want.tokens);
            let is_too_large = opening.until == NEVER;
            let chosen = slot.key_for(project, want, most_running, false);
            let will_do = !matches!(chosen, Chosen::Tried | Chosen::None) && !is_too_large;
            if !will_do && passed.len() < MOST_PASSED {
                match chosen {
                    Chosen::Tried => tried = true,
                    Chosen::None => {}
                    _ => too_large = too_large.max(slot.window.limits(at.now, &self.caps).tpm),
                }
                passed.extend(self.waking.pop());
                continue;
            }
            look_at = Some(look_at.map_or(until, |look_at| look_at.min(until)));
            if will_do
                && opening.reason == CooldownReason::ProjectRefused
                && passed.len() < MOST_PASSED
            {
                refused = earlier(refused, (opening, place));
                passed.extend(self.waking.pop());
                continue;
            }
            let opening = match is_too_large {
                // Nobody knows what comes after it.
                true => Opening {
                    until,
                    reason: CooldownReason::TokensPerMinute,
                },
                false => opening,
            };
            soonest = earlier(soonest, (opening, place));
            break;
        }
        self.waking.extend(passed);
        let soonest = soonest.or(refused);
        let trial_until = self.trial_until();
        look_at = [look_at, trial_until].into_iter().flatten().min();
        let with = match trial_until {
            _ if busy => Some(Occupied::Calls),
            Some(until) => Some(Occupied::Trial { until }),
            None => kept.then_some(Occupied::Kept),
        };
        let why = match soonest {
            _ if roster.keys.is_empty() => Unavailable::NoKeys,
            // What is under way ends sooner than most windows open.
            opens if let Some(with) = with => Unavailable::Busy {
                with,
                opens: opens.map(|(opening, _)| opening),
            },
            Some((Opening { until, reason }, _)) => Unavailable::Resting { until, reason },
            None if let Some(limit) = too_large => Unavailable::TooLarge { limit },
            None if tried => Unavailable::AllTried,
            None if roster.keys.iter().any(|key| key.is_usable()) => Unavailable::NoneAllowed,
            None => Unavailable::NoneUsable,
        };
        Err(Closed {
            why,
            look_at,
            others_may,
            soonest: by_size,
        })
    }

    /// The key with this number, and no other.
    fn find_only(
        &mut self,
        id: i64,
        most_running: u32,
        at: Moment,
        want: &Want<'_>,
        ticket: Option<u64>,
    ) -> Result<(u32, Arc<Key>), Unavailable> {
        let roster = self.roster.clone();
        let (Some(key), Some(place)) = (roster.key(id), roster.project_of(id)) else {
            return Err(Unavailable::NoneUsable);
        };
        let opening = self.opening(place, at, want.tokens);
        let slot = self.slots.get(place as usize);
        let (Some(Opening { until, reason }), Some(slot)) = (opening, slot) else {
            return Err(Unavailable::NoneUsable);
        };
        let calls = key.is_busy(most_running).then_some(Occupied::Calls);
        let opens = (until > at.now && until != NEVER).then_some(Opening { until, reason });
        let limit = slot.window.limits(at.now, &self.caps).tpm;
        match until > at.now {
            _ if !key.is_usable() => Err(Unavailable::NoneUsable),
            _ if !key.may_be_asked_for(want.model) => Err(Unavailable::NoneAllowed),
            _ if want.verdict(key) == Verdict::Never => Err(Unavailable::AllTried),
            _ if let Some(with) = slot.occupied(ticket).or(calls) => {
                Err(Unavailable::Busy { with, opens })
            }
            true if until == NEVER => Err(Unavailable::TooLarge {
                limit: limit.unwrap_or_default(),
            }),
            true => Err(Unavailable::Resting { until, reason }),
            false => Ok((place, key.clone())),
        }
    }

    /// Keeps a project free for the one with this ticket. Only one at a time; `None`: none more.
    pub(super) fn reserve(&mut self, before: Option<u32>, now: Option<u32>, ticket: u64) {
        for (place, reserved) in [(before, None), (now, Some(ticket))] {
            let slot = place.and_then(|place| self.slots.get_mut(place as usize));
            if let Some(slot) = slot
                && (reserved.is_some() || slot.reserved == Some(ticket))
            {
                slot.reserved = reserved;
            }
        }
    }
}

impl Slot {
    /// The next of the project's keys that can be asked; it is its turn then if `is_taken`.
    fn key_for(
        &mut self,
        project: &Project,
        want: &Want<'_>,
        most_running: u32,
        is_taken: bool,
    ) -> Chosen {
        let mut worst = Chosen::None;
        let keys = &project.keys;
        for offset in 0..keys.len() {
            let at = (self.next_key + offset) % keys.len();
            let Some(key) = keys.get(at) else { continue };
            if !key.is_usable() || !key.may_be_asked_for(want.model) {
                continue;
            }
            match want.verdict(key) {
                Verdict::Never => {
                    if let Chosen::None = worst {
                        worst = Chosen::Tried;
                    }
                }
                _ if key.is_busy(most_running) => {
                    if !matches!(worst, Chosen::RatherNot(_)) {
                        worst = Chosen::Busy;
                    }
                }
                Verdict::RatherNot => worst = Chosen::RatherNot(key.clone()),
                Verdict::May => {
                    if is_taken {
                        self.next_key = at + 1;
                    }
                    return Chosen::Key(key.clone());
                }
            }
        }
        worst
    }
}

impl Key {
    /// Whether it has as many calls under way as it may have; 0: any number.
    fn is_busy(&self, most_running: u32) -> bool {
        most_running > 0 && self.running.load(Ordering::SeqCst) >= most_running
    }
}

fn earlier(soonest: Option<(Opening, u32)>, new: (Opening, u32)) -> Option<(Opening, u32)> {
    match soonest {
        Some(soonest) if soonest.0.until <= new.0.until => Some(soonest),
        _ => Some(new),
    }
}
