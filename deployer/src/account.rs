//! Accounts with cloud providers: the credential, and what the provider last told of it.
//!
//! An account is one sealed document. Nothing of it is kept in memory, so two processes on
//! one database see the same.

use contract::deploy::{AccountFacts, AccountNew, AccountView, ProviderKind};
use contract::{ApiError, ErrorCode, Millis};
use proxy_core::store::Store;
use serde::{Deserialize, Serialize};
use vault::Secret;

use crate::document::{self, Numbered, sealed};
use crate::http::address;

/// The longest key or kubeconfig that is taken. A kubeconfig has a few kilobytes.
const LONGEST_SECRET: usize = 256 * 1024;

/// An account as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its number here.
    pub id: i64,
    /// Whose, and how one gets in.
    #[serde(flatten)]
    pub credential: Credential,
    /// What the provider told when it was last asked and answered.
    pub facts: AccountFacts,
    /// When it was last asked.
    pub checked_at: Millis,
    /// When its owner was last known to be signed in to the console: when the credential was
    /// fetched there, or when they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Millis>,
    /// Hours of this month that remotes were awake which are not here any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) spent: Vec<Spent>,
    /// Why it cannot be used, when that is what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ApiError>,
}

/// Hours that were used up by remotes which are not here any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// The workspace whose hours they were; absent where there is only one.
    pub workspace: Option<String>,
    /// When the month began (UTC).
    pub month: Millis,
    /// Milliseconds.
    pub used: Millis,
}

/// What lets one in at a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// Whose.
    pub provider: ProviderKind,
    /// The API key, or the kubeconfig's text.
    #[serde(with = "sealed")]
    pub secret: Secret,
    /// Another address of the API than the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

impl Credential {
    /// What was typed in.
    ///
    /// # Errors
    /// When it cannot be one: empty, far too long, or an address that is none.
    pub fn typed(new: AccountNew) -> Result<Self, ApiError> {
        let refused = |what: &str| Err(ApiError::new(ErrorCode::InvalidInput, what));
        let secret = Secret::from(new.secret.trim());
        drop(Secret::new(new.secret));
        if secret.expose().is_empty() {
            return refused(match new.provider {
                ProviderKind::Render => {
                    "The API key is empty. Make one in Render's account settings, API keys."
                }
                ProviderKind::Koyeb => "The API key is empty. Make one in Koyeb's settings, API.",
                ProviderKind::ClawCloud | ProviderKind::Kubernetes => {
                    "The kubeconfig is empty. Download it in the console, and paste its text."
                }
            });
        }
        if secret.expose().len() > LONGEST_SECRET {
            return refused("This is too long for a key or a kubeconfig.");
        }
        let api = new
            .api
            .map(|api| api.trim().trim_end_matches('/').to_owned());
        if let Some(api) = &api {
            // A key that was typed in is sent there.
            address(api)
                .map_err(|error| ApiError::new(ErrorCode::InvalidInput, error.to_string()))?;
        }
        Ok(Self {
            provider: new.provider,
            secret,
            api,
        })
    }
}

impl Account {
    /// What the panel sees of it.
    pub fn view(&self) -> AccountView {
        AccountView {
            id: self.id,
            provider: self.credential.provider,
            facts: self.facts.clone(),
            checked_at: self.checked_at,
            problem: self.problem.clone(),
        }
    }

    /// All accounts, by number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all(store: &Store) -> Result<Vec<Self>, ApiError> {
        document::all(store).await
    }

    /// One account.
    ///
    /// # Errors
    /// When there is none of that number, or the database cannot be read.
    pub async fn find(store: &Store, id: i64) -> Result<Self, ApiError> {
        document::find(store, id).await?.ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotFound,
                format!("There is no account {id} (any more)."),
            )
        })
    }

    /// Whether the two are the same account, so that the later credential takes the place of
    /// the earlier.
    pub(crate) fn is_same(&self, credential: &Credential, facts: &AccountFacts) -> bool {
        self.credential.provider == credential.provider
            && self.credential.api == credential.api
            && (self.credential.secret == credential.secret
                || (!facts.name.is_empty() && self.facts.name == facts.name))
    }
}

impl Numbered for Account {
    const KIND: &'static str = "account";

    fn id(&self) -> i64 {
        self.id
    }
}
