//! What runs: deploys, and starting and stopping.

use serde_json::{Value, json};

use super::{Desk, EMAIL, Result, bad, not_found, text, user};
use crate::cloud::Image;
use crate::cloud::http::Answer;
use crate::render::view;

impl Desk<'_> {
    pub(super) async fn deploys(&mut self, service: usize) -> Result {
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

    pub(super) fn one_deploy(&mut self, service: usize, id: &str) -> Result {
        let known = self.known(service)?;
        let deploy = known.deploys.iter().find(|deploy| deploy.id == id);
        let deploy = deploy.ok_or_else(|| not_found(id))?;
        Ok(Answer::json(200, &view::deploy(deploy)))
    }

    pub(super) fn deploy(&mut self, service: usize) -> Result {
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

    pub(super) async fn cancel(&mut self, service: usize, id: &str) -> Result {
        self.one_deploy(service, id)?;
        if self.state.cancel(service, id, self.now).await {
            self.one_deploy(service, id)
        } else {
            Err(bad("deploy cannot be canceled: it has ended"))
        }
    }

    pub(super) fn roll_back(&mut self, service: usize) -> Result {
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

    pub(super) async fn suspend(&mut self, service: usize) -> Result {
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

    pub(super) fn resume(&mut self, service: usize) -> Result {
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

    pub(super) async fn restart(&mut self, service: usize) -> Result {
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

    pub(super) fn scale(&mut self, service: usize) -> Result {
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
}
