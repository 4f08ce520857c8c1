//! What an app says and does: its log, what happened to it, what it uses.

use std::collections::BTreeSet;

use contract::deploy::{LogPage, RemoteEvent, RunLine, Usage, UsageKind, UsageSeries};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::subresource::LogParams;
use serde::Deserialize;
use serde_json::Value;

use super::api::{
    CLAIMS, DEPLOYMENTS, EVENTS, INGRESSES, Kind, Namespace, POD_METRICS, PODS, REPLICA_SETS,
    SERVICES, STATEFUL_SETS,
};
use super::state::newest;
use super::{by_app, probe};
use crate::provider::{ProviderError, Result};

/// How many lines are shown first.
const TAIL: i64 = 100;
/// The most bytes of a log that are read for one question.
const LONGEST: i64 = 1024 * 1024;

/// Lines of the app's log. A cursor is the pod and the moment of its last line, `gb-…@2026-…Z`.
pub(super) async fn logs(place: &Namespace, app: &str, cursor: Option<&str>) -> Result<LogPage> {
    let pods: Vec<Pod> = place.list(PODS, &by_app(app)).await?;
    let has_started = |pod: &&Pod| {
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        let mut containers = containers.into_iter().flatten();
        containers.any(|one| one.container_id.is_some())
    };
    let Some(pod) = newest(pods.iter().filter(has_started)) else {
        return Ok(LogPage {
            lines: Vec::new(),
            cursor: cursor.map(str::to_owned),
        });
    };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    // Of another pod's log nothing is known.
    let since: Option<Timestamp> = cursor
        .and_then(|cursor| cursor.rsplit_once('@'))
        .filter(|(of, _)| *of == name)
        .and_then(|(_, time)| time.parse().ok());
    let params = LogParams {
        timestamps: true,
        limit_bytes: Some(LONGEST),
        // Asked by whole seconds; what was shown is left out below.
        since_time: since.and_then(|time| Timestamp::from_second(time.as_second()).ok()),
        tail_lines: since.is_none().then_some(TAIL),
        ..LogParams::default()
    };
    let mut text = place.log(name, &params).await?;
    if text.is_empty() && since.is_none() {
        // It has just begun anew: what it died of is in the log before.
        let before = LogParams {
            previous: true,
            ..params
        };
        text = match place.log(name, &before).await {
            Err(ProviderError::Refused(_) | ProviderError::NotFound(_)) => String::new(),
            text => text?,
        };
    }
    let mut last = since;
    let mut lines = Vec::new();
    for line in text.lines() {
        let (at, said) = line.split_once(' ').unwrap_or((line, ""));
        let Ok(at) = at.parse::<Timestamp>() else {
            continue;
        };
        if since.is_some_and(|since| at <= since) {
            continue;
        }
        last = Some(at);
        lines.push(RunLine {
            at: at.as_millisecond(),
            text: said.to_owned(),
        });
    }
    Ok(LogPage {
        lines,
        cursor: last
            .map(|last| format!("{name}@{last}"))
            .or(cursor.map(str::to_owned)),
    })
}

#[derive(Deserialize)]
struct Named {
    metadata: ObjectMeta,
}

/// What happened to the app and what it consists of, newest first.
pub(super) async fn events(place: &Namespace, app: &str) -> Result<Vec<RemoteEvent>> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut add = |metadata: ObjectMeta| known.extend(metadata.uid);
    for kind in [DEPLOYMENTS, STATEFUL_SETS] {
        let workload: Option<Named> = place.get(kind, app).await?;
        workload.into_iter().for_each(|one| add(one.metadata));
    }
    let parts: [Kind; 5] = [REPLICA_SETS, PODS, CLAIMS, SERVICES, INGRESSES];
    for kind in parts {
        let all: Vec<Named> = match place.list(kind, &by_app(app)).await {
            Err(ProviderError::Forbidden(_)) => continue,
            all => all?,
        };
        all.into_iter().for_each(|one| add(one.metadata));
    }
    let all: Vec<Event> = place.list(EVENTS, "").await?;
    let mut events: Vec<RemoteEvent> = all
        .into_iter()
        .filter(|event| {
            let about = event.involved_object.uid.as_ref();
            about.is_some_and(|uid| known.contains(uid))
        })
        .filter_map(event)
        .collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    Ok(events)
}

fn event(event: Event) -> Option<RemoteEvent> {
    let last = event.last_timestamp.or(event.first_timestamp);
    let last = last
        .map(|time| time.0)
        .or(event.event_time.map(|time| time.0));
    let at = last.or(event.metadata.creation_timestamp.map(|time| time.0))?;
    let reason = event.reason.unwrap_or_default();
    let text = event.message.unwrap_or_default();
    Some(RemoteEvent {
        at: at.as_millisecond(),
        text: match (reason.as_str(), text.as_str()) {
            ("", text) => text.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, text) => format!("{reason}: {text}"),
        },
        is_problem: event.type_.as_deref() == Some("Warning"),
    })
}

/// What the app uses now, where the cluster measures it, and what is left of the quotas.
pub(super) async fn usage(place: &Namespace, app: &str, is_measured: bool) -> Result<Usage> {
    let mut usage = Usage {
        series: Vec::new(),
        quotas: probe::quotas(place).await?,
    };
    if !is_measured {
        return Ok(usage);
    }
    let measured: Vec<Value> = match place.list(POD_METRICS, &by_app(app)).await {
        Err(ProviderError::Forbidden(_) | ProviderError::NotFound(_)) => Vec::new(),
        measured => measured?,
    };
    for (kind, name) in [(UsageKind::Cpu, "cpu"), (UsageKind::Memory, "memory")] {
        if let Some(point) = point(&measured, kind, name) {
            let points = vec![point];
            usage.series.push(UsageSeries { kind, points });
        }
    }
    Ok(usage)
}

/// The sum over all pods, in thousandths of the kind's unit.
fn point(measured: &[Value], kind: UsageKind, name: &str) -> Option<(i64, i64)> {
    let at = measured.iter().filter_map(|pod| {
        let at: Timestamp = pod["timestamp"].as_str()?.parse().ok()?;
        Some(at.as_millisecond())
    });
    let at = at.max()?;
    let containers = measured
        .iter()
        .flat_map(|pod| pod["containers"].as_array().into_iter().flatten());
    let sum: f64 = containers
        .filter_map(|one| quantity(one["usage"][name].as_str()?))
        .sum();
    let units = match kind {
        UsageKind::Memory => sum / (1024.0 * 1024.0),
        _ => sum,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "thousandths of CPUs and MiB are far below 2^53"
    )]
    let thousandths = (units * 1000.0).round() as i64;
    Some((at, thousandths))
}

/// An amount as Kubernetes writes it, in its base unit.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let factor = match text.get(digits.len()..)? {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_pods_use_is_summed_up_in_our_units() {
        let pod = |cpu: &str, memory: &str, at: &str| {
            let usage = json!({ "cpu": cpu, "memory": memory });
            json!({ "timestamp": at, "containers": [{ "name": "gb", "usage": usage }] })
        };
        let measured = [
            pod("3000000n", "20480Ki", "2026-09-21T14:13:20Z"),
            pod("2m", "10Mi", "2026-09-21T14:13:30Z"),
        ];
        let at = 1_790_000_010_000;
        assert_eq!(point(&measured, UsageKind::Cpu, "cpu"), Some((at, 5)));
        let memory = point(&measured, UsageKind::Memory, "memory");
        assert_eq!(memory, Some((at, 30_000)));
        assert_eq!(point(&[], UsageKind::Cpu, "cpu"), None);
        assert_eq!(quantity("many"), None);
    }
}
