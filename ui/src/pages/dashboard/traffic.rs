use std::rc::Rc;

use contract::admin::Overview;
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::{Bar, BarChart};
use crate::text::number;

#[derive(PartialEq, Properties)]
pub struct TrafficCardProps {
    pub overview: Rc<Overview>,
}

/// Today's requests, errors and tokens, and the requests by hour.
#[component]
pub fn TrafficCard(props: &TrafficCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let today = &props.overview.today;
    let figure = |id: &'static str, n: u64, name: AttrValue| {
        html!(
            <div class="gb-figure">
                <dt class="gb-caption">{ name }</dt>
                <dd class="gb-figure__n" data-testid={id}>{ number(n) }</dd>
            </div>
        )
    };
    html!(
        <div class="pf-v6-c-card gb-dashboard__traffic" data-testid="traffic-card">
            <div class="pf-v6-c-card__title">
                <div class="gb-row">
                    <h2 class="pf-v6-c-card__title-text">{ lang.t("dashboard.today.title") }</h2>
                    <a class="pf-v6-c-button pf-m-link pf-m-inline gb-push" href={host.page("#/stats")}>{ lang.t("dashboard.today.more") }</a>
                </div>
                <div class="gb-muted gb-small">{ lang.f("dashboard.today.zone", &[("zone", &today.time_zone)]) }</div>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <dl class="gb-figures">
                    { figure("today-requests", today.requests, lang.t("dashboard.today.requests")) }
                    { figure("today-errors", today.errors, lang.t("dashboard.today.errors")) }
                    { figure("today-prompt", today.prompt_tokens, lang.t("dashboard.today.prompt_tokens")) }
                    { figure("today-output", today.output_tokens, lang.t("dashboard.today.output_tokens")) }
                </dl>
                <BarChart
                    label={lang.t("dashboard.chart.label")}
                    column={lang.t("dashboard.chart.hour")}
                    bars={hours(&today.requests_by_hour, &today.errors_by_hour)}
                    lower={lang.t("chart.answered")}
                    upper={lang.t("chart.failed")}
                />
                if today.dropped_records > 0 {
                    <p class="gb-muted gb-small">{ lang.n("dashboard.today.dropped", today.dropped_records) }</p>
                }
            </div>
        </div>
    )
}

/// The bars of 24 hours, whatever the lengths given.
fn hours(requests: &[u64], errors: &[u64]) -> Vec<Bar> {
    (0..24)
        .map(|hour| {
            let all = requests.get(hour).copied().unwrap_or(0);
            let failed = errors.get(hour).copied().unwrap_or(0).min(all);
            let name = AttrValue::from(format!("{hour}:00"));
            Bar {
                tick: hour.is_multiple_of(6).then(|| name.clone()),
                name,
                lower: all - failed,
                upper: failed,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_or_wrong_rows_do_not_break_the_drawing() {
        let parts = |requests: &[u64], errors: &[u64]| {
            let bars = hours(requests, errors);
            assert_eq!(bars.len(), 24);
            (bars[0].lower, bars[0].upper)
        };
        assert_eq!(parts(&[], &[]), (0, 0));
        assert_eq!(
            parts(&[1], &[9]),
            (0, 1),
            "never more failures than requests"
        );
    }
}
