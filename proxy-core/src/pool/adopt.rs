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
        for (place, project) in roster.projects.iter().enumerate() {
            for old_place in project.keys.iter().filter_map(|key| old_place(&old, key)) {
                heirs.entry(old_place).or_insert(place);
            }
        }
        for (place, project) in roster.projects.iter().enumerate() {
            let mut places: Vec<u32> = project
                .keys
                .iter()
                .filter_map(|key| old_place(&old, key))
                .collect();
            places.sort_unstable();
            places.dedup();
            let same = match *places {
                [only] => old
                    .projects
                    .get(only as usize)
                    .filter(|was| {
                        was.keys
                            .iter()
                            .map(|key| key.id)
                            .eq(project.keys.iter().map(|key| key.id))
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
                        let mut window = known.window.part(|id| match roster.project_of(id) {
                            Some(now) => now as usize == place,
                            None => is_heir || project.keys.iter().any(|key| key.was == Some(id)),
                        });
                        for key in &project.keys {
                            if let Some(was) = key.was {
                                window.rename(was, key.id);
                            }
                        }
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

/// Which project a key belonged to, under whatever number.
fn old_place(old: &Roster, key: &Key) -> Option<u32> {
    old.project_of(key.id).or_else(|| old.project_of(key.was?))
}
