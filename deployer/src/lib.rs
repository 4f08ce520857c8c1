//! Puts instances on other people's machines, watches, feeds and moves them.
//!
//! ```text
//! wish ─► plan (pure) ─► run (journal, retries) ─► provider ─► Render, Kubernetes, Koyeb
//!                                   └─► the remote's own admin API
//! ```
//!
//! A library without a screen: its routes extend the admin API of the core it lives beside
//! ([`proxy_core::Extension`]), and the command line calls the same functions. What it knows
//! is kept sealed in the core's store, as documents.
//!
//! Deliberately absent: signing in to a provider's console, and any address that a user did
//! not give or a provider did not answer with.

mod http;
pub mod provider;
pub mod render;
