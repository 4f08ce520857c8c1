//! One Google, one Gemini Balance, one client.

use std::sync::Arc;
use std::time::Duration;

use contract::admin::{KeyView, Sealing};
use proxy_core::admin::Access;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, Running};
use testkit::clock::VirtualClock;
use testkit::google::{Builder, FakeGoogle};
use tower::ServiceExt as _;
use vault::MasterKey;

/// The token of every test's client.
pub const TOKEN: &str = "sk-test-client-token";
/// The first Gemini key; others differ in the last character.
pub const KEYS: [&str; 3] = [
    "AIzaSyTestKeyNumber00000000000000000001",
    "AIzaSyTestKeyNumber00000000000000000002",
    "AQ.TestKeyNumber0000000000000000000000000000000000003",
];
/// 2026-11-22T12:00:00Z.
pub const NOON: i64 = 1_795_348_800_000;

pub struct World {
    pub google: Arc<FakeGoogle>,
    pub core: Running,
    pub clock: VirtualClock,
    pub http: reqwest::Client,
    _ground: Ground,
}

/// What a server is started from, and what outlives it.
#[derive(Clone)]
pub struct Ground {
    google: Arc<FakeGoogle>,
    clock: VirtualClock,
    master: MasterKey,
    dir: Arc<tempfile::TempDir>,
    settings: Vec<(String, String)>,
}

impl Ground {
    /// A Google that knows all [`KEYS`], and settings with the first `keys` of them.
    pub async fn new(
        keys: usize,
        google: impl FnOnce(Builder) -> Builder,
        settings: &[(&str, &str)],
    ) -> Self {
        let clock = VirtualClock::at(NOON);
        let mut builder = FakeGoogle::builder().clock(&clock);
        for (number, key) in KEYS.iter().enumerate() {
            builder = builder.key(*key, format!("project-{number}"));
        }
        let google = google(builder).start().await;
        let ground = Self {
            clock,
            master: MasterKey::random().unwrap(),
            dir: Arc::new(tempfile::tempdir().unwrap()),
            settings: vec![("BASE_URL".to_owned(), google.base_url())],
            google: Arc::new(google),
        };
        ground
            .with(&[
                ("API_KEYS", &KEYS[..keys].join(",")),
                ("ALLOWED_TOKENS", TOKEN),
                ("PORT", "0"),
            ])
            .with(settings)
    }

    /// The same with other settings.
    #[must_use]
    pub fn with(mut self, settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.settings.splice(0..0, settings);
        self
    }

    /// The same with a key of Vertex AI's express mode, and the way there.
    #[must_use]
    pub fn with_express(self, key: &str) -> Self {
        let address = format!("{}/v1beta1/publishers/google", self.google.origin());
        self.with(&[
            ("VERTEX_API_KEYS", key),
            ("VERTEX_EXPRESS_BASE_URL", &address),
        ])
    }

    /// The same with this database of a server, reached by this port.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn on_mysql(self, server: &testkit::mariadb::Access, port: u16, database: &str) -> Self {
        self.with(&[
            ("MYSQL_HOST", server.host()),
            ("MYSQL_PORT", &port.to_string()),
            ("MYSQL_USER", server.user()),
            ("MYSQL_PASSWORD", server.password()),
            ("MYSQL_DATABASE", database),
        ])
    }

    /// The same with a data folder of its own, for a second server.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.dir = Arc::new(tempfile::tempdir().unwrap());
        self
    }

    /// Starts a server.
    pub async fn start(&self) -> World {
        let data_dir = self.dir.path().display().to_string();
        let get = |name: &str| {
            let given = self.settings.iter().find(|(given, _)| given == name);
            match given {
                Some((_, value)) => Some(value.clone()),
                None => (name == "DATA_DIR").then(|| data_dir.clone()),
            }
        };
        let shown = self.clock.clone();
        let core = proxy_core::start(CoreConfig {
            settings: Settings::load(get).unwrap(),
            on_settings: None,
            master: self.master.clone(),
            sealing: Sealing::SecretKey,
            clock: Clock::new(move || shown.now()),
            panel: None,
            extend: None,
        })
        .await
        .unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        World {
            google: self.google.clone(),
            core,
            clock: self.clock.clone(),
            http,
            _ground: self.clone(),
        }
    }
}

impl World {
    /// A Google that knows all [`KEYS`], each in its own project, and a server that has the
    /// first `keys` of them.
    pub async fn with_keys(keys: usize) -> Self {
        Self::start(keys, |google| google, &[]).await
    }

    /// The same, with another Google and more settings.
    pub async fn start(
        keys: usize,
        google: impl FnOnce(Builder) -> Builder,
        settings: &[(&str, &str)],
    ) -> Self {
        Ground::new(keys, google, settings).await.start().await
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.core.address())
    }

    /// Changes settings of the running server.
    pub fn set(&self, changed: &[(&str, &str)]) {
        let core = self.core.core();
        let before = core.settings();
        let settings = Settings::load(|name| {
            let changed = changed.iter().find(|(given, _)| *given == name);
            match changed {
                Some((_, value)) => Some((*value).to_owned()),
                None => before.given(name).map(|text| text.expose().clone()),
            }
        });
        core.apply_settings(settings.unwrap());
    }

    /// A POST in Google's style.
    pub async fn gemini(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        self.http
            .post(self.url(path))
            .header("x-goog-api-key", TOKEN)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// A chat in OpenAI's style.
    pub async fn chat(&self, body: serde_json::Value) -> reqwest::Response {
        self.http
            .post(self.url("/v1/chat/completions"))
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    /// Asks the admin API from within the process, as the desktop window does.
    pub async fn admin<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.ask_admin("GET", path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_value(body).unwrap()
    }

    /// The same by any method; answers the status and the body, `null` when there is none.
    pub async fn ask_admin(
        &self,
        method: &str,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        let router = proxy_core::admin::router(self.core.core().clone(), Access::Trusted);
        let mut request = http::Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or(axum::body::Body::empty(), |body| body.to_string().into());
        let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// What is shown of a key.
    pub async fn key(&self, key: &str) -> KeyView {
        let masked = vault::Secret::from(key).masked();
        let keys: Vec<KeyView> = self.admin("/api/keys").await;
        keys.into_iter().find(|view| view.masked == masked).unwrap()
    }

    /// The Gemini keys Google was asked with, in order.
    pub fn keys_used(&self) -> Vec<String> {
        let seen = self.google.requests();
        seen.iter()
            .filter_map(|request| request.key.clone())
            .collect()
    }
}

/// The simplest Gemini request.
pub fn ask(text: &str) -> String {
    serde_json::json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}).to_string()
}

/// A body as JSON.
pub async fn json(response: reqwest::Response) -> serde_json::Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The `data:` payloads of an event stream.
pub fn events(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(str::to_owned)
        .collect()
}
