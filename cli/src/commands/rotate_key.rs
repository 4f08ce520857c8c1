//! `gemini-balance rotate-key`: another sealing key.
//!
//! Works on the database itself, like `password`. A server that runs finds a new key file by
//! itself; one with `SECRET_KEY` goes on answering, saves nothing secret, and has to be started
//! with the new one.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use contract::admin::Sealing;
use proxy_core::clock::Clock;
use proxy_core::rotation::KeyRotation;
use proxy_core::settings::Settings;
use vault::Secret;

use super::say;

/// The variable with the new `SECRET_KEY`.
const VARIABLE: &str = "NEW_SECRET_KEY";
/// The file with it.
const FILE: &str = "new-secret-key-file";

/// Describes the command, without the settings.
pub fn command() -> Command {
    Command::new("rotate-key")
        .about("Seals all secrets in the database with another key")
        .long_about(
            "Seals all secrets in the database with another key, all or none. Where the key is the \
             file master.key, a new one takes its place. Where it comes from SECRET_KEY, the new \
             one is read from the variable NEW_SECRET_KEY, from a file, or asked for; start the \
             server with it afterwards. Needs the settings that the server has (DATA_DIR, the \
             present SECRET_KEY, the database); it may run meanwhile. Backups made before still \
             need the old key.",
        )
        .arg(
            Arg::new(FILE)
                .long(FILE)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The first line of this file is the new SECRET_KEY; - reads standard input"),
        )
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be used, or the new key is not acceptable; then the old one holds.
pub async fn run(settings: Settings, matches: &ArgMatches) -> anyhow::Result<()> {
    let (master, sealing) = settings.sealing_key()?;
    let rotation = KeyRotation::open(&settings, master, sealing, Clock::system()).await?;
    let done = rotate(&rotation, &settings, matches).await;
    rotation.close().await;
    done
}

async fn rotate(
    rotation: &KeyRotation,
    settings: &Settings,
    matches: &ArgMatches,
) -> anyhow::Result<()> {
    let given = given(matches)?;
    let new = match (rotation.sealing(), given) {
        (Sealing::NotStored | Sealing::Clear, _) => bail!(
            "there is no sealing key to replace: start the server with SECRET_KEY, and what is \
             stored in clear is sealed at that start"
        ),
        (Sealing::KeyFile, None) => {
            rotation.to_new_key_file().await?;
            return say(
                "All secrets are sealed with a new key, which is in the file master.key now. A \
                 server that runs uses it already. Copy the file to where you keep the old one; \
                 backups of the database made before need the old one.\n",
            );
        }
        (_, Some(new)) => new,
        (_, None) => ask()?,
    };
    if settings.secret_key.as_ref() == Some(&new) {
        bail!("the new key is the present one; nothing was changed");
    }
    rotation.to_secret_key(&new).await?;
    say(
        "All secrets are sealed with the new key. Change the variable SECRET_KEY to it now, and \
         start the server anew: until then it goes on answering, but saves nothing secret, and \
         it does not start with the old one. Keep the old one as long as you keep backups of \
         the database made before.\n",
    )
}

/// The new key, where it is in the environment or in a file.
fn given(matches: &ArgMatches) -> anyhow::Result<Option<Secret>> {
    let line = match (
        matches.get_one::<PathBuf>(FILE),
        std::env::var(VARIABLE).ok(),
    ) {
        (Some(file), _) if file.as_os_str() == "-" => {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .context("the new key cannot be read from the standard input")?;
            line
        }
        (Some(file), _) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?,
        // The variable has no flag: other users can see command lines.
        (None, Some(text)) => text,
        (None, None) => return Ok(None),
    };
    let line = Secret::new(line);
    let first = Secret::from(line.expose().lines().next().unwrap_or_default().trim());
    if first.expose().is_empty() {
        bail!("the new key is empty; nothing was changed");
    }
    Ok(Some(first))
}

/// The new key, typed twice without being shown.
fn ask() -> anyhow::Result<Secret> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "give the new key in the variable {VARIABLE} or with --{FILE}; `openssl rand -hex 32` \
             makes a good one"
        );
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(|typed| Secret::from(typed.trim()))
            .context("the key cannot be read from the terminal")
    };
    let new = ask("New SECRET_KEY: ")?;
    if new != ask("Once more: ")? {
        bail!("the two differ; nothing was changed");
    }
    Ok(new)
}
