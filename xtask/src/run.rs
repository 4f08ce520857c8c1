//! `cargo xtask run`: from a checkout to a usable window or panel.

use std::collections::hash_map::RandomState;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::panel;
use crate::servers::Server;
use crate::setup;
use crate::shell;
use crate::stages::{self, DESKTOP_PACKAGE};
use crate::workspace::Workspace;

/// What the command line asked for.
#[derive(Default)]
pub(crate) struct Options {
    /// The server, even where there is a display.
    pub headless: bool,
    /// Against the fake Google and the fake clouds, with sample keys.
    pub demo: bool,
    /// Arguments for the program itself.
    pub passed_on: Vec<OsString>,
}

/// Keys for the demo, in both shapes; nobody's. The first two share a project, and so its
/// quota.
const DEMO_KEYS: [(&str, &str); 4] = [
    ("AIzaSyDEMO-0000000000000000000000000001", "demo-a"),
    ("AIzaSyDEMO-0000000000000000000000000002", "demo-a"),
    (
        "AQ.Ab8DEMO-000000000000000000000000000000000000000000003",
        "demo-b",
    ),
    (
        "AQ.Ab8DEMO-000000000000000000000000000000000000000000004",
        "demo-c",
    ),
];

/// The demo's Google has the quota of a free account, so that cooldowns can be seen, and
/// takes its time, so that streaming can.
const DEMO_GOOGLE: [&str; 6] = ["--rpm", "10", "--rpd", "250", "--pace", "60"];

/// The demo's clouds take their time as well, so that a deploy can be watched: milliseconds for
/// each step of one.
const DEMO_STEP: &str = "1500";

/// Builds the panel and starts the desktop app, or the server where there is no display.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    let headless = options.headless || no_display();
    if headless && !options.headless {
        println!(
            "There is no display here, so this starts the server; its panel opens in any browser."
        );
    }
    if !headless {
        stages::set_up_desktop(workspace)?;
    }
    panel::build(workspace)?;
    println!("Building the programs (some minutes the first time, seconds later).");
    let program = if headless {
        stages::build_programs(workspace, "dev")?;
        workspace.binary("debug", "gemini-balance")
    } else {
        stages::build_desktop(workspace)?;
        workspace.binary("debug", DESKTOP_PACKAGE)
    };
    println!("Ready after {}.\n", shell::spoken(started.elapsed()));

    let mut command = Command::new(&program);
    if headless {
        command.arg("serve");
    }
    command.args(&options.passed_on);
    if !options.passed_on.is_empty() {
        let arguments: Vec<String> = options.passed_on.iter().map(crate::shown).collect();
        println!("With {}.", arguments.join(" "));
    }
    if options.demo {
        // The fakes live as long as this function: they end with the program.
        let google = Server::start(
            Command::new(workspace.binary("debug", "fake-google"))
                .args(DEMO_GOOGLE)
                .arg("--keys")
                .arg(
                    DEMO_KEYS
                        .map(|(key, project)| format!("{key}@{project}"))
                        .join(","),
                ),
        )?;
        let clouds = Server::start_saying_all(
            Command::new(workspace.binary("debug", "fake-clouds"))
                .env("GB_SERVER_BIN", workspace.binary("debug", "gemini-balance"))
                .args(["--step", DEMO_STEP])
                .arg("--default")
                .arg(format!("BASE_URL={}/v1beta", google.address)),
        )?;
        into_demo(workspace, &google, &mut command)?;
        // By which the fake ClawCloud's apps are trusted.
        command.env("SSL_CERT_FILE", clouds.said("claw-ca"));
        println!("{}", tour(&clouds));
        return wait_for(&mut command);
    }
    become_it(&mut command)
}

/// Takes the pictures of the READMEs.
pub(crate) fn screenshots(workspace: &Workspace, folder: Option<PathBuf>) -> Result<()> {
    stages::set_up_browser(workspace)?;
    setup::system(workspace, &setup::CHINESE_FONT)?;
    panel::build(workspace)?;
    stages::build_programs(workspace, "dev")?;
    let script = workspace.root.join("e2e/browser/screenshots.mjs");
    let every_page = folder.is_some();
    let folder = folder.unwrap_or_else(|| workspace.root.join("docs/images"));
    shell::run(
        stages::node(workspace)?
            .arg(script)
            .arg(folder)
            .args(every_page.then_some("--all")),
    )
}

/// Whether a window could not be opened here.
fn no_display() -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "linux") && !set("DISPLAY") && !set("WAYLAND_DISPLAY")
}

/// Points a program at the fake Google, with sample keys and a data folder that is thrown
/// away, and says how to get in.
fn into_demo(workspace: &Workspace, google: &Server, command: &mut Command) -> Result<()> {
    let data = workspace.cache.join("demo");
    match fs::remove_dir_all(&data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", data.display()));
        }
        _ => {
            fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?
        }
    }
    // Made anew each time: the demo may listen on more than this machine when asked to.
    let password = format!("demo-{}", random());
    let token = format!("sk-demo-{}", random());
    command
        .env("DATA_DIR", &data)
        // The desktop app keeps everything in a folder of its own name.
        .env("GEMINI_BALANCE_DATA_DIR", &data)
        .env("BASE_URL", format!("{}/v1beta", google.address))
        .env("API_KEYS", DEMO_KEYS.map(|(key, _)| key).join(","))
        .env("ALLOWED_TOKENS", &token)
        .env("AUTH_TOKEN", &password);
    println!(
        "This is a demo: the answers come from a fake Google at {}, and everything you\n\
         change is gone at the next start.\n\n\
         \x20   panel's password   {password}\n\
         \x20   client token       {token}\n",
        google.address
    );
    Ok(())
}

/// How to put an instance online without an account anywhere.
fn tour(clouds: &Server) -> String {
    let said = |name| clouds.said(name);
    format!(
        "On the page \u{201c}Instances\u{201d}, \u{201c}Put one online\u{201d} works, too: the clouds are fakes, and what \
         runs\nthere is this program. Where it asks, type:\n\n\
         \x20   Render   API key                      {}\n\
         \x20            More, Another address        {}\n\
         \x20   Koyeb    API key                      {}\n\
         \x20            More, Another address        {}\n\
         \x20   ClawCloud Run, the text of the file   {}\n\
         \x20   all      Another image                {}\n",
        said("render-key"),
        said("render"),
        said("koyeb-key"),
        said("koyeb"),
        said("claw-kubeconfig"),
        said("image"),
    )
}

/// Some letters that nobody can guess.
fn random() -> String {
    // The standard library seeds every `RandomState` from the operating system.
    format!("{:012x}", RandomState::new().build_hasher().finish() >> 16)
}

/// Runs a program to its end and passes on how it ended.
fn wait_for(command: &mut Command) -> Result<ExitCode> {
    let name = PathBuf::from(command.get_program());
    let status = command
        .status()
        .with_context(|| format!("{} could not be started", name.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Turns this process into the program, so that signals reach it and nothing waits beside it.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let name = PathBuf::from(command.get_program());
    let error = command.exec();
    Err(error).with_context(|| format!("{} could not be started", name.display()))
}

/// Windows cannot replace a process.
#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Result<ExitCode> {
    wait_for(command)
}
