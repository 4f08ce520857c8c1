//! Builds the panel: `ui/` becomes `ui/dist`, which the server and the desktop app embed.
//!
//! Three commands do what trunk would: cargo compiles, wasm-bindgen makes the result
//! loadable, wasm-opt shrinks it. File names carry no hash, because the server answers
//! with entity tags and the window reads from the binary.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::setup;
use crate::shell;
use crate::workspace::Workspace;

/// What decides whether the panel must be built again, relative to the checkout.
const INPUTS: [&str; 6] = [
    "ui",
    "contract",
    "Cargo.lock",
    "Cargo.toml",
    ".cargo/config.toml",
    "rust-toolchain.toml",
];

/// What wasm-opt may assume: everything rustc turns on for this target today, and all
/// browsers since 2022 know.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Installs what [`build`] uses, and what makes its result smaller where that can be had.
pub(crate) fn set_up(workspace: &Workspace) -> Result<()> {
    setup::wasm_target(workspace)?;
    setup::cargo_tool(workspace, &setup::WASM_BINDGEN)?;
    if let Err(error) = setup::system(workspace, &setup::NODE) {
        println!("  going on without npm: {error:#}");
    }
    setup::wasm_opt(workspace).map(drop)
}

/// Builds `ui/dist`, unless it was built from exactly these inputs.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let started = Instant::now();
    let dist = workspace.root.join("ui/dist");
    setup::wasm_target(workspace)?;
    let wasm_bindgen = setup::cargo_tool(workspace, &setup::WASM_BINDGEN)?;
    let wasm_opt = setup::wasm_opt(workspace)?;

    let fingerprint = fingerprint(workspace, &[Some(&wasm_bindgen), wasm_opt.as_ref()])?;
    // Beside dist and not in it: everything in dist is embedded and served.
    let mark = workspace.root.join("ui/dist.fingerprint");
    if dist.join("index.html").is_file()
        && fs::read_to_string(&mark).is_ok_and(|old| old == fingerprint)
    {
        println!("The panel is up to date.");
        return Ok(());
    }

    println!("Building the panel (about 3 minutes the first time, seconds later).");
    shell::run(shell::cargo(workspace).args([
        "build",
        "--locked",
        "--package=ui",
        "--target=wasm32-unknown-unknown",
        "--profile=panel",
    ]))?;

    // Built aside and put in place at the end, so that nothing ever embeds half a panel.
    let fresh = workspace.root.join("ui/dist.new");
    remove(&fresh)?;
    fs::create_dir_all(&fresh).with_context(|| cannot("make", &fresh))?;
    let wasm = workspace
        .target
        .join("wasm32-unknown-unknown/panel/ui.wasm");
    shell::run(
        shell::program(workspace, &wasm_bindgen)
            .args([
                "--target=web",
                "--no-typescript",
                "--remove-name-section",
                "--out-name=ui",
                "--out-dir",
            ])
            .arg(&fresh)
            .arg(&wasm),
    )?;
    if let Some(wasm_opt) = wasm_opt {
        let file = fresh.join("ui_bg.wasm");
        let smaller = workspace.root.join("ui/dist.smaller.wasm");
        let made = shell::run(
            shell::program(workspace, wasm_opt)
                .arg("-Oz")
                .args(WASM_FEATURES)
                .arg("-o")
                .arg(&smaller)
                .arg(&file),
        );
        match made {
            Ok(()) => {
                fs::rename(&smaller, &file).with_context(|| cannot("make", &file))?;
            }
            // An old Node cannot run it. The panel is the same without, only larger.
            Err(error) => println!("  wasm-opt is skipped: {error:#}"),
        }
    }
    copy_tree(&workspace.root.join("ui/static"), &fresh)?;
    let page = workspace.root.join("ui/index.html");
    fs::copy(&page, fresh.join("index.html")).with_context(|| cannot("read", &page))?;

    remove(&mark)?;
    remove(&dist)?;
    fs::rename(&fresh, &dist).with_context(|| cannot("make", &dist))?;
    fs::write(&mark, fingerprint).with_context(|| cannot("write", &mark))?;
    let size = fs::metadata(dist.join("ui_bg.wasm")).map_or(0, |file| file.len());
    println!(
        "The panel is in ui/dist ({} KiB of wasm before compression), after {}.",
        size / 1024,
        shell::spoken(started.elapsed())
    );
    Ok(())
}

/// A digest of everything the panel is made of, and by.
fn fingerprint(workspace: &Workspace, tools: &[Option<&PathBuf>]) -> Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        list_files(&workspace.root.join(input), &mut files)?;
    }
    files.sort();
    // Changes are to be noticed, not attackers: the standard hasher does.
    let mut hasher = DefaultHasher::new();
    tools.hash(&mut hasher);
    for file in &files {
        file.strip_prefix(&workspace.root)
            .unwrap_or(file)
            .hash(&mut hasher);
        fs::read(file)
            .with_context(|| cannot("read", file))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// Lists all files below `path` but those that building makes.
fn list_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| cannot("read", path))? {
        let entry = entry.with_context(|| cannot("read", path))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == "node_modules" || name == "dist" || name.starts_with("dist.") {
            continue;
        }
        list_files(&entry.path(), files)?;
    }
    Ok(())
}

/// Copies a folder's content. Two files of one name would make one of them vanish, so
/// that is an error.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| cannot("read", from))? {
        let entry = entry.with_context(|| cannot("read", from))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).with_context(|| cannot("make", &target))?;
            copy_tree(&entry.path(), &target)?;
        } else if target.exists() {
            bail!(
                "{} would overwrite a file made by the build",
                entry.path().display()
            );
        } else {
            fs::copy(entry.path(), &target).with_context(|| cannot("write", &target))?;
        }
    }
    Ok(())
}

/// Removes a file or a folder that may not exist.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| cannot("remove", path))
        }
        _ => Ok(()),
    }
}

fn cannot(verb: &str, path: &Path) -> String {
    format!("cannot {verb} {}", path.display())
}
