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
pub(super) struct Pace {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The calls that are under way.
    running: u32,
    /// How many may be, as the settings said last.
    most: u32,
    /// Those that wait for their turn, in the order in which they came.
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// When the next call may leave, by the monotonic clock.
    free_at: Duration,
    /// How many wait for the moment at which they leave.
    leaving: usize,
}

/// What a call by a way holds while it is under way.
pub struct Turn(Option<Arc<Pace>>);

/// As many wait for a turn as may, or it took too long.
#[derive(Debug)]
pub struct NoTurn;

/// The moment at which a call leaves. Dropping it earlier gives it back if nobody has taken a later
/// one.
struct Departure<'a> {
    pace: &'a Pace,
    at: Duration,
    next: Duration,
    has_left: bool,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.state.lock();
        state.leaving -= 1;
        if !self.has_left && state.free_at == self.next {
            state.free_at = self.at;
        }
    }
}

/// What came of asking for a turn.
enum Begun {
    Now(Turn),
    Later(oneshot::Receiver<Turn>),
    Full,
}

impl State {
    fn has_room(&self) -> bool {
        self.most == 0 || self.running < self.most
    }

    /// Whether as many wait as may. Those that have given up are in nobody's way.
    fn is_full(&mut self, queue: usize) -> bool {
        if self.waiting.len() >= queue {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        self.waiting.len() >= queue
    }
}

impl Pace {
    /// Waits for the turn of a call: until less than `most` are under way (0: any number), and then
    /// until the last one has left `gap` ago, on average; for no longer than `patience` in all.
    ///
    /// # Errors
    /// When as many wait as the queue holds, or none of those under way ends in time. At once when
    /// its moment to leave comes too late.
    pub async fn turn(
        self: &Arc<Self>,
        (most, queue): (u32, usize),
        patience: Duration,
        gap: Duration,
        (clock, dice): (&Clock, &Dice),
    ) -> Result<Turn, NoTurn> {
        let came = clock.monotonic();
        let turn = match self.begins(most, queue) {
            Begun::Now(turn) => turn,
            Begun::Full => return Err(NoTurn),
            // Nobody drops the other end without giving.
            Begun::Later(given) => match clock.within(patience, given).await {
                Some(given) => given.unwrap_or(Turn(None)),
                None => return Err(NoTurn),
            },
        };
        if !gap.is_zero() {
            let now = clock.monotonic();
            let patience = patience.saturating_sub(now.saturating_sub(came));
            let gap = dice.jittered(gap.mul_f64(4.0 / 3.0));
            let mut departure = self.departure((now, gap), patience, queue)?;
            let pause = departure.at.saturating_sub(now);
            if !pause.is_zero() {
                clock.sleep(pause).await;
            }
            departure.has_left = true;
        }
        Ok(turn)
    }

    /// The next moment at which a call may leave, so that none leaves for `gap` after that.
    fn departure(
        &self,
        (now, gap): (Duration, Duration),
        patience: Duration,
        queue: usize,
    ) -> Result<Departure<'_>, NoTurn> {
        let mut state = self.state.lock();
        let at = state.free_at.max(now);
        if at > now && (at - now > patience || state.leaving >= queue) {
            return Err(NoTurn);
        }
        state.free_at = at + gap;
        state.leaving += 1;
        Ok(Departure {
            pace: self,
            at,
            next: state.free_at,
            has_left: false,
        })
    }

    fn begins(self: &Arc<Self>, most: u32, queue: usize) -> Begun {
        let mut state = self.state.lock();
        state.most = most;
        let mut given = Vec::new();
        // There may be more room than before.
        while state.has_room()
            && let Some(next) = state.waiting.pop_front()
        {
            state.running += 1;
            given.push(next);
        }
        let begun = if state.has_room() {
            state.running += 1;
            Begun::Now(Turn(Some(self.clone())))
        } else if state.is_full(queue) {
            Begun::Full
        } else {
            let (give, gets) = oneshot::channel();
            state.waiting.push_back(give);
            Begun::Later(gets)
        };
        drop(state);
        for next in given {
            // One that nobody takes is dropped, and goes on to the next.
            drop(next.send(Turn(Some(self.clone()))));
        }
        begun
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut pace) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = pace.state.lock();
                // There may be less room than before.
                let next = match state.most == 0 || state.running <= state.most {
                    true => state.waiting.pop_front(),
                    false => None,
                };
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
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn now(begun: Begun) -> Turn {
        match begun {
            Begun::Now(turn) => turn,
            _ => panic!("it has to wait"),
        }
    }

    fn later(begun: Begun) -> oneshot::Receiver<Turn> {
        match begun {
            Begun::Later(given) => given,
            _ => panic!("it does not wait"),
        }
    }

    #[test]
    fn turns_are_given_in_order_and_past_those_that_gave_up() {
        let pace = Arc::new(Pace::default());
        let first = now(pace.begins(1, 9));
        let gave_up = later(pace.begins(1, 9));
        let mut second = later(pace.begins(1, 9));
        let mut third = later(pace.begins(1, 9));
        assert!(matches!(pace.begins(1, 3), Begun::Full));
        drop(gave_up);
        let fourth = later(pace.begins(1, 3));
        drop(fourth);
        assert!(second.try_recv().is_err(), "the first is under way");
        drop(first);
        let turn = second.try_recv().unwrap();
        assert!(third.try_recv().is_err(), "one at a time");
        drop(turn);
        drop(third.try_recv().unwrap());
        assert_eq!(pace.state.lock().running, 0);
    }

    #[test]
    fn another_bound_holds_at_once() {
        let pace = Arc::new(Pace::default());
        let first = now(pace.begins(1, 9));
        let mut second = later(pace.begins(1, 9));
        let mut third = later(pace.begins(1, 9));
        let fourth = later(pace.begins(3, 9));
        let (second, third) = (second.try_recv().unwrap(), third.try_recv().unwrap());
        let mut fifth = later(pace.begins(2, 9));
        drop((first, fourth));
        assert!(fifth.try_recv().is_err(), "two are under way");
        drop(second);
        let fifth = fifth.try_recv().unwrap();
        let any = now(pace.begins(0, 9));
        drop((third, fifth, any));
        assert_eq!(pace.state.lock().running, 0);
    }

    #[tokio::test]
    async fn calls_leave_one_after_the_other() {
        let time = Arc::new(AtomicI64::new(1_000));
        let (shown, moved) = (time.clone(), time.clone());
        let clock = Clock::new(move || shown.load(Ordering::Relaxed)).sleeping(move |pause| {
            moved.fetch_add(
                i64::try_from(pause.as_millis()).unwrap() + 1,
                Ordering::Relaxed,
            );
            std::future::ready(())
        });
        let (pace, dice) = (Arc::new(Pace::default()), Dice::seeded(1));
        let gap = Duration::from_millis(300);
        let mut left = Vec::new();
        for _ in 0..4 {
            let turn = pace.turn((0, 9), gap * 2, gap, (&clock, &dice));
            let turn = turn.await.unwrap();
            left.push(time.load(Ordering::Relaxed));
            drop(turn);
        }
        assert_eq!(left[0], 1_000, "the first waits for nobody");
        for pair in left.windows(2) {
            // From two thirds of the gap to four.
            assert!((200..=402).contains(&(pair[1] - pair[0])), "{left:?}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_moment_that_comes_too_late() {
        let clock = Clock::new(|| 1_000).sleeping(|_| std::future::pending());
        let (pace, dice) = (Arc::new(Pace::default()), Dice::seeded(1));
        let (gap, patience) = (Duration::from_secs(1), Duration::from_secs(3));
        let turn = |queue| pace.turn((0, queue), patience, gap, (&clock, &dice));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        drop(turn(9).await.unwrap());
        // From two thirds of a second to four after one another: some come within three seconds.
        let mut waiting = Vec::new();
        let refused = loop {
            let mut next = Box::pin(turn(9));
            match next.as_mut().poll(&mut context) {
                std::task::Poll::Pending => waiting.push(next),
                std::task::Poll::Ready(turn) => break turn,
            }
        };
        assert!(refused.is_err());
        assert!((2..=5).contains(&waiting.len()), "{}", waiting.len());
        // Whoever goes leaves its moment to the next, if that is the last one.
        drop(waiting.pop());
        let mut next = Box::pin(turn(9));
        assert!(next.as_mut().poll(&mut context).is_pending());
        // And no more wait than may.
        drop(next);
        assert!(turn(waiting.len()).await.is_err());
    }
}
