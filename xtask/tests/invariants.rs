//! The invariants of ARCHITECTURE.md about who may depend on what, as tests over
//! `cargo metadata` and over the sources.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy.toml lets tests panic, but does not know their helpers"
)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// The package that is the desktop window; its manifest is the workspace's.
const DESKTOP: &str = "gemini-balance-desktop";

#[test]
fn only_the_desktop_package_depends_on_tauri() {
    let graph = Graph::load();
    for package in graph.ours().filter(|package| package.name != DESKTOP) {
        let tauri = graph.reached(package, |name| name.starts_with("tauri"));
        assert!(
            tauri.is_empty(),
            "{} must do without {tauri:?}",
            package.name
        );
    }
    let desktop = graph.named(DESKTOP);
    assert!(
        !graph.reached(desktop, |name| name == "tauri").is_empty(),
        "the check sees nothing"
    );
}

#[test]
fn only_the_store_names_sqlx() {
    let graph = Graph::load();
    assert_eq!(
        graph.declaring(|name| name.starts_with("sqlx")),
        set(&["proxy-core"])
    );
    graph.assert_named_only_in("sqlx::", &["proxy-core/src/store"]);
}

#[test]
fn only_the_vault_touches_the_keychain() {
    let graph = Graph::load();
    let keychain = |name: &str| name.contains("keyring") || name.contains("secret-service");
    assert_eq!(graph.declaring(keychain), set(&["vault"]));
}

#[test]
fn only_the_host_module_knows_whether_it_runs_in_a_window() {
    let graph = Graph::load();
    graph.assert_named_only_in("__TAURI", &["ui/src/host"]);
}

#[test]
fn translation_and_contract_do_no_io_and_read_no_clock() {
    let graph = Graph::load();
    let io_or_clock = |name: &str| {
        let runtimes = [
            "tokio",
            "async-std",
            "smol",
            "mio",
            "reqwest",
            "hyper",
            "axum",
            "ureq",
        ];
        let clocks = ["chrono", "jiff", "time", "web-time"];
        runtimes.contains(&name) || clocks.contains(&name)
    };
    for name in ["dialect", "contract"] {
        let reached = graph.reached(graph.named(name), io_or_clock);
        assert!(reached.is_empty(), "{name} must do without {reached:?}");
        for (file, code) in graph.code_below(&format!("{name}/src")) {
            for forbidden in [
                "std::net",
                "std::fs",
                "Instant",
                "SystemTime",
                "std::process",
                "std::env::var",
            ] {
                assert!(
                    !code.contains(forbidden),
                    "{} names {forbidden}",
                    file.display()
                );
            }
        }
    }
    let core = graph.named("proxy-core");
    assert!(
        !graph.reached(core, io_or_clock).is_empty(),
        "the check sees nothing"
    );
}

#[test]
fn the_panel_depends_on_no_crate_of_ours_but_the_contract() {
    let graph = Graph::load();
    let ours: HashSet<&str> = graph.ours().map(|package| package.name.as_str()).collect();
    let used: BTreeSet<&str> = graph
        .named("ui")
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str())
        .filter(|name| ours.contains(name))
        .collect();
    assert_eq!(used, BTreeSet::from(["contract"]));
}

#[test]
fn the_deployer_knows_no_database_and_no_window() {
    let graph = Graph::load();
    let deployer = graph.named("deployer");
    let declared: BTreeSet<&str> = deployer
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str())
        .filter(|name| name.starts_with("sqlx") || name.contains("tauri"))
        .collect();
    assert_eq!(declared, BTreeSet::new());
    let clouds = |name: &str| name == "deployer" || name.starts_with("kube");
    let core = graph.reached(graph.named("proxy-core"), clouds);
    assert!(core.is_empty(), "the core must do without {core:?}");
    for host in ["cli", DESKTOP] {
        let reached = graph.reached(graph.named(host), clouds);
        assert!(reached.contains("deployer"), "{host} has no deployer");
    }
}

#[test]
fn the_fakes_are_only_ever_test_dependencies() {
    let graph = Graph::load();
    for package in graph.ours() {
        for dependency in &package.dependencies {
            assert!(
                dependency.name != "testkit" || dependency.kind == DependencyKind::Development,
                "{} would ship the fake Google",
                package.name
            );
        }
    }
}

#[test]
fn every_member_takes_versions_and_lints_from_the_workspace() {
    let graph = Graph::load();
    for package in graph.ours() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            package.manifest_path
        );
        for line in dependency_lines(&manifest) {
            assert!(
                line.contains("workspace = true"),
                "{}: `{line}` belongs in [workspace.dependencies]",
                package.manifest_path
            );
        }
    }
}

/// The lines that name a dependency: those of every `[…dependencies]` table.
fn dependency_lines(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            // The workspace's own table is where versions belong.
            inside = table.ends_with("dependencies]") && !table.starts_with("workspace.");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            found.push(line);
        }
    }
    found
}

/// What `cargo metadata` says, with the questions these tests ask.
struct Graph {
    metadata: Metadata,
    root: PathBuf,
}

impl Graph {
    fn load() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .to_path_buf();
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .other_options(vec!["--locked".to_owned()])
            .exec()
            .unwrap();
        Self { metadata, root }
    }

    /// The members of the workspace.
    fn ours(&self) -> impl Iterator<Item = &Package> {
        self.metadata.workspace_packages().into_iter()
    }

    fn named(&self, name: &str) -> &Package {
        self.ours()
            .find(|package| package.name == name)
            .unwrap_or_else(|| panic!("the workspace has no {name}"))
    }

    /// Our packages that declare a dependency whose name passes.
    fn declaring(&self, passes: impl Fn(&str) -> bool) -> BTreeSet<String> {
        self.ours()
            .filter(|package| package.dependencies.iter().any(|one| passes(&one.name)))
            .map(|package| package.name.to_string())
            .collect()
    }

    /// Names of everything that `from` is built with, directly or not, and that passes.
    /// What only its tests are built with does not count.
    fn reached(&self, from: &Package, passes: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let resolve = self.metadata.resolve.as_ref().unwrap();
        let nodes: HashMap<&PackageId, _> =
            resolve.nodes.iter().map(|node| (&node.id, node)).collect();
        let names: HashMap<&PackageId, &str> = self
            .metadata
            .packages
            .iter()
            .map(|one| (&one.id, one.name.as_str()))
            .collect();
        let mut seen = HashSet::new();
        let mut open = vec![&from.id];
        let mut found = BTreeSet::new();
        while let Some(id) = open.pop() {
            for dependency in &nodes[id].deps {
                let ships = dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal);
                if ships && seen.insert(&dependency.pkg) {
                    open.push(&dependency.pkg);
                    if passes(names[&dependency.pkg]) {
                        found.insert(names[&dependency.pkg].to_owned());
                    }
                }
            }
        }
        found
    }

    /// Asserts that the code of the workspace has `text` in these folders and nowhere else.
    fn assert_named_only_in(&self, text: &str, folders: &[&str]) {
        let mut inside = 0;
        for package in self.ours() {
            let home = package.manifest_path.parent().unwrap().as_std_path();
            // The desktop package's folder is the whole checkout; its sources are not.
            let home = if package.name == DESKTOP {
                self.root.join("src-tauri")
            } else {
                home.to_path_buf()
            };
            for (file, code) in self.code_below(&home.to_string_lossy()) {
                if !code.contains(text) {
                    continue;
                }
                let place = file.strip_prefix(&self.root).unwrap();
                let allowed = folders.iter().any(|folder| {
                    place.starts_with(folder) || place == Path::new(&format!("{folder}.rs"))
                });
                assert!(
                    allowed,
                    "{} names {text}, which only {folders:?} may",
                    place.display()
                );
                inside += 1;
            }
        }
        assert!(inside > 0, "nothing names {text}: the check sees nothing");
    }

    /// Every Rust file below a folder, with its comment lines left out.
    fn code_below(&self, folder: &str) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut open = vec![self.root.join(folder)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            } else if path.extension().is_some_and(|end| end == "rs")
                && !path.ends_with("invariants.rs")
            {
                let code: Vec<String> = fs::read_to_string(&path)
                    .unwrap()
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .map(str::to_owned)
                    .collect();
                found.push((path, code.join("\n")));
            }
        }
        found
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
