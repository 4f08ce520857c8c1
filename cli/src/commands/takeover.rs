//! `gemini-balance takeover`: the original program's SQLite file becomes ours.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use contract::admin::Takeover;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::takeover::FileTakeover;

use super::say;

const FILE: &str = "file";

/// Describes the command, without the settings.
pub fn command() -> Command {
    Command::new("takeover")
        .about("Takes over keys, tokens and settings of the original gemini-balance")
        .long_about(
            "Takes over the SQLite database of the original gemini-balance (the file default_db in \
             its folder data): Gemini keys, client tokens, the panel's password, settings, and the \
             sums of its request log. The file is only read. Needs the settings that the server \
             has (DATA_DIR, SECRET_KEY, the database); it may run meanwhile. A file called \
             default_db in DATA_DIR, and the original's tables in the MySQL database that is used, \
             are taken over at the first start without this command.",
        )
        .arg(
            Arg::new(FILE)
                .required(true)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The original's database"),
        )
}

/// Runs the command.
///
/// # Errors
/// When a database cannot be used, or one of the original was taken over before.
pub async fn run(settings: Settings, matches: &ArgMatches) -> anyhow::Result<()> {
    let file = matches
        .get_one::<PathBuf>(FILE)
        .cloned()
        .unwrap_or_default();
    let (master, sealing) = settings.sealing_key()?;
    let takeover = FileTakeover::open(&settings, master, sealing, Clock::system()).await?;
    let done = takeover.run(&settings, &file).await;
    takeover.close().await;
    say(&told(&done?))
}

fn told(report: &Takeover) -> String {
    let mut text = format!(
        "Taken over: {} Gemini keys, {} client tokens, {} days of request log.\n",
        report.keys, report.tokens, report.log_days
    );
    if report.auth_token {
        text.push_str("The original's AUTH_TOKEN is the panel's password now.\n");
    }
    if !report.settings.is_empty() {
        // Writing to a text does not fail.
        let _ = writeln!(text, "Settings: {}.", report.settings.join(", "));
    }
    if !report.ignored.is_empty() {
        text.push_str("Not taken over:\n");
    }
    for one in &report.ignored {
        let _ = writeln!(text, "  {}: {}", one.name, one.reason.en);
    }
    text.push_str("The original's file was left as it is.\n");
    text
}
