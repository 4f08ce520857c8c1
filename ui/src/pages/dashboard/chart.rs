use yew::{AttrValue, Html, Properties, component, html};

use crate::app::use_lang;
use crate::text::number;

/// The drawing's measures, in its own units.
const WIDTH: u64 = 480;
const HEIGHT: u64 = 120;
const SLOT: u64 = WIDTH / 24;
const BAR: u64 = SLOT - 6;

#[derive(PartialEq, Properties)]
pub struct HourChartProps {
    /// Requests by hour of the day, failed ones included.
    pub requests: Vec<u64>,
    /// Failed requests by hour of the day.
    pub errors: Vec<u64>,
}

/// Bars by hour: answered below, failed on top. What it shows is also there as a table
/// for those who cannot see it.
#[component]
pub fn HourChart(props: &HourChartProps) -> Html {
    let lang = use_lang();
    let hours = hours(&props.requests, &props.errors);
    let top = nice_top(hours.iter().map(|(all, _)| *all).max().unwrap_or(0));
    let label: AttrValue = lang.t("dashboard.chart.label");
    html!(
        <figure class="gb-chart">
            <svg viewBox={format!("-34 -8 {} {}", WIDTH + 40, HEIGHT + 28)} role="img" aria-label={label.clone()}>
                { for lines(top).iter().map(|n| {
                    let y = HEIGHT - scaled(*n, top);
                    html!(
                        <g key={format!("grid-{n}")}>
                            <line class="gb-chart__grid" x1="0" x2={WIDTH.to_string()} y1={y.to_string()} y2={y.to_string()} />
                            <text class="gb-chart__text" x="-6" y={(y + 4).to_string()} text-anchor="end">{ short(*n) }</text>
                        </g>
                    )
                }) }
                { for hours.iter().enumerate().map(|(hour, (all, failed))| bar(hour, *all, *failed, top)) }
                { for (0..24_u64).step_by(6).map(|hour| html!(
                    <text key={format!("hour-{hour}")} class="gb-chart__text" x={(hour * SLOT + SLOT / 2).to_string()} y={(HEIGHT + 16).to_string()} text-anchor="middle">
                        { format!("{hour}:00") }
                    </text>
                )) }
            </svg>
            <figcaption class="gb-legend gb-small">
                <span><span class="gb-dot gb-dot--answered" aria-hidden="true" />{ lang.t("dashboard.chart.answered") }</span>
                <span><span class="gb-dot gb-dot--failed" aria-hidden="true" />{ lang.t("dashboard.chart.failed") }</span>
            </figcaption>
            <table class="pf-v6-screen-reader">
                <caption>{ label }</caption>
                <thead><tr>
                    <th scope="col">{ lang.t("dashboard.chart.hour") }</th>
                    <th scope="col">{ lang.t("dashboard.today.requests") }</th>
                    <th scope="col">{ lang.t("dashboard.today.errors") }</th>
                </tr></thead>
                <tbody>
                    { for hours.iter().enumerate().filter(|(_, (all, _))| *all > 0).map(|(hour, (all, failed))| html!(
                        <tr key={hour}><th scope="row">{ format!("{hour}:00") }</th><td>{ *all }</td><td>{ *failed }</td></tr>
                    )) }
                </tbody>
            </table>
        </figure>
    )
}

/// All and failed requests of 24 hours, whatever the lengths given.
fn hours(requests: &[u64], errors: &[u64]) -> [(u64, u64); 24] {
    std::array::from_fn(|hour| {
        let all = requests.get(hour).copied().unwrap_or(0);
        let failed = errors.get(hour).copied().unwrap_or(0).min(all);
        (all, failed)
    })
}

fn bar(hour: usize, all: u64, failed: u64, top: u64) -> Html {
    let x = (hour as u64 * SLOT + 3).to_string();
    let answered_high = scaled(all - failed, top);
    // An hour with one failure among thousands must still show it.
    let failed_high = if failed == 0 {
        0
    } else {
        scaled(failed, top).max(2)
    };
    let width = BAR.to_string();
    html!(
        <g key={format!("bar-{hour}")}>
            <title>{ format!("{hour}:00 · {}", number(all)) }{ if failed > 0 { format!(" · {} ✕", number(failed)) } else { String::new() } }</title>
            <rect
                class="gb-chart__answered" x={x.clone()} width={width.clone()} rx="2"
                y={(HEIGHT - answered_high).to_string()} height={answered_high.to_string()}
            />
            <rect
                class="gb-chart__failed" {x} {width} rx="2"
                y={HEIGHT.saturating_sub(answered_high + failed_high).to_string()} height={failed_high.to_string()}
            />
        </g>
    )
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

/// `12000` as `12k`, to fit beside the axis.
fn short(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{}k", n / 1_000),
        _ => format!("{}M", n / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn short_or_wrong_rows_do_not_break_the_drawing() {
        assert_eq!(hours(&[], &[]), [(0, 0); 24]);
        assert_eq!(
            hours(&[1], &[9])[0],
            (1, 1),
            "never more failures than requests"
        );
    }
}
