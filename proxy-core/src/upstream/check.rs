//! Questions about a key that are no client's.

use arc_swap::Guard;
use bytes::Bytes;
use http::{HeaderMap, Method};

use super::attempt::Way;
use super::{At, Call, Expect, Upstream, json_headers};
use crate::pool::{Outcome, Picked};
use crate::surface::trace::Trace;
use crate::{Core, KeyChecked};

impl Upstream {
    /// Asks Google for its models with `key`, and notes what that says about it.
    pub async fn check(&self, core: &Core, key: &Picked) -> KeyChecked {
        let call = Call {
            method: Method::GET,
            path: "/models",
            query: "pageSize=1",
            model: "",
            counted_as: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expect: Expect::Anything,
            at: At::Any,
        };
        let started = core.clock.monotonic();
        let settings = Guard::into_inner(core.settings());
        // Express mode has no list of models.
        let known = core.express.has(key.id());
        let result = match known {
            true => self.ask_express(core, &settings, key).await,
            false => {
                let way = Way::Key(key);
                self.attempt(core, &settings, &call, way, &mut Trace::silent())
                    .await
            }
        };
        let latency = core.clock.monotonic().saturating_sub(started);
        let turned_out = !known && core.express.has(key.id());
        let (outcome, message) = match result {
            Ok(_) => (Outcome::Answered, String::new()),
            Err(_) if turned_out => (Outcome::Answered, String::new()),
            Err(setback) => {
                let setback = setback.seen_with(&call, 0);
                (setback.outcome, setback.failure.in_short())
            }
        };
        core.metrics.attempted(outcome);
        if outcome == Outcome::Answered {
            // A refusal that is over is forgiven; a key that is off stays off.
            core.pool.forgive(key);
        }
        core.pool.settle(key, outcome, Some(&message), None);
        KeyChecked {
            ok: outcome == Outcome::Answered,
            answered: !matches!(
                outcome,
                Outcome::Unconnected
                    | Outcome::Unreachable
                    | Outcome::NotGoogle
                    | Outcome::TooSlow
                    | Outcome::Overloaded
                    | Outcome::Quota { .. }
            ),
            message,
            latency,
        }
    }

    /// Whether Google does not serve the region that this key's calls come from, asked by counting
    /// tokens. What else it may refuse is not told.
    pub async fn is_refused_here(&self, core: &Core, key: &Picked, model: &str) -> bool {
        let path = format!("/models/{model}:countTokens");
        let call = Call {
            method: Method::POST,
            path: &path,
            query: "",
            model,
            counted_as: None,
            headers: json_headers(),
            body: Bytes::from_static(br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#),
            expect: Expect::Anything,
            at: At::Any,
        };
        let settings = Guard::into_inner(core.settings());
        let mut trace = Trace::silent();
        let asked = self.attempt(core, &settings, &call, Way::Key(key), &mut trace);
        let refused = asked.await.err().map(|setback| setback.outcome);
        refused == Some(Outcome::LocationRefused)
    }
}
