//! One call, from its head to its answer: who calls, how often, for what.

mod credentials;
mod looking;
mod runs;
mod services;

use std::sync::Arc;

use serde_json::{Value, json};

use super::service::{Service, State};
use super::{World, view};
use crate::cloud::http::{Answer, Call};

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
}

/// The user who does everything.
fn user() -> Value {
    json!({ "id": "usr-demo000000000000000a", "email": EMAIL })
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
