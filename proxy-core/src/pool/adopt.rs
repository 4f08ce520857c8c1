//! A lane takes over another roster: what a key has asked goes where the key goes.

use std::collections::HashMap;
use std::sync::Arc;

use super::lane::Lane;
use super::roster::{Key, Roster};
use super::slots::{LaneState, Slot};
use super::window::{Moment, Window};

impl LaneState {
    /// Takes over another roster, and the rules of now.
    pub(super) fn adopt(&mut self, lane: &Lane, roster: &Arc<Roster>, at: Moment) {
        let old = std::mem::replace(&mut self.roster, roster.clone());
        let mut before: Vec<Option<Slot>> = std::mem::take(&mut self.slots)
            .into_iter()
            .map(Some)
            .collect();
        self.go_by(lane);
        // Whose project holds what keys have asked that are gone: the first that is left.
        let mut heirs: HashMap<u32, usize> = HashMap::new();
        // Where each key is now, and under which number.
        let mut moved: HashMap<i64, (usize, i64)> = HashMap::new();
        for (place, project) in roster.projects.iter().enumerate() {
            for key in &project.keys {
                let Some(was) = old_number(&old, key) else {
                    continue;
                };
                moved.insert(was, (place, key.id));
                if let Some(old_place) = old.project_of(was) {
                    heirs.entry(old_place).or_insert(place);
                }
            }
        }
        for (place, project) in roster.projects.iter().enumerate() {
            let mut places: Vec<u32> = project
                .keys
                .iter()
                .filter_map(|key| old.project_of(old_number(&old, key)?))
                .collect();
            places.sort_unstable();
            places.dedup();
            let same = match *places {
                [only] => old
                    .projects
                    .get(only as usize)
                    .filter(|was| {
                        let mut both = was.keys.iter().zip(&project.keys);
                        was.keys.len() == project.keys.len() && both.all(|(was, key)| was.is(key))
                    })
                    .and_then(|_| before.get_mut(only as usize)?.take()),
                _ => None,
            };
            let mut slot = match same {
                Some(same) => same.kept(),
                None => {
                    let mut slot = Slot::default();
                    for old_place in places {
                        let Some(Some(known)) = before.get(old_place as usize) else {
                            continue;
                        };
                        let is_heir = heirs.get(&old_place) == Some(&place);
                        // One that was gone before and is back.
                        let back = |id| roster.project_of(id).filter(|_| old.key(id).is_none());
                        let mut window = known.window.part(|id| match moved.get(&id) {
                            Some((to, _)) => *to == place,
                            None => back(id).map_or(is_heir, |to| to as usize == place),
                        });
                        window.rename(|id| match moved.get(&id) {
                            Some((_, now)) => *now,
                            // Another key has its number.
                            None if old.key(id).is_some() && roster.key(id).is_some() => {
                                number_of_gone(id)
                            }
                            None => id,
                        });
                        slot.follows(known, window);
                    }
                    slot
                }
            };
            for key in &project.keys {
                for saved in key.take_saved(&lane.model) {
                    slot.window.merge(Window::restored(saved, key.id));
                }
            }
            self.slots.push(slot);
        }
        for waiter in &mut self.queue {
            waiter.reserved = None;
        }
        self.count_hints(at);
        self.put_all(at);
    }
}

/// The number that a key had. One that has come into another's place is not that one.
fn old_number(old: &Roster, key: &Key) -> Option<i64> {
    if old.has(key) {
        return Some(key.id);
    }
    let was = old.key(key.was?)?;
    (was.secret == key.secret).then_some(was.id)
}

/// What a key is called that is gone while another has its number: what it has asked is its
/// project's, and never the other key's. No key has such a number.
fn number_of_gone(id: i64) -> i64 {
    id.wrapping_add(i64::MIN)
}
