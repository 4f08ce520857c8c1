//! A remote's admin API, called with types.

use std::collections::BTreeMap;

use contract::admin::{
    ExportFile, ExportRequest, KeyPatch, KeyView, PasswordChange, PasswordConfirm, SettingsChange,
    SettingsReport, SettingsView, TokenPatch, TokenView, TransferReport, TransferRequest,
};
use contract::{ApiError, ErrorCode};
use proxy_core::transfer::{self, Content};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use vault::Secret;

use crate::instance::Instances;
use crate::record::random;
use crate::run::Setback;

/// The admin API of one remote, signed in to with its password.
pub(crate) struct AdminApi {
    pub instances: Instances,
    pub url: String,
    pub password: Secret,
}

type Result<T> = std::result::Result<T, Setback>;

impl AdminApi {
    pub(crate) async fn keys(&self) -> Result<Vec<KeyView>> {
        self.get("/api/keys").await
    }

    pub(crate) async fn switch_key(&self, id: i64, on: bool) -> Result<()> {
        let patch = KeyPatch {
            enabled: Some(on),
            ..KeyPatch::default()
        };
        let path = format!("/api/keys/{id}");
        let changed: Result<KeyView> = self.send(Method::PATCH, &path, &patch).await;
        changed.map(drop)
    }

    pub(crate) async fn delete_key(&self, id: i64) -> Result<()> {
        self.delete(&format!("/api/keys/{id}")).await
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<TokenView>> {
        self.get("/api/tokens").await
    }

    pub(crate) async fn change_token(&self, id: i64, patch: &TokenPatch) -> Result<()> {
        let path = format!("/api/tokens/{id}");
        let changed: Result<TokenView> = self.send(Method::PATCH, &path, patch).await;
        changed.map(drop)
    }

    pub(crate) async fn delete_token(&self, id: i64) -> Result<()> {
        self.delete(&format!("/api/tokens/{id}")).await
    }

    pub(crate) async fn settings(&self) -> Result<SettingsView> {
        self.get("/api/settings").await
    }

    /// Changes settings as they were at `revision`, or says what that would change.
    pub(crate) async fn change_settings(
        &self,
        values: BTreeMap<String, Option<String>>,
        revision: i64,
        dry_run: bool,
    ) -> Result<SettingsReport> {
        let change = SettingsChange {
            values,
            revision,
            dry_run,
        };
        self.send(Method::PATCH, "/api/settings", &change).await
    }

    /// Has it take keys and tokens in, or say which of them it has.
    pub(crate) async fn take(&self, content: &Content, dry_run: bool) -> Result<TransferReport> {
        let text = content.text().map_err(lasting)?;
        let request = TransferRequest {
            text: (*text).clone(),
            passphrase: None,
            dry_run,
        };
        self.send(Method::POST, "/api/transfer/import", &request)
            .await
    }

    /// All that it has, secrets in clear. They travel encrypted once more.
    pub(crate) async fn export(&self) -> Result<Content> {
        self.confirm().await?;
        let passphrase = random().map_err(|error| lasting(error.into()))?;
        let request = ExportRequest {
            passphrase: Some(passphrase.expose().clone()),
        };
        let path = "/api/transfer/export";
        let file: ExportFile = self.send(Method::POST, path, &request).await?;
        let opened = transfer::decrypted(file.text, passphrase).await;
        let text = opened.map_err(lasting)?;
        Content::read(&text).map_err(lasting)
    }

    /// Gives it the password once more, for what it asks that for.
    pub(crate) async fn confirm(&self) -> Result<()> {
        let confirm = PasswordConfirm {
            password: self.password.expose().clone(),
        };
        let path = "/api/account/confirm";
        self.call(Method::POST, path, Some(&confirm))
            .await
            .map(drop)
    }

    /// Replaces the password that was chosen in its panel.
    pub(crate) async fn change_password(&self, new: &Secret) -> Result<()> {
        let change = PasswordChange {
            current: self.password.expose().clone(),
            new: new.expose().clone(),
        };
        let path = "/api/account/password";
        self.call(Method::POST, path, Some(&change)).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let said = self.call(Method::GET, path, None::<&()>).await?;
        self.read(&said)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let said = self.call(method, path, Some(body)).await?;
        self.read(&said)
    }

    async fn delete(&self, path: &str) -> Result<()> {
        match self.call(Method::DELETE, path, None::<&()>).await {
            // Somebody was faster.
            Err(setback) if setback.error.code == ErrorCode::NotFound => Ok(()),
            done => done.map(drop),
        }
    }

    fn read<T: DeserializeOwned>(&self, said: &[u8]) -> Result<T> {
        serde_json::from_slice(said).map_err(|_| {
            let what = format!(
                "{} answers in another way than this version understands. Deploy it anew, or \
                 update this program.",
                self.url
            );
            lasting(ApiError::new(ErrorCode::Unreachable, what))
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Vec<u8>> {
        let body = match body.map(serde_json::to_string).transpose() {
            Ok(body) => body.map(Secret::new),
            Err(error) => {
                let error = ApiError::new(ErrorCode::Internal, error.to_string());
                return Err(lasting(error));
            }
        };
        let bytes = body.as_ref().map(|body| body.expose().as_bytes());
        let asked = self
            .instances
            .ask(&self.url, &self.password, method, path, bytes);
        let said = asked.await?;
        match said.setback(&self.url) {
            Some(setback) => Err(setback),
            None => Ok(said.body),
        }
    }
}

/// What waiting does not mend.
pub(crate) fn lasting(error: ApiError) -> Setback {
    Setback {
        error,
        may_pass: false,
    }
}
