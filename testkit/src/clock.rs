//! A time that tests move by hand.

use std::time::Duration;

use tokio::sync::watch;

/// A clock that stands still until somebody advances it. Clones share one time.
///
/// ```
/// let clock = testkit::clock::VirtualClock::at(1_700_000_000_000);
/// clock.advance(std::time::Duration::from_secs(2));
/// assert_eq!(clock.now(), 1_700_000_002_000);
/// ```
#[derive(Clone, Debug)]
pub struct VirtualClock {
    now: watch::Sender<i64>,
}

impl VirtualClock {
    /// A clock that shows this moment, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn at(millis_since_epoch: i64) -> Self {
        Self {
            now: watch::Sender::new(millis_since_epoch),
        }
    }

    /// What the clock shows, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> i64 {
        *self.now.borrow()
    }

    /// Moves the clock forward and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now.send_modify(|now| *now = now.saturating_add(by));
    }

    /// Sets the clock, forwards or backwards, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn set(&self, millis_since_epoch: i64) {
        self.now.send_replace(millis_since_epoch);
    }

    /// Tells of every change of what the clock shows.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.now.subscribe()
    }

    /// Returns when the clock has been advanced by this much.
    pub async fn sleep(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let until = self.now().saturating_add(millis);
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.now.subscribe().wait_for(|now| *now >= until).await;
    }
}

/// The machine's clock, which can be set forward by hand. Clones share one time.
#[derive(Clone, Debug)]
pub struct AheadClock {
    by: watch::Sender<i64>,
}

impl Default for AheadClock {
    fn default() -> Self {
        Self {
            by: watch::Sender::new(0),
        }
    }
}

impl AheadClock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> i64 {
        let ahead = *self.by.borrow();
        jiff::Timestamp::now()
            .as_millisecond()
            .saturating_add(ahead)
    }

    /// Moves the clock forward and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.by
            .send_modify(|ahead| *ahead = ahead.saturating_add(by));
    }

    /// Returns when this much time has passed, by itself or by hand.
    pub async fn sleep(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let until = self.now().saturating_add(millis);
        let mut moved = self.by.subscribe();
        while let Ok(left @ 1..) = u64::try_from(until.saturating_sub(self.now())) {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
                // The sender lives in `self`, so waiting cannot fail.
                _ = moved.changed() => {}
            }
        }
    }
}

/// Where a fake takes its time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that the test moves.
    Virtual(VirtualClock),
    /// The machine's clock, set forward by hand.
    Ahead(AheadClock),
}

impl Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> i64 {
        match self {
            Self::System => jiff::Timestamp::now().as_millisecond(),
            Self::Virtual(clock) => clock.now(),
            Self::Ahead(clock) => clock.now(),
        }
    }

    /// Returns after this much of the clock's own time.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            Self::Virtual(clock) => clock.sleep(duration).await,
            Self::Ahead(clock) => clock.sleep(duration).await,
        }
    }
}

impl From<AheadClock> for Clock {
    fn from(clock: AheadClock) -> Self {
        Self::Ahead(clock)
    }
}

impl From<VirtualClock> for Clock {
    fn from(clock: VirtualClock) -> Self {
        Self::Virtual(clock)
    }
}

impl From<&VirtualClock> for Clock {
    fn from(clock: &VirtualClock) -> Self {
        Self::Virtual(clock.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::{AheadClock, VirtualClock};

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_is_advanced_far_enough() {
        let clock = VirtualClock::at(0);
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(10)));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(9));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        sleep.await;
        assert_eq!(clock.now(), 10_000);
    }

    #[tokio::test]
    async fn a_clock_set_forward_wakes_sleepers_too() {
        let clock = AheadClock::default();
        let before = clock.now();
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(3600)));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(3600));
        sleep.await;
        assert!(clock.now() >= before + 3_600_000);
    }
}
