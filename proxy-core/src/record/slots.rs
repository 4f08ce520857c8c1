//! The hours and days that requests are summed up by: those of the server's time zone.
//!
//! A slot is named by the moment it begins at. When clocks are put back, an hour of the wall
//! clock comes twice and is two slots; a day has 23 to 25 hours.

use std::collections::HashMap;

use contract::Millis;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Every time zone in use is a whole number of quarters of an hour away from UTC, so all
/// moments of a quarter are in the same slot.
const QUARTER_MS: Millis = 15 * 60 * 1000;

/// The length of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// An hour of the wall clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// A month of the calendar.
    Month,
}

/// When the slot of a moment began. The moment itself outside the years that the calendar
/// knows.
pub fn begin(period: Period, at: Millis, zone: &TimeZone) -> Millis {
    let local = |at: Zoned| match period {
        Period::Day => at.start_of_day().ok().map(|start| start.timestamp()),
        Period::Month => {
            let first = at.first_of_month().and_then(|first| first.start_of_day());
            first.ok().map(|start| start.timestamp())
        }
        Period::Hour => {
            let quarters = i64::from(at.minute()) * 60 + i64::from(at.second());
            let since = quarters * 1000 + i64::from(at.millisecond());
            Timestamp::from_millisecond(at.timestamp().as_millisecond() - since).ok()
        }
    };
    Timestamp::from_millisecond(at)
        .ok()
        .and_then(|at| local(at.to_zoned(zone.clone())))
        .map_or(at, Timestamp::as_millisecond)
}

/// The beginnings of `count` slots, oldest first, the last of which holds `now`.
pub fn last(period: Period, count: usize, now: Millis, zone: &TimeZone) -> Vec<Millis> {
    let mut slots = vec![begin(period, now, zone)];
    while let Some(newest) = slots.last()
        && slots.len() < count
    {
        // The slot before holds the moment before this one began.
        slots.push(begin(period, newest - 1, zone));
    }
    slots.reverse();
    slots
}

/// Which of the slots, oldest first, holds a moment; `None` before the first. A sum that was made
/// in another time zone does not begin where a slot does.
pub fn holding(slots: &[Millis], at: Millis) -> Option<usize> {
    slots.partition_point(|slot| *slot <= at).checked_sub(1)
}

/// Finds the slots of many moments that are close together.
pub(crate) struct Slots<'a> {
    zone: &'a TimeZone,
    known: HashMap<Millis, [(Period, Millis); 3]>,
}

impl<'a> Slots<'a> {
    pub(crate) fn new(zone: &'a TimeZone) -> Self {
        Self {
            zone,
            known: HashMap::new(),
        }
    }

    /// When the hour, the day and the month of a moment began.
    pub(crate) fn of(&mut self, at: Millis) -> [(Period, Millis); 3] {
        let quarter = at.div_euclid(QUARTER_MS) * QUARTER_MS;
        let slots = self.known.entry(quarter).or_insert_with(|| {
            [Period::Hour, Period::Day, Period::Month]
                .map(|period| (period, begin(period, quarter, self.zone)))
        });
        *slots
    }
}

/// A span of slots, to be summed up: those that begin in `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The length of the slots.
    pub period: Period,
    /// The first.
    pub from: Millis,
    /// Before this moment.
    pub to: Millis,
}

/// Few slots that hold everything since the slot that began at `since`: as soon as a longer
/// one begins, what is in it is read from there, when the range is worth it.
pub fn spans(period: Period, since: Millis, now: Millis, zone: &TimeZone) -> Vec<Span> {
    const DAY_MS: Millis = 24 * 60 * 60 * 1000;
    // Sums that were made in another time zone begin some hours before or after. Of a day's
    // worth nothing can be said of days, but a month is not missed.
    const ZONES_APART: Millis = 26 * 60 * 60 * 1000;
    let longer = match period {
        Period::Hour if now - since >= 2 * DAY_MS => Some((Period::Day, 36 * 60 * 60 * 1000, 0)),
        // A month has 28 to 31 days, so 32 days after its beginning is in the next one.
        Period::Day if now - since >= 62 * DAY_MS => {
            Some((Period::Month, 32 * DAY_MS, ZONES_APART))
        }
        _ => None,
    };
    let Some((longer, into_next, apart)) = longer else {
        return vec![Span {
            period,
            from: since,
            to: Millis::MAX,
        }];
    };
    let holding = begin(longer, since, zone);
    let next = match holding == since {
        true => since,
        false => begin(longer, holding + into_next, zone),
    };
    vec![
        Span {
            period,
            from: since,
            to: next,
        },
        Span {
            period: longer,
            from: next - apart,
            to: Millis::MAX,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn days_are_as_long_as_they_are_and_no_hour_is_missing_when_clocks_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // 2026-10-25 has 25 hours there.
        let day = at("2026-10-24T22:00:00Z");
        assert_eq!(begin(Period::Day, day, &zone), day);
        assert_eq!(begin(Period::Day, day - 1, &zone), day - 24 * 3_600_000);
        let next = at("2026-10-25T23:00:00Z");
        assert_eq!(begin(Period::Day, next - 1, &zone), day);
        assert_eq!(last(Period::Day, 2, next, &zone), [day, next]);
        let hours = last(Period::Hour, 26, next, &zone);
        let expected: Vec<Millis> = (0..26).map(|hour| day + hour * 3_600_000).collect();
        assert_eq!(hours, expected);
    }

    #[test]
    fn a_year_is_some_days_and_whole_months() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let now = at("2026-11-25T12:00:00Z");
        let midnight = |text: &str| at(&format!("{text}T00:00:00+08:00"));
        let since = last(Period::Day, 365, now, &zone)[0];
        assert_eq!(since, midnight("2025-11-26"));
        let [days, months] = spans(Period::Day, since, now, &zone)[..] else {
            panic!("two spans");
        };
        let december = midnight("2025-12-01");
        assert_eq!(
            (days.period, days.from, days.to),
            (Period::Day, since, december)
        );
        assert_eq!(months.period, Period::Month);
        assert!(months.from < december && months.from > midnight("2025-11-01"));
        for first in ["2026-01-01", "2026-02-01", "2026-03-01"] {
            let spans = spans(Period::Day, midnight(first), now, &zone);
            assert_eq!(spans[0].from, spans[0].to, "{first}: no day besides");
        }
        for (date, next) in [("2026-01-02", "2026-02-01"), ("2026-01-31", "2026-02-01")] {
            let spans = spans(Period::Day, midnight(date), now, &zone);
            assert_eq!(spans[0].to, midnight(next), "{date}");
        }
        let day = last(Period::Hour, 24, now, &zone)[0];
        assert_eq!(spans(Period::Hour, day, now, &zone).len(), 1);
        let week = last(Period::Hour, 168, now, &zone)[0];
        let spans = spans(Period::Hour, week, now, &zone);
        let first_day = midnight("2026-11-19");
        assert_eq!((spans[0].from, spans[0].to), (week, first_day));
        assert_eq!((spans[1].period, spans[1].from), (Period::Day, first_day));
    }

    #[test]
    fn what_was_summed_up_in_another_zone_is_in_the_slot_that_holds_it() {
        let now = at("2026-11-25T12:00:00Z");
        let slots = last(Period::Day, 3, now, &TimeZone::UTC);
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        let day = begin(Period::Day, now, &shanghai);
        assert_eq!(holding(&slots, day), Some(1));
        assert_eq!(holding(&slots, slots[2]), Some(2));
        assert_eq!(holding(&slots, slots[0] - 1), None);
    }

    #[test]
    fn every_moment_is_in_one_slot_and_that_slot_is_listed() {
        for (zone, from) in [
            ("Asia/Shanghai", "2026-11-20T00:00:00Z"),
            ("Asia/Kathmandu", "2026-11-20T00:00:00Z"),
            ("America/Sao_Paulo", "2018-11-03T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let mut slots = Slots::new(&zone);
            let (from, now) = (at(from), at(from) + 3 * 86_400_000);
            for period in [Period::Hour, Period::Day] {
                let listed = last(period, 80, now, &zone);
                assert!(listed.is_sorted_by(|a, b| a < b));
                for minute in 0..(now - from) / 60_000 {
                    let moment = from + minute * 60_000 + 59_999;
                    let found = slots.of(moment);
                    let (_, slot) = found[usize::from(period == Period::Day)];
                    assert_eq!(slot, begin(period, moment, &zone), "{moment}");
                    assert!(slot <= moment && listed.contains(&slot), "{moment}");
                }
            }
        }
    }
}
