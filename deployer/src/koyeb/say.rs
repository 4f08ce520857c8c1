//! What Koyeb says, in words: deployments, services, events, refusals.

use contract::deploy::{DeployProgress, RemoteEvent};

use super::wire::{Deployment, Event, Service};
use crate::http::millis;
use crate::provider::{ProviderError, ProviderState};

/// Where a deployment stands. A status that is not known is one on the way.
pub(super) fn progress(deployment: &Deployment) -> DeployProgress {
    let status = deployment.status.as_deref().unwrap_or("unknown");
    match status {
        "STASHED" => DeployProgress::Queued,
        // A free instance that sleeps was healthy when it fell asleep.
        "HEALTHY" | "DEGRADED" | "SLEEPING" => DeployProgress::Live,
        "STOPPING" | "STOPPED" => DeployProgress::Replaced,
        "CANCELING" | "CANCELED" => DeployProgress::Cancelled,
        "UNHEALTHY" | "ERRORING" | "ERROR" => DeployProgress::Failed {
            detail: explained(status, deployment.messages.as_deref()),
        },
        other => DeployProgress::UnderWay {
            detail: explained(other, deployment.messages.as_deref()),
        },
    }
}

/// A status with the last of what was said about it.
fn explained(status: &str, messages: Option<&[String]>) -> String {
    let last = messages.and_then(<[String]>::last);
    match last.filter(|last| !last.is_empty()) {
        Some(last) => format!("{last} ({status})"),
        None => status.to_owned(),
    }
}

/// Whether a deployment has yet to end.
pub(super) const fn is_under_way(progress: &DeployProgress) -> bool {
    matches!(
        progress,
        DeployProgress::Queued | DeployProgress::UnderWay { .. }
    )
}

/// Whether a deployment was only saved.
pub(super) fn is_stashed(deployment: &Deployment) -> bool {
    deployment.status.as_deref() == Some("STASHED")
}

pub(super) fn is_deleted(service: &Service) -> bool {
    service.status.as_deref() == Some("DELETED")
}

/// Whether a service is on its way out, and cannot be used or be brought back.
pub(super) fn is_leaving(service: &Service) -> bool {
    service.status.as_deref() == Some("DELETING")
}

pub(super) fn is_paused(service: &Service) -> bool {
    matches!(service.status.as_deref(), Some("PAUSED" | "PAUSING"))
}

/// What a service is, with its deployments, newest first.
pub(super) fn state(service: &Service, deployments: &[Deployment]) -> ProviderState {
    let serves = || {
        let mut deployments = deployments.iter();
        deployments.any(|it| progress(it) == DeployProgress::Live)
    };
    match service.status.as_deref().unwrap_or_default() {
        "PAUSED" | "PAUSING" => ProviderState::Suspended,
        "DELETING" => ProviderState::Stopped("Koyeb is deleting it".to_owned()),
        "HEALTHY" | "DEGRADED" if deployments.first().is_some_and(sleeps) => ProviderState::Asleep,
        "HEALTHY" | "DEGRADED" => ProviderState::Running,
        // The one before serves until the new one does.
        "STARTING" if serves() => ProviderState::Running,
        "UNHEALTHY" => {
            let newest = deployments.first();
            let said = newest.and_then(|newest| newest.messages.as_deref());
            let said = said.or(service.messages.as_deref());
            ProviderState::Failing(match newest {
                None => "nothing was ever deployed".to_owned(),
                Some(newest) => explained(newest.status.as_deref().unwrap_or("UNHEALTHY"), said),
            })
        }
        _ => ProviderState::Starting,
    }
}

fn sleeps(deployment: &Deployment) -> bool {
    deployment.status.as_deref() == Some("SLEEPING")
}

/// An event in words. Whether it is bad news is told by these only.
pub(super) fn event(event: &Event) -> Option<RemoteEvent> {
    let text = event.message.clone().filter(|text| !text.is_empty())?;
    let small = text.to_lowercase();
    let is_bad = ["fail", "error", "unhealthy", "crash", "exited"];
    Some(RemoteEvent {
        at: millis(event.when.as_deref()?)?,
        is_problem: is_bad.iter().any(|word| small.contains(word)),
        text,
    })
}

/// Tells a quota from a lack of rights: Koyeb answers both with 403.
pub(super) fn refusal(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Forbidden(said) | ProviderError::Refused(said) if is_about_quota(&said) => {
            ProviderError::QuotaExceeded(format!(
                "{said} Delete what is not needed in Koyeb's control panel, or choose another plan."
            ))
        }
        other => other,
    }
}

fn is_about_quota(said: &str) -> bool {
    let small = said.to_lowercase();
    ["quota", "limit", "free instance"]
        .iter()
        .any(|word| small.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: &str, said: &str) -> Deployment {
        Deployment {
            id: "d".to_owned(),
            status: Some(status.to_owned()),
            messages: Some(vec![said.to_owned()]),
            created_at: None,
            definition: serde_json::Value::Null,
        }
    }

    fn service(status: &str) -> Service {
        Service {
            id: "s".to_owned(),
            name: "gb".to_owned(),
            app_id: "a".to_owned(),
            status: Some(status.to_owned()),
            messages: None,
            latest_deployment_id: None,
        }
    }

    #[test]
    fn an_unknown_status_is_on_its_way() {
        assert!(is_under_way(&progress(&deployment("ALLOCATING", ""))));
        assert!(is_under_way(&progress(&deployment("SOMETHING_NEW", ""))));
        assert!(!is_under_way(&progress(&deployment("STOPPED", ""))));
        let failed = progress(&deployment("ERROR", "no such image"));
        let detail = "no such image (ERROR)".to_owned();
        assert_eq!(failed, DeployProgress::Failed { detail });
    }

    #[test]
    fn a_service_sleeps_or_runs_or_is_on_its_way() {
        let asleep = [deployment("SLEEPING", "")];
        assert_eq!(state(&service("HEALTHY"), &asleep), ProviderState::Asleep);
        let awake = [deployment("HEALTHY", ""), deployment("SLEEPING", "")];
        assert_eq!(state(&service("HEALTHY"), &awake), ProviderState::Running);
        let coming = [deployment("STARTING", ""), deployment("HEALTHY", "")];
        assert_eq!(state(&service("STARTING"), &coming), ProviderState::Running);
        let first = [deployment("STARTING", "")];
        assert_eq!(state(&service("STARTING"), &first), ProviderState::Starting);
        assert_eq!(
            state(&service("RESUMING"), &asleep),
            ProviderState::Starting
        );
        let gone = state(&service("DELETING"), &asleep);
        assert!(matches!(gone, ProviderState::Stopped(_)));
        let sick = state(&service("UNHEALTHY"), &[deployment("ERROR", "exit 1")]);
        assert_eq!(sick, ProviderState::Failing("exit 1 (ERROR)".to_owned()));
    }

    #[test]
    fn a_quota_is_told_from_a_lack_of_rights() {
        let said = "Only one free instance is allowed for an organization".to_owned();
        let told = refusal(ProviderError::Forbidden(said));
        assert!(matches!(told, ProviderError::QuotaExceeded(_)), "{told:?}");
        let rights = ProviderError::Forbidden("You may not do that".to_owned());
        assert_eq!(refusal(rights.clone()), rights);
    }
}
