//! The local proxy: its state machine, and the core that runs in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contract::desktop::ProxyState;
use contract::{ApiError, ErrorCode};
use parking_lot::Mutex;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, Running, StartError};
use tokio::sync::watch;
use vault::MasterKey;

use crate::log;
use crate::port;
use crate::prefs::Prefs;

/// How long running answers may take to end when the proxy stops.
const PATIENCE: Duration = Duration::from_secs(30);
/// The core's database in the data folder.
const DATABASE: &str = "gemini-balance.db";

/// What happens to the local proxy.
enum Event {
    Start,
    Started {
        address: String,
    },
    PortTaken {
        port: u16,
        owner: Option<String>,
        next_free: u16,
    },
    Failed {
        error: ApiError,
    },
    Stop,
    Stopped,
}

/// The state machine, whole. `None`: the event means nothing in this state.
fn next(state: &ProxyState, event: Event) -> Option<ProxyState> {
    use ProxyState as S;
    Some(match (state, event) {
        (S::Stopped | S::PortTaken { .. } | S::Failed { .. }, Event::Start) => S::Starting,
        (S::Starting, Event::Started { address }) => S::Running { address },
        (
            S::Starting,
            Event::PortTaken {
                port,
                owner,
                next_free,
            },
        ) => S::PortTaken {
            port,
            owner,
            next_free,
        },
        (S::Starting, Event::Failed { error }) => S::Failed { error },
        (S::Running { .. }, Event::Stop) => S::Stopping,
        (S::Stopping, Event::Stopped) => S::Stopped,
        (S::PortTaken { .. } | S::Failed { .. }, Event::Stop) => S::Stopped,
        _ => return None,
    })
}

/// Where settings come from, apart from the database.
pub struct Environment {
    folder: PathBuf,
    variable: Box<Variable>,
}

/// Looks a variable up by its name.
type Variable = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// The environment of this process, with everything kept in `folder`.
    pub fn of_this_process(folder: PathBuf) -> Self {
        Self::new(folder, |name| std::env::var(name).ok())
    }

    /// An environment with the variables that `variable` knows.
    pub fn new(
        folder: PathBuf,
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            folder,
            variable: Box::new(variable),
        }
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// There is a database, so something may be sealed in it.
    pub fn has_data(&self) -> bool {
        self.folder.join(DATABASE).exists()
    }

    /// One setting. The app listens on the loopback address only, on the port the user
    /// chose here, and keeps its data in a file in its own folder, whatever the environment
    /// says. Its panel is its window, which needs no port.
    fn setting(&self, prefs: &Prefs, name: &str) -> Option<String> {
        match name {
            "HOST" => Some("127.0.0.1".to_owned()),
            "DATA_DIR" => self.folder.to_str().map(str::to_owned),
            "DATABASE_TYPE" => Some("sqlite".to_owned()),
            "ADMIN_PORT" => None,
            "PORT" => prefs
                .get()
                .port
                .map(|port| port.to_string())
                .or_else(|| (self.variable)(name)),
            _ => (self.variable)(name),
        }
    }
}

/// The proxy of this computer.
pub struct Local {
    state: watch::Sender<ProxyState>,
    /// Held while it starts or stops, so that two wishes follow each other.
    running: tokio::sync::Mutex<Option<Running>>,
    /// The core's admin API, while it runs.
    admin: Mutex<Option<Router>>,
}

impl Local {
    /// A proxy that does not run yet.
    pub fn stopped() -> Self {
        Self {
            state: watch::Sender::new(ProxyState::Stopped),
            running: tokio::sync::Mutex::default(),
            admin: Mutex::default(),
        }
    }

    /// Its state, and every change of it.
    pub fn state(&self) -> watch::Receiver<ProxyState> {
        self.state.subscribe()
    }

    /// The admin API of the running core.
    ///
    /// # Errors
    /// When it does not run.
    pub fn admin(&self) -> Result<Router, ApiError> {
        self.admin.lock().clone().ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotRunning,
                "The local service is not running. Start it first.",
            )
        })
    }

    /// Starts it. What came of it is its state.
    pub async fn start(&self, environment: &Environment, prefs: &Prefs, master: MasterKey) {
        let mut running = self.running.lock().await;
        if !self.step(Event::Start) {
            return;
        }
        let event = match Box::pin(launch(environment, prefs, master)).await {
            Ok(core) => {
                let address = core.address();
                let access = proxy_core::admin::Access::Trusted;
                *self.admin.lock() = Some(proxy_core::admin::router(core.core().clone(), access));
                *running = Some(core);
                Event::Started { address }
            }
            Err(event) => event,
        };
        self.step(event);
    }

    /// Stops it: no new requests, running answers end.
    pub async fn stop(&self) {
        self.stop_within(PATIENCE).await;
    }

    /// The same, with another patience for running answers.
    pub async fn stop_within(&self, patience: Duration) {
        let mut running = self.running.lock().await;
        if !self.step(Event::Stop) {
            return;
        }
        *self.admin.lock() = None;
        if let Some(core) = running.take() {
            Box::pin(core.shutdown(patience)).await;
        }
        self.step(Event::Stopped);
    }

    /// Takes a step of the state machine, if it is one.
    fn step(&self, event: Event) -> bool {
        self.state
            .send_if_modified(|state| match next(state, event) {
                Some(new) => {
                    *state = new;
                    true
                }
                None => false,
            })
    }
}

async fn launch(
    environment: &Environment,
    prefs: &Prefs,
    master: MasterKey,
) -> Result<Running, Event> {
    if environment.folder().to_str().is_none() {
        return Err(Event::Failed {
            error: ApiError::new(
                ErrorCode::InvalidInput,
                format!(
                    "The name of the data folder {} is not Unicode text. Name another one with \
                     GEMINI_BALANCE_DATA_DIR, or rename it.",
                    environment.folder().display()
                ),
            ),
        });
    }
    let settings = Settings::load(|name| environment.setting(prefs, name)).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Event::Failed {
            error: ApiError::new(ErrorCode::InvalidInput, lines.join("\n")),
        }
    })?;
    let extend = settings
        .deployer
        .then(|| deployer::extend(deployer::providers()));
    let config = CoreConfig {
        settings,
        on_settings: Some(Arc::new(|settings| log::follow(&settings.log_level))),
        master,
        sealing: contract::admin::Sealing::Keychain,
        clock: Clock::system(),
        panel: None,
        extend,
    };
    match proxy_core::start(config).await {
        Ok(core) => Ok(core),
        Err(StartError::PortTaken(address)) => {
            let port = address.port();
            let (owner, next_free) =
                tokio::task::spawn_blocking(move || (port::owner(port), port::next_free(port)))
                    .await
                    .unwrap_or((None, port));
            Err(Event::PortTaken {
                port,
                owner,
                next_free,
            })
        }
        Err(error) => {
            tracing::error!(%error, "the local proxy does not start");
            let code = match error {
                StartError::Store(_) => ErrorCode::Database,
                _ => ErrorCode::Internal,
            };
            Err(Event::Failed {
                error: ApiError::new(code, error.to_string()),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One state of each kind, with its name.
    fn states() -> [(&'static str, ProxyState); 6] {
        [
            ("stopped", ProxyState::Stopped),
            ("starting", ProxyState::Starting),
            (
                "running",
                ProxyState::Running {
                    address: String::new(),
                },
            ),
            ("stopping", ProxyState::Stopping),
            (
                "port taken",
                ProxyState::PortTaken {
                    port: 1,
                    owner: None,
                    next_free: 2,
                },
            ),
            (
                "failed",
                ProxyState::Failed {
                    error: ApiError::new(ErrorCode::Internal, ""),
                },
            ),
        ]
    }

    fn events() -> [(&'static str, Event); 6] {
        [
            ("start", Event::Start),
            (
                "started",
                Event::Started {
                    address: String::new(),
                },
            ),
            (
                "port taken",
                Event::PortTaken {
                    port: 1,
                    owner: None,
                    next_free: 2,
                },
            ),
            (
                "failed",
                Event::Failed {
                    error: ApiError::new(ErrorCode::Internal, ""),
                },
            ),
            ("stop", Event::Stop),
            ("stopped", Event::Stopped),
        ]
    }

    #[test]
    fn these_are_all_transitions() {
        let mut seen = Vec::new();
        for (before, state) in states() {
            for (name, event) in events() {
                if let Some(after) = next(&state, event) {
                    let (after, _) = states()
                        .into_iter()
                        .find(|(_, state)| {
                            std::mem::discriminant(state) == std::mem::discriminant(&after)
                        })
                        .unwrap();
                    seen.push(format!("{before} + {name} = {after}"));
                }
            }
        }
        assert_eq!(
            seen,
            [
                "stopped + start = starting",
                "starting + started = running",
                "starting + port taken = port taken",
                "starting + failed = failed",
                "running + stop = stopping",
                "stopping + stopped = stopped",
                "port taken + start = starting",
                "port taken + stop = stopped",
                "failed + start = starting",
                "failed + stop = stopped",
            ]
        );
    }
}
