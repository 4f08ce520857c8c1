//! Render's JSON.

use serde_json::{Value, json};

use super::account::{Credential, Owner};
use super::deploy::Deploy;
use super::service::{LogLine, Service, State};
use crate::cloud::http::Answer;
use crate::cloud::rfc3339;

/// An error's answer.
pub(super) fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "message": message }))
}

/// What an error of this status usually says. Recorded: 402 and the form of 404.
pub(super) const fn usual_message(status: u16) -> &'static str {
    match status {
        400 => "bad request",
        401 => "Unauthorized",
        402 => {
            "Payment information is required to complete this request. \
             To add a card, visit https://dashboard.render.com/billing"
        }
        403 => "forbidden",
        404 => "not found",
        406 => "not acceptable: application/json is all there is",
        409 => "conflict",
        429 => "rate limit exceeded",
        503 => "service unavailable",
        _ => "internal server error",
    }
}

pub(super) fn owner(owner: &Owner, email: &str) -> Value {
    let mut view = json!({
        "id": owner.id,
        "name": owner.name,
        "email": email,
        "type": owner.kind(),
    });
    if owner.kind() == "user" {
        view["twoFactorAuthEnabled"] = json!(false);
    }
    view
}

pub(super) fn credential(credential: &Credential) -> Value {
    json!({
        "id": credential.id,
        "name": credential.name,
        "registry": credential.registry,
        "username": credential.login.user,
        "updatedAt": rfc3339(credential.updated),
    })
}

pub(super) fn service(state: &State, service: &Service) -> Value {
    let credential = service
        .credential
        .as_deref()
        .and_then(|id| state.credentials.iter().find(|known| known.id == id));
    let port = service
        .container
        .instance()
        .map(|_| {
            let set = service.environment.iter().find(|(key, _)| key == "PORT");
            set.and_then(|(_, port)| port.parse().ok())
                .unwrap_or(10_000)
        })
        .map(|port: u16| json!([{ "port": port, "protocol": "TCP" }]));
    let detail = |name: &str| service.details.get(name).cloned();
    let given = detail("envSpecificDetails").unwrap_or_default();
    let mut docker = json!({ "dockerCommand": "", "dockerContext": "", "dockerfilePath": "" });
    for name in ["dockerCommand", "dockerContext", "dockerfilePath"] {
        if let Some(value) = given.get(name) {
            docker[name] = value.clone();
        }
    }
    if let Some(credential) = credential {
        docker["registryCredential"] = self::credential(credential);
    }
    let mut details = json!({
        "buildPlan": "starter",
        "env": "image",
        "runtime": "image",
        "envSpecificDetails": docker,
        "healthCheckPath": service.health_path,
        "maintenanceMode": { "enabled": false, "uri": "" },
        "numInstances": service.instances,
        "openPorts": port,
        "plan": service.plan,
        "previews": { "generation": "off" },
        "pullRequestPreviewsEnabled": "no",
        "region": service.region,
        "url": service.edge.url(),
    });
    for name in [
        "maintenanceMode",
        "previews",
        "maxShutdownDelaySeconds",
        "renderSubdomainPolicy",
        "ipAllowList",
    ] {
        if let Some(value) = detail(name) {
            details[name] = value;
        }
    }
    if service.plan != "free" {
        let host = format!("{}@ssh.{}.render.com", service.id, service.region);
        details["sshAddress"] = json!(host);
    }
    if let Some(disk) = &service.disk {
        details["disk"] = json!({
            "id": disk.id,
            "name": disk.name,
            "sizeGB": disk.gigabytes,
            "mountPath": disk.mount_path,
        });
    }
    let is_suspended = service.suspender().is_some();
    let mut view = json!({
        "autoDeploy": service.auto_deploy,
        "createdAt": rfc3339(service.created),
        "dashboardUrl": format!("https://dashboard.render.com/web/{}", service.id),
        "id": service.id,
        "imagePath": service.image,
        "name": service.name,
        "notifyOnFail": "default",
        "ownerId": service.owner,
        "rootDir": "",
        "serviceDetails": details,
        "slug": service.slug,
        "suspended": if is_suspended { "suspended" } else { "not_suspended" },
        "suspenders": service.suspenders,
        "type": "web_service",
        "updatedAt": rfc3339(service.updated),
    });
    if let Some(credential) = credential {
        view["registryCredential"] = json!({ "id": credential.id, "name": credential.name });
    }
    view
}

pub(super) fn deploy(deploy: &Deploy) -> Value {
    let mut view = json!({
        "id": deploy.id,
        "commit": null,
        "image": { "ref": deploy.image },
        "status": deploy.status.name(),
        "trigger": deploy.trigger,
        "createdAt": rfc3339(deploy.created),
        "updatedAt": rfc3339(deploy.updated),
        "finishedAt": deploy.finished.map(rfc3339),
    });
    if let Some(digest) = &deploy.digest {
        view["image"]["sha"] = json!(digest);
    }
    if let Some(started) = deploy.started {
        view["startedAt"] = json!(rfc3339(started));
    }
    view
}

pub(super) fn variable(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value })
}

/// A time of a log as RFC 3339, to the nanosecond.
pub(super) fn nanos(at: i128) -> String {
    jiff::Timestamp::from_nanosecond(at)
        .unwrap_or_default()
        .to_string()
}

pub(super) fn log_line(service: &Service, line: &LogLine) -> Value {
    let mut labels = vec![json!({ "name": "resource", "value": service.id })];
    if let Some(instance) = &line.instance {
        labels.push(json!({ "name": "instance", "value": instance }));
    }
    labels.push(json!({ "name": "level", "value": line.level }));
    labels.push(json!({ "name": "type", "value": line.kind }));
    json!({
        "id": format!("{}-{}", service.id, line.at),
        "message": line.text,
        "timestamp": nanos(line.at),
        "labels": labels,
    })
}
