//! One Gemini Balance with a deployer, and somebody who has signed in to its panel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::ApiError;
use contract::admin::{AuditPage, CSRF_HEADER, InstanceState, Sealing};
use deployer::Providers;
use deployer::run::Pause;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, Running};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::clock::VirtualClock;
use vault::MasterKey;

/// What the panel is signed in to with.
pub const PASSWORD: &str = "correct horse";
/// 2026-11-22T12:00:00Z.
pub const NOON: i64 = 1_795_348_800_000;

/// Time passes when a test says so. A pause ends whenever the clock is moved, since it may have
/// been moved already between a look at it and the pause.
struct ByClock(VirtualClock);

#[async_trait]
impl Pause for ByClock {
    async fn pause(&self, _: Duration) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().changed().await;
    }
}

/// What a server is started from, and what outlives it.
pub struct Ground {
    dir: Arc<TempDir>,
    pub clock: VirtualClock,
    providers: Providers,
    settings: Vec<(String, String)>,
    sealing: Sealing,
}

impl Ground {
    /// An empty database, and these clouds.
    pub fn new(providers: Providers) -> Self {
        Self {
            dir: Arc::new(tempfile::tempdir().unwrap()),
            clock: VirtualClock::at(NOON),
            providers,
            settings: Vec::new(),
            sealing: Sealing::SecretKey,
        }
    }

    /// The same with more settings.
    #[must_use]
    pub fn with(mut self, settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.settings.extend(settings);
        self
    }

    /// The same without a key to seal secrets with.
    #[must_use]
    pub fn without_sealing_key(mut self) -> Self {
        self.sealing = Sealing::NotStored;
        self
    }

    /// Starts a server, and signs in.
    pub async fn start(&self) -> World {
        let data_dir = self.dir.path().display().to_string();
        let fixed = [
            ("DATA_DIR", data_dir.as_str()),
            ("PORT", "0"),
            ("AUTH_TOKEN", PASSWORD),
            // Nobody is asked there.
            ("BASE_URL", "http://127.0.0.1:1/v1beta"),
        ];
        let settings = Settings::load(|name| {
            let given = self.settings.iter().find(|(given, _)| given == name);
            let fixed = fixed.iter().find(|(given, _)| *given == name);
            given
                .map(|(_, value)| value.clone())
                .or(fixed.map(|(_, value)| (*value).to_owned()))
        })
        .unwrap();
        let shown = self.clock.clone();
        let extend = settings
            .deployer
            .then(|| deployer::extend_in(self.providers.clone(), Arc::new(ByClock(shown.clone()))));
        let running = Box::pin(proxy_core::start(CoreConfig {
            settings,
            on_settings: None,
            master: MasterKey::from_bytes([7; 32]),
            sealing: self.sealing,
            clock: Clock::new(move || shown.now()),
            panel: None,
            extend,
        }))
        .await
        .unwrap();
        let mut world = World {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            running,
            cookie: String::new(),
            csrf: String::new(),
        };
        world.sign_in().await;
        world
    }

    /// All bytes that the server has written, to look for what must not be among them.
    pub fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                bytes.extend(std::fs::read(path).unwrap());
            }
        }
        bytes
    }
}

/// A server that runs.
pub struct World {
    http: reqwest::Client,
    pub running: Running,
    cookie: String,
    csrf: String,
}

impl World {
    async fn sign_in(&mut self) {
        let url = format!("{}/api/login", self.running.panel_address());
        let body = json!({ "password": PASSWORD }).to_string();
        let answer = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
        let state: InstanceState = self.get("/api/state").await;
        self.csrf = state.csrf.unwrap();
    }

    /// Asks the admin API as the panel does; gives status and body.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let address = self.running.panel_address();
        let mut request = self
            .http
            .request(method, format!("{address}{path}"))
            .header("origin", &address)
            .header("cookie", &self.cookie)
            .header(CSRF_HEADER, &self.csrf);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        (status, body)
    }

    /// What a path answers that must answer 200.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_value(body).unwrap()
    }

    /// The same with a body.
    pub async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: Value) -> T {
        let (status, body) = self.call(method, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_value(body).unwrap()
    }

    /// A POST that must answer 200.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> T {
        self.send(Method::POST, path, body).await
    }

    /// What a path says that must refuse.
    pub async fn refused(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, ApiError) {
        let (status, body) = self.call(method, path, body).await;
        assert!(status >= 400, "{path}: {body}");
        (status, serde_json::from_value(body).unwrap())
    }

    /// What was done and to what, newest first, as the audit log has it.
    pub async fn audit(&self) -> Vec<(String, String)> {
        let page: AuditPage = self.get("/api/audit").await;
        let entries = page.entries.into_iter();
        entries
            .map(|entry| {
                let action = serde_json::to_value(entry.action).unwrap();
                (action.as_str().unwrap().to_owned(), entry.subject)
            })
            .filter(|(action, _)| action != "signed_in")
            .collect()
    }

    /// Stops it as a host does.
    pub async fn stop(self) {
        self.running.shutdown(Duration::ZERO).await;
    }
}
