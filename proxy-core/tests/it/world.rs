//! One Google, one Gemini Balance, one client.

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
    pub google: FakeGoogle,
    pub core: Running,
    pub clock: VirtualClock,
    pub http: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl World {
    /// A Google that knows the first `keys` of [`KEYS`], each in its own project, and a
    /// server that has them.
    pub async fn with_keys(keys: usize) -> Self {
        Self::start(keys, |google| google, &[]).await
    }

    /// The same, with another Google and more settings.
    pub async fn start(
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
        let dir = tempfile::tempdir().unwrap();
        let keys = KEYS[..keys].join(",");
        let base_url = google.base_url();
        let data_dir = dir.path().display().to_string();
        let get = |name: &str| {
            let given = settings.iter().find(|(given, _)| *given == name);
            if let Some((_, value)) = given {
                return Some((*value).to_owned());
            }
            Some(match name {
                "API_KEYS" => keys.clone(),
                "ALLOWED_TOKENS" => TOKEN.to_owned(),
                "BASE_URL" => base_url.clone(),
                "DATA_DIR" => data_dir.clone(),
                "PORT" => "0".to_owned(),
                _ => return None,
            })
        };
        let shown = clock.clone();
        let core = proxy_core::start(CoreConfig {
            settings: Settings::load(get).unwrap(),
            on_settings: None,
            master: MasterKey::random().unwrap(),
            sealing: Sealing::SecretKey,
            clock: Clock::new(move || shown.now()),
            panel: None,
        })
        .await
        .unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            google,
            core,
            clock,
            http,
            _dir: dir,
        }
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
        let router = proxy_core::admin::router(self.core.core().clone(), Access::Trusted);
        let request = http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "GET {path}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        serde_json::from_slice(&body).unwrap()
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
