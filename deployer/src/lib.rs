//! Puts instances on other people's machines, watches, feeds and moves them.
//!
//! ```text
//! wish ─► plan (pure) ─► run (journal, retries) ─► provider ─► Render, Kubernetes, Koyeb
//!                                   └─► the remote's own admin API
//! ```
//!
//! A library without a screen: [`api`] extends the admin API of the core it lives beside
//! ([`proxy_core::Extension`]), and the command line calls the same functions of
//! [`Deployer`]. What it knows is kept sealed in the core's store, as documents.
//!
//! Deliberately absent: signing in to a provider's console, and any address that a user did
//! not give or a provider did not answer with.

mod account;
mod admin;
pub mod api;
mod claim;
mod deployer;
mod document;
mod drift;
mod elsewhere;
mod http;
pub mod image;
mod instance;
pub mod koyeb;
pub mod kubernetes;
mod names;
pub mod plan;
pub mod provider;
mod push;
pub mod record;
mod remotes;
pub mod render;
mod rotate;
mod route;
pub mod run;
mod runs;
pub mod variables;
mod watch;
pub mod wish;

pub use account::{Account, Credential};
pub use deployer::{Deployer, Host, PROVIDERS, Providers, Zone, mysql_config, providers};

use std::sync::Arc;

use run::{Pause, RealTime};

/// What a host hands to [`proxy_core::CoreConfig::extend`] to have a deployer, which keeps watch
/// over its remotes.
pub fn extend(providers: Providers) -> proxy_core::Extend {
    extend_in(providers, Arc::new(RealTime))
}

/// The same where time passes in another way.
pub fn extend_in(providers: Providers, pause: Arc<dyn Pause>) -> proxy_core::Extend {
    Box::new(move |core, stop| {
        // Not the core itself: it waits for the deployer's tasks before it goes.
        let settings_of = Arc::downgrade(core);
        let deployer = Deployer::new(Host {
            store: core.store().clone(),
            clock: core.clock().clone(),
            pause,
            zone: Arc::new(move || {
                let core = settings_of.upgrade();
                core.map_or(jiff::tz::TimeZone::UTC, |core| {
                    core.settings().time_zone.clone()
                })
            }),
            tracker: core.tracker().clone(),
            stop,
            runtime: tokio::runtime::Handle::current(),
            providers,
            core: std::sync::Arc::downgrade(core),
        });
        deployer.keep_watch();
        api::extension(core, deployer)
    })
}
