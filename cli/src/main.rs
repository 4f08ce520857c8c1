//! `gemini-balance` on the command line, and in a container.
//!
//! Thin: it reads the settings (flags before environment), starts the core, and waits for
//! the signal to stop.

mod commands;
mod logging;
mod panel;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use contract::admin::SettingGroup;
use proxy_core::clock::Clock;
use proxy_core::settings::{DECLARATIONS, Declaration, OnSettings, Settings};
use proxy_core::{CoreConfig, Running};

/// How long streams may go on after the signal to stop. Render and Kubernetes kill a
/// container 30 seconds after they asked it to end; [`logging::FLUSH`] needs the rest.
const PATIENCE: Duration = Duration::from_secs(25);

fn main() -> ExitCode {
    let matches = command().get_matches();
    let done = match matches.subcommand() {
        Some(("serve", matches)) => serve(matches),
        Some(("health", matches)) => command_runs(matches, commands::health::run),
        Some(("doctor", matches)) => command_runs(matches, commands::doctor::run),
        Some(("password", matches)) => command_runs(matches, commands::password::run),
        Some(("rotate-key", matches)) => command_runs(matches, commands::rotate_key::run),
        Some(("takeover", matches)) => command_runs(matches, commands::takeover::run),
        Some(("backup", matches)) => command_runs(matches, commands::backup::make),
        Some(("backups", matches)) => command_runs(matches, commands::backup::list),
        Some(("restore", matches)) => command_runs(matches, commands::backup::restore),
        Some(("deploy", matches)) => command_runs(matches, commands::deploy::run),
        // clap insists on a subcommand that it knows.
        _ => return ExitCode::FAILURE,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The error is the program's result; without it nothing is running.
            let _ = writeln!(std::io::stderr(), "gemini-balance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let mut serve = Command::new("serve")
        .about("Answers clients, and shows the panel")
        .after_help(
            "Every flag has an environment variable of the same meaning; the flag wins. \
             Prefer the environment for secrets: other users can see command lines.",
        );
    let mut others = vec![
        commands::health::command(),
        commands::doctor::command(),
        commands::password::command(),
        commands::rotate_key::command(),
        commands::takeover::command(),
    ];
    others.extend(commands::backup::commands());
    for declaration in DECLARATIONS {
        serve = serve.arg(flag(declaration));
    }
    // What they work on is found by the same settings; their help names those that matter.
    let others = others.into_iter().map(|command| {
        let of_health = command.get_name() == "health";
        command.args(DECLARATIONS.iter().map(|one| match of_health {
            true => flag(one).hide(!["HOST", "PORT"].contains(&one.name)),
            false => flag(one).hide(!finds_the_database(one)),
        }))
    });
    Command::new("gemini-balance")
        .version(env!("CARGO_PKG_VERSION"))
        .about("One address and one token for all your Gemini keys")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve)
        .subcommands(others)
        // Its own commands take the settings, too, wherever they stand.
        .subcommand(
            commands::deploy::command().args(
                DECLARATIONS
                    .iter()
                    .map(|one| flag(one).global(true).hide(!finds_the_database(one))),
            ),
        )
}

/// Whether a setting says where the database is and what opens it. The other settings are
/// taken by every command, so that one environment serves all, and change nothing there.
fn finds_the_database(declaration: &Declaration) -> bool {
    declaration.name == "DATA_DIR"
        || (declaration.environment_only && declaration.group == SettingGroup::Data)
}

/// The flag of one setting. Its value is validated with all the others, by
/// [`Settings::load`].
fn flag(declaration: &Declaration) -> Arg {
    let default = match declaration.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    Arg::new(declaration.name)
        .long(declaration.flag)
        .env(declaration.name)
        .hide_env_values(true)
        .value_name("VALUE")
        .help(format!("{}{default}", declaration.help.en))
}

fn serve(matches: &ArgMatches) -> anyhow::Result<()> {
    let settings = settings(matches)?;
    let clock = Clock::system();
    let log = logging::start(&settings, &clock);
    let done = tokio::runtime::Builder::new_multi_thread()
        // Requests run on the core's own workers; this is for the store and the signals.
        .worker_threads(1)
        .enable_all()
        .build()
        .context("the operating system refused to start the runtime")?
        .block_on(run(settings, clock, log.follow.clone()));
    log.end();
    done
}

/// Runs a command that works on the database and ends.
fn command_runs(
    matches: &ArgMatches,
    run: impl AsyncFnOnce(Settings, &ArgMatches) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = settings(matches)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the operating system refused to start the runtime")?
        .block_on(run(settings, matches))
}

fn settings(matches: &ArgMatches) -> anyhow::Result<Settings> {
    let default_dir = directories::ProjectDirs::from("", "", "gemini-balance")
        .map(|dirs| dirs.data_dir().display().to_string());
    let value = |name: &str| {
        let given = matches
            .get_one::<String>(name)
            .filter(|given| !given.trim().is_empty());
        match (name, given) {
            ("DATA_DIR", None) => default_dir.clone(),
            (_, given) => given.cloned(),
        }
    };
    Settings::load(value).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
        anyhow::anyhow!("these settings are not acceptable:{}", lines.concat())
    })
}

async fn run(settings: Settings, clock: Clock, log: OnSettings) -> anyhow::Result<()> {
    let (master, sealing) = settings.sealing_key()?;
    let extend = settings
        .deployer
        .then(|| deployer::extend(deployer::providers()));
    let running = proxy_core::start(CoreConfig {
        settings,
        on_settings: Some(log),
        master,
        sealing,
        clock,
        panel: panel::router(),
        extend,
    })
    .await?;
    let mut codes = running.core().setup_codes();
    announce(&running).context("cannot write to standard output")?;
    loop {
        tokio::select! {
            stopped = stopped() => break stopped?,
            changed = codes.changed() => match changed {
                Ok(()) => announce_setup(&running).context("cannot write to standard output")?,
                Err(_) => break stopped().await?,
            },
        }
    }
    tracing::info!("stopping; answers that are under way may end (ask again to stop at once)");
    tokio::select! {
        () = running.shutdown(PATIENCE) => {}
        asked_again = stopped() => asked_again?,
    }
    Ok(())
}

/// Says where it listens, in a line that programs can read, and how to set it up.
fn announce(running: &Running) -> std::io::Result<()> {
    let (address, panel) = (running.address(), running.panel_address());
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    if panel != address {
        writeln!(out, "the panel is on {panel}")?;
    }
    out.flush()?;
    drop(out);
    announce_setup(running)
}

/// Says how to set it up, when nobody can sign in yet.
fn announce_setup(running: &Running) -> std::io::Result<()> {
    let Some(code) = running.core().setup_code() else {
        return Ok(());
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "set up here (the link works once): {}/#/setup?code={}",
        running.panel_address(),
        code.expose()
    )?;
    out.flush()
}

/// Waits until the program is asked to end.
async fn stopped() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c().await?)
}
