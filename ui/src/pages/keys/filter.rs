//! Which keys are shown.

use contract::admin::KeyView;

use crate::text::wire_name;

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Part of a label, of the masked key, or of the last error.
    pub text: String,
    /// The name of a state; empty for all.
    pub state: String,
}

impl Filter {
    /// The keys it lets through, in their order.
    pub fn apply<'a>(&self, keys: &'a [KeyView]) -> Vec<&'a KeyView> {
        let text = self.text.trim().to_lowercase();
        keys.iter()
            .filter(|key| self.state.is_empty() || wire_name(&key.state) == self.state)
            .filter(|key| {
                let error = key.last_error.as_deref().unwrap_or_default();
                text.is_empty()
                    || [key.label.as_str(), key.masked.as_str(), error]
                        .iter()
                        .any(|field| field.to_lowercase().contains(&text))
            })
            .collect()
    }
}
