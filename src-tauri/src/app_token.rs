//! The app's own client token: what "copy the token" and the import links hand out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::admin::{TokenCreate, TokenCreated, TokenRules, TokenView};
use contract::desktop::AdminReply;
use contract::{ApiError, ErrorCode};
use http::Method;
use serde::de::DeserializeOwned;
use vault::Secret;

use crate::desktop::Desktop;
use crate::prefs::SealedToken;

/// What the sealed token belongs to ([`vault::MasterKey::seal`]).
const IDENTITY: &str = "prefs.json/token";
/// What the token is called in the list of tokens.
const NAME: &str = "Gemini Balance app";

impl Desktop {
    /// The app's own token. Made at the first wish for it, and again when the user has
    /// deleted it; it lies in the preferences, sealed with the master key.
    ///
    /// # Errors
    /// When the vault is closed, the proxy does not run, or the database or the
    /// preferences cannot be written.
    pub async fn own_token(&self) -> Result<Secret, ApiError> {
        let _one_at_a_time = self.token.lock().await;
        let master = self.master()?;
        if let Some(kept) = self.prefs.get().token
            && let Ok(sealed) = STANDARD.decode(&kept.sealed)
            && let Ok(token) = master.open(IDENTITY, &sealed)
            && self.token_exists(kept.id).await?
        {
            return Ok(token);
        }
        let created = self
            .create_token(
                &TokenCreate {
                    name: NAME.to_owned(),
                    rules: TokenRules::default(),
                },
                None,
            )
            .await?;
        let secret = Secret::new(created.secret);
        let sealed = master
            .seal(IDENTITY, &secret)
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let kept = SealedToken {
            id: created.token.id,
            sealed: STANDARD.encode(sealed),
        };
        let id = kept.id;
        if let Err(error) = self.prefs.change_for_good(|prefs| prefs.token = Some(kept)) {
            // Nobody could open it after the next start, and that would make another.
            self.delete_token(id, None).await?;
            return Err(ApiError::new(
                ErrorCode::Internal,
                format!(
                    "{} cannot be written ({error}), so the app cannot keep a token of its own. \
                     Make that file writable, or create a token by its name.",
                    self.prefs.path().display()
                ),
            ));
        }
        Ok(secret)
    }

    /// A new client token of this instance, or of a remote.
    ///
    /// # Errors
    /// When the proxy does not run, the wish is not acceptable, the database fails, or the
    /// remote cannot be asked.
    pub async fn create_token(
        &self,
        wish: &TokenCreate,
        remote: Option<i64>,
    ) -> Result<TokenCreated, ApiError> {
        let wish = serde_json::to_value(wish)
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        read(
            self.ask(Method::POST, &tokens_of(remote), Some(wish))
                .await?,
        )
    }

    /// Deletes a client token of this instance, or of a remote.
    ///
    /// # Errors
    /// When the proxy does not run, the database fails, or the remote cannot be asked.
    pub async fn delete_token(&self, id: i64, remote: Option<i64>) -> Result<(), ApiError> {
        let path = format!("{}/{id}", tokens_of(remote));
        let reply = self.ask(Method::DELETE, &path, None).await?;
        if reply.status < 300 {
            Ok(())
        } else {
            read::<()>(reply)
        }
    }

    async fn token_exists(&self, id: i64) -> Result<bool, ApiError> {
        let tokens: Vec<TokenView> = read(self.ask(Method::GET, "/api/tokens", None).await?)?;
        Ok(tokens.iter().any(|token| token.id == id))
    }
}

/// Where the tokens of this instance are, or those of a remote.
fn tokens_of(remote: Option<i64>) -> String {
    match remote {
        None => "/api/tokens".to_owned(),
        Some(id) => format!("/api/deploy/remotes/{id}/panel/api/tokens"),
    }
}

/// The answer as what it should be, or as the error it is.
pub fn read<T: DeserializeOwned>(reply: AdminReply) -> Result<T, ApiError> {
    let unexpected = || {
        ApiError::new(
            ErrorCode::Internal,
            "The admin API answered something unexpected.",
        )
    };
    if reply.status < 300 {
        serde_json::from_value(reply.body).map_err(|_| unexpected())
    } else {
        Err(serde_json::from_value(reply.body).unwrap_or_else(|_| unexpected()))
    }
}
