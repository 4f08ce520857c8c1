use contract::Millis;
use contract::admin::{KeyState, RejectReason};
use serde::{Deserialize, Serialize};

/// Something that changes what is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// Google answered with it.
    Succeeded,
    /// Google refused it.
    Refused(RejectReason),
    /// It must rest for every model until then.
    Rest(Millis),
    /// The user switched it off.
    SwitchedOff,
    /// The user switched it on, which also forgives what was held against it.
    SwitchedOn,
}

/// What is known of a key. The wire's [`KeyState`] is this, seen at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not used yet.
    #[default]
    Unchecked,
    /// It worked when it was last used.
    Ready,
    /// It rests until then (milliseconds since the epoch).
    Resting(Millis),
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
            // Only the user brings a disabled key back; a late answer does not.
            (Self::Disabled, KeyEvent::SwitchedOn) => Self::Unchecked,
            (Self::Disabled, _) | (_, KeyEvent::SwitchedOff) => Self::Disabled,
            (Self::Rejected(_), KeyEvent::SwitchedOn) => Self::Unchecked,
            (Self::Resting(_), KeyEvent::SwitchedOn) => Self::Ready,
            (now @ (Self::Unchecked | Self::Ready), KeyEvent::SwitchedOn) => now,
            (_, KeyEvent::Refused(reason)) => Self::Rejected(reason),
            // Answers that overlapped with the refusal say nothing new, unless they are newer
            // than it: then the key works again.
            (_, KeyEvent::Succeeded) => Self::Ready,
            (Self::Rejected(reason), KeyEvent::Rest(_)) => Self::Rejected(reason),
            (Self::Resting(until), KeyEvent::Rest(other)) => Self::Resting(until.max(other)),
            (Self::Unchecked | Self::Ready, KeyEvent::Rest(until)) => Self::Resting(until),
        }
    }

    /// From when on the key takes part in the rotation; `None` when only the user can tell.
    pub fn available_from(self) -> Option<Millis> {
        match self {
            Self::Unchecked | Self::Ready => Some(Millis::MIN),
            Self::Resting(until) => Some(until),
            Self::Rejected(_) | Self::Disabled => None,
        }
    }

    /// What to show at `now`.
    pub fn seen_at(self, now: Millis) -> KeyState {
        match self {
            Self::Unchecked => KeyState::Unchecked,
            Self::Resting(until) if until > now => KeyState::Cooling { until },
            Self::Ready | Self::Resting(_) => KeyState::Ready,
            Self::Rejected(reason) => KeyState::Rejected { reason },
            Self::Disabled => KeyState::Disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_key_stays_off_whatever_a_late_answer_says() {
        for event in [
            KeyEvent::Succeeded,
            KeyEvent::Refused(RejectReason::Invalid),
            KeyEvent::Rest(5),
            KeyEvent::SwitchedOff,
        ] {
            assert_eq!(Health::Disabled.after(event), Health::Disabled);
        }
        assert_eq!(
            Health::Disabled.after(KeyEvent::SwitchedOn),
            Health::Unchecked
        );
    }

    #[test]
    fn switching_on_forgives() {
        for health in [
            Health::Rejected(RejectReason::Leaked),
            Health::Resting(i64::MAX),
        ] {
            let after = health.after(KeyEvent::SwitchedOn);
            assert_eq!(after.available_from(), Some(Millis::MIN), "{health:?}");
        }
    }

    #[test]
    fn a_rest_ends_by_itself_and_the_longer_one_wins() {
        let health = Health::Ready
            .after(KeyEvent::Rest(20))
            .after(KeyEvent::Rest(10));
        assert_eq!(health.seen_at(19), KeyState::Cooling { until: 20 });
        assert_eq!(health.seen_at(20), KeyState::Ready);
    }
}
