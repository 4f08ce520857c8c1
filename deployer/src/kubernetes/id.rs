//! What an app is called by those who call us.

use super::model::Workload;
use crate::provider::{ProviderError, Result};

/// What the id of an app that was not made here has between its name and its UID.
const WHICH: char = '@';

/// The name of the app with this id.
pub(super) fn name_of(id: &str) -> &str {
    id.split_once(WHICH).map_or(id, |(name, _)| name)
}

/// What an app is called by callers: by its name, which our mark makes sure of. One without
/// the mark is told from others of its name, before it and after it, by its UID: whoever knows
/// that has seen it, and has been asked whether to take it over.
pub(super) fn id_of(there: &Workload) -> String {
    let (name, uid) = (there.name(), there.metadata.uid.as_deref());
    match there.is_ours() {
        true => name.to_owned(),
        false => format!("{name}{WHICH}{}", uid.unwrap_or_default()),
    }
}

/// Whether a workload is the one that an id means.
pub(super) fn is_meant(there: &Workload, id: &str) -> Result<()> {
    if there.is_ours() || id_of(there) == id {
        return Ok(());
    }
    let name = there.name();
    Err(ProviderError::Conflict(format!(
        "The app {name} of this namespace was not made here: the one that was is gone, and \
         somebody has made another of its name. It was left alone. Take it over, or use \
         another name."
    )))
}
