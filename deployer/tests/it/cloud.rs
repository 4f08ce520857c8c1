//! A cloud in memory: no protocol, but real instances. What is deployed is a core of this
//! process with the variables that it was given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::admin::Sealing;
use contract::deploy::{
    AccountFacts, Choice, Cost, DeployProgress, DeployView, LogPage, RemoteEvent, RunLine, Usage,
};
use deployer::Providers;
use deployer::provider::{
    Desired, Observed, Power, Provider, ProviderError, ProviderState, Result, Target, Value,
};
use parking_lot::Mutex;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, Running};
use tempfile::TempDir;
use vault::{MasterKey, Secret};

/// The key that the cloud accepts at first.
pub const KEY: &str = "rnd_0123456789abcdefghijklmn";

/// The cloud. Clones are the same.
#[derive(Clone)]
pub struct Cloud {
    state: Arc<Mutex<State>>,
    /// Held while an instance starts or ends.
    instances: Arc<tokio::sync::Mutex<BTreeMap<String, Instance>>>,
}

#[derive(Default)]
struct State {
    keys: BTreeSet<String>,
    probes: u32,
    /// Where instances find Google.
    google: String,
    apps: BTreeMap<String, App>,
    calls: Vec<String>,
    faults: Vec<(&'static str, ProviderError)>,
    /// What calls answer although they are carried out.
    lost: Vec<(&'static str, ProviderError)>,
    /// Deploys stay under way.
    held: bool,
    /// Variables come with a deploy only.
    deploys_variables: bool,
}

#[derive(Clone)]
struct App {
    observed: Observed,
    deploys: Vec<(String, DeployProgress, String)>,
}

struct Instance {
    running: Running,
    _data: TempDir,
}

impl Cloud {
    pub fn new() -> Self {
        let state = State {
            keys: BTreeSet::from([KEY.to_owned()]),
            google: "http://127.0.0.1:1/v1beta".to_owned(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            instances: Arc::default(),
        }
    }

    /// The same, whose instances find Google there.
    #[must_use]
    pub fn with_google(self, base_url: &str) -> Self {
        self.state.lock().google = base_url.to_owned();
        self
    }

    pub fn providers(&self) -> Providers {
        let cloud = self.clone();
        Arc::new(move |credential| {
            Ok(Arc::new(Account {
                cloud: cloud.clone(),
                key: credential.secret.clone(),
            }))
        })
    }

    /// Another key is good, too.
    pub fn accept(&self, key: &str) {
        self.state.lock().keys.insert(key.to_owned());
    }

    /// No key is good any more.
    pub fn refuse_all(&self) {
        self.state.lock().keys.clear();
    }

    /// How often somebody asked who an account is.
    pub fn probes(&self) -> u32 {
        self.state.lock().probes
    }

    /// The next call of this name fails.
    pub fn fail(&self, call: &'static str, error: ProviderError) {
        self.state.lock().faults.push((call, error));
    }

    /// The next call of this name is carried out, and answers this.
    pub fn lose(&self, call: &'static str, error: ProviderError) {
        self.state.lock().lost.push((call, error));
    }

    /// What a variable of an app says there.
    pub fn variable(&self, app: &str, name: &str) -> Option<String> {
        let state = self.state.lock();
        let app = state.app(&format!("srv-{app}")).ok()?;
        let value = app.observed.variables.get(name)?.as_ref()?;
        Some(value.expose().clone())
    }

    /// Somebody changes a variable in the cloud's console.
    pub fn set_variable(&self, app: &str, name: &str, value: &str) {
        let mut state = self.state.lock();
        let app = state.app_mut(&format!("srv-{app}")).unwrap();
        let variables = &mut app.observed.variables;
        variables.insert(name.to_owned(), Some(value.into()));
    }

    /// From now on variables come with a deploy only.
    pub fn take_variables_with_deploys(&self) {
        self.state.lock().deploys_variables = true;
    }

    /// Deploys stay under way until [`Cloud::release`].
    pub fn hold(&self) {
        self.state.lock().held = true;
    }

    pub fn release(&self) {
        self.state.lock().held = false;
    }

    /// All calls that changed something, by name.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().calls.clone()
    }

    /// The names of all apps.
    pub fn apps(&self) -> Vec<String> {
        let state = self.state.lock();
        state
            .apps
            .values()
            .map(|app| app.observed.name.clone())
            .collect()
    }

    /// An app that somebody else has made.
    pub fn put_foreign(&self, name: &str) {
        let observed = Observed {
            is_ours: false,
            ..observed(&format!("srv-{name}"), name)
        };
        let app = App {
            observed,
            deploys: Vec::new(),
        };
        self.state.lock().apps.insert(format!("srv-{name}"), app);
    }

    /// What an attempt left whose end nobody noted.
    pub fn put_parts(&self, name: &str) {
        let observed = Observed {
            state: ProviderState::Partial,
            ..observed(&format!("srv-{name}"), name)
        };
        let app = App {
            observed,
            deploys: Vec::new(),
        };
        self.state.lock().apps.insert(format!("srv-{name}"), app);
    }

    /// Has the app run with what was set, as the cloud's machines would.
    async fn run(&self, id: &str) -> Result<()> {
        let (variables, google) = {
            let state = self.state.lock();
            (
                state.app(id)?.observed.variables.clone(),
                state.google.clone(),
            )
        };
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().display().to_string();
        let settings = Settings::load(|name| match name {
            "HOST" => Some("127.0.0.1".to_owned()),
            "PORT" => Some("0".to_owned()),
            "DATA_DIR" => Some(folder.clone()),
            "BASE_URL" => Some(google.clone()),
            name => variables
                .get(name)
                .and_then(|value| value.as_ref())
                .map(|value| value.expose().clone()),
        })
        .map_err(|errors| ProviderError::Refused(format!("{errors:?}")))?;
        let running = proxy_core::start(CoreConfig {
            settings,
            on_settings: None,
            master: MasterKey::from_bytes([9; 32]),
            sealing: Sealing::SecretKey,
            clock: Clock::system(),
            panel: None,
            extend: None,
        })
        .await
        .unwrap();
        let url = running.address();
        let mut instances = self.instances.lock().await;
        let instance = Instance {
            running,
            _data: data,
        };
        if let Some(old) = instances.insert(id.to_owned(), instance) {
            old.running.shutdown(Duration::ZERO).await;
        }
        drop(instances);
        let mut state = self.state.lock();
        let app = state.app_mut(id)?;
        app.observed.url = Some(url);
        app.observed.state = ProviderState::Running;
        Ok(())
    }

    async fn halt(&self, id: &str) {
        if let Some(old) = self.instances.lock().await.remove(id) {
            old.running.shutdown(Duration::ZERO).await;
        }
    }
}

fn observed(id: &str, name: &str) -> Observed {
    Observed {
        id: id.to_owned(),
        name: name.to_owned(),
        is_ours: true,
        url: None,
        console_url: Some(format!("https://cloud.example/{id}")),
        image: None,
        variables: BTreeMap::new(),
        region: None,
        plan: None,
        data: deployer::provider::Data::Elsewhere,
        state: ProviderState::Starting,
        deploy: None,
    }
}

impl State {
    fn app(&self, id: &str) -> Result<&App> {
        let gone = || ProviderError::NotFound(format!("not found: {id}"));
        self.apps.get(id).ok_or_else(gone)
    }

    fn app_mut(&mut self, id: &str) -> Result<&mut App> {
        let gone = || ProviderError::NotFound(format!("not found: {id}"));
        self.apps.get_mut(id).ok_or_else(gone)
    }
}

struct Account {
    cloud: Cloud,
    key: Secret,
}

impl Account {
    /// Whether the call is let in, and does not fail on demand.
    fn called(&self, call: &'static str, changes: bool) -> Result<()> {
        let mut state = self.cloud.state.lock();
        if !state.keys.contains(self.key.expose()) {
            return Err(ProviderError::Unauthorized("Unauthorized".to_owned()));
        }
        if changes {
            state.calls.push(call.to_owned());
        }
        let fault = state.faults.iter().position(|(at, _)| *at == call);
        match fault {
            Some(at) => Err(state.faults.remove(at).1),
            None => Ok(()),
        }
    }

    fn begin_deploy(&self, id: &str, image: &str) -> Result<String> {
        let mut state = self.cloud.state.lock();
        let app = state.app_mut(id)?;
        let deploy = format!("dep-{}", app.deploys.len() + 1);
        for (_, progress, _) in &mut app.deploys {
            *progress = DeployProgress::Replaced;
        }
        let underway = DeployProgress::UnderWay {
            detail: "update_in_progress".to_owned(),
        };
        app.deploys
            .push((deploy.clone(), underway, image.to_owned()));
        app.observed.image = Some(image.to_owned());
        app.observed.deploy = Some(deploy.clone());
        Ok(deploy)
    }
}

fn variables(desired: &Desired) -> BTreeMap<String, Option<Secret>> {
    let text = |value: &Value| match value {
        Value::Plain(text) => Secret::from(text.as_str()),
        Value::Secret(secret) => secret.clone(),
        Value::FromDatabase(_) => Secret::from("from the database"),
    };
    let variables = desired.variables.iter();
    variables
        .map(|(name, value)| (name.clone(), Some(text(value))))
        .collect()
}

#[async_trait]
impl Provider for Account {
    async fn probe(&self) -> Result<AccountFacts> {
        self.cloud.state.lock().probes += 1;
        self.called("probe", false)?;
        let choice = |id: &str| Choice {
            id: id.to_owned(),
            name: id.to_owned(),
        };
        Ok(AccountFacts {
            name: "me@example.com".to_owned(),
            workspaces: vec![choice("tea-1")],
            regions: vec![choice("singapore")],
            plans: vec![choice("free"), choice("starter")],
            ..AccountFacts::default()
        })
    }

    async fn observe(&self, target: &Target) -> Result<Option<Observed>> {
        self.called("observe", false)?;
        let state = self.cloud.state.lock();
        let mut apps = state.apps.values();
        let found = apps.find(|app| match &target.id {
            Some(id) => app.observed.id == *id,
            None => app.observed.name == target.name,
        });
        Ok(found.map(|app| app.observed.clone()))
    }

    async fn create_database(&self, _: &Desired) -> Result<bool> {
        self.called("create_database", true)?;
        Ok(true)
    }

    async fn create(&self, desired: &Desired) -> Result<Observed> {
        self.called("create", true)?;
        let id = format!("srv-{}", desired.name);
        let app = App {
            observed: Observed {
                variables: variables(desired),
                region: desired.region.clone(),
                plan: desired.plan.clone(),
                data: desired.data,
                ..observed(&id, &desired.name)
            },
            deploys: Vec::new(),
        };
        self.cloud.state.lock().apps.insert(id.clone(), app);
        self.begin_deploy(&id, &desired.image)?;
        let mut state = self.cloud.state.lock();
        match state.lost.iter().position(|(at, _)| *at == "create") {
            Some(at) => Err(state.lost.remove(at).1),
            None => Ok(state.app(&id)?.observed.clone()),
        }
    }

    async fn set_variables(&self, id: &str, desired: &Desired) -> Result<()> {
        self.called("set_variables", true)?;
        let mut state = self.cloud.state.lock();
        state.app_mut(id)?.observed.variables = variables(desired);
        Ok(())
    }

    fn keeps_variables(&self) -> bool {
        !self.cloud.state.lock().deploys_variables
    }

    async fn change(&self, id: &str, desired: &Desired) -> Result<()> {
        self.called("change", true)?;
        let mut state = self.cloud.state.lock();
        let app = state.app_mut(id)?;
        app.observed.plan = desired.plan.clone();
        app.observed.region = desired.region.clone();
        Ok(())
    }

    async fn deploy(&self, id: &str, desired: &Desired) -> Result<String> {
        self.called("deploy", true)?;
        self.begin_deploy(id, &desired.image)
    }

    async fn progress(&self, id: &str, deploy: &str) -> Result<DeployProgress> {
        self.called("progress", false)?;
        let (progress, held) = {
            let state = self.cloud.state.lock();
            let found = state.app(id)?.deploys.iter().find(|(at, ..)| at == deploy);
            let found = found.ok_or_else(|| ProviderError::NotFound("no deploy".to_owned()))?;
            (found.1.clone(), state.held)
        };
        if held || !matches!(progress, DeployProgress::UnderWay { .. }) {
            return Ok(progress);
        }
        Box::pin(self.cloud.run(id)).await?;
        let mut state = self.cloud.state.lock();
        for (at, progress, _) in &mut state.app_mut(id)?.deploys {
            if at == deploy {
                *progress = DeployProgress::Live;
            }
        }
        Ok(DeployProgress::Live)
    }

    async fn deploys(&self, id: &str) -> Result<Vec<DeployView>> {
        self.called("deploys", false)?;
        let state = self.cloud.state.lock();
        let deploys = state.app(id)?.deploys.iter().rev();
        Ok(deploys
            .map(|(id, progress, image)| DeployView {
                id: id.clone(),
                image: Some(image.clone()),
                state: progress.clone(),
                at: None,
                can_roll_back: *progress == DeployProgress::Replaced,
            })
            .collect())
    }

    async fn roll_back(&self, id: &str, deploy: &str) -> Result<String> {
        self.called("roll_back", true)?;
        let image = {
            let state = self.cloud.state.lock();
            let found = state.app(id)?.deploys.iter().find(|(at, ..)| at == deploy);
            let found = found.ok_or_else(|| ProviderError::NotFound("no deploy".to_owned()))?;
            found.2.clone()
        };
        self.begin_deploy(id, &image)
    }

    async fn power(&self, id: &str, power: Power) -> Result<()> {
        self.called(
            match power {
                Power::Restart => "restart",
                Power::Suspend => "suspend",
                Power::Resume => "resume",
            },
            true,
        )?;
        self.cloud.state.lock().app(id)?;
        match power {
            Power::Restart | Power::Resume => Box::pin(self.cloud.run(id)).await,
            Power::Suspend => {
                self.cloud.halt(id).await;
                let mut state = self.cloud.state.lock();
                state.app_mut(id)?.observed.state = ProviderState::Suspended;
                Ok(())
            }
        }
    }

    async fn delete(&self, id: &str) -> Result<()> {
        self.called("delete", true)?;
        self.cloud.halt(id).await;
        self.cloud.state.lock().apps.remove(id);
        Ok(())
    }

    async fn logs(&self, id: &str, cursor: Option<&str>) -> Result<LogPage> {
        self.called("logs", false)?;
        self.cloud.state.lock().app(id)?;
        let line = RunLine {
            at: 1,
            text: "listening on 0.0.0.0:8000".to_owned(),
        };
        Ok(LogPage {
            lines: cursor.is_none().then_some(line).into_iter().collect(),
            cursor: Some("1".to_owned()),
        })
    }

    async fn events(&self, id: &str) -> Result<Vec<RemoteEvent>> {
        self.called("events", false)?;
        self.cloud.state.lock().app(id)?;
        Ok(vec![RemoteEvent {
            at: 1,
            text: "deploy_ended".to_owned(),
            is_problem: false,
        }])
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        self.called("usage", false)?;
        self.cloud.state.lock().app(id)?;
        Ok(Usage::default())
    }

    fn cost(&self, _: &Desired) -> Cost {
        Cost::Free
    }
}
