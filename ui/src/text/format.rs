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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(1_234_567), "1,234,567");
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
