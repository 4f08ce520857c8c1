use contract::admin::Sums;
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::use_lang;
use crate::text::{cost, latency, number, percent};

#[derive(PartialEq, Properties)]
pub struct TotalsProps {
    pub sums: Sums,
    /// They are sums of one key, which count attempts.
    pub keys: bool,
}

/// The sums of the whole range.
#[component]
pub fn Totals(props: &TotalsProps) -> Html {
    let lang = use_lang();
    let sums = &props.sums;
    let figure =
        |id: &'static str, name: &'static str, value: String, beneath: Option<AttrValue>| {
            html!(
                <div class="gb-figure">
                    <dt class="gb-caption">{ lang.t(name) }</dt>
                    <dd class="gb-figure__n" data-testid={id}>{ value }</dd>
                    if let Some(beneath) = beneath {
                        <dd class="gb-small gb-muted">{ beneath }</dd>
                    }
                </div>
            )
        };
    let (requests, errors) = (sums.requests, sums.errors);
    let some = |n: u64, text: &str| (n > 0).then(|| lang.f(text, &[("n", &number(n))]));
    let took = |ms: u32| {
        if ms == 0 {
            "–".to_owned()
        } else {
            latency(lang, ms)
        }
    };
    html!(
        <dl class="gb-figures">
            { figure(
                "total-requests",
                if props.keys { "stats.attempts" } else { "stats.requests" },
                number(requests),
                None,
            ) }
            { figure("total-errors", "stats.errors", number(errors), Some(percent(errors, requests).into())) }
            { figure("total-prompt", "stats.prompt_tokens", number(sums.prompt_tokens), some(sums.cached_tokens, "stats.cached")) }
            { figure("total-output", "stats.output_tokens", number(sums.output_tokens), some(sums.thought_tokens, "stats.thought")) }
            { figure("total-cost", "stats.cost", cost(lang, sums.cost_micros), Some(lang.t("stats.cost_help"))) }
            { figure("total-latency", "stats.latency", took(sums.mean_latency_ms), (sums.mean_ttft_ms > 0).then(|| {
                lang.f("stats.first_byte", &[("time", &latency(lang, sums.mean_ttft_ms))])
            })) }
        </dl>
    )
}
