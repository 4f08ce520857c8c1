//! How much was asked, by day, model, key and client token. What is shown is in the
//! address; every row leads to the curve of what it names, or to its requests.
//!
//! Names of models, keys and tokens are other people's text: they are only ever drawn as
//! text.

mod curve;
mod rows;
mod totals;

#[cfg(test)]
mod tests;

use contract::admin::{RequestQuery, StatsQuery, StatsRange, StatsRow};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::{PageHead, requests};
use crate::address::{use_query, with_query};
use crate::app::{Route, use_host, use_lang};
use crate::controls::{Act, Card, Choice, ErrorNote, Kind, Picks, Skeleton};
use crate::load::{LoadResult, use_load};
use crate::text::{Lang, wire_name};

use curve::{Curve, Measure};
use rows::{By, Rows};
use totals::Totals;

/// How often the sums are asked for, in milliseconds.
const STATS_EVERY: u32 = 30_000;

/// The ranges, the shortest first.
pub const RANGES: [StatsRange; 4] = [
    StatsRange::Day,
    StatsRange::Week,
    StatsRange::Month,
    StatsRange::Year,
];

/// The page.
#[component]
pub fn Stats() -> Html {
    let host = use_host();
    let (query, say) = use_query::<StatsQuery>(Route::Stats);
    let path = with_query("/api/stats", &query);
    let stats = use_load::<contract::admin::Stats>(host, path, Some(STATS_EVERY));
    html!(<StatsView stats={stats.result} {query} {say} />)
}

#[derive(PartialEq, Properties)]
pub struct StatsViewProps {
    pub stats: LoadResult<contract::admin::Stats>,
    /// What the address asks for.
    pub query: StatsQuery,
    /// Asks for something else.
    pub say: Callback<StatsQuery>,
}

/// The page as a function of what is known.
#[component]
pub fn StatsView(props: &StatsViewProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let measure = use_state_eq(Measure::default);
    let query = &props.query;
    let range = {
        let query = query.clone();
        props.say.reform(move |name: AttrValue| StatsQuery {
            range: RANGES
                .into_iter()
                .find(|range| wire_name(range) == name.as_str())
                .unwrap_or_default(),
            ..query.clone()
        })
    };
    let onmeasure = {
        let measure = measure.setter();
        Callback::from(move |name: AttrValue| measure.set(Measure::named(&name)))
    };
    let everything = {
        let range = query.range;
        props.say.reform(move |()| StatsQuery {
            range,
            ..StatsQuery::default()
        })
    };
    let stats = props.stats.data.clone();
    let since = stats.as_ref().map_or(0, |stats| stats.since);
    let zone = stats.as_ref().map(|stats| stats.time_zone.clone());
    html!(
        <>
            <PageHead title={lang.t("stats.title")} subtitle={lang.t("stats.subtitle")}>
                <Picks
                    id="stats-range"
                    label={lang.t("stats.range_label")}
                    choices={choices(lang, "stats.range", &RANGES)}
                    chosen={wire_name(&query.range)}
                    onchange={range}
                />
            </PageHead>
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.stats.error.clone() {
                    <ErrorNote {error} />
                }
                if let Some(stats) = stats {
                    <Card
                        id="stats-card"
                        title={lang.of("stats.range_title", &query.range)}
                        corner={html!(
                            <Picks
                                id="stats-measure"
                                label={lang.t("stats.measure_label")}
                                choices={choices(lang, "stats.measure", &Measure::ALL)}
                                chosen={wire_name(&*measure)}
                                onchange={onmeasure}
                            />
                        )}
                    >
                        if let Some((what, name)) = only(lang, query, &stats) {
                            <div class="gb-row" data-testid="stats-only">
                                <span>{ what }{ " " }<strong class="gb-wrap-anywhere">{ name }</strong></span>
                                <Act id="stats-everything" kind={Kind::Link} label={lang.t("stats.everything")} onclick={everything} />
                                <a class="pf-v6-c-button pf-m-link pf-m-inline" href={requests::link(host, &of_curve(query, since))} data-testid="stats-requests">
                                    { lang.t("stats.show_requests") }
                                </a>
                            </div>
                        }
                        <Totals sums={stats.total} keys={query.key.is_some()} />
                        <Curve stats={stats.clone()} range={query.range} measure={*measure} />
                        if let Some(zone) = zone {
                            <p class="gb-small gb-muted">{ lang.f("stats.zone", &[("zone", &zone)]) }</p>
                        }
                    </Card>
                    { for By::ALL.iter().map(|by| html!(
                        <Rows key={by.name()} by={*by} stats={stats.clone()} query={query.clone()} say={props.say.clone()} />
                    )) }
                } else if props.stats.error.is_none() {
                    { for (0..3).map(|i| html!(
                        <div key={i} class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={6} /></div></div>
                    )) }
                }
            </section>
        </>
    )
}

fn choices<T: serde::Serialize>(lang: Lang, table: &str, all: &[T]) -> Vec<Choice> {
    all.iter()
        .map(|one| Choice {
            value: wire_name(one).into(),
            text: lang.of(table, one),
        })
        .collect()
}

/// What the curve is narrowed to: in words, and its name.
fn only(
    lang: Lang,
    query: &StatsQuery,
    stats: &contract::admin::Stats,
) -> Option<(AttrValue, String)> {
    let named = |rows: &[StatsRow], id: i64| {
        rows.iter()
            .find(|row| row.id == Some(id))
            .map(|row| row.name.clone())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("#{id}"))
    };
    if let Some(model) = &query.model {
        return Some((lang.t("stats.only_model"), model.clone()));
    }
    if let Some(id) = query.key {
        return Some((lang.t("stats.only_key"), named(&stats.keys, id)));
    }
    let id = query.token?;
    Some((lang.t("stats.only_token"), named(&stats.tokens, id)))
}

/// The requests behind the curve.
fn of_curve(query: &StatsQuery, since: contract::Millis) -> RequestQuery {
    RequestQuery {
        from: Some(since),
        token: query.token,
        key: query.key,
        model: query.model.clone(),
        ..RequestQuery::default()
    }
}
