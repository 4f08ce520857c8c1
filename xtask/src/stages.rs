//! The stages of `cargo xtask test`: for each what it installs and what it runs.
//!
//! Nothing here may change `RUSTFLAGS` or features between stages: either makes cargo
//! compile the third-party crates once more. Lints are turned into errors by clippy's own
//! arguments, which reach our crates only.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::panel as panel_build;
use crate::servers::Server;
use crate::setup;
use crate::shell;
use crate::test::Run;
use crate::workspace::Workspace;

/// How a stage ended when it did not fail.
pub(crate) enum Outcome {
    /// It holds.
    Passed,
    /// It cannot be tried on this machine, for this reason.
    Skipped(String),
}

/// The name of the desktop package, which is also its program's.
pub(crate) const DESKTOP_PACKAGE: &str = "gemini-balance-desktop";

/// Lints that are warnings while one works and errors here.
const DENIED: [&str; 5] = ["--", "-D", "warnings", "-D", "missing_docs"];

pub(crate) fn nothing(_: &Workspace) -> Result<()> {
    Ok(())
}

// ── fmt ─────────────────────────────────────────────────────────────────────────

pub(crate) fn fmt(run: &Run<'_>) -> Result<Outcome> {
    // Names the files; the differences themselves would bury the rest of the output.
    let arguments = ["fmt", "--all", "--check", "--", "--files-with-diff"];
    shell::run(shell::cargo(run.workspace).args(arguments))
        .context("`cargo fmt --all` puts it right")?;
    Ok(Outcome::Passed)
}

// ── panel ───────────────────────────────────────────────────────────────────────

pub(crate) fn panel(run: &Run<'_>) -> Result<Outcome> {
    panel_build::build(run.workspace)?;
    Ok(Outcome::Passed)
}

// ── clippy ──────────────────────────────────────────────────────────────────────

pub(crate) fn set_up_clippy(workspace: &Workspace) -> Result<()> {
    setup::wasm_target(workspace)
}

pub(crate) fn clippy(run: &Run<'_>) -> Result<Outcome> {
    let workspace = run.workspace;
    let mut native = shell::cargo(workspace);
    native.args(["clippy", "--locked", "--all-targets"]);
    if !run.quick {
        set_up_desktop(workspace)?;
        native.arg("--workspace");
    }
    shell::run(native.args(DENIED))?;
    shell::run(
        shell::cargo(workspace)
            .args([
                "clippy",
                "--locked",
                "--package=ui",
                "--target=wasm32-unknown-unknown",
            ])
            .args(DENIED),
    )?;
    Ok(Outcome::Passed)
}

// ── deny ────────────────────────────────────────────────────────────────────────

pub(crate) fn set_up_deny(workspace: &Workspace) -> Result<()> {
    setup::cargo_tool(workspace, &setup::CARGO_DENY).map(drop)
}

pub(crate) fn deny(run: &Run<'_>) -> Result<Outcome> {
    let workspace = run.workspace;
    let tool = setup::cargo_tool(workspace, &setup::CARGO_DENY)?;
    let deny = |arguments: &[&str]| {
        let mut command = shell::program(workspace, &tool);
        command
            .args(["--workspace", "--all-features", "--locked"])
            .args(arguments);
        command
    };
    shell::run(&mut deny(&["check", "bans", "licenses", "sources"]))?;
    // The advisories live in a git repository, which a closed network does not reach. A
    // stage that fails for that would only teach people to ignore it.
    if shell::succeeds(&mut deny(&["fetch", "db"])) {
        shell::run(&mut deny(&["--offline", "check", "advisories"]))?;
    } else {
        println!(
            "  The advisory database cannot be fetched from here, so advisories were not checked; CI on GitHub checks them."
        );
    }
    Ok(Outcome::Passed)
}

// ── build, tests, doc ───────────────────────────────────────────────────────────

pub(crate) fn set_up_desktop(workspace: &Workspace) -> Result<()> {
    setup::system(workspace, &setup::DESKTOP)
}

pub(crate) fn build(run: &Run<'_>) -> Result<Outcome> {
    // Free when the stage `panel` went before; with `--only` it may not have.
    panel_build::build(run.workspace)?;
    // Programs and tests in one go: cargo chooses features once, so neither this stage's
    // programs nor the next stage's tests are compiled twice.
    shell::run(shell::cargo(run.workspace).args([
        "build",
        "--locked",
        "--workspace",
        "--all-targets",
    ]))?;
    Ok(Outcome::Passed)
}

pub(crate) fn set_up_tests(workspace: &Workspace) -> Result<()> {
    setup::system(workspace, &setup::MARIADB)?;
    setup::system(workspace, &setup::SQLITE)?;
    setup::cargo_tool(workspace, &setup::NEXTEST).map(drop)
}

pub(crate) fn tests(run: &Run<'_>) -> Result<Outcome> {
    let workspace = run.workspace;
    if !run.quick {
        set_up_desktop(workspace)?;
    }
    let nextest = setup::cargo_tool(workspace, &setup::NEXTEST)?;
    let nextest = || -> Result<Command> {
        let mut command = shell::cargo(workspace);
        if let Some(folder) = nextest.parent() {
            command.env("PATH", shell::path_with(&[folder])?);
        }
        command.args(["nextest", "run", "--locked"]);
        if !run.quick {
            command.args(["--workspace", "--all-targets"]);
        }
        Ok(command)
    };
    // Compiles the program that is started next, with the features of what runs after it.
    shell::run(nextest()?.arg("--no-run"))?;
    let database = shared_database(workspace)?;
    let mut command = nextest()?;
    command.arg("--no-fail-fast");
    if let Some(database) = &database {
        command.env("GB_TEST_MARIADB", &database.address);
    }
    // Fake clouds run it; its own tests have just had it compiled.
    command.env("GB_SERVER_BIN", workspace.binary("debug", "gemini-balance"));
    if shell::in_ci() {
        command.args(["--profile", "ci"]);
    }
    shell::run(&mut command)?;
    Ok(Outcome::Passed)
}

/// The MariaDB that all tests share: every test is a process of its own, and each would
/// take a second or two to start one. `None` where tests do without.
fn shared_database(workspace: &Workspace) -> Result<Option<Server>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let program = workspace.binary("debug", "test-mariadb");
    // Its one line is for testkit to read, not for us.
    Server::start_saying(&mut shell::program(workspace, program), |line| {
        Some(line.to_owned())
    })
    .map(Some)
}

pub(crate) fn doc(run: &Run<'_>) -> Result<Outcome> {
    shell::run(shell::cargo(run.workspace).args(["test", "--locked", "--workspace", "--doc"]))?;
    shell::run(
        shell::cargo(run.workspace)
            // These pages are for whoever works on this, so they show private items, too.
            .env(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private_intra_doc_links",
            )
            .args([
                "doc",
                "--locked",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ]),
    )?;
    Ok(Outcome::Passed)
}

/// Builds the server and the fake Google, with the panel that belongs to them, when the
/// stages `panel` and `build` have not.
fn programs(run: &Run<'_>) -> Result<()> {
    if run.built {
        return Ok(());
    }
    panel_build::build(run.workspace)?;
    build_programs(run.workspace, "dev")
}

/// Builds the server and the fake Google and nothing else. Always both, so that every
/// command that needs one of them finds the other's crates compiled alike.
pub(crate) fn build_programs(workspace: &Workspace, profile: &str) -> Result<()> {
    shell::run(shell::cargo(workspace).args([
        "build",
        "--locked",
        "--package=cli",
        "--package=testkit",
        "--bins",
        "--profile",
        profile,
    ]))
}

/// Builds the desktop app, and what runs beside it in its demo and its test: the fakes, and the
/// server that the fake clouds run.
pub(crate) fn build_desktop(workspace: &Workspace) -> Result<()> {
    shell::run(shell::cargo(workspace).args([
        "build",
        "--locked",
        "--package",
        DESKTOP_PACKAGE,
        "--package=cli",
        "--package=testkit",
        "--bins",
    ]))
}

/// Tells a test where the programs are.
fn with_programs(command: &mut Command, workspace: &Workspace) -> Result<()> {
    for (variable, name) in [
        ("GB_SERVER_BIN", "gemini-balance"),
        ("GB_FAKE_GOOGLE_BIN", "fake-google"),
        ("GB_FAKE_CLOUDS_BIN", "fake-clouds"),
        ("GB_DESKTOP_BIN", DESKTOP_PACKAGE),
    ] {
        command.env(variable, workspace.binary("debug", name));
    }
    if let Some(browser) = browser_program() {
        command.env("GB_CHROMIUM", browser);
    }
    // A proxy of the developer's must not come between a test and its own servers.
    for variable in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(variable);
    }
    Ok(())
}

// ── wasm ────────────────────────────────────────────────────────────────────────

pub(crate) fn set_up_wasm(workspace: &Workspace) -> Result<()> {
    if !has_wasm_tests(workspace)? {
        return Ok(());
    }
    setup::wasm_target(workspace)?;
    setup::system(workspace, &setup::BROWSER)?;
    setup::system(workspace, &setup::BROWSER_DRIVER)?;
    setup::cargo_tool(workspace, &setup::WASM_BINDGEN).map(drop)
}

pub(crate) fn wasm(run: &Run<'_>) -> Result<Outcome> {
    let workspace = run.workspace;
    if !has_wasm_tests(workspace)? {
        return Ok(Outcome::Skipped(
            "no file below ui/ names wasm_bindgen_test".to_owned(),
        ));
    }
    let tool = setup::cargo_tool(workspace, &setup::WASM_BINDGEN)?;
    let folder = tool.parent().context("a program has a folder")?;
    let driver = shell::which("chromedriver")
        .context("chromedriver is not on PATH; it comes with Chrome and Chromium")?;
    shell::run(
        shell::cargo(workspace)
            .env("PATH", shell::path_with(&[folder])?)
            .env("CHROMEDRIVER", driver)
            .args([
                "test",
                "--locked",
                "--package=ui",
                "--target=wasm32-unknown-unknown",
            ]),
    )?;
    Ok(Outcome::Passed)
}

fn has_wasm_tests(workspace: &Workspace) -> Result<bool> {
    let mut files = Vec::new();
    for folder in ["ui/src", "ui/tests"] {
        files_ending(&workspace.root.join(folder), ".rs", &mut files)?;
    }
    Ok(files
        .iter()
        .any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("wasm_bindgen_test"))))
}

// ── browser ─────────────────────────────────────────────────────────────────────

pub(crate) fn set_up_browser(workspace: &Workspace) -> Result<()> {
    setup::system(workspace, &setup::NODE)?;
    setup::system(workspace, &setup::BROWSER)?;
    node_modules(workspace, "e2e")
}

pub(crate) fn browser(run: &Run<'_>) -> Result<Outcome> {
    programs(run)?;
    node_tests(run.workspace, "e2e/browser", &[])?;
    Ok(Outcome::Passed)
}

/// The browser that tests drive.
fn browser_program() -> Option<PathBuf> {
    let usual = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ];
    env::var_os("GB_CHROMIUM")
        .map(PathBuf::from)
        .or_else(|| {
            ["chromium", "chromium-browser", "google-chrome"]
                .iter()
                .find_map(|name| shell::which(name))
        })
        .or_else(|| usual.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Installs what the tests in this folder import.
fn node_modules(workspace: &Workspace, folder: &str) -> Result<()> {
    let folder = workspace.root.join(folder);
    let lock = folder.join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let mark = folder.join("node_modules/.installed-from");
    if fs::read(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("Installing packages of tests by npm: up to a minute.");
    let npm = shell::which("npm").context("npm is not on PATH; it comes with Node.js")?;
    shell::run(
        shell::program(workspace, npm)
            .current_dir(&folder)
            // playwright-core would fetch no browser by itself; this makes sure of it.
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
            // Nothing that is used here needs what packages would run when they are installed.
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]),
    )?;
    fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))
}

/// A node command in `e2e/` that knows where our programs are.
pub(crate) fn node(workspace: &Workspace) -> Result<Command> {
    node_modules(workspace, "e2e")?;
    let mut command = shell::program(workspace, "node");
    with_programs(&mut command, workspace)?;
    Ok(command)
}

/// Runs every `*.test.mjs` of a folder. The files are named one by one, because Node's
/// versions disagree about what a folder's name means.
fn node_tests(workspace: &Workspace, folder: &str, environment: &[(&str, &Path)]) -> Result<()> {
    let mut files = Vec::new();
    files_ending(&workspace.root.join(folder), ".test.mjs", &mut files)?;
    // What npm installed may have tests of its own.
    files.retain(|file| !file.iter().any(|name| name == "node_modules"));
    if files.is_empty() {
        bail!("{folder} has no *.test.mjs");
    }
    files.sort();
    let mut command = node(workspace)?;
    // One file at a time: each has a browser and two servers, and there may be two cores.
    command
        .args(["--test", "--test-concurrency=1"])
        .args(&files);
    for (name, value) in environment {
        command.env(name, value);
    }
    shell::run(&mut command)
}

// ── window ──────────────────────────────────────────────────────────────────────

pub(crate) fn set_up_window(workspace: &Workspace) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    set_up_desktop(workspace)?;
    setup::system(workspace, &setup::NODE)?;
    setup::system(workspace, &setup::PYTHON)?;
    setup::system(workspace, &setup::WINDOW_TEST)?;
    setup::cargo_tool(workspace, &setup::TAURI_DRIVER).map(drop)
}

pub(crate) fn window(run: &Run<'_>) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped(
            "only WebKitGTK has a driver that needs no person".to_owned(),
        ));
    }
    let workspace = run.workspace;
    if !run.built {
        panel_build::build(workspace)?;
        build_desktop(workspace)?;
    }
    let driver = setup::cargo_tool(workspace, &setup::TAURI_DRIVER)?;
    node_tests(workspace, "e2e/desktop", &[("TAURI_DRIVER", &driver)])?;
    Ok(Outcome::Passed)
}

// ── sdk ─────────────────────────────────────────────────────────────────────────

pub(crate) fn set_up_sdk(workspace: &Workspace) -> Result<()> {
    setup::system(workspace, &setup::PYTHON)?;
    python(workspace)?;
    setup::system(workspace, &setup::NODE)?;
    node_modules(workspace, "e2e")
}

pub(crate) fn sdk(run: &Run<'_>) -> Result<Outcome> {
    programs(run)?;
    let mut command = shell::program(run.workspace, python(run.workspace)?);
    with_programs(&mut command, run.workspace)?;
    shell::run(command.env("PYTHONDONTWRITEBYTECODE", "1").args([
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "e2e/sdk",
    ]))?;
    node_tests(run.workspace, "e2e/sdk", &[])?;
    Ok(Outcome::Passed)
}

pub(crate) fn set_up_agents(workspace: &Workspace) -> Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    setup::system(workspace, &setup::NODE)?;
    node_modules(workspace, "e2e")?;
    node_modules(workspace, AGENTS)
}

/// Where the agents are: apart from the SDKs, because they are as big as everything else together.
const AGENTS: &str = "e2e/agents";

pub(crate) fn agents(run: &Run<'_>) -> Result<Outcome> {
    if cfg!(windows) {
        return Ok(Outcome::Skipped(
            "the fake model tells the agents to run Unix commands".to_owned(),
        ));
    }
    programs(run)?;
    node_tests(run.workspace, AGENTS, &[])?;
    Ok(Outcome::Passed)
}

/// The Python that has the SDKs: a virtual environment in the cache, one per content of
/// requirements.txt.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let list = workspace.root.join("e2e/sdk/requirements.txt");
    let wanted = fs::read(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let home = workspace
        .cache
        .join(format!("python-{:016x}", hasher.finish()));
    let python = if cfg!(windows) {
        home.join("Scripts/python.exe")
    } else {
        home.join("bin/python")
    };
    let mark = home.join("complete");
    if mark.is_file() {
        return Ok(python);
    }
    println!(
        "Installing the official SDKs in a Python environment of their own: about 30 seconds."
    );
    let base = shell::which("python3")
        .or_else(|| shell::which("python"))
        .context("python3 is not on PATH; the SDK tests need it")?;
    shell::run(
        shell::program(workspace, base)
            .args(["-m", "venv", "--clear"])
            .arg(&home),
    )?;
    shell::run(
        shell::program(workspace, &python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(&list),
    )?;
    fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(python)
}

// ── files ───────────────────────────────────────────────────────────────────────

/// Collects the files below a folder whose name has this end; none when there is no folder.
fn files_ending(folder: &Path, end: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        if path.is_dir() {
            files_ending(&path, end, found)?;
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    Ok(())
}
