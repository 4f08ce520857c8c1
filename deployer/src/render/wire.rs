//! Render's JSON, as much of it as is used. Everything that the API may leave out or answer
//! with null is an `Option`, whatever its description says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::Paged;

/// Who a key belongs to.
#[derive(Deserialize)]
pub(super) struct User {
    pub email: Option<String>,
    pub name: Option<String>,
}

/// A workspace.
#[derive(Deserialize)]
pub(super) struct Owner {
    pub id: String,
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct OwnerItem {
    pub owner: Owner,
    pub cursor: Option<String>,
}

/// A service.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub id: String,
    pub name: String,
    pub owner_id: String,
    pub dashboard_url: Option<String>,
    pub image_path: Option<String>,
    pub registry_credential: Option<Id>,
    pub service_details: Option<Details>,
    pub suspended: Option<String>,
    pub suspenders: Option<Vec<String>>,
}

/// What differs between kinds of services. `openPorts` is null before a port is open, and
/// `slug` need not be the host's name: neither is used.
#[derive(Deserialize)]
pub(super) struct Details {
    pub plan: Option<String>,
    pub region: Option<String>,
    pub url: Option<String>,
    pub disk: Option<DiskThere>,
}

#[derive(Deserialize)]
pub(super) struct DiskThere {
    #[serde(rename = "sizeGB")]
    pub gigabytes: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct Id {
    pub id: String,
}

#[derive(Deserialize)]
pub(super) struct ServiceItem {
    pub service: Service,
    pub cursor: Option<String>,
}

/// What `POST /services` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    pub service: Service,
    pub deploy_id: Option<String>,
}

/// A variable that is there. Its value is wrapped up as soon as it is read.
#[derive(Deserialize)]
pub(super) struct VariableThere {
    pub key: String,
    pub value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VariableItem {
    pub env_var: VariableThere,
    pub cursor: Option<String>,
}

/// A deploy.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deploy {
    pub id: String,
    pub image: Option<DeployImage>,
    pub status: Option<String>,
    pub trigger: Option<String>,
    pub created_at: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DeployImage {
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    pub sha: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DeployItem {
    pub deploy: Deploy,
}

/// Something that happened.
#[derive(Deserialize)]
pub(super) struct Event {
    pub timestamp: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub details: Value,
}

#[derive(Deserialize)]
pub(super) struct EventItem {
    pub event: Event,
}

/// A page of a log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logs {
    pub has_more: Option<bool>,
    pub next_start_time: Option<String>,
    pub logs: Option<Vec<Line>>,
}

#[derive(Deserialize)]
pub(super) struct Line {
    pub message: Option<String>,
    pub timestamp: String,
}

/// A series of a metric.
#[derive(Deserialize)]
pub(super) struct Series {
    pub unit: Option<String>,
    pub values: Option<Vec<Point>>,
}

#[derive(Deserialize)]
pub(super) struct Point {
    pub timestamp: String,
    pub value: Option<f64>,
}

impl Paged for OwnerItem {
    fn cursor(&self) -> &str {
        self.cursor.as_deref().unwrap_or_default()
    }
}

impl Paged for ServiceItem {
    fn cursor(&self) -> &str {
        self.cursor.as_deref().unwrap_or_default()
    }
}

impl Paged for VariableItem {
    fn cursor(&self) -> &str {
        self.cursor.as_deref().unwrap_or_default()
    }
}

/// A service to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewService<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: &'a str,
    pub owner_id: &'a str,
    pub auto_deploy: &'static str,
    pub image: Image<'a>,
    pub env_vars: Vec<Variable<'a>>,
    pub service_details: NewDetails<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewDetails<'a> {
    pub runtime: &'static str,
    pub plan: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'a str>,
    pub health_check_path: &'static str,
    pub num_instances: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<NewDisk>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewDisk {
    pub name: &'static str,
    pub mount_path: &'static str,
    #[serde(rename = "sizeGB")]
    pub gigabytes: u32,
}

/// The image of a service.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Image<'a> {
    pub owner_id: &'a str,
    pub image_path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_credential_id: Option<&'a str>,
}

/// A variable to be set. Has no `Debug`: the value can be a secret.
#[derive(Serialize)]
pub(super) struct Variable<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

/// Changes of a service; what is absent stays.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_details: Option<ChangedDetails<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangedDetails<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<&'a str>,
    pub health_check_path: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewDeploy<'a> {
    pub image_url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rollback<'a> {
    pub deploy_id: &'a str,
}
