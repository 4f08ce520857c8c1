//! What the limits of some projects say about the others, whose limits are not known yet.
//!
//! Most projects have the limits that others have. Each has to meet them to find out, but not
//! many times at once: a project that has been asked as often as another may be asked at most is
//! asked for one request at a time until it is known to be past that. It is not taken to have the
//! same limit: those with the smallest meet theirs first, and would keep all others down.

use super::window::Caps;

/// Each value that projects of a model were told, and how many of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    rpm: Seen,
    rpd: Seen,
}

#[derive(Clone, Debug, Default)]
struct Seen(Vec<(u64, u32)>);

impl Seen {
    fn change(&mut self, before: Option<u64>, after: Option<u64>) {
        if before == after {
            return;
        }
        if let Some(value) = before {
            if let Some((_, projects)) = self.0.iter_mut().find(|(known, _)| *known == value) {
                *projects -= 1;
            }
            self.0.retain(|(_, projects)| *projects > 0);
        }
        if let Some(value) = after {
            match self.0.iter_mut().find(|(known, _)| *known == value) {
                Some((_, projects)) => *projects += 1,
                None => self.0.push((value, 1)),
            }
        }
    }

    fn has(&self, value: u64) -> bool {
        self.0.iter().any(|(known, _)| *known == value)
    }
}

impl Hints {
    /// Notes that the limits that a project was told are others now.
    pub(super) fn change(&mut self, before: Caps, after: Caps) {
        self.rpm.change(before.rpm, after.rpm);
        self.rpd.change(before.rpd, after.rpd);
    }

    /// Whether so many requests, in the last minute and today, are what another project may have
    /// at most, so that the next may be refused. `known` are the limits of this one.
    pub(super) fn doubt(&self, known: Caps, requests: u64, today: u64) -> bool {
        (known.rpm.is_none() && self.rpm.has(requests))
            || (known.rpd.is_none() && self.rpd.has(today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_was_told_is_doubted_of_the_others_as_long_as_one_is_known_to_have_it() {
        let rpm = |rpm| Caps {
            rpm,
            ..Caps::default()
        };
        let mut hints = Hints::default();
        hints.change(rpm(None), rpm(Some(10)));
        hints.change(rpm(None), rpm(Some(10)));
        hints.change(rpm(None), rpm(Some(15)));
        let doubted = |hints: &Hints| {
            let doubted = (0..20).filter(|requests| hints.doubt(Caps::default(), *requests, 0));
            doubted.collect::<Vec<_>>()
        };
        assert_eq!(doubted(&hints), [10, 15]);
        assert!(!hints.doubt(rpm(Some(50)), 10, 0), "its own is known");
        hints.change(rpm(Some(15)), rpm(Some(20)));
        hints.change(rpm(Some(10)), rpm(None));
        assert_eq!(doubted(&hints), [10]);
        hints.change(rpm(Some(10)), rpm(None));
        assert_eq!(doubted(&hints), [0_u64; 0]);
    }
}
