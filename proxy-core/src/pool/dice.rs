use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Randomness, handed in: for pauses that are not to end all at once. Nothing secret.
#[derive(Debug)]
pub struct Dice(AtomicU64);

impl Default for Dice {
    /// From the system's randomness; without it, always the same.
    fn default() -> Self {
        Self::seeded(getrandom::u64().unwrap_or_default())
    }
}

impl Dice {
    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// From half of `most` to all of it.
    pub fn jittered(&self, most: Duration) -> Duration {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        most.mul_f64(0.5 + share / 2.0)
    }

    /// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
    fn next(&self) -> u64 {
        let mut z = self
            .0
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
