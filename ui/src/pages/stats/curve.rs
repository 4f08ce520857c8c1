use std::rc::Rc;

use contract::admin::{Stats, StatsPoint, StatsRange};
use serde::Serialize;
use yew::{AttrValue, Html, Properties, component, html, use_memo};

use crate::app::use_lang;
use crate::controls::{Bar, BarChart, Unit};
use crate::host::zone_of;
use crate::text::{Zone, wire_name};

/// What the curve shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Requests, the failed ones on top.
    #[default]
    Requests,
    /// Tokens in, tokens out on top, thoughts included.
    Tokens,
    /// Estimated cost.
    Cost,
}

impl Measure {
    /// All, the most asked for first.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Cost];

    /// The one of that name.
    pub fn named(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|measure| wire_name(measure) == name)
            .unwrap_or_default()
    }

    /// Lower and upper part of a point's bar.
    fn parts(self, point: &StatsPoint) -> (u64, u64) {
        let sums = &point.sums;
        match self {
            Self::Requests => {
                let failed = sums.errors.min(sums.requests);
                (sums.requests - failed, failed)
            }
            Self::Tokens => (
                sums.prompt_tokens,
                sums.output_tokens.saturating_add(sums.thought_tokens),
            ),
            Self::Cost => (sums.cost_micros, 0),
        }
    }
}

#[derive(PartialEq, Properties)]
pub struct CurveProps {
    pub stats: Rc<Stats>,
    pub range: StatsRange,
    pub measure: Measure,
}

/// The course of one measure over the range.
#[component]
pub fn Curve(props: &CurveProps) -> Html {
    let lang = use_lang();
    let bars = use_memo(
        (props.stats.clone(), props.range, props.measure),
        |(stats, range, measure)| bars(stats, *range, *measure, &zone_of(&stats.time_zone)),
    );
    let by_hour = matches!(props.range, StatsRange::Day | StatsRange::Week);
    let (label, column) = if by_hour {
        ("stats.by_hour", "stats.hour")
    } else {
        ("stats.by_day", "stats.day")
    };
    let (lower, upper) = match props.measure {
        Measure::Requests => ("chart.answered", Some("chart.failed")),
        Measure::Tokens => ("stats.prompt_tokens", Some("stats.output_all")),
        Measure::Cost => ("stats.cost", None),
    };
    let what = lang.of("stats.measure", &props.measure);
    html!(
        <BarChart
            label={lang.f(label, &[("what", &what)])}
            column={lang.t(column)}
            bars={(*bars).clone()}
            lower={lang.t(lower)}
            upper={upper.map(|key| lang.t(key))}
            upper_is_bad={props.measure == Measure::Requests}
            unit={if props.measure == Measure::Cost { Unit::Micros } else { Unit::Count }}
            wide=true
        />
    )
}

/// The points as bars, named by the clock of the zone whose hours and days they are.
pub fn bars(stats: &Stats, range: StatsRange, measure: Measure, zone: &Zone) -> Vec<Bar> {
    let points = stats.points.iter().enumerate();
    points
        .map(|(i, point)| {
            let date = zone.date(point.at);
            let hour = zone.hour(point.at);
            let (name, tick) = match range {
                StatsRange::Day => {
                    let time = format!("{hour:02}:00");
                    (format!("{date} {time}"), (hour % 6 == 0).then_some(time))
                }
                StatsRange::Week => (
                    format!("{date} {hour:02}:00"),
                    (hour == 0).then(|| month_and_day(&date)),
                ),
                StatsRange::Month => (
                    date.clone(),
                    i.is_multiple_of(6).then(|| month_and_day(&date)),
                ),
                // The beginning of each quarter of the year.
                StatsRange::Year => {
                    let quarter = ["-01-01", "-04-01", "-07-01", "-10-01"]
                        .iter()
                        .any(|begins| date.ends_with(begins));
                    let month = date.get(..7).unwrap_or_default().to_owned();
                    (date, quarter.then_some(month))
                }
            };
            let (lower, upper) = measure.parts(point);
            Bar {
                name: name.into(),
                tick: tick.map(AttrValue::from),
                lower,
                upper,
            }
        })
        .collect()
}

fn month_and_day(date: &str) -> String {
    date.get(5..).unwrap_or_default().to_owned()
}
