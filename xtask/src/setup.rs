//! Set-up: what a command needs is looked for first, and only what is missing is
//! installed, each with one line that says what it is for and how long it takes.
//!
//! Tools go to a folder of their own in the cache, one per version, so neither the user's
//! `~/.cargo/bin` nor a later version of this repository is disturbed. They are compiled
//! without debug information and with little optimisation: that halves the wait, and no
//! tool here works for longer than a few seconds.
//!
//! The minutes named below were measured on two cores of a 2026 server.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, which};
use crate::workspace::Workspace;

/// A tool that cargo compiles from crates.io.
pub(crate) struct CargoTool {
    package: &'static str,
    /// The program looked for and returned; a package may bring more of them.
    program: &'static str,
    version: Version,
    /// Whether the package's own lock file is to be used.
    locked: bool,
    /// What it is for and how long it takes to compile.
    says: &'static str,
    /// Whether any copy on PATH does as well: true where only the command line matters.
    any_version: bool,
}

enum Version {
    Exactly(&'static str),
    /// As this crate has in our Cargo.lock.
    AsLocked(&'static str),
}

/// Turns the wasm file into one that a browser loads; must be of our wasm-bindgen's version.
pub(crate) const WASM_BINDGEN: CargoTool = CargoTool {
    package: "wasm-bindgen-cli",
    program: "wasm-bindgen",
    version: Version::AsLocked("wasm-bindgen"),
    // Its lock file names a version that was withdrawn from crates.io.
    locked: false,
    says: "makes the panel loadable by browsers; about 2 minutes",
    any_version: false,
};

/// Runs tests.
pub(crate) const NEXTEST: CargoTool = CargoTool {
    package: "cargo-nextest",
    program: "cargo-nextest",
    version: Version::Exactly("0.9.143"),
    locked: true,
    says: "runs the tests; about 6 minutes",
    any_version: true,
};

/// Checks licences, sources and advisories of all dependencies.
pub(crate) const CARGO_DENY: CargoTool = CargoTool {
    package: "cargo-deny",
    program: "cargo-deny",
    version: Version::Exactly("0.20.2"),
    locked: true,
    says: "checks the dependencies' licences and origins; about 2 minutes",
    any_version: false,
};

/// Lets tests drive the desktop window.
pub(crate) const TAURI_DRIVER: CargoTool = CargoTool {
    package: "tauri-driver",
    program: "tauri-driver",
    version: Version::Exactly("2.1.0"),
    locked: true,
    says: "lets a test drive the desktop window; about 30 seconds",
    any_version: false,
};

/// Writes the list of crates into a program, from which SBOMs are made.
pub(crate) const CARGO_AUDITABLE: CargoTool = CargoTool {
    package: "cargo-auditable",
    program: "cargo-auditable",
    version: Version::Exactly("0.7.7"),
    locked: true,
    says: "writes the list of crates into the image's program; about 40 seconds",
    any_version: false,
};

/// Returns the tool's path, after compiling it when it is not there.
pub(crate) fn cargo_tool(workspace: &Workspace, tool: &CargoTool) -> Result<PathBuf> {
    if tool.any_version
        && let Some(path) = which(tool.program)
    {
        return Ok(path);
    }
    let version = match tool.version {
        Version::Exactly(version) => version.to_owned(),
        Version::AsLocked(name) => workspace
            .locked_version(name)?
            .with_context(|| format!("Cargo.lock has no {name}, so there is nothing to match"))?,
    };
    let root = workspace
        .cache
        .join("tools")
        .join(format!("{}-{version}", tool.package));
    let program = root
        .join("bin")
        .join(format!("{}{}", tool.program, env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    say(&format!("{} {version}", tool.package), tool.says);
    let mut install = shell::cargo(workspace);
    install
        // Not the shared target folder: every tool has profile settings of its own.
        .env("CARGO_TARGET_DIR", workspace.cache.join("tools/build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env_remove("RUSTFLAGS")
        .args(["install", "--debug", "--version", &version, "--root"])
        .arg(&root);
    if tool.locked {
        install.arg("--locked");
    }
    shell::run(install.arg(tool.package))?;
    Ok(program)
}

/// Makes sure rustc can compile for browsers.
pub(crate) fn wasm_target(workspace: &Workspace) -> Result<()> {
    rust_target(workspace, "wasm32-unknown-unknown", "browsers")
}

/// Makes sure rustc can compile for a target, which is for what `says` names.
pub(crate) fn rust_target(workspace: &Workspace, target: &str, says: &str) -> Result<()> {
    let sysroot = shell::output(shell::program(workspace, "rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(target);
    if library.is_dir() {
        return Ok(());
    }
    say(
        target,
        &format!("Rust's standard library for {says}, by rustup; a few seconds"),
    );
    if which("rustup").is_none() {
        bail!(
            "rustc cannot compile for {target} and there is no rustup to add it: install Rust \
             from https://rustup.rs, or your system's package of that target"
        );
    }
    shell::run(shell::program(workspace, "rustup").args(["target", "add", target]))
}

/// Where wasm-opt is, if it can be had. It makes the panel a third smaller and nothing
/// depends on it, so a machine without npm goes on without it.
pub(crate) fn wasm_opt(workspace: &Workspace) -> Result<Option<PathBuf>> {
    // Debian's wasm-opt (108) rejects what rustc emits today, so PATH is not consulted.
    const VERSION: &str = "132.0.0";
    let folder = workspace
        .cache
        .join("tools")
        .join(format!("binaryen-{VERSION}"));
    let end = if cfg!(windows) { ".cmd" } else { "" };
    let program = folder
        .join("node_modules/.bin")
        .join(format!("wasm-opt{end}"));
    if program.is_file() {
        return Ok(Some(program));
    }
    let Some(npm) = which("npm") else {
        println!(
            "  wasm-opt is skipped, because npm is not here: the panel works, only a third larger."
        );
        return Ok(None);
    };
    say(
        &format!("binaryen {VERSION}"),
        "its wasm-opt makes the panel smaller; a few seconds",
    );
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let installed = shell::run(
        shell::program(workspace, npm)
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-save",
                "--prefix",
            ])
            .arg(&folder)
            .arg(format!("binaryen@{VERSION}")),
    );
    if let Err(error) = installed {
        println!("  wasm-opt is skipped: {error:#}");
        return Ok(None);
    }
    Ok(Some(program))
}

/// Something that the system's own package manager provides.
pub(crate) struct SystemPackage {
    found: Found,
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
}

/// How to tell that a system package is there, on any distribution.
enum Found {
    /// One of these programs is on PATH.
    Program(&'static [&'static str]),
    /// pkg-config knows the library.
    Library(&'static str),
    /// `python3 -c` of this succeeds.
    Python(&'static str),
    /// fontconfig has a font for this language.
    Font(&'static str),
}

/// A group of system packages, and what they are for.
pub(crate) struct SystemPackages {
    says: &'static str,
    packages: &'static [SystemPackage],
}

/// Shorthand for the tables below.
const fn package(
    found: Found,
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
) -> SystemPackage {
    SystemPackage {
        found,
        debian,
        fedora,
        arch,
    }
}

/// What the desktop app is compiled against.
pub(crate) const DESKTOP: SystemPackages = SystemPackages {
    says: "the libraries of the desktop window (WebKitGTK); about a minute",
    packages: &[
        package(
            Found::Program(&["pkg-config", "pkgconf"]),
            "pkg-config",
            "pkgconf-pkg-config",
            "pkgconf",
        ),
        package(
            Found::Library("webkit2gtk-4.1"),
            "libwebkit2gtk-4.1-dev",
            "webkit2gtk4.1-devel",
            "webkit2gtk-4.1",
        ),
        package(
            Found::Library("gtk+-3.0"),
            "libgtk-3-dev",
            "gtk3-devel",
            "gtk3",
        ),
        package(
            Found::Library("ayatana-appindicator3-0.1"),
            "libayatana-appindicator3-dev",
            "libayatana-appindicator-gtk3-devel",
            "libayatana-appindicator",
        ),
        package(
            Found::Library("librsvg-2.0"),
            "librsvg2-dev",
            "librsvg2-devel",
            "librsvg",
        ),
        package(
            Found::Library("libsoup-3.0"),
            "libsoup-3.0-dev",
            "libsoup3-devel",
            "libsoup3",
        ),
        package(
            Found::Library("dbus-1"),
            "libdbus-1-dev",
            "dbus-devel",
            "dbus",
        ),
    ],
};

/// What the test of the desktop window runs in.
pub(crate) const WINDOW_TEST: SystemPackages = SystemPackages {
    says: "a screen and a keychain without a person, for the window's test; about 20 seconds",
    packages: &[
        package(
            Found::Program(&["Xvfb"]),
            "xvfb",
            "xorg-x11-server-Xvfb",
            "xorg-server-xvfb",
        ),
        package(
            Found::Program(&["WebKitWebDriver"]),
            "webkit2gtk-driver",
            "webkitgtk6.0",
            "webkitgtk-6.0",
        ),
        package(
            Found::Program(&["gnome-keyring-daemon"]),
            "gnome-keyring",
            "gnome-keyring",
            "gnome-keyring",
        ),
        package(
            Found::Program(&["dbus-daemon"]),
            "dbus",
            "dbus-daemon",
            "dbus",
        ),
        package(
            Found::Program(&["dbus-send"]),
            "dbus-bin",
            "dbus-tools",
            "dbus",
        ),
    ],
};

/// The browser of the browser tests.
pub(crate) const BROWSER: SystemPackages = SystemPackages {
    says: "the browser that the tests drive; about a minute",
    packages: &[package(
        Found::Program(&["chromium", "chromium-browser", "google-chrome"]),
        "chromium",
        "chromium",
        "chromium",
    )],
};

/// What runs wasm tests in that browser.
pub(crate) const BROWSER_DRIVER: SystemPackages = SystemPackages {
    says: "runs the panel's own tests inside the browser; a few seconds",
    packages: &[package(
        Found::Program(&["chromedriver"]),
        "chromium-driver",
        "chromedriver",
        "chromium",
    )],
};

/// Chinese on screenshots.
pub(crate) const CHINESE_FONT: SystemPackages = SystemPackages {
    says: "a Chinese font for the screenshots; about 20 seconds",
    packages: &[package(
        Found::Font("zh-cn"),
        "fonts-noto-cjk fontconfig",
        "google-noto-sans-cjk-fonts",
        "noto-fonts-cjk",
    )],
};

/// Node, for the tests written against browsers and windows.
pub(crate) const NODE: SystemPackages = SystemPackages {
    says: "runs the browser tests; about 20 seconds",
    packages: &[
        package(Found::Program(&["node"]), "nodejs", "nodejs", "nodejs"),
        package(Found::Program(&["npm"]), "npm", "npm", "npm"),
    ],
};

/// Python, for the tests with the official SDKs.
pub(crate) const PYTHON: SystemPackages = SystemPackages {
    says: "runs the tests with the official SDKs; about 10 seconds",
    packages: &[
        package(
            Found::Program(&["python3", "python"]),
            "python3",
            "python3",
            "python",
        ),
        package(
            Found::Python("import ensurepip, venv"),
            "python3-venv",
            "python3",
            "python",
        ),
    ],
};

/// The database server that tests start for themselves. Debian's packages with `core` in their
/// names hold the programs and no service, so nothing runs afterwards that did not before;
/// elsewhere a service has to be switched on first.
pub(crate) const MARIADB: SystemPackages = SystemPackages {
    says: "the MariaDB that the tests of the store run on; about 20 seconds",
    packages: &[
        package(
            Found::Program(&["mariadbd"]),
            "mariadb-server-core",
            "mariadb-server",
            "mariadb",
        ),
        package(
            Found::Program(&["mariadb"]),
            "mariadb-client-core",
            "mariadb",
            "mariadb-clients",
        ),
    ],
};

/// SQLite's own program, by which tests look into a database without our code.
pub(crate) const SQLITE: SystemPackages = SystemPackages {
    says: "SQLite's own program, to check our databases by; a few seconds",
    packages: &[package(
        Found::Program(&["sqlite3"]),
        "sqlite3",
        "sqlite",
        "sqlite",
    )],
};

/// What the benchmark compares with and loads by.
pub(crate) const BENCH: SystemPackages = SystemPackages {
    says: "the load generator and the proxy to compare with; a few seconds",
    packages: &[
        package(Found::Program(&["wrk"]), "wrk", "wrk", "wrk"),
        package(
            Found::Program(&["nginx"]),
            "nginx-light",
            "nginx-core",
            "nginx",
        ),
    ],
};

/// Builds and runs containers, where Docker does not.
pub(crate) const PODMAN: SystemPackages = SystemPackages {
    says: "builds the image and tries it out; about a minute",
    packages: &[
        package(Found::Program(&["podman"]), "podman", "podman", "podman"),
        package(Found::Program(&["runc", "crun"]), "runc", "runc", "runc"),
    ],
};

/// Links programs for arm64 on another machine.
pub(crate) const CROSS_ARM64: SystemPackages = SystemPackages {
    says: "links programs for arm64; about 20 seconds",
    packages: &[package(
        Found::Program(&["aarch64-linux-gnu-gcc"]),
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        "gcc-aarch64-linux-gnu",
        "aarch64-linux-gnu-gcc",
    )],
};

/// Links programs for amd64 on another machine.
pub(crate) const CROSS_AMD64: SystemPackages = SystemPackages {
    says: "links programs for amd64; about 20 seconds",
    packages: &[package(
        Found::Program(&["x86_64-linux-gnu-gcc"]),
        "gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
        "gcc-x86_64-linux-gnu",
        "x86_64-linux-gnu-gcc",
    )],
};

/// Makes sure a group of system packages is there: installs it where that takes no
/// question (apt as root or with a sudo that asks for none), else fails with the one line
/// to type.
pub(crate) fn system(workspace: &Workspace, group: &SystemPackages) -> Result<()> {
    // Windows and macOS bring their web views; browsers, Node and Python are installed by
    // their users there, and the stage that misses one says so.
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let missing = missing(workspace, group);
    if missing.is_empty() {
        return Ok(());
    }
    let debian: Vec<&str> = missing
        .iter()
        .flat_map(|package| package.debian.split(' '))
        .collect();
    say(&debian.join(" "), group.says);
    let Some(apt) = which("apt-get") else {
        bail!(
            "please install {} first:\n\n    {}",
            group.says,
            line_to_type(&missing)
        );
    };
    let Some(mut prefix) = without_asking(workspace) else {
        bail!(
            "please install {} first:\n\n    sudo apt-get update && sudo apt-get install -y {}",
            group.says,
            debian.join(" ")
        );
    };
    prefix.extend(
        [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "NEEDRESTART_MODE=a",
        ]
        .map(str::to_owned),
    );
    prefix.push(apt.to_string_lossy().into_owned());
    let run = |arguments: &[&str]| {
        let mut command = shell::program(workspace, &prefix[0]);
        // By `env`, because sudo does not pass variables on. Another apt may be at work.
        command
            .args(&prefix[1..])
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(arguments);
        shell::run(&mut command)
    };
    // A developer's MySQL is not to go because MariaDB comes; on CI nobody misses it.
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    if !shell::in_ci() {
        install.push("--no-remove");
    }
    install.extend(&debian);
    // A machine that never listed its packages knows none of them; an old list may name
    // versions that are gone.
    if !apt_has_lists() || run(&install).is_err() {
        run(&["update", "-qq"])?;
        run(&install)?;
    }
    let still = self::missing(workspace, group);
    if !still.is_empty() {
        let names: Vec<&str> = still.iter().map(|package| package.debian).collect();
        bail!("{} was installed and is still not found", names.join(" "));
    }
    Ok(())
}

fn missing<'a>(workspace: &Workspace, group: &'a SystemPackages) -> Vec<&'a SystemPackage> {
    let there = |found: &Found| match found {
        Found::Program(names) => names.iter().any(|name| which(name).is_some()),
        Found::Library(name) => {
            shell::succeeds(shell::program(workspace, "pkg-config").args(["--exists", name]))
        }
        Found::Python(statement) => {
            shell::succeeds(shell::program(workspace, "python3").args(["-c", statement]))
        }
        Found::Font(language) => {
            shell::output(shell::program(workspace, "fc-list").arg(format!(":lang={language}")))
                .is_ok_and(|fonts| !fonts.trim().is_empty())
        }
    };
    group
        .packages
        .iter()
        .filter(|package| !there(&package.found))
        .collect()
}

/// Whether `apt-get update` was ever run here.
fn apt_has_lists() -> bool {
    std::fs::read_dir("/var/lib/apt/lists").is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
        })
    })
}

/// How to run apt without a question: nothing for root, `sudo -n` where it works.
fn without_asking(workspace: &Workspace) -> Option<Vec<String>> {
    let id = shell::output(shell::program(workspace, "id").arg("-u")).ok()?;
    if id.trim() == "0" {
        return Some(Vec::new());
    }
    let sudo = vec!["sudo".to_owned(), "-n".to_owned()];
    shell::succeeds(shell::program(workspace, "sudo").args(["-n", "true"])).then_some(sudo)
}

/// The install command of the distribution at hand.
fn line_to_type(missing: &[&SystemPackage]) -> String {
    let names = |of: fn(&SystemPackage) -> &'static str| {
        missing
            .iter()
            .map(|package| of(package))
            .collect::<Vec<_>>()
            .join(" ")
    };
    if which("dnf").is_some() {
        format!("sudo dnf install {}", names(|package| package.fedora))
    } else if which("pacman").is_some() {
        format!("sudo pacman -S --needed {}", names(|package| package.arch))
    } else {
        format!(
            "(Debian's names; yours may differ) {}",
            names(|package| package.debian)
        )
    }
}

/// Says in one line what is about to be installed.
fn say(what: &str, why: &str) {
    println!("Installing {what}: {why}.");
}
