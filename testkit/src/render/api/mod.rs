//! One call, from its head to its answer: who calls, how often, for what.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::account::Credential;
use super::container::{Container, Door};
use super::service::{Disk, Service, State};
use super::{World, view};
use crate::cloud::edge::Edge;
use crate::cloud::http::{Answer, Call};
use crate::cloud::{Image, Login, normalise, rfc3339};

/// The address of the one user.
const EMAIL: &str = "somebody@example.com";

const PLANS: [&str; 10] = [
    "starter",
    "starter_plus",
    "standard",
    "standard_plus",
    "pro",
    "pro_plus",
    "pro_max",
    "pro_ultra",
    "free",
    "custom",
];
const REGIONS: [&str; 5] = ["frankfurt", "oregon", "ohio", "singapore", "virginia"];
const REGISTRIES: [&str; 5] = ["GITHUB", "GITLAB", "DOCKER", "GOOGLE_ARTIFACT", "AWS_ECR"];
/// Ports that Render keeps for itself.
const RESERVED_PORTS: [&str; 3] = ["18012", "18013", "19099"];

/// What a call comes to; an error is an answer, too.
type Result<T = Answer> = std::result::Result<T, Answer>;

fn bad(message: impl AsRef<str>) -> Answer {
    view::error(400, message.as_ref())
}

fn not_found(what: &str) -> Answer {
    view::error(404, &format!("not found: {what}"))
}

/// Answers a call.
pub(super) async fn answer(world: &Arc<World>, call: &Call) -> Answer {
    let segments = call.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(("v1", path)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
        return view::error(404, view::usual_message(404));
    };
    let known = call
        .bearer()
        .is_some_and(|key| world.gate.lock().keys.contains(key));
    if !known {
        return view::error(401, view::usual_message(401));
    }
    let now = world.clock.now();
    let method = call.parts.method.as_str();
    let standing = world.limits.then(|| {
        let mut gate = world.gate.lock();
        gate.limits.count(now, method, path)
    });
    let accept = call.header("accept");
    let answer = if standing.is_some_and(|standing| standing.is_over) {
        view::error(429, view::usual_message(429))
    } else if !["", "*/*"].contains(&accept) && !accept.contains("application/json") {
        view::error(406, view::usual_message(406))
    } else {
        let mut state = world.state.lock().await;
        state.settle(world, now).await;
        let mut desk = Desk {
            world,
            call,
            now,
            state: &mut state,
        };
        desk.answer(method, path)
            .await
            .unwrap_or_else(|error| error)
    };
    match standing {
        Some(standing) => standing.tell(answer, world.reset, now),
        None => answer,
    }
}

/// Where a call is dealt with.
struct Desk<'a> {
    world: &'a Arc<World>,
    call: &'a Call,
    now: i64,
    state: &'a mut State,
}

impl Desk<'_> {
    async fn answer(&mut self, method: &str, path: &[&str]) -> Result {
        match (method, path) {
            ("GET", ["users"]) => {
                let user = json!({ "email": EMAIL, "name": "Somebody" });
                Ok(Answer::json(200, &user))
            }
            ("GET", ["owners"]) => self.owners(),
            ("GET", ["owners", id]) => self.owner(id),
            ("GET", ["services"]) => self.services(),
            ("POST", ["services"]) => self.create().await,
            (_, ["services", id, rest @ ..]) => {
                let service = self.state.position(id).ok_or_else(|| not_found(id))?;
                self.service(method, service, rest).await
            }
            ("GET", ["logs"]) => self.logs(),
            ("GET", ["metrics", what]) => self.metrics(what),
            (_, ["registrycredentials", rest @ ..]) => self.credentials(method, rest),
            _ => Err(view::error(404, view::usual_message(404))),
        }
    }

    async fn service(&mut self, method: &str, service: usize, path: &[&str]) -> Result {
        match (method, path) {
            ("GET", []) => self.show(200, service),
            ("PATCH", []) => self.change(service),
            ("DELETE", []) => self.delete(service).await,
            ("GET", ["env-vars"]) => self.variables(service),
            ("PUT", ["env-vars"]) => self.replace_variables(service),
            (_, ["env-vars", key]) => self.variable(method, service, key),
            ("GET", ["deploys"]) => self.deploys(service).await,
            ("POST", ["deploys"]) => self.deploy(service),
            ("GET", ["deploys", id]) => {
                self.state.look(self.world, service, self.now).await;
                self.one_deploy(service, id)
            }
            ("POST", ["deploys", id, "cancel"]) => self.cancel(service, id).await,
            ("POST", ["rollback"]) => self.roll_back(service),
            ("POST", ["suspend"]) => self.suspend(service).await,
            ("POST", ["resume"]) => self.resume(service),
            ("POST", ["restart"]) => self.restart(service).await,
            ("POST", ["scale"]) => self.scale(service),
            ("GET", ["instances"]) => self.instances(service),
            ("GET", ["events"]) => self.events(service),
            _ => Err(view::error(404, view::usual_message(404))),
        }
    }

    fn known(&mut self, service: usize) -> Result<&mut Service> {
        let missing = || view::error(404, view::usual_message(404));
        self.state.services.get_mut(service).ok_or_else(missing)
    }

    fn body(&self) -> Result<Value> {
        if self.call.body.is_empty() {
            return Ok(json!({}));
        }
        self.call
            .json()
            .ok_or_else(|| bad("invalid JSON in the request's body"))
    }

    /// A page of a list: each thing beside its cursor.
    fn page(&self, thing: &str, items: Vec<(String, Value)>) -> Result {
        let limit = match self.call.parameter("limit") {
            None => 20,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=100).contains(limit))
                .ok_or_else(|| bad("limit must be between 1 and 100"))?,
        };
        let begin = match self.call.parameter("cursor").filter(|it| !it.is_empty()) {
            None => 0,
            Some(cursor) => {
                let last = items.iter().position(|(id, _)| cursor_of(id) == cursor);
                last.ok_or_else(|| bad("invalid cursor"))? + 1
            }
        };
        let page: Vec<Value> = items
            .into_iter()
            .skip(begin)
            .take(limit)
            .map(|(id, item)| json!({ thing: item, "cursor": cursor_of(&id) }))
            .collect();
        Ok(Answer::json(200, &Value::Array(page)))
    }

    /// Whether a value passes a filter of the query: comma-separated, or absent.
    fn wanted(&self, name: &str, value: &str) -> bool {
        let mut filters = self.call.parameters(name).peekable();
        filters.peek().is_none()
            || filters.any(|filter| filter.split(',').any(|wanted| wanted == value))
    }

    // ---- workspaces

    fn owners(&self) -> Result {
        let owners = self
            .state
            .owners
            .iter()
            .filter(|owner| self.wanted("name", &owner.name))
            .map(|owner| (owner.id.clone(), view::owner(owner, EMAIL)))
            .collect();
        self.page("owner", owners)
    }

    fn owner(&self, id: &str) -> Result {
        let owner = self.state.owners.iter().find(|owner| owner.id == id);
        let owner = owner.ok_or_else(|| not_found(id))?;
        Ok(Answer::json(200, &view::owner(owner, EMAIL)))
    }

    // ---- services

    fn services(&self) -> Result {
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

    fn show(&self, status: u16, service: usize) -> Result {
        let service = self.state.services.get(service);
        let service = service.ok_or_else(|| view::error(404, view::usual_message(404)))?;
        Ok(Answer::json(status, &view::service(self.state, service)))
    }

    async fn create(&mut self) -> Result {
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

    fn change(&mut self, service: usize) -> Result {
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

    async fn delete(&mut self, service: usize) -> Result {
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

    fn variables(&mut self, service: usize) -> Result {
        let variables = self
            .known(service)?
            .environment
            .iter()
            .map(|(key, value)| (key.clone(), view::variable(key, value)))
            .collect();
        self.page("envVar", variables)
    }

    fn replace_variables(&mut self, service: usize) -> Result {
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

    fn variable(&mut self, method: &str, service: usize, key: &str) -> Result {
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

    // ---- deploys

    async fn deploys(&mut self, service: usize) -> Result {
        self.state.look(self.world, service, self.now).await;
        let known = self.state.services.get(service);
        let deploys = known
            .into_iter()
            .flat_map(|known| known.deploys.iter().rev())
            .filter(|deploy| self.wanted("status", deploy.status.name()))
            .map(|deploy| (deploy.id.clone(), view::deploy(deploy)))
            .collect();
        self.page("deploy", deploys)
    }

    fn one_deploy(&mut self, service: usize, id: &str) -> Result {
        let known = self.known(service)?;
        let deploy = known.deploys.iter().find(|deploy| deploy.id == id);
        let deploy = deploy.ok_or_else(|| not_found(id))?;
        Ok(Answer::json(200, &view::deploy(deploy)))
    }

    fn deploy(&mut self, service: usize) -> Result {
        let body = self.body()?;
        let known = self.known(service)?;
        if known.suspender().is_some() {
            return Err(bad("service is suspended; resume it first"));
        }
        let image = match text(&body, "imageUrl")? {
            None => known.image.clone(),
            Some(url) => {
                let (wanted, own) = (Image::parse(url), Image::parse(&known.image));
                if wanted.repository() != own.repository() {
                    return Err(bad(
                        "imageUrl: host, repository and image name must match the service's image",
                    ));
                }
                wanted.to_string()
            }
        };
        self.new_deploy(service, "api", image)
    }

    /// 201 with the deploy, or 202 without a body when it waits.
    fn new_deploy(&mut self, service: usize, trigger: &'static str, image: String) -> Result {
        match self.state.add_deploy(service, trigger, image, self.now) {
            Some((_, true)) => Ok(Answer::empty(202)),
            Some((id, false)) => {
                let mut answer = self.one_deploy(service, &id)?;
                answer.status = 201;
                Ok(answer)
            }
            None => Err(view::error(404, view::usual_message(404))),
        }
    }

    async fn cancel(&mut self, service: usize, id: &str) -> Result {
        self.one_deploy(service, id)?;
        if self.state.cancel(service, id, self.now).await {
            self.one_deploy(service, id)
        } else {
            Err(bad("deploy cannot be canceled: it has ended"))
        }
    }

    fn roll_back(&mut self, service: usize) -> Result {
        let body = self.body()?;
        let id = text(&body, "deployId")?.ok_or_else(|| bad("deployId is required"))?;
        let known = self.known(service)?;
        let deploy = known.deploys.iter().find(|deploy| deploy.id == id);
        let deploy = deploy.ok_or_else(|| not_found(id))?;
        if !deploy.status.has_been_live() {
            return Err(bad("cannot roll back to a deploy that was never live"));
        }
        let mut image = Image::parse(&deploy.image);
        if deploy.digest.is_some() {
            image.digest.clone_from(&deploy.digest);
            image.tag = None;
        }
        let (_, _) = self
            .state
            .add_deploy(service, "rollback", image.to_string(), self.now)
            .ok_or_else(|| not_found(id))?;
        let latest = self.known(service)?.deploys.last();
        let latest = latest.ok_or_else(|| not_found(id))?;
        Ok(Answer::json(201, &view::deploy(latest)))
    }

    // ---- power

    async fn suspend(&mut self, service: usize) -> Result {
        let under_way: Vec<String> = self
            .known(service)?
            .deploys
            .iter()
            .filter(|deploy| deploy.status.is_under_way())
            .map(|deploy| deploy.id.clone())
            .collect();
        for deploy in under_way {
            self.state.cancel(service, &deploy, self.now).await;
        }
        self.state.stop(service, self.now).await;
        let known = self.known(service)?;
        if !known.suspenders.contains(&"user") {
            known.suspenders.insert(0, "user");
            let by = json!({ "actor": "user", "suspendedByUser": user() });
            self.state.event(service, self.now, "suspender_added", by);
            self.state
                .event(service, self.now, "service_suspended", json!({}));
        }
        Ok(Answer::empty(202))
    }

    fn resume(&mut self, service: usize) -> Result {
        let known = self.known(service)?;
        if known.suspender() == Some("billing") {
            return Err(view::error(402, view::usual_message(402)));
        }
        let before = known.suspenders.len();
        known.suspenders.retain(|suspender| *suspender != "user");
        if known.suspenders.len() == before {
            return Ok(Answer::empty(202));
        }
        let image = known.image.clone();
        let by = json!({ "actor": "user", "resumedByUser": user() });
        self.state.event(service, self.now, "suspender_removed", by);
        self.state
            .event(service, self.now, "service_resumed", json!({}));
        self.new_deploy(service, "service_resumed", image)?;
        Ok(Answer::empty(202))
    }

    async fn restart(&mut self, service: usize) -> Result {
        let known = self.known(service)?;
        if known.suspender().is_some() || known.live.is_none() {
            return Err(bad("there is nothing to restart"));
        }
        self.state.stop(service, self.now).await;
        self.state.start(self.world, service, self.now).await;
        let by = json!({ "triggeredByUser": EMAIL });
        self.state.event(service, self.now, "server_restarted", by);
        Ok(Answer::empty(200))
    }

    fn scale(&mut self, service: usize) -> Result {
        let body = self.body()?;
        let count = body
            .get("numInstances")
            .and_then(Value::as_u64)
            .filter(|count| *count >= 1)
            .ok_or_else(|| bad("numInstances is required and at least 1"))?;
        let known = self.known(service)?;
        if known.plan == "free" && count > 1 {
            return Err(bad("free services have one instance"));
        }
        let before = std::mem::replace(&mut known.instances, count);
        let change = json!({ "fromInstances": before, "toInstances": count });
        self.state
            .event(service, self.now, "instance_count_changed", change);
        Ok(Answer::empty(202))
    }

    // ---- looking on

    fn instances(&mut self, service: usize) -> Result {
        let instances: Vec<Value> = self
            .known(service)?
            .container
            .instance()
            .map(|instance| json!({ "id": instance.id, "createdAt": rfc3339(instance.created) }))
            .into_iter()
            .collect();
        Ok(Answer::json(200, &Value::Array(instances)))
    }

    fn events(&mut self, service: usize) -> Result {
        let (from, to) = self.window(i64::MIN)?;
        let known = self.state.services.get(service);
        let field = |event: &Value, name: &str| {
            let value = event.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let events = known
            .into_iter()
            .flat_map(|known| known.events.iter().rev())
            .filter(|event| {
                let at = nanos_of(&field(event, "timestamp")).unwrap_or_default();
                self.wanted("type", &field(event, "type")) && from <= at && at <= to
            })
            .map(|event| (field(event, "id"), event.clone()))
            .collect();
        self.page("event", events)
    }

    /// `startTime` and `endTime` in nanoseconds; the start, when absent, in milliseconds
    /// before now.
    fn window(&self, before: i64) -> Result<(i128, i128)> {
        let time = |name: &str| {
            self.call
                .parameter(name)
                .map(|given| nanos_of(given).ok_or_else(|| bad(format!("invalid {name}"))))
                .transpose()
        };
        let start = i128::from(self.now.saturating_sub(before.saturating_abs())) * 1_000_000;
        let end = i128::from(self.now) * 1_000_000 + 999_999;
        Ok((
            time("startTime")?.unwrap_or(start),
            time("endTime")?.unwrap_or(end),
        ))
    }

    fn logs(&self) -> Result {
        let owner = self
            .call
            .parameter("ownerId")
            .ok_or_else(|| bad("ownerId is required"))?;
        let wanted: Vec<&str> = self.call.parameters("resource").collect();
        if wanted.is_empty() {
            return Err(bad("resource is required"));
        }
        let limit = match self.call.parameter("limit") {
            None => 20,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=100).contains(limit))
                .ok_or_else(|| bad("limit must be between 1 and 100"))?,
        };
        let is_backward = match self.call.parameter("direction") {
            None | Some("backward") => true,
            Some("forward") => false,
            Some(_) => return Err(bad("direction must be backward or forward")),
        };
        let (from, to) = self.window(3_600_000)?;
        let mut lines = Vec::new();
        for id in wanted {
            let known = self.state.services.iter().find(|known| known.id == id);
            let known = known
                .filter(|known| known.owner == owner)
                .ok_or_else(|| not_found(id))?;
            lines.extend(
                known
                    .lines
                    .iter()
                    .filter(|line| {
                        from <= line.at
                            && line.at <= to
                            && self.wanted("type", line.kind)
                            && self.wanted("level", line.level)
                            && self.wanted("instance", line.instance.as_deref().unwrap_or_default())
                            && self
                                .call
                                .parameter("text")
                                .is_none_or(|text| line.text.contains(text))
                    })
                    .map(|line| (line.at, view::log_line(known, line))),
            );
        }
        lines.sort_by_key(|(at, _)| *at);
        if is_backward {
            lines.reverse();
        }
        let has_more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().map(|(at, _)| *at);
        // Both ends of a window belong to it, so the next one begins one nanosecond on.
        let (next_from, next_to) = match last {
            Some(at) if is_backward => (from, at - 1),
            Some(at) => (at + 1, to),
            None => (from, to),
        };
        let lines: Vec<Value> = lines.into_iter().map(|(_, line)| line).collect();
        Ok(Answer::json(
            200,
            &json!({
                "hasMore": has_more,
                "nextStartTime": view::nanos(next_from),
                "nextEndTime": view::nanos(next_to),
                "logs": lines,
            }),
        ))
    }

    fn metrics(&self, what: &str) -> Result {
        let resolution: i64 = match self.call.parameter("resolutionSeconds") {
            None => 60,
            Some(given) => given
                .parse()
                .ok()
                .filter(|seconds| *seconds >= 30)
                .ok_or_else(|| bad("resolutionSeconds must be at least 30"))?,
        };
        let unit = match what {
            "cpu" => "CPU",
            "memory" | "memory-limit" | "bandwidth" => "bytes",
            "http-requests" => "requests",
            "http-latency" => "milliseconds",
            "instance-count" => "instances",
            _ => return Err(view::error(404, view::usual_message(404))),
        };
        let (from, to) = self.window(3_600_000)?;
        let step = resolution * 1000;
        let minute = |nanos: i128| i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or_default();
        let (from, to) = (minute(from).div_euclid(step) * step, minute(to));
        if (to - from) / step > 10_000 {
            return Err(bad("too many data points; ask for a coarser resolution"));
        }
        let asked: Vec<&str> = self
            .call
            .parameters("resource")
            .flat_map(|ids| ids.split(','))
            .collect();
        let series: Vec<Value> = self
            .state
            .services
            .iter()
            .filter(|service| asked.contains(&service.id.as_str()))
            .map(|service| {
                let since = service
                    .container
                    .instance()
                    .map(|instance| instance.created);
                let values: Vec<Value> = (0..)
                    .map(|i| from + i * step)
                    .take_while(|at| *at <= to)
                    .filter_map(|at| {
                        let is_up = since.is_some_and(|since| at + step > since);
                        let value = value_of(what, service, at, at + step, is_up)?;
                        Some(json!({ "timestamp": rfc3339(at), "value": value }))
                    })
                    .collect();
                json!({
                    "labels": [{ "field": "resource", "value": service.id }],
                    "values": values,
                    "unit": unit,
                })
            })
            .collect();
        Ok(Answer::json(200, &Value::Array(series)))
    }

    // ---- registry credentials

    fn credentials(&mut self, method: &str, path: &[&str]) -> Result {
        let find = |state: &State, id: &str| {
            let place = state.credentials.iter().position(|known| known.id == id);
            place.ok_or_else(|| not_found(id))
        };
        match (method, path) {
            ("GET", []) => {
                let known: Vec<Value> = self
                    .state
                    .credentials
                    .iter()
                    .filter(|known| {
                        self.wanted("ownerId", &known.owner)
                            && self.wanted("name", &known.name)
                            && self.wanted("username", &known.login.user)
                            && self.wanted("type", &known.registry)
                    })
                    .map(view::credential)
                    .collect();
                Ok(Answer::json(200, &Value::Array(known)))
            }
            ("POST", []) => {
                let body = self.body()?;
                let owner = text(&body, "ownerId")?.unwrap_or_default();
                if !self.state.owners.iter().any(|known| known.id == owner) {
                    return Err(bad(format!("invalid ownerId: {owner}")));
                }
                let credential = self.read_credential(&body, owner)?;
                let view = view::credential(&credential);
                self.state.credentials.push(credential);
                Ok(Answer::json(200, &view))
            }
            (_, [id]) => {
                let place = find(self.state, id)?;
                match method {
                    "GET" => {}
                    "PATCH" => {
                        let body = self.body()?;
                        let owner = self
                            .state
                            .credentials
                            .get(place)
                            .map(|known| known.owner.clone())
                            .unwrap_or_default();
                        let mut changed = self.read_credential(&body, &owner)?;
                        (*id).clone_into(&mut changed.id);
                        if let Some(known) = self.state.credentials.get_mut(place) {
                            *known = changed;
                        }
                    }
                    "DELETE" => {
                        self.state.credentials.remove(place);
                        return Ok(Answer::empty(204));
                    }
                    _ => return Err(view::error(404, view::usual_message(404))),
                }
                let known = self.state.credentials.get(place);
                let known = known.ok_or_else(|| not_found(id))?;
                Ok(Answer::json(200, &view::credential(known)))
            }
            _ => Err(view::error(404, view::usual_message(404))),
        }
    }

    fn read_credential(&mut self, body: &Value, owner: &str) -> Result<Credential> {
        let required = |name: &str| {
            let value = text(body, name)?;
            value
                .map(str::to_owned)
                .ok_or_else(|| bad(format!("{name} is required")))
        };
        one_of(body, "registry", &REGISTRIES)?;
        Ok(Credential {
            name: required("name")?,
            registry: required("registry")?,
            login: Login {
                user: required("username")?,
                token: required("authToken")?,
            },
            owner: owner.to_owned(),
            updated: self.now,
            id: self.state.id("rgc"),
        })
    }
}

/// The user who does everything.
fn user() -> Value {
    json!({ "id": "usr-demo000000000000000a", "email": EMAIL })
}

/// A metric between two times in milliseconds; `None` where there is no value.
fn value_of(what: &str, service: &Service, from: i64, to: i64, is_up: bool) -> Option<f64> {
    let (requests, bytes) = service
        .traffic
        .range(from.div_euclid(60_000)..to.div_euclid(60_000).max(from.div_euclid(60_000) + 1))
        .fold((0, 0), |sum, (_, minute)| {
            (sum.0 + minute.0, sum.1 + minute.1)
        });
    #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
    match what {
        "http-requests" => Some(requests as f64),
        "bandwidth" => Some(bytes as f64),
        "memory-limit" => Some(512.0 * 1024.0 * 1024.0),
        "instance-count" => Some(if is_up { service.instances as f64 } else { 0.0 }),
        "http-latency" if requests == 0 => None,
        _ if !is_up => None,
        "cpu" => Some(0.01),
        "memory" => Some(42.0 * 1024.0 * 1024.0),
        _ => Some(12.0),
    }
}

/// A thing's place in a list, not to be read.
fn cursor_of(id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
}

/// A text of an object; null counts as absent.
fn text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("{name} must be a string"))),
    }
}

/// A text that must be one of these.
fn one_of<'a>(object: &'a Value, name: &str, allowed: &[&str]) -> Result<Option<&'a str>> {
    let given = text(object, name)?;
    match given {
        Some(given) if !allowed.contains(&given) => Err(bad(format!(
            "invalid {name}: {given}; must be one of {}",
            allowed.join(", ")
        ))),
        given => Ok(given),
    }
}

/// RFC 3339 as nanoseconds since 1970-01-01T00:00:00Z.
fn nanos_of(time: &str) -> Option<i128> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(time.as_nanosecond())
}
