//! Where things are: the checkout, and the cache outside it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The folders that every command works with.
pub(crate) struct Workspace {
    /// The checkout.
    pub root: PathBuf,
    /// Everything kept between runs and checkouts: tools, builds, test environments.
    pub cache: PathBuf,
    /// What child cargo processes build into.
    pub target: PathBuf,
}

impl Workspace {
    /// The workspace this program was started in by `cargo xtask`.
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets the variable when it runs us; the built-in path serves a bare binary.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .parent()
            .with_context(|| format!("{} has no parent folder", package.display()))?
            .to_path_buf();
        if !root.join("Cargo.lock").is_file() {
            bail!(
                "{} is not a checkout of Gemini Balance: it has no Cargo.lock",
                root.display()
            );
        }
        let cache = cache_folder()?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .filter(|folder| !folder.is_empty())
            .map_or_else(|| cache.join("target"), |folder| root.join(folder));
        Ok(Self {
            root,
            cache,
            target,
        })
    }

    /// A program of this workspace, as built by cargo in `profile` (`debug`, `dist`, …).
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target
            .join(profile)
            .join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The version of a crate in Cargo.lock, for tools that must match it exactly.
    pub(crate) fn locked_version(&self, name: &str) -> Result<Option<String>> {
        let path = self.root.join("Cargo.lock");
        let lock = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(version_in(&lock, name))
    }
}

/// Finds `name`'s version in the text of a lock file. Cargo writes `version` on the line
/// after `name`, so no TOML parser is needed, which would triple this crate's build.
fn version_in(lock: &str, name: &str) -> Option<String> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines();
    lines.find(|line| *line == wanted)?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

fn cache_folder() -> Result<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| Path::new(value).is_absolute())
            .map(PathBuf::from)
    };
    let base = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("gemini-balance"))
        .context("there is no home folder to keep a cache in: set HOME (LOCALAPPDATA on Windows)")
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn a_locked_version_is_that_of_the_exact_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"0.2.1\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "bindgen"), None);
    }
}
