use std::sync::atomic::{AtomicI64, Ordering};

use contract::Millis;

use super::window::Moment;

/// The time zone whose midnight starts a new day of quota
/// (<https://ai.google.dev/gemini-api/docs/rate-limits>: "resets at midnight Pacific time").
const QUOTA_ZONE: &str = "America/Los_Angeles";
/// No day is longer, with the hour that is added in autumn.
const LONGEST_DAY_MS: Millis = 25 * 60 * 60 * 1_000;
/// How long after midnight it may still be yesterday for Google: this machine's clock may be ahead,
/// and quotas need not begin anew at that very second.
const YOUNG_MS: Millis = 15 * 60 * 1_000;

/// The day of quota that it is now. Asking the calendar takes microseconds, so its end is kept.
#[derive(Debug, Default)]
pub(super) struct Day {
    ends: AtomicI64,
}

impl Day {
    /// The moment that `now` is.
    pub(super) fn at(&self, now: Millis) -> Moment {
        let kept = self.ends.load(Ordering::Relaxed);
        // A clock that was set back may be in another day.
        if now < kept && is_within(now, kept) {
            return Moment {
                now,
                day_ends: kept,
            };
        }
        let day_ends = next_midnight(now).unwrap_or(now + 24 * 60 * 60 * 1_000);
        self.ends.store(day_ends, Ordering::Relaxed);
        Moment { now, day_ends }
    }
}

impl Moment {
    /// Whether the day has begun so lately that Google may still count the last one.
    pub(super) fn is_young_day(self) -> bool {
        next_midnight(self.now - YOUNG_MS) != Some(self.day_ends)
    }
}

/// Whether the day that ends at `ends` holds `now` for sure.
fn is_within(now: Millis, ends: Millis) -> bool {
    let least = 23 * 60 * 60 * 1_000;
    let ago = ends - now;
    ago <= least || (ago <= LONGEST_DAY_MS && next_midnight(now) == Some(ends))
}

/// The next midnight in [`QUOTA_ZONE`] after `now`.
pub(super) fn next_midnight(now: Millis) -> Option<Millis> {
    let zone = jiff::tz::TimeZone::get(QUOTA_ZONE).ok()?;
    let today = jiff::Timestamp::from_millisecond(now).ok()?.to_zoned(zone);
    let tomorrow = today.tomorrow().ok()?.start_of_day().ok()?;
    Some(tomorrow.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Millis {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn the_day_follows_daylight_saving_in_california() {
        let day = Day::default();
        for (now, ends) in [
            ("2026-07-01T06:59:59Z", "2026-07-01T07:00:00Z"),
            ("2026-07-01T07:00:00Z", "2026-07-02T07:00:00Z"),
            // 25 hours: clocks go back on the first of November.
            ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
            ("2026-11-02T07:30:00Z", "2026-11-02T08:00:00Z"),
            ("2026-11-02T08:00:00Z", "2026-11-03T08:00:00Z"),
            // 23 hours.
            ("2027-03-14T08:00:00Z", "2027-03-15T07:00:00Z"),
            // A clock that was set back.
            ("2026-07-01T06:00:00Z", "2026-07-01T07:00:00Z"),
        ] {
            assert_eq!(day.at(ms(now)).day_ends, ms(ends), "at {now}");
        }
    }
}
