//! `cargo xtask bench --only store`: how long the panel waits for the database when there are
//! a million requests, on SQLite and on MariaDB. The measuring is a test of `proxy-core`, which
//! alone may use the store's parts; nobody runs it but this.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::Options;
use crate::setup;
use crate::shell;
use crate::workspace::Workspace;

/// What it is called on the command line.
pub(super) const NAME: &str = "store";

/// Measures, writes `bench/store.md` and prints it.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    println!("Building with all optimisations; writing a million requests twice takes minutes.");
    setup::system(workspace, &setup::MARIADB)?;
    measure(
        workspace,
        options,
        "store::tests::bench",
        "GB_BENCH_STORE",
        "store.md",
    )
}

/// Runs tests of `proxy-core` that measure, which write their report where a variable says, and
/// prints that.
pub(super) fn measure(
    workspace: &Workspace,
    options: &Options,
    tests: &str,
    variable: &str,
    report: &str,
) -> Result<ExitCode> {
    let path = workspace.root.join("bench").join(report);
    let mut command = shell::cargo(workspace);
    command
        .args(["test", "--locked", "--package", "proxy-core", "--lib"])
        .args(["--profile", &options.profile])
        .args([tests, "--", "--ignored", "--nocapture"])
        .env(variable, &path)
        .env("GB_BENCH_PROFILE", &options.profile);
    shell::run(&mut command)?;
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    println!("\n{text}\nThis is in {}.", path.display());
    Ok(ExitCode::SUCCESS)
}
