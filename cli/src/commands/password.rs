//! `gemini-balance password`: the way back into the panel.
//!
//! It works on the database itself, with the settings that the server has, so it needs no
//! password and no running server; one that runs takes the new password at once.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use proxy_core::clock::Clock;
use proxy_core::reset::PanelReset;
use proxy_core::settings::Settings;
use vault::Secret;

use super::say;

/// Keeps the second factor.
const KEEP: &str = "keep-second-factor";
/// Switches it off without asking.
const DROP: &str = "drop-second-factor";

/// Describes the command, without the settings.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new("password")
        .about("Sets another password for the panel, and ends all its sessions")
        .long_about(
            "Sets another password for the panel, ends all its sessions, and switches the second \
             factor off after asking. The password is asked for, or read from the first line of \
             the standard input. Needs the settings that the server has (DATA_DIR, SECRET_KEY, \
             the database); it may run meanwhile. Where no command can be run, as on a container \
             platform: change the variable AUTH_TOKEN and start anew, which signs in as well; with \
             RESET_SECOND_FACTOR=true that start also switches the second factor off.",
        )
        .arg(flag(KEEP, "Leave the second factor on"))
        .arg(flag(DROP, "Switch the second factor off without asking").conflicts_with(KEEP))
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be used, or the password is not acceptable.
pub async fn run(settings: Settings, matches: &ArgMatches) -> anyhow::Result<()> {
    let (master, sealing) = settings.sealing_key()?;
    let reset = PanelReset::open(&settings, master, sealing, Clock::system()).await?;
    let done = set(&reset, matches).await;
    reset.close().await;
    done
}

async fn set(reset: &PanelReset, matches: &ArgMatches) -> anyhow::Result<()> {
    let has_factor = reset.has_second_factor().await?;
    let password = ask_password()?;
    let keep = !has_factor || matches.get_flag(KEEP);
    if !keep && !matches.get_flag(DROP) && !agrees()? {
        bail!("nothing was changed; use --{KEEP} to leave the second factor on");
    }
    reset.set(&password, keep).await?;
    let factor = match (has_factor, keep) {
        (false, _) => "",
        (true, true) => " The second factor is still on.",
        (true, false) => " The second factor is off.",
    };
    say(&format!(
        "The panel's password is set, and all sessions have ended.{factor}\n"
    ))
}

/// The new password: typed twice without being shown, or the first line of what is piped in.
fn ask_password() -> anyhow::Result<Secret> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mut line = String::new();
        stdin
            .lock()
            .read_line(&mut line)
            .context("the password cannot be read from the standard input")?;
        let length = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(length);
        if line.is_empty() {
            bail!("the standard input holds no password");
        }
        return Ok(Secret::new(line));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(Secret::new)
            .context("the password cannot be read from the terminal")
    };
    let password = ask("New password: ")?;
    if password != ask("Once more: ")? {
        bail!("the two differ; nothing was changed");
    }
    Ok(password)
}

/// Whether the user agrees to do without the second factor.
fn agrees() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "a second factor is on, and nobody can be asked about it here: say --{KEEP} or --{DROP}"
        );
    }
    say("Signing in asks for a second factor. Switch it off? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("the answer cannot be read from the terminal")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
