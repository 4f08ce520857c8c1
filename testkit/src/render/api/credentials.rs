//! What images are pulled with.

use serde_json::Value;

use super::{Desk, REGISTRIES, Result, bad, not_found, one_of, text};
use crate::cloud::Login;
use crate::cloud::http::Answer;
use crate::render::account::Credential;
use crate::render::service::State;
use crate::render::view;

impl Desk<'_> {
    pub(super) fn credentials(&mut self, method: &str, path: &[&str]) -> Result {
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
