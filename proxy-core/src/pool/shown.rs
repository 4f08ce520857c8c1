//! What is shown of keys and models.

use std::sync::Arc;

use contract::Millis;
use contract::admin::{Cooldown, KeyState, PoolModel, PoolSummary};

use super::health::Health;
use super::roster::{Key, Project, Roster, last_used};
use super::{Pool, is_model};

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
    /// The number of its project, as Google told it.
    pub project: Option<String>,
}

impl Pool {
    /// What to show of a key.
    pub fn status(&self, id: i64) -> Option<KeyStatus> {
        let key = self.find(id)?;
        let now = self.shared.clock.now();
        let mut cooldowns = Vec::new();
        let mut asked = 0;
        for lane in self.lanes.load().values() {
            lane.with(|state, at| {
                let Some((window, caps)) = state.window_of(id) else {
                    return;
                };
                let opening = window.opening(at, caps, 0);
                asked += usize::from(window.was_asked() && !lane.model.is_empty());
                if opening.until > now {
                    cooldowns.push(Cooldown {
                        model: lane.model.to_string(),
                        until: opening.until,
                        reason: opening.reason,
                    });
                }
            });
        }
        cooldowns.sort_by(|a, b| a.model.cmp(&b.model));
        let until = cooldowns.iter().map(|cooldown| cooldown.until).min();
        let knowledge = key.knowledge.lock();
        Some(KeyStatus {
            state: state_of(knowledge.health, asked, cooldowns.len(), until),
            cooldowns,
            last_used_at: last_used(&key),
            last_error: knowledge.last_error.clone(),
            project: knowledge.project.clone(),
        })
    }

    /// The keys that nobody has tried yet.
    pub fn untested(&self) -> Vec<i64> {
        let roster = self.shared.roster.load();
        let is_untested = |key: &&Arc<Key>| key.knowledge.lock().health == Health::Unchecked;
        let untested = roster.keys.iter().filter(is_untested);
        untested.map(|key| key.id).collect()
    }

    /// How many keys are in which state.
    pub fn summary(&self) -> PoolSummary {
        let roster = self.shared.roster.load();
        let mut summary = PoolSummary::default();
        let mut soonest: Option<Millis> = None;
        let seen = self.seen_by_project(&roster);
        for key in &roster.keys {
            summary.total += 1;
            let place = roster.project_of(key.id).map(|place| place as usize);
            let (asked, resting, until) = place
                .and_then(|place| seen.get(place).copied())
                .unwrap_or_default();
            let health = key.knowledge.lock().health;
            match state_of(health, asked, resting, until) {
                KeyState::Unchecked | KeyState::Ready | KeyState::Limited => summary.ready += 1,
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

    /// How many pairs of a project and a model rest now.
    pub fn cooldowns(&self) -> usize {
        let roster = self.shared.roster.load();
        let seen = self.seen_by_project(&roster);
        seen.iter().map(|(_, resting, _)| resting).sum()
    }

    /// What each model that was asked for today can still do, by name.
    pub fn models(&self) -> Vec<PoolModel> {
        let roster = self.shared.roster.load();
        let usable = |place: usize| {
            let project = roster.projects.get(place);
            project.is_some_and(Project::is_usable)
        };
        let mut models = Vec::new();
        for lane in self
            .lanes
            .load()
            .values()
            .filter(|lane| !lane.model.is_empty())
        {
            let mut shown = PoolModel {
                model: lane.model.to_string(),
                ready: 0,
                projects: 0,
                next_ready_at: None,
                requests_minute: 0,
                tokens_minute: 0,
                requests_today: 0,
                left_minute: Some(0),
                left_today: Some(0),
                waiting: 0,
            };
            let mut was_asked = false;
            lane.with(|state, at| {
                shown.waiting = u32::try_from(state.queue.len()).unwrap_or(u32::MAX);
                state.look_at_all(at, |place, opening, asked, used| {
                    was_asked |= asked;
                    shown.requests_minute += used.requests;
                    shown.tokens_minute += used.tokens;
                    shown.requests_today += used.today;
                    if !usable(place) {
                        return;
                    }
                    shown.projects += 1;
                    let is_open = opening.until <= at.now;
                    shown.ready += u32::from(is_open);
                    if !is_open {
                        let soonest = shown.next_ready_at.unwrap_or(Millis::MAX);
                        shown.next_ready_at = Some(soonest.min(opening.until));
                    }
                    let rests = !is_open && opening.until >= at.day_ends;
                    let left = |limit: Option<u64>, used: u64, shut: bool| match (shut, limit) {
                        (true, _) => Some(0),
                        (false, limit) => limit.map(|limit| limit.saturating_sub(used)),
                    };
                    let today = left(used.limits.rpd, used.today, rests);
                    let minute = left(used.limits.rpm, used.requests, !is_open);
                    let minute = match (minute, today) {
                        (Some(minute), Some(today)) => Some(minute.min(today)),
                        (minute, _) => minute,
                    };
                    let add = |sum: Option<u64>, more: Option<u64>| Some(sum? + more?);
                    shown.left_today = add(shown.left_today, today);
                    shown.left_minute = add(shown.left_minute, minute);
                });
            });
            shown.next_ready_at = shown.next_ready_at.filter(|_| shown.ready == 0);
            // What Google keeps, and the counting of tokens, is counted apart and is no model: it is of
            // interest only while it is not to be had.
            let is_in_the_way = shown.waiting > 0 || shown.ready < shown.projects;
            if was_asked && (is_in_the_way || is_model(&shown.model)) {
                models.push(shown);
            }
        }
        models.sort_by(|a, b| a.model.cmp(&b.model));
        models
    }

    /// For each project: for how many models it was asked today, for how many it rests, and
    /// when the first of those is back.
    fn seen_by_project(&self, roster: &Roster) -> Vec<(usize, usize, Option<Millis>)> {
        let mut seen = vec![(0, 0, None::<Millis>); roster.projects.len()];
        for lane in self.lanes.load().values() {
            let is_model = !lane.model.is_empty();
            lane.with(|state, at| {
                state.look_at_all(at, |place, opening, asked, _| {
                    let Some((models, resting, soonest)) = seen.get_mut(place) else {
                        return;
                    };
                    *models += usize::from(asked && is_model);
                    if opening.until > at.now {
                        *resting += 1;
                        *soonest = Some(soonest.map_or(opening.until, |at| at.min(opening.until)));
                    }
                });
            });
        }
        seen
    }
}

/// The state to show: a key that rests for everything it was asked for is of no use now.
fn state_of(health: Health, asked: usize, resting: usize, until: Option<Millis>) -> KeyState {
    match (health, until) {
        (Health::Rejected(reason), _) => KeyState::Rejected { reason },
        (Health::Disabled, _) => KeyState::Disabled,
        (_, Some(until)) if resting >= asked => KeyState::Cooling { until },
        (Health::Unchecked, _) => KeyState::Unchecked,
        (Health::Ready, Some(_)) => KeyState::Limited,
        (Health::Ready, None) => KeyState::Ready,
    }
}
