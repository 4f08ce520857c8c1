//! Vault, local proxy and preferences together: what the commands and the tray act on.
//! Knows nothing of windows, so tests run it without one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::Body;
use contract::desktop::{
    AdminCall, AdminReply, DesktopState, MasterKeySource, Passphrase, ProxyState, VaultState,
};
use contract::{ApiError, ErrorCode};
use http::{Method, Request, Uri, header};
use tokio::sync::watch;
use tower::ServiceExt as _;
use vault::desktop::{Closed, Keychain, OpenError, Opened, Source, Vault};
use vault::{MasterKey, Secret};

use crate::local::{Environment, Local};
use crate::prefs::Prefs;

/// The most bytes an answer of the admin API may have; the largest, a list of ten
/// thousand keys, has four million.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// Everything the window shows and can do.
pub struct Desktop {
    environment: Environment,
    /// The keychain's name for the key of this folder.
    keychain_service: String,
    /// What is remembered between starts.
    pub prefs: Prefs,
    vault: Arc<Vault>,
    vault_state: watch::Sender<VaultState>,
    master: parking_lot::Mutex<Option<MasterKey>>,
    /// The proxy of this computer.
    pub local: Local,
    /// The app is about to end.
    pub ending: AtomicBool,
    /// Held while the app's own token is looked up or made.
    pub(crate) token: tokio::sync::Mutex<()>,
}

impl Desktop {
    /// The desktop of one data folder; nothing is opened yet. `keychain_service` is what
    /// the keychain is to call the key of a folder that does not have one yet.
    pub fn new(environment: Environment, keychain_service: &str) -> Self {
        Self::with_keychain(environment, keychain_service, |service| {
            Keychain::of_this_system(service)
        })
    }

    /// The same with a keychain of one's own.
    pub fn with_keychain(
        environment: Environment,
        keychain_service: &str,
        keychain: impl FnOnce(&str) -> Keychain,
    ) -> Self {
        let prefs = Prefs::read(environment.folder());
        let service = prefs.get().keychain;
        let service = service.unwrap_or_else(|| keychain_service.to_owned());
        Self {
            prefs,
            vault: Arc::new(Vault::new(environment.folder(), keychain(&service))),
            keychain_service: service,
            vault_state: watch::Sender::new(VaultState::Opening),
            master: parking_lot::Mutex::default(),
            local: Local::stopped(),
            ending: AtomicBool::new(false),
            token: tokio::sync::Mutex::default(),
            environment,
        }
    }

    /// What the window shows now.
    pub fn state(&self) -> DesktopState {
        DesktopState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            proxy: self.local.state().borrow().clone(),
            vault: self.vault_state.borrow().clone(),
        }
    }

    /// Resolves at each change of [`Desktop::state`], beginning with the one of now.
    pub async fn for_each_state(&self, mut show: impl FnMut(DesktopState)) {
        let (mut proxy, mut vault) = (self.local.state(), self.vault_state.subscribe());
        loop {
            // Seen before it is shown: a change during `show` is not lost.
            proxy.mark_unchanged();
            vault.mark_unchanged();
            show(self.state());
            let changed = tokio::select! {
                changed = proxy.changed() => changed,
                changed = vault.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Opens the vault and then starts the proxy. The keychain may ask the user, so this
    /// can take as long as people do.
    ///
    /// # Errors
    /// When the vault stays closed, with the reason. What becomes of the proxy is its state.
    pub async fn open(&self, passphrase: Option<Secret>) -> Result<(), ApiError> {
        let already = matches!(*self.vault_state.borrow(), VaultState::Open { .. });
        if !already {
            self.vault_state.send_replace(VaultState::Opening);
            let (vault, has_data) = (self.vault.clone(), self.environment.has_data());
            let opened =
                tokio::task::spawn_blocking(move || vault.open(has_data, passphrase.as_ref()))
                    .await;
            match opened {
                Ok(Ok(Opened { key, source })) => {
                    if source == Source::Keychain && self.prefs.get().keychain.is_none() {
                        let service = self.keychain_service.clone();
                        self.prefs.change(|kept| kept.keychain = Some(service));
                    }
                    *self.master.lock() = Some(key);
                    let source = match source {
                        Source::Keychain => MasterKeySource::Keychain,
                        Source::Passphrase => MasterKeySource::Passphrase,
                    };
                    self.vault_state.send_replace(VaultState::Open { source });
                }
                Err(_bug) => {
                    let error = ApiError::new(
                        ErrorCode::Internal,
                        "Opening the vault ended unexpectedly. Try again.",
                    );
                    // What helps is not known: what the log says about the bug may.
                    self.vault_state.send_replace(VaultState::Closed {
                        error: error.clone(),
                        passphrase: Passphrase::NoUse,
                    });
                    return Err(error);
                }
                Ok(Err(closed)) => {
                    tracing::warn!(reason = %closed, "the vault stays closed");
                    let state = tell(closed);
                    let error = match &state {
                        VaultState::Closed { error, .. } => error.clone(),
                        _ => ApiError::new(ErrorCode::Internal, "The vault is closed."),
                    };
                    self.vault_state.send_replace(state);
                    return Err(error);
                }
            }
        }
        self.start().await
    }

    /// Starts the local proxy.
    ///
    /// # Errors
    /// When the vault is closed. What becomes of the start is the proxy's state.
    pub async fn start(&self) -> Result<(), ApiError> {
        let master = self.master()?;
        Box::pin(self.local.start(&self.environment, &self.prefs, master)).await;
        if self.address().is_ok()
            && let Err(error) = Box::pin(self.own_token()).await
        {
            // Asked for again with the first "copy the token".
            tracing::warn!(%error, "the app's own token was not made");
        }
        Ok(())
    }

    /// Uses `port` from now on, and starts the local proxy there.
    ///
    /// # Errors
    /// When the port is 0 or the vault is closed.
    pub async fn use_port(&self, port: u16) -> Result<(), ApiError> {
        if port == 0 {
            return Err(ApiError::new(
                ErrorCode::InvalidInput,
                "A port is a number from 1 to 65535.",
            ));
        }
        self.prefs.change(|kept| kept.port = Some(port));
        self.local.stop().await;
        self.start().await
    }

    /// Where clients reach the proxy, e.g. `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn address(&self) -> Result<String, ApiError> {
        match &*self.local.state().borrow() {
            ProxyState::Running { address } => Ok(address.clone()),
            _ => Err(not_running()),
        }
    }

    /// The key of the open vault.
    ///
    /// # Errors
    /// When it is closed, with the reason.
    pub fn master(&self) -> Result<MasterKey, ApiError> {
        if let Some(key) = self.master.lock().clone() {
            return Ok(key);
        }
        Err(match &*self.vault_state.borrow() {
            VaultState::Closed { error, .. } => error.clone(),
            _ => ApiError::new(
                ErrorCode::KeychainLocked,
                "The vault is still being opened. Answer the keychain's question.",
            ),
        })
    }

    /// Passes a call of the webview on to the admin API. Refuses the calls whose answers
    /// hold a secret (there are commands of their own for those), and takes every secret
    /// out of every answer, should there ever be another such call.
    ///
    /// # Errors
    /// When the call is none of the admin API's, or the proxy does not run.
    pub async fn admin_call(&self, call: AdminCall) -> Result<AdminReply, ApiError> {
        let no_path =
            || ApiError::new(ErrorCode::InvalidInput, "This is no path of the admin API.");
        // Judged as the router reads it: the text may mean something else (`#` ends it).
        let uri: Uri = call.path.parse().map_err(|_| no_path())?;
        let path = uri.path();
        let method = match call.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => {
                return Err(ApiError::new(
                    ErrorCode::InvalidInput,
                    "The admin API has no such method.",
                ));
            }
        };
        // No path of the admin API needs an escape, and an escaped one could be another.
        if uri.authority().is_some() || !path.starts_with("/api/") || path.contains('%') {
            return Err(no_path());
        }
        if method == Method::POST && answers_with_a_secret(path) {
            return Err(ApiError::new(
                ErrorCode::InvalidInput,
                "Tokens and other secrets never pass the window; they are copied to the \
                 clipboard instead.",
            ));
        }
        let mut reply = self.ask(method, &uri.to_string(), call.body).await?;
        withhold_secrets(&mut reply.body);
        Ok(reply)
    }

    /// Asks the admin API of the core in this process.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<AdminReply, ApiError> {
        let broken =
            |what: &str| ApiError::new(ErrorCode::Internal, format!("The admin API {what}."));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .map_err(|_| {
                ApiError::new(ErrorCode::InvalidInput, "This is no path of the admin API.")
            })?;
        let router: Router = self.local.admin()?;
        let answer = match router.oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_LIMIT)
            .await
            .map_err(|_| broken("broke off its answer"))?;
        let body = if bytes.is_empty() {
            serde_json::Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .map_err(|_| broken("answered something that is not JSON"))?
        };
        Ok(AdminReply { status, body })
    }
}

/// Whether a POST there is answered with a secret in clear: a new token here or, through
/// its panel, at a remote; a remote's variables; what a remote is used with.
fn answers_with_a_secret(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path == "/api/tokens"
        || path
            .strip_prefix("/api/deploy/remotes/")
            .is_some_and(|rest| {
                ["/variables", "/access", "/api/tokens"]
                    .iter()
                    .any(|end| rest.ends_with(end))
            })
}

/// Takes every `secret` ([`contract::admin::TokenCreated`]) out of an answer. A `secret` that is
/// no text says whether something else is one ([`contract::admin::SettingView::secret`]).
fn withhold_secrets(answer: &mut serde_json::Value) {
    match answer {
        serde_json::Value::Object(fields) => {
            if fields
                .get("secret")
                .is_some_and(serde_json::Value::is_string)
            {
                fields.shift_remove("secret");
            }
            fields.values_mut().for_each(withhold_secrets);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(withhold_secrets),
        _ => {}
    }
}

/// The error of everything that needs a running proxy.
pub fn not_running() -> ApiError {
    ApiError::new(
        ErrorCode::NotRunning,
        "The local service is not running. Start it first.",
    )
}

/// How the window is told why the vault is closed.
fn tell(closed: Closed) -> VaultState {
    let code = match &closed.error {
        OpenError::KeychainMissing(_) => ErrorCode::KeychainMissing,
        OpenError::KeychainLocked(_) => ErrorCode::KeychainLocked,
        OpenError::MasterKeyLost(_) => ErrorCode::MasterKeyLost,
        OpenError::PassphraseNeeded => ErrorCode::PassphraseNeeded,
        OpenError::WrongPassphrase => ErrorCode::WrongPassphrase,
        OpenError::WeakPassphrase => ErrorCode::WeakPassword,
        OpenError::Record { .. } | OpenError::Seal(_) => ErrorCode::Internal,
    };
    VaultState::Closed {
        error: ApiError::new(code, sentence(&closed.error.to_string())),
        passphrase: match closed.passphrase {
            vault::desktop::Passphrase::Set => Passphrase::Set,
            vault::desktop::Passphrase::CanBeChosen => Passphrase::CanBeChosen,
            vault::desktop::Passphrase::NoUse => Passphrase::NoUse,
        },
    }
}

/// An error message as a sentence of its own.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters
        .next()
        .map(|first| {
            format!(
                "{}{}.",
                first.to_uppercase(),
                letters.as_str().trim_end_matches('.')
            )
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
