//! By which way calls leave this machine for Google.
//!
//! There are three, and which one is taken is never a surprise: through one of the proxies that the
//! user has listed (`PROXIES`), each key always through the same one; else through the system's
//! proxy as it is set at that moment (`SYSTEM_PROXY`); else straight. Google sees the address of
//! the way, so a key that changed it from call to call would look stolen: a key is bound to a
//! proxy by a hash of both ([`bound`]) when it is first used, and stays there ([`Binding`], kept
//! over restarts) until that proxy is taken off the list. Whoever wants it otherwise chooses one for
//! a key.
//!
//! What this machine itself serves is never asked through a proxy, and a proxy that turns out to
//! be this program is not used: requests would go round in circles.

mod health;
mod pace;
mod proxy;
mod system;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract::Millis;
use contract::admin::{EgressHealth, EgressView, EgressWay};
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};
use vault::Secret;

use crate::clock::Clock;
use crate::pool::Dice;
use crate::settings::Settings;
use health::Health;
use pace::Pace;
pub use pace::{NoTurn, Turn};
pub use proxy::{Proxies, Proxy};
use system::System;

/// A way out of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight.
    Direct,
    /// Through a proxy.
    Proxy(Arc<Proxy>),
}

impl Route {
    /// How it is shown: without a password.
    pub fn shown(&self) -> &str {
        match self {
            Self::Direct => "direct",
            Self::Proxy(proxy) => proxy.shown(),
        }
    }

    /// Whether the user calls it that.
    pub fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Direct => name == self.shown(),
            Self::Proxy(proxy) => proxy.is_called(name),
        }
    }

    /// What a credential is weighed with; the whole of it, so that proxies of one user spread, too.
    fn weighed_as(&self) -> u64 {
        match self {
            Self::Direct => 0,
            Self::Proxy(proxy) => proxy.connection(),
        }
    }

    /// What tells it from others; never 0.
    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Direct => 1,
            Self::Proxy(proxy) => proxy.id().max(2),
        }
    }
}

/// To which way of the list a key is bound.
#[derive(Debug, Default)]
pub struct Binding(AtomicU64);

impl Binding {
    /// What was kept of one.
    pub(crate) fn restored(kept: Option<u64>) -> Self {
        Self(AtomicU64::new(kept.unwrap_or_default()))
    }

    /// What is to be kept of it.
    pub(crate) fn kept(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }
}

/// What decides by which of the listed ways a call goes.
#[derive(Clone, Copy, Debug)]
pub struct BoundBy<'a> {
    /// What lets the call in where it goes.
    pub credential: &'a Secret,
    /// The way that the user has chosen for it, by what that is shown as.
    pub chosen: Option<&'a str>,
    /// Where it was bound to; `None` where that is not kept.
    pub binding: Option<&'a Binding>,
}

impl<'a> BoundBy<'a> {
    /// What goes by its credential alone.
    pub fn credential(credential: &'a Secret) -> Self {
        Self {
            credential,
            chosen: None,
            binding: None,
        }
    }
}

/// What is known of the ways out.
pub struct Egress {
    system: System,
    health: RwLock<HashMap<u64, Arc<Health>>>,
    paces: RwLock<HashMap<u64, Arc<Pace>>>,
    dice: Dice,
    /// Where this program listens itself.
    own: RwLock<Vec<SocketAddr>>,
}

impl Egress {
    /// Nothing is known yet of any way. `own` is where this program listens.
    pub fn new(own: Vec<SocketAddr>) -> Self {
        Self {
            system: System::default(),
            health: RwLock::default(),
            paces: RwLock::default(),
            dice: Dice::default(),
            own: RwLock::new(own),
        }
    }

    /// This program also listens there, in another process.
    pub fn also_listens(&self, address: SocketAddr) {
        self.own.write().push(address);
    }

    /// The way by which a call goes to `address`: the one that the user has chosen for its key, as
    /// long as it is in the list, or the one it is bound to. `now` is a monotonic time: the system's
    /// settings are read anew every few seconds.
    pub fn route(
        &self,
        settings: &Settings,
        by: BoundBy<'_>,
        address: &str,
        now: Duration,
    ) -> Route {
        if by.chosen == Some(Route::Direct.shown()) {
            return Route::Direct;
        }
        match Self::of_list(settings, by) {
            None => self.unbound(settings, address, now),
            Some(route) if self.is_own(&route) => Route::Direct,
            Some(route) => route,
        }
    }

    /// The way of the list that a call takes; `None` when there is no list, so that all go the same
    /// way. What was bound to none that is listed is bound now.
    pub fn of_list(settings: &Settings, by: BoundBy<'_>) -> Option<Route> {
        let routes = settings.proxies.routes();
        if routes.is_empty() {
            return None;
        }
        if let Some(chosen) = by.chosen {
            let exact = routes.iter().find(|route| route.shown() == chosen);
            let called = || routes.iter().find(|route| route.is_called(chosen));
            match exact.or_else(called) {
                Some(route) => return Some(route.clone()),
                None if Route::Direct.is_called(chosen) => return Some(Route::Direct),
                None => {}
            }
        }
        let kept = by.binding.and_then(Binding::kept);
        let known = kept.and_then(|id| routes.iter().find(|route| route.id() == id));
        if let Some(known) = known {
            return Some(known.clone());
        }
        let route = bound(routes, by.credential)?;
        if let Some(binding) = by.binding {
            binding.0.store(route.id(), Ordering::Relaxed);
        }
        Some(route)
    }

    /// The way of what belongs to no credential, where no proxies are listed.
    fn unbound(&self, settings: &Settings, address: &str, now: Duration) -> Route {
        let is_asked = settings.system_proxy && !is_on_this_machine(address);
        let found = is_asked.then(|| self.system.proxy_for(address, now));
        match found.flatten().map(Route::Proxy) {
            Some(route) if !self.is_own(&route) => route,
            _ => Route::Direct,
        }
    }

    /// Waits until a call may leave by this way, and until when it counts as under way: as long as
    /// what is given is held. `None` where the settings set no bound.
    ///
    /// # Errors
    /// When too many wait already, or none of those under way ends within `patience`.
    pub async fn turn(
        &self,
        settings: &Settings,
        route: &Route,
        (clock, patience): (&Clock, Duration),
    ) -> Result<Option<Turn>, NoTurn> {
        let (most, gap) = (settings.egress_concurrency, settings.egress_gap_ms);
        let known = self.paces.read().get(&route.id()).cloned();
        let pace = match known {
            // Once bounded, the number under way is kept up.
            Some(known) => known,
            None if most == 0 && gap == 0 => return Ok(None),
            None => Arc::clone(self.paces.write().entry(route.id()).or_default()),
        };
        let gap = Duration::from_millis(gap.into());
        let queue = settings.wait_queue.try_into().unwrap_or(usize::MAX);
        let turn = pace.turn((most, queue), patience, gap, (clock, &self.dice));
        turn.await.map(Some)
    }

    /// Whether a proxy is this program itself.
    pub fn is_own(&self, route: &Route) -> bool {
        let Route::Proxy(proxy) = route else {
            return false;
        };
        let (host, port) = proxy.place();
        is_loopback(host) && self.own.read().iter().any(|own| own.port() == port)
    }

    /// Notes how a call by this way ended: it came back, or why it did not.
    pub fn noted(&self, route: &Route, now: Millis, came_back: Result<(), &str>) {
        let known = self.health.read().get(&route.id()).cloned();
        let health =
            known.unwrap_or_else(|| Arc::clone(self.health.write().entry(route.id()).or_default()));
        health.noted(now, came_back);
    }

    /// What the system's settings say now, whether that is followed or not.
    pub fn system_proxy(&self, address: &str, now: Duration) -> Option<Arc<Proxy>> {
        self.system.proxy_for(address, now)
    }

    /// Every way that calls may take under these settings.
    pub fn routes(&self, settings: &Settings, now: Duration) -> Vec<Route> {
        match settings.proxies.routes() {
            [] => vec![self.unbound(settings, &settings.base_url, now)],
            routes => routes.to_vec(),
        }
    }

    /// What is shown of the ways under these settings.
    pub fn view(&self, settings: &Settings, now: Duration) -> Vec<EgressView> {
        let listed = !settings.proxies.routes().is_empty();
        let views = self.routes(settings, now).into_iter().map(|route| {
            let way = match (&route, listed) {
                (Route::Direct, _) => EgressWay::Direct,
                (Route::Proxy(_), true) => EgressWay::Proxy,
                (Route::Proxy(_), false) => EgressWay::System,
            };
            let health = self.health.read().get(&route.id()).cloned();
            EgressView {
                way,
                address: route.shown().to_owned(),
                is_this_program: self.is_own(&route),
                health: health.map_or(EgressHealth::default(), |health| health.view()),
            }
        });
        views.collect()
    }
}

/// The proxy of a credential: the one whose hash together with it is the largest (rendezvous
/// hashing, Thaler and Ravishankar 1998).
fn bound(routes: &[Route], credential: &Secret) -> Option<Route> {
    let key = digest(&[credential.expose().as_bytes()]);
    let weight = |route: &&Route| digest(&[&key.to_le_bytes(), &route.weighed_as().to_le_bytes()]);
    routes.iter().max_by_key(weight).cloned()
}

/// The first eight bytes of a SHA-256.
fn digest(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether an address leads to this machine.
fn is_on_this_machine(address: &str) -> bool {
    let url: Option<reqwest::Url> = address.parse().ok();
    url.as_ref()
        .and_then(reqwest::Url::host_str)
        .is_some_and(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let get = |name: &str| {
            let fixed = [("DATA_DIR", "data")];
            let found = pairs.iter().chain(&fixed).find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::load(get).unwrap()
    }

    fn key(n: u32) -> Secret {
        Secret::new(format!("AIzaSyKey{n}"))
    }

    const GOOGLE: &str = "https://generativelanguage.googleapis.com/v1beta";

    fn way_of(egress: &Egress, settings: &Settings, n: u32) -> String {
        let by = key(n);
        let by = BoundBy::credential(&by);
        let route = egress.route(settings, by, GOOGLE, Duration::ZERO);
        route.shown().to_owned()
    }

    #[test]
    fn a_key_that_is_bound_moves_only_when_its_proxy_is_gone() {
        let list = |proxies: &str| settings(&[("PROXIES", proxies)]);
        let bindings: Vec<Binding> = (0..100).map(|_| Binding::default()).collect();
        let ways = |settings: &Settings| -> Vec<String> {
            let ways = (0..).zip(&bindings).map(|(n, binding)| {
                let key = key(n);
                let by = BoundBy {
                    binding: Some(binding),
                    ..BoundBy::credential(&key)
                };
                Egress::of_list(settings, by).unwrap().shown().to_owned()
            });
            ways.collect()
        };
        let before = ways(&list("http://a:1,http://me:old@b:2"));
        // Others come, the order changes, and so does a password.
        let many = list("direct,http://me:new@b:2,http://c:3,http://d:4,http://a:1");
        assert_eq!(ways(&many), before);
        let kept: Vec<Option<u64>> = bindings.iter().map(Binding::kept).collect();
        let again: Vec<Option<u64>> = kept
            .iter()
            .map(|id| Binding::restored(*id).kept())
            .collect();
        assert_eq!(again, kept);
        // One goes: its keys are bound anew, and stay there though it comes back.
        let without = ways(&list("http://c:3,http://a:1"));
        for (now, before) in without.iter().zip(&before) {
            assert!(
                now == before || before == "http://me@b:2",
                "{before} to {now}"
            );
        }
        assert_eq!(ways(&many), without);
    }

    #[test]
    fn each_of_two_users_at_one_place_can_be_chosen() {
        let two = settings(&[("PROXIES", "http://a:1@host:9,http://b:1@host:9")]);
        for (chosen, way) in [
            ("http://a@host:9", "http://a@host:9"),
            ("http://b@host:9", "http://b@host:9"),
            // As it was shown before.
            ("http://host:9", "http://a@host:9"),
        ] {
            let key = key(1);
            let by = BoundBy {
                chosen: Some(chosen),
                ..BoundBy::credential(&key)
            };
            assert_eq!(Egress::of_list(&two, by).unwrap().shown(), way);
        }
    }

    #[test]
    fn each_key_keeps_its_proxy_and_moves_only_when_that_is_gone() {
        let egress = Egress::new(Vec::new());
        let three = settings(&[("PROXIES", "http://a:1,socks5://b:2,http://c:3")]);
        let two = settings(&[("PROXIES", "http://c:3,http://a:1")]);
        let mut on_b = 0;
        for n in 0..300 {
            let before = way_of(&egress, &three, n);
            assert_eq!(before, way_of(&Egress::new(Vec::new()), &three, n));
            let after = way_of(&egress, &two, n);
            match before == "socks5h://b:2" {
                true => on_b += 1,
                false => assert_eq!(before, after, "key {n} has moved"),
            }
        }
        assert!(
            (60..140).contains(&on_b),
            "{on_b} of 300 keys are on one of three"
        );
    }

    #[test]
    fn a_proxy_that_is_this_program_is_not_used() {
        let egress = Egress::new(vec!["127.0.0.1:8000".parse().unwrap()]);
        for own in [
            "http://127.0.0.1:8000",
            "http://localhost:8000",
            "http://[::1]:8000",
        ] {
            let settings = settings(&[("PROXIES", own)]);
            assert_eq!(way_of(&egress, &settings, 1), "direct", "{own}");
            assert!(egress.view(&settings, Duration::ZERO)[0].is_this_program);
        }
        let settings = settings(&[("PROXIES", "http://127.0.0.1:7890")]);
        assert_eq!(way_of(&egress, &settings, 1), "http://127.0.0.1:7890");
    }

    #[test]
    fn what_came_back_by_a_way_is_known_of_it() {
        let egress = Egress::new(Vec::new());
        let settings = settings(&[("PROXIES", "http://user:tops3cret@a:1")]);
        let by = key(1);
        let by = BoundBy::credential(&by);
        let route = egress.route(&settings, by, GOOGLE, Duration::ZERO);
        assert_eq!(
            egress.view(&settings, Duration::ZERO)[0].health,
            EgressHealth::default()
        );
        egress.noted(&route, 5, Ok(()));
        egress.noted(&route, 7, Err("refused"));
        let seen = &egress.view(&settings, Duration::ZERO)[0];
        assert_eq!(
            (seen.health.ok_at, seen.health.failed_at),
            (Some(5), Some(7))
        );
        assert_eq!(seen.health.error.as_deref(), Some("refused"));
        assert!(!format!("{seen:?} {route:?} {settings:?}").contains("tops3cret"));
        egress.noted(&route, 9, Ok(()));
        assert_eq!(egress.view(&settings, Duration::ZERO)[0].health.error, None);
    }
}
