//! Moments on the wall clock of a place. What its clock shows is handed in, so that this
//! needs no browser; dates are written year first, which both languages read.

use std::rc::Rc;

use contract::Millis;

use super::format::civil;

const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

/// The wall clock of a place: a moment as it shows it, as if that were UTC.
#[derive(Clone)]
pub struct Zone(Rc<dyn Fn(Millis) -> Millis>);

impl Zone {
    /// The place whose clock shows so many milliseconds since 1970 at a given moment.
    pub fn new(local: impl Fn(Millis) -> Millis + 'static) -> Self {
        Self(Rc::new(local))
    }

    /// The day, e.g. `2026-11-25`.
    pub fn date(&self, at: Millis) -> String {
        let (year, month, day) = civil(self.local(at).div_euclid(DAY));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// The time of day to the second, e.g. `14:03:22`.
    pub fn time(&self, at: Millis) -> String {
        let seconds = self.local(at).rem_euclid(DAY) / 1_000;
        format!(
            "{:02}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    }

    /// The hour of the day, 0 to 23.
    pub fn hour(&self, at: Millis) -> i64 {
        self.local(at).rem_euclid(DAY) / (60 * MINUTE)
    }

    /// As `<input type="datetime-local">` wants it, e.g. `2026-11-25T14:03`.
    pub fn to_input(&self, at: Millis) -> String {
        let time = self.time(at);
        let minutes = time.get(..5).unwrap_or_default();
        format!("{}T{minutes}", self.date(at))
    }

    /// What a person chose in `<input type="datetime-local">` or `<input type="date">`
    /// (the day's first moment then); `None` for anything else.
    pub fn of_input(&self, text: &str) -> Option<Millis> {
        let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
        let mut date = date.splitn(3, '-');
        let (year, month, day) = (date.next()?, date.next()?, date.next()?);
        let (hour, rest) = time.split_once(':')?;
        let minute = rest.split(':').next()?;
        let number = |text: &str| text.parse::<i64>().ok().filter(|n| *n >= 0);
        let (month, day) = (number(month)?, number(day)?);
        let (hour, minute) = (number(hour)?, number(minute)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
            return None;
        }
        let year = number(year).filter(|year| *year <= 9_999)?;
        let local = days(year, month, day) * DAY + (hour * 60 + minute) * MINUTE;
        // How far the clock is ahead is known by the moment and not by what the clock
        // shows: a guess, then what the guess says. In the hour that summer time repeats,
        // either answer is right.
        let ahead = |at| self.local(at) - at;
        let guess = local - ahead(local);
        Some(local - ahead(guess))
    }

    fn local(&self, at: Millis) -> Millis {
        (self.0)(at)
    }
}

/// Days since 1970-01-01: the way back of [`civil`], by the same method.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25 02:30:05 UTC.
    const AT: Millis = 1_795_573_805_000;

    fn ahead(minutes: Millis) -> Zone {
        Zone::new(move |at| at + minutes * MINUTE)
    }

    #[test]
    fn a_moment_has_the_date_and_time_of_its_place() {
        let (utc, shanghai, honolulu) = (ahead(0), ahead(480), ahead(-600));
        assert_eq!(utc.date(AT) + " " + &utc.time(AT), "2026-11-25 02:30:05");
        assert_eq!(shanghai.time(AT), "10:30:05");
        assert_eq!(honolulu.date(AT), "2026-11-24");
        assert_eq!((shanghai.hour(AT), honolulu.hour(AT)), (10, 16));
        assert_eq!(utc.date(-1), "1969-12-31");
    }

    #[test]
    fn what_is_shown_in_a_field_is_read_back_as_the_same_minute() {
        // An offset that changes on the day, as in a place with summer time.
        let berlin = Zone::new(|at| at + if at < AT { 120 } else { 60 } * MINUTE);
        for at in [
            0,
            AT - 86_400_000,
            AT - 7_200_000,
            AT + 7_200_000,
            951_782_400_000,
        ] {
            let minute = at - at.rem_euclid(MINUTE);
            assert_eq!(berlin.of_input(&berlin.to_input(minute)), Some(minute));
        }
        assert_eq!(
            ahead(480).of_input("2026-11-25"),
            Some(AT - AT.rem_euclid(DAY) - 480 * MINUTE)
        );
    }

    #[test]
    fn every_day_of_four_centuries_has_a_date_of_its_own() {
        let mut last = String::new();
        let utc = ahead(0);
        for day in -146_097..146_097 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
            let shown = utc.date(day * DAY);
            assert!(shown > last, "{shown} after {last}");
            last = shown;
        }
    }

    #[test]
    fn what_no_field_sends_is_no_moment() {
        let utc = ahead(0);
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-01-00",
            "x-y-z",
            "2026-01-01T24:00",
            "-1-01-01",
        ] {
            assert_eq!(utc.of_input(text), None, "{text}");
        }
    }
}
