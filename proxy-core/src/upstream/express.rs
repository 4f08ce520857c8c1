//! Keys of Vertex AI's express mode: which they are, and how calls are made with them.
//!
//! No key says what kind it is: both kinds begin with `AIza` or `AQ.`. So Google is asked: a key
//! that the Gemini API refuses is tried at the other door once, and where that opens, it is one of
//! these from then on. What differs in the calls themselves is in [`dialect::gemini::express`].

use std::collections::HashSet;

use arc_swap::ArcSwap;
use bytes::Bytes;
use contract::admin::RejectReason;
use dialect::gemini::{Express, embeddings, express};
use http::{HeaderMap, Method};

use super::attempt::Way;
use super::failure::Setback;
use super::{Answer, At, Call, Expect, Upstream, Whole, json_headers};
use crate::Core;
use crate::pool::{Outcome, Picked, Pool};
use crate::settings::Settings;
use crate::store::Loaded;
use crate::surface::trace::Trace;

/// The model that a key is asked about. That it may be gone one day does not matter: Google looks
/// at the key first.
const ASKED_ABOUT: &str = "gemini-2.5-flash";
/// The end of the host of Google's own APIs.
const GOOGLE: &str = ".googleapis.com";

/// The keys that are known to be of express mode, by their numbers.
#[derive(Default)]
pub(crate) struct ExpressKeys(ArcSwap<HashSet<i64>>);

impl ExpressKeys {
    /// Whether this key is one.
    pub fn has(&self, id: i64) -> bool {
        self.0.load().contains(&id)
    }

    /// Learns of one.
    pub fn add(&self, id: i64) {
        self.0.rcu(|known| {
            let mut known = HashSet::clone(known);
            known.insert(id);
            known
        });
    }

    /// Forgets that this key is one.
    pub fn remove(&self, id: i64) {
        self.0.rcu(|known| {
            let mut known = HashSet::clone(known);
            known.remove(&id);
            known
        });
    }

    /// Goes by what was read from the database. What was found out here is known on, because it
    /// may not be there yet, but for the keys that are `exchanged` or gone.
    pub fn renew(&self, loaded: &Loaded, exchanged: &[i64]) {
        self.0.rcu(|known| {
            let ids = loaded.keys.iter().map(|key| key.id);
            let stays = |id: &i64| known.contains(id) && !exchanged.contains(id);
            let mut renewed: HashSet<i64> = ids.filter(stays).collect();
            renewed.extend(&loaded.express);
            renewed
        });
    }

    /// Whether there are keys, and all of them are of express mode.
    pub fn are_all(&self, pool: &Pool) -> bool {
        let some = pool.home(0, |id| self.has(id)).is_some();
        some && pool.home(0, |id| !self.has(id)).is_none()
    }

    /// Those that cannot make a call, which are not to be chosen for it.
    pub fn unable(&self, call: &Call<'_>) -> Vec<i64> {
        let known = self.0.load();
        match known.is_empty() || express(verb(call.path), b"") != Express::Never {
            true => Vec::new(),
            false => known.iter().copied().collect(),
        }
    }
}

/// What follows the model in a path; empty for a list.
fn verb(path: &str) -> &str {
    path.rsplit_once(':').map_or("", |(_, verb)| verb)
}

impl Upstream {
    /// One attempt, as the kind of the key wants it made.
    pub(super) async fn attempt(
        &self,
        core: &Core,
        settings: &Settings,
        call: &Call<'_>,
        way: Way<'_>,
        trace: &mut Trace,
    ) -> Result<Answer, Setback> {
        let Way::Key(key) = way else {
            return self.attempt_one(core, settings, call, way, trace).await;
        };
        if core.express.has(key.id()) {
            return Box::pin(self.attempt_express(core, settings, call, key, trace)).await;
        }
        let result = self.attempt_one(core, settings, call, way, trace).await;
        match &result {
            Err(setback)
                if may_be_express(setback.outcome)
                    && asks_google(settings)
                    && Box::pin(self.is_express(core, settings, key)).await =>
            {
                tracing::info!(key = key.id(), "the key is one of Vertex AI's express mode");
                core.found_express(key);
                if core.express.unable(call).contains(&key.id()) {
                    return Err(Setback::unable());
                }
                Box::pin(self.attempt_express(core, settings, call, key, trace)).await
            }
            _ => result,
        }
    }

    /// Whether express mode takes the key.
    async fn is_express(&self, core: &Core, settings: &Settings, key: &Picked) -> bool {
        match self.ask_express(core, settings, key).await {
            Ok(_) => true,
            // The key was let in; what is wrong is wrong with the call.
            Err(setback) => matches!(
                setback.outcome,
                Outcome::ClientFault | Outcome::Quota { .. } | Outcome::ProjectRefused { .. }
            ),
        }
    }

    /// Makes the cheapest call that express mode has.
    pub(super) async fn ask_express(
        &self,
        core: &Core,
        settings: &Settings,
        key: &Picked,
    ) -> Result<Answer, Setback> {
        let call = Call {
            method: Method::POST,
            path: &format!("/models/{ASKED_ABOUT}:countTokens"),
            query: "",
            model: "",
            counted_as: None,
            headers: json_headers(),
            body: Bytes::from_static(br#"{"contents":[{"role":"user","parts":[{"text":"?"}]}]}"#),
            expect: Expect::Anything,
            at: At::Any,
        };
        let way = Way::Express(key);
        self.attempt_one(core, settings, &call, way, &mut Trace::silent())
            .await
    }

    async fn attempt_express(
        &self,
        core: &Core,
        settings: &Settings,
        call: &Call<'_>,
        key: &Picked,
        trace: &mut Trace,
    ) -> Result<Answer, Setback> {
        let way = Way::Express(key);
        let verb = verb(call.path);
        let made = |path, body: Vec<u8>, expect| Call {
            method: call.method.clone(),
            path,
            query: call.query,
            model: call.model,
            counted_as: call.counted_as,
            headers: call.headers.clone(),
            body: body.into(),
            expect,
            at: call.at,
        };
        let bodies = match express(verb, &call.body) {
            Express::Same | Express::Never => {
                return self.attempt_one(core, settings, call, way, trace).await;
            }
            Express::Body(body) => {
                let call = made(call.path, body, call.expect);
                return self.attempt_one(core, settings, &call, way, trace).await;
            }
            Express::Predict(bodies) => bodies,
        };
        let path = call.path.strip_suffix(verb).unwrap_or(call.path);
        let path = format!("{path}predict");
        let mut answers: Vec<Bytes> = Vec::with_capacity(bodies.len());
        for body in bodies {
            let call = made(&path, body, Expect::Anything);
            match self.attempt_one(core, settings, &call, way, trace).await? {
                Answer::Whole(whole) => answers.push(whole.body),
                _ => return Err(Setback::malformed()),
            }
        }
        let body = embeddings(verb, &answers).map_err(|_| Setback::malformed())?;
        Ok(Answer::Whole(Whole {
            headers: HeaderMap::new(),
            body: body.into(),
        }))
    }
}

/// Whether the refusal is one that a key of express mode would get.
fn may_be_express(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::KeyRefused(
            RejectReason::Invalid | RejectReason::Refused | RejectReason::ServiceDisabled
        )
    )
}

/// Whether the key is Google's to see: what a gateway takes must not be shown to another.
fn asks_google(settings: &Settings) -> bool {
    let host = reqwest::Url::parse(&settings.base_url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    settings.given("VERTEX_EXPRESS_BASE_URL").is_some()
        || host.is_some_and(|host| host.ends_with(GOOGLE))
}
