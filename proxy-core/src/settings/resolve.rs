//! What holds in the end: default < environment < panel, after the store has forgotten
//! what the environment is newer than.

use super::{DECLARATIONS, Declaration, SettingError, Settings};
use crate::store::SavedSettings;

/// The declaration of a setting.
pub(crate) fn declaration(name: &str) -> Option<&'static Declaration> {
    DECLARATIONS
        .iter()
        .find(|declaration| declaration.name == name)
}

impl Settings {
    /// These settings, which the environment gave, with what the panel saved.
    ///
    /// # Errors
    /// All values that are not acceptable, or do not fit together.
    pub(crate) fn with_saved(&self, saved: &SavedSettings) -> Result<Self, Vec<SettingError>> {
        Self::load(|name| {
            let panel = declaration(name)
                .filter(|declaration| !declaration.environment_only)
                .and_then(|_| saved.get(name))
                .map(|saved| saved.value.expose().clone());
            panel.or_else(|| self.given(name).map(|given| given.expose().clone()))
        })
    }

    /// The same for values that were acceptable when they were saved. One that no longer is
    /// (another version wrote it) is left out, with a line in the log: a server must start.
    pub(crate) fn with_valid(&self, saved: &SavedSettings) -> Self {
        let mut saved = saved.clone();
        loop {
            let errors = match self.with_saved(&saved) {
                Ok(settings) => return settings,
                Err(errors) => errors,
            };
            let before = saved.len();
            for error in errors {
                tracing::error!(%error, "a setting that the panel saved is left out");
                saved.remove(error.name);
            }
            if saved.len() == before {
                return self.clone();
            }
        }
    }

    /// The value of a setting, written as in the environment.
    pub(crate) fn text<'a>(&'a self, declaration: &'a Declaration) -> &'a str {
        self.given(declaration.name)
            .map_or(declaration.default, |given| given.expose())
    }

    /// Whether nothing is set differently.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let pairs = |settings: &Self| {
            let given = |one: &Declaration| settings.given(one.name).cloned();
            DECLARATIONS.iter().map(given).collect::<Vec<_>>()
        };
        pairs(self) == pairs(other)
    }
}
