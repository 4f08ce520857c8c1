//! The admin API over its router, with a real store and the fake Google.

mod access;
mod backups;
mod data;
mod description;
mod limits;
mod logs;
mod second_factor;
mod security;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use contract::Millis;
use contract::admin::{CSRF_HEADER, KeyState, KeyView, Origin};
use http::{Method, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use testkit::clock::VirtualClock;
use testkit::google::{FakeGoogle, Quota};
use tower::ServiceExt as _;
use vault::MasterKey;

use super::gate::csrf;
use super::{Access, router};
use crate::clock::Clock;
use crate::settings::Settings;
use crate::{CoreConfig, Running, start};

/// A key that the fake Google knows.
const KEY: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
/// A key of the new shape that it knows.
const NEW_KEY: &str = "AQ.Ab8RN6KabcdefghIJKLmnop0123456789-_xyz";
/// A key that it does not know.
const UNKNOWN_KEY: &str = "AIzaSyZ9876543210zyxwvutsrqponmlkjihgfe";
/// The panel token of most tests.
const PASSWORD: &str = "correct horse";
/// Noon in Shanghai and 04:00 UTC on 2026-11-22.
const NOON: Millis = 1_795_320_000_000;

/// An instance, the Google it talks to, and the time both believe in.
struct World {
    folder: TempDir,
    google: FakeGoogle,
    clock: VirtualClock,
    running: Running,
    access: Access,
    cookie: Option<String>,
}

impl World {
    /// An instance with these settings; nobody has signed in.
    async fn new(set: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = VirtualClock::at(NOON);
        let google = FakeGoogle::builder()
            .clock(&clock)
            .project("p1", Quota::UNLIMITED)
            .key(KEY, "p1")
            .key(NEW_KEY, "p1")
            .start()
            .await;
        let running = Self::run(&folder, &google, &clock, set).await;
        Self {
            folder,
            google,
            clock,
            running,
            access: Access::Session,
            cookie: None,
        }
    }

    async fn run(
        folder: &TempDir,
        google: &FakeGoogle,
        clock: &VirtualClock,
        set: &[(&str, &str)],
    ) -> Running {
        let (base_url, data_dir) = (google.base_url(), folder.path().display().to_string());
        let fixed = [
            ("BASE_URL", base_url.as_str()),
            ("DATA_DIR", data_dir.as_str()),
            ("PORT", "0"),
            ("TZ", "Asia/Shanghai"),
        ];
        let settings = Settings::load(|name| {
            let mut all = set.iter().chain(&fixed);
            all.find(|(given, _)| *given == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .unwrap();
        let clock = clock.clone();
        start(CoreConfig {
            settings,
            on_settings: None,
            master: MasterKey::from_bytes([7; 32]),
            sealing: contract::admin::Sealing::SecretKey,
            clock: Clock::new(move || clock.now()),
            panel: None,
            extend: None,
        })
        .await
        .unwrap()
    }

    /// Ends the instance and starts it anew on the same data.
    async fn restart(&mut self, set: &[(&str, &str)]) {
        self.running.core().recorder.flush().await;
        let next = Self::run(&self.folder, &self.google, &self.clock, set).await;
        let old = std::mem::replace(&mut self.running, next);
        old.shutdown(Duration::ZERO).await;
    }

    /// An instance with a panel token, and somebody signed in.
    async fn signed_in(set: &[(&str, &str)]) -> Self {
        let set: Vec<_> = set
            .iter()
            .copied()
            .chain([("AUTH_TOKEN", PASSWORD)])
            .collect();
        let mut world = Self::new(&set).await;
        world.sign_in().await;
        world
    }

    async fn sign_in(&mut self) {
        let body = serde_json::json!({ "password": PASSWORD });
        let response = self
            .send(self.request(Method::POST, "/api/login", Some(body)))
            .await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        self.cookie = cookie_of(&response);
    }

    /// A request as the panel's page sends it.
    fn request(&self, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1:8000")
            .header(header::ORIGIN, "http://127.0.0.1:8000");
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, format!("other=1; gb_session={cookie}"));
            request = request.header(CSRF_HEADER, csrf(&cookie.as_str().into()));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        request.body(body).unwrap()
    }

    async fn send(&self, mut request: Request<Body>) -> Response {
        let peer: SocketAddr = "203.0.113.9:1234".parse().unwrap();
        if request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .is_none()
        {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let router = router(self.running.core().clone(), self.access);
        router.oneshot(request).await.unwrap()
    }

    /// The keys, when those that were added have been checked.
    async fn checked_keys(&self) -> Vec<KeyView> {
        loop {
            let keys: Vec<KeyView> = self.get("/api/keys").await;
            let is_new = |key: &KeyView| {
                key.origin == Origin::Panel && matches!(key.state, KeyState::Unchecked)
            };
            if !keys.iter().any(is_new) {
                return keys;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Sends what the panel would; gives status and body.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send(self.request(method, path, body)).await;
        let status = response.status().as_u16();
        (status, body_of(response).await)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_value(body).unwrap()
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> T {
        let (status, body) = self.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_value(body).unwrap()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

async fn body_of(response: Response) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&bytes).unwrap()
}

/// The session cookie that a response sets.
fn cookie_of(response: &Response) -> Option<String> {
    let cookie = response
        .headers()
        .get(header::SET_COOKIE)?
        .to_str()
        .unwrap();
    let value = cookie
        .strip_prefix("gb_session=")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Keeps the type of a shared core in one place for tests that need it.
fn core(world: &World) -> Arc<crate::Core> {
    world.running.core().clone()
}
