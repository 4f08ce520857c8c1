//! Services and their variables: made, read, changed, deleted.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Desk, PLANS, REGIONS, RESERVED_PORTS, Result, bad, cursor_of, not_found, one_of, text,
};
use crate::cloud::edge::Edge;
use crate::cloud::http::Answer;
use crate::cloud::normalise;
use crate::render::container::{Container, Door};
use crate::render::service::{Disk, Service};
use crate::render::view;

impl Desk<'_> {
    pub(super) fn services(&self) -> Result {
        let services = self
            .state
            .services
            .iter()
            .filter(|service| {
                let suspended = match service.suspender() {
                    Some(_) => "suspended",
                    None => "not_suspended",
                };
                self.wanted("name", &service.name)
                    && self.wanted("ownerId", &service.owner)
                    && self.wanted("type", "web_service")
                    && self.wanted("region", &service.region)
                    && self.wanted("env", "image")
                    && self.wanted("suspended", suspended)
            })
            .map(|service| (service.id.clone(), view::service(self.state, service)))
            .collect();
        self.page("service", services)
    }

    pub(super) fn show(&self, status: u16, service: usize) -> Result {
        let service = self.state.services.get(service);
        let service = service.ok_or_else(|| view::error(404, view::usual_message(404)))?;
        Ok(Answer::json(status, &view::service(self.state, service)))
    }

    pub(super) async fn create(&mut self) -> Result {
        let body = self.body()?;
        let kind = text(&body, "type")?.ok_or_else(|| bad("type is required"))?;
        let name = text(&body, "name")?.ok_or_else(|| bad("name is required"))?;
        let owner = text(&body, "ownerId")?.ok_or_else(|| bad("ownerId is required"))?;
        if kind != "web_service" {
            return Err(bad("this fake has web services only"));
        }
        let has_card = self
            .state
            .owners
            .iter()
            .find(|known| known.id == owner)
            .map(|owner| owner.has_card)
            .ok_or_else(|| bad(format!("invalid ownerId: {owner}")))?;
        let details = body.get("serviceDetails").cloned().unwrap_or_default();
        if text(&details, "runtime")?.or(text(&details, "env")?) != Some("image") {
            return Err(bad("this fake has runtime image only"));
        }
        let plan = one_of(&details, "plan", &PLANS)?
            .unwrap_or("starter")
            .to_owned();
        let region = one_of(&details, "region", &REGIONS)?.unwrap_or("oregon");
        let auto_deploy = one_of(&body, "autoDeploy", &["yes", "no"])?.unwrap_or("yes");
        let (image, credential) = self
            .image(&body, owner)?
            .ok_or_else(|| bad("image is required"))?;
        let environment = match body.get("envVars") {
            None | Some(Value::Null) => Vec::new(),
            Some(variables) => self.read_variables(variables)?,
        };
        let free_needs_card = self.world.gate.lock().free_needs_card;
        if !has_card && (plan != "free" || free_needs_card) {
            return Err(view::error(402, view::usual_message(402)));
        }
        let instances = match details.get("numInstances") {
            None | Some(Value::Null) => 1,
            Some(count) => count
                .as_u64()
                .filter(|count| *count >= 1 && (*count == 1 || plan != "free"))
                .ok_or_else(|| bad("numInstances must be at least 1, and is 1 on the free plan"))?,
        };
        let disk = self.disk(&details, &plan)?;
        let is_taken = self
            .state
            .services
            .iter()
            .any(|known| known.owner == owner && known.name == name);
        if is_taken {
            return Err(view::error(409, &format!("name must be unique: {name}")));
        }
        let id = self.state.id("srv");
        let slug = format!("{name}-{}", self.state.ids.letters(4));
        let door = Door {
            world: Arc::downgrade(self.world),
            service: id.clone(),
        };
        let edge = Edge::open(|_| door)
            .await
            .map_err(|_| view::error(500, view::usual_message(500)))?;
        let service = Service {
            id: id.clone(),
            owner: owner.to_owned(),
            name: name.to_owned(),
            slug,
            image: image.clone(),
            credential,
            auto_deploy: auto_deploy.to_owned(),
            plan,
            region: region.to_owned(),
            health_path: text(&details, "healthCheckPath")?
                .unwrap_or_default()
                .to_owned(),
            instances,
            details: details.as_object().cloned().unwrap_or_default(),
            environment,
            disk,
            created: self.now,
            updated: self.now,
            suspenders: Vec::new(),
            deploys: Vec::new(),
            events: Vec::new(),
            lines: Vec::new(),
            edge,
            container: Container::Down,
            live: None,
            last_inbound: self.now,
            awake_since: None,
            traffic: std::collections::BTreeMap::new(),
        };
        let position = self.state.services.len();
        self.state.services.push(service);
        let deploy = self.state.add_deploy(position, "other", image, self.now);
        let view = self.state.services.get(position);
        let view = view.map(|service| view::service(self.state, service));
        let deploy = deploy.map(|(deploy, _)| deploy);
        Ok(Answer::json(
            201,
            &json!({ "deployId": deploy, "service": view }),
        ))
    }

    /// The image of a request, in full form, and the credential it is pulled with.
    fn image(&self, body: &Value, owner: &str) -> Result<Option<(String, Option<String>)>> {
        let Some(image) = body.get("image").filter(|image| !image.is_null()) else {
            return Ok(None);
        };
        let path = text(image, "imagePath")?.ok_or_else(|| bad("image.imagePath is required"))?;
        if text(image, "ownerId")? != Some(owner) {
            return Err(bad("image.ownerId must be the service's owner"));
        }
        let credential = text(image, "registryCredentialId")?.filter(|id| !id.is_empty());
        if let Some(id) = credential {
            let known = &self.state.credentials;
            if !known
                .iter()
                .any(|known| known.id == id && known.owner == owner)
            {
                return Err(bad(format!("invalid registryCredentialId: {id}")));
            }
        }
        Ok(Some((normalise(path), credential.map(str::to_owned))))
    }

    fn disk(&mut self, details: &Value, plan: &str) -> Result<Option<Disk>> {
        let Some(disk) = details.get("disk").filter(|disk| !disk.is_null()) else {
            return Ok(None);
        };
        if plan == "free" {
            return Err(bad("disks are not available on the free plan"));
        }
        let folder = tempfile::Builder::new()
            .prefix("gb-render-disk-")
            .tempdir()
            .map_err(|_| view::error(500, view::usual_message(500)))?;
        let gigabytes = disk.get("sizeGB").and_then(Value::as_u64).unwrap_or(1);
        Ok(Some(Disk {
            id: self.state.id("dsk"),
            name: text(disk, "name")?
                .ok_or_else(|| bad("disk.name is required"))?
                .to_owned(),
            mount_path: text(disk, "mountPath")?
                .ok_or_else(|| bad("disk.mountPath is required"))?
                .to_owned(),
            gigabytes,
            folder,
        }))
    }

    pub(super) fn change(&mut self, service: usize) -> Result {
        let body = self.body()?;
        let owner = self.known(service)?.owner.clone();
        let image = self.image(&body, &owner)?;
        let has_card = self
            .state
            .owners
            .iter()
            .any(|known| known.id == owner && known.has_card);
        let now = self.now;
        let details = body.get("serviceDetails").cloned().unwrap_or_default();
        let plan = one_of(&details, "plan", &PLANS)?;
        let auto_deploy = one_of(&body, "autoDeploy", &["yes", "no"])?;
        let health_path = text(&details, "healthCheckPath")?;
        let name = text(&body, "name")?;
        if plan.is_some_and(|plan| plan != "free") && !has_card {
            return Err(view::error(402, view::usual_message(402)));
        }
        let known = self.known(service)?;
        if plan == Some("free") && known.disk.is_some() {
            return Err(bad("disks are not available on the free plan"));
        }
        known.updated = now;
        if let Some((image, credential)) = image {
            known.image = image;
            known.credential = credential;
        }
        if let Some(name) = name {
            name.clone_into(&mut known.name);
        }
        if let Some(auto_deploy) = auto_deploy {
            auto_deploy.clone_into(&mut known.auto_deploy);
        }
        if let Some(path) = health_path {
            path.clone_into(&mut known.health_path);
        }
        for (name, value) in details.as_object().into_iter().flatten() {
            known.details.insert(name.clone(), value.clone());
        }
        if let Some(plan) = plan.filter(|plan| *plan != known.plan) {
            let before = std::mem::replace(&mut known.plan, plan.to_owned());
            let change = json!({ "from": before, "to": plan });
            self.state.event(service, now, "plan_changed", change);
        }
        self.show(200, service)
    }

    pub(super) async fn delete(&mut self, service: usize) -> Result {
        self.state.stop(service, self.now).await;
        let mut gone = self.state.services.remove(service);
        for deploy in &mut gone.deploys {
            if let Some(candidate) = deploy.candidate.take() {
                candidate.stop().await;
            }
        }
        self.state.ruins.push(gone.edge);
        Ok(Answer::empty(204))
    }

    // ---- variables

    pub(super) fn variables(&mut self, service: usize) -> Result {
        let variables = self
            .known(service)?
            .environment
            .iter()
            .map(|(key, value)| (key.clone(), view::variable(key, value)))
            .collect();
        self.page("envVar", variables)
    }

    pub(super) fn replace_variables(&mut self, service: usize) -> Result {
        let body = self.body()?;
        let variables = self.read_variables(&body)?;
        let now = self.now;
        let known = self.known(service)?;
        known.environment = variables;
        known.updated = now;
        let all: Vec<Value> = known
            .environment
            .iter()
            .map(|(key, value)| {
                json!({ "envVar": view::variable(key, value), "cursor": cursor_of(key) })
            })
            .collect();
        Ok(Answer::json(200, &Value::Array(all)))
    }

    pub(super) fn variable(&mut self, method: &str, service: usize, key: &str) -> Result {
        let body = self.body()?;
        let value = match method {
            "PUT" => Some(self.read_value(key, &body)?),
            _ => None,
        };
        let known = self.known(service)?;
        let place = known.environment.iter().position(|(name, _)| name == key);
        match (method, value, place) {
            ("PUT", Some(value), place) => {
                let view = view::variable(key, &value);
                match place.and_then(|place| known.environment.get_mut(place)) {
                    Some(variable) => variable.1 = value,
                    None => known.environment.push((key.to_owned(), value)),
                }
                Ok(Answer::json(200, &view))
            }
            (_, _, None) => Err(not_found(key)),
            ("DELETE", _, Some(place)) => {
                known.environment.remove(place);
                Ok(Answer::empty(204))
            }
            (_, _, Some(place)) => {
                let (key, value) = known.environment.get(place).ok_or_else(|| not_found(key))?;
                Ok(Answer::json(200, &view::variable(key, value)))
            }
        }
    }

    fn read_variables(&mut self, given: &Value) -> Result<Vec<(String, String)>> {
        let given = given
            .as_array()
            .ok_or_else(|| bad("environment variables must be an array"))?;
        let mut names = HashSet::new();
        let mut variables = Vec::new();
        for variable in given {
            let key = text(variable, "key")?.ok_or_else(|| bad("envVar.key is required"))?;
            let is_name = key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
                && !key.is_empty()
                && !key.starts_with(|c: char| c.is_ascii_digit());
            if !is_name {
                return Err(bad(format!("invalid environment variable name: {key}")));
            }
            if !names.insert(key) {
                return Err(bad(format!("duplicate environment variable: {key}")));
            }
            variables.push((key.to_owned(), self.read_value(key, variable)?));
        }
        Ok(variables)
    }

    /// A variable's value; a generated one is 256 bits in base64.
    fn read_value(&mut self, key: &str, given: &Value) -> Result<String> {
        use base64::Engine as _;
        if given.get("generateValue") == Some(&Value::Bool(true)) {
            let random: Vec<u8> = (0..4)
                .flat_map(|_| self.state.ids.number().to_le_bytes())
                .collect();
            return Ok(base64::engine::general_purpose::STANDARD.encode(random));
        }
        let value = text(given, "value")?
            .ok_or_else(|| bad(format!("{key}: value or generateValue is required")))?;
        if key == "PORT" && RESERVED_PORTS.contains(&value) {
            return Err(bad(format!("PORT {value} is reserved by Render")));
        }
        Ok(value.to_owned())
    }
}
