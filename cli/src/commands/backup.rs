//! `gemini-balance backup`, `backups` and `restore`: copies of the SQLite database.
//!
//! They work on the files, so no server need run. One that runs may go on while a backup is
//! made; to go back to one it has to be stopped, or asked in its panel.

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use contract::admin::{BackupReason, BackupView};
use proxy_core::backups::Backups;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::store::StoreError;

use super::print;

/// What to go back to.
const FROM: &str = "from";

/// Describes the commands, without the settings.
pub fn commands() -> [Command; 3] {
    [
        Command::new("backup")
            .about("Backs the SQLite database up, whether a server uses it or not")
            .long_about(
                "Copies the SQLite database to the folder backups beside it, and prints the path \
                 of the copy. A server may use the database meanwhile. Keep the master key \
                 (SECRET_KEY, or the file master.key) somewhere else as well: without it the \
                 Gemini keys in a backup cannot be opened.",
            ),
        Command::new("backups").about("Lists the backups of the SQLite database, the newest first"),
        Command::new("restore")
            .about("Goes back to a backup of the SQLite database")
            .long_about(
                "Puts a backup in the database's place, after checking it and backing up what is \
                 there now. The server has to be stopped; while it runs, use the page Data of its \
                 panel. The panel's password, its second factor and its sessions stay what they \
                 are now, as far as there are any.",
            )
            .arg(
                Arg::new(FROM)
                    .required(true)
                    .value_name("NAME|FILE")
                    .help("A name that `backups` lists, or the path of a copy of the database"),
            ),
    ]
}

/// Runs `backup`.
///
/// # Errors
/// When the database cannot be copied.
pub async fn make(settings: Settings, _: &ArgMatches) -> anyhow::Result<()> {
    let made = open(&settings)?.make().await?;
    let path = settings.data_dir.join("backups").join(&made.name);
    print(&format!("{}\n", path.display()))
}

/// Runs `backups`.
///
/// # Errors
/// When they cannot be listed.
pub async fn list(settings: Settings, _: &ArgMatches) -> anyhow::Result<()> {
    let lines: Vec<String> = open(&settings)?.list()?.iter().map(line).collect();
    print(&lines.concat())
}

/// Runs `restore`.
///
/// # Errors
/// When the backup cannot be used, or a server runs.
pub async fn restore(settings: Settings, matches: &ArgMatches) -> anyhow::Result<()> {
    let from = matches.get_one::<String>(FROM).map_or("", String::as_str);
    match open(&settings)?.restore(from).await {
        Ok(()) => {}
        Err(error @ StoreError::Busy(_)) => {
            return Err(error).context(
                "nothing was changed. While the server runs, go back to a backup on the page \
                 Data of its panel",
            );
        }
        Err(error) => return Err(error.into()),
    }
    print(&format!(
        "The database is now what {from} holds. What was there before is the newest of the \
         backups.\n"
    ))
}

fn open(settings: &Settings) -> anyhow::Result<Backups> {
    let (master, sealing) = settings.sealing_key()?;
    Ok(Backups::new(settings, master, sealing, Clock::system()))
}

fn line(backup: &BackupView) -> String {
    let why = match backup.reason {
        BackupReason::Scheduled => "by schedule",
        BackupReason::Manual => "by hand",
        BackupReason::BeforeMigration => "before a new version changed the tables",
        BackupReason::BeforeRestore => "before another one was restored",
    };
    let kilobytes = backup.size_bytes.div_ceil(1024);
    format!("{}  {kilobytes} KB  {why}\n", backup.name)
}
