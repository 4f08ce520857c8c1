//! What the user has changed and not yet saved, and how a value is shown and written.

use std::collections::BTreeMap;
use std::rc::Rc;

use contract::admin::{SettingConflict, SettingKind, SettingView};
use yew::Reducible;

/// What a user wants with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It shall hold what is typed, which is kept as typed: an unfinished line is no line
    /// yet.
    Typed(String),
    /// The panel shall forget its value.
    Reset,
}

/// All changes that are not saved, by the setting's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits(BTreeMap<String, Edit>);

/// A change of the changes.
pub enum Editing {
    /// This one is as given, or as saved.
    Put(String, Option<Edit>),
    /// All are as saved.
    Clear,
}

impl Reducible for Edits {
    type Action = Editing;

    fn reduce(self: Rc<Self>, editing: Editing) -> Rc<Self> {
        let mut edits = (*self).clone();
        match editing {
            Editing::Put(name, Some(edit)) => {
                edits.0.insert(name, edit);
            }
            Editing::Put(name, None) => {
                edits.0.remove(&name);
            }
            Editing::Clear => edits.0.clear(),
        }
        edits.into()
    }
}

impl Edits {
    /// How many settings are changed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is wanted with that one.
    pub fn get(&self, name: &str) -> Option<&Edit> {
        self.0.get(name)
    }

    /// The changes as the server takes them. What it does not know any more is left out.
    pub fn values(&self, settings: &[SettingView]) -> BTreeMap<String, Option<String>> {
        settings
            .iter()
            .filter_map(|setting| {
                let value = match self.0.get(&setting.name)? {
                    Edit::Typed(typed) => Some(written(&setting.kind, typed)),
                    Edit::Reset => None,
                };
                Some((setting.name.clone(), value))
            })
            .collect()
    }
}

/// What typing this means: nothing, when it is what is saved.
pub fn typed(setting: &SettingView, text: String) -> Option<Edit> {
    let same = if setting.secret {
        // Nothing typed is no new secret.
        text.is_empty()
    } else {
        written(&setting.kind, &text) == written(&setting.kind, &shown(setting))
    };
    (!same).then_some(Edit::Typed(text))
}

/// The saved value as the control shows it; empty for a secret.
pub fn shown(setting: &SettingView) -> String {
    readable(&setting.kind, setting.value.as_deref().unwrap_or_default())
}

/// The value that will hold when the panel forgets its own; nothing of a secret.
pub fn without_panel(setting: &SettingView) -> String {
    match &setting.conflict {
        Some(SettingConflict::EnvironmentIgnored { environment }) => {
            environment.clone().unwrap_or_default()
        }
        _ if setting.secret => String::new(),
        _ => setting.default.clone(),
    }
}

/// A value written as in the environment, as people read and type it: a list line by
/// line, a map one pair a line.
pub fn readable(kind: &SettingKind, written: &str) -> String {
    match kind {
        SettingKind::List => items(written).join("\n"),
        SettingKind::Map => serde_json::from_str::<serde_json::Value>(written)
            .ok()
            .filter(|map| map.as_object().is_some_and(|map| !map.is_empty()))
            .and_then(|map| serde_json::to_string_pretty(&map).ok())
            .unwrap_or_else(|| written.to_owned()),
        _ => written.to_owned(),
    }
}

/// What was typed, written as in the environment.
pub fn written(kind: &SettingKind, typed: &str) -> String {
    let typed = typed.trim();
    match kind {
        SettingKind::List => {
            let items = items(typed);
            // A comma inside an item would part it; JSON does not.
            if items.is_empty() {
                String::new()
            } else {
                serde_json::Value::from(items).to_string()
            }
        }
        SettingKind::Map => serde_json::from_str::<serde_json::Value>(typed)
            .map_or_else(|_| typed.to_owned(), |map| map.to_string()),
        _ => typed.to_owned(),
    }
}

fn items(written: &str) -> Vec<String> {
    if let Ok(items) = serde_json::from_str::<Vec<String>>(written) {
        return items;
    }
    // Typed line by line, a line is an item, whatever is in it.
    let parts: Vec<&str> = if written.contains('\n') {
        written.lines().collect()
    } else {
        written.split([',', ';']).collect()
    };
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What can be seen to be wrong without asking the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Not a whole number from the first to the second.
    Number(u32, u32),
    /// Not a JSON object.
    Map,
}

/// What is wrong with what was typed, as far as can be told here.
pub fn wrong(kind: &SettingKind, typed: &str) -> Option<Wrong> {
    let typed = typed.trim();
    if typed.is_empty() {
        return None;
    }
    match kind {
        SettingKind::Integer { min, max } => typed
            .parse::<u32>()
            .ok()
            .is_none_or(|n| !(*min..=*max).contains(&n))
            .then_some(Wrong::Number(*min, *max)),
        SettingKind::Map => serde_json::from_str::<serde_json::Value>(typed)
            .ok()
            .is_none_or(|value| !value.is_object())
            .then_some(Wrong::Map),
        _ => None,
    }
}
