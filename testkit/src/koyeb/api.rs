//! The calls of the API.

use std::sync::Arc;

use serde_json::{Value, json};

use super::door::Door;
use super::state::{App, Container, Deployment, Service, State, Status};
use super::view::{error, invalid, usual_error};
use super::{STOP_GRACE, World};
use crate::cloud::edge::Edge;
use crate::cloud::http::{Answer, Call};
use crate::cloud::rfc3339;
use crate::launch::Line;

/// Where a call is dealt with.
pub(super) struct Desk<'a> {
    pub world: &'a Arc<World>,
    pub call: &'a Call,
    pub now: i64,
    pub state: &'a mut State,
}

impl Desk<'_> {
    pub async fn answer(&mut self) -> Result<Answer, Answer> {
        let segments = self.call.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some(("v1", path)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
            // As app.koyeb.com does: the shell of its console for everything else.
            return Ok(Answer::page(
                200,
                "text/html",
                "<!doctype html><title>Koyeb</title>",
            ));
        };
        let organization = self.state.organization.clone();
        match (self.call.parts.method.as_str(), path) {
            ("GET", ["account", "profile"]) => {
                let user = json!({
                    "id": "00000000-0000-4000-a000-000000000001",
                    "email": "somebody@example.com",
                    "name": "Somebody",
                });
                Ok(Answer::json(200, &json!({ "user": user })))
            }
            ("GET", ["account", "organization"]) => {
                let organization =
                    json!({ "id": organization, "name": "somebody", "plan": "starter" });
                Ok(Answer::json(200, &json!({ "organization": organization })))
            }
            ("GET", ["apps"]) => {
                let apps = self
                    .state
                    .apps
                    .iter()
                    .filter(|app| self.wanted("name", &app.name));
                let apps = apps.map(|app| self.state.show_app(app)).collect();
                self.list("apps", apps)
            }
            ("POST", ["apps"]) => self.create_app().await,
            (method, ["apps", id]) => {
                let place = self
                    .state
                    .apps
                    .iter()
                    .position(|app| app.id == *id || app.name == *id)
                    .ok_or_else(|| usual_error(404))?;
                match method {
                    "GET" => {
                        let app = self.state.apps.get(place);
                        let app = app.map(|app| self.state.show_app(app));
                        Ok(Answer::json(200, &json!({ "app": app })))
                    }
                    "DELETE" => {
                        let app = self.state.apps.get(place).map(|app| app.id.as_str());
                        let mut services = self.state.services.iter();
                        if services.any(|it| Some(it.app.as_str()) == app) {
                            return Err(invalid("id", "still has services"));
                        }
                        self.state.apps.remove(place);
                        Ok(Answer::json(200, &json!({})))
                    }
                    _ => Err(usual_error(404)),
                }
            }
            ("GET", ["services"]) => {
                let services = self
                    .state
                    .services
                    .iter()
                    .filter(|it| self.wanted("app_id", &it.app) && self.wanted("name", &it.name))
                    .map(|service| self.state.show_service(service))
                    .collect();
                self.list("services", services)
            }
            ("POST", ["services"]) => self.create_service(),
            (method, ["services", id, rest @ ..]) => {
                let place = self
                    .state
                    .services
                    .iter()
                    .position(|service| service.id == *id)
                    .ok_or_else(|| usual_error(404))?;
                self.service(method, place, rest).await
            }
            ("GET", ["deployments"]) => {
                self.look().await;
                let deployments = self
                    .state
                    .services
                    .iter()
                    .filter(|it| {
                        self.wanted("service_id", &it.id) && self.wanted("app_id", &it.app)
                    })
                    .flat_map(|service| {
                        let newest_first = service.deployments.iter().rev();
                        newest_first.map(|it| self.state.show_deployment(service, it))
                    })
                    .collect();
                self.list("deployments", deployments)
            }
            (method, ["deployments", id, rest @ ..]) => self.deployment(method, id, rest).await,
            ("GET", ["instances"]) => {
                let instances = self
                    .state
                    .services
                    .iter()
                    .filter(|it| self.wanted("service_id", &it.id))
                    .filter_map(|service| match &service.container {
                        Container::Up(instance) => Some(json!({
                            "id": instance.id,
                            "service_id": service.id,
                            "app_id": service.app,
                            "deployment_id": service.active,
                            "status": "HEALTHY",
                            "created_at": rfc3339(instance.created),
                            "messages": ["Instance is healthy"],
                        })),
                        _ => None,
                    })
                    .collect();
                self.list("instances", instances)
            }
            ("GET", ["deployment_events"]) => self.events(),
            ("GET", ["streams", "logs", "query"]) => self.logs(),
            ("GET", ["streams", "metrics"]) => self.metrics(),
            _ => Err(usual_error(404)),
        }
    }

    /// Whether a value passes a filter of the query.
    fn wanted(&self, name: &str, value: &str) -> bool {
        self.call
            .parameter(name)
            .is_none_or(|wanted| wanted == value)
    }

    /// A page of a list.
    fn list(&self, name: &str, items: Vec<Value>) -> Result<Answer, Answer> {
        let number = |name: &str, otherwise: usize| match self.call.parameter(name) {
            None => Ok(otherwise),
            Some(given) => given.parse().map_err(|_| invalid(name, "must be a number")),
        };
        let (limit, offset) = (number("limit", 10)?.clamp(1, 100), number("offset", 0)?);
        let count = items.len();
        let page: Vec<Value> = items.into_iter().skip(offset).take(limit).collect();
        let has_next = offset + page.len() < count;
        Ok(Answer::json(
            200,
            &json!({
                name: page, "limit": limit, "offset": offset, "count": count, "has_next": has_next,
            }),
        ))
    }

    fn body(&self) -> Result<Value, Answer> {
        self.call
            .json()
            .ok_or_else(|| invalid("", "the body is not JSON"))
    }

    /// Somebody looks at deployments.
    async fn look(&mut self) {
        if self.world.step.is_none() {
            for service in 0..self.state.services.len() {
                self.state.step(self.world, service, self.now, true).await;
            }
        }
    }

    async fn create_app(&mut self) -> Result<Answer, Answer> {
        let body = self.body()?;
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        check_name("name", name, 23)?;
        if self.state.apps.iter().any(|app| app.name == name) {
            return Err(invalid("name", "already exists"));
        }
        let id = self.state.ids.uuid();
        let door = Door {
            world: Arc::downgrade(self.world),
            app: id.clone(),
        };
        let edge = Edge::open(|_| door).await.map_err(|_| usual_error(500))?;
        let goes_when_empty = body.pointer("/life_cycle/delete_when_empty");
        let app = App {
            id,
            name: name.to_owned(),
            created: self.now,
            goes_when_empty: goes_when_empty == Some(&Value::Bool(true)),
            edge,
        };
        let view = self.state.show_app(&app);
        self.state.apps.push(app);
        Ok(Answer::json(200, &json!({ "app": view })))
    }

    /// Checks a definition; gives its name.
    fn check(&self, definition: &Value, own: Option<&str>) -> Result<String, Answer> {
        let name = definition
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        check_name("definition.name", name, 63)?;
        if definition.get("type").and_then(Value::as_str) != Some("WEB") {
            return Err(invalid("definition.type", "this fake has WEB only"));
        }
        for (field, path) in [
            ("definition.docker.image", "/docker/image"),
            ("definition.regions", "/regions/0"),
            ("definition.instance_types", "/instance_types/0/type"),
            ("definition.ports", "/ports/0/port"),
            ("definition.scalings", "/scalings/0/max"),
        ] {
            let given = definition.pointer(path);
            if given.is_none_or(|given| given.as_str() == Some("")) {
                return Err(invalid(field, "cannot be blank"));
            }
        }
        let is_free = |definition: &Value| {
            definition
                .pointer("/instance_types/0/type")
                .and_then(Value::as_str)
                == Some("free")
        };
        let mut others = self
            .state
            .services
            .iter()
            .filter(|it| Some(it.id.as_str()) != own);
        let another = others.any(|service| {
            let latest = service.deployments.last();
            latest.is_some_and(|latest| is_free(&latest.definition))
        });
        if is_free(definition) && another {
            return Err(error(
                403,
                "quota_exceeded",
                "Only one free instance is allowed for an organization",
            ));
        }
        Ok(name.to_owned())
    }

    fn create_service(&mut self) -> Result<Answer, Answer> {
        let body = self.body()?;
        let app = body
            .get("app_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !self.state.apps.iter().any(|known| known.id == app) {
            return Err(invalid("app_id", "does not exist"));
        }
        let definition = body.get("definition").cloned().unwrap_or_default();
        let name = self.check(&definition, None)?;
        let mut services = self.state.services.iter();
        if services.any(|it| it.app == app && it.name == name) {
            return Err(invalid("definition.name", "already exists"));
        }
        let mut service = Service {
            id: self.state.ids.uuid(),
            app: app.to_owned(),
            name,
            created: self.now,
            updated: self.now,
            is_paused: false,
            deployments: Vec::new(),
            container: Container::Down,
            active: None,
            last_inbound: self.now,
            lines: Vec::new(),
        };
        let id = self.state.ids.uuid();
        service
            .deployments
            .push(Deployment::new(id, definition, self.now));
        let view = self.state.show_service(&service);
        if self.call.parameter("dry_run") != Some("true") {
            self.state.services.push(service);
        }
        Ok(Answer::json(200, &json!({ "service": view })))
    }

    async fn service(
        &mut self,
        method: &str,
        place: usize,
        path: &[&str],
    ) -> Result<Answer, Answer> {
        let (id, latest) = {
            let service = self
                .state
                .services
                .get(place)
                .ok_or_else(|| usual_error(404))?;
            let latest = service.deployments.last();
            let latest = latest
                .map(|latest| latest.definition.clone())
                .unwrap_or_default();
            (service.id.clone(), latest)
        };
        match (method, path) {
            ("GET", []) => self.look().await,
            ("PUT" | "PATCH", []) => {
                let body = self.body()?;
                let definition = body.get("definition").cloned().unwrap_or_default();
                self.check(&definition, Some(&id))?;
                if self.call.parameter("dry_run") != Some("true") {
                    self.state.deploy(place, definition, self.now);
                }
            }
            ("DELETE", []) => {
                self.state.stop(place).await;
                let app = self.state.services.remove(place).app;
                let services = &self.state.services;
                let is_empty = !services.iter().any(|service| service.app == app);
                let goes = |it: &App| it.id == app && is_empty && it.goes_when_empty;
                self.state.apps.retain(|app| !goes(app));
                return Ok(Answer::json(200, &json!({})));
            }
            ("POST", ["pause"]) => {
                self.state.stop(place).await;
                if let Some(service) = self.state.services.get_mut(place) {
                    service.is_paused = true;
                    service.active = None;
                    for deployment in &mut service.deployments {
                        if deployment.status == Status::Healthy {
                            deployment.enter(Status::Stopped, self.now, "Service paused");
                        }
                    }
                }
                return Ok(Answer::json(200, &json!({})));
            }
            ("POST", ["resume"]) => {
                if let Some(service) = self.state.services.get_mut(place) {
                    service.is_paused = false;
                }
                self.state.deploy(place, latest, self.now);
                return Ok(Answer::json(200, &json!({})));
            }
            ("POST", ["redeploy"]) => {
                self.state.deploy(place, latest, self.now);
                let service = self.state.services.get(place);
                let view = service.and_then(|service| {
                    let latest = service.deployments.last()?;
                    Some(self.state.show_deployment(service, latest))
                });
                return Ok(Answer::json(200, &json!({ "deployment": view })));
            }
            _ => return Err(usual_error(404)),
        }
        let service = self.state.services.get(place);
        let view = service.map(|service| self.state.show_service(service));
        Ok(Answer::json(200, &json!({ "service": view })))
    }

    async fn deployment(
        &mut self,
        method: &str,
        id: &str,
        path: &[&str],
    ) -> Result<Answer, Answer> {
        if method == "GET" {
            self.look().await;
        }
        let has = |service: &Service| service.deployments.iter().position(|it| it.id == id);
        let found = self
            .state
            .services
            .iter()
            .enumerate()
            .find_map(|(place, service)| Some((place, has(service)?)));
        let (place, i) = found.ok_or_else(|| usual_error(404))?;
        match (method, path) {
            ("GET", []) => {
                let service = self.state.services.get(place);
                let view = service.and_then(|service| {
                    let deployment = service.deployments.get(i)?;
                    Some(self.state.show_deployment(service, deployment))
                });
                Ok(Answer::json(200, &json!({ "deployment": view })))
            }
            ("POST", ["cancel"]) => {
                let service = self.state.services.get_mut(place);
                let deployment = service.and_then(|service| service.deployments.get_mut(i));
                let deployment = deployment.filter(|it| it.status.is_under_way());
                let deployment = deployment.ok_or_else(|| invalid("id", "is not under way"))?;
                deployment.enter(Status::Canceled, self.now, "Deployment canceled");
                if let Some(candidate) = deployment.candidate.take() {
                    candidate.launched.stop(STOP_GRACE).await;
                }
                Ok(Answer::json(200, &json!({})))
            }
            _ => Err(usual_error(404)),
        }
    }

    fn events(&self) -> Result<Answer, Answer> {
        let events = self
            .state
            .services
            .iter()
            .flat_map(|service| service.deployments.iter().rev())
            .filter(|deployment| self.wanted("deployment_id", &deployment.id))
            .flat_map(|deployment| {
                let newest_first = deployment.messages.iter().enumerate().rev();
                newest_first.map(|(i, (at, message))| {
                    json!({
                        "id": format!("{}-{i}", deployment.id),
                        "when": rfc3339(*at),
                        "organization_id": self.state.organization,
                        "deployment_id": deployment.id,
                        "type": "DEPLOYMENT_STATUS",
                        "message": message,
                        "metadata": {},
                    })
                })
            })
            .collect();
        self.list("events", events)
    }

    /// One sample, of now, for the instance that runs.
    fn metrics(&self) -> Result<Answer, Answer> {
        let id = self.call.parameter("service_id");
        let id = id.ok_or_else(|| invalid("service_id", "is required"))?;
        let service = self.state.services.iter().find(|it| it.id == id);
        let service = service.ok_or_else(|| usual_error(404))?;
        let value = match self.call.parameter("name").unwrap_or_default() {
            "CPU_TOTAL_PERCENT" => 1.0,
            "MEM_RSS" => 42.0 * 1024.0 * 1024.0,
            "PUBLIC_DATA_TRANSFER_OUT" | "HTTP_THROUGHPUT" => 0.0,
            _ => return Err(invalid("name", "is not the name of a metric")),
        };
        let series = match &service.container {
            Container::Up(instance) => vec![json!({
                "labels": { "service_id": service.id, "instance_id": instance.id },
                "samples": [{ "timestamp": rfc3339(self.now), "value": value }],
            })],
            _ => Vec::new(),
        };
        Ok(Answer::json(200, &json!({ "metrics": series })))
    }

    fn logs(&self) -> Result<Answer, Answer> {
        let id = self.call.parameter("service_id");
        let id = id.ok_or_else(|| invalid("service_id", "is required"))?;
        let service = self.state.services.iter().find(|it| it.id == id);
        let service = service.ok_or_else(|| usual_error(404))?;
        // In nanoseconds, as Koyeb's lines have them.
        let nanos = |millis: i64| i128::from(millis) * 1_000_000;
        let time = |name: &str, otherwise: i64| match self.call.parameter(name) {
            None => Ok(nanos(otherwise)),
            Some(given) => given
                .parse()
                .map(|time: jiff::Timestamp| time.as_nanosecond())
                .map_err(|_| invalid(name, "must be a time in RFC 3339")),
        };
        let (start, end) = (
            time("start", self.now - 15 * 60_000)?,
            time("end", self.now)?,
        );
        let kind = self.call.parameter("type").unwrap_or("runtime");
        let limit = self.call.parameter("limit").and_then(|it| it.parse().ok());
        let limit: usize = limit.unwrap_or(100).clamp(1, 1000);
        let mut lines: Vec<&(Line, &str)> = service
            .lines
            .iter()
            .filter(|(line, it)| *it == kind && (start..=end).contains(&nanos(line.at)))
            .collect();
        if self.call.parameter("order") == Some("desc") {
            lines.reverse();
        }
        let has_more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().map_or(self.now, |(line, _)| line.at);
        let data: Vec<Value> = lines
            .into_iter()
            .map(|(line, kind)| {
                json!({
                    "msg": line.text,
                    "created_at": rfc3339(line.at),
                    "labels": { "service_id": service.id, "type": kind },
                })
            })
            .collect();
        let pagination = json!({
            "has_more": has_more, "next_start": rfc3339(last), "next_end": rfc3339(self.now),
        });
        Ok(Answer::json(
            200,
            &json!({ "data": data, "pagination": pagination }),
        ))
    }
}

/// Names are of 3 to so many small letters, digits and `-`: 23 for an app, and 63 for a service.
fn check_name(field: &str, name: &str, longest: usize) -> Result<(), Answer> {
    let is_name = (3..=longest).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_name {
        Ok(())
    } else {
        let range = format!("must be 3 to {longest} of a-z, 0-9 and -, beginning with a letter");
        Err(invalid(field, &range))
    }
}
