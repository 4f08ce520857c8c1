//! A check-up: looks at everything between a client and Google, in the order in which a request
//! meets it, and says of each thing how it is and what to do.
//!
//! It costs no quota: models are listed and tokens counted, nothing is generated.

use std::net::IpAddr;
use std::time::Duration;

use contract::Millis;
use contract::admin::{
    DatabaseState, DoctorReport, Finding, FindingCode as Code, FindingState as State, Sealing,
};
use dialect::gemini::ApiStatus;
use futures_util::future::join_all;
use http::StatusCode;
use http::header::DATE;
use reqwest::Url;

use crate::Core;
use crate::egress::Route;
use crate::settings::Settings;
use crate::store::StoredKey;
use crate::surface::HEALTHY;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far the clock may be off: Google's own signed requests allow five minutes, and quota
/// windows are shorter than that.
const SKEW: Millis = 60_000;
/// The beginnings by which the kinds of key are told apart
/// (<https://ai.google.dev/gemini-api/docs/api-key>).
const KINDS: [&str; 2] = ["AIza", "AQ."];
/// What is asked how many tokens it has, where no key's list of models names another model.
const MODEL: &str = "gemini-2.5-flash";

fn finding(
    code: Code,
    state: State,
    subject: impl Into<String>,
    detail: impl Into<String>,
) -> Finding {
    Finding {
        code,
        state,
        subject: subject.into(),
        detail: detail.into(),
    }
}

impl Core {
    /// Looks at everything. `listening`: where clients are to reach it, if that is elsewhere than
    /// this core listens.
    pub async fn examine(&self, listening: Option<&str>) -> DoctorReport {
        let settings = arc_swap::Guard::into_inner(self.settings());
        let elsewhere: Option<Url> = listening.and_then(|address| address.parse().ok());
        let elsewhere = elsewhere.and_then(|url| url.socket_addrs(|| None).ok());
        for address in elsewhere.into_iter().flatten() {
            self.egress.also_listens(address);
        }
        let routes = self.egress.routes(&settings, self.clock.monotonic());
        let address = listening.map_or_else(|| self.address(), str::to_owned);
        let (port, names, google) = tokio::join!(
            self.port(&address),
            names(&settings, &routes),
            Box::pin(self.google(&settings, &routes)),
        );
        let keys = Box::pin(self.keys(&settings)).await;
        let mut findings = vec![port];
        findings.push(self.tokens().await);
        findings.extend(self.proxies(&settings, &routes));
        findings.extend(names);
        findings.extend(google);
        findings.extend(keys);
        findings.push(database(self.store.state()));
        findings.push(sealing(self.store.sealing()));
        DoctorReport {
            at: self.clock.now(),
            findings,
        }
    }

    /// Whether clients of this machine reach it.
    async fn port(&self, address: &str) -> Finding {
        let client = self.upstream.by(&Route::Direct);
        let asked = async {
            let answer = client?.get(format!("{address}/health")).timeout(PATIENCE);
            let answer = answer.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
        };
        match asked.await {
            Ok((StatusCode::OK, said)) if said == HEALTHY => {
                finding(Code::PortAnswers, State::Good, address, "")
            }
            Ok((status, _)) => finding(
                Code::PortForeign,
                State::Bad,
                address,
                format!("HTTP {}", status.as_u16()),
            ),
            Err(error) => finding(Code::PortSilent, State::Bad, address, why(error)),
        }
    }

    async fn tokens(&self) -> Finding {
        match self.store.tokens().await {
            Ok(tokens) if tokens.is_empty() => finding(Code::TokenNone, State::Bad, "", ""),
            Ok(_) => finding(Code::TokenThere, State::Good, "", ""),
            Err(error) => finding(Code::TokenUnknown, State::Unknown, "", error.to_string()),
        }
    }

    /// Which ways calls take.
    fn proxies(&self, settings: &Settings, routes: &[Route]) -> Vec<Finding> {
        let ours = routes.iter().filter(|route| self.egress.is_own(route));
        let mut all: Vec<Finding> = ours
            .map(|route| finding(Code::ProxyIsOurs, State::Bad, route.shown(), ""))
            .collect();
        let now = self.clock.monotonic();
        let system = self.egress.system_proxy(&settings.base_url, now);
        let of_system = |proxy: &crate::egress::Proxy| proxy.shown().to_owned();
        let listed = settings.proxies.routes();
        all.push(match (listed, system) {
            ([_, ..], _) => {
                let shown: Vec<&str> = listed.iter().map(Route::shown).collect();
                finding(Code::ProxyListed, State::Good, "", shown.join(", "))
            }
            ([], Some(proxy)) if !settings.system_proxy => {
                finding(Code::ProxyIgnored, State::Good, of_system(&proxy), "")
            }
            ([], Some(proxy)) => match self.egress.is_own(&Route::Proxy(proxy.clone())) {
                true => finding(Code::ProxyIsOurs, State::Bad, of_system(&proxy), ""),
                false => finding(Code::ProxySystem, State::Good, of_system(&proxy), ""),
            },
            ([], None) => finding(Code::ProxyNone, State::Good, "", ""),
        });
        all
    }

    /// Whether Google answers by each way, and what time it has.
    async fn google(&self, settings: &Settings, routes: &[Route]) -> Vec<Finding> {
        let asked = routes.iter().map(|route| self.reach(settings, route));
        let mut all = Vec::new();
        let mut time = None;
        for (found, said_at) in join_all(asked).await {
            all.push(found);
            time = time.or(said_at);
        }
        all.push(match time {
            None => finding(Code::ClockUnknown, State::Unknown, "", ""),
            Some((theirs, ours)) => {
                let off = ours.saturating_sub(theirs);
                let seconds = format!("{:+} s", off / 1000);
                match off.abs() <= SKEW {
                    true => finding(Code::ClockRight, State::Good, "", seconds),
                    false => finding(Code::ClockWrong, State::Bad, "", seconds),
                }
            }
        });
        all
    }

    /// Asks for the models without a key, which Google refuses in words of its own. Gives also
    /// what time it has, and what time it was here.
    async fn reach(
        &self,
        settings: &Settings,
        route: &Route,
    ) -> (Finding, Option<(Millis, Millis)>) {
        let address = format!("{}/models?pageSize=1", settings.base_url);
        let began = self.clock.monotonic();
        let client = self.upstream.by(route);
        let asked = async {
            let answer = client?.get(&address).timeout(PATIENCE).send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        };
        let asked = asked.await;
        let (now, took) = (
            self.clock.now(),
            self.clock.monotonic().saturating_sub(began),
        );
        match asked {
            Err(error) => {
                let why = why(error);
                self.egress.noted(route, now, Err(&why));
                let found = finding(Code::GoogleUnreachable, State::Bad, by(route), why);
                (found, None)
            }
            Ok((status, headers, body)) => {
                self.egress.noted(route, now, Ok(()));
                let said = headers.get(DATE).and_then(|date| date.to_str().ok());
                let said_at = said.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
                let time = said_at.map(|at| (at.timestamp().as_millisecond(), now));
                let is_google = status.is_success() || ApiStatus::parse(&body).is_some();
                let found = match is_google {
                    true => {
                        let took = format!("{} ms", took.as_millis());
                        finding(Code::GoogleAnswers, State::Good, by(route), took)
                    }
                    false => {
                        let said = format!("HTTP {}", status.as_u16());
                        finding(Code::GoogleStrange, State::Bad, by(route), said)
                    }
                };
                (found, time)
            }
        }
    }

    /// A key of each kind by each way: whether it is accepted, and the region served. Each key
    /// only goes the way that it always goes.
    async fn keys(&self, settings: &Settings) -> Vec<Finding> {
        let keys = match self.store.keys().await {
            Ok(keys) => keys,
            Err(error) => {
                let error = error.to_string();
                return vec![finding(Code::KeyUnknown, State::Unknown, "", error)];
            }
        };
        if keys.is_empty() {
            return vec![finding(Code::KeyNone, State::Bad, "", "")];
        }
        let in_use: Vec<&StoredKey> = keys.iter().filter(|key| key.enabled).collect();
        if in_use.is_empty() {
            return vec![finding(Code::KeyNoneUsable, State::Bad, "", "")];
        }
        let model = match settings.test_model.as_str() {
            "" => MODEL,
            chosen => chosen,
        };
        let way_of = |key: &StoredKey| {
            let now = self.clock.monotonic();
            let base = &settings.base_url;
            match self.pool.pick_by_id(key.id) {
                Some(picked) => self.egress.route(settings, picked.bound_by(), base, now),
                None => Route::Direct,
            }
        };
        let mut all = Vec::new();
        let mut seen: Vec<(Route, &str)> = Vec::new();
        for key in in_use {
            let like = (way_of(key), kind_of(key));
            if !seen.contains(&like) {
                all.extend(Box::pin(self.key(key, &like.0, model)).await);
                seen.push(like);
            }
        }
        all
    }

    async fn key(&self, key: &StoredKey, route: &Route, model: &str) -> Vec<Finding> {
        let Some(picked) = self.pool.pick_by_id(key.id) else {
            return Vec::new();
        };
        let masked = key.secret.masked();
        if Box::pin(self.upstream.is_refused_here(self, &picked, model)).await {
            return vec![finding(
                Code::GoogleRegion,
                State::Bad,
                route.shown(),
                masked,
            )];
        }
        let checked = self.upstream.check(self, &picked).await;
        vec![match checked.ok {
            true => {
                let took = format!("{} ms", checked.latency.as_millis());
                finding(Code::KeyAccepted, State::Good, masked, took)
            }
            false if !checked.answered => {
                finding(Code::KeyUnknown, State::Unknown, masked, checked.message)
            }
            false => finding(Code::KeyRefused, State::Bad, masked, checked.message),
        }]
    }
}

/// How a way is named in a finding: the proxy; nothing for the way without one.
fn by(route: &Route) -> &str {
    match route {
        Route::Direct => "",
        Route::Proxy(proxy) => proxy.shown(),
    }
}

/// What kind of key it looks like; empty for one that looks like none.
fn kind_of(key: &StoredKey) -> &'static str {
    let text = key.secret.expose();
    let kind = KINDS.into_iter().find(|kind| text.starts_with(kind));
    kind.unwrap_or_default()
}

/// Where Google's name leads, for calls that go straight.
async fn names(settings: &Settings, routes: &[Route]) -> Vec<Finding> {
    let url: Option<Url> = settings.base_url.parse().ok();
    let Some((host, port)) = url
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
    else {
        return Vec::new();
    };
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        // There is no name to look up.
        return Vec::new();
    }
    if !routes.contains(&Route::Direct) {
        return vec![finding(Code::NameByProxy, State::Good, host, "")];
    }
    let looked_up = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port)));
    let found: Vec<IpAddr> = match looked_up.await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        Ok(Err(error)) => {
            let error = error.to_string();
            return vec![finding(Code::NameNotFound, State::Bad, host, error)];
        }
        Err(_) => return vec![finding(Code::NameNotFound, State::Bad, host, "")],
    };
    let mut shown: Vec<String> = found.iter().map(IpAddr::to_string).collect();
    shown.dedup();
    let is_google = host.ends_with(".googleapis.com");
    let (code, state) = match is_google && found.iter().any(|ip| !is_public(*ip)) {
        true => (Code::NameWrong, State::Warning),
        false => (Code::NameFound, State::Good),
    };
    vec![finding(code, state, host, shown.join(", "))]
}

/// Whether an address can be one of Google's. (198.18.0.0/15 is what VPN programs make up, which
/// works as long as they run.)
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let is_made_up = ip.octets()[0] == 198 && matches!(ip.octets()[1], 18 | 19);
            is_made_up
                || !(ip.is_loopback()
                    || ip.is_private()
                    || ip.is_unspecified()
                    || ip.is_link_local()
                    || ip.is_broadcast())
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local()),
    }
}

fn database(state: DatabaseState) -> Finding {
    match state {
        DatabaseState::Ready => finding(Code::DatabaseReady, State::Good, "", ""),
        DatabaseState::Unreachable { message, .. } | DatabaseState::ReadOnly { message, .. } => {
            finding(Code::DatabaseAway, State::Bad, "", message)
        }
    }
}

fn sealing(sealing: Sealing) -> Finding {
    match sealing {
        Sealing::SecretKey | Sealing::KeyFile | Sealing::Keychain => {
            finding(Code::SealingOn, State::Good, "", "")
        }
        Sealing::NotStored => finding(Code::SecretsNotStored, State::Bad, "", ""),
        Sealing::Clear => finding(Code::SealingOff, State::Warning, "", ""),
    }
}

/// Why there is no connection: all causes, without the address.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_googles_are_told() {
        for (ip, public) in [
            ("142.250.4.95", true),
            ("2404:6800:4003:c00::5f", true),
            ("198.18.0.7", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("::ffff:192.168.1.1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }

    #[test]
    fn the_date_of_an_answer_is_understood() {
        let at = jiff::fmt::rfc2822::parse("Sun, 29 Nov 2026 06:19:48 GMT").unwrap();
        assert_eq!(at.timestamp().as_millisecond(), 1_795_933_188_000);
    }
}
