use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::pool::Dice;

/// How the calls by one way follow each other: no more than so many at once, and not all at the same
/// moment.
#[derive(Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    /// The calls that are under way.
    running: u32,
    /// Those that wait for their turn, in the order in which they came.
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// When the next call may leave, by the monotonic clock.
    free_at: Duration,
}

/// What a call by a way holds while it is under way.
pub struct Turn(Option<Arc<Pace>>);

impl Pace {
    /// Waits for the turn of a call: until less than `most` are under way (0: any number), and until
    /// the last one has left `gap` ago, on average.
    pub async fn turn(
        self: &Arc<Self>,
        (most, gap): (u32, Duration),
        (clock, dice): (&Clock, &Dice),
    ) -> Turn {
        let turn = self.begins(most);
        let turn = match turn {
            Ok(turn) => turn,
            Err(given) => match given.await {
                Ok(turn) => turn,
                // Nobody drops the other end without giving.
                Err(_) => Turn(None),
            },
        };
        if !gap.is_zero() {
            let pause = self.pause(clock.monotonic(), dice.jittered(gap.mul_f64(4.0 / 3.0)));
            if !pause.is_zero() {
                clock.sleep(pause).await;
            }
        }
        turn
    }

    /// A turn now, or where it will be given.
    fn begins(self: &Arc<Self>, most: u32) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut state = self.0.lock();
        if most == 0 || (state.running < most && state.waiting.is_empty()) {
            state.running += 1;
            return Ok(Turn(Some(self.clone())));
        }
        let (give, given) = oneshot::channel();
        state.waiting.push_back(give);
        Err(given)
    }

    /// How long a call waits that comes `now`; the next one leaves `gap` after it.
    fn pause(&self, now: Duration, gap: Duration) -> Duration {
        let mut state = self.0.lock();
        let at = state.free_at.max(now);
        state.free_at = at.saturating_add(gap);
        at.saturating_sub(now)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut pace) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = pace.0.lock();
                let next = state.waiting.pop_front();
                if next.is_none() {
                    state.running = state.running.saturating_sub(1);
                }
                next
            };
            let Some(next) = next else { return };
            // Whoever has given up leaves it to the one behind.
            match next.send(Self(Some(pace))) {
                Ok(()) => return,
                Err(mut turn) => match turn.0.take() {
                    Some(back) => pace = back,
                    None => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_given_in_order_and_past_those_that_gave_up() {
        let pace = Arc::new(Pace::default());
        let first = pace.begins(1).map_err(drop).unwrap();
        let gave_up = pace.begins(1).map(drop).unwrap_err();
        let mut second = pace.begins(1).map(drop).unwrap_err();
        let mut third = pace.begins(1).map(drop).unwrap_err();
        drop(gave_up);
        assert!(second.try_recv().is_err(), "the first is under way");
        drop(first);
        let turn = second.try_recv().unwrap();
        assert!(third.try_recv().is_err(), "one at a time");
        // Where there is room now, nobody overtakes.
        let mut newcomer = pace.begins(2).map(drop).unwrap_err();
        drop(turn);
        let turn = third.try_recv().unwrap();
        drop(turn);
        drop(newcomer.try_recv().unwrap());
        assert_eq!(pace.0.lock().running, 0);
        assert!(pace.begins(1).is_ok());
    }

    #[test]
    fn without_a_bound_nobody_waits() {
        let pace = Arc::new(Pace::default());
        let turns: Vec<_> = (0..100).filter_map(|_| pace.begins(0).ok()).collect();
        assert_eq!(turns.len(), 100);
    }

    #[test]
    fn calls_leave_one_after_the_other() {
        let pace = Pace::default();
        let ms = Duration::from_millis;
        let pauses = [(1_000, 10), (1_000, 20), (1_001, 10), (2_000, 10)]
            .map(|(now, gap)| pace.pause(ms(now), ms(gap)));
        assert_eq!(pauses, [ms(0), ms(10), ms(29), ms(0)]);
    }
}
