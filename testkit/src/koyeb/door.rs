//! The apps' domains.

use std::sync::Weak;
use std::time::Duration;

use serde_json::json;

use super::World;
use super::state::Container;
use crate::cloud::edge::{Passed, Route, Routed};
use crate::cloud::http::Answer;

/// An app's domain.
#[derive(Debug)]
pub(super) struct Door {
    /// Not owned: the world owns the edge.
    pub world: Weak<World>,
    pub app: String,
}

impl Route for Door {
    async fn route(&self) -> Routed {
        let said =
            |status, said: &'static str| Routed::Answer(Answer::page(status, "text/plain", said));
        loop {
            let Some(world) = self.world.upgrade() else {
                return said(404, "no such app");
            };
            let now = world.clock.now();
            let mut state = world.state.lock().await;
            state.settle(&world).await;
            let Some(service) = state.services.iter_mut().find(|it| it.app == self.app) else {
                return said(404, "no active service");
            };
            let until = match &service.container {
                Container::Up(instance) => {
                    service.last_inbound = now;
                    return match instance.launched.address() {
                        Some(address) => Routed::To(address),
                        None => Routed::Answer(Answer::json(200, &json!({ "status": "healthy" }))),
                    };
                }
                Container::Down => return said(404, "no active service"),
                Container::Waking(until) => *until,
                Container::Asleep => {
                    let wake = i64::try_from(world.wake.as_millis()).unwrap_or(i64::MAX);
                    service.container = Container::Waking(now.saturating_add(wake));
                    now.saturating_add(wake)
                }
            };
            drop(state);
            let clock = world.clock.clone();
            drop(world);
            let wait = u64::try_from(until - now).unwrap_or_default();
            clock.sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn passed(&self, _: Passed) {}
}
