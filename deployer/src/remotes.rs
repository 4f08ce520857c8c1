//! What is done with remotes: kept, planned, stopped, deleted. How they are is found out in
//! [`crate::watch`].
//!
//! A remote is one document, read anew for every call, and changed under a lock of the
//! deployer, so that no change is lost. While a run is under way, it alone changes the document
//! (`Deployer::still`).

use std::sync::Arc;

use contract::deploy::{
    ApplyWish, DeployView, ImageProgram, ImageQuestion, ImageView, KeepAlive, LogPage, PlanView,
    ProviderKind, PushWish, RemoteAccess, RemoteAction, RemoteAdd, RemoteEvent, RemoteState,
    RemoteView, RemoteWish, Usage, VariableView, VariablesFormat, VariablesText,
};
use contract::{ApiError, ErrorCode};
use vault::Secret;

use crate::account::Account;
use crate::claim::elsewhere;
use crate::deployer::Deployer;
use crate::document;
use crate::image;
use crate::instance::Said;
use crate::plan::{self, Context, Plan};
use crate::provider::{Desired, Observed, Power, Provider, ProviderError, Target};
use crate::record::{Awake, Next, Record, Secrets, Watched};
use crate::run::{self, RemoteApi as _};
use crate::variables::{self, Variables};
use crate::watch::keep_spent;
use crate::wish::{Database, Wish, invalid};

/// The longest name of a remote that was added by its address, in characters.
const LONGEST_NAME: usize = 60;

/// The app of a remote at its provider.
pub(crate) struct At {
    pub(crate) provider: Arc<dyn Provider>,
    /// What the provider calls it.
    pub(crate) id: String,
}

impl Deployer {
    /// All remotes, by number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn remotes(&self) -> Result<Vec<RemoteView>, ApiError> {
        let around = self.around().await?;
        let view = |record| self.view_among(record, &around);
        Ok(around.records.iter().map(view).collect())
    }

    /// One remote.
    ///
    /// # Errors
    /// When there is none of that number, or the database cannot be read.
    pub async fn remote(&self, id: i64) -> Result<RemoteView, ApiError> {
        let around = self.around().await?;
        let record = around.records.iter().find(|record| record.id == id);
        let record = record.ok_or_else(|| no_remote(id))?;
        Ok(self.view_among(record, &around))
    }

    /// A draft with secrets of its own.
    ///
    /// # Errors
    /// When the wish cannot be right, the name is taken here, or it cannot be kept.
    pub async fn create_remote(&self, wish: RemoteWish) -> Result<RemoteView, ApiError> {
        let wish = Wish::checked(wish, None)?;
        let _changing = self.changing().await?;
        let provider = self.provider_kind(&wish).await?;
        let id = self.new_id(&wish.name).await?;
        let record = Record {
            provider,
            keep_alive: wish.keep_alive.clone(),
            ..self.blank(id, &wish.name, Secrets::random()?)
        };
        let record = Record {
            wish: Some(wish),
            ..record
        };
        document::save(self.store(), &record).await?;
        self.view(&record).await
    }

    /// One that runs already, wherever. It is signed in to first.
    ///
    /// # Errors
    /// When it does not answer, does not accept the password, or cannot be kept.
    pub async fn add_remote(&self, add: RemoteAdd) -> Result<RemoteView, ApiError> {
        let password = Secret::new(add.password);
        let name = add.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(invalid(format!(
                "Give it a name of at most {LONGEST_NAME} characters."
            )));
        }
        if let Some(problem) = self.state().problem {
            return Err(problem);
        }
        let url = address(&add.url)?;
        self.sign_in(&url, &password).await?;
        let _changing = self.changing().await?;
        let id = self.new_id(&name).await?;
        let record = Record {
            url: Some(url),
            state: RemoteState::Running,
            checked_at: Some(self.clock().now()),
            ..self.blank(id, &name, Secrets::known(password))
        };
        document::save(self.store(), &record).await?;
        self.view(&record).await
    }

    /// Changes what a remote should be; what is there changes with the next run.
    ///
    /// # Errors
    /// When the wish cannot be right, another name or account is wished for something that is
    /// there, a run is under way, or it cannot be kept.
    pub async fn change_wish(&self, id: i64, wish: RemoteWish) -> Result<RemoteView, ApiError> {
        let _changing = self.changing().await?;
        let mut record = self.still(id).await?;
        let known = record.wish.as_ref().ok_or_else(not_ours)?;
        let wish = Wish::checked(wish, Some(known))?;
        let moved = wish.account != known.account
            || wish.workspace != known.workspace
            || wish.name != known.name;
        if record.remote_id.is_some() && moved {
            return Err(invalid(
                "Name, account and workspace of something that is there stay as they are. Move \
                 it instead, which makes another one first.",
            ));
        }
        if wish.name != record.name {
            self.new_id(&wish.name).await?;
        }
        record.provider = self.provider_kind(&wish).await?;
        record.name.clone_from(&wish.name);
        record.keep_alive = wish.keep_alive.clone();
        record.wish_for(wish);
        if record
            .run
            .as_ref()
            .is_some_and(|run| run.current().is_some())
        {
            // Its steps are those of another wish. What it made is found when it is planned anew.
            record.run = None;
        }
        document::save(self.store(), &record).await?;
        self.view(&record).await
    }

    /// A remote's variables, secrets masked.
    ///
    /// # Errors
    /// When it has no wish, or the database cannot be read.
    pub async fn variables(&self, id: i64) -> Result<Vec<VariableView>, ApiError> {
        let record = self.record(id).await?;
        let wish = record.wish.as_ref().ok_or_else(not_ours)?;
        let all = self.variables_of(&record, wish).await?;
        Ok(variables::shown(&all))
    }

    /// A text with a remote's variables, secrets in clear.
    ///
    /// # Errors
    /// When it has no wish, or the database cannot be read.
    pub async fn variables_text(
        &self,
        id: i64,
        format: VariablesFormat,
    ) -> Result<VariablesText, ApiError> {
        let record = self.record(id).await?;
        let wish = record.wish.as_ref().ok_or_else(not_ours)?;
        let all = self.variables_of(&record, wish).await?;
        let (text, file) = variables::text(format, wish, &image_of(wish), &all);
        Ok(VariablesText {
            text: text.expose().clone(),
            file_name: file.to_owned(),
        })
    }

    /// What a remote is used with, in clear.
    ///
    /// # Errors
    /// When it is nowhere yet, or the database cannot be read.
    pub async fn access(&self, id: i64) -> Result<RemoteAccess, ApiError> {
        let record = self.record(id).await?;
        let url = record.url.clone().ok_or_else(nowhere)?;
        let known = &record.secrets.auth_token;
        let password = match *record.passwords() {
            [_] => known.clone(),
            // One of several is in force, which only it can tell.
            _ => match self.password_of(&record, &url).await {
                Ok(password) => password,
                Err(_) => known.clone(),
            },
        };
        let some = |secret: &Secret| (!secret.expose().is_empty()).then(|| secret.expose().clone());
        Ok(RemoteAccess {
            token: some(&record.secrets.client_token),
            password: some(&password),
            url,
        })
    }

    /// Looks an image up in its registry.
    ///
    /// # Errors
    /// When it does not exist for the platform, or cannot be looked up.
    pub async fn inspect_image(&self, question: ImageQuestion) -> Result<ImageView, ApiError> {
        let found = image::Registry::new()?.look(&question.image).await;
        found.map_err(|setback| setback.error)
    }

    /// What a run would do.
    ///
    /// # Errors
    /// When it has no account, the image cannot be looked up, or its provider cannot be asked.
    pub async fn plan(&self, id: i64) -> Result<PlanView, ApiError> {
        let record = self.record(id).await?;
        let wish = record.wish.as_ref().ok_or_else(not_ours)?;
        let provider = self.provider_of(wish).await?;
        let mut desired = self.desired(&record, wish).await?;
        pin(&mut desired).await?;
        let observed = provider.observe(&target(&record)).await?;
        let plan = planned(&record, wish, &desired, observed.as_ref(), false);
        Ok(PlanView {
            steps: plan.steps,
            stays: plan.stays,
            foreign: plan.foreign,
            cost: provider.cost(&desired),
        })
    }

    /// Does something with a remote.
    ///
    /// # Errors
    /// When it cannot be done now, or its provider refuses.
    pub async fn act(&self, id: i64, action: RemoteAction) -> Result<RemoteView, ApiError> {
        match action {
            RemoteAction::Refresh => Box::pin(self.refresh(id)).await,
            RemoteAction::Restart => Box::pin(self.power(id, Power::Restart)).await,
            RemoteAction::Suspend => Box::pin(self.power(id, Power::Suspend)).await,
            RemoteAction::Resume => Box::pin(self.power(id, Power::Resume)).await,
            RemoteAction::Redeploy { image } => Box::pin(self.redeploy(id, image)).await,
            RemoteAction::RollBack { deploy } => {
                let record = self.still(id).await?;
                let at = self.at(&record).await?;
                at.provider.roll_back(&at.id, &deploy).await?;
                Box::pin(self.refresh(id)).await
            }
            RemoteAction::Adopt => {
                let _changing = self.changing().await?;
                let mut record = self.still(id).await?;
                record.adopted = true;
                document::save(self.store(), &record).await?;
                self.view(&record).await
            }
            RemoteAction::SignedIn => Box::pin(self.signed_in(id)).await,
            RemoteAction::Locate { url } => Box::pin(self.locate(id, &url)).await,
            RemoteAction::Delete { name } => {
                let gone = Box::pin(self.delete(id, &name)).await?;
                self.leave_route(id).await?;
                Ok(gone)
            }
            RemoteAction::Forget => {
                let _changing = self.changing().await?;
                let record = self.still(id).await?;
                self.remove(&record).await?;
                self.leave_route(id).await?;
                self.view(&record).await
            }
        }
    }

    /// Asks a remote's own admin API something, signed in with what is known of it.
    ///
    /// # Errors
    /// When it is nowhere yet, does not answer, or cannot be signed in to.
    pub(crate) async fn ask_remote(
        &self,
        id: i64,
        method: reqwest::Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Said, ApiError> {
        let record = self.record(id).await?;
        let url = record.url.clone().ok_or_else(nowhere)?;
        let password = self.password_of(&record, &url).await?;
        let instances = self.instances()?;
        let said = instances.ask(&url, &password, method, path, body).await;
        said.map_err(|setback| setback.error)
    }

    /// Gives a remote its password once more, for what it asks that for.
    pub(crate) async fn confirm_remote(&self, id: i64) -> Result<(), ApiError> {
        let record = self.record(id).await?;
        let url = record.url.clone().ok_or_else(nowhere)?;
        let password = self.password_of(&record, &url).await?;
        let body = serde_json::json!({ "password": password.expose() }).to_string();
        let body = Secret::new(body);
        let path = "/api/account/confirm";
        let body = Some(body.expose().as_bytes());
        let said = self
            .ask_remote(id, reqwest::Method::POST, path, body)
            .await?;
        said.error().map_or(Ok(()), Err)
    }

    async fn power(&self, id: i64, power: Power) -> Result<RemoteView, ApiError> {
        let record = self.still(id).await?;
        let at = self.at(&record).await?;
        at.provider.power(&at.id, power).await?;
        Box::pin(self.refresh(id)).await
    }

    /// Has the newest image of its tag run, or another one.
    async fn redeploy(&self, id: i64, image: Option<String>) -> Result<RemoteView, ApiError> {
        if let Some(image) = image.filter(|image| !image.trim().is_empty()) {
            image::parse(&image)?;
            let _changing = self.changing().await?;
            let mut record = self.still(id).await?;
            let wish = record.wish.as_mut().ok_or_else(not_ours)?;
            wish.image = Some(image.trim().to_owned());
            document::save(self.store(), &record).await?;
        }
        self.begin(id, ApplyWish::default(), true).await?;
        self.remote(id).await
    }

    /// Notes where a draft answers that the user has put there by hand.
    async fn locate(&self, id: i64, url: &str) -> Result<RemoteView, ApiError> {
        let url = address(url)?;
        let not_by_hand = |record: &Record| match record.remote_id {
            None => Ok(()),
            Some(_) => Err(invalid(
                "It was put there by this program, which knows its address.",
            )),
        };
        let record = self.still(id).await?;
        not_by_hand(&record)?;
        self.sign_in(&url, &record.secrets.auth_token).await?;
        let _changing = self.changing().await?;
        // A run may have begun, and ended, meanwhile.
        let mut record = self.still(id).await?;
        not_by_hand(&record)?;
        let now = self.clock().now();
        record.url = Some(url);
        record.checked_at = Some(now);
        record.watched.began_at = Some(now);
        record.became(RemoteState::Running, now);
        document::save(self.store(), &record).await?;
        self.view(&record).await
    }

    /// Deletes it at the provider, and here.
    async fn delete(&self, id: i64, typed: &str) -> Result<RemoteView, ApiError> {
        let (claim, mut record) = self.claim(id).await?;
        if typed.trim() != record.name {
            return Err(invalid(format!(
                "To delete it with its data, type its name: {}.",
                record.name
            )));
        }
        if let (Some(url), None) = (&record.url, &record.remote_id) {
            return Err(invalid(format!(
                "It runs at {url}, where this program did not put it. Delete it in its host's \
                 console, then forget it here."
            )));
        }
        if let Some(at) = self.made(&record).await? {
            match claim.hold(at.provider.delete(&at.id)).await {
                Some(Ok(()) | Err(ProviderError::NotFound(_))) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(elsewhere()),
            }
        }
        self.remove(&record).await?;
        record.became(RemoteState::Gone, self.clock().now());
        self.view(&record).await
    }

    /// Forgets it, but not what it has used up of its account's hours.
    async fn remove(&self, record: &Record) -> Result<(), ApiError> {
        if let Some(account) = record.wish.as_ref().and_then(|wish| wish.account) {
            let now = self.clock().now();
            let note = |account: &mut Account| keep_spent(account, record, now);
            document::change(self.store(), account, note).await?;
        }
        document::remove::<Record>(self.store(), record.id).await
    }

    /// Signs in to an instance and forgets the session.
    async fn sign_in(&self, url: &str, password: &Secret) -> Result<(), ApiError> {
        let signed_in = self.instances()?.sign_in(url, password).await;
        signed_in.map_err(|setback| setback.error)
    }

    /// The latest deploys, newest first.
    ///
    /// # Errors
    /// When it is nowhere yet, or its provider cannot be asked.
    pub async fn deploys(&self, id: i64) -> Result<Vec<DeployView>, ApiError> {
        let at = self.at(&self.record(id).await?).await?;
        Ok(at.provider.deploys(&at.id).await?)
    }

    /// Lines of its log after `cursor`, or the latest, without the secrets that are known here.
    ///
    /// # Errors
    /// When it is nowhere yet, or its provider cannot be asked.
    pub async fn logs(&self, id: i64, cursor: Option<&str>) -> Result<LogPage, ApiError> {
        let record = self.record(id).await?;
        let at = self.at(&record).await?;
        let mut page = at.provider.logs(&at.id, cursor).await?;
        let secrets = self.secrets_of(&record).await?;
        for line in &mut page.lines {
            line.text = run::scrub(std::mem::take(&mut line.text), &secrets);
        }
        Ok(page)
    }

    /// What happened to it lately, newest first, without the secrets that are known here.
    ///
    /// # Errors
    /// When it is nowhere yet, or its provider cannot be asked.
    pub async fn events(&self, id: i64) -> Result<Vec<RemoteEvent>, ApiError> {
        let record = self.record(id).await?;
        let at = self.at(&record).await?;
        let mut events = at.provider.events(&at.id).await?;
        let secrets = self.secrets_of(&record).await?;
        for event in &mut events {
            event.text = run::scrub(std::mem::take(&mut event.text), &secrets);
        }
        Ok(events)
    }

    /// Everything that must not be told of a remote: its secrets, and the keys that it gets.
    async fn secrets_of(&self, record: &Record) -> Result<Vec<Secret>, ApiError> {
        let mut secrets = record.known_secrets();
        if let Some(wish) = &record.wish {
            secrets.extend(self.keys_of(wish).await?);
        }
        Ok(secrets)
    }

    /// What it uses.
    ///
    /// # Errors
    /// When it is nowhere yet, or its provider cannot be asked.
    pub async fn usage(&self, id: i64) -> Result<Usage, ApiError> {
        let at = self.at(&self.record(id).await?).await?;
        Ok(at.provider.usage(&at.id).await?)
    }

    pub(crate) async fn record(&self, id: i64) -> Result<Record, ApiError> {
        let found = document::find(self.store(), id).await?;
        found.ok_or_else(|| no_remote(id))
    }

    /// A number for a remote of a name that no other has.
    pub(crate) async fn new_id(&self, name: &str) -> Result<i64, ApiError> {
        let records: Vec<Record> = document::all(self.store()).await?;
        if records.iter().any(|record| record.name == name) {
            return Err(ApiError::new(
                ErrorCode::NameTaken,
                format!("There is a remote called {name} here already. Choose another name."),
            ));
        }
        document::next_number::<Record>(self.store()).await
    }

    pub(crate) fn blank(&self, id: i64, name: &str, secrets: Secrets) -> Record {
        Record {
            id,
            name: name.to_owned(),
            provider: None,
            wish: None,
            secrets,
            next: Next::default(),
            fed: PushWish::default(),
            remote_id: None,
            url: None,
            console_url: None,
            image: None,
            adopted: false,
            state: RemoteState::Draft,
            state_since: self.clock().now(),
            health: None,
            checked_at: None,
            keep_alive: KeepAlive::default(),
            awake: Awake::default(),
            watched: Watched::default(),
            run: None,
        }
    }

    /// Whose account a wish is for.
    pub(crate) async fn provider_kind(
        &self,
        wish: &Wish,
    ) -> Result<Option<ProviderKind>, ApiError> {
        let Some(account) = wish.account else {
            return Ok(None);
        };
        let account = Account::find(self.store(), account).await?;
        Ok(Some(account.credential.provider))
    }

    /// The app of a remote at its provider.
    pub(crate) async fn at(&self, record: &Record) -> Result<At, ApiError> {
        let id = record.remote_id.clone().ok_or_else(nowhere)?;
        let wish = record.wish.as_ref().ok_or_else(not_ours)?;
        let provider = self.provider_of(wish).await?;
        Ok(At { provider, id })
    }

    /// What was made of a remote, also by a run that broke off before it was noted.
    async fn made(&self, record: &Record) -> Result<Option<At>, ApiError> {
        if record.remote_id.is_some() {
            return self.at(record).await.map(Some);
        }
        // A run whose wish was changed is forgotten, but the state tells of it.
        let was_begun = record.run.is_some() || record.state != RemoteState::Draft;
        let tried = record.wish.as_ref().filter(|_| was_begun);
        let Some(wish) = tried.filter(|wish| wish.account.is_some()) else {
            return Ok(None);
        };
        let provider = self.provider_of(wish).await?;
        let found = provider.observe(&target(record)).await?;
        let is_ours = |there: &Observed| there.is_ours || record.adopted;
        Ok(found.filter(is_ours).map(|there| At {
            id: there.id,
            provider,
        }))
    }

    pub(crate) async fn provider_of(&self, wish: &Wish) -> Result<Arc<dyn Provider>, ApiError> {
        let no_account = || invalid("It has no account to run on. Choose one first.");
        let account = wish.account.ok_or_else(no_account)?;
        let account = Account::find(self.store(), account).await?;
        self.provider(&account.credential)
    }

    /// The keys that a remote gets. One that was deleted here goes there with the next run.
    pub(crate) async fn keys_of(&self, wish: &Wish) -> Result<Vec<Secret>, ApiError> {
        let stored = self.store().keys().await?;
        let key = |id: &i64| stored.iter().find(|key| key.id == *id);
        let keys = wish.keys.iter().filter_map(key);
        Ok(keys.map(|key| key.secret.clone()).collect())
    }

    /// The variables of a remote, with the keys that it gets.
    async fn variables_of(&self, record: &Record, wish: &Wish) -> Result<Variables, ApiError> {
        let keys = self.keys_of(wish).await?;
        let program = program_of(wish)?;
        let (wish, secrets) = (record.next_wish(wish), record.next_secrets());
        let all = variables::variables(&wish, &secrets, &keys, program, record.provider);
        Ok(all)
    }

    /// What the app should be. Its image is the one of the wish, not looked up yet.
    pub(crate) async fn desired(&self, record: &Record, wish: &Wish) -> Result<Desired, ApiError> {
        let variables = self.variables_of(record, wish).await?.into_iter();
        Ok(Desired {
            name: wish.name.clone(),
            workspace: wish.workspace.clone(),
            region: wish.region.clone(),
            plan: wish.plan.clone(),
            image: image_of(wish),
            image_tag: image_of(wish),
            variables: variables
                .map(|(name, variable)| (name, variable.value))
                .collect(),
            data: wish.data(),
            over: false,
        })
    }
}

fn no_remote(id: i64) -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        format!("There is no remote {id} (any more)."),
    )
}

pub(crate) fn nowhere() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "It is nowhere yet. Deploy it first.")
}

/// Which program a wish is for, as far as its image tells.
pub(crate) fn program_of(wish: &Wish) -> Result<ImageProgram, ApiError> {
    Ok(image::program(&image::parse(&image_of(wish))?))
}

/// The image that was wished for, or the default.
pub(crate) fn image_of(wish: &Wish) -> String {
    wish.image
        .clone()
        .unwrap_or_else(contract::image::default_image)
}

/// Pins the image by its content, as far as the registry answers now; a run asks again.
pub(crate) async fn pin(desired: &mut Desired) -> Result<(), ApiError> {
    let reference = image::parse(&desired.image_tag)?;
    if let Ok(found) = image::Registry::new()?.look(&desired.image_tag).await {
        desired.image = image::pinned(&reference, &found.digest);
    }
    Ok(())
}

/// What has to be done for a remote.
pub(crate) fn planned(
    record: &Record,
    wish: &Wish,
    desired: &Desired,
    observed: Option<&Observed>,
    again: bool,
) -> Plan {
    let context = Context {
        made: record.remote_id.as_deref(),
        adopted: record.adopted,
        checks_database: matches!(wish.database, Database::Mysql(_)),
        has_keys: !wish.keys.is_empty(),
        again,
        is_original: program_of(wish) == Ok(ImageProgram::Original),
        replaces: record.next.replaced(),
    };
    plan::plan(desired, observed, &context)
}

/// How a provider finds the app of a remote.
pub(crate) fn target(record: &Record) -> Target {
    Target {
        name: record.name.clone(),
        workspace: record.wish.as_ref().and_then(|wish| wish.workspace.clone()),
        id: record.remote_id.clone(),
    }
}

/// The address of an instance, without what follows the host.
fn address(text: &str) -> Result<String, ApiError> {
    let refused = || {
        invalid(
            "The address is that of the instance alone, e.g. https://name.onrender.com, without \
             a path behind it.",
        )
    };
    let url = reqwest::Url::parse(text.trim()).map_err(|_| refused())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none();
    match is_plain {
        true => Ok(url.origin().ascii_serialization()),
        false => Err(refused()),
    }
}

pub(crate) fn not_ours() -> ApiError {
    invalid("It was added by its address, so what it should be is not known here.")
}
