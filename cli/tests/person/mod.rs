//! A person at the panel.

use serde_json::Value;

/// Somebody who is signed in. The session outlives the server.
pub struct Panel {
    http: reqwest::Client,
    cookie: String,
    csrf: String,
}

impl Panel {
    /// Comes in by `/api/setup` or `/api/login`.
    pub async fn enter(address: &str, path: &str, body: Value) -> Self {
        let http = http();
        let answer = http
            .post(format!("{address}{path}"))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut panel = Self {
            http,
            cookie,
            csrf: String::new(),
        };
        let state = panel.ask(address, "GET", "/api/state", None).await.unwrap();
        panel.csrf = state["csrf"].as_str().unwrap().to_owned();
        panel
    }

    /// What the server answers; `None` when it does not.
    pub async fn ask(
        &self,
        address: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Option<Value> {
        let url = format!("{address}{path}");
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .header("cookie", &self.cookie)
            .header("x-csrf-token", &self.csrf);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        assert_eq!(status, 200, "{method} {path}: {text}");
        Some(serde_json::from_str(&text).unwrap())
    }
}

/// A client that goes straight to the server, whatever proxies there are.
pub fn http() -> reqwest::Client {
    // The second time there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
