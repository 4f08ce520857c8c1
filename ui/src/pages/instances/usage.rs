use contract::deploy::{Quota, Usage, UsageKind, UsageSeries};
use yew::{Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::{Bar, BarChart, Card, ErrorNote, Facts, Skeleton, Unit};
use crate::host::zone_here;
use crate::load::{LoadResult, use_load};
use crate::text::{Lang, Zone};

/// How often usage is asked for, in milliseconds.
const USAGE_EVERY: u32 = 60_000;

/// So many bars fit in a chart.
const BARS: usize = 60;

#[derive(PartialEq, Properties)]
pub struct UsagePartProps {
    /// The remote.
    pub id: i64,
}

/// What a remote uses.
#[component]
pub fn UsagePart(props: &UsagePartProps) -> Html {
    let host = use_host();
    let path = format!("/api/deploy/remotes/{}/usage", props.id);
    let usage = use_load::<Usage>(host, path, Some(USAGE_EVERY));
    html!(<UsageView usage={usage.result} />)
}

#[derive(PartialEq, Properties)]
pub struct UsageViewProps {
    pub usage: LoadResult<Usage>,
}

/// The usage as a function of what is known.
#[component]
pub fn UsageView(props: &UsageViewProps) -> Html {
    let lang = use_lang();
    html!(
        <>
            if let Some(error) = props.usage.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(usage) = props.usage.data.clone() {
                if usage.quotas.is_empty() && usage.series.is_empty() {
                    <p class="gb-muted" data-testid="usage-none">{ lang.t("instances.usage.none") }</p>
                }
                if !usage.quotas.is_empty() {
                    <Card id="quotas-card" title={lang.t("instances.usage.quotas")}>
                        <Quotas quotas={usage.quotas.clone()} />
                    </Card>
                }
                <div class="gb-charts">
                    { for usage.series.iter().enumerate().map(|(i, series)| chart(lang, i, series)) }
                </div>
            } else if props.usage.error.is_none() {
                <Skeleton lines={6} />
            }
        </>
    )
}

fn chart(lang: Lang, i: usize, series: &UsageSeries) -> Html {
    let title = lang.of("instances.usage.kind", &series.kind);
    html!(
        <Card key={i} title={title.clone()}>
            <BarChart
                label={title.clone()}
                column={lang.t("instances.usage.time")}
                lower={title}
                bars={bars(&zone_here(), series)}
                unit={match series.kind {
                    UsageKind::Cpu => Unit::Thousandths,
                    UsageKind::Memory | UsageKind::Bandwidth | UsageKind::Requests => Unit::Count,
                }}
            />
        </Card>
    )
}

/// The points of a series as bars: those that lie close together become one, which for a
/// level (CPU, memory) is the highest and for an amount the sum.
pub fn bars(zone: &Zone, series: &UsageSeries) -> Vec<Bar> {
    let group = series.points.len().div_ceil(BARS).max(1);
    let last = series.points.len().div_ceil(group).saturating_sub(1);
    series
        .points
        .chunks(group)
        .enumerate()
        .filter_map(|(i, points)| {
            let at = points.first()?.0;
            let values = points
                .iter()
                .map(|(_, value)| u64::try_from(*value).unwrap_or(0));
            let (value, per) = match series.kind {
                UsageKind::Cpu => (values.max().unwrap_or(0), 1),
                UsageKind::Memory => (values.max().unwrap_or(0), 1_000),
                UsageKind::Bandwidth | UsageKind::Requests => (values.sum(), 1_000),
            };
            // A little is not nothing.
            let lower = value.div_ceil(per);
            let ticked = i == 0 || i == last / 2 || i == last;
            Some(Bar {
                name: format!("{} {}", zone.date(at), zone.time(at)).into(),
                tick: ticked.then(|| {
                    zone.time(at)
                        .to_string()
                        .chars()
                        .take(5)
                        .collect::<String>()
                        .into()
                }),
                lower,
                upper: 0,
            })
        })
        .collect()
}

#[derive(PartialEq, Properties)]
pub struct QuotasProps {
    pub quotas: Vec<Quota>,
}

/// What is used of each quota, in the provider's units.
#[component]
pub fn Quotas(props: &QuotasProps) -> Html {
    let lang = use_lang();
    let facts = props
        .quotas
        .iter()
        .map(|quota| {
            let of = lang.f(
                "instances.usage.of",
                &[("used", &quota.used), ("limit", &quota.limit)],
            );
            (quota.name.clone().into(), html!({ of }))
        })
        .collect::<Vec<_>>();
    html!(<Facts {facts} />)
}
