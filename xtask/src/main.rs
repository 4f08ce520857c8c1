//! What a person who builds this types: `cargo xtask run | test | bench | …`.
//!
//! Every command first says what it is about to install and how long that takes, installs
//! only what is missing and only what it needs itself, and keeps tools, builds and test
//! environments in one cache outside the checkout, so that a fresh clone starts warm.
//!
//! Deliberately absent: trunk. It costs 10.5 CPU minutes to install and then downloads
//! tools of its own; what it would do for this panel is three commands, see [`panel`].

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program's whole job is to talk to the person at the terminal"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "it times its own stages; there is no request path and no clock to inject"
)]

mod bench;
mod image;
mod panel;
mod run;
mod servers;
mod setup;
mod shell;
mod stages;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask <command>

  run [--headless] [--demo] [-- ARGS]   build the panel and start the app in a window;
                                        without a display, or with --headless, the server on port 8000.
                                        --demo: against a fake Google and fake clouds, with sample keys, no account needed.
                                        ARGS go to `gemini-balance serve`.
  test [--quick] [--only STAGE]...      everything that must hold before a change lands.
                                        --quick: fmt, clippy and the tests that need neither window nor browser.
                                        --only: one or more of the stages below.
  panel                                 build the panel (ui/dist) and nothing else.
  bench [--seconds N] [--only CASE]     CPU per request beside nginx's, time to first byte, memory; writes bench/report.md.
                                        --only store: the panel's queries on a million requests; writes bench/store.md.
                                        --only translation: CPU per KiB of an agent's requests and streams; writes bench/translation.md.
  image [--arch amd64|arm64] [--tag NAME] [--profile NAME] [--files FOLDER]
                                        the container image, built by docker or podman without a registry, and
                                        tried out: set-up, chat through a fake Google, health check, SIGTERM.
                                        --arch: another one than this machine's, which is then not tried out.
                                        --files: only what the image holds, for `docker build --build-context`.
  screenshots [FOLDER]                  the pictures in docs/images, in both languages and themes; with FOLDER, of every page, there.
  setup                                 install what `test` needs, and nothing else.

The cache is ~/.cache/gemini-balance (XDG_CACHE_HOME is honoured; %LOCALAPPDATA%\\gemini-balance on Windows).";

fn main() -> ExitCode {
    match command() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<ExitCode> {
    let mut args = lexopt::Parser::from_env();
    let name = match args.next()? {
        Some(Value(name)) => name.string()?,
        Some(Short('h') | Long("help")) | None => "help".to_owned(),
        Some(other) => return Err(other.unexpected().into()),
    };
    let workspace = Workspace::find()?;
    match name.as_str() {
        "help" => {
            println!("{HELP}\n\nThe stages of `test`:\n");
            test::list();
            Ok(ExitCode::SUCCESS)
        }
        "run" => run::run(&workspace, &run_options(&mut args)?),
        "test" => test::run(&workspace, &test_options(&mut args)?),
        "panel" => {
            no_more(&mut args)?;
            panel::build(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        "bench" => bench::run(&workspace, &bench_options(&mut args)?),
        "image" => image::run(&workspace, &image_options(&mut args)?),
        "screenshots" => {
            let folder = match args.next()? {
                Some(Value(folder)) => Some(std::path::absolute(folder)?),
                None => None,
                Some(other) => return Err(other.unexpected().into()),
            };
            no_more(&mut args)?;
            run::screenshots(&workspace, folder)?;
            Ok(ExitCode::SUCCESS)
        }
        "setup" => {
            no_more(&mut args)?;
            test::set_up(&workspace, &test::Options::default())?;
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}

fn run_options(args: &mut lexopt::Parser) -> Result<run::Options> {
    let mut options = run::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("headless") => options.headless = true,
            Long("demo") => options.demo = true,
            // lexopt hands over what follows `--` as values.
            Value(value) => options.passed_on.push(value),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn test_options(args: &mut lexopt::Parser) -> Result<test::Options> {
    let mut options = test::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("quick") => options.quick = true,
            Long("only") => options.only.push(args.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn bench_options(args: &mut lexopt::Parser) -> Result<bench::Options> {
    let mut options = bench::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("seconds") => options.seconds = args.value()?.parse()?,
            Long("only") => options.only.push(args.value()?.string()?),
            Long("profile") => options.profile = args.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn image_options(args: &mut lexopt::Parser) -> Result<image::Options> {
    let mut options = image::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("arch") => options.arch = Some(args.value()?.string()?),
            Long("tag") => options.tag = args.value()?.string()?,
            Long("profile") => options.profile = args.value()?.string()?,
            Long("files") => options.files = Some(args.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn no_more(args: &mut lexopt::Parser) -> Result<()> {
    match args.next()? {
        None => Ok(()),
        Some(extra) => Err(extra.unexpected().into()),
    }
}

/// Shows an argument that need not be Unicode.
fn shown(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}
