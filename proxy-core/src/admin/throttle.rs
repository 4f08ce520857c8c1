//! How long a guesser must wait: longer after every wrong guess.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use contract::Millis;

/// Wrong guesses from one address that cost nothing: people mistype.
const FREE: u32 = 5;
/// The first wait; doubled with every further wrong guess.
const FIRST_WAIT_MS: Millis = 1_000;
/// The longest wait of one address.
const LONGEST_WAIT_MS: Millis = 15 * 60 * 1_000;
/// Wrong guesses from everywhere together that cost nothing.
const FREE_TOGETHER: u32 = 30;
/// The longest wait on account of others: a crowd of guessers is slowed down to two guesses
/// a minute, and the owner is not shut out for long, though a crowd may be quicker.
const LONGEST_WAIT_TOGETHER_MS: Millis = 30 * 1_000;
/// After this long without a wrong guess all is forgotten.
const MEMORY_MS: Millis = 60 * 60 * 1_000;
/// How many addresses are remembered.
const ADDRESSES: usize = 10_000;

/// Counts wrong guesses, by address and together.
#[derive(Default)]
pub(super) struct Throttle {
    by_address: HashMap<IpAddr, Guesses>,
    together: Guesses,
}

#[derive(Clone, Copy, Default)]
struct Guesses {
    wrong: u32,
    last: Millis,
    /// When the one before the last was.
    before: Millis,
}

impl Guesses {
    fn at(self, now: Millis) -> Self {
        if now.saturating_sub(self.last) > MEMORY_MS {
            Self::default()
        } else {
            self
        }
    }

    /// When the next guess is allowed.
    fn next(self, free: u32, longest: Millis) -> Millis {
        let Some(over) = self.wrong.checked_sub(free) else {
            return Millis::MIN;
        };
        let wait = FIRST_WAIT_MS.saturating_mul(1 << over.min(20)).min(longest);
        self.last.saturating_add(wait)
    }

    fn count(&mut self, now: Millis) {
        *self = Self {
            wrong: self.at(now).wrong.saturating_add(1),
            last: now,
            before: self.last,
        };
    }

    /// The last one was none.
    fn take_back(&mut self) {
        self.wrong = self.wrong.saturating_sub(1);
        self.last = self.before;
    }
}

impl Throttle {
    /// Lets a guess through, or says for how many seconds to wait. One that is let through
    /// counts as wrong until [`Throttle::right`] takes that back, so that guesses sent at
    /// the same time are counted before they are answered.
    pub(super) fn guess(&mut self, from: IpAddr, now: Millis) -> Result<(), u64> {
        let from = network(from);
        let known = self.by_address.get(&from).copied().unwrap_or_default();
        let own = known.at(now).next(FREE, LONGEST_WAIT_MS);
        let together = self
            .together
            .at(now)
            .next(FREE_TOGETHER, LONGEST_WAIT_TOGETHER_MS);
        let wait = own.max(together).saturating_sub(now);
        if wait > 0 {
            return Err(wait.unsigned_abs().div_ceil(1_000));
        }
        if self.by_address.len() >= ADDRESSES {
            self.by_address
                .retain(|_, guesses| now.saturating_sub(guesses.last) <= MEMORY_MS);
            if self.by_address.len() >= ADDRESSES {
                // So many at once are an attack, which the common count slows down.
                self.by_address.clear();
            }
        }
        self.by_address.entry(from).or_default().count(now);
        self.together.count(now);
        Ok(())
    }

    /// The guess was none after all; earlier ones stay counted.
    pub(super) fn take_back(&mut self, from: IpAddr) {
        if let Some(guesses) = self.by_address.get_mut(&network(from)) {
            guesses.take_back();
        }
        self.together.take_back();
    }

    /// The guess was right after all.
    pub(super) fn right(&mut self, from: IpAddr) {
        self.by_address.remove(&network(from));
        self.together.wrong = self.together.wrong.saturating_sub(1);
    }
}

/// Who has one IPv6 address has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour_and_end_with_a_right_guess() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.guess(HERE, 0), Ok(()));
        }
        assert_eq!(throttle.guess(HERE, 0), Err(1));
        assert_eq!(throttle.guess(HERE, 1_000), Ok(()));
        assert_eq!(throttle.guess(HERE, 1_001), Err(2));
        assert_eq!(throttle.guess(HERE, 3_000), Ok(()));
        throttle.right(HERE);
        for _ in 0..5 {
            assert_eq!(throttle.guess(HERE, 3_000), Ok(()));
        }
        let mut now = 3_000;
        for _ in 0..40 {
            let Err(wait) = throttle.guess(HERE, now) else {
                continue;
            };
            assert!(wait <= 15 * 60);
            now += i64::try_from(wait).unwrap() * 1_000;
        }
        assert_eq!(throttle.guess(HERE, now + MEMORY_MS + 900_000), Ok(()));
    }

    #[test]
    fn a_guess_that_was_none_prolongs_no_wait() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.guess(HERE, 0), Ok(()));
        }
        // The wait of one second is over: the right password without a code.
        assert_eq!(throttle.guess(HERE, 1_000), Ok(()));
        throttle.take_back(HERE);
        assert_eq!(
            throttle.guess(HERE, 1_001),
            Ok(()),
            "with the code, at once"
        );
        assert_eq!(throttle.guess(HERE, 1_002), Err(2));
    }

    #[test]
    fn many_addresses_together_are_slowed_down_but_not_shut_out() {
        let mut throttle = Throttle::default();
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        for n in 0..30 {
            assert_eq!(throttle.guess(address(n), 0), Ok(()));
        }
        assert_eq!(throttle.guess(address(99), 0), Err(1));
        let mut now = 0;
        for n in 100..200 {
            if let Err(wait) = throttle.guess(address(n), now) {
                assert!(wait <= 30);
                now += i64::try_from(wait).unwrap() * 1_000;
            }
        }
    }

    #[test]
    fn neighbours_in_ipv6_are_one_address() {
        let mut throttle = Throttle::default();
        let address = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        for n in 0..5 {
            assert_eq!(throttle.guess(address(n), 0), Ok(()));
        }
        assert_eq!(throttle.guess(address(77), 0), Err(1));
    }
}
