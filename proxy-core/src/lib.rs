//! The gateway: it speaks the clients' protocols, chooses a key for every call, and keeps
//! the books.
//!
//! ```text
//! surface (HTTP) ─► dialect (pure) ─► pool (which key now) ─► upstream (attempts, streams) ─► Google
//!     └── record ─► store (SQLite)        admin (API of the panel)
//! ```
//!
//! The core never learns which host it lives in: the command line, the desktop window and
//! the tests all call [`start`]. Deliberately absent: reading the environment, the
//! keychain, command lines, and anything of Tauri.

pub mod admin;
pub mod backups;
pub mod clock;
mod doctor;
pub mod egress;
mod fetch;
mod keeper;
mod memory;
pub mod observe;
pub mod pool;
mod private_file;
pub mod record;
pub mod reset;
pub mod rotation;
mod server;
pub mod settings;
pub mod store;
pub mod surface;
pub mod takeover;
pub mod transfer;
mod upstream;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use contract::admin::{KeyState, ModelView, Sealing, TestAnswer, TestRequest};
use contract::{ApiError, ErrorCode, Millis};
use dialect::gemini::models::Model;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use vault::{MasterKey, Secret};

use crate::admin::Gate;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::memory::{CallSignatures, KeptResponses, Owners, Scribe};
use crate::observe::Metrics;
use crate::pool::{Dice, NewKey, Picked, Pool};
use crate::record::Recorder;
use crate::settings::{Live, OnSettings, Settings};
use crate::store::{Loaded, Store, StoreError, StoredToken};
use crate::surface::auth::{ClientTokens, TokenEntry};
use crate::surface::problem::Problem;
use crate::upstream::{ExpressKeys, Upstream};
pub use crate::upstream::{NextHop, Through};

/// What a core is started with.
pub struct CoreConfig {
    /// All settings, already valid.
    pub settings: Settings,
    /// Told of the settings at start and whenever they change, for those that are the
    /// host's own to follow (`LOG_LEVEL`).
    pub on_settings: Option<OnSettings>,
    /// What seals the secrets in the database.
    pub master: MasterKey,
    /// Where the master key comes from.
    pub sealing: Sealing,
    /// Where the time comes from.
    pub clock: Clock,
    /// The panel's files, served below `/`; without them a page says that they are missing.
    pub panel: Option<axum::Router>,
    /// Gives what the host adds to the admin API, e.g. the deployer.
    pub extend: Option<Extend>,
}

/// What a host adds to the admin API.
pub struct Extension {
    /// Routes below `/api/`. Who calls them is checked as for all others; each request has
    /// its [`admin::Who`] among its extensions.
    pub routes: axum::Router,
    /// Their description.
    pub description: utoipa::openapi::OpenApi,
}

/// Makes an [`Extension`] for a core that is ready, within the host's runtime. The token is
/// cancelled when the core ends; tasks belong on [`Core::tracker`].
pub type Extend = Box<dyn FnOnce(&Arc<Core>, CancellationToken) -> Extension + Send>;

/// Why a core does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on because another program has it.
    #[error(
        "port {} is in use by another program; stop it, or choose another port with PORT", .0.port()
    )]
    PortTaken(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection to Google cannot be set up.
    #[error("cannot set up the connection to Google: {0}")]
    Upstream(String),
    /// The system refused a thread or a runtime.
    #[error("the operating system refused to start a worker: {0}")]
    Worker(std::io::Error),
}

/// Everything that answers requests. Shared by all workers and the admin API.
pub struct Core {
    settings: Live,
    /// What the environment gave, without what the panel saved.
    pub(crate) environment: Settings,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) pool: Arc<Pool>,
    pub(crate) tokens: ClientTokens,
    pub(crate) responses: KeptResponses,
    pub(crate) signatures: CallSignatures,
    pub(crate) owners: Owners,
    pub(crate) background: surface::Background,
    scribe: Scribe,
    pub(crate) express: ExpressKeys,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) egress: Egress,
    tracker: TaskTracker,
    /// Cancelled when the core ends.
    stop: CancellationToken,
    /// Cancelled before that, when the workers still run.
    leaving: CancellationToken,
    /// Those who talk to clients over connections that the workers know nothing of.
    sessions: TaskTracker,
    /// Where tasks go on that a worker's request begins.
    runtime: tokio::runtime::Handle,
    /// The instance that calls go through instead of to Google.
    next_hop: ArcSwapOption<NextHop>,
    pub(crate) gate: Gate,
    pub(crate) started_at: Millis,
    address: SocketAddr,
    /// The panel's own port, when it has one.
    panel_port: Option<u16>,
    /// The connections of the admin API's own calls; the workers have theirs.
    upstream: Upstream,
    models: Mutex<Option<(Millis, Arc<Vec<Model>>)>>,
    /// What the host adds to the admin API; set at the start.
    pub(crate) extension: OnceLock<Extension>,
    /// Held while keys, tokens or settings are changed in the store and in memory, so that two
    /// changes at once cannot undo one another.
    pub(crate) change: tokio::sync::Mutex<()>,
}

/// A core that listens. Dropping it stops it without waiting; [`Running::shutdown`] waits.
pub struct Running {
    core: Arc<Core>,
    server: server::Server,
    /// Ends the writer of records.
    stop: DropGuard,
}

/// How long clients have to hear that their sessions end.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long a list of models is good for.
const MODELS_KEPT: Duration = Duration::from_secs(600);

/// Opens the store, fills the pool and listens.
///
/// # Errors
/// See [`StartError`]; nothing is left running.
pub async fn start(config: CoreConfig) -> Result<Running, StartError> {
    let CoreConfig {
        settings,
        on_settings,
        master,
        sealing,
        clock,
        panel,
        extend,
    } = config;
    // The port first: it is the likeliest obstacle, and then nothing has been touched yet.
    let wanted = SocketAddr::new(settings.host, settings.port);
    let listener = server::bind(wanted)?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Listen(wanted, error))?;
    let panel_listener = match settings.admin_port {
        0 => None,
        port => Some(server::bind(SocketAddr::new(settings.host, port))?),
    };
    let own = [
        Some(address.port()),
        panel_listener.as_ref().map(|_| settings.admin_port),
    ];
    let own = own.into_iter().flatten();
    let own = own
        .map(|port| SocketAddr::new(address.ip(), port))
        .collect();
    let panel_port = panel_listener.as_ref().map(|_| settings.admin_port);
    let upstream = Upstream::new()?;

    // In boxes, because what awaits this awaits all that is within.
    let store = Box::pin(Store::open(settings.store(master, sealing), clock.clone())).await?;
    let loaded = Box::pin(keeper::first_load(&store, &settings)).await?;
    let environment = settings;
    let settings = environment.with_valid(&loaded.settings);

    let tracker = TaskTracker::new();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let recorder = Recorder::start(
        store.clone(),
        settings.time_zone.clone(),
        &tracker,
        stop.clone(),
    );
    // From here on, whatever returns early ends the writer.
    let stop = stop.drop_guard();
    let saver = recorder.clone();
    let pool = Arc::new(Pool::new(
        clock.clone(),
        Dice::default(),
        move |id, saved| {
            saver.key_state(id, saved);
        },
    ));
    pool.set_rules(settings.pool_rules());
    let (scribe, notes) = Scribe::new();
    tracker.spawn(memory::scribe::write(store.clone(), notes, stopped.clone()));
    let responses = KeptResponses::new(scribe.clone());
    let signatures = CallSignatures::new(scribe.clone());
    let owners = Owners::new(scribe.clone());
    Box::pin(memory::recall(&store, &responses, &signatures)).await;
    let gate = Gate::open(&settings, &store).await?;

    let started_at = clock.now();
    let metrics = Metrics::new(started_at);
    tracker.spawn(metrics.upkeep(stopped.clone()));
    let core = Arc::new(Core {
        started_at,
        tokens: ClientTokens::new(settings.time_zone.clone()),
        responses,
        signatures,
        owners,
        background: surface::Background::default(),
        scribe,
        express: ExpressKeys::default(),
        settings: Live::new(settings, on_settings),
        environment,
        clock,
        store,
        pool,
        recorder,
        metrics,
        egress: Egress::new(own),
        tracker,
        stop: stopped.clone(),
        leaving: CancellationToken::new(),
        sessions: TaskTracker::new(),
        runtime: tokio::runtime::Handle::current(),
        next_hop: ArcSwapOption::empty(),
        gate,
        address,
        panel_port,
        upstream,
        models: Mutex::default(),
        extension: OnceLock::new(),
        change: tokio::sync::Mutex::default(),
    });
    core.show(&loaded);
    core.seed_tokens().await;
    core.tracker
        .spawn(keeper::tidy(core.clone(), stopped.clone()));
    core.tracker
        .spawn(keeper::make_up(core.clone(), stopped.clone()));
    core.tracker
        .spawn(keeper::keep(core.clone(), stopped.clone()));
    if let Some(extend) = extend {
        core.extension.get_or_init(|| extend(&core, stopped));
    }
    let listeners = server::Listeners {
        clients: listener,
        panel: panel_listener,
    };
    let server = server::Server::start(listeners, &core, panel)?;
    Ok(Running { core, server, stop })
}

impl Running {
    /// The core, for calls from within the process.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The true socket address, with the port that was chosen when 0 was asked for.
    pub fn socket(&self) -> SocketAddr {
        self.core.address
    }

    /// Where clients reach it, e.g. `http://127.0.0.1:8000`.
    pub fn address(&self) -> String {
        self.core.address()
    }

    /// Where the panel is, e.g. `http://127.0.0.1:8000`.
    pub fn panel_address(&self) -> String {
        self.core.panel_address()
    }

    /// Stops listening, lets running answers end for at most `patience`, writes what is
    /// left to write.
    pub async fn shutdown(self, patience: Duration) {
        self.core.leaving.cancel();
        self.core.sessions.close();
        let _ = tokio::time::timeout(patience.min(GOODBYE), self.core.sessions.wait()).await;
        self.server.shutdown(patience).await;
        self.core.pool.keep_used();
        drop(self.stop);
        self.core.tracker.close();
        self.core.tracker.wait().await;
        self.core.store.close().await;
    }
}

/// Where a server that listens at this address is reached from its own machine, e.g.
/// `http://127.0.0.1:8000` for `0.0.0.0`.
pub fn from_this_machine(listening: IpAddr, port: u16) -> String {
    let ip = match listening {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, port))
}

impl Core {
    /// Cancelled when this core begins to end. Until what is given with it is dropped, or nobody has
    /// patience any more, it does not go on ending.
    pub(crate) fn session(&self) -> (CancellationToken, TaskTrackerToken) {
        (self.leaving.clone(), self.sessions.token())
    }

    /// Where clients reach it, e.g. `http://127.0.0.1:8000`. A wildcard address is shown
    /// as the loopback address, which is the one that works from here.
    pub fn address(&self) -> String {
        self.address_at(self.address.port())
    }

    /// Where the panel is: at the clients' address unless `ADMIN_PORT` gives it another port.
    pub fn panel_address(&self) -> String {
        self.address_at(self.panel_port.unwrap_or(self.address.port()))
    }

    /// The clients' port, when the panel has another one.
    pub(crate) fn port_beside_panel(&self) -> Option<u16> {
        self.panel_port.map(|_| self.address.port())
    }

    fn address_at(&self, port: u16) -> String {
        from_this_machine(self.address.ip(), port)
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Tasks that [`Running::shutdown`] waits for.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Does something beside the requests, until the core ends.
    pub(crate) fn in_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            // What is under way when the core ends needs no end.
            let _ = stop.run_until_cancelled(task).await;
        };
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Notes that a key is of Vertex AI's express mode.
    pub(crate) fn found_express(&self, key: &Picked) {
        if !self.pool.has(key) {
            return;
        }
        self.express.add(key.id());
        // Once more: who puts another key in its place does that first, and then forgets what
        // kind it is.
        if !self.pool.has(key) {
            self.express.remove(key.id());
            return;
        }
        let (store, id, secret) = (self.store.clone(), key.id(), key.secret().clone());
        self.in_background(async move {
            if let Err(error) = store.keep_express_key(id, &secret).await {
                tracing::debug!(%error, "what kind a key is cannot be kept; it is asked again");
            }
        });
    }

    /// Forgets what a token's clients may go back to.
    pub(crate) fn forget(&self, token: i64) {
        self.background.forget(token);
        self.responses.forget(token);
        self.signatures.forget(token);
        self.scribe.note(memory::scribe::Note::Forget { token });
    }

    /// The instance that calls go through instead of to Google, if they do.
    pub fn next_hop(&self) -> Option<Arc<NextHop>> {
        self.next_hop.load_full()
    }

    /// Sends calls through another instance from now on, or no more. What is known of one that
    /// stays the same is kept.
    pub fn send_through(&self, hop: Option<NextHop>) {
        let known = self.next_hop();
        let is_same = match (&known, &hop) {
            (Some(known), Some(hop)) => known.through() == hop.through(),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.next_hop.store(hop.map(Arc::new));
            *self.models.lock() = None;
        }
    }

    /// The settings in force. Costs next to nothing, and is meant to be held for a moment:
    /// who holds it longer sees no change.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.get()
    }

    /// Puts other settings into force. Those that only the environment gives stay as they
    /// were at the start, because what depends on them is there already.
    pub fn apply_settings(&self, settings: Settings) {
        if settings.base_url != self.settings().base_url {
            *self.models.lock() = None;
        }
        self.tokens.set_time_zone(settings.time_zone.clone());
        self.recorder.set_time_zone(settings.time_zone.clone());
        self.pool.set_rules(settings.pool_rules());
        self.settings.replace(settings);
    }

    /// The code that chooses the panel's first password, as long as nobody can sign in.
    pub fn setup_code(&self) -> Option<Secret> {
        self.gate.setup_code()
    }

    /// Told when there is another such code, or none any more: a database that was away at the
    /// start may turn out to be new.
    pub fn setup_codes(&self) -> watch::Receiver<Option<Secret>> {
        self.gate.setup_codes()
    }

    /// Puts what was read from the database into memory: settings into force, keys into the
    /// pool, tokens into the list of accepted ones. What is equal stays untouched.
    pub(crate) fn show(&self, loaded: &Loaded) {
        let settings = self.environment.with_valid(&loaded.settings);
        if !settings.is_same(&self.settings()) {
            self.apply_settings(settings);
        }
        let keys = loaded.keys.iter().cloned().map(NewKey::from);
        let exchanged = self.pool.replace(keys);
        self.express.renew(loaded, &exchanged);
        self.show_tokens(&loaded.tokens);
    }

    /// Reads everything anew after a change, which the caller holds [`Core::change`] for.
    pub(crate) async fn show_changed(&self) -> Result<(), StoreError> {
        let loaded = self.store.load().await?;
        self.show(&loaded);
        self.end_sessions_of_another_token().await
    }

    /// Ends the sessions that began under another `AUTH_TOKEN` than the one in force.
    pub(crate) async fn end_sessions_of_another_token(&self) -> Result<(), StoreError> {
        let token = self.settings().panel_token().cloned();
        self.store.end_sessions_of_another(token.as_ref()).await
    }

    /// Takes over what was done with the tokens today, for the limits of the day. Without the
    /// database they begin at nothing: better than refusing everybody.
    pub(crate) async fn seed_tokens(&self) {
        match self.store.token_counts(admin::midnight(self)).await {
            Ok(counts) => self.tokens.seed(self.clock.now(), counts),
            Err(error) => {
                tracing::warn!(%error, "what client tokens were used for today is not known");
            }
        }
    }

    /// Accepts exactly these tokens from now on.
    pub(crate) fn show_tokens(&self, tokens: &[StoredToken]) {
        self.tokens.replace(tokens.iter().map(TokenEntry::from));
    }

    /// The models that Google lists for the next key, kept for ten minutes.
    ///
    /// # Errors
    /// When no key can be asked, or Google does not answer.
    pub async fn models(&self) -> Result<Vec<ModelView>, ApiError> {
        let models = self.list_models(&self.upstream).await?;
        let settings = self.settings();
        let view = |model: &Model| ModelView {
            id: model.id().to_owned(),
            display_name: match model.display_name.is_empty() {
                true => model.id().to_owned(),
                false => model.display_name.to_string(),
            },
            generates: model.generates(),
        };
        let shown = models.iter().filter(|model| !settings.filters(model.id()));
        Ok(shown.map(view).collect())
    }

    /// The same, over the connections of the worker that asks, and with those that
    /// `FILTERED_MODELS` hides.
    pub(crate) async fn list_models(
        &self,
        upstream: &Upstream,
    ) -> Result<Arc<Vec<Model>>, Problem> {
        let now = self.clock.now();
        let kept = self.models.lock().clone();
        if let Some((at, models)) = kept
            && now.saturating_sub(at) < MODELS_KEPT.as_millis().try_into().unwrap_or(Millis::MAX)
        {
            return Ok(models);
        }
        let models = Arc::new(surface::list_all_models(self, upstream).await?);
        *self.models.lock() = Some((now, models.clone()));
        Ok(models)
    }

    /// Asks Google for its models with one key, whatever is known of it, and notes what
    /// that says about the key.
    ///
    /// # Errors
    /// When there is no such key.
    pub async fn check_key(&self, id: i64) -> Result<KeyChecked, ApiError> {
        let key = self
            .pool
            .pick_by_id(id)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "There is no such key."))?;
        Ok(self.upstream.check(self, &key).await)
    }

    /// Checks keys that are new, one after the other and beside everything else: many at once from
    /// one address look to Google like an attack.
    pub(crate) fn check_new(self: &Arc<Self>, ids: Vec<i64>) {
        /// The pause between two checks.
        const PAUSE: Duration = Duration::from_millis(300);
        let core = self.clone();
        self.in_background(async move {
            for (at, id) in ids.into_iter().enumerate() {
                if at > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                // A call of a client may have shown meanwhile that it works.
                let is_new = |state| matches!(state, KeyState::Unchecked);
                // What is said while all are refused says nothing of one.
                if core.pool.is_outage() {
                    return;
                }
                if !core.pool.status(id).is_some_and(|key| is_new(key.state)) {
                    continue;
                }
                if let Some(key) = core.pool.pick_by_id(id) {
                    core.upstream.check(&core, &key).await;
                }
            }
        });
    }

    /// Sends one real request through the same routes a client uses.
    pub async fn test(self: &Arc<Self>, request: &TestRequest) -> TestAnswer {
        surface::test::run(self, &self.upstream, request).await
    }
}

/// What Google said when a key was tried.
#[derive(Clone, Debug)]
pub struct KeyChecked {
    /// Google lists its models for this key.
    pub ok: bool,
    /// Google has said something about it.
    pub answered: bool,
    /// What Google said when it did not, scrubbed.
    pub message: String,
    /// How long Google took.
    pub latency: Duration,
}
