//! Which plans sleep, and how long their hours last. Pure.

use contract::Millis;
use contract::deploy::{ProviderKind, QuietHours};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::account::{Account, Spent};
use crate::record::{Awake, Record};

/// Milliseconds.
pub(crate) const MINUTE: Millis = 60_000;
/// Milliseconds.
pub(crate) const HOUR: Millis = 60 * MINUTE;
/// What is left over of a month's hours, for what is not known here: apps that were made
/// elsewhere, deploys, requests by others. One app that is always awake needs at most 744 of
/// Render's 750 hours, so it is never stopped for this.
const RESERVE: Millis = 5 * HOUR;
/// Offsets of time zones are multiples of this.
const QUARTER: Millis = 15 * MINUTE;

/// What a plan does with an app that nobody asks anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// It sleeps after this long.
    pub after: Millis,
    /// Hours a month that all apps of a workspace have together.
    pub hours: Option<u32>,
}

/// Plans that sleep: whose, which plan (absent: what is taken without a choice), and how.
/// Render: render.com/docs/free. Koyeb: koyeb.com/docs, free instances.
const PLANS: [(ProviderKind, &str, Sleep); 2] = [
    (
        ProviderKind::Render,
        "free",
        Sleep {
            after: 15 * MINUTE,
            hours: Some(750),
        },
    ),
    (
        ProviderKind::Koyeb,
        "free",
        Sleep {
            after: HOUR,
            hours: None,
        },
    ),
];

/// Ends of host names below which apps may sleep, for remotes that were added by their
/// address: which plan they have is not known.
const HOSTS: [(&str, Millis); 2] = [(".onrender.com", 15 * MINUTE), (".koyeb.app", HOUR)];

/// How a remote sleeps; `None` when it does not.
pub(crate) fn sleep_of(record: &Record) -> Option<Sleep> {
    let Some(provider) = record.provider else {
        let url: reqwest::Url = record.url.as_ref()?.parse().ok()?;
        let host = url.host_str()?;
        let known = HOSTS.iter().find(|(end, _)| host.ends_with(end));
        return known.map(|(_, after)| Sleep {
            after: *after,
            hours: None,
        });
    };
    let plan = record.wish.as_ref().and_then(|wish| wish.plan.as_deref());
    let plan = plan.unwrap_or("free");
    let known = PLANS
        .iter()
        .find(|(of, name, _)| *of == provider && *name == plan);
    known.map(|(_, _, sleep)| *sleep)
}

/// Whether two remotes share their hours.
pub(crate) fn is_same_workspace(a: &Record, b: &Record) -> bool {
    match (&a.wish, &b.wish) {
        (Some(a), Some(b)) => {
            // Without a choice there is only one.
            let same = a.workspace.is_none() || b.workspace.is_none() || a.workspace == b.workspace;
            a.account.is_some() && a.account == b.account && same
        }
        _ => false,
    }
}

/// Whether hours that were used up in a workspace are those of a remote's, too.
pub(crate) fn is_of_workspace(spent: &Spent, record: &Record) -> bool {
    let wish = record.wish.as_ref();
    let own = wish.and_then(|wish| wish.workspace.as_ref());
    spent.workspace.is_none() || own.is_none() || spent.workspace.as_ref() == own
}

/// Notes with an account what a remote has used up that will not be here any more.
pub(crate) fn keep_spent(account: &mut Account, record: &Record, now: Millis) -> bool {
    let sleep = sleep_of(record);
    if sleep.is_none_or(|sleep| sleep.hours.is_none()) {
        return false;
    }
    let wish = record.wish.as_ref();
    let workspace = wish.and_then(|wish| wish.workspace.clone());
    let (month, used) = (month_of(now), used(&record.awake, sleep, now));
    account.spent.retain(|spent| spent.month == month);
    let same = |spent: &&mut Spent| spent.workspace == workspace;
    match account.spent.iter_mut().find(same) {
        Some(spent) => spent.used = spent.used.saturating_add(used),
        None => account.spent.push(Spent {
            workspace,
            month,
            used,
        }),
    }
    true
}

/// The first moment of the month (UTC).
pub(crate) fn month_of(at: Millis) -> Millis {
    month(at, 0)
}

/// The first moment of the next month (UTC).
fn month_after(at: Millis) -> Millis {
    month(at, 1)
}

fn month(at: Millis, later: i32) -> Millis {
    let first = zoned(at, &TimeZone::UTC)
        .first_of_month()
        .and_then(|day| day.checked_add(later.months()))
        .and_then(|day| day.start_of_day());
    first.map_or(at, |first| first.timestamp().as_millisecond())
}

fn zoned(at: Millis, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(at)
        .unwrap_or_default()
        .to_zoned(zone.clone())
}

/// Notes that a remote was seen awake or asleep. Between two looks it was awake if it was at the
/// first, but no longer than it stays awake by itself.
pub(crate) fn saw(awake: &mut Awake, sleep: Sleep, now: Millis, is_awake: bool) {
    awake.used = used(awake, Some(sleep), now);
    awake.month = month_of(now);
    awake.seen_at = is_awake.then_some(now);
}

/// Milliseconds that it was awake in this month, an estimate.
pub(crate) fn used(awake: &Awake, sleep: Option<Sleep>, now: Millis) -> Millis {
    let month = month_of(now);
    let before = match awake.month == month {
        true => awake.used,
        false => 0,
    };
    let since = match (awake.seen_at, sleep) {
        (Some(seen), Some(sleep)) => {
            let until = now.min(seen.saturating_add(sleep.after));
            (until - seen.max(month)).max(0)
        }
        _ => 0,
    };
    before.saturating_add(since)
}

/// Whether it may sleep at this moment of the local day.
pub(crate) fn is_quiet(quiet: Option<QuietHours>, at: Millis, zone: &TimeZone) -> bool {
    let Some(QuietHours { from, to }) = quiet else {
        return false;
    };
    let hour = u8::try_from(zoned(at, zone).hour()).unwrap_or(0);
    match from <= to {
        true => (from..to).contains(&hour),
        false => hour >= from || hour < to,
    }
}

/// When the quiet hours end that it is in.
pub(crate) fn quiet_end(quiet: Option<QuietHours>, now: Millis, zone: &TimeZone) -> Millis {
    quarters(now, now.saturating_add(25 * HOUR))
        .find(|at| !is_quiet(quiet, *at, zone))
        .unwrap_or(now)
}

/// `from`, and every quarter of an hour after it and before `until`.
fn quarters(from: Millis, until: Millis) -> impl Iterator<Item = Millis> {
    std::iter::successors(Some(from), |at| Some((at / QUARTER + 1) * QUARTER))
        .take_while(move |at| *at < until)
}

/// How long a remote that is kept awake will be awake until the month ends.
fn needs(quiet: Option<QuietHours>, sleep: Sleep, now: Millis, zone: &TimeZone) -> Millis {
    let end = month_after(now);
    if quiet.is_none() {
        return end - now;
    }
    let mut sum = 0;
    let mut awake_until = now;
    for at in quarters(now, end) {
        let next = ((at / QUARTER + 1) * QUARTER).min(end);
        if !is_quiet(quiet, at, zone) {
            // It was asked last in this quarter, and falls asleep after that by itself.
            awake_until = next.saturating_add(sleep.after);
        }
        sum += next.min(awake_until.max(at)) - at;
    }
    sum
}

/// Whose hours are to last: one of those that share them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharer {
    /// Its number.
    pub id: i64,
    /// Milliseconds that it used this month.
    pub used: Millis,
    /// Whether it is wished to be kept awake, and may be, with its quiet hours.
    pub kept: Option<Option<QuietHours>>,
}

/// What is to be had of the hours of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Hours a month.
    pub limit: u32,
    /// Milliseconds that all together used.
    pub used: Millis,
    /// Who cannot be kept awake until the month ends, and is let sleep.
    pub paused: Vec<i64>,
}

impl Budget {
    /// The hours will not last for all.
    pub(crate) fn is_short(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Whole hours used.
    pub(crate) fn hours(&self) -> u32 {
        whole_hours(self.used)
    }
}

/// Whole hours.
pub(crate) fn whole_hours(time: Millis) -> u32 {
    u32::try_from(time / HOUR).unwrap_or(0)
}

/// Divides what is left of a month's hours: each in turn gets what it needs until the month
/// ends, or sleeps when nobody asks it. So the provider never has to stop them all.
pub(crate) fn budget(
    limit: u32,
    sleep: Sleep,
    sharers: &[Sharer],
    now: Millis,
    zone: &TimeZone,
) -> Budget {
    let used: Millis = sharers.iter().map(|sharer| sharer.used).sum();
    let mut left = Millis::from(limit) * HOUR - RESERVE - used;
    let mut paused = Vec::new();
    for sharer in sharers {
        let Some(quiet) = sharer.kept else { continue };
        let needed = needs(quiet, sleep, now, zone);
        match needed <= left {
            true => left -= needed,
            false => paused.push(sharer.id),
        }
    }
    Budget {
        limit,
        used,
        paused,
    }
}
