//! `cargo xtask bench --only pool`: what the pool gets out of its keys, and what a choice costs.
//! The measuring is a test of `proxy-core`, which alone may use the pool's parts.

use std::process::ExitCode;

use anyhow::Result;

use super::{Options, store};
use crate::workspace::Workspace;

/// What it is called on the command line.
pub(super) const NAME: &str = "pool";

/// Measures, writes `bench/pool.md` and prints it.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    println!("Building with all optimisations.");
    store::measure(
        workspace,
        options,
        "pool::bench",
        "GB_BENCH_POOL",
        "pool.md",
    )
}
