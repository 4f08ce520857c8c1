//! `cargo xtask bench --only translation`: what translating costs in CPU time, in each protocol.
//! The measuring is `bench/translation.rs`, by criterion, which also writes the table.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::{Options, report};
use crate::shell;
use crate::workspace::Workspace;

/// What it is called on the command line.
pub(super) const NAME: &str = "translation";

/// Measures, writes `bench/translation.md` and prints it.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    println!("Building the translations with all optimisations.");
    let path = workspace.root.join("bench").join("translation.md");
    let mut command = shell::cargo(workspace);
    command
        .args(["bench", "--locked", "--package", "dialect"])
        .args(["--bench", NAME, "--profile", &options.profile])
        .env("CRITERION_HOME", workspace.cache.join("bench/criterion"))
        .env("GB_BENCH_TRANSLATION", &path);
    shell::run(&mut command)?;
    let mut text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    write!(text, "\n## Machine\n\n- profile `{}`\n", options.profile)?;
    for line in report::machine(workspace) {
        writeln!(text, "- {line}")?;
    }
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\n{text}\nThis is in {}.", path.display());
    Ok(ExitCode::SUCCESS)
}
