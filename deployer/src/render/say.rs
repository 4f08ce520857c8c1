//! What Render says, in words: deploys, failures, events, suspensions.

use contract::deploy::DeployProgress;
use serde_json::Value;

use super::wire::{Event, Service};
use crate::provider::ProviderState;

/// Where a deploy stands. A status that is not known is one on the way: Render adds steps.
pub(super) fn progress(status: &str) -> DeployProgress {
    match status {
        "queued" => DeployProgress::Queued,
        "live" => DeployProgress::Live,
        "deactivated" => DeployProgress::Replaced,
        "canceled" => DeployProgress::Cancelled,
        "build_failed" | "update_failed" | "pre_deploy_failed" => DeployProgress::Failed {
            detail: status.to_owned(),
        },
        other => DeployProgress::UnderWay {
            detail: other.to_owned(),
        },
    }
}

/// Whether a deploy has yet to end.
pub(super) const fn is_under_way(progress: &DeployProgress) -> bool {
    matches!(
        progress,
        DeployProgress::Queued | DeployProgress::UnderWay { .. }
    )
}

/// Who has stopped a service; `None` when nobody has.
pub(super) fn suspension(service: &Service) -> Option<ProviderState> {
    if service.suspended.as_deref() != Some("suspended") {
        return None;
    }
    let suspenders = service.suspenders.iter().flatten();
    let others: Vec<&str> = suspenders
        .map(String::as_str)
        .filter(|suspender| *suspender != "user")
        .map(|suspender| match suspender {
            "billing" => {
                "Render has suspended it for billing: the month's free hours or traffic are \
                 used up, or a payment failed"
            }
            "admin" => "Render's staff has suspended it",
            "stuck_crashlooping" => "Render has suspended it because it crashed again and again",
            "parent_service" => "Render has suspended the service that it belongs to",
            other => other,
        })
        .collect();
    Some(match others.is_empty() {
        true => ProviderState::Suspended,
        false => ProviderState::Stopped(others.join("; ")),
    })
}

/// Why something failed, from the `reason` of an event; `None` when it does not tell.
pub(super) fn failure(reason: &Value) -> Option<String> {
    let number = |name: &str| reason.get(name).and_then(Value::as_i64);
    let text = |name: &str| {
        let text = reason.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let is = |name: &str| reason.get(name).and_then(Value::as_bool) == Some(true);
    let mut why = Vec::new();
    if let Some(oom) = reason.get("oomKilled").filter(|oom| !oom.is_null()) {
        why.push(match oom.get("memoryLimit").and_then(Value::as_str) {
            Some(limit) => format!("out of memory: it used more than {limit} (oomKilled)"),
            None => "out of memory (oomKilled)".to_owned(),
        });
    }
    if let Some(code) = number("nonZeroExit") {
        why.push(format!("the program ended with exit code {code}"));
    }
    if is("earlyExit") {
        why.push("the program ended early".to_owned());
    }
    if let Some(said) = text("unhealthy") {
        why.push(format!("the health check failed: {said}"));
    }
    if let Some(seconds) = number("timedOutSeconds") {
        why.push(format!("no success within {seconds} s"));
    }
    if let Some(said) = text("timedOutReason") {
        why.push(said.to_owned());
    }
    if is("evicted") {
        why.push("Render took it off its machine (evicted)".to_owned());
    }
    for (name, said) in [
        ("buildFailed", "the build failed"),
        ("newBuild", "a newer build took its place"),
        ("newDeploy", "a newer deploy took its place"),
    ] {
        if reason.get(name).is_some_and(|given| !given.is_null()) {
            why.push(said.to_owned());
        }
    }
    if let Some(inner) = reason.get("failure").and_then(failure) {
        why.push(inner);
    }
    (!why.is_empty()).then(|| why.join("; "))
}

/// Why a deploy failed, from a service's events, newest first.
pub(super) fn deploy_failure(events: &[Event], deploy: &str) -> Option<String> {
    let is_of = |event: &Event, kind: &str| {
        let id = event.details.get("deployId").and_then(Value::as_str);
        event.kind == kind && id == Some(deploy)
    };
    let end = events
        .iter()
        .position(|event| is_of(event, "deploy_ended"))?;
    let during = events.get(end..)?;
    let begin = during
        .iter()
        .position(|event| is_of(event, "deploy_started"))
        .unwrap_or(during.len());
    during.iter().take(begin).find_map(|event| {
        let details = &event.details;
        match event.kind.as_str() {
            "image_pull_failed" => details.get("message")?.as_str().map(str::to_owned),
            "server_failed" | "deploy_ended" => failure(details.get("reason")?),
            _ => None,
        }
    })
}

/// An event in words, and whether it is bad news.
pub(super) fn event(event: &Event) -> (String, bool) {
    let details = &event.details;
    let text = |name: &str| details.get(name).and_then(Value::as_str).unwrap_or("?");
    let number = |name: &str| {
        details
            .get(name)
            .and_then(Value::as_i64)
            .unwrap_or_default()
    };
    let why = |head: &str| match details.get("reason").and_then(failure) {
        Some(why) => format!("{head}: {why}"),
        None => head.to_owned(),
    };
    let good = |text: &str| (text.to_owned(), false);
    match event.kind.as_str() {
        "server_available" => good("The service is up"),
        "server_failed" => (why("The service failed"), true),
        "server_hardware_failure" => ("Render's machine failed".to_owned(), true),
        "server_restarted" => good("The service was restarted"),
        "deploy_started" => (format!("Deploy {} began", text("deployId")), false),
        "deploy_ended" => {
            let deploy = text("deployId");
            let how = details.get("deployStatus").and_then(Value::as_str);
            match (how, number("status")) {
                (Some("succeeded"), _) | (None, 2) => (format!("Deploy {deploy} is live"), false),
                (Some("failed"), _) | (None, 3) => (why(&format!("Deploy {deploy} failed")), true),
                (Some("canceled"), _) | (None, 4) => {
                    (why(&format!("Deploy {deploy} was cancelled")), false)
                }
                _ => (format!("Deploy {deploy} ended"), false),
            }
        }
        "image_pull_failed" => {
            let said = text("message");
            (format!("The image could not be pulled: {said}"), true)
        }
        "suspender_added" => {
            let actor = text("actor");
            (format!("Suspended by {actor}"), actor != "user")
        }
        "suspender_removed" => (format!("No longer suspended by {}", text("actor")), false),
        "service_suspended" => good("The service is suspended"),
        "service_resumed" => good("The service is resumed"),
        "plan_changed" => (
            format!("The plan changed from {} to {}", text("from"), text("to")),
            false,
        ),
        "instance_count_changed" => {
            let (from, to) = (number("fromInstances"), number("toInstances"));
            (format!("Instances changed from {from} to {to}"), false)
        }
        "maintenance_started" => good("Render's maintenance began"),
        "maintenance_ended" => good("Render's maintenance ended"),
        other => {
            let is_problem = other.ends_with("_failed") || other.ends_with("_failure");
            (why(&other.replace('_', " ")), is_problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn happened(kind: &str, details: Value) -> Event {
        Event {
            timestamp: None,
            kind: kind.to_owned(),
            details,
        }
    }

    #[test]
    fn every_reason_has_words() {
        for (reason, words) in [
            (
                json!({ "evicted": false, "nonZeroExit": 137 }),
                "exit code 137",
            ),
            (json!({ "evicted": true }), "evicted"),
            (
                json!({ "evicted": false, "earlyExit": true }),
                "ended early",
            ),
            (
                json!({ "evicted": false, "oomKilled": { "memoryLimit": "512Mi" } }),
                "more than 512Mi",
            ),
            (
                json!({ "evicted": false, "unhealthy": "HTTP 500" }),
                "health check failed: HTTP 500",
            ),
            (
                json!({ "timedOutSeconds": 900, "timedOutReason": "no open port" }),
                "within 900 s; no open port",
            ),
            (json!({ "failure": { "nonZeroExit": 1 } }), "exit code 1"),
            (json!({ "newDeploy": { "id": "dep-2" } }), "newer deploy"),
        ] {
            let said = failure(&reason).unwrap();
            assert!(said.contains(words), "{reason}: {said}");
        }
        assert_eq!(failure(&json!({ "evicted": false })), None);
        assert_eq!(failure(&Value::Null), None);
    }

    #[test]
    fn bad_news_is_known_even_when_the_kind_is_not() {
        let said = |kind, details| event(&happened(kind, details));
        let reason = json!({ "reason": { "nonZeroExit": 2 } });
        let (text, is_problem) = said("server_failed", reason);
        assert!(text.ends_with("exit code 2") && is_problem);
        assert!(!said("suspender_added", json!({ "actor": "user" })).1);
        assert!(said("suspender_added", json!({ "actor": "billing" })).1);
        let new = said("moon_landing_failed", Value::Null);
        assert_eq!(new, ("moon landing failed".to_owned(), true));
        let by_number = json!({ "deployId": "dep-1", "status": 3 });
        assert_eq!(
            said("deploy_ended", by_number),
            ("Deploy dep-1 failed".to_owned(), true)
        );
    }

    #[test]
    fn the_reason_of_a_deploy_is_not_taken_from_another() {
        let ended = |id: &str| {
            let details = json!({ "deployId": id, "reason": { "failure": { "evicted": false } } });
            happened("deploy_ended", details)
        };
        let began = |id: &str| happened("deploy_started", json!({ "deployId": id }));
        let events = [
            ended("dep-2"),
            happened("server_failed", json!({ "reason": { "nonZeroExit": 1 } })),
            began("dep-2"),
            ended("dep-1"),
            happened(
                "image_pull_failed",
                json!({ "message": "manifest unknown" }),
            ),
            began("dep-1"),
        ];
        let why = |id| deploy_failure(&events, id).unwrap_or_default();
        assert!(why("dep-2").contains("exit code 1"));
        assert_eq!(why("dep-1"), "manifest unknown");
        assert_eq!(why("dep-0"), "");
    }

    #[test]
    fn an_unknown_status_is_on_its_way() {
        assert!(is_under_way(&progress("pre_deploy_in_progress")));
        assert!(is_under_way(&progress("something_new")));
        assert!(!is_under_way(&progress("deactivated")));
    }
}
