//! `cargo xtask test`: everything that must hold before a change lands, in named and
//! timed stages. One list of stages is all there is; set-up, order, `--quick` and `--only`
//! are read off it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell;
use crate::stages::{self, Outcome};
use crate::workspace::Workspace;

/// What the command line asked for.
#[derive(Default)]
pub(crate) struct Options {
    /// Only the stages of the inner loop.
    pub quick: bool,
    /// Only these stages, when any are named.
    pub only: Vec<String>,
}

/// One thing that must hold.
struct Stage {
    name: &'static str,
    says: &'static str,
    /// Part of `--quick`.
    quick: bool,
    /// Later stages have nothing to work with when this one fails.
    decisive: bool,
    /// Installs what the stage needs.
    set_up: fn(&Workspace) -> Result<()>,
    run: fn(&Run<'_>) -> Result<Outcome>,
}

/// What stages know about the run they are part of.
pub(crate) struct Run<'a> {
    pub workspace: &'a Workspace,
    pub quick: bool,
    /// The stage `build` went well in this run, so every program is there.
    pub built: bool,
}

const STAGES: [Stage; 12] = [
    Stage {
        name: "fmt",
        says: "the formatting",
        quick: true,
        decisive: false,
        set_up: stages::nothing,
        run: stages::fmt,
    },
    Stage {
        name: "panel",
        says: "the panel, which the programs embed",
        quick: false,
        decisive: true,
        set_up: crate::panel::set_up,
        run: stages::panel,
    },
    Stage {
        name: "clippy",
        says: "lints and missing documentation, native and wasm",
        quick: true,
        decisive: false,
        set_up: stages::set_up_clippy,
        run: stages::clippy,
    },
    Stage {
        name: "deny",
        says: "licences, origins and advisories of dependencies",
        quick: false,
        decisive: false,
        set_up: stages::set_up_deny,
        run: stages::deny,
    },
    Stage {
        name: "build",
        says: "all programs and tests",
        quick: false,
        decisive: true,
        set_up: stages::set_up_desktop,
        run: stages::build,
    },
    Stage {
        name: "tests",
        says: "unit and integration tests",
        quick: true,
        decisive: false,
        set_up: stages::set_up_tests,
        run: stages::tests,
    },
    Stage {
        name: "doc",
        says: "examples in the documentation, and its links",
        quick: false,
        decisive: false,
        set_up: stages::set_up_desktop,
        run: stages::doc,
    },
    Stage {
        name: "wasm",
        says: "the panel's tests inside a browser",
        quick: false,
        decisive: false,
        set_up: stages::set_up_wasm,
        run: stages::wasm,
    },
    Stage {
        name: "browser",
        says: "the panel on a real server, driven in a browser",
        quick: false,
        decisive: false,
        set_up: stages::set_up_browser,
        run: stages::browser,
    },
    Stage {
        name: "window",
        says: "the desktop window, with a real keychain",
        quick: false,
        decisive: false,
        set_up: stages::set_up_window,
        run: stages::window,
    },
    Stage {
        name: "sdk",
        says: "the official SDKs against a real server",
        quick: false,
        decisive: false,
        set_up: stages::set_up_sdk,
        run: stages::sdk,
    },
    Stage {
        name: "agents",
        says: "coding agents, headless, on a real server",
        quick: false,
        decisive: false,
        set_up: stages::set_up_agents,
        run: stages::agents,
    },
];

/// Runs the chosen stages and closes with the count of those that passed and failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    let chosen = chosen(options)?;
    let mut run = Run {
        workspace,
        quick: options.quick,
        built: false,
    };
    let mut results: Vec<(&Stage, Result<Outcome>, Duration)> = Vec::new();
    for stage in &chosen {
        println!("\n━━ {}: {}", stage.name, stage.says);
        let began = Instant::now();
        let result = (stage.set_up)(workspace).and_then(|()| (stage.run)(&run));
        let took = began.elapsed();
        match &result {
            Ok(Outcome::Passed) => {
                println!("━━ {}: passed after {}", stage.name, shell::spoken(took))
            }
            Ok(Outcome::Skipped(why)) => println!("━━ {}: skipped: {why}", stage.name),
            Err(error) => println!(
                "━━ {}: FAILED after {}: {error:#}",
                stage.name,
                shell::spoken(took)
            ),
        }
        let stop = result.is_err() && stage.decisive;
        run.built |= stage.name == "build" && result.is_ok();
        results.push((stage, result, took));
        if stop {
            break;
        }
    }

    println!("\n━━ after {}", shell::spoken(started.elapsed()));
    let mut counts = [0_usize; 3];
    for (stage, result, took) in &results {
        let (which, text) = match result {
            Ok(Outcome::Passed) => (0, "passed".to_owned()),
            Err(error) => (1, format!("FAILED: {error:#}")),
            Ok(Outcome::Skipped(why)) => (2, format!("skipped: {why}")),
        };
        counts[which] += 1;
        println!("{:8} {:>12}  {text}", stage.name, shell::spoken(*took));
    }
    for stage in chosen.iter().skip(results.len()) {
        println!(
            "{:8} {:>12}  not run, because an earlier stage it needs failed",
            stage.name, ""
        );
    }
    let [passed, failed, skipped] = counts;
    let skipped_or_not_run = skipped + chosen.len() - results.len();
    println!("stages: {passed} passed, {failed} failed, {skipped_or_not_run} skipped");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Names the stages.
pub(crate) fn list() {
    for stage in &STAGES {
        let quick = if stage.quick {
            " (also in --quick)"
        } else {
            ""
        };
        println!("  {:8} {}{quick}", stage.name, stage.says);
    }
}

/// Installs what the chosen stages need, and runs none of them.
pub(crate) fn set_up(workspace: &Workspace, options: &Options) -> Result<()> {
    for stage in chosen(options)? {
        (stage.set_up)(workspace)?;
    }
    println!("Everything that the tests need is here.");
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<&'static Stage>> {
    for name in &options.only {
        if !STAGES.iter().any(|stage| stage.name == name) {
            let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            bail!("there is no stage `{name}`; there are {}", names.join(", "));
        }
    }
    Ok(STAGES
        .iter()
        .filter(|stage| {
            if options.only.is_empty() {
                stage.quick || !options.quick
            } else {
                options.only.iter().any(|name| name == stage.name)
            }
        })
        .collect())
}
