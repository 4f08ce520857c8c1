//! Quotas of a namespace: what they refuse, and what they show as used.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::quantity::Quantity;
use super::resource::{self, Kind};
use super::status::Failure;
use super::store::{is_deleting, name, namespace};

/// What an object takes of each resource that a quota may name.
fn usage(kind: &Kind, object: &Value) -> BTreeMap<String, Quantity> {
    let mut used = BTreeMap::new();
    let one = Quantity::count(1);
    used.insert(format!("count/{}", kind.id()), one);
    match kind.plural {
        "pods" => {
            let phase = object["status"]["phase"].as_str();
            if matches!(phase, Some("Succeeded" | "Failed")) {
                return BTreeMap::new();
            }
            used.insert("pods".to_owned(), one);
            for container in object["spec"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
            {
                for part in ["requests", "limits"] {
                    let amounts = container["resources"][part].as_object();
                    for (resource, amount) in amounts.into_iter().flatten() {
                        let amount = amount
                            .as_str()
                            .and_then(Quantity::parse)
                            .unwrap_or_default();
                        let mut add = |name: String| {
                            let sum = used.get(&name).copied().unwrap_or_default().plus(amount);
                            used.insert(name, sum);
                        };
                        add(format!("{part}.{resource}"));
                        if part == "requests" {
                            add(resource.clone());
                        }
                    }
                }
            }
        }
        "persistentvolumeclaims" => {
            used.insert("persistentvolumeclaims".to_owned(), one);
            let storage = object["spec"]["resources"]["requests"]["storage"].as_str();
            let storage = storage.and_then(Quantity::parse).unwrap_or_default();
            used.insert("requests.storage".to_owned(), storage);
        }
        "services" => {
            used.insert("services".to_owned(), one);
            if object["spec"]["type"] == "NodePort" {
                let ports = object["spec"]["ports"].as_array().map_or(0, Vec::len);
                let ports = Quantity::count(i128::try_from(ports).unwrap_or_default());
                used.insert("services.nodeports".to_owned(), ports);
            }
        }
        "secrets" | "configmaps" | "resourcequotas" => {
            used.insert(kind.plural.to_owned(), one);
        }
        _ => {}
    }
    used
}

/// What a namespace has of each resource.
fn used_in(cluster: &Cluster, place: &str) -> BTreeMap<String, Quantity> {
    let mut total: BTreeMap<String, Quantity> = BTreeMap::new();
    for (id, object) in cluster.store.everything() {
        if namespace(object) != place {
            continue;
        }
        let Some(kind) = resource::by_id(id) else {
            continue;
        };
        for (resource, amount) in usage(kind, object) {
            let sum = total.entry(resource).or_default();
            *sum = sum.plus(amount);
        }
    }
    total
}

fn quotas(cluster: &Cluster, place: &str) -> Vec<std::sync::Arc<Value>> {
    resource::by_id("resourcequotas")
        .map(|kind| cluster.store.list(kind, place))
        .unwrap_or_default()
}

fn hard(quota: &Value) -> BTreeMap<String, Quantity> {
    quota["spec"]["hard"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, limit)| Some((name.clone(), Quantity::parse(limit.as_str()?)?)))
        .collect()
}

fn list<'a>(amounts: impl Iterator<Item = (&'a String, String)>) -> String {
    let all: Vec<String> = amounts
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect();
    all.join(",")
}

/// Whether a new object is within the quotas of its namespace.
///
/// # Errors
/// 403 in the words of the quota that is exceeded.
pub(super) fn admit(cluster: &Cluster, kind: &Kind, object: &Value) -> Result<(), Failure> {
    let place = namespace(object);
    let quotas = quotas(cluster, place);
    if quotas.is_empty() {
        return Ok(());
    }
    let wanted = usage(kind, object);
    let used = used_in(cluster, place);
    for quota in quotas {
        let hard = hard(&quota);
        if kind.plural == "pods" {
            must_specify(kind, object, &quota, &hard)?;
        }
        let exceeded: Vec<&String> = hard
            .iter()
            .filter(|(resource, limit)| {
                wanted.get(*resource).is_some_and(|amount| {
                    let sum = used
                        .get(*resource)
                        .copied()
                        .unwrap_or_default()
                        .plus(*amount);
                    amount.millis > 0 && sum.millis > limit.millis
                })
            })
            .map(|(resource, _)| resource)
            .collect();
        if exceeded.is_empty() {
            continue;
        }
        let show = |amounts: &BTreeMap<String, Quantity>| {
            list(exceeded.iter().map(|resource| {
                let amount = amounts.get(*resource).copied().unwrap_or_default();
                (*resource, amount.to_string())
            }))
        };
        let why = format!(
            "exceeded quota: {}, requested: {}, used: {}, limited: {}",
            name(&quota),
            show(&wanted),
            show(&used),
            show(&hard)
        );
        return Err(Failure::forbidden(kind, name(object), &why));
    }
    Ok(())
}

/// A quota of a resource makes it a duty to name an amount of it.
fn must_specify(
    kind: &Kind,
    pod: &Value,
    quota: &Value,
    hard: &BTreeMap<String, Quantity>,
) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for resource in hard.keys() {
        let Some((part, of)) = resource.split_once('.') else {
            continue;
        };
        if !matches!((part, of), ("limits" | "requests", "cpu" | "memory")) {
            continue;
        }
        let without: Vec<&str> = pod["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|container| container["resources"][part][of].is_null())
            .filter_map(|container| container["name"].as_str())
            .collect();
        if !without.is_empty() {
            missing.push(format!("{resource} for: {}", without.join(",")));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "failed quota: {}: must specify {}",
        name(quota),
        missing.join("; ")
    );
    Err(Failure::forbidden(kind, name(pod), &why))
}

/// Gives containers the defaults of the namespace's limit ranges, and refuses what is over
/// their maximum.
///
/// # Errors
/// 403 in the words of the limit.
pub(super) fn limit_range(cluster: &Cluster, pod: &mut Value) -> Result<(), Failure> {
    let (Some(ranges), Some(pods)) = (resource::by_id("limitranges"), resource::by_id("pods"))
    else {
        return Ok(());
    };
    let ranges = cluster.store.list(ranges, namespace(pod));
    let limits: Vec<&Value> = ranges
        .iter()
        .flat_map(|range| range["spec"]["limits"].as_array().into_iter().flatten())
        .filter(|limit| limit["type"] == "Container")
        .collect();
    let called = name(pod).to_owned();
    let containers = pod["spec"]
        .get_mut("containers")
        .and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        if !container["resources"].is_object() {
            container["resources"] = json!({});
        }
        for limit in &limits {
            for (part, from) in [("limits", "default"), ("requests", "defaultRequest")] {
                for (resource, amount) in limit[from].as_object().into_iter().flatten() {
                    if container["resources"][part][resource].is_null() {
                        if !container["resources"][part].is_object() {
                            container["resources"][part] = json!({});
                        }
                        container["resources"][part][resource] = amount.clone();
                    }
                }
            }
            for (resource, most) in limit["max"].as_object().into_iter().flatten() {
                let parse = |value: &Value| value.as_str().and_then(Quantity::parse);
                let given = parse(&container["resources"]["limits"][resource]);
                if let (Some(given), Some(most)) = (given, parse(most))
                    && given.millis > most.millis
                {
                    let why = format!(
                        "maximum {resource} usage per Container is {most}, but limit is {given}"
                    );
                    return Err(Failure::forbidden(pods, &called, &why));
                }
            }
        }
    }
    Ok(())
}

/// Shows in each quota's status what is used.
pub(super) fn show(cluster: &mut Cluster) {
    let Some(kind) = resource::by_id("resourcequotas") else {
        return;
    };
    for quota in cluster.store.list(kind, "") {
        if is_deleting(&quota) {
            continue;
        }
        let used = used_in(cluster, namespace(&quota));
        let used: Value = hard(&quota)
            .into_keys()
            .map(|resource| {
                let amount = used.get(&resource).copied().unwrap_or_default();
                (resource, json!(amount.to_string()))
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        let status = json!({"hard": quota["spec"]["hard"], "used": used});
        cluster.set_status(kind, &quota, status);
    }
}
