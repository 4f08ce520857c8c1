use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use contract::Millis;
use contract::admin::{Cooldown, KeyRules, Tier};
use http::HeaderValue;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vault::Secret;

use super::fits;
use super::health::Health;
use super::window::{Opening, SavedWindow};
use crate::egress::{Binding, BoundBy};

/// A key on its way into the pool.
#[derive(Debug)]
pub struct NewKey {
    /// Its number in the store.
    pub id: i64,
    /// The key itself.
    pub secret: Secret,
    /// Whether the user wants it used.
    pub enabled: bool,
    /// What the user has chosen about it.
    pub rules: KeyRules,
    /// What was known of it when the process last ran.
    pub saved: Option<SavedKeyState>,
}

/// What is kept of a key's state over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedKeyState {
    /// What is known of the key itself.
    pub health: Health,
    /// The models it must not be asked for; written by versions before there were windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cooldowns: Vec<Cooldown>,
    /// What Google said when it last failed, scrubbed.
    #[serde(default)]
    pub last_error: Option<String>,
    /// The number of its project, as Google told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Millis>,
    /// The way out of the list that its calls take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<u64>,
    /// What its project has used, by model. Kept with the first of the project's keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<SavedWindow>,
}

/// One key.
pub(super) struct Key {
    pub(super) id: i64,
    /// The number that it had before, under which what it has asked is known.
    pub(super) was: Option<i64>,
    pub(super) secret: Secret,
    pub(super) header: HeaderValue,
    pub(super) masked: String,
    pub(super) rules: KeyRules,
    /// [`Health::is_usable`] of `knowledge`, readable without its lock.
    usable: AtomicBool,
    pub(super) last_used_at: AtomicI64,
    binding: Binding,
    /// Calls that are under way with it.
    pub(super) running: AtomicU32,
    pub(super) knowledge: Mutex<Knowledge>,
}

/// What is known of a key, apart from the windows of its project.
#[derive(Default)]
pub(super) struct Knowledge {
    pub(super) health: Health,
    pub(super) last_error: Option<String>,
    /// The number of its project, as Google told it.
    pub(super) project: Option<String>,
    /// What was kept of its windows and has not been taken by a lane yet.
    pub(super) windows: Vec<SavedWindow>,
}

impl Key {
    /// `None` for one that no header can hold.
    pub(super) fn new(new: NewKey) -> Option<Self> {
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
        let health = match (new.enabled, saved.health) {
            (false, _) => Health::Disabled,
            (true, Health::Disabled) => Health::Unchecked,
            (true, other) => other,
        };
        let old = saved.cooldowns.into_iter().map(|rest| SavedWindow {
            model: rest.model,
            rest: Some(Opening {
                until: rest.until,
                reason: rest.reason,
            }),
            unproven: true,
            ..SavedWindow::default()
        });
        Some(Self {
            id: new.id,
            was: None,
            masked: new.secret.masked(),
            secret: new.secret,
            header,
            rules: new.rules,
            usable: AtomicBool::new(health.is_usable()),
            last_used_at: AtomicI64::new(saved.last_used_at.unwrap_or_default()),
            binding: Binding::restored(saved.egress),
            running: AtomicU32::new(0),
            knowledge: Mutex::new(Knowledge {
                health,
                last_error: saved.last_error,
                project: saved.project,
                windows: saved.windows.into_iter().chain(old).collect(),
            }),
        })
    }

    /// The same, which had another number before.
    pub(super) fn renumbered(self, was: Option<i64>) -> Self {
        Self { was, ..self }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// Counts a call as under way, unless it has as many as it may have; 0: any number.
    pub(super) fn starts(&self, most_running: u32) -> bool {
        let order = Ordering::SeqCst;
        let may = |running| (most_running == 0 || running < most_running).then_some(running + 1);
        self.running.fetch_update(order, order, may).is_ok()
    }

    /// Whether the user lets it be asked for a model.
    pub(super) fn may_be_asked_for(&self, model: &str) -> bool {
        // A call that is about no model, e.g. the list of models.
        model.is_empty() || allows(&self.rules, model)
    }

    /// What decides by which proxy its calls go.
    pub(super) fn bound_by(&self) -> BoundBy<'_> {
        BoundBy {
            credential: &self.secret,
            chosen: self.rules.proxy.as_deref(),
            binding: Some(&self.binding),
        }
    }

    /// What is to be kept of where it is bound to.
    pub(super) fn bound_to(&self) -> Option<u64> {
        self.binding.kept()
    }

    /// What was kept of its windows of a model.
    pub(super) fn take_saved(&self, model: &str) -> Vec<SavedWindow> {
        let mut knowledge = self.knowledge.lock();
        knowledge
            .windows
            .extract_if(.., |saved| saved.model == model)
            .collect()
    }

    /// Whether it is the same key under the same number, perhaps with other rules.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.id == other.id && self.secret == other.secret)
    }

    /// Changes what is known of it; true when that changes whether it is usable.
    pub(super) fn learn(&self, edit: impl FnOnce(&mut Knowledge)) -> bool {
        let mut knowledge = self.knowledge.lock();
        edit(&mut knowledge);
        let usable = knowledge.health.is_usable();
        self.usable.swap(usable, Ordering::Relaxed) != usable
    }
}

/// Keys that share their quota.
pub(super) struct Project {
    pub(super) keys: Vec<Arc<Key>>,
    pub(super) tier: Tier,
    pub(super) weight: u32,
}

impl Project {
    /// Whether it has a key that takes part in the rotation.
    pub(super) fn is_usable(&self) -> bool {
        self.keys.iter().any(|key| key.is_usable())
    }
}

/// All keys, and the projects that they make. It is made anew whenever one of them changes.
#[derive(Default)]
pub(super) struct Roster {
    /// Counts up with each that is made.
    pub(super) generation: u64,
    pub(super) keys: Vec<Arc<Key>>,
    pub(super) projects: Vec<Project>,
    /// One of them is paid for.
    pub(super) is_paid: bool,
    /// Where each key is: in `keys` and in `projects`.
    places: HashMap<i64, (usize, u32)>,
    /// The numbers of projects that Google has told, those since it was made included.
    numbers: Mutex<HashSet<String>>,
}

impl Roster {
    pub(super) fn new(generation: u64, keys: Vec<Arc<Key>>) -> Self {
        let mut projects: Vec<Project> = Vec::new();
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        let mut places = HashMap::with_capacity(keys.len());
        let mut numbers = HashSet::new();
        for (at, key) in keys.iter().enumerate() {
            let told = key.knowledge.lock().project.clone();
            numbers.extend(told.clone());
            let name = match (told, &key.rules.project) {
                (Some(number), _) => format!("google {number}"),
                (None, Some(group)) => format!("group {group}"),
                (None, None) => format!("key {}", key.id),
            };
            let place = *by_name.entry(name).or_insert_with(|| {
                projects.push(Project {
                    keys: Vec::new(),
                    tier: Tier::Free,
                    weight: 0,
                });
                projects.len() - 1
            });
            places.insert(key.id, (at, u32::try_from(place).unwrap_or(u32::MAX)));
            let Some(project) = projects.get_mut(place) else {
                continue;
            };
            project.keys.push(key.clone());
            project.weight = project.weight.saturating_add(key.rules.weight.max(1));
            if key.rules.tier == Tier::Paid {
                project.tier = Tier::Paid;
            }
        }
        Self {
            generation,
            keys,
            is_paid: projects.iter().any(|project| project.tier == Tier::Paid),
            projects,
            places,
            numbers: Mutex::new(numbers),
        }
    }

    /// Notes that Google has told the number of a key's project. Whether it is the only key of
    /// that project, and was before.
    pub(super) fn is_alone(&self, id: i64, number: &str) -> bool {
        let is_new = self.numbers.lock().insert(number.to_owned());
        let place = self.project_of(id).map(|place| place as usize);
        let project = place.and_then(|place| self.projects.get(place));
        is_new && project.is_some_and(|project| project.keys.len() == 1)
    }

    pub(super) fn key(&self, id: i64) -> Option<&Arc<Key>> {
        self.keys.get(self.places.get(&id)?.0)
    }

    /// Whether this key is one of them: another may have its number by now.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.key(key.id).is_some_and(|now| now.is(key))
    }

    /// Whether another key has this one's number.
    pub(super) fn has_other(&self, key: &Key) -> bool {
        self.key(key.id).is_some_and(|now| !now.is(key))
    }

    /// How many projects these keys belong to. One that is gone counts as a project of its own.
    pub(super) fn count_projects(&self, keys: &[i64]) -> usize {
        let (known, gone): (Vec<_>, Vec<_>) = keys
            .iter()
            .map(|id| self.project_of(*id))
            .partition(Option::is_some);
        let known: HashSet<_> = known.into_iter().collect();
        known.len() + gone.len()
    }

    /// Which of `projects` this very key belongs to.
    pub(super) fn project_with(&self, key: &Key) -> Option<u32> {
        self.project_of(key.id).filter(|_| self.has(key))
    }

    /// Which of `projects` the key with this number belongs to.
    pub(super) fn project_of(&self, id: i64) -> Option<u32> {
        self.places.get(&id).map(|(_, project)| *project)
    }
}

/// When each key was last used.
pub(super) fn last_used(key: &Key) -> Option<Millis> {
    let at = key.last_used_at.load(Ordering::Relaxed);
    (at > 0).then_some(at)
}

/// Whether the user lets a key be asked for a model.
fn allows(rules: &KeyRules, model: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, model));
    (rules.models.is_empty() || any(&rules.models)) && !any(&rules.not_models)
}
