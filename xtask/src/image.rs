//! `cargo xtask image`: the container image of this checkout, built and tried out.
//!
//! The image holds one static program and begins with nothing (`FROM scratch`), so it is
//! built without a registry. Its files are made here and nowhere else: the Dockerfile, when
//! it compiles by itself, calls this with `--files`.
//!
//! Static means glibc linked in (`+crt-static`), not musl: it is the libc that everything
//! else here is tested and measured with, its allocator is the faster one, and since 2.34 it
//! looks up names without libraries of its own.
//!
//! Deliberately absent: buildah by itself. Podman builds with buildah's code and can also run
//! what it has built, which is the point.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::panel;
use crate::setup;
use crate::shell::{self, which};
use crate::workspace::Workspace;

/// What the command line asked for.
pub(crate) struct Options {
    /// The architecture, as containers call it; that of this machine when there is none.
    pub arch: Option<String>,
    /// Cargo's profile.
    pub profile: String,
    /// What the image is called.
    pub tag: String,
    /// Only make the image's files, in this folder.
    pub files: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            arch: None,
            profile: "dist".to_owned(),
            tag: "localhost/gemini-balance:dev".to_owned(),
            files: None,
        }
    }
}

/// What the image may weigh at most, as it is downloaded.
const LIMIT: u64 = 30_000_000;

/// Where the program is in the image.
const PROGRAM: &str = "usr/local/bin/gemini-balance";

/// Where the certificates are that the program checks Google's with, here and in the image.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The image's text files: names for its user, which some hosts show and some programs ask for.
const TEXTS: [(&str, &str); 2] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/sbin/nologin\n\
         nonroot:x:65532:65532:nonroot:/data:/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
];

/// An architecture that the image is for.
struct Arch {
    /// What containers call it.
    name: &'static str,
    /// What Rust calls it, as in `std::env::consts::ARCH`.
    rust: &'static str,
    /// What rustc compiles for.
    target: &'static str,
    /// The variable that tells cargo the linker when this is not the machine's own.
    linker_variable: &'static str,
    /// That linker, and where it comes from.
    linker: &'static str,
    cross: &'static setup::SystemPackages,
}

const ARCHS: [Arch; 2] = [
    Arch {
        name: "amd64",
        rust: "x86_64",
        target: "x86_64-unknown-linux-gnu",
        linker_variable: "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
        linker: "x86_64-linux-gnu-gcc",
        cross: &setup::CROSS_AMD64,
    },
    Arch {
        name: "arm64",
        rust: "aarch64",
        target: "aarch64-unknown-linux-gnu",
        linker_variable: "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        linker: "aarch64-linux-gnu-gcc",
        cross: &setup::CROSS_ARM64,
    },
];

impl Arch {
    fn is_ours(&self) -> bool {
        self.rust == env::consts::ARCH
    }
}

/// Builds the image and tries it out, or makes its files only.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    ensure!(
        cfg!(target_os = "linux"),
        "the program in the image can be linked on Linux only; elsewhere `docker build .` does \
         everything inside a container"
    );
    let started = Instant::now();
    let wanted = options.arch.as_deref();
    let arch = ARCHS
        .iter()
        .find(|arch| wanted.map_or(arch.is_ours(), |wanted| arch.name == wanted))
        .with_context(|| {
            format!(
                "the image is for amd64 and arm64, not for {}",
                wanted.unwrap_or(env::consts::ARCH)
            )
        })?;
    if let Some(folder) = &options.files {
        make_files(workspace, arch, &options.profile, folder)?;
        println!("The image's files are in {}.", folder.display());
        return Ok(ExitCode::SUCCESS);
    }

    let engine = Engine::find(workspace)?;
    println!(
        "The image is made by {}, from a program that is compiled here.",
        engine.program
    );
    let folder = workspace.cache.join("image").join(arch.name);
    make_files(workspace, arch, &options.profile, &folder)?;
    build(workspace, &engine, arch, &options.tag, &folder)?;
    let bytes = compressed(workspace, &engine, &options.tag)?;
    let megabytes = bytes as f64 / 1e6;
    println!("{} weighs {megabytes:.1} MB compressed.", options.tag);
    // Unoptimised programs are several times as large, and nobody publishes one.
    if options.profile == "dist" {
        ensure!(
            bytes < LIMIT,
            "the image is too large: {megabytes:.1} MB compressed, and {} MB are allowed",
            LIMIT / 1_000_000
        );
    }
    if arch.is_ours() {
        try_out(workspace, &engine, &options.tag)?;
        println!("The image does what it should.");
    } else {
        println!(
            "It was not tried out: this machine is not of the architecture {}.",
            arch.name
        );
    }
    println!("Done after {}.", shell::spoken(started.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Makes what the image consists of: `root`, its file system, and `data`, its empty volume.
fn make_files(workspace: &Workspace, arch: &Arch, profile: &str, folder: &Path) -> Result<()> {
    panel::set_up(workspace)?;
    panel::build(workspace)?;
    let program = compile(workspace, arch, profile)?;
    // Whatever else is in the folder stays.
    for part in ["root", "data"] {
        let part = folder.join(part);
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot empty {}", part.display()));
            }
            _ => {}
        }
    }
    let place = |name: &str| -> Result<PathBuf> {
        let path = folder.join("root").join(name);
        let parent = path.parent().context("a file has a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        Ok(path)
    };
    copy(&program, &place(PROGRAM)?)?;
    copy(&Path::new("/").join(CERTIFICATES), &place(CERTIFICATES)?)
        .context("Debian's package ca-certificates has them")?;
    for (name, text) in TEXTS {
        let path = place(name)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let data = folder.join("data");
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))
}

/// Compiles the static program, with the list of its crates inside: tools that make an SBOM
/// or look for vulnerabilities (Syft, Trivy, cargo-audit) read it from there, and see nothing
/// of a Rust program otherwise.
fn compile(workspace: &Workspace, arch: &Arch, profile: &str) -> Result<PathBuf> {
    setup::rust_target(workspace, arch.target, "static programs")?;
    let auditable = setup::cargo_tool(workspace, &setup::CARGO_AUDITABLE)?;
    let mut command = shell::cargo(workspace);
    if let Some(folder) = auditable.parent() {
        command.env("PATH", shell::path_with(&[folder])?);
    }
    if !arch.is_ours() {
        setup::system(workspace, arch.cross)?;
        command.env(arch.linker_variable, arch.linker);
    }
    // With `--target`, even if it is our own: what runs while compiling is not linked so.
    command
        .args(["auditable", "build", "--locked", "--package=cli"])
        .args(["--profile", profile, "--target", arch.target, "--config"])
        .arg(format!(
            "target.{}.rustflags=[\"-Ctarget-feature=+crt-static\"]",
            arch.target
        ));
    println!("Compiling a static program (10 minutes the first time, in the profile dist).");
    shell::run(&mut command)?;
    let profile_folder = if profile == "dev" { "debug" } else { profile };
    Ok(workspace
        .target
        .join(arch.target)
        .join(profile_folder)
        .join("gemini-balance"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
        .map(drop)
}

fn build(
    workspace: &Workspace,
    engine: &Engine,
    arch: &Arch,
    tag: &str,
    folder: &Path,
) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let mut git = shell::program(workspace, "git");
    // An archive of the sources has no history.
    let revision = shell::output(git.args(["rev-parse", "HEAD"])).unwrap_or_default();
    let mut command = shell::program(workspace, engine.program);
    command.arg("build");
    if engine.program == "podman" {
        // The format that has health checks. And layers are made anew, because its cache does
        // not tell architectures apart.
        command.args(["--format=docker", "--no-cache"]);
    }
    let mut context = std::ffi::OsString::from("files=");
    context.push(folder);
    command
        .args(["--platform", &format!("linux/{}", arch.name)])
        .arg("--build-context")
        .arg(context)
        .args(["--build-arg", &format!("VERSION={version}")])
        .args(["--build-arg", &format!("REVISION={}", revision.trim())])
        .args(["--tag", tag, "."]);
    shell::run(&mut command)?;
    let mut inspect = shell::program(workspace, engine.program);
    let built =
        shell::output(inspect.args(["image", "inspect", "--format={{.Architecture}}", tag]))?;
    ensure!(
        built.trim() == arch.name,
        "the image says that it is for {}, and it is for {}",
        built.trim(),
        arch.name
    );
    Ok(())
}

/// How many bytes the image's layers have as registries keep them.
fn compressed(workspace: &Workspace, engine: &Engine, tag: &str) -> Result<u64> {
    let mut save = shell::program(workspace, engine.program)
        .args(["save", tag])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} could not be started", engine.program))?;
    let archive = save.stdout.take().context("its stdout was asked for")?;
    let mut gzip = shell::program(workspace, "gzip")
        .arg("-c")
        .stdin(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip could not be started")?;
    let packed = gzip.stdout.take().context("its stdout was asked for")?;
    let bytes = std::io::copy(&mut { packed }, &mut std::io::sink())?;
    for (name, child) in [(engine.program, &mut save), ("gzip", &mut gzip)] {
        let status = child.wait()?;
        ensure!(status.success(), "`{name}` failed ({status})");
    }
    Ok(bytes)
}

/// Runs the test of the image.
fn try_out(workspace: &Workspace, engine: &Engine, tag: &str) -> Result<()> {
    println!(
        "Trying it out: the image is started with a read-only root and without rights, set up \
         with the code it prints, asked through a fake Google, stopped in the middle of a \
         stream, and started again."
    );
    shell::run(
        shell::cargo(workspace)
            .env("GB_IMAGE", tag)
            .env("GB_IMAGE_ENGINE", engine.command.join(" "))
            .args(["test", "--locked", "--package=cli", "--test=image"])
            .args(["--", "--ignored"]),
    )
}

/// What builds and runs containers here.
struct Engine {
    program: &'static str,
    /// How it runs one: the program, and perhaps another runtime than it would choose.
    command: Vec<&'static str>,
}

impl Engine {
    /// Docker when its daemon answers, else Podman, which is installed where it can be.
    fn find(workspace: &Workspace) -> Result<Self> {
        let answers = |program: &str, arguments: &[&str]| {
            which(program).is_some()
                && shell::succeeds(shell::program(workspace, program).args(arguments))
        };
        if answers("docker", &["version"]) && answers("docker", &["buildx", "version"]) {
            return Ok(Self {
                program: "docker",
                command: vec!["docker"],
            });
        }
        setup::system(workspace, &setup::PODMAN)?;
        if !answers("podman", &["info"]) {
            bail!("neither docker nor podman works here; `podman info` says why");
        }
        // crun, which Podman prefers, refuses machines with both versions of cgroups; runc
        // runs everywhere.
        let runtime: &[&str] = match which("runc") {
            Some(_) => &["--runtime", "runc"],
            None => &[],
        };
        Ok(Self {
            program: "podman",
            command: [&["podman"], runtime].concat(),
        })
    }
}
