//! What calls are answered with: things as Koyeb shows them, and errors.

use serde_json::{Value, json};

use super::state::{App, Deployment, Service, State, Status};
use crate::cloud::http::Answer;
use crate::cloud::rfc3339;

/// An error in Koyeb's form.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "status": status, "code": code, "message": message }),
    )
}

pub(super) fn usual_error(status: u16) -> Answer {
    let (code, message) = match status {
        400 => ("invalid_argument", "Validation error"),
        401 => ("authentication_error", "Token is not valid"),
        402 => ("request_failed", "Add a payment method to go on"),
        403 => ("authorization_required", "You may not do that"),
        404 => ("unknown_resource", "Not Found"),
        409 => ("invalid_argument", "It exists already"),
        429 => ("rate_limit_error", "Too many requests"),
        503 => ("api_error", "Service unavailable"),
        _ => ("api_error", "Internal error"),
    };
    error(status, code, message)
}

/// 400 about a field.
pub(super) fn invalid(field: &str, description: &str) -> Answer {
    Answer::json(
        400,
        &json!({
            "status": 400,
            "code": "invalid_argument",
            "message": "Validation error",
            "fields": [{ "field": field, "description": description }],
        }),
    )
}

impl State {
    pub fn show_app(&self, app: &App) -> Value {
        let url = app.edge.url();
        json!({
            "id": app.id,
            "name": app.name,
            "organization_id": self.organization,
            "created_at": rfc3339(app.created),
            "updated_at": rfc3339(app.created),
            "status": "HEALTHY",
            "domains": [{
                "id": app.id,
                "name": url.trim_start_matches("http://"),
                "type": "AUTOASSIGNED",
                "status": "ACTIVE",
                "app_id": app.id,
            }],
        })
    }

    pub fn show_service(&self, service: &Service) -> Value {
        let latest = service.deployments.last();
        let status = match latest.map(|latest| latest.status) {
            _ if service.is_paused => "PAUSED",
            Some(status) if status.is_under_way() => "STARTING",
            Some(Status::Healthy) => "HEALTHY",
            _ if service.active.is_some() => "DEGRADED",
            _ => "UNHEALTHY",
        };
        json!({
            "id": service.id,
            "name": service.name,
            "type": "WEB",
            "app_id": service.app,
            "organization_id": self.organization,
            "created_at": rfc3339(service.created),
            "updated_at": rfc3339(service.updated),
            "status": status,
            "messages": latest.map(|latest| latest.said().last().into_iter().collect::<Vec<_>>()),
            "version": service.deployments.len().to_string(),
            "active_deployment_id": service.active.as_deref().unwrap_or_default(),
            "latest_deployment_id": latest.map(|latest| latest.id.as_str()),
        })
    }

    pub fn show_deployment(&self, service: &Service, deployment: &Deployment) -> Value {
        json!({
            "id": deployment.id,
            "app_id": service.app,
            "service_id": service.id,
            "organization_id": self.organization,
            "created_at": rfc3339(deployment.created),
            "updated_at": rfc3339(deployment.updated),
            "status": deployment.status.name(),
            "messages": deployment.said().collect::<Vec<_>>(),
            "definition": deployment.definition,
        })
    }
}
