use std::collections::HashMap;

use contract::Millis;
use parking_lot::Mutex;

/// How many conversations are remembered in each of the two halves.
const MOST: usize = 5_000;
/// How long one is remembered after its last answer; Google keeps what it has cached for less.
const KEPT_MS: Millis = 30 * 60 * 1_000;

/// Which key answered a conversation last. What is not asked for falls out of the older half.
#[derive(Debug, Default)]
pub(super) struct Affinity(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<u64, (i64, Millis)>,
    old: HashMap<u64, (i64, Millis)>,
}

impl Affinity {
    pub(super) fn find(&self, now: Millis, conversation: u64) -> Option<i64> {
        let halves = self.0.lock();
        let found = halves.young.get(&conversation);
        let (key, at) = *found.or_else(|| halves.old.get(&conversation))?;
        (now.saturating_sub(at) < KEPT_MS).then_some(key)
    }

    pub(super) fn keep(&self, now: Millis, conversation: u64, key: i64) {
        let mut halves = self.0.lock();
        if halves.young.len() >= MOST {
            halves.old = std::mem::take(&mut halves.young);
        }
        halves.young.insert(conversation, (key, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_for_a_while() {
        let affinity = Affinity::default();
        let most = u64::try_from(MOST).unwrap();
        for conversation in 0..most * 3 {
            affinity.keep(0, conversation, 7);
        }
        assert_eq!(affinity.find(1, most * 3 - 1), Some(7));
        assert_eq!(affinity.find(1, 0), None);
        assert_eq!(affinity.find(KEPT_MS, most * 3 - 1), None);
        assert!(affinity.0.lock().young.len() <= MOST);
    }
}
