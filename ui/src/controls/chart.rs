use yew::{AttrValue, Html, Properties, classes, component, html};

use crate::app::use_lang;
use crate::text::{Lang, cost, number};

/// The drawing's measures, in its own units.
const HEIGHT: u64 = 120;
const NARROW: u64 = 480;
const WIDE: u64 = 960;

/// One bar: a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Which stretch, in full; shown on hover and in the table.
    pub name: AttrValue,
    /// What stands beneath it, if anything: there is room for a few.
    pub tick: Option<AttrValue>,
    /// The lower part.
    pub lower: u64,
    /// What stands on top of it.
    pub upper: u64,
}

/// What the numbers of a chart are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Requests, tokens: things to count.
    #[default]
    Count,
    /// Millionths of a US dollar.
    Micros,
    /// Thousandths of something, e.g. of a CPU.
    Thousandths,
}

impl Unit {
    fn whole(self, lang: Lang, n: u64) -> String {
        match self {
            Self::Count => number(n),
            Self::Micros => cost(lang, n),
            Self::Thousandths => thousandths(n),
        }
    }

    /// Beside the axis, where there is little room.
    fn short(self, lang: Lang, n: u64) -> String {
        match self {
            Self::Micros => cost(lang, n),
            Self::Thousandths => thousandths(n),
            Self::Count => match n {
                0..10_000 => n.to_string(),
                10_000..1_000_000 => format!("{}k", n / 1_000),
                1_000_000..10_000_000 => format!("{}.{}M", n / 1_000_000, n % 1_000_000 / 100_000),
                _ => format!("{}M", n / 1_000_000),
            },
        }
    }
}

#[derive(PartialEq, Properties)]
pub struct BarChartProps {
    /// What is drawn, in a sentence.
    pub label: AttrValue,
    /// What one bar is, e.g. "Hour".
    pub column: AttrValue,
    pub bars: Vec<Bar>,
    /// What the lower part of a bar is.
    pub lower: AttrValue,
    /// What the upper part is; none when there is none.
    #[prop_or_default]
    pub upper: Option<AttrValue>,
    /// The upper part is something bad.
    #[prop_or(true)]
    pub upper_is_bad: bool,
    #[prop_or_default]
    pub unit: Unit,
    /// It has the width of the page for itself.
    #[prop_or_default]
    pub wide: bool,
}

/// Bars over time, each in up to two parts. What it shows is also there as a table for
/// those who cannot see it.
#[component]
pub fn BarChart(props: &BarChartProps) -> Html {
    let lang = use_lang();
    let width = if props.wide { WIDE } else { NARROW };
    let highest = props.bars.iter().map(total).max().unwrap_or(0);
    let top = nice_top(highest);
    let upper_class = if props.upper_is_bad {
        ("gb-chart__failed", "gb-dot--failed")
    } else {
        ("gb-chart__more", "gb-dot--more")
    };
    let slot = width as f64 / props.bars.len().max(1) as f64;
    html!(
        <figure class={classes!("gb-chart", props.wide.then_some("gb-chart--wide"))}>
            <div class="gb-chart__drawing">
            <svg viewBox={format!("-44 -8 {} {}", width + 50, HEIGHT + 28)} role="img" aria-label={&props.label}>
                { for lines(top).iter().map(|n| {
                    let y = HEIGHT - scaled(*n, top);
                    html!(
                        <g key={format!("grid-{n}")}>
                            <line class="gb-chart__grid" x1="0" x2={width.to_string()} y1={y.to_string()} y2={y.to_string()} />
                            <text class="gb-chart__text" x="-6" y={(y + 4).to_string()} text-anchor="end">{ props.unit.short(lang, *n) }</text>
                        </g>
                    )
                }) }
                { for props.bars.iter().enumerate().map(|(i, bar)| {
                    let x = i as f64 * slot;
                    html!(
                        <g key={format!("bar-{i}")}>
                            { drawn(lang, props.unit, bar, (x, slot), top, upper_class.0) }
                            if let Some(tick) = &bar.tick {
                                <text class="gb-chart__text" x={units(x + slot / 2.0)} y={(HEIGHT + 16).to_string()} text-anchor="middle">{ tick }</text>
                            }
                        </g>
                    )
                }) }
            </svg>
            </div>
            <figcaption class="gb-legend gb-small">
                <span><span class="gb-dot gb-dot--answered" aria-hidden="true" />{ &props.lower }</span>
                if let Some(upper) = &props.upper {
                    <span><span class={classes!("gb-dot", upper_class.1)} aria-hidden="true" />{ upper }</span>
                }
            </figcaption>
            <table class="pf-v6-screen-reader">
                <caption>{ &props.label }</caption>
                <thead><tr>
                    <th scope="col">{ &props.column }</th>
                    <th scope="col">{ &props.lower }</th>
                    if let Some(upper) = &props.upper { <th scope="col">{ upper }</th> }
                </tr></thead>
                <tbody>
                    { for props.bars.iter().enumerate().filter(|(_, bar)| total(bar) > 0).map(|(i, bar)| html!(
                        <tr key={i}>
                            <th scope="row">{ &bar.name }</th>
                            <td>{ props.unit.whole(lang, bar.lower) }</td>
                            if props.upper.is_some() { <td>{ props.unit.whole(lang, bar.upper) }</td> }
                        </tr>
                    )) }
                </tbody>
            </table>
        </figure>
    )
}

fn thousandths(n: u64) -> String {
    let text = format!("{}.{:03}", n / 1_000, n % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn total(bar: &Bar) -> u64 {
    bar.lower.saturating_add(bar.upper)
}

/// One bar in its slot (where that begins, how wide it is).
fn drawn(
    lang: Lang,
    unit: Unit,
    bar: &Bar,
    (x, slot): (f64, f64),
    top: u64,
    upper_class: &'static str,
) -> Html {
    if total(bar) == 0 {
        return Html::default();
    }
    let gap = (slot * 0.3).min(6.0);
    let (left, width) = (units(x + gap / 2.0), units(slot - gap));
    let round = if slot > 8.0 { "2" } else { "0" };
    let lower_high = scaled(bar.lower, top);
    // An hour with one failure among thousands must still show it.
    let upper_high = if bar.upper == 0 {
        0
    } else {
        scaled(bar.upper, top).max(2)
    };
    let said = if bar.upper > 0 && bar.lower > 0 {
        format!(
            "{} + {}",
            unit.whole(lang, bar.lower),
            unit.whole(lang, bar.upper)
        )
    } else {
        unit.whole(lang, total(bar))
    };
    html!(
        <>
            <title>{ format!("{} · {said}", bar.name) }</title>
            <rect
                class="gb-chart__answered" x={left.clone()} width={width.clone()} rx={round}
                y={(HEIGHT - lower_high).to_string()} height={lower_high.to_string()}
            />
            <rect
                class={upper_class} x={left} {width} rx={round}
                y={HEIGHT.saturating_sub(lower_high + upper_high).to_string()} height={upper_high.to_string()}
            />
        </>
    )
}

fn units(n: f64) -> String {
    format!("{n:.2}")
}

fn scaled(n: u64, top: u64) -> u64 {
    n.min(top)
        .saturating_mul(HEIGHT)
        .checked_div(top)
        .unwrap_or(0)
}

/// The smallest round number (1, 2, 3, 4, 5, 6, 8 times a power of ten) not below `most`.
fn nice_top(most: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            let top = power.saturating_mul(step);
            if top >= most || top == u64::MAX {
                return top;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Where the grid has lines.
fn lines(top: u64) -> Vec<u64> {
    if top < 2 {
        vec![0, top]
    } else {
        vec![0, top / 2, top]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_show_the_digits_that_matter() {
        assert_eq!(thousandths(0), "0");
        assert_eq!(thousandths(4), "0.004");
        assert_eq!(thousandths(150), "0.15");
        assert_eq!(thousandths(2_000), "2");
    }

    #[test]
    fn the_axis_ends_at_a_round_number_not_below_the_highest_bar() {
        for (most, top) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 3),
            (7, 8),
            (11, 20),
            (212, 300),
            (4_321, 5_000),
        ] {
            assert_eq!(nice_top(most), top, "highest bar {most}");
        }
        assert_eq!(nice_top(u64::MAX), u64::MAX, "no endless loop");
    }

    #[test]
    fn what_stands_beside_the_axis_is_short() {
        let count = |n| Unit::Count.short(Lang::En, n);
        assert_eq!(count(9_999), "9999");
        assert_eq!(count(15_000), "15k");
        assert_eq!(count(1_500_000), "1.5M");
        assert_eq!(count(30_000_000), "30M");
        assert_eq!(Unit::Micros.short(Lang::En, 500_000), "$0.5000");
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod drawing {
    use super::*;
    use crate::testing::render;

    #[tokio::test(flavor = "current_thread")]
    async fn one_failure_among_thousands_can_be_seen_and_is_in_the_table() {
        let bar = |lower, upper| Bar {
            name: "2026-11-25 14:00".into(),
            tick: None,
            lower,
            upper,
        };
        let html = render::<BarChart>(BarChartProps {
            label: "Requests by hour".into(),
            column: "Hour".into(),
            bars: vec![bar(0, 0), bar(9_999, 1)],
            lower: "answered".into(),
            upper: Some("failed".into()),
            upper_is_bad: true,
            unit: Unit::Count,
            wide: false,
        })
        .await;
        let mut bars = html.split("<rect");
        let failed = bars.find(|bar| bar.contains("gb-chart__failed")).unwrap();
        assert!(failed.contains("height=\"2\""), "{html}");
        assert!(html.contains("<td>9,999</td><td>1</td>"), "{html}");
        assert_eq!(
            html.matches("<tr").count(),
            2,
            "an hour without requests has no row: {html}"
        );
    }
}
