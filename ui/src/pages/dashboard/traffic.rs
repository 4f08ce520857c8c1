use std::rc::Rc;

use contract::admin::Overview;
use yew::{AttrValue, Html, Properties, component, html};

use super::HourChart;
use crate::app::use_lang;
use crate::text::number;

#[derive(PartialEq, Properties)]
pub struct TrafficCardProps {
    pub overview: Rc<Overview>,
}

/// Today's requests, errors and tokens, and the requests by hour.
#[component]
pub fn TrafficCard(props: &TrafficCardProps) -> Html {
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
                <h2 class="pf-v6-c-card__title-text">{ lang.t("dashboard.today.title") }</h2>
                <div class="gb-muted gb-small">{ lang.f("dashboard.today.zone", &[("zone", &today.time_zone)]) }</div>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <dl class="gb-figures">
                    { figure("today-requests", today.requests, lang.t("dashboard.today.requests")) }
                    { figure("today-errors", today.errors, lang.t("dashboard.today.errors")) }
                    { figure("today-prompt", today.prompt_tokens, lang.t("dashboard.today.prompt_tokens")) }
                    { figure("today-output", today.output_tokens, lang.t("dashboard.today.output_tokens")) }
                </dl>
                <HourChart requests={today.requests_by_hour.clone()} errors={today.errors_by_hour.clone()} />
                if today.dropped_records > 0 {
                    <p class="gb-muted gb-small">{ lang.n("dashboard.today.dropped", today.dropped_records) }</p>
                }
            </div>
        </div>
    )
}
