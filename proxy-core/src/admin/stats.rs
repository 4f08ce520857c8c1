//! The statistics: sums by the hour and by the day.

use axum::extract::State;
use contract::ApiError;
use contract::admin::{Named, Stats, StatsPoint, StatsQuery, StatsRange, StatsRow, Sums};

use super::Admin;
use super::answer::{Asked, Failure, Json, Result};
use super::requests::{flush, name_key};
use crate::record::slots::{self, Period};
use crate::store::{SumKind, Tally};

/// How many models, keys and tokens are listed.
const ROWS: usize = 20;

/// What is listed beside the curve.
const LISTED: [SumKind; 5] = [
    SumKind::Model,
    SumKind::Key,
    SumKind::Token,
    SumKind::Surface,
    SumKind::Status,
];

/// The length of a point of the curve, and how many there are.
fn points(range: StatsRange) -> (Period, usize) {
    match range {
        StatsRange::Day => (Period::Hour, 24),
        StatsRange::Week => (Period::Hour, 7 * 24),
        StatsRange::Month => (Period::Day, 30),
        StatsRange::Year => (Period::Day, 365),
    }
}

/// What happened over a range of time, from sums that stay when requests are deleted.
#[utoipa::path(get, path = "/api/stats", tag = "stats", security(("session" = [])),
    params(StatsQuery), responses(
    (status = 200, body = Stats),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Asked(query): Asked<StatsQuery>,
) -> Result<Json<Stats>> {
    let core = &admin.core;
    let (kind, name) = match (query.token, query.key, query.model) {
        (None, None, None) => (SumKind::All, String::new()),
        (Some(id), None, None) => (SumKind::Token, id.to_string()),
        (None, Some(id), None) => (SumKind::Key, id.to_string()),
        (None, None, Some(model)) => (SumKind::Model, model),
        _ => {
            return Err(Failure::invalid(
                "The curve is of one token, one key or one model, or of everything.",
            ));
        }
    };
    flush(core).await;
    let zone = core.settings().time_zone.clone();
    let (period, count) = points(query.range);
    let slots = slots::last(period, count, core.clock.now(), &zone);
    let since = slots.first().copied().unwrap_or_default();
    let curve = core.store.curve(period, kind, &name, since).await?;
    let mut total = Tally::default();
    curve.iter().for_each(|(_, tally)| total.add(tally));
    let mut sums = vec![Tally::default(); slots.len()];
    for (at, tally) in &curve {
        if let Some(sum) = slots::holding(&slots, *at).and_then(|slot| sums.get_mut(slot)) {
            sum.add(tally);
        }
    }
    let points = slots.into_iter().zip(sums).map(|(at, sums)| StatsPoint {
        at,
        sums: sums.into(),
    });
    let points = points.collect();

    let spans = slots::spans(period, since, core.clock.now(), &zone);
    let totals = core.store.totals(&spans, &LISTED).await?;
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_by(|((_, a_name), a), ((_, b_name), b)| {
        let order = b.requests.cmp(&a.requests);
        order.then_with(|| a_name.cmp(b_name))
    });
    let of = |kind: SumKind| {
        let rows = totals.iter().filter(move |((of, _), _)| *of == kind);
        rows.take(ROWS)
            .map(|((_, name), tally)| StatsRow {
                id: None,
                name: name.clone(),
                sums: Sums::from(*tally),
            })
            .collect::<Vec<_>>()
    };
    let mut keys = of(SumKind::Key);
    let mut tokens = of(SumKind::Token);
    for rows in [&mut keys, &mut tokens] {
        rows.iter_mut()
            .for_each(|row| row.id = row.name.parse().ok());
    }
    let ids = |rows: &[StatsRow]| rows.iter().filter_map(|row| row.id).collect::<Vec<_>>();
    let names = core.store.key_names(ids(&keys)).await?;
    for (id, name) in keys
        .iter_mut()
        .filter_map(|row| Some((row.id?, &mut row.name)))
    {
        let mut named = Named {
            id,
            name: names.get(&id).cloned().unwrap_or_default(),
        };
        name_key(core, &mut named);
        *name = named.name;
    }
    let names = core.store.token_names(ids(&tokens)).await?;
    for (id, name) in tokens
        .iter_mut()
        .filter_map(|row| Some((row.id?, &mut row.name)))
    {
        *name = names.get(&id).cloned().unwrap_or_else(|| format!("#{id}"));
    }
    Ok(Json(Stats {
        since,
        time_zone: core.settings().time_zone_name().to_owned(),
        points,
        total: total.into(),
        models: of(SumKind::Model),
        keys,
        tokens,
        surfaces: of(SumKind::Surface),
        statuses: of(SumKind::Status),
    }))
}
