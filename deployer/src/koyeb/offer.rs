//! What Koyeb offers: regions, instance types and their prices.

use contract::deploy::{Choice, Cost};

use crate::provider::Desired;

/// What services run on unless something else is wished.
pub(super) const FREE: &str = "free";
/// Where services run unless something else is wished.
pub(super) const REGION: &str = "fra";

/// Regions (koyeb.com/docs/reference/regions, a copy without a date, seen in November 2026);
/// free instances are in the first two only.
const REGIONS: [(&str, &str); 5] = [
    (REGION, "Frankfurt (EU)"),
    ("was", "Washington, D.C. (US East)"),
    ("sin", "Singapore"),
    ("tyo", "Tokyo"),
    ("par", "Paris (EU)"),
];

/// Instance types: id, name, and hundredths of a US dollar a month
/// (koyeb.com/docs/reference/instances, a copy without a date, seen in November 2026).
/// Larger ones exist, and are not needed.
const PLANS: [(&str, &str, u32); 7] = [
    (FREE, "Free (512 MB, 0.1 CPU)", 0),
    ("eco-nano", "Eco Nano (256 MB, 0.1 CPU)", 161),
    ("eco-micro", "Eco Micro (512 MB, 0.25 CPU)", 268),
    ("eco-small", "Eco Small (1 GB, 0.5 CPU)", 536),
    ("nano", "Nano (256 MB, 0.25 CPU)", 268),
    ("micro", "Micro (512 MB, 0.5 CPU)", 536),
    ("small", "Small (1 GB, 1 CPU)", 1071),
];

/// Regions to choose from.
pub(super) fn regions() -> Vec<Choice> {
    REGIONS.iter().map(|(id, name)| choice(id, name)).collect()
}

/// Instance types to choose from, the free one first.
pub(super) fn plans() -> Vec<Choice> {
    PLANS.iter().map(|(id, name, _)| choice(id, name)).collect()
}

fn choice(id: &str, name: &str) -> Choice {
    Choice {
        id: id.to_owned(),
        name: name.to_owned(),
    }
}

/// What it would cost a month.
pub(super) fn cost(desired: &Desired) -> Cost {
    let plan = desired.plan.as_deref().unwrap_or(FREE);
    match PLANS.iter().find(|(id, ..)| *id == plan) {
        Some((FREE, ..)) => Cost::Free,
        Some((.., cents)) => Cost::About { cents: *cents },
        None => Cost::Unknown,
    }
}
