//! The time, handed in.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use contract::Millis;

/// Where every part of the core reads the time, so that tests can set it.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Millis + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
    sleep: Arc<dyn Fn(Duration) -> Sleep + Send + Sync>,
}

/// Ends when some time has passed.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Clock {
    /// The machine's own clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clocks"
    )]
    pub fn system() -> Self {
        let start = std::time::Instant::now();
        Self {
            wall: Arc::new(|| {
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| {
                        since.as_millis().try_into().unwrap_or(Millis::MAX)
                    })
            }),
            steady: Arc::new(move || start.elapsed()),
            sleep: Arc::new(|time| Box::pin(tokio::time::sleep(time))),
        }
    }

    /// A clock that shows what `wall` says, for both [`Clock::now`] and [`Clock::monotonic`].
    pub fn new(wall: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        let wall = Arc::new(wall);
        let steady = wall.clone();
        Self {
            wall,
            steady: Arc::new(move || Duration::from_millis(steady().max(0).unsigned_abs())),
            sleep: Arc::new(|time| Box::pin(tokio::time::sleep(time))),
        }
    }

    /// The same, where [`Clock::sleep`] is what `sleep` makes of it.
    #[must_use]
    pub fn sleeping<F>(self, sleep: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self {
            sleep: Arc::new(move |time| Box::pin(sleep(time))),
            ..self
        }
    }

    /// Ends when this clock shows that much more.
    pub fn sleep(&self, time: Duration) -> Sleep {
        (self.sleep)(time)
    }

    /// What comes of `future`, if it does before this clock shows that much more.
    pub async fn within<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(time) => None,
        }
    }

    /// The time of day: milliseconds since the Unix epoch. May jump when the user sets it.
    pub fn now(&self) -> Millis {
        (self.wall)()
    }

    /// Time since an unspecified start, for measuring durations. Never goes back.
    pub fn monotonic(&self) -> Duration {
        (self.steady)()
    }
}
