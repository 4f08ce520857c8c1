use contract::admin::RejectReason;
use serde::{Deserialize, Serialize};

/// Something that changes what is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// Google answered with it.
    Succeeded,
    /// Google refused it.
    Refused(RejectReason),
    /// The refusal was not the key's: Google refused all at once.
    Acquitted,
    /// The user switched it off.
    SwitchedOff,
    /// The user switched it on, which also forgives what was held against it.
    SwitchedOn,
}

/// What is known of a key, apart from the models it rests for. The wire's
/// [`contract::admin::KeyState`] is made of both, see `Knowledge::seen_at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not used yet.
    #[default]
    Unchecked,
    /// It worked when it was last used.
    Ready,
    /// Google refuses it.
    Rejected(RejectReason),
    /// The user switched it off.
    Disabled,
}

impl Health {
    /// Every transition of a key's state.
    #[must_use]
    pub fn after(self, event: KeyEvent) -> Self {
        match (self, event) {
            (_, KeyEvent::SwitchedOff) => Self::Disabled,
            (Self::Disabled | Self::Rejected(_), KeyEvent::SwitchedOn) => Self::Unchecked,
            (now @ (Self::Unchecked | Self::Ready), KeyEvent::SwitchedOn) => now,
            // Only the user brings a key back: an answer that arrives now may have been
            // under way since before it was switched off or refused.
            (now @ (Self::Disabled | Self::Rejected(_)), KeyEvent::Succeeded) => now,
            (Self::Unchecked | Self::Ready, KeyEvent::Succeeded) => Self::Ready,
            (Self::Rejected(_), KeyEvent::Acquitted) => Self::Ready,
            (now, KeyEvent::Acquitted) => now,
            (Self::Disabled, KeyEvent::Refused(_)) => Self::Disabled,
            (_, KeyEvent::Refused(reason)) => Self::Rejected(reason),
        }
    }

    /// Whether the key takes part in the rotation.
    pub fn is_usable(self) -> bool {
        match self {
            Self::Unchecked | Self::Ready => true,
            Self::Rejected(_) | Self::Disabled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_changes_neither_a_switch_nor_a_refusal() {
        for event in [
            KeyEvent::Succeeded,
            KeyEvent::Refused(RejectReason::Invalid),
            KeyEvent::SwitchedOff,
        ] {
            assert_eq!(Health::Disabled.after(event), Health::Disabled);
        }
        let refused = Health::Rejected(RejectReason::Leaked);
        assert_eq!(refused.after(KeyEvent::Succeeded), refused);
    }

    #[test]
    fn switching_on_forgives() {
        for health in [Health::Rejected(RejectReason::Leaked), Health::Disabled] {
            assert!(!health.is_usable());
            assert_eq!(health.after(KeyEvent::SwitchedOn), Health::Unchecked);
        }
    }
}
