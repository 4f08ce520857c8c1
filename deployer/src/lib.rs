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
pub mod wish;

pub use account::{Account, Credential};
pub use deployer::{Deployer, Host, PROVIDERS, Providers, mysql_config, providers};

/// What a host hands to [`proxy_core::CoreConfig::extend`] to have a deployer.
pub fn extend(providers: Providers) -> proxy_core::Extend {
    Box::new(move |core, stop| {
        let deployer = Deployer::new(Host {
            store: core.store().clone(),
            clock: core.clock().clone(),
            tracker: core.tracker().clone(),
            stop,
            runtime: tokio::runtime::Handle::current(),
            providers,
            core: std::sync::Arc::downgrade(core),
        });
        let begun = deployer.clone();
        core.tracker()
            .spawn(async move { begun.follow_route().await });
        api::extension(core, deployer)
    })
}
