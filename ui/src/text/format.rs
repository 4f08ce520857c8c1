//! Numbers and times for people. No clock and no browser in here.

use contract::Millis;

use super::Lang;

/// `1234567` as `1,234,567`, as both languages write it.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length of time by its two largest units, e.g. `3 min 20 s`. Rounded up to whole
/// seconds, so that a countdown never shows 0 before its time.
pub fn duration(lang: Lang, millis: Millis) -> String {
    let seconds = (millis.max(0) as u64).div_ceil(1000);
    let units = [
        ("time.d", seconds / 86_400),
        ("time.h", seconds / 3_600 % 24),
        ("time.min", seconds / 60 % 60),
        ("time.s", seconds % 60),
    ];
    let first = units.iter().position(|(_, n)| *n > 0).unwrap_or(3);
    units[first..]
        .iter()
        .take(2)
        .filter(|(key, n)| *n > 0 || *key == units[first].0)
        .map(|(key, n)| lang.f(key, &[("n", n)]).to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// How long ago a moment was, by one unit, e.g. `5 min ago`.
pub fn ago(lang: Lang, now: Millis, then: Millis) -> String {
    let seconds = (now - then).max(0) / 1000;
    let (key, n) = match seconds {
        0..10 => return lang.t("time.just_now").to_string(),
        10..60 => ("time.s", seconds),
        60..3_600 => ("time.min", seconds / 60),
        3_600..86_400 => ("time.h", seconds / 3_600),
        _ => ("time.d", seconds / 86_400),
    };
    let amount = lang.f(key, &[("n", &n)]);
    lang.f("time.ago", &[("amount", &amount)]).to_string()
}

/// A moment as `2026-11-25 10:32`, which both languages read, by the clock whose
/// milliseconds since 1970 these are.
pub fn date_time(millis: Millis) -> String {
    let minutes = millis.div_euclid(60_000);
    let (year, month, day) = civil(minutes.div_euclid(1_440));
    let minute = minutes.rem_euclid(1_440);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}",
        minute / 60,
        minute % 60
    )
}

/// The date of a day counted from 1970-01-01, by the method of eras of 400 years that
/// begin in March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A size in bytes by its largest unit, e.g. `3.2 MiB`.
pub fn size(bytes: u64) -> String {
    let mut unit = "B";
    let mut shown = bytes as f64;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if shown < 1024.0 {
            break;
        }
        shown /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{shown:.1} {unit}")
    }
}

/// How long an answer took, e.g. `812 ms` or `3.2 s`; from a minute on as [`duration`].
pub fn latency(lang: Lang, millis: u32) -> String {
    match millis {
        0..1_000 => lang.f("time.ms", &[("n", &millis)]).to_string(),
        1_000..60_000 => {
            let seconds = format!("{}.{}", millis / 1_000, millis % 1_000 / 100);
            lang.f("time.s", &[("n", &seconds)]).to_string()
        }
        _ => duration(lang, millis.into()),
    }
}

/// Millionths of a US dollar as an amount of money, with as many digits as matter.
pub fn cost(lang: Lang, micros: u64) -> String {
    let (dollars, rest) = (micros / 1_000_000, micros % 1_000_000);
    let amount = match micros {
        0 => "0".to_owned(),
        1..1_000 => format!("0.{rest:06}"),
        1_000..1_000_000 => format!("0.{:04}", rest / 100),
        _ => format!("{}.{:02}", number(dollars), rest / 10_000),
    };
    lang.f("money.usd", &[("n", &amount)]).to_string()
}

/// A part of a whole in percent. What is there is never shown as nothing, and what is
/// missing never as all.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0%".to_owned();
    }
    if part >= whole {
        return "100%".to_owned();
    }
    let tenths = (u128::from(part) * 1_000 / u128::from(whole)).clamp(1, 999);
    if tenths < 100 {
        format!("{}.{}%", tenths / 10, tenths % 10)
    } else {
        format!("{}%", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_took_is_shown_in_the_unit_that_fits() {
        assert_eq!(latency(Lang::En, 812), "812 ms");
        assert_eq!(latency(Lang::En, 3_249), "3.2 s");
        assert_eq!(latency(Lang::En, 61_000), "1 min 1 s");
        assert_eq!(latency(Lang::Zh, 812), "812 毫秒");
    }

    #[test]
    fn small_costs_do_not_vanish_and_large_ones_have_cents() {
        assert_eq!(cost(Lang::En, 0), "$0");
        assert_eq!(cost(Lang::En, 75), "$0.000075");
        assert_eq!(cost(Lang::En, 12_345), "$0.0123");
        assert_eq!(cost(Lang::En, 1_234_567_890), "$1,234.56");
        assert_eq!(cost(Lang::Zh, 12_345), "0.0123 美元");
    }

    #[test]
    fn a_rare_error_is_not_none_and_a_rare_success_not_none_either() {
        assert_eq!(percent(0, 0), "0%");
        assert_eq!(percent(0, 10), "0%");
        assert_eq!(percent(1, 1_000_000), "0.1%");
        assert_eq!(percent(37, 1_000), "3.7%");
        assert_eq!(percent(999_999, 1_000_000), "99%");
        assert_eq!(percent(7, 7), "100%");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(1_234_567), "1,234,567");
    }

    #[test]
    fn a_moment_is_a_date_and_a_time_also_at_the_end_of_february() {
        assert_eq!(date_time(0), "1970-01-01 00:00");
        assert_eq!(date_time(951_782_400_000), "2000-02-29 00:00");
        assert_eq!(date_time(1_764_066_779_999), "2025-11-25 10:32");
        assert_eq!(date_time(4_107_542_399_000), "2100-02-28 23:59");
        assert_eq!(date_time(4_107_542_400_000), "2100-03-01 00:00");
        assert_eq!(date_time(-1), "1969-12-31 23:59");
    }

    #[test]
    fn a_size_is_told_by_its_largest_unit() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1_023), "1023 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(5 * 1024 * 1024 * 1024), "5.0 GiB");
    }

    #[test]
    fn a_duration_shows_its_two_largest_units() {
        assert_eq!(duration(Lang::En, 0), "0 s");
        assert_eq!(duration(Lang::En, 1), "1 s");
        assert_eq!(duration(Lang::En, 59_000), "59 s");
        assert_eq!(duration(Lang::En, 60_000), "1 min");
        assert_eq!(duration(Lang::En, 200_000), "3 min 20 s");
        assert_eq!(
            duration(Lang::En, 3_600_000 * 5 + 60_000 * 12 + 7_000),
            "5 h 12 min"
        );
        assert_eq!(duration(Lang::Zh, 200_000), "3 分钟 20 秒");
    }

    #[test]
    fn a_moment_in_the_future_by_clock_skew_is_just_now() {
        assert_eq!(ago(Lang::En, 1_000, 9_000), "just now");
        assert_eq!(ago(Lang::En, 400_000, 100_000), "5 min ago");
        assert_eq!(ago(Lang::Zh, 400_000, 100_000), "5 分钟前");
    }
}
