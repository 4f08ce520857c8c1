//! What Render offers: regions, plans and their prices. Its API does not tell them.

use contract::deploy::{Choice, Cost};

use crate::provider::{Data, Desired};

/// What services run on unless something else is wished. Render's own default costs money.
pub(super) const FREE: &str = "free";

/// Regions, by the enum of the API; Singapore is nearest to most users.
const REGIONS: [(&str, &str); 5] = [
    ("singapore", "Singapore"),
    ("frankfurt", "Frankfurt (EU)"),
    ("oregon", "Oregon (US West)"),
    ("ohio", "Ohio (US East)"),
    ("virginia", "Virginia (US East)"),
];

/// Plans of the API's enum: id, name, and hundredths of a US dollar a month where a source
/// was found: Starter community.render.com/t/5297, Standard craftedbyhan.xyz (2025-09).
/// `starter_plus`, `standard_plus` and `custom` are not offered to everybody.
const PLANS: [(&str, &str, Option<u32>); 7] = [
    (FREE, "Free (512 MB, 0.1 CPU)", Some(0)),
    ("starter", "Starter (512 MB, 0.5 CPU)", Some(700)),
    ("standard", "Standard (2 GB, 1 CPU)", Some(2_500)),
    ("pro", "Pro (4 GB, 2 CPU)", None),
    ("pro_plus", "Pro Plus (8 GB, 4 CPU)", None),
    ("pro_max", "Pro Max (16 GB)", None),
    ("pro_ultra", "Pro Ultra (32 GB)", None),
];

/// Regions to choose from.
pub(super) fn regions() -> Vec<Choice> {
    REGIONS.iter().map(|(id, name)| choice(id, name)).collect()
}

/// Plans to choose from, the free one first.
pub(super) fn plans() -> Vec<Choice> {
    PLANS.iter().map(|(id, name, _)| choice(id, name)).collect()
}

fn choice(id: &str, name: &str) -> Choice {
    Choice {
        id: id.to_owned(),
        name: name.to_owned(),
    }
}

/// What it would cost a month. No source was found for the price of a disk, so what has one
/// is of unknown cost.
pub(super) fn cost(desired: &Desired) -> Cost {
    let plan = desired.plan.as_deref().unwrap_or(FREE);
    if matches!(desired.data, Data::Volume { .. }) {
        return Cost::Unknown;
    }
    match PLANS.iter().find(|(id, ..)| *id == plan) {
        Some((FREE, ..)) => Cost::Free,
        Some((.., Some(cents))) => Cost::About { cents: *cents },
        Some((.., None)) | None => Cost::Unknown,
    }
}
