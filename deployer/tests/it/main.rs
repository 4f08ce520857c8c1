//! The deployer beside a real core, asked over real HTTP as the panel asks it. The clouds are
//! the fakes of `testkit`, and one in memory where no protocol is meant.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy.toml lets tests panic, but does not know their helpers"
)]

mod accounts;
mod awake;
mod cloud;
mod description;
mod lookups;
mod remotes;
mod route;
mod runs;
mod secrets;
mod truth;
mod world;
