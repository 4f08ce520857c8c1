//! What hosts hold: the deployer of one database.

use std::sync::{Arc, OnceLock, Weak};

use contract::deploy::{
    AccountNew, AccountView, DatabaseReport, DatabaseWish, DeployFeature, DeployState, MysqlWish,
    ProviderKind,
};
use contract::{ApiError, ErrorCode, Millis};
use jiff::tz::TimeZone;
use proxy_core::Core;
use proxy_core::clock::Clock;
use proxy_core::store::{MysqlConfig, Store, TlsMode, inspect};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vault::Secret;

use crate::account::{Account, Credential};
use crate::claim::Active;
use crate::document;
use crate::instance::Instances;
use crate::koyeb;
use crate::kubernetes;
use crate::provider::{self, Provider, ProviderError};
use crate::record::Record;
use crate::render;
use crate::run::Pause;
use crate::watch::Waking;

/// Makes the provider that an account is with. Tests hand in one that leads to a fake.
pub type Providers = Arc<dyn Fn(&Credential) -> provider::Result<Arc<dyn Provider>> + Send + Sync>;

/// Gives the time zone in force, which may be changed meanwhile.
pub type Zone = Arc<dyn Fn() -> TimeZone + Send + Sync>;

/// The kinds of provider whose accounts this version can use. The panel offers the other places
/// with their texts and links only.
pub const PROVIDERS: [ProviderKind; 4] = [
    ProviderKind::Render,
    ProviderKind::ClawCloud,
    ProviderKind::Kubernetes,
    ProviderKind::Koyeb,
];

/// What this version can do with remotes. The panel shows nothing of the rest.
pub const FEATURES: [DeployFeature; 7] = [
    DeployFeature::Panel,
    DeployFeature::Wake,
    DeployFeature::Drift,
    DeployFeature::Rotate,
    DeployFeature::Move,
    DeployFeature::Route,
    DeployFeature::KeepAlive,
];

/// The providers that this version knows.
pub fn providers() -> Providers {
    Arc::new(|credential| match credential.provider {
        ProviderKind::Render => Ok(Arc::new(render::account(
            credential.secret.clone(),
            credential.api.as_deref(),
        )?)),
        ProviderKind::Koyeb => Ok(Arc::new(koyeb::account(
            credential.secret.clone(),
            credential.api.as_deref(),
        )?)),
        kind @ (ProviderKind::ClawCloud | ProviderKind::Kubernetes) => match credential.api {
            None => Ok(Arc::new(kubernetes::account(kind, &credential.secret)?)),
            Some(_) => Err(ProviderError::Refused(
                "A kubeconfig says itself where the API is. Leave the address empty.".to_owned(),
            )),
        },
    })
}

/// What the deployer lives on.
pub struct Host {
    /// Where it keeps what it knows.
    pub store: Store,
    /// Where the time comes from.
    pub clock: Clock,
    /// What lets time pass, by that clock.
    pub pause: Arc<dyn Pause>,
    /// The time zone in force, for the hours of a local day.
    pub zone: Zone,
    /// What its tasks are on, so that the host waits for them when it ends.
    pub tracker: TaskTracker,
    /// Cancelled when the host ends.
    pub stop: CancellationToken,
    /// The runtime that owns its tasks. Not that of a caller: workers answer the panel, too,
    /// and must not end with a deploy in their hands.
    pub runtime: Handle,
    /// Makes providers.
    pub providers: Providers,
    /// The core whose requests may go through a remote; dangling where none runs.
    pub core: Weak<Core>,
}

/// A deployer. Clones share it.
#[derive(Clone)]
pub struct Deployer {
    inner: Arc<Inner>,
}

struct Inner {
    host: Host,
    /// See [`Deployer::changing`].
    change: Arc<tokio::sync::Mutex<Millis>>,
    active: Active,
    /// Who this process is among others on the same database.
    holder: i64,
    waking: Waking,
    /// Told when there may be something to watch sooner than was thought.
    stir: Notify,
    instances: OnceLock<Instances>,
}

impl Deployer {
    /// A deployer that does nothing yet.
    pub fn new(host: Host) -> Self {
        Self {
            inner: Arc::new(Inner {
                host,
                change: Arc::default(),
                active: Active::default(),
                holder: crate::watch::random(),
                waking: Waking::default(),
                stir: Notify::new(),
                instances: OnceLock::new(),
            }),
        }
    }

    /// Whether something can be kept here, and what is deployed by default.
    pub fn state(&self) -> DeployState {
        let problem = (self.store().sealing() == contract::admin::Sealing::NotStored)
            .then(|| ApiError::from(proxy_core::store::StoreError::NoSealingKey));
        DeployState {
            available: true,
            providers: PROVIDERS.to_vec(),
            features: FEATURES.to_vec(),
            default_image: contract::image::default_image(),
            problem,
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.inner.host
    }

    /// Connections to instances, which share their sessions.
    pub(crate) fn instances(&self) -> Result<Instances, ApiError> {
        if let Some(instances) = self.inner.instances.get() {
            return Ok(instances.clone());
        }
        let new = Instances::new()?;
        Ok(self.inner.instances.get_or_init(|| new).clone())
    }

    pub(crate) fn holder(&self) -> i64 {
        self.inner.holder
    }

    pub(crate) fn active(&self) -> &Active {
        &self.inner.active
    }

    /// The core it lives beside, if one runs.
    pub(crate) fn core(&self) -> Option<Arc<Core>> {
        self.inner.host.core.upgrade()
    }

    pub(crate) fn waking(&self) -> &Waking {
        &self.inner.waking
    }

    /// Has the watch look anew what is due.
    pub(crate) fn stir(&self) {
        self.inner.stir.notify_one();
    }

    /// Returns after the next [`Deployer::stir`].
    pub(crate) async fn stirred(&self) {
        self.inner.stir.notified().await;
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.host.store
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.host.clock
    }

    pub(crate) fn provider(&self, credential: &Credential) -> Result<Arc<dyn Provider>, ApiError> {
        Ok((self.inner.host.providers)(credential)?)
    }

    /// What one task of this process has at a time, with until when the turn for it was last
    /// taken.
    pub(crate) fn change(&self) -> &Arc<tokio::sync::Mutex<Millis>> {
        &self.inner.change
    }

    /// All accounts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<AccountView>, ApiError> {
        let accounts = Account::all(self.store()).await?;
        Ok(accounts.iter().map(Account::view).collect())
    }

    /// Adds an account after asking its provider. One that is there already (the same person
    /// or namespace) gets the new credential: a kubeconfig ends, and what runs there stays.
    ///
    /// # Errors
    /// When the provider does not let it in, or it cannot be kept.
    pub async fn add_account(&self, new: AccountNew) -> Result<AccountView, ApiError> {
        if let Some(problem) = self.state().problem {
            // Before the provider is asked: the key would be lost.
            return Err(problem);
        }
        let credential = Credential::typed(new)?;
        // Nobody was asked yet: what is refused is what was typed in.
        let provider = self
            .provider(&credential)
            .map_err(|error| match error.code {
                ErrorCode::Provider => ApiError::new(ErrorCode::InvalidInput, error.message),
                _ => error,
            })?;
        let facts = provider.probe().await?;
        let _changing = self.changing().await?;
        let accounts = Account::all(self.store()).await?;
        let known = accounts
            .iter()
            .find(|account| account.is_same(&credential, &facts));
        let id = match known {
            Some(account) => account.id,
            None => document::next_number::<Account>(self.store()).await?,
        };
        let account = Account {
            id,
            credential,
            facts,
            checked_at: self.clock().now(),
            // It was fetched in the console.
            signed_in_at: Some(self.clock().now()),
            spent: known.map(|known| known.spent.clone()).unwrap_or_default(),
            problem: None,
        };
        document::save(self.store(), &account).await?;
        Ok(account.view())
    }

    /// Asks an account's provider anew. What is wrong is in the answer; the facts are then
    /// those of the last time.
    ///
    /// # Errors
    /// When there is no such account, or the database cannot be used.
    pub async fn check_account(&self, id: i64) -> Result<AccountView, ApiError> {
        let account = Account::find(self.store(), id).await?;
        let probed = match self.provider(&account.credential) {
            Ok(provider) => provider.probe().await.map_err(ApiError::from),
            Err(error) => Err(error),
        };
        let _changing = self.changing().await?;
        // It may have got another credential, or been removed, meanwhile.
        let mut account = Account::find(self.store(), id).await?;
        account.checked_at = self.clock().now();
        account.problem = match probed {
            Ok(facts) => {
                account.facts = facts;
                None
            }
            Err(error) => Some(error),
        };
        document::save(self.store(), &account).await?;
        Ok(account.view())
    }

    /// Forgets an account; at the provider nothing changes. Gives what it was called.
    ///
    /// # Errors
    /// When remotes use it, there is none, or the database cannot be used.
    pub async fn remove_account(&self, id: i64) -> Result<String, ApiError> {
        let _changing = self.changing().await?;
        let account = Account::find(self.store(), id).await?;
        let records: Vec<Record> = document::all(self.store()).await?;
        let uses = |record: &&Record| {
            let wish = record.wish.as_ref();
            wish.is_some_and(|wish| wish.account == Some(id))
        };
        let users: Vec<&str> = records
            .iter()
            .filter(uses)
            .map(|record| record.name.as_str())
            .collect();
        if !users.is_empty() {
            return Err(ApiError::new(
                ErrorCode::InvalidInput,
                format!(
                    "These remotes use the account: {}. Delete or forget them first.",
                    users.join(", ")
                ),
            ));
        }
        document::remove::<Account>(self.store(), id).await?;
        Ok(account.facts.name)
    }

    /// Looks at a database from this machine, before an instance is sent there.
    ///
    /// # Errors
    /// When it is none that can be asked from here, or what was typed in cannot be right. What
    /// the server says is in the answer.
    pub async fn inspect_database(&self, wish: DatabaseWish) -> Result<DatabaseReport, ApiError> {
        let DatabaseWish::Mysql(wish) = wish else {
            return Err(ApiError::new(
                ErrorCode::InvalidInput,
                "Only a MySQL server can be asked from here; the others are made with the app.",
            ));
        };
        Ok(inspect(&mysql_config(wish)?, self.clock()).await)
    }
}

/// How one gets into the server that was typed in.
///
/// # Errors
/// When it cannot be right.
pub fn mysql_config(wish: MysqlWish) -> Result<MysqlConfig, ApiError> {
    let refused = |what: &str| Err(ApiError::new(ErrorCode::InvalidInput, what));
    let host = wish.host.trim();
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return refused(
            "The host is a name or an address, without mysql:// and without a path, e.g. \
             gateway01.eu-central-1.prod.aws.tidbcloud.com.",
        );
    }
    if wish.user.trim().is_empty() || wish.database.trim().is_empty() {
        return refused("User and database must be given.");
    }
    let Some(tls) = TlsMode::named(&wish.ssl_mode) else {
        return refused(
            "The TLS mode is one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY.",
        );
    };
    let ca = wish.ssl_ca.filter(|ca| !ca.trim().is_empty());
    // A path would be one of this machine, and the remote has other files.
    if ca
        .as_ref()
        .is_some_and(|ca| !ca.contains("-----BEGIN CERTIFICATE-----"))
    {
        return refused(
            "The certificate authority is the text of a PEM file, which begins with \
             -----BEGIN CERTIFICATE-----.",
        );
    }
    Ok(MysqlConfig {
        host: host.to_owned(),
        port: wish.port,
        socket: None,
        user: wish.user.trim().to_owned(),
        password: wish.password.map(Secret::new),
        database: wish.database.trim().to_owned(),
        tls,
        tls_ca: ca,
    })
}
