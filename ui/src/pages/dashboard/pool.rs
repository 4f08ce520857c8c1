use std::rc::Rc;

use contract::Millis;
use contract::admin::{Overview, PoolSummary};
use contract::desktop::ProxyState;
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{Html, Properties, classes, component, html, use_context};

use crate::app::{Desktop, use_host, use_lang};
use crate::controls::CopyField;
use crate::text::{Lang, ago, duration, number};

#[derive(PartialEq, Properties)]
pub struct PoolCardProps {
    pub overview: Rc<Overview>,
    pub now: Millis,
}

/// Whether this instance runs and how many keys can answer.
#[component]
pub fn PoolCard(props: &PoolCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let overview = &props.overview;
    let pool = overview.pool;
    let since = ago(lang, props.now, overview.started_at);
    // In the window the core lives while nothing listens; the bar above says why.
    let listening = use_context::<Desktop>()
        // It tells of the app's own core only.
        .filter(|_| host.remote().is_none())
        .is_none_or(|desktop| matches!(desktop.state.proxy, ProxyState::Running { .. }));
    html!(
        <div class="pf-v6-c-card gb-dashboard__pool" data-testid="pool-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("dashboard.pool.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                if listening {
                    <div><Label color={Color::Green} icon={Icon::CheckCircle} label={lang.t("dashboard.running").to_string()} />
                    <span class="gb-muted gb-after">{ lang.f("dashboard.since", &[("ago", &since)]) }</span></div>
                }
                { big(lang, pool, props.now) }
                <ul class="gb-tallies" aria-label={lang.t("dashboard.pool.by_state")}>
                    { tally(lang, "ready", pool.ready) }
                    { tally(lang, "cooling", pool.cooling) }
                    { tally(lang, "rejected", pool.rejected) }
                    { tally(lang, "disabled", pool.disabled) }
                </ul>
                if listening {
                    <div>
                    <div class="gb-caption">{ lang.t("dashboard.address") }</div>
                    <CopyField id="address" label={lang.t("dashboard.address")} text={overview.address.clone()} />
                    </div>
                }
            </div>
        </div>
    )
}

/// The one sentence for whom all else is too much.
fn big(lang: Lang, pool: PoolSummary, now: Millis) -> Html {
    let tone = if pool.ready > 0 { "gb-good" } else { "gb-bad" };
    let next = pool.next_ready_at.filter(|_| pool.ready == 0).map(|at| {
        lang.f(
            "dashboard.pool.next_ready",
            &[("in", &duration(lang, at - now))],
        )
    });
    html!(
        <div class="gb-big" data-testid="pool-ready">
            <div class="gb-big__number">
                <span class={classes!(tone)}>{ number(pool.ready.into()) }</span>
                <span class="gb-big__of">{ lang.f("dashboard.pool.of", &[("total", &number(pool.total.into()))]) }</span>
            </div>
            <div>{ lang.t("dashboard.pool.can_answer") }</div>
            if let Some(next) = next {
                <div class="gb-muted" data-testid="next-ready">{ next }</div>
            }
        </div>
    )
}

fn tally(lang: Lang, state: &'static str, n: u32) -> Html {
    html!(
        <li class={classes!("gb-tally", (n == 0).then_some("gb-tally--none"))}>
            <span class={format!("gb-dot gb-dot--{state}")} aria-hidden="true" />
            <span>{ lang.t(&format!("keys.state.{state}")) }</span>
            <strong>{ number(n.into()) }</strong>
        </li>
    )
}
