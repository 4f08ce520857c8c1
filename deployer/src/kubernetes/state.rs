//! How an app is, by its workload and its pods.

use contract::deploy::DeployProgress;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::api::{Kind, STATEFUL_SETS};
use super::dialect::{CLAW_CLOUD, Dialect};
use super::model::{Workload, deploy_of};
use crate::provider::ProviderState;

/// So often may a program end before its deploy counts as failed.
const MOST_CRASHES: i32 = 3;

/// What a pod waits for or dies of.
struct Trouble {
    text: String,
    /// It will not pass by itself.
    is_final: bool,
}

/// What is to be told of an app.
pub(super) fn state(
    dialect: &Dialect,
    kind: Kind,
    workload: &Workload,
    pods: &[Pod],
) -> ProviderState {
    if !workload.wants_pods() {
        return match workload.annotation(dialect.pause) {
            Some(_) => ProviderState::Suspended,
            None => ProviderState::Stopped(stopped(dialect)),
        };
    }
    let serves = workload.status.ready_replicas > 0;
    let also = match serves {
        true => " The version before still serves.",
        false => "",
    };
    match progress(kind, workload, pods) {
        DeployProgress::Failed { detail } => ProviderState::Failing(format!("{detail}.{also}")),
        _ if serves => ProviderState::Running,
        _ => match trouble(workload, pods) {
            Some(trouble) if trouble.is_final => ProviderState::Failing(trouble.text),
            _ => ProviderState::Starting,
        },
    }
}

fn stopped(dialect: &Dialect) -> String {
    let why = match *dialect == CLAW_CLOUD {
        true => {
            "ClawCloud does that to apps of the free plan whose owner has not signed in to the \
             console for 30 days, and to those in arrears. Sign in there, then resume it."
        }
        false => "Nobody paused it here. Look into the console, then resume it.",
    };
    format!("It was scaled to nothing. {why}")
}

/// Where the newest deploy stands. "Available" alone does not tell: the version before stays
/// available while the new one fails.
pub(super) fn progress(kind: Kind, workload: &Workload, pods: &[Pod]) -> DeployProgress {
    let status = &workload.status;
    if !workload.wants_pods() {
        // It is what would run.
        return DeployProgress::Live;
    }
    let wanted = workload.spec.replicas.unwrap_or(1);
    let seen = status.observed_generation >= workload.metadata.generation.unwrap_or_default();
    let condition = |name: &str| status.conditions.iter().find(|one| one.kind == name);
    if !seen {
        let detail = "The cluster takes note of it.".to_owned();
        return DeployProgress::UnderWay { detail };
    }
    let is_complete = match kind == STATEFUL_SETS {
        true => {
            status.ready_replicas >= wanted
                && (status.update_revision == status.current_revision
                    || status.updated_replicas >= wanted)
        }
        false => {
            status.updated_replicas >= wanted
                && status.replicas == status.updated_replicas
                && status.available_replicas >= wanted
        }
    };
    if is_complete {
        return DeployProgress::Live;
    }
    let trouble = trouble(workload, pods);
    if let Some(refused) = condition("ReplicaFailure").filter(|one| one.status == "True") {
        let detail = refused.message.clone();
        return DeployProgress::Failed { detail };
    }
    let timed_out = condition("Progressing")
        .is_some_and(|one| one.status == "False" && one.reason == "ProgressDeadlineExceeded");
    match trouble {
        Some(trouble) if trouble.is_final || timed_out => DeployProgress::Failed {
            detail: trouble.text,
        },
        None if timed_out => DeployProgress::Failed {
            detail: "it was not ready in time".to_owned(),
        },
        Some(trouble) => DeployProgress::UnderWay {
            detail: trouble.text,
        },
        None => DeployProgress::UnderWay {
            detail: "The cluster makes its pod.".to_owned(),
        },
    }
}

/// What the newest pod of the newest deploy is about.
fn trouble(workload: &Workload, pods: &[Pod]) -> Option<Trouble> {
    let pod = newest(
        pods.iter()
            .filter(|pod| deploy_of(pod) == workload.deploy()),
    )?;
    let status = pod.status.as_ref()?;
    let passing = |text: String| {
        Some(Trouble {
            text,
            is_final: false,
        })
    };
    let container = status.container_statuses.iter().flatten().next();
    let Some(container) = container else {
        let conditions = status.conditions.iter().flatten();
        let mut unscheduled =
            conditions.filter(|one| one.reason.as_deref() == Some("Unschedulable"));
        let why = unscheduled.next().and_then(|one| one.message.clone());
        return passing(match why {
            Some(why) => format!("No machine has room for it: {why}"),
            None => "It waits for a machine.".to_owned(),
        });
    };
    let waiting = container
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|one| one.reason.as_deref());
    let said = waiting.and_then(|one| one.message.as_deref());
    let said = said.unwrap_or_default();
    match reason {
        Some("CrashLoopBackOff") => Some(Trouble {
            text: died(container),
            is_final: container.restart_count >= MOST_CRASHES,
        }),
        // Also while a registry is slow or counts pulls, so it gets its time.
        Some("ErrImagePull" | "ImagePullBackOff") => {
            passing(format!("the image cannot be pulled: {said}"))
        }
        Some("InvalidImageName") => Some(Trouble {
            text: format!("the image cannot be pulled: {said}"),
            is_final: true,
        }),
        Some("CreateContainerConfigError" | "CreateContainerError") => {
            passing(format!("it cannot be started: {said}"))
        }
        Some("ContainerCreating" | "PodInitializing") => passing("The image is pulled.".to_owned()),
        Some(other) => passing(format!("{other} {said}").trim().to_owned()),
        None if container.restart_count > 0 => passing(died(container)),
        None => passing("It starts.".to_owned()),
    }
}

fn died(container: &ContainerStatus) -> String {
    let ended = |state: Option<&ContainerState>| state?.terminated.clone();
    let last = ended(container.last_state.as_ref()).or(ended(container.state.as_ref()));
    match last {
        Some(last) if last.reason.as_deref() == Some("OOMKilled") => {
            "out of memory (OOMKilled)".to_owned()
        }
        Some(last) => format!("the program ended with exit code {}", last.exit_code),
        None => "the program ended".to_owned(),
    }
}

/// The pod that was made last.
pub(super) fn newest<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by_key(|pod| {
        let made = pod.metadata.creation_timestamp.as_ref();
        (made.map(|time| time.0), deploy_of(pod))
    })
}
