//! What an instance itself is asked, over HTTP.

mod knock;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::admin::{CSRF_HEADER, InstanceState, Origin, Overview, TokenRules};
use contract::deploy::RemoteHealth;
use contract::{ApiError, ErrorCode};
use parking_lot::Mutex;
use proxy_core::clock::Clock;
use proxy_core::transfer::{Content, TokenContent};
use reqwest::header::{CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use vault::Secret;

use crate::admin::{AdminApi, lasting};
use crate::drift::told;
use crate::names::Names;
use crate::provider::HEALTH_PATH;
use crate::run::{RemoteApi, Setback};

pub(crate) use knock::Silence;

/// How long an instance may take: a free plan of Render needs a minute to wake up.
const PATIENCE: Duration = Duration::from_secs(90);
/// The longest answer that is read.
const LONGEST: usize = 4 * 1024 * 1024;
/// The model that is tried unless the instance has no such.
const MODEL: &str = "gemini-2.5-flash";
/// What a client token is called there that this instance made and that is in no variable.
pub(crate) const MADE_HERE: &str = "Gemini Balance";

/// Connections to instances.
#[derive(Clone)]
pub(crate) struct Instances {
    client: Client,
    /// The sessions of this process, by address. A sign-in costs the instance a tenth of a
    /// second.
    sessions: Arc<Mutex<HashMap<String, Arc<Session>>>>,
}

/// What an instance's admin API answered.
pub(crate) struct Said {
    pub status: StatusCode,
    /// JSON, or empty.
    pub body: Vec<u8>,
}

impl Said {
    /// What kind of error it is, if it is one.
    pub(crate) fn error(&self) -> Option<ApiError> {
        match self.status.is_success() {
            true => None,
            false => serde_json::from_slice(&self.body).ok(),
        }
    }

    /// Why it is no success, if it is none.
    pub(crate) fn setback(&self, url: &str) -> Option<Setback> {
        match self.status.is_success() {
            true => None,
            false => Some(refusal(url, self.status, &self.body)),
        }
    }
}

/// What changes need besides the cookie.
struct Session {
    cookie: Secret,
    csrf: String,
    /// What began it.
    password: Secret,
}

impl Instances {
    /// Sets up connections.
    ///
    /// # Errors
    /// When the TLS set-up of the system cannot be read.
    pub(crate) fn new() -> Result<Self, ApiError> {
        // Another part of the process may have installed the same provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(PATIENCE)
            // A password goes to the address that was given and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Names)
            .build()
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        Ok(Self {
            client,
            sessions: Arc::default(),
        })
    }

    /// Asks an instance's admin API something. A session that has ended is begun anew, once.
    ///
    /// # Errors
    /// When the instance does not answer, or cannot be signed in to.
    pub(crate) async fn ask(
        &self,
        url: &str,
        password: &Secret,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Said, Setback> {
        let known = self.sessions.lock().get(url).cloned();
        if let Some(session) = known {
            let said = self
                .ask_in(url, &session, method.clone(), path, body)
                .await?;
            if said.status != StatusCode::UNAUTHORIZED {
                return Ok(said);
            }
        }
        let session = Arc::new(self.session(url, password).await?);
        self.sessions.lock().insert(url.to_owned(), session.clone());
        self.ask_in(url, &session, method, path, body).await
    }

    async fn ask_in(
        &self,
        url: &str,
        session: &Session,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Said, Setback> {
        let mut request = self
            .client
            .request(method, format!("{url}{path}"))
            .header(ORIGIN, url)
            .header(COOKIE, session.cookie.expose())
            .header(CSRF_HEADER, &session.csrf);
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_vec());
        }
        let answer = request.send().await.map_err(|_| away(url))?;
        let status = answer.status();
        let body = read(answer).await.ok_or_else(|| away(url))?;
        Ok(Said { status, body })
    }

    /// What an instance says of itself. Asking one that sleeps wakes it up.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn health(
        &self,
        url: &str,
        password: &Secret,
        clock: &Clock,
    ) -> Result<RemoteHealth, Silence> {
        let nobody = |setback: Setback| Silence::Nobody(setback.error);
        let began = clock.monotonic();
        let state = self.client.get(format!("{url}/api/state")).send().await;
        let state = state.map_err(|_| nobody(away(url)))?;
        let latency = clock.monotonic().saturating_sub(began);
        let state: InstanceState = match state.status() {
            StatusCode::OK => read(state)
                .await
                .and_then(|said| serde_json::from_slice(&said).ok())
                .ok_or_else(|| nobody(stranger(url)))?,
            status => {
                return Err(match knock::in_its_place(state.headers()) {
                    Some(state) => Silence::InItsPlace(state),
                    None if status.is_server_error() => nobody(away(url)),
                    None => nobody(stranger(url)),
                });
            }
        };
        let mut health = RemoteHealth {
            version: state.version,
            started_at: None,
            latency_ms: latency.as_millis().try_into().unwrap_or(u64::MAX),
            keys_ready: None,
            keys_total: None,
            requests_today: None,
            errors_today: None,
            sign_in_problem: None,
        };
        let overview = match self
            .ask(url, password, Method::GET, "/api/overview", None)
            .await
        {
            Ok(said) => match serde_json::from_slice::<Overview>(&said.body) {
                Ok(overview) => overview,
                Err(_) => {
                    health.sign_in_problem = said.error().or(Some(stranger(url).error));
                    return Ok(health);
                }
            },
            Err(setback) => {
                health.sign_in_problem = Some(setback.error);
                return Ok(health);
            }
        };
        health.started_at = Some(overview.started_at);
        health.keys_ready = Some(overview.pool.ready);
        health.keys_total = Some(overview.pool.total);
        health.requests_today = Some(overview.today.requests);
        health.errors_today = Some(overview.today.errors);
        Ok(health)
    }

    /// The admin API of an instance, with types.
    pub(crate) fn admin(&self, url: &str, password: &Secret) -> AdminApi {
        AdminApi {
            instances: self.clone(),
            url: url.to_owned(),
            password: password.clone(),
        }
    }

    async fn session(&self, url: &str, password: &Secret) -> Result<Session, Setback> {
        let body = Secret::new(json!({ "password": password.expose() }).to_string());
        let answer = self
            .client
            .post(format!("{url}/api/login"))
            .header(CONTENT_TYPE, "application/json")
            .header(ORIGIN, url)
            .body(body.expose().clone())
            .send()
            .await
            .map_err(|_| away(url))?;
        if answer.status() != StatusCode::NO_CONTENT {
            return Err(refused(url, answer).await);
        }
        let cookie = answer
            .headers()
            .get(SET_COOKIE)
            .and_then(|cookie| cookie.to_str().ok())
            .and_then(|cookie| cookie.split(';').next())
            .map(Secret::from)
            .ok_or_else(|| stranger(url))?;
        let csrf = self.state(url, &cookie).await?.csrf;
        Ok(Session {
            cookie,
            csrf: csrf.unwrap_or_default(),
            password: password.clone(),
        })
    }

    async fn state(&self, url: &str, cookie: &Secret) -> Result<InstanceState, Setback> {
        let state = self
            .client
            .get(format!("{url}/api/state"))
            .header(COOKIE, cookie.expose())
            .send()
            .await
            .map_err(|_| away(url))?;
        read(state)
            .await
            .and_then(|said| serde_json::from_slice(&said).ok())
            .ok_or_else(|| stranger(url))
    }

    /// The first of some passwords that an instance takes; they are tried in that order. One
    /// whose session holds is not tried again: wrong attempts before it would make the instance
    /// wait.
    ///
    /// # Errors
    /// When it does not answer, or takes none of them.
    pub(crate) async fn right_one(
        &self,
        url: &str,
        passwords: &[Secret],
    ) -> Result<Secret, Setback> {
        if let [only] = passwords {
            return Ok(only.clone());
        }
        let known = self.sessions.lock().get(url).cloned();
        if let Some(session) = known
            && passwords.contains(&session.password)
            && self.state(url, &session.cookie).await?.signed_in
        {
            return Ok(session.password.clone());
        }
        let mut refused = stranger(url);
        for password in passwords {
            match self.session(url, password).await {
                Ok(session) => {
                    let mut sessions = self.sessions.lock();
                    sessions.insert(url.to_owned(), Arc::new(session));
                    return Ok(password.clone());
                }
                Err(setback) if is_wrong(&setback) => refused = setback,
                Err(setback) => return Err(setback),
            }
        }
        Err(refused)
    }

    /// Whether clients get in with this token.
    ///
    /// # Errors
    /// When the instance does not answer.
    pub(crate) async fn lets_in(&self, url: &str, token: &Secret) -> Result<bool, Setback> {
        let answer = self.list_models(url, token).await?;
        match answer.status() {
            StatusCode::UNAUTHORIZED => Ok(false),
            _ if answer.status().is_server_error() => Err(unanswered(url, answer).await),
            _ => Ok(true),
        }
    }

    async fn list_models(&self, url: &str, token: &Secret) -> Result<Response, Setback> {
        self.client
            .get(format!("{url}/v1/models"))
            .bearer_auth(token.expose())
            .send()
            .await
            .map_err(|_| away(url))
    }

    /// The model to try: the usual one, or the first that is listed.
    async fn model(&self, url: &str, token: &Secret) -> Result<String, Setback> {
        let answer = self.list_models(url, token).await?;
        if answer.status() != StatusCode::OK {
            return Err(unanswered(url, answer).await);
        }
        let list: Value = read(answer)
            .await
            .and_then(|said| serde_json::from_slice(&said).ok())
            .ok_or_else(|| stranger(url))?;
        let models = list["data"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let ids: Vec<&str> = models
            .iter()
            .filter_map(|model| model["id"].as_str())
            .collect();
        let first = ids.iter().find(|id| id.starts_with("gemini"));
        Ok(match ids.contains(&MODEL) {
            true => MODEL.to_owned(),
            false => (*first.unwrap_or(&MODEL)).to_owned(),
        })
    }
}

#[async_trait]
impl RemoteApi for Instances {
    async fn healthy(&self, url: &str) -> Result<bool, Setback> {
        let answer = self.client.get(format!("{url}{HEALTH_PATH}")).send().await;
        // The first minutes nobody knows the name, or a balancer answers in its place.
        Ok(answer.is_ok_and(|answer| answer.status() == StatusCode::OK))
    }

    async fn sign_in(&self, url: &str, password: &Secret) -> Result<(), Setback> {
        self.session(url, password).await.map(drop)
    }

    async fn change_password(&self, url: &str, old: &Secret, new: &Secret) -> Result<(), Setback> {
        // A session of before may be one that another password began.
        self.sessions.lock().remove(url);
        let admin = self.admin(url, old);
        match self.sign_in(url, new).await {
            // An earlier attempt came this far at least.
            Ok(()) => {}
            Err(wrong) if is_wrong(&wrong) => {
                admin.confirm().await?;
                let revision = admin.settings().await?.revision;
                let values = [("AUTH_TOKEN".to_owned(), Some(new.expose().clone()))];
                let changed = admin
                    .change_settings(values.into(), revision, false)
                    .await?;
                if let Some(problem) = changed.problems.first() {
                    return Err(lasting(told(problem)));
                }
                self.sessions.lock().remove(url);
            }
            Err(setback) => return Err(setback),
        }
        // Where the old one was not AUTH_TOKEN but the password that was chosen in the panel.
        match self.sign_in(url, old).await {
            Ok(()) => admin.change_password(new).await?,
            Err(wrong) if is_wrong(&wrong) => {}
            Err(setback) => return Err(setback),
        }
        self.sessions.lock().remove(url);
        self.sign_in(url, new).await
    }

    async fn create_token(
        &self,
        url: &str,
        password: &Secret,
        token: &Secret,
    ) -> Result<bool, Setback> {
        let content = Content {
            tokens: vec![TokenContent::of(MADE_HERE, token, TokenRules::default())],
            ..Content::default()
        };
        let report = self.admin(url, password).take(&content, false).await?;
        // Of tokens, those that were revoked are ignored.
        Ok(report.ignored.is_empty())
    }

    async fn revoke_token(
        &self,
        url: &str,
        password: &Secret,
        token: &Secret,
    ) -> Result<(), Setback> {
        let admin = self.admin(url, password);
        let masked = token.masked();
        for one in admin.tokens().await? {
            let is_ours = one.origin == Origin::Panel && one.name == MADE_HERE;
            if is_ours && one.masked == masked {
                admin.delete_token(one.id).await?;
            }
        }
        Ok(())
    }

    async fn try_request(&self, url: &str, token: &Secret) -> Result<(), Setback> {
        let model = self.model(url, token).await?;
        let body = json!({
            "model": model, "messages": [{"role": "user", "content": "Say hello."}],
        });
        let answer = self
            .client
            .post(format!("{url}/v1/chat/completions"))
            .bearer_auth(token.expose())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
            .send()
            .await
            .map_err(|_| away(url))?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            _ => Err(unanswered(url, answer).await),
        }
    }
}

/// What an answer holds; `None` when it broke off or is too long.
async fn read(mut answer: Response) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        said.extend_from_slice(&piece);
        if said.len() > LONGEST {
            return None;
        }
    }
    Some(said)
}

fn is_wrong(setback: &Setback) -> bool {
    setback.error.code == ErrorCode::WrongPassword
}

fn away(url: &str) -> Setback {
    Setback {
        error: ApiError::new(
            ErrorCode::Unreachable,
            format!("{url} does not answer. Check the address, and whether it runs."),
        ),
        may_pass: true,
    }
}

fn stranger(url: &str) -> Setback {
    Setback {
        error: ApiError::new(
            ErrorCode::Unreachable,
            format!("{url} answers, but is no instance of this program that can be signed in to."),
        ),
        may_pass: false,
    }
}

/// What the admin API said instead of doing it: an error of the same shape as this program's.
async fn refused(url: &str, answer: Response) -> Setback {
    let status = answer.status();
    refusal(url, status, &read(answer).await.unwrap_or_default())
}

fn refusal(url: &str, status: StatusCode, said: &[u8]) -> Setback {
    match serde_json::from_slice::<ApiError>(said) {
        Ok(error) => Setback {
            may_pass: matches!(error.code, ErrorCode::Database | ErrorCode::TooManyAttempts),
            error,
        },
        Err(_) if status.is_server_error() => away(url),
        Err(_) => stranger(url),
    }
}

/// What came instead of a client's answer.
async fn unanswered(url: &str, answer: Response) -> Setback {
    let status = answer.status();
    let said = read(answer).await.unwrap_or_default();
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    let words = said["error"]["message"]
        .as_str()
        .unwrap_or("without a reason");
    Setback {
        error: ApiError::new(
            ErrorCode::Upstream,
            format!("{url} did not answer a client's request ({status}): {words}"),
        ),
        may_pass: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
    }
}
