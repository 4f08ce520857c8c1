//! The log of the original program (`t_request_log`) becomes sums, after the takeover and beside
//! everything else: it may have millions of rows and has no index but its numbers.
//!
//! It is read in pieces in the order of those numbers. One transaction adds a piece to the sums
//! and notes how far that went ([`LOG`]), so whatever breaks off goes on where it was, on
//! whichever server, and nothing is counted twice. Sums by keys wait for the keys, which are not
//! taken over without a sealing key.

use std::path::PathBuf;

use contract::Millis;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use vault::Secret;

use super::database::{Connections, Row, Tx, query};
use super::original::{
    SECRETS_DONE, Source, TakenOver, open_read_only, put_report, report, tables,
};
use super::seal::{panel_value, put_panel_value};
use super::sums::{Rows, SumKind, Tally, period_name};
use super::{Store, StoreError};
use crate::record::slots::Slots;

/// How far the log is summed up, as JSON. Absent when there was no takeover.
const LOG: &str = "takeover_log";
/// Rows that are read and summed up at once.
const PIECE: u32 = 5_000;
/// The longest name of a sum, in characters.
const NAME_CHARS: usize = 200;

/// How far the log is summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The original's file; absent when its tables are beside ours.
    file: Option<PathBuf>,
    keys: Part,
    /// Everything but keys.
    rest: Part,
    /// The newest day that was counted.
    newest_day: Option<String>,
}

/// How far one kind of sums has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// Rows up to this number are in the sums.
    After(i64),
    /// All are.
    Done,
}

/// A row of the log.
struct Logged {
    id: i64,
    time: Option<DateTime>,
    model: Option<String>,
    key: Option<Secret>,
    status: Option<String>,
    tally: Tally,
}

impl Store {
    /// Notes that there is a log to sum up; `before` is what had been taken over by then.
    pub(super) async fn begin_log(
        &self,
        tx: &mut Tx,
        source: &Source,
        before: TakenOver,
    ) -> Result<(), StoreError> {
        if panel_value(&mut *tx, LOG).await?.is_some() {
            return Ok(());
        }
        let progress = Progress {
            file: match source {
                Source::Here => None,
                Source::File(path) => Some(path.clone()),
            },
            keys: Part::After(0),
            rest: match before.rest {
                // By a version that did it all at once.
                true => Part::Done,
                false => Part::After(0),
            },
            newest_day: None,
        };
        self.put_progress(tx, &progress).await
    }

    /// Brings the next piece of the original's log into the sums; false when there is none (any
    /// more). The log's times are of the wall clock in the zone `theirs`; the sums are those of
    /// hours, days and months in the zone `ours`.
    ///
    /// # Errors
    /// When a database cannot be used; what is done by then is done, and the next call goes on
    /// from there.
    pub(crate) async fn sum_up_original(
        &self,
        theirs: &TimeZone,
        ours: &TimeZone,
    ) -> Result<bool, StoreError> {
        let db = self.db()?;
        let Some(progress) = progress(panel_value(db.read(), LOG).await?) else {
            return Ok(false);
        };
        let with_keys = panel_value(db.read(), SECRETS_DONE).await?.is_some();
        let keys = Some(progress.keys).filter(|_| with_keys);
        let due = [Some(progress.rest), keys].into_iter().flatten();
        let after = due.filter_map(|part| match part {
            Part::After(id) => Some(id),
            Part::Done => None,
        });
        let Some(after) = after.min() else {
            return Ok(false);
        };
        let here = Part::After(after);
        let rows = match &progress.file {
            None => read(&db, after).await?,
            Some(path) => {
                let file = open_read_only(path).await?;
                let rows = read(&file, after).await;
                file.close().await;
                rows?
            }
        };
        let next = match rows.last() {
            Some(last) if rows.len() >= PIECE as usize => Part::After(last.id),
            _ => Part::Done,
        };

        let mut tx = self.begin().await?;
        if self::progress(panel_value(&mut tx, LOG).await?).as_ref() != Some(&progress) {
            // Another server was faster.
            return Ok(true);
        }
        let mut after = progress.clone();
        let mut sums = Rows::new();
        let mut slots = Slots::new(ours);
        let ids = match progress.keys == here && with_keys {
            true => {
                after.keys = next;
                Some(self.key_ids(&mut tx).await?)
            }
            false => None,
        };
        let with_rest = progress.rest == here;
        if with_rest {
            after.rest = next;
        }
        let mut days = 0;
        for row in &rows {
            let Some((day, at)) = row.time.and_then(|time| moment(time, theirs)) else {
                continue;
            };
            if with_rest && after.newest_day.as_ref().is_none_or(|newest| *newest < day) {
                days += 1;
                after.newest_day = Some(day);
            }
            let mut names = Vec::new();
            if with_rest {
                names.push((SumKind::All, String::new()));
                let model = row.model.as_deref();
                names.extend(model.map(|model| (SumKind::Model, shortened(model))));
                let status = row.status.as_ref().filter(|status| is_status(status));
                names.extend(status.map(|status| (SumKind::Status, status.clone())));
            }
            if let (Some(ids), Some(key)) = (&ids, &row.key)
                && let Some(id) = ids.get(&self.fingerprint(key))
            {
                names.push((SumKind::Key, id.to_string()));
            }
            for (period, at) in slots.of(at) {
                for (kind, name) in &names {
                    let key = (period_name(period), kind.name(), at, name.clone());
                    sums.entry(key).or_default().add(&row.tally);
                }
            }
        }
        Self::add_rows(&db, &mut tx, sums).await?;
        self.put_progress(&mut tx, &after).await?;
        if days > 0
            && let Some(mut report) = report(&mut tx).await?
        {
            report.log_days = report.log_days.saturating_add(days);
            put_report(&mut tx, &report).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn put_progress(&self, tx: &mut Tx, progress: &Progress) -> Result<(), StoreError> {
        let json = serde_json::to_vec(progress)
            .map_err(|error| StoreError::failed(&self.inner.place, &error))?;
        put_panel_value(tx, LOG, json).await
    }
}

fn progress(json: Option<Vec<u8>>) -> Option<Progress> {
    serde_json::from_slice(&json?).ok()
}

/// The next rows. Columns that hold what they should not (SQLite allows it, and the original
/// puts texts into numbers) are left out.
async fn read(from: &Connections, after: i64) -> Result<Vec<Logged>, StoreError> {
    let tables = tables(from).await?;
    if !tables.iter().any(|name| name == "t_request_log") {
        return Ok(Vec::new());
    }
    let rows = query(
        "SELECT id, SUBSTR(CAST(request_time AS CHAR), 1, 16) AS t, \
         CAST(model_name AS CHAR) AS m, CAST(api_key AS CHAR) AS k, \
         CAST(status_code AS CHAR) AS s, \
         CAST(CASE WHEN is_success THEN 0 ELSE 1 END AS SIGNED INTEGER) AS e, \
         CAST(COALESCE(latency_ms, 0) AS SIGNED INTEGER) AS l \
         FROM t_request_log WHERE id > ? ORDER BY id LIMIT ?",
    )
    .bind(after)
    .bind(PIECE)
    .fetch_all(from.read())
    .await?;
    rows.iter().map(logged).collect()
}

fn logged(row: &Row) -> Result<Logged, StoreError> {
    let text = |column| row.get::<Option<String>>(column).ok().flatten();
    Ok(Logged {
        id: row.get("id")?,
        time: text("t").and_then(|text| time(&text)),
        model: text("m"),
        key: text("k").map(Secret::new),
        status: text("s"),
        tally: Tally {
            requests: 1,
            errors: row.number("e").unwrap_or_default(),
            latency_ms: row.number("l").unwrap_or_default(),
            ..Tally::default()
        },
    })
}

/// Of `2026-11-25 13:05`; SQLite files may have a `T` in it.
fn time(text: &str) -> Option<DateTime> {
    let day: Date = text.get(..10)?.parse().ok()?;
    let hour = text.get(11..13)?.parse().ok()?;
    let minute = text.get(14..16)?.parse().ok()?;
    DateTime::new(day.year(), day.month(), day.day(), hour, minute, 0, 0).ok()
}

/// The day and the moment of a time of the wall clock.
fn moment(time: DateTime, zone: &TimeZone) -> Option<(String, Millis)> {
    let at = time.to_zoned(zone.clone()).ok()?;
    Some((time.date().to_string(), at.timestamp().as_millisecond()))
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

fn is_status(text: &str) -> bool {
    matches!(text.parse(), Ok(100_u16..=599))
}
