//! How large an app is. A namespace has no plans, so these are ours: the smallest that our
//! program is at ease in, and what the original's users give it.

use contract::deploy::Choice;
use k8s_openapi::api::core::v1::ResourceRequirements;
use serde_json::{Value, json};

/// A size: what a container may use at most, and what is kept for it.
struct Size {
    id: &'static str,
    name: &'static str,
    limits: (&'static str, &'static str),
    requests: (&'static str, &'static str),
}

/// Limits as App Launchpad's sliders have them, requests a tenth of them as it writes them.
const SIZES: [Size; 3] = [
    Size {
        id: "small",
        name: "Small (0.2 CPU, 256 MiB)",
        limits: ("200m", "256Mi"),
        requests: ("20m", "25Mi"),
    },
    Size {
        id: "medium",
        name: "Medium (0.5 CPU, 512 MiB)",
        limits: ("500m", "512Mi"),
        requests: ("50m", "51Mi"),
    },
    Size {
        id: "large",
        name: "Large (1 CPU, 1 GiB)",
        limits: ("1", "1Gi"),
        requests: ("100m", "102Mi"),
    },
];

/// Sizes to choose from, the smallest first.
pub(super) fn plans() -> Vec<Choice> {
    SIZES
        .iter()
        .map(|size| Choice {
            id: size.id.to_owned(),
            name: size.name.to_owned(),
        })
        .collect()
}

/// What a container of that size gets. `None`: the smallest that the program is at ease in.
pub(super) fn resources(plan: Option<&str>, is_original: bool) -> Option<Value> {
    let usual = match is_original {
        true => "medium",
        false => "small",
    };
    let size = SIZES.iter().find(|size| size.id == plan.unwrap_or(usual))?;
    let amounts = |(cpu, memory): (&str, &str)| json!({ "cpu": cpu, "memory": memory });
    Some(json!({ "limits": amounts(size.limits), "requests": amounts(size.requests) }))
}

/// The size of a container that is there; of one that somebody else sized, its limits.
pub(super) fn plan_of(resources: &ResourceRequirements) -> Option<String> {
    let limit = |name: &str| {
        let limits = resources.limits.as_ref()?;
        limits.get(name).map(|amount| amount.0.as_str())
    };
    let (cpu, memory) = (limit("cpu")?, limit("memory")?);
    let known = SIZES.iter().find(|size| size.limits == (cpu, memory));
    Some(known.map_or_else(|| format!("{cpu} CPU, {memory}"), |size| size.id.to_owned()))
}
