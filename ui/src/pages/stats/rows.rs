use std::rc::Rc;

use contract::Millis;
use contract::admin::{RequestQuery, Stats, StatsQuery, StatsRow};
use patternfly_yew::prelude::Icon;
use yew::{AttrValue, Callback, Html, MouseEvent, Properties, classes, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::Card;
use crate::host::Host;
use crate::pages::requests::{self, StatusLabel, surface_of};
use crate::text::{Lang, cost, latency, number, percent};

/// What the sums are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Model,
    Key,
    Token,
    Surface,
    Status,
}

impl By {
    /// In the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Model,
        Self::Key,
        Self::Token,
        Self::Surface,
        Self::Status,
    ];

    /// What it is called in texts and tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Key => "key",
            Self::Token => "token",
            Self::Surface => "surface",
            Self::Status => "status",
        }
    }

    fn rows(self, stats: &Stats) -> &[StatsRow] {
        match self {
            Self::Model => &stats.models,
            Self::Key => &stats.keys,
            Self::Token => &stats.tokens,
            Self::Surface => &stats.surfaces,
            Self::Status => &stats.statuses,
        }
    }

    /// The curve of a row alone; none where there is no such curve.
    fn curve(self, row: &StatsRow, shown: &StatsQuery) -> Option<StatsQuery> {
        let mut query = StatsQuery {
            range: shown.range,
            ..StatsQuery::default()
        };
        match self {
            Self::Model if !row.name.is_empty() => query.model = Some(row.name.clone()),
            Self::Key => query.key = Some(row.id?),
            Self::Token => query.token = Some(row.id?),
            Self::Model | Self::Surface | Self::Status => return None,
        }
        Some(query)
    }

    /// The requests of a row; none where they cannot be asked for.
    fn requests(self, row: &StatsRow, since: Millis) -> Option<RequestQuery> {
        let mut query = RequestQuery {
            from: Some(since),
            ..RequestQuery::default()
        };
        match self {
            Self::Model if row.name.is_empty() => return None,
            Self::Model => query.model = Some(row.name.clone()),
            Self::Key => query.key = Some(row.id?),
            Self::Token => query.token = Some(row.id?),
            Self::Surface => query.surface = Some(surface_of(&row.name)?),
            Self::Status => query.status = Some(row.name.parse().ok()?),
        }
        Some(query)
    }

    /// A row's name for people.
    fn shown(self, lang: Lang, row: &StatsRow) -> AttrValue {
        match (self, row.id) {
            (Self::Surface, _) => match surface_of(&row.name) {
                Some(surface) => lang.of("surface", &surface),
                None => row.name.clone().into(),
            },
            (_, Some(id)) if row.name.is_empty() => format!("#{id}").into(),
            _ if row.name.is_empty() => lang.t(&format!("stats.no_{}", self.name())),
            _ => row.name.clone().into(),
        }
    }
}

#[derive(PartialEq, Properties)]
pub struct RowsProps {
    pub by: By,
    pub stats: Rc<Stats>,
    pub query: StatsQuery,
    pub say: Callback<StatsQuery>,
}

/// The sums by one thing, each row leading to its curve and to its requests.
#[component]
pub fn Rows(props: &RowsProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let by = props.by;
    let rows = by.rows(&props.stats);
    let title = lang.t(&format!("stats.by.{}", by.name()));
    let requests = if by == By::Key {
        "stats.attempts"
    } else {
        "stats.requests"
    };
    let columns = [
        requests,
        "stats.errors",
        "stats.prompt_tokens",
        "stats.output_tokens",
        "stats.cost",
        "stats.latency",
    ];
    html!(
        <Card id={format!("stats-by-{}", by.name())} title={title.clone()}>
            if rows.is_empty() {
                <p class="gb-muted">{ lang.t("stats.nothing") }</p>
            } else {
                <table class="pf-v6-c-table pf-m-compact pf-m-grid-md gb-table gb-sums" aria-label={title.clone()}>
                    <thead class="pf-v6-c-table__thead">
                        <tr class="pf-v6-c-table__tr">
                            <th class="pf-v6-c-table__th" scope="col">{ lang.t(&format!("stats.column.{}", by.name())) }</th>
                            { for columns.iter().map(|column| html!(
                                <th class="pf-v6-c-table__th gb-sums__n" scope="col" key={*column}>{ lang.t(column) }</th>
                            )) }
                            <th class="pf-v6-c-table__th" scope="col"><span class="pf-v6-screen-reader">{ lang.t("stats.show_requests") }</span></th>
                        </tr>
                    </thead>
                    <tbody class="pf-v6-c-table__tbody">
                        { for rows.iter().enumerate().map(|(i, row)| one(host, lang, props, i, row, requests)) }
                    </tbody>
                </table>
            }
        </Card>
    )
}

fn one(
    host: Host,
    lang: Lang,
    props: &RowsProps,
    i: usize,
    row: &StatsRow,
    requests: &str,
) -> Html {
    let by = props.by;
    let sums = &row.sums;
    let shown = by.shown(lang, row);
    let curve = by.curve(row, &props.query);
    let link = by
        .requests(row, props.stats.since)
        .map(|query| requests::link(host, &query));
    let here = curve.as_ref() == Some(&props.query);
    let name = match (&curve, &link) {
        (Some(curve), _) => {
            // A second click takes it back.
            let next = if here {
                StatsQuery {
                    range: curve.range,
                    ..StatsQuery::default()
                }
            } else {
                curve.clone()
            };
            html!(
                <button
                    type="button"
                    class="pf-v6-c-button pf-m-link pf-m-inline gb-sums__name"
                    aria-pressed={here.to_string()}
                    data-testid={format!("stats-{}-{i}", by.name())}
                    onclick={props.say.reform(move |_: MouseEvent| next.clone())}
                >
                    <span class="pf-v6-c-button__text gb-wrap-anywhere">{ &shown }</span>
                </button>
            )
        }
        (None, Some(link)) => html!(
            <a class="gb-wrap-anywhere" href={link} data-testid={format!("stats-{}-{i}", by.name())}>
                if by == By::Status {
                    <StatusLabel status={row.name.parse::<u16>().unwrap_or_default()} />
                } else {
                    { &shown }
                }
            </a>
        ),
        (None, None) => html!(<span class="gb-muted">{ &shown }</span>),
    };
    let cell = |column: &str, value: String, beneath: Option<String>| {
        html!(
            <td class="pf-v6-c-table__td gb-sums__n" data-label={lang.t(column)}>
                { value }
                if let Some(beneath) = beneath {
                    { " " }<span class="gb-small gb-muted">{ beneath }</span>
                }
            </td>
        )
    };
    let took = if sums.mean_latency_ms == 0 {
        "–".to_owned()
    } else {
        latency(lang, sums.mean_latency_ms)
    };
    let rate = (sums.errors > 0).then(|| percent(sums.errors, sums.requests));
    html!(
        <tr class={classes!("pf-v6-c-table__tr", here.then_some("gb-sums__here"))} key={i}>
            <td class="pf-v6-c-table__td" data-label={lang.t(&format!("stats.column.{}", by.name()))}>{ name }</td>
            { cell(requests, number(sums.requests), None) }
            { cell("stats.errors", number(sums.errors), rate) }
            { cell("stats.prompt_tokens", number(sums.prompt_tokens), None) }
            { cell("stats.output_tokens", number(sums.output_tokens), None) }
            { cell("stats.cost", cost(lang, sums.cost_micros), None) }
            { cell("stats.latency", took, None) }
            <td class="pf-v6-c-table__td gb-sums__n">
                if let Some(link) = link {
                    <a
                        class="pf-v6-c-button pf-m-plain pf-m-small"
                        href={link}
                        title={lang.t("stats.show_requests")}
                        aria-label={AttrValue::from(format!("{}: {shown}", lang.t("stats.show_requests")))}
                        data-testid={format!("stats-{}-{i}-requests", by.name())}
                    >
                        <span class="pf-v6-c-button__icon">{ Icon::List }</span>
                    </a>
                }
            </td>
        </tr>
    )
}
