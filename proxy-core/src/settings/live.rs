use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Settings;

/// What the host does with settings that are its own (`LOG_LEVEL`): called once when the
/// core starts, and again with every change.
pub type OnSettings = Arc<dyn Fn(&Settings) + Send + Sync>;

/// The settings in force, replaced as a whole so that nobody sees half a change.
pub(crate) struct Live {
    current: ArcSwap<Settings>,
    on_change: Option<OnSettings>,
}

impl Live {
    pub(crate) fn new(settings: Settings, on_change: Option<OnSettings>) -> Self {
        let live = Self {
            current: ArcSwap::from_pointee(settings),
            on_change,
        };
        live.tell();
        live
    }

    /// Costs no lock and no shared counter; meant to be held for moments.
    pub(crate) fn get(&self) -> Guard<Arc<Settings>> {
        self.current.load()
    }

    pub(crate) fn replace(&self, settings: Settings) {
        self.current.store(Arc::new(settings));
        self.tell();
    }

    fn tell(&self) {
        if let Some(on_change) = &self.on_change {
            on_change(&self.current.load());
        }
    }
}
